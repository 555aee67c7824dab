/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-lss-numbers.h"

#include <string.h>

#define NEVER INT64_MIN

void
gw_lss_numbers_init (GwLssNumbers *self)
{
  memset (self, 0, sizeof *self);
  for (unsigned n = 0; n <= GW_LSS_NODE_MAX; n++)
    self->of[n].heard_at = NEVER;
}

void
gw_lss_numbers_give (GwLssNumbers *self, uint8_t node_id, uint64_t uid)
{
  self->of[node_id].has_uid = true;
  self->of[node_id].uid = uid;
  self->of[node_id].heard_at = NEVER;
}

void
gw_lss_numbers_take_back (GwLssNumbers *self, uint8_t node_id)
{
  self->of[node_id].has_uid = false;
}

void
gw_lss_numbers_heard (GwLssNumbers *self, uint8_t node_id, int64_t now)
{
  self->of[node_id].heard_at = now;
}

void
gw_lss_numbers_unheard (GwLssNumbers *self, uint8_t node_id)
{
  self->of[node_id].heard_at = NEVER;
}

bool
gw_lss_numbers_is_alive (const GwLssNumbers *self, uint8_t node_id, int64_t now)
{
  int64_t heard_at = self->of[node_id].heard_at;

  return heard_at != NEVER && now - heard_at < GW_LSS_TAKEN_USEC;
}

uint8_t
gw_lss_numbers_find_living (const GwLssNumbers *self, uint64_t uid, int64_t now)
{
  for (unsigned n = GW_LSS_NODE_MIN; n <= GW_LSS_NODE_MAX; n++)
    if (self->of[n].has_uid && self->of[n].uid == uid && gw_lss_numbers_is_alive (self, (uint8_t)n, now))
      return (uint8_t)n;
  return 0;
}
