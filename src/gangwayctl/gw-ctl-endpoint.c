/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What several verbs do alike: call a method of one endpoint, wait for its job, print what came of it. */
#include <stdarg.h>
#include <stdio.h>

#include "gw-ctl.h"
#include "gw-ctl-point.h"
#include "gw-ctl-text.h"

json_t *
gw_ctl_proxy_json (gpointer proxy)
{
  g_auto (GStrv) names = g_dbus_proxy_get_cached_property_names (proxy);
  json_t *out = json_object ();

  json_object_set_new (out, "Path", json_string (g_dbus_proxy_get_object_path (proxy)));
  for (gsize i = 0; names != NULL && names[i] != NULL; i++)
    {
      g_autoptr (GVariant) value = g_dbus_proxy_get_cached_property (proxy, names[i]);

      if (value != NULL)
        json_object_set_new (out, names[i], gw_ctl_text_json (value));
    }
  return out;
}

void
gw_ctl_print_proxies (GPtrArray *proxies)
{
  json_t *out = json_array ();

  for (guint i = 0; i < proxies->len; i++)
    json_array_append_new (out, gw_ctl_proxy_json (proxies->pdata[i]));
  gw_ctl_text_print_json (out);
}

void
gw_ctl_print_result (GwCtl *self, GVariant *result)
{
  GVariantIter iter;
  GVariant *value;
  const char *key;
  gboolean first = TRUE;

  if (result == NULL || (!self->json && g_variant_n_children (result) == 0))
    return;
  if (self->json)
    {
      gw_ctl_text_print_json (gw_ctl_text_json (result));
      return;
    }
  g_variant_iter_init (&iter, result);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &value))
    {
      g_autofree char *text = gw_ctl_text_value (value);
      gboolean count = g_variant_is_of_type (value, G_VARIANT_TYPE_UINT64);

      /* What was asked for (dry-run) is known to who asked. */
      if (!count && !g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
        continue;
      printf ("%s%s%s%s", first ? "" : ", ", count ? text : key, count ? " " : ": ", count ? key : text);
      first = FALSE;
    }
  putchar ('\n');
}

void
gw_ctl_done (GwCtl *self, const char *format, ...)
{
  va_list args;

  if (self->json)
    {
      puts ("{}");
      return;
    }
  va_start (args, format);
  vprintf (format, args);
  va_end (args);
  putchar ('\n');
}

char *
gw_ctl_join (int argc, char **argv, int first)
{
  return first < argc ? g_strjoinv (" ", argv + first) : g_strdup ("");
}

static void
print_done (GwCtl *self, GwDBusEndpoint *endpoint, const char *done)
{
  g_autofree char *name = gw_ctl_text_clean (gw_dbus_endpoint_get_name (endpoint));

  if (self->json)
    gw_ctl_text_print_json (json_pack ("{s:s}", "Id", gw_dbus_endpoint_get_id (endpoint)));
  else
    printf ("%s (%.16s) %s\n", name, gw_dbus_endpoint_get_id (endpoint), done);
}

GwCtlExit
gw_ctl_endpoint_call (GwCtl *self,
                      const char *word,
                      const char *method,
                      GVariant *arguments,
                      const char *doing,
                      const char *done)
{
  g_autoptr (GVariant) owned = g_variant_ref_sink (arguments), reply = NULL;
  g_autoptr (GwDBusEndpoint) endpoint = NULL;
  g_autoptr (GError) error = NULL;
  GwCtlExit exit;

  endpoint = gw_ctl_find_endpoint (self, word, &exit);
  if (endpoint == NULL)
    return exit;
  reply = gw_ctl_call (endpoint, method, owned, NULL, &error);
  if (reply == NULL)
    return gw_ctl_fail (self, doing, error);
  print_done (self, endpoint, done);
  return GW_CTL_OK;
}

GwCtlExit
gw_ctl_endpoint_job (GwCtl *self,
                     const char *word,
                     const char *method,
                     GVariant *arguments,
                     const char *doing,
                     const char *done)
{
  g_autoptr (GVariant) owned = g_variant_ref_sink (arguments), reply = NULL, result = NULL;
  g_autoptr (GwDBusEndpoint) endpoint = NULL;
  g_autoptr (GwCtlJobs) jobs = NULL;
  g_autoptr (GError) error = NULL;
  const char *path;
  GwCtlExit exit;

  endpoint = gw_ctl_find_endpoint (self, word, &exit);
  if (endpoint == NULL)
    return exit;
  jobs = gw_ctl_jobs_new (self);
  reply = gw_ctl_call (endpoint, method, owned, NULL, &error);
  if (reply == NULL)
    return gw_ctl_fail (self, doing, error);
  g_variant_get (reply, "(&o)", &path);
  if (!gw_ctl_jobs_wait (jobs, path, &result, &error))
    return gw_ctl_fail (self, doing, error);
  print_done (self, endpoint, done);
  return GW_CTL_OK;
}

GwDBusPoints *
gw_ctl_find_points (GwCtl *self, GwDBusEndpoint *endpoint, GwCtlExit *exit)
{
  GwDBusPoints *points = gw_ctl_at (self, g_dbus_proxy_get_object_path (G_DBUS_PROXY (endpoint)), "Points");
  g_autofree char *what = NULL, *next = NULL;

  if (points != NULL)
    return points;
  what = g_strdup_printf ("the points of %s are not known: it is %s", gw_dbus_endpoint_get_name (endpoint),
                          gw_dbus_endpoint_get_state (endpoint));
  next = g_strdup_printf ("they are asked for once it is on board: gangwayctl explain %.16s",
                          gw_dbus_endpoint_get_id (endpoint));
  *exit = gw_ctl_refuse (self, GW_CTL_NOT_FOUND, what, next);
  return NULL;
}

GwCtlExit
gw_ctl_no_point (GwCtl *self, GwDBusPoints *points, const char *word)
{
  g_autofree const char **names = gw_ctl_point_names (gw_dbus_points_get_points (points));
  g_auto (GStrv) near = gw_ctl_near (word, names);
  g_autofree char *list = g_strjoinv (", ", near[0] ? near : (char **)names);
  g_autofree char *what = g_strdup_printf ("the endpoint has no point '%s'", word);
  g_autofree char *next = g_strdup_printf (near[0] ? "did you mean %s?" : "it has: %s", list);

  return gw_ctl_refuse (self, GW_CTL_NOT_FOUND, what, next);
}
