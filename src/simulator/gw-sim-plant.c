/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-sim-plant.h"

#include <math.h>
#include <string.h>

#include "gw-sim-rand.h"
#include "gw-status.h"

typedef enum
{
  TEMPERATURE,
  PRESSURE,
  FLOW,
  VALVE,
  HEATER,
  SETPOINT,
  MODE,
  PURGE,
  N_POINTS,
} PointIndex;

#define SENSOR (GW_EP_ACCESS_READ | GW_EP_ACCESS_REPORT)
#define ACTUATOR (GW_EP_ACCESS_READ | GW_EP_ACCESS_WRITE)

static const GwEpPoint points[N_POINTS] = {
  [TEMPERATURE] = { .id = 1,
                    .name = "temperature",
                    .unit = "Cel",
                    .type = GW_EP_FLOAT,
                    .access = SENSOR,
                    .has_limits = true,
                    .lo = -40,
                    .hi = 125 },
  [PRESSURE] = { .id = 2,
                 .name = "pressure",
                 .unit = "Pa",
                 .type = GW_EP_INT,
                 .access = SENSOR,
                 .has_limits = true,
                 .lo = 0,
                 .hi = 1000000 },
  [FLOW] = { .id = 3,
             .name = "flow",
             .unit = "l/s",
             .type = GW_EP_FLOAT,
             .access = SENSOR,
             .has_limits = true,
             .lo = 0,
             .hi = 10 },
  [VALVE] = { .id = 4,
              .name = "valve",
              .unit = "%",
              .type = GW_EP_FLOAT,
              .access = ACTUATOR | GW_EP_ACCESS_REPORT,
              .has_limits = true,
              .lo = 0,
              .hi = 100,
              .has_step = true,
              .step = 0.5 },
  [HEATER] = { .id = 5, .name = "heater", .type = GW_EP_BOOL, .access = ACTUATOR | GW_EP_ACCESS_REPORT },
  [SETPOINT] = { .id = 6,
                 .name = "setpoint",
                 .unit = "Cel",
                 .type = GW_EP_FLOAT,
                 .access = ACTUATOR,
                 .has_limits = true,
                 .lo = 5,
                 .hi = 80,
                 .has_step = true,
                 .step = 0.1 },
  [MODE] = { .id = 7, .name = "mode", .type = GW_EP_TEXT, .access = ACTUATOR },
  /* Opens the pipe to the drain: refused (interlock) while the heater is on. */
  [PURGE] = { .id = 8, .name = "purge", .type = GW_EP_BOOL, .access = ACTUATOR, .unsafe = true },
};

#define VALVE_SPEED 20.0   /* per cent a second */
#define HEATING_TIME 120.0 /* seconds to come within 1/e of the setpoint */
#define FULL_FLOW 8.0      /* l/s with the valve open at nominal pressure */
#define NOMINAL_PRESSURE 350000.0

struct GwSimPlant
{
  GRand *noise;
  gint64 now;
  double ambient, supply; /* Cel, Pa: this plant's own */
  double temperature, valve, valve_target, setpoint;
  gboolean heater, purge;
  char mode[GW_EP_TEXT_MAX + 1];
  gboolean is_forced[N_POINTS];
  double forced[N_POINTS];
};

/* Uniform in -1..1; enough for sensor noise. */
static double
jitter (GwSimPlant *self)
{
  return g_rand_double_range (self->noise, -1, 1);
}

GwSimPlant *
gw_sim_plant_new (guint64 seed, gint64 now)
{
  GwSimPlant *self = g_new0 (GwSimPlant, 1);

  self->noise = gw_sim_rand_new (seed);
  self->now = now;
  self->ambient = 19 + 3 * jitter (self);
  self->supply = NOMINAL_PRESSURE * (1 + 0.05 * jitter (self));
  self->temperature = self->ambient;
  self->valve = self->valve_target = 50;
  self->setpoint = 45;
  g_strlcpy (self->mode, "auto", sizeof self->mode);
  return self;
}

void
gw_sim_plant_free (GwSimPlant *self)
{
  g_rand_free (self->noise);
  g_free (self);
}

void
gw_sim_plant_run (GwSimPlant *self, gint64 now)
{
  double seconds = (double)MAX (now - self->now, 0) / G_USEC_PER_SEC;
  double goal = self->heater ? self->setpoint : self->ambient, way = VALVE_SPEED * seconds;

  self->now = now;
  self->temperature += (goal - self->temperature) * (1 - exp (-seconds / HEATING_TIME));
  self->valve += CLAMP (self->valve_target - self->valve, -way, way);
}

const GwEpPoint *
gw_sim_plant_describe (const GwSimPlant *self, gsize index)
{
  return index < N_POINTS ? &points[index] : NULL;
}

static double
compute (GwSimPlant *self, PointIndex which)
{
  double open = self->purge ? 100 : self->valve;

  switch (which)
    {
    case TEMPERATURE:
      return round ((self->temperature + 0.05 * jitter (self)) * 100) / 100;
    case PRESSURE:
      return round (self->supply * (1 - 0.2 * open / 100) * (1 + 0.002 * jitter (self)));
    case FLOW:
      return round (FULL_FLOW * open / 100 * (1 + 0.01 * jitter (self)) * 1000) / 1000;
    case VALVE:
      return round (self->valve * 2) / 2;
    case HEATER:
      return self->heater;
    case SETPOINT:
      return self->setpoint;
    case PURGE:
      return self->purge;
    default:
      return 0;
    }
}

static gboolean
find_point (guint32 id, PointIndex *which)
{
  for (guint i = 0; i < N_POINTS; i++)
    if (points[i].id == id)
      {
        *which = i;
        return TRUE;
      }
  return FALSE;
}

static void
get_value (GwSimPlant *self, PointIndex which, GwEpValue *value)
{
  double number = self->is_forced[which] ? self->forced[which] : compute (self, which);

  *value = (GwEpValue){ .type = points[which].type };
  switch (value->type)
    {
    case GW_EP_BOOL:
      value->u.b = number != 0;
      break;
    case GW_EP_INT:
      value->u.i = (gint64)number;
      break;
    case GW_EP_FLOAT:
      value->u.f = number;
      break;
    default:
      value->u.s.len = strlen (self->mode);
      memcpy (value->u.s.octets, self->mode, value->u.s.len);
    }
}

int
gw_sim_plant_read (GwSimPlant *self, guint32 id, GwEpValue *value)
{
  PointIndex which;

  if (!find_point (id, &which))
    return GW_E_NOT_FOUND;
  get_value (self, which, value);
  return GW_OK;
}

int
gw_sim_plant_write (GwSimPlant *self, guint32 id, const GwEpValue *value, GwEpValue *actual)
{
  PointIndex which;

  if (!find_point (id, &which))
    return GW_E_NOT_FOUND;
  switch (which)
    {
    case VALVE:
      self->valve_target = value->u.f;
      break;
    case HEATER:
      if (value->u.b && self->purge)
        return GW_E_STATE;
      self->heater = value->u.b;
      break;
    case SETPOINT:
      self->setpoint = value->u.f;
      break;
    case MODE:
      memcpy (self->mode, value->u.s.octets, value->u.s.len);
      self->mode[value->u.s.len] = '\0';
      break;
    case PURGE:
      if (value->u.b && self->heater)
        return GW_E_STATE;
      self->purge = value->u.b;
      break;
    default:
      return GW_E_DENIED;
    }
  get_value (self, which, actual);
  /* The valve is on its way; what is in force is where it goes. */
  if (which == VALVE && !self->is_forced[VALVE])
    actual->u.f = self->valve_target;
  return GW_OK;
}

gboolean
gw_sim_plant_force (GwSimPlant *self, const char *name, const double *value)
{
  for (guint i = 0; i < N_POINTS; i++)
    if (points[i].type != GW_EP_TEXT && g_str_equal (points[i].name, name))
      {
        self->is_forced[i] = value != NULL;
        self->forced[i] = value ? *value : 0;
        return TRUE;
      }
  return FALSE;
}
