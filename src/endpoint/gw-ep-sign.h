/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The command `sign`: K_tls for the uplink's TLS handshake.
 *
 * No signing oracle: what is signed is built here, for TLS 1.3 and a client only, out of a transcript hash;
 * with K_tls only, never K_id; at a bounded rate over all sessions. A slow signature is answered late and
 * holds up nothing. The core lets only the owner's session come here. */

#include "gw-ep.h"
#include "gw-ident-codec.h"

typedef struct
{
  uint8_t tokens; /* signatures allowed now */
  uint64_t refilled_at;
  bool signing; /* one is under way */
  uint64_t due;
  uint32_t generation;
  uint8_t hash[GW_SHA256_LEN];
} GwEpSign;

/* Power-up: a full bucket. */
void gw_ep_sign_load (GwEp *ep);
/* The one under way, if any, is not made. */
void gw_ep_sign_forget (GwEp *ep);
/* The handler (GwEpHandler). */
int gw_ep_sign (GwEp *ep, GwBytes body, GwCborWriter *w);
/* Completes a due signature; the next deadline. */
uint64_t gw_ep_sign_poll (GwEp *ep, uint64_t now);
