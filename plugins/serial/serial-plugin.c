/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* gangway-serial: a serial line as a field bus, with one endpoint at its end or, with --rs485, many on it. It opens the
 * device, attaches to the agent, enters the sandbox, and from then on carries datagrams between the line and the agent. It
 * ends with 0 when the device has gone or somebody asks it to, and with 1 when it cannot work; systemd, or whoever
 * supervises it, starts it anew.
 *
 * The line (framing, octets), who is on it (serial-point.c, serial-shared.c) and the bus (the agent) know nothing of each
 * other; this file has what both modes need. */

#include "serial-plugin.h"

#include <glib-unix.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "gw-busmsg-codec.h"
#include "gw-serial-tty.h"

/* What has come from the line is looked at before time is said to have run out for it. */
#define TIMER_PRIORITY (G_PRIORITY_DEFAULT + 10)

/* ---- Time ---- */

void
serial_plugin_tick (SerialPlugin *self)
{
  struct itimerspec at = { 0 };
  gint64 due;

  /* What it puts on the line may come back here at once. */
  if (self->ticking)
    return;
  self->ticking = TRUE;
  due = self->mode->tick (self, g_get_monotonic_time ());
  self->ticking = FALSE;
  if (due == G_MAXINT64)
    return;
  at.it_value.tv_sec = due / G_USEC_PER_SEC;
  at.it_value.tv_nsec = due % G_USEC_PER_SEC * 1000 + 1; /* all zero would disarm */
  timerfd_settime (self->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static gboolean
on_timer (int fd, GIOCondition condition, gpointer data)
{
  guint64 n;

  if (read (fd, &n, sizeof n) == sizeof n)
    serial_plugin_tick (data);
  return G_SOURCE_CONTINUE;
}

/* The main loop's own timers count in milliseconds; an empty frame takes half of one. The first turn is at once. */
static gboolean
start_timer (SerialPlugin *self, GError **error)
{
  const struct itimerspec at = { .it_value.tv_nsec = 1 };

  self->timer_fd = timerfd_create (CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (self->timer_fd < 0 || timerfd_settime (self->timer_fd, TFD_TIMER_ABSTIME, &at, NULL) != 0)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_FAILED, "the kernel gives no timer");
      return FALSE;
    }
  self->timer = g_unix_fd_source_new (self->timer_fd, G_IO_IN);
  g_source_set_priority (self->timer, TIMER_PRIORITY);
  g_source_set_callback (self->timer, G_SOURCE_FUNC (on_timer), self, NULL);
  g_source_attach (self->timer, NULL);
  return TRUE;
}

/* ---- The line ---- */

static void
on_line_changed (gpointer owner)
{
  SerialPlugin *self = owner;
  GwSerialLineCounters counters;
  GangwayStats stats;

  gw_serial_line_get_counters (self->line, &counters);
  stats = (GangwayStats){
    .frames_in = counters.in.frames,
    .frames_out = counters.frames_out,
    .bytes_in = counters.bytes_in,
    .bytes_out = counters.bytes_out,
    /* A wrong control octet under a good check sequence is another kind of broken frame. */
    .fcs_errors = counters.in.bad_fcs + counters.in.bad_control,
    .oversize = counters.in.too_long + counters.in.too_short,
    .aborted = counters.in.aborted,
    .dropped = self->mode->refused (self),
  };
  gangway_bus_set_stats (self->program.bus, &stats);
  if (self->rs485)
    serial_plugin_tick (self);
}

static void
on_line_gone (gpointer owner, const char *why)
{
  SerialPlugin *self = owner;

  gw_program_say (&self->program, "the device is gone (%s)", why);
  self->mode->end (self);
  gw_program_quit (&self->program, EXIT_SUCCESS);
}

/* ---- The program ---- */

static void
on_pushed (GwProgram *program, GangwayNode *node, gint64 now)
{
  SerialPlugin *self = (SerialPlugin *) program;

  self->mode->pushed (self, node, now);
}

static void
on_scan (GwProgram *program, gint64 now)
{
  SerialPlugin *self = (SerialPlugin *) program;

  self->mode->scan (self, now);
}

static void
on_end (GwProgram *program)
{
  SerialPlugin *self = (SerialPlugin *) program;

  self->mode->end (self);
}

static void
on_clear (GwProgram *program)
{
  SerialPlugin *self = (SerialPlugin *) program;

  if (self->timer != NULL)
    g_source_destroy (self->timer);
  g_clear_pointer (&self->timer, g_source_unref);
  if (self->timer_fd >= 0)
    close (self->timer_fd);
  if (self->mode_data != NULL)
    self->mode->clear (self);
  g_clear_pointer (&self->line, gw_serial_line_free);
}

/* Who switches the pair's driver on to send: the kernel's driver if it can, else the adapter must do it by itself. */
static void
set_direction (SerialPlugin *self, int fd)
{
  g_autoptr (GError) error = NULL;

  if (gw_serial_tty_set_rs485 (fd, &error))
    gw_program_say (&self->program, "RS-485: the driver switches the direction by RTS");
  else
    gw_program_say (&self->program,
                       "RS-485: the driver does not switch the direction (%s); going on, as adapters that do it by "
                       "themselves need no help",
                       error->message);
}

static void
start_line (SerialPlugin *self, int fd)
{
  GwSerialLineFuncs *funcs = &self->line_funcs;

  *funcs = self->mode->line;
  funcs->changed = on_line_changed;
  funcs->gone = on_line_gone;
  self->line = gw_serial_line_new (fd, GW_BUSMSG_DATAGRAM_MAX, funcs, self);
}

static gboolean
on_start (GwProgram *program, GError **error)
{
  SerialPlugin *self = (SerialPlugin *) program;
  guint8 nonce[GW_HELLO_NONCE_LEN];
  int fd = gw_serial_tty_open (program->device, MAX (self->speed, 0), error);

  if (fd < 0)
    return FALSE;
  self->mode = self->rs485 ? &serial_shared : &serial_point;
  if (self->rs485)
    set_direction (self, fd);
  gw_program_make_nonce (nonce);
  start_line (self, fd);
  self->mode->init (self, nonce, g_get_monotonic_time ());
  /* The first question waits for the main loop: it may find the device gone, and ends the loop then. */
  return start_timer (self, error);
}

static const char *
kind (GwProgram *program)
{
  return ((SerialPlugin *) program)->mode->kind;
}

int
main (int argc, char **argv)
{
  static const GwProgramFuncs funcs = {
    .program = "gangway-serial",
    .summary = "- a serial line as a Gangway field bus",
    .device_help = "The serial device",
    .device_arg = "PATH",
    .device_needed = "--device PATH is needed, and nothing else",
    .start = on_start,
    .kind = kind,
    .pushed = on_pushed,
    .scan = on_scan,
    .end = on_end,
    .clear = on_clear,
  };
  SerialPlugin self = { .speed = GW_SERIAL_SPEED_DEFAULT, .timer_fd = -1 };
  const GOptionEntry entries[] = {
    { "rs485", 0, 0, G_OPTION_ARG_NONE, &self.rs485, "Many stations on the line, half duplex", NULL },
    { "speed", 0, 0, G_OPTION_ARG_INT, &self.speed, "Bits per second, any (115200)", "SPEED" },
    { NULL },
  };

  return gw_program_run (&self.program, &funcs, entries, argc, argv);
}
