/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See gw-ep-smp.h. */

#include "gw-ep-smp.h"

#include <string.h>

void
gw_ep_smp_start (GwEpSmp *self, uint64_t now)
{
  memset (self, 0, sizeof *self);
  self->last_seq = 255; /* so the first is 0 */
  self->heard_at = now;
}

/* While a request runs there is no stored answer. */
static GwEpSmpVerdict
judge_request (GwEpSmp *self, const GwSmpMessage *msg)
{
  if (msg->seq == self->last_seq)
    return self->answer_len > 0 ? GW_EP_SMP_REPEAT : GW_EP_SMP_DROP;
  if (self->running || msg->seq != (uint8_t)(self->last_seq + 1))
    return GW_EP_SMP_DROP;
  self->last_seq = msg->seq;
  self->running = true;
  self->answer_len = 0;
  self->request = *msg;
  self->request.body = (GwBytes){ NULL, 0 };
  return GW_EP_SMP_EXECUTE;
}

GwEpSmpVerdict
gw_ep_smp_input (GwEpSmp *self, const uint8_t *data, size_t len, uint64_t now, GwSmpMessage *msg)
{
  self->heard_at = now;
  if (gw_smp_decode (data, len, msg) != GW_OK)
    return GW_EP_SMP_DROP;
  if (gw_smp_is_request (msg))
    return judge_request (self, msg);
  if (!self->outstanding || !gw_smp_answers (msg, self->op, self->group, self->seq, self->command))
    return GW_EP_SMP_DROP;
  self->outstanding = false;
  self->seq++;
  return GW_EP_SMP_ANSWER;
}

void
gw_ep_smp_begin_answer (GwEpSmp *self, GwCborWriter *w, size_t max)
{
  if (max > sizeof self->answer)
    max = sizeof self->answer;
  gw_smp_begin_response (w, self->answer, max, &self->request);
}

bool
gw_ep_smp_finish (GwEpSmp *self, GwCborWriter *w, size_t max, int result)
{
  size_t len = 0;
  GwStatus status = GW_OK;

  if (!self->running)
    return false;
  if (max > sizeof self->answer)
    max = sizeof self->answer;
  if (result == GW_EP_OK)
    {
      status = gw_smp_end (w, &len);
      if (status != GW_OK)
        result = status == GW_E_SPACE ? (int)GW_SMP_RC_TOO_LARGE : (int)GW_SMP_RC_UNKNOWN;
    }
  if (result != GW_EP_OK && (result & 0x10000) != 0)
    status = gw_smp_group_error (&self->request, (uint16_t)result, self->answer, max, &len);
  else if (result != GW_EP_OK)
    status = gw_smp_error (&self->request, (uint16_t)result, self->answer, max, &len);
  self->running = false;
  self->answer_len = status == GW_OK ? len : 0;
  return self->answer_len > 0;
}

static uint64_t
wait_ms (const GwEpSmp *self, uint16_t frame_ms)
{
  return (uint64_t)(GW_REQUEST_TIMEOUT_MS + GW_REQUEST_TIMEOUT_FRAMES * frame_ms) << (self->tries - 1);
}

void
gw_ep_smp_begin_request (
    GwEpSmp *self, uint8_t op, uint16_t group, uint8_t command, uint64_t now, uint16_t frame_ms)
{
  self->outstanding = true;
  self->op = op;
  self->group = group;
  self->command = command;
  self->tries = 1;
  self->due = now + wait_ms (self, frame_ms);
}

GwEpSmpTick
gw_ep_smp_tick (GwEpSmp *self, uint64_t now, uint16_t frame_ms)
{
  uint64_t since_first;

  if (!self->outstanding || now < self->due)
    return GW_EP_SMP_WAIT;
  if (self->tries < GW_REQUEST_TRIES_MAX)
    self->tries++;
  else
    {
      /* A gateway that talks but does not answer has no room for the report: it keeps the request's number,
       * so the only thing to do is to go on asking at the longest interval. */
      since_first = (uint64_t)(GW_REQUEST_TIMEOUT_MS + GW_REQUEST_TIMEOUT_FRAMES * frame_ms)
                    * ((1u << GW_REQUEST_TRIES_MAX) - 1u);
      if (now - self->heard_at >= since_first)
        return GW_EP_SMP_LOST;
    }
  self->due = now + wait_ms (self, frame_ms);
  return GW_EP_SMP_RETRY;
}
