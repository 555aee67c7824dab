/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

#include "gw-bouncer.h"
#include "gw-heartbeat.h"

G_BEGIN_DECLS

/*
 * The agent: opens what is on disk, makes the services, and shows itself on D-Bus as org.gangway.Gangway1.Manager with everything below
 * it. One in a process.
 */

typedef struct _GwAgent GwAgent;

typedef struct
{
  const char *state_dir;
  const char *config_path; /* NULL: the default one, if it is there */
  const char *runtime_dir; /* for private sockets; NULL: chosen */
  GwBouncerMode authorize;
} GwAgentOptions;

/* Everything but the name on the bus. NULL with what is wrong and what to do. */
GwAgent *gw_agent_new (GDBusConnection *connection, const GwAgentOptions *options, GError **error);
/* Ends all sessions and connections in good order, and has the disk written. */
void gw_agent_free (GwAgent *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwAgent, gw_agent_free)

/* As Manager.Reload. */
gboolean gw_agent_reload (GwAgent *self, GError **error);

/* Calls @func each time the loop has turned and the writer thread has answered (GwHeartbeat), @period microseconds apart, until the agent
 * is freed. Once. */
void gw_agent_watch_progress (GwAgent *self, gint64 period, GwHeartbeatFunc func, gpointer data);
/* One line for people: endpoints by state, buses, what is spooled. The caller's. */
char *gw_agent_describe (GwAgent *self);

G_END_DECLS
