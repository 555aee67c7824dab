/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of the library share and nobody else sees. */

#include "gangway/gangway-version.h"
#include "gangway/gangway-types.h"
#include "gangway/gangway-node.h"
#include "gangway/gangway-bus.h"

G_BEGIN_DECLS

/* A node starts up on @bus (not referenced: the bus calls gangway_node_disown () when it goes first). @hello may be
 * NULL. */
GangwayNode *gangway_node_new (GangwayBus *bus, guint id, guint mtu, guint rtt_ms, GBytes *hello);
void gangway_node_disown (GangwayNode *self);
guint gangway_node_get_rtt_ms (GangwayNode *self);
/* Whether the agent does not know the address and the retries yet. */
gboolean gangway_node_is_dirty (GangwayNode *self);
void gangway_node_set_dirty (GangwayNode *self, gboolean dirty);

void gangway_bus_node_down (GangwayBus *self, GangwayNode *node, GangwayDownReason reason);
gboolean gangway_bus_node_send (GangwayBus *self, GangwayNode *node, GBytes *datagram, GError **error);
/* A datagram was dropped by a node's queue. */
void gangway_bus_count_drop (GangwayBus *self);
/* Address or retries of a node that is up are others; @now: must not wait for the next second. */
void gangway_bus_node_changed (GangwayBus *self, GangwayNode *node, gboolean now);

/* Installs the system-call filter on every thread of the process. */
gboolean gangway_sandbox_enter (GError **error);

G_END_DECLS
