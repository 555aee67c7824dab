/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-sim-rand.h"

GRand *
gw_sim_rand_new (guint64 seed)
{
  guint32 seeds[] = { seed, seed >> 32 };

  return g_rand_new_with_seed_array (seeds, G_N_ELEMENTS (seeds));
}

gboolean
gw_sim_rand_happens (GRand *rand, double share)
{
  return share > 0 && g_rand_double (rand) < share;
}
