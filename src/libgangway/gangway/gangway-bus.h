/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(GANGWAY_INSIDE) && !defined(GANGWAY_COMPILATION)
#error "Only <gangway.h> can be included directly."
#endif

#include "gangway-node.h"

G_BEGIN_DECLS

#define GANGWAY_TYPE_BUS (gangway_bus_get_type ())
GANGWAY_API G_DECLARE_FINAL_TYPE (GangwayBus, gangway_bus, GANGWAY, BUS, GObject)

GANGWAY_API GangwayBus *gangway_bus_new (const char *name, const char *kind, const char *device);

GANGWAY_API void gangway_bus_attach_async (
    GangwayBus *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data);
GANGWAY_API gboolean gangway_bus_attach_finish (GangwayBus *self, GAsyncResult *result, GError **error);
GANGWAY_API void gangway_bus_detach (GangwayBus *self);
GANGWAY_API gboolean gangway_bus_is_attached (GangwayBus *self);
GANGWAY_API const char *gangway_bus_get_object_path (GangwayBus *self);

GANGWAY_API gboolean gangway_bus_sandbox (GangwayBus *self, GError **error);

GANGWAY_API GangwayNode *gangway_bus_node_up (
    GangwayBus *self, guint mtu, guint rtt_ms, GBytes *hello, GError **error);

GANGWAY_API void gangway_bus_set_stats (GangwayBus *self, const GangwayStats *stats);
GANGWAY_API void gangway_bus_set_link (GangwayBus *self, const GangwayLink *link);

G_END_DECLS
