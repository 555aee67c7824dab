/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "gw-cbor.h"

/* Writes the body of one vector. */
typedef void (*MessageSample) (GwCborWriter *w);

extern const guint message_samples_n;

/* Aborts if there is none of that name. */
MessageSample message_sample_find (const char *name);
