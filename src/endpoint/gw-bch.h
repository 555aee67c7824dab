/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* BCH(255,131,18): binary, narrow-sense, primitive, over GF(256) with x^8 + x^4 + x^3 + x^2 + 1.
 *
 * Systematic: bit i of a codeword is the coefficient of x^i; 0..123 are the check bits, 124..254 the message.
 * Bit i lies at (octet[i / 8] >> (i % 8)) & 1; bits past the end are 0. Encoder and decoder run in constant
 * time: no branch and no table index depends on the data, only on the parameters. No state, no errors but the
 * decoder's. */

#include <stdbool.h>
#include <stdint.h>

#define GW_BCH_N 255
#define GW_BCH_K 131
#define GW_BCH_T 18
#define GW_BCH_CODEWORD_OCTETS 32
#define GW_BCH_MESSAGE_OCTETS 17

/* Encodes message bits 0..130; higher bits of the last octet are ignored. */
void gw_bch_encode (const uint8_t message[GW_BCH_MESSAGE_OCTETS], uint8_t codeword[GW_BCH_CODEWORD_OCTETS]);

/* Corrects up to 18 wrong bits of `codeword` in place and says how many in *corrected. FALSE where no
 * codeword lies within 18 bits; then `codeword` is of no use and *corrected is 0. */
bool gw_bch_decode (uint8_t codeword[GW_BCH_CODEWORD_OCTETS], unsigned *corrected);

/* The message of a codeword. */
void gw_bch_message (const uint8_t codeword[GW_BCH_CODEWORD_OCTETS], uint8_t message[GW_BCH_MESSAGE_OCTETS]);
