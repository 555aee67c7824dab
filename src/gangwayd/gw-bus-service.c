/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See gw-bus-service.h. */

#include "config.h"

#include "gw-bus-service.h"

#include "gw-dbus.h"
#include "gw-error.h"

#define PERIOD_USEC G_USEC_PER_SEC
/* Key id and serial number that it claims, state, address, retries. */
#define NODES_TYPE "a(usssut)"

typedef struct
{
  char *claimed_id;
  char *claimed_serial;
  char *state;
  GwBusmsgNode info;
} Note; /* what is shown of a node */

struct _GwBusService
{
  GwObjects *manager; /* NULL once withdrawn */
  GwDBusBus *skeleton;
  char *name;
  char *path;
  GwBusServiceScan scan;
  gpointer data;
  GHashTable *notes; /* id -> Note */
  GwTimer timer;
  gboolean dirty;
  gboolean nodes_dirty; /* the notes, which may be many, are not those that are shown */
  GwBusmsgStats statistics;
  GwBusmsgLink link;
  guint64 dropped;
};

static void
note_free (Note *note)
{
  g_free (note->claimed_id);
  g_free (note->claimed_serial);
  g_free (note->state);
  g_free (note);
}

/* ---- showing ---- */

static const char *
link_state_name (GwBusmsgLinkState state)
{
  static const char *const names[] = {
    [GW_BUSMSG_LINK_UNKNOWN] = "unknown", [GW_BUSMSG_LINK_ACTIVE] = "active", [GW_BUSMSG_LINK_WARNING] = "warning",
    [GW_BUSMSG_LINK_PASSIVE] = "passive", [GW_BUSMSG_LINK_OFF] = "off",
  };

  return names[state];
}

static char *
culprit_sentence (GwBusService *self)
{
  g_autofree char *who = NULL;

  if (self->link.culprit == 0)
    return g_strdup ("");
  who = gw_bus_service_name_address (self, self->link.culprit);
  return g_strdup_printf ("%s takes %u.%u %% of the bus", who, self->link.culprit_permille / 10, self->link.culprit_permille % 10);
}

static void
show_link (GwBusService *self)
{
  const GwBusmsgLink *link = &self->link;
  g_autofree char *culprit = culprit_sentence (self);

  g_object_set (self->skeleton, "link-state", link_state_name (link->state), "tx-errors", (guint) link->tx_errors, "rx-errors",
                (guint) link->rx_errors, "load",
                link->load_permille == GW_BUSMSG_LOAD_UNKNOWN ? -1.0 : link->load_permille / (double) GW_BUSMSG_PERMILLE_MAX,
                "round-trip", (guint) link->round_trip_ms, "octets-per-second", link->octets_per_second, "culprit-address",
                (link->culprit & GW_BUSMSG_CULPRIT_FRAMES) != 0 ? 0 : link->culprit, "culprit", culprit, NULL);
}

static void
show_nodes (GwBusService *self)
{
  GVariantBuilder nodes;
  GHashTableIter iter;
  gpointer id;
  Note *note;

  self->nodes_dirty = FALSE;
  g_variant_builder_init (&nodes, G_VARIANT_TYPE (NODES_TYPE));
  g_hash_table_iter_init (&iter, self->notes);
  while (g_hash_table_iter_next (&iter, &id, (gpointer *) &note))
    g_variant_builder_add (&nodes, "(usssut)", GPOINTER_TO_UINT (id), note->claimed_id, note->claimed_serial, note->state,
                           (guint32) note->info.address, note->info.retries);
  g_object_set (self->skeleton, "nodes", g_variant_builder_end (&nodes), "node-count", g_hash_table_size (self->notes), NULL);
}

static void
show (gpointer data)
{
  GwBusService *self = data;
  const GwBusmsgStats *statistics = &self->statistics;

  if (!self->dirty)
    return;
  self->dirty = FALSE;
  gw_timer_arm (&self->timer, PERIOD_USEC);
  if (self->nodes_dirty)
    show_nodes (self);
  g_object_set (self->skeleton, "bytes-in", statistics->bytes_in, "bytes-out", statistics->bytes_out, "frames-in",
                statistics->frames_in, "frames-out", statistics->frames_out, "errors",
                statistics->fcs_errors + statistics->oversize + statistics->aborted, "dropped", statistics->dropped + self->dropped,
                NULL);
  show_link (self);
}

static void
changed (GwBusService *self)
{
  if (self->manager == NULL)
    return;
  self->dirty = TRUE;
  if (!gw_timer_is_armed (&self->timer))
    show (self);
}

static void
nodes_changed (GwBusService *self)
{
  self->nodes_dirty = TRUE;
  changed (self);
}

void
gw_bus_service_run (GwBusService *self)
{
  gw_dbus_bus_set_state (self->skeleton, "running");
}

void
gw_bus_service_set_statistics (GwBusService *self, const GwBusmsgStats *statistics)
{
  self->statistics = *statistics;
  changed (self);
}

void
gw_bus_service_set_link (GwBusService *self, const GwBusmsgLink *link)
{
  self->link = *link;
  changed (self);
}

void
gw_bus_service_count_drop (GwBusService *self)
{
  self->dropped++;
  changed (self);
}

/* ---- nodes ---- */

static Note *
find_note (GwBusService *self, GwNode *node)
{
  return g_hash_table_lookup (self->notes, GUINT_TO_POINTER (gw_node_get_id (node)));
}

void
gw_bus_service_add_node (GwBusService *self, GwNode *node)
{
  const GwLinkHello *hello = gw_node_get_hello (node);
  Note *note = g_new0 (Note, 1);
  GString *id = g_string_new (NULL);

  if (hello != NULL)
    for (guint i = 0; i < GW_KEY_ID_LEN; i++)
      g_string_append_printf (id, "%02x", hello->kid[i]);
  note->claimed_id = g_string_free (id, FALSE);
  note->claimed_serial = hello != NULL ? g_strndup (hello->serial.ptr, hello->serial.len) : g_strdup ("");
  note->state = g_strdup ("attached");
  g_hash_table_insert (self->notes, GUINT_TO_POINTER (gw_node_get_id (node)), note);
  nodes_changed (self);
}

void
gw_bus_service_remove_node (GwBusService *self, GwNode *node)
{
  g_hash_table_remove (self->notes, GUINT_TO_POINTER (gw_node_get_id (node)));
  nodes_changed (self);
}

void
gw_bus_service_set_node_state (GwBusService *self, GwNode *node, const char *state)
{
  Note *note = find_note (self, node);

  if (note == NULL)
    return;
  g_free (note->state);
  note->state = g_strdup (state);
  nodes_changed (self);
}

void
gw_bus_service_set_node_info (GwBusService *self, GwNode *node, const GwBusmsgNode *info)
{
  Note *note = find_note (self, node);

  if (note == NULL)
    return;
  note->info = *info;
  nodes_changed (self);
}

char *
gw_bus_service_name_address (GwBusService *self, guint32 address)
{
  const guint32 id = address & ~(GW_BUSMSG_CULPRIT_FRAMES | GW_BUSMSG_CULPRIT_EXTENDED);
  GHashTableIter iter;
  Note *note;

  if ((address & GW_BUSMSG_CULPRIT_FRAMES) != 0)
    return g_strdup_printf (address & GW_BUSMSG_CULPRIT_EXTENDED ? "somebody who is no endpoint and sends frames of id %08x"
                                                                 : "somebody who is no endpoint and sends frames of id %03x",
                            id);
  g_hash_table_iter_init (&iter, self->notes);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &note))
    if (note->info.address == address && *note->claimed_serial != '\0')
      return g_strdup_printf ("node %u, which says that its serial number is %s,", address, note->claimed_serial);
  return g_strdup_printf ("node %u", address);
}

/* ---- the object ---- */

static gboolean
on_scan (GwDBusBus *skeleton, GDBusMethodInvocation *invocation, GwBusService *self)
{
  if (self->scan (self->data))
    gw_dbus_bus_complete_scan (skeleton, invocation);
  else
    g_dbus_method_invocation_return_error (invocation, GW_ERROR, GW_ERROR_OFFLINE,
                                           "the plugin of bus %s takes no messages now: try again, or restart it", self->name);
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

GwBusService *
gw_bus_service_new (GwLoop *loop,
                    GwObjects *manager,
                    GwBouncer *bouncer,
                    const char *path,
                    const GwBusInfo *info,
                    GwBusServiceScan scan,
                    gpointer data)
{
  GwBusService *self = g_new0 (GwBusService, 1);
  g_autoptr (GwDBusObjectSkeleton) object = gw_dbus_object_skeleton_new (path);

  self->manager = g_object_ref (manager);
  self->name = g_strdup (info->name);
  self->path = g_strdup (path);
  self->scan = scan;
  self->data = data;
  self->notes = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) note_free);
  self->link.load_permille = GW_BUSMSG_LOAD_UNKNOWN;
  gw_timer_init (&self->timer, loop, show, self);

  self->skeleton = gw_dbus_bus_skeleton_new ();
  g_object_set (self->skeleton, "name", info->name, "kind", info->kind, "device", info->device, "plugin", info->plugin, "state",
                "starting", "nodes", g_variant_new (NODES_TYPE, NULL), NULL);
  show_link (self);
  gw_bouncer_guard (bouncer, G_DBUS_INTERFACE_SKELETON (self->skeleton));
  g_signal_connect (self->skeleton, "handle-scan", G_CALLBACK (on_scan), self);
  gw_dbus_object_skeleton_set_bus (object, self->skeleton);
  gw_objects_add (manager, G_DBUS_OBJECT_SKELETON (object));
  return self;
}

void
gw_bus_service_withdraw (GwBusService *self)
{
  gw_timer_disarm (&self->timer);
  if (self->manager == NULL)
    return;
  g_signal_handlers_disconnect_by_data (self->skeleton, self);
  gw_objects_remove (self->manager, self->path);
  g_clear_object (&self->manager);
}

void
gw_bus_service_free (GwBusService *self)
{
  gw_bus_service_withdraw (self);
  g_hash_table_unref (self->notes);
  g_object_unref (self->skeleton);
  g_free (self->name);
  g_free (self->path);
  g_free (self);
}
