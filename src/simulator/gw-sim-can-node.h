/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An endpoint's node on a CAN bus, as its firmware would be: an LSS slave, heartbeats, ISO-TP to the gateway,
 * and no number before it is given one. It is a port: plugged is on the bus. */

#include "gw-sim-can-bus.h"
#include "gw-sim-port.h"

/* `bus` is borrowed; it must live longer. `vendor`: of its identity object. `name`: for people. */
GwSimPort *gw_sim_can_node_new (GwSimCanBus *bus, guint32 vendor, const char *name, guint64 seed);

/* The rest: NULL or FALSE where `port` is not such a node. */
GwSimCanUnit *gw_sim_can_node_unit (GwSimPort *port);

/* 0: none yet. */
guint8 gw_sim_can_node_number (GwSimPort *port);

typedef enum
{
  GW_SIM_CAN_BABBLE_OFF,
  GW_SIM_CAN_BABBLE_ISOTP,     /* its own id to the gateway */
  GW_SIM_CAN_BABBLE_HEARTBEAT, /* its heartbeats */
  GW_SIM_CAN_BABBLE_HIGH,      /* an id that wins against all of ours */
} GwSimCanBabble;

/* "off", "isotp", "heartbeat", "high". FALSE: none of them. */
gboolean gw_sim_can_babble_parse (const char *text, GwSimCanBabble *babble);

/* Valid frames at a share of the bus's time, 0..1. */
gboolean gw_sim_can_node_set_babble (GwSimPort *port, GwSimCanBabble babble, double share);

/* Falls silent in ISO-TP after so many more frames of its own, flow control included, and hears nothing
 * there; heartbeats go on. Negative ends it. */
gboolean gw_sim_can_node_set_stall (GwSimPort *port, int frames);
/* Sends datagrams of so many octets, of which nobody can make anything, one after the other; 0 ends it. */
gboolean gw_sim_can_node_set_flood (GwSimPort *port, guint octets);
/* Answers the first frame of a message with "wait" for ever. */
gboolean gw_sim_can_node_set_waiting (GwSimPort *port, gboolean waits);
/* Answers whatever an LSS master says. */
gboolean gw_sim_can_node_set_liar (GwSimPort *port, gboolean lies);
/* Takes a number that nobody gave it, 1..127. */
gboolean gw_sim_can_node_set_number (GwSimPort *port, guint8 number);
