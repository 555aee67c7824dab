/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-station.h"

#include <string.h>

#include "gw-reader.h"
#include "gw-time.h"

#define CYCLE_WEIGHT 8 /* of the smoothed time between polls, as TCP's of round trips (RFC 6298) */
#define LENGTH_OCTETS 2u

uint64_t
gw_station_uid (const uint8_t uid[GW_UID_LEN])
{
  GwReader r;

  gw_reader_init (&r, uid, GW_UID_LEN);
  return gw_reader_u64be (&r);
}

void
gw_station_init (GwStation *self, const GwStationFuncs *funcs, void *owner, const uint8_t uid[GW_UID_LEN], uint16_t mtu)
{
  self->funcs = funcs;
  self->owner = owner;
  self->uid = gw_station_uid (uid);
  self->address = GW_FRAME_ADDRESS_ALL;
  self->muted = self->linked = false;
  self->polled_at = self->cycle = 0;
  self->mtu = mtu;
  self->used = 0;
}

/* ---- What waits for the next poll ---- */

bool
gw_station_send (GwStation *self, const uint8_t *datagram, size_t len)
{
  if (!self->linked || len == 0 || len > self->mtu || len + LENGTH_OCTETS > GW_STATION_QUEUE_LEN - self->used)
    return false;
  gw_put_u16be (self->queue + self->used, (uint16_t) len);
  memcpy (self->queue + self->used + LENGTH_OCTETS, datagram, len);
  self->used = (uint16_t) (self->used + LENGTH_OCTETS + len);
  return true;
}

/* ---- The link ---- */

static void
set_link (GwStation *self, bool up)
{
  if (self->linked == up)
    return;
  self->linked = up;
  self->used = 0;
  self->cycle = 0;
  self->funcs->link (self->owner, up);
}

static void
note_poll (GwStation *self, int64_t now)
{
  int64_t gap = now - self->polled_at;

  if (self->linked)
    self->cycle = self->cycle == 0 ? gap : self->cycle + (gap - self->cycle) / CYCLE_WEIGHT;
  self->polled_at = now;
}

uint32_t
gw_station_cycle_ms (const GwStation *self)
{
  /* A datagram waits for a poll, and what it brings about for the next one. */
  return (uint32_t) (2 * self->cycle / GW_TIME_MS);
}

int64_t
gw_station_tick (GwStation *self, int64_t now)
{
  int64_t due = self->polled_at + GW_STATION_FORGET_MS * GW_TIME_MS;

  if (self->address == GW_FRAME_ADDRESS_ALL && !self->muted)
    return INT64_MAX;
  if (now < due)
    return due;
  self->address = GW_FRAME_ADDRESS_ALL;
  self->muted = false;
  set_link (self, false);
  return INT64_MAX;
}

/* ---- Being found ---- */

static bool
answer_probe (GwStation *self, const GwSmpMessage *req, GwCborWriter *w, uint8_t *buf, size_t size)
{
  GwLinkProbe probe;
  GwLinkHello hello;

  if (gw_link_probe_decode (req->body, &probe) != GW_OK || self->muted
      || self->uid < gw_station_uid (probe.lo) || self->uid > gw_station_uid (probe.hi))
    return false;
  self->funcs->hello (self->owner, &hello);
  hello.has_nonce = false;
  gw_smp_begin_response (w, buf, size, req);
  gw_link_hello_rsp_encode (&hello, w);
  return true;
}

static bool
answer_mute (GwStation *self, const GwSmpMessage *req, int64_t now, GwCborWriter *w, uint8_t *buf, size_t size)
{
  GwLinkMute mute;

  if (gw_link_mute_decode (req->body, &mute) != GW_OK || gw_station_uid (mute.uid) != self->uid)
    return false;
  self->muted = mute.mute;
  self->polled_at = now;
  gw_smp_begin_response (w, buf, size, req);
  gw_smp_empty_encode (w);
  return true;
}

static bool
answer_address (GwStation *self, const GwSmpMessage *req, int64_t now, GwCborWriter *w, uint8_t *buf, size_t size)
{
  GwLinkAddressReq address;
  GwLinkAddressRsp rsp;

  if (gw_link_address_req_decode (req->body, &address) != GW_OK || gw_station_uid (address.uid) != self->uid)
    return false;
  self->address = rsp.address = address.address;
  self->muted = true; /* who has a number need not be found */
  self->polled_at = now;
  gw_smp_begin_response (w, buf, size, req);
  gw_link_address_rsp_encode (&rsp, w);
  return true;
}

/* Whether it was about being found; *@len octets of @buf are the answer. */
static bool
take_link (GwStation *self, GwBytes info, int64_t now, uint8_t *buf, size_t size, size_t *len)
{
  GwSmpMessage req;
  GwCborWriter w;
  bool answers;

  if (gw_datagram_kind (info.ptr, info.len) != GW_DATAGRAM_SMP_REQUEST
      || gw_smp_decode (info.ptr, info.len, &req) != GW_OK || req.group != GW_SMP_GROUP_LINK
      || req.op != GW_SMP_OP_WRITE || req.command < GW_LINK_PROBE || req.command > GW_LINK_ADDRESS)
    return false;
  if (self->funcs->in_session (self->owner))
    return true;
  if (req.command == GW_LINK_PROBE)
    answers = answer_probe (self, &req, &w, buf, size);
  else if (req.command == GW_LINK_MUTE)
    answers = answer_mute (self, &req, now, &w, buf, size);
  else
    answers = answer_address (self, &req, now, &w, buf, size);
  if (!answers || gw_smp_end (&w, len) != GW_OK)
    *len = 0;
  return true;
}

static void
encode (uint8_t address, GwBytes info, uint8_t *out, size_t size, size_t *len)
{
  const GwFrame frame = { .address = address, .poll = true, .info = info };

  if (gw_frame_encode (&frame, out, size, len) != GW_OK)
    *len = 0;
}

/* ---- Frames ---- */

/* Everybody is spoken to: only what asks (P/F = 1) is answered. */
static void
take_broadcast (GwStation *self, const GwFrame *frame, int64_t now, uint8_t *out, size_t size, size_t *len)
{
  uint8_t answer[GW_LINK_MTU_MIN];
  size_t n = 0;

  if (take_link (self, frame->info, now, answer, sizeof answer, &n) && n > 0 && frame->poll)
    encode (GW_FRAME_ADDRESS_ALL, (GwBytes){ answer, n }, out, size, len);
}

/* The oldest datagram that waits; an empty frame where none does. */
static void
answer_poll (GwStation *self, uint8_t *out, size_t size, size_t *len)
{
  GwReader r;
  GwBytes datagram;

  gw_reader_init (&r, self->queue, self->used);
  datagram = gw_reader_bytes (&r, self->used > 0 ? gw_reader_u16be (&r) : 0);
  encode (self->address, datagram, out, size, len);
  memmove (self->queue, r.ptr, r.left);
  self->used = (uint16_t) r.left;
}

void
gw_station_take (GwStation *self, const GwFrame *frame, int64_t now, uint8_t *out, size_t size, size_t *len)
{
  *len = 0;
  if (frame->address == GW_FRAME_ADDRESS_ALL)
    {
      take_broadcast (self, frame, now, out, size, len);
      return;
    }
  if (frame->address != self->address || !frame->poll)
    return;
  note_poll (self, now);
  set_link (self, true);
  answer_poll (self, out, size, len);
  if (frame->info.len > 0 && frame->info.len <= self->mtu)
    self->funcs->datagram (self->owner, frame->info);
}
