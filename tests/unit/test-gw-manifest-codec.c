/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines, manifest rows and batch lines: what is right is taken exactly, all else is refused with its reason.
 */
#include <string.h>

#include "gw-batch-codec.h"
#include "gw-line-codec.h"
#include "gw-manifest-codec.h"

#define KID "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define A24 "aaaaaaaaaaaaaaaaaaaaaaaa"

/* ---- lines ---- */

static void
note_line (const char *line, gsize length, guint64 number, gpointer data)
{
  g_autofree char *text = line ? g_strndup (line, length) : g_strdup ("TOO LONG");

  g_string_append_printf (data, "%" G_GUINT64_FORMAT "[%s]", number, text);
}

static char *
split (const char *text, gsize length, gsize piece)
{
  GString *out = g_string_new (NULL);
  GwLineReader reader;

  gw_line_reader_init (&reader, note_line, out);
  for (gsize at = 0; at < length; at += piece)
    {
      gsize n = MIN (piece, length - at);
      g_autofree char *copy = g_memdup2 (text + at, n); /* of its exact size, for the sanitizer */

      gw_line_reader_feed (&reader, copy, n);
    }
  gw_line_reader_finish (&reader);
  return g_string_free (out, FALSE);
}

/* The same lines, however the stream is cut. */
static void
test_lines (void)
{
  static const char *const cases[][2] = {
    { "a\nbc\r\n\nd", "1[a]2[bc]3[]4[d]" },
    { "", "" },
    { "\n", "1[]" },
    { "a\n", "1[a]" },
    { "\r\n\r", "1[]2[]" },
    { "a\rb\n", "1[a\rb]" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    for (gsize piece = 1; piece <= 8; piece++)
      {
        g_autofree char *got = split (cases[i][0], strlen (cases[i][0]), piece);

        g_assert_cmpstr (got, ==, cases[i][1]);
      }
}

static void
test_long_lines (void)
{
  g_autofree char *fits = g_strnfill (GW_LINE_MAX, 'x');
  g_autofree char *text = g_strdup_printf ("%s\r\n%sx\n%s\nok\n%s%s%s", fits, fits, fits, fits, fits, fits);
  g_autofree char *expected = g_strdup_printf ("1[%s]2[TOO LONG]3[%s]4[ok]5[TOO LONG]", fits, fits);
  static const gsize pieces[] = { 1, 3, 511, 512, 513, 514, 1000, 100000 };

  for (guint i = 0; i < G_N_ELEMENTS (pieces); i++)
    {
      g_autofree char *got = split (text, strlen (text), pieces[i]);

      g_assert_cmpstr (got, ==, expected);
    }
}

/* ---- rows ---- */

static const char *
parse_row (const char *line, GwManifestRow *row)
{
  g_autofree char *copy = g_memdup2 (line, strlen (line)); /* without its NUL */

  memset (row, 0xee, sizeof *row);
  return gw_manifest_parse_row (copy, strlen (line), row);
}

static void
test_row_good (void)
{
  static const char *const cases[][4] = {
    { KID ",Maker,Model,SN1", "Maker", "Model", "SN1" },
    { "\"" KID "\",\"Ma,ker\",\"a \"\"b\"\"\",\"\"\"\"", "Ma,ker", "a \"b\"", "\"" },
    { KID "," A24 "," A24 ",\"" A24 "\"", A24, A24, A24 },
    { KID ",M\xc3\xbcller,\xe2\x82\xac,\xf0\x9f\x90\x9d", "M\xc3\xbcller", "\xe2\x82\xac",
      "\xf0\x9f\x90\x9d" },
    { KID ", a ,b, c", " a ", "b", " c" },
  };
  GwManifestRow row;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_assert_cmpstr (parse_row (cases[i][0], &row), ==, NULL);
      g_assert_cmpuint (row.kid[1], ==, 0x11);
      g_assert_cmpuint (row.kid[31], ==, 0xff);
      g_assert_cmpstr (row.manufacturer, ==, cases[i][1]);
      g_assert_cmpstr (row.model, ==, cases[i][2]);
      g_assert_cmpstr (row.serial, ==, cases[i][3]);
    }
}

static void
test_row_refused (void)
{
  static const char *const cases[][2] = {
    { "", "empty line" },
    { KID, "fewer than four fields" },
    { KID ",a,b", "fewer than four fields" },
    { KID ",a,b,c,d", "more than four fields" },
    { KID ",a,b,c,", "more than four fields" },
    { KID ",,b,c", "a field is empty" },
    { KID ",a,b,", "a field is empty" },
    { KID ",a,\"\",c", "a field is empty" },
    { KID ",a" A24 ",b,c", "a field is too long" },
    { KID ",\"a" A24 "\",b,c", "a field is too long" },
    { KID "0,a,b,c", "a field is too long" },
    { "0" KID ",a,b,c", "a field is too long" },
    { "x0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff,a,b,c", "64 lower-case hex" },
    { "00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff,a,b,c", "64 lower-case hex" },
    { "0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff,a,b,c", "64 lower-case hex" },
    { ",a,b,c", "64 lower-case hex" },
    { KID ",a\"b,b,c", "a quote inside" },
    { KID ",\"a,b,c", "not closed" },
    { KID ",\"a\"x,b,c", "after a closing quote" },
    { KID ",a,b,\"", "not closed" },
    { KID ",\xff,b,c", "not UTF-8" },
    { KID ",\xc0\x80,b,c", "not UTF-8" },
    { KID ",\xed\xa0\x80,b,c", "not UTF-8" },
    { KID ",a\xc3,b,c", "not UTF-8" },
    { KID ",a\tb,b,c", "control character" },
    { KID ",a\rb,b,c", "control character" },
    { KID ",a\x7f,b,c", "control character" },
    { KID ",a\xc2\x85,b,c", "control character" },
  };
  static const char with_nul[] = KID ",a\0b,b,c";
  GwManifestRow row;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const char *wrong = parse_row (cases[i][0], &row);

      g_test_message ("%s", wrong);
      g_assert_nonnull (wrong);
      g_assert_nonnull (strstr (wrong, cases[i][1]));
    }
  g_assert_nonnull (gw_manifest_parse_row (with_nul, sizeof with_nul - 1, &row));
}

static void
test_header (void)
{
  static const char good[] = GW_MANIFEST_HEADER, bom[] = "\xef\xbb\xbf" GW_MANIFEST_HEADER;

  g_assert_null (gw_manifest_parse_header (good, strlen (good)));
  g_assert_nonnull (gw_manifest_parse_header (good, strlen (good) - 1));
  g_assert_nonnull (gw_manifest_parse_header ("", 0));
  g_assert_nonnull (strstr (gw_manifest_parse_header (bom, strlen (bom)), "byte order mark"));
}

/* ---- batch lines ---- */

static void
test_batch_lines (void)
{
  static const struct
  {
    const char *line;
    GwBatchLine kind;
  } cases[] = {
    { "", GW_BATCH_LINE_EMPTY },
    { "  \t", GW_BATCH_LINE_EMPTY },
    { "# " KID, GW_BATCH_LINE_EMPTY },
    { "  # x", GW_BATCH_LINE_EMPTY },
    { KID, GW_BATCH_LINE_ID },
    { " \t" KID "  ", GW_BATCH_LINE_ID },
    { KID " # the pump", GW_BATCH_LINE_ID },
    { KID "#", GW_BATCH_LINE_ID },
    { KID "0", GW_BATCH_LINE_MALFORMED },
    { KID " " KID, GW_BATCH_LINE_MALFORMED },
    { "0" KID, GW_BATCH_LINE_MALFORMED },
    { "00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff", GW_BATCH_LINE_MALFORMED },
    { "x", GW_BATCH_LINE_MALFORMED },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      gsize length = strlen (cases[i].line);
      g_autofree char *copy = g_memdup2 (cases[i].line, length);
      char again[GW_KEY_ID_TEXT_LEN + 1];
      guint8 kid[GW_KEY_ID_LEN];

      g_assert_cmpint (gw_batch_parse_line (copy ? copy : "", length, kid), ==, cases[i].kind);
      if (cases[i].kind != GW_BATCH_LINE_ID)
        continue;
      gw_batch_format_line (kid, again);
      g_assert_cmpmem (again, sizeof again, KID "\n", 65);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gw-line-codec/pieces", test_lines);
  g_test_add_func ("/gw-line-codec/long", test_long_lines);
  g_test_add_func ("/gw-manifest-codec/good", test_row_good);
  g_test_add_func ("/gw-manifest-codec/refused", test_row_refused);
  g_test_add_func ("/gw-manifest-codec/header", test_header);
  g_test_add_func ("/gw-batch-codec/lines", test_batch_lines);
  return g_test_run ();
}
