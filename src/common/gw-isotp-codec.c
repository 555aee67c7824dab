/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-isotp-codec.h"

#include <string.h>

#define SHORT_HEAD 1      /* kind and 4 bits */
#define SINGLE_ESC_HEAD 2 /* .. then 8 bits of length */
#define FIRST_HEAD 2      /* 12 bits of length */
#define FIRST_ESC_HEAD 6  /* .. none, then 32 */
#define FLOW_LEN 3

#define ST_MIN_MS_MAX 0x7F
#define ST_MIN_100US_FIRST 0xF1
#define ST_MIN_100US_LAST 0xF9

static GwStatus
decode_single (const GwCanFrame *frame, uint8_t nibble, GwReader *r, GwIsotpPdu *out)
{
  uint8_t len = nibble;

  if (frame->len > GW_CAN_LEN_CLASSIC)
    {
      len = gw_reader_u8 (r);
      if (nibble != 0 || len < GW_CAN_LEN_CLASSIC)
        return GW_E_RANGE;
    }
  if (len == 0 || len > r->left)
    return GW_E_RANGE;
  out->data = gw_reader_bytes (r, len);
  return GW_OK;
}

static GwStatus
decode_first (const GwCanFrame *frame, uint8_t nibble, GwReader *r, GwIsotpPdu *out)
{
  if (frame->len < GW_CAN_LEN_CLASSIC)
    return GW_E_TRUNCATED;
  out->len = (uint32_t)nibble << 8 | gw_reader_u8 (r);
  if (out->len == 0)
    {
      out->len = gw_reader_u32be (r);
      if (out->len <= GW_ISOTP_LEN12_MAX)
        return GW_E_RANGE;
    }
  if (out->len <= gw_isotp_single_max (frame->len))
    return GW_E_RANGE;
  out->data = gw_reader_rest (r);
  return GW_OK;
}

GwStatus
gw_isotp_decode (const GwCanFrame *frame, GwIsotpPdu *out)
{
  GwReader r;
  uint8_t head;

  gw_reader_init (&r, frame->data, frame->len);
  head = gw_reader_u8 (&r);
  if (!gw_reader_ok (&r))
    return GW_E_TRUNCATED;
  *out = (GwIsotpPdu){ .kind = (GwIsotpKind)(head >> 4) };
  head &= 0x0F;
  switch (out->kind)
    {
    case GW_ISOTP_SINGLE:
      return decode_single (frame, head, &r, out);
    case GW_ISOTP_FIRST:
      return decode_first (frame, head, &r, out);
    case GW_ISOTP_CONSECUTIVE:
      out->sn = head;
      out->data = gw_reader_rest (&r);
      return out->data.len > 0 ? GW_OK : GW_E_TRUNCATED;
    case GW_ISOTP_FLOW:
      out->status = head;
      out->block_size = gw_reader_u8 (&r);
      out->st_min = gw_reader_u8 (&r);
      return gw_reader_ok (&r) ? GW_OK : GW_E_TRUNCATED;
    default:
      return GW_E_UNSUPPORTED;
    }
}

static size_t
put_head (const GwIsotpPdu *in, uint8_t *out)
{
  out[0] = (uint8_t)(in->kind << 4);
  switch (in->kind)
    {
    case GW_ISOTP_SINGLE:
      if (in->data.len < GW_CAN_LEN_CLASSIC)
        {
          out[0] |= (uint8_t)in->data.len;
          return SHORT_HEAD;
        }
      out[1] = (uint8_t)in->data.len;
      return SINGLE_ESC_HEAD;
    case GW_ISOTP_FIRST:
      if (in->len <= GW_ISOTP_LEN12_MAX)
        {
          out[0] |= (uint8_t)(in->len >> 8);
          out[1] = (uint8_t)in->len;
          return FIRST_HEAD;
        }
      out[1] = 0;
      gw_put_u32be (out + 2, in->len);
      return FIRST_ESC_HEAD;
    case GW_ISOTP_CONSECUTIVE:
      out[0] |= in->sn;
      return SHORT_HEAD;
    default:
      out[0] |= in->status;
      out[1] = in->block_size;
      out[2] = in->st_min;
      return FLOW_LEN;
    }
}

void
gw_isotp_encode (const GwIsotpForm *form, const GwIsotpPdu *in, GwCanFrame *out)
{
  size_t len;

  out->id = form->id;
  out->extended = form->extended;
  out->remote = false;
  out->fd = form->fd;
  out->brs = form->fd && form->brs;
  len = put_head (in, out->data);
  if (in->data.len > 0)
    memcpy (out->data + len, in->data.ptr, in->data.len);
  len += in->data.len;
  out->len = form->pad && len < GW_CAN_LEN_CLASSIC ? GW_CAN_LEN_CLASSIC : gw_can_fd_len (len);
  memset (out->data + len, form->pad_octet, out->len - len);
}

size_t
gw_isotp_single_max (uint8_t dl)
{
  return dl - (dl > GW_CAN_LEN_CLASSIC ? SINGLE_ESC_HEAD : SHORT_HEAD);
}

size_t
gw_isotp_first_data (uint8_t dl, uint32_t len)
{
  return dl - (len > GW_ISOTP_LEN12_MAX ? FIRST_ESC_HEAD : FIRST_HEAD);
}

int64_t
gw_isotp_st_min_usec (uint8_t code)
{
  if (code >= ST_MIN_100US_FIRST && code <= ST_MIN_100US_LAST)
    return (code - ST_MIN_100US_FIRST + 1) * 100;
  return (code <= ST_MIN_MS_MAX ? code : ST_MIN_MS_MAX) * 1000;
}
