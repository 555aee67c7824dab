/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-lss-holds.h"

#include <string.h>

void
gw_lss_holds_init (GwLssHolds *self)
{
  memset (self, 0, sizeof *self);
  self->due = INT64_MAX;
}

static void
find_due (GwLssHolds *self)
{
  self->due = INT64_MAX;
  for (size_t i = 0; i < GW_LSS_HOLDS_MAX; i++)
    if (self->of[i].why != GW_LSS_HOLD_NONE && self->of[i].until < self->due)
      self->due = self->of[i].until;
}

/* Where @uid is or may come: its own place, a free one, that of whom is held off and soon would not be; else
 * NULL. */
static GwLssHold *
place_for (GwLssHolds *self, uint64_t uid)
{
  GwLssHold *free_one = NULL, *off = NULL;

  for (size_t i = 0; i < GW_LSS_HOLDS_MAX; i++)
    {
      GwLssHold *hold = &self->of[i];

      if (hold->why == GW_LSS_HOLD_NONE)
        free_one = hold;
      else if (hold->uid == uid)
        return hold;
      else if (hold->why == GW_LSS_HOLD_OFF && (off == NULL || hold->until < off->until))
        off = hold;
    }
  return free_one != NULL ? free_one : off;
}

void
gw_lss_holds_add (GwLssHolds *self, uint64_t uid, GwLssHoldWhy why, uint8_t node_id, int64_t until)
{
  GwLssHold *place = place_for (self, uid);

  if (place == NULL)
    return;
  *place = (GwLssHold){ why, node_id, uid, until };
  find_due (self);
}

void
gw_lss_holds_end (GwLssHolds *self, GwLssHold *hold)
{
  hold->why = GW_LSS_HOLD_NONE;
  find_due (self);
}

bool
gw_lss_holds_has (const GwLssHolds *self, uint64_t uid)
{
  return gw_lss_holds_has_below (self, uid, 0);
}

bool
gw_lss_holds_has_below (const GwLssHolds *self, uint64_t prefix, unsigned shift)
{
  if (self->due == INT64_MAX)
    return false; /* none, as most of the time */
  for (size_t i = 0; i < GW_LSS_HOLDS_MAX; i++)
    if (self->of[i].why != GW_LSS_HOLD_NONE && self->of[i].uid >> shift == prefix >> shift)
      return true;
  return false;
}

unsigned
gw_lss_holds_count (const GwLssHolds *self, GwLssHoldWhy why)
{
  unsigned n = 0;

  for (size_t i = 0; i < GW_LSS_HOLDS_MAX; i++)
    n += self->of[i].why == why;
  return n;
}

GwLssHold *
gw_lss_holds_over (GwLssHolds *self, int64_t now)
{
  if (now < self->due)
    return NULL;
  for (size_t i = 0; i < GW_LSS_HOLDS_MAX; i++)
    if (self->of[i].why != GW_LSS_HOLD_NONE && now >= self->of[i].until)
      return &self->of[i];
  return NULL;
}
