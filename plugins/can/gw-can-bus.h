/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A CAN bus without its I/O and without a clock: numbers the nodes (LSS), finds those that have a number (heartbeats),
 * asks them who they are, carries datagrams in ISO-TP, and shares the bus between them. Frames go in by
 * gw_can_bus_take () and out by gw_can_bus_pull () whenever the link can take one. Times are monotonic microseconds.
 *
 * What strangers can make it do is bounded: memory is that of 127 nodes from the start, a frame costs the same whatever is
 * in it, and what it sends because of one node (flow control above all) is a small part of the bus. */

#include "gw-can-lane.h"
#include "gw-can-load.h"
#include "gw-can-node.h"
#include "gw-lss-master.h"

/* Heartbeats are listened to for so long before the first number is given: who has one keeps it. */
#define GW_CAN_LISTEN_MS 1100

typedef struct _GwCanBus GwCanBus;

typedef enum
{
  GW_CAN_DOWN_GONE,
  GW_CAN_DOWN_SILENT,
  GW_CAN_DOWN_REPLACED,
} GwCanDown;

/* For the log; each kind about each node at most once a minute. */
typedef enum
{
  GW_CAN_NEWS_TWO_ON_ONE,  /* two nodes have one number, which is taken from both */
  GW_CAN_NEWS_OTHER_UID,   /* it answers with another uid than LSS numbered */
  GW_CAN_NEWS_NO_ANSWER,   /* it was numbered, or sends heartbeats, and does not answer hello */
  GW_CAN_NEWS_FLOODS,      /* it sends more datagrams than are carried */
  GW_CAN_N_NEWS,
} GwCanNews;

/* Everything is borrowed for the call. None may free the bus. */
typedef struct
{
  /* An endpoint answers. False: it cannot be taken, and is asked again later. */
  bool (*up) (void *owner, unsigned number, const GwLinkHello *hello, GwBytes body, uint32_t rtt_ms);
  void (*down) (void *owner, unsigned number, GwCanDown why);
  /* For the agent; only from nodes that are up. */
  void (*datagram) (void *owner, unsigned number, GwBytes datagram);
  /* The next datagram for a node that is up, into @out of GW_CAN_DATAGRAM_MAX octets. Returns its octets, 0: none. */
  size_t (*next) (void *owner, unsigned number, uint8_t *out);
  void (*news) (void *owner, GwCanNews what, unsigned number);
  /* Somebody cannot be numbered, or does not behave; the kinds of gw-lss-master.h, seldom. @uid is zero where none is
   * known. */
  void (*trouble) (void *owner, GwLssTrouble kind, const uint8_t uid[GW_UID_LEN]);
} GwCanBusFuncs;

typedef struct
{
  uint32_t vendor; /* of the endpoints' identity objects */
  uint8_t nonce[GW_HELLO_NONCE_LEN]; /* any */
} GwCanBusConfig;

typedef struct
{
  uint64_t frames_in, frames_out;
  uint64_t bytes_in, bytes_out; /* of data in frames */
  uint64_t transfers_failed;    /* ISO-TP, either way */
  uint64_t dropped;             /* datagrams that were good but too many, or of nobody who is up */
  uint64_t refused;             /* datagrams that are none */
  uint64_t overflows;           /* messages announced that are longer than a datagram */
} GwCanBusCounters;

/* Memory for all nodes at once; (transfer full). */
GwCanBus *gw_can_bus_new (const GwCanBusConfig *config, const GwCanBusFuncs *funcs, void *owner, int64_t now);
void gw_can_bus_free (GwCanBus *self);

/* What the link is: bit rates in bit/s, 0 where not known; whether it takes FD frames. May change. */
void gw_can_bus_set_link (GwCanBus *self, uint32_t bit_rate, uint32_t data_rate, bool fd);

/* A frame came that we have not sent. */
void gw_can_bus_take (GwCanBus *self, const GwCanFrame *frame, int64_t now);
/* Frames were there that nobody looked at. */
void gw_can_bus_missed (GwCanBus *self, uint32_t frames);
/* A foreign frame: counts, and is not for us. */
void gw_can_bus_overhear (GwCanBus *self, const GwCanFrame *frame);

/* What the link has been given lies before it for so long, microseconds: tell before pulling. */
void gw_can_bus_set_ahead (GwCanBus *self, int64_t usec);
/* The next frame for the link; @tag comes back with its end. */
bool gw_can_bus_pull (GwCanBus *self, GwCanFrame *frame, uint32_t *tag, int64_t now);
/* It has been on the bus. */
void gw_can_bus_sent (GwCanBus *self, uint32_t tag, const GwCanFrame *frame, int64_t now);
/* It has not, and will not be: bus off, or the link is full. The newest of those under way comes first. */
void gw_can_bus_unsent (GwCanBus *self, uint32_t tag, int64_t now);
/* It has not, but later ones may have been: what it belonged to is broken off. */
void gw_can_bus_lost (GwCanBus *self, uint32_t tag, int64_t now);

/* There is a datagram for a node. */
void gw_can_bus_kick (GwCanBus *self, unsigned number);
/* Somebody wants to know now. */
void gw_can_bus_scan (GwCanBus *self, int64_t now);
/* Does what is due. There may be something to pull afterwards. */
void gw_can_bus_tick (GwCanBus *self, int64_t now);
/* When to call it again: ask after everything else was done. */
int64_t gw_can_bus_due (const GwCanBus *self, int64_t now);
/* The bus is gone: all nodes go down. */
void gw_can_bus_end (GwCanBus *self);

const GwCanLoad *gw_can_bus_get_load (const GwCanBus *self);
void gw_can_bus_get_counters (const GwCanBus *self, GwCanBusCounters *out);
/* Transfers of a node that failed and were, or will be, begun anew by those who wanted them. */
uint64_t gw_can_bus_get_retries (const GwCanBus *self, unsigned number);
bool gw_can_bus_is_up (const GwCanBus *self, unsigned number);
unsigned gw_can_bus_count_up (const GwCanBus *self);
