/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See gw-file.h. */

#include "config.h"

#include "gw-file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static gboolean
fail (const char *path, int code, GError **error)
{
  g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (code), "%s: %s", path, g_strerror (code));
  return FALSE;
}

static gboolean
read_all (int fd, const char *path, gsize max, char **text, gsize *length, GError **error)
{
  g_autofree char *buffer = NULL;
  struct stat status;
  gsize have = 0, room;
  gssize got = 1;

  if (fstat (fd, &status) != 0)
    return fail (path, errno, error);
  if (!S_ISREG (status.st_mode))
    {
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s: not a plain file", path);
      return FALSE;
    }
  room = MIN ((gsize) status.st_size, max) + 1; /* one more: whether there is more than was said */
  buffer = g_malloc (room + 1);
  while (have < room && got != 0)
    {
      got = read (fd, buffer + have, room - have);
      if (got < 0 && errno == EINTR)
        continue;
      if (got < 0)
        return fail (path, errno, error);
      have += (gsize) got;
    }
  if (have > max || (guint64) status.st_size > max)
    {
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOSPC, "%s: larger than %zu octets", path, max);
      return FALSE;
    }
  buffer[have] = '\0';
  *length = have;
  *text = g_steal_pointer (&buffer);
  return TRUE;
}

gboolean
gw_file_read (const char *path, gsize max, char **text, gsize *length, GError **error)
{
  int fd = open (path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  gboolean good;

  if (fd < 0)
    return fail (path, errno, error);
  good = read_all (fd, path, max, text, length, error);
  close (fd);
  return good;
}

static gint
compare_paths (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

GPtrArray *
gw_file_list (const char *dir, const char *suffix, guint max, GError **error)
{
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) local = NULL;
  g_autoptr (GDir) listing = g_dir_open (dir, 0, &local);
  const char *name;

  if (listing == NULL && !g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_NOENT))
    {
      g_propagate_error (error, g_steal_pointer (&local));
      return NULL;
    }
  while (listing != NULL && paths->len <= max && (name = g_dir_read_name (listing)) != NULL)
    if (*name != '.' && g_str_has_suffix (name, suffix))
      g_ptr_array_add (paths, g_build_filename (dir, name, NULL));
  g_ptr_array_sort (paths, compare_paths);
  return g_steal_pointer (&paths);
}
