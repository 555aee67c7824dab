/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A bounds-checked reader of big- and little-endian binary fields. It never runs past its end: the first read
 * that does marks it failed, and from then on everything reads as zero; so a parser reads a whole header and
 * asks gw_reader_ok() once. The buffer is borrowed.
 */

#include "gw-cbor.h"

typedef struct
{
  const uint8_t *ptr;
  size_t left;
  bool failed;
} GwReader;

void gw_reader_init (GwReader *r, const void *buf, size_t len);
bool gw_reader_ok (const GwReader *r);
uint8_t gw_reader_u8 (GwReader *r);
uint16_t gw_reader_u16be (GwReader *r);
uint32_t gw_reader_u32be (GwReader *r);
uint64_t gw_reader_u64be (GwReader *r);
uint16_t gw_reader_u16le (GwReader *r);
uint32_t gw_reader_u32le (GwReader *r);
/* Borrowed octets; {NULL, 0} once failed. */
GwBytes gw_reader_bytes (GwReader *r, size_t len);
GwBytes gw_reader_rest (GwReader *r);
/* Copies into @out, zeroed once failed. */
void gw_reader_copy (GwReader *r, void *out, size_t len);

void gw_put_u16be (uint8_t *out, uint16_t v);
void gw_put_u32be (uint8_t *out, uint32_t v);
void gw_put_u64be (uint8_t *out, uint64_t v);
