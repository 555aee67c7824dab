/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "gw-data-codec.h"
#include "gw-endpoint.h"

G_BEGIN_DECLS

/*
 * What an endpoint measures and moves: its points as it describes them, and reading and writing them over its session. A write is
 * executed at most once: it carries its own number and a deadline in the endpoint's uptime, and is never sent again over another
 * session; there the endpoint is asked what became of it.
 */

/* Points read in one call. */
#define GW_POINTS_READ_MAX 64
/* Writes that wait for their outcome. */
#define GW_POINTS_PENDING_MAX 16
#define GW_POINTS_TTL_DEFAULT_MSEC 5000
#define GW_POINTS_TTL_MAX_MSEC 60000
/* A write whose session ended waits this long for the next one, to ask what became of it. */
#define GW_POINTS_OUTCOME_USEC (15 * G_USEC_PER_SEC)

typedef struct
{
  guint32 id;
  char *name;
  char *unit; /* "": none */
  GwValueType type;
  guint access; /* GW_DATA_ACCESS_ */
  gboolean has_low, has_high, has_step, unsafe;
  double low, high, step;
} GwPoint;

typedef struct _GwPoints GwPoints;

/* @values: a(utv): id, microseconds since the epoch, value; NULL with @error. */
typedef void (*GwPointsRead) (GVariant *values, const GError *error, gpointer data);
/* @value: as the endpoint took it; NULL with @error: GW_ERROR_FAILED means nobody knows whether it acted. */
typedef void (*GwPointsWritten) (GVariant *value, gboolean repeated, const GError *error, gpointer data);

/* @described: the list is there, or has changed. @endpoint is borrowed and outlives it. */
GwPoints *gw_points_new (GwEndpoint *endpoint, void (*described) (gpointer data), gpointer data);
/* Whatever waits is answered with GW_ERROR_CANCELLED. */
void gw_points_free (GwPoints *self);

/* The endpoint has a session and is ours: asks for its description, and what became of writes. */
void gw_points_begin (GwPoints *self);

/* GwPoint elements, borrowed. */
GPtrArray *gw_points_list (GwPoints *self);
const GwPoint *gw_points_lookup (GwPoints *self, guint32 id);
const GwPoint *gw_points_lookup_name (GwPoints *self, const char *name);

/* The callback comes exactly once, possibly before the call returns. @n 0: all readable points. */
void gw_points_read (GwPoints *self, const guint32 *ids, gsize n, GwPointsRead done, gpointer data);
/* @value: floating is sunk. @ttl_msec from now, the endpoint must not act later. @force: for unsafe points. */
void gw_points_write (GwPoints *self,
                      guint32 id,
                      GVariant *value,
                      guint ttl_msec,
                      gboolean force,
                      GwPointsWritten done,
                      gpointer data);

/* b, x, d, s or ay; NULL for GW_VALUE_NONE. */
GVariant *gw_points_value_to_variant (const GwValue *value);
/* @value as the point's type, within its limits; @out borrows from @value. GW_ERROR_INVALID. */
gboolean gw_points_value_from_variant (const GwPoint *point, GVariant *value, GwValue *out, GError **error);
/* The records of a report's body as a(utv), for points of the list; NULL if it is none. */
GVariant *gw_points_values_of_report (GwPoints *self, GwBytes body);

G_END_DECLS
