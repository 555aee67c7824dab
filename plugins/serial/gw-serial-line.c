/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-serial-line.h"

#include "gw-serial-port.h"

/* Octets taken in one turn of the main loop: a babbling line costs a bounded share of it, and every octet the same,
 * good or bad (errors are counted, never logged one by one). At 3 Mbit/s this is 14 ms of line. */
#define READ_PER_TURN 4096

struct _GwSerialLine
{
  gatomicrefcount refs; /* one for the owner, one for a turn that is running */
  GwSerialPort port;
  const GwSerialLineFuncs *funcs;
  gpointer owner;
  GwFrameDecoder decoder;
  guint8 *rx;
  gsize datagram_max;
  guint8 *tx; /* one frame under way: octets tx_pos .. tx_len are still to go */
  gsize tx_size, tx_pos, tx_len;
  GwSerialLineCounters counters;
};

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
  gw_serial_port_close (&self->port);
  line_unref (self);
}

static void
go (GwSerialLine *self, const char *why)
{
  if (!gw_serial_port_is_open (&self->port))
    return;
  gw_serial_port_close (&self->port);
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

/* Writes until the line is full, nothing is left, or the line is gone. */
static void
flush (GwSerialLine *self)
{
  while (gw_serial_port_is_open (&self->port) && (self->tx_pos < self->tx_len || load_frame (self)))
    {
      gsize before = self->tx_pos;
      const char *why;
      gboolean all = gw_serial_port_write (&self->port, self->tx, self->tx_len, &self->tx_pos, &why);

      self->counters.bytes_out += self->tx_pos - before;
      if (all)
        note_sent (self);
      else if (why != NULL)
        go (self, why);
      else
        return;
    }
}

static void
flush_turn (gpointer data)
{
  GwSerialLine *self = data;

  g_atomic_ref_count_inc (&self->refs);
  flush (self);
  if (gw_serial_port_is_open (&self->port))
    self->funcs->changed (self->owner);
  line_unref (self);
}

void
gw_serial_line_kick (GwSerialLine *self)
{
  if (gw_serial_port_is_open (&self->port) && !gw_serial_port_is_full (&self->port))
    flush_turn (self);
}

/* ---- From the wire ---- */

static void
decode (GwSerialLine *self, const guint8 *data, gsize len)
{
  while (len > 0 && gw_serial_port_is_open (&self->port))
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
take (GwSerialLine *self, const guint8 *data, gsize len)
{
  self->counters.bytes_in += len;
  if (self->funcs->heard != NULL)
    self->funcs->heard (self->owner, len);
  decode (self, data, len);
  if (gw_serial_port_is_open (&self->port))
    self->funcs->changed (self->owner);
}

static void
read_turn (gpointer data, GIOCondition condition)
{
  GwSerialLine *self = data;
  guint8 octets[READ_PER_TURN];
  const char *why;
  gssize n = gw_serial_port_read (&self->port, condition, octets, sizeof octets, &why);

  g_atomic_ref_count_inc (&self->refs);
  if (n > 0)
    take (self, octets, (gsize) n);
  else if (n < 0)
    go (self, why);
  line_unref (self);
}

static const GwSerialPortFuncs port_funcs = { .readable = read_turn, .writable = flush_turn };

/* ---- Life ---- */

GwSerialLine *
gw_serial_line_new (int fd, gsize datagram_max, const GwSerialLineFuncs *funcs, gpointer owner)
{
  GwSerialLine *self = g_new0 (GwSerialLine, 1);

  g_atomic_ref_count_init (&self->refs);
  self->funcs = funcs;
  self->owner = owner;
  self->datagram_max = datagram_max;
  self->rx = g_malloc (datagram_max + GW_FRAME_OVERHEAD);
  gw_frame_decoder_init (&self->decoder, self->rx, datagram_max + GW_FRAME_OVERHEAD);
  self->tx_size = GW_FRAME_ENCODED_MAX (datagram_max);
  self->tx = g_malloc (self->tx_size);
  gw_serial_port_init (&self->port, fd, &port_funcs, self);
  return self;
}

void
gw_serial_line_get_counters (GwSerialLine *self, GwSerialLineCounters *out)
{
  *out = self->counters;
  out->in = self->decoder.counters;
}
