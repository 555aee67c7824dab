/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The decoder is the textbook chain: syndromes, inversionless Berlekamp-Massey in its binary form (every
 * second step), Chien search; then the syndromes of the result are computed again, so that what is handed out
 * is a codeword. All loops have fixed bounds; decisions are masks (00 or ff). What the caller learns, success
 * and count, is public: the helper data and a health counter give no more. */

#include "gw-bch.h"

#include <string.h>

#include <mbedtls/platform_util.h>

#define CHECK_BITS (GW_BCH_N - GW_BCH_K)
#define N_SYNDROMES (2 * GW_BCH_T)
#define N_COEFFICIENTS (GW_BCH_T + 1)

/* The generator polynomial without its leading x^124, in halves of 62 bits: octal
 * 215713331471510151261250277442142024165471 (Lin and Costello, Error Control Coding, appendix C). */
#define GENERATOR_LOW UINT64_C (0x2a17f2231050eb39)
#define GENERATOR_HIGH UINT64_C (0x06f2db339a41a562)
#define HALF_BITS 62
#define HALF_MASK ((UINT64_C (1) << HALF_BITS) - 1)

/* Powers of the primitive element; only ever indexed by positions, never by data. */
static const uint8_t power[GW_BCH_N] = {
  0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1d, 0x3a, 0x74, 0xe8, 0xcd, 0x87, 0x13, 0x26, 0x4c,
  0x98, 0x2d, 0x5a, 0xb4, 0x75, 0xea, 0xc9, 0x8f, 0x03, 0x06, 0x0c, 0x18, 0x30, 0x60, 0xc0, 0x9d, 0x27,
  0x4e, 0x9c, 0x25, 0x4a, 0x94, 0x35, 0x6a, 0xd4, 0xb5, 0x77, 0xee, 0xc1, 0x9f, 0x23, 0x46, 0x8c, 0x05,
  0x0a, 0x14, 0x28, 0x50, 0xa0, 0x5d, 0xba, 0x69, 0xd2, 0xb9, 0x6f, 0xde, 0xa1, 0x5f, 0xbe, 0x61, 0xc2,
  0x99, 0x2f, 0x5e, 0xbc, 0x65, 0xca, 0x89, 0x0f, 0x1e, 0x3c, 0x78, 0xf0, 0xfd, 0xe7, 0xd3, 0xbb, 0x6b,
  0xd6, 0xb1, 0x7f, 0xfe, 0xe1, 0xdf, 0xa3, 0x5b, 0xb6, 0x71, 0xe2, 0xd9, 0xaf, 0x43, 0x86, 0x11, 0x22,
  0x44, 0x88, 0x0d, 0x1a, 0x34, 0x68, 0xd0, 0xbd, 0x67, 0xce, 0x81, 0x1f, 0x3e, 0x7c, 0xf8, 0xed, 0xc7,
  0x93, 0x3b, 0x76, 0xec, 0xc5, 0x97, 0x33, 0x66, 0xcc, 0x85, 0x17, 0x2e, 0x5c, 0xb8, 0x6d, 0xda, 0xa9,
  0x4f, 0x9e, 0x21, 0x42, 0x84, 0x15, 0x2a, 0x54, 0xa8, 0x4d, 0x9a, 0x29, 0x52, 0xa4, 0x55, 0xaa, 0x49,
  0x92, 0x39, 0x72, 0xe4, 0xd5, 0xb7, 0x73, 0xe6, 0xd1, 0xbf, 0x63, 0xc6, 0x91, 0x3f, 0x7e, 0xfc, 0xe5,
  0xd7, 0xb3, 0x7b, 0xf6, 0xf1, 0xff, 0xe3, 0xdb, 0xab, 0x4b, 0x96, 0x31, 0x62, 0xc4, 0x95, 0x37, 0x6e,
  0xdc, 0xa5, 0x57, 0xae, 0x41, 0x82, 0x19, 0x32, 0x64, 0xc8, 0x8d, 0x07, 0x0e, 0x1c, 0x38, 0x70, 0xe0,
  0xdd, 0xa7, 0x53, 0xa6, 0x51, 0xa2, 0x59, 0xb2, 0x79, 0xf2, 0xf9, 0xef, 0xc3, 0x9b, 0x2b, 0x56, 0xac,
  0x45, 0x8a, 0x09, 0x12, 0x24, 0x48, 0x90, 0x3d, 0x7a, 0xf4, 0xf5, 0xf7, 0xf3, 0xfb, 0xeb, 0xcb, 0x8b,
  0x0b, 0x16, 0x2c, 0x58, 0xb0, 0x7d, 0xfa, 0xe9, 0xcf, 0x83, 0x1b, 0x36, 0x6c, 0xd8, 0xad, 0x47, 0x8e,
};

static inline uint8_t
get_bit (const uint8_t *octets, unsigned i)
{
  return (octets[i / 8] >> (i % 8)) & 1;
}

/* ff for a bit of 1, 00 for 0. */
static inline uint8_t
mask_of (uint8_t bit)
{
  return (uint8_t)-bit;
}

/* ff where x is not 0. */
static inline uint8_t
mask_nonzero (uint8_t x)
{
  return mask_of ((uint8_t)(((uint32_t)0 - x) >> 31));
}

static uint8_t
field_multiply (uint8_t a, uint8_t b)
{
  uint8_t product = 0;

  for (unsigned i = 0; i < 8; i++)
    {
      product ^= a & mask_of ((b >> i) & 1);
      a = (uint8_t)((a << 1) ^ (0x1d & mask_of (a >> 7)));
    }
  return product;
}

void
gw_bch_encode (const uint8_t message[GW_BCH_MESSAGE_OCTETS], uint8_t codeword[GW_BCH_CODEWORD_OCTETS])
{
  uint64_t low = 0, high = 0;

  memset (codeword, 0, GW_BCH_CODEWORD_OCTETS);
  for (unsigned i = GW_BCH_K; i-- > 0;)
    {
      uint8_t bit = get_bit (message, i);
      uint64_t feedback = (uint64_t)0 - ((high >> (HALF_BITS - 1)) ^ bit);
      unsigned at = CHECK_BITS + i;

      high = ((high << 1) | (low >> (HALF_BITS - 1))) & HALF_MASK;
      low = (low << 1) & HALF_MASK;
      high ^= GENERATOR_HIGH & feedback;
      low ^= GENERATOR_LOW & feedback;
      codeword[at / 8] |= (uint8_t)(bit << (at % 8));
    }
  for (unsigned i = 0; i < CHECK_BITS; i++)
    {
      uint64_t half = i < HALF_BITS ? low : high;

      codeword[i / 8] |= (uint8_t)(((half >> (i % HALF_BITS)) & 1) << (i % 8));
    }
  mbedtls_platform_zeroize (&low, sizeof low);
  mbedtls_platform_zeroize (&high, sizeof high);
}

/* s[j] = r (alpha^j) for j = 1..36; the even ones are squares (the code is binary). Returns 00 where all are
 * 0. */
static uint8_t
compute_syndromes (const uint8_t *word, uint8_t s[N_SYNDROMES + 1])
{
  uint8_t any = 0;

  s[0] = 0;
  for (unsigned j = 1; j <= N_SYNDROMES; j += 2)
    {
      unsigned at = 0;
      uint8_t sum = 0;

      for (unsigned i = 0; i < GW_BCH_N; i++)
        {
          sum ^= power[at] & mask_of (get_bit (word, i));
          at = (at + j) % GW_BCH_N;
        }
      s[j] = sum;
      any |= sum;
    }
  for (unsigned j = 2; j <= N_SYNDROMES; j += 2)
    s[j] = field_multiply (s[j / 2], s[j / 2]);
  return mask_nonzero (any);
}

/* Berlekamp-Massey without inversion. `lambda` becomes the error locator up to a factor, cut off at x^18: it
 * loses something only where there are more errors than can be corrected. Its constant term is never 0. */
static void
find_locator (const uint8_t s[N_SYNDROMES + 1], uint8_t lambda[N_COEFFICIENTS])
{
  uint8_t before[N_COEFFICIENTS] = { 0, 1 }, gamma = 1;
  int32_t slack = 0; /* step - 2 * length */

  memset (lambda, 0, N_COEFFICIENTS);
  lambda[0] = 1;
  for (unsigned step = 0; step < N_SYNDROMES; step += 2)
    {
      uint8_t delta = 0, swap;
      int32_t swapped; /* -1 or 0: the register grows, slack becomes -slack; else slack + 2 */

      /* `before` already carries its factor x. Coefficients past the step have no syndrome yet. */
      for (unsigned i = 0; i < N_COEFFICIENTS && i <= step; i++)
        delta ^= field_multiply (lambda[i], s[step + 1 - i]);
      swap = mask_nonzero (delta) & (uint8_t)~mask_of ((uint8_t)((uint32_t)slack >> 31));
      swapped = -(int32_t)(swap & 1);

      for (unsigned i = N_COEFFICIENTS; i-- > 0;)
        {
          uint8_t old = lambda[i];

          lambda[i] = field_multiply (gamma, old) ^ field_multiply (delta, before[i]);
          before[i] = (old & swap) | (before[i] & (uint8_t)~swap);
        }
      gamma = (delta & swap) | (gamma & (uint8_t)~swap);
      slack = (slack ^ swapped) - swapped + (2 & ~swapped);

      /* The odd step changes nothing but the shift, so `before` gains x squared. */
      memmove (before + 2, before, N_COEFFICIENTS - 2);
      before[0] = before[1] = 0;
    }
}

/* Chien search: flips each bit whose position is a root, at most 18, and counts them. */
static unsigned
flip_roots (uint8_t lambda[N_COEFFICIENTS], uint8_t *word)
{
  unsigned n = 0;

  for (unsigned i = 0; i < GW_BCH_N; i++)
    {
      uint8_t sum = 0, root;

      for (unsigned k = 0; k < N_COEFFICIENTS; k++)
        sum ^= lambda[k];
      root = (uint8_t)~mask_nonzero (sum) & 1;
      word[i / 8] ^= (uint8_t)(root << (i % 8));
      n += root;

      /* lambda (alpha^-i) to lambda (alpha^-(i + 1)) */
      for (unsigned k = 1; k < N_COEFFICIENTS; k++)
        lambda[k] = field_multiply (lambda[k], power[GW_BCH_N - k]);
    }
  return n;
}

bool
gw_bch_decode (uint8_t codeword[GW_BCH_CODEWORD_OCTETS], unsigned *corrected)
{
  uint8_t syndromes[N_SYNDROMES + 1], lambda[N_COEFFICIENTS];
  unsigned roots;
  bool ok;

  codeword[GW_BCH_CODEWORD_OCTETS - 1] &= 0x7f;
  compute_syndromes (codeword, syndromes);
  find_locator (syndromes, lambda);
  roots = flip_roots (lambda, codeword);

  /* Not more than 18 bits were changed; what is left to ask is whether this is a codeword. */
  ok = compute_syndromes (codeword, syndromes) == 0;
  *corrected = ok ? roots : 0;
  return ok;
}

void
gw_bch_message (const uint8_t codeword[GW_BCH_CODEWORD_OCTETS], uint8_t message[GW_BCH_MESSAGE_OCTETS])
{
  memset (message, 0, GW_BCH_MESSAGE_OCTETS);
  for (unsigned i = 0; i < GW_BCH_K; i++)
    message[i / 8] |= (uint8_t)(get_bit (codeword, CHECK_BITS + i) << (i % 8));
}
