/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting for jobs. A job may end before the method that started it has returned to us, so the listener is
 * set up first and keeps all ends it hears of; a job also ends when we leave the bus, so there is no way not
 * to wait.
 */
#include <stdio.h>
#include <unistd.h>

#include "gw-ctl.h"
#include "gw-ctl-text.h"

struct GwCtlJobs
{
  GwCtl *ctl;
  guint signals, owner_watch;
  GHashTable *ended; /* path -> GVariant (bss) of Completed */
  gboolean agent_gone;
  gboolean progress_shown;
};

static void
on_signal (GDBusConnection *bus,
           const char *sender,
           const char *path,
           const char *interface,
           const char *member,
           GVariant *parameters,
           gpointer data)
{
  GwCtlJobs *self = data;

  if (g_str_equal (member, "Completed") && g_variant_is_of_type (parameters, G_VARIANT_TYPE ("(bss)")))
    g_hash_table_insert (self->ended, g_strdup (path), g_variant_ref (parameters));
}

static void
on_owner (GDBusConnection *bus,
          const char *sender,
          const char *path,
          const char *interface,
          const char *member,
          GVariant *parameters,
          gpointer data)
{
  GwCtlJobs *self = data;
  const char *owner = NULL;

  g_variant_get (parameters, "(&s&s&s)", NULL, NULL, &owner);
  self->agent_gone = self->agent_gone || owner[0] == '\0';
}

GwCtlJobs *
gw_ctl_jobs_new (GwCtl *ctl)
{
  GwCtlJobs *self = g_new0 (GwCtlJobs, 1);

  self->ctl = ctl;
  self->ended = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_variant_unref);
  self->signals
      = g_dbus_connection_signal_subscribe (ctl->bus, GW_CTL_BUS_NAME, GW_CTL_BUS_NAME ".Job", "Completed",
                                            NULL, NULL, G_DBUS_SIGNAL_FLAGS_NONE, on_signal, self, NULL);
  self->owner_watch = g_dbus_connection_signal_subscribe (
      ctl->bus, "org.freedesktop.DBus", "org.freedesktop.DBus", "NameOwnerChanged", "/org/freedesktop/DBus",
      GW_CTL_BUS_NAME, G_DBUS_SIGNAL_FLAGS_NONE, on_owner, self, NULL);
  return self;
}

void
gw_ctl_jobs_free (GwCtlJobs *self)
{
  if (self == NULL)
    return;
  g_dbus_connection_signal_unsubscribe (self->ctl->bus, self->signals);
  g_dbus_connection_signal_unsubscribe (self->ctl->bus, self->owner_watch);
  g_hash_table_unref (self->ended);
  g_free (self);
}

static void
show_progress (GwCtlJobs *self, GwDBusJob *job)
{
  g_autofree char *stage = NULL;
  double progress;

  if (job == NULL || self->ctl->json || !isatty (STDERR_FILENO))
    return;
  stage = gw_ctl_text_clean (gw_dbus_job_get_stage (job));
  progress = gw_dbus_job_get_progress (job);
  if (progress >= 0)
    fprintf (stderr, "\r\033[K%3.0f %%  %s", progress * 100, stage);
  else
    fprintf (stderr, "\r\033[K%s", stage);
  self->progress_shown = TRUE;
}

static void
end_progress (GwCtlJobs *self)
{
  if (self->progress_shown)
    fputs ("\r\033[K", stderr);
  self->progress_shown = FALSE;
}

gboolean
gw_ctl_jobs_wait (GwCtlJobs *self, const char *path, GVariant **result, GError **error)
{
  g_autoptr (GwDBusJob) job = gw_dbus_job_proxy_new_sync (
      self->ctl->bus, G_DBUS_PROXY_FLAGS_DO_NOT_AUTO_START, GW_CTL_BUS_NAME, path, NULL, NULL);
  GVariant *ended;
  gboolean success;
  const char *name, *message;

  while ((ended = g_hash_table_lookup (self->ended, path)) == NULL && !self->agent_gone
         && !g_dbus_connection_is_closed (self->ctl->bus))
    {
      show_progress (self, job);
      g_main_context_iteration (NULL, TRUE);
    }
  end_progress (self);
  if (ended == NULL)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED,
                   g_dbus_connection_is_closed (self->ctl->bus)
                       ? "the message bus went away while the agent was at work"
                       : "the agent stopped while it was at work: what it had not finished is undone");
      return FALSE;
    }
  g_variant_get (ended, "(b&s&s)", &success, &name, &message);
  /* The agent sends a job's last properties before Completed; the proxy has them by now. */
  if (result != NULL)
    *result = job ? gw_dbus_job_dup_result (job) : NULL;
  if (!success)
    g_propagate_error (error, g_dbus_error_new_for_dbus_error (name, message));
  return success;
}
