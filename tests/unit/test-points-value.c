/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What may be written to a point: kept to the bit, or refused. */

#include <math.h>
#include <string.h>

#include "gw-error.h"
#include "gw-points.h"

#define EXACT G_GINT64_CONSTANT (9007199254740992) /* 2^53 */

static gboolean
take (const GwPoint *point, GVariant *value, GwValue *out)
{
  g_autoptr (GVariant) owned = g_variant_ref_sink (value);
  g_autoptr (GError) error = NULL;
  gboolean taken = gw_points_value_from_variant (point, owned, out, &error);

  if (!taken)
    g_assert_error (error, GW_ERROR, GW_ERROR_INVALID);
  return taken;
}

static void
assert_int (GVariant *value, gint64 expected)
{
  static const GwPoint point = { .name = (char *) "p", .unit = (char *) "", .type = GW_VALUE_INT };
  GwValue out;

  g_assert_true (take (&point, value, &out));
  g_assert_cmpint (out.type, ==, GW_VALUE_INT);
  g_assert_cmpint (out.i, ==, expected);
}

static void
assert_float (GVariant *value, double expected)
{
  static const GwPoint point = { .name = (char *) "p", .unit = (char *) "", .type = GW_VALUE_FLOAT };
  GwValue out;

  g_assert_true (take (&point, value, &out));
  g_assert_cmpint (out.type, ==, GW_VALUE_FLOAT);
  g_assert_cmpfloat (out.d, ==, expected);
}

static void
assert_refused (GwValueType type, GVariant *value)
{
  GwPoint point = { .name = (char *) "p", .unit = (char *) "", .type = type };
  GwValue out;

  g_assert_false (take (&point, value, &out));
}

static void
test_numbers (void)
{
  assert_int (g_variant_new_byte (255), 255);
  assert_int (g_variant_new_int16 (-5), -5);
  assert_int (g_variant_new_uint16 (65535), 65535);
  assert_int (g_variant_new_int32 (G_MININT32), G_MININT32);
  assert_int (g_variant_new_uint32 (G_MAXUINT32), G_MAXUINT32);
  assert_int (g_variant_new_int64 (G_MININT64), G_MININT64);
  assert_int (g_variant_new_uint64 (G_MAXINT64), G_MAXINT64);
  assert_int (g_variant_new_double (-3.0), -3);
  assert_int (g_variant_new_double ((double) EXACT), EXACT);
  assert_refused (GW_VALUE_INT, g_variant_new_uint64 ((guint64) G_MAXINT64 + 1));
  assert_refused (GW_VALUE_INT, g_variant_new_double (2.5));
  assert_refused (GW_VALUE_INT, g_variant_new_double ((double) EXACT * 2));
  assert_refused (GW_VALUE_INT, g_variant_new_double (NAN));
  assert_refused (GW_VALUE_INT, g_variant_new_double (-INFINITY));
  assert_refused (GW_VALUE_INT, g_variant_new_boolean (TRUE));
  assert_refused (GW_VALUE_INT, g_variant_new_string ("1"));
  assert_float (g_variant_new_double (2.5), 2.5);
  assert_float (g_variant_new_int64 (-EXACT), (double) -EXACT);
  assert_refused (GW_VALUE_FLOAT, g_variant_new_int64 (EXACT + 1));
  assert_refused (GW_VALUE_FLOAT, g_variant_new_int64 (-EXACT - 1));
  assert_refused (GW_VALUE_FLOAT, g_variant_new_double (NAN));
  assert_refused (GW_VALUE_FLOAT, g_variant_new_double (INFINITY));
  assert_refused (GW_VALUE_FLOAT, g_variant_new_string ("1.5"));
}

static void
test_limits (void)
{
  GwPoint point = {
    .name = (char *) "p", .unit = (char *) "%", .type = GW_VALUE_FLOAT, .has_low = TRUE, .low = 0, .has_high = TRUE, .high = 100,
  };
  GwValue out;

  g_assert_true (take (&point, g_variant_new_double (0), &out));
  g_assert_true (take (&point, g_variant_new_double (100), &out));
  g_assert_false (take (&point, g_variant_new_double (-0.001), &out));
  g_assert_false (take (&point, g_variant_new_double (100.001), &out));
  point.type = GW_VALUE_INT;
  g_assert_false (take (&point, g_variant_new_int32 (101), &out));
  point.has_high = FALSE;
  g_assert_true (take (&point, g_variant_new_int32 (101), &out));
  g_assert_false (take (&point, g_variant_new_int32 (-1), &out));
}

static void
test_others (void)
{
  GwPoint point = { .name = (char *) "p", .unit = (char *) "", .type = GW_VALUE_BOOL };
  g_autofree char *longest = g_strnfill (GW_DATA_VALUE_MAX, 'a'), *longer = g_strnfill (GW_DATA_VALUE_MAX + 1, 'a');
  g_autoptr (GVariant) bytes = g_variant_ref_sink (g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, "\0\xff", 2, 1));
  GwValue out;

  g_assert_true (take (&point, g_variant_new_boolean (TRUE), &out));
  g_assert_true (out.b);
  g_assert_false (take (&point, g_variant_new_int32 (1), &out));
  point.type = GW_VALUE_TEXT;
  g_assert_true (take (&point, g_variant_new_string (longest), &out));
  g_assert_false (take (&point, g_variant_new_string (longer), &out));
  g_assert_false (take (&point, g_variant_new_string ("a\nb"), &out));
  g_assert_false (take (&point, bytes, &out));
  point.type = GW_VALUE_BYTES;
  g_assert_true (gw_points_value_from_variant (&point, bytes, &out, NULL));
  g_assert_cmpmem (out.bytes.ptr, out.bytes.len, "\0\xff", 2);
  g_assert_false (take (&point, g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, longer, GW_DATA_VALUE_MAX + 1, 1), &out));
  g_assert_false (take (&point, g_variant_new_string ("AP8"), &out));
}

/* What the endpoint answers goes the other way, and comes back the same. */
static void
test_back (void)
{
  const GwValue values[] = { gw_value_bool (true), gw_value_int (G_MININT64), gw_value_float (0.1), gw_value_text ("eco"),
                             gw_value_bytes ("\0\xff", 2) };
  const GwValue none = { .type = GW_VALUE_NONE };

  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    {
      GwPoint point = { .name = (char *) "p", .unit = (char *) "", .type = values[i].type };
      g_autoptr (GVariant) variant = g_variant_ref_sink (gw_points_value_to_variant (&values[i]));
      g_autoptr (GVariant) again = NULL;
      GwValue out;

      g_assert_true (gw_points_value_from_variant (&point, variant, &out, NULL));
      again = g_variant_ref_sink (gw_points_value_to_variant (&out));
      g_assert_true (g_variant_equal (variant, again));
    }
  g_assert_null (gw_points_value_to_variant (&none));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/points-value/numbers", test_numbers);
  g_test_add_func ("/points-value/limits", test_limits);
  g_test_add_func ("/points-value/others", test_others);
  g_test_add_func ("/points-value/back", test_back);
  return g_test_run ();
}
