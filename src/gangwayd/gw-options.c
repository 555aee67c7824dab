/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See gw-options.h. */

#include "config.h"

#include "gw-options.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gw-cbor.h"
#include "gw-error.h"

/* FALSE: a handle that can name no descriptor. */
static gboolean
store (GVariant *value, const char *type, gpointer where)
{
  switch (*type)
    {
    case 's':
      *(const char **) where = g_variant_get_string (value, NULL);
      break;
    case 'b':
      *(gboolean *) where = g_variant_get_boolean (value);
      break;
    case 'u':
      *(guint32 *) where = g_variant_get_uint32 (value);
      break;
    case 'h':
      *(gint32 *) where = g_variant_get_handle (value);
      return *(gint32 *) where >= 0;
    default:
      g_return_val_if_reached (FALSE);
    }
  return TRUE;
}

gboolean
gw_options_check (GVariant *options, GError **error, ...)
{
  GVariantIter iter;
  const char *key;
  GVariant *value;

  g_variant_iter_init (&iter, options);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &value))
    {
      const char *known, *type = NULL;
      gpointer where = NULL;
      va_list args;

      va_start (args, error);
      while ((known = va_arg (args, const char *)) != NULL)
        {
          type = va_arg (args, const char *);
          where = va_arg (args, gpointer);
          if (strcmp (known, key) == 0)
            break;
        }
      va_end (args);
      if (known == NULL || !g_variant_is_of_type (value, G_VARIANT_TYPE (type)))
        {
          g_autofree char *name = gw_error_quote (key), *other = gw_error_quote (g_variant_get_type_string (value));

          if (known == NULL)
            g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "there is no option '%s'", name);
          else
            g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "option '%s' must have the type %s, not %s", name, type, other);
          g_variant_unref (value);
          return FALSE;
        }
      if (!store (value, type, where))
        {
          g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "no descriptor came with the call for the option '%s'", key);
          g_variant_unref (value);
          return FALSE;
        }
    }
  return TRUE;
}

gboolean
gw_options_check_text (const char *text, gsize max, const char *what, GError **error)
{
  gsize len = strlen (text);

  if (len >= 1 && len <= max && gw_text_is_clean (text, len))
    return TRUE;
  g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "the %s must have 1 to %zu octets and no control characters", what, max);
  return FALSE;
}

gboolean
gw_options_check_policy (GwPolicySet *policies, const char *name, GError **error)
{
  GwPolicy *policy = gw_policy_set_lookup (policies, name);
  g_autofree char *quoted = gw_error_quote (name);

  if (policy == NULL)
    g_set_error (error, GW_ERROR, GW_ERROR_NOT_FOUND, "there is no policy '%s': see `gangwayctl policies`", quoted);
  else if (!gw_policy_is_valid (policy))
    g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "policy '%s' has mistakes: %s", name, policy->problems[0]);
  return policy != NULL && gw_policy_is_valid (policy);
}

static gboolean
fd_fits (int fd, GwOptionsFd need)
{
  struct stat status;
  int flags = fcntl (fd, F_GETFL);

  if (flags < 0 || fstat (fd, &status) < 0 || (flags & O_PATH) != 0)
    return FALSE;
  if (!S_ISREG (status.st_mode) && !S_ISFIFO (status.st_mode) && !S_ISSOCK (status.st_mode))
    return FALSE;
  if ((flags & O_ACCMODE) == O_RDWR)
    return TRUE;
  return (flags & O_ACCMODE) == (need == GW_OPTIONS_FD_READ ? O_RDONLY : O_WRONLY);
}

int
gw_options_take_fd (GUnixFDList *list, gint32 index, GwOptionsFd need, const char *what, GError **error)
{
  int fd;

  /* g_unix_fd_list_get() accepts -1 and hands out the array's end. */
  if (list == NULL || index < 0 || index >= g_unix_fd_list_get_length (list))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "no descriptor came with the call for the %s", what);
      return -1;
    }
  fd = g_unix_fd_list_get (list, index, error);
  if (fd < 0)
    return -1;
  if (fd_fits (fd, need))
    return fd;
  close (fd);
  g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "the descriptor for the %s must be a file, pipe or socket open for %s", what,
               need == GW_OPTIONS_FD_READ ? "reading" : "writing");
  return -1;
}
