/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Many endpoints on one slow bus: the agent's end of it (GwBus with its nodes and sessions) and 32 of the endpoint library, between them a
 * plugin that the test plays and a wire of 3,500 frames a second, which is CAN at 500 kbit/s, that all of them share frame by frame.
 * Nothing is ever lost on it, so whatever is said twice was said in vain. Time stands still but for the test, for GnuTLS too.
 */

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gw-bus-link.h"
#include "gw-bus.h"
#include "gw-data-codec.h"
#include "gw-error.h"
#include "gw-services.h"
#include "test-ep-lab.h"

#define NODES 32
#define FRAMES_PER_SECOND 3500
#define FRAME_OCTETS 7 /* of a datagram, ISO-TP on classic CAN */
#define OCTETS_PER_SECOND (FRAMES_PER_SECOND * FRAME_OCTETS)
#define ECHOES 10 /* requests of an enrolment, with about its octets */
#define PLUGIN_QUEUE GW_BUSMSG_NODE_QUEUE

typedef struct Rig Rig;

/* Datagrams one way for one node. */
typedef struct
{
  GQueue datagrams; /* GBytes */
  gsize carried;    /* octets of the first */
  guint limit;      /* of datagrams; 0: none */
  guint dropped;
} Flow;

/* A handshake message or the first record of an epoch, as far as it can be seen from outside. */
typedef struct
{
  guint8 random[32]; /* of the ClientHello that it belongs to */
  GHashTable *seen;  /* message sequence and offset, by direction */
} Talk;

typedef struct
{
  Rig *rig;
  guint32 node;
  Lab *lab;
  gboolean up;
  Flow down, out; /* to the endpoint, and from it */
  Talk talk;
  guint repeated;  /* handshake messages said again, by either side */
  guint hellos;    /* ClientHellos */
  guint8 random[32];
  GwSession *session;
  GQueue thoughts; /* Thought */
  gboolean mute;   /* it says one ClientHello, then nothing */
  guint64 reported_at;
  guint64 worst_ms; /* from a report until it is acknowledged */
  guint echoes;    /* still to be asked */
  gint64 done_at;  /* ms; 0: not yet */
} Place;

struct Rig
{
  guint64 now; /* ms */
  GwClock *clock;
  GwServices services;
  Lab *owner;
  GwBus *bus;
  int fd;
  Place places[NODES];
  guint next;       /* flow whose turn it is */
  guint credit;     /* of the wire, thousandths of a frame */
  guint64 frames;   /* carried */
  guint proving, most_proving;
  gboolean quiet;    /* the plugin tells nothing of its link */
  guint records;     /* application data from the agent, lately */
  guint think_ms;    /* that an endpoint takes to look at a datagram */
};

/* A datagram that its endpoint thinks about. */
typedef struct
{
  guint64 due;
  GBytes *datagram;
} Thought;

/* ---- What is said twice ---- */

/* Handshake messages in the clear of one datagram: those of a flight that was there before are repetitions. */
static void
look (Place *self, gboolean to_gateway, const guint8 *data, gsize len)
{
  while (len > 13)
    {
      gsize record = 13 + (gsize) (data[11] << 8 | data[12]);

      if (record > len)
        return;
      if (data[0] == 22 && data[3] == 0 && data[4] == 0 && record >= 25)
        {
          const guint8 *message = data + 13;
          guint key = (guint) to_gateway << 31 | (guint) message[0] << 20 | (guint) message[5] << 16 | message[7] << 8 | message[8];

          if (message[0] == 1 && to_gateway)
            {
              self->hellos++;
              if (memcmp (self->talk.random, message + 14, 32) != 0)
                g_hash_table_remove_all (self->talk.seen);
              memcpy (self->talk.random, message + 14, 32);
            }
          if (!g_hash_table_add (self->talk.seen, GUINT_TO_POINTER (key)))
            self->repeated++;
        }
      data += record;
      len -= record;
    }
}

/* ---- The wire ---- */

static void
tell (Rig *self, const GwBusmsg *message)
{
  guint8 packet[GW_BUSMSG_MAX];
  gsize len;

  g_assert_cmpint (gw_busmsg_encode (message, packet, sizeof packet, &len), ==, GW_OK);
  g_assert_cmpint (send (self->fd, packet, len, MSG_NOSIGNAL), ==, (gssize) len);
}

static void
flow_push (Flow *self, GBytes *datagram)
{
  if (self->limit != 0 && g_queue_get_length (&self->datagrams) >= self->limit)
    {
      self->dropped++;
      g_bytes_unref (datagram);
      return;
    }
  g_queue_push_tail (&self->datagrams, datagram);
}

/* One frame of a flow; the datagram whose last one it was. */
static GBytes *
flow_carry (Flow *self)
{
  GBytes *first = g_queue_peek_head (&self->datagrams);

  self->carried += FRAME_OCTETS;
  if (self->carried < g_bytes_get_size (first) + FRAME_OCTETS) /* one more: first frame, length, flow control */
    return NULL;
  self->carried = 0;
  return g_queue_pop_head (&self->datagrams);
}

static void
deliver (Rig *self, guint flow, GBytes *datagram)
{
  Place *place = &self->places[flow / 2];
  GwBytes octets = lab_bytes (datagram);
  GwBusmsg message = { .type = GW_BUSMSG_DATAGRAM, .node = place->node, .datagram = octets };

  look (place, flow % 2 != 0, octets.ptr, octets.len);
  if (!place->up)
    return;
  if (flow % 2 != 0)
    {
      tell (self, &message);
      return;
    }
  {
    Thought *thought = g_new (Thought, 1);

    thought->due = self->now + self->think_ms;
    thought->datagram = g_bytes_ref (datagram);
    g_queue_push_tail (&place->thoughts, thought);
  }
}

static void
thought_free (Thought *thought)
{
  g_bytes_unref (thought->datagram);
  g_free (thought);
}

/* One at a time. */
static void
think (Place *place)
{
  Thought *first = g_queue_peek_head (&place->thoughts);
  GwBytes octets;

  if (first == NULL || first->due > place->rig->now)
    return;
  g_queue_pop_head (&place->thoughts);
  octets = lab_bytes (first->datagram);
  gw_ep_input (place->lab->ep, octets.ptr, octets.len);
  thought_free (first);
  first = g_queue_peek_head (&place->thoughts);
  if (first != NULL)
    first->due = MAX (first->due, place->rig->now + place->rig->think_ms);
}

static Flow *
flow_at (Rig *self, guint flow)
{
  return flow % 2 != 0 ? &self->places[flow / 2].out : &self->places[flow / 2].down;
}

/* A frame of whoever's turn it is; FALSE: nobody has any. */
static gboolean
carry (Rig *self)
{
  for (guint i = 0; i < 2 * NODES; i++)
    {
      guint flow = (self->next + i) % (2 * NODES);
      g_autoptr (GBytes) datagram = NULL;

      if (g_queue_is_empty (&flow_at (self, flow)->datagrams))
        continue;
      self->next = flow + 1;
      self->frames++;
      datagram = flow_carry (flow_at (self, flow));
      if (datagram != NULL)
        deliver (self, flow, datagram);
      return TRUE;
    }
  return FALSE;
}

/* What a full datagram there and one back take now: a full one of each flow that is at work goes along. */
static guint
round_trip_ms (Rig *self)
{
  guint busy = 0;

  for (guint i = 0; i < 2 * NODES; i++)
    busy += !g_queue_is_empty (&flow_at (self, i)->datagrams);
  return MAX (busy, 2) * 512 * 1000 / OCTETS_PER_SECOND;
}

static void
tell_link (Rig *self)
{
  GwBusmsg message = { .type = GW_BUSMSG_LINK };

  message.link.state = GW_BUSMSG_LINK_ACTIVE;
  message.link.load_permille = GW_BUSMSG_LOAD_UNKNOWN;
  message.link.octets_per_second = OCTETS_PER_SECOND;
  message.link.round_trip_ms = (guint16) round_trip_ms (self);
  if (!self->quiet)
    tell (self, &message);
}

static void
read_agent (Rig *self)
{
  guint8 packet[GW_BUSMSG_MAX];
  gssize len;

  while ((len = recv (self->fd, packet, sizeof packet, MSG_DONTWAIT)) > 0)
    {
      GwBusmsg message;

      g_assert_cmpint (gw_busmsg_decode (&message, GW_BUSMSG_FROM_AGENT, packet, (gsize) len, GW_BUSMSG_DATAGRAM_MAX), ==, GW_OK);
      if (message.type != GW_BUSMSG_DATAGRAM)
        continue;
      g_assert_cmpuint (message.node, <=, NODES);
      self->records += message.datagram.ptr[0] == 23;
      flow_push (&self->places[message.node - 1].down, g_bytes_new (message.datagram.ptr, message.datagram.len));
    }
}

static void
poll_endpoints (Rig *self)
{
  for (guint i = 0; i < NODES; i++)
    {
      Place *place = &self->places[i];
      GBytes *datagram;

      if (place->lab == NULL)
        continue;
      place->lab->now = self->now;
      think (place);
      gw_ep_poll (place->lab->ep);
      while ((datagram = g_queue_pop_head (&place->lab->to_gateway)) != NULL)
        if (place->mute && place->hellos > 0)
          g_bytes_unref (datagram);
        else
          flow_push (&place->out, datagram);
    }
}

/* One millisecond of the world. */
static void
tick (Rig *self)
{
  self->now++;
  lab_clock_ms = self->now;
  gw_clock_advance (self->clock, 1000);
  if (self->now % 1000 == 0)
    tell_link (self);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  read_agent (self);
  poll_endpoints (self);
  self->credit += FRAMES_PER_SECOND;
  while (self->credit >= 1000)
    {
      if (!carry (self))
        {
          self->credit = 0;
          break;
        }
      self->credit -= 1000;
    }
}

/* ---- The bus's owner ---- */

static void ask_echo (Place *self);

static void
on_echo (const GwSmpResult *result, GwBytes body, const GError *error, gpointer data)
{
  Place *self = data;

  if (self->session == NULL || g_error_matches (error, GW_ERROR, GW_ERROR_OFFLINE))
    return;
  g_assert_no_error (error);
  ask_echo (self);
}

/* What an enrolment would be: one request after the other, a text of 128 octets there and back. */
static void
ask_echo (Place *self)
{
  char text[GW_SMP_ECHO_MAX + 1] = { 0 };
  GwSmpEcho echo;
  guint8 buffer[160];
  GwCborWriter body;

  if (self->echoes == 0)
    {
      self->done_at = (gint64) self->rig->now;
      self->rig->proving--;
      return;
    }
  self->echoes--;
  memset (text, 'x', GW_SMP_ECHO_MAX);
  echo.text = gw_text (text);
  gw_cbor_writer_init (&body, buffer, sizeof buffer);
  gw_smp_echo_req_encode (&echo, &body);
  gw_session_request (self->session, GW_SMP_OP_WRITE, GW_SESSION_GROUP_OS, GW_SMP_OS_ECHO, &body, GW_SMP_PATIENCE_NORMAL, on_echo,
                      self);
}

/* What comes after the proof waits for its turn, too. */
static void
on_turn (GwSession *session, gpointer data)
{
  Place *self = data;

  if (self->session != session)
    return;
  self->rig->proving++;
  self->rig->most_proving = MAX (self->rig->most_proving, self->rig->proving);
  ask_echo (self);
}

static void
on_surveyed (GwSession *session, const GwIdentInfo *info, const GError *error, gpointer data)
{
  Place *self = data;

  if (self->session != session)
    return;
  g_assert_no_error (error);
  ask_echo (self);
}

static void
on_request (GwSession *session, const GwSmpMessage *request, gpointer data)
{
  GwDataReport report;
  guint8 answer[64];
  GwCborWriter w;
  GwDataAck ack;
  gsize len;

  g_assert_cmpint (gw_data_report_decode (request->body, &report), ==, GW_OK);
  memcpy (ack.boot, report.boot, sizeof ack.boot);
  ack.seq = report.seq;
  gw_smp_begin_response (&w, answer, sizeof answer, request);
  gw_data_ack_encode (&ack, &w);
  g_assert_cmpint (gw_smp_end (&w, &len), ==, GW_OK);
  gw_session_respond (session, answer, len);
}

static void
on_session_ended (GwSession *session, const GError *error, gpointer data)
{
  ((Place *) data)->session = NULL;
}

static const GwSessionUser session_user = { on_request, on_session_ended };

static void
on_proving (GwBus *bus, GwNode *node, gpointer data)
{
  Rig *self = data;

  self->proving++;
  self->most_proving = MAX (self->most_proving, self->proving);
}

static void
on_proved (GwBus *bus, GwNode *node, GwSession *session, gpointer data)
{
  Place *place = &((Rig *) data)->places[gw_node_get_id (node) - 1];

  place->session = session;
  gw_session_set_user (session, &session_user, place);
  gw_session_survey (session, on_surveyed, place);
}

static void
on_node (GwBus *bus, GwNode *node, gpointer data)
{
}

static void
on_gone (GwBus *bus, const GError *error, gpointer data)
{
  g_error ("%s", error->message);
}

static const GwBusEvents bus_events = {
  .proving = on_proving,
  .proved = on_proved,
  .node_up = on_node,
  .node_moved = on_node,
  .node_down = on_node,
  .gone = on_gone,
};

/* ---- Fixture ---- */

static void
attach (Rig *self)
{
  GwBusInfo info = { "can0", "can", "", "test" };
  GwBusmsg hello = { .type = GW_BUSMSG_HELLO };
  int pair[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), ==, 0);
  self->fd = pair[1];
  self->bus = gw_bus_new (self->services.loop, self->services.objects, self->services.bouncer, self->services.identity,
                          GW_OBJECT_ROOT "/bus/can0", &info, pair[0], &bus_events, self);
  hello.hello.version = GW_BUSMSG_VERSION;
  hello.hello.datagram_max = GW_BUSMSG_DATAGRAM_MAX;
  hello.hello.nodes_max = GW_BUSMSG_NODES_MAX;
  tell (self, &hello);
  tell_link (self);
}

static void
on_acknowledged (void *data, uint64_t q, bool is_event)
{
  Place *self = data;

  self->worst_ms = MAX (self->worst_ms, self->rig->now - self->reported_at);
}

static void
report (Place *self)
{
  GwEpRecord record = { 1, { .type = GW_EP_FLOAT, .u.f = 21.5 } };

  g_assert_cmpint (gw_ep_report (self->lab->ep, &record, 1), ==, GW_OK);
  self->reported_at = self->rig->now;
}

static Rig *
rig_new (gboolean quiet)
{
  g_autoptr (GError) error = NULL;
  Rig *self = g_new0 (Rig, 1);
  GwServices *services = &self->services;

  self->now = 1000;
  self->quiet = quiet;
  self->owner = lab_new (99);
  self->clock = gw_clock_new_mock (1000 * G_USEC_PER_SEC, G_GINT64_CONSTANT (1800000000) * G_USEC_PER_SEC);
  services->loop = gw_loop_new (NULL, self->clock);
  services->objects = gw_objects_new (GW_OBJECT_ROOT);
  services->bouncer = g_object_new (GW_TYPE_BOUNCER, NULL);
  services->identity = gw_channel_identity_new (self->owner->credentials, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < NODES; i++)
    {
      Place *place = &self->places[i];
      GwBytes anchor = lab_bytes (self->owner->owner_ca.der);

      place->rig = self;
      place->node = i + 1;
      place->down.limit = PLUGIN_QUEUE;
      g_queue_init (&place->down.datagrams);
      g_queue_init (&place->out.datagrams);
      place->talk.seen = g_hash_table_new (NULL, NULL);
      place->echoes = ECHOES;
      place->lab = lab_new (i + 1);
      place->lab->config.acknowledged = on_acknowledged;
      place->lab->config.data = place;
      place->lab->config.state_changed = NULL;
      place->lab->chip.nv[GW_EP_NV_ANCHOR] = g_byte_array_append (g_byte_array_new (), anchor.ptr, (guint) anchor.len);
      place->lab->now = lab_clock_ms = self->now;
      g_assert_cmpint (gw_ep_power_up (place->lab->ep), ==, GW_OK);
      gw_ep_share (place->lab->ep, true);
      gw_ep_link (place->lab->ep, false);
    }
  attach (self);
  return self;
}

/* The plugin has found it: it has its number and has answered hello. */
static void
number (Rig *self, guint n)
{
  GwBusmsg message = { .type = GW_BUSMSG_NODE_UP, .node = self->places[n].node };

  message.node_up.mtu = 512;
  message.node_up.rtt_ms = 45;
  self->places[n].up = TRUE;
  tell (self, &message);
  message = (GwBusmsg) { .type = GW_BUSMSG_NODE, .node = self->places[n].node, .node_info = { .address = (guint16) (n + 1) } };
  tell (self, &message);
  gw_ep_link (self->places[n].lab->ep, true);
}

static void
rig_free (Rig *self)
{
  gw_bus_free (self->bus);
  close (self->fd);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  for (guint i = 0; i < NODES; i++)
    {
      g_queue_clear_full (&self->places[i].down.datagrams, (GDestroyNotify) g_bytes_unref);
      g_queue_clear_full (&self->places[i].out.datagrams, (GDestroyNotify) g_bytes_unref);
      g_queue_clear_full (&self->places[i].thoughts, (GDestroyNotify) thought_free);
      g_hash_table_unref (self->places[i].talk.seen);
      lab_free (self->places[i].lab);
    }
  gw_channel_identity_unref (self->services.identity);
  g_object_unref (self->services.bouncer);
  g_object_unref (self->services.objects);
  gw_loop_free (self->services.loop);
  gw_clock_unref (self->clock);
  lab_free (self->owner);
  g_free (self);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Rig, rig_free)

static guint
count_done (Rig *self)
{
  guint n = 0;

  for (guint i = 0; i < NODES; i++)
    n += self->places[i].done_at != 0;
  return n;
}

/* ---- Tests ---- */

typedef struct
{
  guint repeated, hellos, handshakes, requests_again, reports_again, dropped;
} Waste;

static Waste
count_waste (Rig *self)
{
  Waste waste = { 0 };

  for (guint i = 0; i < NODES; i++)
    {
      GwEpStats stats;

      gw_ep_stats (self->places[i].lab->ep, &stats);
      waste.repeated += self->places[i].repeated;
      waste.hellos += self->places[i].hellos;
      waste.handshakes += stats.handshakes;
      waste.requests_again += stats.repeats_in;
      waste.reports_again += stats.reports_resent;
      waste.dropped += self->places[i].down.dropped;
    }
  g_test_message ("%u handshakes, %u ClientHellos; said again: %u handshake messages, %u requests, %u reports; %u dropped",
                  (guint) waste.handshakes, waste.hellos, waste.repeated, waste.requests_again, waste.reports_again, waste.dropped);
  return waste;
}

static void
run_all (Rig *self, guint timeout_ms)
{
  guint64 begun = self->now, frames = self->frames;
  gint64 first = G_MAXINT64;

  while (count_done (self) < NODES && self->now < begun + timeout_ms)
    tick (self);
  for (guint i = 0; i < NODES; i++)
    first = MIN (first, self->places[i].done_at != 0 ? self->places[i].done_at : G_MAXINT64);
  g_test_message ("%u of %u done after %" G_GUINT64_FORMAT " ms, the first after %" G_GINT64_FORMAT
                  " ms, the wire %.1f %% busy; at most %u at once",
                  count_done (self), NODES, self->now - begun, first - (gint64) begun,
                  (double) (self->frames - frames) * 100000 / (double) ((self->now - begun) * FRAMES_PER_SECOND), self->most_proving);
  g_assert_cmpuint (count_done (self), ==, NODES);
}

/* All are found at once, and all are done as soon as the wire allows. */
static void
test_all_at_once (void)
{
  g_autoptr (Rig) rig = rig_new (FALSE);
  guint64 begun = rig->now;
  Waste waste;

  tick (rig);
  for (guint i = 0; i < NODES; i++)
    number (rig, i);
  run_all (rig, 60000);
  waste = count_waste (rig);
  g_assert_cmpuint (waste.repeated, ==, 0);
  g_assert_cmpuint (waste.requests_again, ==, 0);
  g_assert_cmpuint (waste.dropped, ==, 0);
  g_assert_cmpuint (waste.handshakes, ==, NODES);
  /* 1.3 times the sum of the frames on the wire. */
  g_assert_cmpuint ((rig->now - begun) * FRAMES_PER_SECOND, <=, rig->frames * 1300);
}

/* Without a word about the link nobody waits, as on a line that an endpoint has for itself. */
static void
test_untold (void)
{
  g_autoptr (Rig) rig = rig_new (TRUE);

  tick (rig);
  for (guint i = 0; i < 3; i++)
    number (rig, i);
  for (guint i = 0; i < 200; i++)
    tick (rig);
  g_assert_cmpuint (rig->most_proving, ==, 3);
}

/* Eight are at work and report each second while the others come. */
static void
test_telemetry (void)
{
  g_autoptr (Rig) rig = rig_new (FALSE);
  const guint old = 8;
  guint64 worst = 0;

  tick (rig);
  for (guint i = 0; i < old; i++)
    number (rig, i);
  while (count_done (rig) < old)
    tick (rig);
  for (guint i = old; i < NODES; i++)
    number (rig, i);
  for (guint ms = 0; count_done (rig) < NODES; ms++)
    {
      if (ms % (1000 / old) == 0)
        report (&rig->places[ms * old / 1000 % old]);
      tick (rig);
    }
  for (guint i = 0; i < old; i++)
    worst = MAX (worst, rig->places[i].worst_ms);
  g_test_message ("a report's way took %" G_GUINT64_FORMAT " ms at most", worst);
  g_assert_cmpuint (worst, >, 0);
  g_assert_cmpuint (worst, <, 1000);
  g_assert_cmpuint (count_waste (rig).reports_again, ==, 0);
  g_assert_cmpuint (count_waste (rig).requests_again, ==, 0);
}

/* Endpoints that compute for a third of a second at each message: the wire is free meanwhile, so more of them are let begin. */
static void
test_slow_endpoints (void)
{
  g_autoptr (Rig) rig = rig_new (FALSE);
  guint64 begun = rig->now;
  guint messages = 5 + 2 + ECHOES; /* that one endpoint is sent */

  rig->think_ms = 300;
  tick (rig);
  for (guint i = 0; i < NODES; i++)
    number (rig, i);
  run_all (rig, 120000);
  count_waste (rig);
  /* One after the other, as many as begin at first, would take so long and longer; seen: 12.2 to 17.1 s of 25.5, as waits are
   * spread at random. */
  g_assert_cmpuint (rig->now - begun, <, (guint64) NODES / GW_BUS_LINK_NODES_MIN * messages * rig->think_ms * 9 / 10);
}

/* All are there, and all are wanted at the same moment: a batch that claims a whole bus. */
static void
test_claimed_at_once (void)
{
  g_autoptr (Rig) rig = rig_new (FALSE);
  guint64 begun, frames;
  Waste waste;

  tick (rig);
  for (guint i = 0; i < NODES; i++)
    {
      rig->places[i].echoes = 0;
      number (rig, i);
    }
  run_all (rig, 60000);
  g_assert_cmpuint (rig->proving, ==, 0);
  rig->most_proving = 0;
  for (guint i = 0; i < 2000; i++)
    tick (rig);
  begun = rig->now;
  frames = rig->frames;
  for (guint i = 0; i < NODES; i++)
    {
      rig->places[i].echoes = ECHOES;
      rig->places[i].done_at = 0;
      gw_session_await_turn (rig->places[i].session, on_turn, &rig->places[i]);
    }
  run_all (rig, 60000);
  waste = count_waste (rig);
  g_assert_cmpuint (waste.requests_again, ==, 0);
  g_assert_cmpuint (rig->most_proving, <, 8);
  g_assert_cmpuint ((rig->now - begun) * FRAMES_PER_SECOND, <=, (rig->frames - frames) * 1300);
}

/* A session that ends does not leave those in suspense who wait for its turn. */
static void
count_turn (GwSession *session, gpointer data)
{
  (*(guint *) data)++;
}

static void
test_ends_while_waiting (void)
{
  g_autoptr (Rig) rig = rig_new (FALSE);
  guint turns = 0;

  tick (rig);
  for (guint i = 0; i < NODES; i++)
    {
      rig->places[i].echoes = 0;
      number (rig, i);
    }
  run_all (rig, 60000);
  for (guint i = 0; i < 2000; i++)
    tick (rig);
  for (guint i = 0; i < NODES; i++)
    {
      rig->places[i].echoes = ECHOES;
      rig->places[i].done_at = 0;
      gw_session_await_turn (rig->places[i].session, on_turn, &rig->places[i]);
    }
  gw_session_await_turn (rig->places[NODES - 1].session, count_turn, &turns);
  g_assert_cmpuint (turns, ==, 0);
  tell (rig, &(GwBusmsg) { .type = GW_BUSMSG_NODE_DOWN, .node = NODES, .node_down = { GW_BUSMSG_DOWN_GONE } });
  tick (rig);
  g_assert_cmpuint (turns, ==, 1);
  g_assert_null (rig->places[NODES - 1].session);
}

/* Six say hello and no more: they cost the others no more than their silence. */
static void
test_silent_ones (void)
{
  g_autoptr (Rig) rig = rig_new (FALSE);
  const guint silent = 6;
  guint64 begun = rig->now;

  tick (rig);
  for (guint i = 0; i < NODES; i++)
    {
      rig->places[i].mute = i < silent;
      number (rig, i);
    }
  while (count_done (rig) < NODES - silent && rig->now < begun + 60000)
    tick (rig);
  g_test_message ("the others are done after %" G_GUINT64_FORMAT " ms", rig->now - begun);
  g_assert_cmpuint (count_done (rig), ==, NODES - silent);
  g_assert_cmpuint (rig->now - begun, <, 10000);
}

/* All have said something at the same moment, and nothing since: they are asked whether they are there, but not all at once. */
static void
test_keepalive (void)
{
  g_autoptr (Rig) rig = rig_new (FALSE);
  guint most = 0, all = 0;

  tick (rig);
  for (guint i = 0; i < NODES; i++)
    number (rig, i);
  run_all (rig, 60000);
  for (guint i = 0; i < NODES; i++)
    report (&rig->places[i]);
  for (guint i = 0; i < 1000; i++)
    tick (rig);
  for (guint window = 0; window < 100; window++)
    {
      rig->records = 0;
      for (guint i = 0; i < 100; i++)
        tick (rig);
      most = MAX (most, rig->records);
      all += rig->records;
    }
  g_test_message ("%u questions, %u at most within 100 ms", all, most);
  g_assert_cmpuint (all, >=, NODES);
  g_assert_cmpuint (most, <=, NODES / 4);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/shared-bus/all-at-once", test_all_at_once);
  g_test_add_func ("/shared-bus/untold", test_untold);
  g_test_add_func ("/shared-bus/telemetry", test_telemetry);
  g_test_add_func ("/shared-bus/slow-endpoints", test_slow_endpoints);
  g_test_add_func ("/shared-bus/claimed-at-once", test_claimed_at_once);
  g_test_add_func ("/shared-bus/ends-while-waiting", test_ends_while_waiting);
  g_test_add_func ("/shared-bus/silent-ones", test_silent_ones);
  g_test_add_func ("/shared-bus/keepalive", test_keepalive);
  return g_test_run ();
}
