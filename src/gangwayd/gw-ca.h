/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "gw-clock.h"
#include "gw-csr-check.h"
#include "gw-issuer.h"

/* The local certificate authority: the owner's CA until a better one is configured (doc/certificates.md).
 *
 * In dir: ca.key (PEM, 0600), ca.crt, gateway.key (0600), gateway.crt. Each file is written beside, synced
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
 * has gone back before its beginning. Call it once a day and when the clock was set. *renewed: ask for the
 * credentials again. */
gboolean gw_ca_renew_gateway (GwCa *self, gboolean *renewed, GError **error);

/* Signs an endpoint's certificate: what the issuer below does, at once. GW_ERROR_BAD_STATE while the clock is
 * not set. */
GwIssued *gw_ca_issue (GwCa *self, const GwCsrKey *key, const GwIssueRequest *request, GError **error);

/* The local CA as an issuer. It borrows the CA. */
GwIssuer *gw_ca_issuer_new (GwCa *self);
