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
#define DRAIN_LOOK_USEC G_USEC_PER_SEC
#define CONTENT_TYPE_SENML "application/senml+json"
#define STATUS_ONLINE "{\"state\":\"online\"}"
#define STATUS_OFFLINE "{\"state\":\"offline\"}"

struct _GwCourier
{
  const GwServices *services;
  const GwCourierEvents *events;
  gpointer data;
  guint8 kid[GW_KEY_ID_LEN];
  char *id;
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
};

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
  self->in_flight++;
  return TRUE;
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

  while (self->online && gw_uplink_room (self->uplink) > 0)
    {
      g_auto (GwSpoolRecord) record = { 0 };
      int found = gw_spool_next (self->services->spool, self->kid, self->sent, &record, &error);

      if (found < 0)
        gw_event (GW_EVENT_STORAGE_FAILED, self->id, NULL, "the spool cannot be read now: %s", error->message);
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
      set_online (self, TRUE, NULL);
    }
  else
    {
      self->in_flight = 0;
      set_online (self, FALSE, why != NULL ? why->message : NULL);
    }
}

static void
on_uplink_published (GwUplink *uplink, guint64 cookie, const GError *error, gpointer data)
{
  GwCourier *self = data;

  if (cookie == COOKIE_REPLY)
    return;
  if (self->in_flight > 0)
    self->in_flight--;
  if (error != NULL)
    {
      gw_event (GW_EVENT_REPORTS_GIVEN_UP, self->id, NULL, "the broker refuses a report for good: %s", error->message);
      gw_spool_drop (self->services->spool, self->kid, cookie, GW_SPOOL_DROP_REFUSED);
    }
  else
    gw_spool_ack (self->services->spool, self->kid, cookie);
  gw_step_queue (&self->pump);
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
    .tls_min = policy->tls_min >= 13 ? GW_UPLINK_TLS_1_3 : GW_UPLINK_TLS_1_2,
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

GwCourier *
gw_courier_new (const GwServices *services,
                const GwCourierOrder *order,
                const GwCourierEvents *events,
                gpointer data,
                GError **error)
{
  GwCourier *self = g_new0 (GwCourier, 1);

  self->services = services;
  self->events = events;
  self->data = data;
  memcpy (self->kid, order->kid, sizeof self->kid);
  self->id = g_strdup (order->id);
  gw_timer_init (&self->drain_timer, services->loop, on_drain_look, self);
  gw_step_init (&self->pump, services->loop, pump, self);
  self->telemetry_topic = gw_policy_expand (order->policy->telemetry_topic, &order->vars, error);
  if (self->telemetry_topic != NULL)
    self->command_topic = gw_policy_expand (order->policy->command_topic, &order->vars, error);
  if (self->command_topic != NULL)
    self->reply_topic = gw_policy_expand (order->policy->reply_topic, &order->vars, error);
  if (self->reply_topic != NULL)
    self->status_topic = gw_policy_expand (order->policy->status_topic, &order->vars, error);
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
  gw_step_cancel (&self->pump);
  g_clear_pointer (&self->uplink, gw_uplink_free);
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
gw_courier_drain (GwCourier *self)
{
  gw_uplink_drain (self->uplink);
  self->drain_until = gw_loop_now (self->services->loop) + self->services->config->drain_time;
  gw_timer_arm (&self->drain_timer, DRAIN_LOOK_USEC);
  gw_step_queue (&self->pump);
}

void
gw_courier_stop (GwCourier *self)
{
  say_goodbye (self);
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

gboolean
gw_courier_reply (GwCourier *self, const char *topic, const guint8 *correlation, gsize correlation_len, const char *payload)
{
  GwUplinkProps props = {
    .content_type = "application/json",
    .correlation = correlation,
    .correlation_len = correlation_len,
  };
  g_autoptr (GError) error = NULL;

  if (gw_uplink_publish (self->uplink, topic != NULL ? topic : self->reply_topic, (const guint8 *) payload, strlen (payload), 1,
                         FALSE, COOKIE_REPLY, self->mqtt5 ? &props : NULL, &error))
    return TRUE;
  g_message ("the answer to a command could not be sent: %s", error->message);
  return FALSE;
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
