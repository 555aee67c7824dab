/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reports that become too old, on a clock that the test moves. */

#include "gw-event.h"
#include "gw-expiry.h"
#include "spool-fixture.h"

#define HOUR (G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC)
#define DAY (24 * HOUR)
#define AGE (30 * DAY)

typedef struct
{
  SpoolFixture spool;
  GwClock *clock;
  GwLoop *loop;
  GwExpiry *expiry;
  guint64 q;
} Fixture;

static guint lines;
static char *last_told;

static GLogWriterOutput
take_log (GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
  for (gsize i = 0; i < n; i++)
    {
      if (strcmp (fields[i].key, "GANGWAY_EVENT") == 0 && strcmp (fields[i].value, "reports-given-up") == 0)
        lines++;
      if (strcmp (fields[i].key, "MESSAGE") == 0)
        {
          g_free (last_told);
          last_told = g_strdup (fields[i].value);
        }
    }
  return G_LOG_WRITER_HANDLED;
}

static void
set_up (Fixture *f, gconstpointer data)
{
  fixture_up (&f->spool, NULL);
  f->clock = gw_clock_new_mock (G_USEC_PER_SEC, T0);
  f->loop = gw_loop_new (NULL, f->clock);
  f->expiry = gw_expiry_new (f->loop, f->spool.spool, AGE);
  f->q = 0;
  lines = 0;
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  gw_expiry_free (f->expiry);
  gw_loop_free (f->loop);
  gw_clock_unref (f->clock);
  fixture_down (&f->spool, NULL);
  g_clear_pointer (&last_told, g_free);
}

/* A report of endpoint 1, received now. */
static void
receive (Fixture *f)
{
  g_autoptr (GBytes) payload = payload_of (1, 1, ++f->q);

  g_assert_true (gw_spool_append (f->spool.spool, kid_of (1), boot_of (1), f->q, gw_clock_realtime (f->clock),
                                  GW_SPOOL_REPORT, 0, payload, told, &f->spool, NULL));
  flush (&f->spool);
}

static void
pass (Fixture *f, gint64 usec)
{
  gw_clock_advance (f->clock, usec);
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static guint64
queued (Fixture *f)
{
  GwSpoolCounters counters;

  gw_spool_get_counters (f->spool.spool, kid_of (1), &counters);
  g_assert_cmpuint (counters.queued + counters.dropped[GW_SPOOL_DROP_AGED], ==, f->q);
  return counters.queued;
}

static void
test_gives_up_what_is_too_old (Fixture *f, gconstpointer data)
{
  receive (f);
  pass (f, DAY);
  receive (f);
  pass (f, AGE - DAY - 2 * HOUR);
  g_assert_cmpuint (queued (f), ==, 2);
  g_assert_cmpuint (lines, ==, 0);
  pass (f, 3 * HOUR);
  g_assert_cmpuint (queued (f), ==, 1);
  g_assert_cmpuint (lines, ==, 1);
  g_assert_cmpstr (last_told, ==, "1 reports were given up: no broker took them within MaxAge");
  gw_expiry_set_max_age (f->expiry, HOUR);
  pass (f, HOUR);
  g_assert_cmpuint (queued (f), ==, 0);
}

/* A month without a broker, then a month in which every hour brings a report and takes one. */
static void
test_tells_once_a_day (Fixture *f, gconstpointer data)
{
  for (guint hour = 0; hour < 60 * 24; hour++)
    {
      receive (f);
      pass (f, HOUR);
    }
  g_assert_cmpuint (queued (f), <=, 30 * 24 + 2);
  g_assert_cmpuint (queued (f), >=, 30 * 24 - 2);
  g_assert_cmpuint (lines, <=, 31);
  g_assert_cmpuint (lines, >=, 29);
}

/* The clock was not set when it came: once it is, the report must not look 56 years old. */
static void
test_clock_not_set (Fixture *f, gconstpointer data)
{
  gw_clock_set_realtime (f->clock, DAY); /* 1970 */
  receive (f);
  pass (f, 2 * AGE);
  receive (f);
  g_assert_cmpuint (queued (f), ==, 2);
  gw_clock_set_realtime (f->clock, T0);
  pass (f, DAY);
  g_assert_cmpuint (queued (f), ==, 2);
  receive (f);
  pass (f, AGE - HOUR);
  g_assert_cmpuint (queued (f), ==, 3);
  pass (f, 3 * HOUR);
  g_assert_cmpuint (queued (f), ==, 0);
}

#define ADD(name, func) g_test_add ("/expiry/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_writer_func (take_log, NULL, NULL);
  ADD ("gives-up-what-is-too-old", test_gives_up_what_is_too_old);
  ADD ("tells-once-a-day", test_tells_once_a_day);
  ADD ("clock-not-set", test_clock_not_set);
  return g_test_run ();
}
