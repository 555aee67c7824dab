/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <unistd.h>

#include "gw-ctl-file.h"
#include "verbs.h"

/* The call itself; the descriptors are in fds. */
static GwCtlExit
import (GwCtl *self,
        GUnixFDList *fds,
        gint32 manifest,
        gint32 signature,
        const char *name,
        int report,
        GVariant **result)
{
  g_autoptr (GwCtlJobs) jobs = gw_ctl_jobs_new (self);
  g_autoptr (GVariant) reply = NULL;
  g_autoptr (GError) error = NULL;
  GVariantBuilder options;
  const char *path;
  gint32 handle;

  g_variant_builder_init (&options, G_VARIANT_TYPE_VARDICT);
  if (name != NULL)
    g_variant_builder_add (&options, "{sv}", "name", g_variant_new_string (name));
  handle = g_unix_fd_list_append (fds, report, &error);
  if (handle >= 0)
    {
      g_variant_builder_add (&options, "{sv}", "report", g_variant_new_handle (handle));
      reply = gw_ctl_call (self->inventory, "ImportManifest",
                           g_variant_new ("(hha{sv})", manifest, signature, &options), fds, &error);
    }
  if (reply == NULL)
    return gw_ctl_fail (self, "import the manifest", error);
  g_variant_get (reply, "(&o)", &path);
  if (!gw_ctl_jobs_wait (jobs, path, result, &error))
    return gw_ctl_fail (self, "import the manifest; nothing of it was taken", error);
  return GW_CTL_OK;
}

static GwCtlExit
run (GwCtl *self, int argc, char **argv)
{
  g_autofree char *name = NULL, *report_path = NULL, *signature_path = NULL;
  const GOptionEntry entries[]
      = { { "name", 'n', 0, G_OPTION_ARG_STRING, &name, "Name of the manifest", "NAME" },
          { "report", 'r', 0, G_OPTION_ARG_FILENAME, &report_path, "Write the report by line there", "FILE" },
          { NULL } };
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GVariant) result = NULL;
  gint32 manifest, signature;
  GwCtlExit exit;
  int report;

  if (!gw_ctl_options (self, &verb_inventory_import, entries, &argc, &argv, 1, 2, &exit)
      || !gw_ctl_load (self, &exit))
    return exit;
  signature_path = argc > 2 ? g_strdup (argv[2]) : g_strconcat (argv[1], ".p7s", NULL);
  if (!gw_ctl_file_read (self, argv[1], fds, &manifest, &exit)
      || !gw_ctl_file_read (self, signature_path, fds, &signature, &exit))
    return exit;
  report = gw_ctl_file_report (self, report_path, &exit);
  if (report < 0)
    return exit;
  exit = import (self, fds, manifest, signature, name, report, &result);
  if (report_path == NULL)
    gw_ctl_file_print (report);
  close (report);
  gw_ctl_print_result (self, result);
  return exit;
}

const GwCtlVerb verb_inventory_import = {
  .name = "inventory import",
  .args = "MANIFEST [SIGNATURE] [--name NAME] [--report FILE]",
  .summary = "Import a vendor's signed list of chips",
  .help
  = "MANIFEST is UTF-8 CSV with the header key_id,manufacturer,model,serial_number; SIGNATURE a detached "
    "CMS\n"
    "signature in DER (default: MANIFEST.p7s), as openssl cms -sign -binary -outform DER makes it. Its "
    "signer\n"
    "must chain to a certificate in trust.d/manifest and have the extended key usage codeSigning. All or\n"
    "nothing: one bad line and nothing is taken; the report names each, on stderr unless --report is given.",
  .run = run,
};
