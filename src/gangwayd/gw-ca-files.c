/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The CA's files. A key is in memory as PEM only between its file and GnuTLS, and wiped. */

#include "gw-ca-files.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gw-error.h"

#define BESIDE ".new"

void
gw_ca_set_tls_error (GError **error, const char *what, int rc)
{
  g_set_error (error, GW_ERROR, GW_ERROR_FAILED, "Cannot %s: %s", what, gnutls_strerror (rc));
}

static void
set_errno (GError **error, const char *what, const char *path, int code)
{
  g_set_error (error, GW_ERROR, GW_ERROR_STORAGE, "Cannot %s %s: %s", what, path, g_strerror (code));
}

void
gw_ca_pair_clear (GwCaPair *self)
{
  g_clear_pointer (&self->key, gnutls_x509_privkey_deinit);
  g_clear_pointer (&self->certificate, gnutls_x509_crt_deinit);
}

gboolean
gw_ca_key_generate (gnutls_x509_privkey_t *out, GError **error)
{
  gnutls_x509_privkey_t key = NULL;
  int rc = gnutls_x509_privkey_init (&key);

  if (rc >= 0)
    rc = gnutls_x509_privkey_generate (key, GNUTLS_PK_ECDSA,
                                       GNUTLS_CURVE_TO_BITS (GNUTLS_ECC_CURVE_SECP256R1), 0);
  if (rc >= 0)
    {
      *out = key;
      return TRUE;
    }
  if (key != NULL)
    gnutls_x509_privkey_deinit (key);
  gw_ca_set_tls_error (error, "make a key", rc);
  return FALSE;
}

/* Reads a whole file; TRUE and size 0: there is none. The caller wipes it. */
static gboolean
read_file (const char *path, gboolean secret, guint8 **out, gsize *size, GError **error)
{
  guint8 *buffer;
  struct stat st;
  gssize n;
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

  *out = NULL;
  *size = 0;
  if (fd < 0 && errno == ENOENT)
    return TRUE;
  if (fd < 0 || fstat (fd, &st) != 0)
    {
      set_errno (error, "open", path, errno);
      if (fd >= 0)
        close (fd);
      return FALSE;
    }
  if (secret && (st.st_mode & 077) != 0)
    {
      g_warning ("%s could be read by others (mode %o); closing it to them", path, st.st_mode & 0777);
      if (fchmod (fd, 0600) != 0)
        g_warning ("Cannot close %s to others: %s", path, g_strerror (errno));
    }
  buffer = g_malloc (GW_CA_FILE_MAX);
  n = read (fd, buffer, GW_CA_FILE_MAX);
  if (n <= 0 || n == GW_CA_FILE_MAX)
    {
      set_errno (error, "read", path, n < 0 ? errno : n == 0 ? ENODATA : EFBIG);
      explicit_bzero (buffer, GW_CA_FILE_MAX);
      g_free (buffer);
      close (fd);
      return FALSE;
    }
  close (fd);
  *out = buffer;
  *size = (gsize)n;
  return TRUE;
}

gboolean
gw_ca_load_key (const char *dir, const char *name, gnutls_x509_privkey_t *out, GError **error)
{
  g_autofree char *path = g_build_filename (dir, name, NULL);
  g_autofree char *beside = g_strconcat (path, BESIDE, NULL);
  gnutls_x509_privkey_t key = NULL;
  gnutls_datum_t pem;
  guint8 *buffer;
  gsize size;
  int rc;

  *out = NULL;
  (void)unlink (beside); /* half a key, left by a kill */
  if (!read_file (path, TRUE, &buffer, &size, error))
    return FALSE;
  if (buffer == NULL)
    return TRUE;
  pem = (gnutls_datum_t){ .data = buffer, .size = (unsigned int)size };
  rc = gnutls_x509_privkey_init (&key);
  if (rc >= 0)
    rc = gnutls_x509_privkey_import (key, &pem, GNUTLS_X509_FMT_PEM);
  explicit_bzero (buffer, size);
  g_free (buffer);
  if (rc >= 0)
    {
      *out = key;
      return TRUE;
    }
  if (key != NULL)
    gnutls_x509_privkey_deinit (key);
  g_set_error (error, GW_ERROR, GW_ERROR_BAD_STATE, "%s is not a private key (%s); restore it from a backup",
               path, gnutls_strerror (rc));
  return FALSE;
}

gboolean
gw_ca_load_certificate (const char *dir, const char *name, gnutls_x509_crt_t *out, GError **error)
{
  g_autofree char *path = g_build_filename (dir, name, NULL);
  g_autofree guint8 *buffer = NULL;
  gnutls_x509_crt_t certificate = NULL;
  gnutls_datum_t pem;
  gsize size;
  int rc;

  *out = NULL;
  if (!read_file (path, FALSE, &buffer, &size, error))
    return FALSE;
  if (buffer == NULL)
    return TRUE;
  pem = (gnutls_datum_t){ .data = buffer, .size = (unsigned int)size };
  rc = gnutls_x509_crt_init (&certificate);
  if (rc >= 0)
    rc = gnutls_x509_crt_import (certificate, &pem, GNUTLS_X509_FMT_PEM);
  if (rc >= 0)
    {
      *out = certificate;
      return TRUE;
    }
  if (certificate != NULL)
    gnutls_x509_crt_deinit (certificate);
  g_set_error (error, GW_ERROR, GW_ERROR_BAD_STATE,
               "%s is not a certificate (%s); restore it or move it away", path, gnutls_strerror (rc));
  return FALSE;
}

static gboolean
write_all (int fd, const guint8 *data, gsize size)
{
  while (size > 0)
    {
      gssize n = write (fd, data, size);
      if (n < 0 && errno == EINTR)
        continue;
      if (n <= 0)
        return FALSE;
      data += n;
      size -= (gsize)n;
    }
  return TRUE;
}

static gboolean
sync_dir (const char *dir)
{
  int fd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  gboolean ok = fd >= 0 && fsync (fd) == 0;

  if (fd >= 0)
    close (fd);
  return ok;
}

static gboolean
save_file (const char *dir, const char *name, mode_t mode, const gnutls_datum_t *data, GError **error)
{
  g_autofree char *path = g_build_filename (dir, name, NULL);
  g_autofree char *beside = g_strconcat (path, BESIDE, NULL);
  gboolean ok;
  int fd;

  (void)unlink (beside); /* of a start that was killed */
  fd = open (beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  ok = fd >= 0 && write_all (fd, data->data, data->size) && fsync (fd) == 0;
  ok = fd >= 0 && close (fd) == 0 && ok;
  ok = ok && rename (beside, path) == 0 && sync_dir (dir);
  if (!ok)
    set_errno (error, "write", path, errno);
  return ok;
}

gboolean
gw_ca_save_key (const char *dir, const char *name, gnutls_x509_privkey_t key, GError **error)
{
  gnutls_datum_t pem = { 0 };
  gboolean ok;
  int rc = gnutls_x509_privkey_export2_pkcs8 (key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &pem);

  if (rc < 0)
    {
      gw_ca_set_tls_error (error, "encode a key", rc);
      return FALSE;
    }
  ok = save_file (dir, name, 0600, &pem, error);
  explicit_bzero (pem.data, pem.size);
  gnutls_free (pem.data);
  return ok;
}

gboolean
gw_ca_save_certificate (const char *dir, const char *name, gnutls_x509_crt_t certificate, GError **error)
{
  gnutls_datum_t pem = { 0 };
  gboolean ok;
  int rc = gnutls_x509_crt_export2 (certificate, GNUTLS_X509_FMT_PEM, &pem);

  if (rc < 0)
    {
      gw_ca_set_tls_error (error, "encode a certificate", rc);
      return FALSE;
    }
  ok = save_file (dir, name, 0644, &pem, error);
  gnutls_free (pem.data);
  return ok;
}

gboolean
gw_ca_pair_matches (const GwCaPair *self)
{
  unsigned char of_key[64], of_certificate[64];
  size_t key_size = sizeof of_key, certificate_size = sizeof of_certificate;

  return gnutls_x509_privkey_get_key_id (self->key, GNUTLS_KEYID_USE_SHA256, of_key, &key_size) >= 0
         && gnutls_x509_crt_get_key_id (self->certificate, GNUTLS_KEYID_USE_SHA256, of_certificate,
                                        &certificate_size)
                >= 0
         && key_size == certificate_size && memcmp (of_key, of_certificate, key_size) == 0;
}

gboolean
gw_ca_spki_hash (gnutls_x509_crt_t certificate, guint8 out[32])
{
  gnutls_pubkey_t key = NULL;
  gnutls_datum_t spki = { 0 };
  gboolean ok = gnutls_pubkey_init (&key) >= 0 && gnutls_pubkey_import_x509 (key, certificate, 0) >= 0
                && gnutls_pubkey_export2 (key, GNUTLS_X509_FMT_DER, &spki) >= 0
                && gnutls_hash_fast (GNUTLS_DIG_SHA256, spki.data, spki.size, out) >= 0;

  gnutls_free (spki.data);
  if (key != NULL)
    gnutls_pubkey_deinit (key);
  return ok;
}

GBytes *
gw_ca_certificate_to_der (gnutls_x509_crt_t certificate)
{
  gnutls_datum_t der = { 0 };
  GBytes *bytes;

  if (gnutls_x509_crt_export2 (certificate, GNUTLS_X509_FMT_DER, &der) < 0)
    return NULL;
  bytes = g_bytes_new (der.data, der.size);
  gnutls_free (der.data);
  return bytes;
}
