/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The endpoint's side of a multidrop line (RS-485, half duplex): being found, numbered and polled, as doc/protocol.md has
 * it. What an endpoint's firmware runs between its UART and its GwEp, and what the simulator runs. A state machine of the
 * caller's memory, without I/O and without a clock; times are monotonic microseconds.
 *
 * A station speaks only when a frame asks it to: one frame for each that gw_station_take () says so, begun at least three
 * octets' time after the end of the frame that asked and at most GW_STATION_ANSWER_MS. The receiver is off while the
 * station sends: it must not hear itself.
 */

#include "gw-frame-codec.h"
#include "gw-link-codec.h"

/* Datagrams that wait for the next polls, octets with two of length each; a firmware with less memory lowers it. */
#ifndef GW_STATION_QUEUE_LEN
#define GW_STATION_QUEUE_LEN 4096u
#endif

/* Everything is borrowed for the call. None may call back into the station but gw_station_send (). */
typedef struct
{
  /* Whether a session is up: then probe, mute and address are not for us. */
  bool (*in_session) (void *owner);
  /* What the endpoint says of itself; a probe's answer carries no nonce. */
  void (*hello) (void *owner, GwLinkHello *out);
  /* Up: it is polled, and may send. Down: nobody polls it any more, and what it sends is lost. */
  void (*link) (void *owner, bool up);
  void (*datagram) (void *owner, GwBytes datagram);
} GwStationFuncs;

typedef struct
{
  const GwStationFuncs *funcs;
  void *owner;
  uint64_t uid;
  uint8_t address; /* GW_FRAME_ADDRESS_ALL: none */
  bool muted, linked;
  int64_t polled_at; /* or muted, or addressed: since then somebody has cared */
  int64_t cycle;     /* smoothed time between two polls */
  uint16_t mtu;
  uint16_t used; /* octets of the queue, the oldest datagram first */
  uint8_t queue[GW_STATION_QUEUE_LEN];
} GwStation;

/* The uid of a key id: its first octets as a number. */
uint64_t gw_station_uid (const uint8_t uid[GW_UID_LEN]);

/* After power-up: no number, not muted. @mtu: the largest datagram either way. */
void gw_station_init (GwStation *self, const GwStationFuncs *funcs, void *owner, const uint8_t uid[GW_UID_LEN], uint16_t mtu);
/* A good frame came that was not our own. *@len octets of @out, a whole encoded frame, are the answer; 0: keep silent.
 * @size should be GW_FRAME_ENCODED_MAX (mtu), and at least that of a hello, or answers get lost. A frame's datagram is handed
 * over after the answer was made, so that an endpoint that takes its time with it is not late. */
void gw_station_take (GwStation *self, const GwFrame *frame, int64_t now, uint8_t *out, size_t size, size_t *len);
/* The endpoint sends: its datagram leaves with a next poll. False: no room, or nobody polls us; it is lost. */
bool gw_station_send (GwStation *self, const uint8_t *datagram, size_t len);
/* Forgets number and mute once nobody has polled us for GW_STATION_FORGET_MS. Returns when to call again. */
int64_t gw_station_tick (GwStation *self, int64_t now);
/* How long a datagram takes to get there and back at the present rate of polling, for the endpoint's time-outs; 0: not
 * known. Milliseconds. */
uint32_t gw_station_cycle_ms (const GwStation *self);
