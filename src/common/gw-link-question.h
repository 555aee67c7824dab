/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The one question that a plugin asks itself: gw_link hello. Keeps the last few questions, so that an answer is taken
 * once, only if it was asked for, and with the time that it took. Plain memory of the caller; times are monotonic
 * microseconds. What answers is in the clear and proves nothing.
 */

#include "gw-link-codec.h"

/* Questions that may still be answered: on a slow link the answer comes after the next question. */
#define GW_LINK_QUESTIONS 4
/* Octets that always do for a question. */
#define GW_LINK_QUESTION_SIZE 64

typedef struct
{
  uint8_t nonce[GW_HELLO_NONCE_LEN]; /* the last octet is the question's seq */
  uint8_t seq;
  struct
  {
    bool open;
    uint8_t seq;
    int64_t at;
  } asked[GW_LINK_QUESTIONS];
} GwLinkQuestion;

/* @nonce: any 8 octets; they tell our questions from the agent's. */
void gw_link_question_init (GwLinkQuestion *self, const uint8_t nonce[GW_HELLO_NONCE_LEN]);
/* The next question, as a datagram; returns its octets. */
size_t gw_link_question_ask (GwLinkQuestion *self, uint8_t out[GW_LINK_QUESTION_SIZE], int64_t now);
/* Whether @datagram answers one of the last questions, the first time it does. Then @hello and @body (its CBOR), both
 * borrowed from @datagram, and when the question was asked. */
bool gw_link_question_take (
    GwLinkQuestion *self, GwBytes datagram, GwLinkHello *hello, GwBytes *body, int64_t *asked_at);
/* Whether @datagram answers any question of ours, be it once more or too late. Then @hello, borrowed from it: on a bus where
 * several may have one address, another key id than the first answer had is another endpoint. */
bool gw_link_question_is_ours (const GwLinkQuestion *self, GwBytes datagram, GwLinkHello *hello);
