/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * A strict reader of the keyfiles that people write (gangway.conf, *.policy): [Group], Key=Value, # or ; comments.
 * No continuation lines, no escapes, no locales, nothing twice. GKeyFile would do for the syntax, but it keeps no line
 * numbers and takes the last of two equal keys.
 */
#define GW_KEYFILE_SIZE_MAX 65536u
#define GW_KEYFILE_LINE_MAX 4096u
#define GW_KEYFILE_ENTRIES_MAX 256u

typedef struct
{
  guint line; /* from 1 */
  char *group;
  char *key;
  char *value; /* blanks around it removed; UTF-8 without control characters; may be empty */
} GwKeyfileEntry;

/* The entries in the order of the file (array owns them). What is malformed is left out and described in problems
 * (array of char *, "PATH:LINE: what"), to which this only appends. Never fails. */
GPtrArray *gw_keyfile_parse (const char *path, const char *text, gsize length, GPtrArray *problems);

/* Append a problem in that form; line 0 = the whole file. */
void gw_keyfile_add_problem (GPtrArray *problems, const char *path, guint line, const char *format, ...)
  G_GNUC_PRINTF (4, 5);

/* "30s", "24h", "7d", "90" (seconds) to microseconds; positive, at most 100 years. */
gboolean gw_keyfile_parse_duration (const char *value, gint64 *out);

/* "256M", "4096" to octets; positive. */
gboolean gw_keyfile_parse_size (const char *value, guint64 *out);
