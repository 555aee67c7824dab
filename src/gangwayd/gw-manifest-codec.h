/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gw-db.h"

/*
 * One line of a manifest: CSV as RFC 4180, UTF-8, the columns fixed. Stricter than the RFC in that a field holds no
 * control character, so a line of the file is always a record.
 */
#define GW_MANIFEST_HEADER "key_id,manufacturer,model,serial_number"
#define GW_MANIFEST_FIELD_MAX GW_HELLO_TEXT_MAX /* octets: the endpoint repeats these fields in its hello */

typedef struct
{
  guint8 kid[GW_KEY_ID_LEN];
  char manufacturer[GW_MANIFEST_FIELD_MAX + 1]; /* each 1 to GW_MANIFEST_FIELD_MAX octets, NUL-terminated */
  char model[GW_MANIFEST_FIELD_MAX + 1];
  char serial[GW_MANIFEST_FIELD_MAX + 1];
} GwManifestRow;

/* Both: NULL = taken, else what is wrong, a constant. line need not be NUL-terminated. */
const char *gw_manifest_parse_header (const char *line, gsize length);
const char *gw_manifest_parse_row (const char *line, gsize length, GwManifestRow *out);

/* 64 lower-case hex digits, exactly. */
gboolean gw_key_id_parse_len (const char *text, gsize length, guint8 kid[GW_KEY_ID_LEN]);
