/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Octets in JSON. The pairs are RFC 4648's, section 10, and such as tell the two alphabets apart. */

#include <string.h>

#include "gw-base64url.h"

static const struct
{
  const char *octets;
  gsize len;
  const char *text;
  const char *padded;
} pairs[] = {
  { "", 0, "", "" },
  { "f", 1, "Zg", "Zg==" },
  { "fo", 2, "Zm8", "Zm8=" },
  { "foo", 3, "Zm9v", "Zm9v" },
  { "foob", 4, "Zm9vYg", "Zm9vYg==" },
  { "fooba", 5, "Zm9vYmE", "Zm9vYmE=" },
  { "foobar", 6, "Zm9vYmFy", "Zm9vYmFy" },
  { "\xfb\xff\x00", 3, "-_8A", "-_8A" },
};

static void
check (const char *text, const char *octets, gsize len)
{
  g_autoptr (GBytes) bytes = gw_base64url_decode (text);

  g_assert_nonnull (bytes);
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), octets, len);
}

static void
test_pairs (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (pairs); i++)
    {
      g_autofree char *text = gw_base64url_encode ((const guint8 *)pairs[i].octets, pairs[i].len);

      g_assert_cmpstr (text, ==, pairs[i].text);
      check (pairs[i].text, pairs[i].octets, pairs[i].len);
      check (pairs[i].padded, pairs[i].octets, pairs[i].len);
    }
}

/* Of each of these a lenient decoder makes some octets: nobody meant those. */
static void
test_none (void)
{
  static const char *const none[] = {
    "Z", "Zm9vY",    "Zm 9v",    "Zm9v\n",           " Zm9v", "Zm9v!", "+/8A", "Zg=", "Zg===", "Z===", "====",
    "=", "Zg==Zg==", "Zm9v====", "\xc3\xa4\xc3\xb6", "Zh",    "Zm9",   "Zh==",
  };

  for (guint i = 0; i < G_N_ELEMENTS (none); i++)
    {
      g_autoptr (GBytes) bytes = gw_base64url_decode (none[i]);

      if (bytes != NULL)
        g_error ("'%s' was taken for %zu octets", none[i], g_bytes_get_size (bytes));
    }
}

/* Every octet in every place. */
static void
test_all (void)
{
  for (guint len = 1; len <= 4; len++)
    for (guint at = 0; at < len; at++)
      for (guint octet = 0; octet < 256; octet++)
        {
          guint8 octets[4] = { 0 };
          g_autofree char *text = NULL;

          octets[at] = (guint8)octet;
          text = gw_base64url_encode (octets, len);
          check (text, (const char *)octets, len);
        }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/base64url/pairs", test_pairs);
  g_test_add_func ("/base64url/none", test_none);
  g_test_add_func ("/base64url/all", test_all);
  return g_test_run ();
}
