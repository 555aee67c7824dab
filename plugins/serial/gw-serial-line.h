/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A serial line as frames: reads octets in bounded turns, hands out good frames, pulls the next datagram from its owner
 * whenever the line is free. Belongs to the plugin; callbacks run on the default main context and may free it. */

#include <gio/gio.h>

#include "gw-frame-codec.h"

G_BEGIN_DECLS

typedef struct _GwSerialLine GwSerialLine;

typedef struct
{
  void (*frame) (gpointer owner, GwBytes info); /* borrowed */
  /* (transfer full) (nullable): the next datagram for the wire. */
  GBytes *(*next) (gpointer owner);
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
