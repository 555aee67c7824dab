/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Every message codec under the name that its byte vectors have, for tests and fuzz targets that treat all
 * messages alike. A recode is decode followed by encode of what was decoded, lists walked element by element.
 */

#include "gw-smp-codec.h"

typedef struct
{
  const char *name; /* "link/hello-rsp" */
  GwStatus (*recode) (GwBytes body, GwCborWriter *w);
} GwMessageCodec;

extern const GwMessageCodec gw_message_codecs[];
extern const size_t gw_message_codecs_n;

/* The codec of vector @name: the longest codec name that @name begins with. NULL if there is none. */
const GwMessageCodec *gw_message_codec_find (const char *name);
