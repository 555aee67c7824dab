/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the spool's tests share: a spool in a folder of its own, and records whose payload tells what they
 * are. */

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "gw-error.h"
#include "gw-spool-codec.h"
#include "gw-spool.h"

#define T0 (G_GINT64_CONSTANT (1790000000) * G_USEC_PER_SEC)

typedef struct
{
  char *dir;
  GwWriter *writer;
  GwSpool *spool;
  GwSpoolLimits limits;
  guint durable; /* appends told durable */
  guint failed;
  int last_code;
} SpoolFixture;

static inline void
remove_files (const char *dir)
{
  g_autoptr (GDir) listing = g_dir_open (dir, 0, NULL);
  const char *name;

  while (listing != NULL && (name = g_dir_read_name (listing)) != NULL)
    {
      g_autofree char *path = g_build_filename (dir, name, NULL);
      g_assert_cmpint (g_unlink (path), ==, 0);
    }
}

static inline void
remove_dir (const char *dir)
{
  remove_files (dir);
  g_rmdir (dir);
}

static inline void
spool_up (SpoolFixture *self)
{
  g_autoptr (GError) error = NULL;

  self->writer = gw_writer_new (NULL, NULL);
  self->spool = gw_spool_open (self->dir, &self->limits, self->writer, &error);
  g_assert_no_error (error);
}

/* What is kept as it changes is what the endpoints sum up to. */
static inline void
assert_totals (SpoolFixture *self)
{
  GwSpoolTotals totals;
  GwSpoolStats stats;

  gw_spool_get_totals (self->spool, &totals);
  gw_spool_get_stats (self->spool, &stats);
  g_assert_cmpuint (totals.bytes, ==, stats.sum.bytes);
  g_assert_cmpuint (totals.stored, ==, stats.sum.stored);
  g_assert_cmpuint (totals.acked, ==, stats.sum.acked);
}

static inline void
spool_down (SpoolFixture *self)
{
  assert_totals (self);
  gw_writer_stop (self->writer);
  g_clear_pointer (&self->spool, gw_spool_free);
  g_clear_pointer (&self->writer, gw_writer_free);
}

static inline void
spool_again (SpoolFixture *self)
{
  spool_down (self);
  spool_up (self);
}

static inline void
fixture_up (SpoolFixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  memset (self, 0, sizeof *self);
  self->dir = g_dir_make_tmp ("gw-spool-XXXXXX", &error);
  g_assert_no_error (error);
  if (data != NULL)
    self->limits = *(const GwSpoolLimits *)data;
  spool_up (self);
}

static inline void
fixture_down (SpoolFixture *self, gconstpointer data)
{
  if (self->spool != NULL)
    spool_down (self);
  remove_dir (self->dir);
  g_free (self->dir);
}

static inline const guint8 *
kid_of (guint endpoint)
{
  static guint8 kid[GW_SPOOL_KID_LEN];

  memset (kid, 0x20, sizeof kid);
  memcpy (kid, &endpoint, sizeof endpoint);
  return kid;
}

static inline const guint8 *
boot_of (guint boot)
{
  static guint8 octets[GW_SPOOL_BOOT_LEN];

  memcpy (octets, &boot, sizeof octets);
  return octets;
}

/* The payload that record (endpoint, boot, q) has, of 20 to 220 octets. */
static inline GBytes *
payload_of (guint endpoint, guint boot, guint64 q)
{
  GString *text = g_string_new (NULL);

  g_string_printf (text, "%u/%u/%" G_GUINT64_FORMAT "/", endpoint, boot, q);
  for (guint n = (guint)((q * 37 + endpoint * 11) % 200); n > 0; n--)
    g_string_append_c (text, (char)('a' + n % 26));
  return g_string_free_to_bytes (text);
}

static inline void
told (gpointer data, const GError *error)
{
  SpoolFixture *self = data;

  if (error == NULL)
    self->durable++;
  else
    {
      self->failed++;
      self->last_code = error->code;
    }
}

static inline gboolean
try_put (SpoolFixture *self, guint endpoint, guint boot, guint64 q, GError **error)
{
  g_autoptr (GBytes) payload = payload_of (endpoint, boot, q);
  return gw_spool_append (self->spool, kid_of (endpoint), boot_of (boot), q, T0 + (gint64)q * G_USEC_PER_SEC,
                          GW_SPOOL_REPORT, 0, payload, told, self, error);
}

static inline void
put (SpoolFixture *self, guint endpoint, guint boot, guint64 q)
{
  g_autoptr (GError) error = NULL;
  g_assert_true (try_put (self, endpoint, boot, q, &error));
  g_assert_no_error (error);
}

static inline void
flush (SpoolFixture *self)
{
  gw_writer_flush (self->writer);
  assert_totals (self);
}

/* A record is what it says it is; returns its q. */
static inline guint64
check_record (const GwSpoolRecord *record)
{
  guint endpoint, boot;

  memcpy (&endpoint, record->kid, sizeof endpoint);
  memcpy (&boot, record->boot, sizeof boot);
  g_autoptr (GBytes) expected = payload_of (endpoint, boot, record->q);
  g_assert_true (g_bytes_equal (expected, record->payload));
  g_assert_cmpint (record->time, ==, T0 + (gint64)record->q * G_USEC_PER_SEC);
  g_assert_cmpint (record->kind, ==, GW_SPOOL_REPORT);
  return record->q;
}

/* The next record after *after, whose q is returned; 0: none. */
static inline guint64
take (SpoolFixture *self, guint endpoint, guint64 *after)
{
  g_autoptr (GError) error = NULL;
  g_auto (GwSpoolRecord) record = { 0 };
  int rc = gw_spool_next (self->spool, kid_of (endpoint), *after, &record, &error);

  g_assert_no_error (error);
  if (rc == 0)
    return 0;
  g_assert_cmpmem (record.kid, sizeof record.kid, kid_of (endpoint), GW_SPOOL_KID_LEN);
  g_assert_cmpuint (record.seq, >, *after);
  *after = record.seq;
  return check_record (&record);
}

static inline guint64
take_and_ack (SpoolFixture *self, guint endpoint)
{
  guint64 seq = 0, q = take (self, endpoint, &seq);

  if (q != 0)
    gw_spool_ack (self->spool, kid_of (endpoint), seq);
  return q;
}

/* The queue of an endpoint is exactly first .. last; first > last: empty. */
static inline void
assert_queue (SpoolFixture *self, guint endpoint, guint64 first, guint64 last)
{
  GwSpoolCounters counters;
  guint64 after = 0;

  for (guint64 q = first; q <= last; q++)
    g_assert_cmpuint (take (self, endpoint, &after), ==, q);
  g_assert_cmpuint (take (self, endpoint, &after), ==, 0);
  gw_spool_get_counters (self->spool, kid_of (endpoint), &counters);
  g_assert_cmpuint (counters.queued, ==, first > last ? 0 : last - first + 1);
  if (first > last)
    g_assert_cmpuint (counters.bytes, ==, 0);
}

static inline void
assert_last (SpoolFixture *self, guint endpoint, guint boot, guint64 q)
{
  guint8 octets[GW_SPOOL_BOOT_LEN];
  guint64 last = 0;

  g_assert_true (gw_spool_last (self->spool, kid_of (endpoint), octets, &last));
  g_assert_cmpuint (last, ==, q);
  g_assert_cmpmem (octets, sizeof octets, boot_of (boot), GW_SPOOL_BOOT_LEN);
}

static inline guint
count_files (const char *dir)
{
  g_autoptr (GDir) listing = g_dir_open (dir, 0, NULL);
  guint n = 0;

  while (g_dir_read_name (listing) != NULL)
    n++;
  return n;
}
