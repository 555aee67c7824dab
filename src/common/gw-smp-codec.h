/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * SMP v2 messages: an 8-octet big-endian header and one CBOR map. One datagram, or one DTLS record, is one
 * message. Writing goes in place into the caller's buffer:
 *
 *   GwCborWriter w;
 *   gw_smp_begin (&w, buf, sizeof buf, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, seq, GW_LINK_START);
 *   gw_link_start_encode (&start, &w);
 *   st = gw_smp_end (&w, &len);
 *
 * Typed bodies are `st = gw_*_decode (body, &message)` and `gw_*_encode (&message, &w)` here and in the gw-link,
 * gw-ident and gw-data codecs. For all of them: unknown fields are skipped, a field that occurs twice is
 * GW_E_DUPLICATE, an absent one GW_E_MISSING; what is decoded borrows from the body; an encoder does not check
 * ranges (its own program's values), only space. Messages without fields use gw_smp_empty_*.
 */

#include "gw-cbor.h"

typedef struct
{
  uint8_t op;      /* GW_SMP_OP_ */
  uint8_t flags;   /* no meaning; ignored when read, written 0 */
  uint16_t group;
  uint8_t seq;
  uint8_t command; /* GW_SMP_OS_ and so on, by group */
  GwBytes body;    /* borrowed */
} GwSmpMessage;

typedef enum
{
  GW_DATAGRAM_OTHER, /* drop */
  GW_DATAGRAM_DTLS,
  GW_DATAGRAM_SMP_REQUEST,
  GW_DATAGRAM_SMP_RESPONSE,
} GwDatagramKind;

/* What a datagram in the clear is, by its first octet. Empty: GW_DATAGRAM_OTHER. */
GwDatagramKind gw_datagram_kind (const uint8_t *data, size_t len);

/* Octets of the whole DTLS records at the start of a datagram: 0 where not even the first is whole. GnuTLS waits for
 * the rest of a record that claims to be longer than its datagram, and takes it from the datagrams that follow. */
size_t gw_datagram_whole_records (const uint8_t *data, size_t len);

/* GW_E_TRUNCATED, GW_E_MALFORMED (length field), GW_E_UNSUPPORTED (not SMP v2). Does not look into the body. */
GwStatus gw_smp_decode (const uint8_t *data, size_t len, GwSmpMessage *msg);
bool gw_smp_is_request (const GwSmpMessage *msg);
/* Whether @rsp answers a request of that op (READ or WRITE), group, seq and command. */
bool gw_smp_answers (const GwSmpMessage *rsp, uint8_t op, uint16_t group, uint8_t seq, uint8_t command);

/* Starts a message at @buf; the body follows by the CBOR calls. */
void gw_smp_begin (GwCborWriter *w, void *buf, size_t size, uint8_t op, uint16_t group, uint8_t seq, uint8_t command);
/* Starts the response to @req. */
void gw_smp_begin_response (GwCborWriter *w, void *buf, size_t size, const GwSmpMessage *req);
/* Fills the length in; *@len is the whole message. Returns the writer's status, GW_E_INVALID without a body. */
GwStatus gw_smp_end (GwCborWriter *w, size_t *len);

/* The result that a response carries. */
typedef struct
{
  bool in_group;  /* rc counts in `group`, else it is one of GW_SMP_RC_ */
  uint16_t group;
  uint16_t rc;    /* 0: success */
  GwText reason;  /* may be empty */
} GwSmpResult;

/* Reads `rc`, `err` and `rsn` of any response body; everything else is skipped, but must be well-formed. */
GwStatus gw_smp_result_decode (GwBytes body, GwSmpResult *out);
/* The body of an error. */
void gw_smp_result_encode (const GwSmpResult *in, GwCborWriter *w);
/* Whole error messages in answer to @req: a top-level rc, and one of the request's own group. */
GwStatus gw_smp_error (const GwSmpMessage *req, uint16_t rc, void *buf, size_t size, size_t *len);
GwStatus gw_smp_group_error (const GwSmpMessage *req, uint16_t rc, void *buf, size_t size, size_t *len);
/* "access denied" ...: a static text for a top-level rc. */
const char *gw_smp_rc_text (uint16_t rc);

/* Any map: {} and what is not looked at. */
GwStatus gw_smp_empty_decode (GwBytes body);
void gw_smp_empty_encode (GwCborWriter *w);

/* os echo: {d} -> {r} */
typedef struct
{
  GwText text;
} GwSmpEcho;
GwStatus gw_smp_echo_req_decode (GwBytes body, GwSmpEcho *out);
void gw_smp_echo_req_encode (const GwSmpEcho *in, GwCborWriter *w);
GwStatus gw_smp_echo_rsp_decode (GwBytes body, GwSmpEcho *out);
void gw_smp_echo_rsp_encode (const GwSmpEcho *in, GwCborWriter *w);

/* os params: {} -> {buf_size, buf_count} */
typedef struct
{
  uint32_t buf_size;
  uint32_t buf_count;
} GwSmpParams;
GwStatus gw_smp_params_rsp_decode (GwBytes body, GwSmpParams *out);
void gw_smp_params_rsp_encode (const GwSmpParams *in, GwCborWriter *w);

/* os info: {format?} -> {output} */
typedef struct
{
  bool has_format;
  GwText format;
} GwSmpInfoReq;
typedef struct
{
  GwText output;
} GwSmpInfoRsp;
GwStatus gw_smp_info_req_decode (GwBytes body, GwSmpInfoReq *out);
void gw_smp_info_req_encode (const GwSmpInfoReq *in, GwCborWriter *w);
GwStatus gw_smp_info_rsp_decode (GwBytes body, GwSmpInfoRsp *out);
void gw_smp_info_rsp_encode (const GwSmpInfoRsp *in, GwCborWriter *w);

/* os reset: {force?, boot_mode?} -> {} */
typedef struct
{
  bool has_force;
  bool force; /* an integer on the wire: 0 or 1 */
  bool has_boot_mode;
  uint8_t boot_mode;
} GwSmpReset;
GwStatus gw_smp_reset_decode (GwBytes body, GwSmpReset *out);
void gw_smp_reset_encode (const GwSmpReset *in, GwCborWriter *w);

/* enum details: {groups?: [id]} -> {groups: [{group, name?, handlers?}]}. We ask for all and look for names. */
typedef struct
{
  size_t n_groups; /* 0: all */
  uint16_t groups[GW_SMP_GROUPS_MAX];
} GwSmpEnumReq;
typedef struct
{
  uint16_t group;
  bool has_name;
  GwText name;
  bool has_handlers;
  uint32_t handlers;
} GwSmpEnumGroup;
typedef struct
{
  size_t n_groups;
  GwSmpEnumGroup groups[GW_SMP_GROUPS_MAX];
} GwSmpEnumRsp;
GwStatus gw_smp_enum_req_decode (GwBytes body, GwSmpEnumReq *out);
void gw_smp_enum_req_encode (const GwSmpEnumReq *in, GwCborWriter *w);
GwStatus gw_smp_enum_rsp_decode (GwBytes body, GwSmpEnumRsp *out);
void gw_smp_enum_rsp_encode (const GwSmpEnumRsp *in, GwCborWriter *w);
/* GW_E_NOT_FOUND if no group has that name. */
GwStatus gw_smp_enum_find (const GwSmpEnumRsp *rsp, const char *name, uint16_t *group);
