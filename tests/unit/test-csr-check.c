/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Requests made by GnuTLS, and by the endpoint library, then spoilt in every way that has a verdict. */

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <string.h>

#include "gw-csr.h"
#undef GW_CSR_MAX /* the endpoint's own limit; the gateway's is larger */
#include "gw-csr-check.h"
#include "gw-error.h"
#include "test-chip.h"

typedef struct
{
  gnutls_pk_algorithm_t algorithm;
  unsigned int bits;
  gnutls_digest_algorithm_t digest;
  const guint8 *binding; /* NULL: none */
  const char *password;  /* instead of a binding's */
} Recipe;

static guint8 binding[GW_CSR_BINDING_LEN];

static const Recipe good = {
  .algorithm = GNUTLS_PK_ECDSA,
  .bits = GNUTLS_CURVE_TO_BITS (GNUTLS_ECC_CURVE_SECP256R1),
  .digest = GNUTLS_DIG_SHA256,
  .binding = binding,
};

static GByteArray *
make_request (const Recipe *recipe, guint8 key_id[32])
{
  gnutls_x509_privkey_t key;
  gnutls_x509_crq_t crq;
  gnutls_datum_t der;
  GByteArray *out = g_byte_array_new ();
  size_t size = 32;

  g_assert_cmpint (gnutls_x509_privkey_init (&key), ==, 0);
  g_assert_cmpint (gnutls_x509_privkey_generate (key, recipe->algorithm, recipe->bits, 0), ==, 0);
  g_assert_cmpint (gnutls_x509_crq_init (&crq), ==, 0);
  g_assert_cmpint (gnutls_x509_crq_set_version (crq, 1), ==, 0);
  g_assert_cmpint (gnutls_x509_crq_set_dn_by_oid (crq, GNUTLS_OID_X520_COMMON_NAME, 0, "admin", 5), ==, 0);
  g_assert_cmpint (gnutls_x509_crq_set_key (crq, key), ==, 0);
  if (recipe->binding != NULL || recipe->password != NULL)
    {
      g_autofree char *text = recipe->password != NULL
                                  ? g_strdup (recipe->password)
                                  : g_base64_encode (recipe->binding, GW_CSR_BINDING_LEN);
      g_assert_cmpint (gnutls_x509_crq_set_challenge_password (crq, text), ==, 0);
    }
  g_assert_cmpint (gnutls_x509_crq_sign2 (crq, key, recipe->digest, 0), ==, 0);
  g_assert_cmpint (gnutls_x509_crq_export2 (crq, GNUTLS_X509_FMT_DER, &der), ==, 0);
  if (key_id != NULL)
    g_assert_cmpint (gnutls_x509_crq_get_key_id (crq, GNUTLS_KEYID_USE_SHA256, key_id, &size), ==, 0);
  g_byte_array_append (out, der.data, der.size);
  gnutls_free (der.data);
  gnutls_x509_crq_deinit (crq);
  gnutls_x509_privkey_deinit (key);
  return out;
}

static GwCsrVerdict
judge (const GByteArray *csr, const guint8 *kid)
{
  GwCsrKey key;
  GwCsrVerdict verdict = gw_csr_check (csr->data, csr->len, binding, kid, &key);
  static const GwCsrKey none;

  if (verdict != GW_CSR_OK) /* nothing is handed out by a refusal */
    g_assert_cmpmem (&key, sizeof key, &none, sizeof none);
  return verdict;
}

static void
test_good (void)
{
  /* Bindings whose base64 holds +, / and =. */
  for (guint i = 0; i < 40; i++)
    {
      guint8 expected[32], hash[32];
      g_autoptr (GByteArray) csr = NULL;
      GwCsrKey key;

      gnutls_rnd (GNUTLS_RND_NONCE, binding, sizeof binding);
      if (i == 0)
        memset (binding, 0xfb, sizeof binding);
      if (i == 1)
        memset (binding, 0xff, sizeof binding);
      csr = make_request (&good, expected);
      g_assert_cmpint (gw_csr_check (csr->data, csr->len, binding, NULL, &key), ==, GW_CSR_OK);
      g_assert_cmpmem (key.key_id, 32, expected, 32);
      g_assert_cmpint (gnutls_hash_fast (GNUTLS_DIG_SHA256, key.spki, sizeof key.spki, hash), ==, 0);
      g_assert_cmpmem (hash, 32, expected, 32);
    }
}

static void
test_endpoint (void)
{
  guint8 csr[GW_CSR_MAX];
  GwCsrKey key;
  TestChip chip;
  GwKeys keys;
  size_t len;

  test_chip_init (&chip, gw_sim_puf_new_model (3, &GW_SIM_PUF_MODEL_DEFAULT));
  g_assert_cmpint (gw_keys_init (&keys, &chip.platform), ==, 0);
  for (guint generation = 1; generation < 6; generation++)
    {
      gnutls_rnd (GNUTLS_RND_NONCE, binding, sizeof binding);
      g_assert_cmpint (gw_csr_write (&keys, generation, binding, csr, sizeof csr, &len), ==, 0);
      g_assert_cmpint (gw_csr_check (csr, len, binding, keys.kid, &key), ==, GW_CSR_OK);
      binding[generation] ^= 1;
      g_assert_cmpint (gw_csr_check (csr, len, binding, keys.kid, &key), ==, GW_CSR_BAD_BINDING);
    }
  test_chip_clear (&chip);
}

static void
test_keys (void)
{
  static const struct
  {
    gnutls_pk_algorithm_t algorithm;
    unsigned int bits;
    gnutls_digest_algorithm_t digest;
    GwCsrVerdict verdict;
  } cases[] = {
    { GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS (GNUTLS_ECC_CURVE_SECP384R1), GNUTLS_DIG_SHA256, GW_CSR_BAD_KEY },
    { GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS (GNUTLS_ECC_CURVE_SECP224R1), GNUTLS_DIG_SHA256, GW_CSR_BAD_KEY },
    { GNUTLS_PK_RSA, 2048, GNUTLS_DIG_SHA256, GW_CSR_BAD_KEY },
    { GNUTLS_PK_EDDSA_ED25519, GNUTLS_CURVE_TO_BITS (GNUTLS_ECC_CURVE_ED25519), GNUTLS_DIG_SHA512,
      GW_CSR_BAD_KEY },
    { GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS (GNUTLS_ECC_CURVE_SECP256R1), GNUTLS_DIG_SHA384,
      GW_CSR_BAD_ALGORITHM },
    { GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS (GNUTLS_ECC_CURVE_SECP256R1), GNUTLS_DIG_SHA1,
      GW_CSR_BAD_ALGORITHM },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      Recipe recipe = { cases[i].algorithm, cases[i].bits, cases[i].digest, binding, NULL };
      g_autoptr (GByteArray) csr = make_request (&recipe, NULL);
      g_assert_cmpint (judge (csr, NULL), ==, cases[i].verdict);
    }
}

static void
test_bindings (void)
{
  const char *passwords[] = { "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                              "secret secret secret secret secret secret s\\+" };
  Recipe recipe = good;
  guint8 other[GW_CSR_BINDING_LEN] = { 1 };
  g_autofree char *right = NULL, *longer = NULL;

  memset (binding, 7, sizeof binding);
  recipe.binding = other;
  g_autoptr (GByteArray) stale = make_request (&recipe, NULL);
  g_assert_cmpint (judge (stale, NULL), ==, GW_CSR_BAD_BINDING);
  recipe.binding = NULL;
  g_autoptr (GByteArray) none = make_request (&recipe, NULL);
  g_assert_cmpint (judge (none, NULL), ==, GW_CSR_NO_BINDING);
  for (guint i = 0; i < G_N_ELEMENTS (passwords); i++)
    {
      recipe.password = passwords[i];
      g_autoptr (GByteArray) csr = make_request (&recipe, NULL);
      g_assert_cmpint (judge (csr, NULL), ==, GW_CSR_BAD_BINDING);
    }
  right = g_base64_encode (binding, sizeof binding);
  longer = g_strconcat (right, "A", NULL);
  recipe.password = longer;
  g_autoptr (GByteArray) tail = make_request (&recipe, NULL);
  g_assert_cmpint (judge (tail, NULL), ==, GW_CSR_BAD_BINDING);
}

static void
test_identity_key (void)
{
  guint8 kid[32];
  g_autoptr (GByteArray) csr = make_request (&good, kid);

  g_assert_cmpint (judge (csr, kid), ==, GW_CSR_IDENTITY_KEY);
  kid[31] ^= 1;
  g_assert_cmpint (judge (csr, kid), ==, GW_CSR_OK);
}

/* Every single bit is covered by the signature, the structure or the key: no flip passes. */
static void
test_bit_flips (void)
{
  g_autoptr (GByteArray) csr = make_request (&good, NULL);
  guint seen[GW_CSR_IDENTITY_KEY + 1] = { 0 };

  for (guint bit = 0; bit < 8 * csr->len; bit++)
    {
      GwCsrVerdict verdict;
      csr->data[bit / 8] ^= (guint8)(1 << bit % 8);
      verdict = judge (csr, NULL);
      g_assert_cmpint (verdict, !=, GW_CSR_OK);
      seen[verdict]++;
      csr->data[bit / 8] ^= (guint8)(1 << bit % 8);
    }
  g_assert_cmpint (judge (csr, NULL), ==, GW_CSR_OK);
  g_assert_cmpuint (seen[GW_CSR_NO_POSSESSION], >, 0);
  g_assert_cmpuint (seen[GW_CSR_MALFORMED], >, 0);
}

static void
test_lengths (void)
{
  g_autoptr (GByteArray) csr = make_request (&good, NULL);
  guint whole = csr->len;
  GwCsrKey key;

  for (guint len = 0; len < whole; len++)
    g_assert_cmpint (gw_csr_check (csr->data, len, binding, NULL, &key), ==,
                     len == 0 ? GW_CSR_SIZE : GW_CSR_MALFORMED);
  g_byte_array_append (csr, (const guint8 *)"\0", 1);
  g_assert_cmpint (judge (csr, NULL), ==, GW_CSR_MALFORMED);
  g_byte_array_set_size (csr, GW_CSR_MAX + 1);
  g_assert_cmpint (judge (csr, NULL), ==, GW_CSR_SIZE);
}

static void
test_errors (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) junk = g_bytes_new_static ("junk", 4);
  Recipe recipe = good;
  GwCsrKey key;

  g_assert_false (gw_csr_check_full (junk, binding, NULL, &key, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_INVALID);
  g_clear_error (&error);
  recipe.binding = NULL;
  g_autoptr (GBytes) unbound = g_byte_array_free_to_bytes (make_request (&recipe, NULL));
  g_assert_false (gw_csr_check_full (unbound, binding, NULL, &key, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_NOT_TRUSTED);
  g_assert_nonnull (strstr (error->message, "not bound"));
  g_assert_true (gw_csr_check_full (unbound, NULL, NULL, &key, NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/csr-check/good", test_good);
  g_test_add_func ("/csr-check/endpoint", test_endpoint);
  g_test_add_func ("/csr-check/keys", test_keys);
  g_test_add_func ("/csr-check/bindings", test_bindings);
  g_test_add_func ("/csr-check/identity-key", test_identity_key);
  g_test_add_func ("/csr-check/bit-flips", test_bit_flips);
  g_test_add_func ("/csr-check/lengths", test_lengths);
  g_test_add_func ("/csr-check/errors", test_errors);
  return g_test_run ();
}
