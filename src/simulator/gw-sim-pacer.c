/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-sim-pacer.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define NSEC_PER_SEC 1000000000

static void
on_timer (gpointer data)
{
  GwSimPacer *self = data;

  self->at = INT64_MAX;
  self->func (self->data);
}

static void
on_fd (guint32 events, gpointer data)
{
  GwSimPacer *self = data;
  guint64 count;

  /* Nothing to be read: it was armed anew since. */
  if (read (self->fd, &count, sizeof count) == sizeof count)
    on_timer (self);
}

void
gw_sim_pacer_init (GwSimPacer *self, GwLoop *loop, GwTimerFunc func, gpointer data)
{
  *self = (GwSimPacer){ .loop = loop, .func = func, .data = data, .fd = -1, .at = INT64_MAX };
  gw_timer_init (&self->timer, loop, on_timer, self);
  if (gw_clock_is_mock (gw_loop_clock (loop)))
    return;
  self->fd = timerfd_create (CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  self->watch = self->fd < 0 ? NULL : gw_loop_watch (loop, self->fd, EPOLLIN, on_fd, self);
  if (!self->watch)
    g_error ("Cannot make a timer: %s", g_strerror (errno)); /* out of descriptors: nothing would work */
}

void
gw_sim_pacer_clear (GwSimPacer *self)
{
  gw_timer_disarm (&self->timer);
  g_clear_pointer (&self->watch, gw_fd_watch_free);
  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;
}

void
gw_sim_pacer_arm (GwSimPacer *self, gint64 at)
{
  struct itimerspec spec = { .it_value = { at / NSEC_PER_SEC, at % NSEC_PER_SEC } };

  if (at == self->at)
    return;
  self->at = at;
  if (self->fd < 0 && at == INT64_MAX)
    gw_timer_disarm (&self->timer);
  else if (self->fd < 0)
    gw_timer_arm (&self->timer, (at + 999) / 1000 - gw_loop_now (self->loop));
  else
    {
      if (at == INT64_MAX)
        spec.it_value = (struct timespec){ 0 };
      else if (at <= 0)
        spec.it_value.tv_nsec = 1;
      timerfd_settime (self->fd, TFD_TIMER_ABSTIME, &spec, NULL);
    }
}
