/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "test-ep-lab.h"

#include <string.h>
#include <time.h>

#include "gw-data-codec.h"
#include "gw-ident-codec.h"

#define ROUNDS_MAX 10000
#define SERVER_TIMEOUT_FLOOR_MS 100 /* gnutls_dtls_get_timeout() may say 0 */

/* ---- The clock ---- */

guint64 lab_clock_ms;

static void
set_now (Lab *self, guint64 now)
{
  self->now = lab_clock_ms = now;
}

/* ---- Certificates ---- */

static void
check (int ret)
{
  if (ret < 0)
    g_error ("GnuTLS: %s", gnutls_strerror (ret));
}

LabCert
lab_cert_new (const char *name, LabCertFlags flags, const LabCert *issuer)
{
  LabCert self;
  gnutls_datum_t der;
  g_autofree char *dn = g_strdup_printf ("CN=%s", name);
  const guint8 serial[] = { 1, 2, 3 };
  time_t now = time (NULL);

  check (gnutls_x509_privkey_init (&self.key));
  check (gnutls_x509_privkey_generate (self.key, GNUTLS_PK_ECDSA,
                                       GNUTLS_CURVE_TO_BITS (GNUTLS_ECC_CURVE_SECP256R1), 0));
  check (gnutls_x509_crt_init (&self.crt));
  check (gnutls_x509_crt_set_version (self.crt, 3));
  check (gnutls_x509_crt_set_serial (self.crt, serial, sizeof serial));
  check (gnutls_x509_crt_set_dn (self.crt, dn, NULL));
  check (gnutls_x509_crt_set_activation_time (self.crt, now - 7200));
  check (gnutls_x509_crt_set_expiration_time (self.crt, flags & LAB_CERT_EXPIRED ? now - 3600 : now + 86400));
  check (gnutls_x509_crt_set_key (self.crt, self.key));
  check (gnutls_x509_crt_set_basic_constraints (self.crt, flags & LAB_CERT_CA ? 1 : 0, -1));
  if (flags & LAB_CERT_SERVER_AUTH)
    check (gnutls_x509_crt_set_key_purpose_oid (self.crt, GNUTLS_KP_TLS_WWW_SERVER, 0));
  if (flags & LAB_CERT_CLIENT_AUTH)
    check (gnutls_x509_crt_set_key_purpose_oid (self.crt, GNUTLS_KP_TLS_WWW_CLIENT, 0));
  if (flags & LAB_CERT_ANY_USE)
    check (gnutls_x509_crt_set_key_purpose_oid (self.crt, GNUTLS_KP_ANY, 0));
  check (gnutls_x509_crt_sign2 (self.crt, issuer ? issuer->crt : self.crt, issuer ? issuer->key : self.key,
                                GNUTLS_DIG_SHA256, 0));
  check (gnutls_x509_crt_export2 (self.crt, GNUTLS_X509_FMT_DER, &der));
  self.der = g_bytes_new (der.data, der.size);
  gnutls_free (der.data);
  return self;
}

void
lab_cert_clear (LabCert *self)
{
  if (self->crt)
    gnutls_x509_crt_deinit (self->crt);
  if (self->key)
    gnutls_x509_privkey_deinit (self->key);
  g_clear_pointer (&self->der, g_bytes_unref);
  *self = (LabCert){ 0 };
}

static void
load_credentials (Lab *self)
{
  if (self->credentials)
    gnutls_certificate_free_credentials (self->credentials);
  check (gnutls_certificate_allocate_credentials (&self->credentials));
  check (gnutls_certificate_set_x509_key (self->credentials, &self->gateway_cert.crt, 1,
                                          self->gateway_cert.key));
}

void
lab_set_gateway_cert (Lab *self, LabCert cert)
{
  lab_gateway_restart (self);
  lab_cert_clear (&self->gateway_cert);
  self->gateway_cert = cert;
  load_credentials (self);
}

/* ---- The endpoint's platform ---- */

static const GwEpPoint points[] = {
  { .id = 1,
    .name = "temperature",
    .unit = "Cel",
    .type = GW_EP_FLOAT,
    .access = GW_EP_ACCESS_READ | GW_EP_ACCESS_REPORT,
    .has_limits = true,
    .lo = -40,
    .hi = 125 },
  { .id = 2,
    .name = "valve",
    .unit = "%",
    .type = GW_EP_INT,
    .access = GW_EP_ACCESS_READ | GW_EP_ACCESS_WRITE | GW_EP_ACCESS_REPORT,
    .has_limits = true,
    .lo = 0,
    .hi = 100,
    .has_step = true,
    .step = 5,
    .unsafe = true },
  { .id = 3, .name = "door", .type = GW_EP_BOOL, .access = GW_EP_ACCESS_READ | GW_EP_ACCESS_REPORT },
  { .id = 4,
    .name = "label",
    .type = GW_EP_TEXT,
    .access = GW_EP_ACCESS_READ | GW_EP_ACCESS_WRITE | GW_EP_ACCESS_REPORT },
  { .id = 5, .name = "blob", .type = GW_EP_BYTES, .access = GW_EP_ACCESS_READ | GW_EP_ACCESS_REPORT },
  { .id = 60,
    .name = "setpoint",
    .unit = "Cel",
    .type = GW_EP_FLOAT,
    .access = GW_EP_ACCESS_WRITE,
    .has_limits = true,
    .lo = 5,
    .hi = 30 },
};

static Lab *
lab_of (void *ctx)
{
  return (Lab *)((guint8 *)ctx - G_STRUCT_OFFSET (Lab, chip));
}

static uint64_t
lab_now (void *ctx)
{
  return lab_of (ctx)->now;
}

static int
lab_send (void *ctx, const uint8_t *datagram, size_t len)
{
  Lab *self = lab_of (ctx);

  g_assert_cmpuint (len, <=, self->config.mtu);
  g_queue_push_tail (&self->to_gateway, g_bytes_new (datagram, len));
  return GW_OK;
}

static void
lab_reset (void *ctx)
{
  lab_of (ctx)->resets++;
}

static void
lab_identify (void *ctx, uint32_t ms)
{
  lab_of (ctx)->identified_ms = ms;
}

static bool
lab_button (void *ctx)
{
  return lab_of (ctx)->button;
}

static uint32_t
lab_sign_delay (void *ctx)
{
  return lab_of (ctx)->sign_delay;
}

static const GwEpPoint *
lab_point_describe (void *ctx, size_t index)
{
  return index < G_N_ELEMENTS (points) ? &points[index] : NULL;
}

static gsize
point_index (uint32_t id)
{
  for (gsize i = 0; i < G_N_ELEMENTS (points); i++)
    if (points[i].id == id)
      return i;
  g_assert_not_reached ();
}

static int
lab_point_read (void *ctx, uint32_t id, GwEpValue *value)
{
  Lab *self = lab_of (ctx);

  self->reads++;
  if (!self->has_value[point_index (id)])
    return GW_E_AGAIN;
  *value = self->values[point_index (id)];
  return GW_OK;
}

static int
lab_point_write (void *ctx, uint32_t id, const GwEpValue *value, GwEpValue *actual)
{
  Lab *self = lab_of (ctx);

  if (self->write_result != GW_OK)
    return self->write_result;
  self->writes++;
  self->values[point_index (id)] = *value;
  self->has_value[point_index (id)] = TRUE;
  *actual = *value;
  return GW_OK;
}

static void
lab_state_changed (void *data, GwEpState state)
{
  ((Lab *)data)->state = state;
}

static void
wire_platform (Lab *self)
{
  GwEpPlatform *platform = &self->chip.platform;

  platform->now_ms = lab_now;
  platform->send = lab_send;
  platform->reset = lab_reset;
  platform->identify = lab_identify;
  platform->button = lab_button;
  platform->sign_delay_ms = lab_sign_delay;
  platform->point_describe = lab_point_describe;
  platform->point_read = lab_point_read;
  platform->point_write = lab_point_write;
}

Lab *
lab_new (guint64 seed)
{
  Lab *self = g_new0 (Lab, 1);
  GwSimPufModel model = GW_SIM_PUF_MODEL_DEFAULT;

  test_chip_init (&self->chip, gw_sim_puf_new_model (seed, &model));
  wire_platform (self);
  self->config = (GwEpConfig){
    .manufacturer = "Acme",
    .model = "T1",
    .serial = "0001",
    .firmware = "1.2.3",
    .mtu = 512,
    .frame_ms = 50,
    .state_changed = lab_state_changed,
    .data = self,
  };
  set_now (self, 1000);
  self->ep = g_malloc (gw_ep_size ());
  g_assert_cmpint (gw_ep_init (self->ep, &self->chip.platform, &self->config), ==, GW_OK);
  g_queue_init (&self->to_gateway);
  g_queue_init (&self->to_endpoint);
  self->clear = g_ptr_array_new_with_free_func ((GDestroyNotify)g_bytes_unref);
  self->records = g_ptr_array_new_with_free_func ((GDestroyNotify)g_bytes_unref);
  self->priority = LAB_PRIORITY;
  self->gateway_alive = TRUE;
  self->owner_ca = lab_cert_new ("owner", LAB_CERT_CA, NULL);
  self->gateway_cert = lab_cert_new ("gateway", LAB_CERT_SERVER_AUTH, &self->owner_ca);
  load_credentials (self);
  return self;
}

void
lab_free (Lab *self)
{
  lab_gateway_restart (self);
  gw_ep_shutdown (self->ep);
  g_free (self->ep);
  test_chip_clear (&self->chip);
  lab_cert_clear (&self->owner_ca);
  lab_cert_clear (&self->gateway_cert);
  gnutls_certificate_free_credentials (self->credentials);
  g_ptr_array_unref (self->clear);
  g_ptr_array_unref (self->records);
  g_free (self);
}

/* ---- The gateway's server ---- */

static ssize_t
server_push (gnutls_transport_ptr_t ptr, const void *data, size_t len)
{
  Lab *self = ptr;

  g_queue_push_tail (&self->to_endpoint, g_bytes_new (data, len));
  return (ssize_t)len;
}

static ssize_t
server_pull (gnutls_transport_ptr_t ptr, void *out, size_t cap)
{
  Lab *self = ptr;
  g_autoptr (GBytes) datagram = g_queue_pop_head (&self->to_gateway);
  gsize len;
  const guint8 *data;

  if (!datagram)
    {
      self->server_starved = TRUE;
      gnutls_transport_set_errno (self->server, EAGAIN);
      return -1;
    }
  data = g_bytes_get_data (datagram, &len);
  g_assert_cmpuint (len, <=, cap);
  memcpy (out, data, len);
  return (ssize_t)len;
}

static int
server_pull_timeout (gnutls_transport_ptr_t ptr, unsigned int ms)
{
  Lab *self = ptr;

  self->server_starved = g_queue_is_empty (&self->to_gateway);
  return self->server_starved ? 0 : 1;
}

/* The endpoint's certificate is a carrier of its key: nothing in it is checked. */
static void
server_open (Lab *self)
{
  check (gnutls_init (&self->server, GNUTLS_SERVER | GNUTLS_DATAGRAM | GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS));
  check (gnutls_priority_set_direct (self->server, self->priority, NULL));
  check (gnutls_credentials_set (self->server, GNUTLS_CRD_CERTIFICATE, self->credentials));
  gnutls_certificate_server_set_request (self->server, GNUTLS_CERT_REQUIRE);
  gnutls_certificate_send_x509_rdn_sequence (self->server, 1);
  gnutls_transport_set_ptr (self->server, self);
  gnutls_transport_set_push_function (self->server, server_push);
  gnutls_transport_set_pull_function (self->server, server_pull);
  gnutls_transport_set_pull_timeout_function (self->server, server_pull_timeout);
  gnutls_dtls_set_mtu (self->server, self->config.mtu);
  gnutls_dtls_set_timeouts (self->server, 1000, 60000);
  self->server_up = FALSE;
  self->server_error = 0;
  self->next_seq = 0;
  self->server_sessions++;
}

void
lab_gateway_restart (Lab *self)
{
  if (self->server)
    gnutls_deinit (self->server);
  self->server = NULL;
  self->server_up = FALSE;
  g_queue_clear_full (&self->to_gateway, (GDestroyNotify)g_bytes_unref);
  g_queue_clear_full (&self->to_endpoint, (GDestroyNotify)g_bytes_unref);
}

/* GnuTLS says AGAIN after each record that it discards, be there more in the same datagram or not: it has to
 * be asked until it asks for a datagram itself. */
static int
server_shake_hands (Lab *self)
{
  int ret;

  do
    {
      self->server_starved = FALSE;
      ret = gnutls_handshake (self->server);
    }
  while (ret < 0 && !gnutls_error_is_fatal (ret) && !self->server_starved);
  self->server_due = self->now + MAX (gnutls_dtls_get_timeout (self->server), SERVER_TIMEOUT_FLOOR_MS);
  return ret;
}

static void
server_read (Lab *self)
{
  guint8 buf[2048];
  ssize_t n;

  do
    {
      self->server_starved = FALSE;
      n = gnutls_record_recv (self->server, buf, sizeof buf);
      if (n > 0)
        g_ptr_array_add (self->records, g_bytes_new (buf, (gsize)n));
    }
  while (n > 0 || (n < 0 && !gnutls_error_is_fatal ((int)n) && !self->server_starved));
  if (n == 0 || gnutls_error_is_fatal ((int)n))
    self->server_error = n == 0 ? GNUTLS_E_PREMATURE_TERMINATION : (int)n;
}

static void
server_run (Lab *self)
{
  if (!self->server || self->server_error)
    return;
  if (!self->server_up)
    {
      int ret = server_shake_hands (self);

      self->server_up = ret == 0;
      if (gnutls_error_is_fatal (ret))
        {
          self->server_error = ret;
          gnutls_alert_send_appropriate (self->server, ret);
        }
    }
  if (self->server_up)
    server_read (self);
}

/* A ClientHello (record head 13, handshake head 12, version 2, random 32) that the present session, if any,
 * did not begin with. */
static gboolean
is_new_client_hello (Lab *self, const guint8 *data, gsize len)
{
  if (len < 59 || data[0] != 22 || data[3] != 0 || data[4] != 0 || data[13] != 1)
    return FALSE;
  if (self->server && memcmp (self->client_random, data + 27, sizeof self->client_random) == 0)
    return FALSE;
  memcpy (self->client_random, data + 27, sizeof self->client_random);
  return TRUE;
}

/* Sorts what has arrived at the gateway: clear SMP aside, DTLS to the session. */
static gboolean
gateway_take (Lab *self)
{
  GBytes *datagram = g_queue_peek_head (&self->to_gateway);
  gsize len;
  const guint8 *data;

  if (!datagram)
    return FALSE;
  data = g_bytes_get_data (datagram, &len);
  if (!self->gateway_alive || (self->filter && !self->filter (self, TRUE, data, len)))
    g_bytes_unref (g_queue_pop_head (&self->to_gateway));
  else if (gw_datagram_kind (data, len) == GW_DATAGRAM_SMP_RESPONSE)
    g_ptr_array_add (self->clear, g_queue_pop_head (&self->to_gateway));
  else
    {
      if (is_new_client_hello (self, data, len))
        {
          g_queue_pop_head (&self->to_gateway);
          if (self->server)
            gnutls_deinit (self->server);
          server_open (self);
          g_queue_push_head (&self->to_gateway, datagram);
        }
      if (!self->server || self->server_error)
        g_bytes_unref (g_queue_pop_head (&self->to_gateway));
      else
        {
          /* One at a time, so that a filter sees each. */
          GQueue rest = self->to_gateway;

          g_queue_pop_head (&rest);
          g_queue_init (&self->to_gateway);
          g_queue_push_head (&self->to_gateway, datagram);
          server_run (self);
          g_queue_clear_full (&self->to_gateway, (GDestroyNotify)g_bytes_unref);
          self->to_gateway = rest;
        }
    }
  return TRUE;
}

static gint64
cpu_ns (void)
{
  struct timespec t;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &t);
  return (gint64)t.tv_sec * 1000000000 + t.tv_nsec;
}

static gboolean
endpoint_take (Lab *self)
{
  g_autoptr (GBytes) datagram = g_queue_pop_head (&self->to_endpoint);
  gint64 before = cpu_ns ();
  gsize len;
  const guint8 *data;

  if (!datagram)
    return FALSE;
  data = g_bytes_get_data (datagram, &len);
  if (!self->filter || self->filter (self, FALSE, data, len))
    gw_ep_input (self->ep, data, len);
  gw_ep_poll (self->ep);
  self->endpoint_ns += cpu_ns () - before;
  return TRUE;
}

void
lab_pump (Lab *self)
{
  guint rounds = 0;

  gw_ep_poll (self->ep);
  while (gateway_take (self) || endpoint_take (self))
    g_assert_cmpuint (rounds++, <, ROUNDS_MAX);
}

void
lab_advance (Lab *self, guint64 ms)
{
  guint64 end = self->now + ms;
  guint rounds = 0;

  for (;;)
    {
      gboolean server_waits;
      guint64 due;

      lab_pump (self);
      due = gw_ep_poll (self->ep);
      server_waits = self->server && !self->server_up && !self->server_error;
      if (server_waits)
        due = MIN (due, self->server_due);
      if (due > end)
        break;
      if (due <= self->now)
        g_assert_cmpuint (rounds++, <, ROUNDS_MAX); /* spins */
      else
        set_now (self, due);
      if (server_waits && self->now >= self->server_due)
        server_run (self);
    }
  set_now (self, end);
  lab_pump (self);
}

void
lab_connect (Lab *self)
{
  if (gw_ep_state (self->ep) == GW_EP_OFF)
    g_assert_cmpint (gw_ep_power_up (self->ep), ==, GW_OK);
  lab_pump (self);
  g_assert_cmpint (gw_ep_state (self->ep), ==, GW_EP_SESSION);
  g_assert_true (self->server_up);
}

void
lab_power_cycle (Lab *self)
{
  gw_ep_shutdown (self->ep);
  gw_sim_puf_power_up (self->chip.puf);
  g_queue_clear_full (&self->to_gateway, (GDestroyNotify)g_bytes_unref);
  g_queue_clear_full (&self->to_endpoint, (GDestroyNotify)g_bytes_unref);
  g_assert_cmpint (gw_ep_power_up (self->ep), ==, GW_OK);
}

/* ---- Messages ---- */

GBytes *
lab_written (GwCborWriter *w)
{
  g_assert_cmpint (w->status, ==, GW_OK);
  return g_bytes_new (w->buf, w->len);
}

GBytes *
lab_empty (void)
{
  return LAB_BODY (gw_smp_empty_encode (w));
}

GwBytes
lab_bytes (GBytes *bytes)
{
  GwBytes out;

  out.ptr = g_bytes_get_data (bytes, &out.len);
  return out;
}

void
lab_send_clear (Lab *self, const void *data, gsize len)
{
  g_queue_push_tail (&self->to_endpoint, g_bytes_new (data, len));
  lab_pump (self);
}

void
lab_send_record (Lab *self, const void *data, gsize len)
{
  g_assert_true (self->server_up);
  g_assert_cmpint (gnutls_record_send (self->server, data, len), ==, (int)len);
  lab_pump (self);
}

static gsize
make_message (guint8 *out, guint8 op, guint16 group, guint8 command, guint8 seq, GBytes *body)
{
  gsize len;
  const void *data = g_bytes_get_data (body, &len);

  out[0] = (guint8)(0x08 | op);
  out[1] = 0;
  out[2] = (guint8)(len >> 8);
  out[3] = (guint8)len;
  out[4] = (guint8)(group >> 8);
  out[5] = (guint8)group;
  out[6] = seq;
  out[7] = command;
  if (len > 0)
    memcpy (out + 8, data, len);
  return len + 8;
}

void
lab_send_request (Lab *self, guint8 op, guint16 group, guint8 command, guint8 seq, GBytes *body)
{
  guint8 message[2048];
  gsize len = make_message (message, op, group, command, seq, body);

  g_bytes_unref (body);
  lab_send_record (self, message, len);
}

GBytes *
lab_take_record (Lab *self)
{
  return self->records->len > 0 ? g_ptr_array_steal_index (self->records, 0) : NULL;
}

GBytes *
lab_request (Lab *self, guint8 op, guint16 group, guint8 command, GBytes *body)
{
  guint8 seq = self->next_seq++;

  lab_send_request (self, op, group, command, seq, body);
  for (guint i = 0; i < self->records->len; i++)
    {
      GwSmpMessage msg;
      GwBytes raw = lab_bytes (self->records->pdata[i]);

      g_assert_cmpint (gw_smp_decode (raw.ptr, raw.len, &msg), ==, GW_OK);
      if (gw_smp_answers (&msg, op, group, seq, command))
        {
          GBytes *out = g_bytes_new (msg.body.ptr, msg.body.len);

          g_ptr_array_remove_index (self->records, i);
          return out;
        }
    }
  return NULL;
}

int
lab_result (GBytes *body)
{
  GwSmpResult result;

  if (!body || gw_smp_result_decode (lab_bytes (body), &result) != GW_OK)
    return -1;
  return result.in_group ? 0x10000 | result.rc : result.rc;
}

void
lab_answer (Lab *self, const GwSmpMessage *req, GBytes *body)
{
  lab_send_request (self, (guint8)(req->op + 1), req->group, req->command, req->seq, body);
}

void
lab_ack (Lab *self, GBytes *record)
{
  GwBytes raw = lab_bytes (record);
  GwDataReport report;
  GwDataEvent event;
  GwDataAck ack;
  GwSmpMessage msg;

  g_assert_cmpint (gw_smp_decode (raw.ptr, raw.len, &msg), ==, GW_OK);
  g_assert_cmpint (msg.op, ==, GW_SMP_OP_WRITE);
  g_assert_cmpint (msg.group, ==, GW_SMP_GROUP_DATA);
  if (msg.command == GW_DATA_REPORT)
    {
      g_assert_cmpint (gw_data_report_decode (msg.body, &report), ==, GW_OK);
      memcpy (ack.boot, report.boot, sizeof ack.boot);
      ack.seq = report.seq;
    }
  else
    {
      g_assert_cmpint (gw_data_event_decode (msg.body, &event), ==, GW_OK);
      memcpy (ack.boot, event.boot, sizeof ack.boot);
      ack.seq = event.seq;
    }
  lab_answer (self, &msg, LAB_BODY (gw_data_ack_encode (&ack, w)));
}

void
lab_sha256 (GBytes *data, guint8 sha[32])
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  gsize n = 32;

  g_checksum_update (sum, g_bytes_get_data (data, NULL), (gssize)g_bytes_get_size (data));
  g_checksum_get_digest (sum, sha, &n);
}

void
lab_send_anchor (Lab *self, GBytes *cert, guint8 sha[32])
{
  GwBytes der = lab_bytes (cert);
  GwIdentAnchor anchor = { .kind = GW_IDENT_ANCHOR_OWNER_CA, .part.has_len = true, .part.has_sha = true };

  lab_sha256 (cert, sha);
  memcpy (anchor.part.sha, sha, 32);
  anchor.part.len = (guint32)der.len;
  while (anchor.part.off < der.len)
    {
      g_autoptr (GBytes) body = NULL;
      GwIdentOffset offset;

      anchor.part.data = (GwBytes){ der.ptr + anchor.part.off, MIN (300, der.len - anchor.part.off) };
      body = lab_request (self, GW_SMP_OP_WRITE, GW_SMP_GROUP_IDENT, GW_IDENT_ANCHOR,
                          LAB_BODY (gw_ident_anchor_encode (&anchor, w)));
      g_assert_cmpint (lab_result (body), ==, 0);
      g_assert_cmpint (gw_ident_offset_decode (lab_bytes (body), &offset), ==, GW_OK);
      g_assert_cmpuint (offset.off, >, anchor.part.off);
      anchor.part.off = offset.off;
      anchor.part.has_len = anchor.part.has_sha = false;
    }
}

void
lab_own (Lab *self)
{
  GwIdentOwnReq own = { .mode = GW_IDENT_OWN_FIRST_USE };
  g_autoptr (GBytes) answer = NULL;

  lab_send_anchor (self, self->owner_ca.der, own.sha);
  answer = lab_request (self, GW_SMP_OP_WRITE, GW_SMP_GROUP_IDENT, GW_IDENT_OWN,
                        LAB_BODY (gw_ident_own_req_encode (&own, w)));
  g_assert_cmpint (lab_result (answer), ==, 0);
  g_assert_true (gw_ep_owned (self->ep));
}
