/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The frames of ISO-TP: what the codec writes, what it takes, and what it takes for malformed. */
#include <string.h>

#include "isotp-frames.h"

static const guint8 *pattern;

static void
test_decode (void)
{
  for (gsize i = 0; i < isotp_n_decodes; i++)
    {
      GwCanFrame frame = isotp_frame (isotp_decodes[i].hex);
      GwIsotpPdu pdu;
      GwStatus status = gw_isotp_decode (&frame, &pdu);

      if (status != isotp_decodes[i].status)
        g_error ("%s: %s", isotp_decodes[i].hex, gw_status_text (status));
      if (status != GW_OK)
        continue;
      g_assert_cmpint (pdu.kind, ==, isotp_decodes[i].kind);
      g_assert_cmpuint (pdu.len, ==, isotp_decodes[i].len);
      g_assert_cmpuint (pdu.data.len, ==, isotp_decodes[i].data);
      if (pdu.kind == GW_ISOTP_FLOW)
        {
          g_assert_cmphex (pdu.status, ==, frame.data[0] & 0x0f);
          g_assert_cmphex (pdu.block_size, ==, 8);
          g_assert_cmphex (pdu.st_min, ==, 0x14);
        }
      else
        g_assert_cmphex (pdu.data.ptr[0], ==, 0x11);
      if (pdu.kind == GW_ISOTP_CONSECUTIVE)
        g_assert_cmphex (pdu.sn, ==, frame.data[0] & 0x0f);
    }
}

static void
test_encode (void)
{
  GwIsotpForm bare = { .dl = 8 }, pad = { .dl = 8, .pad = true, .pad_octet = 0xcc },
              fd = { .dl = 64, .fd = true, .brs = true, .pad_octet = 0xaa },
              fd_pad = { .dl = 64, .fd = true, .pad = true, .pad_octet = 0xcc };
  struct
  {
    const GwIsotpForm *form;
    GwIsotpPdu pdu;
    const char *hex;
  } cases[] = {
    { &bare, { .kind = GW_ISOTP_SINGLE, .data = { pattern, 1 } }, "01 01" },
    { &pad, { .kind = GW_ISOTP_SINGLE, .data = { pattern, 2 } }, "02 01 02 cc*5" },
    { &pad, { .kind = GW_ISOTP_SINGLE, .data = { pattern, 7 } }, "07 01 02 03 04 05 06 07" },
    { &fd, { .kind = GW_ISOTP_SINGLE, .data = { pattern, 3 } }, "03 01 02 03" },
    { &fd_pad, { .kind = GW_ISOTP_SINGLE, .data = { pattern, 3 } }, "03 01 02 03 cc*4" },
    { &fd, { .kind = GW_ISOTP_SINGLE, .data = { pattern, 8 } }, "00 08 01 02 03 04 05 06 07 08 aa*2" },
    { &fd, { .kind = GW_ISOTP_FIRST, .len = 0x123, .data = { pattern, 2 } }, "11 23 01 02" },
    { &bare, { .kind = GW_ISOTP_FIRST, .len = 0xfff, .data = { pattern, 6 } }, "1f ff 01 02 03 04 05 06" },
    { &bare, { .kind = GW_ISOTP_FIRST, .len = 0x1000, .data = { pattern, 2 } }, "10 00 00 00 10 00 01 02" },
    { &bare, { .kind = GW_ISOTP_CONSECUTIVE, .sn = 15, .data = { pattern, 1 } }, "2f 01" },
    { &fd, { .kind = GW_ISOTP_CONSECUTIVE, .data = { pattern, 9 } }, "20 01 02 03 04 05 06 07 08 09 aa*2" },
    { &bare, { .kind = GW_ISOTP_FLOW, .status = 2, .block_size = 0xff, .st_min = 0xf9 }, "32 ff f9" },
    { &pad, { .kind = GW_ISOTP_FLOW, .status = 1 }, "31 00 00 cc*5" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      GwCanFrame frame;

      memset (&frame, 0x99, sizeof frame);
      gw_isotp_encode (cases[i].form, &cases[i].pdu, &frame);
      isotp_assert_frame (&frame, cases[i].hex);
      g_assert_cmpint (frame.fd, ==, cases[i].form->fd);
      g_assert_cmpint (frame.brs, ==, cases[i].form->brs);
    }
}

static void
test_st_min (void)
{
  g_assert_cmpint (gw_isotp_st_min_usec (0), ==, 0);
  for (guint code = 1; code <= 0xff; code++)
    g_assert_cmpint (gw_isotp_st_min_usec ((guint8)code), ==,
                     code >= 0xf1 && code <= 0xf9 ? (gint64)(code & 0x0f) * 100
                                                  : MIN ((gint64)code, 127) * 1000);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  pattern = isotp_pattern ();
  g_test_add_func ("/isotp-codec/decode", test_decode);
  g_test_add_func ("/isotp-codec/encode", test_encode);
  g_test_add_func ("/isotp-codec/st-min", test_st_min);
  return g_test_run ();
}
