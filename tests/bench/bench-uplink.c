// SPDX-License-Identifier: LGPL-2.1-or-later
/* What an uplink costs, against a real mosquitto on the same machine. Argument: number of endpoints. Prints
 * one JSON object a line: all connecting at once (signature by the bench itself, its time not counted), all
 * again by their tickets, and publishing with full windows; CPU is this process's, memory is per endpoint. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "gw-test-uplink.h"

#define PUBLISHES 200 /* each */

typedef struct
{
  GwTestStage *stage;
  GwTestEndpoint **e;
  guint n;
  gint64 longest; /* turn of the loop, in nanoseconds of CPU time */
} Bench;

static gint64
cpu_time (void)
{
  struct rusage usage;

  getrusage (RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * G_USEC_PER_SEC + usage.ru_utime.tv_usec
         + usage.ru_stime.tv_usec;
}

static gint64
resident (void)
{
  g_autofree char *text = NULL;

  g_file_get_contents ("/proc/self/statm", &text, NULL, NULL);
  return g_ascii_strtoll (strchr (text, ' '), NULL, 10) * 4096;
}

static guint
n_descriptors (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir))
    n++;
  return n;
}

/* Not the clock on the wall: what else the machine does is not the loop's fault. */
static gint64
thread_time (void)
{
  struct timespec now;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static gboolean
on_tick (gpointer data)
{
  return G_SOURCE_CONTINUE;
}

/* One turn of the loop; waits for work, but not longer than the tick.
 */
static void
turn (Bench *b)
{
  gint64 begin = thread_time ();

  g_main_context_iteration (b->stage->context, TRUE);
  b->longest = MAX (b->longest, thread_time () - begin);
}

static guint
n_in_state (Bench *b, GwUplinkState state)
{
  guint n = 0;

  for (guint i = 0; i < b->n; i++)
    n += gw_uplink_get_state (b->e[i]->uplink) == state;
  return n;
}

static void
wait_online (Bench *b)
{
  for (guint turns = 0; turns % 16 || n_in_state (b, GW_UPLINK_ONLINE) < b->n; turns++)
    turn (b);
}

/* Signing is the endpoint's work: held back, done for all at once, and its CPU time returned. */
static gint64
sign_all (Bench *b)
{
  gint64 cpu = 0;

  for (guint left = b->n; left;)
    {
      turn (b);
      for (guint i = 0; i < b->n; i++)
        if (gw_uplink_get_state (b->e[i]->uplink) == GW_UPLINK_SIGNING && b->e[i]->n_signed)
          {
            gint64 begin = cpu_time ();
            gsize len;
            g_autofree guint8 *sig = gw_test_cert_sign (b->e[i]->cert, b->e[i]->th, b->e[i]->th_len, &len);

            cpu += cpu_time () - begin;
            gw_uplink_signed (b->e[i]->uplink, b->e[i]->serial, sig, len, NULL);
            left--;
          }
    }
  return cpu;
}

static void
bench_connect (Bench *b)
{
  gint64 rss = resident (), cpu = cpu_time (), begin = g_get_monotonic_time (), signing;
  guint fds = n_descriptors ();

  for (guint i = 0; i < b->n; i++)
    gw_uplink_start (b->e[i]->uplink);
  signing = sign_all (b);
  wait_online (b);
  printf ("{\"bench\": \"uplink-connect\", \"endpoints\": %u, \"seconds\": %.2f, \"cpu_us_each\": %.0f, "
          "\"rss_kib_each\": %.1f, \"fds_each\": %.1f, \"longest_turn_cpu_ms\": %.1f, \"threads\": %u}\n",
          b->n, (double)(g_get_monotonic_time () - begin) / 1e6, (double)(cpu_time () - cpu - signing) / b->n,
          (double)(resident () - rss) / 1024 / b->n, (double)(n_descriptors () - fds) / b->n,
          (double)b->longest / 1e6, gw_test_n_threads ());
}

static void
bench_publish (Bench *b)
{
  static const guint8 payload[100] = { 0 };
  gint64 cpu = cpu_time (), begin = g_get_monotonic_time ();
  guint64 sent = 0, done = 0;

  b->longest = 0;
  while (done < (guint64)b->n * PUBLISHES)
    {
      done = 0;
      for (guint i = 0; i < b->n; i++)
        {
          GwTestEndpoint *e = b->e[i];

          while (gw_uplink_room (e->uplink) && e->n_ready < PUBLISHES
                 && gw_uplink_publish (e->uplink, "t", payload, sizeof payload, 1, FALSE, 0, NULL, NULL))
            {
              e->n_ready++; /* the bench's own use of the counter: sent */
              sent++;
            }
          done += e->n_published;
        }
      turn (b);
    }
  printf ("{\"bench\": \"uplink-publish\", \"endpoints\": %u, \"publishes\": %" G_GUINT64_FORMAT
          ", \"per_second\": %.0f, \"cpu_us_each\": %.1f, \"longest_turn_cpu_ms\": %.1f, \"untamed\": %u}\n",
          b->n, sent, (double)sent * 1e6 / (double)(g_get_monotonic_time () - begin),
          (double)(cpu_time () - cpu) / (double)sent, (double)b->longest / 1e6, gw_mqtt_n_untamed ());
}

static void
bench_resume (Bench *b)
{
  gint64 cpu = cpu_time (), begin = g_get_monotonic_time ();
  guint asked = 0;

  b->longest = 0;
  for (guint i = 0; i < b->n; i++)
    {
      b->e[i]->signing = GW_TEST_SIGN_NOW;
      b->e[i]->n_signed = 0;
      gw_uplink_reconnect (b->e[i]->uplink);
    }
  wait_online (b);
  for (guint i = 0; i < b->n; i++)
    asked += b->e[i]->n_signed;
  printf ("{\"bench\": \"uplink-resume\", \"endpoints\": %u, \"seconds\": %.2f, \"cpu_us_each\": %.0f, "
          "\"signatures\": %u, \"longest_turn_cpu_ms\": %.1f}\n",
          b->n, (double)(g_get_monotonic_time () - begin) / 1e6, (double)(cpu_time () - cpu) / b->n, asked,
          (double)b->longest / 1e6);
}

int
main (int argc, char **argv)
{
  Bench b = { .n = argc > 1 ? (guint)atoi (argv[1]) : 500 };
  g_autoptr (GSource) tick = NULL;
  struct rlimit files;

  getrlimit (RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit (RLIMIT_NOFILE, &files);
  b.stage = gw_test_stage_new ();
  tick = g_timeout_source_new (2);
  g_source_set_callback (tick, on_tick, NULL, NULL);
  g_source_attach (tick, b.stage->context);
  b.e = g_new0 (GwTestEndpoint *, b.n + 1);
  for (guint i = 0; i < b.n; i++)
    {
      g_autofree char *name = g_strdup_printf ("bench-%u", i);

      b.e[i] = gw_test_endpoint_new (b.stage, name, NULL);
      b.e[i]->signing = GW_TEST_SIGN_HOLD;
    }
  bench_connect (&b);
  bench_publish (&b);
  bench_resume (&b);
  for (guint i = 0; i < b.n; i++)
    gw_test_endpoint_free (b.e[i]);
  g_free (b.e);
  g_source_destroy (tick);
  gw_test_stage_free (b.stage);
  return 0;
}
