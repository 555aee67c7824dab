/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verbs.h"

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  g_autofree char *policy = NULL;
  const GOptionEntry entries[]
      = { { "policy", 'p', 0, G_OPTION_ARG_STRING, &policy, "Policy to claim the chip for", "NAME" },
          { NULL } };
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_onboard, entries, &argc, &argv, 1, 1, &exit))
    return exit;
  return gw_ctl_endpoint_job (self, argv[1], "Onboard",
                              g_variant_new ("(sa{sv})", policy ? policy : "", NULL),
                              "take the endpoint on board", "is online");
}

const GwCtlVerb verb_onboard = {
  .name = "onboard",
  .args = "ENDPOINT [--policy NAME]",
  .summary = "Take an endpoint on board now, and wait until it is online",
  .help = "Endpoints that a batch claims come on board by themselves; this is for one that no batch claims\n"
          "(then --policy says where it goes), or to try again at once where it waits.",
  .run = run,
};
