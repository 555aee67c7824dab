/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See gw-bus.h. The socket is read in bounded bites; a plugin that floods is read slower, and one that breaks the protocol is
 * thrown out. Datagrams towards the plugin are dropped when its socket is full: DTLS repeats handshakes, SMP repeats requests.
 */

#include "config.h"

#include "gw-bus.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gw-bus-link.h"
#include "gw-busmsg-codec.h"
#include "gw-error.h"

struct _GwBus
{
  GwLoop *loop;
  GwBusService *service;
  GwBusLink link;
  GwBerths berths; /* who may prove itself now */
  GwChannelIdentity *identity;
  const GwBusEvents *events;
  gpointer data;
  char *name;
  char *path;
  int fd;
  GwFdWatch *watch; /* NULL: the kernel refused it, or the bus is gone */
  gboolean gone; /* and its owner told so */
  gboolean greeted;
  gboolean freed;
  gsize datagram_max;
  guint32 last_node;
  GHashTable *nodes; /* id -> GwNode */
  GwTimer hello_timer;
  GwTimer flood_timer;
  gint64 window_start;
  guint window_count;
  guint handshakes; /* that may begin now */
  gint64 handshakes_at;
};

static void throw_out (GwBus *self, GwError code, const char *format, ...) G_GNUC_PRINTF (3, 4);

gboolean
gw_bus_name_is_valid (const char *name)
{
  gsize len = strlen (name);

  return len > 0 && len <= GW_BUS_NAME_MAX
         && strspn (name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == len;
}

static void
bus_clear (GwBus *self)
{
  g_clear_pointer (&self->nodes, g_hash_table_unref);
  g_clear_pointer (&self->identity, gw_channel_identity_unref);
  g_clear_pointer (&self->service, gw_bus_service_free);
  g_free (self->name);
  g_free (self->path);
}

static void
bus_unref (GwBus *self)
{
  g_rc_box_release_full (self, (GDestroyNotify) bus_clear);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwBus, bus_unref)

/* ---- the socket ---- */

static void
throw_out (GwBus *self, GwError code, const char *format, ...)
{
  g_autoptr (GError) error = NULL;
  va_list args;

  if (self->freed || self->gone)
    return;
  self->gone = TRUE;
  va_start (args, format);
  error = g_error_new_valist (GW_ERROR, code, format, args);
  va_end (args);
  g_clear_pointer (&self->watch, gw_fd_watch_free);
  gw_timer_disarm (&self->flood_timer);
  self->events->gone (self, error, self->data);
}

/* FALSE: the plugin does not take it. */
static gboolean
send_message (GwBus *self, GwBusmsgType type, guint32 node, const guint8 *body, gsize len)
{
  guint8 header[GW_BUSMSG_HEADER_LEN];
  struct iovec parts[] = { { header, sizeof header }, { (void *) body, len } };
  struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

  if (self->fd < 0)
    return FALSE;
  gw_busmsg_encode_header (header, type, node);
  if (sendmsg (self->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
    return TRUE;
  /* Full: the plugin is slow; what was lost is sent again by the layers above. A broken socket is seen by the watch. */
  gw_bus_service_count_drop (self->service);
  return FALSE;
}

static void
send_hello (GwBus *self)
{
  GwBusmsg hello = { .type = GW_BUSMSG_HELLO };
  guint8 message[GW_BUSMSG_MAX];
  gsize len;

  hello.hello.version = GW_BUSMSG_VERSION;
  hello.hello.datagram_max = GW_BUSMSG_DATAGRAM_MAX;
  hello.hello.nodes_max = GW_BUSMSG_NODES_MAX;
  if (gw_busmsg_encode (&hello, message, sizeof message, &len) == GW_OK)
    (void) !send (self->fd, message, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* ---- nodes ---- */

static void
on_node_send (GwNode *node, const guint8 *datagram, gsize len, gpointer data)
{
  GwBus *self = data;

  gw_berths_carry (&self->berths, gw_node_get_berth (node), len);
  if (!self->freed && len <= self->datagram_max)
    send_message (self, GW_BUSMSG_DATAGRAM, gw_node_get_id (node), datagram, len);
}

static gboolean
on_node_turn (GwNode *node, gpointer data)
{
  GwBus *self = data;

  if (gw_berths_ask (&self->berths, gw_node_get_berth (node)))
    return TRUE;
  if (gw_node_get_session (node) == NULL)
    gw_bus_service_set_node_state (self->service, node, "waiting");
  return FALSE;
}

static void
on_berth (GwBerth *berth, gpointer data)
{
  gw_node_begin (berth->owner);
}

static gboolean
is_waiting (GwBerth *berth, gpointer data)
{
  return gw_node_waits (berth->owner);
}

static gboolean
on_node_admit (GwNode *node, gpointer data)
{
  GwBus *self = data;
  gint64 now = gw_loop_now (self->loop);
  gint64 more = (now - self->handshakes_at) / GW_BUS_HANDSHAKE_REFILL_USEC;

  if (more > 0)
    {
      self->handshakes = (guint) MIN (GW_BUS_HANDSHAKE_BURST, self->handshakes + more);
      self->handshakes_at += more * GW_BUS_HANDSHAKE_REFILL_USEC;
    }
  if (self->handshakes == 0)
    return FALSE;
  self->handshakes--;
  return TRUE;
}

static void
on_node_proving (GwNode *node, gpointer data)
{
  GwBus *self = data;

  gw_bus_service_set_node_state (self->service, node, gw_node_get_session (node) != NULL ? "proved" : "proving");
  self->events->proving (self, node, self->data);
}

static void
on_node_proved (GwNode *node, GwSession *session, gpointer data)
{
  GwBus *self = data;

  gw_bus_service_set_node_state (self->service, node, "proved");
  self->events->proved (self, node, session, self->data);
}

static void
on_node_failed (GwNode *node, const GError *error, gpointer data)
{
  GwBus *self = data;

  gw_bus_service_set_node_state (self->service, node, gw_node_get_session (node) != NULL ? "proved" : error->message);
}

static const GwNodeEvents node_events = {
  .send = on_node_send,
  .admit = on_node_admit,
  .turn = on_node_turn,
  .proving = on_node_proving,
  .proved = on_node_proved,
  .failed = on_node_failed,
};

static void
take_node_up (GwBus *self, const GwBusmsg *message)
{
  guint mtu = MIN (message->node_up.mtu, self->datagram_max);
  guint untold = message->node_up.rtt_ms > 0 ? message->node_up.rtt_ms : GW_BUS_LINK_FRAME_MSEC_DEFAULT;
  guint frame_msec = gw_bus_link_get_frame_msec (&self->link, mtu, untold);
  GwNode *node;

  if (message->node <= self->last_node || g_hash_table_size (self->nodes) >= GW_BUSMSG_NODES_MAX)
    {
      throw_out (self, GW_ERROR_INVALID, "the plugin of bus %s announced node %u: numbers must rise, and %u nodes are the most",
                 self->name, message->node, GW_BUSMSG_NODES_MAX);
      return;
    }
  self->last_node = message->node;
  node = gw_node_new (self->loop, message->node, mtu, frame_msec, message->node_up.cbor, &node_events, self);
  gw_node_set_identity (node, self->identity);
  g_hash_table_insert (self->nodes, GUINT_TO_POINTER (message->node), node);
  gw_bus_service_add_node (self->service, node);
  self->events->node_up (self, node, self->data);
  gw_node_start (node);
}

static void
remove_node (GwBus *self, GwNode *node)
{
  gpointer id = GUINT_TO_POINTER (gw_node_get_id (node));

  g_hash_table_remove (self->nodes, id);
  gw_berths_leave (&self->berths, gw_node_get_berth (node));
  gw_bus_service_remove_node (self->service, node);
  self->events->node_down (self, node, self->data);
  gw_node_free (node);
}

static void
take_node_info (GwBus *self, GwNode *node, const GwBusmsgNode *info)
{
  gboolean moved = gw_node_get_address (node) != info->address;

  gw_node_set_address (node, info->address);
  gw_bus_service_set_node_info (self->service, node, info);
  if (moved)
    self->events->node_moved (self, node, self->data);
}

static void
take_link (GwBus *self, const GwBusmsgLink *link)
{
  GHashTableIter iter;
  gpointer node;
  g_autofree char *culprit = link->culprit != 0 ? gw_bus_service_name_address (self->service, link->culprit) : NULL;

  gw_bus_link_take (&self->link, link, culprit, gw_loop_now (self->loop));
  gw_bus_service_set_link (self->service, link);
  gw_berths_set (&self->berths, gw_bus_link_get_berths (&self->link), link->octets_per_second,
                 gw_bus_link_get_idle_usec (&self->link));
  if (link->round_trip_ms == 0 && link->octets_per_second == 0)
    return;
  g_hash_table_iter_init (&iter, self->nodes);
  while (g_hash_table_iter_next (&iter, NULL, &node))
    gw_node_set_frame_msec (node, gw_bus_link_get_frame_msec (&self->link, gw_node_get_mtu (node), 0));
}

static void
take_hello (GwBus *self, const GwBusmsg *message)
{
  self->greeted = TRUE;
  gw_timer_disarm (&self->hello_timer);
  self->datagram_max = MIN (message->hello.datagram_max, GW_BUSMSG_DATAGRAM_MAX);
  gw_bus_service_run (self->service);
}

static void
take_message (GwBus *self, const guint8 *packet, gsize len)
{
  GwBusmsg message;
  GwStatus status = gw_busmsg_decode (&message, GW_BUSMSG_FROM_PLUGIN, packet, len, self->datagram_max);
  GwNode *node;

  if (status != GW_OK || self->greeted == (message.type == GW_BUSMSG_HELLO))
    {
      throw_out (self, status == GW_E_UNSUPPORTED ? GW_ERROR_UNSUPPORTED : GW_ERROR_INVALID,
                 "the plugin of bus %s broke the protocol of the bus socket: %s", self->name,
                 status != GW_OK ? gw_status_text (status) : "hello comes first, and once");
      return;
    }
  if (message.type == GW_BUSMSG_HELLO)
    {
      take_hello (self, &message);
      return;
    }
  if (message.type == GW_BUSMSG_STATS)
    {
      gw_bus_service_set_statistics (self->service, &message.stats);
      return;
    }
  if (message.type == GW_BUSMSG_LINK)
    {
      take_link (self, &message.link);
      return;
    }
  if (message.type == GW_BUSMSG_NODE_UP)
    {
      take_node_up (self, &message);
      return;
    }
  node = g_hash_table_lookup (self->nodes, GUINT_TO_POINTER (message.node));
  if (node == NULL)
    throw_out (self, GW_ERROR_INVALID, "the plugin of bus %s speaks of node %u, which is not up", self->name, message.node);
  else if (message.type == GW_BUSMSG_NODE_DOWN)
    remove_node (self, node);
  else if (message.type == GW_BUSMSG_NODE)
    take_node_info (self, node, &message.node_info);
  else
    {
      gw_berths_carry (&self->berths, gw_node_get_berth (node), message.datagram.len);
      gw_node_input (node, message.datagram.ptr, message.datagram.len);
    }
}

/* TRUE while the plugin may be read. */
static gboolean
window_has_room (GwBus *self)
{
  gint64 now = gw_loop_now (self->loop);

  if (now - self->window_start >= GW_BUS_FLOOD_WINDOW_USEC)
    {
      self->window_start = now;
      self->window_count = 0;
    }
  if (self->window_count < GW_BUS_FLOOD_MAX)
    return TRUE;
  gw_fd_watch_set_events (self->watch, 0);
  gw_timer_arm (&self->flood_timer, self->window_start + GW_BUS_FLOOD_WINDOW_USEC - now);
  return FALSE;
}

static void
on_flood_over (gpointer data)
{
  GwBus *self = data;

  if (self->watch != NULL)
    gw_fd_watch_set_events (self->watch, EPOLLIN);
}

static void
on_socket (guint32 ready, gpointer data)
{
  g_autoptr (GwBus) self = g_rc_box_acquire ((GwBus *) data);
  guint8 packet[GW_BUSMSG_MAX + 1];

  for (guint i = 0; i < GW_BUS_TURN_MAX && self->watch != NULL && window_has_room (self); i++)
    {
      ssize_t n = recv (self->fd, packet, sizeof packet, MSG_DONTWAIT | MSG_TRUNC);

      if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
      if (n <= 0)
        {
          throw_out (self, GW_ERROR_OFFLINE, "the plugin of bus %s has left", self->name);
          return;
        }
      self->window_count++;
      take_message (self, packet, MIN ((gsize) n, sizeof packet));
    }
}

static void
on_hello_late (gpointer data)
{
  GwBus *self = data;

  if (self->watch == NULL)
    throw_out (self, GW_ERROR_FAILED, "the socket of bus %s cannot be watched: too many descriptors are already", self->name);
  else
    throw_out (self, GW_ERROR_TIMEOUT, "the plugin of bus %s did not say hello on its socket", self->name);
}

static gboolean
on_scan (gpointer data)
{
  GwBus *self = data;

  return self->greeted && self->watch != NULL && send_message (self, GW_BUSMSG_SCAN, 0, NULL, 0);
}

GwBus *
gw_bus_new (GwLoop *loop,
            GwObjects *manager,
            GwBouncer *bouncer,
            GwChannelIdentity *identity,
            const char *path,
            const GwBusInfo *info,
            int fd,
            const GwBusEvents *events,
            gpointer data)
{
  GwBus *self = g_rc_box_new0 (GwBus);

  self->loop = loop;
  self->identity = gw_channel_identity_ref (identity);
  self->events = events;
  self->data = data;
  self->name = g_strdup (info->name);
  self->path = g_strdup (path);
  self->fd = fd;
  self->datagram_max = GW_BUSMSG_DATAGRAM_MAX;
  self->handshakes = GW_BUS_HANDSHAKE_BURST;
  self->handshakes_at = gw_loop_now (loop);
  self->nodes = g_hash_table_new (NULL, NULL);
  gw_timer_init (&self->hello_timer, loop, on_hello_late, self);
  gw_timer_init (&self->flood_timer, loop, on_flood_over, self);
  gw_bus_link_init (&self->link, self->name);
  gw_berths_init (&self->berths, loop, on_berth, is_waiting, self);
  self->service = gw_bus_service_new (loop, manager, bouncer, path, info, on_scan, self);

  self->watch = gw_loop_watch (loop, fd, EPOLLIN, on_socket, self);
  gw_timer_arm (&self->hello_timer, self->watch != NULL ? GW_BUS_HELLO_USEC : 0);
  send_hello (self);
  return self;
}

void
gw_bus_free (GwBus *self)
{
  g_autoptr (GwBus) owned = self;
  GHashTableIter iter;
  gpointer node;

  self->freed = TRUE;
  g_clear_pointer (&self->watch, gw_fd_watch_free);
  gw_timer_disarm (&self->hello_timer);
  gw_timer_disarm (&self->flood_timer);
  gw_berths_clear (&self->berths);
  for (g_hash_table_iter_init (&iter, self->nodes); g_hash_table_iter_next (&iter, NULL, &node);
       g_hash_table_iter_init (&iter, self->nodes))
    remove_node (self, node);
  close (self->fd);
  self->fd = -1;
  gw_bus_service_withdraw (self->service);
}

const char *
gw_bus_get_name (GwBus *self)
{
  return self->name;
}

const char *
gw_bus_get_path (GwBus *self)
{
  return self->path;
}

void
gw_bus_set_identity (GwBus *self, GwChannelIdentity *identity)
{
  GHashTableIter iter;
  gpointer node;

  g_clear_pointer (&self->identity, gw_channel_identity_unref);
  self->identity = gw_channel_identity_ref (identity);
  g_hash_table_iter_init (&iter, self->nodes);
  while (g_hash_table_iter_next (&iter, NULL, &node))
    gw_node_set_identity (node, identity);
}

GwBus *
gw_bus_of_node (GwNode *node)
{
  return gw_node_get_data (node);
}
