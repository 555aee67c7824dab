/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The spool: durable appends a second from endpoints that wait for each acknowledgement, as the protocol has
 * it; the way through (append, next, ack); and how long a full spool takes to open. bench-spool [SECONDS]
 * [MIB]. One JSON object a line. */

#include <glib.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gw-spool.h"

#define PAYLOAD_LEN 120 /* a report of three points */

typedef struct Bench Bench;

typedef struct
{
  Bench *bench;
  guint8 kid[GW_SPOOL_KID_LEN];
  guint64 q;
  gint64 sent;
} Sender;

struct Bench
{
  char *dir;
  GwWriter *writer;
  GwSpool *spool;
  GBytes *payload;
  guint64 told;
  gboolean deliver;
  gint64 until;
  guint running;
  GArray *latencies; /* of gint64 */
};

static void
open_spool (Bench *self, guint64 max_bytes)
{
  const GwSpoolLimits limits = { .max_bytes = max_bytes };
  GError *error = NULL;

  self->writer = gw_writer_new (NULL, NULL);
  self->spool = gw_spool_open (self->dir, &limits, self->writer, &error);
  if (self->spool == NULL)
    g_error ("%s", error->message);
}

static void
close_spool (Bench *self)
{
  gw_writer_stop (self->writer);
  gw_spool_free (self->spool);
  gw_writer_free (self->writer);
}

static void send_one (Sender *sender);

static void
deliver (Bench *self, const Sender *sender)
{
  g_auto (GwSpoolRecord) record = { 0 };

  if (gw_spool_next (self->spool, sender->kid, 0, &record, NULL) == 1)
    gw_spool_ack (self->spool, sender->kid, record.seq);
}

static void
told (gpointer data, const GError *error)
{
  Sender *sender = data;
  Bench *self = sender->bench;
  gint64 now = g_get_monotonic_time (), took = now - sender->sent;

  if (error != NULL)
    g_error ("%s", error->message);
  self->told++;
  g_array_append_val (self->latencies, took);
  if (self->deliver)
    deliver (self, sender);
  if (now < self->until)
    send_one (sender);
  else
    self->running--;
}

static void
send_one (Sender *sender)
{
  static const guint8 boot[GW_SPOOL_BOOT_LEN] = { 1, 2, 3, 4 };
  Bench *self = sender->bench;
  GError *error = NULL;

  sender->sent = g_get_monotonic_time ();
  if (!gw_spool_append (self->spool, sender->kid, boot, ++sender->q, g_get_real_time (), GW_SPOOL_REPORT, 0,
                        self->payload, told, sender, &error))
    g_error ("%s", error->message);
}

static Sender *
make_senders (Bench *self, guint n)
{
  Sender *senders = g_new0 (Sender, n);

  for (guint i = 0; i < n; i++)
    {
      senders[i].bench = self;
      memset (senders[i].kid, 0x20, sizeof senders[i].kid);
      memcpy (senders[i].kid, &i, sizeof i);
      senders[i].kid[GW_SPOOL_KID_LEN - 1] = 1; /* all zeros is nobody */
    }
  return senders;
}

static gint
compare_times (gconstpointer a, gconstpointer b)
{
  gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;
  return x < y ? -1 : x > y;
}

static void
clear_dir (Bench *self)
{
  GDir *listing = g_dir_open (self->dir, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (listing)) != NULL)
    {
      g_autofree char *path = g_build_filename (self->dir, name, NULL);
      g_unlink (path);
    }
  g_dir_close (listing);
}

static void
bench_appends (Bench *self, guint endpoints, gboolean through, double seconds)
{
  g_autofree Sender *senders = make_senders (self, endpoints);
  gint64 begin = g_get_monotonic_time ();
  GwWriterStats stats;

  open_spool (self, G_GUINT64_CONSTANT (4) << 30);
  self->told = 0;
  self->deliver = through;
  self->until = begin + (gint64)(seconds * G_USEC_PER_SEC);
  self->running = endpoints;
  g_array_set_size (self->latencies, 0);
  for (guint i = 0; i < endpoints; i++)
    send_one (&senders[i]);
  while (self->running > 0)
    g_main_context_iteration (NULL, TRUE);
  gw_writer_get_stats (self->writer, &stats);
  g_array_sort (self->latencies, compare_times);
  g_print ("{\"bench\": \"spool-%s\", \"endpoints\": %u, \"per_second\": %.0f, \"commits_per_second\": %.0f, "
           "\"p50_ms\": %.2f, \"p99_ms\": %.2f}\n",
           through ? "through" : "append", endpoints,
           (double)self->told / ((double)(g_get_monotonic_time () - begin) / G_USEC_PER_SEC),
           (double)stats.groups / seconds,
           (double)g_array_index (self->latencies, gint64, self->latencies->len / 2) / 1000,
           (double)g_array_index (self->latencies, gint64, self->latencies->len * 99 / 100) / 1000);
  close_spool (self);
  clear_dir (self);
}

static void
bench_recovery (Bench *self, guint mib)
{
  g_autofree Sender *senders = make_senders (self, 100);
  guint64 size = 0, records;
  GwSpoolStats stats;
  gint64 begin, took;
  clock_t cpu;

  open_spool (self, G_GUINT64_CONSTANT (4) << 30);
  self->deliver = FALSE;
  while (size < (guint64)mib << 20)
    {
      self->until = 0;
      self->running = 100;
      for (guint i = 0; i < 100; i++)
        send_one (&senders[i]);
      while (self->running > 0)
        g_main_context_iteration (NULL, TRUE);
      gw_spool_get_stats (self->spool, &stats);
      size = stats.disk_bytes;
    }
  close_spool (self);
  begin = g_get_monotonic_time ();
  cpu = clock ();
  open_spool (self, G_GUINT64_CONSTANT (4) << 30);
  took = g_get_monotonic_time () - begin;
  cpu = clock () - cpu;
  gw_spool_get_stats (self->spool, &stats);
  records = stats.sum.queued;
  g_print ("{\"bench\": \"spool-recovery\", \"mib\": %.1f, \"records\": %" G_GUINT64_FORMAT ", \"ms\": %.1f, "
           "\"cpu_ms\": %.1f}\n",
           (double)size / (1 << 20), records, (double)took / 1000, (double)cpu * 1000 / CLOCKS_PER_SEC);
  close_spool (self);
  clear_dir (self);
}

int
main (int argc, char **argv)
{
  double seconds = argc > 1 ? atof (argv[1]) : 2;
  guint mib = argc > 2 ? (guint)atoi (argv[2]) : 64;
  Bench self = { 0 };
  guint8 payload[PAYLOAD_LEN] = { 0 };

  self.dir = g_dir_make_tmp ("gw-bench-XXXXXX", NULL);
  self.payload = g_bytes_new (payload, sizeof payload);
  self.latencies = g_array_new (FALSE, FALSE, sizeof (gint64));
  for (guint endpoints = 1; endpoints <= 1000; endpoints *= 10)
    {
      bench_appends (&self, endpoints, FALSE, seconds);
      bench_appends (&self, endpoints, TRUE, seconds);
    }
  bench_recovery (&self, mib);
  g_rmdir (self.dir);
  g_free (self.dir);
  g_bytes_unref (self.payload);
  g_array_unref (self.latencies);
  return 0;
}
