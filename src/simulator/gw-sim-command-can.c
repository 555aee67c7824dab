/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Commands to the CAN bus and its nodes. */

#include "gw-sim-can-node.h"
#include "gw-sim-can-wire.h"
#include "gw-sim-command.h"

#define BABBLE_SHARE 0.5
#define BABBLE_SHARE_MIN 0.0001

static gboolean
refuse_port (const GwSimPort *port, GError **error)
{
  return gw_sim_call_refuse (error, "%s is not a CAN node that can do this now", gw_sim_port_link (port));
}

/* ---- The bus ---- */

static gboolean
say_status (GwSimCall *call)
{
  json_t *status = gw_sim_can_bus_status (call->sim->can);
  guint numbered = 0;

  for (guint i = 0; i < call->sim->ports->len; i++)
    numbered += gw_sim_can_node_number (call->sim->ports->pdata[i]) != 0;
  json_object_set_new (status, "numbered", json_integer (numbered));
  if (call->sim->adapter)
    json_object_set_new (status, "adapter", gw_sim_can_adapter_status (call->sim->adapter));
  json_object_set_new (call->answer, "can", status);
  return TRUE;
}

static gboolean
act_on_adapter (GwSimCall *call, GError **error)
{
  GwSimCanAdapter *adapter = call->sim->adapter;
  const char *what = call->n_args > 1 ? call->args[1] : "";
  double share;

  if (g_str_equal (what, "unplug") && call->n_args == 2)
    gw_sim_can_adapter_unplug (adapter);
  else if (g_str_equal (what, "replug") && call->n_args == 2)
    return gw_sim_can_adapter_plug (adapter, error);
  else if (g_str_equal (what, "bus-off") && call->n_args == 2)
    gw_sim_can_wire_force_off (call->sim->can, gw_sim_can_adapter_unit (adapter));
  else if (g_str_equal (what, "errors") && call->n_args == 3)
    {
      if (!gw_sim_call_number (call->args[2], 0, 1, &share, error))
        return FALSE;
      gw_sim_can_adapter_unit (adapter)->error_share = share;
    }
  else
    return gw_sim_call_refuse (error, "Usage: can adapter unplug|replug|bus-off|errors SHARE");
  return TRUE;
}

gboolean
gw_sim_command_can (GwSimCall *call, GError **error)
{
  double share;

  if (!call->sim->can)
    return gw_sim_call_refuse (error, "There is no CAN bus; the simulator makes one with --can");
  if (call->n_args == 0)
    return say_status (call);
  if (!call->sim->adapter)
    return gw_sim_call_refuse (error, "That is the network interface's affair");
  if (g_str_equal (call->args[0], "adapter"))
    return act_on_adapter (call, error);
  if (!g_str_equal (call->args[0], "errors") || call->n_args != 2)
    return gw_sim_call_refuse (error, "Usage: can [errors SHARE|adapter ..]");
  if (!gw_sim_call_number (call->args[1], 0, 1, &share, error))
    return FALSE;
  gw_sim_can_wire_set_error_share (call->sim->can, share);
  return TRUE;
}

/* ---- Nodes ---- */

gboolean
gw_sim_command_babble (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  GwSimCanBabble babble;
  double share = BABBLE_SHARE;

  if (gw_sim_port_wire (port) == GW_SIM_WIRE_PAIR)
    return gw_sim_command_pair_babble (call, port, endpoint, error);
  if (!gw_sim_can_babble_parse (call->args[1], &babble))
    return gw_sim_call_refuse (error, "It babbles isotp, heartbeat, high or off, not '%s'", call->args[1]);
  if (call->n_args > 2 && !gw_sim_call_number (call->args[2], BABBLE_SHARE_MIN, 1, &share, error))
    return FALSE;
  return gw_sim_can_node_set_babble (port, babble, share) ? TRUE : refuse_port (port, error);
}

gboolean
gw_sim_command_flood (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  double octets = 0;

  if (!g_str_equal (call->args[1], "off")
      && !gw_sim_call_number (call->args[1], 1, GW_SIM_PORT_DATAGRAM_MAX, &octets, error))
    return FALSE;
  return gw_sim_can_node_set_flood (port, octets) ? TRUE : refuse_port (port, error);
}

gboolean
gw_sim_command_stall (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  gboolean waits = g_str_equal (call->args[1], "wait");
  double frames = -1;

  if (!waits && !g_str_equal (call->args[1], "off")
      && !gw_sim_call_number (call->args[1], 0, G_MAXINT, &frames, error))
    return FALSE;
  return gw_sim_can_node_set_waiting (port, waits) && gw_sim_can_node_set_stall (port, frames)
             ? TRUE
             : refuse_port (port, error);
}

gboolean
gw_sim_command_liar (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  gboolean on;

  if (gw_sim_port_wire (port) == GW_SIM_WIRE_PAIR)
    return gw_sim_command_pair_liar (call, port, endpoint, error);
  if (!gw_sim_call_switch (call->args[1], &on, error))
    return FALSE;
  return gw_sim_can_node_set_liar (port, on) ? TRUE : refuse_port (port, error);
}

gboolean
gw_sim_command_number (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  double number;

  if (gw_sim_port_wire (port) == GW_SIM_WIRE_PAIR)
    return gw_sim_command_pair_number (call, port, endpoint, error);
  if (!gw_sim_call_number (call->args[1], 1, 127, &number, error))
    return FALSE;
  return gw_sim_can_node_set_number (port, number) ? TRUE : refuse_port (port, error);
}

gboolean
gw_sim_command_bus_off (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  GwSimCanUnit *unit = gw_sim_can_node_unit (port);

  if (!unit || !unit->bus || !call->sim->adapter)
    return refuse_port (port, error);
  gw_sim_can_wire_force_off (call->sim->can, unit);
  return TRUE;
}
