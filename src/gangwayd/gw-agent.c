/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See gw-agent.h. The order in which things are made is the order in which they need each other, and they go in the reverse: nothing
 * below outlives what it borrows. After kill -9 the same order finds everything as far as it was committed.
 */

#include "config.h"

#include "gw-agent.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gw-audit.h"
#include "gw-bus.h"
#include "gw-busmsg-codec.h"
#include "gw-dbus.h"
#include "gw-endpoint-service.h"
#include "gw-error.h"
#include "gw-event.h"
#include "gw-expiry.h"
#include "gw-inventory-service.h"
#include "gw-options.h"
#include "gw-policy-service.h"
#include "gw-turnstile.h"

#define BUSES_MAX 256
#define FIGURES_PERIOD_USEC G_USEC_PER_SEC
/* The age of the gateway's own certificate is looked at this often. */
#define RENEWAL_PERIOD_USEC (G_GINT64_CONSTANT (24 * 3600) * G_USEC_PER_SEC)
#define RENEWAL_RETRY_USEC (G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC)

typedef struct
{
  GwAgent *agent;
  GwBus *bus;
  char *owner; /* the plugin's unique name */
  guint watch;
  guint reap;
} Attachment;

struct _GwAgent
{
  GwServices services;
  GwServicesDisk disk; /* GwServices.disk */
  char *state_dir;
  char *config_path;
  GwClock *clock;
  GwDbWriter *db_writer;
  GwRoster *roster;
  GwDBusManager *manager;
  GwInventoryService *inventory_service;
  GwPolicyService *policy_service;
  GHashTable *attachments; /* bus name -> Attachment */
  GHashTable *endpoints;   /* GwEndpoint -> GwEndpointService */
  GwAudit *audit;
  GwExpiry *expiry;
  GwHeartbeat *heartbeat; /* NULL unless somebody watches */
  GwTimer figures;
  GwTimer renewal;
  GwCensus *census;
};

/* ---- buses ---- */

static void
attachment_free (Attachment *self)
{
  g_clear_handle_id (&self->watch, g_bus_unwatch_name);
  g_clear_handle_id (&self->reap, g_source_remove);
  g_clear_pointer (&self->bus, gw_bus_free);
  g_free (self->owner);
  g_free (self);
}

static gboolean
on_reap (gpointer data)
{
  Attachment *self = data;
  g_autofree char *name = g_strdup (gw_bus_get_name (self->bus));

  self->reap = 0;
  g_hash_table_remove (self->agent->attachments, name);
  return G_SOURCE_REMOVE;
}

static void
reap_later (Attachment *self)
{
  if (self->reap == 0)
    self->reap = g_idle_add_full (G_PRIORITY_DEFAULT, on_reap, self, NULL);
}

static void
on_bus_proving (GwBus *bus, GwNode *node, gpointer data)
{
  Attachment *self = data;

  gw_roster_proving (self->agent->roster, bus, node);
}

static void
on_bus_proved (GwBus *bus, GwNode *node, GwSession *session, gpointer data)
{
  Attachment *self = data;

  gw_roster_proved (self->agent->roster, bus, node, session);
}

static void
on_bus_node_up (GwBus *bus, GwNode *node, gpointer data)
{
  Attachment *self = data;

  gw_roster_node_up (self->agent->roster, bus, node);
}

static void
on_bus_node_moved (GwBus *bus, GwNode *node, gpointer data)
{
  Attachment *self = data;

  gw_roster_node_moved (self->agent->roster, bus, node);
}

static void
on_bus_node_down (GwBus *bus, GwNode *node, gpointer data)
{
  Attachment *self = data;

  gw_roster_node_down (self->agent->roster, bus, node);
}

static void
on_bus_gone (GwBus *bus, const GError *error, gpointer data)
{
  Attachment *self = data;

  if (g_error_matches (error, GW_ERROR, GW_ERROR_OFFLINE))
    gw_event (GW_EVENT_BUS_GONE, NULL, gw_bus_get_name (bus), "bus %s: %s", gw_bus_get_name (bus), error->message);
  else
    gw_event (GW_EVENT_BUS_REFUSED, NULL, gw_bus_get_name (bus), "bus %s is closed: %s", gw_bus_get_name (bus), error->message);
  reap_later (self);
}

static const GwBusEvents bus_events = {
  .proving = on_bus_proving,
  .proved = on_bus_proved,
  .node_up = on_bus_node_up,
  .node_moved = on_bus_node_moved,
  .node_down = on_bus_node_down,
  .gone = on_bus_gone,
};

static void
on_plugin_vanished (GDBusConnection *connection, const char *name, gpointer data)
{
  reap_later (data);
}

static gboolean
check_attachment (GwAgent *self, const GwBusInfo *info, guint32 version, const char *sender, GError **error)
{
  GHashTableIter iter;
  Attachment *other;

  if (version != GW_BUSMSG_VERSION)
    g_set_error (error, GW_ERROR, GW_ERROR_UNSUPPORTED, "version %u of the bus socket is not known here, only %u", version,
                 GW_BUSMSG_VERSION);
  else if (info->name == NULL || !gw_bus_name_is_valid (info->name))
    g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "option 'name' must have 1 to %d of a-z, A-Z, 0-9, '_' and '-'",
                 GW_BUS_NAME_MAX);
  else if (info->kind == NULL)
    g_set_error_literal (error, GW_ERROR, GW_ERROR_INVALID, "option 'kind' is missing");
  else if (!gw_options_check_text (info->kind, GW_BUS_NAME_MAX, "kind", error)
           || (*info->device != '\0' && !gw_options_check_text (info->device, GW_BUS_TEXT_MAX, "device", error))
           || (*info->plugin != '\0' && !gw_options_check_text (info->plugin, GW_BUS_TEXT_MAX, "plugin", error)))
    return FALSE;
  else if (g_hash_table_contains (self->attachments, info->name))
    g_set_error (error, GW_ERROR, GW_ERROR_EXISTS, "a bus called '%s' is attached already: choose another name", info->name);
  else if (g_hash_table_size (self->attachments) >= BUSES_MAX)
    g_set_error (error, GW_ERROR, GW_ERROR_LIMIT, "%d buses are attached, more are not taken", BUSES_MAX);
  else
    {
      g_hash_table_iter_init (&iter, self->attachments);
      while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &other))
        if (strcmp (other->owner, sender) == 0)
          {
            g_set_error (error, GW_ERROR, GW_ERROR_LIMIT, "this plugin has attached bus %s already: one process, one bus",
                         gw_bus_get_name (other->bus));
            return FALSE;
          }
      return TRUE;
    }
  return FALSE;
}

static gboolean
on_attach_bus (GwDBusManager *manager,
               GDBusMethodInvocation *invocation,
               GUnixFDList *fds,
               GVariant *options,
               GwAgent *self)
{
  const char *sender = g_dbus_method_invocation_get_sender (invocation);
  GwBusInfo info = { .device = "", .plugin = "" };
  g_autoptr (GUnixFDList) out = NULL;
  g_autofree char *path = NULL;
  guint32 version = GW_BUSMSG_VERSION;
  GError *error = NULL;
  Attachment *attachment;
  int pair[2];

  if (!gw_options_check (options, &error, "name", "s", &info.name, "kind", "s", &info.kind, "device", "s", &info.device, "plugin",
                         "s", &info.plugin, "version", "u", &version, NULL)
      || !check_attachment (self, &info, version, sender, &error))
    {
      g_dbus_method_invocation_take_error (invocation, error);
      return G_DBUS_METHOD_INVOCATION_HANDLED;
    }
  if (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
    {
      g_dbus_method_invocation_return_error (invocation, GW_ERROR, GW_ERROR_FAILED, "no socket for the bus: %s",
                                             g_strerror (errno));
      return G_DBUS_METHOD_INVOCATION_HANDLED;
    }
  path = gw_services_object_path ("bus", info.name);
  attachment = g_new0 (Attachment, 1);
  attachment->agent = self;
  attachment->owner = g_strdup (sender);
  attachment->bus = gw_bus_new (self->services.loop, self->services.objects, self->services.bouncer, self->services.identity, path,
                                &info, pair[0], &bus_events, attachment);
  attachment->watch = g_bus_watch_name_on_connection (self->services.connection, sender, G_BUS_NAME_WATCHER_FLAGS_NONE, NULL,
                                                      on_plugin_vanished, attachment, NULL);
  g_hash_table_insert (self->attachments, g_strdup (info.name), attachment);
  gw_event (GW_EVENT_BUS_ATTACHED, NULL, info.name, "bus %s is attached by %s (%s)", info.name,
            *info.plugin != '\0' ? info.plugin : "a plugin", sender);
  out = g_unix_fd_list_new_from_array (&pair[1], 1);
  gw_dbus_manager_complete_attach_bus (manager, invocation, out, path, g_variant_new_handle (0));
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

/* ---- endpoints ---- */

static void
on_endpoint_added (GwEndpoint *endpoint, gpointer data)
{
  GwAgent *self = data;

  /* While the roster loads there is none yet to hand on; those are shown right after. */
  if (self->roster != NULL)
    g_hash_table_insert (self->endpoints, endpoint,
                         gw_endpoint_service_new (self->roster, endpoint, self->census));
}

static void
on_endpoint_removed (GwEndpoint *endpoint, gpointer data)
{
  GwAgent *self = data;

  g_hash_table_remove (self->endpoints, endpoint);
}

static const GwRosterListener roster_listener = { on_endpoint_added, on_endpoint_removed };

static void
show_census (gpointer data)
{
  GwAgent *self = data;

  gw_dbus_manager_set_endpoint_counts (self->manager, gw_census_get_states (self->census));
  gw_policy_service_count (self->policy_service, self->census);
}

/* ---- Manager ---- */

static void
show_figures (gpointer data)
{
  GwAgent *self = data;
  gboolean clock_valid = gw_services_clock_is_valid (&self->services);
  GwSpoolTotals totals;

  /* Certificates and brokers wait for a clock that is right: now it is. */
  if (clock_valid && !gw_dbus_manager_get_clock_valid (self->manager))
    gw_roster_hurry (self->roster);

  gw_spool_get_totals (self->services.spool, &totals);
  gw_dbus_manager_set_spool_bytes (self->manager, totals.bytes);
  gw_dbus_manager_set_reports_acknowledged (self->manager, totals.stored);
  gw_dbus_manager_set_reports_delivered (self->manager, totals.acked);
  gw_dbus_manager_set_clock_valid (self->manager, clock_valid);
  gw_timer_arm (&self->figures, FIGURES_PERIOD_USEC);
}

/* Sessions that are up go on with the certificate that they were opened with. */
static void
take_identity (GwAgent *self, GError **error)
{
  GwChannelIdentity *identity = gw_channel_identity_new (gw_ca_get_credentials (self->services.ca), error);
  GHashTableIter iter;
  Attachment *attachment;

  if (identity == NULL)
    return;
  gw_event (GW_EVENT_CREDENTIAL_GATEWAY_RENEWED, NULL, NULL, "the gateway's own certificate was renewed");
  gw_channel_identity_unref (self->services.identity);
  self->services.identity = identity;
  g_hash_table_iter_init (&iter, self->attachments);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &attachment))
    gw_bus_set_identity (attachment->bus, self->services.identity);
}

static void
on_renewed (GObject *source, GAsyncResult *result, gpointer data)
{
  GwAgent *self = data;
  g_autoptr (GError) error = NULL;
  gboolean renewed;

  if (gw_ca_renew_gateway_finish (self->services.ca, result, &renewed, &error) && renewed)
    take_identity (self, &error);
  /* A token that cannot be used has told so itself. */
  if (error != NULL && !g_error_matches (error, GW_ERROR, GW_ERROR_BAD_STATE))
    gw_event (GW_EVENT_STORAGE_FAILED, NULL, NULL, "the gateway's certificate could not be renewed: %s", error->message);
  gw_timer_arm (&self->renewal, error != NULL ? RENEWAL_RETRY_USEC : RENEWAL_PERIOD_USEC);
}

static void
renew_identity (gpointer data)
{
  GwAgent *self = data;

  gw_ca_renew_gateway_async (self->services.ca, on_renewed, self);
}

gboolean
gw_agent_reload (GwAgent *self, GError **error)
{
  g_autoptr (GwConfig) config = gw_config_load (self->config_path, error);
  GwPolicySet *policies;

  if (config == NULL)
    return FALSE;
  policies = gw_policy_set_load ((const char *const *) config->policy_dirs, error);
  if (policies == NULL)
    return FALSE;
  gw_config_free (self->services.config);
  self->services.config = g_steal_pointer (&config);
  gw_spool_set_limits (self->services.spool, self->services.config->spool_max_bytes,
                       self->services.config->spool_max_bytes_per_endpoint);
  gw_expiry_set_max_age (self->expiry, self->services.config->spool_max_age);
  gw_policy_set_free (self->services.policies);
  self->services.policies = policies;
  gw_inventory_set_trust_dir (self->services.inventory, self->services.config->manifest_trust_dir);
  gw_policy_service_reload (self->policy_service);
  gw_roster_reconsider (self->roster);
  show_census (self);
  return TRUE;
}

static gboolean
on_reload (GwDBusManager *manager, GDBusMethodInvocation *invocation, GwAgent *self)
{
  GError *error = NULL;

  if (gw_agent_reload (self, &error))
    gw_dbus_manager_complete_reload (manager, invocation);
  else
    g_dbus_method_invocation_take_error (invocation, error);
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

static void
add_text (GVariantBuilder *builder, const char *key, const char *value)
{
  if (value != NULL && *value != '\0')
    g_variant_builder_add (builder, "{sv}", key, g_variant_new_string (value));
}

static void
explain_endpoint (GwAgent *self, GwDBusManager *manager, GDBusMethodInvocation *invocation, GwEndpoint *endpoint)
{
  const GwEndpointRecord *record = gw_endpoint_get_record (endpoint);
  GwCourier *courier = gw_endpoint_get_courier (endpoint);
  GwPresence presence = gw_endpoint_get_presence (endpoint);
  const char *reason = gw_endpoint_get_reason (endpoint), *remedy = gw_endpoint_get_remedy (endpoint);
  g_autofree char *trouble = NULL;
  GwSpoolCounters counters;
  GVariantBuilder details;
  GwEndpointLabels labels;

  gw_endpoint_get_labels (endpoint, &labels);
  gw_spool_get_counters (self->services.spool, record->kid, &counters);
  g_variant_builder_init (&details, G_VARIANT_TYPE ("a{sv}"));
  add_text (&details, "key-id", gw_endpoint_get_id (endpoint));
  add_text (&details, "lifecycle", gw_lifecycle_to_string (record->lifecycle));
  add_text (&details, "presence", gw_presence_to_string (presence));
  add_text (&details, "manifest", labels.manifest);
  add_text (&details, "batch", record->batch);
  add_text (&details, "policy", record->policy);
  if (courier != NULL)
    {
      add_text (&details, "uplink", gw_courier_get_state (courier));
      add_text (&details, "uplink-error", gw_courier_get_reason (courier));
    }
  g_variant_builder_add (&details, "{sv}", "spooled", g_variant_new_uint64 (counters.queued));
  if (*reason == '\0' && presence == GW_PRESENCE_ABSENT)
    {
      reason = "it is on no bus";
      remedy = "plug it in; if it is, look at `gangwayctl status` whether its bus is attached";
    }
  else if (*reason == '\0' && presence == GW_PRESENCE_ATTACHED)
    {
      reason = "a device on the bus says it is this endpoint, but has not proven it";
      remedy = "wait a minute; then power-cycle the device, and look at the bus's Nodes for the reason";
    }
  else if (*reason == '\0' && presence == GW_PRESENCE_ONLINE && gw_services_disk_trouble (&self->services) != NULL)
    {
      reason = trouble = g_strdup_printf ("it is connected, but %s", gw_services_disk_trouble (&self->services));
      remedy = "see to the state folder and its disk; the endpoint keeps its reports meanwhile";
    }
  else if (*reason == '\0')
    reason = presence == GW_PRESENCE_ONLINE ? "it is connected to its broker in its own name" : "it is on its way";
  gw_dbus_manager_complete_explain (manager, invocation, gw_endpoint_get_state (endpoint), reason, remedy,
                                    g_variant_builder_end (&details));
}

/* A chip that only the inventory may know. */
static gboolean
explain_chip (GwAgent *self, GwDBusManager *manager, GDBusMethodInvocation *invocation, const char *id, GError **error)
{
  g_autoptr (GwAdmission) admission = NULL;
  guint8 kid[GW_KEY_ID_LEN];
  GVariantBuilder details;

  if (!gw_key_id_parse (id, kid))
    return FALSE;
  g_clear_error (error);
  admission = gw_inventory_decide (self->services.inventory, kid, self->services.policies, error);
  if (admission == NULL)
    return FALSE;
  g_variant_builder_init (&details, G_VARIANT_TYPE ("a{sv}"));
  add_text (&details, "key-id", id);
  add_text (&details, "manifest", admission->manifest);
  add_text (&details, "batch", admission->batch);
  add_text (&details, "policy", admission->policy);
  if (!admission->in_manifest)
    gw_dbus_manager_complete_explain (manager, invocation, "unknown", admission->reason, admission->remedy,
                                      g_variant_builder_end (&details));
  else
    gw_dbus_manager_complete_explain (
        manager, invocation, "absent", admission->reason != NULL ? admission->reason : "it has never been seen on a bus of this gateway",
        admission->remedy != NULL ? admission->remedy : "plug it in", g_variant_builder_end (&details));
  return TRUE;
}

static gboolean
on_explain (GwDBusManager *manager, GDBusMethodInvocation *invocation, const char *text, GwAgent *self)
{
  GError *error = NULL;
  GwEndpoint *endpoint = gw_roster_find (self->roster, text, &error);

  if (endpoint != NULL)
    explain_endpoint (self, manager, invocation, endpoint);
  else if (!explain_chip (self, manager, invocation, text, &error))
    g_dbus_method_invocation_take_error (invocation, error);
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

/* ---- making it ---- */

static char *
to_pem (GBytes *der)
{
  gnutls_datum_t in = { (guint8 *) g_bytes_get_data (der, NULL), (guint) g_bytes_get_size (der) }, out = { NULL, 0 };
  char *pem;

  if (gnutls_pem_base64_encode2 ("CERTIFICATE", &in, &out) < 0)
    return g_strdup ("");
  pem = g_strndup ((char *) out.data, out.size);
  gnutls_free (out.data);
  return pem;
}

static gboolean
open_storage (GwAgent *self, GError **error)
{
  g_autofree char *damage = NULL, *inventory_damage = NULL, *spool_dir = NULL;
  GwSpoolLimits limits = {
    .max_bytes = self->services.config->spool_max_bytes,
    .max_bytes_per_endpoint = self->services.config->spool_max_bytes_per_endpoint,
  };

  if (g_mkdir_with_parents (self->state_dir, 0700) < 0)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_STORAGE, "the state folder %s cannot be made: %s", self->state_dir, g_strerror (errno));
      return FALSE;
    }
  self->services.db = gw_db_open (self->state_dir, &damage, error);
  if (self->services.db == NULL)
    return FALSE;
  if (damage != NULL)
    gw_event (GW_EVENT_STORAGE_DAMAGED, NULL, NULL, "%s", damage);
  self->db_writer = gw_db_writer_open (self->state_dir, error);
  if (self->db_writer == NULL)
    return FALSE;
  self->services.writer = gw_writer_new (&gw_db_writer_store, self->db_writer);
  spool_dir = g_build_filename (self->state_dir, "spool", NULL);
  self->services.spool = gw_spool_open (spool_dir, &limits, self->services.writer, error);
  if (self->services.spool == NULL)
    return FALSE;
  self->services.inventory
      = gw_inventory_open (self->state_dir, self->services.config->manifest_trust_dir, &inventory_damage, error);
  if (inventory_damage != NULL)
    gw_event (GW_EVENT_STORAGE_DAMAGED, NULL, NULL, "%s", inventory_damage);
  return self->services.inventory != NULL;
}

static gboolean
open_keys (GwAgent *self, GError **error)
{
  g_autofree char *dir = g_build_filename (self->state_dir, "ca", NULL);
  const GwConfig *config = self->services.config;
  GwCaOptions options = {
    .dir = dir,
    .gateway_id = gw_db_get_gateway_id (self->services.db),
    .clock = self->clock,
    .key_uri = g_str_equal (config->authority_key, GW_CONFIG_KEY_FILE) ? NULL : config->authority_key,
    .pin_file = config->authority_pin_file,
  };

  self->services.ca = gw_ca_open (&options, error);
  if (self->services.ca == NULL)
    return FALSE;
  self->services.issuer = gw_ca_issuer_new (self->services.ca);
  self->services.identity = gw_channel_identity_new (gw_ca_get_credentials (self->services.ca), error);
  return self->services.identity != NULL;
}

/* An object manager does not manage its own path: these two are exported by themselves. */
static gboolean
export_root (GwAgent *self, GError **error)
{
  g_autofree char *pem = to_pem (gw_ca_get_certificate (self->services.ca));

  self->manager = gw_dbus_manager_skeleton_new ();
  g_object_set (self->manager, "version", GW_VERSION, "protocol-version", GW_BUSMSG_VERSION, "gateway-id",
                gw_db_get_gateway_id (self->services.db), "ca-certificate", pem, "endpoint-counts", g_variant_new ("a{su}", NULL), NULL);
  gw_bouncer_guard (self->services.bouncer, G_DBUS_INTERFACE_SKELETON (self->manager));
  g_signal_connect (self->manager, "handle-attach-bus", G_CALLBACK (on_attach_bus), self);
  g_signal_connect (self->manager, "handle-reload", G_CALLBACK (on_reload), self);
  g_signal_connect (self->manager, "handle-explain", G_CALLBACK (on_explain), self);
  self->inventory_service = gw_inventory_service_new (&self->services, self->roster, error);
  return self->inventory_service != NULL
         && g_dbus_interface_skeleton_export (G_DBUS_INTERFACE_SKELETON (self->manager), self->services.connection, GW_OBJECT_ROOT,
                                              error);
}

static gboolean
load_roster (GwAgent *self, GError **error)
{
  g_autoptr (GList) all = NULL;

  self->roster = gw_roster_new (&self->services, &roster_listener, self, error);
  if (self->roster == NULL)
    return FALSE;
  all = gw_roster_list (self->roster);
  for (GList *l = all; l != NULL; l = l->next)
    on_endpoint_added (l->data, self);
  return TRUE;
}

GwAgent *
gw_agent_new (GDBusConnection *connection, const GwAgentOptions *options, GError **error)
{
  g_autoptr (GwAgent) self = g_new0 (GwAgent, 1);

  self->state_dir = g_strdup (options->state_dir);
  self->config_path = g_strdup (options->config_path);
  self->attachments = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) attachment_free);
  self->endpoints = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) gw_endpoint_service_free);
  self->clock = gw_clock_new_real ();
  self->services.loop = gw_loop_new (NULL, self->clock);
  self->services.connection = g_object_ref (connection);
  self->services.disk = &self->disk;
  gw_turnstile_install (connection);
  self->services.objects = gw_objects_new (GW_OBJECT_ROOT);
  gw_timer_init (&self->figures, self->services.loop, show_figures, self);
  gw_timer_init (&self->renewal, self->services.loop, renew_identity, self);
  self->census = gw_census_new (self->services.loop, show_census, self);
  self->services.bouncer = gw_bouncer_new (options->authorize, connection, error);
  if (self->services.bouncer == NULL)
    return NULL;
  self->services.config = gw_config_load (self->config_path, error);
  if (self->services.config == NULL)
    return NULL;
  self->services.policies = gw_policy_set_load ((const char *const *) self->services.config->policy_dirs, error);
  if (self->services.policies == NULL || !open_storage (self, error) || !open_keys (self, error))
    return NULL;
  self->services.hub = gw_uplink_hub_new (self->services.loop, options->runtime_dir, error);
  if (self->services.hub == NULL)
    return NULL;
  self->audit = gw_audit_new (&self->services, error);
  if (self->audit == NULL)
    return NULL;
  self->policy_service = gw_policy_service_new (&self->services);
  if (!load_roster (self, error))
    return NULL;
  if (!export_root (self, error))
    return NULL;
  self->expiry = gw_expiry_new (self->services.loop, self->services.spool, self->services.config->spool_max_age);
  show_census (self);
  show_figures (self);
  renew_identity (self);
  if (!gw_objects_open (self->services.objects, connection, error))
    return NULL;
  return g_steal_pointer (&self);
}

void
gw_agent_watch_progress (GwAgent *self, gint64 period, GwHeartbeatFunc func, gpointer data)
{
  g_return_if_fail (self->heartbeat == NULL);
  self->heartbeat = gw_heartbeat_new (self->services.loop, self->services.writer, period, func, data);
}

char *
gw_agent_describe (GwAgent *self)
{
  g_autoptr (GVariant) counts = gw_dbus_manager_dup_endpoint_counts (self->manager);
  g_autoptr (GString) by_state = g_string_new (NULL);
  GwSpoolTotals totals;
  GVariantIter iter;
  const char *state;
  guint total = 0, n;

  g_variant_iter_init (&iter, counts);
  while (g_variant_iter_next (&iter, "{&su}", &state, &n))
    {
      g_string_append_printf (by_state, "%s%u %s", by_state->len > 0 ? ", " : "", n, state);
      total += n;
    }
  gw_spool_get_totals (self->services.spool, &totals);
  return g_strdup_printf ("%u endpoint%s%s%s%s, %u bus%s, %" G_GUINT64_FORMAT " octets spooled", total, total == 1 ? "" : "s",
                          total > 0 ? " (" : "", by_state->str, total > 0 ? ")" : "", g_hash_table_size (self->attachments),
                          g_hash_table_size (self->attachments) == 1 ? "" : "es", totals.bytes);
}

static void
stop_services (GwAgent *self)
{
  GwServices *services = &self->services;

  g_clear_pointer (&self->audit, gw_audit_free);
  if (services->writer != NULL)
    gw_writer_stop (services->writer);
  g_clear_pointer (&self->roster, gw_roster_free);
  g_clear_pointer (&services->hub, gw_uplink_hub_free);
  g_clear_pointer (&services->identity, gw_channel_identity_unref);
  g_clear_pointer (&services->issuer, gw_issuer_free);
  g_clear_pointer (&services->ca, gw_ca_free);
  g_clear_pointer (&services->inventory, gw_inventory_free);
  g_clear_pointer (&services->spool, gw_spool_free);
  g_clear_pointer (&services->writer, gw_writer_free);
  g_clear_pointer (&self->db_writer, gw_db_writer_free);
  g_clear_pointer (&services->db, gw_db_free);
  g_clear_pointer (&services->policies, gw_policy_set_free);
  g_clear_pointer (&services->config, gw_config_free);
}

void
gw_agent_free (GwAgent *self)
{
  if (self->services.objects != NULL)
    gw_objects_close (self->services.objects);
  g_hash_table_unref (self->attachments);
  g_hash_table_unref (self->endpoints);
  g_clear_pointer (&self->inventory_service, gw_inventory_service_free);
  g_clear_pointer (&self->policy_service, gw_policy_service_free);
  if (self->manager != NULL)
    {
      g_signal_handlers_disconnect_by_data (self->manager, self);
      g_dbus_interface_skeleton_unexport (G_DBUS_INTERFACE_SKELETON (self->manager));
    }
  gw_timer_disarm (&self->figures);
  gw_timer_disarm (&self->renewal);
  g_clear_pointer (&self->census, gw_census_free);
  g_clear_pointer (&self->expiry, gw_expiry_free);
  g_clear_pointer (&self->heartbeat, gw_heartbeat_free);
  stop_services (self);
  g_clear_object (&self->manager);
  g_clear_object (&self->services.bouncer);
  g_clear_object (&self->services.objects);
  g_clear_object (&self->services.connection);
  g_clear_pointer (&self->services.loop, gw_loop_free);
  g_clear_pointer (&self->clock, gw_clock_unref);
  g_free (self->state_dir);
  g_free (self->config_path);
  g_free (self->disk.trouble);
  g_free (self);
}
