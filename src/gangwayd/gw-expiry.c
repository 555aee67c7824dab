/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See gw-expiry.h. The counters are the spool's; this only looks at the clock and tells. */

#include "config.h"

#include "gw-expiry.h"

#include "gw-event.h"

#define LOOKS_IN_AN_AGE 24
#define TELL_AGAIN_USEC (G_GINT64_CONSTANT (24 * 3600) * G_USEC_PER_SEC)

struct _GwExpiry
{
  GwLoop *loop;
  GwSpool *spool;
  gint64 max_age;
  GwTimer timer;
  guint64 untold;
  gboolean told;
  gint64 told_at; /* monotonic */
};

static void
tell (GwExpiry *self)
{
  gint64 now = gw_loop_now (self->loop);

  if (self->untold == 0 || (self->told && now - self->told_at < TELL_AGAIN_USEC))
    return;
  gw_event (GW_EVENT_REPORTS_GIVEN_UP, NULL, NULL,
            "%" G_GUINT64_FORMAT " reports were given up: no broker took them within MaxAge", self->untold);
  self->told = TRUE;
  self->told_at = now;
  self->untold = 0;
}

static void
arm (GwExpiry *self)
{
  gw_timer_arm (&self->timer, CLAMP (self->max_age / LOOKS_IN_AN_AGE, GW_EXPIRY_PERIOD_MIN_USEC,
                                     GW_EXPIRY_PERIOD_MAX_USEC));
}

static void
on_timer (gpointer data)
{
  GwExpiry *self = data;
  gint64 now = gw_loop_realtime (self->loop);

  arm (self);
  if (now >= GW_CLOCK_FLOOR_USEC)
    self->untold += gw_spool_expire (self->spool, GW_CLOCK_FLOOR_USEC, now - self->max_age);
  tell (self);
}

GwExpiry *
gw_expiry_new (GwLoop *loop, GwSpool *spool, gint64 max_age)
{
  GwExpiry *self = g_new0 (GwExpiry, 1);

  self->loop = loop;
  self->spool = spool;
  self->max_age = max_age;
  gw_timer_init (&self->timer, loop, on_timer, self);
  arm (self);
  return self;
}

void
gw_expiry_set_max_age (GwExpiry *self, gint64 max_age)
{
  self->max_age = max_age;
  arm (self);
}

void
gw_expiry_free (GwExpiry *self)
{
  if (self == NULL)
    return;
  gw_timer_disarm (&self->timer);
  g_free (self);
}
