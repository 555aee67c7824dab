/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-reader.h"

#include <string.h>

void
gw_reader_init (GwReader *r, const void *buf, size_t len)
{
  r->ptr = buf;
  r->left = len;
  r->failed = false;
}

bool
gw_reader_ok (const GwReader *r)
{
  return !r->failed;
}

GwBytes
gw_reader_bytes (GwReader *r, size_t len)
{
  GwBytes b = { NULL, 0 };

  if (r->failed || len > r->left)
    {
      r->failed = true;
      return b;
    }
  b.ptr = r->ptr;
  b.len = len;
  r->ptr += len;
  r->left -= len;
  return b;
}

GwBytes
gw_reader_rest (GwReader *r)
{
  return gw_reader_bytes (r, r->left);
}

void
gw_reader_copy (GwReader *r, void *out, size_t len)
{
  GwBytes b = gw_reader_bytes (r, len);

  if (r->failed)
    memset (out, 0, len);
  else if (len > 0)
    memcpy (out, b.ptr, len);
}

static uint64_t
read_be (GwReader *r, size_t len)
{
  GwBytes b = gw_reader_bytes (r, len);
  uint64_t v = 0;

  for (size_t i = 0; i < b.len; i++)
    v = v << 8 | b.ptr[i];
  return v;
}

static uint64_t
read_le (GwReader *r, size_t len)
{
  GwBytes b = gw_reader_bytes (r, len);
  uint64_t v = 0;

  for (size_t i = b.len; i > 0; i--)
    v = v << 8 | b.ptr[i - 1];
  return v;
}

uint8_t
gw_reader_u8 (GwReader *r)
{
  return (uint8_t)read_be (r, 1);
}

uint16_t
gw_reader_u16be (GwReader *r)
{
  return (uint16_t)read_be (r, 2);
}

uint32_t
gw_reader_u32be (GwReader *r)
{
  return (uint32_t)read_be (r, 4);
}

uint64_t
gw_reader_u64be (GwReader *r)
{
  return read_be (r, 8);
}

uint16_t
gw_reader_u16le (GwReader *r)
{
  return (uint16_t)read_le (r, 2);
}

uint32_t
gw_reader_u32le (GwReader *r)
{
  return (uint32_t)read_le (r, 4);
}

void
gw_put_u16be (uint8_t *out, uint16_t v)
{
  out[0] = (uint8_t)(v >> 8);
  out[1] = (uint8_t)v;
}

void
gw_put_u32be (uint8_t *out, uint32_t v)
{
  gw_put_u16be (out, (uint16_t)(v >> 16));
  gw_put_u16be (out + 2, (uint16_t)v);
}

void
gw_put_u64be (uint8_t *out, uint64_t v)
{
  gw_put_u32be (out, (uint32_t)(v >> 32));
  gw_put_u32be (out + 4, (uint32_t)v);
}
