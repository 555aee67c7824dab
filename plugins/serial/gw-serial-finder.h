/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Finds stations that have no number yet and gives them one: the search by uid (gw-uid-search.h) in messages to all
 * stations. Looks again every GW_STATION_SEARCH_PERIOD_MS; after a search that got lost in garbage later and later, as
 * such a one costs time that the others need. A state machine without I/O and without a clock. */

#include "gw-link-codec.h"
#include "gw-serial-exchange.h"
#include "gw-uid-search.h"

#define GW_SERIAL_FINDER_MESSAGE_MAX 64
#define GW_SERIAL_FINDER_TRIES 3 /* of giving a number */
#define GW_SERIAL_FINDER_AGAIN_MAX 4 /* searches without a rest, while each finds somebody: where there is one there are more */
#define GW_SERIAL_FINDER_PERIOD_MAX_MS 30000 /* between searches that lead nowhere */

typedef enum
{
  GW_SERIAL_FINDER_NOTHING,
  GW_SERIAL_FINDER_FOUND,   /* `uid` is muted, and waits for gw_serial_finder_give () */
  GW_SERIAL_FINDER_NUMBERED, /* `uid` has `address`, or may have it: its answer did not come */
  GW_SERIAL_FINDER_LIED,    /* `uid` answered where it must not */
  GW_SERIAL_FINDER_TWINS,   /* two have `uid` */
  GW_SERIAL_FINDER_LOST,    /* the search ended in garbage: there may be more stations */
} GwSerialFinderEvent;

typedef struct
{
  GwUidSearch search;
  enum
  {
    GW_SERIAL_FINDER_RESTING, /* until due_at */
    GW_SERIAL_FINDER_SEARCHING,
    GW_SERIAL_FINDER_WANTS_ADDRESS,
    GW_SERIAL_FINDER_GIVING,
  } state;
  int64_t due_at;
  uint32_t period_ms;
  uint8_t seq, command, tries, address;
  uint64_t uid;
  uint8_t again; /* searches without a rest so far */
  uint64_t searches;
} GwSerialFinder;

void gw_serial_finder_init (GwSerialFinder *self, int64_t now);
/* Whether it has something to send; else @due says when to ask again (INT64_MAX: after gw_serial_finder_give ()). */
bool gw_serial_finder_is_due (const GwSerialFinder *self, int64_t now, int64_t *due);
/* The request to all stations that is next; returns its octets. */
size_t gw_serial_finder_make (GwSerialFinder *self, uint8_t out[GW_SERIAL_FINDER_MESSAGE_MAX]);
/* Whether @info answers that request: then it is an answer, whatever it says. */
bool gw_serial_finder_answers (const GwSerialFinder *self, GwBytes info);
/* What became of it. @info of an answer. */
GwSerialFinderEvent gw_serial_finder_heard (GwSerialFinder *self, GwExchangeResult result, GwBytes info, int64_t now);
/* The station that was found last, and the number that it was given. */
bool gw_serial_finder_wants_address (const GwSerialFinder *self);
uint64_t gw_serial_finder_get_uid (const GwSerialFinder *self);
uint8_t gw_serial_finder_get_address (const GwSerialFinder *self);
/* The number for the station found; 0: there is none, and it stays muted until it forgets that. */
void gw_serial_finder_give (GwSerialFinder *self, uint8_t address, int64_t now);
/* Somebody wants to know now. */
void gw_serial_finder_scan (GwSerialFinder *self, int64_t now);
