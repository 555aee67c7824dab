/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The hello of endpoints that tests play. */

#include <glib.h>

#include "gw-link-codec.h"

G_BEGIN_DECLS

/* An endpoint of nobody in particular. Its uid is the beginning of @kid; texts are static. */
void gw_test_hello_init (GwLinkHello *self, const guint8 kid[GW_KEY_ID_LEN], guint16 mtu);

/* Answers @message in @out if it asks for hello, and returns the octets; 0: it is something else. */
gsize gw_test_hello_answer (const GwLinkHello *self, GwBytes message, guint8 *out, gsize size);

G_END_DECLS
