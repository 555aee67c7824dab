/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The simulator: ports, endpoints and the commands that disturb them. Used from the loop's thread; the loop
 * must outlive it. */

#include "gw-sim-endpoint.h"
#include "gw-sim-port.h"

typedef struct GwSim GwSim;

/* Most ports a simulator has, those of clones and foreign endpoints included. */
#define GW_SIM_PORTS_MAX 4096

#define GW_SIM_CAN_SLCAN "slcan"
#define GW_SIM_CAN_LINK "ttyCAN0" /* the adapter's, in `folder` */

#define GW_SIM_PAIR_LINK "ttyRS0" /* that of the RS-485 pair's adapter */

/* Strings are borrowed until gw_sim_new() returns. */
typedef struct
{
  guint n_endpoints, n_foreign;
  const char *const
      *devices;   /* serial devices for the first ports, instead of pseudo-terminals; NULL: none */
  gboolean slots; /* datagram sockets slot-0 and so on instead of pseudo-terminals */
  struct
  {
    const char *what;            /* GW_SIM_CAN_SLCAN, or a network interface; NULL: no bus */
    guint32 bit_rate, data_rate; /* bit/s; data_rate 0: classic frames only */
    guint n_endpoints;           /* the first ones; G_MAXUINT: all, later ones too */
    guint vendor;                /* of the nodes' identity objects */
    gboolean unpaced;            /* frames take no time */
    const char *log;             /* file for every frame; NULL: none */
  } can;
  struct
  {
    guint n_endpoints; /* after those on CAN; G_MAXUINT: all, later ones too; 0: no pair */
    guint speed;       /* bit/s */
  } rs485;
  const char *folder; /* for the links, chips.csv and state/ */
  const char *seed;   /* any text */
  const char *sram;   /* folder of real readouts; NULL: the model */
  const char *manufacturer, *model, *firmware;
  guint mtu;           /* octets; 0: the library's default */
  double rate;         /* reports a second and endpoint, or GW_SIM_RATE_MAX */
  guint sign_delay_ms; /* what a K_tls signature takes */
  GwSimPufModel puf;
} GwSimOptions;

/* Makes the ports and powers everything; writes chips.csv last. NULL, and an error for people, where an
 * option does not fit or the system refuses something. */
GwSim *gw_sim_new (GwLoop *loop, const GwSimOptions *options, GError **error);
void gw_sim_free (GwSim *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwSim, gw_sim_free)

/* Writes the private scalars of all endpoints to a file of mode 0600, for tests that look for them elsewhere.
 */
gboolean gw_sim_reveal (GwSim *self, const char *path, GError **error);

/* Carries out a command line; the answer, {"ok": true, ..} or {"ok": false, "error": ".."}, is the caller's.
 */
json_t *gw_sim_command (GwSim *self, const char *line);

/* Whether `quit` was commanded. */
gboolean gw_sim_is_done (const GwSim *self);

/* The commands, a line each, for --help; the caller's. */
char *gw_sim_command_help (void);
