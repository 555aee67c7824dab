/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verbs.h"

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  g_autofree char *reason = NULL;
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_quarantine, NULL, &argc, &argv, 2, -1, &exit))
    return exit;
  reason = gw_ctl_join (argc, argv, 2);
  return gw_ctl_endpoint_call (self, argv[1], "Quarantine", g_variant_new ("(s)", reason),
                               "quarantine the endpoint", "is quarantined");
}

const GwCtlVerb verb_quarantine = {
  .name = "quarantine",
  .args = "ENDPOINT REASON...",
  .summary = "Keep an endpoint out until you approve it",
  .help = "Its connection to the broker is closed at once. REASON is kept and shown to whoever asks why.\n"
          "gangwayctl approve lifts it.",
  .run = run,
};
