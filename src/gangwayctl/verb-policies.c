/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "gw-ctl-text.h"
#include "verbs.h"

static void
print_problems (const char *name, const char *const *problems)
{
  for (gsize i = 0; problems != NULL && problems[i] != NULL; i++)
    {
      g_autofree char *clean = gw_ctl_text_clean (problems[i]);

      printf ("%s: %s\n", name, clean);
    }
}

static void
print_table (GwCtl *self, GPtrArray *policies)
{
  static const char *const headers[]
      = { "NAME", "KIND", "~BROKER", "ISSUER", "FIRST USE", ">ENDPOINTS", "VALID", NULL };
  g_autoptr (GwCtlTable) table = gw_ctl_table_new (headers);

  for (guint i = 0; i < policies->len; i++)
    {
      GwDBusPolicy *p = policies->pdata[i];
      g_autofree char *count = g_strdup_printf ("%u", gw_dbus_policy_get_endpoint_count (p));

      gw_ctl_table_add (table, gw_dbus_policy_get_name (p), gw_dbus_policy_get_kind (p),
                        gw_dbus_policy_get_broker_uri (p), gw_dbus_policy_get_issuer (p),
                        gw_dbus_policy_get_first_use (p), count, gw_dbus_policy_get_valid (p) ? "yes" : "NO");
    }
  gw_ctl_table_print (table, self->wide);
  for (guint i = 0; i < policies->len; i++)
    print_problems (gw_dbus_policy_get_name (policies->pdata[i]),
                    gw_dbus_policy_get_problems (policies->pdata[i]));
}

/* The files as they are on disk now, before a reload. */
static GwCtlExit
check (GwCtl *self, GPtrArray *policies)
{
  GwCtlExit exit = GW_CTL_OK;
  json_t *out = json_object ();

  for (guint i = 0; i < policies->len; i++)
    {
      const char *name = gw_dbus_policy_get_name (policies->pdata[i]);
      g_autoptr (GVariant) reply = NULL, list = NULL;
      g_autofree const char **problems = NULL;
      g_autoptr (GError) error = NULL;

      reply = gw_ctl_call (policies->pdata[i], "Check", g_variant_new ("(a{sv})", NULL), NULL, &error);
      if (reply == NULL)
        {
          exit = gw_ctl_fail (self, "check the policy", error);
          continue;
        }
      list = g_variant_get_child_value (reply, 0);
      problems = g_variant_get_strv (list, NULL);
      json_object_set_new (out, name, gw_ctl_text_json (list));
      if (!self->json)
        print_problems (name, problems);
      if (problems[0] != NULL)
        exit = GW_CTL_FAILED;
      else if (!self->json)
        printf ("%s: good\n", name);
    }
  if (self->json)
    gw_ctl_text_print_json (out);
  else
    json_decref (out);
  return exit;
}

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  gboolean want_check = FALSE;
  const GOptionEntry entries[] = { { "check", 'c', 0, G_OPTION_ARG_NONE, &want_check,
                                     "Check the files as they are on disk now", NULL },
                                   { NULL } };
  g_autoptr (GPtrArray) all = NULL;
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_policies, entries, &argc, &argv, 0, 0, &exit)
      || !gw_ctl_load (self, &exit))
    return exit;
  all = gw_ctl_all (self, "Policy");
  if (want_check)
    return check (self, all);
  if (self->json)
    gw_ctl_print_proxies (all);
  else if (all->len > 0)
    print_table (self, all);
  else
    puts ("There is no policy. Put one into /etc/gangway/policies.d (example.policy shows how), then: "
          "gangwayctl reload");
  return GW_CTL_OK;
}

const GwCtlVerb verb_policies = {
  .name = "policies",
  .args = "[--check]",
  .summary = "List the policies: where endpoints are onboarded to",
  .help = "--check reads the files as they are on disk now and tells what is wrong; gangwayctl reload takes "
          "them over.",
  .run = run,
};
