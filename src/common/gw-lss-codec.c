/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-lss-codec.h"

#include <string.h>

#define NMT_LEN 2
#define HEARTBEAT_LEN 1
#define HEARTBEAT_STATE 0x7f /* bit 7 is reserved, and toggles in node guarding */

static uint32_t
get_u32le (const uint8_t *p)
{
  return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void
put_u32le (uint8_t *p, uint32_t v)
{
  for (unsigned i = 0; i < 4; i++)
    p[i] = (uint8_t)(v >> 8 * i);
}

static uint32_t
get_u32be (const uint8_t *p)
{
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool
is_classic_base (const GwCanFrame *frame)
{
  return !frame->extended && !frame->fd && !frame->remote;
}

static void
begin (GwCanFrame *out, uint32_t id, uint8_t len)
{
  memset (out, 0, sizeof *out);
  out->id = id;
  out->len = len;
}

/* ---- LSS ---- */

void
gw_lss_identity (uint32_t vendor, const uint8_t uid[GW_UID_LEN], uint32_t identity[GW_LSS_N_SUBS])
{
  identity[GW_LSS_SUB_VENDOR] = vendor;
  identity[GW_LSS_SUB_PRODUCT] = GW_LSS_PRODUCT;
  identity[GW_LSS_SUB_REVISION] = get_u32be (uid);
  identity[GW_LSS_SUB_SERIAL] = get_u32be (uid + 4);
}

void
gw_lss_uid (const uint32_t identity[GW_LSS_N_SUBS], uint8_t uid[GW_UID_LEN])
{
  gw_put_u32be (uid, identity[GW_LSS_SUB_REVISION]);
  gw_put_u32be (uid + 4, identity[GW_LSS_SUB_SERIAL]);
}

static GwStatus
decode_fastscan (const uint8_t *data, GwLssMessage *out)
{
  out->fastscan.id_number = get_u32le (data + 1);
  out->fastscan.bit_check = data[5];
  out->fastscan.sub = data[6];
  out->fastscan.next = data[7];
  if ((data[5] > 31 && data[5] != GW_LSS_BIT_CHECK_START) || data[6] >= GW_LSS_N_SUBS
      || data[7] >= GW_LSS_N_SUBS)
    return GW_E_RANGE;
  return GW_OK;
}

static GwStatus
decode_request (const uint8_t *data, GwLssMessage *out)
{
  switch (out->command)
    {
    case GW_LSS_SWITCH_GLOBAL:
      out->mode = data[1];
      return data[1] <= 1 ? GW_OK : GW_E_RANGE;
    case GW_LSS_CONFIGURE_NODE_ID:
      out->node_id = data[1]; /* the slave says what is wrong with it */
      return GW_OK;
    case GW_LSS_CONFIGURE_BIT_TIMING:
      out->bit_timing.table = data[1];
      out->bit_timing.index = data[2];
      return GW_OK;
    case GW_LSS_ACTIVATE_BIT_TIMING:
      out->delay = (uint16_t)(data[1] | data[2] << 8);
      return GW_OK;
    case GW_LSS_SELECT_VENDOR:
    case GW_LSS_SELECT_PRODUCT:
    case GW_LSS_SELECT_REVISION:
    case GW_LSS_SELECT_SERIAL:
    case GW_LSS_IDENTIFY_VENDOR:
    case GW_LSS_IDENTIFY_PRODUCT:
    case GW_LSS_IDENTIFY_REVISION_LOW:
    case GW_LSS_IDENTIFY_REVISION_HIGH:
    case GW_LSS_IDENTIFY_SERIAL_LOW:
    case GW_LSS_IDENTIFY_SERIAL_HIGH:
      out->id_number = get_u32le (data + 1);
      return GW_OK;
    case GW_LSS_FASTSCAN:
      return decode_fastscan (data, out);
    case GW_LSS_STORE:
    case GW_LSS_IDENTIFY_UNNUMBERED:
    case GW_LSS_INQUIRE_VENDOR:
    case GW_LSS_INQUIRE_PRODUCT:
    case GW_LSS_INQUIRE_REVISION:
    case GW_LSS_INQUIRE_SERIAL:
    case GW_LSS_INQUIRE_NODE_ID:
      return GW_OK;
    default:
      return GW_E_TYPE;
    }
}

static GwStatus
decode_answer (const uint8_t *data, GwLssMessage *out)
{
  switch (out->command)
    {
    case GW_LSS_CONFIGURE_NODE_ID:
    case GW_LSS_CONFIGURE_BIT_TIMING:
    case GW_LSS_STORE:
      out->result.error = data[1];
      out->result.specific = data[2];
      return GW_OK;
    case GW_LSS_INQUIRE_VENDOR:
    case GW_LSS_INQUIRE_PRODUCT:
    case GW_LSS_INQUIRE_REVISION:
    case GW_LSS_INQUIRE_SERIAL:
      out->id_number = get_u32le (data + 1);
      return GW_OK;
    case GW_LSS_INQUIRE_NODE_ID:
      out->node_id = data[1];
      return (data[1] >= GW_LSS_NODE_MIN && data[1] <= GW_LSS_NODE_MAX) || data[1] == GW_LSS_NODE_NONE
                 ? GW_OK
                 : GW_E_RANGE;
    case GW_LSS_SELECTED:
    case GW_LSS_IDENTIFY_SLAVE:
    case GW_LSS_UNNUMBERED_SLAVE:
      return GW_OK;
    default:
      return GW_E_TYPE;
    }
}

GwStatus
gw_lss_decode (const GwCanFrame *frame, GwLssMessage *out)
{
  GwStatus status;

  memset (out, 0, sizeof *out);
  if (!is_classic_base (frame) || (frame->id != GW_LSS_ID_MASTER && frame->id != GW_LSS_ID_SLAVE))
    return GW_E_TYPE;
  if (frame->len != GW_LSS_LEN)
    return GW_E_TRUNCATED;
  out->command = (GwLssCommand)frame->data[0];
  out->answer = frame->id == GW_LSS_ID_SLAVE;
  status = out->answer ? decode_answer (frame->data, out) : decode_request (frame->data, out);
  if (status != GW_OK)
    memset (out, 0, sizeof *out);
  return status;
}

static void
encode_request (const GwLssMessage *in, uint8_t *data)
{
  switch (in->command)
    {
    case GW_LSS_SWITCH_GLOBAL:
      data[1] = in->mode;
      break;
    case GW_LSS_CONFIGURE_NODE_ID:
      data[1] = in->node_id;
      break;
    case GW_LSS_CONFIGURE_BIT_TIMING:
      data[1] = in->bit_timing.table;
      data[2] = in->bit_timing.index;
      break;
    case GW_LSS_ACTIVATE_BIT_TIMING:
      data[1] = (uint8_t)in->delay;
      data[2] = (uint8_t)(in->delay >> 8);
      break;
    case GW_LSS_FASTSCAN:
      put_u32le (data + 1, in->fastscan.id_number);
      data[5] = in->fastscan.bit_check;
      data[6] = in->fastscan.sub;
      data[7] = in->fastscan.next;
      break;
    case GW_LSS_SELECT_VENDOR:
    case GW_LSS_SELECT_PRODUCT:
    case GW_LSS_SELECT_REVISION:
    case GW_LSS_SELECT_SERIAL:
    case GW_LSS_IDENTIFY_VENDOR:
    case GW_LSS_IDENTIFY_PRODUCT:
    case GW_LSS_IDENTIFY_REVISION_LOW:
    case GW_LSS_IDENTIFY_REVISION_HIGH:
    case GW_LSS_IDENTIFY_SERIAL_LOW:
    case GW_LSS_IDENTIFY_SERIAL_HIGH:
      put_u32le (data + 1, in->id_number);
      break;
    default:
      break; /* the command is all there is */
    }
}

static void
encode_answer (const GwLssMessage *in, uint8_t *data)
{
  switch (in->command)
    {
    case GW_LSS_CONFIGURE_NODE_ID:
    case GW_LSS_CONFIGURE_BIT_TIMING:
    case GW_LSS_STORE:
      data[1] = in->result.error;
      data[2] = in->result.specific;
      break;
    case GW_LSS_INQUIRE_VENDOR:
    case GW_LSS_INQUIRE_PRODUCT:
    case GW_LSS_INQUIRE_REVISION:
    case GW_LSS_INQUIRE_SERIAL:
      put_u32le (data + 1, in->id_number);
      break;
    case GW_LSS_INQUIRE_NODE_ID:
      data[1] = in->node_id;
      break;
    default:
      break;
    }
}

void
gw_lss_encode (const GwLssMessage *in, GwCanFrame *out)
{
  begin (out, in->answer ? GW_LSS_ID_SLAVE : GW_LSS_ID_MASTER, GW_LSS_LEN);
  out->data[0] = (uint8_t)in->command;
  if (in->answer)
    encode_answer (in, out->data);
  else
    encode_request (in, out->data);
}

/* ---- NMT, heartbeat, ISO-TP ids ---- */

void
gw_nmt_encode (GwNmtCommand command, uint8_t node_id, GwCanFrame *out)
{
  begin (out, GW_NMT_ID, NMT_LEN);
  out->data[0] = (uint8_t)command;
  out->data[1] = node_id;
}

bool
gw_nmt_decode (const GwCanFrame *frame, GwNmtCommand *command, uint8_t *node_id)
{
  if (!is_classic_base (frame) || frame->id != GW_NMT_ID || frame->len != NMT_LEN
      || frame->data[1] > GW_LSS_NODE_MAX)
    return false;
  switch (frame->data[0])
    {
    case GW_NMT_START:
    case GW_NMT_STOP:
    case GW_NMT_PRE_OPERATIONAL:
    case GW_NMT_RESET_NODE:
    case GW_NMT_RESET_COMMUNICATION:
      *command = (GwNmtCommand)frame->data[0];
      *node_id = frame->data[1];
      return true;
    default:
      return false;
    }
}

void
gw_heartbeat_encode (uint8_t node_id, uint8_t state, GwCanFrame *out)
{
  begin (out, GW_HEARTBEAT_ID + node_id, HEARTBEAT_LEN);
  out->data[0] = state;
}

bool
gw_heartbeat_decode (const GwCanFrame *frame, uint8_t *node_id, uint8_t *state)
{
  if (!is_classic_base (frame) || frame->id < GW_HEARTBEAT_ID + GW_LSS_NODE_MIN
      || frame->id > GW_HEARTBEAT_ID + GW_LSS_NODE_MAX || frame->len != HEARTBEAT_LEN)
    return false;
  *node_id = (uint8_t)(frame->id - GW_HEARTBEAT_ID);
  *state = frame->data[0] & HEARTBEAT_STATE;
  return true;
}

uint32_t
gw_can_isotp_id (uint8_t target, uint8_t source)
{
  return GW_CAN_ISOTP_ID | (uint32_t)target << 8 | source;
}
