// SPDX-License-Identifier: LGPL-2.1-or-later
/* Trust anchors: what can be loaded, what is read again, and whose certificates pass. */
#include "gw-error.h"
#include "gw-test-pki.h"
#include "gw-trust.h"

#include <glib/gstdio.h>
#include <string.h>

typedef struct
{
  char *dir;
  char *path; /* the CA's */
  GwTestCert *ca;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  f->dir = g_dir_make_tmp ("gw-trust-XXXXXX", NULL);
  f->ca = gw_test_ca_new ("CA");
  f->path = gw_test_cert_write (f->ca, f->dir, "ca");
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  g_autofree char *key = g_build_filename (f->dir, "ca.key", NULL);

  g_unlink (key);
  g_unlink (f->path);
  g_rmdir (f->dir);
  gw_test_cert_free (f->ca);
  g_free (f->path);
  g_free (f->dir);
}

static void
test_load (Fixture *f, gconstpointer data)
{
  static const char *const contents[]
      = { "", "nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" };
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (contents); i++)
    {
      g_assert_true (g_file_set_contents (f->path, contents[i], -1, NULL));
      g_assert_null (gw_trust_load (f->path, &error));
      g_assert_error (error, GW_ERROR, GW_ERROR_NOT_TRUSTED);
      g_assert_nonnull (strstr (error->message, f->path));
      g_clear_error (&error);
    }
  g_unlink (f->path);
  g_assert_null (gw_trust_load (f->path, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_NOT_TRUSTED);
}

static void
test_cache (Fixture *f, gconstpointer data)
{
  g_autoptr (GwTrustCache) cache = gw_trust_cache_new ();
  g_autoptr (GwTrust) first = gw_trust_cache_get (cache, f->path, NULL);
  g_autoptr (GwTrust) again = gw_trust_cache_get (cache, f->path, NULL);
  g_autoptr (GwTestCert) other = gw_test_ca_new ("Other CA");
  g_autoptr (GwTestCert) server = gw_test_cert_new (other, GW_TEST_SERVER, "b", -60, 60);
  g_autoptr (GwTrust) changed = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *path = NULL;

  g_assert_true (first && first == again);
  g_assert_false (gw_trust_verify (first, &server->der, 1, "b", NULL));

  path = gw_test_cert_write (other, f->dir, "ca");
  changed = gw_trust_cache_get (cache, f->path, NULL);
  g_assert_true (changed && changed != first);
  g_assert_true (gw_trust_verify (changed, &server->der, 1, "b", NULL));
  /* Who holds the old set keeps it. */
  g_assert_false (gw_trust_verify (first, &server->der, 1, "b", NULL));

  g_unlink (f->path);
  g_assert_null (gw_trust_cache_get (cache, f->path, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_NOT_TRUSTED);
}

typedef struct
{
  const char *name; /* in the certificate */
  const char *host; /* asked for */
  gboolean passes;
} NameCase;

static void
test_names (Fixture *f, gconstpointer data)
{
  static const NameCase cases[] = {
    { "broker.example", "broker.example", TRUE },
    { "broker.example", "BROKER.example", TRUE },
    { "broker.example", "example", FALSE },
    { "broker.example", "evil.broker.example", FALSE },
    { "broker.example", "broker.example.evil", FALSE },
    { "*.site.example", "gw1.site.example", TRUE },
    { "*.site.example", "a.b.site.example", FALSE },
    { "192.0.2.1", "192.0.2.1", TRUE },
    { "192.0.2.1", "192.0.2.10", FALSE },
    { "2001:db8::1", "2001:db8::1", TRUE },
    { "2001:db8::1", "2001:db8:0:0::1", TRUE },
    { "2001:db8::1", "2001:db8::2", FALSE },
    { "broker.example", "192.0.2.1", FALSE },
  };
  g_autoptr (GwTrust) trust = gw_trust_load (f->path, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GwTestCert) cert = gw_test_cert_new (f->ca, GW_TEST_SERVER, cases[i].name, -60, 60);
      g_autoptr (GError) error = NULL;
      gboolean passes = gw_trust_verify (trust, &cert->der, 1, cases[i].host, &error);

      g_test_message ("%s for %s", cases[i].name, cases[i].host);
      g_assert_cmpint (passes, ==, cases[i].passes);
      if (!passes)
        g_assert_error (error, GW_ERROR, GW_ERROR_NOT_TRUSTED);
    }
}

static void
test_chains (Fixture *f, gconstpointer data)
{
  g_autoptr (GwTrust) trust = gw_trust_load (f->path, NULL);
  g_autoptr (GwTestCert) cert = gw_test_cert_new (f->ca, GW_TEST_SERVER, "b", -60, 60);
  g_autoptr (GwTestCert) below = gw_test_cert_new (cert, GW_TEST_SERVER, "b", -60, 60);
  g_autoptr (GError) error = NULL;
  gnutls_datum_t rubbish = { .data = (guint8 *)"rubbish", .size = 7 };
  gnutls_datum_t leaf_as_ca[] = { below->der, cert->der };
  gnutls_datum_t with_root[] = { cert->der, f->ca->der };
  gnutls_datum_t many[32];

  g_assert_true (gw_trust_verify (trust, with_root, 2, "b", &error));
  g_assert_no_error (error);
  g_assert_false (gw_trust_verify (trust, NULL, 0, "b", &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_NOT_TRUSTED);
  g_clear_error (&error);
  g_assert_false (gw_trust_verify (trust, &rubbish, 1, "b", &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_NOT_TRUSTED);
  g_clear_error (&error);
  /* An endpoint or server certificate issues nothing. */
  g_assert_false (gw_trust_verify (trust, leaf_as_ca, 2, "b", &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_NOT_TRUSTED);
  g_clear_error (&error);
  for (guint i = 0; i < G_N_ELEMENTS (many); i++)
    many[i] = cert->der;
  g_assert_false (gw_trust_verify (trust, many, G_N_ELEMENTS (many), "b", &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_NOT_TRUSTED);
}

#define ADD(path, func) g_test_add (path, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("/trust/load", test_load);
  ADD ("/trust/cache", test_cache);
  ADD ("/trust/names", test_names);
  ADD ("/trust/chains", test_chains);
  return g_test_run ();
}
