/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gw-dbus.h"
#include "gw-roster.h"

G_BEGIN_DECLS

/* The D-Bus face of the inventory: org.gangway.Gangway1.Inventory on the root object. */

typedef struct _GwInventoryService GwInventoryService;

/* Exports it. All borrowed. */
GwInventoryService *gw_inventory_service_new (const GwServices *services, GwRoster *roster, GError **error);
void gw_inventory_service_free (GwInventoryService *self);

G_END_DECLS
