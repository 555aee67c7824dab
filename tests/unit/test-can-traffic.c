/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the CAN bus of gangway-can carries, and how it is shared between nodes that babble, stall and flood. */

#include <string.h>

#include "can-rig.h"

/* ---- What is carried ---- */

static void
send_record (CanRig *rig, CanRigNode *node, gsize len)
{
  can_rig_make_record (node->tx, len, 3);
  g_assert_cmpint (gw_isotp_send (&node->isotp, (GwBytes){ node->tx, len }, can_rig_now (rig)), ==, GW_OK);
}

static void
test_datagrams (CanRig *rig, gconstpointer data)
{
  static const guint lens[] = { CAN_RIG_RECORD_HEADER, 14, 100, 512, GW_CAN_DATAGRAM_MAX };
  CanRigNode *node = &rig->nodes[0];

  can_rig_add_nodes_up (rig, 2);
  for (guint i = 0; i < G_N_ELEMENTS (lens); i++)
    {
      rig->feed[node->number] = lens[i];
      gw_can_bus_kick (rig->bus, node->number);
      send_record (rig, node, lens[i]);
      can_rig_run (rig, 3 * MS); /* it is under way: the next one is none */
      rig->feed[node->number] = 0;
      can_rig_run (rig, 300 * MS);
      g_assert_cmpuint (node->got, >=, i + 1);
      g_assert_cmpuint (rig->received, ==, i + 1);
      g_assert_cmpuint (rig->last_len, ==, lens[i]);
    }
  g_assert_cmpuint (gw_can_bus_get_retries (rig->bus, node->number), ==, 0);
}

/* What is too long is refused by flow control; what is none does not reach the agent. */
static void
test_bad_datagrams (CanRig *rig, gconstpointer data)
{
  CanRigNode *node = &rig->nodes[0];
  GwCanBusCounters counters;
  static guint8 big[GW_CAN_DATAGRAM_MAX + 1];

  can_rig_add_nodes_up (rig, 1);
  can_rig_make_record (big, sizeof big, 1);
  g_assert_cmpint (gw_isotp_send (&node->isotp, (GwBytes){ big, sizeof big }, can_rig_now (rig)), ==, GW_OK);
  can_rig_run (rig, 100 * MS);
  g_assert_cmpint (gw_isotp_send_failure (&node->isotp), ==, GW_ISOTP_N_BUFFER_OVFLW);
  memset (node->tx, 0x40, 20);
  gw_isotp_send (&node->isotp, (GwBytes){ node->tx, 20 }, can_rig_now (rig));
  can_rig_run (rig, 100 * MS);
  can_rig_make_record (node->tx, 20, 0);
  gw_isotp_send (&node->isotp, (GwBytes){ node->tx, 19 }, can_rig_now (rig)); /* a record cut short */
  can_rig_run (rig, 100 * MS);
  gw_can_bus_get_counters (rig->bus, &counters);
  g_assert_cmpuint (rig->received, ==, 0);
  g_assert_cmpuint (counters.refused, ==, 2);
  g_assert_cmpuint (counters.overflows, ==, 1);
  g_assert_cmpuint (counters.transfers_failed, ==, 0);
}

/* ---- Fairness ---- */

static void
feed_all (CanRig *rig, guint from, guint len)
{
  for (guint i = from; i < rig->n_nodes; i++)
    {
      rig->nodes[i].got = rig->nodes[i].got_octets = 0;
      rig->feed[rig->nodes[i].number] = len;
      gw_can_bus_kick (rig->bus, rig->nodes[i].number);
    }
}

static guint64
octets_got (CanRig *rig, guint from)
{
  guint64 sum = 0;

  for (guint i = from; i < rig->n_nodes; i++)
    sum += rig->nodes[i].got_octets;
  return sum;
}

static void
test_equal_shares (CanRig *rig, gconstpointer data)
{
  can_rig_add_nodes_up (rig, 6);
  feed_all (rig, 0, 300);
  can_rig_run (rig, 10 * SEC);
  for (guint i = 0; i < 6; i++)
    {
      g_assert_cmpuint (rig->nodes[i].got_octets, >, octets_got (rig, 0) / 6 * 95 / 100);
      g_assert_cmpuint (rig->nodes[i].got_octets, <, octets_got (rig, 0) / 6 * 105 / 100);
    }
  /* At 500 kbit/s the bound is about 25,000 octets a second; discovery goes on beside it. */
  g_test_message ("%" G_GUINT64_FORMAT " octets a second", octets_got (rig, 0) / 10);
  g_assert_cmpuint (octets_got (rig, 0) / 10, >, 21000);
}

/* What the other nodes get in @seconds while node 0 does whatever it does. */
static guint64
measure_others (CanRig *rig, guint seconds)
{
  feed_all (rig, 1, 300);
  can_rig_run (rig, 2 * SEC); /* until the load is known */
  feed_all (rig, 1, 300);
  can_rig_run (rig, seconds * SEC);
  return octets_got (rig, 1);
}

static void
test_mid_transfer_silence (CanRig *rig, gconstpointer data)
{
  CanRigNode *node = &rig->nodes[0];
  guint64 alone, beside;

  can_rig_add_nodes_up (rig, 5);
  alone = measure_others (rig, 10);
  /* It begins messages and never ends them, and takes ours and never answers. */
  node->stalls = TRUE;
  rig->feed[node->number] = 300;
  gw_can_bus_kick (rig->bus, node->number);
  beside = measure_others (rig, 10);
  g_test_message ("alone %" G_GUINT64_FORMAT ", beside %" G_GUINT64_FORMAT, alone, beside);
  g_assert_cmpuint (beside, >=, alone * 98 / 100);
  g_assert_cmpuint (gw_can_bus_get_retries (rig->bus, node->number), >=, 8);
  g_assert_true (gw_can_bus_is_up (rig->bus, node->number)); /* its heart beats */
}

typedef struct
{
  Babble babble;
  guint permille;
} BabbleCase;

/* The others keep nine tenths of what the babbler leaves, and it is named above half. */
static void
test_babbler (CanRig *rig, gconstpointer data)
{
  const BabbleCase *how = data;
  CanRigNode *node = &rig->nodes[0];
  const GwCanLoad *load = gw_can_bus_get_load (rig->bus);
  guint64 alone, beside;
  guint flows;

  can_rig_add_nodes_up (rig, 5);
  alone = measure_others (rig, 10);
  node->babble = how->babble;
  node->babble_permille = how->permille;
  node->babble_at = can_rig_now (rig);
  node->has_other = FALSE;
  flows = node->flows;
  beside = measure_others (rig, 10);
  g_test_message ("alone %" G_GUINT64_FORMAT ", beside %" G_GUINT64_FORMAT ", flow control %u/s, culprit %u at %u",
                  alone,
                  beside,
                  (node->flows - flows) / 12,
                  load->culprit,
                  load->culprit_permille);
  g_assert_cmpuint (beside, >=, alone * (1000 - how->permille) / 1000 * 90 / 100);
  if (how->permille > 500)
    g_assert_cmpuint (load->culprit, ==,
                      how->babble == BABBLE_FOREIGN ? GW_CAN_CULPRIT_FRAMES | CAN_RIG_BABBLERS_ID : node->number);
  else
    g_assert_cmpuint (load->culprit, ==, 0);
  if (load->culprit != 0)
    g_assert_cmpuint (load->culprit_permille, >, 500);
  /* Nobody else is lost over it. */
  g_assert_cmpuint (gw_can_bus_count_up (rig->bus), ==, 5);
  node->babble = BABBLE_NONE;
  can_rig_run (rig, 2 * SEC);
  g_assert_cmpuint (load->culprit, ==, 0);
}

/* Where nobody knows the bit rate, half of a busy bus's traffic is half of the bus; that of an idle one is not. */
static void
test_babbler_without_rate (CanRig *rig, gconstpointer data)
{
  CanRigNode *node = &rig->nodes[0];
  const GwCanLoad *load = gw_can_bus_get_load (rig->bus);

  can_rig_add_nodes_up (rig, 2);
  gw_can_bus_set_link (rig->bus, 0, 0, false);
  node->babble = BABBLE_FIRST;
  node->babble_permille = 200;
  node->babble_at = can_rig_now (rig);
  can_rig_run (rig, 5 * SEC);
  g_assert_cmpuint (load->culprit, ==, 0);
  node->babble_permille = 400;
  can_rig_run (rig, 5 * SEC);
  g_assert_cmpuint (load->culprit, ==, node->number);
  g_assert_cmpuint (gw_can_load_permille (load), ==, GW_CAN_LOAD_UNKNOWN);
}

/* Datagrams that look good, as many as the bus carries, reach the agent at a bounded rate. */
static void
test_flood_of_datagrams (CanRig *rig, gconstpointer data)
{
  CanRigNode *node = &rig->nodes[0];

  rig->rate = 1000000;
  gw_can_bus_set_link (rig->bus, rig->rate, 0, false);
  can_rig_add_nodes_up (rig, 2);
  node->babble = BABBLE_RECORDS;
  node->babble_permille = 1000;
  node->babble_at = can_rig_now (rig);
  can_rig_run (rig, 10 * SEC);
  g_test_message ("%" G_GUINT64_FORMAT " datagrams in 10 s", rig->received);
  g_assert_cmpuint (rig->received, >, 1000);
  g_assert_cmpuint (rig->received, <=, 10 * GW_CAN_DATAGRAMS_RATE + GW_CAN_DATAGRAMS_BURST);
}

/* ---- Frames that the link has ---- */

/* The next frame of ISO-TP, whatever else goes before it. */
static bool
pull_isotp (CanRig *rig, GwCanFrame *frame, guint32 *tag)
{
  while (gw_can_bus_pull (rig->bus, frame, tag, can_rig_now (rig)))
    {
      if (frame->extended)
        return true;
      gw_can_bus_sent (rig->bus, *tag, frame, can_rig_now (rig));
    }
  return false;
}

/* The time between frames that a node wants is kept on the bus, though the link says "sent" when it has only queued it. */
static void
test_separation (CanRig *rig, gconstpointer data)
{
  GwCanFrame frame, flow = { .extended = true, .len = 3, .data = { 0x30, 0, 5 } };
  guint32 tag;
  guint8 n;

  can_rig_add_nodes_up (rig, 1);
  n = rig->nodes[0].number;
  flow.id = gw_can_isotp_id (GW_CAN_GATEWAY_ADDRESS, n);
  rig->feed[n] = 100;
  gw_can_bus_kick (rig->bus, n);
  g_assert_true (pull_isotp (rig, &frame, &tag));
  g_assert_cmphex (frame.data[0], ==, 0x10);
  gw_can_bus_sent (rig->bus, tag, &frame, can_rig_now (rig));
  gw_can_bus_take (rig->bus, &flow, can_rig_now (rig));
  gw_can_bus_set_ahead (rig->bus, 2 * MS);
  g_assert_true (pull_isotp (rig, &frame, &tag));
  g_assert_cmphex (frame.data[0], ==, 0x21);
  gw_can_bus_sent (rig->bus, tag, &frame, can_rig_now (rig));
  gw_can_bus_set_ahead (rig->bus, 0);
  rig->now_nsec += 7 * MS * 1000;
  gw_can_bus_tick (rig->bus, can_rig_now (rig));
  g_assert_false (pull_isotp (rig, &frame, &tag));
  rig->now_nsec += MS * 1000;
  gw_can_bus_tick (rig->bus, can_rig_now (rig));
  g_assert_true (pull_isotp (rig, &frame, &tag));
  g_assert_cmphex (frame.data[0], ==, 0x22);
}

/* The link throws away what it was given (bus off): all of it comes again. */
static void
test_unsent (CanRig *rig, gconstpointer data)
{
  CanRigNode *node = &rig->nodes[0];

  can_rig_add_nodes_up (rig, 2);
  for (guint i = 0; i < 20; i++)
    {
      GwCanFrame frames[4];
      guint32 tags[4];
      guint n = 0;

      rig->feed[node->number] = 200;
      gw_can_bus_kick (rig->bus, node->number);
      can_rig_run (rig, 5 * MS);
      rig->feed[node->number] = 0;
      while (!rig->pending && n < G_N_ELEMENTS (frames)
             && gw_can_bus_pull (rig->bus, &frames[n], &tags[n], can_rig_now (rig)))
        n++;
      while (n > 0)
        gw_can_bus_unsent (rig->bus, tags[--n], can_rig_now (rig));
      can_rig_run (rig, 200 * MS);
      g_assert_cmpuint (node->got, >=, i + 1);
    }
  g_assert_cmpuint (gw_can_bus_get_retries (rig->bus, node->number), ==, 0);
}

#define ADD(path, func, data) g_test_add (path, CanRig, data, can_rig_setup, func, can_rig_teardown)

int
main (int argc, char **argv)
{
  static const BabbleCase first_450 = { BABBLE_FIRST, 450 }, first_600 = { BABBLE_FIRST, 600 };
  static const BabbleCase records_450 = { BABBLE_RECORDS, 450 };
  static const BabbleCase foreign_500 = { BABBLE_FOREIGN, 500 }, foreign_650 = { BABBLE_FOREIGN, 650 };

  g_test_init (&argc, &argv, NULL);
  ADD ("/can-traffic/datagrams", test_datagrams, NULL);
  ADD ("/can-traffic/bad-datagrams", test_bad_datagrams, NULL);
  ADD ("/can-traffic/equal-shares", test_equal_shares, NULL);
  ADD ("/can-traffic/mid-transfer-silence", test_mid_transfer_silence, NULL);
  ADD ("/can-traffic/babbler/first-frames", test_babbler, &first_450);
  ADD ("/can-traffic/babbler/first-frames-named", test_babbler, &first_600);
  ADD ("/can-traffic/babbler/records", test_babbler, &records_450);
  ADD ("/can-traffic/babbler/foreign", test_babbler, &foreign_500);
  ADD ("/can-traffic/babbler/without-rate", test_babbler_without_rate, NULL);
  ADD ("/can-traffic/babbler/foreign-named", test_babbler, &foreign_650);
  ADD ("/can-traffic/flood-of-datagrams", test_flood_of_datagrams, NULL);
  ADD ("/can-traffic/unsent", test_unsent, NULL);
  ADD ("/can-traffic/separation", test_separation, NULL);
  return g_test_run ();
}
