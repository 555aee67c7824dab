// SPDX-License-Identifier: LGPL-2.1-or-later
/* The loop on the mock clock: order, re-arming and freeing inside callbacks, many timers, the cap per turn.
 */
#include "gw-loop.h"

#include <fcntl.h>
#include <unistd.h>

typedef struct
{
  GMainContext *context;
  GwClock *clock;
  GwLoop *loop;
  GString *log;
} Fixture;

typedef struct
{
  Fixture *f;
  char name;
  GwTimer timer;
  GwStep step;
  GwFdWatch *watch;
  int fd[2];
  guint calls;
  gpointer other;
} Item;

static void
set_up (Fixture *f, gconstpointer data)
{
  f->context = g_main_context_new ();
  f->clock = gw_clock_new_mock (1000, 5000000);
  f->loop = gw_loop_new (f->context, f->clock);
  f->log = g_string_new (NULL);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  gw_loop_free (f->loop);
  gw_clock_unref (f->clock);
  g_main_context_unref (f->context);
  g_string_free (f->log, TRUE);
}

/* Runs until nothing is ready; never blocks. */
static void
settle (Fixture *f)
{
  while (g_main_context_iteration (f->context, FALSE))
    ;
}

static void
expect_log (Fixture *f, const char *expected)
{
  g_assert_cmpstr (f->log->str, ==, expected);
  g_string_truncate (f->log, 0);
}

static void
on_timer (gpointer data)
{
  Item *item = data;

  item->calls++;
  g_string_append_c (item->f->log, item->name);
}

static void
init_timers (Fixture *f, Item *items, guint n, GwTimerFunc func)
{
  for (guint i = 0; i < n; i++)
    {
      items[i] = (Item){ .f = f, .name = (char)('a' + i) };
      gw_timer_init (&items[i].timer, f->loop, func, &items[i]);
    }
}

static void
test_timer_order (Fixture *f, gconstpointer data)
{
  Item t[5];

  init_timers (f, t, 5, on_timer);
  gw_timer_arm (&t[0].timer, 300);
  gw_timer_arm (&t[1].timer, 100);
  gw_timer_arm (&t[2].timer, 200);
  gw_timer_arm (&t[3].timer, 200);
  gw_timer_arm (&t[4].timer, 400);
  gw_timer_arm (&t[4].timer, 50); /* moved */
  gw_timer_disarm (&t[0].timer);

  settle (f);
  expect_log (f, "");
  gw_clock_advance (f->clock, 99);
  settle (f);
  expect_log (f, "e");
  gw_clock_advance (f->clock, 1);
  settle (f);
  expect_log (f, "b");
  gw_clock_advance (f->clock, 1000);
  settle (f);
  expect_log (f, "cd");
  g_assert_false (gw_timer_is_armed (&t[2].timer));
  g_assert_cmpint (gw_loop_now (f->loop), ==, 1000 + 1100);
  g_assert_cmpint (gw_loop_realtime (f->loop), ==, 5000000 + 1100);
}

static void
on_timer_rearm (gpointer data)
{
  Item *item = data;

  on_timer (item);
  if (item->calls < 3)
    gw_timer_arm (&item->timer, 0);
}

static void
test_timer_rearm (Fixture *f, gconstpointer data)
{
  Item t[2];

  init_timers (f, t, 2, on_timer_rearm);
  gw_timer_arm (&t[0].timer, 0);
  gw_timer_arm (&t[1].timer, 0);
  g_main_context_iteration (f->context, FALSE);
  expect_log (f, "ab"); /* not again in the same turn, though due */
  settle (f);
  expect_log (f, "abab");
}

static void
on_timer_disarm_other (gpointer data)
{
  Item *item = data;
  Item *other = item->other;

  on_timer (item);
  gw_timer_disarm (&other->timer);
  gw_timer_disarm (&item->timer);
}

/* Two timers due in the same turn, each disarming the other: one call only, whatever is freed after it. */
static void
test_timer_disarm_pending (Fixture *f, gconstpointer data)
{
  Item *t = g_new0 (Item, 3);

  init_timers (f, t, 3, on_timer_disarm_other);
  t[0].other = &t[1];
  t[1].other = &t[0];
  t[2].other = &t[2];
  for (guint i = 0; i < 3; i++)
    gw_timer_arm (&t[i].timer, 10);
  gw_clock_advance (f->clock, 10);
  settle (f);
  expect_log (f, "ac");
  g_free (t);
}

typedef struct
{
  gint64 last;
  guint calls;
  GwLoop *loop;
} Many;

typedef struct
{
  GwTimer timer;
  Many *many;
} ManyTimer;

static void
on_many (gpointer data)
{
  ManyTimer *t = data;

  g_assert_cmpint (t->timer.deadline, >=, t->many->last);
  g_assert_cmpint (t->timer.deadline, <=, gw_loop_now (t->many->loop));
  t->many->last = t->timer.deadline;
  t->many->calls++;
}

static void
test_timer_many (Fixture *f, gconstpointer data)
{
  enum
  {
    N = 10000
  };
  g_autofree ManyTimer *t = g_new0 (ManyTimer, N);
  Many many = { .loop = f->loop };
  guint disarmed = 0;

  for (guint i = 0; i < N; i++)
    {
      t[i].many = &many;
      gw_timer_init (&t[i].timer, f->loop, on_many, &t[i]);
      gw_timer_arm (&t[i].timer, g_test_rand_int_range (0, 1000000));
    }
  for (guint i = 0; i < N; i += 3, disarmed++)
    gw_timer_disarm (&t[i].timer);
  for (guint i = 1; i < N; i += 3)
    gw_timer_arm (&t[i].timer, g_test_rand_int_range (0, 1000000));

  for (guint i = 0; i < 100; i++)
    {
      gw_clock_advance (f->clock, 10000);
      settle (f);
    }
  g_assert_cmpuint (many.calls, ==, N - disarmed);
}

static void
on_readable (guint32 events, gpointer data)
{
  Item *item = data;
  char byte;

  item->calls++;
  g_string_append_c (item->f->log, item->name);
  if (events & EPOLLIN)
    g_assert_cmpint (read (item->fd[0], &byte, 1), ==, 1);
}

static void
open_pipe (Fixture *f, Item *item, char name, GwFdFunc func)
{
  *item = (Item){ .f = f, .name = name };
  g_assert_cmpint (pipe2 (item->fd, O_CLOEXEC | O_NONBLOCK), ==, 0);
  item->watch = gw_loop_watch (f->loop, item->fd[0], EPOLLIN, func, item);
  g_assert_nonnull (item->watch);
}

static void
close_pipe (Item *item)
{
  gw_fd_watch_free (item->watch);
  item->watch = NULL;
  close (item->fd[0]);
  if (item->fd[1] >= 0)
    close (item->fd[1]);
}

static void
poke (Item *item)
{
  g_assert_cmpint (write (item->fd[1], "x", 1), ==, 1);
}

static void
test_fd (Fixture *f, gconstpointer data)
{
  Item a;

  open_pipe (f, &a, 'a', on_readable);
  settle (f);
  expect_log (f, "");
  poke (&a);
  poke (&a);
  settle (f);
  expect_log (f, "aa"); /* level-triggered: the second byte is not forgotten */

  /* Taken out, not even the hang-up is heard. */
  gw_fd_watch_set_events (a.watch, 0);
  poke (&a);
  close (a.fd[1]);
  a.fd[1] = -1;
  settle (f);
  expect_log (f, "");
  gw_fd_watch_set_events (a.watch, EPOLLIN);
  g_main_context_iteration (f->context, FALSE);
  expect_log (f, "a");
  close_pipe (&a);
}

static void
on_readable_close_other (guint32 events, gpointer data)
{
  Item *item = data;
  Item *other = item->other;

  on_readable (events, item);
  if (other->watch)
    close_pipe (other);
  close_pipe (item);
}

/* Both are ready in the same turn; whichever comes first frees both. */
static void
test_fd_free_pending (Fixture *f, gconstpointer data)
{
  Item *a = g_new0 (Item, 1), *b = g_new0 (Item, 1);

  open_pipe (f, a, 'x', on_readable_close_other);
  open_pipe (f, b, 'x', on_readable_close_other);
  a->other = b;
  b->other = a;
  poke (a);
  poke (b);
  settle (f);
  expect_log (f, "x");
  g_free (a);
  g_free (b);
}

static void
on_readable_mute_other (guint32 events, gpointer data)
{
  Item *item = data;
  Item *other = item->other;

  on_readable (events, item);
  gw_fd_watch_set_events (other->watch, 0);
}

/* What was narrowed in this turn is not heard in this turn. */
static void
test_fd_mute_pending (Fixture *f, gconstpointer data)
{
  Item a, b;

  open_pipe (f, &a, 'x', on_readable_mute_other);
  open_pipe (f, &b, 'x', on_readable_mute_other);
  a.other = &b;
  b.other = &a;
  poke (&a);
  poke (&b);
  settle (f);
  expect_log (f, "x");
  close_pipe (&a);
  close_pipe (&b);
}

static void
on_step (gpointer data)
{
  Item *item = data;

  item->calls++;
  g_string_append_c (item->f->log, item->name);
}

static void
on_step_again (gpointer data)
{
  Item *item = data;

  on_step (item);
  if (item->calls < 3)
    gw_step_queue (&item->step);
  if (item->other)
    gw_step_cancel (&((Item *)item->other)->step);
}

static void
test_step_cap (Fixture *f, gconstpointer data)
{
  enum
  {
    N = 2 * GW_LOOP_STEPS_PER_TURN + 3
  };
  Item s[N];
  guint turns = 0;

  for (guint i = 0; i < N; i++)
    {
      s[i] = (Item){ .f = f, .name = 's' };
      gw_step_init (&s[i].step, f->loop, on_step, &s[i]);
      gw_step_queue (&s[i].step);
      gw_step_queue (&s[i].step); /* once is once */
    }
  for (guint left = N; left; turns++)
    {
      guint n;

      g_main_context_iteration (f->context, FALSE);
      n = (guint)f->log->len;
      g_assert_cmpuint (n, ==, MIN (left, GW_LOOP_STEPS_PER_TURN));
      g_string_truncate (f->log, 0);
      left -= n;
    }
  g_assert_cmpuint (turns, ==, 3);
}

static void
test_step_again_and_cancel (Fixture *f, gconstpointer data)
{
  Item s[3];

  for (guint i = 0; i < 3; i++)
    {
      s[i] = (Item){ .f = f, .name = (char)('a' + i) };
      gw_step_init (&s[i].step, f->loop, on_step_again, &s[i]);
      gw_step_queue (&s[i].step);
    }
  s[0].other = &s[1];
  g_main_context_iteration (f->context, FALSE);
  expect_log (f, "ac"); /* a cancelled b and waits for its next turn */
  g_assert_false (gw_step_is_queued (&s[1].step));
  settle (f);
  expect_log (f, "acac");
}

/* A full house of steps never keeps a timer or a descriptor waiting for more than a turn. */
static void
test_step_fair (Fixture *f, gconstpointer data)
{
  enum
  {
    N = 100
  };
  Item s[N], fd, timer;

  for (guint i = 0; i < N; i++)
    {
      s[i] = (Item){ .f = f, .name = 's' };
      gw_step_init (&s[i].step, f->loop, on_step, &s[i]);
      gw_step_queue (&s[i].step);
    }
  open_pipe (f, &fd, 'f', on_readable);
  init_timers (f, &timer, 1, on_timer);
  poke (&fd);
  gw_timer_arm (&timer.timer, 0);
  g_main_context_iteration (f->context, FALSE);
  expect_log (f, "afssssssss");
  for (guint i = 0; i < N; i++)
    gw_step_cancel (&s[i].step);
  close_pipe (&fd);
}

/* On the real clock the context sleeps for the timer, not for ever and not in a spin. */
static void
test_real_clock (void)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GwClock) clock = gw_clock_new_real ();
  g_autoptr (GwLoop) loop = gw_loop_new (context, clock);
  Fixture f = { .log = g_string_new (NULL) };
  Item t = { .f = &f, .name = 't' };
  gint64 start = gw_loop_now (loop);
  guint turns = 0;

  gw_timer_init (&t.timer, loop, on_timer, &t);
  gw_timer_arm (&t.timer, 20000);
  for (; !t.calls; turns++)
    g_main_context_iteration (context, TRUE);
  g_assert_cmpint (gw_loop_now (loop) - start, >=, 20000);
  g_assert_cmpuint (turns, <=, 5);
  g_string_free (f.log, TRUE);
}

#define ADD(path, func) g_test_add (path, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("/loop/timer/order", test_timer_order);
  ADD ("/loop/timer/rearm", test_timer_rearm);
  ADD ("/loop/timer/disarm-pending", test_timer_disarm_pending);
  ADD ("/loop/timer/many", test_timer_many);
  ADD ("/loop/fd/level", test_fd);
  ADD ("/loop/fd/free-pending", test_fd_free_pending);
  ADD ("/loop/fd/mute-pending", test_fd_mute_pending);
  ADD ("/loop/step/cap", test_step_cap);
  ADD ("/loop/step/again-and-cancel", test_step_again_and_cancel);
  ADD ("/loop/step/fair", test_step_fair);
  g_test_add_func ("/loop/real-clock", test_real_clock);
  return g_test_run ();
}
