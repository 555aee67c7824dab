/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See gw-policy-service.h. */

#include "config.h"

#include "gw-policy-service.h"

#include "gw-dbus.h"
#include "gw-error.h"
#include "gw-options.h"

struct _GwPolicyService
{
  const GwServices *services;
  GHashTable *skeletons; /* name -> GwDBusPolicy */
};

static gboolean
on_check (GwDBusPolicy *skeleton, GDBusMethodInvocation *invocation, GVariant *options, GwPolicyService *self)
{
  static const char *const none[] = { NULL };
  g_autoptr (GError) error = NULL;
  g_autoptr (GwPolicySet) fresh = NULL;
  GwPolicy *policy;

  if (gw_options_check (options, &error, NULL))
    fresh = gw_policy_set_load ((const char *const *) self->services->config->policy_dirs, &error);
  if (fresh == NULL)
    {
      g_dbus_method_invocation_return_gerror (invocation, error);
      return G_DBUS_METHOD_INVOCATION_HANDLED;
    }
  policy = gw_policy_set_lookup (fresh, gw_dbus_policy_get_name (skeleton));
  if (policy == NULL)
    g_dbus_method_invocation_return_error (invocation, GW_ERROR, GW_ERROR_NOT_FOUND, "the policy's file is gone: reload");
  else
    gw_dbus_policy_complete_check (skeleton, invocation, policy->problems != NULL ? (const char *const *) policy->problems : none);
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

static void
show (GwDBusPolicy *skeleton, const GwPolicy *policy)
{
  static const char *const none[] = { NULL };

  g_object_set (skeleton, "name", policy->name, "kind", policy->kind != NULL ? policy->kind : "", "broker-uri",
                policy->broker_uri != NULL ? policy->broker_uri : "", "issuer", policy->issuer != NULL ? policy->issuer : "", "format",
                policy->format != NULL ? policy->format : "", "first-use",
                policy->first_use == GW_POLICY_FIRST_USE_WINDOW ? "window" : "never", "valid", gw_policy_is_valid (policy), "problems",
                policy->problems != NULL ? (const char *const *) policy->problems : none, NULL);
}

static void
add (GwPolicyService *self, const GwPolicy *policy)
{
  g_autofree char *path = gw_services_object_path ("policy", policy->name);
  g_autoptr (GwDBusObjectSkeleton) object = gw_dbus_object_skeleton_new (path);
  GwDBusPolicy *skeleton = gw_dbus_policy_skeleton_new ();

  show (skeleton, policy);
  gw_bouncer_guard (self->services->bouncer, G_DBUS_INTERFACE_SKELETON (skeleton));
  g_signal_connect (skeleton, "handle-check", G_CALLBACK (on_check), self);
  gw_dbus_object_skeleton_set_policy (object, skeleton);
  gw_objects_add (self->services->objects, G_DBUS_OBJECT_SKELETON (object));
  g_hash_table_insert (self->skeletons, g_strdup (policy->name), skeleton);
}

void
gw_policy_service_reload (GwPolicyService *self)
{
  GPtrArray *policies = gw_policy_set_list (self->services->policies);
  GHashTableIter iter;
  const char *name;
  GwDBusPolicy *skeleton;

  g_hash_table_iter_init (&iter, self->skeletons);
  while (g_hash_table_iter_next (&iter, (gpointer *) &name, (gpointer *) &skeleton))
    {
      g_autofree char *path = gw_services_object_path ("policy", name);

      if (gw_policy_set_lookup (self->services->policies, name) != NULL)
        continue;
      g_signal_handlers_disconnect_by_data (skeleton, self);
      gw_objects_remove (self->services->objects, path);
      g_hash_table_iter_remove (&iter);
    }
  for (guint i = 0; i < policies->len; i++)
    {
      const GwPolicy *policy = g_ptr_array_index (policies, i);

      skeleton = g_hash_table_lookup (self->skeletons, policy->name);
      if (skeleton != NULL)
        show (skeleton, policy);
      else
        add (self, policy);
    }
}

void
gw_policy_service_count (GwPolicyService *self, GwCensus *census)
{
  GHashTableIter iter;
  const char *name;
  GwDBusPolicy *skeleton;

  g_hash_table_iter_init (&iter, self->skeletons);
  while (g_hash_table_iter_next (&iter, (gpointer *) &name, (gpointer *) &skeleton))
    gw_dbus_policy_set_endpoint_count (skeleton, gw_census_get_policy (census, name));
}

GwPolicyService *
gw_policy_service_new (const GwServices *services)
{
  GwPolicyService *self = g_new0 (GwPolicyService, 1);

  self->services = services;
  self->skeletons = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_object_unref);
  gw_policy_service_reload (self);
  return self;
}

void
gw_policy_service_free (GwPolicyService *self)
{
  GHashTableIter iter;
  gpointer skeleton;

  g_hash_table_iter_init (&iter, self->skeletons);
  while (g_hash_table_iter_next (&iter, NULL, &skeleton))
    g_signal_handlers_disconnect_by_data (skeleton, self);
  g_hash_table_unref (self->skeletons);
  g_free (self);
}
