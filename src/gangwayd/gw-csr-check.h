/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Judges a certificate signing request (PKCS #10, RFC 2986) that came from an endpoint. Nothing but the
 * public key is ever taken from it: names and extensions in it are ignored. */

#define GW_CSR_MAX 1024 /* octets of DER; an honest request of ours has about 330 */
#define GW_CSR_BINDING_LEN 32
#define GW_CSR_SPKI_LEN 91 /* P-256, uncompressed, named curve: the only form there is */

typedef enum
{
  GW_CSR_OK,
  GW_CSR_SIZE,          /* empty or longer than GW_CSR_MAX */
  GW_CSR_MALFORMED,     /* not exactly one DER request */
  GW_CSR_BAD_KEY,       /* not P-256, uncompressed, named curve */
  GW_CSR_BAD_ALGORITHM, /* signed with anything but ECDSA and SHA-256 */
  GW_CSR_NO_POSSESSION, /* the signature does not verify under its own key */
  GW_CSR_NO_BINDING,    /* no challengePassword */
  GW_CSR_BAD_BINDING,   /* made in another session */
  GW_CSR_IDENTITY_KEY,  /* asks for a certificate over K_id */
} GwCsrVerdict;

typedef struct
{
  guint8 spki[GW_CSR_SPKI_LEN]; /* DER SubjectPublicKeyInfo */
  guint8 key_id[32];            /* its SHA-256 */
} GwCsrKey;

/* binding: this session's RFC 9266 tls-exporter value, or NULL to skip that check (a driver that re-reads a
 * request which was judged before). kid: the endpoint's key id (of K_id), or NULL likewise. out is filled on
 * GW_CSR_OK. */
GwCsrVerdict
gw_csr_check (const guint8 *der, gsize len, const guint8 *binding, const guint8 *kid, GwCsrKey *out);

/* The same, with a GError: GW_ERROR_INVALID for size, form, key and algorithm; GW_ERROR_NOT_TRUSTED for the
 * rest. */
gboolean
gw_csr_check_full (GBytes *csr, const guint8 *binding, const guint8 *kid, GwCsrKey *out, GError **error);

/* One clause for people, e.g. "was made in another session". */
const char *gw_csr_verdict_to_string (GwCsrVerdict verdict);
