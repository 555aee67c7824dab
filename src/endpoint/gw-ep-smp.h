/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* SMP inside a session, both directions: the rules of doc/protocol.md, "SMP v2", without any handler.
 *
 * Each direction has one request outstanding at most. The gateway's requests are told apart by their sequence
 * number: the next one is executed, the last one again gets the stored answer (or is ignored while it runs),
 * anything else is dropped. An answer may come much later than its request, so a slow handler holds up
 * nothing but its own direction. The endpoint's own request is repeated until it is answered. Everything here
 * lives and dies with the session; nothing is allocated. */

#include "gw-ep.h"
#include "gw-smp-codec.h"

/* What a handler says. Above zero is an SMP rc, or with GW_EP_GROUP_ERROR one of the request's own group. */
enum
{
  GW_EP_LATER = -1, /* the handler keeps what it needs and answers by gw_ep_smp_finish() */
  GW_EP_OK = 0,     /* the body is written */
};
#define GW_EP_GROUP_ERROR(n) (0x10000 | (n))

typedef struct
{
  /* The gateway's requests. */
  uint8_t last_seq;
  bool running;
  GwSmpMessage request; /* the header of the running one; no body */
  size_t answer_len;    /* 0 = none stored */
  uint8_t answer[GW_EP_MTU_MAX];

  /* Ours. */
  bool outstanding;
  uint8_t seq; /* of the outstanding or the next one */
  uint8_t tries;
  uint8_t op, command;
  uint16_t group;
  uint64_t due;      /* when it is repeated */
  uint64_t heard_at; /* when anything at all came from the gateway */
} GwEpSmp;

typedef enum
{
  GW_EP_SMP_DROP,
  GW_EP_SMP_EXECUTE, /* call the handler, then gw_ep_smp_finish() */
  GW_EP_SMP_REPEAT,  /* send the stored answer again */
  GW_EP_SMP_ANSWER,  /* our request is answered; it is no longer outstanding */
} GwEpSmpVerdict;

/* A new session at `now`. */
void gw_ep_smp_start (GwEpSmp *self, uint64_t now);

/* Looks at one message of the session; `msg` borrows from it. */
GwEpSmpVerdict
gw_ep_smp_input (GwEpSmp *self, const uint8_t *data, size_t len, uint64_t now, GwSmpMessage *msg);

/* Starts the answer to the running request, at most `max` octets, into `w`. */
void gw_ep_smp_begin_answer (GwEpSmp *self, GwCborWriter *w, size_t max);
/* Ends it: with `result` GW_EP_OK the body in `w` stands, else it becomes that error. Then the answer is
 * stored and to be sent. A body that did not fit becomes rc 7. False: nothing was running. */
bool gw_ep_smp_finish (GwEpSmp *self, GwCborWriter *w, size_t max, int result);

/* Makes the next request of ours outstanding; `seq` is then its number. The caller sends it. */
void gw_ep_smp_begin_request (
    GwEpSmp *self, uint8_t op, uint16_t group, uint8_t command, uint64_t now, uint16_t frame_ms);

typedef enum
{
  GW_EP_SMP_WAIT,
  GW_EP_SMP_RETRY, /* send the same request again */
  GW_EP_SMP_LOST,  /* all tries are over and the gateway has been silent all the time */
} GwEpSmpTick;
GwEpSmpTick gw_ep_smp_tick (GwEpSmp *self, uint64_t now, uint16_t frame_ms);
