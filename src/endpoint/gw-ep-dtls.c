/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See gw-ep-dtls.h. Two things reach below mbedTLS's public calls, for want of one in 2.28: whether the
 * extended master secret was agreed is read from the handshake's state, and the exporter of RFC 5705 is
 * computed from what the key export callback sees. */

#include "gw-ep-dtls.h"

#include <string.h>

#include <mbedtls/asn1.h>
#include <mbedtls/ecp.h>
#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>
#include <mbedtls/ssl_internal.h>
#include <mbedtls/x509_crt.h>

#include "gw-status.h"

static const int suites_gcm[] = { MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, 0 };
static const int suites_ccm8[]
    = { MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8, 0 };
static const int hashes[] = { MBEDTLS_MD_SHA256, MBEDTLS_MD_NONE };
static const mbedtls_ecp_group_id curves[] = { MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_NONE };
static const mbedtls_x509_crt_profile profile = {
  .allowed_mds = MBEDTLS_X509_ID_FLAG (MBEDTLS_MD_SHA256),
  .allowed_pks = MBEDTLS_X509_ID_FLAG (MBEDTLS_PK_ECKEY) | MBEDTLS_X509_ID_FLAG (MBEDTLS_PK_ECDSA),
  .allowed_curves = MBEDTLS_X509_ID_FLAG (MBEDTLS_ECP_DP_SECP256R1),
};

static uint64_t
now_ms (const GwEpDtls *self)
{
  return self->platform->now_ms (self->platform->ctx);
}

/* ---- What mbedTLS calls ---- */

static int
bio_send (void *data, const unsigned char *buf, size_t len)
{
  GwEpDtls *self = data;

  /* Best effort: what the line does not take is lost as on the wire, and retransmitted the same way. */
  (void)self->platform->send (self->platform->ctx, buf, len);
  self->stats->datagrams_out++;
  if (!self->established)
    {
      self->stats->handshake_datagrams_out++;
      self->stats->handshake_octets_out += (uint32_t)len;
    }
  return (int)len;
}

static int
bio_recv (void *data, unsigned char *buf, size_t cap)
{
  GwEpDtls *self = data;
  size_t len = self->in_len;

  if (self->in == NULL)
    return MBEDTLS_ERR_SSL_WANT_READ;
  if (len > cap)
    len = cap;
  memcpy (buf, self->in, len);
  self->in = NULL;
  return (int)len;
}

static void
timer_set (void *data, uint32_t intermediate_ms, uint32_t final_ms)
{
  GwEpDtls *self = data;
  uint64_t now = now_ms (self);

  if (final_ms == 0)
    {
      self->final_at = GW_EP_NEVER;
      return;
    }
  if (!self->heard && self->silent && final_ms < GW_DTLS_CLIENT_HELLO_MAX_MS)
    final_ms = GW_DTLS_CLIENT_HELLO_MAX_MS;
  final_ms = gw_ep_dtls_jitter (self, final_ms);
  self->intermediate_at = now + intermediate_ms;
  self->final_at = now + final_ms;
}

static int
timer_get (void *data)
{
  GwEpDtls *self = data;
  uint64_t now = now_ms (self);

  if (self->final_at == GW_EP_NEVER)
    return -1;
  if (now >= self->final_at)
    return 2;
  return now >= self->intermediate_at ? 1 : 0;
}

/* The length of a context of length zero ends the seed: two zero octets. */
int
gw_ep_dtls_exporter (const uint8_t master[48],
                     const uint8_t client_random[32],
                     const uint8_t server_random[32],
                     uint8_t binding[GW_IDENT_BINDING_LEN])
{
  unsigned char seed[66] = { 0 };

  memcpy (seed, client_random, 32);
  memcpy (seed + 32, server_random, 32);
  return mbedtls_ssl_tls_prf (MBEDTLS_SSL_TLS_PRF_SHA256, master, 48, GW_IDENT_BINDING_LABEL, seed,
                              sizeof seed, binding, GW_IDENT_BINDING_LEN)
                 == 0
             ? GW_OK
             : GW_E_CRYPTO;
}

/* Called once the keys are derived; they themselves are not kept. */
static int
export_keys (void *data,
             const unsigned char *master,
             const unsigned char *key_block,
             size_t mac_len,
             size_t key_len,
             size_t iv_len,
             const unsigned char client_random[32],
             const unsigned char server_random[32],
             mbedtls_tls_prf_types prf)
{
  GwEpDtls *self = data;

  (void)key_block, (void)mac_len, (void)key_len, (void)iv_len;
  self->has_binding = prf == MBEDTLS_SSL_TLS_PRF_SHA256
                      && gw_ep_dtls_exporter (master, client_random, server_random, self->binding) == GW_OK;
  return 0;
}

/* mbedTLS takes a certificate without the extension as good for every use; here serverAuth must stand in it.
 */
static bool
has_server_auth (const mbedtls_x509_crt *crt)
{
  const mbedtls_x509_sequence *use;

  if ((crt->ext_types & MBEDTLS_X509_EXT_EXTENDED_KEY_USAGE) == 0)
    return false;
  for (use = &crt->ext_key_usage; use != NULL; use = use->next)
    if (MBEDTLS_OID_CMP (MBEDTLS_OID_SERVER_AUTH, &use->buf) == 0)
      return true;
  return false;
}

static int
verify (void *data, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
  (void)data;
  *flags &= ~(uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE
                        | MBEDTLS_X509_BADCERT_CN_MISMATCH);
  if (depth == 0 && !has_server_auth (crt))
    *flags |= MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
  return 0;
}

/* ---- Setting up ---- */

static void
configure (GwEpDtls *self, bool offer_ccm8)
{
  mbedtls_ssl_config *conf = &self->conf;

  mbedtls_ssl_conf_rng (conf, mbedtls_ctr_drbg_random, &self->drbg);
  mbedtls_ssl_conf_min_version (conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
  mbedtls_ssl_conf_max_version (conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
  mbedtls_ssl_conf_ciphersuites (conf, offer_ccm8 ? suites_ccm8 : suites_gcm);
  mbedtls_ssl_conf_sig_hashes (conf, hashes);
  mbedtls_ssl_conf_curves (conf, curves);
  mbedtls_ssl_conf_cert_profile (conf, &profile);
  mbedtls_ssl_conf_verify (conf, verify, NULL);
  mbedtls_ssl_conf_authmode (conf, MBEDTLS_SSL_VERIFY_OPTIONAL);
  mbedtls_ssl_conf_extended_master_secret (conf, MBEDTLS_SSL_EXTENDED_MS_ENABLED);
  mbedtls_ssl_conf_renegotiation (conf, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
  mbedtls_ssl_conf_dtls_anti_replay (conf, MBEDTLS_SSL_ANTI_REPLAY_ENABLED);
  mbedtls_ssl_conf_export_keys_ext_cb (conf, export_keys, self);
#ifdef MBEDTLS_SSL_SESSION_TICKETS
  mbedtls_ssl_conf_session_tickets (conf, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
#endif
#ifdef MBEDTLS_SSL_ENCRYPT_THEN_MAC
  mbedtls_ssl_conf_encrypt_then_mac (conf, MBEDTLS_SSL_ETM_DISABLED); /* no CBC suite is offered */
#endif
}

int
gw_ep_dtls_init (
    GwEpDtls *self, const GwEpPlatform *platform, GwKeys *keys, GwEpStats *stats, bool offer_ccm8)
{
  memset (self, 0, sizeof *self);
  self->platform = platform;
  self->keys = keys;
  self->stats = stats;
  self->final_at = self->give_up_at = GW_EP_NEVER;
  mbedtls_ctr_drbg_init (&self->drbg);
  mbedtls_ssl_config_init (&self->conf);
  mbedtls_ssl_init (&self->ssl);
  mbedtls_x509_crt_init (&self->own_cert);
  mbedtls_x509_crt_init (&self->anchor);
  mbedtls_pk_init (&self->own_key);

  if (mbedtls_ctr_drbg_seed (&self->drbg, gw_keys_rng, (void *)platform, keys->kid, sizeof keys->kid) != 0)
    return GW_E_IO;
  if (mbedtls_ssl_config_defaults (&self->conf, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_DATAGRAM,
                                   MBEDTLS_SSL_PRESET_DEFAULT)
      != 0)
    return GW_E_CRYPTO;
  configure (self, offer_ccm8);
  gw_keys_init_pk (keys, &self->own_key);
  if (mbedtls_x509_crt_parse_der (&self->own_cert, keys->cert, keys->cert_len) != 0
      || mbedtls_ssl_conf_own_cert (&self->conf, &self->own_cert, &self->own_key) != 0
      || mbedtls_ssl_setup (&self->ssl, &self->conf) != 0)
    return GW_E_CRYPTO;
  mbedtls_ssl_set_bio (&self->ssl, self, bio_send, bio_recv, NULL);
  mbedtls_ssl_set_timer_cb (&self->ssl, self, timer_set, timer_get);
  return GW_OK;
}

void
gw_ep_dtls_free (GwEpDtls *self)
{
  mbedtls_ssl_free (&self->ssl);
  mbedtls_ssl_config_free (&self->conf);
  mbedtls_x509_crt_free (&self->own_cert);
  mbedtls_x509_crt_free (&self->anchor);
  mbedtls_pk_free (&self->own_key);
  mbedtls_ctr_drbg_free (&self->drbg);
  mbedtls_platform_zeroize (self, sizeof *self);
}

void
gw_ep_dtls_set_link (GwEpDtls *self, uint16_t mtu, uint16_t frame_ms)
{
  uint32_t first = GW_DTLS_CLIENT_HELLO_MIN_MS;

  if (first < 2u * frame_ms)
    first = 2u * frame_ms;
  mbedtls_ssl_set_mtu (&self->ssl, mtu);
  mbedtls_ssl_conf_handshake_timeout (&self->conf, first, GW_DTLS_CLIENT_HELLO_MAX_MS);
}

/* ---- The owner ---- */

static int
parse_anchor (mbedtls_x509_crt *crt, const uint8_t *der, size_t len)
{
  if (mbedtls_x509_crt_parse_der (crt, der, len) != 0)
    return GW_E_CRYPTO;
  if (!crt->ca_istrue || !mbedtls_pk_can_do (&crt->pk, MBEDTLS_PK_ECKEY)
      || mbedtls_pk_ec (crt->pk)->grp.id != MBEDTLS_ECP_DP_SECP256R1)
    return GW_E_CRYPTO;
  return GW_OK;
}

int
gw_ep_dtls_set_anchor (GwEpDtls *self, const uint8_t *der, size_t len, uint8_t spki_hash[GW_SHA256_LEN])
{
  mbedtls_x509_crt crt;
  int status;

  if (len == 0)
    {
      mbedtls_ssl_conf_ca_chain (&self->conf, NULL, NULL);
      mbedtls_ssl_conf_authmode (&self->conf, MBEDTLS_SSL_VERIFY_OPTIONAL);
      mbedtls_x509_crt_free (&self->anchor);
      mbedtls_x509_crt_init (&self->anchor);
      return GW_OK;
    }
  mbedtls_x509_crt_init (&crt);
  status = parse_anchor (&crt, der, len);
  if (status != GW_OK)
    {
      mbedtls_x509_crt_free (&crt);
      return status;
    }
  mbedtls_x509_crt_free (&self->anchor);
  self->anchor = crt;
  mbedtls_ssl_conf_ca_chain (&self->conf, &self->anchor, NULL);
  mbedtls_ssl_conf_authmode (&self->conf, MBEDTLS_SSL_VERIFY_REQUIRED);
  if (spki_hash != NULL
      && mbedtls_sha256_ret (self->anchor.pk_raw.p, self->anchor.pk_raw.len, spki_hash, 0) != 0)
    return GW_E_CRYPTO;
  return GW_OK;
}

int
gw_ep_dtls_check_anchor (GwEpDtls *self, const uint8_t *der, size_t len)
{
  const mbedtls_x509_crt *peer = self->established ? mbedtls_ssl_get_peer_cert (&self->ssl) : NULL;
  mbedtls_x509_crt crt;
  uint32_t flags = 0;
  int status;

  if (peer == NULL)
    return GW_E_DENIED;
  mbedtls_x509_crt_init (&crt);
  status = parse_anchor (&crt, der, len);
  if (status == GW_OK
      && mbedtls_x509_crt_verify_with_profile ((mbedtls_x509_crt *)peer, &crt, NULL, &profile, NULL, &flags,
                                               verify, NULL)
             != 0)
    status = GW_E_DENIED;
  mbedtls_x509_crt_free (&crt);
  return status;
}

/* ---- The session ---- */

void
gw_ep_dtls_stop (GwEpDtls *self)
{
  self->running = self->established = self->heard = self->has_binding = false;
  self->final_at = self->give_up_at = GW_EP_NEVER;
  self->in = NULL;
  mbedtls_platform_zeroize (self->binding, sizeof self->binding);
  (void)mbedtls_ssl_session_reset (&self->ssl);
}

void
gw_ep_dtls_close (GwEpDtls *self)
{
  if (self->established)
    (void)mbedtls_ssl_close_notify (&self->ssl);
}

void
gw_ep_dtls_start (GwEpDtls *self)
{
  gw_ep_dtls_stop (self);
  self->running = true;
  self->final_at = now_ms (self); /* due at once; mbedTLS sets its own with the first flight */
  self->stats->handshakes++;
  self->stats->handshake_datagrams_out = self->stats->handshake_octets_out = 0;
  self->stats->handshake_datagrams_in = self->stats->handshake_octets_in = 0;
}

void
gw_ep_dtls_hurry (GwEpDtls *self)
{
  if (self->running && !self->heard && self->final_at != GW_EP_NEVER)
    self->final_at = now_ms (self);
}

void
gw_ep_dtls_feed (GwEpDtls *self, const uint8_t *datagram, size_t len)
{
  if (!self->running || len == 0)
    return;
  self->in = datagram;
  self->in_len = len;
  if (!self->established)
    {
      self->stats->handshake_datagrams_in++;
      self->stats->handshake_octets_in += (uint32_t)len;
    }
}

static void
note_heard (GwEpDtls *self)
{
  if (self->heard)
    return;
  self->heard = true;
  self->silent = false;
  self->give_up_at = now_ms (self) + GW_EP_DTLS_HANDSHAKE_MAX_MS;
}

static int
handshake (GwEpDtls *self)
{
  while (self->ssl.state != MBEDTLS_SSL_HANDSHAKE_OVER)
    {
      int ret = mbedtls_ssl_handshake_step (&self->ssl);

      if (self->ssl.state > MBEDTLS_SSL_SERVER_HELLO)
        note_heard (self);
      if (self->heard && self->ssl.handshake != NULL
          && self->ssl.handshake->extended_ms != MBEDTLS_SSL_EXTENDED_MS_ENABLED)
        {
          (void)mbedtls_ssl_send_alert_message (&self->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                                MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE);
          return MBEDTLS_ERR_SSL_BAD_HS_SERVER_HELLO;
        }
      /* An expired timer makes mbedTLS retransmit before it looks at the datagram: it is still to be read. */
      if (ret == MBEDTLS_ERR_SSL_WANT_READ && self->in != NULL)
        continue;
      if (ret != 0)
        return ret;
    }
  return self->has_binding ? 0 : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

static GwEpDtlsEvent
fail (GwEpDtls *self, int ret)
{
  if (!self->established)
    self->stats->handshakes_failed++;
  else
    self->stats->sessions_lost++;
  self->silent = ret == MBEDTLS_ERR_SSL_TIMEOUT && !self->heard;
  gw_ep_dtls_stop (self);
  return GW_EP_DTLS_DOWN;
}

static GwEpDtlsEvent
run_handshake (GwEpDtls *self)
{
  int ret;

  /* Before the first flight mbedTLS has no timer of its own. */
  if (self->ssl.state == MBEDTLS_SSL_HELLO_REQUEST)
    self->final_at = GW_EP_NEVER;
  if (self->heard && now_ms (self) >= self->give_up_at)
    return fail (self, MBEDTLS_ERR_SSL_TIMEOUT);
  ret = handshake (self);
  if (ret == MBEDTLS_ERR_SSL_WANT_READ || ret == MBEDTLS_ERR_SSL_WANT_WRITE)
    return GW_EP_DTLS_IDLE;
  if (ret != 0)
    return fail (self, ret);
  self->established = true;
  self->final_at = self->give_up_at = GW_EP_NEVER;
  return GW_EP_DTLS_UP;
}

GwEpDtlsEvent
gw_ep_dtls_run (GwEpDtls *self, uint8_t *buf, size_t cap, size_t *len)
{
  int ret;

  *len = 0;
  if (!self->running)
    {
      self->in = NULL;
      return GW_EP_DTLS_IDLE;
    }
  if (!self->established)
    return run_handshake (self);
  do
    ret = mbedtls_ssl_read (&self->ssl, buf, cap);
  while (ret == MBEDTLS_ERR_SSL_WANT_READ && self->in != NULL);
  if (ret == MBEDTLS_ERR_SSL_WANT_READ || ret == MBEDTLS_ERR_SSL_WANT_WRITE)
    return GW_EP_DTLS_IDLE;
  if (ret <= 0)
    return fail (self, ret);
  *len = (size_t)ret;
  return GW_EP_DTLS_RECORD;
}

uint64_t
gw_ep_dtls_deadline (const GwEpDtls *self)
{
  if (!self->running || self->established)
    return GW_EP_NEVER;
  return self->final_at < self->give_up_at ? self->final_at : self->give_up_at;
}

int
gw_ep_dtls_send (GwEpDtls *self, const uint8_t *data, size_t len)
{
  if (!self->established)
    return GW_E_STATE;
  if (len > gw_ep_dtls_message_max (self))
    return GW_E_SPACE;
  return mbedtls_ssl_write (&self->ssl, data, len) == (int)len ? GW_OK : GW_E_CRYPTO;
}

size_t
gw_ep_dtls_message_max (const GwEpDtls *self)
{
  int max = self->established ? mbedtls_ssl_get_max_out_record_payload (&self->ssl) : 0;

  return max > 0 ? (size_t)max : 0;
}

/* ---- Random numbers ---- */

int
gw_ep_dtls_random (GwEpDtls *self, void *out, size_t len)
{
  return mbedtls_ctr_drbg_random (&self->drbg, out, len) == 0 ? GW_OK : GW_E_IO;
}

uint32_t
gw_ep_dtls_jitter (GwEpDtls *self, uint32_t ms)
{
  uint32_t span = ms * 2u * GW_DTLS_CLIENT_HELLO_JITTER_PERCENT / 100u;
  uint32_t r = 0;

  if (gw_ep_dtls_random (self, &r, sizeof r) != GW_OK || span == 0)
    return ms;
  return ms - span / 2u + r % (span + 1u);
}
