/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "verbs.h"

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  g_autofree char *policy = NULL;
  const GOptionEntry entries[]
      = { { "policy", 'p', 0, G_OPTION_ARG_STRING, &policy, "Policy to claim the chip for", "NAME" },
          { NULL } };
  g_autoptr (GwDBusEndpoint) endpoint = NULL;
  g_autoptr (GVariant) reply = NULL;
  g_autoptr (GError) error = NULL;
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_approve, entries, &argc, &argv, 1, 1, &exit))
    return exit;
  endpoint = gw_ctl_find_endpoint (self, argv[1], &exit);
  if (endpoint == NULL)
    return exit;
  reply = gw_ctl_call (
      self->inventory, "Approve",
      g_variant_new ("(ssa{sv})", gw_dbus_endpoint_get_id (endpoint), policy ? policy : "", NULL), NULL,
      &error);
  if (reply == NULL)
    return gw_ctl_fail (self, "approve the endpoint", error);
  gw_ctl_done (self, "%.16s is approved; watch it come on board: gangwayctl monitor",
               gw_dbus_endpoint_get_id (endpoint));
  return GW_CTL_OK;
}

const GwCtlVerb verb_approve = {
  .name = "approve",
  .args = "ENDPOINT [--policy NAME]",
  .summary = "Let one endpoint in: your word for it",
  .help
  = "Claims a single chip for a policy, lifts a quarantine that a person set, and settles a clone alarm in\n"
    "favour of the chip that is plugged in and proven now. Unplug the copy first.",
  .run = run,
};
