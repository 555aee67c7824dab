/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SLCAN: every line of both ends as the manual has it, what is refused, and lines out of octets. */
#include <glib.h>
#include <string.h>

#include "gw-slcan-codec.h"

#define HOST GW_SLCAN_FROM_HOST
#define ADAPTER GW_SLCAN_FROM_ADAPTER

static GwSlcanLine
decode (GwSlcanSide side, const char *text)
{
  GwSlcanLine line;

  gw_slcan_decode (text, strlen (text), side, &line);
  return line;
}

/* The line as it is encoded again, CR and BEL as \r and \a. */
static char *
encode (const GwSlcanLine *line)
{
  char out[GW_SLCAN_LINE_MAX];
  gsize len = 0;

  g_assert_cmpint (gw_slcan_encode (line, out, sizeof out, &len), ==, GW_OK);
  return g_strndup (out, len);
}

static void
assert_round_trip (GwSlcanSide side, const char *text, GwSlcanKind kind)
{
  GwSlcanLine line = decode (side, text);
  g_autofree char *want = g_strconcat (text, "\r", NULL), *got = NULL;

  g_assert_cmpint (line.kind, ==, kind);
  got = encode (&line);
  g_assert_cmpstr (got, ==, want);
}

static void
test_commands (void)
{
  static const struct
  {
    const char *text;
    GwSlcanKind kind;
  } commands[] = {
    { "", GW_SLCAN_OK },           { "O", GW_SLCAN_OPEN },          { "L", GW_SLCAN_LISTEN },
    { "C", GW_SLCAN_CLOSE },       { "S0", GW_SLCAN_SPEED },        { "S8", GW_SLCAN_SPEED },
    { "Y2", GW_SLCAN_DATA_SPEED }, { "Z0", GW_SLCAN_TIMESTAMP },    { "Z1", GW_SLCAN_TIMESTAMP },
    { "F", GW_SLCAN_STATUS },      { "V", GW_SLCAN_VERSION },       { "N", GW_SLCAN_SERIAL },
    { "X1", GW_SLCAN_OTHER },      { "M00000000", GW_SLCAN_OTHER }, { "s031C", GW_SLCAN_OTHER },
  };
  static const char *const bad[] = { "O1", "L ",  "C0",  "S",     "S9", "S66",   "Y",    "Y9",   "Z",
                                     "Z2", "Z11", "F00", "V1013", "N1", "X\x01", "\x80", "X\x7f" };

  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    assert_round_trip (HOST, commands[i].text, commands[i].kind);
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_cmpint (decode (HOST, bad[i]).kind, ==, GW_SLCAN_BAD);
  g_assert_cmpint (decode (HOST, "S6").value, ==, 6);
  g_assert_cmpint (decode (HOST, "Z1").value, ==, 1);
  g_assert_false (decode (HOST, "F").has_value);
}

static void
test_octets (void)
{
  GwSlcanLine line;

  for (guint octet = 0; octet < 256; octet++)
    for (guint side = 0; side < 2; side++)
      {
        char text[] = { (char)octet, '\0' };

        gw_slcan_decode (text, sizeof text, (GwSlcanSide)side, &line); /* no letter takes a NUL */
        g_assert_cmpint (line.kind, ==, GW_SLCAN_BAD);
        gw_slcan_decode (text, 1, (GwSlcanSide)side, &line);
        g_assert_true (line.kind == GW_SLCAN_BAD || g_ascii_isprint (octet));
      }
}

static void
test_answers (void)
{
  static const struct
  {
    const char *text;
    GwSlcanKind kind;
  } answers[] = {
    { "", GW_SLCAN_OK },
    { "z", GW_SLCAN_SENT },
    { "Z", GW_SLCAN_SENT },
    { "F00", GW_SLCAN_STATUS },
    { "FA4", GW_SLCAN_STATUS },
    { "V1013", GW_SLCAN_VERSION },
    { "NA123", GW_SLCAN_SERIAL },
    { "Nz9Zx", GW_SLCAN_SERIAL },
    { "sa000000", GW_SLCAN_STATE },
    { "sw096127", GW_SLCAN_STATE },
    { "sp128001", GW_SLCAN_STATE },
    { "sb000256", GW_SLCAN_STATE },
    { "O", GW_SLCAN_OTHER },
    { "e1a", GW_SLCAN_OTHER },
  };
  static const char *const bad[]
      = { "z1",     "Z0",       "F",       "F0",        "F0g",      "F000",     "V",     "V101",
          "V10131", "V10G3",    "N",       "N123",      "N1 34",    "N1{34",    "N1[34", "N12345",
          "s",      "sx000000", "sa00000", "sa0000000", "sa00a000", "sa-10000", "O\n" };
  GwSlcanLine line;

  for (gsize i = 0; i < G_N_ELEMENTS (answers); i++)
    assert_round_trip (ADAPTER, answers[i].text, answers[i].kind);
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_cmpint (decode (ADAPTER, bad[i]).kind, ==, GW_SLCAN_BAD);
  line = decode (ADAPTER, "FA4");
  g_assert_true (line.has_value);
  g_assert_cmphex (line.value, ==,
                   GW_SLCAN_STATUS_BUS_ERROR | GW_SLCAN_STATUS_ERROR_PASSIVE | GW_SLCAN_STATUS_ERROR_WARNING);
  g_assert_cmphex (decode (ADAPTER, "V1013").value, ==, 0x1013);
  g_assert_cmpstr (decode (ADAPTER, "NA123").text, ==, "A123");
  g_assert_true (decode (ADAPTER, "Z").frame.extended);
  g_assert_false (decode (ADAPTER, "z").frame.extended);
  line = decode (ADAPTER, "sw096127");
  g_assert_cmpint (line.state.state, ==, GW_SLCAN_STATE_WARNING);
  g_assert_cmpint (line.state.rx_errors, ==, 96);
  g_assert_cmpint (line.state.tx_errors, ==, 127);
  /* CANable answers V with a git hash and a place, whatever it begins with. */
  g_assert_cmpstr (decode (ADAPTER, "b158aa7 example.org/canable2").text, ==, "b158aa7 example.org/canable2");
  g_assert_cmpint (decode (ADAPTER, "b158aa7 example.org/canable2").kind, ==, GW_SLCAN_BAD);
  g_assert_cmpstr (decode (ADAPTER, "9158aa7 example.org/canable2").text, ==, "9158aa7 example.org/canable2");
  g_assert_cmpstr (decode (ADAPTER, "b1\a8").text, ==, "");
}

static void
test_frames (void)
{
  static const char *const frames[] = {
    "t10021133",
    "t7FF80011223344556677",
    "t0000",
    "T0000010021133",
    "T1FFFFFFF0",
    "r1008",
    "R1FFFFFFF0",
    "d1230",
    "d12380011223344556677",
    "D18DAF1050",
    "b123900112233445566778899AABB",
    "B18DA05F19000102030405060708090A0B",
  };
  static const char *const bad[] = {
    "t",          "t10",
    "t100",       "t1002113",
    "t100211",    "t10021133445",
    "t8000",      "t1009001122334455667788",
    "tG000",      "t1001zz",
    "T",          "T200000000",
    "T0000010",   "r10081",
    "r1009",      "rFFF0",
    "d1239",      "d123900112233445566778899AA",
    "b",          "B123F00",
    "t1002 133",  "t-010",
    "T-00000000",
  };
  GwSlcanLine line;

  for (gsize i = 0; i < G_N_ELEMENTS (frames); i++)
    {
      assert_round_trip (HOST, frames[i], GW_SLCAN_FRAME);
      assert_round_trip (ADAPTER, frames[i], GW_SLCAN_FRAME);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_assert_cmpint (decode (HOST, bad[i]).kind, ==, GW_SLCAN_BAD);
      g_assert_cmpint (decode (ADAPTER, bad[i]).kind, ==, GW_SLCAN_BAD);
    }
  line = decode (HOST, "t7fe2aBcD"); /* small letters are taken */
  g_assert_cmphex (line.frame.id, ==, 0x7fe);
  g_assert_cmpint (line.frame.len, ==, 2);
  g_assert_cmphex (line.frame.data[0], ==, 0xab);
  g_assert_cmphex (line.frame.data[1], ==, 0xcd);
  line = decode (HOST, "B18DA05F19000102030405060708090A0B");
  g_assert_true (line.frame.extended && line.frame.fd && line.frame.brs);
  g_assert_cmphex (line.frame.id, ==, 0x18da05f1);
  g_assert_cmpint (line.frame.len, ==, 12);
  line = decode (HOST, "r1008");
  g_assert_true (line.frame.remote);
  g_assert_cmpint (line.frame.len, ==, 8);
}

/* Only what comes from an adapter has one. */
static void
test_timestamps (void)
{
  GwSlcanLine line;

  assert_round_trip (ADAPTER, "t10021133EA5F", GW_SLCAN_FRAME);
  assert_round_trip (ADAPTER, "T1FFFFFFF00000", GW_SLCAN_FRAME);
  assert_round_trip (ADAPTER, "r10080001", GW_SLCAN_FRAME);
  line = decode (ADAPTER, "t10021133EA5F");
  g_assert_true (line.has_timestamp);
  g_assert_cmpint (line.timestamp, ==, 59999);
  g_assert_cmpint (decode (ADAPTER, "t10021133EA60").kind, ==, GW_SLCAN_BAD);
  g_assert_cmpint (decode (HOST, "t100211331234").kind, ==, GW_SLCAN_BAD);
  line.timestamp = 60000;
  g_assert_cmpint (gw_slcan_encode (&line, (char[GW_SLCAN_LINE_MAX]){ 0 }, GW_SLCAN_LINE_MAX, &(gsize){ 0 }),
                   ==, GW_E_RANGE);
}

/* Every length of every kind of frame there and back; the longest fits with room. */
static void
test_lengths (void)
{
  for (guint kind = 0; kind < 8; kind++)
    for (guint dlc = 0; dlc < 16; dlc++)
      {
        GwSlcanLine in = { .kind = GW_SLCAN_FRAME, .has_timestamp = true, .timestamp = 12345 }, out;
        char text[GW_SLCAN_LINE_MAX];
        gsize len;

        in.frame.extended = kind & 1;
        in.frame.fd = (kind & 2) != 0;
        in.frame.brs = kind >= 6;
        in.frame.remote = kind == 4 || kind == 5;
        in.frame.id = in.frame.extended ? 0x1abcdef0 : 0x5a5;
        if (!in.frame.fd && dlc > 8)
          continue;
        in.frame.len = gw_can_len_of_dlc ((guint8)dlc, in.frame.fd);
        for (guint i = 0; !in.frame.remote && i < in.frame.len; i++)
          in.frame.data[i] = (guint8)(0xf0 + i);
        g_assert_cmpint (gw_slcan_encode (&in, text, sizeof text, &len), ==, GW_OK);
        g_assert_cmpuint (len, <=, 143);
        g_assert_cmpint (text[len - 1], ==, '\r');
        gw_slcan_decode (text, len - 1, ADAPTER, &out);
        g_assert_cmpint (out.kind, ==, GW_SLCAN_FRAME);
        g_assert_cmpmem (&out.frame, sizeof out.frame, &in.frame, sizeof in.frame);
        g_assert_cmpint (out.timestamp, ==, 12345);
        for (gsize size = 0; size < len; size++)
          g_assert_cmpint (gw_slcan_encode (&in, text, size, &len), ==, GW_E_SPACE);
      }
}

static GwStatus
try_encode (GwSlcanLine line)
{
  char out[GW_SLCAN_LINE_MAX];
  gsize len;

  return gw_slcan_encode (&line, out, sizeof out, &len);
}

static void
test_encode_refused (void)
{
  GwSlcanLine other = { .kind = GW_SLCAN_OTHER, .text = "X\r" };
  GwSlcanLine full = { .kind = GW_SLCAN_OTHER };
  g_autofree char *error = NULL, *filled = NULL;

  error = encode (&(GwSlcanLine){ .kind = GW_SLCAN_ERROR });
  g_assert_cmpstr (error, ==, "\a");
  memset (full.text, 'x', sizeof full.text); /* no NUL: all of it */
  filled = encode (&full);
  g_assert_cmpuint (strlen (filled), ==, sizeof full.text + 1);
  g_assert_cmpint (try_encode (other), ==, GW_E_RANGE);
  g_assert_cmpint (try_encode ((GwSlcanLine){ .kind = GW_SLCAN_BAD }), ==, GW_E_INVALID);
  g_assert_cmpint (try_encode ((GwSlcanLine){ .kind = GW_SLCAN_FRAME, .frame.id = 0x800 }), ==, GW_E_RANGE);
  g_assert_cmpint (try_encode ((GwSlcanLine){ .kind = GW_SLCAN_SPEED, .value = 9 }), ==, GW_E_RANGE);
  g_assert_cmpint (try_encode ((GwSlcanLine){ .kind = GW_SLCAN_DATA_SPEED, .value = 9 }), ==, GW_E_RANGE);
  g_assert_cmpint (try_encode ((GwSlcanLine){ .kind = GW_SLCAN_TIMESTAMP, .value = 2 }), ==, GW_E_RANGE);
  g_assert_cmpint (try_encode ((GwSlcanLine){ .kind = GW_SLCAN_STATUS, .has_value = true, .value = 256 }), ==,
                   GW_E_RANGE);
  g_assert_cmpint (try_encode ((GwSlcanLine){ .kind = GW_SLCAN_SERIAL, .has_value = true, .text = "A12" }),
                   ==, GW_E_RANGE);
  g_assert_cmpint (
      try_encode ((GwSlcanLine){ .kind = GW_SLCAN_STATE, .state = { GW_SLCAN_STATE_ACTIVE, 1000, 0 } }), ==,
      GW_E_RANGE);
  g_assert_cmpint (
      try_encode ((GwSlcanLine){ .kind = GW_SLCAN_STATE, .state = { GW_SLCAN_STATE_ACTIVE, 0, 1000 } }), ==,
      GW_E_RANGE);
}

static void
test_rates (void)
{
  static const guint32 rates[] = { 10000, 20000, 50000, 100000, 125000, 250000, 500000, 800000, 1000000 };

  for (guint i = 0; i < G_N_ELEMENTS (rates); i++)
    {
      g_assert_cmpuint (gw_slcan_rate_of_speed (i), ==, rates[i]);
      g_assert_cmpint (gw_slcan_speed_of_rate (rates[i]), ==, i);
      g_assert_cmpint (gw_slcan_speed_of_data_rate (gw_slcan_rate_of_data_speed (i)), ==, i);
    }
  g_assert_cmpuint (gw_slcan_rate_of_speed (9), ==, 0);
  g_assert_cmpint (gw_slcan_speed_of_rate (83300), ==, -1);
  g_assert_cmpuint (gw_slcan_rate_of_data_speed (0), ==, 500000);
  g_assert_cmpuint (gw_slcan_rate_of_data_speed (5), ==, 5000000);
  g_assert_cmpuint (gw_slcan_rate_of_data_speed (9), ==, 0);
  g_assert_cmpint (gw_slcan_speed_of_data_rate (2500000), ==, -1);
}

/* What comes of @octets, a letter each: o OK, e ERROR, f FRAME, b BAD, ? another. */
static char *
collect (GwSlcanSide side, const char *octets, gsize len)
{
  GString *kinds = g_string_new (NULL);
  GwSlcanCollector collector;
  GwSlcanLine line;

  gw_slcan_collector_init (&collector, side);
  for (gsize i = 0; i < len; i++)
    if (gw_slcan_collector_push (&collector, octets[i], &line))
      g_string_append_c (kinds, line.kind == GW_SLCAN_OK      ? 'o'
                                : line.kind == GW_SLCAN_ERROR ? 'e'
                                : line.kind == GW_SLCAN_FRAME ? 'f'
                                : line.kind == GW_SLCAN_BAD   ? 'b'
                                                              : '?');
  return g_string_free (kinds, FALSE);
}

static void
assert_collected (GwSlcanSide side, const char *octets, const char *want)
{
  g_autofree char *got = collect (side, octets, strlen (octets));

  g_assert_cmpstr (got, ==, want);
}

static void
test_collector (void)
{
  g_autofree char *longest = g_strnfill (GW_SLCAN_LINE_MAX, 'x');
  g_autofree char *fits = g_strdup_printf ("%s\rt1230\r", longest);
  g_autofree char *too_long = g_strdup_printf ("%sx\rt1230\r", longest);
  g_autofree char *cut = g_strdup_printf ("%sx\at1230\r", longest);

  assert_collected (ADAPTER, "\rt1230\r\n\r\a", "ofoe");
  assert_collected (ADAPTER, "t12\at1230\r", "ef"); /* what BEL cuts off is lost, nothing else */
  assert_collected (HOST, "t12\at1230\r", "b");
  assert_collected (HOST, "t1230", "");
  assert_collected (ADAPTER, fits, "?f");
  assert_collected (ADAPTER, too_long, "bf");
  assert_collected (ADAPTER, cut, "ef");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/slcan/commands", test_commands);
  g_test_add_func ("/slcan/octets", test_octets);
  g_test_add_func ("/slcan/answers", test_answers);
  g_test_add_func ("/slcan/frames", test_frames);
  g_test_add_func ("/slcan/timestamps", test_timestamps);
  g_test_add_func ("/slcan/lengths", test_lengths);
  g_test_add_func ("/slcan/encode-refused", test_encode_refused);
  g_test_add_func ("/slcan/rates", test_rates);
  g_test_add_func ("/slcan/collector", test_collector);
  return g_test_run ();
}
