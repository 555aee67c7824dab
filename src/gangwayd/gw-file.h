/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Reads what an administrator wrote: a plain file of at most @max octets. A pipe, a device or a folder in its place is refused without
 * waiting for it, and what is larger without reading it. @text has a NUL behind it. Errors: G_FILE_ERROR, with the path in it. */
gboolean gw_file_read (const char *path, gsize max, char **text, gsize *length, GError **error);

G_END_DECLS
