/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/*
 * The one gate that every method call passes. Each method names its polkit action in an annotation of the interface's XML
 * (org.gangway.Gangway1.Action); a method without one is refused. Deny by default: any error in asking is a no.
 */

typedef enum
{
  GW_BOUNCER_POLKIT,  /* polkit decides, the subject is the caller's bus name */
  GW_BOUNCER_OWN_UID, /* for private buses without polkit: callers with the agent's own uid, nobody else */
} GwBouncerMode;

/* A call that changes something and was let through, before it is carried out; in the main thread. @actor: "uid N". */
typedef void (*GwBouncerWitness) (const char *actor, const char *action, const char *object, const char *detail, gpointer data);

#define GW_TYPE_BOUNCER (gw_bouncer_get_type ())
G_DECLARE_FINAL_TYPE (GwBouncer, gw_bouncer, GW, BOUNCER, GObject)

/* Connects to polkit where @mode asks for it. */
GwBouncer *gw_bouncer_new (GwBouncerMode mode, GDBusConnection *connection, GError **error);
/* Puts the gate in front of every method of @interface; call before it is exported. */
void gw_bouncer_guard (GwBouncer *self, GDBusInterfaceSkeleton *interface);
/*
 * As gw_bouncer_guard(), for the object of a job that the call @started_by starts: its caller may do everything with it, others what
 * they may start themselves.
 */
void gw_bouncer_guard_job (GwBouncer *self, GDBusInterfaceSkeleton *interface, GDBusMethodInvocation *started_by);
/* One witness, or NULL. Main thread. */
void gw_bouncer_set_witness (GwBouncer *self, GwBouncerWitness witness, gpointer data);
/* TRUE if the name is one of the modes ("polkit", "own-uid"). */
gboolean gw_bouncer_mode_from_string (const char *name, GwBouncerMode *mode);

G_END_DECLS
