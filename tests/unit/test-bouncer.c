/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The gate and what it needs to stay: calls are judged in threads of GDBus, and the agent may end meanwhile. The test is the bus: it sends
 * calls in a caller's name, and answers who the caller is when it likes.
 */

#include <sys/socket.h>
#include <unistd.h>

#include "gw-bouncer.h"
#include "gw-dbus.h"
#include "gw-error.h"

#define CALLS 4
#define PATIENCE_SEC 30

typedef struct
{
  GDBusConnection *bus;   /* our end */
  GDBusConnection *agent; /* the end that the bouncer has */
  GAsyncQueue *questions; /* GDBusMessage: who is that? */
  GAsyncQueue *answers;   /* GDBusMessage: what became of our calls */
  GwBouncer *bouncer;
  GwDBusBus *skeleton;
} Fixture;

/* In GDBus's thread. */
static GDBusMessage *
on_message (GDBusConnection *connection, GDBusMessage *message, gboolean incoming, gpointer data)
{
  Fixture *f = data;

  if (!incoming)
    return message;
  if (g_strcmp0 (g_dbus_message_get_member (message), "GetConnectionUnixUser") == 0)
    g_async_queue_push (f->questions, message);
  else if (g_dbus_message_get_reply_serial (message) != 0)
    g_async_queue_push (f->answers, message);
  else
    g_object_unref (message);
  g_main_context_wakeup (NULL);
  return NULL;
}

static void
on_connected (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;

  *(GDBusConnection **) data = g_dbus_connection_new_finish (result, &error);
  g_assert_no_error (error);
}

static void
connect_end (int fd, GDBusConnectionFlags flags, GDBusConnection **out)
{
  g_autoptr (GSocket) socket = g_socket_new_from_fd (fd, NULL);
  g_autoptr (GSocketConnection) stream = g_socket_connection_factory_create_connection (socket);
  g_autofree char *guid = (flags & G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER) != 0 ? g_dbus_generate_guid () : NULL;

  g_dbus_connection_new (G_IO_STREAM (stream), guid, flags, NULL, NULL, on_connected, out);
}

static void
set_up (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  int pair[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
  connect_end (pair[0], G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER, &f->bus);
  connect_end (pair[1], G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, &f->agent);
  while (f->bus == NULL || f->agent == NULL)
    g_main_context_iteration (NULL, TRUE);
  f->questions = g_async_queue_new_full (g_object_unref);
  f->answers = g_async_queue_new_full (g_object_unref);
  g_dbus_connection_add_filter (f->bus, on_message, f, NULL);
  f->bouncer = gw_bouncer_new (GW_BOUNCER_OWN_UID, f->agent, &error);
  g_assert_no_error (error);
  f->skeleton = gw_dbus_bus_skeleton_new ();
  gw_bouncer_guard (f->bouncer, G_DBUS_INTERFACE_SKELETON (f->skeleton));
  g_dbus_interface_skeleton_export (G_DBUS_INTERFACE_SKELETON (f->skeleton), f->agent, "/bus", &error);
  g_assert_no_error (error);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  g_dbus_connection_close_sync (f->bus, NULL, NULL);
  g_clear_object (&f->bus);
  g_clear_object (&f->agent);
  g_async_queue_unref (f->questions);
  g_async_queue_unref (f->answers);
}

static void
call_scan (Fixture *f)
{
  g_autoptr (GDBusMessage) call = g_dbus_message_new_method_call (NULL, "/bus", "org.gangway.Gangway1.Bus", "Scan");
  g_autoptr (GError) error = NULL;

  g_dbus_message_set_sender (call, ":1.7");
  g_dbus_connection_send_message (f->bus, call, G_DBUS_SEND_MESSAGE_FLAGS_NONE, NULL, &error);
  g_assert_no_error (error);
}

static gboolean
on_late (gpointer data)
{
  g_error ("nothing came in %d s", PATIENCE_SEC);
  return G_SOURCE_REMOVE;
}

static GDBusMessage *
take (GAsyncQueue *queue)
{
  guint late = g_timeout_add_seconds (PATIENCE_SEC, on_late, NULL);
  GDBusMessage *message;

  while ((message = g_async_queue_try_pop (queue)) == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (late);
  return message;
}

static void
tell_uid (Fixture *f, GDBusMessage *question, guint32 uid)
{
  g_autoptr (GDBusMessage) answer = g_dbus_message_new_method_reply (question);

  g_dbus_message_set_body (answer, g_variant_new ("(u)", uid));
  g_dbus_connection_send_message (f->bus, answer, G_DBUS_SEND_MESSAGE_FLAGS_NONE, NULL, NULL);
}

static void
assert_refused (Fixture *f)
{
  g_autoptr (GDBusMessage) answer = take (f->answers);

  g_assert_cmpstr (g_dbus_message_get_error_name (answer), ==, GW_ERROR_DBUS_PREFIX "NotAuthorized");
}

static void
test_stranger (Fixture *f, gconstpointer data)
{
  g_autoptr (GDBusMessage) question = NULL;

  call_scan (f);
  question = take (f->questions);
  tell_uid (f, question, getuid () + 1);
  assert_refused (f);
  g_clear_object (&f->skeleton);
  g_clear_object (&f->bouncer);
}

/* Several calls stand at the gate when the agent lets go of everything. GLib's own guard of a handler's object holds it for the first of
 * them only. */
static void
test_end (Fixture *f, gconstpointer data)
{
  GDBusMessage *questions[CALLS];
  gpointer watched = f->bouncer;

  for (guint i = 0; i < CALLS; i++)
    call_scan (f);
  for (guint i = 0; i < CALLS; i++)
    questions[i] = take (f->questions);
  g_object_add_weak_pointer (G_OBJECT (f->bouncer), &watched);
  g_object_unref (g_steal_pointer (&f->bouncer));
  for (guint i = 0; i < CALLS; i++)
    {
      g_assert_nonnull (watched);
      tell_uid (f, questions[i], getuid () + 1);
      assert_refused (f);
      g_object_unref (questions[i]);
    }
  /* What is guarded keeps its guard, and no longer. */
  g_assert_nonnull (watched);
  g_object_remove_weak_pointer (watched, &watched);
  g_dbus_interface_skeleton_unexport (G_DBUS_INTERFACE_SKELETON (f->skeleton));
  g_clear_object (&f->skeleton);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/bouncer/stranger", Fixture, NULL, set_up, test_stranger, tear_down);
  g_test_add ("/bouncer/end", Fixture, NULL, set_up, test_end, tear_down);
  return g_test_run ();
}
