/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gangway-agent.h"

#include <gio/gunixfdlist.h>
#include <unistd.h>

#include "gangway/gangway-types.h"

#define AGENT_NAME "org.gangway.Gangway1"
#define AGENT_PATH "/org/gangway/Gangway1"
#define AGENT_INTERFACE "org.gangway.Gangway1.Manager"
#define AGENT_ERROR "org.gangway.Gangway1.Error."

#define ATTACH_TIMEOUT_MS 10000
#define BACKOFF_FIRST_MS 400
#define BACKOFF_MAX_MS 5000

struct _GangwayAgent
{
  const GangwayAgentFuncs *funcs;
  gpointer owner;
  char *address;
  GVariant *options;
  GMainContext *context;
  GCancellable *cancellable; /* for all that runs; its callbacks do not touch a freed object */
  GDBusConnection *connection;
  gulong closed_id;
  guint watch_id;
  gboolean present; /* the agent's name has an owner */
  gboolean calling; /* an AttachBus is under way */
  gboolean serving; /* the owner has a socket */
  GSource *retry;
  guint attempt;
};

guint
gangway_agent_backoff_ms (guint attempt, guint32 random)
{
  guint step = BACKOFF_FIRST_MS << MIN (attempt, 4);

  step = MIN (step, BACKOFF_MAX_MS);
  return step / 2 + random % (step / 2 + 1);
}

/* ---- AttachBus ---- */

static void attach (GangwayAgent *self);

static gboolean
on_retry (gpointer data)
{
  GangwayAgent *self = data;

  g_clear_pointer (&self->retry, g_source_unref);
  attach (self);
  return G_SOURCE_REMOVE;
}

static void
cancel_retry (GangwayAgent *self)
{
  if (self->retry != NULL)
    g_source_destroy (self->retry);
  g_clear_pointer (&self->retry, g_source_unref);
}

static void
schedule (GangwayAgent *self)
{
  if (self->retry != NULL || !self->present || self->calling || self->serving)
    return;
  self->retry = g_timeout_source_new (gangway_agent_backoff_ms (self->attempt, g_random_int ()));
  self->attempt++;
  g_source_set_callback (self->retry, on_retry, self, NULL);
  g_source_attach (self->retry, self->context);
}

/* Errors that the same call will meet again whatever happens on the bus. */
static gboolean
is_for_good (const GError *error)
{
  static const char *const names[] = {
    AGENT_ERROR "NotAuthorized",
    AGENT_ERROR "Invalid",
    AGENT_ERROR "Unsupported",
    "org.freedesktop.DBus.Error.AccessDenied",
  };
  g_autofree char *name = g_dbus_error_get_remote_error (error);

  for (gsize i = 0; name != NULL && i < G_N_ELEMENTS (names); i++)
    if (g_str_equal (name, names[i]))
      return TRUE;
  return FALSE;
}

/* The descriptor that the reply's handle names; all others are closed. Without dup(): the sandbox does not allow it. */
static int
steal_fd (GUnixFDList *list, gint32 handle)
{
  g_autofree int *fds = NULL;
  int count = 0, found = -1;

  if (list == NULL)
    return -1;
  fds = g_unix_fd_list_steal_fds (list, &count);
  for (int i = 0; i < count; i++)
    if (i == handle)
      found = fds[i];
    else
      close (fds[i]);
  return found;
}

static void
on_attach_reply (GObject *source, GAsyncResult *result, gpointer data)
{
  GangwayAgent *self = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GUnixFDList) fds = NULL;
  g_autoptr (GVariant) reply
      = g_dbus_connection_call_with_unix_fd_list_finish (G_DBUS_CONNECTION (source), &fds, result, &error);
  g_autofree char *path = NULL;
  gint32 handle = -1;
  gboolean for_good;
  int fd;

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return; /* @self may be gone */
  self->calling = FALSE;
  if (reply != NULL)
    {
      g_variant_get (reply, "(oh)", &path, &handle);
      fd = steal_fd (fds, handle);
      if (fd >= 0)
        {
          self->serving = TRUE;
          self->funcs->socket (self->owner, fd, path);
          return;
        }
      g_set_error_literal (
          &error, GANGWAY_ERROR, GANGWAY_ERROR_FAILED, "the agent's answer to AttachBus has no descriptor");
    }
  for_good = is_for_good (error);
  if (g_dbus_error_is_remote_error (error))
    g_dbus_error_strip_remote_error (error);
  schedule (self);
  self->funcs->refused (self->owner, error, for_good);
}

static void
attach (GangwayAgent *self)
{
  if (!self->present || self->calling || self->serving)
    return;
  cancel_retry (self);
  self->calling = TRUE;
  g_dbus_connection_call_with_unix_fd_list (self->connection,
                                            AGENT_NAME,
                                            AGENT_PATH,
                                            AGENT_INTERFACE,
                                            "AttachBus",
                                            g_variant_new ("(@a{sv})", self->options),
                                            G_VARIANT_TYPE ("(oh)"),
                                            G_DBUS_CALL_FLAGS_NO_AUTO_START,
                                            ATTACH_TIMEOUT_MS,
                                            NULL,
                                            self->cancellable,
                                            on_attach_reply,
                                            self);
}

void
gangway_agent_settle (GangwayAgent *self)
{
  self->attempt = 0;
}

void
gangway_agent_retry (GangwayAgent *self)
{
  self->serving = FALSE;
  schedule (self);
}

/* ---- The bus and the agent's name ---- */

static void
on_name_appeared (GDBusConnection *connection, const char *name, const char *name_owner, gpointer data)
{
  GangwayAgent *self = data;

  self->present = TRUE;
  attach (self);
}

static void
on_name_vanished (GDBusConnection *connection, const char *name, gpointer data)
{
  GangwayAgent *self = data;

  if (!self->present)
    return;
  self->present = FALSE;
  cancel_retry (self);
  self->funcs->vanished (self->owner);
}

static void
on_connection_closed (GDBusConnection *connection, gboolean remote, GError *error, gpointer data)
{
  GangwayAgent *self = data;
  g_autoptr (GError) why
      = g_error_new (GANGWAY_ERROR, GANGWAY_ERROR_FAILED, "lost the D-Bus connection: %s", error ? error->message : "closed");

  self->funcs->lost (self->owner, why);
}

static void
on_connected (GObject *source, GAsyncResult *result, gpointer data)
{
  GangwayAgent *self = data;
  g_autoptr (GError) error = NULL;
  GDBusConnection *connection = g_dbus_connection_new_for_address_finish (result, &error);

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return; /* @self may be gone */
  if (connection == NULL)
    {
      g_prefix_error (&error, "cannot connect to D-Bus: ");
      self->funcs->lost (self->owner, error);
      return;
    }
  self->connection = connection;
  g_dbus_connection_set_exit_on_close (connection, FALSE);
  self->closed_id = g_signal_connect (connection, "closed", G_CALLBACK (on_connection_closed), self);
  self->watch_id = g_bus_watch_name_on_connection (
      connection, AGENT_NAME, G_BUS_NAME_WATCHER_FLAGS_NONE, on_name_appeared, on_name_vanished, self, NULL);
}

static gboolean
on_no_address (gpointer data)
{
  GangwayAgent *self = data;
  g_autoptr (GError) error = NULL;

  g_clear_pointer (&self->retry, g_source_unref);
  g_set_error_literal (&error, GANGWAY_ERROR, GANGWAY_ERROR_FAILED, "the system bus has no address");
  self->funcs->lost (self->owner, error);
  return G_SOURCE_REMOVE;
}

GangwayAgent *
gangway_agent_new (const char *address, GVariant *options, const GangwayAgentFuncs *funcs, gpointer owner)
{
  GangwayAgent *self = g_new0 (GangwayAgent, 1);

  self->funcs = funcs;
  self->owner = owner;
  self->options = g_variant_ref_sink (options);
  self->context = g_main_context_ref_thread_default ();
  self->cancellable = g_cancellable_new ();
  self->address
      = address != NULL ? g_strdup (address) : g_dbus_address_get_for_bus_sync (G_BUS_TYPE_SYSTEM, NULL, NULL);
  if (self->address == NULL)
    {
      self->retry = g_idle_source_new ();
      g_source_set_callback (self->retry, on_no_address, self, NULL);
      g_source_attach (self->retry, self->context);
      return self;
    }
  g_dbus_connection_new_for_address (self->address,
                                     G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT
                                         | G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                     NULL,
                                     self->cancellable,
                                     on_connected,
                                     self);
  return self;
}

void
gangway_agent_free (GangwayAgent *self)
{
  g_cancellable_cancel (self->cancellable);
  cancel_retry (self);
  if (self->watch_id != 0)
    g_bus_unwatch_name (self->watch_id);
  if (self->connection != NULL)
    {
      g_signal_handler_disconnect (self->connection, self->closed_id);
      g_dbus_connection_close (self->connection, NULL, NULL, NULL);
    }
  g_clear_object (&self->connection);
  g_object_unref (self->cancellable);
  g_main_context_unref (self->context);
  g_variant_unref (self->options);
  g_free (self->address);
  g_free (self);
}
