/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-ctl-text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMN_MIN 6 /* a column that may be cut keeps at least this */

char *
gw_ctl_text_clean (const char *text)
{
  g_autoptr (GString) out = g_string_new (NULL);
  const char *p = text ? text : "";

  while (*p != '\0')
    {
      gunichar c = g_utf8_get_char_validated (p, -1);

      if (c == (gunichar)-1 || c == (gunichar)-2)
        {
          g_string_append_unichar (out, 0xfffd);
          p++;
          continue;
        }
      switch (g_unichar_type (c))
        {
        case G_UNICODE_CONTROL:
        case G_UNICODE_FORMAT:
        case G_UNICODE_LINE_SEPARATOR:
        case G_UNICODE_PARAGRAPH_SEPARATOR:
        case G_UNICODE_SURROGATE:
          c = 0xfffd;
          break;
        default:
          break;
        }
      g_string_append_unichar (out, c);
      p = g_utf8_next_char (p);
    }
  return g_string_free (g_steal_pointer (&out), FALSE);
}

static guint
char_width (gunichar c)
{
  if (g_unichar_iszerowidth (c))
    return 0;
  return g_unichar_iswide (c) ? 2 : 1;
}

guint
gw_ctl_text_width (const char *text)
{
  guint n = 0;

  for (const char *p = text; *p != '\0'; p = g_utf8_next_char (p))
    n += char_width (g_utf8_get_char (p));
  return n;
}

char *
gw_ctl_text_cut (const char *text, guint width)
{
  const char *p = text;
  guint n = 0;

  if (gw_ctl_text_width (text) <= width)
    return g_strdup (text);
  while (width > 0 && n + char_width (g_utf8_get_char (p)) <= width - 1)
    {
      n += char_width (g_utf8_get_char (p));
      p = g_utf8_next_char (p);
    }
  return width == 0 ? g_strdup ("") : g_strdup_printf ("%.*s\u2026", (int)(p - text), text);
}

char *
gw_ctl_text_when (guint64 then, guint64 now)
{
  static const struct
  {
    guint64 seconds;
    const char *unit;
  } units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
  guint64 apart = then > now ? then - now : now - then;

  if (then == 0)
    return g_strdup ("never");
  for (gsize i = 0; i < G_N_ELEMENTS (units); i++)
    if (apart >= units[i].seconds)
      return g_strdup_printf (then > now ? "in %" G_GUINT64_FORMAT " %s" : "%" G_GUINT64_FORMAT " %s ago",
                              apart / units[i].seconds, units[i].unit);
  return g_strdup ("now");
}

char *
gw_ctl_text_date (guint64 when)
{
  g_autoptr (GDateTime) time = NULL;

  if (when == 0)
    return g_strdup ("-");
  time = when <= G_MAXINT64 ? g_date_time_new_from_unix_utc ((gint64)when) : NULL;
  return time ? g_date_time_format (time, "%Y-%m-%d %H:%M UTC") : g_strdup ("beyond all dates");
}

char *
gw_ctl_text_bytes (guint64 n)
{
  static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
  double value = (double)n / 1024;
  gsize i = 0;

  if (n < 1024)
    return g_strdup_printf ("%" G_GUINT64_FORMAT " B", n);
  while (value >= 1024 && i + 1 < G_N_ELEMENTS (units))
    {
      value /= 1024;
      i++;
    }
  return g_strdup_printf ("%.1f %s", value, units[i]);
}

static char *
octets_hex (GVariant *value)
{
  gsize n;
  const guint8 *octets = g_variant_get_fixed_array (value, &n, 1);
  g_autoptr (GString) out = g_string_sized_new (2 * n);

  for (gsize i = 0; i < n; i++)
    g_string_append_printf (out, "%02x", octets[i]);
  return g_string_free (g_steal_pointer (&out), FALSE);
}

static char *
number_text (double value)
{
  char buffer[G_ASCII_DTOSTR_BUF_SIZE];

  /* Nine digits show what a sensor measures without the noise of binary fractions; JSON carries all of them.
   */
  if (isfinite (value))
    return g_strdup (g_ascii_formatd (buffer, sizeof buffer, "%.9g", value));
  return g_strdup (isnan (value) ? "not a number" : value > 0 ? "infinite" : "-infinite");
}

static char *
list_text (GVariant *value)
{
  g_autoptr (GString) out = g_string_new (NULL);
  gsize n = g_variant_n_children (value);

  for (gsize i = 0; i < n; i++)
    {
      g_autoptr (GVariant) child = g_variant_get_child_value (value, i);
      g_autofree char *text = gw_ctl_text_value (child);

      g_string_append_printf (out, "%s%s", i > 0 ? ", " : "", text);
    }
  return g_string_free (g_steal_pointer (&out), FALSE);
}

char *
gw_ctl_text_value (GVariant *value)
{
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_VARIANT))
    {
      g_autoptr (GVariant) inner = g_variant_get_variant (value);

      return gw_ctl_text_value (inner);
    }
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
    {
      g_autofree char *hex = octets_hex (value);

      return g_strconcat ("0x", hex, NULL);
    }
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_DOUBLE))
    return number_text (g_variant_get_double (value));
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING)
      || g_variant_is_of_type (value, G_VARIANT_TYPE_OBJECT_PATH))
    return gw_ctl_text_clean (g_variant_get_string (value, NULL));
  if (g_variant_is_container (value) && !g_variant_is_of_type (value, G_VARIANT_TYPE_DICTIONARY))
    return list_text (value);
  return g_variant_print (value, FALSE);
}

static json_t *
integer_json (guint64 value)
{
  g_autofree char *text = NULL;

  if (value <= G_MAXINT64)
    return json_integer ((json_int_t)value);
  text = g_strdup_printf ("%" G_GUINT64_FORMAT, value);
  return json_string (text);
}

static json_t *
string_json (const char *text)
{
  /* D-Bus strings are UTF-8, but not all of it is taken by every version of jansson. */
  json_t *out = json_string (text);

  return out ? out : json_string ("");
}

static json_t *
container_json (GVariant *value)
{
  gboolean object = g_variant_is_of_type (value, G_VARIANT_TYPE ("a{s*}"));
  json_t *out = object ? json_object () : json_array ();
  gsize n = g_variant_n_children (value);

  for (gsize i = 0; i < n; i++)
    {
      g_autoptr (GVariant) child = g_variant_get_child_value (value, i);

      if (object)
        {
          g_autoptr (GVariant) key = g_variant_get_child_value (child, 0);
          g_autoptr (GVariant) item = g_variant_get_child_value (child, 1);

          json_object_set_new (out, g_variant_get_string (key, NULL), gw_ctl_text_json (item));
        }
      else
        json_array_append_new (out, gw_ctl_text_json (child));
    }
  return out;
}

json_t *
gw_ctl_text_json (GVariant *value)
{
  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_BOOLEAN:
      return json_boolean (g_variant_get_boolean (value));
    case G_VARIANT_CLASS_BYTE:
      return json_integer (g_variant_get_byte (value));
    case G_VARIANT_CLASS_INT16:
      return json_integer (g_variant_get_int16 (value));
    case G_VARIANT_CLASS_UINT16:
      return json_integer (g_variant_get_uint16 (value));
    case G_VARIANT_CLASS_INT32:
      return json_integer (g_variant_get_int32 (value));
    case G_VARIANT_CLASS_UINT32:
      return json_integer (g_variant_get_uint32 (value));
    case G_VARIANT_CLASS_INT64:
      return json_integer (g_variant_get_int64 (value));
    case G_VARIANT_CLASS_UINT64:
      return integer_json (g_variant_get_uint64 (value));
    case G_VARIANT_CLASS_DOUBLE:
      return isfinite (g_variant_get_double (value)) ? json_real (g_variant_get_double (value))
                                                     : json_null ();
    case G_VARIANT_CLASS_STRING:
    case G_VARIANT_CLASS_OBJECT_PATH:
    case G_VARIANT_CLASS_SIGNATURE:
      return string_json (g_variant_get_string (value, NULL));
    case G_VARIANT_CLASS_VARIANT:
      {
        g_autoptr (GVariant) inner = g_variant_get_variant (value);

        return gw_ctl_text_json (inner);
      }
    case G_VARIANT_CLASS_ARRAY:
      if (g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
        {
          g_autofree char *hex = octets_hex (value);

          return json_string (hex);
        }
      return container_json (value);
    case G_VARIANT_CLASS_TUPLE:
      return container_json (value);
    case G_VARIANT_CLASS_HANDLE:
    case G_VARIANT_CLASS_MAYBE:
    case G_VARIANT_CLASS_DICT_ENTRY:
    default:
      return json_null ();
    }
}

void
gw_ctl_text_print_json (json_t *value)
{
  json_dumpf (value, stdout, JSON_INDENT (2) | JSON_REAL_PRECISION (17));
  putchar ('\n');
  json_decref (value);
}

/* ---- Tables ---- */

struct GwCtlTable
{
  guint columns;
  GPtrArray *cells; /* of char *, row after row, the header first */
  gboolean *right, *soft;
};

GwCtlTable *
gw_ctl_table_new (const char *const *headers)
{
  GwCtlTable *self = g_new0 (GwCtlTable, 1);

  self->columns = g_strv_length ((char **)headers);
  self->cells = g_ptr_array_new_with_free_func (g_free);
  self->right = g_new0 (gboolean, self->columns);
  self->soft = g_new0 (gboolean, self->columns);
  for (guint i = 0; i < self->columns; i++)
    {
      self->right[i] = headers[i][0] == '>';
      self->soft[i] = headers[i][0] == '~';
      g_ptr_array_add (self->cells, g_strdup (headers[i] + (self->right[i] || self->soft[i])));
    }
  return self;
}

void
gw_ctl_table_free (GwCtlTable *self)
{
  if (self == NULL)
    return;
  g_ptr_array_unref (self->cells);
  g_free (self->right);
  g_free (self->soft);
  g_free (self);
}

void
gw_ctl_table_add (GwCtlTable *self, ...)
{
  va_list args;

  va_start (args, self);
  for (guint i = 0; i < self->columns; i++)
    {
      const char *text = va_arg (args, const char *);

      g_ptr_array_add (self->cells, text && *text ? gw_ctl_text_clean (text) : g_strdup ("-"));
    }
  va_end (args);
}

guint
gw_ctl_table_rows (GwCtlTable *self)
{
  return self->cells->len / self->columns - 1;
}

/* Takes columns from the widest soft one until the table fits or none has any to give. */
static void
shrink (GwCtlTable *self, guint *widths, guint width)
{
  guint total = 2 * (self->columns - 1);

  for (guint c = 0; c < self->columns; c++)
    total += widths[c];
  while (total > width)
    {
      guint widest = self->columns;

      for (guint c = 0; c < self->columns; c++)
        if (self->soft[c] && widths[c] > COLUMN_MIN
            && (widest == self->columns || widths[c] > widths[widest]))
          widest = c;
      if (widest == self->columns)
        return;
      widths[widest]--;
      total--;
    }
}

static void
render_cell (GString *out, const char *text, guint width, gboolean right)
{
  g_autofree char *cut = gw_ctl_text_cut (text, width);
  guint pad = width - MIN (width, gw_ctl_text_width (cut));

  if (right)
    g_string_append_printf (out, "%*s%s", (int)pad, "", cut);
  else
    g_string_append_printf (out, "%s%*s", cut, (int)pad, "");
}

char *
gw_ctl_table_render (GwCtlTable *self, guint width)
{
  g_autoptr (GString) out = g_string_new (NULL);
  g_autofree guint *widths = g_new0 (guint, self->columns);

  for (guint i = 0; i < self->cells->len; i++)
    widths[i % self->columns] = MAX (widths[i % self->columns], gw_ctl_text_width (self->cells->pdata[i]));
  if (width > 0)
    shrink (self, widths, width);
  for (guint i = 0; i < self->cells->len; i++)
    {
      guint c = i % self->columns;

      render_cell (out, self->cells->pdata[i], widths[c], self->right[c]);
      if (c + 1 < self->columns)
        {
          g_string_append (out, "  ");
          continue;
        }
      while (out->len > 0 && out->str[out->len - 1] == ' ')
        g_string_truncate (out, out->len - 1);
      g_string_append_c (out, '\n');
    }
  return g_string_free (g_steal_pointer (&out), FALSE);
}

void
gw_ctl_table_print (GwCtlTable *self, gboolean wide)
{
  g_autofree char *text = NULL;
  struct winsize size = { 0 };
  guint width = GW_CTL_WIDTH_DEFAULT;

  if (ioctl (STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    width = size.ws_col;
  text = gw_ctl_table_render (self, wide ? 0 : width);
  fputs (text, stdout);
}
