/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the services tell the journal: how few lines a disk costs that refuses every report for days. */

#include <string.h>

#include "gw-error.h"
#include "gw-services.h"

typedef struct
{
  GwClock *clock;
  GwServicesDisk disk;
  GwServices services;
  guint lines;
  char *last;
} Fixture;

static GLogWriterOutput
silence (GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
  return G_LOG_WRITER_HANDLED;
}

static void
on_event (GwEvent event, const char *name, const char *endpoint, const char *bus, const char *message, gpointer data)
{
  Fixture *f = data;

  g_assert_cmpint (event, ==, GW_EVENT_STORAGE_FAILED);
  f->lines++;
  g_free (f->last);
  f->last = g_strdup (message);
}

static void
set_up (Fixture *f, gconstpointer data)
{
  f->clock = gw_clock_new_mock (1000, 5000000);
  f->services.loop = gw_loop_new (NULL, f->clock);
  f->services.disk = &f->disk;
  gw_event_set_sink (on_event, f);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  gw_event_set_sink (NULL, NULL);
  gw_loop_free (f->services.loop);
  gw_clock_unref (f->clock);
  g_free (f->last);
  g_free (f->disk.trouble);
}

static void
fail (Fixture *f)
{
  g_autoptr (GError) error = g_error_new_literal (GW_ERROR, GW_ERROR_STORAGE, "No space left on device");

  gw_services_disk_failed (&f->services, NULL, "reports cannot be stored", error);
  g_assert_cmpstr (gw_services_disk_trouble (&f->services), ==, "reports cannot be stored: No space left on device");
}

/* Ten refusals a second for three days: three lines. */
static void
test_full (Fixture *f, gconstpointer data)
{
  for (guint i = 0; i < 3 * 24 * 60; i++)
    {
      for (guint n = 0; n < 10; n++)
        fail (f);
      gw_clock_advance (f->clock, 60 * G_USEC_PER_SEC);
    }
  g_assert_cmpuint (f->lines, ==, 3);
  g_assert_cmpstr (f->last, ==, "reports cannot be stored: No space left on device");
}

/* Room for one report now and then: a few lines, then one a day, and the last one says so. */
static void
test_nearly_full (Fixture *f, gconstpointer data)
{
  for (guint i = 0; i < 1000; i++)
    {
      fail (f);
      gw_services_disk_works (&f->services);
      g_assert_null (gw_services_disk_trouble (&f->services));
      gw_clock_advance (f->clock, G_USEC_PER_SEC);
    }
  g_assert_cmpuint (f->lines, ==, GW_EVENT_FLAPS_MAX);
  g_assert_nonnull (strstr (f->last, "once a day"));
  gw_clock_advance (f->clock, GW_EVENT_TELL_AGAIN_USEC);
  fail (f);
  g_assert_cmpuint (f->lines, ==, GW_EVENT_FLAPS_MAX + 1);
}

/* What works was never lost: the next refusal is news. */
static void
test_works (Fixture *f, gconstpointer data)
{
  gw_services_disk_works (&f->services);
  fail (f);
  gw_services_disk_works (&f->services);
  gw_services_disk_works (&f->services);
  fail (f);
  g_assert_cmpuint (f->lines, ==, 2);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_writer_func (silence, NULL, NULL);
  g_test_add ("/services/disk/full", Fixture, NULL, set_up, test_full, tear_down);
  g_test_add ("/services/disk/nearly-full", Fixture, NULL, set_up, test_nearly_full, tear_down);
  g_test_add ("/services/disk/works", Fixture, NULL, set_up, test_works, tear_down);
  return g_test_run ();
}
