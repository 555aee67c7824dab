/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The agent's objects, seen from the other end of a D-Bus connection. */

#include "dbus-pair.h"
#include "gw-dbus.h"
#include "gw-objects.h"

#define ROOT "/org/gangway/Gangway1"
#define PATH(name) ROOT "/endpoint/" name
#define MANAGER "org.freedesktop.DBus.ObjectManager"
#define ENDPOINT "org.gangway.Gangway1.Endpoint"
#define POINTS "org.gangway.Gangway1.Points"

typedef struct
{
  GDBusConnection *agent, *client;
  GwObjects *objects;
  GPtrArray *signals; /* GVariant (sv): name, parameters */
  guint subscription;
} Lab;

static void
on_signal (GDBusConnection *connection,
           const char *sender,
           const char *path,
           const char *interface,
           const char *name,
           GVariant *parameters,
           gpointer data)
{
  Lab *lab = data;

  g_assert_cmpstr (path, ==, ROOT);
  g_ptr_array_add (lab->signals, g_variant_ref_sink (g_variant_new ("(sv)", name, parameters)));
}

static void
setup (Lab *lab, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  dbus_pair_open (&lab->agent, &lab->client);
  lab->signals = g_ptr_array_new_with_free_func ((GDestroyNotify) g_variant_unref);
  lab->subscription = g_dbus_connection_signal_subscribe (lab->client, NULL, MANAGER, NULL, NULL, NULL, G_DBUS_SIGNAL_FLAGS_NONE,
                                                          on_signal, lab, NULL);
  lab->objects = gw_objects_new (ROOT);
  g_assert_true (gw_objects_open (lab->objects, lab->agent, &error));
  g_assert_no_error (error);
}

static void
teardown (Lab *lab, gconstpointer data)
{
  g_object_unref (lab->objects);
  g_dbus_connection_signal_unsubscribe (lab->client, lab->subscription);
  g_ptr_array_unref (lab->signals);
  g_dbus_connection_close_sync (lab->client, NULL, NULL);
  g_object_unref (lab->client);
  g_object_unref (lab->agent);
}

/* a{oa{sa{sv}}}, as the client has it. All signals that were sent before are in as well. */
static GVariant *
ask (Lab *lab)
{
  g_autoptr (GVariant) reply = dbus_pair_call (lab->client, ROOT, MANAGER, "GetManagedObjects", NULL);

  g_assert_true (g_variant_is_of_type (reply, G_VARIANT_TYPE ("(a{oa{sa{sv}}})")));
  return g_variant_get_child_value (reply, 0);
}

static GwDBusObjectSkeleton *
add (Lab *lab, const char *path, const char *id, GwDBusEndpoint **endpoint)
{
  GwDBusObjectSkeleton *object = gw_dbus_object_skeleton_new (path);

  *endpoint = gw_dbus_endpoint_skeleton_new ();
  g_object_set (*endpoint, "id", id, "model", "SIM-1", "bus", "/", "puf-health", g_variant_new ("(buu)", TRUE, 3, 18), NULL);
  gw_dbus_object_skeleton_set_endpoint (object, *endpoint);
  gw_objects_add (lab->objects, G_DBUS_OBJECT_SKELETON (object));
  return object;
}

static GVariant *
points (double high)
{
  return g_variant_new_parsed ("[(uint32 4, 'valve', 'K', uint32 3, {'type': <'float'>, 'high': <%d>}),"
                               " (5, 'n', '', 1, @a{sv} {})]",
                               high);
}

/* What is shown of @path is what the skeletons themselves say. */
static void
assert_shows (GVariant *all, const char *path, GDBusObjectSkeleton *object)
{
  GList *interfaces = g_dbus_object_get_interfaces (G_DBUS_OBJECT (object));
  g_autoptr (GVariant) faces = g_variant_lookup_value (all, path, G_VARIANT_TYPE ("a{sa{sv}}"));

  g_assert_nonnull (faces);
  g_assert_cmpuint (g_variant_n_children (faces), ==, g_list_length (interfaces));
  for (GList *l = interfaces; l != NULL; l = l->next)
    {
      g_autoptr (GVariant) said = g_dbus_interface_skeleton_get_properties (l->data);
      g_autoptr (GVariant) shown
          = g_variant_lookup_value (faces, g_dbus_interface_skeleton_get_info (l->data)->name, G_VARIANT_TYPE_VARDICT);

      g_assert_nonnull (shown);
      g_assert_cmpvariant (shown, said);
    }
  g_list_free_full (interfaces, g_object_unref);
}

static void
assert_signal (Lab *lab, guint i, const char *name, const char *parameters)
{
  g_autoptr (GVariant) expected = g_variant_parse (NULL, parameters, NULL, NULL, NULL), found = NULL;
  const char *said;

  g_assert_cmpuint (lab->signals->len, >, i);
  g_variant_get (g_ptr_array_index (lab->signals, i), "(&sv)", &said, &found);
  g_assert_cmpstr (said, ==, name);
  g_assert_cmpvariant (found, expected);
}

static void
test_shown (Lab *lab, gconstpointer data)
{
  GwDBusEndpoint *a, *b;
  g_autoptr (GwDBusObjectSkeleton) first = add (lab, PATH ("a"), "aa", &a), second = add (lab, PATH ("b"), "bb", &b);
  g_autoptr (GVariant) all = NULL, again = NULL, child = NULL;
  const char *path;

  all = ask (lab);
  g_assert_cmpuint (g_variant_n_children (all), ==, 2);
  assert_shows (all, PATH ("a"), G_DBUS_OBJECT_SKELETON (first));
  assert_shows (all, PATH ("b"), G_DBUS_OBJECT_SKELETON (second));
  child = g_variant_get_child_value (all, 0);
  g_variant_get_child (child, 0, "&o", &path);
  g_assert_cmpstr (path, ==, PATH ("a"));
  again = ask (lab);
  g_assert_cmpvariant (all, again);
  g_object_unref (a);
  g_object_unref (b);
}

/* Each property by itself, of each kind of type, also where the neighbour says something else or the same again. */
static void
test_changes (Lab *lab, gconstpointer data)
{
  static const char *const words[] = { "online", "offline", "online", "online" };
  GwDBusEndpoint *a, *b;
  g_autoptr (GwDBusObjectSkeleton) first = add (lab, PATH ("a"), "aa", &a), second = add (lab, PATH ("b"), "bb", &b);

  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    {
      g_autoptr (GVariant) all = NULL;

      gw_dbus_endpoint_set_state (a, words[i]);
      gw_dbus_endpoint_set_state (i % 2 ? b : a, "offline");
      gw_dbus_endpoint_set_reports_lost (b, i);
      gw_dbus_endpoint_set_puf_health (a, g_variant_new ("(buu)", i % 2, i, 18));
      gw_dbus_endpoint_set_connected (b, i < 2);
      all = ask (lab);
      assert_shows (all, PATH ("a"), G_DBUS_OBJECT_SKELETON (first));
      assert_shows (all, PATH ("b"), G_DBUS_OBJECT_SKELETON (second));
    }
  g_object_unref (a);
  g_object_unref (b);
}

/* Every property of every interface: the name under which GObject tells of it is the one that is listened for. */
static void
test_every_property (Lab *lab, gconstpointer data)
{
  GDBusInterfaceSkeleton *skeletons[] = {
    G_DBUS_INTERFACE_SKELETON (gw_dbus_bus_skeleton_new ()),    G_DBUS_INTERFACE_SKELETON (gw_dbus_endpoint_skeleton_new ()),
    G_DBUS_INTERFACE_SKELETON (gw_dbus_points_skeleton_new ()), G_DBUS_INTERFACE_SKELETON (gw_dbus_policy_skeleton_new ()),
    G_DBUS_INTERFACE_SKELETON (gw_dbus_job_skeleton_new ()),
  };

  for (guint i = 0; i < G_N_ELEMENTS (skeletons); i++)
    {
      g_autoptr (GDBusObjectSkeleton) object = g_dbus_object_skeleton_new (PATH ("a"));
      g_autofree GParamSpec **all = NULL;
      guint n;

      g_dbus_object_skeleton_add_interface (object, skeletons[i]);
      gw_objects_add (lab->objects, object);
      all = g_object_class_list_properties (G_OBJECT_GET_CLASS (skeletons[i]), &n);
      for (guint k = 0; k < n; k++)
        {
          GType type = all[k]->value_type;

          if (all[k]->owner_type == G_TYPE_DBUS_INTERFACE_SKELETON)
            continue;
          gw_objects_show (lab->objects);
          if (type == G_TYPE_STRING)
            g_object_set (skeletons[i], all[k]->name, "/changed", NULL);
          else if (type == G_TYPE_UINT)
            g_object_set (skeletons[i], all[k]->name, 7u, NULL);
          else if (type == G_TYPE_UINT64)
            g_object_set (skeletons[i], all[k]->name, G_GUINT64_CONSTANT (7), NULL);
          else if (type == G_TYPE_DOUBLE)
            g_object_set (skeletons[i], all[k]->name, 0.7, NULL);
          else if (type == G_TYPE_BOOLEAN)
            g_object_set (skeletons[i], all[k]->name, TRUE, NULL);
          else
            continue;
          assert_shows (gw_objects_show (lab->objects), PATH ("a"), object);
        }
      gw_objects_remove (lab->objects, PATH ("a"));
      g_object_unref (skeletons[i]);
    }
}

static void
test_comes_and_goes (Lab *lab, gconstpointer data)
{
  GwDBusEndpoint *a;
  g_autoptr (GwDBusObjectSkeleton) object = add (lab, PATH ("a"), "aa", &a);
  g_autoptr (GwDBusPoints) late = gw_dbus_points_skeleton_new ();
  g_autoptr (GVariant) all = NULL, none = NULL;

  g_assert_true (gw_objects_has (lab->objects, PATH ("a")));
  gw_dbus_points_set_points (late, points (40));
  gw_dbus_object_skeleton_set_points (object, late);
  all = ask (lab);
  assert_shows (all, PATH ("a"), G_DBUS_OBJECT_SKELETON (object));
  g_assert_cmpuint (lab->signals->len, ==, 2);
  assert_signal (lab, 1, "InterfacesAdded",
                 "(objectpath '" PATH ("a") "', {'" POINTS "': {'Points': <[(uint32 4, 'valve', 'K', uint32 3, {'type': <'float'>, "
                 "'high': <40.0>}), (5, 'n', '', 1, @a{sv} {})]>}})");
  gw_dbus_object_skeleton_set_points (object, NULL);
  gw_objects_remove (lab->objects, PATH ("a"));
  gw_objects_remove (lab->objects, PATH ("a"));
  g_assert_false (gw_objects_has (lab->objects, PATH ("a")));
  none = ask (lab);
  g_assert_cmpuint (g_variant_n_children (none), ==, 0);
  g_assert_cmpuint (lab->signals->len, ==, 4);
  assert_signal (lab, 2, "InterfacesRemoved", "(objectpath '" PATH ("a") "', ['" POINTS "'])");
  assert_signal (lab, 3, "InterfacesRemoved", "(objectpath '" PATH ("a") "', ['" ENDPOINT "'])");
  g_assert_null (g_dbus_interface_skeleton_get_connection (G_DBUS_INTERFACE_SKELETON (a)));
  g_object_unref (a);
}

/* Points of other types and lengths in each, and the same in both: what is kept once for all must not be mixed up. */
static void
test_points (Lab *lab, gconstpointer data)
{
  GwDBusEndpoint *a, *b;
  g_autoptr (GwDBusObjectSkeleton) first = add (lab, PATH ("a"), "aa", &a), second = add (lab, PATH ("b"), "bb", &b);
  g_autoptr (GwDBusPoints) left = gw_dbus_points_skeleton_new (), right = gw_dbus_points_skeleton_new ();

  gw_dbus_points_set_points (left, points (1));
  gw_dbus_points_set_points (right, points (1));
  gw_dbus_object_skeleton_set_points (first, left);
  gw_dbus_object_skeleton_set_points (second, right);
  for (guint i = 0; i < 4; i++)
    {
      g_autoptr (GVariant) all = ask (lab);

      assert_shows (all, PATH ("a"), G_DBUS_OBJECT_SKELETON (first));
      assert_shows (all, PATH ("b"), G_DBUS_OBJECT_SKELETON (second));
      gw_dbus_points_set_points (i % 2 ? left : right, i < 2 ? points (i) : g_variant_new ("a(ussua{sv})", NULL));
    }
  g_object_unref (a);
  g_object_unref (b);
}

/* What was added before there is a bus is there at once, without a signal; closed, nothing is left on it. */
static void
test_opens_and_closes (Lab *lab, gconstpointer data)
{
  GwDBusEndpoint *a;
  g_autoptr (GwDBusObjectSkeleton) object = NULL;
  g_autoptr (GVariant) all = NULL;
  g_autoptr (GError) error = NULL;

  gw_objects_close (lab->objects);
  object = add (lab, PATH ("a"), "aa", &a);
  g_assert_null (g_dbus_interface_skeleton_get_connection (G_DBUS_INTERFACE_SKELETON (a)));
  g_assert_true (gw_objects_open (lab->objects, lab->agent, &error));
  all = ask (lab);
  assert_shows (all, PATH ("a"), G_DBUS_OBJECT_SKELETON (object));
  g_assert_cmpuint (lab->signals->len, ==, 0);
  g_assert_nonnull (g_dbus_interface_skeleton_get_connection (G_DBUS_INTERFACE_SKELETON (a)));
  gw_objects_close (lab->objects);
  g_assert_null (g_dbus_interface_skeleton_get_connection (G_DBUS_INTERFACE_SKELETON (a)));
  g_object_unref (a);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/objects/shown", Lab, NULL, setup, test_shown, teardown);
  g_test_add ("/objects/changes", Lab, NULL, setup, test_changes, teardown);
  g_test_add ("/objects/every-property", Lab, NULL, setup, test_every_property, teardown);
  g_test_add ("/objects/comes-and-goes", Lab, NULL, setup, test_comes_and_goes, teardown);
  g_test_add ("/objects/points", Lab, NULL, setup, test_points, teardown);
  g_test_add ("/objects/opens-and-closes", Lab, NULL, setup, test_opens_and_closes, teardown);
  return g_test_run ();
}
