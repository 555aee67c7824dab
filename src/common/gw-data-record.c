/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-data-record.h"

#include <math.h>
#include <string.h>

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

/* ---- Records ---- */

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

GwStatus
gw_data_record_read (GwCborReader *r, GwDataRecord *rec)
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

GwStatus
gw_data_record_check (const GwDataRecord *rec)
{
  if (rec->value.type == GW_VALUE_NONE)
    return rec->has_base_name || rec->has_base_time ? GW_OK : GW_E_MISSING;
  if (!name_is_valid (rec->base_name, rec->name))
    return GW_E_RANGE;
  return fabs (rec->base_time + rec->time) <= (double)GW_DATA_TIME_MAX_S ? GW_OK : GW_E_RANGE;
}

void
gw_data_record_put (GwCborWriter *w, const GwDataRecord *rec)
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
