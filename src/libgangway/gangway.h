/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* libgangway: write a field-bus plugin for Gangway. The only header to include; pkg-config gangway-1, GIR Gangway-1.0.
 *
 * A plugin is a process that knows one bus. It makes a #GangwayBus, attaches it to the agent, tells it which nodes
 * come and go with gangway_bus_node_up() and gangway_node_down(), and carries datagrams between the nodes and the
 * agent, without ever looking into them. The library keeps the connection: when the agent restarts it attaches again
 * and announces the live nodes anew. It works on the thread-default main context that was current at
 * gangway_bus_attach_async(); no object of it may be used from another thread.
 */

#define GANGWAY_INSIDE 1
#include "gangway/gangway-version.h"
#include "gangway/gangway-types.h"
#include "gangway/gangway-node.h"
#include "gangway/gangway-bus.h"
#undef GANGWAY_INSIDE
