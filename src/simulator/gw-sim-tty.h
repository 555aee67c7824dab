/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Ports with a wire of their own: a pseudo-terminal behind a symbolic link with the framing of the endpoint's
 * side; or a serial device of the machine's; or a datagram socket without any framing.
 *
 * Unplugging closes the terminal (its user sees a hang-up) and removes the link. What an endpoint sends while
 * nobody has the port open is lost, as on a wire. */

#include "gw-sim-port.h"

/* A device that hung up is left alone for so long: who takes it away must not find it open again at once. */
#define GW_SIM_TTY_REOPEN_USEC (1000 * 1000)

#define GW_SIM_SLOT_GATEWAY "gateway"

/* `link`: where the symbolic link goes. */
GwSimPort *gw_sim_tty_new (GwLoop *loop, const char *link, guint64 seed);
/* A serial device of the machine's instead; it may come and go, now and later. Unplugged, it is not opened.
 */
GwSimPort *gw_sim_tty_new_device (GwLoop *loop, const char *path, guint64 seed);
/* A slot of the example's rack: a datagram socket at `path`, whose gateway is the socket GW_SIM_SLOT_GATEWAY
 * beside it. */
GwSimPort *gw_sim_tty_new_slot (GwLoop *loop, const char *path, guint64 seed);

/* The master of a new pseudo-terminal, raw and not blocking, with a symbolic link to its other side at `link`
 * (what was there goes). -1 with errno set. The caller closes it and removes the link. */
int gw_sim_tty_open_master (const char *link);
