/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* From whom numbers were taken back: nodes that lie get another number each time, so each has to wait longer than the time
 * before. A short list in the caller's memory; all zeros is empty. Times are monotonic microseconds. */

#include <stdbool.h>
#include <stdint.h>

/* A number is taken back from the same node at most so often, half as often each time. */
#define GW_CAN_TAKE_BACK_MIN_MS 5000
#define GW_CAN_TAKE_BACK_MAX_MS 600000
#define GW_CAN_TAKEN_MAX 16 /* nodes of which that is remembered */

typedef struct
{
  struct
  {
    uint64_t whom; /* 0: nobody */
    unsigned times;
    int64_t at;
  } of[GW_CAN_TAKEN_MAX];
} GwCanTaken;

/* Whether a number may be taken from @whom (not 0; its uid, or the number where none is known); then it counts as done. */
bool gw_can_taken_may (GwCanTaken *self, uint64_t whom, int64_t now);
