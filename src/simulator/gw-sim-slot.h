/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A port that is a slot of the example plugin's rack: a datagram socket, one datagram a packet, no framing.
 * Nobody can see whether a gateway is at the other end, so it is open as long as it is plugged. */

#include "gw-sim-port.h"

/* The gateway's socket, beside the slot's. A gateway may have others: who asked last is answered. */
#define GW_SIM_SLOT_GATEWAY "gateway"

/* `path`: of the slot's socket; what is there goes when it is plugged. */
GwSimPort *gw_sim_slot_new (GwLoop *loop, const char *path, guint64 seed);
