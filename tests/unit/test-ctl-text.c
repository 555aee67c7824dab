/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What gangwayctl prints: strings made harmless, tables that fit, values and times as people read them, JSON.
 */
#include <string.h>

#include "gw-ctl-point.h"
#include "gw-ctl-text.h"
#include "gw-ctl.h"

static void
assert_clean (const char *in, const char *out)
{
  g_autofree char *clean = gw_ctl_text_clean (in);

  g_assert_cmpstr (clean, ==, out);
}

static void
test_clean (void)
{
  assert_clean (NULL, "");
  assert_clean ("Presse 4 – Öl", "Presse 4 – Öl");
  assert_clean ("a\x1b[2Jb\nc\td", "a\ufffd[2Jb\ufffdc\ufffdd");
  assert_clean ("a\u202eb\u2066c\u200bd", "a\ufffdb\ufffdc\ufffdd");
  assert_clean ("a\xc2\x9b" "2Jb", "a\ufffd2Jb");
  assert_clean ("bad \xff\xc3", "bad \ufffd\ufffd");
}

static void
assert_cut (const char *in, guint width, const char *out)
{
  g_autofree char *cut = gw_ctl_text_cut (in, width);

  g_assert_cmpstr (cut, ==, out);
  g_assert_cmpuint (gw_ctl_text_width (cut), <=, width);
}

static void
test_width (void)
{
  g_assert_cmpuint (gw_ctl_text_width ("abc"), ==, 3);
  g_assert_cmpuint (gw_ctl_text_width ("\u6e29\u5ea6"), ==, 4);
  g_assert_cmpuint (gw_ctl_text_width ("e\u0301"), ==, 1);
  assert_cut ("abcdef", 6, "abcdef");
  assert_cut ("abcdef", 5, "abcd\u2026");
  assert_cut ("\u6e29\u5ea6\u8ba1", 4, "\u6e29\u2026");
  assert_cut ("abc", 1, "\u2026");
  assert_cut ("abc", 0, "");
}

static void
test_when (void)
{
  static const struct
  {
    guint64 then, now;
    const char *text;
  } cases[] = {
    { 0, 100, "never" },      { 100, 100, "now" },          { 99, 100, "1 s ago" },
    { 40, 100, "1 min ago" }, { 41, 100, "59 s ago" },      { 100, 7300, "2 h ago" },
    { 1, 86401, "1 d ago" },  { 86500 * 2, 100, "in 2 d" }, { G_MAXUINT64, 1, "in 213503982334601 d" }
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *text = gw_ctl_text_when (cases[i].then, cases[i].now);

      g_assert_cmpstr (text, ==, cases[i].text);
    }
}

static void
test_date (void)
{
  g_autofree char *none = gw_ctl_text_date (0), *some = gw_ctl_text_date (1000000000),
                  *beyond = gw_ctl_text_date (G_MAXUINT64);

  g_assert_cmpstr (none, ==, "-");
  g_assert_cmpstr (some, ==, "2001-09-09 01:46 UTC");
  g_assert_cmpstr (beyond, ==, "beyond all dates");
}

static void
test_bytes (void)
{
  g_autofree char *small = gw_ctl_text_bytes (1023), *kib = gw_ctl_text_bytes (1536),
                  *most = gw_ctl_text_bytes (G_MAXUINT64);

  g_assert_cmpstr (small, ==, "1023 B");
  g_assert_cmpstr (kib, ==, "1.5 KiB");
  g_assert_cmpstr (most, ==, "16.0 EiB");
}

/* Each value as text and as JSON. */
static void
test_values (void)
{
  static const struct
  {
    const char *variant, *text, *json;
  } cases[] = {
    { "true", "true", "true" },
    { "21.3", "21.3", "21.300000000000001" },
    { "<<'a\x1b'>>", "a\ufffd", "\"a\\u001B\"" },
    { "@ay [0x0a, 0xff]", "0x0aff", "\"0aff\"" },
    { "@ay []", "0x", "\"\"" },
    { "(true, uint32 3, uint32 18)", "true, 3, 18", "[true,3,18]" },
    { "{'a': <1>, 'b': <['x']>}", NULL, "{\"a\":1,\"b\":[\"x\"]}" },
    { "uint64 18446744073709551615", "18446744073709551615", "\"18446744073709551615\"" },
    { "int64 -9223372036854775808", "-9223372036854775808", "-9223372036854775808" },
    { "inf", "infinite", "null" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GVariant) value = g_variant_ref_sink (g_variant_new_parsed (cases[i].variant));
      g_autofree char *text = gw_ctl_text_value (value);
      json_t *json = gw_ctl_text_json (value);
      char *dump
          = json_dumps (json, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION (17) | JSON_ENSURE_ASCII);

      if (cases[i].text != NULL)
        g_assert_cmpstr (text, ==, cases[i].text);
      g_assert_cmpstr (dump, ==, cases[i].json);
      free (dump);
      json_decref (json);
    }
}

static void
test_table (void)
{
  static const char *const headers[] = { "ID", "~NAME", ">N", NULL };
  g_autoptr (GwCtlTable) table = gw_ctl_table_new (headers);
  g_autofree char *wide = NULL, *narrow = NULL, *least = NULL;

  gw_ctl_table_add (table, "a1", "a long name", "7");
  gw_ctl_table_add (table, "b2", NULL, "1234");
  g_assert_cmpuint (gw_ctl_table_rows (table), ==, 2);
  wide = gw_ctl_table_render (table, 0);
  g_assert_cmpstr (wide, ==, "ID  NAME            N\na1  a long name     7\nb2  -            1234\n");
  narrow = gw_ctl_table_render (table, 18);
  g_assert_cmpstr (narrow, ==, "ID  NAME         N\na1  a long \u2026     7\nb2  -         1234\n");
  /* What may not be cut stays, even where the table is then too wide. */
  least = gw_ctl_table_render (table, 3);
  g_assert_cmpstr (least, ==, "ID  NAME       N\na1  a lon\u2026     7\nb2  -       1234\n");
}

static void
test_near (void)
{
  static const char *const words[] = { "press-4", "press-5", "oven-1", "pump-2", NULL };
  g_auto (GStrv) slip = gw_ctl_near ("pres-5", words), none = gw_ctl_near ("xyz", words);

  g_assert_cmpstr (slip[0], ==, "press-5");
  g_assert_cmpstr (slip[1], ==, "press-4");
  g_assert_null (slip[2]);
  g_assert_null (none[0]);
}

static void
test_duration (void)
{
  static const struct
  {
    const char *text;
    guint32 seconds; /* 0: none */
  } cases[]
      = { { "90", 90 }, { "90s", 90 }, { "15m", 900 }, { "24h", 86400 },    { "7d", 604800 },
          { "", 0 },    { "-1", 0 },   { "1w", 0 },    { "1 h", 0 },        { "49711d", 0 },
          { "h", 0 },   { " 5", 0 },   { "1hh", 0 },   { "4294967296", 0 }, { "99999999999999999999", 0 } };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      guint32 seconds = 0;

      g_assert_true (gw_ctl_parse_duration (cases[i].text, &seconds) == (cases[i].seconds != 0));
      g_assert_cmpuint (seconds, ==, cases[i].seconds);
    }
}

static void
test_point_parse (void)
{
  static const struct
  {
    const char *type, *text, *variant; /* NULL: refused */
  } cases[] = {
    { "bool", "on", "true" },
    { "bool", "0", "false" },
    { "bool", "maybe", NULL },
    { "int", "-5", "int64 -5" },
    { "int", "5.5", NULL },
    { "int", "9223372036854775808", NULL },
    { "float", "5", "5.0" },
    { "float", "1e3", "1000.0" },
    { "float", "nan", NULL },
    { "float", "", NULL },
    { "text", "\u00fc", "'\u00fc'" },
    { "text", "\xff", NULL },
    { "bytes", "0x0AfF", "[byte 0x0a, 0xff]" },
    { "bytes", "abc", NULL },
    { "bytes", "zz", NULL },
    { "complex", "1", NULL },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const char *expected = NULL;
      g_autoptr (GVariant) value = gw_ctl_point_parse (cases[i].type, cases[i].text, &expected);
      g_autoptr (GVariant) wanted = NULL;

      g_assert_nonnull (expected);
      if (value != NULL)
        g_variant_ref_sink (value);
      if (cases[i].variant == NULL)
        {
          g_assert_null (value);
          continue;
        }
      wanted = g_variant_ref_sink (g_variant_new_parsed (cases[i].variant));
      g_assert_nonnull (value);
      g_assert_cmpvariant (value, wanted);
    }
}

static void
test_point_find (void)
{
  g_autoptr (GVariant) points = g_variant_ref_sink (g_variant_new_parsed (
      "[(uint32 1, 'valve', '', uint32 7, {'type': <'bool'>}), (2, '1', 'Cel', 5, @a{sv} {})]"));
  GwCtlPoint point;

  g_assert_true (gw_ctl_point_find (points, "valve", &point));
  g_assert_cmpstr (point.type, ==, "bool");
  g_assert_cmpuint (point.access, ==, 7);
  /* A number is a number, also where a point is so called. */
  g_assert_true (gw_ctl_point_find (points, "1", &point));
  g_assert_cmpuint (point.id, ==, 1);
  g_assert_true (gw_ctl_point_find (points, "2", &point));
  g_assert_cmpstr (point.unit, ==, "Cel");
  g_assert_false (gw_ctl_point_find (points, "3", &point));
  g_assert_false (gw_ctl_point_find (points, "valv", &point));
  g_assert_false (gw_ctl_point_find (NULL, "valve", &point));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/ctl/text/clean", test_clean);
  g_test_add_func ("/ctl/text/width", test_width);
  g_test_add_func ("/ctl/text/when", test_when);
  g_test_add_func ("/ctl/text/date", test_date);
  g_test_add_func ("/ctl/text/bytes", test_bytes);
  g_test_add_func ("/ctl/text/values", test_values);
  g_test_add_func ("/ctl/text/table", test_table);
  g_test_add_func ("/ctl/near", test_near);
  g_test_add_func ("/ctl/duration", test_duration);
  g_test_add_func ("/ctl/point/parse", test_point_parse);
  g_test_add_func ("/ctl/point/find", test_point_find);
  return g_test_run ();
}
