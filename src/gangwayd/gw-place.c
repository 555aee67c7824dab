/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See gw-place.h. */

#include "config.h"

#include "gw-place.h"

void
gw_place_init (GwPlace *self, GwPlaces *places, void (*func) (gpointer data), gpointer data)
{
  self->places = places;
  self->func = func;
  self->data = data;
}

static void
enter (GwPlace *self)
{
  self->held = TRUE;
  self->places->taken++;
  self->func (self->data);
}

void
gw_place_take (GwPlace *self)
{
  g_return_if_fail (!self->held && !self->waits);
  if (self->places->taken < self->places->most)
    {
      enter (self);
      return;
    }
  self->link.data = self;
  self->waits = TRUE;
  g_queue_push_tail_link (&self->places->waiting, &self->link);
}

void
gw_place_leave (GwPlace *self)
{
  GwPlaces *places = self->places;
  GwPlace *next = NULL;

  if (self->waits)
    {
      g_queue_unlink (&places->waiting, &self->link);
      self->waits = FALSE;
    }
  if (!self->held)
    return;
  self->held = FALSE;
  places->taken--;
  if (places->taken < places->most)
    next = g_queue_peek_head (&places->waiting);
  if (next == NULL)
    return;
  g_queue_unlink (&places->waiting, &next->link);
  next->waits = FALSE;
  enter (next);
}

gboolean
gw_place_waits (const GwPlace *self)
{
  return self->waits;
}
