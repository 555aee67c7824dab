/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See gw-node.h. Everything that arrives here is from a stranger until a session is proved: the cost of it is bounded by a bucket of
 * handshakes a node, one candidate, and silence for all that is neither DTLS nor an answer of ours.
 */

#include "config.h"

#include "gw-node.h"

#include <string.h>

#include <gnutls/crypto.h>

#include "gw-error.h"

#define CLIENT_RANDOM_LEN 32
#define RECORD_TYPE_ALERT 21
#define RECORD_TYPE_APPLICATION_DATA 23
/* A little more than the endpoint's own limit, so that each of ours counts. */
#define START_AGAIN_USEC ((gint64) GW_DTLS_START_HONOUR_MS * 1000 + 200000)

struct _GwNode
{
  GwLoop *loop;
  guint32 id;
  guint16 address;
  guint mtu;
  guint frame_msec;
  const GwNodeEvents *events;
  gpointer data;
  gboolean freed;
  GwChannelIdentity *identity;

  GBytes *hello_octets;
  GwLinkHello hello;
  gboolean has_hello;

  GwSession *active;
  GwSession *candidate;
  guint8 active_random[CLIENT_RANDOM_LEN];
  guint8 candidate_random[CLIENT_RANDOM_LEN];
  guint tokens;
  gint64 refilled;
  guint64 refused;

  GwBerth berth;
  GBytes *held_hello; /* a ClientHello that waits for the node's turn */
  gboolean start_waits;

  gint64 last_start; /* 0: never */
  guint8 start_seq;
  GwTimer start_timer; /* armed after a start until there is a session */
};

/* An endpoint honours one start in a while and may have honoured one just before our plugin or we ourselves were restarted:
 * with a session that we know nothing of it would then stay silent for good. */
static void
on_start_timer (gpointer data)
{
  GwNode *self = data;

  if (self->active == NULL && self->candidate == NULL)
    gw_node_start (self);
  else if (self->active == NULL)
    gw_timer_arm (&self->start_timer, START_AGAIN_USEC);
}

static gboolean
is_its_turn (GwNode *self)
{
  return self->events->turn == NULL || self->events->turn (self, self->data);
}

static void
node_clear (GwNode *self)
{
  g_clear_pointer (&self->hello_octets, g_bytes_unref);
  g_clear_pointer (&self->held_hello, g_bytes_unref);
  g_clear_pointer (&self->identity, gw_channel_identity_unref);
}

static void
node_unref (GwNode *self)
{
  g_rc_box_release_full (self, (GDestroyNotify) node_clear);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwNode, node_unref)

static void
on_session_send (const guint8 *datagram, gsize len, gpointer data)
{
  GwNode *self = data;

  if (!self->freed)
    self->events->send (self, datagram, len, self->data);
}

static gboolean
on_session_turn (gpointer data)
{
  GwNode *self = data;

  return self->freed || is_its_turn (self);
}

static void
on_session_proved (GwSession *session, gpointer data)
{
  g_autoptr (GwNode) self = g_rc_box_acquire ((GwNode *) data);
  GwSession *old = g_steal_pointer (&self->active);

  self->active = g_steal_pointer (&self->candidate);
  memcpy (self->active_random, self->candidate_random, CLIENT_RANDOM_LEN);
  /* Whoever was there before is gone, be it the same endpoint or another: a place has one endpoint. */
  if (old != NULL)
    gw_session_close (old, FALSE, NULL);
  if (!self->freed && self->active == session)
    self->events->proved (self, session, self->data);
}

static void
on_session_ended (GwSession *session, const GError *error, gpointer data)
{
  g_autoptr (GwNode) self = g_rc_box_acquire ((GwNode *) data);
  gboolean was_active = self->active == session;

  if (was_active)
    self->active = NULL;
  else if (self->candidate == session)
    self->candidate = NULL;
  gw_session_close (session, FALSE, error);
  if (!self->freed)
    self->events->failed (self, error, self->data);
  /* The endpoint may not know: ask it to come again. */
  if (!self->freed && was_active)
    gw_node_start (self);
}

static const GwSessionCarrier carrier = {
  .send = on_session_send,
  .turn = on_session_turn,
  .proved = on_session_proved,
  .ended = on_session_ended,
};

GwNode *
gw_node_new (GwLoop *loop,
             guint32 id,
             guint mtu,
             guint frame_msec,
             GwBytes hello,
             const GwNodeEvents *events,
             gpointer data)
{
  GwNode *self = g_rc_box_new0 (GwNode);
  gsize len;

  self->loop = loop;
  self->id = id;
  self->mtu = mtu;
  self->frame_msec = frame_msec;
  self->events = events;
  self->data = data;
  self->tokens = GW_NODE_HANDSHAKE_BURST;
  self->refilled = gw_loop_now (loop);
  self->berth.owner = self;
  gw_timer_init (&self->start_timer, loop, on_start_timer, self);
  if (hello.len > 0)
    {
      self->hello_octets = g_bytes_new (hello.ptr, hello.len);
      hello.ptr = g_bytes_get_data (self->hello_octets, &len);
      self->has_hello = gw_link_hello_rsp_decode (hello, &self->hello) == GW_OK;
    }
  return self;
}

void
gw_node_free (GwNode *self)
{
  g_autoptr (GwNode) owned = self;

  self->freed = TRUE;
  gw_timer_disarm (&self->start_timer);
  if (self->candidate != NULL)
    gw_session_close (g_steal_pointer (&self->candidate), FALSE, NULL);
  if (self->active != NULL)
    gw_session_close (g_steal_pointer (&self->active), FALSE, NULL);
}

void
gw_node_set_identity (GwNode *self, GwChannelIdentity *identity)
{
  g_clear_pointer (&self->identity, gw_channel_identity_unref);
  self->identity = gw_channel_identity_ref (identity);
}

void
gw_node_start (GwNode *self)
{
  gint64 now = gw_loop_now (self->loop);
  guint8 message[64];
  GwLinkStart start;
  GwCborWriter w;
  gsize len;

  if (!gw_timer_is_armed (&self->start_timer))
    gw_timer_arm (&self->start_timer, START_AGAIN_USEC);
  if (self->last_start != 0 && now - self->last_start < (gint64) GW_DTLS_START_HONOUR_MS * 1000)
    return;
  self->start_waits = !is_its_turn (self);
  if (self->start_waits)
    return;
  self->last_start = now;
  gnutls_rnd (GNUTLS_RND_NONCE, start.nonce, sizeof start.nonce);
  gw_smp_begin (&w, message, sizeof message, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, self->start_seq++, GW_LINK_START);
  gw_link_start_encode (&start, &w);
  if (gw_smp_end (&w, &len) == GW_OK)
    self->events->send (self, message, len, self->data);
}

static gboolean
take_token (GwNode *self)
{
  gint64 now = gw_loop_now (self->loop);
  gint64 more = (now - self->refilled) / GW_NODE_HANDSHAKE_REFILL_USEC;

  if (more > 0)
    {
      self->tokens = (guint) MIN (GW_NODE_HANDSHAKE_BURST, self->tokens + more);
      self->refilled += more * GW_NODE_HANDSHAKE_REFILL_USEC;
    }
  if (self->tokens == 0)
    return FALSE;
  self->tokens--;
  return TRUE;
}

/* Quietly: whoever floods gets no answer. People see it on the bus's node. */
static void
refuse_handshake (GwNode *self)
{
  static const char *const text = "it opens handshakes faster than they are taken: look for a device that restarts all the time";
  g_autoptr (GError) error = g_error_new_literal (GW_ERROR, GW_ERROR_LIMIT, text);

  self->refused++;
  self->events->failed (self, error, self->data);
}

/* A hello that must wait costs the wire nothing; of several the last one is still wanted when its turn comes. */
static void
open_candidate (GwNode *self, const guint8 *client_random, const guint8 *datagram, gsize len)
{
  if (!is_its_turn (self))
    {
      g_clear_pointer (&self->held_hello, g_bytes_unref);
      self->held_hello = g_bytes_new (datagram, len);
      return;
    }
  g_clear_pointer (&self->held_hello, g_bytes_unref);
  if (self->identity == NULL || !take_token (self)
      || (self->events->admit != NULL && !self->events->admit (self, self->data)))
    {
      refuse_handshake (self);
      return;
    }
  if (self->candidate != NULL)
    gw_session_close (g_steal_pointer (&self->candidate), FALSE, NULL);
  memcpy (self->candidate_random, client_random, CLIENT_RANDOM_LEN);
  self->candidate = gw_session_new (self->loop, self->identity, self->mtu, self->frame_msec, &carrier, self);
  self->events->proving (self, self->data);
  if (self->candidate != NULL)
    gw_session_input (self->candidate, datagram, len);
}

static void
take_dtls (GwNode *self, const guint8 *datagram, gsize len)
{
  const guint8 *client_random = gw_channel_peek_client_hello (datagram, len);

  if (client_random != NULL)
    {
      gboolean again = self->candidate != NULL && memcmp (client_random, self->candidate_random, CLIENT_RANDOM_LEN) == 0;

      if (again)
        gw_session_input (self->candidate, datagram, len);
      /* A copy of the hello that opened the present session, late on the wire, is nothing new. */
      else if (self->active == NULL || memcmp (client_random, self->active_random, CLIENT_RANDOM_LEN) != 0)
        open_candidate (self, client_random, datagram, len);
      return;
    }
  /* Whose alert it is only their keys can tell; the other one drops it unread. */
  if (self->candidate != NULL && self->active != NULL && datagram[0] == RECORD_TYPE_ALERT)
    gw_session_input (self->active, datagram, len);
  if (self->candidate != NULL && !(self->active != NULL && datagram[0] == RECORD_TYPE_APPLICATION_DATA))
    gw_session_input (self->candidate, datagram, len);
  else if (self->active != NULL)
    gw_session_input (self->active, datagram, len);
  else
    gw_node_start (self); /* a session of our former life */
}

void
gw_node_begin (GwNode *self)
{
  g_autoptr (GwNode) hold = g_rc_box_acquire (self);
  g_autoptr (GBytes) hello = g_steal_pointer (&self->held_hello);
  gboolean start = self->start_waits;
  gsize len = 0;

  self->start_waits = FALSE;
  if (self->freed)
    return;
  if (self->active != NULL)
    gw_session_take_turn (self->active);
  if (self->freed)
    return;
  if (hello != NULL)
    {
      const guint8 *datagram = g_bytes_get_data (hello, &len);

      take_dtls (self, datagram, len);
    }
  else if (start && self->active == NULL && self->candidate == NULL)
    gw_node_start (self);
}

void
gw_node_set_frame_msec (GwNode *self, guint frame_msec)
{
  self->frame_msec = frame_msec;
  if (self->candidate != NULL)
    gw_session_set_frame_msec (self->candidate, frame_msec);
  if (self->active != NULL)
    gw_session_set_frame_msec (self->active, frame_msec);
}

void
gw_node_input (GwNode *self, const guint8 *datagram, gsize len)
{
  g_autoptr (GwNode) hold = g_rc_box_acquire (self);

  if (self->freed)
    return;
  /* In the clear only gw_link speaks, and to us only in answer to `start`, whose answer says nothing. */
  if (gw_datagram_kind (datagram, len) == GW_DATAGRAM_DTLS)
    take_dtls (self, datagram, len);
}

void
gw_node_drop_session (GwNode *self, const GError *why)
{
  if (self->active != NULL)
    gw_session_close (g_steal_pointer (&self->active), TRUE, why);
}

guint32
gw_node_get_id (GwNode *self)
{
  return self->id;
}

guint16
gw_node_get_address (GwNode *self)
{
  return self->address;
}

void
gw_node_set_address (GwNode *self, guint16 address)
{
  self->address = address;
}

GwSession *
gw_node_get_session (GwNode *self)
{
  return self->active;
}

const GwLinkHello *
gw_node_get_hello (GwNode *self)
{
  return self->has_hello ? &self->hello : NULL;
}

guint64
gw_node_get_refused (GwNode *self)
{
  return self->refused;
}

guint
gw_node_get_mtu (GwNode *self)
{
  return self->mtu;
}

gboolean
gw_node_waits (GwNode *self)
{
  if (self->candidate != NULL)
    return TRUE;
  if (self->active != NULL)
    return gw_session_waits (self->active);
  return self->last_start != 0 && gw_loop_now (self->loop) - self->last_start < 2 * (gint64) self->frame_msec * 1000;
}

GwBerth *
gw_node_get_berth (GwNode *self)
{
  return &self->berth;
}

gpointer
gw_node_get_data (GwNode *self)
{
  return self->data;
}
