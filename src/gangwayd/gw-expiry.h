/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gw-loop.h"
#include "gw-spool.h"

G_BEGIN_DECLS

/*
 * Gives up reports that have become too old in the spool ([Spool] MaxAge), and says so in the journal: at
 * once, then at most once a day with the sum. Age is the gateway's clock against its own stamp, so nothing is
 * given up while that clock is not set, and a stamp from before it was set says nothing: such a report goes
 * when one that came after it goes.
 */

/* A clock before this day (2026-01-01) has not been set. */
#define GW_CLOCK_FLOOR_USEC (G_GINT64_CONSTANT (1767225600) * G_USEC_PER_SEC)

typedef struct _GwExpiry GwExpiry;

/* Borrows both. @max_age: microseconds. */
GwExpiry *gw_expiry_new (GwLoop *loop, GwSpool *spool, gint64 max_age);
void gw_expiry_free (GwExpiry *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwExpiry, gw_expiry_free)

/* After the configuration was read again. */
void gw_expiry_set_max_age (GwExpiry *self, gint64 max_age);

/* How often it looks: a twenty-fourth of the age, a minute to an hour. */
#define GW_EXPIRY_PERIOD_MIN_USEC (G_GINT64_CONSTANT (60) * G_USEC_PER_SEC)
#define GW_EXPIRY_PERIOD_MAX_USEC (G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC)

G_END_DECLS
