/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The heartbeat on a clock that the test moves and a disk that the test stops. */

#include "gw-error.h"
#include "gw-heartbeat.h"

#define PERIOD (G_GINT64_CONSTANT (10) * G_USEC_PER_SEC)

typedef struct
{
  GwClock *clock;
  GwLoop *loop;
  GwWriter *writer;
  GwHeartbeat *heartbeat;
  guint beats;
  GMutex disk; /* held: the disk hangs */
  int begun;   /* atomic */
  int fail;    /* atomic: the store refuses */
} Fixture;

static gboolean
store_begin (gpointer handle, GError **error)
{
  Fixture *f = handle;

  g_atomic_int_inc (&f->begun);
  g_mutex_lock (&f->disk);
  g_mutex_unlock (&f->disk);
  if (!g_atomic_int_get (&f->fail))
    return TRUE;
  g_set_error_literal (error, GW_ERROR, GW_ERROR_STORAGE, "No space left on device");
  return FALSE;
}

static gboolean
store_nothing (gpointer handle, GError **error)
{
  return TRUE;
}

static gboolean
store_commit (gpointer handle, gboolean sync, GError **error)
{
  return TRUE;
}

static void
store_end (gpointer handle, gboolean committed)
{
}

static const GwWriterStore store = { store_begin, store_nothing, store_nothing, store_commit, store_end };

static void
on_beat (gpointer data)
{
  ((Fixture *) data)->beats++;
}

static void
set_up (Fixture *f, gconstpointer data)
{
  g_mutex_init (&f->disk);
  f->clock = gw_clock_new_mock (G_USEC_PER_SEC, G_USEC_PER_SEC);
  f->loop = gw_loop_new (NULL, f->clock);
  f->writer = gw_writer_new (&store, f);
  f->heartbeat = gw_heartbeat_new (f->loop, f->writer, PERIOD, on_beat, f);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  g_clear_pointer (&f->heartbeat, gw_heartbeat_free);
  gw_writer_free (f->writer);
  gw_loop_free (f->loop);
  gw_clock_unref (f->clock);
  g_mutex_clear (&f->disk);
}

/* Until the loop has nothing to do and the writer has answered everything. */
static void
settle (Fixture *f)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
  gw_writer_flush (f->writer);
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static void
pass (Fixture *f, gint64 usec)
{
  gw_clock_advance (f->clock, usec);
  settle (f);
}

static void
test_beats (Fixture *f, gconstpointer data)
{
  settle (f);
  g_assert_cmpuint (f->beats, ==, 1);
  pass (f, PERIOD - 1);
  g_assert_cmpuint (f->beats, ==, 1);
  pass (f, 1);
  g_assert_cmpuint (f->beats, ==, 2);
}

static void
test_loop_stands_still (Fixture *f, gconstpointer data)
{
  settle (f);
  gw_clock_advance (f->clock, 100 * PERIOD);
  gw_writer_flush (f->writer);
  g_assert_cmpuint (f->beats, ==, 1);
  settle (f);
  g_assert_cmpuint (f->beats, ==, 2);
}

static void
test_disk_hangs (Fixture *f, gconstpointer data)
{
  settle (f);
  g_mutex_lock (&f->disk);
  for (guint i = 0; i < 10; i++)
    {
      gw_clock_advance (f->clock, PERIOD);
      while (g_main_context_iteration (NULL, FALSE))
        ;
    }
  while (g_atomic_int_get (&f->begun) < 2)
    g_thread_yield ();
  g_assert_cmpuint (f->beats, ==, 1);
  g_mutex_unlock (&f->disk);
  settle (f);
  /* One beat, not ten: nothing is made up for. */
  g_assert_cmpuint (f->beats, ==, 2);
  g_assert_cmpint (g_atomic_int_get (&f->begun), ==, 2);
  pass (f, PERIOD);
  g_assert_cmpuint (f->beats, ==, 3);
}

static void
test_disk_refuses (Fixture *f, gconstpointer data)
{
  settle (f);
  g_atomic_int_set (&f->fail, 1);
  pass (f, PERIOD);
  g_assert_cmpuint (f->beats, ==, 2);
}

static void
test_freed_under_way (Fixture *f, gconstpointer data)
{
  settle (f);
  g_mutex_lock (&f->disk);
  gw_clock_advance (f->clock, PERIOD);
  while (g_atomic_int_get (&f->begun) < 2)
    g_main_context_iteration (NULL, FALSE);
  g_clear_pointer (&f->heartbeat, gw_heartbeat_free);
  g_mutex_unlock (&f->disk);
  pass (f, 10 * PERIOD);
  g_assert_cmpuint (f->beats, ==, 1);
}

#define ADD(name, func) g_test_add ("/heartbeat/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("beats", test_beats);
  ADD ("loop-stands-still", test_loop_stands_still);
  ADD ("disk-hangs", test_disk_hangs);
  ADD ("disk-refuses", test_disk_refuses);
  ADD ("freed-under-way", test_freed_under_way);
  return g_test_run ();
}
