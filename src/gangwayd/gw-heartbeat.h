/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "gw-loop.h"
#include "gw-writer.h"

G_BEGIN_DECLS

/*
 * Proof that the agent makes progress, for the service manager's watchdog. A beat starts on the loop's timer, waits its turn among the
 * loop's steps, goes through the writer thread and its store, and counts only when the answer is back on the main context. While one
 * is under way no other starts: a stuck disk or a stuck loop means silence, and nothing is made up for afterwards.
 *
 * A store that refuses (a full disk) has answered: that is told elsewhere, and a restart would not help.
 */

typedef struct _GwHeartbeat GwHeartbeat;

typedef void (*GwHeartbeatFunc) (gpointer data);

/* @period: microseconds from the end of one beat to the start of the next; the first starts at once. @loop and @writer are borrowed. */
GwHeartbeat *gw_heartbeat_new (GwLoop *loop, GwWriter *writer, gint64 period, GwHeartbeatFunc func, gpointer data);
/* Also while a beat is in the writer's hands. */
void gw_heartbeat_free (GwHeartbeat *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwHeartbeat, gw_heartbeat_free)

G_END_DECLS
