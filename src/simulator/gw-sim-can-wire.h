/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A simulated CAN bus: frames take the time they take on a real one, to the bit; whoever has one pending when
 * the bus falls idle competes, and the lowest id wins; equal frames of several units go out as one; a share
 * of frames is destroyed by an error frame and sent again, error counters and bus-off included (ISO 11898-1,
 * 10 and 12).
 *
 * The bus keeps a time of its own in nanoseconds, paced against the loop's clock: being called late costs
 * nothing, the frames that were due meanwhile follow at once, each at its own time. */

#include "gw-sim-can-bus.h"

/* A bus that was held up for longer (its process stopped) does not catch up. */
#define GW_SIM_CAN_LAG_MAX_NSEC (2 * 1000000000LL)

/* Frame ends in one turn of the loop. */
#define GW_SIM_CAN_FRAMES_PER_TURN 64

/* Rates in bit/s; `data_rate` 0: classic frames only. Unpaced, frames take no time. `seed`: of the errors. */
GwSimCanBus *
gw_sim_can_wire_new (GwLoop *loop, guint32 bit_rate, guint32 data_rate, bool unpaced, guint64 seed);

/* Share of all frames that is destroyed, 0..1. */
void gw_sim_can_wire_set_error_share (GwSimCanBus *bus, double share);
/* `bus` is a wire, here and above, and `unit` is on it: as if its error counter had overflowed. */
void gw_sim_can_wire_force_off (GwSimCanBus *bus, GwSimCanUnit *unit);
