/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The spool as the main thread sees it: for each endpoint an array of what is queued, oldest first; each entry says in
 * which segment it lies. Entries appear when the writer has told that they are durable and go when the broker has
 * acknowledged them, from the front: the endpoint's cursor is the last that has gone, and is what is written down.
 *
 * Ownership: the spool owns endpoints and the cache; an operation on its way through the writer owns itself and is
 * freed in its done callback. Segments are shared with the log by reference; live, live_bytes and moving in them
 * belong to this file. */

#include "gw-spool.h"

#include <string.h>

#include "gw-error.h"
#include "gw-spool-log.h"

#define MAX_BYTES_DEFAULT (G_GUINT64_CONSTANT (256) << 20)
#define CACHE_BYTES_DEFAULT (G_GUINT64_CONSTANT (4) << 20)
#define SEGMENT_BYTES_DEFAULT (8u << 20)
#define SEGMENT_BYTES_MIN 4096u
#define SEGMENT_BYTES_MAX (256u << 20)
#define READ_TRIES_MAX 3         /* then an unreadable record counts as corrupt */
#define FRONT_SLACK 64           /* gone entries kept at an array's front before it is moved up */
#define CACHE_SLOTS_SLACK 1024   /* slots of entries that went, before the oldest payload goes for the sake of them */
#define SEGMENTS_SLACK 16        /* more files than the octets would need, before small ones are merged */
#define COMPACT_SLACK_SEGMENTS 2 /* dead octets tolerated, in segments, beyond those alive */

G_STATIC_ASSERT (GW_SPOOL_DROP_N <= GW_SPOOL_DROPS);
G_STATIC_ASSERT (GW_SPOOL_PAYLOAD_MAX == GW_SPOOL_RECORD_PAYLOAD_MAX);
G_STATIC_ASSERT ((int)GW_SPOOL_REPORT == GW_SPOOL_RECORD_REPORT && (int)GW_SPOOL_EVENT == GW_SPOOL_RECORD_EVENT);

typedef struct
{
  GwSpoolHeader header;
  GBytes *payload;
} Cached;

enum
{
  QUEUED,
  GONE, /* acknowledged */
  GIVEN_UP, /* + GwSpoolDrop */
};

typedef struct
{
  guint64 seq;
  GwSpoolSegment *segment; /* referenced while QUEUED */
  Cached *cached;
  guint32 offset;
  guint32 size;
  guint32 seconds; /* when received, rounded up */
  guint8 state;
  guint8 read_errors;
} Entry;

typedef struct
{
  GwSpoolState state; /* first: the key id is the hash table's key. What is told: durable */
  GArray *entries;    /* of Entry, by seq */
  guint front;        /* the first entry that is QUEUED; all before have gone */
  guint pending;      /* appends in the writer's hands */
  gboolean next_any;  /* (boot, q) of the newest of them, else as in state */
  guint8 next_boot[GW_SPOOL_BOOT_LEN];
  guint64 next_q;
  guint64 reserved; /* octets in the writer's hands */
  gboolean dirty;   /* cursor to be written */
  GwSpoolCounters counters; /* lost is in state */
} Endpoint;

typedef struct
{
  Endpoint *endpoint;
  guint64 seq;
} CacheSlot;

struct _GwSpool
{
  GwWriter *writer;
  GwSpoolLog *log;
  const GwSpoolIo *io;
  guint64 max_bytes;
  guint64 max_bytes_per_endpoint;
  guint64 max_cache;
  guint32 segment_bytes;

  GHashTable *endpoints; /* key id -> Endpoint, owned */
  GQueue segments;       /* of GwSpoolSegment, oldest first, a reference each */
  guint64 anchor;        /* segments numbered below go once they are empty */
  guint64 queued_bytes;
  guint64 reserved;
  guint64 lost_corrupt; /* without an owner */
  guint64 corrupt_octets;
  guint64 torn_octets;

  GQueue cache; /* of CacheSlot: oldest first; slots of entries that have gone are skipped */
  guint64 cache_bytes;
  guint n_cached;

  GPtrArray *dirty; /* of Endpoint, borrowed */
  gboolean ack_on_its_way;
  gboolean moving;
};

static void maybe_compact (GwSpool *self);

/* Endpoints */

static void
cached_free (Cached *cached)
{
  g_bytes_unref (cached->payload);
  g_free (cached);
}

static void
entry_clear (gpointer data)
{
  Entry *entry = data;
  g_clear_pointer (&entry->segment, gw_spool_segment_unref);
  g_clear_pointer (&entry->cached, cached_free);
}

static void
endpoint_free (gpointer data)
{
  Endpoint *endpoint = data;
  g_array_unref (endpoint->entries);
  g_free (endpoint);
}

static Endpoint *
get_endpoint (GwSpool *self, const guint8 *kid)
{
  Endpoint *endpoint = g_hash_table_lookup (self->endpoints, kid);

  if (endpoint != NULL)
    return endpoint;
  endpoint = g_new0 (Endpoint, 1);
  memcpy (endpoint->state.kid, kid, GW_SPOOL_KID_LEN);
  endpoint->entries = g_array_new (FALSE, FALSE, sizeof (Entry));
  g_array_set_clear_func (endpoint->entries, entry_clear);
  g_hash_table_insert (self->endpoints, endpoint->state.kid, endpoint);
  return endpoint;
}

static Entry *
get_entry (const Endpoint *endpoint, guint i)
{
  return &g_array_index (endpoint->entries, Entry, i);
}

/* The first entry with a seq above after. */
static guint
find_entry (const Endpoint *endpoint, guint64 after)
{
  guint low = endpoint->front, high = endpoint->entries->len;

  while (low < high)
    {
      guint middle = low + (high - low) / 2;
      if (get_entry (endpoint, middle)->seq > after)
        high = middle;
      else
        low = middle + 1;
    }
  return low;
}

static Entry *
find_exact (const Endpoint *endpoint, guint64 seq)
{
  guint i = seq == 0 ? endpoint->entries->len : find_entry (endpoint, seq - 1);

  if (i >= endpoint->entries->len || get_entry (endpoint, i)->seq != seq)
    return NULL;
  return get_entry (endpoint, i);
}

/* The cache */

static guint64
cached_size (const Cached *cached)
{
  return sizeof (Cached) + sizeof (CacheSlot) + g_bytes_get_size (cached->payload);
}

static void
uncache (GwSpool *self, Entry *entry)
{
  if (entry->cached == NULL)
    return;
  self->cache_bytes -= cached_size (entry->cached);
  self->n_cached--;
  g_clear_pointer (&entry->cached, cached_free);
}

/* Slots of entries that went by themselves are met only at the front: too many behind a payload that stays cost it its
 * place, or they would pile up behind one silent endpoint's. */
static void
trim_cache (GwSpool *self)
{
  while (self->cache.head != NULL)
    {
      CacheSlot *slot = self->cache.head->data;
      Entry *entry = find_exact (slot->endpoint, slot->seq);
      gboolean gone = entry == NULL || entry->cached == NULL;

      if (!gone && self->cache_bytes <= self->max_cache
          && self->cache.length <= 2 * self->n_cached + CACHE_SLOTS_SLACK)
        return;
      if (!gone)
        uncache (self, entry);
      g_free (g_queue_pop_head (&self->cache));
    }
}

static void
cache_entry (GwSpool *self, Endpoint *endpoint, Entry *entry, const GwSpoolHeader *header, GBytes *payload)
{
  CacheSlot *slot = g_new (CacheSlot, 1);

  entry->cached = g_new (Cached, 1);
  entry->cached->header = *header;
  entry->cached->payload = g_bytes_ref (payload);
  self->cache_bytes += cached_size (entry->cached);
  self->n_cached++;
  slot->endpoint = endpoint;
  slot->seq = entry->seq;
  g_queue_push_tail (&self->cache, slot);
}

/* Segments */

typedef struct
{
  GwSpool *spool;
  GwSpoolSegment *segment;
} Removal;

static gboolean
run_removal (gpointer data, gpointer log, GError **error)
{
  Removal *removal = data;
  return gw_spool_log_remove (log, removal->segment, error);
}

static void
done_removal (gpointer data, const GError *error)
{
  Removal *removal = data;

  removal->segment->leaving = FALSE; /* if it failed: tried again when the next record leaves */
  if (error == NULL && g_queue_remove (&removal->spool->segments, removal->segment))
    gw_spool_segment_unref (removal->segment);
  gw_spool_segment_unref (removal->segment);
  g_free (removal);
}

/* An empty segment goes as soon as a later one holds the states. */
static void
remove_empty (GwSpool *self)
{
  for (GList *l = self->segments.head; l != NULL; l = l->next)
    {
      GwSpoolSegment *segment = l->data;
      Removal *removal;

      if (segment->id.number >= self->anchor)
        break;
      if (segment->live > 0 || segment->moving || segment->leaving)
        continue;
      removal = g_new0 (Removal, 1);
      removal->spool = self;
      removal->segment = gw_spool_segment_ref (segment);
      segment->leaving = TRUE;
      gw_writer_push_log (self->writer, FALSE, run_removal, done_removal, removal);
    }
}

/* Called when the writer has told that something is durable in segment: all that is older is complete. */
static void
see_segment (GwSpool *self, GwSpoolSegment *segment)
{
  GwSpoolSegment *newest = g_queue_peek_tail (&self->segments);

  if (newest == NULL || newest->id.number < segment->id.number)
    g_queue_push_tail (&self->segments, gw_spool_segment_ref (segment));
  if (self->anchor >= segment->id.number)
    return;
  self->anchor = segment->id.number;
  remove_empty (self);
  maybe_compact (self);
}

static void
settle (GwSpool *self, Entry *entry, GwSpoolSegment *segment, guint32 offset, guint32 size)
{
  entry->segment = gw_spool_segment_ref (segment);
  entry->offset = offset;
  entry->size = size;
  segment->live++;
  segment->live_bytes += size;
}

static void
unsettle (Entry *entry)
{
  entry->segment->live--;
  entry->segment->live_bytes -= entry->size;
  g_clear_pointer (&entry->segment, gw_spool_segment_unref);
}

/* Cursors */

typedef struct
{
  GwSpool *spool;
  GArray *states; /* of GwSpoolState */
  GwSpoolPlace place;
} Ack;

static void push_acks (GwSpool *self);

static void
mark_dirty (GwSpool *self, Endpoint *endpoint)
{
  if (endpoint->dirty)
    return;
  endpoint->dirty = TRUE;
  g_ptr_array_add (self->dirty, endpoint);
}

static gboolean
run_ack (gpointer data, gpointer log, GError **error)
{
  Ack *ack = data;
  return gw_spool_log_ack (log, ack->states, &ack->place, error);
}

static void
done_ack (gpointer data, const GError *error)
{
  Ack *ack = data;
  GwSpool *self = ack->spool;

  self->ack_on_its_way = FALSE;
  if (error == NULL)
    {
      see_segment (self, ack->place.segment);
      push_acks (self);
    }
  else
    for (guint i = 0; i < ack->states->len; i++) /* goes along with the next one */
      mark_dirty (self, get_endpoint (self, g_array_index (ack->states, GwSpoolState, i).kid));
  g_clear_pointer (&ack->place.segment, gw_spool_segment_unref);
  g_array_unref (ack->states);
  g_free (ack);
}

/* One at a time: while it is written the next ones gather. */
static void
push_acks (GwSpool *self)
{
  Ack *ack;

  if (self->ack_on_its_way || self->dirty->len == 0)
    return;
  ack = g_new0 (Ack, 1);
  ack->spool = self;
  ack->states = g_array_sized_new (FALSE, FALSE, sizeof (GwSpoolState), self->dirty->len);
  for (guint i = 0; i < self->dirty->len; i++)
    {
      Endpoint *endpoint = self->dirty->pdata[i];
      endpoint->dirty = FALSE;
      g_array_append_val (ack->states, endpoint->state);
    }
  g_ptr_array_set_size (self->dirty, 0);
  self->ack_on_its_way = TRUE;
  gw_writer_push_log (self->writer, FALSE, run_ack, done_ack, ack);
}

/* Moves the cursor over what has gone at the front. */
static void
advance (GwSpool *self, Endpoint *endpoint)
{
  guint front = endpoint->front;

  while (endpoint->front < endpoint->entries->len)
    {
      const Entry *entry = get_entry (endpoint, endpoint->front);
      if (entry->state == QUEUED)
        break;
      if (entry->state >= GIVEN_UP)
        endpoint->state.dropped[entry->state - GIVEN_UP]++;
      endpoint->state.cursor = entry->seq;
      endpoint->front++;
    }
  if (endpoint->front == front)
    return;
  mark_dirty (self, endpoint);
  if (endpoint->front == endpoint->entries->len
      || (endpoint->front > FRONT_SLACK && endpoint->front > endpoint->entries->len / 2))
    {
      g_array_remove_range (endpoint->entries, 0, endpoint->front);
      endpoint->front = 0;
    }
}

/* A queued entry leaves. The caller then calls advance () and, at the end, after_leaving (). */
static void
leave (GwSpool *self, Endpoint *endpoint, Entry *entry, guint8 state)
{
  self->queued_bytes -= entry->size;
  endpoint->counters.bytes -= entry->size;
  endpoint->counters.queued--;
  if (state >= GIVEN_UP)
    endpoint->counters.dropped[state - GIVEN_UP]++;
  else
    endpoint->counters.acked++;
  uncache (self, entry);
  unsettle (entry);
  entry->state = state;
}

static void
after_leaving (GwSpool *self)
{
  trim_cache (self);
  push_acks (self);
  remove_empty (self);
  maybe_compact (self);
}

/* Compaction: one silent endpoint must not keep everybody's files. */

typedef struct
{
  GwSpool *spool;
  GwSpoolSegment *from;
  GArray *moves; /* of GwSpoolMove */
} Compaction;

static gboolean
run_compaction (gpointer data, gpointer log, GError **error)
{
  Compaction *compaction = data;
  return gw_spool_log_move (log, compaction->from, compaction->moves, error);
}

static void
resettle (GwSpool *self, const GwSpoolMove *move, const GwSpoolSegment *from)
{
  Endpoint *endpoint = get_endpoint (self, move->kid);
  Entry *entry = find_exact (endpoint, move->seq);

  if (entry == NULL || entry->state != QUEUED || entry->segment != from)
    return; /* has left meanwhile: the copy is dead */
  if (move->lost)
    {
      leave (self, endpoint, entry, GIVEN_UP + GW_SPOOL_DROP_CORRUPT);
      advance (self, endpoint);
      return;
    }
  unsettle (entry);
  settle (self, entry, move->place.segment, move->place.offset, move->place.size);
}

static void
done_compaction (gpointer data, const GError *error)
{
  Compaction *compaction = data;
  GwSpool *self = compaction->spool;

  self->moving = FALSE;
  compaction->from->moving = FALSE;
  for (guint i = 0; i < compaction->moves->len; i++)
    {
      GwSpoolMove *move = &g_array_index (compaction->moves, GwSpoolMove, i);
      if (error == NULL)
        {
          resettle (self, move, compaction->from);
          see_segment (self, move->place.segment);
        }
      g_clear_pointer (&move->place.segment, gw_spool_segment_unref);
    }
  if (error == NULL)
    after_leaving (self);
  gw_spool_segment_unref (compaction->from);
  g_array_unref (compaction->moves);
  g_free (compaction);
}

static void
compact (GwSpool *self, GwSpoolSegment *from)
{
  Compaction *compaction = g_new0 (Compaction, 1);
  GHashTableIter iter;
  gpointer value;

  compaction->spool = self;
  compaction->from = gw_spool_segment_ref (from);
  compaction->moves = g_array_new (FALSE, TRUE, sizeof (GwSpoolMove));
  g_hash_table_iter_init (&iter, self->endpoints);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      Endpoint *endpoint = value;
      for (guint i = endpoint->front; i < endpoint->entries->len; i++)
        {
          const Entry *entry = get_entry (endpoint, i);
          GwSpoolMove move = { .seq = entry->seq, .offset = entry->offset, .size = entry->size };
          if (entry->segment != from)
            continue;
          memcpy (move.kid, endpoint->state.kid, sizeof move.kid);
          g_array_append_val (compaction->moves, move);
        }
    }
  self->moving = TRUE;
  from->moving = TRUE;
  gw_writer_push_log (self->writer, TRUE, run_compaction, done_compaction, compaction);
}

/* Picks the closed segment that gives most for its copying, if the dead octets have become too many. */
static void
maybe_compact (GwSpool *self)
{
  guint64 size = 0, live = 0;
  GwSpoolSegment *best = NULL;
  guint n = 0;

  if (self->moving)
    return;
  for (GList *l = self->segments.head; l != NULL; l = l->next)
    {
      GwSpoolSegment *segment = l->data;
      if (segment->id.number >= self->anchor)
        break;
      if (segment->leaving)
        continue;
      n++;
      size += (guint)g_atomic_int_get (&segment->size);
      live += segment->live_bytes;
      if (best == NULL || segment->live_bytes < best->live_bytes)
        best = segment;
    }
  if (best == NULL || best->live_bytes * 2 > self->segment_bytes)
    return;
  if (size > 2 * live + COMPACT_SLACK_SEGMENTS * (guint64)self->segment_bytes
      || n > 2 * size / self->segment_bytes + SEGMENTS_SLACK)
    compact (self, best);
}

/* Appending */

typedef struct
{
  GwSpool *spool;
  Endpoint *endpoint;
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
add_entry (GwSpool *self, Endpoint *endpoint, const GwSpoolHeader *header, GwSpoolSegment *segment, guint32 offset)
{
  guint32 size = (guint32)gw_spool_codec_size (header);
  Entry entry = { .seq = header->seq, .seconds = to_seconds (header->time) };

  settle (self, &entry, segment, offset, size);
  g_array_append_val (endpoint->entries, entry);
  endpoint->counters.queued++;
  endpoint->counters.bytes += size;
  self->queued_bytes += size;
}

static void
stored (GwSpool *self, Append *append)
{
  Endpoint *endpoint = append->endpoint;
  const GwSpoolHeader *header = &append->op.header;

  memcpy (endpoint->state.boot, header->boot, GW_SPOOL_BOOT_LEN);
  endpoint->state.has_last = TRUE;
  endpoint->state.q = header->q;
  endpoint->state.lost += header->lost;
  endpoint->counters.stored++;
  add_entry (self, endpoint, header, append->op.place.segment, append->op.place.offset);
  cache_entry (self, endpoint, get_entry (endpoint, endpoint->entries->len - 1), header, append->op.payload);
  trim_cache (self);
}

static void
use_durable_last (Endpoint *endpoint)
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
  Endpoint *endpoint = append->endpoint;

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
    see_segment (self, append->op.place.segment);
  g_clear_pointer (&append->op.place.segment, gw_spool_segment_unref);
  if (append->done != NULL)
    append->done (append->data, error);
  g_bytes_unref (append->op.payload);
  g_free (append);
}

static gboolean
check_limits (GwSpool *self, Endpoint *endpoint, gsize size, GError **error)
{
  guint64 used = self->queued_bytes + self->reserved + size;
  guint64 mine = endpoint->counters.bytes + endpoint->reserved + size;

  if (used > self->max_bytes)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_LIMIT,
                   "The spool is full (%" G_GUINT64_FORMAT " octets); endpoints keep their records until the broker "
                   "takes some", self->queued_bytes);
      return FALSE;
    }
  if (mine > self->max_bytes - used || (self->max_bytes_per_endpoint > 0 && mine > self->max_bytes_per_endpoint))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_LIMIT,
                   "The endpoint's share of the spool is full (%" G_GUINT64_FORMAT " octets); it keeps its records "
                   "until the broker takes some", endpoint->counters.bytes);
      return FALSE;
    }
  if (!gw_writer_is_busy (self->writer))
    return TRUE;
  g_set_error (error, GW_ERROR, GW_ERROR_BUSY, "The disk does not keep up; the endpoint may try again");
  return FALSE;
}

gboolean
gw_spool_append (GwSpool *self, const guint8 *kid, const guint8 *boot, guint64 q, gint64 time, GwSpoolKind kind,
                 GwSpoolFlags flags, GBytes *payload, GwWriterDone done, gpointer data, GError **error)
{
  GwSpoolHeader header = {
    .kind = (guint8)kind, .flags = flags & GW_SPOOL_FLAG_CLOCK_INVALID, .time = time, .q = q,
    .payload_len = (guint32)MIN (g_bytes_get_size (payload), G_MAXUINT32),
  };
  Endpoint *endpoint = get_endpoint (self, kid);
  gboolean duplicate;
  Append *append;

  if ((kind != GW_SPOOL_REPORT && kind != GW_SPOOL_EVENT) || header.payload_len > GW_SPOOL_PAYLOAD_MAX)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "A record of kind %d with %u octets cannot be spooled",
                   (int)kind, header.payload_len);
      return FALSE;
    }
  duplicate = endpoint->next_any && q <= endpoint->next_q
              && memcmp (endpoint->next_boot, boot, GW_SPOOL_BOOT_LEN) == 0;
  if (!duplicate && !check_limits (self, endpoint, gw_spool_codec_size (&header), error))
    {
      endpoint->counters.refused++;
      return FALSE;
    }
  memcpy (header.kid, kid, sizeof header.kid);
  memcpy (header.boot, boot, sizeof header.boot);
  append = g_new0 (Append, 1);
  append->spool = self;
  append->endpoint = endpoint;
  append->done = done;
  append->data = data;
  append->op.header = header;
  append->op.payload = g_bytes_ref (payload);
  append->op.duplicate = duplicate;
  append->op.after_any = endpoint->next_any;
  append->op.after_q = endpoint->next_q;
  memcpy (append->op.after_boot, endpoint->next_boot, GW_SPOOL_BOOT_LEN);
  endpoint->pending++;
  if (!duplicate)
    {
      endpoint->next_any = TRUE;
      endpoint->next_q = q;
      memcpy (endpoint->next_boot, boot, GW_SPOOL_BOOT_LEN);
      endpoint->reserved += gw_spool_codec_size (&header);
      self->reserved += gw_spool_codec_size (&header);
    }
  gw_writer_push_log (self->writer, !duplicate, run_append, done_append, append);
  return TRUE;
}

gboolean
gw_spool_last (GwSpool *self, const guint8 *kid, guint8 *boot, guint64 *q)
{
  const Endpoint *endpoint = g_hash_table_lookup (self->endpoints, kid);

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
read_entry (GwSpool *self, Entry *entry, GwSpoolRecord *out, GError **error)
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
  Endpoint *endpoint = g_hash_table_lookup (self->endpoints, kid);
  gboolean dropped = FALSE;
  int rc = 0;

  memset (out, 0, sizeof *out);
  if (endpoint == NULL)
    return 0;
  for (guint i = find_entry (endpoint, after); i < endpoint->entries->len; i++)
    {
      g_autoptr (GError) local = NULL;
      Entry *entry = get_entry (endpoint, i);

      if (entry->state != QUEUED)
        continue;
      rc = read_entry (self, entry, out, &local);
      if (rc < 0)
        g_propagate_error (error, g_steal_pointer (&local));
      if (rc != 0)
        break;
      leave (self, endpoint, entry, GIVEN_UP + GW_SPOOL_DROP_CORRUPT);
      dropped = TRUE;
    }
  if (dropped)
    {
      advance (self, endpoint);
      after_leaving (self);
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
  Endpoint *endpoint = g_hash_table_lookup (self->endpoints, kid);
  Entry *entry = endpoint == NULL ? NULL : find_exact (endpoint, seq);

  if (entry == NULL || entry->state != QUEUED)
    return;
  leave (self, endpoint, entry, GONE);
  advance (self, endpoint);
  after_leaving (self);
}

guint64
gw_spool_drop (GwSpool *self, const guint8 *kid, guint64 seq, GwSpoolDrop reason)
{
  Endpoint *endpoint = g_hash_table_lookup (self->endpoints, kid);
  guint64 n = 0;

  if (endpoint == NULL || reason >= GW_SPOOL_DROP_N)
    return 0;
  for (guint i = seq == 0 ? endpoint->front : find_entry (endpoint, seq - 1); i < endpoint->entries->len; i++)
    {
      Entry *entry = get_entry (endpoint, i);
      if (seq != 0 && entry->seq != seq)
        break;
      if (entry->state != QUEUED)
        continue;
      leave (self, endpoint, entry, (guint8)(GIVEN_UP + reason));
      n++;
    }
  if (n == 0)
    return 0;
  advance (self, endpoint);
  after_leaving (self);
  return n;
}

guint64
gw_spool_expire (GwSpool *self, gint64 time)
{
  guint64 n = 0;
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, self->endpoints);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      Endpoint *endpoint = value;
      for (guint i = endpoint->front; i < endpoint->entries->len; i++)
        {
          Entry *entry = get_entry (endpoint, i);
          if ((gint64)entry->seconds * G_USEC_PER_SEC > time)
            break;
          if (entry->state != QUEUED)
            continue;
          leave (self, endpoint, entry, GIVEN_UP + GW_SPOOL_DROP_AGED);
          n++;
        }
      advance (self, endpoint);
    }
  if (n > 0)
    after_leaving (self);
  return n;
}

/* Figures */

static void
fill_counters (const Endpoint *endpoint, GwSpoolCounters *out)
{
  *out = endpoint->counters;
  out->lost = endpoint->state.lost;
}

void
gw_spool_get_counters (GwSpool *self, const guint8 *kid, GwSpoolCounters *out)
{
  const Endpoint *endpoint = g_hash_table_lookup (self->endpoints, kid);

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

guint
gw_spool_stranded (GwSpool *self, gint64 time, GwSpoolStrandedFunc func, gpointer data)
{
  GHashTableIter iter;
  gpointer value;
  guint n = 0;

  g_hash_table_iter_init (&iter, self->endpoints);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      const Endpoint *endpoint = value;
      gint64 oldest;

      if (endpoint->front >= endpoint->entries->len)
        continue;
      oldest = (gint64)get_entry (endpoint, endpoint->front)->seconds * G_USEC_PER_SEC;
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
  add_entry (self, get_endpoint (self, header->kid), header, segment, offset);
}

static void
found_state (const GwSpoolState *state, gpointer data)
{
  static const guint8 nobody[GW_SPOOL_KID_LEN];
  GwSpool *self = data;
  Endpoint *endpoint;

  if (memcmp (state->kid, nobody, sizeof nobody) == 0)
    {
      self->lost_corrupt = state->dropped[GW_SPOOL_DROP_CORRUPT];
      return;
    }
  endpoint = get_endpoint (self, state->kid);
  endpoint->state = *state;
  for (guint i = 0; i < GW_SPOOL_DROP_N; i++)
    endpoint->counters.dropped[i] = state->dropped[i];
  use_durable_last (endpoint);
}

static gint
compare_entries (gconstpointer a, gconstpointer b)
{
  const Entry *x = a, *y = b;

  if (x->seq != y->seq)
    return x->seq < y->seq ? -1 : 1;
  /* The original and its copy: the younger segment's stays. */
  return x->segment->id.number < y->segment->id.number ? -1 : x->segment->id.number > y->segment->id.number;
}

/* Leaves in each endpoint what is above its cursor, once, by seq. */
static void
tidy_endpoint (GwSpool *self, Endpoint *endpoint)
{
  g_autoptr (GArray) found = g_steal_pointer (&endpoint->entries);
  guint64 queued = 0, bytes = 0;

  g_array_set_clear_func (found, NULL);
  g_array_sort (found, compare_entries);
  endpoint->entries = g_array_new (FALSE, FALSE, sizeof (Entry));
  g_array_set_clear_func (endpoint->entries, entry_clear);
  for (guint i = 0; i < found->len; i++)
    {
      Entry *entry = &g_array_index (found, Entry, i);
      gboolean twice = i + 1 < found->len && g_array_index (found, Entry, i + 1).seq == entry->seq;

      if (entry->seq <= endpoint->state.cursor || twice)
        {
          self->queued_bytes -= entry->size;
          unsettle (entry);
          continue;
        }
      queued++;
      bytes += entry->size;
      g_array_append_val (endpoint->entries, *entry);
    }
  endpoint->counters.queued = queued;
  endpoint->counters.bytes = bytes;
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
  self->max_bytes = given.max_bytes > 0 ? given.max_bytes : MAX_BYTES_DEFAULT;
  self->max_bytes_per_endpoint = given.max_bytes_per_endpoint;
  self->max_cache = given.cache_bytes > 0 ? given.cache_bytes : CACHE_BYTES_DEFAULT;
  self->segment_bytes = given.segment_bytes > 0 ? given.segment_bytes : SEGMENT_BYTES_DEFAULT;
  self->segment_bytes = CLAMP (self->segment_bytes, SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
  self->endpoints = g_hash_table_new_full (gw_spool_kid_hash, gw_spool_kid_equal, NULL, endpoint_free);
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
  remove_empty (self);
  maybe_compact (self);
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
