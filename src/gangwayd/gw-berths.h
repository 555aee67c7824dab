/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "gw-loop.h"

G_BEGIN_DECLS

/*
 * Who of the nodes on a shared bus may be at work at once. Where 32 endpoints come at the same time, a wire that all of them share makes
 * each wait for all others: their timers run out, they say everything again, and the wire carries it twice. So only as many begin as the
 * wire serves within their time-outs; the others wait in the order in which they came, which costs the wire nothing.
 *
 * A berth is a permission to begin, not to go on: it is given up by itself when its holder waits for nothing any more, when it is silent
 * while the wire has room (it computes), or when it has had it for too long. So nobody who comes and falls silent keeps others out, and
 * who has begun is never stopped.
 */

/* A holder that waits for nothing from its endpoint gives way after this. */
#define GW_BERTHS_DONE_USEC (50 * 1000)
/* One that always does gives way after this. */
#define GW_BERTHS_HELD_MAX_USEC (10 * G_USEC_PER_SEC)
/* The wire has room while it carries less than this of what it can. */
#define GW_BERTHS_ROOM_PERCENT 60
#define GW_BERTHS_ROOM_WINDOW_USEC (250 * 1000)

typedef struct _GwBerths GwBerths;

/* A part of whoever wants one. Zeroed at first. */
typedef struct
{
  gpointer owner; /* the only field that is not the berths' own */
  GList link;
  GQueue *in;    /* where it is queued; NULL: nowhere */
  gint64 since;  /* when it was given */
  gint64 active; /* when its holder was last heard or spoken to */
} GwBerth;

/* @berth's turn has come: it is held now. May ask and leave. */
typedef void (*GwBerthsGrant) (GwBerth *berth, gpointer data);
/* Whether @berth's holder waits for its endpoint. */
typedef gboolean (*GwBerthsWaits) (GwBerth *berth, gpointer data);

struct _GwBerths
{
  GwLoop *loop;
  GwBerthsGrant grant;
  GwBerthsWaits waits;
  gpointer data;
  guint most; /* 0: as many as come */
  guint octets_per_second;
  gint64 idle_usec;
  gint64 window; /* begin of the present window */
  guint64 carried, carried_before; /* octets in it and in the one before */
  GQueue waiting;
  GQueue held;
  GwTimer look; /* armed while anybody waits */
};

void gw_berths_init (GwBerths *self, GwLoop *loop, GwBerthsGrant grant, GwBerthsWaits waits, gpointer data);
/* Nobody may wait or hold any more. */
void gw_berths_clear (GwBerths *self);

/* At most @most at once (0: no limit), on a wire that carries @octets_per_second; who is silent for @idle_usec computes. */
void gw_berths_set (GwBerths *self, guint most, guint octets_per_second, gint64 idle_usec);

/* TRUE: it has one, now or already. FALSE: it waits for the grant. */
gboolean gw_berths_ask (GwBerths *self, GwBerth *berth);
/* The wire carries that much for whoever @berth is of. */
void gw_berths_carry (GwBerths *self, GwBerth *berth, gsize octets);
/* It neither holds nor wants one any more. */
void gw_berths_leave (GwBerths *self, GwBerth *berth);

G_END_DECLS
