// SPDX-License-Identifier: LGPL-2.1-or-later
/* Time behind a seam. The real clock is stateless; the mock keeps both times in atomics, because the writer
 * thread reads the time too, and tells its listeners (the loops) when it moves. Reference counted: loops hold
 * one. */
#include "gw-clock.h"

typedef struct
{
  guint id;
  GwClockFunc func;
  gpointer data;
} Listener;

struct GwClock
{
  gint refs;
  gboolean mock;
  gint64 monotonic;
  gint64 realtime;
  guint last_id;
  GArray *listeners;
};

static GwClock *
clock_new (gboolean mock, gint64 monotonic, gint64 realtime)
{
  GwClock *self = g_new0 (GwClock, 1);

  self->refs = 1;
  self->mock = mock;
  self->monotonic = monotonic;
  self->realtime = realtime;
  self->listeners = g_array_new (FALSE, FALSE, sizeof (Listener));
  return self;
}

GwClock *
gw_clock_new_real (void)
{
  return clock_new (FALSE, 0, 0);
}

GwClock *
gw_clock_new_mock (gint64 monotonic, gint64 realtime)
{
  return clock_new (TRUE, monotonic, realtime);
}

GwClock *
gw_clock_ref (GwClock *self)
{
  g_atomic_int_inc (&self->refs);
  return self;
}

void
gw_clock_unref (GwClock *self)
{
  if (!g_atomic_int_dec_and_test (&self->refs))
    return;
  g_array_unref (self->listeners);
  g_free (self);
}

gint64
gw_clock_monotonic (GwClock *self)
{
  return self->mock ? __atomic_load_n (&self->monotonic, __ATOMIC_SEQ_CST) : g_get_monotonic_time ();
}

gint64
gw_clock_realtime (GwClock *self)
{
  return self->mock ? __atomic_load_n (&self->realtime, __ATOMIC_SEQ_CST) : g_get_real_time ();
}

gboolean
gw_clock_is_mock (GwClock *self)
{
  return self->mock;
}

static void
tell_listeners (GwClock *self)
{
  /* A copy: a listener may come or go while being told. */
  g_autoptr (GArray) listeners = g_array_copy (self->listeners);

  for (guint i = 0; i < listeners->len; i++)
    {
      Listener *listener = &g_array_index (listeners, Listener, i);

      listener->func (listener->data);
    }
}

void
gw_clock_advance (GwClock *self, gint64 usec)
{
  g_return_if_fail (self->mock && usec >= 0);

  __atomic_add_fetch (&self->monotonic, usec, __ATOMIC_SEQ_CST);
  __atomic_add_fetch (&self->realtime, usec, __ATOMIC_SEQ_CST);
  tell_listeners (self);
}

void
gw_clock_set_realtime (GwClock *self, gint64 realtime)
{
  g_return_if_fail (self->mock);

  __atomic_store_n (&self->realtime, realtime, __ATOMIC_SEQ_CST);
  tell_listeners (self);
}

guint
gw_clock_listen (GwClock *self, GwClockFunc func, gpointer data)
{
  Listener listener = { .id = ++self->last_id, .func = func, .data = data };

  g_array_append_val (self->listeners, listener);
  return listener.id;
}

void
gw_clock_unlisten (GwClock *self, guint id)
{
  for (guint i = 0; i < self->listeners->len; i++)
    {
      if (g_array_index (self->listeners, Listener, i).id == id)
        {
          g_array_remove_index (self->listeners, i);
          return;
        }
    }
}
