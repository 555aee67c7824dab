/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "gw-ctl-text.h"
#include "verbs.h"

static void
print_table (GwCtl *self, GPtrArray *jobs)
{
  static const char *const headers[] = { ">JOB", "KIND", "STATE", ">DONE", "STARTED", "~STAGE", NULL };
  g_autoptr (GwCtlTable) table = gw_ctl_table_new (headers);
  guint64 now = (guint64)(g_get_real_time () / G_USEC_PER_SEC);

  for (guint i = 0; i < jobs->len; i++)
    {
      GwDBusJob *j = jobs->pdata[i];
      g_autofree char *number = g_path_get_basename (g_dbus_proxy_get_object_path (G_DBUS_PROXY (j)));
      g_autofree char *started = gw_ctl_text_when (gw_dbus_job_get_started_at (j), now);
      double progress = gw_dbus_job_get_progress (j);
      g_autofree char *done = progress < 0 ? g_strdup ("") : g_strdup_printf ("%.0f %%", progress * 100);
      GVariant *error = gw_dbus_job_get_error (j);
      const char *message = "";

      if (error != NULL)
        g_variant_get (error, "(&s&s)", NULL, &message);
      gw_ctl_table_add (table, number, gw_dbus_job_get_kind (j), gw_dbus_job_get_state (j), done, started,
                        message[0] ? message : gw_dbus_job_get_stage (j));
    }
  gw_ctl_table_print (table, self->wide);
}

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  g_autoptr (GPtrArray) all = NULL;
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_jobs, NULL, &argc, &argv, 0, 0, &exit) || !gw_ctl_load (self, &exit))
    return exit;
  all = gw_ctl_all (self, "Job");
  if (self->json)
    gw_ctl_print_proxies (all);
  else if (all->len > 0)
    print_table (self, all);
  else
    puts ("No job is at work.");
  return GW_CTL_OK;
}

const GwCtlVerb verb_jobs = {
  .name = "jobs",
  .args = "",
  .summary = "List what the agent is at work on, and what ended just now",
  .run = run,
};
