/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gw-loop.h"

G_BEGIN_DECLS

/* How many endpoints there are by state and by policy, kept as they change: nobody walks over a thousand because one has moved. */

typedef struct _GwCensus GwCensus;

/* One endpoint's place in it; zeroed: not counted. Embed it in what is counted. */
typedef struct
{
  const char *state;
  char *policy;
} GwCensusPlace;

/* @changed: the counts are others; called at most once a turn of @loop. */
GwCensus *gw_census_new (GwLoop *loop, void (*changed) (gpointer data), gpointer data);
void gw_census_free (GwCensus *self);

/* @state is a word of gw_state_to_string(), borrowed for good. @policy NULL: none. */
void gw_census_count (GwCensus *self, GwCensusPlace *place, const char *state, const char *policy);
void gw_census_leave (GwCensus *self, GwCensusPlace *place);

/* a{su}, states without an endpoint left out; floating. */
GVariant *gw_census_get_states (GwCensus *self);
guint gw_census_get_policy (GwCensus *self, const char *policy);

G_END_DECLS
