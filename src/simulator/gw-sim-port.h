/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A port: a place where an endpoint hangs on a wire. What the wire is (a serial line of its own, a CAN bus,
 * an RS-485 pair) is the class's affair; the simulator and its commands know ports only.
 *
 * A class embeds GwSimPort as its first member and calls gw_sim_port_init() and gw_sim_port_clear(). The
 * endpoint is borrowed; the port takes it on and off its wire. A class that needs to know reads the fields;
 * only gw-sim-port.c writes `endpoint` and the shares, only the class the rest. */

#include "gw-sim-endpoint.h"

typedef struct GwSimPort GwSimPort;

typedef enum
{
  GW_SIM_WIRE_SERIAL, /* one of its own for each endpoint */
  GW_SIM_WIRE_CAN,
  GW_SIM_WIRE_PAIR,
} GwSimWire;

#define GW_SIM_PORT_DATAGRAM_MAX 1024 /* GW_EP_MTU_MAX: no endpoint sends more */

/* How often check() is called. */
#define GW_SIM_PORT_CHECK_USEC (50 * 1000)

/* Most octets that `write` takes at once. */
#define GW_SIM_PORT_QUEUE_MAX (16 * 1024)

typedef struct
{
  GwSimWire wire;
  void (*free) (GwSimPort *self);
  /* Called when unplugged, `plugged` set already; after an error unplug is called. */
  gboolean (*plug) (GwSimPort *self, GError **error);
  /* `plugged` is cleared already; perhaps it was before. */
  void (*unplug) (GwSimPort *self);
  /* The endpoint sends; FALSE: the wire does not take it. Must not call back into the endpoint. */
  gboolean (*send) (GwSimPort *self, const guint8 *datagram, gsize len);
  /* Puts octets on the wire as they are. FALSE: nobody there, or no room. NULL: there is no such thing. */
  gboolean (*write) (GwSimPort *self, const guint8 *data, gsize len);
  /* The endpoint, on the wire or put there just now, has power, or has lost it or left (`endpoint` is NULL
   * then); it may not send before this returns. gw_sim_endpoint_set_link() is allowed, nothing else of the
   * endpoint's. NULL: no matter. */
  void (*power) (GwSimPort *self, gboolean on);
  /* Every GW_SIM_PORT_CHECK_USEC. NULL: no matter. */
  void (*check) (GwSimPort *self);
  /* Adds what only this class knows. NULL: nothing. */
  void (*add_status) (const GwSimPort *self, json_t *status);
} GwSimPortClass;

struct GwSimPort
{
  const GwSimPortClass *class;
  char *link;             /* how people know it: the path of its link, or a name */
  gboolean plugged, open; /* open: somebody listens at the other end, as far as one can know */
  GwSimEndpoint *endpoint;
  GRand *rand;
  double drop, corrupt; /* shares of frames, 0..1, each way: lost; with one octet wrong */
  guint64 frames_in, frames_out, octets_in, octets_out, lost, damaged;
};

void gw_sim_port_init (GwSimPort *self, const GwSimPortClass *class, const char *link, guint64 seed);
/* Takes the endpoint off and frees what init() made. */
void gw_sim_port_clear (GwSimPort *self);

/* What the shares make of a frame, counted. Whether it is lost: */
gboolean gw_sim_port_drops (GwSimPort *self);
/* The same on its way out, where it may get a wrong bit. FALSE: it is lost. */
gboolean gw_sim_port_disturb (GwSimPort *self, guint8 *frame, gsize len);
/* Whether it is lost on its way in; there a damaged one is, as its check sequence fails. */
gboolean gw_sim_port_misses (GwSimPort *self);

void gw_sim_port_free (GwSimPort *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwSimPort, gw_sim_port_free)

/* Begins unplugged. Either may be called twice. */
gboolean gw_sim_port_plug (GwSimPort *self, GError **error);
void gw_sim_port_unplug (GwSimPort *self);

/* Has the class see to what no event tells it. */
void gw_sim_port_check (GwSimPort *self);

/* NULL takes the present one off the wire. */
void gw_sim_port_set_endpoint (GwSimPort *self, GwSimEndpoint *endpoint);
GwSimEndpoint *gw_sim_port_get_endpoint (const GwSimPort *self);
const char *gw_sim_port_link (const GwSimPort *self);
GwSimWire gw_sim_port_wire (const GwSimPort *self);

void gw_sim_port_set_drop (GwSimPort *self, double share);
void gw_sim_port_set_corrupt (GwSimPort *self, double share);

/* Writes octets as they are, no frame. FALSE: nobody there, no room, or not possible here. */
gboolean gw_sim_port_write (GwSimPort *self, const guint8 *data, gsize len);

/* {"link", "plugged", "open", "drop", "corrupt", "frames_in", ...}; the caller's. */
json_t *gw_sim_port_status (const GwSimPort *self);
