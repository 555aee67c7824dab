/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "gw-writer.h"

/* The spool: durable store-and-forward between the endpoints and their uplinks.
 *
 * Segment files in one folder, only ever appended to, by the writer thread; the index of what is not yet
 * delivered is in memory, on the main thread. A record becomes visible to gw_spool_next () once it is
 * durable. Each record carries the endpoint's (boot, sequence), so that the last one stored is known after
 * any crash, in the same commit as the record. Format: gw-spool-codec.h and doc/spool.md.
 *
 * All calls are for the main thread. Key ids are 32 raw octets, times microseconds since 1970 (UTC).
 */

#define GW_SPOOL_KID_LEN 32
#define GW_SPOOL_BOOT_LEN 4
#define GW_SPOOL_PAYLOAD_MAX 65536 /* octets of one record's payload */

typedef struct _GwSpool GwSpool;

typedef enum
{
  GW_SPOOL_REPORT = 1,
  GW_SPOOL_EVENT = 2,
} GwSpoolKind;

typedef enum
{
  GW_SPOOL_FLAG_CLOCK_INVALID = 1 << 0, /* the gateway had no valid time when it stamped the record */
} GwSpoolFlags;

/* Why a record left the spool without having been delivered. Each is counted. */
typedef enum
{
  GW_SPOOL_DROP_CORRUPT,  /* its checksum did not hold */
  GW_SPOOL_DROP_RELEASED, /* the endpoint was released, revoked or decommissioned */
  GW_SPOOL_DROP_ORPHANED, /* published under the gateway's own identity instead */
  GW_SPOOL_DROP_REFUSED,  /* cannot be published: undecodable, or the broker refuses it for good */
  GW_SPOOL_DROP_AGED,     /* older than the configuration lets it become */
  GW_SPOOL_DROP_N,
} GwSpoolDrop;

typedef struct
{
  guint64 seq; /* the spool's own, increasing for each endpoint, never reused; from 1 */
  guint8 kid[GW_SPOOL_KID_LEN];
  guint8 boot[GW_SPOOL_BOOT_LEN]; /* bt */
  guint64 q;
  gint64 time; /* when the gateway received it */
  GwSpoolKind kind;
  GwSpoolFlags flags;
  GBytes *payload; /* owned */
} GwSpoolRecord;

typedef struct
{
  guint64 queued;     /* records not yet acknowledged by the broker */
  guint64 bytes;      /* their size on disk */
  guint64 stored;     /* since start: made durable */
  guint64 acked;      /* since start */
  guint64 duplicates; /* since start: repeated by the endpoint, not stored again */
  guint64 refused;    /* since start: turned away because a limit was reached; the endpoint keeps them */
  guint64 lost;       /* q that the endpoint skipped: lost before they reached us (kept over restarts) */
  guint64 dropped[GW_SPOOL_DROP_N]; /* kept over restarts */
} GwSpoolCounters;

/* As in GwSpoolCounters, over all endpoints. */
typedef struct
{
  guint64 bytes;
  guint64 stored;
  guint64 acked;
} GwSpoolTotals;

typedef struct
{
  GwSpoolCounters sum; /* over all endpoints; dropped[CORRUPT] also counts those whose owner is unreadable */
  guint64 disk_bytes;  /* the segments' size */
  guint64 cache_bytes; /* payloads held in memory */
  guint segments;
  guint endpoints;        /* with anything queued */
  guint64 corrupt_octets; /* skipped at start-up */
  guint64 torn_octets;    /* cut off the last segment at start-up: never acknowledged to anybody */
  guint64 failed_groups;  /* groups the disk refused */
} GwSpoolStats;

/* The system calls the spool writes with; a seam for the tests of disk faults. NULL in the options: the real
 * ones. */
typedef struct
{
  int (*open) (int dirfd, const char *name, int flags, mode_t mode);
  ssize_t (*pwrite) (int fd, const void *data, size_t len, off_t at);
  ssize_t (*pread) (int fd, void *data, size_t len, off_t at);
  int (*ftruncate) (int fd, off_t len);
  int (*fdatasync) (int fd);
  int (*fsync) (int fd);
  int (*unlink) (int dirfd, const char *name, int flags);
} GwSpoolIo;

typedef struct
{
  guint64 max_bytes; /* of queued records; 0: 256 MiB. The folder may take twice that and a few segments */
  guint64 max_bytes_per_endpoint; /* 0: the fair share alone */
  guint64 cache_bytes;            /* recent payloads kept in memory; 0: 4 MiB */
  guint32 segment_bytes;          /* 0: 8 MiB */
  const GwSpoolIo *io;
} GwSpoolLimits;

/* dir: created (0700) if missing; locked against a second process (GW_ERROR_BUSY). Recovers what is there:
 * cuts a torn tail, skips and counts corrupt records. Registers itself as the log of writer, which must
 * outlive the spool's use but be stopped before gw_spool_free (). */
GwSpool *gw_spool_open (const char *dir, const GwSpoolLimits *limits, GwWriter *writer, GError **error);
void gw_spool_free (GwSpool *self);
/* From now on; as in GwSpoolLimits. What is above a lower limit stays. */
void gw_spool_set_limits (GwSpool *self, guint64 max_bytes, guint64 max_bytes_per_endpoint);

/* Stores one record; payload is referenced until it has been written. done (data, NULL) after it is durable:
 * only then may the endpoint get its acknowledgement. Of the same boot, a q not above the last is a
 * duplicate: not stored, done all the same, once the original is durable. A new boot starts a new run. FALSE
 * and GW_ERROR_LIMIT (the spool, or this endpoint's share of it, is full), GW_ERROR_BUSY (the disk does not
 * keep up) or GW_ERROR_INVALID: done is never called, and the caller does not acknowledge. The fair share: an
 * endpoint may queue as many octets as are still free, so alone it gets half of the spool, and there is
 * always room for another. */
gboolean gw_spool_append (GwSpool *self,
                          const guint8 *kid,
                          const guint8 *boot,
                          guint64 q,
                          gint64 time,
                          GwSpoolKind kind,
                          GwSpoolFlags flags,
                          GBytes *payload,
                          GwWriterDone done,
                          gpointer data,
                          GError **error);

/* The last durable (boot, q) of an endpoint; FALSE if none is known. boot, q may be NULL. */
gboolean gw_spool_last (GwSpool *self, const guint8 *kid, guint8 *boot, guint64 *q);

/* The oldest queued record with a seq above after (0: from the start). Returns 1 and fills out (clear it with
 * gw_spool_record_clear ()), 0 if there is none, -1 with error if the disk cannot be read now. A corrupt
 * record is dropped, counted and passed over. */
int gw_spool_next (GwSpool *self, const guint8 *kid, guint64 after, GwSpoolRecord *out, GError **error);

void gw_spool_record_clear (GwSpoolRecord *record);

/* The broker has acknowledged (PUBACK) record seq of kid. Any order; unknown or repeated ones are ignored. */
void gw_spool_ack (GwSpool *self, const guint8 *kid, guint64 seq);

/* Gives up a queued record (its last chance gone), counted under reason. seq 0: all of the endpoint's.
 * Returns how many. */
guint64 gw_spool_drop (GwSpool *self, const guint8 *kid, guint64 seq, GwSpoolDrop reason);

/* Gives up what was received at or before time, counted as GW_SPOOL_DROP_AGED. Returns how many. A stamp before
 * floor is of a clock that was not set and says nothing: such a record goes when a later one of its endpoint
 * goes. Up to the first that stays; what a clock set back has made look old behind that one waits for it. */
guint64 gw_spool_expire (GwSpool *self, gint64 floor, gint64 time);

/* Counters of one endpoint (zeros if unknown) and of the whole, which are summed up over all endpoints and segments. */
void gw_spool_get_counters (GwSpool *self, const guint8 *kid, GwSpoolCounters *out);
void gw_spool_get_stats (GwSpool *self, GwSpoolStats *out);
/* The sums that are kept as they change: for whoever looks every second. */
void gw_spool_get_totals (GwSpool *self, GwSpoolTotals *out);

/* Calls func for each endpoint whose oldest queued record was received at or before time: with a time of some
 * minutes ago, those that have no way out. */
typedef void (*GwSpoolStrandedFunc) (
    const guint8 *kid, guint64 queued, guint64 bytes, gint64 oldest, gpointer data);
guint gw_spool_stranded (GwSpool *self, gint64 time, GwSpoolStrandedFunc func, gpointer data);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwSpool, gw_spool_free)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (GwSpoolRecord, gw_spool_record_clear)
