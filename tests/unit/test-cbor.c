/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The CBOR reader and writer, borrowed texts, values, and the reader of binary fields. */
#include <glib.h>
#include <math.h>
#include <string.h>

#include "gw-reader.h"

#define OCTETS(...) ((const guint8[]){ __VA_ARGS__ }), sizeof ((const guint8[]){ __VA_ARGS__ })

static GwStatus
next (const guint8 *data, gsize len, GwCborItem *item)
{
  g_autofree guint8 *copy = g_memdup2 (data, len);
  GwCborReader r;
  GwStatus st;

  gw_cbor_reader_init (&r, copy, len);
  st = gw_cbor_next (&r, item);
  g_assert_cmpuint (r.pos, ==, st == GW_OK ? len : 0);
  return st;
}

static void
assert_uint (GwCborType type, guint64 u, const guint8 *data, gsize len)
{
  GwCborItem item;

  g_assert_cmpint (next (data, len, &item), ==, GW_OK);
  g_assert_cmpint (item.type, ==, type);
  g_assert_cmpuint (item.u, ==, u);
  for (gsize n = 0; n < len; n++)
    g_assert_cmpint (next (data, n, &item), ==, GW_E_TRUNCATED);
}

static void
test_heads (void)
{
  GwCborItem item;

  assert_uint (GW_CBOR_UINT, 23, OCTETS (0x17));
  assert_uint (GW_CBOR_UINT, 24, OCTETS (0x18, 24));
  assert_uint (GW_CBOR_UINT, 0x102, OCTETS (0x19, 1, 2));
  assert_uint (GW_CBOR_UINT, 0x1020304, OCTETS (0x1a, 1, 2, 3, 4));
  assert_uint (GW_CBOR_UINT, G_MAXUINT64, OCTETS (0x1b, 255, 255, 255, 255, 255, 255, 255, 255));
  assert_uint (GW_CBOR_UINT, 1, OCTETS (0x1b, 0, 0, 0, 0, 0, 0, 0, 1)); /* not canonical, accepted */
  assert_uint (GW_CBOR_NINT, 0, OCTETS (0x20));
  assert_uint (GW_CBOR_NINT, 255, OCTETS (0x38, 255));
  assert_uint (GW_CBOR_NINT, 0x102, OCTETS (0x39, 1, 2));
  assert_uint (GW_CBOR_NINT, 0x1020304, OCTETS (0x3a, 1, 2, 3, 4));
  assert_uint (GW_CBOR_NINT, G_MAXUINT64, OCTETS (0x3b, 255, 255, 255, 255, 255, 255, 255, 255));
  assert_uint (GW_CBOR_ARRAY, 2, OCTETS (0x82));
  assert_uint (GW_CBOR_MAP, 24, OCTETS (0xb8, 24));

  g_assert_cmpint (next (OCTETS (0x9f), &item), ==, GW_OK);
  g_assert_true (item.type == GW_CBOR_ARRAY && item.indefinite);
  g_assert_cmpint (next (OCTETS (0xbf), &item), ==, GW_OK);
  g_assert_true (item.type == GW_CBOR_MAP && item.indefinite);
  g_assert_cmpint (next (OCTETS (0xf4), &item), ==, GW_OK);
  g_assert_true (item.type == GW_CBOR_BOOL && !item.b);
  g_assert_cmpint (next (OCTETS (0xf5), &item), ==, GW_OK);
  g_assert_true (item.type == GW_CBOR_BOOL && item.b);
  g_assert_cmpint (next (OCTETS (0xf6), &item), ==, GW_OK);
  g_assert_cmpint (item.type, ==, GW_CBOR_NULL);
  g_assert_cmpint (next (OCTETS (0xf7), &item), ==, GW_OK);
  g_assert_cmpint (item.type, ==, GW_CBOR_UNDEFINED);
  g_assert_cmpint (next (OCTETS (0xff), &item), ==, GW_OK);
  g_assert_cmpint (item.type, ==, GW_CBOR_BREAK);
  g_assert_cmpint (next (OCTETS (0xf9, 0x3e, 0), &item), ==, GW_OK);
  g_assert_true (item.type == GW_CBOR_FLOAT && item.d == 1.5);
  g_assert_cmpint (next (OCTETS (0xfa, 0x47, 0xc3, 0x50, 0), &item), ==, GW_OK);
  g_assert_true (item.type == GW_CBOR_FLOAT && item.d == 100000.0);
  g_assert_cmpint (next (OCTETS (0xfb, 0x3f, 0xf1, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a), &item), ==, GW_OK);
  g_assert_true (item.type == GW_CBOR_FLOAT && item.d == 1.1);
}

static void
test_strings (void)
{
  const guint8 data[] = { 0x43, 1, 2, 3, 0x62, 'o', 'k' };
  GwCborReader r;
  GwCborItem item;

  gw_cbor_reader_init (&r, data, sizeof data);
  g_assert_cmpint (gw_cbor_next (&r, &item), ==, GW_OK);
  g_assert_cmpint (item.type, ==, GW_CBOR_BYTES);
  g_assert_cmpmem (item.bytes.ptr, item.bytes.len, "\1\2\3", 3);
  g_assert_cmpuint (gw_cbor_reader_left (&r), ==, 3);
  g_assert_cmpint (gw_cbor_next (&r, &item), ==, GW_OK);
  g_assert_true (item.type == GW_CBOR_TEXT && gw_text_equal (item.text, "ok"));
  g_assert_cmpint (gw_cbor_read_end (&r), ==, GW_OK);
  g_assert_cmpint (gw_cbor_next (&r, &item), ==, GW_E_TRUNCATED);
}

static void
test_refused (void)
{
  GwCborItem item;

  g_assert_cmpint (next (OCTETS (0x5f, 0xff), &item), ==, GW_E_UNSUPPORTED);
  g_assert_cmpint (next (OCTETS (0x7f, 0xff), &item), ==, GW_E_UNSUPPORTED);
  for (guint8 tag = 0xc0; tag < 0xd8; tag++)
    g_assert_cmpint (next (&tag, 1, &item), ==, GW_E_UNSUPPORTED);
  g_assert_cmpint (next (OCTETS (0xd8, 55), &item), ==, GW_E_UNSUPPORTED);
  g_assert_cmpint (next (OCTETS (0xf0), &item), ==, GW_E_MALFORMED);
  g_assert_cmpint (next (OCTETS (0xf8, 32), &item), ==, GW_E_MALFORMED);
  g_assert_cmpint (next (OCTETS (0x1c), &item), ==, GW_E_MALFORMED);
  g_assert_cmpint (next (OCTETS (0x3f), &item), ==, GW_E_MALFORMED);
  g_assert_cmpint (next (OCTETS (0xfe), &item), ==, GW_E_MALFORMED);
  /* lengths that no buffer holds, also one whose low half is small */
  g_assert_cmpint (next (OCTETS (0x5b, 255, 255, 255, 255, 255, 255, 255, 255), &item), ==, GW_E_TRUNCATED);
  g_assert_cmpint (next (OCTETS (0x7b, 0, 0, 0, 1, 0, 0, 0, 0), &item), ==, GW_E_TRUNCATED);
  g_assert_cmpint (next (OCTETS (0x9b, 0, 0, 0, 1, 0, 0, 0, 0), &item), ==, GW_E_TRUNCATED);
  g_assert_cmpint (next (OCTETS (0xbb, 1, 0, 0, 0, 0, 0, 0, 0), &item), ==, GW_E_TRUNCATED);
  g_assert_cmpint (next (OCTETS (0x5b, 255, 255, 255), &item), ==, GW_E_TRUNCATED);
  g_assert_cmpint (next (OCTETS (0x5b, 0, 0, 0, 0, 0, 0, 0, 1, 7), &item), ==, GW_OK);
  g_assert_cmpuint (item.bytes.len, ==, 1);
}

static GwStatus
skip (const guint8 *data, gsize len, gsize *used)
{
  g_autofree guint8 *copy = g_memdup2 (data, len);
  GwCborReader r;
  GwStatus st;

  gw_cbor_reader_init (&r, copy, len);
  st = gw_cbor_skip (&r);
  *used = r.pos;
  return st;
}

static void
test_skip (void)
{
  static const guint8 nested[]
      = { 0x82, 0xa2, 1, 0x9f, 2, 0x80, 0xff, 0x61, 'k', 0xbf, 3, 0xa0, 0xff, 0x41, 0 };
  gsize used;

  g_assert_cmpint (skip (nested, sizeof nested, &used), ==, GW_OK);
  g_assert_cmpuint (used, ==, sizeof nested);
  for (gsize n = 0; n < sizeof nested; n++)
    {
      g_assert_cmpint (skip (nested, n, &used), ==, GW_E_TRUNCATED);
      g_assert_cmpuint (used, ==, 0);
    }
  g_assert_cmpint (skip (OCTETS (0xff), &used), ==, GW_E_MALFORMED);
  g_assert_cmpint (skip (OCTETS (0xbf, 1, 0xff), &used), ==, GW_E_MALFORMED); /* a key without a value */
  g_assert_cmpint (skip (OCTETS (0x82, 1, 0xff), &used), ==, GW_E_MALFORMED);
  g_assert_cmpint (skip (OCTETS (0x81, 0xc1, 0), &used), ==, GW_E_UNSUPPORTED);
  g_assert_cmpint (skip (OCTETS (0x98, 200, 0), &used), ==, GW_E_TRUNCATED);

  for (guint depth = 1; depth <= GW_CBOR_DEPTH_MAX + 1; depth++)
    {
      guint8 deep[GW_CBOR_DEPTH_MAX + 2];

      memset (deep, 0x81, sizeof deep);
      deep[depth] = 0;
      g_assert_cmpint (skip (deep, depth + 1, &used), ==, depth > GW_CBOR_DEPTH_MAX ? GW_E_LIMIT : GW_OK);
    }
}

static GwCborReader
reader (const guint8 *data, gsize len)
{
  GwCborReader r;

  gw_cbor_reader_init (&r, data, len);
  return r;
}

#define READ(call, ...)                                                                                      \
  ({                                                                                                         \
    static const guint8 octets_[] = { __VA_ARGS__ };                                                         \
    GwCborReader r = reader (octets_, sizeof octets_);                                                       \
    call;                                                                                                    \
  })

static void
test_typed_reads (void)
{
  guint64 u;
  gint64 i;
  gboolean ok;
  bool b;
  double d;
  GwBytes bytes;
  GwText text;
  GwCborSpan span;

  g_assert_cmpint (READ (gw_cbor_read_uint (&r, 7, &u), 7), ==, GW_OK);
  g_assert_cmpuint (u, ==, 7);
  g_assert_cmpint (READ (gw_cbor_read_uint (&r, 7, &u), 8), ==, GW_E_RANGE);
  g_assert_cmpint (READ (gw_cbor_read_uint (&r, 7, &u), 0x20), ==, GW_E_TYPE);
  g_assert_cmpint (READ (gw_cbor_read_uint (&r, 7, &u), 0x18), ==, GW_E_TRUNCATED);

  g_assert_cmpint (READ (gw_cbor_read_int (&r, &i), 0x3b, 0x7f, 255, 255, 255, 255, 255, 255, 255), ==,
                   GW_OK);
  g_assert_cmpint (i, ==, G_MININT64);
  g_assert_cmpint (READ (gw_cbor_read_int (&r, &i), 0x1b, 0x80, 0, 0, 0, 0, 0, 0, 0), ==, GW_E_RANGE);
  g_assert_cmpint (READ (gw_cbor_read_int (&r, &i), 0xf4), ==, GW_E_TYPE);
  g_assert_cmpint (READ (gw_cbor_read_int (&r, &i), 0x19), ==, GW_E_TRUNCATED);

  g_assert_cmpint (READ (gw_cbor_read_bool (&r, &b), 0xf5), ==, GW_OK);
  ok = b;
  g_assert_true (ok);
  g_assert_cmpint (READ (gw_cbor_read_bool (&r, &b), 1), ==, GW_E_TYPE);

  g_assert_cmpint (READ (gw_cbor_read_number (&r, &d), 0x20), ==, GW_OK);
  g_assert_cmpfloat (d, ==, -1);
  g_assert_cmpint (READ (gw_cbor_read_number (&r, &d), 0xf9, 0x3c, 0), ==, GW_OK);
  g_assert_cmpfloat (d, ==, 1);
  g_assert_cmpint (READ (gw_cbor_read_number (&r, &d), 0xf9, 0x7e, 0), ==, GW_E_RANGE);
  g_assert_cmpint (READ (gw_cbor_read_number (&r, &d), 0xf9, 0xfc, 0), ==, GW_E_RANGE);
  g_assert_cmpint (READ (gw_cbor_read_number (&r, &d), 0x60), ==, GW_E_TYPE);
  g_assert_cmpint (READ (gw_cbor_read_number (&r, &d), 0xfb), ==, GW_E_TRUNCATED);

  g_assert_cmpint (READ (gw_cbor_read_bytes (&r, 1, 2, &bytes), 0x40), ==, GW_E_LIMIT);
  g_assert_cmpint (READ (gw_cbor_read_bytes (&r, 1, 2, &bytes), 0x41, 0), ==, GW_OK);
  g_assert_cmpint (READ (gw_cbor_read_bytes (&r, 1, 2, &bytes), 0x43, 0, 0, 0), ==, GW_E_LIMIT);
  g_assert_cmpint (READ (gw_cbor_read_bytes (&r, 1, 2, &bytes), 0x61, 'a'), ==, GW_E_TYPE);

  g_assert_cmpint (READ (gw_cbor_read_text (&r, 1, &text), 0x61, 'a'), ==, GW_OK);
  g_assert_cmpint (READ (gw_cbor_read_text (&r, 1, &text), 0x62, 'a', 'b'), ==, GW_E_LIMIT);
  g_assert_cmpint (READ (gw_cbor_read_text (&r, 1, &text), 0x61, 9), ==, GW_E_TEXT);
  g_assert_cmpint (READ (gw_cbor_read_text (&r, 1, &text), 0x41, 'a'), ==, GW_E_TYPE);

  g_assert_cmpint (READ (gw_cbor_read_map (&r, &span), 0x80), ==, GW_E_TYPE);
  g_assert_cmpint (READ (gw_cbor_read_array (&r, &span), 0x81), ==, GW_E_TRUNCATED);
  g_assert_cmpint (READ (gw_cbor_read_array (&r, &span), 0xc1), ==, GW_E_UNSUPPORTED);
  g_assert_cmpint (READ (gw_cbor_read_end (&r), 0), ==, GW_E_MALFORMED);
}

static void
test_clean_text (void)
{
  static const struct
  {
    const char *text;
    gboolean clean;
  } cases[] = {
    { "", TRUE },
    { "plain ~", TRUE },
    { "\x1f", FALSE },
    { "\x7f", FALSE },
    { "Gr\xc3\xbcn", TRUE },
    { "\xc2\xa0", TRUE },
    { "\xc2\x9f", FALSE },             /* C1 */
    { "\xc1\xbf", FALSE },             /* overlong */
    { "\x80", FALSE },                 /* begins with a continuation */
    { "\xc3", FALSE },                 /* ends early */
    { "\xc3(", FALSE },                /* no continuation */
    { "\xe2\x82\xac", TRUE },          /* U+20AC */
    { "\xe0\x9f\xbf", FALSE },         /* overlong */
    { "\xe0\xa0\x80", TRUE },          /* U+0800 */
    { "\xed\x9f\xbf", TRUE },          /* U+D7FF */
    { "\xed\xa0\x80", FALSE },         /* surrogate */
    { "\xed\xbf\xbf", FALSE },         /* surrogate */
    { "\xee\x80\x80", TRUE },          /* U+E000 */
    { "\xf0\x9f\x98\x80", TRUE },      /* U+1F600 */
    { "\xf0\x8f\xbf\xbf", FALSE },     /* overlong */
    { "\xf4\x8f\xbf\xbf", TRUE },      /* U+10FFFF */
    { "\xf4\x90\x80\x80", FALSE },     /* beyond */
    { "\xf8\x88\x80\x80\x80", FALSE }, /* five octets */
    { "\xf0\x9f\x98", FALSE },
  };
  char buf[6];

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    if (gw_text_is_clean (cases[i].text, strlen (cases[i].text)) != cases[i].clean)
      g_error ("text case %u", i);
  g_assert_false (gw_text_is_clean ("a\0b", 3));

  g_assert_true (gw_text_equal (gw_text ("ab"), "ab"));
  g_assert_false (gw_text_equal (gw_text ("ab"), "ac"));
  g_assert_false (gw_text_equal (gw_text ("ab"), "abc"));
  g_assert_true (gw_text_equal ((GwText){ NULL, 0 }, ""));
  g_assert_cmpint (gw_text_copy (gw_text ("12345"), buf, sizeof buf), ==, GW_OK);
  g_assert_cmpstr (buf, ==, "12345");
  g_assert_cmpint (gw_text_copy (gw_text ("123456"), buf, sizeof buf), ==, GW_E_SPACE);
  g_assert_cmpint (gw_text_copy ((GwText){ NULL, 0 }, buf, sizeof buf), ==, GW_OK);
  g_assert_cmpstr (buf, ==, "");
}

static void
test_values (void)
{
  const GwValue values[] = { gw_value_bool (true),      gw_value_bool (false),    gw_value_int (0),
                             gw_value_int (G_MININT64), gw_value_float (0),       gw_value_float (-1e300),
                             gw_value_text ("a"),       gw_value_text ("b"),      gw_value_bytes ("a", 1),
                             gw_value_bytes ("", 0),    gw_value_bytes ("ab", 2), { .type = GW_VALUE_NONE } };
  double d;

  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    {
      guint8 buf[32];
      GwCborWriter w;
      GwCborReader r;
      GwValue back;

      for (guint j = 0; j < G_N_ELEMENTS (values); j++)
        g_assert_cmpint (gw_value_equal (&values[i], &values[j]), ==, i == j);

      gw_cbor_writer_init (&w, buf, sizeof buf);
      gw_cbor_put_value (&w, &values[i]);
      if (values[i].type == GW_VALUE_NONE)
        {
          g_assert_cmpint (w.status, ==, GW_E_INVALID);
          continue;
        }
      g_assert_cmpint (w.status, ==, GW_OK);
      gw_cbor_reader_init (&r, buf, w.len);
      g_assert_cmpint (gw_cbor_read_value (&r, &back), ==, GW_OK);
      g_assert_true (gw_value_equal (&values[i], &back));
      gw_cbor_reader_init (&r, buf, w.len - 1);
      g_assert_cmpint (gw_cbor_read_value (&r, &back), ==, GW_E_TRUNCATED);
    }
  g_assert_true (gw_value_number (&values[3], &d) && d == -0x1p63);
  g_assert_true (gw_value_number (&values[5], &d) && d == -1e300);
  g_assert_false (gw_value_number (&values[0], &d));
}

static void
assert_written (const GwCborWriter *w, const guint8 *data, gsize len)
{
  g_assert_cmpint (w->status, ==, GW_OK);
  g_assert_cmpmem (w->buf, w->len, data, len);
}

static void
test_writer (void)
{
  guint8 buf[128];
  GwCborWriter w;

  gw_cbor_writer_init (&w, buf, sizeof buf);
  gw_cbor_begin_map_indefinite (&w);
  gw_cbor_put_key (&w, "k");
  gw_cbor_begin_array (&w, 3);
  gw_cbor_put_int (&w, -25);
  gw_cbor_put_uint (&w, 500);
  gw_cbor_put_null (&w);
  gw_cbor_put_break (&w);
  assert_written (&w, OCTETS (0xbf, 0x61, 'k', 0x83, 0x38, 24, 0x19, 1, 0xf4, 0xf6, 0xff));

  gw_cbor_writer_rewind (&w, 0);
  gw_cbor_put_float (&w, 1.5);
  gw_cbor_put_float (&w, 1.1);
  assert_written (&w, OCTETS (0xfa, 0x3f, 0xc0, 0, 0, 0xfb, 0x3f, 0xf1, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a));

  gw_cbor_writer_rewind (&w, 0);
  gw_cbor_put_float (&w, 1e300);
  gw_cbor_put_number (&w, 3);
  gw_cbor_put_number (&w, -0.5);
  gw_cbor_put_number (&w, 1e18);
  assert_written (&w, OCTETS (0xfb, 0x7e, 0x37, 0xe4, 0x3c, 0x88, 0x00, 0x75, 0x9c, 3, 0xfa, 0xbf, 0, 0, 0,
                              0xfb, 0x43, 0xab, 0xc1, 0x6d, 0x67, 0x4e, 0xc8, 0x00));

  gw_cbor_writer_rewind (&w, 0);
  gw_cbor_put_number (&w, NAN);
  g_assert_cmpint (w.status, ==, GW_E_INVALID);
  gw_cbor_put_bool (&w, true); /* sticks */
  g_assert_cmpint (w.status, ==, GW_E_INVALID);
  g_assert_cmpuint (w.len, ==, 0);

  gw_cbor_writer_init (&w, buf, 3);
  gw_cbor_put_bytes (&w, "abc", 3);
  g_assert_cmpint (w.status, ==, GW_E_SPACE);
  gw_cbor_writer_rewind (&w, 0);
  gw_cbor_put_bytes (&w, "ab", 2);
  gw_cbor_put_bool (&w, true);
  g_assert_cmpint (w.status, ==, GW_E_SPACE);
  g_assert_cmpuint (w.len, ==, 3);
}

static void
test_binary_reader (void)
{
  static const guint8 data[]
      = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24 };
  guint8 out[8], copy[2];
  GwReader r;
  GwBytes b;

  gw_reader_init (&r, data, sizeof data);
  g_assert_cmphex (gw_reader_u8 (&r), ==, 1);
  g_assert_cmphex (gw_reader_u16be (&r), ==, 0x203);
  g_assert_cmphex (gw_reader_u16le (&r), ==, 0x504);
  g_assert_cmphex (gw_reader_u32be (&r), ==, 0x6070809);
  g_assert_cmphex (gw_reader_u32le (&r), ==, 0xd0c0b0a);
  g_assert_cmphex (gw_reader_u64be (&r), ==, G_GUINT64_CONSTANT (0xe0f101112131415));
  gw_reader_copy (&r, copy, 0);
  gw_reader_copy (&r, copy, sizeof copy);
  g_assert_cmpmem (copy, sizeof copy, data + 21, 2);
  b = gw_reader_rest (&r);
  g_assert_cmpuint (b.len, ==, 1);
  g_assert_true (gw_reader_ok (&r));

  g_assert_cmpint (gw_reader_u8 (&r), ==, 0);
  g_assert_false (gw_reader_ok (&r));
  gw_reader_copy (&r, copy, sizeof copy);
  g_assert_cmpmem (copy, sizeof copy, "\0\0", 2);
  b = gw_reader_bytes (&r, 0); /* stays failed */
  g_assert_null (b.ptr);

  gw_put_u64be (out, G_GUINT64_CONSTANT (0x102030405060708));
  g_assert_cmpmem (out, 8, data, 8);
}

static void
test_status_texts (void)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

  for (int st = GW_OK; st >= GW_E_DENIED; st--)
    g_assert_true (g_hash_table_add (seen, (gpointer)gw_status_text (st)));
  g_assert_cmpstr (gw_status_text (GW_E_DENIED - 1), ==, "unknown error");
  g_assert_false (g_hash_table_contains (seen, "unknown error"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/cbor/heads", test_heads);
  g_test_add_func ("/cbor/strings", test_strings);
  g_test_add_func ("/cbor/refused", test_refused);
  g_test_add_func ("/cbor/skip", test_skip);
  g_test_add_func ("/cbor/typed-reads", test_typed_reads);
  g_test_add_func ("/cbor/clean-text", test_clean_text);
  g_test_add_func ("/cbor/values", test_values);
  g_test_add_func ("/cbor/writer", test_writer);
  g_test_add_func ("/reader/binary", test_binary_reader);
  g_test_add_func ("/status/texts", test_status_texts);
  return g_test_run ();
}
