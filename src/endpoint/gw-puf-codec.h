/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The helper data as they lie in flash: 336 octets, multi-octet numbers big-endian.
 *
 *   0  4  "GWPH"
 *   4  1  version, 1
 *   5  1  blocks, 2
 *   6  1  repetition, 5
 *   7  1  correctable bits of a block, 18
 *   8  2  ones in 10,000 of the cells looked at for bias at enrolment
 *  10  2  0
 *  12 319 the offsets: bit i = cell i xor code bit of cell i; the two bits past the end are 0
 * 331  1  0
 * 332  4  CRC-32 (IEEE 802.3, reflected) of octets 0..331
 *
 * The decoder takes exactly what the encoder writes. */

#include "gw-puf.h"
#include "gw-status.h"

#define GW_PUF_HELPER_LEN 336

typedef struct
{
  uint16_t bias; /* ones in 10,000 */
  uint8_t offsets[GW_PUF_CELL_OCTETS];
} GwPufHelper;

void gw_puf_helper_encode (const GwPufHelper *helper, uint8_t out[GW_PUF_HELPER_LEN]);

/* GW_E_TRUNCATED, GW_E_MALFORMED (length, magic, fields), GW_E_UNSUPPORTED (another version or code),
 * GW_E_CHECK (CRC). */
GwStatus gw_puf_helper_decode (const uint8_t *data, size_t len, GwPufHelper *helper);
