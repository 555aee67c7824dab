/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-serial-told.h"

#include "gw-time.h"

bool
gw_serial_told_is_new (GwSerialTold *self, unsigned kind, uint8_t address, int64_t now)
{
  bool before = self->of[kind].at != 0;
  bool same = before && self->of[kind].address == address;
  int64_t since = now - self->of[kind].at;

  if (before && since < gw_time_ms (same ? GW_SERIAL_TOLD_AGAIN_MS : GW_SERIAL_TOLD_MIN_MS))
    return false;
  self->of[kind].at = now;
  self->of[kind].address = address;
  /* Where it is ever another number, one line in a while stands for all. */
  return gw_hush_take_untold (&self->of[kind].hush, now) != 0 || gw_hush_note (&self->of[kind].hush, now);
}
