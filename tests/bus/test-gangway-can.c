/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* gangway-can as a process, between an agent that the test plays on a private bus and an SLCAN adapter with nodes behind it
 * that it plays on a pty: numbering, datagrams, restarts, what is told of the link, the sandbox, the end. */

#include <gio/gio.h>
#include <glib/gstdio.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "gw-isotp.h"
#include "gw-lss-slave.h"
#include "gw-slcan-codec.h"
#include "gw-test-hello.h"
#include "gw-test-plugin.h"

#define NODES 3
#define TICK_MS 5

typedef struct
{
  gboolean plugged;
  GwLssSlave slave;
  GwIsotp isotp;
  guint8 kid[GW_KEY_ID_LEN];
  guint8 rx[GW_BUSMSG_DATAGRAM_MAX], tx[GW_BUSMSG_DATAGRAM_MAX];
  GBytes *got; /* the last datagram that was no question */
} Node;

typedef struct
{
  GwTestPlugin plugin;
  int slave; /* the other end stays open between users */
  char *device;
  GwSlcanCollector collector;
  guint ticker;
  guint8 flags;
  guint numberings; /* 11 nid */
  Node nodes[NODES];
} Lab;

/* ---- The adapter and its bus ---- */

static void node_take (Lab *lab, Node *node, const GwCanFrame *frame);

static void
write_line (Lab *lab, const GwSlcanLine *line)
{
  char text[GW_SLCAN_LINE_MAX];
  size_t len;

  g_assert_cmpint (gw_slcan_encode (line, text, sizeof text, &len), ==, GW_OK);
  g_assert_cmpint (write (lab->plugin.master, text, len), ==, (gssize) len);
}

static void
put_frame (Lab *lab, const GwCanFrame *frame)
{
  const GwSlcanLine line = { .kind = GW_SLCAN_FRAME, .frame = *frame };

  write_line (lab, &line);
}

static void
answer_line (Lab *lab, const GwSlcanLine *line)
{
  GwSlcanLine answer = { .kind = GW_SLCAN_OK };

  switch (line->kind)
    {
    case GW_SLCAN_FRAME:
      answer = (GwSlcanLine){ .kind = GW_SLCAN_SENT, .frame.extended = line->frame.extended };
      write_line (lab, &answer);
      lab->numberings += line->frame.id == GW_LSS_ID_MASTER && line->frame.data[0] == GW_LSS_CONFIGURE_NODE_ID;
      for (guint i = 0; i < NODES; i++)
        node_take (lab, &lab->nodes[i], &line->frame);
      return;
    case GW_SLCAN_STATUS:
      answer = (GwSlcanLine){ .kind = GW_SLCAN_STATUS, .has_value = true, .value = lab->flags };
      break;
    case GW_SLCAN_VERSION:
      answer = (GwSlcanLine){ .kind = GW_SLCAN_VERSION, .has_value = true, .value = 0x1013 };
      break;
    default:
      break;
    }
  write_line (lab, &answer);
}

static void
on_octets (gpointer owner, const guint8 *data, gsize len)
{
  Lab *lab = owner;
  GwSlcanLine line;

  for (gsize i = 0; i < len; i++)
    if (gw_slcan_collector_push (&lab->collector, (char) data[i], &line))
      answer_line (lab, &line);
}

/* ---- Nodes ---- */

static void
node_send (Lab *lab, Node *node)
{
  GwCanFrame frame;
  gint64 now = g_get_monotonic_time ();

  while (node->slave.node_id != GW_LSS_NODE_NONE && gw_isotp_pull (&node->isotp, now, &frame))
    {
      put_frame (lab, &frame);
      gw_isotp_confirm (&node->isotp, now);
    }
}

static void
node_message (Node *node, GwBytes message)
{
  guint8 answer[GW_BUSMSG_DATAGRAM_MAX];
  GwLinkHello hello;
  gsize len;

  gw_test_hello_init (&hello, node->kid, 4096);
  len = gw_test_hello_answer (&hello, message, answer, sizeof answer);
  if (len == 0)
    {
      g_clear_pointer (&node->got, g_bytes_unref);
      node->got = g_bytes_new (message.ptr, message.len);
    }
  else if (!gw_isotp_is_sending (&node->isotp))
    {
      memcpy (node->tx, answer, len);
      gw_isotp_send (&node->isotp, (GwBytes){ node->tx, len }, g_get_monotonic_time ());
    }
}

static void
node_take (Lab *lab, Node *node, const GwCanFrame *frame)
{
  GwIsotpConfig config;
  GwCanFrame answer;
  bool answers;

  if (!node->plugged)
    return;
  if (gw_lss_slave_take (&node->slave, frame, g_get_monotonic_time (), &answer, &answers) == GW_LSS_SLAVE_NUMBERED)
    {
      gw_isotp_config_default (&config,
                               gw_can_isotp_id (GW_CAN_GATEWAY_ADDRESS, node->slave.node_id),
                               gw_can_isotp_id (node->slave.node_id, GW_CAN_GATEWAY_ADDRESS));
      gw_isotp_init (&node->isotp, &config, node->rx, sizeof node->rx);
    }
  if (answers)
    put_frame (lab, &answer);
  if (node->slave.node_id == GW_LSS_NODE_NONE)
    return;
  if (gw_isotp_take (&node->isotp, frame, g_get_monotonic_time ()) == GW_ISOTP_RECEIVED)
    node_message (node, gw_isotp_message (&node->isotp));
  node_send (lab, node);
}

static gboolean
on_tick (gpointer data)
{
  Lab *lab = data;
  GwCanFrame frame;

  for (guint i = 0; i < NODES; i++)
    if (lab->nodes[i].plugged && lab->plugin.master >= 0
        && gw_lss_slave_tick (&lab->nodes[i].slave, g_get_monotonic_time (), &frame))
      put_frame (lab, &frame);
  return G_SOURCE_CONTINUE;
}

static void
plug (Lab *lab, guint i)
{
  Node *node = &lab->nodes[i];
  guint32 identity[GW_LSS_N_SUBS];

  memset (node->kid, 0x51 + 0x22 * (int) i, sizeof node->kid);
  gw_lss_identity (0, node->kid, identity);
  gw_lss_slave_init (&node->slave, identity);
  node->plugged = TRUE;
}

/* ---- The plugin ---- */

static GPid
spawn (Lab *lab, const char *device, const char *rate, const char *option)
{
  const char *const options[] = { "--name", "can-test", "--rate", rate, option, NULL };

  return gw_test_plugin_spawn (&lab->plugin, GW_TEST_CAN, device, options);
}

static void
pull_adapter (Lab *lab)
{
  if (lab->plugin.master >= 0)
    close (lab->slave);
  gw_test_plugin_hang_up (&lab->plugin);
}

static void
setup (Lab *lab, gconstpointer data)
{
  gw_slcan_collector_init (&lab->collector, GW_SLCAN_FROM_HOST);
  gw_test_plugin_init (&lab->plugin, GW_TEST_POLICY, on_octets, lab);
  lab->slave = open (lab->plugin.device, O_RDWR | O_NOCTTY | O_CLOEXEC);
  g_assert_cmpint (lab->slave, >=, 0);
  lab->device = g_strconcat ("slcan:", lab->plugin.device, NULL);
  lab->ticker = g_timeout_add (TICK_MS, on_tick, lab);
  plug (lab, 0);
  lab->plugin.pid = spawn (lab, lab->device, "500000", data);
}

static void
teardown (Lab *lab, gconstpointer data)
{
  if (lab->plugin.pid != 0)
    gw_test_plugin_terminate (&lab->plugin);
  pull_adapter (lab);
  g_source_remove (lab->ticker);
  gw_test_plugin_clear (&lab->plugin);
  for (guint i = 0; i < NODES; i++)
    g_clear_pointer (&lab->nodes[i].got, g_bytes_unref);
  g_free (lab->device);
}

static guint
discover (Lab *lab)
{
  gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_HELLO);
  return gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_NODE_UP)->node;
}

/* ---- Tests ---- */

static void
test_discovery (Lab *lab, gconstpointer data)
{
  GVariant *options;
  const char *kind = NULL;
  const GwBusmsg *msg;

  gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_HELLO);
  options = gw_fake_agent_get_options (lab->plugin.agent);
  g_assert_true (g_variant_lookup (options, "kind", "&s", &kind));
  g_assert_cmpstr (kind, ==, "can");
  msg = gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_NODE_UP);
  g_assert_cmpuint (msg->node_up.mtu, ==, GW_BUSMSG_DATAGRAM_MAX);
  g_assert_cmpuint (msg->node_up.rtt_ms, >, 0);
  msg = gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_NODE);
  g_assert_cmpuint (msg->node_info.address, ==, lab->nodes[0].slave.node_id);
  do
    msg = gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_LINK);
  while (msg->link.state != GW_BUSMSG_LINK_ACTIVE || msg->link.load_permille == GW_BUSMSG_LOAD_UNKNOWN);
  g_assert_cmpuint (msg->link.octets_per_second, >, 20000);
  g_assert_cmpuint (msg->link.round_trip_ms, >, 100);
  g_assert_cmpuint (msg->link.culprit, ==, 0);
  /* Two more, while it is at work. */
  for (guint i = 1; i < NODES; i++)
    {
      plug (lab, i);
      gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_NODE_UP);
    }
}

static gboolean
has_got (gpointer data)
{
  return ((Node *) data)->got != NULL;
}

static void
check_datagram (Lab *lab, guint id, gsize len)
{
  Node *node = &lab->nodes[0];
  guint8 data[GW_BUSMSG_DATAGRAM_MAX] = { 0x17, 0xfe, 0xfd };
  const GwBusmsg *msg;

  data[11] = (guint8) ((len - 13) >> 8);
  data[12] = (guint8) (len - 13);
  g_assert_cmpint (gw_isotp_send (&node->isotp, (GwBytes){ data, len }, g_get_monotonic_time ()), ==, GW_OK);
  node_send (lab, node);
  msg = gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_DATAGRAM);
  g_assert_cmpuint (msg->node, ==, id);
  g_assert_cmpmem (msg->datagram.ptr, msg->datagram.len, data, len);
  g_clear_pointer (&node->got, g_bytes_unref);
  gw_fake_agent_send_datagram (lab->plugin.agent, id, data, len);
  gw_test_wait (has_got, node, "the datagram at the node");
  g_assert_cmpmem (g_bytes_get_data (node->got, NULL), g_bytes_get_size (node->got), data, len);
}

static void
test_datagrams (Lab *lab, gconstpointer data)
{
  static const gsize lens[] = { 13, 20, 100, 1000, GW_BUSMSG_DATAGRAM_MAX };
  guint id = discover (lab);

  for (guint i = 0; i < G_N_ELEMENTS (lens); i++)
    check_datagram (lab, id, lens[i]);
}

static void
test_agent_restart (Lab *lab, gconstpointer data)
{
  guint id = discover (lab);

  check_datagram (lab, id, 100);
  g_assert_true (gw_test_plugin_seccomp_mode_is (&lab->plugin, "2"));
  for (guint i = 0; i < 2; i++)
    {
      gw_test_plugin_restart_agent (&lab->plugin);
      gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_HELLO);
      g_assert_cmpuint (gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_NODE_UP)->node, ==, id);
      check_datagram (lab, id, 100);
    }
}

/* Killed, and started again: the node keeps its number. */
static void
test_killed (Lab *lab, gconstpointer data)
{
  guint8 number;

  discover (lab);
  number = lab->nodes[0].slave.node_id;
  gw_test_plugin_kill (&lab->plugin);
  gw_fake_agent_wait_closed (lab->plugin.agent);
  lab->numberings = 0;
  lab->plugin.pid = spawn (lab, lab->device, "500000", NULL);
  gw_test_plugin_wait_calls (&lab->plugin, 2);
  discover (lab);
  g_assert_cmpuint (lab->nodes[0].slave.node_id, ==, number);
  g_assert_cmpuint (lab->numberings, ==, 0);
}

static void
test_bus_off (Lab *lab, gconstpointer data)
{
  const GwBusmsg *msg;

  discover (lab);
  lab->flags = GW_SLCAN_STATUS_BUS_ERROR | GW_SLCAN_STATUS_TX_FULL;
  do
    msg = gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_LINK);
  while (msg->link.state != GW_BUSMSG_LINK_OFF);
  lab->flags = 0;
  do
    msg = gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_LINK);
  while (msg->link.state != GW_BUSMSG_LINK_ACTIVE);
}

/* An adapter that is off and on all the time may not fill the journal. */
static void
test_flapping (Lab *lab, gconstpointer data)
{
  static const char mad[] = "sb255255\rsa000000\r";
  g_autofree char *path = NULL, *text = NULL;
  guint lines = 0;

  discover (lab);
  gw_test_plugin_terminate (&lab->plugin);
  lab->plugin.said = g_file_open_tmp (NULL, &path, NULL);
  lab->plugin.pid = spawn (lab, lab->device, "500000", NULL);
  gw_test_plugin_wait_calls (&lab->plugin, 2);
  discover (lab);
  for (guint sent = 0; sent < 2000;)
    if (write (lab->plugin.master, mad, sizeof mad - 1) > 0)
      sent++;
    else
      g_main_context_iteration (NULL, FALSE);
  pull_adapter (lab);
  gw_test_plugin_wait_end (&lab->plugin);
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  for (const char *at = text; (at = strchr (at, '\n')) != NULL; at++)
    lines++;
  g_assert_nonnull (strstr (text, "bus off"));
  g_assert_cmpuint (lines, <, 20);
  close (lab->plugin.said);
  g_unlink (path);
}

static void
test_unplugged (Lab *lab, gconstpointer data)
{
  guint id = discover (lab);
  const GwBusmsg *msg;

  pull_adapter (lab);
  msg = gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_NODE_DOWN);
  g_assert_cmpuint (msg->node, ==, id);
  g_assert_cmpint (msg->node_down.reason, ==, GW_BUSMSG_DOWN_GONE);
  gw_test_plugin_wait_end (&lab->plugin);
}

static void
test_terminated (Lab *lab, gconstpointer data)
{
  discover (lab);
  g_assert_true (gw_test_plugin_seccomp_mode_is (&lab->plugin, data == NULL ? "2" : "0"));
  kill (lab->plugin.pid, SIGTERM);
  g_assert_cmpint (gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_NODE_DOWN)->node_down.reason, ==, GW_BUSMSG_DOWN_GONE);
  gw_test_plugin_wait_end (&lab->plugin);
}

static void
test_bus_lost (Lab *lab, gconstpointer data)
{
  discover (lab);
  gw_test_bus_stop (lab->plugin.dbus);
  g_assert_cmpint (gw_test_plugin_exit_status (lab->plugin.pid), ==, 1);
  lab->plugin.pid = 0;
}

static void
test_refused (Lab *lab, gconstpointer data)
{
  /* A second one for the same adapter, then devices, rates and interfaces that are none. */
  discover (lab);
  g_assert_cmpint (gw_test_plugin_exit_status (spawn (lab, lab->device, "500000", NULL)), ==, 1);
  g_assert_cmpint (gw_test_plugin_exit_status (spawn (lab, "slcan:/dev/null", "500000", NULL)), ==, 1);
  g_assert_cmpint (gw_test_plugin_exit_status (spawn (lab, "slcan:/dev/nonexistent", "500000", NULL)), ==, 1);
  g_assert_cmpint (gw_test_plugin_exit_status (spawn (lab, "slcan:", "500000", NULL)), ==, 1);
  g_assert_cmpint (gw_test_plugin_exit_status (spawn (lab, lab->device, "83333", NULL)), ==, 1);
  g_assert_cmpint (gw_test_plugin_exit_status (spawn (lab, lab->device, "-1", NULL)), ==, 2);
  g_assert_cmpint (gw_test_plugin_exit_status (spawn (lab, "nonexistent", "500000", NULL)), ==, 1);
  g_assert_cmpint (gw_test_plugin_exit_status (spawn (lab, "a-name-too-long-for-an-interface", "500000", NULL)), ==, 1);
  g_assert_cmpint (gw_test_plugin_exit_status (spawn (lab, "", "500000", NULL)), ==, 1);
  g_assert_cmpint (gw_test_plugin_exit_status (spawn (lab, "lo", "500000", NULL)), ==, 1);
}

#define ADD(path, func, data) g_test_add (path, Lab, data, setup, func, teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("/gangway-can/discovery", test_discovery, NULL);
  ADD ("/gangway-can/datagrams", test_datagrams, NULL);
  ADD ("/gangway-can/agent-restart", test_agent_restart, NULL);
  ADD ("/gangway-can/killed", test_killed, NULL);
  ADD ("/gangway-can/bus-off", test_bus_off, NULL);
  ADD ("/gangway-can/flapping", test_flapping, NULL);
  ADD ("/gangway-can/unplugged", test_unplugged, NULL);
  ADD ("/gangway-can/terminated", test_terminated, NULL);
  ADD ("/gangway-can/no-sandbox", test_terminated, "--no-sandbox");
  ADD ("/gangway-can/bus-lost", test_bus_lost, NULL);
  ADD ("/gangway-can/refused", test_refused, NULL);
  return g_test_run ();
}
