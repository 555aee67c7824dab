/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An endpoint's points: found by number or name, and values read from what a person typed. No bus. */

#include <gio/gio.h>

typedef struct
{
  guint32 id;
  const char *name, *unit, *type; /* in the list that it was found in */
  guint32 access;                 /* 1 read, 2 write, 4 report */
  gboolean unsafe;                /* is only written with force */
} GwCtlPoint;

/* Finds `word` (a number or a name) in `points` (a(ussua{sv})). FALSE if there is none. */
gboolean gw_ctl_point_find (GVariant *points, const char *word, GwCtlPoint *point);

/* Names of all points, NULL-terminated; free the array, not the names. */
const char **gw_ctl_point_names (GVariant *points);

/* `text` as a value of a point of `type` ("bool", "int", "float", "text", "bytes"); NULL if it is none, with
 * what would be one in *expected. */
GVariant *gw_ctl_point_parse (const char *type, const char *text, const char **expected);
