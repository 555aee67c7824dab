/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Gives numbers to the nodes of a CAN bus that have none: CiA 305 fastscan, over and over. A state machine without I/O and
 * without a clock, in the caller's memory; nothing to free. Times are monotonic microseconds.
 *
 * The caller hands in what it hears (take), sends what it is given (pull, then confirm or unpull), and calls tick when due.
 * One frame at a time is out. Only nodes with our vendor and product are looked at: those two are asked whole.
 *
 * Silence is an answer, too, and the only thing that takes long: for how long it is waited is made from the slowest answer of
 * late. What was understood wrongly (a late copy, a lost frame) shows when the whole number is asked, or after some silences in
 * a row; then the search goes on from the last bit that still holds.
 *
 * Whoever answers everything hides the others. They are found all the same where equal answers come as frames of their own, by
 * counting them.
 *
 * Nothing that is heard here proves anything: whoever lies gains a number and a line in the log.
 */

#include "gw-lss-codec.h"
#include "gw-lss-holds.h"
#include "gw-lss-numbers.h"
#include "gw-lss-patience.h"
#include "gw-lss-trail.h"
#include "gw-lss-trouble.h"

/* Idle: somebody new is asked for this often. */
#define GW_LSS_PERIOD_USEC INT64_C (500000)
/* .. and this often while only nodes answer that are held off. */
#define GW_LSS_PERIOD_HELD_USEC INT64_C (2000000)
/* After searches that led to nothing: this, then 2, 4 .. times as much, at least so many times what the search took. */
#define GW_LSS_FAILED_USEC INT64_C (500000)
#define GW_LSS_FAILED_MAX_USEC INT64_C (8000000)
#define GW_LSS_FAILED_SHARE 4
#define GW_LSS_ATTEMPTS_MAX 8
#define GW_LSS_SEARCH_MAX_USEC INT64_C (4000000)
#define GW_LSS_CONFIGURE_TRIES 3
/* The link does not send what it was given: give up. */
#define GW_LSS_SEND_USEC INT64_C (2000000)
/* A uid that has a number asks for one: it was switched off and on, unless its heartbeats go on. */
#define GW_LSS_DOUBT_USEC INT64_C (1300000)
/* Who cannot be numbered is tried again after. */
#define GW_LSS_HOLD_USEC INT64_C (60000000)
/* Another master was heard: leave the bus to it for so long. */
#define GW_LSS_FOREIGN_USEC INT64_C (10000000)
/* Answers that nobody asked for, more than so many in a period of idleness, are no late copies. */
#define GW_LSS_STRAYS_MAX 256

/* @uid is borrowed for the call. The master may be called from none of these. */
typedef struct
{
  /* A free number for @uid, or the one it had; 0: none. Numbers on which heartbeats are heard are not free. */
  uint8_t (*number) (void *owner, const uint8_t *uid, int64_t now);
  /* @uid has been told @node_id and to start with it. */
  void (*numbered) (void *owner, uint8_t node_id, const uint8_t *uid, int64_t now);
  /* Once for each kind and uid, and again after GW_LSS_TOLD_USEC. */
  void (*trouble) (void *owner, GwLssTrouble kind, const uint8_t *uid, int64_t now);
} GwLssMasterFuncs;

typedef struct
{
  uint64_t searches; /* that somebody answered */
  uint64_t numbered;
  uint64_t failed;   /* searches that led to nothing */
  uint64_t retried;  /* attempts beyond the first */
  uint64_t frames_out;
  uint64_t silences;
  uint64_t strays; /* answers that nobody waited for */
} GwLssMasterCounters;

/* The implementation's. */
typedef enum
{
  GW_LSS_STEP_IDLE,
  GW_LSS_STEP_RELEASE,   /* everybody back to waiting: a search may have been broken off */
  GW_LSS_STEP_START,
  GW_LSS_STEP_NONSENSE,  /* a vendor that nobody has */
  GW_LSS_STEP_BIT,
  GW_LSS_STEP_CHECK,     /* all that was found of a sub: so many silences in a row are rare */
  GW_LSS_STEP_BISECT,
  GW_LSS_STEP_CONFIRM,   /* all of a sub */
  GW_LSS_STEP_CONFIGURE,
  GW_LSS_STEP_FINISH,
} GwLssStep;

typedef enum
{
  GW_LSS_PHASE_READY,  /* to be pulled */
  GW_LSS_PHASE_PULLED,
  GW_LSS_PHASE_WAIT,   /* for an answer */
  GW_LSS_PHASE_SETTLE, /* for its copies */
} GwLssPhase;

typedef struct
{
  GwLssMasterCounters counters;
  /* The rest is the implementation's. */
  const GwLssMasterFuncs *funcs;
  void *owner;
  GwLssStep step;
  GwLssPhase phase;
  int64_t start_at;     /* IDLE: the next search */
  int64_t foreign_until; /* another master has the bus */
  int64_t begun_at;     /* the search */
  int64_t pulled_at, sent_at, deadline;
  bool dirty;           /* somebody may be in configuration */
  GwLssTrail trail;     /* where the search is */
  unsigned tries, fails, quiet;
  uint8_t node_id;
  GwLssPatience patience;
  unsigned start_copies, background; /* of START; of whoever answers everything */
  unsigned idle_strays;
  uint64_t random;
  GwLssHolds holds;
  GwLssNumbers numbers;
  GwLssTroubles troubles;
} GwLssMaster;

/* @funcs and @owner are borrowed for the object's life. The first search is due at once. */
void gw_lss_master_init (
    GwLssMaster *self, uint32_t vendor, const GwLssMasterFuncs *funcs, void *owner, int64_t now);
/* A frame came from the bus, none of our own: answers (7E4), another master's requests (7E5), heartbeats (701..77F);
 * others are ignored. */
void gw_lss_master_take (GwLssMaster *self, const GwCanFrame *frame, int64_t now);
/* The frame that may go out now. False: nothing, until something else happens. */
bool gw_lss_master_pull (GwLssMaster *self, int64_t now, GwCanFrame *frame);
/* What was pulled has gone out; answers are timed from here, so call it before taking any. */
void gw_lss_master_confirm (GwLssMaster *self, int64_t now);
/* What was pulled has not and will not go out: it is pulled again. */
void gw_lss_master_unpull (GwLssMaster *self);
/* When to call tick: then pull may have a frame. INT64_MAX: a frame waits to be pulled. */
int64_t gw_lss_master_due (const GwLssMaster *self);
void gw_lss_master_tick (GwLssMaster *self, int64_t now);
/* For whoever shares out the bus. Whether somebody has answered and is being looked for; whether the next request may go. */
bool gw_lss_master_is_searching (const GwLssMaster *self);
bool gw_lss_master_is_ready (const GwLssMaster *self);
/* When the question whether anybody is there went out, while its answers may come; INT64_MAX: it is on its way; 0: none is open. */
int64_t gw_lss_master_asked_at (const GwLssMaster *self);
/* Look for new nodes at once, those that are held off among them; unless another master was heard. */
void gw_lss_master_scan (GwLssMaster *self, int64_t now);
/* @node_id was taken from whoever had it (NMT reset): heartbeats that were heard are no sign of life any more. */
void gw_lss_master_forget (GwLssMaster *self, uint8_t node_id);
