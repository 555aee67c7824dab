/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A node number of a CAN bus: who answers at it, and whether it is alive. A state machine without I/O and without a
 * clock; plain memory of the caller. Times are monotonic microseconds.
 *
 * What is heard is in the clear and proves nothing; it only keeps the agent's picture of the bus true. */

#include "gw-link-question.h"

/* A node sends heartbeats every second. One that was not heard for so long is asked, and given up after that many
 * questions without a word. */
#define GW_CAN_SILENT_MS 3500
#define GW_CAN_ASK_MS 1000
#define GW_CAN_MISSES_MAX 3
/* One that sends heartbeats but never answers is a stranger's (any CANopen device does): asked more and more rarely. */
#define GW_CAN_ASK_MAX_MS 30000
/* Two nodes' heartbeats: so many in a row of which any three come within about a second. Not a burst, though: heartbeats that
 * waited for a full bus, or for us, come at once. */
#define GW_CAN_BEATS 9
#define GW_CAN_BEATS_MIN_MS 100
#define GW_CAN_BEATS_MAX_MS 1300
/* And, however they are spread, so many within that time: bursts of one node make up for silence only. */
#define GW_CAN_BEATS_MANY 18
#define GW_CAN_BEATS_MANY_MS 10000
typedef enum
{
  GW_CAN_NODE_FREE,
  GW_CAN_NODE_FOUND, /* somebody is there; who is being asked */
  GW_CAN_NODE_UP,    /* has answered */
} GwCanNodeState;

typedef enum
{
  GW_CAN_NODE_NOTHING,
  GW_CAN_NODE_ASK,   /* send it a question, gw_can_node_asked () when that is on its way */
  GW_CAN_NODE_LOST,  /* nobody is there any more: the state is FREE */
  GW_CAN_NODE_RESET, /* two have this number: take it from both; the state is as before */
} GwCanNodeAction;

typedef enum
{
  GW_CAN_HELLO_SAME, /* it was known */
  GW_CAN_HELLO_NEW,  /* somebody: gw_can_node_accept () if it is taken */
  GW_CAN_HELLO_OTHER, /* not who was up, or not whom LSS has numbered */
} GwCanHello;

typedef struct
{
  GwCanNodeState state;
  bool has_uid; /* LSS gave it the number */
  bool speaks;  /* has sent us ISO-TP frames: one of ours, not just any CANopen node */
  uint8_t uid[GW_UID_LEN];
  uint8_t kid[GW_KEY_ID_LEN]; /* while up */
  GwLinkQuestion question;
  unsigned asks;    /* since it was last heard (up) or found */
  int64_t heard_at; /* any frame of it; 0: never */
  int64_t asked_at, ask_due;
  int64_t beats[GW_CAN_BEATS];
  unsigned n_beats;
  int64_t many_at; /* since when many_beats are counted */
  unsigned many_beats;
} GwCanNode;

void gw_can_node_init (GwCanNode *self, const uint8_t nonce[GW_HELLO_NONCE_LEN]);
/* LSS has given the number to @uid. */
void gw_can_node_numbered (GwCanNode *self, const uint8_t uid[GW_UID_LEN], int64_t now);
/* An ISO-TP frame of it came. */
void gw_can_node_heard (GwCanNode *self, int64_t now);
GwCanNodeAction gw_can_node_beat (GwCanNode *self, bool boot, int64_t now);
/* It answered a question of ours. */
GwCanHello gw_can_node_hello (GwCanNode *self, const GwLinkHello *hello, int64_t now);
void gw_can_node_accept (GwCanNode *self, const GwLinkHello *hello);
/* Its uid as far as known: what it answers, else what LSS says. False: neither. */
bool gw_can_node_get_uid (const GwCanNode *self, uint8_t uid[GW_UID_LEN]);
void gw_can_node_free (GwCanNode *self);

/* A question is on its way. */
void gw_can_node_asked (GwCanNode *self, int64_t now);
/* Ask soon, whatever the state. */
void gw_can_node_ask_now (GwCanNode *self, int64_t now);
int64_t gw_can_node_due (const GwCanNode *self);
GwCanNodeAction gw_can_node_tick (GwCanNode *self, int64_t now);
/* Whether the number may be given to somebody: free, and nothing was heard at it for a while. */
bool gw_can_node_is_vacant (const GwCanNode *self, int64_t now);
