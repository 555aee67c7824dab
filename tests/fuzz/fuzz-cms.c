/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Fuzz target for detached CMS signatures: all that is handed out lies in the input. */

#include <stdlib.h>

#include "gw-cms-codec.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
check (const uint8_t *data, size_t size, GwBytes part)
{
  if (part.len > 0 && (part.ptr < data || part.len > size || (size_t)(part.ptr - data) > size - part.len))
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  GwCmsSigned parsed;

  if (gw_cms_parse (data, size, &parsed))
    return 0;
  if (parsed.n_certs > GW_CMS_CERTS_MAX || parsed.n_signers > GW_CMS_SIGNERS_MAX)
    abort ();
  for (size_t i = 0; i < parsed.n_certs; i++)
    check (data, size, parsed.certs[i]);
  for (size_t i = 0; i < parsed.n_signers; i++)
    {
      const GwCmsSigner *s = &parsed.signers[i];

      check (data, size, s->issuer);
      check (data, size, s->serial);
      check (data, size, s->key_id);
      check (data, size, s->attributes);
      check (data, size, s->digest);
      check (data, size, s->signature);
      if ((s->attributes.len > 0) != (s->digest.ptr != NULL))
        abort ();
    }
  return 0;
}
