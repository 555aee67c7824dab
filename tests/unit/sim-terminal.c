/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sim-terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#define PATIENCE_MS 60000 /* of the kernel's time, however busy the machine */

void
sim_terminal_attach (SimTerminal *self, int fd, SimCounterFunc counter, gpointer data)
{
  g_assert_cmpint (fd, >=, 0);
  *self = (SimTerminal){ .fd = fd, .counter = counter, .data = data, .read = counter (data, "octets_out") };
}

void
sim_terminal_open (SimTerminal *self, const char *path, SimCounterFunc counter, gpointer data)
{
  sim_terminal_attach (self, open (path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC), counter, data);
}

void
sim_terminal_close (SimTerminal *self)
{
  close (self->fd);
  self->fd = -1;
}

void
sim_terminal_write (SimTerminal *self, gconstpointer octets, gsize len)
{
  guint64 goal = self->counter (self->data, "octets_in") + len;

  g_assert_cmpint (write (self->fd, octets, len), ==, len);
  while (self->counter (self->data, "octets_in") < goal)
    g_main_context_iteration (NULL, FALSE);
}

gsize
sim_terminal_read (SimTerminal *self, gpointer octets, gsize size)
{
  struct pollfd fd = { .fd = self->fd, .events = POLLIN };
  gssize n;

  if (self->read == self->counter (self->data, "octets_out"))
    return 0;
  g_assert_cmpint (poll (&fd, 1, PATIENCE_MS), ==, 1);
  n = read (self->fd, octets, size);
  g_assert_cmpint (n, >, 0);
  self->read += n;
  return n;
}

void
sim_terminal_assert_hung_up (SimTerminal *self)
{
  char octets[256];
  gssize n;

  do
    n = read (self->fd, octets, sizeof octets);
  while (n > 0);
  g_assert_true (n == 0 || errno == EIO);
}
