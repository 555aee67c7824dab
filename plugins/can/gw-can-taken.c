/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-can-taken.h"

#include "gw-time.h"

/* The place of @whom; a new one takes the oldest's. */
static unsigned
find (GwCanTaken *self, uint64_t whom)
{
  unsigned oldest = 0;

  for (unsigned i = 0; i < GW_CAN_TAKEN_MAX; i++)
    {
      if (self->of[i].whom == whom)
        return i;
      if (self->of[i].whom == 0 || self->of[i].at < self->of[oldest].at)
        oldest = i;
    }
  /* So many of them at once are one who tries. */
  if (self->of[oldest].whom == 0)
    self->of[oldest].times = 0;
  else
    self->of[oldest].times = 1;
  self->of[oldest].whom = whom;
  return oldest;
}

static int64_t
pause_after (unsigned times)
{
  int64_t pause = gw_time_ms (GW_CAN_TAKE_BACK_MIN_MS);

  for (unsigned i = 1; i < times && pause < gw_time_ms (GW_CAN_TAKE_BACK_MAX_MS); i++)
    pause *= 2;
  return pause;
}

bool
gw_can_taken_may (GwCanTaken *self, uint64_t whom, int64_t now)
{
  unsigned i = find (self, whom);

  if (self->of[i].times > 0 && now - self->of[i].at < pause_after (self->of[i].times))
    return false;
  self->of[i].times++;
  self->of[i].at = now;
  return true;
}
