/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One SQLite connection.
 *
 * What is stored must outlive a power cut (WAL with synchronous=FULL), and a damaged file is evidence: it is
 * renamed, never overwritten or deleted. Both are settled here, once, for every database file of the daemon.
 */
#include "gw-sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#define BUSY_TIMEOUT_MS 10000
#define DAMAGED_NAMES_MAX 100 /* moved-aside files of one second */

struct _GwSqlite
{
  sqlite3 *db;
  char *name;             /* of the file, for messages */
  GHashTable *statements; /* SQL constant (by address) -> sqlite3_stmt */
  int bind_status;        /* first binding that failed since the last step */
};

static void
set_error (GwSqlite *self, int status, GError **error)
{
  int primary = status & 0xff;
  const char *next = "";

  if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB)
    next = "; the file is damaged: restart gangwayd, which moves it aside";
  else if (primary == SQLITE_FULL)
    next = "; make room on the disk";
  g_set_error (error, GW_ERROR, GW_ERROR_STORAGE, "%s: %s (SQLite %d)%s", self->name,
               self->db ? sqlite3_errmsg (self->db) : sqlite3_errstr (status), status, next);
}

gboolean
gw_sqlite_run (GwSqlite *self, const char *sql, GError **error)
{
  int status = sqlite3_exec (self->db, sql, NULL, NULL, NULL);

  if (status == SQLITE_OK)
    return TRUE;
  set_error (self, sqlite3_extended_errcode (self->db), error);
  return FALSE;
}

sqlite3_stmt *
gw_sqlite_prepare (GwSqlite *self, const char *sql, GError **error)
{
  sqlite3_stmt *stmt = g_hash_table_lookup (self->statements, sql);

  self->bind_status = SQLITE_OK;
  if (stmt)
    {
      sqlite3_reset (stmt);
      sqlite3_clear_bindings (stmt);
      return stmt;
    }
  if (sqlite3_prepare_v3 (self->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) != SQLITE_OK)
    {
      set_error (self, sqlite3_extended_errcode (self->db), error);
      return NULL;
    }
  g_hash_table_insert (self->statements, (gpointer)sql, stmt);
  return stmt;
}

static void
note_binding (GwSqlite *self, int status)
{
  if (self->bind_status == SQLITE_OK)
    self->bind_status = status;
}

void
gw_sqlite_bind_int (GwSqlite *self, sqlite3_stmt *stmt, int i, gint64 value)
{
  note_binding (self, sqlite3_bind_int64 (stmt, i, value));
}

void
gw_sqlite_bind_text (GwSqlite *self, sqlite3_stmt *stmt, int i, const char *text)
{
  note_binding (self, sqlite3_bind_text (stmt, i, text, -1, SQLITE_STATIC));
}

void
gw_sqlite_bind_blob (GwSqlite *self, sqlite3_stmt *stmt, int i, const void *data, gsize length)
{
  note_binding (self, data ? sqlite3_bind_blob64 (stmt, i, data, length, SQLITE_STATIC)
                           : sqlite3_bind_null (stmt, i));
}

int
gw_sqlite_step (GwSqlite *self, sqlite3_stmt *stmt, GError **error)
{
  int status = self->bind_status;

  if (status == SQLITE_OK)
    status = sqlite3_step (stmt);
  if (status == SQLITE_ROW)
    return 1;
  if (status != SQLITE_DONE)
    set_error (self, sqlite3_extended_errcode (self->db), error);
  sqlite3_reset (stmt);
  return status == SQLITE_DONE ? 0 : -1;
}

gboolean
gw_sqlite_finish (GwSqlite *self, sqlite3_stmt *stmt, GError **error)
{
  int got;

  do
    got = gw_sqlite_step (self, stmt, error);
  while (got > 0);
  return got == 0;
}

gboolean
gw_sqlite_get_int (GwSqlite *self, sqlite3_stmt *stmt, gint64 fallback, gint64 *out, GError **error)
{
  int got = gw_sqlite_step (self, stmt, error);

  *out = got == 1 && sqlite3_column_type (stmt, 0) != SQLITE_NULL ? sqlite3_column_int64 (stmt, 0) : fallback;
  sqlite3_reset (stmt);
  return got >= 0;
}

int
gw_sqlite_changes (GwSqlite *self)
{
  return sqlite3_changes (self->db);
}

char *
gw_sqlite_dup_text (sqlite3_stmt *stmt, int column)
{
  return g_strdup ((const char *)sqlite3_column_text (stmt, column));
}

gboolean
gw_sqlite_copy_blob (sqlite3_stmt *stmt, int column, guint8 *out, gsize length)
{
  const void *data = sqlite3_column_blob (stmt, column);

  memset (out, 0, length);
  if (!data || (gsize)sqlite3_column_bytes (stmt, column) != length)
    return FALSE;
  memcpy (out, data, length);
  return TRUE;
}

void
gw_sqlite_free (GwSqlite *self)
{
  if (!self)
    return;
  g_clear_pointer (&self->statements, g_hash_table_unref);
  if (self->db)
    sqlite3_close (self->db);
  g_free (self->name);
  g_free (self);
}

static void
free_statement (gpointer stmt)
{
  sqlite3_finalize (stmt);
}

/* Returns the SQLite status; *out is set in any case, for its message. */
static int
connect_file (const char *path, const char *name, const char *pragmas, GwSqlite **out)
{
  GwSqlite *self = g_new0 (GwSqlite, 1);
  int status;

  *out = self;
  self->name = g_strdup (name);
  self->statements = g_hash_table_new_full (NULL, NULL, NULL, free_statement);
  status = sqlite3_open_v2 (path, &self->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
  if (status != SQLITE_OK)
    return status;
  sqlite3_extended_result_codes (self->db, 1);
  sqlite3_busy_timeout (self->db, BUSY_TIMEOUT_MS);
  sqlite3_db_config (self->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  return sqlite3_exec (self->db, pragmas, NULL, NULL, NULL);
}

static int
read_number (GwSqlite *self, const char *sql, int *out)
{
  sqlite3_stmt *stmt;
  int status = sqlite3_prepare_v2 (self->db, sql, -1, &stmt, NULL);

  if (status != SQLITE_OK)
    return status;
  status = sqlite3_step (stmt);
  *out = status == SQLITE_ROW ? sqlite3_column_int (stmt, 0) : 0;
  sqlite3_finalize (stmt);
  return status == SQLITE_ROW || status == SQLITE_DONE ? SQLITE_OK : status;
}

static int
check_file (GwSqlite *self)
{
  sqlite3_stmt *stmt;
  int status = sqlite3_prepare_v2 (self->db, "PRAGMA quick_check(1)", -1, &stmt, NULL);
  gboolean ok;

  if (status != SQLITE_OK)
    return status;
  status = sqlite3_step (stmt);
  ok = status == SQLITE_ROW && g_strcmp0 ((const char *)sqlite3_column_text (stmt, 0), "ok") == 0;
  sqlite3_finalize (stmt);
  if (ok)
    return SQLITE_OK;
  return status == SQLITE_ROW ? SQLITE_CORRUPT : status;
}

/* Bring the file to the newest step. SQLITE_MISMATCH: it is of a later version than this program. */
static int
migrate (GwSqlite *self, const GwSqliteSchema *schema)
{
  int version = 0;
  int status = sqlite3_exec (self->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

  if (status == SQLITE_OK)
    status = read_number (self, "PRAGMA user_version", &version);
  if (status == SQLITE_OK && (version < 0 || (guint)version > schema->n_steps))
    status = SQLITE_MISMATCH;
  for (; status == SQLITE_OK && (guint)version < schema->n_steps; version++)
    {
      g_autofree char *mark = g_strdup_printf ("PRAGMA user_version = %d", version + 1);

      status = sqlite3_exec (self->db, schema->steps[version], NULL, NULL, NULL);
      if (status == SQLITE_OK)
        status = sqlite3_exec (self->db, mark, NULL, NULL, NULL);
    }
  if (status == SQLITE_OK)
    status = sqlite3_exec (self->db, "COMMIT", NULL, NULL, NULL);
  else
    sqlite3_exec (self->db, "ROLLBACK", NULL, NULL, NULL);
  return status;
}

#define PRAGMAS                                                                                              \
  "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"                          \
  "PRAGMA journal_size_limit = 16777216; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"          \
  "PRAGMA temp_store = FILE;"

/* SQLite would make it readable to all; its -wal and -shm files take the mode of the file. */
static gboolean
create_file (const char *path, GError **error)
{
  int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

  if (fd < 0)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_STORAGE,
                   "%s: cannot open: %s; is the state folder there and writable?", path, g_strerror (errno));
      return FALSE;
    }
  close (fd);
  return TRUE;
}

/* NAME, NAME-wal and NAME-shm belong together: without its log the file may be useless to whoever looks into
 * it. */
static char *
move_aside (const char *path, GError **error)
{
  static const char *const parts[] = { "", "-wal", "-shm" };
  g_autoptr (GDateTime) now = g_date_time_new_now_utc ();
  g_autofree char *stamp = g_date_time_format (now, "%Y%m%dT%H%M%SZ");
  g_autofree char *aside = NULL;
  guint n = 0;

  do
    {
      g_free (aside);
      aside = n == 0 ? g_strdup_printf ("%s.damaged-%s", path, stamp)
                     : g_strdup_printf ("%s.damaged-%s-%u", path, stamp, n);
    }
  while (g_file_test (aside, G_FILE_TEST_EXISTS) && ++n < DAMAGED_NAMES_MAX);
  for (guint i = 0; i < G_N_ELEMENTS (parts); i++)
    {
      g_autofree char *from = g_strconcat (path, parts[i], NULL);
      g_autofree char *to = g_strconcat (aside, parts[i], NULL);

      if (n < DAMAGED_NAMES_MAX && (g_rename (from, to) == 0 || errno == ENOENT))
        continue;
      g_set_error (error, GW_ERROR, GW_ERROR_STORAGE, "%s is damaged and cannot be moved aside: %s", from,
                   n < DAMAGED_NAMES_MAX ? g_strerror (errno) : "too many damaged files beside it");
      return NULL;
    }
  return g_steal_pointer (&aside);
}

static gboolean
is_damage (int status)
{
  return (status & 0xff) == SQLITE_CORRUPT || (status & 0xff) == SQLITE_NOTADB;
}

/* One attempt; *status tells damage from everything else. */
static GwSqlite *
try_open (const char *path, const GwSqliteSchema *schema, int *status, GError **error)
{
  g_autoptr (GwSqlite) self = NULL;

  *status = SQLITE_OK;
  if (!create_file (path, error))
    return NULL;
  *status = connect_file (path, schema->name, PRAGMAS, &self);
  if (*status == SQLITE_OK && schema->full_check)
    *status = check_file (self);
  if (*status == SQLITE_OK)
    *status = migrate (self, schema);
  if (*status == SQLITE_OK)
    *status = sqlite3_exec (self->db, "PRAGMA query_only = ON", NULL, NULL, NULL);
  if (*status == SQLITE_OK)
    return g_steal_pointer (&self);
  if (*status == SQLITE_MISMATCH)
    g_set_error (error, GW_ERROR, GW_ERROR_UNSUPPORTED,
                 "%s was made by a newer gangwayd and is left as it is; install that version again", path);
  else
    set_error (self, *status, error);
  return NULL;
}

/* Sorting a million rows takes temporary files (unlinked while in use). They belong on the disk that the state is on:
 * /tmp may be memory, and a gateway's /var/tmp is often not there. SQLite has one setting a process for it. */
static void
use_temp_dir (const char *dir)
{
  if (!sqlite3_temp_directory)
    sqlite3_temp_directory = sqlite3_mprintf ("%s", dir);
}

GwSqlite *
gw_sqlite_open_reader (const char *dir, const GwSqliteSchema *schema, char **damage, GError **error)
{
  g_autofree char *path = g_build_filename (dir, schema->name, NULL);
  g_autofree char *aside = NULL;
  g_autoptr (GError) first = NULL;
  GwSqlite *self;
  int status;

  if (damage)
    *damage = NULL;
  use_temp_dir (dir);
  self = try_open (path, schema, &status, &first);
  if (self || !is_damage (status))
    {
      if (!self)
        g_propagate_error (error, g_steal_pointer (&first));
      return self;
    }
  aside = move_aside (path, error);
  if (!aside)
    return NULL;
  self = try_open (path, schema, &status, error);
  if (self && damage)
    *damage = g_strdup_printf ("%s was damaged (%s) and is now %s; a new, empty one took its place", path,
                               first->message, aside);
  return self;
}

GwSqlite *
gw_sqlite_open_writer (const char *dir, const GwSqliteSchema *schema, GError **error)
{
  g_autofree char *path = g_build_filename (dir, schema->name, NULL);
  g_autoptr (GwSqlite) self = NULL;
  int status = connect_file (path, schema->name, PRAGMAS, &self);
  int version = 0;

  if (status == SQLITE_OK)
    status = read_number (self, "PRAGMA user_version", &version);
  if (status != SQLITE_OK)
    {
      set_error (self, status, error);
      return NULL;
    }
  if ((guint)version != schema->n_steps)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_STORAGE, "%s has schema %d, expected %u", path, version,
                   schema->n_steps);
      return NULL;
    }
  return g_steal_pointer (&self);
}
