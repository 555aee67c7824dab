/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See gw-turnstile.h. */

#include "config.h"

#include "gw-turnstile.h"

#include <string.h>

#include "gw-error.h"

static gboolean
is_oversize (GDBusMessage *message)
{
  GVariant *body = g_dbus_message_get_body (message);
  const char *path = g_dbus_message_get_path (message);

  return (body != NULL && g_variant_get_size (body) > GW_TURNSTILE_BODY_MAX)
         || (path != NULL && strlen (path) > GW_TURNSTILE_PATH_MAX);
}

static GDBusMessage *
on_message (GDBusConnection *connection, GDBusMessage *message, gboolean incoming, gpointer data)
{
  g_autoptr (GDBusMessage) call = message;
  g_autoptr (GDBusMessage) answer = NULL;

  if (!incoming || g_dbus_message_get_message_type (message) != G_DBUS_MESSAGE_TYPE_METHOD_CALL || !is_oversize (message))
    return g_steal_pointer (&call);
  if ((g_dbus_message_get_flags (message) & G_DBUS_MESSAGE_FLAGS_NO_REPLY_EXPECTED) != 0)
    return NULL;
  answer = g_dbus_message_new_method_error (message, GW_ERROR_DBUS_PREFIX "Limit",
                                            "a call has at most %d octets of arguments and a path of %d: pass what is larger "
                                            "as a file descriptor, where the method takes one",
                                            GW_TURNSTILE_BODY_MAX, GW_TURNSTILE_PATH_MAX);
  g_dbus_connection_send_message (connection, answer, G_DBUS_SEND_MESSAGE_FLAGS_NONE, NULL, NULL);
  return NULL;
}

void
gw_turnstile_install (GDBusConnection *connection)
{
  g_dbus_connection_add_filter (connection, on_message, NULL, NULL);
}
