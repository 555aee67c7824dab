/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-lss-patience.h"

#include "gw-time.h"

/* Until so many answers have been timed a late one is reckoned with to be twice as late. */
#define SAMPLES_FEW 4u
#define WAIT_SLACK_USEC INT64_C (1000)
#define SETTLE_SLACK_USEC INT64_C (300)
#define DOUBLINGS_MAX 3u

/* One that is late (a machine has other things to do, too) must not make all silence to come long: it raises
 * what counts as late by half; if all are late it is up with them soon, and what was mistaken for silence
 * meanwhile is found by asking. After an attempt in vain, though, there may be a slow node among quick ones:
 * then the latest counts. */
static void
time_answer (GwLssPatience *self, int64_t took)
{
  took = gw_time_min (took, GW_LSS_WAIT_START_USEC);
  if (self->samples == 0)
    self->late = took;
  else if (self->attempts > 0)
    self->late = gw_time_max (self->late, gw_time_min (took, GW_LSS_WAIT_MAX_USEC));
  else if (took > self->late)
    self->late += gw_time_min (took - self->late, self->late / 2 + WAIT_SLACK_USEC);
  else
    self->late -= (self->late - took) / 8;
  if (self->samples < SAMPLES_FEW)
    self->samples++;
}

void
gw_lss_patience_ask (GwLssPatience *self)
{
  self->copies = 0;
  self->gap = 0;
}

void
gw_lss_patience_answer (GwLssPatience *self, int64_t took, int64_t now)
{
  self->copies = 1;
  self->last_at = now;
  time_answer (self, took);
}

void
gw_lss_patience_copy (GwLssPatience *self, int64_t took, int64_t now)
{
  self->copies++;
  self->gap = gw_time_max (self->gap, now - self->last_at);
  self->last_at = now;
  /* What a copy takes is mostly waiting for the others'; but where an attempt was in vain, it may be a slow
   * node's. */
  if (self->attempts > 0)
    time_answer (self, took);
}

void
gw_lss_patience_stray (GwLssPatience *self, int64_t now)
{
  self->gap_expected
      = gw_time_max (self->gap_expected, gw_time_min (now - self->last_at, GW_LSS_WAIT_MAX_USEC));
  self->copies_expected++;
  self->last_at = now;
}

void
gw_lss_patience_settled (GwLssPatience *self)
{
  self->copies_expected = self->copies;
  self->gap_expected = self->gap;
}

void
gw_lss_patience_relax (GwLssPatience *self)
{
  self->attempts = 0;
  self->late -= self->late / 4;
}

int64_t
gw_lss_patience_limit (const GwLssPatience *self)
{
  return gw_time_min (gw_time_max (GW_LSS_WAIT_MAX_USEC, 3 * self->late), GW_LSS_WAIT_START_USEC);
}

int64_t
gw_lss_patience_wait (const GwLssPatience *self)
{
  int64_t wait, doublings = gw_time_min (self->attempts, DOUBLINGS_MAX);

  if (self->samples == 0)
    return gw_lss_patience_limit (self);
  wait = gw_time_max ((self->samples < SAMPLES_FEW ? 4 : 2) * self->late + WAIT_SLACK_USEC,
                      GW_LSS_WAIT_MIN_USEC);
  return gw_time_min (wait << doublings, gw_lss_patience_limit (self));
}

int64_t
gw_lss_patience_settle (const GwLssPatience *self)
{
  int64_t settle = self->copies_expected > 1 ? 2 * self->gap_expected + SETTLE_SLACK_USEC : 0;

  if (self->attempts > 0)
    settle = gw_time_max (settle, self->late);
  return gw_time_min (settle, gw_lss_patience_limit (self));
}
