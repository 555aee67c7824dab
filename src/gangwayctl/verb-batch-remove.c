/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "verbs.h"

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  g_autoptr (GVariant) reply = NULL;
  g_autoptr (GError) error = NULL;
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_batch_remove, NULL, &argc, &argv, 1, 1, &exit)
      || !gw_ctl_load (self, &exit))
    return exit;
  reply
      = gw_ctl_call (self->inventory, "RemoveBatch", g_variant_new ("(sa{sv})", argv[1], NULL), NULL, &error);
  if (reply == NULL)
    return gw_ctl_fail (self, "remove the batch", error);
  gw_ctl_done (
      self,
      "Its claims are withdrawn. Endpoints that are enrolled keep their certificates: gangwayctl revoke");
  return GW_CTL_OK;
}

const GwCtlVerb verb_batch_remove = {
  .name = "batch remove",
  .args = "NAME",
  .summary = "Withdraw the claims of a batch",
  .run = run,
};
