/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gw-error.h"

/*
 * Verify a detached CMS signature over content that is read once, in pieces. Good means: at least one signer whose
 * certificate chains to an anchor of a folder, is valid now, is marked for code signing, and whose signature holds
 * over what was read. Deny by default: no signer, no anchor, no signed attributes are errors like any other.
 * Revocation lists in the same folder count (gw-crls.h).
 * All errors are GW_ERROR_NOT_TRUSTED, but STORAGE where the folder cannot be read.
 */
typedef struct _GwCms GwCms;

/* Checks all that can be told before the content: form, certificates, chain. trust_dir: all its *.pem files are anchors, all
 * its *.crl files revocation lists.
 * der is copied. */
GwCms *gw_cms_new (const guint8 *der, gsize length, const char *trust_dir, GError **error);
void gw_cms_free (GwCms *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwCms, gw_cms_free)

void gw_cms_update (GwCms *self, const void *content, gsize length);

/* Once, after the last piece. signer: the distinguished name of who signed (free with g_free). sha256: of the
 * content, set in any case. */
gboolean gw_cms_finish (GwCms *self, char **signer, guint8 sha256[32], GError **error);
