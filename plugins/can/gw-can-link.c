/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-can-link.h"

GwCanLink *
gw_can_link_open (const GwCanLinkConfig *config, const GwCanLinkFuncs *funcs, gpointer owner, GError **error)
{
  if (g_str_has_prefix (config->device, GW_CAN_SLCAN_PREFIX))
    return gw_can_slcan_open (config, funcs, owner, error);
  return gw_can_socket_open (config, funcs, owner, error);
}

void
gw_can_link_init (GwCanLink *self, const GwCanLinkClass *klass, const GwCanLinkFuncs *funcs, gpointer owner)
{
  g_atomic_ref_count_init (&self->refs);
  self->klass = klass;
  self->funcs = funcs;
  self->owner = owner;
  self->alive = TRUE;
}

static void
link_ref (GwCanLink *self)
{
  g_atomic_ref_count_inc (&self->refs);
}

static void
link_unref (GwCanLink *self)
{
  if (g_atomic_ref_count_dec (&self->refs))
    g_free (self);
}

static void
shut (GwCanLink *self)
{
  if (!self->alive)
    return;
  self->alive = FALSE;
  self->klass->free (self);
}

void
gw_can_link_free (GwCanLink *self)
{
  shut (self);
  link_unref (self);
}

void
gw_can_link_go (GwCanLink *self, gboolean failed, const char *why)
{
  if (!self->alive)
    return;
  shut (self);
  self->funcs->gone (self->owner, failed, why);
}

gint64
gw_can_link_begin_turn (GwCanLink *self)
{
  link_ref (self);
  return g_get_monotonic_time ();
}

gboolean
gw_can_link_end_turn (GwCanLink *self, gint64 now)
{
  gboolean alive;

  if (self->alive)
    self->funcs->turned (self->owner, now);
  alive = self->alive;
  link_unref (self);
  return alive;
}

gint64
gw_can_link_tick (GwCanLink *self, gint64 now)
{
  gint64 due;

  if (!self->alive)
    return G_MAXINT64;
  link_ref (self);
  due = self->klass->tick (self, now);
  link_unref (self);
  return due;
}

/* ---- Frames under way ---- */

GwCanFlight *
gw_can_link_flight (GwCanLink *self, guint place)
{
  return &self->flights[(self->first_flight + place) % GW_CAN_LINK_WINDOW];
}

GwCanFlight *
gw_can_link_next_flight (GwCanLink *self)
{
  return self->n_flights < GW_CAN_LINK_WINDOW ? gw_can_link_flight (self, self->n_flights) : NULL;
}

void
gw_can_link_push_flight (GwCanLink *self)
{
  self->n_flights++;
}

void
gw_can_link_end_flight (GwCanLink *self, guint place, gboolean sent, gint64 now)
{
  GwCanFlight flight = *gw_can_link_flight (self, place);

  /* Almost always the oldest. */
  for (guint i = place; i > 0; i--)
    *gw_can_link_flight (self, i) = *gw_can_link_flight (self, i - 1);
  self->first_flight = (self->first_flight + 1) % GW_CAN_LINK_WINDOW;
  self->n_flights--;
  if (sent)
    self->funcs->sent (self->owner, flight.tag, &flight.frame, now);
  else
    self->funcs->lost (self->owner, flight.tag, now);
}

void
gw_can_link_drop_flights (GwCanLink *self, gint64 now)
{
  while (self->alive && self->n_flights > 0)
    {
      self->n_flights--;
      self->funcs->unsent (self->owner, gw_can_link_flight (self, self->n_flights)->tag, now);
    }
}
