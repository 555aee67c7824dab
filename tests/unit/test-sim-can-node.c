/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Simulated endpoints as nodes of a CAN bus, seen from the gateway's end of the SLCAN adapter: LSS,
 * heartbeats, ISO-TP, and the ways to do them wrong. */

#include <string.h>

#include "gw-isotp.h"
#include "gw-link-question.h"
#include "gw-lss-codec.h"
#include "gw-protocol.h"
#include "gw-slcan-codec.h"
#include "sim-rig.h"
#include "sim-terminal.h"

#define RATE 500000
#define DATA_RATE 2000000
#define N_NODES 3
#define NUMBER 5
#define STEP_USEC 500

typedef struct
{
  SimRig rig;
  SimTerminal terminal;
  GwSlcanCollector collector;
  GArray *heard; /* of GwCanFrame */
  GwIsotp isotp; /* the gateway's, to NUMBER */
  guint8 rx[1024];
  GBytes *message; /* the last one that came */
} Nodes;

static guint64
adapter_counter (gpointer data, const char *name)
{
  Nodes *n = data;
  json_t *answer = sim_rig_command (&n->rig, "can");
  json_t *can = json_object_get (answer, "can");
  guint64 value = json_integer_value (json_object_get (json_object_get (can, "adapter"), name));

  json_decref (answer);
  return value;
}

static void
say (Nodes *n, const GwCanFrame *frame)
{
  GwSlcanLine line = { .kind = GW_SLCAN_FRAME, .frame = *frame };
  char text[GW_SLCAN_LINE_MAX];
  gsize len;

  g_assert_cmpint (gw_slcan_encode (&line, text, sizeof text, &len), ==, GW_OK);
  sim_terminal_write (&n->terminal, text, len);
}

/* Sends what the gateway's ISO-TP has to send. */
static void
pump_isotp (Nodes *n)
{
  gint64 now = gw_loop_now (n->rig.loop);
  GwCanFrame frame;

  while (gw_isotp_pull (&n->isotp, now, &frame))
    {
      say (n, &frame);
      gw_isotp_confirm (&n->isotp, now);
    }
}

static void
hear (Nodes *n, const GwCanFrame *frame)
{
  g_array_append_val (n->heard, *frame);
  if (gw_isotp_take (&n->isotp, frame, gw_loop_now (n->rig.loop)) == GW_ISOTP_RECEIVED)
    {
      g_clear_pointer (&n->message, g_bytes_unref);
      n->message = g_bytes_new (gw_isotp_message (&n->isotp).ptr, gw_isotp_message (&n->isotp).len);
    }
  pump_isotp (n);
}

static void
fetch (Nodes *n)
{
  char octets[1024];
  gsize len;
  GwSlcanLine line;

  while ((len = sim_terminal_read (&n->terminal, octets, sizeof octets)) > 0)
    for (gsize i = 0; i < len; i++)
      if (gw_slcan_collector_push (&n->collector, octets[i], &line) && line.kind == GW_SLCAN_FRAME)
        hear (n, &line.frame);
}

static void
pass (Nodes *n, guint ms)
{
  for (guint usec = 0; usec < 1000 * ms; usec += STEP_USEC)
    {
      sim_rig_jump (&n->rig, STEP_USEC);
      fetch (n);
    }
}

/* Frames of that id since the last call of forget(). */
static guint
count (Nodes *n, guint32 id)
{
  guint found = 0;

  for (guint i = 0; i < n->heard->len; i++)
    found += g_array_index (n->heard, GwCanFrame, i).id == id;
  return found;
}

static const GwCanFrame *
nth (Nodes *n, guint32 id, guint index)
{
  for (guint i = 0; i < n->heard->len; i++)
    if (g_array_index (n->heard, GwCanFrame, i).id == id && index-- == 0)
      return &g_array_index (n->heard, GwCanFrame, i);
  g_assert_not_reached ();
}

static void
forget (Nodes *n)
{
  g_array_set_size (n->heard, 0);
}

/* What the frames since then took on the bus. */
static gint64
busy_nsec (Nodes *n)
{
  gint64 busy = 0;

  for (guint i = 0; i < n->heard->len; i++)
    busy += gw_can_frame_nsec (&g_array_index (n->heard, GwCanFrame, i), RATE, DATA_RATE);
  return busy;
}

static void
set_up (Nodes *n, gconstpointer fd)
{
  g_autofree char *link = NULL;
  GwIsotpConfig config;
  GwSimOptions options;

  sim_rig_init (&n->rig);
  options = sim_rig_options (&n->rig);
  options.n_endpoints = N_NODES;
  options.seed = "can";
  options.can.what = GW_SIM_CAN_SLCAN;
  options.can.bit_rate = RATE;
  options.can.data_rate = fd ? DATA_RATE : 0;
  options.can.n_endpoints = G_MAXUINT;
  sim_rig_start (&n->rig, &options);
  link = g_build_filename (n->rig.folder, GW_SIM_CAN_LINK, NULL);
  sim_terminal_open (&n->terminal, link, adapter_counter, n);
  n->heard = g_array_new (FALSE, FALSE, sizeof (GwCanFrame));
  gw_slcan_collector_init (&n->collector, GW_SLCAN_FROM_ADAPTER);
  gw_isotp_config_default (&config, gw_can_isotp_id (NUMBER, GW_CAN_GATEWAY_ADDRESS),
                           gw_can_isotp_id (GW_CAN_GATEWAY_ADDRESS, NUMBER));
  config.fd = config.brs = fd != NULL;
  config.tx_dl = fd ? GW_CAN_LEN_MAX : GW_CAN_LEN_CLASSIC;
  gw_isotp_init (&n->isotp, &config, n->rx, sizeof n->rx);
  pass (n, 60); /* the adapter sees its user */
  sim_terminal_write (&n->terminal, "S6\rO\r", 5);
  pass (n, 1);
}

static void
tear_down (Nodes *n, gconstpointer data)
{
  sim_terminal_close (&n->terminal);
  g_array_unref (n->heard);
  g_clear_pointer (&n->message, g_bytes_unref);
  sim_rig_clear (&n->rig);
}

static void
identify (Nodes *n, guint endpoint, guint32 identity[GW_LSS_N_SUBS])
{
  json_t *answer = sim_rig_command (&n->rig, "status");
  json_t *status = json_array_get (json_object_get (answer, "endpoints"), endpoint);
  const char *kid = json_string_value (json_object_get (status, "kid"));

  identity[GW_LSS_SUB_VENDOR] = 0;
  identity[GW_LSS_SUB_PRODUCT] = GW_LSS_PRODUCT;
  for (guint i = 0; i < 2; i++)
    {
      g_autofree char *half = g_strndup (kid + 8 * i, 8);

      identity[GW_LSS_SUB_REVISION + i] = g_ascii_strtoull (half, NULL, 16);
    }
  json_decref (answer);
}

static void
ask_lss (Nodes *n, const GwLssMessage *message)
{
  GwCanFrame frame;

  forget (n);
  gw_lss_encode (message, &frame);
  say (n, &frame);
  pass (n, 5);
}

static void
start_scan (Nodes *n)
{
  ask_lss (n, &(GwLssMessage){ .command = GW_LSS_FASTSCAN, .fastscan.bit_check = GW_LSS_BIT_CHECK_START });
}

/* Who is not asked waits that long, at most. */
#define FIRST_HELLO_MS (GW_DTLS_CLIENT_HELLO_SHARED_MS * (100 + GW_DTLS_CLIENT_HELLO_JITTER_PERCENT) / 100)

/* Finds one by what is known of it, and gives it a number. */
static void
give_number (Nodes *n, guint endpoint, guint8 number)
{
  guint32 identity[GW_LSS_N_SUBS];

  identify (n, endpoint, identity);
  start_scan (n);
  for (guint sub = 0; sub < GW_LSS_N_SUBS; sub++)
    {
      ask_lss (n, &(GwLssMessage){ .command = GW_LSS_FASTSCAN,
                                   .fastscan = { identity[sub], 0, sub, (sub + 1) % GW_LSS_N_SUBS } });
      g_assert_cmpuint (count (n, GW_LSS_ID_SLAVE), >=, 1);
    }
  ask_lss (n, &(GwLssMessage){ .command = GW_LSS_CONFIGURE_NODE_ID, .node_id = number });
  g_assert_cmpuint (count (n, GW_LSS_ID_SLAVE), ==, 1);
  g_assert_cmphex (nth (n, GW_LSS_ID_SLAVE, 0)->data[0], ==, GW_LSS_CONFIGURE_NODE_ID);
  g_assert_cmphex (nth (n, GW_LSS_ID_SLAVE, 0)->data[1], ==, GW_LSS_ERROR_NONE);
  ask_lss (n, &(GwLssMessage){ .command = GW_LSS_SWITCH_GLOBAL, .mode = 0 });
}

/* Three answer at once and meet: one frame, or a frame and copies of the slower ones. */
static void
test_answer (Nodes *n, gconstpointer data)
{
  start_scan (n);
  g_assert_cmpuint (count (n, GW_LSS_ID_SLAVE), >=, 1);
  g_assert_cmpuint (count (n, GW_LSS_ID_SLAVE), <=, N_NODES);
  pass (n, 2000);
  g_assert_cmpuint (count (n, GW_HEARTBEAT_ID + NUMBER), ==, 0);
  g_assert_cmpuint (count (n, gw_can_isotp_id (GW_CAN_GATEWAY_ADDRESS, NUMBER)), ==,
                    0); /* no number, no word */
}

static void
test_numbered (Nodes *n, gconstpointer data)
{
  guint32 isotp = gw_can_isotp_id (GW_CAN_GATEWAY_ADDRESS, NUMBER);

  give_number (n, 1, NUMBER);
  pass (n, 2010);
  g_assert_cmpuint (count (n, GW_HEARTBEAT_ID + NUMBER), ==, 3);
  g_assert_cmphex (nth (n, GW_HEARTBEAT_ID + NUMBER, 0)->data[0], ==, GW_HEARTBEAT_BOOT);
  g_assert_cmphex (nth (n, GW_HEARTBEAT_ID + NUMBER, 1)->data[0], ==, GW_HEARTBEAT_OPERATIONAL);
  /* Who has a number and is not asked starts by itself after a while: a ClientHello. */
  pass (n, FIRST_HELLO_MS);
  g_assert_cmpuint (count (n, isotp), >=, 2);
  g_assert_nonnull (n->message);
  g_assert_cmphex (*(const guint8 *)g_bytes_get_data (n->message, NULL), ==, 22);
  /* The others still wait for theirs. */
  start_scan (n);
  g_assert_cmpuint (count (n, GW_LSS_ID_SLAVE), >=, 1);
}

static void
test_hello (Nodes *n, gconstpointer data)
{
  static const guint8 nonce[GW_HELLO_NONCE_LEN] = "question";
  guint8 datagram[GW_LINK_QUESTION_SIZE];
  GwLinkQuestion question;
  GwLinkHello hello;
  GwBytes body, answer;
  gint64 asked;
  gsize len;

  give_number (n, 0, NUMBER);
  pass (n, 500);
  g_clear_pointer (&n->message, g_bytes_unref);
  gw_link_question_init (&question, nonce);
  len = gw_link_question_ask (&question, datagram, gw_loop_now (n->rig.loop));
  g_assert_cmpint (gw_isotp_send (&n->isotp, (GwBytes){ datagram, len }, gw_loop_now (n->rig.loop)), ==,
                   GW_OK);
  pump_isotp (n);
  pass (n, 100);
  g_assert_nonnull (n->message);
  answer.ptr = g_bytes_get_data (n->message, &answer.len);
  g_assert_true (gw_link_question_take (&question, answer, &hello, &body, &asked));
  g_assert_cmpuint (hello.mtu, ==, 512);
}

static void
test_reset (Nodes *n, gconstpointer data)
{
  GwCanFrame reset;

  give_number (n, 0, NUMBER);
  gw_nmt_encode (GW_NMT_RESET_COMMUNICATION, NUMBER, &reset);
  say (n, &reset);
  pass (n, 10);
  forget (n);
  pass (n, 3000);
  g_assert_cmpuint (n->heard->len, ==, 0);
  give_number (n, 0, NUMBER);
  pass (n, 1010);
  g_assert_cmpuint (count (n, GW_HEARTBEAT_ID + NUMBER), ==, 2);
}

/* Off and on: the number is gone. Unplugged under power and plugged in again: it is not. */
static void
test_power (Nodes *n, gconstpointer data)
{
  give_number (n, 0, NUMBER);
  sim_rig_tell (&n->rig, "unplug 0 powered");
  forget (n);
  pass (n, 3000);
  g_assert_cmpuint (n->heard->len, ==, 0);
  sim_rig_tell (&n->rig, "replug 0");
  pass (n, 1000);
  g_assert_cmpuint (count (n, GW_HEARTBEAT_ID + NUMBER), ==, 1);
  sim_rig_tell (&n->rig, "power-cycle 0");
  forget (n);
  pass (n, 3000);
  g_assert_cmpuint (n->heard->len, ==, 0);
}

static void
test_babbles (Nodes *n, gconstpointer data)
{
  gint64 busy;

  sim_rig_tell (&n->rig, "babble 2 high 0.3");
  pass (n, 1000);
  busy = busy_nsec (n);
  g_assert_cmpint (busy, >, 295 * 1000 * 1000);
  g_assert_cmpint (busy, <, 305 * 1000 * 1000);
  sim_rig_tell (&n->rig, "babble 2 off");
  pass (n, 10);
  forget (n);
  pass (n, 1000);
  g_assert_cmpuint (n->heard->len, ==, 0);
}

/* Its ClientHello begins and does not go on; its heart beats. */
static void
test_stalls (Nodes *n, gconstpointer data)
{
  sim_rig_tell (&n->rig, "stall 0 1");
  give_number (n, 0, NUMBER);
  pass (n, 3010);
  g_assert_cmpuint (count (n, GW_HEARTBEAT_ID + NUMBER), ==, 4);
  pass (n, FIRST_HELLO_MS);
  g_assert_cmpuint (count (n, gw_can_isotp_id (GW_CAN_GATEWAY_ADDRESS, NUMBER)), ==, 1);
  sim_rig_tell (&n->rig, "stall 0 off");
  pass (n, 5000);
  g_assert_nonnull (n->message);
}

/* Long messages, as fast as flow control lets them: the bus is full, and nothing is lost. */
static void
test_floods (Nodes *n, gconstpointer data)
{
  guint32 isotp = gw_can_isotp_id (GW_CAN_GATEWAY_ADDRESS, NUMBER);

  give_number (n, 0, NUMBER);
  pass (n, 500);
  sim_rig_tell (&n->rig, "flood 0 1000");
  pass (n, 1000);
  forget (n);
  g_clear_pointer (&n->message, g_bytes_unref);
  pass (n, 1000);
  g_assert_cmpint (busy_nsec (n), >, 900 * 1000 * 1000);
  g_assert_cmpuint (g_bytes_get_size (n->message), ==, 1000);
  g_assert_cmpuint (n->isotp.counters.failures_in, ==, 0);
  sim_rig_tell (&n->rig, "flood 0 off");
  pass (n, 200);
  forget (n);
  pass (n, 900);
  g_assert_cmpuint (count (n, isotp), ==, 0);
}

static void
test_lies (Nodes *n, gconstpointer data)
{
  give_number (n, 0, NUMBER);
  sim_rig_tell (&n->rig, "liar 0 on");
  ask_lss (n, &(GwLssMessage){ .command = GW_LSS_FASTSCAN, .fastscan = { 0x12345678, 7, 2, 2 } });
  g_assert_cmpuint (count (n, GW_LSS_ID_SLAVE), ==, 1);
}

/* Two on one number: what they send at once destroys itself, and the bus lives on. */
static void
test_numbers_itself (Nodes *n, gconstpointer data)
{
  sim_rig_tell (&n->rig, "number 0 5");
  sim_rig_tell (&n->rig, "number 1 5");
  pass (n, 1500);
  g_assert_cmpuint (count (n, GW_HEARTBEAT_ID + NUMBER), >=, 2);
}

static void
test_hangs (Nodes *n, gconstpointer data)
{
  give_number (n, 0, NUMBER);
  sim_rig_tell (&n->rig, "hang 0");
  pass (n, 10);
  forget (n);
  pass (n, 3000);
  g_assert_cmpuint (n->heard->len, ==, 0);
  sim_rig_tell (&n->rig, "resume 0");
  pass (n, 1200);
  g_assert_cmpuint (count (n, GW_HEARTBEAT_ID + NUMBER), >=, 1);
}

#define ADD(name, func, fd) g_test_add ("/sim-can-node/" name, Nodes, fd, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  static const char fd[] = "";

  g_test_init (&argc, &argv, NULL);
  ADD ("answer", test_answer, NULL);
  ADD ("numbered", test_numbered, NULL);
  ADD ("hello", test_hello, NULL);
  ADD ("hello-fd", test_hello, fd);
  ADD ("reset", test_reset, NULL);
  ADD ("power", test_power, NULL);
  ADD ("babbles", test_babbles, NULL);
  ADD ("stalls", test_stalls, NULL);
  ADD ("floods", test_floods, NULL);
  ADD ("lies", test_lies, NULL);
  ADD ("numbers-itself", test_numbers_itself, NULL);
  ADD ("hangs", test_hangs, NULL);
  return g_test_run ();
}
