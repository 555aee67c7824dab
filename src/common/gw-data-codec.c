/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-data-codec.h"

#include <string.h>

#include "gw-data-record.h"
#include "gw-fields.h"

/* ---- Points ---- */

static const GwField point_fields[] = {
  { .key = "id", .kind = GW_FIELD_UINT, GW_FIELD_AT (GwDataPoint, id), GW_FIELD_NEEDED, .max = UINT32_MAX },
  { .key = "n",
    .kind = GW_FIELD_TEXT,
    GW_FIELD_AT (GwDataPoint, name),
    GW_FIELD_NEEDED,
    .max = GW_DATA_POINT_NAME_MAX },
  { .key = "u",
    .kind = GW_FIELD_TEXT,
    GW_FIELD_AT (GwDataPoint, unit),
    GW_FIELD_HAS (GwDataPoint, has_unit),
    .max = GW_DATA_UNIT_MAX },
  { .key = "ty",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwDataPoint, type),
    GW_FIELD_NEEDED,
    .min = GW_DATA_TYPE_BOOL,
    .max = GW_DATA_TYPE_BYTES },
  { .key = "a",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwDataPoint, access),
    GW_FIELD_NEEDED,
    .max = GW_DATA_ACCESS_READ | GW_DATA_ACCESS_WRITE | GW_DATA_ACCESS_REPORT },
  { .key = "lo",
    .kind = GW_FIELD_NUMBER,
    GW_FIELD_AT (GwDataPoint, low),
    GW_FIELD_HAS (GwDataPoint, has_low) },
  { .key = "hi",
    .kind = GW_FIELD_NUMBER,
    GW_FIELD_AT (GwDataPoint, high),
    GW_FIELD_HAS (GwDataPoint, has_high) },
  { .key = "st",
    .kind = GW_FIELD_NUMBER,
    GW_FIELD_AT (GwDataPoint, step),
    GW_FIELD_HAS (GwDataPoint, has_step) },
  { .key = "unsafe",
    .kind = GW_FIELD_BOOL,
    GW_FIELD_AT (GwDataPoint, unsafe),
    GW_FIELD_HAS (GwDataPoint, has_unsafe) },
};
static const GwFieldTable point_table = GW_FIELD_TABLE (point_fields);

static GwStatus
read_point (GwCborReader *r, GwDataPoint *point)
{
  GwStatus st;

  memset (point, 0, sizeof *point);
  st = gw_fields_read (r, &point_table, point);
  if (st != GW_OK)
    return st;
  if (!gw_data_name_is_valid (point->name))
    return GW_E_RANGE;
  if (point->has_low && point->has_high && point->low > point->high)
    return GW_E_RANGE;
  return point->has_step && point->step <= 0 ? GW_E_RANGE : GW_OK;
}

/* ---- Lists ---- */

/* Reads the next record and applies the base fields in force. */
static GwStatus
read_record_in (GwDataList *list, GwDataRecord *rec)
{
  GwStatus st = gw_data_record_read (&list->reader, rec);

  if (st != GW_OK)
    return st;
  if (rec->has_base_name)
    list->base_name = rec->base_name;
  if (rec->has_base_time)
    list->base_time = rec->base_time;
  rec->base_name = list->base_name;
  rec->base_time = list->base_time;
  return GW_OK;
}

/* Opens the array and remembers where its elements begin. */
static GwStatus
open_list (GwCborReader *r, GwDataList *list)
{
  GwStatus st;

  memset (list, 0, sizeof *list);
  st = gw_cbor_read_array (r, &list->span);
  list->reader = *r;
  return st;
}

static GwStatus
read_points (GwCborReader *r, void *member)
{
  GwDataList *list = member;
  GwCborSpan span;
  GwDataPoint point;
  GwStatus st = open_list (r, list);
  int more;

  if (st != GW_OK)
    return st;
  span = list->span;
  while ((more = gw_cbor_span_next (r, &span)) > 0)
    {
      if (list->n == GW_DATA_POINTS_MAX)
        return GW_E_LIMIT;
      st = read_point (r, &point);
      if (st != GW_OK)
        return st;
      list->n++;
    }
  return more;
}

static GwStatus
read_records (GwCborReader *r, void *member)
{
  GwDataList *list = member;
  GwDataList walk;
  GwDataRecord rec;
  size_t records = 0;
  GwStatus st = open_list (r, list);
  int more;

  if (st != GW_OK)
    return st;
  walk = *list;
  while ((more = gw_cbor_span_next (&walk.reader, &walk.span)) > 0)
    {
      if (records++ == GW_DATA_RECORDS_MAX)
        return GW_E_LIMIT;
      st = read_record_in (&walk, &rec);
      if (st == GW_OK)
        st = gw_data_record_check (&rec);
      if (st != GW_OK)
        return st;
      list->n += rec.value.type != GW_VALUE_NONE;
    }
  *r = walk.reader;
  return more;
}

bool
gw_data_points_next (GwDataList *list, GwDataPoint *out)
{
  return gw_cbor_span_next (&list->reader, &list->span) > 0 && read_point (&list->reader, out) == GW_OK;
}

bool
gw_data_records_next (GwDataList *list, GwDataRecord *out)
{
  bool new_name = false, new_time = false;

  while (gw_cbor_span_next (&list->reader, &list->span) > 0)
    {
      if (read_record_in (list, out) != GW_OK)
        return false;
      new_name |= out->has_base_name;
      new_time |= out->has_base_time;
      if (out->value.type == GW_VALUE_NONE)
        continue;
      out->has_base_name = new_name;
      out->has_base_time = new_time;
      return true;
    }
  return false;
}

/* Keeps what was put since @start only if the end of the list still fits behind it. */
static bool
keep_if_it_fits (GwCborWriter *w, size_t start)
{
  if (w->status == GW_OK && w->size - w->len >= GW_DATA_END_LEN)
    return true;
  gw_cbor_writer_rewind (w, start);
  return false;
}

bool
gw_data_add_point (GwCborWriter *w, const GwDataPoint *point)
{
  size_t start = w->len;

  if (w->status != GW_OK)
    return false;
  gw_fields_encode (&point_table, point, w);
  return keep_if_it_fits (w, start);
}

bool
gw_data_add_record (GwCborWriter *w, const GwDataRecord *record)
{
  size_t start = w->len;

  if (w->status != GW_OK)
    return false;
  gw_data_record_put (w, record);
  return keep_if_it_fits (w, start);
}

void
gw_data_end (GwCborWriter *w)
{
  gw_cbor_put_break (w);
}

/* ---- Messages ---- */

static const GwField describe_req_fields[] = {
  { .key = "i",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwDataDescribeReq, index),
    .has = GW_FIELD_DEFAULT,
    .max = UINT32_MAX },
};
static const GwFieldTable describe_req_table = GW_FIELD_TABLE (describe_req_fields);

static const GwField describe_rsp_fields[] = {
  { .key = "n",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwDataDescribeRsp, count),
    GW_FIELD_NEEDED,
    .max = GW_DATA_POINTS_MAX },
  { .key = "rev",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwDataDescribeRsp, revision),
    GW_FIELD_NEEDED,
    .max = INT64_MAX },
  { .key = "p",
    .kind = GW_FIELD_LIST,
    GW_FIELD_AT (GwDataDescribeRsp, points),
    GW_FIELD_NEEDED,
    .read = read_points },
};
static const GwFieldTable describe_rsp_table = GW_FIELD_TABLE (describe_rsp_fields);

static const GwField read_req_fields[] = {
  { .key = "id",
    .kind = GW_FIELD_UINTS,
    .offset = offsetof (GwDataReadReq, ids),
    .size = sizeof (uint32_t),
    .count = offsetof (GwDataReadReq, n_ids),
    GW_FIELD_NEEDED,
    .min = 1,
    .max = GW_DATA_IDS_MAX },
  { .key = "i",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwDataReadReq, index),
    .has = GW_FIELD_DEFAULT,
    .max = UINT32_MAX },
};
static const GwFieldTable read_req_table = GW_FIELD_TABLE (read_req_fields);

static const GwField read_rsp_fields[] = {
  { .key = "s",
    .kind = GW_FIELD_LIST,
    GW_FIELD_AT (GwDataReadRsp, records),
    GW_FIELD_NEEDED,
    .read = read_records },
};
static const GwFieldTable read_rsp_table = GW_FIELD_TABLE (read_rsp_fields);

static const GwField write_req_fields[] = {
  { .key = "rq", .kind = GW_FIELD_FIXED, GW_FIELD_AT (GwDataWriteReq, request), GW_FIELD_NEEDED },
  { .key = "id",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwDataWriteReq, id),
    GW_FIELD_NEEDED,
    .max = UINT32_MAX },
  { .key = "v", .kind = GW_FIELD_VALUE, GW_FIELD_AT (GwDataWriteReq, value), GW_FIELD_NEEDED },
  { .key = "by",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwDataWriteReq, by_ms),
    GW_FIELD_NEEDED,
    .max = INT64_MAX },
};
static const GwFieldTable write_req_table = GW_FIELD_TABLE (write_req_fields);

static const GwField write_rsp_fields[] = {
  { .key = "v", .kind = GW_FIELD_VALUE, GW_FIELD_AT (GwDataWriteRsp, value), GW_FIELD_NEEDED },
  { .key = "up",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwDataWriteRsp, uptime_ms),
    GW_FIELD_NEEDED,
    .max = INT64_MAX },
  { .key = "dup",
    .kind = GW_FIELD_BOOL,
    GW_FIELD_AT (GwDataWriteRsp, duplicate),
    GW_FIELD_HAS (GwDataWriteRsp, has_duplicate) },
};
static const GwFieldTable write_rsp_table = GW_FIELD_TABLE (write_rsp_fields);

static const GwField watch_fields[] = {
  { .key = "id",
    .kind = GW_FIELD_UINTS,
    .offset = offsetof (GwDataWatch, ids),
    .size = sizeof (uint32_t),
    .count = offsetof (GwDataWatch, n_ids),
    GW_FIELD_NEEDED,
    .min = 1,
    .max = GW_DATA_IDS_MAX },
  { .key = "min",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwDataWatch, min_ms),
    GW_FIELD_NEEDED,
    .max = UINT32_MAX },
  { .key = "max",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwDataWatch, max_ms),
    GW_FIELD_NEEDED,
    .max = UINT32_MAX },
  { .key = "db",
    .kind = GW_FIELD_NUMBER,
    GW_FIELD_AT (GwDataWatch, deadband),
    GW_FIELD_HAS (GwDataWatch, has_deadband) },
};
static const GwFieldTable watch_table = GW_FIELD_TABLE (watch_fields);

static const GwField report_fields[] = {
  { .key = "bt", .kind = GW_FIELD_FIXED, GW_FIELD_AT (GwDataReport, boot), GW_FIELD_NEEDED },
  { .key = "q",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwDataReport, seq),
    GW_FIELD_NEEDED,
    .min = 1,
    .max = INT64_MAX },
  { .key = "up",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwDataReport, uptime_ms),
    GW_FIELD_NEEDED,
    .max = INT64_MAX },
  { .key = "s",
    .kind = GW_FIELD_LIST,
    GW_FIELD_AT (GwDataReport, records),
    GW_FIELD_NEEDED,
    .read = read_records },
};
static const GwFieldTable report_table = GW_FIELD_TABLE (report_fields);

static const GwField event_fields[] = {
  { .key = "bt", .kind = GW_FIELD_FIXED, GW_FIELD_AT (GwDataEvent, boot), GW_FIELD_NEEDED },
  { .key = "q",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwDataEvent, seq),
    GW_FIELD_NEEDED,
    .min = 1,
    .max = INT64_MAX },
  { .key = "up",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwDataEvent, uptime_ms),
    GW_FIELD_NEEDED,
    .max = INT64_MAX },
  { .key = "lv", .kind = GW_FIELD_UINT, GW_FIELD_AT (GwDataEvent, level), GW_FIELD_NEEDED, .max = 7 },
  { .key = "c", .kind = GW_FIELD_UINT, GW_FIELD_AT (GwDataEvent, code), GW_FIELD_NEEDED, .max = UINT32_MAX },
  { .key = "m",
    .kind = GW_FIELD_TEXT,
    GW_FIELD_AT (GwDataEvent, message),
    GW_FIELD_HAS (GwDataEvent, has_message),
    .max = GW_DATA_EVENT_TEXT_MAX },
};
static const GwFieldTable event_table = GW_FIELD_TABLE (event_fields);

static const GwField ack_fields[] = {
  { .key = "bt", .kind = GW_FIELD_FIXED, GW_FIELD_AT (GwDataAck, boot), GW_FIELD_NEEDED },
  { .key = "q",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwDataAck, seq),
    GW_FIELD_NEEDED,
    .min = 1,
    .max = INT64_MAX },
};
static const GwFieldTable ack_table = GW_FIELD_TABLE (ack_fields);

static const GwField status_req_fields[] = {
  { .key = "rq", .kind = GW_FIELD_FIXED, GW_FIELD_AT (GwDataStatusReq, request), GW_FIELD_NEEDED },
};
static const GwFieldTable status_req_table = GW_FIELD_TABLE (status_req_fields);

static const GwField status_rsp_fields[] = {
  { .key = "st",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwDataStatusRsp, state),
    GW_FIELD_NEEDED,
    .max = GW_DATA_COMMAND_REFUSED },
  { .key = "v",
    .kind = GW_FIELD_VALUE,
    GW_FIELD_AT (GwDataStatusRsp, value),
    GW_FIELD_HAS (GwDataStatusRsp, has_value) },
};
static const GwFieldTable status_rsp_table = GW_FIELD_TABLE (status_rsp_fields);

static GwStatus
check_watch (const GwDataWatch *m)
{
  if (m->has_deadband && m->deadband < 0)
    return GW_E_RANGE;
  return m->max_ms == 0 || m->min_ms <= m->max_ms ? GW_OK : GW_E_RANGE;
}

GwStatus
gw_data_describe_req_decode (GwBytes body, GwDataDescribeReq *out)
{
  return gw_fields_decode (body, &describe_req_table, out, sizeof *out);
}

void
gw_data_describe_req_encode (const GwDataDescribeReq *in, GwCborWriter *w)
{
  gw_fields_encode (&describe_req_table, in, w);
}

GwStatus
gw_data_describe_rsp_decode (GwBytes body, GwDataDescribeRsp *out)
{
  GwStatus st = gw_fields_decode (body, &describe_rsp_table, out, sizeof *out);

  if (st != GW_OK)
    return st;
  return out->points.n <= out->count ? GW_OK : GW_E_RANGE;
}

void
gw_data_describe_rsp_begin (const GwDataDescribeRsp *in, GwCborWriter *w)
{
  gw_fields_encode (&describe_rsp_table, in, w);
}

GwStatus
gw_data_read_req_decode (GwBytes body, GwDataReadReq *out)
{
  GwStatus st = gw_fields_decode (body, &read_req_table, out, sizeof *out);

  if (st != GW_OK)
    return st;
  return out->index < out->n_ids ? GW_OK : GW_E_RANGE;
}

void
gw_data_read_req_encode (const GwDataReadReq *in, GwCborWriter *w)
{
  gw_fields_encode (&read_req_table, in, w);
}

GwStatus
gw_data_read_rsp_decode (GwBytes body, GwDataReadRsp *out)
{
  return gw_fields_decode (body, &read_rsp_table, out, sizeof *out);
}

void
gw_data_read_rsp_begin (GwCborWriter *w)
{
  static const GwDataReadRsp none;

  gw_fields_encode (&read_rsp_table, &none, w);
}

GwStatus
gw_data_write_req_decode (GwBytes body, GwDataWriteReq *out)
{
  return gw_fields_decode (body, &write_req_table, out, sizeof *out);
}

void
gw_data_write_req_encode (const GwDataWriteReq *in, GwCborWriter *w)
{
  gw_fields_encode (&write_req_table, in, w);
}

GwStatus
gw_data_write_rsp_decode (GwBytes body, GwDataWriteRsp *out)
{
  return gw_fields_decode (body, &write_rsp_table, out, sizeof *out);
}

void
gw_data_write_rsp_encode (const GwDataWriteRsp *in, GwCborWriter *w)
{
  gw_fields_encode (&write_rsp_table, in, w);
}

GwStatus
gw_data_watch_decode (GwBytes body, GwDataWatch *out)
{
  GwStatus st = gw_fields_decode (body, &watch_table, out, sizeof *out);

  if (st != GW_OK)
    return st;
  return check_watch (out);
}

void
gw_data_watch_encode (const GwDataWatch *in, GwCborWriter *w)
{
  gw_fields_encode (&watch_table, in, w);
}

GwStatus
gw_data_report_decode (GwBytes body, GwDataReport *out)
{
  return gw_fields_decode (body, &report_table, out, sizeof *out);
}

void
gw_data_report_begin (const GwDataReport *in, GwCborWriter *w)
{
  gw_fields_encode (&report_table, in, w);
}

GwStatus
gw_data_event_decode (GwBytes body, GwDataEvent *out)
{
  return gw_fields_decode (body, &event_table, out, sizeof *out);
}

void
gw_data_event_encode (const GwDataEvent *in, GwCborWriter *w)
{
  gw_fields_encode (&event_table, in, w);
}

GwStatus
gw_data_ack_decode (GwBytes body, GwDataAck *out)
{
  return gw_fields_decode (body, &ack_table, out, sizeof *out);
}

void
gw_data_ack_encode (const GwDataAck *in, GwCborWriter *w)
{
  gw_fields_encode (&ack_table, in, w);
}

GwStatus
gw_data_status_req_decode (GwBytes body, GwDataStatusReq *out)
{
  return gw_fields_decode (body, &status_req_table, out, sizeof *out);
}

void
gw_data_status_req_encode (const GwDataStatusReq *in, GwCborWriter *w)
{
  gw_fields_encode (&status_req_table, in, w);
}

GwStatus
gw_data_status_rsp_decode (GwBytes body, GwDataStatusRsp *out)
{
  return gw_fields_decode (body, &status_rsp_table, out, sizeof *out);
}

void
gw_data_status_rsp_encode (const GwDataStatusRsp *in, GwCborWriter *w)
{
  gw_fields_encode (&status_rsp_table, in, w);
}
