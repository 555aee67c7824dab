/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes to gangway.db from the main thread, carried by the writer thread. A job owns a copy of what it
 * writes, so the caller may go on changing its own.
 */
#include "gw-db.h"

typedef struct
{
  GwEndpointRecord *endpoint; /* or */
  GwAuditRecord *audit;
  GwWriterDone done;
  gpointer data;
} Job;

static gboolean
run_job (gpointer data, gpointer store, GError **error)
{
  Job *job = data;

  if (job->endpoint)
    return gw_db_writer_save_endpoint (store, job->endpoint, error);
  return gw_db_writer_append_audit (store, job->audit->time, job->audit->actor, job->audit->action,
                                    job->audit->object, job->audit->detail, error);
}

static void
finish_job (gpointer data, const GError *error)
{
  Job *job = data;

  if (job->done)
    job->done (job->data, error);
  else if (error)
    g_warning ("%s was not stored: %s", job->endpoint ? "an endpoint's state" : "an audit record",
               error->message);
  gw_endpoint_record_free (job->endpoint);
  gw_audit_record_free (job->audit);
  g_free (job);
}

void
gw_db_save_endpoint_async (GwWriter *writer, const GwEndpointRecord *record, GwWriterDone done, gpointer data)
{
  Job *job = g_new0 (Job, 1);

  job->endpoint = gw_endpoint_record_copy (record);
  job->done = done;
  job->data = data;
  gw_writer_push (writer, run_job, finish_job, job);
}

void
gw_db_append_audit_async (GwWriter *writer,
                          gint64 time,
                          const char *actor,
                          const char *action,
                          const char *object,
                          const char *detail)
{
  Job *job = g_new0 (Job, 1);

  job->audit = g_new0 (GwAuditRecord, 1);
  job->audit->time = time;
  job->audit->actor = g_strdup (actor);
  job->audit->action = g_strdup (action);
  job->audit->object = g_strdup (object ? object : "");
  job->audit->detail = g_strdup (detail ? detail : "");
  gw_writer_push (writer, run_job, finish_job, job);
}
