/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <glib/gstdio.h>
#include <gnutls/abstract.h>
#include <string.h>

#include "gw-ca-files.h"
#include "gw-ca.h"
#include "gw-error.h"

#define NOW (G_GINT64_CONSTANT (1790000000) * G_USEC_PER_SEC)
#define DAY (G_GINT64_CONSTANT (86400) * G_USEC_PER_SEC)
#define KID "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

typedef struct
{
  char *dir;
  GwClock *clock;
  GwCaOptions options;
} Fixture;

static void
set_up (Fixture *self, gconstpointer data)
{
  g_autofree char *top = g_dir_make_tmp ("gw-ca-XXXXXX", NULL);

  self->dir = g_build_filename (top, "ca", NULL);
  self->clock = gw_clock_new_mock (0, NOW);
  self->options
      = (GwCaOptions){ .dir = self->dir, .gateway_id = "gw-0123456789abcdef", .clock = self->clock };
}

static void
remove_dir (const char *dir)
{
  g_autoptr (GDir) listing = g_dir_open (dir, 0, NULL);
  const char *name;

  while (listing != NULL && (name = g_dir_read_name (listing)) != NULL)
    {
      g_autofree char *path = g_build_filename (dir, name, NULL);
      g_unlink (path);
    }
  g_rmdir (dir);
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  g_autofree char *top = g_path_get_dirname (self->dir);

  remove_dir (self->dir);
  g_rmdir (top);
  g_free (self->dir);
  gw_clock_unref (self->clock);
}

static GwCa *
open_ca (Fixture *self)
{
  g_autoptr (GError) error = NULL;
  GwCa *ca = gw_ca_open (&self->options, &error);

  g_assert_no_error (error);
  return ca;
}

static char *
file (Fixture *self, const char *name)
{
  return g_build_filename (self->dir, name, NULL);
}

static void
remove_file (Fixture *self, const char *name)
{
  g_autofree char *path = file (self, name);
  g_assert_cmpint (g_unlink (path), ==, 0);
}

static GBytes *
read_file (Fixture *self, const char *name)
{
  g_autofree char *path = file (self, name);
  char *contents;
  gsize len;

  g_assert_true (g_file_get_contents (path, &contents, &len, NULL));
  return g_bytes_new_take (contents, len);
}

static gnutls_x509_crt_t
parse (GBytes *der)
{
  gnutls_datum_t datum;
  gnutls_x509_crt_t certificate;
  gsize size;

  datum.data = (guint8 *)g_bytes_get_data (der, &size);
  datum.size = (unsigned int)size;
  g_assert_cmpint (gnutls_x509_crt_init (&certificate), ==, 0);
  g_assert_cmpint (gnutls_x509_crt_import (certificate, &datum, GNUTLS_X509_FMT_DER), ==, 0);
  return certificate;
}

/* Chains to the CA now, by GnuTLS, for this purpose. */
static gboolean
chains (GwCa *ca, GBytes *der, const char *purpose, gint64 now)
{
  gnutls_x509_crt_t leaf = parse (der), root = parse (gw_ca_get_certificate (ca));
  gnutls_x509_trust_list_t list;
  gnutls_typed_vdata_st vdata = { GNUTLS_DT_KEY_PURPOSE_OID, (unsigned char *)purpose, 0 };
  unsigned int status;

  g_assert_cmpint (gnutls_x509_trust_list_init (&list, 0), ==, 0);
  g_assert_cmpint (gnutls_x509_trust_list_add_cas (list, &root, 1, 0), ==, 1);
  g_assert_cmpint (gnutls_x509_trust_list_verify_crt2 (list, &leaf, 1, &vdata, 1,
                                                       GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &status, NULL),
                   ==, 0);
  if (now < (gint64)gnutls_x509_crt_get_activation_time (leaf) * G_USEC_PER_SEC
      || now > (gint64)gnutls_x509_crt_get_expiration_time (leaf) * G_USEC_PER_SEC)
    status |= GNUTLS_CERT_EXPIRED;
  gnutls_x509_trust_list_deinit (list, 1);
  gnutls_x509_crt_deinit (leaf);
  return status == 0;
}

static void
assert_extensions (gnutls_x509_crt_t certificate, gboolean ca, unsigned int usage, const char *purpose)
{
  unsigned int critical, is_ca, got;
  int path_length;
  char oid[64];
  size_t size = sizeof oid;

  g_assert_cmpint (gnutls_x509_crt_get_version (certificate), ==, 3);
  g_assert_cmpint (gnutls_x509_crt_get_basic_constraints (certificate, &critical, &is_ca, &path_length), >=,
                   0);
  g_assert_cmpint (is_ca, ==, ca);
  g_assert_true (critical);
  g_assert_cmpint (gnutls_x509_crt_get_key_usage (certificate, &got, &critical), ==, 0);
  g_assert_cmphex (got, ==, usage);
  g_assert_true (critical);
  if (purpose == NULL)
    {
      g_assert_cmpint (gnutls_x509_crt_get_key_purpose_oid (certificate, 0, oid, &size, &critical), ==,
                       GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE);
      return;
    }
  g_assert_cmpint (gnutls_x509_crt_get_key_purpose_oid (certificate, 0, oid, &size, &critical), ==, 0);
  g_assert_cmpstr (oid, ==, purpose);
  size = sizeof oid;
  g_assert_cmpint (gnutls_x509_crt_get_key_purpose_oid (certificate, 1, oid, &size, &critical), ==,
                   GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE);
}

static void
assert_name (gnutls_x509_crt_t certificate, const char *expected)
{
  char name[80];
  size_t size = sizeof name;

  g_assert_cmpint (
      gnutls_x509_crt_get_dn_by_oid (certificate, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &size), ==, 0);
  g_assert_cmpstr (name, ==, expected);
}

static void
test_first_start (Fixture *self, gconstpointer data)
{
  static const struct
  {
    const char *name;
    guint mode;
  } files[] = {
    { "", 0700 }, { "ca.key", 0600 }, { "ca.crt", 0644 }, { "gateway.key", 0600 }, { "gateway.crt", 0644 },
  };
  g_autoptr (GwCa) ca = open_ca (self);
  gnutls_x509_crt_t root = parse (gw_ca_get_certificate (ca)),
                    gateway = parse (gw_ca_get_gateway_certificate (ca));
  guint8 hash[32];

  for (guint i = 0; i < G_N_ELEMENTS (files); i++)
    {
      g_autofree char *path = file (self, files[i].name);
      GStatBuf st;
      g_assert_cmpint (g_stat (path, &st), ==, 0);
      g_assert_cmphex (st.st_mode & 0777 & ~022, ==, files[i].mode & ~022);
    }
  assert_extensions (root, TRUE, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN, NULL);
  g_assert_true (gnutls_x509_crt_check_issuer (root, root));
  g_assert_cmpint (gnutls_x509_crt_get_expiration_time (root), ==, GNUTLS_X509_NO_WELL_DEFINED_EXPIRATION);
  g_assert_true (gw_ca_spki_hash (root, hash));
  g_assert_cmpmem (hash, 32, gw_ca_get_spki_hash (ca), 32);

  assert_name (gateway, "gw-0123456789abcdef");
  assert_extensions (gateway, FALSE, GNUTLS_KEY_DIGITAL_SIGNATURE, GNUTLS_KP_TLS_WWW_SERVER);
  g_assert_true (chains (ca, gw_ca_get_gateway_certificate (ca), GNUTLS_KP_TLS_WWW_SERVER, NOW));
  g_assert_false (chains (ca, gw_ca_get_gateway_certificate (ca), GNUTLS_KP_TLS_WWW_CLIENT, NOW));
  g_assert_cmpint (gw_ca_get_gateway_not_after (ca), ==, NOW + GW_CA_GATEWAY_DAYS * DAY);
  g_assert_nonnull (gw_ca_get_credentials (ca));
  gnutls_x509_crt_deinit (root);
  gnutls_x509_crt_deinit (gateway);
}

static void
test_restart (Fixture *self, gconstpointer data)
{
  g_autoptr (GwCa) first = open_ca (self);
  g_autoptr (GwCa) second = open_ca (self);

  g_assert_true (g_bytes_equal (gw_ca_get_certificate (first), gw_ca_get_certificate (second)));
  g_assert_true (
      g_bytes_equal (gw_ca_get_gateway_certificate (first), gw_ca_get_gateway_certificate (second)));
}

/* A kill between any two of the files. */
static void
test_killed_halfway (Fixture *self, gconstpointer data)
{
  g_autoptr (GBytes) key = NULL, key_again = NULL;
  g_autofree char *beside = NULL, *key_path = NULL;
  guint8 hash[32];
  GwCa *ca = open_ca (self);

  memcpy (hash, gw_ca_get_spki_hash (ca), 32);
  gw_ca_free (ca);
  key = read_file (self, "ca.key");

  /* After ca.key: the same key is certified, so the pin holds. */
  remove_file (self, "ca.crt");
  remove_file (self, "gateway.key");
  remove_file (self, "gateway.crt");
  ca = open_ca (self);
  g_assert_cmpmem (gw_ca_get_spki_hash (ca), 32, hash, 32);
  g_assert_true (chains (ca, gw_ca_get_gateway_certificate (ca), GNUTLS_KP_TLS_WWW_SERVER, NOW));
  gw_ca_free (ca);
  key_again = read_file (self, "ca.key");
  g_assert_true (g_bytes_equal (key, key_again));

  /* After a renewed gateway.key, before its certificate. */
  key_path = file (self, "gateway.key");
  g_assert_true (g_file_set_contents_full (key_path, g_bytes_get_data (key, NULL),
                                           (gssize)g_bytes_get_size (key), 0, 0600, NULL));
  beside = file (self, "ca.key.new");
  g_assert_true (g_file_set_contents (beside, "half a", 6, NULL));
  ca = open_ca (self);
  g_assert_cmpmem (gw_ca_get_spki_hash (ca), 32, hash, 32);
  g_assert_true (chains (ca, gw_ca_get_gateway_certificate (ca), GNUTLS_KP_TLS_WWW_SERVER, NOW));
  gw_ca_free (ca);
  g_assert_false (g_file_test (beside, G_FILE_TEST_EXISTS));
}

static void
test_never_replaces_a_lost_key (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) before = NULL, after = NULL;
  g_autofree char *path = NULL;

  gw_ca_free (open_ca (self));
  before = read_file (self, "ca.crt");
  remove_file (self, "ca.key");
  g_assert_null (gw_ca_open (&self->options, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_BAD_STATE);
  g_clear_error (&error);
  after = read_file (self, "ca.crt");
  g_assert_true (g_bytes_equal (before, after));

  path = file (self, "ca.key");
  g_assert_true (g_file_set_contents_full (path, "not a key", 9, 0, 0600, NULL));
  g_assert_null (gw_ca_open (&self->options, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_BAD_STATE);
}

static void
test_foreign_pair (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) other = NULL;
  g_autofree char *path = NULL;

  gw_ca_free (open_ca (self));
  other = read_file (self, "gateway.key");
  path = file (self, "ca.key");
  g_assert_true (g_file_set_contents_full (path, g_bytes_get_data (other, NULL),
                                           (gssize)g_bytes_get_size (other), 0, 0600, NULL));
  g_assert_null (gw_ca_open (&self->options, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_BAD_STATE);
}

static void
test_closes_open_key (Fixture *self, gconstpointer data)
{
  g_autofree char *path = file (self, "ca.key");
  GStatBuf st;

  gw_ca_free (open_ca (self));
  g_assert_cmpint (g_chmod (path, 0644), ==, 0);
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_WARNING, "*could be read by others*");
  gw_ca_free (open_ca (self));
  g_test_assert_expected_messages ();
  g_assert_cmpint (g_stat (path, &st), ==, 0);
  g_assert_cmphex (st.st_mode & 0777, ==, 0600);
}

static void
keep_result (GObject *source, GAsyncResult *result, gpointer data)
{
  GAsyncResult **out = data;
  *out = g_object_ref (result);
}

static gboolean
renew (GwCa *ca, gboolean *renewed, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  gw_ca_renew_gateway_async (ca, keep_result, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  return gw_ca_renew_gateway_finish (ca, result, renewed, error);
}

static void
test_gateway_renewal (Fixture *self, gconstpointer data)
{
  g_autoptr (GwCa) ca = open_ca (self);
  gnutls_certificate_credentials_t old = gw_ca_get_credentials (ca);
  g_autoptr (GBytes) certificate = g_bytes_ref (gw_ca_get_gateway_certificate (ca));
  g_autoptr (GBytes) key = read_file (self, "gateway.key"), new_key = NULL;
  gboolean renewed;

  gw_clock_advance (self->clock, 230 * DAY);
  g_assert_true (renew (ca, &renewed, NULL));
  g_assert_false (renewed);
  gw_clock_advance (self->clock, 20 * DAY);
  g_assert_true (renew (ca, &renewed, NULL));
  g_assert_true (renewed);
  g_assert_true (gw_ca_get_credentials (ca) != old);
  g_assert_false (g_bytes_equal (certificate, gw_ca_get_gateway_certificate (ca)));
  new_key = read_file (self, "gateway.key");
  g_assert_false (g_bytes_equal (key, new_key));
  g_assert_true (chains (ca, gw_ca_get_gateway_certificate (ca), GNUTLS_KP_TLS_WWW_SERVER, NOW + 500 * DAY));

  /* The clock was years ahead and is set right: what was made then begins in the future. */
  gw_clock_set_realtime (self->clock, NOW);
  g_assert_true (renew (ca, &renewed, NULL));
  g_assert_true (renewed);
  g_assert_true (chains (ca, gw_ca_get_gateway_certificate (ca), GNUTLS_KP_TLS_WWW_SERVER, NOW));
}

static void
test_gateway_due_at_start (Fixture *self, gconstpointer data)
{
  GwCa *ca = open_ca (self);
  g_autoptr (GBytes) certificate = g_bytes_ref (gw_ca_get_gateway_certificate (ca));

  gw_ca_free (ca);
  gw_clock_advance (self->clock, 5000 * DAY);
  ca = open_ca (self);
  g_assert_true (chains (ca, gw_ca_get_gateway_certificate (ca), GNUTLS_KP_TLS_WWW_SERVER, NOW + 5000 * DAY));
  gw_ca_free (ca);
  self->options.gateway_id = "another";
  ca = open_ca (self);
  gnutls_x509_crt_t gateway = parse (gw_ca_get_gateway_certificate (ca));
  assert_name (gateway, "another");
  gnutls_x509_crt_deinit (gateway);
  gw_ca_free (ca);
}

static void
test_options (Fixture *self, gconstpointer data)
{
  const char *ids[]
      = { NULL,  "",       "a b",
          "a/b", "a,CN=b", "0123456789012345678901234567890123456789012345678901234567890123x" };

  for (guint i = 0; i < G_N_ELEMENTS (ids); i++)
    {
      g_autoptr (GError) error = NULL;
      self->options.gateway_id = ids[i];
      g_assert_null (gw_ca_open (&self->options, &error));
      g_assert_error (error, GW_ERROR, GW_ERROR_INVALID);
    }
  self->options.gateway_id = "x";
  self->options.endpoint_days = GW_CA_ENDPOINT_DAYS_MAX + 1;
  g_assert_null (gw_ca_open (&self->options, NULL));
}

/* Issuing */

static GBytes *
make_csr (guint8 spki_hash[32])
{
  gnutls_x509_privkey_t key;
  gnutls_x509_crq_t crq;
  gnutls_datum_t der;
  GBytes *csr;
  size_t size = 32;

  gnutls_x509_privkey_init (&key);
  gnutls_x509_privkey_generate (key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS (GNUTLS_ECC_CURVE_SECP256R1), 0);
  gnutls_x509_crq_init (&crq);
  gnutls_x509_crq_set_version (crq, 1);
  gnutls_x509_crq_set_dn_by_oid (crq, GNUTLS_OID_X520_COMMON_NAME, 0, "somebody else", 13);
  gnutls_x509_crq_set_basic_constraints (crq, 1, -1);
  gnutls_x509_crq_set_subject_alt_name (crq, GNUTLS_SAN_DNSNAME, "broker.example", 14, GNUTLS_FSAN_SET);
  gnutls_x509_crq_set_key (crq, key);
  gnutls_x509_crq_sign2 (crq, key, GNUTLS_DIG_SHA256, 0);
  g_assert_cmpint (gnutls_x509_crq_get_key_id (crq, GNUTLS_KEYID_USE_SHA256, spki_hash, &size), ==, 0);
  g_assert_cmpint (gnutls_x509_crq_export2 (crq, GNUTLS_X509_FMT_DER, &der), ==, 0);
  csr = g_bytes_new (der.data, der.size);
  gnutls_free (der.data);
  gnutls_x509_crq_deinit (crq);
  gnutls_x509_privkey_deinit (key);
  return csr;
}

static GwIssued *
issue (
    GwIssuer *issuer, GBytes *csr, const GwIssueRequest *request, GCancellable *cancellable, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  gw_issuer_issue_async (issuer, csr, request, cancellable, keep_result, &result);
  g_assert_null (result); /* never from inside the call */
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  return gw_issuer_issue_finish (issuer, result, error);
}

static void
test_issue (Fixture *self, gconstpointer data)
{
  static const struct
  {
    const char *serial, *uri;
  } serials[] = {
    { "SN-001.a_b~c", "urn:gangway:sn:SN-001.a_b~c" },
    { "a b/c%&=?", "urn:gangway:sn:a%20b%2Fc%25%26%3D%3F" },
    { "\xc3\xa4", "urn:gangway:sn:%C3%A4" },
    { "", NULL },
    { NULL, NULL },
  };
  g_autoptr (GwCa) ca = open_ca (self);
  g_autoptr (GwIssuer) issuer = gw_ca_issuer_new (ca);
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  g_assert_cmpstr (gw_issuer_get_name (issuer), ==, "local");
  for (guint i = 0; i < G_N_ELEMENTS (serials); i++)
    {
      const GwIssueRequest request = { .kid = KID, .serial_number = serials[i].serial, .policy = "p" };
      g_autoptr (GError) error = NULL;
      guint8 key_hash[32], got_hash[32];
      g_autoptr (GBytes) csr = make_csr (key_hash);
      g_autoptr (GwIssued) issued = issue (issuer, csr, &request, NULL, &error);
      gnutls_x509_crt_t certificate;
      char san[256];
      size_t size = sizeof san;

      g_assert_no_error (error);
      certificate = parse (issued->certificate);
      assert_name (certificate, KID);
      assert_extensions (certificate, FALSE, GNUTLS_KEY_DIGITAL_SIGNATURE, GNUTLS_KP_TLS_WWW_CLIENT);
      g_assert_true (gw_ca_spki_hash (certificate, got_hash));
      g_assert_cmpmem (got_hash, 32, key_hash, 32);
      if (serials[i].uri == NULL)
        g_assert_cmpint (gnutls_x509_crt_get_subject_alt_name (certificate, 0, san, &size, NULL), <, 0);
      else
        {
          g_assert_cmpint (gnutls_x509_crt_get_subject_alt_name (certificate, 0, san, &size, NULL), ==,
                           GNUTLS_SAN_URI);
          san[size] = '\0';
          g_assert_cmpstr (san, ==, serials[i].uri);
          size = sizeof san;
          g_assert_cmpint (gnutls_x509_crt_get_subject_alt_name (certificate, 1, san, &size, NULL), <, 0);
        }
      g_assert_true (chains (ca, issued->certificate, GNUTLS_KP_TLS_WWW_CLIENT, NOW));
      g_assert_false (chains (ca, issued->certificate, GNUTLS_KP_TLS_WWW_SERVER, NOW));
      g_assert_cmpint (issued->not_before, ==, NOW - DAY);
      g_assert_cmpint (issued->not_after, ==, NOW + 90 * DAY);
      g_assert_cmpuint (issued->chain->len, ==, 0);
      g_assert_cmpuint (strlen (issued->serial), ==, 2 * GW_CA_SERIAL_LEN);
      g_assert_cmpuint (strlen (issued->fingerprint), ==, 64);
      g_assert_true (g_hash_table_add (seen, g_strdup (issued->serial)));
      gnutls_x509_crt_deinit (certificate);
    }
}

static void
test_issue_refusals (Fixture *self, gconstpointer data)
{
  static const char *bad_kids[]
      = { NULL, "", "0011", KID "0", "00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff" };
  g_autoptr (GwCa) ca = open_ca (self);
  g_autoptr (GwIssuer) issuer = gw_ca_issuer_new (ca);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autofree char *long_serial = g_strnfill (GW_ISSUER_SERIAL_NUMBER_MAX + 1, 'x');
  GwIssueRequest request = { .kid = KID };
  g_autoptr (GBytes) junk = g_bytes_new_static ("junk", 4);
  GError *error = NULL;
  guint8 hash[32];
  g_autoptr (GBytes) csr = make_csr (hash);

  for (guint i = 0; i < G_N_ELEMENTS (bad_kids); i++)
    {
      request.kid = bad_kids[i];
      g_assert_null (issue (issuer, csr, &request, NULL, &error));
      g_assert_error (error, GW_ERROR, GW_ERROR_INVALID);
      g_clear_error (&error);
    }
  request.kid = KID;
  g_assert_null (issue (issuer, junk, &request, NULL, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_INVALID);
  g_clear_error (&error);
  request.serial_number = long_serial;
  g_assert_null (issue (issuer, csr, &request, NULL, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_INVALID);
  g_clear_error (&error);
  request.serial_number = "\xff";
  g_assert_null (issue (issuer, csr, &request, NULL, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_INVALID);
  g_clear_error (&error);
  request.serial_number = NULL;

  g_cancellable_cancel (cancellable);
  g_assert_null (issue (issuer, csr, &request, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);

  gw_clock_set_realtime (self->clock, 1000 * DAY); /* 1972 */
  g_assert_null (issue (issuer, csr, &request, NULL, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_BAD_STATE);
  g_clear_error (&error);
}

#define ADD(name, func) g_test_add ("/ca/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("first-start", test_first_start);
  ADD ("restart", test_restart);
  ADD ("killed-halfway", test_killed_halfway);
  ADD ("never-replaces-a-lost-key", test_never_replaces_a_lost_key);
  ADD ("foreign-pair", test_foreign_pair);
  ADD ("closes-open-key", test_closes_open_key);
  ADD ("gateway-renewal", test_gateway_renewal);
  ADD ("gateway-due-at-start", test_gateway_due_at_start);
  ADD ("options", test_options);
  ADD ("issue", test_issue);
  ADD ("issue-refusals", test_issue_refusals);
  return g_test_run ();
}
