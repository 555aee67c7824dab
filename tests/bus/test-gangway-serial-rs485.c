/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* gangway-serial --rs485 as a process, between an agent that the test plays on a private bus and stations that it plays on
 * a pty: discovery with collisions, datagrams, restarts of the agent, silence, echo, hang-up. */

#include <gio/gio.h>

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gw-fake-agent.h"
#include "gw-station.h"

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
  GwTestBus *dbus;
  GwFakeAgent *agent;
  int master;
  char *device, *log;
  GPid pid;
  guint8 rx[2048 + GW_FRAME_OVERHEAD];
  GwFrameDecoder decoder;
  GSource *source;
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

  memset (out, 0, sizeof *out);
  out->version = 1;
  memcpy (out->kid, node->kid, sizeof out->kid);
  memcpy (out->uid, node->kid, sizeof out->uid);
  out->manufacturer = gw_text ("Maker");
  out->model = gw_text ("M1");
  out->serial = gw_text ("7");
  out->firmware = gw_text ("1.0");
  out->mtu = MTU;
}

static void
on_link (void *owner, bool up)
{
}

static void
on_datagram (void *owner, GwBytes datagram)
{
  Node *node = owner;
  GwLinkHelloReq req;
  GwLinkHello hello;
  GwSmpMessage msg;
  GwCborWriter w;
  guint8 answer[MTU];
  gsize len;

  if (gw_smp_decode (datagram.ptr, datagram.len, &msg) != GW_OK || msg.command != GW_LINK_HELLO
      || gw_link_hello_req_decode (msg.body, &req) != GW_OK)
    {
      g_queue_push_tail (&node->datagrams, g_bytes_new (datagram.ptr, datagram.len));
      return;
    }
  on_hello (node, &hello);
  hello.has_nonce = req.has_nonce;
  memcpy (hello.nonce, req.nonce, sizeof hello.nonce);
  gw_smp_begin_response (&w, answer, sizeof answer, &msg);
  gw_link_hello_rsp_encode (&hello, &w);
  g_assert_cmpint (gw_smp_end (&w, &len), ==, GW_OK);
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
  if (len > 0 && lab->master >= 0)
    g_assert_cmpint (write (lab->master, octets, len), ==, len);
}

static gboolean
on_master (int fd, GIOCondition condition, gpointer data)
{
  Lab *lab = data;
  guint8 octets[4096];
  ssize_t n = read (fd, octets, sizeof octets);
  gsize done = 0;

  if (n > 0 && lab->echo)
    g_assert_cmpint (write (fd, octets, n), ==, n);
  while (n > 0 && done < (gsize) n)
    {
      GwFrame frame;
      size_t used;

      if (gw_frame_decoder_feed (&lab->decoder, octets + done, n - done, &used, &frame) == GW_FRAME_EVENT_FRAME)
        take_frame (lab, &frame);
      done += used;
    }
  return G_SOURCE_CONTINUE;
}

/* ---- The plugin ---- */

static void
child_setup (gpointer data)
{
  Lab *lab = data;
  int fd = open (lab->log, O_WRONLY | O_CREAT | O_APPEND, 0600);

  dup2 (fd, STDERR_FILENO);
  prctl (PR_SET_PDEATHSIG, SIGKILL);
}

static int
exit_status (GPid pid)
{
  int status;

  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFEXITED (status));
  return WEXITSTATUS (status);
}

static void
open_line (Lab *lab)
{
  char name[64];

  lab->master = posix_openpt (O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  g_assert_cmpint (lab->master, >=, 0);
  g_assert_cmpint (grantpt (lab->master), ==, 0);
  g_assert_cmpint (unlockpt (lab->master), ==, 0);
  g_assert_cmpint (ptsname_r (lab->master, name, sizeof name), ==, 0);
  lab->device = g_strdup (name);
  lab->source = g_unix_fd_source_new (lab->master, G_IO_IN);
  g_source_set_callback (lab->source, G_SOURCE_FUNC (on_master), lab, NULL);
  g_source_attach (lab->source, NULL);
}

static void
hang_up (Lab *lab)
{
  if (lab->source != NULL)
    g_source_destroy (lab->source);
  g_clear_pointer (&lab->source, g_source_unref);
  if (lab->master >= 0)
    close (lab->master);
  lab->master = -1;
}

static void
setup (Lab *lab, gconstpointer data)
{
  const char *argv[] = { GW_TEST_SERIAL, "--rs485", "--device", NULL, "--name", "tty-test", "--bus", NULL, data, NULL };
  g_autoptr (GError) error = NULL;
  int fd;

  lab->dbus = gw_test_bus_new (GW_TEST_POLICY);
  lab->agent = gw_fake_agent_new (lab->dbus, GW_FAKE_AGENT_GOOD);
  gw_frame_decoder_init (&lab->decoder, lab->rx, sizeof lab->rx);
  for (guint i = 0; i < N_STATIONS; i++)
    {
      lab->nodes[i].lab = lab;
      memset (lab->nodes[i].kid, 0x40 + i, sizeof lab->nodes[i].kid);
      g_queue_init (&lab->nodes[i].datagrams);
      gw_station_init (&lab->nodes[i].station, &funcs, &lab->nodes[i], lab->nodes[i].kid, MTU);
    }
  fd = g_file_open_tmp ("gangway-serial-XXXXXX.log", &lab->log, &error);
  g_assert_no_error (error);
  close (fd);
  open_line (lab);
  argv[3] = lab->device;
  argv[7] = gw_test_bus_get_address (lab->dbus);
  g_spawn_async (NULL, (char **) argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, child_setup, lab, &lab->pid, &error);
  g_assert_no_error (error);
}

static void
teardown (Lab *lab, gconstpointer data)
{
  if (lab->pid != 0)
    {
      kill (lab->pid, SIGTERM);
      g_assert_cmpint (exit_status (lab->pid), ==, 0);
    }
  hang_up (lab);
  g_clear_pointer (&lab->agent, gw_fake_agent_free);
  gw_test_bus_free (lab->dbus);
  for (guint i = 0; i < N_STATIONS; i++)
    g_queue_clear_full (&lab->nodes[i].datagrams, (GDestroyNotify) g_bytes_unref);
  unlink (lab->log);
  g_free (lab->log);
  g_free (lab->device);
}

/* The next message that is none of those which come when they come. */
static const GwBusmsg *
expect (Lab *lab, GwBusmsgType type)
{
  const GwBusmsg *msg;

  do
    msg = gw_fake_agent_next (lab->agent);
  while ((msg->type == GW_BUSMSG_STATS || msg->type == GW_BUSMSG_LINK || msg->type == GW_BUSMSG_NODE) && msg->type != type);
  g_assert_cmpint (msg->type, ==, type);
  return msg;
}

/* Waits for all stations; ids of their nodes by station. */
static void
discover (Lab *lab, guint ids[N_STATIONS])
{
  expect (lab, GW_BUSMSG_HELLO);
  for (guint i = 0; i < N_STATIONS; i++)
    {
      const GwBusmsg *msg = expect (lab, GW_BUSMSG_NODE_UP);
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

  expect (lab, GW_BUSMSG_HELLO);
  while (ups < N_STATIONS || told < N_STATIONS)
    {
      const GwBusmsg *msg = gw_fake_agent_next (lab->agent);
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
  g_assert_true (g_variant_lookup (gw_fake_agent_get_options (lab->agent), "kind", "s", &kind));
  g_assert_cmpstr (kind, ==, "rs485");
}

static gboolean
has_datagram (gpointer data)
{
  return !g_queue_is_empty (&((Node *) data)->datagrams);
}

static void
check_datagrams (Lab *lab, const guint ids[N_STATIONS], gsize len)
{
  guint8 data[MTU] = { 0x17 };

  for (guint i = 0; i < N_STATIONS; i++)
    {
      g_autoptr (GBytes) got = NULL;
      const GwBusmsg *msg;

      data[len - 1] = i;
      g_assert_true (gw_station_send (&lab->nodes[i].station, data, len));
      msg = expect (lab, GW_BUSMSG_DATAGRAM);
      g_assert_cmpuint (msg->node, ==, ids[i]);
      g_assert_cmpmem (msg->datagram.ptr, msg->datagram.len, data, len);
      gw_fake_agent_send_datagram (lab->agent, ids[i], data, len);
      gw_test_wait (has_datagram, &lab->nodes[i], "a datagram from the plugin");
      got = g_queue_pop_head (&lab->nodes[i].datagrams);
      g_assert_cmpmem (g_bytes_get_data (got, NULL), g_bytes_get_size (got), data, len);
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
      gw_fake_agent_free (lab->agent);
      lab->agent = gw_fake_agent_new (lab->dbus, GW_FAKE_AGENT_GOOD);
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
  msg = expect (lab, GW_BUSMSG_NODE_DOWN);
  g_assert_cmpuint (msg->node, ==, ids[1]);
  g_assert_cmpint (msg->node_down.reason, ==, GW_BUSMSG_DOWN_SILENT);
  lab->nodes[1].deaf = FALSE;
  g_assert_cmpuint (expect (lab, GW_BUSMSG_NODE_UP)->node, >, ids[1]);
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
  hang_up (lab);
  for (guint i = 0; i < N_STATIONS; i++)
    g_assert_cmpint (expect (lab, GW_BUSMSG_NODE_DOWN)->node_down.reason, ==, GW_BUSMSG_DOWN_GONE);
  g_assert_cmpint (exit_status (lab->pid), ==, 0);
  lab->pid = 0;
}

static void
test_terminated (Lab *lab, gconstpointer data)
{
  guint ids[N_STATIONS];

  discover (lab, ids);
  kill (lab->pid, SIGTERM);
  for (guint i = 0; i < N_STATIONS; i++)
    g_assert_cmpint (expect (lab, GW_BUSMSG_NODE_DOWN)->node_down.reason, ==, GW_BUSMSG_DOWN_GONE);
  g_assert_cmpint (exit_status (lab->pid), ==, 0);
  lab->pid = 0;
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
    msg = gw_fake_agent_next (lab->agent);
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
