/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What tests of the simulator stand on: a clock that only the test moves, a loop, a folder, and, where the
 * whole of it is wanted, a simulator with its commands. Everything runs in the test's thread. */

#include "gw-sim.h"

#define SIM_RIG_START_USEC G_USEC_PER_SEC /* what the clock says at first */

typedef struct
{
  GwClock *clock;
  GwLoop *loop;
  char *folder;
  GwSim *sim; /* NULL until it was started */
} SimRig;

void sim_rig_init (SimRig *self);
/* The simulator and the folder, with all that is in it, go. */
void sim_rig_clear (SimRig *self);

/* In the rig's folder, whose strings are borrowed: no endpoint yet, no bus, the model of a PUF. */
GwSimOptions sim_rig_options (const SimRig *self);
/* Asserts that it starts. The one before, if there is one, goes first. */
void sim_rig_start (SimRig *self, const GwSimOptions *options);

/* Dispatches what is ready now. */
void sim_rig_turn (void);
/* Moves the clock in one jump, as a machine under load would have it, and dispatches. */
void sim_rig_jump (SimRig *self, gint64 usec);

/* Asserts that the command succeeds; the answer is the caller's. */
json_t *sim_rig_command (SimRig *self, const char *line);
/* The same, and nobody looks at the answer. */
void sim_rig_tell (SimRig *self, const char *line);

/* The folder with all that is in it; links are not followed. None is fine. */
void sim_rig_remove_tree (const char *path);
