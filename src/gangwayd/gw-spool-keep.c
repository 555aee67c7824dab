/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the spool keeps on the disk: cursors are written down as records leave, empty segments removed,
 * segments with little left in them emptied by copying. All of it runs by itself, pushed from the main thread
 * as things happen; what fails is tried again at the next occasion. */

#include "gw-spool-private.h"

#include <string.h>

#define SEGMENTS_SLACK 16        /* more files than the octets would need, before small ones are merged */
#define COMPACT_SLACK_SEGMENTS 2 /* dead octets tolerated, in segments, beyond those alive */

/* Cursors */

typedef struct
{
  GwSpool *spool;
  GArray *states; /* of GwSpoolState */
  GwSpoolPlace place;
} Ack;

static void push_acks (GwSpool *self);

void
gw_spool_mark_dirty (GwSpool *self, GwSpoolEndpoint *endpoint)
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
      gw_spool_see_segment (self, ack->place.segment);
      push_acks (self);
    }
  else
    for (guint i = 0; i < ack->states->len; i++) /* goes along with the next one */
      gw_spool_mark_dirty (self,
                           gw_spool_get_endpoint (self, g_array_index (ack->states, GwSpoolState, i).kid));
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
      GwSpoolEndpoint *endpoint = self->dirty->pdata[i];
      endpoint->dirty = FALSE;
      g_array_append_val (ack->states, endpoint->state);
    }
  g_ptr_array_set_size (self->dirty, 0);
  self->ack_on_its_way = TRUE;
  gw_writer_push_log (self->writer, FALSE, run_ack, done_ack, ack);
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
void
gw_spool_remove_empty (GwSpool *self)
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
void
gw_spool_see_segment (GwSpool *self, GwSpoolSegment *segment)
{
  GwSpoolSegment *newest = g_queue_peek_tail (&self->segments);

  if (newest == NULL || newest->id.number < segment->id.number)
    g_queue_push_tail (&self->segments, gw_spool_segment_ref (segment));
  if (self->anchor >= segment->id.number)
    return;
  self->anchor = segment->id.number;
  gw_spool_remove_empty (self);
  gw_spool_maybe_compact (self);
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
  GwSpoolEndpoint *endpoint = gw_spool_get_endpoint (self, move->kid);
  GwSpoolEntry *entry = gw_spool_find_exact (endpoint, move->seq);

  if (entry == NULL || entry->state != GW_SPOOL_QUEUED || entry->segment != from)
    return; /* has left meanwhile: the copy is dead */
  if (move->lost)
    {
      gw_spool_leave (self, endpoint, entry, GW_SPOOL_GIVEN_UP + GW_SPOOL_DROP_CORRUPT);
      gw_spool_advance (self, endpoint);
      return;
    }
  gw_spool_unsettle (entry);
  gw_spool_settle (self, entry, move->place.segment, move->place.offset, move->place.size);
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
          gw_spool_see_segment (self, move->place.segment);
        }
      g_clear_pointer (&move->place.segment, gw_spool_segment_unref);
    }
  if (error == NULL)
    gw_spool_after_leaving (self);
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
      GwSpoolEndpoint *endpoint = value;
      for (guint i = endpoint->front; i < endpoint->entries->len; i++)
        {
          const GwSpoolEntry *entry = gw_spool_get_entry (endpoint, i);
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
void
gw_spool_maybe_compact (GwSpool *self)
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

/* Called after entries have left, once for all of them. */
void
gw_spool_after_leaving (GwSpool *self)
{
  gw_spool_trim_cache (self);
  push_acks (self);
  gw_spool_remove_empty (self);
  gw_spool_maybe_compact (self);
}
