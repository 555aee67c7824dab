/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What waits for the main loop: a connection whose loop stands still, and callers that go on calling. */
#include <gio/gio.h>
#include <gio/gunixfdlist.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gw-error.h"
#include "gw-turnstile.h"

#define PATH "/org/gangway/Test"
#define INTERFACE "org.gangway.Test"
#define BODY 60000
#define MANY (2 * GW_TURNSTILE_QUEUE_MAX / BODY)

typedef struct
{
  GDBusConnection *agent;  /* its loop is the default one, which turns only when a test says so */
  GDBusConnection *caller; /* its loop is `context` */
  GMainContext *context;
  guint object;
  guint taken; /* calls that reached the object */
  guint answered;
  guint refused;
} Fixture;

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
  Fixture *f = data;

  f->taken++;
  g_dbus_method_invocation_return_value (invocation, NULL);
}

static const GDBusInterfaceVTable vtable = { .method_call = on_call };

static GDBusConnection *
connect_end (int fd, gboolean server)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocket) socket = g_socket_new_from_fd (fd, &error);
  g_autoptr (GSocketConnection) stream = NULL;
  g_autofree char *guid = g_dbus_generate_guid ();
  GDBusConnection *connection;

  g_assert_no_error (error);
  stream = g_socket_connection_factory_create_connection (socket);
  connection = g_dbus_connection_new_sync (G_IO_STREAM (stream), server ? guid : NULL,
                                           server ? G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER
                                                        | G_DBUS_CONNECTION_FLAGS_DELAY_MESSAGE_PROCESSING
                                                  : G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT,
                                           NULL, NULL, &error);
  g_assert_no_error (error);
  return connection;
}

static gpointer
connect_caller (gpointer data)
{
  return connect_end (GPOINTER_TO_INT (data), FALSE);
}

static void
set_up (Fixture *f, gconstpointer data)
{
  static const char xml[]
      = "<node><interface name='" INTERFACE
        "'><method name='Take'><arg type='ay' direction='in'/></method></interface></node>";
  g_autoptr (GDBusNodeInfo) node = g_dbus_node_info_new_for_xml (xml, NULL);
  int pair[2];
  GThread *thread;

  f->context = g_main_context_new ();
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
  thread = g_thread_new ("caller", connect_caller, GINT_TO_POINTER (pair[1]));
  f->agent = connect_end (pair[0], TRUE);
  f->caller = g_thread_join (thread);
  gw_turnstile_install (f->agent);
  f->object = g_dbus_connection_register_object (f->agent, PATH, node->interfaces[0], &vtable, f, NULL, NULL);
  g_dbus_connection_start_message_processing (f->agent);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  g_dbus_connection_unregister_object (f->agent, f->object);
  g_dbus_connection_close_sync (f->caller, NULL, NULL);
  g_dbus_connection_close_sync (f->agent, NULL, NULL);
  g_object_unref (f->caller);
  g_object_unref (f->agent);
  g_main_context_unref (f->context);
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static void
on_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  Fixture *f = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GDBusMessage) answer
      = g_dbus_connection_send_message_with_reply_finish (G_DBUS_CONNECTION (source), result, &error);

  g_assert_no_error (error);
  f->answered++;
  if (g_dbus_message_to_gerror (answer, &error))
    {
      g_assert_error (error, GW_ERROR, GW_ERROR_LIMIT);
      f->refused++;
    }
}

/* @n calls with @octets of arguments and @descriptors descriptors each; answers come in the caller's loop. */
static void
call (Fixture *f, guint n, gsize octets, guint descriptors)
{
  g_autofree char *content = g_malloc0 (octets);

  g_main_context_push_thread_default (f->context);
  for (guint i = 0; i < n; i++)
    {
      g_autoptr (GDBusMessage) message = g_dbus_message_new_method_call (NULL, PATH, INTERFACE, "Take");

      g_dbus_message_set_body (
          message,
          g_variant_new ("(@ay)", g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, content, octets, 1)));
      if (descriptors > 0)
        {
          g_autoptr (GUnixFDList) list = g_unix_fd_list_new ();

          for (guint d = 0; d < descriptors; d++)
            g_unix_fd_list_append (list, STDERR_FILENO, NULL);
          g_dbus_message_set_unix_fd_list (message, list);
        }
      g_dbus_connection_send_message_with_reply (f->caller, message, G_DBUS_SEND_MESSAGE_FLAGS_NONE, G_MAXINT,
                                                 NULL, NULL, on_answer, f);
    }
  g_main_context_pop_thread_default (f->context);
}

/* Until @n are answered; @turn: the agent's loop turns, too. */
static void
await (Fixture *f, guint n, gboolean turn)
{
  while (f->answered < n)
    {
      if (turn)
        g_main_context_iteration (NULL, FALSE);
      g_main_context_iteration (f->context, !turn);
    }
}

/* Alone, a caller gets half of the queue; the rest is told so at once, and all is as before when the loop
 * turns again. */
static void
octets_are_bounded (Fixture *f, gconstpointer data)
{
  const guint most = GW_TURNSTILE_QUEUE_MAX / 2 / BODY;

  for (guint round = 1; round <= 2; round++)
    {
      f->taken = f->answered = f->refused = 0;
      call (f, MANY, BODY, 0);
      await (f, MANY - most, FALSE);
      g_assert_cmpuint (f->refused, ==, f->answered);
      await (f, MANY, TRUE);
      g_assert_cmpuint (f->taken, ==, MANY - f->refused);
      g_assert_cmpuint (f->taken, <=, most);
      g_assert_cmpuint (f->taken, >, most * 9 / 10);
    }
}

static guint
open_descriptors (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

/* No method of ours takes one here; they came all the same. */
static void
descriptors_are_bounded (Fixture *f, gconstpointer data)
{
  const guint most = GW_TURNSTILE_DESCRIPTORS_MAX / 2 / 16, before = open_descriptors ();

  call (f, 100, 1, 16);
  await (f, 100 - most, FALSE);
  g_assert_cmpuint (open_descriptors (), <=, before + GW_TURNSTILE_DESCRIPTORS_MAX / 2);
  call (f, 1, 1, 0);
  await (f, 101, TRUE);
  g_assert_cmpuint (f->taken, ==, most + 1);
  call (f, most, 1, 16);
  await (f, 101 + most, TRUE);
  g_assert_cmpuint (f->taken, ==, 2 * most + 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  gw_error_quark ();
  g_test_add ("/turnstile/octets-are-bounded", Fixture, NULL, set_up, octets_are_bounded, tear_down);
  g_test_add ("/turnstile/descriptors-are-bounded", Fixture, NULL, set_up, descriptors_are_bounded,
              tear_down);
  return g_test_run ();
}
