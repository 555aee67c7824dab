/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gw-message-codecs.h"

/*
 * Gives @body to every message codec whose name begins with @prefix. What decodes must encode, and what that
 * gives must decode and encode to the same octets.
 */
static inline void
fuzz_messages (const char *prefix, GwBytes body)
{
  static uint8_t once[1 << 16], twice[1 << 16];

  if (body.len > sizeof once / 4) /* a half float may grow */
    return;
  for (size_t i = 0; i < gw_message_codecs_n; i++)
    {
      GwCborWriter w, again;

      if (strncmp (gw_message_codecs[i].name, prefix, strlen (prefix)) != 0)
        continue;
      gw_cbor_writer_init (&w, once, sizeof once);
      if (gw_message_codecs[i].recode (body, &w) != GW_OK)
        continue;
      gw_cbor_writer_init (&again, twice, sizeof twice);
      if (w.status != GW_OK || gw_message_codecs[i].recode ((GwBytes){ once, w.len }, &again) != GW_OK
          || again.status != GW_OK || again.len != w.len || memcmp (once, twice, w.len) != 0)
        abort ();
    }
}
