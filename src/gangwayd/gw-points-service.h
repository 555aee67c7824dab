/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gw-dbus.h"
#include "gw-points.h"

G_BEGIN_DECLS

/* The D-Bus face of an endpoint's points: Points beside Endpoint, once the points are known. */

/* Reads by callers on D-Bus, who may be anybody, that wait for one endpoint; more are refused. So few that writes, commands and signatures,
 * which wait in the same queue (GW_SMP_PEER_QUEUE_MAX), find room there and come soon. */
#define GW_POINTS_READS_MAX 8
/* Clients that watch one endpoint; more are refused. */
#define GW_POINTS_WATCHERS_MAX 16
/* Changed is sent at most this often. */
#define GW_POINTS_CHANGED_USEC G_USEC_PER_SEC

typedef struct _GwPointsService GwPointsService;

/* Shows them on @object, whenever they are described. */
GwPointsService *gw_points_service_new (GwEndpoint *endpoint, GwDBusObjectSkeleton *object);
void gw_points_service_free (GwPointsService *self);
GwPoints *gw_points_service_get_points (GwPointsService *self);
/* The endpoint is there and ours. */
void gw_points_service_begin (GwPointsService *self);
/* A report is durable: what is watched of it becomes a Changed signal. */
void gw_points_service_report (GwPointsService *self, GwBytes body);

G_END_DECLS
