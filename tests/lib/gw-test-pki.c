// SPDX-License-Identifier: LGPL-2.1-or-later
#include "gw-test-pki.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <time.h>

#define MUST(call) g_assert_cmpint ((call), >=, 0)

static GwTestCert *
cert_begin (const char *cn, gint64 from, gint64 to)
{
  GwTestCert *self = g_new0 (GwTestCert, 1);
  guint8 serial[8];

  for (guint i = 0; i < sizeof serial; i++)
    serial[i] = (guint8)g_random_int_range (1, 127);
  MUST (gnutls_x509_privkey_init (&self->key));
  MUST (gnutls_x509_privkey_generate (self->key, GNUTLS_PK_ECDSA,
                                      GNUTLS_CURVE_TO_BITS (GNUTLS_ECC_CURVE_SECP256R1), 0));
  MUST (gnutls_x509_crt_init (&self->crt));
  MUST (gnutls_x509_crt_set_version (self->crt, 3));
  MUST (gnutls_x509_crt_set_serial (self->crt, serial, sizeof serial));
  MUST (gnutls_x509_crt_set_activation_time (self->crt, time (NULL) + (time_t)from));
  MUST (gnutls_x509_crt_set_expiration_time (self->crt, time (NULL) + (time_t)to));
  MUST (gnutls_x509_crt_set_dn_by_oid (self->crt, GNUTLS_OID_X520_COMMON_NAME, 0, cn, (guint)strlen (cn)));
  MUST (gnutls_x509_crt_set_key (self->crt, self->key));
  return self;
}

static GwTestCert *
cert_end (GwTestCert *self, GwTestCert *ca)
{
  MUST (gnutls_x509_crt_sign2 (self->crt, ca->crt, ca->key, GNUTLS_DIG_SHA256, 0));
  MUST (gnutls_x509_crt_export2 (self->crt, GNUTLS_X509_FMT_DER, &self->der));
  return self;
}

GwTestCert *
gw_test_ca_new (const char *cn)
{
  GwTestCert *self = cert_begin (cn, -86400 * 365, 86400 * 365);

  MUST (gnutls_x509_crt_set_basic_constraints (self->crt, 1, -1));
  MUST (gnutls_x509_crt_set_key_usage (self->crt, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN));
  return cert_end (self, self);
}

GwTestCert *
gw_test_cert_new (GwTestCert *ca, GwTestUse use, const char *name, gint64 from, gint64 to)
{
  GwTestCert *self = cert_begin (name, from, to);
  g_autoptr (GInetAddress) address = g_inet_address_new_from_string (name);

  MUST (gnutls_x509_crt_set_basic_constraints (self->crt, 0, -1));
  MUST (gnutls_x509_crt_set_key_usage (self->crt, GNUTLS_KEY_DIGITAL_SIGNATURE));
  MUST (gnutls_x509_crt_set_key_purpose_oid (
      self->crt, use == GW_TEST_SERVER ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT, 0));
  if (use == GW_TEST_SERVER && address)
    MUST (gnutls_x509_crt_set_subject_alt_name (
        self->crt, GNUTLS_SAN_IPADDRESS, g_inet_address_to_bytes (address),
        (guint)g_inet_address_get_native_size (address), GNUTLS_FSAN_SET));
  else if (use == GW_TEST_SERVER)
    MUST (gnutls_x509_crt_set_subject_alt_name (self->crt, GNUTLS_SAN_DNSNAME, name, (guint)strlen (name),
                                                GNUTLS_FSAN_SET));
  return cert_end (self, ca);
}

void
gw_test_cert_free (GwTestCert *self)
{
  if (!self)
    return;
  gnutls_x509_crt_deinit (self->crt);
  gnutls_x509_privkey_deinit (self->key);
  gnutls_free (self->der.data);
  g_free (self);
}

char *
gw_test_cert_write (GwTestCert *self, const char *dir, const char *name)
{
  g_autofree char *pem_name = g_strdup_printf ("%s.pem", name);
  g_autofree char *key_name = g_strdup_printf ("%s.key", name);
  g_autofree char *pem_path = g_build_filename (dir, pem_name, NULL);
  g_autofree char *key_path = g_build_filename (dir, key_name, NULL);
  gnutls_datum_t pem, key;

  MUST (gnutls_x509_crt_export2 (self->crt, GNUTLS_X509_FMT_PEM, &pem));
  MUST (gnutls_x509_privkey_export2 (self->key, GNUTLS_X509_FMT_PEM, &key));
  g_assert_true (g_file_set_contents (pem_path, (char *)pem.data, pem.size, NULL));
  g_assert_true (
      g_file_set_contents_full (key_path, (char *)key.data, key.size, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
  gnutls_free (pem.data);
  gnutls_free (key.data);
  return g_steal_pointer (&pem_path);
}

guint8 *
gw_test_cert_sign (GwTestCert *self, const guint8 *th, gsize th_len, gsize *sig_len)
{
  g_autoptr (GByteArray) content = g_byte_array_new ();
  gnutls_privkey_t key;
  gnutls_datum_t data, sig;
  guint8 *copy;

  for (guint i = 0; i < 64; i++)
    g_byte_array_append (content, (const guint8 *)" ", 1);
  g_byte_array_append (content, (const guint8 *)"TLS 1.3, client CertificateVerify", 34);
  g_byte_array_append (content, th, (guint)th_len);
  data = (gnutls_datum_t){ .data = content->data, .size = content->len };

  MUST (gnutls_privkey_init (&key));
  MUST (gnutls_privkey_import_x509 (key, self->key, 0));
  MUST (gnutls_privkey_sign_data (key, GNUTLS_DIG_SHA256, 0, &data, &sig));
  copy = g_memdup2 (sig.data, sig.size);
  *sig_len = sig.size;
  gnutls_free (sig.data);
  gnutls_privkey_deinit (key);
  return copy;
}
