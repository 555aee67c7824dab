/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The spool in fair weather: order, duplicates, cursors, limits, segments, restarts. Damage:
 * test-spool-faults.c. */

#include "spool-fixture.h"

static const GwSpoolLimits small = { .segment_bytes = 4096, .cache_bytes = 2000 };
static const GwSpoolLimits tight = { .segment_bytes = 4096, .max_bytes = 20000 };
static const GwSpoolLimits capped = { .max_bytes = 1 << 20, .max_bytes_per_endpoint = 2000 };

static void
test_basic (SpoolFixture *self, gconstpointer data)
{
  guint64 after = 0;
  GwSpoolCounters counters;

  g_assert_false (gw_spool_last (self->spool, kid_of (1), NULL, NULL));
  put (self, 1, 5, 1);
  /* Neither told nor seen before it is durable. */
  g_assert_cmpuint (self->durable, ==, 0);
  g_assert_cmpuint (take (self, 1, &after), ==, 0);
  g_assert_false (gw_spool_last (self->spool, kid_of (1), NULL, NULL));
  flush (self);
  g_assert_cmpuint (self->durable, ==, 1);
  assert_last (self, 1, 5, 1);

  put (self, 1, 5, 2);
  put (self, 1, 5, 3);
  put (self, 2, 6, 1);
  flush (self);
  assert_queue (self, 1, 1, 3);
  assert_queue (self, 2, 1, 1);
  assert_queue (self, 3, 1, 0);

  g_assert_cmpuint (take_and_ack (self, 1), ==, 1);
  assert_queue (self, 1, 2, 3);
  gw_spool_get_counters (self->spool, kid_of (1), &counters);
  g_assert_cmpuint (counters.stored, ==, 3);
  g_assert_cmpuint (counters.acked, ==, 1);
  g_assert_cmpuint (counters.lost, ==, 0);
}

/* What is written to a file that somebody removed is kept by nobody: it is not told durable; a new file takes
 * what comes then. */
static void
test_removed_file (SpoolFixture *self, gconstpointer data)
{
  put (self, 1, 5, 1);
  flush (self);
  remove_files (self->dir);
  put (self, 1, 5, 2);
  flush (self);
  g_assert_cmpuint (self->durable, ==, 1);
  g_assert_cmpuint (self->failed, ==, 1);
  put (self, 1, 5, 2);
  flush (self);
  g_assert_cmpuint (self->durable, ==, 2);
  spool_again (self);
  assert_last (self, 1, 5, 2);
}

static void
test_restart (SpoolFixture *self, gconstpointer data)
{
  for (guint q = 1; q <= 300; q++)
    {
      put (self, 1, 5, q);
      put (self, 2, 6, q);
    }
  flush (self);
  for (guint q = 1; q <= 100; q++)
    g_assert_cmpuint (take_and_ack (self, 1), ==, q);
  for (guint i = 0; i < 3; i++)
    {
      spool_again (self);
      assert_queue (self, 1, 101, 300);
      assert_queue (self, 2, 1, 300);
      assert_last (self, 1, 5, 300);
      assert_last (self, 2, 6, 300);
    }
  /* seq goes on, never back. */
  put (self, 1, 5, 301);
  flush (self);
  assert_queue (self, 1, 101, 301);
}

static void
test_duplicates (SpoolFixture *self, gconstpointer data)
{
  GwSpoolCounters counters;

  put (self, 1, 5, 1);
  put (self, 1, 5, 1); /* while the first is on its way */
  flush (self);
  put (self, 1, 5, 1); /* and after */
  put (self, 1, 5, 2);
  put (self, 1, 5, 1);
  flush (self);
  g_assert_cmpuint (self->durable, ==, 5);
  assert_queue (self, 1, 1, 2);

  /* After everything has gone, after a restart, and after the segment that held it has gone. */
  take_and_ack (self, 1);
  take_and_ack (self, 1);
  spool_again (self);
  put (self, 1, 5, 2);
  flush (self);
  assert_queue (self, 1, 1, 0);
  gw_spool_get_counters (self->spool, kid_of (1), &counters);
  g_assert_cmpuint (counters.duplicates, ==, 1);
  g_assert_cmpuint (counters.stored, ==, 0);
}

static void
put_fourth (gpointer data, const GError *error)
{
  SpoolFixture *self = data;

  g_assert_no_error (error);
  put (self, 1, 5, 4);
}

/* Several on their way at once, one more pushed when the first is told. */
static void
test_pipeline (SpoolFixture *self, gconstpointer data)
{
  g_autoptr (GBytes) payload = payload_of (1, 5, 1);

  g_assert_true (gw_spool_append (self->spool, kid_of (1), boot_of (5), 1, T0 + G_USEC_PER_SEC,
                                  GW_SPOOL_REPORT, 0, payload, put_fourth, self, NULL));
  put (self, 1, 5, 2);
  put (self, 1, 5, 3);
  flush (self);
  g_assert_cmpuint (self->failed, ==, 0);
  assert_queue (self, 1, 1, 4);
}

static void
test_boots_and_losses (SpoolFixture *self, gconstpointer data)
{
  GwSpoolCounters counters;

  put (self, 1, 5, 7); /* met in the middle of its run: what came before is no loss of ours */
  flush (self);
  gw_spool_get_counters (self->spool, kid_of (1), &counters);
  g_assert_cmpuint (counters.lost, ==, 0);

  put (self, 1, 5, 10); /* 8 and 9 */
  put (self, 1, 6, 1);  /* a new boot */
  put (self, 1, 7, 4);  /* another; 1 to 3 are missing */
  flush (self);
  for (guint i = 0; i < 2; i++)
    {
      gw_spool_get_counters (self->spool, kid_of (1), &counters);
      g_assert_cmpuint (counters.lost, ==, 5);
      g_assert_cmpuint (counters.queued, ==, 4);
      assert_last (self, 1, 7, 4);
      spool_again (self);
    }
}

static void
test_segments_go (SpoolFixture *self, gconstpointer data)
{
  GwSpoolStats stats;

  for (guint q = 1; q <= 500; q++)
    {
      put (self, 1, 5, q);
      flush (self);
    }
  gw_spool_get_stats (self->spool, &stats);
  g_assert_cmpuint (stats.segments, >, 10);
  g_assert_cmpuint (stats.segments, ==, count_files (self->dir));
  for (guint q = 1; q <= 500; q++)
    g_assert_cmpuint (take_and_ack (self, 1), ==, q);
  flush (self);
  g_assert_cmpuint (count_files (self->dir), <=, 2);

  spool_again (self);
  assert_queue (self, 1, 1, 0);
  assert_last (self, 1, 5, 500);
  gw_spool_get_stats (self->spool, &stats);
  g_assert_cmpuint (stats.corrupt_octets + stats.torn_octets, ==, 0);
}

/* The last (boot, q) is told by the checkpoint when the segment of its record is long gone. */
static void
test_last_outlives_segments (SpoolFixture *self, gconstpointer data)
{
  put (self, 9, 3, 41);
  put (self, 9, 3, 43);
  flush (self);
  take_and_ack (self, 9);
  g_assert_cmpuint (gw_spool_drop (self->spool, kid_of (9), 0, GW_SPOOL_DROP_ORPHANED), ==, 1);
  for (guint q = 1; q <= 200; q++)
    {
      put (self, 1, 5, q);
      flush (self);
      take_and_ack (self, 1);
    }
  flush (self);
  g_assert_cmpuint (count_files (self->dir), <=, 2);
  for (guint i = 0; i < 3; i++)
    {
      GwSpoolCounters counters;
      spool_again (self);
      assert_last (self, 9, 3, 43);
      gw_spool_get_counters (self->spool, kid_of (9), &counters);
      g_assert_cmpuint (counters.lost, ==, 1);
      g_assert_cmpuint (counters.dropped[GW_SPOOL_DROP_ORPHANED], ==, 1);
    }
}

/* More endpoints than one checkpoint record holds. */
static void
test_long_checkpoint (SpoolFixture *self, gconstpointer data)
{
  const guint n = 2 * GW_SPOOL_STATES_MAX + 7;
  GwSpoolStats stats;

  for (guint e = 1; e <= n; e++)
    put (self, e, e, e % 50 + 1);
  flush (self);
  for (guint e = 1; e <= n; e++)
    take_and_ack (self, e);
  flush (self);
  put (self, 1, 1, 60); /* opens a segment */
  flush (self);
  take_and_ack (self, 1);
  flush (self);
  put (self, 1, 1, 61); /* another: the first two go */
  flush (self);
  gw_spool_get_stats (self->spool, &stats);
  spool_again (self);
  for (guint e = 2; e <= n; e++)
    assert_last (self, e, e, e % 50 + 1);
  assert_queue (self, 1, 61, 61);
}

static void
test_out_of_order_acks (SpoolFixture *self, gconstpointer data)
{
  guint64 seqs[5] = { 0 }, after = 0;

  for (guint q = 1; q <= 5; q++)
    put (self, 1, 5, q);
  flush (self);
  for (guint i = 0; i < 5; i++)
    {
      g_assert_cmpuint (take (self, 1, &after), ==, i + 1);
      seqs[i] = after;
    }
  gw_spool_ack (self->spool, kid_of (1), seqs[1]);
  gw_spool_ack (self->spool, kid_of (1), seqs[3]);
  gw_spool_ack (self->spool, kid_of (1), seqs[3]);
  gw_spool_ack (self->spool, kid_of (1), seqs[4] + 1);
  gw_spool_ack (self->spool, kid_of (1), 0);
  gw_spool_ack (self->spool, kid_of (2), seqs[0]);
  after = 0;
  g_assert_cmpuint (take (self, 1, &after), ==, 1);
  g_assert_cmpuint (take (self, 1, &after), ==, 3);
  g_assert_cmpuint (take (self, 1, &after), ==, 5);
  g_assert_cmpuint (take (self, 1, &after), ==, 0);

  /* The cursor stays before the first that is not acknowledged: after a restart the others come again. */
  spool_again (self);
  assert_queue (self, 1, 1, 5);
  gw_spool_ack (self->spool, kid_of (1), seqs[1]);
  gw_spool_ack (self->spool, kid_of (1), seqs[0]);
  spool_again (self);
  assert_queue (self, 1, 3, 5);
}

static void
test_drop (SpoolFixture *self, gconstpointer data)
{
  GwSpoolCounters counters;
  guint64 after = 0;

  for (guint q = 1; q <= 10; q++)
    put (self, 1, 5, q);
  put (self, 2, 5, 1);
  flush (self);
  take (self, 1, &after);
  g_assert_cmpuint (gw_spool_drop (self->spool, kid_of (1), after, GW_SPOOL_DROP_REFUSED), ==, 1);
  g_assert_cmpuint (gw_spool_drop (self->spool, kid_of (1), after, GW_SPOOL_DROP_REFUSED), ==, 0);
  assert_queue (self, 1, 2, 10);
  g_assert_cmpuint (gw_spool_drop (self->spool, kid_of (1), 0, GW_SPOOL_DROP_RELEASED), ==, 9);
  g_assert_cmpuint (gw_spool_drop (self->spool, kid_of (3), 0, GW_SPOOL_DROP_RELEASED), ==, 0);
  for (guint i = 0; i < 3; i++)
    {
      gw_spool_get_counters (self->spool, kid_of (1), &counters);
      g_assert_cmpuint (counters.dropped[GW_SPOOL_DROP_REFUSED], ==, 1);
      g_assert_cmpuint (counters.dropped[GW_SPOOL_DROP_RELEASED], ==, 9);
      assert_queue (self, 1, 1, 0);
      assert_queue (self, 2, 1, 1);
      assert_last (self, 1, 5, 10);
      spool_again (self);
    }
}

static void
count_stranded (const guint8 *kid, guint64 queued, guint64 bytes, gint64 oldest, gpointer user_data)
{
  guint64 *sum = user_data;

  g_assert_cmpmem (kid, GW_SPOOL_KID_LEN, kid_of (1), GW_SPOOL_KID_LEN);
  g_assert_cmpuint (bytes, >, 0);
  g_assert_cmpint (oldest, ==, T0 + 1 * G_USEC_PER_SEC);
  *sum += queued;
}

static void
test_expire_and_stranded (SpoolFixture *self, gconstpointer data)
{
  GwSpoolCounters counters;

  guint64 queued = 0;

  for (guint q = 1; q <= 10; q++)
    put (self, 1, 5, q);
  put (self, 2, 5, 20);
  flush (self);
  g_assert_cmpuint (gw_spool_stranded (self->spool, T0, count_stranded, &queued), ==, 0);
  g_assert_cmpuint (gw_spool_stranded (self->spool, T0 + 10 * G_USEC_PER_SEC, count_stranded, &queued), ==,
                    1);
  g_assert_cmpuint (queued, ==, 10);

  g_assert_cmpuint (gw_spool_expire (self->spool, 0, T0 + 4 * G_USEC_PER_SEC), ==, 4);
  assert_queue (self, 1, 5, 10);
  assert_queue (self, 2, 20, 20);
  spool_again (self);
  assert_queue (self, 1, 5, 10);
  gw_spool_get_counters (self->spool, kid_of (1), &counters);
  g_assert_cmpuint (counters.dropped[GW_SPOOL_DROP_AGED], ==, 4);
}

/* 20,000 octets in all: one endpoint alone may have half, and another still finds room. */
static void
test_limits (SpoolFixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  GwSpoolCounters one, two;
  GwSpoolStats stats;
  guint64 q1 = 1, q2 = 1;

  while (try_put (self, 1, 5, q1, &error))
    q1++; /* without waiting: what is on its way counts */
  g_assert_error (error, GW_ERROR, GW_ERROR_LIMIT);
  g_clear_error (&error);
  flush (self);
  gw_spool_get_counters (self->spool, kid_of (1), &one);
  g_assert_cmpuint (one.bytes, <=, 10000);
  g_assert_cmpuint (one.bytes, >, 9000);
  g_assert_cmpuint (one.refused, ==, 1);

  while (try_put (self, 2, 5, q2, &error))
    q2++;
  g_assert_error (error, GW_ERROR, GW_ERROR_LIMIT);
  g_clear_error (&error);
  flush (self);
  gw_spool_get_counters (self->spool, kid_of (2), &two);
  g_assert_cmpuint (two.bytes, >, 4000);
  gw_spool_get_stats (self->spool, &stats);
  g_assert_cmpuint (stats.sum.bytes, ==, one.bytes + two.bytes);
  g_assert_cmpuint (stats.sum.bytes, <=, 20000);

  /* A duplicate needs no room. */
  put (self, 1, 5, 1);
  flush (self);
  /* The broker takes some: the one that was refused comes again and is stored. */
  for (guint i = 0; i < 20; i++)
    take_and_ack (self, 1);
  put (self, 1, 5, q1);
  flush (self);
  assert_queue (self, 1, 21, q1);
}

static void
test_endpoint_limit (SpoolFixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  GwSpoolCounters counters;
  guint64 q = 1;

  while (try_put (self, 1, 5, q, &error))
    q++;
  g_assert_error (error, GW_ERROR, GW_ERROR_LIMIT);
  flush (self);
  gw_spool_get_counters (self->spool, kid_of (1), &counters);
  g_assert_cmpuint (counters.bytes, <=, 2000);
  put (self, 2, 5, 1);
  flush (self);
}

static void
test_invalid (SpoolFixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  static const guint8 nobody[GW_SPOOL_KID_LEN];
  g_autofree guint8 *big = g_malloc0 (GW_SPOOL_PAYLOAD_MAX + 1);
  g_autoptr (GBytes) much = g_bytes_new_static (big, GW_SPOOL_PAYLOAD_MAX + 1);
  g_autoptr (GBytes) most = g_bytes_new_static (big, GW_SPOOL_PAYLOAD_MAX);
  g_autoptr (GBytes) none = g_bytes_new_static (NULL, 0);

  g_assert_false (gw_spool_append (self->spool, kid_of (1), boot_of (1), 1, T0, GW_SPOOL_REPORT, 0, much,
                                   told, self, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_INVALID);
  g_clear_error (&error);
  g_assert_false (
      gw_spool_append (self->spool, kid_of (1), boot_of (1), 1, T0, 3, 0, none, told, self, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_INVALID);
  g_clear_error (&error);
  g_assert_false (
      gw_spool_append (self->spool, nobody, boot_of (1), 1, T0, GW_SPOOL_EVENT, 0, none, told, self, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_INVALID);
  g_assert_true (gw_spool_append (self->spool, kid_of (1), boot_of (1), 1, T0, GW_SPOOL_EVENT,
                                  GW_SPOOL_FLAG_CLOCK_INVALID, most, told, self, NULL));
  g_assert_true (gw_spool_append (self->spool, kid_of (1), boot_of (1), 2, T0, GW_SPOOL_EVENT, 0, none, NULL,
                                  NULL, NULL));
  flush (self);
  spool_again (self);
  g_auto (GwSpoolRecord) record = { 0 };
  g_assert_cmpint (gw_spool_next (self->spool, kid_of (1), 0, &record, NULL), ==, 1);
  g_assert_cmpuint (g_bytes_get_size (record.payload), ==, GW_SPOOL_PAYLOAD_MAX);
  g_assert_cmpint (record.kind, ==, GW_SPOOL_EVENT);
  g_assert_cmpint (record.flags, ==, GW_SPOOL_FLAG_CLOCK_INVALID);
}

/* One endpoint is silent for ever while another is busy: its few records must not keep all the files. */
static void
test_compaction (SpoolFixture *self, gconstpointer data)
{
  GwSpoolStats stats;

  for (guint q = 1; q <= 2000; q++)
    {
      put (self, 1, 5, q);
      if (q % 20 == 0)
        put (self, 2, 6, q / 20);
      flush (self);
      take_and_ack (self, 1);
    }
  flush (self);
  gw_spool_get_stats (self->spool, &stats);
  g_assert_cmpuint (stats.disk_bytes, <, 3 * stats.sum.bytes + 4 * 4096);
  g_assert_cmpuint (stats.segments, ==, count_files (self->dir));
  assert_queue (self, 2, 1, 100);
  for (guint i = 0; i < 2; i++)
    {
      spool_again (self);
      assert_queue (self, 1, 1, 0);
      assert_queue (self, 2, 1, 100);
      assert_last (self, 1, 5, 2000);
      assert_last (self, 2, 6, 100);
      gw_spool_get_stats (self->spool, &stats);
      g_assert_cmpuint (stats.sum.lost, ==, 0);
      g_assert_cmpuint (stats.sum.dropped[GW_SPOOL_DROP_CORRUPT], ==, 0);
    }
  for (guint q = 1; q <= 100; q++)
    g_assert_cmpuint (take_and_ack (self, 2), ==, q);
  put (self, 1, 5, 2001);
  flush (self);
  g_assert_cmpuint (count_files (self->dir), <=, 2);
}

/* A silent endpoint's payloads neither fill the cache for ever nor let slots pile up behind them. */
static void
test_cache_bound (SpoolFixture *self, gconstpointer data)
{
  GwSpoolStats stats;

  for (guint q = 1; q <= 10; q++)
    put (self, 2, 6, q);
  for (guint q = 1; q <= 5000; q++)
    {
      put (self, 1, 5, q);
      if (q % 100 == 0)
        flush (self);
      if (q > 200)
        take_and_ack (self, 1);
      gw_spool_get_stats (self->spool, &stats);
      g_assert_cmpuint (stats.cache_bytes, <=, 2000);
    }
  flush (self);
  assert_queue (self, 2, 1, 10);
}

static void
test_lock (SpoolFixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GwWriter) writer = gw_writer_new (NULL, NULL);
  GwSpool *second = gw_spool_open (self->dir, NULL, writer, &error);

  g_assert_null (second);
  g_assert_error (error, GW_ERROR, GW_ERROR_BUSY);
}

static void
test_modes (SpoolFixture *self, gconstpointer data)
{
  g_autofree char *dir = g_build_filename (self->dir, "deep", "spool", NULL);
  g_autoptr (GDir) listing = NULL;
  GwWriter *writer = gw_writer_new (NULL, NULL);
  GwSpool *spool = gw_spool_open (dir, NULL, writer, NULL);
  g_autoptr (GBytes) payload = g_bytes_new_static ("x", 1);
  g_autofree char *path = NULL, *parent = g_path_get_dirname (dir);
  GStatBuf st;

  g_assert_nonnull (spool);
  g_assert_true (
      gw_spool_append (spool, kid_of (1), boot_of (1), 1, T0, GW_SPOOL_REPORT, 0, payload, NULL, NULL, NULL));
  gw_writer_stop (writer);
  g_assert_cmpint (g_stat (dir, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 0777, ==, 0700);
  listing = g_dir_open (dir, 0, NULL);
  path = g_build_filename (dir, g_dir_read_name (listing), NULL);
  g_assert_cmpint (g_stat (path, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 0777, ==, 0600);
  gw_spool_free (spool);
  gw_writer_free (writer);
  g_unlink (path);
  g_rmdir (dir);
  g_rmdir (parent);
}

/* Long random use against a model: what was told durable and not acknowledged is what is queued, in order. */
static void
test_random (SpoolFixture *self, gconstpointer data)
{
  enum
  {
    N = 5
  };
  guint64 next[N], first[N];
  guint boot[N];

  for (guint e = 0; e < N; e++)
    next[e] = first[e] = boot[e] = 1;
  for (guint i = 0; i < 6000; i++)
    {
      guint e = (guint)g_test_rand_int_range (0, N);
      int what = g_test_rand_int_range (0, 1000);

      if (what < 500)
        put (self, e, boot[e], next[e]++);
      else if (what < 520 && next[e] > 1)
        put (self, e, boot[e], next[e] - 1);
      else if (what < 900)
        {
          flush (self);
          /* Endpoint 0 is silent most of the time. */
          for (int n = e == 0 ? (what == 899) * 1000 : g_test_rand_int_range (0, 6); n > 0; n--)
            {
              guint64 q = take_and_ack (self, e);
              g_assert_cmpuint (q, ==, first[e] < next[e] ? first[e] : 0);
              first[e] += q > 0;
            }
        }
      else if (what < 990)
        flush (self);
      else
        {
          flush (self);
          spool_again (self);
          for (guint k = 0; k < N; k++)
            assert_queue (self, k, first[k], next[k] - 1);
        }
    }
}

#define ADD(name, func, limits)                                                                              \
  g_test_add ("/spool/" name, SpoolFixture, limits, fixture_up, func, fixture_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("basic", test_basic, NULL);
  ADD ("removed-file", test_removed_file, NULL);
  ADD ("restart", test_restart, NULL);
  ADD ("restart-small-segments", test_restart, &small);
  ADD ("duplicates", test_duplicates, &small);
  ADD ("pipeline", test_pipeline, NULL);
  ADD ("boots-and-losses", test_boots_and_losses, NULL);
  ADD ("segments-go", test_segments_go, &small);
  ADD ("last-outlives-segments", test_last_outlives_segments, &small);
  ADD ("long-checkpoint", test_long_checkpoint, &small);
  ADD ("out-of-order-acks", test_out_of_order_acks, NULL);
  ADD ("drop", test_drop, &small);
  ADD ("expire-and-stranded", test_expire_and_stranded, NULL);
  ADD ("limits", test_limits, &tight);
  ADD ("endpoint-limit", test_endpoint_limit, &capped);
  ADD ("invalid", test_invalid, NULL);
  ADD ("compaction", test_compaction, &small);
  ADD ("cache-bound", test_cache_bound, &small);
  ADD ("lock", test_lock, NULL);
  ADD ("modes", test_modes, NULL);
  ADD ("random", test_random, &small);
  return g_test_run ();
}
