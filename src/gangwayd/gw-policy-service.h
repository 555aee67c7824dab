/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gw-census.h"
#include "gw-services.h"

G_BEGIN_DECLS

/* The D-Bus face of the policies: one Policy object each, also for those with mistakes. */

typedef struct _GwPolicyService GwPolicyService;

GwPolicyService *gw_policy_service_new (const GwServices *services);
void gw_policy_service_free (GwPolicyService *self);
/* Shows the set that is in services->policies now. */
void gw_policy_service_reload (GwPolicyService *self);
/* Shows how many endpoints each policy has. */
void gw_policy_service_count (GwPolicyService *self, GwCensus *census);

G_END_DECLS
