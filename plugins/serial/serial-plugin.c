/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* gangway-serial: one point-to-point serial line as a field bus. It opens the device, attaches to the agent, enters the
 * sandbox, and from then on carries datagrams between the line and the agent. It ends with 0 when the device has gone or
 * somebody asks it to, and with 1 when it cannot work; systemd, or whoever supervises it, starts it anew.
 *
 * The line (framing, octets), the peer (who answers) and the bus (the agent) know nothing of each other; this file ties
 * them together. */

#include <gangway.h>

#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gw-busmsg-codec.h"
#include "gw-serial-line.h"
#include "gw-serial-peer.h"
#include "gw-serial-tty.h"

#define NAME_MAX_LEN 32 /* of a bus, see AttachBus */

typedef struct
{
  char *device, *name, *bus_address;
  int speed;
  gboolean no_sandbox, version;

  GMainLoop *loop;
  int status;
  GangwayBus *bus;
  GangwayNode *node; /* NULL while nobody answers */
  GwSerialLine *line;
  GwSerialPeer peer;
  GBytes *question; /* for the wire, before all datagrams; a newer one takes its place */
  GSource *timer;
} Plugin;

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

static void say (Plugin *self, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* One line on stderr, which the journal reads. Not g_log (): it would look for a time zone, and the sandbox has none. */
static void
say (Plugin *self, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  fprintf (stderr, "gangway-serial: %s: %s\n", self->device, text);
}

static void
quit (Plugin *self, int status)
{
  self->status = status;
  g_main_loop_quit (self->loop);
}

/* ---- Time ---- */

static void arm (Plugin *self);

static gboolean
on_timer (gpointer data)
{
  Plugin *self = data;

  arm (self);
  return G_SOURCE_REMOVE;
}

static void
arm (Plugin *self)
{
  gint64 now = g_get_monotonic_time ();
  gint64 due = gw_serial_peer_tick (&self->peer, now);

  if (self->timer != NULL)
    g_source_destroy (self->timer);
  g_clear_pointer (&self->timer, g_source_unref);
  self->timer = g_timeout_source_new (MAX (due - now, 0) / 1000 + 1);
  g_source_set_callback (self->timer, on_timer, self, NULL);
  g_source_attach (self->timer, NULL);
}

/* ---- The peer ---- */

static void
on_peer_ask (void *owner, GwBytes message)
{
  Plugin *self = owner;

  g_clear_pointer (&self->question, g_bytes_unref);
  self->question = g_bytes_new (message.ptr, message.len);
  gw_serial_line_kick (self->line);
}

static bool
on_peer_up (void *owner, const GwLinkHello *hello, GwBytes body, uint32_t rtt_ms)
{
  Plugin *self = owner;
  g_autoptr (GBytes) cbor = g_bytes_new (body.ptr, body.len);
  g_autoptr (GError) error = NULL;

  self->node = gangway_bus_node_up (self->bus, MIN (hello->mtu, GW_BUSMSG_DATAGRAM_MAX), rtt_ms, cbor, &error);
  if (self->node == NULL)
    {
      say (self, "cannot take the endpoint that answers: %s", error->message);
      return false;
    }
  say (self,
       "an endpoint answers: %.*s %.*s, serial number %.*s",
       (int) hello->manufacturer.len,
       hello->manufacturer.ptr,
       (int) hello->model.len,
       hello->model.ptr,
       (int) hello->serial.len,
       hello->serial.ptr);
  return true;
}

static void
on_peer_down (void *owner, GwSerialDown why)
{
  static const struct
  {
    GangwayDownReason reason;
    const char *text;
  } reasons[] = {
    [GW_SERIAL_DOWN_GONE] = { GANGWAY_DOWN_REASON_GONE, "the endpoint is gone" },
    [GW_SERIAL_DOWN_SILENT] = { GANGWAY_DOWN_REASON_SILENT, "the endpoint does not answer any more" },
    [GW_SERIAL_DOWN_REPLACED] = { GANGWAY_DOWN_REASON_REPLACED, "another endpoint answers" },
  };
  Plugin *self = owner;

  say (self, "%s", reasons[why].text);
  gangway_node_down (self->node, reasons[why].reason);
  g_clear_object (&self->node);
}

static void
on_peer_datagram (void *owner, GwBytes datagram)
{
  Plugin *self = owner;
  g_autoptr (GBytes) bytes = g_bytes_new (datagram.ptr, datagram.len);

  /* Not taken means dropped and counted by the library. */
  gangway_node_send (self->node, bytes, NULL);
}

static const GwSerialPeerFuncs peer_funcs = {
  .ask = on_peer_ask,
  .up = on_peer_up,
  .down = on_peer_down,
  .datagram = on_peer_datagram,
};

/* ---- The line ---- */

static void
on_line_frame (gpointer owner, GwBytes info)
{
  Plugin *self = owner;
  bool was_up = self->peer.up;

  gw_serial_peer_take (&self->peer, info, g_get_monotonic_time ());
  if (self->peer.up != was_up)
    arm (self);
}

static GBytes *
on_line_next (gpointer owner)
{
  Plugin *self = owner;

  if (self->question != NULL)
    return g_steal_pointer (&self->question);
  return self->node != NULL ? gangway_node_queue_pop (self->node) : NULL;
}

static void
on_line_changed (gpointer owner)
{
  Plugin *self = owner;
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
    .dropped = self->peer.refused,
  };
  gangway_bus_set_stats (self->bus, &stats);
}

static void
on_line_gone (gpointer owner, const char *why)
{
  Plugin *self = owner;

  say (self, "the device is gone (%s)", why);
  gw_serial_peer_end (&self->peer);
  quit (self, EXIT_SUCCESS);
}

static const GwSerialLineFuncs line_funcs = {
  .frame = on_line_frame,
  .next = on_line_next,
  .changed = on_line_changed,
  .gone = on_line_gone,
};

/* ---- The bus ---- */

static void
on_bus_attached (GangwayBus *bus, Plugin *self)
{
  say (self, "attached as %s", gangway_bus_get_object_path (bus));
}

static void
on_bus_detached (GangwayBus *bus, const char *why, Plugin *self)
{
  say (self, "detached: %s", why);
}

static void
on_bus_refused (GangwayBus *bus, const char *why, Plugin *self)
{
  say (self, "not attached: %s; trying again", why);
}

static void
on_bus_datagram (GangwayBus *bus, GangwayNode *node, GBytes *datagram, Plugin *self)
{
  if (gangway_node_queue_push (node, datagram))
    gw_serial_line_kick (self->line);
}

static void
on_bus_scan (GangwayBus *bus, Plugin *self)
{
  gw_serial_peer_scan (&self->peer, g_get_monotonic_time ());
}

static void
on_bus_lost (GangwayBus *bus, const char *why, Plugin *self)
{
  say (self, "%s", why);
  quit (self, EXIT_FAILURE);
}

static void
on_bus_ready (GObject *source, GAsyncResult *result, gpointer data)
{
  Plugin *self = data;
  g_autoptr (GError) error = NULL;

  if (gangway_bus_attach_finish (GANGWAY_BUS (source), result, &error)
      || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  say (self, "%s", error->message);
  quit (self, EXIT_FAILURE);
}

static void
start_bus (Plugin *self)
{
  self->bus = g_object_new (GANGWAY_TYPE_BUS,
                            "name",
                            self->name,
                            "kind",
                            "serial",
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
  Plugin *self = data;

  gw_serial_peer_end (&self->peer);
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
parse_options (Plugin *self, int *argc, char ***argv, GError **error)
{
  const GOptionEntry entries[] = {
    { "device", 0, 0, G_OPTION_ARG_FILENAME, &self->device, "The serial device", "PATH" },
    { "name", 0, 0, G_OPTION_ARG_STRING, &self->name, "Name of the bus (the device's)", "NAME" },
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
clear (Plugin *self)
{
  if (self->timer != NULL)
    g_source_destroy (self->timer);
  g_clear_pointer (&self->timer, g_source_unref);
  g_clear_object (&self->node);
  g_clear_object (&self->bus);
  g_clear_pointer (&self->line, gw_serial_line_free);
  g_clear_pointer (&self->question, g_bytes_unref);
  g_clear_pointer (&self->loop, g_main_loop_unref);
  g_free (self->device);
  g_free (self->name);
  g_free (self->bus_address);
}

static gboolean
start (Plugin *self, GError **error)
{
  guint8 nonce[GW_HELLO_NONCE_LEN];
  int fd = gw_serial_tty_open (self->device, MAX (self->speed, 0), error);

  if (fd < 0)
    return FALSE;
#ifdef __SANITIZE_ADDRESS__
  in_sandbox = !self->no_sandbox;
#endif
  for (gsize i = 0; i < sizeof nonce; i++)
    nonce[i] = g_random_int_range (0, 256);
  self->line = gw_serial_line_new (fd, GW_BUSMSG_DATAGRAM_MAX, &line_funcs, self);
  g_unix_signal_add (SIGTERM, on_signal, self);
  g_unix_signal_add (SIGINT, on_signal, self);
  start_bus (self);
  gw_serial_peer_init (&self->peer, &peer_funcs, self, nonce, g_get_monotonic_time ());
  /* The first question waits for the main loop: it may find the device gone, and ends the loop then. */
  self->timer = g_idle_source_new ();
  g_source_set_callback (self->timer, on_timer, self, NULL);
  g_source_attach (self->timer, NULL);
  return TRUE;
}

int
main (int argc, char **argv)
{
  Plugin self = { .status = EXIT_FAILURE };
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
