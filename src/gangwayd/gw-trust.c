// SPDX-License-Identifier: LGPL-2.1-or-later
/* Trust anchors, loaded once per file however many endpoints use them, and the judgement of a broker's chain.
 *
 * Each connection holds a reference to the set it began with, so a file that changes does not pull the ground
 * away under a handshake. */
#include "gw-trust.h"
#include "gw-error.h"

#include <gio/gio.h>
#include <gnutls/x509.h>
#include <sys/stat.h>

/* A server sends leaf and intermediates; more than this is not a chain. */
#define MAX_CHAIN 8

struct GwTrust
{
  gint refs;
  gnutls_x509_trust_list_t list;
};

typedef struct
{
  GwTrust *trust;
  dev_t dev;
  ino_t ino;
  off_t size;
  struct timespec mtime;
} CacheEntry;

struct GwTrustCache
{
  GHashTable *entries; /* path ("" = system) -> CacheEntry */
};

GwTrust *
gw_trust_load (const char *path, GError **error)
{
  g_autoptr (GwTrust) self = g_new0 (GwTrust, 1);
  int n;

  self->refs = 1;
  if (gnutls_x509_trust_list_init (&self->list, 0) < 0)
    g_error ("trust: out of memory");

  if (path)
    n = gnutls_x509_trust_list_add_trust_file (self->list, path, NULL, GNUTLS_X509_FMT_PEM,
                                               GNUTLS_TL_USE_IN_TLS, 0);
  else
    n = gnutls_x509_trust_list_add_system_trust (self->list, GNUTLS_TL_USE_IN_TLS, 0);

  if (n <= 0)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_NOT_TRUSTED,
                   "No trust anchors in %s (%s); put the broker's CA certificate there as PEM",
                   path ? path : "the system's store", n < 0 ? gnutls_strerror (n) : "no certificate");
      return NULL;
    }
  return g_steal_pointer (&self);
}

GwTrust *
gw_trust_ref (GwTrust *self)
{
  g_atomic_int_inc (&self->refs);
  return self;
}

void
gw_trust_unref (GwTrust *self)
{
  if (!g_atomic_int_dec_and_test (&self->refs))
    return;
  gnutls_x509_trust_list_deinit (self->list, 1);
  g_free (self);
}

static char *
describe_time (time_t when)
{
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_utc (when);

  return time ? g_date_time_format (time, "%F %H:%M UTC") : g_strdup ("an unknown time");
}

static char *
describe_names (gnutls_x509_crt_t leaf)
{
  g_autoptr (GString) names = g_string_new (NULL);
  char name[256];
  int type;

  for (guint i = 0; i < 4; i++)
    {
      gsize len = sizeof name - 1;

      type = gnutls_x509_crt_get_subject_alt_name (leaf, i, name, &len, NULL);
      if (type < 0)
        break;
      if (type != GNUTLS_SAN_DNSNAME)
        continue;
      name[len] = '\0';
      g_string_append_printf (names, "%s%s", names->len ? ", " : "", name);
    }
  if (!names->len)
    {
      gsize len = sizeof name;

      if (gnutls_x509_crt_get_dn_by_oid (leaf, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &len) >= 0)
        g_string_append (names, name);
    }
  /* Foreign octets on their way into a log and onto the bus. */
  return g_utf8_make_valid (names->len ? names->str : "no name", (gssize)names->len);
}

static void
set_refusal (GError **error, guint status, gnutls_x509_crt_t leaf, const char *host)
{
  g_autofree char *text = NULL;

  /* Before the name: without the purpose GnuTLS does not look at the common name either. */
  if (status & GNUTLS_CERT_PURPOSE_MISMATCH)
    text = g_strdup ("it is not meant for TLS servers (extended key usage)");
  else if (status & GNUTLS_CERT_UNEXPECTED_OWNER)
    {
      g_autofree char *names = describe_names (leaf);

      text = g_strdup_printf ("it is for %s; correct the policy's BrokerUri or the broker's certificate",
                              names);
    }
  else if (status & GNUTLS_CERT_EXPIRED)
    {
      g_autofree char *when = describe_time (gnutls_x509_crt_get_expiration_time (leaf));

      text = g_strdup_printf (
          "it or its issuer has expired (the certificate at %s); renew it, or check the gateway's clock",
          when);
    }
  else if (status & GNUTLS_CERT_NOT_ACTIVATED)
    text = g_strdup ("it is not valid yet; check the gateway's clock");
  else if (status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA))
    text = g_strdup ("none of the policy's trust anchors has issued it; correct TrustAnchors or the broker");
  else if (status & GNUTLS_CERT_REVOKED)
    text = g_strdup ("it is revoked");
  else
    text = g_strdup_printf ("verification status 0x%x", status);

  g_set_error (error, GW_ERROR, GW_ERROR_NOT_TRUSTED, "The certificate of broker %s is not accepted: %s",
               host, text);
}

gboolean
gw_trust_verify (GwTrust *self, const gnutls_datum_t *chain, guint n_chain, const char *host, GError **error)
{
  gnutls_x509_crt_t crts[MAX_CHAIN] = { NULL };
  gnutls_typed_vdata_st wanted[2] = {
    { .type = GNUTLS_DT_DNS_HOSTNAME, .data = (guint8 *)host, .size = 0 },
    { .type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (guint8 *)GNUTLS_KP_TLS_WWW_SERVER, .size = 0 },
  };
  g_autoptr (GInetAddress) address = g_inet_address_new_from_string (host);
  guint status = GNUTLS_CERT_INVALID, n = 0;
  int rc = n_chain ? 0 : GNUTLS_E_NO_CERTIFICATE_FOUND;

  if (address)
    wanted[0] = (gnutls_typed_vdata_st){
      .type = GNUTLS_DT_IP_ADDRESS,
      .data = (guint8 *)g_inet_address_to_bytes (address),
      .size = (guint)g_inet_address_get_native_size (address),
    };

  if (n_chain > MAX_CHAIN)
    rc = GNUTLS_E_CERTIFICATE_ERROR;
  for (; rc == 0 && n < n_chain; n++)
    {
      rc = gnutls_x509_crt_init (&crts[n]);
      if (rc == 0)
        rc = gnutls_x509_crt_import (crts[n], &chain[n], GNUTLS_X509_FMT_DER);
    }
  if (rc == 0)
    rc = gnutls_x509_trust_list_verify_crt2 (self->list, crts, n, wanted, G_N_ELEMENTS (wanted), 0, &status,
                                             NULL);

  if (rc < 0)
    g_set_error (error, GW_ERROR, GW_ERROR_NOT_TRUSTED, "The certificate of broker %s cannot be read: %s",
                 host, gnutls_strerror (rc));
  else if (status)
    set_refusal (error, status, crts[0], host);

  for (guint i = 0; i < MAX_CHAIN; i++)
    if (crts[i])
      gnutls_x509_crt_deinit (crts[i]);
  return rc == 0 && status == 0;
}

static void
cache_entry_free (gpointer data)
{
  CacheEntry *entry = data;

  gw_trust_unref (entry->trust);
  g_free (entry);
}

GwTrustCache *
gw_trust_cache_new (void)
{
  GwTrustCache *self = g_new0 (GwTrustCache, 1);

  self->entries = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, cache_entry_free);
  return self;
}

void
gw_trust_cache_free (GwTrustCache *self)
{
  if (!self)
    return;
  g_hash_table_unref (self->entries);
  g_free (self);
}

GwTrust *
gw_trust_cache_get (GwTrustCache *self, const char *path, GError **error)
{
  CacheEntry *entry = g_hash_table_lookup (self->entries, path ? path : "");
  GwTrust *trust;
  struct stat st = { 0 };

  /* A missing file is left to the loader, which says so. */
  if (path && stat (path, &st) < 0)
    entry = NULL;
  if (entry && entry->dev == st.st_dev && entry->ino == st.st_ino && entry->size == st.st_size
      && entry->mtime.tv_sec == st.st_mtim.tv_sec && entry->mtime.tv_nsec == st.st_mtim.tv_nsec)
    return gw_trust_ref (entry->trust);

  trust = gw_trust_load (path, error);
  if (!trust)
    return NULL;
  entry = g_new0 (CacheEntry, 1);
  *entry = (CacheEntry){
    .trust = gw_trust_ref (trust), .dev = st.st_dev, .ino = st.st_ino, .size = st.st_size, .mtime = st.st_mtim
  };
  g_hash_table_replace (self->entries, g_strdup (path ? path : ""), entry);
  return trust;
}
