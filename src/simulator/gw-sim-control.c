/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* On GIO's socket service: few clients, small lines, so none of it needs the fast loop. */

#include "gw-sim-control.h"

#include <errno.h>
#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <stdio.h>

struct GwSimControl
{
  GwSim *sim;
  char *path;
  GSocketService *service;
  GCancellable *cancellable;
  GwSimControlFunc after;
  gpointer data;
  guint n_clients;
};

/* One connection; the control waits for its end before it goes. */
typedef struct
{
  GwSimControl *control;
  GCancellable *cancellable;
  GSocketConnection *connection;
  GDataInputStream *input;
  char *answer;
} Client;

static void read_line (Client *client);

static void
client_free (Client *client)
{
  client->control->n_clients--;
  g_object_unref (client->cancellable);
  g_object_unref (client->input);
  g_object_unref (client->connection);
  g_free (client->answer);
  g_free (client);
}

static void
on_written (GObject *source, GAsyncResult *result, gpointer data)
{
  Client *client = data;

  g_clear_pointer (&client->answer, g_free);
  if (g_output_stream_write_all_finish (G_OUTPUT_STREAM (source), result, NULL, NULL))
    read_line (client);
  else
    client_free (client);
}

static void
on_line (GObject *source, GAsyncResult *result, gpointer data)
{
  Client *client = data;
  g_autofree char *line
      = g_data_input_stream_read_line_finish_utf8 (G_DATA_INPUT_STREAM (source), result, NULL, NULL);
  g_autofree char *text = NULL;
  json_t *answer;

  if (!line || g_cancellable_is_cancelled (client->cancellable))
    {
      client_free (client);
      return;
    }
  answer = gw_sim_command (client->control->sim, line);
  text = json_dumps (answer, JSON_COMPACT);
  json_decref (answer);
  client->answer = g_strconcat (text, "\n", NULL);
  g_output_stream_write_all_async (g_io_stream_get_output_stream (G_IO_STREAM (client->connection)),
                                   client->answer, strlen (client->answer), G_PRIORITY_DEFAULT,
                                   client->cancellable, on_written, client);
  client->control->after (client->control->data);
}

static void
read_line (Client *client)
{
  g_data_input_stream_read_line_async (client->input, G_PRIORITY_DEFAULT, client->cancellable, on_line,
                                       client);
}

static gboolean
on_incoming (GSocketService *service, GSocketConnection *connection, GObject *source, gpointer data)
{
  GwSimControl *self = data;
  Client *client = g_new0 (Client, 1);

  client->control = self;
  self->n_clients++;
  client->cancellable = g_object_ref (self->cancellable);
  client->connection = g_object_ref (connection);
  client->input = g_data_input_stream_new (g_io_stream_get_input_stream (G_IO_STREAM (connection)));
  read_line (client);
  return TRUE;
}

GwSimControl *
gw_sim_control_new (GwSim *sim, const char *path, GwSimControlFunc after, gpointer data, GError **error)
{
  g_autoptr (GwSimControl) self = g_new0 (GwSimControl, 1);
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (path);

  self->sim = sim;
  self->path = g_strdup (path);
  self->after = after;
  self->data = data;
  self->cancellable = g_cancellable_new ();
  self->service = g_socket_service_new ();
  g_unlink (path);
  if (!g_socket_listener_add_address (G_SOCKET_LISTENER (self->service), address, G_SOCKET_TYPE_STREAM,
                                      G_SOCKET_PROTOCOL_DEFAULT, NULL, NULL, error))
    return NULL;
  g_signal_connect (self->service, "incoming", G_CALLBACK (on_incoming), self);
  return g_steal_pointer (&self);
}

void
gw_sim_control_free (GwSimControl *self)
{
  g_cancellable_cancel (self->cancellable);
  g_socket_service_stop (self->service);
  g_socket_listener_close (G_SOCKET_LISTENER (self->service));
  g_signal_handlers_disconnect_by_data (self->service, self);
  while (self->n_clients > 0)
    g_main_context_iteration (NULL, TRUE);
  g_object_unref (self->service);
  g_object_unref (self->cancellable);
  g_unlink (self->path);
  g_free (self->path);
  g_free (self);
}

int
gw_sim_control_client (const char *path, char **words)
{
  g_autoptr (GSocketClient) client = g_socket_client_new ();
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (path);
  g_autoptr (GSocketConnection) connection = NULL;
  g_autoptr (GDataInputStream) input = NULL;
  g_autoptr (GPtrArray) quoted = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  g_autofree char *line = NULL, *command = NULL, *answer = NULL;
  json_t *parsed;
  int status;

  for (; *words; words++)
    g_ptr_array_add (quoted, g_shell_quote (*words));
  g_ptr_array_add (quoted, NULL);
  line = g_strjoinv (" ", (char **)quoted->pdata);
  command = g_strconcat (line, "\n", NULL);

  connection = g_socket_client_connect (client, G_SOCKET_CONNECTABLE (address), NULL, &error);
  if (connection
      && g_output_stream_write_all (g_io_stream_get_output_stream (G_IO_STREAM (connection)), command,
                                    strlen (command), NULL, NULL, &error))
    {
      input = g_data_input_stream_new (g_io_stream_get_input_stream (G_IO_STREAM (connection)));
      answer = g_data_input_stream_read_line_utf8 (input, NULL, NULL, &error);
    }
  if (!answer)
    {
      g_printerr ("gangway-sim: %s: %s\n", path, error ? error->message : "the simulator hung up");
      return 1;
    }
  g_print ("%s\n", answer);
  parsed = json_loads (answer, 0, NULL);
  status = json_is_true (json_object_get (parsed, "ok")) ? 0 : 1;
  json_decref (parsed);
  return status;
}
