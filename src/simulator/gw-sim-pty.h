/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The device's side of a terminal: the master of a pseudo-terminal behind a symbolic link, or, where a real
 * line is to be tested, a serial device of the machine's, at whose other end the user is.
 *
 * Who has the link open is its user. What is put while there is none is lost, as on a wire; what a user does
 * not fetch waits, up to a limit. Embedded in the object it serves; used from the loop's thread. */

#include <gio/gio.h>

#include "gw-loop.h"

/* Octets waiting for a user who does not read. */
#define GW_SIM_PTY_QUEUE_MAX (16 * 1024)

/* A device that hung up is left alone for so long: who takes it away must not find it open again at once. */
#define GW_SIM_PTY_REOPEN_USEC (1000 * 1000)

/* Either may put, flush and unplug. */
typedef struct
{
  /* From the user; the callee may change the octets. */
  void (*octets) (guint8 *octets, gsize len, gpointer data);
  /* The user has come or gone, by unplugging too; nothing waits for it. */
  void (*user) (gboolean is_there, gpointer data);
} GwSimPtyFuncs;

/* All fields may be read; only gw-sim-pty.c writes them. */
typedef struct
{
  GwLoop *loop;
  char *path; /* of the link, or of the device */
  const GwSimPtyFuncs *funcs;
  gpointer data;
  gboolean is_device, plugged;
  gint64 reopen; /* microseconds; a device is not tried before */
  int fd;        /* -1: unplugged, or the device is not there */
  GwFdWatch *watch;
  gboolean has_user;             /* of a device: it is open */
  GByteArray *out;               /* waiting to be read by the user */
  guint64 octets_in, octets_out; /* from the user; handed to the kernel for the user */
} GwSimPty;

/* Begins unplugged. `link`: where the symbolic link goes. `funcs` is borrowed. */
void
gw_sim_pty_init (GwSimPty *self, GwLoop *loop, const char *link, const GwSimPtyFuncs *funcs, gpointer data);
/* The serial device at `path` instead; it may come and go, now and later. Unplugged, it is not opened. */
void gw_sim_pty_init_device (
    GwSimPty *self, GwLoop *loop, const char *path, const GwSimPtyFuncs *funcs, gpointer data);
/* Unplugs. */
void gw_sim_pty_clear (GwSimPty *self);

/* Makes the terminal and its link (what was there goes). Fails where the system does, G_IO_ERROR; a device
 * that is not there is no failure. Twice is once. */
gboolean gw_sim_pty_plug (GwSimPty *self, GError **error);
/* The user sees a hang-up; the link goes. Twice is once. */
void gw_sim_pty_unplug (GwSimPty *self);
/* Sees whether somebody has opened the terminal, or whether the device is there again: to be called from time
 * to time, as no event tells it. */
void gw_sim_pty_check (GwSimPty *self);

/* Queues octets for the user, all or none; gw_sim_pty_flush() writes them. FALSE: there is no user, or no
 * room. */
gboolean gw_sim_pty_put (GwSimPty *self, const guint8 *octets, gsize len);
/* Writes what the kernel takes now; the rest follows by itself. */
void gw_sim_pty_flush (GwSimPty *self);
