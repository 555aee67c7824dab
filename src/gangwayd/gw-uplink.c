// SPDX-License-Identifier: LGPL-2.1-or-later
/* The life of one endpoint's connection: when to try, when to wait, what to tell the owner.
 *
 * Ownership: the hub owns the port, the shared credentials and the anchors; an uplink owns its relay, its
 * libmosquitto client and its ticket, all of one attempt, and throws them away together (end_attempt). Events
 * may free the uplink: whoever emits one and goes on afterwards holds a reference and asks `dead`.
 *
 * Calls of the owner change state at once, but are answered by events from the loop only (the step `tell`).
 */
#include "gw-uplink.h"
#include "gw-error.h"
#include "gw-place.h"
#include "gw-relay.h"

#include <string.h>

#define DEFAULT_KEEPALIVE 60
#define MAX_CLIENT_ID 64
#define REASON_REFUSED 0x80 /* MQTT 5.0, 2.4: reason codes from here on are errors */
#define REASON_PACKET_TOO_LARGE 0x95
#define REASON_PAYLOAD_INVALID 0x99

struct GwUplinkHub
{
  GwLoop *loop;
  GwMqttPort *port;
  GwDelegateCreds *creds;
  GwNames *names;
  GwTrustCache *anchors;
  guint32 last_serial;
  GwPlaces handshakes;
  guint n_uplinks;
};

typedef struct
{
  int mid; /* 0 = free */
  guint64 cookie;
} Flight;

struct GwUplink
{
  gint refs;
  gboolean dead;
  GwUplinkHub *hub;
  const GwUplinkEvents *events;
  gpointer data;

  char *host;
  guint16 port;
  char *anchors;
  char *client_id;
  GwUplinkMqttVersion mqtt_version;
  guint16 keepalive;
  char *will_topic;
  GBytes *will;
  gboolean will_retain;
  char **subscriptions;
  GwDelegateChain *chain;

  GwUplinkState state;
  GwUplinkState told; /* the last one the owner heard of */
  GError *why;        /* to be told with the state */
  char *reason;
  gboolean draining;
  gboolean stopping; /* DISCONNECT is on its way out */
  guint failures;    /* in a row */
  gint64 online_since;
  gint64 next_attempt;
  GwTimer timer; /* backoff, CONNACK or stop, by state */
  GwStep tell;

  GwPlace place; /* among the handshakes */
  guint32 serial; /* of this attempt */
  GwRelay *relay;
  GwMqtt *mqtt;
  GError *relay_why;                    /* the relay ended; what libmosquitto still reads may know better */
  GwTrust *trust;                       /* the ticket is bound to it */
  const GwDelegateChain *attempt_chain; /* for comparison: the ticket is bound to the chain too */
  gnutls_datum_t ticket;

  Flight *flights; /* GW_UPLINK_WINDOW while online */
  guint n_flights;
  gboolean wants_room;
};

static void try_now (GwUplink *self);
static const GwRelayEvents relay_events;
static const GwMqttEvents mqtt_events;

/* ---- references, states and telling ---- */

static GwUplink *
hold (GwUplink *self)
{
  self->refs++;
  return self;
}

static void
release (GwUplink *self)
{
  if (--self->refs)
    return;
  g_free (self->host);
  g_free (self->anchors);
  g_free (self->client_id);
  g_free (self->will_topic);
  g_clear_pointer (&self->will, g_bytes_unref);
  g_strfreev (self->subscriptions);
  g_clear_pointer (&self->chain, gw_delegate_chain_unref);
  g_clear_error (&self->why);
  g_free (self->reason);
  g_free (self);
}

/* The owner hears of a state once and in order; false: it freed the uplink on hearing. Callers hold a
 * reference. */
static gboolean
tell_state (GwUplink *self)
{
  g_autoptr (GError) why = NULL;

  gw_step_cancel (&self->tell);
  if (self->told == self->state)
    return !self->dead;
  self->told = self->state;
  why = g_steal_pointer (&self->why);
  if (self->events->state)
    self->events->state (self, self->state, why, self->data);
  return !self->dead;
}

static void
on_tell (gpointer data)
{
  GwUplink *self = hold (data);

  tell_state (self);
  release (self);
}

/* Does not tell: from the loop call tell_state after it, from the owner's calls queue `tell`. */
static void
set_state (GwUplink *self, GwUplinkState state, const GError *why)
{
  self->state = state;
  g_clear_error (&self->why);
  g_clear_pointer (&self->reason, g_free);
  if (why)
    {
      self->why = g_error_copy (why);
      self->reason = g_strdup (why->message);
    }
}

static void
forget_ticket (GwUplink *self)
{
  if (self->ticket.data)
    {
      explicit_bzero (self->ticket.data, self->ticket.size);
      gnutls_free (self->ticket.data);
    }
  self->ticket = (gnutls_datum_t){ 0 };
}

/* ---- attempts ---- */

/* Everything of the attempt goes; a ticket it has earned stays unless the endpoint is leaving. */
static void
end_attempt (GwUplink *self)
{
  gnutls_datum_t ticket = { 0 };

  gw_timer_disarm (&self->timer);
  if (self->relay && !self->draining && self->chain == self->attempt_chain
      && gw_relay_get_ticket (self->relay, &ticket))
    {
      forget_ticket (self);
      self->ticket = ticket;
    }
  /* First the pointers, then the objects: freeing calls nobody back, but gw_place_leave starts
   * another's attempt. */
  g_clear_pointer (&self->mqtt, gw_mqtt_free);
  g_clear_pointer (&self->relay, gw_relay_free);
  g_clear_error (&self->relay_why);
  g_clear_pointer (&self->flights, g_free);
  self->n_flights = 0;
  self->wants_room = FALSE;
  self->stopping = FALSE;
  self->next_attempt = 0;
  gw_place_leave (&self->place);
}

/* The n-th wait: drawn from the upper half of min (MAX, MIN * 2^n), so that a broker's restart does not bring
 * all at once. */
static gint64
backoff (guint failures)
{
  gint64 full = GW_UPLINK_BACKOFF_MAX;

  if (failures < 16)
    full = MIN (full, (gint64)GW_UPLINK_BACKOFF_MIN << failures);
  return (gint64)((double)full * g_random_double_range (0.5, 1.0));
}

/* From the loop. The uplink may be gone afterwards. */
static void
fail_attempt (GwUplink *self, const GError *why)
{
  g_autoptr (GError) copy = g_error_copy (why);
  gboolean was_stable = self->state == GW_UPLINK_ONLINE
                        && gw_loop_now (self->hub->loop) - self->online_since >= GW_UPLINK_STABLE_AFTER;
  gboolean stopping = self->stopping;

  hold (self);
  end_attempt (self);
  if (stopping)
    set_state (self, GW_UPLINK_STOPPED, NULL);
  else if (self->draining)
    set_state (self, GW_UPLINK_STOPPED, copy);
  else
    {
      gint64 wait = backoff (was_stable ? 0 : self->failures);

      self->failures = was_stable ? 1 : self->failures + 1;
      self->next_attempt = gw_loop_now (self->hub->loop) + wait;
      gw_timer_arm (&self->timer, wait);
      set_state (self, GW_UPLINK_BACKOFF, copy);
    }
  tell_state (self);
  release (self);
}

static void
on_timer (gpointer data)
{
  GwUplink *self = data;
  g_autoptr (GError) why = NULL;

  if (self->state == GW_UPLINK_BACKOFF)
    {
      hold (self);
      try_now (self);
      tell_state (self);
      release (self);
      return;
    }
  if (self->state == GW_UPLINK_CONNECTING && !self->relay)
    {
      /* start_relay found that it cannot: told from here, because it may run in a call of the owner's. */
      why = g_steal_pointer (&self->relay_why);
      fail_attempt (self, why);
      return;
    }
  g_set_error (&why, GW_ERROR, GW_ERROR_TIMEOUT, "Broker %s does not answer to MQTT", self->host);
  fail_attempt (self, why);
}

static void
start_relay (gpointer data)
{
  GwUplink *self = data;
  GwUplinkHub *hub = self->hub;
  g_autoptr (GwTrust) trust = NULL;
  GwRelayConfig config = {
    .host = self->host,
    .port = self->port,
    .creds = hub->creds,
    .names = hub->names,
    .chain = self->chain,
    .connect_timeout = GW_UPLINK_CONNECT_TIMEOUT,
    .sign_timeout = GW_UPLINK_SIGN_TIMEOUT,
    .max_packet = GW_UPLINK_MAX_PACKET,
    .mqtt5 = self->mqtt_version == GW_UPLINK_MQTT_5,
  };

  trust = gw_trust_cache_get (hub->anchors, self->anchors, &self->relay_why);
  if (!trust)
    {
      gw_timer_arm (&self->timer, 0);
      return;
    }
  /* A ticket lets the broker's certificate go unseen: only under the anchors that have judged it. */
  if (trust != self->trust)
    forget_ticket (self);
  g_clear_pointer (&self->trust, gw_trust_unref);
  self->trust = gw_trust_ref (trust);
  config.trust = trust;
  config.ticket = self->ticket.data ? &self->ticket : NULL;

  if (++hub->last_serial == 0)
    hub->last_serial = 1;
  self->serial = hub->last_serial;
  self->attempt_chain = self->chain;
  self->relay = gw_relay_new (hub->loop, &config, &relay_events, self);
  forget_ticket (self); /* good for one try */
  gw_relay_start (self->relay);
}

static void
try_now (GwUplink *self)
{
  self->next_attempt = 0;
  gw_timer_disarm (&self->timer);
  set_state (self, GW_UPLINK_CONNECTING, NULL);
  gw_place_take (&self->place);
}

/* ---- the relay's events ---- */

static void
on_sign (GwRelay *relay, const guint8 *th, gsize th_len, gpointer data)
{
  GwUplink *self = hold (data);
  guint32 serial = self->serial;

  /* The owner may begin another attempt on hearing of the state; the serial tells. */
  set_state (self, GW_UPLINK_SIGNING, NULL);
  if (tell_state (self) && self->state == GW_UPLINK_SIGNING && self->serial == serial && self->events->sign)
    self->events->sign (self, self->serial, th, th_len, self->data);
  release (self);
}

/* TLS stands; only now is there a libmosquitto client at all. */
static void
on_secured (GwRelay *relay, gpointer data)
{
  GwUplink *self = data;
  g_autoptr (GError) error = NULL;
  int peer = -1;
  GwMqttConfig config = {
    .client_id = self->client_id,
    .version = self->mqtt_version == GW_UPLINK_MQTT_5 ? GW_MQTT_5 : GW_MQTT_3_1_1,
    .keepalive = self->keepalive,
    .send_window = GW_UPLINK_WINDOW,
    .max_packet = GW_UPLINK_MAX_PACKET,
    .will_topic = self->will_topic,
    .will_retain = self->will_retain,
  };

  if (self->will)
    config.will_payload = g_bytes_get_data (self->will, &config.will_len);
  gw_place_leave (&self->place);
  self->mqtt = gw_mqtt_new (self->hub->loop, self->hub->port, &config, &mqtt_events, self, &peer, &error);
  if (!self->mqtt)
    {
      fail_attempt (self, error);
      return;
    }
  gw_relay_attach (relay, peer);
  gw_timer_arm (&self->timer, GW_UPLINK_CONNACK_TIMEOUT);
}

static void
on_relay_closed (GwRelay *relay, const GError *why, gpointer data)
{
  GwUplink *self = hold (data);
  g_autoptr (GError) fallback = NULL;
  guint32 serial = self->serial;

  if (!why)
    g_set_error (&fallback, GW_ERROR, GW_ERROR_OFFLINE, "The connection to broker %s ended", self->host);
  g_set_error (&self->relay_why, GW_ERROR, why ? why->code : GW_ERROR_OFFLINE, "%s",
               why ? why->message : fallback->message);

  /* The broker's last words may wait in the socket: they close the client, and that fails the attempt. */
  if (self->mqtt)
    gw_mqtt_pump (self->mqtt);
  if (self->relay && self->serial == serial)
    fail_attempt (self, self->relay_why);
  release (self);
}

static const GwRelayEvents relay_events = {
  .sign = on_sign,
  .secured = on_secured,
  .closed = on_relay_closed,
};

/* ---- the client's events ---- */

static void
on_connected (GwMqtt *mqtt, gpointer data)
{
  GwUplink *self = hold (data);
  g_autoptr (GError) error = NULL;

  /* Should subscribing fail, the connection is breaking and says so itself. */
  if (self->subscriptions[0] && !gw_mqtt_subscribe (mqtt, (const char *const *)self->subscriptions, &error))
    g_debug ("uplink %s: %s", self->client_id, error->message);
  gw_timer_disarm (&self->timer);
  self->flights = g_new0 (Flight, GW_UPLINK_WINDOW);
  self->online_since = gw_loop_now (self->hub->loop);
  set_state (self, GW_UPLINK_ONLINE, NULL);
  tell_state (self);
  release (self);
}

static void
on_subscribed (GwMqtt *mqtt, gboolean all_granted, gpointer data)
{
  GwUplink *self = data;

  if (all_granted)
    return;
  g_free (self->reason);
  self->reason = g_strdup_printf (
      "Broker %s refuses a subscription, so commands will not arrive; check its access list", self->host);
}

/* MQTT 5.0, 2.4: the message itself is at fault. Rights, quotas and topics somebody can put right. */
static gboolean
refused_for_good (int reason)
{
  return reason == REASON_PACKET_TOO_LARGE || reason == REASON_PAYLOAD_INVALID;
}

static void
on_published (GwMqtt *mqtt, int mid, int reason, gpointer data)
{
  GwUplink *self = data;
  g_autoptr (GError) error = NULL;
  guint i = 0;

  while (self->flights && i < GW_UPLINK_WINDOW && self->flights[i].mid != mid)
    i++;
  if (!self->flights || i == GW_UPLINK_WINDOW)
    return;

  self->flights[i].mid = 0;
  self->n_flights--;
  if (reason >= REASON_REFUSED)
    g_set_error (&error, GW_ERROR, refused_for_good (reason) ? GW_ERROR_INVALID : GW_ERROR_NOT_AUTHORIZED,
                 "Broker %s refuses the publish: %s (reason 0x%02x)", self->host, gw_mqtt_reason_text (reason),
                 reason);

  hold (self);
  if (self->events->published)
    self->events->published (self, self->flights[i].cookie, error, self->data);
  if (!self->dead && self->mqtt == mqtt && self->wants_room && self->n_flights < GW_UPLINK_WINDOW)
    {
      self->wants_room = FALSE;
      if (self->events->ready)
        self->events->ready (self, self->data);
    }
  release (self);
}

static void
on_message (GwMqtt *mqtt, const GwMqttMessage *message, gpointer data)
{
  GwUplink *self = data;

  if (self->state == GW_UPLINK_ONLINE && !self->stopping && self->events->message)
    self->events->message (self, message, self->data);
}

static void
on_mqtt_closed (GwMqtt *mqtt, const GError *why, gboolean told, gpointer data)
{
  GwUplink *self = data;

  /* A graceful stop: the relay still brings out what was written, and ends by itself. */
  if (!why && self->stopping && !self->relay_why)
    {
      g_clear_pointer (&self->mqtt, gw_mqtt_free);
      return;
    }
  /* That the socket closed is what libmosquitto knows; why, only the relay, unless the broker said it in
   * MQTT. */
  fail_attempt (self, (self->relay_why && !told) || !why ? self->relay_why : why);
}

static const GwMqttEvents mqtt_events = {
  .connected = on_connected,
  .published = on_published,
  .message = on_message,
  .subscribed = on_subscribed,
  .closed = on_mqtt_closed,
};

/* ---- the owner's calls ---- */

void
gw_uplink_start (GwUplink *self)
{
  gboolean was_draining = self->draining;

  self->draining = FALSE;
  if (self->stopping || self->state == GW_UPLINK_IDLE || self->state == GW_UPLINK_STOPPED)
    {
      end_attempt (self);
      self->failures = 0;
      try_now (self);
      gw_step_queue (&self->tell);
    }
  else if (was_draining)
    self->failures = 0;
}

static void
stop_now (GwUplink *self)
{
  end_attempt (self);
  forget_ticket (self);
  set_state (self, GW_UPLINK_STOPPED, NULL);
  gw_step_queue (&self->tell);
}

void
gw_uplink_stop (GwUplink *self, gboolean graceful)
{
  gboolean online = self->state == GW_UPLINK_ONLINE && self->mqtt;

  if (self->state == GW_UPLINK_IDLE || self->state == GW_UPLINK_STOPPED || (self->stopping && graceful))
    return;
  self->draining = TRUE; /* no ticket is taken */
  if (!graceful || !online || self->stopping)
    {
      stop_now (self);
      return;
    }
  self->stopping = TRUE;
  forget_ticket (self);
  gw_timer_arm (&self->timer, GW_UPLINK_STOP_TIMEOUT);
  gw_mqtt_disconnect (self->mqtt);
}

void
gw_uplink_drain (GwUplink *self)
{
  if (self->state == GW_UPLINK_IDLE || self->state == GW_UPLINK_STOPPED)
    return;
  self->draining = TRUE;
  forget_ticket (self);
  if (self->state != GW_UPLINK_ONLINE)
    stop_now (self);
}

void
gw_uplink_reconnect (GwUplink *self)
{
  if (self->draining || self->stopping || self->state == GW_UPLINK_IDLE || self->state == GW_UPLINK_STOPPED)
    return;
  end_attempt (self);
  try_now (self);
  gw_step_queue (&self->tell);
}

void
gw_uplink_signed (GwUplink *self, guint32 serial, const guint8 *sig, gsize sig_len, const GError *error)
{
  if (self->state != GW_UPLINK_SIGNING || serial != self->serial || !self->relay)
    return;
  set_state (self, GW_UPLINK_CONNECTING, NULL);
  gw_step_queue (&self->tell);
  gw_relay_signed (self->relay, sig, sig_len, error);
}

static GwDelegateChain *
chain_from (const GwUplinkCert *chain, gsize n, GError **error)
{
  gnutls_datum_t certs[GW_DELEGATE_CHAIN_MAX];

  for (gsize i = 0; i < n && i < G_N_ELEMENTS (certs); i++)
    certs[i] = (gnutls_datum_t){ .data = (guint8 *)chain[i].der, .size = (guint)chain[i].len };
  return gw_delegate_chain_new (certs, n, error);
}

gboolean
gw_uplink_set_certificate (GwUplink *self, const GwUplinkCert *chain, gsize n_chain, GError **error)
{
  GwDelegateChain *new_chain = chain_from (chain, n_chain, error);

  if (!new_chain)
    return FALSE;
  gw_delegate_chain_unref (self->chain);
  self->chain = new_chain;
  forget_ticket (self);
  return TRUE;
}

static gboolean
publish_allowed (GwUplink *self, int qos, gsize payload_len, GError **error)
{
  if (self->state != GW_UPLINK_ONLINE || self->stopping || !self->mqtt)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_BAD_STATE, "The uplink is %s, not online",
                   gw_uplink_state_to_string (self->state));
      return FALSE;
    }
  if (qos < 0 || qos > 1 || payload_len > GW_UPLINK_MAX_PACKET / 2)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "Publishes have QoS 0 or 1 and at most %d octets",
                   GW_UPLINK_MAX_PACKET / 2);
      return FALSE;
    }
  if (qos == 1 ? self->n_flights == GW_UPLINK_WINDOW : gw_mqtt_is_congested (self->mqtt))
    {
      self->wants_room = self->wants_room || qos == 1;
      g_set_error (error, GW_ERROR, GW_ERROR_BUSY,
                   "The broker has not yet acknowledged what was sent before");
      return FALSE;
    }
  return TRUE;
}

gboolean
gw_uplink_publish (GwUplink *self,
                   const char *topic,
                   const guint8 *payload,
                   gsize payload_len,
                   int qos,
                   gboolean retain,
                   guint64 cookie,
                   const GwUplinkProps *props,
                   GError **error)
{
  guint slot = 0;
  int mid = 0;

  if (!publish_allowed (self, qos, payload_len, error))
    return FALSE;
  if (!gw_mqtt_publish (self->mqtt, topic, payload, payload_len, qos, retain, props, &mid, error))
    return FALSE;
  if (qos == 0)
    return TRUE;
  while (self->flights[slot].mid)
    slot++;
  self->flights[slot] = (Flight){ .mid = mid, .cookie = cookie };
  self->n_flights++;
  return TRUE;
}

guint
gw_uplink_room (GwUplink *self)
{
  return self->flights && !self->stopping ? GW_UPLINK_WINDOW - self->n_flights : 0;
}

GwUplinkState
gw_uplink_get_state (GwUplink *self)
{
  return self->state;
}

const char *
gw_uplink_state_to_string (GwUplinkState state)
{
  static const char *const names[] = { "idle", "connecting", "signing", "online", "backoff", "stopped" };

  return (guint)state < G_N_ELEMENTS (names) ? names[state] : "unknown";
}

const char *
gw_uplink_get_reason (GwUplink *self)
{
  if (gw_place_waits (&self->place))
    return "Waiting for its turn among the TLS handshakes";
  return self->reason;
}

gint64
gw_uplink_next_attempt (GwUplink *self)
{
  return self->next_attempt;
}

/* ---- making and freeing ---- */

static gboolean
config_is_valid (const GwUplinkConfig *config, GError **error)
{
  const char *wrong = NULL;

  if (!config->host || !*config->host || strlen (config->host) > 253)
    wrong = "the broker's host";
  else if (!config->port)
    wrong = "the broker's port";
  else if (!config->client_id || !*config->client_id || strlen (config->client_id) > MAX_CLIENT_ID)
    wrong = "the client id";
  else if (config->keepalive && (config->keepalive < 5 || config->keepalive > 3600))
    wrong = "the keep-alive time";
  else if (config->will_len > GW_UPLINK_MAX_PACKET / 2)
    wrong = "the last will";
  else if (config->subscriptions
           && g_strv_length ((char **)config->subscriptions) > GW_UPLINK_MAX_SUBSCRIPTIONS)
    wrong = "the number of subscriptions";
  if (!wrong)
    return TRUE;
  g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "Not a usable uplink: %s is missing or out of range",
               wrong);
  return FALSE;
}

GwUplink *
gw_uplink_new (GwUplinkHub *hub,
               const GwUplinkConfig *config,
               const GwUplinkEvents *events,
               gpointer data,
               GError **error)
{
  static const char *const none[] = { NULL };
  GwDelegateChain *chain;
  GwUplink *self;

  if (!config_is_valid (config, error))
    return NULL;
  chain = chain_from (config->chain, config->n_chain, error);
  if (!chain)
    return NULL;

  self = g_new0 (GwUplink, 1);
  self->refs = 1;
  self->hub = hub;
  self->events = events;
  self->data = data;
  self->host = g_strdup (config->host);
  self->port = config->port;
  self->anchors = g_strdup (config->trust_anchors);
  self->client_id = g_strdup (config->client_id);
  self->mqtt_version = config->mqtt_version;
  self->keepalive = config->keepalive ? config->keepalive : DEFAULT_KEEPALIVE;
  self->will_topic = g_strdup (config->will_topic);
  self->will = config->will_len ? g_bytes_new (config->will_payload, config->will_len) : NULL;
  self->will_retain = config->will_retain;
  self->subscriptions = g_strdupv ((char **)(config->subscriptions ? config->subscriptions : none));
  self->chain = chain;
  gw_timer_init (&self->timer, hub->loop, on_timer, self);
  gw_step_init (&self->tell, hub->loop, on_tell, self);
  gw_place_init (&self->place, &hub->handshakes, start_relay, self);
  hub->n_uplinks++;
  return self;
}

void
gw_uplink_free (GwUplink *self)
{
  if (!self)
    return;
  self->dead = TRUE;
  self->draining = TRUE;
  end_attempt (self);
  forget_ticket (self);
  g_clear_pointer (&self->trust, gw_trust_unref);
  gw_step_cancel (&self->tell);
  self->hub->n_uplinks--;
  release (self);
}

GwUplinkHub *
gw_uplink_hub_new (GwLoop *loop, const char *runtime_dir, GError **error)
{
  GwMqttPort *port = gw_mqtt_port_new (runtime_dir, error);
  GwUplinkHub *self;

  if (!port)
    return NULL;
  self = g_new0 (GwUplinkHub, 1);
  self->loop = loop;
  self->port = port;
  self->creds = gw_delegate_creds_new ();
  self->names = gw_names_new (loop);
  self->anchors = gw_trust_cache_new ();
  self->handshakes.most = GW_UPLINK_MAX_HANDSHAKES;
  return self;
}

void
gw_uplink_hub_free (GwUplinkHub *self)
{
  if (!self)
    return;
  if (self->n_uplinks)
    g_warning ("uplink: hub freed under %u uplinks", self->n_uplinks);
  gw_mqtt_port_free (self->port);
  gw_delegate_creds_free (self->creds);
  gw_names_free (self->names);
  gw_trust_cache_free (self->anchors);
  g_free (self);
}

guint
gw_uplink_hub_handshakes (GwUplinkHub *self)
{
  return self->handshakes.taken;
}
