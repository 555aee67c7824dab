/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Uids that the LSS master is not to number for some time, and why: a short list of the caller's memory. When it is full, one
 * that costs no more than a search in vain makes room. Times are monotonic microseconds.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GW_LSS_HOLDS_MAX 64

typedef enum
{
  GW_LSS_HOLD_NONE,
  GW_LSS_HOLD_PENDING, /* was numbered, and its first heartbeat has not come */
  GW_LSS_HOLD_DOUBT,   /* has a number, and asks for one: switched off and on, or there twice? */
  GW_LSS_HOLD_OFF,     /* cannot be numbered */
} GwLssHoldWhy;

typedef struct
{
  GwLssHoldWhy why;
  uint8_t node_id; /* PENDING and DOUBT: the number that it has */
  uint64_t uid;
  int64_t until;
} GwLssHold;

typedef struct
{
  GwLssHold of[GW_LSS_HOLDS_MAX];
  int64_t due; /* the first end of one; INT64_MAX: never */
} GwLssHolds;

void gw_lss_holds_init (GwLssHolds *self);
/* One uid is held once: the last reason counts. */
void gw_lss_holds_add (GwLssHolds *self, uint64_t uid, GwLssHoldWhy why, uint8_t node_id, int64_t until);
void gw_lss_holds_end (GwLssHolds *self, GwLssHold *hold);
bool gw_lss_holds_has (const GwLssHolds *self, uint64_t uid);
/* Whether one has the bits of @prefix from @shift (0 .. 63) on. */
bool gw_lss_holds_has_below (const GwLssHolds *self, uint64_t prefix, unsigned shift);
unsigned gw_lss_holds_count (const GwLssHolds *self, GwLssHoldWhy why);
/* The next one whose time is up at @now, or NULL; the caller ends it or adds it anew. */
GwLssHold *gw_lss_holds_over (GwLssHolds *self, int64_t now);
