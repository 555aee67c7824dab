/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The error domain of the daemon and its names on D-Bus.
 *
 * An unregistered domain leaves the bus as "org.gtk.GDBus.UnmappedGError.Quark...", which no client can
 * match; hence the registration inside the quark function: who can make such an error has registered it.
 */
#include "gw-error.h"

#include <gio/gio.h>

static const GDBusErrorEntry entries[] = {
  { GW_ERROR_FAILED, GW_ERROR_DBUS_PREFIX "Failed" },
  { GW_ERROR_NOT_AUTHORIZED, GW_ERROR_DBUS_PREFIX "NotAuthorized" },
  { GW_ERROR_NOT_FOUND, GW_ERROR_DBUS_PREFIX "NotFound" },
  { GW_ERROR_EXISTS, GW_ERROR_DBUS_PREFIX "Exists" },
  { GW_ERROR_INVALID, GW_ERROR_DBUS_PREFIX "Invalid" },
  { GW_ERROR_BAD_STATE, GW_ERROR_DBUS_PREFIX "BadState" },
  { GW_ERROR_BUSY, GW_ERROR_DBUS_PREFIX "Busy" },
  { GW_ERROR_NOT_TRUSTED, GW_ERROR_DBUS_PREFIX "NotTrusted" },
  { GW_ERROR_UNCLAIMED, GW_ERROR_DBUS_PREFIX "Unclaimed" },
  { GW_ERROR_REVOKED, GW_ERROR_DBUS_PREFIX "Revoked" },
  { GW_ERROR_CLONED, GW_ERROR_DBUS_PREFIX "Cloned" },
  { GW_ERROR_OFFLINE, GW_ERROR_DBUS_PREFIX "Offline" },
  { GW_ERROR_TIMEOUT, GW_ERROR_DBUS_PREFIX "Timeout" },
  { GW_ERROR_LIMIT, GW_ERROR_DBUS_PREFIX "Limit" },
  { GW_ERROR_UNSUPPORTED, GW_ERROR_DBUS_PREFIX "Unsupported" },
  { GW_ERROR_CANCELLED, GW_ERROR_DBUS_PREFIX "Cancelled" },
  { GW_ERROR_STORAGE, GW_ERROR_DBUS_PREFIX "Storage" },
};

G_STATIC_ASSERT (G_N_ELEMENTS (entries) == GW_ERROR_LAST_);

GQuark
gw_error_quark (void)
{
  static gsize quark = 0;

  g_dbus_error_register_error_domain ("gw-error-quark", &quark, entries, G_N_ELEMENTS (entries));
  return (GQuark)quark;
}

const char *
gw_error_code_name (int code)
{
  if (code < 0 || code >= GW_ERROR_LAST_)
    code = GW_ERROR_FAILED;
  return entries[code].dbus_error_name + strlen (GW_ERROR_DBUS_PREFIX);
}

char *
gw_error_quote (const char *text)
{
  g_autoptr (GString) quote = g_string_new (NULL);
  const char *c = text;

  while (*c != '\0' && (gsize)(g_utf8_next_char (c) - text) <= GW_ERROR_QUOTE_MAX)
    {
      gunichar character = g_utf8_get_char (c);

      g_string_append_unichar (quote, g_unichar_iscntrl (character) ? '?' : character);
      c = g_utf8_next_char (c);
    }
  if (*c != '\0')
    g_string_append (quote, "...");
  return g_string_free (g_steal_pointer (&quote), FALSE);
}

void
gw_error_to_domain (GError **error)
{
  GError *e = error ? *error : NULL;
  int code = GW_ERROR_FAILED;

  if (!e || e->domain == GW_ERROR)
    return;
  if (g_error_matches (e, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    code = GW_ERROR_CANCELLED;
  else if (g_error_matches (e, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
    code = GW_ERROR_TIMEOUT;
  else if (g_error_matches (e, G_IO_ERROR, G_IO_ERROR_NO_SPACE) || e->domain == G_FILE_ERROR)
    code = GW_ERROR_STORAGE;
  e->domain = GW_ERROR;
  e->code = code;
}
