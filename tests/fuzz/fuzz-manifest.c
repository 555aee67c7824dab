/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Fuzz target for manifests: the first octet chooses how the stream is cut, the rest is the file. The lines
 * must not depend on the cut, and a row that parses must parse to the same when written again with every
 * field quoted. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gw-line-codec.h"
#include "gw-manifest-codec.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static gsize
put_quoted (char *out, const char *text)
{
  gsize n = 0;

  out[n++] = ',';
  out[n++] = '"';
  for (; *text; text++)
    {
      if (*text == '"')
        out[n++] = '"';
      out[n++] = *text;
    }
  out[n++] = '"';
  return n;
}

static void
take_line (const char *line, gsize length, guint64 number, gpointer data)
{
  GChecksum *sum = data;
  GwManifestRow row, again;
  char text[GW_LINE_MAX];
  g_autofree char *kid = NULL;
  gsize n = 0;

  g_checksum_update (sum, (const guchar *)&number, sizeof number);
  g_checksum_update (sum, (const guchar *)&length, sizeof length);
  if (!line)
    return;
  if (length > GW_LINE_MAX)
    abort ();
  if (length > 0)
    g_checksum_update (sum, (const guchar *)line, (gssize)length);
  gw_manifest_parse_header (line, length);
  memset (&row, 0, sizeof row);
  memset (&again, 0, sizeof again);
  if (gw_manifest_parse_row (line, length, &row))
    return;
  for (guint i = 0; i < GW_KEY_ID_LEN; i++)
    n += (gsize)g_snprintf (text + n, 3, "%02x", row.kid[i]);
  n += put_quoted (text + n, row.manufacturer);
  n += put_quoted (text + n, row.model);
  n += put_quoted (text + n, row.serial);
  if (gw_manifest_parse_row (text, n, &again) || memcmp (row.kid, again.kid, sizeof row.kid) != 0
      || strcmp (row.manufacturer, again.manufacturer) != 0 || strcmp (row.model, again.model) != 0
      || strcmp (row.serial, again.serial) != 0)
    abort ();
}

static char *
run (const uint8_t *data, size_t size, size_t piece)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  GwLineReader reader;

  gw_line_reader_init (&reader, take_line, sum);
  for (size_t at = 0; at < size; at += piece)
    gw_line_reader_feed (&reader, data + at, MIN (piece, size - at));
  gw_line_reader_finish (&reader);
  return g_strdup (g_checksum_get_string (sum));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *whole = NULL, *cut = NULL;

  if (size < 2)
    return 0;
  whole = run (data + 1, size - 1, size);
  cut = run (data + 1, size - 1, 1u + data[0]);
  if (strcmp (whole, cut) != 0)
    abort ();
  return 0;
}
