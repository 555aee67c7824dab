/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(GANGWAY_INSIDE) && !defined(GANGWAY_COMPILATION)
#error "Only <gangway.h> can be included directly."
#endif

#include "gangway-types.h"

G_BEGIN_DECLS

/**
 * GANGWAY_NODE_QUEUE_MAX:
 *
 * Datagrams that gangway_node_queue_push() keeps for one node.
 *
 * Since: 0.1
 */
#define GANGWAY_NODE_QUEUE_MAX 4

#define GANGWAY_TYPE_NODE (gangway_node_get_type ())
GANGWAY_API G_DECLARE_FINAL_TYPE (GangwayNode, gangway_node, GANGWAY, NODE, GObject)

GANGWAY_API guint gangway_node_get_id (GangwayNode *self);
GANGWAY_API guint gangway_node_get_mtu (GangwayNode *self);
GANGWAY_API GBytes *gangway_node_get_hello (GangwayNode *self);
GANGWAY_API gboolean gangway_node_is_up (GangwayNode *self);

GANGWAY_API void gangway_node_set_address (GangwayNode *self, guint address);
GANGWAY_API guint gangway_node_get_address (GangwayNode *self);
GANGWAY_API void gangway_node_set_retries (GangwayNode *self, guint64 retries);
GANGWAY_API guint64 gangway_node_get_retries (GangwayNode *self);

GANGWAY_API void gangway_node_down (GangwayNode *self, GangwayDownReason reason);
GANGWAY_API gboolean gangway_node_send (GangwayNode *self, GBytes *datagram, GError **error);

GANGWAY_API gboolean gangway_node_queue_push (GangwayNode *self, GBytes *datagram);
GANGWAY_API GBytes *gangway_node_queue_pop (GangwayNode *self);
GANGWAY_API guint gangway_node_queue_get_length (GangwayNode *self);
GANGWAY_API guint64 gangway_node_get_dropped (GangwayNode *self);

G_END_DECLS
