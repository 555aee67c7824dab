/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The request and response rules, on the mock clock, against messages made by hand. */

#include <string.h>

#include "gw-error.h"
#include "gw-smp-peer.h"

#define SECOND G_USEC_PER_SEC

typedef struct
{
  GwClock *clock;
  GwLoop *loop;
  GwSmpPeer *peer;
  GPtrArray *sent; /* GBytes */
  guint requests;
  GwSmpMessage request;
  guint stalls;
  guint answers;
  GError *error;
} Fixture;

static void
on_send (const guint8 *message, gsize len, gpointer data)
{
  Fixture *f = data;

  g_ptr_array_add (f->sent, g_bytes_new (message, len));
}

static void
on_request (GwSmpPeer *peer, const GwSmpMessage *request, gpointer data)
{
  Fixture *f = data;

  f->requests++;
  f->request = *request;
}

static void
on_stalled (GwSmpPeer *peer, const GError *error, gpointer data)
{
  Fixture *f = data;

  f->stalls++;
}

static const GwSmpPeerEvents events = { on_send, on_request, on_stalled };

static void
on_answer (const GwSmpResult *result, GwBytes body, const GError *error, gpointer data)
{
  Fixture *f = data;

  f->answers++;
  g_clear_error (&f->error);
  if (error != NULL)
    f->error = g_error_copy (error);
}

static void
set_up (Fixture *f, gconstpointer unused)
{
  f->clock = gw_clock_new_mock (1000 * SECOND, 1000 * SECOND);
  f->loop = gw_loop_new (NULL, f->clock);
  f->sent = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  f->peer = gw_smp_peer_new (f->loop, 50, 512, &events, f);
}

static void
tear_down (Fixture *f, gconstpointer unused)
{
  if (f->peer != NULL)
    gw_smp_peer_free (f->peer);
  g_ptr_array_unref (f->sent);
  gw_loop_free (f->loop);
  gw_clock_unref (f->clock);
  g_clear_error (&f->error);
}

static void
turn (Fixture *f)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static void
advance (Fixture *f, gint64 usec)
{
  gw_clock_advance (f->clock, usec);
  turn (f);
}

static void
ask (Fixture *f, guint8 command, GwSmpPatience patience)
{
  const guint8 body[] = { 0xa0 };

  gw_smp_peer_request (f->peer, GW_SMP_OP_READ, GW_SMP_GROUP_OS, command, body, sizeof body, patience, on_answer, f);
}

/* {} from the endpoint in answer to our request. */
static void
answer (Fixture *f, guint8 seq, guint8 command)
{
  const guint8 message[] = { 0x09, 0, 0, 1, 0, 0, seq, command, 0xa0 };

  gw_smp_peer_input (f->peer, message, sizeof message);
  turn (f);
}

static gboolean
endpoint_asks (Fixture *f, guint8 seq)
{
  const guint8 message[] = { 0x0a, 0, 0, 1, 0x51, 0x02, seq, GW_DATA_REPORT, 0xa0 };

  return gw_smp_peer_input (f->peer, message, sizeof message);
}

static void
respond (Fixture *f)
{
  guint8 message[32];
  GwCborWriter w;
  gsize len;

  gw_smp_begin_response (&w, message, sizeof message, &f->request);
  gw_smp_empty_encode (&w);
  g_assert_cmpint (gw_smp_end (&w, &len), ==, GW_OK);
  gw_smp_peer_respond (f->peer, message, len);
}

static guint8
sent_octet (Fixture *f, guint message, guint at)
{
  return ((const guint8 *) g_bytes_get_data (f->sent->pdata[message], NULL))[at];
}

static void
test_one_outstanding (Fixture *f, gconstpointer unused)
{
  ask (f, 0, GW_SMP_PATIENCE_NORMAL);
  ask (f, 6, GW_SMP_PATIENCE_NORMAL);
  g_assert_cmpuint (f->sent->len, ==, 0); /* never inside the call */
  turn (f);
  g_assert_cmpuint (f->sent->len, ==, 1);
  g_assert_cmpuint (sent_octet (f, 0, 0), ==, 0x08);
  g_assert_cmpuint (sent_octet (f, 0, 6), ==, 0);
  answer (f, 0, 0);
  g_assert_cmpuint (f->answers, ==, 1);
  g_assert_no_error (f->error);
  g_assert_cmpuint (f->sent->len, ==, 2);
  g_assert_cmpuint (sent_octet (f, 1, 6), ==, 1);
  answer (f, 1, 6);
  g_assert_cmpuint (f->answers, ==, 2);
}

static void
test_sign_goes_first (Fixture *f, gconstpointer unused)
{
  ask (f, 0, GW_SMP_PATIENCE_NORMAL);
  turn (f);
  ask (f, 6, GW_SMP_PATIENCE_NORMAL);
  ask (f, 7, GW_SMP_PATIENCE_SIGN);
  answer (f, 0, 0);
  g_assert_cmpuint (f->sent->len, ==, 2);
  g_assert_cmpuint (sent_octet (f, 1, 7), ==, 7);
}

static void
test_wrong_answers_are_dropped (Fixture *f, gconstpointer unused)
{
  ask (f, 0, GW_SMP_PATIENCE_NORMAL);
  turn (f);
  answer (f, 1, 0); /* seq */
  answer (f, 0, 6); /* command */
  g_assert_cmpuint (f->answers, ==, 0);
  g_assert_cmpuint (gw_smp_peer_get_dropped (f->peer), ==, 2);
  answer (f, 0, 0);
  g_assert_cmpuint (f->answers, ==, 1);
  answer (f, 0, 0); /* a second time */
  g_assert_cmpuint (f->answers, ==, 1);
  g_assert_cmpuint (gw_smp_peer_get_dropped (f->peer), ==, 3);
}

static void
test_tries_double_then_stall (Fixture *f, gconstpointer unused)
{
  gint64 wait = 1100 * 1000; /* 1 s and two frames of 50 ms */

  ask (f, 0, GW_SMP_PATIENCE_NORMAL);
  turn (f);
  for (guint try = 1; try <= GW_REQUEST_TRIES_MAX; try++)
    {
      g_assert_cmpuint (f->sent->len, ==, try);
      g_assert_cmpuint (sent_octet (f, try - 1, 6), ==, 0); /* the same request */
      advance (f, wait - 1);
      g_assert_cmpuint (f->sent->len, ==, try);
      advance (f, 1);
      wait *= 2;
    }
  g_assert_cmpuint (f->sent->len, ==, GW_REQUEST_TRIES_MAX);
  g_assert_error (f->error, GW_ERROR, GW_ERROR_TIMEOUT);
  g_assert_cmpuint (f->stalls, ==, 1);
}

static void
test_error_answer (Fixture *f, gconstpointer unused)
{
  const guint8 busy[] = { 0x09, 0, 0, 5, 0, 0, 0, 0, 0xa1, 0x62, 'r', 'c', GW_SMP_RC_BUSY };

  ask (f, 0, GW_SMP_PATIENCE_NORMAL);
  turn (f);
  gw_smp_peer_input (f->peer, busy, sizeof busy);
  g_assert_error (f->error, GW_ERROR, GW_ERROR_BUSY);
}

static void
test_executes_once (Fixture *f, gconstpointer unused)
{
  g_assert_true (endpoint_asks (f, 0));
  g_assert_true (endpoint_asks (f, 0)); /* still running: ignored */
  g_assert_cmpuint (f->requests, ==, 1);
  g_assert_cmpuint (f->sent->len, ==, 0);
  respond (f);
  g_assert_cmpuint (f->sent->len, ==, 1);
  g_assert_true (endpoint_asks (f, 0)); /* done: the stored answer again */
  g_assert_cmpuint (f->requests, ==, 1);
  g_assert_cmpuint (f->sent->len, ==, 2);
  g_assert_true (g_bytes_equal (f->sent->pdata[0], f->sent->pdata[1]));
  g_assert_false (endpoint_asks (f, 2)); /* one was left out */
  g_assert_true (endpoint_asks (f, 1));
  g_assert_cmpuint (f->requests, ==, 2);
}

static void
test_seq_wraps (Fixture *f, gconstpointer unused)
{
  for (guint i = 0; i < 300; i++)
    {
      g_assert_true (endpoint_asks (f, (guint8) i));
      respond (f);
    }
  g_assert_cmpuint (f->requests, ==, 300);
}

static void
test_first_seq_is_zero (Fixture *f, gconstpointer unused)
{
  g_assert_false (endpoint_asks (f, 1));
  g_assert_cmpuint (f->requests, ==, 0);
}

static void
test_full_queue (Fixture *f, gconstpointer unused)
{
  for (guint i = 0; i < GW_SMP_PEER_QUEUE_MAX + 1; i++)
    ask (f, 0, GW_SMP_PATIENCE_NORMAL);
  g_assert_cmpuint (f->answers, ==, 0);
  turn (f);
  g_assert_cmpuint (f->answers, ==, 1);
  g_assert_error (f->error, GW_ERROR, GW_ERROR_BUSY);
}

static void
test_free_answers_all (Fixture *f, gconstpointer unused)
{
  ask (f, 0, GW_SMP_PATIENCE_NORMAL);
  turn (f);
  ask (f, 6, GW_SMP_PATIENCE_NORMAL);
  gw_smp_peer_free (g_steal_pointer (&f->peer));
  g_assert_cmpuint (f->answers, ==, 2);
  g_assert_error (f->error, GW_ERROR, GW_ERROR_OFFLINE);
}

#define ADD(path, func) g_test_add (path, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("/smp-peer/one-outstanding", test_one_outstanding);
  ADD ("/smp-peer/sign-goes-first", test_sign_goes_first);
  ADD ("/smp-peer/wrong-answers-are-dropped", test_wrong_answers_are_dropped);
  ADD ("/smp-peer/tries-double-then-stall", test_tries_double_then_stall);
  ADD ("/smp-peer/error-answer", test_error_answer);
  ADD ("/smp-peer/executes-once", test_executes_once);
  ADD ("/smp-peer/seq-wraps", test_seq_wraps);
  ADD ("/smp-peer/first-seq-is-zero", test_first_seq_is_zero);
  ADD ("/smp-peer/full-queue", test_full_queue);
  ADD ("/smp-peer/free-answers-all", test_free_answers_all);
  return g_test_run ();
}
