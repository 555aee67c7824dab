/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The simulated SLCAN adapter: what it says on its terminal, and what it makes of the bus, on a clock that
 * the test moves. */

#include <string.h>

#include "can-players.h"
#include "gw-sim-can-adapter.h"
#include "sim-terminal.h"

typedef struct
{
  CanPlayers bus;
  GwSimCanAdapter *adapter;
  SimTerminal terminal;
} Fixture;

static guint64
counter (gpointer data, const char *name)
{
  Fixture *f = data;
  json_t *status = gw_sim_can_adapter_status (f->adapter);
  guint64 value = json_integer_value (json_object_get (status, name));

  json_decref (status);
  return value;
}

static void
open_terminal (Fixture *f)
{
  g_autofree char *link = g_build_filename (f->bus.rig.folder, "ttyCAN0", NULL);

  sim_terminal_open (&f->terminal, link, counter, f);
  gw_sim_can_adapter_check (f->adapter);
}

static void
set_up (Fixture *f, gconstpointer data)
{
  g_autofree char *link = NULL;
  g_autoptr (GError) error = NULL;

  can_players_init (&f->bus, false);
  link = g_build_filename (f->bus.rig.folder, "ttyCAN0", NULL);
  f->adapter = gw_sim_can_adapter_new (f->bus.rig.loop, f->bus.bus, link);
  gw_sim_can_adapter_plug (f->adapter, &error);
  g_assert_no_error (error);
  open_terminal (f);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  sim_terminal_close (&f->terminal);
  gw_sim_can_adapter_free (f->adapter);
  can_players_clear (&f->bus);
}

static void
jump (Fixture *f, gint64 usec)
{
  sim_rig_jump (&f->bus.rig, usec);
}

/* What the terminal has to say, CR shown as ';' and BEL as '!'. */
static void
assert_says (Fixture *f, const char *expected)
{
  g_autoptr (GString) text = g_string_new (NULL);
  char octets[1024];
  gsize n;

  while ((n = sim_terminal_read (&f->terminal, octets, sizeof octets)) > 0)
    g_string_append_len (text, octets, n);
  g_strdelimit (text->str, "\r", ';');
  g_strdelimit (text->str, "\a", '!');
  g_assert_cmpstr (text->str, ==, expected);
}

static void
tell (Fixture *f, const char *text, const char *expected)
{
  g_autofree char *line = g_strconcat (text, "\r", NULL);

  sim_terminal_write (&f->terminal, line, strlen (line));
  assert_says (f, expected);
}

static void
test_commands (Fixture *f, gconstpointer data)
{
  tell (f, "V", "V1013;");
  tell (f, "N", "NGW01;");
  tell (f, "O", "!"); /* no speed yet */
  tell (f, "C", "!");
  tell (f, "F", "!");
  tell (f, "t1230", "!");
  tell (f, "Q1", "!");
  tell (f, "S9", "!");
  tell (f, "S6", ";");
  tell (f, "O", ";");
  tell (f, "O", "!");
  tell (f, "S5", "!");
  tell (f, "F", "F00;");
  tell (f, "", ";");
  tell (f, "C", ";");
}

static void
test_frames (Fixture *f, gconstpointer data)
{
  GwCanFrame base = can_players_frame (0x123, "\x11\x22"), extended = can_players_frame (0x18DAF101, "\x33");

  tell (f, "S6", ";");
  tell (f, "O", ";");
  tell (f, "t12321122", "z;");
  tell (f, "T18DAF101133", "Z;");
  jump (f, 1000);
  can_players_assert_heard (&f->bus, 0, 0, &base);
  can_players_assert_heard (&f->bus, 0, 1, &extended);
  can_players_put (&f->bus, 0, &base);
  jump (f, 1000);
  assert_says (f, "t12321122;");
  can_players_put (&f->bus, 0, &extended);
  jump (f, 1000);
  assert_says (f, "T18DAF101133;");
  tell (f, "C", ";");
  tell (f, "Z1", ";");
  tell (f, "O", ";");
  can_players_put (&f->bus, 0, &base);
  jump (f, 1000);
  assert_says (f, "t1232112203EB;"); /* a second and 3 ms after the clock's zero */
}

/* Commands come at once, the bus takes its time: what does not fit is refused and flagged once. */
static void
test_queue (Fixture *f, gconstpointer data)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (GString) answers = g_string_new (NULL);

  tell (f, "S6", ";");
  tell (f, "O", ";");
  /* One more is in the controller. */
  for (guint i = 0; i < GW_SIM_CAN_ADAPTER_QUEUE + 2; i++)
    {
      g_string_append_printf (text, "t0000%s", i < GW_SIM_CAN_ADAPTER_QUEUE + 1 ? "\r" : "");
      g_string_append (answers, i < GW_SIM_CAN_ADAPTER_QUEUE + 1 ? "z;" : "!");
    }
  tell (f, text->str, answers->str);
  tell (f, "F", "F02;");
  jump (f, 100 * 1000);
  g_assert_cmpuint (f->bus.players[0].notes->len, ==, GW_SIM_CAN_ADAPTER_QUEUE + 1);
  tell (f, "F", "F00;");
}

static void
test_bus_off (Fixture *f, gconstpointer data)
{
  tell (f, "S6", ";");
  tell (f, "O", ";");
  gw_sim_can_adapter_unit (f->adapter)->error_share = 1;
  tell (f, "t1230", "z;");
  for (guint i = 0; i < 12; i++) /* at most 160 us each */
    jump (f, 160);
  while (gw_sim_can_adapter_unit (f->adapter)->errors < 16)
    jump (f, 10);
  tell (f, "F", "F24;");
  jump (f, 100 * 1000);
  gw_sim_can_adapter_unit (f->adapter)->error_share = 0;
  jump (f, G_USEC_PER_SEC);
  tell (f, "F", "FA4;");
  tell (f, "C", ";");
  tell (f, "O", ";");
  tell (f, "F", "F00;");
  tell (f, "t1231AA", "z;");
  jump (f, 1000);
  g_assert_cmpuint (f->bus.players[0].notes->len, ==, 1);
}

/* Its user goes without a word: the channel stays open, and the next one hears what is on the bus. */
static void
test_user_goes (Fixture *f, gconstpointer data)
{
  GwCanFrame frame = can_players_frame (0x123, "\x11");

  tell (f, "S6", ";");
  tell (f, "O", ";");
  sim_terminal_close (&f->terminal);
  sim_rig_turn ();
  can_players_put (&f->bus, 0, &frame);
  jump (f, 1000);
  g_assert_true (can_players_note (&f->bus, 0, 0)->sent);
  open_terminal (f);
  can_players_put (&f->bus, 0, &frame);
  jump (f, 1000);
  assert_says (f, "t123111;");
  tell (f, "S6", "!");
}

static void
drain (Fixture *f)
{
  char text[4096];

  do
    {
      sim_rig_turn ();
      while (sim_terminal_read (&f->terminal, text, sizeof text) > 0)
        ;
    }
  while (counter (f, "unread") > 0);
}

/* Nobody reads: frames are dropped, which the flags tell; the bus goes on. */
static void
test_overrun (Fixture *f, gconstpointer data)
{
  GwCanFrame frame = can_players_frame (0x18DAF101, "12345678");

  tell (f, "S6", ";");
  tell (f, "O", ";");
  f->bus.players[0].again = frame;
  f->bus.players[0].repeats = 1999;
  can_players_put (&f->bus, 0, &frame);
  jump (f, G_USEC_PER_SEC);
  g_assert_cmpuint (f->bus.players[1].notes->len, ==, 2000);
  drain (f);
  tell (f, "F", "F09;");
}

#define ADD(name, func) g_test_add ("/sim-can-adapter/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("commands", test_commands);
  ADD ("frames", test_frames);
  ADD ("queue", test_queue);
  ADD ("bus-off", test_bus_off);
  ADD ("user-goes", test_user_goes);
  ADD ("overrun", test_overrun);
  return g_test_run ();
}
