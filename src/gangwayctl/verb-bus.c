/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "gw-ctl-text.h"
#include "verbs.h"

static void
line (const char *title, const char *value)
{
  g_autofree char *clean = gw_ctl_text_clean (value);

  if (clean[0] != '\0')
    printf ("%12s  %s\n", title, clean);
}

/* What is known of the link; a plugin whose bus has no such things tells none of them. */
static void
print_link (GwDBusBus *b)
{
  g_autoptr (GString) text = g_string_new (gw_dbus_bus_get_link_state (b));

  if (gw_dbus_bus_get_tx_errors (b) != 0 || gw_dbus_bus_get_rx_errors (b) != 0)
    g_string_append_printf (text, ", error counters %u (transmit) and %u (receive)",
                            gw_dbus_bus_get_tx_errors (b), gw_dbus_bus_get_rx_errors (b));
  if (gw_dbus_bus_get_load (b) >= 0)
    g_string_append_printf (text, ", %.0f %% loaded", 100 * gw_dbus_bus_get_load (b));
  line ("Link", text->str);
  g_string_truncate (text, 0);
  if (gw_dbus_bus_get_round_trip (b) != 0)
    g_string_append_printf (text, "%u ms for a full datagram there and back", gw_dbus_bus_get_round_trip (b));
  if (gw_dbus_bus_get_octets_per_second (b) != 0)
    {
      g_autofree char *rate = gw_ctl_text_bytes (gw_dbus_bus_get_octets_per_second (b));

      g_string_append_printf (text, "%s%s a second can be carried", text->len > 0 ? ", " : "", rate);
    }
  line ("Speed", text->str);
  line ("Culprit", gw_dbus_bus_get_culprit (b));
}

static void
print_bus (GwDBusBus *b)
{
  g_autofree char *in = gw_ctl_text_bytes (gw_dbus_bus_get_bytes_in (b));
  g_autofree char *out = gw_ctl_text_bytes (gw_dbus_bus_get_bytes_out (b));
  g_autofree char *carried
      = g_strdup_printf ("%s in, %s out; %" G_GUINT64_FORMAT " frames in, %" G_GUINT64_FORMAT
                         " out; %" G_GUINT64_FORMAT " bad frames, %" G_GUINT64_FORMAT " datagrams dropped",
                         in, out, gw_dbus_bus_get_frames_in (b), gw_dbus_bus_get_frames_out (b),
                         gw_dbus_bus_get_errors (b), gw_dbus_bus_get_dropped (b));

  line ("Bus", gw_dbus_bus_get_name (b));
  line ("Kind", gw_dbus_bus_get_kind (b));
  line ("Device", gw_dbus_bus_get_device (b));
  line ("Plugin", gw_dbus_bus_get_plugin (b));
  line ("State", gw_dbus_bus_get_state (b));
  print_link (b);
  line ("Carried", carried);
}

typedef struct
{
  guint32 address, node;
  guint64 retries;
  const char *kid, *serial, *state;
} Node;

static int
compare (gconstpointer a, gconstpointer b)
{
  const Node *x = a, *y = b;

  if (x->address != y->address)
    return x->address < y->address ? -1 : 1;
  return x->node < y->node ? -1 : x->node > y->node;
}

static void
print_nodes (GwCtl *self, GwDBusBus *b)
{
  static const char *const headers[]
      = { ">ADDRESS", "ID (CLAIMED)", "~SERIAL NUMBER (CLAIMED)", "~STATE", ">RETRIES", NULL };
  g_autoptr (GwCtlTable) table = gw_ctl_table_new (headers);
  g_autoptr (GArray) nodes = g_array_new (FALSE, FALSE, sizeof (Node));
  GVariant *list = gw_dbus_bus_get_nodes (b);
  GVariantIter iter;
  Node node;

  if (list == NULL || g_variant_n_children (list) == 0)
    {
      puts ("\nNobody answers on it. Look again now: gangwayctl scan");
      return;
    }
  g_variant_iter_init (&iter, list);
  while (g_variant_iter_next (&iter, "(u&s&s&sut)", &node.node, &node.kid, &node.serial, &node.state,
                              &node.address, &node.retries))
    g_array_append_val (nodes, node);
  g_array_sort (nodes, compare);
  for (guint i = 0; i < nodes->len; i++)
    {
      const Node *n = &g_array_index (nodes, Node, i);
      g_autofree char *address = n->address != 0 ? g_strdup_printf ("%u", n->address) : NULL;
      g_autofree char *retries = g_strdup_printf ("%" G_GUINT64_FORMAT, n->retries);
      g_autofree char *id = g_strdup_printf ("%.10s", n->kid);

      gw_ctl_table_add (table, address, id, n->serial, n->state, retries);
    }
  putchar ('\n');
  gw_ctl_table_print (table, self->wide);
}

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  g_autoptr (GPtrArray) buses = NULL;
  g_autoptr (GPtrArray) found = g_ptr_array_new ();
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_bus, NULL, &argc, &argv, 0, 1, &exit) || !gw_ctl_load (self, &exit))
    return exit;
  buses = gw_ctl_all (self, "Bus");
  for (guint i = 0; i < buses->len; i++)
    if (argc < 2 || g_strcmp0 (gw_dbus_bus_get_name (buses->pdata[i]), argv[1]) == 0)
      g_ptr_array_add (found, buses->pdata[i]);
  if (argc > 1 && found->len == 0)
    return gw_ctl_refuse (self, GW_CTL_NOT_FOUND, "no bus of this name is attached", "gangwayctl status lists them");
  if (self->json)
    {
      json_t *list = json_array ();

      for (guint i = 0; i < found->len; i++)
        json_array_append_new (list, gw_ctl_proxy_json (found->pdata[i]));
      gw_ctl_text_print_json (list);
      return GW_CTL_OK;
    }
  if (found->len == 0)
    puts ("No field bus is attached. Plug one in, or: systemctl start gangway-serial@ttyUSB0");
  for (guint i = 0; i < found->len; i++)
    {
      if (i > 0)
        putchar ('\n');
      print_bus (found->pdata[i]);
      print_nodes (self, found->pdata[i]);
    }
  return GW_CTL_OK;
}

const GwCtlVerb verb_bus = {
  .name = "bus",
  .args = "[BUS]",
  .summary = "Show the field buses: link, load, who is on them",
  .run = run,
};
