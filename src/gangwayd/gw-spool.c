/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The spool as the main thread sees it: for each endpoint an array of what is queued, oldest first; each
 * entry says in which segment it lies. Entries appear when the writer has told that they are durable and go
 * when the broker has acknowledged them, from the front: the endpoint's cursor is the last that has gone, and
 * is what is written down.
 *
 * Ownership: the spool owns endpoints and the cache; an operation on its way through the writer owns itself
 * and is freed in its done callback. Segments are shared with the log by reference; live, live_bytes and
 * moving in them belong to this file. */

#include "gw-spool-private.h"

#include <string.h>

#include "gw-error.h"

#define MAX_BYTES_DEFAULT (G_GUINT64_CONSTANT (256) << 20)
#define CACHE_BYTES_DEFAULT (G_GUINT64_CONSTANT (4) << 20)
#define SEGMENT_BYTES_DEFAULT (8u << 20)
#define SEGMENT_BYTES_MIN 4096u
#define SEGMENT_BYTES_MAX (256u << 20)
#define READ_TRIES_MAX 3 /* then an unreadable record counts as corrupt */

G_STATIC_ASSERT (GW_SPOOL_DROP_N <= GW_SPOOL_DROPS);
G_STATIC_ASSERT (GW_SPOOL_PAYLOAD_MAX == GW_SPOOL_RECORD_PAYLOAD_MAX);
G_STATIC_ASSERT ((int)GW_SPOOL_REPORT == GW_SPOOL_RECORD_REPORT
                 && (int)GW_SPOOL_EVENT == GW_SPOOL_RECORD_EVENT);

/* Appending */

typedef struct
{
  GwSpool *spool;
  GwSpoolEndpoint *endpoint;
  GwSpoolAppend op;
  GwWriterDone done;
  gpointer data;
} Append;

static gboolean
run_append (gpointer data, gpointer log, GError **error)
{
  Append *append = data;
  return gw_spool_log_append (log, &append->op, error);
}

static guint32
to_seconds (gint64 time)
{
  return (guint32)CLAMP ((time + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC, 0, G_MAXUINT32);
}

static void
add_entry (GwSpool *self,
           GwSpoolEndpoint *endpoint,
           const GwSpoolHeader *header,
           GwSpoolSegment *segment,
           guint32 offset)
{
  guint32 size = (guint32)gw_spool_codec_size (header);
  GwSpoolEntry entry = { .seq = header->seq, .seconds = to_seconds (header->time) };

  gw_spool_settle (self, &entry, segment, offset, size);
  g_array_append_val (endpoint->entries, entry);
  endpoint->counters.queued++;
  endpoint->counters.bytes += size;
  self->queued_bytes += size;
}

static void
stored (GwSpool *self, Append *append)
{
  GwSpoolEndpoint *endpoint = append->endpoint;
  const GwSpoolHeader *header = &append->op.header;

  memcpy (endpoint->state.boot, header->boot, GW_SPOOL_BOOT_LEN);
  endpoint->state.has_last = TRUE;
  endpoint->state.q = header->q;
  endpoint->state.lost += header->lost;
  endpoint->counters.stored++;
  self->stored++;
  add_entry (self, endpoint, header, append->op.place.segment, append->op.place.offset);
  gw_spool_cache_entry (self, endpoint, gw_spool_get_entry (endpoint, endpoint->entries->len - 1), header,
                        append->op.payload);
  gw_spool_trim_cache (self);
}

static void
use_durable_last (GwSpoolEndpoint *endpoint)
{
  endpoint->next_any = endpoint->state.has_last;
  endpoint->next_q = endpoint->state.q;
  memcpy (endpoint->next_boot, endpoint->state.boot, GW_SPOOL_BOOT_LEN);
}

static void
done_append (gpointer data, const GError *error)
{
  Append *append = data;
  GwSpool *self = append->spool;
  GwSpoolEndpoint *endpoint = append->endpoint;

  endpoint->pending--;
  if (!append->op.duplicate)
    {
      gsize size = gw_spool_codec_size (&append->op.header);
      endpoint->reserved -= size;
      self->reserved -= size;
      if (error == NULL)
        stored (self, append);
    }
  else if (error == NULL)
    endpoint->counters.duplicates++;
  if (error != NULL || endpoint->pending == 0)
    use_durable_last (endpoint);
  if (error == NULL)
    gw_spool_see_segment (self, append->op.place.segment);
  g_clear_pointer (&append->op.place.segment, gw_spool_segment_unref);
  if (append->done != NULL)
    append->done (append->data, error);
  g_bytes_unref (append->op.payload);
  g_free (append);
}

static gboolean
check_limits (GwSpool *self, GwSpoolEndpoint *endpoint, gsize size, GError **error)
{
  guint64 used = self->queued_bytes + self->reserved + size;
  guint64 mine = endpoint->counters.bytes + endpoint->reserved + size;

  if (used > self->max_bytes)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_LIMIT,
                   "The spool is full (%" G_GUINT64_FORMAT
                   " octets); endpoints keep their records until the broker "
                   "takes some",
                   self->queued_bytes);
      return FALSE;
    }
  if (mine > self->max_bytes - used
      || (self->max_bytes_per_endpoint > 0 && mine > self->max_bytes_per_endpoint))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_LIMIT,
                   "The endpoint's share of the spool is full (%" G_GUINT64_FORMAT
                   " octets); it keeps its records "
                   "until the broker takes some",
                   endpoint->counters.bytes);
      return FALSE;
    }
  if (!gw_writer_is_busy (self->writer))
    return TRUE;
  g_set_error (error, GW_ERROR, GW_ERROR_BUSY, "The disk does not keep up; the endpoint may try again");
  return FALSE;
}

static gboolean
check_record (const GwSpoolHeader *header, GError **error)
{
  static const guint8 nobody[GW_SPOOL_KID_LEN];

  if ((header->kind == GW_SPOOL_RECORD_REPORT || header->kind == GW_SPOOL_RECORD_EVENT)
      && header->payload_len <= GW_SPOOL_PAYLOAD_MAX && memcmp (header->kid, nobody, sizeof nobody) != 0)
    return TRUE;
  g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "A record of kind %u with %u octets cannot be spooled",
               header->kind, header->payload_len);
  return FALSE;
}

/* Hands it to the writer. What is pushed next goes after it. */
static void
push_append (GwSpool *self, GwSpoolEndpoint *endpoint, Append *append)
{
  const GwSpoolHeader *header = &append->op.header;

  append->spool = self;
  append->endpoint = endpoint;
  append->op.after_any = endpoint->next_any;
  append->op.after_q = endpoint->next_q;
  memcpy (append->op.after_boot, endpoint->next_boot, GW_SPOOL_BOOT_LEN);
  endpoint->pending++;
  if (!append->op.duplicate)
    {
      endpoint->next_any = TRUE;
      endpoint->next_q = header->q;
      memcpy (endpoint->next_boot, header->boot, GW_SPOOL_BOOT_LEN);
      endpoint->reserved += gw_spool_codec_size (header);
      self->reserved += gw_spool_codec_size (header);
    }
  gw_writer_push_log (self->writer, !append->op.duplicate, run_append, done_append, append);
}

gboolean
gw_spool_append (GwSpool *self,
                 const guint8 *kid,
                 const guint8 *boot,
                 guint64 q,
                 gint64 time,
                 GwSpoolKind kind,
                 GwSpoolFlags flags,
                 GBytes *payload,
                 GwWriterDone done,
                 gpointer data,
                 GError **error)
{
  GwSpoolHeader header = {
    .kind = (guint8)kind,
    .flags = flags & GW_SPOOL_FLAG_CLOCK_INVALID,
    .time = time,
    .q = q,
    .payload_len = (guint32)MIN (g_bytes_get_size (payload), G_MAXUINT32),
  };
  GwSpoolEndpoint *endpoint;
  gboolean duplicate;
  Append *append;

  memcpy (header.kid, kid, sizeof header.kid);
  memcpy (header.boot, boot, sizeof header.boot);
  if (!check_record (&header, error))
    return FALSE;
  endpoint = gw_spool_get_endpoint (self, kid);
  duplicate = endpoint->next_any && q <= endpoint->next_q
              && memcmp (endpoint->next_boot, boot, GW_SPOOL_BOOT_LEN) == 0;
  if (!duplicate && !check_limits (self, endpoint, gw_spool_codec_size (&header), error))
    {
      endpoint->counters.refused++;
      return FALSE;
    }
  append = g_new0 (Append, 1);
  append->done = done;
  append->data = data;
  append->op.header = header;
  append->op.payload = g_bytes_ref (payload);
  append->op.duplicate = duplicate;
  push_append (self, endpoint, append);
  return TRUE;
}

gboolean
gw_spool_last (GwSpool *self, const guint8 *kid, guint8 *boot, guint64 *q)
{
  const GwSpoolEndpoint *endpoint = g_hash_table_lookup (self->endpoints, kid);

  if (endpoint == NULL || !endpoint->state.has_last)
    return FALSE;
  if (boot != NULL)
    memcpy (boot, endpoint->state.boot, GW_SPOOL_BOOT_LEN);
  if (q != NULL)
    *q = endpoint->state.q;
  return TRUE;
}

/* Delivery */

static void
fill_record (GwSpoolRecord *out, const GwSpoolHeader *header, GBytes *payload)
{
  *out = (GwSpoolRecord){
    .seq = header->seq,
    .q = header->q,
    .time = header->time,
    .kind = (GwSpoolKind)header->kind,
    .flags = header->flags & GW_SPOOL_FLAG_CLOCK_INVALID,
    .payload = payload,
  };
  memcpy (out->kid, header->kid, sizeof out->kid);
  memcpy (out->boot, header->boot, sizeof out->boot);
}

/* 1: filled; 0: the record is unreadable for good; -1: try again later. */
static int
read_entry (GwSpool *self, GwSpoolEntry *entry, GwSpoolRecord *out, GError **error)
{
  GwSpoolHeader header;
  GBytes *payload;
  int rc;

  if (entry->cached != NULL)
    {
      fill_record (out, &entry->cached->header, g_bytes_ref (entry->cached->payload));
      return 1;
    }
  rc = gw_spool_segment_read (entry->segment, self->io, entry->offset, entry->size, &header, &payload, error);
  if (rc < 0 && ++entry->read_errors >= READ_TRIES_MAX)
    {
      g_clear_error (error);
      return 0;
    }
  if (rc > 0)
    fill_record (out, &header, payload);
  return rc;
}

int
gw_spool_next (GwSpool *self, const guint8 *kid, guint64 after, GwSpoolRecord *out, GError **error)
{
  GwSpoolEndpoint *endpoint = g_hash_table_lookup (self->endpoints, kid);
  gboolean dropped = FALSE;
  int rc = 0;

  memset (out, 0, sizeof *out);
  if (endpoint == NULL)
    return 0;
  for (guint i = gw_spool_find_entry (endpoint, after); i < endpoint->entries->len; i++)
    {
      g_autoptr (GError) local = NULL;
      GwSpoolEntry *entry = gw_spool_get_entry (endpoint, i);

      if (entry->state != GW_SPOOL_QUEUED)
        continue;
      rc = read_entry (self, entry, out, &local);
      if (rc < 0)
        g_propagate_error (error, g_steal_pointer (&local));
      if (rc != 0)
        break;
      gw_spool_leave (self, endpoint, entry, GW_SPOOL_GIVEN_UP + GW_SPOOL_DROP_CORRUPT);
      dropped = TRUE;
    }
  if (dropped)
    {
      gw_spool_advance (self, endpoint);
      gw_spool_after_leaving (self);
    }
  return rc;
}

void
gw_spool_record_clear (GwSpoolRecord *record)
{
  g_clear_pointer (&record->payload, g_bytes_unref);
}

void
gw_spool_ack (GwSpool *self, const guint8 *kid, guint64 seq)
{
  GwSpoolEndpoint *endpoint = g_hash_table_lookup (self->endpoints, kid);
  GwSpoolEntry *entry = endpoint == NULL ? NULL : gw_spool_find_exact (endpoint, seq);

  if (entry == NULL || entry->state != GW_SPOOL_QUEUED)
    return;
  gw_spool_leave (self, endpoint, entry, GW_SPOOL_GONE);
  gw_spool_advance (self, endpoint);
  gw_spool_after_leaving (self);
}

guint64
gw_spool_drop (GwSpool *self, const guint8 *kid, guint64 seq, GwSpoolDrop reason)
{
  GwSpoolEndpoint *endpoint = g_hash_table_lookup (self->endpoints, kid);
  guint64 n = 0;

  if (endpoint == NULL || reason >= GW_SPOOL_DROP_N)
    return 0;
  for (guint i = seq == 0 ? endpoint->front : gw_spool_find_entry (endpoint, seq - 1);
       i < endpoint->entries->len; i++)
    {
      GwSpoolEntry *entry = gw_spool_get_entry (endpoint, i);
      if (seq != 0 && entry->seq != seq)
        break;
      if (entry->state != GW_SPOOL_QUEUED)
        continue;
      gw_spool_leave (self, endpoint, entry, (guint8)(GW_SPOOL_GIVEN_UP + reason));
      n++;
    }
  if (n == 0)
    return 0;
  gw_spool_advance (self, endpoint);
  gw_spool_after_leaving (self);
  return n;
}

/* The index after the last one that is too old. */
static guint
find_aged (GwSpoolEndpoint *endpoint, gint64 floor, gint64 time)
{
  guint end = endpoint->front;

  for (guint i = endpoint->front; i < endpoint->entries->len; i++)
    {
      gint64 received = (gint64)gw_spool_get_entry (endpoint, i)->seconds * G_USEC_PER_SEC;
      if (received > time)
        break;
      if (received >= floor)
        end = i + 1;
    }
  return end;
}

guint64
gw_spool_expire (GwSpool *self, gint64 floor, gint64 time)
{
  guint64 n = 0;
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, self->endpoints);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      GwSpoolEndpoint *endpoint = value;
      guint end = find_aged (endpoint, floor, time);
      for (guint i = endpoint->front; i < end; i++)
        {
          GwSpoolEntry *entry = gw_spool_get_entry (endpoint, i);
          if (entry->state != GW_SPOOL_QUEUED)
            continue;
          gw_spool_leave (self, endpoint, entry, GW_SPOOL_GIVEN_UP + GW_SPOOL_DROP_AGED);
          n++;
        }
      gw_spool_advance (self, endpoint);
    }
  if (n > 0)
    gw_spool_after_leaving (self);
  return n;
}

/* Figures */

static void
fill_counters (const GwSpoolEndpoint *endpoint, GwSpoolCounters *out)
{
  *out = endpoint->counters;
  out->lost = endpoint->state.lost;
}

void
gw_spool_get_counters (GwSpool *self, const guint8 *kid, GwSpoolCounters *out)
{
  const GwSpoolEndpoint *endpoint = g_hash_table_lookup (self->endpoints, kid);

  memset (out, 0, sizeof *out);
  if (endpoint != NULL)
    fill_counters (endpoint, out);
}

static void
add_counters (GwSpoolCounters *sum, const GwSpoolCounters *one)
{
  sum->queued += one->queued;
  sum->bytes += one->bytes;
  sum->stored += one->stored;
  sum->acked += one->acked;
  sum->duplicates += one->duplicates;
  sum->refused += one->refused;
  sum->lost += one->lost;
  for (guint i = 0; i < GW_SPOOL_DROP_N; i++)
    sum->dropped[i] += one->dropped[i];
}

void
gw_spool_get_stats (GwSpool *self, GwSpoolStats *out)
{
  GHashTableIter iter;
  gpointer value;

  memset (out, 0, sizeof *out);
  g_hash_table_iter_init (&iter, self->endpoints);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      GwSpoolCounters one;
      fill_counters (value, &one);
      add_counters (&out->sum, &one);
      out->endpoints += one.queued > 0;
    }
  out->sum.dropped[GW_SPOOL_DROP_CORRUPT] += self->lost_corrupt;
  for (GList *l = self->segments.head; l != NULL; l = l->next)
    out->disk_bytes += (guint)g_atomic_int_get (&((GwSpoolSegment *)l->data)->size);
  out->segments = self->segments.length;
  out->cache_bytes = self->cache_bytes;
  out->corrupt_octets = self->corrupt_octets;
  out->torn_octets = self->torn_octets;
  out->failed_groups = gw_spool_log_get_failures (self->log);
}

void
gw_spool_get_totals (GwSpool *self, GwSpoolTotals *out)
{
  *out = (GwSpoolTotals){ .bytes = self->queued_bytes, .stored = self->stored, .acked = self->acked };
}

guint
gw_spool_stranded (GwSpool *self, gint64 time, GwSpoolStrandedFunc func, gpointer data)
{
  GHashTableIter iter;
  gpointer value;
  guint n = 0;

  g_hash_table_iter_init (&iter, self->endpoints);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      const GwSpoolEndpoint *endpoint = value;
      gint64 oldest;

      if (endpoint->front >= endpoint->entries->len)
        continue;
      oldest = (gint64)gw_spool_get_entry (endpoint, endpoint->front)->seconds * G_USEC_PER_SEC;
      if (oldest > time)
        continue;
      n++;
      func (endpoint->state.kid, endpoint->counters.queued, endpoint->counters.bytes, oldest, data);
    }
  return n;
}

/* Opening */

static void
found_record (const GwSpoolHeader *header, GwSpoolSegment *segment, guint32 offset, gpointer data)
{
  GwSpool *self = data;
  add_entry (self, gw_spool_get_endpoint (self, header->kid), header, segment, offset);
}

static void
found_state (const GwSpoolState *state, gpointer data)
{
  static const guint8 nobody[GW_SPOOL_KID_LEN];
  GwSpool *self = data;
  GwSpoolEndpoint *endpoint;

  if (memcmp (state->kid, nobody, sizeof nobody) == 0)
    {
      self->lost_corrupt = state->dropped[GW_SPOOL_DROP_CORRUPT];
      return;
    }
  endpoint = gw_spool_get_endpoint (self, state->kid);
  endpoint->state = *state;
  for (guint i = 0; i < GW_SPOOL_DROP_N; i++)
    endpoint->counters.dropped[i] = state->dropped[i];
  use_durable_last (endpoint);
}

static gint
compare_entries (gconstpointer a, gconstpointer b)
{
  const GwSpoolEntry *x = a, *y = b;

  if (x->seq != y->seq)
    return x->seq < y->seq ? -1 : 1;
  /* The original and its copy: the younger segment's stays. */
  return x->segment->id.number < y->segment->id.number ? -1 : x->segment->id.number > y->segment->id.number;
}

/* Leaves in each endpoint what is above its cursor, once, by seq. */
static void
tidy_endpoint (GwSpool *self, GwSpoolEndpoint *endpoint)
{
  g_autoptr (GArray) found = g_steal_pointer (&endpoint->entries);
  guint64 queued = 0, bytes = 0;

  g_array_set_clear_func (found, NULL);
  g_array_sort (found, compare_entries);
  endpoint->entries = g_array_new (FALSE, FALSE, sizeof (GwSpoolEntry));
  g_array_set_clear_func (endpoint->entries, gw_spool_entry_clear);
  for (guint i = 0; i < found->len; i++)
    {
      GwSpoolEntry *entry = &g_array_index (found, GwSpoolEntry, i);
      gboolean twice = i + 1 < found->len && g_array_index (found, GwSpoolEntry, i + 1).seq == entry->seq;

      if (entry->seq <= endpoint->state.cursor || twice)
        {
          self->queued_bytes -= entry->size;
          gw_spool_unsettle (entry);
          continue;
        }
      queued++;
      bytes += entry->size;
      g_array_append_val (endpoint->entries, *entry);
    }
  endpoint->counters.queued = queued;
  endpoint->counters.bytes = bytes;
}

void
gw_spool_set_limits (GwSpool *self, guint64 max_bytes, guint64 max_bytes_per_endpoint)
{
  self->max_bytes = max_bytes > 0 ? max_bytes : MAX_BYTES_DEFAULT;
  self->max_bytes_per_endpoint = max_bytes_per_endpoint;
}

GwSpool *
gw_spool_open (const char *dir, const GwSpoolLimits *limits, GwWriter *writer, GError **error)
{
  GwSpool *self = g_new0 (GwSpool, 1);
  GwSpoolLimits given = { 0 };
  GwSpoolFound found;
  GHashTableIter iter;
  gpointer value;

  if (limits != NULL)
    given = *limits;
  self->writer = writer;
  self->io = given.io != NULL ? given.io : &gw_spool_io_default;
  gw_spool_set_limits (self, given.max_bytes, given.max_bytes_per_endpoint);
  self->max_cache = given.cache_bytes > 0 ? given.cache_bytes : CACHE_BYTES_DEFAULT;
  self->segment_bytes = given.segment_bytes > 0 ? given.segment_bytes : SEGMENT_BYTES_DEFAULT;
  self->segment_bytes = CLAMP (self->segment_bytes, SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
  self->endpoints
      = g_hash_table_new_full (gw_spool_kid_hash, gw_spool_kid_equal, NULL, gw_spool_endpoint_free);
  self->dirty = g_ptr_array_new ();
  self->log = gw_spool_log_open (dir, self->segment_bytes, self->io, found_record, self, &found, error);
  if (self->log == NULL)
    {
      gw_spool_free (self);
      return NULL;
    }
  gw_spool_log_foreach (self->log, found_state, self);
  g_hash_table_iter_init (&iter, self->endpoints);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    tidy_endpoint (self, value);
  for (guint i = 0; i < found.segments->len; i++)
    g_queue_push_tail (&self->segments, gw_spool_segment_ref (found.segments->pdata[i]));
  g_ptr_array_unref (found.segments);
  self->anchor = found.anchor;
  self->corrupt_octets = found.corrupt_octets;
  self->torn_octets = found.torn_octets;
  gw_writer_set_log (writer, &gw_spool_log_store, self->log);
  gw_spool_remove_empty (self);
  gw_spool_maybe_compact (self);
  return self;
}

void
gw_spool_free (GwSpool *self)
{
  if (self == NULL)
    return;
  if (self->log != NULL)
    gw_writer_flush (self->writer); /* what the stopped writer refused still has to be told */
  g_queue_clear_full (&self->cache, g_free);
  g_hash_table_unref (self->endpoints);
  g_queue_clear_full (&self->segments, (GDestroyNotify)gw_spool_segment_unref);
  g_ptr_array_unref (self->dirty);
  gw_spool_log_free (self->log);
  g_free (self);
}
