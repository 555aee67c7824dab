/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Batches: what the owner says is his. Chips and claims live in one file, so a batch is checked and stored in
 * one transaction, and no other change can come between. */
#include "gw-batch.h"

#include <string.h>

#include "gw-batch-codec.h"
#include "gw-line-codec.h"
#include "gw-report.h"
#include "gw-stream.h"

#define CHUNK 65536
#define ROWS_A_LOOK 1024

typedef struct
{
  GwInventoryDb *db;
  const GwBatchJob *job;
  GCancellable *cancellable;
  GwReport *report;
  GwBatchResult *result;
  GError *failure; /* first error inside a line callback; nothing is taken after it */
} Add;

static void
take_line (const char *line, gsize length, guint64 number, gpointer data)
{
  Add *self = data;
  guint8 kid[GW_KEY_ID_LEN];
  GwBatchLine kind = line ? gw_batch_parse_line (line, length, kid) : GW_BATCH_LINE_MALFORMED;

  if (self->failure || kind == GW_BATCH_LINE_EMPTY)
    return;
  if (++self->result->lines > GW_BATCH_IDS_MAX)
    g_set_error (&self->failure, GW_ERROR, GW_ERROR_LIMIT, "more than %u key ids in one batch; split it",
                 GW_BATCH_IDS_MAX);
  else if (kind == GW_BATCH_LINE_ID)
    gw_inventory_db_stage (self->db, kid, number, NULL, NULL, NULL, &self->failure);
  else
    {
      self->result->malformed++;
      gw_report_add (self->report, number, "malformed", "%s",
                     line ? "not a key id of 64 lower-case hex digits" : "the line is too long");
    }
}

static gboolean
read_ids (Add *self, GError **error)
{
  g_autofree guint8 *chunk = g_malloc (CHUNK);
  GwLineReader lines;
  guint64 have = 0;
  gssize got;

  gw_line_reader_init (&lines, take_line, self);
  while (!self->failure
         && (got = gw_stream_read (self->job->ids_fd, chunk, CHUNK, self->cancellable, error)) != 0)
    {
      if (got < 0)
        return FALSE;
      have += (guint64)got;
      if (have > GW_BATCH_SIZE_MAX)
        g_set_error (&self->failure, GW_ERROR, GW_ERROR_LIMIT,
                     "the list is larger than %" G_GUINT64_FORMAT " octets", GW_BATCH_SIZE_MAX);
      else
        gw_line_reader_feed (&lines, chunk, (gsize)got);
    }
  if (!self->failure)
    gw_line_reader_finish (&lines);
  if (!self->failure && self->result->lines == 0)
    g_set_error (&self->failure, GW_ERROR, GW_ERROR_INVALID, "the list holds no key id");
  if (!self->failure)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&self->failure));
  return FALSE;
}

static void
report_claimed (Add *self, guint64 line, const GwClaim *claim)
{
  self->result->claimed++;
  if (claim->batch)
    gw_report_add (self->report, line, "claimed", "by batch %s", claim->batch);
  else
    gw_report_add (self->report, line, "claimed", "approved singly for policy %s", claim->policy);
}

/* FALSE: error. A line that is refused is counted and reported, and that is TRUE. */
static gboolean
check_row (Add *self, gint64 batch, const GwStagedRow *row, GError **error)
{
  g_auto (GwChip) chip = { 0 };
  g_auto (GwClaim) claim = { 0 };
  int known = gw_inventory_db_lookup_chip (self->db, row->kid, &chip, error);
  int claimed = known == 1 ? gw_inventory_db_lookup_claim (self->db, row->kid, &claim, error) : 0;

  if (known < 0 || claimed < 0)
    return FALSE;
  if (known == 0)
    {
      self->result->unknown++;
      gw_report_add (self->report, row->line, "unknown",
                     "in no trusted manifest; import the vendor's manifest first");
    }
  else if (claimed == 1)
    report_claimed (self, row->line, &claim);
  else
    {
      self->result->accepted++;
      return batch == 0 || gw_inventory_db_add_claim (self->db, row->kid, batch, error) == 1;
    }
  return TRUE;
}

static gboolean
check_rows (Add *self, gint64 batch, GError **error)
{
  guint64 first_line, n = 0;
  GwStagedRow row;
  int got;

  while ((got = gw_inventory_db_next_staged (self->db, &row, &first_line, error)) == 1)
    {
      if (first_line != 0)
        {
          self->result->duplicate++;
          gw_report_add (self->report, row.line, "duplicate", "stands on line %" G_GUINT64_FORMAT " already",
                         first_line);
          continue;
        }
      if (!check_row (self, batch, &row, error))
        return FALSE;
      if (++n % ROWS_A_LOOK != 0)
        continue;
      if (self->job->progress)
        self->job->progress ((double)n / (double)self->result->lines, self->job->progress_data);
      if (g_cancellable_is_cancelled (self->cancellable))
        {
          g_set_error (error, GW_ERROR, GW_ERROR_CANCELLED, "cancelled; nothing was added");
          return FALSE;
        }
    }
  return got == 0;
}

static gboolean
run (Add *self, GError **error)
{
  const GwBatchJob *job = self->job;
  GwBatchResult *r = self->result;
  gint64 batch = 0;

  /* The name is checked on a dry run, too; its row then goes with the transaction. */
  if (!gw_inventory_db_begin (self->db, error)
      || !gw_inventory_db_add_batch (self->db, job->name, job->policy, job->now, job->adopt_until, &batch,
                                     error)
      || !read_ids (self, error) || !check_rows (self, job->dry_run ? 0 : batch, error))
    return FALSE;
  if (job->dry_run)
    return TRUE;
  if (r->accepted == r->lines)
    return gw_inventory_db_commit (self->db, error);
  g_set_error (error, GW_ERROR, GW_ERROR_INVALID,
               "%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
               " key ids are refused, nothing was added; the first: %s",
               r->lines - r->accepted, r->lines, gw_report_first (self->report));
  return FALSE;
}

gboolean
gw_batch_add (GwInventoryDb *db,
              const GwBatchJob *job,
              GCancellable *cancellable,
              GwBatchResult **result,
              GError **error)
{
  g_autoptr (GwReport) report = gw_report_new ();
  g_autoptr (GwBatchResult) counts = g_new0 (GwBatchResult, 1);
  Add self = { db, job, cancellable, report, counts };
  gboolean ok;

  counts->dry_run = job->dry_run;
  ok = run (&self, error);
  g_clear_error (&self.failure);
  counts->report_cut = !gw_report_write (report, job->report_fd, cancellable);
  *result = counts->lines > 0 ? g_steal_pointer (&counts) : NULL;
  return ok;
}

gboolean
gw_batch_remove (GwInventoryDb *db, const char *name, GError **error)
{
  int removed;

  if (!gw_inventory_db_begin (db, error))
    return FALSE;
  removed = gw_inventory_db_remove_batch (db, name, error);
  if (removed == 0)
    {
      g_autofree char *quoted = gw_error_quote (name);

      g_set_error (error, GW_ERROR, GW_ERROR_NOT_FOUND, "there is no batch '%s': see `gangwayctl batch list`", quoted);
    }
  return removed == 1 && gw_inventory_db_commit (db, error);
}

gboolean
gw_batch_withdraw (GwInventoryDb *db, const guint8 kid[GW_KEY_ID_LEN], GError **error)
{
  return gw_inventory_db_begin (db, error) && gw_inventory_db_remove_claim (db, kid, error)
         && gw_inventory_db_commit (db, error);
}

gboolean
gw_batch_approve (GwInventoryDb *db,
                  const guint8 kid[GW_KEY_ID_LEN],
                  const char *policy,
                  gint64 adopt_until,
                  GError **error)
{
  g_auto (GwChip) chip = { 0 };
  int known;

  if (!gw_inventory_db_begin (db, error))
    return FALSE;
  known = gw_inventory_db_lookup_chip (db, kid, &chip, error);
  if (known == 0)
    g_set_error (error, GW_ERROR, GW_ERROR_NOT_TRUSTED,
                 "the chip is in no trusted manifest, so nobody vouches that it is genuine; import the "
                 "vendor's manifest "
                 "with `gangwayctl inventory import` first");
  return known == 1 && gw_inventory_db_approve (db, kid, policy, adopt_until, error)
         && gw_inventory_db_commit (db, error);
}

void
gw_batch_result_free (GwBatchResult *self)
{
  g_free (self);
}
