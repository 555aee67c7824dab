/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-census.h"

typedef struct
{
  GwClock *clock;
  GwLoop *loop;
  GwCensus *census;
  guint told;
} Lab;

static void
on_changed (gpointer data)
{
  ((Lab *) data)->told++;
}

static void
setup (Lab *lab, gconstpointer data)
{
  lab->clock = gw_clock_new_real ();
  lab->loop = gw_loop_new (NULL, lab->clock);
  lab->census = gw_census_new (lab->loop, on_changed, lab);
}

static void
teardown (Lab *lab, gconstpointer data)
{
  gw_census_free (lab->census);
  gw_loop_free (lab->loop);
  gw_clock_unref (lab->clock);
}

static void
turn (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static void
assert_states (Lab *lab, const char *expected)
{
  g_autoptr (GVariant) wanted = g_variant_ref_sink (g_variant_parse (G_VARIANT_TYPE ("a{su}"), expected, NULL, NULL, NULL));
  g_autoptr (GVariant) found = g_variant_ref_sink (gw_census_get_states (lab->census));
  GVariantIter iter;
  const char *state;
  guint n, said;

  g_assert_cmpuint (g_variant_n_children (found), ==, g_variant_n_children (wanted));
  g_variant_iter_init (&iter, wanted);
  while (g_variant_iter_next (&iter, "{&su}", &state, &n))
    {
      g_assert_true (g_variant_lookup (found, state, "u", &said));
      g_assert_cmpuint (said, ==, n);
    }
}

static void
test_counts (Lab *lab, gconstpointer data)
{
  GwCensusPlace a = { 0 }, b = { 0 };

  assert_states (lab, "{}");
  gw_census_count (lab->census, &a, "online", "one");
  gw_census_count (lab->census, &b, "online", NULL);
  assert_states (lab, "{'online': 2}");
  g_assert_cmpuint (gw_census_get_policy (lab->census, "one"), ==, 1);
  gw_census_count (lab->census, &b, "offline", "one");
  assert_states (lab, "{'online': 1, 'offline': 1}");
  g_assert_cmpuint (gw_census_get_policy (lab->census, "one"), ==, 2);
  gw_census_count (lab->census, &a, "online", "other");
  g_assert_cmpuint (gw_census_get_policy (lab->census, "one"), ==, 1);
  g_assert_cmpuint (gw_census_get_policy (lab->census, "other"), ==, 1);
  gw_census_leave (lab->census, &a);
  gw_census_leave (lab->census, &a);
  assert_states (lab, "{'offline': 1}");
  gw_census_leave (lab->census, &b);
  assert_states (lab, "{}");
  g_assert_cmpuint (gw_census_get_policy (lab->census, "one"), ==, 0);
}

/* Told once a turn, and only when something is other than it was. */
static void
test_tells (Lab *lab, gconstpointer data)
{
  GwCensusPlace places[100] = { 0 };

  for (guint i = 0; i < G_N_ELEMENTS (places); i++)
    gw_census_count (lab->census, &places[i], "online", "one");
  g_assert_cmpuint (lab->told, ==, 0);
  turn ();
  g_assert_cmpuint (lab->told, ==, 1);
  for (guint i = 0; i < G_N_ELEMENTS (places); i++)
    gw_census_count (lab->census, &places[i], "online", "one");
  turn ();
  g_assert_cmpuint (lab->told, ==, 1);
  for (guint i = 0; i < G_N_ELEMENTS (places); i++)
    gw_census_leave (lab->census, &places[i]);
  turn ();
  g_assert_cmpuint (lab->told, ==, 2);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/census/counts", Lab, NULL, setup, test_counts, teardown);
  g_test_add ("/census/tells", Lab, NULL, setup, test_tells, teardown);
  return g_test_run ();
}
