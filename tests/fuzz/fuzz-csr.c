/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: the check of an endpoint's CSR. What is handed out after a good verdict is the key of that key
 * id; after a bad one, nothing. */
#include <gnutls/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gw-csr-check.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
check (const uint8_t *data, size_t size, const uint8_t *binding)
{
  static const GwCsrKey none;
  GwCsrKey key;
  uint8_t hash[32];

  if (gw_csr_check (data, size, binding, NULL, &key) != GW_CSR_OK)
    {
      if (memcmp (&key, &none, sizeof key) != 0)
        abort ();
      return;
    }
  if (gnutls_hash_fast (GNUTLS_DIG_SHA256, key.spki, sizeof key.spki, hash) < 0
      || memcmp (hash, key.key_id, sizeof hash) != 0)
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const uint8_t binding[GW_CSR_BINDING_LEN];

  check (data, size, NULL);
  check (data, size, binding);
  return 0;
}
