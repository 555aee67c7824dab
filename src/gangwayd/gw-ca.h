/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "gw-clock.h"
#include "gw-issuer.h"

/* The local certificate authority: the owner's CA until a better one is configured.
 *
 * In dir: ca.key (PEM, 0600), ca.crt, gateway.key (0600), gateway.crt. Each file is written beside, synced and renamed,
 * the key before its certificate; what a kill between two of them leaves is completed or made anew at the next start.
 * A ca.crt without its key is never replaced: every endpoint taken is pinned to it.
 */

#define GW_CA_DAYS (30 * 365)       /* the CA's own validity */
#define GW_CA_GATEWAY_DAYS 365      /* the gateway's certificate */
#define GW_CA_ENDPOINT_DAYS 90      /* an endpoint's, unless the options say otherwise */
#define GW_CA_ENDPOINT_DAYS_MAX 3650
#define GW_CA_BACKDATE_HOURS 24     /* notBefore lies this far back: clocks differ */

typedef struct _GwCa GwCa;

typedef struct
{
  const char *dir;        /* created 0700 if missing */
  const char *gateway_id; /* CN of the gateway's certificate; 1 to 64 of A-Za-z0-9.-_ */
  guint endpoint_days;    /* 0: GW_CA_ENDPOINT_DAYS */
  GwClock *clock;         /* borrowed */
} GwCaOptions;

GwCa *gw_ca_open (const GwCaOptions *options, GError **error);
void gw_ca_free (GwCa *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwCa, gw_ca_free)

/* The owner CA. DER and SHA-256 of its SubjectPublicKeyInfo (32 octets, what endpoints pin); owned by the CA. */
GBytes *gw_ca_get_certificate (GwCa *self);
const guint8 *gw_ca_get_spki_hash (GwCa *self);

/* The gateway's own key and certificate for the field bus (DTLS server). Borrowed; valid until gw_ca_free () or the
 * next gw_ca_renew_gateway () that returned TRUE. */
gnutls_certificate_credentials_t gw_ca_get_credentials (GwCa *self);
GBytes *gw_ca_get_gateway_certificate (GwCa *self);
gint64 gw_ca_get_gateway_not_after (GwCa *self);

/* Renews the gateway's certificate over a fresh key when less than a third of its time is left. Call it once a day.
 * *renewed: credentials are new; sessions that are up go on with the old ones, which the CA keeps alive. */
gboolean gw_ca_renew_gateway (GwCa *self, gboolean *renewed, GError **error);

/* The local CA as an issuer. It borrows the CA. */
GwIssuer *gw_ca_issuer_new (GwCa *self);
