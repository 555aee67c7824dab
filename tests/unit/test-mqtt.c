/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How often one client of libmosquitto wants to be looked after, on a clock that the test moves. */

#include <glib/gstdio.h>
#include <unistd.h>

#include "gw-mqtt.h"

static void
on_connected (GwMqtt *mqtt, gpointer data)
{
}

static void
on_published (GwMqtt *mqtt, int mid, int reason, gpointer data)
{
}

static void
on_message (GwMqtt *mqtt, const GwMqttMessage *message, gpointer data)
{
}

static void
on_subscribed (GwMqtt *mqtt, gboolean all_granted, gpointer data)
{
}

static void
on_closed (GwMqtt *mqtt, const GError *why, gboolean told, gpointer data)
{
}

static const GwMqttEvents events = { on_connected, on_published, on_message, on_subscribed, on_closed };

static gboolean
turn (GMainContext *context)
{
  gboolean any = FALSE;

  while (g_main_context_iteration (context, FALSE))
    any = TRUE;
  return any;
}

/* Seconds until the first look after it. */
static guint
first_look (guint16 keepalive)
{
  GwMqttConfig config = { .client_id = "c", .keepalive = keepalive, .send_window = 32, .max_packet = 65536 };
  g_autoptr (GMainContext) context = g_main_context_new ();
  GwClock *clock = gw_clock_new_mock (1000, 5000000);
  GwLoop *loop = gw_loop_new (context, clock);
  g_autofree char *dir = g_dir_make_tmp ("gw-mqtt-XXXXXX", NULL);
  g_autoptr (GError) error = NULL;
  GwMqttPort *port = gw_mqtt_port_new (dir, &error);
  guint seconds = 0;
  GwMqtt *mqtt;
  int peer = -1;

  g_assert_no_error (error);
  mqtt = gw_mqtt_new (loop, port, &config, &events, NULL, &peer, &error);
  g_assert_no_error (error);
  turn (context); /* the CONNECT goes */
  do
    {
      gw_clock_advance (clock, G_USEC_PER_SEC);
      seconds++;
    }
  while (!turn (context) && seconds < 60);
  gw_mqtt_free (mqtt);
  gw_mqtt_port_free (port);
  close (peer);
  gw_loop_free (loop);
  gw_clock_unref (clock);
  g_rmdir (dir);
  return seconds;
}

/* A quarter of the keep-alive, from one second to ten; a long one must not come round to every second. */
static void
test_period (void)
{
  static const struct
  {
    guint16 keepalive;
    guint seconds;
  } table[]
      = { { 5, 2 }, { 20, 5 }, { 60, 10 }, { 2147, 10 }, { 2148, 10 }, { 3600, 10 }, { G_MAXUINT16, 10 } };

  for (guint i = 0; i < G_N_ELEMENTS (table); i++)
    g_assert_cmpuint (first_look (table[i].keepalive), ==, table[i].seconds);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/mqtt/period", test_period);
  return g_test_run ();
}
