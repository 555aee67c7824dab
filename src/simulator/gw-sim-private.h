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
  guint pair_left; /* as can_left */
  double rate;     /* what `start` gives back */
  guint sign_delay_ms;
  GwSimPufModel puf_model;
  GwSimEndpointConfig endpoint_config;
  GPtrArray *ports;     /* of GwSimPort */
  GPtrArray *endpoints; /* of GwSimEndpoint */
  GPtrArray *readouts;  /* of GBytes */
  guint n_pufs, n_listed, n_foreign;
  GwTimer check_timer;
  gboolean done;
};

GwSimPort *gw_sim_add_port (GwSim *self, GwSimWire wire, GError **error);
gboolean gw_sim_add_endpoint (GwSim *self, const char *kind, guint index, GError **error);
/* Of the endpoint on `port`, beside it on the same kind of wire. */
gboolean gw_sim_add_clone (GwSim *self, const GwSimPort *port, GError **error);
