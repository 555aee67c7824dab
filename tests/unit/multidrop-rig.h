/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A line with many stations for tests of its master, on a wire and a clock that the test moves. The stations are those that
 * the simulator and firmware run (gw-station.h), with ways to misbehave; answers that overlap are garbage. */

#include <glib.h>

#include "gw-serial-multidrop.h"
#include "gw-station.h"

#define MS G_GINT64_CONSTANT (1000)
#define SECOND (1000 * MS)
#define MULTIDROP_RIG_SPEED 115200
#define MULTIDROP_RIG_MTU 512

typedef struct _MultidropRig MultidropRig;

typedef struct
{
  MultidropRig *rig;
  GwStation station;
  guint8 kid[32];
  gboolean off, in_session, deaf_to_mute, hello_lies, flood, answers_all, no_final;
  gint64 delay; /* before it answers */
  /* What it is about to say. */
  guint8 out[GW_FRAME_ENCODED_MAX (MULTIDROP_RIG_MTU)];
  gsize len;
  gint64 begins, ends;
  gsize told; /* octets of it that the master has */
  guint polls, got;
  gint64 polled_at, longest;
} MultidropRigNode;

struct _MultidropRig
{
  GwMultidrop master;
  gint64 now, due;
  GRand *rand;
  GPtrArray *nodes; /* of MultidropRigNode */
  gint64 octet;     /* nanoseconds */
  guint loss;       /* of 1,000 frames, each way */
  gboolean echo;
  gboolean full; /* takes nobody */
  guint8 sent[GW_FRAME_ENCODED_MAX (2048)];
  gsize sent_len;
  gint64 sent_ends; /* 0: nothing is under way */
  guint8 buf[2048 + GW_FRAME_OVERHEAD];
  guint ups, downs, datagrams, exchanges, garbage, unasked;
  guint up_at[255];
  GwSerialDown why;
  guint troubles[GW_MULTIDROP_N_TROUBLES];
  guint8 trouble_address[GW_MULTIDROP_N_TROUBLES];
  guint to_send[255]; /* datagrams for each */
  gsize to_send_len;
  GwSerialFigures link;
  guint windows;
};

void multidrop_rig_power_up (MultidropRigNode *node);
MultidropRigNode *multidrop_rig_add_node (MultidropRig *rig);
void multidrop_rig_add_nodes (MultidropRig *rig, guint n);
MultidropRigNode *multidrop_rig_node_at (MultidropRig *rig, guint i);
/* Another master, which knows nobody. */
void multidrop_rig_restart_master (MultidropRig *rig);
/* Moves the time from event to event until @usec have passed. */
void multidrop_rig_pass (MultidropRig *rig, gint64 usec);
/* Passes time until @n are up; at most so long. Returns how long it took. */
gint64 multidrop_rig_until_up (MultidropRig *rig, guint n, gint64 most);
void multidrop_rig_setup (MultidropRig *rig, gconstpointer data);
void multidrop_rig_teardown (MultidropRig *rig, gconstpointer data);
/* The agent has datagrams for everybody, or the one at @address. */
void multidrop_rig_push (MultidropRig *rig, guint address, guint n);
