/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a simulated endpoint remembers of its reports, as tests of delivery read it. */

#include "gw-sim-reports.h"

static void
assert_json (json_t *value, const char *expected)
{
  char *text = json_dumps (value, JSON_COMPACT);

  g_assert_cmpstr (text, ==, expected);
  free (text);
  json_decref (value);
}

static void
test_nothing (void)
{
  g_autoptr (GwSimReports) reports = gw_sim_reports_new ();
  guint64 last = 1;

  g_assert_cmpuint (gw_sim_reports_count_acknowledged (reports, &last), ==, 0);
  g_assert_cmpuint (last, ==, 0);
  assert_json (gw_sim_reports_acknowledged (reports), "[]");
  assert_json (gw_sim_reports_made (reports), "[]");
}

/* Neighbours are one range; a new boot counts anew, and the count is of all. */
static void
test_acknowledged (void)
{
  g_autoptr (GwSimReports) reports = gw_sim_reports_new ();
  guint64 last;

  gw_sim_reports_begin_boot (reports, "0a");
  for (guint64 q = 1; q <= 7; q++)
    if (q != 4)
      gw_sim_reports_note_acknowledged (reports, q);
  g_assert_cmpuint (gw_sim_reports_count_acknowledged (reports, &last), ==, 6);
  g_assert_cmpuint (last, ==, 7);
  gw_sim_reports_begin_boot (reports, "0b");
  g_assert_cmpuint (gw_sim_reports_count_acknowledged (reports, &last), ==, 6);
  g_assert_cmpuint (last, ==, 0);
  gw_sim_reports_note_acknowledged (reports, 2);
  g_assert_cmpuint (gw_sim_reports_count_acknowledged (reports, &last), ==, 7);
  assert_json (gw_sim_reports_acknowledged (reports),
               "[{\"bt\":\"0a\",\"q\":[[1,3],[5,7]]},{\"bt\":\"0b\",\"q\":[[2,2]]}]");
}

/* A number that an event took has the time of the report after it. */
static void
test_made (void)
{
  g_autoptr (GwSimReports) reports = gw_sim_reports_new ();

  gw_sim_reports_begin_boot (reports, "0a");
  gw_sim_reports_note_made (reports, 2, 100);
  gw_sim_reports_note_made (reports, 4, 200);
  assert_json (gw_sim_reports_made (reports), "[{\"bt\":\"0a\",\"first\":2,\"usec\":[100,200,200]}]");
}

/* Only the latest are kept, and each still has its own time. */
static void
test_made_is_bounded (void)
{
  g_autoptr (GwSimReports) reports = gw_sim_reports_new ();
  json_t *boots, *boot, *times;
  guint64 first;

  gw_sim_reports_begin_boot (reports, "0a");
  for (guint64 q = 1; q <= 10 * GW_SIM_REPORTS_MADE + 7; q++)
    gw_sim_reports_note_made (reports, q, 1000 * q);
  boots = gw_sim_reports_made (reports);
  boot = json_array_get (boots, 0);
  times = json_object_get (boot, "usec");
  first = json_integer_value (json_object_get (boot, "first"));
  g_assert_cmpuint (json_array_size (times), >=, GW_SIM_REPORTS_MADE);
  g_assert_cmpuint (json_array_size (times), <, 2 * GW_SIM_REPORTS_MADE);
  for (gsize i = 0; i < json_array_size (times); i++)
    g_assert_cmpint (json_integer_value (json_array_get (times, i)), ==, 1000 * (first + i));
  g_assert_cmpuint (first + json_array_size (times) - 1, ==, 10 * GW_SIM_REPORTS_MADE + 7);
  json_decref (boots);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/sim-reports/nothing", test_nothing);
  g_test_add_func ("/sim-reports/acknowledged", test_acknowledged);
  g_test_add_func ("/sim-reports/made", test_made);
  g_test_add_func ("/sim-reports/made-is-bounded", test_made_is_bounded);
  return g_test_run ();
}
