/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verbs.h"

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_rekey, NULL, &argc, &argv, 1, 1, &exit))
    return exit;
  return gw_ctl_endpoint_job (self, argv[1], "Rekey", g_variant_new ("(a{sv})", NULL),
                              "move the endpoint to a new key", "has a new key and certificate");
}

const GwCtlVerb verb_rekey = {
  .name = "rekey",
  .args = "ENDPOINT",
  .summary = "Move an endpoint to the next generation of its key",
  .help = "The chip derives a new operational key; its certificate is issued anew and it reconnects.",
  .run = run,
};
