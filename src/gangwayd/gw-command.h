/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gw-points.h"

G_BEGIN_DECLS

/*
 * Commands that arrive on an endpoint's command topic: reads or writes a point and publishes the answer. The same checks and the
 * same at-most-once rule as for Points.Write; every command is answered, refusals too.
 */

/* Commands of one endpoint under way; more are answered with "busy". */
#define GW_COMMAND_PENDING_MAX 16

typedef struct _GwCommands GwCommands;

/* Both outlive it. */
GwCommands *gw_commands_new (GwEndpoint *endpoint, GwPoints *points);
/* What is under way is not answered any more. */
void gw_commands_free (GwCommands *self);
void gw_commands_take (GwCommands *self, const GwUplinkMessage *message);

G_END_DECLS
