/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-program.h"

#include <glib-unix.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gw-busmsg-codec.h"

#define EXIT_USAGE 2    /* what no restart will mend: the units have RestartPreventExitStatus= for it */
#define NAME_MAX_LEN 32 /* of a bus, see AttachBus */

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
gw_program_say (GwProgram *self, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  fprintf (stderr, "%s: %s: %s\n", self->funcs->program, self->device, text);
}

void
gw_program_say_seldom (GwProgram *self, GwHush *hush, const char *format, ...)
{
  g_autofree char *text = NULL;
  gint64 now = g_get_monotonic_time ();
  guint untold = gw_hush_take_untold (hush, now);
  va_list args;

  if (untold == 0 && !gw_hush_note (hush, now))
    return;
  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  if (untold > 0)
    gw_program_say (self, "%s (and %u lines like this were left out)", text, untold);
  else if (hush->count == GW_HUSH_TELL_MAX)
    gw_program_say (self, "%s (this goes on: told less often from here)", text);
  else
    gw_program_say (self, "%s", text);
}

void
gw_program_quit (GwProgram *self, int status)
{
  self->status = status;
  g_main_loop_quit (self->loop);
}

/* ---- The bus ---- */

static void
on_attached (GangwayBus *bus, GwProgram *self)
{
  gw_program_say (self, "attached as %s", gangway_bus_get_object_path (bus));
}

static void
on_detached (GangwayBus *bus, const char *why, GwProgram *self)
{
  gw_program_say (self, "detached: %s", why);
}

static void
on_refused (GangwayBus *bus, const char *why, GwProgram *self)
{
  gw_program_say (self, "not attached: %s; trying again", why);
}

static void
on_datagram (GangwayBus *bus, GangwayNode *node, GBytes *datagram, GwProgram *self)
{
  if (gangway_node_queue_push (node, datagram))
    self->funcs->pushed (self, node, g_get_monotonic_time ());
}

static void
on_scan (GangwayBus *bus, GwProgram *self)
{
  self->funcs->scan (self, g_get_monotonic_time ());
}

static void
on_lost (GangwayBus *bus, const char *why, GwProgram *self)
{
  gw_program_say (self, "%s", why);
  gw_program_quit (self, EXIT_FAILURE);
}

static void
on_ready (GObject *source, GAsyncResult *result, gpointer data)
{
  GwProgram *self = data;
  g_autoptr (GError) error = NULL;

  if (gangway_bus_attach_finish (GANGWAY_BUS (source), result, &error)
      || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  gw_program_say (self, "%s", error->message);
  gw_program_quit (self, EXIT_FAILURE);
}

static void
start_bus (GwProgram *self)
{
  g_autofree char *plugin = g_strconcat (self->funcs->program, " ", GANGWAY_VERSION, NULL);

  self->bus = g_object_new (GANGWAY_TYPE_BUS,
                            "name",
                            self->name,
                            "kind",
                            self->funcs->kind (self),
                            "device",
                            self->device,
                            "plugin",
                            plugin,
                            "bus-address",
                            self->bus_address,
                            "sandbox",
                            !self->no_sandbox,
                            NULL);
  g_signal_connect (self->bus, "attached", G_CALLBACK (on_attached), self);
  g_signal_connect (self->bus, "detached", G_CALLBACK (on_detached), self);
  g_signal_connect (self->bus, "refused", G_CALLBACK (on_refused), self);
  g_signal_connect (self->bus, "datagram", G_CALLBACK (on_datagram), self);
  g_signal_connect (self->bus, "scan", G_CALLBACK (on_scan), self);
  g_signal_connect (self->bus, "lost", G_CALLBACK (on_lost), self);
  gangway_bus_attach_async (self->bus, NULL, on_ready, self);
}

/* ---- Nodes ---- */

GangwayNode *
gw_program_node_up (
    GwProgram *self, guint address, const GwLinkHello *hello, GwBytes body, guint32 rtt_ms, GError **error)
{
  g_autoptr (GBytes) cbor = g_bytes_new (body.ptr, body.len);
  GangwayNode *node = gangway_bus_node_up (self->bus, MIN (hello->mtu, GW_BUSMSG_DATAGRAM_MAX), rtt_ms, cbor, error);

  if (node != NULL && address != 0)
    gangway_node_set_address (node, address);
  return node;
}

const char *
gw_program_down_text (GangwayDownReason reason)
{
  switch (reason)
    {
    case GANGWAY_DOWN_REASON_SILENT:
      return "the endpoint does not answer any more";
    case GANGWAY_DOWN_REASON_REPLACED:
      return "another endpoint answers";
    default:
      return "the endpoint is gone";
    }
}

void
gw_program_datagram (GangwayNode *node, GwBytes datagram)
{
  g_autoptr (GBytes) bytes = g_bytes_new (datagram.ptr, datagram.len);

  gangway_node_send (node, bytes, NULL);
}

void
gw_program_make_nonce (guint8 nonce[GW_HELLO_NONCE_LEN])
{
  for (gsize i = 0; i < GW_HELLO_NONCE_LEN; i++)
    nonce[i] = (guint8) g_random_int_range (0, 256);
}

/* ---- The program ---- */

static gboolean
on_signal (gpointer data)
{
  GwProgram *self = data;

  self->funcs->end (self);
  gw_program_quit (self, EXIT_SUCCESS);
  return G_SOURCE_CONTINUE;
}

static gboolean
fits_name (char c)
{
  return g_ascii_isalnum (c) || c == '-' || c == '_';
}

/* The device's own name, in the characters of a bus's name. Of a long one the end, which is where names in /dev/serial differ. */
static char *
name_of_device (const char *device)
{
  g_autofree char *name = g_path_get_basename (device);
  gsize len = strlen (name);

  for (char *c = name; *c != '\0'; c++)
    if (!fits_name (*c))
      *c = '_';
  return g_strdup (len > NAME_MAX_LEN ? name + len - NAME_MAX_LEN : name);
}

static gboolean
check_name (const char *name, GError **error)
{
  gsize len = strlen (name), i = 0;

  while (i < len && fits_name (name[i]))
    i++;
  if (len >= 1 && len <= NAME_MAX_LEN && i == len)
    return TRUE;
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "--name has 1 to %d letters, digits, '-' and '_'", NAME_MAX_LEN);
  return FALSE;
}

static gboolean
parse_options (GwProgram *self, const GOptionEntry *own, int *argc, char ***argv, GError **error)
{
  const GOptionEntry device[] = {
    { "device", 0, 0, G_OPTION_ARG_FILENAME, &self->device, self->funcs->device_help, self->funcs->device_arg },
    { "name", 0, 0, G_OPTION_ARG_STRING, &self->name, "Name of the bus (the device's)", "NAME" },
    { NULL },
  };
  const GOptionEntry common[] = {
    { "bus", 0, 0, G_OPTION_ARG_STRING, &self->bus_address, "D-Bus address (the system bus)", "ADDRESS" },
    { "no-sandbox", 0, 0, G_OPTION_ARG_NONE, &self->no_sandbox, "Stay outside the sandbox, to debug", NULL },
    { "version", 0, 0, G_OPTION_ARG_NONE, &self->version, "Print the version", NULL },
    { NULL },
  };
  g_autoptr (GOptionContext) context = g_option_context_new (self->funcs->summary);

  g_option_context_add_main_entries (context, device, NULL);
  g_option_context_add_main_entries (context, own, NULL);
  g_option_context_add_main_entries (context, common, NULL);
  if (!g_option_context_parse (context, argc, argv, error))
    return FALSE;
  if (self->version)
    return TRUE;
  if (self->device == NULL || *argc > 1)
    {
      g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, self->funcs->device_needed);
      return FALSE;
    }
  if (self->funcs->check != NULL && !self->funcs->check (self, error))
    return FALSE;
  if (self->name == NULL)
    self->name = name_of_device (self->device);
  return check_name (self->name, error);
}

static gboolean
start (GwProgram *self, GError **error)
{
  if (!self->funcs->start (self, error))
    return FALSE;
#ifdef __SANITIZE_ADDRESS__
  in_sandbox = !self->no_sandbox;
#endif
  g_unix_signal_add (SIGTERM, on_signal, self);
  g_unix_signal_add (SIGINT, on_signal, self);
  start_bus (self);
  return TRUE;
}

static void
clear (GwProgram *self)
{
  self->funcs->clear (self);
  g_clear_object (&self->bus);
  g_clear_pointer (&self->loop, g_main_loop_unref);
  g_free (self->device);
  g_free (self->name);
  g_free (self->bus_address);
}

int
gw_program_run (GwProgram *self, const GwProgramFuncs *funcs, const GOptionEntry *entries, int argc, char **argv)
{
  g_autoptr (GError) error = NULL;

  self->funcs = funcs;
  self->status = EXIT_FAILURE;
  setlocale (LC_CTYPE, ""); /* for --help, which is not ASCII only */
  if (!parse_options (self, entries, &argc, &argv, &error))
    self->status = EXIT_USAGE;
  else if (self->version)
    {
      printf ("%s %s\n", funcs->program, GANGWAY_VERSION);
      self->status = EXIT_SUCCESS;
    }
  else
    {
      self->loop = g_main_loop_new (NULL, FALSE);
      if (start (self, &error))
        g_main_loop_run (self->loop);
    }
  if (error != NULL)
    fprintf (stderr, "%s: %s\n", funcs->program, error->message);
  clear (self);
  return self->status;
}
