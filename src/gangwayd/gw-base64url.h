/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Octets as JSON carries them: base64url (RFC 4648, section 5), as in SenML's vd (RFC 8428, section 4.3). */

/* Without padding; the caller's. */
char *gw_base64url_encode (const guint8 *octets, gsize len);
/* With padding or without. NULL: it is none; nothing is passed over and no bit is lost, as what comes out may
 * move a valve. */
GBytes *gw_base64url_decode (const char *text);

G_END_DECLS
