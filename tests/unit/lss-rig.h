/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A CAN bus with arbitration for tests of the LSS master, with honest nodes, slow ones and liars on it; frames may be lost, and
 * the master's machine may have other things to do. All times are the simulation's. */

#include <glib.h>

#include "gw-lss-master.h"
#include "gw-lss-slave.h"

#define MSEC INT64_C (1000)
#define SECOND INT64_C (1000000)
#define LSS_RIG_VENDOR 0x00000B5Au
#define LSS_RIG_START_TIME (1000 * SECOND)
#define LSS_RIG_FRAME_USEC 250 /* 125 bits at 500 kbit/s */
#define LSS_RIG_NODES_MAX 128
#define LSS_RIG_QUEUE_MAX 1024
#define UID(n) (G_GUINT64_CONSTANT (0x9e3779b97f4a7c15) * (guint64)(n))

typedef enum
{
  HONEST,
  FOREIGN,      /* another vendor's node without a number */
  ANSWERS_ALL,  /* every question, and takes no number */
  NO_CONFIGURE, /* is found, then silent */
  REFUSES,      /* every number */
  NEVER_TAKES,  /* says yes, goes on without */
  CHANGES,      /* another uid for each search */
  WHIMSICAL,    /* answers each question by lot */
  FLOODS,       /* answers all the time */
  LATE,         /* honest, but its first heartbeat takes two seconds */
  DEAF,         /* honest, but misses the first word to start */
  MUTE,         /* takes a number, and sends no heartbeat */
} LssRigKind;

typedef struct
{
  LssRigKind kind;
  GwLssSlave slave;
  guint64 uid;
  gint64 plugged_at, numbered_at;
  gint64 delay_min, delay_max;
} LssRigNode;

typedef struct
{
  gint64 ready_at;
  int from; /* -1: the master */
  GwCanFrame frame;
} LssRigTransmission;

typedef struct
{
  GwLssMaster master;
  LssRigNode nodes[LSS_RIG_NODES_MAX];
  guint n_nodes;
  LssRigTransmission queue[LSS_RIG_QUEUE_MAX];
  guint n_queue;
  gint64 now, busy_until;
  gboolean sending; /* the first of queue */
  gboolean merges;  /* nodes answer at the same instant, and their equal frames are one */
  double loss;
  gint64 stall_period, stall; /* so often and so long the master's machine has other things to do; 0: never */
  LssRigTransmission late[LSS_RIG_QUEUE_MAX]; /* what came meanwhile */
  guint n_late;
  gint64 busy_period, busy_at; /* a frame of others of higher priority so often; 0: never */
  GRand *rand;
  guint8 next_number;
  guint64 uid_of[GW_LSS_NODE_MAX + 1];
  gboolean used[GW_LSS_NODE_MAX + 1];
  guint n_numbered;
  guint troubles[GW_LSS_TROUBLE_FULL + 1];
  guint frames_of_master, frames;
  gint64 searching; /* so long it was at it, and not only asking whether anybody is there */
} LssRig;

LssRig *lss_rig_new (guint32 seed);
void lss_rig_free (LssRig *rig);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (LssRig, lss_rig_free)
void lss_rig_set_uid (LssRigNode *node, guint64 uid);
LssRigNode *lss_rig_plug_in (LssRig *rig, guint64 uid, LssRigKind kind);
void lss_rig_add_population (LssRig *rig, guint n, guint set);
/* Until every honest node has a number, at most @limit. How long it took. */
gint64 lss_rig_run (LssRig *rig, gint64 limit, gboolean until_all);
void lss_rig_assert_all_numbered (const LssRig *rig);
void lss_rig_assert_no_trouble (const LssRig *rig);
