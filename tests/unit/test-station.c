/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The endpoint's side of a multidrop line: what it answers, and when it keeps silent. */

#include <glib.h>
#include <string.h>

#include "gw-station.h"

#define MS G_GINT64_CONSTANT (1000)

typedef struct
{
  GwStation station;
  gint64 now;
  gboolean in_session;
  guint ups, downs, datagrams;
  guint8 last_octet;
  guint8 out[GW_FRAME_ENCODED_MAX (1024)], buf[1024 + GW_FRAME_OVERHEAD];
  gsize len;
} Test;

static const guint8 uid[8] = { 0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe };
static const guint8 other[8] = { 0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xff };

static bool
on_in_session (void *owner)
{
  return ((Test *) owner)->in_session;
}

static void
on_hello (void *owner, GwLinkHello *out)
{
  memset (out, 0, sizeof *out);
  out->version = 1;
  memcpy (out->uid, uid, sizeof uid);
  memcpy (out->kid, uid, sizeof uid);
  out->manufacturer = out->model = out->serial = out->firmware = gw_text ("x");
  out->mtu = 1024;
  out->has_nonce = true;
}

static void
on_link (void *owner, bool up)
{
  Test *test = owner;

  test->ups += up;
  test->downs += !up;
}

static void
on_datagram (void *owner, GwBytes datagram)
{
  Test *test = owner;

  test->datagrams++;
  test->last_octet = datagram.ptr[datagram.len - 1];
  /* What it brings about leaves with the next poll. */
  gw_station_send (&test->station, datagram.ptr, datagram.len);
}

static const GwStationFuncs funcs
    = { .in_session = on_in_session, .hello = on_hello, .link = on_link, .datagram = on_datagram };

static void
setup (Test *test, gconstpointer data)
{
  test->now = 1000000 * MS;
  gw_station_init (&test->station, &funcs, test, uid, 1024);
}

static void
teardown (Test *test, gconstpointer data)
{
}

/* Sends a frame; FALSE: it was not answered. */
static gboolean
say (Test *test, guint8 address, gboolean poll, gconstpointer info, gsize len, GwFrame *answer)
{
  const GwFrame frame = { .address = address, .poll = poll, .info = { info, len } };
  GwFrameDecoder d;
  gsize used;

  gw_station_take (&test->station, &frame, test->now, test->out, sizeof test->out, &test->len);
  if (test->len == 0)
    return FALSE;
  gw_frame_decoder_init (&d, test->buf, sizeof test->buf);
  g_assert_cmpint (
      gw_frame_decoder_feed (&d, test->out, test->len, &used, answer), ==, GW_FRAME_EVENT_FRAME);
  g_assert_cmpuint (used, ==, test->len);
  g_assert_true (answer->poll);
  return TRUE;
}

static gboolean
poll (Test *test, guint8 address, GwFrame *answer)
{
  return say (test, address, TRUE, NULL, 0, answer);
}

typedef struct
{
  guint8 octets[64];
  gsize len;
} Request;

static Request
probe (const guint8 *lo, const guint8 *hi)
{
  GwLinkProbe body;
  Request req;
  GwCborWriter w;

  memcpy (body.lo, lo, 8);
  memcpy (body.hi, hi, 8);
  gw_smp_begin (&w, req.octets, sizeof req.octets, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, 7, GW_LINK_PROBE);
  gw_link_probe_encode (&body, &w);
  g_assert_cmpint (gw_smp_end (&w, &req.len), ==, GW_OK);
  return req;
}

static Request
mute (const guint8 *whom, gboolean m)
{
  GwLinkMute body = { .mute = m };
  Request req;
  GwCborWriter w;

  memcpy (body.uid, whom, 8);
  gw_smp_begin (&w, req.octets, sizeof req.octets, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, 8, GW_LINK_MUTE);
  gw_link_mute_encode (&body, &w);
  g_assert_cmpint (gw_smp_end (&w, &req.len), ==, GW_OK);
  return req;
}

static Request
number (const guint8 *whom, guint8 address)
{
  GwLinkAddressReq body = { .address = address };
  Request req;
  GwCborWriter w;

  memcpy (body.uid, whom, 8);
  gw_smp_begin (&w, req.octets, sizeof req.octets, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, 9, GW_LINK_ADDRESS);
  gw_link_address_req_encode (&body, &w);
  g_assert_cmpint (gw_smp_end (&w, &req.len), ==, GW_OK);
  return req;
}

static gboolean
ask (Test *test, Request req, GwSmpMessage *msg)
{
  GwFrame answer;

  if (!say (test, GW_FRAME_ADDRESS_ALL, TRUE, req.octets, req.len, &answer))
    return FALSE;
  g_assert_cmphex (answer.address, ==, GW_FRAME_ADDRESS_ALL);
  g_assert_cmpint (gw_smp_decode (answer.info.ptr, answer.info.len, msg), ==, GW_OK);
  return TRUE;
}

static gboolean
is_found (Test *test)
{
  static const guint8 lo[8] = { 0 };
  guint8 hi[8];
  GwSmpMessage msg;
  GwLinkHello hello;

  memset (hi, 0xff, 8);
  if (!ask (test, probe (lo, hi), &msg))
    return FALSE;
  g_assert_true (gw_smp_answers (&msg, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, 7, GW_LINK_PROBE));
  g_assert_cmpint (gw_link_hello_rsp_decode (msg.body, &hello), ==, GW_OK);
  g_assert_false (hello.has_nonce);
  g_assert_cmpmem (hello.uid, 8, uid, 8);
  return TRUE;
}

static void
test_probe (Test *test, gconstpointer data)
{
  static const guint8 lo[8] = { 0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfd };
  GwSmpMessage msg;
  GwFrame answer;
  Request req = probe (uid, uid);

  g_assert_true (is_found (test));
  g_assert_true (ask (test, req, &msg));
  g_assert_true (ask (test, probe (lo, uid), &msg));
  g_assert_true (ask (test, probe (uid, other), &msg));
  g_assert_false (ask (test, probe (other, other), &msg));
  g_assert_false (ask (test, probe (lo, lo), &msg));
  g_assert_false (ask (test, probe (other, lo), &msg));
  /* Not asked for an answer, or addressed to another. */
  g_assert_false (say (test, GW_FRAME_ADDRESS_ALL, FALSE, req.octets, req.len, &answer));
  g_assert_false (say (test, 5, TRUE, req.octets, req.len, &answer));
  g_assert_cmpuint (test->ups, ==, 0);
}

static void
test_mute (Test *test, gconstpointer data)
{
  GwSmpMessage msg;

  g_assert_false (ask (test, mute (other, TRUE), &msg));
  g_assert_true (is_found (test));
  g_assert_true (ask (test, mute (uid, TRUE), &msg));
  g_assert_true (gw_smp_answers (&msg, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, 8, GW_LINK_MUTE));
  g_assert_false (is_found (test));
  g_assert_true (ask (test, mute (uid, TRUE), &msg));
  g_assert_true (ask (test, mute (uid, FALSE), &msg));
  g_assert_true (is_found (test));
}

static void
test_address (Test *test, gconstpointer data)
{
  GwLinkAddressRsp rsp;
  GwSmpMessage msg;
  GwFrame answer;

  g_assert_false (poll (test, 3, &answer));
  g_assert_false (ask (test, number (other, 3), &msg));
  g_assert_true (ask (test, number (uid, 3), &msg));
  g_assert_cmpint (gw_link_address_rsp_decode (msg.body, &rsp), ==, GW_OK);
  g_assert_cmpuint (rsp.address, ==, 3);
  g_assert_false (is_found (test));
  g_assert_false (poll (test, 4, &answer));
  g_assert_cmpuint (test->ups, ==, 0);
  g_assert_true (poll (test, 3, &answer));
  g_assert_cmphex (answer.address, ==, 3);
  g_assert_cmpuint (answer.info.len, ==, 0);
  g_assert_cmpuint (test->ups, ==, 1);
  /* Another number takes its place. */
  g_assert_true (ask (test, number (uid, 9), &msg));
  g_assert_false (poll (test, 3, &answer));
  g_assert_true (poll (test, 9, &answer));
}

/* One frame a poll, in order, and nothing without one. */
static void
test_poll (Test *test, gconstpointer data)
{
  GwSmpMessage msg;
  GwFrame answer;
  guint8 datagram[1024] = { 0 };

  g_assert_false (gw_station_send (&test->station, datagram, 100));
  g_assert_true (ask (test, number (uid, 3), &msg));
  g_assert_true (poll (test, 3, &answer));
  g_assert_false (say (test, 3, FALSE, NULL, 0, &answer));
  for (guint i = 1; i <= 3; i++)
    {
      datagram[0] = i;
      g_assert_true (gw_station_send (&test->station, datagram, 300 * i));
    }
  /* The poll's datagram comes last, and is answered by a later poll. */
  g_assert_true (say (test, 3, TRUE, "\x17zz", 3, &answer));
  g_assert_cmpuint (test->datagrams, ==, 1);
  g_assert_cmpuint (test->last_octet, ==, 'z');
  g_assert_cmpuint (answer.info.len, ==, 300);
  for (guint i = 2; i <= 3; i++)
    {
      g_assert_true (poll (test, 3, &answer));
      g_assert_cmpuint (answer.info.len, ==, 300 * i);
      g_assert_cmpuint (answer.info.ptr[0], ==, i);
    }
  g_assert_true (poll (test, 3, &answer));
  g_assert_cmpmem (answer.info.ptr, answer.info.len, "\x17zz", 3);
  g_assert_true (poll (test, 3, &answer));
  g_assert_cmpuint (answer.info.len, ==, 0);
}

static void
test_full (Test *test, gconstpointer data)
{
  guint8 datagram[1024] = { 0 };
  GwSmpMessage msg;
  GwFrame answer;
  guint n = 0;

  g_assert_true (ask (test, number (uid, 3), &msg));
  g_assert_true (poll (test, 3, &answer));
  g_assert_false (gw_station_send (&test->station, datagram, 0));
  for (guint turn = 0; turn < 3; turn++)
    {
      while (gw_station_send (&test->station, datagram, sizeof datagram))
        n++;
      g_assert_cmpuint (n, ==, GW_STATION_QUEUE_LEN / 1026);
      for (; n > 0; n--)
        {
          g_assert_true (poll (test, 3, &answer));
          g_assert_cmpuint (answer.info.len, ==, sizeof datagram);
        }
    }
}

/* While a session is up nobody renumbers or mutes it in the clear. */
static void
test_session (Test *test, gconstpointer data)
{
  GwSmpMessage msg;
  GwFrame answer;

  g_assert_true (ask (test, number (uid, 3), &msg));
  g_assert_true (poll (test, 3, &answer));
  test->in_session = TRUE;
  g_assert_false (ask (test, number (uid, 4), &msg));
  g_assert_false (ask (test, mute (uid, FALSE), &msg));
  g_assert_false (is_found (test));
  g_assert_true (poll (test, 3, &answer));
  test->in_session = FALSE;
  g_assert_false (is_found (test));
  g_assert_true (ask (test, mute (uid, FALSE), &msg));
  test->in_session = TRUE;
  g_assert_false (is_found (test));
}

static void
test_forgets (Test *test, gconstpointer data)
{
  GwSmpMessage msg;
  GwFrame answer;

  g_assert_cmpint (gw_station_tick (&test->station, test->now), ==, G_MAXINT64);
  g_assert_true (ask (test, mute (uid, TRUE), &msg));
  g_assert_cmpint (
      gw_station_tick (&test->station, test->now), ==, test->now + GW_STATION_FORGET_MS * MS);
  test->now += GW_STATION_FORGET_MS * MS - 1;
  gw_station_tick (&test->station, test->now);
  g_assert_false (is_found (test));
  gw_station_tick (&test->station, ++test->now);
  g_assert_true (is_found (test));

  g_assert_true (ask (test, number (uid, 3), &msg));
  for (guint i = 0; i < 10; i++)
    {
      test->now += GW_STATION_FORGET_MS * MS - 1;
      gw_station_tick (&test->station, test->now);
      g_assert_true (poll (test, 3, &answer));
    }
  g_assert_true (gw_station_send (&test->station, uid, sizeof uid));
  g_assert_cmpuint (test->downs, ==, 0);
  test->now += GW_STATION_FORGET_MS * MS;
  g_assert_cmpint (gw_station_tick (&test->station, test->now), ==, G_MAXINT64);
  g_assert_cmpuint (test->downs, ==, 1);
  g_assert_false (poll (test, 3, &answer));
  g_assert_true (is_found (test));
  /* What waited was of a session that has ended. */
  g_assert_true (ask (test, number (uid, 3), &msg));
  g_assert_true (poll (test, 3, &answer));
  g_assert_cmpuint (answer.info.len, ==, 0);
}

static void
test_cycle (Test *test, gconstpointer data)
{
  GwSmpMessage msg;
  GwFrame answer;

  g_assert_cmpuint (gw_station_cycle_ms (&test->station), ==, 0);
  g_assert_true (ask (test, number (uid, 3), &msg));
  for (guint i = 0; i < 100; i++)
    {
      g_assert_true (poll (test, 3, &answer));
      test->now += 40 * MS;
    }
  g_assert_cmpuint (gw_station_cycle_ms (&test->station), ==, 80);
  for (guint i = 0; i < 100; i++)
    {
      g_assert_true (poll (test, 3, &answer));
      test->now += 200 * MS;
    }
  g_assert_cmpuint (gw_station_cycle_ms (&test->station), >=, 399);
}

/* Other requests to all, malformed ones, and answers of others: no word. */
static void
test_strangers (Test *test, gconstpointer data)
{
  GwLinkStart start = { { 0 } };
  Request req;
  GwCborWriter w;
  GwSmpMessage msg;
  GwFrame answer;

  gw_smp_begin (&w, req.octets, sizeof req.octets, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, 1, GW_LINK_START);
  gw_link_start_encode (&start, &w);
  g_assert_cmpint (gw_smp_end (&w, &req.len), ==, GW_OK);
  g_assert_false (ask (test, req, &msg));
  req = mute (uid, TRUE);
  for (gsize len = 0; len < req.len; len++)
    g_assert_false (say (test, GW_FRAME_ADDRESS_ALL, TRUE, req.octets, len, &answer));
  req.octets[0] = 0x0b;
  g_assert_false (ask (test, req, &msg));
  g_assert_true (is_found (test));
  g_assert_cmpuint (test->datagrams, ==, 0);
}

#define ADD(path, func) g_test_add (path, Test, NULL, setup, func, teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("/station/probe", test_probe);
  ADD ("/station/mute", test_mute);
  ADD ("/station/address", test_address);
  ADD ("/station/poll", test_poll);
  ADD ("/station/full", test_full);
  ADD ("/station/session", test_session);
  ADD ("/station/forgets", test_forgets);
  ADD ("/station/cycle", test_cycle);
  ADD ("/station/strangers", test_strangers);
  return g_test_run ();
}
