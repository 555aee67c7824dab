/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <unistd.h>

#include "gw-ctl-file.h"
#include "verbs.h"

typedef struct
{
  const char *name, *policy;
  gboolean dry_run;
  guint32 adopt_for; /* 0: the agent's default */
} Batch;

static GwCtlExit
add (GwCtl *self, const Batch *batch, GUnixFDList *fds, gint32 ids, int report, GVariant **result)
{
  g_autoptr (GwCtlJobs) jobs = gw_ctl_jobs_new (self);
  g_autoptr (GVariant) reply = NULL;
  g_autoptr (GError) error = NULL;
  GVariantBuilder options;
  const char *path;
  gint32 handle;

  g_variant_builder_init (&options, G_VARIANT_TYPE_VARDICT);
  if (batch->dry_run)
    g_variant_builder_add (&options, "{sv}", "dry-run", g_variant_new_boolean (TRUE));
  if (batch->adopt_for > 0)
    g_variant_builder_add (&options, "{sv}", "adopt-for", g_variant_new_uint32 (batch->adopt_for));
  handle = g_unix_fd_list_append (fds, report, &error);
  if (handle >= 0)
    {
      g_variant_builder_add (&options, "{sv}", "report", g_variant_new_handle (handle));
      reply = gw_ctl_call (self->inventory, "AddBatch",
                           g_variant_new ("(ssha{sv})", batch->name, batch->policy, ids, &options), fds,
                           &error);
    }
  if (reply == NULL)
    return gw_ctl_fail (self, "add the batch", error);
  g_variant_get (reply, "(&o)", &path);
  if (!gw_ctl_jobs_wait (jobs, path, result, &error))
    return gw_ctl_fail (self, "add the batch; nothing of it was claimed", error);
  if (batch->dry_run && !self->json)
    puts ("A dry run: nothing was claimed. It would be:");
  return GW_CTL_OK;
}

/* A dry run ends well for the agent whatever it found; for who asked it does not, where lines would be refused. */
static GwCtlExit
judge (GwCtl *self, GVariant *result)
{
  guint64 lines = 0, claimed = 0;

  if (result == NULL || !g_variant_lookup (result, "lines", "t", &lines) || !g_variant_lookup (result, "claimed", "t", &claimed)
      || claimed >= lines)
    return GW_CTL_OK;
  fflush (stdout);
  fprintf (stderr, "gangwayctl: %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " key ids would be refused, and so the whole batch\n",
           lines - claimed, lines);
  return GW_CTL_FAILED;
}

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  g_autofree char *policy = NULL, *report_path = NULL, *adopt = NULL;
  Batch batch = { 0 };
  const GOptionEntry entries[]
      = { { "policy", 'p', 0, G_OPTION_ARG_STRING, &policy, "Policy that the chips go to", "NAME" },
          { "dry-run", 0, 0, G_OPTION_ARG_NONE, &batch.dry_run, "Only say what would happen", NULL },
          { "adopt-for", 0, 0, G_OPTION_ARG_STRING, &adopt,
            "How long the chips may be taken as their first owner", "TIME" },
          { "report", 'r', 0, G_OPTION_ARG_FILENAME, &report_path, "Write the report by line there", "FILE" },
          { NULL } };
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GVariant) result = NULL;
  GwCtlExit exit;
  gint32 ids;
  int report;

  if (!gw_ctl_options (self, &verb_batch_add, entries, &argc, &argv, 2, 2, &exit))
    return exit;
  if (policy == NULL)
    return gw_ctl_usage (self, &verb_batch_add, "--policy is missing (gangwayctl policies lists them)");
  if (adopt != NULL && (!gw_ctl_parse_duration (adopt, &batch.adopt_for) || batch.adopt_for == 0))
    return gw_ctl_usage (self, &verb_batch_add, "'%s' is no time: write 90s, 15m, 24h or 7d", adopt);
  batch.name = argv[1];
  batch.policy = policy;
  if (!gw_ctl_load (self, &exit) || !gw_ctl_file_read (self, argv[2], fds, &ids, &exit))
    return exit;
  report = gw_ctl_file_report (self, report_path, &exit);
  if (report < 0)
    return exit;
  exit = add (self, &batch, fds, ids, report, &result);
  if (report_path == NULL)
    gw_ctl_file_print (report);
  close (report);
  gw_ctl_print_result (self, result);
  return exit == GW_CTL_OK && batch.dry_run ? judge (self, result) : exit;
}

const GwCtlVerb verb_batch_add = {
  .name = "batch add",
  .args = "NAME FILE --policy NAME [--dry-run] [--adopt-for TIME] [--report FILE]",
  .summary = "Claim chips as yours, and say which policy they go to",
  .help = "FILE holds one key id a line (- for standard input). Chips that are plugged in and wait are taken "
          "on board\n"
          "at once, the others when they come. Endpoints without an owner are taken for --adopt-for (24h by "
          "default),\n"
          "where the policy allows first use. All or nothing: one bad line and nothing is claimed; the "
          "report names\n"
          "each, on stderr unless --report is given. With --dry-run the exit code tells whether all would be "
          "claimed.",
  .run = run,
};
