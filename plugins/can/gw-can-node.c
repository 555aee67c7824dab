/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-can-node.h"

#include <string.h>

#include "gw-time.h"

/* After this much silence a number may be given to another. */
#define VACANT_MS 10000

void
gw_can_node_init (GwCanNode *self, const uint8_t nonce[GW_HELLO_NONCE_LEN])
{
  memset (self, 0, sizeof *self);
  gw_link_question_init (&self->question, nonce);
}

void
gw_can_node_free (GwCanNode *self)
{
  self->state = GW_CAN_NODE_FREE;
  self->has_uid = self->speaks = false;
  self->asks = 0;
  self->n_beats = self->many_beats = 0;
}

/* ---- What is heard ---- */

static void
hear (GwCanNode *self, int64_t now)
{
  self->heard_at = now;
  if (self->state == GW_CAN_NODE_UP)
    {
      self->asks = 0;
      self->ask_due = now + gw_time_ms (GW_CAN_SILENT_MS);
    }
  else if (self->state == GW_CAN_NODE_FREE)
    {
      self->state = GW_CAN_NODE_FOUND;
      self->asks = 0;
      self->ask_due = now;
    }
}

void
gw_can_node_numbered (GwCanNode *self, const uint8_t uid[GW_UID_LEN], int64_t now)
{
  hear (self, now);
  self->has_uid = true;
  self->n_beats = 0;
  memcpy (self->uid, uid, sizeof self->uid);
  self->asks = 0;
  self->ask_due = now;
}

void
gw_can_node_heard (GwCanNode *self, int64_t now)
{
  hear (self, now);
  self->speaks = true;
}

static bool
are_many (GwCanNode *self, int64_t now)
{
  if (now - self->many_at >= gw_time_ms (GW_CAN_BEATS_MANY_MS))
    {
      self->many_at = now;
      self->many_beats = 0;
    }
  return ++self->many_beats >= GW_CAN_BEATS_MANY;
}

/* Whether the last heartbeats come evenly, twice as often as one node's. */
static bool
are_doubled (GwCanNode *self, int64_t now)
{
  memmove (self->beats, self->beats + 1, sizeof self->beats - sizeof self->beats[0]);
  self->beats[GW_CAN_BEATS - 1] = now;
  if (self->n_beats < GW_CAN_BEATS)
    self->n_beats++;
  for (unsigned i = 2; i < GW_CAN_BEATS; i++)
    {
      int64_t two = self->beats[i] - self->beats[i - 2];

      if (two < gw_time_ms (GW_CAN_BEATS_MIN_MS) || two > gw_time_ms (GW_CAN_BEATS_MAX_MS))
        return false;
    }
  return self->n_beats == GW_CAN_BEATS;
}

GwCanNodeAction
gw_can_node_beat (GwCanNode *self, bool boot, int64_t now)
{
  bool many;

  hear (self, now);
  /* A node that starts with a number it was not given now is asked who it is. */
  if (boot && self->state == GW_CAN_NODE_UP && now - self->asked_at >= gw_time_ms (GW_CAN_ASK_MS))
    gw_can_node_ask_now (self, now);
  if (boot)
    return GW_CAN_NODE_NOTHING;
  many = are_many (self, now);
  if (!are_doubled (self, now) && !many)
    return GW_CAN_NODE_NOTHING;
  self->n_beats = self->many_beats = 0;
  /* Others may send theirs as they like, and are left alone. */
  return self->state == GW_CAN_NODE_UP || self->has_uid || self->speaks ? GW_CAN_NODE_RESET : GW_CAN_NODE_NOTHING;
}

GwCanHello
gw_can_node_hello (GwCanNode *self, const GwLinkHello *hello, int64_t now)
{
  gw_can_node_heard (self, now);
  if (self->state == GW_CAN_NODE_UP)
    return memcmp (self->kid, hello->kid, sizeof self->kid) == 0 ? GW_CAN_HELLO_SAME : GW_CAN_HELLO_OTHER;
  return self->has_uid && memcmp (self->uid, hello->uid, sizeof self->uid) != 0 ? GW_CAN_HELLO_OTHER : GW_CAN_HELLO_NEW;
}

void
gw_can_node_accept (GwCanNode *self, const GwLinkHello *hello)
{
  self->state = GW_CAN_NODE_UP;
  self->asks = 0;
  self->ask_due = self->heard_at + gw_time_ms (GW_CAN_SILENT_MS);
  memcpy (self->kid, hello->kid, sizeof self->kid);
}

bool
gw_can_node_get_uid (const GwCanNode *self, uint8_t uid[GW_UID_LEN])
{
  if (self->state == GW_CAN_NODE_FREE || (!self->has_uid && self->state != GW_CAN_NODE_UP))
    return false;
  memcpy (uid, self->has_uid ? self->uid : self->kid, GW_UID_LEN);
  return true;
}

/* ---- Time ---- */

void
gw_can_node_asked (GwCanNode *self, int64_t now)
{
  int64_t pause = gw_time_ms (GW_CAN_ASK_MS);

  self->asks++;
  self->asked_at = now;
  if (self->state == GW_CAN_NODE_FOUND)
    for (unsigned i = 2; i < self->asks && pause < gw_time_ms (GW_CAN_ASK_MAX_MS); i++)
      pause *= 2;
  if (pause > gw_time_ms (GW_CAN_ASK_MAX_MS))
    pause = gw_time_ms (GW_CAN_ASK_MAX_MS);
  self->ask_due = now + pause;
}

void
gw_can_node_ask_now (GwCanNode *self, int64_t now)
{
  if (self->state != GW_CAN_NODE_FREE && self->ask_due > now)
    self->ask_due = now;
}

static bool
is_lost (const GwCanNode *self, int64_t now)
{
  return self->asks >= GW_CAN_MISSES_MAX && now - self->heard_at >= gw_time_ms (GW_CAN_SILENT_MS);
}

int64_t
gw_can_node_due (const GwCanNode *self)
{
  return self->state == GW_CAN_NODE_FREE ? INT64_MAX : self->ask_due;
}

GwCanNodeAction
gw_can_node_tick (GwCanNode *self, int64_t now)
{
  if (self->state == GW_CAN_NODE_FREE || now < self->ask_due)
    return GW_CAN_NODE_NOTHING;
  if (!is_lost (self, now))
    return GW_CAN_NODE_ASK;
  gw_can_node_free (self);
  return GW_CAN_NODE_LOST;
}

bool
gw_can_node_is_vacant (const GwCanNode *self, int64_t now)
{
  return self->state == GW_CAN_NODE_FREE && (self->heard_at == 0 || now - self->heard_at >= gw_time_ms (VACANT_MS));
}
