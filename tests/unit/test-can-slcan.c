/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The SLCAN link of gangway-can, with an adapter that the test plays on a pty: opening, answers and their absence, bus
 * off, garbage, unplugging. */

#include <gio/gio.h>

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gw-can-link.h"
#include "gw-serial-tty.h"
#include "gw-slcan-codec.h"

#define PATIENCE_USEC (120 * G_TIME_SPAN_SECOND)
#define BEL "\a"

typedef struct
{
  /* the adapter */
  int master, slave; /* the other end stays open between users */
  char *path;
  GSource *source;
  GwSlcanCollector collector;
  GString *heard; /* the lines of commands, but for frames and F */
  guint frames;   /* asked to send */
  guint outstanding, outstanding_max;
  gboolean mute, mute_frames;
  gboolean echo; /* says first what it was told */
  const char *refuse; /* first letters of what is refused */
  guint bel;          /* so many frames more are refused */
  guint8 flags;
  guint polls;

  /* the owner */
  GwCanLink *link;
  guint to_send; /* frames that it has */
  guint next_tag;
  guint sent, unsent, lost, last_sent;
  guint received;
  GwCanFrame last;
  GwCanStatus status;
  guint offs;
  gboolean gone, failed;
  char *why;
  guint said;
} Test;

/* ---- The adapter ---- */

static void
answer (Test *test, const char *text)
{
  gsize len = strlen (text);

  g_assert_cmpint (write (test->master, text, len), ==, (gssize) len);
}

static void
answer_frame (Test *test, const GwSlcanLine *line)
{
  test->frames++;
  test->outstanding++;
  test->outstanding_max = MAX (test->outstanding_max, test->outstanding);
  if (test->mute || test->mute_frames)
    return;
  test->outstanding--;
  if (test->bel > 0)
    {
      test->bel--;
      answer (test, BEL);
    }
  else
    answer (test, line->frame.extended ? "Z\r" : "z\r");
}

static void
repeat (Test *test, const GwSlcanLine *line)
{
  char text[GW_SLCAN_LINE_MAX + 1] = "";
  size_t len;

  if (gw_slcan_encode (line, text, GW_SLCAN_LINE_MAX, &len) == GW_OK)
    answer (test, text);
}

static void
answer_line (Test *test, const GwSlcanLine *line)
{
  static const char letters[] = {
    [GW_SLCAN_OPEN] = 'O',
    [GW_SLCAN_CLOSE] = 'C',
    [GW_SLCAN_SPEED] = 'S',
    [GW_SLCAN_DATA_SPEED] = 'Y',
    [GW_SLCAN_VERSION] = 'V',
  };
  char status[8];

  if (test->echo)
    repeat (test, line);
  if (line->kind == GW_SLCAN_FRAME)
    {
      answer_frame (test, line);
      return;
    }
  if (line->kind == GW_SLCAN_STATUS)
    {
      test->polls++;
      g_snprintf (status, sizeof status, "F%02X\r", test->flags);
      if (!test->mute)
        answer (test, status);
      return;
    }
  if (line->kind >= G_N_ELEMENTS (letters) || letters[line->kind] == 0)
    return;
  g_string_append_c (test->heard, letters[line->kind]);
  if (line->kind == GW_SLCAN_SPEED || line->kind == GW_SLCAN_DATA_SPEED)
    g_string_append_printf (test->heard, "%u", line->value);
  if (test->mute)
    return;
  if (test->refuse != NULL && strchr (test->refuse, letters[line->kind]) != NULL)
    answer (test, BEL);
  else
    answer (test, line->kind == GW_SLCAN_VERSION ? "V1013\r" : "\r");
}

static gboolean
on_master (int fd, GIOCondition condition, gpointer data)
{
  Test *test = data;
  char octets[4096];
  ssize_t n = read (fd, octets, sizeof octets);
  GwSlcanLine line;

  for (ssize_t i = 0; i < n; i++)
    if (gw_slcan_collector_push (&test->collector, octets[i], &line))
      answer_line (test, &line);
  return G_SOURCE_CONTINUE;
}

/* ---- The owner ---- */

static gboolean
on_next (gpointer owner, GwCanFrame *frame, guint32 *tag, gint64 ahead, gint64 now)
{
  Test *test = owner;

  if (test->to_send == 0)
    return FALSE;
  test->to_send--;
  *tag = test->next_tag++;
  *frame = (GwCanFrame){ .id = 0x18DA01F1, .extended = true, .len = 8 };
  return TRUE;
}

static void
on_sent (gpointer owner, guint32 tag, const GwCanFrame *frame, gint64 now)
{
  ((Test *) owner)->sent++;
  ((Test *) owner)->last_sent = tag;
}

static void
on_unsent (gpointer owner, guint32 tag, gint64 now)
{
  ((Test *) owner)->unsent++;
}

static void
on_lost (gpointer owner, guint32 tag, gint64 now)
{
  ((Test *) owner)->lost++;
}

static void
on_frame (gpointer owner, const GwCanFrame *frame, gint64 now)
{
  ((Test *) owner)->received++;
  ((Test *) owner)->last = *frame;
}

static void
on_status (gpointer owner, const GwCanStatus *status, gint64 now)
{
  Test *test = owner;

  test->offs += status->state == GW_CAN_STATE_OFF && test->status.state != GW_CAN_STATE_OFF;
  test->status = *status;
}

static void
on_turned (gpointer owner, gint64 now)
{
}

static void
on_gone (gpointer owner, gboolean failed, const char *why)
{
  Test *test = owner;

  test->gone = TRUE;
  test->failed = failed;
  test->why = g_strdup (why);
}

static void
on_say (gpointer owner, const char *text)
{
  ((Test *) owner)->said++;
}

static const GwCanLinkFuncs funcs = {
  .next = on_next,
  .sent = on_sent,
  .unsent = on_unsent,
  .lost = on_lost,
  .frame = on_frame,
  .status = on_status,
  .turned = on_turned,
  .say = on_say,
  .gone = on_gone,
};

/* ---- The lab ---- */

static void
setup (Test *test, gconstpointer data)
{
  char name[64];

  test->master = posix_openpt (O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  g_assert_cmpint (test->master, >=, 0);
  g_assert_cmpint (grantpt (test->master), ==, 0);
  g_assert_cmpint (unlockpt (test->master), ==, 0);
  g_assert_cmpint (ptsname_r (test->master, name, sizeof name), ==, 0);
  test->slave = open (name, O_RDWR | O_NOCTTY | O_CLOEXEC);
  g_assert_cmpint (test->slave, >=, 0);
  test->path = g_strconcat (GW_CAN_SLCAN_PREFIX, name, NULL);
  test->heard = g_string_new (NULL);
  gw_slcan_collector_init (&test->collector, GW_SLCAN_FROM_HOST);
  test->source = g_unix_fd_source_new (test->master, G_IO_IN);
  g_source_set_callback (test->source, G_SOURCE_FUNC (on_master), test, NULL);
  g_source_attach (test->source, NULL);
}

static void
unplug (Test *test)
{
  if (test->source != NULL)
    g_source_destroy (test->source);
  g_clear_pointer (&test->source, g_source_unref);
  if (test->master >= 0)
    {
      close (test->slave);
      close (test->master);
    }
  test->master = -1;
}

static void
teardown (Test *test, gconstpointer data)
{
  g_clear_pointer (&test->link, gw_can_link_free);
  unplug (test);
  g_string_free (test->heard, TRUE);
  g_free (test->path);
  g_free (test->why);
}

static void
open_link (Test *test, guint32 rate, guint32 data_rate)
{
  const GwCanLinkConfig config = { test->path, rate, data_rate, 115200 };
  g_autoptr (GError) error = NULL;

  test->link = gw_can_link_open (&config, &funcs, test, &error);
  g_assert_no_error (error);
}

static void
turn (Test *test)
{
  gint64 now = g_get_monotonic_time (), due = gw_can_link_tick (test->link, now);
  GPollFD fd = { test->master, G_IO_IN, 0 };

  /* Until something comes or is due; the test's own conditions change with either. */
  if (!g_main_context_pending (NULL) && test->master >= 0)
    g_poll (&fd, 1, (int) CLAMP ((due - now) / 1000 + 1, 0, 20));
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

#define WAIT(test, condition)                                              \
  G_STMT_START                                                             \
  {                                                                        \
    gint64 end_ = g_get_monotonic_time () + PATIENCE_USEC;                 \
    while (!(condition))                                                   \
      {                                                                    \
        g_assert_cmpint (g_get_monotonic_time (), <, end_);                \
        turn (test);                                                       \
      }                                                                    \
  }                                                                        \
  G_STMT_END

static void
bring_up (Test *test)
{
  open_link (test, 500000, 0);
  WAIT (test, test->status.up);
}

/* ---- Tests ---- */

static void
test_open (Test *test, gconstpointer data)
{
  bring_up (test);
  g_assert_cmpstr (test->heard->str, ==, "CVS6O");
  g_assert_cmpuint (test->status.bit_rate, ==, 500000);
  test->to_send = 100;
  WAIT (test, test->sent == 100);
  g_assert_cmpuint (test->frames, ==, 100);
  g_assert_cmpuint (test->last_sent, ==, 99);
  answer (test, "T18DAF1013300102\rt7E484F00000000000000\r");
  WAIT (test, test->received == 2);
  g_assert_cmphex (test->last.id, ==, 0x7E4);
  g_assert_cmpuint (test->last.len, ==, 8);
  g_assert_cmpuint (test->lost + test->unsent, ==, 0);
}

static void
test_fd (Test *test, gconstpointer data)
{
  open_link (test, 500000, 2000000);
  WAIT (test, test->status.up);
  g_assert_cmpstr (test->heard->str, ==, "CVS6Y2O");
  g_assert_true (test->status.fd);
}

/* What an adapter cannot do is said, with what to do. */
static void
test_refused (Test *test, gconstpointer data)
{
  static const struct
  {
    const char *letters, *words;
  } cases[] = { { "S", "another --rate" }, { "Y", "CAN FD" }, { "O", "to open its bus" } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      test->refuse = cases[i].letters;
      open_link (test, 500000, 2000000);
      WAIT (test, test->gone);
      g_assert_true (test->failed);
      g_assert_nonnull (strstr (test->why, cases[i].words));
      g_clear_pointer (&test->link, gw_can_link_free);
      g_clear_pointer (&test->why, g_free);
      test->gone = FALSE;
    }
}

static void
test_bad_rates (Test *test, gconstpointer data)
{
  GwCanLinkConfig config = { test->path, 83333, 0, 115200 };
  g_autoptr (GError) rate = NULL;
  g_autoptr (GError) data_rate = NULL;

  g_assert_null (gw_can_link_open (&config, &funcs, test, &rate));
  g_assert_error (rate, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  config.bit_rate = 500000;
  config.data_rate = 123;
  g_assert_null (gw_can_link_open (&config, &funcs, test, &data_rate));
  g_assert_error (data_rate, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
}

/* Neither an old user's half line, nor noise, nor lines that nobody knows stop it. */
static void
test_garbage (Test *test, gconstpointer data)
{
  GRand *rand = g_rand_new_with_seed (1);

  answer (test, "t12");
  open_link (test, 500000, 0);
  answer (test, BEL "\r\rT18DA\rz\r" BEL);
  WAIT (test, test->status.up);
  for (guint i = 0; i < 200; i++)
    {
      char octets[65] = "";

      for (guint k = 0; k < 64; k++)
        octets[k] = (char) g_rand_int_range (rand, 1, 256);
      answer (test, octets);
      turn (test);
    }
  g_rand_free (rand);
  answer (test, "\r");
  test->received = 0;
  test->to_send = 50;
  WAIT (test, test->sent + test->lost + test->unsent >= 50 && test->to_send == 0);
  answer (test, "t7050105\rt70505\rq\r");
  answer (test, "t701105\r");
  WAIT (test, test->last.id == 0x701);
  g_assert_false (test->gone);
}

/* Nothing is answered at all: it is driven by the pace. */
static void
test_mute (Test *test, gconstpointer data)
{
  test->mute = TRUE;
  bring_up (test);
  test->to_send = 30;
  WAIT (test, test->frames == 30);
  g_assert_cmpuint (test->sent, ==, 30);
}

/* Commands are answered, frames are not: the first ones wait in vain, then it goes on without. */
static void
test_mute_frames (Test *test, gconstpointer data)
{
  test->mute_frames = TRUE;
  bring_up (test);
  test->to_send = 100;
  WAIT (test, test->sent >= GW_CAN_LINK_WINDOW);
  g_assert_cmpuint (test->outstanding_max, ==, GW_CAN_LINK_WINDOW);
  WAIT (test, test->sent == 100);
  g_assert_cmpuint (test->lost + test->unsent, ==, 0);
}

/* Slow at first, on a busy machine perhaps: what was taken for mute is asked again once it is heard. */
static void
test_late (Test *test, gconstpointer data)
{
  test->mute = TRUE;
  bring_up (test);
  test->to_send = 5;
  WAIT (test, test->frames == 5);
  test->mute = FALSE;
  answer (test, "\r");
  WAIT (test, test->status.state == GW_CAN_STATE_ACTIVE);
  test->outstanding = 0;
  test->to_send = 20;
  WAIT (test, test->sent == 25);
  g_assert_cmpuint (test->frames, ==, 25);
}

/* "Full": that frame is lost, and said to be; the others go. */
static void
test_full (Test *test, gconstpointer data)
{
  bring_up (test);
  test->to_send = 5;
  WAIT (test, test->sent == 5);
  test->bel = 3;
  test->to_send = 20;
  WAIT (test, test->sent + test->lost == 25);
  g_assert_cmpuint (test->lost, ==, 3);
  g_assert_cmpuint (test->unsent, ==, 0);
}

/* What the adapter repeats has not been on the bus; the same from the bus counts. */
static void
test_echo (Test *test, gconstpointer data)
{
  test->echo = TRUE;
  bring_up (test);
  test->to_send = 20;
  WAIT (test, test->sent == 20);
  g_assert_cmpuint (test->received, ==, 0);
  answer (test, "T18DA01F180000000000000000\r");
  WAIT (test, test->received == 1);
}

/* "Full" and nothing else, while the flags are good: somebody is told. */
static void
test_takes_nothing (Test *test, gconstpointer data)
{
  bring_up (test);
  test->bel = G_MAXUINT;
  test->to_send = G_MAXUINT;
  WAIT (test, test->said > 0);
  g_assert_cmpuint (test->sent, ==, 0);
  g_assert_cmpuint (test->lost, >, 2);
  test->bel = 0;
  WAIT (test, test->sent > 100);
  g_assert_cmpuint (test->said, ==, 1);
}

/* An adapter that says "queued" to all is given no more than the bus can carry. */
static void
test_pace (Test *test, gconstpointer data)
{
  gint64 begin;
  guint most;

  open_link (test, 10000, 0);
  WAIT (test, test->status.up);
  begin = g_get_monotonic_time ();
  test->to_send = 1000;
  WAIT (test, test->sent >= 20);
  /* 13 ms each, and four ahead. */
  most = (guint) ((g_get_monotonic_time () - begin) / 13000) + 4 + 2;
  g_assert_cmpuint (test->sent, <=, most);
}

static void
test_flags (Test *test, gconstpointer data)
{
  bring_up (test);
  WAIT (test, test->status.state == GW_CAN_STATE_ACTIVE);
  test->flags = GW_SLCAN_STATUS_ERROR_WARNING;
  WAIT (test, test->status.state == GW_CAN_STATE_WARNING);
  test->flags |= GW_SLCAN_STATUS_ERROR_PASSIVE;
  WAIT (test, test->status.state == GW_CAN_STATE_PASSIVE);
  test->flags = 0;
  WAIT (test, test->status.state == GW_CAN_STATE_ACTIVE);
  test->flags = GW_SLCAN_STATUS_DATA_OVERRUN;
  WAIT (test, test->link->status.lost > 0);
  g_assert_cmpuint (test->offs, ==, 0);
}

/* Off: nothing is given to it, and it is opened anew until it is on again. */
static void
test_bus_off (Test *test, gconstpointer data)
{
  const guint8 signs[] = {
    GW_SLCAN_STATUS_BUS_ERROR | GW_SLCAN_STATUS_TX_FULL,
    GW_SLCAN_STATUS_BUS_ERROR | GW_SLCAN_STATUS_ERROR_PASSIVE | GW_SLCAN_STATUS_ERROR_WARNING,
  };

  bring_up (test);
  for (guint i = 0; i < G_N_ELEMENTS (signs); i++)
    {
      g_string_truncate (test->heard, 0);
      test->flags = signs[i];
      WAIT (test, test->status.state == GW_CAN_STATE_OFF);
      g_assert_false (test->status.up);
      test->frames = 0;
      test->to_send = 10;
      turn (test);
      g_assert_cmpuint (test->frames, ==, 0);
      test->flags = 0;
      WAIT (test, test->status.up && test->status.state == GW_CAN_STATE_ACTIVE);
      g_assert_cmpstr (test->heard->str, ==, "CVS6O");
      WAIT (test, test->frames == 10);
    }
  g_assert_cmpuint (test->offs, ==, 2);
}

/* Adapters that tell their state by themselves are believed more than their flags. */
static void
test_states (Test *test, gconstpointer data)
{
  bring_up (test);
  answer (test, "sw000096\r");
  WAIT (test, test->status.state == GW_CAN_STATE_WARNING);
  g_assert_cmpuint (test->status.tx_errors + test->status.rx_errors, ==, 96);
  test->flags = GW_SLCAN_STATUS_ERROR_PASSIVE;
  test->polls = 0;
  WAIT (test, test->polls == 2);
  g_assert_cmpint (test->status.state, ==, GW_CAN_STATE_WARNING);
  answer (test, "sb000000\r");
  WAIT (test, test->status.state == GW_CAN_STATE_OFF);
  answer (test, "sa000000\r");
  WAIT (test, test->status.state == GW_CAN_STATE_ACTIVE && test->status.up);
}

static void
test_unplugged (Test *test, gconstpointer data)
{
  bring_up (test);
  test->to_send = 3;
  WAIT (test, test->sent == 3);
  unplug (test);
  WAIT (test, test->gone);
  g_assert_false (test->failed);
}

/* Gone before the first word. */
static void
test_unplugged_early (Test *test, gconstpointer data)
{
  open_link (test, 500000, 0);
  unplug (test);
  WAIT (test, test->gone);
}

static void
test_no_adapter (Test *test, gconstpointer data)
{
  const GwCanLinkConfig config = { "slcan:/dev/nonexistent", 500000, 0, 115200 };
  g_autoptr (GError) error = NULL;

  g_assert_null (gw_can_link_open (&config, &funcs, test, &error));
  g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
}

#define ADD(path, func) g_test_add (path, Test, NULL, setup, func, teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("/can-slcan/open", test_open);
  ADD ("/can-slcan/fd", test_fd);
  ADD ("/can-slcan/refused", test_refused);
  ADD ("/can-slcan/bad-rates", test_bad_rates);
  ADD ("/can-slcan/garbage", test_garbage);
  ADD ("/can-slcan/mute", test_mute);
  ADD ("/can-slcan/mute-frames", test_mute_frames);
  ADD ("/can-slcan/late", test_late);
  ADD ("/can-slcan/full", test_full);
  ADD ("/can-slcan/echo", test_echo);
  ADD ("/can-slcan/takes-nothing", test_takes_nothing);
  ADD ("/can-slcan/pace", test_pace);
  ADD ("/can-slcan/flags", test_flags);
  ADD ("/can-slcan/bus-off", test_bus_off);
  ADD ("/can-slcan/states", test_states);
  ADD ("/can-slcan/unplugged", test_unplugged);
  ADD ("/can-slcan/unplugged-early", test_unplugged_early);
  ADD ("/can-slcan/no-adapter", test_no_adapter);
  return g_test_run ();
}
