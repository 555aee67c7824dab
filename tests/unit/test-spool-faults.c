/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The spool on a bad day: flipped bits, torn tails, disks that are full or broken at any call, kill -9. In
 * all of it: what was told durable is delivered or counted as lost, in order, and nothing that was not stored
 * is delivered. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spool-fixture.h"

/* A disk that can be told to fail. Calls come from two threads; the settings change only while the writer
 * rests. */

enum
{
  CALL_OPEN,
  CALL_PWRITE,
  CALL_PREAD,
  CALL_FTRUNCATE,
  CALL_FDATASYNC,
  CALL_FSYNC,
  CALL_UNLINK,
  N_CALLS
};

static struct
{
  int count[N_CALLS];   /* atomic: calls so far */
  int fail_at[N_CALLS]; /* that call fails; 0: none */
  int fail_for;         /* and so many after it, of its kind */
  int code;             /* errno */
  gboolean short_write; /* a failing pwrite writes half first */
  gboolean halves;      /* every pwrite takes half, as it may */
} disk;

static gboolean
fails (guint call)
{
  int n = g_atomic_int_add (&disk.count[call], 1) + 1;

  if (disk.fail_at[call] == 0 || n < disk.fail_at[call] || n > disk.fail_at[call] + disk.fail_for)
    return FALSE;
  errno = disk.code;
  return TRUE;
}

static int
bad_open (int dirfd, const char *name, int flags, mode_t mode)
{
  return fails (CALL_OPEN) ? -1 : openat (dirfd, name, flags, mode);
}

static ssize_t
bad_pwrite (int fd, const void *data, size_t len, off_t at)
{
  if (!fails (CALL_PWRITE))
    return pwrite (fd, data, disk.halves ? (len + 1) / 2 : len, at);
  if (disk.short_write && len > 1 && pwrite (fd, data, len / 2, at) > 0)
    errno = disk.code;
  return -1;
}

static ssize_t
bad_pread (int fd, void *data, size_t len, off_t at)
{
  return fails (CALL_PREAD) ? -1 : pread (fd, data, len, at);
}

static int
bad_ftruncate (int fd, off_t len)
{
  return fails (CALL_FTRUNCATE) ? -1 : ftruncate (fd, len);
}

/* Nothing is really synced: the tests end processes, not machines, and there are thousands of groups. */
static int
bad_fdatasync (int fd)
{
  return fails (CALL_FDATASYNC) ? -1 : 0;
}

static int
bad_fsync (int fd)
{
  return fails (CALL_FSYNC) ? -1 : 0;
}

static int
bad_unlink (int dirfd, const char *name, int flags)
{
  return fails (CALL_UNLINK) ? -1 : unlinkat (dirfd, name, flags);
}

static const GwSpoolIo bad_io
    = { bad_open, bad_pwrite, bad_pread, bad_ftruncate, bad_fdatasync, bad_fsync, bad_unlink };
static const GwSpoolLimits limits = { .segment_bytes = 4096, .cache_bytes = 1, .io = &bad_io };

static void
faults_up (SpoolFixture *self, gconstpointer data)
{
  memset (&disk, 0, sizeof disk);
  fixture_up (self, &limits);
}

/* Pictures of a folder */

typedef struct
{
  char *path;
  char *data;
  gsize len;
} Picture;

static void
picture_clear (gpointer data)
{
  Picture *picture = data;
  g_free (picture->path);
  g_free (picture->data);
}

static gint
compare_pictures (gconstpointer a, gconstpointer b)
{
  return strcmp (((const Picture *)a)->path, ((const Picture *)b)->path);
}

static GArray *
take_pictures (const char *dir)
{
  GArray *pictures = g_array_new (FALSE, FALSE, sizeof (Picture));
  g_autoptr (GDir) listing = g_dir_open (dir, 0, NULL);
  const char *name;

  g_array_set_clear_func (pictures, picture_clear);
  while ((name = g_dir_read_name (listing)) != NULL)
    {
      Picture picture = { .path = g_build_filename (dir, name, NULL) };
      g_assert_true (g_file_get_contents (picture.path, &picture.data, &picture.len, NULL));
      g_array_append_val (pictures, picture);
    }
  g_array_sort (pictures, compare_pictures);
  return pictures;
}

static void
write_file (const char *path, const char *data, gsize len)
{
  int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (write (fd, data, len), ==, (gssize)len);
  close (fd);
}

static void
restore (const char *dir, const GArray *pictures)
{
  g_autoptr (GDir) listing = g_dir_open (dir, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (listing)) != NULL)
    {
      g_autofree char *path = g_build_filename (dir, name, NULL);
      g_unlink (path);
    }
  for (guint i = 0; i < pictures->len; i++)
    {
      const Picture *picture = &g_array_index (pictures, Picture, i);
      write_file (picture->path, picture->data, picture->len);
    }
}

static guint64
corrupt_drops (SpoolFixture *self)
{
  GwSpoolStats stats;
  gw_spool_get_stats (self->spool, &stats);
  return stats.sum.dropped[GW_SPOOL_DROP_CORRUPT];
}

static guint64
damaged_octets (SpoolFixture *self)
{
  GwSpoolStats stats;
  gw_spool_get_stats (self->spool, &stats);
  return stats.corrupt_octets + stats.torn_octets;
}

/* Reads an endpoint's queue; each record is checked. Returns how many of first .. last are missing; what is
 * not in all .. last must not be there. */
static guint
count_missing (SpoolFixture *self, guint endpoint, guint64 all, guint64 first, guint64 last)
{
  guint64 after = 0, previous = 0, q;
  guint missing = (guint)(last - first + 1);

  while ((q = take (self, endpoint, &after)) != 0)
    {
      g_assert_cmpuint (q, >, previous);
      g_assert_cmpuint (q, >=, all);
      g_assert_cmpuint (q, <=, last);
      missing -= q >= first;
      previous = q;
    }
  return missing;
}

/* A small spool in several files: endpoint 1 has 6 .. 25 queued, endpoint 2 has 1 .. 8. */
static void
make_small (SpoolFixture *self)
{
  for (guint q = 1; q <= 25; q++)
    {
      put (self, 1, 5, q);
      if (q % 3 == 0)
        put (self, 2, 6, q / 3);
      if (q % 5 == 0)
        {
          flush (self);
          take_and_ack (self, 1);
        }
      flush (self);
    }
  g_assert_cmpuint (count_files (self->dir), >, 1);
}

static void
test_bit_flips (SpoolFixture *self, gconstpointer data)
{
  g_autoptr (GArray) pictures = NULL;
  guint hurt = 0;

  make_small (self);
  spool_down (self);
  pictures = take_pictures (self->dir);
  for (guint i = 0; i < pictures->len; i++)
    {
      const Picture *picture = &g_array_index (pictures, Picture, i);
      for (gsize at = 0; at < picture->len; at++)
        {
          g_autofree char *spoilt = g_memdup2 (picture->data, picture->len);
          guint missing;
          gboolean torn;
          GwSpoolStats stats;

          restore (self->dir, pictures);
          spoilt[at] = (char)(spoilt[at] ^ (1 << at % 8));
          write_file (picture->path, spoilt, picture->len);
          spool_up (self);
          gw_spool_get_stats (self->spool, &stats);
          torn = stats.torn_octets > 0;
          g_assert_cmpuint (stats.torn_octets + stats.corrupt_octets, >, 0);
          missing = count_missing (self, 1, 1, 6, 25) + count_missing (self, 2, 1, 1, 8);
          /* One flip hurts one record. In the middle it is counted; at the very end it is a torn tail. */
          g_assert_cmpuint (missing, <=, 1);
          if (!torn && missing > 0)
            g_assert_cmpuint (corrupt_drops (self), ==, missing);
          if (corrupt_drops (self) > 0) /* it may have hit one that was delivered already */
            g_assert_cmpuint (corrupt_drops (self), ==, 1);
          hurt += missing;

          /* And it goes on from there, with the same count after another start. */
          guint64 drops = corrupt_drops (self);
          spool_again (self);
          g_assert_cmpuint (corrupt_drops (self), ==, drops);
          put (self, 3, 7, 1);
          flush (self);
          g_assert_cmpuint (self->failed, ==, 0);
          spool_again (self);
          g_assert_cmpuint (corrupt_drops (self), ==, drops);
          assert_queue (self, 3, 1, 1);
          g_assert_cmpuint (count_missing (self, 1, 1, 6, 25) + count_missing (self, 2, 1, 1, 8), ==,
                            missing);
          spool_down (self);
        }
    }
  g_assert_cmpuint (hurt, >, 100);
}

static void
test_truncation (SpoolFixture *self, gconstpointer data)
{
  g_autoptr (GArray) pictures = NULL;
  const Picture *last;
  guint previous = 0;

  make_small (self);
  spool_down (self);
  pictures = take_pictures (self->dir);
  last = &g_array_index (pictures, Picture, pictures->len - 1);
  for (gsize len = last->len; len > 0; len--)
    {
      guint missing;

      restore (self->dir, pictures);
      write_file (last->path, last->data, len - 1);
      spool_up (self);
      missing = count_missing (self, 1, 1, 6, 25) + count_missing (self, 2, 1, 1, 8);
      g_assert_cmpuint (missing, >=, previous);
      g_assert_cmpuint (corrupt_drops (self), ==, 0);
      previous = missing;
      /* The endpoint repeats what was never acknowledged. */
      put (self, 1, 5, 25);
      flush (self);
      g_assert_cmpuint (self->failed, ==, 0);
      assert_last (self, 1, 5, 25);
      spool_again (self);
      g_assert_cmpuint (damaged_octets (self), ==, 0);
      assert_last (self, 1, 5, 25);
      spool_down (self);
    }
  g_assert_cmpuint (previous, >, 2);
}

/* An endpoint hides a record of another inside its payload, and the outer header is then damaged. */
static void
test_forged_record (SpoolFixture *self, gconstpointer data)
{
  GwSpoolHeader header = { .kind = GW_SPOOL_RECORD_REPORT, .seq = 1000, .q = 1, .payload_len = 5 };
  guint8 forged[GW_SPOOL_HEADER_LEN + 5];
  g_autoptr (GBytes) payload = NULL;
  g_autoptr (GArray) pictures = NULL;
  Picture *picture;
  char *outer;

  /* It knows everything but the salt, even where its record will lie. */
  GwSpoolSegmentId guess = { .number = 1, .salt = 0 };
  memcpy (header.kid, kid_of (2), sizeof header.kid);
  gw_spool_codec_encode (&guess, 2 * GW_SPOOL_HEADER_LEN, &header, "false", forged);
  payload = g_bytes_new (forged, sizeof forged);
  g_assert_true (gw_spool_append (self->spool, kid_of (1), boot_of (5), 1, T0, GW_SPOOL_REPORT, 0, payload,
                                  NULL, NULL, NULL));
  put (self, 3, 5, 1);
  spool_down (self);
  pictures = take_pictures (self->dir);
  picture = &g_array_index (pictures, Picture, 0);
  outer = memmem (picture->data + 4, picture->len - 4, "GWR1", 4);
  outer[8] ^= 1;
  restore (self->dir, pictures);
  spool_up (self);
  g_assert_cmpuint (corrupt_drops (self), ==, 1);
  g_assert_cmpuint (count_missing (self, 2, 1, 1, 1), ==, 1);
  assert_queue (self, 3, 1, 1);
}

/* A kill after the copies of a compaction were synced, before the old file was removed: nothing comes twice.
 */
static void
test_killed_in_compaction (SpoolFixture *self, gconstpointer data)
{
  g_autoptr (GPtrArray) saved = g_ptr_array_new_with_free_func ((GDestroyNotify)g_array_unref);
  guint restored = 0;

  for (guint q = 1; q <= 400; q++)
    {
      put (self, 1, 5, q);
      if (q % 20 == 0)
        put (self, 2, 6, q / 20);
      flush (self);
      take_and_ack (self, 1);
      flush (self);
      g_ptr_array_add (saved, take_pictures (self->dir));
    }
  spool_down (self);
  for (guint i = 0; i < saved->len; i++)
    {
      const GArray *pictures = saved->pdata[i];
      for (guint k = 0; k < pictures->len; k++)
        {
          const Picture *picture = &g_array_index (pictures, Picture, k);
          if (g_file_test (picture->path, G_FILE_TEST_EXISTS))
            continue;
          restored++;
          write_file (picture->path, picture->data, picture->len);
        }
    }
  g_assert_cmpuint (restored, >, 20);
  spool_up (self);
  g_assert_cmpuint (damaged_octets (self), ==, 0);
  assert_queue (self, 1, 1, 0);
  assert_queue (self, 2, 1, 20);
  assert_last (self, 1, 5, 400);
  /* What was acknowledged is removed for good this time. */
  flush (self);
  g_assert_cmpuint (count_files (self->dir), <, 20);
}

static void
test_syncs (SpoolFixture *self, gconstpointer data)
{
  GwSpoolStats stats = { 0 };

  put (self, 1, 5, 1);
  flush (self);
  g_assert_cmpint (disk.count[CALL_FDATASYNC], ==, 1);
  g_assert_cmpint (disk.count[CALL_FSYNC], ==, 1); /* the folder, for the new file */
  put (self, 1, 5, 2);
  flush (self);
  g_assert_cmpint (disk.count[CALL_FDATASYNC], ==, 2);
  take_and_ack (self, 1);
  flush (self);
  g_assert_cmpint (disk.count[CALL_FDATASYNC], ==, 2); /* a cursor need not be */
  g_assert_cmpint (disk.count[CALL_FSYNC], ==, 1);
  /* A new file is, even for a cursor's sake: older ones go on the strength of its checkpoint. */
  for (guint q = 3; stats.disk_bytes < limits.segment_bytes; q++)
    {
      put (self, 1, 5, q);
      flush (self);
      gw_spool_get_stats (self->spool, &stats);
    }
  disk.count[CALL_FDATASYNC] = 0;
  take_and_ack (self, 1);
  flush (self);
  g_assert_cmpint (disk.count[CALL_FDATASYNC], ==, 1);
  g_assert_cmpint (disk.count[CALL_FSYNC], ==, 2);
  disk.count[CALL_FDATASYNC] = 2;
  /* What a killed process left in the kernel's memory is synced before it is handed on as stored. */
  spool_again (self);
  g_assert_cmpint (disk.count[CALL_FDATASYNC], ==, 3);
}

static void
test_short_writes (SpoolFixture *self, gconstpointer data)
{
  disk.halves = TRUE;
  for (guint q = 1; q <= 20; q++)
    put (self, 1, 5, q);
  flush (self);
  g_assert_cmpuint (self->failed, ==, 0);
  spool_again (self);
  assert_queue (self, 1, 1, 20);
  g_assert_cmpuint (damaged_octets (self), ==, 0);
}

/* The first group of a file fails at the sync: the file may hold anything and is not left behind. */
static void
test_first_group_fails (SpoolFixture *self, gconstpointer data)
{
  disk.code = EIO;
  disk.fail_at[CALL_FDATASYNC] = 1;
  put (self, 1, 5, 1);
  flush (self);
  g_assert_cmpuint (self->failed, ==, 1);
  g_assert_cmpuint (count_files (self->dir), ==, 0);
  put (self, 1, 5, 1);
  flush (self);
  assert_queue (self, 1, 1, 1);
}

/* Numbers given to a group that failed are no loss when later damage is counted. */
static void
test_failed_group_is_no_loss (SpoolFixture *self, gconstpointer data)
{
  g_autoptr (GArray) pictures = NULL;
  Picture *picture;
  char *third;

  put (self, 1, 5, 1);
  flush (self);
  disk.code = ENOSPC;
  disk.fail_at[CALL_PWRITE] = disk.count[CALL_PWRITE] + 1;
  put (self, 1, 5, 2);
  flush (self);
  g_assert_cmpuint (self->failed, ==, 1);
  put (self, 1, 5, 2);
  flush (self);
  put (self, 1, 5, 3);
  spool_down (self);
  pictures = take_pictures (self->dir);
  picture = &g_array_index (pictures, Picture, 0);
  third = memmem (picture->data, picture->len, "1/5/2/", 6);
  *third ^= 1;
  restore (self->dir, pictures);
  spool_up (self);
  g_assert_cmpuint (count_missing (self, 1, 1, 1, 3), ==, 1);
  g_assert_cmpuint (corrupt_drops (self), ==, 1);
}

/* Damage at the end of a file whose successors were delivered and removed: they are no loss. */
static void
test_removed_files_are_no_loss (SpoolFixture *self, gconstpointer data)
{
  g_autoptr (GArray) pictures = NULL;
  Picture *picture;

  put (self, 2, 6, 1); /* stays */
  for (guint q = 1; q <= 120; q++)
    {
      put (self, 1, 5, q);
      flush (self);
      take_and_ack (self, 1);
      flush (self);
    }
  spool_down (self);
  pictures = take_pictures (self->dir);
  g_assert_cmpuint (pictures->len, ==, 2);
  picture = &g_array_index (pictures, Picture, 0);
  picture->data[picture->len - 1] ^= 1;
  restore (self->dir, pictures);
  spool_up (self);
  g_assert_cmpuint (damaged_octets (self), >, 0);
  g_assert_cmpuint (corrupt_drops (self), ==, 0);
  assert_queue (self, 2, 1, 1);
  assert_queue (self, 1, 1, 0);
}

/* An endpoint that keeps what is not acknowledged and tries again, and a broker that takes. */
typedef struct
{
  SpoolFixture *fixture;
  guint endpoint;
  guint64 next;  /* to send */
  guint64 taken; /* by the broker */
  guint tries;
} Sender;

static void
sender_told (gpointer data, const GError *error)
{
  Sender *self = data;
  self->next += error == NULL;
}

static void
send_until (Sender *self, guint64 last)
{
  while (self->next <= last)
    {
      g_autoptr (GBytes) payload = payload_of (self->endpoint, 5, self->next);

      g_assert_cmpuint (++self->tries, <, 10 * last);
      g_assert_true (gw_spool_append (self->fixture->spool, kid_of (self->endpoint), boot_of (5), self->next,
                                      T0 + (gint64)self->next * G_USEC_PER_SEC, GW_SPOOL_REPORT, 0, payload,
                                      sender_told, self, NULL));
      gw_writer_flush (self->fixture->writer);
      if (self->next % 3 != 0)
        continue;
      guint64 q = take_and_ack (self->fixture, self->endpoint);
      if (q == 0)
        continue;
      g_assert_cmpuint (q, ==, self->taken + 1);
      self->taken = q;
    }
}

/* Every single call of each kind fails once, or three times in a row, with and without half the octets
 * written. */
static void
run_with_fault (SpoolFixture *self, guint call, int at, int more, int code, gboolean half)
{
  Sender one = { .fixture = self, .endpoint = 1, .next = 1 },
         two = { .fixture = self, .endpoint = 2, .next = 1 };

  memset (&disk, 0, sizeof disk);
  disk.code = code;
  disk.fail_for = more;
  disk.short_write = half;
  spool_up (self);
  disk.fail_at[call] = disk.count[call] + at;
  for (guint64 q = 5; q <= 60; q += 5)
    {
      send_until (&one, q);
      send_until (&two, q / 5);
    }
  memset (disk.fail_at, 0, sizeof disk.fail_at);
  g_assert_cmpuint (take_and_ack (self, 1), ==,
                    ++one.taken); /* takes along what cursors could not be written */
  flush (self);
  assert_queue (self, 1, one.taken + 1, 60);
  assert_queue (self, 2, two.taken + 1, 12);
  spool_again (self);
  g_assert_cmpuint (count_missing (self, 1, one.taken, one.taken + 1, 60), ==, 0);
  g_assert_cmpuint (count_missing (self, 2, two.taken, two.taken + 1, 12), ==, 0);
  g_assert_cmpuint (corrupt_drops (self), ==, 0);
  assert_last (self, 1, 5, 60);
  assert_last (self, 2, 5, 12);
  spool_down (self);
  remove_dir (self->dir);
}

static void
test_faults (SpoolFixture *self, gconstpointer data)
{
  static const struct
  {
    guint call;
    int code;
    int upto;
  } faults[] = {
    { CALL_PWRITE, ENOSPC, 90 }, { CALL_PWRITE, EIO, 90 }, { CALL_FDATASYNC, EIO, 80 },
    { CALL_FSYNC, EIO, 4 },      { CALL_OPEN, ENOSPC, 4 }, { CALL_UNLINK, EROFS, 4 },
  };

  spool_down (self);
  for (guint i = 0; i < G_N_ELEMENTS (faults); i++)
    for (int at = 1; at <= faults[i].upto; at++)
      {
        run_with_fault (self, faults[i].call, at, 0, faults[i].code, FALSE);
        run_with_fault (self, faults[i].call, at, 2, faults[i].code, faults[i].call == CALL_PWRITE);
      }
}

/* A failed write, and then the file cannot be cut back either: what reached the disk is a ghost. The endpoint
 * sends the record again; after a restart it must be there once. */
static void
test_ghost (SpoolFixture *self, gconstpointer data)
{
  for (guint which = 0; which < 2; which++)
    {
      guint64 first = 4 * which + 1;

      put (self, 1, 5, first);
      put (self, 2, 5, first);
      flush (self);
      disk.code = EIO;
      disk.fail_at[CALL_FTRUNCATE] = disk.count[CALL_FTRUNCATE] + 1;
      disk.fail_at[CALL_FDATASYNC] = disk.count[CALL_FDATASYNC] + 1;
      put (self, 2, 5, first + 1);
      flush (self);
      g_assert_cmpuint (self->failed, ==, which + 1);
      assert_last (self, 2, 5, first);
      put (self, 1, 5, first + 1);
      put (self, 1, 5, first + 2);
      flush (self);
      put (self, 2, 5, first + 1);
      put (self, 2, 5, first + 2);
      put (self, 2, 5, first + 3);
      put (self, 1, 5, first + 3);
      flush (self);
      g_assert_cmpuint (self->failed, ==, which + 1);
      spool_again (self);
      assert_queue (self, 1, 1, first + 3);
      assert_queue (self, 2, 1, first + 3);
      g_assert_cmpuint (corrupt_drops (self), ==, 0);
    }
}

/* One record of an endpoint fails while the next is already on its way: that one must not make it look
 * stored. */
static void
test_failure_before_another (SpoolFixture *self, gconstpointer data)
{
  GwSpoolCounters counters;

  put (self, 1, 5, 1);
  flush (self);
  disk.code = ENOSPC;
  disk.fail_at[CALL_PWRITE] = disk.count[CALL_PWRITE] + 1;
  put (self, 1, 5, 2);
  while (g_atomic_int_get (&disk.count[CALL_PWRITE]) < disk.fail_at[CALL_PWRITE])
    g_thread_yield ();
  put (self, 1, 5, 3); /* another group */
  flush (self);
  g_assert_cmpuint (self->failed, ==, 2); /* though the disk took the second */
  assert_last (self, 1, 5, 1);
  put (self, 1, 5, 2);
  put (self, 1, 5, 3);
  flush (self);
  assert_queue (self, 1, 1, 3);
  gw_spool_get_counters (self->spool, kid_of (1), &counters);
  g_assert_cmpuint (counters.lost, ==, 0);
  /* A duplicate of one that fails fails too. */
  disk.fail_at[CALL_PWRITE] = disk.count[CALL_PWRITE] + 1;
  put (self, 1, 5, 4);
  put (self, 1, 5, 4);
  flush (self);
  g_assert_cmpuint (self->failed, ==, 4);
  assert_queue (self, 1, 1, 3);
}

static void
test_read_errors (SpoolFixture *self, gconstpointer data)
{
  g_auto (GwSpoolRecord) record = { 0 };
  GwSpoolCounters counters;

  for (guint q = 1; q <= 3; q++)
    put (self, 1, 5, q);
  flush (self);
  disk.code = EIO;
  disk.fail_at[CALL_PREAD] = disk.count[CALL_PREAD] + 1;
  disk.fail_for = 2;
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (GError) error = NULL;
      g_assert_cmpint (gw_spool_next (self->spool, kid_of (1), 0, &record, &error), ==, -1);
      g_assert_error (error, GW_ERROR, GW_ERROR_STORAGE);
    }
  /* The third time it is given up, counted, and the next one delivered. */
  g_assert_cmpint (gw_spool_next (self->spool, kid_of (1), 0, &record, NULL), ==, 1);
  g_assert_cmpuint (record.q, ==, 2);
  gw_spool_get_counters (self->spool, kid_of (1), &counters);
  g_assert_cmpuint (counters.dropped[GW_SPOOL_DROP_CORRUPT], ==, 1);
  spool_again (self);
  assert_queue (self, 1, 2, 3);
  gw_spool_get_counters (self->spool, kid_of (1), &counters);
  g_assert_cmpuint (counters.dropped[GW_SPOOL_DROP_CORRUPT], ==, 1);
}

/* A cursor or a removal that failed is tried again with the next one. */
static void
test_retries (SpoolFixture *self, gconstpointer data)
{
  put (self, 1, 5, 1);
  put (self, 2, 5, 1);
  flush (self);
  disk.code = EIO;
  disk.fail_at[CALL_PWRITE] = disk.count[CALL_PWRITE] + 1;
  g_assert_cmpuint (take_and_ack (self, 1), ==, 1);
  flush (self);
  g_assert_cmpuint (take_and_ack (self, 2), ==, 1);
  flush (self);
  spool_again (self);
  assert_queue (self, 1, 1, 0);
  assert_queue (self, 2, 1, 0);

  disk.fail_at[CALL_UNLINK] = disk.count[CALL_UNLINK] + 1;
  for (guint q = 2; q <= 100; q++)
    {
      put (self, 1, 5, q);
      flush (self);
      g_assert_cmpuint (take_and_ack (self, 1), ==, q);
    }
  flush (self);
  g_assert_cmpuint (count_files (self->dir), ==, 1);
}

/* A place of the disk that cannot be read at start costs what lies there, no more. */
static void
test_unreadable_at_start (SpoolFixture *self, gconstpointer data)
{
  self->limits.segment_bytes = 1 << 20;
  spool_again (self);
  for (guint q = 1; q <= 200; q++)
    put (self, 1, 5, q);
  spool_down (self);
  disk.code = EIO;
  disk.fail_at[CALL_PREAD] = disk.count[CALL_PREAD] + 1;
  spool_up (self);
  g_assert_cmpuint (damaged_octets (self), >, 4000);
  g_assert_cmpuint (count_missing (self, 1, 1, 1, 200), <, 40);
  g_assert_cmpuint (count_missing (self, 1, 1, 1, 200), >, 10);
  put (self, 1, 5, 201);
  flush (self);
  assert_last (self, 1, 5, 201);
}

static void
test_foreign_files (SpoolFixture *self, gconstpointer data)
{
  static const char *names[] = { "README", "0000000001-0123456789abcdef.gws.bak", "x.gws" };

  put (self, 1, 5, 1);
  spool_down (self);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *path = g_build_filename (self->dir, names[i], NULL);
      write_file (path, "GWR1 nonsense", 13);
    }
  spool_up (self);
  assert_queue (self, 1, 1, 1);
  g_assert_cmpuint (damaged_octets (self), ==, 0);
}

/* kill -9: this program again as a child that stores and delivers, and says on a pipe what was told durable
 * and what the broker took. The real disk calls. */

#define KILL_ENDPOINTS 4

G_NORETURN static void
child_main (const char *dir)
{
  SpoolFixture self = { .dir = (char *)dir, .limits = { .segment_bytes = 16384, .cache_bytes = 1000 } };
  Sender senders[KILL_ENDPOINTS];

  spool_up (&self);
  for (guint e = 0; e < KILL_ENDPOINTS; e++)
    {
      guint64 q = 0;
      gw_spool_last (self.spool, kid_of (e), NULL, &q);
      senders[e] = (Sender){ .fixture = &self, .endpoint = e, .next = q + 1 };
    }
  for (;;)
    {
      guint64 before[KILL_ENDPOINTS];

      for (guint e = 0; e < KILL_ENDPOINTS; e++)
        {
          g_autoptr (GBytes) payload = payload_of (e, 5, senders[e].next);
          before[e] = senders[e].next;
          g_assert_true (gw_spool_append (self.spool, kid_of (e), boot_of (5), before[e],
                                          T0 + (gint64)before[e] * G_USEC_PER_SEC, GW_SPOOL_REPORT, 0,
                                          payload, sender_told, &senders[e], NULL));
        }
      flush (&self);
      for (guint e = 0; e < KILL_ENDPOINTS; e++)
        {
          char line[64];
          int n = 0;
          guint64 q = 0;

          if (senders[e].next > before[e])
            n = g_snprintf (line, sizeof line, "S %u %" G_GUINT64_FORMAT "\n", e, before[e]);
          g_assert_cmpint (write (STDOUT_FILENO, line, (gsize)n), ==, n);
          if (e > 0 && senders[e].next % 4 != e) /* endpoint 0 delivers nothing */
            q = take_and_ack (&self, e);
          n = q == 0 ? 0 : g_snprintf (line, sizeof line, "D %u %" G_GUINT64_FORMAT "\n", e, q);
          g_assert_cmpint (write (STDOUT_FILENO, line, (gsize)n), ==, n);
        }
    }
}

typedef struct
{
  guint64 stored[KILL_ENDPOINTS]; /* the last told durable */
  guint64 front[KILL_ENDPOINTS];  /* the next to be delivered */
} Ledger;

static void
read_lines (int fd, Ledger *ledger)
{
  FILE *pipe = fdopen (fd, "r");
  guint e;
  guint64 q;
  char what;

  g_assert_nonnull (pipe);
  while (fscanf (pipe, " %c %u %" G_GUINT64_FORMAT, &what, &e, &q) == 3)
    {
      if (what == 'S')
        {
          g_assert_cmpuint (q, >, ledger->stored[e]);
          ledger->stored[e] = q;
        }
      else
        {
          g_assert_cmpuint (q, ==, ledger->front[e]); /* one after the other, none left out */
          ledger->front[e] = q + 1;
        }
    }
  fclose (pipe);
}

/* What must be there after the kill. A child may have died between an act and its line: so one more may be
 * stored, and one more delivered; and what was delivered may come again. */
static void
check_after_kill (SpoolFixture *self, Ledger *ledger, guint e)
{
  guint64 last = 0, after = 0, q, expected = 0;

  gw_spool_last (self->spool, kid_of (e), NULL, &last);
  g_assert_cmpuint (last, >=, ledger->stored[e]);
  g_assert_cmpuint (last, <=, ledger->stored[e] + 1);
  while ((q = take (self, e, &after)) != 0)
    {
      if (expected == 0)
        {
          g_assert_cmpuint (q, <=, ledger->front[e] + 1);
          ledger->front[e] = q;
        }
      else
        g_assert_cmpuint (q, ==, expected);
      expected = q + 1;
    }
  if (expected == 0)
    {
      g_assert_cmpuint (ledger->front[e] + 1, >=, last + 1);
      ledger->front[e] = last + 1;
    }
  else
    g_assert_cmpuint (expected, ==, last + 1);
  ledger->stored[e] = last;
}

#define CHILD_STARTS_MS 60000 /* a hanging one's end; a busy machine takes seconds */

static const char *self_path;

static void
test_kill (void)
{
  g_autofree char *dir = g_dir_make_tmp ("gw-spool-XXXXXX", NULL);
  SpoolFixture self = { .dir = dir };
  Ledger ledger = { .front = { 1, 1, 1, 1 } };
  guint cycles = g_test_slow () ? 1000 : 25;

  for (guint i = 0; i < cycles; i++)
    {
      char *argv[] = { (char *)self_path, (char *)"--child", dir, NULL };
      GPid pid;
      int out;

      g_assert_true (g_spawn_async_with_pipes (NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &pid,
                                               NULL, &out, NULL, NULL));
      if (i % 2 == 0) /* a child that has stored something; every other one dies at any moment of its start, too */
        g_assert_cmpint (poll (&(struct pollfd){ .fd = out, .events = POLLIN }, 1, CHILD_STARTS_MS), ==, 1);
      g_usleep ((gulong)g_test_rand_int_range (5000, 60000));
      g_assert_cmpint (kill (pid, SIGKILL), ==, 0);
      read_lines (out, &ledger);
      g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);

      spool_up (&self);
      g_assert_cmpuint (corrupt_drops (&self), ==, 0);
      for (guint e = 0; e < KILL_ENDPOINTS; e++)
        check_after_kill (&self, &ledger, e);
      spool_down (&self);
    }
  g_assert_cmpuint (ledger.stored[0] + ledger.stored[1] + ledger.stored[2] + ledger.stored[3], >=, (cycles + 1) / 2);
  g_test_message ("%u kills, %" G_GUINT64_FORMAT " records of endpoint 0 stored", cycles, ledger.stored[0]);
  remove_dir (dir);
}

#define ADD(name, func) g_test_add ("/spool-faults/" name, SpoolFixture, NULL, faults_up, func, fixture_down)

int
main (int argc, char **argv)
{
  if (argc == 3 && strcmp (argv[1], "--child") == 0)
    child_main (argv[2]);
  self_path = argv[0];
  g_test_init (&argc, &argv, NULL);
  ADD ("bit-flips", test_bit_flips);
  ADD ("truncation", test_truncation);
  ADD ("forged-record", test_forged_record);
  ADD ("killed-in-compaction", test_killed_in_compaction);
  ADD ("syncs", test_syncs);
  ADD ("short-writes", test_short_writes);
  ADD ("first-group-fails", test_first_group_fails);
  ADD ("failed-group-is-no-loss", test_failed_group_is_no_loss);
  ADD ("removed-files-are-no-loss", test_removed_files_are_no_loss);
  ADD ("faults", test_faults);
  ADD ("ghost", test_ghost);
  ADD ("failure-before-another", test_failure_before_another);
  ADD ("read-errors", test_read_errors);
  ADD ("retries", test_retries);
  ADD ("unreadable-at-start", test_unreadable_at_start);
  ADD ("foreign-files", test_foreign_files);
  g_test_add_func ("/spool-faults/kill", test_kill);
  return g_test_run ();
}
