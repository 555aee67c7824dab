/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The simulator's inside, for its commands. */

#include "gw-sim-can-adapter.h"
#include "gw-sim-pair-adapter.h"
#include "gw-sim.h"

struct GwSim
{
  GwLoop *loop;
  char *folder, *seed, *manufacturer, *model, *firmware;
  char **devices; /* may be NULL */
  gboolean slots;
  GwSimCanBus *can;         /* NULL: there is none */
  GwSimCanAdapter *adapter; /* NULL: it is a network interface */
  guint can_left;           /* endpoints still to come to it; G_MAXUINT: all */
  guint can_vendor;
  GwSimPair *pair; /* NULL: there is none */
  GwSimPairAdapter *pair_adapter;
  guint pair_left;     /* as can_left */
  double rate;         /* what `start` gives back */
  guint sign_delay_ms; /* of new endpoints */
  GwSimPufModel puf_model;
  GwSimEndpointConfig endpoint_config;
  GPtrArray *ports;                  /* of GwSimPort */
  GPtrArray *endpoints;              /* of GwSimEndpoint */
  GPtrArray *readouts;               /* of GBytes */
  guint n_pufs, n_listed, n_foreign; /* made so far; in chips.csv; foreign ones made */
  GwTimer check_timer;
  gboolean done; /* `quit` was commanded */
};

/* A new port, plugged; the simulator's. NULL: there are GW_SIM_PORTS_MAX, or it cannot be plugged. */
GwSimPort *gw_sim_add_port (GwSim *self, GwSimWire wire, GError **error);
/* A new endpoint on a new port, with power. `kind` and `index` make its seed and its serial
 * number. */
gboolean gw_sim_add_endpoint (GwSim *self, const char *kind, guint index, GError **error);
/* A clone of the endpoint on `port`, on a new port of the same kind of wire, with power. */
gboolean gw_sim_add_clone (GwSim *self, const GwSimPort *port, GError **error);
