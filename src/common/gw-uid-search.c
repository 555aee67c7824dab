/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-uid-search.h"

#include <string.h>

static GwUidSearchRange *
top (GwUidSearch *self)
{
  return &self->stack[self->n_ranges - 1];
}

static void
give_up (GwUidSearch *self)
{
  self->gave_up = true;
  self->n_ranges = 0;
  self->muting = false;
}

static bool
holds (const uint64_t *list, uint8_t n, uint64_t uid)
{
  for (uint8_t i = 0; i < n; i++)
    if (list[i] == uid)
      return true;
  return false;
}

static bool
is_liar (const GwUidSearch *self, uint64_t uid)
{
  return holds (self->liars, self->n_lies < GW_UID_SEARCH_LIARS_MAX ? (uint8_t) self->n_lies : GW_UID_SEARCH_LIARS_MAX, uid);
}

/* The range is done with. */
static void
leave (GwUidSearch *self)
{
  self->n_ranges--;
}

static void
split (GwUidSearch *self)
{
  GwUidSearchRange *range = top (self);
  uint64_t middle = range->lo + (range->hi - range->lo) / 2;
  GwUidSearchRange low = { .lo = range->lo, .hi = middle };

  *range = (GwUidSearchRange){ .lo = middle + 1, .hi = range->hi, .second = true };
  self->stack[self->n_ranges++] = low; /* halves of halves: 64 splits at most, so there is room */
}

static void
mute (GwUidSearch *self, uint64_t uid, bool blind)
{
  self->muting = true;
  self->blind = blind;
  self->mute_tries = 0;
  self->uid = uid;
}

/* ---- Probes ---- */

static GwUidSearchEvent
on_silence (GwUidSearch *self)
{
  GwUidSearchRange *range = top (self);
  bool at_once = !range->answered;

  self->silences += self->silences < GW_UID_SEARCH_SILENCES_MIN;
  if (at_once && range->second && range->sibling_silent
      && ++self->phantoms > GW_UID_SEARCH_PHANTOMS_MAX + self->n_found)
    {
      give_up (self);
      return GW_UID_SEARCH_ON;
    }
  leave (self);
  /* Depth first: a lower half's upper half lies right below it. */
  if (at_once && !range->second && self->n_ranges > 0)
    top (self)->sibling_silent = true;
  return GW_UID_SEARCH_ON;
}

/* Followed to the end, and nobody there who can be muted. Beside an answer-to-everything each station found has a
 * neighbour of that kind. */
static void
leave_leaf (GwUidSearch *self)
{
  if (++self->bad_leaves >= GW_UID_SEARCH_LEAVES_MAX + self->n_found)
    give_up (self);
  else
    leave (self);
}

/* It answers, alone, where it must not: nobody else is in this range. */
static GwUidSearchEvent
on_lie (GwUidSearch *self, uint64_t uid, uint64_t *about)
{
  *about = uid;
  if (top (self)->lo == top (self)->hi)
    leave_leaf (self);
  else
    leave (self);
  return GW_UID_SEARCH_LIED;
}

static GwUidSearchEvent
on_answer (GwUidSearch *self, uint64_t uid, uint64_t *about)
{
  GwUidSearchRange *range = top (self);

  if (uid < range->lo || uid > range->hi || is_liar (self, uid)
      || holds (self->found, self->n_found, uid))
    return on_lie (self, uid, about);
  range->answered = true;
  mute (self, uid, false);
  return GW_UID_SEARCH_ON;
}

static GwUidSearchEvent
on_garbage (GwUidSearch *self)
{
  GwUidSearchRange *range = top (self);

  range->answered = true;
  if (range->lo != range->hi)
    split (self);
  else if (holds (self->found, self->n_found, range->lo) || is_liar (self, range->lo))
    leave (self);
  else if (++range->tries >= GW_UID_SEARCH_TRIES)
    mute (self, range->lo, true); /* one honest station at most: only here its uid is known unheard */
  return GW_UID_SEARCH_ON;
}

/* ---- Mutes ---- */

static GwUidSearchEvent
on_muted (GwUidSearch *self, uint64_t *about)
{
  self->muting = false;
  if (self->n_found == GW_UID_SEARCH_FOUND_MAX)
    {
      give_up (self);
      return GW_UID_SEARCH_ON;
    }
  self->found[self->n_found++] = self->uid;
  *about = self->uid;
  if (self->blind)
    leave (self);
  return GW_UID_SEARCH_FOUND;
}

static GwUidSearchEvent
on_not_muted (GwUidSearch *self, uint64_t *about)
{
  if (++self->mute_tries < GW_UID_SEARCH_TRIES)
    return GW_UID_SEARCH_ON;
  self->muting = false;
  if (self->blind)
    {
      leave_leaf (self);
      *about = self->uid;
      return self->silences >= GW_UID_SEARCH_SILENCES_MIN ? GW_UID_SEARCH_TWINS : GW_UID_SEARCH_ON;
    }
  /* The oldest makes room: remembering only saves the three mutes. */
  self->liars[self->n_lies++ % GW_UID_SEARCH_LIARS_MAX] = self->uid;
  return on_lie (self, self->uid, about);
}

/* ---- Interface ---- */

void
gw_uid_search_init (GwUidSearch *self)
{
  memset (self, 0, sizeof *self);
}

void
gw_uid_search_begin (GwUidSearch *self)
{
  gw_uid_search_init (self);
  self->stack[0] = (GwUidSearchRange){ .lo = 0, .hi = UINT64_MAX };
  self->n_ranges = 1;
}

bool
gw_uid_search_step (const GwUidSearch *self, GwUidSearchStep *step)
{
  const GwUidSearchRange *range;

  if (self->n_ranges == 0)
    return false;
  range = &self->stack[self->n_ranges - 1];
  if (self->muting)
    *step = (GwUidSearchStep){ GW_UID_SEARCH_MUTE, self->uid, self->uid };
  else
    *step = (GwUidSearchStep){ GW_UID_SEARCH_PROBE, range->lo, range->hi };
  return true;
}

GwUidSearchEvent
gw_uid_search_heard (GwUidSearch *self, GwUidSearchHeard heard, uint64_t uid, uint64_t *about)
{
  if (self->n_ranges == 0)
    return GW_UID_SEARCH_ON;
  if (self->muting)
    {
      self->mutes++;
      return heard == GW_UID_SEARCH_ANSWER ? on_muted (self, about) : on_not_muted (self, about);
    }
  if (++self->probes > GW_UID_SEARCH_PROBES_MAX)
    {
      give_up (self);
      return GW_UID_SEARCH_ON;
    }
  switch (heard)
    {
    case GW_UID_SEARCH_ANSWER:
      return on_answer (self, uid, about);
    case GW_UID_SEARCH_GARBAGE:
      return on_garbage (self);
    default:
      return on_silence (self);
    }
}

bool
gw_uid_search_gave_up (const GwUidSearch *self)
{
  return self->gave_up;
}
