/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See gw-berths.h. While nobody waits nothing is looked at: silent holders are found when somebody wants their place. */

#include "config.h"

#include "gw-berths.h"

/* How soon after a holder fell silent the next one begins. */
#define LOOK_USEC (20 * 1000)

static void
put (GQueue *queue, GwBerth *berth)
{
  berth->link.data = berth;
  berth->in = queue;
  g_queue_push_tail_link (queue, &berth->link);
}

static void
take (GwBerth *berth)
{
  if (berth->in != NULL)
    g_queue_unlink (berth->in, &berth->link);
  berth->in = NULL;
}

static void
hold (GwBerths *self, GwBerth *berth)
{
  berth->since = berth->active = gw_loop_now (self->loop);
  put (&self->held, berth);
}

static void
roll_window (GwBerths *self, gint64 now)
{
  gint64 windows = (now - self->window) / GW_BERTHS_ROOM_WINDOW_USEC;

  if (windows <= 0)
    return;
  self->carried_before = windows == 1 ? self->carried : 0;
  self->carried = 0;
  self->window += windows * GW_BERTHS_ROOM_WINDOW_USEC;
}

/* Over the last whole window and what has passed of this one. */
static gboolean
wire_has_room (GwBerths *self, gint64 now)
{
  gint64 usec;

  roll_window (self, now);
  usec = GW_BERTHS_ROOM_WINDOW_USEC + now - self->window;
  return (gint64) (self->carried + self->carried_before) * 100 * G_USEC_PER_SEC
         < (gint64) self->octets_per_second * usec * GW_BERTHS_ROOM_PERCENT;
}

static void
evict (GwBerths *self)
{
  gint64 now = gw_loop_now (self->loop);
  gboolean room = wire_has_room (self, now);

  for (GList *l = self->held.head, *next; l != NULL; l = next)
    {
      GwBerth *berth = l->data;

      next = l->next;
      if (now - berth->since >= GW_BERTHS_HELD_MAX_USEC || (room && now - berth->active >= self->idle_usec)
          || (now - berth->active >= GW_BERTHS_DONE_USEC && !self->waits (berth, self->data)))
        take (berth);
    }
}

static gboolean
has_room (GwBerths *self)
{
  return self->most == 0 || self->held.length < self->most;
}

static void
look (gpointer data)
{
  GwBerths *self = data;

  evict (self);
  while (self->waiting.length > 0 && has_room (self))
    {
      GwBerth *berth = self->waiting.head->data;

      take (berth);
      hold (self, berth);
      self->grant (berth, self->data);
    }
  if (self->waiting.length > 0)
    gw_timer_arm (&self->look, LOOK_USEC);
}

void
gw_berths_init (GwBerths *self, GwLoop *loop, GwBerthsGrant grant, GwBerthsWaits waits, gpointer data)
{
  *self = (GwBerths) { .loop = loop, .grant = grant, .waits = waits, .data = data, .window = gw_loop_now (loop) };
  g_queue_init (&self->waiting);
  g_queue_init (&self->held);
  gw_timer_init (&self->look, loop, look, self);
}

void
gw_berths_clear (GwBerths *self)
{
  gw_timer_disarm (&self->look);
  while (self->waiting.length > 0)
    take (self->waiting.head->data);
  while (self->held.length > 0)
    take (self->held.head->data);
}

void
gw_berths_set (GwBerths *self, guint most, guint octets_per_second, gint64 idle_usec)
{
  self->most = most;
  self->octets_per_second = octets_per_second;
  self->idle_usec = idle_usec;
  if (self->waiting.length > 0 && has_room (self))
    gw_timer_arm (&self->look, 0);
}

gboolean
gw_berths_ask (GwBerths *self, GwBerth *berth)
{
  if (self->most == 0)
    return TRUE;
  if (berth->in == &self->held)
    {
      berth->active = gw_loop_now (self->loop);
      return TRUE;
    }
  if (berth->in == &self->waiting)
    return FALSE;
  /* Whoever waits already comes first. */
  if (self->waiting.length == 0)
    {
      if (!has_room (self))
        evict (self);
      if (has_room (self))
        {
          hold (self, berth);
          return TRUE;
        }
    }
  put (&self->waiting, berth);
  if (!gw_timer_is_armed (&self->look))
    gw_timer_arm (&self->look, LOOK_USEC);
  return FALSE;
}

void
gw_berths_carry (GwBerths *self, GwBerth *berth, gsize octets)
{
  gint64 now;

  if (self->most == 0)
    return;
  now = gw_loop_now (self->loop);
  roll_window (self, now);
  self->carried += octets;
  berth->active = now;
}

void
gw_berths_leave (GwBerths *self, GwBerth *berth)
{
  take (berth);
}
