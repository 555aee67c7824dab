/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-serial-line.h"

#include <errno.h>
#include <glib-unix.h>
#include <unistd.h>

/* Octets taken in one turn of the main loop: a babbling line costs a bounded share of it, and every octet the same,
 * good or bad (errors are counted, never logged one by one). At 3 Mbit/s this is 14 ms of line. */
#define READ_PER_TURN 4096

struct _GwSerialLine
{
  gatomicrefcount refs; /* one for the owner, one for a turn that is running */
  int fd;               /* -1 once closed */
  const GwSerialLineFuncs *funcs;
  gpointer owner;
  GSource *in, *out;
  GwFrameDecoder decoder;
  guint8 *rx;
  gsize datagram_max;
  guint8 *tx; /* one frame under way: octets tx_pos .. tx_len are still to go */
  gsize tx_size, tx_pos, tx_len;
  GwSerialLineCounters counters;
};

static void
shut (GwSerialLine *self)
{
  if (self->in != NULL)
    g_source_destroy (self->in);
  g_clear_pointer (&self->in, g_source_unref);
  if (self->out != NULL)
    g_source_destroy (self->out);
  g_clear_pointer (&self->out, g_source_unref);
  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;
}

static void
line_unref (GwSerialLine *self)
{
  if (!g_atomic_ref_count_dec (&self->refs))
    return;
  g_free (self->rx);
  g_free (self->tx);
  g_free (self);
}

void
gw_serial_line_free (GwSerialLine *self)
{
  shut (self);
  line_unref (self);
}

static void
go (GwSerialLine *self, const char *why)
{
  if (self->fd < 0)
    return;
  shut (self);
  self->funcs->gone (self->owner, why);
}

/* ---- To the wire ---- */

/* Encodes the next one. FALSE: there is none. */
static gboolean
load_frame (GwSerialLine *self)
{
  GwFrame frame = { 0 };

  self->tx_pos = self->tx_len = 0;
  while (self->funcs->next (self->owner, &frame))
    if (frame.info.len <= self->datagram_max
        && gw_frame_encode (&frame, self->tx, self->tx_size, &self->tx_len) == GW_OK)
      return TRUE;
  self->tx_len = 0;
  return FALSE;
}

static void
note_sent (GwSerialLine *self)
{
  self->counters.frames_out++;
  if (self->funcs->sent != NULL)
    self->funcs->sent (self->owner, self->tx_len);
}

static gboolean on_writable (int fd, GIOCondition condition, gpointer data);

static void
wait_writable (GwSerialLine *self)
{
  if (self->out != NULL)
    return;
  self->out = g_unix_fd_source_new (self->fd, G_IO_OUT);
  g_source_set_callback (self->out, G_SOURCE_FUNC (on_writable), self, NULL);
  g_source_attach (self->out, NULL);
}

/* Writes until the line is full, nothing is left, or the line is gone. */
static void
flush (GwSerialLine *self)
{
  const char *why;

  while (self->fd >= 0 && (self->tx_pos < self->tx_len || load_frame (self)))
    {
      ssize_t n = write (self->fd, self->tx + self->tx_pos, self->tx_len - self->tx_pos);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0 && errno == EAGAIN)
        {
          wait_writable (self);
          return;
        }
      if (n < 0)
        {
          why = g_strerror (errno);
          go (self, why);
          return;
        }
      self->tx_pos += n;
      self->counters.bytes_out += n;
      if (self->tx_pos == self->tx_len)
        note_sent (self);
    }
}

static gboolean
on_writable (int fd, GIOCondition condition, gpointer data)
{
  GwSerialLine *self = data;

  g_atomic_ref_count_inc (&self->refs);
  /* flush () makes a new source if the line fills again. */
  g_clear_pointer (&self->out, g_source_unref);
  flush (self);
  if (self->fd >= 0)
    self->funcs->changed (self->owner);
  line_unref (self);
  return G_SOURCE_REMOVE;
}

void
gw_serial_line_kick (GwSerialLine *self)
{
  if (self->fd < 0 || self->out != NULL)
    return;
  g_atomic_ref_count_inc (&self->refs);
  flush (self);
  if (self->fd >= 0)
    self->funcs->changed (self->owner);
  line_unref (self);
}

/* ---- From the wire ---- */

static void
decode (GwSerialLine *self, const guint8 *data, gsize len)
{
  while (len > 0 && self->fd >= 0)
    {
      GwFrame frame;
      size_t used = 0;

      if (gw_frame_decoder_feed (&self->decoder, data, len, &used, &frame) == GW_FRAME_EVENT_FRAME)
        self->funcs->frame (self->owner, &frame);
      data += used;
      len -= used;
    }
}

static void
read_turn (GwSerialLine *self, GIOCondition condition)
{
  guint8 data[READ_PER_TURN];
  ssize_t n = read (self->fd, data, sizeof data);

  if (n > 0)
    {
      self->counters.bytes_in += n;
      if (self->funcs->heard != NULL)
        self->funcs->heard (self->owner, n);
      decode (self, data, n);
      if (self->fd >= 0)
        self->funcs->changed (self->owner);
    }
  else if (n == 0)
    go (self, "hang-up");
  else if (errno == EAGAIN)
    {
      /* A hung-up terminal that still blocks would spin the loop. */
      if (condition & (G_IO_HUP | G_IO_ERR))
        go (self, "hang-up");
    }
  else if (errno != EINTR)
    go (self, g_strerror (errno));
}

static gboolean
on_readable (int fd, GIOCondition condition, gpointer data)
{
  GwSerialLine *self = data;
  gboolean alive;

  g_atomic_ref_count_inc (&self->refs);
  read_turn (self, condition);
  alive = self->fd >= 0;
  line_unref (self);
  return alive ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* ---- Life ---- */

GwSerialLine *
gw_serial_line_new (int fd, gsize datagram_max, const GwSerialLineFuncs *funcs, gpointer owner)
{
  GwSerialLine *self = g_new0 (GwSerialLine, 1);

  g_atomic_ref_count_init (&self->refs);
  self->fd = fd;
  self->funcs = funcs;
  self->owner = owner;
  self->datagram_max = datagram_max;
  self->rx = g_malloc (datagram_max + GW_FRAME_OVERHEAD);
  gw_frame_decoder_init (&self->decoder, self->rx, datagram_max + GW_FRAME_OVERHEAD);
  self->tx_size = GW_FRAME_ENCODED_MAX (datagram_max);
  self->tx = g_malloc (self->tx_size);
  self->in = g_unix_fd_source_new (fd, G_IO_IN | G_IO_HUP | G_IO_ERR);
  g_source_set_callback (self->in, G_SOURCE_FUNC (on_readable), self, NULL);
  g_source_attach (self->in, NULL);
  return self;
}

void
gw_serial_line_get_counters (GwSerialLine *self, GwSerialLineCounters *out)
{
  *out = self->counters;
  out->in = self->decoder.counters;
}
