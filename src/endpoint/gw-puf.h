/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The fuzzy extractor: a stable secret out of the power-up state of 2,550 SRAM cells.
 *
 * Code-offset construction (Dodis, Ostrovsky, Reyzin, Smith 2008, section 4) over two blocks of
 * BCH(255,131,18), each code bit repeated five times. The helper data are public; the secret is never stored.
 * No state of its own: everything goes through the platform (puf_read, nv_read, nv_write). Outputs belong to
 * the caller, who wipes them. */

#include "gw-ep-platform.h"

#define GW_PUF_BLOCKS 2
#define GW_PUF_REPETITION 5
#define GW_PUF_CELLS (GW_PUF_BLOCKS * GW_PUF_REPETITION * 255) /* 2,550 */
#define GW_PUF_CELL_OCTETS ((GW_PUF_CELLS + 7) / 8)            /* 319 */
#define GW_PUF_SECRET_BITS (GW_PUF_BLOCKS * 131)               /* 262 */
#define GW_PUF_SECRET_OCTETS 33
#define GW_PUF_PRK_OCTETS 32

/* Cells looked at for bias at enrolment, at most; and the share of ones accepted, in 1/10,000. */
#define GW_PUF_BIAS_CELLS 65536u
#define GW_PUF_BIAS_MIN 4850u
#define GW_PUF_BIAS_MAX 5150u

/* Corrected cells from which the chip counts as worn: 15 %, where a block fails with 7e-5. */
#define GW_PUF_FIX_MAX 382u

typedef struct
{
  bool ok;             /* the last reconstruction succeeded */
  uint16_t fixed;      /* cells that differed from the enrolled ones: `fix` of gw_ident info */
  uint16_t max;        /* GW_PUF_FIX_MAX: `max` of gw_ident info */
  uint8_t worst_block; /* code bits the BCH decoder corrected in its worse block, 0..18 */
  uint16_t bias;       /* ones in 10,000 at enrolment, from the helper data */
} GwPufHealth;

/* Enrols these cells: draws a codeword, writes the helper data. GW_E_STATE if helper data are there already,
 * damaged or not (the same cells never get a second codeword); GW_E_PUF where the bias is out of bounds;
 * flash and entropy errors as they come. */
int gw_puf_enrol (const GwEpPlatform *platform);

/* Reconstructs at this power-up: prk = HKDF-Extract (salt = SHA-256 of the helper data, secret).
 * GW_E_NOT_FOUND if never enrolled, GW_E_CHECK for damaged helper data, GW_E_PUF where the cells are too
 * far off. `health` (may be NULL) is filled in every case. */
int gw_puf_reconstruct (const GwEpPlatform *platform, uint8_t prk[GW_PUF_PRK_OCTETS], GwPufHealth *health);
