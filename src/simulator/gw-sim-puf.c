/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The model computes a cell when it is read, from hashes of (seed, cell) and (seed, cell, power-up): no
 * memory a cell, and every run the same. It is a model to exercise the extractor, not a claim about silicon;
 * the readouts are the silicon. */

#include "gw-sim-puf.h"

#include <math.h>
#include <string.h>

#define MODEL_OCTETS 8192 /* 65,536 cells: as many as enrolment looks at */
#define KELVIN_AT_25 298.15
#define TEMPERATURE_SHIFT 1e-3 /* spread of a cell's temperature coefficient, per degree */
#define AGE_DRIFT 0.02         /* drift after one year; grows with the fifth root of time, as NBTI does */

struct GwSimPuf
{
  guint power_ups; /* 0: never powered */

  GBytes *readouts; /* NULL: the model */
  gsize window;

  guint64 seed;
  GwSimPufModel model;
};

/* splitmix64's finaliser (Steele, Lea, Flood 2014). */
static guint64
mix (guint64 x)
{
  x += G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);
  x = (x ^ (x >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  return x ^ (x >> 31);
}

/* About standard normal: the sum of four uniforms of 16 bits each (variance 4/12), scaled. */
static double
normal (guint64 bits)
{
  double sum = 0;

  for (guint i = 0; i < 4; i++, bits >>= 16)
    sum += (double)(bits & 0xffff) / 65536.0 - 0.5 + 1.0 / 131072.0;
  return sum * 1.7320508075688772;
}

static guint8
model_cell (const GwSimPuf *self, guint64 cell)
{
  const GwSimPufModel *m = &self->model;
  guint64 key = mix (self->seed ^ mix (cell));
  double mismatch = normal (key) + m->offset;
  double value = mismatch;

  value += normal (mix (key ^ 1)) * TEMPERATURE_SHIFT * (m->temperature - 25.0);
  if (m->years > 0)
    value -= copysign (AGE_DRIFT * pow (m->years, 0.2), mismatch);
  value += normal (mix (key ^ mix (self->power_ups))) * m->noise
           * sqrt ((m->temperature + 273.15) / KELVIN_AT_25);
  return value > 0;
}

GwSimPuf *
gw_sim_puf_new_model (guint64 seed, const GwSimPufModel *model)
{
  GwSimPuf *self = g_new0 (GwSimPuf, 1);

  self->seed = mix (seed);
  self->model = *model;
  return self;
}

GwSimPuf *
gw_sim_puf_new_readouts (GBytes *readouts, gsize window)
{
  gsize size = g_bytes_get_size (readouts);
  GwSimPuf *self;

  if (size == 0 || size % GW_SIM_PUF_READOUT != 0)
    return NULL;
  self = g_new0 (GwSimPuf, 1);
  self->readouts = g_bytes_ref (readouts);
  self->window = window % GW_SIM_PUF_READOUT;
  return self;
}

GwSimPuf *
gw_sim_puf_clone (const GwSimPuf *self)
{
  GwSimPuf *clone = g_memdup2 (self, sizeof *self);

  if (clone->readouts)
    g_bytes_ref (clone->readouts);
  return clone;
}

void
gw_sim_puf_free (GwSimPuf *self)
{
  g_clear_pointer (&self->readouts, g_bytes_unref);
  g_free (self);
}

void
gw_sim_puf_set_model (GwSimPuf *self, const GwSimPufModel *model)
{
  self->model = *model;
}

void
gw_sim_puf_power_up (GwSimPuf *self)
{
  self->power_ups++;
}

gsize
gw_sim_puf_octets (const GwSimPuf *self)
{
  return self->readouts ? GW_SIM_PUF_READOUT : MODEL_OCTETS;
}

guint
gw_sim_puf_n_readouts (const GwSimPuf *self)
{
  return self->readouts ? g_bytes_get_size (self->readouts) / GW_SIM_PUF_READOUT : 0;
}

gboolean
gw_sim_puf_read (const GwSimPuf *self, gsize offset, guint8 *out, gsize len)
{
  gsize octets = gw_sim_puf_octets (self);
  const guint8 *readout;
  guint index;

  if (offset > octets || len > octets - offset || self->power_ups == 0)
    return FALSE;

  if (!self->readouts)
    {
      memset (out, 0, len);
      for (gsize i = 0; i < 8 * len; i++)
        out[i / 8] |= model_cell (self, 8 * offset + i) << (i % 8);
      return TRUE;
    }

  index = (self->power_ups - 1) % gw_sim_puf_n_readouts (self);
  readout = (const guint8 *)g_bytes_get_data (self->readouts, NULL) + (gsize)index * GW_SIM_PUF_READOUT;
  for (gsize i = 0; i < len; i++)
    out[i] = readout[(self->window + offset + i) % GW_SIM_PUF_READOUT];
  return TRUE;
}
