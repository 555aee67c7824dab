/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An open terminal as octets: reads what is there, writes what it takes, says when it takes more, and tells a hang-up from
 * a pause. Plain memory of its owner; callbacks run on the default main context and may free the owner with it. */

#include <gio/gio.h>

G_BEGIN_DECLS

typedef struct
{
  /* There is something to read, or the line has hung up: read. */
  void (*readable) (gpointer owner, GIOCondition condition);
  /* It was full, and takes octets again. */
  void (*writable) (gpointer owner);
} GwSerialPortFuncs;

typedef struct
{
  const GwSerialPortFuncs *funcs;
  gpointer owner;
  int fd; /* -1 once closed */
  GSource *in, *out;
} GwSerialPort;

/* Takes @fd, non-blocking. */
void gw_serial_port_init (GwSerialPort *self, int fd, const GwSerialPortFuncs *funcs, gpointer owner);
void gw_serial_port_close (GwSerialPort *self);
gboolean gw_serial_port_is_open (const GwSerialPort *self);

/* Reads once. Returns the octets, 0: none now, -1: the line is gone, @why is static. */
gssize gw_serial_port_read (GwSerialPort *self, GIOCondition condition, void *out, gsize size, const char **why);

/* Writes @data from *@pos up to @len, which moves on. FALSE: not all of it; if @why is NULL, the rest is for when it is
 * writable, else the line is gone. */
gboolean gw_serial_port_write (GwSerialPort *self, const void *data, gsize len, gsize *pos, const char **why);
/* Whether writable is waited for. */
gboolean gw_serial_port_is_full (const GwSerialPort *self);

G_END_DECLS
