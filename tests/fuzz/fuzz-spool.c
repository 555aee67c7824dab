/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: a segment of the spool as found at start. The input is the file, but for its first octet:
 * unless that is odd, checksums are made right first, so that what lies behind them is reached. Whatever is
 * found, the spool opens, gives out what it has, takes a record and finds the same again after a restart. */
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gw-reader.h"
#include "gw-spool-codec.h"
#include "gw-spool.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static const GwSpoolSegmentId id = { .number = 1, .salt = 0x5eed };
static char *dir;

static int
plain_open (int dirfd, const char *name, int flags, mode_t mode)
{
  return openat (dirfd, name, flags, mode);
}

static int
no_sync (int fd)
{
  return 0;
}

static const GwSpoolIo io = { plain_open, pwrite, pread, ftruncate, no_sync, no_sync, unlinkat };

static void
empty_dir (void)
{
  g_autoptr (GDir) listing = g_dir_open (dir, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (listing)) != NULL)
    {
      g_autofree char *path = g_build_filename (dir, name, NULL);
      g_unlink (path);
    }
}

static void
make_dir (void)
{
  dir = g_dir_make_tmp ("gw-fuzz-spool-XXXXXX", NULL);
  if (dir == NULL)
    abort ();
}

static void
drop_dir (void)
{
  empty_dir ();
  g_rmdir (dir);
  g_free (dir);
}

/* Gives each record, wherever its mark stands and its length fits, the checksum it should have. */
static void
repair (uint8_t *data, size_t size)
{
  for (size_t at = gw_spool_codec_find (data, size, 0); at < size;
       at = gw_spool_codec_find (data, size, at + 1))
    {
      uint8_t place[20];
      GwReader r;
      size_t len;

      if (size - at < GW_SPOOL_HEADER_LEN)
        return;
      gw_reader_init (&r, data + at + 8, 4);
      len = (size_t)gw_reader_u32be (&r) + GW_SPOOL_HEADER_LEN;
      if (len > size - at)
        continue;
      gw_put_u64be (place, id.number);
      gw_put_u64be (place + 8, id.salt);
      gw_put_u32be (place + 16, (uint32_t)at);
      gw_put_u32be (data + at + 4, gw_spool_codec_crc32c (gw_spool_codec_crc32c (0, place, sizeof place),
                                                          data + at + 8, len - 8));
    }
}

typedef struct
{
  GwSpool *spool;
  guint64 records;
  guint64 sum; /* of their numbers: to compare */
} Census;

static void
count_endpoint (const guint8 *kid, guint64 queued, guint64 bytes, gint64 oldest, gpointer user_data)
{
  Census *census = user_data;
  guint64 after = 0, seen = 0;

  for (;;)
    {
      g_auto (GwSpoolRecord) record = { 0 };
      int rc = gw_spool_next (census->spool, kid, after, &record, NULL);

      if (rc == 0)
        break;
      if (rc < 0 || record.seq <= after || memcmp (record.kid, kid, sizeof record.kid) != 0)
        abort ();
      after = record.seq;
      seen++;
      census->sum += record.seq ^ record.q;
    }
  if (seen != queued)
    abort ();
  census->records += seen;
}

static GwSpool *
open_and_count (GwWriter *writer, Census *census)
{
  const GwSpoolLimits limits = { .segment_bytes = 4096, .io = &io, .max_bytes = G_MAXINT64 };
  GwSpool *spool = gw_spool_open (dir, &limits, writer, NULL);
  GwSpoolStats stats;

  if (spool == NULL)
    abort ();
  *census = (Census){ .spool = spool };
  gw_spool_stranded (spool, G_MAXINT64, count_endpoint, census);
  gw_spool_get_stats (spool, &stats);
  if (stats.sum.queued != census->records)
    abort ();
  return spool;
}

static void
close_all (GwSpool *spool, GwWriter *writer)
{
  gw_writer_stop (writer);
  gw_spool_free (spool);
  gw_writer_free (writer);
}

static void
told (gpointer data, const GError *error)
{
  *(int *)data = error == NULL ? 1 : -1;
}

/* Takes a record of an endpoint that the input does not know, with the boot it cannot have had. */
static void
take_one (GwSpool *spool, GwWriter *writer)
{
  static const guint8 kid[GW_SPOOL_KID_LEN] = { 0xf0, 0x55 }, boot[GW_SPOOL_BOOT_LEN] = { 9, 9, 9, 9 };
  g_autoptr (GBytes) payload = g_bytes_new_static ("x", 1);
  int result = 0;

  if (!gw_spool_append (spool, kid, boot, G_MAXUINT64, 1, GW_SPOOL_REPORT, 0, payload, told, &result, NULL))
    abort ();
  gw_writer_flush (writer);
  if (result != 1)
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree uint8_t *file = NULL;
  g_autofree char *path = NULL;
  char name[GW_SPOOL_NAME_LEN + 1];
  Census first, second;
  GwWriter *writer;
  GwSpool *spool;

  if (size == 0 || size > 65536)
    return 0;
  if (dir == NULL)
    {
      make_dir ();
      atexit (drop_dir);
    }
  empty_dir ();
  file = g_memdup2 (data + 1, size - 1);
  if ((data[0] & 1) == 0)
    repair (file, size - 1);
  gw_spool_codec_print_name (&id, name);
  path = g_build_filename (dir, name, NULL);
  if (!g_file_set_contents (path, (const char *)file, (gssize)size - 1, NULL))
    abort ();

  writer = gw_writer_new (NULL, NULL);
  spool = open_and_count (writer, &first);
  take_one (spool, writer);
  close_all (spool, writer);
  writer = gw_writer_new (NULL, NULL);
  spool = open_and_count (writer, &second);
  if (second.records != first.records + 1)
    abort ();
  close_all (spool, writer);
  return 0;
}
