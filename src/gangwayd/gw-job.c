/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One Job object. The worker holds a reference while it works; the object itself keeps another until it has lingered after its end,
 * so that a client that was slow to look still finds the result.
 */

#include "config.h"

#include "gw-job.h"

#include "gw-dbus.h"
#include "gw-error.h"

struct _GwJob
{
  GObject parent_instance;
  GwObjects *manager;
  GwDBusJob *skeleton;
  GCancellable *cancellable;
  char *path;
  char *starter;
  guint starter_watch;
  guint linger;
  gboolean running;
};

G_DEFINE_FINAL_TYPE (GwJob, gw_job, G_TYPE_OBJECT)

static guint job_serial;
static guint job_count;
static GQueue ended = G_QUEUE_INIT; /* those that linger, oldest first */

static void
gw_job_dispose (GObject *object)
{
  GwJob *self = GW_JOB (object);

  g_clear_handle_id (&self->linger, g_source_remove);
  g_clear_handle_id (&self->starter_watch, g_bus_unwatch_name);
  g_queue_remove (&ended, self);
  if (self->path != NULL && self->manager != NULL)
    {
      gw_objects_remove (self->manager, self->path);
      job_count--;
    }
  g_clear_object (&self->manager);
  g_clear_object (&self->skeleton);
  g_clear_object (&self->cancellable);
  G_OBJECT_CLASS (gw_job_parent_class)->dispose (object);
}

static void
gw_job_finalize (GObject *object)
{
  GwJob *self = GW_JOB (object);

  g_free (self->path);
  g_free (self->starter);
  G_OBJECT_CLASS (gw_job_parent_class)->finalize (object);
}

static void
gw_job_class_init (GwJobClass *class)
{
  G_OBJECT_CLASS (class)->dispose = gw_job_dispose;
  G_OBJECT_CLASS (class)->finalize = gw_job_finalize;
}

static void
gw_job_init (GwJob *self)
{
  self->cancellable = g_cancellable_new ();
}

static gboolean
on_cancel (GwDBusJob *skeleton, GDBusMethodInvocation *invocation, GwJob *self)
{
  if (!self->running)
    {
      g_dbus_method_invocation_return_error (invocation, GW_ERROR, GW_ERROR_BAD_STATE, "the job has ended: it is %s",
                                             gw_dbus_job_get_state (skeleton));
      return G_DBUS_METHOD_INVOCATION_HANDLED;
    }
  gw_dbus_job_complete_cancel (skeleton, invocation);
  g_cancellable_cancel (self->cancellable);
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

static void
forget (GwJob *self)
{
  self->linger = 0;
  g_object_run_dispose (G_OBJECT (self));
  g_object_unref (self);
}

static gboolean
on_lingered (gpointer data)
{
  forget (data);
  return G_SOURCE_REMOVE;
}

/* Room for one more: what has ended makes way before anybody is refused. */
static gboolean
make_room (GError **error)
{
  GwJob *oldest;

  if (job_count < GW_JOB_MAX)
    return TRUE;
  oldest = g_queue_peek_head (&ended);
  if (oldest == NULL)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_LIMIT, "%u jobs are under way: wait until one has ended", job_count);
      return FALSE;
    }
  g_source_remove (oldest->linger);
  forget (oldest);
  return TRUE;
}

GwJob *
gw_job_start (GwObjects *manager,
              GwBouncer *bouncer,
              const char *kind,
              const char *object,
              GDBusMethodInvocation *invocation,
              GError **error)
{
  g_autoptr (GwDBusObjectSkeleton) exported = NULL;
  const char *objects[] = { object, NULL };
  GwJob *self;

  if (!make_room (error))
    return NULL;
  self = g_object_new (GW_TYPE_JOB, NULL);
  self->running = TRUE;
  self->manager = g_object_ref (manager);
  self->path = g_strdup_printf ("%s/job/%u", gw_objects_get_path (manager), ++job_serial);
  self->skeleton = gw_dbus_job_skeleton_new ();
  g_object_set (self->skeleton, "kind", kind, "objects", objects, "state", "running", "progress", 0.0, "stage", "starting",
                "started-at", (guint64) (g_get_real_time () / G_USEC_PER_SEC), "error", g_variant_new ("(ss)", "", ""), "result",
                g_variant_new ("a{sv}", NULL), NULL);
  self->starter = g_strdup (g_dbus_method_invocation_get_sender (invocation));
  gw_bouncer_guard_job (bouncer, G_DBUS_INTERFACE_SKELETON (self->skeleton), invocation);
  g_signal_connect_object (self->skeleton, "handle-cancel", G_CALLBACK (on_cancel), self, 0);
  exported = gw_dbus_object_skeleton_new (self->path);
  gw_dbus_object_skeleton_set_job (exported, self->skeleton);
  gw_objects_add (manager, G_DBUS_OBJECT_SKELETON (exported));
  job_count++;
  return g_object_ref (self);
}

const char *
gw_job_get_path (GwJob *self)
{
  return self->path;
}

GCancellable *
gw_job_get_cancellable (GwJob *self)
{
  return self->cancellable;
}

void
gw_job_set_stage (GwJob *self, double progress, const char *stage)
{
  if (!self->running)
    return;
  gw_dbus_job_set_progress (self->skeleton, progress);
  gw_dbus_job_set_stage (self->skeleton, stage);
}

static void
on_starter_vanished (GDBusConnection *connection, const char *name, gpointer data)
{
  GwJob *self = data;

  if (self->running)
    g_cancellable_cancel (self->cancellable);
}

void
gw_job_end_with_starter (GwJob *self, GDBusConnection *connection)
{
  self->starter_watch = g_bus_watch_name_on_connection (connection, self->starter, G_BUS_NAME_WATCHER_FLAGS_NONE, NULL,
                                                        on_starter_vanished, self, NULL);
}

static void
finish (GwJob *self, const char *state, const char *name, const char *message, GVariant *result)
{
  self->running = FALSE;
  g_clear_handle_id (&self->starter_watch, g_bus_unwatch_name);
  gw_dbus_job_set_state (self->skeleton, state);
  gw_dbus_job_set_error (self->skeleton, g_variant_new ("(ss)", name, message));
  if (result != NULL)
    gw_dbus_job_set_result (self->skeleton, result);
  /* A signal overtakes property changes that wait for an idle callback: the last properties go first. */
  g_dbus_interface_skeleton_flush (G_DBUS_INTERFACE_SKELETON (self->skeleton));
  gw_dbus_job_emit_completed (self->skeleton, *name == '\0', name, message);
  self->linger = g_timeout_add_seconds (GW_JOB_LINGER_USEC / G_USEC_PER_SEC, on_lingered, self);
  g_queue_push_tail (&ended, self);
}

void
gw_job_end (GwJob *self, GVariant *result)
{
  g_autoptr (GVariant) owned = result != NULL ? g_variant_ref_sink (result) : NULL;

  if (!self->running)
    return;
  gw_dbus_job_set_progress (self->skeleton, 1.0);
  gw_dbus_job_set_stage (self->skeleton, "done");
  finish (self, "done", "", "", owned);
}

void
gw_job_end_error (GwJob *self, const GError *error, GVariant *result)
{
  g_autoptr (GVariant) owned = result != NULL ? g_variant_ref_sink (result) : NULL;
  g_autofree char *name = NULL;

  if (!self->running)
    return;
  name = g_dbus_error_encode_gerror (error);
  finish (self, g_error_matches (error, GW_ERROR, GW_ERROR_CANCELLED) ? "cancelled" : "failed", name, error->message, owned);
}
