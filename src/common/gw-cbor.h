/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * CBOR (RFC 8949) without allocation: a pull reader over libcbor's streaming decoder, one head per call, and a
 * writer over its encoders into a buffer of the caller. Strings are borrowed: they point into the reader's
 * buffer and live as long as it does. Maps and arrays may be indefinite, strings may not; canonical form is
 * not asked for; tags are refused (GW_E_UNSUPPORTED) since no message has any. Nothing recurses on the input's depth.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gw-protocol.h"
#include "gw-status.h"

/* Borrowed octets. */
typedef struct
{
  const uint8_t *ptr;
  size_t len;
} GwBytes;

/* Borrowed text: UTF-8 without control characters once decoded by us, *not* terminated. */
typedef struct
{
  const char *ptr;
  size_t len;
} GwText;

/* A GwText of a C string. */
GwText gw_text (const char *s);
bool gw_text_equal (GwText t, const char *s);
/* Copies @t with a terminator into @out, cutting nothing: GW_E_SPACE if it does not fit. */
GwStatus gw_text_copy (GwText t, char *out, size_t size);
/* UTF-8 (RFC 3629: no surrogates, shortest form) without C0, DEL and C1 control characters. */
bool gw_text_is_clean (const char *s, size_t len);

/* ---- Values of points ---- */

typedef enum
{
  GW_VALUE_NONE = 0,
  GW_VALUE_BOOL = GW_DATA_TYPE_BOOL,
  GW_VALUE_INT = GW_DATA_TYPE_INT,
  GW_VALUE_FLOAT = GW_DATA_TYPE_FLOAT, /* never NaN or infinite */
  GW_VALUE_TEXT = GW_DATA_TYPE_TEXT,
  GW_VALUE_BYTES = GW_DATA_TYPE_BYTES,
} GwValueType;

/* One value; texts and octets are borrowed and at most GW_DATA_VALUE_MAX octets once decoded. */
typedef struct
{
  GwValueType type;
  union
  {
    bool b;
    int64_t i;
    double d;
    GwText text;
    GwBytes bytes;
  };
} GwValue;

GwValue gw_value_bool (bool b);
GwValue gw_value_int (int64_t i);
GwValue gw_value_float (double d);
GwValue gw_value_text (const char *s);
GwValue gw_value_bytes (const void *ptr, size_t len);
bool gw_value_equal (const GwValue *a, const GwValue *b);
/* INT and FLOAT as a number; false for the other types. */
bool gw_value_number (const GwValue *v, double *out);

/* ---- Reader ---- */

typedef enum
{
  GW_CBOR_UINT,  /* .u */
  GW_CBOR_NINT,  /* .u holds n of -1 - n */
  GW_CBOR_BYTES, /* .bytes */
  GW_CBOR_TEXT,  /* .text, not yet checked */
  GW_CBOR_ARRAY, /* .u elements, or .indefinite */
  GW_CBOR_MAP,   /* .u pairs, or .indefinite */
  GW_CBOR_BOOL,  /* .b */
  GW_CBOR_FLOAT, /* .d; half and single are widened */
  GW_CBOR_NULL,
  GW_CBOR_UNDEFINED,
  GW_CBOR_BREAK,
} GwCborType;

typedef struct
{
  GwCborType type;
  bool indefinite;
  union
  {
    uint64_t u;
    bool b;
    double d;
    GwBytes bytes;
    GwText text;
  };
} GwCborItem;

typedef struct
{
  const uint8_t *buf;
  size_t len;
  size_t pos; /* of the next head */
} GwCborReader;

/* Elements (pairs, in a map) yet to come of a container that was entered. */
typedef struct
{
  uint64_t left;
  bool indefinite;
} GwCborSpan;

/* @buf is borrowed. */
void gw_cbor_reader_init (GwCborReader *r, const void *buf, size_t len);
size_t gw_cbor_reader_left (const GwCborReader *r);

/* Reads one head (and a string's octets). On failure the position stays where it was.
 * GW_E_TRUNCATED, GW_E_MALFORMED (also simple values other than those below), GW_E_UNSUPPORTED (tags,
 * indefinite strings). */
GwStatus gw_cbor_next (GwCborReader *r, GwCborItem *item);
/* Skips one whole item, nested no deeper than GW_CBOR_DEPTH_MAX (GW_E_LIMIT). */
GwStatus gw_cbor_skip (GwCborReader *r);

/* Enters a container. GW_E_TYPE if the next item is another. */
GwStatus gw_cbor_read_map (GwCborReader *r, GwCborSpan *span);
GwStatus gw_cbor_read_array (GwCborReader *r, GwCborSpan *span);
/* 1: an element (a pair) follows and was counted; 0: the container has ended, a break eaten; negative: error. */
int gw_cbor_span_next (GwCborReader *r, GwCborSpan *span);
/* GW_OK if everything was read, else GW_E_MALFORMED. */
GwStatus gw_cbor_read_end (const GwCborReader *r);

/* Typed reads of the next item; GW_E_TYPE if it is another, GW_E_RANGE if it does not fit. */
GwStatus gw_cbor_read_uint (GwCborReader *r, uint64_t max, uint64_t *out);
GwStatus gw_cbor_read_int (GwCborReader *r, int64_t *out);
GwStatus gw_cbor_read_bool (GwCborReader *r, bool *out);
GwStatus gw_cbor_read_number (GwCborReader *r, double *out); /* integer or finite float */
GwStatus gw_cbor_read_bytes (GwCborReader *r, size_t min, size_t max, GwBytes *out); /* GW_E_LIMIT */
GwStatus gw_cbor_read_text (GwCborReader *r, size_t max, GwText *out); /* GW_E_LIMIT, GW_E_TEXT */
GwStatus gw_cbor_read_value (GwCborReader *r, GwValue *out);

/* ---- Writer ---- */

/* Once something did not fit, status stays GW_E_SPACE and nothing more is written: check it once at the end. */
typedef struct
{
  uint8_t *buf;
  size_t size;
  size_t len;
  GwStatus status;
} GwCborWriter;

void gw_cbor_writer_init (GwCborWriter *w, void *buf, size_t size);
/* Takes back everything written since @len, a former w->len, and the overflow if there was one since. */
void gw_cbor_writer_rewind (GwCborWriter *w, size_t len);

void gw_cbor_put_uint (GwCborWriter *w, uint64_t u);
void gw_cbor_put_int (GwCborWriter *w, int64_t i);
void gw_cbor_put_bool (GwCborWriter *w, bool b);
void gw_cbor_put_null (GwCborWriter *w);
/* The shorter of single and double that holds @d exactly. Not finite: GW_E_INVALID. */
void gw_cbor_put_float (GwCborWriter *w, double d);
/* As an integer where @d is one of at most 53 bits, else as gw_cbor_put_float. */
void gw_cbor_put_number (GwCborWriter *w, double d);
void gw_cbor_put_bytes (GwCborWriter *w, const void *ptr, size_t len);
void gw_cbor_put_text (GwCborWriter *w, GwText t);
void gw_cbor_put_key (GwCborWriter *w, const char *key);
void gw_cbor_put_value (GwCborWriter *w, const GwValue *v); /* GW_VALUE_NONE: GW_E_INVALID */
void gw_cbor_begin_map (GwCborWriter *w, size_t pairs);
void gw_cbor_begin_array (GwCborWriter *w, size_t elements);
void gw_cbor_begin_map_indefinite (GwCborWriter *w);
void gw_cbor_begin_array_indefinite (GwCborWriter *w);
void gw_cbor_put_break (GwCborWriter *w);
