/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* clang-format off */
/* The spool's file format (doc/spool.md). Whatever is on the disk is foreign: nothing here trusts a length,
 * and nothing allocates.
 *
 * A segment is a sequence of records without a header of its own, so that no single octet can make all of it
 * unreadable: what belongs to the whole is in its name. Integers are big-endian.
 *
 *    0  4  "GWR1"
 *    4  4  CRC-32C of: segment number (8), salt (8), offset in the file (4), then the record from octet 8 on
 *    8  4  payload length
 *   12  1  kind
 *   13  1  flags
 *   14  2  zero
 *   16  8  seq
 *   24  8  time, microseconds
 *   32  8  q
 *   40  4  boot
 *   44  4  lost: q skipped by the endpoint before this one
 *   48 32  key id
 *   80  .  payload
 *
 * The salt is random for each segment and never leaves the gateway: so neither an old record found at another
 * place nor one that an endpoint hid inside its payload can pass for a record when the search for the next
 * good one goes through damaged octets. */
/* clang-format on */

#define GW_SPOOL_HEADER_LEN 80u
#define GW_SPOOL_DROPS 8u /* counters kept in a state entry; more than GW_SPOOL_DROP_N, for later ones */
#define GW_SPOOL_ACK_LEN (40u + 8u * GW_SPOOL_DROPS)
#define GW_SPOOL_STATE_LEN (GW_SPOOL_ACK_LEN + 24u)
#define GW_SPOOL_STATES_MAX 512u /* entries in one ack or checkpoint record */
#define GW_SPOOL_RECORD_PAYLOAD_MAX 65536u
#define GW_SPOOL_NAME_LEN 31u /* "NNNNNNNNNN-SSSSSSSSSSSSSSSS.gws" */

typedef enum
{
  GW_SPOOL_RECORD_REPORT = 1,
  GW_SPOOL_RECORD_EVENT = 2,
  GW_SPOOL_RECORD_ACK = 3,        /* payload: ack entries; supersedes earlier ones of the same key id */
  GW_SPOOL_RECORD_CHECKPOINT = 4, /* payload: state entries. Of both, seq is the next one to be given */
} GwSpoolRecordKind;

#define GW_SPOOL_RECORD_CLOCK_INVALID 0x01u
#define GW_SPOOL_RECORD_LAST 0x40u  /* the last record of the checkpoint at a segment's head */
#define GW_SPOOL_RECORD_MOVED 0x80u /* a copy out of an older segment: no word on the last (boot, q) */

typedef struct
{
  uint64_t number; /* 1 .. 9999999999, increasing */
  uint64_t salt;
} GwSpoolSegmentId;

typedef struct
{
  uint32_t payload_len;
  uint8_t kind;
  uint8_t flags;
  uint64_t seq;
  int64_t time;
  uint64_t q;
  uint8_t boot[4];
  uint32_t lost;
  uint8_t kid[32];
} GwSpoolHeader;

/* An endpoint's state; an ack entry holds the first three. */
typedef struct
{
  uint8_t kid[32]; /* all zero: records whose owner is not known */
  uint64_t cursor; /* all with seq up to here have left the spool */
  uint64_t dropped[GW_SPOOL_DROPS];
  bool has_last;
  uint8_t boot[4];
  uint64_t q;
  uint64_t lost;
} GwSpoolState;

/* Octets of the whole record. */
size_t gw_spool_codec_size (const GwSpoolHeader *header);

/* Writes header and payload (header->payload_len octets) to out, which has room for gw_spool_codec_size ().
 */
void gw_spool_codec_encode (const GwSpoolSegmentId *id,
                            uint32_t offset,
                            const GwSpoolHeader *header,
                            const void *payload,
                            uint8_t *out);

/* Reads the record that begins at data and, in the file, at offset. Returns its size and borrows payload from
 * data, or 0 if there is no good record. */
size_t gw_spool_codec_decode (const GwSpoolSegmentId *id,
                              uint32_t offset,
                              const uint8_t *data,
                              size_t len,
                              GwSpoolHeader *out,
                              const uint8_t **payload);

/* The next place at or after from where a record may begin; len if there is none. */
size_t gw_spool_codec_find (const uint8_t *data, size_t len, size_t from);

/* State and ack entries: decode returns false if i is past the last whole entry. */
void gw_spool_codec_put_ack (const GwSpoolState *state, uint8_t out[GW_SPOOL_ACK_LEN]);
void gw_spool_codec_put_state (const GwSpoolState *state, uint8_t out[GW_SPOOL_STATE_LEN]);
bool gw_spool_codec_get_ack (const uint8_t *payload, size_t len, size_t i, GwSpoolState *out);
bool gw_spool_codec_get_state (const uint8_t *payload, size_t len, size_t i, GwSpoolState *out);

/* File names. parse refuses everything that print would not have made. */
void gw_spool_codec_print_name (const GwSpoolSegmentId *id, char out[GW_SPOOL_NAME_LEN + 1]);
bool gw_spool_codec_parse_name (const char *name, GwSpoolSegmentId *out);

/* CRC-32C (Castagnoli; RFC 3720, appendix B.4): begin with 0, feed on. */
uint32_t gw_spool_codec_crc32c (uint32_t crc, const void *data, size_t len);
