/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-lss-trouble.h"

bool
gw_lss_trouble_is_new (GwLssTroubles *self, GwLssTrouble kind, uint64_t uid, int64_t now)
{
  for (unsigned i = 0; i < GW_LSS_TOLD_MAX; i++)
    if (self->told[i].used && self->told[i].kind == kind && self->told[i].uid == uid
        && now - self->told[i].at < GW_LSS_TOLD_USEC)
      return false;
  self->told[self->next].used = true;
  self->told[self->next].kind = kind;
  self->told[self->next].uid = uid;
  self->told[self->next].at = now;
  self->next = (self->next + 1) % GW_LSS_TOLD_MAX;
  return true;
}
