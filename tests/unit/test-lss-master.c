/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The LSS master among honest nodes, quick and slow, on good lines and bad ones. */
#include "lss-rig.h"

static void
test_one (void)
{
  g_autoptr (LssRig) rig = lss_rig_new (1);
  gint64 took;

  lss_rig_plug_in (rig, UID (1), HONEST);
  took = lss_rig_run (rig, 10 * SECOND, TRUE);
  lss_rig_assert_all_numbered (rig);
  g_test_message ("one node: %u frames of the master, %" G_GINT64_FORMAT " us", rig->frames_of_master, took);
  /* release, start, vendor, product, 2 x 33, a look back at 0x7f4a.., number, switch back */
  g_assert_cmpuint (rig->frames_of_master, ==, 6 + 66 + 1);
  lss_rig_run (rig, 10 * SECOND, FALSE);
  lss_rig_assert_no_trouble (rig);
  g_assert_cmpuint (rig->n_numbered, ==, 1);
}

/* Every silent bit costs the wait, nothing else does; the wait follows the answers. */
static void
test_wait (void)
{
  static const gint64 delays[] = { 50, 500, 2000, 8000, 19000, 60000 };

  for (guint i = 0; i < G_N_ELEMENTS (delays); i++)
    {
      g_autoptr (LssRig) rig = lss_rig_new (i + 1);
      LssRigNode *node = lss_rig_plug_in (rig, UID (1), HONEST);
      gint64 answer_time = delays[i] + LSS_RIG_FRAME_USEC, took, silent;

      node->delay_min = node->delay_max = delays[i];
      took = lss_rig_run (rig, 60 * SECOND, TRUE);
      silent = __builtin_popcountll (node->uid);
      lss_rig_assert_all_numbered (rig);
      g_test_message ("answers after %" G_GINT64_FORMAT " us: numbered in %" G_GINT64_FORMAT
                      " us, wait %" G_GINT64_FORMAT " us",
                      answer_time, took, gw_lss_patience_wait (&rig->master.patience));
      g_assert_cmpuint (rig->master.counters.silences, ==, silent);
      g_assert_cmpint (gw_lss_patience_wait (&rig->master.patience), >=,
                       3 * answer_time / 2 > 100 * MSEC ? 100 * MSEC : answer_time);
      g_assert_cmpint (took, <=,
                       74 * (LSS_RIG_FRAME_USEC + answer_time)
                           + silent * MIN (100 * MSEC, MAX (4 * answer_time + 1 * MSEC, 2 * MSEC)));
      lss_rig_run (rig, 5 * SECOND, FALSE);
      lss_rig_assert_no_trouble (rig);
    }
}

static void
test_population (void)
{
  static const guint sizes[] = { 1, 2, 3, 32, 127 };

  for (guint set = 0; set < 4; set++)
    for (guint merges = 0; merges < 2; merges++)
      for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
        {
          g_autoptr (LssRig) rig = lss_rig_new (set * 10 + i);
          gint64 took;

          rig->merges = merges;
          lss_rig_add_population (rig, sizes[i], set);
          took = lss_rig_run (rig, 600 * SECOND, TRUE);
          lss_rig_assert_all_numbered (rig);
          g_test_message ("%u nodes, set %u%s: %" G_GINT64_FORMAT " ms, %u frames, %" G_GUINT64_FORMAT
                          " silences, %" G_GUINT64_FORMAT " tried again",
                          sizes[i], set, merges ? ", merged" : "", took / MSEC, rig->frames,
                          rig->master.counters.silences, rig->master.counters.retried);
          /* Copies that are not merged take the bus: with each search all who share the first bits answer. */
          g_assert_cmpint (took, <=, (gint64)sizes[i] * (merges ? 220 : 220 + 10 * sizes[i]) * MSEC);
          lss_rig_run (rig, 5 * SECOND, FALSE);
          g_assert_cmpuint (rig->n_numbered, ==, sizes[i]);
          lss_rig_assert_no_trouble (rig);
        }
}

/* One more among 32, at any moment: three seconds. */
static void
test_hot_plug (void)
{
  g_autoptr (LssRig) rig = lss_rig_new (1);
  gint64 longest = 0, took;

  lss_rig_add_population (rig, 32, 0);
  lss_rig_run (rig, 60 * SECOND, TRUE);
  for (guint i = 0; i < 50; i++)
    {
      lss_rig_run (rig, 1 * SECOND + g_rand_int_range (rig->rand, 0, SECOND), FALSE);
      lss_rig_plug_in (rig, UID (100 + i), HONEST);
      took = lss_rig_run (rig, 10 * SECOND, TRUE);
      longest = MAX (longest, took);
    }
  lss_rig_assert_all_numbered (rig);
  lss_rig_assert_no_trouble (rig);
  g_test_message ("longest of 50: %" G_GINT64_FORMAT " ms", longest / MSEC);
  g_assert_cmpint (longest, <=, 3 * SECOND);
}

/* One slow node among quick ones: whose copies come late. */
static void
test_mixed_speed (void)
{
  for (guint seed = 0; seed < 10; seed++)
    {
      g_autoptr (LssRig) rig = lss_rig_new (seed);
      gint64 took;

      for (guint i = 0; i < 24; i++)
        lss_rig_plug_in (rig, UID (i + 1), i % 3 == 0 ? LATE : HONEST);
      for (guint i = 0; i < rig->n_nodes; i++)
        {
          rig->nodes[i].delay_min = i % 4 == 0 ? 5 * MSEC : 100;
          rig->nodes[i].delay_max = i % 4 == 0 ? 12 * MSEC : 400;
        }
      took = lss_rig_run (rig, 120 * SECOND, TRUE);
      lss_rig_assert_all_numbered (rig);
      g_test_message ("took %" G_GINT64_FORMAT " ms, tried again %" G_GUINT64_FORMAT
                      ", failed %" G_GUINT64_FORMAT,
                      took / MSEC, rig->master.counters.retried, rig->master.counters.failed);
      g_assert_cmpint (took, <=, 40 * SECOND);
      lss_rig_run (rig, 20 * SECOND, FALSE);
      lss_rig_assert_no_trouble (rig);
      g_assert_cmpuint (rig->n_numbered, ==, 24);
    }
}

static void
test_loss (void)
{
  static const double losses[] = { 0.001, 0.005, 0.01 }; /* of frames that the bus itself did not mend */

  for (guint i = 0; i < G_N_ELEMENTS (losses); i++)
    {
      g_autoptr (LssRig) rig = lss_rig_new (i);
      gint64 took;

      rig->loss = losses[i];
      lss_rig_add_population (rig, 32, 0);
      took = lss_rig_run (rig, 600 * SECOND, TRUE);
      for (guint n = 0; n < rig->n_nodes; n++)
        g_assert_cmpint (rig->nodes[n].slave.node_id, !=, GW_LSS_NODE_NONE);
      g_test_message ("loss %g: took %" G_GINT64_FORMAT " ms, tried again %" G_GUINT64_FORMAT
                      ", failed %" G_GUINT64_FORMAT,
                      losses[i], took / MSEC, rig->master.counters.retried, rig->master.counters.failed);
      g_assert_cmpint (took, <=, 60 * SECOND);
    }
}

/* Others have the bus half of the time, with frames that go before ours. */
static void
test_load (void)
{
  g_autoptr (LssRig) rig = lss_rig_new (1);
  gint64 took;

  rig->busy_period = 2 * LSS_RIG_FRAME_USEC;
  lss_rig_add_population (rig, 32, 0);
  took = lss_rig_run (rig, 120 * SECOND, TRUE);
  lss_rig_assert_all_numbered (rig);
  g_test_message ("took %" G_GINT64_FORMAT " ms, tried again %" G_GUINT64_FORMAT, took / MSEC,
                  rig->master.counters.retried);
  g_assert_cmpint (took, <=, 20 * SECOND);
}

/* The master's machine is busy: whatever comes meanwhile comes at once afterwards, and late. */
static void
test_stalls (void)
{
  static const gint64 stalls[][2] = { { 50, 10 }, { 200, 60 }, { 1000, 150 }, { 20, 12 } };

  for (guint i = 0; i < G_N_ELEMENTS (stalls); i++)
    {
      g_autoptr (LssRig) rig = lss_rig_new (i);
      gint64 took, longest = 0;

      rig->stall_period = stalls[i][0] * MSEC;
      rig->stall = stalls[i][1] * MSEC;
      rig->merges = TRUE;
      lss_rig_add_population (rig, 32, 0);
      took = lss_rig_run (rig, 120 * SECOND, TRUE);
      lss_rig_assert_all_numbered (rig);
      g_test_message ("%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " ms: took %" G_GINT64_FORMAT
                      " ms, tried again %" G_GUINT64_FORMAT ", failed %" G_GUINT64_FORMAT,
                      stalls[i][1], stalls[i][0], took / MSEC, rig->master.counters.retried,
                      rig->master.counters.failed);
      g_assert_cmpint (took, <=, 30 * SECOND);
      for (guint j = 0; j < 20; j++)
        {
          lss_rig_run (rig, SECOND + g_rand_int_range (rig->rand, 0, SECOND), FALSE);
          lss_rig_plug_in (rig, UID (100 + j), HONEST);
          took = lss_rig_run (rig, 20 * SECOND, TRUE);
          longest = MAX (longest, took);
        }
      g_test_message ("one more: %" G_GINT64_FORMAT " ms at most", longest / MSEC);
      g_assert_cmpint (longest, <=, 3 * SECOND);
      lss_rig_assert_no_trouble (rig);
    }
}

/* A node that was switched off and on, and one that was told to forget. */
static void
test_reboot (void)
{
  g_autoptr (LssRig) rig = lss_rig_new (1);
  guint8 before;
  gint64 took;

  lss_rig_add_population (rig, 8, 0);
  lss_rig_run (rig, 20 * SECOND, TRUE);
  lss_rig_run (rig, 5 * SECOND, FALSE);
  before = rig->nodes[3].slave.node_id;
  lss_rig_set_uid (&rig->nodes[3], rig->nodes[3].uid);
  took = lss_rig_run (rig, 10 * SECOND, TRUE);
  g_test_message ("numbered again after %" G_GINT64_FORMAT " ms", took / MSEC);
  g_assert_cmpint (took, <=, 3 * SECOND);
  g_assert_cmpint (rig->nodes[3].slave.node_id, ==, before);
  lss_rig_run (rig, 5 * SECOND, FALSE);
  before = rig->nodes[5].slave.node_id;
  lss_rig_set_uid (&rig->nodes[5], rig->nodes[5].uid);
  gw_lss_master_forget (&rig->master, before);
  gw_lss_master_scan (&rig->master, rig->now);
  took = lss_rig_run (rig, 10 * SECOND, TRUE);
  g_assert_cmpint (took, <=, 500 * MSEC);
  lss_rig_run (rig, 5 * SECOND, FALSE);
  lss_rig_assert_all_numbered (rig);
  lss_rig_assert_no_trouble (rig);
}

/* More nodes than numbers: said once for each, the others keep theirs. */
static void
test_full (void)
{
  g_autoptr (LssRig) rig = lss_rig_new (1);

  for (guint n = 11; n <= GW_LSS_NODE_MAX; n++)
    rig->used[n] = TRUE;
  lss_rig_add_population (rig, 12, 0);
  lss_rig_run (rig, 60 * SECOND, FALSE);
  g_assert_cmpuint (rig->n_numbered, ==, 10);
  g_assert_cmpuint (rig->troubles[GW_LSS_TROUBLE_FULL], ==, 2);
  rig->used[50] = rig->used[51] = FALSE;
  lss_rig_run (rig, 30 * SECOND, TRUE);
  lss_rig_assert_all_numbered (rig);
}

/* Numbered nodes that let one wait for their first heartbeat: only so many at a time, but all. */
static void
test_late_heartbeats (void)
{
  g_autoptr (LssRig) rig = lss_rig_new (1);

  rig->merges = TRUE;
  for (guint i = 0; i < 40; i++)
    lss_rig_plug_in (rig, UID (i + 1), LATE);
  lss_rig_run (rig, 20 * SECOND, FALSE);
  g_assert_cmpuint (rig->n_numbered, ==, 40);
  lss_rig_assert_no_trouble (rig);
}

/* A node that was not told to start, as a frame was lost, is with the next search. */
static void
test_deaf (void)
{
  g_autoptr (LssRig) rig = lss_rig_new (1);

  lss_rig_plug_in (rig, UID (1), DEAF);
  lss_rig_run (rig, SECOND, FALSE);
  g_assert_cmpuint (rig->n_numbered, ==, 1);
  g_assert_cmpint (lss_rig_run (rig, 10 * SECOND, TRUE), <=, 3 * SECOND);
  g_assert_cmpint (rig->nodes[0].slave.node_id, ==, 1);
}

/* Who refused is asked again when somebody says so. */
static void
test_scan (void)
{
  g_autoptr (LssRig) rig = lss_rig_new (1);

  lss_rig_plug_in (rig, UID (1), REFUSES);
  lss_rig_run (rig, 5 * SECOND, FALSE);
  g_assert_cmpuint (rig->troubles[GW_LSS_TROUBLE_REFUSED], ==, 1);
  rig->nodes[0].kind = HONEST;
  lss_rig_run (rig, 5 * SECOND, FALSE);
  g_assert_cmpuint (rig->n_numbered, ==, 0);
  gw_lss_master_scan (&rig->master, rig->now);
  g_assert_cmpint (lss_rig_run (rig, 10 * SECOND, TRUE), <=, SECOND);
  gw_lss_master_forget (&rig->master, 128); /* no number: nothing */
  gw_lss_master_scan (&rig->master, rig->now);
  lss_rig_run (rig, 50 * MSEC, FALSE);
  gw_lss_master_scan (&rig->master, rig->now); /* it is at it */
  lss_rig_assert_all_numbered (rig);
}

static void
test_holds (void)
{
  GwLssHolds holds;

  gw_lss_holds_init (&holds);
  g_assert_null (gw_lss_holds_over (&holds, G_MAXINT64 - 1));
  g_assert_false (gw_lss_holds_has (&holds, 0));
  gw_lss_holds_add (&holds, 1000, GW_LSS_HOLD_OFF, 0, 500);
  gw_lss_holds_add (&holds, 1001, GW_LSS_HOLD_OFF, 0, 400);
  gw_lss_holds_add (&holds, 1002, GW_LSS_HOLD_OFF, 0, 600);
  for (guint i = 0; i < GW_LSS_HOLDS_MAX - 3; i++)
    gw_lss_holds_add (&holds, i, GW_LSS_HOLD_PENDING, 1, 1000 + i);
  g_assert_cmpint (holds.due, ==, 400);
  gw_lss_holds_add (&holds, 2000, GW_LSS_HOLD_PENDING, 1, 5000); /* in the place of 1001 */
  g_assert_false (gw_lss_holds_has (&holds, 1001));
  g_assert_true (gw_lss_holds_has (&holds, 2000));
  gw_lss_holds_add (&holds, 2000, GW_LSS_HOLD_OFF, 0, 300); /* one uid, one hold */
  g_assert_cmpuint (gw_lss_holds_count (&holds, GW_LSS_HOLD_OFF), ==, 3);
  for (guint i = 0; i < 3; i++)
    gw_lss_holds_add (&holds, 3000 + i, GW_LSS_HOLD_DOUBT, 1, 6000);
  gw_lss_holds_add (&holds, 4000, GW_LSS_HOLD_OFF, 0, 9000); /* no room */
  g_assert_false (gw_lss_holds_has (&holds, 4000));
  g_assert_true (gw_lss_holds_has_below (&holds, 3000 ^ 7, 3));
  g_assert_cmpint (holds.due, ==, 1000);
  g_assert_null (gw_lss_holds_over (&holds, 999));
  g_assert_cmpuint (gw_lss_holds_over (&holds, 1000)->uid, ==, 0);
  gw_lss_holds_end (&holds, gw_lss_holds_over (&holds, 1000));
  g_assert_cmpint (holds.due, ==, 1001);
}

static void
test_patience (void)
{
  GwLssPatience patience = { 0 };

  g_assert_cmpint (gw_lss_patience_wait (&patience), ==, GW_LSS_WAIT_MAX_USEC); /* nothing is known */
  for (guint i = 0; i < 4; i++)
    {
      gw_lss_patience_ask (&patience);
      gw_lss_patience_answer (&patience, 500, 1000);
      gw_lss_patience_settled (&patience);
    }
  g_assert_cmpint (gw_lss_patience_wait (&patience), ==, 2 * 500 + 1000);
  g_assert_cmpint (gw_lss_patience_settle (&patience), ==, 0); /* no copies are known of */
  gw_lss_patience_stray (&patience, 1400);
  g_assert_cmpint (gw_lss_patience_settle (&patience), ==, 2 * 400 + 300);
  for (patience.attempts = 1; patience.attempts < 8; patience.attempts++)
    g_assert_cmpint (gw_lss_patience_wait (&patience), ==, 2000 << MIN (patience.attempts, 3));
  patience.attempts = 0;
  gw_lss_patience_answer (&patience, 90000, 2000); /* one that is late, among others */
  g_assert_cmpint (patience.late, ==, 500 + 250 + 1000);
  patience.attempts = 1;
  gw_lss_patience_answer (&patience, 12000, 2500); /* one that may be why */
  g_assert_cmpint (patience.late, ==, 12000);
  gw_lss_patience_answer (&patience, 500, 2600);
  g_assert_cmpint (patience.late, ==, 12000);
  patience.attempts = 0;
  for (guint i = 0; i < 100; i++)
    gw_lss_patience_answer (&patience, 5 * GW_LSS_WAIT_START_USEC, 3000);
  g_assert_cmpint (gw_lss_patience_limit (&patience), ==, GW_LSS_WAIT_START_USEC);
  g_assert_cmpint (gw_lss_patience_wait (&patience), ==, GW_LSS_WAIT_START_USEC);
  gw_lss_patience_relax (&patience);
  g_assert_cmpint (patience.late, <=, 3 * GW_LSS_WAIT_START_USEC / 4 + 1);
  g_assert_cmpuint (patience.attempts, ==, 0);
}

/* The link takes nothing, then gives frames back. */
static void
test_link (void)
{
  g_autoptr (LssRig) rig = lss_rig_new (1);
  GwCanFrame frame, again;

  g_assert_true (gw_lss_master_pull (&rig->master, rig->now, &frame));
  g_assert_false (gw_lss_master_pull (&rig->master, rig->now, &again));
  gw_lss_master_unpull (&rig->master);
  g_assert_true (gw_lss_master_pull (&rig->master, rig->now, &again));
  g_assert_cmpmem (&frame, sizeof frame, &again, sizeof again);
  rig->now = gw_lss_master_due (&rig->master);
  g_assert_cmpint (rig->now, ==, LSS_RIG_START_TIME + GW_LSS_SEND_USEC);
  gw_lss_master_tick (&rig->master, rig->now);
  g_assert_cmpint (gw_lss_master_due (&rig->master), >, rig->now);
  gw_lss_master_confirm (&rig->master, rig->now); /* too late: nothing */
  gw_lss_master_unpull (&rig->master);
  lss_rig_plug_in (rig, UID (1), HONEST);
  lss_rig_run (rig, 10 * SECOND, TRUE);
  lss_rig_assert_all_numbered (rig);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/lss-master/one", test_one);
  g_test_add_func ("/lss-master/wait", test_wait);
  g_test_add_func ("/lss-master/population", test_population);
  g_test_add_func ("/lss-master/hot-plug", test_hot_plug);
  g_test_add_func ("/lss-master/mixed-speed", test_mixed_speed);
  g_test_add_func ("/lss-master/loss", test_loss);
  g_test_add_func ("/lss-master/load", test_load);
  g_test_add_func ("/lss-master/stalls", test_stalls);
  g_test_add_func ("/lss-master/reboot", test_reboot);
  g_test_add_func ("/lss-master/full", test_full);
  g_test_add_func ("/lss-master/link", test_link);
  g_test_add_func ("/lss-master/late-heartbeats", test_late_heartbeats);
  g_test_add_func ("/lss-master/deaf", test_deaf);
  g_test_add_func ("/lss-master/scan", test_scan);
  g_test_add_func ("/lss-master/holds", test_holds);
  g_test_add_func ("/lss-master/patience", test_patience);
  return g_test_run ();
}
