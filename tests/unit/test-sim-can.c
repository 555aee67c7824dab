/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The simulated CAN bus on a clock that the test moves: times to the nanosecond against gw_can_frame_nsec(),
 * who wins, what merges, and what errors cost. */

#include "can-players.h"

#define BIT_NSEC 2000 /* at CAN_PLAYERS_RATE */

static void
set_up (CanPlayers *f, gconstpointer unpaced)
{
  can_players_init (f, unpaced != NULL);
}

static void
tear_down (CanPlayers *f, gconstpointer data)
{
  can_players_clear (f);
}

/* ---- Time ---- */

static void
test_timing (CanPlayers *f, gconstpointer data)
{
  GwCanFrame frames[] = { can_players_frame (0x123, "12345678"), can_players_frame (0x18DAF101, "abc"),
                          can_players_frame (0x7FF, "") };
  gint64 at = SIM_RIG_START_USEC * 1000;

  for (guint i = 0; i < G_N_ELEMENTS (frames); i++)
    {
      can_players_put (f, 0, &frames[i]);
      sim_rig_jump (&f->rig, 1000);
      g_assert_cmpint (can_players_note (f, 1, i)->at, ==, at + can_players_nsec (&frames[i]));
      g_assert_cmpint (can_players_note (f, 0, i)->at, ==, at + can_players_nsec (&frames[i]));
      g_assert_true (can_players_note (f, 0, i)->sent);
      at += 1000 * 1000;
    }
}

static void
test_fd_timing (CanPlayers *f, gconstpointer data)
{
  GwCanFrame frame = { .id = 0x100, .fd = true, .brs = true, .len = 64 };

  can_players_put (f, 0, &frame);
  sim_rig_jump (&f->rig, 1000);
  g_assert_cmpint (can_players_note (f, 1, 0)->at, ==, SIM_RIG_START_USEC * 1000 + can_players_nsec (&frame));
  g_assert_cmpint (can_players_nsec (&frame), <, 500 * 1000); /* the data phase is not at 500 kbit/s */
}

/* The clock leaps by 100 ms; the bus has nothing of it. */
static void
test_late_without_drift (CanPlayers *f, gconstpointer data)
{
  GwCanFrame frame = can_players_frame (0x55, "\x55\xAA\x55\xAA");

  f->players[0].again = frame;
  f->players[0].repeats = 299;
  can_players_put (f, 0, &frame);
  sim_rig_jump (&f->rig, 100 * 1000);
  g_assert_cmpuint (f->players[1].notes->len, ==, 300);
  for (guint i = 0; i < 300; i++)
    g_assert_cmpint (can_players_note (f, 1, i)->at, ==,
                     SIM_RIG_START_USEC * 1000 + (gint64)(i + 1) * can_players_nsec (&frame));
}

/* Not a microsecond early: a frame is heard when its last bit is over. */
static void
test_not_early (CanPlayers *f, gconstpointer data)
{
  GwCanFrame frame = can_players_frame (0x55, "early");
  gint64 usec = can_players_nsec (&frame) / 1000;

  can_players_put (f, 0, &frame);
  sim_rig_turn ();
  for (gint64 t = 0; t < usec; t++)
    {
      g_assert_cmpuint (f->players[1].notes->len, ==, 0);
      sim_rig_jump (&f->rig, 1);
    }
  sim_rig_jump (&f->rig, 1);
  g_assert_cmpuint (f->players[1].notes->len, ==, 1);
}

/* What candump -L would have written: id, FD flags, data. */
static void
test_log (CanPlayers *f, gconstpointer data)
{
  g_autofree char *path = g_build_filename (f->rig.folder, "log", NULL), *text = NULL, *expected = NULL;
  g_autoptr (GError) error = NULL;
  GwCanFrame frames[]
      = { can_players_frame (0x7E5, "\x51\x0A"),
          { .id = 0x18DAF101, .extended = true, .fd = true, .brs = true, .len = 2, .data = { 1, 2 } },
          { .id = 0x701, .remote = true } };
  gint64 at[3], begin = SIM_RIG_START_USEC * 1000;

  gw_sim_can_bus_open_log (f->bus, path, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < 3; i++)
    {
      can_players_put (f, 0, &frames[i]);
      sim_rig_jump (&f->rig, 1000);
      at[i] = (begin + can_players_nsec (&frames[i])) / 1000;
      begin += 1000 * 1000;
    }
  fflush (f->bus->log);
  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  expected = g_strdup_printf ("(1.%06d) can0 7E5#510A\n(1.%06d) can0 18DAF101##10102\n(1.%06d) can0 701#R\n",
                              (int)(at[0] - SIM_RIG_START_USEC), (int)(at[1] - SIM_RIG_START_USEC),
                              (int)(at[2] - SIM_RIG_START_USEC));
  g_assert_cmpstr (text, ==, expected);
}

static void
test_unpaced (CanPlayers *f, gconstpointer data)
{
  GwCanFrame frame = can_players_frame (0x55, "fast");

  f->players[0].again = frame;
  f->players[0].repeats = 999;
  can_players_put (f, 0, &frame);
  sim_rig_turn ();
  g_assert_cmpuint (f->players[1].notes->len, ==, 1000);
}

/* ---- Arbitration ---- */

static void
test_lowest_id_first (CanPlayers *f, gconstpointer data)
{
  GwCanFrame a = can_players_frame (0x300, "a"), b = can_players_frame (0x18DAF101, "b"),
             c = can_players_frame (0x0FF, "c");
  gint64 begin = SIM_RIG_START_USEC * 1000;

  can_players_put (f, 0, &a);
  can_players_put (f, 1, &b);
  can_players_put (f, 2, &c);
  sim_rig_jump (&f->rig, 10 * 1000);
  can_players_assert_heard (f, 3, 0, &c);
  can_players_assert_heard (f, 3, 1, &a);
  can_players_assert_heard (f, 3, 2, &b);
  g_assert_cmpint (can_players_note (f, 3, 2)->at, ==,
                   begin + can_players_nsec (&a) + can_players_nsec (&b) + can_players_nsec (&c));
  g_assert_cmpuint (f->players[1].unit.arbitrations_lost, ==, 2);
  g_assert_cmpuint (f->players[2].unit.arbitrations_lost, ==, 0);
  g_assert_cmpuint (f->players[3].notes->len, ==, 3);
}

/* Who comes while a frame is on the wire waits for its end, however urgent. */
static void
test_no_preemption (CanPlayers *f, gconstpointer data)
{
  GwCanFrame late = can_players_frame (0x001, "now!"), first = can_players_frame (0x700, "12345678"),
             other = can_players_frame (0x100, "x");

  can_players_put (f, 0, &first);
  sim_rig_turn ();
  sim_rig_jump (&f->rig, 20);
  can_players_put (f, 1, &other);
  can_players_put (f, 2, &late);
  sim_rig_jump (&f->rig, 10 * 1000);
  can_players_assert_heard (f, 3, 0, &first);
  can_players_assert_heard (f, 3, 1, &late);
  can_players_assert_heard (f, 3, 2, &other);
}

/* A unit's own mailboxes compete too. */
static void
test_mailboxes_compete (CanPlayers *f, gconstpointer data)
{
  GwCanFrame low = can_players_frame (0x18DAF101, "bulk"), high = can_players_frame (0x123, "urgent");

  g_assert_true (gw_sim_can_unit_put (&f->players[0].unit, 1, &low, 0));
  g_assert_true (gw_sim_can_unit_put (&f->players[0].unit, 0, &high, 0));
  g_assert_false (gw_sim_can_unit_put (&f->players[0].unit, 0, &high, 0));
  sim_rig_jump (&f->rig, 10 * 1000);
  can_players_assert_heard (f, 3, 0, &high);
  can_players_assert_heard (f, 3, 1, &low);
}

static void
test_equal_frames_merge (CanPlayers *f, gconstpointer data)
{
  GwCanFrame answer = can_players_frame (0x7E4, "\x4F");

  can_players_put (f, 0, &answer);
  can_players_put (f, 1, &answer);
  /* This one is slower by 20 us and meets nobody: a copy. */
  g_assert_true (gw_sim_can_unit_put (&f->players[2].unit, 0, &answer, 20 * 1000));
  sim_rig_jump (&f->rig, 10 * 1000);
  g_assert_cmpuint (f->players[3].notes->len, ==, 2);
  g_assert_cmpint (can_players_note (f, 3, 1)->at, ==,
                   SIM_RIG_START_USEC * 1000 + 2 * can_players_nsec (&answer));
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (f->players[i].unit.frames_out, ==, 1);
  g_assert_cmpuint (f->players[0].unit.tec, ==, 0);
  g_assert_cmpuint (f->players[0].unit.frames_in, ==, 1); /* the copy, not its own */
}

/* Two with one id and other data destroy each other until the one that sees a recessive bit lost is error
 * passive: its error flag then disturbs nobody. */
static void
test_clash (CanPlayers *f, gconstpointer data)
{
  GwCanFrame dominant = can_players_frame (0x18DAF105, "\x10"),
             recessive = can_players_frame (0x18DAF105, "\x20");

  can_players_put (f, 0, &recessive);
  can_players_put (f, 1, &dominant);
  sim_rig_jump (&f->rig, 100 * 1000);
  can_players_assert_heard (f, 3, 0, &dominant);
  can_players_assert_heard (f, 3, 1, &recessive);
  g_assert_cmpuint (f->players[0].unit.errors, ==, GW_SIM_CAN_PASSIVE / 8);
  g_assert_cmpuint (f->players[1].unit.tec, ==, GW_SIM_CAN_PASSIVE - 1);
  g_assert_cmpuint (f->players[0].unit.offs, ==, 0);
}

/* ---- Errors ---- */

static void
test_bus_off (CanPlayers *f, gconstpointer data)
{
  GwCanFrame frame = can_players_frame (0x100, "doomed");
  CanPlayer *sender = &f->players[0];
  GwSimCanState seen = GW_SIM_CAN_STATE_ACTIVE;
  guint errors = 0;

  sender->unit.error_share = 1;
  sender->unit.stays_off = true;
  can_players_put (f, 0, &frame);
  while (sender->unit.state != GW_SIM_CAN_STATE_OFF)
    {
      sim_rig_jump (&f->rig, 10);
      if (sender->unit.errors == errors)
        continue;
      errors = sender->unit.errors;
      g_assert_cmpuint (sender->unit.tec, ==, errors * 8);
      g_assert_cmpuint (f->players[1].unit.rec, ==, errors);
      g_assert_cmpint (sender->unit.state, >=, seen);
      seen = sender->unit.state;
      g_assert_cmpint (seen, ==,
                       errors < 12   ? GW_SIM_CAN_STATE_ACTIVE
                       : errors < 16 ? GW_SIM_CAN_STATE_WARNING
                       : errors < 32 ? GW_SIM_CAN_STATE_PASSIVE
                                     : GW_SIM_CAN_STATE_OFF);
    }
  g_assert_cmpuint (errors, ==, 32);
  g_assert_cmpuint (f->players[1].notes->len, ==, 0);
  sim_rig_jump (&f->rig, G_USEC_PER_SEC);
  g_assert_cmpint (sender->unit.state, ==, GW_SIM_CAN_STATE_OFF);
}

/* It comes back after 128 x 11 bits, and its frame goes out; receivers count down by one for each good frame.
 */
static void
test_recovery (CanPlayers *f, gconstpointer data)
{
  GwCanFrame frame = can_players_frame (0x100, "again");

  can_players_put (f, 0, &frame);
  sim_rig_turn ();
  gw_sim_can_wire_force_off (f->bus, &f->players[0].unit);
  sim_rig_jump (&f->rig, 128 * 11 * BIT_NSEC / 1000 - 1);
  g_assert_cmpint (f->players[0].unit.state, ==, GW_SIM_CAN_STATE_OFF);
  sim_rig_jump (&f->rig, 2);
  g_assert_cmpint (f->players[0].unit.state, ==, GW_SIM_CAN_STATE_ACTIVE);
  g_assert_cmpuint (f->players[1].unit.rec, ==, 1); /* its frame was torn off */
  sim_rig_jump (&f->rig, 1000);
  can_players_assert_heard (f, 1, 0, &frame);
  g_assert_cmpuint (f->players[1].unit.rec, ==, 0);
}

/* A share of all frames is destroyed and repeated; nothing is lost, nothing doubled, and it costs time. */
static void
test_error_share (CanPlayers *f, gconstpointer data)
{
  GwCanFrame frame = can_players_frame (0x123, "x");
  CanPlayer *sender = &f->players[0];
  guint errors;

  gw_sim_can_wire_set_error_share (f->bus, 0.1);
  sender->again = frame;
  sender->repeats = 999;
  can_players_put (f, 0, &frame);
  sim_rig_jump (&f->rig, 1500 * 1000);
  errors = sender->unit.errors;
  g_assert_cmpuint (f->players[1].notes->len, ==, 1000);
  g_assert_cmpuint (errors, >, 70);
  g_assert_cmpuint (errors, <, 160);
  g_assert_cmpint (can_players_note (f, 1, 999)->at, >,
                   SIM_RIG_START_USEC * 1000 + 1000 * can_players_nsec (&frame) + errors * 20 * BIT_NSEC);
  g_assert_cmpuint (f->players[1].unit.rec, <, 128);
}

/* Nobody acknowledges: passive, again and again, and never off; then somebody comes. */
static void
test_alone (CanPlayers *f, gconstpointer data)
{
  GwCanFrame frame = can_players_frame (0x7E5, "anyone?");

  for (guint i = 1; i < CAN_PLAYERS; i++)
    gw_sim_can_unit_detach (&f->players[i].unit);
  f->players[1].unit.listen_only = true;
  gw_sim_can_unit_attach (&f->players[1].unit, f->bus);
  can_players_put (f, 0, &frame);
  sim_rig_jump (&f->rig, G_USEC_PER_SEC);
  g_assert_cmpuint (f->players[0].unit.tec, ==, GW_SIM_CAN_PASSIVE);
  g_assert_cmpuint (f->players[0].unit.errors, >, 1000);
  g_assert_cmpuint (f->players[1].notes->len, ==, 0);
  gw_sim_can_unit_attach (&f->players[2].unit, f->bus);
  sim_rig_jump (&f->rig, 1000);
  can_players_assert_heard (f, 2, 0, &frame);
}

/* One at another bit rate disturbs until it is passive, and hears nothing. */
static void
test_wrong_rate (CanPlayers *f, gconstpointer data)
{
  GwCanFrame frame = can_players_frame (0x123, "right");

  f->players[2].unit.misclocked = true;
  can_players_put (f, 0, &frame);
  sim_rig_jump (&f->rig, G_USEC_PER_SEC);
  can_players_assert_heard (f, 1, 0, &frame);
  g_assert_cmpuint (f->players[2].unit.state, ==, GW_SIM_CAN_STATE_PASSIVE);
  g_assert_cmpuint (f->players[2].notes->len, ==, 0);
}

/* Its sender goes in the middle of a frame: the others saw garbage, nobody a frame. */
static void
test_torn_frame (CanPlayers *f, gconstpointer data)
{
  GwCanFrame frame = can_players_frame (0x123, "12345678"), next = can_players_frame (0x124, "next");

  can_players_put (f, 0, &frame);
  sim_rig_turn ();
  sim_rig_jump (&f->rig, 50);
  gw_sim_can_unit_detach (&f->players[0].unit);
  can_players_put (f, 1, &next);
  sim_rig_jump (&f->rig, 10 * 1000);
  g_assert_cmpuint (f->players[2].notes->len, ==, 1);
  can_players_assert_heard (f, 2, 0, &next);
}

#define ADD(name, data, func) g_test_add ("/sim-can/" name, CanPlayers, data, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  static const char unpaced[] = "";

  g_test_init (&argc, &argv, NULL);
  ADD ("timing/classic", NULL, test_timing);
  ADD ("timing/fd", NULL, test_fd_timing);
  ADD ("timing/late-without-drift", NULL, test_late_without_drift);
  ADD ("timing/not-early", NULL, test_not_early);
  ADD ("timing/unpaced", unpaced, test_unpaced);
  ADD ("timing/log", NULL, test_log);
  ADD ("arbitration/lowest-id-first", NULL, test_lowest_id_first);
  ADD ("arbitration/no-preemption", NULL, test_no_preemption);
  ADD ("arbitration/mailboxes", NULL, test_mailboxes_compete);
  ADD ("arbitration/equal-frames-merge", NULL, test_equal_frames_merge);
  ADD ("arbitration/clash", NULL, test_clash);
  ADD ("errors/bus-off", NULL, test_bus_off);
  ADD ("errors/recovery", NULL, test_recovery);
  ADD ("errors/share", NULL, test_error_share);
  ADD ("errors/alone", NULL, test_alone);
  ADD ("errors/alone-unpaced", unpaced, test_alone);
  ADD ("errors/wrong-rate", NULL, test_wrong_rate);
  ADD ("errors/torn-frame", NULL, test_torn_frame);
  return g_test_run ();
}
