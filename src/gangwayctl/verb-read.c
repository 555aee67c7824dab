/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "gw-ctl-point.h"
#include "gw-ctl-text.h"
#include "verbs.h"

/* The values (a(utv)) with their points' names. */
static json_t *
values_json (GVariant *points, GVariant *values)
{
  json_t *out = json_array ();
  GVariantIter iter;
  guint32 id;
  guint64 when;
  GVariant *value;

  g_variant_iter_init (&iter, values);
  while (g_variant_iter_loop (&iter, "(utv)", &id, &when, &value))
    {
      g_autofree char *number = g_strdup_printf ("%u", id);
      GwCtlPoint point;
      gboolean found = gw_ctl_point_find (points, number, &point);

      json_array_append_new (out, json_pack ("{s:I, s:s, s:s, s:I, s:o}", "Point", (json_int_t)id, "Name",
                                             found ? point.name : "", "Unit", found ? point.unit : "", "Time",
                                             (json_int_t)when, "Value", gw_ctl_text_json (value)));
    }
  return out;
}

static void
print_values (GwCtl *self, GVariant *points, GVariant *values)
{
  static const char *const headers[] = { ">POINT", "~NAME", ">VALUE", "UNIT", "TAKEN", NULL };
  g_autoptr (GwCtlTable) table = gw_ctl_table_new (headers);
  guint64 now = (guint64)(g_get_real_time () / G_USEC_PER_SEC), when;
  GVariantIter iter;
  guint32 id;
  GVariant *value;

  g_variant_iter_init (&iter, values);
  while (g_variant_iter_loop (&iter, "(utv)", &id, &when, &value))
    {
      g_autofree char *number = g_strdup_printf ("%u", id), *text = gw_ctl_text_value (value);
      g_autofree char *taken = gw_ctl_text_when (when / G_USEC_PER_SEC, now);
      GwCtlPoint point = { .name = "", .unit = "" };

      gw_ctl_point_find (points, number, &point);
      gw_ctl_table_add (table, number, point.name, text, point.unit, taken);
    }
  gw_ctl_table_print (table, self->wide);
}

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  g_autoptr (GwDBusEndpoint) endpoint = NULL;
  g_autoptr (GwDBusPoints) points = NULL;
  g_autoptr (GVariant) reply = NULL, values = NULL;
  g_autoptr (GError) error = NULL;
  GVariantBuilder ids;
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_read, NULL, &argc, &argv, 1, -1, &exit))
    return exit;
  endpoint = gw_ctl_find_endpoint (self, argv[1], &exit);
  if (endpoint == NULL || (points = gw_ctl_find_points (self, endpoint, &exit)) == NULL)
    return exit;
  g_variant_builder_init (&ids, G_VARIANT_TYPE ("au"));
  for (int i = 2; i < argc; i++)
    {
      GwCtlPoint point;

      if (!gw_ctl_point_find (gw_dbus_points_get_points (points), argv[i], &point))
        {
          g_variant_builder_clear (&ids);
          return gw_ctl_no_point (self, points, argv[i]);
        }
      g_variant_builder_add (&ids, "u", point.id);
    }
  reply = gw_ctl_call (points, "Read", g_variant_new ("(au)", &ids), NULL, &error);
  if (reply == NULL)
    return gw_ctl_fail (self, "read from the endpoint", error);
  values = g_variant_get_child_value (reply, 0);
  if (self->json)
    gw_ctl_text_print_json (values_json (gw_dbus_points_get_points (points), values));
  else
    print_values (self, gw_dbus_points_get_points (points), values);
  return GW_CTL_OK;
}

const GwCtlVerb verb_read = {
  .name = "read",
  .args = "ENDPOINT [POINT...]",
  .summary = "Read values from an endpoint itself",
  .help = "POINT is a point's number or name (gangwayctl show ENDPOINT lists them); without any, all "
          "readable ones.",
  .run = run,
};
