/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verbs.h"

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  GwCtlExit exit;

  if (!gw_ctl_options (&verb_rename, NULL, &argc, &argv, 1, 2, &exit))
    return exit;
  return gw_ctl_endpoint_call (self, argv[1], "SetName", g_variant_new ("(s)", argc > 2 ? argv[2] : ""),
                               "rename the endpoint", "has a new name");
}

const GwCtlVerb verb_rename = {
  .name = "rename",
  .args = "ENDPOINT [NAME]",
  .summary = "Give an endpoint a name for people",
  .help = "Without NAME it goes back to its serial number.",
  .run = run,
};
