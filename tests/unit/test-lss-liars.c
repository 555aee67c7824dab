/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The LSS master among nodes that lie, change, come twice or never, and beside another master. */
#include "lss-rig.h"

/* Nodes of another vendor are asked for their vendor and no more. */
static void
test_foreign_nodes (void)
{
  g_autoptr (LssRig) rig = lss_rig_new (1);

  lss_rig_plug_in (rig, UID (1), FOREIGN);
  lss_rig_plug_in (rig, UID (2), FOREIGN);
  lss_rig_plug_in (rig, UID (3), HONEST);
  lss_rig_run (rig, 10 * SECOND, TRUE);
  lss_rig_run (rig, 10 * SECOND, FALSE);
  lss_rig_assert_all_numbered (rig);
  lss_rig_assert_no_trouble (rig);
  g_assert_cmpuint (rig->n_numbered, ==, 1);
  g_assert_cmpint (rig->nodes[0].slave.node_id, ==, GW_LSS_NODE_NONE);
  g_assert_false (rig->nodes[0].slave.configuring);
  g_assert_cmpuint (rig->frames_of_master, <=, 72 + 3 * 25);
}

static void
test_liar (gconstpointer data)
{
  LssRigKind kind = (LssRigKind)GPOINTER_TO_UINT (data);
  static const GwLssTrouble told_as[] = {
    [ANSWERS_ALL] = GW_LSS_TROUBLE_LIAR, [NO_CONFIGURE] = GW_LSS_TROUBLE_REFUSED,
    [REFUSES] = GW_LSS_TROUBLE_REFUSED,  [NEVER_TAKES] = GW_LSS_TROUBLE_NOT_TAKEN,
    [FLOODS] = GW_LSS_TROUBLE_LIAR,
  };

  for (guint seed = 0; seed < 8; seed++)
    {
      g_autoptr (LssRig) rig = lss_rig_new (seed);
      guint frames;
      gint64 took;

      lss_rig_plug_in (rig, seed % 2 ? UID (77) : 0, kind);
      lss_rig_run (rig, 30 * SECOND, FALSE);
      frames = rig->frames_of_master;
      lss_rig_run (rig, 60 * SECOND, FALSE);
      g_test_message ("frames in a minute: %u, numbered %u", rig->frames_of_master - frames, rig->n_numbered);
      /* of some 240,000 that the bus has */
      g_assert_cmpuint (rig->frames_of_master - frames, <=, 6000);
      for (guint i = 0; i < G_N_ELEMENTS (rig->troubles); i++)
        g_assert_cmpuint (rig->troubles[i], ==, i == told_as[kind]); /* once, and nothing else */
      if (kind == FLOODS)
        continue; /* nobody else is heard */
      /* The others are found all the same. */
      lss_rig_add_population (rig, 8, 0);
      took = lss_rig_run (rig, 60 * SECOND, TRUE);
      g_test_message ("eight beside it: %" G_GINT64_FORMAT " ms", took / MSEC);
      lss_rig_assert_all_numbered (rig);
      g_assert_cmpint (took, <=, 4 * SECOND);
    }
}

/* A uid that changes with every search is a new node each time and takes numbers; one that answers by lot
 * gets nowhere. What is left of the bus stays theirs who are honest. */
static void
test_fickle (void)
{
  for (guint seed = 0; seed < 8; seed++)
    {
      g_autoptr (LssRig) rig = lss_rig_new (seed);
      guint frames;

      lss_rig_plug_in (rig, UID (77), WHIMSICAL);
      if (seed % 2 == 1) /* and takes its time */
        {
          rig->nodes[0].delay_min = 50 * MSEC;
          rig->nodes[0].delay_max = 90 * MSEC;
        }
      lss_rig_run (rig, 30 * SECOND, FALSE);
      frames = rig->frames_of_master;
      rig->searching = 0;
      lss_rig_run (rig, 60 * SECOND, FALSE);
      g_test_message ("searching %" G_GINT64_FORMAT " ms", rig->searching / MSEC);
      g_assert_cmpint (rig->searching, <=, 18 * SECOND);
      g_test_message ("frames in a minute: %u, numbered %u, troubles %u %u %u",
                      rig->frames_of_master - frames, rig->n_numbered, rig->troubles[GW_LSS_TROUBLE_UNSTABLE],
                      rig->troubles[GW_LSS_TROUBLE_LIAR], rig->troubles[GW_LSS_TROUBLE_REFUSED]);
      g_assert_cmpuint (rig->frames_of_master - frames, <=, 6000);
      g_assert_cmpuint (rig->troubles[GW_LSS_TROUBLE_UNSTABLE] + rig->troubles[GW_LSS_TROUBLE_LIAR], >=, 1);
      g_assert_cmpuint (rig->troubles[GW_LSS_TROUBLE_UNSTABLE], <=, 1);
      g_assert_cmpuint (rig->troubles[GW_LSS_TROUBLE_LIAR], <=, 1);
    }
}

/* Another uid for each search, and it takes no number: as many are lost on it as it may owe. */
static void
test_changes (void)
{
  for (guint seed = 0; seed < 8; seed++)
    {
      g_autoptr (LssRig) rig = lss_rig_new (seed);
      guint numbered;
      gint64 took;

      lss_rig_plug_in (rig, UID (77), CHANGES);
      lss_rig_run (rig, 20 * SECOND, FALSE);
      numbered = rig->n_numbered;
      lss_rig_run (rig, 60 * SECOND, FALSE);
      g_test_message ("numbered %u, then %u a minute; not taken %u, unstable %u", numbered,
                      rig->n_numbered - numbered, rig->troubles[GW_LSS_TROUBLE_NOT_TAKEN],
                      rig->troubles[GW_LSS_TROUBLE_UNSTABLE]);
      g_assert_cmpuint (rig->n_numbered - numbered, <=, 30);
      g_assert_cmpuint (rig->troubles[GW_LSS_TROUBLE_NOT_TAKEN], <=, 3);
      g_assert_cmpuint (rig->troubles[GW_LSS_TROUBLE_UNSTABLE], ==, 1);
      lss_rig_add_population (rig, 8, 0);
      took = lss_rig_run (rig, 120 * SECOND, TRUE);
      g_test_message ("eight beside it: %" G_GINT64_FORMAT " ms", took / MSEC);
      lss_rig_assert_all_numbered (rig);
      g_assert_cmpint (took, <=, 60 * SECOND);
    }
}

/* Two with one uid: both take the number at once. Told off, and one of them unplugged: the other has it. */
static void
test_twins (void)
{
  g_autoptr (LssRig) rig = lss_rig_new (1);
  guint8 n;

  lss_rig_plug_in (rig, UID (1), HONEST);
  lss_rig_run (rig, 10 * SECOND, TRUE);
  lss_rig_run (rig, 2 * SECOND, FALSE);
  lss_rig_plug_in (rig, UID (1), HONEST);
  lss_rig_run (rig, 10 * SECOND, FALSE);
  n = rig->nodes[0].slave.node_id;
  g_assert_cmpint (rig->nodes[1].slave.node_id, ==, GW_LSS_NODE_NONE);
  g_assert_cmpuint (rig->troubles[GW_LSS_TROUBLE_TWICE], ==, 1);
  lss_rig_set_uid (&rig->nodes[0], UID (2)); /* another in its place */
  lss_rig_run (rig, 70 * SECOND, TRUE);
  g_assert_cmpint (rig->nodes[0].slave.node_id, !=, GW_LSS_NODE_NONE);
  g_assert_cmpint (rig->nodes[1].slave.node_id, ==, n);
  lss_rig_assert_all_numbered (rig);
}

/* Another master: it has the bus for ten seconds after its last word. */
static void
test_foreign_master (void)
{
  g_autoptr (LssRig) rig = lss_rig_new (1);
  GwLssMessage msg = { .command = GW_LSS_SWITCH_GLOBAL, .mode = 0 };
  GwCanFrame frame;
  guint frames;

  gw_lss_encode (&msg, &frame);
  lss_rig_plug_in (rig, UID (1), HONEST);
  lss_rig_run (rig, 20 * MSEC, FALSE); /* in the middle of a search */
  for (guint i = 0; i < 5; i++)
    {
      gw_lss_master_take (&rig->master, &frame, rig->now);
      frames = rig->frames_of_master;
      gw_lss_master_scan (&rig->master, rig->now);
      lss_rig_run (rig, 9 * SECOND, FALSE);
      g_assert_cmpuint (rig->frames_of_master, <=, frames + 1); /* one may have been out */
    }
  g_assert_cmpuint (rig->troubles[GW_LSS_TROUBLE_FOREIGN_MASTER], ==, 1);
  g_assert_cmpint (lss_rig_run (rig, 10 * SECOND, TRUE), <=, 3 * SECOND);
  lss_rig_assert_all_numbered (rig);
}

/* Numbers are not thrown away on who keeps none. */
static void
test_mute (void)
{
  g_autoptr (LssRig) rig = lss_rig_new (1);

  rig->merges = TRUE;
  for (guint i = 0; i < 40; i++)
    lss_rig_plug_in (rig, UID (i + 1), MUTE);
  lss_rig_run (rig, 24 * SECOND / 10, FALSE);
  g_assert_cmpuint (rig->n_numbered, ==, 16);
}

int
main (int argc, char **argv)
{
  static const struct
  {
    const char *path;
    LssRigKind kind;
  } liars[] = {
    { "/lss-liars/liar/answers-all", ANSWERS_ALL }, { "/lss-liars/liar/no-configure", NO_CONFIGURE },
    { "/lss-liars/liar/refuses", REFUSES },         { "/lss-liars/liar/never-takes", NEVER_TAKES },
    { "/lss-liars/liar/floods", FLOODS },
  };

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/lss-liars/foreign-nodes", test_foreign_nodes);
  g_test_add_func ("/lss-liars/fickle", test_fickle);
  g_test_add_func ("/lss-liars/changes", test_changes);
  g_test_add_func ("/lss-liars/twins", test_twins);
  g_test_add_func ("/lss-liars/foreign-master", test_foreign_master);
  g_test_add_func ("/lss-liars/mute", test_mute);
  for (gsize i = 0; i < G_N_ELEMENTS (liars); i++)
    g_test_add_data_func (liars[i].path, GUINT_TO_POINTER (liars[i].kind), test_liar);
  return g_test_run ();
}
