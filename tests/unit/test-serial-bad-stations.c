/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The master of a line with many stations, some of which are late, lie, babble or jam it. */

#include <string.h>

#include "multidrop-rig.h"

/* Through an adapter that holds octets back for 16 ms. */
static void
test_late (MultidropRig *rig, gconstpointer data)
{
  multidrop_rig_add_nodes (rig, 4);
  for (guint i = 0; i < 4; i++)
    multidrop_rig_node_at (rig, i)->delay = 26 * MS;
  multidrop_rig_until_up (rig, 4, 30 * SECOND);
  multidrop_rig_pass (rig, 10 * SECOND);
  g_assert_cmpuint (rig->downs, ==, 0);
  g_assert_cmpint (rig->master.exchange.wait, >=, 30 * MS);
  g_assert_cmpint (rig->master.exchange.wait, <=, GW_EXCHANGE_WAIT_MAX_MS * MS);
  g_assert_cmpuint (rig->troubles[GW_MULTIDROP_SLOW], >=, 1);
  g_assert_cmpuint (rig->troubles[GW_MULTIDROP_SLOW], <=, 5);
  for (guint i = 0; i < 4; i++)
    multidrop_rig_node_at (rig, i)->delay = MS;
  multidrop_rig_pass (rig, 300 * SECOND);
  g_assert_cmpint (rig->master.exchange.wait, ==, GW_STATION_WAIT_MS * MS);
}

/* One that never keeps to the time does not take the others along. */
static void
test_always_late (MultidropRig *rig, gconstpointer data)
{
  multidrop_rig_add_nodes (rig, 4);
  multidrop_rig_until_up (rig, 4, 5 * SECOND);
  multidrop_rig_node_at (rig, 0)->delay = 150 * MS;
  multidrop_rig_pass (rig, 20 * SECOND);
  g_assert_cmpuint (rig->ups - rig->downs, >=, 3);
  for (guint i = 1; i < 4; i++)
    g_assert_cmpuint (rig->up_at[multidrop_rig_node_at (rig, i)->station.address], ==, 1);
}

static void
test_echo (MultidropRig *rig, gconstpointer data)
{
  rig->echo = TRUE;
  multidrop_rig_add_nodes (rig, 16);
  multidrop_rig_until_up (rig, 16, 10 * SECOND);
  for (guint a = 1; a <= 16; a++)
    multidrop_rig_push (rig, a, 5);
  for (guint i = 0; i < 16; i++)
    multidrop_rig_node_at (rig, i)->got = 0;
  multidrop_rig_pass (rig, 10 * SECOND);
  for (guint i = 0; i < 16; i++)
    g_assert_cmpuint (multidrop_rig_node_at (rig, i)->got, ==, 5);
  g_assert_cmpuint (rig->downs, ==, 0);
  g_assert_cmpuint (rig->ups, ==, 16);
  g_assert_cmpuint (rig->master.refused, ==, 0);
}

/* Named by its number, once; the others stay. */
static void
test_liars (MultidropRig *rig, gconstpointer data)
{
  multidrop_rig_add_nodes (rig, 8);
  multidrop_rig_node_at (rig, 0)->hello_lies = TRUE;
  multidrop_rig_node_at (rig, 1)->deaf_to_mute = TRUE;
  multidrop_rig_until_up (rig, 7, 10 * SECOND);
  multidrop_rig_pass (rig, 30 * SECOND);
  g_assert_cmpuint (rig->downs, ==, 0);
  /* The one that names itself otherwise than it was found is looked at again, and is somebody else then. */
  g_assert_cmpuint (rig->ups, <=, 8);
  g_assert_cmpuint (rig->troubles[GW_MULTIDROP_LIES], >=, 1);
  g_assert_cmpuint (rig->troubles[GW_MULTIDROP_LIES], <=, 40);
}

/* Found by one uid, it answers the question by another: it is not taken for either. */
static void
test_hello_lies (MultidropRig *rig, gconstpointer data)
{
  multidrop_rig_add_node (rig)->hello_lies = TRUE;
  multidrop_rig_pass (rig, 3 * SECOND);
  g_assert_cmpuint (rig->ups, ==, 0);
  g_assert_cmpuint (rig->troubles[GW_MULTIDROP_LIES], ==, 1);
}

/* Its answers lack P/F, so they are none: not a word would leave whoever writes firmware in the dark. */
static void
test_no_final (MultidropRig *rig, gconstpointer data)
{
  multidrop_rig_add_nodes (rig, 2);
  multidrop_rig_node_at (rig, 0)->no_final = TRUE;
  multidrop_rig_until_up (rig, 1, 10 * SECOND);
  multidrop_rig_pass (rig, 5 * SECOND);
  g_assert_cmpuint (rig->ups, ==, 1);
  g_assert_cmpuint (rig->troubles[GW_MULTIDROP_LIES], ==, 1);
  g_assert_cmpuint (rig->trouble_address[GW_MULTIDROP_LIES], ==, 0);
}

/* It answers every poll and every probe: nothing works while it is there, all comes back when it has gone. */
static void
test_answers_all (MultidropRig *rig, gconstpointer data)
{
  MultidropRigNode *node;

  multidrop_rig_add_nodes (rig, 4);
  multidrop_rig_until_up (rig, 4, 5 * SECOND);
  node = multidrop_rig_add_node (rig);
  node->answers_all = TRUE;
  multidrop_rig_pass (rig, 120 * SECOND);
  /* Ever another number: not a line for each. */
  g_assert_cmpuint (rig->troubles[GW_MULTIDROP_LIES], <=, 8);
  node->off = TRUE;
  multidrop_rig_until_up (rig, 4, 60 * SECOND);
  multidrop_rig_pass (rig, 10 * SECOND);
  g_assert_cmpuint (rig->ups - rig->downs, ==, 4);
}

/* Two with one number: both are left alone until they have forgotten it, then each has its own. */
static void
test_shared (MultidropRig *rig, gconstpointer data)
{
  multidrop_rig_add_nodes (rig, 2);
  multidrop_rig_until_up (rig, 2, 5 * SECOND);
  multidrop_rig_node_at (rig, 1)->station.address = multidrop_rig_node_at (rig, 0)->station.address;
  multidrop_rig_pass (rig, 15 * SECOND);
  g_assert_cmpuint (rig->downs, ==, 2);
  multidrop_rig_until_up (rig, 2, 60 * SECOND);
  g_assert_cmpuint (rig->troubles[GW_MULTIDROP_SHARED], >=, 1);
  g_assert_cmpuint (multidrop_rig_node_at (rig, 0)->station.address, !=, multidrop_rig_node_at (rig, 1)->station.address);
}

/* A chip and its copy, there from the beginning: neither can be heard, and it is said which. */
static void
test_twins (MultidropRig *rig, gconstpointer data)
{
  guint64 uid;

  multidrop_rig_add_nodes (rig, 4);
  memcpy (multidrop_rig_node_at (rig, 3)->kid, multidrop_rig_node_at (rig, 2)->kid, sizeof multidrop_rig_node_at (rig, 3)->kid);
  multidrop_rig_power_up (multidrop_rig_node_at (rig, 3));
  uid = multidrop_rig_node_at (rig, 3)->station.uid;
  multidrop_rig_until_up (rig, 2, 5 * SECOND);
  multidrop_rig_pass (rig, 50 * SECOND);
  g_assert_cmpuint (rig->ups, ==, 2);
  g_assert_cmpuint (rig->troubles[GW_MULTIDROP_TWINS], ==, 1);
  g_assert_cmphex (gw_multidrop_get_uid (&rig->master), ==, uid);
  multidrop_rig_node_at (rig, 2)->off = TRUE;
  multidrop_rig_until_up (rig, 3, 60 * SECOND);
}

/* A driver that stays on: octets without end. */
static void
test_jammed (MultidropRig *rig, gconstpointer data)
{
  multidrop_rig_add_nodes (rig, 2);
  multidrop_rig_until_up (rig, 2, 5 * SECOND);
  for (guint i = 0; i < 30000; i++)
    {
      gw_multidrop_heard (&rig->master, 12, rig->now);
      rig->due = gw_multidrop_tick (&rig->master, rig->now);
      for (guint k = 0; k < 2; k++)
        multidrop_rig_node_at (rig, k)->len = 0;
      rig->sent_ends = 0;
      rig->now += MS;
    }
  g_assert_true (rig->link.jammed);
  g_assert_cmpuint (rig->downs, ==, 2);
  g_assert_cmpuint (rig->troubles[GW_MULTIDROP_JAMMED], ==, 1);
  rig->due = rig->now;
  multidrop_rig_until_up (rig, 2, 5 * SECOND);
}

/* Good frames of its own number that nobody asked for. */
static void
test_babbles (MultidropRig *rig, gconstpointer data)
{
  static const guint8 info[40] = { 0x17 };
  GwFrame frame = { .poll = true, .info = { info, sizeof info } };

  multidrop_rig_add_nodes (rig, 4);
  multidrop_rig_until_up (rig, 4, 5 * SECOND);
  multidrop_rig_pass (rig, 10 * SECOND);
  frame.address = multidrop_rig_node_at (rig, 3)->station.address;
  for (guint i = 0; i < 100; i++)
    {
      multidrop_rig_pass (rig, 25 * MS);
      if (rig->master.exchange.phase != GW_EXCHANGE_IDLE)
        continue;
      gw_multidrop_heard (&rig->master, 46, rig->now);
      gw_multidrop_take (&rig->master, &frame, rig->now);
    }
  g_assert_cmpuint (rig->link.culprit, ==, frame.address);
  /* 4 ms each, up to forty a second. */
  g_assert_cmpuint (rig->link.culprit_permille, >, 50);
  g_assert_cmpuint (rig->link.culprit_permille, <, 200);
  g_assert_cmpuint (rig->troubles[GW_MULTIDROP_BABBLES], ==, 1);
  g_assert_cmpuint (rig->trouble_address[GW_MULTIDROP_BABBLES], ==, frame.address);
  g_assert_cmpuint (rig->downs, ==, 0);
}

#define ADD(path, func) g_test_add (path, MultidropRig, NULL, multidrop_rig_setup, func, multidrop_rig_teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("/serial-bad-stations/late", test_late);
  ADD ("/serial-bad-stations/always-late", test_always_late);
  ADD ("/serial-bad-stations/echo", test_echo);
  ADD ("/serial-bad-stations/liars", test_liars);
  ADD ("/serial-bad-stations/hello-lies", test_hello_lies);
  ADD ("/serial-bad-stations/no-final", test_no_final);
  ADD ("/serial-bad-stations/answers-all", test_answers_all);
  ADD ("/serial-bad-stations/shared", test_shared);
  ADD ("/serial-bad-stations/twins", test_twins);
  ADD ("/serial-bad-stations/jammed", test_jammed);
  ADD ("/serial-bad-stations/babbles", test_babbles);
  return g_test_run ();
}
