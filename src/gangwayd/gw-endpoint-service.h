/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gw-roster.h"

G_BEGIN_DECLS

/* The D-Bus face of one endpoint: shows it, and turns calls into its methods. */

typedef struct _GwEndpointService GwEndpointService;

/* Exports @endpoint and becomes its listener. @changed: its State may have changed; called at most once an idle turn. */
GwEndpointService *gw_endpoint_service_new (GwRoster *roster,
                                            GwEndpoint *endpoint,
                                            void (*changed) (gpointer data),
                                            gpointer data);
void gw_endpoint_service_free (GwEndpointService *self);
const char *gw_endpoint_service_get_path (GwEndpointService *self);


G_END_DECLS
