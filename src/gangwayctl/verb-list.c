/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "gw-ctl-text.h"
#include "verbs.h"

static const char *
bus_name (GwDBusEndpoint *endpoint)
{
  const char *path = gw_dbus_endpoint_get_bus (endpoint);
  const char *slash = path ? strrchr (path, '/') : NULL;

  return slash ? slash + 1 : "";
}

/* States in which a person has something to do. */
static gboolean
needs_attention (GwDBusEndpoint *endpoint)
{
  static const char *const states[] = { "quarantined", "cloned", NULL };
  const char *state = gw_dbus_endpoint_get_state (endpoint);

  return state != NULL && g_strv_contains (states, state);
}

/* LastSeen moves once a minute; of one that is there now it would only mislead. */
static char *
seen_text (GwDBusEndpoint *endpoint, guint64 now)
{
  static const char *const present[] = { "proved", "online", NULL };
  const char *presence = gw_dbus_endpoint_get_presence (endpoint);

  if (presence != NULL && g_strv_contains (present, presence))
    return g_strdup ("now");
  return gw_ctl_text_when (gw_dbus_endpoint_get_last_seen (endpoint), now);
}

static void
print_table (GwCtl *self, GPtrArray *endpoints)
{
  static const char *const headers[] = { "ID", "~NAME", "~MODEL", "STATE", "~BUS", "~POLICY", "SEEN", NULL };
  g_autoptr (GwCtlTable) table = gw_ctl_table_new (headers);
  guint64 now = (guint64)(g_get_real_time () / G_USEC_PER_SEC);
  guint digits = gw_ctl_id_digits (endpoints), troubled = 0;
  GwDBusEndpoint *first = NULL;

  for (guint i = 0; i < endpoints->len; i++)
    {
      GwDBusEndpoint *e = endpoints->pdata[i];
      g_autofree char *id = g_strndup (gw_dbus_endpoint_get_id (e), digits);
      g_autofree char *seen = seen_text (e, now);

      gw_ctl_table_add (table, id, gw_dbus_endpoint_get_name (e), gw_dbus_endpoint_get_model (e),
                        gw_dbus_endpoint_get_state (e), bus_name (e), gw_dbus_endpoint_get_policy (e), seen);
      troubled += needs_attention (e);
      first = first == NULL && needs_attention (e) ? e : first;
    }
  gw_ctl_table_print (table, self->wide);
  if (first != NULL)
    printf ("\n%u %s you: gangwayctl explain %.*s\n", troubled, troubled == 1 ? "needs" : "need", (int)digits,
            gw_dbus_endpoint_get_id (first));
}

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  g_autofree char *state = NULL;
  const GOptionEntry entries[]
      = { { "state", 's', 0, G_OPTION_ARG_STRING, &state, "Only endpoints in this state", "STATE" },
          { NULL } };
  g_autoptr (GPtrArray) all = NULL;
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_list, entries, &argc, &argv, 0, 0, &exit) || !gw_ctl_load (self, &exit))
    return exit;
  all = gw_ctl_all (self, "Endpoint");
  for (guint i = all->len; state != NULL && i > 0; i--)
    if (g_strcmp0 (gw_dbus_endpoint_get_state (all->pdata[i - 1]), state) != 0)
      g_ptr_array_remove_index (all, i - 1);
  if (self->json)
    gw_ctl_print_proxies (all);
  else if (all->len > 0)
    print_table (self, all);
  else if (state != NULL)
    printf ("No endpoint is %s. gangwayctl list shows all of them.\n", state);
  else
    puts ("No endpoint has proven itself yet. gangwayctl status shows the buses and what is on them.");
  return GW_CTL_OK;
}

const GwCtlVerb verb_list = {
  .name = "list",
  .args = "[--state STATE]",
  .summary = "List the endpoints",
  .help
  = "STATE is one of unknown, proving, quarantined, verified, enrolled, online, offline, cloned, revoked,\n"
    "released, decommissioned. The shown beginnings of ids are long enough to name an endpoint by.",
  .run = run,
};
