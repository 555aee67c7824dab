/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The DER writer on mbedTLS's asn1write: keeps the failure, so that a structure can be written without a
 * check a line. */

#include "gw-der.h"

#include <string.h>

#include <mbedtls/asn1write.h>
#include <mbedtls/sha256.h>

#include "gw-status.h"

#define SEQUENCE (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE)
#define SET (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SET)

static const uint8_t common_name[] = { 0x06, 0x03, 0x55, 0x04, 0x03 };
static const uint8_t ecdsa_sha256[]
    = { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02 };

void
gw_der_init (GwDer *self, uint8_t *buffer, size_t size)
{
  *self = (GwDer){ .start = buffer, .p = buffer + size, .end = buffer + size };
}

void
gw_der_raw (GwDer *self, const void *data, size_t len)
{
  if (!self->failed && mbedtls_asn1_write_raw_buffer (&self->p, self->start, data, len) < 0)
    self->failed = true;
}

void
gw_der_wrap (GwDer *self, uint8_t tag, const uint8_t *end)
{
  if (self->failed)
    return;
  if (mbedtls_asn1_write_len (&self->p, self->start, (size_t)(end - self->p)) < 0
      || mbedtls_asn1_write_tag (&self->p, self->start, tag) < 0)
    self->failed = true;
}

void
gw_der_name (GwDer *self, uint8_t tag, const char *text, size_t len)
{
  const uint8_t *end = self->p;

  gw_der_raw (self, text, len);
  gw_der_wrap (self, tag, end);
  gw_der_raw (self, common_name, sizeof common_name);
  gw_der_wrap (self, SEQUENCE, end);
  gw_der_wrap (self, SET, end);
  gw_der_wrap (self, SEQUENCE, end);
}

void
gw_der_ecdsa_sha256 (GwDer *self)
{
  gw_der_raw (self, ecdsa_sha256, sizeof ecdsa_sha256);
}

int
gw_der_sign (GwDer *self, GwKey *key, size_t *len)
{
  static const uint8_t no_unused_bits = 0;
  uint8_t hash[32], sig[GW_KEYS_SIG_MAX];
  size_t signed_len = (size_t)(self->end - self->p), sig_len, tail;
  int rc;

  if (self->failed)
    return GW_E_SPACE;
  if (mbedtls_sha256_ret (self->p, signed_len, hash, 0) != 0)
    return GW_E_CRYPTO;
  rc = gw_key_sign (key, hash, sig, &sig_len);
  if (rc != GW_OK)
    return rc;

  /* Room behind the signed part: algorithm, tag, length (one octet), unused bits, signature. */
  tail = sizeof ecdsa_sha256 + 3 + sig_len;
  if ((size_t)(self->p - self->start) < tail)
    return GW_E_SPACE;
  memmove (self->p - tail, self->p, signed_len);
  self->p = self->end;
  gw_der_raw (self, sig, sig_len);
  gw_der_raw (self, &no_unused_bits, 1);
  gw_der_wrap (self, MBEDTLS_ASN1_BIT_STRING, self->end);
  gw_der_ecdsa_sha256 (self);
  self->p -= signed_len;
  gw_der_wrap (self, SEQUENCE, self->end);
  if (self->failed)
    return GW_E_SPACE;

  *len = (size_t)(self->end - self->p);
  memmove (self->start, self->p, *len);
  return GW_OK;
}
