/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-can-raw-codec.h"

#include <linux/can/error.h>
#include <string.h>

static GwCanRawState
state_of (uint32_t classes, uint8_t controller)
{
  if (classes & CAN_ERR_BUSOFF)
    return GW_CAN_RAW_STATE_OFF;
  if (classes & CAN_ERR_RESTARTED)
    return GW_CAN_RAW_STATE_ACTIVE;
  if (!(classes & CAN_ERR_CRTL))
    return GW_CAN_RAW_STATE_SAME;
  if (controller & (CAN_ERR_CRTL_RX_PASSIVE | CAN_ERR_CRTL_TX_PASSIVE))
    return GW_CAN_RAW_STATE_PASSIVE;
  if (controller & (CAN_ERR_CRTL_RX_WARNING | CAN_ERR_CRTL_TX_WARNING))
    return GW_CAN_RAW_STATE_WARNING;
  return controller & CAN_ERR_CRTL_ACTIVE ? GW_CAN_RAW_STATE_ACTIVE : GW_CAN_RAW_STATE_SAME;
}

static void
decode_error (const struct canfd_frame *raw, GwCanRawError *out)
{
  uint32_t classes = raw->can_id & CAN_ERR_MASK;

  *out = (GwCanRawError){ .state = state_of (classes, raw->data[1]) };
  out->bus_error = (classes & (CAN_ERR_PROT | CAN_ERR_ACK | CAN_ERR_BUSERROR | CAN_ERR_TRX)) != 0;
  out->overflow = (classes & CAN_ERR_CRTL) && (raw->data[1] & CAN_ERR_CRTL_RX_OVERFLOW);
  out->restarted = (classes & CAN_ERR_RESTARTED) != 0;
  out->tx_errors = raw->data[6];
  out->rx_errors = raw->data[7];
  /* Old drivers fill them in without saying so. */
  out->has_counters = (classes & CAN_ERR_CNT) || out->tx_errors != 0 || out->rx_errors != 0;
}

GwCanRawKind
gw_can_raw_decode (const void *data, size_t len, GwCanFrame *frame, GwCanRawError *error)
{
  struct canfd_frame raw = { 0 };

  if (len != CAN_MTU && len != CANFD_MTU)
    return GW_CAN_RAW_BAD;
  memcpy (&raw, data, len);
  if (raw.can_id & CAN_ERR_FLAG)
    {
      if (len != CAN_MTU)
        return GW_CAN_RAW_BAD;
      decode_error (&raw, error);
      return GW_CAN_RAW_ERROR;
    }
  *frame = (GwCanFrame){ .extended = (raw.can_id & CAN_EFF_FLAG) != 0, .fd = len == CANFD_MTU };
  frame->id = raw.can_id & (frame->extended ? CAN_EFF_MASK : CAN_SFF_MASK);
  frame->remote = (raw.can_id & CAN_RTR_FLAG) != 0;
  frame->brs = frame->fd && (raw.flags & CANFD_BRS);
  frame->len = raw.len;
  if (!gw_can_frame_is_valid (frame))
    return GW_CAN_RAW_BAD;
  if (!frame->remote)
    memcpy (frame->data, raw.data, frame->len);
  return GW_CAN_RAW_FRAME;
}

size_t
gw_can_raw_encode (const GwCanFrame *in, struct canfd_frame *out)
{
  memset (out, 0, sizeof *out);
  out->can_id = in->id | (in->extended ? CAN_EFF_FLAG : 0) | (in->remote ? CAN_RTR_FLAG : 0);
  out->len = in->len;
  if (in->fd)
    out->flags = in->brs ? CANFD_BRS : 0;
  if (!in->remote)
    memcpy (out->data, in->data, in->len);
  return in->fd ? CANFD_MTU : CAN_MTU;
}
