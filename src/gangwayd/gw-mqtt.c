// SPDX-License-Identifier: LGPL-2.1-or-later
/* See the header. Ownership: GwMqtt owns its struct mosquitto. libmosquitto calls back from inside its own
 * functions, where destroying it would be fatal; every call into it therefore stands between enter () and
 * leave (), and a free in between is carried out by leave (). */
#include "gw-mqtt.h"
#include "gw-error.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Messages that a broker may have under way to one of us (MQTT 5 receive maximum). */
#define RECEIVE_WINDOW 16
/* loop_read handles a packet a call; for pumping dry a connection that ended. */
#define PUMP_MAX 64
#define TAME_TRIES 3
/* Of the AF_UNIX pair to the relay: bounds what a client can hold in the kernel when a side is slow. */
#define PIPE_SNDBUF (32 * 1024)

struct GwMqttPort
{
  char *dir;
  char *path;
  int fd;
};

struct GwMqtt
{
  GwLoop *loop;
  struct mosquitto *mosq;
  const GwMqttEvents *events;
  gpointer data;
  GwMqttVersion version;
  GwFdWatch *watch;
  GwTimer misc;
  gint64 misc_period;
  guint depth;        /* inside libmosquitto */
  gboolean dead;      /* freed by its owner */
  gboolean connected; /* CONNACK seen */
  gboolean closed;    /* on_disconnect seen */
  gboolean told;      /* the broker said why */
  gboolean reported;  /* closed was delivered */
  gboolean leaving;   /* gw_mqtt_disconnect was called */
  GError *why;
};

static guint n_untamed;

/* ---- the listener ---- */

GwMqttPort *
gw_mqtt_port_new (const char *runtime_dir, GError **error)
{
  g_autoptr (GwMqttPort) self = g_new0 (GwMqttPort, 1);
  struct sockaddr_un name = { .sun_family = AF_UNIX };

  mosquitto_lib_init ();
  self->fd = -1;
  self->dir
      = g_build_filename (runtime_dir ? runtime_dir : g_get_user_runtime_dir (), "gangway-XXXXXX", NULL);
  if (!g_mkdtemp_full (self->dir, 0700))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_FAILED, "Cannot make the folder %s: %s", self->dir,
                   g_strerror (errno));
      g_clear_pointer (&self->dir, g_free);
      return NULL;
    }
  self->path = g_build_filename (self->dir, "mqtt", NULL);
  if (strlen (self->path) >= sizeof name.sun_path)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_FAILED,
                   "The path %s is too long for a socket; choose a shorter runtime folder", self->path);
      return NULL;
    }
  strcpy (name.sun_path, self->path);
  self->fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (self->fd < 0 || bind (self->fd, (struct sockaddr *)&name, sizeof name) < 0 || listen (self->fd, 16) < 0)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_FAILED, "Cannot listen on %s: %s", self->path,
                   g_strerror (errno));
      return NULL;
    }
  return g_steal_pointer (&self);
}

void
gw_mqtt_port_free (GwMqttPort *self)
{
  if (!self)
    return;
  if (self->fd >= 0)
    close (self->fd);
  if (self->path)
    g_unlink (self->path);
  if (self->dir)
    g_rmdir (self->dir);
  g_free (self->path);
  g_free (self->dir);
  g_free (self);
}

/* The connection just made stands in the queue, behind whatever a stranger with our uid may have put there.
 */
static int
port_accept (GwMqttPort *self)
{
  for (;;)
    {
      int fd = accept4 (self->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
      struct ucred peer = { 0 };
      socklen_t len = sizeof peer;

      if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
        return -1;
      if (fd < 0)
        continue;
      if (getsockopt (fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.pid == getpid ())
        return fd;
      close (fd);
    }
}

/* ---- the socketpair inside libmosquitto 2.0 ---- */

#if LIBMOSQUITTO_VERSION_NUMBER < 2001000

/* One end of a fresh, unnamed, connected AF_UNIX stream pair of this process: nothing else passes. */
static gboolean
is_end_of_fresh_pair (int fd)
{
  struct sockaddr_un name;
  struct ucred peer = { 0 };
  int domain = 0, type = 0, waiting = -1;
  socklen_t len = sizeof domain;

  if (getsockopt (fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 || domain != AF_UNIX)
    return FALSE;
  len = sizeof type;
  if (getsockopt (fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM)
    return FALSE;
  len = sizeof name;
  if (getsockname (fd, (struct sockaddr *)&name, &len) < 0 || len != sizeof (sa_family_t))
    return FALSE;
  len = sizeof name;
  if (getpeername (fd, (struct sockaddr *)&name, &len) < 0 || len != sizeof (sa_family_t))
    return FALSE;
  len = sizeof peer;
  if (getsockopt (fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.pid != getpid ())
    return FALSE;
  return ioctl (fd, FIONREAD, &waiting) == 0 && waiting == 0;
}

/* Makes a client and shrinks its socketpair's send buffers to the kernel's minimum: a few octets later a
 * write fails with EAGAIN, which libmosquitto ignores. The pair takes the two lowest free descriptors, unless
 * another thread opens one at the same moment: then the check fails, nothing is touched and the client is
 * made anew. */
static struct mosquitto *
new_tamed_client (GwMqttPort *port, const char *client_id, gpointer data)
{
  const int least = 1;

  for (guint try = 1;; try++)
    {
      int a = fcntl (port->fd, F_DUPFD_CLOEXEC, 0), b = fcntl (port->fd, F_DUPFD_CLOEXEC, 0);
      struct mosquitto *mosq;

      if (a >= 0)
        close (a);
      if (b >= 0)
        close (b);
      mosq = mosquitto_new (client_id, true, data);
      if (!mosq)
        return NULL;
      if (is_end_of_fresh_pair (a) && is_end_of_fresh_pair (b)
          && setsockopt (a, SOL_SOCKET, SO_SNDBUF, &least, sizeof least) == 0
          && setsockopt (b, SOL_SOCKET, SO_SNDBUF, &least, sizeof least) == 0)
        return mosq;
      if (try == TAME_TRIES)
        {
          n_untamed++;
          return mosq;
        }
      mosquitto_destroy (mosq);
    }
}

#else

static struct mosquitto *
new_tamed_client (GwMqttPort *port, const char *client_id, gpointer data)
{
  struct mosquitto *mosq = mosquitto_new (client_id, true, data);

  if (mosq && mosquitto_int_option (mosq, MOSQ_OPT_DISABLE_SOCKETPAIR, 1) != MOSQ_ERR_SUCCESS)
    n_untamed++;
  return mosq;
}

#endif

guint
gw_mqtt_n_untamed (void)
{
  return n_untamed;
}

/* ---- in and out of libmosquitto ---- */

static void
destroy (GwMqtt *self)
{
  g_clear_pointer (&self->watch, gw_fd_watch_free);
  gw_timer_disarm (&self->misc);
  if (self->mosq)
    mosquitto_destroy (self->mosq);
  g_clear_error (&self->why);
  g_free (self);
}

static void
enter (GwMqtt *self)
{
  self->depth++;
}

/* The counterpart, last in its function: @self may be gone after it. */
static void
leave (GwMqtt *self)
{
  if (--self->depth)
    return;
  if (self->dead)
    {
      destroy (self);
      return;
    }
  if (self->watch)
    gw_fd_watch_set_events (self->watch, EPOLLIN | (mosquitto_want_write (self->mosq) ? EPOLLOUT : 0));
  /* A close found in a call of the owner's is told by the timer, from the loop. */
  if (self->closed && !self->reported)
    gw_timer_arm (&self->misc, 0);
}

static void
report_closed (GwMqtt *self)
{
  if (!self->closed || self->reported)
    return;
  self->reported = TRUE;
  self->events->closed (self, self->leaving ? NULL : self->why, self->told, self->data);
}

/* For leaving in a call from the loop. */
static void
leave_and_report (GwMqtt *self)
{
  if (self->closed && !self->dead && self->depth == 1)
    report_closed (self);
  leave (self);
}

static void
on_socket (guint32 events, gpointer data)
{
  GwMqtt *self = data;

  enter (self);
  if (events & EPOLLOUT)
    mosquitto_loop_write (self->mosq, 1);
  if (!self->dead && !self->closed && events & (EPOLLIN | EPOLLERR | EPOLLHUP))
    mosquitto_loop_read (self->mosq, 1);
  /* What the callbacks published stands in the queue. */
  if (!self->dead && !self->closed && mosquitto_want_write (self->mosq))
    mosquitto_loop_write (self->mosq, 1);
  leave_and_report (self);
}

static void
on_misc (gpointer data)
{
  GwMqtt *self = data;

  enter (self);
  if (!self->closed)
    {
      gw_timer_arm (&self->misc, self->misc_period);
      mosquitto_loop_misc (self->mosq);
    }
  leave_and_report (self);
}

/* ---- libmosquitto's callbacks ---- */

static const char *
describe_reason (GwMqtt *self, int reason)
{
  return self->version == GW_MQTT_5 ? mosquitto_reason_string (reason) : mosquitto_connack_string (reason);
}

static void
on_connect (struct mosquitto *mosq, void *data, int reason, int flags, const mosquitto_property *props)
{
  GwMqtt *self = data;

  if (self->dead)
    return;
  if (reason)
    {
      self->told = TRUE;
      g_clear_error (&self->why);
      g_set_error (&self->why, GW_ERROR, GW_ERROR_NOT_AUTHORIZED,
                   "The broker refuses the MQTT connection: %s", describe_reason (self, reason));
      return;
    }
  self->connected = TRUE;
  self->events->connected (self, self->data);
}

static void
on_disconnect (struct mosquitto *mosq, void *data, int reason, const mosquitto_property *props)
{
  GwMqtt *self = data;

  /* The socket is closed already and its number may be another's soon. */
  g_clear_pointer (&self->watch, gw_fd_watch_free);
  self->closed = TRUE;
  if (self->why || self->leaving)
    return;
  if (reason >= 0x80)
    {
      self->told = TRUE;
      g_set_error (&self->why, GW_ERROR, GW_ERROR_OFFLINE, "The broker ended the MQTT connection: %s",
                   mosquitto_reason_string (reason));
    }
  else
    g_set_error (&self->why, GW_ERROR, GW_ERROR_OFFLINE, "The MQTT connection ended: %s",
                 reason ? mosquitto_strerror (reason) : "closed by the broker");
}

static void
on_publish (struct mosquitto *mosq, void *data, int mid, int reason, const mosquitto_property *props)
{
  GwMqtt *self = data;

  if (!self->dead)
    self->events->published (self, mid, reason, self->data);
}

static void
on_subscribe (struct mosquitto *mosq, void *data, int mid, int n, const int *granted)
{
  GwMqtt *self = data;
  gboolean all = n > 0;

  for (int i = 0; i < n; i++)
    all = all && granted[i] >= 0 && granted[i] < 0x80;
  if (!self->dead)
    self->events->subscribed (self, all, self->data);
}

static gboolean
topic_is_sound (const char *topic)
{
  gsize len = topic ? strlen (topic) : 0;

  return len && mosquitto_pub_topic_check (topic) == MOSQ_ERR_SUCCESS
         && mosquitto_validate_utf8 (topic, (int)len) == MOSQ_ERR_SUCCESS;
}

static void
on_message (struct mosquitto *mosq,
            void *data,
            const struct mosquitto_message *from,
            const mosquitto_property *props)
{
  GwMqtt *self = data;
  GwMqttMessage message = {
    .topic = from->topic,
    .payload = from->payload ? from->payload : (const guint8 *)"",
    .payload_len = (gsize)from->payloadlen,
    .retained = from->retain,
  };
  char *response = NULL, *type = NULL;
  void *correlation = NULL;
  guint16 correlation_len = 0;

  if (self->dead || !topic_is_sound (from->topic))
    return;
  mosquitto_property_read_string (props, MQTT_PROP_RESPONSE_TOPIC, &response, false);
  mosquitto_property_read_string (props, MQTT_PROP_CONTENT_TYPE, &type, false);
  mosquitto_property_read_binary (props, MQTT_PROP_CORRELATION_DATA, &correlation, &correlation_len, false);
  message.response_topic = topic_is_sound (response) ? response : NULL;
  message.content_type = type && g_utf8_validate (type, -1, NULL) ? type : NULL;
  message.correlation = correlation;
  message.correlation_len = correlation_len;
  self->events->message (self, &message, self->data);
  free (response);
  free (type);
  free (correlation);
}

/* ---- object ---- */

static gboolean
set_up_client (GwMqtt *self, const GwMqttConfig *config, GError **error)
{
  int rc = MOSQ_ERR_SUCCESS;

  mosquitto_connect_v5_callback_set (self->mosq, on_connect);
  mosquitto_disconnect_v5_callback_set (self->mosq, on_disconnect);
  mosquitto_publish_v5_callback_set (self->mosq, on_publish);
  mosquitto_subscribe_callback_set (self->mosq, on_subscribe);
  mosquitto_message_v5_callback_set (self->mosq, on_message);
  mosquitto_int_option (self->mosq, MOSQ_OPT_PROTOCOL_VERSION,
                        config->version == GW_MQTT_5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311);
  mosquitto_int_option (self->mosq, MOSQ_OPT_SEND_MAXIMUM, config->send_window);
  mosquitto_int_option (self->mosq, MOSQ_OPT_RECEIVE_MAXIMUM, RECEIVE_WINDOW);
  if (config->will_topic)
    rc = mosquitto_will_set (self->mosq, config->will_topic, (int)config->will_len, config->will_payload, 1,
                             config->will_retain != FALSE);
  if (rc == MOSQ_ERR_SUCCESS)
    return TRUE;
  g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "MQTT does not take the last will: %s",
               mosquitto_strerror (rc));
  return FALSE;
}

static gboolean
connect_client (GwMqtt *self, GwMqttPort *port, const GwMqttConfig *config, int *peer_fd, GError **error)
{
  mosquitto_property *props = NULL;
  const int size = PIPE_SNDBUF;
  int rc;

  if (config->version == GW_MQTT_5 && config->max_packet)
    mosquitto_property_add_int32 (&props, MQTT_PROP_MAXIMUM_PACKET_SIZE, config->max_packet);
  errno = 0;
  enter (self);
  rc = mosquitto_connect_bind_v5 (self->mosq, port->path, 0, config->keepalive, NULL, props);
  self->depth--;
  mosquitto_property_free_all (&props);
  if (rc != MOSQ_ERR_SUCCESS)
    {
      g_set_error (error, GW_ERROR,
                   rc == MOSQ_ERR_INVAL || rc == MOSQ_ERR_MALFORMED_UTF8 ? GW_ERROR_INVALID : GW_ERROR_FAILED,
                   "libmosquitto does not connect: %s",
                   rc == MOSQ_ERR_ERRNO ? g_strerror (errno) : mosquitto_strerror (rc));
      return FALSE;
    }
  *peer_fd = port_accept (port);
  if (*peer_fd < 0)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_FAILED, "Cannot accept libmosquitto's connection: %s",
                   g_strerror (errno));
      return FALSE;
    }
  setsockopt (*peer_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  setsockopt (mosquitto_socket (self->mosq), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  self->watch = gw_loop_watch (self->loop, mosquitto_socket (self->mosq), EPOLLIN, on_socket, self);
  if (self->watch)
    return TRUE;
  g_set_error (error, GW_ERROR, GW_ERROR_FAILED, "Cannot watch a socket: %s", g_strerror (errno));
  close (*peer_fd);
  return FALSE;
}

GwMqtt *
gw_mqtt_new (GwLoop *loop,
             GwMqttPort *port,
             const GwMqttConfig *config,
             const GwMqttEvents *events,
             gpointer data,
             int *peer_fd,
             GError **error)
{
  g_autoptr (GwMqtt) self = g_new0 (GwMqtt, 1);

  self->loop = loop;
  self->events = events;
  self->data = data;
  self->version = config->version;
  self->misc_period = CLAMP ((gint64)config->keepalive * G_USEC_PER_SEC / 4, G_USEC_PER_SEC, 10 * G_USEC_PER_SEC);
  gw_timer_init (&self->misc, loop, on_misc, self);
  self->mosq = new_tamed_client (port, config->client_id, self);
  if (!self->mosq)
    {
      g_set_error (error, GW_ERROR, errno == EINVAL ? GW_ERROR_INVALID : GW_ERROR_FAILED,
                   "libmosquitto makes no client: %s", g_strerror (errno));
      return NULL;
    }
  if (!set_up_client (self, config, error) || !connect_client (self, port, config, peer_fd, error))
    return NULL;
  gw_timer_arm (&self->misc, self->misc_period);
  return g_steal_pointer (&self);
}

void
gw_mqtt_free (GwMqtt *self)
{
  if (!self)
    return;
  self->dead = TRUE;
  if (!self->depth)
    destroy (self);
}

static gboolean
check (int rc, const char *what, GError **error)
{
  GwError code = GW_ERROR_INVALID;

  if (rc == MOSQ_ERR_SUCCESS)
    return TRUE;
  if (rc == MOSQ_ERR_NO_CONN || rc == MOSQ_ERR_CONN_LOST || rc == MOSQ_ERR_ERRNO)
    code = GW_ERROR_BAD_STATE;
  else if (rc == MOSQ_ERR_NOMEM)
    code = GW_ERROR_LIMIT;
  g_set_error (error, GW_ERROR, code, "MQTT does not %s: %s", what, mosquitto_strerror (rc));
  return FALSE;
}

gboolean
gw_mqtt_subscribe (GwMqtt *self, const char *const *filters, GError **error)
{
  int rc;

  enter (self);
  rc = mosquitto_subscribe_multiple (self->mosq, NULL, (int)g_strv_length ((char **)filters),
                                     (char *const *const)filters, 1, 0, NULL);
  leave (self);
  return check (rc, "subscribe", error);
}

static int
build_props (const GwMqttProps *from, mosquitto_property **props)
{
  int rc = MOSQ_ERR_SUCCESS;

  if (from->content_type)
    rc = mosquitto_property_add_string (props, MQTT_PROP_CONTENT_TYPE, from->content_type);
  if (rc == MOSQ_ERR_SUCCESS && from->response_topic)
    rc = mosquitto_property_add_string (props, MQTT_PROP_RESPONSE_TOPIC, from->response_topic);
  if (rc == MOSQ_ERR_SUCCESS && from->correlation_len > G_MAXUINT16)
    rc = MOSQ_ERR_INVAL;
  if (rc == MOSQ_ERR_SUCCESS && from->correlation_len)
    rc = mosquitto_property_add_binary (props, MQTT_PROP_CORRELATION_DATA, from->correlation,
                                        (guint16)from->correlation_len);
  if (rc == MOSQ_ERR_SUCCESS && from->message_expiry)
    rc = mosquitto_property_add_int32 (props, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, from->message_expiry);
  for (gsize i = 0; rc == MOSQ_ERR_SUCCESS && i < from->n_user; i++)
    rc = mosquitto_property_add_string_pair (props, MQTT_PROP_USER_PROPERTY, from->user[i].name,
                                             from->user[i].value);
  return rc;
}

gboolean
gw_mqtt_publish (GwMqtt *self,
                 const char *topic,
                 const guint8 *payload,
                 gsize payload_len,
                 int qos,
                 gboolean retain,
                 const GwMqttProps *props,
                 int *mid,
                 GError **error)
{
  mosquitto_property *built = NULL;
  int rc = MOSQ_ERR_SUCCESS;

  if (payload_len > G_MAXINT32)
    rc = MOSQ_ERR_PAYLOAD_SIZE;
  if (rc == MOSQ_ERR_SUCCESS && props && self->version == GW_MQTT_5)
    rc = build_props (props, &built);
  enter (self);
  if (rc == MOSQ_ERR_SUCCESS)
    rc = mosquitto_publish_v5 (self->mosq, mid, topic, (int)payload_len, payload, qos, retain != FALSE,
                               built);
  mosquitto_property_free_all (&built);
  leave (self);
  return check (rc, "publish", error);
}

const char *
gw_mqtt_reason_text (int reason)
{
  return mosquitto_reason_string (reason);
}

gboolean
gw_mqtt_is_congested (GwMqtt *self)
{
  return mosquitto_want_write (self->mosq);
}

void
gw_mqtt_disconnect (GwMqtt *self)
{
  self->leaving = TRUE;
  enter (self);
  if (!self->closed)
    mosquitto_disconnect_v5 (self->mosq, MQTT_RC_NORMAL_DISCONNECTION, NULL);
  leave (self);
}

void
gw_mqtt_pump (GwMqtt *self)
{
  enter (self);
  for (guint i = 0; i < PUMP_MAX && !self->dead && !self->closed; i++)
    {
      errno = 0;
      if (mosquitto_loop_read (self->mosq, 1) != MOSQ_ERR_SUCCESS)
        break;
    }
  leave_and_report (self);
}
