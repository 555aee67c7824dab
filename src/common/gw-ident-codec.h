/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Bodies of gw_ident (default group 0x5101), inside DTLS. See gw-smp-codec.h for what all the decoders and
 * encoders have in common. Requests without fields (info, nonce) and answers without fields (wipe, identify)
 * are the empty map.
 *
 * Objects longer than a message (CSR, certificate, voucher, attestation token) travel in chunks by offset.
 * Sending one: the first chunk (off 0) also carries `len` and `sha` of the whole; the `off` that comes back is
 * where to go on and is authoritative. Fetching one: ask by off, go on at off + the chunk's length until `len`.
 */

#include "gw-link-codec.h"

typedef struct
{
  uint8_t slot;
  uint64_t generation;
  uint8_t kid[GW_KEY_ID_LEN]; /* SHA-256 of the slot's SubjectPublicKeyInfo */
  bool has_certificate;
  bool has_not_after;
  uint64_t not_after; /* UNIX seconds */
} GwIdentSlot;

typedef struct
{
  bool ok;
  uint32_t fixed; /* bits corrected at the last reconstruction */
  uint32_t max;   /* bits that can be corrected */
} GwIdentPuf;

typedef struct
{
  GwLinkHello hello;    /* every field but the nonce */
  GwText root_of_trust; /* GW_IDENT_ROT_ */
  bool has_owner;
  uint8_t owner[GW_SHA256_LEN]; /* SHA-256 of the owner CA's SubjectPublicKeyInfo */
  uint64_t uptime_ms;
  uint64_t generation;
  size_t n_slots;
  GwIdentSlot slots[GW_IDENT_SLOTS_MAX];
  bool has_puf; /* where the root of trust is one */
  GwIdentPuf puf;
} GwIdentInfo;

typedef struct
{
  uint8_t slot; /* 0 .. GW_IDENT_SLOT_MAX, as everywhere */
  uint64_t generation;
  uint32_t off;
} GwIdentCsrReq;

/* A chunk that was asked for: csr, cert get and attest answer by it. */
typedef struct
{
  uint32_t len; /* of the whole, 1 .. GW_IDENT_OBJECT_MAX; off + data.len is at most this */
  uint32_t off;
  GwBytes data; /* may be empty only where off = len */
} GwIdentChunk;

/* A chunk that is sent. */
typedef struct
{
  uint32_t off;
  GwBytes data;
  bool has_len; /* has_len and has_sha: both, at off 0; off 0 without them is GW_E_MISSING */
  uint32_t len;
  bool has_sha;
  uint8_t sha[GW_SHA256_LEN];
} GwIdentPart;

typedef struct
{
  uint8_t slot;
  GwIdentPart part;
} GwIdentCertPut;

typedef struct
{
  uint8_t kind; /* GW_IDENT_ANCHOR_ */
  GwIdentPart part;
} GwIdentAnchor;

/* The answer to cert put and anchor. */
typedef struct
{
  uint32_t off;
} GwIdentOffset;

typedef struct
{
  uint8_t slot;
  uint32_t off;
} GwIdentCertGet;

typedef struct
{
  uint8_t mode; /* GW_IDENT_OWN_ */
  uint8_t sha[GW_SHA256_LEN];
} GwIdentOwnReq;

typedef struct
{
  uint8_t state; /* GW_LINK_STATE_ */
} GwIdentOwnRsp;

typedef struct
{
  uint8_t nonce[GW_IDENT_NONCE_LEN];
} GwIdentNonce;

typedef struct
{
  uint8_t slot;
  uint64_t generation;
  GwBytes transcript_hash; /* 32 or 48 octets */
} GwIdentSignReq;

typedef struct
{
  GwBytes signature; /* DER, at most GW_IDENT_SIG_MAX; not parsed here */
} GwIdentSignRsp;

typedef struct
{
  GwBytes nonce; /* GW_IDENT_EAT_NONCE_MIN .. _MAX octets */
  uint32_t off;  /* absent means 0 */
} GwIdentAttestReq;

typedef struct
{
  uint8_t level; /* GW_IDENT_WIPE_ */
} GwIdentWipe;

typedef struct
{
  uint32_t ms; /* at most GW_IDENT_IDENTIFY_MAX_MS */
} GwIdentIdentify;

GwStatus gw_ident_info_decode (GwBytes body, GwIdentInfo *out);
void gw_ident_info_encode (const GwIdentInfo *in, GwCborWriter *w);
GwStatus gw_ident_csr_req_decode (GwBytes body, GwIdentCsrReq *out);
void gw_ident_csr_req_encode (const GwIdentCsrReq *in, GwCborWriter *w);
GwStatus gw_ident_csr_rsp_decode (GwBytes body, GwIdentChunk *out);
void gw_ident_csr_rsp_encode (const GwIdentChunk *in, GwCborWriter *w);
GwStatus gw_ident_cert_put_decode (GwBytes body, GwIdentCertPut *out);
void gw_ident_cert_put_encode (const GwIdentCertPut *in, GwCborWriter *w);
GwStatus gw_ident_cert_get_req_decode (GwBytes body, GwIdentCertGet *out);
void gw_ident_cert_get_req_encode (const GwIdentCertGet *in, GwCborWriter *w);
GwStatus gw_ident_cert_get_rsp_decode (GwBytes body, GwIdentChunk *out);
void gw_ident_cert_get_rsp_encode (const GwIdentChunk *in, GwCborWriter *w);
GwStatus gw_ident_anchor_decode (GwBytes body, GwIdentAnchor *out);
void gw_ident_anchor_encode (const GwIdentAnchor *in, GwCborWriter *w);
GwStatus gw_ident_offset_decode (GwBytes body, GwIdentOffset *out);
void gw_ident_offset_encode (const GwIdentOffset *in, GwCborWriter *w);
GwStatus gw_ident_own_req_decode (GwBytes body, GwIdentOwnReq *out);
void gw_ident_own_req_encode (const GwIdentOwnReq *in, GwCborWriter *w);
GwStatus gw_ident_own_rsp_decode (GwBytes body, GwIdentOwnRsp *out);
void gw_ident_own_rsp_encode (const GwIdentOwnRsp *in, GwCborWriter *w);
GwStatus gw_ident_nonce_decode (GwBytes body, GwIdentNonce *out);
void gw_ident_nonce_encode (const GwIdentNonce *in, GwCborWriter *w);
GwStatus gw_ident_sign_req_decode (GwBytes body, GwIdentSignReq *out);
void gw_ident_sign_req_encode (const GwIdentSignReq *in, GwCborWriter *w);
GwStatus gw_ident_sign_rsp_decode (GwBytes body, GwIdentSignRsp *out);
void gw_ident_sign_rsp_encode (const GwIdentSignRsp *in, GwCborWriter *w);
GwStatus gw_ident_attest_req_decode (GwBytes body, GwIdentAttestReq *out);
void gw_ident_attest_req_encode (const GwIdentAttestReq *in, GwCborWriter *w);
GwStatus gw_ident_attest_rsp_decode (GwBytes body, GwIdentChunk *out);
void gw_ident_attest_rsp_encode (const GwIdentChunk *in, GwCborWriter *w);
GwStatus gw_ident_wipe_decode (GwBytes body, GwIdentWipe *out);
void gw_ident_wipe_encode (const GwIdentWipe *in, GwCborWriter *w);
GwStatus gw_ident_identify_decode (GwBytes body, GwIdentIdentify *out);
void gw_ident_identify_encode (const GwIdentIdentify *in, GwCborWriter *w);
