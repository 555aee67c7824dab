/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

/*
 * The report by line of an import: "LINE: STATUS: DETAIL", one text line each, in the order of the file. Bounded, and the only
 * thing that can fail is that its reader is gone or too slow: then it is cut, and that is told in the result.
 */
#define GW_REPORT_LINES_MAX 10000u

typedef struct _GwReport GwReport;

GwReport *gw_report_new (void);
void gw_report_free (GwReport *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwReport, gw_report_free)

/* status: a constant word. Beyond GW_REPORT_LINES_MAX only counted. */
void gw_report_add (GwReport *self, guint64 line, const char *status, const char *format, ...) G_GNUC_PRINTF (4, 5);

/* How many were added, also beyond the bound. */
guint64 gw_report_count (const GwReport *self);

/* The one with the smallest line number as text; NULL if there is none. Borrowed until the next call. */
const char *gw_report_first (GwReport *self);

/* Write it out (fd -1: nowhere). FALSE: cut. SIGPIPE must be blocked in the calling thread. */
gboolean gw_report_write (GwReport *self, int fd, GCancellable *cancellable);
