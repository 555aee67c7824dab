/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the journal gets: fields of an event, and how few lines a long time offline costs. */

#include <string.h>

#include "gw-clock.h"
#include "gw-event.h"

static GPtrArray *captured; /* "NAME=value" of the last event */

static GLogWriterOutput
capture (GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
  g_ptr_array_set_size (captured, 0);
  for (gsize i = 0; i < n; i++)
    g_ptr_array_add (captured, g_strdup_printf ("%s=%s", fields[i].key, (const char *) fields[i].value));
  return G_LOG_WRITER_HANDLED;
}

static void
assert_has (const char *field)
{
  g_assert_true (g_ptr_array_find_with_equal_func (captured, field, g_str_equal, NULL));
}

static void
test_fields (void)
{
  g_autofree char *id = g_strdup_printf ("MESSAGE_ID=%s", gw_event_get_message_id (GW_EVENT_ENDPOINT_CLONED));

  gw_event (GW_EVENT_ENDPOINT_CLONED, "00ff", "ttyUSB0", "two of %s", "them");
  assert_has ("MESSAGE=two of them");
  assert_has (id);
  assert_has ("PRIORITY=1");
  assert_has ("GANGWAY_EVENT=endpoint-cloned");
  assert_has ("GANGWAY_ENDPOINT=00ff");
  assert_has ("GANGWAY_BUS=ttyUSB0");
  gw_event (GW_EVENT_STORAGE_FAILED, NULL, NULL, "full");
  for (guint i = 0; i < captured->len; i++)
    g_assert_false (g_str_has_prefix (captured->pdata[i], "GANGWAY_ENDPOINT") || g_str_has_prefix (captured->pdata[i], "GANGWAY_BUS"));
}

/* Tried every five minutes for thirty days, for a hundred reasons in turn. */
static void
test_a_month_offline (void)
{
  g_autoptr (GwClock) clock = gw_clock_new_mock (0, 0);
  GwEventConnection told = { 0 };
  guint lines = 0;

  g_assert_true (gw_event_connection_changed (&told, TRUE, gw_clock_monotonic (clock)));
  g_assert_false (gw_event_connection_changed (&told, TRUE, gw_clock_monotonic (clock)));
  for (guint i = 0; i < 30 * 24 * 12; i++)
    {
      lines += gw_event_connection_changed (&told, FALSE, gw_clock_monotonic (clock));
      gw_clock_advance (clock, 5 * 60 * (gint64) G_USEC_PER_SEC);
    }
  g_test_message ("%u lines", lines);
  g_assert_cmpuint (lines, ==, 30);
  g_assert_true (gw_event_connection_changed (&told, TRUE, gw_clock_monotonic (clock)));
}

/* A loose contact: gone for a minute in every five, for thirty days. */
static void
test_a_month_of_flapping (void)
{
  g_autoptr (GwClock) clock = gw_clock_new_mock (0, 0);
  GwEventConnection told = { 0 };
  guint lost = 0, back = 0, notes = 0;

  g_assert_true (gw_event_connection_changed (&told, TRUE, gw_clock_monotonic (clock)));
  for (guint i = 0; i < 30 * 24 * 12; i++)
    {
      if (gw_event_connection_changed (&told, FALSE, gw_clock_monotonic (clock)))
        {
          lost++;
          notes += *gw_event_connection_note (&told) != '\0';
        }
      gw_clock_advance (clock, 60 * (gint64) G_USEC_PER_SEC);
      back += gw_event_connection_changed (&told, TRUE, gw_clock_monotonic (clock));
      gw_clock_advance (clock, 4 * 60 * (gint64) G_USEC_PER_SEC);
    }
  g_test_message ("%u lines", lost + back);
  /* What is said to be lost is also said to be back. */
  g_assert_cmpuint (lost, ==, back);
  g_assert_cmpuint (lost, ==, GW_EVENT_FLAPS_MAX + 29);
  g_assert_cmpuint (notes, ==, 30);
  /* A quiet week later it is news again, each time. */
  gw_clock_advance (clock, 7 * GW_EVENT_TELL_AGAIN_USEC);
  for (guint i = 0; i < GW_EVENT_FLAPS_MAX; i++)
    {
      g_assert_true (gw_event_connection_changed (&told, FALSE, gw_clock_monotonic (clock)));
      g_assert_true (gw_event_connection_changed (&told, TRUE, gw_clock_monotonic (clock)));
    }
}

/* At start a connection that never came is news at once. */
static void
test_never_online (void)
{
  GwEventConnection told = { 0 };

  g_assert_true (gw_event_connection_changed (&told, FALSE, 0));
  g_assert_false (gw_event_connection_changed (&told, FALSE, GW_EVENT_TELL_AGAIN_USEC - 1));
  g_assert_true (gw_event_connection_changed (&told, FALSE, GW_EVENT_TELL_AGAIN_USEC));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  captured = g_ptr_array_new_with_free_func (g_free);
  g_log_set_writer_func (capture, NULL, NULL);
  g_test_add_func ("/event/fields", test_fields);
  g_test_add_func ("/event/a-month-offline", test_a_month_offline);
  g_test_add_func ("/event/a-month-of-flapping", test_a_month_of_flapping);
  g_test_add_func ("/event/never-online", test_never_online);
  return g_test_run ();
}
