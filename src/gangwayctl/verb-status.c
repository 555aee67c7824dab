/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "gw-ctl-text.h"
#include "verbs.h"

static void
print_counts (GVariant *counts)
{
  GVariantIter iter;
  const char *state;
  guint32 n;
  gboolean any = FALSE;

  printf ("Endpoints   ");
  if (counts != NULL)
    g_variant_iter_init (&iter, counts);
  while (counts != NULL && g_variant_iter_loop (&iter, "{&su}", &state, &n))
    {
      printf ("%s%u %s", any ? ", " : "", n, state);
      any = TRUE;
    }
  puts (any ? "" : "none yet");
}

static void
print_manager (GwCtl *self)
{
  g_autofree char *spool = gw_ctl_text_bytes (gw_dbus_manager_get_spool_bytes (self->manager));
  guint64 chips = gw_dbus_inventory_get_chip_count (self->inventory);
  guint manifests = gw_dbus_inventory_get_manifest_count (self->inventory);
  guint batches = gw_dbus_inventory_get_batch_count (self->inventory);
  guint64 taken = gw_dbus_manager_get_reports_acknowledged (self->manager);
  guint64 delivered = gw_dbus_manager_get_reports_delivered (self->manager);

  printf ("Gateway     %s\nAgent       gangwayd %s%s\n", gw_dbus_manager_get_gateway_id (self->manager),
          gw_dbus_manager_get_version (self->manager),
          gw_dbus_manager_get_clock_valid (self->manager) ? ""
                                                          : "; its CLOCK IS NOT VALID, reports are marked");
  print_counts (gw_dbus_manager_get_endpoint_counts (self->manager));
  printf ("Inventory   %" G_GUINT64_FORMAT " chip%s in %u manifest%s, %u batch%s\n", chips,
          chips == 1 ? "" : "s", manifests, manifests == 1 ? "" : "s", batches, batches == 1 ? "" : "es");
  /* What an earlier run of the agent took may be delivered in this one. */
  printf ("Reports     %s waiting on disk; since the agent's start %" G_GUINT64_FORMAT " taken, %" G_GUINT64_FORMAT " delivered%s\n",
          spool, taken, delivered, delivered > taken ? ", some of them taken before" : "");
}

/* What a person has to go and look at. */
static void
print_trouble (GwDBusBus *b)
{
  g_autofree char *name = gw_ctl_text_clean (gw_dbus_bus_get_name (b));
  g_autofree char *culprit = gw_ctl_text_clean (gw_dbus_bus_get_culprit (b) ?: "");

  if (g_strcmp0 (gw_dbus_bus_get_link_state (b), "off") == 0)
    printf ("\nBus %s is off after too many errors: look at its wires and bit rate, then gangwayctl bus %s\n", name, name);
  if (culprit[0] != '\0')
    printf ("\nBus %s: %s. The others get what is left.\n", name, culprit);
}

static void
print_buses (GwCtl *self, GPtrArray *buses)
{
  static const char *const headers[]
      = { "BUS", "KIND", "~DEVICE", "STATE", "LINK", ">LOAD", ">NODES", ">IN", ">OUT", ">ERRORS", NULL };
  g_autoptr (GwCtlTable) table = gw_ctl_table_new (headers);

  for (guint i = 0; i < buses->len; i++)
    {
      GwDBusBus *b = buses->pdata[i];
      g_autofree char *nodes = g_strdup_printf ("%u", gw_dbus_bus_get_node_count (b));
      g_autofree char *in = gw_ctl_text_bytes (gw_dbus_bus_get_bytes_in (b));
      g_autofree char *out = gw_ctl_text_bytes (gw_dbus_bus_get_bytes_out (b));
      const char *link = gw_dbus_bus_get_link_state (b);
      double share = gw_dbus_bus_get_load (b);
      g_autofree char *load = share >= 0 ? g_strdup_printf ("%.0f %%", 100 * share) : NULL;
      g_autofree char *errors = g_strdup_printf ("%" G_GUINT64_FORMAT, gw_dbus_bus_get_errors (b));

      gw_ctl_table_add (table, gw_dbus_bus_get_name (b), gw_dbus_bus_get_kind (b), gw_dbus_bus_get_device (b),
                        gw_dbus_bus_get_state (b), g_strcmp0 (link, "unknown") == 0 ? NULL : link, load,
                        nodes, in, out, errors);
    }
  putchar ('\n');
  gw_ctl_table_print (table, self->wide);
  for (guint i = 0; i < buses->len; i++)
    print_trouble (buses->pdata[i]);
}

static void
print_next (GwCtl *self, guint buses)
{
  guint32 n;
  GVariant *counts = gw_dbus_manager_get_endpoint_counts (self->manager);

  if (buses == 0)
    puts ("\nNo field bus is attached. Plug one in, or: systemctl start gangway-serial@ttyUSB0");
  if (gw_dbus_inventory_get_manifest_count (self->inventory) == 0)
    puts ("\nNo chip is known yet. Import your vendor's list: gangwayctl inventory import FILE SIGNATURE");
  else if (gw_dbus_inventory_get_batch_count (self->inventory) == 0)
    puts ("\nNo chip is claimed yet. Say which are yours: gangwayctl batch add NAME --policy POLICY FILE");
  if (counts != NULL
      && (g_variant_lookup (counts, "quarantined", "u", &n) || g_variant_lookup (counts, "cloned", "u", &n)))
    puts ("\nSome endpoints are kept out: gangwayctl list, then gangwayctl explain ENDPOINT");
  else if (counts != NULL && g_variant_lookup (counts, "enrolled", "u", &n))
    puts ("\nSome endpoints are on board but not connected: gangwayctl list --state enrolled, then "
          "gangwayctl explain ENDPOINT");
}

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  g_autoptr (GPtrArray) buses = NULL;
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_status, NULL, &argc, &argv, 0, 0, &exit) || !gw_ctl_load (self, &exit))
    return exit;
  buses = gw_ctl_all (self, "Bus");
  if (self->json)
    {
      json_t *list = json_array ();

      for (guint i = 0; i < buses->len; i++)
        json_array_append_new (list, gw_ctl_proxy_json (buses->pdata[i]));
      gw_ctl_text_print_json (json_pack ("{s:o, s:o, s:o}", "Manager", gw_ctl_proxy_json (self->manager),
                                         "Inventory", gw_ctl_proxy_json (self->inventory), "Buses", list));
      return GW_CTL_OK;
    }
  print_manager (self);
  if (buses->len > 0)
    print_buses (self, buses);
  print_next (self, buses->len);
  return GW_CTL_OK;
}

const GwCtlVerb verb_status = {
  .name = "status",
  .args = "",
  .summary = "Show the gateway as a whole: agent, buses, counts",
  .run = run,
};
