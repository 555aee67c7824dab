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
  if (self->disk != NULL)
    {
      g_free (self->disk->trouble);
      self->disk->trouble = g_strdup_printf ("%s: %s", what, error->message);
      if (!gw_event_connection_changed (&self->disk->told, FALSE, gw_loop_now (self->loop)))
        return;
    }
  gw_event (GW_EVENT_STORAGE_FAILED, endpoint, NULL, "%s: %s%s", what, error->message,
            self->disk != NULL ? gw_event_connection_note (&self->disk->told) : "");
}

void
gw_services_disk_works (const GwServices *self)
{
  if (self->disk == NULL)
    return;
  g_clear_pointer (&self->disk->trouble, g_free);
  if (self->disk->told.told)
    gw_event_connection_changed (&self->disk->told, TRUE, gw_loop_now (self->loop));
}

const char *
gw_services_disk_trouble (const GwServices *self)
{
  return self->disk != NULL ? self->disk->trouble : NULL;
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
