/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "gw-ctl-point.h"
#include "gw-ctl-text.h"
#include "verbs.h"

static GwCtlExit
write_failed (GwCtl *self, const GwCtlPoint *point, gboolean force, const GError *error)
{
  g_autofree char *remote = g_dbus_error_get_remote_error (error);
  g_autofree char *what = NULL;

  if (!force && point->unsafe && g_strcmp0 (remote, GW_CTL_BUS_NAME ".Error.NotAuthorized") == 0)
    {
      what = g_strdup_printf ("%s is marked unsafe and was not written", point->name);
      return gw_ctl_refuse (self, GW_CTL_FAILED, what, "if you mean it, repeat with --force");
    }
  return gw_ctl_fail (self, "write to the endpoint", error);
}

static GwCtlExit
write_point (
    GwCtl *self, GwDBusPoints *points, const GwCtlPoint *point, GVariant *value, int ttl, gboolean force)
{
  g_autoptr (GVariant) reply = NULL, result = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  GVariantBuilder options;

  g_variant_builder_init (&options, G_VARIANT_TYPE_VARDICT);
  if (ttl > 0)
    g_variant_builder_add (&options, "{sv}", "ttl", g_variant_new_uint32 ((guint32)ttl));
  if (force)
    g_variant_builder_add (&options, "{sv}", "force", g_variant_new_boolean (TRUE));
  reply
      = gw_ctl_call (points, "Write", g_variant_new ("(uva{sv})", point->id, value, &options), NULL, &error);
  if (reply == NULL)
    return write_failed (self, point, force, error);
  g_variant_get (reply, "(v)", &result);
  text = gw_ctl_text_value (result);
  if (self->json)
    gw_ctl_text_print_json (json_pack ("{s:I, s:s, s:o}", "Point", (json_int_t)point->id, "Name", point->name,
                                       "Value", gw_ctl_text_json (result)));
  else
    printf ("%s is now %s%s%s\n", point->name, text, point->unit[0] ? " " : "", point->unit);
  return GW_CTL_OK;
}

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  gboolean force = FALSE;
  int ttl = 0;
  const GOptionEntry entries[]
      = { { "ttl", 0, 0, G_OPTION_ARG_INT, &ttl, "Milliseconds after which it must not happen any more",
            "MS" },
          { "force", 0, 0, G_OPTION_ARG_NONE, &force, "Needed for points that are marked unsafe", NULL },
          { NULL } };
  g_autoptr (GwDBusEndpoint) endpoint = NULL;
  g_autoptr (GwDBusPoints) points = NULL;
  const char *expected;
  GwCtlPoint point;
  GVariant *value;
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_write, entries, &argc, &argv, 3, 3, &exit))
    return exit;
  if (ttl < 0 || ttl > 60000)
    return gw_ctl_usage (self, &verb_write, "--ttl is 1 to 60000 milliseconds");
  endpoint = gw_ctl_find_endpoint (self, argv[1], &exit);
  if (endpoint == NULL || (points = gw_ctl_find_points (self, endpoint, &exit)) == NULL)
    return exit;
  if (!gw_ctl_point_find (gw_dbus_points_get_points (points), argv[2], &point))
    return gw_ctl_no_point (self, points, argv[2]);
  value = gw_ctl_point_parse (point.type, argv[3], &expected);
  if (value == NULL)
    return gw_ctl_usage (self, &verb_write, "%s is written with %s, not with '%s'", point.name, expected,
                         argv[3]);
  return write_point (self, points, &point, value, ttl, force);
}

const GwCtlVerb verb_write = {
  .name = "write",
  .args = "ENDPOINT POINT VALUE [--ttl MS] [--force]",
  .summary = "Write a value to an endpoint's point, at most once",
  .help
  = "VALUE is on or off, a number, text or hex digits, as the point's type asks; a negative one after --:\n"
    "  gangwayctl write press-4 setpoint -- -5\n"
    "It happens within --ttl (5000 ms by default) or not at all. If the answer is lost, the outcome is said "
    "to\n"
    "be unknown: read the point back.",
  .run = run,
};
