/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See gw-heartbeat.h. What the writer holds is the heartbeat itself: one that is freed meanwhile is only marked, and goes with the
 * writer's answer, which always comes.
 */

#include "config.h"

#include "gw-heartbeat.h"

struct _GwHeartbeat
{
  GwWriter *writer;
  gint64 period;
  GwHeartbeatFunc func;
  gpointer data;
  GwTimer timer;
  GwStep step;
  gboolean in_writer;
  gboolean freed;
};

/* Nothing is written: a store's begin and commit are what a beat needs answered. */
static gboolean
run_beat (gpointer data, gpointer store, GError **error)
{
  return TRUE;
}

static void
on_answer (gpointer data, const GError *error)
{
  GwHeartbeat *self = data;

  self->in_writer = FALSE;
  if (self->freed)
    {
      g_free (self);
      return;
    }
  gw_timer_arm (&self->timer, self->period);
  self->func (self->data);
}

static void
on_step (gpointer data)
{
  GwHeartbeat *self = data;

  self->in_writer = TRUE;
  gw_writer_push (self->writer, run_beat, on_answer, self);
}

static void
on_timer (gpointer data)
{
  GwHeartbeat *self = data;

  gw_step_queue (&self->step);
}

GwHeartbeat *
gw_heartbeat_new (GwLoop *loop, GwWriter *writer, gint64 period, GwHeartbeatFunc func, gpointer data)
{
  GwHeartbeat *self = g_new0 (GwHeartbeat, 1);

  self->writer = writer;
  self->period = period;
  self->func = func;
  self->data = data;
  gw_timer_init (&self->timer, loop, on_timer, self);
  gw_step_init (&self->step, loop, on_step, self);
  gw_timer_arm (&self->timer, 0);
  return self;
}

void
gw_heartbeat_free (GwHeartbeat *self)
{
  gw_timer_disarm (&self->timer);
  gw_step_cancel (&self->step);
  if (self->in_writer)
    self->freed = TRUE;
  else
    g_free (self);
}
