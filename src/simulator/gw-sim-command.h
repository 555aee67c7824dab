/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of commands share. */

#include "gw-sim-private.h"

typedef struct
{
  GwSim *sim;
  char **args; /* what follows the command's name */
  guint n_args;
  json_t *answer; /* an object, to add to; borrowed */
} GwSimCall;

/* What a command does to one port; `endpoint` is NULL on an empty one. */
typedef gboolean (*GwSimPortAction) (GwSimCall *call,
                                     GwSimPort *port,
                                     GwSimEndpoint *endpoint,
                                     GError **error);

/* Sets the error, G_IO_ERROR_INVALID_ARGUMENT. Always FALSE. */
gboolean gw_sim_call_refuse (GError **error, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* A number from `min` to `max`, in the C locale. */
gboolean gw_sim_call_number (const char *text, double min, double max, double *value, GError **error);

/* "on" or "off". */
gboolean gw_sim_call_switch (const char *text, gboolean *on, GError **error);

/* The commands, by the files they are in; each adds to the answer what it has to say. gw-sim-command-pair.c:
 * babble, liar and number are those of a station. */
gboolean gw_sim_command_pair (GwSimCall *call, GError **error);
gboolean
gw_sim_command_pair_babble (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error);
gboolean gw_sim_command_pair_liar (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error);
gboolean
gw_sim_command_pair_number (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error);
gboolean gw_sim_command_late (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error);

/* gw-sim-command-can.c */
gboolean gw_sim_command_can (GwSimCall *call, GError **error);
gboolean gw_sim_command_babble (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error);
gboolean gw_sim_command_flood (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error);
gboolean gw_sim_command_stall (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error);
gboolean gw_sim_command_liar (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error);
gboolean gw_sim_command_number (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error);
gboolean gw_sim_command_bus_off (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error);
