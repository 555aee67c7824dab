/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Commands to the RS-485 pair and its stations. */

#include "gw-protocol.h"
#include "gw-sim-command.h"
#include "gw-sim-pair-station.h"

#define LATENCY_MAX_MS 1000
#define LATE_MAX_MS 10000

static gboolean
refuse_port (const GwSimPort *port, GError **error)
{
  return gw_sim_call_refuse (error, "%s is not a station of an RS-485 pair", gw_sim_port_link (port));
}

static gboolean
say_status (GwSimCall *call)
{
  json_t *status = gw_sim_pair_status (call->sim->pair);

  json_object_set_new (status, "adapter", gw_sim_pair_adapter_status (call->sim->pair_adapter));
  json_object_set_new (call->answer, "rs485", status);
  return TRUE;
}

gboolean
gw_sim_command_pair (GwSimCall *call, GError **error)
{
  GwSimPairAdapter *adapter = call->sim->pair_adapter;
  const char *what = call->n_args > 0 ? call->args[0] : "";
  double ms;

  if (!adapter)
    return gw_sim_call_refuse (error, "There is no RS-485 pair; the option --rs485 makes one");
  if (call->n_args == 0)
    return say_status (call);
  if (g_str_equal (what, "unplug") && call->n_args == 1)
    gw_sim_pair_adapter_unplug (adapter);
  else if (g_str_equal (what, "replug") && call->n_args == 1)
    return gw_sim_pair_adapter_plug (adapter, error);
  else if (g_str_equal (what, "echo") && call->n_args == 2)
    {
      gboolean on;

      if (!gw_sim_call_switch (call->args[1], &on, error))
        return FALSE;
      gw_sim_pair_adapter_set_echo (adapter, on);
    }
  else if (g_str_equal (what, "latency") && call->n_args == 2)
    {
      if (!gw_sim_call_number (call->args[1], 0, LATENCY_MAX_MS, &ms, error))
        return FALSE;
      gw_sim_pair_adapter_set_latency (adapter, ms);
    }
  else
    return gw_sim_call_refuse (error, "Usage: rs485 [unplug|replug|echo on|off|latency MS]");
  return TRUE;
}

gboolean
gw_sim_command_pair_babble (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  GwSimPairBabble babble;

  if (!gw_sim_pair_babble_parse (call->args[1], &babble) || call->n_args > 2)
    return gw_sim_call_refuse (error, "A station babbles noise, frames or off, not '%s'", call->args[1]);
  return gw_sim_pair_station_set_babble (port, babble) ? TRUE : refuse_port (port, error);
}

gboolean
gw_sim_command_pair_liar (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  gboolean on;

  if (!gw_sim_call_switch (call->args[1], &on, error))
    return FALSE;
  return gw_sim_pair_station_set_liar (port, on) ? TRUE : refuse_port (port, error);
}

gboolean
gw_sim_command_pair_number (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  double number;

  if (!gw_sim_call_number (call->args[1], GW_FRAME_ADDRESS_STATION_MIN, GW_FRAME_ADDRESS_STATION_MAX, &number,
                           error))
    return FALSE;
  return gw_sim_pair_station_set_number (port, number) ? TRUE : refuse_port (port, error);
}

gboolean
gw_sim_command_late (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  double ms;

  if (!gw_sim_call_number (call->args[1], 0, LATE_MAX_MS, &ms, error))
    return FALSE;
  return gw_sim_pair_station_set_late (port, ms) ? TRUE : refuse_port (port, error);
}
