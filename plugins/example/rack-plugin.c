/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A field bus that nobody has: the board in slot N (0 to 15) of a rack is the datagram socket DIR/slot-N, the
 * gateway is DIR/gateway. Usage: rack-plugin DIR NAME. doc/writing-a-plugin.md goes through this file. */

#include <gangway.h>
#include <glib-unix.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define SLOTS 16    /* what strangers can make us keep has a bound */
#define MTU 512     /* octets; every endpoint takes datagrams of that size */
#define QUIET_S 12  /* a session says something every 10 s; a node that says nothing for so long is asked, */
#define SILENT_S 18 /* and is down when it does not answer */

typedef struct
{
  GangwayBus *bus;
  GangwayStats stats;
  struct sockaddr_un address[SLOTS + 1]; /* the last one is our own */
  GangwayNode *node[SLOTS];              /* NULL: nobody there */
  int fd, quiet[SLOTS];                  /* seconds since a word came */
} Rack;

/* The only words of a plugin's own, in the clear: who is there? SMP: read, a body of 1 octet, group 5100,
 * seq 0, command 0; then an empty CBOR map. The answer begins with 9 and has the same in octets 4 to 7. */
static const guint8 hello[] = { 8, 0, 0, 1, 0x51, 0, 0, 0, 0xa0 };

/* Never waits: both ends know that datagrams can be lost. */
static void
put (Rack *self, int slot, gconstpointer data, gsize len)
{
  gboolean sent = sendto (self->fd, data, len, 0, (void *)&self->address[slot], sizeof *self->address) >= 0;
  gboolean gone = !sent && errno != EAGAIN;

  self->stats.frames_out += sent, self->stats.bytes_out += sent ? len : 0;
  self->stats.dropped += !sent && self->node[slot];
  if (!self->node[slot] || (!gone && self->quiet[slot] <= SILENT_S))
    return;
  gangway_node_down (self->node[slot], gone ? GANGWAY_DOWN_REASON_GONE : GANGWAY_DOWN_REASON_SILENT);
  g_clear_object (&self->node[slot]);
}

static void
on_datagram (GangwayBus *bus, GangwayNode *node, GBytes *datagram, Rack *self)
{
  for (int slot = 0; slot < SLOTS; slot++)
    if (self->node[slot] == node)
      put (self, slot, g_bytes_get_data (datagram, NULL), g_bytes_get_size (datagram));
}

static gboolean
on_readable (int fd, GIOCondition condition, Rack *self)
{
  guint8 packet[MTU + 1];
  struct sockaddr_un from = { 0 };
  gssize n = recvfrom (fd, packet, sizeof packet, 0, (void *)&from, &(socklen_t){ sizeof from });
  gboolean answer = n > 8 && packet[0] == 9 && memcmp (packet + 4, hello + 4, 4) == 0;
  g_autoptr (GBytes) bytes = answer ? g_bytes_new (packet + 8, n - 8) : g_bytes_new (packet, MAX (n, 0));
  int slot = 0;

  while (slot < SLOTS && strncmp (from.sun_path, self->address[slot].sun_path, sizeof from.sun_path) != 0)
    slot++;
  self->stats.frames_in += n > 0, self->stats.bytes_in += MAX (n, 0), self->stats.oversize += n > MTU;
  if (slot == SLOTS || n <= 0 || n > MTU)
    return G_SOURCE_CONTINUE; /* no board of this rack, or nothing that a board says */
  self->quiet[slot] = 0;
  if (answer && !self->node[slot]) /* its CBOR tells the agent who is there, as a hint */
    self->node[slot] = gangway_bus_node_up (self->bus, MTU, 0, bytes, NULL);
  else if (!answer && self->node[slot])
    gangway_node_send (self->node[slot], bytes, NULL); /* if not taken: dropped, and counted */
  return G_SOURCE_CONTINUE;
}

static gboolean
on_second (Rack *self)
{
  for (int slot = 0; slot < SLOTS; slot++)
    if (++self->quiet[slot] > QUIET_S || !self->node[slot])
      put (self, slot, hello, sizeof hello);
  gangway_bus_set_stats (self->bus, &self->stats);
  return G_SOURCE_CONTINUE;
}

static void
on_attached (GObject *bus, GAsyncResult *result, gpointer loop)
{
  g_autoptr (GError) error = NULL;

  if (!gangway_bus_attach_finish (GANGWAY_BUS (bus), result, &error))
    fprintf (stderr, "rack-plugin: %s\n", error->message), g_main_loop_quit (loop);
}

int
main (int argc, char **argv)
{
  Rack self = { .fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) };
  GMainLoop *loop = g_main_loop_new (NULL, FALSE);

  for (int slot = 0; slot <= SLOTS && argc == 3; slot++)
    {
      self.address[slot].sun_family = AF_UNIX;
      g_snprintf (self.address[slot].sun_path, sizeof self.address->sun_path, "%s/slot-%d", argv[1], slot);
    }
  g_snprintf (self.address[SLOTS].sun_path, sizeof self.address->sun_path, "%s/gateway", argv[1]);
  remove (self.address[SLOTS].sun_path); /* what an earlier run has left */
  if (argc != 3 || bind (self.fd, (void *)&self.address[SLOTS], sizeof *self.address) != 0)
    return perror ("rack-plugin DIR NAME"), 2;
  self.bus = g_object_new (GANGWAY_TYPE_BUS, "name", argv[2], "kind", "rack", "device", argv[1], "plugin",
                           "rack-plugin 1", "sandbox", TRUE, NULL);
  g_signal_connect (self.bus, "datagram", G_CALLBACK (on_datagram), &self);
  g_signal_connect_swapped (self.bus, "lost", G_CALLBACK (g_main_loop_quit), loop);
  gangway_bus_attach_async (self.bus, NULL, on_attached, loop);
  g_unix_fd_add (self.fd, G_IO_IN, (GUnixFDSourceFunc)on_readable, &self);
  g_timeout_add_seconds (1, G_SOURCE_FUNC (on_second), &self);
  g_main_loop_run (loop); /* ends when there is nothing to attach to; a supervisor starts us again */
  return 1;
}
