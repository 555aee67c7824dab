/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* gw_ident on the endpoint: who it is, whom it belongs to, and what its keys may be used for.
 *
 * State that outlives power is in the platform's flash: the owner CA's certificate (present = owned), one
 * certificate for each of the slots 1 and 2 with the generation of its key, and the generation counter, which
 * only ever rises. A wipe is journalled, so a power cut in the middle is finished at the next power-up. Keys
 * are derived by gw-keys at each use. Nothing here decides who may call: the table says what an unowned
 * endpoint serves, and an owned one has sessions with its owner only. */

#include "gw-ep.h"
#include "gw-ident-codec.h"

#define GW_EP_SLOTS (GW_IDENT_SLOT_MAX + 1u)
#define GW_EP_CLOSE_DELAY_MS 250u /* the answer leaves before the session ends or the chip restarts */

typedef struct
{
  bool has_certificate;
  uint32_t generation; /* of the certificate's key */
  uint64_t not_after;
  bool has_pending; /* a CSR was made in this power-up */
  uint32_t pending;
  bool has_kid;
  uint32_t kid_generation;
  uint8_t kid[GW_KEY_ID_LEN];
} GwEpSlot;

/* An object that arrives in chunks. */
typedef struct
{
  bool active;
  uint8_t target;
  uint32_t len, have;
  uint8_t sha[GW_SHA256_LEN];
  uint8_t data[GW_EP_BLOB_MAX];
} GwEpUpload;

/* An object that leaves in chunks: kept between them. */
typedef struct
{
  uint8_t source; /* 0 = none */
  uint32_t generation;
  uint32_t len;
  uint8_t data[GW_EP_BLOB_MAX + 4];
} GwEpObject;

typedef struct
{
  bool owned;
  uint8_t owner[GW_SHA256_LEN];      /* SHA-256 of the owner CA's public key */
  uint8_t anchor_sha[GW_SHA256_LEN]; /* of its certificate */
  uint32_t generation;
  GwEpSlot slots[GW_EP_SLOTS]; /* number 0 is unused: K_id has no certificate of anyone */
  GwEpUpload upload;
  GwEpObject object;
  uint8_t nonce[GW_IDENT_NONCE_LEN];
} GwEpIdent;

/* Power-up: reads the flash, finishes a wipe that was cut short. Errors of the platform. */
int gw_ep_ident_load (GwEp *ep);
/* A session has ended: what belongs to it is forgotten. */
void gw_ep_ident_session_end (GwEp *ep);
/* Whether slot 1 or 2 has the K_tls of that generation, with a certificate or on the way to one. */
bool gw_ep_ident_has_key (const GwEp *ep, unsigned number, uint64_t generation);
/* Hello's fields, the nonce apart. */
void gw_ep_ident_hello (const GwEp *ep, GwLinkHello *hello);
/* Raises the generation, erases the certificates and, at level GW_IDENT_WIPE_OWNER, the owner. */
int gw_ep_ident_wipe (GwEp *ep, unsigned level);
