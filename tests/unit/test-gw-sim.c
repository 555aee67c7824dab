/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The simulator seen from the other end of its ptys, on a clock that the test moves: what a command promises
 * is what the line shows. */

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "gw-frame-codec.h"
#include "gw-link-codec.h"
#include "gw-sim-control.h"
#include "gw-sim-plant.h"
#include "gw-status.h"
#include "sim-rig.h"
#include "sim-terminal.h"

/* One user of a port. */
typedef struct
{
  SimRig *rig;
  guint port;
  SimTerminal terminal;
  GwFrameDecoder decoder;
  guint8 frame[2048];
} Line;

/* Two endpoints; `device`: for the first one, NULL: none. */
static void
start (SimRig *rig, const char *seed, const char *sram, const char *device)
{
  const char *devices[] = { device, NULL };
  GwSimOptions options = sim_rig_options (rig);

  options.n_endpoints = 2;
  options.devices = devices;
  options.seed = seed;
  options.sram = sram;
  sim_rig_start (rig, &options);
}

/* The simulator ends, and the flash of its chips is lost. */
static void
end_without_state (SimRig *rig)
{
  g_autofree char *state = g_build_filename (rig->folder, "state", NULL);

  g_clear_pointer (&rig->sim, gw_sim_free);
  sim_rig_remove_tree (state);
}

static void
set_up (SimRig *rig, gconstpointer data)
{
  sim_rig_init (rig);
  start (rig, "test", NULL, NULL);
}

static void
tear_down (SimRig *rig, gconstpointer data)
{
  sim_rig_clear (rig);
}

static void
pass (SimRig *rig, gint64 ms)
{
  for (gint64 t = 0; t < ms; t += 10)
    sim_rig_jump (rig, 10 * 1000);
}

static json_t *
port_status (SimRig *rig, guint port)
{
  g_autofree char *line = g_strdup_printf ("status %u", port);
  json_t *answer = sim_rig_command (rig, line);
  json_t *status = json_incref (json_array_get (json_object_get (answer, "endpoints"), 0));

  json_decref (answer);
  return status;
}

static char *
port_path (SimRig *rig, guint port)
{
  g_autofree char *name = g_strdup_printf ("ttyGW%u", port);

  return g_build_filename (rig->folder, name, NULL);
}

static guint64
count_octets (SimRig *rig, guint port, const char *which)
{
  json_t *status = port_status (rig, port);
  guint64 n = json_integer_value (json_object_get (json_object_get (status, "line"), which));

  json_decref (status);
  return n;
}

static guint64
line_counter (gpointer data, const char *name)
{
  Line *line = data;

  return count_octets (line->rig, line->port, name);
}

static void
line_attach (SimRig *rig, Line *line, guint port, int fd)
{
  line->rig = rig;
  line->port = port;
  sim_terminal_attach (&line->terminal, fd, line_counter, line);
  gw_frame_decoder_init (&line->decoder, line->frame, sizeof line->frame);
}

static void
line_open (SimRig *rig, Line *line, guint port)
{
  g_autofree char *path = port_path (rig, port);

  line_attach (rig, line, port, open (path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  pass (rig, 60);
}

static void
say_hello (SimRig *rig, Line *line, guint8 seq)
{
  GwLinkHelloReq req = { 0 };
  guint8 message[64], octets[GW_FRAME_ENCODED_MAX (64)];
  GwFrame frame = { .address = GW_FRAME_ADDRESS_ALL };
  GwCborWriter w;
  gsize len;

  gw_smp_begin (&w, message, sizeof message, GW_SMP_OP_READ, GW_SMP_GROUP_LINK, seq, GW_LINK_HELLO);
  gw_link_hello_req_encode (&req, &w);
  g_assert_cmpint (gw_smp_end (&w, &len), ==, GW_OK);
  frame.info = (GwBytes){ message, len };
  g_assert_cmpint (gw_frame_encode (&frame, octets, sizeof octets, &len), ==, GW_OK);
  sim_terminal_write (&line->terminal, octets, len);
}

/* The next frame that is plain SMP; the endpoint's ClientHellos are passed over. */
static gboolean
next_smp (SimRig *rig, Line *line, guint8 *message, gsize size, gsize *len)
{
  guint8 octet;

  while (sim_terminal_read (&line->terminal, &octet, 1) > 0)
    {
      GwFrame frame;

      if (gw_frame_decoder_push (&line->decoder, octet, &frame) != GW_FRAME_EVENT_FRAME)
        continue;
      if (gw_datagram_kind (frame.info.ptr, frame.info.len) != GW_DATAGRAM_SMP_RESPONSE)
        continue;
      g_assert_cmpuint (frame.info.len, <=, size);
      memcpy (message, frame.info.ptr, frame.info.len);
      *len = frame.info.len;
      return TRUE;
    }
  return FALSE;
}

/* Asks and gives the key id in hex; NULL for silence or something undecodable. */
static char *
ask (SimRig *rig, Line *line)
{
  guint8 message[1024];
  GwSmpMessage smp;
  GwLinkHello hello;
  GString *text;
  gsize len;

  say_hello (rig, line, 9);
  pass (rig, 30);
  if (!next_smp (rig, line, message, sizeof message, &len) || gw_smp_decode (message, len, &smp) != GW_OK
      || smp.seq != 9 || gw_link_hello_rsp_decode (smp.body, &hello) != GW_OK)
    return NULL;
  text = g_string_new (NULL);
  for (guint i = 0; i < sizeof hello.kid; i++)
    g_string_append_printf (text, "%02x", hello.kid[i]);
  return g_string_free (text, FALSE);
}

static char *
ask_port (SimRig *rig, guint port)
{
  Line line;
  char *kid;

  line_open (rig, &line, port);
  kid = ask (rig, &line);
  sim_terminal_close (&line.terminal);
  pass (rig, 60);
  return kid;
}

static char *
read_chips (SimRig *rig)
{
  g_autofree char *path = g_build_filename (rig->folder, "chips.csv", NULL);
  char *text;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  return text;
}

/* ---- Tests ---- */

static void
test_hello (SimRig *rig, gconstpointer data)
{
  g_autofree char *chips = read_chips (rig), *first = ask_port (rig, 0), *second = ask_port (rig, 1);
  g_auto (GStrv) lines = g_strsplit (chips, "\n", -1);
  g_autofree char *row0 = g_strconcat (first, ",Gangway,SIM-1,S0000001", NULL);
  g_autofree char *row1 = g_strconcat (second, ",Gangway,SIM-1,S0000002", NULL);

  g_assert_cmpstr (lines[0], ==, "key_id,manufacturer,model,serial_number");
  g_assert_cmpstr (lines[1], ==, row0);
  g_assert_cmpstr (lines[2], ==, row1);
  g_assert_cmpstr (lines[3], ==, "");
  g_assert_cmpstr (first, !=, second);
}

/* The same folder, and the same seed elsewhere, are the same chips; another seed is others. */
static void
test_seed (SimRig *rig, gconstpointer data)
{
  g_autofree char *chips = read_chips (rig), *again = NULL, *fresh = NULL, *other = NULL;

  start (rig, "test", NULL, NULL);
  again = read_chips (rig);
  g_assert_cmpstr (again, ==, chips);

  end_without_state (rig);
  start (rig, "test", NULL, NULL);
  fresh = read_chips (rig);
  g_assert_cmpstr (fresh, ==, chips);

  end_without_state (rig);
  start (rig, "other", NULL, NULL);
  other = read_chips (rig);
  g_assert_cmpstr (other, !=, chips);
}

static void
test_unplug (SimRig *rig, gconstpointer data)
{
  g_autofree char *path = port_path (rig, 0), *before = NULL, *after = NULL;
  Line line;

  line_open (rig, &line, 0);
  before = ask (rig, &line);
  g_assert_nonnull (before);
  sim_rig_tell (rig, "unplug 0");
  g_assert_false (g_file_test (path, G_FILE_TEST_IS_SYMLINK));
  sim_terminal_assert_hung_up (&line.terminal);
  sim_terminal_close (&line.terminal);

  sim_rig_tell (rig, "replug 0");
  after = ask_port (rig, 0);
  g_assert_cmpstr (after, ==, before);
}

/* A device of the machine's: the far end of it is the line's. */
static void
device_appear (SimRig *rig, Line *line, const char *path)
{
  int fd = posix_openpt (O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  char slave[64];

  g_assert_true (grantpt (fd) == 0 && unlockpt (fd) == 0);
  g_assert_cmpint (ptsname_r (fd, slave, sizeof slave), ==, 0);
  g_assert_cmpint (symlink (slave, path), ==, 0);
  line_attach (rig, line, 0, fd);
}

static gboolean
is_open (SimRig *rig)
{
  json_t *status = port_status (rig, 0);
  gboolean open = json_is_true (json_object_get (json_object_get (status, "line"), "open"));

  json_decref (status);
  return open;
}

/* Comes late, goes, comes back; the endpoint stays the same. */
static void
test_device (SimRig *rig, gconstpointer data)
{
  g_autofree char *path = g_build_filename (rig->folder, "device", NULL), *before = NULL, *after = NULL;
  Line line;

  start (rig, "test", NULL, path);
  pass (rig, 200);
  g_assert_false (is_open (rig));
  device_appear (rig, &line, path);
  pass (rig, 60);
  g_assert_true (is_open (rig));
  before = ask (rig, &line);
  g_assert_nonnull (before);

  sim_terminal_close (&line.terminal);
  g_unlink (path);
  while (is_open (rig))
    g_main_context_iteration (NULL, FALSE);
  device_appear (rig, &line, path);
  pass (rig, 900);
  g_assert_false (is_open (rig));
  pass (rig, 160);
  g_assert_true (is_open (rig));
  after = ask (rig, &line);
  g_assert_cmpstr (after, ==, before);
  sim_rig_tell (rig, "unplug 0");
  g_assert_false (is_open (rig));
  g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS));
  sim_terminal_close (&line.terminal);
}

/* What is sent while nobody listens is lost, not kept for who comes later. */
static void
test_nobody_listens (SimRig *rig, gconstpointer data)
{
  g_autofree char *path = port_path (rig, 0);
  guint8 octet;
  Line line;

  pass (rig, 5000);
  g_assert_cmpuint (count_octets (rig, 0, "octets_out"), ==, 0);
  line_attach (rig, &line, 0, open (path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  g_assert_cmpint (read (line.terminal.fd, &octet, 1), ==, -1);
  g_assert_cmpint (errno, ==, EAGAIN);
  sim_terminal_close (&line.terminal);
}

static void
test_power (SimRig *rig, gconstpointer data)
{
  g_autofree char *before = NULL, *off = NULL, *after = NULL;
  json_t *status;
  Line line;

  line_open (rig, &line, 0);
  before = ask (rig, &line);
  sim_rig_tell (rig, "power 0 off");
  off = ask (rig, &line);
  g_assert_null (off);
  sim_rig_tell (rig, "power 0 on");
  sim_rig_tell (rig, "power-cycle all");
  after = ask (rig, &line);
  g_assert_cmpstr (after, ==, before);
  sim_terminal_close (&line.terminal);

  status = port_status (rig, 0);
  g_assert_cmpint (json_integer_value (json_object_get (status, "power_ups")), ==, 3);
  g_assert_cmpint (json_integer_value (json_object_get (status, "fixed")), >, 40);
  g_assert_cmpint (json_integer_value (json_object_get (status, "fixed")), <, 200);
  json_decref (status);
}

static void
test_clone_and_foreign (SimRig *rig, gconstpointer data)
{
  g_autofree char *original = ask_port (rig, 1), *clone = NULL, *foreign = NULL, *chips = NULL;
  json_t *answer = sim_rig_command (rig, "clone 1");

  g_assert_cmpint (json_integer_value (json_object_get (answer, "port")), ==, 2);
  json_decref (answer);
  clone = ask_port (rig, 2);
  g_assert_cmpstr (clone, ==, original);

  answer = sim_rig_command (rig, "foreign");
  g_assert_cmpint (json_integer_value (json_object_get (answer, "port")), ==, 3);
  json_decref (answer);
  foreign = ask_port (rig, 3);
  chips = read_chips (rig);
  g_assert_nonnull (foreign);
  g_assert_null (strstr (chips, foreign));
}

static void
test_move (SimRig *rig, gconstpointer data)
{
  g_autofree char *before = ask_port (rig, 0), *old = NULL, *new = NULL;
  json_t *answer;

  sim_rig_tell (rig, "move 0 new");
  old = ask_port (rig, 0);
  new = ask_port (rig, 2);
  g_assert_null (old);
  g_assert_cmpstr (new, ==, before);

  answer = gw_sim_command (rig->sim, "move 2 1");
  g_assert_true (json_is_false (json_object_get (answer, "ok")));
  json_decref (answer);
  sim_rig_tell (rig, "move 2 0");
  g_free (g_steal_pointer (&new));
  new = ask_port (rig, 0);
  g_assert_cmpstr (new, ==, before);
}

static void
test_weather (SimRig *rig, gconstpointer data)
{
  g_autofree char *dropped = NULL, *fine = NULL;
  Line line;

  line_open (rig, &line, 0);
  sim_rig_tell (rig, "drop 0 1");
  dropped = ask (rig, &line);
  g_assert_null (dropped);
  g_assert_cmpuint (line.decoder.counters.bad_fcs, ==, 0);
  sim_rig_tell (rig, "drop 0 0");
  fine = ask (rig, &line);
  g_assert_nonnull (fine);

  /* The endpoint goes on sending ClientHellos; all arrive damaged now. */
  sim_rig_tell (rig, "corrupt all 1");
  for (guint i = 0; i < 20; i++)
    {
      g_autofree char *damaged = NULL;

      sim_rig_tell (rig, "power-cycle 0");
      damaged = ask (rig, &line);
      g_assert_null (damaged);
    }
  g_assert_cmpuint (line.decoder.counters.bad_fcs + line.decoder.counters.too_short
                        + line.decoder.counters.aborted + line.decoder.counters.bad_control,
                    >, 10);
  sim_terminal_close (&line.terminal);
}

static void
test_hang (SimRig *rig, gconstpointer data)
{
  g_autofree char *hanging = NULL, *back = NULL;
  Line line;

  line_open (rig, &line, 0);
  sim_rig_tell (rig, "hang 0");
  hanging = ask (rig, &line);
  g_assert_null (hanging);
  sim_rig_tell (rig, "resume 0");
  back = ask (rig, &line);
  g_assert_nonnull (back);
  sim_terminal_close (&line.terminal);
}

static void
test_lies (SimRig *rig, gconstpointer data)
{
  g_autofree char *truth = NULL, *key_id = NULL, *after = NULL;
  guint8 message[1024];
  guint wrong = 0, unasked = 0;
  GwSmpMessage smp;
  GwLinkHello hello;
  Line line;
  gsize len;

  line_open (rig, &line, 0);
  truth = ask (rig, &line);

  sim_rig_tell (rig, "lie 0 key-id");
  key_id = ask (rig, &line);
  g_assert_nonnull (key_id);
  g_assert_cmpstr (key_id, !=, truth);

  sim_rig_tell (rig, "lie 0 sequence");
  say_hello (rig, &line, 9);
  pass (rig, 30);
  g_assert_true (next_smp (rig, &line, message, sizeof message, &len));
  g_assert_cmpint (gw_smp_decode (message, len, &smp), ==, GW_OK);
  g_assert_cmpuint (smp.seq, !=, 9);

  sim_rig_tell (rig, "lie 0 lengths");
  for (guint i = 0; i < 20; i++)
    {
      say_hello (rig, &line, 9);
      pass (rig, 30);
      g_assert_true (next_smp (rig, &line, message, sizeof message, &len));
      wrong += gw_smp_decode (message, len, &smp) != GW_OK
               || gw_link_hello_rsp_decode (smp.body, &hello) != GW_OK;
    }
  g_assert_cmpuint (wrong, ==, 20);

  sim_rig_tell (rig, "lie 0 hello");
  pass (rig, 500);
  while (next_smp (rig, &line, message, sizeof message, &len))
    if (gw_smp_decode (message, len, &smp) == GW_OK && gw_link_hello_rsp_decode (smp.body, &hello) == GW_OK)
      unasked++;
  g_assert_cmpuint (unasked, >, 20);

  sim_rig_tell (rig, "lie 0 off");
  pass (rig, 30);
  while (next_smp (rig, &line, message, sizeof message, &len))
    ;
  after = ask (rig, &line);
  g_assert_cmpstr (after, ==, truth);
  sim_terminal_close (&line.terminal);
}

/* Readouts: made up here, 4 % of the bits differ between the two. */
static void
test_readouts (SimRig *rig, gconstpointer data)
{
  g_autofree char *folder = g_build_filename (rig->folder, "sram", NULL), *path = NULL;
  g_autofree guint8 *octets = g_malloc (2 * GW_SIM_PUF_READOUT);
  g_autofree char *before = NULL;
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);

  for (gsize i = 0; i < GW_SIM_PUF_READOUT; i++)
    octets[i] = octets[i + GW_SIM_PUF_READOUT] = g_rand_int (rand);
  for (gsize i = 0; i < 8 * GW_SIM_PUF_READOUT; i++)
    if (g_rand_double (rand) < 0.04)
      octets[GW_SIM_PUF_READOUT + i / 8] ^= 1 << (i % 8);
  g_assert_cmpint (g_mkdir (folder, 0700), ==, 0);
  path = g_build_filename (folder, "chip.bin", NULL);
  g_assert_true (g_file_set_contents (path, (const char *)octets, 2 * GW_SIM_PUF_READOUT, NULL));

  end_without_state (rig);
  start (rig, "test", folder, NULL);
  before = ask_port (rig, 1);
  g_assert_nonnull (before);
  for (guint i = 0; i < 3; i++)
    {
      g_autofree char *after = NULL;
      json_t *status;

      sim_rig_tell (rig, "power-cycle 1");
      after = ask_port (rig, 1);
      g_assert_cmpstr (after, ==, before);
      status = port_status (rig, 1);
      g_assert_cmpint (json_integer_value (json_object_get (status, "fixed")) > 0, ==, i % 2 == 0);
      json_decref (status);
    }
}

static void
test_reveal (SimRig *rig, gconstpointer data)
{
  g_autofree char *path = g_build_filename (rig->folder, "keys", NULL), *text = NULL,
                  *kid = ask_port (rig, 0);
  g_auto (GStrv) lines = NULL;
  g_autofree char *prefix = g_strconcat (kid, " id ", NULL);
  g_autoptr (GError) error = NULL;
  GStatBuf info;

  gw_sim_reveal (rig->sim, path, &error);
  g_assert_no_error (error);
  g_assert_cmpint (g_stat (path, &info), ==, 0);
  g_assert_cmpint (info.st_mode & 0777, ==, 0600);
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  lines = g_strsplit (text, "\n", -1);
  g_assert_cmpuint (g_strv_length (lines), ==, 2 * 5 + 1);
  g_assert_true (g_str_has_prefix (lines[0], prefix));
  g_assert_cmpuint (strlen (lines[0]), ==, 64 + 4 + 64);
}

static void
test_refusals (SimRig *rig, gconstpointer data)
{
  static const char *const lines[] = { "",
                                       "blub",
                                       "unplug",
                                       "unplug 7",
                                       "unplug -1",
                                       "unplug 0 slowly",
                                       "drop 0 2",
                                       "drop 0 x",
                                       "drop 0 nan",
                                       "lie 0 white",
                                       "power 0 perhaps",
                                       "rate 0 -1",
                                       "move 0 1",
                                       "clone all",
                                       "status 9",
                                       "foreign 2",
                                       "replug 0 0",
                                       "move 0 new slowly",
                                       "move 0 new powered 1",
                                       "force 0 love",
                                       "event 0 9 1",
                                       "button 0 push",
                                       "garbage 0 9999999",
                                       "status 'unfinished" };

  for (guint i = 0; i < G_N_ELEMENTS (lines); i++)
    {
      json_t *answer = gw_sim_command (rig->sim, lines[i]);

      if (!json_is_false (json_object_get (answer, "ok"))
          || !json_is_string (json_object_get (answer, "error")))
        g_error ("'%s' was not refused", lines[i]);
      json_decref (answer);
    }
}

static void
count_command (gpointer data)
{
  (*(guint *)data)++;
}

/* Commands and answers over the socket, two on one connection; the connection that is still open goes with
 * the control. */
static void
test_control (SimRig *rig, gconstpointer data)
{
  g_autofree char *path = g_build_filename (rig->folder, "control", NULL);
  g_autoptr (GSocketClient) client = g_socket_client_new ();
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (path);
  g_autoptr (GSocketConnection) connection = NULL;
  g_autoptr (GError) error = NULL;
  static const char commands[] = "status 1\nblub\n";
  GString *text = g_string_new (NULL);
  g_auto (GStrv) answers = NULL;
  GwSimControl *control;
  GInputStream *input;
  guint n_commands = 0;

  control = gw_sim_control_new (rig->sim, path, count_command, &n_commands, &error);
  g_assert_no_error (error);
  connection = g_socket_client_connect (client, G_SOCKET_CONNECTABLE (address), NULL, &error);
  g_assert_no_error (error);
  g_assert_true (g_output_stream_write_all (g_io_stream_get_output_stream (G_IO_STREAM (connection)),
                                            commands, strlen (commands), NULL, NULL, NULL));
  while (n_commands < 2)
    g_main_context_iteration (NULL, TRUE);
  g_socket_set_timeout (g_socket_connection_get_socket (connection), 10);
  input = g_io_stream_get_input_stream (G_IO_STREAM (connection));
  for (guint lines = 0; lines < 2;)
    {
      char octet;

      while (g_main_context_iteration (NULL, FALSE))
        ;
      g_assert_cmpint (g_input_stream_read (input, &octet, 1, NULL, NULL), ==, 1);
      g_string_append_c (text, octet);
      lines += octet == '\n';
    }
  answers = g_strsplit (text->str, "\n", -1);
  g_string_free (text, TRUE);
  g_assert_nonnull (strstr (answers[0], "\"ok\":true"));
  g_assert_nonnull (strstr (answers[0], "S0000002"));
  g_assert_nonnull (strstr (answers[1], "\"ok\":false"));
  gw_sim_control_free (control);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
}

/* A killed simulator's links lead to terminals that others have by now; what is not a link to one is not ours. */
static void
test_stale_links (SimRig *rig, gconstpointer data)
{
  g_autofree char *stale = port_path (rig, 7), *other = port_path (rig, 8);

  g_clear_pointer (&rig->sim, gw_sim_free);
  g_assert_cmpint (symlink ("/dev/pts/0", stale), ==, 0);
  g_assert_cmpint (symlink ("elsewhere", other), ==, 0);
  start (rig, "test", NULL, NULL);
  g_assert_false (g_file_test (stale, G_FILE_TEST_IS_SYMLINK));
  g_assert_true (g_file_test (other, G_FILE_TEST_IS_SYMLINK));
}

static double
read_point (GwSimPlant *plant, guint32 id)
{
  GwEpValue value;

  g_assert_cmpint (gw_sim_plant_read (plant, id, &value), ==, GW_OK);
  return value.type == GW_EP_FLOAT ? value.u.f : value.type == GW_EP_INT ? value.u.i : value.u.b;
}

/* Actuators act on sensors, limits are honest, the interlock holds. */
static void
test_plant (void)
{
  g_autoptr (GwSimPlant) plant = gw_sim_plant_new (1, 0);
  GwEpValue value = { .type = GW_EP_FLOAT }, actual;
  double temperature = read_point (plant, 1), held = 99;
  const GwEpPoint *point;

  for (gsize i = 0; (point = gw_sim_plant_describe (plant, i)); i++)
    if (point->has_limits)
      {
        g_assert_cmpfloat (read_point (plant, point->id), >=, point->lo);
        g_assert_cmpfloat (read_point (plant, point->id), <=, point->hi);
      }

  value.u.f = 0;
  g_assert_cmpint (gw_sim_plant_write (plant, 4, &value, &actual), ==, GW_OK);
  g_assert_cmpfloat (actual.u.f, ==, 0);
  gw_sim_plant_run (plant, G_USEC_PER_SEC);
  g_assert_cmpfloat (read_point (plant, 4), ==, 30);
  gw_sim_plant_run (plant, 10 * G_USEC_PER_SEC);
  g_assert_cmpfloat (read_point (plant, 3), ==, 0);

  value = (GwEpValue){ .type = GW_EP_BOOL, .u.b = true };
  g_assert_cmpint (gw_sim_plant_write (plant, 5, &value, &actual), ==, GW_OK);
  gw_sim_plant_run (plant, 300 * (gint64)G_USEC_PER_SEC);
  g_assert_cmpfloat (read_point (plant, 1), >, temperature + 10);
  g_assert_cmpint (gw_sim_plant_write (plant, 8, &value, &actual), ==, GW_E_STATE);
  g_assert_cmpint (gw_sim_plant_write (plant, 1, &value, &actual), ==, GW_E_DENIED);
  g_assert_cmpint (gw_sim_plant_write (plant, 99, &value, &actual), ==, GW_E_NOT_FOUND);

  g_assert_true (gw_sim_plant_force (plant, "temperature", &held));
  g_assert_cmpfloat (read_point (plant, 1), ==, 99);
  g_assert_true (gw_sim_plant_force (plant, "temperature", NULL));
  g_assert_cmpfloat (read_point (plant, 1), <, 99);
}

#define ADD(name, func) g_test_add ("/sim/" name, SimRig, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("hello", test_hello);
  ADD ("seed", test_seed);
  ADD ("unplug", test_unplug);
  ADD ("device", test_device);
  ADD ("nobody-listens", test_nobody_listens);
  ADD ("power", test_power);
  ADD ("clone-and-foreign", test_clone_and_foreign);
  ADD ("move", test_move);
  ADD ("weather", test_weather);
  ADD ("hang", test_hang);
  ADD ("lies", test_lies);
  ADD ("readouts", test_readouts);
  ADD ("reveal", test_reveal);
  ADD ("refusals", test_refusals);
  ADD ("control", test_control);
  ADD ("stale-links", test_stale_links);
  g_test_add_func ("/sim/plant", test_plant);
  return g_test_run ();
}
