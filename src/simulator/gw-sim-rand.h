/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Chance that is the same in every run with the same seed. */

#include <glib.h>

/* The caller's. */
GRand *gw_sim_rand_new (guint64 seed);
/* Whether something that happens in that share of cases, 0..1, does so now. 0 draws nothing: what is switched
 * off leaves the rest as it was. */
gboolean gw_sim_rand_happens (GRand *rand, double share);
