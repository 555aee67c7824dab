/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See gw-inventory-service.h. Imports and batches are jobs; the inventory does one after the other and this file lets one of each kind
 * be asked for at a time, so that a caller cannot queue work without end.
 */

#include "config.h"

#include "gw-inventory-service.h"

#include <string.h>
#include <unistd.h>

#include "gw-endpoint-service.h"
#include "gw-error.h"
#include "gw-job.h"
#include "gw-options.h"

struct _GwInventoryService
{
  const GwServices *services;
  GwRoster *roster;
  GwDBusInventory *skeleton;
  guint running; /* jobs */
};

/* Jobs of the inventory that may be asked for at a time. */
#define RUNNING_MAX 8

typedef struct
{
  GwInventoryService *service;
  GwJob *job;
  GDBusMethodInvocation *invocation; /* Approve, RemoveBatch */
  guint8 kid[GW_KEY_ID_LEN];
  gboolean dry_run;
} Work;

static Work *
work_new (GwInventoryService *self, GwJob *job)
{
  Work *work = g_new0 (Work, 1);

  work->service = self;
  work->job = job;
  self->running++;
  return work;
}

static void
work_free (Work *work)
{
  work->service->running--;
  g_clear_object (&work->job);
  g_free (work);
}

static void
show_counts (GwInventoryService *self)
{
  gw_dbus_inventory_set_manifest_count (self->skeleton, (guint) gw_inventory_get_manifest_count (self->services->inventory));
  gw_dbus_inventory_set_chip_count (self->skeleton, gw_inventory_get_chip_count (self->services->inventory));
  gw_dbus_inventory_set_batch_count (self->skeleton, (guint) gw_inventory_get_batch_count (self->services->inventory));
}

static void
inventory_changed (GwInventoryService *self)
{
  show_counts (self);
  gw_roster_reconsider (self->roster);
}

/* An error of ours for the caller: consumes it. */
static gboolean
fail_call (GDBusMethodInvocation *invocation, GError *error)
{
  g_dbus_method_invocation_take_error (invocation, error);
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

static void
on_progress (double fraction, gpointer data)
{
  Work *work = data;

  gw_job_set_stage (work->job, fraction, "reading");
}

static void
add_count (GVariantBuilder *builder, const char *key, guint64 count)
{
  g_variant_builder_add (builder, "{sv}", key, g_variant_new_uint64 (count));
}

/* The end of a job; takes @work over. @counts: floating, NULL: none. */
static void
end_work (Work *work, gboolean done, GVariant *counts, const GError *error)
{
  if (done && !work->dry_run)
    inventory_changed (work->service);
  if (done)
    gw_job_end (work->job, counts);
  else
    gw_job_end_error (work->job, error, counts);
  work_free (work);
}

/* ---- ImportManifest ---- */

static GVariant *
manifest_result (const GwManifestResult *result)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{sv}"));
  if (result->name != NULL)
    g_variant_builder_add (&builder, "{sv}", "name", g_variant_new_string (result->name));
  if (result->signer != NULL)
    g_variant_builder_add (&builder, "{sv}", "signer", g_variant_new_string (result->signer));
  add_count (&builder, "chips", result->chips);
  add_count (&builder, "added", result->added);
  add_count (&builder, "known", result->known);
  add_count (&builder, "malformed", result->malformed);
  add_count (&builder, "duplicate", result->duplicate);
  return g_variant_builder_end (&builder);
}

static void
on_imported (GObject *source, GAsyncResult *res, gpointer data)
{
  Work *work = data;
  g_autoptr (GwManifestResult) result = NULL;
  g_autoptr (GError) error = NULL;
  gboolean done = gw_inventory_import_manifest_finish (work->service->services->inventory, res, &result, &error);

  end_work (work, done, result != NULL ? manifest_result (result) : NULL, error);
}

static gboolean
may_start (GwInventoryService *self, GError **error)
{
  if (self->running < RUNNING_MAX)
    return TRUE;
  g_set_error (error, GW_ERROR, GW_ERROR_LIMIT, "%u changes of the inventory are under way: wait until one has ended", self->running);
  return FALSE;
}

static gboolean
on_import_manifest (GwDBusInventory *skeleton,
                    GDBusMethodInvocation *invocation,
                    GUnixFDList *fds,
                    GVariant *manifest,
                    GVariant *signature,
                    GVariant *options,
                    GwInventoryService *self)
{
  const char *name = NULL;
  gint32 report_index = -1;
  gw_autofd int content_fd = -1, signature_fd = -1, report_fd = -1;
  GError *error = NULL;
  GwJob *job;
  Work *work;

  if (!gw_options_check (options, &error, "name", "s", &name, "report", "h", &report_index, NULL)
      || (name != NULL && !gw_options_check_text (name, GW_INVENTORY_NAME_MAX, "name", &error)) || !may_start (self, &error))
    return fail_call (invocation, error);
  content_fd = gw_options_take_fd (fds, g_variant_get_handle (manifest), GW_OPTIONS_FD_READ, "manifest", &error);
  if (content_fd >= 0)
    signature_fd = gw_options_take_fd (fds, g_variant_get_handle (signature), GW_OPTIONS_FD_READ, "signature", &error);
  if (signature_fd >= 0 && report_index >= 0)
    report_fd = gw_options_take_fd (fds, report_index, GW_OPTIONS_FD_WRITE, "report", &error);
  if (error != NULL)
    return fail_call (invocation, error);
  job = gw_job_start (self->services->objects, self->services->bouncer, "import-manifest", NULL, invocation, &error);
  if (job == NULL)
    return fail_call (invocation, error);
  gw_job_end_with_starter (job, self->services->connection);
  work = work_new (self, job);
  gw_dbus_inventory_complete_import_manifest (skeleton, invocation, NULL, gw_job_get_path (job));
  gw_inventory_import_manifest (self->services->inventory, content_fd, signature_fd, report_fd, name, on_progress, work,
                                gw_job_get_cancellable (job), on_imported, work);
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

/* ---- batches ---- */

static GVariant *
batch_result (const GwBatchResult *result)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{sv}"));
  add_count (&builder, "lines", result->lines);
  add_count (&builder, "claimed", result->accepted);
  add_count (&builder, "malformed", result->malformed);
  add_count (&builder, "unknown", result->unknown);
  add_count (&builder, "duplicate", result->duplicate);
  add_count (&builder, "already-claimed", result->claimed);
  g_variant_builder_add (&builder, "{sv}", "dry-run", g_variant_new_boolean (result->dry_run));
  return g_variant_builder_end (&builder);
}

static void
on_batch_added (GObject *source, GAsyncResult *res, gpointer data)
{
  Work *work = data;
  g_autoptr (GwBatchResult) result = NULL;
  g_autoptr (GError) error = NULL;
  gboolean done = gw_inventory_add_batch_finish (work->service->services->inventory, res, &result, &error);

  end_work (work, done, result != NULL ? batch_result (result) : NULL, error);
}

static gboolean
on_add_batch (GwDBusInventory *skeleton,
              GDBusMethodInvocation *invocation,
              GUnixFDList *fds,
              const char *name,
              const char *policy,
              GVariant *ids,
              GVariant *options,
              GwInventoryService *self)
{
  guint32 adopt_for = (guint32) (self->services->config->adoption_window / G_USEC_PER_SEC);
  gint32 report_index = -1;
  gboolean dry_run = FALSE;
  gw_autofd int ids_fd = -1, report_fd = -1;
  GError *error = NULL;
  GwJob *job;
  Work *work;

  if (!gw_options_check (options, &error, "dry-run", "b", &dry_run, "adopt-for", "u", &adopt_for, "report", "h", &report_index, NULL)
      || !gw_options_check_policy (self->services->policies, policy, &error) || !may_start (self, &error))
    return fail_call (invocation, error);
  if (!gw_inventory_name_is_valid (name))
    {
      g_set_error (&error, GW_ERROR, GW_ERROR_INVALID, "a batch's name has 1 to %d of a-z, A-Z, 0-9, '.', '_' and '-'",
                   GW_INVENTORY_NAME_MAX);
      return fail_call (invocation, error);
    }
  ids_fd = gw_options_take_fd (fds, g_variant_get_handle (ids), GW_OPTIONS_FD_READ, "list of ids", &error);
  if (ids_fd >= 0 && report_index >= 0)
    report_fd = gw_options_take_fd (fds, report_index, GW_OPTIONS_FD_WRITE, "report", &error);
  if (error != NULL)
    return fail_call (invocation, error);
  job = gw_job_start (self->services->objects, self->services->bouncer, "add-batch", NULL, invocation, &error);
  if (job == NULL)
    return fail_call (invocation, error);
  gw_job_end_with_starter (job, self->services->connection);
  work = work_new (self, job);
  work->dry_run = dry_run;
  gw_dbus_inventory_complete_add_batch (skeleton, invocation, NULL, gw_job_get_path (job));
  gw_inventory_add_batch (self->services->inventory, name, policy, ids_fd, report_fd,
                          gw_loop_realtime (self->services->loop) + (gint64) adopt_for * G_USEC_PER_SEC, dry_run, on_progress, work,
                          gw_job_get_cancellable (job), on_batch_added, work);
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

static void
on_batch_removed (GObject *source, GAsyncResult *res, gpointer data)
{
  Work *work = data;
  GError *error = NULL;

  if (gw_inventory_remove_batch_finish (work->service->services->inventory, res, &error))
    {
      inventory_changed (work->service);
      g_dbus_method_invocation_return_value (work->invocation, NULL);
    }
  else
    g_dbus_method_invocation_take_error (work->invocation, error);
  work_free (work);
}

static gboolean
on_remove_batch (GwDBusInventory *skeleton,
                 GDBusMethodInvocation *invocation,
                 const char *name,
                 GVariant *options,
                 GwInventoryService *self)
{
  GError *error = NULL;
  Work *work;

  if (!gw_options_check (options, &error, NULL) || !may_start (self, &error))
    return fail_call (invocation, error);
  work = work_new (self, NULL);
  work->invocation = invocation;
  gw_inventory_remove_batch (self->services->inventory, name, on_batch_removed, work);
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

/* ---- looking ---- */

static gboolean
on_lookup (GwDBusInventory *skeleton, GDBusMethodInvocation *invocation, const char *id, GwInventoryService *self)
{
  g_autoptr (GwAdmission) admission = NULL;
  guint8 kid[GW_KEY_ID_LEN];
  GVariantBuilder builder;
  GError *error = NULL;

  if (!gw_key_id_parse (id, kid))
    {
      g_set_error_literal (&error, GW_ERROR, GW_ERROR_INVALID, "a key id has 64 lower-case hex digits");
      return fail_call (invocation, error);
    }
  admission = gw_inventory_decide (self->services->inventory, kid, self->services->policies, &error);
  if (admission != NULL && !admission->in_manifest && !admission->claimed)
    g_set_error_literal (&error, GW_ERROR, GW_ERROR_NOT_FOUND,
                         "this chip is in no manifest: import the vendor's with `gangwayctl inventory import`");
  if (error != NULL)
    return fail_call (invocation, error);
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{sv}"));
  g_variant_builder_add (&builder, "{sv}", "key-id", g_variant_new_string (id));
  if (admission->in_manifest)
    {
      g_variant_builder_add (&builder, "{sv}", "manifest", g_variant_new_string (admission->manifest));
      g_variant_builder_add (&builder, "{sv}", "manufacturer", g_variant_new_string (admission->manufacturer));
      g_variant_builder_add (&builder, "{sv}", "model", g_variant_new_string (admission->model));
      g_variant_builder_add (&builder, "{sv}", "serial-number", g_variant_new_string (admission->serial));
    }
  if (admission->batch != NULL)
    g_variant_builder_add (&builder, "{sv}", "batch", g_variant_new_string (admission->batch));
  if (admission->policy != NULL)
    g_variant_builder_add (&builder, "{sv}", "policy", g_variant_new_string (admission->policy));
  gw_dbus_inventory_complete_lookup (skeleton, invocation, g_variant_builder_end (&builder));
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

typedef GVariant *(*RowFunc) (gconstpointer info);

/* Answers with a row for each of @list, or with why there is none; takes @error over. */
static gboolean
answer_list (GDBusMethodInvocation *invocation, GPtrArray *list, const char *type, RowFunc row, GError *error)
{
  GVariantBuilder builder;

  if (list == NULL)
    return fail_call (invocation, error);
  g_variant_builder_init (&builder, G_VARIANT_TYPE (type));
  for (guint i = 0; i < list->len; i++)
    g_variant_builder_add_value (&builder, row (g_ptr_array_index (list, i)));
  g_dbus_method_invocation_return_value (invocation, g_variant_new ("(@*)", g_variant_builder_end (&builder)));
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

static GVariant *
batch_row (gconstpointer data)
{
  const GwBatchInfo *info = data;

  return g_variant_new ("(ssttt)", info->name, info->policy, info->ids, (guint64) info->added / G_USEC_PER_SEC,
                        (guint64) info->adopt_until / G_USEC_PER_SEC);
}

static gboolean
on_list_batches (GwDBusInventory *skeleton, GDBusMethodInvocation *invocation, GwInventoryService *self)
{
  GError *error = NULL;
  g_autoptr (GPtrArray) batches = gw_inventory_list_batches (self->services->inventory, &error);

  return answer_list (invocation, batches, "a(ssttt)", batch_row, error);
}

static GVariant *
manifest_row (gconstpointer data)
{
  const GwManifestInfo *info = data;

  return g_variant_new ("(sstt)", info->name, info->signer, info->chips, (guint64) info->imported / G_USEC_PER_SEC);
}

static gboolean
on_list_manifests (GwDBusInventory *skeleton, GDBusMethodInvocation *invocation, GwInventoryService *self)
{
  GError *error = NULL;
  g_autoptr (GPtrArray) manifests = gw_inventory_list_manifests (self->services->inventory, &error);

  return answer_list (invocation, manifests, "a(sstt)", manifest_row, error);
}

/* ---- Approve ---- */

static void
finish_approval (GwInventoryService *self, GDBusMethodInvocation *invocation, const guint8 *kid)
{
  GwEndpoint *endpoint = gw_roster_lookup (self->roster, kid);
  GError *error = NULL;

  if (endpoint == NULL)
    g_dbus_method_invocation_return_value (invocation, NULL);
  else if (gw_roster_approve (self->roster, endpoint, &error))
    gw_endpoint_service_answer_saved (self->services, endpoint, invocation);
  else
    fail_call (invocation, error);
}

static void
on_claimed (GObject *source, GAsyncResult *res, gpointer data)
{
  Work *work = data;
  GwInventoryService *self = work->service;
  GError *error = NULL;

  if (!gw_inventory_approve_finish (self->services->inventory, res, &error))
    fail_call (work->invocation, error);
  else
    {
      show_counts (self);
      finish_approval (self, work->invocation, work->kid);
    }
  work_free (work);
}

/* Looked at before anything is changed; @claim: the policy that is to claim the chip. */
static gboolean
may_approve (GwInventoryService *self, const guint8 *kid, const char *policy, char **claim, GError **error)
{
  GwEndpoint *endpoint = gw_roster_lookup (self->roster, kid);
  g_autoptr (GwAdmission) admission = NULL;

  if (endpoint != NULL && !gw_roster_can_approve (self->roster, endpoint, error))
    return FALSE;
  admission = gw_inventory_decide (self->services->inventory, kid, self->services->policies, error);
  if (admission == NULL)
    return FALSE;
  *claim = g_strdup (*policy != '\0' ? policy : admission->policy);
  if (!admission->in_manifest)
    g_set_error (error, GW_ERROR, GW_ERROR_NOT_TRUSTED, "%s: %s", admission->reason, admission->remedy);
  else if (*claim == NULL)
    g_set_error_literal (error, GW_ERROR, GW_ERROR_UNCLAIMED,
                         "no batch claims this chip: name a policy, as in `gangwayctl approve ID --policy NAME`");
  else
    return TRUE;
  return FALSE;
}

static gboolean
on_approve (GwDBusInventory *skeleton,
            GDBusMethodInvocation *invocation,
            const char *id,
            const char *policy,
            GVariant *options,
            GwInventoryService *self)
{
  g_autofree char *claim = NULL;
  guint8 kid[GW_KEY_ID_LEN];
  GError *error = NULL;
  Work *work;

  if (!gw_options_check (options, &error, NULL)
      || (*policy != '\0' && !gw_options_check_policy (self->services->policies, policy, &error)) || !may_start (self, &error))
    return fail_call (invocation, error);
  if (!gw_key_id_parse (id, kid))
    {
      GwEndpoint *endpoint = gw_roster_find (self->roster, id, &error);

      if (endpoint == NULL)
        return fail_call (invocation, error);
      memcpy (kid, gw_endpoint_get_record (endpoint)->kid, sizeof kid);
    }
  if (!may_approve (self, kid, policy, &claim, &error))
    return fail_call (invocation, error);
  /* Also where a claim stands: it opens the window for first use anew. */
  work = work_new (self, NULL);
  work->invocation = invocation;
  memcpy (work->kid, kid, sizeof kid);
  gw_inventory_approve (self->services->inventory, kid, claim,
                        gw_loop_realtime (self->services->loop) + self->services->config->adoption_window, on_claimed, work);
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

GwInventoryService *
gw_inventory_service_new (const GwServices *services, GwRoster *roster, GError **error)
{
  GwInventoryService *self = g_new0 (GwInventoryService, 1);

  self->services = services;
  self->roster = roster;
  self->skeleton = gw_dbus_inventory_skeleton_new ();
  gw_bouncer_guard (services->bouncer, G_DBUS_INTERFACE_SKELETON (self->skeleton));
  g_signal_connect (self->skeleton, "handle-import-manifest", G_CALLBACK (on_import_manifest), self);
  g_signal_connect (self->skeleton, "handle-add-batch", G_CALLBACK (on_add_batch), self);
  g_signal_connect (self->skeleton, "handle-remove-batch", G_CALLBACK (on_remove_batch), self);
  g_signal_connect (self->skeleton, "handle-lookup", G_CALLBACK (on_lookup), self);
  g_signal_connect (self->skeleton, "handle-list-batches", G_CALLBACK (on_list_batches), self);
  g_signal_connect (self->skeleton, "handle-list-manifests", G_CALLBACK (on_list_manifests), self);
  g_signal_connect (self->skeleton, "handle-approve", G_CALLBACK (on_approve), self);
  show_counts (self);
  if (g_dbus_interface_skeleton_export (G_DBUS_INTERFACE_SKELETON (self->skeleton), services->connection, GW_OBJECT_ROOT, error))
    return self;
  gw_inventory_service_free (self);
  return NULL;
}

void
gw_inventory_service_free (GwInventoryService *self)
{
  g_signal_handlers_disconnect_by_data (self->skeleton, self);
  g_dbus_interface_skeleton_unexport (G_DBUS_INTERFACE_SKELETON (self->skeleton));
  g_clear_object (&self->skeleton);
  g_free (self);
}
