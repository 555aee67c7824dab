/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the two modes of gangway-serial share: a line with one endpoint at its end (serial-point.c), and one with many
 * stations (serial-shared.c). The plugin owns line, bus and timer; the mode knows who is out there. Everything runs on the
 * default main context. */

#include "gw-link-codec.h"
#include "gw-program.h"
#include "gw-serial-line.h"

G_BEGIN_DECLS

typedef struct _SerialPlugin SerialPlugin;

typedef struct
{
  const char *kind; /* of the bus */
  GwSerialLineFuncs line; /* its owner is the SerialPlugin */
  /* Makes self->mode_data; nobody is up. */
  void (*init) (SerialPlugin *self, const guint8 nonce[GW_HELLO_NONCE_LEN], gint64 now);
  /* Does what is due; returns when to be called again. */
  gint64 (*tick) (SerialPlugin *self, gint64 now);
  /* The agent's datagram is in the node's queue. */
  void (*pushed) (SerialPlugin *self, GangwayNode *node, gint64 now);
  void (*scan) (SerialPlugin *self, gint64 now);
  /* The line is gone, or the program ends: nobody is up any more. */
  void (*end) (SerialPlugin *self);
  /* Datagrams that it refused so far. */
  guint64 (*refused) (SerialPlugin *self);
  void (*clear) (SerialPlugin *self);
} SerialMode;

struct _SerialPlugin
{
  GwProgram program;
  int speed;
  gboolean rs485;

  GwSerialLine *line;
  GwSerialLineFuncs line_funcs;
  int timer_fd;
  GSource *timer;
  gboolean ticking;
  const SerialMode *mode;
  gpointer mode_data;
};

extern const SerialMode serial_point;
extern const SerialMode serial_shared;

/* Does what is due now and arms the timer for the rest. */
void serial_plugin_tick (SerialPlugin *self);

G_END_DECLS
