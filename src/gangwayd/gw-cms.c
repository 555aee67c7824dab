/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Detached CMS signatures.
 *
 * The certificates are judged by GnuTLS (chain, validity, purpose) and the lists beside the anchors, the structure is taken apart by
 * gw-cms-codec, and the two steps that GnuTLS only does with the whole content in memory are done here:
 * comparing the content's hash with the signed attribute messageDigest, and verifying the signature over the
 * attributes (RFC 5652, section 5.4).
 */
#include "gw-cms.h"

#include <string.h>

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "gw-cms-codec.h"
#include "gw-crls.h"
#include "gw-file.h"

#define ANCHOR_FILES_MAX 256
#define ANCHOR_FILE_MAX (1u << 20)
#define HASH_LEN_MAX 64
#define N_HASHES (GW_CMS_HASH_SHA512 + 1)

static const gnutls_digest_algorithm_t digests[N_HASHES]
    = { GNUTLS_DIG_UNKNOWN, GNUTLS_DIG_SHA256, GNUTLS_DIG_SHA384, GNUTLS_DIG_SHA512 };

struct _GwCms
{
  guint8 *der;
  GwCmsSigned parsed; /* points into der */
  gnutls_x509_crt_t certs[GW_CMS_CERTS_MAX];
  gnutls_x509_trust_list_t anchors;
  GwCrls *crls;
  gboolean trusted[GW_CMS_SIGNERS_MAX]; /* the signer's certificate is good */
  guint cert_of[GW_CMS_SIGNERS_MAX];
  gnutls_hash_hd_t hash[N_HASHES]; /* those that signers use, and always SHA-256 */
};

void
gw_cms_free (GwCms *self)
{
  if (!self)
    return;
  for (gsize i = 0; i < self->parsed.n_certs; i++)
    if (self->certs[i])
      gnutls_x509_crt_deinit (self->certs[i]);
  for (guint i = 0; i < N_HASHES; i++)
    if (self->hash[i])
      gnutls_hash_deinit (self->hash[i], NULL);
  if (self->anchors)
    gnutls_x509_trust_list_deinit (self->anchors, 1);
  g_clear_pointer (&self->crls, gw_crls_free);
  g_free (self->der);
  g_free (self);
}

static gnutls_datum_t
to_datum (GwBytes bytes)
{
  return (gnutls_datum_t){ (unsigned char *)bytes.ptr, (unsigned int)bytes.len };
}

#define REFUSE(error, ...)                                                                                   \
  g_set_error (error, GW_ERROR, GW_ERROR_NOT_TRUSTED, "the signature is refused: " __VA_ARGS__)

/* ---- anchors ---- */

static gboolean
load_anchor_file (GwCms *self, const char *path, GError **error)
{
  g_autofree char *pem = NULL;
  g_autoptr (GError) local = NULL;
  gnutls_x509_crt_t *list = NULL;
  gnutls_datum_t datum;
  unsigned int n = 0;
  gsize length;

  if (!gw_file_read (path, ANCHOR_FILE_MAX, &pem, &length, &local))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_STORAGE, "cannot read a trust anchor: %s", local->message);
      return FALSE;
    }
  datum = (gnutls_datum_t){ (unsigned char *)pem, (unsigned int)length };
  if (gnutls_x509_crt_list_import2 (&list, &n, &datum, GNUTLS_X509_FMT_PEM, 0) < 0)
    {
      REFUSE (error, "%s holds no certificate; mend or remove it", path);
      return FALSE;
    }
  /* The list takes over the certificates, not the array. */
  gnutls_x509_trust_list_add_cas (self->anchors, list, n, GNUTLS_TL_NO_DUPLICATES);
  gnutls_free (list);
  return TRUE;
}

/* All or none: which of too many would be read is chance, and so would be who is trusted. */
static gboolean
load_anchors (GwCms *self, const char *trust_dir, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autoptr (GPtrArray) paths = gw_file_list (trust_dir, ".pem", ANCHOR_FILES_MAX, &local);

  gnutls_x509_trust_list_init (&self->anchors, 0);
  if (!paths)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_STORAGE, "cannot read the trust anchors: %s", local->message);
      return FALSE;
    }
  if (paths->len == 0)
    REFUSE (error, "nobody is trusted to sign yet; put the vendor's root certificate into %s as NAME.pem", trust_dir);
  else if (paths->len > ANCHOR_FILES_MAX)
    REFUSE (error, "%s holds more than %d files NAME.pem; put several certificates into one file", trust_dir, ANCHOR_FILES_MAX);
  else
    {
      for (guint i = 0; i < paths->len; i++)
        if (!load_anchor_file (self, paths->pdata[i], error))
          return FALSE;
      return TRUE;
    }
  return FALSE;
}

static gboolean
load_crls (GwCms *self, const char *trust_dir, GError **error)
{
  g_autofree char *wrong = NULL;

  self->crls = gw_crls_load (trust_dir, &wrong);
  if (!self->crls)
    REFUSE (error, "%s", wrong);
  return self->crls != NULL;
}

/* ---- certificates ---- */

static gboolean
import_certs (GwCms *self, GError **error)
{
  for (gsize i = 0; i < self->parsed.n_certs; i++)
    {
      gnutls_datum_t der = to_datum (self->parsed.certs[i]);

      gnutls_x509_crt_init (&self->certs[i]);
      if (gnutls_x509_crt_import (self->certs[i], &der, GNUTLS_X509_FMT_DER) < 0)
        {
          REFUSE (error, "one of its certificates is malformed");
          return FALSE;
        }
    }
  return TRUE;
}

static gboolean
is_signer (gnutls_x509_crt_t cert, const GwCmsSigner *signer)
{
  guint8 buffer[64];
  size_t length = sizeof buffer;
  gnutls_datum_t issuer;
  gboolean same;

  if (signer->key_id.len > 0)
    return gnutls_x509_crt_get_subject_key_id (cert, buffer, &length, NULL) == 0
           && length == signer->key_id.len && memcmp (buffer, signer->key_id.ptr, length) == 0;
  if (gnutls_x509_crt_get_serial (cert, buffer, &length) < 0 || length != signer->serial.len
      || memcmp (buffer, signer->serial.ptr, length) != 0
      || gnutls_x509_crt_get_raw_issuer_dn (cert, &issuer) < 0)
    return FALSE;
  same = issuer.size == signer->issuer.len && memcmp (issuer.data, signer->issuer.ptr, issuer.size) == 0;
  gnutls_free (issuer.data);
  return same;
}

/* The purpose must be written in the certificate: GnuTLS takes one without any for all purposes. */
static gboolean
is_for_code_signing (gnutls_x509_crt_t cert)
{
  char oid[64];
  size_t length = sizeof oid;
  unsigned int usage, critical;

  if (gnutls_x509_crt_get_key_usage (cert, &usage, &critical) == 0 && !(usage & GNUTLS_KEY_DIGITAL_SIGNATURE))
    return FALSE;
  for (unsigned int i = 0; gnutls_x509_crt_get_key_purpose_oid (cert, i, oid, &length, NULL) >= 0; i++)
    {
      if (strcmp (oid, GNUTLS_KP_CODE_SIGNING) == 0)
        return TRUE;
      length = sizeof oid;
    }
  return FALSE;
}

static char *
get_name (gnutls_x509_crt_t cert)
{
  gnutls_datum_t dn;
  char *name;

  if (gnutls_x509_crt_get_dn3 (cert, &dn, 0) < 0)
    return g_strdup ("?");
  name = g_utf8_make_valid ((const char *)dn.data, (gssize)dn.size);
  gnutls_free (dn.data);
  return name;
}

static gboolean
check_chain (GwCms *self, guint leaf, const char *name, GError **error)
{
  gnutls_typed_vdata_st purpose = { GNUTLS_DT_KEY_PURPOSE_OID, (unsigned char *)GNUTLS_KP_CODE_SIGNING, 0 };
  gnutls_x509_crt_t chain[GW_CMS_CERTS_MAX];
  unsigned int n = 0, status = 0;

  chain[n++] = self->certs[leaf];
  for (guint i = 0; i < self->parsed.n_certs; i++)
    if (i != leaf)
      chain[n++] = self->certs[i];
  if (gnutls_x509_trust_list_verify_crt2 (self->anchors, chain, n, &purpose, 1,
                                          GNUTLS_PROFILE_TO_VFLAGS (GNUTLS_PROFILE_MEDIUM), &status, NULL)
      < 0)
    status |= GNUTLS_CERT_INVALID;
  if (status & GNUTLS_CERT_SIGNER_NOT_FOUND)
    REFUSE (error, "the certificate of %s leads to no trusted root; if you trust this vendor, put its certificate into "
            "trust.d/manifest and import again", name);
  else if (status & GNUTLS_CERT_EXPIRED)
    REFUSE (error, "the certificate of %s, or one above it, has expired; ask the vendor for a new signature", name);
  else if (status & GNUTLS_CERT_NOT_ACTIVATED)
    REFUSE (error, "the certificate of %s, or one above it, is not valid yet; is the clock right?", name);
  else if (status & GNUTLS_CERT_PURPOSE_MISMATCH)
    REFUSE (error, "a certificate above %s does not allow code signing", name);
  else if (status & GNUTLS_CERT_INSECURE_ALGORITHM)
    REFUSE (error, "the chain of %s uses keys or hashes that are too weak; ask the vendor for a new signature", name);
  else if (status != 0)
    REFUSE (error, "the chain of %s does not hold", name);
  return status == 0;
}

static gboolean
is_signed_by (gnutls_x509_crt_t cert, gnutls_x509_crt_t issuer)
{
  unsigned int status = 0;

  return gnutls_x509_crt_check_issuer (cert, issuer) == 1
         && gnutls_x509_crt_verify (cert, &issuer, 1, GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &status) >= 0 && status == 0;
}

/* The anchor that has signed it, a copy; NULL: none. */
static gnutls_x509_crt_t
find_anchor (GwCms *self, gnutls_x509_crt_t cert)
{
  gnutls_x509_trust_list_iter_t iter = NULL;
  gnutls_x509_crt_t anchor = NULL;

  while (gnutls_x509_trust_list_iter_get_ca (self->anchors, &iter, &anchor) >= 0)
    {
      if (is_signed_by (cert, anchor))
        break;
      g_clear_pointer (&anchor, gnutls_x509_crt_deinit);
    }
  if (iter)
    gnutls_x509_trust_list_iter_deinit (iter);
  return anchor;
}

static gboolean
check_lists (GwCms *self, gnutls_x509_crt_t cert, gnutls_x509_crt_t issuer, GError **error)
{
  g_autofree char *wrong = gw_crls_check (self->crls, cert, issuer), *name = NULL;

  if (!wrong)
    return TRUE;
  name = get_name (cert);
  REFUSE (error, "the certificate of %s %s", name, wrong);
  return FALSE;
}

/* From the signer's certificate up to the anchor; the chain itself has been found good. A certificate that is an anchor
 * itself needs no issuer. */
static gboolean
check_revocation (GwCms *self, guint leaf, GError **error)
{
  guint at = leaf;

  for (gsize steps = 0; !gw_crls_is_empty (self->crls) && steps < self->parsed.n_certs; steps++)
    {
      gnutls_x509_crt_t cert = self->certs[at], anchor = find_anchor (self, cert);
      guint next = 0;

      if (anchor)
        {
          gboolean good = check_lists (self, cert, anchor, error);

          gnutls_x509_crt_deinit (anchor);
          return good;
        }
      while (next < self->parsed.n_certs && (next == at || !is_signed_by (cert, self->certs[next])))
        next++;
      if (next == self->parsed.n_certs)
        return TRUE;
      if (!check_lists (self, cert, self->certs[next], error))
        return FALSE;
      at = next;
    }
  return TRUE;
}

static gboolean
check_signer (GwCms *self, guint i, GError **error)
{
  const GwCmsSigner *signer = &self->parsed.signers[i];
  g_autofree char *name = NULL;
  guint leaf = 0;

  if (signer->attributes.len == 0)
    REFUSE (error, "it has no signed attributes; sign without -noattr");
  else if (!signer->content_is_data)
    REFUSE (error, "it is not over plain data");
  else if (signer->hash == GW_CMS_HASH_UNKNOWN || signer->sign == GW_CMS_SIGN_UNKNOWN)
    REFUSE (error, "ECDSA or RSA with SHA-256, SHA-384 or SHA-512, please");
  else
    {
      while (leaf < self->parsed.n_certs && !is_signer (self->certs[leaf], signer))
        leaf++;
      if (leaf < self->parsed.n_certs)
        {
          name = get_name (self->certs[leaf]);
          self->cert_of[i] = leaf;
          if (is_for_code_signing (self->certs[leaf]))
            return check_chain (self, leaf, name, error) && check_revocation (self, leaf, error);
          REFUSE (error, "the certificate of %s is not marked for code signing (extended key usage)", name);
        }
      else
        REFUSE (error, "it does not carry the signer's certificate; sign without -nocerts");
    }
  return FALSE;
}

/* ---- the content ---- */

GwCms *
gw_cms_new (const guint8 *der, gsize length, const char *trust_dir, GError **error)
{
  g_autoptr (GwCms) self = g_new0 (GwCms, 1);
  g_autoptr (GError) first = NULL;
  const char *wrong;
  gboolean any = FALSE;

  self->der = g_memdup2 (der, length);
  wrong = gw_cms_parse (self->der, length, &self->parsed);
  if (!wrong && self->parsed.n_signers == 0)
    wrong = "nobody signed it";
  if (wrong)
    {
      REFUSE (error, "%s", wrong);
      return NULL;
    }
  if (!import_certs (self, error) || !load_anchors (self, trust_dir, error)
      || !load_crls (self, trust_dir, error))
    return NULL;
  gnutls_hash_init (&self->hash[GW_CMS_HASH_SHA256], GNUTLS_DIG_SHA256);
  for (guint i = 0; i < self->parsed.n_signers; i++)
    {
      GwCmsHash hash = self->parsed.signers[i].hash;

      self->trusted[i] = check_signer (self, i, first ? NULL : &first);
      if (self->trusted[i] && !self->hash[hash])
        gnutls_hash_init (&self->hash[hash], digests[hash]);
      any |= self->trusted[i];
    }
  if (any)
    return g_steal_pointer (&self);
  g_propagate_error (error, g_steal_pointer (&first));
  return NULL;
}

void
gw_cms_update (GwCms *self, const void *content, gsize length)
{
  for (guint i = 0; i < N_HASHES; i++)
    if (self->hash[i])
      gnutls_hash (self->hash[i], content, length);
}

/* What is signed is the DER of the attributes as a SET OF: the same octets under another tag. */
static gnutls_datum_t
signed_octets (GwBytes attributes)
{
  GByteArray *out = g_byte_array_new ();
  guint8 head[6] = { 0x31 };
  gsize n = 1;
  guint octets = 0;

  if (attributes.len < 0x80)
    head[n++] = (guint8)attributes.len;
  else
    {
      for (gsize rest = attributes.len; rest > 0; rest >>= 8)
        octets++;
      head[n++] = (guint8)(0x80 | octets);
      for (guint i = octets; i > 0; i--)
        head[n++] = (guint8)(attributes.len >> (8 * (i - 1)));
    }
  g_byte_array_append (out, head, (guint)n);
  g_byte_array_append (out, attributes.ptr, (guint)attributes.len);
  n = out->len;
  return (gnutls_datum_t){ g_byte_array_free (out, FALSE), (unsigned int)n };
}

static gnutls_sign_algorithm_t
sign_algorithm (const GwCmsSigner *signer)
{
  static const gnutls_sign_algorithm_t ecdsa[N_HASHES]
      = { GNUTLS_SIGN_UNKNOWN, GNUTLS_SIGN_ECDSA_SHA256, GNUTLS_SIGN_ECDSA_SHA384, GNUTLS_SIGN_ECDSA_SHA512 };
  static const gnutls_sign_algorithm_t rsa[N_HASHES]
      = { GNUTLS_SIGN_UNKNOWN, GNUTLS_SIGN_RSA_SHA256, GNUTLS_SIGN_RSA_SHA384, GNUTLS_SIGN_RSA_SHA512 };

  return signer->sign == GW_CMS_SIGN_ECDSA ? ecdsa[signer->hash] : rsa[signer->hash];
}

static gboolean
verify_attributes (GwCms *self, guint i)
{
  const GwCmsSigner *signer = &self->parsed.signers[i];
  gnutls_datum_t octets = signed_octets (signer->attributes), signature = to_datum (signer->signature);
  gnutls_pubkey_t key;
  int status;

  gnutls_pubkey_init (&key);
  status = gnutls_pubkey_import_x509 (key, self->certs[self->cert_of[i]], 0);
  if (status == 0)
    status = gnutls_pubkey_verify_data2 (key, sign_algorithm (signer), 0, &octets, &signature);
  gnutls_pubkey_deinit (key);
  g_free (octets.data);
  return status >= 0;
}

gboolean
gw_cms_finish (GwCms *self, char **signer, guint8 sha256[32], GError **error)
{
  guint8 values[N_HASHES][HASH_LEN_MAX];
  gboolean content_fits = FALSE;

  *signer = NULL;
  for (guint i = 0; i < N_HASHES; i++)
    if (self->hash[i])
      gnutls_hash_output (self->hash[i], values[i]);
  memcpy (sha256, values[GW_CMS_HASH_SHA256], 32);
  for (guint i = 0; i < self->parsed.n_signers; i++)
    {
      const GwCmsSigner *s = &self->parsed.signers[i];

      if (!self->trusted[i] || s->digest.len != (gsize)gnutls_hash_get_len (digests[s->hash])
          || memcmp (s->digest.ptr, values[s->hash], s->digest.len) != 0)
        continue;
      content_fits = TRUE;
      if (!verify_attributes (self, i))
        continue;
      *signer = get_name (self->certs[self->cert_of[i]]);
      return TRUE;
    }
  if (content_fits)
    REFUSE (error, "it was not made with the key of the certificate it names");
  else
    REFUSE (error, "it belongs to other content; the file was changed after signing, or is another one");
  return FALSE;
}
