/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The endpoint's side of being numbered: LSS slave (CiA 305), NMT reset, heartbeat (CiA 301). A state machine of the caller's
 * memory without I/O and without a clock; times are monotonic microseconds. The number is never stored: after power-up
 * there is none.
 *
 * What an endpoint's firmware runs, and what the simulator runs.
 */

#include "gw-lss-codec.h"

#define GW_LSS_HEARTBEAT_USEC (GW_HEARTBEAT_PERIOD_MS * INT64_C (1000))

typedef struct
{
  uint32_t identity[GW_LSS_N_SUBS];
  uint8_t node_id;  /* GW_LSS_NODE_NONE, or 1..127: the active one */
  uint8_t pending;  /* configured, active after the switch back */
  bool configuring; /* LSS configuration mode */
  bool booted;      /* the boot-up message has been handed out */
  uint8_t position; /* in the fastscan sequence: the sub it is at */
  uint8_t selected; /* how many of SELECT_*, of IDENTIFY_* have matched in a row */
  uint8_t identified;
  int64_t heartbeat_at;
} GwLssSlave;

typedef enum
{
  GW_LSS_SLAVE_NOTHING,
  GW_LSS_SLAVE_NUMBERED, /* node_id is new: start with it */
  GW_LSS_SLAVE_RESET,    /* NMT 81 or 82 for us: the number is gone */
} GwLssSlaveEvent;

void gw_lss_slave_init (GwLssSlave *self, const uint32_t identity[GW_LSS_N_SUBS]);
/* A frame came from the bus. *@answers says whether @answer is to be sent, at once: the master takes silence for an answer,
 * too. One that did not go out before the next request of the master came must be dropped. */
GwLssSlaveEvent gw_lss_slave_take (
    GwLssSlave *self, const GwCanFrame *frame, int64_t now, GwCanFrame *answer, bool *answers);
/* When a heartbeat is due; INT64_MAX: never. */
int64_t gw_lss_slave_due (const GwLssSlave *self);
/* The heartbeat that is due at @now, if one is: the boot-up message as soon as there is a number, then "operational". */
bool gw_lss_slave_tick (GwLssSlave *self, int64_t now, GwCanFrame *heartbeat);
