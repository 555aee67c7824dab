/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* When ISO-TP gives way: to the search for new nodes, whose answers lose the arbitration against it, and to the nodes, whose
 * frames lose against ours. A state machine without I/O and without a clock; plain memory of the caller. Times are monotonic
 * microseconds. */

#include "gw-lss-master.h"

typedef struct
{
  bool searching;        /* a turn of the search, from search_at on */
  int64_t search_at;
  unsigned fruitless;    /* such turns since somebody came up */
  int64_t traffic_until; /* a turn of the traffic */
  int64_t carried_at;    /* the last ISO-TP frame, either way */
  unsigned run, yielded; /* data frames sent in a row; frames heard while yielding */
  int64_t yield_until;   /* 0: not yielding */
  int64_t ahead;         /* what the link has to send yet */
  int64_t start_ahead;   /* .. before the last question of the search */
} GwCanTurn;

/* What the link was given will be sent so much later. */
void gw_can_turn_set_ahead (GwCanTurn *self, int64_t usec);
int64_t gw_can_turn_get_ahead (const GwCanTurn *self);
/* Begins and ends turns; @waits: there is something that could be sent. */
void gw_can_turn_take (GwCanTurn *self, const GwLssMaster *lss, bool waits, int64_t now);
/* Whether the next question of the search may be put. */
bool gw_can_turn_may_search (const GwCanTurn *self, int64_t now);
/* It was handed to the link. */
void gw_can_turn_asked (GwCanTurn *self);
/* Somebody new has come up. */
void gw_can_turn_found (GwCanTurn *self);
/* Until when ISO-TP is held back; 0: it is not. */
int64_t gw_can_turn_held_until (const GwCanTurn *self, const GwLssMaster *lss, int64_t now);

/* An ISO-TP frame of a node; one of ours that was sent; one with data that is handed to the link. @frame_nsec: what a full one
 * takes. */
void gw_can_turn_heard (GwCanTurn *self, uint64_t frame_nsec, int64_t now);
void gw_can_turn_sent (GwCanTurn *self, int64_t now);
void gw_can_turn_pulled (GwCanTurn *self);
/* Whether data is held back for the nodes; @awaiting: for one that is to send flow control. */
bool gw_can_turn_yields (GwCanTurn *self, bool awaiting, uint64_t frame_nsec, int64_t now);

/* When something changes by itself; INT64_MAX: never. */
int64_t gw_can_turn_due (const GwCanTurn *self, const GwLssMaster *lss, int64_t now);
