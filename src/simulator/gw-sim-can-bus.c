/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-sim-can-bus.h"

#include <errno.h>

void
gw_sim_can_bus_init (GwSimCanBus *self, const GwSimCanBusClass *class, guint32 bit_rate, guint32 data_rate)
{
  self->class = class;
  self->units = g_ptr_array_new ();
  self->bit_rate = bit_rate;
  self->data_rate = data_rate;
}

void
gw_sim_can_bus_clear (GwSimCanBus *self)
{
  for (guint i = 0; i < self->units->len; i++)
    if (self->units->pdata[i])
      ((GwSimCanUnit *)self->units->pdata[i])->bus = NULL;
  g_clear_pointer (&self->units, g_ptr_array_unref);
  g_clear_pointer (&self->log, fclose);
}

void
gw_sim_can_bus_free (GwSimCanBus *self)
{
  self->class->free (self);
}

json_t *
gw_sim_can_bus_status (const GwSimCanBus *self)
{
  json_t *status = json_pack ("{s:I, s:I, s:I, s:i}", "bit_rate", (json_int_t)self->bit_rate, "data_rate",
                              (json_int_t)self->data_rate, "frames", (json_int_t)self->frames, "units",
                              (int)self->units->len);

  if (self->class->add_status)
    self->class->add_status (self, status);
  return status;
}

/* ---- The log ---- */

gboolean
gw_sim_can_bus_open_log (GwSimCanBus *self, const char *path, GError **error)
{
  int errsv;

  self->log = fopen (path, "we");
  if (self->log)
    return TRUE;
  errsv = errno;
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errsv), "Cannot write %s: %s", path,
               g_strerror (errsv));
  return FALSE;
}

static void
log_frame (GwSimCanBus *self, const GwCanFrame *frame)
{
  gint64 usec = self->class->now (self) / 1000;

  fprintf (self->log, "(%" G_GINT64_FORMAT ".%06d) can0 %0*X#", usec / G_USEC_PER_SEC,
           (int)(usec % G_USEC_PER_SEC), frame->extended ? 8 : 3, frame->id);
  if (frame->fd)
    fprintf (self->log, "#%X", frame->brs ? 1 : 0);
  if (frame->remote)
    fputc ('R', self->log);
  for (guint i = 0; i < frame->len && !frame->remote; i++)
    fprintf (self->log, "%02X", frame->data[i]);
  fputc ('\n', self->log);
}

/* ---- For classes ---- */

void
gw_sim_can_bus_begin (GwSimCanBus *self)
{
  self->busy++;
}

void
gw_sim_can_bus_end (GwSimCanBus *self)
{
  if (self->busy == 1)
    for (guint i = 0; i < self->units->len; i++)
      {
        GwSimCanUnit *unit = self->units->pdata[i];

        if (unit && unit->class->flush)
          unit->class->flush (unit);
      }
  if (--self->busy > 0)
    return;
  while (g_ptr_array_remove (self->units, NULL))
    ;
}

static void
tell_sent (GwSimCanUnit *unit, gint64 now)
{
  guint mailbox = unit->sending;

  unit->sending = -1;
  unit->mailboxes[mailbox].full = false;
  unit->frames_out++;
  unit->class->sent (unit, mailbox, now);
}

void
gw_sim_can_bus_deliver (GwSimCanBus *self, const GwCanFrame *frame, gint64 now)
{
  guint n = self->units->len; /* who comes meanwhile has not heard it */

  self->frames++;
  if (self->log)
    log_frame (self, frame);
  for (guint i = 0; i < n; i++)
    {
      GwSimCanUnit *unit = self->units->pdata[i];

      if (unit && unit->sending >= 0)
        tell_sent (unit, now);
      else if (unit && unit->state != GW_SIM_CAN_STATE_OFF && !unit->misclocked)
        {
          unit->frames_in++;
          unit->class->received (unit, frame, now);
        }
    }
}

void
gw_sim_can_bus_run_due (GwSimCanBus *self, gint64 now)
{
  for (guint i = 0; i < self->units->len; i++)
    {
      GwSimCanUnit *unit = self->units->pdata[i];

      if (!unit || unit->due > now)
        continue;
      unit->due = INT64_MAX;
      unit->class->due (unit, now);
    }
}

gint64
gw_sim_can_bus_due (const GwSimCanBus *self)
{
  gint64 due = INT64_MAX;

  for (guint i = 0; i < self->units->len; i++)
    {
      const GwSimCanUnit *unit = self->units->pdata[i];

      if (unit && unit->due < due)
        due = unit->due;
    }
  return due;
}

/* ---- Units ---- */

void
gw_sim_can_unit_init (GwSimCanUnit *self, const GwSimCanUnitClass *class)
{
  self->class = class;
  self->due = self->recovers = INT64_MAX;
  self->sending = -1;
}

void
gw_sim_can_unit_attach (GwSimCanUnit *self, GwSimCanBus *bus)
{
  if (self->bus)
    return;
  self->bus = bus;
  self->due = self->recovers = INT64_MAX;
  self->sending = -1;
  self->tec = self->rec = 0;
  self->state = GW_SIM_CAN_STATE_ACTIVE;
  for (guint m = 0; m < GW_SIM_CAN_MAILBOXES; m++)
    self->mailboxes[m].full = false;
  g_ptr_array_add (bus->units, self);
  bus->class->kick (bus);
}

void
gw_sim_can_unit_detach (GwSimCanUnit *self)
{
  GwSimCanBus *bus = self->bus;
  guint index;

  if (!bus || !g_ptr_array_find (bus->units, self, &index))
    return;
  self->bus = NULL;
  if (bus->busy > 0)
    bus->units->pdata[index] = NULL;
  else
    g_ptr_array_remove_index (bus->units, index);
  bus->class->kick (bus);
}

bool
gw_sim_can_unit_put (GwSimCanUnit *self, guint mailbox, const GwCanFrame *frame, gint64 after)
{
  GwSimCanMailbox *box = &self->mailboxes[mailbox];

  if (!self->bus || box->full)
    return false;
  box->full = true;
  box->frame = *frame;
  box->ready = self->bus->class->now (self->bus) + after;
  self->bus->class->kick (self->bus);
  return true;
}

void
gw_sim_can_unit_set_due (GwSimCanUnit *self, gint64 due)
{
  if (self->due == due || !self->bus)
    return;
  /* What should have been done long ago is done now: a bus that was idle has an old time. */
  self->due = MAX (due, self->bus->class->now (self->bus) / 1000);
  self->bus->class->kick (self->bus);
}

bool
gw_sim_can_unit_count (GwSimCanUnit *self, int tec, int rec)
{
  GwSimCanState before = self->state;
  guint worst;

  self->tec = CLAMP (tec, 0, GW_SIM_CAN_OFF);
  self->rec = CLAMP (rec, 0, GW_SIM_CAN_OFF - 1);
  worst = MAX (self->tec, self->rec);
  self->state = self->tec >= GW_SIM_CAN_OFF   ? GW_SIM_CAN_STATE_OFF
                : worst >= GW_SIM_CAN_PASSIVE ? GW_SIM_CAN_STATE_PASSIVE
                : worst >= GW_SIM_CAN_WARNING ? GW_SIM_CAN_STATE_WARNING
                                              : GW_SIM_CAN_STATE_ACTIVE;
  return self->state != before;
}

json_t *
gw_sim_can_unit_status (const GwSimCanUnit *self)
{
  static const char *const states[] = { "active", "warning", "passive", "off" };

  return json_pack ("{s:s, s:i, s:i, s:I, s:I, s:I, s:I, s:I}", "state", states[self->state], "tx_errors",
                    (int)self->tec, "rx_errors", (int)self->rec, "frames_out", (json_int_t)self->frames_out,
                    "frames_in", (json_int_t)self->frames_in, "errors", (json_int_t)self->errors, "bus_offs",
                    (json_int_t)self->offs, "arbitrations_lost", (json_int_t)self->arbitrations_lost);
}
