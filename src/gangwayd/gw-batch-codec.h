/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gw-db.h"

/*
 * One line of a batch's list of key ids: a key id, blanks around it allowed, or nothing; '#' begins a comment.
 */
typedef enum
{
  GW_BATCH_LINE_EMPTY,
  GW_BATCH_LINE_ID,
  GW_BATCH_LINE_MALFORMED,
} GwBatchLine;

GwBatchLine gw_batch_parse_line (const char *line, gsize length, guint8 kid[GW_KEY_ID_LEN]);

/* The other way: writes the 65 octets of a line with its LF. */
void gw_batch_format_line (const guint8 kid[GW_KEY_ID_LEN], char out[GW_KEY_ID_TEXT_LEN + 1]);
