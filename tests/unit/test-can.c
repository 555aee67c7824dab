/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a CAN frame is and what it costs: fields and lengths, bits on the wire and arbitration against the
 * vectors of another model (can-vectors.py), times. */
#include <glib.h>
#include <jansson.h>

#include "gw-can.h"

static json_t *vectors;

static GwCanFrame
frame_from (const json_t *v)
{
  GwCanFrame frame = { .id = (guint32)json_integer_value (json_object_get (v, "id")),
                       .extended = json_is_true (json_object_get (v, "extended")),
                       .remote = json_is_true (json_object_get (v, "remote")),
                       .fd = json_is_true (json_object_get (v, "fd")),
                       .brs = json_is_true (json_object_get (v, "brs")),
                       .len = (guint8)json_integer_value (json_object_get (v, "len")) };
  const char *hex = json_string_value (json_object_get (v, "hex"));

  for (guint i = 0; hex[2 * i] != '\0'; i++)
    frame.data[i] = (guint8)(g_ascii_xdigit_value (hex[2 * i]) << 4 | g_ascii_xdigit_value (hex[2 * i + 1]));
  g_assert_true (gw_can_frame_is_valid (&frame));
  return frame;
}

static void
test_bits (void)
{
  gsize i;
  json_t *v;

  json_array_foreach (json_object_get (vectors, "frames"), i, v)
  {
    GwCanFrame frame = frame_from (v);
    GwCanBits bits = gw_can_frame_bits (&frame);
    json_int_t nominal = json_integer_value (json_object_get (v, "nominal"));
    json_int_t data = json_integer_value (json_object_get (v, "data"));

    if (bits.nominal != nominal || bits.data != data)
      {
        g_autofree char *text = json_dumps (v, JSON_COMPACT);

        g_test_message ("%s: %u nominal, %u data", text, bits.nominal, bits.data);
        g_test_fail ();
      }
  }
  g_assert_cmpuint (i, >, 300);
}

static void
test_arbitration (void)
{
  gsize i;
  json_t *v;

  json_array_foreach (json_object_get (vectors, "duels"), i, v)
  {
    GwCanFrame a = frame_from (json_object_get (v, "a"));
    GwCanFrame b = frame_from (json_object_get (v, "b"));
    const json_t *winner = json_object_get (v, "winner");

    g_assert_cmpint (gw_can_frame_wins (&a, &b), ==,
                     json_is_integer (winner) && json_integer_value (winner) == 0);
    g_assert_cmpint (gw_can_frame_wins (&b, &a), ==,
                     json_is_integer (winner) && json_integer_value (winner) == 1);
  }
  g_assert_cmpuint (i, >, 300);
}

static void
test_valid (void)
{
  static const struct
  {
    GwCanFrame frame;
    gboolean valid;
  } cases[] = {
    { { .id = 0x7ff, .len = 8 }, TRUE },
    { { .id = 0x800, .len = 8 }, FALSE },
    { { .id = 0x800, .extended = true }, TRUE },
    { { .id = 0x1fffffff, .extended = true }, TRUE },
    { { .id = 0x20000000, .extended = true }, FALSE },
    { { .len = 9 }, FALSE },
    { { .len = 12 }, FALSE },
    { { .brs = true }, FALSE },
    { { .remote = true, .len = 8 }, TRUE },
    { { .fd = true, .remote = true }, FALSE },
    { { .fd = true, .brs = true, .len = 64 }, TRUE },
    { { .fd = true, .len = 7 }, TRUE },
    { { .fd = true, .len = 9 }, FALSE },
    { { .fd = true, .len = 12 }, TRUE },
    { { .fd = true, .len = 63 }, FALSE },
    { { .fd = true, .len = 65 }, FALSE },
    { { .fd = true, .len = 255 }, FALSE },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    g_assert_cmpint (gw_can_frame_is_valid (&cases[i].frame), ==, cases[i].valid);
}

static void
test_lengths (void)
{
  static const guint8 lens[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64 };

  for (guint8 dlc = 0; dlc < G_N_ELEMENTS (lens); dlc++)
    {
      g_assert_cmpuint (gw_can_dlc_of_len (lens[dlc]), ==, dlc);
      g_assert_cmpuint (gw_can_len_of_dlc (dlc, true), ==, lens[dlc]);
      g_assert_cmpuint (gw_can_len_of_dlc (dlc, false), ==, MIN (dlc, 8));
      g_assert_cmpuint (gw_can_fd_len (lens[dlc]), ==, lens[dlc]);
      if (dlc > 0)
        g_assert_cmpuint (gw_can_fd_len (lens[dlc - 1] + 1u), ==, lens[dlc]);
    }
  g_assert_cmpuint (gw_can_len_of_dlc (255, true), ==, 64);
  g_assert_cmpuint (gw_can_len_of_dlc (255, false), ==, 8);
  g_assert_cmpuint (gw_can_dlc_of_len (65), ==, 15);
  g_assert_cmpuint (gw_can_fd_len (1000000), ==, 64);
}

/* What the rates make of the bits. */
static void
test_nsec (void)
{
  GwCanFrame classic
      = { .id = 0x18DA01F1, .extended = true, .len = 8, .data = { 0x21, 1, 2, 3, 4, 5, 6, 7 } };
  GwCanFrame fd = { .id = 0x18DA01F1, .extended = true, .fd = true, .len = 64 };
  GwCanBits bits = gw_can_frame_bits (&classic);

  g_assert_cmpuint (bits.nominal, >=, 131);
  g_assert_cmpuint (gw_can_frame_nsec (&classic, 500000, 0), ==, bits.nominal * 2000u);
  g_assert_cmpuint (gw_can_frame_nsec (&classic, 1000000, 0), ==, bits.nominal * 1000u);

  bits = gw_can_frame_bits (&fd);
  g_assert_cmpuint (bits.data, ==, 0);
  g_assert_cmpuint (gw_can_frame_nsec (&fd, 500000, 0), ==, bits.nominal * 2000u);
  fd.brs = true;
  bits = gw_can_frame_bits (&fd);
  g_assert_cmpuint (gw_can_frame_nsec (&fd, 500000, 2000000), ==, bits.nominal * 2000u + bits.data * 500u);
}

int
main (int argc, char **argv)
{
  g_autofree char *path = g_build_filename (g_getenv ("GW_VECTORS_DIR"), "can-frames.json", NULL);
  int status;

  g_test_init (&argc, &argv, NULL);
  vectors = json_load_file (path, 0, NULL);
  g_assert_nonnull (vectors);
  g_test_add_func ("/can/valid", test_valid);
  g_test_add_func ("/can/lengths", test_lengths);
  g_test_add_func ("/can/bits", test_bits);
  g_test_add_func ("/can/arbitration", test_arbitration);
  g_test_add_func ("/can/nsec", test_nsec);
  status = g_test_run ();
  json_decref (vectors);
  return status;
}
