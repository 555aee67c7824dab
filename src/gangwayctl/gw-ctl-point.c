/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-ctl-point.h"

#include <math.h>
#include <string.h>

gboolean
gw_ctl_point_find (GVariant *points, const char *word, GwCtlPoint *point)
{
  char *end = NULL;
  guint64 number = g_ascii_isdigit (word[0]) ? g_ascii_strtoull (word, &end, 10) : G_MAXUINT64;
  gboolean by_number = end != NULL && *end == '\0';
  gsize n = points ? g_variant_n_children (points) : 0;

  for (gsize i = 0; i < n; i++)
    {
      g_autoptr (GVariant) details = NULL;

      g_variant_get_child (points, i, "(u&s&su@a{sv})", &point->id, &point->name, &point->unit,
                           &point->access, &details);
      point->type = "";
      point->unsafe = FALSE;
      g_variant_lookup (details, "type", "&s", &point->type);
      g_variant_lookup (details, "unsafe", "b", &point->unsafe);
      if (by_number ? point->id == number : g_str_equal (point->name, word))
        return TRUE;
    }
  return FALSE;
}

const char **
gw_ctl_point_names (GVariant *points)
{
  gsize n = points ? g_variant_n_children (points) : 0;
  const char **names = g_new0 (const char *, n + 1);

  for (gsize i = 0; i < n; i++)
    g_variant_get_child (points, i, "(u&s&su@a{sv})", NULL, &names[i], NULL, NULL, NULL);
  return names;
}

static GVariant *
parse_bool (const char *text)
{
  static const char *const yes[] = { "true", "on", "yes", "1", NULL };
  static const char *const no[] = { "false", "off", "no", "0", NULL };

  if (g_strv_contains (yes, text))
    return g_variant_new_boolean (TRUE);
  return g_strv_contains (no, text) ? g_variant_new_boolean (FALSE) : NULL;
}

static GVariant *
parse_bytes (const char *text)
{
  const char *hex = g_str_has_prefix (text, "0x") ? text + 2 : text;
  gsize n = strlen (hex);
  g_autofree guint8 *octets = g_malloc (n / 2 + 1);

  if (n % 2 != 0)
    return NULL;
  for (gsize i = 0; i < n; i++)
    {
      int digit = g_ascii_xdigit_value (hex[i]);

      if (digit < 0)
        return NULL;
      octets[i / 2] = (guint8)(i % 2 == 0 ? digit << 4 : octets[i / 2] | digit);
    }
  return g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, octets, n / 2, 1);
}

static GVariant *
parse_int (const char *text)
{
  gint64 value;

  return g_ascii_string_to_signed (text, 10, G_MININT64, G_MAXINT64, &value, NULL)
             ? g_variant_new_int64 (value)
             : NULL;
}

static GVariant *
parse_float (const char *text)
{
  char *end = NULL;
  double value = g_ascii_strtod (text, &end);

  return end != text && *end == '\0' && isfinite (value) ? g_variant_new_double (value) : NULL;
}

static GVariant *
parse_text (const char *text)
{
  return g_utf8_validate (text, -1, NULL) ? g_variant_new_string (text) : NULL;
}

GVariant *
gw_ctl_point_parse (const char *type, const char *text, const char **expected)
{
  static const struct
  {
    const char *type, *expected;
    GVariant *(*parse) (const char *text);
  } types[] = {
    { "bool", "on or off", parse_bool },     { "int", "a whole number", parse_int },
    { "float", "a number", parse_float },    { "bytes", "hex digits, two an octet", parse_bytes },
    { "text", "text in UTF-8", parse_text },
  };

  *expected = "a value of a type that this gangwayctl does not know";
  for (gsize i = 0; i < G_N_ELEMENTS (types); i++)
    if (g_strcmp0 (type, types[i].type) == 0)
      {
        *expected = types[i].expected;
        return types[i].parse (text);
      }
  return NULL;
}
