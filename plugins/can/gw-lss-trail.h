/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How far a fastscan has come: what has been found of a node's identity, which bit is being asked, and where it went wrong.
 * It knows the questions, not who answers. Plain memory of the caller.
 */

#include "gw-lss-codec.h"

#define GW_LSS_SUB_BITS 32u

typedef enum
{
  GW_LSS_ASK_START, /* is anybody there? */
  GW_LSS_ASK_BIT,   /* with @guess for its value */
  GW_LSS_ASK_FOUND, /* all bits of the sub that have been decided */
  GW_LSS_ASK_HALF,  /* half of those that are in doubt */
  GW_LSS_ASK_WHOLE, /* the sub; who answers goes on to the next, or into configuration */
} GwLssAsk;

typedef struct
{
  uint32_t vendor;
  uint64_t uid;        /* revision and serial number as found; bits that are not decided are zero */
  unsigned sub, bit;
  bool guess;
  bool known[2];       /* revision, serial number are from a search before: to be asked whole */
  unsigned silent_run; /* so many bits in a row were decided by silence */
  unsigned good, bad;  /* so many first bits of the sub hold, do not hold */
} GwLssTrail;

void gw_lss_trail_forget (GwLssTrail *self);
/* It is most likely @uid. */
void gw_lss_trail_suppose (GwLssTrail *self, uint64_t uid);

/* Begins with the first bit of revision or serial number. */
void gw_lss_trail_begin (GwLssTrail *self);
/* The place of the bit in the uid. What was known from there on is dropped. */
unsigned gw_lss_trail_shift (GwLssTrail *self);
void gw_lss_trail_decide (GwLssTrail *self, bool answered);
/* Whether so many silences in a row are more likely a wrong bit before them. */
bool gw_lss_trail_is_doubtful (const GwLssTrail *self);
/* On to the next bit. False: that was the last one of the sub. */
bool gw_lss_trail_next (GwLssTrail *self);

/* The first @bad bits do not hold, or as many as are decided where that is 0: looks for how many do. */
void gw_lss_trail_halve (GwLssTrail *self, unsigned bad);
/* True: the first wrong bit is found, and decided the other way. */
bool gw_lss_trail_halved (GwLssTrail *self, bool answered);

void gw_lss_trail_encode (const GwLssTrail *self, GwLssAsk ask, GwCanFrame *frame);
/* The @nth question, 0 or 1, for a vendor that nobody has; who answers stays where it is. */
void gw_lss_trail_encode_nonsense (const GwLssTrail *self, unsigned nth, GwCanFrame *frame);
