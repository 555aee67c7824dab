/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* gangway-serial as a process, between an agent that the test plays on a private bus and an endpoint that it plays on a
 * pty with the frame codec: discovery, datagrams, restarts of the agent, noise, a wire that is full, hang-up. */

#include <gio/gio.h>

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <asm/termbits.h>

#include "gw-fake-agent.h"
#include "gw-frame-codec.h"
#include "gw-link-codec.h"

typedef struct
{
  GwTestBus *dbus;
  GwFakeAgent *agent;
  int master;
  char *device;
  GPid pid;
  guint8 rx[GW_BUSMSG_DATAGRAM_MAX + GW_FRAME_OVERHEAD];
  GwFrameDecoder decoder;
  GQueue frames; /* GBytes, from the plugin */
  GSource *source;
} Lab;

/* ---- The endpoint's end of the line ---- */

static gboolean
on_master (int fd, GIOCondition condition, gpointer data)
{
  Lab *lab = data;
  guint8 octets[4096];
  ssize_t n = read (fd, octets, sizeof octets);
  gsize done = 0;

  while (n > 0 && done < (gsize) n)
    {
      GwFrame frame;
      size_t used;

      if (gw_frame_decoder_feed (&lab->decoder, octets + done, n - done, &used, &frame) == GW_FRAME_EVENT_FRAME)
        g_queue_push_tail (&lab->frames, g_bytes_new (frame.info.ptr, frame.info.len));
      done += used;
    }
  return G_SOURCE_CONTINUE;
}

static void
listen_to_line (Lab *lab, gboolean listen)
{
  if (lab->source != NULL)
    g_source_destroy (lab->source);
  g_clear_pointer (&lab->source, g_source_unref);
  if (!listen)
    return;
  lab->source = g_unix_fd_source_new (lab->master, G_IO_IN);
  g_source_set_callback (lab->source, G_SOURCE_FUNC (on_master), lab, NULL);
  g_source_attach (lab->source, NULL);
}

static void
hang_up (Lab *lab)
{
  listen_to_line (lab, FALSE);
  if (lab->master >= 0)
    close (lab->master);
  lab->master = -1;
}

/* Turns the main loop while the line is full: the plugin may wait for our reading it. */
static void
write_all (Lab *lab, const guint8 *data, gsize len)
{
  while (len > 0)
    {
      ssize_t n = write (lab->master, data, len);

      if (n < 0)
        {
          g_assert_cmpint (errno, ==, EAGAIN);
          g_main_context_iteration (NULL, FALSE);
          continue;
        }
      data += n;
      len -= n;
    }
}

static void
send_frame (Lab *lab, gconstpointer data, gsize len)
{
  const GwFrame frame = { .address = GW_FRAME_ADDRESS_ALL, .info = { data, len } };
  guint8 out[GW_FRAME_ENCODED_MAX (GW_BUSMSG_DATAGRAM_MAX + 1)];
  size_t n;

  g_assert_cmpint (gw_frame_encode (&frame, out, sizeof out, &n), ==, GW_OK);
  write_all (lab, out, n);
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

/* Waits for a hello and returns the answer of the endpoint with this number. */
static GBytes *
make_answer (Lab *lab, guint8 kid)
{
  g_autoptr (GBytes) frame = next_frame (lab);
  GwLinkHello hello = { .version = 1, .mtu = 4096, .security = GW_LINK_SEC_DTLS12 };
  GwLinkHelloReq req;
  GwSmpMessage msg;
  GwCborWriter w;
  guint8 out[512];
  gsize len;

  g_assert_cmpint (gw_smp_decode (g_bytes_get_data (frame, NULL), g_bytes_get_size (frame), &msg), ==, GW_OK);
  g_assert_cmpint (msg.op, ==, GW_SMP_OP_READ);
  g_assert_cmpint (msg.group, ==, GW_SMP_GROUP_LINK);
  g_assert_cmpint (msg.command, ==, GW_LINK_HELLO);
  g_assert_cmpint (gw_link_hello_req_decode (msg.body, &req), ==, GW_OK);
  memset (hello.kid, kid, sizeof hello.kid);
  memset (hello.uid, kid, sizeof hello.uid);
  hello.manufacturer = gw_text ("Maker");
  hello.model = gw_text ("M1");
  hello.serial = gw_text ("7");
  hello.firmware = gw_text ("1.0");
  hello.has_nonce = req.has_nonce;
  memcpy (hello.nonce, req.nonce, sizeof hello.nonce);
  gw_smp_begin_response (&w, out, sizeof out, &msg);
  gw_link_hello_rsp_encode (&hello, &w);
  g_assert_cmpint (gw_smp_end (&w, &len), ==, GW_OK);
  return g_bytes_new (out, len);
}

static void
answer_hello (Lab *lab, guint8 kid)
{
  g_autoptr (GBytes) message = make_answer (lab, kid);

  send_frame (lab, g_bytes_get_data (message, NULL), g_bytes_get_size (message));
}

/* ---- The plugin ---- */

static void
child_setup (gpointer data)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
}

/* @option: one more, or NULL. */
static GPid
spawn (Lab *lab, const char *device, const char *speed, const char *option)
{
  const char *argv[] = { GW_TEST_SERIAL,
                         "--device",
                         device,
                         "--name",
                         "tty-test",
                         "--bus",
                         gw_test_bus_get_address (lab->dbus),
                         "--speed",
                         speed,
                         option,
                         NULL };
  g_autoptr (GError) error = NULL;
  GPid pid;

  g_spawn_async (NULL, (char **) argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, child_setup, NULL, &pid, &error);
  g_assert_no_error (error);
  return pid;
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
  listen_to_line (lab, TRUE);
}

static void
setup (Lab *lab, gconstpointer data)
{
  lab->dbus = gw_test_bus_new (GW_TEST_POLICY);
  lab->agent = gw_fake_agent_new (lab->dbus, GW_FAKE_AGENT_GOOD);
  g_queue_init (&lab->frames);
  gw_frame_decoder_init (&lab->decoder, lab->rx, sizeof lab->rx);
  open_line (lab);
  lab->pid = spawn (lab, lab->device, "115200", data);
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
  g_queue_clear_full (&lab->frames, (GDestroyNotify) g_bytes_unref);
  g_free (lab->device);
}

/* The next message that is not STATS, which come when they come. */
static const GwBusmsg *
expect (Lab *lab, GwBusmsgType type)
{
  const GwBusmsg *msg;

  do
    msg = gw_fake_agent_next (lab->agent);
  while (msg->type == GW_BUSMSG_STATS && type != GW_BUSMSG_STATS);
  g_assert_cmpint (msg->type, ==, type);
  return msg;
}

/* Brings the endpoint with this number up and returns its node. */
static guint
discover (Lab *lab, guint8 kid)
{
  expect (lab, GW_BUSMSG_HELLO);
  answer_hello (lab, kid);
  return expect (lab, GW_BUSMSG_NODE_UP)->node;
}

/* ---- Tests ---- */

static void
test_discovery (Lab *lab, gconstpointer data)
{
  g_autoptr (GBytes) unanswered = NULL;
  g_autoptr (GBytes) answer = NULL;
  GwSmpMessage smp;
  const GwBusmsg *msg;

  expect (lab, GW_BUSMSG_HELLO);
  unanswered = next_frame (lab);
  answer = make_answer (lab, 5);
  send_frame (lab, g_bytes_get_data (answer, NULL), g_bytes_get_size (answer));
  msg = expect (lab, GW_BUSMSG_NODE_UP);
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
  msg = expect (lab, GW_BUSMSG_DATAGRAM);
  g_assert_cmpuint (msg->node, ==, node);
  g_assert_cmpmem (msg->datagram.ptr, msg->datagram.len, data, len);
  gw_fake_agent_send_datagram (lab->agent, node, data, len);
  frame = next_frame (lab);
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

static gboolean
seccomp_mode_is (GPid pid, const char *mode)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/status", pid);
  g_autofree char *wanted = g_strdup_printf ("\nSeccomp:\t%s\n", mode);
  g_autofree char *text = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  return strstr (text, wanted) != NULL;
}

static void
test_agent_restart (Lab *lab, gconstpointer data)
{
  guint node = discover (lab, 5);

  check_datagram (lab, node, 100, 1);
  g_assert_true (seccomp_mode_is (lab->pid, "2"));
  for (guint i = 0; i < 3; i++)
    {
      gw_fake_agent_free (lab->agent);
      lab->agent = gw_fake_agent_new (lab->dbus, GW_FAKE_AGENT_GOOD);
      expect (lab, GW_BUSMSG_HELLO);
      g_assert_cmpuint (expect (lab, GW_BUSMSG_NODE_UP)->node, ==, node);
      check_datagram (lab, node, 100, 2);
    }
}

static void
test_hang_up (Lab *lab, gconstpointer data)
{
  guint node = discover (lab, 5);
  const GwBusmsg *msg;

  hang_up (lab);
  msg = expect (lab, GW_BUSMSG_NODE_DOWN);
  g_assert_cmpuint (msg->node, ==, node);
  g_assert_cmpint (msg->node_down.reason, ==, GW_BUSMSG_DOWN_GONE);
  g_assert_cmpint (exit_status (lab->pid), ==, 0);
  lab->pid = 0;
}

static void
test_terminated (Lab *lab, gconstpointer data)
{
  discover (lab, 5);
  g_assert_true (seccomp_mode_is (lab->pid, data == NULL ? "2" : "0"));
  kill (lab->pid, SIGTERM);
  g_assert_cmpint (expect (lab, GW_BUSMSG_NODE_DOWN)->node_down.reason, ==, GW_BUSMSG_DOWN_GONE);
  g_assert_cmpint (exit_status (lab->pid), ==, 0);
  lab->pid = 0;
}

static void
test_bus_lost (Lab *lab, gconstpointer data)
{
  discover (lab, 5);
  gw_test_bus_stop (lab->dbus);
  g_assert_cmpint (exit_status (lab->pid), ==, 1);
  lab->pid = 0;
}

/* What a crash leaves of the line's lock must not keep the next one out, also where it is not root. */
static void
test_killed (Lab *lab, gconstpointer data)
{
  int fd, exclusive = -1, status;

  discover (lab, 5);
  kill (lab->pid, SIGKILL);
  g_assert_cmpint (waitpid (lab->pid, &status, 0), ==, lab->pid);
  fd = open (lab->device, O_RDWR | O_NOCTTY | O_CLOEXEC);
  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (ioctl (fd, TIOCGEXCL, &exclusive), ==, 0);
  g_assert_false (exclusive);
  close (fd);
  gw_fake_agent_wait_closed (lab->agent);
  g_queue_clear_full (&lab->frames, (GDestroyNotify) g_bytes_unref);
  lab->pid = spawn (lab, lab->device, "115200", NULL);
  while (gw_fake_agent_get_calls (lab->agent) < 2)
    g_main_context_iteration (NULL, TRUE);
  discover (lab, 5);
}

static void
test_refused (Lab *lab, gconstpointer data)
{
  /* A second one for the same line, then lines and speeds that are none. */
  discover (lab, 5);
  g_assert_cmpint (exit_status (spawn (lab, lab->device, "115200", NULL)), ==, 1);
  g_assert_cmpint (exit_status (spawn (lab, "/dev/null", "115200", NULL)), ==, 1);
  g_assert_cmpint (exit_status (spawn (lab, "/dev/nonexistent", "115200", NULL)), ==, 1);
  g_assert_cmpint (exit_status (spawn (lab, lab->device, "0", NULL)), ==, 1);
  g_assert_cmpint (exit_status (spawn (lab, lab->device, "-9600", NULL)), ==, 1);
  /* What is wrong with the words themselves is told apart: no restart mends it. */
  g_assert_cmpint (exit_status (spawn (lab, lab->device, "fast", NULL)), ==, 2);
  g_assert_cmpint (exit_status (spawn (lab, lab->device, "115200", "--sped")), ==, 2);
  g_assert_cmpint (exit_status (spawn (lab, lab->device, "115200", "--name=ttyUSB0.1")), ==, 2);
  g_assert_cmpint (exit_status (spawn (lab, lab->device, "115200", "--name=")), ==, 2);
}

/* A name in /dev/serial/by-id is longer than a bus's, and adapters of one kind differ near its end. */
static void
test_name_of_the_device (Lab *lab, gconstpointer data)
{
  g_autofree char *folder = g_dir_make_tmp ("gangway-XXXXXX", NULL);
  g_autofree char *link = g_build_filename (folder, "usb-Maker_RS232.Adapter_Plus_AB0C-if00-port0", NULL);
  g_autofree char *option = g_strdup_printf ("--device=%s", link);
  const char *argv[] = { GW_TEST_SERIAL, option, "--bus", gw_test_bus_get_address (lab->dbus), NULL };
  const char *name = NULL;
  guint calls;

  discover (lab, 5);
  kill (lab->pid, SIGTERM);
  g_assert_cmpint (exit_status (lab->pid), ==, 0);
  g_assert_cmpint (symlink (lab->device, link), ==, 0);
  calls = gw_fake_agent_get_calls (lab->agent);
  g_assert_true (g_spawn_async (NULL, (char **) argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, child_setup, NULL, &lab->pid, NULL));
  while (gw_fake_agent_get_calls (lab->agent) == calls)
    g_main_context_iteration (NULL, TRUE);
  g_assert_true (g_variant_lookup (gw_fake_agent_get_options (lab->agent), "name", "&s", &name));
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
      gw_fake_agent_send (lab->agent, &scan);
      g_main_context_iteration (NULL, FALSE);
      g_usleep (1000);
    }
  answer_hello (lab, 6);
  msg = expect (lab, GW_BUSMSG_NODE_DOWN);
  g_assert_cmpuint (msg->node, ==, node);
  g_assert_cmpint (msg->node_down.reason, ==, GW_BUSMSG_DOWN_REPLACED);
  g_assert_cmpuint (expect (lab, GW_BUSMSG_NODE_UP)->node, >, node);
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
      write_all (lab, noise, sizeof noise);
    }
  g_rand_free (rand);
  noise[0] = GW_FRAME_FLAG;
  write_all (lab, noise, 1);
  check_datagram (lab, node, 100, 3);
  do
    msg = gw_fake_agent_expect (lab->agent, GW_BUSMSG_STATS);
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

  listen_to_line (lab, FALSE);
  g_queue_clear_full (&lab->frames, (GDestroyNotify) g_bytes_unref);
  for (guint i = 1; i <= n; i++)
    {
      datagram[1] = i;
      gw_fake_agent_send_datagram (lab->agent, node, datagram, sizeof datagram);
    }
  do
    msg = gw_fake_agent_expect (lab->agent, GW_BUSMSG_STATS);
  while (msg->stats.dropped == 0);
  listen_to_line (lab, TRUE);
  while (got + msg->stats.dropped < n)
    {
      g_main_context_iteration (NULL, TRUE);
      while (has_frame (lab))
        {
          g_autoptr (GBytes) frame = g_queue_pop_head (&lab->frames);
          const guint8 *octets = g_bytes_get_data (frame, NULL);

          /* Not a question: all must come before the silence makes the plugin turn to the wire anyway. */
          g_assert_cmphex (octets[0], ==, 0x17);
          g_assert_cmpuint (octets[1], >, last);
          last = octets[1];
          got++;
        }
      while (gw_fake_agent_waiting (lab->agent) > 0)
        msg = gw_fake_agent_expect (lab->agent, GW_BUSMSG_STATS);
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
      kill (lab->pid, SIGTERM);
      g_assert_cmpint (exit_status (lab->pid), ==, 0);
      hang_up (lab);
      g_queue_clear_full (&lab->frames, (GDestroyNotify) g_bytes_unref);
      gw_fake_agent_free (lab->agent);
      lab->agent = gw_fake_agent_new (lab->dbus, GW_FAKE_AGENT_GOOD);
      g_clear_pointer (&lab->device, g_free);
      open_line (lab);
      lab->pid = spawn (lab, lab->device, speeds[i], NULL);
      gw_test_wait (has_frame, lab, "a frame from the plugin");
      g_assert_cmpint (ioctl (lab->master, TCGETS2, &tio), ==, 0);
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
