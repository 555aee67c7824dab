/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gw-endpoint.h"

G_BEGIN_DECLS

/*
 * Taking an endpoint on board: from its record, the inventory's verdict, the policy and the session, the one next step. Everything that
 * changes any of these asks again; so a step that was broken off by kill -9, an unplugged cable or a broker that is down
 * is simply taken again.
 */

/* Does the next step, if there is one. */
void gw_onboarding_consider (GwEndpoint *endpoint);
/* The same, as a timer's function. */
void gw_onboarding_retry (gpointer endpoint);
/* Whether it has this gateway as its owner, and does not contradict itself. */
gboolean gw_onboarding_is_ours (GwEndpoint *endpoint);
/* Ends its connection to the broker at once. */
void gw_onboarding_drop_courier (GwEndpoint *endpoint);
/* Has it certified for the key of that slot and generation. @admission: the inventory's word, or NULL. */
void gw_onboarding_enrol (GwEndpoint *endpoint, guint8 slot, guint32 generation, const GwAdmission *admission);

G_END_DECLS
