/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * Lines out of a stream of octets that comes in pieces of any size. LF or CRLF ends a line; the last one may lack it.
 * Memory is bounded: a longer line is reported as such, without its content, as soon as
 * that is seen, and skipped.
 */
#define GW_LINE_MAX 512u /* octets of a line without its end; a manifest's longest is 223 */

/* line: borrowed for the call, not NUL-terminated; NULL if the line is too long. number: from 1. */
typedef void (*GwLineFunc) (const char *line, gsize length, guint64 number, gpointer data);

typedef struct
{
  GwLineFunc func;
  gpointer data;
  guint64 number; /* of the line that is being gathered, less one */
  gsize have;
  gboolean too_long;
  char buffer[GW_LINE_MAX + 1]; /* one more for the CR */
} GwLineReader;

void gw_line_reader_init (GwLineReader *self, GwLineFunc func, gpointer data);
void gw_line_reader_feed (GwLineReader *self, const void *octets, gsize length);

/* Hands out the last line if it had no end. */
void gw_line_reader_finish (GwLineReader *self);
