/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gangway-attachment.h"

#include <unistd.h>

#include "gangway-private.h"

/* ---- Its end ---- */

static void
drop_socket (GangwayAttachment *self, const GError *why)
{
  gboolean was_attached = self->attached;

  if (was_attached)
    self->funcs->leaving (self->owner);
  g_clear_pointer (&self->socket, gangway_socket_free);
  g_clear_pointer (&self->object_path, g_free);
  self->attached = FALSE;
  if (was_attached)
    self->funcs->detached (self->owner, why);
}

void
gangway_attachment_stop (GangwayAttachment *self, const GError *why)
{
  g_clear_pointer (&self->agent, gangway_agent_free);
  drop_socket (self, why);
}

static void
end (GangwayAttachment *self, const GError *why)
{
  gangway_attachment_stop (self, why);
  self->funcs->over (self->owner, why);
}

static void
report_refusal (GangwayAttachment *self, const GError *why)
{
  if (g_strcmp0 (self->last_refusal, why->message) == 0)
    return;
  g_free (self->last_refusal);
  self->last_refusal = g_strdup (why->message);
  self->funcs->refused (self->owner, why);
}

/* ---- The socket ---- */

static void
on_socket_hello (gpointer data)
{
  GangwayAttachment *self = data;
  g_autoptr (GObject) alive = g_object_ref (self->owner);
  g_autoptr (GError) error = NULL;

  if (!self->funcs->enter (self->owner, &error))
    {
      end (self, error);
      return;
    }
  self->attached = self->was_attached = TRUE;
  gangway_agent_settle (self->agent);
  g_clear_pointer (&self->last_refusal, g_free);
  self->funcs->attached (self->owner);
}

static void
on_socket_datagram (gpointer data, guint id, const guint8 *octets, gsize len)
{
  GangwayAttachment *self = data;

  self->funcs->datagram (self->owner, id, octets, len);
}

static void
on_socket_scan (gpointer data)
{
  GangwayAttachment *self = data;

  self->funcs->scan (self->owner);
}

static void
on_socket_closed (gpointer data, const GError *why)
{
  GangwayAttachment *self = data;
  g_autoptr (GObject) alive = g_object_ref (self->owner);
  gboolean was_attached = self->attached;

  gangway_agent_retry (self->agent);
  drop_socket (self, why);
  if (!was_attached)
    report_refusal (self, why);
}

static const GangwaySocketFuncs socket_funcs = {
  .hello = on_socket_hello,
  .datagram = on_socket_datagram,
  .scan = on_socket_scan,
  .closed = on_socket_closed,
};

/* ---- The agent ---- */

static void
on_agent_socket (gpointer data, int fd, const char *path)
{
  GangwayAttachment *self = data;
  g_autoptr (GError) error = NULL;

  if (!gangway_socket_check_fd (fd, &error))
    {
      close (fd);
      gangway_agent_retry (self->agent);
      report_refusal (self, error);
      return;
    }
  self->object_path = g_strdup (path);
  self->socket = gangway_socket_new (fd, &socket_funcs, self);
}

static void
on_agent_refused (gpointer data, const GError *why, gboolean for_good)
{
  GangwayAttachment *self = data;
  g_autoptr (GObject) alive = g_object_ref (self->owner);
  g_autoptr (GError) error = NULL;

  /* Once it was attached the agent may come to its senses (a policy file amended, a polkit that starts later). */
  if (!for_good || self->was_attached)
    {
      report_refusal (self, why);
      return;
    }
  error = g_error_new (GANGWAY_ERROR, GANGWAY_ERROR_REFUSED, "the agent refused the bus: %s", why->message);
  end (self, error);
}

static void
on_agent_vanished (gpointer data)
{
  GangwayAttachment *self = data;
  g_autoptr (GObject) alive = g_object_ref (self->owner);
  g_autoptr (GError) why
      = g_error_new_literal (GANGWAY_ERROR, GANGWAY_ERROR_NOT_ATTACHED, "the agent left the D-Bus");

  gangway_agent_retry (self->agent);
  drop_socket (self, why);
}

static void
on_agent_lost (gpointer data, const GError *why)
{
  GangwayAttachment *self = data;
  g_autoptr (GObject) alive = g_object_ref (self->owner);
  g_autoptr (GError) error = g_error_copy (why);

  end (self, error);
}

static const GangwayAgentFuncs agent_funcs = {
  .socket = on_agent_socket,
  .refused = on_agent_refused,
  .vanished = on_agent_vanished,
  .lost = on_agent_lost,
};

/* ---- Life ---- */

void
gangway_attachment_init (GangwayAttachment *self, const GangwayAttachmentFuncs *funcs, gpointer owner)
{
  self->funcs = funcs;
  self->owner = owner;
}

void
gangway_attachment_clear (GangwayAttachment *self)
{
  g_clear_pointer (&self->agent, gangway_agent_free);
  if (self->attached)
    self->funcs->leaving (self->owner);
  g_clear_pointer (&self->socket, gangway_socket_free);
  self->attached = FALSE;
  g_clear_pointer (&self->object_path, g_free);
  g_clear_pointer (&self->last_refusal, g_free);
}

void
gangway_attachment_start (GangwayAttachment *self, const char *address, GVariant *options)
{
  self->was_attached = FALSE;
  self->agent = gangway_agent_new (address, options, &agent_funcs, self);
}

gboolean
gangway_attachment_is_started (const GangwayAttachment *self)
{
  return self->agent != NULL;
}

GangwaySocket *
gangway_attachment_get_socket (const GangwayAttachment *self)
{
  return self->attached ? self->socket : NULL;
}

const char *
gangway_attachment_get_object_path (const GangwayAttachment *self)
{
  return self->object_path;
}
