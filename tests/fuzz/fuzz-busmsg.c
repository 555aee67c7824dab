/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Fuzz target for the bus socket's messages. The first octet chooses the sender and the agreed limit, the rest is one
 * packet. What decodes must encode to the same octets. */

#include <stdlib.h>
#include <string.h>

#include "gw-busmsg-codec.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  uint8_t again[GW_BUSMSG_MAX];
  GwBusmsg msg;
  size_t len;

  if (size == 0)
    return 0;
  if (gw_busmsg_decode (&msg,
                        data[0] & 1 ? GW_BUSMSG_FROM_AGENT : GW_BUSMSG_FROM_PLUGIN,
                        data + 1,
                        size - 1,
                        data[0] & 2 ? GW_BUSMSG_DATAGRAM_MAX : GW_BUSMSG_DATAGRAM_MIN) != GW_OK)
    return 0;
  if (gw_busmsg_encode (&msg, again, sizeof again, &len) != GW_OK || len != size - 1
      || memcmp (again, data + 1, len) != 0)
    abort ();
  return 0;
}
