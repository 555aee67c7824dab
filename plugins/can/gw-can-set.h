/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sets of node numbers, 1 to 127. */

#include <stdbool.h>
#include <stdint.h>

#include "gw-can-load.h"

typedef struct
{
  uint64_t bits[2];
} GwCanSet;

static inline void
gw_can_set_add (GwCanSet *set, unsigned n)
{
  set->bits[n / 64] |= UINT64_C (1) << n % 64;
}

static inline void
gw_can_set_remove (GwCanSet *set, unsigned n)
{
  set->bits[n / 64] &= ~(UINT64_C (1) << n % 64);
}

static inline bool
gw_can_set_has (const GwCanSet *set, unsigned n)
{
  return set->bits[n / 64] >> n % 64 & 1;
}

/* The first one after @n; 0: none. Numbers begin with 1. */
static inline unsigned
gw_can_set_after (const GwCanSet *set, unsigned n)
{
  for (unsigned next = n + 1; next < GW_CAN_NODES;)
    {
      uint64_t rest = set->bits[next / 64] >> next % 64;

      if (rest != 0)
        return next + (unsigned) __builtin_ctzll (rest);
      next = (next / 64 + 1) * 64;
    }
  return 0;
}

/* The same, and then from the start again. */
static inline unsigned
gw_can_set_round (const GwCanSet *set, unsigned n)
{
  unsigned next = gw_can_set_after (set, n);

  return next != 0 ? next : gw_can_set_after (set, 0);
}

static inline bool
gw_can_set_is_empty (const GwCanSet *set)
{
  return (set->bits[0] | set->bits[1]) == 0;
}
