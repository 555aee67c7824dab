/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A CAN bus as those who hang on it see it: controllers ("units") with mailboxes. A frame put into a mailbox
 * goes out when its turn comes; the unit is told then, and every other unit hears it. What lies between, a
 * simulated wire (gw-sim-can-wire) or a network interface (gw-sim-can-socket), is the class's affair.
 *
 * Units are embedded in their owners and borrowed; they may come and go at any time, inside their callbacks
 * too. Times told to units are monotonic microseconds of the bus, which may lag behind the loop's. */

#include <gio/gio.h>
#include <jansson.h>
#include <stdio.h>

#include "gw-can.h"
#include "gw-loop.h"

/* Each competes for itself, the way a controller's hardware has it: 0 for the short and urgent. */
#define GW_SIM_CAN_MAILBOXES 3

typedef struct GwSimCanBus GwSimCanBus;
typedef struct GwSimCanUnit GwSimCanUnit;

/* ISO 11898-1, 12.1.4; warning is the usual threshold of controllers. */
#define GW_SIM_CAN_WARNING 96
#define GW_SIM_CAN_PASSIVE 128
#define GW_SIM_CAN_OFF 256

typedef enum
{
  GW_SIM_CAN_STATE_ACTIVE,
  GW_SIM_CAN_STATE_WARNING,
  GW_SIM_CAN_STATE_PASSIVE,
  GW_SIM_CAN_STATE_OFF,
} GwSimCanState;

typedef struct
{
  /* A frame of another unit. */
  void (*received) (GwSimCanUnit *self, const GwCanFrame *frame, gint64 now);
  /* What lay in that mailbox has gone out; it is empty again. */
  void (*sent) (GwSimCanUnit *self, guint mailbox, gint64 now);
  /* `due` has come; it is INT64_MAX again. */
  void (*due) (GwSimCanUnit *self, gint64 now);
  /* Several frames at once are over: write out what was collected. NULL: nothing is. */
  void (*flush) (GwSimCanUnit *self);
} GwSimCanUnitClass;

typedef struct
{
  bool full;
  gint64 ready; /* nanoseconds: does not compete before */
  GwCanFrame frame;
} GwSimCanMailbox;

struct GwSimCanUnit
{
  const GwSimCanUnitClass *class;
  GwSimCanBus *bus; /* NULL: not on one */
  GwSimCanMailbox mailboxes[GW_SIM_CAN_MAILBOXES];
  gint64 due; /* microseconds */

  /* How it stands with the wire; set by owner and commands. */
  double error_share; /* of its own frames, destroyed */
  bool misclocked;    /* runs at another bit rate than the bus */
  bool listen_only;   /* neither acknowledges nor sends */
  bool stays_off;     /* does not come back from bus-off by itself */

  /* The wire's. */
  guint tec, rec;
  GwSimCanState state;
  gint64 recovers; /* from bus-off, nanoseconds */
  int sending;     /* the mailbox in the present frame; -1: none */
  guint64 frames_out, frames_in, errors, offs, arbitrations_lost;
};

typedef struct
{
  /* Now on this bus, nanoseconds. */
  gint64 (*now) (GwSimCanBus *self);
  /* A mailbox was filled, a unit came or went, or its `due` moved: see to it, without calling a unit. */
  void (*kick) (GwSimCanBus *self);
  /* Adds what only this class knows. NULL: nothing. */
  void (*add_status) (const GwSimCanBus *self, json_t *status);
  void (*free) (GwSimCanBus *self);
} GwSimCanBusClass;

struct GwSimCanBus
{
  const GwSimCanBusClass *class;
  GPtrArray *units; /* of GwSimCanUnit; NULL where one has gone while somebody is looking at them */
  guint busy;       /* so many are */
  guint32 bit_rate, data_rate; /* bit/s; data_rate 0: classic frames only */
  guint64 frames;
  FILE *log; /* NULL: none */
};

/* Units that are still on it are off it then; they are not freed. */
void gw_sim_can_bus_free (GwSimCanBus *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwSimCanBus, gw_sim_can_bus_free)
/* Writes every frame into a new file, in the format of candump -L and its times those of the bus. FALSE: it
 * cannot be made. */
gboolean gw_sim_can_bus_open_log (GwSimCanBus *self, const char *path, GError **error);
/* {"bit_rate", "data_rate", "frames", ..}; the caller's. */
json_t *gw_sim_can_bus_status (const GwSimCanBus *self);

void gw_sim_can_unit_init (GwSimCanUnit *self, const GwSimCanUnitClass *class);
/* On the bus with empty mailboxes and counters of errors at 0. Twice is once. */
void gw_sim_can_unit_attach (GwSimCanUnit *self, GwSimCanBus *bus);
/* What lies in its mailboxes is not sent. Twice is once. */
void gw_sim_can_unit_detach (GwSimCanUnit *self);
/* `after` nanoseconds from now the frame competes. False: the mailbox is full, or the unit is off the bus. */
bool gw_sim_can_unit_put (GwSimCanUnit *self, guint mailbox, const GwCanFrame *frame, gint64 after);
/* When `due` is called next, microseconds; INT64_MAX: never; past: now. Off the bus it does nothing. */
void gw_sim_can_unit_set_due (GwSimCanUnit *self, gint64 due);
/* Sets counters and state; true: the state is another. */
bool gw_sim_can_unit_count (GwSimCanUnit *self, int tec, int rec);
/* {"state", "tx_errors", ..}; the caller's. */
json_t *gw_sim_can_unit_status (const GwSimCanUnit *self);

/* For classes, the first member of whose objects is a zeroed GwSimCanBus. */
void
gw_sim_can_bus_init (GwSimCanBus *self, const GwSimCanBusClass *class, guint32 bit_rate, guint32 data_rate);
void gw_sim_can_bus_clear (GwSimCanBus *self);
/* Between begin and end units may go; end() lets them flush. May be nested. */
void gw_sim_can_bus_begin (GwSimCanBus *self);
void gw_sim_can_bus_end (GwSimCanBus *self);
/* A frame has gone by: units with `sending` >= 0 hear that they have sent it, all others the frame. */
void gw_sim_can_bus_deliver (GwSimCanBus *self, const GwCanFrame *frame, gint64 now);
/* Calls `due` of those whose time has come; microseconds, as below. */
void gw_sim_can_bus_run_due (GwSimCanBus *self, gint64 now);
/* The earliest; INT64_MAX: none. */
gint64 gw_sim_can_bus_due (const GwSimCanBus *self);
