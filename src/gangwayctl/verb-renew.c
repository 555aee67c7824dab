/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verbs.h"

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_renew, NULL, &argc, &argv, 1, 1, &exit))
    return exit;
  return gw_ctl_endpoint_job (self, argv[1], "Renew", g_variant_new ("(a{sv})", NULL),
                              "renew the certificate", "has a new certificate");
}

const GwCtlVerb verb_renew = {
  .name = "renew",
  .args = "ENDPOINT",
  .summary = "Issue a new certificate for the present key",
  .help = "The endpoint reconnects with it.",
  .run = run,
};
