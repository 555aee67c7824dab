/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <gnutls/x509.h>

G_BEGIN_DECLS

/*
 * Revocation lists (RFC 5280, section 5) that an administrator has laid into a folder. A list that is there
 * counts: it must be its issuer's, and one of them must be of today, or nothing that this issuer has signed
 * is taken. Whose issuer has no list here is not asked about: nothing is fetched.
 */
typedef struct _GwCrls GwCrls;

/* All *.crl files of @dir, PEM (several lists) or DER. NULL with a sentence in @wrong (the caller's): one
 * cannot be read, or is of a kind that is not understood (partial, indirect or delta lists). */
GwCrls *gw_crls_load (const char *dir, char **wrong);
void gw_crls_free (GwCrls *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwCrls, gw_crls_free)

gboolean gw_crls_is_empty (const GwCrls *self);

/* What the lists say of @certificate, which @issuer has signed: NULL for nothing bad, or what follows "the
 * certificate of NAME ", the caller's. */
char *gw_crls_check (const GwCrls *self, gnutls_x509_crt_t certificate, gnutls_x509_crt_t issuer);

G_END_DECLS
