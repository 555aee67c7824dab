/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "gw-ctl-text.h"
#include "verbs.h"

static void
line (const char *title, const char *value)
{
  g_autofree char *clean = gw_ctl_text_clean (value);

  if (clean[0] != '\0')
    printf ("%14s  %s\n", title, clean);
}

static void
print_identity (GwDBusEndpoint *e)
{
  g_autofree char *made
      = g_strdup_printf ("%s %s, serial number %s, firmware %s", gw_dbus_endpoint_get_manufacturer (e),
                         gw_dbus_endpoint_get_model (e), gw_dbus_endpoint_get_serial_number (e),
                         gw_dbus_endpoint_get_firmware_version (e));
  gboolean ok = FALSE;
  guint fixed = 0, most = 0;
  GVariant *health = gw_dbus_endpoint_get_puf_health (e);

  line ("Name", gw_dbus_endpoint_get_name (e));
  line ("Id", gw_dbus_endpoint_get_id (e));
  line ("Device", made);
  if (health != NULL)
    g_variant_get (health, "(buu)", &ok, &fixed, &most);
  if (most > 0)
    printf ("%14s  %s, %s; %u of at most %u bits corrected\n", "Root of trust",
            gw_dbus_endpoint_get_root_of_trust (e), ok ? "readable" : "UNREADABLE", fixed, most);
  else
    line ("Root of trust", gw_dbus_endpoint_get_root_of_trust (e));
}

static void
print_state (GwDBusEndpoint *e, guint64 now)
{
  g_autofree char *seen = gw_ctl_text_when (gw_dbus_endpoint_get_last_seen (e), now);
  g_autofree char *until = gw_ctl_text_date (gw_dbus_endpoint_get_certificate_not_after (e));
  g_autofree char *left = gw_ctl_text_when (gw_dbus_endpoint_get_certificate_not_after (e), now);

  line ("State", gw_dbus_endpoint_get_state (e));
  line ("Why", gw_dbus_endpoint_get_state_reason (e));
  printf ("%14s  %s, %s\n", "Stored, seen", gw_dbus_endpoint_get_lifecycle (e),
          gw_dbus_endpoint_get_presence (e));
  line ("Bus", gw_dbus_endpoint_get_bus (e));
  if (gw_dbus_endpoint_get_address (e) != 0)
    printf ("%14s  %u\n", "Address", gw_dbus_endpoint_get_address (e));
  line ("Last seen", seen);
  line ("Batch", gw_dbus_endpoint_get_batch (e));
  line ("Policy", gw_dbus_endpoint_get_policy (e));
  if (gw_dbus_endpoint_get_certificate_not_after (e) != 0)
    printf ("%14s  key generation %u, valid until %s (%s)\n%14s  SHA-256 %s\n", "Certificate",
            gw_dbus_endpoint_get_key_generation (e), until, left, "",
            gw_dbus_endpoint_get_certificate_fingerprint (e));
  printf ("%14s  %" G_GUINT64_FORMAT " taken, %" G_GUINT64_FORMAT " delivered, %" G_GUINT64_FORMAT
          " lost before they reached the gateway\n",
          "Reports", gw_dbus_endpoint_get_reports_acknowledged (e),
          gw_dbus_endpoint_get_reports_delivered (e), gw_dbus_endpoint_get_reports_lost (e));
}

static char *
limits_text (GVariant *details)
{
  g_autoptr (GVariant) low = g_variant_lookup_value (details, "low", NULL);
  g_autoptr (GVariant) high = g_variant_lookup_value (details, "high", NULL);
  g_autofree char *from = low ? gw_ctl_text_value (low) : g_strdup ("");
  g_autofree char *to = high ? gw_ctl_text_value (high) : g_strdup ("");

  return low || high ? g_strdup_printf ("%s .. %s", from, to) : g_strdup ("");
}

static void
print_points (GwCtl *self, GwDBusPoints *points)
{
  static const char *const headers[] = { ">POINT", "~NAME", "UNIT", "TYPE", "ACCESS", "LIMITS", NULL };
  g_autoptr (GwCtlTable) table = gw_ctl_table_new (headers);
  GVariant *list = gw_dbus_points_get_points (points);
  GVariantIter iter;
  const char *name, *unit, *type;
  guint32 id, access;
  GVariant *details;

  if (list == NULL || g_variant_n_children (list) == 0)
    return;
  g_variant_iter_init (&iter, list);
  while (g_variant_iter_loop (&iter, "(u&s&su@a{sv})", &id, &name, &unit, &access, &details))
    {
      g_autofree char *number = g_strdup_printf ("%u", id);
      g_autofree char *limits = limits_text (details);
      gboolean unsafe = FALSE;
      g_autofree char *may = NULL;

      type = "";
      g_variant_lookup (details, "type", "&s", &type);
      g_variant_lookup (details, "unsafe", "b", &unsafe);
      may = g_strconcat (access & 1 ? "read " : "", access & 2 ? "write " : "", access & 4 ? "report " : "",
                         unsafe ? "unsafe" : "", NULL);
      gw_ctl_table_add (table, number, name, unit, type, g_strstrip (may), limits);
    }
  putchar ('\n');
  gw_ctl_table_print (table, self->wide);
}

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  g_autoptr (GwDBusEndpoint) endpoint = NULL;
  g_autoptr (GwDBusPoints) points = NULL;
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_show, NULL, &argc, &argv, 1, 1, &exit))
    return exit;
  endpoint = gw_ctl_find_endpoint (self, argv[1], &exit);
  if (endpoint == NULL)
    return exit;
  points = gw_ctl_at (self, g_dbus_proxy_get_object_path (G_DBUS_PROXY (endpoint)), "Points");
  if (self->json)
    {
      json_t *out = gw_ctl_proxy_json (endpoint);

      if (points != NULL && gw_dbus_points_get_points (points) != NULL)
        json_object_set_new (out, "Points", gw_ctl_text_json (gw_dbus_points_get_points (points)));
      gw_ctl_text_print_json (out);
      return GW_CTL_OK;
    }
  print_identity (endpoint);
  print_state (endpoint, (guint64)(g_get_real_time () / G_USEC_PER_SEC));
  if (points != NULL)
    print_points (self, points);
  return GW_CTL_OK;
}

const GwCtlVerb verb_show = {
  .name = "show",
  .args = "ENDPOINT",
  .summary = "Show all about one endpoint, its points too",
  .run = run,
};
