/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See gw-endpoint-skeleton.h. All reading goes through the interface's vtable, that of GwObjects for GetManagedObjects too, which keeps
 * what it read until "notify": to this file it is one more reader that is told when its copy is no longer right.
 */

#include "config.h"

#include "gw-endpoint-skeleton.h"

#include <string.h>

struct _GwEndpointSkeleton
{
  GwDBusEndpointSkeleton parent_instance;
  GwLoop *loop; /* NULL: closed */
  GwEndpointFigures ask;
  gpointer data;
  guint64 figures[GW_ENDPOINT_FIGURE_COUNT]; /* as last asked for */
  gboolean moved;                            /* one of them, since they were last told */
  gboolean read;                             /* one of them, since then */
  gint64 told_at;
  GwTimer tell;
  gint64 due; /* of the timer, while it is armed */
};

G_DEFINE_FINAL_TYPE (GwEndpointSkeleton, gw_endpoint_skeleton, GW_DBUS_TYPE_ENDPOINT_SKELETON)

/* The names of a figure: D-Bus's and GObject's. */
static const struct
{
  const char *name;
  const char *property;
} names[GW_ENDPOINT_FIGURE_COUNT] = {
  [GW_ENDPOINT_FIGURE_LAST_SEEN] = { "LastSeen", "last-seen" },
  [GW_ENDPOINT_FIGURE_ACKNOWLEDGED] = { "ReportsAcknowledged", "reports-acknowledged" },
  [GW_ENDPOINT_FIGURE_DELIVERED] = { "ReportsDelivered", "reports-delivered" },
  [GW_ENDPOINT_FIGURE_LOST] = { "ReportsLost", "reports-lost" },
};

/* A figure that has moved and moved back is still to be told: somebody may have read it in between. */
static void
look (GwEndpointSkeleton *self)
{
  guint64 now[GW_ENDPOINT_FIGURE_COUNT];

  if (self->loop == NULL)
    return;
  self->ask (now, self->data);
  self->moved |= memcmp (now, self->figures, sizeof now) != 0;
  memcpy (self->figures, now, sizeof now);
}

static void
emit (GwEndpointSkeleton *self)
{
  GDBusInterfaceSkeleton *skeleton = G_DBUS_INTERFACE_SKELETON (self);
  GDBusConnection *connection = g_dbus_interface_skeleton_get_connection (skeleton);
  GVariantBuilder invalidated;

  if (connection == NULL)
    return;
  g_variant_builder_init (&invalidated, G_VARIANT_TYPE_STRING_ARRAY);
  for (guint i = 0; i < GW_ENDPOINT_FIGURE_COUNT; i++)
    g_variant_builder_add (&invalidated, "s", names[i].name);
  g_dbus_connection_emit_signal (connection, NULL, g_dbus_interface_skeleton_get_object_path (skeleton),
                                 "org.freedesktop.DBus.Properties", "PropertiesChanged",
                                 g_variant_new ("(s@a{sv}as)", g_dbus_interface_skeleton_get_info (skeleton)->name,
                                                g_variant_new ("a{sv}", NULL), &invalidated),
                                 NULL);
}

/*
 * All together, whichever has moved: then nobody holds any, and one flag tells of all whether somebody has read since. For each by
 * itself a ReportsLost that was read once, and moves once a year, would keep its endpoint at the quicker pace for that year.
 */
static void
on_tell (gpointer data)
{
  GwEndpointSkeleton *self = data;

  look (self);
  if (!self->moved)
    return;
  for (guint i = 0; self->read && i < GW_ENDPOINT_FIGURE_COUNT; i++)
    g_object_notify (G_OBJECT (self), names[i].property);
  self->moved = FALSE;
  self->read = FALSE;
  self->told_at = gw_loop_now (self->loop);
  emit (self);
}

void
gw_endpoint_skeleton_touch (GwEndpointSkeleton *self)
{
  gint64 due = self->told_at + (self->read ? GW_ENDPOINT_SKELETON_READ_USEC : GW_ENDPOINT_SKELETON_UNREAD_USEC);

  /* What waits for its minute is told sooner to somebody who has come to read. */
  if (self->loop == NULL || (gw_timer_is_armed (&self->tell) && self->due <= due))
    return;
  self->due = due;
  gw_timer_arm (&self->tell, due - gw_loop_now (self->loop));
}

static GVariant *
get_property (GDBusConnection *connection,
              const char *sender,
              const char *path,
              const char *interface,
              const char *name,
              GError **error,
              gpointer data)
{
  GwEndpointSkeleton *self = data;
  GDBusInterfaceSkeletonClass *class = G_DBUS_INTERFACE_SKELETON_CLASS (gw_endpoint_skeleton_parent_class);

  for (guint i = 0; i < GW_ENDPOINT_FIGURE_COUNT; i++)
    if (strcmp (name, names[i].name) == 0)
      {
        look (self);
        self->read = TRUE;
        return g_variant_new_uint64 (self->figures[i]);
      }
  return class->get_vtable (data)->get_property (connection, sender, path, interface, name, error, data);
}

static GDBusInterfaceVTable *
get_vtable (GDBusInterfaceSkeleton *skeleton)
{
  static GDBusInterfaceVTable table;

  table = *G_DBUS_INTERFACE_SKELETON_CLASS (gw_endpoint_skeleton_parent_class)->get_vtable (skeleton);
  table.get_property = get_property;
  return &table;
}

GwEndpointSkeleton *
gw_endpoint_skeleton_new (GwLoop *loop, GwEndpointFigures ask, gpointer data)
{
  GwEndpointSkeleton *self = g_object_new (GW_TYPE_ENDPOINT_SKELETON, NULL);

  self->loop = loop;
  self->ask = ask;
  self->data = data;
  /* The first change is told at once. */
  self->told_at = gw_loop_now (loop) - GW_ENDPOINT_SKELETON_UNREAD_USEC;
  gw_timer_init (&self->tell, loop, on_tell, self);
  ask (self->figures, data);
  return self;
}

void
gw_endpoint_skeleton_close (GwEndpointSkeleton *self)
{
  gw_timer_disarm (&self->tell);
  self->loop = NULL;
}

static void
gw_endpoint_skeleton_dispose (GObject *object)
{
  gw_endpoint_skeleton_close (GW_ENDPOINT_SKELETON (object));
  G_OBJECT_CLASS (gw_endpoint_skeleton_parent_class)->dispose (object);
}

static void
gw_endpoint_skeleton_class_init (GwEndpointSkeletonClass *class)
{
  G_OBJECT_CLASS (class)->dispose = gw_endpoint_skeleton_dispose;
  G_DBUS_INTERFACE_SKELETON_CLASS (class)->get_vtable = get_vtable;
}

static void
gw_endpoint_skeleton_init (GwEndpointSkeleton *self)
{
}
