/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "can-rig.h"

#include <string.h>

#include "gw-test-hello.h"

/* ---- The owner ---- */

static bool
on_up (void *owner, unsigned number, const GwLinkHello *hello, GwBytes body, uint32_t rtt_ms)
{
  CanRig *rig = owner;

  g_assert_cmpuint (rtt_ms, >, 0);
  g_assert_cmpuint (body.len, >, 0);
  if (!rig->refuse)
    rig->ups[number]++;
  return !rig->refuse;
}

static void
on_down (void *owner, unsigned number, GwCanDown why)
{
  CanRig *rig = owner;

  rig->downs[number]++;
  rig->why = why;
}

static void
on_datagram (void *owner, unsigned number, GwBytes datagram)
{
  CanRig *rig = owner;

  g_assert_cmpuint (datagram.ptr[0], ==, 0x17);
  rig->received++;
  rig->received_of[number]++;
  rig->received_octets += datagram.len;
  rig->last_len = (guint) datagram.len;
}

/* One whole DTLS record of @len octets in all. */
void
can_rig_make_record (guint8 *out, gsize len, guint8 fill)
{
  memset (out, fill, len);
  memcpy (out, "\x17\xfe\xfd", 3);
  out[CAN_RIG_RECORD_HEADER - 2] = (guint8) ((len - CAN_RIG_RECORD_HEADER) >> 8);
  out[CAN_RIG_RECORD_HEADER - 1] = (guint8) (len - CAN_RIG_RECORD_HEADER);
}

static size_t
on_next (void *owner, unsigned number, uint8_t *out)
{
  CanRig *rig = owner;

  if (rig->feed[number] != 0)
    can_rig_make_record (out, rig->feed[number], (guint8) number);
  return rig->feed[number];
}

static void
on_news (void *owner, GwCanNews what, unsigned number)
{
  ((CanRig *) owner)->news[what]++;
}

static void
on_trouble (void *owner, GwLssTrouble kind, const uint8_t *uid)
{
}

static const GwCanBusFuncs funcs = {
  .up = on_up,
  .down = on_down,
  .datagram = on_datagram,
  .next = on_next,
  .news = on_news,
  .trouble = on_trouble,
};

/* ---- Nodes ---- */

gint64
can_rig_now (CanRig *rig)
{
  return rig->now_nsec / 1000;
}

void
can_rig_power_on (CanRig *rig, CanRigNode *node)
{
  guint32 identity[GW_LSS_N_SUBS];

  gw_lss_identity (0, node->kid, identity);
  gw_lss_slave_init (&node->slave, identity);
  node->plugged = TRUE;
  node->number = 0;
  node->has_lss = node->has_other = FALSE;
}

CanRigNode *
can_rig_add_node (CanRig *rig)
{
  CanRigNode *node = &rig->nodes[rig->n_nodes++];
  GRand *rand = g_rand_new_with_seed (rig->n_nodes);

  g_assert_cmpuint (rig->n_nodes, <=, CAN_RIG_NODES_MAX);
  for (guint i = 0; i < sizeof node->kid; i++)
    node->kid[i] = (guint8) g_rand_int_range (rand, 0, 256);
  g_rand_free (rand);
  can_rig_power_on (rig, node);
  return node;
}

void
can_rig_start_isotp (CanRigNode *node, guint8 number)
{
  GwIsotpConfig config;

  gw_isotp_config_default (
      &config, gw_can_isotp_id (GW_CAN_GATEWAY_ADDRESS, number), gw_can_isotp_id (number, GW_CAN_GATEWAY_ADDRESS));
  gw_isotp_init (&node->isotp, &config, node->rx, sizeof node->rx);
  node->number = number;
}

static void
answer_hello (CanRig *rig, CanRigNode *node, GwBytes datagram)
{
  guint8 kid[GW_KEY_ID_LEN];
  GwLinkHello hello;
  gsize len;

  if (gw_isotp_is_sending (&node->isotp))
    return;
  memcpy (kid, node->kid, sizeof kid);
  kid[0] ^= node->renamed ? 0xff : 0;
  gw_test_hello_init (&hello, kid, 1024);
  len = gw_test_hello_answer (&hello, datagram, node->tx, sizeof node->tx);
  g_assert_cmpuint (len, >, 0);
  gw_isotp_send (&node->isotp, (GwBytes){ node->tx, len }, can_rig_now (rig));
  node->late_until = can_rig_now (rig) + node->late_usec;
}

static void
handle (CanRig *rig, CanRigNode *node, GwIsotpEvent event)
{
  GwBytes message;

  if (event != GW_ISOTP_RECEIVED)
    return;
  message = gw_isotp_message (&node->isotp);
  if (message.ptr[0] == 0x17)
    {
      node->got++;
      node->got_octets += message.len;
    }
  else
    answer_hello (rig, node, message);
}

static void
node_takes (CanRig *rig, CanRigNode *node, const GwCanFrame *frame)
{
  bool answers = false;
  GwLssSlaveEvent event;

  if (node->foreign)
    return;
  event = gw_lss_slave_take (&node->slave, frame, can_rig_now (rig), &node->lss, &answers);
  node->has_lss = node->has_lss || answers;
  if (event == GW_LSS_SLAVE_NUMBERED)
    can_rig_start_isotp (node, node->slave.node_id);
  if (event == GW_LSS_SLAVE_RESET)
    {
      node->resets++;
      node->number = 0;
      node->has_other = FALSE;
    }
  if (node->number == 0 || frame->id != node->isotp.config.rx_id || !frame->extended)
    return;
  node->flows += frame->data[0] >> 4 == 3;
  if (!node->stalls)
    handle (rig, node, gw_isotp_take (&node->isotp, frame, can_rig_now (rig)));
}

static void
babble (CanRig *rig, CanRigNode *node)
{
  GwCanFrame *frame = &node->other;

  if (node->babble == BABBLE_NONE || node->has_other || can_rig_now (rig) < node->babble_at || node->number == 0)
    return;
  *frame = (GwCanFrame){ .id = node->isotp.config.tx_id, .extended = true, .len = 8 };
  memset (frame->data, 0x1c, sizeof frame->data);
  switch (node->babble)
    {
    case BABBLE_FIRST:
      frame->data[0] = 0x10; /* 100 octets */
      frame->data[1] = 100;
      break;
    case BABBLE_RECORDS:
      /* 0x14 0x17: a record of 13 + 1 octets in a first and two consecutive frames. */
      {
        guint8 record[CAN_RIG_RECORD_HEADER + 1];

        can_rig_make_record (record, sizeof record, 0);
        frame->data[0] = node->babble_step == 0 ? 0x10 : 0x20 | node->babble_step;
        if (node->babble_step == 0)
          {
            frame->data[1] = sizeof record;
            memcpy (frame->data + 2, record, 6);
          }
        else
          memcpy (frame->data + 1, record + 6 + 7 * (node->babble_step - 1), node->babble_step == 1 ? 7 : 1);
        node->babble_step = (node->babble_step + 1) % 3;
      }
      break;
    case BABBLE_FOREIGN:
    case BABBLE_NONE:
      frame->id = CAN_RIG_BABBLERS_ID;
      frame->extended = false;
      break;
    }
  node->has_other = TRUE;
  /* Time that it could not send is made up for. */
  node->babble_at = MAX (node->babble_at, can_rig_now (rig) - SEC)
                    + (gint64) (gw_can_frame_nsec (frame, rig->rate, rig->rate) / node->babble_permille);
  /* Only what comes after flow control is taken. */
  if (node->babble == BABBLE_RECORDS && node->babble_step == 1)
    node->babble_at = MAX (node->babble_at, can_rig_now (rig) + MS / 2);
}

/* What a node has for the bus; NULL: nothing. */
static const GwCanFrame *
node_frame (CanRig *rig, CanRigNode *node)
{
  gint64 now = can_rig_now (rig);

  if (node->foreign)
    {
      if (!node->has_other && now >= node->beat_at)
        {
          gw_heartbeat_encode (node->number, GW_HEARTBEAT_OPERATIONAL, &node->other);
          node->has_other = TRUE;
          node->beat_at = now + node->beat_every;
        }
      return node->has_other ? &node->other : NULL;
    }
  if (!node->has_lss && gw_lss_slave_due (&node->slave) <= now)
    node->has_lss = gw_lss_slave_tick (&node->slave, now, &node->lss);
  babble (rig, node);
  if (node->number != 0 && gw_isotp_due (&node->isotp) <= now)
    handle (rig, node, gw_isotp_tick (&node->isotp, now));
  if (node->has_lss)
    return &node->lss;
  if (!node->has_other && node->number != 0 && !node->stalls && now >= node->late_until)
    node->has_other = gw_isotp_pull (&node->isotp, now, &node->other);
  return node->has_other ? &node->other : NULL;
}

static void
node_sent (CanRig *rig, CanRigNode *node, const GwCanFrame *frame)
{
  if (frame == &node->lss)
    node->has_lss = FALSE;
  else
    {
      node->has_other = FALSE;
      if (!node->foreign && node->babble == BABBLE_NONE && node->number != 0)
        gw_isotp_confirm (&node->isotp, can_rig_now (rig));
    }
}

/* ---- The bus ---- */

static gint64
next_due (CanRig *rig)
{
  gint64 due = gw_can_bus_due (rig->bus, can_rig_now (rig));

  for (guint i = 0; i < rig->n_nodes; i++)
    {
      CanRigNode *node = &rig->nodes[i];

      if (!node->plugged)
        continue;
      if (node->foreign)
        due = MIN (due, node->beat_at);
      else
        due = MIN (due, gw_lss_slave_due (&node->slave));
      if (!node->foreign && node->number != 0)
        due = MIN (due, gw_isotp_due (&node->isotp));
      if (node->late_until > can_rig_now (rig))
        due = MIN (due, node->late_until);
      if (node->babble != BABBLE_NONE && node->number != 0)
        due = MIN (due, node->babble_at);
    }
  return due;
}

/* The frame that wins, and whose it is: -1 the gateway's. */
static const GwCanFrame *
arbitrate (CanRig *rig, int *winner)
{
  const GwCanFrame *best = NULL;

  gw_can_bus_tick (rig->bus, can_rig_now (rig));
  if (!rig->pending)
    rig->pending = gw_can_bus_pull (rig->bus, &rig->frame, &rig->tag, can_rig_now (rig));
  if (rig->pending)
    best = &rig->frame;
  *winner = -1;
  for (guint i = 0; i < rig->n_nodes; i++)
    {
      const GwCanFrame *frame = rig->nodes[i].plugged ? node_frame (rig, &rig->nodes[i]) : NULL;

      if (frame == NULL || (best != NULL && !gw_can_frame_wins (frame, best)))
        continue;
      best = frame;
      *winner = (int) i;
    }
  return best;
}

/* Equal frames that begin together are one on the bus, and all who send it believe it is theirs. */
static gboolean
has_sent_too (CanRig *rig, CanRigNode *node, const GwCanFrame *frame)
{
  if (node->has_lss && memcmp (&node->lss, frame, sizeof *frame) == 0)
    node_sent (rig, node, &node->lss);
  else if (node->has_other && memcmp (&node->other, frame, sizeof *frame) == 0)
    node_sent (rig, node, &node->other);
  else
    return FALSE;
  return TRUE;
}

static void
deliver (CanRig *rig, const GwCanFrame *frame, int winner)
{
  const GwCanFrame copy = *frame;

  rig->frames++;
  for (guint i = 0; i < rig->n_nodes; i++)
    if (rig->nodes[i].plugged && (int) i != winner && !has_sent_too (rig, &rig->nodes[i], &copy))
      node_takes (rig, &rig->nodes[i], &copy);
  if (winner >= 0)
    {
      node_sent (rig, &rig->nodes[winner], frame);
      gw_can_bus_take (rig->bus, &copy, can_rig_now (rig));
      return;
    }
  rig->pending = FALSE;
  rig->nmt += copy.id == GW_NMT_ID;
  rig->lss_requests += copy.id == GW_LSS_ID_MASTER;
  gw_can_bus_sent (rig->bus, rig->tag, &copy, can_rig_now (rig));
}

/* Lets the bus run for so long. */
void
can_rig_run (CanRig *rig, gint64 usec)
{
  gint64 end = rig->now_nsec + usec * 1000;

  while (rig->now_nsec < end)
    {
      int winner;
      const GwCanFrame *frame = arbitrate (rig, &winner);

      if (frame != NULL)
        {
          guint64 nsec = gw_can_frame_nsec (frame, rig->rate, rig->rate);

          rig->now_nsec += nsec;
          rig->busy_nsec += nsec;
          deliver (rig, frame, winner);
        }
      else
        {
          gint64 due = next_due (rig);

          g_assert_cmpint (due, >, can_rig_now (rig) - 1);
          rig->now_nsec = MIN (end, MAX (due, can_rig_now (rig) + 1) * 1000);
        }
    }
}

void
can_rig_start_bus (CanRig *rig)
{
  const GwCanBusConfig config = { .nonce = { 1, 2, 3, 4, 5, 6, 7 } };

  rig->bus = gw_can_bus_new (&config, &funcs, rig, can_rig_now (rig));
  gw_can_bus_set_link (rig->bus, rig->rate, 0, false);
}

void
can_rig_setup (CanRig *rig, gconstpointer data)
{
  rig->rate = CAN_RIG_RATE;
  rig->now_nsec = 1000 * SEC * 1000;
  can_rig_start_bus (rig);
}

void
can_rig_teardown (CanRig *rig, gconstpointer data)
{
  gw_can_bus_free (rig->bus);
}

void
can_rig_run_until_up (CanRig *rig, guint n, gint64 at_most)
{
  gint64 end = can_rig_now (rig) + at_most;

  while (gw_can_bus_count_up (rig->bus) < n && can_rig_now (rig) < end)
    can_rig_run (rig, 10 * MS);
  g_assert_cmpuint (gw_can_bus_count_up (rig->bus), ==, n);
}

guint
can_rig_add_nodes_up (CanRig *rig, guint n)
{
  for (guint i = 0; i < n; i++)
    can_rig_add_node (rig);
  can_rig_run_until_up (rig, rig->n_nodes, 20 * SEC);
  return n;
}
