/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who may begin on a shared bus (GwBerths): order, room, and how a berth ends by itself. Time stands still but for the test. */

#include "gw-berths.h"

#define MSEC 1000
#define RATE 10000 /* octets a second */
#define IDLE_MS 400
#define MANY 10

typedef struct
{
  GwClock *clock;
  GwLoop *loop;
  GwBerths berths;
  GwBerth berth[MANY];
  gboolean waits[MANY]; /* for its endpoint */
  GString *granted;     /* their digits, in order */
} Rig;

static void
on_grant (GwBerth *berth, gpointer data)
{
  Rig *self = data;

  g_string_append_printf (self->granted, "%d", (int) (berth - self->berth));
}

static gboolean
on_waits (GwBerth *berth, gpointer data)
{
  Rig *self = data;

  return self->waits[berth - self->berth];
}

static Rig *
rig_new (guint most)
{
  Rig *self = g_new0 (Rig, 1);

  self->clock = gw_clock_new_mock (1000 * G_USEC_PER_SEC, 0);
  self->loop = gw_loop_new (NULL, self->clock);
  self->granted = g_string_new (NULL);
  gw_berths_init (&self->berths, self->loop, on_grant, on_waits, self);
  gw_berths_set (&self->berths, most, RATE, IDLE_MS * MSEC);
  for (guint i = 0; i < MANY; i++)
    self->waits[i] = TRUE;
  return self;
}

static void
rig_free (Rig *self)
{
  gw_berths_clear (&self->berths);
  gw_loop_free (self->loop);
  gw_clock_unref (self->clock);
  g_string_free (self->granted, TRUE);
  g_free (self);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Rig, rig_free)

static void
advance (Rig *self, guint ms)
{
  for (guint i = 0; i < ms; i++)
    {
      gw_clock_advance (self->clock, MSEC);
      while (g_main_context_iteration (NULL, FALSE))
        ;
    }
}

static gboolean
ask (Rig *self, guint i)
{
  return gw_berths_ask (&self->berths, &self->berth[i]);
}

/* All of @ms the wire is full, by @i's datagrams. */
static void
saturate (Rig *self, guint i, guint ms)
{
  for (guint passed = 0; passed < ms; passed += 10)
    {
      gw_berths_carry (&self->berths, &self->berth[i], RATE / 100);
      advance (self, 10);
    }
}

static void
test_order (void)
{
  g_autoptr (Rig) rig = rig_new (2);

  g_assert_true (ask (rig, 0));
  g_assert_true (ask (rig, 1));
  g_assert_true (ask (rig, 0)); /* it has one already */
  for (guint i = 2; i < 6; i++)
    g_assert_false (ask (rig, i));
  g_assert_false (ask (rig, 2)); /* asking again is no way to the front, nor to the end */
  gw_berths_leave (&rig->berths, &rig->berth[3]);
  gw_berths_leave (&rig->berths, &rig->berth[0]);
  advance (rig, 30);
  g_assert_cmpstr (rig->granted->str, ==, "2");
  gw_berths_leave (&rig->berths, &rig->berth[1]);
  gw_berths_leave (&rig->berths, &rig->berth[2]);
  advance (rig, 30);
  g_assert_cmpstr (rig->granted->str, ==, "245");
}

/* Whoever waits already comes before a newcomer, also when there is room at this very moment. */
static void
test_no_overtaking (void)
{
  g_autoptr (Rig) rig = rig_new (1);

  g_assert_true (ask (rig, 0));
  g_assert_false (ask (rig, 1));
  gw_berths_leave (&rig->berths, &rig->berth[0]);
  g_assert_false (ask (rig, 2));
  advance (rig, 30);
  g_assert_cmpstr (rig->granted->str, ==, "1");
}

static void
test_done (void)
{
  g_autoptr (Rig) rig = rig_new (1);

  g_assert_true (ask (rig, 0));
  g_assert_false (ask (rig, 1));
  rig->waits[0] = FALSE;
  /* It makes its next request: so soon it is not done. */
  saturate (rig, 0, 200);
  g_assert_cmpstr (rig->granted->str, ==, "");
  advance (rig, GW_BERTHS_DONE_USEC / MSEC + 30);
  g_assert_cmpstr (rig->granted->str, ==, "1");
}

/* Silent while the wire is full: it waits for the wire. Silent while it is not: it computes. */
static void
test_silent (void)
{
  g_autoptr (Rig) rig = rig_new (1);

  g_assert_true (ask (rig, 0));
  g_assert_false (ask (rig, 1));
  saturate (rig, 9, 3 * IDLE_MS);
  g_assert_cmpstr (rig->granted->str, ==, "");
  advance (rig, 1000);
  g_assert_cmpstr (rig->granted->str, ==, "1");
}

static void
test_held_too_long (void)
{
  g_autoptr (Rig) rig = rig_new (1);

  g_assert_true (ask (rig, 0));
  g_assert_false (ask (rig, 1));
  saturate (rig, 0, GW_BERTHS_HELD_MAX_USEC / MSEC - 100);
  g_assert_cmpstr (rig->granted->str, ==, "");
  saturate (rig, 0, 200);
  g_assert_cmpstr (rig->granted->str, ==, "1");
}

/* A plugin begins to tell what its bus carries, and takes it back. */
static void
test_limit_changes (void)
{
  g_autoptr (Rig) rig = rig_new (0);

  for (guint i = 0; i < MANY; i++)
    g_assert_true (ask (rig, i));
  gw_berths_set (&rig->berths, 2, RATE, IDLE_MS * MSEC);
  for (guint i = 0; i < MANY; i++)
    g_assert_cmpint (ask (rig, i), ==, i < 2);
  gw_berths_set (&rig->berths, 4, RATE, IDLE_MS * MSEC);
  advance (rig, 1);
  g_assert_cmpstr (rig->granted->str, ==, "23");
  gw_berths_set (&rig->berths, 0, 0, 0);
  advance (rig, 1);
  g_assert_cmpstr (rig->granted->str, ==, "23456789");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/berths/order", test_order);
  g_test_add_func ("/berths/no-overtaking", test_no_overtaking);
  g_test_add_func ("/berths/done", test_done);
  g_test_add_func ("/berths/silent", test_silent);
  g_test_add_func ("/berths/held-too-long", test_held_too_long);
  g_test_add_func ("/berths/limit-changes", test_limit_changes);
  return g_test_run ();
}
