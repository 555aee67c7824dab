/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The simulated RS-485 pair on a clock that the test moves: when octets end, who hears them, what a collision leaves, and
 * the stations and the adapter on it. */

#include <string.h>
#include <termios.h>

#include "gw-frame-codec.h"
#include "gw-link-codec.h"
#include "gw-sim-pair.h"
#include "sim-rig.h"
#include "sim-terminal.h"

#define SPEED 100000          /* an octet takes 100 us */
#define OCTET_NSEC 100000
#define START_NSEC (SIM_RIG_START_USEC * 1000)
#define MSEC_NSEC 1000000

typedef struct
{
  GwSimPairUnit unit;
  GByteArray *heard;
  GArray *at; /* of gint64: when each octet ended */
  guint sent, flushed;
  gint64 sent_at;
} Player;

static void
on_heard (GwSimPairUnit *unit, guint8 octet, gint64 at)
{
  Player *self = (Player *)unit;

  g_byte_array_append (self->heard, &octet, 1);
  g_array_append_val (self->at, at);
}

static void
on_sent (GwSimPairUnit *unit, gint64 at)
{
  Player *self = (Player *)unit;

  self->sent++;
  self->sent_at = at;
}

static void
on_flush (GwSimPairUnit *unit)
{
  ((Player *)unit)->flushed++;
}

static const GwSimPairUnitClass player_class = { on_heard, on_sent, on_flush };

#define N_PLAYERS 3

typedef struct
{
  SimRig rig;
  GwSimPair *pair;
  Player players[N_PLAYERS];
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  sim_rig_init (&f->rig);
  f->pair = gw_sim_pair_new (f->rig.loop, SPEED, 485);
  for (guint i = 0; i < N_PLAYERS; i++)
    {
      gw_sim_pair_unit_init (&f->players[i].unit, &player_class);
      f->players[i].heard = g_byte_array_new ();
      f->players[i].at = g_array_new (FALSE, FALSE, sizeof (gint64));
      gw_sim_pair_attach (f->pair, &f->players[i].unit);
    }
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  for (guint i = 0; i < N_PLAYERS; i++)
    {
      gw_sim_pair_detach (&f->players[i].unit);
      g_byte_array_unref (f->players[i].heard);
      g_array_unref (f->players[i].at);
    }
  gw_sim_pair_free (f->pair);
  sim_rig_clear (&f->rig);
}

static void
jump (Fixture *f, gint64 usec)
{
  sim_rig_jump (&f->rig, usec);
}

static void
creep (Fixture *f, gint64 usec)
{
  for (gint64 i = 0; i < usec; i += 50)
    jump (f, 50);
}

static gint64
heard_at (Fixture *f, guint player, guint octet)
{
  g_assert_cmpuint (octet, <, f->players[player].at->len);
  return g_array_index (f->players[player].at, gint64, octet);
}

static void
send (Fixture *f, guint player, const char *text, gint64 after_nsec)
{
  g_assert_true (gw_sim_pair_send (&f->players[player].unit, (const guint8 *)text, strlen (text),
                                   gw_sim_pair_now (f->pair) + after_nsec));
}

static void
assert_heard (Fixture *f, guint player, const char *text)
{
  GByteArray *heard = f->players[player].heard;

  g_assert_cmpmem (heard->data, heard->len, text, strlen (text));
}

/* ---- The wire ---- */

static void
test_timing (Fixture *f, gconstpointer data)
{
  send (f, 0, "0123456789", 0);
  if (data)
    jump (f, 950);
  else
    creep (f, 950);
  assert_heard (f, 1, ""); /* a portion comes at its end */
  jump (f, 50);
  assert_heard (f, 1, "0123456789");
  assert_heard (f, 2, "0123456789");
  assert_heard (f, 0, "");
  for (guint i = 0; i < 10; i++)
    g_assert_cmpint (heard_at (f, 1, i), ==, START_NSEC + (i + 1) * OCTET_NSEC);
  g_assert_cmpuint (f->players[0].sent, ==, 1);
  g_assert_cmpint (f->players[0].sent_at, ==, START_NSEC + 10 * OCTET_NSEC);
}

/* What is added while it sends follows without a gap; what comes later begins later. */
static void
test_contiguous (Fixture *f, gconstpointer data)
{
  send (f, 0, "ab", 0);
  jump (f, 150);
  send (f, 0, "cd", 0);
  jump (f, 1000);
  assert_heard (f, 1, "abcd");
  g_assert_cmpint (heard_at (f, 1, 3), ==, START_NSEC + 4 * OCTET_NSEC);
  send (f, 0, "e", 3 * MSEC_NSEC);
  jump (f, 3099);
  assert_heard (f, 1, "abcd");
  jump (f, 1);
  assert_heard (f, 1, "abcde");
}

/* A second of octets, woken at odd times: the last one ends where it should. */
static void
test_no_drift (Fixture *f, gconstpointer data)
{
  char text[10001];

  memset (text, 'x', 10000);
  text[10000] = '\0';
  send (f, 0, text, 0);
  while (f->players[0].sent == 0)
    jump (f, 1733);
  g_assert_cmpuint (f->players[1].heard->len, ==, 10000);
  g_assert_cmpint (heard_at (f, 1, 9999), ==, START_NSEC + G_GINT64_CONSTANT (10000) * OCTET_NSEC);
}

/* The third hears one stream, of which only what was alone on the wire is whole. */
static void
test_collision (Fixture *f, gconstpointer data)
{
  GByteArray *heard = f->players[2].heard;

  send (f, 0, "AAAAAAAA", 0);
  send (f, 1, "BBBBBBBB", 4 * OCTET_NSEC + OCTET_NSEC / 2);
  if (data)
    jump (f, 3000);
  else
    creep (f, 3000);
  /* Four of the first alone, four damaged, and of the second those after. */
  g_assert_cmpuint (heard->len, ==, 8 + 4);
  g_assert_cmpmem (heard->data, 4, "AAAA", 4);
  g_assert_cmpmem (heard->data + 8, 4, "BBBB", 4);
  g_assert_true (memcmp (heard->data + 4, "AAAA", 4) != 0);
  /* Those who sent heard what came after their own last octet. */
  assert_heard (f, 1, "AAAA");
  g_assert_cmpuint (f->players[0].heard->len, ==, 4);
}

static void
test_simultaneous (Fixture *f, gconstpointer data)
{
  send (f, 0, "AAAAAAAA", 0);
  send (f, 1, "BBBBBBBB", 0);
  jump (f, 3000);
  g_assert_cmpuint (f->players[2].heard->len, ==, 8);
  g_assert_true (memcmp (f->players[2].heard->data, "AAAAAAAA", 8) != 0);
  g_assert_true (memcmp (f->players[2].heard->data, "BBBBBBBB", 8) != 0);
  assert_heard (f, 0, "");
  assert_heard (f, 1, "");
}

/* One right after the other is no collision. */
static void
test_neighbours (Fixture *f, gconstpointer data)
{
  send (f, 0, "AAAA", 0);
  send (f, 1, "BBBB", 4 * OCTET_NSEC);
  jump (f, 3000);
  assert_heard (f, 2, "AAAABBBB");
  assert_heard (f, 0, "BBBB");
  assert_heard (f, 1, "AAAA");
}

static void
test_echo (Fixture *f, gconstpointer data)
{
  f->players[0].unit.hears_itself = TRUE;
  send (f, 0, "abc", 0);
  jump (f, 3000);
  assert_heard (f, 0, "abc");
  assert_heard (f, 1, "abc");
}

static void
test_detach (Fixture *f, gconstpointer data)
{
  send (f, 0, "abcdef", 0);
  jump (f, 250);
  gw_sim_pair_detach (&f->players[0].unit);
  jump (f, 3000);
  assert_heard (f, 1, "ab");
  g_assert_false (gw_sim_pair_send (&f->players[0].unit, (const guint8 *)"x", 1, 0));
}

/* Portions of a FIFO, the end of a frame, the end: not every octet wakes the program. */
static void
test_portions (Fixture *f, gconstpointer data)
{
  char text[129] = { 0 };

  memset (text, 'x', 128);
  text[20] = GW_FRAME_FLAG;
  send (f, 0, text, 0);
  for (guint i = 0; i < 400; i++)
    jump (f, 50);
  g_assert_cmpuint (f->players[1].heard->len, ==, 128);
  g_assert_cmpuint (f->players[1].flushed, <=, 11);
  g_assert_cmpuint (f->players[1].flushed, >=, 8);
}

/* ---- Stations and the adapter ---- */

typedef struct
{
  SimRig rig;
  SimTerminal terminal;
  guint8 buf[2048 + GW_FRAME_OVERHEAD];
  GwFrameDecoder decoder;
} Lab;

/* A number, or whether it is so. */
static gint64
rs485_status (Lab *lab, const char *part, const char *key)
{
  json_t *answer = sim_rig_command (&lab->rig, "rs485"), *status = json_object_get (answer, "rs485");
  json_t *value = json_object_get (part ? json_object_get (status, part) : status, key);
  gint64 n = json_is_true (value) ? 1 : json_integer_value (value);

  json_decref (answer);
  return n;
}

static guint64
adapter_counter (gpointer data, const char *name)
{
  return rs485_status (data, "adapter", name);
}

/* Until the adapter has seen what its user did to the terminal. */
static void
let_adapter_look (Lab *lab)
{
  sim_rig_jump (&lab->rig, 100 * 1000);
}

static void
set_speed (Lab *lab, speed_t speed)
{
  struct termios tio;

  g_assert_cmpint (tcgetattr (lab->terminal.fd, &tio), ==, 0);
  cfmakeraw (&tio);
  cfsetspeed (&tio, speed);
  g_assert_cmpint (tcsetattr (lab->terminal.fd, TCSANOW, &tio), ==, 0);
  let_adapter_look (lab);
}

static void
open_terminal (Lab *lab)
{
  g_autofree char *link = g_build_filename (lab->rig.folder, GW_SIM_PAIR_LINK, NULL);

  sim_terminal_open (&lab->terminal, link, adapter_counter, lab);
  set_speed (lab, B115200);
}

static void
lab_set_up (Lab *lab, gconstpointer data)
{
  GwSimOptions options;

  sim_rig_init (&lab->rig);
  options = sim_rig_options (&lab->rig);
  options.n_endpoints = GPOINTER_TO_UINT (data);
  options.rs485.n_endpoints = G_MAXUINT;
  options.rs485.speed = 115200;
  options.seed = "pair";
  sim_rig_start (&lab->rig, &options);
  open_terminal (lab);
  gw_frame_decoder_init (&lab->decoder, lab->buf, sizeof lab->buf);
}

static void
lab_tear_down (Lab *lab, gconstpointer data)
{
  sim_terminal_close (&lab->terminal);
  sim_rig_clear (&lab->rig);
}

/* Sends a frame, lets 50 ms pass, and returns how many good frames came; the last one is @answer. */
static guint
say (Lab *lab, guint8 address, gconstpointer info, gsize len, GwFrame *answer, gsize *octets)
{
  const GwFrame frame = { .address = address, .poll = true, .info = { info, len } };
  guint8 out[GW_FRAME_ENCODED_MAX (512)], in[4096];
  gsize size, got, used;
  guint n = 0;

  g_assert_cmpint (gw_frame_encode (&frame, out, sizeof out, &size), ==, GW_OK);
  sim_terminal_write (&lab->terminal, out, size);
  for (guint i = 0; i < 500; i++)
    sim_rig_jump (&lab->rig, 100);
  for (*octets = 0; (got = sim_terminal_read (&lab->terminal, in, sizeof in)) > 0; *octets += got)
    for (gsize at = 0; at < got; at += used)
      n += gw_frame_decoder_feed (&lab->decoder, in + at, got - at, &used, answer) == GW_FRAME_EVENT_FRAME;
  return n;
}

static guint
probe (Lab *lab, GwFrame *answer, gsize *octets)
{
  GwLinkProbe body;
  guint8 message[64];
  GwCborWriter w;
  gsize len;

  memset (body.lo, 0, sizeof body.lo);
  memset (body.hi, 0xff, sizeof body.hi);
  gw_smp_begin (&w, message, sizeof message, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, 1, GW_LINK_PROBE);
  gw_link_probe_encode (&body, &w);
  g_assert_cmpint (gw_smp_end (&w, &len), ==, GW_OK);
  return say (lab, GW_FRAME_ADDRESS_ALL, message, len, answer, octets);
}

static gsize
make_start (guint8 *out, gsize size)
{
  const GwLinkStart start = { { 0 } };
  GwCborWriter w;
  gsize len;

  gw_smp_begin (&w, out, size, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, 1, GW_LINK_START);
  gw_link_start_encode (&start, &w);
  g_assert_cmpint (gw_smp_end (&w, &len), ==, GW_OK);
  return len;
}

static void
assert_state (Lab *lab, const char *state)
{
  json_t *answer = sim_rig_command (&lab->rig, "status 0");
  json_t *endpoint = json_array_get (json_object_get (answer, "endpoints"), 0);

  g_assert_cmpstr (json_string_value (json_object_get (endpoint, "state")), ==, state);
  json_decref (answer);
}

static void
test_station (Lab *lab, gconstpointer data)
{
  GwLinkHello hello;
  GwSmpMessage msg;
  GwFrame answer;
  guint8 message[64];
  gsize octets, len;

  g_assert_cmpuint (probe (lab, &answer, &octets), ==, 1);
  g_assert_cmphex (answer.address, ==, GW_FRAME_ADDRESS_ALL);
  g_assert_cmpint (gw_smp_decode (answer.info.ptr, answer.info.len, &msg), ==, GW_OK);
  g_assert_cmpint (gw_link_hello_rsp_decode (msg.body, &hello), ==, GW_OK);
  g_assert_cmpmem (hello.serial.ptr, hello.serial.len, "S0000001", 8);
  assert_state (lab, "link-down");
  /* Nobody polls it, so it says nothing; with a number and a poll it does, and begins when it is asked to. */
  g_assert_cmpuint (say (lab, 7, NULL, 0, &answer, &octets), ==, 0);
  g_assert_cmpuint (octets, ==, 0);
  sim_rig_tell (&lab->rig, "number 0 7");
  g_assert_cmpuint (say (lab, 7, NULL, 0, &answer, &octets), ==, 1);
  g_assert_cmpuint (answer.info.len, ==, 0);
  len = make_start (message, sizeof message);
  g_assert_cmpuint (say (lab, 7, message, len, &answer, &octets), ==, 1);
  g_assert_cmpuint (answer.info.len, ==, 0); /* it leaves with a later poll */
  g_assert_cmpuint (say (lab, 7, NULL, 0, &answer, &octets), ==, 1);
  g_assert_cmpint (gw_datagram_kind (answer.info.ptr, answer.info.len), ==, GW_DATAGRAM_SMP_RESPONSE);
  g_assert_cmpuint (say (lab, 7, NULL, 0, &answer, &octets), ==, 1);
  g_assert_cmpint (gw_datagram_kind (answer.info.ptr, answer.info.len), ==, GW_DATAGRAM_DTLS);
  /* Off and on: as from the factory. */
  sim_rig_tell (&lab->rig, "power-cycle 0");
  g_assert_cmpuint (say (lab, 7, NULL, 0, &answer, &octets), ==, 0);
  sim_rig_tell (&lab->rig, "unplug 0");
  g_assert_cmpuint (probe (lab, &answer, &octets), ==, 0);
  sim_rig_tell (&lab->rig, "replug 0");
  g_assert_cmpuint (probe (lab, &answer, &octets), ==, 1);
  sim_rig_tell (&lab->rig, "hang 0");
  g_assert_cmpuint (probe (lab, &answer, &octets), ==, 0);
}

static void
test_collide (Lab *lab, gconstpointer data)
{
  GwFrame answer;
  gsize octets;

  g_assert_cmpuint (probe (lab, &answer, &octets), ==, 0);
  g_assert_cmpuint (octets, >, 60); /* one stream of the length of a hello */
  g_assert_cmpuint (octets, <, 300);
  g_assert_cmpint (rs485_status (lab, NULL, "damaged"), >, 60);
}

static void
test_bad_ways (Lab *lab, gconstpointer data)
{
  GwFrame answer;
  guint frames = 0;
  gsize octets;

  sim_rig_tell (&lab->rig, "number 0 7");
  sim_rig_tell (&lab->rig, "late 0 30");
  g_assert_cmpuint (say (lab, 7, NULL, 0, &answer, &octets), ==, 1);
  sim_rig_tell (&lab->rig, "late 0 60");
  g_assert_cmpuint (say (lab, 7, NULL, 0, &answer, &octets), ==, 0);
  sim_rig_tell (&lab->rig, "late 0 0");
  say (lab, 9, NULL, 0, &answer, &octets); /* the late one comes here */
  g_assert_cmpuint (say (lab, 9, NULL, 0, &answer, &octets), ==, 0);
  sim_rig_tell (&lab->rig, "liar 0 on");
  g_assert_cmpuint (say (lab, 9, NULL, 0, &answer, &octets), ==, 1);
  sim_rig_tell (&lab->rig, "liar 0 off");
  sim_rig_tell (&lab->rig, "babble 0 noise");
  g_assert_cmpuint (say (lab, 9, NULL, 0, &answer, &octets), <=, 1);
  g_assert_cmpuint (octets, >, 550); /* 50 ms without a gap */
  sim_rig_tell (&lab->rig, "babble 0 off");
  say (lab, 9, NULL, 0, &answer, &octets);
  sim_rig_tell (&lab->rig, "babble 0 frames");
  for (guint i = 0; i < 9; i++)
    frames += say (lab, 9, NULL, 0, &answer, &octets);
  g_assert_cmpuint (frames, >=, 2);
  g_assert_cmphex (answer.address, ==, 7);
  sim_rig_tell (&lab->rig, "babble 0 off");
}

static void
test_adapter (Lab *lab, gconstpointer data)
{
  GwFrame answer;
  gsize octets;

  sim_rig_tell (&lab->rig, "rs485 echo on");
  g_assert_cmpuint (say (lab, 9, NULL, 0, &answer, &octets), ==, 1);
  g_assert_cmphex (answer.address, ==, 9);
  sim_rig_tell (&lab->rig, "rs485 echo off");
  sim_rig_tell (&lab->rig, "number 0 7");
  sim_rig_tell (&lab->rig, "rs485 latency 16");
  g_assert_cmpuint (say (lab, 7, NULL, 0, &answer, &octets), ==, 1);
  sim_rig_tell (&lab->rig, "rs485 latency 0");
  /* At another speed nothing is understood, and nobody understands. */
  set_speed (lab, B9600);
  g_assert_cmpuint (say (lab, 7, NULL, 0, &answer, &octets), ==, 0);
  sim_rig_tell (&lab->rig, "rs485 unplug");
  sim_terminal_assert_hung_up (&lab->terminal);
  sim_rig_tell (&lab->rig, "rs485 replug");
}

/* Its user goes before what it wrote is on the wire. */
static void
test_user_goes (Lab *lab, gconstpointer data)
{
  gint64 before = rs485_status (lab, NULL, "octets");

  sim_terminal_write (&lab->terminal, "never said", 10);
  sim_terminal_close (&lab->terminal);
  while (rs485_status (lab, "adapter", "user"))
    sim_rig_turn ();
  sim_rig_jump (&lab->rig, 100 * 1000);
  g_assert_cmpint (rs485_status (lab, NULL, "octets"), ==, before);
  open_terminal (lab);
}

#define ADD(path, data, func) g_test_add (path, Fixture, data, set_up, func, tear_down)
#define ADD_LAB(path, n, func) g_test_add (path, Lab, GUINT_TO_POINTER (n), lab_set_up, func, lab_tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("/sim-pair/timing/creep", NULL, test_timing);
  ADD ("/sim-pair/timing/jump", "jump", test_timing);
  ADD ("/sim-pair/contiguous", NULL, test_contiguous);
  ADD ("/sim-pair/no-drift", NULL, test_no_drift);
  ADD ("/sim-pair/collision/creep", NULL, test_collision);
  ADD ("/sim-pair/collision/jump", "jump", test_collision);
  ADD ("/sim-pair/simultaneous", NULL, test_simultaneous);
  ADD ("/sim-pair/neighbours", NULL, test_neighbours);
  ADD ("/sim-pair/echo", NULL, test_echo);
  ADD ("/sim-pair/detach", NULL, test_detach);
  ADD ("/sim-pair/portions", NULL, test_portions);
  ADD_LAB ("/sim-pair/station", 1, test_station);
  ADD_LAB ("/sim-pair/collide", 5, test_collide);
  ADD_LAB ("/sim-pair/bad-ways", 1, test_bad_ways);
  ADD_LAB ("/sim-pair/adapter", 1, test_adapter);
  ADD_LAB ("/sim-pair/user-goes", 1, test_user_goes);
  return g_test_run ();
}
