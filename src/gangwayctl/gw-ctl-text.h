/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Text for people and for programs: tables, times, values, JSON. Strings come from endpoints, manifests and
 * administrators, so nothing of them reaches a terminal before control characters are replaced. Pure
 * functions, no bus.
 */

#include <gio/gio.h>
#include <jansson.h>

#define GW_CTL_WIDTH_DEFAULT 80

/* `text` fit for one line of a terminal: control and format characters (which can steer it or reverse it) and
 * invalid octets become U+FFFD. */
char *gw_ctl_text_clean (const char *text);

/* Columns that `text` (clean) takes on a terminal. */
guint gw_ctl_text_width (const char *text);

/* `text` (clean) cut to at most `width` columns, the last one being U+2026 if anything was cut. */
char *gw_ctl_text_cut (const char *text, guint width);

/* "now", "12 s ago", "3 min ago", "5 h ago", "2 d ago", "in 40 d"; "never" for 0. Unix seconds. */
char *gw_ctl_text_when (guint64 then, guint64 now);

/* "2026-11-24 09:30 UTC"; "-" for 0. */
char *gw_ctl_text_date (guint64 when);

/* "512 B", "1.5 KiB", ... */
char *gw_ctl_text_bytes (guint64 n);

/* A value as a person writes it: true, 21.5, text, 0x0a0b for octets, a list with commas. Clean. */
char *gw_ctl_text_value (GVariant *value);

/* The same value for a program: dictionaries with string keys become objects, octet arrays hex text, variants
 * vanish, integers beyond 2^63-1 become text. A new reference. */
json_t *gw_ctl_text_json (GVariant *value);

/* Prints and releases `value` on stdout, indented. */
void gw_ctl_text_print_json (json_t *value);

/* ---- Tables ---- */

typedef struct GwCtlTable GwCtlTable;

/* headers: NULL-terminated; one that begins with '>' is aligned right, one with '~' may be cut when the table
 * is too wide (the widest such first). */
GwCtlTable *gw_ctl_table_new (const char *const *headers);
void gw_ctl_table_free (GwCtlTable *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwCtlTable, gw_ctl_table_free)

/* As many strings (copied and cleaned; NULL or "" shows as "-") as there are columns. */
void gw_ctl_table_add (GwCtlTable *self, ...);

/* The table as text, a header line first, two blanks between columns, no blanks at the ends of lines. width
 * 0: no limit. */
char *gw_ctl_table_render (GwCtlTable *self, guint width);
guint gw_ctl_table_rows (GwCtlTable *self);

/* Prints it to stdout in the terminal's width, 80 where stdout is none. */
void gw_ctl_table_print (GwCtlTable *self, gboolean wide);
