/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tables of inventory.db. Rows come sorted and go in sorted (gw_inventory_db_next_staged), so that each
 * page of the tree is written once, however large the inventory is, with a page cache of a few megabytes.
 */
#include "gw-inventory-db.h"

#include "gw-inventory.h"
#include "gw-sqlite.h"

struct _GwInventoryDb
{
  GwSqlite *sql;
  sqlite3_stmt *staged; /* running in the middle of the staged rows */
  guint8 staged_kid[GW_KEY_ID_LEN];
  guint64 staged_line; /* on which that key id stood first; 0 before the first row */
};

static const char *const steps[] = {
  "CREATE TABLE manifest ("
  "  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, sha256 BLOB NOT NULL UNIQUE, signer TEXT NOT NULL,"
  "  imported INTEGER NOT NULL, chips INTEGER NOT NULL, added INTEGER NOT NULL);"
  "CREATE TABLE chip ("
  "  key_id BLOB PRIMARY KEY NOT NULL CHECK (length (key_id) = 32), manifest INTEGER NOT NULL REFERENCES "
  "manifest (id),"
  "  manufacturer TEXT NOT NULL, model TEXT NOT NULL, serial TEXT NOT NULL) WITHOUT ROWID;"
  "CREATE TABLE batch ("
  "  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, policy TEXT NOT NULL, added INTEGER NOT NULL,"
  "  adopt_until INTEGER NOT NULL);"
  /* policy and adopt_until: NULL = as the batch's */
  "CREATE TABLE claim ("
  "  key_id BLOB PRIMARY KEY NOT NULL CHECK (length (key_id) = 32), batch INTEGER REFERENCES batch (id), "
  "policy TEXT,"
  "  adopt_until INTEGER, CHECK (batch IS NOT NULL OR policy IS NOT NULL)) WITHOUT ROWID;",
};

/* Not read whole at start: it may be hundreds of megabytes. A damaged page shows when it is read, and denies.
 */
static const GwSqliteSchema schema = { GW_INVENTORY_DB_FILE, steps, G_N_ELEMENTS (steps), FALSE };

void
gw_chip_clear (GwChip *self)
{
  g_clear_pointer (&self->manifest, g_free);
  g_clear_pointer (&self->manufacturer, g_free);
  g_clear_pointer (&self->model, g_free);
  g_clear_pointer (&self->serial, g_free);
}

void
gw_claim_clear (GwClaim *self)
{
  g_clear_pointer (&self->batch, g_free);
  g_clear_pointer (&self->policy, g_free);
}

static GwInventoryDb *
wrap (GwSqlite *sql)
{
  GwInventoryDb *self;

  if (!sql)
    return NULL;
  self = g_new0 (GwInventoryDb, 1);
  self->sql = sql;
  return self;
}

GwInventoryDb *
gw_inventory_db_open (const char *state_dir, char **damage, GError **error)
{
  return wrap (gw_sqlite_open_reader (state_dir, &schema, damage, error));
}

GwInventoryDb *
gw_inventory_db_open_writer (const char *state_dir, GError **error)
{
  g_autoptr (GwInventoryDb) self = wrap (gw_sqlite_open_writer (state_dir, &schema, error));

  if (!self
      || !gw_sqlite_run (self->sql,
                         "PRAGMA cache_size = -16384;"
                         "CREATE TEMP TABLE staged (key_id BLOB, line INTEGER, manufacturer TEXT, model TEXT,"
                         " serial TEXT)",
                         error))
    return NULL;
  return g_steal_pointer (&self);
}

void
gw_inventory_db_free (GwInventoryDb *self)
{
  if (!self)
    return;
  gw_sqlite_free (self->sql);
  g_free (self);
}

/* ---- reading ---- */

int
gw_inventory_db_lookup_chip (GwInventoryDb *self,
                             const guint8 kid[GW_KEY_ID_LEN],
                             GwChip *out,
                             GError **error)
{
  sqlite3_stmt *stmt = gw_sqlite_prepare (self->sql,
                                          "SELECT m.name, c.manufacturer, c.model, c.serial FROM chip AS c "
                                          "JOIN manifest AS m ON m.id = c.manifest"
                                          " WHERE c.key_id = ?1",
                                          error);
  int got;

  *out = (GwChip){ 0 };
  if (!stmt)
    return -1;
  gw_sqlite_bind_blob (self->sql, stmt, 1, kid, GW_KEY_ID_LEN);
  got = gw_sqlite_step (self->sql, stmt, error);
  if (got == 1)
    {
      out->manifest = gw_sqlite_dup_text (stmt, 0);
      out->manufacturer = gw_sqlite_dup_text (stmt, 1);
      out->model = gw_sqlite_dup_text (stmt, 2);
      out->serial = gw_sqlite_dup_text (stmt, 3);
    }
  sqlite3_reset (stmt);
  return got;
}

int
gw_inventory_db_lookup_claim (GwInventoryDb *self,
                              const guint8 kid[GW_KEY_ID_LEN],
                              GwClaim *out,
                              GError **error)
{
  sqlite3_stmt *stmt
      = gw_sqlite_prepare (self->sql,
                           "SELECT b.name, ifnull (c.policy, b.policy), ifnull (c.adopt_until, b.adopt_until)"
                           " FROM claim AS c LEFT JOIN batch AS b ON b.id = c.batch WHERE c.key_id = ?1",
                           error);
  int got;

  *out = (GwClaim){ 0 };
  if (!stmt)
    return -1;
  gw_sqlite_bind_blob (self->sql, stmt, 1, kid, GW_KEY_ID_LEN);
  got = gw_sqlite_step (self->sql, stmt, error);
  if (got == 1)
    {
      out->batch = gw_sqlite_dup_text (stmt, 0);
      out->policy = gw_sqlite_dup_text (stmt, 1);
      out->adopt_until = sqlite3_column_int64 (stmt, 2);
    }
  sqlite3_reset (stmt);
  return got;
}

gboolean
gw_inventory_db_count (GwInventoryDb *self, GwInventoryCounts *out, GError **error)
{
  /* Not count (*) of the chips: that would read the whole table. */
  sqlite3_stmt *stmt = gw_sqlite_prepare (
      self->sql, "SELECT ifnull (sum (added), 0), count (*), (SELECT count (*) FROM batch) FROM manifest",
      error);
  int got;

  *out = (GwInventoryCounts){ 0 };
  if (!stmt)
    return FALSE;
  got = gw_sqlite_step (self->sql, stmt, error);
  if (got == 1)
    {
      out->chips = (guint64)sqlite3_column_int64 (stmt, 0);
      out->manifests = (guint64)sqlite3_column_int64 (stmt, 1);
      out->batches = (guint64)sqlite3_column_int64 (stmt, 2);
    }
  sqlite3_reset (stmt);
  return got == 1;
}

GPtrArray *
gw_inventory_db_list_manifests (GwInventoryDb *self, GError **error)
{
  g_autoptr (GPtrArray) all = g_ptr_array_new_with_free_func ((GDestroyNotify)gw_manifest_info_free);
  sqlite3_stmt *stmt = gw_sqlite_prepare (
      self->sql, "SELECT name, signer, chips, imported FROM manifest ORDER BY name", error);
  int got;

  if (!stmt)
    return NULL;
  while ((got = gw_sqlite_step (self->sql, stmt, error)) == 1)
    {
      GwManifestInfo *info = g_new0 (GwManifestInfo, 1);

      info->name = gw_sqlite_dup_text (stmt, 0);
      info->signer = gw_sqlite_dup_text (stmt, 1);
      info->chips = (guint64)sqlite3_column_int64 (stmt, 2);
      info->imported = sqlite3_column_int64 (stmt, 3);
      g_ptr_array_add (all, info);
    }
  return got == 0 ? g_steal_pointer (&all) : NULL;
}

GPtrArray *
gw_inventory_db_list_batches (GwInventoryDb *self, GError **error)
{
  g_autoptr (GPtrArray) all = g_ptr_array_new_with_free_func ((GDestroyNotify)gw_batch_info_free);
  sqlite3_stmt *stmt
      = gw_sqlite_prepare (self->sql,
                           "SELECT b.name, b.policy, count (c.key_id), b.added, b.adopt_until FROM batch AS b"
                           " LEFT JOIN claim AS c ON c.batch = b.id GROUP BY b.id ORDER BY b.name",
                           error);
  int got;

  if (!stmt)
    return NULL;
  while ((got = gw_sqlite_step (self->sql, stmt, error)) == 1)
    {
      GwBatchInfo *info = g_new0 (GwBatchInfo, 1);

      info->name = gw_sqlite_dup_text (stmt, 0);
      info->policy = gw_sqlite_dup_text (stmt, 1);
      info->ids = (guint64)sqlite3_column_int64 (stmt, 2);
      info->added = sqlite3_column_int64 (stmt, 3);
      info->adopt_until = sqlite3_column_int64 (stmt, 4);
      g_ptr_array_add (all, info);
    }
  return got == 0 ? g_steal_pointer (&all) : NULL;
}

/* ---- changing ---- */

gboolean
gw_inventory_db_begin (GwInventoryDb *self, GError **error)
{
  return gw_sqlite_run (self->sql, "BEGIN", error);
}

gboolean
gw_inventory_db_commit (GwInventoryDb *self, GError **error)
{
  if (self->staged)
    sqlite3_reset (self->staged);
  self->staged = NULL;
  if (!gw_sqlite_run (self->sql, "COMMIT", error))
    return FALSE;
  /* The log of a large import would else keep its size. A reader in between makes this a no-op, which is
   * fine. */
  gw_sqlite_run (self->sql, "PRAGMA wal_checkpoint (TRUNCATE)", NULL);
  return TRUE;
}

gboolean
gw_inventory_db_stage (GwInventoryDb *self,
                       const guint8 kid[GW_KEY_ID_LEN],
                       guint64 line,
                       const char *manufacturer,
                       const char *model,
                       const char *serial,
                       GError **error)
{
  sqlite3_stmt *stmt
      = gw_sqlite_prepare (self->sql, "INSERT INTO temp.staged VALUES (?1, ?2, ?3, ?4, ?5)", error);

  if (!stmt)
    return FALSE;
  gw_sqlite_bind_blob (self->sql, stmt, 1, kid, GW_KEY_ID_LEN);
  gw_sqlite_bind_int (self->sql, stmt, 2, (gint64)line);
  gw_sqlite_bind_text (self->sql, stmt, 3, manufacturer);
  gw_sqlite_bind_text (self->sql, stmt, 4, model);
  gw_sqlite_bind_text (self->sql, stmt, 5, serial);
  return gw_sqlite_finish (self->sql, stmt, error);
}

int
gw_inventory_db_next_staged (GwInventoryDb *self, GwStagedRow *out, guint64 *first_line, GError **error)
{
  int got;

  if (!self->staged)
    {
      self->staged_line = 0;
      self->staged = gw_sqlite_prepare (
          self->sql,
          "SELECT key_id, line, manufacturer, model, serial FROM temp.staged ORDER BY key_id, line", error);
    }
  if (!self->staged)
    return -1;
  got = gw_sqlite_step (self->sql, self->staged, error);
  if (got != 1)
    {
      self->staged = NULL;
      return got;
    }
  out->kid = sqlite3_column_blob (self->staged, 0);
  out->line = (guint64)sqlite3_column_int64 (self->staged, 1);
  *first_line = 0;
  if (self->staged_line != 0 && memcmp (self->staged_kid, out->kid, GW_KEY_ID_LEN) == 0)
    *first_line = self->staged_line;
  else
    {
      memcpy (self->staged_kid, out->kid, GW_KEY_ID_LEN);
      self->staged_line = out->line;
    }
  out->manufacturer = (const char *)sqlite3_column_text (self->staged, 2);
  out->model = (const char *)sqlite3_column_text (self->staged, 3);
  out->serial = (const char *)sqlite3_column_text (self->staged, 4);
  return 1;
}

int
gw_inventory_db_find_manifest (GwInventoryDb *self, const guint8 sha256[32], char **name, GError **error)
{
  sqlite3_stmt *stmt = gw_sqlite_prepare (self->sql, "SELECT name FROM manifest WHERE sha256 = ?1", error);
  int got;

  *name = NULL;
  if (!stmt)
    return -1;
  gw_sqlite_bind_blob (self->sql, stmt, 1, sha256, 32);
  got = gw_sqlite_step (self->sql, stmt, error);
  if (got == 1)
    *name = gw_sqlite_dup_text (stmt, 0);
  sqlite3_reset (stmt);
  return got;
}

/* Id of the row of this name; 0 = none, -1 = error. sql selects it by ?1. */
static gint64
find_id (GwInventoryDb *self, const char *sql, const char *name, GError **error)
{
  sqlite3_stmt *stmt = gw_sqlite_prepare (self->sql, sql, error);
  gint64 id = -1;

  if (!stmt)
    return -1;
  gw_sqlite_bind_text (self->sql, stmt, 1, name);
  return gw_sqlite_get_int (self->sql, stmt, 0, &id, error) ? id : -1;
}

#define FIND_MANIFEST "SELECT id FROM manifest WHERE name = ?1"
#define FIND_BATCH "SELECT id FROM batch WHERE name = ?1"

gboolean
gw_inventory_db_add_manifest (GwInventoryDb *self,
                              const char *name,
                              const guint8 sha256[32],
                              const char *signer,
                              gint64 now,
                              gint64 *id,
                              GError **error)
{
  sqlite3_stmt *stmt;

  *id = find_id (self, FIND_MANIFEST, name, error);
  if (*id > 0)
    g_set_error (error, GW_ERROR, GW_ERROR_EXISTS,
                 "a manifest named %s with other content is there already; choose another name", name);
  if (*id != 0)
    return FALSE;
  stmt = gw_sqlite_prepare (self->sql,
                            "INSERT INTO manifest (name, sha256, signer, imported, chips, added)"
                            " VALUES (?1, ?2, ?3, ?4, 0, 0)",
                            error);
  if (!stmt)
    return FALSE;
  gw_sqlite_bind_text (self->sql, stmt, 1, name);
  gw_sqlite_bind_blob (self->sql, stmt, 2, sha256, 32);
  gw_sqlite_bind_text (self->sql, stmt, 3, signer);
  gw_sqlite_bind_int (self->sql, stmt, 4, now);
  if (!gw_sqlite_finish (self->sql, stmt, error))
    return FALSE;
  *id = find_id (self, FIND_MANIFEST, name, error);
  return *id > 0;
}

gboolean
gw_inventory_db_set_manifest_counts (
    GwInventoryDb *self, gint64 id, guint64 chips, guint64 added, GError **error)
{
  sqlite3_stmt *stmt
      = gw_sqlite_prepare (self->sql, "UPDATE manifest SET chips = ?2, added = ?3 WHERE id = ?1", error);

  if (!stmt)
    return FALSE;
  gw_sqlite_bind_int (self->sql, stmt, 1, id);
  gw_sqlite_bind_int (self->sql, stmt, 2, (gint64)chips);
  gw_sqlite_bind_int (self->sql, stmt, 3, (gint64)added);
  return gw_sqlite_finish (self->sql, stmt, error);
}

int
gw_inventory_db_add_chip (GwInventoryDb *self, gint64 manifest, const GwStagedRow *row, GError **error)
{
  sqlite3_stmt *stmt = gw_sqlite_prepare (self->sql,
                                          "INSERT INTO chip (key_id, manifest, manufacturer, model, serial)"
                                          " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                                          error);

  if (!stmt)
    return -1;
  gw_sqlite_bind_blob (self->sql, stmt, 1, row->kid, GW_KEY_ID_LEN);
  gw_sqlite_bind_int (self->sql, stmt, 2, manifest);
  gw_sqlite_bind_text (self->sql, stmt, 3, row->manufacturer);
  gw_sqlite_bind_text (self->sql, stmt, 4, row->model);
  gw_sqlite_bind_text (self->sql, stmt, 5, row->serial);
  return gw_sqlite_finish (self->sql, stmt, error) ? gw_sqlite_changes (self->sql) : -1;
}

gboolean
gw_inventory_db_add_batch (GwInventoryDb *self,
                           const char *name,
                           const char *policy,
                           gint64 now,
                           gint64 adopt_until,
                           gint64 *id,
                           GError **error)
{
  sqlite3_stmt *stmt;

  *id = find_id (self, FIND_BATCH, name, error);
  if (*id > 0)
    g_set_error (error, GW_ERROR, GW_ERROR_EXISTS, "a batch named %s is there already; choose another name",
                 name);
  if (*id != 0)
    return FALSE;
  stmt = gw_sqlite_prepare (
      self->sql, "INSERT INTO batch (name, policy, added, adopt_until) VALUES (?1, ?2, ?3, ?4)", error);
  if (!stmt)
    return FALSE;
  gw_sqlite_bind_text (self->sql, stmt, 1, name);
  gw_sqlite_bind_text (self->sql, stmt, 2, policy);
  gw_sqlite_bind_int (self->sql, stmt, 3, now);
  gw_sqlite_bind_int (self->sql, stmt, 4, adopt_until);
  if (!gw_sqlite_finish (self->sql, stmt, error))
    return FALSE;
  *id = find_id (self, FIND_BATCH, name, error);
  return *id > 0;
}

int
gw_inventory_db_add_claim (GwInventoryDb *self, const guint8 kid[GW_KEY_ID_LEN], gint64 batch, GError **error)
{
  sqlite3_stmt *stmt = gw_sqlite_prepare (
      self->sql, "INSERT INTO claim (key_id, batch) VALUES (?1, ?2) ON CONFLICT DO NOTHING", error);

  if (!stmt)
    return -1;
  gw_sqlite_bind_blob (self->sql, stmt, 1, kid, GW_KEY_ID_LEN);
  gw_sqlite_bind_int (self->sql, stmt, 2, batch);
  return gw_sqlite_finish (self->sql, stmt, error) ? gw_sqlite_changes (self->sql) : -1;
}

gboolean
gw_inventory_db_approve (GwInventoryDb *self,
                         const guint8 kid[GW_KEY_ID_LEN],
                         const char *policy,
                         gint64 adopt_until,
                         GError **error)
{
  sqlite3_stmt *stmt = gw_sqlite_prepare (
      self->sql,
      "INSERT INTO claim (key_id, policy, adopt_until) VALUES (?1, ?2, ?3)"
      " ON CONFLICT (key_id) DO UPDATE SET policy = excluded.policy, adopt_until = excluded.adopt_until",
      error);

  if (!stmt)
    return FALSE;
  gw_sqlite_bind_blob (self->sql, stmt, 1, kid, GW_KEY_ID_LEN);
  gw_sqlite_bind_text (self->sql, stmt, 2, policy);
  gw_sqlite_bind_int (self->sql, stmt, 3, adopt_until);
  return gw_sqlite_finish (self->sql, stmt, error);
}

gboolean
gw_inventory_db_remove_claim (GwInventoryDb *self, const guint8 kid[GW_KEY_ID_LEN], GError **error)
{
  sqlite3_stmt *stmt = gw_sqlite_prepare (self->sql, "DELETE FROM claim WHERE key_id = ?1", error);

  if (!stmt)
    return FALSE;
  gw_sqlite_bind_blob (self->sql, stmt, 1, kid, GW_KEY_ID_LEN);
  return gw_sqlite_finish (self->sql, stmt, error);
}

int
gw_inventory_db_remove_batch (GwInventoryDb *self, const char *name, GError **error)
{
  static const char *const sqls[]
      = { "DELETE FROM claim WHERE batch = ?1", "DELETE FROM batch WHERE id = ?1" };
  gint64 id = find_id (self, FIND_BATCH, name, error);

  for (guint i = 0; id > 0 && i < G_N_ELEMENTS (sqls); i++)
    {
      sqlite3_stmt *stmt = gw_sqlite_prepare (self->sql, sqls[i], error);

      if (!stmt)
        return -1;
      gw_sqlite_bind_int (self->sql, stmt, 1, id);
      if (!gw_sqlite_finish (self->sql, stmt, error))
        return -1;
    }
  return id > 0 ? 1 : (int)id;
}
