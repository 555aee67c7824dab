/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The certificate request for K_tls: PKCS#10 (RFC 2986) in DER.
 *
 * Subject CN = the 64 hex digits of the chip's key id (K_id), public key = K_tls of the generation, attribute
 * challengePassword (RFC 2985, 5.4.1) = base64 of the session's RFC 9266 binding, signed by K_tls. The key is
 * derived for the call and wiped. The same session and generation give the same octets. */

#include "gw-keys.h"

#define GW_CSR_BINDING_LEN 32
#define GW_CSR_MAX 512

/* Writes the request to out[0..*len), cap at least GW_CSR_MAX. GW_E_SPACE where it does not fit; errors
 * of gw_keys_open(). */
int gw_csr_write (GwKeys *keys,
                  uint32_t generation,
                  const uint8_t binding[GW_CSR_BINDING_LEN],
                  uint8_t *out,
                  size_t cap,
                  size_t *len);
