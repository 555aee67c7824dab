/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An endpoint's figures on D-Bus, seen from the other end: who reads has what is true, and hears of it when it no longer is. */

#include "dbus-pair.h"
#include "gw-endpoint-skeleton.h"
#include "gw-objects.h"

#define ROOT "/org/gangway/Gangway1"
#define PATH ROOT "/endpoint/_a"
#define ENDPOINT "org.gangway.Gangway1.Endpoint"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define MSEC G_GINT64_CONSTANT (1000)

typedef struct
{
  GDBusConnection *agent, *client;
  GwClock *clock;
  GwLoop *loop;
  GwObjects *objects;
  GwDBusObjectSkeleton *object;
  GwEndpointSkeleton *skeleton;
  guint64 figures[GW_ENDPOINT_FIGURE_COUNT];
  guint asked;
  guint told;
  guint subscription;
} Lab;

static void
on_asked (guint64 *figures, gpointer data)
{
  Lab *lab = data;

  lab->asked++;
  for (guint i = 0; i < GW_ENDPOINT_FIGURE_COUNT; i++)
    figures[i] = lab->figures[i];
}

/* Names and no values: that is what the interface's annotations say. */
static void
on_told (GDBusConnection *connection,
         const char *sender,
         const char *path,
         const char *interface,
         const char *name,
         GVariant *parameters,
         gpointer data)
{
  g_autoptr (GVariant) expected
      = g_variant_parse (NULL, "('" ENDPOINT "', @a{sv} {}, ['LastSeen', 'ReportsAcknowledged', 'ReportsDelivered', 'ReportsLost'])",
                         NULL, NULL, NULL);
  Lab *lab = data;

  g_assert_cmpstr (path, ==, PATH);
  g_assert_cmpvariant (parameters, expected);
  lab->told++;
}

/* What is due is done, and what was sent has come. */
static void
settle (Lab *lab)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_variant_unref (dbus_pair_call (lab->client, ROOT, "org.freedesktop.DBus.Peer", "Ping", NULL));
}

static void
setup (Lab *lab, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  dbus_pair_open (&lab->agent, &lab->client);
  lab->clock = gw_clock_new_mock (G_USEC_PER_SEC, 0);
  lab->loop = gw_loop_new (NULL, lab->clock);
  lab->subscription = g_dbus_connection_signal_subscribe (lab->client, NULL, PROPERTIES, "PropertiesChanged", NULL, NULL,
                                                          G_DBUS_SIGNAL_FLAGS_NONE, on_told, lab, NULL);
  lab->objects = gw_objects_new (ROOT);
  g_assert_true (gw_objects_open (lab->objects, lab->agent, &error));
  g_assert_no_error (error);
  lab->object = gw_dbus_object_skeleton_new (PATH);
  lab->skeleton = gw_endpoint_skeleton_new (lab->loop, on_asked, lab);
  gw_dbus_endpoint_set_id (GW_DBUS_ENDPOINT (lab->skeleton), "aa");
  gw_dbus_object_skeleton_set_endpoint (lab->object, GW_DBUS_ENDPOINT (lab->skeleton));
  gw_objects_add (lab->objects, G_DBUS_OBJECT_SKELETON (lab->object));
  settle (lab);
}

static void
teardown (Lab *lab, gconstpointer data)
{
  g_object_unref (lab->objects);
  g_object_unref (lab->object);
  g_object_unref (lab->skeleton);
  g_dbus_connection_signal_unsubscribe (lab->client, lab->subscription);
  g_dbus_connection_close_sync (lab->client, NULL, NULL);
  g_object_unref (lab->client);
  g_object_unref (lab->agent);
  gw_loop_free (lab->loop);
  gw_clock_unref (lab->clock);
}

static void
move (Lab *lab, GwEndpointFigure figure)
{
  lab->figures[figure]++;
  gw_endpoint_skeleton_touch (lab->skeleton);
}

static void
pass (Lab *lab, gint64 usec)
{
  gw_clock_advance (lab->clock, usec);
  settle (lab);
}

static guint64
get (Lab *lab, const char *name)
{
  g_autoptr (GVariant) reply
      = dbus_pair_call (lab->client, PATH, PROPERTIES, "Get", g_variant_new ("(ss)", ENDPOINT, name)), value = NULL;

  g_variant_get (reply, "(v)", &value);
  return g_variant_get_uint64 (value);
}

/* A figure as GetManagedObjects has it. */
static guint64
find (Lab *lab, const char *name)
{
  g_autoptr (GVariant) reply = dbus_pair_call (lab->client, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", NULL),
                       all = NULL, faces = NULL, face = NULL;
  guint64 value;

  all = g_variant_get_child_value (reply, 0);
  faces = g_variant_lookup_value (all, PATH, NULL);
  face = g_variant_lookup_value (faces, ENDPOINT, NULL);
  g_assert_true (g_variant_lookup (face, name, "t", &value));
  return value;
}

/* At any time, whether or not anybody has said that something moved. */
static void
test_true (Lab *lab, gconstpointer data)
{
  static const char *const names[] = { "LastSeen", "ReportsAcknowledged", "ReportsDelivered", "ReportsLost" };
  g_autoptr (GVariant) all = NULL, face = NULL;
  const char *id;

  for (guint i = 0; i < GW_ENDPOINT_FIGURE_COUNT; i++)
    for (guint64 value = 7 + i; value < 10 + i; value++)
      {
        lab->figures[i] = value;
        g_assert_cmpuint (get (lab, names[i]), ==, value);
      }
  all = dbus_pair_call (lab->client, PATH, PROPERTIES, "GetAll", g_variant_new ("(s)", ENDPOINT));
  face = g_variant_get_child_value (all, 0);
  g_assert_true (g_variant_lookup (face, "Id", "&s", &id));
  g_assert_cmpstr (id, ==, "aa");
  for (guint i = 0; i < GW_ENDPOINT_FIGURE_COUNT; i++)
    {
      guint64 value;

      g_assert_true (g_variant_lookup (face, names[i], "t", &value));
      g_assert_cmpuint (value, ==, 9 + i);
    }
}

/* The first at once, then once a second whoever reads on. */
static void
test_reader (Lab *lab, gconstpointer data)
{
  move (lab, GW_ENDPOINT_FIGURE_DELIVERED);
  settle (lab);
  g_assert_cmpuint (lab->told, ==, 1);
  for (guint i = 0; i < 5; i++)
    {
      g_assert_cmpuint (get (lab, "ReportsDelivered"), ==, i + 1);
      move (lab, GW_ENDPOINT_FIGURE_DELIVERED);
      settle (lab);
      pass (lab, GW_ENDPOINT_SKELETON_READ_USEC - MSEC);
      g_assert_cmpuint (lab->told, ==, i + 1);
      pass (lab, MSEC);
      g_assert_cmpuint (lab->told, ==, i + 2);
    }
}

/* Nobody reads: what moves costs no question and no signal, but for those who listen only one a minute. */
static void
test_nobody (Lab *lab, gconstpointer data)
{
  guint asked;

  move (lab, GW_ENDPOINT_FIGURE_ACKNOWLEDGED);
  settle (lab);
  g_assert_cmpuint (lab->told, ==, 1);
  asked = lab->asked;
  for (guint i = 0; i < 599; i++)
    {
      move (lab, GW_ENDPOINT_FIGURE_ACKNOWLEDGED);
      pass (lab, GW_ENDPOINT_SKELETON_UNREAD_USEC / 600);
    }
  g_assert_cmpuint (lab->told, ==, 1);
  g_assert_cmpuint (lab->asked, ==, asked);
  pass (lab, GW_ENDPOINT_SKELETON_UNREAD_USEC / 600);
  g_assert_cmpuint (lab->told, ==, 2);
  g_assert_cmpuint (lab->asked, ==, asked + 1);
  pass (lab, 10 * GW_ENDPOINT_SKELETON_UNREAD_USEC);
  g_assert_cmpuint (lab->told, ==, 2);
}

/* Who comes to read while a change waits for its minute has that change, and hears of the next one soon. */
static void
test_newcomer (Lab *lab, gconstpointer data)
{
  move (lab, GW_ENDPOINT_FIGURE_LOST);
  settle (lab);
  move (lab, GW_ENDPOINT_FIGURE_LOST);
  pass (lab, 10 * G_USEC_PER_SEC);
  g_assert_cmpuint (get (lab, "ReportsLost"), ==, 2);
  settle (lab);
  g_assert_cmpuint (lab->told, ==, 1);
  move (lab, GW_ENDPOINT_FIGURE_LOST);
  settle (lab);
  g_assert_cmpuint (lab->told, ==, 2);
}

/* Nothing has moved: nothing is told. It moved, was read and moved back: whoever read it first holds what is wrong. */
static void
test_back_and_forth (Lab *lab, gconstpointer data)
{
  gw_endpoint_skeleton_touch (lab->skeleton);
  settle (lab);
  g_assert_cmpuint (lab->told, ==, 0);
  lab->figures[GW_ENDPOINT_FIGURE_LAST_SEEN] = 60;
  g_assert_cmpuint (get (lab, "LastSeen"), ==, 60);
  lab->figures[GW_ENDPOINT_FIGURE_LAST_SEEN] = 0;
  g_assert_cmpuint (get (lab, "LastSeen"), ==, 0);
  gw_endpoint_skeleton_touch (lab->skeleton);
  settle (lab);
  g_assert_cmpuint (lab->told, ==, 1);
}

/* GetManagedObjects keeps what it read: all of it is old by the time that one figure is told. */
static void
test_copies (Lab *lab, gconstpointer data)
{
  g_assert_cmpuint (find (lab, "ReportsAcknowledged"), ==, 0);
  move (lab, GW_ENDPOINT_FIGURE_ACKNOWLEDGED);
  settle (lab);
  g_assert_cmpuint (lab->told, ==, 1);
  move (lab, GW_ENDPOINT_FIGURE_LOST);
  settle (lab);
  g_assert_cmpuint (lab->told, ==, 1);
  g_assert_cmpuint (find (lab, "ReportsLost"), ==, 1);
  g_assert_cmpuint (find (lab, "ReportsAcknowledged"), ==, 1);
  move (lab, GW_ENDPOINT_FIGURE_LOST);
  pass (lab, GW_ENDPOINT_SKELETON_READ_USEC);
  g_assert_cmpuint (lab->told, ==, 2);
  g_assert_cmpuint (find (lab, "ReportsLost"), ==, 2);
}

/* Reads it without a turn of the loop. */
static void
ask_inside (Lab *lab)
{
  GDBusInterfaceSkeleton *skeleton = G_DBUS_INTERFACE_SKELETON (lab->skeleton);
  g_autoptr (GVariant) value = g_variant_ref_sink (g_dbus_interface_skeleton_get_vtable (skeleton)->get_property (
      lab->agent, NULL, PATH, ENDPOINT, "ReportsLost", NULL, skeleton));

  g_assert_cmpuint (g_variant_get_uint64 (value), ==, lab->figures[GW_ENDPOINT_FIGURE_LOST]);
}

/* Its owner has gone: it answers with what it knows. */
static void
test_closed (Lab *lab, gconstpointer data)
{
  guint asked;

  move (lab, GW_ENDPOINT_FIGURE_LOST);
  ask_inside (lab);
  gw_endpoint_skeleton_close (lab->skeleton);
  asked = lab->asked;
  move (lab, GW_ENDPOINT_FIGURE_LOST);
  pass (lab, GW_ENDPOINT_SKELETON_UNREAD_USEC);
  g_assert_cmpuint (get (lab, "ReportsLost"), ==, 1);
  g_assert_cmpuint (lab->told, ==, 0);
  g_assert_cmpuint (lab->asked, ==, asked);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/endpoint-skeleton/true", Lab, NULL, setup, test_true, teardown);
  g_test_add ("/endpoint-skeleton/reader", Lab, NULL, setup, test_reader, teardown);
  g_test_add ("/endpoint-skeleton/nobody", Lab, NULL, setup, test_nobody, teardown);
  g_test_add ("/endpoint-skeleton/newcomer", Lab, NULL, setup, test_newcomer, teardown);
  g_test_add ("/endpoint-skeleton/back-and-forth", Lab, NULL, setup, test_back_and_forth, teardown);
  g_test_add ("/endpoint-skeleton/copies", Lab, NULL, setup, test_copies, teardown);
  g_test_add ("/endpoint-skeleton/closed", Lab, NULL, setup, test_closed, teardown);
  return g_test_run ();
}
