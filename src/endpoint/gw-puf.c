/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Enrolment and reconstruction. Code bit i of block b, copy r, lies in cell 510 r + 255 b + i: the copies of
 * a bit are far apart, so cells that misbehave together cost many bits one copy each instead of one bit all
 * of its own. What depends on the cells is wiped before return; nothing branches on them but success and the
 * health counters, which are public. */

#include "gw-puf.h"

#include <string.h>

#include <mbedtls/hkdf.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>

#include "gw-bch.h"
#include "gw-puf-codec.h"
#include "gw-status.h"

#define STRIDE (GW_PUF_BLOCKS * GW_BCH_N)
#define BIAS_CHUNK 128 /* octets read at once for the bias */

typedef struct
{
  uint8_t cells[GW_PUF_CELL_OCTETS];
  uint8_t codewords[GW_PUF_BLOCKS][GW_BCH_CODEWORD_OCTETS];
  uint8_t message[GW_BCH_MESSAGE_OCTETS];
  uint8_t secret[GW_PUF_SECRET_OCTETS];
} Work;

static inline uint8_t
get_bit (const uint8_t *octets, unsigned i)
{
  return (octets[i / 8] >> (i % 8)) & 1;
}

static inline void
xor_bit (uint8_t *octets, unsigned i, uint8_t bit)
{
  octets[i / 8] ^= (uint8_t)(bit << (i % 8));
}

/* Ones in 10,000 of the region's first cells. */
static int
measure_bias (const GwEpPlatform *platform, uint16_t *bias)
{
  size_t octets = platform->puf_octets < GW_PUF_BIAS_CELLS / 8 ? platform->puf_octets : GW_PUF_BIAS_CELLS / 8;
  uint8_t chunk[BIAS_CHUNK];
  uint32_t ones = 0;
  int rc = GW_OK;

  for (size_t at = 0; at < octets && rc == GW_OK; at += BIAS_CHUNK)
    {
      size_t n = octets - at < BIAS_CHUNK ? octets - at : BIAS_CHUNK;

      rc = platform->puf_read (platform->ctx, at, chunk, n);
      for (size_t i = 0; i < 8 * n && rc == GW_OK; i++)
        ones += get_bit (chunk, (unsigned)i);
    }
  mbedtls_platform_zeroize (chunk, sizeof chunk);
  *bias = (uint16_t)((uint64_t)ones * 10000 / (octets * 8));
  return rc;
}

/* XORs the repeated codewords onto the cells: cells -> offsets, or offsets xor cells -> errors. */
static void
xor_codewords (uint8_t *cells, uint8_t codewords[GW_PUF_BLOCKS][GW_BCH_CODEWORD_OCTETS])
{
  for (unsigned r = 0; r < GW_PUF_REPETITION; r++)
    for (unsigned b = 0; b < GW_PUF_BLOCKS; b++)
      for (unsigned i = 0; i < GW_BCH_N; i++)
        xor_bit (cells, r * STRIDE + b * GW_BCH_N + i, get_bit (codewords[b], i));
}

int
gw_puf_enrol (const GwEpPlatform *platform)
{
  GwPufHelper helper = { 0 };
  uint8_t stored[GW_PUF_HELPER_LEN];
  size_t len;
  Work work;
  int rc;

  rc = platform->nv_read (platform->ctx, GW_EP_NV_HELPER, stored, sizeof stored, &len);
  if (rc != GW_E_NOT_FOUND)
    return rc == GW_OK || rc == GW_E_SPACE ? GW_E_STATE : rc;
  if (platform->puf_octets < GW_PUF_CELL_OCTETS)
    return GW_E_INVALID;

  rc = measure_bias (platform, &helper.bias);
  if (rc != GW_OK)
    return rc;
  if (helper.bias < GW_PUF_BIAS_MIN || helper.bias > GW_PUF_BIAS_MAX)
    return GW_E_PUF;

  memset (&work, 0, sizeof work);
  for (unsigned b = 0; b < GW_PUF_BLOCKS && rc == GW_OK; b++)
    {
      rc = platform->random (platform->ctx, work.message, sizeof work.message);
      gw_bch_encode (work.message, work.codewords[b]);
    }
  if (rc == GW_OK)
    rc = platform->puf_read (platform->ctx, 0, work.cells, sizeof work.cells);
  if (rc == GW_OK)
    {
      work.cells[GW_PUF_CELL_OCTETS - 1] &= 0xff >> (8 * GW_PUF_CELL_OCTETS - GW_PUF_CELLS);
      xor_codewords (work.cells, work.codewords);
      memcpy (helper.offsets, work.cells, sizeof helper.offsets);
      gw_puf_helper_encode (&helper, stored);
      rc = platform->nv_write (platform->ctx, GW_EP_NV_HELPER, stored, sizeof stored);
    }
  mbedtls_platform_zeroize (&work, sizeof work);
  return rc;
}

/* Majority of the copies of each bit of block `b`, into `word`. */
static void
vote (const uint8_t *noisy, unsigned b, uint8_t word[GW_BCH_CODEWORD_OCTETS])
{
  memset (word, 0, GW_BCH_CODEWORD_OCTETS);
  for (unsigned i = 0; i < GW_BCH_N; i++)
    {
      unsigned ones = 0;

      for (unsigned r = 0; r < GW_PUF_REPETITION; r++)
        ones += get_bit (noisy, r * STRIDE + b * GW_BCH_N + i);
      /* 1 for 3..5 ones: ones + 5 reaches 8 exactly then. */
      xor_bit (word, i, (uint8_t)((ones + 5) >> 3));
    }
}

/* Offsets in, secret out; fills the counters of `health`. work->cells holds the cells of this power-up. */
static bool
recover (const GwPufHelper *helper, Work *work, GwPufHealth *health)
{
  bool ok = true;

  for (unsigned i = 0; i < GW_PUF_CELL_OCTETS; i++)
    work->cells[i] ^= helper->offsets[i];
  work->cells[GW_PUF_CELL_OCTETS - 1] &= 0xff >> (8 * GW_PUF_CELL_OCTETS - GW_PUF_CELLS);

  for (unsigned b = 0; b < GW_PUF_BLOCKS; b++)
    {
      unsigned corrected;

      vote (work->cells, b, work->codewords[b]);
      ok &= gw_bch_decode (work->codewords[b], &corrected);
      if (corrected > health->worst_block)
        health->worst_block = (uint8_t)corrected;

      gw_bch_message (work->codewords[b], work->message);
      for (unsigned i = 0; i < GW_BCH_K; i++)
        xor_bit (work->secret, b * GW_BCH_K + i, get_bit (work->message, i));
    }
  if (!ok)
    return false;

  xor_codewords (work->cells, work->codewords);
  for (unsigned i = 0; i < GW_PUF_CELLS; i++)
    health->fixed += get_bit (work->cells, i);
  return true;
}

int
gw_puf_reconstruct (const GwEpPlatform *platform, uint8_t prk[GW_PUF_PRK_OCTETS], GwPufHealth *health)
{
  GwPufHealth unused;
  GwPufHelper helper;
  uint8_t stored[GW_PUF_HELPER_LEN], salt[32];
  size_t len;
  Work work;
  int rc;

  health = health ? health : &unused;
  *health = (GwPufHealth){ .max = GW_PUF_FIX_MAX };
  rc = platform->nv_read (platform->ctx, GW_EP_NV_HELPER, stored, sizeof stored, &len);
  if (rc != GW_OK)
    return rc == GW_E_SPACE ? GW_E_CHECK : rc;
  if (gw_puf_helper_decode (stored, len, &helper) != GW_OK)
    return GW_E_CHECK;
  health->bias = helper.bias;

  memset (&work, 0, sizeof work);
  rc = platform->puf_read (platform->ctx, 0, work.cells, sizeof work.cells);
  if (rc == GW_OK && !recover (&helper, &work, health))
    rc = GW_E_PUF;
  if (rc == GW_OK && mbedtls_sha256_ret (stored, sizeof stored, salt, 0) != 0)
    rc = GW_E_CRYPTO;
  if (rc == GW_OK
      && mbedtls_hkdf_extract (mbedtls_md_info_from_type (MBEDTLS_MD_SHA256), salt, sizeof salt, work.secret,
                               sizeof work.secret, prk)
             != 0)
    rc = GW_E_CRYPTO;
  mbedtls_platform_zeroize (&work, sizeof work);
  health->ok = rc == GW_OK;
  return rc;
}
