/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The search by uid against populations of stations that the test plays: who is found, and what it costs. */

#include <glib.h>

#include "gw-uid-search.h"

typedef enum
{
  HONEST,
  DEAF_TO_MUTE, /* answers after it was muted as before */
  MUTELESS,     /* does not answer a mute */
  EVERYTHING,   /* answers whatever it is asked, probes and mutes, under one uid */
  OUTSIDE,      /* answers every probe, under a uid outside the range where there is one */
  CHANGING,     /* answers every probe under a new uid of the range, and no mute */
  SYBIL,        /* the same, and every mute */
  JABBER,       /* answers every probe with garbage */
  TEASER,       /* garbage for every range, silence for a single uid */
} Kind;

typedef struct
{
  Kind kind;
  guint64 uid;
  gboolean muted;
  guint found;
} Station;

typedef struct
{
  GwUidSearch search;
  GArray *stations;
  GRand *rand;
  guint noise; /* of 1,000 answers and silences are garbage */
  guint lied, twins, steps;
  guint64 twin;
} Test;

static void
setup (Test *test, gconstpointer data)
{
  test->stations = g_array_new (FALSE, TRUE, sizeof (Station));
  test->rand = g_rand_new_with_seed (485);
  gw_uid_search_init (&test->search);
}

static void
teardown (Test *test, gconstpointer data)
{
  g_array_unref (test->stations);
  g_rand_free (test->rand);
}

static guint64
any_uid (Test *test)
{
  return (guint64) g_rand_int (test->rand) << 32 | g_rand_int (test->rand);
}

static void
add (Test *test, Kind kind, guint64 uid)
{
  const Station station = { .kind = kind, .uid = uid };

  g_array_append_val (test->stations, station);
}

static void
add_many (Test *test, guint n)
{
  for (guint i = 0; i < n; i++)
    add (test, HONEST, any_uid (test));
}

static Station *
find (Test *test, guint64 uid)
{
  for (guint i = 0; i < test->stations->len; i++)
    if (g_array_index (test->stations, Station, i).uid == uid)
      return &g_array_index (test->stations, Station, i);
  return NULL;
}

/* What one station says to a probe; *@uid of a clear answer. */
static GwUidSearchHeard
answer_probe (Test *test, Station *s, const GwUidSearchStep *step, guint64 *uid)
{
  gboolean inside = s->uid >= step->lo && s->uid <= step->hi;

  *uid = s->uid;
  switch (s->kind)
    {
    case HONEST:
    case MUTELESS:
      return inside && !s->muted ? GW_UID_SEARCH_ANSWER : GW_UID_SEARCH_SILENCE;
    case DEAF_TO_MUTE:
      return inside ? GW_UID_SEARCH_ANSWER : GW_UID_SEARCH_SILENCE;
    case OUTSIDE:
      *uid = step->hi != G_MAXUINT64 ? step->hi + 1 : step->lo - 1;
      return GW_UID_SEARCH_ANSWER;
    case CHANGING:
    case SYBIL:
      *uid = step->lo + (step->hi > step->lo ? any_uid (test) % (step->hi - step->lo) : 0);
      return GW_UID_SEARCH_ANSWER;
    case JABBER:
      return GW_UID_SEARCH_GARBAGE;
    case TEASER:
      return step->lo != step->hi ? GW_UID_SEARCH_GARBAGE : GW_UID_SEARCH_SILENCE;
    default:
      return GW_UID_SEARCH_ANSWER;
    }
}

static GwUidSearchHeard
answer_mute (Station *s, const GwUidSearchStep *step)
{
  if (s->kind == EVERYTHING || s->kind == SYBIL)
    return GW_UID_SEARCH_ANSWER;
  if (s->kind == JABBER)
    return GW_UID_SEARCH_GARBAGE;
  if (s->uid != step->lo || s->kind == MUTELESS || s->kind == OUTSIDE || s->kind == CHANGING || s->kind == TEASER)
    return GW_UID_SEARCH_SILENCE;
  s->muted = TRUE;
  return GW_UID_SEARCH_ANSWER;
}

static GwUidSearchHeard
on_the_wire (Test *test, const GwUidSearchStep *step, guint64 *uid)
{
  GwUidSearchHeard heard = GW_UID_SEARCH_SILENCE;

  for (guint i = 0; i < test->stations->len; i++)
    {
      Station *s = &g_array_index (test->stations, Station, i);
      guint64 its;
      GwUidSearchHeard said
          = step->kind == GW_UID_SEARCH_PROBE ? answer_probe (test, s, step, &its) : answer_mute (s, step);

      if (said == GW_UID_SEARCH_SILENCE)
        continue;
      if (step->kind == GW_UID_SEARCH_PROBE)
        *uid = its;
      heard = heard == GW_UID_SEARCH_SILENCE ? said : GW_UID_SEARCH_GARBAGE;
    }
  if (test->noise > 0 && (guint) g_rand_int_range (test->rand, 0, 1000) < test->noise)
    return GW_UID_SEARCH_GARBAGE;
  return heard;
}

/* One search from the beginning to its end. */
static void
search (Test *test)
{
  GwUidSearchStep step;

  gw_uid_search_begin (&test->search);
  for (test->steps = 0; gw_uid_search_step (&test->search, &step); test->steps++)
    {
      guint64 uid = 0, about = 0;
      GwUidSearchHeard heard = on_the_wire (test, &step, &uid);
      GwUidSearchEvent event = gw_uid_search_heard (&test->search, heard, uid, &about);
      Station *s = find (test, about);

      g_assert_cmpuint (test->steps, <, 100000);
      if (event == GW_UID_SEARCH_FOUND && s != NULL)
        s->found++;
      test->lied += event == GW_UID_SEARCH_LIED;
      test->twins += event == GW_UID_SEARCH_TWINS;
      if (event == GW_UID_SEARCH_TWINS)
        test->twin = about;
    }
  g_assert_cmpuint (test->steps, ==, test->search.probes + test->search.mutes);
}

static guint
count_found (Test *test)
{
  guint n = 0;

  for (guint i = 0; i < test->stations->len; i++)
    {
      g_assert_cmpuint (g_array_index (test->stations, Station, i).found, <=, 1);
      n += g_array_index (test->stations, Station, i).found;
    }
  return n;
}

/* ---- Honest stations ---- */

static void
test_nobody (Test *test, gconstpointer data)
{
  GwUidSearchStep step;

  g_assert_false (gw_uid_search_step (&test->search, &step));
  search (test);
  g_assert_cmpuint (test->search.probes, ==, 1);
  g_assert_false (gw_uid_search_gave_up (&test->search));
}

static void
test_one (Test *test, gconstpointer data)
{
  add (test, HONEST, 0);
  search (test);
  g_assert_cmpuint (count_found (test), ==, 1);
  /* The probe that it answers, and the one after which nobody is left. */
  g_assert_cmpuint (test->search.probes, ==, 2);
  g_assert_cmpuint (test->search.mutes, ==, 1);
}

/* Uids are digests: they lie anywhere. A search among n takes about 2.9 n probes, and n mutes, and n probes more. */
static void
test_random (Test *test, gconstpointer data)
{
  for (guint n = 1; n <= 254; n++)
    {
      g_array_set_size (test->stations, 0);
      add_many (test, n);
      search (test);
      g_assert_cmpuint (count_found (test), ==, n);
      g_assert_false (gw_uid_search_gave_up (&test->search));
      g_assert_cmpuint (test->search.mutes, ==, n);
      g_assert_cmpuint (test->search.probes, <=, 5 * n + 24);
    }
  g_test_message ("254 stations: %u probes", test->search.probes);
}

/* Uids that agree in as many upper bits as they can, and those at the ends. */
static void
test_adversarial (Test *test, gconstpointer data)
{
  for (guint i = 0; i < 127; i++)
    {
      add (test, HONEST, i);
      add (test, HONEST, G_MAXUINT64 - i);
    }
  search (test);
  g_assert_cmpuint (count_found (test), ==, 254);
  g_assert_cmpuint (test->search.probes, <=, 1300);

  /* As far apart as 254 can be while each pair shares all but the last bit. */
  g_array_set_size (test->stations, 0);
  for (guint i = 0; i < 127; i++)
    {
      guint64 uid = (guint64) i << 57 | 0x155555555555554;

      add (test, HONEST, uid);
      add (test, HONEST, uid | 1);
    }
  search (test);
  g_assert_cmpuint (count_found (test), ==, 254);
  g_assert_false (gw_uid_search_gave_up (&test->search));
  g_assert_cmpuint (test->search.probes, <=, GW_UID_SEARCH_PROBES_MAX);
  g_test_message ("127 pairs of neighbours: %u probes", test->search.probes);
}

static void
test_hot_plug (Test *test, gconstpointer data)
{
  add_many (test, 16);
  search (test);
  add_many (test, 1);
  search (test);
  g_assert_cmpuint (count_found (test), ==, 17);
  g_assert_cmpuint (test->search.probes, ==, 2);
}

/* Every fiftieth answer is damaged and every fiftieth silence broken by noise: searching again finds those left over. */
static void
test_noise (Test *test, gconstpointer data)
{
  test->noise = 20;
  add_many (test, 100);
  for (guint turn = 0; turn < 4 && count_found (test) < 100; turn++)
    search (test);
  g_assert_cmpuint (count_found (test), ==, 100);
  g_assert_cmpuint (test->twins, ==, 0);
}

/* More than there are addresses for: the rest stays for later. */
static void
test_too_many (Test *test, gconstpointer data)
{
  add_many (test, 300);
  search (test);
  g_assert_cmpuint (count_found (test), ==, 254);
  g_assert_true (gw_uid_search_gave_up (&test->search));
}

/* ---- Liars ---- */

/* One liar among stations: all are found, in at most so many steps. */
static void
check_liar (Test *test, Kind kind, guint n, guint most)
{
  guint64 its = any_uid (test);

  g_array_set_size (test->stations, 0);
  add_many (test, n);
  add (test, kind, its);
  search (test);
  find (test, its)->found = 0;
  g_test_message ("kind %d among %u: %u steps, %u found", kind, n, test->steps, count_found (test));
  g_assert_cmpuint (test->steps, <=, most);
  if (kind != JABBER && kind != TEASER && kind != SYBIL)
    g_assert_cmpuint (count_found (test), ==, n);
}

static void
test_liars (Test *test, gconstpointer data)
{
  check_liar (test, DEAF_TO_MUTE, 0, 8);
  check_liar (test, DEAF_TO_MUTE, 16, 400);
  check_liar (test, MUTELESS, 0, 8);
  check_liar (test, MUTELESS, 16, 400);
  /* It collides with each of the others on the whole way down, and is silent nowhere. */
  check_liar (test, OUTSIDE, 0, 8);
  check_liar (test, OUTSIDE, 1, 200);
  check_liar (test, OUTSIDE, 16, 16 * 140);
  check_liar (test, CHANGING, 0, 8);
  check_liar (test, JABBER, 0, 200);
  check_liar (test, JABBER, 16, 200);
  check_liar (test, TEASER, 0, 2000);
  check_liar (test, TEASER, 16, 4000);
  check_liar (test, SYBIL, 0, 3 * 256);
  check_liar (test, EVERYTHING, 0, 8);
  g_assert_cmpuint (test->lied, >, 0);
  g_assert_cmpuint (test->twins, ==, 0);
}

/* It answers the mutes of others too: their uids cannot be told any more, but the search ends. */
static void
test_everything (Test *test, gconstpointer data)
{
  add_many (test, 16);
  add (test, EVERYTHING, any_uid (test));
  search (test);
  g_assert_true (gw_uid_search_gave_up (&test->search));
  g_assert_cmpuint (test->steps, <, 600);
}

/* Two chips with one uid, whose answers damage each other. */
static void
test_twins (Test *test, gconstpointer data)
{
  guint64 uid = any_uid (test);

  add_many (test, 8);
  add (test, HONEST, uid);
  add (test, HONEST, uid);
  search (test);
  g_assert_cmpuint (count_found (test), ==, 8);
  g_assert_cmpuint (test->steps, <, 300);
  g_assert_cmpuint (test->twins, ==, 1);
  g_assert_cmphex (test->twin, ==, uid);
}

#define ADD(path, func) g_test_add (path, Test, NULL, setup, func, teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("/uid-search/nobody", test_nobody);
  ADD ("/uid-search/one", test_one);
  ADD ("/uid-search/random", test_random);
  ADD ("/uid-search/adversarial", test_adversarial);
  ADD ("/uid-search/hot-plug", test_hot_plug);
  ADD ("/uid-search/noise", test_noise);
  ADD ("/uid-search/too-many", test_too_many);
  ADD ("/uid-search/liars", test_liars);
  ADD ("/uid-search/everything", test_everything);
  ADD ("/uid-search/twins", test_twins);
  return g_test_run ();
}
