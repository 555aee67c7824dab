/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The simulated CAN bus on a clock that the test moves: times to the nanosecond against gw_can_frame_nsec(),
 * who wins, what merges, what errors cost, and what the adapter says on its terminal. */

#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "gw-isotp.h"
#include "gw-link-question.h"
#include "gw-lss-codec.h"
#include "gw-protocol.h"
#include "gw-sim-can-adapter.h"
#include "gw-sim-can-wire.h"
#include "gw-sim.h"
#include "gw-slcan-codec.h"

#define RATE 500000
#define DATA_RATE 2000000
#define BIT_NSEC 2000 /* at RATE */
#define START_USEC G_USEC_PER_SEC

/* ---- Players: units that note what happens to them ---- */

typedef struct
{
  bool sent; /* or received */
  GwCanFrame frame;
  gint64 at; /* nanoseconds of the bus */
} Note;

typedef struct
{
  GwSimCanUnit unit;
  GArray *notes;
  GwCanFrame again; /* sent anew whenever it is out, while `repeats` is above 0 */
  guint repeats;
} Player;

static void
note (Player *self, bool sent, const GwCanFrame *frame)
{
  Note n = { sent, *frame, self->unit.bus->class->now (self->unit.bus) };

  g_array_append_val (self->notes, n);
}

static void
on_received (GwSimCanUnit *unit, const GwCanFrame *frame, gint64 now)
{
  note ((Player *)unit, false, frame);
}

static void
on_sent (GwSimCanUnit *unit, guint mailbox, gint64 now)
{
  Player *self = (Player *)unit;

  note (self, true, &unit->mailboxes[mailbox].frame);
  if (self->repeats > 0 && self->repeats--)
    g_assert_true (gw_sim_can_unit_put (unit, mailbox, &self->again, 0));
}

static void
on_due (GwSimCanUnit *unit, gint64 now)
{
  g_assert_not_reached ();
}

static const GwSimCanUnitClass player_class = { .received = on_received, .sent = on_sent, .due = on_due };

#define N_PLAYERS 4

typedef struct
{
  GwClock *clock;
  GwLoop *loop;
  GwSimCanBus *bus;
  Player players[N_PLAYERS];
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  f->clock = gw_clock_new_mock (START_USEC, 1700000000 * (gint64)G_USEC_PER_SEC);
  f->loop = gw_loop_new (NULL, f->clock);
  f->bus = gw_sim_can_wire_new (f->loop, RATE, DATA_RATE, data != NULL, 1);
  for (guint i = 0; i < N_PLAYERS; i++)
    {
      gw_sim_can_unit_init (&f->players[i].unit, &player_class);
      f->players[i].notes = g_array_new (FALSE, FALSE, sizeof (Note));
      gw_sim_can_unit_attach (&f->players[i].unit, f->bus);
    }
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  for (guint i = 0; i < N_PLAYERS; i++)
    {
      gw_sim_can_unit_detach (&f->players[i].unit);
      g_array_unref (f->players[i].notes);
    }
  gw_sim_can_bus_free (f->bus);
  gw_loop_free (f->loop);
  gw_clock_unref (f->clock);
}

static void
turn (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

/* In one jump, as a machine under load would have it. */
static void
jump (Fixture *f, gint64 usec)
{
  gw_clock_advance (f->clock, usec);
  turn ();
}

static GwCanFrame
frame_of (guint32 id, const char *text)
{
  GwCanFrame frame = { .id = id, .extended = id > GW_CAN_ID_BASE_MAX, .len = strlen (text) };

  memcpy (frame.data, text, frame.len);
  return frame;
}

static void
put (Fixture *f, guint player, const GwCanFrame *frame)
{
  g_assert_true (gw_sim_can_unit_put (&f->players[player].unit, 0, frame, 0));
}

static const Note *
note_at (Fixture *f, guint player, guint index)
{
  g_assert_cmpuint (index, <, f->players[player].notes->len);
  return &g_array_index (f->players[player].notes, Note, index);
}

static void
assert_heard (Fixture *f, guint player, guint index, const GwCanFrame *frame)
{
  const Note *n = note_at (f, player, index);

  g_assert_false (n->sent);
  g_assert_cmphex (n->frame.id, ==, frame->id);
  g_assert_cmpmem (n->frame.data, n->frame.len, frame->data, frame->len);
}

static gint64
nsec_of (const GwCanFrame *frame)
{
  return gw_can_frame_nsec (frame, RATE, DATA_RATE);
}

/* ---- Time ---- */

static void
test_timing (Fixture *f, gconstpointer data)
{
  GwCanFrame frames[] = { frame_of (0x123, "12345678"), frame_of (0x18DAF101, "abc"), frame_of (0x7FF, "") };
  gint64 at = START_USEC * 1000;

  for (guint i = 0; i < G_N_ELEMENTS (frames); i++)
    {
      put (f, 0, &frames[i]);
      jump (f, 1000);
      g_assert_cmpint (note_at (f, 1, i)->at, ==, at + nsec_of (&frames[i]));
      g_assert_cmpint (note_at (f, 0, i)->at, ==, at + nsec_of (&frames[i]));
      g_assert_true (note_at (f, 0, i)->sent);
      at += 1000 * 1000;
    }
}

static void
test_fd_timing (Fixture *f, gconstpointer data)
{
  GwCanFrame frame = { .id = 0x100, .fd = true, .brs = true, .len = 64 };

  put (f, 0, &frame);
  jump (f, 1000);
  g_assert_cmpint (note_at (f, 1, 0)->at, ==, START_USEC * 1000 + nsec_of (&frame));
  g_assert_cmpint (nsec_of (&frame), <, 500 * 1000); /* the data phase is not at 500 kbit/s */
}

/* The clock leaps by 100 ms; the bus has nothing of it. */
static void
test_late_without_drift (Fixture *f, gconstpointer data)
{
  GwCanFrame frame = frame_of (0x55, "\x55\xAA\x55\xAA");

  f->players[0].again = frame;
  f->players[0].repeats = 299;
  put (f, 0, &frame);
  jump (f, 100 * 1000);
  g_assert_cmpuint (f->players[1].notes->len, ==, 300);
  for (guint i = 0; i < 300; i++)
    g_assert_cmpint (note_at (f, 1, i)->at, ==, START_USEC * 1000 + (gint64)(i + 1) * nsec_of (&frame));
}

/* Not a microsecond early: a frame is heard when its last bit is over. */
static void
test_not_early (Fixture *f, gconstpointer data)
{
  GwCanFrame frame = frame_of (0x55, "early");
  gint64 usec = nsec_of (&frame) / 1000;

  put (f, 0, &frame);
  turn ();
  for (gint64 t = 0; t < usec; t++)
    {
      g_assert_cmpuint (f->players[1].notes->len, ==, 0);
      jump (f, 1);
    }
  jump (f, 1);
  g_assert_cmpuint (f->players[1].notes->len, ==, 1);
}

/* What candump -L would have written: id, FD flags, data. */
static void
test_log (Fixture *f, gconstpointer data)
{
  g_autofree char *folder = g_dir_make_tmp ("gw-sim-can-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "log", NULL), *text = NULL, *expected = NULL;
  g_autoptr (GError) error = NULL;
  GwCanFrame frames[]
      = { frame_of (0x7E5, "\x51\x0A"),
          { .id = 0x18DAF101, .extended = true, .fd = true, .brs = true, .len = 2, .data = { 1, 2 } },
          { .id = 0x701, .remote = true } };
  gint64 at[3], begin = START_USEC * 1000;

  gw_sim_can_bus_open_log (f->bus, path, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < 3; i++)
    {
      put (f, 0, &frames[i]);
      jump (f, 1000);
      at[i] = (begin + nsec_of (&frames[i])) / 1000;
      begin += 1000 * 1000;
    }
  fflush (f->bus->log);
  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  expected
      = g_strdup_printf ("(1.%06d) can0 7E5#510A\n(1.%06d) can0 18DAF101##10102\n(1.%06d) can0 701#R\n",
                         (int)(at[0] - START_USEC), (int)(at[1] - START_USEC), (int)(at[2] - START_USEC));
  g_assert_cmpstr (text, ==, expected);
  g_unlink (path);
  g_rmdir (folder);
}

static void
test_unpaced (Fixture *f, gconstpointer data)
{
  GwCanFrame frame = frame_of (0x55, "fast");

  f->players[0].again = frame;
  f->players[0].repeats = 999;
  put (f, 0, &frame);
  turn ();
  g_assert_cmpuint (f->players[1].notes->len, ==, 1000);
}

/* ---- Arbitration ---- */

static void
test_lowest_id_first (Fixture *f, gconstpointer data)
{
  GwCanFrame a = frame_of (0x300, "a"), b = frame_of (0x18DAF101, "b"), c = frame_of (0x0FF, "c");
  gint64 begin = START_USEC * 1000;

  put (f, 0, &a);
  put (f, 1, &b);
  put (f, 2, &c);
  jump (f, 10 * 1000);
  assert_heard (f, 3, 0, &c);
  assert_heard (f, 3, 1, &a);
  assert_heard (f, 3, 2, &b);
  g_assert_cmpint (note_at (f, 3, 2)->at, ==, begin + nsec_of (&a) + nsec_of (&b) + nsec_of (&c));
  g_assert_cmpuint (f->players[1].unit.arbitrations_lost, ==, 2);
  g_assert_cmpuint (f->players[2].unit.arbitrations_lost, ==, 0);
  g_assert_cmpuint (f->players[3].notes->len, ==, 3);
}

/* Who comes while a frame is on the wire waits for its end, however urgent. */
static void
test_no_preemption (Fixture *f, gconstpointer data)
{
  GwCanFrame late = frame_of (0x001, "now!"), first = frame_of (0x700, "12345678"),
             other = frame_of (0x100, "x");

  put (f, 0, &first);
  turn ();
  jump (f, 20);
  put (f, 1, &other);
  put (f, 2, &late);
  jump (f, 10 * 1000);
  assert_heard (f, 3, 0, &first);
  assert_heard (f, 3, 1, &late);
  assert_heard (f, 3, 2, &other);
}

/* A unit's own mailboxes compete too. */
static void
test_mailboxes_compete (Fixture *f, gconstpointer data)
{
  GwCanFrame low = frame_of (0x18DAF101, "bulk"), high = frame_of (0x123, "urgent");

  g_assert_true (gw_sim_can_unit_put (&f->players[0].unit, 1, &low, 0));
  g_assert_true (gw_sim_can_unit_put (&f->players[0].unit, 0, &high, 0));
  g_assert_false (gw_sim_can_unit_put (&f->players[0].unit, 0, &high, 0));
  jump (f, 10 * 1000);
  assert_heard (f, 3, 0, &high);
  assert_heard (f, 3, 1, &low);
}

static void
test_equal_frames_merge (Fixture *f, gconstpointer data)
{
  GwCanFrame answer = frame_of (0x7E4, "\x4F");

  put (f, 0, &answer);
  put (f, 1, &answer);
  /* This one is slower by 20 us and meets nobody: a copy. */
  g_assert_true (gw_sim_can_unit_put (&f->players[2].unit, 0, &answer, 20 * 1000));
  jump (f, 10 * 1000);
  g_assert_cmpuint (f->players[3].notes->len, ==, 2);
  g_assert_cmpint (note_at (f, 3, 1)->at, ==, START_USEC * 1000 + 2 * nsec_of (&answer));
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (f->players[i].unit.frames_out, ==, 1);
  g_assert_cmpuint (f->players[0].unit.tec, ==, 0);
  g_assert_cmpuint (f->players[0].unit.frames_in, ==, 1); /* the copy, not its own */
}

/* Two with one id and other data destroy each other until the one that sees a recessive bit lost is error
 * passive: its error flag then disturbs nobody. */
static void
test_clash (Fixture *f, gconstpointer data)
{
  GwCanFrame dominant = frame_of (0x18DAF105, "\x10"), recessive = frame_of (0x18DAF105, "\x20");

  put (f, 0, &recessive);
  put (f, 1, &dominant);
  jump (f, 100 * 1000);
  assert_heard (f, 3, 0, &dominant);
  assert_heard (f, 3, 1, &recessive);
  g_assert_cmpuint (f->players[0].unit.errors, ==, GW_SIM_CAN_PASSIVE / 8);
  g_assert_cmpuint (f->players[1].unit.tec, ==, GW_SIM_CAN_PASSIVE - 1);
  g_assert_cmpuint (f->players[0].unit.offs, ==, 0);
}

/* ---- Errors ---- */

static void
test_bus_off (Fixture *f, gconstpointer data)
{
  GwCanFrame frame = frame_of (0x100, "doomed");
  Player *sender = &f->players[0];
  GwSimCanState seen = GW_SIM_CAN_STATE_ACTIVE;
  guint errors = 0;

  sender->unit.error_share = 1;
  sender->unit.stays_off = true;
  put (f, 0, &frame);
  while (sender->unit.state != GW_SIM_CAN_STATE_OFF)
    {
      jump (f, 10);
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
  jump (f, G_USEC_PER_SEC);
  g_assert_cmpint (sender->unit.state, ==, GW_SIM_CAN_STATE_OFF);
}

/* It comes back after 128 x 11 bits, and its frame goes out; receivers count down by one for each good frame.
 */
static void
test_recovery (Fixture *f, gconstpointer data)
{
  GwCanFrame frame = frame_of (0x100, "again");

  put (f, 0, &frame);
  turn ();
  gw_sim_can_wire_force_off (f->bus, &f->players[0].unit);
  jump (f, 128 * 11 * BIT_NSEC / 1000 - 1);
  g_assert_cmpint (f->players[0].unit.state, ==, GW_SIM_CAN_STATE_OFF);
  jump (f, 2);
  g_assert_cmpint (f->players[0].unit.state, ==, GW_SIM_CAN_STATE_ACTIVE);
  g_assert_cmpuint (f->players[1].unit.rec, ==, 1); /* its frame was torn off */
  jump (f, 1000);
  assert_heard (f, 1, 0, &frame);
  g_assert_cmpuint (f->players[1].unit.rec, ==, 0);
}

/* A share of all frames is destroyed and repeated; nothing is lost, nothing doubled, and it costs time. */
static void
test_error_share (Fixture *f, gconstpointer data)
{
  GwCanFrame frame = frame_of (0x123, "x");
  Player *sender = &f->players[0];
  guint errors;

  gw_sim_can_wire_set_error_share (f->bus, 0.1);
  sender->again = frame;
  sender->repeats = 999;
  put (f, 0, &frame);
  jump (f, 1500 * 1000);
  errors = sender->unit.errors;
  g_assert_cmpuint (f->players[1].notes->len, ==, 1000);
  g_assert_cmpuint (errors, >, 70);
  g_assert_cmpuint (errors, <, 160);
  g_assert_cmpint (note_at (f, 1, 999)->at, >,
                   START_USEC * 1000 + 1000 * nsec_of (&frame) + errors * 20 * BIT_NSEC);
  g_assert_cmpuint (f->players[1].unit.rec, <, 128);
}

/* Nobody acknowledges: passive, again and again, and never off; then somebody comes. */
static void
test_alone (Fixture *f, gconstpointer data)
{
  GwCanFrame frame = frame_of (0x7E5, "anyone?");

  for (guint i = 1; i < N_PLAYERS; i++)
    gw_sim_can_unit_detach (&f->players[i].unit);
  f->players[1].unit.listen_only = true;
  gw_sim_can_unit_attach (&f->players[1].unit, f->bus);
  put (f, 0, &frame);
  jump (f, G_USEC_PER_SEC);
  g_assert_cmpuint (f->players[0].unit.tec, ==, GW_SIM_CAN_PASSIVE);
  g_assert_cmpuint (f->players[0].unit.errors, >, 1000);
  g_assert_cmpuint (f->players[1].notes->len, ==, 0);
  gw_sim_can_unit_attach (&f->players[2].unit, f->bus);
  jump (f, 1000);
  assert_heard (f, 2, 0, &frame);
}

/* One at another bit rate disturbs until it is passive, and hears nothing. */
static void
test_wrong_rate (Fixture *f, gconstpointer data)
{
  GwCanFrame frame = frame_of (0x123, "right");

  f->players[2].unit.misclocked = true;
  put (f, 0, &frame);
  jump (f, G_USEC_PER_SEC);
  assert_heard (f, 1, 0, &frame);
  g_assert_cmpuint (f->players[2].unit.state, ==, GW_SIM_CAN_STATE_PASSIVE);
  g_assert_cmpuint (f->players[2].notes->len, ==, 0);
}

/* Its sender goes in the middle of a frame: the others saw garbage, nobody a frame. */
static void
test_torn_frame (Fixture *f, gconstpointer data)
{
  GwCanFrame frame = frame_of (0x123, "12345678"), next = frame_of (0x124, "next");

  put (f, 0, &frame);
  turn ();
  jump (f, 50);
  gw_sim_can_unit_detach (&f->players[0].unit);
  put (f, 1, &next);
  jump (f, 10 * 1000);
  g_assert_cmpuint (f->players[2].notes->len, ==, 1);
  assert_heard (f, 2, 0, &next);
}

/* ---- The adapter ---- */

typedef struct
{
  Fixture f;
  char *folder, *link;
  GwSimCanAdapter *adapter;
  int fd;
  guint64 written, read;
} Line;

static void
open_line (Line *l)
{
  l->fd = open (l->link, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  g_assert_cmpint (l->fd, >=, 0);
  gw_sim_can_adapter_check (l->adapter);
}

static void
line_set_up (Line *l, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  set_up (&l->f, NULL);
  l->folder = g_dir_make_tmp ("gw-sim-can-XXXXXX", NULL);
  l->link = g_build_filename (l->folder, "ttyCAN0", NULL);
  l->adapter = gw_sim_can_adapter_new (l->f.loop, l->f.bus, l->link);
  gw_sim_can_adapter_plug (l->adapter, &error);
  g_assert_no_error (error);
  open_line (l);
}

static void
line_tear_down (Line *l, gconstpointer data)
{
  close (l->fd);
  gw_sim_can_adapter_free (l->adapter);
  g_rmdir (l->folder);
  g_free (l->folder);
  g_free (l->link);
  tear_down (&l->f, NULL);
}

/* The kernel passes octets through a terminal in its own time; the adapter's counters say when all are over.
 */
static guint64
counter (json_t *status, const char *name)
{
  return json_integer_value (json_object_get (status, name));
}

static void
settle (Line *l)
{
  json_t *status;
  bool over;

  do
    {
      turn ();
      status = gw_sim_can_adapter_status (l->adapter);
      over = counter (status, "octets_in") == l->written;
      json_decref (status);
    }
  while (!over);
}

/* What the terminal has to say, CR shown as ';' and BEL as '!'. */
static void
assert_says (Line *l, const char *expected)
{
  g_autoptr (GString) text = g_string_new (NULL);
  json_t *status;
  guint64 all;

  settle (l);
  status = gw_sim_can_adapter_status (l->adapter);
  all = counter (status, "octets_out");
  json_decref (status);
  while (l->read < all)
    {
      char octets[1024];
      gssize n = read (l->fd, octets, sizeof octets);

      g_string_append_len (text, octets, MAX (n, 0));
      l->read += MAX (n, 0);
    }
  g_strdelimit (text->str, "\r", ';');
  g_strdelimit (text->str, "\a", '!');
  g_assert_cmpstr (text->str, ==, expected);
}

static void
tell (Line *l, const char *text, const char *expected)
{
  g_autofree char *line = g_strconcat (text, "\r", NULL);

  g_assert_cmpint (write (l->fd, line, strlen (line)), ==, strlen (line));
  l->written += strlen (line);
  assert_says (l, expected);
}

static void
test_adapter_commands (Line *l, gconstpointer data)
{
  tell (l, "V", "V1013;");
  tell (l, "N", "NGW01;");
  tell (l, "O", "!"); /* no speed yet */
  tell (l, "C", "!");
  tell (l, "F", "!");
  tell (l, "t1230", "!");
  tell (l, "Q1", "!");
  tell (l, "S9", "!");
  tell (l, "S6", ";");
  tell (l, "O", ";");
  tell (l, "O", "!");
  tell (l, "S5", "!");
  tell (l, "F", "F00;");
  tell (l, "", ";");
  tell (l, "C", ";");
}

static void
test_adapter_frames (Line *l, gconstpointer data)
{
  GwCanFrame base = frame_of (0x123, "\x11\x22"), extended = frame_of (0x18DAF101, "\x33");

  tell (l, "S6", ";");
  tell (l, "O", ";");
  tell (l, "t12321122", "z;");
  tell (l, "T18DAF101133", "Z;");
  jump (&l->f, 1000);
  assert_heard (&l->f, 0, 0, &base);
  assert_heard (&l->f, 0, 1, &extended);
  put (&l->f, 0, &base);
  jump (&l->f, 1000);
  assert_says (l, "t12321122;");
  put (&l->f, 0, &extended);
  jump (&l->f, 1000);
  assert_says (l, "T18DAF101133;");
  tell (l, "C", ";");
  tell (l, "Z1", ";");
  tell (l, "O", ";");
  put (&l->f, 0, &base);
  jump (&l->f, 1000);
  assert_says (l, "t1232112203EB;"); /* a second and 3 ms after the clock's zero */
}

/* Commands come at once, the bus takes its time: what does not fit is refused and flagged once. */
static void
test_adapter_queue (Line *l, gconstpointer data)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (GString) answers = g_string_new (NULL);

  tell (l, "S6", ";");
  tell (l, "O", ";");
  /* One more is in the controller. */
  for (guint i = 0; i < GW_SIM_CAN_ADAPTER_QUEUE + 2; i++)
    {
      g_string_append_printf (text, "t0000%s", i < GW_SIM_CAN_ADAPTER_QUEUE + 1 ? "\r" : "");
      g_string_append (answers, i < GW_SIM_CAN_ADAPTER_QUEUE + 1 ? "z;" : "!");
    }
  tell (l, text->str, answers->str);
  tell (l, "F", "F02;");
  jump (&l->f, 100 * 1000);
  g_assert_cmpuint (l->f.players[0].notes->len, ==, GW_SIM_CAN_ADAPTER_QUEUE + 1);
  tell (l, "F", "F00;");
}

static void
test_adapter_bus_off (Line *l, gconstpointer data)
{
  tell (l, "S6", ";");
  tell (l, "O", ";");
  gw_sim_can_adapter_unit (l->adapter)->error_share = 1;
  tell (l, "t1230", "z;");
  for (guint i = 0; i < 12; i++) /* at most 160 us each */
    jump (&l->f, 160);
  while (gw_sim_can_adapter_unit (l->adapter)->errors < 16)
    jump (&l->f, 10);
  tell (l, "F", "F24;");
  jump (&l->f, 100 * 1000);
  gw_sim_can_adapter_unit (l->adapter)->error_share = 0;
  jump (&l->f, G_USEC_PER_SEC);
  tell (l, "F", "FA4;");
  tell (l, "C", ";");
  tell (l, "O", ";");
  tell (l, "F", "F00;");
  tell (l, "t1231AA", "z;");
  jump (&l->f, 1000);
  g_assert_cmpuint (l->f.players[0].notes->len, ==, 1);
}

/* Its user goes without a word: the channel stays open, and the next one hears what is on the bus. */
static void
test_adapter_user_goes (Line *l, gconstpointer data)
{
  GwCanFrame frame = frame_of (0x123, "\x11");

  tell (l, "S6", ";");
  tell (l, "O", ";");
  close (l->fd);
  turn ();
  put (&l->f, 0, &frame);
  jump (&l->f, 1000);
  g_assert_true (note_at (&l->f, 0, 0)->sent);
  open_line (l);
  put (&l->f, 0, &frame);
  jump (&l->f, 1000);
  assert_says (l, "t123111;");
  tell (l, "S6", "!");
}

static void
drain (Line *l)
{
  char text[4096];
  json_t *status;
  bool over;

  do
    {
      gssize n;

      turn ();
      n = read (l->fd, text, sizeof text);
      l->read += MAX (n, 0);
      status = gw_sim_can_adapter_status (l->adapter);
      over = counter (status, "unread") == 0 && counter (status, "octets_out") == l->read;
      json_decref (status);
    }
  while (!over);
}

/* Nobody reads: frames are dropped, which the flags tell; the bus goes on. */
static void
test_adapter_overrun (Line *l, gconstpointer data)
{
  GwCanFrame frame = frame_of (0x18DAF101, "12345678");

  tell (l, "S6", ";");
  tell (l, "O", ";");
  l->f.players[0].again = frame;
  l->f.players[0].repeats = 1999;
  put (&l->f, 0, &frame);
  jump (&l->f, G_USEC_PER_SEC);
  g_assert_cmpuint (l->f.players[1].notes->len, ==, 2000);
  drain (l);
  tell (l, "F", "F09;");
}

/* ---- Endpoints as nodes ---- */

#define N_NODES 3
#define NUMBER 5

typedef struct
{
  GwClock *clock;
  GwLoop *loop;
  GwSim *sim;
  char *folder, *link;
  int fd;
  guint64 written, read;
  GwSlcanCollector collector;
  GArray *heard; /* of GwCanFrame */
  GwIsotp isotp; /* the gateway's, to NUMBER */
  guint8 rx[1024];
  GBytes *message; /* the last one that came */
} Nodes;

static json_t *command (Nodes *n, const char *text);

static guint64
adapter_counter (Nodes *n, const char *name)
{
  json_t *answer = command (n, "can");
  json_t *can = json_object_get (answer, "can");
  guint64 value = json_integer_value (json_object_get (json_object_get (can, "adapter"), name));

  json_decref (answer);
  return value;
}

static void
tell_adapter (Nodes *n, const char *text, gsize len)
{
  g_assert_cmpint (write (n->fd, text, len), ==, len);
  n->written += len;
  while (adapter_counter (n, "octets_in") < n->written)
    turn ();
}

static void
say (Nodes *n, const GwCanFrame *frame)
{
  GwSlcanLine line = { .kind = GW_SLCAN_FRAME, .frame = *frame };
  char text[GW_SLCAN_LINE_MAX];
  gsize len;

  g_assert_cmpint (gw_slcan_encode (&line, text, sizeof text, &len), ==, GW_OK);
  tell_adapter (n, text, len);
}

/* The gateway's ISO-TP goes on by itself. */
static void
hear (Nodes *n, const GwCanFrame *frame)
{
  gint64 now = gw_loop_now (n->loop);
  GwCanFrame answer;

  g_array_append_val (n->heard, *frame);
  if (gw_isotp_take (&n->isotp, frame, now) == GW_ISOTP_RECEIVED)
    {
      g_clear_pointer (&n->message, g_bytes_unref);
      n->message = g_bytes_new (gw_isotp_message (&n->isotp).ptr, gw_isotp_message (&n->isotp).len);
    }
  while (gw_isotp_pull (&n->isotp, now, &answer))
    {
      say (n, &answer);
      gw_isotp_confirm (&n->isotp, now);
    }
}

static void
fetch (Nodes *n)
{
  char octets[1024];
  gssize len;
  GwSlcanLine line;

  while (n->read < adapter_counter (n, "octets_out"))
    {
      len = read (n->fd, octets, sizeof octets);
      n->read += MAX (len, 0);
      for (gssize i = 0; i < len; i++)
        if (gw_slcan_collector_push (&n->collector, octets[i], &line) && line.kind == GW_SLCAN_FRAME)
          hear (n, &line.frame);
    }
}

static void
pass (Nodes *n, guint ms)
{
  for (guint i = 0; i < 2 * ms; i++)
    {
      gw_clock_advance (n->clock, 500);
      turn ();
      fetch (n);
    }
}

/* Frames of that id since the last call of forget(). */
static guint
count (Nodes *n, guint32 id)
{
  guint found = 0;

  for (guint i = 0; i < n->heard->len; i++)
    found += g_array_index (n->heard, GwCanFrame, i).id == id;
  return found;
}

static const GwCanFrame *
nth (Nodes *n, guint32 id, guint index)
{
  for (guint i = 0; i < n->heard->len; i++)
    if (g_array_index (n->heard, GwCanFrame, i).id == id && index-- == 0)
      return &g_array_index (n->heard, GwCanFrame, i);
  g_assert_not_reached ();
}

static void
forget (Nodes *n)
{
  g_array_set_size (n->heard, 0);
}

static json_t *
command (Nodes *n, const char *text)
{
  json_t *answer = gw_sim_command (n->sim, text);

  if (!json_is_true (json_object_get (answer, "ok")))
    g_error ("%s: %s", text, json_string_value (json_object_get (answer, "error")));
  return answer;
}

static void
order (Nodes *n, const char *text)
{
  json_decref (command (n, text));
}

static void
nodes_set_up (Nodes *n, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  GwIsotpConfig config;
  GwSimOptions options = {
    .n_endpoints = N_NODES,
    .can = { .what = GW_SIM_CAN_SLCAN,
             .bit_rate = RATE,
             .data_rate = data ? DATA_RATE : 0,
             .n_endpoints = G_MAXUINT },
    .seed = "can",
    .manufacturer = "Gangway",
    .model = "SIM-1",
    .firmware = "1.0.0",
    .puf = GW_SIM_PUF_MODEL_DEFAULT,
  };

  n->clock = gw_clock_new_mock (START_USEC, 1700000000 * (gint64)G_USEC_PER_SEC);
  n->loop = gw_loop_new (NULL, n->clock);
  options.folder = n->folder = g_dir_make_tmp ("gw-sim-can-XXXXXX", NULL);
  n->sim = gw_sim_new (n->loop, &options, &error);
  g_assert_no_error (error);
  n->link = g_build_filename (n->folder, GW_SIM_CAN_LINK, NULL);
  n->fd = open (n->link, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  g_assert_cmpint (n->fd, >=, 0);
  n->heard = g_array_new (FALSE, FALSE, sizeof (GwCanFrame));
  gw_slcan_collector_init (&n->collector, GW_SLCAN_FROM_ADAPTER);
  gw_isotp_config_default (&config, gw_can_isotp_id (NUMBER, GW_CAN_GATEWAY_ADDRESS),
                           gw_can_isotp_id (GW_CAN_GATEWAY_ADDRESS, NUMBER));
  config.fd = config.brs = data != NULL;
  config.tx_dl = data ? GW_CAN_LEN_MAX : GW_CAN_LEN_CLASSIC;
  gw_isotp_init (&n->isotp, &config, n->rx, sizeof n->rx);
  pass (n, 60); /* the adapter sees its user */
  tell_adapter (n, "S6\rO\r", 5);
  pass (n, 1);
}

static void
remove_tree (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir && (name = g_dir_read_name (dir)))
    {
      g_autofree char *child = g_build_filename (path, name, NULL);

      if (g_file_test (child, G_FILE_TEST_IS_DIR))
        remove_tree (child);
      else
        g_unlink (child);
    }
  g_rmdir (path);
}

static void
nodes_tear_down (Nodes *n, gconstpointer data)
{
  close (n->fd);
  gw_sim_free (n->sim);
  gw_loop_free (n->loop);
  gw_clock_unref (n->clock);
  g_array_unref (n->heard);
  g_clear_pointer (&n->message, g_bytes_unref);
  remove_tree (n->folder);
  g_free (n->folder);
  g_free (n->link);
}

static void
identify (Nodes *n, guint endpoint, guint32 identity[GW_LSS_N_SUBS])
{
  json_t *answer = command (n, "status");
  json_t *status = json_array_get (json_object_get (answer, "endpoints"), endpoint);
  const char *kid = json_string_value (json_object_get (status, "kid"));

  identity[GW_LSS_SUB_VENDOR] = 0;
  identity[GW_LSS_SUB_PRODUCT] = GW_LSS_PRODUCT;
  for (guint i = 0; i < 2; i++)
    {
      g_autofree char *half = g_strndup (kid + 8 * i, 8);

      identity[GW_LSS_SUB_REVISION + i] = g_ascii_strtoull (half, NULL, 16);
    }
  json_decref (answer);
}

static void
ask_lss (Nodes *n, const GwLssMessage *message)
{
  GwCanFrame frame;

  forget (n);
  gw_lss_encode (message, &frame);
  say (n, &frame);
  pass (n, 5);
}

static void
start_scan (Nodes *n)
{
  ask_lss (n, &(GwLssMessage){ .command = GW_LSS_FASTSCAN, .fastscan.bit_check = GW_LSS_BIT_CHECK_START });
}

/* Who is not asked waits that long, at most. */
#define FIRST_HELLO_MS (GW_DTLS_CLIENT_HELLO_SHARED_MS * (100 + GW_DTLS_CLIENT_HELLO_JITTER_PERCENT) / 100)

/* Finds one by what is known of it, and gives it a number. */
static void
give_number (Nodes *n, guint endpoint, guint8 number)
{
  guint32 identity[GW_LSS_N_SUBS];

  identify (n, endpoint, identity);
  start_scan (n);
  for (guint sub = 0; sub < GW_LSS_N_SUBS; sub++)
    {
      ask_lss (n, &(GwLssMessage){ .command = GW_LSS_FASTSCAN,
                                   .fastscan = { identity[sub], 0, sub, (sub + 1) % GW_LSS_N_SUBS } });
      g_assert_cmpuint (count (n, GW_LSS_ID_SLAVE), >=, 1);
    }
  ask_lss (n, &(GwLssMessage){ .command = GW_LSS_CONFIGURE_NODE_ID, .node_id = number });
  g_assert_cmpuint (count (n, GW_LSS_ID_SLAVE), ==, 1);
  g_assert_cmphex (nth (n, GW_LSS_ID_SLAVE, 0)->data[0], ==, GW_LSS_CONFIGURE_NODE_ID);
  g_assert_cmphex (nth (n, GW_LSS_ID_SLAVE, 0)->data[1], ==, GW_LSS_ERROR_NONE);
  ask_lss (n, &(GwLssMessage){ .command = GW_LSS_SWITCH_GLOBAL, .mode = 0 });
}

/* Three answer at once and meet: one frame, or a frame and copies of the slower ones. */
static void
test_nodes_answer (Nodes *n, gconstpointer data)
{
  start_scan (n);
  g_assert_cmpuint (count (n, GW_LSS_ID_SLAVE), >=, 1);
  g_assert_cmpuint (count (n, GW_LSS_ID_SLAVE), <=, N_NODES);
  pass (n, 2000);
  g_assert_cmpuint (count (n, GW_HEARTBEAT_ID + NUMBER), ==, 0);
  g_assert_cmpuint (count (n, gw_can_isotp_id (GW_CAN_GATEWAY_ADDRESS, NUMBER)), ==,
                    0); /* no number, no word */
}

static void
test_node_numbered (Nodes *n, gconstpointer data)
{
  guint32 isotp = gw_can_isotp_id (GW_CAN_GATEWAY_ADDRESS, NUMBER);

  give_number (n, 1, NUMBER);
  pass (n, 2010);
  g_assert_cmpuint (count (n, GW_HEARTBEAT_ID + NUMBER), ==, 3);
  g_assert_cmphex (nth (n, GW_HEARTBEAT_ID + NUMBER, 0)->data[0], ==, GW_HEARTBEAT_BOOT);
  g_assert_cmphex (nth (n, GW_HEARTBEAT_ID + NUMBER, 1)->data[0], ==, GW_HEARTBEAT_OPERATIONAL);
  /* Who has a number and is not asked starts by itself after a while: a ClientHello. */
  pass (n, FIRST_HELLO_MS);
  g_assert_cmpuint (count (n, isotp), >=, 2);
  g_assert_nonnull (n->message);
  g_assert_cmphex (*(const guint8 *)g_bytes_get_data (n->message, NULL), ==, 22);
  /* The others still wait for theirs. */
  start_scan (n);
  g_assert_cmpuint (count (n, GW_LSS_ID_SLAVE), >=, 1);
}

static void
test_node_hello (Nodes *n, gconstpointer data)
{
  static const guint8 nonce[GW_HELLO_NONCE_LEN] = "question";
  guint8 datagram[GW_LINK_QUESTION_SIZE];
  GwLinkQuestion question;
  GwLinkHello hello;
  GwBytes body, answer;
  GwCanFrame frame;
  gint64 asked;
  gsize len;

  give_number (n, 0, NUMBER);
  pass (n, 500);
  g_clear_pointer (&n->message, g_bytes_unref);
  gw_link_question_init (&question, nonce);
  len = gw_link_question_ask (&question, datagram, gw_loop_now (n->loop));
  g_assert_cmpint (gw_isotp_send (&n->isotp, (GwBytes){ datagram, len }, gw_loop_now (n->loop)), ==, GW_OK);
  while (gw_isotp_pull (&n->isotp, gw_loop_now (n->loop), &frame))
    {
      say (n, &frame);
      gw_isotp_confirm (&n->isotp, gw_loop_now (n->loop));
    }
  pass (n, 100);
  g_assert_nonnull (n->message);
  answer.ptr = g_bytes_get_data (n->message, &answer.len);
  g_assert_true (gw_link_question_take (&question, answer, &hello, &body, &asked));
  g_assert_cmpuint (hello.mtu, ==, 512);
}

static void
test_node_reset (Nodes *n, gconstpointer data)
{
  GwCanFrame reset;

  give_number (n, 0, NUMBER);
  gw_nmt_encode (GW_NMT_RESET_COMMUNICATION, NUMBER, &reset);
  say (n, &reset);
  pass (n, 10);
  forget (n);
  pass (n, 3000);
  g_assert_cmpuint (n->heard->len, ==, 0);
  give_number (n, 0, NUMBER);
  pass (n, 1010);
  g_assert_cmpuint (count (n, GW_HEARTBEAT_ID + NUMBER), ==, 2);
}

/* Off and on: the number is gone. Unplugged under power and plugged in again: it is not. */
static void
test_node_power (Nodes *n, gconstpointer data)
{
  give_number (n, 0, NUMBER);
  order (n, "unplug 0 powered");
  forget (n);
  pass (n, 3000);
  g_assert_cmpuint (n->heard->len, ==, 0);
  order (n, "replug 0");
  pass (n, 1000);
  g_assert_cmpuint (count (n, GW_HEARTBEAT_ID + NUMBER), ==, 1);
  order (n, "power-cycle 0");
  forget (n);
  pass (n, 3000);
  g_assert_cmpuint (n->heard->len, ==, 0);
}

static void
test_node_babbles (Nodes *n, gconstpointer data)
{
  gint64 busy;

  order (n, "babble 2 high 0.3");
  pass (n, 1000);
  busy = 0;
  for (guint i = 0; i < n->heard->len; i++)
    busy += nsec_of (&g_array_index (n->heard, GwCanFrame, i));
  g_assert_cmpint (busy, >, 295 * 1000 * 1000);
  g_assert_cmpint (busy, <, 305 * 1000 * 1000);
  order (n, "babble 2 off");
  pass (n, 10);
  forget (n);
  pass (n, 1000);
  g_assert_cmpuint (n->heard->len, ==, 0);
}

/* Its ClientHello begins and does not go on; its heart beats. */
static void
test_node_stalls (Nodes *n, gconstpointer data)
{
  order (n, "stall 0 1");
  give_number (n, 0, NUMBER);
  pass (n, 3010);
  g_assert_cmpuint (count (n, GW_HEARTBEAT_ID + NUMBER), ==, 4);
  pass (n, FIRST_HELLO_MS);
  g_assert_cmpuint (count (n, gw_can_isotp_id (GW_CAN_GATEWAY_ADDRESS, NUMBER)), ==, 1);
  order (n, "stall 0 off");
  pass (n, 5000);
  g_assert_nonnull (n->message);
}

/* Long messages, as fast as flow control lets them: the bus is full, and nothing is lost. */
static void
test_node_floods (Nodes *n, gconstpointer data)
{
  guint32 isotp = gw_can_isotp_id (GW_CAN_GATEWAY_ADDRESS, NUMBER);
  gint64 busy = 0;

  give_number (n, 0, NUMBER);
  pass (n, 500);
  order (n, "flood 0 1000");
  pass (n, 1000);
  forget (n);
  g_clear_pointer (&n->message, g_bytes_unref);
  pass (n, 1000);
  for (guint i = 0; i < n->heard->len; i++)
    busy += nsec_of (&g_array_index (n->heard, GwCanFrame, i));
  g_assert_cmpint (busy, >, 900 * 1000 * 1000);
  g_assert_cmpuint (g_bytes_get_size (n->message), ==, 1000);
  g_assert_cmpuint (n->isotp.counters.failures_in, ==, 0);
  order (n, "flood 0 off");
  pass (n, 200);
  forget (n);
  pass (n, 900);
  g_assert_cmpuint (count (n, isotp), ==, 0);
}

static void
test_node_lies (Nodes *n, gconstpointer data)
{
  give_number (n, 0, NUMBER);
  order (n, "liar 0 on");
  ask_lss (n, &(GwLssMessage){ .command = GW_LSS_FASTSCAN, .fastscan = { 0x12345678, 7, 2, 2 } });
  g_assert_cmpuint (count (n, GW_LSS_ID_SLAVE), ==, 1);
}

/* Two on one number: what they send at once destroys itself, and the bus lives on. */
static void
test_node_numbers_itself (Nodes *n, gconstpointer data)
{
  order (n, "number 0 5");
  order (n, "number 1 5");
  pass (n, 1500);
  g_assert_cmpuint (count (n, GW_HEARTBEAT_ID + NUMBER), >=, 2);
}

static void
test_node_hangs (Nodes *n, gconstpointer data)
{
  give_number (n, 0, NUMBER);
  order (n, "hang 0");
  pass (n, 10);
  forget (n);
  pass (n, 3000);
  g_assert_cmpuint (n->heard->len, ==, 0);
  order (n, "resume 0");
  pass (n, 1200);
  g_assert_cmpuint (count (n, GW_HEARTBEAT_ID + NUMBER), >=, 1);
}

#define ADD(name, func) g_test_add ("/sim-can/" name, Fixture, NULL, set_up, func, tear_down)
#define ADD_LINE(name, func)                                                                                 \
  g_test_add ("/sim-can/adapter/" name, Line, NULL, line_set_up, func, line_tear_down)
#define ADD_NODES(name, func, fd)                                                                            \
  g_test_add ("/sim-can/" name, Nodes, fd, nodes_set_up, func, nodes_tear_down)

int
main (int argc, char **argv)
{
  static const char unpaced[] = "", fd[] = "";

  g_test_init (&argc, &argv, NULL);
  ADD ("timing/classic", test_timing);
  ADD ("timing/fd", test_fd_timing);
  ADD ("timing/late-without-drift", test_late_without_drift);
  ADD ("timing/not-early", test_not_early);
  g_test_add ("/sim-can/timing/unpaced", Fixture, unpaced, set_up, test_unpaced, tear_down);
  ADD ("timing/log", test_log);
  ADD ("arbitration/lowest-id-first", test_lowest_id_first);
  ADD ("arbitration/no-preemption", test_no_preemption);
  ADD ("arbitration/mailboxes", test_mailboxes_compete);
  ADD ("arbitration/equal-frames-merge", test_equal_frames_merge);
  ADD ("arbitration/clash", test_clash);
  ADD ("errors/bus-off", test_bus_off);
  ADD ("errors/recovery", test_recovery);
  ADD ("errors/share", test_error_share);
  ADD ("errors/alone", test_alone);
  g_test_add ("/sim-can/errors/alone-unpaced", Fixture, unpaced, set_up, test_alone, tear_down);
  ADD ("errors/wrong-rate", test_wrong_rate);
  ADD ("errors/torn-frame", test_torn_frame);
  ADD_LINE ("commands", test_adapter_commands);
  ADD_LINE ("frames", test_adapter_frames);
  ADD_LINE ("queue", test_adapter_queue);
  ADD_LINE ("bus-off", test_adapter_bus_off);
  ADD_LINE ("user-goes", test_adapter_user_goes);
  ADD_LINE ("overrun", test_adapter_overrun);
  ADD_NODES ("node/answer", test_nodes_answer, NULL);
  ADD_NODES ("node/numbered", test_node_numbered, NULL);
  ADD_NODES ("node/hello", test_node_hello, NULL);
  ADD_NODES ("node/hello-fd", test_node_hello, fd);
  ADD_NODES ("node/reset", test_node_reset, NULL);
  ADD_NODES ("node/power", test_node_power, NULL);
  ADD_NODES ("node/babbles", test_node_babbles, NULL);
  ADD_NODES ("node/stalls", test_node_stalls, NULL);
  ADD_NODES ("node/floods", test_node_floods, NULL);
  ADD_NODES ("node/lies", test_node_lies, NULL);
  ADD_NODES ("node/numbers-itself", test_node_numbers_itself, NULL);
  ADD_NODES ("node/hangs", test_node_hangs, NULL);
  return g_test_run ();
}
