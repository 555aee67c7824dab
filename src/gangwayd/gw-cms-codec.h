/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gw-reader.h"

/*
 * The parts of a detached CMS signature (RFC 5652 SignedData in a ContentInfo, DER) that verifying needs. GnuTLS verifies
 * PKCS #7 only with the whole content in memory; a manifest may be larger than that, so the content is hashed
 * while it is read and the signature over the signed attributes is checked by itself: for that the attributes
 * are needed as octets.
 *
 * DER only: definite, shortest lengths; nothing after the end. Everything points into the caller's buffer. No allocation.
 */
#define GW_CMS_SIZE_MAX (256u * 1024u)
#define GW_CMS_CERTS_MAX 16u
#define GW_CMS_SIGNERS_MAX 8u

typedef enum
{
  GW_CMS_HASH_UNKNOWN = 0,
  GW_CMS_HASH_SHA256,
  GW_CMS_HASH_SHA384,
  GW_CMS_HASH_SHA512,
} GwCmsHash;

typedef enum
{
  GW_CMS_SIGN_UNKNOWN = 0,
  GW_CMS_SIGN_RSA, /* PKCS #1 v1.5 */
  GW_CMS_SIGN_ECDSA,
} GwCmsSign;

typedef struct
{
  GwBytes issuer; /* DER of the Name; empty if named by key_id */
  GwBytes serial; /* content octets of the INTEGER */
  GwBytes key_id; /* subject key identifier */
  GwCmsHash hash; /* digestAlgorithm */
  GwCmsSign sign; /* signatureAlgorithm; its hash, if it names one, equals hash */
  GwBytes attributes; /* content octets of the signed attributes; what is signed is 31 LEN before them. Empty: none */
  bool content_is_data; /* attribute contentType is id-data */
  GwBytes digest; /* attribute messageDigest; empty: none, or more than one */
  GwBytes signature;
} GwCmsSigner;

typedef struct
{
  GwBytes certs[GW_CMS_CERTS_MAX]; /* DER */
  size_t n_certs;
  GwCmsSigner signers[GW_CMS_SIGNERS_MAX];
  size_t n_signers;
} GwCmsSigned;

/* NULL = parsed, else what is wrong, a constant. */
const char *gw_cms_parse (const void *der, size_t length, GwCmsSigned *out);
