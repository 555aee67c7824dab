/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* PUF sources for virtual endpoints: a model of SRAM cells, and readouts of real chips.
 *
 * A GwSimPuf is one chip's cells. They change only at gw_sim_puf_power_up(). It is owned by who made it and
 * used from one thread; gw_sim_puf_clone() makes a second chip with the same cells, whose power-ups go their
 * own way. */

#include <glib.h>

/* The model: cell i has a mismatch m_i (standard normal), and powers up as 1 where
 * m_i + offset + temperature and age effects + noise > 0. All are in units of the mismatch's standard
 * deviation. */
typedef struct
{
  double offset; /* moves all cells: 0 = unbiased; 0.05 gives about 52 % ones */
  double
      noise; /* standard deviation of each power-up's noise at 25 degrees; 0.10 gives 4.5 % raw bit errors */
  double temperature; /* degrees Celsius; noise grows with the absolute temperature, cells shift by their own
                         coefficient */
  double years;       /* of ageing in use: every cell drifts against the value it mostly held */
} GwSimPufModel;

#define GW_SIM_PUF_MODEL_DEFAULT                                                                             \
  ((GwSimPufModel){ .offset = 0, .noise = 0.10, .temperature = 25, .years = 0 })

/* One readout of a chip of the real data set, octets. */
#define GW_SIM_PUF_READOUT 56320
/* Octets a window moves on from one endpoint of a chip to the next. */
#define GW_SIM_PUF_WINDOW 320

typedef struct GwSimPuf GwSimPuf;

/* Reproducible: the same seed and model give the same cells, and the same noise at power-up number k. */
GwSimPuf *gw_sim_puf_new_model (guint64 seed, const GwSimPufModel *model);

/* `readouts`: consecutive readouts of GW_SIM_PUF_READOUT octets each, oldest first. The chip's region begins
 * at `window` and wraps around, so windows GW_SIM_PUF_WINDOW apart share no identity cell. Each power-up
 * takes the next readout; after the last comes the first. NULL if `readouts` is not a whole number of
 * readouts. */
GwSimPuf *gw_sim_puf_new_readouts (GBytes *readouts, gsize window);

/* The caller's. */
GwSimPuf *gw_sim_puf_clone (const GwSimPuf *self);
void gw_sim_puf_free (GwSimPuf *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwSimPuf, gw_sim_puf_free)

/* The model's conditions from the next power-up on; without effect on readouts. */
void gw_sim_puf_set_model (GwSimPuf *self, const GwSimPufModel *model);

void gw_sim_puf_power_up (GwSimPuf *self);

/* Octets of the region; different readouts of it (0: endless). */
gsize gw_sim_puf_octets (const GwSimPuf *self);
guint gw_sim_puf_n_readouts (const GwSimPuf *self);

/* The cells of this power-up: as GwEpPlatform's puf_read. FALSE past the region's end. */
gboolean gw_sim_puf_read (const GwSimPuf *self, gsize offset, guint8 *out, gsize len);
