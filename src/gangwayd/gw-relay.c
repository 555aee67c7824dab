// SPDX-License-Identifier: LGPL-2.1-or-later
/* The relay: see the header. Ownership: a relay owns its two descriptors and their watches, the TLS session
 * and the addresses; a name being looked up is asked for until the relay goes.
 *
 * State moves forward only:
 *   IDLE -> RESOLVING -> CONNECTING -> HANDSHAKE <-> SUSPENDED -> SECURED -> OPEN -> CLOSED */
#include "gw-relay.h"
#include "gw-error.h"
#include "gw-mqtt-guard-codec.h"

#include <errno.h>
#include <gio/gio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One TLS record at most, so a record is never left half-read inside GnuTLS. */
#define CHUNK 16384
/* Records or chunks per wake-up and direction; the rest waits for the next turn. */
#define CHUNKS_PER_TURN 4
/* One address of several shall not eat the whole time. */
#define ADDRESS_TIMEOUT (10 * G_USEC_PER_SEC)

typedef enum
{
  STATE_IDLE,
  STATE_RESOLVING,
  STATE_CONNECTING,
  STATE_HANDSHAKE,
  STATE_SUSPENDED,
  STATE_SECURED,
  STATE_OPEN,
  STATE_CLOSED,
} State;

struct GwRelay
{
  GwLoop *loop;
  const GwRelayEvents *events;
  gpointer data;
  State state;

  char *host;
  guint16 port;
  GwDelegateCreds *creds;
  GwTrust *trust;
  GwDelegateChain *chain;
  gnutls_datum_t ticket;
  gint64 connect_timeout;
  gint64 sign_timeout;
  gint64 deadline; /* of the network's part */

  GwNames *names;
  GwNamesQuery *query;
  GList *addresses; /* of GInetAddress, those not tried yet */
  GError *failure;  /* why it will be closed */

  int net_fd;
  GwFdWatch *net;
  int plain_fd;
  GwFdWatch *plain;
  GwDelegate *delegate;

  GwStep step;
  GwTimer timer;

  GwMqttGuard guard;
  guint8 *down; /* octets that the plain side did not take yet */
  gsize down_len;
  gboolean up_blocked; /* GnuTLS holds a record that the network did not take */
  gboolean up_broken;  /* the network takes nothing any more; what it said last is still to be read */
};

static gpointer
copy_object (gconstpointer object, gpointer unused)
{
  return g_object_ref ((gpointer)object);
}

static void try_next_address (GwRelay *self);

/* ---- ends ---- */

static void
close_net (GwRelay *self)
{
  g_clear_pointer (&self->net, gw_fd_watch_free);
  if (self->net_fd >= 0)
    close (self->net_fd);
  self->net_fd = -1;
}

static void
close_plain (GwRelay *self)
{
  g_clear_pointer (&self->plain, gw_fd_watch_free);
  if (self->plain_fd >= 0)
    close (self->plain_fd);
  self->plain_fd = -1;
}

/* The relay's last act: the caller returns at once. Takes @why, which may be NULL. */
static void
finish (GwRelay *self, GError *why)
{
  g_autoptr (GError) reason = why;

  self->state = STATE_CLOSED;
  gw_timer_disarm (&self->timer);
  gw_step_cancel (&self->step);
  close_plain (self);
  close_net (self);
  self->events->closed (self, reason, self->data);
}

/* ---- resolve and connect ---- */

static void
on_name (GList *addresses, const GError *error, gpointer data)
{
  GwRelay *self = data;

  self->query = NULL;
  self->addresses = g_list_copy_deep (addresses, copy_object, NULL);
  if (!addresses)
    g_set_error (&self->failure, GW_ERROR, GW_ERROR_OFFLINE, "The name of broker %s cannot be resolved: %s",
                 self->host, error ? error->message : "no address");
  /* Connecting belongs to the loop's turn, whatever context brought the answer. */
  self->state = STATE_CONNECTING;
  gw_step_queue (&self->step);
}

static void
resolve (GwRelay *self)
{
  self->state = STATE_RESOLVING;
  self->query = gw_names_ask (self->names, self->host, &self->addresses, on_name, self);
  if (self->query)
    return;
  self->state = STATE_CONNECTING;
  try_next_address (self);
}

static void
start_handshake (GwRelay *self)
{
  g_resolver_free_addresses (g_steal_pointer (&self->addresses));
  g_clear_error (&self->failure);
  self->delegate
      = gw_delegate_new (self->creds, self->net_fd, self->host, self->trust, self->chain, &self->ticket);
  self->state = STATE_HANDSHAKE;
  gw_timer_arm (&self->timer, self->deadline - gw_loop_now (self->loop));
  gw_step_queue (&self->step);
}

static void
note_connect_failure (GwRelay *self, int code)
{
  g_clear_error (&self->failure);
  g_set_error (&self->failure, GW_ERROR, GW_ERROR_OFFLINE, "Broker %s port %u cannot be reached: %s",
               self->host, self->port, g_strerror (code));
}

static void
on_connect_event (guint32 events, gpointer data)
{
  GwRelay *self = data;
  int code = 0;
  socklen_t len = sizeof code;

  if (getsockopt (self->net_fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
    code = errno;
  if (code == 0)
    {
      g_clear_pointer (&self->net, gw_fd_watch_free);
      start_handshake (self);
      return;
    }
  note_connect_failure (self, code);
  close_net (self);
  try_next_address (self);
}

/* Returns 0 or an errno; EINPROGRESS is success. */
static int
connect_to (GwRelay *self, GInetAddress *address)
{
  g_autoptr (GSocketAddress) target = g_inet_socket_address_new (address, self->port);
  struct sockaddr_storage name;
  gssize len = g_socket_address_get_native_size (target);
  int one = 1;

  if (!g_socket_address_to_native (target, &name, sizeof name, NULL))
    return EAFNOSUPPORT;
  self->net_fd = socket (name.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
  if (self->net_fd < 0)
    return errno;
  /* Certificate and CertificateVerify leave in two segments; Nagle would hold the second for a round trip. */
  setsockopt (self->net_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect (self->net_fd, (struct sockaddr *)&name, (socklen_t)len) < 0 && errno != EINPROGRESS)
    return errno;
  self->net = gw_loop_watch (self->loop, self->net_fd, EPOLLOUT, on_connect_event, self);
  return self->net ? 0 : errno;
}

static void
try_next_address (GwRelay *self)
{
  while (self->addresses)
    {
      g_autoptr (GInetAddress) address = self->addresses->data;
      int code;

      self->addresses = g_list_delete_link (self->addresses, self->addresses);
      code = connect_to (self, address);
      if (code == 0)
        {
          gint64 left = self->deadline - gw_loop_now (self->loop);

          gw_timer_arm (&self->timer, self->addresses ? MIN (left, ADDRESS_TIMEOUT) : left);
          return;
        }
      note_connect_failure (self, code);
      close_net (self);
    }
  finish (self, g_steal_pointer (&self->failure));
}

/* ---- handshake ---- */

static void
on_handshake_event (guint32 events, gpointer data)
{
  GwRelay *self = data;

  if (self->state == STATE_SUSPENDED)
    {
      /* Only a hang-up is watched for. */
      finish (self, g_error_new (GW_ERROR, GW_ERROR_OFFLINE,
                                 "Broker %s hung up while the endpoint's signature was awaited", self->host));
      return;
    }
  gw_fd_watch_set_events (self->net, 0);
  gw_step_queue (&self->step);
}

static void
watch_handshake (GwRelay *self, guint32 events)
{
  if (self->net)
    gw_fd_watch_set_events (self->net, events);
  else
    self->net = gw_loop_watch (self->loop, self->net_fd, events, on_handshake_event, self);
}

static void
handshake_step (GwRelay *self)
{
  GError *error = NULL;

  switch (gw_delegate_handshake (self->delegate, &error))
    {
    case GW_DELEGATE_AGAIN:
      watch_handshake (self, gw_delegate_wants_write (self->delegate) ? EPOLLOUT : EPOLLIN);
      return;
    case GW_DELEGATE_SIGN:
      self->state = STATE_SUSPENDED;
      watch_handshake (self, EPOLLRDHUP);
      gw_timer_arm (&self->timer, self->sign_timeout);
      self->events->sign (self, gw_delegate_get_hash (self->delegate), GW_DELEGATE_HASH_LEN, self->data);
      return;
    case GW_DELEGATE_DONE:
      self->state = STATE_SECURED;
      gw_timer_disarm (&self->timer);
      g_clear_pointer (&self->net, gw_fd_watch_free);
      self->events->secured (self, self->data);
      return;
    case GW_DELEGATE_FAILED:
    default:
      finish (self, error);
      return;
    }
}

static void
on_step (gpointer data)
{
  GwRelay *self = data;

  if (self->state == STATE_IDLE)
    {
      self->deadline = gw_loop_now (self->loop) + self->connect_timeout;
      gw_timer_arm (&self->timer, self->connect_timeout);
      resolve (self);
    }
  else if (self->state == STATE_CONNECTING)
    try_next_address (self);
  else if (self->failure)
    finish (self, g_steal_pointer (&self->failure));
  else if (self->state == STATE_HANDSHAKE)
    handshake_step (self);
}

static void
on_timer (gpointer data)
{
  GwRelay *self = data;

  if (self->state == STATE_CONNECTING && self->addresses)
    {
      close_net (self);
      try_next_address (self);
      return;
    }
  if (self->state == STATE_SUSPENDED)
    finish (self,
            g_error_new (GW_ERROR, GW_ERROR_TIMEOUT,
                         "The endpoint did not sign for broker %s in time; check the line to the endpoint",
                         self->host));
  else
    finish (self, g_error_new (GW_ERROR, GW_ERROR_TIMEOUT, "Broker %s port %u does not answer (%s)",
                               self->host, self->port,
                               self->state == STATE_RESOLVING    ? "resolving its name"
                               : self->state == STATE_CONNECTING ? "connecting"
                                                                 : "TLS handshake"));
}

void
gw_relay_signed (GwRelay *self, const guint8 *sig, gsize sig_len, const GError *why)
{
  if (self->state != STATE_SUSPENDED || self->failure)
    return;
  if (!sig && why)
    g_set_error (&self->failure, GW_ERROR, GW_ERROR_FAILED, "The endpoint did not sign: %s", why->message);
  else if (!sig)
    g_set_error (&self->failure, GW_ERROR, GW_ERROR_FAILED, "The endpoint did not sign");
  else if (gw_delegate_set_signature (self->delegate, sig, sig_len, &self->failure))
    {
      self->state = STATE_HANDSHAKE;
      gw_timer_arm (&self->timer, self->connect_timeout); /* the network's time, anew */
      gw_fd_watch_set_events (self->net, 0);
    }
  gw_step_queue (&self->step);
}

/* ---- the pipe ---- */

static GError *
hung_up_error (GwRelay *self)
{
  return g_error_new (GW_ERROR, GW_ERROR_OFFLINE, "Broker %s closed the connection", self->host);
}

/* Writes what it can; keeps the rest and so stops the reading of the network. False: the plain side is gone.
 */
static gboolean
write_down (GwRelay *self, const guint8 *data, gsize len)
{
  gssize n = send (self->plain_fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

  if (n < 0)
    {
      if (errno != EAGAIN && errno != EINTR)
        return FALSE;
      n = 0;
    }
  if ((gsize)n < len)
    {
      guint8 *rest = g_memdup2 (data + n, len - (gsize)n);

      g_free (self->down);
      self->down = rest;
      self->down_len = len - (gsize)n;
    }
  else
    {
      g_clear_pointer (&self->down, g_free);
      self->down_len = 0;
    }
  return TRUE;
}

/* Network to plain. False: finished, touch nothing. */
static gboolean
pump_down (GwRelay *self)
{
  guint8 buffer[CHUNK];
  gnutls_session_t session = gw_delegate_get_session (self->delegate);

  for (guint i = 0; !self->down_len && (i < CHUNKS_PER_TURN || gnutls_record_check_pending (session)); i++)
    {
      gssize n = gnutls_record_recv (session, buffer, sizeof buffer);

      if (n == GNUTLS_E_AGAIN)
        break;
      if (n == GNUTLS_E_INTERRUPTED || n == GNUTLS_E_WARNING_ALERT_RECEIVED)
        continue;
      if (n <= 0)
        {
          GError *why = n == 0 ? hung_up_error (self) : NULL;

          if (n < 0)
            gw_delegate_set_error (self->delegate, (int)n, &why);
          finish (self, why);
          return FALSE;
        }
      if (!gw_mqtt_guard_feed (&self->guard, buffer, (gsize)n))
        {
          finish (self,
                  g_error_new (GW_ERROR, GW_ERROR_LIMIT,
                               "Broker %s sent what is no MQTT packet for a client, or one of over %u octets",
                               self->host, self->guard.max));
          return FALSE;
        }
      if (!write_down (self, buffer, (gsize)n))
        {
          finish (self, NULL);
          return FALSE;
        }
    }
  return TRUE;
}

/* The plain side has closed and all is sent: say goodbye without waiting for an answer. */
static void
say_goodbye (GwRelay *self)
{
  guint8 buffer[CHUNK];

  gnutls_bye (gw_delegate_get_session (self->delegate), GNUTLS_SHUT_WR);
  /* Closing with octets unread makes TCP reset the connection, and the broker may lose our DISCONNECT to it.
   */
  for (guint i = 0; i < CHUNKS_PER_TURN && recv (self->net_fd, buffer, sizeof buffer, MSG_DONTWAIT) > 0;)
    i++;
  finish (self, NULL);
}

/* Plain to network. False: finished, touch nothing. */
static gboolean
pump_up (GwRelay *self)
{
  guint8 buffer[CHUNK];
  gnutls_session_t session = gw_delegate_get_session (self->delegate);

  for (guint i = 0; i < CHUNKS_PER_TURN; i++)
    {
      gssize n = 0, sent;

      /* With a record stuck, GnuTLS wants to be called again without data. */
      if (!self->up_blocked)
        {
          n = recv (self->plain_fd, buffer, sizeof buffer, MSG_DONTWAIT);
          if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return TRUE;
          if (n <= 0)
            {
              say_goodbye (self);
              return FALSE;
            }
        }
      sent = gnutls_record_send (session, self->up_blocked ? NULL : buffer, (gsize)n);
      self->up_blocked = sent == GNUTLS_E_AGAIN || sent == GNUTLS_E_INTERRUPTED;
      if (self->up_blocked)
        return TRUE;
      if (sent < 0)
        {
          GError *why = NULL;

          /* The broker's last words (an alert, a CONNACK that refuses) may be there to be read, and then the
           * end. */
          if (sent == GNUTLS_E_PUSH_ERROR)
            {
              self->up_broken = TRUE;
              return TRUE;
            }
          gw_delegate_set_error (self->delegate, (int)sent, &why);
          finish (self, why);
          return FALSE;
        }
    }
  return TRUE;
}

static void
update_events (GwRelay *self)
{
  if (self->net)
    gw_fd_watch_set_events (self->net, (self->down_len ? 0 : EPOLLIN) | (self->up_blocked ? EPOLLOUT : 0));
  if (self->plain)
    gw_fd_watch_set_events (self->plain, (self->up_blocked || self->up_broken ? 0 : EPOLLIN)
                                             | (self->down_len ? EPOLLOUT : 0));
}

static void
on_net_event (guint32 events, gpointer data)
{
  GwRelay *self = data;

  if (self->up_blocked && events & (EPOLLOUT | EPOLLERR | EPOLLHUP) && !pump_up (self))
    return;
  if (events & (EPOLLIN | EPOLLERR | EPOLLHUP) && !pump_down (self))
    return;
  update_events (self);
}

static void
on_plain_event (guint32 events, gpointer data)
{
  GwRelay *self = data;

  if (self->down_len && events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
    {
      g_autofree guint8 *rest = g_steal_pointer (&self->down);

      if (!write_down (self, rest, self->down_len))
        {
          finish (self, NULL);
          return;
        }
    }
  if (events & (EPOLLIN | EPOLLERR | EPOLLHUP) && !self->up_blocked && !self->up_broken && !pump_up (self))
    return;
  update_events (self);
}

void
gw_relay_attach (GwRelay *self, int fd)
{
  g_return_if_fail (self->state == STATE_SECURED);

  self->plain_fd = fd;
  self->state = STATE_OPEN;
  self->plain = gw_loop_watch (self->loop, fd, EPOLLIN, on_plain_event, self);
  self->net = gw_loop_watch (self->loop, self->net_fd, EPOLLIN, on_net_event, self);
  if (!self->plain || !self->net)
    {
      g_set_error (&self->failure, GW_ERROR, GW_ERROR_FAILED, "Cannot watch sockets: %s", g_strerror (errno));
      gw_step_queue (&self->step);
    }
}

/* ---- object ---- */

GwRelay *
gw_relay_new (GwLoop *loop, const GwRelayConfig *config, const GwRelayEvents *events, gpointer data)
{
  GwRelay *self = g_new0 (GwRelay, 1);

  self->loop = loop;
  self->events = events;
  self->data = data;
  self->host = g_strdup (config->host);
  self->port = config->port;
  self->creds = config->creds;
  self->names = config->names;
  self->trust = gw_trust_ref (config->trust);
  self->chain = gw_delegate_chain_ref (config->chain);
  if (config->ticket)
    {
      self->ticket.data = g_memdup2 (config->ticket->data, config->ticket->size);
      self->ticket.size = config->ticket->size;
    }
  self->connect_timeout = config->connect_timeout;
  self->sign_timeout = config->sign_timeout;
  self->net_fd = -1;
  self->plain_fd = -1;
  gw_mqtt_guard_init (&self->guard, config->max_packet, config->mqtt5);
  gw_step_init (&self->step, loop, on_step, self);
  gw_timer_init (&self->timer, loop, on_timer, self);
  return self;
}

void
gw_relay_start (GwRelay *self)
{
  gw_step_queue (&self->step);
}

void
gw_relay_free (GwRelay *self)
{
  if (!self)
    return;
  if (self->query)
    gw_names_cancel (self->query);
  gw_step_cancel (&self->step);
  gw_timer_disarm (&self->timer);
  close_plain (self);
  close_net (self);
  gw_delegate_free (self->delegate);
  g_resolver_free_addresses (self->addresses);
  g_clear_error (&self->failure);
  if (self->ticket.data)
    explicit_bzero (self->ticket.data, self->ticket.size);
  g_free (self->ticket.data);
  gw_trust_unref (self->trust);
  gw_delegate_chain_unref (self->chain);
  g_free (self->down);
  g_free (self->host);
  g_free (self);
}

gboolean
gw_relay_get_ticket (GwRelay *self, gnutls_datum_t *ticket)
{
  return self->delegate && gw_delegate_get_ticket (self->delegate, ticket);
}
