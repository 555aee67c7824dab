/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Follows the agent until Ctrl-C, also over its restarts: what comes and goes, states, ends of jobs, and the
 * values of the endpoints that were named. One line an event; with --json one object a line.
 */
#include <stdio.h>
#include <string.h>

#include <glib-unix.h>

#include "gw-ctl-point.h"
#include "gw-ctl-text.h"
#include "verbs.h"

typedef struct
{
  GwCtl *ctl;
  GMainLoop *loop;
  GHashTable *states;  /* endpoint's path -> its last State */
  GHashTable *watched; /* endpoint's path -> its points, a(ussua{sv}) */
} Monitor;

/* Nobody is left to print for, or nobody to hear from. */
static void
stop (Monitor *self)
{
  g_main_loop_quit (self->loop);
}

static void
event (Monitor *self, const char *path, const char *what, const char *detail, GVariant *data)
{
  g_autoptr (GDateTime) now = g_date_time_new_now_utc ();
  g_autofree char *clean = gw_ctl_text_clean (detail ? detail : "");

  if (self->ctl->json)
    {
      g_autofree char *when = g_date_time_format_iso8601 (now);
      json_t *out
          = json_pack ("{s:s, s:s, s:s, s:s}", "Time", when, "Path", path, "Event", what, "Detail", clean);

      if (data != NULL)
        json_object_set_new (out, "Data", gw_ctl_text_json (data));
      json_dumpf (out, stdout, 0);
      putchar ('\n');
      json_decref (out);
    }
  else
    {
      g_autofree char *when = g_date_time_format (now, "%H:%M:%S");
      const char *object
          = g_str_has_prefix (path, GW_CTL_ROOT "/") ? path + strlen (GW_CTL_ROOT "/") : "agent";

      printf ("%s  %-26s %-9s %s\n", when, object, what, clean);
    }
  if (fflush (stdout) != 0)
    stop (self);
}

/* Tells a new state once, however many properties say so. */
static void
note_state (Monitor *self, const char *path, const char *state, const char *reason)
{
  const char *before = g_hash_table_lookup (self->states, path);
  g_autofree char *detail = NULL;

  if (g_strcmp0 (before, state) == 0)
    return;
  detail = g_strconcat (before ? before : "", before ? " -> " : "", state, reason && *reason ? ": " : "",
                        reason ? reason : "", NULL);
  event (self, path, "state", detail, NULL);
  g_hash_table_insert (self->states, g_strdup (path), g_strdup (state));
}

static void
on_added (Monitor *self, GVariant *parameters)
{
  g_autoptr (GVariant) interfaces = NULL, properties = NULL;
  const char *path, *state = "", *reason = "", *text = "";

  g_variant_get (parameters, "(&o@a{sa{sv}})", &path, &interfaces);
  if (g_variant_lookup (interfaces, GW_CTL_BUS_NAME ".Endpoint", "@a{sv}", &properties))
    {
      g_variant_lookup (properties, "State", "&s", &state);
      g_variant_lookup (properties, "StateReason", "&s", &reason);
      note_state (self, path, state, reason);
    }
  else if (g_variant_lookup (interfaces, GW_CTL_BUS_NAME ".Bus", "@a{sv}", &properties))
    {
      g_variant_lookup (properties, "Device", "&s", &text);
      event (self, path, "attached", text, NULL);
    }
  else if (g_variant_lookup (interfaces, GW_CTL_BUS_NAME ".Job", "@a{sv}", &properties))
    {
      g_variant_lookup (properties, "Kind", "&s", &text);
      event (self, path, "started", text, NULL);
    }
}

static void
on_removed (Monitor *self, GVariant *parameters)
{
  const char *path;

  g_variant_get (parameters, "(&o@as)", &path, NULL);
  if (strstr (path, "/bus/") != NULL)
    event (self, path, "left", NULL, NULL);
}

static void
on_bus_properties (Monitor *self, const char *path, GVariant *changed)
{
  const char *text;
  guint32 n;

  if (g_variant_lookup (changed, "NodeCount", "u", &n))
    {
      g_autofree char *detail = g_strdup_printf ("%u", n);

      event (self, path, "nodes", detail, NULL);
    }
  if (g_variant_lookup (changed, "LinkState", "&s", &text))
    event (self, path, "link", text, NULL);
  if (g_variant_lookup (changed, "Culprit", "&s", &text))
    event (self, path, "culprit", *text != '\0' ? text : "none", NULL);
}

static void
on_properties (Monitor *self, const char *path, GVariant *parameters)
{
  g_autoptr (GVariant) changed = NULL;
  const char *interface, *text = "", *reason = "";
  gboolean valid;

  g_variant_get (parameters, "(&s@a{sv}@as)", &interface, &changed, NULL);
  if (g_str_equal (interface, GW_CTL_BUS_NAME ".Endpoint")
      && g_variant_lookup (changed, "State", "&s", &text))
    {
      g_variant_lookup (changed, "StateReason", "&s", &reason);
      note_state (self, path, text, reason);
    }
  /* Why it does not get on is often known a little later than that. */
  else if (g_str_equal (interface, GW_CTL_BUS_NAME ".Endpoint")
           && g_variant_lookup (changed, "StateReason", "&s", &reason) && *reason != '\0')
    event (self, path, "why", reason, NULL);
  else if (g_str_equal (interface, GW_CTL_BUS_NAME ".Bus"))
    on_bus_properties (self, path, changed);
  else if (g_str_equal (interface, GW_CTL_BUS_NAME ".Policy") && g_variant_lookup (changed, "Valid", "b", &valid))
    event (self, path, "policy", valid ? "valid" : "NOT VALID: gangwayctl policies", NULL);
}

static void
on_values (Monitor *self, const char *path, GVariant *parameters)
{
  GVariant *points = g_hash_table_lookup (self->watched, path);
  g_autoptr (GVariantIter) iter = NULL;
  guint32 id;
  guint64 when;
  GVariant *value;

  if (points == NULL || !g_variant_is_of_type (parameters, G_VARIANT_TYPE ("(a(utv))")))
    return;
  g_variant_get (parameters, "(a(utv))", &iter);
  while (g_variant_iter_loop (iter, "(utv)", &id, &when, &value))
    {
      g_autofree char *number = g_strdup_printf ("%u", id), *text = gw_ctl_text_value (value), *detail = NULL;
      GwCtlPoint point = { .name = number, .unit = "" };

      gw_ctl_point_find (points, number, &point);
      detail = g_strdup_printf ("%s = %s %s", point.name, text, point.unit);
      event (self, path, "value", detail, value);
    }
}

static void
on_signal (GDBusConnection *bus,
           const char *sender,
           const char *path,
           const char *interface,
           const char *member,
           GVariant *parameters,
           gpointer data)
{
  Monitor *self = data;
  const char *name = "", *message = "";
  gboolean success;

  if (g_str_equal (member, "InterfacesAdded"))
    on_added (self, parameters);
  else if (g_str_equal (member, "InterfacesRemoved"))
    on_removed (self, parameters);
  else if (g_str_equal (member, "PropertiesChanged"))
    on_properties (self, path, parameters);
  else if (g_str_equal (member, "Changed"))
    on_values (self, path, parameters);
  else if (g_str_equal (member, "Completed"))
    {
      g_variant_get (parameters, "(b&s&s)", &success, &name, &message);
      event (self, path, success ? "done" : "failed", message, NULL);
    }
}

static void
watch_points (Monitor *self)
{
  GHashTableIter iter;
  gpointer path;

  g_hash_table_iter_init (&iter, self->watched);
  while (g_hash_table_iter_next (&iter, &path, NULL))
    g_dbus_connection_call (self->ctl->bus, GW_CTL_BUS_NAME, path, GW_CTL_BUS_NAME ".Points", "Watch",
                            g_variant_new ("(au)", NULL), NULL, G_DBUS_CALL_FLAGS_NO_AUTO_START, -1, NULL,
                            NULL, NULL);
}

static void
on_owner (GDBusConnection *bus,
          const char *sender,
          const char *path,
          const char *interface,
          const char *member,
          GVariant *parameters,
          gpointer data)
{
  Monitor *self = data;
  const char *owner;

  g_variant_get (parameters, "(&s&s&s)", NULL, NULL, &owner);
  event (self, GW_CTL_ROOT, owner[0] ? "back" : "gone", NULL, NULL);
  if (owner[0] != '\0')
    watch_points (self);
}

static gboolean
on_interrupt (gpointer data)
{
  g_main_loop_quit (data);
  return G_SOURCE_CONTINUE;
}

static gboolean
name_endpoints (Monitor *self, int argc, char **argv, GwCtlExit *exit)
{
  for (int i = 1; i < argc; i++)
    {
      g_autoptr (GwDBusEndpoint) endpoint = gw_ctl_find_endpoint (self->ctl, argv[i], exit);
      g_autoptr (GwDBusPoints) points = endpoint ? gw_ctl_find_points (self->ctl, endpoint, exit) : NULL;

      if (points == NULL)
        return FALSE;
      g_hash_table_insert (self->watched, g_strdup (g_dbus_proxy_get_object_path (G_DBUS_PROXY (points))),
                           gw_dbus_points_dup_points (points));
    }
  return TRUE;
}

static GwCtlExit
follow (Monitor *self)
{
  g_autoptr (GPtrArray) endpoints = gw_ctl_all (self->ctl, "Endpoint");
  guint signals, owner, interrupt, terminate;
  gulong closed;

  for (guint i = 0; i < endpoints->len; i++)
    note_state (self, g_dbus_proxy_get_object_path (endpoints->pdata[i]),
                gw_dbus_endpoint_get_state (endpoints->pdata[i]),
                gw_dbus_endpoint_get_state_reason (endpoints->pdata[i]));
  signals = g_dbus_connection_signal_subscribe (self->ctl->bus, GW_CTL_BUS_NAME, NULL, NULL, NULL, NULL,
                                                G_DBUS_SIGNAL_FLAGS_NONE, on_signal, self, NULL);
  owner = g_dbus_connection_signal_subscribe (self->ctl->bus, "org.freedesktop.DBus", "org.freedesktop.DBus",
                                              "NameOwnerChanged", "/org/freedesktop/DBus", GW_CTL_BUS_NAME,
                                              G_DBUS_SIGNAL_FLAGS_NONE, on_owner, self, NULL);
  watch_points (self);
  interrupt = g_unix_signal_add (SIGINT, on_interrupt, self->loop);
  terminate = g_unix_signal_add (SIGTERM, on_interrupt, self->loop);
  closed = g_signal_connect_swapped (self->ctl->bus, "closed", G_CALLBACK (stop), self);
  if (!g_dbus_connection_is_closed (self->ctl->bus) && !ferror (stdout))
    g_main_loop_run (self->loop);
  g_signal_handler_disconnect (self->ctl->bus, closed);
  g_source_remove (interrupt);
  g_source_remove (terminate);
  g_dbus_connection_signal_unsubscribe (self->ctl->bus, signals);
  g_dbus_connection_signal_unsubscribe (self->ctl->bus, owner);
  return g_dbus_connection_is_closed (self->ctl->bus) ? gw_ctl_bus_gone (self->ctl) : GW_CTL_OK;
}

static GwCtlExit
run (GwCtl *ctl, int argc, char **argv)
{
  Monitor self = { .ctl = ctl };
  GwCtlExit exit;

  if (!gw_ctl_options (ctl, &verb_monitor, NULL, &argc, &argv, 0, -1, &exit) || !gw_ctl_load (ctl, &exit))
    return exit;
  self.loop = g_main_loop_new (NULL, FALSE);
  self.states = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self.watched = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_variant_unref);
  if (name_endpoints (&self, argc, argv, &exit))
    exit = follow (&self);
  g_main_loop_unref (self.loop);
  g_hash_table_unref (self.states);
  g_hash_table_unref (self.watched);
  return exit;
}

const GwCtlVerb verb_monitor = {
  .name = "monitor",
  .args = "[ENDPOINT...]",
  .summary = "Follow what happens, until Ctrl-C",
  .help = "Buses, states of all endpoints and jobs; the values of the endpoints that are named, too (at most "
          "once a\n"
          "second each). Goes on when the agent is restarted.",
  .run = run,
};
