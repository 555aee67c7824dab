/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Frames written as hex digits, for the tests of ISO-TP. */

#include <glib.h>

#include "gw-isotp.h"

#define ISOTP_ID_US 0x18DA01F1u
#define ISOTP_ID_THEM 0x18DAF101u
#define ISOTP_PATTERN_MAX 70000

/* 01 02 .. FB 01 ..: what is sent. */
const guint8 *isotp_pattern (void);

/* A frame of theirs: classic, or FD where it is longer. Spaces are skipped; "xx*n" repeats an octet. */
GwCanFrame isotp_frame (const char *hex);
/* That it is valid and holds just that. */
void isotp_assert_frame (const GwCanFrame *frame, const char *hex);

/* What the codec makes of frames. */
typedef struct
{
  const char *hex;
  GwStatus status;
  GwIsotpKind kind; /* from here on: where status is GW_OK */
  guint32 len;
  gsize data;
} IsotpDecode;

extern const IsotpDecode isotp_decodes[];
extern const gsize isotp_n_decodes;
