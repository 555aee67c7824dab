/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a bus tells the agent of itself besides nodes and datagrams: counters, the state of the link, addresses and
 * retries of nodes. Kept here and sent when there is an agent, at most once a second what changed; told whole after every
 * attachment. Internal to the library, part of its GangwayBus; runs on the thread-default main context. */

#include "gangway-private.h"
#include "gangway-socket.h"

G_BEGIN_DECLS

typedef struct
{
  GangwaySocket *socket; /* borrowed; NULL while there is no agent */
  GPtrArray *nodes;      /* borrowed: GangwayNode that are up */
  GSource *timer;        /* runs for a second after something was sent */

  GangwayStats stats; /* as the plugin set them */
  guint64 dropped;    /* by the library */
  gboolean stats_dirty;

  GangwayLink link;
  gboolean link_told; /* the plugin speaks of its link at all */
  gboolean link_dirty;
  guint urgent; /* changes of the link sent at once in this second */
} GangwayReport;

void gangway_report_init (GangwayReport *self, GPtrArray *nodes);

/* The agent takes messages from now on, and knows nothing; the nodes are announced to it already. */
void gangway_report_attach (GangwayReport *self, GangwaySocket *socket);
/* Before the socket is freed, and at the end. */
void gangway_report_detach (GangwayReport *self);

void gangway_report_count_drop (GangwayReport *self);
void gangway_report_set_stats (GangwayReport *self, const GangwayStats *stats);
void gangway_report_set_link (GangwayReport *self, const GangwayLink *link);
/* Address or retries of @node changed. @now: it must not wait for the next second. */
void gangway_report_node (GangwayReport *self, GangwayNode *node, gboolean now);
/* The agent has just been told of @node, and of nothing that is here. */
void gangway_report_announced (GangwayReport *self, GangwayNode *node);

G_END_DECLS
