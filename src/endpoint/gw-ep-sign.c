/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See gw-ep-sign.h. */

#include "gw-ep-sign.h"

#include <string.h>

#include <mbedtls/sha256.h>

#include "gw-ep-private.h"

#define SIGN_PAD_LEN 64u
#define SIGN_CONTEXT "TLS 1.3, client CertificateVerify" /* RFC 8446, section 4.4.3; with its final NUL */

void
gw_ep_sign_load (GwEp *ep)
{
  ep->sign = (GwEpSign){ .tokens = GW_IDENT_SIGN_BUCKET, .refilled_at = gw_ep_now (ep) };
}

void
gw_ep_sign_forget (GwEp *ep)
{
  ep->sign.signing = false;
}

static bool
take_token (GwEp *ep)
{
  GwEpSign *self = &ep->sign;
  uint64_t now = gw_ep_now (ep);
  uint64_t refill = (now - self->refilled_at) / GW_IDENT_SIGN_REFILL_MS;

  if (refill >= GW_IDENT_SIGN_BUCKET || self->tokens + refill >= GW_IDENT_SIGN_BUCKET)
    {
      self->tokens = GW_IDENT_SIGN_BUCKET;
      self->refilled_at = now;
    }
  else
    {
      self->tokens = (uint8_t)(self->tokens + refill);
      self->refilled_at += refill * GW_IDENT_SIGN_REFILL_MS;
    }
  if (self->tokens == 0)
    return false;
  self->tokens--;
  return true;
}

/* SHA-256 over 64 spaces, the context string, a NUL and the transcript hash. */
static int
content_hash (GwBytes transcript_hash, uint8_t hash[GW_SHA256_LEN])
{
  mbedtls_sha256_context sha;
  uint8_t pad[SIGN_PAD_LEN];
  bool ok;

  memset (pad, 0x20, sizeof pad);
  mbedtls_sha256_init (&sha);
  ok = mbedtls_sha256_starts_ret (&sha, 0) == 0 && mbedtls_sha256_update_ret (&sha, pad, sizeof pad) == 0
       && mbedtls_sha256_update_ret (&sha, (const uint8_t *)SIGN_CONTEXT, sizeof SIGN_CONTEXT) == 0
       && mbedtls_sha256_update_ret (&sha, transcript_hash.ptr, transcript_hash.len) == 0
       && mbedtls_sha256_finish_ret (&sha, hash) == 0;
  mbedtls_sha256_free (&sha);
  return ok ? GW_OK : GW_E_CRYPTO;
}

static int
make_signature (GwEp *ep, GwCborWriter *w)
{
  GwEpSign *self = &ep->sign;
  uint8_t sig[GW_KEYS_SIG_MAX];
  GwIdentSignRsp out;
  size_t len;

  if (gw_keys_sign (&ep->keys, GW_KEYS_TLS, self->generation, self->hash, sig, &len) != GW_OK)
    return GW_EP_GROUP_ERROR (GW_IDENT_ERR_PUF_FAILED);
  ep->stats.signatures++;
  out.signature = (GwBytes){ sig, len };
  gw_ident_sign_rsp_encode (&out, w);
  return GW_EP_OK;
}

static int
check_sign (GwEp *ep, const GwIdentSignReq *req)
{
  if (req->slot == GW_IDENT_SLOT_ID)
    return GW_EP_GROUP_ERROR (GW_IDENT_ERR_NOT_SIGNABLE);
  if (req->slot > GW_IDENT_SLOT_MAX)
    return GW_EP_GROUP_ERROR (GW_IDENT_ERR_BAD_SLOT);
  if (req->transcript_hash.len != GW_SHA256_LEN && req->transcript_hash.len != GW_SHA384_LEN)
    return GW_SMP_RC_INVALID;
  if (!gw_ep_ident_has_key (ep, req->slot, req->generation))
    return GW_SMP_RC_BAD_STATE;
  if (!take_token (ep))
    return GW_EP_GROUP_ERROR (GW_IDENT_ERR_BUSY);
  return GW_EP_OK;
}

int
gw_ep_sign (GwEp *ep, GwBytes body, GwCborWriter *w)
{
  GwEpSign *self = &ep->sign;
  GwIdentSignReq req;
  uint32_t delay;
  int result;

  if (gw_ident_sign_req_decode (body, &req) != GW_OK)
    return GW_SMP_RC_INVALID;
  result = check_sign (ep, &req);
  if (result != GW_EP_OK)
    {
      ep->stats.signatures_refused++;
      return result;
    }
  if (content_hash (req.transcript_hash, self->hash) != GW_OK)
    return GW_SMP_RC_UNKNOWN;
  self->generation = (uint32_t)req.generation;
  delay = ep->platform->sign_delay_ms != NULL ? ep->platform->sign_delay_ms (ep->platform->ctx) : 0;
  if (delay == 0)
    return make_signature (ep, w);
  self->signing = true;
  self->due = gw_ep_now (ep) + delay;
  return GW_EP_LATER;
}

uint64_t
gw_ep_sign_poll (GwEp *ep, uint64_t now)
{
  GwCborWriter w;

  if (!ep->sign.signing)
    return GW_EP_NEVER;
  if (now < ep->sign.due)
    return ep->sign.due;
  ep->sign.signing = false;
  gw_ep_begin_late (ep, &w);
  gw_ep_finish_late (ep, &w, make_signature (ep, &w));
  return GW_EP_NEVER;
}
