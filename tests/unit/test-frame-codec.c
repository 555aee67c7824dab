/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serial frames: the byte vectors both ways, every kind of damage, and the decoder's recovery from it. */
#include <glib.h>
#include <jansson.h>
#include <string.h>

#include "gw-frame-codec.h"

#define INFO_MAX 64

static json_t *vectors;

static GByteArray *
from_hex (const json_t *v, const char *key)
{
  GByteArray *out = g_byte_array_new ();

  for (const char *hex = json_string_value (json_object_get (v, key)); *hex != '\0'; hex += 2)
    {
      guint8 octet = (guint8)(g_ascii_xdigit_value (hex[0]) << 4 | g_ascii_xdigit_value (hex[1]));

      g_byte_array_append (out, &octet, 1);
    }
  return out;
}

static void
test_fcs (void)
{
  const guint8 tail[] = { 0x6e, 0x90 };
  guint16 fcs = gw_frame_fcs (GW_FRAME_FCS_INIT, (const guint8 *)"123456789", 9);

  g_assert_cmphex ((guint16)~fcs, ==, 0x906e); /* the check value of CRC-16/X-25 */
  g_assert_cmphex (gw_frame_fcs (fcs, tail, sizeof tail), ==, GW_FRAME_FCS_GOOD);
}

static void
test_encode (gconstpointer data)
{
  const json_t *v = data;
  g_autoptr (GByteArray) info = from_hex (v, "info");
  g_autoptr (GByteArray) want = from_hex (v, "hex");
  GwFrame frame = { .address = (guint8)json_integer_value (json_object_get (v, "address")),
                    .poll = json_is_true (json_object_get (v, "poll")),
                    .info = { info->data, info->len } };
  gsize len = 0;

  for (gsize size = 0; size <= want->len; size++)
    {
      g_autofree guint8 *out = g_malloc (size);

      g_assert_cmpint (gw_frame_encode (&frame, out, size, &len), ==, size < want->len ? GW_E_SPACE : GW_OK);
      if (size == want->len)
        g_assert_cmpmem (out, len, want->data, want->len);
    }
  g_assert_cmpuint (want->len, <=, GW_FRAME_ENCODED_MAX (info->len));
}

static void
test_decode (gconstpointer data)
{
  const json_t *v = data;
  g_autoptr (GByteArray) info = from_hex (v, "info");
  g_autoptr (GByteArray) octets = from_hex (v, "hex");
  guint8 buf[INFO_MAX + GW_FRAME_OVERHEAD];
  GwFrameDecoder d;
  GwFrame frame;
  gsize used;

  gw_frame_decoder_init (&d, buf, sizeof buf);
  for (guint i = 0; i + 1 < octets->len; i++)
    g_assert_cmpint (gw_frame_decoder_push (&d, octets->data[i], &frame), ==, GW_FRAME_EVENT_NONE);
  g_assert_cmpint (gw_frame_decoder_feed (&d, octets->data + octets->len - 1, 1, &used, &frame), ==,
                   GW_FRAME_EVENT_FRAME);
  g_assert_cmpuint (used, ==, 1);
  g_assert_cmpint (frame.address, ==, json_integer_value (json_object_get (v, "address")));
  g_assert_cmpint (frame.poll, ==, json_is_true (json_object_get (v, "poll")));
  g_assert_cmpmem (frame.info.ptr, frame.info.len, info->data, info->len);
  g_assert_cmpuint (d.counters.frames, ==, 1);
}

/* One wrong bit anywhere between the flags never gives the frame, and the next frame always comes. */
static void
test_bit_flips (gconstpointer data)
{
  const json_t *v = data;
  g_autoptr (GByteArray) octets = from_hex (v, "hex");

  for (guint bit = 8; bit < 8 * (octets->len - 1); bit++)
    {
      guint8 buf[INFO_MAX + GW_FRAME_OVERHEAD];
      g_autoptr (GByteArray) twice = g_byte_array_new ();
      GwFrameDecoder d;
      GwFrame frame;
      gsize used, off = 0, frames = 0;

      g_byte_array_append (twice, octets->data, octets->len);
      twice->data[bit / 8] ^= (guint8)(1 << bit % 8);
      g_byte_array_append (twice, octets->data, octets->len);
      gw_frame_decoder_init (&d, buf, sizeof buf);
      for (; off < twice->len; off += used)
        if (gw_frame_decoder_feed (&d, twice->data + off, twice->len - off, &used, &frame)
            == GW_FRAME_EVENT_FRAME)
          {
            frames++;
            g_assert_cmpuint (off + used, ==, twice->len);
          }
      g_assert_cmpuint (frames, ==, 1);
    }
}

static GwFrameEvent
feed (GwFrameDecoder *d, const char *octets, gsize len, GwFrame *frame)
{
  gsize used;
  GwFrameEvent event = gw_frame_decoder_feed (d, (const guint8 *)octets, len, &used, frame);

  g_assert_cmpuint (used, ==, len);
  return event;
}

#define FEED(s) feed (&d, (s), sizeof (s) - 1, &frame)

static void
test_damage (void)
{
  guint8 buf[8];
  GwFrameDecoder d;
  GwFrame frame;

  gw_frame_decoder_init (&d, buf, sizeof buf);
  g_assert_cmpint (FEED ("\x11\x7d\x22 noise"), ==, GW_FRAME_EVENT_NONE); /* before the first flag */
  g_assert_cmpint (FEED ("\x7e\x7e\x7e"), ==, GW_FRAME_EVENT_NONE);
  g_assert_cmpint (FEED ("\x01\x7e"), ==, GW_FRAME_EVENT_ERROR);
  g_assert_cmpint (FEED ("\x01\x02\x03\x7e"), ==, GW_FRAME_EVENT_ERROR);
  g_assert_cmpuint (d.counters.too_short, ==, 2);
  g_assert_cmpint (FEED ("\x05\x13\xe5\x54\x7e"), ==, GW_FRAME_EVENT_ERROR);
  g_assert_cmpuint (d.counters.bad_fcs, ==, 1);
  g_assert_cmpint (FEED ("\x05\x13\xe5\x7d\x7e"), ==, GW_FRAME_EVENT_ERROR);
  g_assert_cmpuint (d.counters.aborted, ==, 1);
  g_assert_cmpint (FEED ("123456789\x7e"), ==, GW_FRAME_EVENT_ERROR);
  g_assert_cmpuint (d.counters.too_long, ==, 1);
  g_assert_cmpint (FEED ("12345678\x7e"), ==, GW_FRAME_EVENT_ERROR); /* fits exactly, but is wrong */
  g_assert_cmpuint (d.counters.bad_fcs, ==, 2);
  g_assert_cmpint (FEED ("\x05\x13\xe5\x53\x7e"), ==, GW_FRAME_EVENT_FRAME); /* shares its opening flag */
  g_assert_cmpuint (d.counters.frames, ==, 1);

  g_assert_cmpint (FEED ("\x05\x13"), ==, GW_FRAME_EVENT_NONE);
  gw_frame_decoder_reset (&d);
  g_assert_cmpint (FEED ("\xe5\x53\x7e"), ==, GW_FRAME_EVENT_NONE);
  g_assert_cmpuint (d.counters.frames, ==, 1);
}

/* A good FCS over a control octet that is neither UI nor UI with P/F. */
static void
test_control (void)
{
  guint8 buf[8], octets[6] = { 0x7e, 0xff, 0, 0, 0, 0x7e };
  gsize used;

  for (guint control = 0; control < 256; control++)
    {
      guint16 fcs;
      GwFrameDecoder d;
      GwFrame frame;
      GwFrameEvent event;

      octets[2] = (guint8)control;
      fcs = (guint16)~gw_frame_fcs (GW_FRAME_FCS_INIT, octets + 1, 2);
      octets[3] = (guint8)fcs;
      octets[4] = (guint8)(fcs >> 8);
      if (control == 0x7e || control == 0x7d || octets[3] == 0x7e || octets[3] == 0x7d || octets[4] == 0x7e
          || octets[4] == 0x7d)
        continue;
      gw_frame_decoder_init (&d, buf, sizeof buf);
      event = gw_frame_decoder_feed (&d, octets, sizeof octets, &used, &frame);
      g_assert_cmpint (event, ==,
                       control == 0x03 || control == 0x13 ? GW_FRAME_EVENT_FRAME : GW_FRAME_EVENT_ERROR);
      g_assert_cmpuint (d.counters.bad_control, ==, event == GW_FRAME_EVENT_ERROR);
    }
}

/* Every octet value survives, at every length up to the limit; one octet more does not fit. */
static void
test_round_trip (void)
{
  guint8 info[INFO_MAX + 1], wire[GW_FRAME_ENCODED_MAX (INFO_MAX + 1)], buf[INFO_MAX + GW_FRAME_OVERHEAD];

  for (guint i = 0; i < 256 * 2; i++)
    {
      gsize len = i % (INFO_MAX + 2), wire_len = 0, used;
      GwFrame in = { .address = (guint8)i, .poll = i % 3 == 0, .info = { info, len } }, out;
      GwFrameDecoder d;

      memset (info, (int)(i & 0xff), sizeof info);
      g_assert_cmpint (gw_frame_encode (&in, wire, sizeof wire, &wire_len), ==, GW_OK);
      gw_frame_decoder_init (&d, buf, sizeof buf);
      if (len > INFO_MAX)
        {
          g_assert_cmpint (gw_frame_decoder_feed (&d, wire, wire_len, &used, &out), ==, GW_FRAME_EVENT_ERROR);
          g_assert_cmpuint (d.counters.too_long, ==, 1);
          continue;
        }
      g_assert_cmpint (gw_frame_decoder_feed (&d, wire, wire_len, &used, &out), ==, GW_FRAME_EVENT_FRAME);
      g_assert_cmpint (out.address, ==, in.address);
      g_assert_cmpint (out.poll, ==, in.poll);
      g_assert_cmpmem (out.info.ptr, out.info.len, info, len);
    }
}

static void
add_for_each (const char *what, GTestDataFunc func)
{
  const json_t *v;
  gsize i;

  json_array_foreach (vectors, i, v)
  {
    g_autofree char *path = g_strdup_printf ("/%s/%s", json_string_value (json_object_get (v, "name")), what);

    g_test_add_data_func (path, v, func);
  }
}

int
main (int argc, char **argv)
{
  g_autofree char *path = NULL;
  json_error_t error;
  int rc;

  g_test_init (&argc, &argv, NULL);
  path = g_build_filename (g_getenv ("GW_VECTORS_DIR"), "frames.json", NULL);
  vectors = json_load_file (path, 0, &error);
  if (vectors == NULL)
    g_error ("%s: %s", path, error.text);
  add_for_each ("encode", test_encode);
  add_for_each ("decode", test_decode);
  add_for_each ("bit-flips", test_bit_flips);
  g_test_add_func ("/frame/fcs", test_fcs);
  g_test_add_func ("/frame/damage", test_damage);
  g_test_add_func ("/frame/control", test_control);
  g_test_add_func ("/frame/round-trip", test_round_trip);
  rc = g_test_run ();
  json_decref (vectors);
  return rc;
}
