// SPDX-License-Identifier: LGPL-2.1-or-later
/* The handshake hook. See the header for the idea; here for what GnuTLS does.
 *
 * - GNUTLS_HOOK_PRE hands over each handshake message's body, in both directions, without its 4-octet header,
 * which is put back for the hash. A HelloRetryRequest arrives as type 1025 and replaces ClientHello by
 * message_hash (RFC 8446, 4.4.1). ChangeCipherSpec (254 here) is not part of the transcript, nor is what
 * follows Finished.
 * - GNUTLS_HOOK_POST on our Certificate: the message is queued already, the next call of gnutls_handshake
 * flushes it.
 * - Never suspend in the signing callback itself: GnuTLS then skips CertificateVerify and reports success.
 * - The credentials are shared and hold nothing of an endpoint: retrieve_function3 makes key and certificates
 * for the one handshake that asks, and GNUTLS_CERT_RETR_DEINIT_ALL takes them away again.
 */
#include "gw-delegate.h"
#include "gw-error.h"

#include <gio/gio.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <string.h>

#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM"

/* RFC 8446, 4.4.3: 64 spaces, the context string, one zero octet, the transcript hash. */
#define CONTEXT "TLS 1.3, client CertificateVerify"
#define CONTENT_LEN (64 + sizeof CONTEXT + GW_DELEGATE_HASH_LEN)

/* RFC 8446, 4: handshake type of the synthetic message that stands for the first ClientHello. */
#define TYPE_MESSAGE_HASH 254

typedef enum
{
  PHASE_HELLO,     /* up to our Certificate */
  PHASE_SUSPENDED, /* hash known, signature not */
  PHASE_SIGNED,    /* signature known */
  PHASE_DONE,
  PHASE_FAILED,
} Phase;

struct GwDelegateCreds
{
  gnutls_certificate_credentials_t creds;
  gnutls_priority_t priority;
};

struct GwDelegateChain
{
  gint refs;
  gnutls_pubkey_t pubkey;
  guint n;
  GBytes *certs[GW_DELEGATE_CHAIN_MAX];
};

struct GwDelegate
{
  gnutls_session_t session;
  char *host;
  GwTrust *trust;
  GwDelegateChain *chain;
  Phase phase;
  gnutls_hash_hd_t transcript;
  guint8 hash[GW_DELEGATE_HASH_LEN];
  guint8 sig[GW_DELEGATE_SIG_MAX];
  gsize sig_len;
  gboolean verified; /* the server's certificate, in this very handshake */
  gboolean signature_used;
  GError *why; /* what a callback knows better than GnuTLS's error code */
};

/* ---- shared parts ---- */

static void
build_content (const guint8 *hash, guint8 content[CONTENT_LEN])
{
  memset (content, 0x20, 64);
  memcpy (content + 64, CONTEXT, sizeof CONTEXT); /* its terminating zero is the separator */
  memcpy (content + 64 + sizeof CONTEXT, hash, GW_DELEGATE_HASH_LEN);
}

/* Called by GnuTLS with the digest of what it wants signed: hand out the endpoint's signature only if that is
 * what it is over. */
static int
on_sign_hash (gnutls_privkey_t key,
              gnutls_sign_algorithm_t algo,
              void *userdata,
              unsigned int flags,
              const gnutls_datum_t *hash,
              gnutls_datum_t *signature)
{
  GwDelegate *self = userdata;
  guint8 content[CONTENT_LEN], digest[32];

  if (self->phase != PHASE_SIGNED || self->signature_used || hash->size != sizeof digest
      || (algo != GNUTLS_SIGN_ECDSA_SECP256R1_SHA256 && algo != GNUTLS_SIGN_ECDSA_SHA256))
    return GNUTLS_E_PK_SIGN_FAILED;

  build_content (self->hash, content);
  if (gnutls_hash_fast (GNUTLS_DIG_SHA256, content, sizeof content, digest) < 0
      || memcmp (digest, hash->data, sizeof digest) != 0)
    return GNUTLS_E_PK_SIGN_FAILED;

  signature->data = gnutls_malloc (self->sig_len);
  if (!signature->data)
    return GNUTLS_E_MEMORY_ERROR;
  memcpy (signature->data, self->sig, self->sig_len);
  signature->size = (guint)self->sig_len;
  self->signature_used = TRUE;
  return 0;
}

static int
on_key_info (gnutls_privkey_t key, unsigned int flags, void *userdata)
{
  gnutls_sign_algorithm_t algo;

  if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO)
    return GNUTLS_PK_ECDSA;
  if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS)
    return 256;
  if (flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO)
    {
      algo = GNUTLS_FLAGS_TO_SIGN_ALGO (flags);
      return algo == GNUTLS_SIGN_ECDSA_SECP256R1_SHA256 || algo == GNUTLS_SIGN_ECDSA_SHA256;
    }
  return -1;
}

/* A partly filled list is what GnuTLS cannot free for us. */
static int
fill_pcerts (const GwDelegateChain *chain, gnutls_pcert_st *pcerts)
{
  for (guint i = 0; i < chain->n; i++)
    {
      gsize len;
      const guint8 *der = g_bytes_get_data (chain->certs[i], &len);
      gnutls_datum_t datum = { .data = (guint8 *)der, .size = (guint)len };
      int rc = gnutls_pcert_import_x509_raw (&pcerts[i], &datum, GNUTLS_X509_FMT_DER, 0);

      if (rc < 0)
        {
          while (i > 0)
            gnutls_pcert_deinit (&pcerts[--i]);
          return rc;
        }
    }
  return 0;
}

static int
on_retrieve (gnutls_session_t session,
             const struct gnutls_cert_retr_st *info,
             gnutls_pcert_st **certs,
             unsigned int *n_certs,
             gnutls_ocsp_data_st **ocsp,
             unsigned int *n_ocsp,
             gnutls_privkey_t *key,
             unsigned int *flags)
{
  GwDelegate *self = gnutls_session_get_ptr (session);
  gnutls_pcert_st *pcerts = gnutls_calloc (self->chain->n, sizeof *pcerts);
  int rc;

  if (!pcerts)
    return GNUTLS_E_MEMORY_ERROR;
  rc = fill_pcerts (self->chain, pcerts);
  if (rc < 0)
    {
      gnutls_free (pcerts);
      return rc;
    }
  rc = gnutls_privkey_init (key);
  if (rc == 0)
    rc = gnutls_privkey_import_ext4 (*key, self, NULL, on_sign_hash, NULL, NULL, on_key_info, 0);
  if (rc < 0)
    {
      for (guint i = 0; i < self->chain->n; i++)
        gnutls_pcert_deinit (&pcerts[i]);
      gnutls_free (pcerts);
      return rc;
    }
  *certs = pcerts;
  *n_certs = self->chain->n;
  *ocsp = NULL;
  *n_ocsp = 0;
  *flags = GNUTLS_CERT_RETR_DEINIT_ALL;
  return 0;
}

GwDelegateCreds *
gw_delegate_creds_new (void)
{
  GwDelegateCreds *self = g_new0 (GwDelegateCreds, 1);
  int rc = gnutls_certificate_allocate_credentials (&self->creds);

  if (rc == 0)
    rc = gnutls_priority_init (&self->priority, PRIORITY, NULL);
  if (rc < 0)
    g_error ("delegate: GnuTLS does not start: %s", gnutls_strerror (rc));
  gnutls_certificate_set_retrieve_function3 (self->creds, on_retrieve);
  return self;
}

void
gw_delegate_creds_free (GwDelegateCreds *self)
{
  if (!self)
    return;
  gnutls_certificate_free_credentials (self->creds);
  gnutls_priority_deinit (self->priority);
  g_free (self);
}

/* ---- the client's chain ---- */

static int
chain_import (GwDelegateChain *self, const gnutls_datum_t *certs)
{
  gnutls_x509_crt_t crt;
  gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
  int rc = gnutls_x509_crt_init (&crt);

  if (rc < 0)
    return rc;
  for (guint i = self->n; rc == 0 && i-- > 0;) /* the leaf last: crt then holds it */
    {
      gnutls_x509_crt_deinit (crt);
      gnutls_x509_crt_init (&crt);
      rc = gnutls_x509_crt_import (crt, &certs[i], GNUTLS_X509_FMT_DER);
    }
  if (rc == 0)
    rc = gnutls_pubkey_init (&self->pubkey);
  if (rc == 0)
    rc = gnutls_pubkey_import_x509 (self->pubkey, crt, 0);
  if (rc == 0)
    rc = gnutls_pubkey_export_ecc_raw (self->pubkey, &curve, NULL, NULL);
  if (rc == 0 && curve != GNUTLS_ECC_CURVE_SECP256R1)
    rc = GNUTLS_E_ECC_UNSUPPORTED_CURVE;
  gnutls_x509_crt_deinit (crt);
  return rc;
}

GwDelegateChain *
gw_delegate_chain_new (const gnutls_datum_t *certs, gsize n_certs, GError **error)
{
  g_autoptr (GwDelegateChain) self = g_new0 (GwDelegateChain, 1);
  int rc;

  self->refs = 1;
  if (n_certs == 0 || n_certs > GW_DELEGATE_CHAIN_MAX)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_INVALID,
                   "A certificate chain holds 1 to %d certificates, not %" G_GSIZE_FORMAT,
                   GW_DELEGATE_CHAIN_MAX, n_certs);
      return NULL;
    }
  for (; self->n < n_certs; self->n++)
    self->certs[self->n] = g_bytes_new (certs[self->n].data, certs[self->n].size);

  rc = chain_import (self, certs);
  if (rc < 0)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_INVALID,
                   "The endpoint's certificate is not an X.509 certificate over a P-256 key: %s",
                   gnutls_strerror (rc));
      return NULL;
    }
  return g_steal_pointer (&self);
}

GwDelegateChain *
gw_delegate_chain_ref (GwDelegateChain *self)
{
  g_atomic_int_inc (&self->refs);
  return self;
}

void
gw_delegate_chain_unref (GwDelegateChain *self)
{
  if (!self || !g_atomic_int_dec_and_test (&self->refs))
    return;
  for (guint i = 0; i < self->n; i++)
    g_bytes_unref (self->certs[i]);
  if (self->pubkey)
    gnutls_pubkey_deinit (self->pubkey);
  g_free (self);
}

/* ---- the hook ---- */

static int
transcript_start (GwDelegate *self)
{
  if (self->transcript)
    gnutls_hash_deinit (self->transcript, NULL);
  self->transcript = NULL;
  return gnutls_hash_init (&self->transcript, GNUTLS_DIG_SHA256);
}

static int
transcript_add (GwDelegate *self, guint8 type, const guint8 *body, gsize len)
{
  guint8 header[4] = { type, (guint8)(len >> 16), (guint8)(len >> 8), (guint8)len };
  int rc = gnutls_hash (self->transcript, header, sizeof header);

  return rc < 0 ? rc : gnutls_hash (self->transcript, body, len);
}

static int
transcript_message (GwDelegate *self, guint type, const gnutls_datum_t *body)
{
  guint8 first[GW_DELEGATE_HASH_LEN];
  int rc = 0;

  if (type == GNUTLS_HANDSHAKE_CHANGE_CIPHER_SPEC)
    return 0;
  if (type == GNUTLS_HANDSHAKE_HELLO_RETRY_REQUEST)
    {
      gnutls_hash_output (self->transcript, first);
      rc = transcript_start (self);
      if (rc == 0)
        rc = transcript_add (self, TYPE_MESSAGE_HASH, first, sizeof first);
      type = GNUTLS_HANDSHAKE_SERVER_HELLO;
    }
  /* A type that does not fit the octet is one we do not know how GnuTLS hashes: the digests would differ
   * anyway. */
  if (type > G_MAXUINT8)
    return GNUTLS_E_UNEXPECTED_HANDSHAKE_PACKET;
  return rc < 0 ? rc : transcript_add (self, (guint8)type, body->data, body->size);
}

/* Our Certificate is queued: what CertificateVerify signs is known. Stop here. */
static int
suspend (GwDelegate *self)
{
  gnutls_hash_hd_t copy;

  if (self->phase != PHASE_HELLO)
    return GNUTLS_E_UNEXPECTED_HANDSHAKE_PACKET;
  copy = gnutls_hash_copy (self->transcript);
  if (!copy)
    return GNUTLS_E_MEMORY_ERROR;
  gnutls_hash_deinit (copy, self->hash);
  self->phase = PHASE_SUSPENDED;
  return GNUTLS_E_INTERRUPTED;
}

static int
on_handshake (gnutls_session_t session,
              unsigned int type,
              unsigned int when,
              unsigned int incoming,
              const gnutls_datum_t *body)
{
  GwDelegate *self = gnutls_session_get_ptr (session);

  if (self->phase == PHASE_DONE || self->phase == PHASE_FAILED)
    return 0;
  if (when == GNUTLS_HOOK_PRE && self->phase == PHASE_HELLO)
    return transcript_message (self, type, body);
  if (when == GNUTLS_HOOK_POST && !incoming && type == GNUTLS_HANDSHAKE_CERTIFICATE_PKT)
    return suspend (self);
  return 0;
}

static int
on_verify (gnutls_session_t session)
{
  GwDelegate *self = gnutls_session_get_ptr (session);
  guint n = 0;
  const gnutls_datum_t *chain = gnutls_certificate_get_peers (session, &n);

  g_clear_error (&self->why);
  self->verified = gw_trust_verify (self->trust, chain, chain ? n : 0, self->host, &self->why);
  return self->verified ? 0 : GNUTLS_E_CERTIFICATE_ERROR;
}

/* ---- the session ---- */

GwDelegate *
gw_delegate_new (GwDelegateCreds *creds,
                 int fd,
                 const char *host,
                 GwTrust *trust,
                 GwDelegateChain *chain,
                 const gnutls_datum_t *ticket)
{
  GwDelegate *self = g_new0 (GwDelegate, 1);
  int rc = gnutls_init (&self->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);

  self->host = g_strdup (host);
  self->trust = gw_trust_ref (trust);
  self->chain = gw_delegate_chain_ref (chain);
  if (rc == 0)
    rc = gnutls_priority_set (self->session, creds->priority);
  if (rc == 0)
    rc = gnutls_credentials_set (self->session, GNUTLS_CRD_CERTIFICATE, creds->creds);
  if (rc == 0)
    rc = transcript_start (self);
  if (rc == 0 && !g_hostname_is_ip_address (host))
    rc = gnutls_server_name_set (self->session, GNUTLS_NAME_DNS, host, strlen (host));
  if (rc < 0)
    g_error ("delegate: cannot make a session: %s", gnutls_strerror (rc));

  gnutls_session_set_ptr (self->session, self);
  gnutls_session_set_verify_function (self->session, on_verify);
  gnutls_handshake_set_hook_function (self->session, GNUTLS_HANDSHAKE_ANY, GNUTLS_HOOK_BOTH, on_handshake);
  gnutls_transport_set_int (self->session, fd);
  /* One that GnuTLS does not take is no loss: the handshake is a full one then. */
  if (ticket && ticket->size)
    gnutls_session_set_data (self->session, ticket->data, ticket->size);
  return self;
}

void
gw_delegate_free (GwDelegate *self)
{
  if (!self)
    return;
  gnutls_deinit (self->session);
  if (self->transcript)
    gnutls_hash_deinit (self->transcript, NULL);
  gw_trust_unref (self->trust);
  gw_delegate_chain_unref (self->chain);
  g_clear_error (&self->why);
  g_free (self->host);
  explicit_bzero (self, sizeof *self);
  g_free (self);
}

static const char *
describe_alert (gnutls_session_t session)
{
  const char *name = gnutls_alert_get_name (gnutls_alert_get (session));

  return name ? name : "unknown";
}

static gboolean
alert_is_about_certificate (gnutls_alert_description_t alert)
{
  switch (alert)
    {
    case GNUTLS_A_BAD_CERTIFICATE:
    case GNUTLS_A_UNSUPPORTED_CERTIFICATE:
    case GNUTLS_A_CERTIFICATE_REVOKED:
    case GNUTLS_A_CERTIFICATE_EXPIRED:
    case GNUTLS_A_CERTIFICATE_UNKNOWN:
    case GNUTLS_A_UNKNOWN_CA:
    case GNUTLS_A_ACCESS_DENIED:
    case GNUTLS_A_CERTIFICATE_REQUIRED:
    case GNUTLS_A_DECRYPT_ERROR:
      return TRUE;
    default:
      return FALSE;
    }
}

void
gw_delegate_set_error (GwDelegate *self, int rc, GError **error)
{
  if (self->why)
    {
      g_propagate_error (error, g_steal_pointer (&self->why));
      return;
    }
  if (rc == GNUTLS_E_UNSUPPORTED_VERSION_PACKET
      || (rc == GNUTLS_E_FATAL_ALERT_RECEIVED
          && gnutls_alert_get (self->session) == GNUTLS_A_PROTOCOL_VERSION))
    g_set_error (
        error, GW_ERROR, GW_ERROR_UNSUPPORTED,
        "Broker %s does not speak TLS 1.3, and endpoints sign for no other; enable TLS 1.3 at the broker",
        self->host);
  else if (rc == GNUTLS_E_FATAL_ALERT_RECEIVED
           && gnutls_alert_get (self->session) == GNUTLS_A_HANDSHAKE_FAILURE)
    /* What a server says that knows TLS 1.2 only, or none of the rest that we offer. */
    g_set_error (error, GW_ERROR, GW_ERROR_UNSUPPORTED,
                 "Broker %s accepts nothing of what endpoints can do: TLS 1.3 with TLS_AES_128_GCM_SHA256 "
                 "and ECDSA over P-256",
                 self->host);
  else if (rc == GNUTLS_E_FATAL_ALERT_RECEIVED
           && alert_is_about_certificate (gnutls_alert_get (self->session)))
    g_set_error (error, GW_ERROR, GW_ERROR_NOT_TRUSTED,
                 "Broker %s refuses the endpoint's certificate (alert: %s); check the CA that the broker "
                 "trusts for clients",
                 self->host, describe_alert (self->session));
  else if (rc == GNUTLS_E_FATAL_ALERT_RECEIVED)
    g_set_error (error, GW_ERROR, GW_ERROR_FAILED, "Broker %s ended TLS with an alert: %s", self->host,
                 describe_alert (self->session));
  else if (rc == GNUTLS_E_PREMATURE_TERMINATION || rc == GNUTLS_E_PULL_ERROR || rc == GNUTLS_E_PUSH_ERROR
           || rc == GNUTLS_E_INVALID_SESSION)
    g_set_error (error, GW_ERROR, GW_ERROR_OFFLINE, "Broker %s closed the connection without a word",
                 self->host);
  else
    g_set_error (error, GW_ERROR, GW_ERROR_FAILED, "TLS with broker %s failed: %s", self->host,
                 gnutls_strerror (rc));
}

/* What a successful return of gnutls_handshake must stand for; GnuTLS saying so is not enough. */
static GwDelegateResult
finish (GwDelegate *self, GError **error)
{
  gboolean resumed = gnutls_session_is_resumed (self->session);

  self->phase = PHASE_FAILED;
  if (gnutls_protocol_get_version (self->session) != GNUTLS_TLS1_3
      || gnutls_cipher_get (self->session) != GNUTLS_CIPHER_AES_128_GCM || (!self->verified && !resumed))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_FAILED, "TLS with broker %s ended other than it was agreed",
                   self->host);
      return GW_DELEGATE_FAILED;
    }
  if (!resumed && !self->signature_used)
    {
      g_set_error (
          error, GW_ERROR, GW_ERROR_NOT_TRUSTED,
          "Broker %s did not ask for the endpoint's certificate; let it require one (require_certificate)",
          self->host);
      return GW_DELEGATE_FAILED;
    }
  self->phase = PHASE_DONE;
  gnutls_hash_deinit (self->transcript, NULL);
  self->transcript = NULL;
  explicit_bzero (self->sig, sizeof self->sig);
  return GW_DELEGATE_DONE;
}

GwDelegateResult
gw_delegate_handshake (GwDelegate *self, GError **error)
{
  int rc;

  if (self->phase == PHASE_SUSPENDED)
    return GW_DELEGATE_SIGN;
  g_return_val_if_fail (self->phase == PHASE_HELLO || self->phase == PHASE_SIGNED, GW_DELEGATE_FAILED);

  do
    {
      rc = gnutls_handshake (self->session);
      if (self->phase == PHASE_SUSPENDED && rc == GNUTLS_E_INTERRUPTED)
        return GW_DELEGATE_SIGN;
      /* The hook suspended, and GnuTLS went on regardless: it cannot have a signature, nor may it end well.
       */
      if (self->phase == PHASE_SUSPENDED)
        break;
    }
  while (rc == GNUTLS_E_INTERRUPTED || rc == GNUTLS_E_WARNING_ALERT_RECEIVED);

  if (rc == GNUTLS_E_AGAIN && self->phase != PHASE_SUSPENDED)
    return GW_DELEGATE_AGAIN;
  if (rc == 0 && self->phase != PHASE_SUSPENDED)
    return finish (self, error);

  self->phase = PHASE_FAILED;
  if (rc < 0 && rc != GNUTLS_E_FATAL_ALERT_RECEIVED)
    gnutls_alert_send_appropriate (self->session, rc); /* for the broker's log */
  gw_delegate_set_error (self, rc < 0 ? rc : GNUTLS_E_INTERNAL_ERROR, error);
  return GW_DELEGATE_FAILED;
}

gboolean
gw_delegate_wants_write (GwDelegate *self)
{
  return gnutls_record_get_direction (self->session) == 1;
}

const guint8 *
gw_delegate_get_hash (GwDelegate *self)
{
  return self->hash;
}

gboolean
gw_delegate_set_signature (GwDelegate *self, const guint8 *sig, gsize sig_len, GError **error)
{
  guint8 content[CONTENT_LEN];
  gnutls_datum_t data = { .data = content, .size = sizeof content };
  gnutls_datum_t signature = { .data = (guint8 *)sig, .size = (guint)sig_len };

  if (self->phase != PHASE_SUSPENDED)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_BAD_STATE, "No signature is being waited for");
      return FALSE;
    }
  build_content (self->hash, content);
  if (sig_len == 0 || sig_len > sizeof self->sig
      || gnutls_pubkey_verify_data2 (self->chain->pubkey, GNUTLS_SIGN_ECDSA_SHA256, 0, &data, &signature) < 0)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_NOT_TRUSTED,
                   "The endpoint's signature does not fit the key of its certificate; it may need to be "
                   "enrolled again");
      return FALSE;
    }
  memcpy (self->sig, sig, sig_len);
  self->sig_len = sig_len;
  self->phase = PHASE_SIGNED;
  return TRUE;
}

gnutls_session_t
gw_delegate_get_session (GwDelegate *self)
{
  return self->session;
}

gboolean
gw_delegate_is_resumed (GwDelegate *self)
{
  return gnutls_session_is_resumed (self->session) != 0;
}

gboolean
gw_delegate_get_ticket (GwDelegate *self, gnutls_datum_t *ticket)
{
  /* Without the flag gnutls_session_get_data2 would block in wait of one. */
  if (self->phase != PHASE_DONE || !(gnutls_session_get_flags (self->session) & GNUTLS_SFLAGS_SESSION_TICKET))
    return FALSE;
  return gnutls_session_get_data2 (self->session, ticket) == 0;
}
