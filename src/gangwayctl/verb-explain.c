/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "gw-ctl-text.h"
#include "verbs.h"

static void
print_explanation (const char *state, const char *reason, const char *remedy, GVariant *details)
{
  g_autofree char *clean_reason = gw_ctl_text_clean (reason), *clean_remedy = gw_ctl_text_clean (remedy);
  GVariantIter iter;
  GVariant *value;
  const char *key;

  printf ("State   %s\nWhy     %s\nNext    %s\n", state, clean_reason[0] ? clean_reason : "all is well",
          clean_remedy[0] ? clean_remedy : "nothing is to be done");
  if (g_variant_n_children (details) > 0)
    putchar ('\n');
  g_variant_iter_init (&iter, details);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &value))
    {
      g_autofree char *text = gw_ctl_text_value (value);

      if (text[0] != '\0')
        printf ("%-13s %s\n", key, text);
    }
}

/* What an endpoint is called on the wire: the agent knows ids and their beginnings also of chips that were
 * never here. */
static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  g_autoptr (GVariant) reply = NULL, details = NULL;
  g_autoptr (GwDBusEndpoint) endpoint = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *remote = NULL;
  const char *state, *reason, *remedy;
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_explain, NULL, &argc, &argv, 1, 1, &exit) || !gw_ctl_load (self, &exit))
    return exit;
  reply = gw_ctl_call (self->manager, "Explain", g_variant_new ("(s)", argv[1]), NULL, &error);
  remote = error ? g_dbus_error_get_remote_error (error) : NULL;
  if (g_strcmp0 (remote, GW_CTL_BUS_NAME ".Error.NotFound") == 0
      || g_strcmp0 (remote, GW_CTL_BUS_NAME ".Error.Invalid") == 0)
    {
      /* It may be a serial number, or a slip that the nearest names help with. */
      endpoint = gw_ctl_find_endpoint (self, argv[1], &exit);
      if (endpoint == NULL)
        return exit;
      g_clear_error (&error);
      reply = gw_ctl_call (self->manager, "Explain",
                           g_variant_new ("(s)", gw_dbus_endpoint_get_id (endpoint)), NULL, &error);
    }
  if (reply == NULL)
    return gw_ctl_fail (self, "explain the endpoint", error);
  g_variant_get (reply, "(&s&s&s@a{sv})", &state, &reason, &remedy, &details);
  if (self->json)
    gw_ctl_text_print_json (json_pack ("{s:s, s:s, s:s, s:o}", "State", state, "Reason", reason, "Remedy",
                                       remedy, "Details", gw_ctl_text_json (details)));
  else
    print_explanation (state, reason, remedy, details);
  return GW_CTL_OK;
}

const GwCtlVerb verb_explain = {
  .name = "explain",
  .args = "ENDPOINT",
  .summary = "Tell why an endpoint is in its state and what to do next",
  .help = "Also for chips that only the inventory knows, by their id.",
  .run = run,
};
