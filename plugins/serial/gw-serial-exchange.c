/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-serial-exchange.h"

#include <string.h>

#include "gw-time.h"

#define BITS_PER_OCTET 10 /* 8N1 */
/* Between an answer and the next frame: its sender lets go of the line. */
#define GAP_USEC 500
/* After garbage more of it may come: stations begin at different times, adapters hand over in portions. */
#define QUIET_USEC (10 * GW_TIME_MS)
#define ECHO_MISSED_MAX 2
#define LATE_MS 200 /* who answers later than that answers nothing */

void
gw_exchange_init (GwExchange *self, unsigned speed, size_t datagram_max, int64_t now)
{
  memset (self, 0, sizeof *self);
  self->frame_max = datagram_max + datagram_max / 8 + 2 * GW_FRAME_OVERHEAD;
  self->octet_nsec = INT64_C (1000000000) * BITS_PER_OCTET / (speed > 0 ? speed : 1);
  self->wait = GW_STATION_WAIT_MS * GW_TIME_MS;
  self->free_at = now;
  self->last_at = now - LATE_MS * GW_TIME_MS;
}

int64_t
gw_exchange_usec (const GwExchange *self, size_t octets)
{
  return (int64_t) octets * self->octet_nsec / 1000;
}

bool
gw_exchange_is_free (const GwExchange *self, int64_t now)
{
  return self->phase == GW_EXCHANGE_IDLE && now >= self->free_at;
}

void
gw_exchange_begin (GwExchange *self, const GwFrame *frame, bool patient, int64_t now)
{
  self->patient = patient;
  self->phase = GW_EXCHANGE_SENDING;
  self->frame = *frame;
  self->began_at = now;
  self->heard = 0;
  self->echo_seen = false;
}

void
gw_exchange_sent (GwExchange *self, size_t octets, int64_t now)
{
  if (self->phase != GW_EXCHANGE_SENDING)
    return;
  self->phase = GW_EXCHANGE_WAITING;
  self->sent = octets;
  self->sent_at = now + gw_exchange_usec (self, octets);
  self->deadline = self->sent_at + (self->patient ? GW_EXCHANGE_WAIT_MAX_MS * GW_TIME_MS : self->wait);
  self->end_at = self->deadline + gw_exchange_usec (self, self->frame_max);
}

/* ---- From the line ---- */

static void
lengthen (GwExchange *self, int64_t wait, int64_t now)
{
  self->wait = gw_time_max (self->wait, gw_time_min (wait, GW_EXCHANGE_WAIT_MAX_MS * GW_TIME_MS));
  self->late_at = now;
  self->late_once = true;
}

/* One late answer may be an accident of scheduling. */
static void
note_late (GwExchange *self, int64_t now)
{
  self->late++;
  lengthen (self, self->late_once ? self->wait + GW_EXCHANGE_WAIT_STEP_MS * GW_TIME_MS : self->wait, now);
}

/* The first octet of an answer, damaged or not: the next may come a little later. */
static void
note_first (GwExchange *self, int64_t now)
{
  int64_t after = now - self->sent_at;

  if (after > self->wait - GW_EXCHANGE_WAIT_STEP_MS * GW_TIME_MS / 2)
    lengthen (self, after + GW_EXCHANGE_WAIT_STEP_MS * GW_TIME_MS, now);
}

void
gw_exchange_heard (GwExchange *self, size_t octets, int64_t now)
{
  bool was_quiet = now - self->heard_at > QUIET_USEC;

  if (self->phase == GW_EXCHANGE_WAITING && self->heard == 0)
    note_first (self, now);
  self->heard_at = now;
  self->heard += octets;
  if (self->phase == GW_EXCHANGE_WAITING)
    /* Whoever has begun is heard out, as far as one frame goes. */
    self->deadline = gw_time_min (gw_time_max (self->deadline, now + gw_time_max (self->wait / 2, QUIET_USEC)), self->end_at);
  else if (self->phase == GW_EXCHANGE_IDLE)
    {
      if (self->jammed_at == 0 || was_quiet)
        self->jammed_at = now;
      if (now - self->jammed_at < GW_EXCHANGE_JAM_MS * GW_TIME_MS)
        self->free_at = gw_time_max (self->free_at, now + gw_exchange_usec (self, GW_EXCHANGE_QUIET_OCTETS));
    }
}

static bool
is_ours (const GwExchange *self, const GwFrame *frame)
{
  return self->phase != GW_EXCHANGE_IDLE && frame->address == self->frame.address && frame->poll == self->frame.poll
         && frame->info.len == self->frame.info.len
         && (frame->info.len == 0 || memcmp (frame->info.ptr, self->frame.info.ptr, frame->info.len) == 0);
}

/* Only a request to all is known for an echo by itself: a station may answer an empty poll by the same empty frame. */
static bool
take_echo (GwExchange *self, const GwFrame *frame)
{
  if (self->echo_seen || !is_ours (self, frame))
    return false;
  if (frame->address == GW_FRAME_ADDRESS_ALL)
    self->echo = true;
  if (!self->echo)
    return false;
  self->echo_seen = true;
  self->echo_missed = 0;
  /* What came with it in one portion is somebody's answer. */
  self->heard = self->heard > self->sent ? self->heard - self->sent : 0;
  return true;
}

GwExchangeFrame
gw_exchange_take (GwExchange *self, const GwFrame *frame, int64_t now)
{
  if (take_echo (self, frame))
    return GW_EXCHANGE_FRAME_ECHO;
  if (self->phase == GW_EXCHANGE_WAITING && frame->poll && frame->address == self->frame.address)
    return GW_EXCHANGE_FRAME_ANSWER;
  if (self->last_silent && frame->poll && frame->address == self->last_address
      && now - self->last_at < LATE_MS * GW_TIME_MS)
    {
      self->last_silent = false;
      note_late (self, now);
      return GW_EXCHANGE_FRAME_LATE;
    }
  return GW_EXCHANGE_FRAME_UNASKED;
}

/* ---- Its end ---- */

static bool
is_garbage (const GwExchange *self)
{
  size_t own = self->echo && !self->echo_seen ? self->sent : 0;

  return self->heard >= own + GW_EXCHANGE_GARBAGE_MIN;
}

bool
gw_exchange_is_over (const GwExchange *self, int64_t now, GwExchangeResult *result)
{
  if (self->phase != GW_EXCHANGE_WAITING || now < self->deadline)
    return false;
  *result = is_garbage (self) ? GW_EXCHANGE_GARBAGE : GW_EXCHANGE_SILENCE;
  return true;
}

static void
forget_late (GwExchange *self, int64_t now)
{
  if (!self->late_once || now - self->late_at < GW_EXCHANGE_WAIT_KEEP_MS * GW_TIME_MS)
    return;
  self->late_at = now;
  if (self->wait > GW_STATION_WAIT_MS * GW_TIME_MS)
    self->wait = gw_time_max (self->wait - GW_EXCHANGE_WAIT_STEP_MS * GW_TIME_MS, GW_STATION_WAIT_MS * GW_TIME_MS);
  else
    self->late_once = false;
}

void
gw_exchange_end (GwExchange *self, GwExchangeResult result, int64_t now)
{
  if (self->frame.address == GW_FRAME_ADDRESS_ALL && !self->echo_seen && self->echo
      && ++self->echo_missed >= ECHO_MISSED_MAX)
    self->echo = false;
  self->phase = GW_EXCHANGE_IDLE;
  self->last_address = self->frame.address;
  self->last_silent = result == GW_EXCHANGE_SILENCE;
  self->last_at = now;
  self->jammed_at = 0;
  self->free_at = gw_time_max (now, self->heard_at + GAP_USEC);
  forget_late (self, now);
}

int64_t
gw_exchange_due (const GwExchange *self)
{
  switch (self->phase)
    {
    case GW_EXCHANGE_WAITING:
      return self->deadline;
    case GW_EXCHANGE_IDLE:
      return self->free_at;
    default:
      return INT64_MAX;
    }
}

bool
gw_exchange_is_idle (const GwExchange *self)
{
  return self->phase == GW_EXCHANGE_IDLE;
}

int64_t
gw_exchange_took (const GwExchange *self, int64_t now)
{
  return now - self->began_at;
}

size_t
gw_exchange_carries (const GwExchange *self)
{
  return self->frame.info.len;
}

int64_t
gw_exchange_get_wait (const GwExchange *self)
{
  return self->wait;
}

bool
gw_exchange_has_echo (const GwExchange *self)
{
  return self->echo;
}
