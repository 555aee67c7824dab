/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <glib.h>
#include <string.h>

#include "gw-spool-codec.h"

static const GwSpoolSegmentId id = { .number = 7, .salt = G_GUINT64_CONSTANT (0x0123456789abcdef) };

static GwSpoolHeader
make_header (guint32 len)
{
  GwSpoolHeader header = {
    .payload_len = len,
    .kind = GW_SPOOL_RECORD_EVENT,
    .flags = GW_SPOOL_RECORD_MOVED,
    .seq = 0x1122334455667788,
    .time = -5,
    .q = G_GUINT64_CONSTANT (0x99aabbccddeeff00),
    .boot = { 1, 2, 3, 4 },
    .lost = 0xa1b2c3d4,
  };
  memset (header.kid, 0x5a, sizeof header.kid);
  return header;
}

static void
assert_same_header (const GwSpoolHeader *a, const GwSpoolHeader *b)
{
  g_assert_cmpuint (a->payload_len, ==, b->payload_len);
  g_assert_cmpuint (a->kind, ==, b->kind);
  g_assert_cmpuint (a->flags, ==, b->flags);
  g_assert_cmpuint (a->seq, ==, b->seq);
  g_assert_cmpint (a->time, ==, b->time);
  g_assert_cmpuint (a->q, ==, b->q);
  g_assert_cmpuint (a->lost, ==, b->lost);
  g_assert_cmpmem (a->boot, sizeof a->boot, b->boot, sizeof b->boot);
  g_assert_cmpmem (a->kid, sizeof a->kid, b->kid, sizeof b->kid);
}

/* RFC 3720, appendix B.4 */
static void
test_crc (void)
{
  guint8 data[32];

  memset (data, 0, sizeof data);
  g_assert_cmphex (gw_spool_codec_crc32c (0, data, 32), ==, 0x8a9136aa);
  memset (data, 0xff, sizeof data);
  g_assert_cmphex (gw_spool_codec_crc32c (0, data, 32), ==, 0x62a8ab43);
  for (guint i = 0; i < 32; i++)
    data[i] = (guint8)i;
  g_assert_cmphex (gw_spool_codec_crc32c (0, data, 32), ==, 0x46dd794e);
  g_assert_cmphex (gw_spool_codec_crc32c (gw_spool_codec_crc32c (0, data, 13), data + 13, 19), ==,
                   0x46dd794e);
  g_assert_cmphex (gw_spool_codec_crc32c (0, "123456789", 9), ==, 0xe3069283);
}

/* The octets, so that a change of the format is seen. */
static void
test_vector (void)
{
  GwSpoolHeader header = make_header (3);
  guint8 record[83];
  g_autoptr (GString) hex = g_string_new (NULL);

  gw_spool_codec_encode (&id, 256, &header, "abc", record);
  for (guint i = 0; i < sizeof record; i++)
    g_string_append_printf (hex, "%02x", record[i]);
  g_assert_cmpstr (hex->str, ==,
                   "47575231"
                   "c936eee6"
                   "00000003"
                   "02"
                   "80"
                   "0000"
                   "1122334455667788"
                   "fffffffffffffffb"
                   "99aabbccddeeff00"
                   "01020304"
                   "a1b2c3d4"
                   "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"
                   "616263");
}

static void
test_round_trip (void)
{
  const guint sizes[] = { 0, 1, 255, GW_SPOOL_RECORD_PAYLOAD_MAX };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      GwSpoolHeader header = make_header (sizes[i]), out;
      gsize size = gw_spool_codec_size (&header);
      g_autofree guint8 *record = g_malloc (size);
      g_autofree guint8 *body = g_malloc (sizes[i] + 1);
      const guint8 *payload;

      memset (body, 'x', sizes[i] + 1);
      gw_spool_codec_encode (&id, 4096, &header, body, record);
      g_assert_cmpuint (gw_spool_codec_decode (&id, 4096, record, size, &out, &payload), ==, size);
      g_assert_cmpmem (payload, out.payload_len, body, sizes[i]);
      assert_same_header (&out, &header);
      /* Every shorter input is no record. */
      for (gsize len = 0; len < size; len += len < 200 ? 1 : 997)
        g_assert_cmpuint (gw_spool_codec_decode (&id, 4096, record, len, &out, &payload), ==, 0);
    }
}

static void
test_bit_flips (void)
{
  GwSpoolHeader header = make_header (20), out;
  guint8 record[100];
  const guint8 *payload;

  gw_spool_codec_encode (&id, 0, &header, "twenty octets of it.", record);
  for (guint bit = 0; bit < 8 * sizeof record; bit++)
    {
      record[bit / 8] ^= (guint8)(1 << bit % 8);
      g_assert_cmpuint (gw_spool_codec_decode (&id, 0, record, sizeof record, &out, &payload), ==, 0);
      record[bit / 8] ^= (guint8)(1 << bit % 8);
    }
  g_assert_cmpuint (gw_spool_codec_decode (&id, 0, record, sizeof record, &out, &payload), ==, 100);
}

/* A record is good only where it was written: not at another place, in another file, or inside a payload. */
static void
test_place (void)
{
  GwSpoolHeader header = make_header (0), out;
  GwSpoolSegmentId other = { id.number + 1, id.salt }, salted = { id.number, id.salt ^ 1 };
  guint8 record[80];
  const guint8 *payload;

  gw_spool_codec_encode (&id, 80, &header, NULL, record);
  g_assert_cmpuint (gw_spool_codec_decode (&id, 80, record, 80, &out, &payload), ==, 80);
  g_assert_cmpuint (gw_spool_codec_decode (&id, 160, record, 80, &out, &payload), ==, 0);
  g_assert_cmpuint (gw_spool_codec_decode (&other, 80, record, 80, &out, &payload), ==, 0);
  g_assert_cmpuint (gw_spool_codec_decode (&salted, 80, record, 80, &out, &payload), ==, 0);
}

static void
test_refuses (void)
{
  GwSpoolHeader header = make_header (0), out;
  guint8 record[80];
  const guint8 *payload;

  for (guint kind = 0; kind < 256; kind++)
    {
      header.kind = (guint8)kind;
      gw_spool_codec_encode (&id, 0, &header, NULL, record);
      g_assert_cmpuint (gw_spool_codec_decode (&id, 0, record, 80, &out, &payload), ==,
                        kind >= 1 && kind <= 4 ? 80 : 0);
    }
  for (guint i = 0; i < 3; i++)
    {
      header = make_header (0);
      if (i == 0)
        header.seq = 0;
      else if (i == 1)
        header.seq = (guint64)G_MAXINT64 + 1;
      else
        memset (header.kid, 0, sizeof header.kid);
      gw_spool_codec_encode (&id, 0, &header, NULL, record);
      g_assert_cmpuint (gw_spool_codec_decode (&id, 0, record, 80, &out, &payload), ==, 0);
    }
  header = make_header (GW_SPOOL_RECORD_PAYLOAD_MAX + 1);
  g_autofree guint8 *big = g_malloc0 (gw_spool_codec_size (&header));
  g_autofree guint8 *body = g_malloc0 (header.payload_len);
  gw_spool_codec_encode (&id, 0, &header, body, big);
  g_assert_cmpuint (gw_spool_codec_decode (&id, 0, big, gw_spool_codec_size (&header), &out, &payload), ==,
                    0);
}

static void
test_states (void)
{
  GwSpoolState state = { .cursor = 9, .has_last = true, .boot = { 9, 8, 7, 6 }, .q = 77, .lost = 3 }, out;
  guint8 entries[2 * GW_SPOOL_STATE_LEN];

  memset (state.kid, 0xee, sizeof state.kid);
  for (guint i = 0; i < GW_SPOOL_DROPS; i++)
    state.dropped[i] = 100 + i;
  gw_spool_codec_put_state (&state, entries);
  state.q = 78;
  gw_spool_codec_put_state (&state, entries + GW_SPOOL_STATE_LEN);
  g_assert_true (gw_spool_codec_get_state (entries, sizeof entries, 1, &out));
  g_assert_cmpuint (out.q, ==, 78);
  g_assert_cmpuint (out.cursor, ==, 9);
  g_assert_cmpuint (out.lost, ==, 3);
  g_assert_true (out.has_last);
  g_assert_cmpmem (out.boot, sizeof out.boot, state.boot, sizeof state.boot);
  g_assert_cmpmem (out.kid, sizeof out.kid, state.kid, sizeof state.kid);
  g_assert_cmpmem (out.dropped, sizeof out.dropped, state.dropped, sizeof state.dropped);
  g_assert_true (gw_spool_codec_get_state (entries, sizeof entries, 0, &out));
  g_assert_cmpuint (out.q, ==, 77);
  g_assert_false (gw_spool_codec_get_state (entries, sizeof entries, 2, &out));
  g_assert_false (gw_spool_codec_get_state (entries, sizeof entries - 1, 1, &out));

  gw_spool_codec_put_ack (&state, entries);
  g_assert_true (gw_spool_codec_get_ack (entries, GW_SPOOL_ACK_LEN, 0, &out));
  g_assert_cmpuint (out.cursor, ==, 9);
  g_assert_cmpuint (out.dropped[GW_SPOOL_DROPS - 1], ==, 107);
  g_assert_false (out.has_last);
  g_assert_false (gw_spool_codec_get_ack (entries, GW_SPOOL_ACK_LEN - 1, 0, &out));
}

static void
test_names (void)
{
  const char *bad[] = { "",
                        "0000000007-0123456789abcdef.gws~",
                        "0000000007-0123456789ABCDEF.gws",
                        "000000000a-0123456789abcdef.gws",
                        "0000000007_0123456789abcdef.gws",
                        "0000000000-0123456789abcdef.gws",
                        "0000000007-0123456789abcdef.gwx",
                        "../../etc/passwd" };
  char name[GW_SPOOL_NAME_LEN + 1];
  GwSpoolSegmentId out;

  gw_spool_codec_print_name (&id, name);
  g_assert_cmpstr (name, ==, "0000000007-0123456789abcdef.gws");
  g_assert_true (gw_spool_codec_parse_name (name, &out));
  g_assert_cmpuint (out.number, ==, id.number);
  g_assert_cmphex (out.salt, ==, id.salt);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (gw_spool_codec_parse_name (bad[i], &out));
}

static void
test_find (void)
{
  const guint8 data[] = "..GWR1..GWR1GW";

  g_assert_cmpuint (gw_spool_codec_find (data, 14, 0), ==, 2);
  g_assert_cmpuint (gw_spool_codec_find (data, 14, 3), ==, 8);
  g_assert_cmpuint (gw_spool_codec_find (data, 14, 9), ==, 14);
  g_assert_cmpuint (gw_spool_codec_find (data, 11, 3), ==, 11);
  g_assert_cmpuint (gw_spool_codec_find (data, 14, 20), ==, 14);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/spool-codec/crc", test_crc);
  g_test_add_func ("/spool-codec/vector", test_vector);
  g_test_add_func ("/spool-codec/round-trip", test_round_trip);
  g_test_add_func ("/spool-codec/bit-flips", test_bit_flips);
  g_test_add_func ("/spool-codec/place", test_place);
  g_test_add_func ("/spool-codec/refuses", test_refuses);
  g_test_add_func ("/spool-codec/states", test_states);
  g_test_add_func ("/spool-codec/names", test_names);
  g_test_add_func ("/spool-codec/find", test_find);
  return g_test_run ();
}
