/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See gw-ep-ident.h. The order of writes carries the weight here: the generation is raised before anything is
 * erased, and a journal says what is still to be erased. */

#include "gw-ep-ident.h"

#include <string.h>

#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>

#include "gw-csr.h"
#include "gw-ep-private.h"
#include "gw-ep-time.h"
#include "gw-reader.h"

/* Upload targets: a slot's number or this. */
#define TARGET_ANCHOR 0x10u
/* Objects that are fetched. */
#define SOURCE_CSR 1u
#define SOURCE_CERT 2u /* + slot */

#define NV_GENERATION_LEN 4u
#define NV_JOURNAL_LEN 5u  /* level, generation after it */
#define CERT_HEADER_LEN 4u /* generation of its key, before the DER */

/* ---- Flash ---- */

static int
nv_read (GwEp *ep, GwEpNvSlot slot, uint8_t *out, size_t cap, size_t *len)
{
  int status = ep->platform->nv_read (ep->platform->ctx, slot, out, cap, len);

  if (status == GW_E_NOT_FOUND)
    {
      *len = 0;
      return GW_OK;
    }
  return status;
}

static int
nv_write (GwEp *ep, GwEpNvSlot slot, const uint8_t *data, size_t len)
{
  return ep->platform->nv_write (ep->platform->ctx, slot, data, len);
}

static int
load_generation (GwEp *ep)
{
  uint8_t buf[NV_GENERATION_LEN];
  size_t len;
  GwReader r;
  int status = nv_read (ep, GW_EP_NV_GENERATION, buf, sizeof buf, &len);

  if (status != GW_OK)
    return status;
  ep->ident.generation = 1;
  if (len == 0)
    return GW_OK;
  gw_reader_init (&r, buf, len);
  ep->ident.generation = gw_reader_u32be (&r);
  /* A counter that cannot be read must not start over: its keys may have been left behind. */
  return gw_reader_ok (&r) && ep->ident.generation > 0 ? GW_OK : GW_E_CHECK;
}

static int
store_generation (GwEp *ep, uint32_t generation)
{
  uint8_t buf[NV_GENERATION_LEN];
  int status;

  gw_put_u32be (buf, generation);
  status = nv_write (ep, GW_EP_NV_GENERATION, buf, sizeof buf);
  if (status == GW_OK)
    ep->ident.generation = generation;
  return status;
}

static GwEpNvSlot
certificate_nv (unsigned slot)
{
  return slot == 1 ? GW_EP_NV_CERT_1 : GW_EP_NV_CERT_2;
}

/* Reads a slot's certificate into the object buffer, its generation before it. */
static int
read_certificate (GwEp *ep, unsigned slot, uint32_t *generation)
{
  GwEpObject *object = &ep->ident.object;
  size_t len;
  GwReader r;
  int status = nv_read (ep, certificate_nv (slot), object->data, sizeof object->data, &len);

  object->source = 0;
  if (status != GW_OK)
    return status;
  if (len <= CERT_HEADER_LEN)
    return GW_E_NOT_FOUND;
  gw_reader_init (&r, object->data, len);
  *generation = gw_reader_u32be (&r);
  object->len = (uint32_t)(len - CERT_HEADER_LEN);
  memmove (object->data, object->data + CERT_HEADER_LEN, object->len);
  object->source = (uint8_t)(SOURCE_CERT + slot);
  object->generation = *generation;
  return GW_OK;
}

static uint64_t
not_after (const uint8_t *der, size_t len)
{
  mbedtls_x509_crt crt;
  uint64_t seconds = 0;

  mbedtls_x509_crt_init (&crt);
  if (mbedtls_x509_crt_parse_der (&crt, der, len) == 0)
    seconds = gw_ep_time_to_unix (crt.valid_to.year, crt.valid_to.mon, crt.valid_to.day, crt.valid_to.hour,
                                  crt.valid_to.min, crt.valid_to.sec);
  mbedtls_x509_crt_free (&crt);
  return seconds;
}

static int
load_slot (GwEp *ep, unsigned number)
{
  GwEpSlot *slot = &ep->ident.slots[number];
  int status = read_certificate (ep, number, &slot->generation);

  if (status == GW_E_NOT_FOUND)
    return GW_OK;
  if (status != GW_OK)
    return status;
  slot->has_certificate = slot->generation <= ep->ident.generation;
  slot->not_after = not_after (ep->ident.object.data, ep->ident.object.len);
  return GW_OK;
}

static int
load_anchor (GwEp *ep)
{
  GwEpIdent *self = &ep->ident;
  size_t len;
  int status = nv_read (ep, GW_EP_NV_ANCHOR, self->upload.data, sizeof self->upload.data, &len);

  if (status != GW_OK || len == 0)
    return status;
  if (mbedtls_sha256_ret (self->upload.data, len, self->anchor_sha, 0) != 0)
    return GW_E_CRYPTO;
  status = gw_ep_dtls_set_anchor (&ep->dtls, self->upload.data, len, self->owner);
  self->owned = status == GW_OK;
  return status; /* an owner that cannot be read must not become "unowned" */
}

/* ---- Wiping ---- */

/* The part after the journal was written; may run again after a power cut. */
static int
carry_out_wipe (GwEp *ep, unsigned level, uint32_t generation)
{
  int status = GW_OK;

  if (ep->ident.generation < generation)
    status = store_generation (ep, generation);
  if (status == GW_OK)
    status = nv_write (ep, GW_EP_NV_CERT_1, NULL, 0);
  if (status == GW_OK)
    status = nv_write (ep, GW_EP_NV_CERT_2, NULL, 0);
  if (status == GW_OK && level == GW_IDENT_WIPE_OWNER)
    status = nv_write (ep, GW_EP_NV_ANCHOR, NULL, 0);
  if (status == GW_OK)
    status = nv_write (ep, GW_EP_NV_STATE, NULL, 0);
  return status;
}

int
gw_ep_ident_wipe (GwEp *ep, unsigned level)
{
  GwEpIdent *self = &ep->ident;
  uint8_t journal[NV_JOURNAL_LEN] = { (uint8_t)level };
  int status;

  gw_put_u32be (journal + 1, self->generation + 1);
  status = nv_write (ep, GW_EP_NV_STATE, journal, sizeof journal);
  if (status == GW_OK)
    status = carry_out_wipe (ep, level, self->generation + 1);
  if (status != GW_OK)
    return status;
  memset (self->slots, 0, sizeof self->slots);
  self->upload.active = false;
  self->object.source = 0;
  gw_ep_sign_forget (ep);
  if (level == GW_IDENT_WIPE_OWNER)
    {
      self->owned = false;
      memset (self->owner, 0, sizeof self->owner);
      gw_ep_data_forget (ep);
      gw_ep_queue_forget (ep);
    }
  return GW_OK;
}

static int
finish_wipe (GwEp *ep)
{
  uint8_t journal[NV_JOURNAL_LEN];
  size_t len;
  GwReader r;
  unsigned level;
  uint32_t generation;
  int status = nv_read (ep, GW_EP_NV_STATE, journal, sizeof journal, &len);

  if (status != GW_OK || len == 0)
    return status;
  gw_reader_init (&r, journal, len);
  level = gw_reader_u8 (&r);
  generation = gw_reader_u32be (&r);
  return gw_reader_ok (&r) ? carry_out_wipe (ep, level, generation) : GW_E_CHECK;
}

int
gw_ep_ident_load (GwEp *ep)
{
  GwEpIdent *self = &ep->ident;
  unsigned slot;
  int status;

  memset (self, 0, sizeof *self);
  status = load_generation (ep);
  if (status == GW_OK)
    status = finish_wipe (ep);
  if (status == GW_OK)
    status = load_anchor (ep);
  for (slot = 1; slot < GW_EP_SLOTS && status == GW_OK; slot++)
    status = load_slot (ep, slot);
  return status;
}

void
gw_ep_ident_session_end (GwEp *ep)
{
  GwEpIdent *self = &ep->ident;

  self->upload.active = false;
  self->object.source = 0; /* a CSR holds the session's binding */
  mbedtls_platform_zeroize (self->nonce, sizeof self->nonce);
  /* A wipe that took the owner away took effect in this session; the next one may be anyone's. */
  if (!self->owned)
    (void)gw_ep_dtls_set_anchor (&ep->dtls, NULL, 0, NULL);
}

/* ---- What it says about itself ---- */

void
gw_ep_ident_hello (const GwEp *ep, GwLinkHello *hello)
{
  memset (hello, 0, sizeof *hello);
  hello->version = GW_LINK_VERSION;
  memcpy (hello->kid, ep->keys.kid, sizeof hello->kid);
  memcpy (hello->uid, ep->keys.kid, sizeof hello->uid);
  hello->manufacturer = gw_text (ep->config->manufacturer);
  hello->model = gw_text (ep->config->model);
  hello->serial = gw_text (ep->config->serial);
  hello->firmware = gw_text (ep->config->firmware);
  hello->mtu = ep->mtu;
  hello->security = GW_LINK_SEC_DTLS12;
  hello->state = ep->ident.owned ? GW_LINK_STATE_OWNED : GW_LINK_STATE_UNOWNED;
}

/* The key id of a slot's key; it costs a derivation, so it is kept. */
static int
slot_kid (GwEp *ep, GwEpSlot *slot, uint32_t generation)
{
  int status = GW_OK;

  if (slot->has_kid && slot->kid_generation == generation)
    return GW_OK;
  status = gw_keys_public (&ep->keys, GW_KEYS_TLS, generation, NULL, slot->kid);
  slot->has_kid = status == GW_OK;
  slot->kid_generation = generation;
  return status;
}

static int
add_slot (GwEp *ep, GwIdentInfo *out, unsigned number)
{
  GwEpSlot *slot = &ep->ident.slots[number];
  GwIdentSlot *to = &out->slots[out->n_slots];
  uint32_t generation = slot->has_certificate ? slot->generation : slot->pending;

  if (!slot->has_certificate && !slot->has_pending)
    return GW_OK;
  if (slot_kid (ep, slot, generation) != GW_OK)
    return GW_E_PUF;
  *to = (GwIdentSlot){
    .slot = (uint8_t)number,
    .generation = generation,
    .has_certificate = slot->has_certificate,
    .has_not_after = slot->has_certificate,
    .not_after = slot->not_after,
  };
  memcpy (to->kid, slot->kid, sizeof to->kid);
  out->n_slots++;
  return GW_OK;
}

static int
info (GwEp *ep, GwBytes body, GwCborWriter *w)
{
  GwIdentInfo out;
  unsigned slot;

  if (gw_smp_empty_decode (body) != GW_OK)
    return GW_SMP_RC_INVALID;
  memset (&out, 0, sizeof out);
  gw_ep_ident_hello (ep, &out.hello);
  out.root_of_trust = gw_text (GW_IDENT_ROT_PUF);
  out.has_owner = ep->ident.owned;
  memcpy (out.owner, ep->ident.owner, sizeof out.owner);
  out.uptime_ms = gw_ep_uptime (ep);
  out.generation = ep->ident.generation;
  out.n_slots = 1;
  memcpy (out.slots[0].kid, ep->keys.kid, sizeof out.slots[0].kid);
  for (slot = 1; slot < GW_EP_SLOTS; slot++)
    if (add_slot (ep, &out, slot) != GW_OK)
      return GW_EP_GROUP_ERROR (GW_IDENT_ERR_PUF_FAILED);
  out.has_puf = true;
  out.puf = (GwIdentPuf){ ep->keys.health.ok, ep->keys.health.fixed, ep->keys.health.max };
  gw_ident_info_encode (&out, w);
  return GW_EP_OK;
}

/* ---- Objects that are fetched ---- */

/* The chunk at `off`, as long as the answer has room. */
static int
chunk (GwEp *ep, uint32_t off, GwIdentChunk *out)
{
  /* Header, map, three keys and heads: less than this. */
  const size_t overhead = GW_SMP_HEADER_LEN + 32;
  const GwEpObject *object = &ep->ident.object;
  size_t room = gw_ep_dtls_message_max (&ep->dtls);

  if (off > object->len)
    return GW_SMP_RC_INVALID;
  if (room > sizeof ep->smp.answer)
    room = sizeof ep->smp.answer;
  if (room <= overhead)
    return GW_SMP_RC_TOO_LARGE;
  room -= overhead;
  out->len = object->len;
  out->off = off;
  out->data.ptr = object->data + off;
  out->data.len = object->len - off < room ? object->len - off : room;
  return GW_EP_OK;
}

static int
make_csr (GwEp *ep, unsigned number, uint32_t generation)
{
  GwEpIdent *self = &ep->ident;
  GwEpSlot *slot = &self->slots[number];
  size_t len;
  int status;

  if (generation > self->generation && store_generation (ep, generation) != GW_OK)
    return GW_SMP_RC_UNKNOWN;
  slot->has_pending = true;
  slot->pending = generation;
  if (self->object.source == SOURCE_CSR && self->object.generation == generation)
    return GW_EP_OK;
  self->object.source = 0;
  status = gw_csr_write (&ep->keys, generation, ep->dtls.binding, self->object.data, sizeof self->object.data,
                         &len);
  if (status != GW_OK)
    return GW_EP_GROUP_ERROR (GW_IDENT_ERR_PUF_FAILED);
  self->object.source = SOURCE_CSR;
  self->object.generation = generation;
  self->object.len = (uint32_t)len;
  return GW_EP_OK;
}

static int
csr (GwEp *ep, GwBytes body, GwCborWriter *w)
{
  GwIdentCsrReq req;
  GwIdentChunk out;
  int result;

  if (gw_ident_csr_req_decode (body, &req) != GW_OK)
    return GW_SMP_RC_INVALID;
  if (req.slot == GW_IDENT_SLOT_ID || req.slot > GW_IDENT_SLOT_MAX)
    return GW_EP_GROUP_ERROR (GW_IDENT_ERR_BAD_SLOT);
  if (req.generation != ep->ident.generation && req.generation != (uint64_t)ep->ident.generation + 1)
    return GW_SMP_RC_BAD_STATE;
  if (req.generation > UINT32_MAX)
    return GW_SMP_RC_BAD_STATE;
  result = make_csr (ep, req.slot, (uint32_t)req.generation);
  if (result == GW_EP_OK)
    result = chunk (ep, req.off, &out);
  if (result == GW_EP_OK)
    gw_ident_csr_rsp_encode (&out, w);
  return result;
}

static int
cert_get (GwEp *ep, GwBytes body, GwCborWriter *w)
{
  GwIdentCertGet req;
  GwIdentChunk out;
  uint32_t generation;
  int result;

  if (gw_ident_cert_get_req_decode (body, &req) != GW_OK)
    return GW_SMP_RC_INVALID;
  if (req.slot == GW_IDENT_SLOT_ID || req.slot > GW_IDENT_SLOT_MAX)
    return GW_EP_GROUP_ERROR (GW_IDENT_ERR_BAD_SLOT);
  if (!ep->ident.slots[req.slot].has_certificate)
    return GW_SMP_RC_NO_ENTRY;
  if (ep->ident.object.source != SOURCE_CERT + req.slot
      && read_certificate (ep, req.slot, &generation) != GW_OK)
    return GW_SMP_RC_UNKNOWN;
  result = chunk (ep, req.off, &out);
  if (result == GW_EP_OK)
    gw_ident_cert_get_rsp_encode (&out, w);
  return result;
}

/* ---- Objects that arrive ---- */

/* Takes one part; the offset in `up` is then the authoritative one. The same object offered again goes on
 * where it stood. Complete with a wrong digest: forgotten, rc 9. */
static int
take_part (GwEp *ep, uint8_t target, const GwIdentPart *part)
{
  GwEpUpload *up = &ep->ident.upload;
  uint8_t sha[GW_SHA256_LEN];

  if (part->off == 0)
    {
      if (!part->has_len || !part->has_sha || part->len == 0)
        return GW_SMP_RC_INVALID;
      if (part->len > sizeof up->data)
        return GW_SMP_RC_TOO_LARGE;
      if (!up->active || up->target != target || up->len != part->len
          || memcmp (up->sha, part->sha, sizeof up->sha) != 0)
        {
          *up = (GwEpUpload){ .active = true, .target = target, .len = part->len };
          memcpy (up->sha, part->sha, sizeof up->sha);
        }
    }
  else if (!up->active || up->target != target)
    return GW_SMP_RC_BAD_STATE;
  if (part->off != up->have)
    return GW_EP_OK;
  if (part->data.len > up->len - up->have)
    return GW_SMP_RC_INVALID;
  memcpy (up->data + up->have, part->data.ptr, part->data.len);
  up->have += (uint32_t)part->data.len;
  if (up->have < up->len)
    return GW_EP_OK;
  if (mbedtls_sha256_ret (up->data, up->len, sha, 0) != 0 || memcmp (sha, up->sha, sizeof sha) != 0)
    {
      up->active = false;
      return GW_SMP_RC_CORRUPT;
    }
  return GW_EP_OK;
}

/* Which generation's K_tls the certificate is for: one that a CSR named, the slot's present one, or the
 * current one (the CSR was before a restart). 0 = none of them. */
static uint32_t
match_generation (GwEp *ep, unsigned number, const uint8_t kid[GW_KEY_ID_LEN])
{
  GwEpSlot *slot = &ep->ident.slots[number];
  uint32_t candidates[3] = { 0 };
  size_t i, n = 0;

  if (slot->has_pending)
    candidates[n++] = slot->pending;
  if (slot->has_certificate)
    candidates[n++] = slot->generation;
  candidates[n++] = ep->ident.generation;
  for (i = 0; i < n; i++)
    if (slot_kid (ep, slot, candidates[i]) == GW_OK && memcmp (slot->kid, kid, GW_KEY_ID_LEN) == 0)
      return candidates[i];
  return 0;
}

/* The upload is complete: checks the key and writes it, its generation before it. */
static int
install_certificate (GwEp *ep, unsigned number)
{
  GwEpUpload *up = &ep->ident.upload;
  GwEpObject *object = &ep->ident.object;
  GwEpSlot *slot = &ep->ident.slots[number];
  uint8_t kid[GW_KEY_ID_LEN];
  uint32_t generation = 0;
  mbedtls_x509_crt crt;
  bool parsed;

  mbedtls_x509_crt_init (&crt);
  parsed = mbedtls_x509_crt_parse_der (&crt, up->data, up->len) == 0
           && mbedtls_sha256_ret (crt.pk_raw.p, crt.pk_raw.len, kid, 0) == 0;
  mbedtls_x509_crt_free (&crt);
  if (!parsed)
    return GW_SMP_RC_CORRUPT;
  generation = match_generation (ep, number, kid);
  if (generation == 0)
    return GW_EP_GROUP_ERROR (GW_IDENT_ERR_KEY_MISMATCH);
  object->source = 0;
  gw_put_u32be (object->data, generation);
  memcpy (object->data + CERT_HEADER_LEN, up->data, up->len);
  if (nv_write (ep, certificate_nv (number), object->data, CERT_HEADER_LEN + up->len) != GW_OK)
    return GW_SMP_RC_UNKNOWN;
  slot->has_certificate = true;
  slot->generation = generation;
  slot->has_pending = false;
  slot->not_after = not_after (up->data, up->len);
  return GW_EP_OK;
}

static void
answer_offset (const GwEp *ep, GwCborWriter *w)
{
  GwIdentOffset out = { .off = ep->ident.upload.have };

  gw_ident_offset_encode (&out, w);
}

static int
cert_put (GwEp *ep, GwBytes body, GwCborWriter *w)
{
  GwEpUpload *up = &ep->ident.upload;
  GwIdentCertPut req;
  bool was_complete;
  int result;

  if (gw_ident_cert_put_decode (body, &req) != GW_OK)
    return GW_SMP_RC_INVALID;
  if (req.slot == GW_IDENT_SLOT_ID || req.slot > GW_IDENT_SLOT_MAX)
    return GW_EP_GROUP_ERROR (GW_IDENT_ERR_BAD_SLOT);
  was_complete = up->active && up->target == req.slot && up->have == up->len
                 && (req.part.off != 0 || memcmp (up->sha, req.part.sha, sizeof up->sha) == 0);
  result = take_part (ep, req.slot, &req.part);
  if (result == GW_EP_OK && up->have == up->len && !was_complete)
    result = install_certificate (ep, req.slot);
  if (result != GW_EP_OK)
    {
      up->active = false;
      return result;
    }
  answer_offset (ep, w);
  return GW_EP_OK;
}

static int
anchor (GwEp *ep, GwBytes body, GwCborWriter *w)
{
  GwIdentAnchor req;
  int result;

  if (gw_ident_anchor_decode (body, &req) != GW_OK)
    return GW_SMP_RC_INVALID;
  if (req.kind != GW_IDENT_ANCHOR_OWNER_CA)
    return GW_SMP_RC_NOT_SUPPORTED;
  result = take_part (ep, TARGET_ANCHOR, &req.part);
  if (result == GW_EP_OK)
    answer_offset (ep, w);
  return result;
}

/* ---- Ownership ---- */

static bool
first_use_open (GwEp *ep)
{
  if (gw_ep_uptime (ep) <= (uint64_t)GW_IDENT_FIRST_OWNER_S * 1000u)
    return true;
  return ep->platform->button != NULL && ep->platform->button (ep->platform->ctx);
}

/* The gateway of this very session must belong to the owner it brings: otherwise the endpoint would lock
 * itself to somebody whose session it does not have. */
static int
take_owner (GwEp *ep, const uint8_t sha[GW_SHA256_LEN])
{
  GwEpIdent *self = &ep->ident;
  GwEpUpload *up = &self->upload;

  if (!up->active || up->target != TARGET_ANCHOR || up->have != up->len
      || memcmp (up->sha, sha, sizeof up->sha) != 0)
    return GW_SMP_RC_BAD_STATE;
  switch (gw_ep_dtls_check_anchor (&ep->dtls, up->data, up->len))
    {
    case GW_OK:
      break;
    case GW_E_DENIED:
      return GW_EP_GROUP_ERROR (GW_IDENT_ERR_NOT_OWNER);
    default:
      return GW_SMP_RC_CORRUPT;
    }
  if (nv_write (ep, GW_EP_NV_ANCHOR, up->data, up->len) != GW_OK
      || gw_ep_dtls_set_anchor (&ep->dtls, up->data, up->len, self->owner) != GW_OK)
    return GW_SMP_RC_UNKNOWN;
  memcpy (self->anchor_sha, sha, sizeof self->anchor_sha);
  self->owned = true;
  return GW_EP_OK;
}

static int
own (GwEp *ep, GwBytes body, GwCborWriter *w)
{
  GwIdentOwnRsp out = { .state = GW_LINK_STATE_OWNED };
  GwIdentOwnReq req;
  int result = GW_EP_OK;

  if (gw_ident_own_req_decode (body, &req) != GW_OK)
    return GW_SMP_RC_INVALID;
  if (req.mode != GW_IDENT_OWN_FIRST_USE)
    return GW_SMP_RC_NOT_SUPPORTED;
  if (ep->ident.owned)
    {
      /* The answer to the first may have been lost with its session. */
      if (memcmp (req.sha, ep->ident.anchor_sha, sizeof req.sha) != 0)
        return GW_SMP_RC_BAD_STATE;
    }
  else if (!first_use_open (ep))
    return GW_SMP_RC_ACCESS_DENIED;
  else
    result = take_owner (ep, req.sha);
  if (result == GW_EP_OK)
    gw_ident_own_rsp_encode (&out, w);
  return result;
}

static int
nonce (GwEp *ep, GwBytes body, GwCborWriter *w)
{
  GwIdentNonce out;

  if (gw_smp_empty_decode (body) != GW_OK)
    return GW_SMP_RC_INVALID;
  if (gw_ep_dtls_random (&ep->dtls, ep->ident.nonce, sizeof ep->ident.nonce) != GW_OK)
    return GW_SMP_RC_UNKNOWN;
  memcpy (out.nonce, ep->ident.nonce, sizeof out.nonce);
  gw_ident_nonce_encode (&out, w);
  return GW_EP_OK;
}

static int
wipe (GwEp *ep, GwBytes body, GwCborWriter *w)
{
  GwIdentWipe req;

  if (gw_ident_wipe_decode (body, &req) != GW_OK)
    return GW_SMP_RC_INVALID;
  if (req.level != GW_IDENT_WIPE_CERTIFICATES && req.level != GW_IDENT_WIPE_OWNER)
    return GW_SMP_RC_INVALID;
  if (gw_ep_ident_wipe (ep, req.level) != GW_OK)
    return GW_SMP_RC_UNKNOWN;
  if (req.level == GW_IDENT_WIPE_OWNER)
    ep->close_at = gw_ep_now (ep) + GW_EP_CLOSE_DELAY_MS;
  gw_smp_empty_encode (w);
  return GW_EP_OK;
}

static int
identify (GwEp *ep, GwBytes body, GwCborWriter *w)
{
  GwIdentIdentify req;

  if (gw_ident_identify_decode (body, &req) != GW_OK)
    return GW_SMP_RC_INVALID;
  if (ep->platform->identify == NULL)
    return GW_SMP_RC_NOT_SUPPORTED;
  ep->platform->identify (ep->platform->ctx, req.ms);
  gw_smp_empty_encode (w);
  return GW_EP_OK;
}

bool
gw_ep_ident_has_key (const GwEp *ep, unsigned number, uint64_t generation)
{
  const GwEpSlot *slot = &ep->ident.slots[number];

  return (slot->has_certificate && slot->generation == generation)
         || (slot->has_pending && slot->pending == generation);
}

/* attest is not served yet: to an owner it is rc 8, to a stranger rc 11, as every unknown command. */
const GwEpCommand gw_ep_ident_commands[] = {
  { GW_SMP_GROUP_IDENT, GW_IDENT_INFO, GW_SMP_OP_READ, true, info },
  { GW_SMP_GROUP_IDENT, GW_IDENT_CSR, GW_SMP_OP_WRITE, false, csr },
  { GW_SMP_GROUP_IDENT, GW_IDENT_CERT_PUT, GW_SMP_OP_WRITE, false, cert_put },
  { GW_SMP_GROUP_IDENT, GW_IDENT_CERT_GET, GW_SMP_OP_READ, false, cert_get },
  { GW_SMP_GROUP_IDENT, GW_IDENT_ANCHOR, GW_SMP_OP_WRITE, true, anchor },
  { GW_SMP_GROUP_IDENT, GW_IDENT_OWN, GW_SMP_OP_WRITE, true, own },
  { GW_SMP_GROUP_IDENT, GW_IDENT_NONCE, GW_SMP_OP_READ, true, nonce },
  { GW_SMP_GROUP_IDENT, GW_IDENT_SIGN, GW_SMP_OP_WRITE, false, gw_ep_sign },
  { GW_SMP_GROUP_IDENT, GW_IDENT_WIPE, GW_SMP_OP_WRITE, false, wipe },
  { GW_SMP_GROUP_IDENT, GW_IDENT_IDENTIFY, GW_SMP_OP_WRITE, false, identify },
};
const size_t gw_ep_ident_n_commands = sizeof gw_ep_ident_commands / sizeof gw_ep_ident_commands[0];
