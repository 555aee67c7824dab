/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A small DER writer for what an endpoint signs: its certificate and its request. As mbedTLS does, it writes
 * from the end of a buffer of the caller towards its front, so what comes last is written first. The first
 * write that does not fit marks it failed, and all that follow do nothing; gw_der_sign() tells. */

#include "gw-keys.h"

typedef struct
{
  uint8_t *start; /* of the buffer */
  uint8_t *p;     /* what was written last begins here */
  uint8_t *end;
  bool failed;
} GwDer;

void gw_der_init (GwDer *self, uint8_t *buffer, size_t size);
void gw_der_raw (GwDer *self, const void *data, size_t len);

/* Puts length and tag before what has been written since `p` was at `end`. */
void gw_der_wrap (GwDer *self, uint8_t tag, const uint8_t *end);

/* A Name of one commonName, as `tag` (a string type). */
void gw_der_name (GwDer *self, uint8_t tag, const char *text, size_t len);

/* AlgorithmIdentifier ecdsa-with-SHA256 (RFC 5758, 3.2). */
void gw_der_ecdsa_sha256 (GwDer *self);

/* Makes SEQUENCE { written, algorithm, signature by `key` over it } and moves it to the buffer's front. */
int gw_der_sign (GwDer *self, GwKey *key, size_t *len);
