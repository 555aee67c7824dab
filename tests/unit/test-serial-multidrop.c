/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The master of a line with many stations: finding them, and their traffic. */

#include "multidrop-rig.h"

/* ---- Finding ---- */

static void
test_nobody (MultidropRig *rig, gconstpointer data)
{
  multidrop_rig_pass (rig, 20 * SECOND);
  g_assert_cmpuint (rig->ups, ==, 0);
  g_assert_cmpuint (rig->link.culprit, ==, 0);
  g_assert_cmpuint (rig->windows, ==, 20);
  /* Every number looked at once, then a probe and a number every two seconds. */
  g_assert_cmpuint (rig->exchanges, >=, 254 + 8);
  g_assert_cmpuint (rig->exchanges, <=, 254 + 40);
}

static void
test_one (MultidropRig *rig, gconstpointer data)
{
  multidrop_rig_add_node (rig);
  g_test_message ("one station up after %d ms", (int) (multidrop_rig_until_up (rig, 1, SECOND) / MS));
  multidrop_rig_pass (rig, 30 * SECOND);
  g_assert_cmpuint (rig->ups, ==, 1);
  g_assert_cmpuint (rig->downs, ==, 0);
  g_assert_cmphex (multidrop_rig_node_at (rig, 0)->station.address, ==, 1);
}

/* All are found, also the largest population that has numbers. */
static void
test_many (MultidropRig *rig, gconstpointer data)
{
  guint n = GPOINTER_TO_UINT (data);
  gint64 took;

  multidrop_rig_add_nodes (rig, n);
  took = multidrop_rig_until_up (rig, n, 120 * SECOND);
  g_test_message ("%u stations up after %.1f s, %u exchanges", n, (double) took / SECOND, rig->exchanges);
  if (n == 16)
    g_assert_cmpint (took, <, 5 * SECOND);
  multidrop_rig_pass (rig, 10 * SECOND);
  g_assert_cmpuint (rig->downs, ==, 0);
}

static void
test_hot_plug (MultidropRig *rig, gconstpointer data)
{
  gint64 took;

  multidrop_rig_add_nodes (rig, 16);
  multidrop_rig_until_up (rig, 16, 10 * SECOND);
  multidrop_rig_pass (rig, 10 * SECOND);
  multidrop_rig_add_node (rig);
  took = multidrop_rig_until_up (rig, 17, 3 * SECOND);
  g_test_message ("one more after %d ms", (int) (took / MS));
  /* And at once when somebody asks. */
  multidrop_rig_pass (rig, 100 * MS);
  multidrop_rig_add_node (rig);
  gw_multidrop_scan (&rig->master, rig->now);
  rig->due = rig->now;
  g_assert_cmpint (multidrop_rig_until_up (rig, 18, SECOND), <, SECOND);
}

/* A new master finds stations that ignore its search by their numbers. */
static void
test_restart (MultidropRig *rig, gconstpointer data)
{
  gint64 took;

  multidrop_rig_add_nodes (rig, 16);
  multidrop_rig_until_up (rig, 16, 10 * SECOND);
  for (guint i = 0; i < 16; i++)
    multidrop_rig_node_at (rig, i)->in_session = TRUE;
  multidrop_rig_node_at (rig, 3)->station.address = 200;
  multidrop_rig_restart_master (rig);
  took = multidrop_rig_until_up (rig, 15, SECOND);
  g_test_message ("15 found again after %d ms", (int) (took / MS));
  multidrop_rig_until_up (rig, 16, 10 * SECOND);
  g_assert_cmpuint (rig->up_at[200], ==, 1);
  multidrop_rig_add_node (rig);
  multidrop_rig_until_up (rig, 17, 3 * SECOND);
  multidrop_rig_pass (rig, 10 * SECOND);
  g_assert_cmpuint (rig->downs, ==, 0);
}

/* It lost its number with its power: the same one again, and it was never away. */
static void
test_power_cycle (MultidropRig *rig, gconstpointer data)
{
  multidrop_rig_add_nodes (rig, 4);
  multidrop_rig_until_up (rig, 4, 5 * SECOND);
  multidrop_rig_pass (rig, 5 * SECOND);
  gw_multidrop_scan (&rig->master, rig->now);
  multidrop_rig_power_up (multidrop_rig_node_at (rig, 2));
  rig->due = rig->now;
  multidrop_rig_pass (rig, SECOND);
  g_assert_cmpuint (rig->downs, ==, 0);
  g_assert_cmpuint (rig->up_at[multidrop_rig_node_at (rig, 2)->station.address], ==, 1);
}

static void
test_unplug (MultidropRig *rig, gconstpointer data)
{
  guint8 address;
  gint64 began;

  multidrop_rig_add_nodes (rig, 4);
  multidrop_rig_until_up (rig, 4, 5 * SECOND);
  address = multidrop_rig_node_at (rig, 1)->station.address;
  multidrop_rig_node_at (rig, 1)->in_session = TRUE;
  multidrop_rig_node_at (rig, 1)->off = TRUE;
  began = rig->now;
  while (rig->downs == 0)
    multidrop_rig_pass (rig, 10 * MS);
  g_test_message ("missed after %d ms", (int) ((rig->now - began) / MS));
  g_assert_cmpint (rig->now - began, <, 3 * SECOND);
  g_assert_cmpint (rig->why, ==, GW_SERIAL_DOWN_SILENT);
  /* Back with number and session, of which it lets nobody take it. */
  multidrop_rig_pass (rig, 5 * SECOND);
  multidrop_rig_node_at (rig, 1)->off = FALSE;
  multidrop_rig_until_up (rig, 4, 3 * SECOND);
  g_assert_cmpuint (rig->up_at[address], ==, 1);
  /* Away for longer: its number is free again, and it has forgotten it. */
  multidrop_rig_node_at (rig, 1)->off = TRUE;
  multidrop_rig_pass (rig, 40 * SECOND);
  multidrop_rig_node_at (rig, 1)->in_session = FALSE;
  multidrop_rig_node_at (rig, 1)->off = FALSE;
  multidrop_rig_until_up (rig, 4, 5 * SECOND);
}

static void
test_not_taken (MultidropRig *rig, gconstpointer data)
{
  rig->full = TRUE;
  multidrop_rig_add_nodes (rig, 2);
  multidrop_rig_pass (rig, 10 * SECOND);
  rig->full = FALSE;
  multidrop_rig_until_up (rig, 2, 2 * SECOND);
}

/* ---- Traffic ---- */

/* Each way, in order of need, none twice and none lost. */
static void
test_datagrams (MultidropRig *rig, gconstpointer data)
{
  static const guint8 datagram[100] = { 0x17 };
  guint before;

  multidrop_rig_add_nodes (rig, 16);
  multidrop_rig_until_up (rig, 16, 10 * SECOND);
  for (guint i = 0; i < 16; i++)
    multidrop_rig_node_at (rig, i)->got = 0;
  for (guint a = 1; a <= 16; a++)
    multidrop_rig_push (rig, a, 10);
  multidrop_rig_pass (rig, 10 * SECOND);
  for (guint i = 0; i < 16; i++)
    g_assert_cmpuint (multidrop_rig_node_at (rig, i)->got, ==, 10);
  before = rig->datagrams;
  for (guint turn = 0; turn < 8; turn++)
    {
      for (guint i = 0; i < 16; i++)
        g_assert_true (gw_station_send (&multidrop_rig_node_at (rig, i)->station, datagram, sizeof datagram));
      multidrop_rig_pass (rig, SECOND);
    }
  g_assert_cmpuint (rig->datagrams - before, ==, 8 * 16);
  g_assert_cmpuint (rig->master.refused, ==, 0);
  g_assert_cmpuint (gw_multidrop_get_retries (&rig->master, 1), ==, 0);
}

/* Idle, each is polled about four times a second; one with traffic as fast as it goes. */
static void
test_rate (MultidropRig *rig, gconstpointer data)
{
  guint idle, busy;

  multidrop_rig_add_nodes (rig, 16);
  multidrop_rig_until_up (rig, 16, 10 * SECOND);
  multidrop_rig_pass (rig, 10 * SECOND);
  for (guint i = 0; i < 16; i++)
    multidrop_rig_node_at (rig, i)->polls = 0;
  multidrop_rig_pass (rig, 10 * SECOND);
  idle = multidrop_rig_node_at (rig, 0)->polls;
  g_assert_cmpuint (idle, >=, 35);
  g_assert_cmpuint (idle, <=, 45);
  g_assert_cmpuint (rig->link.load_permille, <, 200);
  multidrop_rig_push (rig, multidrop_rig_node_at (rig, 5)->station.address, 100);
  for (guint i = 0; i < 16; i++)
    multidrop_rig_node_at (rig, i)->polls = 0;
  multidrop_rig_pass (rig, 5 * SECOND);
  busy = multidrop_rig_node_at (rig, 5)->polls;
  g_assert_cmpuint (busy, >=, 100);
  g_assert_cmpuint (multidrop_rig_node_at (rig, 0)->polls, >=, 15);
}

/* One that always has something to say costs the others no more than their equal share. */
static void
test_fair (MultidropRig *rig, gconstpointer data)
{
  static const guint8 datagram[200] = { 0x17 };
  guint8 hog;

  multidrop_rig_add_nodes (rig, 8);
  multidrop_rig_until_up (rig, 8, 10 * SECOND);
  multidrop_rig_pass (rig, 2 * SECOND);
  hog = multidrop_rig_node_at (rig, 0)->station.address;
  multidrop_rig_node_at (rig, 0)->flood = TRUE;
  for (guint i = 0; i < 8; i++)
    multidrop_rig_node_at (rig, i)->longest = multidrop_rig_node_at (rig, i)->polled_at = 0;
  for (guint turn = 0; turn < 10; turn++)
    {
      guint before = rig->datagrams;

      for (guint i = 1; i < 8; i++)
        g_assert_true (gw_station_send (&multidrop_rig_node_at (rig, i)->station, datagram, sizeof datagram));
      multidrop_rig_pass (rig, SECOND);
      g_assert_cmpuint (rig->datagrams - before, >=, 7);
    }
  for (guint i = 1; i < 8; i++)
    {
      g_assert_cmpuint (multidrop_rig_node_at (rig, i)->station.used, ==, 0);
      g_assert_cmpint (multidrop_rig_node_at (rig, i)->longest, <, 500 * MS);
    }
  g_test_message ("culprit %u with %u", rig->link.culprit, rig->link.culprit_permille);
  g_assert_cmpuint (rig->link.culprit, ==, hog);
  g_assert_cmpuint (rig->link.culprit_permille, >=, 400);
  g_assert_cmpuint (rig->troubles[GW_MULTIDROP_HOGS], ==, 1);
  multidrop_rig_node_at (rig, 0)->flood = FALSE;
  multidrop_rig_pass (rig, 3 * SECOND);
  g_assert_cmpuint (rig->link.culprit, ==, 0);
}

/* One in fifty frames is damaged each way: nobody is dropped, and datagrams go again. */
static void
test_loss (MultidropRig *rig, gconstpointer data)
{
  guint got = 0;

  rig->loss = 20;
  multidrop_rig_add_nodes (rig, 16);
  multidrop_rig_until_up (rig, 16, 20 * SECOND);
  for (guint i = 0; i < 16; i++)
    multidrop_rig_node_at (rig, i)->got = 0;
  for (guint a = 1; a <= 254; a++)
    if (rig->up_at[a])
      multidrop_rig_push (rig, a, 50);
  multidrop_rig_pass (rig, 60 * SECOND);
  g_assert_cmpuint (rig->downs, ==, 0);
  for (guint i = 0; i < 16; i++)
    got += multidrop_rig_node_at (rig, i)->got;
  /* Copies where the answer was lost, hardly ever none. */
  g_assert_cmpuint (got, >=, 16 * 50 - 4);
  g_assert_cmpuint (got, <=, 16 * 50 + 60);
}

static void
test_round_trip (MultidropRig *rig, gconstpointer data)
{
  guint idle;

  multidrop_rig_add_nodes (rig, 16);
  multidrop_rig_until_up (rig, 16, 10 * SECOND);
  multidrop_rig_pass (rig, 5 * SECOND);
  idle = rig->link.round_trip_ms;
  g_assert_cmpuint (idle, >=, 89); /* 512 octets, twice */
  g_assert_cmpuint (idle, <, 300);
  for (guint a = 1; a <= 16; a++)
    multidrop_rig_push (rig, a, 100);
  multidrop_rig_pass (rig, 3 * SECOND);
  /* Sixteen exchanges of 300 octets between two of a station. */
  g_assert_cmpuint (rig->link.round_trip_ms, >=, 900);
  g_assert_cmpuint (rig->link.round_trip_ms, <, 2000);
  g_assert_cmpuint (rig->link.octets_per_second, >, 6000);
  g_assert_cmpuint (rig->link.octets_per_second, <, 11520);
  g_assert_cmpuint (rig->link.load_permille, >, 800);
}

static void
test_end (MultidropRig *rig, gconstpointer data)
{
  multidrop_rig_add_nodes (rig, 4);
  multidrop_rig_until_up (rig, 4, 5 * SECOND);
  gw_multidrop_end (&rig->master);
  g_assert_cmpuint (rig->downs, ==, 4);
  g_assert_cmpint (rig->why, ==, GW_SERIAL_DOWN_GONE);
  g_assert_cmpint (gw_multidrop_tick (&rig->master, rig->now + SECOND), ==, G_MAXINT64);
}

#define ADD(path, func) g_test_add (path, MultidropRig, NULL, multidrop_rig_setup, func, multidrop_rig_teardown)
#define ADD_N(path, func, n) g_test_add (path, MultidropRig, GUINT_TO_POINTER (n), multidrop_rig_setup, func, multidrop_rig_teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("/serial-multidrop/nobody", test_nobody);
  ADD ("/serial-multidrop/one", test_one);
  ADD_N ("/serial-multidrop/many/16", test_many, 16);
  ADD_N ("/serial-multidrop/many/254", test_many, 254);
  ADD ("/serial-multidrop/hot-plug", test_hot_plug);
  ADD ("/serial-multidrop/restart", test_restart);
  ADD ("/serial-multidrop/power-cycle", test_power_cycle);
  ADD ("/serial-multidrop/unplug", test_unplug);
  ADD ("/serial-multidrop/not-taken", test_not_taken);
  ADD ("/serial-multidrop/datagrams", test_datagrams);
  ADD ("/serial-multidrop/rate", test_rate);
  ADD ("/serial-multidrop/fair", test_fair);
  ADD ("/serial-multidrop/loss", test_loss);
  ADD ("/serial-multidrop/round-trip", test_round_trip);
  ADD ("/serial-multidrop/end", test_end);
  return g_test_run ();
}
