/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-can-turn.h"

#include "gw-time.h"

/* LSS answers have a higher id than ISO-TP, so they lose against it whenever both are there: a search that is to be short
 * needs a quiet bus, and traffic that is to flow needs its turns between. So long at most has either. */
#define SEARCH_TURN_USEC (200 * GW_TIME_MS)
#define TRAFFIC_TURN_MIN_USEC (20 * GW_TIME_MS)
/* After so many turns of searching for which nobody new has come up, somebody leads it astray: traffic has so many times as
 * long as the search then. */
#define FRUITLESS_TURNS 8
#define FRUITLESS_FACTOR 9
/* The bus is quiet when nothing was carried for so long; it is not waited for longer than that. */
#define QUIET_USEC (3 * GW_TIME_MS)
#define QUIET_WAIT_USEC (50 * GW_TIME_MS)
/* "Is anybody new there?" gets this much quiet. */
#define START_QUIET_USEC (4 * GW_TIME_MS)
/* Frames to nodes win against frames from nodes, so a stream to one of them would keep the others from ever answering. After
 * so many in a row without hearing anybody (few, while flow control is awaited that was asked for lately) the bus is left to
 * them until it falls idle, or for so many frames. */
#define RUN_MAX 64
#define RUN_AWAITING 8
#define YIELD_FRAMES 16
#define YIELD_SLACK_USEC 200

void
gw_can_turn_set_ahead (GwCanTurn *self, int64_t usec)
{
  self->ahead = usec;
}

int64_t
gw_can_turn_get_ahead (const GwCanTurn *self)
{
  return self->ahead;
}

/* ---- The search ---- */

static void
end_search (GwCanTurn *self, bool waits, int64_t now)
{
  int64_t took = now - self->search_at;

  self->searching = false;
  if (self->fruitless < FRUITLESS_TURNS)
    self->fruitless++;
  else
    took *= FRUITLESS_FACTOR;
  if (waits)
    self->traffic_until = now + (took > TRAFFIC_TURN_MIN_USEC ? took : TRAFFIC_TURN_MIN_USEC);
}

void
gw_can_turn_take (GwCanTurn *self, const GwLssMaster *lss, bool waits, int64_t now)
{
  /* Nothing waits, and nothing has been carried for a moment: its turn is over. Not where searches lead nowhere: what comes
   * next may only take its time (an agent commits to disk before it answers). */
  if (now < self->traffic_until && !waits && self->fruitless < FRUITLESS_TURNS
      && now - self->carried_at >= QUIET_USEC)
    self->traffic_until = now;
  if (!self->searching && gw_lss_master_is_searching (lss) && now >= self->traffic_until)
    {
      self->searching = true;
      self->search_at = now;
    }
  else if (self->searching
           && (!gw_lss_master_is_searching (lss)
               || (now - self->search_at >= SEARCH_TURN_USEC && gw_lss_master_is_ready (lss))))
    end_search (self, waits, now);
}

bool
gw_can_turn_may_search (const GwCanTurn *self, int64_t now)
{
  if (now < self->traffic_until)
    return false;
  return !self->searching || (self->ahead == 0 && now - self->carried_at >= QUIET_USEC)
         || now - self->search_at >= QUIET_WAIT_USEC;
}

void
gw_can_turn_asked (GwCanTurn *self)
{
  self->start_ahead = self->ahead;
}

void
gw_can_turn_found (GwCanTurn *self)
{
  self->fruitless = 0;
}

int64_t
gw_can_turn_held_until (const GwCanTurn *self, const GwLssMaster *lss, int64_t now)
{
  int64_t asked_at = gw_lss_master_asked_at (lss), quiet;

  if (self->searching)
    return self->search_at + SEARCH_TURN_USEC;
  if (asked_at == 0)
    return 0;
  if (asked_at == INT64_MAX)
    return now + START_QUIET_USEC;
  quiet = asked_at + self->start_ahead + START_QUIET_USEC;
  return now < quiet ? quiet : 0;
}

/* ---- The nodes ---- */

/* Who has a frame ready has begun to send it after so long a silence, and it has been heard. */
static int64_t
gap_usec (uint64_t frame_nsec)
{
  return (int64_t) (2 * frame_nsec) / 1000 + YIELD_SLACK_USEC;
}

void
gw_can_turn_heard (GwCanTurn *self, uint64_t frame_nsec, int64_t now)
{
  self->carried_at = now;
  self->run = 0;
  if (self->yield_until == 0)
    return;
  self->yielded++;
  self->yield_until = now + gap_usec (frame_nsec);
}

void
gw_can_turn_sent (GwCanTurn *self, int64_t now)
{
  self->carried_at = now;
}

void
gw_can_turn_pulled (GwCanTurn *self)
{
  self->run++;
}

bool
gw_can_turn_yields (GwCanTurn *self, bool awaiting, uint64_t frame_nsec, int64_t now)
{
  if (self->yield_until == 0)
    {
      if (self->run < (awaiting ? RUN_AWAITING : RUN_MAX))
        return false;
      self->yield_until = now + self->ahead + gap_usec (frame_nsec);
      self->yielded = 0;
      return true;
    }
  if (now < self->yield_until && self->yielded < YIELD_FRAMES)
    return true;
  self->yield_until = 0;
  self->run = 0;
  return false;
}

/* ---- Time ---- */

int64_t
gw_can_turn_due (const GwCanTurn *self, const GwLssMaster *lss, int64_t now)
{
  int64_t due = INT64_MAX, held = gw_can_turn_held_until (self, lss, now), quiet = self->carried_at + QUIET_USEC;

  if (now < self->traffic_until)
    due = quiet > now ? quiet : self->traffic_until;
  if (held > now)
    due = gw_time_min (due, held);
  if (self->searching && !gw_can_turn_may_search (self, now))
    due = gw_time_min (due, now + GW_TIME_MS);
  if (self->yield_until > now)
    due = gw_time_min (due, self->yield_until);
  return due;
}
