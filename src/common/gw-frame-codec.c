/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-frame-codec.h"

uint16_t
gw_frame_fcs (uint16_t fcs, const uint8_t *data, size_t len)
{
  for (size_t i = 0; i < len; i++)
    {
      fcs ^= data[i];
      for (int bit = 0; bit < 8; bit++)
        fcs = (uint16_t)(fcs & 1 ? fcs >> 1 ^ GW_FRAME_FCS_POLY : fcs >> 1);
    }
  return fcs;
}

/* Writes one octet, escaped if need be; false if there is no room. */
static bool
put_escaped (uint8_t *out, size_t size, size_t *len, uint8_t octet)
{
  bool escape = octet == GW_FRAME_FLAG || octet == GW_FRAME_ESCAPE;

  if (size - *len < (escape ? 2u : 1u))
    return false;
  if (escape)
    out[(*len)++] = GW_FRAME_ESCAPE;
  out[(*len)++] = (uint8_t)(escape ? octet ^ GW_FRAME_XOR : octet);
  return true;
}

static bool
put_all (uint8_t *out, size_t size, size_t *len, const uint8_t *data, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (!put_escaped (out, size, len, data[i]))
      return false;
  return true;
}

GwStatus
gw_frame_encode (const GwFrame *frame, uint8_t *out, size_t size, size_t *len)
{
  const uint8_t head[]
      = { frame->address, frame->poll ? GW_FRAME_CONTROL_UI | GW_FRAME_CONTROL_PF : GW_FRAME_CONTROL_UI };
  uint16_t fcs = gw_frame_fcs (GW_FRAME_FCS_INIT, head, sizeof head);
  uint8_t tail[2];
  size_t n = 1;

  fcs = (uint16_t)~gw_frame_fcs (fcs, frame->info.ptr, frame->info.len);
  tail[0] = (uint8_t)fcs;
  tail[1] = (uint8_t)(fcs >> 8);

  if (size < 2)
    return GW_E_SPACE;
  out[0] = GW_FRAME_FLAG;
  /* one octet is held back for the closing flag */
  if (!put_all (out, size - 1, &n, head, sizeof head)
      || !put_all (out, size - 1, &n, frame->info.ptr, frame->info.len)
      || !put_all (out, size - 1, &n, tail, sizeof tail))
    return GW_E_SPACE;
  out[n++] = GW_FRAME_FLAG;
  *len = n;
  return GW_OK;
}

void
gw_frame_decoder_init (GwFrameDecoder *d, uint8_t *buf, size_t size)
{
  *d = (GwFrameDecoder){ .buf = buf, .size = size };
}

void
gw_frame_decoder_reset (GwFrameDecoder *d)
{
  d->len = 0;
  d->synced = false;
  d->escaped = false;
  d->overrun = false;
}

static GwFrameEvent
lost (uint64_t *counter)
{
  (*counter)++;
  return GW_FRAME_EVENT_ERROR;
}

/* A flag ends what was collected and begins the next frame. */
static GwFrameEvent
on_flag (GwFrameDecoder *d, GwFrame *frame)
{
  size_t len = d->len;
  bool overrun = d->overrun;
  bool aborted = d->escaped;
  bool synced = d->synced;

  d->synced = true;
  d->escaped = false;
  d->overrun = false;
  d->len = 0;

  if (!synced)
    return GW_FRAME_EVENT_NONE;
  if (aborted)
    return lost (&d->counters.aborted);
  if (overrun)
    return lost (&d->counters.too_long);
  if (len == 0)
    return GW_FRAME_EVENT_NONE; /* two flags in a row */
  if (len < GW_FRAME_OVERHEAD)
    return lost (&d->counters.too_short);
  if (gw_frame_fcs (GW_FRAME_FCS_INIT, d->buf, len) != GW_FRAME_FCS_GOOD)
    return lost (&d->counters.bad_fcs);
  if ((d->buf[1] & ~GW_FRAME_CONTROL_PF) != GW_FRAME_CONTROL_UI)
    return lost (&d->counters.bad_control);

  frame->address = d->buf[0];
  frame->poll = (d->buf[1] & GW_FRAME_CONTROL_PF) != 0;
  frame->info = (GwBytes){ d->buf + 2, len - GW_FRAME_OVERHEAD };
  d->counters.frames++;
  return GW_FRAME_EVENT_FRAME;
}

GwFrameEvent
gw_frame_decoder_push (GwFrameDecoder *d, uint8_t octet, GwFrame *frame)
{
  if (octet == GW_FRAME_FLAG)
    return on_flag (d, frame);
  if (!d->synced)
    return GW_FRAME_EVENT_NONE; /* the tail of something that began before we listened */
  if (octet == GW_FRAME_ESCAPE)
    {
      d->escaped = true;
      return GW_FRAME_EVENT_NONE;
    }
  if (d->escaped)
    octet ^= GW_FRAME_XOR;
  d->escaped = false;
  if (d->len == d->size)
    d->overrun = true;
  else
    d->buf[d->len++] = octet;
  return GW_FRAME_EVENT_NONE;
}

GwFrameEvent
gw_frame_decoder_feed (GwFrameDecoder *d, const uint8_t *data, size_t len, size_t *used, GwFrame *frame)
{
  for (size_t i = 0; i < len; i++)
    {
      GwFrameEvent event = gw_frame_decoder_push (d, data[i], frame);

      if (event != GW_FRAME_EVENT_NONE)
        {
          *used = i + 1;
          return event;
        }
    }
  *used = len;
  return GW_FRAME_EVENT_NONE;
}
