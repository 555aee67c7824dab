/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Values of points as D-Bus has them, and back. What is to be written keeps its value to the bit or is refused: it may move a valve. */

#include "config.h"

#include "gw-points.h"

#include <math.h>

#include "gw-error.h"

GVariant *
gw_points_value_to_variant (const GwValue *value)
{
  switch (value->type)
    {
    case GW_VALUE_BOOL:
      return g_variant_new_boolean (value->b);
    case GW_VALUE_INT:
      return g_variant_new_int64 (value->i);
    case GW_VALUE_FLOAT:
      return g_variant_new_double (value->d);
    case GW_VALUE_TEXT:
      return g_variant_new_take_string (g_strndup (value->text.ptr, value->text.len));
    case GW_VALUE_BYTES:
      return g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, value->bytes.ptr, value->bytes.len, 1);
    case GW_VALUE_NONE:
    default:
      return NULL;
    }
}

/* The widest whole number that a double can tell from its neighbours: 2^53. */
#define EXACT_MAX G_GINT64_CONSTANT (9007199254740992)

/* A whole number of any of D-Bus's types; FALSE if it is none, or beyond 64 bits with a sign. */
static gboolean
to_whole (GVariant *value, gint64 *out)
{
  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_INT64:
      *out = g_variant_get_int64 (value);
      return TRUE;
    case G_VARIANT_CLASS_UINT64:
      *out = (gint64) MIN (g_variant_get_uint64 (value), (guint64) G_MAXINT64);
      return g_variant_get_uint64 (value) <= (guint64) G_MAXINT64;
    case G_VARIANT_CLASS_INT32:
      *out = g_variant_get_int32 (value);
      return TRUE;
    case G_VARIANT_CLASS_UINT32:
      *out = g_variant_get_uint32 (value);
      return TRUE;
    case G_VARIANT_CLASS_INT16:
      *out = g_variant_get_int16 (value);
      return TRUE;
    case G_VARIANT_CLASS_UINT16:
      *out = g_variant_get_uint16 (value);
      return TRUE;
    case G_VARIANT_CLASS_BYTE:
      *out = g_variant_get_byte (value);
      return TRUE;
    default:
      return FALSE;
    }
}

/* @value as the point's type, only if nothing is lost. */
static gboolean
to_number (const GwPoint *point, GVariant *value, GwValue *out)
{
  gint64 whole = 0;
  gboolean is_whole = to_whole (value, &whole);
  double number;

  if (!is_whole && !g_variant_is_of_type (value, G_VARIANT_TYPE_DOUBLE))
    return FALSE;
  number = is_whole ? (double) whole : g_variant_get_double (value);
  if (point->type == GW_VALUE_INT)
    {
      if (!is_whole && (!(fabs (number) <= (double) EXACT_MAX) || number != floor (number)))
        return FALSE;
      *out = gw_value_int (is_whole ? whole : (gint64) number);
      return TRUE;
    }
  *out = gw_value_float (number);
  return isfinite (number) && (!is_whole || (whole <= EXACT_MAX && whole >= -EXACT_MAX));
}

static gboolean
take_number (const GwPoint *point, GVariant *value, GwValue *out, GError **error)
{
  double number;

  if (!to_number (point, value, out))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "point '%s' takes %s", point->name,
                   point->type == GW_VALUE_INT ? "a whole number" : "a number");
      return FALSE;
    }
  number = point->type == GW_VALUE_INT ? (double) out->i : out->d;
  if ((point->has_low && number < point->low) || (point->has_high && number > point->high))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "%g is outside the limits of point '%s': %g to %g %s", number, point->name,
                   point->has_low ? point->low : -INFINITY, point->has_high ? point->high : INFINITY, point->unit);
      return FALSE;
    }
  return TRUE;
}

gboolean
gw_points_value_from_variant (const GwPoint *point, GVariant *value, GwValue *out, GError **error)
{
  gsize len = 0;
  gboolean fits = FALSE;

  if (point->type == GW_VALUE_INT || point->type == GW_VALUE_FLOAT)
    return take_number (point, value, out, error);
  if (point->type == GW_VALUE_BOOL && (fits = g_variant_is_of_type (value, G_VARIANT_TYPE_BOOLEAN)))
    *out = gw_value_bool (g_variant_get_boolean (value));
  else if (point->type == GW_VALUE_TEXT && (fits = g_variant_is_of_type (value, G_VARIANT_TYPE_STRING)))
    {
      *out = gw_value_text (g_variant_get_string (value, &len));
      fits = len <= GW_DATA_VALUE_MAX && gw_text_is_clean (out->text.ptr, len);
    }
  else if (point->type == GW_VALUE_BYTES && (fits = g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING)))
    {
      const void *octets = g_variant_get_fixed_array (value, &len, 1);

      *out = gw_value_bytes (octets, len);
      fits = len <= GW_DATA_VALUE_MAX;
    }
  if (!fits)
    g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "point '%s' takes %s of at most %u octets", point->name,
                 point->type == GW_VALUE_BOOL   ? "true or false, not a value"
                 : point->type == GW_VALUE_TEXT ? "a text without control characters"
                                                : "an array of bytes",
                 GW_DATA_VALUE_MAX);
  return fits;
}
