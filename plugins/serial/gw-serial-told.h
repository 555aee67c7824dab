/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What was told of the stations of a line, so that the same trouble does not fill a log: of each kind the last one. Plain
 * memory of the caller, all zeros is empty; no clock. Times are monotonic microseconds. */

#include "gw-hush.h"

#define GW_SERIAL_TOLD_KINDS 16
#define GW_SERIAL_TOLD_AGAIN_MS 60000 /* the same trouble of the same station */
#define GW_SERIAL_TOLD_MIN_MS 1000    /* troubles of one kind */

typedef struct
{
  struct
  {
    int64_t at; /* 0: never */
    uint8_t address;
    GwHush hush; /* where it is ever another number */
  } of[GW_SERIAL_TOLD_KINDS];
} GwSerialTold;

/* Whether trouble of this @kind (below GW_SERIAL_TOLD_KINDS) with the station at @address is to be told; then it counts as
 * told. */
bool gw_serial_told_is_new (GwSerialTold *self, unsigned kind, uint8_t address, int64_t now);
