/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Detached signatures: what openssl signs is taken if everything about the signer is right, refused by name
 * if not. */
#include <string.h>

#include "gw-cms-codec.h"
#include "gw-cms.h"
#include "test-pki.h"

#define CONTENT "key_id,manufacturer,model,serial_number\nfour octets\x00\xff\n"

static TestPki pki;

/* Verify file content against its .p7s, in pieces; the refusal's text, or NULL with *signer. */
static char *
verify (const char *content, gsize length, const char *signature, const char *trust, char **signer)
{
  g_autofree char *path = test_pki_path (&pki, signature), *dir = test_pki_path (&pki, trust), *der = NULL;
  g_autofree char *unused = NULL;
  g_autoptr (GwCms) cms = NULL;
  g_autoptr (GError) error = NULL;
  guint8 sha256[32];
  gsize der_length;

  g_assert_true (g_file_get_contents (path, &der, &der_length, NULL));
  cms = gw_cms_new ((const guint8 *)der, der_length, dir, &error);
  for (gsize at = 0; cms && at < length; at += 7)
    gw_cms_update (cms, content + at, MIN (7, length - at));
  if (cms && gw_cms_finish (cms, signer ? signer : &unused, sha256, &error))
    {
      g_autofree char *hex = g_compute_checksum_for_data (G_CHECKSUM_SHA256, (const guchar *)content, length);

      for (guint i = 0; i < 32; i++)
        {
          g_autofree char *two = g_strdup_printf ("%02x", sha256[i]);
          g_assert_cmpmem (two, 2, hex + 2 * i, 2);
        }
      return NULL;
    }
  g_assert_error (error, GW_ERROR, GW_ERROR_NOT_TRUSTED);
  return g_strdup (error->message);
}

static void
sign (const char *signer, const char *more)
{
  test_pki_write (&pki, "c", CONTENT, sizeof CONTENT);
  test_pki_sign (&pki, "c", signer, more);
}

static void
assert_taken (const char *signer, const char *more)
{
  g_autofree char *refusal = NULL, *name = NULL;

  sign (signer, more);
  refusal = verify (CONTENT, sizeof CONTENT, "c.p7s", "trust", &name);
  g_assert_cmpstr (refusal, ==, NULL);
  g_assert_nonnull (strstr (name, signer));
}

static void
assert_refused (const char *signer, const char *more, const char *trust, const char *why)
{
  g_autofree char *refusal = NULL;

  sign (signer, more);
  refusal = verify (CONTENT, sizeof CONTENT, "c.p7s", trust, NULL);
  g_test_message ("%s", refusal);
  g_assert_nonnull (refusal);
  g_assert_nonnull (strstr (refusal, why));
}

static void
test_good (void)
{
  assert_taken ("good", "");
  assert_taken ("good", "-md sha384");
  assert_taken ("good", "-md sha512");
  assert_taken ("good", "-keyid");
  assert_taken ("rsa", "");
  assert_taken ("sub", "-certfile sub-ca.pem");
}

static void
test_two_signers (void)
{
  g_autofree char *refusal = NULL, *name = NULL;

  sign ("stranger", "-signer good.pem -inkey good.key"); /* a good one among two is enough */
  refusal = verify (CONTENT, sizeof CONTENT, "c.p7s", "trust", &name);
  g_assert_cmpstr (refusal, ==, NULL);
  g_assert_nonnull (strstr (name, "good"));
}

static void
test_refused (void)
{
  assert_refused ("server", "", "trust", "not marked for code signing");
  assert_refused ("bare", "", "trust", "not marked for code signing");
  assert_refused ("nosign", "", "trust", "not marked for code signing");
  assert_refused ("old", "", "trust", "has expired");
  assert_refused ("stranger", "", "trust", "leads to no trusted root");
  assert_refused ("good", "", "trust-other", "leads to no trusted root");
  assert_refused ("good", "", "empty", "nobody is trusted");
  assert_refused ("good", "", "nonexistent", "nobody is trusted");
  assert_refused ("sub", "", "trust", "leads to no trusted root");
  assert_refused ("forged", "-certfile good.pem", "trust", "");
  assert_refused ("good", "-noattr", "trust", "without -noattr");
  assert_refused ("good", "-nocerts", "trust", "without -nocerts");
  assert_refused ("good", "-md sha1", "trust", "SHA-256");
  assert_refused ("good", "-nodetach", "trust", "sign detached");
  assert_refused ("weak", "", "trust", "");
}

/* An anchor folder may hold the signer itself; what is said of its purpose and time still counts. */
static void
test_pinned (void)
{
  g_autofree char *good = NULL, *old = NULL, *server = NULL;

  test_pki_shell (&pki, "mkdir -p pinned && cp good.pem old.pem server.pem pinned/");
  sign ("good", "");
  good = verify (CONTENT, sizeof CONTENT, "c.p7s", "pinned", NULL);
  g_assert_cmpstr (good, ==, NULL);
  sign ("old", "");
  old = verify (CONTENT, sizeof CONTENT, "c.p7s", "pinned", NULL);
  g_assert_nonnull (strstr (old, "expired"));
  sign ("server", "");
  server = verify (CONTENT, sizeof CONTENT, "c.p7s", "pinned", NULL);
  g_assert_nonnull (strstr (server, "code signing"));
}

static void
test_broken_anchor (void)
{
  g_autofree char *refusal = NULL;

  test_pki_shell (&pki, "mkdir -p broken && cp trust/root.pem broken/ && echo junk > broken/junk.pem");
  sign ("good", "");
  refusal = verify (CONTENT, sizeof CONTENT, "c.p7s", "broken", NULL);
  g_assert_nonnull (strstr (refusal, "junk.pem holds no certificate"));
}

/* Of more files than are read none counts, and it is said: a limit that is passed in silence trusts by chance. */
static void
test_many_anchors (void)
{
  g_autofree char *most = NULL, *more = NULL, *hidden = NULL;

  test_pki_shell (&pki, "mkdir -p many && for i in $(seq 255); do cp trust-other/other.pem many/a$i.pem; done; cp trust/root.pem many/z.pem");
  sign ("good", "");
  most = verify (CONTENT, sizeof CONTENT, "c.p7s", "many", NULL);
  g_assert_cmpstr (most, ==, NULL);
  test_pki_shell (&pki, "echo junk > many/.hidden.pem");
  hidden = verify (CONTENT, sizeof CONTENT, "c.p7s", "many", NULL);
  g_assert_cmpstr (hidden, ==, NULL);
  test_pki_shell (&pki, "cp trust-other/other.pem many/b.pem");
  more = verify (CONTENT, sizeof CONTENT, "c.p7s", "many", NULL);
  g_assert_nonnull (strstr (more, "more than 256"));
}

/* What "good" or, by an intermediate, "sub" is told under the anchors and lists of a folder. */
static void
assert_told (const char *signer, const char *more, const char *trust, const char *why)
{
  g_autofree char *refusal = NULL;

  sign (signer, more);
  refusal = verify (CONTENT, sizeof CONTENT, "c.p7s", trust, NULL);
  if (!why)
    g_assert_cmpstr (refusal, ==, NULL);
  else if (!refusal || !strstr (refusal, why))
    g_error ("%s: '%s' is not told, but: %s", trust, why, refusal ? refusal : "nothing");
}

#define SUB "-certfile sub-ca.pem"

static void
test_revoked (void)
{
  static const char root[] = "trust/root.pem", sub_ca[] = "sub-ca.pem";

  test_pki_revoke (&pki, root, "root.key", "", "r-none/root.crl", "");
  test_pki_revoke (&pki, root, "root.key", "good", "r-good/root.crl", "");
  test_pki_revoke (&pki, root, "root.key", "sub-ca", "r-sub-ca/root.crl", "");
  test_pki_revoke (&pki, sub_ca, "sub-ca.key", "sub", "r-sub/sub-ca.crl", "");
  test_pki_shell (&pki, "for d in r-*; do cp trust/root.pem $d/; done");
  assert_told ("good", "", "r-none", NULL);
  assert_told ("sub", SUB, "r-none", NULL);
  assert_told ("good", "", "r-good", "is revoked");
  assert_told ("rsa", "", "r-good", NULL);
  assert_told ("sub", SUB, "r-sub-ca", "CN=sub-ca,O=Silicon is revoked");
  assert_told ("good", "", "r-sub-ca", NULL);
  assert_told ("sub", SUB, "r-sub", "CN=sub,O=Silicon is revoked");
  assert_told ("good", "", "r-sub", NULL);
  /* A revoked one beside one that is not: the other's word counts. */
  assert_told ("good", "-signer rsa.pem -inkey rsa.key", "r-good", NULL);
  /* In DER, and several in one file. */
  test_pki_shell (&pki, "mkdir r-der r-two; openssl crl -in r-good/root.crl -outform DER -out r-der/root.crl; cp trust/root.pem r-der;"
                        " cat r-sub/sub-ca.crl r-good/root.crl > r-two/all.crl; cp trust/root.pem r-two");
  assert_told ("good", "", "r-der", "is revoked");
  assert_told ("good", "", "r-two", "is revoked");
  assert_told ("sub", SUB, "r-two", "is revoked");
  /* The signer is an anchor itself: its issuer's list counts where the issuer is known. */
  test_pki_shell (&pki, "cp -r r-good r-pinned; cp good.pem r-pinned/; mkdir r-alone; cp good.pem r-good/root.crl r-alone/");
  assert_told ("good", "", "r-pinned", "is revoked");
  assert_told ("good", "", "r-alone", NULL);
}

/* A list in an issuer's name that says nothing certain: better no manifest than one of whom we cannot tell. */
static void
test_bad_lists (void)
{
  static const char root[] = "trust/root.pem";

  test_pki_revoke (&pki, root, "root.key", "", "l-old/root.crl", "-crl_lastupdate 20200101000000Z -crl_nextupdate 20200201000000Z");
  test_pki_revoke (&pki, root, "root.key", "good", "l-old-revoked/root.crl",
                   "-crl_lastupdate 20200101000000Z -crl_nextupdate 20200201000000Z");
  test_pki_revoke (&pki, root, "root.key", "", "l-early/root.crl", "-crl_lastupdate 20400101000000Z -crl_nextupdate 20410101000000Z");
  test_pki_revoke (&pki, root, "root.key", "", "l-partial/root.crl", "-crlexts partial");
  test_pki_revoke (&pki, "good.pem", "good.key", "", "l-no-ca/good.crl", "");
  test_pki_revoke (&pki, root, "root.key", "", "l-cut/root.crl", "");
  /* Another root of the same name. */
  test_pki_shell (&pki, "mkdir twin; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 10 -subj /CN=root"
                        " -keyout twin.key -out twin/root.pem -addext basicConstraints=critical,CA:TRUE"
                        " -addext keyUsage=critical,keyCertSign,cRLSign");
  test_pki_revoke (&pki, "twin/root.pem", "twin.key", "good", "l-twin/root.crl", "");
  test_pki_shell (&pki, "for d in l-*; do cp trust/root.pem $d/; done; head -c 200 l-cut/root.crl > x; mv x l-cut/root.crl;"
                        " cp -r l-old l-renewed; mkdir l-junk; cp trust/root.pem l-junk; echo junk > l-junk/junk.crl");
  test_pki_revoke (&pki, root, "root.key", "", "l-renewed/root-2.crl", "");
  assert_told ("good", "", "l-old", "has run out");
  assert_told ("good", "", "l-old-revoked", "is revoked");
  assert_told ("good", "", "l-early", "not valid yet");
  assert_told ("good", "", "l-partial", "partial, indirect or delta");
  assert_told ("good", "", "l-no-ca", NULL);
  assert_told ("good", "", "l-cut", "holds no revocation list");
  assert_told ("good", "", "l-junk", "holds no revocation list");
  assert_told ("good", "", "l-twin", "not signed by its issuer");
  assert_told ("good", "", "l-renewed", NULL);
  assert_told ("sub", SUB, "l-old", "has run out");
  assert_told ("stranger", "", "l-old", "leads to no trusted root");
}

static void
test_other_content (void)
{
  g_autofree char *shorter = NULL, *changed = NULL, *empty = NULL;
  char content[] = CONTENT;

  sign ("good", "");
  shorter = verify (CONTENT, sizeof CONTENT - 1, "c.p7s", "trust", NULL);
  g_assert_nonnull (strstr (shorter, "other content"));
  content[5] ^= 1;
  changed = verify (content, sizeof content, "c.p7s", "trust", NULL);
  g_assert_nonnull (strstr (changed, "other content"));
  empty = verify ("", 0, "c.p7s", "trust", NULL);
  g_assert_nonnull (strstr (empty, "other content"));
}

static void
load (const char *name, char **der, gsize *length)
{
  g_autofree char *path = test_pki_path (&pki, name);

  g_assert_true (g_file_get_contents (path, der, length, NULL));
}

/* The attributes are what is signed: one whose digest was replaced must not pass. */
static void
test_forged_digest (void)
{
  g_autofree char *der = NULL, *refusal = NULL;
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  GwCmsSigned parsed;
  guint8 digest[32];
  gsize length, digest_length = sizeof digest;

  sign ("good", "");
  load ("c.p7s", &der, &length);
  g_assert_null (gw_cms_parse (der, length, &parsed));
  g_checksum_update (sum, (const guchar *)"forged", 6);
  g_checksum_get_digest (sum, digest, &digest_length);
  memcpy ((guint8 *)parsed.signers[0].digest.ptr, digest, sizeof digest);
  test_pki_write (&pki, "f.p7s", der, (gssize)length);
  refusal = verify ("forged", 6, "f.p7s", "trust", NULL);
  g_assert_nonnull (strstr (refusal, "not made with the key"));
}

/* Somebody adds a signature of his own to one that does not hold: nobody who is trusted has signed. */
static void
test_added_signer (void)
{
  g_autofree char *der = NULL, *refusal = NULL;
  GwCmsSigned parsed;
  gsize length;

  sign ("stranger", "-signer good.pem -inkey good.key");
  load ("c.p7s", &der, &length);
  g_assert_null (gw_cms_parse (der, length, &parsed));
  g_assert_cmpuint (parsed.n_signers, ==, 2);
  for (guint i = 0; i < 2; i++)
    if (memmem (parsed.signers[i].issuer.ptr, parsed.signers[i].issuer.len, "root", 4))
      ((guint8 *)parsed.signers[i].signature.ptr)[parsed.signers[i].signature.len - 1] ^= 1;
  test_pki_write (&pki, "f.p7s", der, (gssize)length);
  refusal = verify (CONTENT, sizeof CONTENT, "f.p7s", "trust", NULL);
  g_assert_nonnull (refusal);
  g_assert_nonnull (strstr (refusal, "not made with the key"));
}

/* Cut short or longer it is never taken, and whatever an octet is changed to, nothing is read beyond the end. */
static void
test_every_octet (void)
{
  g_autofree char *der = NULL;
  gsize length;
  GwCmsSigned parsed;

  sign ("good", "");
  load ("c.p7s", &der, &length);
  for (gsize cut = 0; cut < length; cut++)
    {
      g_autofree char *part = g_memdup2 (der, cut); /* so that a sanitizer sees a read beyond */

      g_assert_nonnull (gw_cms_parse (part, cut, &parsed));
    }
  for (gsize i = 0; i < length; i++)
    {
      g_autofree char *changed = g_memdup2 (der, length);

      changed[i] ^= 0x81;
      gw_cms_parse (changed, length, &parsed);
    }
  der = g_realloc (der, length + 1);
  der[length] = 0;
  g_assert_cmpstr (gw_cms_parse (der, length + 1, &parsed), ==, "something stands after its end");
}

static void
test_no_signers (void)
{
  g_autofree char *refusal = NULL;

  test_pki_shell (&pki, "openssl crl2pkcs7 -nocrl -certfile good.pem -outform DER -out none.p7s");
  refusal = verify ("", 0, "none.p7s", "trust", NULL);
  g_assert_nonnull (strstr (refusal, "nobody signed it"));
}

static void
test_not_cms (void)
{
  g_autofree char *pem = NULL, *empty = NULL, *crt = NULL;

  sign ("good", "");
  test_pki_shell (&pki, "openssl cms -cmsout -inform DER -in c.p7s -outform PEM -out pem.p7s; : > empty.p7s;"
                        " openssl x509 -in good.pem -outform DER -out crt.p7s");
  pem = verify (CONTENT, sizeof CONTENT, "pem.p7s", "trust", NULL);
  g_assert_nonnull (strstr (pem, "not a CMS signature in DER"));
  empty = verify (CONTENT, sizeof CONTENT, "empty.p7s", "trust", NULL);
  g_assert_nonnull (strstr (empty, "not a CMS signature in DER"));
  crt = verify (CONTENT, sizeof CONTENT, "crt.p7s", "trust", NULL);
  g_assert_nonnull (strstr (crt, "not a CMS signature in DER"));
}

int
main (int argc, char **argv)
{
  int rc;

  g_test_init (&argc, &argv, NULL);
  test_pki_init (&pki);
  g_test_add_func ("/gw-cms/good", test_good);
  g_test_add_func ("/gw-cms/two-signers", test_two_signers);
  g_test_add_func ("/gw-cms/refused", test_refused);
  g_test_add_func ("/gw-cms/pinned", test_pinned);
  g_test_add_func ("/gw-cms/broken-anchor", test_broken_anchor);
  g_test_add_func ("/gw-cms/many-anchors", test_many_anchors);
  g_test_add_func ("/gw-cms/revoked", test_revoked);
  g_test_add_func ("/gw-cms/bad-lists", test_bad_lists);
  g_test_add_func ("/gw-cms/other-content", test_other_content);
  g_test_add_func ("/gw-cms/forged-digest", test_forged_digest);
  g_test_add_func ("/gw-cms/added-signer", test_added_signer);
  g_test_add_func ("/gw-cms/every-octet", test_every_octet);
  g_test_add_func ("/gw-cms/no-signers", test_no_signers);
  g_test_add_func ("/gw-cms/not-cms", test_not_cms);
  rc = g_test_run ();
  test_pki_clear (&pki);
  return rc;
}
