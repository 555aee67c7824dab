/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Real silicon: every chip of the readout folder, every window, every readout. The first argument is the
 * folder. */

#include <string.h>

#include "gw-keys.h"
#include "gw-status.h"
#include "test-chip.h"

/* Windows whose whole identity, not only the secret, is compared: a power-up costs two point multiplications
 * there. */
#define IDENTITY_WINDOWS 3

static const char *const chip_names[] = { "L45", "M39", "M42" };
static const char *folder;

static GBytes *
load (const char *name)
{
  g_autofree char *file = g_strconcat (name, ".bin", NULL), *path = g_build_filename (folder, file, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GMappedFile) mapped = g_mapped_file_new (path, FALSE, &error);

  g_assert_no_error (error);
  return g_mapped_file_get_bytes (mapped);
}

static void
test_secret (gconstpointer data)
{
  g_autoptr (GBytes) readouts = load (data);
  guint windows = GW_SIM_PUF_READOUT / GW_SIM_PUF_WINDOW, cycles = 0, least = G_MAXUINT, most = 0, worst = 0;
  guint64 sum = 0;

  for (guint w = 0; w < windows; w++)
    {
      guint8 first[GW_PUF_PRK_OCTETS], prk[GW_PUF_PRK_OCTETS];
      GwPufHealth health;
      TestChip chip;
      guint n;

      test_chip_init (&chip, gw_sim_puf_new_readouts (readouts, w * GW_SIM_PUF_WINDOW));
      chip.entropy = w * 1000;
      n = gw_sim_puf_n_readouts (chip.puf);
      g_assert_cmpint (gw_puf_enrol (&chip.platform), ==, GW_OK);
      g_assert_cmpint (gw_puf_reconstruct (&chip.platform, first, &health), ==, GW_OK);
      for (guint i = 1; i < n; i++, cycles++)
        {
          gw_sim_puf_power_up (chip.puf);
          g_assert_cmpint (gw_puf_reconstruct (&chip.platform, prk, &health), ==, GW_OK);
          g_assert_cmpmem (prk, sizeof prk, first, sizeof first);
          sum += health.fixed;
          least = MIN (least, health.fixed);
          most = MAX (most, health.fixed);
          worst = MAX (worst, health.worst_block);
        }
      test_chip_clear (&chip);
    }
  g_test_message (
      "%s: %u windows, %u power cycles: corrected cells of %u: least %u, mean %.1f, most %u (limit %u); "
      "code bits in the worst block: %u of 18",
      (const char *)data, windows, cycles, GW_PUF_CELLS, least, (double)sum / cycles, most, GW_PUF_FIX_MAX,
      worst);
  /* Not the readout it was enrolled with, and not by far as bad as the limit. */
  g_assert_cmpuint (least, >, 0);
  g_assert_cmpuint (most, <, GW_PUF_FIX_MAX);
}

static void
test_identity (gconstpointer data)
{
  g_autoptr (GBytes) readouts = load (data);
  guint8 kids[IDENTITY_WINDOWS][GW_KEYS_KID_LEN];

  for (guint w = 0; w < IDENTITY_WINDOWS; w++)
    {
      GString *fixed = g_string_new (NULL);
      TestChip chip;
      GwKeys keys;
      guint n;

      test_chip_init (&chip, gw_sim_puf_new_readouts (readouts, w * GW_SIM_PUF_WINDOW));
      chip.entropy = w * 1000;
      n = gw_sim_puf_n_readouts (chip.puf);
      g_assert_cmpint (gw_keys_init (&keys, &chip.platform), ==, GW_OK);
      memcpy (kids[w], keys.kid, sizeof keys.kid);
      for (guint i = 1; i < n; i++)
        {
          gw_sim_puf_power_up (chip.puf);
          g_assert_cmpint (gw_keys_init (&keys, &chip.platform), ==, GW_OK);
          g_assert_cmpmem (keys.kid, sizeof keys.kid, kids[w], sizeof kids[w]);
          g_string_append_printf (fixed, " %u", keys.health.fixed);
        }
      for (guint before = 0; before < w; before++)
        g_assert_cmpint (memcmp (kids[before], kids[w], sizeof kids[w]), !=, 0);
      g_test_message ("%s window %u: key id %02x%02x%02x%02x.. through %u readouts, corrected cells:%s",
                      (const char *)data, w, keys.kid[0], keys.kid[1], keys.kid[2], keys.kid[3], n,
                      fixed->str);
      g_string_free (fixed, TRUE);
      test_chip_clear (&chip);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  if (argc != 2)
    g_error ("usage: %s FOLDER", argv[0]);
  folder = argv[1];
  for (guint i = 0; i < G_N_ELEMENTS (chip_names); i++)
    {
      g_autofree char *secret = g_strconcat ("/sram-puf/secret/", chip_names[i], NULL);
      g_autofree char *identity = g_strconcat ("/sram-puf/identity/", chip_names[i], NULL);

      g_test_add_data_func (secret, chip_names[i], test_secret);
      g_test_add_data_func (identity, chip_names[i], test_identity);
    }
  return g_test_run ();
}
