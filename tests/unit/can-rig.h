/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A CAN bus for tests of GwCanBus: played with arbitration and true wire times on a clock of its own, with nodes made of the
 * endpoint's LSS slave and ISO-TP, and ways for them to misbehave. Everything is deterministic; no time passes. */

#include <glib.h>

#include "gw-can-bus.h"
#include "gw-isotp.h"
#include "gw-lss-slave.h"

#define MS G_GINT64_CONSTANT (1000)
#define SEC (1000 * MS)
#define CAN_RIG_RATE 500000
#define CAN_RIG_NODES_MAX 40
#define CAN_RIG_RECORD_HEADER 13
#define CAN_RIG_BABBLERS_ID 0x100

typedef enum
{
  BABBLE_NONE,
  BABBLE_FIRST,    /* first frames, each of which asks for flow control */
  BABBLE_RECORDS,  /* whole short datagrams */
  BABBLE_FOREIGN,  /* an id that is nobody's, and wins */
} Babble;

typedef struct
{
  gboolean plugged;
  GwLssSlave slave;
  GwIsotp isotp;
  guint8 kid[GW_KEY_ID_LEN];
  guint8 rx[GW_CAN_DATAGRAM_MAX], tx[GW_CAN_DATAGRAM_MAX];
  guint8 number; /* that ISO-TP has */
  gboolean foreign;    /* no LSS, no ISO-TP: a heartbeat only */
  gint64 beat_every, beat_at;
  gboolean stalls;     /* takes first frames, and says nothing */
  gboolean renamed;    /* answers hello by another key id than LSS knows */
  gint64 late_usec, late_until; /* answers hello so much later */
  gboolean has_lss, has_other;
  GwCanFrame lss, other; /* waiting for the bus */
  Babble babble;
  guint babble_permille;
  gint64 babble_at;
  guint8 babble_step;
  guint64 got, got_octets; /* datagrams from the gateway */
  guint flows;             /* flow control frames to it */
  guint resets;
} CanRigNode;

typedef struct
{
  GwCanBus *bus;
  guint32 rate;
  gint64 now_nsec;
  CanRigNode nodes[CAN_RIG_NODES_MAX];
  guint n_nodes;
  gboolean pending; /* the gateway's mailbox */
  GwCanFrame frame;
  guint32 tag;
  guint ups[GW_CAN_NODES], downs[GW_CAN_NODES];
  GwCanDown why;
  gboolean refuse;
  guint feed[GW_CAN_NODES]; /* octets of the datagrams that it never runs out of */
  guint64 received, received_octets; /* from nodes */
  guint64 received_of[GW_CAN_NODES];
  guint last_len;
  guint news[GW_CAN_N_NEWS];
  guint nmt, lss_requests;
  guint64 frames;
  guint64 busy_nsec;
} CanRig;

gint64 can_rig_now (CanRig *rig);
void can_rig_power_on (CanRig *rig, CanRigNode *node);
CanRigNode *can_rig_add_node (CanRig *rig);
void can_rig_start_isotp (CanRigNode *node, guint8 number);
void can_rig_start_bus (CanRig *rig);
void can_rig_setup (CanRig *rig, gconstpointer data);
void can_rig_teardown (CanRig *rig, gconstpointer data);
/* Lets the bus run for so long. */
void can_rig_run (CanRig *rig, gint64 usec);
void can_rig_run_until_up (CanRig *rig, guint n, gint64 at_most);
guint can_rig_add_nodes_up (CanRig *rig, guint n);
/* One whole DTLS record of @len octets in all. */
void can_rig_make_record (guint8 *out, gsize len, guint8 fill);
