/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the frames on a bus take of its time, and who takes it: load, the node that takes more than half, and how long a
 * datagram takes at the moment. Plain memory of the caller; no clock. Times are monotonic microseconds, wire times
 * nanoseconds.
 *
 * Where the bit rate is not known (vcan has none) wire times are computed as if it were GW_CAN_RATE_ASSUMED, and no load is
 * told; shares are those of the traffic then, or of GW_CAN_TRAFFIC_MIN_PERMILLE of that rate if there is less. */

#include "gw-can.h"

#define GW_CAN_NODES 128 /* numbers 1 .. 127; 0 is nobody */
#define GW_CAN_RATE_ASSUMED 500000u
#define GW_CAN_LOAD_UNKNOWN UINT32_MAX
#define GW_CAN_TRAFFIC_MIN_PERMILLE 600u
/* The figures are made anew this often. */
#define GW_CAN_LOAD_SLOT_USEC INT64_C (500000)
/* Above this a node is named; for that many slots in a row; and no more named below that. */
#define GW_CAN_CULPRIT_PERMILLE 500u
#define GW_CAN_CULPRIT_SLOTS 2u
#define GW_CAN_CULPRIT_OVER_PERMILLE 400u
/* A culprit is a node's number, or these and the id of frames that belong to no node. */
#define GW_CAN_CULPRIT_FRAMES UINT32_C (0x80000000)
#define GW_CAN_CULPRIT_EXTENDED UINT32_C (0x40000000) /* the id has 29 bits */
/* Source of frames that we sent. */
#define GW_CAN_OURSELVES 0xff

typedef struct
{
  uint32_t bit_rate, data_rate; /* bit/s; 0: not known */
  bool fd;
  int64_t slot_at;                   /* when the slot began */
  uint64_t busy_nsec;                /* in this slot */
  uint64_t node_nsec[GW_CAN_NODES];  /* received from each, in this slot */
  /* Frames of nobody's: what the most frequent id of the last slot takes in this one, and which takes most now (by
   * majority vote, Boyer and Moore: memory for one id tells the one that has more than half). */
  uint32_t stray, vote;              /* as culprit; 0: none */
  uint64_t stray_nsec, vote_nsec;
  uint32_t load_permille;            /* of the last slot, also where the rate is assumed */
  uint32_t suspect, culprit;         /* 0: none */
  uint32_t suspect_slots, culprit_permille;
  uint64_t frame_nsec;               /* a full frame */
  uint64_t pace_nsec;                /* an octet of a datagram, as it was lately; 0: nothing was sent yet */
} GwCanLoad;

void gw_can_load_init (GwCanLoad *self, int64_t now);
/* Bit rates in bit/s, 0 where not known; @fd: datagrams go in FD frames of 64 octets. */
void gw_can_load_set_rates (GwCanLoad *self, uint32_t bit_rate, uint32_t data_rate, bool fd);
/* Whom a frame comes from by its id (ISO-TP to us, heartbeat, CiA 301's predefined connection set); 0: cannot be told. */
uint8_t gw_can_load_source (const GwCanFrame *frame);
/* What @frame takes on this wire, nanoseconds. */
uint64_t gw_can_load_nsec (const GwCanLoad *self, const GwCanFrame *frame);
/* .. and what a full one does. */
uint64_t gw_can_load_frame_nsec (const GwCanLoad *self);
/* A frame was on the bus; @source: the node that sent it, GW_CAN_OURSELVES, or 0: unknown. Returns its wire time. */
uint64_t gw_can_load_count (GwCanLoad *self, const GwCanFrame *frame, uint8_t source);
/* @frames were on the bus that nobody looked at. */
void gw_can_load_count_unseen (GwCanLoad *self, uint32_t frames);
/* A datagram of @octets took this long. */
void gw_can_load_measure (GwCanLoad *self, size_t octets, int64_t usec);
/* Ends the slot if it is time; whether it did. */
bool gw_can_load_tick (GwCanLoad *self, int64_t now);
int64_t gw_can_load_due (const GwCanLoad *self);

/* Permille of the bit rate, or GW_CAN_LOAD_UNKNOWN. */
uint32_t gw_can_load_permille (const GwCanLoad *self);
/* Whether the bus was loaded that much, also where the rate is assumed. */
bool gw_can_load_reaches (const GwCanLoad *self, uint32_t permille);
/* Frames that a datagram takes, its flow control included. */
uint32_t gw_can_load_frames (const GwCanLoad *self, size_t octets);
/* A datagram of @octets there and one back, at the present load, milliseconds. */
uint32_t gw_can_load_round_trip_ms (const GwCanLoad *self, size_t octets);
/* Octets of datagrams that the bus carries in a second, at best; 0: not known. */
uint32_t gw_can_load_capacity (const GwCanLoad *self);
