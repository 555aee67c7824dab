/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A simulated CAN bus with players on it: units that note what happens to them, and when. */

#include "gw-sim-can-wire.h"
#include "sim-rig.h"

#define CAN_PLAYERS_RATE 500000
#define CAN_PLAYERS_DATA_RATE 2000000
#define CAN_PLAYERS 4

typedef struct
{
  bool sent; /* or received */
  GwCanFrame frame;
  gint64 at; /* nanoseconds of the bus */
} CanNote;

typedef struct
{
  GwSimCanUnit unit;
  GArray *notes;    /* of CanNote */
  GwCanFrame again; /* sent anew whenever it is out, while `repeats` is above 0 */
  guint repeats;
} CanPlayer;

typedef struct
{
  SimRig rig;
  GwSimCanBus *bus;
  CanPlayer players[CAN_PLAYERS];
} CanPlayers;

void can_players_init (CanPlayers *self, bool unpaced);
void can_players_clear (CanPlayers *self);

/* In the player's mailbox 0, to be sent now; asserts that it is empty. */
void can_players_put (CanPlayers *self, guint player, const GwCanFrame *frame);
/* Asserts that there are so many. */
const CanNote *can_players_note (CanPlayers *self, guint player, guint index);
void can_players_assert_heard (CanPlayers *self, guint player, guint index, const GwCanFrame *frame);

/* Classic, extended where the id is; `data`: at most eight octets, a string. */
GwCanFrame can_players_frame (guint32 id, const char *data);
/* What it takes on the players' bus. */
gint64 can_players_nsec (const GwCanFrame *frame);
