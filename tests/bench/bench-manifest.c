/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How long a manifest takes to import and how much memory that costs, through the same calls as the daemon.
 * Arguments: number of chips, folder to work in (default: the current one). Prints one JSON object a line: the first import, one of as
 * many other chips into the filled inventory, the import of the same again, the look-up of a chip, and a batch.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gw-inventory.h"
#include "test-pki.h"

#define LOOKUPS 20000

typedef struct
{
  GMainLoop *loop;
  GwInventory *inventory;
  GError *error;
  GwManifestResult *manifest;
  GwBatchResult *batch;
} Bench;

static long
read_status_kib (const char *key)
{
  char line[256];
  FILE *f = fopen ("/proc/self/status", "r");
  long value = -1;

  while (f && fgets (line, sizeof line, f))
    if (g_str_has_prefix (line, key))
      value = strtol (line + strlen (key), NULL, 10);
  if (f)
    fclose (f);
  return value;
}

/* So that VmHWM is the peak from here on. */
static void
reset_peak (void)
{
  int fd = open ("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

  if (fd < 0 || write (fd, "5", 1) != 1)
    g_printerr ("bench: the peak includes what came before\n");
  if (fd >= 0)
    close (fd);
}

static void
make_kid (guint64 seed, guint64 i, guint8 kid[32])
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  guint64 in[2] = { seed, i };
  gsize length = 32;

  g_checksum_update (sum, (const guchar *) in, sizeof in);
  g_checksum_get_digest (sum, kid, &length);
}

static void
write_files (const char *csv, const char *ids, guint64 seed, guint64 n)
{
  FILE *f = fopen (csv, "w"), *g = ids ? fopen (ids, "w") : NULL;

  fprintf (f, "key_id,manufacturer,model,serial_number\n");
  for (guint64 i = 0; i < n; i++)
    {
      guint8 kid[32];
      g_autofree char *hex = NULL;

      make_kid (seed, i, kid);
      hex = gw_key_id_to_string (kid);
      fprintf (f, "%s,Silicon Works,PUF-%u,SN%08x%08x\n", hex, (guint) (i % 7), (guint) seed, (guint) i);
      if (g && i < 100000)
        fprintf (g, "%s\n", hex);
    }
  fclose (f);
  if (g)
    fclose (g);
}

static void
imported (GObject *source, GAsyncResult *res, gpointer data)
{
  Bench *b = data;

  gw_inventory_import_manifest_finish (b->inventory, res, &b->manifest, &b->error);
  g_main_loop_quit (b->loop);
}

static void
added (GObject *source, GAsyncResult *res, gpointer data)
{
  Bench *b = data;

  gw_inventory_add_batch_finish (b->inventory, res, &b->batch, &b->error);
  g_main_loop_quit (b->loop);
}

static void
bench_import (Bench *b, const char *what, const char *csv, const char *signature)
{
  int content_fd = open (csv, O_RDONLY | O_CLOEXEC), signature_fd = open (signature, O_RDONLY | O_CLOEXEC);
  long before = read_status_kib ("VmRSS:");
  gint64 start = g_get_monotonic_time ();

  reset_peak ();
  gw_inventory_import_manifest (b->inventory, content_fd, signature_fd, -1, NULL, NULL, NULL, NULL, imported, b);
  g_main_loop_run (b->loop);
  if (b->error)
    g_error ("%s", b->error->message);
  printf ("{\"bench\":\"%s\",\"chips\":%" G_GUINT64_FORMAT ",\"added\":%" G_GUINT64_FORMAT
          ",\"seconds\":%.2f,\"rss_before_mib\":%.1f,\"rss_peak_growth_mib\":%.1f,\"rss_growth_mib\":%.1f}\n",
          what, b->manifest->chips, b->manifest->added, (double) (g_get_monotonic_time () - start) / 1e6,
          (double) before / 1024, (double) (read_status_kib ("VmHWM:") - before) / 1024,
          (double) (read_status_kib ("VmRSS:") - before) / 1024);
  fflush (stdout);
  g_clear_pointer (&b->manifest, gw_manifest_result_free);
  close (content_fd);
  close (signature_fd);
}

static void
bench_lookup (Bench *b, guint64 n)
{
  const char *const dirs[] = { NULL };
  g_autoptr (GwPolicySet) policies = gw_policy_set_load (dirs, NULL);
  gint64 start = g_get_monotonic_time ();

  for (guint64 i = 0; i < LOOKUPS; i++)
    {
      g_autoptr (GwAdmission) a = NULL;
      guint8 kid[32];

      make_kid (1, (i * 7919) % n, kid);
      a = gw_inventory_decide (b->inventory, kid, policies, NULL);
      if (!a || !a->in_manifest)
        g_error ("a chip is missing");
    }
  printf ("{\"bench\":\"inventory-decide\",\"calls\":%d,\"us\":%.1f}\n", LOOKUPS,
          (double) (g_get_monotonic_time () - start) / LOOKUPS);
}

static void
bench_batch (Bench *b, const char *ids)
{
  int fd = open (ids, O_RDONLY | O_CLOEXEC);
  gint64 start = g_get_monotonic_time ();

  gw_inventory_add_batch (b->inventory, "b", "p", fd, -1, 0, FALSE, NULL, NULL, NULL, added, b);
  g_main_loop_run (b->loop);
  if (b->error)
    g_error ("%s", b->error->message);
  printf ("{\"bench\":\"batch-add\",\"ids\":%" G_GUINT64_FORMAT ",\"seconds\":%.2f}\n", b->batch->accepted,
          (double) (g_get_monotonic_time () - start) / 1e6);
  g_clear_pointer (&b->batch, gw_batch_result_free);
  close (fd);
}

int
main (int argc, char **argv)
{
  guint64 n = argc > 1 ? g_ascii_strtoull (argv[1], NULL, 10) : 1000000;
  g_autofree char *state = NULL, *trust = NULL, *csv = NULL, *csv2 = NULL, *ids = NULL, *p7s = NULL, *p7s2 = NULL;
  g_autoptr (GError) error = NULL;
  TestPki pki;
  Bench b = { g_main_loop_new (NULL, FALSE) };

  if (argc > 2)
    g_setenv ("TMPDIR", argv[2], TRUE);
  test_pki_init (&pki);
  test_pki_shell (&pki, "mkdir -m 700 state");
  state = test_pki_path (&pki, "state");
  trust = test_pki_path (&pki, "trust");
  csv = test_pki_path (&pki, "a.csv");
  csv2 = test_pki_path (&pki, "b.csv");
  ids = test_pki_path (&pki, "ids");
  p7s = test_pki_path (&pki, "a.csv.p7s");
  p7s2 = test_pki_path (&pki, "b.csv.p7s");
  write_files (csv, ids, 1, n);
  write_files (csv2, NULL, 2, n);
  test_pki_sign (&pki, "a.csv", "good", "");
  test_pki_sign (&pki, "b.csv", "good", "");

  b.inventory = gw_inventory_open (state, trust, NULL, &error);
  if (!b.inventory)
    g_error ("%s", error->message);
  bench_import (&b, "manifest-import-first", csv, p7s);
  bench_import (&b, "manifest-import-second", csv2, p7s2);
  bench_import (&b, "manifest-import-again", csv, p7s);
  bench_lookup (&b, n);
  bench_batch (&b, ids);
  gw_inventory_free (b.inventory);
  g_main_loop_unref (b.loop);
  test_pki_clear (&pki);
  return 0;
}
