/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "gw-clock.h"
#include "gw-csr-check.h"
#include "gw-issuer.h"

/* The local certificate authority: the owner's CA until a better one is configured (doc/certificates.md).
 *
 * The owner CA's key is a file, or in a token named by a PKCS #11 URI (gw-ca-token.h). A token may be slow, and
 * may go and come back: meanwhile nothing is issued, and all else goes on. It is needed at once only where there
 * is no ca.crt or no usable gateway certificate yet. A key is never made in a token, and never taken from a file
 * to a token: both are a person's decisions, the error says how.
 *
 * In dir: ca.key (PEM, 0600; not with a token), ca.crt, gateway.key (0600), gateway.crt. Each file is written beside, synced
 * and renamed, the key before its certificate; what a kill between two of them leaves is completed or made
 * anew at the next start. A ca.crt without its key is never replaced: every endpoint taken is pinned to that
 * key.
 *
 * All keys are P-256, all signatures ECDSA with SHA-256. Dates depend on the gateway's clock, which may not
 * be set yet: the CA's own do not (2020 to no defined end, RFC 5280 section 4.1.2.5), the gateway's
 * certificate is made anew when the clock leaves its dates, and endpoints, who have no clock, look at
 * neither. */

#define GW_CA_GATEWAY_DAYS 365 /* the gateway's certificate */
#define GW_CA_ENDPOINT_DAYS 90 /* an endpoint's, unless the options say otherwise */
#define GW_CA_ENDPOINT_DAYS_MAX 3650
#define GW_CA_BACKDATE_HOURS 24 /* notBefore lies this far back: clocks differ */
#define GW_CA_SERIAL_LEN 16     /* random octets of a certificate's serial number */
#define GW_CA_EPOCH (G_GINT64_CONSTANT (1577836800) * G_USEC_PER_SEC) /* 2020: an earlier clock is not set   \
                                                                       */

typedef struct _GwCa GwCa;

typedef struct
{
  const char *dir;        /* created 0700 if missing */
  const char *gateway_id; /* CN of the gateway's certificate; 1 to 64 of A-Za-z0-9.-_ */
  guint endpoint_days;    /* 0: GW_CA_ENDPOINT_DAYS */
  GwClock *clock;         /* a reference is taken */
  const char *key_uri;    /* "pkcs11:..."; NULL: ca.key in dir */
  const char *pin_file;   /* of the token; NULL: it needs no PIN */
} GwCaOptions;

/* GW_ERROR_STORAGE (files), GW_ERROR_BAD_STATE (files that do not belong together), GW_ERROR_INVALID
 * (options). */
GwCa *gw_ca_open (const GwCaOptions *options, GError **error);
void gw_ca_free (GwCa *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwCa, gw_ca_free)

/* The owner CA: DER, and SHA-256 of its SubjectPublicKeyInfo (32 octets, what endpoints pin). Owned by the
 * CA. */
GBytes *gw_ca_get_certificate (GwCa *self);
const guint8 *gw_ca_get_spki_hash (GwCa *self);

/* The gateway's own key and certificate for the field bus (DTLS server). Borrowed, alive until gw_ca_free ();
 * after a renewal ask again: sessions that are up go on with the old ones. */
gnutls_certificate_credentials_t gw_ca_get_credentials (GwCa *self);
GBytes *gw_ca_get_gateway_certificate (GwCa *self);
gint64 gw_ca_get_gateway_not_after (GwCa *self);

/* Renews the gateway's certificate over a fresh key when less than a third of its time is left or the clock
 * has gone back before its beginning; else tries the token, if there is one. Call it after the start, once a day,
 * and again after a failure; one at a time. *renewed: ask for the credentials again. GW_ERROR_BAD_STATE while the
 * token cannot be used. */
void gw_ca_renew_gateway_async (GwCa *self, GAsyncReadyCallback callback, gpointer user_data);
gboolean gw_ca_renew_gateway_finish (GwCa *self, GAsyncResult *result, gboolean *renewed, GError **error);

/* Signs an endpoint's certificate: what the issuer below does, at once (with a token: as long as that takes).
 * GW_ERROR_BAD_STATE while the clock is not set or the token cannot be used. */
GwIssued *gw_ca_issue (GwCa *self, const GwCsrKey *key, const GwIssueRequest *request, GError **error);

/* The local CA as an issuer. It borrows the CA. */
GwIssuer *gw_ca_issuer_new (GwCa *self);
