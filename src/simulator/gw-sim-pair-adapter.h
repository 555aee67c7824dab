/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The gateway's adapter on a pair: a pseudo-terminal behind a symbolic link. It switches its direction by
 * itself, and hears nothing while it sends, or, as some adapters do, itself. What its user does not fetch is
 * dropped, and counted (GW_SIM_PTY_QUEUE_MAX). */

#include "gw-sim-pair.h"

typedef struct GwSimPairAdapter GwSimPairAdapter;

/* `link`: where the symbolic link goes. Begins unplugged. `pair` is borrowed. */
GwSimPairAdapter *gw_sim_pair_adapter_new (GwLoop *loop, GwSimPair *pair, const char *link);
void gw_sim_pair_adapter_free (GwSimPairAdapter *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwSimPairAdapter, gw_sim_pair_adapter_free)

/* As those of GwSimPty. */
gboolean gw_sim_pair_adapter_plug (GwSimPairAdapter *self, GError **error);
void gw_sim_pair_adapter_unplug (GwSimPairAdapter *self);

/* Sees whether somebody has opened the terminal, and at which speed; to be called every
 * GW_SIM_PORT_CHECK_USEC. */
void gw_sim_pair_adapter_check (GwSimPairAdapter *self);

/* Whether it gives back what it sends. */
void gw_sim_pair_adapter_set_echo (GwSimPairAdapter *self, gboolean echo);
/* For how long it collects what it hears before it hands it over, as USB adapters do; 0: portions of a FIFO.
 */
void gw_sim_pair_adapter_set_latency (GwSimPairAdapter *self, guint ms);

/* {"link", "plugged", "user", "wrong_speed", ..}; the caller's. */
json_t *gw_sim_pair_adapter_status (const GwSimPairAdapter *self);
