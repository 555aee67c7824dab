/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A chip for the endpoint's unit tests: a GwSimPuf, flash in memory that can be damaged or cut, entropy from
 * a counter (so that runs are the same), no line. */

#include <glib.h>

#include "gw-ep-platform.h"
#include "gw-sim-puf.h"

typedef struct
{
  GwEpPlatform platform; /* ctx is the chip */
  GwSimPuf *puf;
  GByteArray *nv[GW_EP_NV_N_SLOTS]; /* NULL: never written */
  guint writes_left;                /* nv_write fails once this is used up */
  guint64 entropy;
  guint puf_reads;
  gboolean entropy_fails;
} TestChip;

/* Takes over `puf` and powers up. */
void test_chip_init (TestChip *self, GwSimPuf *puf);
void test_chip_clear (TestChip *self);
