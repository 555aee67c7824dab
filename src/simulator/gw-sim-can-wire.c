/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-sim-can-wire.h"

#include <string.h>

#include "gw-sim-pacer.h"
#include "gw-sim-rand.h"

#define NSEC_PER_SEC 1000000000LL

/* Bit times, all nominal: error flag (6 to 12: the others' answer to it), delimiter 8, intermission 3. */
#define ERROR_FRAME_BITS 20
#define SUSPEND_BITS 8           /* a passive unit waits that long after a frame of its own */
#define RECOVERY_BITS (128 * 11) /* of bus-off, at least */

typedef enum
{
  GOOD,
  DESTROYED,
  NOT_ACKNOWLEDGED,
} Outcome;

typedef struct
{
  GwSimCanBus bus;
  GwLoop *loop;
  GwSimPacer pacer;
  GRand *rand;
  bool unpaced, running;
  double error_share;
  gint64 time; /* of the last event */
  bool busy;   /* a frame is on the wire .. */
  gint64 end;  /* .. until then */
  GwCanFrame frame;
  Outcome outcome;
  guint64 full_frames, full_nsec; /* of data, as long as they can be: what a long ISO-TP message is made of */
  guint64 busy_nsec, bits, destroyed, unacknowledged, merged, clashes;
} Wire;

static gint64
bit_nsec (const Wire *self, guint bits)
{
  return bits * NSEC_PER_SEC / self->bus.bit_rate;
}

static gint64
loop_nsec (const Wire *self)
{
  return gw_loop_now (self->loop) * 1000;
}

#define FOR_EACH_UNIT(self, unit)                                                                            \
  for (guint i_##unit = 0; i_##unit < (self)->bus.units->len; i_##unit++)                                    \
    for (GwSimCanUnit *unit = (self)->bus.units->pdata[i_##unit]; unit; unit = NULL)

static bool
is_off (const GwSimCanUnit *unit)
{
  return unit->state == GW_SIM_CAN_STATE_OFF;
}

/* ---- Counting errors (ISO 11898-1, 12.1.4.2) ---- */

static void
set_counters (Wire *self, GwSimCanUnit *unit, int tec, int rec)
{
  bool was_off = is_off (unit);

  gw_sim_can_unit_count (unit, tec, rec);
  if (was_off || !is_off (unit))
    return;
  unit->offs++;
  unit->sending = -1;
  unit->recovers = unit->stays_off ? INT64_MAX : self->time + bit_nsec (self, RECOVERY_BITS);
}

static void
count_good (Wire *self, GwSimCanUnit *unit)
{
  if (unit->sending >= 0)
    set_counters (self, unit, (int)unit->tec - 1, unit->rec);
  else if (!is_off (unit) && !unit->misclocked)
    set_counters (self, unit, unit->tec, unit->rec >= GW_SIM_CAN_PASSIVE ? 120 : (int)unit->rec - 1);
}

/* Senders by 8, receivers by 1. A passive sender that nobody acknowledges stays where it is: a lone node does
 * not go bus-off. */
static void
count_bad (Wire *self, GwSimCanUnit *unit)
{
  if (is_off (unit))
    return;
  unit->errors++;
  if (unit->sending < 0)
    set_counters (self, unit, unit->tec, unit->rec + 1);
  else if (self->outcome != NOT_ACKNOWLEDGED || unit->tec < GW_SIM_CAN_PASSIVE)
    set_counters (self, unit, unit->tec + 8, unit->rec);
}

/* ---- Arbitration ---- */

/* Which of two that are equal in arbitration sends the first dominant bit where they differ; 0: they are
 * equal. */
static int
compare_rest (const GwCanFrame *a, const GwCanFrame *b)
{
  if (a->fd != b->fd)
    return a->fd ? 1 : -1;
  if (a->brs != b->brs)
    return a->brs ? 1 : -1;
  if (a->len != b->len)
    return a->len < b->len ? -1 : 1;
  return memcmp (a->data, b->data, a->remote ? 0 : a->len);
}

static bool
is_before (const GwCanFrame *a, const GwCanFrame *b)
{
  if (gw_can_frame_wins (a, b))
    return true;
  return !gw_can_frame_wins (b, a) && compare_rest (a, b) < 0;
}

/* Picks each unit's best mailbox that is ready at `t` and the bus's best of them. NULL: nobody has one. */
static const GwCanFrame *
arbitrate (Wire *self, gint64 t)
{
  const GwCanFrame *best = NULL;

  FOR_EACH_UNIT (self, unit)
  {
    unit->sending = -1;
    if (is_off (unit) || unit->listen_only)
      continue;
    for (int m = 0; m < GW_SIM_CAN_MAILBOXES; m++)
      {
        const GwSimCanMailbox *box = &unit->mailboxes[m];

        if (box->full && box->ready <= t
            && (unit->sending < 0 || is_before (&box->frame, &unit->mailboxes[unit->sending].frame)))
          unit->sending = m;
      }
    if (unit->sending >= 0 && (!best || is_before (&unit->mailboxes[unit->sending].frame, best)))
      best = &unit->mailboxes[unit->sending].frame;
  }
  return best;
}

/* Takes those who lost out of `sending`. Who was equal in arbitration and is not in the rest sees a bit
 * error, and destroys the frame while it is error active. */
static bool
resolve (Wire *self, const GwCanFrame *best)
{
  guint senders = 0;
  bool clash = false, destroyed = false;

  FOR_EACH_UNIT (self, unit)
  {
    const GwCanFrame *frame = unit->sending < 0 ? NULL : &unit->mailboxes[unit->sending].frame;

    if (!frame)
      continue;
    if (gw_can_frame_wins (best, frame))
      {
        unit->arbitrations_lost++;
        unit->sending = -1;
      }
    else if (compare_rest (best, frame) == 0)
      senders++;
    else
      {
        clash = true;
        if (unit->state < GW_SIM_CAN_STATE_PASSIVE)
          destroyed = true; /* it stays a sender and counts as one below */
        else
          {
            set_counters (self, unit, unit->tec + 8, unit->rec);
            unit->sending = -1;
          }
      }
  }
  self->clashes += clash;
  self->merged += senders - 1;
  return !destroyed;
}

static Outcome
judge (Wire *self)
{
  bool acknowledged = false, destroyed = gw_sim_rand_happens (self->rand, self->error_share);

  FOR_EACH_UNIT (self, unit)
  {
    if (unit->sending >= 0)
      destroyed |= unit->misclocked || gw_sim_rand_happens (self->rand, unit->error_share);
    else if (unit->misclocked)
      destroyed |= unit->state < GW_SIM_CAN_STATE_PASSIVE && !unit->listen_only;
    else
      acknowledged |= !is_off (unit) && !unit->listen_only;
  }
  return destroyed ? DESTROYED : acknowledged ? GOOD : NOT_ACKNOWLEDGED;
}

static void
count_bits (Wire *self, const GwCanFrame *frame, gint64 length)
{
  GwCanBits bits = gw_can_frame_bits (frame);

  self->bits += bits.nominal + bits.data;
  if (frame->len != (self->bus.data_rate > 0 ? GW_CAN_LEN_MAX : GW_CAN_LEN_CLASSIC) || !frame->extended)
    return;
  self->full_frames++;
  self->full_nsec += length;
}

static void
begin_frame (Wire *self, gint64 t)
{
  const GwCanFrame *best = arbitrate (self, t);
  gint64 length;

  if (!best)
    return;
  self->outcome = resolve (self, best) ? judge (self) : DESTROYED;
  self->frame = *best;
  length = gw_can_frame_nsec (best, self->bus.bit_rate, MAX (self->bus.data_rate, 1));
  /* Errors always take their time: what nobody acknowledges is sent again for ever. */
  if (self->outcome == GOOD && self->unpaced)
    length = 0;
  if (self->outcome == DESTROYED)
    length = length * g_rand_double (self->rand) + bit_nsec (self, ERROR_FRAME_BITS);
  else if (self->outcome == NOT_ACKNOWLEDGED)
    length += bit_nsec (self, ERROR_FRAME_BITS);
  else
    count_bits (self, best, length);
  self->busy = true;
  self->end = t + length;
  self->busy_nsec += length;
}

/* Who sent it may have gone in the middle, or fallen off the bus. */
static bool
has_sender (Wire *self)
{
  bool found = false;

  FOR_EACH_UNIT (self, unit) found |= unit->sending >= 0;
  return found;
}

static void
end_frame (Wire *self)
{
  self->busy = false;
  if (!has_sender (self))
    self->outcome = DESTROYED;
  FOR_EACH_UNIT (self, unit)
  {
    if (unit->sending >= 0 && unit->state == GW_SIM_CAN_STATE_PASSIVE)
      for (guint m = 0; m < GW_SIM_CAN_MAILBOXES; m++)
        unit->mailboxes[m].ready = MAX (unit->mailboxes[m].ready, self->time + bit_nsec (self, SUSPEND_BITS));
    if (self->outcome == GOOD)
      count_good (self, unit);
    else
      {
        count_bad (self, unit);
        unit->sending = -1;
      }
  }
  if (self->outcome == GOOD)
    gw_sim_can_bus_deliver (&self->bus, &self->frame, self->time / 1000);
  self->destroyed += self->outcome == DESTROYED;
  self->unacknowledged += self->outcome == NOT_ACKNOWLEDGED;
}

/* ---- Time ---- */

static gint64
next_start (const Wire *self)
{
  gint64 ready = INT64_MAX;

  FOR_EACH_UNIT (self, unit)
  {
    if (is_off (unit) || unit->listen_only)
      continue;
    for (guint m = 0; m < GW_SIM_CAN_MAILBOXES; m++)
      if (unit->mailboxes[m].full)
        ready = MIN (ready, unit->mailboxes[m].ready);
  }
  return ready == INT64_MAX ? ready : MAX (ready, self->time);
}

static gint64
next_recovery (const Wire *self)
{
  gint64 next = INT64_MAX;

  FOR_EACH_UNIT (self, unit) next = MIN (next, unit->recovers);
  return next;
}

static gint64
next_event (const Wire *self)
{
  gint64 due = gw_sim_can_bus_due (&self->bus);
  gint64 next = self->busy ? self->end : next_start (self);

  next = MIN (next, next_recovery (self));
  return MIN (next, due == INT64_MAX ? due : MAX (due * 1000, self->time));
}

static void
recover (Wire *self)
{
  FOR_EACH_UNIT (self, unit)
  {
    if (unit->recovers > self->time)
      continue;
    unit->recovers = INT64_MAX;
    gw_sim_can_unit_count (unit, 0, 0);
  }
}

static void
step (Wire *self, gint64 t)
{
  self->time = t;
  if (self->busy && self->end <= t)
    end_frame (self);
  recover (self);
  gw_sim_can_bus_run_due (&self->bus, t / 1000);
  if (!self->busy)
    begin_frame (self, t);
}

static void
run (gpointer data)
{
  Wire *self = data;
  gint64 now = loop_nsec (self), next;

  self->running = true;
  gw_sim_can_bus_begin (&self->bus);
  if (self->time < now - GW_SIM_CAN_LAG_MAX_NSEC)
    {
      self->time = now - GW_SIM_CAN_LAG_MAX_NSEC;
      self->end = MAX (self->end, self->time);
    }
  for (guint n = 0; n < GW_SIM_CAN_FRAMES_PER_TURN && (next = next_event (self)) <= now; n++)
    step (self, next);
  gw_sim_can_bus_end (&self->bus);
  self->running = false;
  gw_sim_pacer_arm (&self->pacer, next_event (self));
}

/* Inside run() it is the time of the present event; outside, real time, unless the bus is ahead of it. */
static gint64
wire_now (GwSimCanBus *bus)
{
  Wire *self = (Wire *)bus;

  return self->running ? self->time : MAX (self->time, loop_nsec (self));
}

static void
wire_kick (GwSimCanBus *bus)
{
  Wire *self = (Wire *)bus;

  if (!self->running)
    gw_sim_pacer_arm (&self->pacer, next_event (self));
}

/* ---- Life ---- */

static void
wire_add_status (const GwSimCanBus *bus, json_t *status)
{
  const Wire *self = (const Wire *)bus;
  json_t *more
      = json_pack ("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:f}", "bits", (json_int_t)self->bits,
                   "full_frames", (json_int_t)self->full_frames, "full_ns", (json_int_t)self->full_nsec,
                   "busy_ns", (json_int_t)self->busy_nsec, "time_ns", (json_int_t)self->time, "destroyed",
                   (json_int_t)self->destroyed, "unacknowledged", (json_int_t)self->unacknowledged, "merged",
                   (json_int_t)self->merged, "clashes", (json_int_t)self->clashes, "paced", !self->unpaced,
                   "error_share", self->error_share);

  json_object_update (status, more);
  json_decref (more);
}

static void
wire_free (GwSimCanBus *bus)
{
  Wire *self = (Wire *)bus;

  gw_sim_pacer_clear (&self->pacer);
  g_rand_free (self->rand);
  gw_sim_can_bus_clear (bus);
  g_free (self);
}

static const GwSimCanBusClass wire_class = {
  .now = wire_now,
  .kick = wire_kick,
  .add_status = wire_add_status,
  .free = wire_free,
};

GwSimCanBus *
gw_sim_can_wire_new (GwLoop *loop, guint32 bit_rate, guint32 data_rate, bool unpaced, guint64 seed)
{
  Wire *self = g_new0 (Wire, 1);

  gw_sim_can_bus_init (&self->bus, &wire_class, bit_rate, data_rate);
  self->loop = loop;
  self->unpaced = unpaced;
  self->rand = gw_sim_rand_new (seed);
  self->time = loop_nsec (self);
  gw_sim_pacer_init (&self->pacer, loop, run, self);
  return &self->bus;
}

void
gw_sim_can_wire_set_error_share (GwSimCanBus *bus, double share)
{
  ((Wire *)bus)->error_share = share;
}

void
gw_sim_can_wire_force_off (GwSimCanBus *bus, GwSimCanUnit *unit)
{
  set_counters ((Wire *)bus, unit, GW_SIM_CAN_OFF, unit->rec);
  wire_kick (bus);
}
