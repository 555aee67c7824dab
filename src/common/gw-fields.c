/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-fields.h"

#include <string.h>

static void
store_uint (void *at, size_t size, uint64_t u)
{
  if (size == 1)
    *(uint8_t *)at = (uint8_t)u;
  else if (size == 2)
    *(uint16_t *)at = (uint16_t)u;
  else if (size == 4)
    *(uint32_t *)at = (uint32_t)u;
  else
    *(uint64_t *)at = u;
}

static uint64_t
load_uint (const void *at, size_t size)
{
  if (size == 1)
    return *(const uint8_t *)at;
  if (size == 2)
    return *(const uint16_t *)at;
  if (size == 4)
    return *(const uint32_t *)at;
  return *(const uint64_t *)at;
}

/* The largest number of @size octets, at most four: elements of arrays are no wider. */
static uint64_t
width_max (size_t size)
{
  return (UINT64_C (1) << (8 * size)) - 1;
}

static GwStatus
read_uint (GwCborReader *r, const GwField *f, uint8_t *at)
{
  uint64_t u;
  GwStatus st = gw_cbor_read_uint (r, f->max, &u);

  if (st != GW_OK)
    return st;
  if (u < f->min)
    return GW_E_RANGE;
  store_uint (at, f->size, u);
  return GW_OK;
}

static GwStatus
read_fixed (GwCborReader *r, const GwField *f, uint8_t *at)
{
  GwBytes b;
  GwStatus st = gw_cbor_read_bytes (r, f->size, f->size, &b);

  if (st != GW_OK)
    return st;
  memcpy (at, b.ptr, f->size);
  return GW_OK;
}

/* Arrays: of unsigned integers, and of maps. */
static GwStatus
read_array (GwCborReader *r, const GwField *f, uint8_t *out)
{
  size_t *count = (size_t *)(out + f->count);
  GwCborSpan span;
  GwStatus st = gw_cbor_read_array (r, &span);
  int more;

  if (st != GW_OK)
    return st;
  while ((more = gw_cbor_span_next (r, &span)) > 0)
    {
      uint8_t *at = out + f->offset + *count * f->size;

      if (*count == f->max)
        return GW_E_LIMIT;
      if (f->kind == GW_FIELD_MAPS)
        st = gw_fields_read (r, f->sub, at);
      else
        {
          uint64_t u;

          st = gw_cbor_read_uint (r, width_max (f->size), &u);
          if (st == GW_OK)
            store_uint (at, f->size, u);
        }
      if (st != GW_OK)
        return st;
      (*count)++;
    }
  if (more < 0)
    return more;
  return *count >= f->min ? GW_OK : GW_E_RANGE;
}

static GwStatus
read_field (GwCborReader *r, const GwField *f, uint8_t *out)
{
  uint8_t *at = out + f->offset;

  switch (f->kind)
    {
    case GW_FIELD_UINT:
      return read_uint (r, f, at);
    case GW_FIELD_BOOL:
      return gw_cbor_read_bool (r, (bool *)at);
    case GW_FIELD_NUMBER:
      return gw_cbor_read_number (r, (double *)at);
    case GW_FIELD_FIXED:
      return read_fixed (r, f, at);
    case GW_FIELD_BYTES:
      return gw_cbor_read_bytes (r, f->min, f->max, (GwBytes *)at);
    case GW_FIELD_TEXT:
      return gw_cbor_read_text (r, f->max, (GwText *)at);
    case GW_FIELD_VALUE:
      return gw_cbor_read_value (r, (GwValue *)at);
    case GW_FIELD_MAP:
      return gw_fields_read (r, f->sub, at);
    case GW_FIELD_UINTS:
    case GW_FIELD_MAPS:
      return read_array (r, f, out);
    case GW_FIELD_LIST:
      break;
    }
  return f->read (r, at);
}

/* Reads a key: the index of its field, n if no field has it, negative on error. */
static int
read_key (GwCborReader *r, const GwFieldTable *t)
{
  size_t start = r->pos;
  GwCborItem item;
  GwStatus st = gw_cbor_next (r, &item);
  size_t i = 0;

  if (st != GW_OK)
    return st;
  if (item.type == GW_CBOR_TEXT)
    {
      while (i < t->n && !gw_text_equal (item.text, t->fields[i].key))
        i++;
      return (int)i;
    }
  r->pos = start;
  st = gw_cbor_skip (r);
  return st == GW_OK ? (int)t->n : st;
}

GwStatus
gw_fields_read (GwCborReader *r, const GwFieldTable *t, void *out)
{
  uint8_t *base = out;
  uint32_t seen = 0;
  GwCborSpan span;
  GwStatus st = gw_cbor_read_map (r, &span);
  int more;

  if (st != GW_OK)
    return st;
  while ((more = gw_cbor_span_next (r, &span)) > 0)
    {
      int i = read_key (r, t);

      if (i < 0)
        return i;
      if ((size_t)i == t->n)
        st = gw_cbor_skip (r);
      else if (seen & UINT32_C (1) << i)
        st = GW_E_DUPLICATE;
      else
        st = read_field (r, &t->fields[i], base);
      if (st != GW_OK)
        return st;
      if ((size_t)i < t->n)
        seen |= UINT32_C (1) << i;
    }
  if (more < 0)
    return more;

  for (size_t i = 0; i < t->n; i++)
    {
      const GwField *f = &t->fields[i];
      bool there = (seen & UINT32_C (1) << i) != 0;

      if (f->has == GW_FIELD_REQUIRED)
        {
          if (!there)
            return GW_E_MISSING;
        }
      else if (f->has != GW_FIELD_DEFAULT)
        *(bool *)(base + f->has) = there;
    }
  return GW_OK;
}

GwStatus
gw_fields_decode (GwBytes body, const GwFieldTable *table, void *out, size_t size)
{
  GwCborReader r;
  GwStatus st;

  memset (out, 0, size);
  gw_cbor_reader_init (&r, body.ptr, body.len);
  st = gw_fields_read (&r, table, out);
  if (st != GW_OK)
    return st;
  return gw_cbor_read_end (&r);
}

/* ---- Encoding ---- */

static bool
is_present (const GwField *f, const uint8_t *in)
{
  if (f->has == GW_FIELD_REQUIRED)
    return true;
  if (f->has != GW_FIELD_DEFAULT)
    return *(const bool *)(in + f->has);
  if (f->kind == GW_FIELD_UINTS)
    return *(const size_t *)(in + f->count) > 0;
  return load_uint (in + f->offset, f->size) != 0;
}

static void
put_array (const GwField *f, const uint8_t *in, GwCborWriter *w)
{
  size_t n = *(const size_t *)(in + f->count);

  gw_cbor_begin_array (w, n);
  for (size_t i = 0; i < n; i++)
    {
      const uint8_t *at = in + f->offset + i * f->size;

      if (f->kind == GW_FIELD_MAPS)
        gw_fields_encode (f->sub, at, w);
      else
        gw_cbor_put_uint (w, load_uint (at, f->size));
    }
}

static void
put_field (const GwField *f, const uint8_t *in, GwCborWriter *w)
{
  const uint8_t *at = in + f->offset;

  gw_cbor_put_key (w, f->key);
  switch (f->kind)
    {
    case GW_FIELD_UINT:
      gw_cbor_put_uint (w, load_uint (at, f->size));
      break;
    case GW_FIELD_BOOL:
      gw_cbor_put_bool (w, *(const bool *)at);
      break;
    case GW_FIELD_NUMBER:
      gw_cbor_put_number (w, *(const double *)at);
      break;
    case GW_FIELD_FIXED:
      gw_cbor_put_bytes (w, at, f->size);
      break;
    case GW_FIELD_BYTES:
      gw_cbor_put_bytes (w, ((const GwBytes *)at)->ptr, ((const GwBytes *)at)->len);
      break;
    case GW_FIELD_TEXT:
      gw_cbor_put_text (w, *(const GwText *)at);
      break;
    case GW_FIELD_VALUE:
      gw_cbor_put_value (w, (const GwValue *)at);
      break;
    case GW_FIELD_MAP:
      gw_fields_encode (f->sub, at, w);
      break;
    case GW_FIELD_UINTS:
    case GW_FIELD_MAPS:
      put_array (f, in, w);
      break;
    case GW_FIELD_LIST:
      gw_cbor_begin_array_indefinite (w);
      break;
    }
}

void
gw_fields_encode (const GwFieldTable *table, const void *in, GwCborWriter *w)
{
  size_t pairs = 0;

  for (size_t i = 0; i < table->n; i++)
    pairs += is_present (&table->fields[i], in);
  gw_cbor_begin_map (w, pairs);
  for (size_t i = 0; i < table->n; i++)
    if (is_present (&table->fields[i], in))
      put_field (&table->fields[i], in, w);
}
