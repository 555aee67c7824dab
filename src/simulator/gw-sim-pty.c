/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* While nobody has a pseudo-terminal's other side open, the kernel reports a hang-up without end at the
 * master: the watch is off then, and the check looks whether the hang-up is over. */

#include "gw-sim-pty.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

/* ---- The user ---- */

static void
set_user (GwSimPty *self, gboolean is_there)
{
  self->has_user = is_there;
  g_byte_array_set_size (self->out, 0);
  gw_fd_watch_set_events (self->watch, is_there ? EPOLLIN : 0);
  self->funcs->user (is_there, self->data);
}

static void
close_fd (GwSimPty *self)
{
  if (self->has_user)
    set_user (self, FALSE);
  g_clear_pointer (&self->watch, gw_fd_watch_free);
  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;
}

static void
hang_up (GwSimPty *self)
{
  if (!self->is_device)
    {
      set_user (self, FALSE);
      return;
    }
  close_fd (self);
  self->reopen = gw_loop_now (self->loop) + GW_SIM_PTY_REOPEN_USEC;
}

static void
on_fd (guint32 events, gpointer data)
{
  GwSimPty *self = data;
  guint8 octets[4096];
  gssize n = events & EPOLLIN ? read (self->fd, octets, sizeof octets) : 0;

  if (n > 0)
    {
      self->octets_in += n;
      self->funcs->octets (octets, n, self->data);
    }
  if (n <= 0 && events & (EPOLLHUP | EPOLLERR))
    hang_up (self);
  else
    gw_sim_pty_flush (self);
}

gboolean
gw_sim_pty_put (GwSimPty *self, const guint8 *octets, gsize len)
{
  if (!self->has_user || self->out->len + len > GW_SIM_PTY_QUEUE_MAX)
    return FALSE;
  g_byte_array_append (self->out, octets, len);
  return TRUE;
}

void
gw_sim_pty_flush (GwSimPty *self)
{
  if (!self->has_user)
    return;
  while (self->out->len > 0)
    {
      gssize n = write (self->fd, self->out->data, self->out->len);

      if (n <= 0)
        break;
      self->octets_out += n;
      g_byte_array_remove_range (self->out, 0, n);
    }
  gw_fd_watch_set_events (self->watch, EPOLLIN | (self->out->len > 0 ? EPOLLOUT : 0));
}

/* ---- Opening ---- */

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

/* A master hangs up only once its other side was open and is closed again: that is the state the check
 * expects. */
static gboolean
prepare_slave (const char *path)
{
  int slave = open_raw (path, 0);

  return slave >= 0 && close (slave) == 0;
}

/* -1 with errno set, or the master of a terminal whose other side was open once. */
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

/* -1 with errno set. */
static int
open_terminal (const char *link)
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

static void
open_device (GwSimPty *self)
{
  if (!self->plugged || gw_loop_now (self->loop) < self->reopen)
    return;
  self->fd = open_raw (self->path, O_NONBLOCK);
  if (self->fd < 0)
    return;
  self->watch = gw_loop_watch (self->loop, self->fd, EPOLLIN, on_fd, self);
  if (self->watch)
    set_user (self, TRUE);
  else
    close_fd (self);
}

gboolean
gw_sim_pty_plug (GwSimPty *self, GError **error)
{
  int errsv;

  if (self->plugged)
    return TRUE;
  self->plugged = TRUE;
  if (self->is_device)
    {
      open_device (self);
      return TRUE;
    }
  self->fd = open_terminal (self->path);
  if (self->fd >= 0)
    self->watch = gw_loop_watch (self->loop, self->fd, 0, on_fd, self);
  if (self->watch)
    return TRUE;
  errsv = errno;
  gw_sim_pty_unplug (self);
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errsv), "Cannot plug %s: %s", self->path,
               g_strerror (errsv));
  return FALSE;
}

void
gw_sim_pty_unplug (GwSimPty *self)
{
  self->plugged = FALSE;
  if (self->fd >= 0 && !self->is_device)
    g_unlink (self->path);
  close_fd (self);
}

void
gw_sim_pty_check (GwSimPty *self)
{
  struct pollfd fd = { .fd = self->fd };

  if (self->is_device && self->fd < 0)
    open_device (self);
  else if (!self->is_device && self->fd >= 0 && !self->has_user && poll (&fd, 1, 0) >= 0
           && !(fd.revents & POLLHUP))
    set_user (self, TRUE);
}

/* ---- Life ---- */

void
gw_sim_pty_init (GwSimPty *self, GwLoop *loop, const char *link, const GwSimPtyFuncs *funcs, gpointer data)
{
  *self = (GwSimPty){
    .loop = loop,
    .path = g_strdup (link),
    .funcs = funcs,
    .data = data,
    .fd = -1,
    .out = g_byte_array_new (),
  };
}

void
gw_sim_pty_init_device (
    GwSimPty *self, GwLoop *loop, const char *path, const GwSimPtyFuncs *funcs, gpointer data)
{
  gw_sim_pty_init (self, loop, path, funcs, data);
  self->is_device = TRUE;
}

void
gw_sim_pty_clear (GwSimPty *self)
{
  gw_sim_pty_unplug (self);
  g_clear_pointer (&self->out, g_byte_array_unref);
  g_clear_pointer (&self->path, g_free);
}
