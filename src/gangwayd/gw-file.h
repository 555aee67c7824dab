/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Reads what an administrator wrote: a plain file of at most @max octets. A pipe, a device or a folder in its place is refused without
 * waiting for it, and what is larger without reading it. @text has a NUL behind it. Errors: G_FILE_ERROR, with the path in it. */
gboolean gw_file_read (const char *path, gsize max, char **text, gsize *length, GError **error);

/* The files of @dir whose names end in @suffix, as paths, by name: an array of at most @max + 1 strings that it owns, so that who
 * takes @max sees that there are more. Hidden ones are left out. A folder that is not there has none. Errors: G_FILE_ERROR. */
GPtrArray *gw_file_list (const char *dir, const char *suffix, guint max, GError **error);

G_END_DECLS
