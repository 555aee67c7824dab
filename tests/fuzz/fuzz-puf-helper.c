/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Fuzz target for the PUF's helper data. An odd first octet has the checksum put right, so that what lies
 * behind it is reached; the rest is the flash slot. What decodes must encode to the same octets. */

#include <stdlib.h>
#include <string.h>

#include "gw-puf-codec.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
put_crc (uint8_t *data)
{
  uint32_t crc = UINT32_MAX;

  for (size_t i = 0; i < GW_PUF_HELPER_LEN - 4; i++)
    {
      crc ^= data[i];
      for (unsigned k = 0; k < 8; k++)
        crc = crc & 1 ? crc >> 1 ^ UINT32_C (0xedb88320) : crc >> 1;
    }
  for (unsigned i = 0; i < 4; i++)
    data[GW_PUF_HELPER_LEN - 4 + i] = (uint8_t)(crc >> (24 - 8 * i));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  uint8_t slot[GW_PUF_HELPER_LEN + 1], again[GW_PUF_HELPER_LEN];
  GwPufHelper helper;
  size_t len;

  if (size == 0 || size - 1 > sizeof slot)
    return 0;
  len = size - 1;
  memcpy (slot, data + 1, len);
  if (data[0] & 1 && len >= GW_PUF_HELPER_LEN)
    put_crc (slot);
  if (gw_puf_helper_decode (slot, len, &helper) != GW_OK)
    return 0;
  gw_puf_helper_encode (&helper, again);
  if (len != sizeof again || memcmp (again, slot, len) != 0)
    abort ();
  return 0;
}
