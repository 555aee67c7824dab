/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Every cell of the two tables, and the word that each pair of axes shows. */

#include <glib.h>

#include "gw-lifecycle.h"

/* Written down a second time, as the specification of the first: state, then the next state for each event ('-': refused). */
static const char *const lifecycle_specification[GW_LIFECYCLE_COUNT] = {
  "vq-qr-d", /* unknown: admit reject enrol quarantine revoke release decommission */
  "vq-qr-d", /* quarantined */
  "vqeqrld", /* verified */
  "eeeqrld", /* enrolled */
  "----r-d", /* revoked */
  "vq-qr-d", /* released */
  "------d", /* decommissioned */
};
static const char lifecycle_letters[] = "uqverld";

static const char *const presence_specification[GW_PRESENCE_COUNT] = {
  "t-p-aaa", /* absent: attach hello prove connect disconnect session-end detach */
  "tgp-tta", /* attached */
  "ggp-gta", /* proving */
  "pppopta", /* proved */
  "oooopta", /* online */
};
static const char presence_letters[] = "atgpo";

static void
test_lifecycle (void)
{
  for (guint from = 0; from < GW_LIFECYCLE_COUNT; from++)
    for (guint event = 0; event < GW_LIFECYCLE_EVENT_COUNT; event++)
      {
        char expected = lifecycle_specification[from][event];
        GwLifecycle next = GW_LIFECYCLE_COUNT;
        gboolean allowed = gw_lifecycle_next (from, event, &next);

        g_test_message ("%s, event %u", gw_lifecycle_to_string (from), event);
        g_assert_cmpint (allowed, ==, expected != '-');
        if (allowed)
          g_assert_cmpint (lifecycle_letters[next], ==, expected);
      }
}

static void
test_presence (void)
{
  for (guint from = 0; from < GW_PRESENCE_COUNT; from++)
    for (guint event = 0; event < GW_PRESENCE_EVENT_COUNT; event++)
      {
        char expected = presence_specification[from][event];
        GwPresence next = GW_PRESENCE_COUNT;
        gboolean allowed = gw_presence_next (from, event, &next);

        g_test_message ("%s, event %u", gw_presence_to_string (from), event);
        g_assert_cmpint (allowed, ==, expected != '-');
        if (allowed)
          g_assert_cmpint (presence_letters[next], ==, expected);
      }
}

static void
test_out_of_table (void)
{
  GwLifecycle lifecycle;
  GwPresence presence;

  g_assert_false (gw_lifecycle_next (GW_LIFECYCLE_COUNT, GW_LIFECYCLE_EVENT_ADMIT, &lifecycle));
  g_assert_false (gw_lifecycle_next (GW_LIFECYCLE_UNKNOWN, GW_LIFECYCLE_EVENT_COUNT, &lifecycle));
  g_assert_false (gw_presence_next (GW_PRESENCE_COUNT, GW_PRESENCE_EVENT_ATTACH, &presence));
  g_assert_false (gw_presence_next (GW_PRESENCE_ABSENT, GW_PRESENCE_EVENT_COUNT, &presence));
}

/* Only an enrolled endpoint that is online and not cloned is ever shown as online, and only that lifecycle may connect. */
static void
test_state (void)
{
  for (guint lifecycle = 0; lifecycle < GW_LIFECYCLE_COUNT; lifecycle++)
    for (guint presence = 0; presence < GW_PRESENCE_COUNT; presence++)
      for (int cloned = 0; cloned < 2; cloned++)
        {
          const char *state = gw_state_to_string (lifecycle, presence, cloned);

          g_assert_nonnull (state);
          g_assert_cmpint (g_str_equal (state, "online"), ==,
                           lifecycle == GW_LIFECYCLE_ENROLLED && presence == GW_PRESENCE_ONLINE && !cloned);
          if (lifecycle == GW_LIFECYCLE_REVOKED || lifecycle == GW_LIFECYCLE_DECOMMISSIONED)
            g_assert_cmpstr (state, ==, gw_lifecycle_to_string (lifecycle));
          else if (cloned)
            g_assert_cmpstr (state, ==, "cloned");
          g_assert_cmpint (gw_lifecycle_may_connect (lifecycle), ==, lifecycle == GW_LIFECYCLE_ENROLLED);
        }
  g_assert_cmpstr (gw_state_to_string (GW_LIFECYCLE_ENROLLED, GW_PRESENCE_ABSENT, FALSE), ==, "offline");
  g_assert_cmpstr (gw_state_to_string (GW_LIFECYCLE_UNKNOWN, GW_PRESENCE_PROVING, FALSE), ==, "proving");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/lifecycle/every-cell", test_lifecycle);
  g_test_add_func ("/lifecycle/presence-every-cell", test_presence);
  g_test_add_func ("/lifecycle/out-of-table", test_out_of_table);
  g_test_add_func ("/lifecycle/state", test_state);
  return g_test_run ();
}
