/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "gw-services.h"

#include "gw-expiry.h"

gboolean
gw_services_clock_is_valid (const GwServices *self)
{
  return gw_loop_realtime (self->loop) >= GW_CLOCK_FLOOR_USEC;
}

void
gw_services_disk_failed (const GwServices *self, const char *endpoint, const char *what, const GError *error)
{
  if (self->disk != NULL && !gw_event_connection_changed (self->disk, FALSE, gw_loop_now (self->loop)))
    return;
  gw_event (GW_EVENT_STORAGE_FAILED, endpoint, NULL, "%s: %s%s", what, error->message,
            self->disk != NULL ? gw_event_connection_note (self->disk) : "");
}

void
gw_services_disk_works (const GwServices *self)
{
  if (self->disk != NULL && self->disk->told)
    gw_event_connection_changed (self->disk, TRUE, gw_loop_now (self->loop));
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
