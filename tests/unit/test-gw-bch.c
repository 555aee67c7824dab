/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* BCH(255,131,18): the published generator, every number of errors up to 18 and what lies beyond. */

#include <glib.h>
#include <string.h>

#include "gw-bch.h"

static void
flip (guint8 *word, guint i)
{
  word[i / 8] ^= 1 << (i % 8);
}

static guint
distance (const guint8 *a, const guint8 *b)
{
  guint n = 0;

  for (guint i = 0; i < GW_BCH_CODEWORD_OCTETS; i++)
    n += __builtin_popcount (a[i] ^ b[i]);
  return n;
}

static void
random_message (guint8 message[GW_BCH_MESSAGE_OCTETS])
{
  for (guint i = 0; i < GW_BCH_MESSAGE_OCTETS; i++)
    message[i] = g_test_rand_int_range (0, 256);
  message[GW_BCH_MESSAGE_OCTETS - 1] &= 7;
}

/* `n` different positions. */
static void
flip_random (guint8 *word, guint n)
{
  guint8 before[GW_BCH_CODEWORD_OCTETS];

  memcpy (before, word, sizeof before);
  while (distance (before, word) < n)
    {
      guint i = g_test_rand_int_range (0, GW_BCH_N);

      if (((before[i / 8] ^ word[i / 8]) >> (i % 8) & 1) == 0)
        flip (word, i);
    }
}

static void
test_generator (void)
{
  /* Lin and Costello, table of generator polynomials: (255, 131, 18), octal, highest coefficient first. */
  static const char octal[] = "215713331471510151261250277442142024165471";
  guint8 one[GW_BCH_MESSAGE_OCTETS] = { 1 }, codeword[GW_BCH_CODEWORD_OCTETS],
         expected[GW_BCH_CODEWORD_OCTETS] = { 0 };
  guint n = 3 * strlen (octal);

  for (guint i = 0; i < n; i++)
    if ((octal[strlen (octal) - 1 - i / 3] - '0') >> (i % 3) & 1)
      flip (expected, i);
  gw_bch_encode (one, codeword);
  g_assert_cmpmem (codeword, sizeof codeword, expected, sizeof expected);
}

static void
test_message (void)
{
  for (guint round = 0; round < 200; round++)
    {
      guint8 message[GW_BCH_MESSAGE_OCTETS], back[GW_BCH_MESSAGE_OCTETS], dirty[GW_BCH_MESSAGE_OCTETS];
      guint8 codeword[GW_BCH_CODEWORD_OCTETS], same[GW_BCH_CODEWORD_OCTETS];

      random_message (message);
      gw_bch_encode (message, codeword);
      gw_bch_message (codeword, back);
      g_assert_cmpmem (back, sizeof back, message, sizeof message);
      g_assert_cmpint (codeword[31] & 0x80, ==, 0);

      memcpy (dirty, message, sizeof dirty);
      dirty[GW_BCH_MESSAGE_OCTETS - 1] |= 0xf8;
      gw_bch_encode (dirty, same);
      g_assert_cmpmem (same, sizeof same, codeword, sizeof codeword);
    }
}

static void
check_corrects (const guint8 *codeword, guint8 *word, guint errors)
{
  guint corrected = 99;

  g_assert_true (gw_bch_decode (word, &corrected));
  g_assert_cmpuint (corrected, ==, errors);
  g_assert_cmpmem (word, GW_BCH_CODEWORD_OCTETS, codeword, GW_BCH_CODEWORD_OCTETS);
}

static void
test_up_to_18 (void)
{
  for (guint errors = 0; errors <= GW_BCH_T; errors++)
    for (guint round = 0; round < 100; round++)
      {
        guint8 message[GW_BCH_MESSAGE_OCTETS], codeword[GW_BCH_CODEWORD_OCTETS], word[GW_BCH_CODEWORD_OCTETS];

        random_message (message);
        gw_bch_encode (message, codeword);
        memcpy (word, codeword, sizeof word);
        flip_random (word, errors);
        check_corrects (codeword, word, errors);
      }
}

static void
test_bursts (void)
{
  guint8 message[GW_BCH_MESSAGE_OCTETS], codeword[GW_BCH_CODEWORD_OCTETS], word[GW_BCH_CODEWORD_OCTETS];

  random_message (message);
  gw_bch_encode (message, codeword);
  for (guint at = 0; at < GW_BCH_N; at++)
    {
      memcpy (word, codeword, sizeof word);
      for (guint i = 0; i < GW_BCH_T; i++)
        flip (word, (at + i) % GW_BCH_N);
      check_corrects (codeword, word, GW_BCH_T);

      /* The unused bit of the last octet is not data. */
      memcpy (word, codeword, sizeof word);
      flip (word, at);
      word[GW_BCH_CODEWORD_OCTETS - 1] |= 0x80;
      check_corrects (codeword, word, 1);
    }
}

/* More than 18 errors: said so, or, where another codeword lies within 18 bits, that one is found; never
 * anything else. */
static void
test_beyond (void)
{
  guint refused = 0, all = 0;

  for (guint errors = GW_BCH_T + 1; errors <= 127; errors++)
    for (guint round = 0; round < 20; round++, all++)
      {
        guint8 message[GW_BCH_MESSAGE_OCTETS], word[GW_BCH_CODEWORD_OCTETS], received[GW_BCH_CODEWORD_OCTETS];
        guint8 again[GW_BCH_CODEWORD_OCTETS];
        guint corrected = 99;

        random_message (message);
        gw_bch_encode (message, received);
        flip_random (received, errors);
        memcpy (word, received, sizeof word);
        if (!gw_bch_decode (word, &corrected))
          {
            g_assert_cmpuint (corrected, ==, 0);
            refused++;
            continue;
          }
        gw_bch_message (word, message);
        gw_bch_encode (message, again);
        g_assert_cmpmem (again, sizeof again, word, sizeof word);
        g_assert_cmpuint (distance (word, received), ==, corrected);
        g_assert_cmpuint (corrected, <=, GW_BCH_T);
      }
  g_assert_cmpuint (refused, >=, all - 2);
}

/* Two codewords at most 37 apart (the designed distance) between which a word of 19 errors lies: the nearer
 * one wins. */
static void
test_nearer (void)
{
  guint8 zero[GW_BCH_CODEWORD_OCTETS] = { 0 }, word[GW_BCH_CODEWORD_OCTETS];
  guint8 one[GW_BCH_MESSAGE_OCTETS] = { 1 }, generator[GW_BCH_CODEWORD_OCTETS];
  guint weight, to_flip, corrected;

  gw_bch_encode (one, generator);
  weight = distance (generator, zero);
  g_assert_cmpuint (weight, >=, 2 * GW_BCH_T + 1);

  memcpy (word, generator, sizeof word);
  to_flip = GW_BCH_T;
  for (guint i = 0; i < GW_BCH_N && to_flip > 0; i++)
    if (word[i / 8] >> (i % 8) & 1)
      {
        flip (word, i);
        to_flip--;
      }
  check_corrects (generator, word, GW_BCH_T);
  flip (generator, 0);
  g_assert_true (gw_bch_decode (generator, &corrected));
  g_assert_cmpuint (corrected, ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/bch/generator", test_generator);
  g_test_add_func ("/bch/message", test_message);
  g_test_add_func ("/bch/up-to-18", test_up_to_18);
  g_test_add_func ("/bch/bursts", test_bursts);
  g_test_add_func ("/bch/beyond", test_beyond);
  g_test_add_func ("/bch/nearer", test_nearer);
  return g_test_run ();
}
