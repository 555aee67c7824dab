/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The local CA. Everything happens at once, on the caller's thread: a P-256 signature costs a tenth of a
 * millisecond. Credentials that a renewal replaced stay alive until the end, since sessions may still use
 * them. */

#include "gw-ca.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <string.h>

#include "gw-ca-files.h"
#include "gw-error.h"

#define GATEWAY_ID_MAX 64
#define GATEWAY_ID_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_"
#define CA_NAME "Gangway owner CA"
#define DAY (G_GINT64_CONSTANT (86400) * G_USEC_PER_SEC)
#define HOUR (G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC)

struct _GwCa
{
  char *dir;
  char *gateway_id;
  guint endpoint_days;
  GwClock *clock;
  GwCaPair ca;
  GBytes *certificate;
  guint8 spki_hash[32];
  GwCaPair gateway;
  GBytes *gateway_certificate;
  gnutls_certificate_credentials_t credentials;
  GPtrArray *retired; /* of gnutls_certificate_credentials_t */
};

/* What distinguishes the three kinds of certificate. */
typedef struct
{
  const char *name;    /* CN */
  const char *uri;     /* SAN, NULL: none */
  const char *purpose; /* EKU, NULL: a CA */
  gint64 not_before;
  gint64 not_after; /* G_MAXINT64: no defined end */
} Profile;

static gint64
certificate_not_before (gnutls_x509_crt_t certificate)
{
  return (gint64)gnutls_x509_crt_get_activation_time (certificate) * G_USEC_PER_SEC;
}

static gint64
certificate_not_after (gnutls_x509_crt_t certificate)
{
  return (gint64)gnutls_x509_crt_get_expiration_time (certificate) * G_USEC_PER_SEC;
}

/* Positive, and of full length: the upper bits of the first octet are 01. */
static int
set_serial (gnutls_x509_crt_t certificate)
{
  guint8 serial[GW_CA_SERIAL_LEN];
  int rc = gnutls_rnd (GNUTLS_RND_NONCE, serial, sizeof serial);

  if (rc < 0)
    return rc;
  serial[0] = (guint8)((serial[0] & 0x3f) | 0x40);
  return gnutls_x509_crt_set_serial (certificate, serial, sizeof serial);
}

static int
set_dates (gnutls_x509_crt_t certificate, const Profile *profile)
{
  time_t until = profile->not_after == G_MAXINT64 ? GNUTLS_X509_NO_WELL_DEFINED_EXPIRATION
                                                  : (time_t)(profile->not_after / G_USEC_PER_SEC);
  int rc = gnutls_x509_crt_set_activation_time (certificate, (time_t)(profile->not_before / G_USEC_PER_SEC));

  return rc < 0 ? rc : gnutls_x509_crt_set_expiration_time (certificate, until);
}

static int
set_ca_extensions (gnutls_x509_crt_t certificate)
{
  unsigned char id[64];
  size_t size = sizeof id;
  int rc = gnutls_x509_crt_set_basic_constraints (certificate, 1, 0);

  if (rc >= 0)
    rc = gnutls_x509_crt_set_key_usage (certificate, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
  if (rc >= 0)
    rc = gnutls_x509_crt_get_key_id (certificate, 0, id, &size);
  return rc < 0 ? rc : gnutls_x509_crt_set_subject_key_id (certificate, id, size);
}

static int
set_leaf_extensions (gnutls_x509_crt_t certificate, const Profile *profile, gnutls_x509_crt_t issuer)
{
  unsigned char id[64];
  size_t size = sizeof id;
  int rc = gnutls_x509_crt_set_basic_constraints (certificate, 0, -1);

  if (rc >= 0)
    rc = gnutls_x509_crt_set_key_usage (certificate, GNUTLS_KEY_DIGITAL_SIGNATURE);
  if (rc >= 0)
    rc = gnutls_x509_crt_set_key_purpose_oid (certificate, profile->purpose, 0);
  if (rc >= 0 && profile->uri != NULL)
    rc = gnutls_x509_crt_set_subject_alt_name (certificate, GNUTLS_SAN_URI, profile->uri,
                                               (unsigned int)strlen (profile->uri), GNUTLS_FSAN_SET);
  if (rc >= 0)
    rc = gnutls_x509_crt_get_subject_key_id (issuer, id, &size, NULL);
  return rc < 0 ? rc : gnutls_x509_crt_set_authority_key_id (certificate, id, size);
}

/* A certificate over key, signed by the CA; or by itself if issuer is NULL. */
static gboolean
make_certificate (const Profile *profile,
                  gnutls_pubkey_t key,
                  const GwCaPair *issuer,
                  gnutls_x509_privkey_t self_key,
                  gnutls_x509_crt_t *out,
                  GError **error)
{
  gnutls_x509_crt_t certificate = NULL;
  int rc = gnutls_x509_crt_init (&certificate);

  if (rc >= 0)
    rc = gnutls_x509_crt_set_version (certificate, 3);
  if (rc >= 0)
    rc = set_serial (certificate);
  if (rc >= 0)
    rc = set_dates (certificate, profile);
  if (rc >= 0)
    rc = gnutls_x509_crt_set_dn_by_oid (certificate, GNUTLS_OID_X520_COMMON_NAME, 0, profile->name,
                                        (unsigned int)strlen (profile->name));
  if (rc >= 0)
    rc = gnutls_x509_crt_set_pubkey (certificate, key);
  if (rc >= 0)
    rc = issuer == NULL ? set_ca_extensions (certificate)
                        : set_leaf_extensions (certificate, profile, issuer->certificate);
  if (rc >= 0)
    rc = gnutls_x509_crt_sign2 (certificate, issuer == NULL ? certificate : issuer->certificate,
                                issuer == NULL ? self_key : issuer->key, GNUTLS_DIG_SHA256, 0);
  if (rc >= 0)
    {
      *out = certificate;
      return TRUE;
    }
  if (certificate != NULL)
    gnutls_x509_crt_deinit (certificate);
  gw_ca_set_tls_error (error, "make a certificate", rc);
  return FALSE;
}

static gboolean
certify_key (const Profile *profile,
             gnutls_x509_privkey_t key,
             const GwCaPair *issuer,
             gnutls_x509_crt_t *out,
             GError **error)
{
  gnutls_privkey_t abstract = NULL;
  gnutls_pubkey_t public_key = NULL;
  gboolean ok = FALSE;
  int rc = gnutls_privkey_init (&abstract);

  if (rc >= 0)
    rc = gnutls_privkey_import_x509 (abstract, key, 0);
  if (rc >= 0)
    rc = gnutls_pubkey_init (&public_key);
  if (rc >= 0)
    rc = gnutls_pubkey_import_privkey (public_key, abstract, 0, 0);
  if (rc >= 0)
    ok = make_certificate (profile, public_key, issuer, key, out, error);
  else
    gw_ca_set_tls_error (error, "take a public key", rc);
  if (public_key != NULL)
    gnutls_pubkey_deinit (public_key);
  if (abstract != NULL)
    gnutls_privkey_deinit (abstract);
  return ok;
}

/* The owner CA */

static gboolean
create_ca (GwCa *self, GError **error)
{
  const Profile profile = { .name = CA_NAME, .not_before = GW_CA_EPOCH, .not_after = G_MAXINT64 };

  if (self->ca.key == NULL
      && (!gw_ca_key_generate (&self->ca.key, error)
          || !gw_ca_save_key (self->dir, "ca.key", self->ca.key, error)))
    return FALSE;
  return certify_key (&profile, self->ca.key, NULL, &self->ca.certificate, error)
         && gw_ca_save_certificate (self->dir, "ca.crt", self->ca.certificate, error);
}

static gboolean
open_ca (GwCa *self, GError **error)
{
  unsigned int critical, is_ca;
  int path_length;

  if (!gw_ca_load_key (self->dir, "ca.key", &self->ca.key, error)
      || !gw_ca_load_certificate (self->dir, "ca.crt", &self->ca.certificate, error))
    return FALSE;
  if (self->ca.certificate != NULL && self->ca.key == NULL)
    {
      g_set_error (
          error, GW_ERROR, GW_ERROR_BAD_STATE,
          "The owner CA's key %s/ca.key is missing; restore it from a backup, or move ca.crt away to begin "
          "anew (every endpoint that was taken must then be released by its old owner)",
          self->dir);
      return FALSE;
    }
  if (self->ca.certificate == NULL && !create_ca (self, error))
    return FALSE;
  if (!gw_ca_pair_matches (&self->ca)
      || gnutls_x509_crt_get_basic_constraints (self->ca.certificate, &critical, &is_ca, &path_length) < 0
      || !is_ca)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_BAD_STATE,
                   "ca.key and ca.crt in %s do not belong together; restore both from one backup", self->dir);
      return FALSE;
    }
  self->certificate = gw_ca_certificate_to_der (self->ca.certificate);
  if (self->certificate != NULL && gw_ca_spki_hash (self->ca.certificate, self->spki_hash))
    return TRUE;
  g_set_error (error, GW_ERROR, GW_ERROR_FAILED, "Cannot encode the owner CA's certificate");
  return FALSE;
}

/* The gateway's certificate */

static gboolean
take_gateway (GwCa *self, GwCaPair *pair, GError **error)
{
  gnutls_certificate_credentials_t credentials = NULL;
  GBytes *der = gw_ca_certificate_to_der (pair->certificate);
  int rc = der == NULL ? GNUTLS_E_MEMORY_ERROR : gnutls_certificate_allocate_credentials (&credentials);

  if (rc >= 0)
    rc = gnutls_certificate_set_x509_key (credentials, &pair->certificate, 1, pair->key);
  if (rc < 0)
    {
      g_clear_pointer (&der, g_bytes_unref);
      if (credentials != NULL)
        gnutls_certificate_free_credentials (credentials);
      gw_ca_set_tls_error (error, "use the gateway's certificate", rc);
      return FALSE;
    }
  if (self->credentials != NULL)
    g_ptr_array_add (self->retired, self->credentials);
  self->credentials = credentials;
  g_clear_pointer (&self->gateway_certificate, g_bytes_unref);
  self->gateway_certificate = der;
  gw_ca_pair_clear (&self->gateway);
  self->gateway = *pair;
  *pair = (GwCaPair){ 0 };
  return TRUE;
}

static gboolean
make_gateway (GwCa *self, GError **error)
{
  gint64 now = gw_clock_realtime (self->clock);
  const Profile profile = {
    .name = self->gateway_id,
    .purpose = GNUTLS_KP_TLS_WWW_SERVER,
    .not_before = MAX (now - GW_CA_BACKDATE_HOURS * HOUR, 0),
    .not_after = now + GW_CA_GATEWAY_DAYS * DAY,
  };
  GwCaPair pair = { 0 };
  gboolean ok = gw_ca_key_generate (&pair.key, error)
                && certify_key (&profile, pair.key, &self->ca, &pair.certificate, error)
                && gw_ca_save_key (self->dir, "gateway.key", pair.key, error)
                && gw_ca_save_certificate (self->dir, "gateway.crt", pair.certificate, error)
                && take_gateway (self, &pair, error);

  gw_ca_pair_clear (&pair);
  return ok;
}

static gboolean
is_due (GwCa *self, gnutls_x509_crt_t certificate)
{
  gint64 now = gw_clock_realtime (self->clock);
  gint64 from = certificate_not_before (certificate), until = certificate_not_after (certificate);

  return now < from || until - now < (until - from) / 3;
}

/* Whether what lies on the disk is a pair, ours, for this gateway and not due. */
static gboolean
is_good_gateway (GwCa *self, const GwCaPair *pair)
{
  char name[GATEWAY_ID_MAX + 2];
  size_t size = sizeof name;
  unsigned int status = 0;

  if (pair->key == NULL || pair->certificate == NULL || !gw_ca_pair_matches (pair))
    return FALSE;
  if (gnutls_x509_crt_get_dn_by_oid (pair->certificate, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &size) < 0
      || strcmp (name, self->gateway_id) != 0)
    return FALSE;
  if (gnutls_x509_crt_verify (pair->certificate, &self->ca.certificate, 1, GNUTLS_VERIFY_DISABLE_TIME_CHECKS,
                              &status)
          < 0
      || status != 0)
    return FALSE;
  return !is_due (self, pair->certificate);
}

/* A broken or half-written pair is no loss: endpoints pin the CA, not the gateway. */
static gboolean
open_gateway (GwCa *self, GError **error)
{
  GwCaPair pair = { 0 };
  gboolean ok;

  if (!gw_ca_load_key (self->dir, "gateway.key", &pair.key, NULL)
      || !gw_ca_load_certificate (self->dir, "gateway.crt", &pair.certificate, NULL))
    g_warning ("The gateway's certificate in %s is unreadable; making a new one", self->dir);
  ok = is_good_gateway (self, &pair) ? take_gateway (self, &pair, error) : make_gateway (self, error);
  gw_ca_pair_clear (&pair);
  return ok;
}

gboolean
gw_ca_renew_gateway (GwCa *self, gboolean *renewed, GError **error)
{
  *renewed = FALSE;
  if (!is_due (self, self->gateway.certificate))
    return TRUE;
  if (!make_gateway (self, error))
    return FALSE;
  *renewed = TRUE;
  return TRUE;
}

/* Opening */

static gboolean
check_options (const GwCaOptions *options, GError **error)
{
  gsize len = options->gateway_id == NULL ? 0 : strlen (options->gateway_id);

  if (len == 0 || len > GATEWAY_ID_MAX || strspn (options->gateway_id, GATEWAY_ID_CHARS) != len)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_INVALID,
                   "A gateway id is 1 to %d letters, digits, dots, - and _", GATEWAY_ID_MAX);
      return FALSE;
    }
  if (options->endpoint_days > GW_CA_ENDPOINT_DAYS_MAX)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "Certificates are valid for at most %d days",
                   GW_CA_ENDPOINT_DAYS_MAX);
      return FALSE;
    }
  if (g_mkdir_with_parents (options->dir, 0700) == 0)
    return TRUE;
  g_set_error (error, GW_ERROR, GW_ERROR_STORAGE, "Cannot make %s: %s", options->dir, g_strerror (errno));
  return FALSE;
}

GwCa *
gw_ca_open (const GwCaOptions *options, GError **error)
{
  g_autoptr (GwCa) self = NULL;

  if (!check_options (options, error))
    return NULL;
  self = g_new0 (GwCa, 1);
  self->dir = g_strdup (options->dir);
  self->gateway_id = g_strdup (options->gateway_id);
  self->endpoint_days = options->endpoint_days > 0 ? options->endpoint_days : GW_CA_ENDPOINT_DAYS;
  self->clock = gw_clock_ref (options->clock);
  self->retired = g_ptr_array_new_with_free_func ((GDestroyNotify)gnutls_certificate_free_credentials);
  if (!open_ca (self, error) || !open_gateway (self, error))
    return NULL;
  return g_steal_pointer (&self);
}

void
gw_ca_free (GwCa *self)
{
  if (self == NULL)
    return;
  g_clear_pointer (&self->credentials, gnutls_certificate_free_credentials);
  g_ptr_array_unref (self->retired);
  gw_ca_pair_clear (&self->ca);
  gw_ca_pair_clear (&self->gateway);
  g_clear_pointer (&self->certificate, g_bytes_unref);
  g_clear_pointer (&self->gateway_certificate, g_bytes_unref);
  gw_clock_unref (self->clock);
  g_free (self->gateway_id);
  g_free (self->dir);
  g_free (self);
}

GBytes *
gw_ca_get_certificate (GwCa *self)
{
  return self->certificate;
}

const guint8 *
gw_ca_get_spki_hash (GwCa *self)
{
  return self->spki_hash;
}

gnutls_certificate_credentials_t
gw_ca_get_credentials (GwCa *self)
{
  return self->credentials;
}

GBytes *
gw_ca_get_gateway_certificate (GwCa *self)
{
  return self->gateway_certificate;
}

gint64
gw_ca_get_gateway_not_after (GwCa *self)
{
  return certificate_not_after (self->gateway.certificate);
}

/* Issuing */

static char *
serial_to_hex (gnutls_x509_crt_t certificate)
{
  unsigned char serial[64];
  size_t size = sizeof serial;
  GString *hex = g_string_new (NULL);

  if (gnutls_x509_crt_get_serial (certificate, serial, &size) >= 0)
    for (size_t i = 0; i < size; i++)
      g_string_append_printf (hex, "%02x", serial[i]);
  return g_string_free (hex, FALSE);
}

static GwIssued *
describe (gnutls_x509_crt_t certificate)
{
  GwIssued *issued = g_new0 (GwIssued, 1);

  issued->certificate = gw_ca_certificate_to_der (certificate);
  issued->chain = g_ptr_array_new_with_free_func ((GDestroyNotify)g_bytes_unref);
  issued->fingerprint = g_compute_checksum_for_bytes (G_CHECKSUM_SHA256, issued->certificate);
  issued->serial = serial_to_hex (certificate);
  issued->not_before = certificate_not_before (certificate);
  issued->not_after = certificate_not_after (certificate);
  return issued;
}

static gboolean
import_spki (const GwCsrKey *key, gnutls_pubkey_t *out, GError **error)
{
  gnutls_datum_t spki = { .data = (unsigned char *)key->spki, .size = GW_CSR_SPKI_LEN };
  gnutls_pubkey_t public_key = NULL;
  int rc = gnutls_pubkey_init (&public_key);

  if (rc >= 0)
    rc = gnutls_pubkey_import (public_key, &spki, GNUTLS_X509_FMT_DER);
  if (rc >= 0)
    {
      *out = public_key;
      return TRUE;
    }
  if (public_key != NULL)
    gnutls_pubkey_deinit (public_key);
  gw_ca_set_tls_error (error, "take the endpoint's key", rc);
  return FALSE;
}

GwIssued *
gw_ca_issue (GwCa *self, const GwCsrKey *key, const GwIssueRequest *request, GError **error)
{
  gint64 now = gw_clock_realtime (self->clock);
  g_autofree char *escaped = NULL;
  g_autofree char *uri = NULL;
  Profile profile = {
    .name = request->kid,
    .purpose = GNUTLS_KP_TLS_WWW_CLIENT,
    .not_before = MAX (now - GW_CA_BACKDATE_HOURS * HOUR, GW_CA_EPOCH),
    .not_after = now + self->endpoint_days * DAY,
  };
  gnutls_x509_crt_t certificate = NULL;
  gnutls_pubkey_t public_key = NULL;
  GwIssued *issued = NULL;

  if (now < GW_CA_EPOCH)
    {
      g_set_error (
          error, GW_ERROR, GW_ERROR_BAD_STATE,
          "The gateway's clock is not set, so no certificate would be valid; set it or wait for NTP");
      return NULL;
    }
  if (request->serial_number != NULL && *request->serial_number != '\0')
    {
      escaped = g_uri_escape_string (request->serial_number, NULL, FALSE);
      uri = g_strconcat ("urn:gangway:sn:", escaped, NULL);
      profile.uri = uri;
    }
  if (!import_spki (key, &public_key, error))
    return NULL;
  if (make_certificate (&profile, public_key, &self->ca, NULL, &certificate, error))
    issued = describe (certificate);
  if (certificate != NULL)
    gnutls_x509_crt_deinit (certificate);
  gnutls_pubkey_deinit (public_key);
  return issued;
}

static void
ca_issue_async (GwIssuer *issuer,
                GBytes *csr,
                const GwIssueRequest *request,
                GCancellable *cancellable,
                GAsyncReadyCallback callback,
                gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, callback, user_data);
  GError *error = NULL;
  GwIssued *issued;
  GwCsrKey key;

  g_task_set_source_tag (task, ca_issue_async);
  if (g_task_return_error_if_cancelled (task))
    return;
  if (!gw_csr_check_full (csr, NULL, NULL, &key, &error)
      || (issued = gw_ca_issue (issuer->driver, &key, request, &error)) == NULL)
    {
      g_task_return_error (task, error);
      return;
    }
  g_task_return_pointer (task, issued, (GDestroyNotify)gw_issued_free);
}

static GwIssued *
ca_issue_finish (GwIssuer *issuer, GAsyncResult *result, GError **error)
{
  if (!g_async_result_is_tagged (result, ca_issue_async))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_FAILED, "The answer is not the local CA's");
      return NULL;
    }
  return g_task_propagate_pointer (G_TASK (result), error);
}

static const GwIssuerClass ca_issuer_class = {
  .name = "local",
  .issue_async = ca_issue_async,
  .issue_finish = ca_issue_finish,
};

GwIssuer *
gw_ca_issuer_new (GwCa *self)
{
  GwIssuer *issuer = g_new0 (GwIssuer, 1);

  issuer->klass = &ca_issuer_class;
  issuer->driver = self;
  return issuer;
}
