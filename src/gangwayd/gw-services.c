/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "gw-services.h"

#include "gw-expiry.h"

gboolean
gw_services_clock_is_valid (const GwServices *self)
{
  return gw_loop_realtime (self->loop) >= GW_CLOCK_FLOOR_USEC;
}

char *
gw_services_object_path (const char *kind, const char *name)
{
  GString *path = g_string_new (GW_OBJECT_ROOT "/");

  g_string_append_printf (path, "%s/", kind);
  for (const char *c = name; *c != '\0'; c++)
    if (g_ascii_isalnum (*c))
      g_string_append_c (path, *c);
    else
      g_string_append_printf (path, "_%02x", (guint8) *c);
  return g_string_free (path, FALSE);
}
