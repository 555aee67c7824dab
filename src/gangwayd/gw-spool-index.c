/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The index of what is queued: endpoints, their entries, and the payloads of recent ones. Main thread only.
 */

#include "gw-spool-private.h"

#include <string.h>

#define FRONT_SLACK 64 /* gone entries kept at an array's front before it is moved up */
#define CACHE_SLOTS_SLACK                                                                                    \
  1024 /* slots of entries that went, before the oldest payload goes for the sake of them */

/* Endpoints */

static void
cached_free (GwSpoolCached *cached)
{
  g_bytes_unref (cached->payload);
  g_free (cached);
}

void
gw_spool_entry_clear (gpointer data)
{
  GwSpoolEntry *entry = data;
  g_clear_pointer (&entry->segment, gw_spool_segment_unref);
  g_clear_pointer (&entry->cached, cached_free);
}

void
gw_spool_endpoint_free (gpointer data)
{
  GwSpoolEndpoint *endpoint = data;
  g_array_unref (endpoint->entries);
  g_free (endpoint);
}

GwSpoolEndpoint *
gw_spool_get_endpoint (GwSpool *self, const guint8 *kid)
{
  GwSpoolEndpoint *endpoint = g_hash_table_lookup (self->endpoints, kid);

  if (endpoint != NULL)
    return endpoint;
  endpoint = g_new0 (GwSpoolEndpoint, 1);
  memcpy (endpoint->state.kid, kid, GW_SPOOL_KID_LEN);
  endpoint->entries = g_array_new (FALSE, FALSE, sizeof (GwSpoolEntry));
  g_array_set_clear_func (endpoint->entries, gw_spool_entry_clear);
  g_hash_table_insert (self->endpoints, endpoint->state.kid, endpoint);
  return endpoint;
}

GwSpoolEntry *
gw_spool_get_entry (const GwSpoolEndpoint *endpoint, guint i)
{
  return &g_array_index (endpoint->entries, GwSpoolEntry, i);
}

/* The first entry with a seq above after. */
guint
gw_spool_find_entry (const GwSpoolEndpoint *endpoint, guint64 after)
{
  guint low = endpoint->front, high = endpoint->entries->len;

  while (low < high)
    {
      guint middle = low + (high - low) / 2;
      if (gw_spool_get_entry (endpoint, middle)->seq > after)
        high = middle;
      else
        low = middle + 1;
    }
  return low;
}

GwSpoolEntry *
gw_spool_find_exact (const GwSpoolEndpoint *endpoint, guint64 seq)
{
  guint i = seq == 0 ? endpoint->entries->len : gw_spool_find_entry (endpoint, seq - 1);

  if (i >= endpoint->entries->len || gw_spool_get_entry (endpoint, i)->seq != seq)
    return NULL;
  return gw_spool_get_entry (endpoint, i);
}

/* The cache */

static guint64
cached_size (const GwSpoolCached *cached)
{
  return sizeof (GwSpoolCached) + sizeof (GwSpoolCacheSlot) + g_bytes_get_size (cached->payload);
}

static void
uncache (GwSpool *self, GwSpoolEntry *entry)
{
  if (entry->cached == NULL)
    return;
  self->cache_bytes -= cached_size (entry->cached);
  self->n_cached--;
  g_clear_pointer (&entry->cached, cached_free);
}

/* Slots of entries that went by themselves are met only at the front: too many behind a payload that stays
 * cost it its place, or they would pile up behind one silent endpoint's. */
void
gw_spool_trim_cache (GwSpool *self)
{
  while (self->cache.head != NULL)
    {
      GwSpoolCacheSlot *slot = self->cache.head->data;
      GwSpoolEntry *entry = gw_spool_find_exact (slot->endpoint, slot->seq);
      gboolean gone = entry == NULL || entry->cached == NULL;

      if (!gone && self->cache_bytes <= self->max_cache
          && self->cache.length <= 2 * self->n_cached + CACHE_SLOTS_SLACK)
        return;
      if (!gone)
        uncache (self, entry);
      g_free (g_queue_pop_head (&self->cache));
    }
}

void
gw_spool_cache_entry (GwSpool *self,
                      GwSpoolEndpoint *endpoint,
                      GwSpoolEntry *entry,
                      const GwSpoolHeader *header,
                      GBytes *payload)
{
  GwSpoolCacheSlot *slot = g_new (GwSpoolCacheSlot, 1);

  entry->cached = g_new (GwSpoolCached, 1);
  entry->cached->header = *header;
  entry->cached->payload = g_bytes_ref (payload);
  self->cache_bytes += cached_size (entry->cached);
  self->n_cached++;
  slot->endpoint = endpoint;
  slot->seq = entry->seq;
  g_queue_push_tail (&self->cache, slot);
}

void
gw_spool_settle (GwSpool *self, GwSpoolEntry *entry, GwSpoolSegment *segment, guint32 offset, guint32 size)
{
  entry->segment = gw_spool_segment_ref (segment);
  entry->offset = offset;
  entry->size = size;
  segment->live++;
  segment->live_bytes += size;
}

void
gw_spool_unsettle (GwSpoolEntry *entry)
{
  entry->segment->live--;
  entry->segment->live_bytes -= entry->size;
  g_clear_pointer (&entry->segment, gw_spool_segment_unref);
}

/* Moves the cursor over what has gone at the front. */
void
gw_spool_advance (GwSpool *self, GwSpoolEndpoint *endpoint)
{
  guint front = endpoint->front;

  while (endpoint->front < endpoint->entries->len)
    {
      const GwSpoolEntry *entry = gw_spool_get_entry (endpoint, endpoint->front);
      if (entry->state == GW_SPOOL_QUEUED)
        break;
      if (entry->state >= GW_SPOOL_GIVEN_UP)
        endpoint->state.dropped[entry->state - GW_SPOOL_GIVEN_UP]++;
      endpoint->state.cursor = entry->seq;
      endpoint->front++;
    }
  if (endpoint->front == front)
    return;
  gw_spool_mark_dirty (self, endpoint);
  if (endpoint->front == endpoint->entries->len
      || (endpoint->front > FRONT_SLACK && endpoint->front > endpoint->entries->len / 2))
    {
      g_array_remove_range (endpoint->entries, 0, endpoint->front);
      endpoint->front = 0;
    }
}

/* A queued entry leaves. The caller then calls advance () and, at the end, after_leaving (). */
void
gw_spool_leave (GwSpool *self, GwSpoolEndpoint *endpoint, GwSpoolEntry *entry, guint8 state)
{
  self->queued_bytes -= entry->size;
  endpoint->counters.bytes -= entry->size;
  endpoint->counters.queued--;
  if (state >= GW_SPOOL_GIVEN_UP)
    endpoint->counters.dropped[state - GW_SPOOL_GIVEN_UP]++;
  else
    {
      endpoint->counters.acked++;
      self->acked++;
    }
  uncache (self, entry);
  gw_spool_unsettle (entry);
  entry->state = state;
}
