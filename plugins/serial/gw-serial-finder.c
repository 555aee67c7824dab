/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-serial-finder.h"

#include <string.h>

#include "gw-reader.h"
#include "gw-station.h"
#include "gw-time.h"

void
gw_serial_finder_init (GwSerialFinder *self, int64_t now)
{
  memset (self, 0, sizeof *self);
  gw_uid_search_init (&self->search);
  self->due_at = now;
  self->period_ms = GW_STATION_SEARCH_PERIOD_MS;
}

bool
gw_serial_finder_is_due (const GwSerialFinder *self, int64_t now, int64_t *due)
{
  *due = self->state == GW_SERIAL_FINDER_RESTING           ? self->due_at
         : self->state == GW_SERIAL_FINDER_WANTS_ADDRESS ? INT64_MAX
                                                         : now;
  return now >= *due;
}

/* Rests, if there is no further step. Whether the search ended in garbage. */
static bool
end_search (GwSerialFinder *self, int64_t now)
{
  bool lost = gw_uid_search_gave_up (&self->search);
  GwUidSearchStep step;

  if (self->state != GW_SERIAL_FINDER_SEARCHING || gw_uid_search_step (&self->search, &step))
    return false;
  self->state = GW_SERIAL_FINDER_RESTING;
  self->period_ms = lost ? 2 * self->period_ms : GW_STATION_SEARCH_PERIOD_MS;
  if (self->period_ms > GW_SERIAL_FINDER_PERIOD_MAX_MS)
    self->period_ms = GW_SERIAL_FINDER_PERIOD_MAX_MS;
  self->again = self->search.n_found > 0 && self->again < GW_SERIAL_FINDER_AGAIN_MAX ? self->again + 1 : 0;
  self->due_at = now + (self->again > 0 && !lost ? 0 : self->period_ms * GW_TIME_MS);
  return lost;
}

void
gw_serial_finder_scan (GwSerialFinder *self, int64_t now)
{
  if (self->state == GW_SERIAL_FINDER_RESTING)
    self->due_at = now;
}

/* ---- Requests ---- */

static void
encode (GwSerialFinder *self, const GwUidSearchStep *step, GwCborWriter *w)
{
  GwLinkAddressReq address = { .address = self->address };
  GwLinkMute mute = { .mute = true };
  GwLinkProbe probe;

  switch (self->command)
    {
    case GW_LINK_ADDRESS:
      gw_put_u64be (address.uid, self->uid);
      gw_link_address_req_encode (&address, w);
      break;
    case GW_LINK_MUTE:
      gw_put_u64be (mute.uid, step->lo);
      gw_link_mute_encode (&mute, w);
      break;
    default:
      gw_put_u64be (probe.lo, step->lo);
      gw_put_u64be (probe.hi, step->hi);
      gw_link_probe_encode (&probe, w);
      break;
    }
}

size_t
gw_serial_finder_make (GwSerialFinder *self, uint8_t out[GW_SERIAL_FINDER_MESSAGE_MAX])
{
  GwUidSearchStep step = { 0 };
  GwCborWriter w;
  size_t len = 0;

  if (self->state == GW_SERIAL_FINDER_RESTING)
    {
      gw_uid_search_begin (&self->search);
      self->state = GW_SERIAL_FINDER_SEARCHING;
      self->searches++;
    }
  gw_uid_search_step (&self->search, &step);
  if (self->state == GW_SERIAL_FINDER_GIVING)
    self->command = GW_LINK_ADDRESS;
  else
    self->command = step.kind == GW_UID_SEARCH_MUTE ? GW_LINK_MUTE : GW_LINK_PROBE;
  gw_smp_begin (&w, out, GW_SERIAL_FINDER_MESSAGE_MAX, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, ++self->seq, self->command);
  encode (self, &step, &w);
  return gw_smp_end (&w, &len) == GW_OK ? len : 0;
}

/* ---- Answers ---- */

static bool
decode (const GwSerialFinder *self, GwBytes info, GwSmpMessage *msg)
{
  return gw_datagram_kind (info.ptr, info.len) == GW_DATAGRAM_SMP_RESPONSE
         && gw_smp_decode (info.ptr, info.len, msg) == GW_OK
         && gw_smp_answers (msg, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, self->seq, self->command);
}

bool
gw_serial_finder_answers (const GwSerialFinder *self, GwBytes info)
{
  GwSmpMessage msg;

  return decode (self, info, &msg);
}

/* A well-framed answer that says nothing sensible counts as garbage: somebody is there. */
static GwUidSearchHeard
read_answer (const GwSerialFinder *self, GwBytes info, uint64_t *uid)
{
  GwLinkHello hello;
  GwSmpMessage msg;

  if (!decode (self, info, &msg))
    return GW_UID_SEARCH_GARBAGE;
  if (self->command == GW_LINK_MUTE)
    return gw_smp_empty_decode (msg.body) == GW_OK ? GW_UID_SEARCH_ANSWER : GW_UID_SEARCH_GARBAGE;
  if (gw_link_hello_rsp_decode (msg.body, &hello) != GW_OK)
    return GW_UID_SEARCH_GARBAGE;
  *uid = gw_station_uid (hello.uid);
  return GW_UID_SEARCH_ANSWER;
}

static GwSerialFinderEvent
after_giving (GwSerialFinder *self, GwExchangeResult result, GwBytes info)
{
  GwLinkAddressRsp rsp;
  GwSmpMessage msg;
  bool given = result == GW_EXCHANGE_ANSWER && decode (self, info, &msg)
               && gw_link_address_rsp_decode (msg.body, &rsp) == GW_OK && rsp.address == self->address;

  if (!given && ++self->tries < GW_SERIAL_FINDER_TRIES)
    return GW_SERIAL_FINDER_NOTHING;
  self->state = GW_SERIAL_FINDER_SEARCHING;
  return GW_SERIAL_FINDER_NUMBERED;
}

static GwSerialFinderEvent
after_step (GwSerialFinder *self, GwExchangeResult result, GwBytes info)
{
  GwUidSearchHeard heard = result == GW_EXCHANGE_SILENCE ? GW_UID_SEARCH_SILENCE : GW_UID_SEARCH_GARBAGE;
  uint64_t uid = 0;

  if (result == GW_EXCHANGE_ANSWER)
    heard = read_answer (self, info, &uid);
  switch (gw_uid_search_heard (&self->search, heard, uid, &self->uid))
    {
    case GW_UID_SEARCH_FOUND:
      self->state = GW_SERIAL_FINDER_WANTS_ADDRESS;
      return GW_SERIAL_FINDER_FOUND;
    case GW_UID_SEARCH_LIED:
      return GW_SERIAL_FINDER_LIED;
    case GW_UID_SEARCH_TWINS:
      return GW_SERIAL_FINDER_TWINS;
    default:
      return GW_SERIAL_FINDER_NOTHING;
    }
}

GwSerialFinderEvent
gw_serial_finder_heard (GwSerialFinder *self, GwExchangeResult result, GwBytes info, int64_t now)
{
  GwSerialFinderEvent event = GW_SERIAL_FINDER_NOTHING;

  if (self->state == GW_SERIAL_FINDER_GIVING)
    event = after_giving (self, result, info);
  else if (self->state == GW_SERIAL_FINDER_SEARCHING)
    event = after_step (self, result, info);
  return end_search (self, now) && event == GW_SERIAL_FINDER_NOTHING ? GW_SERIAL_FINDER_LOST : event;
}

void
gw_serial_finder_give (GwSerialFinder *self, uint8_t address, int64_t now)
{
  if (self->state != GW_SERIAL_FINDER_WANTS_ADDRESS)
    return;
  self->state = address != 0 ? GW_SERIAL_FINDER_GIVING : GW_SERIAL_FINDER_SEARCHING;
  self->address = address;
  self->tries = 0;
  end_search (self, now);
}

bool
gw_serial_finder_wants_address (const GwSerialFinder *self)
{
  return self->state == GW_SERIAL_FINDER_WANTS_ADDRESS;
}

uint64_t
gw_serial_finder_get_uid (const GwSerialFinder *self)
{
  return self->uid;
}

uint8_t
gw_serial_finder_get_address (const GwSerialFinder *self)
{
  return self->address;
}
