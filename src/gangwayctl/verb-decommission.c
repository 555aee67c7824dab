/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verbs.h"

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  g_autofree char *reason = NULL;
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_decommission, NULL, &argc, &argv, 2, -1, &exit))
    return exit;
  reason = gw_ctl_join (argc, argv, 2);
  return gw_ctl_endpoint_call (self, argv[1], "Decommission", g_variant_new ("(s)", reason),
                               "decommission the endpoint", "is decommissioned");
}

const GwCtlVerb verb_decommission = {
  .name = "decommission",
  .args = "ENDPOINT REASON...",
  .summary = "End an endpoint's life on this gateway",
  .help = "As revoke; its claim is withdrawn too, so that nothing here waits for it any more.",
  .run = run,
};
