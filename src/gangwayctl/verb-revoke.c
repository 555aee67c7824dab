/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verbs.h"

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  g_autofree char *reason = NULL;
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_revoke, NULL, &argc, &argv, 2, -1, &exit))
    return exit;
  reason = gw_ctl_join (argc, argv, 2);
  return gw_ctl_endpoint_call (self, argv[1], "Revoke", g_variant_new ("(s)", reason), "revoke the endpoint",
                               "is revoked");
}

const GwCtlVerb verb_revoke = {
  .name = "revoke",
  .args = "ENDPOINT REASON...",
  .summary = "Withdraw an endpoint's certificate for good",
  .help
  = "Its connection is closed, its certificate forgotten, and it is refused from now on. A broker that the\n"
    "endpoint could reach by another way must be told as well: see doc/security.md.",
  .run = run,
};
