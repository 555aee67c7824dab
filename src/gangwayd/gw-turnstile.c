/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See gw-turnstile.h. GDBus reads as fast as the bus writes, and queues for the main loop what it read: a
 * caller that wants no answers is stopped by nobody, neither by the bus, which counts outstanding answers,
 * nor by its socket. So what is queued is counted here, by a weak reference to each call, which goes with the
 * last who holds it: the answer's sender.
 */

#include "config.h"

#include "gw-turnstile.h"

#include <string.h>

#include <gio/gunixfdlist.h>

#include "gw-error.h"

/* A call's own weight: what GLib makes of it before there is a single argument. */
#define CALL_OCTETS 2048

typedef struct
{
  guint64 octets;
  guint descriptors;
} Load;

typedef struct
{
  gatomicrefcount refs;
  GMutex mutex;
  GHashTable *callers; /* unique name -> Load, of those who have any */
  Load all;
} Turnstile;

/* One call that was let through. */
typedef struct
{
  Turnstile *turnstile;
  char *caller;
  Load load;
} Ticket;

static void
turnstile_unref (gpointer data)
{
  Turnstile *self = data;

  if (!g_atomic_ref_count_dec (&self->refs))
    return;
  g_hash_table_unref (self->callers);
  g_mutex_clear (&self->mutex);
  g_free (self);
}

/* The last who held the call lets go of it, in whichever thread. */
static void
on_call_gone (gpointer data, GObject *message)
{
  Ticket *ticket = data;
  Turnstile *self = ticket->turnstile;
  Load *load;

  g_mutex_lock (&self->mutex);
  load = g_hash_table_lookup (self->callers, ticket->caller);
  load->octets -= ticket->load.octets;
  load->descriptors -= ticket->load.descriptors;
  self->all.octets -= ticket->load.octets;
  self->all.descriptors -= ticket->load.descriptors;
  if (load->octets == 0)
    g_hash_table_remove (self->callers, ticket->caller);
  g_mutex_unlock (&self->mutex);
  turnstile_unref (self);
  g_free (ticket->caller);
  g_free (ticket);
}

/* A caller may have as much as is left for all others: alone the half, and a newcomer always something. */
static gboolean
fits (guint64 own, guint64 more, guint64 all, guint64 max)
{
  return more == 0 || own + more <= max - MIN (all, max);
}

static gboolean
let_through (Turnstile *self, GDBusMessage *message)
{
  GVariant *body = g_dbus_message_get_body (message);
  GUnixFDList *descriptors = g_dbus_message_get_unix_fd_list (message);
  const char *sender = g_dbus_message_get_sender (message);
  Load more = { CALL_OCTETS, 0 }, *own;
  Ticket *ticket;

  if (body != NULL)
    more.octets += g_variant_get_size (body);
  if (descriptors != NULL)
    more.descriptors = (guint)g_unix_fd_list_get_length (descriptors);
  if (sender == NULL)
    sender = "";
  g_mutex_lock (&self->mutex);
  own = g_hash_table_lookup (self->callers, sender);
  if (!fits (own != NULL ? own->octets : 0, more.octets, self->all.octets, GW_TURNSTILE_QUEUE_MAX)
      || !fits (own != NULL ? own->descriptors : 0, more.descriptors, self->all.descriptors,
                GW_TURNSTILE_DESCRIPTORS_MAX))
    {
      g_mutex_unlock (&self->mutex);
      return FALSE;
    }
  if (own == NULL)
    {
      own = g_new0 (Load, 1);
      g_hash_table_insert (self->callers, g_strdup (sender), own);
    }
  own->octets += more.octets;
  own->descriptors += more.descriptors;
  self->all.octets += more.octets;
  self->all.descriptors += more.descriptors;
  g_mutex_unlock (&self->mutex);
  ticket = g_new (Ticket, 1);
  *ticket = (Ticket){ self, g_strdup (sender), more };
  g_atomic_ref_count_inc (&self->refs);
  g_object_weak_ref (G_OBJECT (message), on_call_gone, ticket);
  return TRUE;
}

static gboolean
is_oversize (GDBusMessage *message)
{
  GVariant *body = g_dbus_message_get_body (message);
  const char *path = g_dbus_message_get_path (message);

  return (body != NULL && g_variant_get_size (body) > GW_TURNSTILE_BODY_MAX)
         || (path != NULL && strlen (path) > GW_TURNSTILE_PATH_MAX);
}

static void refuse (GDBusConnection *connection, GDBusMessage *call, const char *format, ...)
    G_GNUC_PRINTF (3, 4);

static void
refuse (GDBusConnection *connection, GDBusMessage *call, const char *format, ...)
{
  g_autoptr (GDBusMessage) answer = NULL;
  va_list args;

  if ((g_dbus_message_get_flags (call) & G_DBUS_MESSAGE_FLAGS_NO_REPLY_EXPECTED) != 0)
    return;
  va_start (args, format);
  answer = g_dbus_message_new_method_error_valist (call, GW_ERROR_DBUS_PREFIX "Limit", format, args);
  va_end (args);
  g_dbus_connection_send_message (connection, answer, G_DBUS_SEND_MESSAGE_FLAGS_NONE, NULL, NULL);
}

static GDBusMessage *
on_message (GDBusConnection *connection, GDBusMessage *message, gboolean incoming, gpointer data)
{
  g_autoptr (GDBusMessage) call = message;

  if (!incoming || g_dbus_message_get_message_type (message) != G_DBUS_MESSAGE_TYPE_METHOD_CALL)
    return g_steal_pointer (&call);
  if (is_oversize (message))
    refuse (connection, call,
            "a call has at most %d octets of arguments and a path of %d: pass what is larger "
            "as a file descriptor, where the method takes one",
            GW_TURNSTILE_BODY_MAX, GW_TURNSTILE_PATH_MAX);
  else if (let_through (data, message))
    return g_steal_pointer (&call);
  else
    refuse (connection, call,
            "too many calls, or descriptors that came with them, wait for this agent: wait for your answers "
            "first");
  return NULL;
}

void
gw_turnstile_install (GDBusConnection *connection)
{
  Turnstile *self = g_new0 (Turnstile, 1);

  g_atomic_ref_count_init (&self->refs);
  g_mutex_init (&self->mutex);
  self->callers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_dbus_connection_add_filter (connection, on_message, self, turnstile_unref);
}
