/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gnutls/x509.h>
#include <glib.h>

/* A key and its certificate as two files that a kill at any moment leaves usable. Internal to the CA. */

#define GW_CA_FILE_MAX 65536 /* octets */

typedef struct
{
  gnutls_x509_privkey_t key;
  gnutls_x509_crt_t certificate;
} GwCaPair;

void gw_ca_pair_clear (GwCaPair *self);

/* A P-256 key. */
gboolean gw_ca_key_generate (gnutls_x509_privkey_t *out, GError **error);

/* *out NULL and TRUE: no such file. A key file that others may read is closed to them. */
gboolean gw_ca_load_key (const char *dir, const char *name, gnutls_x509_privkey_t *out, GError **error);
gboolean gw_ca_load_certificate (const char *dir, const char *name, gnutls_x509_crt_t *out, GError **error);

/* PEM; key 0600, certificate 0644; written beside, synced, renamed, the folder synced. */
gboolean gw_ca_save_key (const char *dir, const char *name, gnutls_x509_privkey_t key, GError **error);
gboolean
gw_ca_save_certificate (const char *dir, const char *name, gnutls_x509_crt_t certificate, GError **error);

/* Whether the certificate is over this key. */
gboolean gw_ca_pair_matches (const GwCaPair *self);

/* SHA-256 of the DER SubjectPublicKeyInfo. */
gboolean gw_ca_spki_hash (gnutls_x509_crt_t certificate, guint8 out[32]);

/* DER of a certificate. */
GBytes *gw_ca_certificate_to_der (gnutls_x509_crt_t certificate);

void gw_ca_set_tls_error (GError **error, const char *what, int rc);
