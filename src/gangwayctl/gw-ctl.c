/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-ctl.h"

#include <string.h>

#define CALL_TIMEOUT_MS 120000 /* a person may have to type a password meanwhile */
#define ID_DIGITS_MIN 8        /* shown at least */
#define ID_PREFIX_MIN 4        /* taken at least */
#define ID_LEN 64
#define NEAR_MAX 3

gboolean
gw_ctl_connect (GwCtl *self, GwCtlExit *exit)
{
  g_autoptr (GError) error = NULL;

  if (self->bus != NULL)
    return TRUE;
  if (self->address != NULL)
    self->bus = g_dbus_connection_new_for_address_sync (self->address,
                                                        G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT
                                                            | G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                                        NULL, NULL, &error);
  else
    self->bus = g_bus_get_sync (G_BUS_TYPE_SYSTEM, NULL, &error);
  if (self->bus == NULL)
    {
      g_autofree char *what
          = g_strdup_printf ("cannot reach the message bus at %s: %s",
                             self->address ? self->address : "its system address", error->message);

      *exit = gw_ctl_refuse (self, GW_CTL_NO_AGENT, what,
                             "is D-Bus running there? another bus is named with --bus ADDRESS");
      return FALSE;
    }
  g_dbus_connection_set_exit_on_close (self->bus, FALSE);
  return TRUE;
}

static gboolean
agent_missing (GwCtl *self, GwCtlExit *exit)
{
  *exit = gw_ctl_refuse (
      self, GW_CTL_NO_AGENT, "the agent is not running: nobody owns " GW_CTL_BUS_NAME " on this bus",
      "systemctl start gangwayd, then journalctl -u gangwayd; another bus is named with --bus ADDRESS");
  return FALSE;
}

static gboolean
load_failed (GwCtl *self, const GError *error, GwCtlExit *exit)
{
  *exit = gw_ctl_fail (self, "read the agent's objects", error);
  return FALSE;
}

gboolean
gw_ctl_load (GwCtl *self, GwCtlExit *exit)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *owner = NULL;

  if (self->objects != NULL)
    return TRUE;
  if (!gw_ctl_connect (self, exit))
    return FALSE;
  self->objects = gw_dbus_object_manager_client_new_sync (
      self->bus, G_DBUS_OBJECT_MANAGER_CLIENT_FLAGS_DO_NOT_AUTO_START, GW_CTL_BUS_NAME, GW_CTL_ROOT, NULL,
      &error);
  if (self->objects == NULL)
    return load_failed (self, error, exit);
  owner = g_dbus_object_manager_client_get_name_owner (G_DBUS_OBJECT_MANAGER_CLIENT (self->objects));
  if (owner == NULL)
    return agent_missing (self, exit);
  self->manager = gw_dbus_manager_proxy_new_sync (self->bus, G_DBUS_PROXY_FLAGS_DO_NOT_AUTO_START,
                                                  GW_CTL_BUS_NAME, GW_CTL_ROOT, NULL, &error);
  if (self->manager == NULL)
    return load_failed (self, error, exit);
  self->inventory = gw_dbus_inventory_proxy_new_sync (self->bus, G_DBUS_PROXY_FLAGS_DO_NOT_AUTO_START,
                                                      GW_CTL_BUS_NAME, GW_CTL_ROOT, NULL, &error);
  return self->inventory != NULL || load_failed (self, error, exit);
}

void
gw_ctl_clear (GwCtl *self)
{
  g_clear_object (&self->inventory);
  g_clear_object (&self->manager);
  g_clear_object (&self->objects);
  g_clear_object (&self->bus);
  g_clear_pointer (&self->address, g_free);
}

/* "/.../job/9" before "/.../job/10". */
static int
compare_paths (gconstpointer a, gconstpointer b)
{
  const char *one = g_dbus_proxy_get_object_path (*(GDBusProxy *const *)a);
  const char *two = g_dbus_proxy_get_object_path (*(GDBusProxy *const *)b);
  gsize m = strlen (one), n = strlen (two);
  gboolean jobs = strstr (one, "/job/") != NULL && m != n;

  return jobs ? (m < n ? -1 : 1) : strcmp (one, two);
}

GPtrArray *
gw_ctl_all (GwCtl *self, const char *interface)
{
  GPtrArray *out = g_ptr_array_new_with_free_func (g_object_unref);
  g_autofree char *full = g_strconcat (GW_CTL_BUS_NAME ".", interface, NULL);
  GList *objects = g_dbus_object_manager_get_objects (self->objects);

  for (GList *l = objects; l != NULL; l = l->next)
    {
      GDBusInterface *found = g_dbus_object_get_interface (l->data, full);

      if (found != NULL)
        g_ptr_array_add (out, found);
    }
  g_list_free_full (objects, g_object_unref);
  g_ptr_array_sort (out, compare_paths);
  return out;
}

gpointer
gw_ctl_at (GwCtl *self, const char *path, const char *interface)
{
  g_autofree char *full = g_strconcat (GW_CTL_BUS_NAME ".", interface, NULL);

  return g_variant_is_object_path (path) ? g_dbus_object_manager_get_interface (self->objects, path, full)
                                         : NULL;
}

GVariant *
gw_ctl_call (gpointer proxy, const char *method, GVariant *arguments, GUnixFDList *fds, GError **error)
{
  return g_dbus_proxy_call_with_unix_fd_list_sync (proxy, method, arguments,
                                                   G_DBUS_CALL_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION,
                                                   CALL_TIMEOUT_MS, fds, NULL, NULL, error);
}

/* ---- Naming an endpoint ---- */

static guint
common_digits (const char *a, const char *b)
{
  guint n = 0;

  while (a[n] != '\0' && a[n] == b[n])
    n++;
  return n;
}

static int
compare_strings (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

guint
gw_ctl_id_digits (GPtrArray *endpoints)
{
  g_autoptr (GPtrArray) ids = g_ptr_array_new ();
  guint digits = ID_DIGITS_MIN;

  for (guint i = 0; i < endpoints->len; i++)
    g_ptr_array_add (ids, (gpointer)gw_dbus_endpoint_get_id (endpoints->pdata[i]));
  g_ptr_array_sort (ids, compare_strings);
  for (guint i = 1; i < ids->len; i++)
    digits = MAX (digits, common_digits (ids->pdata[i - 1], ids->pdata[i]) + 1);
  return MIN (digits, ID_LEN);
}

/* Levenshtein's distance, letters compared without case. */
static guint
distance (const char *a, const char *b)
{
  gsize m = strlen (a), n = strlen (b);
  g_autofree guint *row = g_new (guint, n + 1);

  for (gsize j = 0; j <= n; j++)
    row[j] = (guint)j;
  for (gsize i = 1; i <= m; i++)
    {
      guint diagonal = row[0];

      row[0] = (guint)i;
      for (gsize j = 1; j <= n; j++)
        {
          guint above = row[j];
          guint change = g_ascii_tolower (a[i - 1]) != g_ascii_tolower (b[j - 1]);

          row[j] = MIN (MIN (above, row[j - 1]) + 1, diagonal + change);
          diagonal = above;
        }
    }
  return row[n];
}

char **
gw_ctl_near (const char *word, const char *const *words)
{
  g_autoptr (GPtrArray) out = g_ptr_array_new ();
  guint limit = MAX (2, (guint)strlen (word) / 3);

  for (guint d = 0; d <= limit && out->len < NEAR_MAX; d++)
    for (gsize i = 0; words[i] != NULL && out->len < NEAR_MAX; i++)
      if (distance (word, words[i]) == d)
        g_ptr_array_add (out, g_strdup (words[i]));
  g_ptr_array_add (out, NULL);
  return (char **)g_ptr_array_free (g_steal_pointer (&out), FALSE);
}

static gboolean
is_id_prefix (const char *word)
{
  gsize n = strspn (word, "0123456789abcdefABCDEF");

  return word[n] == '\0' && n >= ID_PREFIX_MIN && n <= ID_LEN;
}

static gboolean
endpoint_matches (GwDBusEndpoint *endpoint, const char *word)
{
  const char *id = gw_dbus_endpoint_get_id (endpoint);

  if (word[0] == '/')
    return g_str_equal (g_dbus_proxy_get_object_path (G_DBUS_PROXY (endpoint)), word);
  if (is_id_prefix (word) && id != NULL && g_ascii_strncasecmp (id, word, strlen (word)) == 0)
    return TRUE;
  return g_strcmp0 (gw_dbus_endpoint_get_name (endpoint), word) == 0
         || g_strcmp0 (gw_dbus_endpoint_get_serial_number (endpoint), word) == 0;
}

static char *
several_text (GPtrArray *found)
{
  g_autoptr (GString) text = g_string_new ("it fits");

  for (guint i = 0; i < found->len && i < NEAR_MAX; i++)
    g_string_append_printf (text, "%s %.16s (%s)", i > 0 ? "," : "",
                            gw_dbus_endpoint_get_id (found->pdata[i]),
                            gw_dbus_endpoint_get_name (found->pdata[i]));
  g_string_append (text, found->len > NEAR_MAX ? " and more: give more digits" : ": give more digits");
  return g_string_free (g_steal_pointer (&text), FALSE);
}

static char *
nearest_text (GPtrArray *endpoints, const char *word)
{
  g_autoptr (GPtrArray) words = g_ptr_array_new_with_free_func (g_free);
  g_auto (GStrv) near = NULL;
  g_autofree char *list = NULL;

  for (guint i = 0; i < endpoints->len; i++)
    {
      g_ptr_array_add (words, g_strdup (gw_dbus_endpoint_get_name (endpoints->pdata[i])));
      g_ptr_array_add (words, g_strndup (gw_dbus_endpoint_get_id (endpoints->pdata[i]),
                                         MAX (ID_PREFIX_MIN, strlen (word))));
    }
  g_ptr_array_add (words, NULL);
  near = gw_ctl_near (word, (const char *const *)words->pdata);
  if (near[0] == NULL)
    return g_strdup (
        "gangwayctl list shows all of them; a chip that was never plugged in: gangwayctl inventory lookup");
  list = g_strjoinv (", ", near);
  return g_strconcat ("did you mean ", list, "? gangwayctl list shows all of them", NULL);
}

GwDBusEndpoint *
gw_ctl_find_endpoint (GwCtl *self, const char *word, GwCtlExit *exit)
{
  g_autoptr (GPtrArray) all = NULL, found = g_ptr_array_new ();
  g_autofree char *what = NULL, *next = NULL;

  if (!gw_ctl_load (self, exit))
    return NULL;
  all = gw_ctl_all (self, "Endpoint");
  for (guint i = 0; i < all->len; i++)
    if (endpoint_matches (all->pdata[i], word))
      g_ptr_array_add (found, all->pdata[i]);
  if (found->len == 1)
    return g_object_ref (found->pdata[0]);
  if (found->len > 1)
    {
      what = g_strdup_printf ("'%s' names %u endpoints", word, found->len);
      next = several_text (found);
    }
  else
    {
      what = g_strdup_printf ("no endpoint is called '%s'", word);
      next = nearest_text (all, word);
    }
  *exit = gw_ctl_refuse (self, found->len > 1 ? GW_CTL_USAGE : GW_CTL_NOT_FOUND, what, next);
  return NULL;
}

gboolean
gw_ctl_inventory_list (GwCtl *self, const char *method, const char *what, GVariant **list, GwCtlExit *exit)
{
  g_autoptr (GVariant) reply = NULL;
  g_autoptr (GError) error = NULL;

  if (!gw_ctl_load (self, exit))
    return FALSE;
  reply = gw_ctl_call (self->inventory, method, g_variant_new ("()"), NULL, &error);
  if (reply == NULL)
    *exit = gw_ctl_fail (self, what, error);
  else
    *list = g_variant_get_child_value (reply, 0);
  return reply != NULL;
}
