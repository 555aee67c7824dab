/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-data-codec.h"

#include <math.h>
#include <string.h>

#include "gw-fields.h"

/* Labels of SenML-CBOR (RFC 8428, table 4). */
#define LABEL_BASE_VERSION (-1)
#define LABEL_BASE_NAME (-2)
#define LABEL_BASE_TIME (-3)
#define LABEL_BASE_UNIT (-4)
#define LABEL_BASE_VALUE (-5)
#define LABEL_BASE_SUM (-6)
#define LABEL_NAME 0
#define LABEL_UNIT 1
#define LABEL_VALUE 2
#define LABEL_STRING 3
#define LABEL_BOOL 4
#define LABEL_SUM 5
#define LABEL_TIME 6
#define LABEL_DATA 8

/* ---- Names ---- */

static bool
is_alnum (uint8_t c)
{
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool
is_name_octet (uint8_t c)
{
  return is_alnum (c) || (c >= '-' && c <= '/') || c == ':' || c == '_';
}

/* Whether @base followed by @rest is a SenML name. */
static bool
name_is_valid (GwText base, GwText rest)
{
  char first;

  if (base.len + rest.len == 0 || base.len + rest.len > GW_DATA_POINT_NAME_MAX)
    return false;
  first = base.len > 0 ? base.ptr[0] : rest.ptr[0];
  if (!is_alnum ((uint8_t)first))
    return false;
  for (size_t i = 0; i < base.len; i++)
    if (!is_name_octet ((uint8_t)base.ptr[i]))
      return false;
  for (size_t i = 0; i < rest.len; i++)
    if (!is_name_octet ((uint8_t)rest.ptr[i]))
      return false;
  return true;
}

bool
gw_data_name_is_valid (GwText name)
{
  return name_is_valid ((GwText){ NULL, 0 }, name);
}

/* ---- SenML records ---- */

/* Presence in a record; the four kinds of value share one bit, so that two values are a duplicate. */
enum
{
  SEEN_BASE_NAME = 1 << 0,
  SEEN_BASE_TIME = 1 << 1,
  SEEN_NAME = 1 << 2,
  SEEN_UNIT = 1 << 3,
  SEEN_TIME = 1 << 4,
  SEEN_VALUE = 1 << 5,
};

static GwStatus
read_time (GwCborReader *r, double *out)
{
  GwStatus st = gw_cbor_read_number (r, out);

  if (st != GW_OK)
    return st;
  return fabs (*out) <= (double)GW_DATA_TIME_MAX_S ? GW_OK : GW_E_RANGE;
}

/* The type that a value has must be the one of its label. */
static GwStatus
read_record_value (GwCborReader *r, int64_t label, GwValue *out)
{
  GwStatus st = gw_cbor_read_value (r, out);
  bool fits;

  if (st != GW_OK)
    return st;
  if (label == LABEL_STRING)
    fits = out->type == GW_VALUE_TEXT;
  else if (label == LABEL_BOOL)
    fits = out->type == GW_VALUE_BOOL;
  else if (label == LABEL_DATA)
    fits = out->type == GW_VALUE_BYTES;
  else
    fits = out->type == GW_VALUE_INT || out->type == GW_VALUE_FLOAT;
  return fits ? GW_OK : GW_E_TYPE;
}

static GwStatus
read_labelled (GwCborReader *r, int64_t label, GwDataRecord *rec, unsigned *bit)
{
  switch (label)
    {
    case LABEL_BASE_NAME:
      *bit = SEEN_BASE_NAME;
      return gw_cbor_read_text (r, GW_DATA_POINT_NAME_MAX, &rec->base_name);
    case LABEL_BASE_TIME:
      *bit = SEEN_BASE_TIME;
      return read_time (r, &rec->base_time);
    case LABEL_NAME:
      *bit = SEEN_NAME;
      return gw_cbor_read_text (r, GW_DATA_POINT_NAME_MAX, &rec->name);
    case LABEL_UNIT:
      *bit = SEEN_UNIT;
      return gw_cbor_read_text (r, GW_DATA_UNIT_MAX, &rec->unit);
    case LABEL_TIME:
      *bit = SEEN_TIME;
      return read_time (r, &rec->time);
    case LABEL_VALUE:
    case LABEL_STRING:
    case LABEL_BOOL:
    case LABEL_DATA:
      *bit = SEEN_VALUE;
      return read_record_value (r, label, &rec->value);
    case LABEL_BASE_VERSION:
    case LABEL_BASE_UNIT:
    case LABEL_BASE_VALUE:
    case LABEL_BASE_SUM:
    case LABEL_SUM:
      return GW_E_UNSUPPORTED; /* would change what the others mean */
    default:
      return gw_cbor_skip (r);
    }
}

/* One pair of a record. Text labels that end with _ must be understood (RFC 8428, section 4.4). */
static GwStatus
read_pair (GwCborReader *r, GwDataRecord *rec, unsigned *seen)
{
  size_t start = r->pos;
  unsigned bit = 0;
  GwCborItem key;
  int64_t label;
  GwStatus st = gw_cbor_next (r, &key);

  if (st != GW_OK)
    return st;
  if (key.type == GW_CBOR_TEXT)
    {
      if (key.text.len > 0 && key.text.ptr[key.text.len - 1] == '_')
        return GW_E_UNSUPPORTED;
      return gw_cbor_skip (r);
    }
  r->pos = start;
  st = gw_cbor_read_int (r, &label);
  if (st != GW_OK)
    return st;
  st = read_labelled (r, label, rec, &bit);
  if (st != GW_OK)
    return st;
  if (*seen & bit)
    return GW_E_DUPLICATE;
  *seen |= bit;
  return GW_OK;
}

static GwStatus
read_record (GwCborReader *r, GwDataRecord *rec)
{
  unsigned seen = 0;
  GwCborSpan span;
  GwStatus st;
  int more;

  memset (rec, 0, sizeof *rec);
  st = gw_cbor_read_map (r, &span);
  if (st != GW_OK)
    return st;
  while ((more = gw_cbor_span_next (r, &span)) > 0)
    {
      st = read_pair (r, rec, &seen);
      if (st != GW_OK)
        return st;
    }
  if (more < 0)
    return more;
  rec->has_base_name = (seen & SEEN_BASE_NAME) != 0;
  rec->has_base_time = (seen & SEEN_BASE_TIME) != 0;
  rec->has_time = (seen & SEEN_TIME) != 0;
  return GW_OK;
}

/* Reads the next record and applies the base fields in force. */
static GwStatus
read_record_in (GwDataList *list, GwDataRecord *rec)
{
  GwStatus st = read_record (&list->reader, rec);

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

static GwStatus
check_record (const GwDataRecord *rec)
{
  if (rec->value.type == GW_VALUE_NONE)
    return rec->has_base_name || rec->has_base_time ? GW_OK : GW_E_MISSING;
  if (!name_is_valid (rec->base_name, rec->name))
    return GW_E_RANGE;
  return fabs (rec->base_time + rec->time) <= (double)GW_DATA_TIME_MAX_S ? GW_OK : GW_E_RANGE;
}

static void
put_record (GwCborWriter *w, const GwDataRecord *rec)
{
  static const int8_t value_labels[] = {
    [GW_VALUE_BOOL] = LABEL_BOOL,   [GW_VALUE_INT] = LABEL_VALUE,  [GW_VALUE_FLOAT] = LABEL_VALUE,
    [GW_VALUE_TEXT] = LABEL_STRING, [GW_VALUE_BYTES] = LABEL_DATA,
  };
  bool has_value = rec->value.type != GW_VALUE_NONE;

  gw_cbor_begin_map (w, (size_t)rec->has_base_name + rec->has_base_time + (rec->name.len > 0)
                            + (rec->unit.len > 0) + has_value + rec->has_time);
  if (rec->has_base_name)
    {
      gw_cbor_put_int (w, LABEL_BASE_NAME);
      gw_cbor_put_text (w, rec->base_name);
    }
  if (rec->has_base_time)
    {
      gw_cbor_put_int (w, LABEL_BASE_TIME);
      gw_cbor_put_number (w, rec->base_time);
    }
  if (rec->name.len > 0)
    {
      gw_cbor_put_int (w, LABEL_NAME);
      gw_cbor_put_text (w, rec->name);
    }
  if (rec->unit.len > 0)
    {
      gw_cbor_put_int (w, LABEL_UNIT);
      gw_cbor_put_text (w, rec->unit);
    }
  if (has_value)
    {
      gw_cbor_put_int (w, value_labels[rec->value.type]);
      gw_cbor_put_value (w, &rec->value);
    }
  if (rec->has_time)
    {
      gw_cbor_put_int (w, LABEL_TIME);
      gw_cbor_put_number (w, rec->time);
    }
}

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
        st = check_record (&rec);
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
  put_record (w, record);
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
