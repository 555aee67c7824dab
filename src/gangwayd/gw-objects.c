/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See gw-objects.h. What is kept is a tree of variants, never a serialised one: GDBus walks it child by child to write a message, and a
 * child of a serialised variant is made anew at every walk, which is what most of the time went into. A property's variant goes as
 * soon as the skeleton says "notify"; the dictionaries above it go with it and are put together again when somebody asks.
 */

#include "config.h"

#include "gw-objects.h"

#include <string.h>

#define DICTIONARY G_VARIANT_TYPE ("{sv}")

/* One property of all objects that have its interface. */
typedef struct
{
  GVariant *key;
  /* Of the object that was asked last: the next one often says the same. */
  GVariant *value;
  GVariant *entry;
} Shared;

/* An interface, over all objects that have it. */
typedef struct
{
  GVariant *name;
  GDBusInterfaceInfo *info;
  GHashTable *index; /* property's name as GObject's -> its place in info->properties + 1 */
  guint n;
  Shared properties[];
} Kind;

typedef struct _Exported Exported;

/* An interface of one object. */
typedef struct
{
  Exported *object;
  Kind *kind;
  GDBusInterfaceSkeleton *skeleton;
  gulong notify;
  GVariant *shown;     /* {sa{sv}}; NULL: to be put together */
  GVariant *entries[]; /* {sv} each; NULL: to be asked for */
} Face;

struct _Exported
{
  GwObjects *owner;
  GDBusObjectSkeleton *skeleton;
  const char *path;
  GPtrArray *faces;
  GVariant *shown; /* {oa{sa{sv}}} */
  GList *link;
};

struct _GwObjects
{
  GObject parent_instance;
  char *path;
  GDBusConnection *connection;
  guint registration;
  GHashTable *by_path; /* path -> Exported, borrowed from its object */
  GQueue objects;      /* Exported, in the order of their adding */
  GHashTable *kinds;   /* interface name -> Kind */
  GVariant *shown;     /* a{oa{sa{sv}}} */
};

G_DEFINE_FINAL_TYPE (GwObjects, gw_objects, G_TYPE_OBJECT)

static const char interface_xml[] = "<node><interface name='org.freedesktop.DBus.ObjectManager'>"
                                    "<method name='GetManagedObjects'>"
                                    "<arg type='a{oa{sa{sv}}}' name='object_paths_interfaces_and_properties' direction='out'/></method>"
                                    "<signal name='InterfacesAdded'><arg type='o' name='object_path'/>"
                                    "<arg type='a{sa{sv}}' name='interfaces_and_properties'/></signal>"
                                    "<signal name='InterfacesRemoved'><arg type='o' name='object_path'/>"
                                    "<arg type='as' name='interfaces'/></signal></interface></node>";

static GDBusInterfaceInfo *
interface_info (void)
{
  static GDBusNodeInfo *node;

  if (node == NULL)
    node = g_dbus_node_info_new_for_xml (interface_xml, NULL);
  return node->interfaces[0];
}

/* ---- variants ---- */

/* @value as a tree. Returns a floating reference or, where @value is right as it is, one more. */
static GVariant *
spread (GVariant *value)
{
  const GVariantType *type = g_variant_get_type (value);
  gsize n = g_variant_is_container (value) ? g_variant_n_children (value) : 0;
  g_autofree GVariant **children = NULL;
  GVariant *tree;

  if (!g_variant_is_container (value) || g_variant_type_is_maybe (type)
      || (g_variant_type_is_array (type) && g_variant_type_is_basic (g_variant_type_element (type))
          && !g_variant_type_equal (type, G_VARIANT_TYPE_STRING_ARRAY) && !g_variant_type_equal (type, G_VARIANT_TYPE_OBJECT_PATH_ARRAY)))
    return g_variant_ref (value);
  children = g_new (GVariant *, n + 1);
  for (gsize i = 0; i < n; i++)
    {
      g_autoptr (GVariant) child = g_variant_get_child_value (value, i);

      children[i] = g_variant_take_ref (spread (child));
    }
  if (g_variant_type_is_array (type))
    tree = g_variant_new_array (g_variant_type_element (type), children, n);
  else if (g_variant_type_is_dict_entry (type))
    tree = g_variant_new_dict_entry (children[0], children[1]);
  else if (g_variant_type_is_variant (type))
    tree = g_variant_new_variant (children[0]);
  else
    tree = g_variant_new_tuple (children, n);
  for (gsize i = 0; i < n; i++)
    g_variant_unref (children[i]);
  return tree;
}

/* ---- kinds ---- */

/* ReportsLost -> reports-lost, as gdbus-codegen names properties. */
static char *
property_name (const char *name)
{
  GString *text = g_string_new (NULL);

  for (const char *c = name; *c != '\0'; c++)
    {
      if (g_ascii_isupper (*c) && c > name)
        g_string_append_c (text, '-');
      g_string_append_c (text, g_ascii_tolower (*c));
    }
  return g_string_free (text, FALSE);
}

static void
kind_free (Kind *kind)
{
  for (guint i = 0; i < kind->n; i++)
    {
      g_variant_unref (kind->properties[i].key);
      g_clear_pointer (&kind->properties[i].value, g_variant_unref);
      g_clear_pointer (&kind->properties[i].entry, g_variant_unref);
    }
  g_hash_table_unref (kind->index);
  g_variant_unref (kind->name);
  g_free (kind);
}

static guint
count_properties (GDBusInterfaceInfo *info)
{
  guint n = 0;

  while (info->properties != NULL && info->properties[n] != NULL)
    n++;
  return n;
}

static Kind *
kind_of (GwObjects *self, GDBusInterfaceSkeleton *skeleton)
{
  GDBusInterfaceInfo *info = g_dbus_interface_skeleton_get_info (skeleton);
  Kind *kind = g_hash_table_lookup (self->kinds, info->name);
  guint n = count_properties (info);

  if (kind != NULL)
    return kind;
  kind = g_malloc0 (sizeof *kind + n * sizeof kind->properties[0]);
  kind->info = info;
  kind->n = n;
  kind->name = g_variant_ref_sink (g_variant_new_string (info->name));
  kind->index = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < n; i++)
    {
      kind->properties[i].key = g_variant_ref_sink (g_variant_new_string (info->properties[i]->name));
      g_hash_table_insert (kind->index, property_name (info->properties[i]->name), GUINT_TO_POINTER (i + 1));
    }
  g_hash_table_insert (self->kinds, info->name, kind);
  return kind;
}

/* The {sv} of property @i, a new reference: the last one's, where it says the same. */
static GVariant *
kind_entry (Kind *kind, guint i, GVariant *value)
{
  Shared *shared = &kind->properties[i];

  if (shared->value == NULL || !g_variant_equal (shared->value, value))
    {
      g_autoptr (GVariant) tree = g_variant_take_ref (spread (value));

      g_clear_pointer (&shared->value, g_variant_unref);
      g_clear_pointer (&shared->entry, g_variant_unref);
      shared->value = g_variant_ref (value);
      shared->entry = g_variant_ref_sink (g_variant_new_dict_entry (shared->key, g_variant_new_variant (tree)));
    }
  return g_variant_ref (shared->entry);
}

/* ---- faces ---- */

static void
forget (Exported *object)
{
  g_clear_pointer (&object->shown, g_variant_unref);
  g_clear_pointer (&object->owner->shown, g_variant_unref);
}

static void
on_notify (GObject *skeleton, GParamSpec *property, gpointer data)
{
  Face *face = data;
  guint found = GPOINTER_TO_UINT (g_hash_table_lookup (face->kind->index, property->name));

  /* A name that we do not know: whatever it stands for. */
  for (guint i = found > 0 ? found - 1 : 0; i < (found > 0 ? found : face->kind->n); i++)
    g_clear_pointer (&face->entries[i], g_variant_unref);
  g_clear_pointer (&face->shown, g_variant_unref);
  forget (face->object);
}

static Face *
face_new (Exported *object, GDBusInterfaceSkeleton *skeleton)
{
  Kind *kind = kind_of (object->owner, skeleton);
  Face *face = g_malloc0 (sizeof *face + kind->n * sizeof face->entries[0]);

  face->object = object;
  face->kind = kind;
  face->skeleton = g_object_ref (skeleton);
  face->notify = g_signal_connect (skeleton, "notify", G_CALLBACK (on_notify), face);
  return face;
}

static void
face_free (Face *face)
{
  for (guint i = 0; i < face->kind->n; i++)
    g_clear_pointer (&face->entries[i], g_variant_unref);
  g_clear_pointer (&face->shown, g_variant_unref);
  g_signal_handler_disconnect (face->skeleton, face->notify);
  g_object_unref (face->skeleton);
  g_free (face);
}

static void
face_export (Face *face)
{
  GDBusConnection *connection = face->object->owner->connection;
  g_autoptr (GError) error = NULL;

  if (connection != NULL && !g_dbus_interface_skeleton_export (face->skeleton, connection, face->object->path, &error))
    g_warning ("%s of %s is not on the bus: %s", face->kind->info->name, face->object->path, error->message);
}

static void
face_unexport (Face *face)
{
  if (g_dbus_interface_skeleton_get_connection (face->skeleton) != NULL)
    g_dbus_interface_skeleton_unexport (face->skeleton);
}

static void
each_face (Exported *object, void (*func) (Face *face))
{
  for (guint i = 0; i < object->faces->len; i++)
    func (g_ptr_array_index (object->faces, i));
}

static GVariant *
face_ask (Face *face, guint i)
{
  const GDBusInterfaceVTable *table = g_dbus_interface_skeleton_get_vtable (face->skeleton);
  const char *name = face->kind->info->properties[i]->name;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) value
      = table->get_property (face->object->owner->connection, NULL, face->object->path, face->kind->info->name, name, &error, face->skeleton);

  if (value == NULL)
    return NULL;
  g_variant_take_ref (value);
  return kind_entry (face->kind, i, value);
}

/* {sa{sv}}, borrowed. */
static GVariant *
face_show (Face *face)
{
  g_autofree GVariant **entries = g_new (GVariant *, face->kind->n);
  gsize n = 0;

  if (face->shown != NULL)
    return face->shown;
  for (guint i = 0; i < face->kind->n; i++)
    {
      if (face->entries[i] == NULL)
        face->entries[i] = face_ask (face, i);
      if (face->entries[i] != NULL)
        entries[n++] = face->entries[i];
    }
  face->shown = g_variant_ref_sink (g_variant_new_dict_entry (face->kind->name, g_variant_new_array (DICTIONARY, entries, n)));
  return face->shown;
}

/* a{sa{sv}} of some of an object's faces; floating. */
static GVariant *
show_faces (Face *const *faces, guint n)
{
  g_autofree GVariant **entries = g_new (GVariant *, n);

  for (guint i = 0; i < n; i++)
    entries[i] = face_show (faces[i]);
  return g_variant_new_array (G_VARIANT_TYPE ("{sa{sv}}"), entries, n);
}

/* ---- signals ---- */

static void
emit (GwObjects *self, const char *name, GVariant *parameters)
{
  g_autoptr (GVariant) owned = g_variant_ref_sink (parameters);

  if (self->connection != NULL)
    g_dbus_connection_emit_signal (self->connection, NULL, self->path, "org.freedesktop.DBus.ObjectManager", name, owned, NULL);
}

static void
tell_added (Exported *object, Face *const *faces, guint n)
{
  if (n > 0 && object->owner->connection != NULL)
    emit (object->owner, "InterfacesAdded", g_variant_new ("(o@a{sa{sv}})", object->path, show_faces (faces, n)));
}

static void
tell_removed (Exported *object, Face *const *faces, guint n)
{
  GVariantBuilder names;

  g_variant_builder_init (&names, G_VARIANT_TYPE_STRING_ARRAY);
  for (guint i = 0; i < n; i++)
    g_variant_builder_add_value (&names, faces[i]->kind->name);
  if (n > 0)
    emit (object->owner, "InterfacesRemoved", g_variant_new ("(oas)", object->path, &names));
  else
    g_variant_builder_clear (&names);
}

/* ---- objects ---- */

static void
on_interface_added (GDBusObject *skeleton, GDBusInterface *interface, gpointer data)
{
  Exported *object = data;
  Face *face = face_new (object, G_DBUS_INTERFACE_SKELETON (interface));

  g_ptr_array_add (object->faces, face);
  forget (object);
  face_export (face);
  tell_added (object, &face, 1);
}

static void
on_interface_removed (GDBusObject *skeleton, GDBusInterface *interface, gpointer data)
{
  Exported *object = data;

  for (guint i = 0; i < object->faces->len; i++)
    {
      Face *face = g_ptr_array_index (object->faces, i);

      if (face->skeleton != G_DBUS_INTERFACE_SKELETON (interface))
        continue;
      forget (object);
      tell_removed (object, &face, 1);
      face_unexport (face);
      g_ptr_array_remove_index (object->faces, i);
      return;
    }
}

static void
exported_free (Exported *object)
{
  g_signal_handlers_disconnect_by_data (object->skeleton, object);
  each_face (object, face_unexport);
  forget (object);
  g_ptr_array_unref (object->faces);
  g_object_unref (object->skeleton);
  g_free (object);
}

void
gw_objects_add (GwObjects *self, GDBusObjectSkeleton *skeleton)
{
  const char *path = g_dbus_object_get_object_path (G_DBUS_OBJECT (skeleton));
  GList *interfaces;
  Exported *object;

  g_return_if_fail (!gw_objects_has (self, path));
  interfaces = g_dbus_object_get_interfaces (G_DBUS_OBJECT (skeleton));
  object = g_new0 (Exported, 1);
  object->owner = self;
  object->skeleton = g_object_ref (skeleton);
  object->path = path;
  object->faces = g_ptr_array_new_with_free_func ((GDestroyNotify) face_free);
  g_queue_push_tail (&self->objects, object);
  object->link = self->objects.tail;
  g_hash_table_insert (self->by_path, (gpointer) object->path, object);
  for (GList *l = interfaces; l != NULL; l = l->next)
    g_ptr_array_add (object->faces, face_new (object, l->data));
  g_list_free_full (interfaces, g_object_unref);
  g_signal_connect (skeleton, "interface-added", G_CALLBACK (on_interface_added), object);
  g_signal_connect (skeleton, "interface-removed", G_CALLBACK (on_interface_removed), object);
  forget (object);
  each_face (object, face_export);
  tell_added (object, (Face *const *) object->faces->pdata, object->faces->len);
}

void
gw_objects_remove (GwObjects *self, const char *path)
{
  Exported *object = g_hash_table_lookup (self->by_path, path);

  if (object == NULL)
    return;
  g_hash_table_remove (self->by_path, path);
  g_queue_delete_link (&self->objects, object->link);
  tell_removed (object, (Face *const *) object->faces->pdata, object->faces->len);
  exported_free (object);
}

gboolean
gw_objects_has (GwObjects *self, const char *path)
{
  return g_hash_table_contains (self->by_path, path);
}

static GVariant *
show_object (Exported *object)
{
  if (object->shown == NULL)
    object->shown = g_variant_ref_sink (g_variant_new_dict_entry (
        g_variant_new_object_path (object->path), show_faces ((Face *const *) object->faces->pdata, object->faces->len)));
  return object->shown;
}

GVariant *
gw_objects_show (GwObjects *self)
{
  g_autofree GVariant **entries = g_new (GVariant *, self->objects.length);
  gsize n = 0;

  if (self->shown != NULL)
    return self->shown;
  for (GList *l = self->objects.head; l != NULL; l = l->next)
    entries[n++] = show_object (l->data);
  self->shown = g_variant_ref_sink (g_variant_new_array (G_VARIANT_TYPE ("{oa{sa{sv}}}"), entries, n));
  return self->shown;
}

/* ---- on the bus ---- */

static void
on_call (GDBusConnection *connection,
         const char *sender,
         const char *path,
         const char *interface,
         const char *method,
         GVariant *parameters,
         GDBusMethodInvocation *invocation,
         gpointer data)
{
  GVariant *all = gw_objects_show (data);

  g_dbus_method_invocation_return_value (invocation, g_variant_new_tuple (&all, 1));
}

gboolean
gw_objects_open (GwObjects *self, GDBusConnection *connection, GError **error)
{
  static const GDBusInterfaceVTable table = { .method_call = on_call };

  self->registration
      = g_dbus_connection_register_object (connection, self->path, interface_info (), &table, self, NULL, error);
  if (self->registration == 0)
    return FALSE;
  self->connection = g_object_ref (connection);
  for (GList *l = self->objects.head; l != NULL; l = l->next)
    each_face (l->data, face_export);
  return TRUE;
}

void
gw_objects_close (GwObjects *self)
{
  if (self->connection == NULL)
    return;
  g_dbus_connection_unregister_object (self->connection, self->registration);
  for (GList *l = self->objects.head; l != NULL; l = l->next)
    each_face (l->data, face_unexport);
  g_clear_object (&self->connection);
}

const char *
gw_objects_get_path (GwObjects *self)
{
  return self->path;
}

GwObjects *
gw_objects_new (const char *path)
{
  GwObjects *self = g_object_new (GW_TYPE_OBJECTS, NULL);

  self->path = g_strdup (path);
  return self;
}

static void
gw_objects_finalize (GObject *object)
{
  GwObjects *self = GW_OBJECTS (object);

  gw_objects_close (self);
  g_hash_table_unref (self->by_path);
  g_queue_clear_full (&self->objects, (GDestroyNotify) exported_free);
  g_hash_table_unref (self->kinds);
  g_clear_pointer (&self->shown, g_variant_unref);
  g_free (self->path);
  G_OBJECT_CLASS (gw_objects_parent_class)->finalize (object);
}

static void
gw_objects_class_init (GwObjectsClass *class)
{
  G_OBJECT_CLASS (class)->finalize = gw_objects_finalize;
}

static void
gw_objects_init (GwObjects *self)
{
  self->by_path = g_hash_table_new (g_str_hash, g_str_equal);
  self->kinds = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) kind_free);
}
