/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See gw-session.h. Reference counted, because it may end inside a callback of its own channel; the carrier's reference is given
 * back by gw_session_close(), users that need it beyond a callback take their own.
 */

#include "config.h"

#include "gw-session.h"

#include <string.h>

#include "gw-error.h"

/* The silence after which an endpoint is asked is up to one part in so many shorter. */
#define KEEPALIVE_SPREAD 4

typedef struct
{
  GwSessionTurn func;
  gpointer data;
} Turn; /* somebody waits for room on the link */

struct _GwSession
{
  GwLoop *loop;
  GwChannel *channel;
  GwSmpPeer *peer; /* NULL until proved */
  const GwSessionCarrier *carrier;
  gpointer carrier_data;
  const GwSessionUser *user;
  gpointer user_data;
  guint frame_msec;
  guint16 ident_group; /* 0: not looked up */
  guint16 data_group;
  gboolean ended;
  gboolean pinging;
  gint64 last_heard;
  GwTimer keepalive;
  GQueue turns; /* Turn */
  GwSessionSurveyed surveyed;
  gpointer surveyed_data;
  guint8 key_id[GW_KEY_ID_LEN];
  guint8 binding[GW_IDENT_BINDING_LEN];
};

GwSession *
gw_session_ref (GwSession *self)
{
  return g_rc_box_acquire (self);
}

static void
session_clear (GwSession *self)
{
  gw_timer_disarm (&self->keepalive);
  explicit_bzero (self->binding, sizeof self->binding);
}

void
gw_session_unref (GwSession *self)
{
  g_rc_box_release_full (self, (GDestroyNotify) session_clear);
}

/* Everything stops; the user is told. The channel and the peer go with it. */
static void
finish (GwSession *self, gboolean notify, const GError *error)
{
  g_autoptr (GError) replaced = NULL;

  if (self->ended)
    return;
  self->ended = TRUE;
  gw_timer_disarm (&self->keepalive);
  if (error == NULL)
    {
      g_set_error_literal (&replaced, GW_ERROR, GW_ERROR_OFFLINE, "the session was replaced or the endpoint unplugged");
      error = replaced;
    }
  if (self->peer != NULL)
    gw_smp_peer_free (g_steal_pointer (&self->peer));
  gw_channel_close (g_steal_pointer (&self->channel), notify);
  if (self->user != NULL && self->user->ended != NULL)
    self->user->ended (self, error, self->user_data);
  self->user = NULL;
  gw_session_take_turn (self);
}

/* Ended by itself. */
static void
fail (GwSession *self, const GError *error)
{
  g_autoptr (GwSession) hold = gw_session_ref (self);

  if (self->ended)
    return;
  finish (self, FALSE, error);
  if (self->carrier != NULL)
    self->carrier->ended (self, error, self->carrier_data);
}

static void
on_channel_send (const guint8 *datagram, gsize len, gpointer data)
{
  GwSession *self = data;

  if (self->carrier != NULL)
    self->carrier->send (datagram, len, self->carrier_data);
}

static void
on_peer_send (const guint8 *message, gsize len, gpointer data)
{
  GwSession *self = data;

  if (self->channel != NULL)
    gw_channel_send (self->channel, message, len);
}

static void
on_peer_request (GwSmpPeer *peer, const GwSmpMessage *request, gpointer data)
{
  GwSession *self = data;
  guint8 answer[64];
  gsize len;

  if (self->user != NULL && self->user->request != NULL)
    {
      self->user->request (self, request, self->user_data);
      return;
    }
  /* Nobody has taken the session yet: the endpoint asks again. */
  if (gw_smp_error (request, GW_SMP_RC_BUSY, answer, sizeof answer, &len) == GW_OK)
    gw_smp_peer_respond (peer, answer, len);
}

static void
on_peer_stalled (GwSmpPeer *peer, const GError *error, gpointer data)
{
  fail (data, error);
}

static const GwSmpPeerEvents peer_events = {
  .send = on_peer_send,
  .request = on_peer_request,
  .stalled = on_peer_stalled,
};

static void
on_pong (const GwSmpResult *result, GwBytes body, const GError *error, gpointer data)
{
  g_autoptr (GwSession) self = data;

  self->pinging = FALSE;
}

void
gw_session_ping (GwSession *self)
{
  guint8 buffer[32];
  GwCborWriter body;
  GwSmpEcho echo = { gw_text ("?") };

  if (self->ended || self->peer == NULL || self->pinging)
    return;
  self->pinging = TRUE;
  gw_cbor_writer_init (&body, buffer, sizeof buffer);
  gw_smp_echo_req_encode (&echo, &body);
  gw_smp_peer_request (self->peer, GW_SMP_OP_WRITE, GW_SMP_GROUP_OS, GW_SMP_OS_ECHO, buffer, body.len, GW_SMP_PATIENCE_PING,
                       on_pong, gw_session_ref (self));
}

/* The endpoints of a bus that fell silent together (a report at the same second) are not asked all together: each has its own patience. */
static gint64
keepalive_usec (GwSession *self)
{
  guint spread = GW_KEEPALIVE_IDLE_MS / KEEPALIVE_SPREAD;
  guint own = (guint) (self->key_id[0] << 8 | self->key_id[1]) % spread;

  return (gint64) (GW_KEEPALIVE_IDLE_MS - own) * 1000;
}

static void
on_keepalive (gpointer data)
{
  GwSession *self = data;
  gint64 idle = gw_loop_now (self->loop) - self->last_heard;
  gint64 limit = keepalive_usec (self);

  if (idle >= limit)
    {
      gw_session_ping (self);
      idle = 0;
    }
  gw_timer_arm (&self->keepalive, limit - idle);
}

static void
on_channel_up (GwChannel *channel, gpointer data)
{
  GwSession *self = data;

  memcpy (self->key_id, gw_channel_get_key_id (channel), sizeof self->key_id);
  memcpy (self->binding, gw_channel_get_binding (channel), sizeof self->binding);
  self->last_heard = gw_loop_now (self->loop);
  self->peer = gw_smp_peer_new (self->loop, self->frame_msec, gw_channel_get_message_max (channel), &peer_events, self);
  gw_timer_arm (&self->keepalive, keepalive_usec (self));
  self->carrier->proved (self, self->carrier_data);
}

static void
on_channel_message (GwChannel *channel, const guint8 *message, gsize len, gpointer data)
{
  g_autoptr (GwSession) self = gw_session_ref (data);

  self->last_heard = gw_loop_now (self->loop);
  if (self->user != NULL && self->user->heard != NULL)
    self->user->heard (self, self->user_data);
  if (self->peer != NULL)
    gw_smp_peer_input (self->peer, message, len);
}

static void
on_channel_closed (GwChannel *channel, const GError *error, gpointer data)
{
  fail (data, error);
}

static const GwChannelEvents channel_events = {
  .send = on_channel_send,
  .up = on_channel_up,
  .message = on_channel_message,
  .closed = on_channel_closed,
};

GwSession *
gw_session_new (GwLoop *loop,
                GwChannelIdentity *identity,
                guint mtu,
                guint frame_msec,
                const GwSessionCarrier *carrier,
                gpointer data)
{
  GwSession *self = g_rc_box_new0 (GwSession);

  self->loop = loop;
  self->carrier = carrier;
  self->carrier_data = data;
  self->frame_msec = frame_msec;
  g_queue_init (&self->turns);
  gw_timer_init (&self->keepalive, loop, on_keepalive, self);
  self->channel = gw_channel_new (loop, identity, mtu, frame_msec, &channel_events, self);
  return self;
}

void
gw_session_close (GwSession *self, gboolean notify, const GError *why)
{
  g_autoptr (GwSession) owned = self;

  /* A close_notify still goes through the carrier; nothing after it does. */
  finish (self, notify, why);
  self->carrier = NULL;
}

void
gw_session_set_user (GwSession *self, const GwSessionUser *user, gpointer data)
{
  self->user = user;
  self->user_data = data;
}

void
gw_session_input (GwSession *self, const guint8 *datagram, gsize len)
{
  g_autoptr (GwSession) hold = gw_session_ref (self);

  if (self->channel != NULL)
    gw_channel_input (self->channel, datagram, len);
}

gboolean
gw_session_is_up (GwSession *self)
{
  return !self->ended && self->peer != NULL;
}

const guint8 *
gw_session_get_key_id (GwSession *self)
{
  return self->key_id;
}

const guint8 *
gw_session_get_binding (GwSession *self)
{
  return self->binding;
}

gsize
gw_session_get_message_max (GwSession *self)
{
  return self->peer != NULL ? gw_smp_peer_get_message_max (self->peer) : 0;
}

gint64
gw_session_get_last_heard (GwSession *self)
{
  return self->last_heard;
}

gint64
gw_session_get_quiet_until (GwSession *self)
{
  return self->peer != NULL ? gw_smp_peer_get_quiet_until (self->peer) : 0;
}

void
gw_session_await_turn (GwSession *self, GwSessionTurn func, gpointer data)
{
  Turn *turn = g_new (Turn, 1);

  turn->func = func;
  turn->data = data;
  g_queue_push_tail (&self->turns, turn);
  if (self->carrier == NULL || self->carrier->turn == NULL || self->carrier->turn (self->carrier_data))
    gw_session_take_turn (self);
}

void
gw_session_take_turn (GwSession *self)
{
  g_autoptr (GwSession) hold = gw_session_ref (self);
  Turn *turn;

  while ((turn = g_queue_pop_head (&self->turns)) != NULL)
    {
      turn->func (self, turn->data);
      g_free (turn);
    }
}

gboolean
gw_session_waits (GwSession *self)
{
  return self->peer != NULL && gw_smp_peer_waits (self->peer);
}

void
gw_session_set_frame_msec (GwSession *self, guint frame_msec)
{
  self->frame_msec = frame_msec;
  if (self->peer != NULL)
    gw_smp_peer_set_frame_msec (self->peer, frame_msec);
  else if (self->channel != NULL)
    gw_channel_set_frame_msec (self->channel, frame_msec);
}

/* ---- survey: group numbers, then info ---- */

static void
survey_done (GwSession *self, const GwIdentInfo *info, const GError *error)
{
  GwSessionSurveyed surveyed = g_steal_pointer (&self->surveyed);

  if (surveyed != NULL)
    surveyed (self, info, error, self->surveyed_data);
}

static void
on_info (const GwSmpResult *result, GwBytes body, const GError *error, gpointer data)
{
  g_autoptr (GwSession) self = data;
  g_autoptr (GError) bad = NULL;
  GwIdentInfo info;
  GwStatus status;

  if (error == NULL && (status = gw_ident_info_decode (body, &info)) != GW_OK)
    {
      g_set_error (&bad, GW_ERROR, GW_ERROR_INVALID, "the endpoint's description of itself is damaged: %s",
                   gw_status_text (status));
      error = bad;
    }
  survey_done (self, error == NULL ? &info : NULL, error);
}

static void
on_groups (const GwSmpResult *result, GwBytes body, const GError *error, gpointer data)
{
  g_autoptr (GwSession) self = data;
  g_autoptr (GError) bad = NULL;
  GwSmpEnumRsp groups;
  GwStatus status;

  if (error != NULL)
    {
      survey_done (self, NULL, error);
      return;
    }
  status = gw_smp_enum_rsp_decode (body, &groups);
  if (status == GW_OK)
    status = gw_smp_enum_find (&groups, GW_SMP_GROUP_NAME_IDENT, &self->ident_group);
  if (status == GW_OK)
    status = gw_smp_enum_find (&groups, GW_SMP_GROUP_NAME_DATA, &self->data_group);
  if (status != GW_OK)
    {
      g_set_error (&bad, GW_ERROR, GW_ERROR_UNSUPPORTED,
                   "the endpoint does not name the groups " GW_SMP_GROUP_NAME_IDENT " and " GW_SMP_GROUP_NAME_DATA ": %s",
                   gw_status_text (status));
      survey_done (self, NULL, bad);
      return;
    }
  gw_session_request (self, GW_SMP_OP_READ, GW_SESSION_GROUP_IDENT, GW_IDENT_INFO, NULL, GW_SMP_PATIENCE_NORMAL, on_info,
                      gw_session_ref (self));
}

void
gw_session_survey (GwSession *self, GwSessionSurveyed surveyed, gpointer data)
{
  guint8 buffer[16];
  GwCborWriter body;
  GwSmpEnumReq all = { 0 };

  g_return_if_fail (gw_session_is_up (self));
  self->surveyed = surveyed;
  self->surveyed_data = data;
  gw_cbor_writer_init (&body, buffer, sizeof buffer);
  gw_smp_enum_req_encode (&all, &body);
  gw_smp_peer_request (self->peer, GW_SMP_OP_READ, GW_SMP_GROUP_ENUM, GW_SMP_ENUM_DETAILS, buffer, body.len,
                       GW_SMP_PATIENCE_NORMAL, on_groups, gw_session_ref (self));
}

static guint16
group_number (GwSession *self, GwSessionGroup which)
{
  switch (which)
    {
    case GW_SESSION_GROUP_IDENT:
      return self->ident_group;
    case GW_SESSION_GROUP_DATA:
      return self->data_group;
    case GW_SESSION_GROUP_OS:
    default:
      return GW_SMP_GROUP_OS;
    }
}

gboolean
gw_session_is_group (GwSession *self, guint16 group, GwSessionGroup which)
{
  return group_number (self, which) == group;
}

void
gw_session_request (GwSession *self,
                    guint8 op,
                    GwSessionGroup group,
                    guint8 command,
                    const GwCborWriter *body,
                    GwSmpPatience patience,
                    GwSmpAnswer answer,
                    gpointer data)
{
  static const guint8 empty_map[] = { 0xa0 };
  static const GwSmpResult none;
  g_autoptr (GError) error = NULL;

  if (self->peer == NULL || (body != NULL && body->status != GW_OK))
    {
      /* Both are over before they begin: no peer to queue at, or a body that does not fit. */
      if (self->peer == NULL)
        g_set_error_literal (&error, GW_ERROR, GW_ERROR_OFFLINE, "the session with the endpoint has ended");
      else
        g_set_error (&error, GW_ERROR, GW_ERROR_LIMIT, "the request does not fit: %s", gw_status_text (body->status));
      answer (&none, (GwBytes) { NULL, 0 }, error, data);
      return;
    }
  gw_smp_peer_request (self->peer, op, group_number (self, group), command, body != NULL ? body->buf : empty_map,
                       body != NULL ? body->len : sizeof empty_map, patience, answer, data);
}

void
gw_session_respond (GwSession *self, const guint8 *message, gsize len)
{
  if (self->peer != NULL)
    gw_smp_peer_respond (self->peer, message, len);
}
