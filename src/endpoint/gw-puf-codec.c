/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Encoder and decoder of the helper data. The CRC finds flash that has rotted; it is no defence against an
 * attacker, which is the salt's and the check value's work (gw-puf, gw-keys). */

#include "gw-puf-codec.h"

#include <string.h>

#include "gw-bch.h"
#include "gw-reader.h"

#define MAGIC 0x47575048u /* "GWPH" */
#define VERSION 1
#define PADDING_BITS (8 * GW_PUF_CELL_OCTETS - GW_PUF_CELLS)

static uint32_t
compute_crc (const uint8_t *data, size_t len)
{
  uint32_t crc = UINT32_MAX;

  for (size_t i = 0; i < len; i++)
    {
      crc ^= data[i];
      for (unsigned k = 0; k < 8; k++)
        crc = (crc >> 1) ^ (UINT32_C (0xedb88320) & (0 - (crc & 1)));
    }
  return ~crc;
}

void
gw_puf_helper_encode (const GwPufHelper *helper, uint8_t out[GW_PUF_HELPER_LEN])
{
  memset (out, 0, GW_PUF_HELPER_LEN);
  gw_put_u32be (out, MAGIC);
  out[4] = VERSION;
  out[5] = GW_PUF_BLOCKS;
  out[6] = GW_PUF_REPETITION;
  out[7] = GW_BCH_T;
  gw_put_u16be (out + 8, helper->bias);
  memcpy (out + 12, helper->offsets, GW_PUF_CELL_OCTETS);
  gw_put_u32be (out + GW_PUF_HELPER_LEN - 4, compute_crc (out, GW_PUF_HELPER_LEN - 4));
}

GwStatus
gw_puf_helper_decode (const uint8_t *data, size_t len, GwPufHelper *helper)
{
  GwReader reader;
  uint32_t magic;
  uint8_t version, blocks, repetition, correctable, padding;
  uint16_t zero;

  if (len < GW_PUF_HELPER_LEN)
    return GW_E_TRUNCATED;
  if (len > GW_PUF_HELPER_LEN)
    return GW_E_MALFORMED;

  gw_reader_init (&reader, data, len);
  magic = gw_reader_u32be (&reader);
  version = gw_reader_u8 (&reader);
  blocks = gw_reader_u8 (&reader);
  repetition = gw_reader_u8 (&reader);
  correctable = gw_reader_u8 (&reader);
  helper->bias = gw_reader_u16be (&reader);
  zero = gw_reader_u16be (&reader);
  gw_reader_copy (&reader, helper->offsets, GW_PUF_CELL_OCTETS);
  padding = gw_reader_u8 (&reader);

  if (magic != MAGIC)
    return GW_E_MALFORMED;
  if (gw_reader_u32be (&reader) != compute_crc (data, GW_PUF_HELPER_LEN - 4))
    return GW_E_CHECK;
  if (version != VERSION || blocks != GW_PUF_BLOCKS || repetition != GW_PUF_REPETITION
      || correctable != GW_BCH_T)
    return GW_E_UNSUPPORTED;
  if (!gw_reader_ok (&reader) || zero != 0 || padding != 0
      || helper->offsets[GW_PUF_CELL_OCTETS - 1] >> (8 - PADDING_BITS) != 0 || helper->bias > 10000)
    return GW_E_MALFORMED;
  return GW_OK;
}
