/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A bounded number of places for what is costly, and a queue in front of them, first come first served. No threads. */

typedef struct
{
  guint most;    /* set it; all else is zero to begin with */
  guint taken;
  GQueue waiting; /* of GwPlace */
} GwPlaces;

/* Embed it in what wants a place. */
typedef struct
{
  GwPlaces *places;
  void (*func) (gpointer data);
  gpointer data;
  GList link;
  gboolean waits, held;
} GwPlace;

void gw_place_init (GwPlace *self, GwPlaces *places, void (*func) (gpointer data), gpointer data);
/* Calls @func with the place: at once, or when another leaves one. Once until gw_place_leave(). */
void gw_place_take (GwPlace *self);
/* Gives the place back, or leaves the queue; the next one's @func may be called. Without either: nothing. */
void gw_place_leave (GwPlace *self);
gboolean gw_place_waits (const GwPlace *self);

G_END_DECLS
