// SPDX-License-Identifier: LGPL-2.1-or-later
/* A small real PKI for tests: CAs, server and client certificates over P-256 keys, in memory, or as PEM files
 * where a program wants files. Any failure ends the test. */
#pragma once

#include <glib.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

typedef struct
{
  gnutls_x509_crt_t crt;
  gnutls_x509_privkey_t key;
  gnutls_datum_t der; /* of crt */
} GwTestCert;

typedef enum
{
  GW_TEST_SERVER, /* serverAuth; the name is a DNS name, or an address if it reads like one */
  GW_TEST_CLIENT, /* clientAuth */
} GwTestUse;

GwTestCert *gw_test_ca_new (const char *cn);
/** Valid from @from to @to seconds from now. */
GwTestCert *gw_test_cert_new (GwTestCert *ca, GwTestUse use, const char *name, gint64 from, gint64 to);
void gw_test_cert_free (GwTestCert *self);

/** dir/name.pem and dir/name.key; returns the first's path. */
char *gw_test_cert_write (GwTestCert *self, const char *dir, const char *name);

/** What an endpoint does for command `sign`: DER signature over the TLS 1.3 client CertificateVerify content
 * of @th. g_free it. */
guint8 *gw_test_cert_sign (GwTestCert *self, const guint8 *th, gsize th_len, gsize *sig_len);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwTestCert, gw_test_cert_free)
