/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Key derivation from the PUF's PRK by HKDF-Expand with frozen labels, and the few things done with the
 * result.
 *
 * The flash slot GW_EP_NV_KEY_ID holds key id | check value (an HKDF output of its own label): the check
 * value tells at each use, before anything is computed with a key, whether the PUF gave the enrolled secret;
 * K_id's public key is compared too. */

#include "gw-keys.h"

#include <string.h>

#include <mbedtls/asn1write.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/hkdf.h>
#include <mbedtls/pk_internal.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>

#include "gw-der.h"
#include "gw-status.h"

#define CHECK_LEN 16
#define STORED_LEN (GW_KEYS_KID_LEN + CHECK_LEN)
#define SCALAR_SEED_LEN 48
#define POINT_LEN 65
#define LABEL_MAX 24

/* Frozen: another label is another chip. */
#define LABEL_ID "gangway puf v1 id"
#define LABEL_TLS "gangway puf v1 tls" /* followed by the generation, 4 octets big-endian */
#define LABEL_ENC "gangway puf v1 enc"
#define LABEL_STORE "gangway puf v1 store"
#define LABEL_CHECK "gangway puf v1 check"

/* SubjectPublicKeyInfo up to the point: id-ecPublicKey, secp256r1, BIT STRING. */
static const uint8_t spki_prefix[GW_KEYS_SPKI_LEN - POINT_LEN]
    = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
        0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00 };

int
gw_keys_rng (void *platform, unsigned char *out, size_t len)
{
  const GwEpPlatform *p = platform;

  return p->random (p->ctx, out, len) == GW_OK ? 0 : MBEDTLS_ERR_ECP_RANDOM_FAILED;
}

static const mbedtls_md_info_t *
sha256 (void)
{
  return mbedtls_md_info_from_type (MBEDTLS_MD_SHA256);
}

static int
expand (const uint8_t prk[GW_PUF_PRK_OCTETS], const void *info, size_t info_len, uint8_t *out, size_t len)
{
  return mbedtls_hkdf_expand (sha256 (), prk, GW_PUF_PRK_OCTETS, info, info_len, out, len) == 0 ? GW_OK
                                                                                                : GW_E_CRYPTO;
}

/* TRUE where equal; takes the same time wherever they differ. */
static bool
equal (const uint8_t *a, const uint8_t *b, size_t len)
{
  uint8_t differ = 0;

  for (size_t i = 0; i < len; i++)
    differ |= a[i] ^ b[i];
  return differ == 0;
}

/* Reads the PUF and compares with the check value in flash. On any error prk is wiped. */
static int
open_prk (GwKeys *self, uint8_t prk[GW_PUF_PRK_OCTETS], uint8_t stored[STORED_LEN])
{
  const GwEpPlatform *platform = self->platform;
  uint8_t check[CHECK_LEN];
  size_t len;
  int rc;

  rc = platform->nv_read (platform->ctx, GW_EP_NV_KEY_ID, stored, STORED_LEN, &len);
  if (rc == GW_OK && len != STORED_LEN)
    rc = GW_E_CHECK;
  if (rc == GW_OK)
    rc = gw_puf_reconstruct (platform, prk, &self->health);
  if (rc == GW_OK)
    rc = expand (prk, LABEL_CHECK, strlen (LABEL_CHECK), check, sizeof check);
  if (rc == GW_OK && !equal (check, stored + GW_KEYS_KID_LEN, CHECK_LEN))
    rc = GW_E_PUF;
  if (rc != GW_OK)
    {
      mbedtls_platform_zeroize (prk, GW_PUF_PRK_OCTETS);
      self->health.ok = false;
    }
  return rc;
}

/* d = (48 octets of HKDF) mod (n - 1) + 1, q = d G: the bias of the reduction is below 2^-128 (FIPS 186-5,
 * A.2.1). */
static int
compute_pair (GwKey *key, const uint8_t seed[SCALAR_SEED_LEN])
{
  mbedtls_mpi order_less_1;
  int rc;

  mbedtls_mpi_init (&order_less_1);
  rc = mbedtls_mpi_sub_int (&order_less_1, &key->group.N, 1);
  if (rc == 0)
    rc = mbedtls_mpi_read_binary (&key->d, seed, SCALAR_SEED_LEN);
  if (rc == 0)
    rc = mbedtls_mpi_mod_mpi (&key->d, &key->d, &order_less_1);
  if (rc == 0)
    rc = mbedtls_mpi_add_int (&key->d, &key->d, 1);
  if (rc == 0)
    rc = mbedtls_ecp_mul (&key->group, &key->q, &key->d, &key->group.G, gw_keys_rng,
                          (void *)key->keys->platform);
  mbedtls_mpi_free (&order_less_1);
  return rc == 0 ? GW_OK : GW_E_CRYPTO;
}

static int
derive (GwKeys *self, GwKeysKind kind, uint32_t generation, const uint8_t prk[GW_PUF_PRK_OCTETS], GwKey *key)
{
  uint8_t info[LABEL_MAX], seed[SCALAR_SEED_LEN];
  const char *label = kind == GW_KEYS_ID ? LABEL_ID : LABEL_TLS;
  size_t len = strlen (label);
  int rc;

  memcpy (info, label, len);
  if (kind == GW_KEYS_TLS)
    for (int shift = 24; shift >= 0; shift -= 8)
      info[len++] = (uint8_t)(generation >> shift);

  key->keys = self;
  mbedtls_ecp_group_init (&key->group);
  mbedtls_mpi_init (&key->d);
  mbedtls_ecp_point_init (&key->q);
  rc = expand (prk, info, len, seed, sizeof seed);
  if (rc == GW_OK && mbedtls_ecp_group_load (&key->group, MBEDTLS_ECP_DP_SECP256R1) != 0)
    rc = GW_E_CRYPTO;
  if (rc == GW_OK)
    rc = compute_pair (key, seed);
  mbedtls_platform_zeroize (seed, sizeof seed);
  if (rc != GW_OK)
    gw_key_close (key);
  return rc;
}

int
gw_keys_open (GwKeys *self, GwKeysKind kind, uint32_t generation, GwKey *key)
{
  uint8_t prk[GW_PUF_PRK_OCTETS], stored[STORED_LEN], kid[GW_KEYS_KID_LEN];
  int rc;

  if (kind != GW_KEYS_ID && kind != GW_KEYS_TLS)
    return GW_E_INVALID;
  rc = open_prk (self, prk, stored);
  if (rc != GW_OK)
    return rc;
  rc = derive (self, kind, generation, prk, key);
  mbedtls_platform_zeroize (prk, sizeof prk);
  if (rc != GW_OK || kind != GW_KEYS_ID)
    return rc;

  rc = gw_key_public (key, NULL, kid);
  if (rc == GW_OK && !equal (kid, stored, sizeof kid))
    rc = GW_E_PUF;
  if (rc != GW_OK)
    gw_key_close (key);
  return rc;
}

void
gw_key_close (GwKey *key)
{
  mbedtls_mpi_free (&key->d); /* wipes */
  mbedtls_ecp_point_free (&key->q);
  mbedtls_ecp_group_free (&key->group);
}

int
gw_key_public (GwKey *key, uint8_t spki[GW_KEYS_SPKI_LEN], uint8_t kid[GW_KEYS_KID_LEN])
{
  uint8_t buffer[GW_KEYS_SPKI_LEN];
  size_t len;

  memcpy (buffer, spki_prefix, sizeof spki_prefix);
  if (mbedtls_ecp_point_write_binary (&key->group, &key->q, MBEDTLS_ECP_PF_UNCOMPRESSED, &len,
                                      buffer + sizeof spki_prefix, POINT_LEN)
          != 0
      || len != POINT_LEN)
    return GW_E_CRYPTO;
  if (spki)
    memcpy (spki, buffer, sizeof buffer);
  if (kid && mbedtls_sha256_ret (buffer, sizeof buffer, kid, 0) != 0)
    return GW_E_CRYPTO;
  return GW_OK;
}

/* ECDSA-Sig-Value (RFC 3279, 2.2.3), written from the end of `buffer` as mbedTLS does, then moved out. */
static int
encode_signature (const mbedtls_mpi *r, const mbedtls_mpi *s, uint8_t *sig, size_t *sig_len)
{
  uint8_t buffer[GW_KEYS_SIG_MAX + 8], *p = buffer + sizeof buffer;
  size_t len;

  if (mbedtls_asn1_write_mpi (&p, buffer, s) < 0 || mbedtls_asn1_write_mpi (&p, buffer, r) < 0)
    return GW_E_CRYPTO;
  len = (size_t)(buffer + sizeof buffer - p);
  if (mbedtls_asn1_write_len (&p, buffer, len) < 0
      || mbedtls_asn1_write_tag (&p, buffer, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) < 0)
    return GW_E_CRYPTO;
  len = (size_t)(buffer + sizeof buffer - p);
  if (len > GW_KEYS_SIG_MAX)
    return GW_E_CRYPTO;
  memcpy (sig, p, len);
  *sig_len = len;
  return GW_OK;
}

int
gw_key_sign (GwKey *key, const uint8_t hash[32], uint8_t *sig, size_t *sig_len)
{
  mbedtls_mpi r, s;
  int rc = GW_E_CRYPTO;

  mbedtls_mpi_init (&r);
  mbedtls_mpi_init (&s);
  if (mbedtls_ecdsa_sign_det_ext (&key->group, &r, &s, &key->d, hash, 32, MBEDTLS_MD_SHA256, gw_keys_rng,
                                  (void *)key->keys->platform)
      == 0)
    rc = encode_signature (&r, &s, sig, sig_len);
  mbedtls_mpi_free (&r);
  mbedtls_mpi_free (&s);
  return rc;
}

int
gw_keys_public (GwKeys *self,
                GwKeysKind kind,
                uint32_t generation,
                uint8_t spki[GW_KEYS_SPKI_LEN],
                uint8_t kid[GW_KEYS_KID_LEN])
{
  GwKey key;
  int rc;

  rc = gw_keys_open (self, kind, generation, &key);
  if (rc != GW_OK)
    return rc;
  rc = gw_key_public (&key, spki, kid);
  gw_key_close (&key);
  return rc;
}

int
gw_keys_sign (
    GwKeys *self, GwKeysKind kind, uint32_t generation, const uint8_t hash[32], uint8_t *sig, size_t *sig_len)
{
  GwKey key;
  int rc;

  rc = gw_keys_open (self, kind, generation, &key);
  if (rc != GW_OK)
    return rc;
  rc = gw_key_sign (&key, hash, sig, sig_len);
  gw_key_close (&key);
  return rc;
}

int
gw_keys_symmetric (GwKeys *self, GwKeysKind kind, uint8_t out[GW_KEYS_SYMMETRIC_LEN])
{
  uint8_t prk[GW_PUF_PRK_OCTETS], stored[STORED_LEN];
  const char *label = kind == GW_KEYS_ENC ? LABEL_ENC : LABEL_STORE;
  int rc;

  if (kind != GW_KEYS_ENC && kind != GW_KEYS_STORE)
    return GW_E_INVALID;
  rc = open_prk (self, prk, stored);
  if (rc != GW_OK)
    return rc;
  rc = expand (prk, label, strlen (label), out, GW_KEYS_SYMMETRIC_LEN);
  mbedtls_platform_zeroize (prk, sizeof prk);
  return rc;
}

/* The certificate carries the public key into the handshake, no more: nobody trusts a name or a date in it.
 * Version 1, because that is the shortest. */
static int
write_certificate (GwKeys *self, GwKey *key)
{
  static const uint8_t serial_1[] = { 0x02, 0x01, 0x01 };
  static const char not_before[] = "700101000000Z", not_after[] = "99991231235959Z";
  const uint8_t *end;
  GwDer der;

  gw_der_init (&der, self->cert, sizeof self->cert);
  gw_der_raw (&der, self->spki, sizeof self->spki);
  gw_der_name (&der, MBEDTLS_ASN1_PRINTABLE_STRING, "g", 1);
  end = der.p;
  gw_der_raw (&der, not_after, strlen (not_after));
  gw_der_wrap (&der, MBEDTLS_ASN1_GENERALIZED_TIME, end);
  {
    const uint8_t *time_end = der.p;

    gw_der_raw (&der, not_before, strlen (not_before));
    gw_der_wrap (&der, MBEDTLS_ASN1_UTC_TIME, time_end);
  }
  gw_der_wrap (&der, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE, end);
  gw_der_name (&der, MBEDTLS_ASN1_PRINTABLE_STRING, "g", 1);
  gw_der_ecdsa_sha256 (&der);
  gw_der_raw (&der, serial_1, sizeof serial_1);
  gw_der_wrap (&der, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE, der.end);
  return gw_der_sign (&der, key, &self->cert_len);
}

/* First power-up of the chip's life: enrol, then store key id and check value. Also finishes where a power
 * cut came between. */
static int
enrol (GwKeys *self)
{
  const GwEpPlatform *platform = self->platform;
  uint8_t prk[GW_PUF_PRK_OCTETS], stored[STORED_LEN];
  GwKey key;
  int rc;

  rc = gw_puf_reconstruct (platform, prk, &self->health);
  if (rc == GW_E_NOT_FOUND)
    {
      rc = gw_puf_enrol (platform);
      if (rc == GW_OK)
        rc = gw_puf_reconstruct (platform, prk, &self->health);
    }
  if (rc != GW_OK)
    return rc;

  rc = expand (prk, LABEL_CHECK, strlen (LABEL_CHECK), stored + GW_KEYS_KID_LEN, CHECK_LEN);
  if (rc == GW_OK)
    rc = derive (self, GW_KEYS_ID, 0, prk, &key);
  mbedtls_platform_zeroize (prk, sizeof prk);
  if (rc != GW_OK)
    return rc;
  rc = gw_key_public (&key, NULL, stored);
  gw_key_close (&key);
  if (rc == GW_OK)
    rc = platform->nv_write (platform->ctx, GW_EP_NV_KEY_ID, stored, sizeof stored);
  return rc;
}

int
gw_keys_init (GwKeys *self, const GwEpPlatform *platform)
{
  GwKey key;
  int rc;

  *self = (GwKeys){ .platform = platform };
  rc = gw_keys_open (self, GW_KEYS_ID, 0, &key);
  if (rc == GW_E_NOT_FOUND)
    {
      rc = enrol (self);
      if (rc == GW_OK)
        rc = gw_keys_open (self, GW_KEYS_ID, 0, &key);
    }
  if (rc != GW_OK)
    return rc;

  rc = gw_key_public (&key, self->spki, self->kid);
  if (rc == GW_OK)
    rc = write_certificate (self, &key);
  gw_key_close (&key);
  self->ready = rc == GW_OK;
  return rc;
}

/* ---- The opaque key for mbedTLS ---- */

static size_t
opaque_bits (const void *ctx)
{
  return 256;
}

static int
opaque_can_do (mbedtls_pk_type_t type)
{
  return type == MBEDTLS_PK_ECDSA || type == MBEDTLS_PK_ECKEY;
}

static int
opaque_sign (void *ctx,
             mbedtls_md_type_t md,
             const unsigned char *hash,
             size_t hash_len,
             unsigned char *sig,
             size_t *sig_len,
             int (*rng) (void *, unsigned char *, size_t),
             void *rng_ctx)
{
  if (md != MBEDTLS_MD_SHA256 || hash_len != 32)
    return MBEDTLS_ERR_PK_BAD_INPUT_DATA;
  return gw_keys_sign (ctx, GW_KEYS_ID, 0, hash, sig, sig_len) == GW_OK ? 0 : MBEDTLS_ERR_PK_HW_ACCEL_FAILED;
}

static void
opaque_free (void *ctx)
{
  /* GwKeys belongs to the caller of gw_keys_init_pk(). */
}

static const mbedtls_pk_info_t opaque_info = {
  .type = MBEDTLS_PK_ECKEY,
  .name = "gangway K_id",
  .get_bitlen = opaque_bits,
  .can_do = opaque_can_do,
  .sign_func = opaque_sign,
  .ctx_free_func = opaque_free,
};

void
gw_keys_init_pk (GwKeys *self, mbedtls_pk_context *pk)
{
  /* mbedtls_pk_setup() would allocate a context; this one exists already. */
  pk->pk_info = &opaque_info;
  pk->pk_ctx = self;
}
