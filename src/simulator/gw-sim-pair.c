/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-sim-pair.h"

#include "gw-protocol.h"
#include "gw-sim-rand.h"

#define BITS_PER_OCTET 10 /* 8N1 */
#define NSEC_PER_SEC G_GINT64_CONSTANT (1000000000)

struct GwSimPair
{
  GwLoop *loop;
  guint speed;
  gint64 octet;
  GRand *rand;
  GPtrArray *units; /* of GwSimPairUnit, borrowed */
  GwSimPacer pacer;
  gint64 at; /* worked off up to here */
  gboolean running;
  guint64 octets, damaged;
  gint64 busy, asked_at; /* since the status was asked */
};

static gint64
present (const GwSimPair *self)
{
  return gw_loop_now (self->loop) * 1000;
}

gint64
gw_sim_pair_now (const GwSimPair *self)
{
  return self->running ? self->at : present (self);
}

/* ---- What is being sent ---- */

static gsize
left (const GwSimPairUnit *unit)
{
  return unit->out->len - unit->pos;
}

gboolean
gw_sim_pair_is_sending (const GwSimPairUnit *unit)
{
  return left (unit) > 0;
}

static gint64
ends (const GwSimPairUnit *unit)
{
  return unit->begins + (gint64)left (unit) * unit->pair->octet;
}

/* The unit whose octet ends next, and when; NULL: silence. */
static GwSimPairUnit *
next_unit (const GwSimPair *self, gint64 *at)
{
  GwSimPairUnit *next = NULL;

  *at = INT64_MAX;
  for (guint i = 0; i < self->units->len; i++)
    {
      GwSimPairUnit *unit = self->units->pdata[i];

      if (!gw_sim_pair_is_sending (unit) || unit->begins + self->octet >= *at)
        continue;
      next = unit;
      *at = unit->begins + self->octet;
    }
  return next;
}

/* Whether somebody else sends while this octet is on the wire. `*swallowed`: and had begun before: one
 * receiver makes one octet of two that overlap. */
static gboolean
collides (const GwSimPair *self, const GwSimPairUnit *unit, gboolean *swallowed)
{
  gboolean hit = FALSE, before = TRUE;

  *swallowed = FALSE;
  for (guint i = 0; i < self->units->len; i++)
    {
      const GwSimPairUnit *other = self->units->pdata[i];

      if (other == unit)
        before = FALSE;
      else if (other->started < unit->begins + self->octet
               && (gw_sim_pair_is_sending (other) ? ends (other) : other->ended) > unit->begins)
        {
          hit = TRUE;
          *swallowed |= other->started < unit->started || (other->started == unit->started && before);
        }
    }
  return hit;
}

/* ---- Time ---- */

static void
deliver (GwSimPair *self, const GwSimPairUnit *sender, guint8 octet)
{
  for (guint i = 0; i < self->units->len; i++)
    {
      GwSimPairUnit *unit = self->units->pdata[i];

      if (unit->hears_itself
          || (unit != sender && (!gw_sim_pair_is_sending (unit) || unit->started >= self->at)))
        unit->class->heard (unit, octet, self->at);
    }
}

static void
finish_octet (GwSimPair *self, GwSimPairUnit *unit)
{
  guint8 octet = unit->out->data[unit->pos];
  gboolean swallowed, damaged = collides (self, unit, &swallowed);

  unit->pos++;
  unit->begins += self->octet;
  self->octets++;
  self->damaged += damaged;
  if (damaged)
    octet &= g_rand_int (self->rand); /* dominant bits win, and framing is lost */
  if (!swallowed)
    {
      self->busy += self->octet;
      deliver (self, unit, octet);
    }
  if (gw_sim_pair_is_sending (unit))
    return;
  unit->ended = unit->begins;
  g_byte_array_set_size (unit->out, 0);
  unit->pos = 0;
  if (unit->class->sent)
    unit->class->sent (unit, self->at);
}

/* When the next octets matter: a portion of them, the end of a frame, or the end. */
static gint64
next_event (const GwSimPairUnit *unit)
{
  gsize n = MIN (left (unit), GW_SIM_PAIR_PORTION);

  for (gsize i = 0; i < n; i++)
    if (i > 0 && unit->out->data[unit->pos + i] == GW_FRAME_FLAG)
      n = i + 1;
  return unit->begins + (gint64)n * unit->pair->octet;
}

static void
arm (GwSimPair *self)
{
  gint64 at = INT64_MAX;

  for (guint i = 0; i < self->units->len; i++)
    if (gw_sim_pair_is_sending (self->units->pdata[i]))
      at = MIN (at, next_event (self->units->pdata[i]));
  gw_sim_pacer_arm (&self->pacer, at);
}

static void
run (GwSimPair *self)
{
  gint64 now = present (self), at;
  GwSimPairUnit *unit;

  if (self->running)
    return;
  self->running = TRUE;
  while ((unit = next_unit (self, &at)) && at <= now)
    {
      self->at = MAX (self->at, at);
      finish_octet (self, unit);
    }
  self->at = MAX (self->at, now);
  self->running = FALSE;
  for (guint i = 0; i < self->units->len; i++)
    {
      unit = self->units->pdata[i];
      if (unit->class->flush)
        unit->class->flush (unit);
    }
  arm (self);
}

static void
on_pacer (gpointer data)
{
  run (data);
}

/* ---- Units ---- */

void
gw_sim_pair_unit_init (GwSimPairUnit *unit, const GwSimPairUnitClass *class)
{
  *unit = (GwSimPairUnit){ .class = class };
}

void
gw_sim_pair_attach (GwSimPair *self, GwSimPairUnit *unit)
{
  if (unit->pair)
    return;
  unit->pair = self;
  unit->out = g_byte_array_new ();
  unit->pos = 0;
  g_ptr_array_add (self->units, unit);
}

void
gw_sim_pair_detach (GwSimPairUnit *unit)
{
  GwSimPair *self = unit->pair;

  if (!self)
    return;
  run (self);
  g_ptr_array_remove (self->units, unit);
  unit->pair = NULL;
  g_clear_pointer (&unit->out, g_byte_array_unref);
  arm (self);
}

gboolean
gw_sim_pair_send (GwSimPairUnit *unit, const guint8 *octets, gsize len, gint64 at)
{
  GwSimPair *self = unit->pair;

  if (!self || left (unit) + len > GW_SIM_PAIR_OUT_MAX)
    return FALSE;
  if (!self->running)
    run (self);
  if (!gw_sim_pair_is_sending (unit))
    unit->begins = unit->started = MAX (at, gw_sim_pair_now (self));
  g_byte_array_append (unit->out, octets, len);
  if (!self->running)
    arm (self);
  return TRUE;
}

void
gw_sim_pair_stop (GwSimPairUnit *unit)
{
  if (!unit->pair)
    return;
  unit->ended = MIN (ends (unit), gw_sim_pair_now (unit->pair));
  g_byte_array_set_size (unit->out, 0);
  unit->pos = 0;
}

/* ---- The pair ---- */

GwSimPair *
gw_sim_pair_new (GwLoop *loop, guint speed, guint64 seed)
{
  GwSimPair *self = g_new0 (GwSimPair, 1);

  self->loop = loop;
  self->speed = speed;
  self->octet = BITS_PER_OCTET * NSEC_PER_SEC / speed;
  self->rand = gw_sim_rand_new (seed);
  self->units = g_ptr_array_new ();
  self->at = self->asked_at = present (self);
  gw_sim_pacer_init (&self->pacer, loop, on_pacer, self);
  return self;
}

void
gw_sim_pair_free (GwSimPair *self)
{
  gw_sim_pacer_clear (&self->pacer);
  g_ptr_array_unref (self->units);
  g_rand_free (self->rand);
  g_free (self);
}

guint
gw_sim_pair_speed (const GwSimPair *self)
{
  return self->speed;
}

gint64
gw_sim_pair_octet_nsec (const GwSimPair *self)
{
  return self->octet;
}

GRand *
gw_sim_pair_rand (GwSimPair *self)
{
  return self->rand;
}

json_t *
gw_sim_pair_status (GwSimPair *self)
{
  gint64 now = gw_sim_pair_now (self), time = MAX (now - self->asked_at, 1);
  json_t *status = json_pack ("{s:i, s:i, s:I, s:I, s:f}", "speed", (int)self->speed, "units",
                              (int)self->units->len, "octets", (json_int_t)self->octets, "damaged",
                              (json_int_t)self->damaged, "busy", (double)self->busy / time);

  self->busy = 0;
  self->asked_at = now;
  return status;
}
