/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See gw-ep-time-codec.h. */

#include "gw-ep-time-codec.h"

#include "gw-ep-time.h"
#include "gw-fields.h"
#include "gw-reader.h"

#define TEXT_MAX 40u
#define TEXT_LEN 23u /* what is written: to the millisecond */

typedef struct
{
  GwText text;
} Message;

static const GwField fields[] = {
  { .key = "datetime", .kind = GW_FIELD_TEXT, GW_FIELD_AT (Message, text), GW_FIELD_NEEDED, .max = TEXT_MAX },
};
static const GwFieldTable table = GW_FIELD_TABLE (fields);

/* `n` digits followed by `end` (0: nothing) as a number up to max; else the reader has failed. */
static int
read_digits (GwReader *r, unsigned n, char end, int min, int max)
{
  int value = 0;

  for (; n > 0; n--)
    {
      uint8_t c = gw_reader_u8 (r);

      if (c < '0' || c > '9')
        r->failed = true;
      value = value * 10 + (c - '0');
    }
  if (end != 0 && gw_reader_u8 (r) != (uint8_t)end)
    r->failed = true;
  if (value < min || value > max)
    r->failed = true;
  return value;
}

/* A fraction of any length, of which three digits count. */
static unsigned
read_milliseconds (GwReader *r)
{
  unsigned ms = 0, n = 0;

  if (r->left == 0 || *r->ptr != '.')
    return 0;
  (void)gw_reader_u8 (r);
  for (; r->left > 0 && *r->ptr >= '0' && *r->ptr <= '9'; n++)
    {
      unsigned digit = gw_reader_u8 (r) - (unsigned)'0';

      if (n < 3)
        ms = ms * 10 + digit;
    }
  if (n == 0)
    r->failed = true;
  for (; n < 3; n++)
    ms *= 10;
  return ms;
}

GwStatus
gw_ep_datetime_decode (GwBytes body, uint64_t *unix_ms)
{
  int year, month, day, hour, minute, second;
  Message message;
  GwReader r;
  GwStatus status = gw_fields_decode (body, &table, &message, sizeof message);

  if (status != GW_OK)
    return status;
  gw_reader_init (&r, message.text.ptr, message.text.len);
  year = read_digits (&r, 4, '-', 1970, 9999);
  month = read_digits (&r, 2, '-', 1, 12);
  day = read_digits (&r, 2, 'T', 1, 31);
  hour = read_digits (&r, 2, ':', 0, 23);
  minute = read_digits (&r, 2, ':', 0, 59);
  second = read_digits (&r, 2, 0, 0, 59);
  *unix_ms = gw_ep_time_to_unix (year, month, day, hour, minute, second) * 1000u + read_milliseconds (&r);
  if (r.left > 0 && gw_reader_u8 (&r) != 'Z')
    r.failed = true;
  if (!gw_reader_ok (&r) || r.left > 0)
    return GW_E_MALFORMED;
  return day <= gw_ep_time_days_of_month (year, month) ? GW_OK : GW_E_RANGE;
}

static char *
put_digits (char *out, unsigned n, unsigned value, char end)
{
  unsigned i;

  for (i = n; i > 0; i--, value /= 10)
    out[i - 1] = (char)('0' + value % 10);
  out[n] = end;
  return out + n + 1;
}

void
gw_ep_datetime_encode (uint64_t unix_ms, GwCborWriter *w)
{
  char text[TEXT_LEN + 1], *p = text;
  uint64_t seconds = unix_ms / 1000u;
  unsigned of_day = (unsigned)(seconds % 86400u);
  Message message = { .text = { text, TEXT_LEN } };
  int year, month, day;

  gw_ep_time_from_days (seconds / 86400u, &year, &month, &day);
  p = put_digits (p, 4, (unsigned)year, '-');
  p = put_digits (p, 2, (unsigned)month, '-');
  p = put_digits (p, 2, (unsigned)day, 'T');
  p = put_digits (p, 2, of_day / 3600u, ':');
  p = put_digits (p, 2, of_day / 60u % 60u, ':');
  p = put_digits (p, 2, of_day % 60u, '.');
  (void)put_digits (p, 3, (unsigned)(unix_ms % 1000u), '\0');
  gw_fields_encode (&table, &message, w);
}
