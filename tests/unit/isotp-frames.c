/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "isotp-frames.h"

static gsize
from_hex (const char *hex, guint8 *out, gsize max)
{
  gsize len = 0;

  while (*hex != '\0')
    {
      guint64 times = 1;

      if (*hex == ' ')
        {
          hex++;
          continue;
        }
      g_assert_cmpuint (len, <, max);
      out[len++] = (guint8)(g_ascii_xdigit_value (hex[0]) << 4 | g_ascii_xdigit_value (hex[1]));
      hex += 2;
      if (*hex == '*')
        times = g_ascii_strtoull (hex + 1, (char **)&hex, 10);
      for (; times > 1; times--, len++)
        {
          g_assert_cmpuint (len, <, max);
          out[len] = out[len - 1];
        }
    }
  return len;
}

GwCanFrame
isotp_frame (const char *hex)
{
  GwCanFrame frame = { .id = ISOTP_ID_THEM, .extended = true };

  frame.len = (guint8)from_hex (hex, frame.data, sizeof frame.data);
  frame.fd = frame.len > GW_CAN_LEN_CLASSIC;
  return frame;
}

void
isotp_assert_frame (const GwCanFrame *frame, const char *hex)
{
  guint8 want[GW_CAN_LEN_MAX];
  gsize len = from_hex (hex, want, sizeof want);

  g_assert_true (gw_can_frame_is_valid (frame));
  g_assert_cmpmem (frame->data, frame->len, want, len);
}

const guint8 *
isotp_pattern (void)
{
  static guint8 pattern[ISOTP_PATTERN_MAX];

  for (gsize i = 0; i < ISOTP_PATTERN_MAX; i++)
    pattern[i] = (guint8)(i % 251 + 1);
  return pattern;
}

const IsotpDecode isotp_decodes[] = {
  { "", GW_E_TRUNCATED },
  /* single frame, up to 8 octets */
  { "00", GW_E_RANGE },
  { "00 01*7", GW_E_RANGE },
  { "01 11", GW_OK, GW_ISOTP_SINGLE, 0, 1 },
  { "01 11 cc*6", GW_OK, GW_ISOTP_SINGLE, 0, 1 },
  { "07 11*7", GW_OK, GW_ISOTP_SINGLE, 0, 7 },
  { "07 11*6", GW_E_RANGE },
  { "01", GW_E_RANGE },
  { "08 11*7", GW_E_RANGE },
  { "0f 11*7", GW_E_RANGE },
  /* longer */
  { "00 08 11*10", GW_OK, GW_ISOTP_SINGLE, 0, 8 },
  { "00 0a 11*10", GW_OK, GW_ISOTP_SINGLE, 0, 10 },
  { "00 0b 11*10", GW_E_RANGE },
  { "00 07 11*10", GW_E_RANGE },
  { "00 00 11*10", GW_E_RANGE },
  { "07 11*11", GW_E_RANGE },
  { "01 08 11*10", GW_E_RANGE },
  { "00 3e 11*62", GW_OK, GW_ISOTP_SINGLE, 0, 62 },
  { "00 3f 11*62", GW_E_RANGE },
  { "00 ff 11*62", GW_E_RANGE },
  { "00 08 11*62", GW_OK, GW_ISOTP_SINGLE, 0, 8 }, /* padded further than it had to be */
  /* first frame */
  { "10 08 11*6", GW_OK, GW_ISOTP_FIRST, 8, 6 },
  { "1f ff 11*6", GW_OK, GW_ISOTP_FIRST, 4095, 6 },
  { "10 07 11*6", GW_E_RANGE },
  { "10 01 11*6", GW_E_RANGE },
  { "10 14 11*5", GW_E_TRUNCATED },
  { "10", GW_E_TRUNCATED },
  { "10 0b 11*10", GW_OK, GW_ISOTP_FIRST, 11, 10 },
  { "10 0a 11*10", GW_E_RANGE },
  { "10 3f 11*62", GW_OK, GW_ISOTP_FIRST, 63, 62 },
  { "10 3e 11*62", GW_E_RANGE },
  { "10 00 00 00 10 00 11*2", GW_OK, GW_ISOTP_FIRST, 4096, 2 },
  { "10 00 00 00 0f ff 11*2", GW_E_RANGE },
  { "10 00 00 00 00 00 11*2", GW_E_RANGE },
  { "10 00 ff ff ff ff 11*58", GW_OK, GW_ISOTP_FIRST, 0xffffffff, 58 },
  /* consecutive frame */
  { "20", GW_E_TRUNCATED },
  { "2f 11", GW_OK, GW_ISOTP_CONSECUTIVE, 0, 1 },
  { "20 11*63", GW_OK, GW_ISOTP_CONSECUTIVE, 0, 63 },
  /* flow control */
  { "30 00", GW_E_TRUNCATED },
  { "30", GW_E_TRUNCATED },
  { "30 08 14", GW_OK, GW_ISOTP_FLOW, 0, 0 },
  { "3f 08 14 cc*5", GW_OK, GW_ISOTP_FLOW, 0, 0 },
  /* reserved kinds */
  { "40 00 00", GW_E_UNSUPPORTED },
  { "ff*8", GW_E_UNSUPPORTED },
};

const gsize isotp_n_decodes = G_N_ELEMENTS (isotp_decodes);
