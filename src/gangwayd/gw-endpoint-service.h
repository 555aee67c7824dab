/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gw-census.h"
#include "gw-roster.h"

G_BEGIN_DECLS

/* The D-Bus face of one endpoint: shows it, and turns calls into its methods. */

typedef struct _GwEndpointService GwEndpointService;

/* Exports @endpoint, becomes its listener and keeps it counted in @census. */
GwEndpointService *gw_endpoint_service_new (GwRoster *roster, GwEndpoint *endpoint, GwCensus *census);
void gw_endpoint_service_free (GwEndpointService *self);

/* Answers a call that decided about @endpoint once that is on the disk, or with why it is not: who has the answer has the decision,
 * come what may. */
void gw_endpoint_service_answer_saved (const GwServices *services, GwEndpoint *endpoint, GDBusMethodInvocation *invocation);

G_END_DECLS
