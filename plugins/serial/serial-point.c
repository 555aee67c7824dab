/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A line with one endpoint at its end: ties the peer (who answers) to the line and the bus. */

#include "serial-plugin.h"

#include "gw-serial-peer.h"

typedef struct
{
  SerialPlugin *plugin;
  GwSerialPeer peer;
  GangwayNode *node; /* NULL while nobody answers */
  GwHush hush;       /* of who comes and goes */
  GBytes *question;  /* for the wire, before all datagrams; a newer one takes its place */
  GBytes *under_way;
} Point;

/* ---- The peer ---- */

static void
on_peer_ask (void *owner, GwBytes message)
{
  Point *self = owner;

  g_clear_pointer (&self->question, g_bytes_unref);
  self->question = g_bytes_new (message.ptr, message.len);
  gw_serial_line_kick (self->plugin->line);
}

static bool
on_peer_up (void *owner, const GwLinkHello *hello, GwBytes body, uint32_t rtt_ms)
{
  Point *self = owner;
  g_autoptr (GError) error = NULL;

  self->node = gw_program_node_up (&self->plugin->program, 0, hello, body, rtt_ms, &error);
  if (self->node == NULL)
    {
      gw_program_say_seldom (&self->plugin->program, &self->hush, "cannot take the endpoint that answers: %s", error->message);
      return false;
    }
  gw_program_say_seldom (
      &self->plugin->program, &self->hush, "an endpoint answers: " GW_PROGRAM_HELLO_FORMAT, GW_PROGRAM_HELLO_ARGS (hello));
  return true;
}

static void
on_peer_down (void *owner, GwSerialDown why)
{
  static const GangwayDownReason reasons[] = {
    [GW_SERIAL_DOWN_GONE] = GANGWAY_DOWN_REASON_GONE,
    [GW_SERIAL_DOWN_SILENT] = GANGWAY_DOWN_REASON_SILENT,
    [GW_SERIAL_DOWN_REPLACED] = GANGWAY_DOWN_REASON_REPLACED,
  };
  Point *self = owner;

  gw_program_say_seldom (&self->plugin->program, &self->hush, "%s", gw_program_down_text (reasons[why]));
  gangway_node_down (self->node, reasons[why]);
  g_clear_object (&self->node);
}

static void
on_peer_datagram (void *owner, GwBytes datagram)
{
  Point *self = owner;

  gw_program_datagram (self->node, datagram);
}

static const GwSerialPeerFuncs peer_funcs = {
  .ask = on_peer_ask,
  .up = on_peer_up,
  .down = on_peer_down,
  .datagram = on_peer_datagram,
};

/* ---- The line ---- */

static void
on_line_frame (gpointer owner, const GwFrame *frame)
{
  SerialPlugin *plugin = owner;
  Point *self = plugin->mode_data;
  bool was_up = self->peer.up;

  /* There is one address; frames to others are another line's. */
  if (frame->address != GW_FRAME_ADDRESS_ALL)
    return;
  gw_serial_peer_take (&self->peer, frame->info, g_get_monotonic_time ());
  if (self->peer.up != was_up)
    serial_plugin_tick (plugin);
}

static gboolean
on_line_next (gpointer owner, GwFrame *frame)
{
  Point *self = ((SerialPlugin *) owner)->mode_data;

  g_clear_pointer (&self->under_way, g_bytes_unref);
  if (self->question != NULL)
    self->under_way = g_steal_pointer (&self->question);
  else if (self->node != NULL)
    self->under_way = gangway_node_queue_pop (self->node);
  if (self->under_way == NULL)
    return FALSE;
  frame->address = GW_FRAME_ADDRESS_ALL;
  frame->info.ptr = g_bytes_get_data (self->under_way, &frame->info.len);
  return TRUE;
}

/* ---- The mode ---- */

static void
point_init (SerialPlugin *plugin, const guint8 nonce[GW_HELLO_NONCE_LEN], gint64 now)
{
  Point *self = g_new0 (Point, 1);

  self->plugin = plugin;
  plugin->mode_data = self;
  gw_serial_peer_init (&self->peer, &peer_funcs, self, nonce, now);
}

static gint64
point_tick (SerialPlugin *plugin, gint64 now)
{
  return gw_serial_peer_tick (&((Point *) plugin->mode_data)->peer, now);
}

static void
point_pushed (SerialPlugin *plugin, GangwayNode *node, gint64 now)
{
  gw_serial_line_kick (plugin->line);
}

static void
point_scan (SerialPlugin *plugin, gint64 now)
{
  gw_serial_peer_scan (&((Point *) plugin->mode_data)->peer, now);
}

static void
point_end (SerialPlugin *plugin)
{
  gw_serial_peer_end (&((Point *) plugin->mode_data)->peer);
}

static guint64
point_refused (SerialPlugin *plugin)
{
  return ((Point *) plugin->mode_data)->peer.refused;
}

static void
point_clear (SerialPlugin *plugin)
{
  Point *self = plugin->mode_data;

  g_clear_object (&self->node);
  g_clear_pointer (&self->question, g_bytes_unref);
  g_clear_pointer (&self->under_way, g_bytes_unref);
  g_free (self);
}

const SerialMode serial_point = {
  .kind = "serial",
  .line = { .frame = on_line_frame, .next = on_line_next },
  .init = point_init,
  .tick = point_tick,
  .pushed = point_pushed,
  .scan = point_scan,
  .end = point_end,
  .refused = point_refused,
  .clear = point_clear,
};
