/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Patient, but not endless, input and output for worker threads. */
#include "gw-stream.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define READ_CHUNK 65536

static gboolean
wait_for (int fd, short events, GCancellable *cancellable, GError **error)
{
  GPollFD cancel = { -1, 0, 0 };
  struct pollfd fds[2] = { { fd, events, 0 }, { -1, POLLIN, 0 } };
  gboolean watched = cancellable && g_cancellable_make_pollfd (cancellable, &cancel);
  int got;

  fds[1].fd = watched ? cancel.fd : -1;
  do
    got = poll (fds, 2, GW_STREAM_STALL_MS);
  while (got < 0 && errno == EINTR);
  if (watched)
    g_cancellable_release_fd (cancellable);
  if (g_cancellable_is_cancelled (cancellable))
    g_set_error (error, GW_ERROR, GW_ERROR_CANCELLED, "cancelled");
  else if (got == 0)
    g_set_error (error, GW_ERROR, GW_ERROR_TIMEOUT, "the descriptor given has not moved for %d s",
                 GW_STREAM_STALL_MS / 1000);
  else if (got < 0)
    g_set_error (error, GW_ERROR, GW_ERROR_STORAGE, "cannot wait for the descriptor given: %s",
                 g_strerror (errno));
  else
    return TRUE;
  return FALSE;
}

gssize
gw_stream_read (int fd, void *buffer, gsize length, GCancellable *cancellable, GError **error)
{
  gssize got;

  do
    {
      if (!wait_for (fd, POLLIN, cancellable, error))
        return -1;
      got = read (fd, buffer, length);
    }
  while (got < 0 && (errno == EINTR || errno == EAGAIN));
  if (got < 0)
    g_set_error (error, GW_ERROR, GW_ERROR_STORAGE, "cannot read the descriptor given: %s",
                 g_strerror (errno));
  return got;
}

gboolean
gw_stream_write (int fd, const void *data, gsize length, GCancellable *cancellable, GError **error)
{
  const char *at = data;

  while (length > 0)
    {
      gssize put;

      if (!wait_for (fd, POLLOUT, cancellable, error))
        return FALSE;
      put = write (fd, at, MIN (length, GW_STREAM_WRITE_MAX));
      if (put < 0 && errno != EINTR && errno != EAGAIN)
        {
          g_set_error (error, GW_ERROR, GW_ERROR_STORAGE, "cannot write to the descriptor given: %s",
                       g_strerror (errno));
          return FALSE;
        }
      if (put > 0)
        {
          at += put;
          length -= (gsize)put;
        }
    }
  return TRUE;
}

GByteArray *
gw_stream_read_all (int fd, gsize max, GCancellable *cancellable, GError **error)
{
  g_autoptr (GByteArray) all = g_byte_array_new ();
  g_autofree guint8 *chunk = g_malloc (READ_CHUNK);
  gssize got;

  while ((got = gw_stream_read (fd, chunk, READ_CHUNK, cancellable, error)) > 0)
    {
      if ((gsize)got > max - all->len)
        {
          g_set_error (error, GW_ERROR, GW_ERROR_LIMIT, "more than %" G_GSIZE_FORMAT " octets", max);
          return NULL;
        }
      g_byte_array_append (all, chunk, (guint)got);
    }
  return got == 0 ? g_steal_pointer (&all) : NULL;
}
