/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The owner CA's key in SoftHSM, in a token folder of the test's own. */

#include <glib/gstdio.h>
#include <gnutls/x509.h>
#include <string.h>
#include <unistd.h>
#include <utime.h>

#include "gw-ca-token.h"
#include "gw-ca.h"
#include "gw-error.h"

#define NOW (G_GINT64_CONSTANT (1790000000) * G_USEC_PER_SEC)
#define DAY (G_GINT64_CONSTANT (86400) * G_USEC_PER_SEC)
#define KID "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define URI "pkcs11:token=gateway;object=owner-ca"
#define PIN "271828"

typedef struct
{
  char *top;
  char *dir; /* the CA's */
  char *pin_file;
  GwClock *clock;
  GwCaOptions options;
} Fixture;

static char *
path (Fixture *f, const char *name)
{
  return g_build_filename (f->top, name, NULL);
}

static void
run (const char *format, ...)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *command = NULL;
  g_autofree char *out = NULL;
  g_autofree char *err = NULL;
  va_list args;
  int status;

  va_start (args, format);
  command = g_strdup_vprintf (format, args);
  va_end (args);
  g_assert_true (g_spawn_command_line_sync (command, &out, &err, &status, &error));
  if (!g_spawn_check_wait_status (status, &error))
    g_error ("%s: %s\n%s%s", command, error->message, out, err);
}

static void
write_file (const char *name, const char *text, int mode)
{
  g_assert_true (g_file_set_contents_full (name, text, -1, 0, mode, NULL));
  g_assert_cmpint (g_chmod (name, (mode_t)mode), ==, 0); /* an older file keeps its mode */
}

static void
make_key (Fixture *f)
{
  run ("p11tool --login --generate-privkey=ECDSA --curve=secp256r1 --label=owner-ca --outfile=%s/public.pem "
       "pkcs11:token=gateway",
       f->top);
}

static void
set_up (Fixture *f, gconstpointer data)
{
  g_autofree char *conf = NULL, *tokens = NULL, *text = NULL;

  f->top = g_dir_make_tmp ("gw-token-XXXXXX", NULL);
  f->dir = path (f, "ca");
  f->pin_file = path (f, "pin");
  conf = path (f, "softhsm2.conf");
  tokens = path (f, "tokens");
  text = g_strdup_printf ("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n",
                          tokens);
  write_file (conf, text, 0600);
  g_assert_cmpint (g_mkdir (tokens, 0700), ==, 0);
  g_setenv ("SOFTHSM2_CONF", conf, TRUE);
  g_setenv ("GNUTLS_PIN", PIN, TRUE); /* p11tool's */
  g_setenv ("GNUTLS_SO_PIN", "31415926", TRUE);
  run ("softhsm2-util --init-token --free --label gateway --pin " PIN " --so-pin 31415926");
  write_file (f->pin_file, PIN "\n", 0600);
  f->clock = gw_clock_new_mock (0, NOW);
  f->options = (GwCaOptions){
    .dir = f->dir,
    .gateway_id = "gw-0123456789abcdef",
    .clock = f->clock,
    .key_uri = URI,
    .pin_file = f->pin_file,
  };
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  gw_clock_unref (f->clock);
  run ("rm -r %s", f->top);
  g_unsetenv ("CREDENTIALS_DIRECTORY");
  g_free (f->top);
  g_free (f->dir);
  g_free (f->pin_file);
}

static GwCa *
open_ca (Fixture *f)
{
  g_autoptr (GError) error = NULL;
  GwCa *ca = gw_ca_open (&f->options, &error);

  g_assert_no_error (error);
  return ca;
}

static void
assert_refused (Fixture *f, const char *text)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (gw_ca_open (&f->options, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_BAD_STATE);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, text));
}

static void
move (Fixture *f, const char *from, const char *to)
{
  g_autofree char *old = path (f, from), *new = path (f, to);

  g_assert_cmpint (g_rename (old, new), ==, 0);
}

static GBytes *
make_csr (void)
{
  gnutls_x509_privkey_t key;
  gnutls_x509_crq_t crq;
  gnutls_datum_t der;
  GBytes *csr;

  gnutls_x509_privkey_init (&key);
  gnutls_x509_privkey_generate (key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS (GNUTLS_ECC_CURVE_SECP256R1), 0);
  gnutls_x509_crq_init (&crq);
  gnutls_x509_crq_set_version (crq, 1);
  gnutls_x509_crq_set_key (crq, key);
  gnutls_x509_crq_sign2 (crq, key, GNUTLS_DIG_SHA256, 0);
  g_assert_cmpint (gnutls_x509_crq_export2 (crq, GNUTLS_X509_FMT_DER, &der), ==, 0);
  csr = g_bytes_new (der.data, der.size);
  gnutls_free (der.data);
  gnutls_x509_crq_deinit (crq);
  gnutls_x509_privkey_deinit (key);
  return csr;
}

static void
keep_result (GObject *source, GAsyncResult *result, gpointer data)
{
  GAsyncResult **out = data;
  *out = g_object_ref (result);
}

static void
ask (GwIssuer *issuer, GCancellable *cancellable, GAsyncResult **result)
{
  const GwIssueRequest request = { .kid = KID, .serial_number = "SN1", .policy = "p" };
  g_autoptr (GBytes) csr = make_csr ();

  gw_issuer_issue_async (issuer, csr, &request, cancellable, keep_result, result);
}

static GwIssued *
issue (GwCa *ca, GError **error)
{
  g_autoptr (GwIssuer) issuer = gw_ca_issuer_new (ca);
  g_autoptr (GAsyncResult) result = NULL;

  ask (issuer, NULL, &result);
  g_assert_null (result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  return gw_issuer_issue_finish (issuer, result, error);
}

static gnutls_x509_crt_t
parse (GBytes *der)
{
  gnutls_datum_t datum = { (guint8 *)g_bytes_get_data (der, NULL), (guint)g_bytes_get_size (der) };
  gnutls_x509_crt_t certificate;

  g_assert_cmpint (gnutls_x509_crt_init (&certificate), ==, 0);
  g_assert_cmpint (gnutls_x509_crt_import (certificate, &datum, GNUTLS_X509_FMT_DER), ==, 0);
  return certificate;
}

static void
assert_issues (GwCa *ca)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GwIssued) issued = issue (ca, &error);
  gnutls_x509_crt_t leaf, root;
  unsigned int status;

  g_assert_no_error (error);
  leaf = parse (issued->certificate);
  root = parse (gw_ca_get_certificate (ca));
  g_assert_cmpint (gnutls_x509_crt_verify (leaf, &root, 1, GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &status), ==,
                   0);
  g_assert_cmphex (status, ==, 0);
  gnutls_x509_crt_deinit (leaf);
  gnutls_x509_crt_deinit (root);
}

static void
assert_does_not_issue (GwCa *ca, const char *text)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (issue (ca, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_BAD_STATE);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, text));
}

static gboolean
renew (GwCa *ca, gboolean *renewed, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  gw_ca_renew_gateway_async (ca, keep_result, &result);
  g_assert_null (result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  return gw_ca_renew_gateway_finish (ca, result, renewed, error);
}

static void
test_first_start (Fixture *f, gconstpointer data)
{
  g_autofree char *key_file = g_build_filename (f->dir, "ca.key", NULL);
  guint8 hash[32];
  GwCa *ca;

  assert_refused (f, "p11tool --login --generate-privkey=ECDSA");
  make_key (f);
  ca = open_ca (f);
  memcpy (hash, gw_ca_get_spki_hash (ca), sizeof hash);
  assert_issues (ca);
  g_assert_false (g_file_test (key_file, G_FILE_TEST_EXISTS));
  gw_ca_free (ca);
  ca = open_ca (f);
  g_assert_cmpmem (gw_ca_get_spki_hash (ca), 32, hash, 32);
  assert_issues (ca);
  gw_ca_free (ca);
}

/* The same CA goes on without a restart, and one that starts meanwhile has all but certificates to give. */
static void
test_away_and_back (Fixture *f, gconstpointer data)
{
  gboolean renewed;
  GwCa *ca;

  make_key (f);
  ca = open_ca (f);
  assert_issues (ca);
  for (guint i = 0; i < 3; i++)
    {
      move (f, "tokens", "away");
      assert_does_not_issue (ca, "the token is not there");
      assert_does_not_issue (ca, "the token is not there");
      move (f, "away", "tokens");
      assert_issues (ca);
    }
  gw_ca_free (ca);

  move (f, "tokens", "away");
  gw_clock_advance (f->clock, 300 * DAY); /* the gateway's certificate is due */
  ca = open_ca (f);
  g_assert_nonnull (gw_ca_get_credentials (ca));
  g_assert_false (renew (ca, &renewed, NULL));
  assert_does_not_issue (ca, "the token is not there");
  move (f, "away", "tokens");
  g_assert_true (renew (ca, &renewed, NULL));
  g_assert_true (renewed);
  g_assert_cmpint (gw_ca_get_gateway_not_after (ca), ==, NOW + (300 + GW_CA_GATEWAY_DAYS) * DAY);
  assert_issues (ca);

  /* Not due: the token is tried all the same. */
  g_assert_true (renew (ca, &renewed, NULL));
  g_assert_false (renewed);
  move (f, "tokens", "away");
  g_assert_false (renew (ca, &renewed, NULL));
  gw_ca_free (ca);
}

/* A token that was initialized anew and has another key of that name: nothing it signs gets out. */
static void
test_another_key (Fixture *f, gconstpointer data)
{
  gboolean renewed;
  GwCa *ca;

  make_key (f);
  ca = open_ca (f);
  assert_issues (ca);
  run ("softhsm2-util --delete-token --token gateway");
  run ("softhsm2-util --init-token --free --label gateway --pin " PIN " --so-pin 31415926");
  assert_does_not_issue (ca, "has no such key");
  make_key (f);
  assert_does_not_issue (ca, "not the key of ca.crt");
  g_assert_false (renew (ca, &renewed, NULL));
  gw_ca_free (ca);
}

/* As doc/certificates.md tells it. */
static void
test_from_file_to_token (Fixture *f, gconstpointer data)
{
  g_autofree char *key_file = g_build_filename (f->dir, "ca.key", NULL);
  guint8 hash[32];
  GwCa *ca;

  f->options.key_uri = NULL;
  ca = open_ca (f);
  memcpy (hash, gw_ca_get_spki_hash (ca), sizeof hash);
  gw_ca_free (ca);
  f->options.key_uri = URI;
  assert_refused (f, "endpoints are pinned to it");
  run ("p11tool --login --write --load-privkey=%s --label=owner-ca pkcs11:token=gateway", key_file);
  assert_refused (f, "endpoints are pinned to it");
  g_assert_cmpint (g_unlink (key_file), ==, 0);
  ca = open_ca (f);
  g_assert_cmpmem (gw_ca_get_spki_hash (ca), 32, hash, 32);
  assert_issues (ca);
  gw_ca_free (ca);

  f->options.key_uri = NULL;
  assert_refused (f, "name the token that it is in");
}

static void
test_rsa_key (Fixture *f, gconstpointer data)
{
  run ("p11tool --login --generate-privkey=RSA --bits=2048 --label=owner-ca --outfile=%s/public.pem "
       "pkcs11:token=gateway",
       f->top);
  assert_refused (f, "not an ECDSA key on P-256");
}

static void
test_pin_file (Fixture *f, gconstpointer data)
{
  g_autofree char *link = path (f, "link");
  GwCa *ca;

  make_key (f);
  write_file (f->pin_file, PIN "\n", 0644);
  assert_refused (f, "can be read or written by others (mode 0644)");
  write_file (f->pin_file, PIN "\n", 0640);
  assert_refused (f, "can be read or written by others (mode 0640)");
  write_file (f->pin_file, "\n", 0600);
  assert_refused (f, "does not hold a PIN");
  g_assert_cmpint (symlink (f->pin_file, link), ==, 0);
  f->options.pin_file = link;
  assert_refused (f, "cannot be opened");
  f->options.pin_file = f->top;
  assert_refused (f, "not a regular file");
  f->options.pin_file = NULL;
  assert_refused (f, "the token asks for a PIN");

  /* Opened to others while it is in use. */
  f->options.pin_file = f->pin_file;
  write_file (f->pin_file, PIN, 0600);
  ca = open_ca (f);
  assert_issues (ca);
  g_assert_cmpint (g_chmod (f->pin_file, 0604), ==, 0);
  move (f, "tokens", "away");
  assert_does_not_issue (ca, "not there");
  move (f, "away", "tokens");
  assert_does_not_issue (ca, "can be read or written by others");
  g_assert_cmpint (g_chmod (f->pin_file, 0600), ==, 0);
  assert_issues (ca);
  gw_ca_free (ca);
}

/* A wrong PIN is tried once: tokens lock themselves. */
static void
test_wrong_pin (Fixture *f, gconstpointer data)
{
  GwCa *ca;

  make_key (f);
  ca = open_ca (f);
  gw_ca_free (ca);
  write_file (f->pin_file, "000000\n", 0600);
  ca = open_ca (f);
  for (guint i = 0; i < 20; i++)
    assert_does_not_issue (ca, "the token refuses the PIN");

  /* Now it would be right, but nobody has said so. */
  run ("p11tool --initialize-pin --set-pin=000000 --set-so-pin=31415926 pkcs11:token=gateway");
  assert_does_not_issue (ca, "the token refuses the PIN");
  g_assert_cmpint (g_utime (f->pin_file, NULL), ==, 0);
  assert_issues (ca);
  run ("p11tool --initialize-pin --set-pin=" PIN " --set-so-pin=31415926 pkcs11:token=gateway");
  write_file (f->pin_file, PIN "\n", 0600);
  assert_issues (ca);
  gw_ca_free (ca);
}

static void
test_credential (Fixture *f, gconstpointer data)
{
  g_autofree char *credential = path (f, "ca-pin");
  GwCa *ca;

  make_key (f);
  f->options.pin_file = "ca-pin";
  assert_refused (f, "LoadCredential=ca-pin");
  g_setenv ("CREDENTIALS_DIRECTORY", f->top, TRUE);
  assert_refused (f, "cannot be opened");
  write_file (credential, PIN, 0444);
  assert_refused (f, "can be read or written by others");
  write_file (credential, PIN, 0440); /* how systemd grants it */
  ca = open_ca (f);
  assert_issues (ca);
  gw_ca_free (ca);
}

/* The token's thread */

static GMutex busy;
static int held; /* atomic */

static void
hold (GTask *task)
{
  g_mutex_lock (&busy);
  g_mutex_unlock (&busy);
  g_atomic_int_inc (&held);
  g_task_return_boolean (task, TRUE);
}

static void
drain (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

/* While the token takes its time the main thread goes on, and what waits for it is bounded. */
static void
test_slow_token (Fixture *f, gconstpointer data)
{
  g_autoptr (GwCaToken) token = gw_ca_token_new (URI, f->pin_file, NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) first = NULL, cancelled = NULL;
  g_autoptr (GPtrArray) waiting = g_ptr_array_new ();
  g_autoptr (GError) error = NULL;
  guint refused = 0;

  g_mutex_lock (&busy);
  gw_ca_token_push (token, g_task_new (NULL, NULL, keep_result, &first), hold);
  gw_ca_token_push (token, g_task_new (NULL, cancellable, keep_result, &cancelled), hold);
  g_cancellable_cancel (cancellable);
  for (guint i = 0; i < GW_CA_TOKEN_QUEUE_MAX + 10; i++)
    {
      GAsyncResult **result = g_new0 (GAsyncResult *, 1);
      gw_ca_token_push (token, g_task_new (NULL, NULL, keep_result, result), hold);
      g_ptr_array_add (waiting, result);
    }
  drain ();
  g_assert_null (first);
  g_assert_null (cancelled);
  g_mutex_unlock (&busy);
  for (guint i = 0; i < waiting->len; i++)
    {
      GAsyncResult **result = waiting->pdata[i];
      while (*result == NULL)
        g_main_context_iteration (NULL, TRUE);
      g_clear_error (&error);
      if (!g_task_propagate_boolean (G_TASK (*result), &error))
        {
          g_assert_error (error, GW_ERROR, GW_ERROR_BUSY);
          refused++;
        }
      g_object_unref (*result);
      g_free (result);
    }
  g_assert_cmpuint (refused, >=, 9);
  g_assert_cmpuint (refused, <=, 12);
  g_assert_cmpint (g_atomic_int_get (&held), ==,
                   1 + (int)(waiting->len - refused)); /* the cancelled one never ran */
  g_assert_true (g_task_propagate_boolean (G_TASK (first), NULL));
  g_clear_error (&error);
  g_assert_false (g_task_propagate_boolean (G_TASK (cancelled), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

static void
test_one_in_a_process (Fixture *f, gconstpointer data)
{
  g_autoptr (GwCaToken) token = gw_ca_token_new (URI, f->pin_file, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_null (gw_ca_token_new (URI, f->pin_file, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_BUSY);
}

#define ADD(name, func) g_test_add ("/ca-token/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("first-start", test_first_start);
  ADD ("away-and-back", test_away_and_back);
  ADD ("another-key", test_another_key);
  ADD ("from-file-to-token", test_from_file_to_token);
  ADD ("rsa-key", test_rsa_key);
  ADD ("pin-file", test_pin_file);
  ADD ("wrong-pin", test_wrong_pin);
  ADD ("credential", test_credential);
  ADD ("slow-token", test_slow_token);
  ADD ("one-in-a-process", test_one_in_a_process);
  return g_test_run ();
}
