/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-sim-slot.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gw-ep.h"

typedef struct
{
  GwSimPort port;
  GwLoop *loop;
  int fd; /* -1: unplugged */
  GwFdWatch *watch;
  struct sockaddr_un gateway;
} GwSimSlot;

/* FALSE: no gateway there, or it does not keep up. */
static gboolean
slot_write (GwSimPort *port, const guint8 *data, gsize len)
{
  GwSimSlot *self = (GwSimSlot *)port;
  gssize n
      = sendto (self->fd, data, len, MSG_NOSIGNAL, (struct sockaddr *)&self->gateway, sizeof self->gateway);

  port->octets_out += MAX (n, 0);
  return n == (gssize)len;
}

static gboolean
slot_send (GwSimPort *port, const guint8 *datagram, gsize len)
{
  guint8 packet[GW_EP_MTU_MAX];

  if (len > sizeof packet)
    return FALSE;
  memcpy (packet, datagram, len);
  port->frames_out++;
  return gw_sim_port_disturb (port, packet, len) ? slot_write (port, packet, len) : TRUE;
}

static void
take_packet (GwSimSlot *self, const guint8 *packet, gsize len)
{
  self->port.frames_in++;
  if (!gw_sim_port_misses (&self->port) && self->port.endpoint)
    gw_sim_endpoint_input (self->port.endpoint, packet, len);
}

static void
on_socket (guint32 events, gpointer data)
{
  GwSimSlot *self = data;
  guint8 packet[GW_EP_MTU_MAX];
  struct sockaddr_un from = { 0 };
  socklen_t from_len = sizeof from;
  gssize n = recvfrom (self->fd, packet, sizeof packet, MSG_TRUNC, (struct sockaddr *)&from, &from_len);

  self->port.octets_in += MAX (n, 0);
  if (n > 0 && from.sun_path[0] != '\0')
    self->gateway = from;
  if (n > (gssize)sizeof packet)
    self->port.lost++;
  else if (n > 0)
    take_packet (self, packet, n);
}

/* FALSE with errno set. */
static gboolean
open_socket (GwSimSlot *self)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  if (strlen (self->port.link) >= sizeof address.sun_path)
    {
      errno = ENAMETOOLONG;
      return FALSE;
    }
  strcpy (address.sun_path, self->port.link);
  if (g_unlink (self->port.link) != 0 && errno != ENOENT)
    return FALSE;
  self->fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (self->fd < 0 || bind (self->fd, (struct sockaddr *)&address, sizeof address) != 0)
    return FALSE;
  self->watch = gw_loop_watch (self->loop, self->fd, EPOLLIN, on_socket, self);
  return self->watch != NULL;
}

static gboolean
slot_plug (GwSimPort *port, GError **error)
{
  int errsv;

  port->open = open_socket ((GwSimSlot *)port);
  if (port->open)
    return TRUE;
  errsv = errno;
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errsv), "Cannot plug %s: %s", port->link,
               g_strerror (errsv));
  return FALSE;
}

static void
slot_unplug (GwSimPort *port)
{
  GwSimSlot *self = (GwSimSlot *)port;

  port->open = FALSE;
  g_clear_pointer (&self->watch, gw_fd_watch_free);
  if (self->fd < 0)
    return;
  g_unlink (port->link);
  close (self->fd);
  self->fd = -1;
}

static void
slot_free (GwSimPort *port)
{
  gw_sim_port_clear (port);
  g_free (port);
}

static const GwSimPortClass slot_class = {
  .wire = GW_SIM_WIRE_SERIAL,
  .free = slot_free,
  .plug = slot_plug,
  .unplug = slot_unplug,
  .send = slot_send,
  .write = slot_write,
};

GwSimPort *
gw_sim_slot_new (GwLoop *loop, const char *path, guint64 seed)
{
  GwSimSlot *self = g_new0 (GwSimSlot, 1);
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *gateway = g_build_filename (folder, GW_SIM_SLOT_GATEWAY, NULL);

  gw_sim_port_init (&self->port, &slot_class, path, seed);
  self->loop = loop;
  self->fd = -1;
  self->gateway.sun_family = AF_UNIX;
  g_strlcpy (self->gateway.sun_path, gateway, sizeof self->gateway.sun_path);
  return &self->port;
}
