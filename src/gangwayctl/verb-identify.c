/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verbs.h"

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_identify, NULL, &argc, &argv, 1, 1, &exit))
    return exit;
  return gw_ctl_endpoint_call (self, argv[1], "Identify", g_variant_new ("()"), "make the device blink",
                               "shows itself for five seconds");
}

const GwCtlVerb verb_identify = {
  .name = "identify",
  .args = "ENDPOINT",
  .summary = "Make a device blink, to find it in the cabinet",
  .run = run,
};
