/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inventory through the daemon's calls: manifests and batches come in whole or not at all, and the
 * decision for a proven key id follows from them. Signatures are openssl's. */
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gw-batch.h"
#include "gw-inventory-db.h"
#include "gw-inventory.h"
#include "gw-manifest.h"
#include "gw-report.h"
#include "test-pki.h"

#define HEADER "key_id,manufacturer,model,serial_number\n"
#define POLICY                                                                                               \
  "[Policy]\nKind=mosquitto\nBrokerUri=mqtts://b\nTrustAnchors=%s/trust/root.pem\nIssuer=local\n"            \
  "TelemetryTopic={id}/t\nCommandTopic={id}/c\nReplyTopic={id}/r\nStatusTopic={id}/s\nFormat=senml-json\n"

static TestPki pki;

typedef struct
{
  char *state;
  GwInventory *inventory;
  gboolean done;
  gboolean ok;
  GError *error;
  GwManifestResult *manifest;
  GwBatchResult *batch;
  char *report;
  guint progress_calls;
  double progress;
} Fixture;

static void
open_inventory (Fixture *f)
{
  g_autofree char *trust = test_pki_path (&pki, "trust");
  g_autoptr (GError) error = NULL;
  g_autofree char *damage = NULL;

  f->inventory = gw_inventory_open (f->state, trust, &damage, &error);
  g_assert_no_error (error);
  g_assert_null (damage);
}

static void
set_up (Fixture *f, gconstpointer unused)
{
  test_pki_shell (&pki, "rm -rf state && mkdir -m 700 state");
  f->state = test_pki_path (&pki, "state");
  open_inventory (f);
}

static void
forget (Fixture *f)
{
  f->done = f->ok = FALSE;
  f->progress_calls = 0;
  f->progress = 0;
  g_clear_error (&f->error);
  g_clear_pointer (&f->manifest, gw_manifest_result_free);
  g_clear_pointer (&f->batch, gw_batch_result_free);
  g_clear_pointer (&f->report, g_free);
}

static void
tear_down (Fixture *f, gconstpointer unused)
{
  g_clear_pointer (&f->inventory, gw_inventory_free);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  forget (f);
  g_free (f->state);
}

/* ---- calls ---- */

static int
open_file (const char *name, int flags)
{
  g_autofree char *path = test_pki_path (&pki, name);
  int fd = open (path, flags | O_CLOEXEC, 0600);

  g_assert_cmpint (fd, >=, 0);
  return fd;
}

static void
wait_done (Fixture *f)
{
  while (!f->done)
    g_main_context_iteration (NULL, TRUE);
}

static void
read_report (Fixture *f)
{
  g_autofree char *path = test_pki_path (&pki, "report");

  g_assert_true (g_file_get_contents (path, &f->report, NULL, NULL));
}

static void
on_progress (double fraction, gpointer data)
{
  Fixture *f = data;

  g_assert_false (f->done);
  g_assert_cmpfloat (fraction, >=, f->progress);
  f->progress = fraction;
  f->progress_calls++;
}

static void
on_import (GObject *source, GAsyncResult *res, gpointer data)
{
  Fixture *f = data;

  f->ok = gw_inventory_import_manifest_finish (f->inventory, res, &f->manifest, &f->error);
  f->done = TRUE;
}

static void
import_files (Fixture *f, const char *content, const char *signature, const char *name)
{
  int content_fd = open_file (content, O_RDONLY), signature_fd = open_file (signature, O_RDONLY);
  int report_fd = open_file ("report", O_WRONLY | O_CREAT | O_TRUNC);

  forget (f);
  gw_inventory_import_manifest (f->inventory, content_fd, signature_fd, report_fd, name, on_progress, f, NULL,
                                on_import, f);
  close (content_fd); /* the inventory has its own */
  close (signature_fd);
  close (report_fd);
  wait_done (f);
  g_assert_true (f->ok == (f->error == NULL));
  read_report (f);
}

static void
import (Fixture *f, const char *content, const char *name)
{
  test_pki_write (&pki, "m", content, -1);
  test_pki_sign (&pki, "m", "good", "");
  import_files (f, "m", "m.p7s", name);
}

static void
on_batch (GObject *source, GAsyncResult *res, gpointer data)
{
  Fixture *f = data;

  f->ok = gw_inventory_add_batch_finish (f->inventory, res, &f->batch, &f->error);
  f->done = TRUE;
}

static void
add_batch (Fixture *f, const char *name, const char *ids, gboolean dry_run)
{
  int ids_fd, report_fd = open_file ("report", O_WRONLY | O_CREAT | O_TRUNC);

  test_pki_write (&pki, "ids", ids, -1);
  ids_fd = open_file ("ids", O_RDONLY);
  forget (f);
  gw_inventory_add_batch (f->inventory, name, "plant", ids_fd, report_fd, 12345, dry_run, NULL, NULL, NULL,
                          on_batch, f);
  close (ids_fd);
  close (report_fd);
  wait_done (f);
  read_report (f);
}

static void
on_remove (GObject *source, GAsyncResult *res, gpointer data)
{
  Fixture *f = data;

  f->ok = gw_inventory_remove_batch_finish (f->inventory, res, &f->error);
  f->done = TRUE;
}

static void
on_approve (GObject *source, GAsyncResult *res, gpointer data)
{
  Fixture *f = data;

  f->ok = gw_inventory_approve_finish (f->inventory, res, &f->error);
  f->done = TRUE;
}

/* Key id n of the tests: 64 digits, and a manifest row and an id line of it. */
static char *
kid_text (guint n)
{
  return g_strdup_printf ("%08x%056x", n, n);
}

static char *
row (guint n)
{
  g_autofree char *kid = kid_text (n);

  return g_strdup_printf ("%s,Maker,Model,SN%u\n", kid, n);
}

/* first..last as lines by make, after head. */
static char *
lines (const char *head, guint first, guint last)
{
  GString *out = g_string_new (head);

  for (guint n = first; n <= last; n++)
    {
      g_autofree char *line = head[0] ? row (n) : kid_text (n);

      g_string_append_printf (out, "%s%s", line, head[0] ? "" : "\n");
    }
  return g_string_free (out, FALSE);
}

static void
import_range (Fixture *f, guint first, guint last, const char *name)
{
  g_autofree char *content = lines (HEADER, first, last);

  import (f, content, name);
  g_assert_no_error (f->error);
}

static GwAdmission *
decide (Fixture *f, guint n)
{
  g_autofree char *dir = test_pki_path (&pki, "policies"), *text = kid_text (n);
  const char *dirs[] = { dir, NULL };
  g_autoptr (GwPolicySet) policies = gw_policy_set_load (dirs, NULL);
  g_autoptr (GError) error = NULL;
  guint8 kid[GW_KEY_ID_LEN];
  GwAdmission *a;

  g_assert_true (gw_key_id_parse (text, kid));
  a = gw_inventory_decide (f->inventory, kid, policies, &error);
  g_assert_no_error (error);
  return a;
}

/* ---- manifests ---- */

static void
test_import (Fixture *f, gconstpointer unused)
{
  GPtrArray *list;
  const GwManifestInfo *info;

  import_range (f, 1, 100, "first");
  g_assert_cmpuint (f->manifest->chips, ==, 100);
  g_assert_cmpuint (f->manifest->added, ==, 100);
  g_assert_cmpuint (f->manifest->known, ==, 0);
  g_assert_cmpstr (f->manifest->name, ==, "first");
  g_assert_nonnull (strstr (f->manifest->signer, "CN=good"));
  g_assert_cmpstr (f->report, ==, "");
  g_assert_cmpuint (gw_inventory_get_chip_count (f->inventory), ==, 100);
  g_assert_cmpuint (gw_inventory_get_manifest_count (f->inventory), ==, 1);

  import_range (f, 1, 100, "first"); /* the very same: nothing to do is a success */
  g_assert_cmpuint (f->manifest->known, ==, 100);
  import_range (f, 1, 100, "other");
  g_assert_cmpstr (f->manifest->name, ==, "first");
  import_range (f, 51, 150, NULL); /* overlaps, and agrees */
  g_assert_cmpuint (f->manifest->added, ==, 50);
  g_assert_cmpuint (f->manifest->known, ==, 50);
  g_assert_true (g_regex_match_simple ("^manifest-[0-9a-f]{8}$", f->manifest->name, 0, 0));
  g_assert_cmpuint (gw_inventory_get_chip_count (f->inventory), ==, 150);
  g_assert_cmpuint (gw_inventory_get_manifest_count (f->inventory), ==, 2);

  list = gw_inventory_list_manifests (f->inventory, NULL);
  g_assert_cmpuint (list->len, ==, 2);
  info = list->pdata[0];
  g_assert_cmpstr (info->name, ==, "first");
  g_assert_cmpuint (info->chips, ==, 100);
  g_assert_cmpint (info->imported, >, 0);
  g_ptr_array_unref (list);
}

static void
test_reopen (Fixture *f, gconstpointer unused)
{
  g_autoptr (GwAdmission) a = NULL;

  import_range (f, 1, 10, "first");
  g_clear_pointer (&f->inventory, gw_inventory_free);
  open_inventory (f);
  g_assert_cmpuint (gw_inventory_get_chip_count (f->inventory), ==, 10);
  a = decide (f, 7);
  g_assert_true (a->in_manifest);
}

static void
assert_nothing_in (Fixture *f)
{
  g_assert_false (f->ok);
  g_assert_cmpuint (gw_inventory_get_chip_count (f->inventory), ==, 0);
  g_assert_cmpuint (gw_inventory_get_manifest_count (f->inventory), ==, 0);
  for (guint n = 1; n <= 3; n++)
    {
      g_autoptr (GwAdmission) a = decide (f, n);

      g_assert_false (a->in_manifest);
    }
}

static void
test_malformed (Fixture *f, gconstpointer unused)
{
  g_autofree char *one = row (1), *two = row (2);
  g_autofree char *content = g_strconcat (HEADER, one, "oops\n", two, "\n", NULL);

  import (f, content, "m");
  g_assert_error (f->error, GW_ERROR, GW_ERROR_INVALID);
  g_assert_nonnull (strstr (f->error->message,
                            "2 of 4 lines are refused, nothing was imported; the first: 3: malformed: "));
  g_assert_true (g_str_has_prefix (f->report, "3: malformed: "));
  g_assert_nonnull (strstr (f->report, "\n5: malformed: empty line\n"));
  g_assert_cmpuint (f->manifest->malformed, ==, 2);
  assert_nothing_in (f);
}

static void
test_header_and_empty (Fixture *f, gconstpointer unused)
{
  g_autofree char *no_header = row (1);
  static const char *const cases[] = { "", "\n", HEADER, "key_id;manufacturer\n" };

  import (f, no_header, "m");
  g_assert_error (f->error, GW_ERROR, GW_ERROR_INVALID);
  g_assert_nonnull (strstr (f->error->message, "line 1"));
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      import (f, cases[i], "m");
      g_assert_error (f->error, GW_ERROR, GW_ERROR_INVALID);
    }
  assert_nothing_in (f);
}

static void
test_duplicate (Fixture *f, gconstpointer unused)
{
  g_autofree char *one = row (1), *two = row (2);
  g_autofree char *content = g_strconcat (HEADER, two, one, two, two, NULL);

  import (f, content, "m");
  g_assert_error (f->error, GW_ERROR, GW_ERROR_INVALID);
  g_assert_cmpstr (f->report, ==,
                   "4: duplicate: this key id stands on line 2 already\n"
                   "5: duplicate: this key id stands on line 2 already\n");
  g_assert_cmpuint (f->manifest->duplicate, ==, 2);
  assert_nothing_in (f);
}

static void
test_contradiction (Fixture *f, gconstpointer unused)
{
  g_autofree char *kid = kid_text (2), *three = row (3);
  g_autofree char *content = g_strdup_printf (HEADER "%s%s,Maker,Other,SN2\n", three, kid);
  g_autoptr (GwAdmission) a = NULL, b = NULL;

  import_range (f, 1, 2, "first");
  import (f, content, "second");
  g_assert_error (f->error, GW_ERROR, GW_ERROR_INVALID);
  g_assert_cmpstr (f->report, ==,
                   "3: contradiction: manifest first lists this key id as Maker, Model, SN2\n");
  a = decide (f, 2);
  g_assert_cmpstr (a->model, ==, "Model");
  b = decide (f, 3);
  g_assert_false (b->in_manifest);
}

static void
test_name_taken (Fixture *f, gconstpointer unused)
{
  import_range (f, 1, 2, "first");
  {
    g_autofree char *content = lines (HEADER, 3, 4);
    import (f, content, "first");
  }
  g_assert_error (f->error, GW_ERROR, GW_ERROR_EXISTS);
  g_assert_cmpuint (gw_inventory_get_chip_count (f->inventory), ==, 2);
}

static void
test_untrusted (Fixture *f, gconstpointer unused)
{
  g_autofree char *content = lines (HEADER, 1, 3);
  g_autofree char *more = lines (HEADER, 1, 4);
  g_autofree char *broken = g_strconcat (content, "oops\n", NULL);

  test_pki_write (&pki, "m", content, -1);
  test_pki_sign (&pki, "m", "stranger", "");
  import_files (f, "m", "m.p7s", "m");
  g_assert_error (f->error, GW_ERROR, GW_ERROR_NOT_TRUSTED);
  assert_nothing_in (f);

  test_pki_sign (&pki, "m", "good", "");
  test_pki_write (&pki, "m", more, -1);
  import_files (f, "m", "m.p7s", "m");
  g_assert_error (f->error, GW_ERROR, GW_ERROR_NOT_TRUSTED);
  g_assert_nonnull (strstr (f->error->message, "other content"));
  assert_nothing_in (f);

  /* Lines that nobody vouches for are not reported on. */
  test_pki_write (&pki, "m", broken, -1);
  import_files (f, "m", "m.p7s", "m");
  g_assert_error (f->error, GW_ERROR, GW_ERROR_NOT_TRUSTED);
  g_assert_cmpstr (f->report, ==, "");

  test_pki_write (&pki, "m", content, -1);
  import_files (f, "m", "empty-signature", "m");
  g_assert_error (f->error, GW_ERROR, GW_ERROR_NOT_TRUSTED);
  assert_nothing_in (f);
}

static void
test_too_large (Fixture *f, gconstpointer unused)
{
  test_pki_write (&pki, "m", HEADER, -1);
  test_pki_sign (&pki, "m", "good", "");
  test_pki_shell (&pki, "truncate -s 4294967297 m"); /* sparse */
  import_files (f, "m", "m.p7s", "m");
  g_assert_error (f->error, GW_ERROR, GW_ERROR_LIMIT);
  test_pki_shell (&pki, "rm m; head -c 300000 /dev/zero > big.p7s");
  test_pki_write (&pki, "m", HEADER, -1);
  import_files (f, "m", "big.p7s", "m");
  g_assert_error (f->error, GW_ERROR, GW_ERROR_LIMIT);
}

static void
test_junk (Fixture *f, gconstpointer unused)
{
  g_autoptr (GString) content = g_string_new (HEADER);

  for (guint i = 0; i < 3 * GW_REPORT_LINES_MAX; i++)
    g_string_append (content, "x\n");
  import (f, content->str, "m");
  g_assert_error (f->error, GW_ERROR, GW_ERROR_INVALID);
  g_assert_nonnull (strstr (f->error->message, "is this a manifest?"));
}

static void
wait_empty (int fd)
{
  int left = 1;

  while (left > 0)
    {
      g_assert_cmpint (ioctl (fd, FIONREAD, &left), ==, 0);
      g_thread_yield ();
    }
}

/* Through a pipe, in pieces, and cancelled in the middle: what was read so far leaves nothing. */
static void
test_cancel (Fixture *f, gconstpointer unused)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autofree char *one = row (1);
  int fds[2], signature_fd;

  test_pki_write (&pki, "m", HEADER, -1);
  test_pki_sign (&pki, "m", "good", "");
  signature_fd = open_file ("m.p7s", O_RDONLY);
  g_assert_cmpint (pipe2 (fds, O_CLOEXEC), ==, 0);
  g_assert_cmpint (write (fds[1], HEADER, strlen (HEADER)), >, 0);
  g_assert_cmpint (write (fds[1], one, strlen (one)), >, 0);
  gw_inventory_import_manifest (f->inventory, fds[0], signature_fd, -1, NULL, NULL, NULL, cancellable,
                                on_import, f);
  wait_empty (fds[0]); /* it has been read, and more is waited for */
  g_cancellable_cancel (cancellable);
  wait_done (f);
  g_assert_error (f->error, GW_ERROR, GW_ERROR_CANCELLED);
  assert_nothing_in (f);
  close (fds[0]);
  close (fds[1]);
  close (signature_fd);
  import_range (f, 1, 1, NULL); /* and the next one works */
}

/* The inventory goes while a change hangs on a pipe: it is cancelled, its callback still comes. */
static void
test_free_in_between (Fixture *f, gconstpointer unused)
{
  int fds[2], signature_fd;

  test_pki_write (&pki, "m", HEADER, -1);
  test_pki_sign (&pki, "m", "good", "");
  signature_fd = open_file ("m.p7s", O_RDONLY);
  g_assert_cmpint (pipe2 (fds, O_CLOEXEC), ==, 0);
  gw_inventory_import_manifest (f->inventory, fds[0], signature_fd, -1, NULL, on_progress, f, NULL, on_import,
                                f);
  g_clear_pointer (&f->inventory, gw_inventory_free);
  wait_done (f);
  g_assert_error (f->error, GW_ERROR, GW_ERROR_CANCELLED);
  close (fds[0]);
  close (fds[1]);
  close (signature_fd);
}

static void
test_bad_fd (Fixture *f, gconstpointer unused)
{
  gw_inventory_import_manifest (f->inventory, 99999, 99999, -1, NULL, NULL, NULL, NULL, on_import, f);
  wait_done (f);
  g_assert_error (f->error, GW_ERROR, GW_ERROR_INVALID);
}

static void
test_progress (Fixture *f, gconstpointer unused)
{
  g_autofree char *content = lines (HEADER, 1, 20000);

  import (f, content, "m");
  g_assert_no_error (f->error);
  g_assert_cmpuint (f->progress_calls, >=, 4);
  g_assert_cmpuint (f->progress_calls, <=, 51);
  g_assert_cmpfloat (f->progress, >, 0.8);
}

/* ---- batches ---- */

static void
test_batch (Fixture *f, gconstpointer unused)
{
  g_autofree char *ids = lines ("", 1, 5);
  g_autofree char *commented = g_strconcat ("# ours\n\n", ids, NULL);
  GPtrArray *list;
  const GwBatchInfo *info;

  import_range (f, 1, 10, "first");
  add_batch (f, "b1", commented, TRUE);
  g_assert_no_error (f->error);
  g_assert_true (f->batch->dry_run);
  g_assert_cmpuint (f->batch->accepted, ==, 5);
  g_assert_cmpuint (gw_inventory_get_batch_count (f->inventory), ==, 0);

  add_batch (f, "b1", commented, FALSE);
  g_assert_no_error (f->error);
  g_assert_cmpuint (f->batch->lines, ==, 5);
  g_assert_cmpuint (f->batch->accepted, ==, 5);
  g_assert_cmpuint (gw_inventory_get_batch_count (f->inventory), ==, 1);
  list = gw_inventory_list_batches (f->inventory, NULL);
  info = list->pdata[0];
  g_assert_cmpstr (info->name, ==, "b1");
  g_assert_cmpstr (info->policy, ==, "plant");
  g_assert_cmpuint (info->ids, ==, 5);
  g_assert_cmpint (info->adopt_until, ==, 12345);
  g_ptr_array_unref (list);

  add_batch (f, "b1", commented, FALSE);
  g_assert_error (f->error, GW_ERROR, GW_ERROR_EXISTS);
  add_batch (f, "b1", commented, TRUE);
  g_assert_error (f->error, GW_ERROR, GW_ERROR_EXISTS);
}

static void
test_batch_refused (Fixture *f, gconstpointer dry)
{
  g_autofree char *ids = lines ("", 5, 6);
  g_autofree char *unknown = kid_text (99), *twice = kid_text (8), *claimed = kid_text (1),
                  *approved = kid_text (2);
  g_autofree char *bad
      = g_strdup_printf ("%s\nxyz\n%s\n%s\n%s\n%s\n%s", twice, unknown, twice, claimed, approved, ids);
  g_autofree char *first = lines ("", 1, 1);
  guint8 kid[GW_KEY_ID_LEN];

  import_range (f, 1, 10, "first");
  add_batch (f, "b1", first, FALSE);
  g_assert_true (gw_key_id_parse (approved, kid));
  forget (f);
  gw_inventory_approve (f->inventory, kid, "single", 1, on_approve, f);
  wait_done (f);
  g_assert_no_error (f->error);

  add_batch (f, "b2", bad, dry != NULL);
  if (dry)
    g_assert_no_error (f->error);
  else
    {
      g_assert_error (f->error, GW_ERROR, GW_ERROR_INVALID);
      g_assert_nonnull (strstr (f->error->message,
                                "5 of 8 key ids are refused, nothing was added; the first: 2: malformed"));
    }
  g_assert_cmpuint (f->batch->lines, ==, 8);
  g_assert_cmpuint (f->batch->accepted, ==, 3);
  g_assert_cmpuint (f->batch->malformed, ==, 1);
  g_assert_cmpuint (f->batch->unknown, ==, 1);
  g_assert_cmpuint (f->batch->duplicate, ==, 1);
  g_assert_cmpuint (f->batch->claimed, ==, 2);
  g_assert_cmpstr (f->report, ==,
                   "2: malformed: not a key id of 64 lower-case hex digits\n"
                   "3: unknown: in no trusted manifest; import the vendor's manifest first\n"
                   "4: duplicate: stands on line 1 already\n"
                   "5: claimed: by batch b1\n"
                   "6: claimed: approved singly for policy single\n");
  g_assert_cmpuint (gw_inventory_get_batch_count (f->inventory), ==, 1);
  for (guint n = 5; n <= 8; n++)
    {
      g_autoptr (GwAdmission) a = decide (f, n);

      g_assert_false (a->claimed);
    }
}

static void
test_batch_empty (Fixture *f, gconstpointer unused)
{
  add_batch (f, "b1", "# nothing\n\n", FALSE);
  g_assert_error (f->error, GW_ERROR, GW_ERROR_INVALID);
  g_assert_cmpuint (gw_inventory_get_batch_count (f->inventory), ==, 0);
}

static void
test_batch_remove (Fixture *f, gconstpointer unused)
{
  g_autofree char *ids = lines ("", 1, 5), *other = lines ("", 6, 7);
  g_autoptr (GwAdmission) a = NULL, b = NULL;

  import_range (f, 1, 10, "first");
  add_batch (f, "b1", ids, FALSE);
  add_batch (f, "b2", other, FALSE);
  forget (f);
  gw_inventory_remove_batch (f->inventory, "b1", on_remove, f);
  wait_done (f);
  g_assert_no_error (f->error);
  g_assert_cmpuint (gw_inventory_get_batch_count (f->inventory), ==, 1);
  a = decide (f, 1);
  g_assert_false (a->claimed);
  b = decide (f, 6);
  g_assert_true (b->claimed);
  forget (f);
  gw_inventory_remove_batch (f->inventory, "b1", on_remove, f);
  wait_done (f);
  g_assert_error (f->error, GW_ERROR, GW_ERROR_NOT_FOUND);
  add_batch (f, "b3", ids, FALSE);
  g_assert_no_error (f->error);
}

/* The report's reader is gone: told in the result, and the daemon lives. */
static void
test_report_reader_gone (Fixture *f, gconstpointer unused)
{
  int fds[2], ids_fd;

  g_assert_cmpint (pipe2 (fds, O_CLOEXEC), ==, 0);
  close (fds[0]);
  test_pki_write (&pki, "ids", "xyz\n", -1);
  ids_fd = open_file ("ids", O_RDONLY);
  gw_inventory_add_batch (f->inventory, "b", "p", ids_fd, fds[1], 0, TRUE, NULL, NULL, NULL, on_batch, f);
  close (ids_fd);
  close (fds[1]);
  wait_done (f);
  g_assert_no_error (f->error);
  g_assert_true (f->batch->report_cut);
}

static void
test_too_many_waiting (Fixture *f, gconstpointer unused)
{
  Fixture many[20] = { 0 };
  int fds[2];
  guint refused = 0;

  g_assert_cmpint (pipe2 (fds, O_CLOEXEC), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (many); i++)
    {
      many[i].inventory = f->inventory;
      gw_inventory_add_batch (f->inventory, "b", "p", fds[0], -1, 0, TRUE, NULL, NULL, NULL, on_batch,
                              &many[i]);
    }
  close (fds[0]);
  close (fds[1]);
  for (guint i = 0; i < G_N_ELEMENTS (many); i++)
    {
      wait_done (&many[i]);
      refused += g_error_matches (many[i].error, GW_ERROR, GW_ERROR_LIMIT);
      forget (&many[i]);
    }
  g_assert_cmpuint (refused, ==, 4);
}

/* ---- the decision ---- */

static void
test_decide (Fixture *f, gconstpointer unused)
{
  g_autofree char *ids = lines ("", 1, 2), *policy = g_strdup_printf (POLICY, pki.dir), *id = kid_text (3);
  GwAdmission *a;

  test_pki_shell (&pki, "mkdir -p policies && rm -f policies/*");
  a = decide (f, 1);
  g_assert_cmpint (a->verdict, ==, GW_ADMISSION_NOT_IN_MANIFEST);
  g_assert_nonnull (strstr (a->remedy, "gangwayctl inventory import"));
  gw_admission_free (a);

  import_range (f, 1, 3, "first");
  a = decide (f, 3);
  g_assert_cmpint (a->verdict, ==, GW_ADMISSION_NOT_CLAIMED);
  g_assert_cmpstr (a->reason, ==, "in manifest first, but claimed by no batch");
  g_assert_nonnull (strstr (a->remedy, id));
  g_assert_nonnull (strstr (a->remedy, "batch add NAME FILE --policy POLICY"));
  g_assert_cmpstr (a->serial, ==, "SN3");
  gw_admission_free (a);

  add_batch (f, "b1", ids, FALSE);
  a = decide (f, 1);
  g_assert_cmpint (a->verdict, ==, GW_ADMISSION_POLICY_MISSING);
  g_assert_nonnull (strstr (a->remedy, "plant.policy"));
  gw_admission_free (a);

  test_pki_write (&pki, "policies/plant.policy", "[Policy]\n", -1);
  a = decide (f, 1);
  g_assert_cmpint (a->verdict, ==, GW_ADMISSION_POLICY_INVALID);
  g_assert_nonnull (strstr (a->reason, "is missing"));
  gw_admission_free (a);

  test_pki_write (&pki, "policies/plant.policy", policy, -1);
  a = decide (f, 1);
  g_assert_cmpint (a->verdict, ==, GW_ADMISSION_ADMITTED);
  g_assert_cmpstr (a->manifest, ==, "first");
  g_assert_cmpstr (a->manufacturer, ==, "Maker");
  g_assert_cmpstr (a->model, ==, "Model");
  g_assert_cmpstr (a->batch, ==, "b1");
  g_assert_cmpstr (a->policy, ==, "plant");
  g_assert_cmpint (a->adopt_until, ==, 12345);
  g_assert_null (a->reason);
  g_assert_null (a->remedy);
  gw_admission_free (a);
}

static void
approve (Fixture *f, guint n, const char *policy, gint64 until)
{
  g_autofree char *text = kid_text (n);
  guint8 kid[GW_KEY_ID_LEN];

  g_assert_true (gw_key_id_parse (text, kid));
  forget (f);
  gw_inventory_approve (f->inventory, kid, policy, until, on_approve, f);
  wait_done (f);
}

static void
test_approve (Fixture *f, gconstpointer unused)
{
  g_autofree char *ids = lines ("", 1, 1);
  g_autoptr (GwAdmission) single = NULL, changed = NULL, none = NULL;

  approve (f, 1, "x", 5); /* the owner's word does not replace the vendor's */
  g_assert_error (f->error, GW_ERROR, GW_ERROR_NOT_TRUSTED);
  import_range (f, 1, 3, "first");
  approve (f, 2, "x", 5);
  g_assert_no_error (f->error);
  single = decide (f, 2);
  g_assert_true (single->claimed);
  g_assert_null (single->batch);
  g_assert_cmpstr (single->policy, ==, "x");
  g_assert_cmpint (single->adopt_until, ==, 5);

  add_batch (f, "b1", ids, FALSE);
  approve (f, 1, "y", 6);
  changed = decide (f, 1);
  g_assert_cmpstr (changed->batch, ==, "b1");
  g_assert_cmpstr (changed->policy, ==, "y");
  g_assert_cmpint (changed->adopt_until, ==, 6);
  none = decide (f, 3);
  g_assert_false (none->claimed);
}

static void
test_names (void)
{
  g_autofree char *fits = g_strnfill (GW_INVENTORY_NAME_MAX, 'a');
  g_autofree char *over = g_strnfill (GW_INVENTORY_NAME_MAX + 1, 'a');

  g_assert_true (gw_inventory_name_is_valid ("2026.11_hall-7"));
  g_assert_true (gw_inventory_name_is_valid (fits));
  g_assert_false (gw_inventory_name_is_valid (over));
  g_assert_false (gw_inventory_name_is_valid (""));
  g_assert_false (gw_inventory_name_is_valid ("a b"));
  g_assert_false (gw_inventory_name_is_valid ("a/b"));
  g_assert_false (gw_inventory_name_is_valid ("\xc3\xa4"));
}

static void
test_report_bound (void)
{
  g_autoptr (GwReport) report = gw_report_new ();
  g_autofree char *path = test_pki_path (&pki, "report"), *text = NULL;
  int fd = open_file ("report", O_WRONLY | O_CREAT | O_TRUNC);

  for (guint i = GW_REPORT_LINES_MAX + 5; i > 0; i--)
    gw_report_add (report, i, "malformed", "x");
  g_assert_cmpuint (gw_report_count (report), ==, GW_REPORT_LINES_MAX + 5);
  g_assert_cmpstr (gw_report_first (report), ==, "6: malformed: x");
  g_assert_false (gw_report_write (report, fd, NULL));
  close (fd);
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_assert_true (g_str_has_suffix (text, "\nand 5 more\n"));
}

#define ADD(name, data, func) g_test_add (name, Fixture, data, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  int rc;

  g_test_init (&argc, &argv, NULL);
  test_pki_init (&pki);
  test_pki_write (&pki, "empty-signature", "", 0);
  ADD ("/gw-manifest/import", NULL, test_import);
  ADD ("/gw-manifest/reopen", NULL, test_reopen);
  ADD ("/gw-manifest/malformed", NULL, test_malformed);
  ADD ("/gw-manifest/header-and-empty", NULL, test_header_and_empty);
  ADD ("/gw-manifest/duplicate", NULL, test_duplicate);
  ADD ("/gw-manifest/contradiction", NULL, test_contradiction);
  ADD ("/gw-manifest/name-taken", NULL, test_name_taken);
  ADD ("/gw-manifest/untrusted", NULL, test_untrusted);
  ADD ("/gw-manifest/too-large", NULL, test_too_large);
  ADD ("/gw-manifest/junk", NULL, test_junk);
  ADD ("/gw-manifest/cancel", NULL, test_cancel);
  ADD ("/gw-manifest/free-in-between", NULL, test_free_in_between);
  ADD ("/gw-manifest/bad-fd", NULL, test_bad_fd);
  ADD ("/gw-manifest/progress", NULL, test_progress);
  ADD ("/gw-batch/add", NULL, test_batch);
  ADD ("/gw-batch/refused", NULL, test_batch_refused);
  ADD ("/gw-batch/refused-dry-run", "dry", test_batch_refused);
  ADD ("/gw-batch/empty", NULL, test_batch_empty);
  ADD ("/gw-batch/remove", NULL, test_batch_remove);
  ADD ("/gw-batch/report-reader-gone", NULL, test_report_reader_gone);
  ADD ("/gw-batch/too-many-waiting", NULL, test_too_many_waiting);
  ADD ("/gw-inventory/decide", NULL, test_decide);
  ADD ("/gw-inventory/approve", NULL, test_approve);
  g_test_add_func ("/gw-inventory/names", test_names);
  g_test_add_func ("/gw-report/bound", test_report_bound);
  rc = g_test_run ();
  test_pki_clear (&pki);
  return rc;
}
