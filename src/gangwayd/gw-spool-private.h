/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gw-spool-log.h"
#include "gw-spool.h"

/* Shared by gw-spool.c (the calls), gw-spool-index.c (what is queued) and gw-spool-keep.c (what is kept on
 * the disk). */

typedef struct
{
  GwSpoolHeader header;
  GBytes *payload;
} GwSpoolCached;

enum
{
  GW_SPOOL_QUEUED,
  GW_SPOOL_GONE,     /* acknowledged */
  GW_SPOOL_GIVEN_UP, /* + GwSpoolDrop */
};

typedef struct
{
  guint64 seq;
  GwSpoolSegment *segment; /* referenced while QUEUED */
  GwSpoolCached *cached;
  guint32 offset;
  guint32 size;
  guint32 seconds; /* when received, rounded up */
  guint8 state;
  guint8 read_errors;
} GwSpoolEntry;

typedef struct
{
  GwSpoolState state; /* first: the key id is the hash table's key. What is told: durable */
  GArray *entries;    /* of Entry, by seq */
  guint front;        /* the first entry that is QUEUED; all before have gone */
  guint pending;      /* appends in the writer's hands */
  gboolean next_any;  /* (boot, q) of the newest of them, else as in state */
  guint8 next_boot[GW_SPOOL_BOOT_LEN];
  guint64 next_q;
  guint64 reserved;         /* octets in the writer's hands */
  gboolean dirty;           /* cursor to be written */
  GwSpoolCounters counters; /* lost is in state */
} GwSpoolEndpoint;

typedef struct
{
  GwSpoolEndpoint *endpoint;
  guint64 seq;
} GwSpoolCacheSlot;

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
  guint64 stored; /* since start, as acked */
  guint64 acked;
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

/* gw-spool-index.c */

GwSpoolEndpoint *gw_spool_get_endpoint (GwSpool *self, const guint8 *kid); /* made if missing */
void gw_spool_endpoint_free (gpointer endpoint);
void gw_spool_entry_clear (gpointer entry);
GwSpoolEntry *gw_spool_get_entry (const GwSpoolEndpoint *endpoint, guint i);

/* The index of the first entry that has not gone, with a seq above after. */
guint gw_spool_find_entry (const GwSpoolEndpoint *endpoint, guint64 after);
GwSpoolEntry *gw_spool_find_exact (const GwSpoolEndpoint *endpoint, guint64 seq);

void gw_spool_cache_entry (GwSpool *self,
                           GwSpoolEndpoint *endpoint,
                           GwSpoolEntry *entry,
                           const GwSpoolHeader *header,
                           GBytes *payload);
void gw_spool_trim_cache (GwSpool *self);

/* Puts an entry into a segment, takes it out. */
void
gw_spool_settle (GwSpool *self, GwSpoolEntry *entry, GwSpoolSegment *segment, guint32 offset, guint32 size);
void gw_spool_unsettle (GwSpoolEntry *entry);

/* A queued entry leaves: state GW_SPOOL_GONE, or GW_SPOOL_GIVEN_UP + a GwSpoolDrop. Then, once for the
 * endpoint, gw_spool_advance (), which moves the cursor over what has gone at the front; at last
 * gw_spool_after_leaving (). */
void gw_spool_leave (GwSpool *self, GwSpoolEndpoint *endpoint, GwSpoolEntry *entry, guint8 state);
void gw_spool_advance (GwSpool *self, GwSpoolEndpoint *endpoint);

/* gw-spool-keep.c */

void gw_spool_mark_dirty (GwSpool *self, GwSpoolEndpoint *endpoint);
void gw_spool_after_leaving (GwSpool *self);
void gw_spool_see_segment (GwSpool *self, GwSpoolSegment *segment);
void gw_spool_remove_empty (GwSpool *self);
void gw_spool_maybe_compact (GwSpool *self);
