/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* CertificationRequestInfo is written back to front, then signed and wrapped by gw_der_sign(). */

#include "gw-csr.h"

#include <mbedtls/asn1.h>
#include <mbedtls/base64.h>

#include "gw-der.h"
#include "gw-status.h"

#define SEQUENCE (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE)
#define SET (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SET)
#define ATTRIBUTES (MBEDTLS_ASN1_CONTEXT_SPECIFIC | MBEDTLS_ASN1_CONSTRUCTED | 0)

#define BINDING_TEXT_LEN 44 /* base64 of 32 octets */

static const uint8_t version_0[] = { 0x02, 0x01, 0x00 };
/* challengePassword, 1.2.840.113549.1.9.7 */
static const uint8_t challenge_password[]
    = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x07 };

static void
format_key_id (const uint8_t kid[GW_KEYS_KID_LEN], char text[2 * GW_KEYS_KID_LEN])
{
  static const char digits[] = "0123456789abcdef";

  for (unsigned i = 0; i < GW_KEYS_KID_LEN; i++)
    {
      text[2 * i] = digits[kid[i] >> 4];
      text[2 * i + 1] = digits[kid[i] & 15];
    }
}

static int
write_with_key (GwKey *key,
                const uint8_t kid[GW_KEYS_KID_LEN],
                const char binding[BINDING_TEXT_LEN],
                uint8_t *out,
                size_t cap,
                size_t *len)
{
  uint8_t spki[GW_KEYS_SPKI_LEN];
  char name[2 * GW_KEYS_KID_LEN];
  GwDer der;
  int rc;

  rc = gw_key_public (key, spki, NULL);
  if (rc != GW_OK)
    return rc;

  format_key_id (kid, name);
  gw_der_init (&der, out, cap);
  gw_der_raw (&der, binding, BINDING_TEXT_LEN);
  gw_der_wrap (&der, MBEDTLS_ASN1_PRINTABLE_STRING, der.end);
  gw_der_wrap (&der, SET, der.end);
  gw_der_raw (&der, challenge_password, sizeof challenge_password);
  gw_der_wrap (&der, SEQUENCE, der.end);
  gw_der_wrap (&der, ATTRIBUTES, der.end);
  gw_der_raw (&der, spki, sizeof spki);
  gw_der_name (&der, MBEDTLS_ASN1_PRINTABLE_STRING, name, sizeof name);
  gw_der_raw (&der, version_0, sizeof version_0);
  gw_der_wrap (&der, SEQUENCE, der.end);
  return gw_der_sign (&der, key, len);
}

int
gw_csr_write (GwKeys *keys,
              uint32_t generation,
              const uint8_t binding[GW_CSR_BINDING_LEN],
              uint8_t *out,
              size_t cap,
              size_t *len)
{
  char text[BINDING_TEXT_LEN + 1];
  size_t text_len;
  GwKey key;
  int rc;

  if (mbedtls_base64_encode ((uint8_t *)text, sizeof text, &text_len, binding, GW_CSR_BINDING_LEN) != 0
      || text_len != BINDING_TEXT_LEN)
    return GW_E_CRYPTO;
  rc = gw_keys_open (keys, GW_KEYS_TLS, generation, &key);
  if (rc != GW_OK)
    return rc;
  rc = write_with_key (&key, keys->kid, text, out, cap, len);
  gw_key_close (&key);
  return rc;
}
