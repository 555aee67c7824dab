/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * Certificates and signatures made by the openssl command, an independent judge of what the daemon checks. A folder:
 * trust/root.pem (an anchor), trust-other/ (another anchor), empty/, and signers as NAME.pem and NAME.key:
 * good (by root, code signing), sub (by an intermediate, whose certificate is sub-ca.pem), server (purpose
 * serverAuth), bare (no purpose), old (expired), stranger (by another root), rsa, nosign (key usage without
 * digitalSignature).
 */
typedef struct
{
  char *dir;
} TestPki;

void test_pki_init (TestPki *self);
void test_pki_clear (TestPki *self); /* removes the folder */

/* Path in the folder. Free with g_free. */
char *test_pki_path (TestPki *self, const char *name);

/* Run a shell line in the folder; aborts the test if it fails. */
void test_pki_shell (TestPki *self, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* A revocation list OUT (PEM) of @ca, which revokes @name's certificate ("": none); more: further options of openssl ca. */
void test_pki_revoke (TestPki *self, const char *ca, const char *ca_key, const char *name, const char *out, const char *more);

/* NAME with this content. */
void test_pki_write (TestPki *self, const char *name, const char *content, gssize length);

/* Sign content file NAME as NAME.p7s; more: further options of openssl cms. */
void test_pki_sign (TestPki *self, const char *name, const char *signer, const char *more);
