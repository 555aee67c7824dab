/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gangway.db: what was committed is there again, what was undone is not, and a damaged file is set aside. */
#include <glib/gstdio.h>
#include <gio/gio.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

#include "gw-db.h"

typedef struct
{
  char *dir;
} Fixture;

static void
set_up (Fixture *f, gconstpointer unused)
{
  f->dir = g_dir_make_tmp ("gw-db-XXXXXX", NULL);
  g_assert_nonnull (f->dir);
}

static void
tear_down (Fixture *f, gconstpointer unused)
{
  g_autoptr (GDir) dir = g_dir_open (f->dir, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (dir)))
    {
      g_autofree char *path = g_build_filename (f->dir, name, NULL);

      g_assert_cmpint (g_unlink (path), ==, 0);
    }
  g_assert_cmpint (g_rmdir (f->dir), ==, 0);
  g_free (f->dir);
}

static GwDb *
open_db (Fixture *f)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *damage = NULL;
  GwDb *db = gw_db_open (f->dir, &damage, &error);

  g_assert_no_error (error);
  g_assert_null (damage);
  return db;
}

static GwDbWriter *
open_writer (Fixture *f)
{
  g_autoptr (GError) error = NULL;
  GwDbWriter *writer = gw_db_writer_open (f->dir, &error);

  g_assert_no_error (error);
  return writer;
}

static GwEndpointRecord *
make_record (guint8 first)
{
  guint8 kid[GW_KEY_ID_LEN] = { first };
  GwEndpointRecord *r = gw_endpoint_record_new (kid);

  r->lifecycle = GW_LIFECYCLE_ENROLLED;
  r->owned = TRUE;
  memset (r->owner, 0xaa, sizeof r->owner);
  r->reason = g_strdup ("because");
  r->name = g_strdup ("pump 7; DROP TABLE endpoint;--");
  r->policy = g_strdup ("plant");
  r->batch = g_strdup ("b1");
  r->generation = 4000000000u;
  r->slot = 2;
  r->held = TRUE;
  r->certificate = g_bytes_new ("\x30\x00\x01", 3);
  memset (r->fingerprint, 0xbb, sizeof r->fingerprint);
  r->not_after = 1;
  r->first_seen = 2;
  r->last_seen = G_MAXINT64;
  r->last_bus = g_strdup ("ttyGW0");
  return r;
}

static void
assert_same (const GwEndpointRecord *a, const GwEndpointRecord *b)
{
  g_assert_cmpmem (a->kid, sizeof a->kid, b->kid, sizeof b->kid);
  g_assert_cmpint (a->lifecycle, ==, b->lifecycle);
  g_assert_cmpint (a->held, ==, b->held);
  g_assert_cmpint (a->cloned, ==, b->cloned);
  g_assert_cmpint (a->owned, ==, b->owned);
  g_assert_cmpmem (a->owner, sizeof a->owner, b->owner, sizeof b->owner);
  g_assert_cmpstr (a->reason, ==, b->reason);
  g_assert_cmpstr (a->name, ==, b->name);
  g_assert_cmpstr (a->policy, ==, b->policy);
  g_assert_cmpstr (a->batch, ==, b->batch);
  g_assert_cmpuint (a->generation, ==, b->generation);
  g_assert_cmpuint (a->slot, ==, b->slot);
  g_assert_true (a->certificate == b->certificate || g_bytes_equal (a->certificate, b->certificate));
  g_assert_cmpmem (a->fingerprint, sizeof a->fingerprint, b->fingerprint, sizeof b->fingerprint);
  g_assert_cmpint (a->not_after, ==, b->not_after);
  g_assert_cmpint (a->first_seen, ==, b->first_seen);
  g_assert_cmpint (a->last_seen, ==, b->last_seen);
  g_assert_cmpstr (a->last_bus, ==, b->last_bus);
}

static void
test_endpoint (Fixture *f, gconstpointer unused)
{
  g_autoptr (GwDb) db = open_db (f);
  g_autoptr (GwDbWriter) writer = open_writer (f);
  g_autoptr (GwEndpointRecord) full = make_record (9);
  g_autoptr (GwEndpointRecord) copy = gw_endpoint_record_copy (full);
  g_autoptr (GwEndpointRecord) bare = gw_endpoint_record_new ((guint8[GW_KEY_ID_LEN]){ 3 });
  g_autoptr (GwEndpointRecord) got = NULL;
  g_autoptr (GError) error = NULL;
  GPtrArray *all;

  g_assert_true (gw_db_writer_save_endpoint (writer, full, &error));
  g_assert_true (gw_db_writer_save_endpoint (writer, bare, &error));
  all = gw_db_load_endpoints (db, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (all->len, ==, 2);
  assert_same (all->pdata[0], bare);
  assert_same (all->pdata[1], full);
  assert_same (copy, full);
  g_ptr_array_unref (all);

  bare->lifecycle = GW_LIFECYCLE_REVOKED;
  g_assert_true (gw_db_writer_save_endpoint (writer, bare, &error));
  got = gw_db_load_endpoint (db, bare->kid, &error);
  assert_same (got, bare);
  g_assert_cmpint (gw_db_count_endpoints (db, "b1", GW_LIFECYCLE_ENROLLED, &error), ==, 1);
  g_assert_cmpint (gw_db_count_endpoints (db, "b1", GW_LIFECYCLE_REVOKED, &error), ==, 0);

  g_assert_true (gw_db_writer_remove_endpoint (writer, bare->kid, &error));
  g_assert_null (gw_db_load_endpoint (db, bare->kid, &error));
  g_assert_no_error (error);
}

/* Driven as GwWriter does: a failed item is undone alone, a group that does not commit leaves nothing. */
static void
test_group (Fixture *f, gconstpointer unused)
{
  const GwWriterStore *ops = &gw_db_writer_store;
  g_autoptr (GwDb) db = open_db (f);
  g_autoptr (GwDbWriter) writer = open_writer (f);
  g_autoptr (GwEndpointRecord) one = make_record (1), two = make_record (2), three = make_record (3);
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) all = NULL;

  g_assert_true (ops->begin (writer, &error));
  g_assert_true (ops->mark (writer, &error));
  g_assert_true (gw_db_writer_save_endpoint (writer, one, &error));
  g_assert_true (ops->mark (writer, &error));
  g_assert_true (gw_db_writer_save_endpoint (writer, two, &error));
  g_assert_true (gw_db_writer_append_audit (writer, 1, "a", "b", "c", "d", &error));
  g_assert_true (ops->undo (writer, &error));
  g_assert_true (ops->mark (writer, &error));
  g_assert_true (gw_db_writer_append_audit (writer, 2, "a", "b", "c", "d", &error));
  g_assert_null (gw_db_load_endpoint (db, one->kid, &error)); /* not before the commit */
  g_assert_true (ops->commit (writer, TRUE, &error));
  ops->end (writer, TRUE);

  g_assert_true (ops->begin (writer, &error));
  g_assert_true (ops->mark (writer, &error));
  g_assert_true (gw_db_writer_save_endpoint (writer, three, &error));
  ops->end (writer, FALSE);

  g_assert_true (ops->begin (writer, &error));
  g_assert_true (ops->commit (writer, TRUE, &error));
  ops->end (writer, TRUE);
  g_assert_no_error (error);

  all = gw_db_load_endpoints (db, &error);
  g_assert_cmpuint (all->len, ==, 1);
  assert_same (all->pdata[0], one);
}

static void
test_reopen (Fixture *f, gconstpointer unused)
{
  g_autoptr (GwDb) db = open_db (f);
  g_autoptr (GwDbWriter) writer = open_writer (f);
  g_autofree char *id = g_strdup (gw_db_get_gateway_id (db));
  g_autofree char *value = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (g_regex_match_simple ("^gw-[0-9a-f]{16}$", id, 0, 0));
  g_assert_true (gw_db_writer_set_meta (writer, "k", "v", &error));
  g_clear_pointer (&writer, gw_db_writer_free);
  g_clear_pointer (&db, gw_db_free);
  db = open_db (f);
  g_assert_cmpstr (gw_db_get_gateway_id (db), ==, id);
  value = gw_db_get_meta (db, "k", &error);
  g_assert_cmpstr (value, ==, "v");
  g_assert_null (gw_db_get_meta (db, "nothing", &error));
  g_assert_no_error (error);
}

static void
test_modes (Fixture *f, gconstpointer unused)
{
  g_autoptr (GwDb) db = open_db (f);
  g_autoptr (GwDbWriter) writer = open_writer (f);
  g_autoptr (GwEndpointRecord) one = make_record (1);
  static const char *const names[] = { GW_DB_FILE, GW_DB_FILE "-wal", GW_DB_FILE "-shm" };

  g_assert_true (gw_db_writer_save_endpoint (writer, one, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *path = g_build_filename (f->dir, names[i], NULL);
      struct stat st;

      g_assert_cmpint (g_stat (path, &st), ==, 0);
      g_assert_cmpint (st.st_mode & 0777, ==, 0600);
    }
}

static guint
count_aside (Fixture *f)
{
  g_autoptr (GDir) dir = g_dir_open (f->dir, 0, NULL);
  const char *name;
  guint n = 0;

  while ((name = g_dir_read_name (dir)))
    if (g_str_has_prefix (name, GW_DB_FILE ".damaged-"))
      n++;
  return n;
}

static void
test_damaged (Fixture *f, gconstpointer how)
{
  g_autofree char *path = g_build_filename (f->dir, GW_DB_FILE, NULL);
  g_autofree char *damage = NULL, *content = NULL;
  g_autoptr (GwDb) db = open_db (f);
  g_autoptr (GError) error = NULL;
  gsize length;

  g_clear_pointer (&db, gw_db_free);
  g_assert_true (g_file_get_contents (path, &content, &length, NULL));
  if (g_str_equal (how, "header"))
    memset (content, 'x', 100);
  else
    memset (content + 4096 + 8, 0xff, 3000); /* a page within: only a full check sees it */
  g_assert_true (
      g_file_set_contents_full (path, content, (gssize)length, G_FILE_SET_CONTENTS_NONE, 0600, NULL));

  for (guint round = 1; round <= 2; round++)
    {
      db = gw_db_open (f->dir, &damage, &error);
      g_assert_no_error (error);
      g_assert_nonnull (strstr (damage, GW_DB_FILE ".damaged-"));
      g_clear_pointer (&damage, g_free);
      g_assert_cmpuint (count_aside (f), ==, round);
      g_clear_pointer (&db, gw_db_free);
      g_assert_true (
          g_file_set_contents_full (path, content, (gssize)length, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
    }
}

static void
test_newer (Fixture *f, gconstpointer unused)
{
  g_autofree char *path = g_build_filename (f->dir, GW_DB_FILE, NULL);
  g_autofree char *damage = NULL;
  g_autoptr (GwDb) db = open_db (f);
  g_autoptr (GError) error = NULL;
  sqlite3 *raw;

  g_clear_pointer (&db, gw_db_free);
  g_assert_cmpint (sqlite3_open (path, &raw), ==, SQLITE_OK);
  g_assert_cmpint (sqlite3_exec (raw, "PRAGMA user_version = 999", NULL, NULL, NULL), ==, SQLITE_OK);
  sqlite3_close (raw);
  g_assert_null (gw_db_open (f->dir, &damage, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_UNSUPPORTED);
  g_assert_null (damage);
  g_assert_cmpuint (count_aside (f), ==, 0);
}

static void
test_no_dir (Fixture *f, gconstpointer unused)
{
  g_autofree char *none = g_build_filename (f->dir, "none", NULL);
  g_autoptr (GError) error = NULL;

  g_assert_null (gw_db_open (none, NULL, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_STORAGE);
}

/* Two records at a time, as a long trail is looked at. */
static gint64
first_bad (GwDb *db)
{
  g_autoptr (GError) error = NULL;
  GwAuditCheck check = { 0 };

  while (!check.at_end && check.bad_seq == 0)
    {
      g_assert_true (gw_db_check_audit (db, &check, 2, &error));
      g_assert_no_error (error);
    }
  g_assert_cmpint (check.bad_seq, ==, check.at_end ? 0 : check.last + 1);
  return check.bad_seq;
}

static void
test_audit (Fixture *f, gconstpointer unused)
{
  g_autofree char *path = g_build_filename (f->dir, GW_DB_FILE, NULL);
  g_autoptr (GwDb) db = open_db (f);
  g_autoptr (GwDbWriter) writer = open_writer (f);
  g_autoptr (GPtrArray) some = NULL;
  g_autoptr (GPtrArray) last = NULL;
  g_autoptr (GPtrArray) none = NULL;
  g_autoptr (GError) error = NULL;
  const GwAuditRecord *second;
  sqlite3 *raw;

  g_assert_cmpint (first_bad (db), ==, 0);
  none = gw_db_load_audit (db, 0, 10, &error);
  g_assert_cmpuint (none->len, ==, 0);
  for (int i = 1; i <= 5; i++)
    g_assert_true (gw_db_writer_append_audit (writer, i * 10, "uid 7", "Inventory.AddBatch", "b1", "12 ids", &error));
  g_assert_cmpint (first_bad (db), ==, 0);
  some = gw_db_load_audit (db, 2, 2, &error);
  g_assert_cmpuint (some->len, ==, 2);
  second = some->pdata[0];
  g_assert_cmpint (second->seq, ==, 2);
  g_assert_cmpint (second->time, ==, 20);
  g_assert_cmpstr (second->actor, ==, "uid 7");
  g_assert_cmpstr (second->detail, ==, "12 ids");
  last = gw_db_load_audit (db, 0, 2, &error);
  g_assert_cmpuint (last->len, ==, 2);
  g_assert_cmpint (((GwAuditRecord *)last->pdata[0])->seq, ==, 4);

  g_assert_cmpint (sqlite3_open (path, &raw), ==, SQLITE_OK);
  g_assert_cmpint (sqlite3_exec (raw, "UPDATE audit SET actor = 'x' WHERE seq = 3", 0, 0, 0), ==, SQLITE_OK);
  g_assert_cmpint (first_bad (db), ==, 3);
  g_assert_cmpint (sqlite3_exec (raw, "DELETE FROM audit WHERE seq = 2", 0, 0, 0), ==, SQLITE_OK);
  g_assert_cmpint (first_bad (db), ==, 2);
  sqlite3_close (raw);
}

static void
test_error_names (void)
{
  g_autoptr (GError) error = g_error_new (GW_ERROR, GW_ERROR_NOT_TRUSTED, "no");
  g_autofree char *name = g_dbus_error_encode_gerror (error);
  g_autoptr (GError) cancelled = g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped");

  g_assert_cmpstr (name, ==, "org.gangway.Gangway1.Error.NotTrusted");
  g_assert_cmpstr (gw_error_code_name (GW_ERROR_STORAGE), ==, "Storage");
  g_assert_cmpstr (gw_error_code_name (99), ==, "Failed");
  gw_error_to_domain (&cancelled);
  g_assert_error (cancelled, GW_ERROR, GW_ERROR_CANCELLED);
}

#define ADD(name, data, func) g_test_add (name, Fixture, data, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gw-error/names", test_error_names);
  ADD ("/gw-db/endpoint", NULL, test_endpoint);
  ADD ("/gw-db/group", NULL, test_group);
  ADD ("/gw-db/reopen", NULL, test_reopen);
  ADD ("/gw-db/modes", NULL, test_modes);
  ADD ("/gw-db/damaged/header", "header", test_damaged);
  ADD ("/gw-db/damaged/page", "page", test_damaged);
  ADD ("/gw-db/newer-version", NULL, test_newer);
  ADD ("/gw-db/no-directory", NULL, test_no_dir);
  ADD ("/gw-db/audit", NULL, test_audit);
  return g_test_run ();
}
