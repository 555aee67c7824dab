/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: bodies of gw_ident. */
#include "fuzz-messages.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  fuzz_messages ("ident/", (GwBytes){ data, size });
  return 0;
}
