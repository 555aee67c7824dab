/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* gangway-serial --rs485 as a process, between an agent that the test plays on a private bus and stations that it plays on
 * a pty: discovery with collisions, datagrams, restarts of the agent, silence, echo, hang-up. */

#include <gio/gio.h>

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "gw-station.h"
#include "gw-test-hello.h"
#include "gw-test-plugin.h"

#define MTU 512
#define N_STATIONS 3

typedef struct _Lab Lab;

typedef struct
{
  Lab *lab;
  GwStation station;
  guint8 kid[32];
  gboolean deaf;
  GQueue datagrams; /* GBytes, from the plugin, hello left out */
} Node;

struct _Lab
{
  GwTestPlugin plugin;
  char *log;
  guint8 rx[2048 + GW_FRAME_OVERHEAD];
  GwFrameDecoder decoder;
  gboolean echo;
  Node nodes[N_STATIONS];
};

/* ---- Stations ---- */

static bool
on_in_session (void *owner)
{
  return false;
}

static void
on_hello (void *owner, GwLinkHello *out)
{
  Node *node = owner;

  gw_test_hello_init (out, node->kid, MTU);
}

static void
on_link (void *owner, bool up)
{
}

static void
on_datagram (void *owner, GwBytes datagram)
{
  Node *node = owner;
  guint8 answer[MTU];
  GwLinkHello hello;
  gsize len;

  on_hello (node, &hello);
  len = gw_test_hello_answer (&hello, datagram, answer, sizeof answer);
  if (len == 0)
    g_queue_push_tail (&node->datagrams, g_bytes_new (datagram.ptr, datagram.len));
  else
    g_assert_true (gw_station_send (&node->station, answer, len));
}

static const GwStationFuncs funcs
    = { .in_session = on_in_session, .hello = on_hello, .link = on_link, .datagram = on_datagram };

/* Several answers at once are garbage. */
static void
take_frame (Lab *lab, const GwFrame *frame)
{
  guint8 octets[GW_FRAME_ENCODED_MAX (MTU)], out[GW_FRAME_ENCODED_MAX (MTU)];
  guint answers = 0;
  gsize len = 0, n;

  for (guint i = 0; i < N_STATIONS; i++)
    {
      Node *node = &lab->nodes[i];

      if (node->deaf)
        continue;
      gw_station_take (&node->station, frame, g_get_monotonic_time (), out, sizeof out, &n);
      if (n == 0)
        continue;
      answers++;
      memcpy (octets, out, n);
      len = MAX (len, n);
    }
  if (answers > 1)
    memset (octets, 0x55, len);
  if (len > 0 && lab->plugin.master >= 0)
    g_assert_cmpint (write (lab->plugin.master, octets, len), ==, len);
}

static void
on_octets (gpointer owner, const guint8 *data, gsize len)
{
  Lab *lab = owner;
  GwFrame frame;
  size_t used;

  if (lab->echo)
    g_assert_cmpint (write (lab->plugin.master, data, len), ==, len);
  for (; len > 0; data += used, len -= used)
    if (gw_frame_decoder_feed (&lab->decoder, data, len, &used, &frame) == GW_FRAME_EVENT_FRAME)
      take_frame (lab, &frame);
}

/* ---- The plugin ---- */

static void
setup (Lab *lab, gconstpointer data)
{
  const char *const options[] = { "--rs485", "--name", "tty-test", data, NULL };
  g_autoptr (GError) error = NULL;

  gw_frame_decoder_init (&lab->decoder, lab->rx, sizeof lab->rx);
  for (guint i = 0; i < N_STATIONS; i++)
    {
      lab->nodes[i].lab = lab;
      memset (lab->nodes[i].kid, 0x40 + i, sizeof lab->nodes[i].kid);
      g_queue_init (&lab->nodes[i].datagrams);
      gw_station_init (&lab->nodes[i].station, &funcs, &lab->nodes[i], lab->nodes[i].kid, MTU);
    }
  gw_test_plugin_init (&lab->plugin, GW_TEST_POLICY, on_octets, lab);
  lab->plugin.said = g_file_open_tmp ("gangway-serial-XXXXXX.log", &lab->log, &error);
  g_assert_no_error (error);
  lab->plugin.pid = gw_test_plugin_spawn (&lab->plugin, GW_TEST_SERIAL, lab->plugin.device, options);
}

static void
teardown (Lab *lab, gconstpointer data)
{
  gw_test_plugin_clear (&lab->plugin);
  for (guint i = 0; i < N_STATIONS; i++)
    g_queue_clear_full (&lab->nodes[i].datagrams, (GDestroyNotify) g_bytes_unref);
  close (lab->plugin.said);
  unlink (lab->log);
  g_free (lab->log);
}

/* Waits for all stations; ids of their nodes by station. */
static void
discover (Lab *lab, guint ids[N_STATIONS])
{
  gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_HELLO);
  for (guint i = 0; i < N_STATIONS; i++)
    {
      const GwBusmsg *msg = gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_NODE_UP);
      GwLinkHello hello;

      g_assert_cmpint (gw_link_hello_rsp_decode (msg->node_up.cbor, &hello), ==, GW_OK);
      g_assert_cmpuint (msg->node_up.mtu, ==, MTU);
      ids[hello.kid[0] - 0x40] = msg->node;
    }
}

/* ---- Tests ---- */

static void
test_discovery (Lab *lab, gconstpointer data)
{
  guint ids[N_STATIONS] = { 0 };
  gboolean numbers[N_STATIONS + 1] = { FALSE };
  g_autofree char *kind = NULL;
  guint ups = 0, told = 0;

  gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_HELLO);
  while (ups < N_STATIONS || told < N_STATIONS)
    {
      const GwBusmsg *msg = gw_fake_agent_next (lab->plugin.agent);
      GwLinkHello hello;

      if (msg->type == GW_BUSMSG_NODE_UP)
        {
          g_assert_cmpint (gw_link_hello_rsp_decode (msg->node_up.cbor, &hello), ==, GW_OK);
          ids[hello.kid[0] - 0x40] = msg->node;
          ups++;
        }
      if (msg->type != GW_BUSMSG_NODE)
        continue;
      /* Who has which number. */
      for (guint i = 0; i < N_STATIONS; i++)
        if (ids[i] == msg->node)
          {
            g_assert_cmpuint (msg->node_info.address, ==, lab->nodes[i].station.address);
            told++;
          }
    }
  for (guint i = 0; i < N_STATIONS; i++)
    {
      g_assert_cmpuint (lab->nodes[i].station.address, <=, N_STATIONS);
      numbers[lab->nodes[i].station.address] = TRUE;
    }
  for (guint i = 1; i <= N_STATIONS; i++)
    g_assert_true (numbers[i]);
  g_assert_true (g_variant_lookup (gw_fake_agent_get_options (lab->plugin.agent), "kind", "s", &kind));
  g_assert_cmpstr (kind, ==, "rs485");
}

#define TRIES 60
#define TRY_S 2

typedef struct
{
  Lab *lab;
  guint station, id;
  const guint8 *data;
  gsize len;
} Sent;

static gboolean
came_up (gpointer data)
{
  const Sent *sent = data;

  while (gw_fake_agent_waiting (sent->lab->plugin.agent) > 0)
    {
      const GwBusmsg *msg = gw_fake_agent_next (sent->lab->plugin.agent);

      g_assert_cmpint (msg->type, !=, GW_BUSMSG_NODE_DOWN);
      if (msg->type == GW_BUSMSG_DATAGRAM && msg->node == sent->id && msg->datagram.len == sent->len
          && memcmp (msg->datagram.ptr, sent->data, sent->len) == 0)
        return TRUE;
    }
  return FALSE;
}

static gboolean
came_down (gpointer data)
{
  const Sent *sent = data;
  GBytes *got;

  while ((got = g_queue_pop_head (&sent->lab->nodes[sent->station].datagrams)) != NULL)
    {
      gboolean same = g_bytes_get_size (got) == sent->len && memcmp (g_bytes_get_data (got, NULL), sent->data, sent->len) == 0;

      g_bytes_unref (got);
      if (same)
        return TRUE;
    }
  return FALSE;
}

/* Refused while the one before waits to be polled. */
static void
send_up (const Sent *sent)
{
  gw_station_send (&sent->lab->nodes[sent->station].station, sent->data, sent->len);
}

static void
send_down (const Sent *sent)
{
  gw_fake_agent_send_datagram (sent->lab->plugin.agent, sent->id, sent->data, sent->len);
}

static gboolean
on_late (gpointer data)
{
  *(gboolean *) data = TRUE;
  return G_SOURCE_REMOVE;
}

/* Until it has come whole. A busy machine lets stations answer later than the plugin waits, and what a late answer or poll
 * carried is lost, as datagrams may be: so it is sent again, and one that comes twice is passed over. */
static void
send_until (void (*send) (const Sent *), GwTestCondition came, Sent *sent)
{
  for (guint i = 0; i < TRIES; i++)
    {
      gboolean late = FALSE, there;
      guint timer = g_timeout_add_seconds (TRY_S, on_late, &late);

      send (sent);
      while (!(there = came (sent)) && !late)
        g_main_context_iteration (NULL, TRUE);
      if (!late)
        g_source_remove (timer);
      if (there)
        return;
    }
  g_error ("a datagram of %zu octets did not come in %d tries", sent->len, TRIES);
}

static void
check_datagrams (Lab *lab, const guint ids[N_STATIONS], gsize len)
{
  guint8 data[MTU] = { 0x17 };

  for (guint i = 0; i < N_STATIONS; i++)
    {
      Sent sent = { lab, i, ids[i], data, len };

      data[len - 1] = i;
      send_until (send_up, came_up, &sent);
      send_until (send_down, came_down, &sent);
    }
}

static void
test_datagrams (Lab *lab, gconstpointer data)
{
  guint ids[N_STATIONS];

  discover (lab, ids);
  for (guint turn = 0; turn < 10; turn++)
    check_datagrams (lab, ids, 2 + turn * 50);
  check_datagrams (lab, ids, MTU);
}

static void
test_agent_restart (Lab *lab, gconstpointer data)
{
  guint ids[N_STATIONS], again[N_STATIONS];

  discover (lab, ids);
  for (guint turn = 0; turn < 2; turn++)
    {
      gw_test_plugin_restart_agent (&lab->plugin);
      discover (lab, again);
      g_assert_cmpmem (again, sizeof again, ids, sizeof ids);
      check_datagrams (lab, ids, 100);
    }
}

static void
test_silent (Lab *lab, gconstpointer data)
{
  guint ids[N_STATIONS];
  const GwBusmsg *msg;

  discover (lab, ids);
  lab->nodes[1].deaf = TRUE;
  msg = gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_NODE_DOWN);
  g_assert_cmpuint (msg->node, ==, ids[1]);
  g_assert_cmpint (msg->node_down.reason, ==, GW_BUSMSG_DOWN_SILENT);
  lab->nodes[1].deaf = FALSE;
  g_assert_cmpuint (gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_NODE_UP)->node, >, ids[1]);
}

static void
test_echo (Lab *lab, gconstpointer data)
{
  guint ids[N_STATIONS];

  lab->echo = TRUE;
  discover (lab, ids);
  check_datagrams (lab, ids, 100);
}

static void
test_hang_up (Lab *lab, gconstpointer data)
{
  guint ids[N_STATIONS];

  discover (lab, ids);
  gw_test_plugin_hang_up (&lab->plugin);
  for (guint i = 0; i < N_STATIONS; i++)
    g_assert_cmpint (gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_NODE_DOWN)->node_down.reason, ==, GW_BUSMSG_DOWN_GONE);
  gw_test_plugin_wait_end (&lab->plugin);
}

static void
test_terminated (Lab *lab, gconstpointer data)
{
  guint ids[N_STATIONS];

  discover (lab, ids);
  kill (lab->plugin.pid, SIGTERM);
  for (guint i = 0; i < N_STATIONS; i++)
    g_assert_cmpint (gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_NODE_DOWN)->node_down.reason, ==, GW_BUSMSG_DOWN_GONE);
  gw_test_plugin_wait_end (&lab->plugin);
}

/* A pseudo-terminal has no driver to switch: one line says so. */
static void
test_says_who_switches (Lab *lab, gconstpointer data)
{
  g_autofree char *text = NULL;
  guint ids[N_STATIONS];
  const char *found;

  discover (lab, ids);
  g_assert_true (g_file_get_contents (lab->log, &text, NULL, NULL));
  found = strstr (text, "does not switch the direction");
  g_assert_nonnull (found);
  g_assert_null (strstr (found + 1, "does not switch the direction"));
}

static void
test_link (Lab *lab, gconstpointer data)
{
  guint ids[N_STATIONS];
  const GwBusmsg *msg;

  discover (lab, ids);
  do
    msg = gw_fake_agent_next (lab->plugin.agent);
  while (msg->type != GW_BUSMSG_LINK || msg->link.state != GW_BUSMSG_LINK_ACTIVE);
  g_assert_cmpuint (msg->link.round_trip_ms, >=, 89);
  g_assert_cmpuint (msg->link.load_permille, <=, 1000);
  g_assert_cmpuint (msg->link.octets_per_second, >, 0);
  g_assert_cmpuint (msg->link.culprit, ==, 0);
}

#define ADD(path, func) g_test_add (path, Lab, NULL, setup, func, teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("/gangway-serial-rs485/discovery", test_discovery);
  ADD ("/gangway-serial-rs485/datagrams", test_datagrams);
  ADD ("/gangway-serial-rs485/agent-restart", test_agent_restart);
  ADD ("/gangway-serial-rs485/silent", test_silent);
  ADD ("/gangway-serial-rs485/echo", test_echo);
  ADD ("/gangway-serial-rs485/hang-up", test_hang_up);
  ADD ("/gangway-serial-rs485/terminated", test_terminated);
  g_test_add ("/gangway-serial-rs485/terminated-outside-the-sandbox", Lab, "--no-sandbox", setup, test_terminated, teardown);
  ADD ("/gangway-serial-rs485/says-who-switches", test_says_who_switches);
  ADD ("/gangway-serial-rs485/link", test_link);
  return g_test_run ();
}
