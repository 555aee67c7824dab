/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: the frame decoder on a line of noise. Every frame that comes out must encode and decode to
 * itself, and every octet must be accounted for by the same events however the line is cut into pieces. */
#include <stdlib.h>
#include <string.h>

#include "gw-frame-codec.h"

#define INFO_MAX 64

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
check_frame (const GwFrame *frame)
{
  uint8_t wire[GW_FRAME_ENCODED_MAX (INFO_MAX)], buf[INFO_MAX + GW_FRAME_OVERHEAD];
  GwFrameDecoder d;
  GwFrame back;
  size_t len, used;

  if (gw_frame_encode (frame, wire, sizeof wire, &len) != GW_OK)
    abort ();
  gw_frame_decoder_init (&d, buf, sizeof buf);
  if (gw_frame_decoder_feed (&d, wire, len, &used, &back) != GW_FRAME_EVENT_FRAME || used != len
      || back.address != frame->address || back.poll != frame->poll || back.info.len != frame->info.len
      || memcmp (back.info.ptr, frame->info.ptr, back.info.len) != 0)
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  uint8_t buf_fed[INFO_MAX + GW_FRAME_OVERHEAD], buf_pushed[INFO_MAX + GW_FRAME_OVERHEAD];
  GwFrameDecoder fed, pushed;
  GwFrame frame;
  size_t used;

  gw_frame_decoder_init (&fed, buf_fed, sizeof buf_fed);
  for (size_t off = 0; off < size; off += used)
    if (gw_frame_decoder_feed (&fed, data + off, size - off, &used, &frame) == GW_FRAME_EVENT_FRAME)
      check_frame (&frame);

  gw_frame_decoder_init (&pushed, buf_pushed, sizeof buf_pushed);
  for (size_t i = 0; i < size; i++)
    gw_frame_decoder_push (&pushed, data[i], &frame);
  if (memcmp (&fed.counters, &pushed.counters, sizeof fed.counters) != 0 || fed.len != pushed.len)
    abort ();
  return 0;
}
