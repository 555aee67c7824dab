/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Times and durations in microseconds, as the state machines here count them. */

#include <stdint.h>

#define GW_TIME_MS INT64_C (1000)
#define GW_TIME_SEC INT64_C (1000000)

static inline int64_t
gw_time_ms (int64_t n)
{
  return n * GW_TIME_MS;
}

static inline int64_t
gw_time_min (int64_t a, int64_t b)
{
  return a < b ? a : b;
}

static inline int64_t
gw_time_max (int64_t a, int64_t b)
{
  return a > b ? a : b;
}
