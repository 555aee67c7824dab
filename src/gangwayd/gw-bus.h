/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

#include "gw-bouncer.h"
#include "gw-bus-service.h"
#include "gw-busmsg-codec.h"
#include "gw-node.h"
#include "gw-objects.h"

G_BEGIN_DECLS

/*
 * A field bus as its plugin presents it: the agent's end of the bus socket, the nodes on it, and the Bus object on D-Bus. All that a
 * plugin says is checked here, and a plugin that breaks a rule loses its bus, nothing else.
 */

#define GW_BUS_NAME_MAX 32
#define GW_BUS_TEXT_MAX 128
/* Messages taken from one plugin in a window; more wait for the next one. */
#define GW_BUS_FLOOD_WINDOW_USEC (100 * 1000)
#define GW_BUS_FLOOD_MAX 4000
/* Messages taken at one wake-up, so that others get their turn. */
#define GW_BUS_TURN_MAX 64
/* Handshakes that the nodes of a bus may begin at once: a full bus at power-on; and the time after which they may begin one more. What
 * a node is allowed by itself does not bound a plugin that announces ever new ones. */
#define GW_BUS_HANDSHAKE_BURST GW_BUSMSG_NODES_MAX
#define GW_BUS_HANDSHAKE_REFILL_USEC (50 * 1000)
/* A plugin says hello this soon after it has attached. */
#define GW_BUS_HELLO_USEC (10 * G_USEC_PER_SEC)

typedef struct _GwBus GwBus;

typedef struct
{
  /* The node's endpoint opened a handshake; what it says of itself is gw_node_get_hello(). */
  void (*proving) (GwBus *self, GwNode *node, gpointer data);
  void (*proved) (GwBus *self, GwNode *node, GwSession *session, gpointer data);
  void (*node_up) (GwBus *self, GwNode *node, gpointer data);
  /* Its address on the wire is known now, or another. */
  void (*node_moved) (GwBus *self, GwNode *node, gpointer data);
  /* Its sessions end right after this. */
  void (*node_down) (GwBus *self, GwNode *node, gpointer data);
  /* The plugin has left or was thrown out (@error says why); the owner frees the bus. */
  void (*gone) (GwBus *self, const GError *error, gpointer data);
} GwBusEvents;

/* Whether @name can be a bus's: 1 to GW_BUS_NAME_MAX of [a-zA-Z0-9_-]. */
gboolean gw_bus_name_is_valid (const char *name);

/* Exports the object at @path and takes @fd, the agent's end of the socket. Strings are copied. */
GwBus *gw_bus_new (GwLoop *loop,
                   GwObjects *manager,
                   GwBouncer *bouncer,
                   GwChannelIdentity *identity,
                   const char *path,
                   const GwBusInfo *info,
                   int fd,
                   const GwBusEvents *events,
                   gpointer data);
/* Closes the socket and takes all nodes down (with node_down events). Allowed inside its callbacks. */
void gw_bus_free (GwBus *self);

const char *gw_bus_get_name (GwBus *self);
const char *gw_bus_get_path (GwBus *self);
void gw_bus_set_identity (GwBus *self, GwChannelIdentity *identity);
/* The node's bus: what was given to gw_node_new() as data. */
GwBus *gw_bus_of_node (GwNode *node);

G_END_DECLS
