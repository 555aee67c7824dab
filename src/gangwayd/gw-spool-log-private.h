/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gw-spool-log.h"

/* Shared by gw-spool-log.c and gw-spool-recovery.c only. */

struct _GwSpoolLog
{
  const GwSpoolIo *io;
  int dirfd; /* locked */
  guint32 segment_bytes;
  GHashTable *states; /* key id in the state -> GwSpoolState, owned */
  guint64 next_seq;
  guint64 last_number;
  guint64 failures;        /* atomic */
  GwSpoolSegment *current; /* NULL: the next group opens one */
  gboolean bad;            /* current must not be written to any more */
  gboolean skipped;        /* sequence numbers were given to a group that failed */

  /* The group */
  GByteArray *buffer;
  GArray *journal; /* of GwSpoolState: as they were, newest last */
  guint32 base;    /* where the buffer goes */
  gboolean wrote;
  gboolean must_sync;
  guint mark_buffer;
  guint mark_journal;
};

GwSpoolSegment *gw_spool_segment_new (const GwSpoolSegmentId *id, int fd);
GwSpoolState *gw_spool_log_get_state (GwSpoolLog *self, const guint8 *kid);
guint32 gw_spool_log_count_lost (const GwSpoolState *state, const guint8 *boot, guint64 q);
void gw_spool_log_set_errno (GError **error, const char *what, int code);
