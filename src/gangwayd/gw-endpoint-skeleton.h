/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gw-dbus.h"
#include "gw-loop.h"

G_BEGIN_DECLS

/*
 * The Endpoint interface, with figures that are asked for when somebody reads them: who reads has the value of that moment, and what
 * nobody reads costs nothing. A figure that has moved is invalidated by PropertiesChanged without its value, soon where somebody has
 * read since the last time and may hold what is no longer right, seldom where only those can want to know who listen and never ask.
 *
 * The generated getters (gw_dbus_endpoint_get_reports_lost() and the like) know nothing of these figures.
 */

/* From one PropertiesChanged with figures to the next, where they were read in between and where they were not. */
#define GW_ENDPOINT_SKELETON_READ_USEC G_USEC_PER_SEC
#define GW_ENDPOINT_SKELETON_UNREAD_USEC (60 * G_USEC_PER_SEC)

typedef enum
{
  GW_ENDPOINT_FIGURE_LAST_SEEN, /* Unix seconds */
  GW_ENDPOINT_FIGURE_ACKNOWLEDGED,
  GW_ENDPOINT_FIGURE_DELIVERED,
  GW_ENDPOINT_FIGURE_LOST,
  GW_ENDPOINT_FIGURE_COUNT,
} GwEndpointFigure;

/* Fills in all of @figures. */
typedef void (*GwEndpointFigures) (guint64 *figures, gpointer data);

#define GW_TYPE_ENDPOINT_SKELETON (gw_endpoint_skeleton_get_type ())
G_DECLARE_FINAL_TYPE (GwEndpointSkeleton, gw_endpoint_skeleton, GW, ENDPOINT_SKELETON, GwDBusEndpointSkeleton)

GwEndpointSkeleton *gw_endpoint_skeleton_new (GwLoop *loop, GwEndpointFigures ask, gpointer data);
/* Figures may have moved. Cheap enough for each report. */
void gw_endpoint_skeleton_touch (GwEndpointSkeleton *self);
/* Asks no more, and shows what it was told last: the bus may hold it longer than its owner does. */
void gw_endpoint_skeleton_close (GwEndpointSkeleton *self);

G_END_DECLS
