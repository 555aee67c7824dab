/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An SLCAN adapter (Lawicel's CAN232 commands, FD letters as in gw-slcan-codec.h) between a CAN bus and a
 * pseudo-terminal. As a real one it keeps its channel open when its user goes away without a word, falls off
 * the bus at too many errors until it is closed and opened again, and drops frames, and flags it, that its
 * user does not fetch (GW_SIM_PTY_QUEUE_MAX). */

#include "gw-sim-can-bus.h"

typedef struct GwSimCanAdapter GwSimCanAdapter;

/* Frames waiting to be sent; a command beyond is refused. */
#define GW_SIM_CAN_ADAPTER_QUEUE 32

/* `link`: where the symbolic link goes; begins unplugged. `bus` is borrowed. */
GwSimCanAdapter *gw_sim_can_adapter_new (GwLoop *loop, GwSimCanBus *bus, const char *link);
void gw_sim_can_adapter_free (GwSimCanAdapter *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwSimCanAdapter, gw_sim_can_adapter_free)

/* As those of GwSimPty. Unplugged it forgets everything. */
gboolean gw_sim_can_adapter_plug (GwSimCanAdapter *self, GError **error);
void gw_sim_can_adapter_unplug (GwSimCanAdapter *self);
/* Sees whether somebody has opened the terminal; to be called every GW_SIM_PORT_CHECK_USEC. */
void gw_sim_can_adapter_check (GwSimCanAdapter *self);

/* The adapter's. */
GwSimCanUnit *gw_sim_can_adapter_unit (GwSimCanAdapter *self);
/* {"link", "plugged", "user", "open", ..}; the caller's. */
json_t *gw_sim_can_adapter_status (const GwSimCanAdapter *self);
