/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "gw-busmsg-codec.h"
#include "gw-event.h"

G_BEGIN_DECLS

/*
 * What a plugin tells of its link, and what the agent makes of it: journal lines (few, however the link flutters) and time-outs. All of it
 * is a hint from the plugin and held within bounds here. A part of its bus; no I/O but the journal.
 */

/* What a full frame takes on a link of which nobody knows the round trip, and the most that is believed. */
#define GW_BUS_LINK_FRAME_MSEC_DEFAULT 100
#define GW_BUS_LINK_FRAME_MSEC_MAX 5000

typedef struct
{
  const char *bus; /* its name, borrowed */
  GwBusmsgLink now;
  GwEventConnection power;  /* on or off the bus, as told in the journal */
  GwEventConnection crowd;  /* whether somebody takes more than its share */
  guint32 culprit_told;
} GwBusLink;

void gw_bus_link_init (GwBusLink *self, const char *bus);
/* A LINK message. @culprit: who takes more than its share, for people; NULL: nobody. @now: monotonic microseconds. */
void gw_bus_link_take (GwBusLink *self, const GwBusmsgLink *link, const char *culprit, gint64 now);

G_END_DECLS
