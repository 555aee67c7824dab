/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See gw-base64url.h. GLib's decoder passes over whatever it does not know, so here is one that does not. */

#include "config.h"

#include "gw-base64url.h"

#include <string.h>

char *
gw_base64url_encode (const guint8 *octets, gsize len)
{
  char *text = g_base64_encode (octets, len);

  g_strdelimit (text, "+", '-');
  g_strdelimit (text, "/", '_');
  text[strcspn (text, "=")] = '\0';
  return text;
}

static int
digit (char c)
{
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const char *at = c != '\0' ? strchr (digits, c) : NULL;

  return at != NULL ? (int)(at - digits) : -1;
}

/* Characters without the padding, which fills up to four. */
static gsize
length_of (const char *text)
{
  gsize len = strlen (text);

  if (len % 4 == 0 && len > 0 && text[len - 1] == '=')
    len -= text[len - 2] == '=' ? 2 : 1;
  return len;
}

GBytes *
gw_base64url_decode (const char *text)
{
  gsize len = length_of (text);
  g_autoptr (GByteArray) octets = g_byte_array_new ();
  guint bits = 0, held = 0;

  if (len % 4 == 1)
    return NULL;
  for (gsize i = 0; i < len; i++)
    {
      int value = digit (text[i]);
      guint8 octet;

      if (value < 0)
        return NULL;
      held = held << 6 | (guint)value;
      bits += 6;
      if (bits < 8)
        continue;
      bits -= 8;
      octet = (guint8)(held >> bits);
      held &= (1u << bits) - 1;
      g_byte_array_append (octets, &octet, 1);
    }
  return held == 0 ? g_byte_array_free_to_bytes (g_steal_pointer (&octets)) : NULL;
}
