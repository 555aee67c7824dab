/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-test-plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- The line ---- */

static gboolean
on_master (int fd, GIOCondition condition, gpointer data)
{
  GwTestPlugin *self = data;
  guint8 octets[4096];
  ssize_t n = read (fd, octets, sizeof octets);

  if (n > 0)
    self->octets (self->owner, octets, (gsize) n);
  return G_SOURCE_CONTINUE;
}

void
gw_test_plugin_listen (GwTestPlugin *self, gboolean listen)
{
  if (self->source != NULL)
    g_source_destroy (self->source);
  g_clear_pointer (&self->source, g_source_unref);
  if (!listen)
    return;
  self->source = g_unix_fd_source_new (self->master, G_IO_IN);
  g_source_set_callback (self->source, G_SOURCE_FUNC (on_master), self, NULL);
  g_source_attach (self->source, NULL);
}

void
gw_test_plugin_open_line (GwTestPlugin *self)
{
  char name[64];

  self->master = posix_openpt (O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  g_assert_cmpint (self->master, >=, 0);
  g_assert_cmpint (grantpt (self->master), ==, 0);
  g_assert_cmpint (unlockpt (self->master), ==, 0);
  g_assert_cmpint (ptsname_r (self->master, name, sizeof name), ==, 0);
  g_assert_cmpint (symlink (name, self->device), ==, 0);
  gw_test_plugin_listen (self, TRUE);
}

void
gw_test_plugin_hang_up (GwTestPlugin *self)
{
  gw_test_plugin_listen (self, FALSE);
  unlink (self->device);
  if (self->master >= 0)
    close (self->master);
  self->master = -1;
}

void
gw_test_plugin_write (GwTestPlugin *self, gconstpointer data, gsize len)
{
  const guint8 *octets = data;

  while (len > 0)
    {
      ssize_t n = write (self->master, octets, len);

      if (n < 0)
        {
          g_assert_cmpint (errno, ==, EAGAIN);
          g_main_context_iteration (NULL, FALSE);
          continue;
        }
      octets += n;
      len -= (gsize) n;
    }
}

/* ---- The process ---- */

static void
child_setup (gpointer data)
{
  GwTestPlugin *self = data;

  prctl (PR_SET_PDEATHSIG, SIGKILL);
  if (self->said >= 0)
    dup2 (self->said, STDERR_FILENO);
}

GPid
gw_test_plugin_spawn (GwTestPlugin *self, const char *program, const char *device, const char *const *options)
{
  g_autoptr (GPtrArray) argv = g_ptr_array_new ();
  g_autoptr (GError) error = NULL;
  GPid pid;

  g_ptr_array_add (argv, (gpointer) program);
  g_ptr_array_add (argv, (gpointer) "--device");
  g_ptr_array_add (argv, (gpointer) device);
  g_ptr_array_add (argv, (gpointer) "--bus");
  g_ptr_array_add (argv, (gpointer) gw_test_bus_get_address (self->dbus));
  while (*options != NULL)
    g_ptr_array_add (argv, (gpointer) *options++);
  g_ptr_array_add (argv, NULL);
  g_spawn_async (
      NULL, (char **) argv->pdata, NULL, G_SPAWN_DO_NOT_REAP_CHILD, child_setup, self, &pid, &error);
  g_assert_no_error (error);
  return pid;
}

typedef struct
{
  gboolean ended;
  int status;
} End;

static void
on_end (GPid pid, int status, gpointer data)
{
  *(End *) data = (End){ TRUE, status };
}

static gboolean
has_ended (gpointer data)
{
  return ((End *) data)->ended;
}

int
gw_test_plugin_exit_status (GPid pid)
{
  End end = { FALSE };

  g_child_watch_add (pid, on_end, &end);
  gw_test_wait (has_ended, &end, "the plugin's end");
  g_assert_true (WIFEXITED (end.status));
  return WEXITSTATUS (end.status);
}

void
gw_test_plugin_wait_end (GwTestPlugin *self)
{
  g_assert_cmpint (gw_test_plugin_exit_status (self->pid), ==, 0);
  self->pid = 0;
}

void
gw_test_plugin_terminate (GwTestPlugin *self)
{
  kill (self->pid, SIGTERM);
  gw_test_plugin_wait_end (self);
}

void
gw_test_plugin_kill (GwTestPlugin *self)
{
  int status;

  kill (self->pid, SIGKILL);
  g_assert_cmpint (waitpid (self->pid, &status, 0), ==, self->pid);
  self->pid = 0;
}

gboolean
gw_test_plugin_seccomp_mode_is (GwTestPlugin *self, const char *mode)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/status", self->pid);
  g_autofree char *wanted = g_strdup_printf ("\nSeccomp:\t%s\n", mode);
  g_autofree char *text = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  return strstr (text, wanted) != NULL;
}

/* ---- The agent ---- */

void
gw_test_plugin_restart_agent (GwTestPlugin *self)
{
  gw_fake_agent_free (self->agent);
  self->agent = gw_fake_agent_new (self->dbus, GW_FAKE_AGENT_GOOD);
}

void
gw_test_plugin_wait_calls (GwTestPlugin *self, guint calls)
{
  while (gw_fake_agent_get_calls (self->agent) < calls)
    g_main_context_iteration (NULL, TRUE);
}

const GwBusmsg *
gw_test_plugin_expect (GwTestPlugin *self, GwBusmsgType type)
{
  const GwBusmsg *msg;

  do
    msg = gw_fake_agent_next (self->agent);
  while (msg->type != type
         && (msg->type == GW_BUSMSG_STATS || msg->type == GW_BUSMSG_LINK || msg->type == GW_BUSMSG_NODE));
  g_assert_cmpint (msg->type, ==, type);
  return msg;
}

/* ---- All of it ---- */

void
gw_test_plugin_init (GwTestPlugin *self, const char *policy_file, GwTestPluginOctets octets, gpointer owner)
{
  g_autoptr (GError) error = NULL;

  *self = (GwTestPlugin){ .said = -1, .octets = octets, .owner = owner };
  self->dbus = gw_test_bus_new (policy_file);
  self->agent = gw_fake_agent_new (self->dbus, GW_FAKE_AGENT_GOOD);
  self->dir = g_dir_make_tmp ("gw-line-XXXXXX", &error);
  g_assert_no_error (error);
  self->device = g_build_filename (self->dir, "line", NULL);
  gw_test_plugin_open_line (self);
}

void
gw_test_plugin_clear (GwTestPlugin *self)
{
  if (self->pid != 0)
    gw_test_plugin_terminate (self);
  gw_test_plugin_hang_up (self);
  g_clear_pointer (&self->agent, gw_fake_agent_free);
  gw_test_bus_free (self->dbus);
  rmdir (self->dir);
  g_free (self->device);
  g_free (self->dir);
}
