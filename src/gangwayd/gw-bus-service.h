/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

#include "gw-bouncer.h"
#include "gw-busmsg-codec.h"
#include "gw-loop.h"
#include "gw-node.h"
#include "gw-objects.h"

G_BEGIN_DECLS

/*
 * A field bus as D-Bus shows it: the Bus object, and what is told of each of its nodes. Everything that counts or flutters is shown at
 * most once a second.
 */

/* What the plugin says of its bus when it attaches; borrowed. */
typedef struct
{
  const char *name;
  const char *kind;
  const char *device;
  const char *plugin;
} GwBusInfo;

typedef struct _GwBusService GwBusService;

/* Has the plugin look for endpoints; FALSE: it takes no messages now. */
typedef gboolean (*GwBusServiceScan) (gpointer data);

/* Exports the object at @path. */
GwBusService *gw_bus_service_new (GwLoop *loop,
                                  GwObjects *manager,
                                  GwBouncer *bouncer,
                                  const char *path,
                                  const GwBusInfo *info,
                                  GwBusServiceScan scan,
                                  gpointer data);
/* Takes the object off D-Bus; nothing is shown any more. */
void gw_bus_service_withdraw (GwBusService *self);
void gw_bus_service_free (GwBusService *self);

/* The plugin has said hello. */
void gw_bus_service_run (GwBusService *self);
void gw_bus_service_set_statistics (GwBusService *self, const GwBusmsgStats *statistics);
void gw_bus_service_set_link (GwBusService *self, const GwBusmsgLink *link);
/* A datagram to the plugin was dropped. */
void gw_bus_service_count_drop (GwBusService *self);

void gw_bus_service_add_node (GwBusService *self, GwNode *node);
void gw_bus_service_remove_node (GwBusService *self, GwNode *node);
void gw_bus_service_set_node_state (GwBusService *self, GwNode *node, const char *state);
void gw_bus_service_set_node_info (GwBusService *self, GwNode *node, const GwBusmsgNode *info);

/* Who has that address (or sends those frames: GW_BUSMSG_CULPRIT_FRAMES), as a sentence begins. Newly allocated. */
char *gw_bus_service_name_address (GwBusService *self, guint32 address);

G_END_DECLS
