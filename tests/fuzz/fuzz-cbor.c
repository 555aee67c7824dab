/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: the CBOR reader. Heads one by one, whole items by skipping, and values that must survive a
 * round trip. */
#include <stdlib.h>
#include <string.h>

#include "gw-cbor.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* Touches every octet that an item borrows. */
static unsigned
touch (const GwCborItem *item)
{
  unsigned sum = 0;

  if (item->type == GW_CBOR_BYTES)
    for (size_t i = 0; i < item->bytes.len; i++)
      sum += item->bytes.ptr[i];
  else if (item->type == GW_CBOR_TEXT)
    sum = gw_text_is_clean (item->text.ptr, item->text.len);
  return sum;
}

/* The heads inside what was skipped must fill it exactly. */
static void
check_skip (const uint8_t *data, size_t size)
{
  GwCborReader all, heads;
  GwCborItem item;

  gw_cbor_reader_init (&all, data, size);
  while (gw_cbor_skip (&all) == GW_OK)
    {
    }
  gw_cbor_reader_init (&heads, data, all.pos);
  while (gw_cbor_reader_left (&heads) > 0)
    if (gw_cbor_next (&heads, &item) != GW_OK)
      abort ();
}

static void
check_value (const uint8_t *data, size_t size)
{
  uint8_t buf[GW_DATA_VALUE_MAX + 16];
  GwCborReader r;
  GwCborWriter w;
  GwValue value, back;

  gw_cbor_reader_init (&r, data, size);
  if (gw_cbor_read_value (&r, &value) != GW_OK)
    return;
  gw_cbor_writer_init (&w, buf, sizeof buf);
  gw_cbor_put_value (&w, &value);
  gw_cbor_reader_init (&r, buf, w.len);
  if (w.status != GW_OK || gw_cbor_read_value (&r, &back) != GW_OK || gw_cbor_read_end (&r) != GW_OK
      || !gw_value_equal (&value, &back))
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static volatile unsigned sink;
  GwCborReader r;
  GwCborItem item;

  gw_cbor_reader_init (&r, data, size);
  while (gw_cbor_next (&r, &item) == GW_OK)
    {
      if (r.pos > size)
        abort ();
      sink += touch (&item);
    }
  check_skip (data, size);
  check_value (data, size);
  return 0;
}
