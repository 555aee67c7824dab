/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Telling what went wrong: what, why, what next, and an exit code that says the kind. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gw-ctl.h"
#include "gw-ctl-text.h"

#define ERROR_PREFIX GW_CTL_BUS_NAME ".Error."
#define BUS_GONE_NEXT "once it is back: gangwayctl status tells how things stand"

/* Where an error's own message does not already say what to do. `dbus`: a full name, else one of ours. */
static const struct
{
  const char *name;
  GwCtlExit code;
  const char *next;
} known[] = {
  { "org.freedesktop.DBus.Error.ServiceUnknown", GW_CTL_NO_AGENT,
    "the agent is not running: systemctl start gangwayd, or name its bus with --bus ADDRESS" },
  { "org.freedesktop.DBus.Error.NameHasNoOwner", GW_CTL_NO_AGENT,
    "the agent is not running: systemctl start gangwayd, or name its bus with --bus ADDRESS" },
  { "org.freedesktop.DBus.Error.NoReply", GW_CTL_NO_AGENT,
    "the agent went away or hangs: systemctl status gangwayd, then try again" },
  { "org.freedesktop.DBus.Error.Disconnected", GW_CTL_NO_AGENT, "the message bus went away: try again" },
  { "org.freedesktop.DBus.Error.AccessDenied", GW_CTL_DENIED,
    "the bus policy or polkit does not let you: try with sudo, or ask the administrator" },
  { "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", GW_CTL_DENIED,
    "polkit wants a password and nobody could be asked: run it in a terminal with pkttyagent, or with sudo" },
  { "org.freedesktop.DBus.Error.UnknownMethod", GW_CTL_FAILED,
    "the agent is older or newer than this gangwayctl, or the object is gone: compare gangwayctl status and "
    "--version" },
  { ERROR_PREFIX "NotAuthorized", GW_CTL_DENIED,
    "polkit does not let you: try with sudo, or have the administrator grant the action (pkaction | grep "
    "gangway)" },
  { ERROR_PREFIX "NotFound", GW_CTL_NOT_FOUND, "gangwayctl list and gangwayctl policies show what there is" },
  { ERROR_PREFIX "Unclaimed", GW_CTL_FAILED,
    "claim it: gangwayctl batch add NAME --policy POLICY FILE, or name a policy with --policy" },
  { ERROR_PREFIX "Cloned", GW_CTL_FAILED, "unplug the copy, then gangwayctl approve ENDPOINT" },
  { ERROR_PREFIX "Offline", GW_CTL_FAILED, "is it plugged in and powered? gangwayctl explain ENDPOINT" },
  { ERROR_PREFIX "Timeout", GW_CTL_FAILED,
    "the endpoint did not answer in time: gangwayctl explain ENDPOINT" },
  { ERROR_PREFIX "Busy", GW_CTL_FAILED, "wait for what is going on: gangwayctl jobs" },
  { ERROR_PREFIX "BadState", GW_CTL_FAILED, "gangwayctl explain ENDPOINT tells an endpoint's state, gangwayctl jobs a job's" },
  { ERROR_PREFIX "Storage", GW_CTL_FAILED,
    "look at the agent's log (journalctl -u gangwayd) and the disk's free space" },
};

static void
print_error (GwCtl *self, const char *name, const char *what, const char *next)
{
  if (self != NULL && self->json)
    {
      json_t *out = json_pack ("{s:s, s:s*, s:s*}", "error", name, "message", what, "next", next);

      json_dumpf (out, stderr, 0);
      fputc ('\n', stderr);
      json_decref (out);
      return;
    }
  fprintf (stderr, "gangwayctl: %s\n", what);
  if (next != NULL)
    fprintf (stderr, "  next: %s\n", next);
}

GwCtlExit
gw_ctl_fail (GwCtl *self, const char *doing, const GError *error)
{
  g_autofree char *remote = g_dbus_error_get_remote_error (error);
  g_autoptr (GError) plain = g_error_copy (error);
  g_autofree char *message = NULL, *what = NULL;
  GwCtlExit code = GW_CTL_FAILED;
  const char *next = NULL;

  g_dbus_error_strip_remote_error (plain);
  message = gw_ctl_text_clean (plain->message);
  what = g_strdup_printf ("cannot %s: %s", doing, message);
  for (gsize i = 0; remote != NULL && i < G_N_ELEMENTS (known); i++)
    if (g_str_equal (known[i].name, remote))
      {
        code = known[i].code;
        next = known[i].next;
      }
  /* The agent's messages name the remedy themselves where they can. */
  if (remote != NULL && g_str_has_prefix (remote, ERROR_PREFIX) && strstr (message, "gangwayctl ") != NULL)
    next = NULL;
  if (remote == NULL && g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
    next = "the agent did not answer: systemctl status gangwayd, then try again";
  if (remote == NULL && g_dbus_connection_is_closed (self->bus))
    return gw_ctl_refuse (self, GW_CTL_NO_AGENT, what, BUS_GONE_NEXT);
  print_error (self, remote ? remote : "org.gangway.Gangwayctl.Error.Failed", what, next);
  return code;
}

GwCtlExit
gw_ctl_refuse (GwCtl *self, GwCtlExit code, const char *what, const char *next)
{
  static const char *const names[] = { "None", "Failed", "Usage", "NoAgent", "Denied", "NotFound" };
  g_autofree char *name = g_strconcat ("org.gangway.Gangwayctl.Error.", names[code], NULL);
  g_autofree char *clean = gw_ctl_text_clean (what);
  g_autofree char *clean_next = next ? gw_ctl_text_clean (next) : NULL;

  print_error (self, name, clean, clean_next);
  return code;
}

GwCtlExit
gw_ctl_usage (GwCtl *self, const GwCtlVerb *verb, const char *format, ...)
{
  g_autofree char *message = NULL, *next = NULL;
  va_list args;

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  if (self->json)
    {
      next = g_strdup_printf ("gangwayctl %s --help", verb->name);
      return gw_ctl_refuse (self, GW_CTL_USAGE, message, next);
    }
  fprintf (stderr, "gangwayctl: %s\n  usage: gangwayctl %s%s%s\n  next: gangwayctl %s --help\n", message,
           verb->name, verb->args[0] ? " " : "", verb->args, verb->name);
  return GW_CTL_USAGE;
}

GwCtlExit
gw_ctl_bus_gone (GwCtl *self)
{
  return gw_ctl_refuse (self, GW_CTL_NO_AGENT, "the message bus went away",
                        BUS_GONE_NEXT);
}

/* GLib leaves a "--" in place where a word that begins with '-' follows it. */
static void
drop_separator (int *argc, char **argv)
{
  for (int i = 1; i < *argc; i++)
    if (g_str_equal (argv[i], "--"))
      {
        memmove (argv + i, argv + i + 1, sizeof (char *) * (gsize)(*argc - i));
        (*argc)--;
        return;
      }
}

gboolean
gw_ctl_options (GwCtl *self,
                const GwCtlVerb *verb,
                const GOptionEntry *entries,
                int *argc,
                char ***argv,
                int min,
                int max,
                GwCtlExit *exit)
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  int words;

  g_option_context_set_help_enabled (context, FALSE);
  if (entries != NULL)
    g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, &error))
    {
      *exit = gw_ctl_usage (self, verb, "%s", error->message);
      return FALSE;
    }
  drop_separator (argc, *argv);
  words = *argc - 1;
  /* What goes out on D-Bus must be UTF-8; the few file names that are not can be linked to. */
  for (int i = 1; i <= words; i++)
    if (!g_utf8_validate ((*argv)[i], -1, NULL))
      {
        *exit = gw_ctl_usage (self, verb, "%s: word %d is not UTF-8 text", verb->name, i);
        return FALSE;
      }
  if (words < min || (max >= 0 && words > max))
    {
      *exit
          = gw_ctl_usage (self, verb, words < min ? "%s: something is missing" : "%s: too many words", verb->name);
      return FALSE;
    }
  return TRUE;
}

gboolean
gw_ctl_parse_duration (const char *text, guint32 *seconds)
{
  static const struct
  {
    const char *unit;
    guint32 factor;
  } units[] = { { "", 1 }, { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 } };
  char *end = NULL;
  guint64 n;

  if (!g_ascii_isdigit (text[0]))
    return FALSE;
  n = g_ascii_strtoull (text, &end, 10);
  for (gsize i = 0; i < G_N_ELEMENTS (units); i++)
    if (g_str_equal (end, units[i].unit) && n <= G_MAXUINT32 / units[i].factor)
      {
        *seconds = (guint32)n * units[i].factor;
        return TRUE;
      }
  return FALSE;
}
