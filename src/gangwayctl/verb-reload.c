/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "verbs.h"

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  g_autoptr (GVariant) reply = NULL;
  g_autoptr (GError) error = NULL;
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_reload, NULL, &argc, &argv, 0, 0, &exit) || !gw_ctl_load (self, &exit))
    return exit;
  reply = gw_ctl_call (self->manager, "Reload", g_variant_new ("()"), NULL, &error);
  if (reply == NULL)
    return gw_ctl_fail (self, "reload the configuration", error);
  gw_ctl_done (self, "Read anew. gangwayctl policies tells what came of it.");
  return GW_CTL_OK;
}

const GwCtlVerb verb_reload = {
  .name = "reload",
  .args = "",
  .summary = "Read configuration, policies and trust anchors anew",
  .run = run,
};
