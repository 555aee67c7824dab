/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-link-question.h"

#include <string.h>

void
gw_link_question_init (GwLinkQuestion *self, const uint8_t nonce[GW_HELLO_NONCE_LEN])
{
  memset (self, 0, sizeof *self);
  memcpy (self->nonce, nonce, sizeof self->nonce);
}

size_t
gw_link_question_ask (GwLinkQuestion *self, uint8_t out[GW_LINK_QUESTION_SIZE], int64_t now)
{
  GwLinkHelloReq req = { .has_nonce = true };
  GwCborWriter w;
  unsigned slot;
  size_t len;

  self->seq++;
  slot = self->seq % GW_LINK_QUESTIONS;
  self->asked[slot].open = true;
  self->asked[slot].seq = self->seq;
  self->asked[slot].at = now;
  self->nonce[GW_HELLO_NONCE_LEN - 1] = self->seq;
  memcpy (req.nonce, self->nonce, sizeof req.nonce);

  gw_smp_begin (&w, out, GW_LINK_QUESTION_SIZE, GW_SMP_OP_READ, GW_SMP_GROUP_LINK, self->seq, GW_LINK_HELLO);
  gw_link_hello_req_encode (&req, &w);
  return gw_smp_end (&w, &len) == GW_OK ? len : 0;
}

/* The time of the question that this answers, once; -1 if it answers none of ours. */
static int64_t
match (GwLinkQuestion *self, const GwSmpMessage *msg, const GwLinkHello *hello)
{
  unsigned slot = msg->seq % GW_LINK_QUESTIONS;

  if (!self->asked[slot].open || self->asked[slot].seq != msg->seq || !hello->has_nonce)
    return -1;
  if (memcmp (hello->nonce, self->nonce, GW_HELLO_NONCE_LEN - 1) != 0
      || hello->nonce[GW_HELLO_NONCE_LEN - 1] != msg->seq)
    return -1;
  self->asked[slot].open = false;
  return self->asked[slot].at;
}

static bool
decode (GwBytes datagram, GwSmpMessage *msg, GwLinkHello *hello)
{
  return gw_datagram_kind (datagram.ptr, datagram.len) == GW_DATAGRAM_SMP_RESPONSE
         && gw_smp_decode (datagram.ptr, datagram.len, msg) == GW_OK
         && gw_smp_answers (msg, GW_SMP_OP_READ, GW_SMP_GROUP_LINK, msg->seq, GW_LINK_HELLO)
         && gw_link_hello_rsp_decode (msg->body, hello) == GW_OK;
}

bool
gw_link_question_take (GwLinkQuestion *self, GwBytes datagram, GwLinkHello *hello, GwBytes *body, int64_t *asked_at)
{
  GwSmpMessage msg;

  if (!decode (datagram, &msg, hello))
    return false;
  *asked_at = match (self, &msg, hello);
  *body = msg.body;
  return *asked_at >= 0;
}

bool
gw_link_question_is_ours (const GwLinkQuestion *self, GwBytes datagram, GwLinkHello *hello)
{
  GwSmpMessage msg;

  return decode (datagram, &msg, hello) && hello->has_nonce
         && memcmp (hello->nonce, self->nonce, GW_HELLO_NONCE_LEN - 1) == 0;
}
