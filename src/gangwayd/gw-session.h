/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "gw-channel.h"
#include "gw-ident-codec.h"
#include "gw-smp-peer.h"

G_BEGIN_DECLS

/*
 * A session with an endpoint: a channel, the SMP peer inside it, its keep-alive, and the numbers of the groups that this endpoint
 * has. It begins as a handshake, is proved, and ends once. The node carries it; whoever it was proved to uses it.
 */

typedef struct _GwSession GwSession;

/* The node's side. */
typedef struct
{
  void (*send) (const guint8 *datagram, gsize len, gpointer data);
  /* Whether the link has room for a long exchange now; FALSE: gw_session_take_turn() follows. NULL: always. */
  gboolean (*turn) (gpointer data);
  /* The key is proven. */
  void (*proved) (GwSession *self, gpointer data);
  /* It ended by itself; the carrier still calls gw_session_close(). Comes after the user's ended. */
  void (*ended) (GwSession *self, const GError *error, gpointer data);
} GwSessionCarrier;

/* The side of the endpoint that it belongs to once proved. */
typedef struct
{
  /* As GwSmpPeerEvents.request; answer by gw_session_respond(). */
  void (*request) (GwSession *self, const GwSmpMessage *request, gpointer data);
  /* It has ended, by itself or because the node closed it; the user must forget it. */
  void (*ended) (GwSession *self, const GError *error, gpointer data);
  /* An authentic message has come; before what it brings. NULL: of no interest. */
  void (*heard) (GwSession *self, gpointer data);
} GwSessionUser;

/* Groups that are looked up by name once a session. */
typedef enum
{
  GW_SESSION_GROUP_OS,
  GW_SESSION_GROUP_IDENT,
  GW_SESSION_GROUP_DATA,
} GwSessionGroup;

/* The link has room, or the session has ended. */
typedef void (*GwSessionTurn) (GwSession *self, gpointer data);

/* @info: NULL with @error. Borrowed. */
typedef void (*GwSessionSurveyed) (GwSession *self, const GwIdentInfo *info, const GError *error, gpointer data);

GwSession *gw_session_new (GwLoop *loop,
                           GwChannelIdentity *identity,
                           guint mtu,
                           guint frame_msec,
                           const GwSessionCarrier *carrier,
                           gpointer data);
GwSession *gw_session_ref (GwSession *self);
void gw_session_unref (GwSession *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwSession, gw_session_unref)

/* Ends it (the user is told, the carrier not) and drops the carrier's reference. @why: for the user; NULL: replaced or unplugged. */
void gw_session_close (GwSession *self, gboolean notify, const GError *why);

void gw_session_set_user (GwSession *self, const GwSessionUser *user, gpointer data);

void gw_session_input (GwSession *self, const guint8 *datagram, gsize len);
gboolean gw_session_is_up (GwSession *self);
const guint8 *gw_session_get_key_id (GwSession *self);
const guint8 *gw_session_get_binding (GwSession *self);
gsize gw_session_get_message_max (GwSession *self);
/* Monotonic microseconds of the last authentic message. */
gint64 gw_session_get_last_heard (GwSession *self);

/* Monotonic microseconds until which its silence means nothing: it is busy with something slow that we asked for. 0: it is not. */
gint64 gw_session_get_quiet_until (GwSession *self);

/* Before a long exchange (an enrolment) that many endpoints of a bus may want at the same time: calls @turn once, now or later. */
void gw_session_await_turn (GwSession *self, GwSessionTurn turn, gpointer data);
/* By the carrier: there is room. */
void gw_session_take_turn (GwSession *self);
/* Whether an answer of the endpoint is awaited. */
gboolean gw_session_waits (GwSession *self);
/* What a full frame takes on the wire by now: what is sent from here on waits by it. */
void gw_session_set_frame_msec (GwSession *self, guint frame_msec);

/* Looks the groups up, then asks gw_ident info. Before anything else; anew only after a failure. */
void gw_session_survey (GwSession *self, GwSessionSurveyed surveyed, gpointer data);
/* Whether a message is of that group, by this session's numbers. */
gboolean gw_session_is_group (GwSession *self, guint16 group, GwSessionGroup which);

/* As gw_smp_peer_request(), the group by name. @body: what the caller encoded, NULL: an empty map. */
void gw_session_request (GwSession *self,
                         guint8 op,
                         GwSessionGroup group,
                         guint8 command,
                         const GwCborWriter *body,
                         GwSmpPatience patience,
                         GwSmpAnswer answer,
                         gpointer data);
void gw_session_respond (GwSession *self, const guint8 *message, gsize len);

/* Sends a keep-alive now, whatever the silence: its answer moves gw_session_get_last_heard(). */
void gw_session_ping (GwSession *self);

G_END_DECLS
