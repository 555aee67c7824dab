/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "gw-ctl-text.h"
#include "verbs.h"

#define LAST_DEFAULT 50
#define READ_MAX 1000 /* records in one answer of the agent */

static void
print_records (GwCtl *self, GVariant *records)
{
  static const char *const headers[] = { ">NUMBER", "TIME", "ACTOR", "ACTION", "~OBJECT", "~DETAIL", NULL };
  g_autoptr (GwCtlTable) table = gw_ctl_table_new (headers);
  const char *actor, *action;
  GVariantIter iter;
  GVariant *more;
  guint64 number;

  g_variant_iter_init (&iter, records);
  while (g_variant_iter_loop (&iter, "(t&s&s@a{sv})", &number, &actor, &action, &more))
    {
      g_autofree char *id = g_strdup_printf ("%" G_GUINT64_FORMAT, number);
      g_autofree char *when = NULL;
      const char *object = "", *detail = "";
      guint64 time = 0;

      g_variant_lookup (more, "time", "t", &time);
      g_variant_lookup (more, "object", "&s", &object);
      g_variant_lookup (more, "detail", "&s", &detail);
      when = gw_ctl_text_date (time / G_USEC_PER_SEC);
      if (g_str_has_prefix (object, GW_CTL_ROOT))
        object += strlen (GW_CTL_ROOT);
      gw_ctl_table_add (table, id, when, actor, action, object, detail);
    }
  gw_ctl_table_print (table, self->wide);
}

static GwCtlExit
verify (GwCtl *self, GwDBusAudit *audit)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply = gw_ctl_call (audit, "Verify", g_variant_new ("()"), NULL, &error);
  gboolean good;
  guint64 number;

  if (reply == NULL)
    return gw_ctl_fail (self, "verify the audit trail", error);
  g_variant_get (reply, "(bt)", &good, &number);
  if (self->json)
    gw_ctl_text_print_json (json_pack ("{s:b, s:I}", "Good", good, "Number", (json_int_t)number));
  else if (good)
    printf ("All %" G_GUINT64_FORMAT " records fit.\n", number);
  else
    fprintf (stderr, "gangwayctl: record %" G_GUINT64_FORMAT " was changed, or taken out\n", number);
  return good ? GW_CTL_OK : GW_CTL_FAILED;
}

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  g_autoptr (GwDBusAudit) audit = NULL;
  g_autoptr (GVariant) reply = NULL;
  g_autoptr (GVariant) records = NULL;
  g_autoptr (GError) error = NULL;
  gboolean check = FALSE;
  gint64 from = 0;
  int max = LAST_DEFAULT;
  const GOptionEntry entries[]
      = { { "from", 0, 0, G_OPTION_ARG_INT64, &from, "From this record on (the last ones)", "NUMBER" },
          { "max", 0, 0, G_OPTION_ARG_INT, &max, "At most so many, up to 1000 (50)", "N" },
          { "verify", 0, 0, G_OPTION_ARG_NONE, &check, "Whether a record was changed or taken out", NULL },
          { 0 } };
  GwCtlExit exit;

  if (!gw_ctl_options (self, &verb_audit, entries, &argc, &argv, 0, 0, &exit) || !gw_ctl_connect (self, &exit))
    return exit;
  if (from < 0 || max < 1 || max > READ_MAX)
    return gw_ctl_usage (self, &verb_audit, "records are numbered from 1, and 1 to %d are shown at once", READ_MAX);
  audit = gw_dbus_audit_proxy_new_sync (self->bus, G_DBUS_PROXY_FLAGS_DO_NOT_LOAD_PROPERTIES, GW_CTL_BUS_NAME, GW_CTL_ROOT, NULL,
                                        &error);
  if (audit == NULL)
    return gw_ctl_fail (self, "reach the audit trail", error);
  if (check)
    return verify (self, audit);
  reply = gw_ctl_call (audit, "Read", g_variant_new ("(tu)", (guint64)from, (guint32)max), NULL, &error);
  if (reply == NULL)
    return gw_ctl_fail (self, "read the audit trail", error);
  records = g_variant_get_child_value (reply, 0);
  if (self->json)
    gw_ctl_text_print_json (gw_ctl_text_json (records));
  else if (g_variant_n_children (records) > 0)
    print_records (self, records);
  else
    puts ("No such record.");
  return GW_CTL_OK;
}

const GwCtlVerb verb_audit = {
  .name = "audit",
  .args = "[--from NUMBER] [--max N] [--verify]",
  .summary = "Show what was done on this gateway, and by whom",
  .run = run,
};
