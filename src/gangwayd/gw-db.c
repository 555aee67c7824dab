/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * gangway.db: endpoints, the audit trail, the gateway's id.
 *
 * The main thread reads through GwDb and never waits for the disk; the writer thread owns GwDbWriter and is
 * the only one to write. A record is written whole: the main thread's copy is the truth between its load at
 * start and the next save, so there are no partial updates to get into a wrong order.
 */
#include "gw-db.h"

#include <string.h>

#include "gw-sqlite.h"

#define AUDIT_HASH_LEN 32
#define GATEWAY_ID_KEY "gateway-id"

struct _GwDb
{
  GwSqlite *sql;
  char *gateway_id;
};

struct _GwDbWriter
{
  GwSqlite *sql;
  gboolean in_group;
  gboolean in_item; /* the savepoint is open */
};

/* Step i takes user_version i to i + 1. Never edit one that was released. */
static const char *const steps[] = {
  "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
  "CREATE TABLE endpoint ("
  "  key_id BLOB PRIMARY KEY NOT NULL CHECK (length (key_id) = 32), lifecycle INTEGER NOT NULL,"
  "  held INTEGER NOT NULL, cloned INTEGER NOT NULL, owned INTEGER NOT NULL, owner BLOB, reason TEXT, name TEXT,"
  "  policy TEXT, batch TEXT,"
  "  generation INTEGER NOT NULL, slot INTEGER NOT NULL, certificate BLOB, fingerprint BLOB,"
  "  not_after INTEGER NOT NULL, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, last_bus TEXT);"
  "CREATE INDEX endpoint_batch ON endpoint (batch);"
  "CREATE TABLE audit ("
  "  seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,"
  "  object TEXT NOT NULL, detail TEXT NOT NULL, hash BLOB NOT NULL);"
  "CREATE INDEX audit_time ON audit (time);",
};

static const GwSqliteSchema schema = { GW_DB_FILE, steps, G_N_ELEMENTS (steps), TRUE };

/* ---- records ---- */

GwEndpointRecord *
gw_endpoint_record_new (const guint8 kid[GW_KEY_ID_LEN])
{
  GwEndpointRecord *self = g_new0 (GwEndpointRecord, 1);

  memcpy (self->kid, kid, GW_KEY_ID_LEN);
  return self;
}

GwEndpointRecord *
gw_endpoint_record_copy (const GwEndpointRecord *self)
{
  GwEndpointRecord *copy = g_memdup2 (self, sizeof *self);

  copy->reason = g_strdup (self->reason);
  copy->name = g_strdup (self->name);
  copy->policy = g_strdup (self->policy);
  copy->batch = g_strdup (self->batch);
  copy->last_bus = g_strdup (self->last_bus);
  if (copy->certificate)
    g_bytes_ref (copy->certificate);
  return copy;
}

void
gw_endpoint_record_free (GwEndpointRecord *self)
{
  if (!self)
    return;
  g_free (self->reason);
  g_free (self->name);
  g_free (self->policy);
  g_free (self->batch);
  g_free (self->last_bus);
  g_clear_pointer (&self->certificate, g_bytes_unref);
  g_free (self);
}

void
gw_audit_record_free (GwAuditRecord *self)
{
  if (!self)
    return;
  g_free (self->actor);
  g_free (self->action);
  g_free (self->object);
  g_free (self->detail);
  g_free (self);
}

/* ---- opening ---- */

static gboolean
ensure_gateway_id (GwDb *self, const char *state_dir, GError **error)
{
  g_autoptr (GwDbWriter) writer = NULL;
  g_autoptr (GError) local = NULL;

  self->gateway_id = gw_db_get_meta (self, GATEWAY_ID_KEY, &local);
  if (local)
    {
      g_propagate_error (error, g_steal_pointer (&local));
      return FALSE;
    }
  if (self->gateway_id)
    return TRUE;
  self->gateway_id = g_strdup_printf ("gw-%08x%08x", g_random_int (), g_random_int ());
  writer = gw_db_writer_open (state_dir, error);
  return writer && gw_db_writer_set_meta (writer, GATEWAY_ID_KEY, self->gateway_id, error);
}

GwDb *
gw_db_open (const char *state_dir, char **damage, GError **error)
{
  g_autoptr (GwDb) self = g_new0 (GwDb, 1);

  self->sql = gw_sqlite_open_reader (state_dir, &schema, damage, error);
  if (!self->sql || !ensure_gateway_id (self, state_dir, error))
    return NULL;
  return g_steal_pointer (&self);
}

void
gw_db_free (GwDb *self)
{
  if (!self)
    return;
  gw_sqlite_free (self->sql);
  g_free (self->gateway_id);
  g_free (self);
}

const char *
gw_db_get_gateway_id (GwDb *self)
{
  return self->gateway_id;
}

/* ---- reading ---- */

char *
gw_db_get_meta (GwDb *self, const char *key, GError **error)
{
  sqlite3_stmt *stmt = gw_sqlite_prepare (self->sql, "SELECT value FROM meta WHERE key = ?1", error);
  char *value = NULL;

  if (!stmt)
    return NULL;
  gw_sqlite_bind_text (self->sql, stmt, 1, key);
  if (gw_sqlite_step (self->sql, stmt, error) == 1)
    value = gw_sqlite_dup_text (stmt, 0);
  sqlite3_reset (stmt);
  return value;
}

#define ENDPOINT_COLUMNS                                                                                     \
  "key_id, lifecycle, cloned, owned, owner, reason, name, policy, batch, generation, slot, certificate, "    \
  "fingerprint, not_after, first_seen, last_seen, last_bus, held"

static GwEndpointRecord *
read_endpoint (sqlite3_stmt *stmt, GError **error)
{
  guint8 kid[GW_KEY_ID_LEN];
  gint64 lifecycle = sqlite3_column_int64 (stmt, 1);
  gsize certificate_len = (gsize)sqlite3_column_bytes (stmt, 11);
  GwEndpointRecord *self;

  if (!gw_sqlite_copy_blob (stmt, 0, kid, sizeof kid) || lifecycle < GW_LIFECYCLE_UNKNOWN
      || lifecycle > GW_LIFECYCLE_DECOMMISSIONED)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_STORAGE,
                   GW_DB_FILE ": an endpoint's row holds impossible values");
      return NULL;
    }
  self = gw_endpoint_record_new (kid);
  self->lifecycle = (GwLifecycle)lifecycle;
  self->cloned = sqlite3_column_int (stmt, 2) != 0;
  self->owned = sqlite3_column_int (stmt, 3) != 0;
  gw_sqlite_copy_blob (stmt, 4, self->owner, sizeof self->owner);
  self->reason = gw_sqlite_dup_text (stmt, 5);
  self->name = gw_sqlite_dup_text (stmt, 6);
  self->policy = gw_sqlite_dup_text (stmt, 7);
  self->batch = gw_sqlite_dup_text (stmt, 8);
  self->generation = (guint32)sqlite3_column_int64 (stmt, 9);
  self->slot = (guint8)sqlite3_column_int (stmt, 10);
  if (certificate_len > 0)
    self->certificate = g_bytes_new (sqlite3_column_blob (stmt, 11), certificate_len);
  gw_sqlite_copy_blob (stmt, 12, self->fingerprint, sizeof self->fingerprint);
  self->not_after = sqlite3_column_int64 (stmt, 13);
  self->first_seen = sqlite3_column_int64 (stmt, 14);
  self->last_seen = sqlite3_column_int64 (stmt, 15);
  self->last_bus = gw_sqlite_dup_text (stmt, 16);
  self->held = sqlite3_column_int (stmt, 17) != 0;
  return self;
}

GPtrArray *
gw_db_load_endpoints (GwDb *self, GError **error)
{
  g_autoptr (GPtrArray) all = g_ptr_array_new_with_free_func ((GDestroyNotify)gw_endpoint_record_free);
  sqlite3_stmt *stmt
      = gw_sqlite_prepare (self->sql, "SELECT " ENDPOINT_COLUMNS " FROM endpoint ORDER BY key_id", error);
  int got;

  if (!stmt)
    return NULL;
  while ((got = gw_sqlite_step (self->sql, stmt, error)) == 1)
    {
      GwEndpointRecord *record = read_endpoint (stmt, error);

      if (!record)
        {
          sqlite3_reset (stmt);
          return NULL;
        }
      g_ptr_array_add (all, record);
    }
  return got == 0 ? g_steal_pointer (&all) : NULL;
}

GwEndpointRecord *
gw_db_load_endpoint (GwDb *self, const guint8 kid[GW_KEY_ID_LEN], GError **error)
{
  sqlite3_stmt *stmt
      = gw_sqlite_prepare (self->sql, "SELECT " ENDPOINT_COLUMNS " FROM endpoint WHERE key_id = ?1", error);
  GwEndpointRecord *record = NULL;

  if (!stmt)
    return NULL;
  gw_sqlite_bind_blob (self->sql, stmt, 1, kid, GW_KEY_ID_LEN);
  if (gw_sqlite_step (self->sql, stmt, error) == 1)
    record = read_endpoint (stmt, error);
  sqlite3_reset (stmt);
  return record;
}

gint64
gw_db_count_endpoints (GwDb *self, const char *batch, GwLifecycle lifecycle, GError **error)
{
  sqlite3_stmt *stmt = gw_sqlite_prepare (
      self->sql, "SELECT count (*) FROM endpoint WHERE batch = ?1 AND lifecycle = ?2", error);
  gint64 count = -1;

  if (!stmt)
    return -1;
  gw_sqlite_bind_text (self->sql, stmt, 1, batch);
  gw_sqlite_bind_int (self->sql, stmt, 2, lifecycle);
  return gw_sqlite_get_int (self->sql, stmt, 0, &count, error) ? count : -1;
}

/* ---- the audit trail ---- */

static void
hash_text (GChecksum *sum, const char *text)
{
  guint32 length = GUINT32_TO_BE ((guint32)strlen (text));

  g_checksum_update (sum, (const guchar *)&length, sizeof length);
  g_checksum_update (sum, (const guchar *)text, (gssize)strlen (text));
}

/* Each record's hash covers the one before it, so that a record changed or taken out in the middle shows. */
static void
hash_audit (const guint8 before[AUDIT_HASH_LEN], const GwAuditRecord *record, guint8 out[AUDIT_HASH_LEN])
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  gint64 numbers[2] = { GINT64_TO_BE (record->seq), GINT64_TO_BE (record->time) };
  gsize length = AUDIT_HASH_LEN;

  g_checksum_update (sum, before, AUDIT_HASH_LEN);
  g_checksum_update (sum, (const guchar *)numbers, sizeof numbers);
  hash_text (sum, record->actor);
  hash_text (sum, record->action);
  hash_text (sum, record->object);
  hash_text (sum, record->detail);
  g_checksum_get_digest (sum, out, &length);
}

static GwAuditRecord *
read_audit (sqlite3_stmt *stmt)
{
  GwAuditRecord *record = g_new0 (GwAuditRecord, 1);

  record->seq = sqlite3_column_int64 (stmt, 0);
  record->time = sqlite3_column_int64 (stmt, 1);
  record->actor = gw_sqlite_dup_text (stmt, 2);
  record->action = gw_sqlite_dup_text (stmt, 3);
  record->object = gw_sqlite_dup_text (stmt, 4);
  record->detail = gw_sqlite_dup_text (stmt, 5);
  return record;
}

GPtrArray *
gw_db_load_audit (GwDb *self, gint64 from, guint max, GError **error)
{
  g_autoptr (GPtrArray) all = g_ptr_array_new_with_free_func ((GDestroyNotify)gw_audit_record_free);
  sqlite3_stmt *stmt = gw_sqlite_prepare (
      self->sql,
      "SELECT seq, time, actor, action, object, detail FROM audit"
      " WHERE seq >= CASE ?1 WHEN 0 THEN (SELECT max (seq) FROM audit) - ?2 + 1 ELSE ?1 END ORDER BY seq LIMIT ?2",
      error);
  int got;

  if (!stmt)
    return NULL;
  gw_sqlite_bind_int (self->sql, stmt, 1, from);
  gw_sqlite_bind_int (self->sql, stmt, 2, max);
  while ((got = gw_sqlite_step (self->sql, stmt, error)) == 1)
    g_ptr_array_add (all, read_audit (stmt));
  return got == 0 ? g_steal_pointer (&all) : NULL;
}

/* One record against the chain so far. */
static void
check_record (GwAuditCheck *check, sqlite3_stmt *stmt)
{
  GwAuditRecord *record = read_audit (stmt);
  guint8 stored[AUDIT_HASH_LEN];
  gboolean fits = record->seq == check->last + 1 && gw_sqlite_copy_blob (stmt, 6, stored, sizeof stored);

  hash_audit (check->hash, record, check->hash);
  gw_audit_record_free (record);
  if (fits && memcmp (check->hash, stored, sizeof stored) == 0)
    check->last++;
  else
    check->bad_seq = check->last + 1;
}

gboolean
gw_db_check_audit (GwDb *self, GwAuditCheck *check, guint max, GError **error)
{
  sqlite3_stmt *stmt = gw_sqlite_prepare (
      self->sql,
      "SELECT seq, time, actor, action, object, detail, hash FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2",
      error);
  int got;

  if (!stmt)
    return FALSE;
  gw_sqlite_bind_int (self->sql, stmt, 1, check->last);
  gw_sqlite_bind_int (self->sql, stmt, 2, max);
  for (guint n = 0; (got = gw_sqlite_step (self->sql, stmt, error)) == 1; n++)
    {
      check_record (check, stmt);
      if (check->bad_seq != 0 || n + 1 == max)
        {
          sqlite3_reset (stmt);
          return TRUE;
        }
    }
  check->at_end = TRUE;
  return got == 0;
}

/* ---- the writer ---- */

GwDbWriter *
gw_db_writer_open (const char *state_dir, GError **error)
{
  GwSqlite *sql = gw_sqlite_open_writer (state_dir, &schema, error);
  GwDbWriter *self;

  if (!sql)
    return NULL;
  self = g_new0 (GwDbWriter, 1);
  self->sql = sql;
  return self;
}

void
gw_db_writer_free (GwDbWriter *self)
{
  if (!self)
    return;
  gw_sqlite_free (self->sql);
  g_free (self);
}

static gboolean
writer_begin (gpointer handle, GError **error)
{
  GwDbWriter *self = handle;

  self->in_item = FALSE;
  self->in_group = gw_sqlite_run (self->sql, "BEGIN", error);
  return self->in_group;
}

static gboolean
writer_mark (gpointer handle, GError **error)
{
  GwDbWriter *self = handle;

  if (self->in_item && !gw_sqlite_run (self->sql, "RELEASE item", error))
    return FALSE;
  self->in_item = gw_sqlite_run (self->sql, "SAVEPOINT item", error);
  return self->in_item;
}

static gboolean
writer_undo (gpointer handle, GError **error)
{
  GwDbWriter *self = handle;

  return gw_sqlite_run (self->sql, "ROLLBACK TO item", error);
}

static gboolean
writer_commit (gpointer handle, gboolean sync, GError **error)
{
  GwDbWriter *self = handle;

  if (!gw_sqlite_run (self->sql, "COMMIT", error))
    return FALSE;
  self->in_group = FALSE;
  return TRUE;
}

static void
writer_end (gpointer handle, gboolean committed)
{
  GwDbWriter *self = handle;

  /* SQLite may have rolled back by itself (disk full): then there is no transaction, and that is what we
   * want. */
  if (self->in_group)
    gw_sqlite_run (self->sql, "ROLLBACK", NULL);
  self->in_group = self->in_item = FALSE;
}

const GwWriterStore gw_db_writer_store
    = { writer_begin, writer_mark, writer_undo, writer_commit, writer_end };

gboolean
gw_db_writer_save_endpoint (GwDbWriter *self, const GwEndpointRecord *record, GError **error)
{
  GwSqlite *sql = self->sql;
  sqlite3_stmt *stmt = gw_sqlite_prepare (
      sql,
      "INSERT OR REPLACE INTO endpoint (" ENDPOINT_COLUMNS ")"
      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
      error);
  gsize length = 0;
  const void *certificate = record->certificate ? g_bytes_get_data (record->certificate, &length) : NULL;

  if (!stmt)
    return FALSE;
  gw_sqlite_bind_blob (sql, stmt, 1, record->kid, GW_KEY_ID_LEN);
  gw_sqlite_bind_int (sql, stmt, 2, record->lifecycle);
  gw_sqlite_bind_int (sql, stmt, 3, record->cloned);
  gw_sqlite_bind_int (sql, stmt, 4, record->owned);
  gw_sqlite_bind_blob (sql, stmt, 5, record->owner, sizeof record->owner);
  gw_sqlite_bind_text (sql, stmt, 6, record->reason);
  gw_sqlite_bind_text (sql, stmt, 7, record->name);
  gw_sqlite_bind_text (sql, stmt, 8, record->policy);
  gw_sqlite_bind_text (sql, stmt, 9, record->batch);
  gw_sqlite_bind_int (sql, stmt, 10, record->generation);
  gw_sqlite_bind_int (sql, stmt, 11, record->slot);
  gw_sqlite_bind_blob (sql, stmt, 12, certificate, length);
  gw_sqlite_bind_blob (sql, stmt, 13, record->fingerprint, sizeof record->fingerprint);
  gw_sqlite_bind_int (sql, stmt, 14, record->not_after);
  gw_sqlite_bind_int (sql, stmt, 15, record->first_seen);
  gw_sqlite_bind_int (sql, stmt, 16, record->last_seen);
  gw_sqlite_bind_text (sql, stmt, 17, record->last_bus);
  gw_sqlite_bind_int (sql, stmt, 18, record->held);
  return gw_sqlite_finish (sql, stmt, error);
}

gboolean
gw_db_writer_remove_endpoint (GwDbWriter *self, const guint8 kid[GW_KEY_ID_LEN], GError **error)
{
  sqlite3_stmt *stmt = gw_sqlite_prepare (self->sql, "DELETE FROM endpoint WHERE key_id = ?1", error);

  if (!stmt)
    return FALSE;
  gw_sqlite_bind_blob (self->sql, stmt, 1, kid, GW_KEY_ID_LEN);
  return gw_sqlite_finish (self->sql, stmt, error);
}

gboolean
gw_db_writer_set_meta (GwDbWriter *self, const char *key, const char *value, GError **error)
{
  sqlite3_stmt *stmt
      = gw_sqlite_prepare (self->sql, "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", error);

  if (!stmt)
    return FALSE;
  gw_sqlite_bind_text (self->sql, stmt, 1, key);
  gw_sqlite_bind_text (self->sql, stmt, 2, value);
  return gw_sqlite_finish (self->sql, stmt, error);
}

/* The end of the chain is asked for each time, not kept: the last append may have been undone. */
static gboolean
read_audit_end (GwDbWriter *self, gint64 *seq, guint8 hash[AUDIT_HASH_LEN], GError **error)
{
  sqlite3_stmt *stmt
      = gw_sqlite_prepare (self->sql, "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", error);
  int got;

  *seq = 0;
  memset (hash, 0, AUDIT_HASH_LEN);
  if (!stmt)
    return FALSE;
  got = gw_sqlite_step (self->sql, stmt, error);
  if (got == 1)
    {
      *seq = sqlite3_column_int64 (stmt, 0);
      gw_sqlite_copy_blob (stmt, 1, hash, AUDIT_HASH_LEN);
    }
  sqlite3_reset (stmt);
  return got >= 0;
}

gboolean
gw_db_writer_append_audit (GwDbWriter *self,
                           gint64 time,
                           const char *actor,
                           const char *action,
                           const char *object,
                           const char *detail,
                           GError **error)
{
  GwAuditRecord record = { 0, time, (char *)actor, (char *)action, (char *)object, (char *)detail };
  guint8 hash[AUDIT_HASH_LEN];
  sqlite3_stmt *stmt;

  if (!read_audit_end (self, &record.seq, hash, error))
    return FALSE;
  record.seq++;
  hash_audit (hash, &record, hash);
  stmt = gw_sqlite_prepare (self->sql,
                            "INSERT INTO audit (seq, time, actor, action, object, detail, hash)"
                            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                            error);
  if (!stmt)
    return FALSE;
  gw_sqlite_bind_int (self->sql, stmt, 1, record.seq);
  gw_sqlite_bind_int (self->sql, stmt, 2, time);
  gw_sqlite_bind_text (self->sql, stmt, 3, actor);
  gw_sqlite_bind_text (self->sql, stmt, 4, action);
  gw_sqlite_bind_text (self->sql, stmt, 5, object);
  gw_sqlite_bind_text (self->sql, stmt, 6, detail);
  gw_sqlite_bind_blob (self->sql, stmt, 7, hash, sizeof hash);
  return gw_sqlite_finish (self->sql, stmt, error);
}
