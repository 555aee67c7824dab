// SPDX-License-Identifier: LGPL-2.1-or-later
/* Fuzz target for the sieve in front of libmosquitto. The first octet says which version and in which pieces
 * the rest is fed: the verdict must not depend on that, a refusal must stay, and what is accepted must be the
 * packets that a plain second reading finds. */
#include <stdlib.h>

#include "gw-mqtt-guard-codec.h"

#define MAX_PACKET 2000

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* True if no whole packet in the stream breaks a limit, read all at once. */
static bool
packets_are_small (const uint8_t *data, size_t size)
{
  for (size_t at = 0; at < size;)
    {
      size_t length = 0, start = at++;

      for (unsigned shift = 0; at < size; shift += 7)
        {
          length |= (size_t)(data[at] & 0x7f) << shift;
          if (!(data[at++] & 0x80))
            break;
          if (shift == 21)
            return false;
        }
      if (at < size && at - start + length > MAX_PACKET)
        return false;
      at += length;
    }
  return true;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  GwMqttGuard whole, pieces;
  bool v5, verdict, piecewise = true;
  size_t piece;

  if (size == 0)
    return 0;
  piece = (size_t)data[0] % 7 + 1;
  v5 = data[0] & 0x80;
  data++;
  size--;

  gw_mqtt_guard_init (&whole, MAX_PACKET, v5);
  gw_mqtt_guard_init (&pieces, MAX_PACKET, v5);
  verdict = gw_mqtt_guard_feed (&whole, data, size);
  for (size_t at = 0; at < size; at += piece)
    piecewise = gw_mqtt_guard_feed (&pieces, data + at, size - at < piece ? size - at : piece);
  if (piecewise != verdict)
    abort ();
  if (!verdict && gw_mqtt_guard_feed (&whole, (const uint8_t *)"\xd0\x00", 2))
    abort ();
  if (verdict && (!packets_are_small (data, size) || (size && data[0] >> 4 != 2)))
    abort ();
  return 0;
}
