/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: what rtnetlink tells of an interface, several messages in a buffer. Every step must take octets or end, and
 * only the interface that was asked for is told of. */
#include <stdlib.h>

#include "gw-can-netlink-codec.h"

#define INDEX 3

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  GwCanNetlink told;
  size_t used;

  do
    {
      if (gw_can_netlink_decode (data, size, INDEX, &told, &used) != GW_CAN_NETLINK_OTHER && used == 0)
        abort ();
      if (used > size)
        abort ();
      data += used;
      size -= used;
    }
  while (used > 0);
  return 0;
}
