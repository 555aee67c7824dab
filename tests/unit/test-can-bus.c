/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The CAN bus of gangway-can alone: on a bus that the test plays, with arbitration and true wire times on a clock of its
 * own, and nodes made of the endpoint's LSS slave and ISO-TP. Everything is deterministic; no time passes. */

#include <glib.h>
#include <string.h>

#include "gw-can-bus.h"
#include "gw-isotp.h"
#include "gw-lss-slave.h"

#define MS G_GINT64_CONSTANT (1000)
#define SEC (1000 * MS)
#define RATE 500000
#define NODES_MAX 40
#define RECORD_HEADER 13
#define BABBLERS_ID 0x100

typedef enum
{
  BABBLE_NONE,
  BABBLE_FIRST,    /* first frames, each of which asks for flow control */
  BABBLE_RECORDS,  /* whole short datagrams */
  BABBLE_FOREIGN,  /* an id that is nobody's, and wins */
} Babble;

typedef struct
{
  gboolean plugged;
  GwLssSlave slave;
  GwIsotp isotp;
  guint8 kid[GW_KEY_ID_LEN];
  guint8 rx[GW_CAN_DATAGRAM_MAX], tx[GW_CAN_DATAGRAM_MAX];
  guint8 number; /* that ISO-TP has */
  gboolean foreign;    /* no LSS, no ISO-TP: a heartbeat only */
  gint64 beat_every, beat_at;
  gboolean stalls;     /* takes first frames, and says nothing */
  gboolean renamed;    /* answers hello by another key id than LSS knows */
  gint64 late_usec, late_until; /* answers hello so much later */
  gboolean has_lss, has_other;
  GwCanFrame lss, other; /* waiting for the bus */
  Babble babble;
  guint babble_permille;
  gint64 babble_at;
  guint8 babble_step;
  guint64 got, got_octets; /* datagrams from the gateway */
  guint flows;             /* flow control frames to it */
  guint resets;
} Node;

typedef struct
{
  GwCanBus *bus;
  guint32 rate;
  gint64 now_nsec;
  Node nodes[NODES_MAX];
  guint n_nodes;
  gboolean pending; /* the gateway's mailbox */
  GwCanFrame frame;
  guint32 tag;
  guint ups[GW_CAN_NODES], downs[GW_CAN_NODES];
  GwCanDown why;
  gboolean refuse;
  guint feed[GW_CAN_NODES]; /* octets of the datagrams that it never runs out of */
  guint64 received, received_octets; /* from nodes */
  guint64 received_of[GW_CAN_NODES];
  guint last_len;
  guint news[GW_CAN_N_NEWS];
  guint nmt, lss_requests;
  guint64 frames;
  guint64 busy_nsec;
} Test;

/* ---- The owner ---- */

static bool
on_up (void *owner, unsigned number, const GwLinkHello *hello, GwBytes body, uint32_t rtt_ms)
{
  Test *test = owner;

  g_assert_cmpuint (rtt_ms, >, 0);
  g_assert_cmpuint (body.len, >, 0);
  if (!test->refuse)
    test->ups[number]++;
  return !test->refuse;
}

static void
on_down (void *owner, unsigned number, GwCanDown why)
{
  Test *test = owner;

  test->downs[number]++;
  test->why = why;
}

static void
on_datagram (void *owner, unsigned number, GwBytes datagram)
{
  Test *test = owner;

  g_assert_cmpuint (datagram.ptr[0], ==, 0x17);
  test->received++;
  test->received_of[number]++;
  test->received_octets += datagram.len;
  test->last_len = (guint) datagram.len;
}

/* One whole DTLS record of @len octets in all. */
static void
make_record (guint8 *out, gsize len, guint8 fill)
{
  memset (out, fill, len);
  memcpy (out, "\x17\xfe\xfd", 3);
  out[RECORD_HEADER - 2] = (guint8) ((len - RECORD_HEADER) >> 8);
  out[RECORD_HEADER - 1] = (guint8) (len - RECORD_HEADER);
}

static size_t
on_next (void *owner, unsigned number, uint8_t *out)
{
  Test *test = owner;

  if (test->feed[number] != 0)
    make_record (out, test->feed[number], (guint8) number);
  return test->feed[number];
}

static void
on_news (void *owner, GwCanNews what, unsigned number)
{
  ((Test *) owner)->news[what]++;
}

static void
on_trouble (void *owner, GwLssTrouble kind, const uint8_t *uid)
{
}

static const GwCanBusFuncs funcs = {
  .up = on_up,
  .down = on_down,
  .datagram = on_datagram,
  .next = on_next,
  .news = on_news,
  .trouble = on_trouble,
};

/* ---- Nodes ---- */

static gint64
now_usec (Test *test)
{
  return test->now_nsec / 1000;
}

static void
power_on (Test *test, Node *node)
{
  guint32 identity[GW_LSS_N_SUBS];

  gw_lss_identity (0, node->kid, identity);
  gw_lss_slave_init (&node->slave, identity);
  node->plugged = TRUE;
  node->number = 0;
  node->has_lss = node->has_other = FALSE;
}

static Node *
add_node (Test *test)
{
  Node *node = &test->nodes[test->n_nodes++];
  GRand *rand = g_rand_new_with_seed (test->n_nodes);

  g_assert_cmpuint (test->n_nodes, <=, NODES_MAX);
  for (guint i = 0; i < sizeof node->kid; i++)
    node->kid[i] = (guint8) g_rand_int_range (rand, 0, 256);
  g_rand_free (rand);
  power_on (test, node);
  return node;
}

static void
start_isotp (Node *node, guint8 number)
{
  GwIsotpConfig config;

  gw_isotp_config_default (
      &config, gw_can_isotp_id (GW_CAN_GATEWAY_ADDRESS, number), gw_can_isotp_id (number, GW_CAN_GATEWAY_ADDRESS));
  gw_isotp_init (&node->isotp, &config, node->rx, sizeof node->rx);
  node->number = number;
}

static void
answer_hello (Test *test, Node *node, GwBytes datagram)
{
  GwLinkHello hello = { .version = 1, .mtu = 1024, .security = GW_LINK_SEC_DTLS12, .has_nonce = true };
  GwLinkHelloReq req;
  GwSmpMessage msg;
  GwCborWriter w;
  size_t len;

  if (gw_isotp_is_sending (&node->isotp))
    return;
  g_assert_cmpint (gw_smp_decode (datagram.ptr, datagram.len, &msg), ==, GW_OK);
  g_assert_cmpint (gw_link_hello_req_decode (msg.body, &req), ==, GW_OK);
  memcpy (hello.kid, node->kid, sizeof hello.kid);
  hello.kid[0] ^= node->renamed ? 0xff : 0;
  memcpy (hello.uid, hello.kid, sizeof hello.uid);
  memcpy (hello.nonce, req.nonce, sizeof hello.nonce);
  hello.manufacturer = gw_text ("Maker");
  hello.model = gw_text ("M1");
  hello.serial = gw_text ("7");
  hello.firmware = gw_text ("1.0");
  gw_smp_begin_response (&w, node->tx, sizeof node->tx, &msg);
  gw_link_hello_rsp_encode (&hello, &w);
  g_assert_cmpint (gw_smp_end (&w, &len), ==, GW_OK);
  gw_isotp_send (&node->isotp, (GwBytes){ node->tx, len }, now_usec (test));
  node->late_until = now_usec (test) + node->late_usec;
}

static void
handle (Test *test, Node *node, GwIsotpEvent event)
{
  GwBytes message;

  if (event != GW_ISOTP_RECEIVED)
    return;
  message = gw_isotp_message (&node->isotp);
  if (message.ptr[0] == 0x17)
    {
      node->got++;
      node->got_octets += message.len;
    }
  else
    answer_hello (test, node, message);
}

static void
node_takes (Test *test, Node *node, const GwCanFrame *frame)
{
  bool answers = false;
  GwLssSlaveEvent event;

  if (node->foreign)
    return;
  event = gw_lss_slave_take (&node->slave, frame, now_usec (test), &node->lss, &answers);
  node->has_lss = node->has_lss || answers;
  if (event == GW_LSS_SLAVE_NUMBERED)
    start_isotp (node, node->slave.node_id);
  if (event == GW_LSS_SLAVE_RESET)
    {
      node->resets++;
      node->number = 0;
      node->has_other = FALSE;
    }
  if (node->number == 0 || frame->id != node->isotp.config.rx_id || !frame->extended)
    return;
  node->flows += frame->data[0] >> 4 == 3;
  if (!node->stalls)
    handle (test, node, gw_isotp_take (&node->isotp, frame, now_usec (test)));
}

static void
babble (Test *test, Node *node)
{
  GwCanFrame *frame = &node->other;

  if (node->babble == BABBLE_NONE || node->has_other || now_usec (test) < node->babble_at || node->number == 0)
    return;
  *frame = (GwCanFrame){ .id = node->isotp.config.tx_id, .extended = true, .len = 8 };
  memset (frame->data, 0x1c, sizeof frame->data);
  switch (node->babble)
    {
    case BABBLE_FIRST:
      frame->data[0] = 0x10; /* 100 octets */
      frame->data[1] = 100;
      break;
    case BABBLE_RECORDS:
      /* 0x14 0x17: a record of 13 + 1 octets in a first and two consecutive frames. */
      {
        guint8 record[RECORD_HEADER + 1];

        make_record (record, sizeof record, 0);
        frame->data[0] = node->babble_step == 0 ? 0x10 : 0x20 | node->babble_step;
        if (node->babble_step == 0)
          {
            frame->data[1] = sizeof record;
            memcpy (frame->data + 2, record, 6);
          }
        else
          memcpy (frame->data + 1, record + 6 + 7 * (node->babble_step - 1), node->babble_step == 1 ? 7 : 1);
        node->babble_step = (node->babble_step + 1) % 3;
      }
      break;
    case BABBLE_FOREIGN:
    case BABBLE_NONE:
      frame->id = BABBLERS_ID;
      frame->extended = false;
      break;
    }
  node->has_other = TRUE;
  /* Time that it could not send is made up for. */
  node->babble_at = MAX (node->babble_at, now_usec (test) - SEC)
                    + (gint64) (gw_can_frame_nsec (frame, test->rate, test->rate) / node->babble_permille);
  /* Only what comes after flow control is taken. */
  if (node->babble == BABBLE_RECORDS && node->babble_step == 1)
    node->babble_at = MAX (node->babble_at, now_usec (test) + MS / 2);
}

/* What a node has for the bus; NULL: nothing. */
static const GwCanFrame *
node_frame (Test *test, Node *node)
{
  gint64 now = now_usec (test);

  if (node->foreign)
    {
      if (!node->has_other && now >= node->beat_at)
        {
          gw_heartbeat_encode (node->number, GW_HEARTBEAT_OPERATIONAL, &node->other);
          node->has_other = TRUE;
          node->beat_at = now + node->beat_every;
        }
      return node->has_other ? &node->other : NULL;
    }
  if (!node->has_lss && gw_lss_slave_due (&node->slave) <= now)
    node->has_lss = gw_lss_slave_tick (&node->slave, now, &node->lss);
  babble (test, node);
  if (node->number != 0 && gw_isotp_due (&node->isotp) <= now)
    handle (test, node, gw_isotp_tick (&node->isotp, now));
  if (node->has_lss)
    return &node->lss;
  if (!node->has_other && node->number != 0 && !node->stalls && now >= node->late_until)
    node->has_other = gw_isotp_pull (&node->isotp, now, &node->other);
  return node->has_other ? &node->other : NULL;
}

static void
node_sent (Test *test, Node *node, const GwCanFrame *frame)
{
  if (frame == &node->lss)
    node->has_lss = FALSE;
  else
    {
      node->has_other = FALSE;
      if (!node->foreign && node->babble == BABBLE_NONE && node->number != 0)
        gw_isotp_confirm (&node->isotp, now_usec (test));
    }
}

/* ---- The bus ---- */

static gint64
next_due (Test *test)
{
  gint64 due = gw_can_bus_due (test->bus, now_usec (test));

  for (guint i = 0; i < test->n_nodes; i++)
    {
      Node *node = &test->nodes[i];

      if (!node->plugged)
        continue;
      if (node->foreign)
        due = MIN (due, node->beat_at);
      else
        due = MIN (due, gw_lss_slave_due (&node->slave));
      if (!node->foreign && node->number != 0)
        due = MIN (due, gw_isotp_due (&node->isotp));
      if (node->late_until > now_usec (test))
        due = MIN (due, node->late_until);
      if (node->babble != BABBLE_NONE && node->number != 0)
        due = MIN (due, node->babble_at);
    }
  return due;
}

/* The frame that wins, and whose it is: -1 the gateway's. */
static const GwCanFrame *
arbitrate (Test *test, int *winner)
{
  const GwCanFrame *best = NULL;

  gw_can_bus_tick (test->bus, now_usec (test));
  if (!test->pending)
    test->pending = gw_can_bus_pull (test->bus, &test->frame, &test->tag, now_usec (test));
  if (test->pending)
    best = &test->frame;
  *winner = -1;
  for (guint i = 0; i < test->n_nodes; i++)
    {
      const GwCanFrame *frame = test->nodes[i].plugged ? node_frame (test, &test->nodes[i]) : NULL;

      if (frame == NULL || (best != NULL && !gw_can_frame_wins (frame, best)))
        continue;
      best = frame;
      *winner = (int) i;
    }
  return best;
}

/* Equal frames that begin together are one on the bus, and all who send it believe it is theirs. */
static gboolean
has_sent_too (Test *test, Node *node, const GwCanFrame *frame)
{
  if (node->has_lss && memcmp (&node->lss, frame, sizeof *frame) == 0)
    node_sent (test, node, &node->lss);
  else if (node->has_other && memcmp (&node->other, frame, sizeof *frame) == 0)
    node_sent (test, node, &node->other);
  else
    return FALSE;
  return TRUE;
}

static void
deliver (Test *test, const GwCanFrame *frame, int winner)
{
  const GwCanFrame copy = *frame;

  test->frames++;
  for (guint i = 0; i < test->n_nodes; i++)
    if (test->nodes[i].plugged && (int) i != winner && !has_sent_too (test, &test->nodes[i], &copy))
      node_takes (test, &test->nodes[i], &copy);
  if (winner >= 0)
    {
      node_sent (test, &test->nodes[winner], frame);
      gw_can_bus_take (test->bus, &copy, now_usec (test));
      return;
    }
  test->pending = FALSE;
  test->nmt += copy.id == GW_NMT_ID;
  test->lss_requests += copy.id == GW_LSS_ID_MASTER;
  gw_can_bus_sent (test->bus, test->tag, &copy, now_usec (test));
}

/* Lets the bus run for so long. */
static void
run (Test *test, gint64 usec)
{
  gint64 end = test->now_nsec + usec * 1000;

  while (test->now_nsec < end)
    {
      int winner;
      const GwCanFrame *frame = arbitrate (test, &winner);

      if (frame != NULL)
        {
          guint64 nsec = gw_can_frame_nsec (frame, test->rate, test->rate);

          test->now_nsec += nsec;
          test->busy_nsec += nsec;
          deliver (test, frame, winner);
        }
      else
        {
          gint64 due = next_due (test);

          g_assert_cmpint (due, >, now_usec (test) - 1);
          test->now_nsec = MIN (end, MAX (due, now_usec (test) + 1) * 1000);
        }
    }
}

static void
start_bus (Test *test)
{
  const GwCanBusConfig config = { .nonce = { 1, 2, 3, 4, 5, 6, 7 } };

  test->bus = gw_can_bus_new (&config, &funcs, test, now_usec (test));
  gw_can_bus_set_link (test->bus, test->rate, 0, false);
}

static void
setup (Test *test, gconstpointer data)
{
  test->rate = RATE;
  test->now_nsec = 1000 * SEC * 1000;
  start_bus (test);
}

static void
teardown (Test *test, gconstpointer data)
{
  gw_can_bus_free (test->bus);
}

static void
run_until_up (Test *test, guint n, gint64 at_most)
{
  gint64 end = now_usec (test) + at_most;

  while (gw_can_bus_count_up (test->bus) < n && now_usec (test) < end)
    run (test, 10 * MS);
  g_assert_cmpuint (gw_can_bus_count_up (test->bus), ==, n);
}

static guint
add_nodes_up (Test *test, guint n)
{
  for (guint i = 0; i < n; i++)
    add_node (test);
  run_until_up (test, test->n_nodes, 20 * SEC);
  return n;
}

/* ---- Who is there ---- */

static void
test_discovery (Test *test, gconstpointer data)
{
  gint64 begin = now_usec (test);
  gboolean used[GW_CAN_NODES] = { FALSE };

  add_nodes_up (test, 32);
  g_test_message ("32 nodes in %.2f s, the bus busy for %.2f s of it",
                  (double) (now_usec (test) - begin) / SEC,
                  (double) test->busy_nsec / SEC / 1000);
  g_assert_cmpint (now_usec (test) - begin, <, 8 * SEC);
  for (guint i = 0; i < test->n_nodes; i++)
    {
      guint8 number = test->nodes[i].slave.node_id;

      g_assert_cmpuint (number, >=, 1);
      g_assert_cmpuint (number, <=, 127);
      g_assert_false (used[number]);
      used[number] = TRUE;
      g_assert_cmpuint (test->ups[number], ==, 1);
    }
}

/* After our own restart everybody keeps number and life. */
static void
test_restart (Test *test, gconstpointer data)
{
  guint8 numbers[NODES_MAX];

  add_nodes_up (test, 12);
  for (guint i = 0; i < 12; i++)
    numbers[i] = test->nodes[i].slave.node_id;
  gw_can_bus_free (test->bus);
  test->pending = FALSE;
  add_node (test); /* came meanwhile, and gets none of theirs */
  start_bus (test);
  run_until_up (test, 13, 3 * SEC);
  for (guint i = 0; i < 12; i++)
    {
      g_assert_cmpuint (test->nodes[i].slave.node_id, ==, numbers[i]);
      g_assert_cmpuint (test->nodes[12].slave.node_id, !=, numbers[i]);
      g_assert_cmpuint (test->ups[numbers[i]], ==, 2);
    }
  g_assert_cmpuint (test->nmt, ==, 0);
}

/* Noticed within three seconds, also where traffic fills the bus in both directions. */
static void
test_hot_plug (Test *test, gconstpointer data)
{
  add_nodes_up (test, 8);
  for (guint round = 0; round < 2; round++)
    {
      add_node (test);
      run_until_up (test, test->n_nodes, 3 * SEC);
      for (guint i = 0; i < 8; i++)
        {
          test->feed[test->nodes[i].number] = 400;
          gw_can_bus_kick (test->bus, test->nodes[i].number);
        }
      run (test, SEC);
    }
  g_assert_cmpuint (gw_can_load_permille (gw_can_bus_get_load (test->bus)), >, 900);
}

/* Off and on again: the same number, and to the agent nothing has happened. */
static void
test_reboot (Test *test, gconstpointer data)
{
  Node *node = &test->nodes[1];
  guint8 number;

  add_nodes_up (test, 3);
  number = node->number;
  node->plugged = FALSE;
  run (test, 2 * SEC);
  power_on (test, node);
  run (test, 3 * SEC);
  g_assert_cmpuint (node->slave.node_id, ==, number);
  g_assert_cmpuint (test->downs[number], ==, 0);
  g_assert_cmpuint (test->ups[number], ==, 1);
  g_assert_true (gw_can_bus_is_up (test->bus, number));
}

static void
test_silent (Test *test, gconstpointer data)
{
  guint8 number;

  add_nodes_up (test, 3);
  number = test->nodes[0].number;
  test->nodes[0].plugged = FALSE;
  run (test, 6 * SEC);
  g_assert_cmpuint (test->downs[number], ==, 0);
  run (test, 2 * SEC);
  g_assert_cmpuint (test->downs[number], ==, 1);
  g_assert_cmpint (test->why, ==, GW_CAN_DOWN_SILENT);
  g_assert_cmpuint (gw_can_bus_count_up (test->bus), ==, 2);
  /* It was only unplugged from the bus: it has its number still. */
  test->nodes[0].plugged = TRUE;
  run_until_up (test, 3, 3 * SEC);
  g_assert_cmpuint (test->nodes[0].slave.node_id, ==, number);
}

/* Two who have one number get two. */
static void
test_two_on_one (Test *test, gconstpointer data)
{
  Node *a, *b;

  add_nodes_up (test, 3);
  a = &test->nodes[0];
  b = add_node (test);
  b->slave.node_id = a->slave.node_id;
  b->slave.heartbeat_at = now_usec (test) + 500 * MS;
  start_isotp (b, a->number);
  run_until_up (test, 4, 15 * SEC);
  g_assert_cmpuint (a->slave.node_id, !=, b->slave.node_id);
  g_assert_cmpuint (test->nmt, ==, 1);
  g_assert_cmpuint (test->news[GW_CAN_NEWS_TWO_ON_ONE], ==, 1);
  run (test, 30 * SEC);
  g_assert_cmpuint (test->nmt, ==, 1);
  g_assert_cmpuint (gw_can_bus_count_up (test->bus), ==, 4);
}

/* Four of one number, whose hearts beat almost at the same moment. */
static void
test_four_on_one (Test *test, gconstpointer data)
{
  add_nodes_up (test, 1);
  for (guint i = 1; i < 4; i++)
    {
      Node *node = add_node (test);

      node->slave.node_id = test->nodes[0].slave.node_id;
      node->slave.heartbeat_at = test->nodes[0].slave.heartbeat_at + i * MS;
      start_isotp (node, node->slave.node_id);
    }
  run_until_up (test, 4, 20 * SEC);
  g_assert_cmpuint (test->nmt, ==, 1);
}

/* Both answer hello, one after the other: two key ids to one question. */
static void
test_two_answers (Test *test, gconstpointer data)
{
  Node *a = add_node (test), *b = add_node (test);

  a->slave.node_id = b->slave.node_id = 9;
  a->slave.heartbeat_at = b->slave.heartbeat_at = now_usec (test) + 1;
  start_isotp (a, 9);
  start_isotp (b, 9);
  b->late_usec = 300 * MS;
  run (test, 2 * SEC);
  g_assert_cmpuint (test->nmt, ==, 1);
  run_until_up (test, 2, 10 * SEC);
  g_assert_cmpuint (test->nmt, ==, 1);
  g_assert_cmpuint (a->slave.node_id, !=, b->slave.node_id);
}

/* Heartbeats that waited for a full bus come at once, and are one node's all the same. */
static void
test_late_beats (Test *test, gconstpointer data)
{
  Node *node = &test->nodes[0];

  add_nodes_up (test, 2);
  for (guint round = 0; round < 10; round++)
    {
      GwCanFrame beat;

      node->plugged = FALSE; /* from the bus, for three seconds */
      run (test, 3 * SEC);
      gw_heartbeat_encode (node->number, GW_HEARTBEAT_OPERATIONAL, &beat);
      for (guint i = 0; i < 3; i++)
        gw_can_bus_take (test->bus, &beat, now_usec (test));
      node->plugged = TRUE;
      run (test, 2 * SEC);
    }
  g_assert_cmpuint (test->nmt, ==, 0);
  g_assert_cmpuint (gw_can_bus_count_up (test->bus), ==, 2);
}

/* Says one uid to LSS and another to us: taken back for a try, then as it says; never in circles. */
static void
test_other_uid (Test *test, gconstpointer data)
{
  add_nodes_up (test, 2);
  add_node (test)->renamed = TRUE;
  run_until_up (test, 3, 40 * SEC);
  run (test, 60 * SEC);
  g_assert_cmpuint (gw_can_bus_count_up (test->bus), ==, 3);
  g_test_message ("numbers were taken back %u times", test->nmt);
  g_assert_cmpuint (test->nmt, <=, 3);
}

/* Any CANopen device sends heartbeats; ours it is not, and neither is its number. */
static void
test_foreign (Test *test, gconstpointer data)
{
  Node *node = add_node (test);

  node->foreign = TRUE;
  node->number = 1;
  node->beat_every = 100 * MS;
  node->beat_at = now_usec (test);
  for (guint i = 0; i < 3; i++)
    add_node (test);
  run (test, 60 * SEC);
  g_assert_cmpuint (gw_can_bus_count_up (test->bus), ==, 3);
  g_assert_cmpuint (test->nmt, ==, 0);
  g_assert_cmpuint (test->ups[1], ==, 0);
  g_assert_cmpuint (test->news[GW_CAN_NEWS_NO_ANSWER], >=, 1);
  for (guint i = 1; i < 4; i++)
    g_assert_cmpuint (test->nodes[i].slave.node_id, !=, 1);
}

/* The agent takes no more: asked again, and taken when there is room. */
static void
test_refused (Test *test, gconstpointer data)
{
  test->refuse = TRUE;
  add_node (test);
  run (test, 10 * SEC);
  g_assert_cmpuint (gw_can_bus_count_up (test->bus), ==, 0);
  test->refuse = FALSE;
  gw_can_bus_scan (test->bus, now_usec (test));
  run_until_up (test, 1, SEC);
}

/* ---- What is carried ---- */

static void
send_record (Test *test, Node *node, gsize len)
{
  make_record (node->tx, len, 3);
  g_assert_cmpint (gw_isotp_send (&node->isotp, (GwBytes){ node->tx, len }, now_usec (test)), ==, GW_OK);
}

static void
test_datagrams (Test *test, gconstpointer data)
{
  static const guint lens[] = { RECORD_HEADER, 14, 100, 512, GW_CAN_DATAGRAM_MAX };
  Node *node = &test->nodes[0];

  add_nodes_up (test, 2);
  for (guint i = 0; i < G_N_ELEMENTS (lens); i++)
    {
      test->feed[node->number] = lens[i];
      gw_can_bus_kick (test->bus, node->number);
      send_record (test, node, lens[i]);
      run (test, 3 * MS); /* it is under way: the next one is none */
      test->feed[node->number] = 0;
      run (test, 300 * MS);
      g_assert_cmpuint (node->got, >=, i + 1);
      g_assert_cmpuint (test->received, ==, i + 1);
      g_assert_cmpuint (test->last_len, ==, lens[i]);
    }
  g_assert_cmpuint (gw_can_bus_get_retries (test->bus, node->number), ==, 0);
}

/* What is too long is refused by flow control; what is none does not reach the agent. */
static void
test_bad_datagrams (Test *test, gconstpointer data)
{
  Node *node = &test->nodes[0];
  GwCanBusCounters counters;
  static guint8 big[GW_CAN_DATAGRAM_MAX + 1];

  add_nodes_up (test, 1);
  make_record (big, sizeof big, 1);
  g_assert_cmpint (gw_isotp_send (&node->isotp, (GwBytes){ big, sizeof big }, now_usec (test)), ==, GW_OK);
  run (test, 100 * MS);
  g_assert_cmpint (gw_isotp_send_failure (&node->isotp), ==, GW_ISOTP_N_BUFFER_OVFLW);
  memset (node->tx, 0x40, 20);
  gw_isotp_send (&node->isotp, (GwBytes){ node->tx, 20 }, now_usec (test));
  run (test, 100 * MS);
  make_record (node->tx, 20, 0);
  gw_isotp_send (&node->isotp, (GwBytes){ node->tx, 19 }, now_usec (test)); /* a record cut short */
  run (test, 100 * MS);
  gw_can_bus_get_counters (test->bus, &counters);
  g_assert_cmpuint (test->received, ==, 0);
  g_assert_cmpuint (counters.refused, ==, 2);
  g_assert_cmpuint (counters.overflows, ==, 1);
  g_assert_cmpuint (counters.transfers_failed, ==, 0);
}

/* ---- Fairness ---- */

static void
feed_all (Test *test, guint from, guint len)
{
  for (guint i = from; i < test->n_nodes; i++)
    {
      test->nodes[i].got = test->nodes[i].got_octets = 0;
      test->feed[test->nodes[i].number] = len;
      gw_can_bus_kick (test->bus, test->nodes[i].number);
    }
}

static guint64
octets_got (Test *test, guint from)
{
  guint64 sum = 0;

  for (guint i = from; i < test->n_nodes; i++)
    sum += test->nodes[i].got_octets;
  return sum;
}

static void
test_equal_shares (Test *test, gconstpointer data)
{
  add_nodes_up (test, 6);
  feed_all (test, 0, 300);
  run (test, 10 * SEC);
  for (guint i = 0; i < 6; i++)
    {
      g_assert_cmpuint (test->nodes[i].got_octets, >, octets_got (test, 0) / 6 * 95 / 100);
      g_assert_cmpuint (test->nodes[i].got_octets, <, octets_got (test, 0) / 6 * 105 / 100);
    }
  /* At 500 kbit/s the bound is about 25,000 octets a second; discovery goes on beside it. */
  g_test_message ("%" G_GUINT64_FORMAT " octets a second", octets_got (test, 0) / 10);
  g_assert_cmpuint (octets_got (test, 0) / 10, >, 21000);
}

/* What the other nodes get in @seconds while node 0 does whatever it does. */
static guint64
measure_others (Test *test, guint seconds)
{
  feed_all (test, 1, 300);
  run (test, 2 * SEC); /* until the load is known */
  feed_all (test, 1, 300);
  run (test, seconds * SEC);
  return octets_got (test, 1);
}

static void
test_mid_transfer_silence (Test *test, gconstpointer data)
{
  Node *node = &test->nodes[0];
  guint64 alone, beside;

  add_nodes_up (test, 5);
  alone = measure_others (test, 10);
  /* It begins messages and never ends them, and takes ours and never answers. */
  node->stalls = TRUE;
  test->feed[node->number] = 300;
  gw_can_bus_kick (test->bus, node->number);
  beside = measure_others (test, 10);
  g_test_message ("alone %" G_GUINT64_FORMAT ", beside %" G_GUINT64_FORMAT, alone, beside);
  g_assert_cmpuint (beside, >=, alone * 98 / 100);
  g_assert_cmpuint (gw_can_bus_get_retries (test->bus, node->number), >=, 8);
  g_assert_true (gw_can_bus_is_up (test->bus, node->number)); /* its heart beats */
}

typedef struct
{
  Babble babble;
  guint permille;
} BabbleCase;

/* The others keep nine tenths of what the babbler leaves, and it is named above half. */
static void
test_babbler (Test *test, gconstpointer data)
{
  const BabbleCase *how = data;
  Node *node = &test->nodes[0];
  const GwCanLoad *load = gw_can_bus_get_load (test->bus);
  guint64 alone, beside;
  guint flows;

  add_nodes_up (test, 5);
  alone = measure_others (test, 10);
  node->babble = how->babble;
  node->babble_permille = how->permille;
  node->babble_at = now_usec (test);
  node->has_other = FALSE;
  flows = node->flows;
  beside = measure_others (test, 10);
  g_test_message ("alone %" G_GUINT64_FORMAT ", beside %" G_GUINT64_FORMAT ", flow control %u/s, culprit %u at %u",
                  alone,
                  beside,
                  (node->flows - flows) / 12,
                  load->culprit,
                  load->culprit_permille);
  g_assert_cmpuint (beside, >=, alone * (1000 - how->permille) / 1000 * 90 / 100);
  if (how->permille > 500)
    g_assert_cmpuint (load->culprit, ==,
                      how->babble == BABBLE_FOREIGN ? GW_CAN_CULPRIT_FRAMES | BABBLERS_ID : node->number);
  else
    g_assert_cmpuint (load->culprit, ==, 0);
  if (load->culprit != 0)
    g_assert_cmpuint (load->culprit_permille, >, 500);
  /* Nobody else is lost over it. */
  g_assert_cmpuint (gw_can_bus_count_up (test->bus), ==, 5);
  node->babble = BABBLE_NONE;
  run (test, 2 * SEC);
  g_assert_cmpuint (load->culprit, ==, 0);
}

/* Where nobody knows the bit rate, half of a busy bus's traffic is half of the bus; that of an idle one is not. */
static void
test_babbler_without_rate (Test *test, gconstpointer data)
{
  Node *node = &test->nodes[0];
  const GwCanLoad *load = gw_can_bus_get_load (test->bus);

  add_nodes_up (test, 2);
  gw_can_bus_set_link (test->bus, 0, 0, false);
  node->babble = BABBLE_FIRST;
  node->babble_permille = 200;
  node->babble_at = now_usec (test);
  run (test, 5 * SEC);
  g_assert_cmpuint (load->culprit, ==, 0);
  node->babble_permille = 400;
  run (test, 5 * SEC);
  g_assert_cmpuint (load->culprit, ==, node->number);
  g_assert_cmpuint (gw_can_load_permille (load), ==, GW_CAN_LOAD_UNKNOWN);
}

/* Datagrams that look good, as many as the bus carries, reach the agent at a bounded rate. */
static void
test_flood_of_datagrams (Test *test, gconstpointer data)
{
  Node *node = &test->nodes[0];

  test->rate = 1000000;
  gw_can_bus_set_link (test->bus, test->rate, 0, false);
  add_nodes_up (test, 2);
  node->babble = BABBLE_RECORDS;
  node->babble_permille = 1000;
  node->babble_at = now_usec (test);
  run (test, 10 * SEC);
  g_test_message ("%" G_GUINT64_FORMAT " datagrams in 10 s", test->received);
  g_assert_cmpuint (test->received, >, 1000);
  g_assert_cmpuint (test->received, <=, 10 * GW_CAN_DATAGRAMS_RATE + GW_CAN_DATAGRAMS_BURST);
}

/* ---- The end ---- */

static void
test_end (Test *test, gconstpointer data)
{
  add_nodes_up (test, 3);
  gw_can_bus_end (test->bus);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (test->downs[test->nodes[i].number], ==, 1);
  g_assert_cmpint (test->why, ==, GW_CAN_DOWN_GONE);
}

/* The next frame of ISO-TP, whatever else goes before it. */
static bool
pull_isotp (Test *test, GwCanFrame *frame, guint32 *tag)
{
  while (gw_can_bus_pull (test->bus, frame, tag, now_usec (test)))
    {
      if (frame->extended)
        return true;
      gw_can_bus_sent (test->bus, *tag, frame, now_usec (test));
    }
  return false;
}

/* The time between frames that a node wants is kept on the bus, though the link says "sent" when it has only queued it. */
static void
test_separation (Test *test, gconstpointer data)
{
  GwCanFrame frame, flow = { .extended = true, .len = 3, .data = { 0x30, 0, 5 } };
  guint32 tag;
  guint8 n;

  add_nodes_up (test, 1);
  n = test->nodes[0].number;
  flow.id = gw_can_isotp_id (GW_CAN_GATEWAY_ADDRESS, n);
  test->feed[n] = 100;
  gw_can_bus_kick (test->bus, n);
  g_assert_true (pull_isotp (test, &frame, &tag));
  g_assert_cmphex (frame.data[0], ==, 0x10);
  gw_can_bus_sent (test->bus, tag, &frame, now_usec (test));
  gw_can_bus_take (test->bus, &flow, now_usec (test));
  gw_can_bus_set_ahead (test->bus, 2 * MS);
  g_assert_true (pull_isotp (test, &frame, &tag));
  g_assert_cmphex (frame.data[0], ==, 0x21);
  gw_can_bus_sent (test->bus, tag, &frame, now_usec (test));
  gw_can_bus_set_ahead (test->bus, 0);
  test->now_nsec += 7 * MS * 1000;
  gw_can_bus_tick (test->bus, now_usec (test));
  g_assert_false (pull_isotp (test, &frame, &tag));
  test->now_nsec += MS * 1000;
  gw_can_bus_tick (test->bus, now_usec (test));
  g_assert_true (pull_isotp (test, &frame, &tag));
  g_assert_cmphex (frame.data[0], ==, 0x22);
}

/* The link throws away what it was given (bus off): all of it comes again. */
static void
test_unsent (Test *test, gconstpointer data)
{
  Node *node = &test->nodes[0];

  add_nodes_up (test, 2);
  for (guint i = 0; i < 20; i++)
    {
      GwCanFrame frames[4];
      guint32 tags[4];
      guint n = 0;

      test->feed[node->number] = 200;
      gw_can_bus_kick (test->bus, node->number);
      run (test, 5 * MS);
      test->feed[node->number] = 0;
      while (!test->pending && n < G_N_ELEMENTS (frames)
             && gw_can_bus_pull (test->bus, &frames[n], &tags[n], now_usec (test)))
        n++;
      while (n > 0)
        gw_can_bus_unsent (test->bus, tags[--n], now_usec (test));
      run (test, 200 * MS);
      g_assert_cmpuint (node->got, >=, i + 1);
    }
  g_assert_cmpuint (gw_can_bus_get_retries (test->bus, node->number), ==, 0);
}

#define ADD(path, func, data) g_test_add (path, Test, data, setup, func, teardown)

int
main (int argc, char **argv)
{
  static const BabbleCase first_450 = { BABBLE_FIRST, 450 }, first_600 = { BABBLE_FIRST, 600 };
  static const BabbleCase records_450 = { BABBLE_RECORDS, 450 };
  static const BabbleCase foreign_500 = { BABBLE_FOREIGN, 500 }, foreign_650 = { BABBLE_FOREIGN, 650 };

  g_test_init (&argc, &argv, NULL);
  ADD ("/can-bus/discovery", test_discovery, NULL);
  ADD ("/can-bus/restart", test_restart, NULL);
  ADD ("/can-bus/hot-plug", test_hot_plug, NULL);
  ADD ("/can-bus/reboot", test_reboot, NULL);
  ADD ("/can-bus/silent", test_silent, NULL);
  ADD ("/can-bus/two-on-one", test_two_on_one, NULL);
  ADD ("/can-bus/four-on-one", test_four_on_one, NULL);
  ADD ("/can-bus/two-answers", test_two_answers, NULL);
  ADD ("/can-bus/late-beats", test_late_beats, NULL);
  ADD ("/can-bus/other-uid", test_other_uid, NULL);
  ADD ("/can-bus/foreign", test_foreign, NULL);
  ADD ("/can-bus/refused", test_refused, NULL);
  ADD ("/can-bus/datagrams", test_datagrams, NULL);
  ADD ("/can-bus/bad-datagrams", test_bad_datagrams, NULL);
  ADD ("/can-bus/equal-shares", test_equal_shares, NULL);
  ADD ("/can-bus/mid-transfer-silence", test_mid_transfer_silence, NULL);
  ADD ("/can-bus/babbler/first-frames", test_babbler, &first_450);
  ADD ("/can-bus/babbler/first-frames-named", test_babbler, &first_600);
  ADD ("/can-bus/babbler/records", test_babbler, &records_450);
  ADD ("/can-bus/babbler/foreign", test_babbler, &foreign_500);
  ADD ("/can-bus/babbler/without-rate", test_babbler_without_rate, NULL);
  ADD ("/can-bus/babbler/foreign-named", test_babbler, &foreign_650);
  ADD ("/can-bus/flood-of-datagrams", test_flood_of_datagrams, NULL);
  ADD ("/can-bus/end", test_end, NULL);
  ADD ("/can-bus/unsent", test_unsent, NULL);
  ADD ("/can-bus/separation", test_separation, NULL);
  return g_test_run ();
}
