/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Writing SenML JSON. jansson would print 21.3 as 21.300000000000001 or cut every number to the same few
 * digits, so the text is made here: there is little to it once the codec has seen to it that names and texts
 * are clean UTF-8. Every report comes through here, and printf() for each octet of a key id would be a third
 * of all that the agent's code does for it. */

#include "gw-senml.h"

#include <string.h>

#include "gw-base64url.h"
#include "gw-data-codec.h"
#include "gw-error.h"

#define ABSOLUTE_US ((gint64)GW_DATA_TIME_ABSOLUTE_S * G_USEC_PER_SEC)

void
gw_senml_print_number (double number, char *out)
{
  static const char *const single[] = { "%.6g", "%.7g", "%.8g", "%.9g", NULL };
  static const char *const precise[] = { "%.15g", "%.16g", "%.17g", NULL };
  gboolean is_single = (double)(float)number == number;

  for (const char *const *format = is_single ? single : precise; *format != NULL; format++)
    {
      double back;

      g_ascii_formatd (out, GW_SENML_NUMBER_LEN, *format, number);
      back = g_ascii_strtod (out, NULL);
      if (is_single ? (float)back == (float)number : back == number)
        return;
    }
}

static void
add_hex (GString *out, const guint8 *octets, gsize len)
{
  static const char digits[] = "0123456789abcdef";

  for (gsize i = 0; i < len; i++)
    {
      g_string_append_c (out, digits[octets[i] >> 4]);
      g_string_append_c (out, digits[octets[i] & 15]);
    }
}

static void
add_unsigned (GString *out, guint64 number)
{
  char text[20]; /* of 2^64 - 1 */
  gsize at = sizeof text;

  do
    text[--at] = (char)('0' + number % 10);
  while ((number /= 10) != 0);
  g_string_append_len (out, text + at, (gssize)(sizeof text - at));
}

static void
add_int (GString *out, gint64 number)
{
  if (number < 0)
    g_string_append_c (out, '-');
  add_unsigned (out, number < 0 ? 0 - (guint64)number : (guint64)number);
}

static void
add_string (GString *out, const char *text, gsize len)
{
  g_string_append_c (out, '"');
  for (gsize i = 0; i < len; i++)
    {
      guchar c = (guchar)text[i];
      if (c == '"' || c == '\\')
        g_string_append_c (out, '\\');
      if (c < 0x20)
        g_string_append_printf (out, "\\u%04x", c);
      else
        g_string_append_c (out, (char)c);
    }
  g_string_append_c (out, '"');
}

static void
add_base64url (GString *out, GwBytes bytes)
{
  g_autofree char *text = gw_base64url_encode (bytes.ptr, bytes.len);

  add_string (out, text, strlen (text));
}

/* Seconds with up to six decimals, none superfluous. */
static void
add_seconds (GString *out, gint64 us)
{
  guint64 size = us < 0 ? 0 - (guint64)us : (guint64)us;
  guint fraction = (guint)(size % G_USEC_PER_SEC);

  if (us < 0)
    g_string_append_c (out, '-');
  add_unsigned (out, size / G_USEC_PER_SEC);
  if (fraction == 0)
    return;
  g_string_append_c (out, '.');
  for (guint unit = G_USEC_PER_SEC / 10; fraction != 0; unit /= 10)
    {
      g_string_append_c (out, (char)('0' + fraction / unit));
      fraction %= unit;
    }
}

/* Base fields, what tells this record from all others, and whether its time can be trusted. */
static void
add_head (GString *out, const GwSpoolRecord *record)
{
  g_string_append (out, "[{\"bn\":\"" GW_SENML_BASE_NAME);
  add_hex (out, record->kid, sizeof record->kid);
  g_string_append (out, ":\"");
  if (record->time >= ABSOLUTE_US) /* a smaller number would mean "relative to now" */
    {
      g_string_append (out, ",\"bt\":");
      add_seconds (out, record->time);
    }
  g_string_append (out, ",\"n\":\"_boot\",\"vs\":\"");
  add_hex (out, record->boot, sizeof record->boot);
  g_string_append (out, "\"},{\"n\":\"_seq\",\"v\":");
  add_unsigned (out, record->q);
  g_string_append_c (out, '}');
  if (record->flags & GW_SPOOL_FLAG_CLOCK_INVALID)
    g_string_append (out, ",{\"n\":\"_clock\",\"vb\":false}");
}

static void
add_value (GString *out, const GwValue *value)
{
  char number[GW_SENML_NUMBER_LEN];

  switch (value->type)
    {
    case GW_VALUE_BOOL:
      g_string_append (out, value->b ? ",\"vb\":true" : ",\"vb\":false");
      break;
    case GW_VALUE_INT:
      g_string_append (out, ",\"v\":");
      add_int (out, value->i);
      break;
    case GW_VALUE_FLOAT:
      gw_senml_print_number (value->d, number);
      g_string_append (out, ",\"v\":");
      g_string_append (out, number);
      break;
    case GW_VALUE_TEXT:
      g_string_append (out, ",\"vs\":");
      add_string (out, value->text.ptr, value->text.len);
      break;
    case GW_VALUE_BYTES:
      g_string_append (out, ",\"vd\":");
      add_base64url (out, value->bytes);
      break;
    case GW_VALUE_NONE:
    default:
      break;
    }
}

/* The record's time against bt. The endpoint's is UTC or, at most 0, relative to when it sent it: about bt.
 */
static gint64
relative_time (const GwSpoolRecord *record, double seconds)
{
  gint64 us = (gint64)(seconds * G_USEC_PER_SEC + (seconds < 0 ? -0.5 : 0.5)); /* the codec bounds it */

  if (seconds >= (double)GW_DATA_TIME_ABSOLUTE_S)
    return us - record->time;
  return MIN (us, 0);
}

static void
add_record (GString *out, const GwSpoolRecord *record, const GwDataRecord *data)
{
  gint64 us = relative_time (record, data->base_time + (data->has_time ? data->time : 0));

  /* Base name and name together are SenML characters, begun by a letter or digit: the codec has seen to it.
   */
  g_string_append (out, ",{\"n\":\"");
  g_string_append_len (out, data->base_name.ptr, (gssize)data->base_name.len);
  g_string_append_len (out, data->name.ptr, (gssize)data->name.len);
  g_string_append_c (out, '"');
  if (data->unit.len > 0)
    {
      g_string_append (out, ",\"u\":");
      add_string (out, data->unit.ptr, data->unit.len);
    }
  add_value (out, &data->value);
  if (us != 0)
    {
      g_string_append (out, ",\"t\":");
      add_seconds (out, us);
    }
  g_string_append_c (out, '}');
}

static GwStatus
add_report (GString *out, const GwSpoolRecord *record, GwBytes body)
{
  GwDataReport report;
  GwDataRecord data;
  GwStatus status = gw_data_report_decode (body, &report);

  if (status != GW_OK)
    return status;
  while (gw_data_records_next (&report.records, &data))
    add_record (out, record, &data);
  return GW_OK;
}

static GwStatus
add_event (GString *out, GwBytes body)
{
  GwDataEvent event;
  GwStatus status = gw_data_event_decode (body, &event);

  if (status != GW_OK)
    return status;
  g_string_append_printf (out, ",{\"n\":\"_event\",\"v\":%u},{\"n\":\"_level\",\"v\":%u}", event.code,
                          event.level);
  if (event.has_message)
    {
      g_string_append (out, ",{\"n\":\"_message\",\"vs\":");
      add_string (out, event.message.ptr, event.message.len);
      g_string_append_c (out, '}');
    }
  return GW_OK;
}

char *
gw_senml_from_record (const GwSpoolRecord *record, GError **error)
{
  g_autoptr (GString) out = g_string_sized_new (512);
  GwStatus status;
  GwBytes body;
  gsize len;

  body.ptr = g_bytes_get_data (record->payload, &len);
  body.len = len;
  add_head (out, record);
  status = record->kind == GW_SPOOL_EVENT ? add_event (out, body) : add_report (out, record, body);
  if (status != GW_OK)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "The spooled record is not a report or event: %s",
                   gw_status_text (status));
      return NULL;
    }
  g_string_append_c (out, ']');
  if (out->len > GW_SENML_JSON_MAX)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_LIMIT,
                   "The record is %" G_GSIZE_FORMAT " octets of SenML, over %d", out->len, GW_SENML_JSON_MAX);
      return NULL;
    }
  return g_string_free (g_steal_pointer (&out), FALSE);
}
