/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Keys, certificate and request: against doc/protocol.md's vectors, RFC 6979 and GnuTLS; and what happens
 * when the PUF fails. */

#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <string.h>

#include <mbedtls/ecdsa.h>
#include <mbedtls/sha256.h>

#include "gw-csr.h"
#include "gw-status.h"
#include "test-chip.h"

#define ASSERT_HEX(data, len, hex)                                                                           \
  G_STMT_START                                                                                               \
  {                                                                                                          \
    g_autofree char *text = to_hex ((data), (len));                                                          \
    g_assert_cmpstr (text, ==, (hex));                                                                       \
  }                                                                                                          \
  G_STMT_END

static char *
to_hex (const guint8 *data, gsize len)
{
  GString *text = g_string_new (NULL);

  for (gsize i = 0; i < len; i++)
    g_string_append_printf (text, "%02x", data[i]);
  return g_string_free (text, FALSE);
}

static void
init_chip (TestChip *chip, guint64 seed)
{
  test_chip_init (chip, gw_sim_puf_new_model (seed, &GW_SIM_PUF_MODEL_DEFAULT));
}

/* ---- The vectors of doc/protocol.md ---- */

static int
vector_puf_read (void *ctx, size_t offset, uint8_t *out, size_t len)
{
  guint8 region[256 * 32];

  for (guint i = 0; i < 256; i++)
    {
      char text[] = "gangway cells.";

      text[13] = i;
      mbedtls_sha256_ret ((const guint8 *)text, 14, region + 32 * i, 0);
    }
  g_assert_cmpuint (offset + len, <=, sizeof region);
  memcpy (out, region + offset, len);
  return GW_OK;
}

static int
vector_random (void *ctx, uint8_t *out, size_t len)
{
  TestChip *chip = ctx;
  char text[] = "gangway message.";
  guint8 digest[32];

  text[15] = chip->entropy++;
  mbedtls_sha256_ret ((const guint8 *)text, 16, digest, 0);
  memset (out, 0, len);
  memcpy (out, digest, MIN (len, sizeof digest));
  return GW_OK;
}

static void
assert_scalar (GwKeys *keys, GwKeysKind kind, guint32 generation, const char *scalar, const char *kid)
{
  guint8 octets[32], id[GW_KEYS_KID_LEN];
  GwKey key;

  g_assert_cmpint (gw_keys_open (keys, kind, generation, &key), ==, GW_OK);
  g_assert_cmpint (mbedtls_mpi_write_binary (&key.d, octets, sizeof octets), ==, 0);
  if (scalar)
    ASSERT_HEX (octets, sizeof octets, scalar);
  g_assert_cmpint (gw_key_public (&key, NULL, id), ==, GW_OK);
  ASSERT_HEX (id, sizeof id, kid);
  gw_key_close (&key);
}

static void
test_vectors (void)
{
  guint8 prk[GW_PUF_PRK_OCTETS], key[GW_KEYS_SYMMETRIC_LEN], hash[32];
  TestChip chip;
  GwKeys keys;

  init_chip (&chip, 0);
  chip.platform.puf_read = vector_puf_read;
  chip.platform.puf_octets = 256 * 32;
  chip.platform.random = vector_random;
  g_assert_cmpint (gw_keys_init (&keys, &chip.platform), ==, GW_OK);

  mbedtls_sha256_ret (chip.nv[GW_EP_NV_HELPER]->data, chip.nv[GW_EP_NV_HELPER]->len, hash, 0);
  ASSERT_HEX (hash, sizeof hash, "24cec529c293f5265dc7bd8f06c451d7ce9ed660902073f9874195085361025d");
  g_assert_cmpint (gw_puf_reconstruct (&chip.platform, prk, NULL), ==, GW_OK);
  ASSERT_HEX (prk, sizeof prk, "9c6aa627574a060de3b14f76e755129cb33ae83c312659165566111ecdd8d4cc");
  ASSERT_HEX (keys.kid, sizeof keys.kid, "48042e81259c0aeeca5d83ec8aad0e501a3af873826615aaf169880b1db3bd17");
  assert_scalar (&keys, GW_KEYS_ID, 77, "f14b9abcadbb4e5bc6e28c586c214d6bd6a63a73da50c331468c0381a06b9d40",
                 "48042e81259c0aeeca5d83ec8aad0e501a3af873826615aaf169880b1db3bd17");
  assert_scalar (&keys, GW_KEYS_TLS, 1, "0f3ecce6c34a1f1b52ebf28b0f0524a56deae7418ab494066b4c73da82da4a31",
                 "91f6856f69df6f49540edf29ccdf380c554f3e66b18b75627c712c8060321c49");
  assert_scalar (&keys, GW_KEYS_TLS, 2, NULL,
                 "34a8bf953940395537adbb8a02f3c73aca193d5a030f3e00510cfd9a31246506");
  g_assert_cmpint (gw_keys_symmetric (&keys, GW_KEYS_ENC, key), ==, GW_OK);
  ASSERT_HEX (key, sizeof key, "0929bff4bc73a727fd0d10ff77aa22c0c044132ffa641dedab983765445218db");
  g_assert_cmpint (gw_keys_symmetric (&keys, GW_KEYS_STORE, key), ==, GW_OK);
  ASSERT_HEX (key, sizeof key, "f1a30061e133a8d5cc1316b80d8f491956ebc0483f2a6fd043e5c5854a18dff8");
  ASSERT_HEX (chip.nv[GW_EP_NV_KEY_ID]->data + 32, 16, "24af8014157226d8264d02a6367763cb");
  test_chip_clear (&chip);
}

/* RFC 6979, A.2.5: P-256, SHA-256, message "sample". */
static void
test_rfc6979 (void)
{
  static const char scalar[] = "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721";
  guint8 hash[32], sig[GW_KEYS_SIG_MAX];
  TestChip chip;
  GwKeys keys = { .platform = &chip.platform };
  GwKey key = { .keys = &keys };
  gsize len;

  init_chip (&chip, 1);
  mbedtls_ecp_group_init (&key.group);
  mbedtls_mpi_init (&key.d);
  mbedtls_ecp_point_init (&key.q);
  g_assert_cmpint (mbedtls_ecp_group_load (&key.group, MBEDTLS_ECP_DP_SECP256R1), ==, 0);
  g_assert_cmpint (mbedtls_mpi_read_string (&key.d, 16, scalar), ==, 0);
  mbedtls_sha256_ret ((const guint8 *)"sample", 6, hash, 0);
  g_assert_cmpint (gw_key_sign (&key, hash, sig, &len), ==, GW_OK);
  ASSERT_HEX (sig, len,
              "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
              "022100f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8");
  gw_key_close (&key);
  test_chip_clear (&chip);
}

static gnutls_x509_crt_t
import_certificate (const GwKeys *keys)
{
  gnutls_datum_t der = { (guint8 *)keys->cert, keys->cert_len };
  gnutls_x509_crt_t cert;

  g_assert_cmpint (gnutls_x509_crt_init (&cert), ==, 0);
  g_assert_cmpint (gnutls_x509_crt_import (cert, &der, GNUTLS_X509_FMT_DER), ==, 0);
  return cert;
}

/* The chip gives the same identity and the same certificate, octet by octet, at every power-up; GnuTLS reads
 * it. */
static void
test_certificate (void)
{
  guint8 kid[GW_KEYS_KID_LEN];
  gsize len = sizeof kid;
  gnutls_x509_crt_t cert;
  GwKeys keys, again;
  TestChip chip;

  init_chip (&chip, 2);
  g_assert_cmpint (gw_keys_init (&keys, &chip.platform), ==, GW_OK);
  g_assert_true (keys.ready && keys.health.ok);
  gw_sim_puf_power_up (chip.puf);
  g_assert_cmpint (gw_keys_init (&again, &chip.platform), ==, GW_OK);
  g_assert_cmpuint (again.health.fixed, >, 0);
  g_assert_cmpmem (again.kid, sizeof again.kid, keys.kid, sizeof keys.kid);
  g_assert_cmpmem (again.cert, again.cert_len, keys.cert, keys.cert_len);
  g_assert_cmpuint (keys.cert_len, <=, 282);

  cert = import_certificate (&keys);
  g_assert_cmpint (gnutls_x509_crt_get_key_id (cert, GNUTLS_KEYID_USE_SHA256, kid, &len), ==, 0);
  g_assert_cmpmem (kid, len, keys.kid, sizeof keys.kid);
  g_assert_cmpint (gnutls_x509_crt_get_version (cert), ==, 1);
  g_assert_cmpint (gnutls_x509_crt_check_issuer (cert, cert), ==, 1);
  {
    guint status;

    g_assert_cmpint (gnutls_x509_crt_verify (
                         cert, &cert, 1,
                         GNUTLS_VERIFY_DISABLE_TIME_CHECKS | GNUTLS_VERIFY_ALLOW_ANY_X509_V1_CA_CRT, &status),
                     ==, 0);
    g_assert_cmpuint (status, ==, 0);
  }
  gnutls_x509_crt_deinit (cert);
  test_chip_clear (&chip);
}

static void
test_csr (void)
{
  guint8 binding[GW_CSR_BINDING_LEN], csr[GW_CSR_MAX], again[GW_CSR_MAX], kid[GW_KEYS_KID_LEN],
      tls_kid[GW_KEYS_KID_LEN];
  g_autofree char *hex = NULL, *binding_text = NULL, *plain = NULL;
  char text[128];
  gsize len, again_len, n;
  gnutls_x509_crq_t crq;
  gnutls_datum_t der;
  TestChip chip;
  GwKeys keys;

  init_chip (&chip, 3);
  for (guint i = 0; i < sizeof binding; i++)
    binding[i] = 0xff - 7 * i;
  g_assert_cmpint (gw_keys_init (&keys, &chip.platform), ==, GW_OK);
  g_assert_cmpint (gw_csr_write (&keys, 5, binding, csr, sizeof csr, &len), ==, GW_OK);
  g_assert_cmpint (gw_csr_write (&keys, 5, binding, again, sizeof again, &again_len), ==, GW_OK);
  g_assert_cmpmem (again, again_len, csr, len);

  der = (gnutls_datum_t){ csr, len };
  g_assert_cmpint (gnutls_x509_crq_init (&crq), ==, 0);
  g_assert_cmpint (gnutls_x509_crq_import (crq, &der, GNUTLS_X509_FMT_DER), ==, 0);
  g_assert_cmpint (gnutls_x509_crq_verify (crq, 0), ==, 0);
  n = sizeof text;
  hex = to_hex (keys.kid, sizeof keys.kid);
  g_assert_cmpint (gnutls_x509_crq_get_dn_by_oid (crq, GNUTLS_OID_X520_COMMON_NAME, 0, 0, text, &n), ==, 0);
  g_assert_cmpstr (text, ==, hex);
  n = sizeof text;
  binding_text = g_base64_encode (binding, sizeof binding);
  g_assert_cmpint (gnutls_x509_crq_get_challenge_password (crq, text, &n), ==, 0);
  /* GnuTLS hands the password out escaped as in a distinguished name: a + comes as \\+. */
  plain = g_strcompress (text);
  g_assert_cmpstr (plain, ==, binding_text);

  n = sizeof kid;
  g_assert_cmpint (gnutls_x509_crq_get_key_id (crq, GNUTLS_KEYID_USE_SHA256, kid, &n), ==, 0);
  g_assert_cmpint (gw_keys_public (&keys, GW_KEYS_TLS, 5, NULL, tls_kid), ==, GW_OK);
  g_assert_cmpmem (kid, n, tls_kid, sizeof tls_kid);
  gnutls_x509_crq_deinit (crq);

  for (gsize cap = 0; cap < len; cap++)
    g_assert_cmpint (gw_csr_write (&keys, 5, binding, again, cap, &again_len), ==, GW_E_SPACE);
  test_chip_clear (&chip);
}

static void
test_generations (void)
{
  guint8 kids[4][GW_KEYS_KID_LEN];
  TestChip chip;
  GwKeys keys;

  init_chip (&chip, 4);
  g_assert_cmpint (gw_keys_init (&keys, &chip.platform), ==, GW_OK);
  g_assert_cmpint (gw_keys_public (&keys, GW_KEYS_ID, 0, NULL, kids[0]), ==, GW_OK);
  g_assert_cmpint (gw_keys_public (&keys, GW_KEYS_TLS, 0, NULL, kids[1]), ==, GW_OK);
  g_assert_cmpint (gw_keys_public (&keys, GW_KEYS_TLS, 1, NULL, kids[2]), ==, GW_OK);
  g_assert_cmpint (gw_keys_public (&keys, GW_KEYS_TLS, G_MAXUINT32, NULL, kids[3]), ==, GW_OK);
  for (guint i = 0; i < 4; i++)
    for (guint k = 0; k < i; k++)
      g_assert_cmpint (memcmp (kids[i], kids[k], sizeof kids[i]), !=, 0);
  g_assert_cmpint (gw_keys_public (&keys, GW_KEYS_ENC, 0, NULL, kids[0]), ==, GW_E_INVALID);
  g_assert_cmpint (gw_keys_symmetric (&keys, GW_KEYS_ID, kids[0]), ==, GW_E_INVALID);
  test_chip_clear (&chip);
}

/* The chip dies while in use: errors, no signature. */
static void
test_puf_fails (void)
{
  GwSimPufModel dead = GW_SIM_PUF_MODEL_DEFAULT;
  guint8 hash[32] = { 1 }, sig[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
  mbedtls_pk_context pk;
  TestChip chip;
  GwKeys keys;
  gsize len = 0;

  init_chip (&chip, 5);
  g_assert_cmpint (gw_keys_init (&keys, &chip.platform), ==, GW_OK);
  mbedtls_pk_init (&pk);
  gw_keys_init_pk (&keys, &pk);
  dead.noise = 3;
  gw_sim_puf_set_model (chip.puf, &dead);
  gw_sim_puf_power_up (chip.puf);

  g_assert_cmpint (gw_keys_sign (&keys, GW_KEYS_ID, 0, hash, sig, &len), ==, GW_E_PUF);
  g_assert_cmpint (gw_keys_sign (&keys, GW_KEYS_TLS, 1, hash, sig, &len), ==, GW_E_PUF);
  g_assert_cmpint (mbedtls_pk_sign (&pk, MBEDTLS_MD_SHA256, hash, 0, sig, &len, NULL, NULL), !=, 0);
  g_assert_cmpuint (len, ==, 0);
  g_assert_false (keys.health.ok);
  g_assert_cmpint (gw_keys_init (&keys, &chip.platform), ==, GW_E_PUF);
  g_assert_false (keys.ready);
  mbedtls_pk_free (&pk);
  test_chip_clear (&chip);
}

/* Another secret than the enrolled one, or a stored key id that is not this key's, is a PUF failure. */
static void
test_stored_key_id (void)
{
  guint8 hash[32] = { 1 }, sig[GW_KEYS_SIG_MAX];
  TestChip chip;
  GwKeys keys;
  gsize len;

  init_chip (&chip, 6);
  g_assert_cmpint (gw_keys_init (&keys, &chip.platform), ==, GW_OK);
  chip.nv[GW_EP_NV_KEY_ID]->data[31] ^= 1;
  g_assert_cmpint (gw_keys_sign (&keys, GW_KEYS_ID, 0, hash, sig, &len), ==, GW_E_PUF);
  g_assert_cmpint (gw_keys_sign (&keys, GW_KEYS_TLS, 1, hash, sig, &len), ==, GW_OK);
  chip.nv[GW_EP_NV_KEY_ID]->data[31] ^= 1;
  chip.nv[GW_EP_NV_KEY_ID]->data[32] ^= 1;
  g_assert_cmpint (gw_keys_sign (&keys, GW_KEYS_ID, 0, hash, sig, &len), ==, GW_E_PUF);
  g_assert_cmpint (gw_keys_sign (&keys, GW_KEYS_TLS, 1, hash, sig, &len), ==, GW_E_PUF);
  g_byte_array_set_size (chip.nv[GW_EP_NV_KEY_ID], 40);
  g_assert_cmpint (gw_keys_init (&keys, &chip.platform), ==, GW_E_CHECK);
  test_chip_clear (&chip);
}

/* Power fails between the two writes of the first power-up: the next finishes with the same helper data. */
static void
test_power_cut (void)
{
  g_autoptr (GByteArray) helper = NULL;
  TestChip chip;
  GwKeys keys;

  init_chip (&chip, 7);
  chip.writes_left = 0;
  g_assert_cmpint (gw_keys_init (&keys, &chip.platform), ==, GW_E_IO);
  g_assert_null (chip.nv[GW_EP_NV_HELPER]);
  chip.writes_left = 1;
  g_assert_cmpint (gw_keys_init (&keys, &chip.platform), ==, GW_E_IO);
  helper = g_byte_array_ref (chip.nv[GW_EP_NV_HELPER]);
  chip.writes_left = 1;
  gw_sim_puf_power_up (chip.puf);
  g_assert_cmpint (gw_keys_init (&keys, &chip.platform), ==, GW_OK);
  g_assert_true (chip.nv[GW_EP_NV_HELPER] == helper);
  test_chip_clear (&chip);
}

static void
test_opaque_key (void)
{
  guint8 hash[32], sig[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
  mbedtls_pk_context pk, public;
  TestChip chip;
  GwKeys keys;
  guint reads;
  gsize len;
  guint8 *p;

  init_chip (&chip, 8);
  memset (hash, 0x5a, sizeof hash);
  g_assert_cmpint (gw_keys_init (&keys, &chip.platform), ==, GW_OK);
  mbedtls_pk_init (&pk);
  mbedtls_pk_init (&public);
  gw_keys_init_pk (&keys, &pk);
  p = keys.spki;
  g_assert_cmpint (mbedtls_pk_parse_subpubkey (&p, keys.spki + sizeof keys.spki, &public), ==, 0);

  g_assert_true (mbedtls_pk_can_do (&pk, MBEDTLS_PK_ECDSA));
  g_assert_cmpuint (mbedtls_pk_get_bitlen (&pk), ==, 256);
  reads = chip.puf_reads;
  g_assert_cmpint (mbedtls_pk_sign (&pk, MBEDTLS_MD_SHA256, hash, 0, sig, &len, NULL, NULL), ==, 0);
  g_assert_cmpuint (chip.puf_reads, >, reads);
  g_assert_cmpint (mbedtls_pk_verify (&public, MBEDTLS_MD_SHA256, hash, 32, sig, len), ==, 0);
  g_assert_cmpint (mbedtls_pk_sign (&pk, MBEDTLS_MD_SHA384, hash, 0, sig, &len, NULL, NULL), !=, 0);
  g_assert_cmpint (mbedtls_pk_sign (&pk, MBEDTLS_MD_SHA256, hash, 20, sig, &len, NULL, NULL), !=, 0);
  mbedtls_pk_free (&public);
  mbedtls_pk_free (&pk);
  g_assert_cmpint (gw_keys_sign (&keys, GW_KEYS_ID, 0, hash, sig, &len), ==, GW_OK);
  test_chip_clear (&chip);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/keys/vectors", test_vectors);
  g_test_add_func ("/keys/rfc6979", test_rfc6979);
  g_test_add_func ("/keys/certificate", test_certificate);
  g_test_add_func ("/keys/csr", test_csr);
  g_test_add_func ("/keys/generations", test_generations);
  g_test_add_func ("/keys/puf-fails", test_puf_fails);
  g_test_add_func ("/keys/stored-key-id", test_stored_key_id);
  g_test_add_func ("/keys/power-cut", test_power_cut);
  g_test_add_func ("/keys/opaque-key", test_opaque_key);
  return g_test_run ();
}
