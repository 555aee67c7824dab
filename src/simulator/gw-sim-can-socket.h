/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Endpoints on a network interface of the machine's (SocketCAN: vcan0, a real controller): its kernel and its
 * wire have the timing and the arbitration. All units share one raw socket; they hear each other by its
 * loopback, which also tells when a frame of ours has really gone out. */

#include "gw-sim-can-bus.h"

/* Frames given to the kernel and not yet out; few, so that urgent ones need not wait. */
#define GW_SIM_CAN_SOCKET_WINDOW 4

/* The rates (bit/s) are what the interface is said to have; with a data rate it must do CAN FD. NULL: there
 * is no such interface, or it does not (G_IO_ERROR_NOT_SUPPORTED). */
GwSimCanBus *gw_sim_can_socket_new (
    GwLoop *loop, const char *interface, guint32 bit_rate, guint32 data_rate, GError **error);
