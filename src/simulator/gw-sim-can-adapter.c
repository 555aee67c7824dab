/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-sim-can-adapter.h"

#include "gw-sim-pty.h"
#include "gw-slcan-codec.h"

#define VERSION 0x1013 /* hardware 1.0, software 1.3 */
#define SERIAL "GW01"
#define TIMESTAMP_WRAP 60000

struct GwSimCanAdapter
{
  GwSimCanUnit unit;
  GwSimPty pty;
  GwSimCanBus *bus;
  gboolean open, timestamps;
  guint32 bit_rate, data_rate; /* as commanded; 0: not yet */
  GwSlcanCollector collector;
  GwCanFrame queue[GW_SIM_CAN_ADAPTER_QUEUE];
  guint queue_at, n_queue;
  guint8 flags; /* those that stay until they are read */
  guint64 refused, overruns;
};

/* ---- To the user ---- */

static bool
say (GwSimCanAdapter *self, const GwSlcanLine *line)
{
  char text[GW_SLCAN_LINE_MAX];
  gsize len;

  return gw_slcan_encode (line, text, sizeof text, &len) == GW_OK
         && gw_sim_pty_put (&self->pty, (const guint8 *)text, len);
}

static void
unit_received (GwSimCanUnit *unit, const GwCanFrame *frame, gint64 now)
{
  GwSimCanAdapter *self = (GwSimCanAdapter *)unit;
  GwSlcanLine line = { .kind = GW_SLCAN_FRAME, .frame = *frame, .has_timestamp = self->timestamps };

  line.timestamp = now / 1000 % TIMESTAMP_WRAP;
  if (say (self, &line))
    return;
  self->overruns++;
  self->flags |= GW_SLCAN_STATUS_RX_FULL | GW_SLCAN_STATUS_DATA_OVERRUN;
}

static void
unit_flush (GwSimCanUnit *unit)
{
  gw_sim_pty_flush (&((GwSimCanAdapter *)unit)->pty);
}

/* ---- To the bus ---- */

static void
send_next (GwSimCanAdapter *self)
{
  if (self->n_queue == 0 || !gw_sim_can_unit_put (&self->unit, 0, &self->queue[self->queue_at], 0))
    return;
  self->queue_at = (self->queue_at + 1) % GW_SIM_CAN_ADAPTER_QUEUE;
  self->n_queue--;
}

static void
unit_sent (GwSimCanUnit *unit, guint mailbox, gint64 now)
{
  send_next ((GwSimCanAdapter *)unit);
}

static void
unit_due (GwSimCanUnit *unit, gint64 now)
{
}

static const GwSimCanUnitClass unit_class
    = { .received = unit_received, .sent = unit_sent, .due = unit_due, .flush = unit_flush };

static bool
take_frame (GwSimCanAdapter *self, const GwCanFrame *frame)
{
  if (!self->open || self->unit.listen_only || (frame->fd && self->bus->data_rate == 0))
    return false;
  if (self->n_queue == GW_SIM_CAN_ADAPTER_QUEUE)
    {
      self->flags |= GW_SLCAN_STATUS_TX_FULL;
      return false;
    }
  self->queue[(self->queue_at + self->n_queue++) % GW_SIM_CAN_ADAPTER_QUEUE] = *frame;
  send_next (self);
  return true;
}

/* ---- Commands ---- */

static void
close_channel (GwSimCanAdapter *self)
{
  gw_sim_can_unit_detach (&self->unit);
  self->open = FALSE;
  self->n_queue = 0;
  self->flags = 0;
}

static bool
open_channel (GwSimCanAdapter *self, bool listen_only)
{
  if (self->open || self->bit_rate == 0)
    return false;
  self->unit.listen_only = listen_only;
  self->unit.misclocked = self->bit_rate != self->bus->bit_rate
                          || (self->data_rate != 0 && self->data_rate != self->bus->data_rate);
  self->unit.stays_off = true;
  gw_sim_can_unit_attach (&self->unit, self->bus);
  self->open = TRUE;
  return true;
}

static bool
take_speed (GwSimCanAdapter *self, const GwSlcanLine *line)
{
  guint32 rate = line->kind == GW_SLCAN_SPEED ? gw_slcan_rate_of_speed (line->value)
                                              : gw_slcan_rate_of_data_speed (line->value);

  if (self->open || rate == 0)
    return false;
  *(line->kind == GW_SLCAN_SPEED ? &self->bit_rate : &self->data_rate) = rate;
  return true;
}

/* The manual's chapter on F; what is an interrupt on the chip stays until it is read. */
static guint8
read_flags (GwSimCanAdapter *self)
{
  guint8 flags = self->flags;

  if (self->unit.state >= GW_SIM_CAN_STATE_WARNING)
    flags |= GW_SLCAN_STATUS_ERROR_WARNING;
  if (self->unit.state >= GW_SIM_CAN_STATE_PASSIVE)
    flags |= GW_SLCAN_STATUS_ERROR_PASSIVE;
  if (self->unit.state == GW_SIM_CAN_STATE_OFF)
    flags |= GW_SLCAN_STATUS_BUS_ERROR;
  if (self->n_queue == GW_SIM_CAN_ADAPTER_QUEUE)
    flags |= GW_SLCAN_STATUS_TX_FULL;
  self->flags = 0;
  return flags;
}

/* Fills in the answer; its kind is OK. */
static bool
carry_out (GwSimCanAdapter *self, const GwSlcanLine *line, GwSlcanLine *answer)
{
  switch (line->kind)
    {
    case GW_SLCAN_OK: /* an empty line: what a user sends to clear the rest of another */
      return true;
    case GW_SLCAN_SPEED:
    case GW_SLCAN_DATA_SPEED:
      return take_speed (self, line);
    case GW_SLCAN_OPEN:
    case GW_SLCAN_LISTEN:
      return open_channel (self, line->kind == GW_SLCAN_LISTEN);
    case GW_SLCAN_CLOSE:
      if (!self->open)
        return false;
      close_channel (self);
      return true;
    case GW_SLCAN_FRAME:
      *answer = (GwSlcanLine){ .kind = GW_SLCAN_SENT, .frame.extended = line->frame.extended };
      return take_frame (self, &line->frame);
    case GW_SLCAN_STATUS:
      *answer = (GwSlcanLine){ .kind = GW_SLCAN_STATUS, .has_value = true };
      answer->value = self->open ? read_flags (self) : 0;
      return self->open;
    case GW_SLCAN_VERSION:
      *answer = (GwSlcanLine){ .kind = GW_SLCAN_VERSION, .has_value = true, .value = VERSION };
      return true;
    case GW_SLCAN_SERIAL:
      *answer = (GwSlcanLine){ .kind = GW_SLCAN_SERIAL, .has_value = true, .text = SERIAL };
      return true;
    case GW_SLCAN_TIMESTAMP:
      if (self->open)
        return false;
      self->timestamps = line->value != 0;
      return true;
    default:
      return false;
    }
}

static void
take_line (GwSimCanAdapter *self, const GwSlcanLine *line)
{
  GwSlcanLine answer = { .kind = GW_SLCAN_OK };

  if (!carry_out (self, line, &answer))
    {
      self->refused++;
      answer = (GwSlcanLine){ .kind = GW_SLCAN_ERROR };
    }
  say (self, &answer);
}

static void
on_octets (guint8 *octets, gsize len, gpointer data)
{
  GwSimCanAdapter *self = data;
  GwSlcanLine line;

  for (gsize i = 0; i < len; i++)
    if (gw_slcan_collector_push (&self->collector, octets[i], &line))
      take_line (self, &line);
}

static void
on_user (gboolean is_there, gpointer data)
{
  GwSimCanAdapter *self = data;

  gw_slcan_collector_init (&self->collector, GW_SLCAN_FROM_HOST);
}

static const GwSimPtyFuncs pty_funcs = { on_octets, on_user };

/* ---- Life ---- */

GwSimCanAdapter *
gw_sim_can_adapter_new (GwLoop *loop, GwSimCanBus *bus, const char *link)
{
  GwSimCanAdapter *self = g_new0 (GwSimCanAdapter, 1);

  gw_sim_can_unit_init (&self->unit, &unit_class);
  gw_sim_pty_init (&self->pty, loop, link, &pty_funcs, self);
  self->bus = bus;
  gw_slcan_collector_init (&self->collector, GW_SLCAN_FROM_HOST);
  return self;
}

void
gw_sim_can_adapter_free (GwSimCanAdapter *self)
{
  gw_sim_can_adapter_unplug (self);
  gw_sim_pty_clear (&self->pty);
  g_free (self);
}

gboolean
gw_sim_can_adapter_plug (GwSimCanAdapter *self, GError **error)
{
  return gw_sim_pty_plug (&self->pty, error);
}

void
gw_sim_can_adapter_unplug (GwSimCanAdapter *self)
{
  close_channel (self);
  self->bit_rate = self->data_rate = 0;
  self->timestamps = FALSE;
  gw_sim_pty_unplug (&self->pty);
}

void
gw_sim_can_adapter_check (GwSimCanAdapter *self)
{
  gw_sim_pty_check (&self->pty);
}

GwSimCanUnit *
gw_sim_can_adapter_unit (GwSimCanAdapter *self)
{
  return &self->unit;
}

json_t *
gw_sim_can_adapter_status (const GwSimCanAdapter *self)
{
  return json_pack ("{s:s, s:b, s:b, s:b, s:i, s:i, s:I, s:I, s:I, s:I, s:o}", "link", self->pty.path,
                    "plugged", self->pty.plugged, "user", self->pty.has_user, "open", self->open, "queued",
                    (int)self->n_queue, "unread", (int)self->pty.out->len, "refused",
                    (json_int_t)self->refused, "overruns", (json_int_t)self->overruns, "octets_in",
                    (json_int_t)self->pty.octets_in, "octets_out", (json_int_t)self->pty.octets_out, "unit",
                    gw_sim_can_unit_status (&self->unit));
}
