/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-cbor.h"

#include <math.h>
#include <string.h>

#include <cbor/encoding.h>
#include <cbor/streaming.h>

#define CBOR_BREAK_OCTET 0xff
#define MAJOR_TAG 6

/* ---- Reader: libcbor calls one of these for each head; each fills the item in ---- */

typedef struct
{
  GwCborItem item;
  bool refused;
} Head;

static void
head_uint (void *data, GwCborType type, uint64_t u)
{
  Head *h = data;

  h->item.type = type;
  h->item.u = u;
}

static void
on_uint8 (void *data, uint8_t v)
{
  head_uint (data, GW_CBOR_UINT, v);
}

static void
on_uint16 (void *data, uint16_t v)
{
  head_uint (data, GW_CBOR_UINT, v);
}

static void
on_uint32 (void *data, uint32_t v)
{
  head_uint (data, GW_CBOR_UINT, v);
}

static void
on_uint64 (void *data, uint64_t v)
{
  head_uint (data, GW_CBOR_UINT, v);
}

static void
on_nint8 (void *data, uint8_t v)
{
  head_uint (data, GW_CBOR_NINT, v);
}

static void
on_nint16 (void *data, uint16_t v)
{
  head_uint (data, GW_CBOR_NINT, v);
}

static void
on_nint32 (void *data, uint32_t v)
{
  head_uint (data, GW_CBOR_NINT, v);
}

static void
on_nint64 (void *data, uint64_t v)
{
  head_uint (data, GW_CBOR_NINT, v);
}

static void
on_refused (void *data)
{
  ((Head *)data)->refused = true;
}

static void
on_bytes (void *data, cbor_data ptr, size_t len)
{
  Head *h = data;

  h->item.type = GW_CBOR_BYTES;
  h->item.bytes = (GwBytes){ ptr, len };
}

static void
on_text (void *data, cbor_data ptr, size_t len)
{
  Head *h = data;

  h->item.type = GW_CBOR_TEXT;
  h->item.text = (GwText){ (const char *)ptr, len };
}

static void
on_array (void *data, size_t n)
{
  head_uint (data, GW_CBOR_ARRAY, n);
}

static void
on_array_indefinite (void *data)
{
  head_uint (data, GW_CBOR_ARRAY, 0);
  ((Head *)data)->item.indefinite = true;
}

static void
on_map (void *data, size_t n)
{
  head_uint (data, GW_CBOR_MAP, n);
}

static void
on_map_indefinite (void *data)
{
  head_uint (data, GW_CBOR_MAP, 0);
  ((Head *)data)->item.indefinite = true;
}

static void
on_float (void *data, float v)
{
  Head *h = data;

  h->item.type = GW_CBOR_FLOAT;
  h->item.d = (double)v;
}

static void
on_double (void *data, double v)
{
  Head *h = data;

  h->item.type = GW_CBOR_FLOAT;
  h->item.d = v;
}

static void
on_bool (void *data, bool v)
{
  Head *h = data;

  h->item.type = GW_CBOR_BOOL;
  h->item.b = v;
}

static void
on_null (void *data)
{
  ((Head *)data)->item.type = GW_CBOR_NULL;
}

static void
on_undefined (void *data)
{
  ((Head *)data)->item.type = GW_CBOR_UNDEFINED;
}

static void
on_break (void *data)
{
  ((Head *)data)->item.type = GW_CBOR_BREAK;
}

/* No tag: gw_cbor_next refuses those itself. */
static const struct cbor_callbacks callbacks = {
  .uint8 = on_uint8,
  .uint16 = on_uint16,
  .uint32 = on_uint32,
  .uint64 = on_uint64,
  .negint8 = on_nint8,
  .negint16 = on_nint16,
  .negint32 = on_nint32,
  .negint64 = on_nint64,
  .byte_string_start = on_refused,
  .byte_string = on_bytes,
  .string_start = on_refused,
  .string = on_text,
  .indef_array_start = on_array_indefinite,
  .array_start = on_array,
  .indef_map_start = on_map_indefinite,
  .map_start = on_map,
  .float2 = on_float,
  .float4 = on_float,
  .float8 = on_double,
  .boolean = on_bool,
  .null = on_null,
  .undefined = on_undefined,
  .indef_break = on_break,
};

/* libcbor takes lengths as size_t: where that has 32 bits, one of 2^32 + 1 would be read as 1. No buffer
 * holds that much, so an 8-octet length with a high half is refused before libcbor sees it. */
static bool
length_is_huge (const uint8_t *p, size_t left)
{
  uint8_t major = p[0] >> 5;

  if (major < 2 || major > 5 || (p[0] & 0x1f) != 27 || left < 5)
    return false;
  return (p[1] | p[2] | p[3] | p[4]) != 0;
}

void
gw_cbor_reader_init (GwCborReader *r, const void *buf, size_t len)
{
  r->buf = buf;
  r->len = len;
  r->pos = 0;
}

size_t
gw_cbor_reader_left (const GwCborReader *r)
{
  return r->len - r->pos;
}

GwStatus
gw_cbor_next (GwCborReader *r, GwCborItem *item)
{
  size_t left = gw_cbor_reader_left (r);
  struct cbor_decoder_result result;
  Head h = { 0 };

  if (left == 0 || length_is_huge (r->buf + r->pos, left))
    return GW_E_TRUNCATED;
  if (r->buf[r->pos] >> 5 == MAJOR_TAG)
    return GW_E_UNSUPPORTED;
  result = cbor_stream_decode (r->buf + r->pos, left, &callbacks, &h);
  if (result.status == CBOR_DECODER_NEDATA)
    return GW_E_TRUNCATED;
  if (result.status != CBOR_DECODER_FINISHED)
    return GW_E_MALFORMED;
  if (h.refused)
    return GW_E_UNSUPPORTED;
  r->pos += result.read;
  *item = h.item;
  return GW_OK;
}

/* Enters a container whose head is @item. An element takes an octet at least, so a count that the rest of the
 * buffer cannot hold is refused at once. */
static GwStatus
enter (const GwCborReader *r, const GwCborItem *item, GwCborSpan *span)
{
  if (item->u > gw_cbor_reader_left (r))
    return GW_E_TRUNCATED;
  span->left = item->u;
  span->indefinite = item->indefinite;
  return GW_OK;
}

static GwStatus
read_container (GwCborReader *r, GwCborType type, GwCborSpan *span)
{
  GwCborItem item;
  GwStatus st = gw_cbor_next (r, &item);

  if (st != GW_OK)
    return st;
  if (item.type != type)
    return GW_E_TYPE;
  return enter (r, &item, span);
}

GwStatus
gw_cbor_read_map (GwCborReader *r, GwCborSpan *span)
{
  return read_container (r, GW_CBOR_MAP, span);
}

GwStatus
gw_cbor_read_array (GwCborReader *r, GwCborSpan *span)
{
  return read_container (r, GW_CBOR_ARRAY, span);
}

int
gw_cbor_span_next (GwCborReader *r, GwCborSpan *span)
{
  if (!span->indefinite)
    {
      if (span->left == 0)
        return 0;
      span->left--;
      return 1;
    }
  if (gw_cbor_reader_left (r) == 0)
    return GW_E_TRUNCATED;
  if (r->buf[r->pos] != CBOR_BREAK_OCTET)
    return 1;
  r->pos++;
  return 0;
}

GwStatus
gw_cbor_read_end (const GwCborReader *r)
{
  return gw_cbor_reader_left (r) == 0 ? GW_OK : GW_E_MALFORMED;
}

/* One level of a container that is being skipped; a map's keys and values are counted one by one. */
typedef struct
{
  GwCborSpan span;
  bool is_map;
  bool odd; /* a key without its value so far */
} Level;

static GwStatus
skip_inside (GwCborReader *r)
{
  Level levels[GW_CBOR_DEPTH_MAX];
  size_t depth = 0;

  do
    {
      GwCborItem item;
      GwStatus st;

      if (depth > 0)
        {
          Level *top = &levels[depth - 1];
          int more = gw_cbor_span_next (r, &top->span);

          if (more < 0)
            return more;
          if (more == 0)
            {
              if (top->odd)
                return GW_E_MALFORMED;
              depth--;
              continue;
            }
          top->odd = top->is_map && !top->odd;
        }
      st = gw_cbor_next (r, &item);
      if (st != GW_OK)
        return st;
      if (item.type == GW_CBOR_BREAK)
        return GW_E_MALFORMED;
      if (item.type != GW_CBOR_ARRAY && item.type != GW_CBOR_MAP)
        continue;
      if (depth == GW_CBOR_DEPTH_MAX)
        return GW_E_LIMIT;
      levels[depth] = (Level){ .is_map = item.type == GW_CBOR_MAP };
      st = enter (r, &item, &levels[depth].span);
      if (st != GW_OK)
        return st;
      if (levels[depth].is_map)
        levels[depth].span.left *= 2; /* at most twice the buffer: no overflow */
      depth++;
    }
  while (depth > 0);
  return GW_OK;
}

GwStatus
gw_cbor_skip (GwCborReader *r)
{
  size_t start = r->pos;
  GwStatus st = skip_inside (r);

  if (st != GW_OK)
    r->pos = start;
  return st;
}

static GwStatus
next_of_type (GwCborReader *r, GwCborType type, GwCborItem *item)
{
  GwStatus st = gw_cbor_next (r, item);

  if (st != GW_OK)
    return st;
  return item->type == type ? GW_OK : GW_E_TYPE;
}

GwStatus
gw_cbor_read_uint (GwCborReader *r, uint64_t max, uint64_t *out)
{
  GwCborItem item;
  GwStatus st = next_of_type (r, GW_CBOR_UINT, &item);

  if (st != GW_OK)
    return st;
  if (item.u > max)
    return GW_E_RANGE;
  *out = item.u;
  return GW_OK;
}

static GwStatus
item_to_int (const GwCborItem *item, int64_t *out)
{
  if (item->type != GW_CBOR_UINT && item->type != GW_CBOR_NINT)
    return GW_E_TYPE;
  if (item->u > INT64_MAX)
    return GW_E_RANGE;
  *out = item->type == GW_CBOR_UINT ? (int64_t)item->u : -1 - (int64_t)item->u;
  return GW_OK;
}

GwStatus
gw_cbor_read_int (GwCborReader *r, int64_t *out)
{
  GwCborItem item;
  GwStatus st = gw_cbor_next (r, &item);

  if (st != GW_OK)
    return st;
  return item_to_int (&item, out);
}

GwStatus
gw_cbor_read_bool (GwCborReader *r, bool *out)
{
  GwCborItem item;
  GwStatus st = next_of_type (r, GW_CBOR_BOOL, &item);

  if (st != GW_OK)
    return st;
  *out = item.b;
  return GW_OK;
}

GwStatus
gw_cbor_read_number (GwCborReader *r, double *out)
{
  GwCborItem item;
  int64_t i;
  GwStatus st = gw_cbor_next (r, &item);

  if (st != GW_OK)
    return st;
  if (item.type == GW_CBOR_FLOAT)
    {
      if (!isfinite (item.d))
        return GW_E_RANGE;
      *out = item.d;
      return GW_OK;
    }
  st = item_to_int (&item, &i);
  if (st != GW_OK)
    return st;
  *out = (double)i;
  return GW_OK;
}

static GwStatus
check_bytes (GwBytes b, size_t min, size_t max)
{
  return b.len >= min && b.len <= max ? GW_OK : GW_E_LIMIT;
}

static GwStatus
check_text (GwText t, size_t max)
{
  if (t.len > max)
    return GW_E_LIMIT;
  return gw_text_is_clean (t.ptr, t.len) ? GW_OK : GW_E_TEXT;
}

GwStatus
gw_cbor_read_bytes (GwCborReader *r, size_t min, size_t max, GwBytes *out)
{
  GwCborItem item;
  GwStatus st = next_of_type (r, GW_CBOR_BYTES, &item);

  if (st != GW_OK)
    return st;
  *out = item.bytes;
  return check_bytes (item.bytes, min, max);
}

GwStatus
gw_cbor_read_text (GwCborReader *r, size_t max, GwText *out)
{
  GwCborItem item;
  GwStatus st = next_of_type (r, GW_CBOR_TEXT, &item);

  if (st != GW_OK)
    return st;
  *out = item.text;
  return check_text (item.text, max);
}

GwStatus
gw_cbor_read_value (GwCborReader *r, GwValue *out)
{
  GwCborItem item;
  GwStatus st = gw_cbor_next (r, &item);

  if (st != GW_OK)
    return st;
  switch (item.type)
    {
    case GW_CBOR_BOOL:
      *out = gw_value_bool (item.b);
      return GW_OK;
    case GW_CBOR_UINT:
    case GW_CBOR_NINT:
      out->type = GW_VALUE_INT;
      return item_to_int (&item, &out->i);
    case GW_CBOR_FLOAT:
      *out = gw_value_float (item.d);
      return isfinite (item.d) ? GW_OK : GW_E_RANGE;
    case GW_CBOR_TEXT:
      *out = (GwValue){ .type = GW_VALUE_TEXT, .text = item.text };
      return check_text (item.text, GW_DATA_VALUE_MAX);
    case GW_CBOR_BYTES:
      *out = gw_value_bytes (item.bytes.ptr, item.bytes.len);
      return check_bytes (item.bytes, 0, GW_DATA_VALUE_MAX);
    default:
      return GW_E_TYPE;
    }
}

/* ---- Writer ---- */

void
gw_cbor_writer_init (GwCborWriter *w, void *buf, size_t size)
{
  w->buf = buf;
  w->size = size;
  w->len = 0;
  w->status = GW_OK;
}

void
gw_cbor_writer_rewind (GwCborWriter *w, size_t len)
{
  w->len = len;
  w->status = GW_OK;
}

/* Where to write and how much there is room for; none once the writer has failed. */
static uint8_t *
room (const GwCborWriter *w, size_t *left)
{
  *left = w->status == GW_OK ? w->size - w->len : 0;
  return w->buf + w->len;
}

static void
fail (GwCborWriter *w, GwStatus status)
{
  if (w->status == GW_OK)
    w->status = status;
}

/* libcbor's encoders return the octets written, 0 if they did not fit. */
static void
took (GwCborWriter *w, size_t n)
{
  if (n == 0)
    fail (w, GW_E_SPACE);
  w->len += n;
}

void
gw_cbor_put_uint (GwCborWriter *w, uint64_t u)
{
  size_t left;
  uint8_t *p = room (w, &left);

  took (w, cbor_encode_uint (u, p, left));
}

void
gw_cbor_put_int (GwCborWriter *w, int64_t i)
{
  size_t left;
  uint8_t *p = room (w, &left);

  if (i >= 0)
    took (w, cbor_encode_uint ((uint64_t)i, p, left));
  else
    took (w, cbor_encode_negint ((uint64_t)(-1 - i), p, left));
}

void
gw_cbor_put_bool (GwCborWriter *w, bool b)
{
  size_t left;
  uint8_t *p = room (w, &left);

  took (w, cbor_encode_bool (b, p, left));
}

void
gw_cbor_put_null (GwCborWriter *w)
{
  size_t left;
  uint8_t *p = room (w, &left);

  took (w, cbor_encode_null (p, left));
}

void
gw_cbor_put_float (GwCborWriter *w, double d)
{
  size_t left;
  uint8_t *p = room (w, &left);

  if (!isfinite (d))
    fail (w, GW_E_INVALID);
  else if (fabs (d) <= (double)3.40282347e+38f && (double)(float)d == d)
    took (w, cbor_encode_single ((float)d, p, left));
  else
    took (w, cbor_encode_double (d, p, left));
}

void
gw_cbor_put_number (GwCborWriter *w, double d)
{
  if (fabs (d) <= 9007199254740992.0 && (double)(int64_t)d == d)
    gw_cbor_put_int (w, (int64_t)d);
  else
    gw_cbor_put_float (w, d);
}

static void
put_octets (GwCborWriter *w, const void *ptr, size_t len)
{
  size_t left;
  uint8_t *p = room (w, &left);

  if (len == 0)
    return;
  if (len > left)
    {
      fail (w, GW_E_SPACE);
      return;
    }
  memcpy (p, ptr, len);
  w->len += len;
}

void
gw_cbor_put_bytes (GwCborWriter *w, const void *ptr, size_t len)
{
  size_t left;
  uint8_t *p = room (w, &left);

  took (w, cbor_encode_bytestring_start (len, p, left));
  put_octets (w, ptr, len);
}

void
gw_cbor_put_text (GwCborWriter *w, GwText t)
{
  size_t left;
  uint8_t *p = room (w, &left);

  took (w, cbor_encode_string_start (t.len, p, left));
  put_octets (w, t.ptr, t.len);
}

void
gw_cbor_put_key (GwCborWriter *w, const char *key)
{
  gw_cbor_put_text (w, gw_text (key));
}

void
gw_cbor_put_value (GwCborWriter *w, const GwValue *v)
{
  switch (v->type)
    {
    case GW_VALUE_BOOL:
      gw_cbor_put_bool (w, v->b);
      return;
    case GW_VALUE_INT:
      gw_cbor_put_int (w, v->i);
      return;
    case GW_VALUE_FLOAT:
      gw_cbor_put_float (w, v->d);
      return;
    case GW_VALUE_TEXT:
      gw_cbor_put_text (w, v->text);
      return;
    case GW_VALUE_BYTES:
      gw_cbor_put_bytes (w, v->bytes.ptr, v->bytes.len);
      return;
    case GW_VALUE_NONE:
      break;
    }
  fail (w, GW_E_INVALID);
}

void
gw_cbor_begin_map (GwCborWriter *w, size_t pairs)
{
  size_t left;
  uint8_t *p = room (w, &left);

  took (w, cbor_encode_map_start (pairs, p, left));
}

void
gw_cbor_begin_array (GwCborWriter *w, size_t elements)
{
  size_t left;
  uint8_t *p = room (w, &left);

  took (w, cbor_encode_array_start (elements, p, left));
}

void
gw_cbor_begin_map_indefinite (GwCborWriter *w)
{
  size_t left;
  uint8_t *p = room (w, &left);

  took (w, cbor_encode_indef_map_start (p, left));
}

void
gw_cbor_begin_array_indefinite (GwCborWriter *w)
{
  size_t left;
  uint8_t *p = room (w, &left);

  took (w, cbor_encode_indef_array_start (p, left));
}

void
gw_cbor_put_break (GwCborWriter *w)
{
  size_t left;
  uint8_t *p = room (w, &left);

  took (w, cbor_encode_break (p, left));
}
