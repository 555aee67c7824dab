/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: what a CAN_RAW socket gives, frames and error frames, classic (16 octets) and FD (72). Every frame that is
 * taken must encode and decode to itself. */
#include <stdlib.h>
#include <string.h>

#include "gw-can-raw-codec.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
check (const uint8_t *data, size_t len)
{
  struct canfd_frame wire;
  GwCanFrame frame, back;
  GwCanRawError error;

  switch (gw_can_raw_decode (data, len, &frame, &error))
    {
    case GW_CAN_RAW_BAD:
      return;
    case GW_CAN_RAW_ERROR:
      if (error.state > GW_CAN_RAW_STATE_OFF)
        abort ();
      return;
    case GW_CAN_RAW_FRAME:
      break;
    }
  if (!gw_can_frame_is_valid (&frame))
    abort ();
  len = gw_can_raw_encode (&frame, &wire);
  if (gw_can_raw_decode (&wire, len, &back, &error) != GW_CAN_RAW_FRAME || memcmp (&frame, &back, sizeof frame) != 0)
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  check (data, size);
  for (size_t at = 0; at + CAN_MTU <= size; at += CAN_MTU)
    check (data + at, CAN_MTU);
  for (size_t at = 0; at + CANFD_MTU <= size; at += CANFD_MTU)
    check (data + at, CANFD_MTU);
  return 0;
}
