// SPDX-License-Identifier: LGPL-2.1-or-later
#include "gw-test-uplink.h"

#include <string.h>

#define PATIENCE 180 /* seconds of real time; only for tests that fail */

/* ---- the endpoint's events ---- */

static void
free_uplink (GwTestEndpoint *self)
{
  g_clear_pointer (&self->uplink, gw_uplink_free);
}

void
gw_test_endpoint_release (GwTestEndpoint *self)
{
  gsize len;
  g_autofree guint8 *sig = gw_test_cert_sign (self->cert, self->th, self->th_len, &len);

  if (self->signing == GW_TEST_SIGN_WRONG)
    sig[len - 1] ^= 1;
  gw_uplink_signed (self->uplink, self->serial, sig, len, NULL);
}

static void
on_sign (GwUplink *uplink, guint32 serial, const guint8 *th, gsize th_len, gpointer data)
{
  GwTestEndpoint *self = data;

  g_assert_cmpuint (th_len, ==, 32);
  self->n_signed++;
  self->serial = serial;
  memcpy (self->th, th, th_len);
  self->th_len = th_len;
  if (self->free_in_sign)
    free_uplink (self);
  else if (self->signing == GW_TEST_SIGN_NOW || self->signing == GW_TEST_SIGN_WRONG)
    gw_test_endpoint_release (self);
}

static void
on_state (GwUplink *uplink, GwUplinkState state, const GError *why, gpointer data)
{
  GwTestEndpoint *self = data;

  g_string_append_printf (self->states, "%s%s", self->states->len ? " " : "",
                          gw_uplink_state_to_string (state));
  g_clear_error (&self->why);
  if (why)
    self->why = g_error_copy (why);
  if (self->free_in_state && self->free_state == state)
    free_uplink (self);
}

static void
on_published (GwUplink *uplink, guint64 cookie, const GError *error, gpointer data)
{
  GwTestEndpoint *self = data;

  self->n_published++;
  self->n_refused += error != NULL;
  self->last_cookie = cookie;
  if (self->free_in_published)
    free_uplink (self);
}

static void
on_message (GwUplink *uplink, const GwUplinkMessage *message, gpointer data)
{
  GwTestEndpoint *self = data;

  self->n_messages++;
  g_free (self->topic);
  g_free (self->payload);
  g_free (self->response_topic);
  g_free (self->correlation);
  self->topic = g_strdup (message->topic);
  self->payload = g_strndup ((const char *)message->payload, message->payload_len);
  self->response_topic = g_strdup (message->response_topic);
  self->correlation = message->correlation
                          ? g_strndup ((const char *)message->correlation, message->correlation_len)
                          : NULL;
  if (self->free_in_message)
    free_uplink (self);
}

static void
on_ready (GwUplink *uplink, gpointer data)
{
  ((GwTestEndpoint *)data)->n_ready++;
}

static const GwUplinkEvents events = {
  .sign = on_sign,
  .state = on_state,
  .published = on_published,
  .message = on_message,
  .ready = on_ready,
};

/* ---- stage ---- */

GwTestStage *
gw_test_stage_new_stopped (void)
{
  GwTestStage *self = g_new0 (GwTestStage, 1);
  g_autoptr (GError) error = NULL;

  self->context = g_main_context_new ();
  self->clock = gw_clock_new_mock (G_USEC_PER_SEC, g_get_real_time ());
  self->loop = gw_loop_new (self->context, self->clock);
  self->broker = gw_test_broker_new ();
  self->hub = gw_uplink_hub_new (self->loop, g_get_tmp_dir (), &error);
  g_assert_no_error (error);
  return self;
}

GwTestStage *
gw_test_stage_new (void)
{
  GwTestStage *self = gw_test_stage_new_stopped ();

  gw_test_broker_start (self->broker);
  return self;
}

void
gw_test_stage_free (GwTestStage *self)
{
  gw_uplink_hub_free (self->hub);
  gw_loop_free (self->loop);
  gw_clock_unref (self->clock);
  gw_test_broker_free (self->broker);
  g_main_context_unref (self->context);
  g_free (self);
}

static gboolean
on_patience_over (gpointer data)
{
  *(gboolean *)data = TRUE;
  return G_SOURCE_REMOVE;
}

void
gw_test_stage_wait (GwTestStage *self, GwTestCondition condition, gpointer data)
{
  g_autoptr (GSource) patience = g_timeout_source_new_seconds (PATIENCE);
  gboolean over = FALSE;

  g_source_set_callback (patience, on_patience_over, &over, NULL);
  g_source_attach (patience, self->context);
  while (!condition (data))
    {
      g_main_context_iteration (self->context, TRUE);
      if (over)
        {
          g_autofree char *log = gw_test_broker_read_log (self->broker);

          g_error ("waited in vain; the broker's log:\n%s", log);
        }
    }
  g_source_destroy (patience);
}

typedef struct
{
  gconstpointer object;
  guint value;
  const char *text;
} Wanted;

static gboolean
is_in_state (gpointer data)
{
  Wanted *wanted = data;
  const GwTestEndpoint *endpoint = wanted->object;

  return gw_uplink_get_state (endpoint->uplink) == wanted->value
         && g_str_has_suffix (endpoint->states->str, gw_uplink_state_to_string (wanted->value));
}

void
gw_test_endpoint_wait (GwTestEndpoint *self, GwUplinkState state)
{
  gw_test_stage_wait (self->stage, is_in_state, &(Wanted){ .object = self, .value = state });
}

static gboolean
has_counted (gpointer data)
{
  Wanted *wanted = data;

  return *(const guint *)wanted->object >= wanted->value;
}

void
gw_test_stage_wait_count (GwTestStage *self, const guint *counter, guint value)
{
  gw_test_stage_wait (self, has_counted, &(Wanted){ .object = counter, .value = value });
}

static gboolean
has_logged (gpointer data)
{
  Wanted *wanted = data;
  g_autofree char *log = gw_test_broker_read_log ((GwTestBroker *)wanted->object);

  return strstr (log, wanted->text) != NULL;
}

static gboolean
on_tick (gpointer data)
{
  return G_SOURCE_CONTINUE;
}

void
gw_test_stage_wait_log (GwTestStage *self, const char *text)
{
  g_autoptr (GSource) tick = g_timeout_source_new (5); /* another process writes: look again now and then */

  g_source_set_callback (tick, on_tick, NULL, NULL);
  g_source_attach (tick, self->context);
  gw_test_stage_wait (self, has_logged, &(Wanted){ .object = self->broker, .text = text });
  g_source_destroy (tick);
}

void
gw_test_stage_settle (GwTestStage *self)
{
  while (g_main_context_iteration (self->context, FALSE))
    ;
}

/* ---- endpoints ---- */

GwUplinkConfig
gw_test_stage_config (GwTestStage *self, const char *name)
{
  return (GwUplinkConfig){
    .host = "localhost",
    .port = self->broker->port,
    .trust_anchors = self->broker->ca_path,
    .client_id = name,
  };
}

GwTestEndpoint *
gw_test_endpoint_new (GwTestStage *stage, const char *name, const GwUplinkConfig *config)
{
  GwTestEndpoint *self = g_new0 (GwTestEndpoint, 1);
  GwUplinkConfig actual = config ? *config : gw_test_stage_config (stage, name);
  g_autoptr (GError) error = NULL;
  GwUplinkCert chain;

  self->stage = stage;
  self->name = g_strdup (name);
  self->states = g_string_new (NULL);
  self->cert = gw_test_cert_new (stage->broker->ca, GW_TEST_CLIENT, name, -3600, 86400);
  chain = (GwUplinkCert){ .der = self->cert->der.data, .len = self->cert->der.size };
  actual.client_id = name;
  actual.chain = &chain;
  actual.n_chain = 1;
  self->uplink = gw_uplink_new (stage->hub, &actual, &events, self, &error);
  g_assert_no_error (error);
  return self;
}

GwTestEndpoint *
gw_test_endpoint_new_online (GwTestStage *stage, const char *name, const GwUplinkConfig *config)
{
  GwTestEndpoint *self = gw_test_endpoint_new (stage, name, config);

  gw_uplink_start (self->uplink);
  gw_test_endpoint_wait (self, GW_UPLINK_ONLINE);
  return self;
}

void
gw_test_endpoint_free (GwTestEndpoint *self)
{
  free_uplink (self);
  gw_test_cert_free (self->cert);
  g_clear_error (&self->why);
  g_string_free (self->states, TRUE);
  g_free (self->topic);
  g_free (self->payload);
  g_free (self->response_topic);
  g_free (self->correlation);
  g_free (self->name);
  g_free (self);
}

guint
gw_test_n_threads (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/task", 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir))
    n++;
  return n;
}
