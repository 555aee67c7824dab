/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The local CA. With the owner CA's key in a file everything happens at once, on the caller's thread: a P-256
 * signature costs a tenth of a millisecond. With the key in a token, which may take its time, orders are made
 * on the main thread, run in the token's and come back; what such an order refers to in the CA
 * (ca.certificate, signer, gateway_id) does not change after gw_ca_open (). Credentials that a renewal
 * replaced stay alive until the end, since sessions may still use them. */

#include "gw-ca.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <gnutls/abstract.h>
#include <string.h>

#include "gw-ca-cert.h"
#include "gw-ca-files.h"
#include "gw-error.h"
#include "gw-event.h"

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
  GwCaPair ca; /* its key is NULL if it is in the token */
  GwCaSigner signer;
  gboolean told_lost; /* the journal knows that the token cannot be used */
  GBytes *certificate;
  guint8 spki_hash[32];
  GwCaPair gateway;
  GBytes *gateway_certificate;
  gnutls_certificate_credentials_t credentials;
  GPtrArray *retired; /* of gnutls_certificate_credentials_t */
};

/* The owner CA */

static gboolean
import_key (GwCa *self, GError **error)
{
  int rc = gnutls_privkey_init (&self->signer.key);

  if (rc >= 0)
    rc = gnutls_privkey_import_x509 (self->signer.key, self->ca.key, 0);
  if (rc < 0)
    gw_ca_set_tls_error (error, "use the owner CA's key", rc);
  return rc >= 0;
}

/* The key in the file, or one made now; none for a certificate that is there already. */
static gboolean
open_key_file (GwCa *self, GError **error)
{
  if (!gw_ca_load_key (self->dir, "ca.key", &self->ca.key, error))
    return FALSE;
  if (self->ca.certificate != NULL && self->ca.key == NULL)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_BAD_STATE,
                   "The owner CA's key %s/ca.key is missing; restore it from a backup, or name the token "
                   "that it is in "
                   "([Authority] Key of gangway.conf), or move ca.crt away to begin anew (every endpoint "
                   "that was taken "
                   "must then be released by its old owner)",
                   self->dir);
      return FALSE;
    }
  if (self->ca.key == NULL
      && (!gw_ca_key_generate (&self->ca.key, error)
          || !gw_ca_save_key (self->dir, "ca.key", self->ca.key, error)))
    return FALSE;
  return import_key (self, error);
}

/* Endpoints are pinned to the key in the file: another one in the token would lock them out. */
static gboolean
check_no_key_file (GwCa *self, GError **error)
{
  g_autofree char *path = g_build_filename (self->dir, "ca.key", NULL);

  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    return TRUE;
  g_set_error (
      error, GW_ERROR, GW_ERROR_BAD_STATE,
      "The owner CA's key is the file %s, and endpoints are pinned to it, but [Authority] Key of "
      "gangway.conf "
      "names %s. Take the key into the token (doc/certificates.md says how) and move the file to a safe "
      "place; or set Key=file",
      path, gw_ca_token_get_uri (self->signer.token));
  return FALSE;
}

/* A key is not made in the token here: a name that is misspelled must not become a key. */
static void
add_advice (GwCa *self, GError **error)
{
  g_autoptr (GError) bare = NULL;

  if (error == NULL || *error == NULL)
    return;
  bare = g_steal_pointer (error);
  g_set_error (
      error, bare->domain, bare->code,
      "There is no owner CA yet, and it cannot be made. %s. To make a key: `p11tool --login "
      "--generate-privkey=ECDSA --curve=secp256r1 --label=LABEL 'pkcs11:token=TOKEN'`, with the names of %s",
      bare->message, gw_ca_token_get_uri (self->signer.token));
}

static gboolean
create_ca (GwCa *self, GError **error)
{
  const GwCaProfile profile = { .name = CA_NAME, .not_before = GW_CA_EPOCH, .not_after = G_MAXINT64 };
  gnutls_pubkey_t key = NULL;
  gboolean ok;

  if (!gw_ca_signer_get_public_key (&self->signer, &key, error))
    {
      if (self->signer.token != NULL)
        add_advice (self, error);
      return FALSE;
    }
  ok = gw_ca_certify (&profile, key, &self->signer, NULL, &self->ca.certificate, error)
       && gw_ca_save_certificate (self->dir, "ca.crt", self->ca.certificate, error);
  gnutls_pubkey_deinit (key);
  if (!ok)
    return FALSE;
  g_clear_pointer (&self->ca.certificate, gnutls_x509_crt_deinit);
  ok = gw_ca_load_certificate (self->dir, "ca.crt", &self->ca.certificate, error);
  if (!ok || self->ca.certificate != NULL)
    return ok;
  g_set_error (error, GW_ERROR, GW_ERROR_STORAGE, "%s/ca.crt has vanished", self->dir);
  return FALSE;
}

/* Whether ca.crt is a CA's, and over the key if that is at hand: a token's is tried when it is needed. */
static gboolean
is_good_ca (GwCa *self)
{
  unsigned int critical, is_ca;
  int path_length;

  if (self->signer.token == NULL && !gw_ca_pair_matches (&self->ca))
    return FALSE;
  return gnutls_x509_crt_get_basic_constraints (self->ca.certificate, &critical, &is_ca, &path_length) >= 0
         && is_ca;
}

static gboolean
open_ca (GwCa *self, GError **error)
{
  if (!gw_ca_load_certificate (self->dir, "ca.crt", &self->ca.certificate, error))
    return FALSE;
  if (self->signer.token != NULL ? !check_no_key_file (self, error) : !open_key_file (self, error))
    return FALSE;
  if (self->ca.certificate == NULL && !create_ca (self, error))
    return FALSE;
  if (!is_good_ca (self))
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

/* Tells the journal when the token has gone, and when it is back. */
static void
tell_token (GwCa *self)
{
  g_autofree char *problem = NULL;

  if (self->signer.token == NULL)
    return;
  problem = gw_ca_token_dup_problem (self->signer.token);
  if ((problem != NULL) == self->told_lost)
    return;
  self->told_lost = problem != NULL;
  if (problem != NULL)
    gw_event (GW_EVENT_AUTHORITY_LOST, NULL, NULL, "the owner CA's key %s cannot be used: %s",
              gw_ca_token_get_uri (self->signer.token), problem);
  else
    gw_event (GW_EVENT_AUTHORITY_BACK, NULL, NULL, "the owner CA's key %s can be used again",
              gw_ca_token_get_uri (self->signer.token));
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

/* Safe in the token's thread. */
static gboolean
certify_gateway (GwCa *self, gint64 now, GwCaPair *pair, GError **error)
{
  const GwCaProfile profile = {
    .name = self->gateway_id,
    .purpose = GNUTLS_KP_TLS_WWW_SERVER,
    .not_before = MAX (now - GW_CA_BACKDATE_HOURS * HOUR, 0),
    .not_after = now + GW_CA_GATEWAY_DAYS * DAY,
  };
  gnutls_pubkey_t key = NULL;
  gboolean ok
      = gw_ca_key_generate (&pair->key, error) && gw_ca_public_key_of (pair->key, &key, error)
        && gw_ca_certify (&profile, key, &self->signer, self->ca.certificate, &pair->certificate, error);

  if (key != NULL)
    gnutls_pubkey_deinit (key);
  return ok;
}

static gboolean
keep_gateway (GwCa *self, GwCaPair *pair, GError **error)
{
  return gw_ca_save_key (self->dir, "gateway.key", pair->key, error)
         && gw_ca_save_certificate (self->dir, "gateway.crt", pair->certificate, error)
         && take_gateway (self, pair, error);
}

static gboolean
make_gateway (GwCa *self, GError **error)
{
  GwCaPair pair = { 0 };
  gboolean ok = certify_gateway (self, gw_clock_realtime (self->clock), &pair, error)
                && keep_gateway (self, &pair, error);

  gw_ca_pair_clear (&pair);
  return ok;
}

static gboolean
is_due (GwCa *self, gnutls_x509_crt_t certificate)
{
  gint64 now = gw_clock_realtime (self->clock);
  gint64 from = gw_ca_certificate_not_before (certificate), until = gw_ca_certificate_not_after (certificate);

  return now < from || until - now < (until - from) / 3;
}

/* Whether what lies on the disk is a pair, ours, and for this gateway. */
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
  return TRUE;
}

/* A broken or half-written pair is no loss: endpoints pin the CA, not the gateway. One that is only due is
 * good enough to start with while the token is away: endpoints do not look at dates, and the renewal is tried
 * again. */
static gboolean
open_gateway (GwCa *self, GError **error)
{
  GwCaPair pair = { 0 };
  gboolean ok, good;

  if (!gw_ca_load_key (self->dir, "gateway.key", &pair.key, NULL)
      || !gw_ca_load_certificate (self->dir, "gateway.crt", &pair.certificate, NULL))
    g_warning ("The gateway's certificate in %s is unreadable; making a new one", self->dir);
  good = is_good_gateway (self, &pair) && (self->signer.token != NULL || !is_due (self, pair.certificate));
  ok = good ? take_gateway (self, &pair, error) : make_gateway (self, error);
  gw_ca_pair_clear (&pair);
  return ok;
}

typedef struct
{
  GwCa *ca;
  gint64 now;
  gboolean due;  /* else the token is only tried */
  GwCaPair pair; /* the result */
} Renewal;

static void
renewal_free (Renewal *renewal)
{
  gw_ca_pair_clear (&renewal->pair);
  g_free (renewal);
}

/* In the token's thread. */
static void
run_renewal (GTask *task)
{
  Renewal *renewal = g_task_get_task_data (task);
  GwCa *self = renewal->ca;
  GError *error = NULL;

  if (renewal->due ? certify_gateway (self, renewal->now, &renewal->pair, &error)
                   : gw_ca_signer_try (&self->signer, self->ca.certificate, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

void
gw_ca_renew_gateway_async (GwCa *self, GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (NULL, NULL, callback, user_data);
  Renewal *renewal = g_new0 (Renewal, 1);
  GError *error = NULL;

  g_task_set_source_tag (task, gw_ca_renew_gateway_async);
  renewal->ca = self;
  renewal->now = gw_clock_realtime (self->clock);
  renewal->due = is_due (self, self->gateway.certificate);
  g_task_set_task_data (task, renewal, (GDestroyNotify)renewal_free);
  if (self->signer.token != NULL)
    gw_ca_token_push (self->signer.token, g_steal_pointer (&task), run_renewal);
  else if (!renewal->due || certify_gateway (self, renewal->now, &renewal->pair, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

gboolean
gw_ca_renew_gateway_finish (GwCa *self, GAsyncResult *result, gboolean *renewed, GError **error)
{
  Renewal *renewal = g_task_get_task_data (G_TASK (result));

  *renewed = FALSE;
  tell_token (self);
  if (!g_task_propagate_boolean (G_TASK (result), error))
    return FALSE;
  if (!renewal->due)
    return TRUE;
  *renewed = keep_gateway (self, &renewal->pair, error);
  return *renewed;
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
  if (options->key_uri != NULL
      && (self->signer.token = gw_ca_token_new (options->key_uri, options->pin_file, error)) == NULL)
    return NULL;
  if (!open_ca (self, error) || !open_gateway (self, error))
    return NULL;
  return g_steal_pointer (&self);
}

void
gw_ca_free (GwCa *self)
{
  if (self == NULL)
    return;
  g_clear_pointer (&self->signer.token, gw_ca_token_free); /* first: its thread uses the rest */
  g_clear_pointer (&self->signer.key, gnutls_privkey_deinit);
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
  return gw_ca_certificate_not_after (self->gateway.certificate);
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
  issued->not_before = gw_ca_certificate_not_before (certificate);
  issued->not_after = gw_ca_certificate_not_after (certificate);
  return issued;
}

/* What the main thread knows when a certificate is asked for. */
typedef struct
{
  GwCa *ca;
  char *kid;
  char *uri; /* NULL: none */
  gint64 now;
  GwCsrKey key;
} Order;

static void
order_free (Order *order)
{
  g_free (order->kid);
  g_free (order->uri);
  g_free (order);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Order, order_free)

static Order *
order_new (GwCa *self, const GwCsrKey *key, const GwIssueRequest *request, GError **error)
{
  g_autofree char *escaped = NULL;
  gint64 now = gw_clock_realtime (self->clock);
  Order *order;

  if (now < GW_CA_EPOCH)
    {
      g_set_error (
          error, GW_ERROR, GW_ERROR_BAD_STATE,
          "The gateway's clock is not set, so no certificate would be valid; set it or wait for NTP");
      return NULL;
    }
  order = g_new0 (Order, 1);
  order->ca = self;
  order->kid = g_strdup (request->kid);
  order->now = now;
  order->key = *key;
  if (request->serial_number != NULL && *request->serial_number != '\0')
    {
      escaped = g_uri_escape_string (request->serial_number, NULL, FALSE);
      order->uri = g_strconcat ("urn:gangway:sn:", escaped, NULL);
    }
  return order;
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

/* Safe in the token's thread. */
static GwIssued *
order_fill (const Order *order, GError **error)
{
  GwCa *self = order->ca;
  const GwCaProfile profile = {
    .name = order->kid,
    .uri = order->uri,
    .purpose = GNUTLS_KP_TLS_WWW_CLIENT,
    .not_before = MAX (order->now - GW_CA_BACKDATE_HOURS * HOUR, GW_CA_EPOCH),
    .not_after = order->now + self->endpoint_days * DAY,
  };
  gnutls_x509_crt_t certificate = NULL;
  gnutls_pubkey_t key = NULL;
  GwIssued *issued = NULL;

  if (!import_spki (&order->key, &key, error))
    return NULL;
  if (gw_ca_certify (&profile, key, &self->signer, self->ca.certificate, &certificate, error))
    {
      issued = describe (certificate);
      gnutls_x509_crt_deinit (certificate);
    }
  gnutls_pubkey_deinit (key);
  return issued;
}

GwIssued *
gw_ca_issue (GwCa *self, const GwCsrKey *key, const GwIssueRequest *request, GError **error)
{
  g_autoptr (Order) order = order_new (self, key, request, error);

  return order != NULL ? order_fill (order, error) : NULL;
}

static void
run_order (GTask *task)
{
  GError *error = NULL;
  GwIssued *issued = order_fill (g_task_get_task_data (task), &error);

  if (issued != NULL)
    g_task_return_pointer (task, issued, (GDestroyNotify)gw_issued_free);
  else
    g_task_return_error (task, error);
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
  GwCa *self = issuer->driver;
  GError *error = NULL;
  Order *order;
  GwCsrKey key;

  g_task_set_source_tag (task, ca_issue_async);
  if (g_task_return_error_if_cancelled (task))
    return;
  if (!gw_csr_check_full (csr, NULL, NULL, &key, &error)
      || (order = order_new (self, &key, request, &error)) == NULL)
    {
      g_task_return_error (task, error);
      return;
    }
  g_task_set_task_data (task, order, (GDestroyNotify)order_free);
  if (self->signer.token != NULL)
    gw_ca_token_push (self->signer.token, g_steal_pointer (&task), run_order);
  else
    run_order (task);
}

static GwIssued *
ca_issue_finish (GwIssuer *issuer, GAsyncResult *result, GError **error)
{
  if (!g_async_result_is_tagged (result, ca_issue_async))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_FAILED, "The answer is not the local CA's");
      return NULL;
    }
  tell_token (issuer->driver);
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
