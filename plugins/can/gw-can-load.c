/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-can-load.h"

#include <string.h>

#include "gw-lss-codec.h"

#define NSEC_PER_USEC UINT64_C (1000)
#define NSEC_PER_SEC UINT64_C (1000000000)
/* Octets of a message in its first and in each further frame (ISO 15765-2, 9.6). */
#define FIRST_CLASSIC 6u
#define NEXT_CLASSIC 7u
#define FIRST_FD 62u
#define NEXT_FD 63u
/* Shorter datagrams tell more of the waiting than of the way. */
#define MEASURE_MIN 64u
/* A measured pace counts for this part, and is forgotten by that part a slot. */
#define PACE_GAIN 4
#define PACE_DECAY 4
/* A bus is never computed as fuller than this. */
#define LOAD_MAX 900u

/* ---- Rates ---- */

static uint32_t
rate_of (const GwCanLoad *self)
{
  return self->bit_rate != 0 ? self->bit_rate : GW_CAN_RATE_ASSUMED;
}

static uint32_t
data_rate_of (const GwCanLoad *self)
{
  return self->data_rate != 0 ? self->data_rate : rate_of (self);
}

void
gw_can_load_set_rates (GwCanLoad *self, uint32_t bit_rate, uint32_t data_rate, bool fd)
{
  GwCanFrame sample = { .id = GW_CAN_ID_EXTENDED_MAX / 3, .extended = true, .fd = fd, .brs = fd };

  self->bit_rate = bit_rate;
  self->data_rate = data_rate;
  self->fd = fd;
  sample.len = fd ? GW_CAN_LEN_MAX : GW_CAN_LEN_CLASSIC;
  /* Neither all the same bits, which stuffing makes longest, nor none to stuff. */
  memset (sample.data, 0x1c, sample.len);
  self->frame_nsec = gw_can_frame_nsec (&sample, rate_of (self), data_rate_of (self));
}

void
gw_can_load_init (GwCanLoad *self, int64_t now)
{
  memset (self, 0, sizeof *self);
  self->slot_at = now;
  gw_can_load_set_rates (self, 0, 0, false);
}

/* ---- Frames ---- */

/* CiA 301, 7.3.3: function codes of what a node with the number in the low seven bits sends. */
static bool
is_from_node (uint32_t id)
{
  switch (id & ~UINT32_C (0x7f))
    {
    case 0x080: /* emergency; number 0 is the synchronisation */
    case 0x180: /* process data */
    case 0x280:
    case 0x380:
    case 0x480:
    case 0x580: /* service data, answers */
    case GW_HEARTBEAT_ID:
      return true;
    default:
      return false;
    }
}

uint8_t
gw_can_load_source (const GwCanFrame *frame)
{
  if (!frame->extended)
    return is_from_node (frame->id) ? frame->id & 0x7f : 0;
  if ((frame->id & ~UINT32_C (0xff)) != gw_can_isotp_id (GW_CAN_GATEWAY_ADDRESS, 0))
    return 0;
  return (frame->id & 0xff) < GW_CAN_NODES ? frame->id & 0xff : 0;
}

static void
count_stray (GwCanLoad *self, const GwCanFrame *frame, uint64_t nsec)
{
  uint32_t code = GW_CAN_CULPRIT_FRAMES | (frame->extended ? GW_CAN_CULPRIT_EXTENDED : 0) | frame->id;

  if (code == self->stray)
    self->stray_nsec += nsec;
  if (code == self->vote)
    self->vote_nsec += nsec;
  else if (self->vote_nsec < nsec)
    {
      self->vote = code;
      self->vote_nsec = nsec;
    }
  else
    self->vote_nsec -= nsec;
}

uint64_t
gw_can_load_nsec (const GwCanLoad *self, const GwCanFrame *frame)
{
  return gw_can_frame_nsec (frame, rate_of (self), data_rate_of (self));
}

uint64_t
gw_can_load_count (GwCanLoad *self, const GwCanFrame *frame, uint8_t source)
{
  uint64_t nsec = gw_can_load_nsec (self, frame);

  self->busy_nsec += nsec;
  if (source == 0)
    count_stray (self, frame, nsec);
  else if (source < GW_CAN_NODES)
    self->node_nsec[source] += nsec;
  return nsec;
}

void
gw_can_load_count_unseen (GwCanLoad *self, uint32_t frames)
{
  self->busy_nsec += frames * self->frame_nsec;
}

void
gw_can_load_measure (GwCanLoad *self, size_t octets, int64_t usec)
{
  uint64_t nsec;

  if (octets < MEASURE_MIN || usec <= 0)
    return;
  nsec = (uint64_t) usec * NSEC_PER_USEC / octets;
  if (self->pace_nsec == 0)
    self->pace_nsec = nsec;
  else
    self->pace_nsec = (self->pace_nsec * (PACE_GAIN - 1) + nsec) / PACE_GAIN;
}

/* ---- Slots ---- */

/* What a node's share is a share of. */
static uint64_t
whole_nsec (const GwCanLoad *self, uint64_t slot_nsec)
{
  uint64_t least = slot_nsec * GW_CAN_TRAFFIC_MIN_PERMILLE / 1000;

  if (self->bit_rate != 0)
    return slot_nsec;
  return self->busy_nsec > least ? self->busy_nsec : least;
}

/* What @who took in this slot. */
static uint32_t
share_of (const GwCanLoad *self, uint32_t who, uint64_t slot_nsec)
{
  uint64_t nsec = 0;

  if (who == self->stray)
    nsec = self->stray_nsec;
  else if (who < GW_CAN_NODES)
    nsec = self->node_nsec[who];
  return (uint32_t) (nsec * 1000 / slot_nsec);
}

static void
name_culprit (GwCanLoad *self, uint64_t slot_nsec)
{
  uint32_t worst = self->stray, permille;

  for (uint32_t n = 1; n < GW_CAN_NODES; n++)
    if (share_of (self, n, slot_nsec) > share_of (self, worst, slot_nsec))
      worst = n;
  permille = share_of (self, worst, slot_nsec);
  self->suspect_slots = worst == self->suspect && permille > GW_CAN_CULPRIT_PERMILLE ? self->suspect_slots + 1 : 0;
  if (worst != self->suspect)
    self->suspect_slots = permille > GW_CAN_CULPRIT_PERMILLE;
  self->suspect = worst;
  if (self->suspect_slots >= GW_CAN_CULPRIT_SLOTS)
    self->culprit = worst;
  else if (share_of (self, self->culprit, slot_nsec) < GW_CAN_CULPRIT_OVER_PERMILLE)
    self->culprit = 0;
  self->culprit_permille = share_of (self, self->culprit, slot_nsec);
}

bool
gw_can_load_tick (GwCanLoad *self, int64_t now)
{
  uint64_t slot_nsec, best = self->frame_nsec / (self->fd ? NEXT_FD : NEXT_CLASSIC);

  if (now - self->slot_at < GW_CAN_LOAD_SLOT_USEC)
    return false;
  slot_nsec = (uint64_t) (now - self->slot_at) * NSEC_PER_USEC;
  self->load_permille = (uint32_t) (self->busy_nsec * 1000 / slot_nsec);
  name_culprit (self, whole_nsec (self, slot_nsec));
  self->busy_nsec = 0;
  self->stray = self->vote;
  self->vote = 0;
  self->stray_nsec = self->vote_nsec = 0;
  memset (self->node_nsec, 0, sizeof self->node_nsec);
  self->slot_at = now;
  if (self->pace_nsec > best)
    self->pace_nsec -= (self->pace_nsec - best) / PACE_DECAY;
  return true;
}

/* ---- Figures ---- */

uint32_t
gw_can_load_permille (const GwCanLoad *self)
{
  if (self->bit_rate == 0)
    return GW_CAN_LOAD_UNKNOWN;
  return self->load_permille > 1000 ? 1000 : self->load_permille;
}

uint32_t
gw_can_load_frames (const GwCanLoad *self, size_t octets)
{
  size_t first = self->fd ? FIRST_FD : FIRST_CLASSIC, next = self->fd ? NEXT_FD : NEXT_CLASSIC;

  if (octets <= next)
    return 1;
  return (uint32_t) (2 + (octets - first + next - 1) / next);
}

uint32_t
gw_can_load_round_trip_ms (const GwCanLoad *self, size_t octets)
{
  uint32_t load = self->load_permille > LOAD_MAX ? LOAD_MAX : self->load_permille;
  uint64_t nsec = gw_can_load_frames (self, octets) * self->frame_nsec;

  /* What was measured holds the others' share; only before that it is computed. */
  if (self->pace_nsec == 0)
    nsec = nsec * 1000 / (1000 - load);
  else if (self->pace_nsec * octets > nsec)
    nsec = self->pace_nsec * octets;
  return (uint32_t) (2 * nsec / (NSEC_PER_USEC * 1000) + 1);
}

uint32_t
gw_can_load_capacity (const GwCanLoad *self)
{
  return self->bit_rate == 0 ? 0 : (uint32_t) ((self->fd ? NEXT_FD : NEXT_CLASSIC) * NSEC_PER_SEC / self->frame_nsec);
}

bool
gw_can_load_reaches (const GwCanLoad *self, uint32_t permille)
{
  return self->load_permille >= permille;
}

uint64_t
gw_can_load_frame_nsec (const GwCanLoad *self)
{
  return self->frame_nsec;
}

int64_t
gw_can_load_due (const GwCanLoad *self)
{
  return self->slot_at + GW_CAN_LOAD_SLOT_USEC;
}
