/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* gangway-serial as a process, between an agent that the test plays on a private bus and an endpoint that it plays on a
 * pty with the frame codec: discovery, datagrams, restarts of the agent, noise, a wire that is full, hang-up. */

#include <gio/gio.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <asm/termbits.h>

#include "gw-frame-codec.h"
#include "gw-test-hello.h"
#include "gw-test-plugin.h"

typedef struct
{
  GwTestPlugin plugin;
  guint8 rx[GW_BUSMSG_DATAGRAM_MAX + GW_FRAME_OVERHEAD];
  GwFrameDecoder decoder;
  GQueue frames; /* GBytes, from the plugin */
} Lab;

/* ---- The endpoint's end of the line ---- */

static void
on_octets (gpointer owner, const guint8 *data, gsize len)
{
  Lab *lab = owner;
  GwFrame frame;
  size_t used;

  for (; len > 0; data += used, len -= used)
    if (gw_frame_decoder_feed (&lab->decoder, data, len, &used, &frame) == GW_FRAME_EVENT_FRAME)
      g_queue_push_tail (&lab->frames, g_bytes_new (frame.info.ptr, frame.info.len));
}

static void
send_frame (Lab *lab, gconstpointer data, gsize len)
{
  const GwFrame frame = { .address = GW_FRAME_ADDRESS_ALL, .info = { data, len } };
  guint8 out[GW_FRAME_ENCODED_MAX (GW_BUSMSG_DATAGRAM_MAX + 1)];
  size_t n;

  g_assert_cmpint (gw_frame_encode (&frame, out, sizeof out, &n), ==, GW_OK);
  gw_test_plugin_write (&lab->plugin, out, n);
}

static gboolean
has_frame (gpointer data)
{
  return !g_queue_is_empty (&((Lab *) data)->frames);
}

static GBytes *
next_frame (Lab *lab)
{
  gw_test_wait (has_frame, lab, "a frame from the plugin");
  return g_queue_pop_head (&lab->frames);
}

/* The endpoint is asked once a second, so on a busy machine perhaps again before its answer is there. */
static gboolean
is_question (GBytes *frame)
{
  GwSmpMessage msg;

  return gw_smp_decode (g_bytes_get_data (frame, NULL), g_bytes_get_size (frame), &msg) == GW_OK
         && msg.op == GW_SMP_OP_READ && msg.group == GW_SMP_GROUP_LINK;
}

static GBytes *
next_datagram (Lab *lab)
{
  GBytes *frame = next_frame (lab);

  while (is_question (frame))
    {
      g_bytes_unref (frame);
      frame = next_frame (lab);
    }
  return frame;
}

/* Waits for a hello and returns the answer of the endpoint with this number. */
static GBytes *
make_answer (Lab *lab, guint8 number)
{
  g_autoptr (GBytes) frame = next_frame (lab);
  const GwBytes question = { g_bytes_get_data (frame, NULL), g_bytes_get_size (frame) };
  guint8 kid[GW_KEY_ID_LEN], out[512];
  GwLinkHello hello;
  gsize len;

  memset (kid, number, sizeof kid);
  gw_test_hello_init (&hello, kid, 4096);
  len = gw_test_hello_answer (&hello, question, out, sizeof out);
  g_assert_cmpuint (len, >, 0);
  return g_bytes_new (out, len);
}

static void
answer_hello (Lab *lab, guint8 number)
{
  g_autoptr (GBytes) message = make_answer (lab, number);

  send_frame (lab, g_bytes_get_data (message, NULL), g_bytes_get_size (message));
}

/* ---- The plugin ---- */

/* @option: one more, or NULL. */
static GPid
spawn (Lab *lab, const char *device, const char *speed, const char *option)
{
  const char *const options[] = { "--name", "tty-test", "--speed", speed, option, NULL };

  return gw_test_plugin_spawn (&lab->plugin, GW_TEST_SERIAL, device, options);
}

static void
setup (Lab *lab, gconstpointer data)
{
  g_queue_init (&lab->frames);
  gw_frame_decoder_init (&lab->decoder, lab->rx, sizeof lab->rx);
  gw_test_plugin_init (&lab->plugin, GW_TEST_POLICY, on_octets, lab);
  lab->plugin.pid = spawn (lab, lab->plugin.device, "115200", data);
}

static void
teardown (Lab *lab, gconstpointer data)
{
  gw_test_plugin_clear (&lab->plugin);
  g_queue_clear_full (&lab->frames, (GDestroyNotify) g_bytes_unref);
}

/* Brings the endpoint with this number up and returns its node. */
static guint
discover (Lab *lab, guint8 number)
{
  gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_HELLO);
  answer_hello (lab, number);
  return gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_NODE_UP)->node;
}

/* ---- Tests ---- */

static void
test_discovery (Lab *lab, gconstpointer data)
{
  g_autoptr (GBytes) unanswered = NULL;
  g_autoptr (GBytes) answer = NULL;
  GwSmpMessage smp;
  const GwBusmsg *msg;

  gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_HELLO);
  unanswered = next_frame (lab);
  answer = make_answer (lab, 5);
  send_frame (lab, g_bytes_get_data (answer, NULL), g_bytes_get_size (answer));
  msg = gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_NODE_UP);
  g_assert_cmpuint (msg->node_up.mtu, ==, GW_BUSMSG_DATAGRAM_MAX);
  g_assert_cmpint (
      gw_smp_decode (g_bytes_get_data (answer, NULL), g_bytes_get_size (answer), &smp), ==, GW_OK);
  g_assert_cmpmem (msg->node_up.cbor.ptr, msg->node_up.cbor.len, smp.body.ptr, smp.body.len);
}

static void
check_datagram (Lab *lab, guint node, gsize len, guint8 fill)
{
  g_autofree guint8 *data = g_malloc (len);
  g_autoptr (GBytes) frame = NULL;
  const GwBusmsg *msg;

  memset (data, fill, len);
  data[0] = 0x17;
  send_frame (lab, data, len);
  msg = gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_DATAGRAM);
  g_assert_cmpuint (msg->node, ==, node);
  g_assert_cmpmem (msg->datagram.ptr, msg->datagram.len, data, len);
  gw_fake_agent_send_datagram (lab->plugin.agent, node, data, len);
  frame = next_datagram (lab);
  g_assert_cmpmem (g_bytes_get_data (frame, NULL), g_bytes_get_size (frame), data, len);
}

static void
test_datagrams (Lab *lab, gconstpointer data)
{
  guint node = discover (lab, 5);

  check_datagram (lab, node, 1, 0);
  check_datagram (lab, node, 100, GW_FRAME_FLAG);
  check_datagram (lab, node, GW_BUSMSG_DATAGRAM_MAX, GW_FRAME_ESCAPE);
  for (guint i = 0; i < 256; i++)
    check_datagram (lab, node, 200, i);
}

static void
test_agent_restart (Lab *lab, gconstpointer data)
{
  guint node = discover (lab, 5);

  check_datagram (lab, node, 100, 1);
  g_assert_true (gw_test_plugin_seccomp_mode_is (&lab->plugin, "2"));
  for (guint i = 0; i < 3; i++)
    {
      gw_test_plugin_restart_agent (&lab->plugin);
      gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_HELLO);
      g_assert_cmpuint (gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_NODE_UP)->node, ==, node);
      check_datagram (lab, node, 100, 2);
    }
}

static void
test_hang_up (Lab *lab, gconstpointer data)
{
  guint node = discover (lab, 5);
  const GwBusmsg *msg;

  gw_test_plugin_hang_up (&lab->plugin);
  msg = gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_NODE_DOWN);
  g_assert_cmpuint (msg->node, ==, node);
  g_assert_cmpint (msg->node_down.reason, ==, GW_BUSMSG_DOWN_GONE);
  gw_test_plugin_wait_end (&lab->plugin);
}

static void
test_terminated (Lab *lab, gconstpointer data)
{
  discover (lab, 5);
  g_assert_true (gw_test_plugin_seccomp_mode_is (&lab->plugin, data == NULL ? "2" : "0"));
  kill (lab->plugin.pid, SIGTERM);
  g_assert_cmpint (gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_NODE_DOWN)->node_down.reason, ==, GW_BUSMSG_DOWN_GONE);
  gw_test_plugin_wait_end (&lab->plugin);
}

static void
test_bus_lost (Lab *lab, gconstpointer data)
{
  discover (lab, 5);
  gw_test_bus_stop (lab->plugin.dbus);
  g_assert_cmpint (gw_test_plugin_exit_status (lab->plugin.pid), ==, 1);
  lab->plugin.pid = 0;
}

/* What a crash leaves of the line's lock must not keep the next one out, also where it is not root. */
static void
test_killed (Lab *lab, gconstpointer data)
{
  int fd, exclusive = -1;

  discover (lab, 5);
  gw_test_plugin_kill (&lab->plugin);
  fd = open (lab->plugin.device, O_RDWR | O_NOCTTY | O_CLOEXEC);
  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (ioctl (fd, TIOCGEXCL, &exclusive), ==, 0);
  g_assert_false (exclusive);
  close (fd);
  gw_fake_agent_wait_closed (lab->plugin.agent);
  g_queue_clear_full (&lab->frames, (GDestroyNotify) g_bytes_unref);
  lab->plugin.pid = spawn (lab, lab->plugin.device, "115200", NULL);
  gw_test_plugin_wait_calls (&lab->plugin, 2);
  discover (lab, 5);
}

static void
test_refused (Lab *lab, gconstpointer data)
{
  /* A second one for the same line, then lines and speeds that are none. */
  discover (lab, 5);
  g_assert_cmpint (gw_test_plugin_exit_status (spawn (lab, lab->plugin.device, "115200", NULL)), ==, 1);
  g_assert_cmpint (gw_test_plugin_exit_status (spawn (lab, "/dev/null", "115200", NULL)), ==, 1);
  g_assert_cmpint (gw_test_plugin_exit_status (spawn (lab, "/dev/nonexistent", "115200", NULL)), ==, 1);
  g_assert_cmpint (gw_test_plugin_exit_status (spawn (lab, lab->plugin.device, "0", NULL)), ==, 1);
  g_assert_cmpint (gw_test_plugin_exit_status (spawn (lab, lab->plugin.device, "-9600", NULL)), ==, 1);
  /* What is wrong with the words themselves is told apart: no restart mends it. */
  g_assert_cmpint (gw_test_plugin_exit_status (spawn (lab, lab->plugin.device, "fast", NULL)), ==, 2);
  g_assert_cmpint (gw_test_plugin_exit_status (spawn (lab, lab->plugin.device, "115200", "--sped")), ==, 2);
  g_assert_cmpint (gw_test_plugin_exit_status (spawn (lab, lab->plugin.device, "115200", "--name=ttyUSB0.1")), ==, 2);
  g_assert_cmpint (gw_test_plugin_exit_status (spawn (lab, lab->plugin.device, "115200", "--name=")), ==, 2);
}

/* A name in /dev/serial/by-id is longer than a bus's, and adapters of one kind differ near its end. */
static void
test_name_of_the_device (Lab *lab, gconstpointer data)
{
  g_autofree char *folder = g_dir_make_tmp ("gangway-XXXXXX", NULL);
  g_autofree char *link = g_build_filename (folder, "usb-Maker_RS232.Adapter_Plus_AB0C-if00-port0", NULL);
  const char *const none[] = { NULL };
  const char *name = NULL;
  guint calls;

  discover (lab, 5);
  gw_test_plugin_terminate (&lab->plugin);
  g_assert_cmpint (symlink (lab->plugin.device, link), ==, 0);
  calls = gw_fake_agent_get_calls (lab->plugin.agent);
  lab->plugin.pid = gw_test_plugin_spawn (&lab->plugin, GW_TEST_SERIAL, link, none);
  gw_test_plugin_wait_calls (&lab->plugin, calls + 1);
  g_assert_true (g_variant_lookup (gw_fake_agent_get_options (lab->plugin.agent), "name", "&s", &name));
  g_assert_cmpstr (name, ==, "RS232_Adapter_Plus_AB0C-if00-port0" + 2);
  unlink (link);
  rmdir (folder);
}

static void
test_replaced (Lab *lab, gconstpointer data)
{
  const GwBusmsg scan = { .type = GW_BUSMSG_SCAN };
  guint node = discover (lab, 5);
  const GwBusmsg *msg;

  /* Asked too soon after its answer a scan is swallowed: say it until a question comes. */
  while (!has_frame (lab))
    {
      gw_fake_agent_send (lab->plugin.agent, &scan);
      g_main_context_iteration (NULL, FALSE);
      g_usleep (1000);
    }
  answer_hello (lab, 6);
  msg = gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_NODE_DOWN);
  g_assert_cmpuint (msg->node, ==, node);
  g_assert_cmpint (msg->node_down.reason, ==, GW_BUSMSG_DOWN_REPLACED);
  g_assert_cmpuint (gw_test_plugin_expect (&lab->plugin, GW_BUSMSG_NODE_UP)->node, >, node);
}

/* A megabyte of noise costs nothing but the frames that it hits, and shows in the counters. */
static void
test_noise (Lab *lab, gconstpointer data)
{
  guint node = discover (lab, 5);
  guint8 noise[4096];
  GRand *rand = g_rand_new_with_seed (1);
  const GwBusmsg *msg;

  for (guint turn = 0; turn < 256; turn++)
    {
      for (gsize i = 0; i < sizeof noise; i++)
        noise[i] = g_rand_int_range (rand, 0, 256);
      gw_test_plugin_write (&lab->plugin, noise, sizeof noise);
    }
  g_rand_free (rand);
  noise[0] = GW_FRAME_FLAG;
  gw_test_plugin_write (&lab->plugin, noise, 1);
  check_datagram (lab, node, 100, 3);
  do
    msg = gw_fake_agent_expect (lab->plugin.agent, GW_BUSMSG_STATS);
  while (msg->stats.bytes_in < 1024 * 1024);
  g_assert_cmpuint (msg->stats.fcs_errors, >, 1000);
  g_assert_cmpuint (msg->stats.aborted, >, 10);
  g_assert_cmpuint (msg->stats.oversize, >, 10);
}

/* The wire takes nothing: four datagrams wait, the rest is dropped and counted, and all comes in order later. */
static void
test_full_wire (Lab *lab, gconstpointer data)
{
  const guint n = 100;
  guint node = discover (lab, 5), got = 0, last = 0;
  guint8 datagram[2000] = { 0x17 };
  const GwBusmsg *msg;

  gw_test_plugin_listen (&lab->plugin, FALSE);
  g_queue_clear_full (&lab->frames, (GDestroyNotify) g_bytes_unref);
  for (guint i = 1; i <= n; i++)
    {
      datagram[1] = i;
      gw_fake_agent_send_datagram (lab->plugin.agent, node, datagram, sizeof datagram);
    }
  do
    msg = gw_fake_agent_expect (lab->plugin.agent, GW_BUSMSG_STATS);
  while (msg->stats.dropped == 0);
  gw_test_plugin_listen (&lab->plugin, TRUE);
  while (got + msg->stats.dropped < n)
    {
      g_main_context_iteration (NULL, TRUE);
      while (has_frame (lab))
        {
          g_autoptr (GBytes) frame = g_queue_pop_head (&lab->frames);
          const guint8 *octets = g_bytes_get_data (frame, NULL);

          if (is_question (frame))
            continue;
          g_assert_cmphex (octets[0], ==, 0x17);
          g_assert_cmpuint (octets[1], >, last);
          last = octets[1];
          got++;
        }
      while (gw_fake_agent_waiting (lab->plugin.agent) > 0)
        msg = gw_fake_agent_expect (lab->plugin.agent, GW_BUSMSG_STATS);
    }
  g_assert_cmpuint (got + msg->stats.dropped, ==, n);
  g_test_message ("%u datagrams came, %" G_GUINT64_FORMAT " were dropped", got, msg->stats.dropped);
  g_assert_cmpuint (got, >=, 4);
  g_assert_cmpuint (msg->stats.dropped, >, 50);
  check_datagram (lab, node, 100, 4);
}

/* Speeds of the table and beside it; the master of a pty shows what its line was set to. */
static void
test_speed (Lab *lab, gconstpointer data)
{
  static const char *const speeds[] = { "9600", "250000", "3000000", "12345" };

  for (guint i = 0; i < G_N_ELEMENTS (speeds); i++)
    {
      struct termios2 tio;

      discover (lab, 5);
      gw_test_plugin_terminate (&lab->plugin);
      gw_test_plugin_hang_up (&lab->plugin);
      g_queue_clear_full (&lab->frames, (GDestroyNotify) g_bytes_unref);
      gw_test_plugin_restart_agent (&lab->plugin);
      gw_test_plugin_open_line (&lab->plugin);
      lab->plugin.pid = spawn (lab, lab->plugin.device, speeds[i], NULL);
      gw_test_wait (has_frame, lab, "a frame from the plugin");
      g_assert_cmpint (ioctl (lab->plugin.master, TCGETS2, &tio), ==, 0);
      g_assert_cmpuint (tio.c_ospeed, ==, atoi (speeds[i]));
      g_assert_cmpuint (tio.c_ispeed, ==, atoi (speeds[i]));
      g_assert_cmphex (tio.c_cflag & (CSIZE | PARENB | CSTOPB | CRTSCTS | HUPCL), ==, CS8);
      g_assert_cmphex (tio.c_lflag, ==, 0);
    }
}

#define ADD(path, func) g_test_add (path, Lab, NULL, setup, func, teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("/gangway-serial/discovery", test_discovery);
  ADD ("/gangway-serial/datagrams", test_datagrams);
  ADD ("/gangway-serial/agent-restart", test_agent_restart);
  ADD ("/gangway-serial/hang-up", test_hang_up);
  ADD ("/gangway-serial/terminated", test_terminated);
  /* Under the address sanitizer this is the one that looks for leaks: the sandbox does not allow the search. */
  g_test_add ("/gangway-serial/terminated-outside-the-sandbox", Lab, "--no-sandbox", setup, test_terminated, teardown);
  ADD ("/gangway-serial/bus-lost", test_bus_lost);
  ADD ("/gangway-serial/killed", test_killed);
  ADD ("/gangway-serial/refused", test_refused);
  ADD ("/gangway-serial/name-of-the-device", test_name_of_the_device);
  ADD ("/gangway-serial/replaced", test_replaced);
  ADD ("/gangway-serial/noise", test_noise);
  ADD ("/gangway-serial/full-wire", test_full_wire);
  ADD ("/gangway-serial/speed", test_speed);
  return g_test_run ();
}
