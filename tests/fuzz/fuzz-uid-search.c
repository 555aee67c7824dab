/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: a search by uid to which anything may be answered. It ends within its limits, never probes outside the
 * whole range, mutes only what answered or what is a single uid, and finds nobody twice. Where the input describes
 * honest stations instead, each of them is found. */
#include <stdlib.h>
#include <string.h>

#include "gw-reader.h"
#include "gw-uid-search.h"

#define STATIONS_MAX 64
/* Probes, three mutes for each answer: more would be no end. */
#define STEPS_MAX (4u * GW_UID_SEARCH_PROBES_MAX)

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
check_found (const GwUidSearch *search)
{
  for (unsigned i = 0; i < search->n_found; i++)
    for (unsigned k = 0; k < i; k++)
      if (search->found[i] == search->found[k])
        abort ();
}

static void
check_step (const GwUidSearchStep *step)
{
  if (step->lo > step->hi || (step->kind == GW_UID_SEARCH_MUTE && step->lo != step->hi))
    abort ();
}

/* An octet says what is heard, eight more give an answer's uid; at the end of the input everything is garbage. */
static void
answer_anything (GwReader *r)
{
  static GwUidSearch search;
  GwUidSearchStep step;
  unsigned steps;

  gw_uid_search_init (&search);
  gw_uid_search_begin (&search);
  for (steps = 0; gw_uid_search_step (&search, &step); steps++)
    {
      uint8_t what = gw_reader_u8 (r);
      GwUidSearchHeard heard = gw_reader_ok (r) ? (GwUidSearchHeard) (what % 3) : GW_UID_SEARCH_GARBAGE;
      uint64_t uid = 0, about = 0;

      check_step (&step);
      if (heard == GW_UID_SEARCH_ANSWER)
        /* From time to time one that fits. */
        uid = what & 0x80 ? gw_reader_u64be (r) : step.lo + (step.hi - step.lo) / 2;
      if (gw_uid_search_heard (&search, heard, uid, &about) == GW_UID_SEARCH_FOUND && about != step.lo)
        abort ();
      if (steps > STEPS_MAX)
        abort ();
    }
  check_found (&search);
}

static void
search_stations (GwReader *r)
{
  static GwUidSearch search;
  uint64_t uids[STATIONS_MAX];
  bool muted[STATIONS_MAX] = { false };
  GwUidSearchStep step;
  unsigned n = 0;

  while (n < STATIONS_MAX && r->left >= 8)
    {
      uids[n] = gw_reader_u64be (r);
      for (unsigned i = 0; i < n; i++)
        if (uids[i] == uids[n])
          return; /* twins cannot be told apart */
      n++;
    }
  gw_uid_search_init (&search);
  gw_uid_search_begin (&search);
  while (gw_uid_search_step (&search, &step))
    {
      unsigned answers = 0;
      uint64_t uid = 0, about;

      for (unsigned i = 0; i < n; i++)
        if (uids[i] >= step.lo && uids[i] <= step.hi && (step.kind == GW_UID_SEARCH_MUTE || !muted[i]))
          {
            answers++;
            uid = uids[i];
            muted[i] = muted[i] || step.kind == GW_UID_SEARCH_MUTE;
          }
      gw_uid_search_heard (&search,
                           answers == 0   ? GW_UID_SEARCH_SILENCE
                           : answers == 1 ? GW_UID_SEARCH_ANSWER
                                          : GW_UID_SEARCH_GARBAGE,
                           uid, &about);
    }
  if (search.n_found != n || gw_uid_search_gave_up (&search))
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  GwReader r;

  gw_reader_init (&r, data, size);
  if (gw_reader_u8 (&r) & 1)
    search_stations (&r);
  else
    answer_anything (&r);
  return 0;
}
