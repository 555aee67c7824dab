/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-lss-trail.h"

#define SILENT_RUN_MAX 6u
/* No vendor is likely to have both. */
#define NONSENSE_VENDOR 0xA5C35A3Cu

static unsigned
place (const GwLssTrail *self)
{
  return self->bit + (self->sub == GW_LSS_SUB_REVISION ? GW_LSS_SUB_BITS : 0);
}

/* The bit and all below it are open again. */
static void
cut (GwLssTrail *self)
{
  self->uid &= ~(((uint64_t)2 << place (self)) - 1);
}

void
gw_lss_trail_forget (GwLssTrail *self)
{
  self->known[0] = self->known[1] = false;
}

void
gw_lss_trail_suppose (GwLssTrail *self, uint64_t uid)
{
  self->uid = uid;
  self->known[0] = self->known[1] = true;
}

void
gw_lss_trail_begin (GwLssTrail *self)
{
  self->bit = GW_LSS_SUB_BITS - 1;
  self->silent_run = 0;
}

unsigned
gw_lss_trail_shift (GwLssTrail *self)
{
  cut (self);
  return place (self);
}

static void
set_bit (GwLssTrail *self, bool set)
{
  if (set)
    self->uid |= (uint64_t)1 << place (self);
}

void
gw_lss_trail_decide (GwLssTrail *self, bool answered)
{
  set_bit (self, answered == self->guess);
  self->silent_run = answered ? 0 : self->silent_run + 1;
}

bool
gw_lss_trail_is_doubtful (const GwLssTrail *self)
{
  return self->silent_run >= SILENT_RUN_MAX && self->bit > 0;
}

bool
gw_lss_trail_next (GwLssTrail *self)
{
  if (self->bit == 0)
    return false;
  self->bit--;
  return true;
}

void
gw_lss_trail_halve (GwLssTrail *self, unsigned bad)
{
  self->silent_run = 0;
  self->good = 0;
  self->bad = bad > 0 ? bad : GW_LSS_SUB_BITS - self->bit;
}

static unsigned
middle (const GwLssTrail *self)
{
  return (self->good + self->bad) / 2;
}

bool
gw_lss_trail_halved (GwLssTrail *self, bool answered)
{
  bool was_set;

  if (answered)
    self->good = middle (self);
  else
    self->bad = middle (self);
  if (self->bad - self->good > 1)
    return false;
  /* good bits hold, one more does not: that one is the other way */
  self->bit = GW_LSS_SUB_BITS - 1 - self->good;
  was_set = (self->uid >> place (self) & 1) != 0;
  cut (self);
  set_bit (self, !was_set);
  return true;
}

static uint32_t
id_number (const GwLssTrail *self)
{
  switch (self->sub)
    {
    case GW_LSS_SUB_VENDOR:
      return self->vendor;
    case GW_LSS_SUB_PRODUCT:
      return GW_LSS_PRODUCT;
    case GW_LSS_SUB_REVISION:
      return (uint32_t)(self->uid >> GW_LSS_SUB_BITS);
    default:
      return (uint32_t)self->uid;
    }
}

void
gw_lss_trail_encode (const GwLssTrail *self, GwLssAsk ask, GwCanFrame *frame)
{
  GwLssMessage msg = { .command = GW_LSS_FASTSCAN };
  uint32_t number = id_number (self);
  unsigned check = 0, next = self->sub;

  if (ask == GW_LSS_ASK_START)
    {
      msg.fastscan.bit_check = GW_LSS_BIT_CHECK_START;
      gw_lss_encode (&msg, frame);
      return;
    }
  if (ask == GW_LSS_ASK_WHOLE)
    next = (self->sub + 1) % GW_LSS_N_SUBS;
  else
    check = ask == GW_LSS_ASK_HALF ? GW_LSS_SUB_BITS - middle (self) : self->bit;
  if (ask == GW_LSS_ASK_BIT)
    number |= (uint32_t)self->guess << self->bit;
  msg.fastscan.id_number = number >> check << check; /* bits that are not asked are sent 0 */
  msg.fastscan.bit_check = (uint8_t)check;
  msg.fastscan.sub = (uint8_t)self->sub;
  msg.fastscan.next = (uint8_t)next;
  gw_lss_encode (&msg, frame);
}

void
gw_lss_trail_encode_nonsense (const GwLssTrail *self, unsigned nth, GwCanFrame *frame)
{
  GwLssTrail trail = { .vendor = self->vendor ^ (NONSENSE_VENDOR + nth) };

  gw_lss_trail_encode (&trail, GW_LSS_ASK_FOUND, frame);
}
