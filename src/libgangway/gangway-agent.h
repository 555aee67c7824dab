/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Finds the agent on D-Bus and asks it to attach the bus, again and again with jittered backoff while it refuses, at
 * once when it comes (back). Internal to the library. It belongs to its GangwayBus, which tells it when the socket it
 * got has ended. Callbacks may free it. */

#include <gio/gio.h>

G_BEGIN_DECLS

typedef struct _GangwayAgent GangwayAgent;

typedef struct
{
  void (*socket) (gpointer owner, int fd, const char *path); /* @fd is the owner's from here on */
  void (*refused) (gpointer owner, const GError *why, gboolean for_good);
  void (*vanished) (gpointer owner);               /* the agent left the bus; its coming is watched for */
  void (*lost) (gpointer owner, const GError *why); /* no connection to D-Bus, now or any more; the last callback */
} GangwayAgentFuncs;

/* Connects to @address, NULL = the system bus. @options: (transfer floating): a{sv} of AttachBus. */
GangwayAgent *gangway_agent_new (
    const char *address, GVariant *options, const GangwayAgentFuncs *funcs, gpointer owner);
void gangway_agent_free (GangwayAgent *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GangwayAgent, gangway_agent_free)

/* The socket works: the next trouble starts with the shortest delay again. */
void gangway_agent_settle (GangwayAgent *self);
/* The socket has ended: attach again after a delay, if the agent is still there, else when it comes. */
void gangway_agent_retry (GangwayAgent *self);

/* The delay before attempt @attempt (0 = the first repetition) in milliseconds: between half of and the whole of a step
 * that doubles from 400 ms to 5 s, so never below 200. @random is any number. */
guint gangway_agent_backoff_ms (guint attempt, guint32 random);

G_END_DECLS
