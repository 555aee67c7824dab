/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "gw-ctl-text.h"
#include "verbs.h"

static void
print_manifests (GwCtl *self, GVariant *list)
{
  static const char *const headers[] = { "MANIFEST", ">CHIPS", "IMPORTED", "~SIGNED BY", NULL };
  g_autoptr (GwCtlTable) table = gw_ctl_table_new (headers);
  GVariantIter iter;
  const char *name, *signer;
  guint64 chips, when;

  g_variant_iter_init (&iter, list);
  while (g_variant_iter_loop (&iter, "(&s&stt)", &name, &signer, &chips, &when))
    {
      g_autofree char *count = g_strdup_printf ("%" G_GUINT64_FORMAT, chips);
      g_autofree char *date = gw_ctl_text_date (when);

      gw_ctl_table_add (table, name, count, date, signer);
    }
  gw_ctl_table_print (table, self->wide);
}

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  g_autoptr (GVariant) list = NULL;
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_inventory_show, NULL, &argc, &argv, 0, 0, &exit)
      || !gw_ctl_inventory_list (self, "ListManifests", "list the manifests", &list, &exit))
    return exit;
  if (self->json)
    gw_ctl_text_print_json (json_pack ("{s:o, s:o}", "Inventory", gw_ctl_proxy_json (self->inventory),
                                       "Manifests", gw_ctl_text_json (list)));
  else if (g_variant_n_children (list) > 0)
    print_manifests (self, list);
  else
    puts ("No manifest is imported. Your vendor's list of chips: gangwayctl inventory import FILE SIGNATURE");
  return GW_CTL_OK;
}

const GwCtlVerb verb_inventory_show = {
  .name = "inventory show",
  .args = "",
  .summary = "List the imported manifests",
  .run = run,
};
