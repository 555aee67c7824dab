/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gw-spool-codec.h"
#include "gw-spool.h"

/* The spool's files: recovery at start, then the log store of the writer. Internal to the spool.
 *
 * gw_spool_log_open () and gw_spool_log_foreach () run before the first push, gw_spool_log_free () after the
 * writer has stopped; everything else runs in the writer thread. The log keeps its own table of the
 * endpoints' states, ahead of the main thread's: a checkpoint must tell what lies before it in the files, not
 * what has been told already. */

/* One file. Reference-counted (g_atomic_rc_box), since both threads hold it; the last one closes the
 * descriptor. */
typedef struct
{
  GwSpoolSegmentId id;
  int fd;
  gint size; /* atomic: good octets */
  /* Main thread only */
  guint live; /* queued records */
  guint64 live_bytes;
  gboolean moving;  /* records are being copied out of it */
  gboolean leaving; /* its file is being removed */
} GwSpoolSegment;

GwSpoolSegment *gw_spool_segment_ref (GwSpoolSegment *self);
void gw_spool_segment_unref (GwSpoolSegment *self);

typedef struct _GwSpoolLog GwSpoolLog;

/* Where a record went. segment is set by every operation that wrote into one, also if it failed (a
 * reference). */
typedef struct
{
  GwSpoolSegment *segment;
  guint32 offset;
  guint32 size;
  guint64 seq;
} GwSpoolPlace;

/* What was found at start. */
typedef struct
{
  guint64 corrupt_octets;
  guint64 torn_octets;
  GPtrArray *segments; /* of GwSpoolSegment, oldest first; owned by the log until the end of open */
  guint64 anchor;      /* segments numbered below may go once they are empty; 0: none */
} GwSpoolFound;

/* Called for each queued or delivered record in the files, oldest segment first; copies made by a move
 * included. */
typedef void (*GwSpoolFoundFunc) (const GwSpoolHeader *header,
                                  GwSpoolSegment *segment,
                                  guint32 offset,
                                  gpointer data);

GwSpoolLog *gw_spool_log_open (const char *dir,
                               guint32 segment_bytes,
                               const GwSpoolIo *io,
                               GwSpoolFoundFunc func,
                               gpointer data,
                               GwSpoolFound *found,
                               GError **error);
void gw_spool_log_free (GwSpoolLog *self);

typedef void (*GwSpoolStateFunc) (const GwSpoolState *state, gpointer data);
void gw_spool_log_foreach (GwSpoolLog *self, GwSpoolStateFunc func, gpointer data);

/* How many groups the disk refused; any thread. */
guint64 gw_spool_log_get_failures (GwSpoolLog *self);

/* The log as a store of the writer. */
extern const GwWriterStore gw_spool_log_store;

typedef struct
{
  GwSpoolHeader header; /* seq and lost are filled in */
  GBytes *payload;
  gboolean duplicate; /* store nothing; succeed if the original is there */
  /* The endpoint's last (boot, q) as the pusher believed it. If a record before this one failed they differ,
   * and this one fails too: storing it would make the missing one look like a duplicate when it comes again.
   */
  gboolean after_any;
  guint8 after_boot[GW_SPOOL_BOOT_LEN];
  guint64 after_q;
  GwSpoolPlace place;
} GwSpoolAppend;

gboolean gw_spool_log_append (GwSpoolLog *self, GwSpoolAppend *op, GError **error);

/* Cursors and drop counters, of GwSpoolState. */
gboolean gw_spool_log_ack (GwSpoolLog *self, GArray *states, GwSpoolPlace *place, GError **error);

typedef struct
{
  guint8 kid[GW_SPOOL_KID_LEN];
  guint64 seq;
  guint32 offset; /* in the old segment */
  guint32 size;
  gboolean lost; /* out: could not be read */
  GwSpoolPlace place;
} GwSpoolMove;

/* Copies records (of GwSpoolMove) out of a segment that is mostly dead. */
gboolean gw_spool_log_move (GwSpoolLog *self, GwSpoolSegment *from, GArray *moves, GError **error);

/* Removes a segment's file. */
gboolean gw_spool_log_remove (GwSpoolLog *self, GwSpoolSegment *segment, GError **error);

/* Reads and checks one record; any thread. 1, 0 if it is corrupt, -1 with error if the disk cannot be read.
 */
int gw_spool_segment_read (GwSpoolSegment *self,
                           const GwSpoolIo *io,
                           guint32 offset,
                           guint32 size,
                           GwSpoolHeader *header,
                           GBytes **payload,
                           GError **error);

extern const GwSpoolIo gw_spool_io_default;

/* For hash tables by key id. */
guint gw_spool_kid_hash (gconstpointer key);
gboolean gw_spool_kid_equal (gconstpointer a, gconstpointer b);
