/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A serial port: a pseudo-terminal behind a symbolic link, the framing of the endpoint's side, and bad
 * weather; or a serial device of the machine's; or a datagram socket without any framing.
 *
 * Unplugging closes the terminal (its user sees a hang-up) and removes the link. What an endpoint sends while
 * nobody has the port open is lost, as on a wire. The endpoint is borrowed; the port takes it on and off its
 * line. */

#include "gw-sim-endpoint.h"

typedef struct GwSimPort GwSimPort;

/* How often a port that nobody has open is looked at; see gw_sim_port_check(). */
#define GW_SIM_PORT_CHECK_USEC (50 * 1000)

/* A device that hung up is left alone for so long: who takes it away must not find it open again at once. */
#define GW_SIM_PORT_REOPEN_USEC (1000 * 1000)

/* Octets waiting for a user that does not read; beyond, frames are dropped. */
#define GW_SIM_PORT_QUEUE_MAX (16 * 1024)

#define GW_SIM_PORT_GATEWAY "gateway"

/* `link`: where the symbolic link goes. Begins unplugged. */
GwSimPort *gw_sim_port_new (GwLoop *loop, const char *link, guint64 seed);
/* A serial device of the machine's instead; it may come and go, now and later. Unplugged, it is not opened. */
GwSimPort *gw_sim_port_new_device (GwLoop *loop, const char *path, guint64 seed);
/* A slot of the example's rack: a datagram socket at `path`, whose gateway is the socket GW_SIM_PORT_GATEWAY
 * beside it. */
GwSimPort *gw_sim_port_new_slot (GwLoop *loop, const char *path, guint64 seed);
void gw_sim_port_free (GwSimPort *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwSimPort, gw_sim_port_free)

gboolean gw_sim_port_plug (GwSimPort *self, GError **error);
void gw_sim_port_unplug (GwSimPort *self);
gboolean gw_sim_port_is_plugged (const GwSimPort *self);

/* Sees whether somebody has opened the port meanwhile, or whether the device is there. */
void gw_sim_port_check (GwSimPort *self);

/* NULL takes the present one off the line. */
void gw_sim_port_set_endpoint (GwSimPort *self, GwSimEndpoint *endpoint);
GwSimEndpoint *gw_sim_port_get_endpoint (const GwSimPort *self);
const char *gw_sim_port_link (const GwSimPort *self);

/* Shares of frames, 0..1, each way: lost, and with one octet wrong. */
void gw_sim_port_set_drop (GwSimPort *self, double share);
void gw_sim_port_set_corrupt (GwSimPort *self, double share);

/* Writes octets as they are, no frame. FALSE: nobody there, or no room. */
gboolean gw_sim_port_write (GwSimPort *self, const guint8 *data, gsize len);

/* {"link", "plugged", "open", "drop", "corrupt", "frames_in", ...}; the caller's. */
json_t *gw_sim_port_status (const GwSimPort *self);
