/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "lss-rig.h"

#include <string.h>

/* ---- The owner ---- */

static guint64
uid_of (const guint8 *octets)
{
  guint64 uid = 0;

  for (guint i = 0; i < GW_UID_LEN; i++)
    uid = uid << 8 | octets[i];
  return uid;
}

static guint8
number_of (const LssRig *rig, guint64 uid)
{
  for (guint n = 1; n <= GW_LSS_NODE_MAX; n++)
    if (rig->used[n] && rig->uid_of[n] == uid)
      return (guint8)n;
  return 0;
}

static guint8
on_number (void *owner, const guint8 *octets, gint64 now)
{
  LssRig *rig = owner;
  guint8 n = number_of (rig, uid_of (octets));

  for (guint i = 0; n == 0 && i < GW_LSS_NODE_MAX; i++)
    {
      rig->next_number = (guint8)(rig->next_number % GW_LSS_NODE_MAX + 1);
      if (!rig->used[rig->next_number])
        n = rig->next_number;
    }
  return n;
}

static void
on_numbered (void *owner, guint8 node_id, const guint8 *octets, gint64 now)
{
  LssRig *rig = owner;

  rig->used[node_id] = TRUE;
  rig->uid_of[node_id] = uid_of (octets);
  rig->n_numbered++;
}

static void
on_trouble (void *owner, GwLssTrouble kind, const guint8 *octets, gint64 now)
{
  LssRig *rig = owner;

  rig->troubles[kind]++;
  if (kind == GW_LSS_TROUBLE_NOT_TAKEN)
    rig->used[number_of (rig, uid_of (octets))] = FALSE;
}

static const GwLssMasterFuncs funcs = { on_number, on_numbered, on_trouble };

LssRig *
lss_rig_new (guint32 seed)
{
  LssRig *rig = g_new0 (LssRig, 1);

  rig->rand = g_rand_new_with_seed (seed);
  rig->now = LSS_RIG_START_TIME;
  rig->busy_at = LSS_RIG_START_TIME;
  gw_lss_master_init (&rig->master, LSS_RIG_VENDOR, &funcs, rig, rig->now);
  return rig;
}

void
lss_rig_free (LssRig *rig)
{
  g_rand_free (rig->rand);
  g_free (rig);
}

void
lss_rig_set_uid (LssRigNode *node, guint64 uid)
{
  guint8 octets[GW_UID_LEN];
  guint32 identity[GW_LSS_N_SUBS];

  node->uid = uid;
  gw_put_u64be (octets, uid);
  gw_lss_identity (node->kind == FOREIGN ? LSS_RIG_VENDOR + 1 : LSS_RIG_VENDOR, octets, identity);
  gw_lss_slave_init (&node->slave, identity);
}

LssRigNode *
lss_rig_plug_in (LssRig *rig, guint64 uid, LssRigKind kind)
{
  LssRigNode *node = &rig->nodes[rig->n_nodes++];

  g_assert_cmpuint (rig->n_nodes, <=, LSS_RIG_NODES_MAX);
  *node = (LssRigNode){ .kind = kind, .plugged_at = rig->now, .delay_min = 100, .delay_max = 300 };
  lss_rig_set_uid (node, uid);
  return node;
}

void
lss_rig_add_population (LssRig *rig, guint n, guint set)
{
  for (guint i = 0; i < n; i++)
    switch (set)
      {
      case 0:
        lss_rig_plug_in (rig, UID (i + 1), HONEST);
        break;
      case 1: /* differ in the last bits only, all zero among them */
        lss_rig_plug_in (rig, i, HONEST);
        break;
      case 2: /* all ones, and its neighbours */
        lss_rig_plug_in (rig, ~(guint64)i, HONEST);
        break;
      default: /* differ in the first bits only */
        lss_rig_plug_in (rig, (guint64)i << 57, HONEST);
        break;
      }
}

/* ---- The bus ---- */

static void
queue (LssRig *rig, const GwCanFrame *frame, int from, gint64 ready_at)
{
  if (rig->n_queue == LSS_RIG_QUEUE_MAX)
    return;
  rig->queue[rig->n_queue++] = (LssRigTransmission){ ready_at, from, *frame };
}

static void
answer (LssRig *rig, guint i, const GwCanFrame *frame)
{
  const LssRigNode *node = &rig->nodes[i];
  gint64 delay = rig->merges
                     ? node->delay_min
                     : g_rand_int_range (rig->rand, (gint32)node->delay_min, (gint32)node->delay_max + 1);

  queue (rig, frame, (int)i, rig->now + delay);
}

static void
deliver_to_node (LssRig *rig, guint i, const GwCanFrame *frame)
{
  static const GwLssMessage yes = { .command = GW_LSS_IDENTIFY_SLAVE, .answer = true };
  LssRigNode *node = &rig->nodes[i];
  gboolean configure = frame->id == GW_LSS_ID_MASTER && frame->data[0] == GW_LSS_CONFIGURE_NODE_ID;
  gboolean fastscan = frame->id == GW_LSS_ID_MASTER && frame->data[0] == GW_LSS_FASTSCAN;
  GwLssSlaveEvent event;
  GwCanFrame out;
  bool answers;

  if (node->kind == CHANGES && fastscan && frame->data[5] == GW_LSS_BIT_CHECK_START)
    lss_rig_set_uid (node, ((guint64)g_rand_int (rig->rand) << 32) | g_rand_int (rig->rand));
  if (configure && node->kind == NO_CONFIGURE)
    return;
  if (node->kind == DEAF && node->slave.pending != GW_LSS_NODE_NONE)
    {
      node->kind = HONEST;
      return;
    }
  event = gw_lss_slave_take (&node->slave, frame, rig->now, &out, &answers);
  if (event == GW_LSS_SLAVE_NUMBERED)
    node->numbered_at = rig->now;
  switch (node->kind)
    {
    case ANSWERS_ALL:
      if (frame->id != GW_LSS_ID_MASTER || frame->data[0] == GW_LSS_SWITCH_GLOBAL)
        return;
      gw_lss_encode (&yes, &out);
      out.data[0] = fastscan ? GW_LSS_IDENTIFY_SLAVE : frame->data[0];
      answers = true;
      break;
    case REFUSES:
      if (answers && configure)
        out.data[1] = GW_LSS_ERROR_SPECIFIC;
      node->slave.pending = GW_LSS_NODE_NONE;
      break;
    case NEVER_TAKES:
    case CHANGES:
      if (event == GW_LSS_SLAVE_NUMBERED)
        lss_rig_set_uid (node, node->uid);
      break;
    case WHIMSICAL:
      if (!fastscan || node->slave.node_id != GW_LSS_NODE_NONE)
        break;
      gw_lss_encode (&yes, &out);
      answers = g_rand_boolean (rig->rand);
      break;
    default:
      break;
    }
  if (answers)
    answer (rig, i, &out);
}

static gboolean
is_lost (LssRig *rig)
{
  return rig->loss > 0 && g_rand_double (rig->rand) < rig->loss;
}

static gboolean
is_stalled (const LssRig *rig)
{
  return rig->stall_period > 0 && rig->now % rig->stall_period < rig->stall;
}

static void
deliver_to_master (LssRig *rig, const LssRigTransmission *t)
{
  if (t->from < 0)
    gw_lss_master_confirm (&rig->master, rig->now);
  else
    gw_lss_master_take (&rig->master, &t->frame, rig->now);
}

/* The end of a frame. */
static void
deliver (LssRig *rig, const LssRigTransmission *t)
{
  rig->frames++;
  rig->frames_of_master += t->from < 0;
  if (t->from < 0 || !is_lost (rig))
    {
      if (is_stalled (rig) && rig->n_late < LSS_RIG_QUEUE_MAX)
        rig->late[rig->n_late++] = *t;
      else
        deliver_to_master (rig, t);
    }
  for (guint i = 0; i < rig->n_nodes; i++)
    if (t->from < 0 && !is_lost (rig))
      deliver_to_node (rig, i, &t->frame);
}

/* Whose turn it is at rig->now; of equal ids the first. */
static int
arbitrate (const LssRig *rig)
{
  int best = -1;

  for (guint i = 0; i < rig->n_queue; i++)
    if (rig->queue[i].ready_at <= rig->now
        && (best < 0 || rig->queue[i].frame.id < rig->queue[best].frame.id))
      best = (int)i;
  return best;
}

static void
finish_frame (LssRig *rig)
{
  LssRigTransmission t = rig->queue[0];
  guint kept = 0;

  rig->sending = FALSE;
  for (guint i = 1; i < rig->n_queue; i++)
    if (!rig->merges || rig->queue[i].ready_at > rig->busy_until - LSS_RIG_FRAME_USEC
        || memcmp (&rig->queue[i].frame, &t.frame, sizeof t.frame) != 0)
      rig->queue[kept++] = rig->queue[i];
  rig->n_queue = kept;
  deliver (rig, &t);
}

static void
step (LssRig *rig)
{
  GwCanFrame frame;
  int next;

  if (rig->sending && rig->now >= rig->busy_until)
    finish_frame (rig);
  for (guint i = 0; i < rig->n_nodes; i++)
    if (gw_lss_slave_tick (&rig->nodes[i].slave, rig->now, &frame)
        && (rig->nodes[i].kind == HONEST
            || (rig->nodes[i].kind == LATE && rig->now - rig->nodes[i].numbered_at >= 2 * SECOND)))
      queue (rig, &frame, (int)i, rig->now);
  for (guint i = 0; i < rig->n_nodes; i++)
    if (rig->nodes[i].kind == FLOODS && rig->n_queue < LSS_RIG_QUEUE_MAX / 2)
      {
        GwLssMessage yes = { .command = GW_LSS_IDENTIFY_SLAVE, .answer = true };

        gw_lss_encode (&yes, &frame);
        queue (rig, &frame, (int)i, rig->now + LSS_RIG_FRAME_USEC);
      }
  while (rig->busy_period > 0 && rig->now >= rig->busy_at)
    {
      frame = (GwCanFrame){ .id = 0x100, .len = 8 };
      queue (rig, &frame, (int)rig->n_nodes, rig->now);
      rig->busy_at += rig->busy_period;
    }
  for (guint i = 0; i < rig->n_late && !is_stalled (rig); i++)
    deliver_to_master (rig, &rig->late[i]);
  rig->n_late = is_stalled (rig) ? rig->n_late : 0;
  if (!is_stalled (rig) && gw_lss_master_pull (&rig->master, rig->now, &frame))
    queue (rig, &frame, -1, rig->now);
  next = rig->sending || rig->now < rig->busy_until ? -1 : arbitrate (rig);
  if (next >= 0)
    {
      LssRigTransmission t = rig->queue[next];

      rig->queue[next] = rig->queue[0];
      rig->queue[0] = t;
      rig->sending = TRUE;
      rig->busy_until = rig->now + LSS_RIG_FRAME_USEC;
    }
}

static gint64
next_event (const LssRig *rig)
{
  gint64 at = gw_lss_master_due (&rig->master);

  if (is_stalled (rig))
    at = rig->now - rig->now % rig->stall_period + rig->stall;
  if (rig->sending)
    at = MIN (at, rig->busy_until);
  else
    for (guint i = 0; i < rig->n_queue; i++)
      at = MIN (at, rig->queue[i].ready_at);
  for (guint i = 0; i < rig->n_nodes; i++)
    at = MIN (at, gw_lss_slave_due (&rig->nodes[i].slave));
  if (rig->busy_period > 0)
    at = MIN (at, rig->busy_at);
  return MAX (at, rig->now);
}

/* Until every honest node has a number, at most @limit. How long it took. */
gint64
lss_rig_run (LssRig *rig, gint64 limit, gboolean until_all)
{
  gint64 begun = rig->now, last = -1;
  guint same = 0;

  while (rig->now - begun < limit)
    {
      gboolean all = TRUE;

      step (rig);
      for (guint i = 0; i < rig->n_nodes; i++)
        all &= rig->nodes[i].kind != HONEST || rig->nodes[i].slave.node_id != GW_LSS_NODE_NONE;
      if (all && until_all)
        return rig->now - begun;
      same = rig->now == last ? same + 1 : 0;
      g_assert_cmpuint (same, <, 1000); /* no event loop in circles */
      last = rig->now;
      rig->now = next_event (rig);
      if (rig->master.step > GW_LSS_STEP_START)
        rig->searching += rig->now - last;
    }
  return rig->now - begun;
}

void
lss_rig_assert_all_numbered (const LssRig *rig)
{
  gboolean used[256] = { FALSE };

  for (guint i = 0; i < rig->n_nodes; i++)
    {
      guint8 n = rig->nodes[i].slave.node_id;

      if (rig->nodes[i].kind != HONEST)
        continue;
      g_assert_cmpint (n, !=, GW_LSS_NODE_NONE);
      g_assert_false (used[n]);
      used[n] = TRUE;
      g_assert_true (rig->used[n]);
      g_assert_cmphex (rig->uid_of[n], ==, rig->nodes[i].uid);
    }
}

void
lss_rig_assert_no_trouble (const LssRig *rig)
{
  for (guint i = 0; i < G_N_ELEMENTS (rig->troubles); i++)
    g_assert_cmpuint (rig->troubles[i], ==, 0);
}
