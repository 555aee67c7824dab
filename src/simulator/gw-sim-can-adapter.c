/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-sim-can-adapter.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <unistd.h>

#include "gw-sim-tty.h"
#include "gw-slcan-codec.h"

#define VERSION 0x1013 /* hardware 1.0, software 1.3 */
#define SERIAL "GW01"
#define TIMESTAMP_WRAP 60000

struct GwSimCanAdapter
{
  GwSimCanUnit unit;
  GwLoop *loop;
  GwSimCanBus *bus;
  char *link;
  int master; /* -1: unplugged */
  GwFdWatch *watch;
  gboolean has_user, open, timestamps;
  guint32 bit_rate, data_rate; /* as commanded; 0: not yet */
  GwSlcanCollector collector;
  GwCanFrame queue[GW_SIM_CAN_ADAPTER_QUEUE];
  guint queue_at, n_queue;
  GByteArray *out;
  guint8 flags; /* those that stay until they are read */
  guint64 refused, overruns, octets_in, octets_out;
};

/* ---- To the user ---- */

static void
flush (GwSimCanAdapter *self)
{
  if (!self->has_user)
    {
      g_byte_array_set_size (self->out, 0);
      return;
    }
  if (self->out->len > 0)
    {
      gssize n = write (self->master, self->out->data, self->out->len);

      self->octets_out += MAX (n, 0);
      if (n > 0)
        g_byte_array_remove_range (self->out, 0, n);
    }
  gw_fd_watch_set_events (self->watch, EPOLLIN | (self->out->len > 0 ? EPOLLOUT : 0));
}

static bool
say (GwSimCanAdapter *self, const GwSlcanLine *line)
{
  char text[GW_SLCAN_LINE_MAX];
  gsize len;

  if (!self->has_user || self->out->len >= GW_SIM_CAN_ADAPTER_OUT_MAX
      || gw_slcan_encode (line, text, sizeof text, &len) != GW_OK)
    return false;
  g_byte_array_append (self->out, (const guint8 *)text, len);
  return true;
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
  GwSimCanAdapter *self = (GwSimCanAdapter *)unit;

  if (self->master >= 0)
    flush (self);
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
set_user (GwSimCanAdapter *self, gboolean has_user)
{
  self->has_user = has_user;
  g_byte_array_set_size (self->out, 0);
  gw_slcan_collector_init (&self->collector, GW_SLCAN_FROM_HOST);
  gw_fd_watch_set_events (self->watch, has_user ? EPOLLIN : 0);
}

static void
on_master (guint32 events, gpointer data)
{
  GwSimCanAdapter *self = data;
  char octets[4096];
  gssize n = events & EPOLLIN ? read (self->master, octets, sizeof octets) : 0;
  GwSlcanLine line;

  self->octets_in += MAX (n, 0);
  for (gssize i = 0; i < n; i++)
    if (gw_slcan_collector_push (&self->collector, octets[i], &line))
      take_line (self, &line);
  if (n <= 0 && events & (EPOLLHUP | EPOLLERR))
    set_user (self, FALSE);
  else
    flush (self);
}

/* ---- Life ---- */

GwSimCanAdapter *
gw_sim_can_adapter_new (GwLoop *loop, GwSimCanBus *bus, const char *link)
{
  GwSimCanAdapter *self = g_new0 (GwSimCanAdapter, 1);

  gw_sim_can_unit_init (&self->unit, &unit_class);
  self->loop = loop;
  self->bus = bus;
  self->link = g_strdup (link);
  self->master = -1;
  self->out = g_byte_array_new ();
  gw_slcan_collector_init (&self->collector, GW_SLCAN_FROM_HOST);
  return self;
}

void
gw_sim_can_adapter_free (GwSimCanAdapter *self)
{
  gw_sim_can_adapter_unplug (self);
  g_byte_array_unref (self->out);
  g_free (self->link);
  g_free (self);
}

gboolean
gw_sim_can_adapter_plug (GwSimCanAdapter *self, GError **error)
{
  int errsv;

  if (self->master >= 0)
    return TRUE;
  self->master = gw_sim_tty_open_master (self->link);
  if (self->master >= 0)
    self->watch = gw_loop_watch (self->loop, self->master, 0, on_master, self);
  if (self->watch)
    return TRUE;
  errsv = errno;
  gw_sim_can_adapter_unplug (self);
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errsv), "Cannot plug %s: %s", self->link,
               g_strerror (errsv));
  return FALSE;
}

void
gw_sim_can_adapter_unplug (GwSimCanAdapter *self)
{
  close_channel (self);
  self->bit_rate = self->data_rate = 0;
  self->timestamps = self->has_user = FALSE;
  g_clear_pointer (&self->watch, gw_fd_watch_free);
  if (self->master < 0)
    return;
  g_unlink (self->link);
  close (self->master);
  self->master = -1;
}

void
gw_sim_can_adapter_check (GwSimCanAdapter *self)
{
  struct pollfd fd = { .fd = self->master };

  if (self->has_user || self->master < 0 || poll (&fd, 1, 0) < 0 || fd.revents & POLLHUP)
    return;
  set_user (self, TRUE);
}

GwSimCanUnit *
gw_sim_can_adapter_unit (GwSimCanAdapter *self)
{
  return &self->unit;
}

json_t *
gw_sim_can_adapter_status (const GwSimCanAdapter *self)
{
  return json_pack ("{s:s, s:b, s:b, s:b, s:i, s:i, s:I, s:I, s:I, s:I, s:o}", "link", self->link, "plugged",
                    self->master >= 0, "user", self->has_user, "open", self->open, "queued",
                    (int)self->n_queue, "unread", (int)self->out->len, "refused", (json_int_t)self->refused,
                    "overruns", (json_int_t)self->overruns, "octets_in", (json_int_t)self->octets_in,
                    "octets_out", (json_int_t)self->octets_out, "unit", gw_sim_can_unit_status (&self->unit));
}
