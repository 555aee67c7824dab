/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The numbers of a bus as the LSS master knows them: to whom each was given, and when its heartbeat was heard last. A table in
 * the caller's memory. Times are monotonic microseconds.
 */

#include "gw-lss-codec.h"

/* A numbered node's first heartbeat comes within; a heartbeat later than this is no sign of life. */
#define GW_LSS_TAKEN_USEC INT64_C (2500000)

typedef struct
{
  struct
  {
    bool has_uid;
    uint64_t uid;
    int64_t heard_at; /* INT64_MIN: never */
  } of[GW_LSS_NODE_MAX + 1];
} GwLssNumbers;

void gw_lss_numbers_init (GwLssNumbers *self);
/* @node_id is given to @uid, and nothing was heard of it yet. */
void gw_lss_numbers_give (GwLssNumbers *self, uint8_t node_id, uint64_t uid);
/* It was not taken. */
void gw_lss_numbers_take_back (GwLssNumbers *self, uint8_t node_id);
void gw_lss_numbers_heard (GwLssNumbers *self, uint8_t node_id, int64_t now);
/* What was heard is no sign of life any more. */
void gw_lss_numbers_unheard (GwLssNumbers *self, uint8_t node_id);
bool gw_lss_numbers_is_alive (const GwLssNumbers *self, uint8_t node_id, int64_t now);
/* The number that @uid has and whose heartbeats were heard just now; 0: none. */
uint8_t gw_lss_numbers_find_living (const GwLssNumbers *self, uint64_t uid, int64_t now);
