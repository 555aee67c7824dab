/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A line with many stations: ties the multidrop master to the line and the bus. */

#include "serial-plugin.h"

#include "gw-busmsg-codec.h"
#include "gw-serial-multidrop.h"

#define N_ADDRESSES (GW_FRAME_ADDRESS_STATION_MAX + 1)

typedef struct
{
  SerialPlugin *plugin;
  GwMultidrop master;
  GangwayNode *nodes[N_ADDRESSES]; /* those that are up */
  GwHush hush[N_ADDRESSES];        /* of who comes and goes */
  GBytes *under_way[N_ADDRESSES];  /* each one's last datagram: it may have to go again */
  GwFrame frame;                   /* for the line, if there is one */
  gboolean has_frame;
} Shared;

/* ---- The master ---- */

static void
on_send (void *owner, const GwFrame *frame)
{
  Shared *self = owner;

  self->frame = *frame;
  self->has_frame = TRUE;
  gw_serial_line_kick (self->plugin->line);
}

static GwBytes
on_next (void *owner, uint8_t address)
{
  Shared *self = owner;
  GwBytes datagram = { 0 };

  g_clear_pointer (&self->under_way[address], g_bytes_unref);
  self->under_way[address] = gangway_node_queue_pop (self->nodes[address]);
  if (self->under_way[address] != NULL)
    datagram.ptr = g_bytes_get_data (self->under_way[address], &datagram.len);
  return datagram;
}

static bool
on_up (void *owner, uint8_t address, const GwLinkHello *hello, GwBytes body, uint32_t rtt_ms)
{
  Shared *self = owner;
  g_autoptr (GError) error = NULL;
  GangwayNode *node;

  node = gw_program_node_up (&self->plugin->program, address, hello, body, rtt_ms, &error);
  if (node == NULL)
    {
      gw_program_say_seldom (
          &self->plugin->program, &self->hush[address], "cannot take station %u: %s", address, error->message);
      return false;
    }
  self->nodes[address] = node;
  gw_program_say_seldom (&self->plugin->program,
                         &self->hush[address],
                         "station %u answers: " GW_PROGRAM_HELLO_FORMAT,
                         address,
                         GW_PROGRAM_HELLO_ARGS (hello));
  return true;
}

static void
on_down (void *owner, uint8_t address, GwSerialDown why)
{
  static const GangwayDownReason reasons[] = {
    [GW_SERIAL_DOWN_GONE] = GANGWAY_DOWN_REASON_GONE,
    [GW_SERIAL_DOWN_SILENT] = GANGWAY_DOWN_REASON_SILENT,
    [GW_SERIAL_DOWN_REPLACED] = GANGWAY_DOWN_REASON_REPLACED,
  };
  Shared *self = owner;

  gw_program_say_seldom (&self->plugin->program,
                         &self->hush[address],
                         why == GW_SERIAL_DOWN_SILENT ? "station %u does not answer any more" : "station %u is gone",
                         address);
  gangway_node_down (self->nodes[address], reasons[why]);
  g_clear_object (&self->nodes[address]);
  g_clear_pointer (&self->under_way[address], g_bytes_unref);
}

static void
on_datagram (void *owner, uint8_t address, GwBytes datagram)
{
  Shared *self = owner;

  gw_program_datagram (self->nodes[address], datagram);
}

static void
on_trouble (void *owner, GwMultidropTrouble trouble, uint8_t address)
{
  static const char *const texts[] = {
    [GW_MULTIDROP_LIES] = "a station (number %u, 0: unknown) answers where it must not, or as somebody else; "
                          "what it says there is left aside",
    [GW_MULTIDROP_BABBLES] = "station %u sends without being asked; look at its firmware or its driver",
    [GW_MULTIDROP_HOGS] = "station %u takes more than its share of the line; the others get theirs",
    [GW_MULTIDROP_JAMMED] = "the line is never silent: a driver that stays on, or no termination and bias? "
                            "Take stations off one by one to find it",
    [GW_MULTIDROP_GARBAGE] = "answers to the search are garbage, more than stations that answer at once explain: noise, "
                             "a wrong speed, or a station that answers everything; looking less often",
    [GW_MULTIDROP_SLOW] = "answers come later than the protocol allows (a USB adapter's latency timer?): waiting longer",
    [GW_MULTIDROP_FULL] = "another station asks for a number, and none is free",
    [GW_MULTIDROP_SHARED] = "answers of station %u are damaged again and again, as if two stations had this number: leaving "
                            "it alone until they have forgotten it",
  };
  Shared *self = owner;

  G_STATIC_ASSERT (G_N_ELEMENTS (texts) == GW_MULTIDROP_TWINS && GW_MULTIDROP_TWINS + 1 == GW_MULTIDROP_N_TROUBLES);
  if (trouble == GW_MULTIDROP_TWINS)
    {
      gw_program_say (&self->plugin->program,
                      "two stations have the uid %016" G_GINT64_MODIFIER "x, and each damages what the other says: a chip and its copy, "
                      "or one whose answers always arrive damaged; take it off",
                      gw_multidrop_get_uid (&self->master));
      return;
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
  gw_program_say (&self->plugin->program, texts[trouble], address);
#pragma GCC diagnostic pop
}

static void
on_measured (void *owner, const GwSerialFigures *measured)
{
  Shared *self = owner;
  const GangwayLink link = {
    .state = measured->jammed    ? GANGWAY_LINK_STATE_OFF
             : measured->culprit ? GANGWAY_LINK_STATE_WARNING
                                 : GANGWAY_LINK_STATE_ACTIVE,
    .load_permille = measured->load_permille,
    .round_trip_ms = measured->round_trip_ms,
    .octets_per_second = measured->octets_per_second,
    .culprit = measured->culprit,
    .culprit_permille = measured->culprit_permille,
  };

  gangway_bus_set_link (self->plugin->program.bus, &link);
  for (guint a = 0; a < N_ADDRESSES; a++)
    if (self->nodes[a] != NULL)
      gangway_node_set_retries (self->nodes[a], gw_multidrop_get_retries (&self->master, a));
}

static const GwMultidropFuncs master_funcs = {
  .send = on_send,
  .next = on_next,
  .up = on_up,
  .down = on_down,
  .datagram = on_datagram,
  .trouble = on_trouble,
  .measured = on_measured,
};

/* ---- The line ---- */

static GwMultidrop *
master_of (gpointer owner)
{
  return &((Shared *) ((SerialPlugin *) owner)->mode_data)->master;
}

static void
on_line_heard (gpointer owner, gsize octets)
{
  gw_multidrop_heard (master_of (owner), octets, g_get_monotonic_time ());
}

static void
on_line_frame (gpointer owner, const GwFrame *frame)
{
  gw_multidrop_take (master_of (owner), frame, g_get_monotonic_time ());
}

static gboolean
on_line_next (gpointer owner, GwFrame *frame)
{
  Shared *self = ((SerialPlugin *) owner)->mode_data;

  if (!self->has_frame)
    return FALSE;
  *frame = self->frame;
  self->has_frame = FALSE;
  return TRUE;
}

static void
on_line_sent (gpointer owner, gsize octets)
{
  gw_multidrop_sent (master_of (owner), octets, g_get_monotonic_time ());
}

/* ---- The mode ---- */

static void
shared_init (SerialPlugin *plugin, const guint8 nonce[GW_HELLO_NONCE_LEN], gint64 now)
{
  Shared *self = g_new0 (Shared, 1);

  self->plugin = plugin;
  plugin->mode_data = self;
  gw_multidrop_init (&self->master, &master_funcs, self, plugin->speed, GW_BUSMSG_DATAGRAM_MAX, nonce, now);
}

static gint64
shared_tick (SerialPlugin *plugin, gint64 now)
{
  return gw_multidrop_tick (master_of (plugin), now);
}

static void
shared_pushed (SerialPlugin *plugin, GangwayNode *node, gint64 now)
{
  gw_multidrop_kick (master_of (plugin), gangway_node_get_address (node), now);
  serial_plugin_tick (plugin);
}

static void
shared_scan (SerialPlugin *plugin, gint64 now)
{
  gw_multidrop_scan (master_of (plugin), now);
  serial_plugin_tick (plugin);
}

static void
shared_end (SerialPlugin *plugin)
{
  gw_multidrop_end (master_of (plugin));
}

static guint64
shared_refused (SerialPlugin *plugin)
{
  return master_of (plugin)->refused;
}

static void
shared_clear (SerialPlugin *plugin)
{
  Shared *self = plugin->mode_data;

  for (guint a = 0; a < N_ADDRESSES; a++)
    {
      g_clear_object (&self->nodes[a]);
      g_clear_pointer (&self->under_way[a], g_bytes_unref);
    }
  g_free (self);
}

const SerialMode serial_shared = {
  .kind = "rs485",
  .line = { .heard = on_line_heard, .frame = on_line_frame, .next = on_line_next, .sent = on_line_sent },
  .init = shared_init,
  .tick = shared_tick,
  .pushed = shared_pushed,
  .scan = shared_scan,
  .end = shared_end,
  .refused = shared_refused,
  .clear = shared_clear,
};
