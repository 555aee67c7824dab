/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Judging a CSR from an endpoint. The bytes are foreign: they are measured here before GnuTLS parses them,
 * and of what it finds only the key, the signature and the challengePassword are looked at. The key that is
 * handed on is encoded anew from the parsed point, not copied. */

#include "gw-csr-check.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <string.h>

#include "gw-error.h"

#define BINDING_TEXT_LEN 44                       /* base64 of 32 octets */
#define CHALLENGE_PASSWORD "1.2.840.113549.1.9.7" /* RFC 2985, section 5.4.1 */
#define PRINTABLE_STRING 0x13
#define UTF8_STRING 0x0c

/* Exactly one SEQUENCE with a minimal length, to the end of the buffer. */
static gboolean
is_one_sequence (const guint8 *der, gsize len)
{
  if (len < 4 || der[0] != 0x30)
    return FALSE;
  if (der[1] < 0x80)
    return len == 2u + der[1];
  if (der[1] == 0x81)
    return der[2] >= 0x80 && len == 3u + der[2];
  return der[1] == 0x82 && der[2] != 0 && len == 4u + ((gsize)der[2] << 8 | der[3]);
}

static GwCsrVerdict
take_key (gnutls_x509_crq_t crq, GwCsrKey *out)
{
  gnutls_datum_t x = { 0 }, y = { 0 }, spki = { 0 };
  gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
  gnutls_pubkey_t key = NULL;
  GwCsrVerdict verdict = GW_CSR_BAD_KEY;
  unsigned int bits;

  if (gnutls_x509_crq_get_pk_algorithm (crq, &bits) != GNUTLS_PK_ECDSA)
    return GW_CSR_BAD_KEY;
  if (gnutls_pubkey_init (&key) < 0)
    return GW_CSR_MALFORMED;
  if (gnutls_pubkey_import_x509_crq (key, crq, 0) >= 0
      && gnutls_pubkey_export_ecc_raw2 (key, &curve, &x, &y, 0) >= 0 && curve == GNUTLS_ECC_CURVE_SECP256R1
      && gnutls_pubkey_export2 (key, GNUTLS_X509_FMT_DER, &spki) >= 0 && spki.size == GW_CSR_SPKI_LEN
      && gnutls_hash_fast (GNUTLS_DIG_SHA256, spki.data, spki.size, out->key_id) >= 0)
    {
      memcpy (out->spki, spki.data, GW_CSR_SPKI_LEN);
      verdict = GW_CSR_OK;
    }
  gnutls_free (x.data);
  gnutls_free (y.data);
  gnutls_free (spki.data);
  gnutls_pubkey_deinit (key);
  return verdict;
}

/* The attribute's raw DER is compared: as text GnuTLS hands it out escaped like a distinguished name ("+" as
 * "\\+"). */
static GwCsrVerdict
check_binding (gnutls_x509_crq_t crq, const guint8 *binding)
{
  g_autofree char *expected = g_base64_encode (binding, GW_CSR_BINDING_LEN);
  guint8 value[GW_CSR_MAX] = { 0 };
  size_t size = sizeof value;

  if (gnutls_x509_crq_get_attribute_by_oid (crq, CHALLENGE_PASSWORD, 0, value, &size) < 0)
    return GW_CSR_NO_BINDING;
  if (size != 2 + BINDING_TEXT_LEN || (value[0] != PRINTABLE_STRING && value[0] != UTF8_STRING)
      || value[1] != BINDING_TEXT_LEN || gnutls_memcmp (value + 2, expected, BINDING_TEXT_LEN) != 0)
    return GW_CSR_BAD_BINDING;
  return GW_CSR_OK;
}

static GwCsrVerdict
check_request (gnutls_x509_crq_t crq, const guint8 *binding, const guint8 *kid, GwCsrKey *out)
{
  GwCsrVerdict verdict = take_key (crq, out);

  if (verdict != GW_CSR_OK)
    return verdict;
  if (gnutls_x509_crq_get_signature_algorithm (crq) != GNUTLS_SIGN_ECDSA_SHA256)
    return GW_CSR_BAD_ALGORITHM;
  if (gnutls_x509_crq_verify (crq, 0) < 0)
    return GW_CSR_NO_POSSESSION;
  if (kid != NULL && memcmp (kid, out->key_id, sizeof out->key_id) == 0)
    return GW_CSR_IDENTITY_KEY;
  return binding == NULL ? GW_CSR_OK : check_binding (crq, binding);
}

GwCsrVerdict
gw_csr_check (const guint8 *der, gsize len, const guint8 *binding, const guint8 *kid, GwCsrKey *out)
{
  gnutls_datum_t datum = { .data = (guint8 *)der, .size = (unsigned int)MIN (len, GW_CSR_MAX) };
  GwCsrVerdict verdict = GW_CSR_MALFORMED;
  gnutls_x509_crq_t crq;

  memset (out, 0, sizeof *out);
  if (len == 0 || len > GW_CSR_MAX)
    return GW_CSR_SIZE;
  if (!is_one_sequence (der, len) || gnutls_x509_crq_init (&crq) < 0)
    return GW_CSR_MALFORMED;
  if (gnutls_x509_crq_import (crq, &datum, GNUTLS_X509_FMT_DER) >= 0)
    verdict = check_request (crq, binding, kid, out);
  gnutls_x509_crq_deinit (crq);
  if (verdict != GW_CSR_OK)
    memset (out, 0, sizeof *out);
  return verdict;
}

const char *
gw_csr_verdict_to_string (GwCsrVerdict verdict)
{
  switch (verdict)
    {
    case GW_CSR_OK:
      return "is in order";
    case GW_CSR_SIZE:
      return "is empty or too long";
    case GW_CSR_MALFORMED:
      return "is not a DER certificate request";
    case GW_CSR_BAD_KEY:
      return "holds a key that is not an uncompressed P-256 point";
    case GW_CSR_BAD_ALGORITHM:
      return "is not signed with ECDSA and SHA-256";
    case GW_CSR_NO_POSSESSION:
      return "is not signed with its own key";
    case GW_CSR_NO_BINDING:
      return "is not bound to a session";
    case GW_CSR_BAD_BINDING:
      return "was made in another session";
    case GW_CSR_IDENTITY_KEY:
      return "asks for a certificate over the chip's identity key";
    default:
      return "is unacceptable";
    }
}

gboolean
gw_csr_check_full (GBytes *csr, const guint8 *binding, const guint8 *kid, GwCsrKey *out, GError **error)
{
  gsize len;
  const guint8 *der = g_bytes_get_data (csr, &len);
  GwCsrVerdict verdict = gw_csr_check (der, len, binding, kid, out);

  if (verdict == GW_CSR_OK)
    return TRUE;
  g_set_error (error, GW_ERROR, verdict < GW_CSR_NO_POSSESSION ? GW_ERROR_INVALID : GW_ERROR_NOT_TRUSTED,
               "The endpoint's certificate request %s; it gets no certificate",
               gw_csr_verdict_to_string (verdict));
  return FALSE;
}
