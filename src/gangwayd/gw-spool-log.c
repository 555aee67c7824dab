/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The spool's files, as the writer thread sees them: a group is gathered in memory, then one pwrite, one
 * fdatasync.
 *
 * What a failed group leaves behind: the file is cut back to its last good octet. If that or the fdatasync
 * fails, the kernel may have dropped our pages and called them clean, so the file is never written to again
 * and the next group opens another. Sequence numbers of a failed group are not used again; a checkpoint
 * record tells a later recovery that the gap is no loss. Recovery is in gw-spool-recovery.c. */

#include "gw-spool-log-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gw-error.h"

#define BUFFER_KEEP (1u << 20) /* octets of buffer kept between groups */

static int
real_open (int dirfd, const char *name, int flags, mode_t mode)
{
  return openat (dirfd, name, flags, mode);
}

const GwSpoolIo gw_spool_io_default = {
  .open = real_open,
  .pwrite = pwrite,
  .pread = pread,
  .ftruncate = ftruncate,
  .fdatasync = fdatasync,
  .fsync = fsync,
  .unlink = unlinkat,
};

static void
segment_clear (gpointer data)
{
  GwSpoolSegment *self = data;
  close (self->fd);
}

GwSpoolSegment *
gw_spool_segment_ref (GwSpoolSegment *self)
{
  return g_atomic_rc_box_acquire (self);
}

void
gw_spool_segment_unref (GwSpoolSegment *self)
{
  g_atomic_rc_box_release_full (self, segment_clear);
}

GwSpoolSegment *
gw_spool_segment_new (const GwSpoolSegmentId *id, int fd)
{
  GwSpoolSegment *self = g_atomic_rc_box_new0 (GwSpoolSegment);

  self->id = *id;
  self->fd = fd;
  return self;
}

void
gw_spool_log_set_errno (GError **error, const char *what, int code)
{
  g_set_error (error, GW_ERROR, GW_ERROR_STORAGE, "Cannot %s the spool: %s; look at the state folder's disk",
               what, g_strerror (code));
}

int
gw_spool_segment_read (GwSpoolSegment *self,
                       const GwSpoolIo *io,
                       guint32 offset,
                       guint32 size,
                       GwSpoolHeader *header,
                       GBytes **payload,
                       GError **error)
{
  g_autofree guint8 *buffer = g_malloc (size);
  const guint8 *body;
  gsize have = 0;

  while (have < size)
    {
      gssize n = io->pread (self->fd, buffer + have, size - have, (off_t)offset + (off_t)have);
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        {
          gw_spool_log_set_errno (error, "read", errno);
          return -1;
        }
      if (n == 0)
        return 0;
      have += (gsize)n;
    }
  if (gw_spool_codec_decode (&self->id, offset, buffer, size, header, &body) != size)
    return 0;
  if (payload != NULL)
    *payload = g_bytes_new (body, header->payload_len);
  return 1;
}

/* States, with a journal that takes a group or an item back. */

guint
gw_spool_kid_hash (gconstpointer key)
{
  guint hash;
  memcpy (&hash, key, sizeof hash); /* a key id is a digest already */
  return hash;
}

gboolean
gw_spool_kid_equal (gconstpointer a, gconstpointer b)
{
  return memcmp (a, b, GW_SPOOL_KID_LEN) == 0;
}

GwSpoolState *
gw_spool_log_get_state (GwSpoolLog *self, const guint8 *kid)
{
  GwSpoolState *state = g_hash_table_lookup (self->states, kid);

  if (state == NULL)
    {
      state = g_new0 (GwSpoolState, 1);
      memcpy (state->kid, kid, GW_SPOOL_KID_LEN);
      g_hash_table_insert (self->states, state->kid, state);
    }
  return state;
}

static GwSpoolState *
change_state (GwSpoolLog *self, const guint8 *kid)
{
  GwSpoolState *state = gw_spool_log_get_state (self, kid);
  g_array_append_val (self->journal, *state);
  return state;
}

static void
take_back (GwSpoolLog *self, guint to)
{
  while (self->journal->len > to)
    {
      const GwSpoolState *old = &g_array_index (self->journal, GwSpoolState, self->journal->len - 1);
      *gw_spool_log_get_state (self, old->kid) = *old;
      g_array_set_size (self->journal, self->journal->len - 1);
    }
}

/* Adds one record to the group. */
static void
put_record (GwSpoolLog *self, const GwSpoolHeader *header, gconstpointer payload, GwSpoolPlace *place)
{
  gsize size = gw_spool_codec_size (header);
  guint at = self->buffer->len;
  guint32 offset = self->base + at;

  g_byte_array_set_size (self->buffer, at + (guint)size);
  gw_spool_codec_encode (&self->current->id, offset, header, payload, self->buffer->data + at);
  if (place == NULL)
    return;
  place->offset = offset;
  place->size = (guint32)size;
  place->seq = header->seq;
}

static void
note_segment (GwSpoolLog *self, GwSpoolPlace *place)
{
  if (place->segment == NULL)
    place->segment = gw_spool_segment_ref (self->current);
}

/* The checkpoint: everything a later recovery must know that older segments may no longer be there to tell.
 */
static void
put_checkpoint (GwSpoolLog *self)
{
  GwSpoolHeader header = { .kind = GW_SPOOL_RECORD_CHECKPOINT, .seq = self->next_seq };
  g_autoptr (GByteArray) entries = g_byte_array_new ();
  guint left = g_hash_table_size (self->states);
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, self->states);
  do
    {
      g_byte_array_set_size (entries, 0);
      while (left > 0 && entries->len < GW_SPOOL_STATES_MAX * GW_SPOOL_STATE_LEN
             && g_hash_table_iter_next (&iter, NULL, &value))
        {
          g_byte_array_set_size (entries, entries->len + GW_SPOOL_STATE_LEN);
          gw_spool_codec_put_state (value, entries->data + entries->len - GW_SPOOL_STATE_LEN);
          left--;
        }
      header.payload_len = entries->len;
      header.flags = left == 0 ? GW_SPOOL_RECORD_LAST : 0;
      put_record (self, &header, entries->data, NULL);
    }
  while (left > 0);
}

static gboolean
open_segment (GwSpoolLog *self, GError **error)
{
  GwSpoolSegmentId id = { .number = self->last_number + 1 };
  char name[GW_SPOOL_NAME_LEN + 1];
  int fd;

  if (getrandom (&id.salt, sizeof id.salt, 0) != sizeof id.salt)
    {
      gw_spool_log_set_errno (error, "make a salt for", errno);
      return FALSE;
    }
  gw_spool_codec_print_name (&id, name);
  fd = self->io->open (self->dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    {
      gw_spool_log_set_errno (error, "create a file of", errno);
      return FALSE;
    }
  self->last_number = id.number;
  g_clear_pointer (&self->current, gw_spool_segment_unref);
  self->current = gw_spool_segment_new (&id, fd);
  self->bad = FALSE;
  return TRUE;
}

static gboolean
log_begin (gpointer handle, GError **error)
{
  GwSpoolLog *self = handle;

  self->wrote = FALSE;
  self->must_sync = FALSE;
  if (self->current == NULL || self->bad
      || (guint)g_atomic_int_get (&self->current->size) >= self->segment_bytes)
    if (!open_segment (self, error))
      return FALSE;
  self->base = (guint32)g_atomic_int_get (&self->current->size);
  if (self->base == 0)
    {
      put_checkpoint (self);
      self->must_sync = TRUE;
    }
  else if (self->skipped)
    {
      GwSpoolHeader header = { .kind = GW_SPOOL_RECORD_CHECKPOINT, .seq = self->next_seq };
      put_record (self, &header, NULL, NULL);
    }
  return TRUE;
}

static gboolean
log_mark (gpointer handle, GError **error)
{
  GwSpoolLog *self = handle;

  self->mark_buffer = self->buffer->len;
  self->mark_journal = self->journal->len;
  return TRUE;
}

static gboolean
log_undo (gpointer handle, GError **error)
{
  GwSpoolLog *self = handle;

  g_byte_array_set_size (self->buffer, self->mark_buffer);
  take_back (self, self->mark_journal);
  return TRUE;
}

static gboolean
write_buffer (GwSpoolLog *self, GError **error)
{
  gsize done = 0;

  self->wrote = TRUE;
  while (done < self->buffer->len)
    {
      gssize n = self->io->pwrite (self->current->fd, self->buffer->data + done, self->buffer->len - done,
                                   (off_t)self->base + (off_t)done);
      if (n < 0 && errno == EINTR)
        continue;
      if (n <= 0)
        {
          gw_spool_log_set_errno (error, "write to", n == 0 ? EIO : errno);
          return FALSE;
        }
      done += (gsize)n;
    }
  return TRUE;
}

/* A file whose name is gone takes all that is written to it, and gives it back to nobody. */
static gboolean
is_removed (int fd)
{
  struct stat st;

  return fstat (fd, &st) == 0 && st.st_nlink == 0;
}

static gboolean
log_commit (gpointer handle, gboolean sync, GError **error)
{
  GwSpoolLog *self = handle;

  if (self->buffer->len == 0)
    return TRUE;
  if (!write_buffer (self, error))
    return FALSE;
  if (!sync && !self->must_sync)
    return TRUE;
  if (self->io->fdatasync (self->current->fd) != 0)
    {
      gw_spool_log_set_errno (error, "sync", errno);
      self->bad = TRUE;
      return FALSE;
    }
  if (is_removed (self->current->fd))
    {
      gw_spool_log_set_errno (error, "find again a file of", ENOENT);
      self->bad = TRUE;
      return FALSE;
    }
  if (self->base == 0 && self->io->fsync (self->dirfd) != 0)
    {
      gw_spool_log_set_errno (error, "sync the folder of", errno);
      self->bad = TRUE;
      return FALSE;
    }
  return TRUE;
}

static void
take_group_back (GwSpoolLog *self)
{
  take_back (self, 0);
  self->skipped = TRUE;
  __atomic_add_fetch (&self->failures, 1, __ATOMIC_RELAXED);
  if (self->current == NULL)
    return;
  if (self->wrote && self->io->ftruncate (self->current->fd, (off_t)self->base) != 0)
    self->bad = TRUE;
  if (self->bad && self->base == 0)
    {
      /* Nobody has heard of this file yet. If it cannot be removed, the next start skips what is in it. */
      gw_spool_log_remove (self, self->current, NULL);
      g_clear_pointer (&self->current, gw_spool_segment_unref);
    }
}

static void
log_end (gpointer handle, gboolean committed)
{
  GwSpoolLog *self = handle;

  if (!committed)
    take_group_back (self);
  else if (self->buffer->len > 0)
    {
      g_atomic_int_set (&self->current->size, (gint)(self->base + self->buffer->len));
      self->skipped = FALSE;
    }
  g_array_set_size (self->journal, 0);
  if (self->buffer->len > BUFFER_KEEP)
    {
      g_byte_array_unref (self->buffer);
      self->buffer = g_byte_array_new ();
    }
  g_byte_array_set_size (self->buffer, 0);
}

const GwWriterStore gw_spool_log_store = { log_begin, log_mark, log_undo, log_commit, log_end };

/* Operations */

static gboolean
is_last (const GwSpoolState *state, gboolean any, const guint8 *boot, guint64 q)
{
  if (!any || !state->has_last)
    return any == state->has_last;
  return q == state->q && memcmp (boot, state->boot, GW_SPOOL_BOOT_LEN) == 0;
}

/* How many the endpoint skipped. What a stranger had before we met it is not ours to count. */
guint32
gw_spool_log_count_lost (const GwSpoolState *state, const guint8 *boot, guint64 q)
{
  guint64 last;

  if (!state->has_last || q == 0)
    return 0;
  last = memcmp (boot, state->boot, GW_SPOOL_BOOT_LEN) == 0 ? state->q : 0;
  return q > last ? (guint32)MIN (q - last - 1, G_MAXUINT32) : 0;
}

gboolean
gw_spool_log_append (GwSpoolLog *self, GwSpoolAppend *op, GError **error)
{
  GwSpoolHeader *header = &op->header;
  const GwSpoolState *state = gw_spool_log_get_state (self, header->kid);
  GwSpoolState *changed;

  note_segment (self, &op->place);
  if (op->duplicate)
    {
      if (state->has_last && memcmp (state->boot, header->boot, GW_SPOOL_BOOT_LEN) == 0
          && header->q <= state->q)
        return TRUE;
      g_set_error (error, GW_ERROR, GW_ERROR_STORAGE, "The record that this one repeats was not stored");
      return FALSE;
    }
  if (!is_last (state, op->after_any, op->after_boot, op->after_q))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_STORAGE, "The record before this one was not stored");
      return FALSE;
    }
  header->seq = self->next_seq++;
  header->lost = gw_spool_log_count_lost (state, header->boot, header->q);
  put_record (self, header, g_bytes_get_data (op->payload, NULL), &op->place);
  changed = change_state (self, header->kid);
  changed->has_last = TRUE;
  changed->q = header->q;
  changed->lost += header->lost;
  memcpy (changed->boot, header->boot, GW_SPOOL_BOOT_LEN);
  return TRUE;
}

gboolean
gw_spool_log_ack (GwSpoolLog *self, GArray *states, GwSpoolPlace *place, GError **error)
{
  GwSpoolHeader header = { .kind = GW_SPOOL_RECORD_ACK, .seq = self->next_seq };
  g_autofree guint8 *entries = g_malloc (GW_SPOOL_STATES_MAX * GW_SPOOL_ACK_LEN);
  guint n = 0;

  note_segment (self, place);
  for (guint i = 0; i < states->len; i++)
    {
      const GwSpoolState *in = &g_array_index (states, GwSpoolState, i);
      GwSpoolState *changed = change_state (self, in->kid);

      changed->cursor = in->cursor;
      memcpy (changed->dropped, in->dropped, sizeof changed->dropped);
      gw_spool_codec_put_ack (in, entries + n * GW_SPOOL_ACK_LEN);
      if (++n < GW_SPOOL_STATES_MAX && i + 1 < states->len)
        continue;
      header.payload_len = n * GW_SPOOL_ACK_LEN;
      put_record (self, &header, entries, NULL);
      n = 0;
    }
  return TRUE;
}

gboolean
gw_spool_log_move (GwSpoolLog *self, GwSpoolSegment *from, GArray *moves, GError **error)
{
  for (guint i = 0; i < moves->len; i++)
    {
      GwSpoolMove *move = &g_array_index (moves, GwSpoolMove, i);
      g_autoptr (GBytes) payload = NULL;
      GwSpoolHeader header;
      int rc;

      note_segment (self, &move->place);
      rc = gw_spool_segment_read (from, self->io, move->offset, move->size, &header, &payload, error);
      if (rc < 0)
        return FALSE; /* stays where it is; tried again when it is worth it again */
      move->lost = rc == 0 || header.seq != move->seq;
      if (move->lost)
        continue;
      header.flags |= GW_SPOOL_RECORD_MOVED;
      put_record (self, &header, g_bytes_get_data (payload, NULL), &move->place);
    }
  return TRUE;
}

gboolean
gw_spool_log_remove (GwSpoolLog *self, GwSpoolSegment *segment, GError **error)
{
  char name[GW_SPOOL_NAME_LEN + 1];

  gw_spool_codec_print_name (&segment->id, name);
  if (self->io->unlink (self->dirfd, name, 0) == 0 || errno == ENOENT)
    return TRUE;
  gw_spool_log_set_errno (error, "remove a file of", errno);
  return FALSE;
}

guint64
gw_spool_log_get_failures (GwSpoolLog *self)
{
  return __atomic_load_n (&self->failures, __ATOMIC_RELAXED);
}

void
gw_spool_log_foreach (GwSpoolLog *self, GwSpoolStateFunc func, gpointer data)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, self->states);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    func (value, data);
}

void
gw_spool_log_free (GwSpoolLog *self)
{
  if (self == NULL)
    return;
  g_clear_pointer (&self->current, gw_spool_segment_unref);
  g_hash_table_unref (self->states);
  g_array_unref (self->journal);
  g_byte_array_unref (self->buffer);
  if (self->dirfd >= 0)
    close (self->dirfd); /* and with it the lock */
  g_free (self);
}
