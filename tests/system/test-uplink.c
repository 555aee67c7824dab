// SPDX-License-Identifier: LGPL-2.1-or-later
/* Uplinks against a real mosquitto, over real TLS, with the endpoint's key in the hands of the test: what
 * happens when the signature comes late, wrong, never, or when anybody goes away in the middle. */
#include "gw-error.h"
#include "gw-test-tls-server.h"
#include "gw-test-uplink.h"

#include <dirent.h>
#include <glib/gstdio.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static void
publish (GwTestEndpoint *from, const char *topic, const char *payload, guint64 cookie)
{
  g_autoptr (GError) error = NULL;

  gw_uplink_publish (from->uplink, topic, (const guint8 *)payload, strlen (payload), 1, FALSE, cookie, NULL,
                     &error);
  g_assert_no_error (error);
}

static void
expect_why (GwTestEndpoint *endpoint, GwError code, const char *part)
{
  g_assert_error (endpoint->why, GW_ERROR, (gint)code);
  if (!strstr (endpoint->why->message, part))
    g_error ("expected \"%s\" in \"%s\"", part, endpoint->why->message);
  g_assert_cmpstr (gw_uplink_get_reason (endpoint->uplink), ==, endpoint->why->message);
}

static void
expect_no_log (GwTestStage *stage, const char *text)
{
  g_autofree char *log = gw_test_broker_read_log (stage->broker);

  g_assert_null (strstr (log, text));
}

/* ---- the straight way ---- */

static void
test_online (void)
{
  GwTestStage *stage = gw_test_stage_new ();
  GwTestEndpoint *a = gw_test_endpoint_new_online (stage, "endpoint-a", NULL);

  g_assert_cmpstr (a->states->str, ==, "connecting signing connecting online");
  g_assert_cmpuint (a->n_signed, ==, 1);
  /* The broker knows the client by the CN of its certificate. */
  gw_test_stage_wait_log (stage, "as endpoint-a (p5, c1, k60, u'endpoint-a')");

  publish (a, "up", "hello", 7);
  gw_test_stage_wait_count (stage, &a->n_published, 1);
  g_assert_cmpuint (a->last_cookie, ==, 7);
  g_assert_cmpuint (gw_uplink_hub_handshakes (stage->hub), ==, 0);
  gw_test_endpoint_free (a);
  gw_test_stage_free (stage);
}

static void
test_properties (void)
{
  static const char *const topics[] = { "to/b/#", NULL };
  static const GwUplinkUserProperty user = { "boot", "1" };
  GwUplinkProps props = { .content_type = "application/senml+json",
                          .response_topic = "to/a/reply",
                          .correlation = (const guint8 *)"corr",
                          .correlation_len = 4,
                          .message_expiry = 60,
                          .user = &user,
                          .n_user = 1 };
  GwTestStage *stage = gw_test_stage_new ();
  GwUplinkConfig config = gw_test_stage_config (stage, NULL);
  GwTestEndpoint *a, *b;

  config.subscriptions = topics;
  a = gw_test_endpoint_new_online (stage, "a", NULL);
  b = gw_test_endpoint_new_online (stage, "b", &config);
  gw_test_stage_wait_log (stage, "Sending SUBACK to b");
  g_assert_true (
      gw_uplink_publish (a->uplink, "to/b/cmd", (const guint8 *)"on", 2, 1, FALSE, 1, &props, NULL));
  gw_test_stage_wait_count (stage, &b->n_messages, 1);
  g_assert_cmpstr (b->topic, ==, "to/b/cmd");
  g_assert_cmpstr (b->payload, ==, "on");
  g_assert_cmpstr (b->response_topic, ==, "to/a/reply");
  g_assert_cmpstr (b->correlation, ==, "corr");

  /* QoS 0 goes without an event. */
  g_assert_true (gw_uplink_publish (a->uplink, "to/b/x", (const guint8 *)"", 0, 0, FALSE, 9, NULL, NULL));
  gw_test_stage_wait_count (stage, &b->n_messages, 2);
  g_assert_cmpstr (b->payload, ==, "");
  g_assert_null (b->response_topic);
  g_assert_cmpuint (a->last_cookie, !=, 9);
  gw_test_endpoint_free (a);
  gw_test_endpoint_free (b);
  gw_test_stage_free (stage);
}

static void
test_mqtt_311 (void)
{
  static const char *const topics[] = { "t", NULL };
  GwUplinkProps props = { .response_topic = "r" };
  GwTestStage *stage = gw_test_stage_new ();
  GwUplinkConfig config = gw_test_stage_config (stage, NULL);
  GwTestEndpoint *a;

  config.mqtt_version = GW_UPLINK_MQTT_3_1_1;
  config.subscriptions = topics;
  a = gw_test_endpoint_new_online (stage, "old", &config);
  gw_test_stage_wait_log (stage, "as old (p2, c1, k60, u'old')");
  gw_test_stage_wait_log (stage, "Sending SUBACK to old");
  g_assert_true (gw_uplink_publish (a->uplink, "t", (const guint8 *)"x", 1, 1, FALSE, 1, &props, NULL));
  gw_test_stage_wait_count (stage, &a->n_messages, 1);
  g_assert_null (a->response_topic);
  gw_test_endpoint_free (a);
  gw_test_stage_free (stage);
}

static void
test_window (void)
{
  GwTestStage *stage = gw_test_stage_new ();
  GwTestEndpoint *a = gw_test_endpoint_new_online (stage, "a", NULL);
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (gw_uplink_room (a->uplink), ==, GW_UPLINK_WINDOW);
  for (guint i = 0; i < GW_UPLINK_WINDOW; i++)
    publish (a, "t", "x", i);
  g_assert_cmpuint (gw_uplink_room (a->uplink), ==, 0);
  g_assert_false (gw_uplink_publish (a->uplink, "t", NULL, 0, 1, FALSE, 99, NULL, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_BUSY);
  g_clear_error (&error);
  gw_test_stage_wait_count (stage, &a->n_published, GW_UPLINK_WINDOW);
  g_assert_cmpuint (a->n_ready, ==, 1);
  g_assert_cmpuint (gw_uplink_room (a->uplink), ==, GW_UPLINK_WINDOW);

  g_assert_false (gw_uplink_publish (a->uplink, "wild/#", NULL, 0, 1, FALSE, 0, NULL, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_INVALID);
  g_assert_cmpuint (gw_uplink_room (a->uplink), ==, GW_UPLINK_WINDOW);
  gw_test_endpoint_free (a);
  gw_test_stage_free (stage);
}

/* A publish that the broker's access list forbids is told as refused, not as delivered. */
static void
test_refused_publish (void)
{
  GwTestStage *stage = gw_test_stage_new_stopped ();
  g_autofree char *acl = g_build_filename (stage->broker->dir, "acl", NULL);
  GwTestEndpoint *a;

  g_assert_true (g_file_set_contents (acl, "pattern readwrite own/%u/#\n", -1, NULL));
  stage->broker->extra = g_strdup_printf ("acl_file %s\n", acl);
  gw_test_broker_start (stage->broker);
  a = gw_test_endpoint_new_online (stage, "a", NULL);
  publish (a, "own/a/x", "1", 1);
  publish (a, "own/b/x", "2", 2);
  gw_test_stage_wait_count (stage, &a->n_published, 2);
  g_assert_cmpuint (a->n_refused, ==, 1);
  g_assert_cmpint (gw_uplink_get_state (a->uplink), ==, GW_UPLINK_ONLINE);
  gw_test_endpoint_free (a);
  gw_test_stage_free (stage);
}

static void
test_last_will (void)
{
  static const char *const topics[] = { "status/#", NULL };
  GwTestStage *stage = gw_test_stage_new ();
  GwUplinkConfig config = gw_test_stage_config (stage, NULL);
  GwTestEndpoint *watcher, *a;

  config.subscriptions = topics;
  watcher = gw_test_endpoint_new_online (stage, "watcher", &config);
  gw_test_stage_wait_log (stage, "Sending SUBACK to watcher");
  config.subscriptions = NULL;
  config.will_topic = "status/a";
  config.will_payload = (const guint8 *)"gone";
  config.will_len = 4;

  /* Said goodbye: no will. The marker is published after, so a will would have come before. */
  a = gw_test_endpoint_new_online (stage, "a", &config);
  g_string_truncate (a->states, 0);
  gw_uplink_stop (a->uplink, TRUE);
  gw_test_endpoint_wait (a, GW_UPLINK_STOPPED);
  g_assert_cmpstr (a->states->str, ==, "stopped");
  g_assert_no_error (a->why);
  gw_test_stage_wait_log (stage, "Received DISCONNECT from a");
  publish (watcher, "status/marker", "x", 1);
  gw_test_stage_wait_count (stage, &watcher->n_messages, 1);
  g_assert_cmpstr (watcher->topic, ==, "status/marker");

  /* At once: the will. And from stopped it starts again. */
  gw_uplink_start (a->uplink);
  gw_test_endpoint_wait (a, GW_UPLINK_ONLINE);
  gw_uplink_stop (a->uplink, FALSE);
  g_assert_cmpint (gw_uplink_get_state (a->uplink), ==, GW_UPLINK_STOPPED);
  gw_test_stage_wait_count (stage, &watcher->n_messages, 2);
  g_assert_cmpstr (watcher->topic, ==, "status/a");
  g_assert_cmpstr (watcher->payload, ==, "gone");
  gw_test_endpoint_free (a);
  gw_test_endpoint_free (watcher);
  gw_test_stage_free (stage);
}

/* ---- the signature ---- */

static void
test_late_signature (void)
{
  GwTestStage *stage = gw_test_stage_new ();
  GwTestEndpoint *online = gw_test_endpoint_new_online (stage, "online", NULL);
  GwTestEndpoint *late = gw_test_endpoint_new (stage, "late", NULL);

  late->signing = GW_TEST_SIGN_HOLD;
  gw_uplink_start (late->uplink);
  gw_test_endpoint_wait (late, GW_UPLINK_SIGNING);
  for (guint i = 1; i <= 100; i++)
    {
      publish (online, "t", "x", i);
      gw_test_stage_wait_count (stage, &online->n_published, i);
    }
  gw_clock_advance (stage->clock, GW_UPLINK_SIGN_TIMEOUT - 1);
  gw_test_stage_settle (stage);
  g_assert_cmpint (gw_uplink_get_state (late->uplink), ==, GW_UPLINK_SIGNING);
  expect_no_log (stage, "as late");

  gw_test_endpoint_release (late);
  gw_test_endpoint_release (late); /* a second answer changes nothing */
  gw_test_endpoint_wait (late, GW_UPLINK_ONLINE);
  gw_test_stage_wait_log (stage, "as late (p5, c1, k60, u'late')");
  gw_test_endpoint_free (late);
  gw_test_endpoint_free (online);
  gw_test_stage_free (stage);
}

static void
test_wrong_signature (void)
{
  GwTestStage *stage = gw_test_stage_new ();
  GwTestEndpoint *a = gw_test_endpoint_new (stage, "liar", NULL);

  a->signing = GW_TEST_SIGN_WRONG;
  gw_uplink_start (a->uplink);
  gw_test_endpoint_wait (a, GW_UPLINK_BACKOFF);
  expect_why (a, GW_ERROR_NOT_TRUSTED, "does not fit the key");
  expect_no_log (stage, "as liar");
  gw_test_endpoint_free (a);
  gw_test_stage_free (stage);
}

static void
test_refused_signature (void)
{
  g_autoptr (GError) no = g_error_new (GW_ERROR, GW_ERROR_BUSY, "the bucket is empty (rc 8)");
  GwTestStage *stage = gw_test_stage_new ();
  GwTestEndpoint *a = gw_test_endpoint_new (stage, "a", NULL);

  a->signing = GW_TEST_SIGN_NEVER;
  gw_uplink_start (a->uplink);
  gw_test_endpoint_wait (a, GW_UPLINK_SIGNING);
  gw_uplink_signed (a->uplink, a->serial, NULL, 0, no);
  gw_test_endpoint_wait (a, GW_UPLINK_BACKOFF);
  expect_why (a, GW_ERROR_FAILED, "the bucket is empty");
  gw_test_endpoint_free (a);
  gw_test_stage_free (stage);
}

static void
test_no_signature (void)
{
  GwTestStage *stage = gw_test_stage_new ();
  GwTestEndpoint *a = gw_test_endpoint_new (stage, "mute", NULL);
  guint32 old_serial;
  guint8 old_th[32];

  a->signing = GW_TEST_SIGN_HOLD;
  gw_uplink_start (a->uplink);
  gw_test_endpoint_wait (a, GW_UPLINK_SIGNING);
  old_serial = a->serial;
  memcpy (old_th, a->th, sizeof old_th);
  g_assert_cmpuint (gw_uplink_hub_handshakes (stage->hub), ==, 1);
  gw_clock_advance (stage->clock, GW_UPLINK_SIGN_TIMEOUT);
  gw_test_endpoint_wait (a, GW_UPLINK_BACKOFF);
  expect_why (a, GW_ERROR_TIMEOUT, "did not sign");
  g_assert_cmpuint (gw_uplink_hub_handshakes (stage->hub), ==, 0);

  gw_clock_advance (stage->clock, GW_UPLINK_BACKOFF_MIN);
  gw_test_endpoint_wait (a, GW_UPLINK_SIGNING);
  g_assert_cmpuint (a->serial, !=, old_serial);
  /* The old attempt's answer arrives now: it is not for this one. */
  gw_uplink_signed (a->uplink, old_serial, (const guint8 *)"x", 1, NULL);
  gw_test_stage_settle (stage);
  g_assert_cmpint (gw_uplink_get_state (a->uplink), ==, GW_UPLINK_SIGNING);
  gw_test_endpoint_release (a);
  gw_test_endpoint_wait (a, GW_UPLINK_ONLINE);
  gw_test_endpoint_free (a);
  gw_test_stage_free (stage);
}

static void
test_unplug_while_suspended (void)
{
  GwTestStage *stage = gw_test_stage_new ();
  GwTestEndpoint *a = gw_test_endpoint_new (stage, "gone", NULL);
  GwTestEndpoint *b = gw_test_endpoint_new (stage, "drained", NULL);

  a->signing = b->signing = GW_TEST_SIGN_HOLD;
  gw_uplink_start (a->uplink);
  gw_uplink_start (b->uplink);
  gw_test_endpoint_wait (a, GW_UPLINK_SIGNING);
  gw_test_endpoint_wait (b, GW_UPLINK_SIGNING);
  g_clear_pointer (&a->uplink, gw_uplink_free);
  gw_uplink_drain (b->uplink);
  gw_test_endpoint_release (b); /* too late */
  gw_test_endpoint_wait (b, GW_UPLINK_STOPPED);
  g_assert_cmpuint (gw_uplink_hub_handshakes (stage->hub), ==, 0);
  gw_clock_advance (stage->clock, 10 * GW_UPLINK_BACKOFF_MAX);
  gw_test_stage_settle (stage);
  g_assert_cmpuint (b->n_signed, ==, 1);
  gw_test_endpoint_free (a);
  gw_test_endpoint_free (b);
  gw_test_stage_free (stage);
}

/* All is torn down with handshakes at every stage; nothing leaks (under ASan) and nothing is called. */
static void
test_exit_while_suspended (void)
{
  GwTestStage *stage = gw_test_stage_new ();
  GwTestEndpoint *e[12];

  for (guint i = 0; i < G_N_ELEMENTS (e); i++)
    {
      g_autofree char *name = g_strdup_printf ("e%u", i);

      e[i] = gw_test_endpoint_new (stage, name, NULL);
      e[i]->signing = GW_TEST_SIGN_HOLD;
      gw_uplink_start (e[i]->uplink);
      if (i < 4)
        gw_test_endpoint_wait (e[i], GW_UPLINK_SIGNING);
      else if (i < 8)
        g_main_context_iteration (stage->context, FALSE);
    }
  for (guint i = 0; i < G_N_ELEMENTS (e); i++)
    gw_test_endpoint_free (e[i]);
  gw_test_stage_free (stage);
}

static void
test_broker_hangs_up_while_suspended (void)
{
  GwTestStage *stage = gw_test_stage_new ();
  GwTestEndpoint *a = gw_test_endpoint_new (stage, "a", NULL);

  a->signing = GW_TEST_SIGN_HOLD;
  gw_uplink_start (a->uplink);
  gw_test_endpoint_wait (a, GW_UPLINK_SIGNING);
  gw_test_broker_stop (stage->broker);
  gw_test_endpoint_wait (a, GW_UPLINK_BACKOFF);
  expect_why (a, GW_ERROR_OFFLINE, "hung up while");
  gw_test_endpoint_free (a);
  gw_test_stage_free (stage);
}

/* Freed inside each of its own events. */
static void
test_free_in_events (void)
{
  static const char *const topics[] = { "t", NULL };
  static const GwUplinkState states[]
      = { GW_UPLINK_CONNECTING, GW_UPLINK_SIGNING, GW_UPLINK_ONLINE, GW_UPLINK_BACKOFF };
  GwTestStage *stage = gw_test_stage_new ();
  GwUplinkConfig config = gw_test_stage_config (stage, NULL);

  config.subscriptions = topics;
  for (guint i = 0; i < G_N_ELEMENTS (states) + 3; i++)
    {
      g_autofree char *name = g_strdup_printf ("f%u", i);
      GwTestEndpoint *a = gw_test_endpoint_new (stage, name, &config);

      a->free_in_state = i < G_N_ELEMENTS (states);
      a->free_state = a->free_in_state ? states[i] : GW_UPLINK_IDLE;
      a->free_in_sign = i == 4;
      a->free_in_published = i == 5;
      a->free_in_message = i == 6;
      if (a->free_state == GW_UPLINK_BACKOFF)
        a->signing = GW_TEST_SIGN_WRONG;
      gw_uplink_start (a->uplink);
      if (i > 4)
        {
          gw_test_endpoint_wait (a, GW_UPLINK_ONLINE);
          publish (a, "t", "x", 1);
          publish (a, "t", "y", 2);
        }
      while (a->uplink)
        g_main_context_iteration (stage->context, TRUE);
      gw_test_stage_settle (stage);
      gw_test_endpoint_free (a);
    }
  gw_test_stage_free (stage);
}

/* ---- the broker ---- */

static void
test_broker_restarted (void)
{
  GwTestStage *stage = gw_test_stage_new ();
  GwTestEndpoint *a = gw_test_endpoint_new_online (stage, "a", NULL);
  gint64 longest = 0;

  g_string_truncate (a->states, 0);
  gw_test_broker_stop (stage->broker);
  gw_test_endpoint_wait (a, GW_UPLINK_BACKOFF);
  g_assert_cmpstr (a->states->str, ==, "backoff");
  g_assert_error (a->why, GW_ERROR, GW_ERROR_OFFLINE);

  /* Each wait lies in the upper half of its doubling bound. */
  for (guint i = 0; i < 12; i++)
    {
      gint64 full = MIN ((gint64)GW_UPLINK_BACKOFF_MIN << i, (gint64)GW_UPLINK_BACKOFF_MAX);
      gint64 wait = gw_uplink_next_attempt (a->uplink) - gw_loop_now (stage->loop);

      g_assert_cmpint (wait, >=, full / 2);
      g_assert_cmpint (wait, <=, full);
      longest = MAX (longest, wait);
      g_string_truncate (a->states, 0);
      gw_clock_advance (stage->clock, wait);
      gw_test_endpoint_wait (a, GW_UPLINK_BACKOFF);
      expect_why (a, GW_ERROR_OFFLINE, "Connection refused");
    }
  g_assert_cmpint (longest, >, GW_UPLINK_BACKOFF_MAX / 2);

  /* The new broker knows none of the old one's tickets: a full handshake, with a new signature. */
  gw_test_broker_start (stage->broker);
  gw_clock_advance (stage->clock, GW_UPLINK_BACKOFF_MAX);
  gw_test_endpoint_wait (a, GW_UPLINK_ONLINE);
  g_assert_cmpuint (a->n_signed, ==, 2);
  publish (a, "t", "x", 1);
  gw_test_stage_wait_count (stage, &a->n_published, 1);

  /* Stable for a while, the count starts anew. */
  gw_clock_advance (stage->clock, GW_UPLINK_STABLE_AFTER);
  gw_test_broker_stop (stage->broker);
  gw_test_endpoint_wait (a, GW_UPLINK_BACKOFF);
  g_assert_cmpint (gw_uplink_next_attempt (a->uplink) - gw_loop_now (stage->loop), <=, GW_UPLINK_BACKOFF_MIN);
  gw_test_endpoint_free (a);
  gw_test_stage_free (stage);
}

/* The ticket spares the signature, until the endpoint goes. */
static void
test_resumption (void)
{
  GwTestStage *stage = gw_test_stage_new ();
  GwTestEndpoint *a = gw_test_endpoint_new_online (stage, "a", NULL);
  GwUplinkCert same = { .der = a->cert->der.data, .len = a->cert->der.size };

  publish (a, "t", "x", 1);
  gw_test_stage_wait_count (stage, &a->n_published, 1);
  g_string_truncate (a->states, 0);
  gw_uplink_reconnect (a->uplink);
  gw_test_endpoint_wait (a, GW_UPLINK_ONLINE);
  g_assert_cmpstr (a->states->str, ==, "connecting online");
  g_assert_cmpuint (a->n_signed, ==, 1);

  /* Stopped: forgotten. */
  publish (a, "t", "x", 2);
  gw_test_stage_wait_count (stage, &a->n_published, 2);
  gw_uplink_stop (a->uplink, FALSE);
  gw_test_endpoint_wait (a, GW_UPLINK_STOPPED);
  gw_uplink_start (a->uplink);
  gw_test_endpoint_wait (a, GW_UPLINK_ONLINE);
  g_assert_cmpuint (a->n_signed, ==, 2);
  publish (a, "t", "x", 2);
  gw_test_stage_wait_count (stage, &a->n_published, 3);
  gw_uplink_stop (a->uplink, TRUE);
  gw_test_endpoint_wait (a, GW_UPLINK_STOPPED);
  gw_uplink_start (a->uplink);
  gw_test_endpoint_wait (a, GW_UPLINK_ONLINE);
  g_assert_cmpuint (a->n_signed, ==, 3);

  /* Another certificate: not with the old one's ticket. It is dropped even when the connection still has to
   * end. */
  publish (a, "t", "x", 3);
  gw_test_stage_wait_count (stage, &a->n_published, 4);
  g_assert_true (gw_uplink_set_certificate (a->uplink, &same, 1, NULL));
  g_string_truncate (a->states, 0);
  gw_uplink_reconnect (a->uplink);
  gw_test_endpoint_wait (a, GW_UPLINK_ONLINE);
  g_assert_cmpuint (a->n_signed, ==, 4);
  gw_test_endpoint_free (a);
  gw_test_stage_free (stage);
}

static void
test_drain (void)
{
  GwTestStage *stage = gw_test_stage_new ();
  GwTestEndpoint *a = gw_test_endpoint_new_online (stage, "a", NULL);

  gw_uplink_drain (a->uplink);
  publish (a, "t", "x", 1);
  gw_test_stage_wait_count (stage, &a->n_published, 1);
  gw_test_broker_stop (stage->broker);
  gw_test_endpoint_wait (a, GW_UPLINK_STOPPED); /* no reconnect */
  g_assert_error (a->why, GW_ERROR, GW_ERROR_OFFLINE);
  gw_test_endpoint_free (a);
  gw_test_stage_free (stage);
}

static void
expect_refusal (GwTestStage *stage, GwTestCert *server, GwError code, const char *part)
{
  GwTestEndpoint *a;

  gw_test_broker_stop (stage->broker);
  if (server)
    gw_test_broker_set_server (stage->broker, server);
  gw_test_broker_start (stage->broker);
  a = gw_test_endpoint_new (stage, "a", NULL);
  gw_uplink_start (a->uplink);
  gw_test_endpoint_wait (a, GW_UPLINK_BACKOFF);
  g_test_message ("%s", a->why->message);
  expect_why (a, code, part);
  /* The endpoint is not even asked to sign for such a broker. */
  g_assert_cmpuint (a->n_signed, ==, 0);
  gw_test_endpoint_free (a);
}

static void
test_broker_not_trusted (void)
{
  GwTestStage *stage = gw_test_stage_new_stopped ();
  g_autoptr (GwTestCert) foreign = gw_test_ca_new ("Foreign CA");
  GwTestCert *ca = stage->broker->ca;

  expect_refusal (stage, gw_test_cert_new (ca, GW_TEST_SERVER, "other.example", -3600, 3600),
                  GW_ERROR_NOT_TRUSTED, "it is for other.example");
  expect_refusal (stage, gw_test_cert_new (foreign, GW_TEST_SERVER, "localhost", -3600, 3600),
                  GW_ERROR_NOT_TRUSTED, "trust anchors");
  expect_refusal (stage, gw_test_cert_new (ca, GW_TEST_SERVER, "localhost", -7200, -3600),
                  GW_ERROR_NOT_TRUSTED, "expired");
  expect_refusal (stage, gw_test_cert_new (ca, GW_TEST_SERVER, "localhost", 3600, 7200), GW_ERROR_NOT_TRUSTED,
                  "not valid yet");
  expect_refusal (stage, gw_test_cert_new (ca, GW_TEST_CLIENT, "localhost", -3600, 3600),
                  GW_ERROR_NOT_TRUSTED, "not meant for TLS servers");
  gw_test_stage_free (stage);
}

/* By address: the certificate must carry the address. */
static void
test_broker_by_address (void)
{
  GwTestStage *stage = gw_test_stage_new_stopped ();
  GwUplinkConfig config = gw_test_stage_config (stage, NULL);
  GwTestEndpoint *a;

  config.host = "127.0.0.1";
  gw_test_broker_start (stage->broker);
  a = gw_test_endpoint_new (stage, "a", &config);
  gw_uplink_start (a->uplink);
  gw_test_endpoint_wait (a, GW_UPLINK_BACKOFF);
  expect_why (a, GW_ERROR_NOT_TRUSTED, "it is for localhost");
  gw_test_endpoint_free (a);

  gw_test_broker_stop (stage->broker);
  gw_test_broker_set_server (stage->broker,
                             gw_test_cert_new (stage->broker->ca, GW_TEST_SERVER, "127.0.0.1", -3600, 3600));
  gw_test_broker_start (stage->broker);
  a = gw_test_endpoint_new_online (stage, "a", &config);
  gw_test_endpoint_free (a);
  gw_test_stage_free (stage);
}

static void
test_broker_tls_12 (void)
{
  GwTestStage *stage = gw_test_stage_new_stopped ();

  stage->broker->openssl = g_strdup ("MaxProtocol = TLSv1.2");
  expect_refusal (stage, NULL, GW_ERROR_UNSUPPORTED, "does not speak TLS 1.3");
  gw_test_stage_free (stage);
}

/* A broker that takes anybody would take the endpoint without its name. */
static void
test_broker_asks_no_certificate (void)
{
  GwTestStage *stage = gw_test_stage_new_stopped ();

  stage->broker->anonymous = TRUE;
  expect_refusal (stage, NULL, GW_ERROR_NOT_TRUSTED, "did not ask for the endpoint's certificate");
  gw_test_stage_free (stage);
}

static void
test_broker_refuses_certificate (void)
{
  GwTestStage *stage = gw_test_stage_new ();
  GwTestEndpoint *a = gw_test_endpoint_new (stage, "a", NULL);
  g_autoptr (GwTestCert) foreign = gw_test_ca_new ("Foreign CA");
  GwUplinkCert chain;

  gw_test_cert_free (a->cert);
  a->cert = gw_test_cert_new (foreign, GW_TEST_CLIENT, "a", -3600, 3600);
  chain = (GwUplinkCert){ .der = a->cert->der.data, .len = a->cert->der.size };
  g_assert_true (gw_uplink_set_certificate (a->uplink, &chain, 1, NULL));
  gw_uplink_start (a->uplink);
  gw_test_endpoint_wait (a, GW_UPLINK_BACKOFF);
  g_test_message ("%s", a->why->message);
  g_assert_cmpuint (a->n_signed, ==, 1);
  g_assert_nonnull (strstr (a->why->message, "refuses the endpoint's certificate"));
  gw_test_endpoint_free (a);
  gw_test_stage_free (stage);
}

/* The broker accepts only a curve for which we send no key share: HelloRetryRequest, then all as usual. */
static void
test_hello_retry (void)
{
  GwTestStage *stage = gw_test_stage_new_stopped ();
  GwTestEndpoint *a;

  stage->broker->openssl = g_strdup ("Groups = P-521");
  gw_test_broker_start (stage->broker);
  a = gw_test_endpoint_new_online (stage, "a", NULL);
  g_assert_cmpuint (a->n_signed, ==, 1);
  publish (a, "t", "x", 1);
  gw_test_stage_wait_count (stage, &a->n_published, 1);
  gw_test_stage_wait_log (stage, "as a (p5, c1, k60, u'a')");

  /* And with a ticket that the next broker does not take: the second ClientHello has its binder. */
  gw_test_broker_stop (stage->broker);
  gw_test_endpoint_wait (a, GW_UPLINK_BACKOFF);
  gw_test_broker_start (stage->broker);
  gw_clock_advance (stage->clock, GW_UPLINK_BACKOFF_MAX);
  gw_test_endpoint_wait (a, GW_UPLINK_ONLINE);
  g_assert_cmpuint (a->n_signed, ==, 2);
  gw_test_endpoint_free (a);
  gw_test_stage_free (stage);
}

/* ---- a broker in the test's hands ---- */

typedef struct
{
  GwTestStage *stage;
  GwTestTlsServer *server;
  GwTestEndpoint *endpoint;
  int listener;
  gboolean talked; /* the client's CONNECT is there */
} Hands;

static gboolean
turn_of_hands (gpointer data)
{
  Hands *h = data;
  guint8 buffer[4096];
  int fd = accept4 (h->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

  if (fd >= 0)
    {
      gw_test_tls_server_accept (h->server, fd);
      h->talked = FALSE;
    }
  gw_test_tls_server_step (h->server);
  while (h->server->done && gnutls_record_recv (h->server->session, buffer, sizeof buffer) > 0)
    h->talked = TRUE;
  return G_SOURCE_CONTINUE;
}

static gboolean
has_talked (gpointer data)
{
  turn_of_hands (data);
  return ((Hands *)data)->talked;
}

static void
open_hands (Hands *h, const GwUplinkConfig *changes)
{
  struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  const int one = 1;
  GwUplinkConfig config;

  *h = (Hands){ .stage = gw_test_stage_new_stopped () };
  h->listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  setsockopt (h->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  name.sin_port = htons (h->stage->broker->port);
  g_assert_cmpint (bind (h->listener, (struct sockaddr *)&name, sizeof name), ==, 0);
  g_assert_cmpint (listen (h->listener, 8), ==, 0);
  h->server = gw_test_tls_server_new (h->stage->broker->server, h->stage->broker->ca);
  config = gw_test_stage_config (h->stage, "a");
  if (changes)
    {
      config.mqtt_version = changes->mqtt_version;
      config.subscriptions = changes->subscriptions;
    }
  h->endpoint = gw_test_endpoint_new (h->stage, "a", &config);
  gw_uplink_start (h->endpoint->uplink);
}

static void
wait_connect (Hands *h)
{
  g_autoptr (GSource) tick = g_timeout_source_new (1); /* the server's side is not on the loop */

  g_source_set_callback (tick, turn_of_hands, h, NULL);
  g_source_attach (tick, h->stage->context);
  gw_test_stage_wait (h->stage, has_talked, h);
  g_source_destroy (tick);
}

static void
say (Hands *h, const char *octets, gsize len)
{
  g_assert_cmpint (gnutls_record_send (h->server->session, octets, len), ==, (gssize)len);
}

#define SAY(h, octets) say (h, octets, sizeof octets - 1)

static void
close_hands (Hands *h)
{
  gw_test_endpoint_free (h->endpoint);
  gw_test_tls_server_free (h->server);
  close (h->listener);
  gw_test_stage_free (h->stage);
}

static void
test_no_connack (void)
{
  Hands h;

  open_hands (&h, NULL);
  wait_connect (&h);
  gw_clock_advance (h.stage->clock, GW_UPLINK_CONNACK_TIMEOUT - 1);
  gw_test_stage_settle (h.stage);
  g_assert_cmpint (gw_uplink_get_state (h.endpoint->uplink), ==, GW_UPLINK_CONNECTING);
  gw_clock_advance (h.stage->clock, 1);
  gw_test_endpoint_wait (h.endpoint, GW_UPLINK_BACKOFF);
  expect_why (h.endpoint, GW_ERROR_TIMEOUT, "does not answer to MQTT");
  close_hands (&h);
}

/* What the broker said in MQTT is the reason, not that it closed thereafter. */
static void
test_connack_refuses (void)
{
  const GwUplinkConfig old = { .mqtt_version = GW_UPLINK_MQTT_3_1_1 };
  Hands h;

  open_hands (&h, NULL);
  wait_connect (&h);
  SAY (&h, "\x20\x03\x00\x87\x00");
  gnutls_bye (h.server->session, GNUTLS_SHUT_WR);
  gw_test_endpoint_wait (h.endpoint, GW_UPLINK_BACKOFF);
  expect_why (h.endpoint, GW_ERROR_NOT_AUTHORIZED, "ot authori");
  g_assert_cmpstr (h.endpoint->states->str, ==, "connecting signing connecting backoff");
  close_hands (&h);

  open_hands (&h, &old);
  wait_connect (&h);
  SAY (&h, "\x20\x02\x00\x05");
  gw_test_endpoint_wait (h.endpoint, GW_UPLINK_BACKOFF);
  expect_why (h.endpoint, GW_ERROR_NOT_AUTHORIZED, "ot authori");
  close_hands (&h);
}

/* The same for a DISCONNECT: here, that somebody else came under this client id. */
static void
test_broker_says_why (void)
{
  Hands h;

  open_hands (&h, NULL);
  wait_connect (&h);
  SAY (&h, "\x20\x03\x00\x00\x00");
  gw_test_endpoint_wait (h.endpoint, GW_UPLINK_ONLINE);
  SAY (&h, "\xe0\x02\x8e\x00");
  gnutls_bye (h.server->session, GNUTLS_SHUT_WR);
  gw_test_endpoint_wait (h.endpoint, GW_UPLINK_BACKOFF);
  expect_why (h.endpoint, GW_ERROR_OFFLINE, "Session taken over");
  close_hands (&h);
}

static gboolean
has_reason (gpointer data)
{
  Hands *h = data;

  return gw_uplink_get_reason (h->endpoint->uplink) != NULL;
}

static void
test_subscription_refused (void)
{
  static const char *const topics[] = { "t", NULL };
  const GwUplinkConfig config = { .subscriptions = topics };
  Hands h;

  open_hands (&h, &config);
  wait_connect (&h);
  SAY (&h, "\x20\x03\x00\x00\x00");
  gw_test_endpoint_wait (h.endpoint, GW_UPLINK_ONLINE);
  SAY (&h, "\x90\x04\x00\x01\x00\x87");
  gw_test_stage_wait (h.stage, has_reason, &h);
  g_assert_cmpint (gw_uplink_get_state (h.endpoint->uplink), ==, GW_UPLINK_ONLINE);
  g_assert_nonnull (strstr (gw_uplink_get_reason (h.endpoint->uplink), "refuses a subscription"));
  close_hands (&h);
}

/* Octets that would make libmosquitto abort the process, and a packet that would make it allocate 256 MiB. */
static void
test_hostile_broker (void)
{
  Hands h;

  open_hands (&h, NULL);
  wait_connect (&h);
  SAY (&h, "\x20\x03\x00\x00\x00");
  gw_test_endpoint_wait (h.endpoint, GW_UPLINK_ONLINE);
  SAY (&h, "\x30\x06\x00\x01t\x02\x2f\x00");
  gw_test_endpoint_wait (h.endpoint, GW_UPLINK_BACKOFF);
  expect_why (h.endpoint, GW_ERROR_LIMIT, "no MQTT packet");

  gw_clock_advance (h.stage->clock, GW_UPLINK_BACKOFF_MIN);
  h.talked = FALSE;
  wait_connect (&h);
  SAY (&h, "\x20\x03\x00\x00\x00\x30\xff\xff\xff\x7f");
  gw_test_endpoint_wait (h.endpoint, GW_UPLINK_BACKOFF);
  expect_why (h.endpoint, GW_ERROR_LIMIT, "over 65536 octets");
  close_hands (&h);
}

/* ---- numbers ---- */

/* Octets that this process's sockets hold in the kernel. */
static guint64
socket_memory (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  guint64 sum = 0;
  const char *name;

  while ((name = g_dir_read_name (dir)))
    {
      guint32 mem[SK_MEMINFO_VARS] = { 0 };
      socklen_t len = sizeof mem;

      if (getsockopt (atoi (name), SOL_SOCKET, SO_MEMINFO, mem, &len) == 0)
        sum += mem[SK_MEMINFO_RMEM_ALLOC] + mem[SK_MEMINFO_WMEM_ALLOC] + mem[SK_MEMINFO_FWD_ALLOC]
               + mem[SK_MEMINFO_WMEM_QUEUED] + mem[SK_MEMINFO_OPTMEM];
    }
  return sum;
}

static void
test_kernel_memory (void)
{
  GwTestStage *stage = gw_test_stage_new ();
  GwTestEndpoint *a = gw_test_endpoint_new_online (stage, "a", NULL);
  guint64 used;

  for (guint i = 1; i <= 1000; i++)
    {
      publish (a, "t", "some payload of a usual size, say a hundred octets", i);
      gw_test_stage_wait_count (stage, &a->n_published, i);
    }
  gw_test_stage_settle (stage);
  used = socket_memory ();
  g_test_message ("kernel socket memory of the client after 1,000 publishes: %" G_GUINT64_FORMAT " octets",
                  used);
  g_assert_cmpuint (gw_mqtt_n_untamed (), ==, 0);
  g_assert_cmpuint (used, <=, 8192);
  gw_test_endpoint_free (a);
  gw_test_stage_free (stage);
}

static guint64
resident (void)
{
  g_autofree char *text = NULL;
  guint64 pages;

  g_assert_true (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL));
  pages = g_ascii_strtoull (strchr (text, ' '), NULL, 10);
  return pages * 4096;
}

static gint64
cpu_time (void)
{
  struct rusage usage;

  getrusage (RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * G_USEC_PER_SEC + usage.ru_utime.tv_usec
         + usage.ru_stime.tv_usec;
}

static gboolean
all_signing (gpointer data)
{
  GwTestEndpoint **e = data;

  for (; *e; e++)
    if (gw_uplink_get_state ((*e)->uplink) != GW_UPLINK_SIGNING)
      return FALSE;
  return TRUE;
}

static gboolean
all_online (gpointer data)
{
  GwTestEndpoint **e = data;

  for (; *e; e++)
    if (gw_uplink_get_state ((*e)->uplink) != GW_UPLINK_ONLINE)
      return FALSE;
  return TRUE;
}

/* A hundred signatures late at once: no thread, and the one that is online goes on as if nothing were. */
static void
test_hundred_late (void)
{
  enum
  {
    N = 100
  };
  GwTestStage *stage = gw_test_stage_new ();
  GwTestEndpoint *online = gw_test_endpoint_new_online (stage, "online", NULL);
  GwTestEndpoint *e[N + 1] = { NULL };
  guint threads = gw_test_n_threads ();
  guint64 rss;
  gint64 cpu;

  for (guint i = 0; i < N; i++)
    {
      g_autofree char *name = g_strdup_printf ("late-%u", i);

      e[i] = gw_test_endpoint_new (stage, name, NULL);
      e[i]->signing = GW_TEST_SIGN_HOLD;
    }
  rss = resident ();
  cpu = cpu_time ();
  for (guint i = 0; i < N; i++)
    gw_uplink_start (e[i]->uplink);

  /* While the storm comes up, and while it hangs. */
  for (guint i = 1; i <= 50; i++)
    {
      publish (online, "t", "x", i);
      gw_test_stage_wait_count (stage, &online->n_published, i);
    }
  gw_test_stage_wait (stage, all_signing, e);
  g_assert_cmpuint (gw_test_n_threads (), <=, threads);
  for (guint i = 51; i <= 100; i++)
    {
      publish (online, "t", "x", i);
      gw_test_stage_wait_count (stage, &online->n_published, i);
    }
  g_assert_cmpuint (gw_uplink_hub_handshakes (stage->hub), ==, N);

  for (guint i = 0; i < N; i++)
    gw_test_endpoint_release (e[N - 1 - i]);
  gw_test_stage_wait (stage, all_online, e);
  cpu = cpu_time () - cpu;
  g_assert_cmpuint (gw_test_n_threads (), <=, threads);
  g_test_message ("100 uplinks: %" G_GINT64_FORMAT
                  " us CPU (the test's signature included) and %" G_GUINT64_FORMAT " octets RSS each",
                  cpu / N, (resident () - rss) / N);
  for (guint i = 0; i < N; i++)
    gw_test_endpoint_free (e[i]);
  gw_test_endpoint_free (online);
  gw_test_stage_free (stage);
}

/* More than may shake hands at a time: the rest waits, and all come through. */
static void
test_handshake_places (void)
{
  enum
  {
    N = GW_UPLINK_MAX_HANDSHAKES + 20
  };
  GwTestStage *stage = gw_test_stage_new ();
  g_autofree GwTestEndpoint **e = g_new0 (GwTestEndpoint *, N + 1);

  for (guint i = 0; i < N; i++)
    {
      g_autofree char *name = g_strdup_printf ("p-%u", i);

      e[i] = gw_test_endpoint_new (stage, name, NULL);
      e[i]->signing = i < 5 ? GW_TEST_SIGN_HOLD : GW_TEST_SIGN_NOW;
      gw_uplink_start (e[i]->uplink);
    }
  g_assert_cmpuint (gw_uplink_hub_handshakes (stage->hub), ==, GW_UPLINK_MAX_HANDSHAKES);
  g_assert_cmpstr (gw_uplink_get_reason (e[N - 1]->uplink), ==,
                   "Waiting for its turn among the TLS handshakes");
  g_clear_pointer (&e[N - 2]->uplink, gw_uplink_free); /* one leaves the queue */
  gw_test_stage_wait (stage, all_online, (GwTestEndpoint *[]){ e[5], e[100], e[N - 3], e[N - 1], NULL });
  gw_test_stage_wait (stage, all_signing, (GwTestEndpoint *[]){ e[0], e[1], e[2], e[3], e[4], NULL });
  for (guint i = 0; i < 5; i++)
    gw_test_endpoint_release (e[i]);
  gw_test_stage_wait (stage, all_online, (GwTestEndpoint *[]){ e[0], e[1], e[2], e[3], e[4], NULL });
  for (guint i = 0; i < N; i++)
    gw_test_endpoint_free (e[i]);
  gw_test_stage_free (stage);
}

int
main (int argc, char **argv)
{
  struct rlimit files;

  getrlimit (RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit (RLIMIT_NOFILE, &files);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/uplink/online", test_online);
  g_test_add_func ("/uplink/properties", test_properties);
  g_test_add_func ("/uplink/mqtt-3.1.1", test_mqtt_311);
  g_test_add_func ("/uplink/window", test_window);
  g_test_add_func ("/uplink/refused-publish", test_refused_publish);
  g_test_add_func ("/uplink/last-will", test_last_will);
  g_test_add_func ("/uplink/signature/late", test_late_signature);
  g_test_add_func ("/uplink/signature/wrong", test_wrong_signature);
  g_test_add_func ("/uplink/signature/refused", test_refused_signature);
  g_test_add_func ("/uplink/signature/never", test_no_signature);
  g_test_add_func ("/uplink/suspended/unplug", test_unplug_while_suspended);
  g_test_add_func ("/uplink/suspended/exit", test_exit_while_suspended);
  g_test_add_func ("/uplink/suspended/broker-hangs-up", test_broker_hangs_up_while_suspended);
  g_test_add_func ("/uplink/free-in-events", test_free_in_events);
  g_test_add_func ("/uplink/broker/restarted", test_broker_restarted);
  g_test_add_func ("/uplink/broker/not-trusted", test_broker_not_trusted);
  g_test_add_func ("/uplink/broker/by-address", test_broker_by_address);
  g_test_add_func ("/uplink/broker/tls-1.2", test_broker_tls_12);
  g_test_add_func ("/uplink/broker/asks-no-certificate", test_broker_asks_no_certificate);
  g_test_add_func ("/uplink/broker/refuses-certificate", test_broker_refuses_certificate);
  g_test_add_func ("/uplink/broker/hello-retry", test_hello_retry);
  g_test_add_func ("/uplink/broker/says-why", test_broker_says_why);
  g_test_add_func ("/uplink/broker/no-connack", test_no_connack);
  g_test_add_func ("/uplink/broker/connack-refuses", test_connack_refuses);
  g_test_add_func ("/uplink/broker/subscription-refused", test_subscription_refused);
  g_test_add_func ("/uplink/broker/hostile", test_hostile_broker);
  g_test_add_func ("/uplink/resumption", test_resumption);
  g_test_add_func ("/uplink/drain", test_drain);
  g_test_add_func ("/uplink/kernel-memory", test_kernel_memory);
  g_test_add_func ("/uplink/hundred-late", test_hundred_late);
  g_test_add_func ("/uplink/handshake-places", test_handshake_places);
  return g_test_run ();
}
