/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The search for stations on a shared pair of wires by their 64-bit uids, as RDM does it (ANSI E1.20, section 7): a range
 * is probed; silence means that nobody is in it, one valid answer that somebody is, who is muted so that the same range
 * can be probed again for others, and garbage that several answered at once: the range is split.
 *
 * A state machine without I/O, time or allocation: the caller puts each step on the wire and tells what it heard. It ends
 * whatever the stations do. One that answers where it must not (muted, outside the range, under ever new uids) is taken
 * for silent there: had anybody else been in the range, it would have been garbage. Garbage that leads nowhere (halves of
 * a collision that are both silent, single uids that nobody can mute) is followed a few times only.
 */

#include <stdbool.h>
#include <stdint.h>

#define GW_UID_SEARCH_DEPTH_MAX 64u    /* splits from the whole range to one uid */
#define GW_UID_SEARCH_TRIES 3u         /* of a mute, and of a probe of a single uid */
#define GW_UID_SEARCH_FOUND_MAX 254u   /* in one search; there are no more addresses */
#define GW_UID_SEARCH_LIARS_MAX 16u    /* uids remembered that did not let themselves be muted */
#define GW_UID_SEARCH_PHANTOMS_MAX 16u /* collisions of which nothing was left, beyond one for each station found */
#define GW_UID_SEARCH_LEAVES_MAX 4u    /* single uids that nobody can mute, beyond one for each station found */
#define GW_UID_SEARCH_SILENCES_MIN 8u  /* ranges that are silent where what is garbage is no noise */
#define GW_UID_SEARCH_PROBES_MAX 32768u /* more than 254 stations can need, however their uids lie */

typedef enum
{
  GW_UID_SEARCH_PROBE, /* ask lo .. hi, both inclusive */
  GW_UID_SEARCH_MUTE,  /* mute lo (= hi) */
} GwUidSearchKind;

typedef struct
{
  GwUidSearchKind kind;
  uint64_t lo, hi;
} GwUidSearchStep;

typedef enum
{
  GW_UID_SEARCH_SILENCE,
  GW_UID_SEARCH_ANSWER,
  GW_UID_SEARCH_GARBAGE,
} GwUidSearchHeard;

typedef enum
{
  GW_UID_SEARCH_ON,    /* next step */
  GW_UID_SEARCH_FOUND, /* the uid is muted: give it its address, then take the next step */
  GW_UID_SEARCH_LIED,  /* the uid answered where it must not; next step */
  GW_UID_SEARCH_TWINS, /* asked alone it is garbage, and many others are silent: two have this uid; next step */
} GwUidSearchEvent;

typedef struct
{
  uint64_t lo, hi;
  uint8_t tries;       /* of a single uid that is garbage */
  bool answered;       /* by anybody, since it lies here */
  bool second;         /* the upper half of a split .. */
  bool sibling_silent; /* .. whose lower half was silent at once */
} GwUidSearchRange;

typedef struct
{
  GwUidSearchRange stack[GW_UID_SEARCH_DEPTH_MAX + 1]; /* the last one is being probed */
  uint8_t n_ranges;
  bool muting, gave_up;
  bool blind; /* muting a single uid that was never heard clearly */
  uint8_t mute_tries;
  uint64_t uid; /* being muted */
  uint64_t found[GW_UID_SEARCH_FOUND_MAX];
  uint8_t n_found;
  uint64_t liars[GW_UID_SEARCH_LIARS_MAX];
  uint16_t n_lies, bad_leaves, phantoms, silences;
  uint32_t probes, mutes; /* steps told about so far */
} GwUidSearch;

/* Nothing is being searched. */
void gw_uid_search_init (GwUidSearch *self);
/* From the whole range anew; nothing is known of earlier searches. */
void gw_uid_search_begin (GwUidSearch *self);
/* What to put on the wire now. False: the search has ended. The same step until its result was told. */
bool gw_uid_search_step (const GwUidSearch *self, GwUidSearchStep *step);
/* What the step brought. @uid: of a probe's answer. *@about is the uid that the event is of. A mute's answer counts only
 * as GW_UID_SEARCH_ANSWER. */
GwUidSearchEvent gw_uid_search_heard (GwUidSearch *self, GwUidSearchHeard heard, uint64_t uid, uint64_t *about);
/* Ended at one of the limits above: there may be more. */
bool gw_uid_search_gave_up (const GwUidSearch *self);
