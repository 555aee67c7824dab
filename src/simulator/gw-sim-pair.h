/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A pair of wires with many units on it, half duplex, octet by octet at its true speed: ten bits an octet.
 * Who sends does not hear; what two send at once is damaged for everybody. The gateway's unit is an adapter
 * at a pseudo-terminal.
 *
 * The wire lives in its own time, in nanoseconds, which is worked off up to the present whenever something
 * happens: a simulator that is woken late does everything late, but in order and at the right distance. */

#include <gio/gio.h>
#include <jansson.h>

#include "gw-sim-pacer.h"

#define GW_SIM_PAIR_SPEED_DEFAULT 115200u
#define GW_SIM_PAIR_SPEED_MIN 1200u
#define GW_SIM_PAIR_SPEED_MAX 10000000u

/* Octets that a receiver collects before it hands them over, as a UART's FIFO does. */
#define GW_SIM_PAIR_PORTION 16

/* Octets that a unit may have waiting to be sent. */
#define GW_SIM_PAIR_OUT_MAX (64 * 1024)

typedef struct GwSimPair GwSimPair;
typedef struct GwSimPairUnit GwSimPairUnit;

typedef struct
{
  /* An octet has ended on the wire at `at` (nanoseconds). May send. */
  void (*heard) (GwSimPairUnit *self, guint8 octet, gint64 at);
  /* Its own last octet has ended. May send. NULL: no matter. */
  void (*sent) (GwSimPairUnit *self, gint64 at);
  /* The wire has been worked off; called once after several octets. NULL: no matter. */
  void (*flush) (GwSimPairUnit *self);
} GwSimPairUnitClass;

/* Embedded in what sits on the pair; the fields are the pair's, but for the last. Times in nanoseconds. */
struct GwSimPairUnit
{
  const GwSimPairUnitClass *class;
  GwSimPair *pair; /* NULL: it is not on it */
  GByteArray *out; /* octets pos .. are still to go */
  gsize pos;
  gint64 begins;         /* the one at pos */
  gint64 started, ended; /* this or the last transmission */
  gboolean hears_itself; /* the user's to set */
};

/* `speed`: bit/s. `seed`: of what a collision leaves. */
GwSimPair *gw_sim_pair_new (GwLoop *loop, guint speed, guint64 seed);
/* The units must have left. */
void gw_sim_pair_free (GwSimPair *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwSimPair, gw_sim_pair_free)

/* Bit/s. */
guint gw_sim_pair_speed (const GwSimPair *self);
/* What an octet takes, nanoseconds. */
gint64 gw_sim_pair_octet_nsec (const GwSimPair *self);
/* The wire's time: the present, or while it is being worked off, that of the octet. */
gint64 gw_sim_pair_now (const GwSimPair *self);
/* The pair's, for who garbles what it hears. */
GRand *gw_sim_pair_rand (GwSimPair *self);

void gw_sim_pair_unit_init (GwSimPairUnit *unit, const GwSimPairUnitClass *class);
/* Neither this nor detaching may be done in a unit's callback. */
void gw_sim_pair_attach (GwSimPair *self, GwSimPairUnit *unit);
/* What it had still to send is gone. Either may be called twice. */
void gw_sim_pair_detach (GwSimPairUnit *unit);

/* Sends from `at` on (nanoseconds; not before the present), or right after what it is sending. FALSE: no
 * room. */
gboolean gw_sim_pair_send (GwSimPairUnit *unit, const guint8 *octets, gsize len, gint64 at);
gboolean gw_sim_pair_is_sending (const GwSimPairUnit *unit);
/* Falls silent at once: what it had still to send is gone. */
void gw_sim_pair_stop (GwSimPairUnit *unit);

/* {"speed", "octets", "damaged", "busy"}: busy is the share of the time since the last call; the caller's. */
json_t *gw_sim_pair_status (GwSimPair *self);
