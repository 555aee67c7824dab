/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* gangwayd: options, the bus name, signals. All logic is in the library. */

#include "config.h"

#include <locale.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <gio/gio.h>
#include <glib-unix.h>
#include <systemd/sd-daemon.h>

#include "gw-agent.h"
#include "gw-error.h"

#define BUS_NAME "org.gangway.Gangway1"

/* How often the service manager is told, where it does not say itself how often it must be. */
#define NOTIFY_PERIOD_USEC (10 * G_USEC_PER_SEC)
/* Beats in one period of the watchdog: two may be late. */
#define WATCHDOG_BEATS 3

typedef struct
{
  GMainLoop *loop;
  GwAgent *agent;
  int status;
} Daemon;

static gboolean
on_terminate (gpointer data)
{
  Daemon *daemon = data;

  g_main_loop_quit (daemon->loop);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_hangup (gpointer data)
{
  Daemon *daemon = data;
  g_autoptr (GError) error = NULL;

  sd_notify (0, "RELOADING=1");
  if (!gw_agent_reload (daemon->agent, &error))
    g_warning ("the old configuration stays in force: %s", error->message);
  sd_notify (0, "READY=1");
  return G_SOURCE_CONTINUE;
}

static void
on_progress (gpointer data)
{
  Daemon *daemon = data;
  g_autofree char *status = gw_agent_describe (daemon->agent);

  sd_notifyf (0, "WATCHDOG=1\nSTATUS=%s", status);
}

static gint64
notify_period (void)
{
  guint64 watchdog = 0;

  if (sd_watchdog_enabled (0, &watchdog) > 0)
    return watchdog / WATCHDOG_BEATS;
  return NOTIFY_PERIOD_USEC;
}

static void
on_name_acquired (GDBusConnection *connection, const char *name, gpointer data)
{
  Daemon *daemon = data;
  g_autofree char *status = gw_agent_describe (daemon->agent);

  g_message ("%s is on the bus", name);
  sd_notifyf (0, "READY=1\nSTATUS=%s", status);
}

static void
on_name_lost (GDBusConnection *connection, const char *name, gpointer data)
{
  Daemon *daemon = data;

  /* The name goes with the connection, which on_closed() tells. */
  if (connection == NULL || g_dbus_connection_is_closed (connection))
    return;
  g_printerr ("gangwayd: the name %s cannot be had: is another gangwayd running, or is the bus policy not installed for this user?\n",
              name);
  daemon->status = EXIT_FAILURE;
  g_main_loop_quit (daemon->loop);
}

/* Not what we were asked for: the status has whoever supervises us start us again. */
static void
on_closed (GDBusConnection *connection, gboolean vanished, GError *error, gpointer data)
{
  Daemon *daemon = data;

  g_printerr ("gangwayd: the connection to D-Bus is closed%s%s\n", error != NULL ? ": " : "", error != NULL ? error->message : "");
  daemon->status = EXIT_FAILURE;
  g_main_loop_quit (daemon->loop);
}

/* Three descriptors an endpoint: as many as we may have. */
static void
raise_descriptor_limit (void)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max)
    {
      limit.rlim_cur = limit.rlim_max;
      setrlimit (RLIMIT_NOFILE, &limit);
    }
}

static GDBusConnection *
connect_bus (const char *address, GError **error)
{
  if (address == NULL)
    return g_bus_get_sync (G_BUS_TYPE_SYSTEM, NULL, error);
  return g_dbus_connection_new_for_address_sync (
      address, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT | G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION, NULL, NULL, error);
}

static int
run (const char *address, const GwAgentOptions *options)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDBusConnection) connection = connect_bus (address, &error);
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  Daemon daemon = { .loop = loop, .status = EXIT_SUCCESS };
  guint owner;

  if (connection == NULL)
    {
      g_printerr ("gangwayd: no connection to D-Bus: %s\n", error->message);
      return EXIT_FAILURE;
    }
  /* The context is this thread's from before the first object is on the bus until after the last one is freed. While it is nobody's, that
   * is whenever the loop does not run, the threads in which GDBus has calls judged take it and carry the calls out themselves. */
  g_main_context_acquire (NULL);
  g_signal_connect (connection, "closed", G_CALLBACK (on_closed), &daemon);
  g_dbus_connection_set_exit_on_close (connection, FALSE);
  daemon.agent = gw_agent_new (connection, options, &error);
  if (daemon.agent == NULL)
    {
      g_printerr ("gangwayd: cannot start: %s\n", error->message);
      return EXIT_FAILURE;
    }
  g_unix_signal_add (SIGTERM, on_terminate, &daemon);
  g_unix_signal_add (SIGINT, on_terminate, &daemon);
  g_unix_signal_add (SIGHUP, on_hangup, &daemon);
  if (g_getenv ("NOTIFY_SOCKET") != NULL)
    gw_agent_watch_progress (daemon.agent, notify_period (), on_progress, &daemon);
  owner = g_bus_own_name_on_connection (connection, BUS_NAME, G_BUS_NAME_OWNER_FLAGS_DO_NOT_QUEUE, on_name_acquired, on_name_lost,
                                        &daemon, NULL);
  g_main_loop_run (loop);
  sd_notify (0, "STOPPING=1\nSTATUS=stopping: writing to disk what is left");
  g_bus_unown_name (owner);
  gw_agent_free (daemon.agent);
  return daemon.status;
}

int
main (int argc, char **argv)
{
  g_autofree char *bus = NULL, *state_dir = NULL, *config = NULL, *authorize = NULL;
  gboolean version = FALSE;
  const GOptionEntry entries[] = {
    { "bus", 0, 0, G_OPTION_ARG_STRING, &bus, "D-Bus address (default: the system bus)", "ADDRESS" },
    { "state-dir", 0, 0, G_OPTION_ARG_FILENAME, &state_dir, "Folder for state (default: $STATE_DIRECTORY, else " GW_STATE_DIR ")", "DIR" },
    { "config", 0, 0, G_OPTION_ARG_FILENAME, &config, "Configuration file", "FILE" },
    { "authorize", 0, 0, G_OPTION_ARG_STRING, &authorize, "Who may call: polkit (default), or own-uid on a private bus", "MODE" },
    { "version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version", NULL },
    { NULL },
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("- take field-bus endpoints to their broker");
  g_autoptr (GError) error = NULL;
  GwAgentOptions options = { .authorize = GW_BOUNCER_POLKIT };

  setlocale (LC_ALL, "");
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    {
      g_printerr ("gangwayd: %s; see --help\n", error->message);
      return 2;
    }
  if (version)
    {
      g_print ("gangwayd %s\n", GW_VERSION);
      return EXIT_SUCCESS;
    }
  if (authorize != NULL && !gw_bouncer_mode_from_string (authorize, &options.authorize))
    {
      g_printerr ("gangwayd: --authorize takes polkit or own-uid, not '%s'\n", authorize);
      return 2;
    }
  raise_descriptor_limit ();
  options.state_dir = state_dir != NULL ? state_dir : g_getenv ("STATE_DIRECTORY") ?: GW_STATE_DIR;
  options.config_path = config;
  options.runtime_dir = g_getenv ("RUNTIME_DIRECTORY");
  return run (bus, &options);
}
