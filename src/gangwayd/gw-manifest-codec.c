/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manifest lines. No allocation: a million of them go through here. */
#include "gw-manifest-codec.h"

#include <string.h>

#define BOM "\xef\xbb\xbf"

static int
hex_value (char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

gboolean
gw_key_id_parse_len (const char *text, gsize length, guint8 kid[GW_KEY_ID_LEN])
{
  if (length != GW_KEY_ID_TEXT_LEN)
    return FALSE;
  for (gsize i = 0; i < GW_KEY_ID_LEN; i++)
    {
      int high = hex_value (text[2 * i]), low = hex_value (text[2 * i + 1]);

      if (high < 0 || low < 0)
        return FALSE;
      kid[i] = (guint8)(high << 4 | low);
    }
  return TRUE;
}

const char *
gw_manifest_parse_header (const char *line, gsize length)
{
  if (length >= strlen (BOM) && memcmp (line, BOM, strlen (BOM)) == 0)
    return "begins with a byte order mark; save it as UTF-8 without one";
  if (length != strlen (GW_MANIFEST_HEADER) || memcmp (line, GW_MANIFEST_HEADER, length) != 0)
    return "the first line must read " GW_MANIFEST_HEADER;
  return NULL;
}

/* Cut the next field off *at, unquoted into out (at most max octets). NULL, or what is wrong. */
static const char *
take_field (const char **at, const char *end, char *out, gsize max, gsize *length)
{
  const char *p = *at;
  gboolean quoted = p < end && *p == '"';

  *length = 0;
  if (quoted)
    p++;
  while (p < end && (quoted || *p != ','))
    {
      if (*p == '"')
        {
          if (!quoted)
            return "a quote inside a field that is not quoted";
          if (p + 1 == end || p[1] != '"')
            break;
          p++;
        }
      if (*length == max)
        return "a field is too long";
      out[(*length)++] = *p++;
    }
  if (quoted)
    {
      if (p == end)
        return "a quote is not closed";
      p++;
      if (p < end && *p != ',')
        return "text after a closing quote";
    }
  *at = p;
  return NULL;
}

static const char *
check_text (const char *text, gsize length)
{
  const char *end = text + length;

  if (length == 0)
    return "a field is empty";
  if (!g_utf8_validate_len (text, length, NULL))
    return "not UTF-8";
  for (const char *p = text; p < end; p = g_utf8_next_char (p))
    {
      gunichar c = g_utf8_get_char (p);

      if (c < 0x20 || (c >= 0x7f && c <= 0x9f))
        return "holds a control character";
    }
  return NULL;
}

static const char *
take_text (const char **at, const char *end, char out[GW_MANIFEST_FIELD_MAX + 1])
{
  const char *wrong;
  gsize length;

  if (*at == end || **at != ',')
    return "fewer than four fields";
  (*at)++;
  wrong = take_field (at, end, out, GW_MANIFEST_FIELD_MAX, &length);
  if (wrong)
    return wrong;
  out[length] = '\0';
  return check_text (out, length);
}

const char *
gw_manifest_parse_row (const char *line, gsize length, GwManifestRow *out)
{
  const char *end = line + length;
  char kid[GW_KEY_ID_TEXT_LEN];
  const char *wrong;
  gsize kid_length;

  if (length == 0)
    return "empty line";
  wrong = take_field (&line, end, kid, sizeof kid, &kid_length);
  if (!wrong && !gw_key_id_parse_len (kid, kid_length, out->kid))
    wrong = "the key id must be 64 lower-case hex digits";
  if (!wrong)
    wrong = take_text (&line, end, out->manufacturer);
  if (!wrong)
    wrong = take_text (&line, end, out->model);
  if (!wrong)
    wrong = take_text (&line, end, out->serial);
  if (!wrong && line != end)
    wrong = "more than four fields";
  return wrong;
}
