/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a virtual endpoint measures and moves: a heated pipe with a valve. A small physical model, so that
 * sensors answer to actuators and every value is plausible. Owned by who made it. Times are microseconds of
 * the loop's clock. */

#include <glib.h>

#include "gw-ep-platform.h"

typedef struct GwSimPlant GwSimPlant;

/* `seed` gives the plant its own ambient temperature, pressure and noise. */
GwSimPlant *gw_sim_plant_new (guint64 seed, gint64 now);
void gw_sim_plant_free (GwSimPlant *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwSimPlant, gw_sim_plant_free)

/* Lets the model run until `now`. */
void gw_sim_plant_run (GwSimPlant *self, gint64 now);

/* As GwEpPlatform's point functions: descriptions are static, and NULL follows the last. */
const GwEpPoint *gw_sim_plant_describe (const GwSimPlant *self, gsize index);
int gw_sim_plant_read (GwSimPlant *self, guint32 id, GwEpValue *value);
int gw_sim_plant_write (GwSimPlant *self, guint32 id, const GwEpValue *value, GwEpValue *actual);

/* Holds a numeric or boolean point at a value, whatever the model says, or (NULL) lets go. FALSE: no such
 * point. */
gboolean gw_sim_plant_force (GwSimPlant *self, const char *name, const double *value);
