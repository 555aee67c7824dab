/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The inventory as the daemon sees it: look-ups and the admission decision on the main thread, changes one at
 * a time in a worker thread.
 *
 * Each change opens its own writing connection and closes it again. The pool has one thread, so two changes
 * never wait for each other inside SQLite, and none ever holds up gangway.db's writer thread.
 */
#include "gw-inventory.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "gw-batch.h"
#include "gw-inventory-db.h"
#include "gw-manifest-codec.h"
#include "gw-manifest.h"

#define CHANGES_WAITING_MAX 16

struct _GwInventory
{
  char *state_dir;
  char *trust_dir;
  GwInventoryDb *db;
  GwInventoryCounts counts;
  GThreadPool *pool;
  GPtrArray *changes; /* GTask, borrowed: those not returned yet; main thread only */
};

/* One change. Belongs to its GTask; the worker has it alone from the push to the return. */
typedef struct _Change Change;
struct _Change
{
  gboolean (*run) (Change *self, GwInventoryDb *db, GError **error);
  GwInventory *inventory;
  char *state_dir;
  GCancellable *cancellable; /* own; the caller's is chained to it */
  GCancellable *outer;
  gulong outer_id;
  GMainContext *context;
  GwInventoryProgress progress;
  gpointer progress_data;
  union
  {
    GwManifestJob manifest;
    GwBatchJob batch;
  } job;
  int fds[3];
  char *name;
  char *policy;
  char *trust_dir;
  guint8 kid[GW_KEY_ID_LEN];
  gint64 adopt_until;
  GwManifestResult *manifest_result;
  GwBatchResult *batch_result;
};

/* ---- small things ---- */

gboolean
gw_key_id_parse (const char *text, guint8 kid[GW_KEY_ID_LEN])
{
  return gw_key_id_parse_len (text, strlen (text), kid);
}

char *
gw_key_id_to_string (const guint8 kid[GW_KEY_ID_LEN])
{
  GString *out = g_string_sized_new (GW_KEY_ID_TEXT_LEN + 1);

  for (gsize i = 0; i < GW_KEY_ID_LEN; i++)
    g_string_append_printf (out, "%02x", kid[i]);
  return g_string_free (out, FALSE);
}

gboolean
gw_inventory_name_is_valid (const char *name)
{
  gsize length = strlen (name);

  if (length == 0 || length > GW_INVENTORY_NAME_MAX)
    return FALSE;
  for (gsize i = 0; i < length; i++)
    if (!g_ascii_isalnum (name[i]) && !strchr ("._-", name[i]))
      return FALSE;
  return TRUE;
}

void
gw_manifest_info_free (GwManifestInfo *self)
{
  if (!self)
    return;
  g_free (self->name);
  g_free (self->signer);
  g_free (self);
}

void
gw_batch_info_free (GwBatchInfo *self)
{
  if (!self)
    return;
  g_free (self->name);
  g_free (self->policy);
  g_free (self);
}

/* ---- the decision ---- */

void
gw_admission_free (GwAdmission *self)
{
  if (!self)
    return;
  g_free (self->manifest);
  g_free (self->manufacturer);
  g_free (self->model);
  g_free (self->serial);
  g_free (self->batch);
  g_free (self->policy);
  g_free (self->reason);
  g_free (self->remedy);
  g_free (self);
}

static void
refuse (GwAdmission *self, GwAdmissionVerdict verdict, char *reason, char *remedy)
{
  self->verdict = verdict;
  self->reason = reason;
  self->remedy = remedy;
}

static void
judge_policy (GwAdmission *self, GwPolicySet *policies)
{
  const GwPolicy *policy = gw_policy_set_lookup (policies, self->policy);
  const char *by = self->batch ? self->batch : "its approval";

  if (!policy)
    refuse (self, GW_ADMISSION_POLICY_MISSING,
            g_strdup_printf ("claimed by %s for policy %s, which is not there", by, self->policy),
            g_strdup_printf (
                "write %s.policy into /etc/gangway/policies.d and reload; `gangwayctl policies` lists "
                "those that are there",
                self->policy));
  else if (!gw_policy_is_valid (policy))
    refuse (self, GW_ADMISSION_POLICY_INVALID,
            g_strdup_printf ("claimed by %s for policy %s, which is not valid: %s", by, self->policy,
                             policy->problems[0]),
            g_strdup_printf ("mend %s and reload; `gangwayctl policies` lists its problems", policy->path));
}

GwAdmission *
gw_inventory_decide (GwInventory *self,
                     const guint8 kid[GW_KEY_ID_LEN],
                     GwPolicySet *policies,
                     GError **error)
{
  g_autoptr (GwAdmission) a = g_new0 (GwAdmission, 1);
  g_autofree char *id = gw_key_id_to_string (kid);
  g_auto (GwChip) chip = { 0 };
  g_auto (GwClaim) claim = { 0 };
  int in_manifest = gw_inventory_db_lookup_chip (self->db, kid, &chip, error);
  int claimed = in_manifest < 0 ? -1 : gw_inventory_db_lookup_claim (self->db, kid, &claim, error);

  if (in_manifest < 0 || claimed < 0)
    return NULL;
  a->in_manifest = in_manifest == 1;
  a->manifest = g_steal_pointer (&chip.manifest);
  a->manufacturer = g_steal_pointer (&chip.manufacturer);
  a->model = g_steal_pointer (&chip.model);
  a->serial = g_steal_pointer (&chip.serial);
  a->claimed = claimed == 1;
  a->batch = g_steal_pointer (&claim.batch);
  a->policy = g_steal_pointer (&claim.policy);
  a->adopt_until = claim.adopt_until;
  if (!a->in_manifest)
    refuse (a, GW_ADMISSION_NOT_IN_MANIFEST,
            g_strdup ("not in a trusted manifest: nobody vouches that it is genuine"),
            g_strdup ("import the vendor's manifest with `gangwayctl inventory import MANIFEST SIGNATURE`"));
  else if (!a->claimed)
    refuse (a, GW_ADMISSION_NOT_CLAIMED,
            g_strdup_printf ("in manifest %s, but claimed by no batch", a->manifest),
            g_strdup_printf ("claim it with `gangwayctl batch add NAME FILE --policy POLICY` or `gangwayctl "
                             "approve %s --policy POLICY`",
                             id));
  else
    judge_policy (a, policies);
  return g_steal_pointer (&a);
}

/* ---- opening, counting, listing ---- */

static void
refresh_counts (GwInventory *self)
{
  g_autoptr (GError) error = NULL;

  if (!gw_inventory_db_count (self->db, &self->counts, &error))
    g_warning ("cannot count the inventory: %s", error->message);
}

static void run_change (gpointer task_pointer, gpointer unused);

GwInventory *
gw_inventory_open (const char *state_dir, const char *trust_dir, char **damage, GError **error)
{
  g_autoptr (GwInventory) self = g_new0 (GwInventory, 1);

  self->state_dir = g_strdup (state_dir);
  self->trust_dir = g_strdup (trust_dir);
  self->changes = g_ptr_array_new ();
  self->db = gw_inventory_db_open (state_dir, damage, error);
  if (!self->db)
    return NULL;
  self->pool = g_thread_pool_new (run_change, NULL, 1, FALSE, NULL);
  refresh_counts (self);
  return g_steal_pointer (&self);
}

void
gw_inventory_set_trust_dir (GwInventory *self, const char *trust_dir)
{
  g_free (self->trust_dir);
  self->trust_dir = g_strdup (trust_dir);
}

void
gw_inventory_free (GwInventory *self)
{
  if (!self)
    return;
  for (guint i = 0; i < self->changes->len; i++)
    {
      Change *change = g_task_get_task_data (self->changes->pdata[i]);

      change->inventory = NULL;
      g_cancellable_cancel (change->cancellable);
    }
  if (self->pool)
    g_thread_pool_free (self->pool, FALSE, TRUE);
  g_ptr_array_unref (self->changes);
  gw_inventory_db_free (self->db);
  g_free (self->state_dir);
  g_free (self->trust_dir);
  g_free (self);
}

guint64
gw_inventory_get_chip_count (GwInventory *self)
{
  return self->counts.chips;
}

guint64
gw_inventory_get_manifest_count (GwInventory *self)
{
  return self->counts.manifests;
}

guint64
gw_inventory_get_batch_count (GwInventory *self)
{
  return self->counts.batches;
}

GPtrArray *
gw_inventory_list_manifests (GwInventory *self, GError **error)
{
  return gw_inventory_db_list_manifests (self->db, error);
}

GPtrArray *
gw_inventory_list_batches (GwInventory *self, GError **error)
{
  return gw_inventory_db_list_batches (self->db, error);
}

/* ---- changes: the common part ---- */

static void
free_change (gpointer data)
{
  Change *self = data;

  if (self->outer)
    g_cancellable_disconnect (self->outer, self->outer_id);
  g_clear_object (&self->outer);
  g_clear_object (&self->cancellable);
  g_main_context_unref (self->context);
  for (guint i = 0; i < G_N_ELEMENTS (self->fds); i++)
    if (self->fds[i] >= 0)
      close (self->fds[i]);
  g_free (self->state_dir);
  g_free (self->name);
  g_free (self->policy);
  g_free (self->trust_dir);
  gw_manifest_result_free (self->manifest_result);
  gw_batch_result_free (self->batch_result);
  g_free (self);
}

/* In the worker thread. A report's reader may be gone: its EPIPE is looked at, its SIGPIPE must not come. */
static void
run_change (gpointer task_pointer, gpointer unused)
{
  g_autoptr (GTask) task = task_pointer;
  Change *change = g_task_get_task_data (task);
  g_autoptr (GwInventoryDb) db = NULL;
  g_autoptr (GError) error = NULL;
  gboolean ok;
  sigset_t pipe_signal;

  sigemptyset (&pipe_signal);
  sigaddset (&pipe_signal, SIGPIPE);
  pthread_sigmask (SIG_BLOCK, &pipe_signal, NULL);
  if (g_cancellable_is_cancelled (change->cancellable))
    g_set_error (&error, GW_ERROR, GW_ERROR_CANCELLED, "cancelled before it began");
  else
    db = gw_inventory_db_open_writer (change->state_dir, &error);
  ok = db && change->run (change, db, &error);
  g_clear_pointer (&db, gw_inventory_db_free); /* closed before anybody hears of it */
  malloc_trim (0); /* else the page cache of a large import stays with the daemon for good */
  if (ok)
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, g_steal_pointer (&error));
}

typedef struct
{
  GTask *task;
  double fraction;
} Told;

static gboolean
deliver_progress (gpointer data)
{
  Told *told = data;
  Change *change = g_task_get_task_data (told->task);

  if (change->inventory && !g_task_get_completed (told->task))
    change->progress (told->fraction, change->progress_data);
  return G_SOURCE_REMOVE;
}

static void
free_told (gpointer data)
{
  Told *told = data;

  g_object_unref (told->task);
  g_free (told);
}

/* In the worker thread. Same context and priority as the task's own return, which comes later: so it is
 * delivered before. */
static void
post_progress (double fraction, gpointer data)
{
  GTask *task = data;
  Change *change = g_task_get_task_data (task);
  Told *told = g_new0 (Told, 1);
  g_autoptr (GSource) source = g_idle_source_new ();

  told->task = g_object_ref (task);
  told->fraction = fraction;
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, deliver_progress, told, free_told);
  g_source_attach (source, change->context);
}

static void
cancel_inner (GCancellable *outer, gpointer inner)
{
  g_cancellable_cancel (inner);
}

static GTask *
new_change (
    GwInventory *self, gpointer tag, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data)
{
  GTask *task = g_task_new (NULL, NULL, callback, data);
  Change *change = g_new0 (Change, 1);

  change->inventory = self;
  change->state_dir = g_strdup (self->state_dir);
  change->context = g_main_context_ref_thread_default ();
  change->fds[0] = change->fds[1] = change->fds[2] = -1;
  change->cancellable = g_cancellable_new ();
  if (cancellable)
    {
      change->outer = g_object_ref (cancellable);
      change->outer_id = g_cancellable_connect (cancellable, G_CALLBACK (cancel_inner),
                                                g_object_ref (change->cancellable), g_object_unref);
    }
  g_task_set_source_tag (task, tag);
  g_task_set_task_data (task, change, free_change);
  g_task_set_check_cancellable (task, FALSE);
  return task;
}

/* Takes task. */
static void
push_change (GwInventory *self, GTask *task)
{
  if (self->changes->len >= CHANGES_WAITING_MAX)
    {
      g_task_return_new_error (task, GW_ERROR, GW_ERROR_LIMIT,
                               "%d changes of the inventory wait already; try again when they are done",
                               CHANGES_WAITING_MAX);
      g_object_unref (task);
      return;
    }
  g_ptr_array_add (self->changes, task);
  g_thread_pool_push (self->pool, task, NULL);
}

/* On the main context, from the finish functions. The inventory may be gone: then the change was cancelled with it. */
static gboolean
finish_change (GAsyncResult *res, GError **error)
{
  GTask *task = G_TASK (res);
  Change *change = g_task_get_task_data (task);

  if (change->inventory && g_ptr_array_remove (change->inventory->changes, task))
    refresh_counts (change->inventory);
  return g_task_propagate_boolean (task, error);
}

static gboolean
keep_fd (Change *change, guint i, int fd, GTask *task)
{
  if (fd < 0)
    return TRUE;
  change->fds[i] = fcntl (fd, F_DUPFD_CLOEXEC, 3);
  if (change->fds[i] >= 0)
    return TRUE;
  g_task_return_new_error (task, GW_ERROR, GW_ERROR_INVALID, "a descriptor given cannot be used");
  g_object_unref (task);
  return FALSE;
}

/* ---- manifests ---- */

static gboolean
run_manifest (Change *self, GwInventoryDb *db, GError **error)
{
  return gw_manifest_import (db, &self->job.manifest, self->cancellable, &self->manifest_result, error);
}

void
gw_inventory_import_manifest (GwInventory *self,
                              int content_fd,
                              int signature_fd,
                              int report_fd,
                              const char *name,
                              GwInventoryProgress progress,
                              gpointer progress_data,
                              GCancellable *cancellable,
                              GAsyncReadyCallback callback,
                              gpointer data)
{
  GTask *task = new_change (self, gw_inventory_import_manifest, cancellable, callback, data);
  Change *change = g_task_get_task_data (task);
  GwManifestJob *job = &change->job.manifest;

  if (!keep_fd (change, 0, content_fd, task) || !keep_fd (change, 1, signature_fd, task)
      || !keep_fd (change, 2, report_fd, task))
    return;
  change->run = run_manifest;
  change->name = g_strdup (name);
  change->trust_dir = g_strdup (self->trust_dir);
  change->progress = progress;
  change->progress_data = progress_data;
  job->content_fd = change->fds[0];
  job->signature_fd = change->fds[1];
  job->report_fd = change->fds[2];
  job->name = change->name;
  job->trust_dir = change->trust_dir;
  job->now = g_get_real_time ();
  job->progress = progress ? post_progress : NULL;
  job->progress_data = task;
  push_change (self, task);
}

gboolean
gw_inventory_import_manifest_finish (GwInventory *self,
                                     GAsyncResult *res,
                                     GwManifestResult **result,
                                     GError **error)
{
  Change *change = g_task_get_task_data (G_TASK (res));

  if (result)
    *result = g_steal_pointer (&change->manifest_result);
  return finish_change (res, error);
}

/* ---- batches ---- */

static gboolean
run_batch (Change *self, GwInventoryDb *db, GError **error)
{
  return gw_batch_add (db, &self->job.batch, self->cancellable, &self->batch_result, error);
}

void
gw_inventory_add_batch (GwInventory *self,
                        const char *name,
                        const char *policy,
                        int ids_fd,
                        int report_fd,
                        gint64 adopt_until,
                        gboolean dry_run,
                        GwInventoryProgress progress,
                        gpointer progress_data,
                        GCancellable *cancellable,
                        GAsyncReadyCallback callback,
                        gpointer data)
{
  GTask *task = new_change (self, gw_inventory_add_batch, cancellable, callback, data);
  Change *change = g_task_get_task_data (task);
  GwBatchJob *job = &change->job.batch;

  if (!keep_fd (change, 0, ids_fd, task) || !keep_fd (change, 1, report_fd, task))
    return;
  change->run = run_batch;
  change->name = g_strdup (name);
  change->policy = g_strdup (policy);
  change->progress = progress;
  change->progress_data = progress_data;
  job->ids_fd = change->fds[0];
  job->report_fd = change->fds[1];
  job->name = change->name;
  job->policy = change->policy;
  job->adopt_until = adopt_until;
  job->now = g_get_real_time ();
  job->dry_run = dry_run;
  job->progress = progress ? post_progress : NULL;
  job->progress_data = task;
  push_change (self, task);
}

gboolean
gw_inventory_add_batch_finish (GwInventory *self, GAsyncResult *res, GwBatchResult **result, GError **error)
{
  Change *change = g_task_get_task_data (G_TASK (res));

  if (result)
    *result = g_steal_pointer (&change->batch_result);
  return finish_change (res, error);
}

static gboolean
run_remove (Change *self, GwInventoryDb *db, GError **error)
{
  return gw_batch_remove (db, self->name, error);
}

void
gw_inventory_remove_batch (GwInventory *self, const char *name, GAsyncReadyCallback callback, gpointer data)
{
  GTask *task = new_change (self, gw_inventory_remove_batch, NULL, callback, data);
  Change *change = g_task_get_task_data (task);

  change->run = run_remove;
  change->name = g_strdup (name);
  push_change (self, task);
}

gboolean
gw_inventory_remove_batch_finish (GwInventory *self, GAsyncResult *res, GError **error)
{
  return finish_change (res, error);
}

static gboolean
run_withdraw (Change *self, GwInventoryDb *db, GError **error)
{
  return gw_batch_withdraw (db, self->kid, error);
}

void
gw_inventory_withdraw (GwInventory *self, const guint8 kid[GW_KEY_ID_LEN], GAsyncReadyCallback callback, gpointer data)
{
  GTask *task = new_change (self, gw_inventory_withdraw, NULL, callback, data);
  Change *change = g_task_get_task_data (task);

  change->run = run_withdraw;
  memcpy (change->kid, kid, GW_KEY_ID_LEN);
  push_change (self, task);
}

gboolean
gw_inventory_withdraw_finish (GwInventory *self, GAsyncResult *res, GError **error)
{
  return finish_change (res, error);
}

static gboolean
run_approve (Change *self, GwInventoryDb *db, GError **error)
{
  return gw_batch_approve (db, self->kid, self->policy, self->adopt_until, error);
}

void
gw_inventory_approve (GwInventory *self,
                      const guint8 kid[GW_KEY_ID_LEN],
                      const char *policy,
                      gint64 adopt_until,
                      GAsyncReadyCallback callback,
                      gpointer data)
{
  GTask *task = new_change (self, gw_inventory_approve, NULL, callback, data);
  Change *change = g_task_get_task_data (task);

  change->run = run_approve;
  memcpy (change->kid, kid, GW_KEY_ID_LEN);
  change->policy = g_strdup (policy);
  change->adopt_until = adopt_until;
  push_change (self, task);
}

gboolean
gw_inventory_approve_finish (GwInventory *self, GAsyncResult *res, GError **error)
{
  return finish_change (res, error);
}
