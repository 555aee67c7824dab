/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "multidrop-rig.h"

#include <string.h>

#include "gw-test-hello.h"

#define PORTION 16 /* octets that a UART hands over at once */

/* ---- The master's owner ---- */

static void
on_send (void *owner, const GwFrame *frame)
{
  MultidropRig *rig = owner;

  g_assert_cmpint (rig->sent_ends, ==, 0); /* one at a time */
  g_assert_cmpint (gw_frame_encode (frame, rig->sent, sizeof rig->sent, &rig->sent_len), ==, GW_OK);
  rig->sent_ends = rig->now + (gint64) rig->sent_len * rig->octet / 1000;
  rig->exchanges++;
  gw_multidrop_sent (&rig->master, rig->sent_len, rig->now);
}

static GwBytes
on_next (void *owner, uint8_t address)
{
  static const guint8 datagram[2048] = { 0x17 };
  MultidropRig *rig = owner;

  if (rig->to_send[address] == 0)
    return (GwBytes){ 0 };
  rig->to_send[address]--;
  return (GwBytes){ datagram, rig->to_send_len };
}

static bool
on_up (void *owner, uint8_t address, const GwLinkHello *hello, GwBytes body, uint32_t rtt_ms)
{
  MultidropRig *rig = owner;

  g_assert_cmpuint (body.len, >, 0);
  if (rig->full)
    return false;
  g_assert_cmpuint (rig->up_at[address], ==, 0);
  rig->up_at[address] = 1;
  rig->ups++;
  return true;
}

static void
on_down (void *owner, uint8_t address, GwSerialDown why)
{
  MultidropRig *rig = owner;

  g_assert_cmpuint (rig->up_at[address], ==, 1);
  rig->up_at[address] = 0;
  rig->downs++;
  rig->why = why;
}

static void
on_datagram (void *owner, uint8_t address, GwBytes datagram)
{
  MultidropRig *rig = owner;

  g_assert_cmpuint (rig->up_at[address], ==, 1);
  rig->datagrams++;
}

static void
on_trouble (void *owner, GwMultidropTrouble trouble, uint8_t address)
{
  MultidropRig *rig = owner;

  rig->troubles[trouble]++;
  rig->trouble_address[trouble] = address;
}

static void
on_measured (void *owner, const GwSerialFigures *link)
{
  MultidropRig *rig = owner;

  rig->link = *link;
  rig->windows++;
}

static const GwMultidropFuncs funcs = {
  .send = on_send,
  .next = on_next,
  .up = on_up,
  .down = on_down,
  .datagram = on_datagram,
  .trouble = on_trouble,
  .measured = on_measured,
};

/* ---- Stations ---- */

static bool
station_in_session (void *owner)
{
  return ((MultidropRigNode *) owner)->in_session;
}

static void
station_hello (void *owner, GwLinkHello *out)
{
  MultidropRigNode *node = owner;

  gw_test_hello_init (out, node->kid, MULTIDROP_RIG_MTU);
}

static void
station_link (void *owner, bool up)
{
}

/* Answers hello, as a GwEp does; all else is counted. */
static void
station_datagram (void *owner, GwBytes datagram)
{
  MultidropRigNode *node = owner;
  guint8 answer[MULTIDROP_RIG_MTU];
  GwLinkHello hello;
  gsize len;

  node->got++;
  station_hello (node, &hello);
  if (node->hello_lies)
    hello.uid[0] = ++hello.kid[0];
  len = gw_test_hello_answer (&hello, datagram, answer, sizeof answer);
  if (len > 0)
    gw_station_send (&node->station, answer, len);
}

static const GwStationFuncs station_funcs = { .in_session = station_in_session,
                                              .hello = station_hello,
                                              .link = station_link,
                                              .datagram = station_datagram };

void
multidrop_rig_power_up (MultidropRigNode *node)
{
  gw_station_init (&node->station, &station_funcs, node, node->kid, MULTIDROP_RIG_MTU);
  node->off = node->in_session = FALSE;
  node->len = 0;
}

MultidropRigNode *
multidrop_rig_add_node (MultidropRig *rig)
{
  MultidropRigNode *node = g_new0 (MultidropRigNode, 1);

  node->rig = rig;
  for (guint i = 0; i < sizeof node->kid; i++)
    node->kid[i] = g_rand_int_range (rig->rand, 0, 256);
  node->delay = MS + g_rand_int_range (rig->rand, 0, 1000);
  multidrop_rig_power_up (node);
  g_ptr_array_add (rig->nodes, node);
  return node;
}

void
multidrop_rig_add_nodes (MultidropRig *rig, guint n)
{
  for (guint i = 0; i < n; i++)
    multidrop_rig_add_node (rig);
}

MultidropRigNode *
multidrop_rig_node_at (MultidropRig *rig, guint i)
{
  return g_ptr_array_index (rig->nodes, i);
}

/* ---- The wire ---- */

static gboolean
is_lost (MultidropRig *rig)
{
  return rig->loss > 0 && (guint) g_rand_int_range (rig->rand, 0, 1000) < rig->loss;
}

static void
note_poll (MultidropRigNode *node, const GwFrame *frame)
{
  if (frame->address != node->station.address)
    return;
  if (node->polled_at != 0)
    node->longest = MAX (node->longest, node->rig->now - node->polled_at);
  node->polled_at = node->rig->now;
  node->polls++;
}

/* What it says, without P/F. */
static void
clear_final (MultidropRigNode *node)
{
  guint8 buf[MULTIDROP_RIG_MTU + GW_FRAME_OVERHEAD];
  GwFrameDecoder d;
  GwFrame frame;
  gsize used;

  gw_frame_decoder_init (&d, buf, sizeof buf);
  g_assert_cmpint (gw_frame_decoder_feed (&d, node->out, node->len, &used, &frame), ==, GW_FRAME_EVENT_FRAME);
  frame.poll = false;
  g_assert_cmpint (gw_frame_encode (&frame, node->out, sizeof node->out, &node->len), ==, GW_OK);
}

static void
hear (MultidropRigNode *node, const GwFrame *frame)
{
  static const guint8 noise[MULTIDROP_RIG_MTU] = { 0x17 };

  node->len = 0;
  if (node->off || is_lost (node->rig))
    return;
  gw_station_tick (&node->station, node->rig->now);
  if (node->deaf_to_mute)
    node->station.muted = FALSE;
  if (node->flood && frame->address == node->station.address)
    gw_station_send (&node->station, noise, sizeof noise);
  gw_station_take (&node->station, frame, node->rig->now, node->out, sizeof node->out, &node->len);
  note_poll (node, frame);
  if (node->answers_all && node->len == 0)
    {
      GwFrame any = { .address = frame->address, .poll = true, .info = { noise, 40 } };

      gw_frame_encode (&any, node->out, sizeof node->out, &node->len);
    }
  if (node->no_final && node->len > 0)
    clear_final (node);
  node->told = 0;
  node->begins = node->rig->now + node->delay;
  node->ends = node->begins + (gint64) node->len * node->rig->octet / 1000;
}

/* The master's frame has left: to its echo, and to everybody. */
static void
deliver_sent (MultidropRig *rig)
{
  GwFrameDecoder d;
  GwFrame frame;
  gsize used;

  rig->sent_ends = 0;
  gw_frame_decoder_init (&d, rig->buf, sizeof rig->buf);
  g_assert_cmpint (
      gw_frame_decoder_feed (&d, rig->sent, rig->sent_len, &used, &frame), ==, GW_FRAME_EVENT_FRAME);
  if (rig->echo)
    {
      gw_multidrop_heard (&rig->master, rig->sent_len, rig->now);
      gw_multidrop_take (&rig->master, &frame, rig->now);
    }
  for (guint i = 0; i < rig->nodes->len; i++)
    hear (multidrop_rig_node_at (rig, i), &frame);
}

static gboolean
overlaps (MultidropRig *rig, MultidropRigNode *node)
{
  for (guint i = 0; i < rig->nodes->len; i++)
    {
      MultidropRigNode *other = multidrop_rig_node_at (rig, i);

      if (other != node && other->len > 0 && other->begins < node->ends && node->begins < other->ends)
        return TRUE;
    }
  return FALSE;
}

/* Its answer is at the master, whole or in pieces. */
static void
deliver_answer (MultidropRig *rig, MultidropRigNode *node)
{
  gboolean damaged = overlaps (rig, node) || rig->sent_ends != 0;
  GwFrameDecoder d;
  GwFrame frame;
  gsize used;

  gw_multidrop_heard (&rig->master, node->len - node->told, rig->now);
  rig->garbage += damaged;
  gw_frame_decoder_init (&d, rig->buf, sizeof rig->buf);
  if (!damaged && !is_lost (rig)
      && gw_frame_decoder_feed (&d, node->out, node->len, &used, &frame) == GW_FRAME_EVENT_FRAME)
    gw_multidrop_take (&rig->master, &frame, rig->now);
  /* What overlapped it stays damaged: it is remembered until the whole lot is over. */
  if (!damaged)
    node->len = 0;
  else
    node->ends = G_MAXINT64 / 2 + node->ends;
}

static void
clear_collision (MultidropRig *rig)
{
  for (guint i = 0; i < rig->nodes->len; i++)
    {
      MultidropRigNode *node = multidrop_rig_node_at (rig, i);

      if (node->len > 0 && node->ends < G_MAXINT64 / 2)
        return;
    }
  for (guint i = 0; i < rig->nodes->len; i++)
    multidrop_rig_node_at (rig, i)->len = 0;
}

/* When the next octets of its answer are handed over. */
static gint64
next_portion (MultidropRigNode *node)
{
  return MIN (node->ends, node->begins + (gint64) (node->told + PORTION) * node->rig->octet / 1000);
}

static MultidropRigNode *
next_answer (MultidropRig *rig)
{
  MultidropRigNode *next = NULL;

  for (guint i = 0; i < rig->nodes->len; i++)
    {
      MultidropRigNode *node = multidrop_rig_node_at (rig, i);

      if (node->len > 0 && node->ends < G_MAXINT64 / 2 && (next == NULL || next_portion (node) < next_portion (next)))
        next = node;
    }
  return next;
}

/* Moves the time from event to event until @usec have passed. */
void
multidrop_rig_pass (MultidropRig *rig, gint64 usec)
{
  gint64 end = rig->now + usec;

  for (;;)
    {
      MultidropRigNode *node = next_answer (rig);
      gint64 at = MIN (rig->due, node != NULL ? next_portion (node) : G_MAXINT64);

      if (rig->sent_ends != 0)
        at = MIN (at, rig->sent_ends);
      if (at > end)
        break;
      g_assert_cmpint (at, >=, rig->now);
      rig->now = at;
      if (rig->sent_ends != 0 && at == rig->sent_ends)
        deliver_sent (rig);
      else if (node != NULL && at == node->ends)
        {
          deliver_answer (rig, node);
          clear_collision (rig);
        }
      else if (node != NULL && at == next_portion (node))
        {
          gw_multidrop_heard (&rig->master, PORTION, rig->now);
          node->told += PORTION;
        }
      rig->due = gw_multidrop_tick (&rig->master, rig->now);
      g_assert_cmpint (rig->due, >, rig->now);
    }
  rig->now = end;
}

/* Passes time until @n are up; at most so long. Returns how long it took. */
gint64
multidrop_rig_until_up (MultidropRig *rig, guint n, gint64 most)
{
  gint64 began = rig->now;

  while (rig->ups - rig->downs < n && rig->now - began < most)
    multidrop_rig_pass (rig, 10 * MS);
  g_assert_cmpuint (rig->ups - rig->downs, ==, n);
  return rig->now - began;
}

static void
start_master (MultidropRig *rig, const guint8 nonce[GW_HELLO_NONCE_LEN])
{
  gw_multidrop_init (&rig->master, &funcs, rig, MULTIDROP_RIG_SPEED, 2048, nonce, rig->now);
  rig->due = rig->now;
}

void
multidrop_rig_setup (MultidropRig *rig, gconstpointer data)
{
  rig->rand = g_rand_new_with_seed (485);
  rig->nodes = g_ptr_array_new_with_free_func (g_free);
  rig->now = 1000 * SECOND;
  rig->octet = 10 * G_GINT64_CONSTANT (1000000000) / MULTIDROP_RIG_SPEED;
  rig->to_send_len = 300;
  start_master (rig, (const guint8 *) "\1\2\3\4\5\6\7");
}

void
multidrop_rig_restart_master (MultidropRig *rig)
{
  memset (rig->up_at, 0, sizeof rig->up_at);
  rig->ups = 0;
  rig->sent_ends = 0;
  start_master (rig, (const guint8 *) "\7\6\5\4\3\2\1");
}

void
multidrop_rig_teardown (MultidropRig *rig, gconstpointer data)
{
  g_ptr_array_unref (rig->nodes);
  g_rand_free (rig->rand);
}

/* The agent has datagrams for everybody, or the one at @address. */
void
multidrop_rig_push (MultidropRig *rig, guint address, guint n)
{
  rig->to_send[address] += n;
  gw_multidrop_kick (&rig->master, address, rig->now);
  rig->due = gw_multidrop_tick (&rig->master, rig->now);
}
