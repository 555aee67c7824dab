/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of a batch. */
#include "gw-batch-codec.h"

#include <string.h>

#include "gw-manifest-codec.h"

static gboolean
is_blank (char c)
{
  return c == ' ' || c == '\t';
}

GwBatchLine
gw_batch_parse_line (const char *line, gsize length, guint8 kid[GW_KEY_ID_LEN])
{
  const char *comment = memchr (line, '#', length);

  if (comment)
    length = (gsize)(comment - line);
  while (length > 0 && is_blank (line[length - 1]))
    length--;
  while (length > 0 && is_blank (*line))
    {
      line++;
      length--;
    }
  if (length == 0)
    return GW_BATCH_LINE_EMPTY;
  return gw_key_id_parse_len (line, length, kid) ? GW_BATCH_LINE_ID : GW_BATCH_LINE_MALFORMED;
}

void
gw_batch_format_line (const guint8 kid[GW_KEY_ID_LEN], char out[GW_KEY_ID_TEXT_LEN + 1])
{
  static const char digits[] = "0123456789abcdef";

  for (gsize i = 0; i < GW_KEY_ID_LEN; i++)
    {
      out[2 * i] = digits[kid[i] >> 4];
      out[2 * i + 1] = digits[kid[i] & 15];
    }
  out[GW_KEY_ID_TEXT_LEN] = '\n';
}
