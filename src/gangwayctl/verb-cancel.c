/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "verbs.h"

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  g_autofree char *path = NULL, *what = NULL;
  g_autoptr (GwDBusJob) job = NULL;
  g_autoptr (GVariant) reply = NULL;
  g_autoptr (GError) error = NULL;
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_cancel, NULL, &argc, &argv, 1, 1, &exit) || !gw_ctl_load (self, &exit))
    return exit;
  path = argv[1][0] == '/' ? g_strdup (argv[1]) : g_strconcat (GW_CTL_ROOT "/job/", argv[1], NULL);
  job = gw_ctl_at (self, path, "Job");
  if (job == NULL)
    {
      what = g_strdup_printf ("there is no job %s", argv[1]);
      return gw_ctl_refuse (self, GW_CTL_NOT_FOUND, what, "gangwayctl jobs lists them by number");
    }
  reply = gw_ctl_call (job, "Cancel", g_variant_new ("()"), NULL, &error);
  if (reply == NULL)
    return gw_ctl_fail (self, "cancel the job", error);
  gw_ctl_done (self, "It stops at its next safe point.");
  return GW_CTL_OK;
}

const GwCtlVerb verb_cancel = {
  .name = "cancel",
  .args = "JOB",
  .summary = "Stop a job, given by its number",
  .run = run,
};
