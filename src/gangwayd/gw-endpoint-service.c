/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See gw-endpoint-service.h. Changes are gathered and shown in one idle turn, so that a storm of events costs one PropertiesChanged an
 * object. Counters are the skeleton's, which asks for them.
 */

#include "config.h"

#include "gw-endpoint-service.h"

#include <string.h>

#include "gw-command.h"
#include "gw-dbus.h"
#include "gw-endpoint-skeleton.h"
#include "gw-error.h"
#include "gw-job.h"
#include "gw-options.h"
#include "gw-points-service.h"

#define IDENTIFY_MSEC 5000
/* Hex digits of the key id in the object path. */
#define PATH_DIGITS 16

/* A claim that Onboard waits for; finds out by @service whether anybody still does. */
typedef struct
{
  GwEndpointService *service; /* NULL: cancelled, or the endpoint is gone */
  GwInventory *inventory;
} Approval;

struct _GwEndpointService
{
  const GwServices *services;
  GwRoster *roster;
  GwEndpoint *endpoint;
  GwDBusObjectSkeleton *object;
  GwDBusEndpoint *skeleton; /* a GwEndpointSkeleton */
  char *path;
  GwCensus *census;
  GwCensusPlace place;
  GwStep show;
  GwPointsService *points;
  GwCommands *commands;
  GwJob *job;
  gulong job_cancel;
  Approval *approval; /* under way for the job */
};

static gint64
last_seen (GwEndpointService *self)
{
  GwSession *session = gw_endpoint_get_session (self->endpoint);
  GwLoop *loop = self->services->loop;

  if (session == NULL)
    return gw_endpoint_get_record (self->endpoint)->last_seen;
  return gw_loop_realtime (loop) - (gw_loop_now (loop) - gw_session_get_last_heard (session));
}

static void
ask_figures (guint64 *figures, gpointer data)
{
  GwEndpointService *self = data;
  GwSpoolCounters counters;

  gw_spool_get_counters (self->services->spool, gw_endpoint_get_record (self->endpoint)->kid, &counters);
  figures[GW_ENDPOINT_FIGURE_LAST_SEEN] = (guint64) (last_seen (self) / G_USEC_PER_SEC / 60 * 60);
  figures[GW_ENDPOINT_FIGURE_ACKNOWLEDGED] = counters.stored;
  figures[GW_ENDPOINT_FIGURE_DELIVERED] = counters.acked;
  figures[GW_ENDPOINT_FIGURE_LOST] = counters.lost;
}

static void
touch_figures (GwEndpointService *self)
{
  gw_endpoint_skeleton_touch (GW_ENDPOINT_SKELETON (self->skeleton));
}

static char *
hex (const guint8 *octets, gsize len)
{
  GString *text = g_string_sized_new (2 * len);

  for (gsize i = 0; i < len; i++)
    g_string_append_printf (text, "%02x", octets[i]);
  return g_string_free (text, FALSE);
}

static void
show (gpointer data)
{
  GwEndpointService *self = data;
  GwEndpoint *endpoint = self->endpoint;
  const GwEndpointRecord *record = gw_endpoint_get_record (endpoint);
  const GwIdentPuf *puf = gw_endpoint_get_puf (endpoint);
  GwPresence presence = gw_endpoint_get_presence (endpoint);
  g_autofree char *fingerprint = record->certificate != NULL ? hex (record->fingerprint, 32) : g_strdup ("");
  GwEndpointLabels labels;

  gw_endpoint_get_labels (endpoint, &labels);
  g_object_set (self->skeleton, "name", gw_endpoint_get_name (endpoint), "manufacturer", labels.manufacturer, "model", labels.model,
                "serial-number", labels.serial_number, "firmware-version", labels.firmware, "root-of-trust", labels.root_of_trust,
                "state", gw_endpoint_get_state (endpoint), "state-reason", gw_endpoint_get_reason (endpoint), "lifecycle",
                gw_lifecycle_to_string (record->lifecycle), "presence", gw_presence_to_string (presence), "bus",
                gw_endpoint_get_bus (endpoint), "address", (guint) gw_endpoint_get_address (endpoint), "policy",
                record->policy != NULL ? record->policy : "", "batch", record->batch != NULL ? record->batch : "",
                "key-generation", record->certificate != NULL ? record->generation : 0, "certificate-fingerprint", fingerprint, "certificate-not-after",
                (guint64) (record->not_after / G_USEC_PER_SEC), "connected", presence == GW_PRESENCE_ONLINE, "puf-health",
                g_variant_new ("(buu)", puf->ok, puf->fixed, puf->max), NULL);
  touch_figures (self); /* a session that ends is seen last then */
  gw_census_count (self->census, &self->place, gw_endpoint_get_state (endpoint), record->policy);
}

/* ---- the endpoint tells ---- */

static void
on_changed (GwEndpoint *endpoint, gpointer data)
{
  GwEndpointService *self = data;

  gw_step_queue (&self->show);
}

static void
end_job (GwEndpointService *self, const GError *error)
{
  g_autoptr (GwJob) job = g_steal_pointer (&self->job);

  if (job == NULL)
    return;
  g_signal_handler_disconnect (gw_job_get_cancellable (job), self->job_cancel);
  /* What the job changed is seen before its end is. */
  gw_step_cancel (&self->show);
  show (self);
  g_dbus_interface_skeleton_flush (G_DBUS_INTERFACE_SKELETON (self->skeleton));
  if (error != NULL)
    gw_job_end_error (job, error, NULL);
  else
    gw_job_end (job, NULL);
}

static void
on_settled (GwEndpoint *endpoint, const GError *error, gpointer data)
{
  end_job (data, error);
}

static void
on_stage (GwEndpoint *endpoint, double progress, const char *stage, gpointer data)
{
  GwEndpointService *self = data;

  if (self->job != NULL)
    gw_job_set_stage (self->job, progress, stage);
}

static void
on_counted (GwEndpoint *endpoint, gpointer data)
{
  touch_figures (data);
}

static void
on_reported (GwEndpoint *endpoint, GwBytes body, gpointer data)
{
  GwEndpointService *self = data;

  touch_figures (self);
  gw_points_service_report (self->points, body);
}

static void
on_command (GwEndpoint *endpoint, const GwUplinkMessage *message, gpointer data)
{
  GwEndpointService *self = data;

  gw_commands_take (self->commands, message);
}

static void
on_ready (GwEndpoint *endpoint, gpointer data)
{
  GwEndpointService *self = data;

  gw_points_service_begin (self->points);
}

static const GwEndpointListener listener = {
  .changed = on_changed,
  .stage = on_stage,
  .settled = on_settled,
  .ready = on_ready,
  .counted = on_counted,
  .reported = on_reported,
  .command = on_command,
};

/* ---- people ask ---- */

static void
forget_approval (GwEndpointService *self)
{
  if (self->approval != NULL)
    self->approval->service = NULL;
  self->approval = NULL;
}

static void
on_job_cancelled (GCancellable *cancellable, gpointer data)
{
  GwEndpointService *self = data;
  g_autoptr (GError) error = NULL;

  if (self->approval == NULL)
    {
      gw_endpoint_cancel_run (self->endpoint);
      return;
    }
  forget_approval (self);
  error = g_error_new_literal (GW_ERROR, GW_ERROR_CANCELLED, "cancelled before it began; the chip may be claimed already");
  end_job (self, error);
}

/* Starts the job of a run; NULL with the call answered. */
static gboolean
start_job (GwEndpointService *self, GDBusMethodInvocation *invocation, const char *kind)
{
  GError *error = NULL;

  if (self->job != NULL)
    {
      g_dbus_method_invocation_return_error (invocation, GW_ERROR, GW_ERROR_BUSY, "%s works on this endpoint already",
                                             gw_job_get_path (self->job));
      return FALSE;
    }
  self->job = gw_job_start (self->services->objects, self->services->bouncer, kind, self->path, invocation, &error);
  if (self->job == NULL)
    {
      g_dbus_method_invocation_take_error (invocation, error);
      return FALSE;
    }
  self->job_cancel = g_signal_connect (gw_job_get_cancellable (self->job), "cancelled", G_CALLBACK (on_job_cancelled), self);
  return TRUE;
}

static void
on_approved (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autofree Approval *approval = data;
  GwEndpointService *self = approval->service;
  g_autoptr (GError) error = NULL;
  gboolean done = gw_inventory_approve_finish (approval->inventory, result, &error);

  if (self == NULL)
    return;
  self->approval = NULL;
  if (!done || !gw_endpoint_onboard (self->endpoint, &error))
    end_job (self, error);
}

static void
approve_first (GwEndpointService *self, const char *policy)
{
  const GwServices *services = self->services;

  self->approval = g_new0 (Approval, 1);
  self->approval->service = self;
  self->approval->inventory = services->inventory;
  gw_inventory_approve (services->inventory, gw_endpoint_get_record (self->endpoint)->kid, policy,
                        gw_loop_realtime (services->loop) + services->config->adoption_window, on_approved, self->approval);
}

static gboolean
on_onboard (GwDBusEndpoint *skeleton,
            GDBusMethodInvocation *invocation,
            const char *policy,
            GVariant *options,
            GwEndpointService *self)
{
  const GwServices *services = self->services;
  g_autoptr (GwAdmission) admission = NULL;
  g_autofree char *wanted = g_strdup (policy); /* the call's own goes with its answer */
  g_autoptr (GError) error = NULL;

  if (gw_options_check (options, &error, NULL)
      && (*wanted == '\0' || gw_options_check_policy (services->policies, wanted, &error))
      && gw_endpoint_can_onboard (self->endpoint, *wanted != '\0', &error))
    admission
        = gw_inventory_decide (services->inventory, gw_endpoint_get_record (self->endpoint)->kid, services->policies, &error);
  if (admission == NULL)
    {
      g_dbus_method_invocation_return_gerror (invocation, error);
      return G_DBUS_METHOD_INVOCATION_HANDLED;
    }
  if (!start_job (self, invocation, "onboard"))
    return G_DBUS_METHOD_INVOCATION_HANDLED;
  /* The answer goes first: a caller must know the job before it can hear of its end. */
  gw_dbus_endpoint_complete_onboard (skeleton, invocation, gw_job_get_path (self->job));
  if (*wanted != '\0' && (!admission->claimed || g_strcmp0 (wanted, admission->policy) != 0))
    approve_first (self, wanted);
  else if (!gw_endpoint_onboard (self->endpoint, &error))
    end_job (self, error);
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

static gboolean
renew (GwEndpointService *self, GDBusMethodInvocation *invocation, GVariant *options, gboolean rekey)
{
  g_autoptr (GError) error = NULL;

  if (!gw_options_check (options, &error, NULL) || !gw_endpoint_can_renew (self->endpoint, &error))
    {
      g_dbus_method_invocation_return_gerror (invocation, error);
      return G_DBUS_METHOD_INVOCATION_HANDLED;
    }
  if (!start_job (self, invocation, rekey ? "rekey" : "renew"))
    return G_DBUS_METHOD_INVOCATION_HANDLED;
  g_dbus_method_invocation_return_value (invocation, g_variant_new ("(o)", gw_job_get_path (self->job)));
  if (!gw_endpoint_renew (self->endpoint, rekey, &error))
    end_job (self, error);
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

static gboolean
on_renew (GwDBusEndpoint *skeleton, GDBusMethodInvocation *invocation, GVariant *options, GwEndpointService *self)
{
  return renew (self, invocation, options, FALSE);
}

static gboolean
on_rekey (GwDBusEndpoint *skeleton, GDBusMethodInvocation *invocation, GVariant *options, GwEndpointService *self)
{
  return renew (self, invocation, options, TRUE);
}

static void
on_saved (gpointer data, const GError *error)
{
  GDBusMethodInvocation *invocation = data;

  if (error != NULL)
    g_dbus_method_invocation_return_gerror (invocation, error);
  else
    g_dbus_method_invocation_return_value (invocation, NULL);
}

typedef gboolean (*Decision) (GwEndpoint *endpoint, const char *reason, GError **error);

void
gw_endpoint_service_answer_saved (const GwServices *services, GwEndpoint *endpoint, GDBusMethodInvocation *invocation)
{
  gw_db_save_endpoint_async (services->writer, gw_endpoint_get_record (endpoint), on_saved, invocation);
}

static gboolean
decide (GwEndpointService *self, GDBusMethodInvocation *invocation, const char *reason, Decision decision)
{
  g_autoptr (GError) error = NULL;

  if (!gw_options_check_text (reason, GW_ENDPOINT_REASON_MAX, "reason", &error) || !decision (self->endpoint, reason, &error))
    g_dbus_method_invocation_return_gerror (invocation, error);
  else
    gw_endpoint_service_answer_saved (self->services, self->endpoint, invocation);
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

static gboolean
on_quarantine (GwDBusEndpoint *skeleton, GDBusMethodInvocation *invocation, const char *reason, GwEndpointService *self)
{
  return decide (self, invocation, reason, gw_endpoint_quarantine);
}

static gboolean
on_revoke (GwDBusEndpoint *skeleton, GDBusMethodInvocation *invocation, const char *reason, GwEndpointService *self)
{
  return decide (self, invocation, reason, gw_endpoint_revoke);
}

/* Its claim goes first: where that fails nothing has changed, and the caller may try again. */
typedef struct
{
  const GwServices *services;
  GwRoster *roster;
  GDBusMethodInvocation *invocation;
  char *reason;
  guint8 kid[GW_KEY_ID_LEN];
} Decommission;

static void
on_withdrawn (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autofree Decommission *work = data;
  g_autofree char *reason = work->reason;
  g_autoptr (GError) error = NULL;
  GwEndpoint *endpoint = gw_roster_lookup (work->roster, work->kid);

  if (!gw_inventory_withdraw_finish (work->services->inventory, result, &error))
    g_dbus_method_invocation_return_gerror (work->invocation, error);
  else if (endpoint == NULL)
    g_dbus_method_invocation_return_value (work->invocation, NULL);
  else if (gw_endpoint_decommission (endpoint, reason, &error))
    gw_endpoint_service_answer_saved (work->services, endpoint, work->invocation);
  else
    g_dbus_method_invocation_return_gerror (work->invocation, error);
}

static gboolean
on_decommission (GwDBusEndpoint *skeleton, GDBusMethodInvocation *invocation, const char *reason, GwEndpointService *self)
{
  g_autoptr (GError) error = NULL;
  Decommission *work;

  if (!gw_options_check_text (reason, GW_ENDPOINT_REASON_MAX, "reason", &error))
    {
      g_dbus_method_invocation_return_gerror (invocation, error);
      return G_DBUS_METHOD_INVOCATION_HANDLED;
    }
  work = g_new0 (Decommission, 1);
  work->services = self->services;
  work->roster = self->roster;
  work->invocation = invocation;
  work->reason = g_strdup (reason);
  memcpy (work->kid, gw_endpoint_get_record (self->endpoint)->kid, sizeof work->kid);
  gw_inventory_withdraw (self->services->inventory, work->kid, on_withdrawn, work);
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

static gboolean
on_set_name (GwDBusEndpoint *skeleton, GDBusMethodInvocation *invocation, const char *name, GwEndpointService *self)
{
  g_autoptr (GError) error = NULL;

  if (*name != '\0' && gw_options_check_text (name, GW_ENDPOINT_NAME_MAX, "name", &error)
      && gw_roster_name_is_taken (self->roster, name, self->endpoint))
    g_set_error (&error, GW_ERROR, GW_ERROR_EXISTS, "another endpoint is called '%s': choose another name", name);
  if (error != NULL)
    {
      g_dbus_method_invocation_return_gerror (invocation, error);
      return G_DBUS_METHOD_INVOCATION_HANDLED;
    }
  gw_endpoint_set_name (self->endpoint, *name != '\0' ? name : NULL);
  gw_endpoint_service_answer_saved (self->services, self->endpoint, invocation);
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

static void
on_identified (const GwSmpResult *result, GwBytes body, const GError *error, gpointer data)
{
  g_autoptr (GDBusMethodInvocation) invocation = data;

  if (error != NULL)
    g_dbus_method_invocation_return_gerror (g_steal_pointer (&invocation), error);
  else
    g_dbus_method_invocation_return_value (g_steal_pointer (&invocation), NULL);
}

static gboolean
on_identify (GwDBusEndpoint *skeleton, GDBusMethodInvocation *invocation, GwEndpointService *self)
{
  GwSession *session = gw_endpoint_get_session (self->endpoint);
  GwIdentIdentify request = { IDENTIFY_MSEC };
  guint8 buffer[32];
  GwCborWriter body;

  if (session == NULL)
    {
      g_dbus_method_invocation_return_error (invocation, GW_ERROR, GW_ERROR_OFFLINE,
                                             "the endpoint has no proven session: plug it in first");
      return G_DBUS_METHOD_INVOCATION_HANDLED;
    }
  gw_cbor_writer_init (&body, buffer, sizeof buffer);
  gw_ident_identify_encode (&request, &body);
  gw_session_request (session, GW_SMP_OP_WRITE, GW_SESSION_GROUP_IDENT, GW_IDENT_IDENTIFY, &body, GW_SMP_PATIENCE_NORMAL,
                      on_identified, invocation);
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

static void
connect_methods (GwEndpointService *self)
{
  g_signal_connect (self->skeleton, "handle-onboard", G_CALLBACK (on_onboard), self);
  g_signal_connect (self->skeleton, "handle-renew", G_CALLBACK (on_renew), self);
  g_signal_connect (self->skeleton, "handle-rekey", G_CALLBACK (on_rekey), self);
  g_signal_connect (self->skeleton, "handle-quarantine", G_CALLBACK (on_quarantine), self);
  g_signal_connect (self->skeleton, "handle-revoke", G_CALLBACK (on_revoke), self);
  g_signal_connect (self->skeleton, "handle-decommission", G_CALLBACK (on_decommission), self);
  g_signal_connect (self->skeleton, "handle-set-name", G_CALLBACK (on_set_name), self);
  g_signal_connect (self->skeleton, "handle-identify", G_CALLBACK (on_identify), self);
}

/* The shortest path from PATH_DIGITS on that nobody has. */
static char *
choose_path (GwEndpointService *self)
{
  const char *id = gw_endpoint_get_id (self->endpoint);

  for (int digits = PATH_DIGITS;; digits++)
    {
      g_autofree char *path = g_strdup_printf (GW_ENDPOINT_PATH_PREFIX "%.*s", digits, id);

      if (!gw_objects_has (self->services->objects, path) || digits >= (int) GW_KEY_ID_TEXT_LEN)
        return g_steal_pointer (&path);
    }
}

GwEndpointService *
gw_endpoint_service_new (GwRoster *roster, GwEndpoint *endpoint, GwCensus *census)
{
  GwEndpointService *self = g_new0 (GwEndpointService, 1);

  self->services = gw_endpoint_get_services (endpoint);
  self->roster = roster;
  self->endpoint = endpoint;
  self->census = census;
  self->path = choose_path (self);
  gw_step_init (&self->show, self->services->loop, show, self);
  self->skeleton = GW_DBUS_ENDPOINT (gw_endpoint_skeleton_new (self->services->loop, ask_figures, self));
  gw_dbus_endpoint_set_id (self->skeleton, gw_endpoint_get_id (endpoint));
  gw_bouncer_guard (self->services->bouncer, G_DBUS_INTERFACE_SKELETON (self->skeleton));
  connect_methods (self);
  show (self);
  self->object = gw_dbus_object_skeleton_new (self->path);
  gw_dbus_object_skeleton_set_endpoint (self->object, self->skeleton);
  self->points = gw_points_service_new (endpoint, self->object);
  self->commands = gw_commands_new (endpoint, gw_points_service_get_points (self->points));
  gw_objects_add (self->services->objects, G_DBUS_OBJECT_SKELETON (self->object));
  gw_endpoint_set_listener (endpoint, &listener, self);
  return self;
}

void
gw_endpoint_service_free (GwEndpointService *self)
{
  gw_endpoint_set_listener (self->endpoint, NULL, NULL);
  gw_step_cancel (&self->show);
  gw_endpoint_skeleton_close (GW_ENDPOINT_SKELETON (self->skeleton));
  forget_approval (self);
  if (self->job != NULL)
    {
      g_autoptr (GError) error = g_error_new_literal (GW_ERROR, GW_ERROR_CANCELLED, "the agent stops, or has forgotten the endpoint");

      end_job (self, error);
    }
  gw_commands_free (self->commands);
  gw_points_service_free (self->points);
  g_signal_handlers_disconnect_by_data (self->skeleton, self);
  gw_objects_remove (self->services->objects, self->path);
  gw_census_leave (self->census, &self->place);
  g_clear_object (&self->object);
  g_clear_object (&self->skeleton);
  g_free (self->path);
  g_free (self);
}
