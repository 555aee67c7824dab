/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The writer against two stores made of arrays, which fail on demand. */

#include <glib.h>

#include "gw-error.h"
#include "gw-writer.h"

typedef struct
{
  GArray *durable; /* of int */
  GArray *group;
  guint mark;
  guint begins, commits, synced;
  GArray *ends; /* of gboolean */
  gboolean fail_begin, fail_commit, fail_silently;
  GMutex gate; /* held by a test: begin waits, so that a group fills up behind it */
  int entered; /* atomic */
} MockStore;

static gboolean
mock_begin (gpointer handle, GError **error)
{
  MockStore *self = handle;

  g_atomic_int_inc (&self->entered);
  g_mutex_lock (&self->gate);
  g_mutex_unlock (&self->gate);
  self->begins++;
  if (!self->fail_begin)
    return TRUE;
  if (!self->fail_silently)
    g_set_error (error, GW_ERROR, GW_ERROR_STORAGE, "begin");
  return FALSE;
}

static gboolean
mock_mark (gpointer handle, GError **error)
{
  MockStore *self = handle;
  self->mark = self->group->len;
  return TRUE;
}

static gboolean
mock_undo (gpointer handle, GError **error)
{
  MockStore *self = handle;
  g_array_set_size (self->group, self->mark);
  return TRUE;
}

static gboolean
mock_commit (gpointer handle, gboolean sync, GError **error)
{
  MockStore *self = handle;

  self->commits++;
  self->synced += sync;
  if (!self->fail_commit)
    return TRUE;
  g_set_error (error, GW_ERROR, GW_ERROR_STORAGE, "No space left on device");
  return FALSE;
}

static void
mock_end (gpointer handle, gboolean committed)
{
  MockStore *self = handle;

  g_array_append_val (self->ends, committed);
  if (committed)
    g_array_append_vals (self->durable, self->group->data, self->group->len);
  g_array_set_size (self->group, 0);
}

static const GwWriterStore mock_ops = { mock_begin, mock_mark, mock_undo, mock_commit, mock_end };

typedef struct
{
  MockStore db, log;
  GwWriter *writer;
  GArray *told;   /* of int: values told durable */
  GArray *failed; /* of int: values told an error */
  int last_code;
} Fixture;

typedef struct
{
  Fixture *fixture;
  int value;
  gboolean fail;
  GwWriterDone then;
} Work;

static void
mock_init (MockStore *self)
{
  self->durable = g_array_new (FALSE, FALSE, sizeof (int));
  self->group = g_array_new (FALSE, FALSE, sizeof (int));
  self->ends = g_array_new (FALSE, FALSE, sizeof (gboolean));
  g_mutex_init (&self->gate);
}

static void
mock_clear (MockStore *self)
{
  g_array_unref (self->durable);
  g_array_unref (self->group);
  g_array_unref (self->ends);
  g_mutex_clear (&self->gate);
}

static void
set_up (Fixture *self, gconstpointer data)
{
  mock_init (&self->db);
  mock_init (&self->log);
  self->told = g_array_new (FALSE, FALSE, sizeof (int));
  self->failed = g_array_new (FALSE, FALSE, sizeof (int));
  self->last_code = -1;
  self->writer = gw_writer_new (&mock_ops, &self->db);
  gw_writer_set_log (self->writer, &mock_ops, &self->log);
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  gw_writer_free (self->writer);
  mock_clear (&self->db);
  mock_clear (&self->log);
  g_array_unref (self->told);
  g_array_unref (self->failed);
}

static gboolean
run_work (gpointer data, gpointer store, GError **error)
{
  Work *work = data;
  MockStore *mock = store;

  g_array_append_val (mock->group, work->value);
  if (!work->fail)
    return TRUE;
  g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "told to fail");
  return FALSE;
}

static void
done_work (gpointer data, const GError *error)
{
  Work *work = data;
  Fixture *self = work->fixture;

  g_array_append_val (error == NULL ? self->told : self->failed, work->value);
  self->last_code = error == NULL ? -1 : error->code;
  if (work->then != NULL)
    work->then (self, error);
  g_free (work);
}

static Work *
work_new (Fixture *self, int value, gboolean fail)
{
  Work *work = g_new0 (Work, 1);
  work->fixture = self;
  work->value = value;
  work->fail = fail;
  return work;
}

static void
push (Fixture *self, int value)
{
  gw_writer_push (self->writer, run_work, done_work, work_new (self, value, FALSE));
}

static void
push_log (Fixture *self, int value, gboolean sync)
{
  gw_writer_push_log (self->writer, sync, run_work, done_work, work_new (self, value, FALSE));
}

#define assert_values(array, ...)                                                                            \
  G_STMT_START                                                                                               \
  {                                                                                                          \
    const int expected_[] = { __VA_ARGS__ };                                                                 \
    g_assert_cmpmem ((array)->data, (array)->len * sizeof (int), expected_, sizeof expected_);               \
  }                                                                                                          \
  G_STMT_END

/* Holds the disk at the first item (0), so that what follows becomes one group behind it. */
static void
gate (Fixture *self, MockStore *store)
{
  g_mutex_lock (&store->gate);
  if (store == &self->db)
    push (self, 0);
  else
    push_log (self, 0, TRUE);
  while (g_atomic_int_get (&store->entered) == 0)
    g_thread_yield ();
}

static void
test_order (Fixture *self, gconstpointer data)
{
  gate (self, &self->db);
  for (int i = 1; i < 1000; i++)
    {
      if (i % 2)
        push (self, i);
      else
        push_log (self, i, TRUE);
    }
  g_assert_cmpuint (self->told->len, ==, 0);
  g_mutex_unlock (&self->db.gate);
  gw_writer_flush (self->writer);

  g_assert_cmpuint (self->told->len, ==, 1000);
  for (int i = 0; i < 1000; i++)
    g_assert_cmpint (g_array_index (self->told, int, i), ==, i);
  g_assert_cmpuint (self->db.durable->len, ==, 501);
  g_assert_cmpuint (self->log.durable->len, ==, 499);
  /* Grouped: 1000 items never cost anything like 1000 commits. */
  g_assert_cmpuint (self->db.commits, <=, 4);
}

static void
test_item_fails_alone (Fixture *self, gconstpointer data)
{
  gate (self, &self->db);
  push (self, 1);
  gw_writer_push (self->writer, run_work, done_work, work_new (self, 2, TRUE));
  push (self, 3);
  g_mutex_unlock (&self->db.gate);
  gw_writer_flush (self->writer);

  assert_values (self->told, 0, 1, 3);
  assert_values (self->failed, 2);
  assert_values (self->db.durable, 0, 1, 3);
  g_assert_cmpuint (self->db.commits, ==, 2);
}

static void
test_log_fails_whole_group (Fixture *self, gconstpointer data)
{
  gate (self, &self->db);
  self->log.fail_commit = TRUE;
  push (self, 1);
  push_log (self, 2, TRUE);
  push (self, 3);
  g_mutex_unlock (&self->db.gate);
  gw_writer_flush (self->writer);

  assert_values (self->told, 0);
  assert_values (self->failed, 1, 2, 3);
  assert_values (self->db.durable, 0);
  g_assert_cmpuint (self->db.commits, ==, 1);
  g_assert_cmpuint (self->log.durable->len, ==, 0);
  g_assert_cmpint (self->last_code, ==, GW_ERROR_STORAGE);

  /* The next group starts afresh. */
  self->log.fail_commit = FALSE;
  push_log (self, 4, TRUE);
  gw_writer_flush (self->writer);
  assert_values (self->log.durable, 4);
}

static void
test_db_fails_whole_group (Fixture *self, gconstpointer data)
{
  gate (self, &self->log);
  self->db.fail_commit = TRUE;
  push (self, 1);
  push_log (self, 2, TRUE);
  g_mutex_unlock (&self->log.gate);
  gw_writer_flush (self->writer);

  /* The log had committed already: it is told to take that back. */
  assert_values (self->told, 0);
  assert_values (self->failed, 1, 2);
  g_assert_cmpuint (self->log.commits, ==, 2);
  g_assert_cmpuint (self->log.ends->len, ==, 2);
  g_assert_false (g_array_index (self->log.ends, gboolean, 1));
  assert_values (self->log.durable, 0);
  g_assert_cmpuint (self->db.durable->len, ==, 0);
}

static void
test_begin_fails (Fixture *self, gconstpointer data)
{
  self->db.fail_begin = TRUE;
  self->db.fail_silently = GPOINTER_TO_INT (data);
  push (self, 1);
  gw_writer_flush (self->writer);
  assert_values (self->failed, 1);
  g_assert_cmpint (self->last_code, ==, GW_ERROR_STORAGE);
  g_assert_cmpuint (self->db.ends->len, ==, 1);
  g_assert_false (g_array_index (self->db.ends, gboolean, 0));
}

static void
test_sync_only_when_asked (Fixture *self, gconstpointer data)
{
  push_log (self, 1, FALSE);
  gw_writer_flush (self->writer);
  g_assert_cmpuint (self->log.commits, ==, 1);
  g_assert_cmpuint (self->log.synced, ==, 0);
  g_assert_cmpuint (self->db.begins, ==, 0);
  push_log (self, 2, TRUE);
  gw_writer_flush (self->writer);
  g_assert_cmpuint (self->log.synced, ==, 1);
}

static void
test_main_context (Fixture *self, gconstpointer data)
{
  push (self, 1);
  /* Never from inside the push, always by the loop. */
  g_assert_cmpuint (self->told->len, ==, 0);
  while (self->told->len == 0)
    g_main_context_iteration (NULL, TRUE);
  assert_values (self->told, 1);
}

static void
push_more (gpointer data, const GError *error)
{
  Fixture *self = data;
  if (self->told->len < 5)
    {
      Work *work = work_new (self, 10 + (int)self->told->len, FALSE);
      work->then = push_more;
      gw_writer_push (self->writer, run_work, done_work, work);
    }
}

static void
test_push_from_done (Fixture *self, gconstpointer data)
{
  Work *work = work_new (self, 10, FALSE);
  work->then = push_more;
  gw_writer_push (self->writer, run_work, done_work, work);
  gw_writer_flush (self->writer);
  assert_values (self->told, 10, 11, 12, 13, 14);
}

static void
test_stop (Fixture *self, gconstpointer data)
{
  for (int i = 0; i < 100; i++)
    push (self, i);
  gw_writer_stop (self->writer);
  g_assert_cmpuint (self->told->len, ==, 100);
  g_assert_cmpuint (self->db.durable->len, ==, 100);

  push (self, 100);
  g_assert_cmpuint (self->failed->len, ==, 0);
  while (self->failed->len == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (self->last_code, ==, GW_ERROR_CANCELLED);
  gw_writer_stop (self->writer);
}

static void
test_queue_full (Fixture *self, gconstpointer data)
{
  gate (self, &self->db);
  for (int i = 1; i <= GW_WRITER_QUEUE_MAX + 2 + GW_WRITER_GROUP_MAX; i++)
    push (self, i);
  g_assert_true (gw_writer_is_busy (self->writer));
  g_mutex_unlock (&self->db.gate);
  gw_writer_flush (self->writer);
  g_assert_false (gw_writer_is_busy (self->writer));
  g_assert_cmpuint (self->failed->len, >=, 2);
  g_assert_cmpuint (self->told->len, >=, GW_WRITER_QUEUE_MAX);
  g_assert_cmpuint (self->told->len, ==, self->db.durable->len);
  g_assert_cmpuint (self->told->len + self->failed->len, ==, GW_WRITER_QUEUE_MAX + 3 + GW_WRITER_GROUP_MAX);
}

static void
test_no_store (void)
{
  Fixture self = { 0 };

  self.told = g_array_new (FALSE, FALSE, sizeof (int));
  self.failed = g_array_new (FALSE, FALSE, sizeof (int));
  self.writer = gw_writer_new (NULL, NULL);
  push (&self, 1);
  push_log (&self, 2, TRUE);
  gw_writer_free (self.writer);
  assert_values (self.failed, 1, 2);
  g_assert_cmpint (self.last_code, ==, GW_ERROR_UNSUPPORTED);
  g_array_unref (self.told);
  g_array_unref (self.failed);
}

#define ADD(path, func, data) g_test_add ("/writer/" path, Fixture, data, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("order", test_order, NULL);
  ADD ("item-fails-alone", test_item_fails_alone, NULL);
  ADD ("log-fails-whole-group", test_log_fails_whole_group, NULL);
  ADD ("db-fails-whole-group", test_db_fails_whole_group, NULL);
  ADD ("begin-fails", test_begin_fails, GINT_TO_POINTER (FALSE));
  ADD ("begin-fails-silently", test_begin_fails, GINT_TO_POINTER (TRUE));
  ADD ("sync-only-when-asked", test_sync_only_when_asked, NULL);
  ADD ("main-context", test_main_context, NULL);
  ADD ("push-from-done", test_push_from_done, NULL);
  ADD ("stop", test_stop, NULL);
  ADD ("queue-full", test_queue_full, NULL);
  g_test_add_func ("/writer/no-store", test_no_store);
  return g_test_run ();
}
