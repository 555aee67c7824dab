/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who is at the other end of a serial line: the state machine alone, on a clock that the test moves. */

#include <glib.h>
#include <string.h>

#include "gw-serial-peer.h"

#define MS G_GINT64_CONSTANT (1000)

typedef struct
{
  GwSerialPeer peer;
  gint64 now, due;
  guint asked, ups, downs, datagrams;
  guint8 question[64];
  gsize question_len;
  GwSerialDown why;
  guint32 rtt_ms;
  guint8 last_octet;
  gboolean full; /* takes nobody */
} Test;

static void
on_ask (void *owner, GwBytes message)
{
  Test *test = owner;

  g_assert_cmpuint (message.len, <=, sizeof test->question);
  memcpy (test->question, message.ptr, message.len);
  test->question_len = message.len;
  test->asked++;
}

static bool
on_up (void *owner, const GwLinkHello *hello, GwBytes body, uint32_t rtt_ms)
{
  Test *test = owner;

  g_assert_cmpuint (body.len, >, 0);
  test->ups++;
  test->rtt_ms = rtt_ms;
  return !test->full;
}

static void
on_down (void *owner, GwSerialDown why)
{
  Test *test = owner;

  test->downs++;
  test->why = why;
}

static void
on_datagram (void *owner, GwBytes datagram)
{
  Test *test = owner;

  test->datagrams++;
  test->last_octet = datagram.ptr[datagram.len - 1];
}

static const GwSerialPeerFuncs funcs = { .ask = on_ask, .up = on_up, .down = on_down, .datagram = on_datagram };

static void
setup (Test *test, gconstpointer data)
{
  test->now = 1000000 * MS;
  gw_serial_peer_init (&test->peer, &funcs, test, (const guint8 *) "\1\2\3\4\5\6\7", test->now);
  test->due = gw_serial_peer_tick (&test->peer, test->now);
}

static void
teardown (Test *test, gconstpointer data)
{
}

/* Moves the time to @test->due again and again until @ms have passed. */
static void
pass (Test *test, gint64 ms)
{
  gint64 end = test->now + ms * MS;

  while (test->due <= end)
    {
      g_assert_cmpint (test->due, >, test->now - 1);
      test->now = test->due;
      test->due = gw_serial_peer_tick (&test->peer, test->now);
      g_assert_cmpint (test->due, >, test->now);
    }
  test->now = end;
}

/* The answer to @question of the endpoint with this number; @spoil is added to the nonce. */
static gsize
make_answer (guint8 *out, gsize size, const guint8 *question, gsize question_len, guint8 kid, guint8 spoil)
{
  GwLinkHello hello = { .version = 1, .mtu = 1024, .security = GW_LINK_SEC_DTLS12, .has_nonce = true };
  GwLinkHelloReq req;
  GwSmpMessage msg;
  GwCborWriter w;
  gsize len;

  g_assert_cmpint (gw_smp_decode (question, question_len, &msg), ==, GW_OK);
  g_assert_cmpint (gw_link_hello_req_decode (msg.body, &req), ==, GW_OK);
  g_assert_true (req.has_nonce);
  memset (hello.kid, kid, sizeof hello.kid);
  memset (hello.uid, kid, sizeof hello.uid);
  hello.manufacturer = gw_text ("Maker");
  hello.model = gw_text ("M1");
  hello.serial = gw_text ("7");
  hello.firmware = gw_text ("1.0");
  memcpy (hello.nonce, req.nonce, sizeof hello.nonce);
  hello.nonce[7] += spoil;
  gw_smp_begin_response (&w, out, size, &msg);
  gw_link_hello_rsp_encode (&hello, &w);
  g_assert_cmpint (gw_smp_end (&w, &len), ==, GW_OK);
  return len;
}

static void
answer (Test *test, guint8 kid)
{
  guint8 message[512];
  gsize len = make_answer (message, sizeof message, test->question, test->question_len, kid, 0);

  gw_serial_peer_take (&test->peer, (GwBytes){ message, len }, test->now);
  test->due = gw_serial_peer_tick (&test->peer, test->now);
}

static void
take (Test *test, gconstpointer data, gsize len)
{
  gw_serial_peer_take (&test->peer, (GwBytes){ data, len }, test->now);
}

static void
test_asks_every_second (Test *test, gconstpointer data)
{
  g_assert_cmpuint (test->asked, ==, 1);
  pass (test, 10500);
  g_assert_cmpuint (test->asked, ==, 11);
  g_assert_cmpuint (test->ups, ==, 0);
}

static void
test_up (Test *test, gconstpointer data)
{
  test->now += 37 * MS + 1;
  answer (test, 9);
  g_assert_cmpuint (test->ups, ==, 1);
  g_assert_cmpuint (test->rtt_ms, ==, 38);
  take (test, "\x16\xfe\xfdx", 4);
  g_assert_cmpuint (test->datagrams, ==, 1);
  g_assert_cmpuint (test->last_octet, ==, 'x');
  pass (test, 11000);
  g_assert_cmpuint (test->asked, ==, 1);
}

/* A line so slow that the answer comes after the next questions still has an endpoint. */
static void
test_slow_line (Test *test, gconstpointer data)
{
  guint8 first[64];
  gsize first_len = test->question_len;
  guint8 message[512];
  gsize len;

  memcpy (first, test->question, first_len);
  pass (test, 2500);
  len = make_answer (message, sizeof message, first, first_len, 9, 0);
  take (test, message, len);
  g_assert_cmpuint (test->ups, ==, 1);
  g_assert_cmpuint (test->rtt_ms, ==, 2500);
}

/* Neither an answer nobody asked for, nor the same twice, nor another's nonce, makes a node. */
static void
test_false_answers (Test *test, gconstpointer data)
{
  guint8 first[64];
  gsize first_len = test->question_len;
  guint8 message[512];
  gsize len;

  len = make_answer (message, sizeof message, test->question, test->question_len, 9, 1);
  take (test, message, len);
  g_assert_cmpuint (test->ups, ==, 0);
  memcpy (first, test->question, first_len);
  pass (test, 6000); /* six questions later the first is forgotten */
  len = make_answer (message, sizeof message, first, first_len, 9, 0);
  take (test, message, len);
  g_assert_cmpuint (test->ups, ==, 0);

  answer (test, 9);
  g_assert_cmpuint (test->ups, ==, 1);
  answer (test, 8); /* the same question again, by somebody else */
  g_assert_cmpuint (test->ups, ==, 1);
  g_assert_cmpuint (test->downs, ==, 0);
  g_assert_cmpuint (test->datagrams, ==, 1); /* an answer, but not to us: the agent's business */
}

static void
test_nobody_is_refused (Test *test, gconstpointer data)
{
  test->full = TRUE;
  answer (test, 9);
  g_assert_cmpuint (test->ups, ==, 1);
  take (test, "\x16\xfe\xfdx", 4);
  g_assert_cmpuint (test->datagrams, ==, 0);
  g_assert_cmpuint (test->peer.refused, ==, 1);
  pass (test, 1000);
  g_assert_cmpuint (test->asked, ==, 2);
}

/* An endpoint that speaks before it was asked is asked at once, but however much it speaks, not at will. */
static void
test_early_speaker (Test *test, gconstpointer data)
{
  for (guint i = 0; i < 1000; i++)
    {
      test->now += MS;
      take (test, "\x16\xfe\xfdx", 4);
    }
  g_assert_cmpuint (test->asked, ==, 1 + 4);
  g_assert_cmpuint (test->datagrams, ==, 0);
  g_assert_cmpuint (test->peer.refused, ==, 1000);
}

static void
test_silent (Test *test, gconstpointer data)
{
  answer (test, 9);
  pass (test, GW_SERIAL_IDLE_MS - 1);
  g_assert_cmpuint (test->asked, ==, 1);
  pass (test, 1 + 2 * GW_SERIAL_PROBE_MS);
  g_assert_cmpuint (test->asked, ==, 4);
  g_assert_cmpuint (test->downs, ==, 0);
  answer (test, 9); /* only asleep */
  pass (test, GW_SERIAL_IDLE_MS + 3 * GW_SERIAL_PROBE_MS - 1);
  g_assert_cmpuint (test->downs, ==, 0);
  pass (test, 1);
  g_assert_cmpuint (test->downs, ==, 1);
  g_assert_cmpint (test->why, ==, GW_SERIAL_DOWN_SILENT);
  g_assert_cmpuint (test->asked, ==, 1 + 3 + 3 + 1);
  answer (test, 9);
  g_assert_cmpuint (test->ups, ==, 2);
}

/* Traffic, be it an empty frame, is a sign of life. */
static void
test_traffic_is_life (Test *test, gconstpointer data)
{
  answer (test, 9);
  for (guint i = 0; i < 100; i++)
    {
      pass (test, GW_SERIAL_IDLE_MS - 1);
      take (test, "", 0);
      test->due = gw_serial_peer_tick (&test->peer, test->now);
    }
  g_assert_cmpuint (test->asked, ==, 1);
}

static void
test_replaced (Test *test, gconstpointer data)
{
  answer (test, 9);
  take (test, "\x16\xfe\xfdx", 4); /* its own handshake, right after: no question */
  g_assert_cmpuint (test->asked, ==, 1);
  pass (test, GW_SERIAL_CHECK_MS);
  take (test, "\x17\xfe\xfdx", 4); /* application data asks nothing */
  g_assert_cmpuint (test->asked, ==, 1);
  take (test, "\x16\xfe\xfdx", 4);
  take (test, "\x16\xfe\xfdx", 4);
  g_assert_cmpuint (test->asked, ==, 2);
  answer (test, 9); /* it only booted */
  g_assert_cmpuint (test->downs, ==, 0);
  pass (test, GW_SERIAL_CHECK_MS);
  take (test, "\x16\xfe\xfdx", 4);
  answer (test, 10);
  g_assert_cmpuint (test->downs, ==, 1);
  g_assert_cmpint (test->why, ==, GW_SERIAL_DOWN_REPLACED);
  g_assert_cmpuint (test->ups, ==, 2);
}

static void
test_garbage (Test *test, gconstpointer data)
{
  static const guint8 garbage[] = { 0, 1, 19, 64, 127, 255 };

  answer (test, 9);
  for (guint i = 0; i < G_N_ELEMENTS (garbage); i++)
    take (test, garbage + i, 1);
  g_assert_cmpuint (test->datagrams, ==, 0);
  g_assert_cmpuint (test->peer.refused, ==, G_N_ELEMENTS (garbage));
  take (test, "\x09", 1); /* a response cut short: the agent drops it */
  g_assert_cmpuint (test->datagrams, ==, 1);
}

static void
test_scan_and_end (Test *test, gconstpointer data)
{
  gw_serial_peer_scan (&test->peer, test->now); /* asked this very moment */
  g_assert_cmpuint (test->asked, ==, 1);
  test->now += GW_SERIAL_ASK_MIN_MS * MS;
  gw_serial_peer_scan (&test->peer, test->now);
  g_assert_cmpuint (test->asked, ==, 2);
  gw_serial_peer_end (&test->peer);
  g_assert_cmpuint (test->downs, ==, 0);
  answer (test, 9);
  gw_serial_peer_end (&test->peer);
  g_assert_cmpuint (test->downs, ==, 1);
  g_assert_cmpint (test->why, ==, GW_SERIAL_DOWN_GONE);
}

#define ADD(path, func) g_test_add (path, Test, NULL, setup, func, teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("/serial-peer/asks-every-second", test_asks_every_second);
  ADD ("/serial-peer/up", test_up);
  ADD ("/serial-peer/slow-line", test_slow_line);
  ADD ("/serial-peer/false-answers", test_false_answers);
  ADD ("/serial-peer/not-taken", test_nobody_is_refused);
  ADD ("/serial-peer/early-speaker", test_early_speaker);
  ADD ("/serial-peer/silent", test_silent);
  ADD ("/serial-peer/traffic-is-life", test_traffic_is_life);
  ADD ("/serial-peer/replaced", test_replaced);
  ADD ("/serial-peer/garbage", test_garbage);
  ADD ("/serial-peer/scan-and-end", test_scan_and_end);
  return g_test_run ();
}
