/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <sqlite3.h>

#include "gw-error.h"

/*
 * A SQLite connection of one thread: durable settings, schema steps, cached prepared statements, errors as GError.
 * SQL texts are string constants (they are the cache's key); values only ever enter by binding.
 */
typedef struct _GwSqlite GwSqlite;

/* Schema: step i takes a file of user_version i to i + 1. Steps are only ever appended. */
typedef struct
{
  const char *name; /* of the file */
  const char *const *steps;
  guint n_steps;
  gboolean full_check; /* quick_check at start: for files small enough to be read whole */
} GwSqliteSchema;

/*
 * Create (mode 0600), check and migrate the file, and return a connection for reading (query_only). A damaged file is
 * moved aside to NAME.damaged-TIME and a new one made; *damage then says so, for the log (else NULL).
 * GW_ERROR_STORAGE; GW_ERROR_UNSUPPORTED: the file is of a newer version.
 */
GwSqlite *gw_sqlite_open_reader (const char *dir, const GwSqliteSchema *schema, char **damage, GError **error);

/* For writing; the file must have been made by gw_sqlite_open_reader. */
GwSqlite *gw_sqlite_open_writer (const char *dir, const GwSqliteSchema *schema, GError **error);
void gw_sqlite_free (GwSqlite *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwSqlite, gw_sqlite_free)

/* Statements without values and rows. sql is a constant, may hold several. */
gboolean gw_sqlite_run (GwSqlite *self, const char *sql, GError **error);

/* The cached statement of this constant, reset and with its bindings cleared. Owned by self. NULL with error. */
sqlite3_stmt *gw_sqlite_prepare (GwSqlite *self, const char *sql, GError **error);

/* A failed binding is remembered and fails the next step. NULL binds NULL. The memory must live until the step. */
void gw_sqlite_bind_int (GwSqlite *self, sqlite3_stmt *stmt, int i, gint64 value);
void gw_sqlite_bind_text (GwSqlite *self, sqlite3_stmt *stmt, int i, const char *text);
void gw_sqlite_bind_blob (GwSqlite *self, sqlite3_stmt *stmt, int i, const void *data, gsize length);

/* 1 = a row, 0 = done (the statement is reset), -1 = error (reset). */
int gw_sqlite_step (GwSqlite *self, sqlite3_stmt *stmt, GError **error);

/* For statements without rows: step to the end. */
gboolean gw_sqlite_finish (GwSqlite *self, sqlite3_stmt *stmt, GError **error);

/* First column of the first row as a number; fallback if there is none. */
gboolean gw_sqlite_get_int (GwSqlite *self, sqlite3_stmt *stmt, gint64 fallback, gint64 *out, GError **error);

/* Rows changed by the last statement. */
int gw_sqlite_changes (GwSqlite *self);

/* A copy of a text column; NULL for NULL. */
char *gw_sqlite_dup_text (sqlite3_stmt *stmt, int column);

/* A blob column of exactly this length copied to out; FALSE (out zeroed) for any other. */
gboolean gw_sqlite_copy_blob (sqlite3_stmt *stmt, int column, guint8 *out, gsize length);
