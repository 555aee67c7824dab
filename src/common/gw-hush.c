/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-hush.h"

static void
begin (GwHush *self, int64_t span, bool silent, int64_t now)
{
  *self = (GwHush){ .span = span, .until = now + span, .silent = silent };
}

bool
gw_hush_note (GwHush *self, int64_t now)
{
  if (self->until == 0)
    begin (self, GW_HUSH_MIN_USEC, false, now);
  self->count++;
  return !self->silent && self->count <= GW_HUSH_TELL_MAX;
}

unsigned
gw_hush_take_untold (GwHush *self, int64_t now)
{
  unsigned told = self->silent ? 0 : GW_HUSH_TELL_MAX;
  unsigned untold = self->count > told ? self->count - told : 0;
  int64_t longer = self->span < GW_HUSH_MAX_USEC / 2 ? 2 * self->span : GW_HUSH_MAX_USEC;

  if (self->until == 0 || now < self->until)
    return 0;
  if (untold > 0)
    begin (self, longer, true, now);
  else
    *self = (GwHush){ 0 };
  return untold;
}
