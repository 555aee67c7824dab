/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See gw-courier.h. The spool is the truth: a record is read from it, published with its number as cookie, and dropped from it when the
 * broker has acknowledged. After a reconnect everything not acknowledged goes again, from the oldest on (QoS 1: at least
 * once).
 */

#include "config.h"

#include "gw-courier.h"

#include <string.h>

#include "gw-error.h"
#include "gw-event.h"
#include "gw-senml.h"

/* Replies to commands carry cookies that no spool number reaches. */
#define COOKIE_REPLY (G_GUINT64_CONSTANT (1) << 63)
/* Places in the uplink's window that telemetry leaves free: one for replies, and one more for the status, which is the last
 * word and must not wait. */
#define ROOM_FOR_REPLIES 1
#define ROOM_FOR_STATUS 1
#define DRAIN_LOOK_USEC G_USEC_PER_SEC
#define CONTENT_TYPE_SENML "application/senml+json"
#define CONTENT_TYPE_JSON "application/json"
#define STATUS_ONLINE "{\"state\":\"online\"}"
#define STATUS_OFFLINE "{\"state\":\"offline\"}"

struct _GwCourier
{
  const GwServices *services;
  const GwCourierEvents *events;
  gpointer data;
  guint8 kid[GW_KEY_ID_LEN];
  char *id;
  GwPolicy *policy;
  GBytes *certificate;
  char *telemetry_topic;
  char *command_topic;
  char *reply_topic;
  char *status_topic;
  gboolean mqtt5;
  GwUplink *uplink;
  gboolean online;
  guint64 sent; /* the last record handed to the uplink since it is online */
  guint64 in_flight;
  GwTimer drain_timer;
  gint64 drain_until;
  GwStep pump;
  GQueue replies; /* Reply, that wait for room */
  gboolean replies_lost;
  char *trouble;       /* connected, but the broker does not take reports; NULL: it does */
  GwTimer again_timer; /* armed while it refuses them */
  GwTimer ack_timer;   /* armed while something is in flight */
};

typedef struct
{
  char *topic;
  GBytes *correlation; /* NULL: none */
  char *payload;
} Reply;

static void
reply_free (Reply *reply)
{
  g_free (reply->topic);
  g_clear_pointer (&reply->correlation, g_bytes_unref);
  g_free (reply->payload);
  g_free (reply);
}

static void
set_online (GwCourier *self, gboolean online, const char *reason)
{
  self->online = online;
  self->events->online (online, reason, self->data);
}

static gboolean
publish_record (GwCourier *self, GwSpoolRecord *record)
{
  static const GwUplinkProps props = { .content_type = CONTENT_TYPE_SENML };
  g_autoptr (GError) error = NULL;
  g_autofree char *json = gw_senml_from_record (record, &error);

  if (json == NULL)
    {
      gw_event (GW_EVENT_REPORTS_GIVEN_UP, self->id, NULL, "a report cannot be told as SenML: %s", error->message);
      gw_spool_drop (self->services->spool, self->kid, record->seq, GW_SPOOL_DROP_REFUSED);
      self->sent = record->seq;
      return TRUE;
    }
  if (!gw_uplink_publish (self->uplink, self->telemetry_topic, (const guint8 *) json, strlen (json), 1, FALSE, record->seq,
                          &props, &error))
    {
      if (!g_error_matches (error, GW_ERROR, GW_ERROR_BUSY) && !g_error_matches (error, GW_ERROR, GW_ERROR_BAD_STATE))
        g_warning ("a report cannot be published: %s", error->message);
      return FALSE;
    }
  self->sent = record->seq;
  if (self->in_flight++ == 0)
    gw_timer_arm (&self->ack_timer, GW_COURIER_ACK_USEC);
  return TRUE;
}

/* FALSE: no room now. A reply that cannot be sent at all is given up, and that is TRUE. */
static gboolean
publish_reply (GwCourier *self, const Reply *reply)
{
  g_autoptr (GError) error = NULL;
  GwUplinkProps props = { .content_type = CONTENT_TYPE_JSON };

  if (reply->correlation != NULL)
    props.correlation = g_bytes_get_data (reply->correlation, &props.correlation_len);
  if (gw_uplink_publish (self->uplink, reply->topic, (const guint8 *) reply->payload, strlen (reply->payload), 1, FALSE,
                         COOKIE_REPLY, self->mqtt5 ? &props : NULL, &error))
    return TRUE;
  if (g_error_matches (error, GW_ERROR, GW_ERROR_BUSY) || g_error_matches (error, GW_ERROR, GW_ERROR_BAD_STATE))
    return FALSE;
  g_debug ("the answer to a command could not be sent: %s", error->message);
  return TRUE;
}

static void
set_trouble (GwCourier *self, const char *trouble)
{
  g_autofree char *old = self->trouble;

  self->trouble = g_strdup (trouble);
  if (self->online && g_strcmp0 (old, trouble) != 0)
    self->events->online (TRUE, trouble, self->data);
}

static void
publish_status (GwCourier *self, const char *payload)
{
  g_autoptr (GError) error = NULL;

  if (!gw_uplink_publish (self->uplink, self->status_topic, (const guint8 *) payload, strlen (payload), 1, TRUE, COOKIE_REPLY, NULL,
                          &error))
    g_debug ("status not published: %s", error->message);
}

/* Leaves the broker in good order: it is told, and publishes no last will. */
static void
say_goodbye (GwCourier *self)
{
  gw_timer_disarm (&self->drain_timer);
  gw_timer_disarm (&self->again_timer);
  gw_timer_disarm (&self->ack_timer);
  if (self->online)
    publish_status (self, STATUS_OFFLINE);
  gw_uplink_stop (self->uplink, TRUE);
}

/* Moves what it can from the spool into the uplink's window. */
static void
pump (gpointer data)
{
  GwCourier *self = data;
  g_autoptr (GError) error = NULL;

  while (self->online && gw_uplink_room (self->uplink) > ROOM_FOR_STATUS && !g_queue_is_empty (&self->replies))
    {
      if (!publish_reply (self, g_queue_peek_head (&self->replies)))
        return;
      reply_free (g_queue_pop_head (&self->replies));
      self->replies_lost = FALSE;
    }
  if (gw_timer_is_armed (&self->again_timer))
    return;
  while (self->online && gw_uplink_room (self->uplink) > ROOM_FOR_STATUS + ROOM_FOR_REPLIES)
    {
      g_auto (GwSpoolRecord) record = { 0 };
      int found = gw_spool_next (self->services->spool, self->kid, self->sent, &record, &error);

      if (found < 0)
        gw_services_disk_failed (self->services, self->id, "the spool cannot be read now", error);
      if (found <= 0 || !publish_record (self, &record))
        break;
    }
}

static void
on_uplink_sign (GwUplink *uplink, guint32 serial, const guint8 *hash, gsize len, gpointer data)
{
  GwCourier *self = data;

  self->events->sign (serial, hash, len, self->data);
}

static void
on_uplink_state (GwUplink *uplink, GwUplinkState state, const GError *why, gpointer data)
{
  GwCourier *self = data;

  if (state == GW_UPLINK_ONLINE)
    {
      self->sent = 0;
      self->in_flight = 0;
      publish_status (self, STATUS_ONLINE);
      gw_step_queue (&self->pump);
      set_online (self, TRUE, self->trouble);
    }
  else
    {
      self->in_flight = 0;
      gw_timer_disarm (&self->ack_timer);
      gw_timer_disarm (&self->again_timer);
      set_online (self, FALSE, why != NULL ? why->message : NULL);
    }
}

/* What the broker refuses today, for want of a right or of room, it may take once somebody has seen to it: it is kept, and tried again
 * from the oldest on. Only what it can never take is given up. */
static void
on_refused (GwCourier *self, guint64 seq, const GError *error)
{
  if (g_error_matches (error, GW_ERROR, GW_ERROR_INVALID))
    {
      gw_event (GW_EVENT_REPORTS_GIVEN_UP, self->id, NULL, "the broker refuses a report for good: %s", error->message);
      gw_spool_drop (self->services->spool, self->kid, seq, GW_SPOOL_DROP_REFUSED);
      return;
    }
  if (!gw_timer_is_armed (&self->again_timer))
    gw_timer_arm (&self->again_timer, GW_COURIER_AGAIN_USEC);
  set_trouble (self, error->message);
}

static void
on_again (gpointer data)
{
  GwCourier *self = data;

  if (self->in_flight > 0)
    {
      gw_timer_arm (&self->again_timer, GW_COURIER_AGAIN_USEC);
      return;
    }
  self->sent = 0;
  gw_step_queue (&self->pump);
}

/* A broker that keeps the connection but acknowledges nothing: perhaps it does on another one. */
static void
on_ack_late (gpointer data)
{
  GwCourier *self = data;
  g_autofree char *text = g_strdup_printf ("the broker has acknowledged nothing for %d s", (int) (GW_COURIER_ACK_USEC / G_USEC_PER_SEC));

  set_trouble (self, text);
  gw_uplink_reconnect (self->uplink);
}

static void
on_uplink_published (GwUplink *uplink, guint64 cookie, const GError *error, gpointer data)
{
  GwCourier *self = data;

  gw_step_queue (&self->pump);
  if (cookie == COOKIE_REPLY)
    return;
  if (self->in_flight > 0)
    self->in_flight--;
  if (self->in_flight > 0)
    gw_timer_arm (&self->ack_timer, GW_COURIER_ACK_USEC);
  else
    gw_timer_disarm (&self->ack_timer);
  if (error != NULL)
    {
      on_refused (self, cookie, error);
      return;
    }
  gw_spool_ack (self->services->spool, self->kid, cookie);
  self->events->delivered (self->data);
  if (self->trouble != NULL && !gw_timer_is_armed (&self->again_timer))
    set_trouble (self, NULL);
}

static void
on_uplink_message (GwUplink *uplink, const GwUplinkMessage *message, gpointer data)
{
  GwCourier *self = data;

  if (strcmp (message->topic, self->command_topic) == 0)
    self->events->command (message, self->data);
}

static void
on_uplink_ready (GwUplink *uplink, gpointer data)
{
  GwCourier *self = data;

  gw_step_queue (&self->pump);
}

static const GwUplinkEvents uplink_events = {
  .sign = on_uplink_sign,
  .state = on_uplink_state,
  .published = on_uplink_published,
  .message = on_uplink_message,
  .ready = on_uplink_ready,
};

/* An endpoint that only restarted is back within the first look: its connection is kept then. */
static void
on_drain_look (gpointer data)
{
  GwCourier *self = data;
  GwSpoolCounters counters;

  gw_spool_get_counters (self->services->spool, self->kid, &counters);
  if (counters.queued == 0 || gw_loop_now (self->services->loop) >= self->drain_until)
    say_goodbye (self);
  else
    gw_timer_arm (&self->drain_timer, DRAIN_LOOK_USEC);
}

static gboolean
make_uplink (GwCourier *self, const GwCourierOrder *order, GError **error)
{
  const GwPolicy *policy = order->policy;
  const char *subscriptions[] = { self->command_topic, NULL };
  GwUplinkCert chain[1];
  GwUplinkConfig config = {
    .host = policy->broker_host,
    .port = policy->broker_port,
    .trust_anchors = policy->trust_anchors,
    .chain = chain,
    .n_chain = 1,
    .client_id = order->id,
    .mqtt_version = policy->mqtt_version == 5 ? GW_UPLINK_MQTT_5 : GW_UPLINK_MQTT_3_1_1,
    .keepalive = (guint16) policy->keep_alive,
    .will_topic = self->status_topic,
    .will_payload = (const guint8 *) STATUS_OFFLINE,
    .will_len = strlen (STATUS_OFFLINE),
    .will_retain = TRUE,
    .subscriptions = subscriptions,
  };

  chain[0].der = g_bytes_get_data (order->certificate, &chain[0].len);
  self->mqtt5 = policy->mqtt_version == 5;
  self->uplink = gw_uplink_new (self->services->hub, &config, &uplink_events, self, error);
  return self->uplink != NULL;
}

/* The four topics of a policy for one endpoint. */
typedef struct
{
  char *telemetry, *command, *reply, *status;
} Topics;

static void
topics_clear (Topics *topics)
{
  g_free (topics->telemetry);
  g_free (topics->command);
  g_free (topics->reply);
  g_free (topics->status);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Topics, topics_clear)

static gboolean
expand (const GwCourierOrder *order, Topics *topics, GError **error)
{
  const GwPolicy *policy = order->policy;

  return (topics->telemetry = gw_policy_expand (policy->telemetry_topic, &order->vars, error)) != NULL
         && (topics->command = gw_policy_expand (policy->command_topic, &order->vars, error)) != NULL
         && (topics->reply = gw_policy_expand (policy->reply_topic, &order->vars, error)) != NULL
         && (topics->status = gw_policy_expand (policy->status_topic, &order->vars, error)) != NULL;
}

gboolean
gw_courier_fits (GwCourier *self, const GwCourierOrder *order)
{
  const GwPolicy *had = self->policy, *now = order->policy;
  g_auto (Topics) topics = { NULL, NULL, NULL, NULL };

  return had->broker_port == now->broker_port && g_strcmp0 (had->broker_host, now->broker_host) == 0
         && g_strcmp0 (had->trust_anchors, now->trust_anchors) == 0 && had->mqtt_version == now->mqtt_version
         && had->keep_alive == now->keep_alive
         && g_bytes_equal (self->certificate, order->certificate) && expand (order, &topics, NULL)
         && strcmp (topics.telemetry, self->telemetry_topic) == 0 && strcmp (topics.command, self->command_topic) == 0
         && strcmp (topics.reply, self->reply_topic) == 0 && strcmp (topics.status, self->status_topic) == 0;
}

GwCourier *
gw_courier_new (const GwServices *services,
                const GwCourierOrder *order,
                const GwCourierEvents *events,
                gpointer data,
                GError **error)
{
  GwCourier *self = g_new0 (GwCourier, 1);
  g_auto (Topics) topics = { NULL, NULL, NULL, NULL };

  self->services = services;
  self->events = events;
  self->data = data;
  memcpy (self->kid, order->kid, sizeof self->kid);
  self->id = g_strdup (order->id);
  self->policy = gw_policy_ref (order->policy);
  self->certificate = g_bytes_ref (order->certificate);
  g_queue_init (&self->replies);
  gw_timer_init (&self->drain_timer, services->loop, on_drain_look, self);
  gw_timer_init (&self->again_timer, services->loop, on_again, self);
  gw_timer_init (&self->ack_timer, services->loop, on_ack_late, self);
  gw_step_init (&self->pump, services->loop, pump, self);
  if (expand (order, &topics, error))
    {
      self->telemetry_topic = g_steal_pointer (&topics.telemetry);
      self->command_topic = g_steal_pointer (&topics.command);
      self->reply_topic = g_steal_pointer (&topics.reply);
      self->status_topic = g_steal_pointer (&topics.status);
    }
  if (self->status_topic == NULL || !make_uplink (self, order, error))
    {
      gw_courier_free (self);
      return NULL;
    }
  return self;
}

void
gw_courier_free (GwCourier *self)
{
  gw_timer_disarm (&self->drain_timer);
  gw_timer_disarm (&self->again_timer);
  gw_timer_disarm (&self->ack_timer);
  gw_step_cancel (&self->pump);
  g_clear_pointer (&self->uplink, gw_uplink_free);
  g_queue_clear_full (&self->replies, (GDestroyNotify) reply_free);
  gw_policy_unref (self->policy);
  g_bytes_unref (self->certificate);
  g_free (self->trouble);
  g_free (self->id);
  g_free (self->telemetry_topic);
  g_free (self->command_topic);
  g_free (self->reply_topic);
  g_free (self->status_topic);
  g_free (self);
}

void
gw_courier_start (GwCourier *self)
{
  gw_timer_disarm (&self->drain_timer);
  gw_uplink_start (self->uplink);
}

void
gw_courier_hurry (GwCourier *self)
{
  if (gw_uplink_get_state (self->uplink) == GW_UPLINK_BACKOFF)
    gw_uplink_reconnect (self->uplink);
}

void
gw_courier_drain (GwCourier *self)
{
  gw_uplink_drain (self->uplink);
  self->drain_until = gw_loop_now (self->services->loop) + self->services->config->drain_time;
  gw_timer_arm (&self->drain_timer, DRAIN_LOOK_USEC);
  gw_step_queue (&self->pump);
}

void
gw_courier_wake (GwCourier *self)
{
  if (self->online)
    gw_step_queue (&self->pump);
}

void
gw_courier_signed (GwCourier *self, guint32 serial, const guint8 *signature, gsize len, const GError *error)
{
  gw_uplink_signed (self->uplink, serial, signature, len, error);
}

void
gw_courier_reply (GwCourier *self, const char *topic, const guint8 *correlation, gsize correlation_len, const char *payload)
{
  Reply *reply;

  if (self->replies.length >= GW_COURIER_REPLIES_MAX)
    {
      /* Said once for a whole flood: whoever floods must not fill the journal. */
      if (!self->replies_lost)
        g_message ("endpoint %.16s: more answers to commands than the broker takes; the newest are lost", self->id);
      self->replies_lost = TRUE;
      return;
    }
  reply = g_new0 (Reply, 1);
  reply->topic = g_strdup (topic != NULL ? topic : self->reply_topic);
  reply->correlation = correlation != NULL ? g_bytes_new (correlation, correlation_len) : NULL;
  reply->payload = g_strdup (payload);
  g_queue_push_tail (&self->replies, reply);
  gw_step_queue (&self->pump);
}

gboolean
gw_courier_is_online (GwCourier *self)
{
  return self->online;
}

const char *
gw_courier_get_state (GwCourier *self)
{
  return gw_uplink_state_to_string (gw_uplink_get_state (self->uplink));
}

const char *
gw_courier_get_reason (GwCourier *self)
{
  return gw_uplink_get_reason (self->uplink);
}
