/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>
#include <gio/gunixfdlist.h>
#include <unistd.h>

#include "gw-policy.h"

G_BEGIN_DECLS

/*
 * Arguments of D-Bus calls, checked at the border: what a caller may hand us is looked at here, once, and refused by name. All set
 * GW_ERROR_INVALID, unless said otherwise.
 */

/*
 * Takes the options that the caller of a method may give. The rest are triples of a key, its GVariant type string, and the address of the
 * value (const char ** for "s", gboolean * for "b", guint32 * for "u", gint32 * for "h"), ended by NULL. Absent keys leave the value
 * alone; any other key, and a wrong type, is refused. Strings are borrowed from @options.
 */
gboolean gw_options_check (GVariant *options, GError **error, ...) G_GNUC_NULL_TERMINATED;

/* 1 to @max octets of UTF-8 without control characters. */
gboolean gw_options_check_text (const char *text, gsize max, const char *what, GError **error);

/* A valid policy of that name is there: else GW_ERROR_NOT_FOUND or GW_ERROR_INVALID with its first problem. */
gboolean gw_options_check_policy (GwPolicySet *policies, const char *name, GError **error);

/* What a descriptor must be able to do. */
typedef enum
{
  GW_OPTIONS_FD_READ,
  GW_OPTIONS_FD_WRITE,
} GwOptionsFd;

/*
 * A duplicate (close-on-exec) of the descriptor that stands at @index in @list; -1 if @index is out of bounds, the list is missing, or it
 * is neither a regular file, a pipe nor a socket opened for @need.
 */
int gw_options_take_fd (GUnixFDList *list, gint32 index, GwOptionsFd need, const char *what, GError **error);

/* Closes a descriptor that is left when the variable goes out of scope; -1 is none. */
static inline void
gw_options_close_fd (int *fd)
{
  if (*fd >= 0)
    close (*fd);
}
#define gw_autofd __attribute__ ((cleanup (gw_options_close_fd)))

G_END_DECLS
