/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-fake-agent.h"

#include <errno.h>
#include <gio/gunixfdlist.h>
#include <glib-unix.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gw-dbus.h"

struct _GwFakeAgent
{
  GwFakeAgentManner manner;
  GDBusConnection *connection;
  GwDBusManager *manager;
  char *error_name;
  guint refusals, calls;
  guint datagram_max, nodes_max;
  GVariant *options;
  int fd;
  GSource *source;
  gboolean reading;
  GQueue messages; /* GBytes */
  GBytes *current; /* of the last message handed out */
  GwBusmsg msg;
};

/* ---- The socket ---- */

void
gw_fake_agent_hang_up (GwFakeAgent *self)
{
  if (self->source != NULL)
    g_source_destroy (self->source);
  g_clear_pointer (&self->source, g_source_unref);
  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;
}

static gboolean
on_readable (int fd, GIOCondition condition, gpointer data)
{
  GwFakeAgent *self = data;
  guint8 packet[4096];
  ssize_t len = recv (fd, packet, sizeof packet, MSG_DONTWAIT);

  if (len > 0)
    {
      g_queue_push_tail (&self->messages, g_bytes_new (packet, len));
      return G_SOURCE_CONTINUE;
    }
  if (len < 0 && errno == EAGAIN)
    return G_SOURCE_CONTINUE;
  gw_fake_agent_hang_up (self);
  return G_SOURCE_REMOVE;
}

void
gw_fake_agent_set_reading (GwFakeAgent *self, gboolean reading)
{
  self->reading = reading;
  if (self->source != NULL)
    g_source_destroy (self->source);
  g_clear_pointer (&self->source, g_source_unref);
  if (!reading || self->fd < 0)
    return;
  self->source = g_unix_fd_source_new (self->fd, G_IO_IN | G_IO_HUP);
  g_source_set_callback (self->source, G_SOURCE_FUNC (on_readable), self, NULL);
  g_source_attach (self->source, NULL);
}

void
gw_fake_agent_send_raw (GwFakeAgent *self, gconstpointer data, gsize len)
{
  g_assert_cmpint (send (self->fd, data, len, MSG_NOSIGNAL), ==, len);
}

void
gw_fake_agent_send (GwFakeAgent *self, const GwBusmsg *msg)
{
  guint8 packet[GW_BUSMSG_MAX];
  gsize len;

  g_assert_cmpint (gw_busmsg_encode (msg, packet, sizeof packet, &len), ==, GW_OK);
  gw_fake_agent_send_raw (self, packet, len);
}

void
gw_fake_agent_send_datagram (GwFakeAgent *self, guint node, gconstpointer data, gsize len)
{
  const GwBusmsg msg = { .type = GW_BUSMSG_DATAGRAM, .node = node, .datagram = { data, len } };

  gw_fake_agent_send (self, &msg);
}

static void
say_hello (GwFakeAgent *self)
{
  GwBusmsg msg = { .type = GW_BUSMSG_HELLO,
                   .hello = { GW_BUSMSG_VERSION, self->datagram_max, self->nodes_max } };

  if (self->manner == GW_FAKE_AGENT_NEWER)
    gw_fake_agent_send_raw (self, "\x01\0\0\0\0\0\0\0\x02\0more", 14);
  else if (self->manner == GW_FAKE_AGENT_GARBAGE)
    gw_fake_agent_send_raw (self, "\x05\0\0\0\0\0\0\0", 8);
  else if (self->manner != GW_FAKE_AGENT_MUTE)
    gw_fake_agent_send (self, &msg);
}

/* ---- D-Bus ---- */

static int
make_socket (GwFakeAgent *self)
{
  int pair[2];

  int type = self->manner == GW_FAKE_AGENT_STREAM ? SOCK_STREAM : SOCK_SEQPACKET;

  g_assert_cmpint (socketpair (AF_UNIX, type | SOCK_CLOEXEC, 0, pair), ==, 0);
  gw_fake_agent_hang_up (self);
  g_queue_clear_full (&self->messages, (GDestroyNotify) g_bytes_unref);
  self->fd = pair[0];
  gw_fake_agent_set_reading (self, self->reading);
  say_hello (self);
  return pair[1];
}

static gboolean
on_attach_bus (GwDBusManager *manager, GDBusMethodInvocation *invocation, GUnixFDList *in, GVariant *options, gpointer data)
{
  GwFakeAgent *self = data;
  g_autoptr (GUnixFDList) fds = NULL;
  int fd;

  self->calls++;
  g_clear_pointer (&self->options, g_variant_unref);
  self->options = g_variant_ref (options);
  if (self->refusals > 0)
    {
      self->refusals--;
      g_dbus_method_invocation_return_dbus_error (invocation, self->error_name, "not today");
      return TRUE;
    }
  fd = make_socket (self);
  fds = g_unix_fd_list_new_from_array (&fd, 1);
  gw_dbus_manager_complete_attach_bus (manager,
                                       invocation,
                                       fds,
                                       "/org/gangway/Gangway1/bus/test",
                                       g_variant_new_handle (self->manner == GW_FAKE_AGENT_NO_FD ? 7 : 0));
  return TRUE;
}

/* By hand: g_bus_unown_name() warns where the bus has died first, and a warning ends the test. */
static void
own_name (GwFakeAgent *self)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply
      = g_dbus_connection_call_sync (self->connection, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                     "RequestName", g_variant_new ("(su)", "org.gangway.Gangway1", 0), G_VARIANT_TYPE ("(u)"),
                                     G_DBUS_CALL_FLAGS_NONE, -1, NULL, &error);
  guint32 owner;

  g_assert_no_error (error);
  g_variant_get (reply, "(u)", &owner);
  g_assert_cmpuint (owner, ==, 1);
}

GwFakeAgent *
gw_fake_agent_new (GwTestBus *bus, GwFakeAgentManner manner)
{
  GwFakeAgent *self = g_new0 (GwFakeAgent, 1);
  g_autoptr (GError) error = NULL;

  self->manner = manner;
  self->fd = -1;
  self->reading = TRUE;
  self->datagram_max = GW_BUSMSG_DATAGRAM_MAX;
  self->nodes_max = GW_BUSMSG_NODES_MAX;
  g_queue_init (&self->messages);
  self->connection = gw_test_bus_connect (bus);
  self->manager = gw_dbus_manager_skeleton_new ();
  g_signal_connect (self->manager, "handle-attach-bus", G_CALLBACK (on_attach_bus), self);
  g_dbus_interface_skeleton_export (
      G_DBUS_INTERFACE_SKELETON (self->manager), self->connection, "/org/gangway/Gangway1", &error);
  g_assert_no_error (error);
  own_name (self);
  return self;
}

void
gw_fake_agent_free (GwFakeAgent *self)
{
  gw_fake_agent_hang_up (self);
  g_dbus_interface_skeleton_unexport (G_DBUS_INTERFACE_SKELETON (self->manager));
  g_dbus_connection_close_sync (self->connection, NULL, NULL);
  g_object_unref (self->connection);
  g_object_unref (self->manager);
  g_queue_clear_full (&self->messages, (GDestroyNotify) g_bytes_unref);
  g_clear_pointer (&self->current, g_bytes_unref);
  g_clear_pointer (&self->options, g_variant_unref);
  g_free (self->error_name);
  g_free (self);
}

void
gw_fake_agent_refuse (GwFakeAgent *self, const char *name, guint times)
{
  g_free (self->error_name);
  self->error_name = g_strconcat ("org.gangway.Gangway1.Error.", name, NULL);
  self->refusals = times;
}

void
gw_fake_agent_set_limits (GwFakeAgent *self, guint datagram_max, guint nodes_max)
{
  self->datagram_max = datagram_max;
  self->nodes_max = nodes_max;
}

guint
gw_fake_agent_get_calls (GwFakeAgent *self)
{
  return self->calls;
}

gboolean
gw_fake_agent_is_attached (GwFakeAgent *self)
{
  return self->fd >= 0;
}

GVariant *
gw_fake_agent_get_options (GwFakeAgent *self)
{
  return self->options;
}

/* ---- Messages ---- */

static gboolean
has_message (gpointer data)
{
  return !g_queue_is_empty (&((GwFakeAgent *) data)->messages);
}

const GwBusmsg *
gw_fake_agent_next (GwFakeAgent *self)
{
  GwStatus status;

  gw_test_wait (has_message, self, "a message from the plugin");
  g_clear_pointer (&self->current, g_bytes_unref);
  self->current = g_queue_pop_head (&self->messages);
  status = gw_busmsg_decode (&self->msg,
                             GW_BUSMSG_FROM_PLUGIN,
                             g_bytes_get_data (self->current, NULL),
                             g_bytes_get_size (self->current),
                             self->datagram_max);
  g_assert_cmpint (status, ==, GW_OK);
  return &self->msg;
}

const GwBusmsg *
gw_fake_agent_expect (GwFakeAgent *self, GwBusmsgType type)
{
  const GwBusmsg *msg = gw_fake_agent_next (self);

  g_assert_cmpint (msg->type, ==, type);
  return msg;
}

void
gw_fake_agent_skip (GwFakeAgent *self, guint n)
{
  guint8 packet[4096];

  while (n-- > 0)
    g_assert_cmpint (recv (self->fd, packet, sizeof packet, MSG_DONTWAIT), >, 0);
}

guint
gw_fake_agent_waiting (GwFakeAgent *self)
{
  return g_queue_get_length (&self->messages);
}

static gboolean
is_closed (gpointer data)
{
  return ((GwFakeAgent *) data)->fd < 0;
}

void
gw_fake_agent_wait_closed (GwFakeAgent *self)
{
  gw_test_wait (is_closed, self, "the plugin to close the socket");
}
