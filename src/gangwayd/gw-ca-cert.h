/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gnutls/abstract.h>
#include <gnutls/x509.h>

#include "gw-ca-token.h"

/* How the CA's certificates look, and who signs them. Internal to the CA. Safe in any thread for objects that
 * nobody changes meanwhile. */

/* What distinguishes the three kinds of certificate. */
typedef struct
{
  const char *name;    /* CN */
  const char *uri;     /* SAN, NULL: none */
  const char *purpose; /* EKU, NULL: a CA */
  gint64 not_before;
  gint64 not_after; /* G_MAXINT64: no defined end */
} GwCaProfile;

/* The owner CA's key: in memory, or in a token. */
typedef struct
{
  gnutls_privkey_t key; /* NULL: in the token */
  GwCaToken *token;
} GwCaSigner;

/* A certificate over key, issued by issuer; self-signed if issuer is NULL. What a token has signed is
 * verified: it may hold another key than it held yesterday; issuer must have been imported for that, not
 * made. GW_ERROR_FAILED, GW_ERROR_BAD_STATE (token). */
gboolean gw_ca_certify (const GwCaProfile *profile,
                        gnutls_pubkey_t key,
                        const GwCaSigner *signer,
                        gnutls_x509_crt_t issuer,
                        gnutls_x509_crt_t *out,
                        GError **error);

/* The public half; GW_ERROR_BAD_STATE if the token has none to show or it is not of P-256. */
gboolean gw_ca_signer_get_public_key (const GwCaSigner *signer, gnutls_pubkey_t *out, GError **error);

/* Whether the key is there and is that of certificate: has something signed. */
gboolean gw_ca_signer_try (const GwCaSigner *signer, gnutls_x509_crt_t certificate, GError **error);

gboolean gw_ca_public_key_of (gnutls_x509_privkey_t key, gnutls_pubkey_t *out, GError **error);

gint64 gw_ca_certificate_not_before (gnutls_x509_crt_t certificate);
gint64 gw_ca_certificate_not_after (gnutls_x509_crt_t certificate);
