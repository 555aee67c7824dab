/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reports by line, gathered in memory and written in one go at the end. */
#include "gw-report.h"

#include <stdarg.h>

#include "gw-stream.h"

typedef struct
{
  guint64 line;
  char *text;
} Entry;

struct _GwReport
{
  GArray *entries;
  guint64 count;
};

static void
clear_entry (gpointer data)
{
  g_free (((Entry *)data)->text);
}

GwReport *
gw_report_new (void)
{
  GwReport *self = g_new0 (GwReport, 1);

  self->entries = g_array_new (FALSE, FALSE, sizeof (Entry));
  g_array_set_clear_func (self->entries, clear_entry);
  return self;
}

void
gw_report_free (GwReport *self)
{
  if (!self)
    return;
  g_array_unref (self->entries);
  g_free (self);
}

void
gw_report_add (GwReport *self, guint64 line, const char *status, const char *format, ...)
{
  g_autofree char *detail = NULL;
  Entry entry = { line, NULL };
  va_list args;

  if (self->count++ >= GW_REPORT_LINES_MAX)
    return;
  va_start (args, format);
  detail = g_strdup_vprintf (format, args);
  va_end (args);
  entry.text = g_strdup_printf ("%" G_GUINT64_FORMAT ": %s: %s", line, status, detail);
  g_array_append_val (self->entries, entry);
}

guint64
gw_report_count (const GwReport *self)
{
  return self->count;
}

static gint
compare_lines (gconstpointer a, gconstpointer b)
{
  guint64 x = ((const Entry *)a)->line, y = ((const Entry *)b)->line;

  return x < y ? -1 : x > y;
}

const char *
gw_report_first (GwReport *self)
{
  g_array_sort (self->entries, compare_lines);
  return self->entries->len > 0 ? g_array_index (self->entries, Entry, 0).text : NULL;
}

gboolean
gw_report_write (GwReport *self, int fd, GCancellable *cancellable)
{
  g_autoptr (GString) out = g_string_new (NULL);

  if (fd < 0)
    return TRUE;
  g_array_sort (self->entries, compare_lines);
  for (guint i = 0; i < self->entries->len; i++)
    g_string_append_printf (out, "%s\n", g_array_index (self->entries, Entry, i).text);
  if (self->count > self->entries->len)
    g_string_append_printf (out, "and %" G_GUINT64_FORMAT " more\n", self->count - self->entries->len);
  return gw_stream_write (fd, out->str, out->len, cancellable, NULL) && self->count == self->entries->len;
}
