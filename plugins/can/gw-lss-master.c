/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-lss-master.h"

#include <string.h>

#include "gw-time.h"

#define NONSENSE_TRIES 2u
/* Searches in vain after which everybody's answers are doubted, and after which it is told. */
#define FAILS_DOUBT 2u
#define FAILS_TELL 3u
/* So many questions in a row that nobody answers end that. */
#define QUIET_MIN 8u
/* So many nodes may owe their first heartbeat. */
#define PENDING_MAX 16u
#define PENDING_DOUBT 3u
#define PENDING_WAIT_USEC INT64_C (100000)
#define FULL_HOLD_USEC INT64_C (10000000)

static void
uid_octets (uint64_t uid, uint8_t out[GW_UID_LEN])
{
  gw_put_u64be (out, uid);
}

/* xorshift64: which way a search goes first where both have been in vain; nothing secret. */
static bool
toss (GwLssMaster *self)
{
  self->random ^= self->random << 13;
  self->random ^= self->random >> 7;
  self->random ^= self->random << 17;
  return self->random & 1;
}

static void
tell (GwLssMaster *self, GwLssTrouble kind, uint64_t uid, int64_t now)
{
  uint8_t octets[GW_UID_LEN];

  if (!gw_lss_trouble_is_new (&self->troubles, kind, uid, now))
    return;
  uid_octets (uid, octets);
  self->funcs->trouble (self->owner, kind, octets, now);
}

/* ---- Who is held off ---- */

static void
hold (GwLssMaster *self, GwLssHoldWhy why, uint8_t node_id, int64_t until)
{
  gw_lss_holds_add (&self->holds, self->trail.uid, why, node_id, until);
}

/* ---- Steps ---- */

static void
go (GwLssMaster *self, GwLssStep step)
{
  self->step = step;
  self->phase = GW_LSS_PHASE_READY;
  gw_lss_patience_ask (&self->patience);
}

static void
rest (GwLssMaster *self, int64_t until)
{
  go (self, GW_LSS_STEP_IDLE);
  self->start_at = until;
  self->patience.attempts = 0;
}

static void
begin_attempt (GwLssMaster *self)
{
  go (self, self->dirty ? GW_LSS_STEP_RELEASE : GW_LSS_STEP_START);
}

static void
begin_search (GwLssMaster *self, int64_t now)
{
  if (now < self->foreign_until)
    {
      rest (self, self->foreign_until);
      return;
    }
  /* where one has not kept its word, the next has to first */
  if (gw_lss_holds_count (&self->holds, GW_LSS_HOLD_PENDING) >= (self->fails == 0 ? PENDING_MAX : 1))
    {
      rest (self, now + PENDING_WAIT_USEC);
      return;
    }
  self->begun_at = now;
  self->idle_strays = 0;
  gw_lss_patience_relax (&self->patience);
  begin_attempt (self);
}

static void
fail (GwLssMaster *self, int64_t now)
{
  int64_t pause;

  self->counters.failed++;
  if (self->fails < 16)
    self->fails++;
  pause = gw_time_min (GW_LSS_FAILED_USEC << (self->fails - 1), GW_LSS_FAILED_MAX_USEC);
  if (self->fails
      >= FAILS_DOUBT) /* once may be a machine that had other things to do: go on where it ended */
    {
      pause = gw_time_max (pause, GW_LSS_FAILED_SHARE * (now - self->begun_at));
      gw_lss_trail_forget (&self->trail);
    }
  self->dirty = true;
  rest (self, now + pause);
}

/* Whether this search has had its share of attempts and time. */
static bool
is_enough (const GwLssMaster *self, int64_t now)
{
  return self->patience.attempts + 1 >= GW_LSS_ATTEMPTS_MAX || now - self->begun_at > GW_LSS_SEARCH_MAX_USEC;
}

static void
try_again (GwLssMaster *self, int64_t now)
{
  if (is_enough (self, now))
    {
      bool was_found = self->step == GW_LSS_STEP_CONFIGURE;

      if (was_found)
        {
          hold (self, GW_LSS_HOLD_OFF, 0, now + GW_LSS_HOLD_USEC);
          tell (self, GW_LSS_TROUBLE_REFUSED, self->trail.uid, now);
        }
      fail (self, now);
      if (!was_found && self->fails >= FAILS_TELL)
        tell (self, GW_LSS_TROUBLE_UNSTABLE, 0, now);
      return;
    }
  self->patience.attempts++;
  self->counters.retried++;
  self->dirty = true; /* the answer that did not come may have been that of a node in configuration */
  begin_attempt (self);
}

/* The search has led to @self->trail.uid, who is not to be numbered now. */
static void
leave_held (GwLssMaster *self, int64_t now)
{
  gw_lss_trail_forget (&self->trail);
  rest (self, now + GW_LSS_PERIOD_HELD_USEC);
}

static void
confirm_sub (GwLssMaster *self, unsigned sub, int64_t now)
{
  self->trail.sub = sub;
  if (sub == GW_LSS_SUB_SERIAL)
    {
      uint8_t node_id = gw_lss_numbers_find_living (&self->numbers, self->trail.uid, now);

      if (node_id != 0 && !gw_lss_holds_has (&self->holds, self->trail.uid))
        {
          hold (self, GW_LSS_HOLD_DOUBT, node_id, now + GW_LSS_DOUBT_USEC);
          gw_lss_trail_forget (&self->trail);
          begin_search (self, now); /* there may be others */
          return;
        }
      if (gw_lss_holds_has (&self->holds, self->trail.uid))
        {
          leave_held (self, now);
          return;
        }
    }
  go (self, GW_LSS_STEP_CONFIRM);
}

/* Asks for the bit's value that is rather wanted: away from those that are held off, else 0; by lot where a
 * search has been in vain. */
static void
ask_bit (GwLssMaster *self)
{
  unsigned shift = gw_lss_trail_shift (&self->trail);
  uint64_t prefix = self->trail.uid;
  bool held_0 = gw_lss_holds_has_below (&self->holds, prefix, shift);
  bool held_1 = gw_lss_holds_has_below (&self->holds, prefix | (uint64_t)1 << shift, shift);

  if (held_0 != held_1)
    self->trail.guess = held_0;
  else if (held_0 || self->fails > 0 || self->patience.attempts > 1)
    self->trail.guess = toss (self);
  else
    self->trail.guess = false;
  go (self, GW_LSS_STEP_BIT);
}

static void
begin_sub (GwLssMaster *self, unsigned sub, int64_t now)
{
  self->trail.sub = sub;
  if (self->trail.known[sub - GW_LSS_SUB_REVISION])
    {
      confirm_sub (self, sub, now);
      return;
    }
  gw_lss_trail_begin (&self->trail);
  ask_bit (self);
}

static void
next_bit (GwLssMaster *self, int64_t now)
{
  if (gw_lss_trail_next (&self->trail))
    ask_bit (self);
  else
    confirm_sub (self, self->trail.sub, now);
}

/* After a wrong bit nobody answers any more: that is not to cost all bits that follow. */
static void
take_bit (GwLssMaster *self, bool answered, int64_t now)
{
  gw_lss_trail_decide (&self->trail, answered);
  if (gw_lss_trail_is_doubtful (&self->trail))
    go (self, GW_LSS_STEP_CHECK);
  else
    next_bit (self, now);
}

static void
take_check (GwLssMaster *self, bool answered, int64_t now)
{
  self->trail.silent_run = 0;
  if (answered)
    {
      next_bit (self, now);
      return;
    }
  if (is_enough (self, now))
    {
      try_again (self, now);
      return;
    }
  self->patience.attempts++;
  self->counters.retried++;
  gw_lss_trail_halve (&self->trail, 0);
  go (self, GW_LSS_STEP_BISECT);
}

static void
take_bisect (GwLssMaster *self, bool answered, int64_t now)
{
  if (gw_lss_trail_halved (&self->trail, answered))
    next_bit (self, now);
  else
    go (self, GW_LSS_STEP_BISECT);
}

static void
take_confirm (GwLssMaster *self, bool answered, int64_t now)
{
  unsigned i = self->trail.sub - GW_LSS_SUB_REVISION; /* of revision and serial number */
  uint8_t octets[GW_UID_LEN];

  if (self->trail.sub < GW_LSS_SUB_REVISION)
    {
      if (!answered && self->patience.attempts > 0)
        try_again (self, now); /* it did answer that */
      else if (!answered)
        rest (self, now + GW_LSS_PERIOD_USEC); /* nodes of others */
      else if (self->trail.sub == GW_LSS_SUB_VENDOR)
        confirm_sub (self, GW_LSS_SUB_PRODUCT, now);
      else
        begin_sub (self, GW_LSS_SUB_REVISION, now);
      return;
    }
  if (!answered && self->trail.known[i])
    {
      self->trail.known[i] = false;
      self->trail.known[1] = false;
      gw_lss_trail_halve (&self->trail, GW_LSS_SUB_BITS);
      go (self, GW_LSS_STEP_BISECT);
      return;
    }
  self->trail.known[i] = true;
  if (!answered)
    {
      try_again (self, now);
      return;
    }
  if (self->trail.sub == GW_LSS_SUB_REVISION)
    {
      begin_sub (self, GW_LSS_SUB_SERIAL, now);
      return;
    }
  self->dirty = true;
  uid_octets (self->trail.uid, octets);
  self->node_id = self->funcs->number (self->owner, octets, now);
  if (self->node_id < GW_LSS_NODE_MIN || self->node_id > GW_LSS_NODE_MAX
      || gw_lss_numbers_is_alive (&self->numbers, self->node_id, now))
    {
      hold (self, GW_LSS_HOLD_OFF, 0, now + FULL_HOLD_USEC);
      tell (self, GW_LSS_TROUBLE_FULL, self->trail.uid, now);
      leave_held (self, now);
      return;
    }
  self->tries = 0;
  go (self, GW_LSS_STEP_CONFIGURE);
}

static void
take_silent_configure (GwLssMaster *self, int64_t now)
{
  if (++self->tries < GW_LSS_CONFIGURE_TRIES)
    go (self, GW_LSS_STEP_CONFIGURE);
  else
    try_again (self, now);
}

static void
take_finish (GwLssMaster *self, int64_t now)
{
  uint8_t octets[GW_UID_LEN];
  uint8_t n = self->node_id;

  self->dirty = false;
  self->counters.numbered++;
  hold (self, GW_LSS_HOLD_PENDING, n, now + GW_LSS_TAKEN_USEC);
  gw_lss_numbers_give (&self->numbers, n, self->trail.uid);
  gw_lss_trail_forget (&self->trail);
  uid_octets (self->trail.uid, octets);
  begin_search (self, now);
  self->funcs->numbered (self->owner, n, octets, now);
}

/* Whether it is worth asking for nonsense. */
static bool
is_doubtful (const GwLssMaster *self)
{
  return self->background > 0 || self->fails >= FAILS_DOUBT
         || gw_lss_holds_count (&self->holds, GW_LSS_HOLD_PENDING) >= PENDING_DOUBT;
}

static void
take_start (GwLssMaster *self, bool answered, int64_t now)
{
  if (!answered && self->patience.attempts > 0)
    {
      fail (self, now);
      return;
    }
  if (!answered)
    {
      if (++self->quiet >= QUIET_MIN)
        {
          self->fails = 0; /* whoever made trouble has gone */
          self->background = 0;
        }
      gw_lss_trail_forget (&self->trail);
      rest (self, now + GW_LSS_PERIOD_USEC);
      return;
    }
  self->quiet = 0;
  if (self->patience.attempts == 0)
    self->counters.searches++;
  if (self->patience.attempts == 0 && is_doubtful (self))
    {
      self->start_copies = self->patience.copies;
      self->tries = 0;
      go (self, GW_LSS_STEP_NONSENSE);
    }
  else
    confirm_sub (self, GW_LSS_SUB_VENDOR, now);
}

/* Whoever answers nonsense answers everything. The others are found by counting, where their answers are
 * frames of their own; for on the bus equal answers that begin at once are one. */
static void
take_nonsense (GwLssMaster *self, int64_t now)
{
  if (self->patience.copies > 0 && ++self->tries < NONSENSE_TRIES)
    {
      go (self, GW_LSS_STEP_NONSENSE); /* may have been a late answer to the question before */
      return;
    }
  self->background = self->patience.copies;
  if (self->background > 0)
    tell (self, GW_LSS_TROUBLE_LIAR, 0, now);
  if (self->background > 0 && self->background >= self->start_copies)
    rest (self, now + GW_LSS_PERIOD_HELD_USEC); /* nobody else */
  else
    confirm_sub (self, GW_LSS_SUB_VENDOR, now);
}

/* The step is over, one way or the other. */
static void
advance (GwLssMaster *self, int64_t now)
{
  bool answered = self->patience.copies > (self->step == GW_LSS_STEP_START ? 0 : self->background);

  if (self->patience.copies > 0)
    gw_lss_patience_settled (&self->patience);
  else
    self->counters.silences++;
  switch (self->step)
    {
    case GW_LSS_STEP_START:
      take_start (self, answered, now);
      break;
    case GW_LSS_STEP_NONSENSE:
      take_nonsense (self, now);
      break;
    case GW_LSS_STEP_BIT:
      take_bit (self, answered, now);
      break;
    case GW_LSS_STEP_CHECK:
      take_check (self, answered, now);
      break;
    case GW_LSS_STEP_BISECT:
      take_bisect (self, answered, now);
      break;
    case GW_LSS_STEP_CONFIRM:
      take_confirm (self, answered, now);
      break;
    case GW_LSS_STEP_CONFIGURE:
      if (answered)
        go (self, GW_LSS_STEP_FINISH);
      else
        take_silent_configure (self, now);
      break;
    default:
      break; /* the others are not answered */
    }
}

/* ---- In ---- */

static bool
is_answer_to_step (const GwLssMaster *self, const GwLssMessage *msg)
{
  return msg->command
         == (self->step == GW_LSS_STEP_CONFIGURE ? GW_LSS_CONFIGURE_NODE_ID : GW_LSS_IDENTIFY_SLAVE);
}

/* Whether it matters how many answer. */
static bool
is_counting (const GwLssMaster *self)
{
  return self->background > 0 || self->step == GW_LSS_STEP_NONSENSE;
}

static void
take_first_answer (GwLssMaster *self, const GwLssMessage *msg, int64_t now)
{
  gw_lss_patience_answer (&self->patience, now - self->sent_at, now);
  if (self->step == GW_LSS_STEP_CONFIGURE && msg->result.error != GW_LSS_ERROR_NONE)
    {
      hold (self, GW_LSS_HOLD_OFF, 0, now + GW_LSS_HOLD_USEC);
      tell (self, GW_LSS_TROUBLE_REFUSED, self->trail.uid, now);
      fail (self, now);
      return;
    }
  if (self->step == GW_LSS_STEP_START) /* all who are there are to be heard */
    self->deadline = self->sent_at
                     + (self->patience.attempts + self->fails > 0 || is_doubtful (self)
                            ? gw_lss_patience_limit (&self->patience)
                            : gw_lss_patience_wait (&self->patience));
  else if (is_counting (self))
    self->deadline = self->sent_at + gw_lss_patience_wait (&self->patience);
  else
    self->deadline = now + gw_lss_patience_settle (&self->patience);
  self->phase = GW_LSS_PHASE_SETTLE;
  if (self->deadline <= now)
    advance (self, now);
}

static void
take_copy (GwLssMaster *self, int64_t now)
{
  int64_t last = self->sent_at + GW_LSS_WAIT_START_USEC;

  gw_lss_patience_copy (&self->patience, now - self->sent_at, now);
  if (self->step == GW_LSS_STEP_START)
    self->deadline = gw_time_max (self->deadline, gw_time_min (now + self->patience.gap, last));
  else if (is_counting (self))
    self->deadline
        = gw_time_max (self->deadline, gw_time_min (now + gw_lss_patience_settle (&self->patience), last));
  else if (self->patience.attempts == 0 && self->patience.copies >= self->patience.copies_expected)
    advance (self, now); /* they were all */
  else
    self->deadline = gw_time_min (now + gw_lss_patience_settle (&self->patience), last);
}

static void
take_stray (GwLssMaster *self, int64_t now)
{
  self->counters.strays++;
  if (self->step != GW_LSS_STEP_IDLE)
    {
      gw_lss_patience_stray (&self->patience, now); /* most likely a copy of the last answer */
    }
  else if (++self->idle_strays == GW_LSS_STRAYS_MAX)
    tell (self, GW_LSS_TROUBLE_LIAR, 0, now);
}

static void
take_answer (GwLssMaster *self, const GwLssMessage *msg, int64_t now)
{
  if (self->step == GW_LSS_STEP_IDLE || !is_answer_to_step (self, msg))
    take_stray (self, now);
  else if (self->phase == GW_LSS_PHASE_WAIT)
    take_first_answer (self, msg, now);
  else if (self->phase == GW_LSS_PHASE_SETTLE)
    take_copy (self, now);
  else
    take_stray (self, now);
}

static void
take_heartbeat (GwLssMaster *self, uint8_t node_id, int64_t now)
{
  gw_lss_numbers_heard (&self->numbers, node_id, now);
  for (size_t i = 0; i < GW_LSS_HOLDS_MAX && self->holds.due != INT64_MAX; i++)
    {
      GwLssHold *held = &self->holds.of[i];

      if (held->node_id != node_id)
        continue;
      if (held->why == GW_LSS_HOLD_PENDING)
        {
          gw_lss_holds_end (&self->holds, held);
          self->fails = 0;
        }
      else if (held->why == GW_LSS_HOLD_DOUBT)
        {
          gw_lss_holds_add (&self->holds, held->uid, GW_LSS_HOLD_OFF, 0, now + GW_LSS_HOLD_USEC);
          tell (self, GW_LSS_TROUBLE_TWICE, held->uid, now);
        }
    }
}

void
gw_lss_master_take (GwLssMaster *self, const GwCanFrame *frame, int64_t now)
{
  GwLssMessage msg;
  uint8_t node_id, state;

  if (gw_heartbeat_decode (frame, &node_id, &state))
    {
      take_heartbeat (self, node_id, now);
      return;
    }
  if (gw_lss_decode (frame, &msg) != GW_OK)
    return;
  if (msg.answer)
    {
      take_answer (self, &msg, now);
      return;
    }
  if (self->step != GW_LSS_STEP_IDLE)
    self->dirty = true;
  self->foreign_until = now + GW_LSS_FOREIGN_USEC;
  rest (self, self->foreign_until);
  tell (self, GW_LSS_TROUBLE_FOREIGN_MASTER, 0, now);
}

/* ---- Out ---- */

static void
encode_step (const GwLssMaster *self, GwCanFrame *frame)
{
  GwLssMessage msg = { .command = GW_LSS_SWITCH_GLOBAL };

  switch (self->step)
    {
    case GW_LSS_STEP_START:
      gw_lss_trail_encode (&self->trail, GW_LSS_ASK_START, frame);
      break;
    case GW_LSS_STEP_NONSENSE:
      gw_lss_trail_encode_nonsense (&self->trail, self->tries, frame);
      break;
    case GW_LSS_STEP_BIT:
      gw_lss_trail_encode (&self->trail, GW_LSS_ASK_BIT, frame);
      break;
    case GW_LSS_STEP_CHECK:
      gw_lss_trail_encode (&self->trail, GW_LSS_ASK_FOUND, frame);
      break;
    case GW_LSS_STEP_BISECT:
      gw_lss_trail_encode (&self->trail, GW_LSS_ASK_HALF, frame);
      break;
    case GW_LSS_STEP_CONFIRM:
      gw_lss_trail_encode (&self->trail, GW_LSS_ASK_WHOLE, frame);
      break;
    case GW_LSS_STEP_CONFIGURE:
      msg.command = GW_LSS_CONFIGURE_NODE_ID;
      msg.node_id = self->node_id;
      gw_lss_encode (&msg, frame);
      break;
    default: /* RELEASE, FINISH */
      gw_lss_encode (&msg, frame);
      break;
    }
}

bool
gw_lss_master_pull (GwLssMaster *self, int64_t now, GwCanFrame *frame)
{
  gw_lss_master_tick (self, now);
  if (self->step == GW_LSS_STEP_IDLE || self->phase != GW_LSS_PHASE_READY)
    return false;
  encode_step (self, frame);
  self->phase = GW_LSS_PHASE_PULLED;
  self->pulled_at = now;
  return true;
}

void
gw_lss_master_confirm (GwLssMaster *self, int64_t now)
{
  if (self->phase != GW_LSS_PHASE_PULLED)
    return;
  self->counters.frames_out++;
  self->sent_at = now;
  self->phase = GW_LSS_PHASE_WAIT;
  switch (self->step)
    {
    case GW_LSS_STEP_RELEASE:
      self->dirty = false;
      go (self, GW_LSS_STEP_START);
      break;
    case GW_LSS_STEP_FINISH:
      take_finish (self, now);
      break;
    case GW_LSS_STEP_START:
      self->deadline = now + GW_LSS_WAIT_START_USEC;
      break;
    case GW_LSS_STEP_BIT:
      self->deadline = now + gw_lss_patience_wait (&self->patience);
      break;
    case GW_LSS_STEP_CONFIGURE:
      self->deadline = now + 2 * gw_lss_patience_limit (&self->patience);
      break;
    default:
      self->deadline = now + gw_lss_patience_limit (&self->patience);
      break;
    }
}

void
gw_lss_master_unpull (GwLssMaster *self)
{
  if (self->phase == GW_LSS_PHASE_PULLED)
    self->phase = GW_LSS_PHASE_READY;
}

/* ---- Time ---- */

static void
tell_not_taken (GwLssMaster *self, uint64_t uid, int64_t now)
{
  if (self->background > 0)
    return; /* it is most likely none at all, and was told of */
  if (self->fails >= FAILS_TELL)
    {
      tell (self, GW_LSS_TROUBLE_UNSTABLE, 0, now);
      return;
    }
  self->fails++;
  tell (self, GW_LSS_TROUBLE_NOT_TAKEN, uid, now);
}

static void
end_hold (GwLssMaster *self, GwLssHold *held, int64_t now)
{
  uint8_t n = held->node_id;

  switch (held->why)
    {
    case GW_LSS_HOLD_PENDING:
      gw_lss_holds_add (&self->holds, held->uid, GW_LSS_HOLD_OFF, 0, now + GW_LSS_HOLD_USEC);
      gw_lss_numbers_take_back (&self->numbers, n);
      self->dirty = true; /* it may not have heard that it is to start, and wait */
      tell_not_taken (self, held->uid, now);
      break;
    case GW_LSS_HOLD_DOUBT:
      gw_lss_holds_end (&self->holds, held);
      gw_lss_numbers_unheard (&self->numbers, n); /* it was switched off and on */
      if (self->step == GW_LSS_STEP_IDLE)
        {
          gw_lss_trail_suppose (&self->trail, held->uid);
          self->start_at = gw_time_min (self->start_at, now);
        }
      break;
    default:
      gw_lss_holds_end (&self->holds, held);
      break;
    }
}

void
gw_lss_master_tick (GwLssMaster *self, int64_t now)
{
  GwLssHold *held;

  while ((held = gw_lss_holds_over (&self->holds, now)) != NULL)
    end_hold (self, held, now);
  if (self->step == GW_LSS_STEP_IDLE)
    {
      if (now >= self->start_at)
        begin_search (self, now);
    }
  else if (self->phase == GW_LSS_PHASE_PULLED)
    {
      if (now - self->pulled_at >= GW_LSS_SEND_USEC)
        {
          self->dirty = true;
          rest (self, now + GW_LSS_PERIOD_USEC);
        }
    }
  else if (self->phase != GW_LSS_PHASE_READY && now >= self->deadline)
    advance (self, now);
}

int64_t
gw_lss_master_due (const GwLssMaster *self)
{
  int64_t due = INT64_MAX;

  if (self->step == GW_LSS_STEP_IDLE)
    due = self->start_at;
  else if (self->phase == GW_LSS_PHASE_PULLED)
    due = self->pulled_at + GW_LSS_SEND_USEC;
  else if (self->phase != GW_LSS_PHASE_READY)
    due = self->deadline;
  return gw_time_min (due, self->holds.due);
}

void
gw_lss_master_scan (GwLssMaster *self, int64_t now)
{
  for (size_t i = 0; i < GW_LSS_HOLDS_MAX; i++)
    if (self->holds.of[i].why == GW_LSS_HOLD_OFF)
      gw_lss_holds_end (&self->holds, &self->holds.of[i]);
  if (self->step == GW_LSS_STEP_IDLE)
    self->start_at = gw_time_min (self->start_at, now);
}

void
gw_lss_master_forget (GwLssMaster *self, uint8_t node_id)
{
  if (node_id > GW_LSS_NODE_MAX)
    return;
  gw_lss_numbers_take_back (&self->numbers, node_id);
  gw_lss_numbers_unheard (&self->numbers, node_id);
}

void
gw_lss_master_init (
    GwLssMaster *self, uint32_t vendor, const GwLssMasterFuncs *funcs, void *owner, int64_t now)
{
  memset (self, 0, sizeof *self);
  gw_lss_holds_init (&self->holds);
  self->trail.vendor = vendor;
  self->funcs = funcs;
  self->owner = owner;
  self->start_at = now;
  self->foreign_until = now;
  self->dirty = true; /* whoever was here before may have been broken off */
  self->patience.last_at = now;
  self->random = (uint64_t)now * 0x9E3779B97F4A7C15u | 1;
  gw_lss_numbers_init (&self->numbers);
}

bool
gw_lss_master_is_searching (const GwLssMaster *self)
{
  return self->step != GW_LSS_STEP_IDLE && self->step != GW_LSS_STEP_START;
}

bool
gw_lss_master_is_ready (const GwLssMaster *self)
{
  return self->phase == GW_LSS_PHASE_READY;
}

int64_t
gw_lss_master_asked_at (const GwLssMaster *self)
{
  if (self->step != GW_LSS_STEP_START)
    return 0;
  if (self->phase == GW_LSS_PHASE_PULLED)
    return INT64_MAX;
  return self->phase == GW_LSS_PHASE_WAIT ? self->sent_at : 0;
}
