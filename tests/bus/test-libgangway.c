/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The plugin library against an agent made by the test, on a private bus with the shipped policy: attaching, the agent's
 * death and return, refusals, lies, a busy agent, counters, and the sandbox. */

#include <gangway.h>

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gangway-agent.h"
#include "gw-fake-agent.h"

/* ---- The clock ---- */

/* Where it matters that a second has not passed, none does, however busy the machine is. */
static gboolean stopped;
static struct timespec stopped_at;

/* Before libc's, for GLib, too. */
int
clock_gettime (clockid_t id, struct timespec *out)
{
  if (id != CLOCK_MONOTONIC || !g_atomic_int_get (&stopped))
    return (int) syscall (SYS_clock_gettime, id, out);
  *out = stopped_at;
  return 0;
}

static void
stop_clock (void)
{
  clock_gettime (CLOCK_MONOTONIC, &stopped_at);
  g_atomic_int_set (&stopped, TRUE);
}

static void
start_clock (void)
{
  g_atomic_int_set (&stopped, FALSE);
}

/* ---- The plugin ---- */

/* What a plugin under test has seen. */
typedef struct
{
  GwTestBus *dbus;
  GangwayBus *bus;
  guint attached, detached, refused, scans, datagrams, lost;
  gboolean ended; /* attach_async */
  GError *error;
  GangwayNode *last_node;
  GBytes *last_datagram;
  char *last_refusal;
} Plugin;

static void
on_attached (GangwayBus *bus, Plugin *plugin)
{
  plugin->attached++;
}

static void
on_detached (GangwayBus *bus, const char *why, Plugin *plugin)
{
  plugin->detached++;
}

static void
on_refused (GangwayBus *bus, const char *why, Plugin *plugin)
{
  plugin->refused++;
  g_free (plugin->last_refusal);
  plugin->last_refusal = g_strdup (why);
}

static void
on_scan (GangwayBus *bus, Plugin *plugin)
{
  plugin->scans++;
}

static void
on_lost (GangwayBus *bus, const char *why, Plugin *plugin)
{
  plugin->lost++;
}

static void
on_datagram (GangwayBus *bus, GangwayNode *node, GBytes *datagram, Plugin *plugin)
{
  plugin->datagrams++;
  g_set_object (&plugin->last_node, node);
  g_clear_pointer (&plugin->last_datagram, g_bytes_unref);
  plugin->last_datagram = g_bytes_ref (datagram);
}

static void
on_ready (GObject *source, GAsyncResult *result, gpointer data)
{
  Plugin *plugin = data;

  plugin->ended = TRUE;
  gangway_bus_attach_finish (GANGWAY_BUS (source), result, &plugin->error);
}

static void
setup (Plugin *plugin, gconstpointer data)
{
  plugin->dbus = gw_test_bus_new (GW_TEST_POLICY);
  plugin->bus = g_object_new (GANGWAY_TYPE_BUS,
                              "name",
                              "ttyTEST0",
                              "kind",
                              "serial",
                              "device",
                              "/dev/ttyTEST0",
                              "plugin",
                              "test 1",
                              "bus-address",
                              gw_test_bus_get_address (plugin->dbus),
                              NULL);
  g_object_connect (plugin->bus,
                    "signal::attached",
                    on_attached,
                    plugin,
                    "signal::detached",
                    on_detached,
                    plugin,
                    "signal::refused",
                    on_refused,
                    plugin,
                    "signal::scan",
                    on_scan,
                    plugin,
                    "signal::lost",
                    on_lost,
                    plugin,
                    "signal::datagram",
                    on_datagram,
                    plugin,
                    NULL);
  gangway_bus_attach_async (plugin->bus, NULL, on_ready, plugin);
}

static void
teardown (Plugin *plugin, gconstpointer data)
{
  start_clock ();
  g_assert_finalize_object (plugin->bus);
  gw_test_drain ();
  gw_test_bus_free (plugin->dbus);
  g_clear_object (&plugin->last_node);
  g_clear_pointer (&plugin->last_datagram, g_bytes_unref);
  g_clear_error (&plugin->error);
  g_free (plugin->last_refusal);
}

#define CONDITION(name, expression)                                                                                    \
  static gboolean name (gpointer data)                                                                                 \
  {                                                                                                                    \
    Plugin *plugin = data;                                                                                             \
                                                                                                                       \
    return expression;                                                                                                 \
  }

CONDITION (is_attached, gangway_bus_is_attached (plugin->bus))
CONDITION (is_detached, plugin->detached > 0)
CONDITION (is_refused, plugin->refused > 0)
CONDITION (is_ended, plugin->ended)
CONDITION (is_lost, plugin->lost > 0)
CONDITION (has_scan, plugin->scans > 0)
CONDITION (has_datagram, plugin->datagrams > 0)

static GwFakeAgent *
attach (Plugin *plugin)
{
  GwFakeAgent *agent = gw_fake_agent_new (plugin->dbus, GW_FAKE_AGENT_GOOD);

  gw_test_wait (is_attached, plugin, "the attachment");
  gw_fake_agent_expect (agent, GW_BUSMSG_HELLO);
  gw_fake_agent_expect (agent, GW_BUSMSG_STATS);
  return agent;
}

/* The second that begins with attaching is not over until start_clock (). */
static GwFakeAgent *
attach_and_stop_clock (Plugin *plugin)
{
  stop_clock ();
  return attach (plugin);
}

static GangwayNode *
node_up (Plugin *plugin)
{
  g_autoptr (GError) error = NULL;
  GangwayNode *node = gangway_bus_node_up (plugin->bus, 1024, 12, NULL, &error);

  g_assert_no_error (error);
  return node;
}

static gboolean
send_text (GangwayNode *node, const char *text, GError **error)
{
  g_autoptr (GBytes) datagram = g_bytes_new (text, strlen (text));

  return gangway_node_send (node, datagram, error);
}

/* ---- Attaching ---- */

static void
test_attach (Plugin *plugin, gconstpointer data)
{
  g_autoptr (GwFakeAgent) agent = NULL;
  g_autoptr (GVariant) expected = NULL;
  g_autoptr (GVariantDict) dict = NULL;

  /* There is no agent yet: the plugin waits. */
  gw_test_drain ();
  g_assert_false (plugin->ended);
  agent = attach (plugin);
  gw_test_wait (is_ended, plugin, "attach_finish");
  g_assert_no_error (plugin->error);
  g_assert_cmpuint (plugin->attached, ==, 1);
  g_assert_cmpstr (gangway_bus_get_object_path (plugin->bus), ==, "/org/gangway/Gangway1/bus/test");

  dict = g_variant_dict_new (NULL);
  g_variant_dict_insert (dict, "name", "s", "ttyTEST0");
  g_variant_dict_insert (dict, "kind", "s", "serial");
  g_variant_dict_insert (dict, "device", "s", "/dev/ttyTEST0");
  g_variant_dict_insert (dict, "plugin", "s", "test 1");
  g_variant_dict_insert (dict, "version", "u", 1u);
  expected = g_variant_ref_sink (g_variant_dict_end (dict));
  g_assert_cmpvariant (gw_fake_agent_get_options (agent), expected);

  gangway_bus_detach (plugin->bus);
  g_assert_false (gangway_bus_is_attached (plugin->bus));
  gw_fake_agent_wait_closed (agent);
}

static void
test_nodes (Plugin *plugin, gconstpointer data)
{
  g_autoptr (GwFakeAgent) agent = attach (plugin);
  g_autoptr (GBytes) hello = g_bytes_new_static ("\xa1\x61\x76\x01", 4);
  g_autoptr (GangwayNode) first = NULL;
  g_autoptr (GangwayNode) second = NULL;
  g_autoptr (GError) error = NULL;
  const GwBusmsg *msg;

  first = gangway_bus_node_up (plugin->bus, 4096, 12, hello, &error);
  g_assert_no_error (error);
  second = node_up (plugin);
  msg = gw_fake_agent_expect (agent, GW_BUSMSG_NODE_UP);
  g_assert_cmpuint (msg->node, ==, gangway_node_get_id (first));
  g_assert_cmpuint (msg->node_up.mtu, ==, GW_BUSMSG_DATAGRAM_MAX); /* what was agreed on, not what the node can */
  g_assert_cmpuint (msg->node_up.rtt_ms, ==, 12);
  g_assert_cmpmem (msg->node_up.cbor.ptr, msg->node_up.cbor.len, "\xa1\x61\x76\x01", 4);
  msg = gw_fake_agent_expect (agent, GW_BUSMSG_NODE_UP);
  g_assert_cmpuint (msg->node, >, gangway_node_get_id (first));

  g_assert_true (send_text (second, "from the wire", &error));
  msg = gw_fake_agent_expect (agent, GW_BUSMSG_DATAGRAM);
  g_assert_cmpuint (msg->node, ==, gangway_node_get_id (second));
  g_assert_cmpmem (msg->datagram.ptr, msg->datagram.len, "from the wire", 13);

  gw_fake_agent_send_datagram (agent, 4711, "nobody", 6);
  gw_fake_agent_send_datagram (agent, gangway_node_get_id (first), "to the wire", 11);
  gw_test_wait (has_datagram, plugin, "a datagram");
  g_assert_true (plugin->last_node == first);
  g_assert_cmpmem (g_bytes_get_data (plugin->last_datagram, NULL),
                   g_bytes_get_size (plugin->last_datagram),
                   "to the wire",
                   11);
  g_assert_cmpuint (plugin->datagrams, ==, 1);

  gangway_node_down (first, GANGWAY_DOWN_REASON_SILENT);
  msg = gw_fake_agent_expect (agent, GW_BUSMSG_NODE_DOWN);
  g_assert_cmpuint (msg->node, ==, gangway_node_get_id (first));
  g_assert_cmpint (msg->node_down.reason, ==, GW_BUSMSG_DOWN_SILENT);
  g_assert_false (gangway_node_is_up (first));
  gangway_node_down (first, GANGWAY_DOWN_REASON_GONE); /* once is enough */
  g_assert_false (send_text (first, "late", &error));
  g_assert_error (error, GANGWAY_ERROR, GANGWAY_ERROR_NODE_DOWN);
  gw_test_drain ();
  g_assert_cmpuint (gw_fake_agent_waiting (agent), ==, 0);
}

static void
test_limits (Plugin *plugin, gconstpointer data)
{
  g_autoptr (GwFakeAgent) agent = gw_fake_agent_new (plugin->dbus, GW_FAKE_AGENT_GOOD);
  g_autoptr (GangwayNode) node = NULL;
  g_autoptr (GBytes) large = NULL;
  g_autoptr (GError) error = NULL;

  gw_fake_agent_set_limits (agent, 600, 1);
  gw_test_wait (is_attached, plugin, "the attachment");
  node = node_up (plugin);
  g_assert_null (gangway_bus_node_up (plugin->bus, 1024, 0, NULL, &error));
  g_assert_error (error, GANGWAY_ERROR, GANGWAY_ERROR_LIMIT);
  g_clear_error (&error);
  large = g_bytes_new_take (g_malloc0 (601), 601);
  g_assert_false (gangway_node_send (node, large, &error));
  g_assert_error (error, GANGWAY_ERROR, GANGWAY_ERROR_LIMIT);
  g_clear_error (&error);
  gangway_node_down (node, GANGWAY_DOWN_REASON_GONE);
  g_assert_null (gangway_bus_node_up (plugin->bus, 511, 0, NULL, &error));
  g_assert_error (error, GANGWAY_ERROR, GANGWAY_ERROR_LIMIT);
  g_clear_error (&error);
  g_assert_null (gangway_bus_node_up (plugin->bus, 512, 0, large, &error)); /* no hello is that long */
  g_assert_error (error, GANGWAY_ERROR, GANGWAY_ERROR_LIMIT);
}

/* ---- The agent dies and comes back ---- */

static void
test_restart (Plugin *plugin, gconstpointer data)
{
  GwFakeAgent *agent = attach (plugin);
  g_autoptr (GangwayNode) first = node_up (plugin);
  g_autoptr (GangwayNode) second = node_up (plugin);
  g_autoptr (GangwayNode) third = NULL;
  g_autoptr (GError) error = NULL;

  gw_fake_agent_free (agent);
  gw_test_wait (is_detached, plugin, "the detachment");
  g_assert_false (gangway_bus_is_attached (plugin->bus));
  g_assert_false (send_text (first, "into the void", &error));
  g_assert_error (error, GANGWAY_ERROR, GANGWAY_ERROR_NOT_ATTACHED);
  g_clear_error (&error);
  gangway_node_down (first, GANGWAY_DOWN_REASON_GONE);
  third = node_up (plugin);

  agent = gw_fake_agent_new (plugin->dbus, GW_FAKE_AGENT_GOOD);
  gw_test_wait (is_attached, plugin, "the second attachment");
  g_assert_cmpuint (plugin->attached, ==, 2);
  g_assert_cmpuint (plugin->detached, ==, 1);
  gw_fake_agent_expect (agent, GW_BUSMSG_HELLO);
  g_assert_cmpuint (gw_fake_agent_expect (agent, GW_BUSMSG_NODE_UP)->node, ==, gangway_node_get_id (second));
  g_assert_cmpuint (gw_fake_agent_expect (agent, GW_BUSMSG_NODE_UP)->node, ==, gangway_node_get_id (third));
  gw_fake_agent_expect (agent, GW_BUSMSG_STATS);
  g_assert_true (send_text (second, "again", &error));
  gw_fake_agent_expect (agent, GW_BUSMSG_DATAGRAM);
  g_assert_cmpuint (gw_fake_agent_waiting (agent), ==, 0);
  gw_fake_agent_free (agent);
}

/* The agent refuses, hangs up, or talks nonsense, and stays on the bus: the plugin comes again. */
static void
test_hang_up (Plugin *plugin, gconstpointer data)
{
  static const char nonsense[] = "\x04\0\0\0\0\0\0\0x"; /* a datagram for node 0 */
  g_autoptr (GwFakeAgent) agent = attach (plugin);

  gw_fake_agent_hang_up (agent);
  gw_test_wait (is_detached, plugin, "the detachment");
  gw_test_wait (is_attached, plugin, "the second attachment");
  plugin->detached = 0;
  gw_fake_agent_send_raw (agent, nonsense, 9);
  gw_test_wait (is_detached, plugin, "the second detachment");
  gw_test_wait (is_attached, plugin, "the third attachment");
  g_assert_cmpuint (gw_fake_agent_get_calls (agent), ==, 3);
}

static void
test_refused_for_good (Plugin *plugin, gconstpointer data)
{
  g_autoptr (GwFakeAgent) agent = NULL;

  agent = gw_fake_agent_new (plugin->dbus, GW_FAKE_AGENT_GOOD);
  gw_fake_agent_refuse (agent, "NotAuthorized", 1);
  gw_test_wait (is_ended, plugin, "the refusal");
  g_assert_error (plugin->error, GANGWAY_ERROR, GANGWAY_ERROR_REFUSED);
  g_assert_nonnull (strstr (plugin->error->message, "not today"));
}

static void
test_refused_for_now (Plugin *plugin, gconstpointer data)
{
  g_autoptr (GwFakeAgent) agent = gw_fake_agent_new (plugin->dbus, GW_FAKE_AGENT_GOOD);

  gw_fake_agent_refuse (agent, "Exists", 2);
  gw_test_wait (is_attached, plugin, "the attachment");
  g_assert_cmpuint (gw_fake_agent_get_calls (agent), ==, 3);
  g_assert_cmpuint (plugin->refused, ==, 1); /* one reason, one line */
  g_assert_true (plugin->ended);
  g_assert_no_error (plugin->error);
}

static void
test_bad_agent (Plugin *plugin, gconstpointer data)
{
  GwFakeAgent *agent = gw_fake_agent_new (plugin->dbus, GPOINTER_TO_INT (data));

  gw_test_wait (is_refused, plugin, "the refusal");
  g_test_message ("%s", plugin->last_refusal);
  g_assert_false (plugin->ended);
  g_assert_cmpuint (plugin->attached, ==, 0);
  gw_fake_agent_free (agent);
  agent = attach (plugin);
  gw_fake_agent_free (agent);
}

static void
test_lost (Plugin *plugin, gconstpointer data)
{
  g_autoptr (GwFakeAgent) agent = attach (plugin);

  gw_test_bus_stop (plugin->dbus);
  gw_test_wait (is_lost, plugin, "the loss of D-Bus");
  g_assert_cmpuint (plugin->lost, ==, 1);
  g_assert_false (gangway_bus_is_attached (plugin->bus));
}

static void
test_no_bus (void)
{
  Plugin plugin = { 0 };

  plugin.bus = g_object_new (
      GANGWAY_TYPE_BUS, "name", "x", "kind", "serial", "bus-address", "unix:path=/nonexistent/bus", NULL);
  gangway_bus_attach_async (plugin.bus, NULL, on_ready, &plugin);
  gw_test_wait (is_ended, &plugin, "the failure");
  g_assert_nonnull (plugin.error);
  g_assert_finalize_object (plugin.bus);
  g_clear_error (&plugin.error);
}

/* Freed while the connection, the call or the HELLO is under way: nothing may come back to it. */
static void
test_early_free (void)
{
  g_autoptr (GwTestBus) dbus = gw_test_bus_new (GW_TEST_POLICY);
  g_autoptr (GwFakeAgent) agent = gw_fake_agent_new (dbus, GW_FAKE_AGENT_MUTE);

  for (guint turns = 0; turns < 40; turns++)
    {
      Plugin plugin = { 0 };

      plugin.bus = g_object_new (GANGWAY_TYPE_BUS, "name", "x", "bus-address", gw_test_bus_get_address (dbus), NULL);
      gangway_bus_attach_async (plugin.bus, NULL, on_ready, &plugin);
      for (guint i = 0; i < turns; i++)
        g_main_context_iteration (NULL, FALSE);
      gangway_bus_detach (plugin.bus);
      gw_test_wait (is_ended, &plugin, "the end");
      g_assert_error (plugin.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_assert_finalize_object (plugin.bus);
      g_clear_error (&plugin.error);
    }
  gw_test_drain ();
}

/* ---- Traffic ---- */

static void
test_scan (Plugin *plugin, gconstpointer data)
{
  const GwBusmsg msg = { .type = GW_BUSMSG_SCAN };
  g_autoptr (GwFakeAgent) agent = attach (plugin);

  gw_fake_agent_send (agent, &msg);
  gw_test_wait (has_scan, plugin, "the scan");
}

/* An agent that does not read: datagrams are dropped and counted, node messages wait and come in order. */
static void
test_busy_agent (Plugin *plugin, gconstpointer data)
{
  g_autoptr (GwFakeAgent) agent = attach (plugin);
  g_autoptr (GangwayNode) first = node_up (plugin);
  g_autoptr (GangwayNode) second = NULL;
  g_autoptr (GError) error = NULL;
  const GwBusmsg *msg;
  guint sent = 0;

  gw_fake_agent_expect (agent, GW_BUSMSG_NODE_UP);
  gw_fake_agent_set_reading (agent, FALSE);
  while (send_text (first, "a datagram of some length", &error))
    sent++;
  g_assert_error (error, GANGWAY_ERROR, GANGWAY_ERROR_BUSY);
  g_clear_error (&error);
  gangway_node_down (first, GANGWAY_DOWN_REASON_GONE);
  second = node_up (plugin);
  gw_fake_agent_skip (agent, sent / 2); /* there is room again, but the node is not announced yet */
  g_assert_false (send_text (second, "would overtake", &error));

  gw_fake_agent_set_reading (agent, TRUE);
  for (guint i = sent / 2; i < sent; i++)
    gw_fake_agent_expect (agent, GW_BUSMSG_DATAGRAM);
  g_assert_cmpuint (gw_fake_agent_expect (agent, GW_BUSMSG_NODE_DOWN)->node, ==, gangway_node_get_id (first));
  g_assert_cmpuint (gw_fake_agent_expect (agent, GW_BUSMSG_NODE_UP)->node, ==, gangway_node_get_id (second));
  msg = gw_fake_agent_expect (agent, GW_BUSMSG_STATS);
  g_assert_cmpuint (msg->stats.dropped, ==, 2);
  g_assert_cmpuint (plugin->detached, ==, 0);
}

/* Nodes come and go before an agent that never reads: the library gives the socket up rather than grow. */
static void
test_stuck_agent (Plugin *plugin, gconstpointer data)
{
  g_autoptr (GwFakeAgent) agent = attach (plugin);

  gw_fake_agent_set_reading (agent, FALSE);
  while (plugin->detached == 0)
    {
      g_autoptr (GangwayNode) node = node_up (plugin);

      gangway_node_down (node, GANGWAY_DOWN_REASON_GONE);
      g_main_context_iteration (NULL, FALSE);
    }
  g_assert_cmpuint (plugin->detached, ==, 1);
}

static void
test_stats (Plugin *plugin, gconstpointer data)
{
  g_autoptr (GwFakeAgent) agent = attach (plugin);
  g_autoptr (GangwayNode) node = node_up (plugin);
  g_autoptr (GBytes) datagram = g_bytes_new_static ("x", 1);
  GangwayStats stats = { .frames_in = 1, .bytes_out = 7 };
  const GwBusmsg *msg;

  gw_fake_agent_expect (agent, GW_BUSMSG_NODE_UP);
  for (guint i = 0; i < 100; i++)
    {
      stats.frames_in++;
      gangway_bus_set_stats (plugin->bus, &stats);
    }
  for (guint i = 0; i < 6; i++)
    g_assert_cmpint (gangway_node_queue_push (node, datagram), ==, i < GANGWAY_NODE_QUEUE_MAX);
  g_assert_cmpuint (gangway_node_queue_get_length (node), ==, 4);
  g_assert_cmpuint (gangway_node_get_dropped (node), ==, 2);
  for (guint i = 0; i < 5; i++)
    {
      g_autoptr (GBytes) out = gangway_node_queue_pop (node);

      g_assert_true (i < 4 ? out == datagram : out == NULL);
    }

  /* All within one second of the STATS at attaching: one message with the last values. */
  msg = gw_fake_agent_expect (agent, GW_BUSMSG_STATS);
  g_assert_cmpuint (msg->stats.frames_in, ==, 101);
  g_assert_cmpuint (msg->stats.bytes_out, ==, 7);
  g_assert_cmpuint (msg->stats.dropped, ==, 2);
  gangway_bus_set_stats (plugin->bus, &stats); /* nothing new */
  gangway_node_down (node, GANGWAY_DOWN_REASON_GONE);
  gw_fake_agent_expect (agent, GW_BUSMSG_NODE_DOWN);
}

/* The link's state: at once when it changes, else once a second; never more than asked for; told anew after a restart. */
static void
test_link (Plugin *plugin, gconstpointer data)
{
  GwFakeAgent *agent = attach_and_stop_clock (plugin);
  GangwayLink link = { .state = GANGWAY_LINK_STATE_ACTIVE, .load_permille = G_MAXUINT, .round_trip_ms = 70000 };
  const GwBusmsg *msg;

  gangway_bus_set_link (plugin->bus, &link);
  msg = gw_fake_agent_expect (agent, GW_BUSMSG_LINK);
  g_assert_cmpint (msg->link.state, ==, GW_BUSMSG_LINK_ACTIVE);
  g_assert_cmpuint (msg->link.load_permille, ==, GW_BUSMSG_LOAD_UNKNOWN);
  g_assert_cmpuint (msg->link.round_trip_ms, ==, G_MAXUINT16);
  gangway_bus_set_link (plugin->bus, &link); /* nothing new */

  /* Within the second: the load waits, the culprit does not. */
  for (link.load_permille = 0; link.load_permille < 500; link.load_permille++)
    gangway_bus_set_link (plugin->bus, &link);
  gw_test_drain ();
  g_assert_cmpuint (gw_fake_agent_waiting (agent), ==, 0);
  link.load_permille = 4711;
  link.culprit = 9;
  link.culprit_permille = 480;
  link.octets_per_second = 26000;
  gangway_bus_set_link (plugin->bus, &link);
  msg = gw_fake_agent_expect (agent, GW_BUSMSG_LINK);
  g_assert_cmpuint (msg->link.load_permille, ==, 1000);
  g_assert_cmpuint (msg->link.culprit, ==, 9);
  g_assert_cmpuint (msg->link.culprit_permille, ==, 480);
  g_assert_cmpuint (msg->link.octets_per_second, ==, 26000);

  /* A controller that flutters: some at once, then one with the last word. */
  for (guint i = 0; i < 101; i++)
    {
      link.state = i % 2 == 0 ? GANGWAY_LINK_STATE_OFF : GANGWAY_LINK_STATE_PASSIVE;
      link.tx_errors = i;
      gangway_bus_set_link (plugin->bus, &link);
    }
  gw_test_drain ();
  g_assert_cmpuint (gw_fake_agent_waiting (agent), <, 4);
  start_clock ();
  do
    msg = gw_fake_agent_expect (agent, GW_BUSMSG_LINK);
  while (msg->link.tx_errors < 100);
  g_assert_cmpint (msg->link.state, ==, GW_BUSMSG_LINK_OFF);

  gw_fake_agent_free (agent);
  gw_test_wait (is_detached, plugin, "the detachment");
  agent = gw_fake_agent_new (plugin->dbus, GW_FAKE_AGENT_GOOD);
  gw_test_wait (is_attached, plugin, "the second attachment");
  gw_fake_agent_expect (agent, GW_BUSMSG_HELLO);
  msg = gw_fake_agent_expect (agent, GW_BUSMSG_LINK);
  g_assert_cmpint (msg->link.state, ==, GW_BUSMSG_LINK_OFF);
  g_assert_cmpuint (msg->link.tx_errors, ==, 100);
  gw_fake_agent_free (agent);
}

/* A node's address goes with it, its retries once a second, both again after a restart; a node without either stays quiet. */
static void
test_node_info (Plugin *plugin, gconstpointer data)
{
  GwFakeAgent *agent = attach_and_stop_clock (plugin);
  g_autoptr (GangwayNode) plain = node_up (plugin);
  g_autoptr (GangwayNode) node = node_up (plugin);
  const GwBusmsg *msg;

  gw_fake_agent_expect (agent, GW_BUSMSG_NODE_UP);
  gw_fake_agent_expect (agent, GW_BUSMSG_NODE_UP);
  gangway_node_set_address (node, 65535);
  msg = gw_fake_agent_expect (agent, GW_BUSMSG_NODE);
  g_assert_cmpuint (msg->node, ==, gangway_node_get_id (node));
  g_assert_cmpuint (msg->node_info.address, ==, 65535);
  g_assert_cmpuint (msg->node_info.retries, ==, 0);
  for (guint64 i = 0; i <= 100; i++)
    gangway_node_set_retries (node, i);
  g_assert_cmpuint (gangway_node_get_address (node), ==, 65535);
  g_assert_cmpuint (gangway_node_get_retries (node), ==, 100);
  gw_test_drain ();
  g_assert_cmpuint (gw_fake_agent_waiting (agent), ==, 0);
  start_clock ();
  msg = gw_fake_agent_expect (agent, GW_BUSMSG_NODE);
  g_assert_cmpuint (msg->node_info.retries, ==, 100);
  g_assert_cmpuint (msg->node_info.address, ==, 65535);

  gw_fake_agent_free (agent);
  gw_test_wait (is_detached, plugin, "the detachment");
  gangway_node_set_retries (node, 101);
  agent = gw_fake_agent_new (plugin->dbus, GW_FAKE_AGENT_GOOD);
  gw_test_wait (is_attached, plugin, "the second attachment");
  gw_fake_agent_expect (agent, GW_BUSMSG_HELLO);
  gw_fake_agent_expect (agent, GW_BUSMSG_NODE_UP);
  gw_fake_agent_expect (agent, GW_BUSMSG_NODE_UP);
  gw_fake_agent_expect (agent, GW_BUSMSG_STATS);
  msg = gw_fake_agent_expect (agent, GW_BUSMSG_NODE);
  g_assert_cmpuint (msg->node, ==, gangway_node_get_id (node));
  g_assert_cmpuint (msg->node_info.retries, ==, 101);
  gw_test_drain ();
  g_assert_cmpuint (gw_fake_agent_waiting (agent), ==, 0);

  /* A node that is down says nothing more. */
  gangway_node_down (node, GANGWAY_DOWN_REASON_GONE);
  gw_fake_agent_expect (agent, GW_BUSMSG_NODE_DOWN);
  gangway_node_set_address (node, 7);
  gangway_node_set_retries (node, 7);
  gw_test_drain ();
  g_assert_cmpuint (gw_fake_agent_waiting (agent), ==, 0);
  gw_fake_agent_free (agent);
}

static void
test_boxed_link (void)
{
  g_autoptr (GangwayLink) link = gangway_link_new ();
  g_autoptr (GangwayLink) copy = NULL;
  g_autofree char *state = NULL;

  g_assert_cmpuint (link->load_permille, ==, G_MAXUINT);
  link->state = GANGWAY_LINK_STATE_OFF;
  copy = g_boxed_copy (GANGWAY_TYPE_LINK, link);
  g_assert_cmpmem (copy, sizeof *copy, link, sizeof *link);
  state = g_enum_to_string (GANGWAY_TYPE_LINK_STATE, link->state);
  g_assert_cmpstr (state, ==, "GANGWAY_LINK_STATE_OFF");
}

/* What gangway_bus_new() does not take is set before the bus is attached, the sandbox above all. */
static void
test_new (void)
{
  g_autoptr (GangwayBus) bus = gangway_bus_new ("rack1", "rack", NULL);
  g_autofree char *plugin = NULL, *device = NULL;
  gboolean sandbox = FALSE;

  g_object_set (bus, "plugin", "rack-plugin 1", "sandbox", TRUE, NULL);
  g_object_set (bus, "plugin", "rack-plugin 2", NULL);
  g_object_get (bus, "plugin", &plugin, "sandbox", &sandbox, "device", &device, NULL);
  g_assert_cmpstr (plugin, ==, "rack-plugin 2");
  g_assert_cmpstr (device, ==, "");
  g_assert_true (sandbox);
}

static void
test_backoff (void)
{
  guint step = 400;

  for (guint attempt = 0; attempt < 40; attempt++)
    {
      g_assert_cmpuint (gangway_agent_backoff_ms (attempt, 0), ==, step / 2);
      g_assert_cmpuint (gangway_agent_backoff_ms (attempt, step / 2), ==, step);
      for (guint i = 0; i < 100; i++)
        {
          guint ms = gangway_agent_backoff_ms (attempt, g_random_int ());

          g_assert_cmpuint (ms, >=, 200);
          g_assert_cmpuint (ms, <=, 5000);
        }
      step = MIN (2 * step, 5000);
    }
}

/* ---- The sandbox ---- */

static void
child_setup (gpointer data)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
}

static GPid
spawn_sandboxed (GwTestBus *dbus)
{
  const char *argv[] = { GW_TEST_SANDBOXED_PLUGIN, gw_test_bus_get_address (dbus), NULL };
  g_auto (GStrv) env = g_environ_setenv (g_get_environ (), "ASAN_OPTIONS", "detect_leaks=0", TRUE);
  g_autoptr (GError) error = NULL;
  GPid pid;

  g_spawn_async (NULL, (char **) argv, env, G_SPAWN_DO_NOT_REAP_CHILD, child_setup, NULL, &pid, &error);
  g_assert_no_error (error);
  return pid;
}

/* One datagram with a verdict on each call; all must have been refused. */
static void
check_verdict (GwFakeAgent *agent)
{
  g_autofree char *text = NULL;
  g_auto (GStrv) words = NULL;
  const GwBusmsg *msg;

  do
    msg = gw_fake_agent_next (agent);
  while (msg->type != GW_BUSMSG_DATAGRAM);
  text = g_strndup ((const char *) msg->datagram.ptr, msg->datagram.len);
  g_test_message ("%s", text);
  words = g_strsplit (text, " ", -1);
  g_assert_cmpuint (g_strv_length (words), ==, 10);
  for (guint i = 0; words[i] != NULL; i++)
    g_assert_cmpint (atoi (strchr (words[i], '=') + 1), ==, EPERM);
}

static void
test_sandbox (void)
{
  g_autoptr (GwTestBus) dbus = gw_test_bus_new (GW_TEST_POLICY);
  GwFakeAgent *agent = gw_fake_agent_new (dbus, GW_FAKE_AGENT_GOOD);
  GPid pid = spawn_sandboxed (dbus);
  int status;

  check_verdict (agent);
  gw_fake_agent_free (agent);
  agent = gw_fake_agent_new (dbus, GW_FAKE_AGENT_GOOD);
  check_verdict (agent);
  gw_fake_agent_send_datagram (agent, 1, "quit", 4);
  gw_fake_agent_wait_closed (agent);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
  gw_fake_agent_free (agent);
}

static void
test_sandbox_lost (void)
{
  g_autoptr (GwTestBus) dbus = gw_test_bus_new (GW_TEST_POLICY);
  GwFakeAgent *agent = gw_fake_agent_new (dbus, GW_FAKE_AGENT_GOOD);
  GPid pid = spawn_sandboxed (dbus);
  int status;

  check_verdict (agent);
  gw_test_bus_stop (dbus);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 3);
  gw_fake_agent_free (agent);
}

#define ADD(path, func) g_test_add (path, Plugin, NULL, setup, func, teardown)
#define ADD_BAD(path, manner) g_test_add (path, Plugin, GINT_TO_POINTER (manner), setup, test_bad_agent, teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("/libgangway/attach", test_attach);
  ADD ("/libgangway/nodes", test_nodes);
  ADD ("/libgangway/limits", test_limits);
  ADD ("/libgangway/restart", test_restart);
  ADD ("/libgangway/hang-up", test_hang_up);
  ADD ("/libgangway/refused/for-good", test_refused_for_good);
  ADD ("/libgangway/refused/for-now", test_refused_for_now);
  ADD_BAD ("/libgangway/bad-agent/newer", GW_FAKE_AGENT_NEWER);
  ADD_BAD ("/libgangway/bad-agent/garbage", GW_FAKE_AGENT_GARBAGE);
  ADD_BAD ("/libgangway/bad-agent/stream", GW_FAKE_AGENT_STREAM);
  ADD_BAD ("/libgangway/bad-agent/no-descriptor", GW_FAKE_AGENT_NO_FD);
  ADD ("/libgangway/lost", test_lost);
  g_test_add_func ("/libgangway/no-bus", test_no_bus);
  g_test_add_func ("/libgangway/early-free", test_early_free);
  ADD ("/libgangway/scan", test_scan);
  ADD ("/libgangway/busy-agent", test_busy_agent);
  ADD ("/libgangway/stuck-agent", test_stuck_agent);
  ADD ("/libgangway/stats", test_stats);
  ADD ("/libgangway/link", test_link);
  ADD ("/libgangway/node-info", test_node_info);
  g_test_add_func ("/libgangway/boxed-link", test_boxed_link);
  g_test_add_func ("/libgangway/new", test_new);
  g_test_add_func ("/libgangway/backoff", test_backoff);
  g_test_add_func ("/libgangway/sandbox/denials", test_sandbox);
  g_test_add_func ("/libgangway/sandbox/lost", test_sandbox_lost);
  return g_test_run ();
}
