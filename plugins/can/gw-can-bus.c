/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-can-bus.h"

#include <stdlib.h>
#include <string.h>

#include "gw-can-set.h"
#include "gw-can-taken.h"
#include "gw-can-turn.h"
#include "gw-lss-codec.h"
#include "gw-time.h"

#define NEWS_USEC (60 * GW_TIME_SEC)
/* One that rebooted sends no heartbeats with its old number: so long after the last it may have it again. */
#define REBOOTED_USEC GW_LSS_DOUBT_USEC
/* Flow control that had to wait is looked at again. */
#define FLOW_RETRY_USEC (5 * GW_TIME_MS)
/* Questions without an answer after which somebody is told. */
#define NO_ANSWER_ASKS 5

/* ---- The bus ---- */

typedef struct
{
  GwCanNode node;
  GwCanLane lane;
  bool asking; /* a question waits for the wire */
} Slot;

struct _GwCanBus
{
  const GwCanBusFuncs *funcs;
  void *owner;
  GwCanLoad load;
  GwLssMaster lss;
  int64_t listen_until;
  bool fd;
  unsigned last_number;           /* given by LSS */
  GwCanSet known;                      /* not free */
  GwCanSet active;                     /* ISO-TP has something to do */
  GwCanSet flow, data;                 /* may have a frame of that kind */
  GwCanSet awaited;                    /* to send flow control */
  GwCanSet resets;                     /* NMT to be sent */
  GwCanTaken taken;
  GwCanTurn turn;
  unsigned last_flow, last_data;  /* whose turn it was */
  bool flow_waits;
  GwCanBusCounters counters;
  int64_t told[GW_CAN_N_NEWS][GW_CAN_NODES];
  Slot slots[GW_CAN_NODES];
};

enum
{
  TAG_RESET,
  TAG_LSS,
  TAG_NODE,
};

static uint32_t
tag_of (unsigned kind, unsigned n, unsigned generation)
{
  return kind << 16 | generation << 8 | n;
}

static uint32_t
tag_of_lane (const GwCanBus *self, unsigned n)
{
  return tag_of (TAG_NODE, n, gw_can_lane_get_generation (&self->slots[n].lane));
}

static void
tell (GwCanBus *self, GwCanNews what, unsigned n, int64_t now)
{
  if (self->told[what][n] != 0 && now - self->told[what][n] < NEWS_USEC)
    return;
  self->told[what][n] = now;
  self->funcs->news (self->owner, what, n);
}

/* ---- Life of a number ---- */

/* What is under way to a node and from it is nobody's any more. */
static void
reset_slot (GwCanBus *self, unsigned n)
{
  gw_can_lane_reset (&self->slots[n].lane);
  self->slots[n].asking = false;
}

/* Somebody is there where nobody was. */
static void
open_slot (GwCanBus *self, unsigned n, int64_t now)
{
  gw_can_lane_open (&self->slots[n].lane, &self->load, now);
  self->slots[n].asking = false;
  gw_can_set_add (&self->known, n);
}

static void
close_slot (GwCanBus *self, unsigned n)
{
  reset_slot (self, n);
  gw_can_set_remove (&self->known, n);
  gw_can_set_remove (&self->active, n);
  gw_can_set_remove (&self->flow, n);
  gw_can_set_remove (&self->data, n);
  gw_can_set_remove (&self->awaited, n);
}

static uint64_t
whom_at (const GwCanBus *self, unsigned n)
{
  uint8_t uid[GW_UID_LEN];
  uint64_t whom;

  if (!gw_can_node_get_uid (&self->slots[n].node, uid))
    return n;
  memcpy (&whom, uid, sizeof whom);
  return whom;
}

/* Takes the number from whoever has it. False: that was done lately. */
static bool
take_back (GwCanBus *self, unsigned n, GwCanNews why, int64_t now)
{
  Slot *slot = &self->slots[n];
  bool was_up = slot->node.state == GW_CAN_NODE_UP;

  if (!gw_can_taken_may (&self->taken, whom_at (self, n), now))
    return false;
  tell (self, why, n, now);
  gw_lss_master_forget (&self->lss, (uint8_t) n);
  gw_can_node_free (&slot->node);
  close_slot (self, n);
  gw_can_set_add (&self->resets, n);
  if (was_up)
    self->funcs->down (self->owner, n, GW_CAN_DOWN_REPLACED);
  gw_lss_master_scan (&self->lss, now);
  return true;
}

/* ---- Numbering ---- */

static bool
has_uid (const GwCanNode *node, const uint8_t *uid)
{
  return (node->state == GW_CAN_NODE_UP && memcmp (node->kid, uid, GW_UID_LEN) == 0)
         || (node->state != GW_CAN_NODE_FREE && node->has_uid && memcmp (node->uid, uid, GW_UID_LEN) == 0);
}

static uint8_t
on_lss_number (void *owner, const uint8_t *uid, int64_t now)
{
  GwCanBus *self = owner;

  for (unsigned n = gw_can_set_after (&self->known, 0); n != 0; n = gw_can_set_after (&self->known, n))
    {
      GwCanNode *node = &self->slots[n].node;

      if (!has_uid (node, uid))
        continue;
      if (now - node->heard_at >= REBOOTED_USEC)
        return (uint8_t) n;
      gw_can_node_ask_now (node, now); /* the uid twice: is that one still there? */
    }
  for (unsigned i = 0; i < GW_LSS_NODE_MAX; i++)
    {
      unsigned n = (self->last_number + i) % GW_LSS_NODE_MAX + 1;

      if (!gw_can_node_is_vacant (&self->slots[n].node, now))
        continue;
      self->last_number = n;
      return (uint8_t) n;
    }
  return 0;
}

static void
on_lss_numbered (void *owner, uint8_t n, const uint8_t *uid, int64_t now)
{
  GwCanBus *self = owner;

  if (!gw_can_set_has (&self->known, n))
    open_slot (self, n, now);
  else
    reset_slot (self, n);
  gw_can_node_numbered (&self->slots[n].node, uid, now);
}

static void
on_lss_trouble (void *owner, GwLssTrouble kind, const uint8_t *uid, int64_t now)
{
  GwCanBus *self = owner;

  self->funcs->trouble (self->owner, kind, uid);
}

static const GwLssMasterFuncs lss_funcs = {
  .number = on_lss_number,
  .numbered = on_lss_numbered,
  .trouble = on_lss_trouble,
};

/* ---- Datagrams in ---- */

static void
take_hello (GwCanBus *self, unsigned n, const GwLinkHello *hello, GwBytes body, int64_t rtt, int64_t now)
{
  Slot *slot = &self->slots[n];
  bool was_up = slot->node.state == GW_CAN_NODE_UP;
  uint32_t rtt_ms = rtt > UINT16_MAX * GW_TIME_MS ? UINT16_MAX : (uint32_t) (rtt / GW_TIME_MS + 1);
  GwCanHello what = gw_can_node_hello (&slot->node, hello, now);

  if (what == GW_CAN_HELLO_SAME)
    return;
  if (what == GW_CAN_HELLO_OTHER
      && take_back (self, n, was_up ? GW_CAN_NEWS_TWO_ON_ONE : GW_CAN_NEWS_OTHER_UID, now))
    return;
  /* Taken back lately, and here it is again: then it is as it says. What counts is proven in DTLS. */
  if (was_up)
    self->funcs->down (self->owner, n, GW_CAN_DOWN_REPLACED);
  slot->node.state = GW_CAN_NODE_FOUND;
  if (self->funcs->up (self->owner, n, hello, body, rtt_ms))
    {
      gw_can_node_accept (&slot->node, hello);
      gw_can_turn_found (&self->turn);
      gw_can_set_add (&self->data, n);
    }
}

/* Whether the agent could do anything with it. */
static bool
is_worth_carrying (GwBytes datagram)
{
  switch (gw_datagram_kind (datagram.ptr, datagram.len))
    {
    case GW_DATAGRAM_DTLS:
      return gw_datagram_whole_records (datagram.ptr, datagram.len) > 0;
    case GW_DATAGRAM_SMP_RESPONSE:
      return true;
    default:
      return false;
    }
}

static void
take_datagram (GwCanBus *self, unsigned n, GwBytes datagram, int64_t now)
{
  Slot *slot = &self->slots[n];
  GwLinkHello hello;
  GwBytes body;
  int64_t asked_at;

  if (gw_link_question_take (&slot->node.question, datagram, &hello, &body, &asked_at))
    {
      gw_can_lane_learn (&slot->lane);
      take_hello (self, n, &hello, body, now - asked_at, now);
    }
  else if (gw_link_question_is_ours (&slot->node.question, datagram, &hello))
    {
      /* Once more: by the same one, or by another who has the number, too. */
      if (slot->node.state == GW_CAN_NODE_UP && memcmp (slot->node.kid, hello.kid, sizeof hello.kid) != 0)
        take_back (self, n, GW_CAN_NEWS_TWO_ON_ONE, now);
    }
  else if (!is_worth_carrying (datagram))
    self->counters.refused++;
  else if (slot->node.state != GW_CAN_NODE_UP)
    self->counters.dropped++; /* who it is is being asked */
  else if (!gw_can_lane_may_carry (&slot->lane, now))
    {
      self->counters.dropped++;
      tell (self, GW_CAN_NEWS_FLOODS, n, now);
    }
  else
    self->funcs->datagram (self->owner, n, datagram);
}

static void
handle (GwCanBus *self, unsigned n, GwIsotpEvent event, int64_t now)
{
  Slot *slot = &self->slots[n];

  gw_can_lane_note (&slot->lane, event, &self->load, now);
  switch (event)
    {
    case GW_ISOTP_RECEIVED:
      take_datagram (self, n, gw_can_lane_message (&slot->lane), now);
      break;
    case GW_ISOTP_SENT:
      gw_can_set_add (&self->data, n);
      break;
    case GW_ISOTP_SEND_FAILED:
      self->counters.transfers_failed++;
      gw_can_set_add (&self->data, n);
      break;
    case GW_ISOTP_RECEIVE_FAILED:
      if (gw_can_lane_overflowed (&slot->lane))
        self->counters.overflows++;
      else
        self->counters.transfers_failed++;
      break;
    case GW_ISOTP_NOTHING:
      break;
    }
}

/* ---- Frames in ---- */

static void
take_isotp (GwCanBus *self, unsigned n, const GwCanFrame *frame, int64_t now)
{
  Slot *slot = &self->slots[n];
  GwCanPci pci = gw_can_lane_pci (frame);
  GwIsotpEvent event;

  if (!gw_can_set_has (&self->known, n))
    open_slot (self, n, now);
  gw_can_turn_heard (&self->turn, gw_can_load_frame_nsec (&self->load), now);
  if (pci == GW_CAN_PCI_FLOW)
    gw_can_set_remove (&self->awaited, n);
  gw_can_node_heard (&slot->node, now);
  if (pci == GW_CAN_PCI_FIRST)
    gw_can_set_add (&self->flow, n);
  event = gw_can_lane_take (&slot->lane, frame, now);
  gw_can_set_add (&self->active, n);
  if (gw_can_lane_is_sending (&slot->lane))
    gw_can_set_add (&self->data, n);
  handle (self, n, event, now);
}

static void
take_beat (GwCanBus *self, unsigned n, uint8_t state, int64_t now)
{
  Slot *slot = &self->slots[n];

  if (!gw_can_set_has (&self->known, n))
    open_slot (self, n, now);
  if (gw_can_node_beat (&slot->node, state == GW_HEARTBEAT_BOOT, now) == GW_CAN_NODE_RESET)
    take_back (self, n, GW_CAN_NEWS_TWO_ON_ONE, now);
}

void
gw_can_bus_overhear (GwCanBus *self, const GwCanFrame *frame)
{
  self->counters.frames_in++;
  self->counters.bytes_in += frame->len;
  gw_can_load_count (&self->load, frame, gw_can_load_source (frame));
}

void
gw_can_bus_missed (GwCanBus *self, uint32_t frames)
{
  self->counters.frames_in += frames;
  gw_can_load_count_unseen (&self->load, frames);
}

void
gw_can_bus_take (GwCanBus *self, const GwCanFrame *frame, int64_t now)
{
  uint8_t n = gw_can_load_source (frame), state;

  self->counters.frames_in++;
  self->counters.bytes_in += frame->len;
  gw_can_load_count (&self->load, frame, n);
  if (frame->remote)
    return;
  if (frame->extended)
    {
      if (n != 0)
        take_isotp (self, n, frame, now);
    }
  else if (gw_heartbeat_decode (frame, &n, &state))
    {
      gw_lss_master_take (&self->lss, frame, now);
      take_beat (self, n, state, now);
    }
  else if (frame->id == GW_LSS_ID_SLAVE || frame->id == GW_LSS_ID_MASTER)
    gw_lss_master_take (&self->lss, frame, now);
}

/* ---- Turns of the search and of the traffic ---- */

static void
take_turns (GwCanBus *self, int64_t now)
{
  bool waits = !gw_can_set_is_empty (&self->flow) || !gw_can_set_is_empty (&self->data);

  gw_can_turn_take (&self->turn, &self->lss, waits, now);
}

static bool
may_search (const GwCanBus *self, int64_t now)
{
  return now >= self->listen_until && gw_can_turn_may_search (&self->turn, now);
}

/* ---- Frames out ---- */

/* Gives ISO-TP of an idle node its next message. */
static bool
start_next (GwCanBus *self, unsigned n, int64_t now)
{
  Slot *slot = &self->slots[n];
  uint8_t *buffer = gw_can_lane_buffer (&slot->lane);
  size_t len = 0;

  if (slot->asking)
    {
      slot->asking = false;
      len = gw_link_question_ask (&slot->node.question, buffer, now);
    }
  else if (slot->node.state == GW_CAN_NODE_UP)
    len = self->funcs->next (self->owner, n, buffer);
  if (len > 0)
    gw_can_set_add (&self->active, n);
  /* Where it is not known whether it takes FD frames every other question tries. */
  return gw_can_lane_send (&slot->lane, len, self->fd, slot->node.asks % 2 == 1, now);
}

static bool
pull_flow (GwCanBus *self, GwCanFrame *frame, unsigned *number, int64_t now)
{
  GwCanSet left = self->flow;

  self->flow_waits = false;
  for (unsigned n = gw_can_set_round (&left, self->last_flow); n != 0; n = gw_can_set_round (&left, n))
    {
      Slot *slot = &self->slots[n];

      gw_can_set_remove (&left, n);
      if (!gw_can_lane_may_flow (&slot->lane, &self->load, now))
        {
          self->flow_waits = true;
          continue;
        }
      gw_can_set_remove (&self->flow, n);
      if (!gw_can_lane_pull_flow (&slot->lane, &self->load, frame, now))
        continue;
      self->last_flow = *number = n;
      return true;
    }
  return false;
}

static bool
is_awaiting (GwCanBus *self, int64_t now)
{
  for (unsigned n = gw_can_set_after (&self->awaited, 0); n != 0; n = gw_can_set_after (&self->awaited, n))
    {
      if (gw_can_lane_is_awaited (&self->slots[n].lane, now))
        return true;
      gw_can_set_remove (&self->awaited, n);
    }
  return false;
}

/* Whether the bus is left to the nodes now. One alone has nobody to wait for it. */
static bool
yields (GwCanBus *self, int64_t now)
{
  if (gw_can_set_round (&self->known, self->last_data) == self->last_data)
    return false;
  return gw_can_turn_yields (&self->turn, is_awaiting (self, now), gw_can_load_frame_nsec (&self->load), now);
}

static bool
pull_data (GwCanBus *self, GwCanFrame *frame, unsigned *number, int64_t now)
{
  if (gw_can_set_is_empty (&self->data) || yields (self, now))
    return false;
  for (unsigned n = gw_can_set_round (&self->data, self->last_data); n != 0; n = gw_can_set_round (&self->data, n))
    {
      Slot *slot = &self->slots[n];

      /* Its flow control would come first, and that has to wait. */
      if (!gw_can_set_has (&self->flow, n)
          && (gw_can_lane_is_sending (&slot->lane) || start_next (self, n, now))
          && gw_can_lane_pull (&slot->lane, frame, now))
        {
          self->last_data = *number = n;
          gw_can_turn_pulled (&self->turn);
          if (gw_can_lane_pci (frame) == GW_CAN_PCI_FIRST)
            gw_can_set_add (&self->awaited, n);
          return true;
        }
      gw_can_set_remove (&self->data, n);
    }
  return false;
}

bool
gw_can_bus_pull (GwCanBus *self, GwCanFrame *frame, uint32_t *tag, int64_t now)
{
  unsigned n = gw_can_set_after (&self->resets, 0);

  if (n != 0)
    {
      gw_can_set_remove (&self->resets, n);
      gw_nmt_encode (GW_NMT_RESET_COMMUNICATION, (uint8_t) n, frame);
      *tag = tag_of (TAG_RESET, n, 0);
      return true;
    }
  take_turns (self, now);
  if (may_search (self, now) && gw_lss_master_pull (&self->lss, now, frame))
    {
      *tag = tag_of (TAG_LSS, 0, 0);
      gw_can_turn_asked (&self->turn);
      return true;
    }
  take_turns (self, now);
  if (gw_can_turn_held_until (&self->turn, &self->lss, now) > 0)
    return false;
  if (!pull_flow (self, frame, &n, now) && !pull_data (self, frame, &n, now))
    return false;
  gw_can_set_add (&self->active, n);
  gw_can_lane_leaves (&self->slots[n].lane,
                      now + gw_can_turn_get_ahead (&self->turn) + (int64_t) (gw_can_load_frame_nsec (&self->load) / 1000));
  *tag = tag_of_lane (self, n);
  return true;
}

void
gw_can_bus_sent (GwCanBus *self, uint32_t tag, const GwCanFrame *frame, int64_t now)
{
  unsigned n = tag & 0xff;

  self->counters.frames_out++;
  self->counters.bytes_out += frame->len;
  gw_can_load_count (&self->load, frame, GW_CAN_OURSELVES);
  if (tag >> 16 == TAG_LSS)
    gw_lss_master_confirm (&self->lss, now);
  else if (tag >> 16 == TAG_NODE)
    gw_can_turn_sent (&self->turn, now);
  if (tag == tag_of_lane (self, n))
    {
      gw_can_set_add (&self->data, n);
      handle (self, n, gw_can_lane_confirm (&self->slots[n].lane, now), now);
    }
}

void
gw_can_bus_unsent (GwCanBus *self, uint32_t tag, int64_t now)
{
  unsigned n = tag & 0xff;

  if (tag >> 16 == TAG_RESET)
    gw_can_set_add (&self->resets, n);
  else if (tag >> 16 == TAG_LSS)
    gw_lss_master_unpull (&self->lss);
  else if (tag == tag_of_lane (self, n))
    {
      gw_can_lane_unpull (&self->slots[n].lane);
      gw_can_set_add (&self->data, n);
    }
}

void
gw_can_bus_lost (GwCanBus *self, uint32_t tag, int64_t now)
{
  unsigned n = tag & 0xff;

  if (tag >> 16 != TAG_NODE)
    {
      gw_can_bus_unsent (self, tag, now);
      return;
    }
  if (tag != tag_of_lane (self, n))
    return;
  gw_can_lane_lose (&self->slots[n].lane);
  self->slots[n].asking = false;
  self->counters.transfers_failed++;
  gw_can_set_add (&self->data, n);
}

/* ---- Time ---- */

static void
tick_node (GwCanBus *self, unsigned n, int64_t now)
{
  Slot *slot = &self->slots[n];
  bool was_up = slot->node.state == GW_CAN_NODE_UP;

  switch (gw_can_node_tick (&slot->node, now))
    {
    case GW_CAN_NODE_ASK:
      gw_can_node_asked (&slot->node, now);
      slot->asking = true;
      gw_can_set_add (&self->data, n);
      if (!was_up && slot->node.asks == NO_ANSWER_ASKS)
        tell (self, GW_CAN_NEWS_NO_ANSWER, n, now);
      break;
    case GW_CAN_NODE_LOST:
      close_slot (self, n);
      if (was_up)
        self->funcs->down (self->owner, n, GW_CAN_DOWN_SILENT);
      break;
    case GW_CAN_NODE_RESET:
    case GW_CAN_NODE_NOTHING:
      break;
    }
}

void
gw_can_bus_tick (GwCanBus *self, int64_t now)
{
  gw_can_load_tick (&self->load, now);
  if (now >= self->listen_until)
    gw_lss_master_tick (&self->lss, now);
  for (unsigned n = gw_can_set_after (&self->active, 0); n != 0; n = gw_can_set_after (&self->active, n))
    {
      GwCanLane *lane = &self->slots[n].lane;
      GwIsotpEvent event;

      if (gw_can_lane_due (lane) == INT64_MAX)
        gw_can_set_remove (&self->active, n);
      if (gw_can_lane_due (lane) > now)
        continue;
      gw_can_set_add (&self->data, n);
      do
        handle (self, n, event = gw_can_lane_tick (lane, now), now);
      while (event != GW_ISOTP_NOTHING);
    }
  for (unsigned n = gw_can_set_after (&self->known, 0); n != 0; n = gw_can_set_after (&self->known, n))
    if (gw_can_node_due (&self->slots[n].node) <= now)
      tick_node (self, n, now);
}

int64_t
gw_can_bus_due (const GwCanBus *self, int64_t now)
{
  int64_t due = gw_can_load_due (&self->load);
  int64_t lss = gw_lss_master_due (&self->lss);

  due = gw_time_min (due, lss > self->listen_until ? lss : self->listen_until);
  due = gw_time_min (due, gw_can_turn_due (&self->turn, &self->lss, now));
  if (self->flow_waits)
    due = gw_time_min (due, now + FLOW_RETRY_USEC);
  for (unsigned n = gw_can_set_after (&self->active, 0); n != 0; n = gw_can_set_after (&self->active, n))
    due = gw_time_min (due, gw_can_lane_due (&self->slots[n].lane));
  for (unsigned n = gw_can_set_after (&self->known, 0); n != 0; n = gw_can_set_after (&self->known, n))
    due = gw_time_min (due, gw_can_node_due (&self->slots[n].node));
  return due;
}

/* ---- The owner ---- */

void
gw_can_bus_set_ahead (GwCanBus *self, int64_t usec)
{
  gw_can_turn_set_ahead (&self->turn, usec);
}

void
gw_can_bus_kick (GwCanBus *self, unsigned number)
{
  gw_can_set_add (&self->data, number);
}

void
gw_can_bus_scan (GwCanBus *self, int64_t now)
{
  gw_lss_master_scan (&self->lss, now);
  for (unsigned n = gw_can_set_after (&self->known, 0); n != 0; n = gw_can_set_after (&self->known, n))
    if (self->slots[n].node.state == GW_CAN_NODE_FOUND)
      gw_can_node_ask_now (&self->slots[n].node, now);
}

void
gw_can_bus_end (GwCanBus *self)
{
  for (unsigned n = gw_can_set_after (&self->known, 0); n != 0; n = gw_can_set_after (&self->known, n))
    {
      bool was_up = self->slots[n].node.state == GW_CAN_NODE_UP;

      gw_can_node_free (&self->slots[n].node);
      close_slot (self, n);
      if (was_up)
        self->funcs->down (self->owner, n, GW_CAN_DOWN_GONE);
    }
}

void
gw_can_bus_set_link (GwCanBus *self, uint32_t bit_rate, uint32_t data_rate, bool fd)
{
  self->fd = fd;
  gw_can_load_set_rates (&self->load, bit_rate, data_rate, fd);
}

const GwCanLoad *
gw_can_bus_get_load (const GwCanBus *self)
{
  return &self->load;
}

void
gw_can_bus_get_counters (const GwCanBus *self, GwCanBusCounters *out)
{
  *out = self->counters;
}

uint64_t
gw_can_bus_get_retries (const GwCanBus *self, unsigned number)
{
  return gw_can_lane_get_retries (&self->slots[number].lane);
}

bool
gw_can_bus_is_up (const GwCanBus *self, unsigned number)
{
  return number < GW_CAN_NODES && self->slots[number].node.state == GW_CAN_NODE_UP;
}

unsigned
gw_can_bus_count_up (const GwCanBus *self)
{
  unsigned count = 0;

  for (unsigned n = gw_can_set_after (&self->known, 0); n != 0; n = gw_can_set_after (&self->known, n))
    count += self->slots[n].node.state == GW_CAN_NODE_UP;
  return count;
}

GwCanBus *
gw_can_bus_new (const GwCanBusConfig *config, const GwCanBusFuncs *funcs, void *owner, int64_t now)
{
  GwCanBus *self = calloc (1, sizeof *self);

  if (self == NULL)
    abort (); /* as GLib does: there is nothing without it */
  self->funcs = funcs;
  self->owner = owner;
  self->listen_until = now + GW_CAN_LISTEN_MS * GW_TIME_MS;
  gw_can_load_init (&self->load, now);
  gw_lss_master_init (&self->lss, config->vendor, &lss_funcs, self, now);
  for (unsigned n = 1; n < GW_CAN_NODES; n++)
    {
      gw_can_node_init (&self->slots[n].node, config->nonce);
      gw_can_lane_init (&self->slots[n].lane, (uint8_t) n);
    }
  return self;
}

void
gw_can_bus_free (GwCanBus *self)
{
  free (self);
}
