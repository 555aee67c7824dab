/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The request and response rules of the endpoint protocol, both directions, over any carrier of whole messages. State lives as long
 * as the session; sequence numbers start at 0 in each direction.
 *
 * Ownership: the session owns the peer. Callbacks may free it: dispatch holds a reference and looks whether it was closed.
 */

#include "config.h"

#include "gw-smp-peer.h"

#include <string.h>

#include "gw-error.h"

typedef struct
{
  guint8 op;
  guint16 group;
  guint8 command;
  GwSmpPatience patience;
  GBytes *body;
  GwSmpAnswer answer;
  gpointer data;
} Request;

struct _GwSmpPeer
{
  GwLoop *loop;
  const GwSmpPeerEvents *events;
  gpointer data;
  gboolean closed;
  guint frame_msec;
  gsize message_max;
  guint64 dropped;

  /* Ours: what waits, and the one that is out. */
  GQueue queue;
  GQueue refused; /* answered with an error in the next turn */
  Request *out;
  GByteArray *out_message;
  guint8 out_seq;
  guint8 next_seq;
  guint tries;
  gint64 timeout;
  GwTimer timer;
  GwStep kick;

  /* Theirs: the last request and its answer. */
  gboolean in_any;
  gboolean in_running;
  guint8 in_seq;
  GByteArray *in_answer;
};

static void
request_free (Request *request)
{
  g_bytes_unref (request->body);
  g_free (request);
}

static void
peer_clear (GwSmpPeer *self)
{
  g_byte_array_unref (self->out_message);
  g_byte_array_unref (self->in_answer);
}

static void
peer_unref (GwSmpPeer *self)
{
  g_rc_box_release_full (self, (GDestroyNotify) peer_clear);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwSmpPeer, peer_unref)

static gint64
first_timeout (GwSmpPeer *self, GwSmpPatience patience)
{
  gint64 frames = (gint64) GW_REQUEST_TIMEOUT_FRAMES * self->frame_msec;

  switch (patience)
    {
    case GW_SMP_PATIENCE_SIGN:
      return (GW_REQUEST_SIGN_TIMEOUT_MS + frames) * 1000;
    case GW_SMP_PATIENCE_IMAGE:
      return (GW_REQUEST_IMAGE_TIMEOUT_MS + frames) * 1000;
    case GW_SMP_PATIENCE_PING:
      return (GW_CLONE_PING_MS + frames) * 1000;
    case GW_SMP_PATIENCE_NORMAL:
    default:
      return (GW_REQUEST_TIMEOUT_MS + frames) * 1000;
    }
}

static guint
max_tries (GwSmpPatience patience)
{
  return patience == GW_SMP_PATIENCE_PING ? GW_KEEPALIVE_MISSES_MAX : GW_REQUEST_TRIES_MAX;
}

static void
send_out (GwSmpPeer *self)
{
  self->tries++;
  gw_timer_arm (&self->timer, self->timeout);
  if (self->out->patience != GW_SMP_PATIENCE_PING)
    self->timeout *= 2;
  self->events->send (self->out_message->data, self->out_message->len, self->data);
}

static void
answer_refused (GwSmpPeer *self)
{
  static const GwSmpResult none;
  g_autoptr (GError) error = g_error_new_literal (
      GW_ERROR, GW_ERROR_BUSY, "too many requests wait for this endpoint: try again when it has answered");
  Request *request;

  while ((request = g_queue_pop_head (&self->refused)) != NULL)
    {
      request->answer (&none, (GwBytes) { NULL, 0 }, error, request->data);
      request_free (request);
    }
}

static void
start_next (gpointer data)
{
  g_autoptr (GwSmpPeer) self = g_rc_box_acquire ((GwSmpPeer *) data);
  gsize len = 0;
  gconstpointer body;
  guint8 *head;

  if (!self->closed && !g_queue_is_empty (&self->refused))
    answer_refused (self);
  if (self->closed || self->out != NULL || g_queue_is_empty (&self->queue))
    return;
  self->out = g_queue_pop_head (&self->queue);
  self->out_seq = self->next_seq++;
  body = g_bytes_get_data (self->out->body, &len);
  g_byte_array_set_size (self->out_message, GW_SMP_HEADER_LEN);
  head = self->out_message->data;
  head[0] = (guint8) (GW_SMP_VERSION << 3 | self->out->op);
  head[1] = 0;
  head[2] = (guint8) (len >> 8);
  head[3] = (guint8) len;
  head[4] = (guint8) (self->out->group >> 8);
  head[5] = (guint8) self->out->group;
  head[6] = self->out_seq;
  head[7] = self->out->command;
  g_byte_array_append (self->out_message, body, len);
  self->tries = 0;
  self->timeout = first_timeout (self, self->out->patience);
  send_out (self);
}

/* Ends the outstanding request; the owner may do anything in the callback. */
static void
finish_out (GwSmpPeer *self, const GwSmpResult *result, GwBytes body, const GError *error)
{
  static const GwSmpResult none;
  Request *request = g_steal_pointer (&self->out);

  gw_timer_disarm (&self->timer);
  if (!self->closed)
    gw_step_queue (&self->kick);
  request->answer (result != NULL ? result : &none, body, error, request->data);
  request_free (request);
}

static void
on_timeout (gpointer data)
{
  g_autoptr (GwSmpPeer) self = g_rc_box_acquire ((GwSmpPeer *) data);
  g_autoptr (GError) error = NULL;

  if (self->closed || self->out == NULL)
    return;
  if (self->tries < max_tries (self->out->patience))
    {
      send_out (self);
      return;
    }
  g_set_error (&error, GW_ERROR, GW_ERROR_TIMEOUT, "the endpoint did not answer %u tries of request 0x%04x/%u", self->tries,
               self->out->group, self->out->command);
  finish_out (self, NULL, (GwBytes) { NULL, 0 }, error);
  /* Whether it ever saw that request nobody knows, so the next sequence number may be the wrong one. */
  if (!self->closed)
    self->events->stalled (self, error, self->data);
}

GwSmpPeer *
gw_smp_peer_new (GwLoop *loop, guint frame_msec, gsize message_max, const GwSmpPeerEvents *events, gpointer data)
{
  GwSmpPeer *self = g_rc_box_new0 (GwSmpPeer);

  self->loop = loop;
  self->events = events;
  self->data = data;
  self->frame_msec = frame_msec;
  self->message_max = message_max;
  self->out_message = g_byte_array_new ();
  self->in_answer = g_byte_array_new ();
  g_queue_init (&self->queue);
  g_queue_init (&self->refused);
  gw_timer_init (&self->timer, loop, on_timeout, self);
  gw_step_init (&self->kick, loop, start_next, self);
  return self;
}

void
gw_smp_peer_free (GwSmpPeer *self)
{
  g_autoptr (GwSmpPeer) hold = self; /* the owner's reference */
  g_autoptr (GError) error = NULL;
  Request *request;

  if (self->closed)
    return;
  self->closed = TRUE;
  answer_refused (self);
  gw_timer_disarm (&self->timer);
  gw_step_cancel (&self->kick);
  g_set_error_literal (&error, GW_ERROR, GW_ERROR_OFFLINE, "the session with the endpoint has ended");
  if (self->out != NULL)
    finish_out (self, NULL, (GwBytes) { NULL, 0 }, error);
  while ((request = g_queue_pop_head (&self->queue)) != NULL)
    {
      self->out = request;
      finish_out (self, NULL, (GwBytes) { NULL, 0 }, error);
    }
}

gsize
gw_smp_peer_get_message_max (GwSmpPeer *self)
{
  return self->message_max;
}

gboolean
gw_smp_peer_waits (GwSmpPeer *self)
{
  return self->out != NULL || !g_queue_is_empty (&self->queue);
}

void
gw_smp_peer_set_frame_msec (GwSmpPeer *self, guint frame_msec)
{
  self->frame_msec = frame_msec;
}

void
gw_smp_peer_request (GwSmpPeer *self,
                     guint8 op,
                     guint16 group,
                     guint8 command,
                     const guint8 *body,
                     gsize len,
                     GwSmpPatience patience,
                     GwSmpAnswer answer,
                     gpointer data)
{
  Request *request = g_new0 (Request, 1);

  request->op = op;
  request->group = group;
  request->command = command;
  request->patience = patience;
  request->body = g_bytes_new (body, len);
  request->answer = answer;
  request->data = data;
  if (self->closed || self->queue.length >= GW_SMP_PEER_QUEUE_MAX || GW_SMP_HEADER_LEN + len > self->message_max)
    g_queue_push_tail (&self->refused, request);
  else if (patience == GW_SMP_PATIENCE_SIGN || patience == GW_SMP_PATIENCE_PING)
    g_queue_push_head (&self->queue, request);
  else
    g_queue_push_tail (&self->queue, request);
  gw_step_queue (&self->kick);
}

GError *
gw_smp_peer_error (const GwSmpResult *result)
{
  int code = GW_ERROR_FAILED;
  const char *what = NULL;

  if (!result->in_group)
    {
      what = gw_smp_rc_text (result->rc);
      if (result->rc == GW_SMP_RC_BUSY)
        code = GW_ERROR_BUSY;
      else if (result->rc == GW_SMP_RC_NOT_SUPPORTED)
        code = GW_ERROR_UNSUPPORTED;
      else if (result->rc == GW_SMP_RC_NO_ENTRY)
        code = GW_ERROR_NOT_FOUND;
      else if (result->rc == GW_SMP_RC_BAD_STATE)
        code = GW_ERROR_BAD_STATE;
      /* Not NotAuthorized, which is about the caller and sends him to polkit. */
      else if (result->rc == GW_SMP_RC_ACCESS_DENIED)
        {
          code = GW_ERROR_BAD_STATE;
          what = "this is for its owner only, which this gateway is not";
        }
    }
  return g_error_new (GW_ERROR, code, "the endpoint refused: %s%s%u%s%.*s", what != NULL ? what : "error ",
                      what != NULL ? " (rc " : "", result->rc, what != NULL ? ")" : " of its group",
                      (int) result->reason.len, result->reason.len > 0 ? result->reason.ptr : "");
}

static gboolean
take_response (GwSmpPeer *self, const GwSmpMessage *message)
{
  g_autoptr (GError) error = NULL;
  GwSmpResult result = { 0 };
  GwStatus status;

  if (self->out == NULL
      || !gw_smp_answers (message, self->out->op, self->out->group, self->out_seq, self->out->command))
    return FALSE;
  status = gw_smp_result_decode (message->body, &result);
  if (status != GW_OK)
    {
      g_set_error (&error, GW_ERROR, GW_ERROR_INVALID, "the endpoint's answer is damaged: %s", gw_status_text (status));
      memset (&result, 0, sizeof result);
    }
  else if (result.rc != 0)
    error = gw_smp_peer_error (&result);
  finish_out (self, &result, message->body, error);
  return TRUE;
}

static gboolean
take_request (GwSmpPeer *self, const GwSmpMessage *message)
{
  guint8 expected = self->in_any ? (guint8) (self->in_seq + 1) : 0;

  if (self->in_any && message->seq == self->in_seq)
    {
      if (!self->in_running && self->in_answer->len > 0)
        self->events->send (self->in_answer->data, self->in_answer->len, self->data);
      return TRUE;
    }
  if (message->seq != expected || self->in_running)
    return FALSE;
  self->in_any = TRUE;
  self->in_running = TRUE;
  self->in_seq = message->seq;
  g_byte_array_set_size (self->in_answer, 0);
  self->events->request (self, message, self->data);
  return TRUE;
}

gboolean
gw_smp_peer_input (GwSmpPeer *self, const guint8 *message, gsize len)
{
  g_autoptr (GwSmpPeer) hold = g_rc_box_acquire (self);
  GwSmpMessage decoded;
  gboolean taken = FALSE;

  if (self->closed)
    return FALSE;
  if (gw_smp_decode (message, len, &decoded) == GW_OK)
    taken = gw_smp_is_request (&decoded) ? take_request (self, &decoded) : take_response (self, &decoded);
  if (!taken)
    self->dropped++;
  return taken;
}

void
gw_smp_peer_respond (GwSmpPeer *self, const guint8 *message, gsize len)
{
  if (self->closed || !self->in_running)
    return;
  self->in_running = FALSE;
  g_byte_array_set_size (self->in_answer, 0);
  g_byte_array_append (self->in_answer, message, len);
  self->events->send (message, len, self->data);
}

gint64
gw_smp_peer_get_quiet_until (GwSmpPeer *self)
{
  gboolean slow = self->out != NULL
                  && (self->out->patience == GW_SMP_PATIENCE_SIGN || self->out->patience == GW_SMP_PATIENCE_IMAGE);

  return slow && self->tries == 1 ? self->timer.deadline : 0;
}

guint64
gw_smp_peer_get_dropped (GwSmpPeer *self)
{
  return self->dropped;
}
