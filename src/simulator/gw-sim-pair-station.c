/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-sim-pair-station.h"

#include "gw-station.h"

/* What firmware takes to turn round, beyond the silence that the protocol asks for. */
#define TURN_MIN_NSEC 200000
#define TURN_SPREAD_NSEC 1000000
/* The endpoint's time-outs follow the rate at which it is polled, looked at this often. */
#define CYCLE_PERIOD_USEC 1000000
#define TICK_USEC 1000000
#define BABBLE_CHUNK 64
#define BABBLE_GAP_NSEC 100000000 /* between frames that nobody asked for */
#define LIE_OCTETS 40

static const char *const babble_names[] = {
  [GW_SIM_PAIR_BABBLE_OFF] = "off",
  [GW_SIM_PAIR_BABBLE_NOISE] = "noise",
  [GW_SIM_PAIR_BABBLE_FRAMES] = "frames",
};

typedef struct
{
  GwSimPort port;
  GwSimPairUnit unit;
  GwLoop *loop;
  GwSimPair *pair;
  GwStation station;
  GwFrameDecoder decoder;
  guint8 frame[GW_SIM_PORT_DATAGRAM_MAX + GW_FRAME_OVERHEAD];
  GwTimer tick_timer;
  GwSimPairBabble babble;
  gboolean lies;
  gint64 late; /* nanoseconds */
  guint frame_ms;
  gint64 cycle_at;
} Station;

static Station *
station_of_unit (GwSimPairUnit *unit)
{
  return (Station *)((char *)unit - offsetof (Station, unit));
}

static gboolean
is_alive (const Station *self)
{
  return self->port.endpoint && gw_sim_endpoint_is_running (self->port.endpoint);
}

/* ---- The station's owner ---- */

static bool
on_in_session (void *owner)
{
  Station *self = owner;

  return gw_sim_endpoint_in_session (self->port.endpoint);
}

static void
on_hello (void *owner, GwLinkHello *out)
{
  Station *self = owner;

  gw_sim_endpoint_hello (self->port.endpoint, out);
}

static guint
full_frame_ms (const Station *self)
{
  return 1 + GW_LINK_MTU_MIN * gw_sim_pair_octet_nsec (self->pair) / 1000000;
}

static void
on_link (void *owner, bool up)
{
  Station *self = owner;

  self->frame_ms = 2 * full_frame_ms (self);
  gw_sim_endpoint_set_link (self->port.endpoint, up, self->frame_ms);
}

static void
on_datagram (void *owner, GwBytes datagram)
{
  Station *self = owner;

  self->port.frames_in++;
  gw_sim_endpoint_input (self->port.endpoint, datagram.ptr, datagram.len);
}

static const GwStationFuncs station_funcs
    = { .in_session = on_in_session, .hello = on_hello, .link = on_link, .datagram = on_datagram };

/* A datagram waits for a poll, and the more others talk, the longer. */
static void
follow_rate (Station *self, gint64 now)
{
  guint ms = full_frame_ms (self) + gw_station_cycle_ms (&self->station);

  if (now - self->cycle_at < CYCLE_PERIOD_USEC || ms == self->frame_ms)
    return;
  self->cycle_at = now;
  self->frame_ms = ms;
  gw_sim_endpoint_set_link (self->port.endpoint, TRUE, ms);
}

/* ---- The wire ---- */

static gint64
turn (Station *self)
{
  return GW_STATION_TURN_OCTETS * gw_sim_pair_octet_nsec (self->pair) + TURN_MIN_NSEC
         + (gint64)(g_rand_double (self->port.rand) * TURN_SPREAD_NSEC) + self->late;
}

static void
answer (Station *self, guint8 *octets, gsize len, gint64 at)
{
  if (!gw_sim_port_disturb (&self->port, octets, len))
    return;
  self->port.frames_out++;
  self->port.octets_out += len;
  gw_sim_pair_send (&self->unit, octets, len, at + turn (self));
}

/* Whatever the frame asks, of whomever: a hello-sized answer that fits none. */
static gsize
lie (Station *self, const GwFrame *frame, guint8 *out, gsize size)
{
  guint8 octets[LIE_OCTETS];
  GwFrame any = { .address = frame->address, .poll = true, .info = { octets, sizeof octets } };
  gsize len;

  for (gsize i = 0; i < sizeof octets; i++)
    octets[i] = g_rand_int (self->port.rand);
  return gw_frame_encode (&any, out, size, &len) == GW_OK ? len : 0;
}

static void
take_frame (Station *self, const GwFrame *frame, gint64 at)
{
  guint8 out[GW_FRAME_ENCODED_MAX (GW_SIM_PORT_DATAGRAM_MAX)];
  gsize len = 0;

  if (gw_sim_port_misses (&self->port))
    return;
  gw_station_take (&self->station, frame, at / 1000, out, sizeof out, &len);
  if (len == 0 && self->lies && frame->poll)
    len = lie (self, frame, out, sizeof out);
  if (len > 0)
    answer (self, out, len, at);
  if (self->station.linked && frame->address == self->station.address)
    follow_rate (self, at / 1000);
}

static void
unit_heard (GwSimPairUnit *unit, guint8 octet, gint64 at)
{
  Station *self = station_of_unit (unit);
  GwFrame frame;

  self->port.octets_in++;
  if (gw_frame_decoder_push (&self->decoder, octet, &frame) == GW_FRAME_EVENT_FRAME && is_alive (self))
    take_frame (self, &frame, at);
}

static void
babble (Station *self, gint64 at)
{
  guint8 octets[BABBLE_CHUNK];
  GwFrame frame = { .address = self->station.address, .poll = true };
  gsize len = sizeof octets;

  if (self->babble == GW_SIM_PAIR_BABBLE_OFF || gw_sim_pair_is_sending (&self->unit))
    return;
  for (gsize i = 0; i < sizeof octets; i++)
    octets[i] = g_rand_int (self->port.rand);
  if (self->babble == GW_SIM_PAIR_BABBLE_FRAMES)
    {
      if (gw_frame_encode (&frame, octets, sizeof octets, &len) != GW_OK)
        return;
      at += BABBLE_GAP_NSEC;
    }
  gw_sim_pair_send (&self->unit, octets, len, at);
}

static void
unit_sent (GwSimPairUnit *unit, gint64 at)
{
  babble (station_of_unit (unit), at);
}

static const GwSimPairUnitClass unit_class = { .heard = unit_heard, .sent = unit_sent };

static void
on_tick (gpointer data)
{
  Station *self = data;

  if (is_alive (self))
    gw_station_tick (&self->station, gw_loop_now (self->loop));
  gw_timer_arm (&self->tick_timer, TICK_USEC);
}

/* ---- The port ---- */

static gboolean
station_send (GwSimPort *port, const guint8 *datagram, gsize len)
{
  return gw_station_send (&((Station *)port)->station, datagram, len);
}

static gboolean
station_write (GwSimPort *port, const guint8 *data, gsize len)
{
  return gw_sim_pair_send (&((Station *)port)->unit, data, len, 0);
}

static void
join (Station *self)
{
  if (!self->port.plugged)
    return;
  gw_sim_pair_attach (self->pair, &self->unit);
  gw_frame_decoder_reset (&self->decoder);
  babble (self, gw_sim_pair_now (self->pair));
}

/* Out of the factory, or after power-up: no number. */
static void
station_power (GwSimPort *port, gboolean on)
{
  Station *self = (Station *)port;

  gw_sim_pair_detach (&self->unit);
  gw_timer_disarm (&self->tick_timer);
  if (!on)
    return;
  gw_station_init (&self->station, &station_funcs, self, gw_sim_endpoint_key_id (port->endpoint),
                   GW_SIM_PORT_DATAGRAM_MAX);
  gw_sim_endpoint_set_link (port->endpoint, FALSE, 0);
  gw_timer_arm (&self->tick_timer, TICK_USEC);
  join (self);
}

static gboolean
station_plug (GwSimPort *port, GError **error)
{
  Station *self = (Station *)port;

  port->open = TRUE;
  if (is_alive (self))
    join (self);
  return TRUE;
}

static void
station_unplug (GwSimPort *port)
{
  port->open = FALSE;
  gw_sim_pair_detach (&((Station *)port)->unit);
}

static void
station_free (GwSimPort *port)
{
  Station *self = (Station *)port;

  gw_timer_disarm (&self->tick_timer);
  gw_sim_pair_detach (&self->unit);
  gw_sim_port_clear (port);
  g_free (self);
}

static void
station_add_status (const GwSimPort *port, json_t *status)
{
  const Station *self = (const Station *)port;
  json_t *more = json_pack ("{s:i, s:b, s:i, s:i, s:s, s:b, s:i, s:I}", "station",
                            self->station.address == GW_FRAME_ADDRESS_ALL ? 0 : (int)self->station.address,
                            "muted", self->station.muted, "waiting", (int)self->station.used, "cycle_ms",
                            (int)gw_station_cycle_ms (&self->station), "babble", babble_names[self->babble],
                            "liar", self->lies, "late_ms", (int)(self->late / 1000000), "bad_fcs",
                            (json_int_t)self->decoder.counters.bad_fcs);

  json_object_update (status, more);
  json_decref (more);
}

static const GwSimPortClass station_class = {
  .wire = GW_SIM_WIRE_PAIR,
  .free = station_free,
  .plug = station_plug,
  .unplug = station_unplug,
  .send = station_send,
  .write = station_write,
  .power = station_power,
  .add_status = station_add_status,
};

GwSimPort *
gw_sim_pair_station_new (GwLoop *loop, GwSimPair *pair, const char *name, guint64 seed)
{
  static const guint8 nobody[GW_UID_LEN];
  Station *self = g_new0 (Station, 1);

  gw_sim_port_init (&self->port, &station_class, name, seed);
  gw_sim_pair_unit_init (&self->unit, &unit_class);
  self->loop = loop;
  self->pair = pair;
  gw_station_init (&self->station, &station_funcs, self, nobody, GW_SIM_PORT_DATAGRAM_MAX);
  gw_frame_decoder_init (&self->decoder, self->frame, sizeof self->frame);
  gw_timer_init (&self->tick_timer, loop, on_tick, self);
  return &self->port;
}

/* ---- Disturbances ---- */

static Station *
get_station (GwSimPort *port)
{
  return port->class == &station_class ? (Station *)port : NULL;
}

gboolean
gw_sim_pair_babble_parse (const char *text, GwSimPairBabble *what)
{
  for (guint i = 0; i < G_N_ELEMENTS (babble_names); i++)
    if (g_str_equal (text, babble_names[i]))
      {
        *what = i;
        return TRUE;
      }
  return FALSE;
}

gboolean
gw_sim_pair_station_set_babble (GwSimPort *port, GwSimPairBabble what)
{
  Station *self = get_station (port);

  if (!self)
    return FALSE;
  self->babble = what;
  if (self->unit.pair)
    babble (self, gw_sim_pair_now (self->pair));
  return TRUE;
}

gboolean
gw_sim_pair_station_set_liar (GwSimPort *port, gboolean lies)
{
  Station *self = get_station (port);

  if (self)
    self->lies = lies;
  return self != NULL;
}

gboolean
gw_sim_pair_station_set_late (GwSimPort *port, guint ms)
{
  Station *self = get_station (port);

  if (self)
    self->late = (gint64)ms * 1000000;
  return self != NULL;
}

gboolean
gw_sim_pair_station_set_number (GwSimPort *port, guint8 number)
{
  Station *self = get_station (port);

  if (self)
    self->station.address = number;
  return self != NULL;
}
