// SPDX-License-Identifier: LGPL-2.1-or-later
/* A TLS 1.3 client handshake whose private key is somewhere else, and far away.
 *
 * GnuTLS asks for a signature synchronously; the endpoint answers over a serial line, seconds later. So the
 * handshake is suspended *before* GnuTLS asks: a handshake hook on our own outgoing Certificate returns
 * GNUTLS_E_INTERRUPTED, which GnuTLS treats as not fatal. At that moment the transcript, rebuilt from the
 * same hook, is exactly what CertificateVerify signs (RFC 8446, 4.4.3). Once the signature is there the
 * handshake goes on, GnuTLS asks, and the callback hands it out.
 *
 * What is given out to be signed is the transcript *hash* only: the endpoint builds the "TLS 1.3, client
 * CertificateVerify" content around it itself, so nothing else can be obtained from it. TLS 1.2 would need a
 * signature over a bare transcript, which endpoints refuse; it is never offered.
 *
 * It fails closed: the callback signs only the content of our transcript, only with a signature that verifies
 * against the certificate, and a handshake that ends without having used it is an error, unless it resumed an
 * earlier one.
 */
#pragma once

#include <glib.h>
#include <gnutls/gnutls.h>
#include "gw-trust.h"

G_BEGIN_DECLS

/** SHA-256: the only suite offered is TLS_AES_128_GCM_SHA256. */
#define GW_DELEGATE_HASH_LEN 32
/** A P-256 ECDSA-Sig-Value in DER is at most 72 octets. */
#define GW_DELEGATE_SIG_MAX 72
/** Certificates in a client's chain. */
#define GW_DELEGATE_CHAIN_MAX 4

typedef struct GwDelegateCreds GwDelegateCreds;
typedef struct GwDelegateChain GwDelegateChain;
typedef struct GwDelegate GwDelegate;

typedef enum
{
  GW_DELEGATE_FAILED, /* error set */
  GW_DELEGATE_AGAIN,  /* wait for the socket: gw_delegate_wants_write () */
  GW_DELEGATE_SIGN, /* suspended: gw_delegate_get_hash () wants a signature; the socket need not be watched */
  GW_DELEGATE_DONE,
} GwDelegateResult;

/** The credentials object that all sessions share; outlives them. */
GwDelegateCreds *gw_delegate_creds_new (void);
void gw_delegate_creds_free (GwDelegateCreds *self);

/** A client's chain, leaf first, DER; copied. The leaf must carry a P-256 key. GW_ERROR_INVALID.
 * Reference-counted. */
GwDelegateChain *gw_delegate_chain_new (const gnutls_datum_t *certs, gsize n_certs, GError **error);
GwDelegateChain *gw_delegate_chain_ref (GwDelegateChain *self);
void gw_delegate_chain_unref (GwDelegateChain *self);

/**
 * A client session on the connected, non-blocking socket @fd, which stays the caller's. @host is what the
 * server's certificate must carry.
 * @ticket: from gw_delegate_get_ticket of an earlier session of the same host, chain and trust; NULL = none.
 * Holds references to the rest.
 */
GwDelegate *gw_delegate_new (GwDelegateCreds *creds,
                             int fd,
                             const char *host,
                             GwTrust *trust,
                             GwDelegateChain *chain,
                             const gnutls_datum_t *ticket);
/** In any phase, a suspended one included. NULL is fine. Sends nothing. */
void gw_delegate_free (GwDelegate *self);

/** One step; up to 2 ms of CPU. Errors: NOT_TRUSTED, UNSUPPORTED, OFFLINE, FAILED. */
GwDelegateResult gw_delegate_handshake (GwDelegate *self, GError **error);
gboolean gw_delegate_wants_write (GwDelegate *self);

/** GW_DELEGATE_HASH_LEN octets, valid once suspended. */
const guint8 *gw_delegate_get_hash (GwDelegate *self);
/** Checks @sig (DER) against the certificate and keeps it for the next gw_delegate_handshake. NOT_TRUSTED if
 * wrong, BAD_STATE if not asked for. */
gboolean gw_delegate_set_signature (GwDelegate *self, const guint8 *sig, gsize sig_len, GError **error);

/** For records after the handshake. Owned by the delegate. */
gnutls_session_t gw_delegate_get_session (GwDelegate *self);
gboolean gw_delegate_is_resumed (GwDelegate *self);
/** The newest ticket's session data if one has arrived, for gnutls_free; it lets its holder reconnect as the
 * endpoint: memory only. */
gboolean gw_delegate_get_ticket (GwDelegate *self, gnutls_datum_t *ticket);

/** Turns a fatal result of gnutls_record_recv or gnutls_record_send into an error that names the broker and
 * the alert. */
void gw_delegate_set_error (GwDelegate *self, int rc, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwDelegate, gw_delegate_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwDelegateChain, gw_delegate_chain_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwDelegateCreds, gw_delegate_creds_free)

G_END_DECLS
