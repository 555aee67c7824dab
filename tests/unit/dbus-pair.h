/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Two ends of a D-Bus connection without a bus, in one process: the agent's and a client's. */

#include <gio/gio.h>
#include <sys/socket.h>

static void
dbus_pair_on_connection (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;

  *(GDBusConnection **) data = g_dbus_connection_new_finish (result, &error);
  g_assert_no_error (error);
}

static void
dbus_pair_connect (int fd, GDBusConnectionFlags flags, GDBusConnection **connection)
{
  g_autoptr (GSocket) socket = g_socket_new_from_fd (fd, NULL);
  g_autoptr (GIOStream) stream = G_IO_STREAM (g_socket_connection_factory_create_connection (socket));
  g_autofree char *guid = flags & G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER ? g_dbus_generate_guid () : NULL;

  g_dbus_connection_new (stream, guid, flags, NULL, NULL, dbus_pair_on_connection, connection);
}

static void
dbus_pair_open (GDBusConnection **agent, GDBusConnection **client)
{
  int pair[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
  dbus_pair_connect (pair[0], G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER, agent);
  dbus_pair_connect (pair[1], G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, client);
  while (*agent == NULL || *client == NULL)
    g_main_context_iteration (NULL, TRUE);
}

static void
dbus_pair_on_reply (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;

  *(GVariant **) data = g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, &error);
  g_assert_no_error (error);
}

/* The reply, by when all signals that were sent before it are in as well. */
static GVariant *
dbus_pair_call (GDBusConnection *client, const char *path, const char *interface, const char *method, GVariant *parameters)
{
  GVariant *reply = NULL;

  g_dbus_connection_call (client, NULL, path, interface, method, parameters, NULL, G_DBUS_CALL_FLAGS_NONE, -1, NULL,
                          dbus_pair_on_reply, &reply);
  while (reply == NULL)
    g_main_context_iteration (NULL, TRUE);
  return reply;
}
