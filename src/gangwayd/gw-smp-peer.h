/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "gw-cbor.h"
#include "gw-loop.h"
#include "gw-smp-codec.h"

G_BEGIN_DECLS

/*
 * One end of SMP requests and responses inside a session: exactly one request is outstanding in each direction, requests are
 * repeated until answered, and what the other end asks is executed at most once (doc/protocol.md, "Requests").
 */

/* Requests that wait for their turn; one more is refused. */
#define GW_SMP_PEER_QUEUE_MAX 64

typedef struct _GwSmpPeer GwSmpPeer;

/*
 * The answer to a request. @error NULL: @body is the answer's CBOR map, without an error in it. Else the request failed: GW_ERROR_TIMEOUT
 * (no answer to any try), GW_ERROR_OFFLINE (the peer was closed), or what the endpoint said, as gw_smp_peer_error() makes it.
 * @result tells the code then, or is zero.
 */
typedef void (*GwSmpAnswer) (const GwSmpResult *result, GwBytes body, const GError *error, gpointer data);

typedef struct
{
  /* Sends @message over the session. */
  void (*send) (const guint8 *message, gsize len, gpointer data);
  /* The endpoint asks. The owner answers now or later by gw_smp_peer_respond() with the same @request's fields; until then the endpoint's
   * repetitions are ignored. @request's body is borrowed. */
  void (*request) (GwSmpPeer *self, const GwSmpMessage *request, gpointer data);
  /* A request was given up: sequence numbers are out of step, the session has to end. */
  void (*stalled) (GwSmpPeer *self, const GError *error, gpointer data);
} GwSmpPeerEvents;

/* Time-outs by kind of request. */
typedef enum
{
  GW_SMP_PATIENCE_NORMAL,
  GW_SMP_PATIENCE_SIGN,  /* 5 s; goes before everything that waits */
  GW_SMP_PATIENCE_PING,  /* three tries of GW_CLONE_PING_MS each: is anybody there? */
  GW_SMP_PATIENCE_IMAGE, /* 40 s */
} GwSmpPatience;

/* @frame_msec: what a full frame takes on the wire. @message_max: octets of the longest message. */
GwSmpPeer *gw_smp_peer_new (GwLoop *loop, guint frame_msec, gsize message_max, const GwSmpPeerEvents *events, gpointer data);
/* Answers whatever is outstanding with GW_ERROR_OFFLINE, then frees. Allowed inside any callback. */
void gw_smp_peer_free (GwSmpPeer *self);

gsize gw_smp_peer_get_message_max (GwSmpPeer *self);
/* Whether a request is out or waits to be. */
gboolean gw_smp_peer_waits (GwSmpPeer *self);
/* Of requests that begin from now on. */
void gw_smp_peer_set_frame_msec (GwSmpPeer *self, guint frame_msec);

/*
 * Queues a request whose CBOR map is @body (copied). @answer is called exactly once, never inside this call, except by
 * gw_smp_peer_free().
 */
void gw_smp_peer_request (GwSmpPeer *self,
                          guint8 op,
                          guint16 group,
                          guint8 command,
                          const guint8 *body,
                          gsize len,
                          GwSmpPatience patience,
                          GwSmpAnswer answer,
                          gpointer data);

/* A message from the session. FALSE: it is none that this protocol knows; it was dropped and counted. */
gboolean gw_smp_peer_input (GwSmpPeer *self, const guint8 *message, gsize len);

/* Answers the endpoint's request now outstanding: a whole message made by gw_smp_begin_response or gw_smp_error. */
void gw_smp_peer_respond (GwSmpPeer *self, const guint8 *message, gsize len);

/* Text and code for an error that an endpoint answered with. */
GError *gw_smp_peer_error (const GwSmpResult *result);

/* Loop time until which silence means nothing, because the endpoint makes a signature or erases flash; 0: it should answer. */
gint64 gw_smp_peer_get_quiet_until (GwSmpPeer *self);

guint64 gw_smp_peer_get_dropped (GwSmpPeer *self);

G_END_DECLS
