/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What may happen all the time (a loose wire, a short circuit, an adapter gone mad) is told a few times; then
 * it is only counted, and the count is told ever more seldom until it has been quiet. Times are monotonic
 * microseconds. */

#include <stdbool.h>
#include <stdint.h>

#define GW_HUSH_TELL_MAX 6u
#define GW_HUSH_MIN_USEC INT64_C (60000000)
#define GW_HUSH_MAX_USEC INT64_C (3600000000)

/* Zeroed at first. */
typedef struct
{
  int64_t span, until; /* of what is counted together; until 0: nothing is */
  unsigned count;
  bool silent; /* none of this span is told */
} GwHush;

/* It happened. Whether to tell. */
bool gw_hush_note (GwHush *self, int64_t now);
/* How often it happened untold, once when a span is over; else 0. */
unsigned gw_hush_take_untold (GwHush *self, int64_t now);
