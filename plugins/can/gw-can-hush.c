/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-can-hush.h"

static void
begin (GwCanHush *self, int64_t span, bool silent, int64_t now)
{
  *self = (GwCanHush){ .span = span, .until = now + span, .silent = silent };
}

bool
gw_can_hush_note (GwCanHush *self, int64_t now)
{
  if (self->until == 0)
    begin (self, GW_CAN_HUSH_MIN_USEC, false, now);
  self->count++;
  return !self->silent && self->count <= GW_CAN_HUSH_TELL_MAX;
}

unsigned
gw_can_hush_take_untold (GwCanHush *self, int64_t now)
{
  unsigned told = self->silent ? 0 : GW_CAN_HUSH_TELL_MAX;
  unsigned untold = self->count > told ? self->count - told : 0;
  int64_t longer = self->span < GW_CAN_HUSH_MAX_USEC / 2 ? 2 * self->span : GW_CAN_HUSH_MAX_USEC;

  if (self->until == 0 || now < self->until)
    return 0;
  if (untold > 0)
    begin (self, longer, true, now);
  else
    *self = (GwCanHush){ 0 };
  return untold;
}
