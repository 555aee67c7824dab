// SPDX-License-Identifier: LGPL-2.1-or-later
/* Fuzz target for what a hostile broker says once TLS stands: through the guard, as the relay does, into
 * libmosquitto and out of it into our callbacks. The first octet chooses the version, the rest is the
 * broker's stream. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gw-mqtt-guard-codec.h"
#include "gw-mqtt.h"

#define MAX_PACKET 65536
#define STREAM_MAX 16384

typedef struct
{
  GMainContext *context;
  GwLoop *loop;
  GwMqttPort *port;
} Stage;

typedef struct
{
  bool free_in_message;
  bool closed;
  GwMqtt *mqtt;
} Client;

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
on_connected (GwMqtt *mqtt, gpointer data)
{
  static const char *const filters[] = { "a/#", "b", NULL };
  int mid;

  gw_mqtt_subscribe (mqtt, filters, NULL);
  gw_mqtt_publish (mqtt, "t", (const guint8 *)"x", 1, 1, FALSE, NULL, &mid, NULL);
}

static void
on_published (GwMqtt *mqtt, int mid, int reason, gpointer data)
{
}

static void
on_subscribed (GwMqtt *mqtt, gboolean all_granted, gpointer data)
{
}

/* What the callers rely on is asserted: topics they may use, strings that are UTF-8. */
static void
on_message (GwMqtt *mqtt, const GwMqttMessage *message, gpointer data)
{
  Client *client = data;
  GwMqttProps props = { .correlation = message->correlation, .correlation_len = message->correlation_len };
  int mid;

  if (!message->payload || strpbrk (message->topic, "+#") || !g_utf8_validate (message->topic, -1, NULL)
      || (message->content_type && !g_utf8_validate (message->content_type, -1, NULL)))
    abort ();
  if (message->response_topic
      && !gw_mqtt_publish (mqtt, message->response_topic, message->payload, message->payload_len, 1, FALSE,
                           &props, &mid, NULL)
      && strpbrk (message->response_topic, "+#"))
    abort ();
  if (client->free_in_message)
    g_clear_pointer (&client->mqtt, gw_mqtt_free);
}

static void
on_closed (GwMqtt *mqtt, const GError *why, gboolean told, gpointer data)
{
  Client *client = data;

  if (client->closed || !why)
    abort ();
  client->closed = true;
}

static const GwMqttEvents events = {
  .connected = on_connected,
  .published = on_published,
  .subscribed = on_subscribed,
  .message = on_message,
  .closed = on_closed,
};

static Stage stage;

/* The port has a folder on disk. */
static void
free_stage (void)
{
  gw_mqtt_port_free (stage.port);
  gw_loop_free (stage.loop);
  g_main_context_unref (stage.context);
}

static void
make_stage (void)
{
  if (!stage.loop)
    {
      g_autoptr (GwClock) clock = gw_clock_new_mock (0, 0);

      stage.context = g_main_context_new ();
      stage.loop = gw_loop_new (stage.context, clock);
      stage.port = gw_mqtt_port_new (g_get_tmp_dir (), NULL);
      if (!stage.port)
        abort ();
      atexit (free_stage);
    }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  GwMqttConfig config = { .client_id = "c", .keepalive = 60, .send_window = 32, .max_packet = MAX_PACKET };
  Client client = { 0 };
  GwMqttGuard guard;
  char sink[4096];
  int peer;

  if (size < 1 || size > STREAM_MAX)
    return 0;
  make_stage ();
  config.version = data[0] & 1 ? GW_MQTT_3_1_1 : GW_MQTT_5;
  client.free_in_message = data[0] & 2;
  data++;
  size--;

  client.mqtt = gw_mqtt_new (stage.loop, stage.port, &config, &events, &client, &peer, NULL);
  if (!client.mqtt)
    abort ();
  gw_mqtt_guard_init (&guard, MAX_PACKET, config.version == GW_MQTT_5);
  if (gw_mqtt_guard_feed (&guard, data, size) && send (peer, data, size, MSG_NOSIGNAL) < 0)
    abort ();
  for (unsigned i = 0; i < 64 && g_main_context_iteration (stage.context, FALSE); i++)
    while (recv (peer, sink, sizeof sink, MSG_DONTWAIT) > 0)
      ;
  close (peer);
  while (g_main_context_iteration (stage.context, FALSE))
    ;
  if (client.mqtt && !client.closed)
    abort ();
  gw_mqtt_free (client.mqtt);
  return 0;
}
