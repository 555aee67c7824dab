/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "gw-bus.h"
#include "gw-endpoint.h"

G_BEGIN_DECLS

/*
 * The one table from key id to endpoint, and from a proof on some bus to the endpoint that made it. A key id lives in one
 * place: when a second place proves the same key, the first is asked whether it is still there. No answer: the cable was
 * moved. An answer: there are two chips with one key, and neither gets further until somebody decides.
 */

/* Endpoints of no manifest, and of nobody's decision, that are remembered while the agent runs; beyond that the one unseen for longest is forgotten. */
#define GW_ROSTER_STRANGERS_MAX 256

typedef struct _GwRoster GwRoster;

typedef struct
{
  void (*added) (GwEndpoint *endpoint, gpointer data);
  /* It is freed right after this. */
  void (*removed) (GwEndpoint *endpoint, gpointer data);
} GwRosterListener;

/* Loads the endpoints of the database. */
GwRoster *gw_roster_new (const GwServices *services, const GwRosterListener *listener, gpointer data, GError **error);
void gw_roster_free (GwRoster *self);

/* What buses tell. */
void gw_roster_node_up (GwRoster *self, GwBus *bus, GwNode *node);
/* Its address on the wire is known now, or another. */
void gw_roster_node_moved (GwRoster *self, GwBus *bus, GwNode *node);
void gw_roster_node_down (GwRoster *self, GwBus *bus, GwNode *node);
void gw_roster_proving (GwRoster *self, GwBus *bus, GwNode *node);
void gw_roster_proved (GwRoster *self, GwBus *bus, GwNode *node, GwSession *session);

GwEndpoint *gw_roster_lookup (GwRoster *self, const guint8 kid[GW_KEY_ID_LEN]);
/*
 * By, in this order, key id, a name that a person gave, a serial number, the beginning of a key id (at least 4 digits); or by object
 * path. NULL with GW_ERROR_NOT_FOUND, or GW_ERROR_INVALID if several fit equally well.
 */
GwEndpoint *gw_roster_find (GwRoster *self, const char *text, GError **error);
/* Whether another endpoint than @but has this name. */
gboolean gw_roster_name_is_taken (GwRoster *self, const char *name, GwEndpoint *but);
/* Borrowed elements; free the list. */
GList *gw_roster_list (GwRoster *self);
guint gw_roster_get_size (GwRoster *self);

/* The inventory or the policies have changed. */
void gw_roster_reconsider (GwRoster *self);
/* What they wait to try again is tried now. */
void gw_roster_hurry (GwRoster *self);
/* Whether a person may let it in: GW_ERROR_REVOKED, or BAD_STATE (its life here is over, or two chips with its key still answer). */
gboolean gw_roster_can_approve (GwRoster *self, GwEndpoint *endpoint, GError **error);
/* A person lets it in: settles a clone alarm if one living chip is left. */
gboolean gw_roster_approve (GwRoster *self, GwEndpoint *endpoint, GError **error);

G_END_DECLS
