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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "gw-busmsg-codec.h"
#include "gw-serial-tty.h"

#define NAME_MAX_LEN 32 /* of a bus, see AttachBus */
/* What has come from the line is looked at before time is said to have run out for it. */
#define TIMER_PRIORITY (G_PRIORITY_DEFAULT + 10)

#ifdef __SANITIZE_ADDRESS__
/* The leak check at exit needs a process of its own, which the sandbox refuses: then it is left out. */
static gboolean in_sandbox;

int __lsan_is_turned_off (void);

int
__lsan_is_turned_off (void)
{
  return in_sandbox;
}
#endif

/* Not g_log (): it would look for a time zone, and the sandbox has none. */
void
serial_plugin_say (SerialPlugin *self, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  fprintf (stderr, "gangway-serial: %s: %s\n", self->device, text);
}

static void
quit (SerialPlugin *self, int status)
{
  self->status = status;
  g_main_loop_quit (self->loop);
}

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
  gangway_bus_set_stats (self->bus, &stats);
  if (self->rs485)
    serial_plugin_tick (self);
}

static void
on_line_gone (gpointer owner, const char *why)
{
  SerialPlugin *self = owner;

  serial_plugin_say (self, "the device is gone (%s)", why);
  self->mode->end (self);
  quit (self, EXIT_SUCCESS);
}

/* ---- The bus ---- */

static void
on_bus_attached (GangwayBus *bus, SerialPlugin *self)
{
  serial_plugin_say (self, "attached as %s", gangway_bus_get_object_path (bus));
}

static void
on_bus_detached (GangwayBus *bus, const char *why, SerialPlugin *self)
{
  serial_plugin_say (self, "detached: %s", why);
}

static void
on_bus_refused (GangwayBus *bus, const char *why, SerialPlugin *self)
{
  serial_plugin_say (self, "not attached: %s; trying again", why);
}

static void
on_bus_datagram (GangwayBus *bus, GangwayNode *node, GBytes *datagram, SerialPlugin *self)
{
  if (gangway_node_queue_push (node, datagram))
    self->mode->pushed (self, node, g_get_monotonic_time ());
}

static void
on_bus_scan (GangwayBus *bus, SerialPlugin *self)
{
  self->mode->scan (self, g_get_monotonic_time ());
}

static void
on_bus_lost (GangwayBus *bus, const char *why, SerialPlugin *self)
{
  serial_plugin_say (self, "%s", why);
  quit (self, EXIT_FAILURE);
}

static void
on_bus_ready (GObject *source, GAsyncResult *result, gpointer data)
{
  SerialPlugin *self = data;
  g_autoptr (GError) error = NULL;

  if (gangway_bus_attach_finish (GANGWAY_BUS (source), result, &error)
      || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  serial_plugin_say (self, "%s", error->message);
  quit (self, EXIT_FAILURE);
}

static void
start_bus (SerialPlugin *self)
{
  self->bus = g_object_new (GANGWAY_TYPE_BUS,
                            "name",
                            self->name,
                            "kind",
                            self->mode->kind,
                            "device",
                            self->device,
                            "plugin",
                            "gangway-serial " GANGWAY_VERSION,
                            "bus-address",
                            self->bus_address,
                            "sandbox",
                            !self->no_sandbox,
                            NULL);
  g_signal_connect (self->bus, "attached", G_CALLBACK (on_bus_attached), self);
  g_signal_connect (self->bus, "detached", G_CALLBACK (on_bus_detached), self);
  g_signal_connect (self->bus, "refused", G_CALLBACK (on_bus_refused), self);
  g_signal_connect (self->bus, "datagram", G_CALLBACK (on_bus_datagram), self);
  g_signal_connect (self->bus, "scan", G_CALLBACK (on_bus_scan), self);
  g_signal_connect (self->bus, "lost", G_CALLBACK (on_bus_lost), self);
  gangway_bus_attach_async (self->bus, NULL, on_bus_ready, self);
}

/* ---- The program ---- */

static gboolean
on_signal (gpointer data)
{
  SerialPlugin *self = data;

  self->mode->end (self);
  quit (self, EXIT_SUCCESS);
  return G_SOURCE_CONTINUE;
}

/* The device's own name, in the characters of a bus's name. */
static char *
name_of_device (const char *device)
{
  char *name = g_path_get_basename (device);

  for (char *c = name; *c != '\0'; c++)
    if (!g_ascii_isalnum (*c) && *c != '-')
      *c = '_';
  if (strlen (name) > NAME_MAX_LEN)
    name[NAME_MAX_LEN] = '\0';
  return name;
}

static gboolean
parse_options (SerialPlugin *self, int *argc, char ***argv, GError **error)
{
  const GOptionEntry entries[] = {
    { "device", 0, 0, G_OPTION_ARG_FILENAME, &self->device, "The serial device", "PATH" },
    { "name", 0, 0, G_OPTION_ARG_STRING, &self->name, "Name of the bus (the device's)", "NAME" },
    { "rs485", 0, 0, G_OPTION_ARG_NONE, &self->rs485, "Many stations on the line, half duplex", NULL },
    { "speed", 0, 0, G_OPTION_ARG_INT, &self->speed, "Bits per second, any (115200)", "SPEED" },
    { "bus", 0, 0, G_OPTION_ARG_STRING, &self->bus_address, "D-Bus address (the system bus)", "ADDRESS" },
    { "no-sandbox", 0, 0, G_OPTION_ARG_NONE, &self->no_sandbox, "Stay outside the sandbox, to debug", NULL },
    { "version", 0, 0, G_OPTION_ARG_NONE, &self->version, "Print the version", NULL },
    { NULL },
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("- a serial line as a Gangway field bus");

  self->speed = GW_SERIAL_SPEED_DEFAULT;
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, error))
    return FALSE;
  if (self->version)
    return TRUE;
  if (self->device == NULL || *argc > 1)
    {
      g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "--device PATH is needed, and nothing else");
      return FALSE;
    }
  if (self->name == NULL)
    self->name = name_of_device (self->device);
  return TRUE;
}

static void
clear (SerialPlugin *self)
{
  if (self->timer != NULL)
    g_source_destroy (self->timer);
  g_clear_pointer (&self->timer, g_source_unref);
  if (self->timer_fd >= 0)
    close (self->timer_fd);
  if (self->mode_data != NULL)
    self->mode->clear (self);
  g_clear_object (&self->bus);
  g_clear_pointer (&self->line, gw_serial_line_free);
  g_clear_pointer (&self->loop, g_main_loop_unref);
  g_free (self->device);
  g_free (self->name);
  g_free (self->bus_address);
}

/* Who switches the pair's driver on to send: the kernel's driver if it can, else the adapter must do it by itself. */
static void
set_direction (SerialPlugin *self, int fd)
{
  g_autoptr (GError) error = NULL;

  if (gw_serial_tty_set_rs485 (fd, &error))
    serial_plugin_say (self, "RS-485: the driver switches the direction by RTS");
  else
    serial_plugin_say (self,
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
start (SerialPlugin *self, GError **error)
{
  guint8 nonce[GW_HELLO_NONCE_LEN];
  int fd = gw_serial_tty_open (self->device, MAX (self->speed, 0), error);

  if (fd < 0)
    return FALSE;
#ifdef __SANITIZE_ADDRESS__
  in_sandbox = !self->no_sandbox;
#endif
  self->mode = self->rs485 ? &serial_shared : &serial_point;
  if (self->rs485)
    set_direction (self, fd);
  for (gsize i = 0; i < sizeof nonce; i++)
    nonce[i] = g_random_int_range (0, 256);
  start_line (self, fd);
  self->mode->init (self, nonce, g_get_monotonic_time ());
  g_unix_signal_add (SIGTERM, on_signal, self);
  g_unix_signal_add (SIGINT, on_signal, self);
  start_bus (self);
  /* The first question waits for the main loop: it may find the device gone, and ends the loop then. */
  return start_timer (self, error);
}

int
main (int argc, char **argv)
{
  SerialPlugin self = { .status = EXIT_FAILURE, .timer_fd = -1 };
  g_autoptr (GError) error = NULL;

  if (!parse_options (&self, &argc, &argv, &error))
    fprintf (stderr, "gangway-serial: %s\n", error->message);
  else if (self.version)
    {
      puts ("gangway-serial " GANGWAY_VERSION);
      self.status = EXIT_SUCCESS;
    }
  else
    {
      self.loop = g_main_loop_new (NULL, FALSE);
      if (start (&self, &error))
        g_main_loop_run (self.loop);
      else
        fprintf (stderr, "gangway-serial: %s\n", error->message);
    }
  clear (&self);
  return self.status;
}
