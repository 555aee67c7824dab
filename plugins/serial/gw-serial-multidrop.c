/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-serial-multidrop.h"

#include <string.h>

#include "gw-reader.h"
#include "gw-station.h"
#include "gw-time.h"

#define LOST_PERIOD_MS 1000  /* how often a dropped station is called */
#define ASK_PAUSE_MS 50      /* between polls of a station that is asked who it is */
#define ASK_AGAIN_MS 250     /* until the question is repeated */
#define UP_AGAIN_MS 1000     /* until a station that could not be taken is asked again */
#define ECHO_TESTS 2
#define FIRST GW_FRAME_ADDRESS_STATION_MIN
#define LAST GW_FRAME_ADDRESS_STATION_MAX
/* Shares of the line in the fair queue: the search brings new stations up, the sweep only finds those of a former master. */
#define FIND_SHARE 2 /* and one more for four stations */
#define SWEEP_COST 16
#define SWEEP_PAUSE_MS 100 /* between two numbers, while stations have traffic */

static uint8_t
find_uid (const GwMultidrop *self, uint64_t uid, uint8_t but)
{
  for (unsigned a = FIRST; a <= LAST; a++)
    if (a != but && self->stations[a].state != GW_MULTIDROP_FREE && self->stations[a].known
        && self->stations[a].uid == uid)
      return (uint8_t) a;
  return 0;
}

/* ---- Troubles ---- */

_Static_assert (GW_MULTIDROP_N_TROUBLES <= GW_SERIAL_TOLD_KINDS, "each kind is remembered");

static void
tell (GwMultidrop *self, GwMultidropTrouble trouble, uint8_t address, int64_t now)
{
  if (gw_serial_told_is_new (&self->told, trouble, address, now))
    self->funcs->trouble (self->owner, trouble, address);
}

static void
tell_wait (GwMultidrop *self, int64_t now)
{
  if (gw_exchange_get_wait (&self->exchange) > self->wait_told)
    tell (self, GW_MULTIDROP_SLOW, 0, now);
  self->wait_told = gw_exchange_get_wait (&self->exchange);
}

/* ---- Stations ---- */

static void
set_free (GwMultidrop *self, uint8_t address)
{
  GwMultidropStation *st = &self->stations[address];
  int64_t tag = st->tag;
  uint64_t retries = st->retries;
  GwLinkQuestion question = st->question;

  memset (st, 0, sizeof *st);
  st->tag = tag;
  st->retries = retries;
  st->question = question;
  gw_serial_meter_forget (&self->meter, address);
}

/* Somebody has this number: who is it? */
static void
begin_asking (GwMultidropStation *st, int64_t now)
{
  st->state = GW_MULTIDROP_ASKED;
  st->swept = false;
  st->asking = true;
  st->misses = st->garbled = st->questions = 0;
  st->due = now;
}

static void
want (GwMultidropStation *st, int64_t now)
{
  if (st->wanted_at == 0)
    st->wanted_at = now;
  st->due = now;
}

static void
drop (GwMultidrop *self, uint8_t address, GwSerialDown why)
{
  GwMultidropStation *st = &self->stations[address];
  bool was_up = st->state == GW_MULTIDROP_UP;

  st->last = (GwBytes){ 0 };
  st->state = GW_MULTIDROP_FREE;
  if (!was_up)
    return;
  self->n_up--;
  self->funcs->down (self->owner, address, why);
}

/* It may come back with its number, which is kept for it and called until it must have forgotten it. */
static void
lose (GwMultidrop *self, uint8_t address, int64_t now)
{
  GwMultidropStation *st = &self->stations[address];

  drop (self, address, GW_SERIAL_DOWN_SILENT);
  st->state = GW_MULTIDROP_LOST;
  st->garbled = 0;
  st->at = now;
  st->due = now + gw_time_ms (LOST_PERIOD_MS);
}

/* ---- Who is it? ---- */

static void
refuse_liar (GwMultidrop *self, uint8_t address, int64_t now)
{
  self->refused++;
  set_free (self, address);
  tell (self, GW_MULTIDROP_LIES, address, now);
}

/* Whether the uid's other place is given up: one that answers there is the one that counts. */
static bool
give_up_other (GwMultidrop *self, uint64_t uid, uint8_t address)
{
  uint8_t other = find_uid (self, uid, address);

  if (other == 0)
    return true;
  if (self->stations[other].state == GW_MULTIDROP_UP && self->stations[other].misses == 0)
    return false;
  drop (self, other, GW_SERIAL_DOWN_GONE);
  set_free (self, other);
  return true;
}

static void
take_hello (GwMultidrop *self, uint8_t address, const GwLinkHello *hello, GwBytes body, int64_t rtt, int64_t now)
{
  GwMultidropStation *st = &self->stations[address];
  uint64_t uid = gw_station_uid (hello->uid);
  uint32_t rtt_ms = rtt > gw_time_ms (UINT16_MAX) ? UINT16_MAX : (uint32_t) ((rtt + gw_time_ms (1) - 1) / gw_time_ms (1));

  if ((st->known && st->uid != uid) || !give_up_other (self, uid, address))
    {
      refuse_liar (self, address, now);
      return;
    }
  st->known = true;
  st->uid = uid;
  memcpy (st->kid, hello->kid, sizeof st->kid);
  st->questions = 0;
  st->pause = 0;
  if (self->funcs->up (self->owner, address, hello, body, rtt_ms))
    {
      st->state = GW_MULTIDROP_UP;
      self->n_up++;
      st->pending = true;
      st->due = now;
    }
  else
    {
      st->asking = true;
      st->due = now + gw_time_ms (UP_AGAIN_MS);
    }
}

/* An answer of somebody who is asked. */
static void
take_asked (GwMultidrop *self, uint8_t address, GwBytes info, int64_t now)
{
  GwMultidropStation *st = &self->stations[address];
  GwLinkHello hello;
  GwBytes body;
  int64_t asked_at;

  st->misses = st->garbled = 0;
  st->due = now + (info.len > 0 ? 0 : gw_time_ms (GW_MULTIDROP_IDLE_MIN_MS));
  if (gw_link_question_take (&st->question, info, &hello, &body, &asked_at))
    {
      take_hello (self, address, &hello, body, now - asked_at, now);
      return;
    }
  if (info.len > 0)
    self->refused++;
  if (now - st->at < gw_time_ms (ASK_AGAIN_MS))
    return;
  st->asking = true;
  if (st->questions >= GW_MULTIDROP_QUESTIONS_MAX)
    refuse_liar (self, address, now);
}

/* ---- Polls ---- */

static void
take_datagram (GwMultidrop *self, uint8_t address, GwBytes info)
{
  if (info.len == 0)
    return;
  if (gw_datagram_kind (info.ptr, info.len) == GW_DATAGRAM_OTHER)
    self->refused++;
  else
    self->funcs->datagram (self->owner, address, info);
}

static void
note_wait (GwMultidrop *self, GwMultidropStation *st, int64_t now)
{
  if (st->wanted_at != 0)
    gw_serial_meter_waited (&self->meter, now - st->wanted_at);
  st->wanted_at = 0;
}

static int64_t
longest_pause (const GwMultidrop *self)
{
  int64_t pause = self->n_up * self->idle_time * GW_MULTIDROP_IDLE_SHARE;

  return gw_time_max (gw_time_ms (GW_MULTIDROP_IDLE_MAX_MS), gw_time_min (pause, gw_time_ms (GW_MULTIDROP_IDLE_CAP_MS)));
}

static void
after_answer (GwMultidrop *self, uint8_t address, GwBytes info, int64_t now)
{
  GwMultidropStation *st = &self->stations[address];
  bool traffic = info.len > 0 || st->last.len > 0;

  st->misses = st->garbled = 0;
  st->last = (GwBytes){ 0 };
  note_wait (self, st, now);
  if (traffic)
    {
      st->pause = 0;
      want (st, now);
    }
  else
    {
      st->pause = st->pause == 0 ? gw_time_ms (GW_MULTIDROP_IDLE_MIN_MS) : gw_time_min (2 * st->pause, longest_pause (self));
      st->due = now + st->pause;
      self->idle_time += (gw_exchange_took (&self->exchange, now) - self->idle_time) / 8;
    }
  take_datagram (self, address, info);
}

static void
after_miss (GwMultidrop *self, uint8_t address, GwExchangeResult result, int64_t now)
{
  GwMultidropStation *st = &self->stations[address];

  st->misses++;
  st->wanted_at = 0;
  st->garbled = result == GW_EXCHANGE_GARBAGE ? st->garbled + 1 : 0;
  if (st->misses >= GW_STATION_MISSES_MAX)
    {
      lose (self, address, now);
      return;
    }
  st->due = now + gw_time_ms (GW_MULTIDROP_MISS_MS);
  if (st->last.len == 0)
    return;
  if (st->retries_left == 0)
    {
      st->last = (GwBytes){ 0 };
      return;
    }
  /* DTLS drops a copy; a datagram that never came costs its end a time-out. */
  st->retries_left--;
  st->retries++;
  st->due = now;
}

static void
after_asking (GwMultidrop *self, uint8_t address, GwExchangeResult result, GwBytes info, int64_t now)
{
  GwMultidropStation *st = &self->stations[address];

  if (result == GW_EXCHANGE_ANSWER)
    {
      take_asked (self, address, info, now);
      return;
    }
  st->due = now + gw_time_ms (ASK_PAUSE_MS);
  st->asking = true;
  if (++st->misses >= GW_MULTIDROP_QUESTIONS_MAX)
    set_free (self, address);
}

static void
after_calling (GwMultidrop *self, uint8_t address, GwExchangeResult result, int64_t now)
{
  GwMultidropStation *st = &self->stations[address];

  if (result == GW_EXCHANGE_ANSWER)
    {
      begin_asking (st, now);
      return;
    }
  st->garbled = result == GW_EXCHANGE_GARBAGE ? st->garbled + 1 : 0;
  st->due = now + gw_time_ms (LOST_PERIOD_MS);
  if (st->garbled >= GW_MULTIDROP_GARBLED_MAX && !gw_serial_meter_is_jammed (&self->meter))
    {
      /* Two with one number: unpolled, both forget it. */
      tell (self, GW_MULTIDROP_SHARED, address, now);
      st->garbled = 0;
      st->at = now;
      st->due = now + gw_time_ms (GW_STATION_FORGET_MS + LOST_PERIOD_MS);
    }
  else if (now - st->at >= gw_time_ms (GW_STATION_FORGET_MS + LOST_PERIOD_MS))
    set_free (self, address);
}

static void
after_poll (GwMultidrop *self, uint8_t address, GwExchangeResult result, GwBytes info, int64_t now)
{
  GwMultidropStation *st = &self->stations[address];

  switch (st->state)
    {
    case GW_MULTIDROP_ASKED:
      after_asking (self, address, result, info, now);
      break;
    case GW_MULTIDROP_LOST:
      after_calling (self, address, result, now);
      break;
    case GW_MULTIDROP_UP:
      if (result == GW_EXCHANGE_ANSWER)
        after_answer (self, address, info, now);
      else
        after_miss (self, address, result, now);
      break;
    default:
      break;
    }
}

static GwFrame
make_poll (GwMultidrop *self, uint8_t address, int64_t now)
{
  GwMultidropStation *st = &self->stations[address];
  GwFrame frame = { .address = address, .poll = true };

  if (st->state == GW_MULTIDROP_ASKED && st->asking)
    {
      st->asking = false;
      st->questions++;
      st->at = now;
      frame.info = (GwBytes){ self->message, gw_link_question_ask (&st->question, self->message, now) };
    }
  else if (st->state == GW_MULTIDROP_UP)
    {
      if (st->last.len == 0 && st->pending)
        {
          st->last = self->funcs->next (self->owner, address);
          st->pending = st->last.len > 0;
          st->retries_left = GW_MULTIDROP_RETRIES;
        }
      frame.info = st->last;
    }
  return frame;
}

/* ---- Numbers in use and free ones ---- */

static unsigned
count_swept (const GwMultidrop *self)
{
  unsigned n = 0;

  for (unsigned a = FIRST; a <= LAST; a++)
    n += self->stations[a].state == GW_MULTIDROP_FREE && self->stations[a].swept;
  return n;
}

/* The next number to look at; 0: every one is somebody's. */
static uint8_t
next_sweep (GwMultidrop *self)
{
  for (unsigned n = FIRST; n <= LAST; n++)
    {
      uint8_t a = self->sweep_next;

      self->sweep_next = a < LAST ? (uint8_t) (a + 1) : FIRST;
      if (a == LAST)
        self->sweep_done = true;
      if (self->stations[a].state == GW_MULTIDROP_FREE && (self->sweep_done || !self->stations[a].swept))
        return a;
    }
  self->sweep_done = true;
  return 0;
}

static bool
may_search (const GwMultidrop *self)
{
  return self->sweep_done || count_swept (self) >= GW_MULTIDROP_SWEPT_MIN;
}

/* A silent number takes 20 ms of the line, which stations at work would wait for. One that is somebody's has neighbours. */
static int64_t
next_sweep_pause (const GwMultidrop *self, GwExchangeResult result, int64_t now)
{
  if (self->sweep_done)
    return gw_time_ms (GW_STATION_SEARCH_PERIOD_MS);
  if (result != GW_EXCHANGE_SILENCE || !may_search (self) || now - self->traffic_at > gw_time_ms (SWEEP_PAUSE_MS))
    return 0;
  return gw_time_ms (SWEEP_PAUSE_MS);
}

static void
after_sweep (GwMultidrop *self, uint8_t address, GwExchangeResult result, int64_t now)
{
  GwMultidropStation *st = &self->stations[address];

  self->sweep_due = now + next_sweep_pause (self, result, now);
  if (st->state != GW_MULTIDROP_FREE)
    return;
  st->swept = result == GW_EXCHANGE_SILENCE;
  st->at = now;
  if (!st->swept)
    begin_asking (st, now);
  if (self->assigning != address)
    return;
  self->assigning = 0;
  if (st->swept)
    gw_serial_finder_give (&self->finder, address, now);
}

/* A number for the station that was found: the one that it had, or the first that is free. */
static void
assign (GwMultidrop *self, int64_t now)
{
  uint8_t address = find_uid (self, gw_serial_finder_get_uid (&self->finder), 0);

  if (!gw_serial_finder_wants_address (&self->finder) || self->assigning != 0)
    return;
  if (address != 0)
    {
      gw_serial_finder_give (&self->finder, address, now);
      return;
    }
  for (unsigned a = FIRST; a <= LAST && address == 0; a++)
    if (self->stations[a].state == GW_MULTIDROP_FREE && (self->stations[a].swept || self->sweep_done))
      address = (uint8_t) a;
  if (address == 0)
    {
      if (!self->sweep_done)
        return;
      tell (self, GW_MULTIDROP_FULL, 0, now);
      gw_serial_finder_give (&self->finder, 0, now);
    }
  else if (self->stations[address].swept && now - self->stations[address].at < gw_time_ms (GW_MULTIDROP_SWEPT_KEEP_MS))
    gw_serial_finder_give (&self->finder, address, now);
  else
    self->assigning = address;
}

static void
after_find (GwMultidrop *self, GwExchangeResult result, GwBytes info, int64_t now)
{
  GwMultidropStation *st;

  switch (gw_serial_finder_heard (&self->finder, result, info, now))
    {
    case GW_SERIAL_FINDER_NUMBERED:
      st = &self->stations[gw_serial_finder_get_address (&self->finder)];
      if (st->state == GW_MULTIDROP_UP)
        break; /* it was restarted, and has its number again: the same endpoint */
      begin_asking (st, now);
      st->known = true;
      st->uid = gw_serial_finder_get_uid (&self->finder);
      break;
    case GW_SERIAL_FINDER_LIED:
      tell (self, GW_MULTIDROP_LIES, find_uid (self, gw_serial_finder_get_uid (&self->finder), 0), now);
      break;
    case GW_SERIAL_FINDER_TWINS:
      tell (self, GW_MULTIDROP_TWINS, 0, now);
      break;
    case GW_SERIAL_FINDER_LOST:
      tell (self, GW_MULTIDROP_GARBAGE, 0, now);
      break;
    default:
      break;
    }
}

/* ---- The fair queue ---- */

typedef struct
{
  GwMultidropKind kind;
  uint8_t address;
  int64_t tag, due; /* due: of the earliest flow that has nothing to do yet */
} Choice;

static void
consider (Choice *choice, GwMultidropKind kind, unsigned address, int64_t tag, int64_t due, int64_t now)
{
  if (now < due)
    choice->due = gw_time_min (choice->due, due);
  else if (tag < choice->tag)
    *choice = (Choice){ kind, (uint8_t) address, tag, choice->due };
}

/* Whether anybody has something to do; else when. */
static bool
choose (GwMultidrop *self, int64_t now, Choice *choice)
{
  int64_t due;

  *choice = (Choice){ .tag = INT64_MAX, .due = INT64_MAX };
  if (self->echo_tests < ECHO_TESTS)
    {
      *choice = (Choice){ GW_MULTIDROP_ECHO, GW_FRAME_ADDRESS_ALL, self->tag, now };
      return true;
    }
  if (self->assigning != 0)
    consider (choice, GW_MULTIDROP_SWEEP, self->assigning, gw_time_max (self->find_tag, self->tag), now, now);
  else if (may_search (self))
    {
      gw_serial_finder_is_due (&self->finder, now, &due);
      consider (choice, GW_MULTIDROP_FIND, GW_FRAME_ADDRESS_ALL, gw_time_max (self->find_tag, self->tag), due, now);
    }
  for (unsigned a = FIRST; a <= LAST; a++)
    if (self->stations[a].state != GW_MULTIDROP_FREE)
      consider (choice, GW_MULTIDROP_POLL, a, gw_time_max (self->stations[a].tag, self->tag), self->stations[a].due, now);
  consider (choice, GW_MULTIDROP_SWEEP, 0, gw_time_max (self->sweep_tag, self->tag), self->sweep_due, now);
  return choice->tag != INT64_MAX;
}

/* Among many stations the search would be one of many flows. */
static int64_t
find_cost (const GwMultidrop *self, int64_t time)
{
  return time / (FIND_SHARE + self->n_up / 4);
}

/* The flow that went has had so much more of the line. */
static void
charge (GwMultidrop *self, int64_t now)
{
  int64_t time = gw_exchange_took (&self->exchange, now);
  GwMultidropStation *st;

  switch (self->kind)
    {
    case GW_MULTIDROP_FIND:
      self->find_tag = self->tag + find_cost (self, time);
      break;
    case GW_MULTIDROP_SWEEP:
      if (self->assigning == self->address)
        self->find_tag = self->tag + find_cost (self, time);
      else
        self->sweep_tag = self->tag + (may_search (self) ? SWEEP_COST : 1) * time;
      break;
    case GW_MULTIDROP_POLL:
      st = &self->stations[self->address];
      st->tag = self->tag + time;
      gw_serial_meter_used (&self->meter, self->address, time);
      break;
    default:
      break;
    }
}

static GwFrame
make_request (GwMultidrop *self)
{
  GwFrame frame = { .address = GW_FRAME_ADDRESS_ALL, .poll = true, .info = { self->message, 0 } };
  const GwLinkMute nobody = { .mute = false };
  GwCborWriter w;

  if (self->kind == GW_MULTIDROP_FIND)
    {
      frame.info.len = gw_serial_finder_make (&self->finder, self->message);
      return frame;
    }
  self->echo_tests++;
  gw_smp_begin (&w, self->message, sizeof self->message, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, 0, GW_LINK_MUTE);
  gw_link_mute_encode (&nobody, &w);
  if (gw_smp_end (&w, &frame.info.len) != GW_OK)
    frame.info.len = 0;
  return frame;
}

static void
start (GwMultidrop *self, const Choice *choice, int64_t now)
{
  GwFrame frame = { .poll = true };

  self->kind = choice->kind;
  self->address = choice->address;
  self->tag = choice->tag;
  if (self->kind == GW_MULTIDROP_SWEEP && self->address == 0)
    self->address = next_sweep (self);
  if (self->kind == GW_MULTIDROP_SWEEP && self->address == 0)
    {
      self->sweep_due = now + gw_time_ms (GW_STATION_SEARCH_PERIOD_MS);
      return;
    }
  if (self->kind == GW_MULTIDROP_POLL)
    frame = make_poll (self, self->address, now);
  else if (self->kind == GW_MULTIDROP_SWEEP)
    frame.address = self->address;
  else
    frame = make_request (self);
  gw_exchange_begin (&self->exchange, &frame, self->kind == GW_MULTIDROP_FIND && self->n_up == 0, now);
  self->funcs->send (self->owner, &frame);
}

static void
finish (GwMultidrop *self, GwExchangeResult result, GwBytes info, int64_t now)
{
  size_t data = gw_exchange_carries (&self->exchange) + info.len;

  if (self->kind == GW_MULTIDROP_POLL && result == GW_EXCHANGE_ANSWER && data > 0)
    {
      self->traffic_at = now;
      gw_serial_meter_carried (&self->meter, data, gw_exchange_took (&self->exchange, now));
    }
  gw_exchange_end (&self->exchange, result, now);
  charge (self, now);
  switch (self->kind)
    {
    case GW_MULTIDROP_POLL:
      after_poll (self, self->address, result, info, now);
      break;
    case GW_MULTIDROP_SWEEP:
      after_sweep (self, self->address, result, now);
      break;
    case GW_MULTIDROP_FIND:
      after_find (self, result, info, now);
      break;
    default:
      break;
    }
  tell_wait (self, now);
}

/* ---- Measuring ---- */

static void
measure (GwMultidrop *self, int64_t now)
{
  const GwSerialFigures *figures = gw_serial_meter_end (&self->meter, &self->exchange, self->n_up, now);

  if (figures->jammed)
    tell (self, GW_MULTIDROP_JAMMED, 0, now);
  if (gw_serial_meter_get_conduct (&self->meter, 0) != GW_SERIAL_METER_GOOD)
    tell (self, GW_MULTIDROP_LIES, 0, now);
  for (unsigned a = FIRST; a <= LAST; a++)
    switch (gw_serial_meter_get_conduct (&self->meter, (uint8_t) a))
      {
      case GW_SERIAL_METER_BABBLES:
        tell (self, GW_MULTIDROP_BABBLES, (uint8_t) a, now);
        break;
      case GW_SERIAL_METER_HOGS:
        tell (self, GW_MULTIDROP_HOGS, (uint8_t) a, now);
        break;
      case GW_SERIAL_METER_GOOD:
        break;
      }
  self->funcs->measured (self->owner, figures);
}

/* ---- Interface ---- */

void
gw_multidrop_init (GwMultidrop *self,
                   const GwMultidropFuncs *funcs,
                   void *owner,
                   unsigned speed,
                   size_t datagram_max,
                   const uint8_t nonce[GW_HELLO_NONCE_LEN],
                   int64_t now)
{
  memset (self, 0, sizeof *self);
  self->funcs = funcs;
  self->owner = owner;
  gw_exchange_init (&self->exchange, speed, datagram_max, now);
  gw_serial_finder_init (&self->finder, now);
  self->wait_told = gw_exchange_get_wait (&self->exchange);
  self->sweep_next = FIRST;
  self->sweep_due = now;
  gw_serial_meter_init (&self->meter, speed, now);
  for (unsigned a = FIRST; a <= LAST; a++)
    gw_link_question_init (&self->stations[a].question, nonce);
}

void
gw_multidrop_sent (GwMultidrop *self, size_t octets, int64_t now)
{
  if (!gw_exchange_has_echo (&self->exchange))
    gw_serial_meter_sent (&self->meter, octets);
  gw_exchange_sent (&self->exchange, octets, now);
}

void
gw_multidrop_heard (GwMultidrop *self, size_t octets, int64_t now)
{
  gw_serial_meter_heard (&self->meter, octets);
  gw_exchange_heard (&self->exchange, octets, now);
}

void
gw_multidrop_take (GwMultidrop *self, const GwFrame *frame, int64_t now)
{
  if (self->ended)
    return;
  gw_serial_meter_frame (&self->meter, frame->info.len);
  switch (gw_exchange_take (&self->exchange, frame, now))
    {
    case GW_EXCHANGE_FRAME_ECHO:
      break;
    case GW_EXCHANGE_FRAME_ANSWER:
      if (self->kind == GW_MULTIDROP_FIND && !gw_serial_finder_answers (&self->finder, frame->info))
        self->refused++; /* and in the end it will have been garbage */
      else
        finish (self, GW_EXCHANGE_ANSWER, frame->info, now);
      break;
    case GW_EXCHANGE_FRAME_LATE:
      if (self->stations[frame->address % (LAST + 1)].state == GW_MULTIDROP_UP)
        take_datagram (self, frame->address, frame->info);
      break;
    case GW_EXCHANGE_FRAME_UNASKED:
      self->refused++;
      gw_serial_meter_unasked (&self->meter, frame->address % (LAST + 1), frame->info.len);
      break;
    }
}

int64_t
gw_multidrop_tick (GwMultidrop *self, int64_t now)
{
  GwExchangeResult result;
  Choice choice = { .due = now };

  if (self->ended)
    return INT64_MAX;
  if (now >= gw_serial_meter_due (&self->meter))
    measure (self, now);
  if (gw_exchange_is_over (&self->exchange, now, &result))
    finish (self, result, (GwBytes){ 0 }, now);
  assign (self, now);
  if (gw_exchange_is_idle (&self->exchange))
    {
      bool any = choose (self, now, &choice);

      if (any && gw_exchange_is_free (&self->exchange, now))
        start (self, &choice, now);
      else if (any)
        choice.due = now;
    }
  if (gw_exchange_is_idle (&self->exchange))
    return gw_time_min (gw_time_max (choice.due, gw_exchange_due (&self->exchange)), gw_serial_meter_due (&self->meter));
  return gw_time_min (gw_exchange_due (&self->exchange), gw_serial_meter_due (&self->meter));
}

void
gw_multidrop_kick (GwMultidrop *self, uint8_t address, int64_t now)
{
  GwMultidropStation *st = &self->stations[address % (LAST + 1)];

  if (st->state != GW_MULTIDROP_UP || st->pending)
    return;
  st->pending = true;
  if (st->misses == 0)
    want (st, now);
}

void
gw_multidrop_scan (GwMultidrop *self, int64_t now)
{
  gw_serial_finder_scan (&self->finder, now);
}

void
gw_multidrop_end (GwMultidrop *self)
{
  self->ended = true;
  for (unsigned a = FIRST; a <= LAST; a++)
    drop (self, (uint8_t) a, GW_SERIAL_DOWN_GONE);
}

uint64_t
gw_multidrop_get_uid (const GwMultidrop *self)
{
  return gw_serial_finder_get_uid (&self->finder);
}

uint64_t
gw_multidrop_get_retries (const GwMultidrop *self, uint8_t address)
{
  return self->stations[address % (LAST + 1)].retries;
}
