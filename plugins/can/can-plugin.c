/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* gangway-can: one CAN bus as a field bus. It opens the interface or the adapter, attaches to the agent, enters the
 * sandbox, and from then on numbers nodes and carries datagrams between them and the agent. It ends with 0 when the device
 * has gone or somebody asks it to, and with 1 when it cannot work; systemd, or whoever supervises it, starts it anew.
 *
 * The link (frames in and out), the bus (who is there, ISO-TP, fairness) and the agent know nothing of each other; this
 * file ties them together. */

#include <stdlib.h>
#include <string.h>

#include "gw-busmsg-codec.h"
#include "gw-can-bus.h"
#include "gw-hush.h"
#include "gw-can-link.h"
#include "gw-program.h"

#define RATE_DEFAULT 500000
#define STATS_USEC (500 * G_TIME_SPAN_MILLISECOND)

G_STATIC_ASSERT (GW_CAN_DATAGRAM_MAX == GW_BUSMSG_DATAGRAM_MAX);
G_STATIC_ASSERT (GW_CAN_CULPRIT_FRAMES == GW_BUSMSG_CULPRIT_FRAMES && GW_CAN_CULPRIT_EXTENDED == GW_BUSMSG_CULPRIT_EXTENDED);

typedef struct
{
  GwProgram program;
  int rate, data_rate, tty_speed;
  gint64 vendor;

  GangwayNode *nodes[GW_CAN_NODES]; /* NULL where nobody is up */
  GwCanLink *link;
  GwCanBus *bus;
  GwCanStatus link_status;
  GwHush hush;                       /* of the link's state, */
  GwHush node_hush[GW_CAN_NODES];    /* and of who comes and goes */
  GSource *timer;
  gint64 due, stats_due;
} Plugin;

/* ---- The link's state ---- */

static const char *
state_text (GwCanState state)
{
  static const char *const texts[] = { "unknown", "active", "warning", "passive", "off" };

  return texts[state];
}

/* Into and out of "off" is worth a line; what hovers around the warning limit is not. */
static void
tell_link (Plugin *self, const GwCanStatus *old, gint64 now)
{
  const GwCanStatus *status = &self->link_status;
  gboolean moved = status->up != old->up;
  gboolean went_off = status->state == GW_CAN_STATE_OFF && old->state != GW_CAN_STATE_OFF;
  gboolean came_back = status->state != GW_CAN_STATE_OFF && old->state == GW_CAN_STATE_OFF;

  if ((!moved && !went_off && !came_back) || !gw_hush_note (&self->hush, now))
    return;
  if (moved)
    gw_program_say (&self->program, "the link is %s", status->up ? "up" : "down");
  if (went_off)
    gw_program_say (&self->program,
                    "bus off: the controller has left the bus after too many errors; look at wiring, termination and bit rate");
  else if (came_back)
    gw_program_say (&self->program, "on the bus again (%s)", state_text (status->state));
}

static void
tell_untold (Plugin *self, gint64 now)
{
  unsigned untold = gw_hush_take_untold (&self->hush, now);

  if (untold > 0)
    gw_program_say (&self->program, "the link has come and gone: %u more changes; it is %s now, the controller's state is \"%s\"", untold,
                    self->link_status.up ? "up" : "down", state_text (self->link_status.state));
}

/* ---- Statistics ---- */

/* The largest datagram that anybody here takes. */
static guint
largest_datagram (Plugin *self)
{
  guint mtu = GW_BUSMSG_DATAGRAM_MIN;

  for (guint n = 0; n < GW_CAN_NODES; n++)
    if (self->nodes[n] != NULL)
      mtu = MAX (mtu, gangway_node_get_mtu (self->nodes[n]));
  return mtu;
}

static void
report_link (Plugin *self)
{
  const GwCanLoad *load = gw_can_bus_get_load (self->bus);
  guint32 permille = gw_can_load_permille (load);
  const GangwayLink link = {
    .state = (GangwayLinkState) self->link_status.state,
    .tx_errors = self->link_status.tx_errors,
    .rx_errors = self->link_status.rx_errors,
    .load_permille = permille == GW_CAN_LOAD_UNKNOWN ? G_MAXUINT : permille,
    .round_trip_ms = gw_can_load_round_trip_ms (load, largest_datagram (self)),
    .octets_per_second = gw_can_load_capacity (load),
    .culprit = load->culprit,
    .culprit_permille = load->culprit_permille,
  };

  gangway_bus_set_link (self->program.bus, &link);
}

static void
report (Plugin *self, gint64 now)
{
  GwCanBusCounters counters;
  GangwayStats stats;

  self->stats_due = now + STATS_USEC;
  gw_can_bus_get_counters (self->bus, &counters);
  stats = (GangwayStats){
    .frames_in = counters.frames_in,
    .frames_out = counters.frames_out,
    .bytes_in = counters.bytes_in,
    .bytes_out = counters.bytes_out,
    .fcs_errors = self->link_status.bus_errors,
    .oversize = counters.overflows,
    .aborted = counters.transfers_failed,
    .dropped = counters.dropped + counters.refused + self->link_status.lost,
  };
  gangway_bus_set_stats (self->program.bus, &stats);
  for (guint n = 1; n < GW_CAN_NODES; n++)
    if (self->nodes[n] != NULL)
      gangway_node_set_retries (self->nodes[n], gw_can_bus_get_retries (self->bus, n));
  report_link (self);
}

/* ---- Turns and time ---- */

/* What is due, what may be sent, and when to come again. */
static void
turn (Plugin *self, gint64 now)
{
  gint64 link_due;

  if (self->link == NULL)
    return;
  gw_can_bus_tick (self->bus, now);
  link_due = gw_can_link_tick (self->link, now);
  if (now >= self->stats_due)
    {
      report (self, now);
      tell_untold (self, now);
    }
  self->due = MIN (gw_can_bus_due (self->bus, now), MIN (link_due, self->stats_due));
}

typedef struct
{
  GSource source;
  Plugin *plugin;
} Timer;

static gboolean
on_timer_prepare (GSource *source, int *timeout)
{
  gint64 left = ((Timer *) source)->plugin->due - g_get_monotonic_time ();

  *timeout = left <= 0 ? 0 : (int) MIN ((left + 999) / 1000, G_MAXINT);
  return left <= 0;
}

static gboolean
on_timer_check (GSource *source)
{
  return ((Timer *) source)->plugin->due <= g_get_monotonic_time ();
}

static gboolean
on_timer (GSource *source, GSourceFunc callback, gpointer data)
{
  turn (((Timer *) source)->plugin, g_get_monotonic_time ());
  return G_SOURCE_CONTINUE;
}

/* The time is looked at when the main loop goes to sleep: setting g_source_set_ready_time () with every frame would cost
 * a system call and another round of the loop each time. */
static GSourceFuncs timer_funcs = { .prepare = on_timer_prepare, .check = on_timer_check, .dispatch = on_timer };

static void
start_timer (Plugin *self)
{
  self->timer = g_source_new (&timer_funcs, sizeof (Timer));
  ((Timer *) self->timer)->plugin = self;
  /* What has come is read first (and takes a turn, too): after a pause of this process an answer that lies in the socket must
   * not count as silence. */
  g_source_set_priority (self->timer, G_PRIORITY_DEFAULT + 1);
  g_source_attach (self->timer, NULL);
}

/* ---- The bus ---- */

static bool
on_bus_up (void *owner, unsigned number, const GwLinkHello *hello, GwBytes body, uint32_t rtt_ms)
{
  Plugin *self = owner;
  g_autoptr (GError) error = NULL;
  GangwayNode *node = gw_program_node_up (&self->program, number, hello, body, rtt_ms, &error);

  if (node == NULL)
    {
      gw_program_say_seldom (
          &self->program, &self->node_hush[number], "cannot take node %u, which answers: %s", number, error->message);
      return false;
    }
  self->nodes[number] = node;
  gw_program_say_seldom (&self->program,
                         &self->node_hush[number],
                         "node %u: an endpoint answers: " GW_PROGRAM_HELLO_FORMAT,
                         number,
                         GW_PROGRAM_HELLO_ARGS (hello));
  return true;
}

static void
on_bus_down (void *owner, unsigned number, GwCanDown why)
{
  static const GangwayDownReason reasons[] = {
    [GW_CAN_DOWN_GONE] = GANGWAY_DOWN_REASON_GONE,
    [GW_CAN_DOWN_SILENT] = GANGWAY_DOWN_REASON_SILENT,
    [GW_CAN_DOWN_REPLACED] = GANGWAY_DOWN_REASON_REPLACED,
  };
  Plugin *self = owner;

  gw_program_say_seldom (
      &self->program, &self->node_hush[number], "node %u: %s", number, gw_program_down_text (reasons[why]));
  gangway_node_down (self->nodes[number], reasons[why]);
  g_clear_object (&self->nodes[number]);
}

static void
on_bus_datagram (void *owner, unsigned number, GwBytes datagram)
{
  gw_program_datagram (((Plugin *) owner)->nodes[number], datagram);
}

static size_t
on_bus_next (void *owner, unsigned number, uint8_t *out)
{
  Plugin *self = owner;
  g_autoptr (GBytes) datagram = gangway_node_queue_pop (self->nodes[number]);
  gsize len = 0;
  gconstpointer data = datagram != NULL ? g_bytes_get_data (datagram, &len) : NULL;

  if (len > GW_CAN_DATAGRAM_MAX)
    return 0;
  if (len > 0)
    memcpy (out, data, len);
  return len;
}

static void
on_bus_news (void *owner, GwCanNews what, unsigned number)
{
  static const char *const texts[] = {
    [GW_CAN_NEWS_TWO_ON_ONE] = "two nodes have this number; it is taken from both, and they are numbered anew",
    [GW_CAN_NEWS_OTHER_UID] = "answers with another uid than it was numbered by; it is numbered anew",
    [GW_CAN_NEWS_NO_ANSWER] = "is there, and does not answer hello: another CANopen device, or firmware without ISO-TP",
    [GW_CAN_NEWS_FLOODS] = "sends more datagrams than are carried; some are dropped",
  };

  gw_program_say_seldom (owner, &((Plugin *) owner)->node_hush[number], "node %u: %s", number, texts[what]);
}

static void
on_bus_trouble (void *owner, GwLssTrouble kind, const uint8_t uid[GW_UID_LEN])
{
  static const char *const texts[] = {
    [GW_LSS_TROUBLE_NOT_TAKEN] = "was given a number, and sends no heartbeat",
    [GW_LSS_TROUBLE_REFUSED] = "is found, but takes no number",
    [GW_LSS_TROUBLE_TWICE] = "asks for a number while the node of that number is alive: two have one uid",
    [GW_LSS_TROUBLE_UNSTABLE] = "somebody answers the search differently each time: look at wiring and termination",
    [GW_LSS_TROUBLE_LIAR] = "somebody answers what nobody was asked: a node disturbs the search; unplug one after the other",
    [GW_LSS_TROUBLE_FOREIGN_MASTER] = "another LSS master gives numbers on this bus; there must be one",
    [GW_LSS_TROUBLE_FULL] = "finds no number free: 127 nodes are the most",
  };
  char hex[2 * GW_UID_LEN + 1];
  static const guint8 none[GW_UID_LEN];

  for (gsize i = 0; i < GW_UID_LEN; i++)
    g_snprintf (hex + 2 * i, 3, "%02x", uid[i]);
  gw_program_say (owner, "%s%s%s", memcmp (uid, none, GW_UID_LEN) == 0 ? "" : hex,
       memcmp (uid, none, GW_UID_LEN) == 0 ? "" : ": ", texts[kind]);
}

static const GwCanBusFuncs bus_funcs = {
  .up = on_bus_up,
  .down = on_bus_down,
  .datagram = on_bus_datagram,
  .next = on_bus_next,
  .news = on_bus_news,
  .trouble = on_bus_trouble,
};

/* ---- The link ---- */

static gboolean
on_link_next (gpointer owner, GwCanFrame *frame, guint32 *tag, gint64 ahead, gint64 now)
{
  gw_can_bus_set_ahead (((Plugin *) owner)->bus, ahead);
  return gw_can_bus_pull (((Plugin *) owner)->bus, frame, tag, now);
}

static void
on_link_sent (gpointer owner, guint32 tag, const GwCanFrame *frame, gint64 now)
{
  gw_can_bus_sent (((Plugin *) owner)->bus, tag, frame, now);
}

static void
on_link_unsent (gpointer owner, guint32 tag, gint64 now)
{
  gw_can_bus_unsent (((Plugin *) owner)->bus, tag, now);
}

static void
on_link_lost (gpointer owner, guint32 tag, gint64 now)
{
  gw_can_bus_lost (((Plugin *) owner)->bus, tag, now);
}

static void
on_link_frame (gpointer owner, const GwCanFrame *frame, gint64 now)
{
  gw_can_bus_take (((Plugin *) owner)->bus, frame, now);
}

static void
on_link_overheard (gpointer owner, const GwCanFrame *frame, gint64 now)
{
  gw_can_bus_overhear (((Plugin *) owner)->bus, frame);
}

static void
on_link_missed (gpointer owner, guint32 frames, gint64 now)
{
  gw_can_bus_missed (((Plugin *) owner)->bus, frames);
}

static void
on_link_status (gpointer owner, const GwCanStatus *status, gint64 now)
{
  Plugin *self = owner;
  GwCanStatus old = self->link_status;

  self->link_status = *status;
  if (status->bit_rate != old.bit_rate || status->data_rate != old.data_rate || status->fd != old.fd)
    gw_can_bus_set_link (self->bus, status->bit_rate, status->data_rate, status->fd);
  tell_link (self, &old, now);
  if (status->state != old.state)
    report_link (self);
}

static void
on_link_turned (gpointer owner, gint64 now)
{
  turn (owner, now);
}

static void
on_link_say (gpointer owner, const char *text)
{
  gw_program_say (owner, "%s", text);
}

static void
on_link_gone (gpointer owner, gboolean failed, const char *why)
{
  Plugin *self = owner;

  gw_program_say (&self->program, "%s (%s)", failed ? "the device cannot be used" : "the device is gone", why);
  gw_can_bus_end (self->bus);
  self->due = G_MAXINT64;
  gw_program_quit (&self->program, failed ? EXIT_FAILURE : EXIT_SUCCESS);
}

static const GwCanLinkFuncs link_funcs = {
  .next = on_link_next,
  .sent = on_link_sent,
  .unsent = on_link_unsent,
  .lost = on_link_lost,
  .frame = on_link_frame,
  .overheard = on_link_overheard,
  .missed = on_link_missed,
  .status = on_link_status,
  .turned = on_link_turned,
  .say = on_link_say,
  .gone = on_link_gone,
};

/* ---- The program ---- */

static void
on_pushed (GwProgram *program, GangwayNode *node, gint64 now)
{
  Plugin *self = (Plugin *) program;

  gw_can_bus_kick (self->bus, gangway_node_get_address (node));
  turn (self, now);
}

static void
on_scan (GwProgram *program, gint64 now)
{
  Plugin *self = (Plugin *) program;

  gw_can_bus_scan (self->bus, now);
  turn (self, now);
}

static void
on_end (GwProgram *program)
{
  gw_can_bus_end (((Plugin *) program)->bus);
}

static void
on_clear (GwProgram *program)
{
  Plugin *self = (Plugin *) program;

  if (self->timer != NULL)
    g_source_destroy (self->timer);
  g_clear_pointer (&self->timer, g_source_unref);
  for (guint n = 0; n < GW_CAN_NODES; n++)
    g_clear_object (&self->nodes[n]);
  g_clear_pointer (&self->link, gw_can_link_free);
  g_clear_pointer (&self->bus, gw_can_bus_free);
}

static gboolean
on_check (GwProgram *program, GError **error)
{
  Plugin *self = (Plugin *) program;
  const char *wrong = NULL;

  if (self->rate <= 0 || self->data_rate < 0 || self->tty_speed <= 0)
    wrong = "rates and speeds are in bits per second, above 0";
  else if (self->vendor < 0 || self->vendor > G_MAXUINT32)
    wrong = "--vendor has 32 bits";
  if (wrong != NULL)
    g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, wrong);
  return wrong == NULL;
}

static gboolean
on_start (GwProgram *program, GError **error)
{
  Plugin *self = (Plugin *) program;
  const GwCanLinkConfig link
      = { program->device, (guint32) self->rate, (guint32) self->data_rate, (guint) self->tty_speed };
  GwCanBusConfig config = { .vendor = (uint32_t) self->vendor };

  self->link = gw_can_link_open (&link, &link_funcs, self, error);
  if (self->link == NULL)
    return FALSE;
  gw_program_make_nonce (config.nonce);
  self->bus = gw_can_bus_new (&config, &bus_funcs, self, g_get_monotonic_time ());
  self->link_status = self->link->status;
  gw_can_bus_set_link (
      self->bus, self->link_status.bit_rate, self->link_status.data_rate, self->link_status.fd);
  start_timer (self);
  return TRUE;
}

static const char *
kind (GwProgram *program)
{
  return "can";
}

int
main (int argc, char **argv)
{
  static const GwProgramFuncs funcs = {
    .program = "gangway-can",
    .summary = "- a CAN bus as a Gangway field bus",
    .device_help = "The interface (can0), or slcan: and the path of an adapter",
    .device_arg = "DEVICE",
    .device_needed = "--device INTERFACE or --device slcan:PATH is needed, and nothing else",
    .check = on_check,
    .start = on_start,
    .kind = kind,
    .pushed = on_pushed,
    .scan = on_scan,
    .end = on_end,
    .clear = on_clear,
  };
  Plugin self = { .rate = RATE_DEFAULT, .tty_speed = GW_SERIAL_SPEED_DEFAULT };
  const GOptionEntry entries[] = {
    { "rate", 0, 0, G_OPTION_ARG_INT, &self.rate, "Bit rate that an adapter is opened with (500000)", "BIT/S" },
    { "data-rate", 0, 0, G_OPTION_ARG_INT, &self.data_rate, "Its bit rate in the data of FD frames (none)", "BIT/S" },
    { "tty-speed", 0, 0, G_OPTION_ARG_INT, &self.tty_speed, "Speed of an adapter's serial line (115200)", "BIT/S" },
    { "vendor", 0, 0, G_OPTION_ARG_INT64, &self.vendor, "Vendor in the nodes' identity (0)", "N" },
    { NULL },
  };

  return gw_program_run (&self.program, &funcs, entries, argc, argv);
}
