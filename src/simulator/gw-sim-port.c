/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-sim-port.h"

#include "gw-sim-rand.h"

void
gw_sim_port_init (GwSimPort *self, const GwSimPortClass *class, const char *link, guint64 seed)
{
  self->class = class;
  self->link = g_strdup (link);
  self->rand = gw_sim_rand_new (seed);
}

void
gw_sim_port_clear (GwSimPort *self)
{
  gw_sim_port_set_endpoint (self, NULL);
  g_clear_pointer (&self->rand, g_rand_free);
  g_clear_pointer (&self->link, g_free);
}

gboolean
gw_sim_port_drops (GwSimPort *self)
{
  gboolean dropped = gw_sim_rand_happens (self->rand, self->drop);

  self->lost += dropped;
  return dropped;
}

gboolean
gw_sim_port_disturb (GwSimPort *self, guint8 *frame, gsize len)
{
  if (gw_sim_port_drops (self))
    return FALSE;
  if (gw_sim_rand_happens (self->rand, self->corrupt))
    {
      frame[g_rand_int_range (self->rand, 0, len)] ^= 1 << g_rand_int_range (self->rand, 0, 8);
      self->damaged++;
    }
  return TRUE;
}

gboolean
gw_sim_port_misses (GwSimPort *self)
{
  gboolean damaged;

  if (gw_sim_port_drops (self))
    return TRUE;
  damaged = gw_sim_rand_happens (self->rand, self->corrupt);
  self->lost += damaged;
  return damaged;
}

void
gw_sim_port_free (GwSimPort *self)
{
  gw_sim_port_unplug (self);
  gw_sim_port_set_endpoint (self, NULL);
  self->class->free (self);
}

gboolean
gw_sim_port_plug (GwSimPort *self, GError **error)
{
  if (self->plugged)
    return TRUE;
  self->plugged = TRUE;
  if (self->class->plug (self, error))
    return TRUE;
  gw_sim_port_unplug (self);
  return FALSE;
}

void
gw_sim_port_unplug (GwSimPort *self)
{
  self->plugged = FALSE;
  self->class->unplug (self);
}

void
gw_sim_port_check (GwSimPort *self)
{
  if (self->class->check)
    self->class->check (self);
}

/* ---- The endpoint ---- */

static gboolean
carrier_send (const guint8 *datagram, gsize len, gpointer data)
{
  GwSimPort *self = data;

  return self->class->send (self, datagram, len);
}

static void
carrier_power (gboolean on, gpointer data)
{
  GwSimPort *self = data;

  if (self->class->power)
    self->class->power (self, on);
}

static const GwSimCarrier carrier = { carrier_send, carrier_power };

void
gw_sim_port_set_endpoint (GwSimPort *self, GwSimEndpoint *endpoint)
{
  GwSimEndpoint *before = self->endpoint;

  if (before == endpoint)
    return;
  self->endpoint = endpoint;
  if (before)
    {
      gw_sim_endpoint_set_carrier (before, NULL, NULL);
      carrier_power (FALSE, self);
    }
  if (endpoint)
    gw_sim_endpoint_set_carrier (endpoint, &carrier, self);
}

GwSimEndpoint *
gw_sim_port_get_endpoint (const GwSimPort *self)
{
  return self->endpoint;
}

const char *
gw_sim_port_link (const GwSimPort *self)
{
  return self->link;
}

GwSimWire
gw_sim_port_wire (const GwSimPort *self)
{
  return self->class->wire;
}

/* ---- Disturbances and looking ---- */

void
gw_sim_port_set_drop (GwSimPort *self, double share)
{
  self->drop = share;
}

void
gw_sim_port_set_corrupt (GwSimPort *self, double share)
{
  self->corrupt = share;
}

gboolean
gw_sim_port_write (GwSimPort *self, const guint8 *data, gsize len)
{
  return self->class->write && self->class->write (self, data, len);
}

json_t *
gw_sim_port_status (const GwSimPort *self)
{
  static const char *const wires[] = { "serial", "can", "rs485" };
  json_t *status = json_pack (
      "{s:s, s:s, s:b, s:b, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I}", "wire", wires[self->class->wire],
      "link", self->link, "plugged", self->plugged, "open", self->open, "drop", self->drop, "corrupt",
      self->corrupt, "frames_in", (json_int_t)self->frames_in, "frames_out", (json_int_t)self->frames_out,
      "octets_in", (json_int_t)self->octets_in, "octets_out", (json_int_t)self->octets_out, "lost",
      (json_int_t)self->lost, "damaged", (json_int_t)self->damaged);

  if (self->class->add_status)
    self->class->add_status (self, status);
  return status;
}
