/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See gw-ca-cert.h. */

#include "gw-ca-cert.h"

#include <gnutls/crypto.h>
#include <string.h>

#include "gw-ca-files.h"
#include "gw-ca.h"
#include "gw-error.h"

gint64
gw_ca_certificate_not_before (gnutls_x509_crt_t certificate)
{
  return (gint64)gnutls_x509_crt_get_activation_time (certificate) * G_USEC_PER_SEC;
}

gint64
gw_ca_certificate_not_after (gnutls_x509_crt_t certificate)
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
set_dates (gnutls_x509_crt_t certificate, const GwCaProfile *profile)
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
set_leaf_extensions (gnutls_x509_crt_t certificate, const GwCaProfile *profile, gnutls_x509_crt_t issuer)
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

typedef struct
{
  gnutls_x509_crt_t certificate, issuer;
} Signing;

static int
sign_in_memory (gnutls_privkey_t key, gpointer data)
{
  Signing *signing = data;

  return gnutls_x509_crt_privkey_sign (signing->certificate, signing->issuer, key, GNUTLS_DIG_SHA256, 0);
}

/* GnuTLS fills in the names that a verification compares when it imports a certificate, not when it makes
 * one. */
static int
verify_signed (const Signing *signing)
{
  gnutls_x509_crt_t copy = NULL;
  gnutls_datum_t der = { 0 };
  unsigned int status = 0;
  int rc = gnutls_x509_crt_export2 (signing->certificate, GNUTLS_X509_FMT_DER, &der);

  if (rc >= 0)
    rc = gnutls_x509_crt_init (&copy);
  if (rc >= 0)
    rc = gnutls_x509_crt_import (copy, &der, GNUTLS_X509_FMT_DER);
  if (rc >= 0)
    rc = gnutls_x509_crt_verify (copy, signing->issuer == signing->certificate ? &copy : &signing->issuer, 1,
                                 GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &status);
  gnutls_free (der.data);
  if (copy != NULL)
    gnutls_x509_crt_deinit (copy);
  return rc < 0 ? rc : status != 0 ? GNUTLS_E_PK_SIG_VERIFY_FAILED : 0;
}

static int
sign_in_token (gnutls_privkey_t key, gpointer data)
{
  int rc = sign_in_memory (key, data);

  return rc < 0 ? rc : verify_signed (data);
}

static gboolean
sign (const GwCaSigner *signer, gnutls_x509_crt_t certificate, gnutls_x509_crt_t issuer, GError **error)
{
  Signing signing = { certificate, issuer };
  int rc;

  if (signer->key == NULL)
    return gw_ca_token_use (signer->token, sign_in_token, &signing, error);
  rc = sign_in_memory (signer->key, &signing);
  if (rc < 0)
    gw_ca_set_tls_error (error, "sign a certificate", rc);
  return rc >= 0;
}

gboolean
gw_ca_certify (const GwCaProfile *profile,
               gnutls_pubkey_t key,
               const GwCaSigner *signer,
               gnutls_x509_crt_t issuer,
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
                        : set_leaf_extensions (certificate, profile, issuer);
  if (rc < 0)
    gw_ca_set_tls_error (error, "make a certificate", rc);
  else if (sign (signer, certificate, issuer == NULL ? certificate : issuer, error))
    {
      *out = certificate;
      return TRUE;
    }
  if (certificate != NULL)
    gnutls_x509_crt_deinit (certificate);
  return FALSE;
}

/* Public keys */

static gboolean
is_p256 (gnutls_pubkey_t key)
{
  gnutls_ecc_curve_t curve;

  return gnutls_pubkey_get_pk_algorithm (key, NULL) == GNUTLS_PK_ECDSA
         && gnutls_pubkey_export_ecc_raw2 (key, &curve, NULL, NULL, 0) >= 0
         && curve == GNUTLS_ECC_CURVE_SECP256R1;
}

static int
take_public_key (gnutls_privkey_t key, gpointer data)
{
  gnutls_pubkey_t *out = data;
  int rc = gnutls_pubkey_init (out);

  /* That there is none is no failure of the token's. */
  if (rc >= 0 && gnutls_pubkey_import_privkey (*out, key, 0, 0) < 0)
    g_clear_pointer (out, gnutls_pubkey_deinit);
  return rc;
}

gboolean
gw_ca_signer_get_public_key (const GwCaSigner *signer, gnutls_pubkey_t *out, GError **error)
{
  gnutls_pubkey_t key = NULL;

  if (signer->key != NULL)
    take_public_key (signer->key, &key);
  else if (!gw_ca_token_use (signer->token, take_public_key, &key, error))
    return FALSE;
  if (key == NULL)
    g_set_error (
        error, GW_ERROR, GW_ERROR_BAD_STATE,
        "The owner CA's key has no public key beside it; make the pair with p11tool, or put ca.crt in place");
  else if (!is_p256 (key))
    g_set_error (error, GW_ERROR, GW_ERROR_BAD_STATE,
                 "The owner CA's key is not an ECDSA key on P-256 (secp256r1)");
  else
    {
      *out = key;
      return TRUE;
    }
  if (key != NULL)
    gnutls_pubkey_deinit (key);
  return FALSE;
}

gboolean
gw_ca_public_key_of (gnutls_x509_privkey_t key, gnutls_pubkey_t *out, GError **error)
{
  gnutls_privkey_t abstract = NULL;
  gboolean ok = FALSE;
  int rc = gnutls_privkey_init (&abstract);

  if (rc >= 0)
    rc = gnutls_privkey_import_x509 (abstract, key, 0);
  if (rc < 0)
    gw_ca_set_tls_error (error, "take a public key", rc);
  else
    ok = gw_ca_signer_get_public_key (&(GwCaSigner){ .key = abstract }, out, error);
  if (abstract != NULL)
    gnutls_privkey_deinit (abstract);
  return ok;
}

static int
try_key (gnutls_privkey_t key, gpointer data)
{
  static unsigned char text[] = "gangway: is this the owner CA's key?";
  const gnutls_datum_t message = { text, sizeof text - 1 };
  gnutls_datum_t signature = { 0 };
  int rc = gnutls_privkey_sign_data2 (key, GNUTLS_SIGN_ECDSA_SHA256, 0, &message, &signature);

  if (rc >= 0 && gnutls_pubkey_verify_data2 (data, GNUTLS_SIGN_ECDSA_SHA256, 0, &message, &signature) < 0)
    rc = GNUTLS_E_PK_SIG_VERIFY_FAILED;
  gnutls_free (signature.data);
  return rc;
}

gboolean
gw_ca_signer_try (const GwCaSigner *signer, gnutls_x509_crt_t certificate, GError **error)
{
  gnutls_pubkey_t key = NULL;
  gboolean ok = FALSE;
  int rc = gnutls_pubkey_init (&key);

  if (rc >= 0)
    rc = gnutls_pubkey_import_x509 (key, certificate, 0);
  if (rc >= 0 && signer->key != NULL)
    rc = try_key (signer->key, key);
  if (rc < 0)
    gw_ca_set_tls_error (error, "try the owner CA's key", rc);
  else
    ok = signer->key != NULL || gw_ca_token_use (signer->token, try_key, key, error);
  if (key != NULL)
    gnutls_pubkey_deinit (key);
  return ok;
}
