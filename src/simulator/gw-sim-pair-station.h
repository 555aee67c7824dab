/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A port that is a station on an RS-485 pair: what firmware does between its UART and its GwEp
 * (gw-station.h), and the ways to do it wrong. */

#include "gw-sim-pair.h"
#include "gw-sim-port.h"

typedef enum
{
  GW_SIM_PAIR_BABBLE_OFF,
  GW_SIM_PAIR_BABBLE_NOISE,  /* its driver stays on: random octets without end */
  GW_SIM_PAIR_BABBLE_FRAMES, /* good frames of its number that nobody asked for */
} GwSimPairBabble;

/* The pair is borrowed. `name`: how people know it. */
GwSimPort *gw_sim_pair_station_new (GwLoop *loop, GwSimPair *pair, const char *name, guint64 seed);

/* "off", "noise", "frames". FALSE: none of them. */
gboolean gw_sim_pair_babble_parse (const char *text, GwSimPairBabble *babble);

/* All of these: FALSE if the port is no station. */
gboolean gw_sim_pair_station_set_babble (GwSimPort *port, GwSimPairBabble babble);
/* Answers everything that anybody is asked. */
gboolean gw_sim_pair_station_set_liar (GwSimPort *port, gboolean lies);
/* Answers so much later than it would. */
gboolean gw_sim_pair_station_set_late (GwSimPort *port, guint ms);
/* Takes that number without being asked. */
gboolean gw_sim_pair_station_set_number (GwSimPort *port, guint8 number);
