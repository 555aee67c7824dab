/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who is on the CAN bus of gangway-can: numbering, coming and going, and those who lie about it. */

#include <string.h>

#include "can-rig.h"

static void
test_discovery (CanRig *rig, gconstpointer data)
{
  gint64 begin = can_rig_now (rig);
  gboolean used[GW_CAN_NODES] = { FALSE };

  can_rig_add_nodes_up (rig, 32);
  g_test_message ("32 nodes in %.2f s, the bus busy for %.2f s of it",
                  (double) (can_rig_now (rig) - begin) / SEC,
                  (double) rig->busy_nsec / SEC / 1000);
  g_assert_cmpint (can_rig_now (rig) - begin, <, 8 * SEC);
  for (guint i = 0; i < rig->n_nodes; i++)
    {
      guint8 number = rig->nodes[i].slave.node_id;

      g_assert_cmpuint (number, >=, 1);
      g_assert_cmpuint (number, <=, 127);
      g_assert_false (used[number]);
      used[number] = TRUE;
      g_assert_cmpuint (rig->ups[number], ==, 1);
    }
}

/* After our own restart everybody keeps number and life. */
static void
test_restart (CanRig *rig, gconstpointer data)
{
  guint8 numbers[CAN_RIG_NODES_MAX];

  can_rig_add_nodes_up (rig, 12);
  for (guint i = 0; i < 12; i++)
    numbers[i] = rig->nodes[i].slave.node_id;
  gw_can_bus_free (rig->bus);
  rig->pending = FALSE;
  can_rig_add_node (rig); /* came meanwhile, and gets none of theirs */
  can_rig_start_bus (rig);
  can_rig_run_until_up (rig, 13, 3 * SEC);
  for (guint i = 0; i < 12; i++)
    {
      g_assert_cmpuint (rig->nodes[i].slave.node_id, ==, numbers[i]);
      g_assert_cmpuint (rig->nodes[12].slave.node_id, !=, numbers[i]);
      g_assert_cmpuint (rig->ups[numbers[i]], ==, 2);
    }
  g_assert_cmpuint (rig->nmt, ==, 0);
}

/* Noticed within three seconds, also where traffic fills the bus in both directions. */
static void
test_hot_plug (CanRig *rig, gconstpointer data)
{
  can_rig_add_nodes_up (rig, 8);
  for (guint round = 0; round < 2; round++)
    {
      can_rig_add_node (rig);
      can_rig_run_until_up (rig, rig->n_nodes, 3 * SEC);
      for (guint i = 0; i < 8; i++)
        {
          rig->feed[rig->nodes[i].number] = 400;
          gw_can_bus_kick (rig->bus, rig->nodes[i].number);
        }
      can_rig_run (rig, SEC);
    }
  g_assert_cmpuint (gw_can_load_permille (gw_can_bus_get_load (rig->bus)), >, 900);
}

/* Off and on again: the same number, and to the agent nothing has happened. */
static void
test_reboot (CanRig *rig, gconstpointer data)
{
  CanRigNode *node = &rig->nodes[1];
  guint8 number;

  can_rig_add_nodes_up (rig, 3);
  number = node->number;
  node->plugged = FALSE;
  can_rig_run (rig, 2 * SEC);
  can_rig_power_on (rig, node);
  can_rig_run (rig, 3 * SEC);
  g_assert_cmpuint (node->slave.node_id, ==, number);
  g_assert_cmpuint (rig->downs[number], ==, 0);
  g_assert_cmpuint (rig->ups[number], ==, 1);
  g_assert_true (gw_can_bus_is_up (rig->bus, number));
}

static void
test_silent (CanRig *rig, gconstpointer data)
{
  guint8 number;

  can_rig_add_nodes_up (rig, 3);
  number = rig->nodes[0].number;
  rig->nodes[0].plugged = FALSE;
  can_rig_run (rig, 6 * SEC);
  g_assert_cmpuint (rig->downs[number], ==, 0);
  can_rig_run (rig, 2 * SEC);
  g_assert_cmpuint (rig->downs[number], ==, 1);
  g_assert_cmpint (rig->why, ==, GW_CAN_DOWN_SILENT);
  g_assert_cmpuint (gw_can_bus_count_up (rig->bus), ==, 2);
  /* It was only unplugged from the bus: it has its number still. */
  rig->nodes[0].plugged = TRUE;
  can_rig_run_until_up (rig, 3, 3 * SEC);
  g_assert_cmpuint (rig->nodes[0].slave.node_id, ==, number);
}

/* Two who have one number get two. */
static void
test_two_on_one (CanRig *rig, gconstpointer data)
{
  CanRigNode *a, *b;

  can_rig_add_nodes_up (rig, 3);
  a = &rig->nodes[0];
  b = can_rig_add_node (rig);
  b->slave.node_id = a->slave.node_id;
  b->slave.heartbeat_at = can_rig_now (rig) + 500 * MS;
  can_rig_start_isotp (b, a->number);
  can_rig_run_until_up (rig, 4, 15 * SEC);
  g_assert_cmpuint (a->slave.node_id, !=, b->slave.node_id);
  g_assert_cmpuint (rig->nmt, ==, 1);
  g_assert_cmpuint (rig->news[GW_CAN_NEWS_TWO_ON_ONE], ==, 1);
  can_rig_run (rig, 30 * SEC);
  g_assert_cmpuint (rig->nmt, ==, 1);
  g_assert_cmpuint (gw_can_bus_count_up (rig->bus), ==, 4);
}

/* Four of one number, whose hearts beat almost at the same moment. */
static void
test_four_on_one (CanRig *rig, gconstpointer data)
{
  can_rig_add_nodes_up (rig, 1);
  for (guint i = 1; i < 4; i++)
    {
      CanRigNode *node = can_rig_add_node (rig);

      node->slave.node_id = rig->nodes[0].slave.node_id;
      node->slave.heartbeat_at = rig->nodes[0].slave.heartbeat_at + i * MS;
      can_rig_start_isotp (node, node->slave.node_id);
    }
  can_rig_run_until_up (rig, 4, 20 * SEC);
  g_assert_cmpuint (rig->nmt, ==, 1);
}

/* Both answer hello, one after the other: two key ids to one question. */
static void
test_two_answers (CanRig *rig, gconstpointer data)
{
  CanRigNode *a = can_rig_add_node (rig), *b = can_rig_add_node (rig);

  a->slave.node_id = b->slave.node_id = 9;
  a->slave.heartbeat_at = b->slave.heartbeat_at = can_rig_now (rig) + 1;
  can_rig_start_isotp (a, 9);
  can_rig_start_isotp (b, 9);
  b->late_usec = 300 * MS;
  can_rig_run (rig, 2 * SEC);
  g_assert_cmpuint (rig->nmt, ==, 1);
  can_rig_run_until_up (rig, 2, 10 * SEC);
  g_assert_cmpuint (rig->nmt, ==, 1);
  g_assert_cmpuint (a->slave.node_id, !=, b->slave.node_id);
}

/* Heartbeats that waited for a full bus come at once, and are one node's all the same. */
static void
test_late_beats (CanRig *rig, gconstpointer data)
{
  CanRigNode *node = &rig->nodes[0];

  can_rig_add_nodes_up (rig, 2);
  for (guint round = 0; round < 10; round++)
    {
      GwCanFrame beat;

      node->plugged = FALSE; /* from the bus, for three seconds */
      can_rig_run (rig, 3 * SEC);
      gw_heartbeat_encode (node->number, GW_HEARTBEAT_OPERATIONAL, &beat);
      for (guint i = 0; i < 3; i++)
        gw_can_bus_take (rig->bus, &beat, can_rig_now (rig));
      node->plugged = TRUE;
      can_rig_run (rig, 2 * SEC);
    }
  g_assert_cmpuint (rig->nmt, ==, 0);
  g_assert_cmpuint (gw_can_bus_count_up (rig->bus), ==, 2);
}

/* Says one uid to LSS and another to us: taken back for a try, then as it says; never in circles. */
static void
test_other_uid (CanRig *rig, gconstpointer data)
{
  can_rig_add_nodes_up (rig, 2);
  can_rig_add_node (rig)->renamed = TRUE;
  can_rig_run_until_up (rig, 3, 40 * SEC);
  can_rig_run (rig, 60 * SEC);
  g_assert_cmpuint (gw_can_bus_count_up (rig->bus), ==, 3);
  g_test_message ("numbers were taken back %u times", rig->nmt);
  g_assert_cmpuint (rig->nmt, <=, 3);
}

/* Any CANopen device sends heartbeats; ours it is not, and neither is its number. */
static void
test_foreign (CanRig *rig, gconstpointer data)
{
  CanRigNode *node = can_rig_add_node (rig);

  node->foreign = TRUE;
  node->number = 1;
  node->beat_every = 100 * MS;
  node->beat_at = can_rig_now (rig);
  for (guint i = 0; i < 3; i++)
    can_rig_add_node (rig);
  can_rig_run (rig, 60 * SEC);
  g_assert_cmpuint (gw_can_bus_count_up (rig->bus), ==, 3);
  g_assert_cmpuint (rig->nmt, ==, 0);
  g_assert_cmpuint (rig->ups[1], ==, 0);
  g_assert_cmpuint (rig->news[GW_CAN_NEWS_NO_ANSWER], >=, 1);
  for (guint i = 1; i < 4; i++)
    g_assert_cmpuint (rig->nodes[i].slave.node_id, !=, 1);
}

/* The agent takes no more: asked again, and taken when there is room. */
static void
test_refused (CanRig *rig, gconstpointer data)
{
  rig->refuse = TRUE;
  can_rig_add_node (rig);
  can_rig_run (rig, 10 * SEC);
  g_assert_cmpuint (gw_can_bus_count_up (rig->bus), ==, 0);
  rig->refuse = FALSE;
  gw_can_bus_scan (rig->bus, can_rig_now (rig));
  can_rig_run_until_up (rig, 1, SEC);
}

static void
test_end (CanRig *rig, gconstpointer data)
{
  can_rig_add_nodes_up (rig, 3);
  gw_can_bus_end (rig->bus);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (rig->downs[rig->nodes[i].number], ==, 1);
  g_assert_cmpint (rig->why, ==, GW_CAN_DOWN_GONE);
}

#define ADD(path, func, data) g_test_add (path, CanRig, data, can_rig_setup, func, can_rig_teardown)

int
main (int argc, char **argv)
{
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
  ADD ("/can-bus/end", test_end, NULL);
  return g_test_run ();
}
