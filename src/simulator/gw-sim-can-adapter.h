/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An SLCAN adapter (Lawicel's CAN232 commands, FD letters as in gw-slcan-codec.h) between a CAN bus and a
 * pseudo-terminal. As a real one it keeps its channel open when its user goes away without a word, falls off
 * the bus at too many errors until it is closed and opened again, and drops frames that its user does not
 * fetch. */

#include "gw-sim-can-bus.h"

typedef struct GwSimCanAdapter GwSimCanAdapter;

/* Frames waiting to be sent; a command beyond is refused. */
#define GW_SIM_CAN_ADAPTER_QUEUE 32
/* Octets waiting to be read; beyond, frames are dropped and flagged. */
#define GW_SIM_CAN_ADAPTER_OUT_MAX (16 * 1024)

/* `link`: where the symbolic link goes; begins unplugged. `bus` is borrowed. */
GwSimCanAdapter *gw_sim_can_adapter_new (GwLoop *loop, GwSimCanBus *bus, const char *link);
void gw_sim_can_adapter_free (GwSimCanAdapter *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwSimCanAdapter, gw_sim_can_adapter_free)

gboolean gw_sim_can_adapter_plug (GwSimCanAdapter *self, GError **error);
/* Its user sees a hang-up; it forgets everything. */
void gw_sim_can_adapter_unplug (GwSimCanAdapter *self);
/* Sees whether somebody has opened the terminal; to be called every GW_SIM_PORT_CHECK_USEC. */
void gw_sim_can_adapter_check (GwSimCanAdapter *self);

GwSimCanUnit *gw_sim_can_adapter_unit (GwSimCanAdapter *self);
json_t *gw_sim_can_adapter_status (const GwSimCanAdapter *self);
