/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The one thread that waits for the disk.
 *
 * Work is pushed from the main thread and gathered into groups: whatever is queued when the disk gets free is
 * one group (at most GW_WRITER_GROUP_MAX items), written and made durable together. A group is durable as a
 * whole or not at all: first the log (the spool's files), then the database's COMMIT. Only then are its items
 * told so, on the main context, in the order of the pushes (one that is refused for want of room is told
 * sooner).
 *
 * The writer knows neither SQLite nor the spool's format: both are a GwWriterStore, a table of functions
 * called in the writer thread only.
 *
 * An item whose run() fails is undone alone (for the database: a savepoint); the rest of its group goes on.
 * An error of begin() or commit() fails the whole group: every item of it gets that error, and nothing of it
 * counts as stored.
 */

#define GW_WRITER_GROUP_MAX 512   /* items in one group */
#define GW_WRITER_QUEUE_MAX 65536 /* items waiting; beyond it a push is answered GW_ERROR_BUSY */
#define GW_WRITER_QUEUE_HIGH 4096 /* gw_writer_is_busy () from here on: sources should hold back */

typedef struct _GwWriter GwWriter;

/* Runs in the writer thread inside the current group. store: what the item was pushed for: the database
 * handle given to gw_writer_new (), or the log's. FALSE with error set undoes this item alone. */
typedef gboolean (*GwWriterFunc) (gpointer data, gpointer store, GError **error);

/* Runs on the main context, exactly once for each push, never from inside gw_writer_push (). error NULL:
 * durable. The place to free data. */
typedef void (*GwWriterDone) (gpointer data, const GError *error);

/* A store that takes part in groups. All functions run in the writer thread; handle is passed back as it
 * came. Order: begin, then for each item mark, run and, if it failed, undo; then commit; at last end, TRUE if
 * every store of the group has committed, else FALSE (also after a failed begin or commit, and for a store
 * whose own commit had succeeded: it takes the group back as far as it can). */
typedef struct
{
  gboolean (*begin) (gpointer handle, GError **error);
  gboolean (*mark) (gpointer handle, GError **error);
  gboolean (*undo) (gpointer handle, GError **error);
  gboolean (*commit) (gpointer handle,
                      gboolean sync,
                      GError **error); /* sync: some item asked to be durable */
  void (*end) (gpointer handle, gboolean committed);
} GwWriterStore;

/* db may be NULL (then gw_writer_push () fails each item with GW_ERROR_UNSUPPORTED). The thread starts here;
 * done callbacks run on the thread-default main context of the caller. db's owner frees its handle after
 * gw_writer_stop (). */
GwWriter *gw_writer_new (const GwWriterStore *db_ops, gpointer db);

/* The log store; set once, before the first gw_writer_push_log (). */
void gw_writer_set_log (GwWriter *self, const GwWriterStore *log_ops, gpointer log);

/* Database work: run (data, db, error) inside the group's transaction, then done (data, error). done may be
 * NULL. */
void gw_writer_push (GwWriter *self, GwWriterFunc run, GwWriterDone done, gpointer data);

/* The same for the log. sync FALSE: need not survive a power cut (it does survive a kill). */
void gw_writer_push_log (GwWriter *self, gboolean sync, GwWriterFunc run, GwWriterDone done, gpointer data);

/* Back-pressure: TRUE while more than GW_WRITER_QUEUE_HIGH items wait. */
gboolean gw_writer_is_busy (GwWriter *self);

/* Blocks until all that was pushed before (and what its done callbacks push) is durable or failed, and told.
 */
void gw_writer_flush (GwWriter *self);

/* Flushes, ends the thread and refuses what comes later (done gets GW_ERROR_CANCELLED). Idempotent. */
void gw_writer_stop (GwWriter *self);

/* Stops if need be, then frees. */
void gw_writer_free (GwWriter *self);

typedef struct
{
  guint64 items;  /* told durable */
  guint64 failed; /* told an error */
  guint64 groups; /* committed */
  guint64 aborts; /* groups that failed as a whole */
  guint queued;   /* waiting or being written now */
} GwWriterStats;

void gw_writer_get_stats (GwWriter *self, GwWriterStats *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwWriter, gw_writer_free)
