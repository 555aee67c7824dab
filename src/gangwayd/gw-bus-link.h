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
/* Octets that a node says and hears from its first hello until it is at work, about; what so many nodes need is what the link carries in
 * a second. Fewer than the least would leave the wire idle while they compute. */
#define GW_BUS_LINK_NODE_OCTETS 4096
#define GW_BUS_LINK_NODES_MIN 6
/* An endpoint signs for up to a second before it answers: where many share the wire nobody repeats a flight meanwhile. */
#define GW_BUS_LINK_SHARED_MSEC_MIN 500
/* A node that says nothing for so long, or for two round trips, computes. */
#define GW_BUS_LINK_IDLE_MSEC 200

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

/* Nodes that may prove themselves at the same time; 0: any number. */
guint gw_bus_link_get_berths (const GwBusLink *self);
/* What a full frame there and back takes, for time-outs, on a node whose largest datagram is @mtu: what the plugin measures, or what it will
 * be when so many are at work. @untold: the answer where the plugin tells nothing of the link. */
guint gw_bus_link_get_frame_msec (const GwBusLink *self, guint mtu, guint untold);
/* The silence after which a node is not at work. */
gint64 gw_bus_link_get_idle_usec (const GwBusLink *self);

G_END_DECLS
