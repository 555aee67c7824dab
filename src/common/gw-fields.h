/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Messages as tables. A CBOR map with text keys is described once, field by field (key, kind, place in the
 * struct, bounds), and both its decoder and its encoder run over that table, so they cannot drift apart. Used
 * by the *-codec.c files only. Tables are nested at most one deep (maps in arrays), so the recursion over them
 * is bounded by the tables, never by the input.
 */

#include "gw-cbor.h"

#define GW_FIELDS_MAX 32u /* fields of one table */

typedef enum
{
  GW_FIELD_UINT,   /* uint8_t .. uint64_t by `size`; min..max */
  GW_FIELD_BOOL,   /* bool */
  GW_FIELD_NUMBER, /* double; integer or float on the wire */
  GW_FIELD_FIXED,  /* uint8_t[size] */
  GW_FIELD_BYTES,  /* GwBytes of min..max octets */
  GW_FIELD_TEXT,   /* GwText of at most max octets */
  GW_FIELD_VALUE,  /* GwValue */
  GW_FIELD_MAP,    /* a struct of table `sub` */
  GW_FIELD_UINTS,  /* array of uint8_t .. uint32_t by `size`, min..max of them; size_t count at `count` */
  GW_FIELD_MAPS,   /* array of structs of table `sub`, `size` octets each, at most max */
  GW_FIELD_LIST,   /* read by `read`; written by the caller; the last field */
} GwFieldKind;

/* Where the bool that tells presence is; or one of these. */
#define GW_FIELD_REQUIRED 0xffffu
#define GW_FIELD_DEFAULT 0xfffeu /* absent reads as 0 (or empty); 0 (or empty) is not written */

typedef struct GwFieldTable GwFieldTable;

typedef struct
{
  const char *key;
  GwFieldKind kind;
  uint16_t offset;
  uint16_t has;
  uint16_t size;
  uint16_t count;
  uint64_t min;
  uint64_t max;
  const GwFieldTable *sub;
  GwStatus (*read) (GwCborReader *r, void *member);
} GwField;

struct GwFieldTable
{
  const GwField *fields;
  size_t n;
};

#define GW_FIELD_AT(type, member) .offset = offsetof (type, member), .size = sizeof (((type *) 0)->member)
#define GW_FIELD_HAS(type, member) .has = offsetof (type, member)
#define GW_FIELD_NEEDED .has = GW_FIELD_REQUIRED
#define GW_FIELD_TABLE(fields_) { .fields = (fields_), .n = sizeof (fields_) / sizeof (fields_)[0] }

/* Reads one map into @out, which the caller has zeroed. */
GwStatus gw_fields_read (GwCborReader *r, const GwFieldTable *table, void *out);
/* Zeroes @out, reads the whole body. */
GwStatus gw_fields_decode (GwBytes body, const GwFieldTable *table, void *out, size_t size);
/* Writes the map of what is present in @in. Where the table ends with a GW_FIELD_LIST this ends right after its
 * array was opened: the caller adds the elements and a break. */
void gw_fields_encode (const GwFieldTable *table, const void *in, GwCborWriter *w);
