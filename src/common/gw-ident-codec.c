/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-ident-codec.h"

#include <string.h>

#include "gw-fields.h"

static const GwField slot_fields[] = {
  { .key = "s",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentSlot, slot),
    GW_FIELD_NEEDED,
    .max = GW_IDENT_SLOT_MAX },
  { .key = "gen",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentSlot, generation),
    GW_FIELD_NEEDED,
    .max = INT64_MAX },
  { .key = "kid", .kind = GW_FIELD_FIXED, GW_FIELD_AT (GwIdentSlot, kid), GW_FIELD_NEEDED },
  { .key = "crt", .kind = GW_FIELD_BOOL, GW_FIELD_AT (GwIdentSlot, has_certificate), GW_FIELD_NEEDED },
  { .key = "na",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentSlot, not_after),
    GW_FIELD_HAS (GwIdentSlot, has_not_after),
    .max = INT64_MAX },
};
static const GwFieldTable slot_table = GW_FIELD_TABLE (slot_fields);

static const GwField puf_fields[] = {
  { .key = "ok", .kind = GW_FIELD_BOOL, GW_FIELD_AT (GwIdentPuf, ok), GW_FIELD_NEEDED },
  { .key = "fix",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentPuf, fixed),
    GW_FIELD_NEEDED,
    .max = UINT32_MAX },
  { .key = "max", .kind = GW_FIELD_UINT, GW_FIELD_AT (GwIdentPuf, max), GW_FIELD_NEEDED, .max = UINT32_MAX },
};
static const GwFieldTable puf_table = GW_FIELD_TABLE (puf_fields);

static const GwField info_fields[] = {
  { .key = "v",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentInfo, hello.version),
    GW_FIELD_NEEDED,
    .max = UINT8_MAX },
  { .key = "uid", .kind = GW_FIELD_FIXED, GW_FIELD_AT (GwIdentInfo, hello.uid), GW_FIELD_NEEDED },
  { .key = "kid", .kind = GW_FIELD_FIXED, GW_FIELD_AT (GwIdentInfo, hello.kid), GW_FIELD_NEEDED },
  { .key = "mfr",
    .kind = GW_FIELD_TEXT,
    GW_FIELD_AT (GwIdentInfo, hello.manufacturer),
    GW_FIELD_NEEDED,
    .max = GW_HELLO_TEXT_MAX },
  { .key = "mdl",
    .kind = GW_FIELD_TEXT,
    GW_FIELD_AT (GwIdentInfo, hello.model),
    GW_FIELD_NEEDED,
    .max = GW_HELLO_TEXT_MAX },
  { .key = "sn",
    .kind = GW_FIELD_TEXT,
    GW_FIELD_AT (GwIdentInfo, hello.serial),
    GW_FIELD_NEEDED,
    .max = GW_HELLO_TEXT_MAX },
  { .key = "fw",
    .kind = GW_FIELD_TEXT,
    GW_FIELD_AT (GwIdentInfo, hello.firmware),
    GW_FIELD_NEEDED,
    .max = GW_HELLO_TEXT_MAX },
  { .key = "mtu",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentInfo, hello.mtu),
    GW_FIELD_NEEDED,
    .min = GW_LINK_MTU_MIN,
    .max = GW_LINK_MTU_MAX },
  { .key = "sec",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentInfo, hello.security),
    GW_FIELD_NEEDED,
    .max = UINT32_MAX },
  { .key = "st",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentInfo, hello.state),
    GW_FIELD_NEEDED,
    .max = GW_LINK_STATE_LOCKED },
  { .key = "rot",
    .kind = GW_FIELD_TEXT,
    GW_FIELD_AT (GwIdentInfo, root_of_trust),
    GW_FIELD_NEEDED,
    .max = GW_IDENT_ROT_MAX },
  { .key = "own",
    .kind = GW_FIELD_FIXED,
    GW_FIELD_AT (GwIdentInfo, owner),
    GW_FIELD_HAS (GwIdentInfo, has_owner) },
  { .key = "up",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentInfo, uptime_ms),
    GW_FIELD_NEEDED,
    .max = INT64_MAX },
  { .key = "gen",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentInfo, generation),
    GW_FIELD_NEEDED,
    .max = INT64_MAX },
  { .key = "slots",
    .kind = GW_FIELD_MAPS,
    .offset = offsetof (GwIdentInfo, slots),
    .size = sizeof (GwIdentSlot),
    .count = offsetof (GwIdentInfo, n_slots),
    GW_FIELD_NEEDED,
    .max = GW_IDENT_SLOTS_MAX,
    .sub = &slot_table },
  { .key = "puf",
    .kind = GW_FIELD_MAP,
    GW_FIELD_AT (GwIdentInfo, puf),
    GW_FIELD_HAS (GwIdentInfo, has_puf),
    .sub = &puf_table },
};
static const GwFieldTable info_table = GW_FIELD_TABLE (info_fields);

static const GwField csr_req_fields[] = {
  { .key = "s",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentCsrReq, slot),
    GW_FIELD_NEEDED,
    .max = GW_IDENT_SLOT_MAX },
  { .key = "gen",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentCsrReq, generation),
    GW_FIELD_NEEDED,
    .max = INT64_MAX },
  { .key = "off",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentCsrReq, off),
    GW_FIELD_NEEDED,
    .max = GW_IDENT_OBJECT_MAX },
};
static const GwFieldTable csr_req_table = GW_FIELD_TABLE (csr_req_fields);

static const GwField csr_rsp_fields[] = {
  { .key = "len",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentChunk, len),
    GW_FIELD_NEEDED,
    .min = 1,
    .max = GW_IDENT_OBJECT_MAX },
  { .key = "off",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentChunk, off),
    GW_FIELD_NEEDED,
    .max = GW_IDENT_OBJECT_MAX },
  { .key = "csr",
    .kind = GW_FIELD_BYTES,
    GW_FIELD_AT (GwIdentChunk, data),
    GW_FIELD_NEEDED,
    .max = GW_IDENT_OBJECT_MAX },
};
static const GwFieldTable csr_rsp_table = GW_FIELD_TABLE (csr_rsp_fields);

static const GwField cert_get_rsp_fields[] = {
  { .key = "len",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentChunk, len),
    GW_FIELD_NEEDED,
    .min = 1,
    .max = GW_IDENT_OBJECT_MAX },
  { .key = "off",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentChunk, off),
    GW_FIELD_NEEDED,
    .max = GW_IDENT_OBJECT_MAX },
  { .key = "data",
    .kind = GW_FIELD_BYTES,
    GW_FIELD_AT (GwIdentChunk, data),
    GW_FIELD_NEEDED,
    .max = GW_IDENT_OBJECT_MAX },
};
static const GwFieldTable cert_get_rsp_table = GW_FIELD_TABLE (cert_get_rsp_fields);

static const GwField attest_rsp_fields[] = {
  { .key = "len",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentChunk, len),
    GW_FIELD_NEEDED,
    .min = 1,
    .max = GW_IDENT_OBJECT_MAX },
  { .key = "off",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentChunk, off),
    GW_FIELD_NEEDED,
    .max = GW_IDENT_OBJECT_MAX },
  { .key = "eat",
    .kind = GW_FIELD_BYTES,
    GW_FIELD_AT (GwIdentChunk, data),
    GW_FIELD_NEEDED,
    .max = GW_IDENT_OBJECT_MAX },
};
static const GwFieldTable attest_rsp_table = GW_FIELD_TABLE (attest_rsp_fields);

static const GwField cert_put_fields[] = {
  { .key = "s",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentCertPut, slot),
    GW_FIELD_NEEDED,
    .max = GW_IDENT_SLOT_MAX },
  { .key = "off",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentCertPut, part.off),
    GW_FIELD_NEEDED,
    .max = GW_IDENT_OBJECT_MAX },
  { .key = "data",
    .kind = GW_FIELD_BYTES,
    GW_FIELD_AT (GwIdentCertPut, part.data),
    GW_FIELD_NEEDED,
    .min = 1,
    .max = GW_IDENT_OBJECT_MAX },
  { .key = "len",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentCertPut, part.len),
    GW_FIELD_HAS (GwIdentCertPut, part.has_len),
    .min = 1,
    .max = GW_IDENT_OBJECT_MAX },
  { .key = "sha",
    .kind = GW_FIELD_FIXED,
    GW_FIELD_AT (GwIdentCertPut, part.sha),
    GW_FIELD_HAS (GwIdentCertPut, part.has_sha) },
};
static const GwFieldTable cert_put_table = GW_FIELD_TABLE (cert_put_fields);

static const GwField anchor_fields[] = {
  { .key = "k",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentAnchor, kind),
    GW_FIELD_NEEDED,
    .max = GW_IDENT_ANCHOR_VOUCHER },
  { .key = "off",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentAnchor, part.off),
    GW_FIELD_NEEDED,
    .max = GW_IDENT_OBJECT_MAX },
  { .key = "data",
    .kind = GW_FIELD_BYTES,
    GW_FIELD_AT (GwIdentAnchor, part.data),
    GW_FIELD_NEEDED,
    .min = 1,
    .max = GW_IDENT_OBJECT_MAX },
  { .key = "len",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentAnchor, part.len),
    GW_FIELD_HAS (GwIdentAnchor, part.has_len),
    .min = 1,
    .max = GW_IDENT_OBJECT_MAX },
  { .key = "sha",
    .kind = GW_FIELD_FIXED,
    GW_FIELD_AT (GwIdentAnchor, part.sha),
    GW_FIELD_HAS (GwIdentAnchor, part.has_sha) },
};
static const GwFieldTable anchor_table = GW_FIELD_TABLE (anchor_fields);

static const GwField offset_fields[] = {
  { .key = "off",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentOffset, off),
    GW_FIELD_NEEDED,
    .max = GW_IDENT_OBJECT_MAX },
};
static const GwFieldTable offset_table = GW_FIELD_TABLE (offset_fields);

static const GwField cert_get_req_fields[] = {
  { .key = "s",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentCertGet, slot),
    GW_FIELD_NEEDED,
    .max = GW_IDENT_SLOT_MAX },
  { .key = "off",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentCertGet, off),
    GW_FIELD_NEEDED,
    .max = GW_IDENT_OBJECT_MAX },
};
static const GwFieldTable cert_get_req_table = GW_FIELD_TABLE (cert_get_req_fields);

static const GwField own_req_fields[] = {
  { .key = "m",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentOwnReq, mode),
    GW_FIELD_NEEDED,
    .max = GW_IDENT_OWN_RELEASE },
  { .key = "sha", .kind = GW_FIELD_FIXED, GW_FIELD_AT (GwIdentOwnReq, sha), GW_FIELD_NEEDED },
};
static const GwFieldTable own_req_table = GW_FIELD_TABLE (own_req_fields);

static const GwField own_rsp_fields[] = {
  { .key = "st",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentOwnRsp, state),
    GW_FIELD_NEEDED,
    .max = GW_LINK_STATE_LOCKED },
};
static const GwFieldTable own_rsp_table = GW_FIELD_TABLE (own_rsp_fields);

static const GwField nonce_fields[] = {
  { .key = "n", .kind = GW_FIELD_FIXED, GW_FIELD_AT (GwIdentNonce, nonce), GW_FIELD_NEEDED },
};
static const GwFieldTable nonce_table = GW_FIELD_TABLE (nonce_fields);

static const GwField sign_req_fields[] = {
  { .key = "s",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentSignReq, slot),
    GW_FIELD_NEEDED,
    .max = GW_IDENT_SLOT_MAX },
  { .key = "gen",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentSignReq, generation),
    GW_FIELD_NEEDED,
    .max = INT64_MAX },
  { .key = "th",
    .kind = GW_FIELD_BYTES,
    GW_FIELD_AT (GwIdentSignReq, transcript_hash),
    GW_FIELD_NEEDED,
    .min = GW_SHA256_LEN,
    .max = GW_SHA384_LEN },
};
static const GwFieldTable sign_req_table = GW_FIELD_TABLE (sign_req_fields);

static const GwField sign_rsp_fields[] = {
  { .key = "sig",
    .kind = GW_FIELD_BYTES,
    GW_FIELD_AT (GwIdentSignRsp, signature),
    GW_FIELD_NEEDED,
    .min = 1,
    .max = GW_IDENT_SIG_MAX },
};
static const GwFieldTable sign_rsp_table = GW_FIELD_TABLE (sign_rsp_fields);

static const GwField attest_req_fields[] = {
  { .key = "n",
    .kind = GW_FIELD_BYTES,
    GW_FIELD_AT (GwIdentAttestReq, nonce),
    GW_FIELD_NEEDED,
    .min = GW_IDENT_EAT_NONCE_MIN,
    .max = GW_IDENT_EAT_NONCE_MAX },
  { .key = "off",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentAttestReq, off),
    .has = GW_FIELD_DEFAULT,
    .max = GW_IDENT_OBJECT_MAX },
};
static const GwFieldTable attest_req_table = GW_FIELD_TABLE (attest_req_fields);

static const GwField wipe_fields[] = {
  { .key = "lvl",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentWipe, level),
    GW_FIELD_NEEDED,
    .min = GW_IDENT_WIPE_CERTIFICATES,
    .max = GW_IDENT_WIPE_OWNER },
};
static const GwFieldTable wipe_table = GW_FIELD_TABLE (wipe_fields);

static const GwField identify_fields[] = {
  { .key = "ms",
    .kind = GW_FIELD_UINT,
    GW_FIELD_AT (GwIdentIdentify, ms),
    GW_FIELD_NEEDED,
    .max = GW_IDENT_IDENTIFY_MAX_MS },
};
static const GwFieldTable identify_table = GW_FIELD_TABLE (identify_fields);

/* `info` repeats hello, so its uid is bound to its kid in the same way. */
static GwStatus
check_info (const GwIdentInfo *i)
{
  return memcmp (i->hello.uid, i->hello.kid, sizeof i->hello.uid) == 0 ? GW_OK : GW_E_RANGE;
}

/* Every term below is at most GW_IDENT_OBJECT_MAX: the sums cannot wrap. */
static GwStatus
check_chunk (const GwIdentChunk *c)
{
  if (c->off + c->data.len > c->len)
    return GW_E_RANGE;
  return c->data.len > 0 || c->off == c->len ? GW_OK : GW_E_RANGE;
}

static GwStatus
check_part (const GwIdentPart *p)
{
  if (p->off == 0 && !(p->has_len && p->has_sha))
    return GW_E_MISSING;
  return p->off + p->data.len <= (p->has_len ? p->len : GW_IDENT_OBJECT_MAX) ? GW_OK : GW_E_RANGE;
}

static GwStatus
check_sign (const GwIdentSignReq *s)
{
  size_t len = s->transcript_hash.len;

  return len == GW_SHA256_LEN || len == GW_SHA384_LEN ? GW_OK : GW_E_RANGE;
}

GwStatus
gw_ident_info_decode (GwBytes body, GwIdentInfo *out)
{
  GwStatus st = gw_fields_decode (body, &info_table, out, sizeof *out);

  if (st != GW_OK)
    return st;
  return check_info (out);
}

void
gw_ident_info_encode (const GwIdentInfo *in, GwCborWriter *w)
{
  gw_fields_encode (&info_table, in, w);
}

GwStatus
gw_ident_csr_req_decode (GwBytes body, GwIdentCsrReq *out)
{
  return gw_fields_decode (body, &csr_req_table, out, sizeof *out);
}

void
gw_ident_csr_req_encode (const GwIdentCsrReq *in, GwCborWriter *w)
{
  gw_fields_encode (&csr_req_table, in, w);
}

GwStatus
gw_ident_csr_rsp_decode (GwBytes body, GwIdentChunk *out)
{
  GwStatus st = gw_fields_decode (body, &csr_rsp_table, out, sizeof *out);

  if (st != GW_OK)
    return st;
  return check_chunk (out);
}

void
gw_ident_csr_rsp_encode (const GwIdentChunk *in, GwCborWriter *w)
{
  gw_fields_encode (&csr_rsp_table, in, w);
}

GwStatus
gw_ident_cert_put_decode (GwBytes body, GwIdentCertPut *out)
{
  GwStatus st = gw_fields_decode (body, &cert_put_table, out, sizeof *out);

  if (st != GW_OK)
    return st;
  return check_part (&out->part);
}

void
gw_ident_cert_put_encode (const GwIdentCertPut *in, GwCborWriter *w)
{
  gw_fields_encode (&cert_put_table, in, w);
}

GwStatus
gw_ident_cert_get_req_decode (GwBytes body, GwIdentCertGet *out)
{
  return gw_fields_decode (body, &cert_get_req_table, out, sizeof *out);
}

void
gw_ident_cert_get_req_encode (const GwIdentCertGet *in, GwCborWriter *w)
{
  gw_fields_encode (&cert_get_req_table, in, w);
}

GwStatus
gw_ident_cert_get_rsp_decode (GwBytes body, GwIdentChunk *out)
{
  GwStatus st = gw_fields_decode (body, &cert_get_rsp_table, out, sizeof *out);

  if (st != GW_OK)
    return st;
  return check_chunk (out);
}

void
gw_ident_cert_get_rsp_encode (const GwIdentChunk *in, GwCborWriter *w)
{
  gw_fields_encode (&cert_get_rsp_table, in, w);
}

GwStatus
gw_ident_anchor_decode (GwBytes body, GwIdentAnchor *out)
{
  GwStatus st = gw_fields_decode (body, &anchor_table, out, sizeof *out);

  if (st != GW_OK)
    return st;
  return check_part (&out->part);
}

void
gw_ident_anchor_encode (const GwIdentAnchor *in, GwCborWriter *w)
{
  gw_fields_encode (&anchor_table, in, w);
}

GwStatus
gw_ident_offset_decode (GwBytes body, GwIdentOffset *out)
{
  return gw_fields_decode (body, &offset_table, out, sizeof *out);
}

void
gw_ident_offset_encode (const GwIdentOffset *in, GwCborWriter *w)
{
  gw_fields_encode (&offset_table, in, w);
}

GwStatus
gw_ident_own_req_decode (GwBytes body, GwIdentOwnReq *out)
{
  return gw_fields_decode (body, &own_req_table, out, sizeof *out);
}

void
gw_ident_own_req_encode (const GwIdentOwnReq *in, GwCborWriter *w)
{
  gw_fields_encode (&own_req_table, in, w);
}

GwStatus
gw_ident_own_rsp_decode (GwBytes body, GwIdentOwnRsp *out)
{
  return gw_fields_decode (body, &own_rsp_table, out, sizeof *out);
}

void
gw_ident_own_rsp_encode (const GwIdentOwnRsp *in, GwCborWriter *w)
{
  gw_fields_encode (&own_rsp_table, in, w);
}

GwStatus
gw_ident_nonce_decode (GwBytes body, GwIdentNonce *out)
{
  return gw_fields_decode (body, &nonce_table, out, sizeof *out);
}

void
gw_ident_nonce_encode (const GwIdentNonce *in, GwCborWriter *w)
{
  gw_fields_encode (&nonce_table, in, w);
}

GwStatus
gw_ident_sign_req_decode (GwBytes body, GwIdentSignReq *out)
{
  GwStatus st = gw_fields_decode (body, &sign_req_table, out, sizeof *out);

  if (st != GW_OK)
    return st;
  return check_sign (out);
}

void
gw_ident_sign_req_encode (const GwIdentSignReq *in, GwCborWriter *w)
{
  gw_fields_encode (&sign_req_table, in, w);
}

GwStatus
gw_ident_sign_rsp_decode (GwBytes body, GwIdentSignRsp *out)
{
  return gw_fields_decode (body, &sign_rsp_table, out, sizeof *out);
}

void
gw_ident_sign_rsp_encode (const GwIdentSignRsp *in, GwCborWriter *w)
{
  gw_fields_encode (&sign_rsp_table, in, w);
}

GwStatus
gw_ident_attest_req_decode (GwBytes body, GwIdentAttestReq *out)
{
  return gw_fields_decode (body, &attest_req_table, out, sizeof *out);
}

void
gw_ident_attest_req_encode (const GwIdentAttestReq *in, GwCborWriter *w)
{
  gw_fields_encode (&attest_req_table, in, w);
}

GwStatus
gw_ident_attest_rsp_decode (GwBytes body, GwIdentChunk *out)
{
  GwStatus st = gw_fields_decode (body, &attest_rsp_table, out, sizeof *out);

  if (st != GW_OK)
    return st;
  return check_chunk (out);
}

void
gw_ident_attest_rsp_encode (const GwIdentChunk *in, GwCborWriter *w)
{
  gw_fields_encode (&attest_rsp_table, in, w);
}

GwStatus
gw_ident_wipe_decode (GwBytes body, GwIdentWipe *out)
{
  return gw_fields_decode (body, &wipe_table, out, sizeof *out);
}

void
gw_ident_wipe_encode (const GwIdentWipe *in, GwCborWriter *w)
{
  gw_fields_encode (&wipe_table, in, w);
}

GwStatus
gw_ident_identify_decode (GwBytes body, GwIdentIdentify *out)
{
  return gw_fields_decode (body, &identify_table, out, sizeof *out);
}

void
gw_ident_identify_encode (const GwIdentIdentify *in, GwCborWriter *w)
{
  gw_fields_encode (&identify_table, in, w);
}
