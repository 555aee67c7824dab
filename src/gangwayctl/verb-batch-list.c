/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "gw-ctl-text.h"
#include "verbs.h"

static void
print_batches (GwCtl *self, GVariant *list)
{
  static const char *const headers[] = { "BATCH", "POLICY", ">CHIPS", "ADDED", "FIRST OWNER UNTIL", NULL };
  g_autoptr (GwCtlTable) table = gw_ctl_table_new (headers);
  GVariantIter iter;
  const char *name, *policy;
  guint64 chips, added, until;

  g_variant_iter_init (&iter, list);
  while (g_variant_iter_loop (&iter, "(&s&sttt)", &name, &policy, &chips, &added, &until))
    {
      g_autofree char *count = g_strdup_printf ("%" G_GUINT64_FORMAT, chips);
      g_autofree char *when = gw_ctl_text_date (added), *end = gw_ctl_text_date (until);

      gw_ctl_table_add (table, name, policy, count, when, end);
    }
  gw_ctl_table_print (table, self->wide);
}

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  g_autoptr (GVariant) list = NULL;
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_batch_list, NULL, &argc, &argv, 0, 0, &exit)
      || !gw_ctl_inventory_list (self, "ListBatches", "list the batches", &list, &exit))
    return exit;
  if (self->json)
    gw_ctl_text_print_json (gw_ctl_text_json (list));
  else if (g_variant_n_children (list) > 0)
    print_batches (self, list);
  else
    puts ("No chip is claimed. gangwayctl batch add NAME --policy POLICY FILE");
  return GW_CTL_OK;
}

const GwCtlVerb verb_batch_list = {
  .name = "batch list",
  .args = "",
  .summary = "List the batches",
  .run = run,
};
