/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What can be wrong with the numbering of nodes, and which of it was told lately: the same trouble is not told again with each
 * search. A short list in the caller's memory. Times are monotonic microseconds.
 */

#include <stdbool.h>
#include <stdint.h>

/* The same trouble is told again after. */
#define GW_LSS_TOLD_USEC INT64_C (3600000000)
#define GW_LSS_TOLD_MAX 16

typedef enum
{
  GW_LSS_TROUBLE_NOT_TAKEN,      /* took a number, and no heartbeat came; not told beside a LIAR */
  GW_LSS_TROUBLE_REFUSED,        /* is found, but takes no number */
  GW_LSS_TROUBLE_TWICE,          /* asks for a number while its number's heartbeats go on */
  GW_LSS_TROUBLE_UNSTABLE,       /* somebody answers, but differently each time; uid is zero, as below */
  GW_LSS_TROUBLE_LIAR,           /* somebody answers what nobody can, or what was not asked */
  GW_LSS_TROUBLE_FOREIGN_MASTER,
  GW_LSS_TROUBLE_FULL,           /* there was no number for uid */
} GwLssTrouble;

typedef struct
{
  struct
  {
    bool used;
    GwLssTrouble kind;
    uint64_t uid;
    int64_t at;
  } told[GW_LSS_TOLD_MAX];
  unsigned next;
} GwLssTroubles;

/* Whether it was not told lately; then it counts as told now. A list of all zeros is empty. */
bool gw_lss_trouble_is_new (GwLssTroubles *self, GwLssTrouble kind, uint64_t uid, int64_t now);
