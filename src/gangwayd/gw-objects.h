/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/*
 * The agent's objects on D-Bus, and who answers GetManagedObjects about them: what GDBusObjectManagerServer does, and at a tenth of
 * its price where there are thousands. Each property is turned into its variant once and kept until it changes, and what many
 * objects say alike (a model, a policy, a list of points) is kept once.
 *
 * Used from the main context's thread only.
 */

#define GW_TYPE_OBJECTS (gw_objects_get_type ())
G_DECLARE_FINAL_TYPE (GwObjects, gw_objects, GW, OBJECTS, GObject)

/* @path: of the ObjectManager; all objects are below it. Nothing is on the bus yet. */
GwObjects *gw_objects_new (const char *path);
const char *gw_objects_get_path (GwObjects *self);

/* Puts all objects that were added, and those that will be, on @connection. */
gboolean gw_objects_open (GwObjects *self, GDBusConnection *connection, GError **error);
/* Takes all from the bus, without a signal for each: whoever listens sees the name go. */
void gw_objects_close (GwObjects *self);

/* Takes a reference, follows the interfaces that @object gets and loses, and tells with InterfacesAdded. Its path must be free. */
void gw_objects_add (GwObjects *self, GDBusObjectSkeleton *object);
/* Tells with InterfacesRemoved. An unknown @path is none of our business. */
void gw_objects_remove (GwObjects *self, const char *path);
gboolean gw_objects_has (GwObjects *self, const char *path);

/* All of them in the order of their adding, as GetManagedObjects answers: a{oa{sa{sv}}}, borrowed until the next change. */
GVariant *gw_objects_show (GwObjects *self);

G_END_DECLS
