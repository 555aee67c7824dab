/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A virtual endpoint in a session: a bare GnuTLS server takes it over as its owner, acknowledges reports, and
 * is lied to. Datagrams go through queues, the endpoint's clock is the test's. */

#include <gnutls/dtls.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>

#include "gw-data-codec.h"
#include "gw-ident-codec.h"
#include "gw-sim-endpoint.h"
#include "gw-sim-lie.h"
#include "gw-status.h"
#include "sim-rig.h"

#define PRIORITY                                                                                             \
  "NONE:+VERS-DTLS1.2:+AES-128-GCM:+AEAD:+ECDHE-ECDSA:+SIGN-ECDSA-SHA256:+GROUP-SECP256R1:+COMP-NULL:+"      \
  "CTYPE-X509"

/* Bounds a step of 10 ms where each acknowledgement brings the next report. */
#define DATAGRAMS_PER_STEP 100

typedef struct
{
  SimRig rig;
  GwSimEndpoint *endpoint;

  GQueue to_gateway, to_endpoint; /* of GBytes */
  gnutls_x509_privkey_t key;
  gnutls_x509_crt_t crt;
  gnutls_certificate_credentials_t credentials;
  gnutls_session_t server;
  gboolean up;
  guint8 seq;
  GBytes *answer; /* the last response */

  gboolean acknowledges;
  guint reports, events, bad; /* bad: records that are not what the protocol allows */
  guint8 last_boot[GW_DATA_BOOT_LEN];
} Fixture;

static void
check (int rc)
{
  if (rc < 0)
    g_error ("GnuTLS: %s", gnutls_strerror (rc));
}

/* ---- The gateway ---- */

static gssize
push (gnutls_transport_ptr_t data, const void *octets, size_t len)
{
  Fixture *f = data;

  g_queue_push_tail (&f->to_endpoint, g_bytes_new (octets, len));
  return len;
}

static gssize
pull (gnutls_transport_ptr_t data, void *octets, size_t size)
{
  Fixture *f = data;
  g_autoptr (GBytes) datagram = g_queue_pop_head (&f->to_gateway);
  gsize len;

  if (!datagram)
    {
      gnutls_transport_set_errno (f->server, EAGAIN);
      return -1;
    }
  len = MIN (g_bytes_get_size (datagram), size);
  memcpy (octets, g_bytes_get_data (datagram, NULL), len);
  return len;
}

static int
pull_timeout (gnutls_transport_ptr_t data, unsigned ms)
{
  Fixture *f = data;

  return !g_queue_is_empty (&f->to_gateway);
}

static void
make_certificate (Fixture *f)
{
  static const guint8 serial[] = { 1 };

  check (gnutls_x509_privkey_init (&f->key));
  check (gnutls_x509_privkey_generate (f->key, GNUTLS_PK_ECDSA,
                                       GNUTLS_CURVE_TO_BITS (GNUTLS_ECC_CURVE_SECP256R1), 0));
  check (gnutls_x509_crt_init (&f->crt));
  check (gnutls_x509_crt_set_version (f->crt, 3));
  check (gnutls_x509_crt_set_serial (f->crt, serial, sizeof serial));
  check (gnutls_x509_crt_set_dn (f->crt, "CN=gateway", NULL));
  check (gnutls_x509_crt_set_activation_time (f->crt, 1600000000));
  check (gnutls_x509_crt_set_expiration_time (f->crt, 4000000000));
  check (gnutls_x509_crt_set_key (f->crt, f->key));
  check (gnutls_x509_crt_set_basic_constraints (f->crt, 1, -1));
  check (gnutls_x509_crt_set_key_purpose_oid (f->crt, GNUTLS_KP_TLS_WWW_SERVER, 0));
  check (gnutls_x509_crt_sign2 (f->crt, f->crt, f->key, GNUTLS_DIG_SHA256, 0));
  check (gnutls_certificate_allocate_credentials (&f->credentials));
  check (gnutls_certificate_set_x509_key (f->credentials, &f->crt, 1, f->key));
}

static void
start_server (Fixture *f)
{
  if (f->server)
    gnutls_deinit (f->server);
  check (gnutls_init (&f->server, GNUTLS_SERVER | GNUTLS_DATAGRAM | GNUTLS_NONBLOCK));
  check (gnutls_priority_set_direct (f->server, PRIORITY, NULL));
  check (gnutls_credentials_set (f->server, GNUTLS_CRD_CERTIFICATE, f->credentials));
  gnutls_certificate_server_set_request (f->server, GNUTLS_CERT_REQUIRE);
  gnutls_certificate_send_x509_rdn_sequence (f->server, 1);
  gnutls_dtls_set_mtu (f->server, 512);
  gnutls_transport_set_ptr (f->server, f);
  gnutls_transport_set_push_function (f->server, push);
  gnutls_transport_set_pull_function (f->server, pull);
  gnutls_transport_set_pull_timeout_function (f->server, pull_timeout);
  f->up = FALSE;
  f->seq = 0;
}

static void
acknowledge (Fixture *f, const GwSmpMessage *request, const guint8 boot[GW_DATA_BOOT_LEN], guint64 seq)
{
  GwDataAck ack = { .seq = seq };
  guint8 message[128];
  GwCborWriter w;
  gsize len;

  memcpy (ack.boot, boot, sizeof ack.boot);
  gw_smp_begin_response (&w, message, sizeof message, request);
  gw_data_ack_encode (&ack, &w);
  g_assert_cmpint (gw_smp_end (&w, &len), ==, GW_OK);
  g_assert_cmpint (gnutls_record_send (f->server, message, len), ==, len);
}

static void
take_record (Fixture *f, const guint8 *data, gsize len)
{
  GwSmpMessage smp;
  GwDataReport report;
  GwDataEvent event;

  if (gw_smp_decode (data, len, &smp) != GW_OK)
    f->bad++;
  else if (!gw_smp_is_request (&smp))
    {
      g_clear_pointer (&f->answer, g_bytes_unref);
      f->answer = g_bytes_new (data, len);
    }
  else if (smp.command == GW_DATA_EVENT && gw_data_event_decode (smp.body, &event) == GW_OK)
    {
      f->events++;
      acknowledge (f, &smp, event.boot, event.seq);
    }
  else if (gw_data_report_decode (smp.body, &report) != GW_OK)
    f->bad++;
  else
    {
      f->reports++;
      memcpy (f->last_boot, report.boot, sizeof f->last_boot);
      if (f->acknowledges)
        acknowledge (f, &smp, report.boot, report.seq);
    }
}

static void
run_server (Fixture *f)
{
  guint8 data[2048];
  gssize n;

  if (!f->up)
    {
      int rc = gnutls_handshake (f->server);

      if (rc != 0 && gnutls_error_is_fatal (rc))
        g_error ("GnuTLS: %s", gnutls_strerror (rc));
      f->up = rc == 0;
    }
  while (f->up && (n = gnutls_record_recv (f->server, data, sizeof data)) > 0)
    take_record (f, data, n);
}

static void
pass (Fixture *f, gint64 ms)
{
  for (gint64 t = 0; t < ms; t += 10)
    {
      sim_rig_jump (&f->rig, 10 * 1000);
      for (guint n = 0; n < DATAGRAMS_PER_STEP
                        && !(g_queue_is_empty (&f->to_gateway) && g_queue_is_empty (&f->to_endpoint));
           n++)
        {
          g_autoptr (GBytes) datagram = g_queue_pop_head (&f->to_endpoint);

          if (datagram)
            gw_sim_endpoint_input (f->endpoint, g_bytes_get_data (datagram, NULL),
                                   g_bytes_get_size (datagram));
          else
            run_server (f);
        }
    }
}

/* Sends the request that `w` holds; the endpoint must answer it. */
static void
request (Fixture *f, GwCborWriter *w)
{
  GwSmpMessage smp;
  GwSmpResult result;
  gsize len;

  g_assert_cmpint (gw_smp_end (w, &len), ==, GW_OK);
  g_clear_pointer (&f->answer, g_bytes_unref);
  g_assert_cmpint (gnutls_record_send (f->server, w->buf, len), ==, len);
  pass (f, 20);
  g_assert_nonnull (f->answer);
  g_assert_cmpint (gw_smp_decode (g_bytes_get_data (f->answer, NULL), g_bytes_get_size (f->answer), &smp), ==,
                   GW_OK);
  g_assert_cmpint (gw_smp_result_decode (smp.body, &result), ==, GW_OK);
  g_assert_cmpuint (result.rc, ==, 0);
}

static void
take_ownership (Fixture *f)
{
  GwIdentOwnReq own = { .mode = GW_IDENT_OWN_FIRST_USE };
  GwIdentAnchor anchor = { .kind = GW_IDENT_ANCHOR_OWNER_CA, .part.has_len = true, .part.has_sha = true };
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  gsize n = sizeof own.sha;
  guint8 message[512];
  gnutls_datum_t der;
  GwCborWriter w;

  check (gnutls_x509_crt_export2 (f->crt, GNUTLS_X509_FMT_DER, &der));
  g_checksum_update (sum, der.data, der.size);
  g_checksum_get_digest (sum, own.sha, &n);
  memcpy (anchor.part.sha, own.sha, sizeof own.sha);
  anchor.part.len = der.size;
  for (guint off = 0; off < der.size; off += 300)
    {
      anchor.part.off = off;
      anchor.part.has_len = anchor.part.has_sha = off == 0;
      anchor.part.data = (GwBytes){ der.data + off, MIN (300, der.size - off) };
      gw_smp_begin (&w, message, sizeof message, GW_SMP_OP_WRITE, GW_SMP_GROUP_IDENT, f->seq++,
                    GW_IDENT_ANCHOR);
      gw_ident_anchor_encode (&anchor, &w);
      request (f, &w);
    }
  gnutls_free (der.data);
  gw_smp_begin (&w, message, sizeof message, GW_SMP_OP_WRITE, GW_SMP_GROUP_IDENT, f->seq++, GW_IDENT_OWN);
  gw_ident_own_req_encode (&own, &w);
  request (f, &w);
}

/* ---- The fixture ---- */

static gboolean
send_datagram (const guint8 *datagram, gsize len, gpointer data)
{
  Fixture *f = data;

  g_queue_push_tail (&f->to_gateway, g_bytes_new (datagram, len));
  return TRUE;
}

static const GwSimCarrier carrier = { .send = send_datagram };

static void
set_up (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  GwSimEndpointConfig config = { .manufacturer = "Gangway", .model = "SIM-1", .firmware = "1" };
  g_autofree char *flash = NULL;

  sim_rig_init (&f->rig);
  config.loop = f->rig.loop;
  flash = g_build_filename (f->rig.folder, "flash", NULL);
  f->endpoint = gw_sim_endpoint_new (&config, "S1", 1, gw_sim_puf_new_model (1, &GW_SIM_PUF_MODEL_DEFAULT),
                                     flash, &error);
  g_assert_no_error (error);
  gw_sim_endpoint_set_carrier (f->endpoint, &carrier, f);
  f->acknowledges = TRUE;
  make_certificate (f);
  start_server (f);
  gw_sim_endpoint_power_on (f->endpoint, &error);
  g_assert_no_error (error);
  pass (f, 100);
  g_assert_true (f->up);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  gw_sim_endpoint_free (f->endpoint);
  gnutls_deinit (f->server);
  gnutls_certificate_free_credentials (f->credentials);
  gnutls_x509_crt_deinit (f->crt);
  gnutls_x509_privkey_deinit (f->key);
  g_queue_clear_full (&f->to_gateway, (GDestroyNotify)g_bytes_unref);
  g_queue_clear_full (&f->to_endpoint, (GDestroyNotify)g_bytes_unref);
  g_clear_pointer (&f->answer, g_bytes_unref);
  sim_rig_clear (&f->rig);
}

static gint64
get_status (Fixture *f, const char *name)
{
  json_t *status = gw_sim_endpoint_status (f->endpoint), *value = json_object_get (status, name);
  gint64 n = json_is_boolean (value) ? json_is_true (value) : json_integer_value (value);

  json_decref (status);
  return n;
}

/* The acknowledged reports as text: "BOOT:first-last,..;BOOT:.." with the boot's number for its token. */
static char *
list_acknowledged (Fixture *f)
{
  json_t *answer = gw_sim_endpoint_acknowledged (f->endpoint), *boot, *range;
  GString *text = g_string_new (NULL);
  size_t i, k;

  json_array_foreach (json_object_get (answer, "boots"), i, boot)
  {
    g_string_append_printf (text, "%zu:", i);
    json_array_foreach (json_object_get (boot, "q"), k, range)
        g_string_append_printf (text, "%d-%d,", (int)json_integer_value (json_array_get (range, 0)),
                                (int)json_integer_value (json_array_get (range, 1)));
  }
  json_decref (answer);
  return g_string_free (text, FALSE);
}

/* ---- Tests ---- */

static void
test_production (Fixture *f, gconstpointer data)
{
  g_autofree char *acked = NULL, *expected = NULL;

  gw_sim_endpoint_set_rate (f->endpoint, 10);
  pass (f, 1000);
  g_assert_cmpint (get_status (f, "session"), ==, TRUE);
  g_assert_cmpint (get_status (f, "last_q"), ==, 0); /* nobody owns it */
  take_ownership (f);
  pass (f, 2000);
  g_assert_cmpint (get_status (f, "owned"), ==, TRUE);
  g_assert_cmpuint (f->reports, >=, 19);
  g_assert_cmpuint (f->reports, <=, 22);
  g_assert_cmpint (get_status (f, "acked"), ==, f->reports);

  gw_sim_endpoint_set_rate (f->endpoint, 0);
  pass (f, 1000);
  expected = g_strdup_printf ("0:1-%u,", f->reports);
  acked = list_acknowledged (f);
  g_assert_cmpstr (acked, ==, expected);
}

/* A gateway that does not acknowledge: reports wait, and none counts as acknowledged; after a power cycle a
 * new boot begins. */
static void
test_not_acknowledged (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *before = NULL, *after = NULL;
  guint8 boot[GW_DATA_BOOT_LEN];

  take_ownership (f);
  gw_sim_endpoint_set_rate (f->endpoint, 10);
  pass (f, 500);
  f->acknowledges = FALSE;
  pass (f, 500);
  before = list_acknowledged (f);
  pass (f, 500);
  after = list_acknowledged (f);
  g_assert_cmpstr (after, ==, before);
  g_assert_cmpint (get_status (f, "pending"), >=, 5);

  memcpy (boot, f->last_boot, sizeof boot);
  gw_sim_endpoint_power_off (f->endpoint);
  start_server (f);
  f->acknowledges = TRUE;
  gw_sim_endpoint_power_on (f->endpoint, &error);
  g_assert_no_error (error);
  pass (f, 1000);
  g_assert_cmpint (get_status (f, "pending"), <=, 1);
  g_assert_cmpint (memcmp (boot, f->last_boot, sizeof boot), !=, 0);
  g_free (g_steal_pointer (&after));
  after = list_acknowledged (f);
  g_assert_true (g_str_has_prefix (after, before));
  g_assert_nonnull (strstr (after, "1:1-"));
}

/* At the rate `max` the next reports are there as soon as one is acknowledged. */
static void
test_max_rate (Fixture *f, gconstpointer data)
{
  take_ownership (f);
  gw_sim_endpoint_set_rate (f->endpoint, GW_SIM_RATE_MAX);
  pass (f, 200);
  g_assert_cmpuint (f->reports, >, 200);
  f->acknowledges = FALSE;
  pass (f, 200);
  g_assert_cmpint (get_status (f, "pending"), <=, 10);
}

/* Events take numbers, too, but are not counted as reports. */
static void
test_event (Fixture *f, gconstpointer data)
{
  g_autofree char *acked = NULL;

  take_ownership (f);
  gw_sim_endpoint_set_rate (f->endpoint, 10);
  pass (f, 250);
  g_assert_cmpuint (f->reports, ==, 2);
  g_assert_true (gw_sim_endpoint_event (f->endpoint, 4, 17, "valve stuck"));
  pass (f, 250);
  g_assert_cmpuint (f->events, ==, 1);
  g_assert_cmpuint (f->reports, ==, 5);
  acked = list_acknowledged (f);
  g_assert_cmpstr (acked, ==, "0:1-2,4-6,");
}

static void
test_lies_inside (Fixture *f, gconstpointer data)
{
  static const GwSimLie lies[] = { GW_SIM_LIE_LENGTHS, GW_SIM_LIE_CBOR };
  guint8 message[64];
  GwSmpMessage smp;
  GwCborWriter w;
  gsize len;

  take_ownership (f);
  for (guint i = 0; i < G_N_ELEMENTS (lies); i++)
    {
      guint before = f->bad;

      gw_sim_endpoint_set_lie (f->endpoint, lies[i]);
      gw_sim_endpoint_set_rate (f->endpoint, 10);
      pass (f, 3000);
      g_assert_cmpuint (f->bad, >, before);
      g_assert_cmpuint (f->reports, ==, 0);
    }
  gw_sim_endpoint_set_rate (f->endpoint, 0);

  gw_sim_endpoint_set_lie (f->endpoint, GW_SIM_LIE_SEQUENCE);
  g_clear_pointer (&f->answer, g_bytes_unref);
  gw_smp_begin (&w, message, sizeof message, GW_SMP_OP_READ, GW_SMP_GROUP_IDENT, f->seq, GW_IDENT_INFO);
  gw_smp_empty_encode (&w);
  g_assert_cmpint (gw_smp_end (&w, &len), ==, GW_OK);
  g_assert_cmpint (gnutls_record_send (f->server, message, len), ==, len);
  pass (f, 20);
  g_assert_nonnull (f->answer);
  g_assert_cmpint (gw_smp_decode (g_bytes_get_data (f->answer, NULL), g_bytes_get_size (f->answer), &smp), ==,
                   GW_OK);
  g_assert_cmpuint (smp.seq, !=, f->seq);
}

#define ADD(name, func) g_test_add ("/sim-session/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("production", test_production);
  ADD ("not-acknowledged", test_not_acknowledged);
  ADD ("max-rate", test_max_rate);
  ADD ("event", test_event);
  ADD ("lies-inside", test_lies_inside);
  return g_test_run ();
}
