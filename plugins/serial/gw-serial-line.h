/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A serial line as frames: reads octets in bounded turns, hands out good frames, pulls the next frame from its owner
 * whenever the line is free. Belongs to the plugin; callbacks run on the default main context and may free it. */

#include <gio/gio.h>

#include "gw-frame-codec.h"

G_BEGIN_DECLS

typedef struct _GwSerialLine GwSerialLine;

typedef struct
{
  /* Octets came, good or bad; before the frames that they end. NULL: not wanted. */
  void (*heard) (gpointer owner, gsize octets);
  /* A good frame to any address; borrowed. */
  void (*frame) (gpointer owner, const GwFrame *frame);
  /* The next frame for the wire, whose information stays until the next call. FALSE: there is none. */
  gboolean (*next) (gpointer owner, GwFrame *frame);
  /* The kernel has taken a whole frame, @octets with its framing. NULL: not wanted. */
  void (*sent) (gpointer owner, gsize octets);
  /* Counters have changed: once a turn. */
  void (*changed) (gpointer owner);
  /* Hang-up or an error; the last callback. */
  void (*gone) (gpointer owner, const char *why);
} GwSerialLineFuncs;

typedef struct
{
  guint64 frames_out, bytes_in, bytes_out;
  GwFrameCounters in;
} GwSerialLineCounters;

/* Takes @fd, non-blocking. @datagram_max: largest information field either way. */
GwSerialLine *gw_serial_line_new (int fd, gsize datagram_max, const GwSerialLineFuncs *funcs, gpointer owner);
void gw_serial_line_free (GwSerialLine *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwSerialLine, gw_serial_line_free)

/* There may be something to pull. */
void gw_serial_line_kick (GwSerialLine *self);
void gw_serial_line_get_counters (GwSerialLine *self, GwSerialLineCounters *out);

G_END_DECLS
