/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The fuzzy extractor on the model of a chip: enrolment, noise, bias, damaged and foreign helper data. */

#include <string.h>

#include "gw-puf-codec.h"
#include "gw-status.h"
#include "test-chip.h"

static TestChip *
new_chip (guint64 seed, double noise, double offset)
{
  TestChip *chip = g_new0 (TestChip, 1);
  GwSimPufModel model = GW_SIM_PUF_MODEL_DEFAULT;

  model.noise = noise;
  model.offset = offset;
  test_chip_init (chip, gw_sim_puf_new_model (seed, &model));
  return chip;
}

static void
free_chip (TestChip *chip)
{
  test_chip_clear (chip);
  g_free (chip);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TestChip, free_chip)

static void
test_power_cycles (void)
{
  g_autoptr (TestChip) chip = new_chip (1, 0.10, 0);
  guint8 first[GW_PUF_PRK_OCTETS], prk[GW_PUF_PRK_OCTETS];
  GwPufHealth health;
  guint most = 0, code_bits = 0;

  g_assert_cmpint (gw_puf_reconstruct (&chip->platform, prk, &health), ==, GW_E_NOT_FOUND);
  g_assert_false (health.ok);
  g_assert_cmpint (gw_puf_enrol (&chip->platform), ==, GW_OK);
  g_assert_cmpint (gw_puf_reconstruct (&chip->platform, first, &health), ==, GW_OK);
  g_assert_true (health.ok);
  g_assert_cmpuint (health.fixed, ==, 0);
  g_assert_cmpuint (health.max, ==, GW_PUF_FIX_MAX);
  g_assert_cmpuint (health.bias, >=, GW_PUF_BIAS_MIN);

  for (guint i = 0; i < 100; i++)
    {
      gw_sim_puf_power_up (chip->puf);
      g_assert_cmpint (gw_puf_reconstruct (&chip->platform, prk, &health), ==, GW_OK);
      g_assert_cmpmem (prk, sizeof prk, first, sizeof first);
      g_assert_cmpuint (health.fixed, >, 40);
      most = MAX (most, health.fixed);
      code_bits += health.worst_block;
    }
  /* 4.5 % of 2,550 cells are 115; five standard deviations more are 167. */
  g_assert_cmpuint (most, <, 167);
  /* A majority of five is wrong for 0.09 % of the code bits: 0.2 a block. */
  g_assert_cmpuint (code_bits, <, 100);
}

/* Hot, cold and old chips still give the same secret. */
static void
test_conditions (void)
{
  static const GwSimPufModel models[] = {
    { .noise = 0.10, .temperature = -40 },
    { .noise = 0.10, .temperature = 105 },
    { .noise = 0.10, .temperature = 85, .years = 20 },
  };
  g_autoptr (TestChip) chip = new_chip (2, 0.10, 0);
  guint8 first[GW_PUF_PRK_OCTETS], prk[GW_PUF_PRK_OCTETS];

  g_assert_cmpint (gw_puf_enrol (&chip->platform), ==, GW_OK);
  g_assert_cmpint (gw_puf_reconstruct (&chip->platform, first, NULL), ==, GW_OK);
  for (guint i = 0; i < G_N_ELEMENTS (models); i++)
    for (guint k = 0; k < 20; k++)
      {
        gw_sim_puf_set_model (chip->puf, &models[i]);
        gw_sim_puf_power_up (chip->puf);
        g_assert_cmpint (gw_puf_reconstruct (&chip->platform, prk, NULL), ==, GW_OK);
        g_assert_cmpmem (prk, sizeof prk, first, sizeof first);
      }
}

/* Too much noise is an error, never another secret. */
static void
test_too_noisy (void)
{
  g_autoptr (TestChip) chip = new_chip (3, 0.10, 0);
  GwSimPufModel model = GW_SIM_PUF_MODEL_DEFAULT;
  GwPufHealth health;
  guint8 prk[GW_PUF_PRK_OCTETS];

  g_assert_cmpint (gw_puf_enrol (&chip->platform), ==, GW_OK);
  model.noise = 1.5;
  gw_sim_puf_set_model (chip->puf, &model);
  for (guint i = 0; i < 50; i++)
    {
      gw_sim_puf_power_up (chip->puf);
      g_assert_cmpint (gw_puf_reconstruct (&chip->platform, prk, &health), ==, GW_E_PUF);
      g_assert_false (health.ok);
    }
}

static void
test_bias (void)
{
  g_autoptr (TestChip) ones = new_chip (4, 0.10, 0.06), zeroes = new_chip (4, 0.10, -0.06);
  g_autoptr (TestChip) slight = new_chip (4, 0.10, 0.02);

  g_assert_cmpint (gw_puf_enrol (&ones->platform), ==, GW_E_PUF);
  g_assert_null (ones->nv[GW_EP_NV_HELPER]);
  g_assert_cmpint (gw_puf_enrol (&zeroes->platform), ==, GW_E_PUF);
  g_assert_cmpint (gw_puf_enrol (&slight->platform), ==, GW_OK);
}

/* A second codeword for the same cells would give their secret away. */
static void
test_enrols_once (void)
{
  g_autoptr (TestChip) chip = new_chip (5, 0.10, 0);
  g_autoptr (GByteArray) first = NULL;

  g_assert_cmpint (gw_puf_enrol (&chip->platform), ==, GW_OK);
  first = g_byte_array_ref (chip->nv[GW_EP_NV_HELPER]);
  g_assert_cmpint (gw_puf_enrol (&chip->platform), ==, GW_E_STATE);
  first->data[100] ^= 1;
  g_assert_cmpint (gw_puf_enrol (&chip->platform), ==, GW_E_STATE);
  g_byte_array_append (first, (const guint8 *)"x", 1);
  g_assert_cmpint (gw_puf_enrol (&chip->platform), ==, GW_E_STATE);
  g_assert_true (chip->nv[GW_EP_NV_HELPER] == first);
}

static void
test_no_entropy (void)
{
  g_autoptr (TestChip) chip = new_chip (6, 0.10, 0);

  chip->entropy_fails = TRUE;
  g_assert_cmpint (gw_puf_enrol (&chip->platform), ==, GW_E_IO);
  g_assert_null (chip->nv[GW_EP_NV_HELPER]);
}

static void
test_damaged_helper (void)
{
  g_autoptr (TestChip) chip = new_chip (7, 0.10, 0);
  guint8 prk[GW_PUF_PRK_OCTETS];
  GByteArray *helper;

  g_assert_cmpint (gw_puf_enrol (&chip->platform), ==, GW_OK);
  helper = chip->nv[GW_EP_NV_HELPER];
  g_assert_cmpuint (helper->len, ==, GW_PUF_HELPER_LEN);
  for (guint i = 0; i < helper->len; i++)
    {
      helper->data[i] ^= 0x10;
      g_assert_cmpint (gw_puf_reconstruct (&chip->platform, prk, NULL), ==, GW_E_CHECK);
      helper->data[i] ^= 0x10;
    }
  g_byte_array_set_size (helper, helper->len - 1);
  g_assert_cmpint (gw_puf_reconstruct (&chip->platform, prk, NULL), ==, GW_E_CHECK);
}

/* Helper data with one offset bit flipped and a right CRC: the code corrects it, yet the secret is another
 * one, because the salt is bound to every bit of the helper data. */
static void
test_forged_helper (void)
{
  g_autoptr (TestChip) chip = new_chip (8, 0.10, 0);
  guint8 prk[GW_PUF_PRK_OCTETS], forged_prk[GW_PUF_PRK_OCTETS];
  GByteArray *stored;
  GwPufHelper helper;

  g_assert_cmpint (gw_puf_enrol (&chip->platform), ==, GW_OK);
  g_assert_cmpint (gw_puf_reconstruct (&chip->platform, prk, NULL), ==, GW_OK);
  stored = chip->nv[GW_EP_NV_HELPER];
  g_assert_cmpint (gw_puf_helper_decode (stored->data, stored->len, &helper), ==, GW_OK);
  helper.offsets[17] ^= 4;
  gw_puf_helper_encode (&helper, stored->data);
  g_assert_cmpint (gw_puf_reconstruct (&chip->platform, forged_prk, NULL), ==, GW_OK);
  g_assert_cmpint (memcmp (prk, forged_prk, sizeof prk), !=, 0);
}

/* Another chip with these helper data: an error. */
static void
test_foreign_helper (void)
{
  g_autoptr (TestChip) chip = new_chip (9, 0.10, 0), other = new_chip (10, 0.10, 0);
  guint8 prk[GW_PUF_PRK_OCTETS];

  g_assert_cmpint (gw_puf_enrol (&chip->platform), ==, GW_OK);
  other->nv[GW_EP_NV_HELPER] = g_byte_array_ref (chip->nv[GW_EP_NV_HELPER]);
  g_assert_cmpint (gw_puf_reconstruct (&other->platform, prk, NULL), ==, GW_E_PUF);
}

static void
put_crc (guint8 *data)
{
  guint32 crc = G_MAXUINT32;

  for (guint i = 0; i < GW_PUF_HELPER_LEN - 4; i++)
    {
      crc ^= data[i];
      for (guint k = 0; k < 8; k++)
        crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
    }
  crc = GUINT32_TO_BE (~crc);
  memcpy (data + GW_PUF_HELPER_LEN - 4, &crc, 4);
}

static void
test_codec (void)
{
  static const struct
  {
    guint at;
    guint8 value;
    GwStatus status;
  } cases[] = {
    { 0, 'g', GW_E_MALFORMED }, { 4, 2, GW_E_UNSUPPORTED },  { 5, 1, GW_E_UNSUPPORTED },
    { 6, 7, GW_E_UNSUPPORTED }, { 7, 17, GW_E_UNSUPPORTED }, { 8, 0x28, GW_E_MALFORMED },
    { 10, 1, GW_E_MALFORMED },  { 11, 1, GW_E_MALFORMED },   { 330, 0x40, GW_E_MALFORMED },
    { 331, 1, GW_E_MALFORMED },
  };
  GwPufHelper helper = { .bias = 5000 }, back;
  guint8 good[GW_PUF_HELPER_LEN], bad[GW_PUF_HELPER_LEN + 1] = { 0 };

  memset (helper.offsets, 0x2a, sizeof helper.offsets);
  gw_puf_helper_encode (&helper, good);
  g_assert_cmpint (gw_puf_helper_decode (good, sizeof good, &back), ==, GW_OK);
  g_assert_cmpuint (back.bias, ==, 5000);
  g_assert_cmpmem (back.offsets, sizeof back.offsets, helper.offsets, sizeof helper.offsets);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      memcpy (bad, good, sizeof good);
      bad[cases[i].at] = cases[i].value;
      put_crc (bad);
      g_assert_cmpint (gw_puf_helper_decode (bad, sizeof good, &back), ==, cases[i].status);
    }
  for (gsize len = 0; len < sizeof good; len++)
    g_assert_cmpint (gw_puf_helper_decode (good, len, &back), ==, GW_E_TRUNCATED);
  memcpy (bad, good, sizeof good);
  g_assert_cmpint (gw_puf_helper_decode (bad, sizeof bad, &back), ==, GW_E_MALFORMED);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/puf/power-cycles", test_power_cycles);
  g_test_add_func ("/puf/conditions", test_conditions);
  g_test_add_func ("/puf/too-noisy", test_too_noisy);
  g_test_add_func ("/puf/bias", test_bias);
  g_test_add_func ("/puf/enrols-once", test_enrols_once);
  g_test_add_func ("/puf/no-entropy", test_no_entropy);
  g_test_add_func ("/puf/damaged-helper", test_damaged_helper);
  g_test_add_func ("/puf/forged-helper", test_forged_helper);
  g_test_add_func ("/puf/foreign-helper", test_foreign_helper);
  g_test_add_func ("/puf/codec", test_codec);
  return g_test_run ();
}
