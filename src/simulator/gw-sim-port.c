/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The master side of the pseudo-terminal. While nobody has the other side open the kernel reports a hang-up
 * without end, so the watch is off then, and gw_sim_port_check() looks from time to time whether that has
 * changed.
 *
 * A given device (the far end of a real line, for instance a USB gadget's) comes and goes by itself: a hang-up
 * closes it, and gw_sim_port_check() opens it once it is there again.
 *
 * A slot is a datagram socket: one datagram a packet, no framing, and no one's own end to be open or closed. */

#include "gw-sim-port.h"

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

typedef enum
{
  TERMINAL,
  DEVICE, /* link is a device of the machine's, not ours to make */
  SLOT,
} Kind;

struct GwSimPort
{
  GwLoop *loop;
  char *link;
  Kind kind;
  struct sockaddr_un gateway; /* of a slot */
  gboolean plugged;
  gint64 reopen; /* a device that hung up is not tried before */
  int master;    /* -1: unplugged; the device's or the slot's, where there is one */
  GwFdWatch *watch;
  gboolean open;
  GwSimEndpoint *endpoint;
  GwFrameDecoder decoder;
  guint8 frame[GW_EP_MTU_MAX + GW_FRAME_OVERHEAD];
  GByteArray *out;
  GRand *rand;
  double drop, corrupt;
  guint64 frames_in, frames_out, octets_in, octets_out, lost, damaged;
};

static void
set_closed (GwSimPort *self)
{
  self->open = FALSE;
  g_byte_array_set_size (self->out, 0);
  gw_frame_decoder_reset (&self->decoder);
  if (self->watch)
    gw_fd_watch_set_events (self->watch, 0);
}

static void
close_terminal (GwSimPort *self)
{
  if (self->master < 0)
    return;
  set_closed (self);
  g_clear_pointer (&self->watch, gw_fd_watch_free);
  close (self->master);
  self->master = -1;
}

static void
flush (GwSimPort *self)
{
  while (self->out->len > 0)
    {
      gssize n = write (self->master, self->out->data, self->out->len);

      if (n <= 0)
        break;
      self->octets_out += n;
      g_byte_array_remove_range (self->out, 0, n);
    }
  gw_fd_watch_set_events (self->watch, EPOLLIN | (self->out->len > 0 ? EPOLLOUT : 0));
}

static gboolean
happens (GwSimPort *self, double share)
{
  return share > 0 && g_rand_double (self->rand) < share;
}

/* FALSE: no gateway there, or it does not keep up. */
static gboolean
send_packet (GwSimPort *self, const guint8 *data, gsize len)
{
  gssize n = sendto (self->master, data, len, MSG_NOSIGNAL, (struct sockaddr *)&self->gateway,
                     sizeof self->gateway);

  self->octets_out += MAX (n, 0);
  return n == (gssize)len;
}

gboolean
gw_sim_port_write (GwSimPort *self, const guint8 *data, gsize len)
{
  if (self->kind == SLOT)
    return send_packet (self, data, len);
  if (!self->open || self->out->len + len > GW_SIM_PORT_QUEUE_MAX)
    return FALSE;
  g_byte_array_append (self->out, data, len);
  flush (self);
  return TRUE;
}

static gboolean
send_datagram (const guint8 *datagram, gsize len, gpointer data)
{
  GwSimPort *self = data;
  guint8 octets[GW_FRAME_ENCODED_MAX (GW_EP_MTU_MAX)];
  GwFrame frame = { .address = GW_FRAME_ADDRESS_ALL, .info = { datagram, len } };
  gsize n = len;

  if (self->kind == SLOT && len <= sizeof octets)
    memcpy (octets, datagram, len);
  else if (gw_frame_encode (&frame, octets, sizeof octets, &n) != GW_OK)
    return FALSE;
  self->frames_out++;
  if (happens (self, self->drop))
    {
      self->lost++;
      return TRUE;
    }
  if (happens (self, self->corrupt))
    {
      octets[g_rand_int_range (self->rand, 0, n)] ^= 1 << g_rand_int_range (self->rand, 0, 8);
      self->damaged++;
    }
  return gw_sim_port_write (self, octets, n);
}

static void
take_frame (GwSimPort *self, const GwFrame *frame)
{
  self->frames_in++;
  if (happens (self, self->drop) || happens (self, self->corrupt))
    self->lost++; /* a damaged frame fails its check sequence here */
  else if (self->endpoint && frame->info.len > 0)
    gw_sim_endpoint_input (self->endpoint, frame->info.ptr, frame->info.len);
}

static void
on_master (guint32 events, gpointer data)
{
  GwSimPort *self = data;
  guint8 octets[4096];
  gssize n = events & EPOLLIN ? read (self->master, octets, sizeof octets) : 0;
  gsize at = 0;

  self->octets_in += MAX (n, 0);
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
      self->reopen = gw_loop_now (self->loop) + GW_SIM_PORT_REOPEN_USEC;
    }
  else if (n <= 0 && events & (EPOLLHUP | EPOLLERR))
    set_closed (self);
  else if (events & EPOLLOUT)
    flush (self);
}

static void
on_slot (guint32 events, gpointer data)
{
  GwSimPort *self = data;
  guint8 packet[GW_EP_MTU_MAX];
  gssize n = recv (self->master, packet, sizeof packet, MSG_TRUNC);
  GwFrame frame = { .info = { packet, MAX (n, 0) } };

  self->octets_in += MAX (n, 0);
  if (n > (gssize)sizeof packet)
    self->lost++;
  else if (n > 0)
    take_frame (self, &frame);
}

GwSimPort *
gw_sim_port_new (GwLoop *loop, const char *link, guint64 seed)
{
  GwSimPort *self = g_new0 (GwSimPort, 1);
  guint32 seeds[] = { seed, seed >> 32 };

  self->loop = loop;
  self->link = g_strdup (link);
  self->master = -1;
  self->out = g_byte_array_new ();
  self->rand = g_rand_new_with_seed_array (seeds, G_N_ELEMENTS (seeds));
  gw_frame_decoder_init (&self->decoder, self->frame, sizeof self->frame);
  return self;
}

GwSimPort *
gw_sim_port_new_device (GwLoop *loop, const char *path, guint64 seed)
{
  GwSimPort *self = gw_sim_port_new (loop, path, seed);

  self->kind = DEVICE;
  return self;
}

GwSimPort *
gw_sim_port_new_slot (GwLoop *loop, const char *path, guint64 seed)
{
  GwSimPort *self = gw_sim_port_new (loop, path, seed);
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *gateway = g_build_filename (folder, GW_SIM_PORT_GATEWAY, NULL);

  self->kind = SLOT;
  self->gateway.sun_family = AF_UNIX;
  g_strlcpy (self->gateway.sun_path, gateway, sizeof self->gateway.sun_path);
  return self;
}

void
gw_sim_port_free (GwSimPort *self)
{
  gw_sim_port_set_endpoint (self, NULL);
  gw_sim_port_unplug (self);
  g_byte_array_unref (self->out);
  g_rand_free (self->rand);
  g_free (self->link);
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
open_device (GwSimPort *self)
{
  if (!self->plugged || gw_loop_now (self->loop) < self->reopen)
    return;
  self->master = open_raw (self->link, O_NONBLOCK);
  if (self->master < 0)
    return;
  self->watch = gw_loop_watch (self->loop, self->master, EPOLLIN, on_master, self);
  if (self->watch)
    self->open = TRUE;
  else
    close_terminal (self);
}

static gboolean
open_terminal (GwSimPort *self)
{
  char path[64];

  self->master = posix_openpt (O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (self->master < 0 || grantpt (self->master) != 0 || unlockpt (self->master) != 0
      || ptsname_r (self->master, path, sizeof path) != 0 || !prepare_slave (path))
    return FALSE;
  if (g_unlink (self->link) != 0 && errno != ENOENT)
    return FALSE;
  if (symlink (path, self->link) != 0)
    return FALSE;
  self->watch = gw_loop_watch (self->loop, self->master, 0, on_master, self);
  return self->watch != NULL;
}

static gboolean
open_slot (GwSimPort *self)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  if (strlen (self->link) >= sizeof address.sun_path)
    {
      errno = ENAMETOOLONG;
      return FALSE;
    }
  strcpy (address.sun_path, self->link);
  if (g_unlink (self->link) != 0 && errno != ENOENT)
    return FALSE;
  self->master = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (self->master < 0 || bind (self->master, (struct sockaddr *)&address, sizeof address) != 0)
    return FALSE;
  self->watch = gw_loop_watch (self->loop, self->master, EPOLLIN, on_slot, self);
  self->open = self->watch != NULL;
  return self->open;
}

gboolean
gw_sim_port_plug (GwSimPort *self, GError **error)
{
  if (self->plugged)
    return TRUE;
  self->plugged = TRUE;
  if (self->kind == DEVICE)
    open_device (self);
  else if (!(self->kind == SLOT ? open_slot (self) : open_terminal (self)))
    {
      int errsv = errno;

      gw_sim_port_unplug (self);
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errsv), "Cannot plug %s: %s", self->link,
                   g_strerror (errsv));
      return FALSE;
    }
  return TRUE;
}

void
gw_sim_port_unplug (GwSimPort *self)
{
  self->plugged = FALSE;
  if (self->master >= 0 && self->kind != DEVICE)
    g_unlink (self->link);
  close_terminal (self);
}

gboolean
gw_sim_port_is_plugged (const GwSimPort *self)
{
  return self->plugged;
}

void
gw_sim_port_check (GwSimPort *self)
{
  struct pollfd fd = { .fd = self->master };

  if (self->kind == DEVICE && self->master < 0)
    open_device (self);
  if (self->open || self->master < 0 || poll (&fd, 1, 0) < 0 || fd.revents & POLLHUP)
    return;
  self->open = TRUE;
  gw_fd_watch_set_events (self->watch, EPOLLIN);
}

void
gw_sim_port_set_endpoint (GwSimPort *self, GwSimEndpoint *endpoint)
{
  if (self->endpoint)
    gw_sim_endpoint_set_line (self->endpoint, NULL, NULL);
  self->endpoint = endpoint;
  if (endpoint)
    gw_sim_endpoint_set_line (endpoint, send_datagram, self);
}

GwSimEndpoint *
gw_sim_port_get_endpoint (const GwSimPort *self)
{
  return self->endpoint;
}

const char *
gw_sim_port_link (const GwSimPort *self)
{
  return self->link;
}

void
gw_sim_port_set_drop (GwSimPort *self, double share)
{
  self->drop = share;
}

void
gw_sim_port_set_corrupt (GwSimPort *self, double share)
{
  self->corrupt = share;
}

json_t *
gw_sim_port_status (const GwSimPort *self)
{
  return json_pack ("{s:s, s:b, s:b, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "link", self->link,
                    "plugged", self->plugged, "open", self->open, "drop", self->drop, "corrupt",
                    self->corrupt, "frames_in", (json_int_t)self->frames_in, "frames_out",
                    (json_int_t)self->frames_out, "octets_in", (json_int_t)self->octets_in, "octets_out",
                    (json_int_t)self->octets_out, "lost", (json_int_t)self->lost, "damaged",
                    (json_int_t)self->damaged, "bad_fcs", (json_int_t)self->decoder.counters.bad_fcs);
}
