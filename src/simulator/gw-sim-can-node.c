/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Mailbox 0 has LSS answers and heartbeats, 1 ISO-TP, 2 what a broken node sends besides. Everything happens
 * in the bus's callbacks, at the bus's time; only a datagram that the endpoint sends by itself begins
 * outside. */

#include "gw-sim-can-node.h"

#include <string.h>

#include "gw-isotp.h"
#include "gw-lss-slave.h"
#include "gw-protocol.h"

#define CONTROL 0
#define ISOTP 1
#define BABBLE 2

#define CONTROLS_MAX 4      /* waiting for mailbox 0; more are dropped, as any small firmware would */
#define DATAGRAMS_MAX 8     /* waiting: a DTLS flight */
#define FLOOD_OCTET 23      /* a DTLS record of data */
#define HIGH_ID 0x010       /* wins against all of ours but NMT */
#define WAIT_USEC 200000    /* between two "wait" */
#define HANGING_USEC 100000 /* until it is seen whether it hangs no more */

/* What the firmware takes to react to a frame: equal answers of several nodes meet, or do not. */
#define REACTION_MIN_NSEC 20000
#define REACTION_SPREAD_NSEC 100000

/* A datagram has to wait for those of others; as firmware does not know how many they are, for this many. */
#define FRAME_MS_OTHERS 8

static const char *const babble_names[] = {
  [GW_SIM_CAN_BABBLE_OFF] = "off",
  [GW_SIM_CAN_BABBLE_ISOTP] = "isotp",
  [GW_SIM_CAN_BABBLE_HEARTBEAT] = "heartbeat",
  [GW_SIM_CAN_BABBLE_HIGH] = "high",
};

typedef struct
{
  gsize len;
  guint8 octets[GW_SIM_PORT_DATAGRAM_MAX];
} Datagram;

typedef struct
{
  GwSimPort port;
  GwSimCanUnit unit;
  GwSimCanBus *bus;
  guint32 vendor;

  GwLssSlave slave;
  GwIsotp isotp;
  guint8 rx[GW_SIM_PORT_DATAGRAM_MAX];
  GwCanFrame controls[CONTROLS_MAX];
  guint n_controls;
  Datagram datagrams[DATAGRAMS_MAX];
  guint datagram_at, n_datagrams;
  guint64 refused;

  GwSimCanBabble babble;
  double babble_share;
  gint64 babble_next; /* nanoseconds */
  guint flood;        /* octets */
  int stall;          /* frames left; negative: does not */
  gboolean waits, lies;
  gint64 wait_next; /* microseconds */
} Node;

static Node *
node_of_unit (GwSimCanUnit *unit)
{
  return (Node *)((char *)unit - offsetof (Node, unit));
}

static gint64
bus_usec (Node *self)
{
  return self->bus->class->now (self->bus) / 1000;
}

static gboolean
is_numbered (const Node *self)
{
  return self->slave.node_id != GW_LSS_NODE_NONE;
}

static gboolean
is_alive (const Node *self)
{
  return self->port.endpoint && gw_sim_endpoint_is_running (self->port.endpoint);
}

/* ---- Sending ---- */

static void
add_control (Node *self, const GwCanFrame *frame)
{
  if (self->n_controls < CONTROLS_MAX)
    self->controls[self->n_controls++] = *frame;
}

static gint64
reaction (Node *self)
{
  return REACTION_MIN_NSEC + (gint64)(g_rand_double (self->port.rand) * REACTION_SPREAD_NSEC);
}

static void
pump_control (Node *self, gint64 after)
{
  if (self->n_controls == 0 || !gw_sim_can_unit_put (&self->unit, CONTROL, &self->controls[0], after))
    return;
  self->n_controls--;
  memmove (self->controls, self->controls + 1, self->n_controls * sizeof self->controls[0]);
}

static void
begin_datagram (Node *self, gint64 now)
{
  const Datagram *datagram = &self->datagrams[self->datagram_at];

  if (self->n_datagrams > 0 && !gw_isotp_is_sending (&self->isotp))
    gw_isotp_send (&self->isotp, (GwBytes){ datagram->octets, datagram->len }, now);
}

/* They look like DTLS, so that they go all the way. */
static void
add_flood (Node *self)
{
  Datagram *datagram = &self->datagrams[(self->datagram_at + self->n_datagrams) % DATAGRAMS_MAX];

  if (self->flood == 0 || self->n_datagrams > 1)
    return;
  datagram->len = self->flood;
  datagram->octets[0] = FLOOD_OCTET;
  for (guint i = 1; i < self->flood; i++)
    datagram->octets[i] = g_rand_int (self->port.rand);
  self->n_datagrams++;
  self->port.frames_out++;
  self->port.octets_out += self->flood;
}

static void
pump_isotp (Node *self, gint64 now, gint64 after)
{
  GwCanFrame frame;

  if (!is_numbered (self) || !self->unit.bus || self->stall == 0 || self->unit.mailboxes[ISOTP].full)
    return;
  add_flood (self);
  begin_datagram (self, now);
  if (gw_isotp_pull (&self->isotp, now, &frame) && !gw_sim_can_unit_put (&self->unit, ISOTP, &frame, after))
    gw_isotp_unpull (&self->isotp);
}

static void
make_babble (Node *self, GwCanFrame *frame)
{
  guint8 number = is_numbered (self) ? self->slave.node_id : GW_LSS_NODE_MAX;

  *frame = (GwCanFrame){ .len = GW_CAN_LEN_CLASSIC };
  for (guint i = 0; i < frame->len; i++)
    frame->data[i] = g_rand_int (self->port.rand);
  if (self->babble == GW_SIM_CAN_BABBLE_HEARTBEAT)
    gw_heartbeat_encode (number, GW_HEARTBEAT_OPERATIONAL, frame);
  else if (self->babble == GW_SIM_CAN_BABBLE_HIGH)
    frame->id = HIGH_ID;
  else
    {
      frame->id = gw_can_isotp_id (GW_CAN_GATEWAY_ADDRESS, number);
      frame->extended = true;
    }
}

static void
pump_babble (Node *self)
{
  gint64 now = self->bus->class->now (self->bus);
  GwCanFrame frame;

  if (self->babble == GW_SIM_CAN_BABBLE_OFF || !self->unit.bus || self->unit.mailboxes[BABBLE].full)
    return;
  make_babble (self, &frame);
  self->babble_next = MAX (self->babble_next, now);
  if (gw_sim_can_unit_put (&self->unit, BABBLE, &frame, self->babble_next - now))
    self->babble_next += gw_can_frame_nsec (&frame, self->bus->bit_rate, MAX (self->bus->data_rate, 1))
                         / self->babble_share;
}

/* Fills the mailboxes; `after`: what it takes this firmware. */
static void
pump (Node *self, gint64 now, gint64 after)
{
  gint64 due = gw_lss_slave_due (&self->slave);

  self->unit.error_share = self->port.corrupt;
  pump_babble (self);
  if (!is_alive (self))
    return;
  pump_control (self, after);
  pump_isotp (self, now, after);
  if (is_numbered (self) && self->stall != 0)
    due = MIN (due, gw_isotp_due (&self->isotp));
  if (self->waits)
    due = MIN (due, self->wait_next);
  gw_sim_can_unit_set_due (&self->unit, due);
}

static gboolean
node_send (GwSimPort *port, const guint8 *data, gsize len)
{
  Node *self = (Node *)port;
  Datagram *datagram = &self->datagrams[(self->datagram_at + self->n_datagrams) % DATAGRAMS_MAX];

  if (!is_numbered (self) || !self->unit.bus || len > sizeof datagram->octets
      || self->n_datagrams == DATAGRAMS_MAX)
    {
      self->refused++;
      return FALSE;
    }
  datagram->len = len;
  memcpy (datagram->octets, data, len);
  self->n_datagrams++;
  port->frames_out++;
  port->octets_out += len;
  pump (self, bus_usec (self), 0);
  return TRUE;
}

/* ---- The number ---- */

/* Octets of ISO-TP in a frame: a consecutive one has a single octet before them. */
static guint
datagram_ms (const Node *self)
{
  gboolean fd = self->bus->data_rate > 0;
  GwCanFrame frame = { .id = gw_can_isotp_id (GW_CAN_GATEWAY_ADDRESS, 1),
                       .extended = true,
                       .fd = fd,
                       .brs = fd,
                       .len = fd ? GW_CAN_LEN_MAX : GW_CAN_LEN_CLASSIC };
  guint frames = 2 + GW_LINK_MTU_MIN / (frame.len - 1); /* and a flow control */

  return 1
         + frames * gw_can_frame_nsec (&frame, self->bus->bit_rate, MAX (self->bus->data_rate, 1)) / 1000000;
}

static void
forget_messages (Node *self)
{
  gw_isotp_reset (&self->isotp);
  self->unit.mailboxes[ISOTP].full = false;
  if (self->unit.sending == ISOTP)
    self->unit.sending = -1;
  self->n_datagrams = 0;
}

static void
begin_number (Node *self)
{
  guint8 number = self->slave.node_id;
  GwIsotpConfig config;

  gw_isotp_config_default (&config, gw_can_isotp_id (GW_CAN_GATEWAY_ADDRESS, number),
                           gw_can_isotp_id (number, GW_CAN_GATEWAY_ADDRESS));
  config.extended = true;
  if (self->bus->data_rate > 0)
    {
      config.fd = config.brs = true;
      config.tx_dl = GW_CAN_LEN_MAX;
    }
  gw_isotp_init (&self->isotp, &config, self->rx, sizeof self->rx);
  self->n_datagrams = 0;
  gw_sim_endpoint_set_link (self->port.endpoint, TRUE, FRAME_MS_OTHERS * datagram_ms (self));
}

static void
end_number (Node *self)
{
  forget_messages (self);
  gw_sim_endpoint_set_link (self->port.endpoint, FALSE, 0);
}

static gboolean
is_lss_answer (const GwCanFrame *frame)
{
  return frame->id == GW_LSS_ID_SLAVE && !frame->extended;
}

/* The next request is there: an answer to the one before would be taken for one to this. */
static void
drop_late_answers (Node *self)
{
  GwSimCanMailbox *box = &self->unit.mailboxes[CONTROL];
  guint n = 0;

  box->full = box->full && !is_lss_answer (&box->frame);
  for (guint i = 0; i < self->n_controls; i++)
    if (!is_lss_answer (&self->controls[i]))
      self->controls[n++] = self->controls[i];
  self->n_controls = n;
}

static void
take_lss (Node *self, const GwCanFrame *frame, gint64 now)
{
  GwLssSlaveEvent event;
  GwCanFrame answer;
  bool answers;

  if (frame->id == GW_LSS_ID_MASTER && !frame->extended)
    drop_late_answers (self);
  if (self->lies && frame->id == GW_LSS_ID_MASTER && !frame->extended)
    {
      gw_lss_encode (&(GwLssMessage){ .command = GW_LSS_IDENTIFY_SLAVE, .answer = true }, &answer);
      add_control (self, &answer);
      return;
    }
  event = gw_lss_slave_take (&self->slave, frame, now, &answer, &answers);
  if (answers)
    add_control (self, &answer);
  if (event == GW_LSS_SLAVE_NUMBERED)
    begin_number (self);
  else if (event == GW_LSS_SLAVE_RESET)
    end_number (self);
}

/* ---- ISO-TP ---- */

static void
handle (Node *self, GwIsotpEvent event)
{
  GwBytes message;

  if (event == GW_ISOTP_SENT || event == GW_ISOTP_SEND_FAILED)
    {
      self->datagram_at = (self->datagram_at + 1) % DATAGRAMS_MAX;
      self->n_datagrams -= self->n_datagrams > 0;
    }
  else if (event == GW_ISOTP_RECEIVED)
    {
      message = gw_isotp_message (&self->isotp);
      self->port.frames_in++;
      self->port.octets_in += message.len;
      gw_sim_endpoint_input (self->port.endpoint, message.ptr, message.len);
    }
}

/* "Wait" as a flow control frame, 8.5.5 of ISO 15765-2. */
static void
say_wait (Node *self, gint64 now)
{
  GwCanFrame frame = { .id = gw_can_isotp_id (GW_CAN_GATEWAY_ADDRESS, self->slave.node_id),
                       .extended = true,
                       .len = GW_CAN_LEN_CLASSIC,
                       .data = { 0x31 } };

  add_control (self, &frame);
  self->wait_next = now + WAIT_USEC;
}

/* The first octet's upper half says what it is. */
static gboolean
is_first_frame (const GwCanFrame *frame)
{
  return frame->len > 0 && frame->data[0] >> 4 == 1;
}

static void
take_isotp (Node *self, const GwCanFrame *frame, gint64 now)
{
  if (!is_numbered (self) || self->stall == 0)
    return;
  if (self->waits && frame->extended && frame->id == self->isotp.config.rx_id && is_first_frame (frame))
    say_wait (self, now);
  else
    handle (self, gw_isotp_take (&self->isotp, frame, now));
}

/* ---- The unit ---- */

static void
unit_received (GwSimCanUnit *unit, const GwCanFrame *frame, gint64 now)
{
  Node *self = node_of_unit (unit);

  if (!is_alive (self))
    return;
  if (gw_sim_port_drops (&self->port))
    return;
  take_lss (self, frame, now);
  take_isotp (self, frame, now);
  if (self->port.endpoint) /* it may have been taken off */
    pump (self, now, reaction (self));
}

static void
unit_sent (GwSimCanUnit *unit, guint mailbox, gint64 now)
{
  Node *self = node_of_unit (unit);

  if (mailbox == ISOTP)
    {
      handle (self, gw_isotp_confirm (&self->isotp, now));
      self->stall -= self->stall > 0;
    }
  pump (self, now, 0);
}

static void
unit_due (GwSimCanUnit *unit, gint64 now)
{
  Node *self = node_of_unit (unit);
  GwCanFrame heartbeat;
  GwIsotpEvent event;

  if (!is_alive (self))
    {
      gw_sim_can_unit_set_due (unit, now + HANGING_USEC);
      return;
    }
  if (gw_lss_slave_tick (&self->slave, now, &heartbeat))
    add_control (self, &heartbeat);
  if (self->waits && self->wait_next <= now)
    say_wait (self, now);
  if (is_numbered (self) && self->stall != 0)
    while ((event = gw_isotp_tick (&self->isotp, now)) != GW_ISOTP_NOTHING)
      handle (self, event);
  pump (self, now, 0);
}

static const GwSimCanUnitClass unit_class = { .received = unit_received, .sent = unit_sent, .due = unit_due };

/* ---- The port ---- */

static void
leave_bus (Node *self)
{
  gw_sim_can_unit_detach (&self->unit);
  self->n_controls = 0;
  gw_isotp_unpull (&self->isotp);
}

/* Out of the factory, or after power-up: no number. */
static void
start_chip (Node *self)
{
  guint32 identity[GW_LSS_N_SUBS];

  gw_lss_identity (self->vendor, gw_sim_endpoint_key_id (self->port.endpoint), identity);
  gw_lss_slave_init (&self->slave, identity);
  forget_messages (self);
  self->n_controls = 0;
  gw_sim_endpoint_set_link (self->port.endpoint, FALSE, 0);
}

static void
join_bus (Node *self)
{
  if (!self->port.plugged || !is_alive (self))
    return;
  gw_sim_can_unit_attach (&self->unit, self->bus);
  pump (self, bus_usec (self), 0);
}

static void
node_power (GwSimPort *port, gboolean on)
{
  Node *self = (Node *)port;

  leave_bus (self);
  if (!on)
    return;
  start_chip (self);
  join_bus (self);
}

static gboolean
node_plug (GwSimPort *port, GError **error)
{
  port->open = TRUE;
  join_bus ((Node *)port);
  return TRUE;
}

static void
node_unplug (GwSimPort *port)
{
  port->open = FALSE;
  leave_bus ((Node *)port);
}

static void
node_free (GwSimPort *port)
{
  gw_sim_port_clear (port);
  g_free (port);
}

static void
node_add_status (const GwSimPort *port, json_t *status)
{
  const Node *self = (const Node *)port;
  const GwIsotpCounters *counters = &self->isotp.counters;
  json_t *more = json_pack (
      "{s:i, s:o, s:{s:I, s:I, s:I, s:I, s:I}, s:i, s:I, s:s, s:b, s:i}", "node",
      is_numbered (self) ? (int)self->slave.node_id : 0, "unit", gw_sim_can_unit_status (&self->unit),
      "isotp", "messages_in", (json_int_t)counters->messages_in, "messages_out",
      (json_int_t)counters->messages_out, "failures_in", (json_int_t)counters->failures_in, "failures_out",
      (json_int_t)counters->failures_out, "ignored", (json_int_t)counters->ignored, "waiting",
      (int)self->n_datagrams, "refused", (json_int_t)self->refused, "babble", babble_names[self->babble],
      "liar", self->lies, "stall", self->stall);

  json_object_update (status, more);
  json_decref (more);
}

static const GwSimPortClass node_class = {
  .wire = GW_SIM_WIRE_CAN,
  .free = node_free,
  .plug = node_plug,
  .unplug = node_unplug,
  .send = node_send,
  .power = node_power,
  .add_status = node_add_status,
};

GwSimPort *
gw_sim_can_node_new (GwSimCanBus *bus, guint32 vendor, const char *name, guint64 seed)
{
  Node *self = g_new0 (Node, 1);
  const guint32 nobody[GW_LSS_N_SUBS] = { 0 };
  GwIsotpConfig config;

  gw_sim_port_init (&self->port, &node_class, name, seed);
  gw_sim_can_unit_init (&self->unit, &unit_class);
  self->bus = bus;
  self->vendor = vendor;
  self->stall = -1;
  gw_lss_slave_init (&self->slave, nobody);
  gw_isotp_config_default (&config, 0, 0);
  gw_isotp_init (&self->isotp, &config, self->rx, sizeof self->rx);
  return &self->port;
}

/* ---- Disturbances ---- */

static Node *
get_node (GwSimPort *port)
{
  return port->class == &node_class ? (Node *)port : NULL;
}

GwSimCanUnit *
gw_sim_can_node_unit (GwSimPort *port)
{
  Node *self = get_node (port);

  return self ? &self->unit : NULL;
}

guint8
gw_sim_can_node_number (GwSimPort *port)
{
  Node *self = get_node (port);

  return self && is_numbered (self) ? self->slave.node_id : 0;
}

gboolean
gw_sim_can_babble_parse (const char *text, GwSimCanBabble *babble)
{
  for (guint i = 0; i < G_N_ELEMENTS (babble_names); i++)
    if (g_str_equal (text, babble_names[i]))
      {
        *babble = i;
        return TRUE;
      }
  return FALSE;
}

gboolean
gw_sim_can_node_set_babble (GwSimPort *port, GwSimCanBabble babble, double share)
{
  Node *self = get_node (port);

  if (!self)
    return FALSE;
  self->babble = share > 0 ? babble : GW_SIM_CAN_BABBLE_OFF;
  self->babble_share = share;
  self->unit.mailboxes[BABBLE].full = false;
  self->babble_next = 0;
  pump (self, bus_usec (self), 0);
  return TRUE;
}

gboolean
gw_sim_can_node_set_stall (GwSimPort *port, int frames)
{
  Node *self = get_node (port);

  if (!self)
    return FALSE;
  self->stall = frames;
  pump (self, bus_usec (self), 0);
  return TRUE;
}

gboolean
gw_sim_can_node_set_flood (GwSimPort *port, guint octets)
{
  Node *self = get_node (port);

  if (!self || octets > GW_SIM_PORT_DATAGRAM_MAX)
    return FALSE;
  self->flood = octets;
  pump (self, bus_usec (self), 0);
  return TRUE;
}

gboolean
gw_sim_can_node_set_waiting (GwSimPort *port, gboolean waits)
{
  Node *self = get_node (port);

  if (!self)
    return FALSE;
  self->waits = waits;
  self->wait_next = INT64_MAX;
  return TRUE;
}

gboolean
gw_sim_can_node_set_liar (GwSimPort *port, gboolean lies)
{
  Node *self = get_node (port);

  if (!self)
    return FALSE;
  self->lies = lies;
  return TRUE;
}

gboolean
gw_sim_can_node_set_number (GwSimPort *port, guint8 number)
{
  Node *self = get_node (port);
  const GwLssMessage requests[] = {
    { .command = GW_LSS_SWITCH_GLOBAL, .mode = 1 },
    { .command = GW_LSS_CONFIGURE_NODE_ID, .node_id = number },
    { .command = GW_LSS_SWITCH_GLOBAL, .mode = 0 },
  };

  if (!self || !is_alive (self))
    return FALSE;
  start_chip (self);
  for (guint i = 0; i < G_N_ELEMENTS (requests); i++)
    {
      GwCanFrame frame;

      gw_lss_encode (&requests[i], &frame);
      take_lss (self, &frame, bus_usec (self));
    }
  self->n_controls = 0; /* nobody asked */
  pump (self, bus_usec (self), 0);
  return is_numbered (self);
}
