/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: bodies of gw_data. */
#include "fuzz-messages.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  fuzz_messages ("data/", (GwBytes){ data, size });
  return 0;
}
