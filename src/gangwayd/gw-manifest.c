/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Importing manifests: two passes over the rows, one over the octets. */
#include "gw-manifest.h"

#include <string.h>
#include <sys/stat.h>

#include "gw-cms-codec.h"
#include "gw-cms.h"
#include "gw-line-codec.h"
#include "gw-manifest-codec.h"
#include "gw-report.h"
#include "gw-stream.h"

#define CHUNK (256u * 1024u)
#define ROWS_A_LOOK 8192 /* rows of the second pass between looks at the cancellable */
#define PROGRESS_STEP 0.02
#define FIRST_PASS_SHARE 0.5

typedef struct
{
  GwInventoryDb *db;
  const GwManifestJob *job;
  GCancellable *cancellable;
  GwReport *report;
  GwManifestResult *result;
  GwManifestRow row;
  double told;     /* progress */
  GError *failure; /* first error inside a line callback; nothing is taken after it */
} Import;

static void
tell_progress (Import *self, double fraction)
{
  if (!self->job->progress || fraction < self->told + PROGRESS_STEP)
    return;
  self->told = fraction;
  self->job->progress (MIN (fraction, 1.0), self->job->progress_data);
}

/* ---- first pass: octets to staged rows ---- */

static void
take_header (Import *self, const char *line, gsize length)
{
  const char *wrong = line ? gw_manifest_parse_header (line, length) : gw_manifest_parse_header ("", 0);

  if (wrong)
    g_set_error (&self->failure, GW_ERROR, GW_ERROR_INVALID, "the manifest: line 1: %s", wrong);
}

static void
take_line (const char *line, gsize length, guint64 number, gpointer data)
{
  Import *self = data;
  const char *wrong;

  if (self->failure)
    return;
  if (number == 1)
    {
      take_header (self, line, length);
      return;
    }
  self->result->chips++;
  wrong = line ? gw_manifest_parse_row (line, length, &self->row) : "the line is too long";
  if (!wrong)
    {
      gw_inventory_db_stage (self->db, self->row.kid, number, self->row.manufacturer, self->row.model,
                             self->row.serial, &self->failure);
      return;
    }
  self->result->malformed++;
  gw_report_add (self->report, number, "malformed", "%s", wrong);
  if (self->result->malformed > GW_REPORT_LINES_MAX)
    g_set_error (&self->failure, GW_ERROR, GW_ERROR_INVALID,
                 "more than %u lines are malformed; is this a manifest? %s", GW_REPORT_LINES_MAX,
                 gw_report_first (self->report));
}

static gboolean
read_content (Import *self, GwCms *cms, GError **error)
{
  g_autofree guint8 *chunk = g_malloc (CHUNK);
  GwLineReader lines;
  struct stat st;
  guint64 size = fstat (self->job->content_fd, &st) == 0 && S_ISREG (st.st_mode) ? (guint64)st.st_size : 0;
  guint64 have = 0;
  gssize got = 0;

  gw_line_reader_init (&lines, take_line, self);
  while (size <= GW_MANIFEST_SIZE_MAX && have <= GW_MANIFEST_SIZE_MAX && !self->failure
         && (got = gw_stream_read (self->job->content_fd, chunk, CHUNK, self->cancellable, error)) > 0)
    {
      have += (guint64)got;
      gw_cms_update (cms, chunk, (gsize)got);
      gw_line_reader_feed (&lines, chunk, (gsize)got);
      if (size > 0)
        tell_progress (self, FIRST_PASS_SHARE * (double)have / (double)size);
    }
  if (got < 0)
    return FALSE;
  if (size > GW_MANIFEST_SIZE_MAX || have > GW_MANIFEST_SIZE_MAX)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_LIMIT,
                   "the manifest is larger than %" G_GUINT64_FORMAT " octets; split it",
                   GW_MANIFEST_SIZE_MAX);
      return FALSE;
    }
  if (!self->failure)
    gw_line_reader_finish (&lines);
  if (!self->failure && self->result->chips == 0)
    g_set_error (&self->failure, GW_ERROR, GW_ERROR_INVALID, "the manifest lists no chips");
  if (!self->failure)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&self->failure));
  return FALSE;
}

/* ---- second pass: staged rows to the inventory ---- */

/* The key id is known already: fine if all else is, too. */
static gboolean
compare_known (Import *self, const GwStagedRow *row, GError **error)
{
  g_auto (GwChip) known = { 0 };

  if (gw_inventory_db_lookup_chip (self->db, row->kid, &known, error) < 0)
    return FALSE;
  if (g_strcmp0 (known.manufacturer, row->manufacturer) == 0 && g_strcmp0 (known.model, row->model) == 0
      && g_strcmp0 (known.serial, row->serial) == 0)
    {
      self->result->known++;
      return TRUE;
    }
  self->result->duplicate++;
  gw_report_add (self->report, row->line, "contradiction", "manifest %s lists this key id as %s, %s, %s",
                 known.manifest, known.manufacturer, known.model, known.serial);
  return TRUE;
}

static gboolean
merge_row (Import *self, gint64 manifest, const GwStagedRow *row, GError **error)
{
  int added = gw_inventory_db_add_chip (self->db, manifest, row, error);

  if (added < 0)
    return FALSE;
  if (added == 0)
    return compare_known (self, row, error);
  self->result->added++;
  return TRUE;
}

static gboolean
merge (Import *self, gint64 manifest, GError **error)
{
  guint64 first_line, n = 0;
  GwStagedRow row;
  int got;

  while ((got = gw_inventory_db_next_staged (self->db, &row, &first_line, error)) == 1)
    {
      if (first_line != 0)
        {
          self->result->duplicate++;
          gw_report_add (self->report, row.line, "duplicate",
                         "this key id stands on line %" G_GUINT64_FORMAT " already", first_line);
          continue;
        }
      if (!merge_row (self, manifest, &row, error))
        return FALSE;
      if (++n % ROWS_A_LOOK != 0)
        continue;
      tell_progress (self,
                     FIRST_PASS_SHARE + (1 - FIRST_PASS_SHARE) * (double)n / (double)self->result->chips);
      if (g_cancellable_is_cancelled (self->cancellable))
        {
          g_set_error (error, GW_ERROR, GW_ERROR_CANCELLED, "cancelled; nothing was imported");
          return FALSE;
        }
    }
  return got == 0;
}

static gboolean
check_lines (Import *self, GError **error)
{
  guint64 refused = self->result->malformed + self->result->duplicate;

  if (refused == 0)
    return TRUE;
  g_set_error (error, GW_ERROR, GW_ERROR_INVALID,
               "%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
               " lines are refused, nothing was imported; the first: %s",
               refused, self->result->chips, gw_report_first (self->report));
  return FALSE;
}

static gboolean
store (Import *self, const guint8 sha256[32], GError **error)
{
  GwManifestResult *result = self->result;
  g_autofree char *known_as = NULL;
  gint64 id;
  int found;

  if (!check_lines (self, error))
    return FALSE;
  found = gw_inventory_db_find_manifest (self->db, sha256, &known_as, error);
  if (found < 0)
    return FALSE;
  if (found == 1) /* these very octets are in already: nothing to do is a success, so that scripts may repeat
                     themselves */
    {
      g_free (result->name);
      result->name = g_steal_pointer (&known_as);
      result->known = result->chips;
      return TRUE;
    }
  if (!result->name)
    result->name = g_strdup_printf ("manifest-%02x%02x%02x%02x", sha256[0], sha256[1], sha256[2], sha256[3]);
  return gw_inventory_db_add_manifest (self->db, result->name, sha256, result->signer, self->job->now, &id,
                                       error)
         && merge (self, id, error) && check_lines (self, error)
         && gw_inventory_db_set_manifest_counts (self->db, id, result->chips, result->added, error)
         && gw_inventory_db_commit (self->db, error);
}

static gboolean
run (Import *self, GError **error)
{
  g_autoptr (GByteArray) signature
      = gw_stream_read_all (self->job->signature_fd, GW_CMS_SIZE_MAX, self->cancellable, error);
  g_autoptr (GwCms) cms = NULL;
  guint8 sha256[32];

  if (!signature)
    {
      g_prefix_error (error, "the signature: ");
      return FALSE;
    }
  cms = gw_cms_new (signature->data, signature->len, self->job->trust_dir, error);
  if (!cms || !gw_inventory_db_begin (self->db, error) || !read_content (self, cms, error))
    return FALSE;
  /* The signature first: what is wrong in lines that nobody vouches for is not worth reporting. */
  return gw_cms_finish (cms, &self->result->signer, sha256, error) && store (self, sha256, error);
}

gboolean
gw_manifest_import (GwInventoryDb *db,
                    const GwManifestJob *job,
                    GCancellable *cancellable,
                    GwManifestResult **result,
                    GError **error)
{
  g_autoptr (GwReport) report = gw_report_new ();
  g_autoptr (GwManifestResult) counts = g_new0 (GwManifestResult, 1);
  Import self = { db, job, cancellable, report, counts };
  gboolean ok;

  counts->name = g_strdup (job->name);
  ok = run (&self, error);
  g_clear_error (&self.failure);
  if (counts->signer)
    counts->report_cut = !gw_report_write (report, job->report_fd, cancellable);
  if (counts->chips > 0)
    *result = g_steal_pointer (&counts);
  else
    *result = NULL;
  return ok;
}

void
gw_manifest_result_free (GwManifestResult *self)
{
  if (!self)
    return;
  g_free (self->name);
  g_free (self->signer);
  g_free (self);
}
