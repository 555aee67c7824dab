/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What carries datagrams between the bus and one node: ISO-TP both ways, the kind of frames that the node takes, and what it
 * may cost the others (flow control on the wire, datagrams for the agent). No I/O and no clock; plain memory of the caller.
 * Times are monotonic microseconds. */

#include "gw-can-load.h"
#include "gw-isotp.h"

/* Octets of the longest datagram either way. */
#define GW_CAN_DATAGRAM_MAX 2048u
/* Flow control for one node takes at most this part of the bus when the bus is loaded that much, after so many. */
#define GW_CAN_FLOW_PERMILLE 40u
#define GW_CAN_FLOW_LOAD_PERMILLE 700u
#define GW_CAN_FLOW_BURST 16u
/* Datagrams a second of one node for the agent, and at once. More are dropped and counted. At 500 kbit/s no node can
 * send as many that hold anything. */
#define GW_CAN_DATAGRAMS_RATE 500u
#define GW_CAN_DATAGRAMS_BURST 64u

/* ISO 15765-2, 9.6.1: high half of the first octet. */
typedef enum
{
  GW_CAN_PCI_SINGLE,
  GW_CAN_PCI_FIRST,
  GW_CAN_PCI_CONSECUTIVE,
  GW_CAN_PCI_FLOW,
  GW_CAN_PCI_NONE = 0xff, /* an empty frame */
} GwCanPci;

/* Whether a node takes FD frames is learned from what it sends. */
typedef enum
{
  GW_CAN_FRAMES_UNKNOWN,
  GW_CAN_FRAMES_CLASSIC,
  GW_CAN_FRAMES_FD,
} GwCanFrames;

typedef struct
{
  GwIsotp isotp;
  uint8_t number;
  uint8_t generation; /* of isotp */
  GwCanFrames frames;
  bool rx_fd; /* the message being received comes in FD frames */
  size_t tx_len;
  int64_t tx_at, rx_at;
  int64_t gone_at; /* when its newest frame will have been on the bus, as far as the link knows: some say "sent" early */
  int64_t awaited_at;              /* flow control was asked for */
  int64_t flow_nsec, flow_at;      /* bucket of wire time for flow control */
  int64_t datagrams, datagrams_at; /* bucket of datagrams, in millionths */
  uint64_t retries;
  uint8_t rx[GW_CAN_DATAGRAM_MAX], tx[GW_CAN_DATAGRAM_MAX];
} GwCanLane;

void gw_can_lane_init (GwCanLane *self, uint8_t number);
/* Somebody is there where nobody was. */
void gw_can_lane_open (GwCanLane *self, const GwCanLoad *load, int64_t now);
/* What is under way either way is broken off. */
void gw_can_lane_reset (GwCanLane *self);
/* Another one after each reset: ends of older frames are nobody's. */
uint8_t gw_can_lane_get_generation (const GwCanLane *self);
uint64_t gw_can_lane_get_retries (const GwCanLane *self);

GwCanPci gw_can_lane_pci (const GwCanFrame *frame);

/* ---- From the node ---- */

GwIsotpEvent gw_can_lane_take (GwCanLane *self, const GwCanFrame *frame, int64_t now);
/* The message that was RECEIVED. */
GwBytes gw_can_lane_message (const GwCanLane *self);
/* It was an answer: the node takes frames of the kind that it sent. */
void gw_can_lane_learn (GwCanLane *self);
/* Whether RECEIVE_FAILED because the message is longer than a datagram. */
bool gw_can_lane_overflowed (const GwCanLane *self);
/* Whether the agent gets another datagram of it; then it counts. */
bool gw_can_lane_may_carry (GwCanLane *self, int64_t now);

/* ---- To the node ---- */

bool gw_can_lane_is_sending (const GwCanLane *self);
/* Where the next datagram goes to be sent, GW_CAN_DATAGRAM_MAX octets. */
uint8_t *gw_can_lane_buffer (GwCanLane *self);
/* Begins to send what was put there; 0: nothing. @fd: the link takes FD frames; @try_fd: so may the node, if that is not
 * known. */
bool gw_can_lane_send (GwCanLane *self, size_t len, bool fd, bool try_fd, int64_t now);
/* The next frame; one that asks for flow control is awaited to be answered. */
bool gw_can_lane_pull (GwCanLane *self, GwCanFrame *frame, int64_t now);
bool gw_can_lane_is_awaited (const GwCanLane *self, int64_t now);
/* Whether it has flow control left; only a full bus counts it. */
bool gw_can_lane_may_flow (GwCanLane *self, const GwCanLoad *load, int64_t now);
bool gw_can_lane_pull_flow (GwCanLane *self, const GwCanLoad *load, GwCanFrame *frame, int64_t now);

/* What was pulled last will have been on the bus at @at. */
void gw_can_lane_leaves (GwCanLane *self, int64_t at);
/* The oldest frame was sent; the newest was not, and is pulled again; one was lost, and what it belonged to with it. */
GwIsotpEvent gw_can_lane_confirm (GwCanLane *self, int64_t now);
void gw_can_lane_unpull (GwCanLane *self);
void gw_can_lane_lose (GwCanLane *self);

/* ---- Either way ---- */

/* What an event means for the figures of node and bus: call it first. */
void gw_can_lane_note (GwCanLane *self, GwIsotpEvent event, GwCanLoad *load, int64_t now);
int64_t gw_can_lane_due (const GwCanLane *self);
/* One event a call, until NOTHING. */
GwIsotpEvent gw_can_lane_tick (GwCanLane *self, int64_t now);
