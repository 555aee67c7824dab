/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

#include "gw-bouncer.h"
#include "gw-ca.h"
#include "gw-channel.h"
#include "gw-config.h"
#include "gw-db.h"
#include "gw-event.h"
#include "gw-inventory.h"
#include "gw-issuer.h"
#include "gw-loop.h"
#include "gw-objects.h"
#include "gw-policy.h"
#include "gw-spool.h"
#include "gw-uplink.h"
#include "gw-writer.h"

G_BEGIN_DECLS

typedef struct
{
  GwEventConnection told; /* what the journal last heard of it */
  char *trouble; /* why it takes nothing now; NULL: it does */
} GwServicesDisk;

/*
 * What the agent offers to the parts that exist once per endpoint. The agent makes and owns all of it and outlives every
 * endpoint; nobody else may replace anything here.
 */
typedef struct
{
  GwLoop *loop;
  GwConfig *config;
  GwDb *db;
  GwWriter *writer;
  GwSpool *spool;
  GwInventory *inventory;
  GwPolicySet *policies;
  GwCa *ca;
  GwIssuer *issuer;
  GwChannelIdentity *identity;
  GwUplinkHub *hub;
  GDBusConnection *connection;
  GwObjects *objects;
  GwBouncer *bouncer;
  GwServicesDisk *disk; /* NULL: everything is told */
} GwServices;

/* Whether the gateway's own clock can be right: later than the day this was built for. */
gboolean gw_services_clock_is_valid (const GwServices *self);

/* What cannot be done with reports now, and why; NULL: all is well. */
const char *gw_services_disk_trouble (const GwServices *self);

/* The disk refuses what has to be kept, or works. A full disk refuses every report of every endpoint: the journal hears of it as of a
 * connection that is lost (gw_event_connection_changed()). @endpoint: key id in hex, or NULL. */
void gw_services_disk_failed (const GwServices *self, const char *endpoint, const char *what, const GError *error);
void gw_services_disk_works (const GwServices *self);

#define GW_OBJECT_ROOT "/org/gangway/Gangway1"
/* GW_OBJECT_ROOT/@kind/ and @name, each octet but letters and digits as "_2d": object paths take no '-', and different names
 * get different paths. The caller's. */
char *gw_services_object_path (const char *kind, const char *name);
/* Then digits of the key id. */
#define GW_ENDPOINT_PATH_PREFIX GW_OBJECT_ROOT "/endpoint/_"

G_END_DECLS
