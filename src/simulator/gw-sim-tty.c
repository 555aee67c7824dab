/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The master side of the pseudo-terminal. While nobody has the other side open the kernel reports a hang-up
 * without end, so the watch is off then, and tty_check() looks from time to time whether that has
 * changed.
 *
 * A given device (the far end of a real line, for instance a USB gadget's) comes and goes by itself: a
 * hang-up closes it, and tty_check() opens it once it is there again.
 *
 * A slot is a datagram socket: one datagram a packet, no framing, and no one's own end to be open or closed.
 */

#include "gw-sim-tty.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "gw-ep.h"
#include "gw-frame-codec.h"

/* Octets waiting for a user that does not read; beyond, frames are dropped. */
#define QUEUE_MAX GW_SIM_PORT_QUEUE_MAX

typedef enum
{
  TERMINAL,
  DEVICE, /* link is a device of the machine's, not ours to make */
  SLOT,
} Kind;

typedef struct
{
  GwSimPort port;
  GwLoop *loop;
  Kind kind;
  struct sockaddr_un gateway; /* of a slot */
  gint64 reopen;              /* a device that hung up is not tried before */
  int master;                 /* -1: unplugged; the device's or the slot's, where there is one */
  GwFdWatch *watch;
  GwFrameDecoder decoder;
  guint8 frame[GW_EP_MTU_MAX + GW_FRAME_OVERHEAD];
  GByteArray *out;
} GwSimTty;

static void
set_closed (GwSimTty *self)
{
  self->port.open = FALSE;
  g_byte_array_set_size (self->out, 0);
  gw_frame_decoder_reset (&self->decoder);
  if (self->watch)
    gw_fd_watch_set_events (self->watch, 0);
}

static void
close_terminal (GwSimTty *self)
{
  if (self->master < 0)
    return;
  set_closed (self);
  g_clear_pointer (&self->watch, gw_fd_watch_free);
  close (self->master);
  self->master = -1;
}

static void
flush (GwSimTty *self)
{
  while (self->out->len > 0)
    {
      gssize n = write (self->master, self->out->data, self->out->len);

      if (n <= 0)
        break;
      self->port.octets_out += n;
      g_byte_array_remove_range (self->out, 0, n);
    }
  gw_fd_watch_set_events (self->watch, EPOLLIN | (self->out->len > 0 ? EPOLLOUT : 0));
}

/* FALSE: no gateway there, or it does not keep up. */
static gboolean
send_packet (GwSimTty *self, const guint8 *data, gsize len)
{
  gssize n = sendto (self->master, data, len, MSG_NOSIGNAL, (struct sockaddr *)&self->gateway,
                     sizeof self->gateway);

  self->port.octets_out += MAX (n, 0);
  return n == (gssize)len;
}

static gboolean
tty_write (GwSimPort *port, const guint8 *data, gsize len)
{
  GwSimTty *self = (GwSimTty *)port;

  if (self->kind == SLOT)
    return send_packet (self, data, len);
  if (!self->port.open || self->out->len + len > QUEUE_MAX)
    return FALSE;
  g_byte_array_append (self->out, data, len);
  flush (self);
  return TRUE;
}

static gboolean
tty_send (GwSimPort *port, const guint8 *datagram, gsize len)
{
  GwSimTty *self = (GwSimTty *)port;
  guint8 octets[GW_FRAME_ENCODED_MAX (GW_EP_MTU_MAX)];
  GwFrame frame = { .address = GW_FRAME_ADDRESS_ALL, .info = { datagram, len } };
  gsize n = len;

  if (self->kind == SLOT && len <= sizeof octets)
    memcpy (octets, datagram, len);
  else if (gw_frame_encode (&frame, octets, sizeof octets, &n) != GW_OK)
    return FALSE;
  self->port.frames_out++;
  if (gw_sim_port_happens (&self->port, self->port.drop))
    {
      self->port.lost++;
      return TRUE;
    }
  if (gw_sim_port_happens (&self->port, self->port.corrupt))
    {
      octets[g_rand_int_range (self->port.rand, 0, n)] ^= 1 << g_rand_int_range (self->port.rand, 0, 8);
      self->port.damaged++;
    }
  return tty_write (port, octets, n);
}

static void
take_frame (GwSimTty *self, const GwFrame *frame)
{
  self->port.frames_in++;
  if (gw_sim_port_happens (&self->port, self->port.drop)
      || gw_sim_port_happens (&self->port, self->port.corrupt))
    self->port.lost++; /* a damaged frame fails its check sequence here */
  else if (self->port.endpoint && frame->info.len > 0)
    gw_sim_endpoint_input (self->port.endpoint, frame->info.ptr, frame->info.len);
}

static void
on_master (guint32 events, gpointer data)
{
  GwSimTty *self = data;
  guint8 octets[4096];
  gssize n = events & EPOLLIN ? read (self->master, octets, sizeof octets) : 0;
  gsize at = 0;

  self->port.octets_in += MAX (n, 0);
  while (n > 0 && at < (gsize)n)
    {
      GwFrame frame;
      gsize used;

      if (gw_frame_decoder_feed (&self->decoder, octets + at, n - at, &used, &frame) == GW_FRAME_EVENT_FRAME)
        take_frame (self, &frame);
      at += used;
    }
  if (n <= 0 && events & (EPOLLHUP | EPOLLERR) && self->kind == DEVICE)
    {
      close_terminal (self);
      self->reopen = gw_loop_now (self->loop) + GW_SIM_TTY_REOPEN_USEC;
    }
  else if (n <= 0 && events & (EPOLLHUP | EPOLLERR))
    set_closed (self);
  else if (events & EPOLLOUT)
    flush (self);
}

static void
on_slot (guint32 events, gpointer data)
{
  GwSimTty *self = data;
  guint8 packet[GW_EP_MTU_MAX];
  struct sockaddr_un from = { 0 };
  socklen_t from_len = sizeof from;
  gssize n = recvfrom (self->master, packet, sizeof packet, MSG_TRUNC, (struct sockaddr *)&from, &from_len);
  GwFrame frame = { .info = { packet, MAX (n, 0) } };

  self->port.octets_in += MAX (n, 0);
  if (n > 0 && from.sun_path[0] != '\0')
    self->gateway = from; /* a gateway may have a socket for each slot: who asked is answered */
  if (n > (gssize)sizeof packet)
    self->port.lost++;
  else if (n > 0)
    take_frame (self, &frame);
}

static void
tty_free (GwSimPort *port)
{
  GwSimTty *self = (GwSimTty *)port;

  g_byte_array_unref (self->out);
  gw_sim_port_clear (port);
  g_free (self);
}

/* Raw, so that nothing is echoed. -1 if that cannot be had. */
static int
open_raw (const char *path, int flags)
{
  int fd = open (path, O_RDWR | O_NOCTTY | O_CLOEXEC | flags);
  struct termios termios;

  if (fd < 0)
    return -1;
  if (tcgetattr (fd, &termios) == 0)
    {
      cfmakeraw (&termios);
      if (tcsetattr (fd, TCSANOW, &termios) == 0)
        return fd;
    }
  close (fd);
  return -1;
}

/* Opens the other side once and closes it again, which is the state the check expects. */
static gboolean
prepare_slave (const char *path)
{
  int slave = open_raw (path, 0);

  return slave >= 0 && close (slave) == 0;
}

/* A device that is not there is an unplugged one. */
static void
open_device (GwSimTty *self)
{
  if (!self->port.plugged || gw_loop_now (self->loop) < self->reopen)
    return;
  self->master = open_raw (self->port.link, O_NONBLOCK);
  if (self->master < 0)
    return;
  self->watch = gw_loop_watch (self->loop, self->master, EPOLLIN, on_master, self);
  if (self->watch)
    self->port.open = TRUE;
  else
    close_terminal (self);
}

/* -1, or the master of a terminal whose other side was open once. */
static int
open_master (char *path, gsize size)
{
  int master = posix_openpt (O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

  if (master < 0)
    return -1;
  if (grantpt (master) == 0 && unlockpt (master) == 0 && ptsname_r (master, path, size) == 0
      && prepare_slave (path))
    return master;
  close (master);
  return -1;
}

int
gw_sim_tty_open_master (const char *link)
{
  char path[64];
  int master = open_master (path, sizeof path);

  if (master < 0)
    return -1;
  if ((g_unlink (link) == 0 || errno == ENOENT) && symlink (path, link) == 0)
    return master;
  close (master);
  return -1;
}

static gboolean
open_terminal (GwSimTty *self)
{
  self->master = gw_sim_tty_open_master (self->port.link);
  if (self->master < 0)
    return FALSE;
  self->watch = gw_loop_watch (self->loop, self->master, 0, on_master, self);
  return self->watch != NULL;
}

static gboolean
open_slot (GwSimTty *self)
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
  self->master = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (self->master < 0 || bind (self->master, (struct sockaddr *)&address, sizeof address) != 0)
    return FALSE;
  self->watch = gw_loop_watch (self->loop, self->master, EPOLLIN, on_slot, self);
  self->port.open = self->watch != NULL;
  return self->port.open;
}

static gboolean
tty_plug (GwSimPort *port, GError **error)
{
  GwSimTty *self = (GwSimTty *)port;

  if (self->kind == DEVICE)
    open_device (self);
  else if (!(self->kind == SLOT ? open_slot (self) : open_terminal (self)))
    {
      int errsv = errno;

      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errsv), "Cannot plug %s: %s", port->link,
                   g_strerror (errsv));
      return FALSE;
    }
  return TRUE;
}

static void
tty_unplug (GwSimPort *port)
{
  GwSimTty *self = (GwSimTty *)port;

  if (self->master >= 0 && self->kind != DEVICE)
    g_unlink (port->link);
  close_terminal (self);
}

static void
tty_check (GwSimPort *port)
{
  GwSimTty *self = (GwSimTty *)port;
  struct pollfd fd = { .fd = self->master };

  if (self->kind == DEVICE && self->master < 0)
    open_device (self);
  if (port->open || self->master < 0 || poll (&fd, 1, 0) < 0 || fd.revents & POLLHUP)
    return;
  port->open = TRUE;
  gw_fd_watch_set_events (self->watch, EPOLLIN);
}

static void
tty_add_status (const GwSimPort *port, json_t *status)
{
  const GwSimTty *self = (const GwSimTty *)port;

  json_object_set_new (status, "bad_fcs", json_integer (self->decoder.counters.bad_fcs));
}

/* ---- Making them ---- */

static const GwSimPortClass tty_class = {
  .wire = GW_SIM_WIRE_SERIAL,
  .free = tty_free,
  .plug = tty_plug,
  .unplug = tty_unplug,
  .send = tty_send,
  .write = tty_write,
  .check = tty_check,
  .add_status = tty_add_status,
};

static GwSimTty *
new_tty (GwLoop *loop, const char *link, guint64 seed, Kind kind)
{
  GwSimTty *self = g_new0 (GwSimTty, 1);

  gw_sim_port_init (&self->port, &tty_class, link, seed);
  self->loop = loop;
  self->kind = kind;
  self->master = -1;
  self->out = g_byte_array_new ();
  gw_frame_decoder_init (&self->decoder, self->frame, sizeof self->frame);
  return self;
}

GwSimPort *
gw_sim_tty_new (GwLoop *loop, const char *link, guint64 seed)
{
  return &new_tty (loop, link, seed, TERMINAL)->port;
}

GwSimPort *
gw_sim_tty_new_device (GwLoop *loop, const char *path, guint64 seed)
{
  return &new_tty (loop, path, seed, DEVICE)->port;
}

GwSimPort *
gw_sim_tty_new_slot (GwLoop *loop, const char *path, guint64 seed)
{
  GwSimTty *self = new_tty (loop, path, seed, SLOT);
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *gateway = g_build_filename (folder, GW_SIM_SLOT_GATEWAY, NULL);

  self->gateway.sun_family = AF_UNIX;
  g_strlcpy (self->gateway.sun_path, gateway, sizeof self->gateway.sun_path);
  return &self->port;
}
