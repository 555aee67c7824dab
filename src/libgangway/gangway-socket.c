/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gangway-socket.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gangway/gangway-types.h"

/* Node messages that wait while the agent is busy: a whole bus may go and come back once. */
#define QUEUE_MAX (2 * GW_BUSMSG_NODES_MAX)
/* Messages read in one turn of the main loop, so that a flooding agent cannot starve the wire. */
#define READS_PER_TURN 64
/* The agent's HELLO must come within this. */
#define HELLO_TIMEOUT_S 10

struct _GangwaySocket
{
  gatomicrefcount refs; /* one for the owner, one for a turn that is running */
  int fd;               /* -1 once closed */
  const GangwaySocketFuncs *funcs;
  gpointer owner;
  GMainContext *context;
  GSource *in, *out, *timeout, *fail;
  GQueue queue;     /* GBytes that must arrive */
  GError *fail_why; /* for the idle that reports it */
  gboolean greeted; /* the agent's HELLO is in */
  guint datagram_max, nodes_max;
};

static void
clear_source (GSource **source)
{
  if (*source != NULL)
    g_source_destroy (*source);
  g_clear_pointer (source, g_source_unref);
}

static void
shut (GangwaySocket *self)
{
  clear_source (&self->in);
  clear_source (&self->out);
  clear_source (&self->timeout);
  clear_source (&self->fail);
  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;
}

static void
socket_unref (GangwaySocket *self)
{
  if (!g_atomic_ref_count_dec (&self->refs))
    return;
  g_queue_clear_full (&self->queue, (GDestroyNotify) g_bytes_unref);
  g_clear_error (&self->fail_why);
  g_main_context_unref (self->context);
  g_free (self);
}

void
gangway_socket_free (GangwaySocket *self)
{
  shut (self);
  self->funcs = NULL;
  socket_unref (self);
}

/* Report the end. The caller holds a reference of its own: the callback may free the socket. */
static void
close_with (GangwaySocket *self, GangwayError code, const char *format, ...) G_GNUC_PRINTF (3, 4);

static void
close_with (GangwaySocket *self, GangwayError code, const char *format, ...)
{
  g_autoptr (GError) why = NULL;
  va_list args;

  if (self->fd < 0)
    return;
  va_start (args, format);
  why = g_error_new_valist (GANGWAY_ERROR, code, format, args);
  va_end (args);
  shut (self);
  self->funcs->closed (self->owner, why);
}

static gboolean
on_fail (gpointer data)
{
  GangwaySocket *self = data;
  g_autoptr (GError) why = g_steal_pointer (&self->fail_why);

  g_atomic_ref_count_inc (&self->refs);
  close_with (self, why->code, "%s", why->message);
  socket_unref (self);
  return G_SOURCE_REMOVE;
}

/* Close from the main loop, since the caller is in the middle of a send and does not expect to lose the socket. */
static void
fail_later (GangwaySocket *self, GangwayError code, const char *message)
{
  if (self->fail != NULL)
    return;
  self->fail_why = g_error_new_literal (GANGWAY_ERROR, code, message);
  self->fail = g_idle_source_new ();
  g_source_set_callback (self->fail, on_fail, self, NULL);
  g_source_attach (self->fail, self->context);
}

/* ---- Sending ---- */

/* 1: sent, 0: not now, -1: the other side is gone (the read side will report it). */
static int
send_iov (GangwaySocket *self, const struct iovec *iov, gsize n)
{
  struct msghdr hdr = { .msg_iov = (struct iovec *) iov, .msg_iovlen = n };
  ssize_t sent;

  if (self->fd < 0)
    return -1;
  do
    sent = sendmsg (self->fd, &hdr, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent >= 0)
    return 1;
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM ? 0 : -1;
}

static int
send_octets (GangwaySocket *self, gconstpointer data, gsize len)
{
  const struct iovec iov = { .iov_base = (void *) data, .iov_len = len };

  return send_iov (self, &iov, 1);
}

static gboolean
on_writable (int fd, GIOCondition condition, gpointer data)
{
  GangwaySocket *self = data;
  GBytes *head;

  while ((head = g_queue_peek_head (&self->queue)) != NULL)
    {
      if (send_octets (self, g_bytes_get_data (head, NULL), g_bytes_get_size (head)) == 0)
        return G_SOURCE_CONTINUE;
      g_bytes_unref (g_queue_pop_head (&self->queue));
    }
  g_clear_pointer (&self->out, g_source_unref);
  return G_SOURCE_REMOVE;
}

static void
enqueue (GangwaySocket *self, const guint8 *packet, gsize len)
{
  if (g_queue_get_length (&self->queue) >= QUEUE_MAX)
    {
      fail_later (self, GANGWAY_ERROR_BUSY, "the agent does not take messages");
      return;
    }
  g_queue_push_tail (&self->queue, g_bytes_new (packet, len));
  if (self->out != NULL)
    return;
  self->out = g_unix_fd_source_new (self->fd, G_IO_OUT);
  g_source_set_callback (self->out, G_SOURCE_FUNC (on_writable), self, NULL);
  g_source_attach (self->out, self->context);
}

void
gangway_socket_send (GangwaySocket *self, const GwBusmsg *msg)
{
  guint8 packet[GW_BUSMSG_HEADER_LEN + GW_BUSMSG_HELLO_CBOR_MAX + 4];
  GwStatus status;
  gsize len;

  if (self->fd < 0)
    return;
  status = gw_busmsg_encode (msg, packet, sizeof packet, &len);
  if (status != GW_OK)
    {
      g_critical ("bus socket: cannot encode a message of type %d: %s", msg->type, gw_status_text (status));
      return;
    }
  if (!g_queue_is_empty (&self->queue) || send_octets (self, packet, len) == 0)
    enqueue (self, packet, len);
}

gboolean
gangway_socket_try_send (GangwaySocket *self, const GwBusmsg *msg)
{
  guint8 packet[GW_BUSMSG_HEADER_LEN + GW_BUSMSG_STATS_LEN];
  struct iovec iov[2] = { { .iov_base = packet, .iov_len = GW_BUSMSG_HEADER_LEN } };
  gsize len;

  /* What waits in the queue goes first: a datagram must not overtake its own NODE_UP. */
  if (self->fd < 0 || !g_queue_is_empty (&self->queue))
    return FALSE;
  if (msg->type == GW_BUSMSG_DATAGRAM)
    {
      gw_busmsg_encode_header (packet, msg->type, msg->node);
      iov[1] = (struct iovec){ .iov_base = (void *) msg->datagram.ptr, .iov_len = msg->datagram.len };
      return send_iov (self, iov, 2) > 0;
    }
  if (gw_busmsg_encode (msg, packet, sizeof packet, &len) != GW_OK)
    return FALSE;
  return send_octets (self, packet, len) > 0;
}

/* ---- Receiving ---- */

static void
take_hello (GangwaySocket *self, const GwBusmsg *msg)
{
  if (self->greeted)
    {
      close_with (self, GANGWAY_ERROR_FAILED, "the agent said HELLO twice");
      return;
    }
  self->greeted = TRUE;
  self->datagram_max = MIN (msg->hello.datagram_max, GW_BUSMSG_DATAGRAM_MAX);
  self->nodes_max = MIN (msg->hello.nodes_max, GW_BUSMSG_NODES_MAX);
  clear_source (&self->timeout);
  self->funcs->hello (self->owner);
}

static void
take_packet (GangwaySocket *self, const guint8 *packet, gsize len)
{
  GwBusmsg msg;
  GwStatus status = gw_busmsg_decode (
      &msg, GW_BUSMSG_FROM_AGENT, packet, len, self->greeted ? self->datagram_max : GW_BUSMSG_DATAGRAM_MAX);

  if (status == GW_E_UNSUPPORTED)
    close_with (self,
                GANGWAY_ERROR_VERSION,
                "the agent speaks version %u of the bus socket, this plugin version %u; update the older one",
                msg.hello.version,
                GW_BUSMSG_VERSION);
  else if (status != GW_OK)
    close_with (self, GANGWAY_ERROR_FAILED, "bad message from the agent: %s", gw_status_text (status));
  else if (msg.type == GW_BUSMSG_HELLO)
    take_hello (self, &msg);
  else if (!self->greeted)
    close_with (self, GANGWAY_ERROR_FAILED, "the agent's first message is not HELLO");
  else if (msg.type == GW_BUSMSG_DATAGRAM)
    self->funcs->datagram (self->owner, msg.node, msg.datagram.ptr, msg.datagram.len);
  else
    self->funcs->scan (self->owner);
}

/* FALSE: nothing more to read now. */
static gboolean
read_one (GangwaySocket *self)
{
  guint8 packet[GW_BUSMSG_MAX + 1]; /* one octet more, so that a packet too long shows */
  ssize_t len;

  do
    len = recv (self->fd, packet, sizeof packet, MSG_DONTWAIT);
  while (len < 0 && errno == EINTR);
  if (len > 0)
    {
      take_packet (self, packet, len);
      return TRUE;
    }
  if (len == 0)
    close_with (self, GANGWAY_ERROR_NOT_ATTACHED, "the agent closed the bus socket");
  else if (errno != EAGAIN && errno != EWOULDBLOCK)
    close_with (self, GANGWAY_ERROR_NOT_ATTACHED, "bus socket: %s", g_strerror (errno));
  return FALSE;
}

static gboolean
on_readable (int fd, GIOCondition condition, gpointer data)
{
  GangwaySocket *self = data;
  gboolean alive;

  g_atomic_ref_count_inc (&self->refs);
  for (guint i = 0; i < READS_PER_TURN && self->fd >= 0; i++)
    if (!read_one (self))
      break;
  alive = self->fd >= 0;
  socket_unref (self);
  return alive ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static gboolean
on_hello_timeout (gpointer data)
{
  GangwaySocket *self = data;

  g_atomic_ref_count_inc (&self->refs);
  close_with (self, GANGWAY_ERROR_FAILED, "the agent did not say HELLO within %d s", HELLO_TIMEOUT_S);
  socket_unref (self);
  return G_SOURCE_REMOVE;
}

/* ---- Life ---- */

gboolean
gangway_socket_check_fd (int fd, GError **error)
{
  int type = 0, domain = 0;
  socklen_t len = sizeof type;

  if (getsockopt (fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET
      && getsockopt (fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX)
    return TRUE;
  g_set_error_literal (error, GANGWAY_ERROR, GANGWAY_ERROR_FAILED, "the agent's descriptor is not a bus socket");
  return FALSE;
}

GangwaySocket *
gangway_socket_new (int fd, const GangwaySocketFuncs *funcs, gpointer owner)
{
  GangwaySocket *self = g_new0 (GangwaySocket, 1);
  const GwBusmsg hello = {
    .type = GW_BUSMSG_HELLO,
    .hello = { GW_BUSMSG_VERSION, GW_BUSMSG_DATAGRAM_MAX, GW_BUSMSG_NODES_MAX },
  };

  g_atomic_ref_count_init (&self->refs);
  self->fd = fd;
  self->funcs = funcs;
  self->owner = owner;
  self->context = g_main_context_ref_thread_default ();
  g_queue_init (&self->queue);

  self->in = g_unix_fd_source_new (fd, G_IO_IN | G_IO_HUP | G_IO_ERR);
  g_source_set_callback (self->in, G_SOURCE_FUNC (on_readable), self, NULL);
  g_source_attach (self->in, self->context);
  self->timeout = g_timeout_source_new_seconds (HELLO_TIMEOUT_S);
  g_source_set_callback (self->timeout, on_hello_timeout, self, NULL);
  g_source_attach (self->timeout, self->context);

  gangway_socket_send (self, &hello);
  return self;
}

guint
gangway_socket_get_datagram_max (GangwaySocket *self)
{
  return self->datagram_max;
}

guint
gangway_socket_get_nodes_max (GangwaySocket *self)
{
  return self->nodes_max;
}
