/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <float.h>
#include <glib.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "gw-data-codec.h"
#include "gw-error.h"
#include "gw-senml.h"

#define T0 (G_GINT64_CONSTANT (1790000000) * G_USEC_PER_SEC + 123450)
#define HEAD                                                                                                 \
  "[{\"bn\":\"urn:gangway:a500000000000000000000000000000000000000000000000000000000000001:\",\"bt\":"       \
  "1790000000.12345,"                                                                                        \
  "\"n\":\"_boot\",\"vs\":\"0a1b2c3d\"},{\"n\":\"_seq\",\"v\":17}"

static GwSpoolRecord
make_record (GwSpoolKind kind, const guint8 *body, gsize len)
{
  GwSpoolRecord record = {
    .seq = 99,
    .boot = { 0x0a, 0x1b, 0x2c, 0x3d },
    .q = 17,
    .time = T0,
    .kind = kind,
    .payload = g_bytes_new (body, len),
  };
  record.kid[0] = 0xa5;
  record.kid[31] = 1;
  return record;
}

/* The report's records as JSON; checked to be JSON. */
static char *
tell (GwSpoolFlags flags, const GwDataRecord *data, guint n)
{
  const GwDataReport report = { .boot = { 0x0a, 0x1b, 0x2c, 0x3d }, .seq = 17, .uptime_ms = 5 };
  guint8 buffer[1024];
  GwCborWriter w;
  g_autoptr (GError) error = NULL;
  g_auto (GwSpoolRecord) record = { 0 };
  char *text;
  json_t *json;

  gw_cbor_writer_init (&w, buffer, sizeof buffer);
  gw_data_report_begin (&report, &w);
  for (guint i = 0; i < n; i++)
    g_assert_true (gw_data_add_record (&w, &data[i]));
  gw_data_end (&w);
  g_assert_cmpint (w.status, ==, GW_OK);
  record = make_record (GW_SPOOL_REPORT, buffer, w.len);
  record.flags = flags;
  text = gw_senml_from_record (&record, &error);
  g_assert_no_error (error);
  json = json_loads (text, JSON_REJECT_DUPLICATES, NULL);
  g_assert_true (json_is_array (json));
  json_decref (json);
  return text;
}

static void
test_values (void)
{
  const GwDataRecord data[] = {
    { .name = gw_text ("temp"), .unit = gw_text ("Cel"), .value = gw_value_float ((double)21.3f) },
    { .name = gw_text ("n"), .value = gw_value_int (G_MININT64) },
    { .name = gw_text ("m"), .value = gw_value_int (G_MAXINT64) },
    { .name = gw_text ("z"), .value = gw_value_int (0) },
    { .name = gw_text ("k"), .value = gw_value_int (-17) },
    { .name = gw_text ("b/1"), .value = gw_value_bool (true) },
    { .name = gw_text ("c"), .value = gw_value_bool (false) },
    { .name = gw_text ("t"), .value = gw_value_text ("a \"quoted\\ \xc3\xa4/") },
    { .name = gw_text ("d"), .value = gw_value_bytes ("\xfb\xff\xfe\x00", 4) },
    { .name = gw_text ("e"), .value = gw_value_bytes ("", 0) },
  };
  g_autofree char *text = tell (0, data, G_N_ELEMENTS (data));

  g_assert_cmpstr (text, ==,
                   HEAD ",{\"n\":\"temp\",\"u\":\"Cel\",\"v\":21.3},{\"n\":\"n\",\"v\":-9223372036854775808}"
                        ",{\"n\":\"m\",\"v\":9223372036854775807},{\"n\":\"z\",\"v\":0},{\"n\":\"k\",\"v\":-17}"
                        ",{\"n\":\"b/1\",\"vb\":true},{\"n\":\"c\",\"vb\":false}"
                        ",{\"n\":\"t\",\"vs\":\"a \\\"quoted\\\\ \xc3\xa4/\"},{\"n\":\"d\",\"vd\":\"-__-AA\"}"
                        ",{\"n\":\"e\",\"vd\":\"\"}]");
}

static void
test_times (void)
{
  const GwDataRecord data[] = {
    { .name = gw_text ("a"), .has_time = true, .time = -2.5, .value = gw_value_int (1) },
    { .name = gw_text ("b"), .has_time = true, .time = 0, .value = gw_value_int (1) },
    { .name = gw_text ("c"), .has_time = true, .time = 5, .value = gw_value_int (1) },
    { .has_base_time = true, .base_time = -10, .name = gw_text ("d"), .value = gw_value_int (1) },
    { .name = gw_text ("e"), .has_time = true, .time = -0.000001, .value = gw_value_int (1) },
    { .has_base_time = true,
      .base_time = 1790000000,
      .name = gw_text ("f"),
      .has_time = true,
      .time = 60,
      .value = gw_value_int (1) },
    { .name = gw_text ("g"), .has_time = true, .time = -60, .value = gw_value_int (1) },
  };
  g_autofree char *text = tell (0, data, G_N_ELEMENTS (data));

  g_assert_cmpstr (text, ==,
                   HEAD ",{\"n\":\"a\",\"v\":1,\"t\":-2.5},{\"n\":\"b\",\"v\":1},{\"n\":\"c\",\"v\":1}"
                        ",{\"n\":\"d\",\"v\":1,\"t\":-10},{\"n\":\"e\",\"v\":1,\"t\":-10.000001}"
                        ",{\"n\":\"f\",\"v\":1,\"t\":59.87655},{\"n\":\"g\",\"v\":1,\"t\":-60.12345}]");
}

static void
test_base_name (void)
{
  const GwDataRecord data[] = {
    { .has_base_name = true,
      .base_name = gw_text ("pump/"),
      .name = gw_text ("speed"),
      .value = gw_value_int (1) },
    { .name = gw_text ("_power"), .value = gw_value_int (2) },
  };
  g_autofree char *text = tell (0, data, G_N_ELEMENTS (data));

  g_assert_cmpstr (text, ==, HEAD ",{\"n\":\"pump/speed\",\"v\":1},{\"n\":\"pump/_power\",\"v\":2}]");
}

static void
test_clock (void)
{
  const GwDataRecord data
      = { .name = gw_text ("a"), .has_time = true, .time = -1, .value = gw_value_int (1) };
  g_autofree char *invalid = tell (GW_SPOOL_FLAG_CLOCK_INVALID, &data, 1);
  guint8 body[64];
  GwCborWriter w;
  const GwDataReport report = { .seq = 17 };

  g_assert_cmpstr (invalid, ==, HEAD ",{\"n\":\"_clock\",\"vb\":false},{\"n\":\"a\",\"v\":1,\"t\":-1}]");

  /* A clock of 1970: bt would be taken for a relative time. */
  gw_cbor_writer_init (&w, body, sizeof body);
  gw_data_report_begin (&report, &w);
  gw_data_add_record (&w, &data);
  gw_data_end (&w);
  g_auto (GwSpoolRecord) record = make_record (GW_SPOOL_REPORT, body, w.len);
  record.time = 3600 * (gint64)G_USEC_PER_SEC;
  record.flags = GW_SPOOL_FLAG_CLOCK_INVALID;
  g_autofree char *text = gw_senml_from_record (&record, NULL);
  g_assert_null (strstr (text, "\"bt\""));
  g_assert_nonnull (strstr (text, "\"_clock\",\"vb\":false"));
  g_assert_nonnull (strstr (text, "\"t\":-1}"));
}

static void
test_event (void)
{
  GwDataEvent event = {
    .seq = 17, .level = 3, .code = 4000000000u, .has_message = true, .message = gw_text ("door \"2\" open")
  };
  guint8 body[256];
  GwCborWriter w;

  for (guint i = 0; i < 2; i++)
    {
      g_autofree char *text = NULL;
      g_auto (GwSpoolRecord) record = { 0 };

      gw_cbor_writer_init (&w, body, sizeof body);
      gw_data_event_encode (&event, &w);
      g_assert_cmpint (w.status, ==, GW_OK);
      record = make_record (GW_SPOOL_EVENT, body, w.len);
      text = gw_senml_from_record (&record, NULL);
      g_assert_cmpstr (text, ==,
                       i == 0 ? HEAD ",{\"n\":\"_event\",\"v\":4000000000},{\"n\":\"_level\",\"v\":3}"
                                     ",{\"n\":\"_message\",\"vs\":\"door \\\"2\\\" open\"}]"
                              : HEAD ",{\"n\":\"_event\",\"v\":4000000000},{\"n\":\"_level\",\"v\":3}]");
      event.has_message = false;
    }
}

static void
test_refuses (void)
{
  g_autoptr (GError) error = NULL;
  g_auto (GwSpoolRecord) record = make_record (GW_SPOOL_REPORT, (const guint8 *)"\xa0", 1);

  g_assert_null (gw_senml_from_record (&record, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_INVALID);
  g_clear_error (&error);
  record.kind = GW_SPOOL_EVENT;
  g_assert_null (gw_senml_from_record (&record, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_INVALID);
}

static void
test_numbers (void)
{
  static const struct
  {
    double number;
    const char *text;
  } cases[] = {
    { 0, "0" },
    { -0.0, "-0" },
    { 21.3, "21.3" },
    { 0.1, "0.1" },
    { 0.1 + 0.2, "0.30000000000000004" },
    { 1e300, "1e+300" },
    { 5e-324, "4.94065645841247e-324" },
    { 123456789, "123456789" },
    { 1.0 / 3, "0.33333333333333331" },
    { -17.25, "-17.25" },
    { 16777217, "16777217" },
  };
  char text[GW_SENML_NUMBER_LEN];

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      gw_senml_print_number (cases[i].number, text);
      if (i != 8)
        g_assert_cmpstr (text, ==, cases[i].text);
      g_assert_cmpfloat (g_ascii_strtod (text, NULL), ==, cases[i].number);
    }
  gw_senml_print_number ((double)21.3f, text);
  g_assert_cmpstr (text, ==, "21.3");
  gw_senml_print_number ((double)FLT_MAX, text);
  g_assert_cmpstr (text, ==, "3.4028235e+38");
  for (guint i = 0; i < 20000; i++)
    {
      guint64 bits = (guint64)(guint32)g_test_rand_int () << 32 | (guint32)g_test_rand_int ();
      double number, back;
      memcpy (&number, &bits, sizeof number);
      if (!isfinite (number) || (double)(float)number == number)
        continue;
      gw_senml_print_number (number, text);
      back = g_ascii_strtod (text, NULL);
      g_assert_cmpmem (&back, sizeof back, &number, sizeof number);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/senml/values", test_values);
  g_test_add_func ("/senml/times", test_times);
  g_test_add_func ("/senml/base-name", test_base_name);
  g_test_add_func ("/senml/clock", test_clock);
  g_test_add_func ("/senml/event", test_event);
  g_test_add_func ("/senml/refuses", test_refuses);
  g_test_add_func ("/senml/numbers", test_numbers);
  return g_test_run ();
}
