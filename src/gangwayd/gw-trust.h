// SPDX-License-Identifier: LGPL-2.1-or-later
/* Trust anchors for brokers and the one place where a broker's certificate is judged (RFC 5280 chain, RFC
 * 6125 name). */
#pragma once

#include <glib.h>
#include <gnutls/gnutls.h>

G_BEGIN_DECLS

/** An immutable, reference-counted set of anchors. */
typedef struct GwTrust GwTrust;
/** Shares the sets by path; a file that has changed on disk is read again at the next get. */
typedef struct GwTrustCache GwTrustCache;

/** @path: a PEM file with one or more certificates; NULL = the system's. GW_ERROR_NOT_TRUSTED if there is
 * nothing usable in it. */
GwTrust *gw_trust_load (const char *path, GError **error);
GwTrust *gw_trust_ref (GwTrust *self);
void gw_trust_unref (GwTrust *self);

/**
 * Judges a server's chain as received (leaf first, DER): issued under an anchor, in time, fit for TLS servers
 * and carrying @host, a DNS name or a numeric address. GW_ERROR_NOT_TRUSTED says which of these fails.
 */
gboolean
gw_trust_verify (GwTrust *self, const gnutls_datum_t *chain, guint n_chain, const char *host, GError **error);

GwTrustCache *gw_trust_cache_new (void);
void gw_trust_cache_free (GwTrustCache *self);
/** Returns a reference of the caller's. */
GwTrust *gw_trust_cache_get (GwTrustCache *self, const char *path, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwTrust, gw_trust_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwTrustCache, gw_trust_cache_free)

G_END_DECLS
