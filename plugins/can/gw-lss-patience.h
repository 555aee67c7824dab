/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How long the LSS master waits for an answer before it takes silence for one, and for copies of an answer, made from what
 * answers have taken so far. Plain memory of the caller; times are monotonic microseconds.
 */

#include <stdint.h>

/* Silence takes twice as long as a late answer of late; within these. */
#define GW_LSS_WAIT_MIN_USEC INT64_C (2000)
#define GW_LSS_WAIT_MAX_USEC INT64_C (20000)
/* The first question of a search can wait: nobody is kept by it. An answer as late as this raises the limit above. */
#define GW_LSS_WAIT_START_USEC INT64_C (100000)

typedef struct
{
  unsigned attempts; /* of this search that were in vain: each doubles the wait */
  unsigned samples;  /* answers that have been timed; few count as few */
  int64_t late;      /* what a late one takes */
  int64_t last_at;   /* the last answer or copy of one */
  unsigned copies, copies_expected; /* of this step, of the last that was answered */
  int64_t gap, gap_expected;        /* the longest between two of them */
} GwLssPatience;

/* A question is put: no copies yet. */
void gw_lss_patience_ask (GwLssPatience *self);
/* The first answer to it, after @took. */
void gw_lss_patience_answer (GwLssPatience *self, int64_t took, int64_t now);
void gw_lss_patience_copy (GwLssPatience *self, int64_t took, int64_t now);
/* An answer after the question was given up: copies take longer than was thought. */
void gw_lss_patience_stray (GwLssPatience *self, int64_t now);
/* All copies have come: as many are expected of the next answer, for who gives that gave this. */
void gw_lss_patience_settled (GwLssPatience *self);
/* A search begins: what was late once need not stay so. */
void gw_lss_patience_relax (GwLssPatience *self);

/* For silence where it is likely, and where it would be a surprise. */
int64_t gw_lss_patience_wait (const GwLssPatience *self);
int64_t gw_lss_patience_limit (const GwLssPatience *self);
/* From an answer or copy to the next copy. Where an attempt was in vain, one is reckoned with even if none was seen. */
int64_t gw_lss_patience_settle (const GwLssPatience *self);
