/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* gangway-sim: virtual endpoints on pseudo-terminals. Options, then the loop. */

#include <glib-unix.h>
#include <locale.h>
#include <sys/resource.h>

#include "gw-sim-control.h"
#include "gw-sim-pair.h"

typedef struct
{
  int endpoints, foreign, mtu, sign_delay;
  gboolean slots, can_unpaced, rs485;
  int can_rate, can_data_rate, can_endpoints, can_vendor;
  int rs485_endpoints, speed;
  char *can, *can_log;
  char *folder, *control, *seed, *sram, *keys, *ctl, *rate;
  char *manufacturer, *model, *firmware;
  double noise, temperature, years;
  char **devices, **rest;
} Arguments;

static void
arguments_clear (Arguments *a)
{
  g_free (a->can);
  g_free (a->can_log);
  g_free (a->folder);
  g_free (a->control);
  g_free (a->seed);
  g_free (a->sram);
  g_free (a->keys);
  g_free (a->ctl);
  g_free (a->rate);
  g_free (a->manufacturer);
  g_free (a->model);
  g_free (a->firmware);
  g_strfreev (a->devices);
  g_strfreev (a->rest);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Arguments, arguments_clear)

static const char summary[]
    = "Virtual endpoints, each with a PUF, on a pseudo-terminal of its own: DIR/ttyGW0 and so on. "
      "DIR/chips.csv lists them\n"
      "as the vendor's manifest would; DIR/state is their flash, so a second run with the same folder finds "
      "the same\n"
      "chips. With --control a socket takes commands, a line each, and answers in JSON; --ctl sends one.";

/* Every port takes a descriptor; the usual soft limit of 1,024 is for programs that use select(). */
static void
raise_descriptor_limit (void)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) == 0)
    {
      limit.rlim_cur = limit.rlim_max;
      setrlimit (RLIMIT_NOFILE, &limit);
    }
}

static gboolean
parse_arguments (int *argc, char ***argv, Arguments *a, GError **error)
{
  const GOptionEntry entries[] = {
    { "endpoints", 'n', 0, G_OPTION_ARG_INT, &a->endpoints, "Endpoints to begin with (1)", "N" },
    { "dir", 'd', 0, G_OPTION_ARG_FILENAME, &a->folder, "Folder of links, chips.csv and state (required)",
      "DIR" },
    { "device", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &a->devices,
      "Serial device for the first endpoint, again for the next; others get pseudo-terminals", "PATH" },
    { "slots", 0, 0, G_OPTION_ARG_NONE, &a->slots,
      "Datagram sockets DIR/slot-0.. instead of pseudo-terminals: the rack of the example plugin", NULL },
    { "can", 0, 0, G_OPTION_ARG_STRING, &a->can,
      "All endpoints on one CAN bus: slcan (an adapter at DIR/ttyCAN0), or a CAN interface", "slcan|IFACE" },
    { "can-rate", 0, 0, G_OPTION_ARG_INT, &a->can_rate, "Its bit rate (500000)", "BIT/S" },
    { "can-data-rate", 0, 0, G_OPTION_ARG_INT, &a->can_data_rate,
      "CAN FD, with this bit rate of the data phase (0: classic CAN)", "BIT/S" },
    { "can-endpoints", 0, 0, G_OPTION_ARG_INT, &a->can_endpoints,
      "Only the first N endpoints on it, the others on lines of their own", "N" },
    { "can-vendor", 0, 0, G_OPTION_ARG_INT, &a->can_vendor, "Vendor in the nodes' identity (0)", "N" },
    { "can-log", 0, 0, G_OPTION_ARG_FILENAME, &a->can_log, "Write every frame to FILE, as candump -L does",
      "FILE" },
    { "can-unpaced", 0, 0, G_OPTION_ARG_NONE, &a->can_unpaced, "Frames on the simulated bus take no time",
      NULL },
    { "rs485", 0, 0, G_OPTION_ARG_NONE, &a->rs485,
      "All endpoints on one RS-485 pair, its adapter at DIR/ttyRS0; those of --can-endpoints apart", NULL },
    { "rs485-endpoints", 0, 0, G_OPTION_ARG_INT, &a->rs485_endpoints,
      "Only the next N endpoints on it, the others on lines of their own", "N" },
    { "speed", 0, 0, G_OPTION_ARG_INT, &a->speed, "Its speed (115200)", "BIT/S" },
    { "control", 'c', 0, G_OPTION_ARG_FILENAME, &a->control, "Take commands on this socket", "PATH" },
    { "ctl", 0, 0, G_OPTION_ARG_FILENAME, &a->ctl, "Send COMMAND to the simulator at this socket", "PATH" },
    { "seed", 's', 0, G_OPTION_ARG_STRING, &a->seed, "The same text gives the same chips (gangway)", "TEXT" },
    { "sram", 0, 0, G_OPTION_ARG_FILENAME, &a->sram, "Chips from the readouts (*.bin) in this folder",
      "DIR" },
    { "rate", 'r', 0, G_OPTION_ARG_STRING, &a->rate, "Reports a second and endpoint (1), or max", "R" },
    { "foreign", 0, 0, G_OPTION_ARG_INT, &a->foreign, "More endpoints, not in chips.csv (0)", "N" },
    { "sign-delay", 0, 0, G_OPTION_ARG_INT, &a->sign_delay, "Milliseconds a K_tls signature takes (0)",
      "MS" },
    { "manufacturer", 0, 0, G_OPTION_ARG_STRING, &a->manufacturer, "At most 24 octets (Gangway)", "TEXT" },
    { "model", 0, 0, G_OPTION_ARG_STRING, &a->model, "At most 24 octets (SIM-1)", "TEXT" },
    { "firmware", 0, 0, G_OPTION_ARG_STRING, &a->firmware, "At most 24 octets (1.0.0)", "TEXT" },
    { "mtu", 0, 0, G_OPTION_ARG_INT, &a->mtu, "Largest datagram, octets (512)", "N" },
    { "noise", 0, 0, G_OPTION_ARG_DOUBLE, &a->noise, "PUF model: noise against mismatch (0.10)", "SIGMA" },
    { "temperature", 0, 0, G_OPTION_ARG_DOUBLE, &a->temperature, "PUF model: degrees Celsius (25)", "T" },
    { "years", 0, 0, G_OPTION_ARG_DOUBLE, &a->years, "PUF model: years of ageing (0)", "Y" },
    { "reveal-keys", 0, 0, G_OPTION_ARG_FILENAME, &a->keys,
      "Write all private scalars to FILE: for tests that look for them elsewhere", "FILE" },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &a->rest, NULL, "[COMMAND..]" },
    { NULL },
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autofree char *commands = gw_sim_command_help ();
  g_autofree char *description = g_strconcat ("Commands:\n", commands, NULL);

  g_option_context_set_summary (context, summary);
  g_option_context_set_description (context, description);
  g_option_context_add_main_entries (context, entries, NULL);
  return g_option_context_parse (context, argc, argv, error);
}

/* ISO 11898-1 and -2: what controllers and transceivers do. */
static gboolean
is_rate (int rate, gboolean data)
{
  return data ? rate == 0 || (rate >= 100000 && rate <= 8000000) : rate >= 10000 && rate <= 1000000;
}

/* FALSE: something is missing, or no sensible number. */
static gboolean
make_options (const Arguments *a, GwSimOptions *options)
{
  *options = (GwSimOptions){
    .n_endpoints = a->endpoints,
    .n_foreign = a->foreign,
    .devices = (const char *const *)a->devices,
    .slots = a->slots,
    .can = {
      .what = a->can,
      .bit_rate = a->can_rate,
      .data_rate = a->can_data_rate,
      .n_endpoints = a->can_endpoints < 0 ? G_MAXUINT : (guint)a->can_endpoints,
      .vendor = a->can_vendor,
      .unpaced = a->can_unpaced,
      .log = a->can_log,
    },
    .rs485 = {
      .n_endpoints = !a->rs485 ? 0 : a->rs485_endpoints < 0 ? G_MAXUINT : (guint)a->rs485_endpoints,
      .speed = a->speed,
    },
    .folder = a->folder,
    .seed = a->seed ? a->seed : "gangway",
    .sram = a->sram,
    .manufacturer = a->manufacturer ? a->manufacturer : "Gangway",
    .model = a->model ? a->model : "SIM-1",
    .firmware = a->firmware ? a->firmware : "1.0.0",
    .mtu = a->mtu,
    .sign_delay_ms = a->sign_delay,
    .puf = { .noise = a->noise, .temperature = a->temperature, .years = a->years },
  };
  return a->folder && !a->ctl && !a->rest && a->endpoints >= 0 && a->foreign >= 0 && a->mtu >= 0
         && a->mtu <= G_MAXUINT16 && a->sign_delay >= 0 && a->can_vendor >= 0 && is_rate (a->can_rate, FALSE)
         && is_rate (a->can_data_rate, TRUE) && a->speed >= (int)GW_SIM_PAIR_SPEED_MIN
         && a->speed <= (int)GW_SIM_PAIR_SPEED_MAX
         && gw_sim_rate_parse (a->rate ? a->rate : "1", &options->rate);
}

static gboolean
on_signal (gpointer data)
{
  g_main_loop_quit (data);
  return G_SOURCE_CONTINUE;
}

typedef struct
{
  GwSim *sim;
  GMainLoop *main_loop;
} Running;

static void
after_command (gpointer data)
{
  Running *running = data;

  if (gw_sim_is_done (running->sim))
    g_main_loop_quit (running->main_loop);
}

static gboolean
run (const Arguments *a, const GwSimOptions *options, GError **error)
{
  g_autoptr (GwClock) clock = gw_clock_new_real ();
  g_autoptr (GwLoop) loop = gw_loop_new (NULL, clock);
  g_autoptr (GMainLoop) main_loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GwSim) sim = gw_sim_new (loop, options, error);
  g_autoptr (GwSimControl) control = NULL;
  Running running = { sim, main_loop };
  guint term, interrupt;

  if (!sim || (a->keys && !gw_sim_reveal (sim, a->keys, error)))
    return FALSE;
  if (a->control)
    {
      control = gw_sim_control_new (sim, a->control, after_command, &running, error);
      if (!control)
        return FALSE;
    }
  term = g_unix_signal_add (SIGTERM, on_signal, main_loop);
  interrupt = g_unix_signal_add (SIGINT, on_signal, main_loop);
  g_main_loop_run (main_loop);
  g_source_remove (term);
  g_source_remove (interrupt);
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_auto (Arguments) a = { .endpoints = 1,
                           .can_rate = 500000,
                           .can_endpoints = -1,
                           .rs485_endpoints = -1,
                           .speed = GW_SIM_PAIR_SPEED_DEFAULT,
                           .noise = 0.10,
                           .temperature = 25 };
  GwSimOptions options;
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  if (!parse_arguments (&argc, &argv, &a, &error))
    {
      g_printerr ("gangway-sim: %s\n", error->message);
      return 2;
    }
  if (a.ctl && a.rest)
    return gw_sim_control_client (a.ctl, a.rest);
  if (!make_options (&a, &options))
    {
      g_printerr (
          "gangway-sim: --dir is needed, numbers must be sensible, commands need --ctl; see --help\n");
      return 2;
    }
  raise_descriptor_limit ();
  if (!run (&a, &options, &error))
    {
      g_printerr ("gangway-sim: %s\n", error->message);
      return 1;
    }
  return 0;
}
