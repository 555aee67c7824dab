/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The control socket: a UNIX stream socket, a command a line, a JSON object a line in answer. Whoever may
 * open the socket (its folder decides) may do everything. */

#include "gw-sim.h"

typedef struct GwSimControl GwSimControl;

typedef void (*GwSimControlFunc) (gpointer data);

/* Listens on `path`, replacing what lies there. The simulator is borrowed. `after` is called after each
 * command. NULL where no socket can be made there. */
GwSimControl *
gw_sim_control_new (GwSim *sim, const char *path, GwSimControlFunc after, gpointer data, GError **error);
/* Waits for its connections to end, turning the default context. */
void gw_sim_control_free (GwSimControl *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwSimControl, gw_sim_control_free)

/* The other end: sends one command, prints the answer on stdout. 0 if it says ok, else 1. */
int gw_sim_control_client (const char *path, char **words);
