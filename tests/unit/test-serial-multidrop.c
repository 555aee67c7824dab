/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The master of a line with many stations, on a wire and a clock that the test moves. The stations are those that the
 * simulator and firmware run (gw-station.h), with ways to misbehave; answers that overlap are garbage. */

#include <glib.h>
#include <string.h>

#include "gw-serial-multidrop.h"
#include "gw-station.h"

#define MS G_GINT64_CONSTANT (1000)
#define SECOND (1000 * MS)
#define SPEED 115200
#define MTU 512
#define PORTION 16 /* octets that a UART hands over at once */

typedef struct _Test Test;

typedef struct
{
  Test *test;
  GwStation station;
  guint8 kid[32];
  gboolean off, in_session, deaf_to_mute, hello_lies, flood, answers_all;
  gint64 delay; /* before it answers */
  /* What it is about to say. */
  guint8 out[GW_FRAME_ENCODED_MAX (MTU)];
  gsize len;
  gint64 begins, ends;
  gsize told; /* octets of it that the master has */
  guint polls, got;
  gint64 polled_at, longest;
} Node;

struct _Test
{
  GwMultidrop master;
  gint64 now, due;
  GRand *rand;
  GPtrArray *nodes; /* of Node */
  gint64 octet;     /* nanoseconds */
  guint loss;       /* of 1,000 frames, each way */
  gboolean echo;
  gboolean full; /* takes nobody */
  guint8 sent[GW_FRAME_ENCODED_MAX (2048)];
  gsize sent_len;
  gint64 sent_ends; /* 0: nothing is under way */
  guint8 buf[2048 + GW_FRAME_OVERHEAD];
  guint ups, downs, datagrams, exchanges, garbage, unasked;
  guint up_at[255];
  GwSerialDown why;
  guint troubles[GW_MULTIDROP_N_TROUBLES];
  guint8 trouble_address[GW_MULTIDROP_N_TROUBLES];
  guint to_send[255]; /* datagrams for each */
  gsize to_send_len;
  GwSerialFigures link;
  guint windows;
};

/* ---- The master's owner ---- */

static void
on_send (void *owner, const GwFrame *frame)
{
  Test *test = owner;

  g_assert_cmpint (test->sent_ends, ==, 0); /* one at a time */
  g_assert_cmpint (gw_frame_encode (frame, test->sent, sizeof test->sent, &test->sent_len), ==, GW_OK);
  test->sent_ends = test->now + (gint64) test->sent_len * test->octet / 1000;
  test->exchanges++;
  gw_multidrop_sent (&test->master, test->sent_len, test->now);
}

static GwBytes
on_next (void *owner, uint8_t address)
{
  static const guint8 datagram[2048] = { 0x17 };
  Test *test = owner;

  if (test->to_send[address] == 0)
    return (GwBytes){ 0 };
  test->to_send[address]--;
  return (GwBytes){ datagram, test->to_send_len };
}

static bool
on_up (void *owner, uint8_t address, const GwLinkHello *hello, GwBytes body, uint32_t rtt_ms)
{
  Test *test = owner;

  g_assert_cmpuint (body.len, >, 0);
  if (test->full)
    return false;
  g_assert_cmpuint (test->up_at[address], ==, 0);
  test->up_at[address] = 1;
  test->ups++;
  return true;
}

static void
on_down (void *owner, uint8_t address, GwSerialDown why)
{
  Test *test = owner;

  g_assert_cmpuint (test->up_at[address], ==, 1);
  test->up_at[address] = 0;
  test->downs++;
  test->why = why;
}

static void
on_datagram (void *owner, uint8_t address, GwBytes datagram)
{
  Test *test = owner;

  g_assert_cmpuint (test->up_at[address], ==, 1);
  test->datagrams++;
}

static void
on_trouble (void *owner, GwMultidropTrouble trouble, uint8_t address)
{
  Test *test = owner;

  test->troubles[trouble]++;
  test->trouble_address[trouble] = address;
}

static void
on_measured (void *owner, const GwSerialFigures *link)
{
  Test *test = owner;

  test->link = *link;
  test->windows++;
}

static const GwMultidropFuncs funcs = {
  .send = on_send,
  .next = on_next,
  .up = on_up,
  .down = on_down,
  .datagram = on_datagram,
  .trouble = on_trouble,
  .measured = on_measured,
};

/* ---- Stations ---- */

static bool
station_in_session (void *owner)
{
  return ((Node *) owner)->in_session;
}

static void
station_hello (void *owner, GwLinkHello *out)
{
  Node *node = owner;

  memset (out, 0, sizeof *out);
  out->version = 1;
  memcpy (out->kid, node->kid, sizeof out->kid);
  memcpy (out->uid, node->kid, sizeof out->uid);
  out->manufacturer = gw_text ("Maker");
  out->model = gw_text ("Model 1");
  out->serial = gw_text ("S0000001");
  out->firmware = gw_text ("1.0.0");
  out->mtu = MTU;
}

static void
station_link (void *owner, bool up)
{
}

/* Answers hello, as a GwEp does; all else is counted. */
static void
station_datagram (void *owner, GwBytes datagram)
{
  Node *node = owner;
  GwLinkHelloReq req;
  GwLinkHello hello;
  GwSmpMessage msg;
  guint8 answer[MTU];
  GwCborWriter w;
  gsize len;

  node->got++;
  if (gw_smp_decode (datagram.ptr, datagram.len, &msg) != GW_OK
      || gw_link_hello_req_decode (msg.body, &req) != GW_OK)
    return;
  station_hello (node, &hello);
  if (node->hello_lies)
    hello.uid[0] = ++hello.kid[0];
  hello.has_nonce = req.has_nonce;
  memcpy (hello.nonce, req.nonce, sizeof hello.nonce);
  gw_smp_begin_response (&w, answer, sizeof answer, &msg);
  gw_link_hello_rsp_encode (&hello, &w);
  g_assert_cmpint (gw_smp_end (&w, &len), ==, GW_OK);
  gw_station_send (&node->station, answer, len);
}

static const GwStationFuncs station_funcs = { .in_session = station_in_session,
                                              .hello = station_hello,
                                              .link = station_link,
                                              .datagram = station_datagram };

static void
power_up (Node *node)
{
  gw_station_init (&node->station, &station_funcs, node, node->kid, MTU);
  node->off = node->in_session = FALSE;
  node->len = 0;
}

static Node *
add_node (Test *test)
{
  Node *node = g_new0 (Node, 1);

  node->test = test;
  for (guint i = 0; i < sizeof node->kid; i++)
    node->kid[i] = g_rand_int_range (test->rand, 0, 256);
  node->delay = MS + g_rand_int_range (test->rand, 0, 1000);
  power_up (node);
  g_ptr_array_add (test->nodes, node);
  return node;
}

static void
add_nodes (Test *test, guint n)
{
  for (guint i = 0; i < n; i++)
    add_node (test);
}

static Node *
node_at (Test *test, guint i)
{
  return g_ptr_array_index (test->nodes, i);
}

/* ---- The wire ---- */

static gboolean
is_lost (Test *test)
{
  return test->loss > 0 && (guint) g_rand_int_range (test->rand, 0, 1000) < test->loss;
}

static void
note_poll (Node *node, const GwFrame *frame)
{
  if (frame->address != node->station.address)
    return;
  if (node->polled_at != 0)
    node->longest = MAX (node->longest, node->test->now - node->polled_at);
  node->polled_at = node->test->now;
  node->polls++;
}

static void
hear (Node *node, const GwFrame *frame)
{
  static const guint8 noise[MTU] = { 0x17 };

  node->len = 0;
  if (node->off || is_lost (node->test))
    return;
  gw_station_tick (&node->station, node->test->now);
  if (node->deaf_to_mute)
    node->station.muted = FALSE;
  if (node->flood && frame->address == node->station.address)
    gw_station_send (&node->station, noise, sizeof noise);
  gw_station_take (&node->station, frame, node->test->now, node->out, sizeof node->out, &node->len);
  note_poll (node, frame);
  if (node->answers_all && node->len == 0)
    {
      GwFrame any = { .address = frame->address, .poll = true, .info = { noise, 40 } };

      gw_frame_encode (&any, node->out, sizeof node->out, &node->len);
    }
  node->told = 0;
  node->begins = node->test->now + node->delay;
  node->ends = node->begins + (gint64) node->len * node->test->octet / 1000;
}

/* The master's frame has left: to its echo, and to everybody. */
static void
deliver_sent (Test *test)
{
  GwFrameDecoder d;
  GwFrame frame;
  gsize used;

  test->sent_ends = 0;
  gw_frame_decoder_init (&d, test->buf, sizeof test->buf);
  g_assert_cmpint (
      gw_frame_decoder_feed (&d, test->sent, test->sent_len, &used, &frame), ==, GW_FRAME_EVENT_FRAME);
  if (test->echo)
    {
      gw_multidrop_heard (&test->master, test->sent_len, test->now);
      gw_multidrop_take (&test->master, &frame, test->now);
    }
  for (guint i = 0; i < test->nodes->len; i++)
    hear (node_at (test, i), &frame);
}

static gboolean
overlaps (Test *test, Node *node)
{
  for (guint i = 0; i < test->nodes->len; i++)
    {
      Node *other = node_at (test, i);

      if (other != node && other->len > 0 && other->begins < node->ends && node->begins < other->ends)
        return TRUE;
    }
  return FALSE;
}

/* Its answer is at the master, whole or in pieces. */
static void
deliver_answer (Test *test, Node *node)
{
  gboolean damaged = overlaps (test, node) || test->sent_ends != 0;
  GwFrameDecoder d;
  GwFrame frame;
  gsize used;

  gw_multidrop_heard (&test->master, node->len - node->told, test->now);
  test->garbage += damaged;
  gw_frame_decoder_init (&d, test->buf, sizeof test->buf);
  if (!damaged && !is_lost (test)
      && gw_frame_decoder_feed (&d, node->out, node->len, &used, &frame) == GW_FRAME_EVENT_FRAME)
    gw_multidrop_take (&test->master, &frame, test->now);
  /* What overlapped it stays damaged: it is remembered until the whole lot is over. */
  if (!damaged)
    node->len = 0;
  else
    node->ends = G_MAXINT64 / 2 + node->ends;
}

static void
clear_collision (Test *test)
{
  for (guint i = 0; i < test->nodes->len; i++)
    {
      Node *node = node_at (test, i);

      if (node->len > 0 && node->ends < G_MAXINT64 / 2)
        return;
    }
  for (guint i = 0; i < test->nodes->len; i++)
    node_at (test, i)->len = 0;
}

/* When the next octets of its answer are handed over. */
static gint64
next_portion (Node *node)
{
  return MIN (node->ends, node->begins + (gint64) (node->told + PORTION) * node->test->octet / 1000);
}

static Node *
next_answer (Test *test)
{
  Node *next = NULL;

  for (guint i = 0; i < test->nodes->len; i++)
    {
      Node *node = node_at (test, i);

      if (node->len > 0 && node->ends < G_MAXINT64 / 2 && (next == NULL || next_portion (node) < next_portion (next)))
        next = node;
    }
  return next;
}

/* Moves the time from event to event until @usec have passed. */
static void
pass (Test *test, gint64 usec)
{
  gint64 end = test->now + usec;

  for (;;)
    {
      Node *node = next_answer (test);
      gint64 at = MIN (test->due, node != NULL ? next_portion (node) : G_MAXINT64);

      if (test->sent_ends != 0)
        at = MIN (at, test->sent_ends);
      if (at > end)
        break;
      g_assert_cmpint (at, >=, test->now);
      test->now = at;
      if (test->sent_ends != 0 && at == test->sent_ends)
        deliver_sent (test);
      else if (node != NULL && at == node->ends)
        {
          deliver_answer (test, node);
          clear_collision (test);
        }
      else if (node != NULL && at == next_portion (node))
        {
          gw_multidrop_heard (&test->master, PORTION, test->now);
          node->told += PORTION;
        }
      test->due = gw_multidrop_tick (&test->master, test->now);
      g_assert_cmpint (test->due, >, test->now);
    }
  test->now = end;
}

/* Passes time until @n are up; at most so long. Returns how long it took. */
static gint64
until_up (Test *test, guint n, gint64 most)
{
  gint64 began = test->now;

  while (test->ups - test->downs < n && test->now - began < most)
    pass (test, 10 * MS);
  g_assert_cmpuint (test->ups - test->downs, ==, n);
  return test->now - began;
}

static void
setup (Test *test, gconstpointer data)
{
  test->rand = g_rand_new_with_seed (485);
  test->nodes = g_ptr_array_new_with_free_func (g_free);
  test->now = 1000 * SECOND;
  test->octet = 10 * G_GINT64_CONSTANT (1000000000) / SPEED;
  test->to_send_len = 300;
  gw_multidrop_init (&test->master, &funcs, test, SPEED, 2048, (const guint8 *) "\1\2\3\4\5\6\7", test->now);
  test->due = test->now;
}

static void
teardown (Test *test, gconstpointer data)
{
  g_ptr_array_unref (test->nodes);
  g_rand_free (test->rand);
}

/* The agent has datagrams for everybody, or the one at @address. */
static void
push (Test *test, guint address, guint n)
{
  test->to_send[address] += n;
  gw_multidrop_kick (&test->master, address, test->now);
  test->due = gw_multidrop_tick (&test->master, test->now);
}

/* ---- Finding ---- */

static void
test_nobody (Test *test, gconstpointer data)
{
  pass (test, 20 * SECOND);
  g_assert_cmpuint (test->ups, ==, 0);
  g_assert_cmpuint (test->link.culprit, ==, 0);
  g_assert_cmpuint (test->windows, ==, 20);
  /* Every number looked at once, then a probe and a number every two seconds. */
  g_assert_cmpuint (test->exchanges, >=, 254 + 8);
  g_assert_cmpuint (test->exchanges, <=, 254 + 40);
}

static void
test_one (Test *test, gconstpointer data)
{
  add_node (test);
  g_test_message ("one station up after %d ms", (int) (until_up (test, 1, SECOND) / MS));
  pass (test, 30 * SECOND);
  g_assert_cmpuint (test->ups, ==, 1);
  g_assert_cmpuint (test->downs, ==, 0);
  g_assert_cmphex (node_at (test, 0)->station.address, ==, 1);
}

/* All are found, also the largest population that has numbers. */
static void
test_many (Test *test, gconstpointer data)
{
  guint n = GPOINTER_TO_UINT (data);
  gint64 took;

  add_nodes (test, n);
  took = until_up (test, n, 120 * SECOND);
  g_test_message ("%u stations up after %.1f s, %u exchanges", n, (double) took / SECOND, test->exchanges);
  if (n == 16)
    g_assert_cmpint (took, <, 5 * SECOND);
  pass (test, 10 * SECOND);
  g_assert_cmpuint (test->downs, ==, 0);
}

static void
test_hot_plug (Test *test, gconstpointer data)
{
  gint64 took;

  add_nodes (test, 16);
  until_up (test, 16, 10 * SECOND);
  pass (test, 10 * SECOND);
  add_node (test);
  took = until_up (test, 17, 3 * SECOND);
  g_test_message ("one more after %d ms", (int) (took / MS));
  /* And at once when somebody asks. */
  pass (test, 100 * MS);
  add_node (test);
  gw_multidrop_scan (&test->master, test->now);
  test->due = test->now;
  g_assert_cmpint (until_up (test, 18, SECOND), <, SECOND);
}

/* A new master finds stations that ignore its search by their numbers. */
static void
test_restart (Test *test, gconstpointer data)
{
  gint64 took;

  add_nodes (test, 16);
  until_up (test, 16, 10 * SECOND);
  for (guint i = 0; i < 16; i++)
    node_at (test, i)->in_session = TRUE;
  node_at (test, 3)->station.address = 200;
  memset (test->up_at, 0, sizeof test->up_at);
  test->ups = 0;
  gw_multidrop_init (&test->master, &funcs, test, SPEED, 2048, (const guint8 *) "\7\6\5\4\3\2\1", test->now);
  test->due = test->now;
  test->sent_ends = 0;
  took = until_up (test, 15, SECOND);
  g_test_message ("15 found again after %d ms", (int) (took / MS));
  until_up (test, 16, 10 * SECOND);
  g_assert_cmpuint (test->up_at[200], ==, 1);
  add_node (test);
  until_up (test, 17, 3 * SECOND);
  pass (test, 10 * SECOND);
  g_assert_cmpuint (test->downs, ==, 0);
}

/* It lost its number with its power: the same one again, and it was never away. */
static void
test_power_cycle (Test *test, gconstpointer data)
{
  add_nodes (test, 4);
  until_up (test, 4, 5 * SECOND);
  pass (test, 5 * SECOND);
  gw_multidrop_scan (&test->master, test->now);
  power_up (node_at (test, 2));
  test->due = test->now;
  pass (test, SECOND);
  g_assert_cmpuint (test->downs, ==, 0);
  g_assert_cmpuint (test->up_at[node_at (test, 2)->station.address], ==, 1);
}

static void
test_unplug (Test *test, gconstpointer data)
{
  guint8 address;
  gint64 began;

  add_nodes (test, 4);
  until_up (test, 4, 5 * SECOND);
  address = node_at (test, 1)->station.address;
  node_at (test, 1)->in_session = TRUE;
  node_at (test, 1)->off = TRUE;
  began = test->now;
  while (test->downs == 0)
    pass (test, 10 * MS);
  g_test_message ("missed after %d ms", (int) ((test->now - began) / MS));
  g_assert_cmpint (test->now - began, <, 3 * SECOND);
  g_assert_cmpint (test->why, ==, GW_SERIAL_DOWN_SILENT);
  /* Back with number and session, of which it lets nobody take it. */
  pass (test, 5 * SECOND);
  node_at (test, 1)->off = FALSE;
  until_up (test, 4, 3 * SECOND);
  g_assert_cmpuint (test->up_at[address], ==, 1);
  /* Away for longer: its number is free again, and it has forgotten it. */
  node_at (test, 1)->off = TRUE;
  pass (test, 40 * SECOND);
  node_at (test, 1)->in_session = FALSE;
  node_at (test, 1)->off = FALSE;
  until_up (test, 4, 5 * SECOND);
}

static void
test_not_taken (Test *test, gconstpointer data)
{
  test->full = TRUE;
  add_nodes (test, 2);
  pass (test, 10 * SECOND);
  test->full = FALSE;
  until_up (test, 2, 2 * SECOND);
}

/* ---- Traffic ---- */

/* Each way, in order of need, none twice and none lost. */
static void
test_datagrams (Test *test, gconstpointer data)
{
  static const guint8 datagram[100] = { 0x17 };
  guint before;

  add_nodes (test, 16);
  until_up (test, 16, 10 * SECOND);
  for (guint i = 0; i < 16; i++)
    node_at (test, i)->got = 0;
  for (guint a = 1; a <= 16; a++)
    push (test, a, 10);
  pass (test, 10 * SECOND);
  for (guint i = 0; i < 16; i++)
    g_assert_cmpuint (node_at (test, i)->got, ==, 10);
  before = test->datagrams;
  for (guint turn = 0; turn < 8; turn++)
    {
      for (guint i = 0; i < 16; i++)
        g_assert_true (gw_station_send (&node_at (test, i)->station, datagram, sizeof datagram));
      pass (test, SECOND);
    }
  g_assert_cmpuint (test->datagrams - before, ==, 8 * 16);
  g_assert_cmpuint (test->master.refused, ==, 0);
  g_assert_cmpuint (gw_multidrop_get_retries (&test->master, 1), ==, 0);
}

/* Idle, each is polled about four times a second; one with traffic as fast as it goes. */
static void
test_rate (Test *test, gconstpointer data)
{
  guint idle, busy;

  add_nodes (test, 16);
  until_up (test, 16, 10 * SECOND);
  pass (test, 10 * SECOND);
  for (guint i = 0; i < 16; i++)
    node_at (test, i)->polls = 0;
  pass (test, 10 * SECOND);
  idle = node_at (test, 0)->polls;
  g_assert_cmpuint (idle, >=, 35);
  g_assert_cmpuint (idle, <=, 45);
  g_assert_cmpuint (test->link.load_permille, <, 200);
  push (test, node_at (test, 5)->station.address, 100);
  for (guint i = 0; i < 16; i++)
    node_at (test, i)->polls = 0;
  pass (test, 5 * SECOND);
  busy = node_at (test, 5)->polls;
  g_assert_cmpuint (busy, >=, 100);
  g_assert_cmpuint (node_at (test, 0)->polls, >=, 15);
}

/* One that always has something to say costs the others no more than their equal share. */
static void
test_fair (Test *test, gconstpointer data)
{
  static const guint8 datagram[200] = { 0x17 };
  guint8 hog;

  add_nodes (test, 8);
  until_up (test, 8, 10 * SECOND);
  pass (test, 2 * SECOND);
  hog = node_at (test, 0)->station.address;
  node_at (test, 0)->flood = TRUE;
  for (guint i = 0; i < 8; i++)
    node_at (test, i)->longest = node_at (test, i)->polled_at = 0;
  for (guint turn = 0; turn < 10; turn++)
    {
      guint before = test->datagrams;

      for (guint i = 1; i < 8; i++)
        g_assert_true (gw_station_send (&node_at (test, i)->station, datagram, sizeof datagram));
      pass (test, SECOND);
      g_assert_cmpuint (test->datagrams - before, >=, 7);
    }
  for (guint i = 1; i < 8; i++)
    {
      g_assert_cmpuint (node_at (test, i)->station.used, ==, 0);
      g_assert_cmpint (node_at (test, i)->longest, <, 500 * MS);
    }
  g_test_message ("culprit %u with %u", test->link.culprit, test->link.culprit_permille);
  g_assert_cmpuint (test->link.culprit, ==, hog);
  g_assert_cmpuint (test->link.culprit_permille, >=, 400);
  g_assert_cmpuint (test->troubles[GW_MULTIDROP_HOGS], ==, 1);
  node_at (test, 0)->flood = FALSE;
  pass (test, 3 * SECOND);
  g_assert_cmpuint (test->link.culprit, ==, 0);
}

/* One in fifty frames is damaged each way: nobody is dropped, and datagrams go again. */
static void
test_loss (Test *test, gconstpointer data)
{
  guint got = 0;

  test->loss = 20;
  add_nodes (test, 16);
  until_up (test, 16, 20 * SECOND);
  for (guint i = 0; i < 16; i++)
    node_at (test, i)->got = 0;
  for (guint a = 1; a <= 254; a++)
    if (test->up_at[a])
      push (test, a, 50);
  pass (test, 60 * SECOND);
  g_assert_cmpuint (test->downs, ==, 0);
  for (guint i = 0; i < 16; i++)
    got += node_at (test, i)->got;
  /* Copies where the answer was lost, hardly ever none. */
  g_assert_cmpuint (got, >=, 16 * 50 - 4);
  g_assert_cmpuint (got, <=, 16 * 50 + 60);
}

static void
test_round_trip (Test *test, gconstpointer data)
{
  guint idle;

  add_nodes (test, 16);
  until_up (test, 16, 10 * SECOND);
  pass (test, 5 * SECOND);
  idle = test->link.round_trip_ms;
  g_assert_cmpuint (idle, >=, 89); /* 512 octets, twice */
  g_assert_cmpuint (idle, <, 300);
  for (guint a = 1; a <= 16; a++)
    push (test, a, 100);
  pass (test, 3 * SECOND);
  /* Sixteen exchanges of 300 octets between two of a station. */
  g_assert_cmpuint (test->link.round_trip_ms, >=, 900);
  g_assert_cmpuint (test->link.round_trip_ms, <, 2000);
  g_assert_cmpuint (test->link.octets_per_second, >, 6000);
  g_assert_cmpuint (test->link.octets_per_second, <, 11520);
  g_assert_cmpuint (test->link.load_permille, >, 800);
}

/* ---- Bad company ---- */

/* Through an adapter that holds octets back for 16 ms. */
static void
test_late (Test *test, gconstpointer data)
{
  add_nodes (test, 4);
  for (guint i = 0; i < 4; i++)
    node_at (test, i)->delay = 26 * MS;
  until_up (test, 4, 30 * SECOND);
  pass (test, 10 * SECOND);
  g_assert_cmpuint (test->downs, ==, 0);
  g_assert_cmpint (test->master.exchange.wait, >=, 30 * MS);
  g_assert_cmpint (test->master.exchange.wait, <=, GW_EXCHANGE_WAIT_MAX_MS * MS);
  g_assert_cmpuint (test->troubles[GW_MULTIDROP_SLOW], >=, 1);
  g_assert_cmpuint (test->troubles[GW_MULTIDROP_SLOW], <=, 5);
  for (guint i = 0; i < 4; i++)
    node_at (test, i)->delay = MS;
  pass (test, 300 * SECOND);
  g_assert_cmpint (test->master.exchange.wait, ==, GW_STATION_WAIT_MS * MS);
}

/* One that never keeps to the time does not take the others along. */
static void
test_always_late (Test *test, gconstpointer data)
{
  add_nodes (test, 4);
  until_up (test, 4, 5 * SECOND);
  node_at (test, 0)->delay = 150 * MS;
  pass (test, 20 * SECOND);
  g_assert_cmpuint (test->ups - test->downs, >=, 3);
  for (guint i = 1; i < 4; i++)
    g_assert_cmpuint (test->up_at[node_at (test, i)->station.address], ==, 1);
}

static void
test_echo (Test *test, gconstpointer data)
{
  test->echo = TRUE;
  add_nodes (test, 16);
  until_up (test, 16, 10 * SECOND);
  for (guint a = 1; a <= 16; a++)
    push (test, a, 5);
  for (guint i = 0; i < 16; i++)
    node_at (test, i)->got = 0;
  pass (test, 10 * SECOND);
  for (guint i = 0; i < 16; i++)
    g_assert_cmpuint (node_at (test, i)->got, ==, 5);
  g_assert_cmpuint (test->downs, ==, 0);
  g_assert_cmpuint (test->ups, ==, 16);
  g_assert_cmpuint (test->master.refused, ==, 0);
}

/* Named by its number, once; the others stay. */
static void
test_liars (Test *test, gconstpointer data)
{
  add_nodes (test, 8);
  node_at (test, 0)->hello_lies = TRUE;
  node_at (test, 1)->deaf_to_mute = TRUE;
  until_up (test, 7, 10 * SECOND);
  pass (test, 30 * SECOND);
  g_assert_cmpuint (test->downs, ==, 0);
  /* The one that names itself otherwise than it was found is looked at again, and is somebody else then. */
  g_assert_cmpuint (test->ups, <=, 8);
  g_assert_cmpuint (test->troubles[GW_MULTIDROP_LIES], >=, 1);
  g_assert_cmpuint (test->troubles[GW_MULTIDROP_LIES], <=, 40);
}

/* Found by one uid, it answers the question by another: it is not taken for either. */
static void
test_hello_lies (Test *test, gconstpointer data)
{
  add_node (test)->hello_lies = TRUE;
  pass (test, 3 * SECOND);
  g_assert_cmpuint (test->ups, ==, 0);
  g_assert_cmpuint (test->troubles[GW_MULTIDROP_LIES], ==, 1);
}

/* It answers every poll and every probe: nothing works while it is there, all comes back when it has gone. */
static void
test_answers_all (Test *test, gconstpointer data)
{
  Node *node;

  add_nodes (test, 4);
  until_up (test, 4, 5 * SECOND);
  node = add_node (test);
  node->answers_all = TRUE;
  pass (test, 120 * SECOND);
  /* Ever another number: not a line for each. */
  g_assert_cmpuint (test->troubles[GW_MULTIDROP_LIES], <=, 8);
  node->off = TRUE;
  until_up (test, 4, 60 * SECOND);
  pass (test, 10 * SECOND);
  g_assert_cmpuint (test->ups - test->downs, ==, 4);
}

/* Two with one number: both are left alone until they have forgotten it, then each has its own. */
static void
test_shared (Test *test, gconstpointer data)
{
  add_nodes (test, 2);
  until_up (test, 2, 5 * SECOND);
  node_at (test, 1)->station.address = node_at (test, 0)->station.address;
  pass (test, 15 * SECOND);
  g_assert_cmpuint (test->downs, ==, 2);
  until_up (test, 2, 60 * SECOND);
  g_assert_cmpuint (test->troubles[GW_MULTIDROP_SHARED], >=, 1);
  g_assert_cmpuint (node_at (test, 0)->station.address, !=, node_at (test, 1)->station.address);
}

/* A chip and its copy, there from the beginning: neither can be heard, and it is said which. */
static void
test_twins (Test *test, gconstpointer data)
{
  guint64 uid;

  add_nodes (test, 4);
  memcpy (node_at (test, 3)->kid, node_at (test, 2)->kid, sizeof node_at (test, 3)->kid);
  power_up (node_at (test, 3));
  uid = node_at (test, 3)->station.uid;
  until_up (test, 2, 5 * SECOND);
  pass (test, 50 * SECOND);
  g_assert_cmpuint (test->ups, ==, 2);
  g_assert_cmpuint (test->troubles[GW_MULTIDROP_TWINS], ==, 1);
  g_assert_cmphex (gw_multidrop_get_uid (&test->master), ==, uid);
  node_at (test, 2)->off = TRUE;
  until_up (test, 3, 60 * SECOND);
}

/* A driver that stays on: octets without end. */
static void
test_jammed (Test *test, gconstpointer data)
{
  add_nodes (test, 2);
  until_up (test, 2, 5 * SECOND);
  for (guint i = 0; i < 30000; i++)
    {
      gw_multidrop_heard (&test->master, 12, test->now);
      test->due = gw_multidrop_tick (&test->master, test->now);
      for (guint k = 0; k < 2; k++)
        node_at (test, k)->len = 0;
      test->sent_ends = 0;
      test->now += MS;
    }
  g_assert_true (test->link.jammed);
  g_assert_cmpuint (test->downs, ==, 2);
  g_assert_cmpuint (test->troubles[GW_MULTIDROP_JAMMED], ==, 1);
  test->due = test->now;
  until_up (test, 2, 5 * SECOND);
}

/* Good frames of its own number that nobody asked for. */
static void
test_babbles (Test *test, gconstpointer data)
{
  GwFrame frame = { .poll = true };

  add_nodes (test, 4);
  until_up (test, 4, 5 * SECOND);
  pass (test, 10 * SECOND);
  frame.address = node_at (test, 3)->station.address;
  for (guint i = 0; i < 100; i++)
    {
      pass (test, 25 * MS);
      if (test->master.exchange.phase != GW_EXCHANGE_IDLE)
        continue;
      gw_multidrop_heard (&test->master, 6, test->now);
      gw_multidrop_take (&test->master, &frame, test->now);
    }
  g_assert_cmpuint (test->link.culprit, ==, frame.address);
  g_assert_cmpuint (test->troubles[GW_MULTIDROP_BABBLES], ==, 1);
  g_assert_cmpuint (test->trouble_address[GW_MULTIDROP_BABBLES], ==, frame.address);
  g_assert_cmpuint (test->downs, ==, 0);
}

static void
test_end (Test *test, gconstpointer data)
{
  add_nodes (test, 4);
  until_up (test, 4, 5 * SECOND);
  gw_multidrop_end (&test->master);
  g_assert_cmpuint (test->downs, ==, 4);
  g_assert_cmpint (test->why, ==, GW_SERIAL_DOWN_GONE);
  g_assert_cmpint (gw_multidrop_tick (&test->master, test->now + SECOND), ==, G_MAXINT64);
}

#define ADD(path, func) g_test_add (path, Test, NULL, setup, func, teardown)
#define ADD_N(path, func, n) g_test_add (path, Test, GUINT_TO_POINTER (n), setup, func, teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("/serial-multidrop/nobody", test_nobody);
  ADD ("/serial-multidrop/one", test_one);
  ADD_N ("/serial-multidrop/many/16", test_many, 16);
  ADD_N ("/serial-multidrop/many/254", test_many, 254);
  ADD ("/serial-multidrop/hot-plug", test_hot_plug);
  ADD ("/serial-multidrop/restart", test_restart);
  ADD ("/serial-multidrop/power-cycle", test_power_cycle);
  ADD ("/serial-multidrop/unplug", test_unplug);
  ADD ("/serial-multidrop/not-taken", test_not_taken);
  ADD ("/serial-multidrop/datagrams", test_datagrams);
  ADD ("/serial-multidrop/rate", test_rate);
  ADD ("/serial-multidrop/fair", test_fair);
  ADD ("/serial-multidrop/loss", test_loss);
  ADD ("/serial-multidrop/round-trip", test_round_trip);
  ADD ("/serial-multidrop/late", test_late);
  ADD ("/serial-multidrop/always-late", test_always_late);
  ADD ("/serial-multidrop/echo", test_echo);
  ADD ("/serial-multidrop/liars", test_liars);
  ADD ("/serial-multidrop/hello-lies", test_hello_lies);
  ADD ("/serial-multidrop/answers-all", test_answers_all);
  ADD ("/serial-multidrop/shared", test_shared);
  ADD ("/serial-multidrop/twins", test_twins);
  ADD ("/serial-multidrop/jammed", test_jammed);
  ADD ("/serial-multidrop/babbles", test_babbles);
  ADD ("/serial-multidrop/end", test_end);
  return g_test_run ();
}
