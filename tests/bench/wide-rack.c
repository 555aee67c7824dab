// SPDX-License-Identifier: LGPL-2.1-or-later
/* The rack of plugins/example with many slots and none of its thrift: what the agent costs with a thousand
 * endpoints can be measured only where a thousand plugins do not share the cores with it. One process and bus
 * for slots FIRST to FIRST + COUNT - 1, a socket for each (DIR/gateway-N), because the kernel keeps no more
 * than ten datagrams for one. Usage: wide-rack DIR NAME FIRST COUNT. */
#include <gangway.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gw-busmsg-codec.h"
#include "gw-loop.h"

#define MTU 512
#define ASK_USEC G_USEC_PER_SEC
#define QUIET_S 15
#define SILENT_S 30

typedef struct
{
  struct Rack *rack;
  struct sockaddr_un board;
  int fd;
  GangwayNode *node; /* NULL: nobody there */
  guint quiet;       /* seconds since a word came */
} Slot;

typedef struct Rack
{
  GwLoop *loop;
  GangwayBus *bus;
  GwTimer ask;
  GHashTable *by_node;
  guint n;
  Slot slots[GW_BUSMSG_NODES_MAX];
} Rack;

/* SMP: who is there? As in plugins/example. */
static const guint8 hello[] = { 8, 0, 0, 1, 0x51, 0, 0, 0, 0xa0 };

static void
put (Slot *slot, gconstpointer data, gsize len)
{
  (void)!sendto (slot->fd, data, len, MSG_NOSIGNAL, (void *)&slot->board, sizeof slot->board);
}

static void
on_datagram (GangwayBus *bus, GangwayNode *node, GBytes *datagram, Rack *self)
{
  Slot *slot = g_hash_table_lookup (self->by_node, node);

  if (slot)
    put (slot, g_bytes_get_data (datagram, NULL), g_bytes_get_size (datagram));
}

static void
on_slot (guint32 events, gpointer data)
{
  Slot *slot = data;
  guint8 packet[MTU + 1];
  gssize n = recv (slot->fd, packet, sizeof packet, 0);
  gboolean answer = n > 8 && packet[0] == 9 && memcmp (packet + 4, hello + 4, 4) == 0;
  g_autoptr (GBytes) bytes = NULL;

  if (n <= 0 || n > MTU)
    return;
  slot->quiet = 0;
  bytes = answer ? g_bytes_new (packet + 8, n - 8) : g_bytes_new (packet, n);
  if (!answer && slot->node)
    gangway_node_send (slot->node, bytes, NULL);
  if (!answer || slot->node)
    return;
  slot->node = gangway_bus_node_up (slot->rack->bus, MTU, 0, bytes, NULL);
  if (slot->node)
    g_hash_table_insert (slot->rack->by_node, slot->node, slot);
}

static void
on_ask (gpointer data)
{
  Rack *self = data;

  for (guint i = 0; i < self->n; i++)
    {
      Slot *slot = &self->slots[i];

      if (slot->node && ++slot->quiet > SILENT_S)
        {
          g_hash_table_remove (self->by_node, slot->node);
          gangway_node_down (slot->node, GANGWAY_DOWN_REASON_SILENT);
          g_clear_object (&slot->node);
        }
      if (!slot->node || slot->quiet > QUIET_S)
        put (slot, hello, sizeof hello);
    }
  gw_timer_arm (&self->ask, ASK_USEC);
}

static void
on_attached (GObject *bus, GAsyncResult *result, gpointer data)
{
  Rack *self = data;
  g_autoptr (GError) error = NULL;

  if (gangway_bus_attach_finish (GANGWAY_BUS (bus), result, &error))
    gw_timer_arm (&self->ask, 0);
  else
    g_error ("wide-rack: %s", error->message);
}

static gboolean
open_slot (Rack *self, const char *folder, guint i, guint number)
{
  Slot *slot = &self->slots[i];
  struct sockaddr_un own = { .sun_family = AF_UNIX };

  g_snprintf (own.sun_path, sizeof own.sun_path, "%s/gateway-%u", folder, number);
  slot->board.sun_family = AF_UNIX;
  g_snprintf (slot->board.sun_path, sizeof slot->board.sun_path, "%s/slot-%u", folder, number);
  slot->rack = self;
  slot->fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  unlink (own.sun_path);
  return slot->fd >= 0 && bind (slot->fd, (void *)&own, sizeof own) == 0
         && gw_loop_watch (self->loop, slot->fd, EPOLLIN, on_slot, slot);
}

int
main (int argc, char **argv)
{
  g_autoptr (GwClock) clock = gw_clock_new_real ();
  GMainLoop *main_loop = g_main_loop_new (NULL, FALSE);
  static Rack self;

  if (argc != 5 || atoi (argv[4]) < 1 || atoi (argv[4]) > GW_BUSMSG_NODES_MAX)
    {
      fprintf (stderr, "wide-rack DIR NAME FIRST COUNT, at most %d\n", GW_BUSMSG_NODES_MAX);
      return 2;
    }
  self.loop = gw_loop_new (NULL, clock);
  self.n = atoi (argv[4]);
  self.by_node = g_hash_table_new (NULL, NULL);
  gw_timer_init (&self.ask, self.loop, on_ask, &self);
  for (guint i = 0; i < self.n; i++)
    if (!open_slot (&self, argv[1], i, atoi (argv[3]) + i))
      return perror (argv[1]), 1;
  self.bus = g_object_new (GANGWAY_TYPE_BUS, "name", argv[2], "kind", "rack", "device", argv[1], "plugin",
                           "wide-rack", NULL);
  g_signal_connect (self.bus, "datagram", G_CALLBACK (on_datagram), &self);
  g_signal_connect_swapped (self.bus, "lost", G_CALLBACK (g_main_loop_quit), main_loop);
  gangway_bus_attach_async (self.bus, NULL, on_attached, &self);
  g_main_loop_run (main_loop);
  return 1;
}
