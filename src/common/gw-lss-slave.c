/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-lss-slave.h"

#include <string.h>

#define N_SELECTS 4
#define N_IDENTIFIES 6

static void
forget_number (GwLssSlave *self)
{
  self->node_id = GW_LSS_NODE_NONE;
  self->pending = GW_LSS_NODE_NONE;
  self->configuring = false;
  self->booted = false;
  self->position = GW_LSS_SUB_VENDOR;
  self->selected = 0;
  self->identified = 0;
  self->heartbeat_at = INT64_MAX;
}

void
gw_lss_slave_init (GwLssSlave *self, const uint32_t identity[GW_LSS_N_SUBS])
{
  memset (self, 0, sizeof *self);
  memcpy (self->identity, identity, sizeof self->identity);
  forget_number (self);
}

static bool
is_unnumbered (const GwLssSlave *self)
{
  return self->node_id == GW_LSS_NODE_NONE && self->pending == GW_LSS_NODE_NONE;
}

/* CiA 305, 3.10.4. Whether we answer. */
static bool
take_fastscan (GwLssSlave *self, const GwLssMessage *msg)
{
  uint8_t sub = msg->fastscan.sub, check = msg->fastscan.bit_check;

  if (self->configuring || !is_unnumbered (self))
    return false;
  if (check == GW_LSS_BIT_CHECK_START)
    {
      self->position = GW_LSS_SUB_VENDOR;
      return true;
    }
  if (sub != self->position || (self->identity[sub] ^ msg->fastscan.id_number) >> check != 0)
    return false;
  self->position = msg->fastscan.next;
  if (check == 0 && msg->fastscan.next < sub)
    self->configuring = true;
  return true;
}

/* One of the four; the last one that matches leads into configuration. */
static bool
take_select (GwLssSlave *self, const GwLssMessage *msg)
{
  uint8_t step = (uint8_t)(msg->command - GW_LSS_SELECT_VENDOR);

  if (self->configuring || (step != 0 && step != self->selected) || msg->id_number != self->identity[step])
    {
      self->selected = 0;
      return false;
    }
  self->selected = (uint8_t)(step + 1);
  if (self->selected < N_SELECTS)
    return false;
  self->selected = 0;
  self->configuring = true;
  return true;
}

/* One of the six: vendor and product are exact, revision and serial number lie in a range. */
static bool
take_identify (GwLssSlave *self, const GwLssMessage *msg)
{
  static const uint8_t sub_of[N_IDENTIFIES] = { GW_LSS_SUB_VENDOR,   GW_LSS_SUB_PRODUCT, GW_LSS_SUB_REVISION,
                                                GW_LSS_SUB_REVISION, GW_LSS_SUB_SERIAL,  GW_LSS_SUB_SERIAL };
  uint8_t step = (uint8_t)(msg->command - GW_LSS_IDENTIFY_VENDOR);
  uint32_t ours = self->identity[sub_of[step]];
  bool fits = step < 2        ? msg->id_number == ours
              : step % 2 == 0 ? msg->id_number <= ours
                              : msg->id_number >= ours;

  if ((step != 0 && step != self->identified) || !fits)
    {
      self->identified = 0;
      return false;
    }
  self->identified = (uint8_t)(step + 1);
  if (self->identified < N_IDENTIFIES)
    return false;
  self->identified = 0;
  return true;
}

static GwLssSlaveEvent
take_switch (GwLssSlave *self, uint8_t mode, int64_t now)
{
  bool was_configuring = self->configuring;

  self->configuring = mode == 1;
  self->position = GW_LSS_SUB_VENDOR;
  if (!was_configuring || self->configuring || self->node_id != GW_LSS_NODE_NONE
      || self->pending == GW_LSS_NODE_NONE)
    return GW_LSS_SLAVE_NOTHING;
  self->node_id = self->pending;
  self->booted = false;
  self->heartbeat_at = now;
  return GW_LSS_SLAVE_NUMBERED;
}

/* What only a node in configuration mode answers. */
static bool
take_configuration (GwLssSlave *self, const GwLssMessage *msg, GwLssMessage *reply)
{
  if (!self->configuring)
    return false;
  reply->command = msg->command;
  switch (msg->command)
    {
    case GW_LSS_CONFIGURE_NODE_ID:
      if ((msg->node_id >= GW_LSS_NODE_MIN && msg->node_id <= GW_LSS_NODE_MAX)
          || msg->node_id == GW_LSS_NODE_NONE)
        self->pending = msg->node_id;
      else
        reply->result.error = GW_LSS_ERROR_UNSUPPORTED;
      return true;
    case GW_LSS_CONFIGURE_BIT_TIMING: /* the bus has one bit rate, and no number survives the power */
    case GW_LSS_STORE:
      reply->result.error = GW_LSS_ERROR_UNSUPPORTED;
      return true;
    case GW_LSS_INQUIRE_VENDOR:
    case GW_LSS_INQUIRE_PRODUCT:
    case GW_LSS_INQUIRE_REVISION:
    case GW_LSS_INQUIRE_SERIAL:
      reply->id_number = self->identity[msg->command - GW_LSS_INQUIRE_VENDOR];
      return true;
    case GW_LSS_INQUIRE_NODE_ID:
      reply->node_id = self->node_id;
      return true;
    default:
      return false;
    }
}

/* Whether there is an answer. SWITCH_GLOBAL, which has none, is not for here. */
static bool
take_request (GwLssSlave *self, const GwLssMessage *msg, GwLssMessage *reply)
{
  switch (msg->command)
    {
    case GW_LSS_FASTSCAN:
      reply->command = GW_LSS_IDENTIFY_SLAVE;
      return take_fastscan (self, msg);
    case GW_LSS_SELECT_VENDOR:
    case GW_LSS_SELECT_PRODUCT:
    case GW_LSS_SELECT_REVISION:
    case GW_LSS_SELECT_SERIAL:
      reply->command = GW_LSS_SELECTED;
      return take_select (self, msg);
    case GW_LSS_IDENTIFY_VENDOR:
    case GW_LSS_IDENTIFY_PRODUCT:
    case GW_LSS_IDENTIFY_REVISION_LOW:
    case GW_LSS_IDENTIFY_REVISION_HIGH:
    case GW_LSS_IDENTIFY_SERIAL_LOW:
    case GW_LSS_IDENTIFY_SERIAL_HIGH:
      reply->command = GW_LSS_IDENTIFY_SLAVE;
      return take_identify (self, msg);
    case GW_LSS_IDENTIFY_UNNUMBERED:
      reply->command = GW_LSS_UNNUMBERED_SLAVE;
      return is_unnumbered (self);
    default:
      return take_configuration (self, msg, reply);
    }
}

GwLssSlaveEvent
gw_lss_slave_take (GwLssSlave *self, const GwCanFrame *frame, int64_t now, GwCanFrame *answer, bool *answers)
{
  GwLssMessage msg, reply = { .answer = true };
  GwNmtCommand command;
  uint8_t node_id;

  *answers = false;
  if (gw_nmt_decode (frame, &command, &node_id))
    {
      if ((command != GW_NMT_RESET_NODE && command != GW_NMT_RESET_COMMUNICATION)
          || (node_id != 0 && node_id != self->node_id))
        return GW_LSS_SLAVE_NOTHING;
      forget_number (self);
      return GW_LSS_SLAVE_RESET;
    }
  if (gw_lss_decode (frame, &msg) != GW_OK || msg.answer)
    return GW_LSS_SLAVE_NOTHING;
  if (msg.command == GW_LSS_SWITCH_GLOBAL)
    return take_switch (self, msg.mode, now);
  *answers = take_request (self, &msg, &reply);
  if (*answers)
    gw_lss_encode (&reply, answer);
  return GW_LSS_SLAVE_NOTHING;
}

int64_t
gw_lss_slave_due (const GwLssSlave *self)
{
  return self->heartbeat_at;
}

bool
gw_lss_slave_tick (GwLssSlave *self, int64_t now, GwCanFrame *heartbeat)
{
  if (now < self->heartbeat_at)
    return false;
  gw_heartbeat_encode (self->node_id, self->booted ? GW_HEARTBEAT_OPERATIONAL : GW_HEARTBEAT_BOOT, heartbeat);
  self->booted = true;
  self->heartbeat_at += GW_LSS_HEARTBEAT_USEC;
  if (self->heartbeat_at <= now)
    self->heartbeat_at = now + GW_LSS_HEARTBEAT_USEC; /* was held up: no burst */
  return true;
}
