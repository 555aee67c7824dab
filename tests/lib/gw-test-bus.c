/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-test-bus.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define SYSTEM_CONF "/usr/share/dbus-1/system.conf"
#define WATCHDOG_S 180 /* of real time; only for tests that fail */

struct _GwTestBus
{
  char *dir, *config, *address;
  GPid pid;
};

/* ---- Waiting ---- */

static gboolean
on_watchdog (gpointer data)
{
  g_error ("waited %d s in vain for %s", WATCHDOG_S, (const char *) data);
  return G_SOURCE_REMOVE;
}

void
gw_test_wait (GwTestCondition condition, gpointer data, const char *what)
{
  guint watchdog = g_timeout_add_seconds (WATCHDOG_S, on_watchdog, (gpointer) what);

  while (!condition (data))
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (watchdog);
}

void
gw_test_drain (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

/* ---- The daemon ---- */

static char *
replace_all (const char *text, const char *pattern, const char *by)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GRegex) regex = g_regex_new (pattern, G_REGEX_DOTALL, 0, &error);
  char *out;

  g_assert_no_error (error);
  out = g_regex_replace (regex, text, -1, 0, by, 0, &error);
  g_assert_no_error (error);
  return out;
}

/* All <policy> elements of the shipped file, for this user. */
static char *
shipped_policies (const char *policy_file)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  g_autofree char *bare = NULL;
  g_autofree char *mine = NULL;
  g_autofree char *user = g_strdup_printf ("user=\"%s\"", g_get_user_name ());
  g_autoptr (GRegex) regex = g_regex_new ("<policy\\b.*?</policy>", G_REGEX_DOTALL, 0, NULL);
  g_autoptr (GMatchInfo) match = NULL;
  GString *out = g_string_new (NULL);

  g_file_get_contents (policy_file, &text, NULL, &error);
  g_assert_no_error (error);
  bare = replace_all (text, "<!--.*?-->", "");
  mine = replace_all (bare, "user=\"(?!root\")[^\"]*\"", user);
  for (g_regex_match (regex, mine, 0, &match); g_match_info_matches (match); g_match_info_next (match, NULL))
    {
      g_autofree char *policy = g_match_info_fetch (match, 0);

      g_string_append (out, policy);
    }
  g_assert_cmpuint (out->len, >, 0);
  return g_string_free (out, FALSE);
}

/* The installed system.conf without what makes it a service of the machine; its policies stay word for word. */
static void
write_config (GwTestBus *self, const char *policy_file)
{
  static const char *const machine[] = {
    "<!--.*?-->",
    "<(user|pidfile|servicehelper|servicedir|listen|include|includedir)\\b[^>]*>.*?</\\1>",
    "<(fork|syslog|standard_system_servicedirs|keep_umask)\\s*/>",
    "</busconfig>",
  };
  g_autoptr (GError) error = NULL;
  g_autofree char *policies = shipped_policies (policy_file);
  g_autofree char *text = NULL;
  g_autofree char *whole = NULL;

  g_file_get_contents (SYSTEM_CONF, &text, NULL, &error);
  g_assert_no_error (error);
  for (gsize i = 0; i < G_N_ELEMENTS (machine); i++)
    {
      char *less = replace_all (text, machine[i], "");

      g_free (text);
      text = less;
    }
  whole = g_strconcat (text, "<listen>unix:dir=", self->dir, "</listen>", policies, "</busconfig>", NULL);
  g_file_set_contents (self->config, whole, -1, &error);
  g_assert_no_error (error);
}

static void
child_setup (gpointer data)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
}

static void
start (GwTestBus *self)
{
  g_autofree char *option = g_strconcat ("--config-file=", self->config, NULL);
  const char *argv[] = { "dbus-daemon", option, "--nofork", "--nopidfile", "--print-address=1", NULL };
  g_autoptr (GError) error = NULL;
  g_autoptr (GIOChannel) out = NULL;
  int fd = -1;

  g_spawn_async_with_pipes (NULL,
                            (char **) argv,
                            NULL,
                            G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD,
                            child_setup,
                            NULL,
                            &self->pid,
                            NULL,
                            &fd,
                            NULL,
                            &error);
  g_assert_no_error (error);
  out = g_io_channel_unix_new (fd);
  g_io_channel_set_close_on_unref (out, TRUE);
  g_io_channel_read_line (out, &self->address, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_nonnull (self->address);
  g_strstrip (self->address);
}

GwTestBus *
gw_test_bus_new (const char *policy_file)
{
  GwTestBus *self = g_new0 (GwTestBus, 1);
  g_autoptr (GError) error = NULL;

  self->dir = g_dir_make_tmp ("gw-bus-XXXXXX", &error);
  g_assert_no_error (error);
  self->config = g_build_filename (self->dir, "bus.conf", NULL);
  write_config (self, policy_file);
  start (self);
  return self;
}

void
gw_test_bus_stop (GwTestBus *self)
{
  if (self->pid == 0)
    return;
  kill (self->pid, SIGKILL);
  waitpid (self->pid, NULL, 0);
  g_spawn_close_pid (self->pid);
  self->pid = 0;
}

void
gw_test_bus_free (GwTestBus *self)
{
  GDir *dir;
  const char *name;

  gw_test_bus_stop (self);
  dir = g_dir_open (self->dir, 0, NULL);
  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (self->dir, name, NULL);

      g_unlink (path);
    }
  g_clear_pointer (&dir, g_dir_close);
  g_rmdir (self->dir);
  g_free (self->dir);
  g_free (self->config);
  g_free (self->address);
  g_free (self);
}

const char *
gw_test_bus_get_address (GwTestBus *self)
{
  return self->address;
}

GDBusConnection *
gw_test_bus_connect (GwTestBus *self)
{
  g_autoptr (GError) error = NULL;
  GDBusConnection *connection = g_dbus_connection_new_for_address_sync (
      self->address,
      G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT | G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
      NULL,
      NULL,
      &error);

  g_assert_no_error (error);
  g_dbus_connection_set_exit_on_close (connection, FALSE);
  return connection;
}
