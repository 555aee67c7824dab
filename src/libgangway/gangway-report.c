/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gangway-report.h"

#include <string.h>

#define PERIOD_MS 1000
/* A controller that hovers between two states changes with every frame: more changes than this wait for their second. */
#define URGENT_MAX 4

static void report (GangwayReport *self);

static gboolean
on_timer (gpointer data)
{
  GangwayReport *self = data;

  g_clear_pointer (&self->timer, g_source_unref);
  self->urgent = 0;
  report (self);
  return G_SOURCE_REMOVE;
}

static void
start_timer (GangwayReport *self)
{
  if (self->timer != NULL)
    return;
  self->timer = g_timeout_source_new (PERIOD_MS);
  g_source_set_callback (self->timer, on_timer, self, NULL);
  g_source_attach (self->timer, g_main_context_get_thread_default ());
}

/* ---- Messages ---- */

static void
send_stats (GangwayReport *self)
{
  GwBusmsg msg = { .type = GW_BUSMSG_STATS };

  msg.stats = (GwBusmsgStats){
    .frames_in = self->stats.frames_in,
    .frames_out = self->stats.frames_out,
    .bytes_in = self->stats.bytes_in,
    .bytes_out = self->stats.bytes_out,
    .fcs_errors = self->stats.fcs_errors,
    .oversize = self->stats.oversize,
    .aborted = self->stats.aborted,
    .dropped = self->stats.dropped + self->dropped,
  };
  if (gangway_socket_try_send (self->socket, &msg))
    self->stats_dirty = FALSE;
}

static void
send_link (GangwayReport *self)
{
  const GangwayLink *link = &self->link;
  GwBusmsg msg = { .type = GW_BUSMSG_LINK };

  msg.link = (GwBusmsgLink){
    .state = (GwBusmsgLinkState) link->state,
    .tx_errors = MIN (link->tx_errors, G_MAXUINT16),
    .rx_errors = MIN (link->rx_errors, G_MAXUINT16),
    .load_permille = link->load_permille == G_MAXUINT ? GW_BUSMSG_LOAD_UNKNOWN
                                                      : MIN (link->load_permille, GW_BUSMSG_PERMILLE_MAX),
    .round_trip_ms = MIN (link->round_trip_ms, G_MAXUINT16),
    .culprit_permille = MIN (link->culprit_permille, GW_BUSMSG_PERMILLE_MAX),
    .octets_per_second = link->octets_per_second,
    .culprit = link->culprit,
  };
  if (gangway_socket_try_send (self->socket, &msg))
    self->link_dirty = FALSE;
}

static void
send_node (GangwayReport *self, GangwayNode *node)
{
  GwBusmsg msg = { .type = GW_BUSMSG_NODE, .node = gangway_node_get_id (node) };

  msg.node_info.address = (guint16) gangway_node_get_address (node);
  msg.node_info.retries = gangway_node_get_retries (node);
  if (gangway_socket_try_send (self->socket, &msg))
    gangway_node_set_dirty (node, FALSE);
}

static gboolean
send_nodes (GangwayReport *self)
{
  gboolean any = FALSE;

  for (guint i = 0; i < self->nodes->len; i++)
    {
      GangwayNode *node = g_ptr_array_index (self->nodes, i);

      if (!gangway_node_is_dirty (node))
        continue;
      any = TRUE;
      send_node (self, node);
    }
  return any;
}

/* At most once a second, and only what has changed. What the agent has no room for waits for the next second. */
static void
report (GangwayReport *self)
{
  gboolean any = self->stats_dirty || self->link_dirty;

  if (self->socket == NULL || self->timer != NULL)
    return;
  if (self->link_dirty)
    send_link (self);
  if (self->stats_dirty)
    send_stats (self);
  if (send_nodes (self) || any)
    start_timer (self);
}

/* ---- Changes ---- */

void
gangway_report_count_drop (GangwayReport *self)
{
  self->dropped++;
  self->stats_dirty = TRUE;
  report (self);
}

void
gangway_report_set_stats (GangwayReport *self, const GangwayStats *stats)
{
  if (memcmp (&self->stats, stats, sizeof *stats) == 0)
    return;
  self->stats = *stats;
  self->stats_dirty = TRUE;
  report (self);
}

void
gangway_report_set_link (GangwayReport *self, const GangwayLink *link)
{
  gboolean now = !self->link_told || link->state != self->link.state || link->culprit != self->link.culprit;

  if (self->link_told && memcmp (&self->link, link, sizeof *link) == 0)
    return;
  self->link = *link;
  self->link_told = TRUE;
  self->link_dirty = TRUE;
  if (now && self->socket != NULL && self->timer != NULL && self->urgent < URGENT_MAX)
    {
      self->urgent++;
      send_link (self);
    }
  report (self);
}

void
gangway_report_node (GangwayReport *self, GangwayNode *node, gboolean now)
{
  gangway_node_set_dirty (node, TRUE);
  if (now && self->socket != NULL)
    send_node (self, node);
  report (self);
}

void
gangway_report_announced (GangwayReport *self, GangwayNode *node)
{
  gangway_node_set_dirty (node, gangway_node_get_address (node) != 0 || gangway_node_get_retries (node) != 0);
  report (self);
}

/* ---- The agent comes and goes ---- */

void
gangway_report_init (GangwayReport *self, GPtrArray *nodes)
{
  self->nodes = nodes;
}

void
gangway_report_attach (GangwayReport *self, GangwaySocket *socket)
{
  self->socket = socket;
  self->stats_dirty = TRUE;
  self->link_dirty = self->link_told;
  report (self);
}

void
gangway_report_detach (GangwayReport *self)
{
  self->socket = NULL;
  self->urgent = 0;
  if (self->timer != NULL)
    g_source_destroy (self->timer);
  g_clear_pointer (&self->timer, g_source_unref);
}
