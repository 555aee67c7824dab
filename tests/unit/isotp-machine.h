/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A machine of ISO-TP in the hands of a test: what it is given, what it must put out, and the time. */

#include <string.h>

#include "isotp-frames.h"

#define MS G_GINT64_CONSTANT (1000)
#define SECOND (1000 * MS)

static const guint8 *pattern; /* isotp_pattern () */
static guint8 buffer[200];    /* what the machine under test may receive */

static inline GwIsotp
machine (void (*change) (GwIsotpConfig *config))
{
  GwIsotpConfig config;
  GwIsotp self;

  gw_isotp_config_default (&config, ISOTP_ID_US, ISOTP_ID_THEM);
  config.pad = false;
  if (change)
    change (&config);
  gw_isotp_init (&self, &config, buffer, sizeof buffer);
  return self;
}

static inline GwIsotpEvent
take (GwIsotp *self, const char *hex, gint64 now)
{
  GwCanFrame frame = isotp_frame (hex);

  return gw_isotp_take (self, &frame, now);
}

static inline void
assert_pull (GwIsotp *self, gint64 now, const char *hex)
{
  GwCanFrame frame;

  g_assert_true (gw_isotp_pull (self, now, &frame));
  g_assert_cmphex (frame.id, ==, ISOTP_ID_US);
  g_assert_true (frame.extended);
  g_assert_false (frame.remote);
  isotp_assert_frame (&frame, hex);
}

static inline void
assert_no_pull (GwIsotp *self, gint64 now)
{
  GwCanFrame frame;

  g_assert_false (gw_isotp_pull (self, now, &frame));
}

/* Pulled, and gone out at once. */
static inline GwIsotpEvent
out (GwIsotp *self, gint64 now, const char *hex)
{
  assert_pull (self, now, hex);
  return gw_isotp_confirm (self, now);
}

static inline void
begin (GwIsotp *self, gsize len, gint64 now)
{
  g_assert_cmpint (gw_isotp_send (self, (GwBytes){ pattern, len }, now), ==, GW_OK);
}

static inline void
assert_message (const GwIsotp *self, gsize len)
{
  GwBytes message = gw_isotp_message (self);

  g_assert_cmpmem (message.ptr, message.len, pattern, len);
}

/* That is due exactly at @when, and no microsecond before. */
static inline GwIsotpEvent
tick_at (GwIsotp *self, gint64 when)
{
  g_assert_cmpint (gw_isotp_due (self), ==, when);
  g_assert_cmpint (gw_isotp_tick (self, when - 1), ==, GW_ISOTP_NOTHING);
  return gw_isotp_tick (self, when);
}

static inline void
assert_send_failed (GwIsotp *self, GwIsotpEvent event, GwIsotpResult result)
{
  g_assert_cmpint (event, ==, GW_ISOTP_SEND_FAILED);
  g_assert_cmpint (gw_isotp_send_failure (self), ==, result);
  g_assert_false (gw_isotp_is_sending (self));
  g_assert_cmpuint (self->counters.failures_out, ==, 1);
  g_assert_cmpint (gw_isotp_due (self), ==, G_MAXINT64);
}

static inline void
assert_receive_failed (GwIsotp *self, GwIsotpEvent event, GwIsotpResult result)
{
  g_assert_cmpint (event, ==, GW_ISOTP_RECEIVE_FAILED);
  g_assert_cmpint (gw_isotp_receive_failure (self), ==, result);
  g_assert_false (gw_isotp_is_receiving (self));
  g_assert_cmpuint (self->counters.failures_in, ==, 1);
}

static inline void
fd64 (GwIsotpConfig *config)
{
  config->fd = config->brs = true;
  config->tx_dl = 64;
}

static inline void
window2 (GwIsotpConfig *config)
{
  config->window = 2;
}

static inline void
window3 (GwIsotpConfig *config)
{
  config->window = 3;
}
