/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Ports with a serial line of their own, and on it the framing of the endpoint's side: a pseudo-terminal
 * behind a symbolic link, or a serial device of the machine's (gw-sim-pty.h).
 *
 * What an endpoint sends while nobody has the port open is lost, as on a wire. */

#include "gw-sim-port.h"

/* `link`: where the symbolic link goes. */
GwSimPort *gw_sim_tty_new (GwLoop *loop, const char *link, guint64 seed);
/* On a serial device of the machine's instead; it may come and go, now and later. */
GwSimPort *gw_sim_tty_new_device (GwLoop *loop, const char *path, guint64 seed);
