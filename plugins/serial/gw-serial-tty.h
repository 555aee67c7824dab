/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Opening a serial line: raw, 8N1, no flow control, exclusive, never the controlling terminal. */

#include <glib.h>

G_BEGIN_DECLS

#define GW_SERIAL_SPEED_MIN 50u
#define GW_SERIAL_SPEED_MAX 12000000u

/* Opens @path at @speed bits per second, any speed that the hardware can make. Non-blocking, close-on-exec; what waited
 * to be read or sent is thrown away. Locked against every other program that locks (flock) or has no privilege
 * (TIOCEXCL, on a real line). Returns the descriptor, or -1 with an error of the G_FILE_ERROR domain. */
int gw_serial_tty_open (const char *path, guint speed, GError **error);

/* Has the driver switch an RS-485 transceiver by RTS: on before the first octet, off after the last (TIOCSRS485). FALSE with
 * an error where it cannot; then the adapter must do it by itself, as most USB adapters do. */
gboolean gw_serial_tty_set_rs485 (int fd, GError **error);

G_END_DECLS
