/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The keys of an endpoint, all derived from the PUF at the moment of use and wiped after it.
 *
 * GwKeys holds public things only: key id, public key and self-signed certificate of K_id, health of the PUF.
 * It is allocated by the caller, needs no freeing, and must stay where it is while an mbedtls_pk_context made
 * by gw_keys_init_pk() is alive. A derived private key lives in a GwKey between gw_keys_open() and
 * gw_key_close(). Every use reads the PUF anew and compares with the check value and key id stored at
 * enrolment: a PUF that fails gives GW_E_PUF, never a signature by another key. Signatures are RFC 6979
 * (deterministic), ECDSA P-256 with SHA-256. Labels and derivation: doc/protocol.md, "PUF and keys". */

#include <mbedtls/ecp.h>
#include <mbedtls/pk.h>

#include "gw-ep-platform.h"
#include "gw-puf.h"

#define GW_KEYS_KID_LEN 32
#define GW_KEYS_SPKI_LEN 91 /* SubjectPublicKeyInfo, P-256, named curve, uncompressed (RFC 5480) */
#define GW_KEYS_SIG_MAX 72  /* ECDSA-Sig-Value in DER, P-256 */
#define GW_KEYS_CERT_MAX 320
#define GW_KEYS_SYMMETRIC_LEN 32

typedef enum
{
  GW_KEYS_ID,    /* K_id: proves the chip; the generation is ignored */
  GW_KEYS_TLS,   /* K_tls of a generation: the endpoint's TLS key towards the broker */
  GW_KEYS_ENC,   /* K_enc: firmware decryption; symmetric */
  GW_KEYS_STORE, /* K_store: local storage; symmetric */
} GwKeysKind;

typedef struct
{
  const GwEpPlatform *platform;
  bool ready; /* K_id has been derived at this power-up */
  GwPufHealth health;
  uint8_t kid[GW_KEYS_KID_LEN];   /* SHA-256 of spki */
  uint8_t spki[GW_KEYS_SPKI_LEN]; /* of K_id */
  uint8_t
      cert[GW_KEYS_CERT_MAX]; /* self-signed, X.509 v1, CN of one letter: a carrier of the public key only */
  size_t cert_len;
} GwKeys;

/* A derived key pair. Opaque to users. */
typedef struct
{
  GwKeys *keys;
  mbedtls_ecp_group group;
  mbedtls_mpi d;
  mbedtls_ecp_point q;
} GwKey;

/* Power-up: enrols the PUF where it never was, derives K_id and checks it against the stored key id.
 * On GW_E_PUF, GW_E_CHECK `self` is usable for its health only. */
int gw_keys_init (GwKeys *self, const GwEpPlatform *platform);

/* Derives the key pair (kind ID or TLS) and checks it. On success gw_key_close() must follow; on error
 * nothing is held. */
int gw_keys_open (GwKeys *self, GwKeysKind kind, uint32_t generation, GwKey *key);
void gw_key_close (GwKey *key);

/* The public key as SubjectPublicKeyInfo, and its SHA-256 (either may be NULL). */
int gw_key_public (GwKey *key, uint8_t spki[GW_KEYS_SPKI_LEN], uint8_t kid[GW_KEYS_KID_LEN]);

/* Signs a SHA-256 digest; `sig` has GW_KEYS_SIG_MAX octets of room and gets *sig_len of DER. */
int gw_key_sign (GwKey *key, const uint8_t hash[32], uint8_t *sig, size_t *sig_len);

/* The same in one call: derive, act, wipe. */
int gw_keys_public (GwKeys *self,
                    GwKeysKind kind,
                    uint32_t generation,
                    uint8_t spki[GW_KEYS_SPKI_LEN],
                    uint8_t kid[GW_KEYS_KID_LEN]);
int gw_keys_sign (GwKeys *self,
                  GwKeysKind kind,
                  uint32_t generation,
                  const uint8_t hash[32],
                  uint8_t *sig,
                  size_t *sig_len);

/* A symmetric key (kind ENC or STORE); the caller wipes it. */
int gw_keys_symmetric (GwKeys *self, GwKeysKind kind, uint8_t out[GW_KEYS_SYMMETRIC_LEN]);

/* Makes `pk` a handle on K_id for mbedtls_ssl_conf_own_cert(): its sign function derives K_id at that moment,
 * signs, wipes. It signs SHA-256 digests only. It points at `self`; mbedtls_pk_free() leaves `self` alone.
 * `pk` must be initialised and empty. The matching certificate is self->cert. */
void gw_keys_init_pk (GwKeys *self, mbedtls_pk_context *pk);

/* A random function in mbedTLS's form on the platform's entropy; its context is the GwEpPlatform. */
int gw_keys_rng (void *platform, unsigned char *out, size_t len);
