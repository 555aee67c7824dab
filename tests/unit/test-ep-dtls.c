/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The endpoint's DTLS end against an independent stack: a bare GnuTLS server in the same process. */

#include <string.h>

#include "gw-ep-dtls.h"
#include "gw-link-codec.h"
#include "test-ep-lab.h"

/* ---- The handshake ---- */

static void
test_handshake (void)
{
  g_autoptr (Lab) lab = lab_new (1);
  GwEpStats stats;

  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_OFF);
  lab_connect (lab);
  g_assert_cmpint (lab->state, ==, GW_EP_SESSION);
  g_assert_cmpint (gnutls_protocol_get_version (lab->server), ==, GNUTLS_DTLS1_2);
  g_assert_cmpint (gnutls_cipher_get (lab->server), ==, GNUTLS_CIPHER_AES_128_GCM);
  g_assert_cmpint (gnutls_kx_get (lab->server), ==, GNUTLS_KX_ECDHE_ECDSA);
  g_assert_true (gnutls_session_ext_master_secret_status (lab->server));
  g_assert_false (gnutls_session_is_resumed (lab->server));
  g_assert_false (gnutls_safe_renegotiation_status (lab->server) == 0);
  gw_ep_stats (lab->ep, &stats);
  g_test_message ("handshake: %u + %u octets, %u + %u datagrams (endpoint + gateway); GwEp %zu octets",
                  stats.handshake_octets_out, stats.handshake_octets_in, stats.handshake_datagrams_out,
                  stats.handshake_datagrams_in, gw_ep_size ());
  g_assert_cmpuint (stats.handshakes, ==, 1);
  g_assert_cmpuint (stats.handshakes_failed, ==, 0);
  g_assert_cmpuint (stats.handshake_octets_out + stats.handshake_octets_in, <, 1700);
}

/* The key id is SHA-256 of the certificate's SubjectPublicKeyInfo, and the same after a power cycle. */
static void
test_key_id (void)
{
  g_autoptr (Lab) lab = lab_new (2);
  const gnutls_datum_t *peers;
  unsigned n = 0;
  guint8 kid[32];

  for (guint round = 0; round < 2; round++)
    {
      g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
      guint8 digest[32];
      gnutls_x509_crt_t crt;
      gnutls_pubkey_t key;
      gnutls_datum_t spki;
      gsize len = sizeof digest;

      lab_connect (lab);
      peers = gnutls_certificate_get_peers (lab->server, &n);
      g_assert_cmpuint (n, ==, 1);
      gnutls_x509_crt_init (&crt);
      g_assert_cmpint (gnutls_x509_crt_import (crt, peers, GNUTLS_X509_FMT_DER), ==, 0);
      gnutls_pubkey_init (&key);
      g_assert_cmpint (gnutls_pubkey_import_x509 (key, crt, 0), ==, 0);
      g_assert_cmpint (gnutls_pubkey_export2 (key, GNUTLS_X509_FMT_DER, &spki), ==, 0);
      g_assert_cmpuint (spki.size, ==, GW_SPKI_LEN);
      g_checksum_update (sum, spki.data, spki.size);
      g_checksum_get_digest (sum, digest, &len);
      g_assert_cmpmem (digest, sizeof digest, gw_ep_key_id (lab->ep), GW_KEY_ID_LEN);
      if (round > 0)
        g_assert_cmpmem (digest, sizeof digest, kid, sizeof kid);
      memcpy (kid, digest, sizeof kid);
      gnutls_free (spki.data);
      gnutls_pubkey_deinit (key);
      gnutls_x509_crt_deinit (crt);
      lab_power_cycle (lab);
    }
}

static void
test_binding (void)
{
  g_autoptr (Lab) lab = lab_new (3);
  guint8 first[32];

  g_assert_null (gw_ep_binding (lab->ep));
  for (guint round = 0; round < 2; round++)
    {
      gnutls_datum_t cb;

      lab_connect (lab);
      g_assert_cmpint (gnutls_session_channel_binding (lab->server, GNUTLS_CB_TLS_EXPORTER, &cb), ==, 0);
      g_assert_cmpmem (cb.data, cb.size, gw_ep_binding (lab->ep), GW_IDENT_BINDING_LEN);
      if (round == 0)
        memcpy (first, cb.data, sizeof first);
      else
        g_assert_cmpint (memcmp (first, cb.data, sizeof first), !=, 0);
      gnutls_free (cb.data);
      lab_power_cycle (lab);
      g_assert_null (gw_ep_binding (lab->ep));
    }
}

/* doc/protocol.md, section 2. */
static void
test_binding_vector (void)
{
  const guint8 want[]
      = { 0x25, 0xe8, 0xf8, 0x3a, 0xf7, 0x20, 0xfc, 0xc4, 0x7b, 0xa7, 0x5b, 0x54, 0x0a, 0xb9, 0xbb, 0x2f,
          0x20, 0x64, 0x2c, 0x49, 0xc6, 0x5f, 0xb3, 0x76, 0x91, 0x21, 0xb6, 0xaf, 0x48, 0x54, 0x92, 0x8c };
  guint8 master[48], client_random[32], server_random[32], binding[32];

  for (guint i = 0; i < 48; i++)
    master[i] = (guint8)i;
  for (guint i = 0; i < 32; i++)
    {
      client_random[i] = (guint8)(0x40 + i);
      server_random[i] = (guint8)(0x80 + i);
    }
  g_assert_cmpint (gw_ep_dtls_exporter (master, client_random, server_random, binding), ==, GW_OK);
  g_assert_cmpmem (binding, sizeof binding, want, sizeof want);
}

static gboolean signed_something;

/* Certificate or CertificateVerify of the endpoint in the clear: it has begun to prove itself. */
static gboolean
watch_for_signature (Lab *lab, gboolean to_gateway, const guint8 *data, gsize len)
{
  if (to_gateway && len > 13 && data[0] == 22 && (data[13] == 11 || data[13] == 15))
    signed_something = TRUE;
  return TRUE;
}

static void
expect_refusal (Lab *lab)
{
  GwEpStats stats;

  signed_something = FALSE;
  lab->filter = watch_for_signature;
  if (gw_ep_state (lab->ep) == GW_EP_OFF)
    g_assert_cmpint (gw_ep_power_up (lab->ep), ==, GW_OK);
  lab_pump (lab);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_WAITING);
  g_assert_false (lab->server_up);
  g_assert_cmpint (lab->server_error, ==, GNUTLS_E_FATAL_ALERT_RECEIVED);
  g_assert_false (signed_something);
  gw_ep_stats (lab->ep, &stats);
  g_assert_cmpuint (stats.handshakes_failed, >, 0);
}

/* A gateway without extended master secret gets nothing signed. */
static void
test_ems_required (void)
{
  g_autoptr (Lab) lab = lab_new (4);

  lab->priority = LAB_PRIORITY ":%NO_SESSION_HASH";
  expect_refusal (lab);
  g_assert_cmpint (gnutls_alert_get (lab->server), ==, GNUTLS_A_HANDSHAKE_FAILURE);
}

static void
test_suites (void)
{
  g_autoptr (Lab) lab = lab_new (5);

  lab->priority = "NONE:+VERS-DTLS1.2:+AES-128-CCM-8:+AEAD:+ECDHE-ECDSA:+SIGN-ECDSA-SHA256:+GROUP-SECP256R1:"
                  "+COMP-NULL:+CTYPE-X509";
  g_assert_cmpint (gw_ep_power_up (lab->ep), ==, GW_OK);
  lab_pump (lab);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_WAITING);
  gw_ep_shutdown (lab->ep);

  /* By policy only. */
  lab->config.offer_ccm8 = true;
  lab_connect (lab);
  g_assert_cmpint (gnutls_cipher_get (lab->server), ==, GNUTLS_CIPHER_AES_128_CCM_8);
}

/* ---- Whom it trusts ---- */

static void
test_unowned_accepts_any (void)
{
  g_autoptr (Lab) lab = lab_new (6);

  lab_set_gateway_cert (lab, lab_cert_new ("anybody", LAB_CERT_CLIENT_AUTH | LAB_CERT_EXPIRED, NULL));
  lab_connect (lab);
}

static void
own_then_restart (Lab *lab)
{
  lab_connect (lab);
  lab_own (lab);
  lab_power_cycle (lab);
  g_assert_true (gw_ep_owned (lab->ep));
}

/* The certificate of the same name by another CA of the same name. */
static void
test_owned_refuses_stranger (void)
{
  g_autoptr (Lab) lab = lab_new (7);
  LabCert stranger = lab_cert_new ("owner", LAB_CERT_CA, NULL);

  own_then_restart (lab);
  lab_connect (lab);
  lab_power_cycle (lab);
  lab_set_gateway_cert (lab, lab_cert_new ("gateway", LAB_CERT_SERVER_AUTH, &stranger));
  expect_refusal (lab);
  lab_cert_clear (&stranger);
}

static void
test_owned_requires_use (void)
{
  const LabCertFlags bad[] = { 0, LAB_CERT_CLIENT_AUTH, LAB_CERT_ANY_USE };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (Lab) lab = lab_new (8 + i);

      own_then_restart (lab);
      lab_set_gateway_cert (lab, lab_cert_new ("gateway", bad[i], &lab->owner_ca));
      expect_refusal (lab);
      /* And is not angry with the right one. */
      lab_set_gateway_cert (lab, lab_cert_new ("other name", LAB_CERT_SERVER_AUTH, &lab->owner_ca));
      lab->filter = NULL;
      lab_advance (lab, 3000);
      g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_SESSION);
    }
}

static void
test_owned_ignores_names_and_dates (void)
{
  g_autoptr (Lab) lab = lab_new (11);

  own_then_restart (lab);
  lab_set_gateway_cert (lab, lab_cert_new ("any name",
                                           LAB_CERT_SERVER_AUTH | LAB_CERT_CLIENT_AUTH | LAB_CERT_EXPIRED,
                                           &lab->owner_ca));
  lab_connect (lab);
}

/* ---- Loss, restarts ---- */

/* Each datagram of the handshake lost once, by number; then one in five by chance. */
static guint lose_number;
static GRand *lose_by_chance;

static gboolean
lose (Lab *lab, gboolean to_gateway, const guint8 *data, gsize len)
{
  if (lab->server_up && gw_ep_state (lab->ep) == GW_EP_SESSION)
    return TRUE;
  if (lose_by_chance)
    return g_rand_int_range (lose_by_chance, 0, 5) != 0;
  return lab->filter_count++ != lose_number;
}

static void
expect_session_within (guint64 ms)
{
  g_autoptr (Lab) lab = lab_new (20);

  lab->filter = lose;
  g_assert_cmpint (gw_ep_power_up (lab->ep), ==, GW_OK);
  lab_advance (lab, ms);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_SESSION);
  g_assert_true (lab->server_up);
}

static void
test_loss (void)
{
  for (lose_number = 0; lose_number < 9; lose_number++)
    expect_session_within (3000);
  for (guint seed = 0; seed < 10; seed++)
    {
      lose_by_chance = g_rand_new_with_seed (seed);
      expect_session_within (60000);
      g_clear_pointer (&lose_by_chance, g_rand_free);
    }
}

static gboolean
let_time_pass (Lab *lab, gboolean to_gateway, const guint8 *data, gsize len)
{
  if (!to_gateway && lab->filter_count++ == 0)
    lab->now += 1500;
  return TRUE;
}

/* The answer comes when the retransmission is due already: both happen, and the answer is not lost. */
static void
test_answer_at_the_deadline (void)
{
  g_autoptr (Lab) lab = lab_new (38);

  lab->filter = let_time_pass;
  g_assert_cmpint (gw_ep_power_up (lab->ep), ==, GW_OK);
  lab_pump (lab);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_SESSION);
  g_assert_cmpuint (lab->now, ==, 2500);
}

static gboolean
drop_finished (Lab *lab, gboolean to_gateway, const guint8 *data, gsize len)
{
  /* The server's last flight: change_cipher_spec, then the encrypted Finished. */
  if (!to_gateway && lab->filter_count < 2 && (data[0] == 20 || data[4] == 1))
    {
      lab->filter_count++;
      return FALSE;
    }
  return TRUE;
}

/* The server has finished, its last flight is lost: the endpoint's repetition makes it send that again
 * (GnuTLS does so once its own interval of 1 s is over). */
static void
test_loss_of_the_end (void)
{
  g_autoptr (Lab) lab = lab_new (22);

  lab->filter = drop_finished;
  g_assert_cmpint (gw_ep_power_up (lab->ep), ==, GW_OK);
  lab_pump (lab);
  g_assert_true (lab->server_up);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_HANDSHAKING);
  lab_advance (lab, 4000);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_SESSION);
  g_assert_cmpuint (lab->server_sessions, ==, 1);
}

/* Nobody there: ClientHellos after 1, 2, 4 .. 60 s, each +-25 %, for ever; one that comes up is found. */
static void
test_who_starts (void)
{
  g_autoptr (Lab) lab = lab_new (23);
  guint64 last = 0, gap, want = 1000;
  guint n = 0;

  lab->gateway_alive = FALSE;
  g_assert_cmpint (gw_ep_power_up (lab->ep), ==, GW_OK);
  while (n < 12)
    {
      guint64 due = gw_ep_poll (lab->ep);

      if (g_queue_is_empty (&lab->to_gateway))
        {
          g_assert_cmpuint (due, !=, GW_EP_NEVER);
          g_assert_cmpuint (due, >, lab->now);
          lab->now = due; /* nobody else looks at the clock here */
          continue;
        }
      g_assert_cmpuint (g_queue_get_length (&lab->to_gateway), ==, 1);
      g_bytes_unref (g_queue_pop_head (&lab->to_gateway));
      if (n++ == 0)
        {
          g_assert_cmpuint (lab->now, ==, 1000);
          last = lab->now;
          continue;
        }
      gap = lab->now - last;
      g_assert_cmpuint (gap, >=, want * 75 / 100);
      g_assert_cmpuint (gap, <=, want * 125 / 100 + 1);
      want = MIN (want * 2, 60000);
      last = lab->now;
    }
  lab->gateway_alive = TRUE;
  lab_advance (lab, 76000);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_SESSION);
}

/* A gateway that refuses every time is not hammered either. */
static void
test_backs_off_from_refusal (void)
{
  g_autoptr (Lab) lab = lab_new (24);
  GwEpStats stats;

  lab->priority = LAB_PRIORITY ":%NO_SESSION_HASH";
  g_assert_cmpint (gw_ep_power_up (lab->ep), ==, GW_OK);
  lab_advance (lab, 600000);
  gw_ep_stats (lab->ep, &stats);
  g_assert_cmpuint (stats.handshakes, >=, 11);
  g_assert_cmpuint (stats.handshakes, <=, 20);
}

static void
send_start (Lab *lab)
{
  guint8 message[128];
  GwLinkStart start = { .nonce = { 1 } };
  GwCborWriter w;
  gsize len;

  gw_smp_begin (&w, message, sizeof message, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, 0, GW_LINK_START);
  gw_link_start_encode (&start, &w);
  g_assert_cmpint (gw_smp_end (&w, &len), ==, GW_OK);
  lab_send_clear (lab, message, len);
}

/* The gateway restarts: it has no session for the next record and asks for one, and gets one per 5 s. */
static void
test_gateway_restart (void)
{
  g_autoptr (Lab) lab = lab_new (25);

  lab_connect (lab);
  lab_gateway_restart (lab);
  send_start (lab);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_SESSION);
  g_assert_true (lab->server_up);
  g_assert_cmpuint (lab->server_sessions, ==, 2);
  g_assert_cmpuint (lab->clear->len, ==, 1);

  send_start (lab);
  lab_advance (lab, 4900);
  send_start (lab);
  g_assert_cmpuint (lab->server_sessions, ==, 2);
  lab_advance (lab, 200);
  send_start (lab);
  g_assert_cmpuint (lab->server_sessions, ==, 3);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_SESSION);
}

/* `start` while the ClientHello is unanswered sends the same again: the gateway may be working on it. */
static void
test_start_repeats_hello (void)
{
  g_autoptr (Lab) lab = lab_new (26);
  g_autoptr (GBytes) first = NULL;
  g_autoptr (GBytes) second = NULL;
  const guint8 *a, *b;

  g_assert_cmpint (gw_ep_power_up (lab->ep), ==, GW_OK);
  gw_ep_poll (lab->ep);
  first = g_queue_pop_head (&lab->to_gateway);
  lab->gateway_alive = FALSE;
  lab->now += 100;
  lab->gateway_alive = TRUE;
  lab->filter = NULL;
  {
    guint8 message[128];
    GwLinkStart start = { .nonce = { 1 } };
    GwCborWriter w;
    gsize len;

    gw_smp_begin (&w, message, sizeof message, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, 0, GW_LINK_START);
    gw_link_start_encode (&start, &w);
    g_assert_cmpint (gw_smp_end (&w, &len), ==, GW_OK);
    gw_ep_input (lab->ep, message, len);
  }
  g_bytes_unref (g_queue_pop_head (&lab->to_gateway)); /* the answer to start */
  second = g_queue_pop_head (&lab->to_gateway);
  g_assert_nonnull (second);
  a = g_bytes_get_data (first, NULL);
  b = g_bytes_get_data (second, NULL);
  g_assert_cmpmem (a + 13, g_bytes_get_size (first) - 13, b + 13, g_bytes_get_size (second) - 13);
}

/* The gateway vanishes for good in the middle of a handshake: the endpoint begins anew. */
static gboolean
drop_after_hello (Lab *lab, gboolean to_gateway, const guint8 *data, gsize len)
{
  return to_gateway ? data[13] == 1 : lab->filter_count++ < 8;
}

static void
test_gateway_restart_in_handshake (void)
{
  g_autoptr (Lab) lab = lab_new (27);

  lab->filter = drop_after_hello;
  g_assert_cmpint (gw_ep_power_up (lab->ep), ==, GW_OK);
  lab_pump (lab);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_HANDSHAKING);
  lab_gateway_restart (lab);
  lab->filter = NULL;
  lab_advance (lab, GW_EP_DTLS_HANDSHAKE_MAX_MS + 3000);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_SESSION);
  g_assert_true (lab->server_up);
}

static void
test_endpoint_reboot (void)
{
  g_autoptr (Lab) lab = lab_new (28);

  lab_connect (lab);
  lab_power_cycle (lab);
  lab_connect (lab);
  g_assert_cmpuint (lab->server_sessions, ==, 2);
  /* And in the middle of a handshake. */
  lab_power_cycle (lab);
  lab->filter = drop_after_hello;
  lab_pump (lab);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_HANDSHAKING);
  lab_power_cycle (lab);
  lab->filter = NULL;
  lab_advance (lab, 2000);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_SESSION);
}

/* No goodbye and no word for a minute: the session is over. With a keep-alive it stays. */
static void
test_silence (void)
{
  g_autoptr (Lab) lab = lab_new (29);
  GwSmpEcho echo = { .text = gw_text ("x") };

  lab_connect (lab);
  for (guint i = 0; i < 12; i++)
    {
      g_autoptr (GBytes) answer = NULL;

      lab_advance (lab, 10000);
      answer = lab_request (lab, GW_SMP_OP_WRITE, GW_SMP_GROUP_OS, GW_SMP_OS_ECHO,
                            LAB_BODY (gw_smp_echo_req_encode (&echo, w)));
      g_assert_nonnull (answer);
    }
  g_assert_cmpuint (lab->server_sessions, ==, 1);
  lab->gateway_alive = FALSE;
  lab_advance (lab, 59000);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_SESSION);
  lab_advance (lab, 2000);
  g_assert_cmpint (gw_ep_state (lab->ep), !=, GW_EP_SESSION);
}

/* The gateway says goodbye. */
static void
test_close (void)
{
  g_autoptr (Lab) lab = lab_new (30);

  lab_connect (lab);
  gnutls_bye (lab->server, GNUTLS_SHUT_WR);
  lab_pump (lab);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_WAITING);
  lab_advance (lab, 1300);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_SESSION);
}

static void
test_link_down (void)
{
  g_autoptr (Lab) lab = lab_new (31);

  lab_connect (lab);
  gw_ep_link (lab->ep, false);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_LINK_DOWN);
  lab_advance (lab, 200000);
  g_assert_cmpuint (lab->server_sessions, ==, 1);
  gw_ep_link (lab->ep, true);
  lab_pump (lab);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_SESSION);
}

/* Records from an attacker on the line neither end the session nor pass for the gateway's. */
static void
test_junk_in_session (void)
{
  g_autoptr (Lab) lab = lab_new (32);
  guint8 junk[200];
  GwEpStats stats;

  lab_connect (lab);
  for (guint i = 0; i < 500; i++)
    {
      for (guint j = 0; j < sizeof junk; j++)
        junk[j] = (guint8)g_test_rand_int ();
      junk[0] = (guint8)(20 + i % 44);
      junk[1] = 0xfe;
      junk[2] = 0xfd;
      junk[3] = 0;
      junk[4] = (guint8)(i % 3);
      junk[11] = 0;
      junk[12] = sizeof junk - 13;
      gw_ep_input (lab->ep, junk, sizeof junk);
    }
  lab_pump (lab);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_SESSION);
  gw_ep_stats (lab->ep, &stats);
  g_assert_cmpuint (stats.requests_in, ==, 0);
}

static guint8 recorded[512];
static gsize recorded_len;

static gboolean
record_datagram (Lab *lab, gboolean to_gateway, const guint8 *data, gsize len)
{
  if (!to_gateway)
    {
      memcpy (recorded, data, len);
      recorded_len = len;
    }
  return TRUE;
}

static void
test_replay (void)
{
  g_autoptr (Lab) lab = lab_new (33);
  GwSmpEcho echo = { .text = gw_text ("x") };
  GwEpStats before, after;

  lab_connect (lab);
  lab->filter = record_datagram;
  g_bytes_unref (lab_request (lab, GW_SMP_OP_WRITE, GW_SMP_GROUP_OS, GW_SMP_OS_ECHO,
                              LAB_BODY (gw_smp_echo_req_encode (&echo, w))));
  gw_ep_stats (lab->ep, &before);
  gw_ep_input (lab->ep, recorded, recorded_len);
  gw_ep_stats (lab->ep, &after);
  g_assert_cmpuint (after.requests_in, ==, before.requests_in);
  g_assert_cmpuint (after.repeats_in, ==, before.repeats_in);
  g_assert_cmpuint (after.datagrams_out, ==, before.datagrams_out);
}

/* The power goes: nothing of the secrets stays in the endpoint's memory. */
static void
test_shutdown_wipes (void)
{
  g_autoptr (Lab) lab = lab_new (34);
  guint8 binding[32], kid[32];
  const guint8 *memory = (const guint8 *)lab->ep;

  lab_connect (lab);
  memcpy (binding, gw_ep_binding (lab->ep), sizeof binding);
  memcpy (kid, gw_ep_key_id (lab->ep), sizeof kid);
  g_assert_nonnull (memmem (memory, gw_ep_size (), binding, sizeof binding));
  gw_ep_link (lab->ep, false);
  g_assert_null (memmem (memory, gw_ep_size (), binding, sizeof binding));
  gw_ep_shutdown (lab->ep);
  g_assert_null (memmem (memory, gw_ep_size (), binding, sizeof binding));
  g_assert_null (memmem (memory, gw_ep_size (), kid, sizeof kid));
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_OFF);
  g_assert_cmpuint (gw_ep_poll (lab->ep), ==, GW_EP_NEVER);
}

/* A chip whose cells are not the enrolled ones does not come up at all. */
static void
test_wrong_cells (void)
{
  g_autoptr (Lab) lab = lab_new (35);
  GwSimPufModel model = GW_SIM_PUF_MODEL_DEFAULT;

  lab_connect (lab);
  gw_ep_shutdown (lab->ep);
  gw_sim_puf_free (lab->chip.puf);
  lab->chip.puf = gw_sim_puf_new_model (36, &model);
  gw_sim_puf_power_up (lab->chip.puf);
  g_assert_cmpint (gw_ep_power_up (lab->ep), !=, GW_OK);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_OFF);
  lab_pump (lab);
  g_assert_true (g_queue_is_empty (&lab->to_gateway));
}

/* Not a test of speed: it says what a handshake costs the endpoint on this machine. */
static void
test_cost (void)
{
  g_autoptr (Lab) lab = lab_new (37);
  const guint n = 20;
  gint64 before;

  lab_connect (lab);
  before = lab->endpoint_ns;
  for (guint i = 0; i < n; i++)
    {
      gw_ep_link (lab->ep, false);
      gw_ep_link (lab->ep, true);
      lab_pump (lab);
      g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_SESSION);
    }
  g_test_message ("%.2f ms of the endpoint's CPU a handshake", (double)(lab->endpoint_ns - before) / n / 1e6);
  g_assert_cmpuint (lab->server_sessions, ==, n + 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/ep-dtls/handshake", test_handshake);
  g_test_add_func ("/ep-dtls/key-id", test_key_id);
  g_test_add_func ("/ep-dtls/binding", test_binding);
  g_test_add_func ("/ep-dtls/binding-vector", test_binding_vector);
  g_test_add_func ("/ep-dtls/ems-required", test_ems_required);
  g_test_add_func ("/ep-dtls/suites", test_suites);
  g_test_add_func ("/ep-dtls/unowned-accepts-any", test_unowned_accepts_any);
  g_test_add_func ("/ep-dtls/owned-refuses-stranger", test_owned_refuses_stranger);
  g_test_add_func ("/ep-dtls/owned-requires-use", test_owned_requires_use);
  g_test_add_func ("/ep-dtls/owned-ignores-names-and-dates", test_owned_ignores_names_and_dates);
  g_test_add_func ("/ep-dtls/loss", test_loss);
  g_test_add_func ("/ep-dtls/answer-at-the-deadline", test_answer_at_the_deadline);
  g_test_add_func ("/ep-dtls/loss-of-the-end", test_loss_of_the_end);
  g_test_add_func ("/ep-dtls/who-starts", test_who_starts);
  g_test_add_func ("/ep-dtls/backs-off-from-refusal", test_backs_off_from_refusal);
  g_test_add_func ("/ep-dtls/gateway-restart", test_gateway_restart);
  g_test_add_func ("/ep-dtls/start-repeats-hello", test_start_repeats_hello);
  g_test_add_func ("/ep-dtls/gateway-restart-in-handshake", test_gateway_restart_in_handshake);
  g_test_add_func ("/ep-dtls/endpoint-reboot", test_endpoint_reboot);
  g_test_add_func ("/ep-dtls/silence", test_silence);
  g_test_add_func ("/ep-dtls/close", test_close);
  g_test_add_func ("/ep-dtls/link-down", test_link_down);
  g_test_add_func ("/ep-dtls/junk-in-session", test_junk_in_session);
  g_test_add_func ("/ep-dtls/replay", test_replay);
  g_test_add_func ("/ep-dtls/shutdown-wipes", test_shutdown_wipes);
  g_test_add_func ("/ep-dtls/wrong-cells", test_wrong_cells);
  g_test_add_func ("/ep-dtls/cost", test_cost);
  return g_test_run ();
}
