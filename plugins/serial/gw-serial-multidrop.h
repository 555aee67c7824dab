/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The master of a line with many stations (doc/protocol.md, "A line of many stations"): finds them, polls them in turn,
 * carries their datagrams, and gives up those that fall silent. A state machine without I/O and without a clock: the
 * caller gives it what came from the line and the time, and puts on the line what it is told. Plain memory of the caller,
 * nothing to free.
 *
 * Who is next: every station, the search and the look for numbers in use are flows, and the one that has had the least of
 * the line's time among those that have something to do goes first (start-time fair queueing). A station with traffic has
 * something to do at once; one without it after 5, 10, 20 .. 250 ms, later where there are many. So whoever talks much, or
 * answers late, costs the others no more than a share like theirs.
 *
 * What it hears is in the clear and proves nothing. Times are monotonic microseconds. */

#include "gw-link-question.h"
#include "gw-serial-finder.h"
#include "gw-serial-meter.h"
#include "gw-serial-peer.h"
#include "gw-serial-told.h"

#define GW_MULTIDROP_IDLE_MIN_MS 5    /* first pause after an exchange without a datagram; it doubles .. */
#define GW_MULTIDROP_IDLE_MAX_MS 250  /* .. up to this, or with many stations .. */
#define GW_MULTIDROP_IDLE_CAP_MS 2000 /* .. up to this: empty polls take a quarter of the line at most, where that can be had */
#define GW_MULTIDROP_IDLE_SHARE 4
#define GW_MULTIDROP_MISS_MS 150      /* after a poll without an answer */
#define GW_MULTIDROP_RETRIES 1        /* of a datagram whose poll was not answered */
#define GW_MULTIDROP_QUESTIONS_MAX 5  /* that a station leaves without its hello */
#define GW_MULTIDROP_SWEPT_MIN 8      /* numbers known to be free before the first search */
#define GW_MULTIDROP_SWEPT_KEEP_MS 1000 /* an older silence is asked for again before the number is given */
#define GW_MULTIDROP_GARBLED_MAX 5    /* damaged answers in a row: two stations may have one number */

typedef enum
{
  GW_MULTIDROP_LIES,     /* answers where it must not, or as somebody else */
  GW_MULTIDROP_BABBLES,  /* sends unasked */
  GW_MULTIDROP_HOGS,     /* takes more than its share of the line */
  GW_MULTIDROP_JAMMED,   /* the line is never silent; address 0 */
  GW_MULTIDROP_GARBAGE,  /* a search ended in garbage; address 0 */
  GW_MULTIDROP_SLOW,     /* answers come late: the wait is longer now; address 0 */
  GW_MULTIDROP_FULL,     /* no number is free; address 0 */
  GW_MULTIDROP_SHARED,   /* two stations seem to have this number: it is left alone until they forget it */
  GW_MULTIDROP_TWINS,    /* two stations have the uid of gw_multidrop_get_uid (); address 0 */
  GW_MULTIDROP_N_TROUBLES,
} GwMultidropTrouble;

/* Everything is borrowed for the call, but as said. None may call back but gw_multidrop_kick (). */
typedef struct
{
  /* Put this on the line; its information stays until the next call. gw_multidrop_sent () when the line has it. */
  void (*send) (void *owner, const GwFrame *frame);
  /* The next datagram for the station; empty: there is none. It stays until the next call or until the station is down. */
  GwBytes (*next) (void *owner, uint8_t address);
  /* A station answers. @body is its answer's CBOR. False: it cannot be taken, and is asked again. */
  bool (*up) (void *owner, uint8_t address, const GwLinkHello *hello, GwBytes body, uint32_t rtt_ms);
  void (*down) (void *owner, uint8_t address, GwSerialDown why);
  /* For the agent. Only of stations that are up. */
  void (*datagram) (void *owner, uint8_t address, GwBytes datagram);
  void (*trouble) (void *owner, GwMultidropTrouble trouble, uint8_t address);
  /* Once a window. */
  void (*measured) (void *owner, const GwSerialFigures *figures);
} GwMultidropFuncs;

typedef enum
{
  GW_MULTIDROP_FREE,  /* the number is nobody's, as far as we know */
  GW_MULTIDROP_ASKED, /* somebody has it; who is asked */
  GW_MULTIDROP_UP,
  GW_MULTIDROP_LOST, /* was dropped, may still have the number */
} GwMultidropState;

typedef struct
{
  uint8_t state;       /* GwMultidropState */
  bool swept;          /* FREE: a poll stayed silent, at `at` */
  bool pending;        /* there may be a datagram for it */
  bool asking;         /* ASKED: the next poll carries the question */
  bool known;          /* uid holds */
  uint8_t misses, garbled, retries_left, questions;
  uint64_t uid;
  uint8_t kid[GW_KEY_ID_LEN];
  int64_t at;        /* LOST: when it was dropped; ASKED: when it was asked */
  int64_t due;       /* nothing to do before */
  int64_t wanted_at; /* since when it has had something to do at once; 0: it has not */
  int64_t pause;     /* to the next poll */
  int64_t tag;       /* of the fair queue: time of the line that it has had */
  uint64_t retries;
  GwBytes last; /* the datagram of the last poll */
  GwLinkQuestion question;
} GwMultidropStation;

typedef enum
{
  GW_MULTIDROP_POLL,
  GW_MULTIDROP_SWEEP,
  GW_MULTIDROP_FIND,
  GW_MULTIDROP_ECHO, /* a request that concerns nobody: does the adapter give it back? */
} GwMultidropKind;

typedef struct
{
  const GwMultidropFuncs *funcs;
  void *owner;
  GwExchange exchange;
  GwSerialFinder finder;
  GwMultidropKind kind; /* of the exchange under way */
  uint8_t address;
  uint8_t message[GW_LINK_QUESTION_SIZE];
  bool ended;
  int64_t tag; /* of the flow that went last */
  int64_t find_tag, sweep_tag, sweep_due;
  uint8_t echo_tests;
  uint8_t sweep_next;  /* number to look at next */
  bool sweep_done;     /* all have been looked at once */
  uint8_t assigning;   /* number that is being looked at once more before it is given; 0: none */
  unsigned n_up;
  int64_t traffic_at;  /* last datagram, either way */
  int64_t idle_time;   /* what an exchange without a datagram takes, smoothed */
  uint64_t refused;    /* datagrams and answers that were not taken */
  GwSerialMeter meter;
  int64_t wait_told;
  GwSerialTold told;
  GwMultidropStation stations[GW_FRAME_ADDRESS_STATION_MAX + 1]; /* 0 is nobody's */
} GwMultidrop;

/* @speed: bits per second. @datagram_max: octets. @nonce: any 8 octets; they tell our questions from the agent's. */
void gw_multidrop_init (GwMultidrop *self,
                        const GwMultidropFuncs *funcs,
                        void *owner,
                        unsigned speed,
                        size_t datagram_max,
                        const uint8_t nonce[GW_HELLO_NONCE_LEN],
                        int64_t now);
/* The line has taken the whole frame, of so many octets, framing included. */
void gw_multidrop_sent (GwMultidrop *self, size_t octets, int64_t now);
/* Octets came, good or bad; before the frames that they end. */
void gw_multidrop_heard (GwMultidrop *self, size_t octets, int64_t now);
/* A good frame came. */
void gw_multidrop_take (GwMultidrop *self, const GwFrame *frame, int64_t now);
/* Does what is due, at most one frame, and returns when to call again. */
int64_t gw_multidrop_tick (GwMultidrop *self, int64_t now);
/* There may be a datagram for this station. Then call gw_multidrop_tick (). */
void gw_multidrop_kick (GwMultidrop *self, uint8_t address, int64_t now);
/* Somebody wants to know now who is there. */
void gw_multidrop_scan (GwMultidrop *self, int64_t now);
/* The line is gone. */
void gw_multidrop_end (GwMultidrop *self);
/* Datagrams of this station that were sent again. */
/* The uid that was found last. */
uint64_t gw_multidrop_get_uid (const GwMultidrop *self);
uint64_t gw_multidrop_get_retries (const GwMultidrop *self, uint8_t address);
