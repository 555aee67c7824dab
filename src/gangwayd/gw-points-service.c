/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See gw-points-service.h. A watch ends with its watcher. What came between two Changed signals is told by the latest value of each
 * point: telemetry as such goes to the broker.
 */

#include "config.h"

#include "gw-points-service.h"

#include "gw-error.h"
#include "gw-options.h"

typedef struct
{
  GwPointsService *service;
  char *name;
  guint name_watch;
  GHashTable *ids; /* NULL: all */
} Watcher;

struct _GwPointsService
{
  const GwServices *services;
  GwPoints *points;
  GwDBusObjectSkeleton *object;
  GwDBusPoints *skeleton;
  guint n_reads;        /* callers that wait for values */
  GHashTable *watchers; /* unique name -> Watcher */
  GHashTable *latest;   /* id -> GVariant (utv), not yet told */
  GwTimer tell;
};

static void
watcher_free (Watcher *watcher)
{
  g_bus_unwatch_name (watcher->name_watch);
  g_clear_pointer (&watcher->ids, g_hash_table_unref);
  g_free (watcher->name);
  g_free (watcher);
}

static GVariant *
describe (GwPoints *points)
{
  static const char *const types[]
      = { [GW_VALUE_BOOL] = "bool", [GW_VALUE_INT] = "int", [GW_VALUE_FLOAT] = "float", [GW_VALUE_TEXT] = "text", [GW_VALUE_BYTES] = "bytes" };
  GPtrArray *list = gw_points_list (points);
  GVariantBuilder all;

  g_variant_builder_init (&all, G_VARIANT_TYPE ("a(ussua{sv})"));
  for (guint i = 0; i < list->len; i++)
    {
      const GwPoint *point = g_ptr_array_index (list, i);
      GVariantBuilder details;

      g_variant_builder_init (&details, G_VARIANT_TYPE ("a{sv}"));
      g_variant_builder_add (&details, "{sv}", "type", g_variant_new_string (types[point->type]));
      if (point->has_low)
        g_variant_builder_add (&details, "{sv}", "low", g_variant_new_double (point->low));
      if (point->has_high)
        g_variant_builder_add (&details, "{sv}", "high", g_variant_new_double (point->high));
      if (point->has_step)
        g_variant_builder_add (&details, "{sv}", "step", g_variant_new_double (point->step));
      if (point->unsafe)
        g_variant_builder_add (&details, "{sv}", "unsafe", g_variant_new_boolean (TRUE));
      g_variant_builder_add (&all, "(ussua{sv})", point->id, point->name, point->unit, point->access, &details);
    }
  return g_variant_builder_end (&all);
}

static void
on_described (gpointer data)
{
  GwPointsService *self = data;

  gw_dbus_points_set_points (self->skeleton, describe (self->points));
  /* Shown once there is something to show; stays while the endpoint is away. */
  if (gw_dbus_object_peek_points (GW_DBUS_OBJECT (self->object)) == NULL)
    gw_dbus_object_skeleton_set_points (self->object, self->skeleton);
}

/* ---- calls ---- */

typedef struct
{
  GwPointsService *service; /* which ends its reads before itself */
  GDBusMethodInvocation *invocation;
} Reader;

static void
on_read_done (GVariant *values, const GError *error, gpointer data)
{
  Reader *reader = data;

  reader->service->n_reads--;
  if (error != NULL)
    g_dbus_method_invocation_return_gerror (reader->invocation, error);
  else
    g_dbus_method_invocation_return_value (reader->invocation, g_variant_new_tuple (&values, 1));
  g_free (reader);
}

static gboolean
on_read (GwDBusPoints *skeleton, GDBusMethodInvocation *invocation, GVariant *ids, GwPointsService *self)
{
  gsize n;
  const guint32 *wanted = g_variant_get_fixed_array (ids, &n, sizeof *wanted);
  Reader *reader;

  if (self->n_reads >= GW_POINTS_READS_MAX)
    {
      g_dbus_method_invocation_return_error_literal (invocation, GW_ERROR, GW_ERROR_BUSY,
                                                     "too many reads wait for this endpoint: try again when it has answered");
      return G_DBUS_METHOD_INVOCATION_HANDLED;
    }
  reader = g_new0 (Reader, 1);
  reader->service = self;
  reader->invocation = invocation;
  self->n_reads++;
  gw_points_read (self->points, wanted, n, on_read_done, reader);
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

static void
on_write_done (GVariant *value, gboolean repeated, const GError *error, gpointer data)
{
  GDBusMethodInvocation *invocation = data;

  if (error != NULL)
    g_dbus_method_invocation_return_gerror (invocation, error);
  else
    g_dbus_method_invocation_return_value (invocation, g_variant_new ("(v)", value));
}

static gboolean
on_write (GwDBusPoints *skeleton,
          GDBusMethodInvocation *invocation,
          guint32 id,
          GVariant *boxed,
          GVariant *options,
          GwPointsService *self)
{
  g_autoptr (GVariant) value = g_variant_get_variant (boxed);
  guint32 ttl = GW_POINTS_TTL_DEFAULT_MSEC;
  gboolean force = FALSE;
  g_autoptr (GError) error = NULL;

  if (gw_options_check (options, &error, "ttl", "u", &ttl, "force", "b", &force, NULL)
      && (ttl == 0 || ttl > GW_POINTS_TTL_MAX_MSEC))
    g_set_error (&error, GW_ERROR, GW_ERROR_INVALID, "option 'ttl' takes 1 to %d milliseconds", GW_POINTS_TTL_MAX_MSEC);
  if (error != NULL)
    g_dbus_method_invocation_return_gerror (invocation, error);
  else
    gw_points_write (self->points, id, value, ttl, force, on_write_done, invocation);
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

static void
on_watcher_vanished (GDBusConnection *connection, const char *name, gpointer data)
{
  Watcher *watcher = data;

  g_hash_table_remove (watcher->service->watchers, name);
}

static gboolean
on_watch (GwDBusPoints *skeleton, GDBusMethodInvocation *invocation, GVariant *ids, GwPointsService *self)
{
  const char *sender = g_dbus_method_invocation_get_sender (invocation);
  gsize n;
  const guint32 *wanted = g_variant_get_fixed_array (ids, &n, sizeof *wanted);
  Watcher *watcher;

  if (n > GW_DATA_POINTS_MAX
      || (g_hash_table_size (self->watchers) >= GW_POINTS_WATCHERS_MAX && !g_hash_table_contains (self->watchers, sender)))
    {
      g_dbus_method_invocation_return_error (invocation, GW_ERROR, GW_ERROR_LIMIT, "at most %d clients watch %u points each",
                                             GW_POINTS_WATCHERS_MAX, GW_DATA_POINTS_MAX);
      return G_DBUS_METHOD_INVOCATION_HANDLED;
    }
  watcher = g_new0 (Watcher, 1);
  watcher->service = self;
  watcher->name = g_strdup (sender);
  watcher->ids = n > 0 ? g_hash_table_new (NULL, NULL) : NULL;
  for (gsize i = 0; i < n; i++)
    g_hash_table_add (watcher->ids, GUINT_TO_POINTER (wanted[i]));
  watcher->name_watch = g_bus_watch_name_on_connection (self->services->connection, sender, G_BUS_NAME_WATCHER_FLAGS_NONE, NULL,
                                                        on_watcher_vanished, watcher, NULL);
  g_hash_table_replace (self->watchers, watcher->name, watcher);
  gw_dbus_points_complete_watch (skeleton, invocation);
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

static gboolean
on_unwatch (GwDBusPoints *skeleton, GDBusMethodInvocation *invocation, GwPointsService *self)
{
  g_hash_table_remove (self->watchers, g_dbus_method_invocation_get_sender (invocation));
  gw_dbus_points_complete_unwatch (skeleton, invocation);
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

/* ---- Changed ---- */

static gboolean
is_watched (GwPointsService *self, guint32 id)
{
  GHashTableIter iter;
  Watcher *watcher;

  g_hash_table_iter_init (&iter, self->watchers);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &watcher))
    if (watcher->ids == NULL || g_hash_table_contains (watcher->ids, GUINT_TO_POINTER (id)))
      return TRUE;
  return FALSE;
}

static void
on_tell (gpointer data)
{
  GwPointsService *self = data;
  GVariantBuilder values;
  GHashTableIter iter;
  gpointer value;

  if (g_hash_table_size (self->latest) == 0)
    return;
  g_variant_builder_init (&values, G_VARIANT_TYPE ("a(utv)"));
  g_hash_table_iter_init (&iter, self->latest);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    g_variant_builder_add_value (&values, value);
  gw_dbus_points_emit_changed (self->skeleton, g_variant_builder_end (&values));
  g_hash_table_remove_all (self->latest);
  gw_timer_arm (&self->tell, GW_POINTS_CHANGED_USEC);
}

void
gw_points_service_report (GwPointsService *self, GwBytes body)
{
  g_autoptr (GVariant) values = NULL;
  GVariantIter iter;
  GVariant *value;

  /* Telemetry as such goes to the broker: nobody is told here unless he asked. */
  if (g_hash_table_size (self->watchers) == 0)
    return;
  values = gw_points_values_of_report (self->points, body);
  if (values == NULL)
    return;
  g_variant_ref_sink (values);
  g_variant_iter_init (&iter, values);
  while ((value = g_variant_iter_next_value (&iter)) != NULL)
    {
      guint32 id;

      g_variant_get_child (value, 0, "u", &id);
      if (is_watched (self, id))
        g_hash_table_replace (self->latest, GUINT_TO_POINTER (id), value);
      else
        g_variant_unref (value);
    }
  if (!gw_timer_is_armed (&self->tell))
    on_tell (self);
}

GwPoints *
gw_points_service_get_points (GwPointsService *self)
{
  return self->points;
}

void
gw_points_service_begin (GwPointsService *self)
{
  gw_points_begin (self->points);
}

GwPointsService *
gw_points_service_new (GwEndpoint *endpoint, GwDBusObjectSkeleton *object)
{
  GwPointsService *self = g_new0 (GwPointsService, 1);

  self->services = gw_endpoint_get_services (endpoint);
  self->object = g_object_ref (object);
  self->points = gw_points_new (endpoint, on_described, self);
  self->watchers = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) watcher_free);
  self->latest = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) g_variant_unref);
  gw_timer_init (&self->tell, self->services->loop, on_tell, self);
  self->skeleton = gw_dbus_points_skeleton_new ();
  gw_dbus_points_set_points (self->skeleton, g_variant_new ("a(ussua{sv})", NULL));
  gw_bouncer_guard (self->services->bouncer, G_DBUS_INTERFACE_SKELETON (self->skeleton));
  g_signal_connect (self->skeleton, "handle-read", G_CALLBACK (on_read), self);
  g_signal_connect (self->skeleton, "handle-write", G_CALLBACK (on_write), self);
  g_signal_connect (self->skeleton, "handle-watch", G_CALLBACK (on_watch), self);
  g_signal_connect (self->skeleton, "handle-unwatch", G_CALLBACK (on_unwatch), self);
  return self;
}

void
gw_points_service_free (GwPointsService *self)
{
  gw_timer_disarm (&self->tell);
  g_signal_handlers_disconnect_by_data (self->skeleton, self);
  gw_points_free (self->points);
  g_hash_table_unref (self->watchers);
  g_hash_table_unref (self->latest);
  g_clear_object (&self->skeleton);
  g_clear_object (&self->object);
  g_free (self);
}
