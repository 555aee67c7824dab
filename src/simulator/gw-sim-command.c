/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The command lines. Each command stands in one table with its usage; most act on one port's endpoint or on
 * all of them. */

#include <errno.h>
#include <string.h>

#include "gw-sim-command.h"

typedef struct
{
  const char *name, *usage, *help;
  guint n_args; /* at least; the target counts */
  /* One of the three. The first argument of the first two says which port, or "all". */
  GwSimPortAction on_endpoint; /* on ports that have one */
  GwSimPortAction on_port;
  gboolean (*on_call) (GwSimCall *call, GError **error);
} Command;

#define ON_ENDPOINT(func) func, NULL, NULL
#define ON_PORT(func) NULL, func, NULL
#define ON_CALL(func) NULL, NULL, func

gboolean
gw_sim_call_refuse (GError **error, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  if (error)
    *error = g_error_new_valist (G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, format, args);
  va_end (args);
  return FALSE;
}

gboolean
gw_sim_call_switch (const char *text, gboolean *on, GError **error)
{
  *on = g_str_equal (text, "on");
  return *on || g_str_equal (text, "off") ? TRUE
                                          : gw_sim_call_refuse (error, "'on' or 'off', not '%s'", text);
}

gboolean
gw_sim_call_number (const char *text, double min, double max, double *value, GError **error)
{
  char *end;

  errno = 0;
  *value = g_ascii_strtod (text, &end);
  if (errno != 0 || end == text || *end != '\0' || !(*value >= min && *value <= max))
    return gw_sim_call_refuse (error, "'%s' is not a number from %g to %g", text, min, max);
  return TRUE;
}

static GwSimPort *
find_port (GwSimCall *call, const char *text, GError **error)
{
  guint64 index;

  if (!g_ascii_string_to_unsigned (text, 10, 0, GW_SIM_PORTS_MAX, &index, NULL)
      || index >= call->sim->ports->len)
    {
      gw_sim_call_refuse (error, "There is no port '%s'; there are 0 to %d", text,
                          (int)call->sim->ports->len - 1);
      return NULL;
    }
  return call->sim->ports->pdata[index];
}

static gboolean
need_endpoint (const GwSimPort *port, const GwSimEndpoint *endpoint, GError **error)
{
  return endpoint ? TRUE : gw_sim_call_refuse (error, "There is no endpoint on %s", gw_sim_port_link (port));
}

/* ---- Looking ---- */

static json_t *
describe_port (GwSimPort *port, guint index)
{
  GwSimEndpoint *endpoint = gw_sim_port_get_endpoint (port);
  json_t *status = endpoint ? gw_sim_endpoint_status (endpoint) : json_object ();

  json_object_set_new (status, "port", json_integer (index));
  json_object_set_new (status, "line", gw_sim_port_status (port));
  return status;
}

static gboolean
do_status (GwSimCall *call, GError **error)
{
  json_t *list = json_array ();

  json_object_set_new (call->answer, "endpoints", list);
  if (call->n_args > 0)
    {
      GwSimPort *port = find_port (call, call->args[0], error);

      if (!port)
        return FALSE;
      json_array_append_new (list, describe_port (port, g_ascii_strtoull (call->args[0], NULL, 10)));
      return TRUE;
    }
  for (guint i = 0; i < call->sim->ports->len; i++)
    json_array_append_new (list, describe_port (call->sim->ports->pdata[i], i));
  return TRUE;
}

static gboolean
do_acknowledged (GwSimCall *call, GError **error)
{
  json_t *list = json_array ();

  for (guint i = 0; i < call->sim->endpoints->len; i++)
    json_array_append_new (list, gw_sim_endpoint_acknowledged (call->sim->endpoints->pdata[i]));
  json_object_set_new (call->answer, "endpoints", list);
  return TRUE;
}

static gboolean
do_produced (GwSimCall *call, GError **error)
{
  json_t *list = json_array ();

  for (guint i = 0; i < call->sim->endpoints->len; i++)
    json_array_append_new (list, gw_sim_endpoint_produced (call->sim->endpoints->pdata[i]));
  json_object_set_new (call->answer, "endpoints", list);
  return TRUE;
}

/* ---- Power and cables ---- */

static gboolean
do_power (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  gboolean on;

  if (!gw_sim_call_switch (call->args[1], &on, error))
    return FALSE;
  if (on)
    return gw_sim_endpoint_power_on (endpoint, error);
  gw_sim_endpoint_power_off (endpoint);
  return TRUE;
}

static gboolean
do_power_cycle (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  gw_sim_endpoint_power_off (endpoint);
  return gw_sim_endpoint_power_on (endpoint, error);
}

/* "powered", or nothing, as the argument at `index`. */
static gboolean
parse_powered (const GwSimCall *call, guint index, gboolean *powered, GError **error)
{
  *powered = call->n_args > index;
  return !*powered || g_str_equal (call->args[index], "powered")
             ? TRUE
             : gw_sim_call_refuse (error, "After the port may stand 'powered', not '%s'", call->args[index]);
}

static gboolean
do_unplug (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  gboolean powered;

  if (!parse_powered (call, 1, &powered, error))
    return FALSE;
  if (endpoint && !powered)
    gw_sim_endpoint_power_off (endpoint);
  gw_sim_port_unplug (port);
  return TRUE;
}

static gboolean
do_replug (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  if (!gw_sim_port_plug (port, error))
    return FALSE;
  return endpoint ? gw_sim_endpoint_power_on (endpoint, error) : TRUE;
}

static gboolean
do_move (GwSimCall *call, GError **error)
{
  GwSimPort *from = find_port (call, call->args[0], error), *to;
  GwSimEndpoint *endpoint = from ? gw_sim_port_get_endpoint (from) : NULL;
  gboolean powered;

  if (!from || !need_endpoint (from, endpoint, error) || !parse_powered (call, 2, &powered, error))
    return FALSE;
  to = g_str_equal (call->args[1], "new") ? gw_sim_add_port (call->sim, gw_sim_port_wire (from), error)
                                          : find_port (call, call->args[1], error);
  if (!to)
    return FALSE;
  if (gw_sim_port_get_endpoint (to))
    return gw_sim_call_refuse (error, "%s has an endpoint already", gw_sim_port_link (to));
  if (!powered)
    gw_sim_endpoint_power_off (endpoint);
  gw_sim_port_set_endpoint (from, NULL);
  gw_sim_port_set_endpoint (to, endpoint);
  return powered ? TRUE : gw_sim_endpoint_power_on (endpoint, error);
}

static gboolean
do_clone (GwSimCall *call, GError **error)
{
  GwSimPort *port = find_port (call, call->args[0], error);
  GwSimEndpoint *endpoint = port ? gw_sim_port_get_endpoint (port) : NULL;

  if (!port || !need_endpoint (port, endpoint, error) || !gw_sim_add_clone (call->sim, port, error))
    return FALSE;
  json_object_set_new (call->answer, "port", json_integer (call->sim->ports->len - 1));
  return TRUE;
}

static gboolean
do_foreign (GwSimCall *call, GError **error)
{
  if (!gw_sim_add_endpoint (call->sim, "foreign", call->sim->n_foreign++, error))
    return FALSE;
  json_object_set_new (call->answer, "port", json_integer (call->sim->ports->len - 1));
  return TRUE;
}

/* ---- Disturbances ---- */

static gboolean
do_drop (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  double share;

  if (!gw_sim_call_number (call->args[1], 0, 1, &share, error))
    return FALSE;
  gw_sim_port_set_drop (port, share);
  return TRUE;
}

static gboolean
do_corrupt (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  double share;

  if (!gw_sim_call_number (call->args[1], 0, 1, &share, error))
    return FALSE;
  gw_sim_port_set_corrupt (port, share);
  return TRUE;
}

static gboolean
do_garbage (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  double n;
  g_autofree guint8 *octets = NULL;

  if (!gw_sim_call_number (call->args[1], 1, GW_SIM_PORT_QUEUE_MAX, &n, error))
    return FALSE;
  octets = g_malloc (n);
  for (gsize i = 0; i < n; i++)
    octets[i] = g_random_int ();
  return gw_sim_port_write (port, octets, n)
             ? TRUE
             : gw_sim_call_refuse (error, "%s takes nothing now", gw_sim_port_link (port));
}

static gboolean
do_sign_delay (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  double ms;

  if (!gw_sim_call_number (call->args[1], 0, 3600000, &ms, error))
    return FALSE;
  gw_sim_endpoint_set_sign_delay (endpoint, ms);
  return TRUE;
}

static gboolean
do_hang (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  gw_sim_endpoint_set_hanging (endpoint, TRUE);
  return TRUE;
}

static gboolean
do_resume (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  gw_sim_endpoint_set_hanging (endpoint, FALSE);
  return TRUE;
}

static gboolean
do_lie (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  GwSimLie lie;

  if (!gw_sim_lie_parse (call->args[1], &lie))
    return gw_sim_call_refuse (error, "A lie is lengths, sequence, cbor, key-id, hello or off, not '%s'",
                               call->args[1]);
  gw_sim_endpoint_set_lie (endpoint, lie);
  return TRUE;
}

static gboolean
do_model (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  GwSimPufModel model = call->sim->puf_model;

  if (!gw_sim_call_number (call->args[1], 0, 100, &model.noise, error))
    return FALSE;
  if (call->n_args > 2 && !gw_sim_call_number (call->args[2], -100, 200, &model.temperature, error))
    return FALSE;
  if (call->n_args > 3 && !gw_sim_call_number (call->args[3], 0, 100, &model.years, error))
    return FALSE;
  gw_sim_endpoint_set_model (endpoint, &model);
  return TRUE;
}

static gboolean
do_button (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  gboolean pressed = g_str_equal (call->args[1], "press");

  if (!pressed && !g_str_equal (call->args[1], "release"))
    return gw_sim_call_refuse (error, "A button is 'press'ed or 'release'd, not '%s'", call->args[1]);
  gw_sim_endpoint_set_button (endpoint, pressed);
  return TRUE;
}

static gboolean
do_factory_reset (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  return gw_sim_endpoint_factory_reset (endpoint) ? TRUE : gw_sim_call_refuse (error, "It has no power");
}

/* ---- Production ---- */

static gboolean
do_rate (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  double rate;

  if (!gw_sim_rate_parse (call->args[1], &rate))
    return gw_sim_call_refuse (error, "A rate is max or a number up to %d, not '%s'", GW_SIM_RATE_NUMBER_MAX,
                               call->args[1]);
  if (g_str_equal (call->args[0], "all"))
    call->sim->rate = rate;
  gw_sim_endpoint_set_rate (endpoint, rate);
  return TRUE;
}

static gboolean
do_stop (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  gw_sim_endpoint_set_rate (endpoint, 0);
  return TRUE;
}

static gboolean
do_start (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  gw_sim_endpoint_set_rate (endpoint, call->sim->rate);
  return TRUE;
}

static gboolean
do_event (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  g_autofree char *message = call->n_args > 3 ? g_strjoinv (" ", call->args + 3) : NULL;
  double level, code;

  if (!gw_sim_call_number (call->args[1], 0, 7, &level, error)
      || !gw_sim_call_number (call->args[2], 0, G_MAXUINT32, &code, error))
    return FALSE;
  return gw_sim_endpoint_event (endpoint, level, code, message)
             ? TRUE
             : gw_sim_call_refuse (error, "It did not take the event");
}

static gboolean
do_force (GwSimCall *call, GwSimPort *port, GwSimEndpoint *endpoint, GError **error)
{
  double value;

  if (call->n_args > 2 && !gw_sim_call_number (call->args[2], -G_MAXDOUBLE, G_MAXDOUBLE, &value, error))
    return FALSE;
  return gw_sim_endpoint_force (endpoint, call->args[1], call->n_args > 2 ? &value : NULL)
             ? TRUE
             : gw_sim_call_refuse (error, "There is no such number: '%s'", call->args[1]);
}

static gboolean
do_quit (GwSimCall *call, GError **error)
{
  call->sim->done = TRUE;
  return TRUE;
}

/* ---- The table ---- */

static const Command commands[] = {
  { "status", "[PORT]", "each endpoint: key id, session, reports acknowledged, corrected cells, point values",
    0, ON_CALL (do_status) },
  { "acknowledged", "", "every report acknowledged since the start, as ranges by endpoint and boot", 0,
    ON_CALL (do_acknowledged) },
  { "produced", "", "when the last thousand reports of each boot were made, UTC in microseconds", 0,
    ON_CALL (do_produced) },
  { "rate", "PORT|all R|max", "reports a second; max: as fast as they are acknowledged", 2,
    ON_ENDPOINT (do_rate) },
  { "start", "PORT|all", "produce reports at the simulator's rate", 1, ON_ENDPOINT (do_start) },
  { "stop", "PORT|all", "produce no reports", 1, ON_ENDPOINT (do_stop) },
  { "event", "PORT|all LEVEL CODE [TEXT..]", "send an event (syslog severity)", 3, ON_ENDPOINT (do_event) },
  { "force", "PORT|all POINT [VALUE]", "hold a sensor at a value; without one let go", 2,
    ON_ENDPOINT (do_force) },
  { "power", "PORT|all on|off", "switch the endpoint", 2, ON_ENDPOINT (do_power) },
  { "power-cycle", "PORT|all", "off and on: a new boot, the next readout of its PUF", 1,
    ON_ENDPOINT (do_power_cycle) },
  { "unplug", "PORT|all [powered]", "the port vanishes; its endpoint loses power unless 'powered'", 1,
    ON_PORT (do_unplug) },
  { "replug", "PORT|all", "the port comes back, and power", 1, ON_PORT (do_replug) },
  { "move", "FROM TO|new [powered]", "put the endpoint on another, empty port", 2, ON_CALL (do_move) },
  { "clone", "PORT", "a second endpoint with the same PUF and flash, on a new port", 1, ON_CALL (do_clone) },
  { "foreign", "", "an endpoint that chips.csv does not name, on a new port", 0, ON_CALL (do_foreign) },
  { "drop", "PORT|all SHARE", "lose that share of frames, each way", 2, ON_PORT (do_drop) },
  { "corrupt", "PORT|all SHARE", "damage that share of frames, each way", 2, ON_PORT (do_corrupt) },
  { "garbage", "PORT|all N", "put N random octets on the line", 2, ON_PORT (do_garbage) },
  { "sign-delay", "PORT|all MS", "each K_tls signature takes so long", 2, ON_ENDPOINT (do_sign_delay) },
  { "hang", "PORT|all", "has power, does nothing", 1, ON_ENDPOINT (do_hang) },
  { "resume", "PORT|all", "ends hang", 1, ON_ENDPOINT (do_resume) },
  { "lie", "PORT|all lengths|sequence|cbor|key-id|hello|off", "say what is not so", 2, ON_ENDPOINT (do_lie) },
  { "model", "PORT|all NOISE [CELSIUS [YEARS]]", "the PUF model's conditions from the next power-up on", 2,
    ON_ENDPOINT (do_model) },
  { "button", "PORT|all press|release", "the owner's button", 2, ON_ENDPOINT (do_button) },
  { "factory-reset", "PORT|all", "forget owner and certificates", 1, ON_ENDPOINT (do_factory_reset) },
  { "can", "[errors SHARE|adapter unplug|replug|bus-off|errors SHARE]",
    "the CAN bus: how it stands, or destroy that share of frames, of the adapter's", 0,
    ON_CALL (gw_sim_command_can) },
  { "babble", "PORT|all isotp|heartbeat|high|noise|frames|off [SHARE]",
    "valid CAN frames at a share of the bus (0.5); RS-485: noise, or frames unasked", 2,
    ON_PORT (gw_sim_command_babble) },
  { "flood", "PORT|all OCTETS|off", "datagrams of random octets over ISO-TP, one after the other", 2,
    ON_PORT (gw_sim_command_flood) },
  { "stall", "PORT|all FRAMES|wait|off", "fall silent in ISO-TP after so many frames, or put off for ever", 2,
    ON_PORT (gw_sim_command_stall) },
  { "liar", "PORT|all on|off", "answer whatever a master says", 2, ON_PORT (gw_sim_command_liar) },
  { "number", "PORT|all N", "take that node or station number without being asked", 2,
    ON_PORT (gw_sim_command_number) },
  { "bus-off", "PORT|all", "as if its CAN controller's error counter overflowed", 1,
    ON_PORT (gw_sim_command_bus_off) },
  { "rs485", "[unplug|replug|echo on|off|latency MS]",
    "the RS-485 pair: how it stands, or its adapter gone, back, echoing, slow", 0,
    ON_CALL (gw_sim_command_pair) },
  { "late", "PORT|all MS", "on RS-485, answer so much later", 2, ON_PORT (gw_sim_command_late) },
  { "quit", "", "end the simulator", 0, ON_CALL (do_quit) },
};

char *
gw_sim_command_help (void)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (commands); i++)
    {
      g_autofree char *usage = g_strdup_printf ("%s %s", commands[i].name, commands[i].usage);

      g_string_append_printf (text, "  %-36s %s\n", usage, commands[i].help);
    }
  return g_string_free (text, FALSE);
}

/* Words that the command's usage names, the optional ones too; "..." stands for any number. */
static guint
most_args (const Command *command)
{
  g_auto (GStrv) words = g_strsplit (command->usage, " ", -1);

  return strstr (command->usage, "..") ? G_MAXUINT : g_strv_length (words);
}

static gboolean
run_on_port (const Command *command, GwSimCall *call, GwSimPort *port, GError **error)
{
  GwSimEndpoint *endpoint = gw_sim_port_get_endpoint (port);

  if (command->on_port)
    return command->on_port (call, port, endpoint, error);
  return need_endpoint (port, endpoint, error) && command->on_endpoint (call, port, endpoint, error);
}

static gboolean
run_on_ports (const Command *command, GwSimCall *call, GError **error)
{
  GwSimPort *port;

  if (!g_str_equal (call->args[0], "all"))
    {
      port = find_port (call, call->args[0], error);
      return port && run_on_port (command, call, port, error);
    }
  /* Empty ports, from which an endpoint was moved, have nothing to be disturbed. */
  for (guint i = 0; i < call->sim->ports->len; i++)
    {
      port = call->sim->ports->pdata[i];
      if (gw_sim_port_get_endpoint (port) && !run_on_port (command, call, port, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
run_command (GwSimCall *call, const char *name, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (commands); i++)
    {
      const Command *command = &commands[i];

      if (!g_str_equal (command->name, name))
        continue;
      if (call->n_args < command->n_args || call->n_args > most_args (command))
        return gw_sim_call_refuse (error, "Usage: %s %s", name, command->usage);
      return command->on_call ? command->on_call (call, error) : run_on_ports (command, call, error);
    }
  return gw_sim_call_refuse (error, "There is no command '%s'; gangway-sim --help names them", name);
}

json_t *
gw_sim_command (GwSim *self, const char *line)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) words = NULL;
  GwSimCall call = { .sim = self, .answer = json_object () };
  int n = 0;

  if (g_shell_parse_argv (line, &n, &words, &error))
    {
      call.args = words + 1;
      call.n_args = n - 1;
      run_command (&call, words[0], &error);
    }
  json_object_set_new (call.answer, "ok", json_boolean (error == NULL));
  if (error)
    json_object_set_new (call.answer, "error", json_string (error->message));
  return call.answer;
}
