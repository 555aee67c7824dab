/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the spool does at start: reads every segment, oldest first, and rebuilds the states that the log
 * keeps.
 *
 * Records are applied as they come: a checkpoint sets the states it names, a report moves its endpoint's last
 * (boot, q), an ack its cursor. Damage is passed over up to the next good record. How many reports went with
 * it is known from the sequence numbers on either side, which have no gaps but those that a checkpoint
 * explains. */

#include "gw-spool-log-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gw-error.h"

#define SEGMENT_MAX (G_GUINT64_CONSTANT (1) << 30) /* a longer file is none of ours */
#define PAGE 4096u                                 /* what an unreadable place costs */

static const guint8 nobody[GW_SPOOL_KID_LEN]; /* owner of what cannot be told */

typedef struct
{
  GwSpoolLog *log;
  GwSpoolFound *found;
  GwSpoolFoundFunc func;
  gpointer data;
  gboolean damaged; /* anywhere */
  gboolean gap;     /* octets were passed over since the last sequence number */
  guint64 expected; /* the next sequence number; 0: not known */
  guint64 max_seq;
  guint64 number; /* of the last segment read */
} Scan;

/* seq: this record's, or for those that have none the next one that was to be given. */
static void
see_seq (Scan *scan, guint64 seq)
{
  if (scan->gap && scan->expected != 0 && seq > scan->expected)
    gw_spool_log_get_state (scan->log, nobody)->dropped[GW_SPOOL_DROP_CORRUPT] += seq - scan->expected;
  scan->gap = FALSE;
  scan->expected = seq;
}

static void
see_checkpoint (Scan *scan, const GwSpoolHeader *header, const guint8 *payload)
{
  GwSpoolState state;

  see_seq (scan, header->seq);
  if (header->seq > 0)
    scan->max_seq = MAX (scan->max_seq, header->seq - 1);
  for (gsize i = 0; gw_spool_codec_get_state (payload, header->payload_len, i, &state); i++)
    {
      GwSpoolState *mine = gw_spool_log_get_state (scan->log, state.kid);
      gboolean same
          = mine->has_last && state.has_last && memcmp (mine->boot, state.boot, sizeof state.boot) == 0;

      /* A record of a group that failed but reached the disk all the same may be further on than the
       * checkpoint. */
      if (same && mine->q > state.q)
        state.q = mine->q;
      *mine = state;
    }
}

static void
see_acks (Scan *scan, const GwSpoolHeader *header, const guint8 *payload)
{
  GwSpoolState state;

  see_seq (scan, header->seq);
  for (gsize i = 0; gw_spool_codec_get_ack (payload, header->payload_len, i, &state); i++)
    {
      GwSpoolState *mine = gw_spool_log_get_state (scan->log, state.kid);
      mine->cursor = MAX (mine->cursor, state.cursor);
      memcpy (mine->dropped, state.dropped, sizeof mine->dropped);
    }
}

static void
see_record (Scan *scan, const GwSpoolHeader *header, GwSpoolSegment *segment, guint32 offset)
{
  GwSpoolState *state = gw_spool_log_get_state (scan->log, header->kid);

  scan->max_seq = MAX (scan->max_seq, header->seq);
  if (!(header->flags & GW_SPOOL_RECORD_MOVED))
    {
      see_seq (scan, header->seq);
      scan->expected = header->seq + 1;
      /* The ghost of a failed group, stored properly later: (boot, q) tells. */
      if (state->has_last && memcmp (state->boot, header->boot, sizeof header->boot) == 0
          && header->q <= state->q)
        return;
      state->has_last = TRUE;
      state->q = header->q;
      state->lost += header->lost;
      memcpy (state->boot, header->boot, sizeof header->boot);
    }
  scan->func (header, segment, offset, scan->data);
}

static void
see (Scan *scan, const GwSpoolHeader *header, const guint8 *payload, GwSpoolSegment *segment, guint32 offset)
{
  switch (header->kind)
    {
    case GW_SPOOL_RECORD_REPORT:
    case GW_SPOOL_RECORD_EVENT:
      see_record (scan, header, segment, offset);
      break;
    case GW_SPOOL_RECORD_ACK:
      see_acks (scan, header, payload);
      break;
    case GW_SPOOL_RECORD_CHECKPOINT:
      see_checkpoint (scan, header, payload);
      break;
    default:
      break;
    }
}

/* Reads all of a file; places that the disk does not give back read as zeros, which is no record. */
static guint8 *
read_segment (GwSpoolLog *log, int fd, gsize size)
{
  guint8 *buffer = g_malloc (size + 1);
  gsize have = 0;

  while (have < size)
    {
      gssize n = log->io->pread (fd, buffer + have, size - have, (off_t)have);
      if (n < 0 && errno == EINTR)
        continue;
      if (n <= 0)
        {
          n = (gssize)MIN (size - have, PAGE - have % PAGE);
          memset (buffer + have, 0, (gsize)n);
        }
      have += (gsize)n;
    }
  return buffer;
}

/* The next place with a good record after pos, or size. */
static gsize
resync (const GwSpoolSegment *segment, const guint8 *buffer, gsize size, gsize pos)
{
  GwSpoolHeader header;
  const guint8 *payload;

  for (pos = gw_spool_codec_find (buffer, size, pos + 1); pos < size;
       pos = gw_spool_codec_find (buffer, size, pos + 1))
    if (gw_spool_codec_decode (&segment->id, (guint32)pos, buffer + pos, size - pos, &header, &payload) > 0)
      return pos;
  return size;
}

/* Returns how far the good records of the segment reach. *head: its checkpoint is whole. */
static gsize
scan_records (Scan *scan, GwSpoolSegment *segment, const guint8 *buffer, gsize size, gboolean *head)
{
  gboolean at_head = TRUE;
  gsize pos = 0;

  *head = FALSE;
  while (pos < size)
    {
      GwSpoolHeader header;
      const guint8 *payload;
      gsize next,
          n = gw_spool_codec_decode (&segment->id, (guint32)pos, buffer + pos, size - pos, &header, &payload);

      if (n > 0)
        {
          at_head = at_head && header.kind == GW_SPOOL_RECORD_CHECKPOINT;
          *head = *head || (at_head && (header.flags & GW_SPOOL_RECORD_LAST) != 0);
          see (scan, &header, payload, segment, (guint32)pos);
          pos += n;
          continue;
        }
      next = resync (segment, buffer, size, pos);
      if (next == size)
        return pos;
      at_head = FALSE;
      scan->damaged = scan->gap = TRUE;
      scan->found->corrupt_octets += next - pos;
      pos = next;
    }
  return pos;
}

static gboolean
scan_segment (Scan *scan, GwSpoolSegment *segment, gboolean last, GError **error)
{
  g_autofree guint8 *buffer = NULL;
  gboolean head;
  struct stat st;
  gsize good;

  if (fstat (segment->fd, &st) != 0)
    {
      gw_spool_log_set_errno (error, "look at a file of", errno);
      return FALSE;
    }
  if (st.st_size < 0 || (guint64)st.st_size > SEGMENT_MAX)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_STORAGE,
                   "A file of the spool is over 1 GiB; move it out of the folder");
      return FALSE;
    }
  if (segment->id.number != scan->number + 1)
    scan->expected = 0; /* what lay between was delivered and is gone: no measure for a loss */
  scan->number = segment->id.number;
  buffer = read_segment (scan->log, segment->fd, (gsize)st.st_size);
  good = scan_records (scan, segment, buffer, (gsize)st.st_size, &head);
  g_atomic_int_set (&segment->size, (gint)good);
  if (head)
    scan->found->anchor = segment->id.number;
  if (good == (gsize)st.st_size)
    return TRUE;
  if (!last)
    {
      scan->damaged = scan->gap = TRUE;
      scan->found->corrupt_octets += (gsize)st.st_size - good;
      return TRUE;
    }
  /* A torn tail: its group was never committed, so nobody was told that it was stored. */
  scan->found->torn_octets = (gsize)st.st_size - good;
  if (scan->log->io->ftruncate (segment->fd, (off_t)good) != 0)
    scan->damaged = TRUE; /* leave it; go on in a new file */
  return TRUE;
}

static gint
compare_segments (gconstpointer a, gconstpointer b)
{
  const GwSpoolSegment *x = *(GwSpoolSegment *const *)a;
  const GwSpoolSegment *y = *(GwSpoolSegment *const *)b;

  if (x->id.number != y->id.number)
    return x->id.number < y->id.number ? -1 : 1;
  return x->id.salt < y->id.salt ? -1 : x->id.salt > y->id.salt;
}

static gboolean
list_segments (GwSpoolLog *log, const char *dir, GPtrArray *segments, GError **error)
{
  g_autoptr (GDir) listing = g_dir_open (dir, 0, error);
  const char *name;

  if (listing == NULL)
    return FALSE;
  while ((name = g_dir_read_name (listing)) != NULL)
    {
      GwSpoolSegmentId id;
      int fd;

      if (!gw_spool_codec_parse_name (name, &id))
        continue;
      fd = log->io->open (log->dirfd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);
      if (fd < 0)
        {
          gw_spool_log_set_errno (error, "open a file of", errno);
          return FALSE;
        }
      g_ptr_array_add (segments, gw_spool_segment_new (&id, fd));
    }
  g_ptr_array_sort (segments, compare_segments);
  return TRUE;
}

static gboolean
lock_folder (GwSpoolLog *log, const char *dir, GError **error)
{
  if (g_mkdir_with_parents (dir, 0700) != 0)
    {
      gw_spool_log_set_errno (error, "make the folder of", errno);
      return FALSE;
    }
  log->dirfd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (log->dirfd < 0)
    {
      gw_spool_log_set_errno (error, "open the folder of", errno);
      return FALSE;
    }
  if (flock (log->dirfd, LOCK_EX | LOCK_NB) == 0)
    return TRUE;
  g_set_error (error, GW_ERROR, GW_ERROR_BUSY, "Another process uses the spool %s; stop it first", dir);
  return FALSE;
}

static gboolean
recover (GwSpoolLog *log, Scan *scan, GError **error)
{
  GPtrArray *segments = scan->found->segments;
  GwSpoolSegment *last;

  for (guint i = 0; i < segments->len; i++)
    if (!scan_segment (scan, segments->pdata[i], i + 1 == segments->len, error))
      return FALSE;
  log->next_seq = scan->max_seq + 1;
  if (segments->len == 0)
    return TRUE;
  last = segments->pdata[segments->len - 1];
  log->last_number = last->id.number;

  /* After damage the states, with what it cost, are written down anew before any file with a trace of it may
   * go. */
  if (scan->damaged || scan->found->anchor != last->id.number)
    scan->found->anchor = 0;
  if (!scan->damaged && (scan->found->anchor != 0 || last->size == 0))
    log->current = gw_spool_segment_ref (last);
  /* What is handed on as stored must be: a killed process may have left it in the kernel's memory only. */
  if (log->io->fdatasync (last->fd) != 0 || log->io->fsync (log->dirfd) != 0)
    {
      gw_spool_log_set_errno (error, "sync", errno);
      return FALSE;
    }
  return TRUE;
}

GwSpoolLog *
gw_spool_log_open (const char *dir,
                   guint32 segment_bytes,
                   const GwSpoolIo *io,
                   GwSpoolFoundFunc func,
                   gpointer data,
                   GwSpoolFound *found,
                   GError **error)
{
  GwSpoolLog *self = g_new0 (GwSpoolLog, 1);
  Scan scan = { .log = self, .found = found, .func = func, .data = data };

  self->io = io;
  self->dirfd = -1;
  self->segment_bytes = segment_bytes;
  self->states = g_hash_table_new_full (gw_spool_kid_hash, gw_spool_kid_equal, NULL, g_free);
  self->buffer = g_byte_array_new ();
  self->journal = g_array_new (FALSE, FALSE, sizeof (GwSpoolState));
  self->next_seq = 1;
  *found = (GwSpoolFound){
    .segments = g_ptr_array_new_with_free_func ((GDestroyNotify)gw_spool_segment_unref),
  };
  if (lock_folder (self, dir, error) && list_segments (self, dir, found->segments, error)
      && recover (self, &scan, error))
    return self;
  g_clear_pointer (&found->segments, g_ptr_array_unref);
  gw_spool_log_free (self);
  return NULL;
}
