/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-ctl-text.h"
#include "verbs.h"

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  g_autofree char *name = NULL, *done = NULL;
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_rename, NULL, &argc, &argv, 1, 2, &exit))
    return exit;
  name = gw_ctl_text_clean (argc > 2 ? argv[2] : "");
  done = name[0] ? g_strdup_printf ("is called '%s' from now on", name)
                 : g_strdup ("is called by its serial number again");
  return gw_ctl_endpoint_call (self, argv[1], "SetName", g_variant_new ("(s)", argc > 2 ? argv[2] : ""),
                               "rename the endpoint", done);
}

const GwCtlVerb verb_rename = {
  .name = "rename",
  .args = "ENDPOINT [NAME]",
  .summary = "Give an endpoint a name for people",
  .help = "Without NAME it goes back to its serial number.",
  .run = run,
};
