/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See gw-crls.h. GnuTLS's own trust list is not given the lists: it takes only those of anchors, and says
 * nothing of one that has run out. */

#include "config.h"

#include "gw-crls.h"

#include <string.h>

#include "gw-file.h"

#define FILES_MAX 256
#define FILE_MAX (8u << 20)
#define OID_MAX 128
#define SUFFIX ".crl"

/* What gnutls_x509_crl_verify() says of the list's dates; all else is about who signed it. */
#define DATES                                                                                                \
  (GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED | GNUTLS_CERT_REVOCATION_DATA_ISSUED_IN_FUTURE                     \
   | GNUTLS_CERT_INVALID)

struct _GwCrls
{
  GPtrArray *lists; /* of gnutls_x509_crl_t */
};

void
gw_crls_free (GwCrls *self)
{
  g_ptr_array_unref (self->lists);
  g_free (self);
}

/* A critical extension narrows what the list speaks of, or adds to another list: by itself it would say too
 * little. */
static gboolean
is_plain (gnutls_x509_crl_t crl)
{
  for (unsigned int i = 0;; i++)
    {
      char oid[OID_MAX];
      size_t size = sizeof oid;
      unsigned int critical = 0;
      int rc = gnutls_x509_crl_get_extension_info (crl, (int)i, oid, &size, &critical);

      if (rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return TRUE;
      if (rc < 0 || critical)
        return FALSE;
    }
}

/* Below 0: GnuTLS's code. */
static int
import (GwCrls *self, const char *text, gsize length)
{
  gnutls_datum_t datum = { (unsigned char *)text, (unsigned int)length };
  gnutls_x509_crl_t one = NULL, *several = NULL;
  unsigned int n = 0;
  int rc;

  if (g_strstr_len (text, (gssize)length, "-----BEGIN ") != NULL)
    {
      rc = gnutls_x509_crl_list_import2 (&several, &n, &datum, GNUTLS_X509_FMT_PEM, 0);
      for (unsigned int i = 0; rc >= 0 && i < n; i++)
        g_ptr_array_add (self->lists, several[i]);
      gnutls_free (several);
      return rc;
    }
  rc = gnutls_x509_crl_init (&one);
  if (rc >= 0)
    {
      g_ptr_array_add (self->lists, one);
      rc = gnutls_x509_crl_import (one, &datum, GNUTLS_X509_FMT_DER);
    }
  return rc;
}

/* NULL, or what is wrong with it. */
static char *
load_file (GwCrls *self, const char *path)
{
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;
  guint from = self->lists->len;
  gsize length;

  if (!gw_file_read (path, FILE_MAX, &text, &length, &error))
    return g_strdup (error->message);
  if (import (self, text, length) < 0)
    return g_strdup_printf ("%s holds no revocation list; mend or remove it", path);
  for (guint i = from; i < self->lists->len; i++)
    if (!is_plain (self->lists->pdata[i]))
      return g_strdup_printf ("%s is a partial, indirect or delta revocation list; get the issuer's full one",
                              path);
  return NULL;
}

GwCrls *
gw_crls_load (const char *dir, char **wrong)
{
  g_autoptr (GwCrls) self = g_new0 (GwCrls, 1);
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) paths = gw_file_list (dir, SUFFIX, FILES_MAX, &error);

  self->lists = g_ptr_array_new_with_free_func ((GDestroyNotify)gnutls_x509_crl_deinit);
  *wrong = NULL;
  if (paths == NULL)
    *wrong = g_strdup (error->message);
  else if (paths->len > FILES_MAX)
    *wrong = g_strdup_printf ("%s holds more than %d files NAME" SUFFIX, dir, FILES_MAX);
  for (guint i = 0; *wrong == NULL && i < paths->len; i++)
    *wrong = load_file (self, paths->pdata[i]);
  return *wrong == NULL ? g_steal_pointer (&self) : NULL;
}

gboolean
gw_crls_is_empty (const GwCrls *self)
{
  return self->lists->len == 0;
}

char *
gw_crls_check (const GwCrls *self, gnutls_x509_crt_t certificate, gnutls_x509_crt_t issuer)
{
  gboolean any = FALSE, signed_by_issuer = FALSE, of_today = FALSE;

  for (guint i = 0; i < self->lists->len; i++)
    {
      gnutls_x509_crl_t crl = self->lists->pdata[i];
      unsigned int status = 0;

      if (gnutls_x509_crl_check_issuer (crl, issuer) != 1)
        continue;
      any = TRUE;
      if (gnutls_x509_crl_verify (crl, &issuer, 1, GNUTLS_PROFILE_TO_VFLAGS (GNUTLS_PROFILE_MEDIUM), &status)
              < 0
          || (status & ~DATES) != 0 || status == GNUTLS_CERT_INVALID)
        continue;
      signed_by_issuer = TRUE;
      of_today |= status == 0;
      /* One that has run out still tells whom it had. */
      if (gnutls_x509_crt_check_revocation (certificate, &crl, 1) != 0)
        return g_strdup ("is revoked; ask the vendor for a signature by another");
    }
  if (any && !signed_by_issuer)
    return g_strdup ("cannot be looked up: the revocation list in its issuer's name is not signed by its "
                     "issuer, or not as it must be");
  if (any && !of_today)
    return g_strdup ("cannot be looked up: its issuer's revocation list has run out, or is not valid yet; "
                     "fetch the newest one");
  return NULL;
}
