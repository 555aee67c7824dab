/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "gw-berths.h"
#include "gw-link-codec.h"
#include "gw-session.h"

G_BEGIN_DECLS

/*
 * A node is a place on a field bus where an endpoint answers. It carries the session with whatever is there: at most one proved
 * session and one candidate. A ClientHello opens a candidate; the proved session lives on until the candidate has proven a
 * key itself (doc/protocol.md, "Who starts").
 */

/* Handshakes a node may start at once, and the time after which it may start one more. */
#define GW_NODE_HANDSHAKE_BURST 6
#define GW_NODE_HANDSHAKE_REFILL_USEC (2 * G_USEC_PER_SEC)

typedef struct _GwNode GwNode;

typedef struct
{
  /* A datagram for the node's endpoint. */
  void (*send) (GwNode *self, const guint8 *datagram, gsize len, gpointer data);
  /* A ClientHello opened a handshake. */
  void (*proving) (GwNode *self, gpointer data);
  /* The endpoint has proven its key in @session. The node keeps carrying the session; the receiver makes itself its user. */
  void (*proved) (GwNode *self, GwSession *session, gpointer data);
  /* Whether the bus takes one more handshake at all; NULL: always. */
  gboolean (*admit) (GwNode *self, gpointer data);
  /* Whether it is the node's turn to begin one; FALSE: gw_node_begin() follows when it is. NULL: always. */
  gboolean (*turn) (GwNode *self, gpointer data);
  /* A handshake failed or was refused, or the proved session ended. */
  void (*failed) (GwNode *self, const GError *error, gpointer data);
} GwNodeEvents;

/* @hello: the CBOR of the endpoint's hello as the plugin saw it, a hint; may be empty. */
GwNode *gw_node_new (GwLoop *loop,
                     guint32 id,
                     guint mtu,
                     guint frame_msec,
                     GwBytes hello,
                     const GwNodeEvents *events,
                     gpointer data);
/* Closes its sessions. Allowed inside its callbacks. */
void gw_node_free (GwNode *self);

/* Asks the endpoint to open a session when it is its turn, at most once in GW_DTLS_START_HONOUR_MS. */
void gw_node_start (GwNode *self);
/* Its turn has come: what waits in its session begins, the ClientHello that has waited is answered, or the endpoint is asked for one. */
void gw_node_begin (GwNode *self);
/* What a full frame takes on the wire by now; of sessions that are there, too. */
void gw_node_set_frame_msec (GwNode *self, guint frame_msec);
/* From now on new sessions show this identity. */
void gw_node_set_identity (GwNode *self, GwChannelIdentity *identity);
void gw_node_input (GwNode *self, const guint8 *datagram, gsize len);
/* Ends the proved session, e.g. because its key turned up elsewhere. */
void gw_node_drop_session (GwNode *self, const GError *why);

guint32 gw_node_get_id (GwNode *self);
/* On the wire; 0: none, or not told. */
guint16 gw_node_get_address (GwNode *self);
void gw_node_set_address (GwNode *self, guint16 address);
/* The proved session, or NULL. */
GwSession *gw_node_get_session (GwNode *self);
/* What the endpoint said of itself in the clear; NULL if nothing that could be read. Never a proof. */
const GwLinkHello *gw_node_get_hello (GwNode *self);
guint64 gw_node_get_refused (GwNode *self);
guint gw_node_get_mtu (GwNode *self);
/* Whether something is on its way to or from the endpoint that belongs to its coming up: a session's beginning, or an answer. */
gboolean gw_node_waits (GwNode *self);
/* Its place in the order of those who begin: the bus's. */
GwBerth *gw_node_get_berth (GwNode *self);
/* Owner's data, as given at creation. */
gpointer gw_node_get_data (GwNode *self);

G_END_DECLS
