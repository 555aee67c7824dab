/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-serial-port.h"

#include <errno.h>
#include <glib-unix.h>
#include <unistd.h>

/* The owner may be gone when its callback returns; the source is destroyed then, and what is returned here does not matter. */

static gboolean
on_readable (int fd, GIOCondition condition, gpointer data)
{
  GwSerialPort *self = data;

  self->funcs->readable (self->owner, condition);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_writable (int fd, GIOCondition condition, gpointer data)
{
  GwSerialPort *self = data;

  g_clear_pointer (&self->out, g_source_unref);
  self->funcs->writable (self->owner);
  return G_SOURCE_REMOVE;
}

static GSource *
watch (GwSerialPort *self, GIOCondition condition, GUnixFDSourceFunc func)
{
  GSource *source = g_unix_fd_source_new (self->fd, condition);

  g_source_set_callback (source, G_SOURCE_FUNC (func), self, NULL);
  g_source_attach (source, NULL);
  return source;
}

gssize
gw_serial_port_read (GwSerialPort *self, GIOCondition condition, void *out, gsize size, const char **why)
{
  ssize_t n = read (self->fd, out, size);

  if (n > 0)
    return n;
  if (n < 0 && errno == EINTR)
    return 0;
  /* A hung-up terminal that still blocks would spin the loop. */
  if (n < 0 && errno == EAGAIN && !(condition & (G_IO_HUP | G_IO_ERR)))
    return 0;
  *why = n == 0 || errno == EAGAIN ? "hang-up" : g_strerror (errno);
  return -1;
}

gboolean
gw_serial_port_write (GwSerialPort *self, const void *data, gsize len, gsize *pos, const char **why)
{
  *why = NULL;
  while (*pos < len)
    {
      ssize_t n = write (self->fd, (const guint8 *) data + *pos, len - *pos);

      if (n >= 0)
        *pos += (gsize) n;
      else if (errno == EAGAIN)
        {
          if (self->out == NULL)
            self->out = watch (self, G_IO_OUT, on_writable);
          return FALSE;
        }
      else if (errno != EINTR)
        {
          *why = g_strerror (errno);
          return FALSE;
        }
    }
  return TRUE;
}

gboolean
gw_serial_port_is_full (const GwSerialPort *self)
{
  return self->out != NULL;
}

gboolean
gw_serial_port_is_open (const GwSerialPort *self)
{
  return self->fd >= 0;
}

void
gw_serial_port_init (GwSerialPort *self, int fd, const GwSerialPortFuncs *funcs, gpointer owner)
{
  *self = (GwSerialPort){ .funcs = funcs, .owner = owner, .fd = fd };
  self->in = watch (self, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable);
}

static void
unwatch (GSource **source)
{
  if (*source != NULL)
    g_source_destroy (*source);
  g_clear_pointer (source, g_source_unref);
}

void
gw_serial_port_close (GwSerialPort *self)
{
  unwatch (&self->in);
  unwatch (&self->out);
  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;
}
