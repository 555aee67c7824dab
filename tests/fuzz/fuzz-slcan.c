/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: SLCAN lines of either end (the first octet says which) out of noise. Every line that is
 * understood must encode and decode to itself, into as much room as the header promises and into no less than
 * it needs. */
#include <stdlib.h>
#include <string.h>

#include "gw-slcan-codec.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
check_text (const GwSlcanLine *line)
{
  if (memchr (line->text, '\0', sizeof line->text) == NULL)
    abort ();
  for (const char *p = line->text; *p != '\0'; p++)
    if (*p < ' ' || *p > '~')
      abort ();
}

static void
check_line (const GwSlcanLine *line, GwSlcanSide side)
{
  char wire[GW_SLCAN_LINE_MAX];
  GwSlcanCollector collector;
  GwSlcanLine back;
  size_t len, shorter;
  bool done = false;

  check_text (line);
  if (line->kind == GW_SLCAN_BAD)
    return;
  if (gw_slcan_encode (line, wire, sizeof wire, &len) != GW_OK
      || gw_slcan_encode (line, wire, len - 1, &shorter) != GW_E_SPACE
      || gw_slcan_encode (line, wire, len, &shorter) != GW_OK || shorter != len)
    abort ();
  gw_slcan_collector_init (&collector, side);
  for (size_t i = 0; i < len; i++)
    if (gw_slcan_collector_push (&collector, wire[i], &back) != (i + 1 == len))
      abort ();
    else
      done = i + 1 == len;
  if (!done || memcmp (&back, line, sizeof back) != 0)
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  GwSlcanSide side = size > 0 && data[0] & 1 ? GW_SLCAN_FROM_ADAPTER : GW_SLCAN_FROM_HOST;
  GwSlcanCollector collector;
  GwSlcanLine line;

  gw_slcan_collector_init (&collector, side);
  for (size_t i = 1; i < size; i++)
    if (gw_slcan_collector_push (&collector, (char)data[i], &line))
      check_line (&line, side);
  return 0;
}
