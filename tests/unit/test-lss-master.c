/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The LSS master against a simulated bus with arbitration: honest nodes, slow ones, lost frames, liars. All
 * times are the simulation's. */
#include <glib.h>
#include <string.h>

#include "gw-lss-master.h"
#include "gw-lss-slave.h"

#define VENDOR 0x00000B5Au
#define MSEC INT64_C (1000)
#define SECOND INT64_C (1000000)
#define START_TIME (1000 * SECOND)
#define FRAME_USEC 250 /* 125 bits at 500 kbit/s */
#define NODES_MAX 128
#define QUEUE_MAX 1024
#define UID(n) (G_GUINT64_CONSTANT (0x9e3779b97f4a7c15) * (guint64)(n))

typedef enum
{
  HONEST,
  FOREIGN,      /* another vendor's node without a number */
  ANSWERS_ALL,  /* every question, and takes no number */
  NO_CONFIGURE, /* is found, then silent */
  REFUSES,      /* every number */
  NEVER_TAKES,  /* says yes, goes on without */
  CHANGES,      /* another uid for each search */
  WHIMSICAL,    /* answers each question by lot */
  FLOODS,       /* answers all the time */
  LATE,         /* honest, but its first heartbeat takes two seconds */
  DEAF,         /* honest, but misses the first word to start */
  MUTE,         /* takes a number, and sends no heartbeat */
} Kind;

typedef struct
{
  Kind kind;
  GwLssSlave slave;
  guint64 uid;
  gint64 plugged_at, numbered_at;
  gint64 delay_min, delay_max;
} Node;

typedef struct
{
  gint64 ready_at;
  int from; /* -1: the master */
  GwCanFrame frame;
} Transmission;

typedef struct
{
  GwLssMaster master;
  Node nodes[NODES_MAX];
  guint n_nodes;
  Transmission queue[QUEUE_MAX];
  guint n_queue;
  gint64 now, busy_until;
  gboolean sending; /* the first of queue */
  gboolean merges;  /* nodes answer at the same instant, and their equal frames are one */
  double loss;
  gint64 stall_period, stall; /* so often and so long the master's machine has other things to do; 0: never */
  Transmission late[QUEUE_MAX]; /* what came meanwhile */
  guint n_late;
  gint64 busy_period, busy_at; /* a frame of others of higher priority so often; 0: never */
  GRand *rand;
  guint8 next_number;
  guint64 uid_of[GW_LSS_NODE_MAX + 1];
  gboolean used[GW_LSS_NODE_MAX + 1];
  guint n_numbered;
  guint troubles[GW_LSS_TROUBLE_FULL + 1];
  guint frames_of_master, frames;
  gint64 searching; /* so long it was at it, and not only asking whether anybody is there */
} Bus;

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
number_of (const Bus *bus, guint64 uid)
{
  for (guint n = 1; n <= GW_LSS_NODE_MAX; n++)
    if (bus->used[n] && bus->uid_of[n] == uid)
      return (guint8)n;
  return 0;
}

static guint8
on_number (void *owner, const guint8 *octets, gint64 now)
{
  Bus *bus = owner;
  guint8 n = number_of (bus, uid_of (octets));

  for (guint i = 0; n == 0 && i < GW_LSS_NODE_MAX; i++)
    {
      bus->next_number = (guint8)(bus->next_number % GW_LSS_NODE_MAX + 1);
      if (!bus->used[bus->next_number])
        n = bus->next_number;
    }
  return n;
}

static void
on_numbered (void *owner, guint8 node_id, const guint8 *octets, gint64 now)
{
  Bus *bus = owner;

  bus->used[node_id] = TRUE;
  bus->uid_of[node_id] = uid_of (octets);
  bus->n_numbered++;
}

static void
on_trouble (void *owner, GwLssTrouble kind, const guint8 *octets, gint64 now)
{
  Bus *bus = owner;

  bus->troubles[kind]++;
  if (kind == GW_LSS_TROUBLE_NOT_TAKEN)
    bus->used[number_of (bus, uid_of (octets))] = FALSE;
}

static const GwLssMasterFuncs funcs = { on_number, on_numbered, on_trouble };

static Bus *
bus_new (guint32 seed)
{
  Bus *bus = g_new0 (Bus, 1);

  bus->rand = g_rand_new_with_seed (seed);
  bus->now = START_TIME;
  bus->busy_at = START_TIME;
  gw_lss_master_init (&bus->master, VENDOR, &funcs, bus, bus->now);
  return bus;
}

static void
bus_free (Bus *bus)
{
  g_rand_free (bus->rand);
  g_free (bus);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Bus, bus_free)

static void
set_uid (Node *node, guint64 uid)
{
  guint8 octets[GW_UID_LEN];
  guint32 identity[GW_LSS_N_SUBS];

  node->uid = uid;
  gw_put_u64be (octets, uid);
  gw_lss_identity (node->kind == FOREIGN ? VENDOR + 1 : VENDOR, octets, identity);
  gw_lss_slave_init (&node->slave, identity);
}

static Node *
plug_in (Bus *bus, guint64 uid, Kind kind)
{
  Node *node = &bus->nodes[bus->n_nodes++];

  g_assert_cmpuint (bus->n_nodes, <=, NODES_MAX);
  *node = (Node){ .kind = kind, .plugged_at = bus->now, .delay_min = 100, .delay_max = 300 };
  set_uid (node, uid);
  return node;
}

/* ---- The bus ---- */

static void
queue (Bus *bus, const GwCanFrame *frame, int from, gint64 ready_at)
{
  if (bus->n_queue == QUEUE_MAX)
    return;
  bus->queue[bus->n_queue++] = (Transmission){ ready_at, from, *frame };
}

static void
answer (Bus *bus, guint i, const GwCanFrame *frame)
{
  const Node *node = &bus->nodes[i];
  gint64 delay = bus->merges
                     ? node->delay_min
                     : g_rand_int_range (bus->rand, (gint32)node->delay_min, (gint32)node->delay_max + 1);

  queue (bus, frame, (int)i, bus->now + delay);
}

static void
deliver_to_node (Bus *bus, guint i, const GwCanFrame *frame)
{
  static const GwLssMessage yes = { .command = GW_LSS_IDENTIFY_SLAVE, .answer = true };
  Node *node = &bus->nodes[i];
  gboolean configure = frame->id == GW_LSS_ID_MASTER && frame->data[0] == GW_LSS_CONFIGURE_NODE_ID;
  gboolean fastscan = frame->id == GW_LSS_ID_MASTER && frame->data[0] == GW_LSS_FASTSCAN;
  GwLssSlaveEvent event;
  GwCanFrame out;
  bool answers;

  if (node->kind == CHANGES && fastscan && frame->data[5] == GW_LSS_BIT_CHECK_START)
    set_uid (node, ((guint64)g_rand_int (bus->rand) << 32) | g_rand_int (bus->rand));
  if (configure && node->kind == NO_CONFIGURE)
    return;
  if (node->kind == DEAF && node->slave.pending != GW_LSS_NODE_NONE)
    {
      node->kind = HONEST;
      return;
    }
  event = gw_lss_slave_take (&node->slave, frame, bus->now, &out, &answers);
  if (event == GW_LSS_SLAVE_NUMBERED)
    node->numbered_at = bus->now;
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
        set_uid (node, node->uid);
      break;
    case WHIMSICAL:
      if (!fastscan || node->slave.node_id != GW_LSS_NODE_NONE)
        break;
      gw_lss_encode (&yes, &out);
      answers = g_rand_boolean (bus->rand);
      break;
    default:
      break;
    }
  if (answers)
    answer (bus, i, &out);
}

static gboolean
is_lost (Bus *bus)
{
  return bus->loss > 0 && g_rand_double (bus->rand) < bus->loss;
}

static gboolean
is_stalled (const Bus *bus)
{
  return bus->stall_period > 0 && bus->now % bus->stall_period < bus->stall;
}

static void
deliver_to_master (Bus *bus, const Transmission *t)
{
  if (t->from < 0)
    gw_lss_master_confirm (&bus->master, bus->now);
  else
    gw_lss_master_take (&bus->master, &t->frame, bus->now);
}

/* The end of a frame. */
static void
deliver (Bus *bus, const Transmission *t)
{
  bus->frames++;
  bus->frames_of_master += t->from < 0;
  if (t->from < 0 || !is_lost (bus))
    {
      if (is_stalled (bus) && bus->n_late < QUEUE_MAX)
        bus->late[bus->n_late++] = *t;
      else
        deliver_to_master (bus, t);
    }
  for (guint i = 0; i < bus->n_nodes; i++)
    if (t->from < 0 && !is_lost (bus))
      deliver_to_node (bus, i, &t->frame);
}

/* Whose turn it is at bus->now; of equal ids the first. */
static int
arbitrate (const Bus *bus)
{
  int best = -1;

  for (guint i = 0; i < bus->n_queue; i++)
    if (bus->queue[i].ready_at <= bus->now
        && (best < 0 || bus->queue[i].frame.id < bus->queue[best].frame.id))
      best = (int)i;
  return best;
}

static void
finish_frame (Bus *bus)
{
  Transmission t = bus->queue[0];
  guint kept = 0;

  bus->sending = FALSE;
  for (guint i = 1; i < bus->n_queue; i++)
    if (!bus->merges || bus->queue[i].ready_at > bus->busy_until - FRAME_USEC
        || memcmp (&bus->queue[i].frame, &t.frame, sizeof t.frame) != 0)
      bus->queue[kept++] = bus->queue[i];
  bus->n_queue = kept;
  deliver (bus, &t);
}

static void
step (Bus *bus)
{
  GwCanFrame frame;
  int next;

  if (bus->sending && bus->now >= bus->busy_until)
    finish_frame (bus);
  for (guint i = 0; i < bus->n_nodes; i++)
    if (gw_lss_slave_tick (&bus->nodes[i].slave, bus->now, &frame)
        && (bus->nodes[i].kind == HONEST
            || (bus->nodes[i].kind == LATE && bus->now - bus->nodes[i].numbered_at >= 2 * SECOND)))
      queue (bus, &frame, (int)i, bus->now);
  for (guint i = 0; i < bus->n_nodes; i++)
    if (bus->nodes[i].kind == FLOODS && bus->n_queue < QUEUE_MAX / 2)
      {
        GwLssMessage yes = { .command = GW_LSS_IDENTIFY_SLAVE, .answer = true };

        gw_lss_encode (&yes, &frame);
        queue (bus, &frame, (int)i, bus->now + FRAME_USEC);
      }
  while (bus->busy_period > 0 && bus->now >= bus->busy_at)
    {
      frame = (GwCanFrame){ .id = 0x100, .len = 8 };
      queue (bus, &frame, (int)bus->n_nodes, bus->now);
      bus->busy_at += bus->busy_period;
    }
  for (guint i = 0; i < bus->n_late && !is_stalled (bus); i++)
    deliver_to_master (bus, &bus->late[i]);
  bus->n_late = is_stalled (bus) ? bus->n_late : 0;
  if (!is_stalled (bus) && gw_lss_master_pull (&bus->master, bus->now, &frame))
    queue (bus, &frame, -1, bus->now);
  next = bus->sending || bus->now < bus->busy_until ? -1 : arbitrate (bus);
  if (next >= 0)
    {
      Transmission t = bus->queue[next];

      bus->queue[next] = bus->queue[0];
      bus->queue[0] = t;
      bus->sending = TRUE;
      bus->busy_until = bus->now + FRAME_USEC;
    }
}

static gint64
next_event (const Bus *bus)
{
  gint64 at = gw_lss_master_due (&bus->master);

  if (is_stalled (bus))
    at = bus->now - bus->now % bus->stall_period + bus->stall;
  if (bus->sending)
    at = MIN (at, bus->busy_until);
  else
    for (guint i = 0; i < bus->n_queue; i++)
      at = MIN (at, bus->queue[i].ready_at);
  for (guint i = 0; i < bus->n_nodes; i++)
    at = MIN (at, gw_lss_slave_due (&bus->nodes[i].slave));
  if (bus->busy_period > 0)
    at = MIN (at, bus->busy_at);
  return MAX (at, bus->now);
}

/* Until every honest node has a number, at most @limit. How long it took. */
static gint64
run (Bus *bus, gint64 limit, gboolean until_all)
{
  gint64 begun = bus->now, last = -1;
  guint same = 0;

  while (bus->now - begun < limit)
    {
      gboolean all = TRUE;

      step (bus);
      for (guint i = 0; i < bus->n_nodes; i++)
        all &= bus->nodes[i].kind != HONEST || bus->nodes[i].slave.node_id != GW_LSS_NODE_NONE;
      if (all && until_all)
        return bus->now - begun;
      same = bus->now == last ? same + 1 : 0;
      g_assert_cmpuint (same, <, 1000); /* no event loop in circles */
      last = bus->now;
      bus->now = next_event (bus);
      if (bus->master.step > GW_LSS_STEP_START)
        bus->searching += bus->now - last;
    }
  return bus->now - begun;
}

static void
assert_all_numbered (const Bus *bus)
{
  gboolean used[256] = { FALSE };

  for (guint i = 0; i < bus->n_nodes; i++)
    {
      guint8 n = bus->nodes[i].slave.node_id;

      if (bus->nodes[i].kind != HONEST)
        continue;
      g_assert_cmpint (n, !=, GW_LSS_NODE_NONE);
      g_assert_false (used[n]);
      used[n] = TRUE;
      g_assert_true (bus->used[n]);
      g_assert_cmphex (bus->uid_of[n], ==, bus->nodes[i].uid);
    }
}

static void
assert_no_trouble (const Bus *bus)
{
  for (guint i = 0; i < G_N_ELEMENTS (bus->troubles); i++)
    g_assert_cmpuint (bus->troubles[i], ==, 0);
}

/* ---- Tests ---- */

static void
test_one (void)
{
  g_autoptr (Bus) bus = bus_new (1);
  gint64 took;

  plug_in (bus, UID (1), HONEST);
  took = run (bus, 10 * SECOND, TRUE);
  assert_all_numbered (bus);
  g_test_message ("one node: %u frames of the master, %" G_GINT64_FORMAT " us", bus->frames_of_master, took);
  /* release, start, vendor, product, 2 x 33, a look back at 0x7f4a.., number, switch back */
  g_assert_cmpuint (bus->frames_of_master, ==, 6 + 66 + 1);
  run (bus, 10 * SECOND, FALSE);
  assert_no_trouble (bus);
  g_assert_cmpuint (bus->n_numbered, ==, 1);
}

/* Every silent bit costs the wait, nothing else does; the wait follows the answers. */
static void
test_wait (void)
{
  static const gint64 delays[] = { 50, 500, 2000, 8000, 19000, 60000 };

  for (guint i = 0; i < G_N_ELEMENTS (delays); i++)
    {
      g_autoptr (Bus) bus = bus_new (i + 1);
      Node *node = plug_in (bus, UID (1), HONEST);
      gint64 answer_time = delays[i] + FRAME_USEC, took, silent;

      node->delay_min = node->delay_max = delays[i];
      took = run (bus, 60 * SECOND, TRUE);
      silent = __builtin_popcountll (node->uid);
      assert_all_numbered (bus);
      g_test_message ("answers after %" G_GINT64_FORMAT " us: numbered in %" G_GINT64_FORMAT
                      " us, wait %" G_GINT64_FORMAT " us",
                      answer_time, took, gw_lss_patience_wait (&bus->master.patience));
      g_assert_cmpuint (bus->master.counters.silences, ==, silent);
      g_assert_cmpint (gw_lss_patience_wait (&bus->master.patience), >=,
                       3 * answer_time / 2 > 100 * MSEC ? 100 * MSEC : answer_time);
      g_assert_cmpint (took, <=,
                       74 * (FRAME_USEC + answer_time)
                           + silent * MIN (100 * MSEC, MAX (4 * answer_time + 1 * MSEC, 2 * MSEC)));
      run (bus, 5 * SECOND, FALSE);
      assert_no_trouble (bus);
    }
}

static void
add_population (Bus *bus, guint n, guint set)
{
  for (guint i = 0; i < n; i++)
    switch (set)
      {
      case 0:
        plug_in (bus, UID (i + 1), HONEST);
        break;
      case 1: /* differ in the last bits only, all zero among them */
        plug_in (bus, i, HONEST);
        break;
      case 2: /* all ones, and its neighbours */
        plug_in (bus, ~(guint64)i, HONEST);
        break;
      default: /* differ in the first bits only */
        plug_in (bus, (guint64)i << 57, HONEST);
        break;
      }
}

static void
test_population (void)
{
  static const guint sizes[] = { 1, 2, 3, 32, 127 };

  for (guint set = 0; set < 4; set++)
    for (guint merges = 0; merges < 2; merges++)
      for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
        {
          g_autoptr (Bus) bus = bus_new (set * 10 + i);
          gint64 took;

          bus->merges = merges;
          add_population (bus, sizes[i], set);
          took = run (bus, 600 * SECOND, TRUE);
          assert_all_numbered (bus);
          g_test_message ("%u nodes, set %u%s: %" G_GINT64_FORMAT " ms, %u frames, %" G_GUINT64_FORMAT
                          " silences, %" G_GUINT64_FORMAT " tried again",
                          sizes[i], set, merges ? ", merged" : "", took / MSEC, bus->frames,
                          bus->master.counters.silences, bus->master.counters.retried);
          /* Copies that are not merged take the bus: with each search all who share the first bits answer. */
          g_assert_cmpint (took, <=, (gint64)sizes[i] * (merges ? 220 : 220 + 10 * sizes[i]) * MSEC);
          run (bus, 5 * SECOND, FALSE);
          g_assert_cmpuint (bus->n_numbered, ==, sizes[i]);
          assert_no_trouble (bus);
        }
}

/* One more among 32, at any moment: three seconds. */
static void
test_hot_plug (void)
{
  g_autoptr (Bus) bus = bus_new (1);
  gint64 longest = 0, took;

  add_population (bus, 32, 0);
  run (bus, 60 * SECOND, TRUE);
  for (guint i = 0; i < 50; i++)
    {
      run (bus, 1 * SECOND + g_rand_int_range (bus->rand, 0, SECOND), FALSE);
      plug_in (bus, UID (100 + i), HONEST);
      took = run (bus, 10 * SECOND, TRUE);
      longest = MAX (longest, took);
    }
  assert_all_numbered (bus);
  assert_no_trouble (bus);
  g_test_message ("longest of 50: %" G_GINT64_FORMAT " ms", longest / MSEC);
  g_assert_cmpint (longest, <=, 3 * SECOND);
}

/* One slow node among quick ones: whose copies come late. */
static void
test_mixed_speed (void)
{
  for (guint seed = 0; seed < 10; seed++)
    {
      g_autoptr (Bus) bus = bus_new (seed);
      gint64 took;

      for (guint i = 0; i < 24; i++)
        plug_in (bus, UID (i + 1), i % 3 == 0 ? LATE : HONEST);
      for (guint i = 0; i < bus->n_nodes; i++)
        {
          bus->nodes[i].delay_min = i % 4 == 0 ? 5 * MSEC : 100;
          bus->nodes[i].delay_max = i % 4 == 0 ? 12 * MSEC : 400;
        }
      took = run (bus, 120 * SECOND, TRUE);
      assert_all_numbered (bus);
      g_test_message ("took %" G_GINT64_FORMAT " ms, tried again %" G_GUINT64_FORMAT
                      ", failed %" G_GUINT64_FORMAT,
                      took / MSEC, bus->master.counters.retried, bus->master.counters.failed);
      g_assert_cmpint (took, <=, 40 * SECOND);
      run (bus, 20 * SECOND, FALSE);
      assert_no_trouble (bus);
      g_assert_cmpuint (bus->n_numbered, ==, 24);
    }
}

static void
test_loss (void)
{
  static const double losses[] = { 0.001, 0.005, 0.01 }; /* of frames that the bus itself did not mend */

  for (guint i = 0; i < G_N_ELEMENTS (losses); i++)
    {
      g_autoptr (Bus) bus = bus_new (i);
      gint64 took;

      bus->loss = losses[i];
      add_population (bus, 32, 0);
      took = run (bus, 600 * SECOND, TRUE);
      for (guint n = 0; n < bus->n_nodes; n++)
        g_assert_cmpint (bus->nodes[n].slave.node_id, !=, GW_LSS_NODE_NONE);
      g_test_message ("loss %g: took %" G_GINT64_FORMAT " ms, tried again %" G_GUINT64_FORMAT
                      ", failed %" G_GUINT64_FORMAT,
                      losses[i], took / MSEC, bus->master.counters.retried, bus->master.counters.failed);
      g_assert_cmpint (took, <=, 60 * SECOND);
    }
}

/* Others have the bus half of the time, with frames that go before ours. */
static void
test_load (void)
{
  g_autoptr (Bus) bus = bus_new (1);
  gint64 took;

  bus->busy_period = 2 * FRAME_USEC;
  add_population (bus, 32, 0);
  took = run (bus, 120 * SECOND, TRUE);
  assert_all_numbered (bus);
  g_test_message ("took %" G_GINT64_FORMAT " ms, tried again %" G_GUINT64_FORMAT, took / MSEC,
                  bus->master.counters.retried);
  g_assert_cmpint (took, <=, 20 * SECOND);
}

/* The master's machine is busy: whatever comes meanwhile comes at once afterwards, and late. */
static void
test_stalls (void)
{
  static const gint64 stalls[][2] = { { 50, 10 }, { 200, 60 }, { 1000, 150 }, { 20, 12 } };

  for (guint i = 0; i < G_N_ELEMENTS (stalls); i++)
    {
      g_autoptr (Bus) bus = bus_new (i);
      gint64 took, longest = 0;

      bus->stall_period = stalls[i][0] * MSEC;
      bus->stall = stalls[i][1] * MSEC;
      bus->merges = TRUE;
      add_population (bus, 32, 0);
      took = run (bus, 120 * SECOND, TRUE);
      assert_all_numbered (bus);
      g_test_message ("%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " ms: took %" G_GINT64_FORMAT
                      " ms, tried again %" G_GUINT64_FORMAT ", failed %" G_GUINT64_FORMAT,
                      stalls[i][1], stalls[i][0], took / MSEC, bus->master.counters.retried,
                      bus->master.counters.failed);
      g_assert_cmpint (took, <=, 30 * SECOND);
      for (guint j = 0; j < 20; j++)
        {
          run (bus, SECOND + g_rand_int_range (bus->rand, 0, SECOND), FALSE);
          plug_in (bus, UID (100 + j), HONEST);
          took = run (bus, 20 * SECOND, TRUE);
          longest = MAX (longest, took);
        }
      g_test_message ("one more: %" G_GINT64_FORMAT " ms at most", longest / MSEC);
      g_assert_cmpint (longest, <=, 3 * SECOND);
      assert_no_trouble (bus);
    }
}

/* A node that was switched off and on, and one that was told to forget. */
static void
test_reboot (void)
{
  g_autoptr (Bus) bus = bus_new (1);
  guint8 before;
  gint64 took;

  add_population (bus, 8, 0);
  run (bus, 20 * SECOND, TRUE);
  run (bus, 5 * SECOND, FALSE);
  before = bus->nodes[3].slave.node_id;
  set_uid (&bus->nodes[3], bus->nodes[3].uid);
  took = run (bus, 10 * SECOND, TRUE);
  g_test_message ("numbered again after %" G_GINT64_FORMAT " ms", took / MSEC);
  g_assert_cmpint (took, <=, 3 * SECOND);
  g_assert_cmpint (bus->nodes[3].slave.node_id, ==, before);
  run (bus, 5 * SECOND, FALSE);
  before = bus->nodes[5].slave.node_id;
  set_uid (&bus->nodes[5], bus->nodes[5].uid);
  gw_lss_master_forget (&bus->master, before);
  gw_lss_master_scan (&bus->master, bus->now);
  took = run (bus, 10 * SECOND, TRUE);
  g_assert_cmpint (took, <=, 500 * MSEC);
  run (bus, 5 * SECOND, FALSE);
  assert_all_numbered (bus);
  assert_no_trouble (bus);
}

/* Nodes of another vendor are asked for their vendor and no more. */
static void
test_foreign_nodes (void)
{
  g_autoptr (Bus) bus = bus_new (1);

  plug_in (bus, UID (1), FOREIGN);
  plug_in (bus, UID (2), FOREIGN);
  plug_in (bus, UID (3), HONEST);
  run (bus, 10 * SECOND, TRUE);
  run (bus, 10 * SECOND, FALSE);
  assert_all_numbered (bus);
  assert_no_trouble (bus);
  g_assert_cmpuint (bus->n_numbered, ==, 1);
  g_assert_cmpint (bus->nodes[0].slave.node_id, ==, GW_LSS_NODE_NONE);
  g_assert_false (bus->nodes[0].slave.configuring);
  g_assert_cmpuint (bus->frames_of_master, <=, 72 + 3 * 25);
}

static void
test_liar (gconstpointer data)
{
  Kind kind = (Kind)GPOINTER_TO_UINT (data);
  static const GwLssTrouble told_as[] = {
    [ANSWERS_ALL] = GW_LSS_TROUBLE_LIAR, [NO_CONFIGURE] = GW_LSS_TROUBLE_REFUSED,
    [REFUSES] = GW_LSS_TROUBLE_REFUSED,  [NEVER_TAKES] = GW_LSS_TROUBLE_NOT_TAKEN,
    [FLOODS] = GW_LSS_TROUBLE_LIAR,
  };

  for (guint seed = 0; seed < 8; seed++)
    {
      g_autoptr (Bus) bus = bus_new (seed);
      guint frames;
      gint64 took;

      plug_in (bus, seed % 2 ? UID (77) : 0, kind);
      run (bus, 30 * SECOND, FALSE);
      frames = bus->frames_of_master;
      run (bus, 60 * SECOND, FALSE);
      g_test_message ("frames in a minute: %u, numbered %u", bus->frames_of_master - frames, bus->n_numbered);
      /* of some 240,000 that the bus has */
      g_assert_cmpuint (bus->frames_of_master - frames, <=, 6000);
      for (guint i = 0; i < G_N_ELEMENTS (bus->troubles); i++)
        g_assert_cmpuint (bus->troubles[i], ==, i == told_as[kind]); /* once, and nothing else */
      if (kind == FLOODS)
        continue; /* nobody else is heard */
      /* The others are found all the same. */
      add_population (bus, 8, 0);
      took = run (bus, 60 * SECOND, TRUE);
      g_test_message ("eight beside it: %" G_GINT64_FORMAT " ms", took / MSEC);
      assert_all_numbered (bus);
      g_assert_cmpint (took, <=, 4 * SECOND);
    }
}

/* A uid that changes with every search is a new node each time and takes numbers; one that answers by lot
 * gets nowhere. What is left of the bus stays theirs who are honest. */
static void
test_fickle (void)
{
  for (guint seed = 0; seed < 8; seed++)
    {
      g_autoptr (Bus) bus = bus_new (seed);
      guint frames;

      plug_in (bus, UID (77), WHIMSICAL);
      if (seed % 2 == 1) /* and takes its time */
        {
          bus->nodes[0].delay_min = 50 * MSEC;
          bus->nodes[0].delay_max = 90 * MSEC;
        }
      run (bus, 30 * SECOND, FALSE);
      frames = bus->frames_of_master;
      bus->searching = 0;
      run (bus, 60 * SECOND, FALSE);
      g_test_message ("searching %" G_GINT64_FORMAT " ms", bus->searching / MSEC);
      g_assert_cmpint (bus->searching, <=, 18 * SECOND);
      g_test_message ("frames in a minute: %u, numbered %u, troubles %u %u %u",
                      bus->frames_of_master - frames, bus->n_numbered, bus->troubles[GW_LSS_TROUBLE_UNSTABLE],
                      bus->troubles[GW_LSS_TROUBLE_LIAR], bus->troubles[GW_LSS_TROUBLE_REFUSED]);
      g_assert_cmpuint (bus->frames_of_master - frames, <=, 6000);
      g_assert_cmpuint (bus->troubles[GW_LSS_TROUBLE_UNSTABLE] + bus->troubles[GW_LSS_TROUBLE_LIAR], >=, 1);
      g_assert_cmpuint (bus->troubles[GW_LSS_TROUBLE_UNSTABLE], <=, 1);
      g_assert_cmpuint (bus->troubles[GW_LSS_TROUBLE_LIAR], <=, 1);
    }
}

/* Another uid for each search, and it takes no number: as many are lost on it as it may owe. */
static void
test_changes (void)
{
  for (guint seed = 0; seed < 8; seed++)
    {
      g_autoptr (Bus) bus = bus_new (seed);
      guint numbered;
      gint64 took;

      plug_in (bus, UID (77), CHANGES);
      run (bus, 20 * SECOND, FALSE);
      numbered = bus->n_numbered;
      run (bus, 60 * SECOND, FALSE);
      g_test_message ("numbered %u, then %u a minute; not taken %u, unstable %u", numbered,
                      bus->n_numbered - numbered, bus->troubles[GW_LSS_TROUBLE_NOT_TAKEN],
                      bus->troubles[GW_LSS_TROUBLE_UNSTABLE]);
      g_assert_cmpuint (bus->n_numbered - numbered, <=, 30);
      g_assert_cmpuint (bus->troubles[GW_LSS_TROUBLE_NOT_TAKEN], <=, 3);
      g_assert_cmpuint (bus->troubles[GW_LSS_TROUBLE_UNSTABLE], ==, 1);
      add_population (bus, 8, 0);
      took = run (bus, 120 * SECOND, TRUE);
      g_test_message ("eight beside it: %" G_GINT64_FORMAT " ms", took / MSEC);
      assert_all_numbered (bus);
      g_assert_cmpint (took, <=, 60 * SECOND);
    }
}

/* Two with one uid: both take the number at once. Told off, and one of them unplugged: the other has it. */
static void
test_twins (void)
{
  g_autoptr (Bus) bus = bus_new (1);
  guint8 n;

  plug_in (bus, UID (1), HONEST);
  run (bus, 10 * SECOND, TRUE);
  run (bus, 2 * SECOND, FALSE);
  plug_in (bus, UID (1), HONEST);
  run (bus, 10 * SECOND, FALSE);
  n = bus->nodes[0].slave.node_id;
  g_assert_cmpint (bus->nodes[1].slave.node_id, ==, GW_LSS_NODE_NONE);
  g_assert_cmpuint (bus->troubles[GW_LSS_TROUBLE_TWICE], ==, 1);
  set_uid (&bus->nodes[0], UID (2)); /* another in its place */
  run (bus, 70 * SECOND, TRUE);
  g_assert_cmpint (bus->nodes[0].slave.node_id, !=, GW_LSS_NODE_NONE);
  g_assert_cmpint (bus->nodes[1].slave.node_id, ==, n);
  assert_all_numbered (bus);
}

/* Another master: it has the bus for ten seconds after its last word. */
static void
test_foreign_master (void)
{
  g_autoptr (Bus) bus = bus_new (1);
  GwLssMessage msg = { .command = GW_LSS_SWITCH_GLOBAL, .mode = 0 };
  GwCanFrame frame;
  guint frames;

  gw_lss_encode (&msg, &frame);
  plug_in (bus, UID (1), HONEST);
  run (bus, 20 * MSEC, FALSE); /* in the middle of a search */
  for (guint i = 0; i < 5; i++)
    {
      gw_lss_master_take (&bus->master, &frame, bus->now);
      frames = bus->frames_of_master;
      gw_lss_master_scan (&bus->master, bus->now);
      run (bus, 9 * SECOND, FALSE);
      g_assert_cmpuint (bus->frames_of_master, <=, frames + 1); /* one may have been out */
    }
  g_assert_cmpuint (bus->troubles[GW_LSS_TROUBLE_FOREIGN_MASTER], ==, 1);
  g_assert_cmpint (run (bus, 10 * SECOND, TRUE), <=, 3 * SECOND);
  assert_all_numbered (bus);
}

/* More nodes than numbers: said once for each, the others keep theirs. */
static void
test_full (void)
{
  g_autoptr (Bus) bus = bus_new (1);

  for (guint n = 11; n <= GW_LSS_NODE_MAX; n++)
    bus->used[n] = TRUE;
  add_population (bus, 12, 0);
  run (bus, 60 * SECOND, FALSE);
  g_assert_cmpuint (bus->n_numbered, ==, 10);
  g_assert_cmpuint (bus->troubles[GW_LSS_TROUBLE_FULL], ==, 2);
  bus->used[50] = bus->used[51] = FALSE;
  run (bus, 30 * SECOND, TRUE);
  assert_all_numbered (bus);
}

/* Numbered nodes that let one wait for their first heartbeat: only so many at a time, but all. */
static void
test_late_heartbeats (void)
{
  g_autoptr (Bus) bus = bus_new (1);

  bus->merges = TRUE;
  for (guint i = 0; i < 40; i++)
    plug_in (bus, UID (i + 1), LATE);
  run (bus, 20 * SECOND, FALSE);
  g_assert_cmpuint (bus->n_numbered, ==, 40);
  assert_no_trouble (bus);
}

/* Numbers are not thrown away on who keeps none. */
static void
test_mute (void)
{
  g_autoptr (Bus) bus = bus_new (1);

  bus->merges = TRUE;
  for (guint i = 0; i < 40; i++)
    plug_in (bus, UID (i + 1), MUTE);
  run (bus, 24 * SECOND / 10, FALSE);
  g_assert_cmpuint (bus->n_numbered, ==, 16);
}

/* A node that was not told to start, as a frame was lost, is with the next search. */
static void
test_deaf (void)
{
  g_autoptr (Bus) bus = bus_new (1);

  plug_in (bus, UID (1), DEAF);
  run (bus, SECOND, FALSE);
  g_assert_cmpuint (bus->n_numbered, ==, 1);
  g_assert_cmpint (run (bus, 10 * SECOND, TRUE), <=, 3 * SECOND);
  g_assert_cmpint (bus->nodes[0].slave.node_id, ==, 1);
}

/* Who refused is asked again when somebody says so. */
static void
test_scan (void)
{
  g_autoptr (Bus) bus = bus_new (1);

  plug_in (bus, UID (1), REFUSES);
  run (bus, 5 * SECOND, FALSE);
  g_assert_cmpuint (bus->troubles[GW_LSS_TROUBLE_REFUSED], ==, 1);
  bus->nodes[0].kind = HONEST;
  run (bus, 5 * SECOND, FALSE);
  g_assert_cmpuint (bus->n_numbered, ==, 0);
  gw_lss_master_scan (&bus->master, bus->now);
  g_assert_cmpint (run (bus, 10 * SECOND, TRUE), <=, SECOND);
  gw_lss_master_forget (&bus->master, 128); /* no number: nothing */
  gw_lss_master_scan (&bus->master, bus->now);
  run (bus, 50 * MSEC, FALSE);
  gw_lss_master_scan (&bus->master, bus->now); /* it is at it */
  assert_all_numbered (bus);
}

static void
test_holds (void)
{
  GwLssHolds holds;

  gw_lss_holds_init (&holds);
  g_assert_null (gw_lss_holds_over (&holds, G_MAXINT64 - 1));
  g_assert_false (gw_lss_holds_has (&holds, 0));
  gw_lss_holds_add (&holds, 1000, GW_LSS_HOLD_OFF, 0, 500);
  gw_lss_holds_add (&holds, 1001, GW_LSS_HOLD_OFF, 0, 400);
  gw_lss_holds_add (&holds, 1002, GW_LSS_HOLD_OFF, 0, 600);
  for (guint i = 0; i < GW_LSS_HOLDS_MAX - 3; i++)
    gw_lss_holds_add (&holds, i, GW_LSS_HOLD_PENDING, 1, 1000 + i);
  g_assert_cmpint (holds.due, ==, 400);
  gw_lss_holds_add (&holds, 2000, GW_LSS_HOLD_PENDING, 1, 5000); /* in the place of 1001 */
  g_assert_false (gw_lss_holds_has (&holds, 1001));
  g_assert_true (gw_lss_holds_has (&holds, 2000));
  gw_lss_holds_add (&holds, 2000, GW_LSS_HOLD_OFF, 0, 300); /* one uid, one hold */
  g_assert_cmpuint (gw_lss_holds_count (&holds, GW_LSS_HOLD_OFF), ==, 3);
  for (guint i = 0; i < 3; i++)
    gw_lss_holds_add (&holds, 3000 + i, GW_LSS_HOLD_DOUBT, 1, 6000);
  gw_lss_holds_add (&holds, 4000, GW_LSS_HOLD_OFF, 0, 9000); /* no room */
  g_assert_false (gw_lss_holds_has (&holds, 4000));
  g_assert_true (gw_lss_holds_has_below (&holds, 3000 ^ 7, 3));
  g_assert_cmpint (holds.due, ==, 1000);
  g_assert_null (gw_lss_holds_over (&holds, 999));
  g_assert_cmpuint (gw_lss_holds_over (&holds, 1000)->uid, ==, 0);
  gw_lss_holds_end (&holds, gw_lss_holds_over (&holds, 1000));
  g_assert_cmpint (holds.due, ==, 1001);
}

static void
test_patience (void)
{
  GwLssPatience patience = { 0 };

  g_assert_cmpint (gw_lss_patience_wait (&patience), ==, GW_LSS_WAIT_MAX_USEC); /* nothing is known */
  for (guint i = 0; i < 4; i++)
    {
      gw_lss_patience_ask (&patience);
      gw_lss_patience_answer (&patience, 500, 1000);
      gw_lss_patience_settled (&patience);
    }
  g_assert_cmpint (gw_lss_patience_wait (&patience), ==, 2 * 500 + 1000);
  g_assert_cmpint (gw_lss_patience_settle (&patience), ==, 0); /* no copies are known of */
  gw_lss_patience_stray (&patience, 1400);
  g_assert_cmpint (gw_lss_patience_settle (&patience), ==, 2 * 400 + 300);
  for (patience.attempts = 1; patience.attempts < 8; patience.attempts++)
    g_assert_cmpint (gw_lss_patience_wait (&patience), ==, 2000 << MIN (patience.attempts, 3));
  patience.attempts = 0;
  gw_lss_patience_answer (&patience, 90000, 2000); /* one that is late, among others */
  g_assert_cmpint (patience.late, ==, 500 + 250 + 1000);
  patience.attempts = 1;
  gw_lss_patience_answer (&patience, 12000, 2500); /* one that may be why */
  g_assert_cmpint (patience.late, ==, 12000);
  gw_lss_patience_answer (&patience, 500, 2600);
  g_assert_cmpint (patience.late, ==, 12000);
  patience.attempts = 0;
  for (guint i = 0; i < 100; i++)
    gw_lss_patience_answer (&patience, 5 * GW_LSS_WAIT_START_USEC, 3000);
  g_assert_cmpint (gw_lss_patience_limit (&patience), ==, GW_LSS_WAIT_START_USEC);
  g_assert_cmpint (gw_lss_patience_wait (&patience), ==, GW_LSS_WAIT_START_USEC);
  gw_lss_patience_relax (&patience);
  g_assert_cmpint (patience.late, <=, 3 * GW_LSS_WAIT_START_USEC / 4 + 1);
  g_assert_cmpuint (patience.attempts, ==, 0);
}

/* The link takes nothing, then gives frames back. */
static void
test_link (void)
{
  g_autoptr (Bus) bus = bus_new (1);
  GwCanFrame frame, again;

  g_assert_true (gw_lss_master_pull (&bus->master, bus->now, &frame));
  g_assert_false (gw_lss_master_pull (&bus->master, bus->now, &again));
  gw_lss_master_unpull (&bus->master);
  g_assert_true (gw_lss_master_pull (&bus->master, bus->now, &again));
  g_assert_cmpmem (&frame, sizeof frame, &again, sizeof again);
  bus->now = gw_lss_master_due (&bus->master);
  g_assert_cmpint (bus->now, ==, START_TIME + GW_LSS_SEND_USEC);
  gw_lss_master_tick (&bus->master, bus->now);
  g_assert_cmpint (gw_lss_master_due (&bus->master), >, bus->now);
  gw_lss_master_confirm (&bus->master, bus->now); /* too late: nothing */
  gw_lss_master_unpull (&bus->master);
  plug_in (bus, UID (1), HONEST);
  run (bus, 10 * SECOND, TRUE);
  assert_all_numbered (bus);
}

int
main (int argc, char **argv)
{
  static const struct
  {
    const char *path;
    Kind kind;
  } liars[] = {
    { "/lss-master/liar/answers-all", ANSWERS_ALL }, { "/lss-master/liar/no-configure", NO_CONFIGURE },
    { "/lss-master/liar/refuses", REFUSES },         { "/lss-master/liar/never-takes", NEVER_TAKES },
    { "/lss-master/liar/floods", FLOODS },
  };

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/lss-master/one", test_one);
  g_test_add_func ("/lss-master/wait", test_wait);
  g_test_add_func ("/lss-master/population", test_population);
  g_test_add_func ("/lss-master/hot-plug", test_hot_plug);
  g_test_add_func ("/lss-master/mixed-speed", test_mixed_speed);
  g_test_add_func ("/lss-master/loss", test_loss);
  g_test_add_func ("/lss-master/load", test_load);
  g_test_add_func ("/lss-master/stalls", test_stalls);
  g_test_add_func ("/lss-master/reboot", test_reboot);
  g_test_add_func ("/lss-master/foreign-nodes", test_foreign_nodes);
  for (gsize i = 0; i < G_N_ELEMENTS (liars); i++)
    g_test_add_data_func (liars[i].path, GUINT_TO_POINTER (liars[i].kind), test_liar);
  g_test_add_func ("/lss-master/fickle", test_fickle);
  g_test_add_func ("/lss-master/changes", test_changes);
  g_test_add_func ("/lss-master/twins", test_twins);
  g_test_add_func ("/lss-master/foreign-master", test_foreign_master);
  g_test_add_func ("/lss-master/full", test_full);
  g_test_add_func ("/lss-master/link", test_link);
  g_test_add_func ("/lss-master/late-heartbeats", test_late_heartbeats);
  g_test_add_func ("/lss-master/mute", test_mute);
  g_test_add_func ("/lss-master/deaf", test_deaf);
  g_test_add_func ("/lss-master/scan", test_scan);
  g_test_add_func ("/lss-master/holds", test_holds);
  g_test_add_func ("/lss-master/patience", test_patience);
  return g_test_run ();
}
