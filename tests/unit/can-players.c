/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "can-players.h"

#include <string.h>

#define SEED 1

static void
note (CanPlayer *self, bool sent, const GwCanFrame *frame)
{
  CanNote n = { sent, *frame, self->unit.bus->class->now (self->unit.bus) };

  g_array_append_val (self->notes, n);
}

static void
on_received (GwSimCanUnit *unit, const GwCanFrame *frame, gint64 now)
{
  note ((CanPlayer *)unit, false, frame);
}

static void
on_sent (GwSimCanUnit *unit, guint mailbox, gint64 now)
{
  CanPlayer *self = (CanPlayer *)unit;

  note (self, true, &unit->mailboxes[mailbox].frame);
  if (self->repeats > 0 && self->repeats--)
    g_assert_true (gw_sim_can_unit_put (unit, mailbox, &self->again, 0));
}

static void
on_due (GwSimCanUnit *unit, gint64 now)
{
  g_assert_not_reached ();
}

static const GwSimCanUnitClass player_class = { .received = on_received, .sent = on_sent, .due = on_due };

void
can_players_init (CanPlayers *self, bool unpaced)
{
  sim_rig_init (&self->rig);
  self->bus = gw_sim_can_wire_new (self->rig.loop, CAN_PLAYERS_RATE, CAN_PLAYERS_DATA_RATE, unpaced, SEED);
  for (guint i = 0; i < CAN_PLAYERS; i++)
    {
      gw_sim_can_unit_init (&self->players[i].unit, &player_class);
      self->players[i].notes = g_array_new (FALSE, FALSE, sizeof (CanNote));
      gw_sim_can_unit_attach (&self->players[i].unit, self->bus);
    }
}

void
can_players_clear (CanPlayers *self)
{
  for (guint i = 0; i < CAN_PLAYERS; i++)
    {
      gw_sim_can_unit_detach (&self->players[i].unit);
      g_array_unref (self->players[i].notes);
    }
  gw_sim_can_bus_free (self->bus);
  sim_rig_clear (&self->rig);
}

void
can_players_put (CanPlayers *self, guint player, const GwCanFrame *frame)
{
  g_assert_true (gw_sim_can_unit_put (&self->players[player].unit, 0, frame, 0));
}

const CanNote *
can_players_note (CanPlayers *self, guint player, guint index)
{
  g_assert_cmpuint (index, <, self->players[player].notes->len);
  return &g_array_index (self->players[player].notes, CanNote, index);
}

void
can_players_assert_heard (CanPlayers *self, guint player, guint index, const GwCanFrame *frame)
{
  const CanNote *n = can_players_note (self, player, index);

  g_assert_false (n->sent);
  g_assert_cmphex (n->frame.id, ==, frame->id);
  g_assert_cmpmem (n->frame.data, n->frame.len, frame->data, frame->len);
}

GwCanFrame
can_players_frame (guint32 id, const char *data)
{
  GwCanFrame frame = { .id = id, .extended = id > GW_CAN_ID_BASE_MAX, .len = strlen (data) };

  memcpy (frame.data, data, frame.len);
  return frame;
}

gint64
can_players_nsec (const GwCanFrame *frame)
{
  return gw_can_frame_nsec (frame, CAN_PLAYERS_RATE, CAN_PLAYERS_DATA_RATE);
}
