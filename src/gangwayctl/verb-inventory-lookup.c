/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "gw-ctl-text.h"
#include "verbs.h"

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  g_autoptr (GVariant) reply = NULL, chip = NULL;
  g_autoptr (GError) error = NULL;
  GVariantIter iter;
  GVariant *value;
  const char *key;
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_inventory_lookup, NULL, &argc, &argv, 1, 1, &exit)
      || !gw_ctl_load (self, &exit))
    return exit;
  reply = gw_ctl_call (self->inventory, "Lookup", g_variant_new ("(s)", argv[1]), NULL, &error);
  if (reply == NULL)
    return gw_ctl_fail (self, "look the chip up", error);
  chip = g_variant_get_child_value (reply, 0);
  if (self->json)
    {
      gw_ctl_text_print_json (gw_ctl_text_json (chip));
      return GW_CTL_OK;
    }
  g_variant_iter_init (&iter, chip);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &value))
    {
      g_autofree char *text = gw_ctl_text_value (value);

      printf ("%-14s %s\n", key, text);
    }
  return GW_CTL_OK;
}

const GwCtlVerb verb_inventory_lookup = {
  .name = "inventory lookup",
  .args = "ID",
  .summary = "Tell what the inventory knows of a chip",
  .help = "ID is the whole key id, 64 hex digits; the chip need not be plugged in.",
  .run = run,
};
