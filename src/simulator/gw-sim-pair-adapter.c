/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-sim-pair-adapter.h"

#include <sys/ioctl.h>

/* Not <termios.h>: the speed as a number. */
#include <asm/termbits.h>

#include "gw-sim-pty.h"

#define USB_PACKET 62 /* octets, of an adapter with a latency */

struct GwSimPairAdapter
{
  GwSimPairUnit unit;
  GwSimPty pty;
  GwSimPair *pair;
  gboolean misclocked;
  GByteArray *in; /* heard, not handed over yet */
  gint64 latency; /* microseconds */
  GwTimer latency_timer;
  guint64 overruns;
};

static void
hand_over (GwSimPairAdapter *self)
{
  if (!gw_sim_pty_put (&self->pty, self->in->data, self->in->len))
    self->overruns += self->pty.has_user;
  g_byte_array_set_size (self->in, 0);
  gw_sim_pty_flush (&self->pty);
}

static void
on_latency (gpointer data)
{
  hand_over (data);
}

/* ---- The unit ---- */

static void
unit_heard (GwSimPairUnit *unit, guint8 octet, gint64 at)
{
  GwSimPairAdapter *self = (GwSimPairAdapter *)unit;

  if (self->misclocked)
    octet ^= g_rand_int (gw_sim_pair_rand (self->pair));
  g_byte_array_append (self->in, &octet, 1);
}

static void
unit_flush (GwSimPairUnit *unit)
{
  GwSimPairAdapter *self = (GwSimPairAdapter *)unit;

  if (self->in->len == 0)
    return;
  if (self->latency == 0 || self->in->len >= USB_PACKET)
    hand_over (self);
  else if (!gw_timer_is_armed (&self->latency_timer))
    gw_timer_arm (&self->latency_timer, self->latency);
}

static const GwSimPairUnitClass unit_class = { .heard = unit_heard, .flush = unit_flush };

/* ---- The terminal ---- */

static void
on_octets (guint8 *octets, gsize len, gpointer data)
{
  GwSimPairAdapter *self = data;

  for (gsize i = 0; self->misclocked && i < len; i++)
    octets[i] ^= g_rand_int (gw_sim_pair_rand (self->pair));
  if (!gw_sim_pair_send (&self->unit, octets, len, 0))
    self->overruns++;
}

static void
on_user (gboolean is_there, gpointer data)
{
  GwSimPairAdapter *self = data;

  g_byte_array_set_size (self->in, 0);
  gw_sim_pair_stop (&self->unit);
}

static const GwSimPtyFuncs pty_funcs = { on_octets, on_user };

void
gw_sim_pair_adapter_check (GwSimPairAdapter *self)
{
  struct termios2 tio;

  gw_sim_pty_check (&self->pty);
  if (self->pty.has_user && ioctl (self->pty.fd, TCGETS2, &tio) == 0)
    self->misclocked = tio.c_ospeed != gw_sim_pair_speed (self->pair);
}

gboolean
gw_sim_pair_adapter_plug (GwSimPairAdapter *self, GError **error)
{
  if (!gw_sim_pty_plug (&self->pty, error))
    return FALSE;
  gw_sim_pair_attach (self->pair, &self->unit);
  return TRUE;
}

void
gw_sim_pair_adapter_unplug (GwSimPairAdapter *self)
{
  gw_sim_pair_detach (&self->unit);
  gw_timer_disarm (&self->latency_timer);
  gw_sim_pty_unplug (&self->pty);
}

/* ---- Life ---- */

GwSimPairAdapter *
gw_sim_pair_adapter_new (GwLoop *loop, GwSimPair *pair, const char *link)
{
  GwSimPairAdapter *self = g_new0 (GwSimPairAdapter, 1);

  gw_sim_pair_unit_init (&self->unit, &unit_class);
  gw_sim_pty_init (&self->pty, loop, link, &pty_funcs, self);
  self->pair = pair;
  self->in = g_byte_array_new ();
  gw_timer_init (&self->latency_timer, loop, on_latency, self);
  return self;
}

void
gw_sim_pair_adapter_free (GwSimPairAdapter *self)
{
  gw_sim_pair_adapter_unplug (self);
  gw_sim_pty_clear (&self->pty);
  g_byte_array_unref (self->in);
  g_free (self);
}

void
gw_sim_pair_adapter_set_echo (GwSimPairAdapter *self, gboolean echo)
{
  self->unit.hears_itself = echo;
}

void
gw_sim_pair_adapter_set_latency (GwSimPairAdapter *self, guint ms)
{
  self->latency = (gint64)ms * 1000;
}

json_t *
gw_sim_pair_adapter_status (const GwSimPairAdapter *self)
{
  return json_pack ("{s:s, s:b, s:b, s:b, s:b, s:i, s:I, s:I, s:I}", "link", self->pty.path, "plugged",
                    self->pty.plugged, "user", self->pty.has_user, "wrong_speed", self->misclocked, "echo",
                    self->unit.hears_itself, "latency_ms", (int)(self->latency / 1000), "octets_in",
                    (json_int_t)self->pty.octets_in, "octets_out", (json_int_t)self->pty.octets_out,
                    "overruns", (json_int_t)self->overruns);
}
