/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The borrowed texts and values of gw-cbor.h. */
#include "gw-cbor.h"

#include <string.h>

/* ---- Text ---- */

GwText
gw_text (const char *s)
{
  return (GwText){ s, strlen (s) };
}

bool
gw_text_equal (GwText t, const char *s)
{
  size_t len = strlen (s);

  return t.len == len && (len == 0 || memcmp (t.ptr, s, len) == 0);
}

GwStatus
gw_text_copy (GwText t, char *out, size_t size)
{
  if (t.len >= size)
    return GW_E_SPACE;
  if (t.len > 0)
    memcpy (out, t.ptr, t.len);
  out[t.len] = '\0';
  return GW_OK;
}

/* Octets of the UTF-8 sequence that @s begins with, 0 if there is no valid one that is printable. */
static size_t
clean_sequence (const uint8_t *s, size_t len)
{
  static const uint32_t least[] = { 0, 0, 0xa0, 0x800, 0x10000 }; /* 80..9F are C1 control characters */
  uint32_t c = s[0];
  size_t n;

  if (c < 0x80)
    return c >= 0x20 && c != 0x7f ? 1 : 0;
  if ((c & 0xe0) == 0xc0)
    n = 2;
  else if ((c & 0xf0) == 0xe0)
    n = 3;
  else if ((c & 0xf8) == 0xf0)
    n = 4;
  else
    return 0;
  if (n > len)
    return 0;
  c &= 0x7fu >> n;
  for (size_t i = 1; i < n; i++)
    {
      if ((s[i] & 0xc0) != 0x80)
        return 0;
      c = c << 6 | (s[i] & 0x3fu);
    }
  if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
    return 0;
  return n;
}

bool
gw_text_is_clean (const char *s, size_t len)
{
  const uint8_t *p = (const uint8_t *)s;

  while (len > 0)
    {
      size_t n = clean_sequence (p, len);

      if (n == 0)
        return false;
      p += n;
      len -= n;
    }
  return true;
}

/* ---- Values ---- */

GwValue
gw_value_bool (bool b)
{
  return (GwValue){ .type = GW_VALUE_BOOL, .b = b };
}

GwValue
gw_value_int (int64_t i)
{
  return (GwValue){ .type = GW_VALUE_INT, .i = i };
}

GwValue
gw_value_float (double d)
{
  return (GwValue){ .type = GW_VALUE_FLOAT, .d = d };
}

GwValue
gw_value_text (const char *s)
{
  return (GwValue){ .type = GW_VALUE_TEXT, .text = gw_text (s) };
}

GwValue
gw_value_bytes (const void *ptr, size_t len)
{
  return (GwValue){ .type = GW_VALUE_BYTES, .bytes = { ptr, len } };
}

static bool
octets_equal (const void *a, size_t a_len, const void *b, size_t b_len)
{
  return a_len == b_len && (a_len == 0 || memcmp (a, b, a_len) == 0);
}

bool
gw_value_equal (const GwValue *a, const GwValue *b)
{
  if (a->type != b->type)
    return false;
  switch (a->type)
    {
    case GW_VALUE_BOOL:
      return a->b == b->b;
    case GW_VALUE_INT:
      return a->i == b->i;
    case GW_VALUE_FLOAT:
      return a->d == b->d;
    case GW_VALUE_TEXT:
      return octets_equal (a->text.ptr, a->text.len, b->text.ptr, b->text.len);
    case GW_VALUE_BYTES:
      return octets_equal (a->bytes.ptr, a->bytes.len, b->bytes.ptr, b->bytes.len);
    case GW_VALUE_NONE:
      break;
    }
  return true;
}

bool
gw_value_number (const GwValue *v, double *out)
{
  if (v->type == GW_VALUE_INT)
    *out = (double)v->i;
  else if (v->type == GW_VALUE_FLOAT)
    *out = v->d;
  else
    return false;
  return true;
}
