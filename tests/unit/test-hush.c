/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How seldom is told what happens all the time. */

#include <glib.h>

#include "gw-hush.h"

#define SEC G_GINT64_CONSTANT (1000000)
#define MINUTE (60 * SEC)

static void
test_now_and_then (void)
{
  GwHush hush = { 0 };

  for (gint64 i = 0; i < 100; i++)
    {
      gint64 now = SEC + i * 20 * SEC;

      g_assert_cmpuint (gw_hush_take_untold (&hush, now), ==, 0);
      g_assert_true (gw_hush_note (&hush, now));
    }
}

static void
test_all_the_time (void)
{
  GwHush hush = { 0 };
  gint64 now, begin = SEC;
  guint told = 0, counted = 0, lines = 0, untold;

  /* Ten times a second, for a day. */
  for (now = begin; now < begin + 24 * 60 * MINUTE; now += SEC / 10)
    {
      if ((untold = gw_hush_take_untold (&hush, now)) > 0)
        {
          lines++;
          counted += untold;
          if (lines == 1)
            g_assert_cmpint (now, ==, begin + MINUTE);
        }
      told += gw_hush_note (&hush, now);
    }
  g_assert_cmpuint (told, ==, GW_HUSH_TELL_MAX);
  /* After 1, 3, 7, 15, 31, 63 minutes, then each hour. */
  g_assert_cmpuint (lines, ==, 5 + 23);
  /* The last time is told, too, and a quiet hour later it is told as at first. */
  now += 60 * MINUTE;
  counted += gw_hush_take_untold (&hush, now);
  g_assert_cmpuint (told + counted, ==, 24 * 60 * 60 * 10);
  now += 60 * MINUTE;
  g_assert_cmpuint (gw_hush_take_untold (&hush, now), ==, 0);
  g_assert_true (gw_hush_note (&hush, now));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/hush/now-and-then", test_now_and_then);
  g_test_add_func ("/hush/all-the-time", test_all_the_time);
  return g_test_run ();
}
