/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Fuzz target for lines of a batch. What parses must parse to the same when written again. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gw-batch-codec.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  guint8 kid[GW_KEY_ID_LEN], again[GW_KEY_ID_LEN];
  char line[GW_KEY_ID_TEXT_LEN + 1];

  if (gw_batch_parse_line ((const char *)data, size, kid) != GW_BATCH_LINE_ID)
    return 0;
  gw_batch_format_line (kid, line);
  if (gw_batch_parse_line (line, GW_KEY_ID_TEXT_LEN, again) != GW_BATCH_LINE_ID
      || memcmp (kid, again, sizeof kid) != 0)
    abort ();
  return 0;
}
