// SPDX-License-Identifier: LGPL-2.1-or-later
/* Pins what the delegate relies on in GnuTLS: that the hook on our Certificate suspends the handshake before
 * anything is signed, that the rebuilt transcript is the one signed for, and that whatever else happens the
 * handshake does not end well. */
#include "gw-delegate.h"
#include "gw-error.h"
#include "gw-test-tls-server.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST "broker.example"

typedef struct
{
  GwTestCert *ca, *server_cert, *client_cert;
  GwTestTlsServer *server;
  GwDelegateCreds *creds;
  GwDelegateChain *chain;
  GwTrust *trust;
  GwDelegate *client;
  int fd;
  GError *error;
  guint n_sign; /* times that the handshake came to a stop for a signature */
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *dir = g_dir_make_tmp ("gw-delegate-XXXXXX", NULL);
  g_autofree char *path = NULL, *key_path = g_build_filename (dir, "ca.key", NULL);

  *f = (Fixture){ .fd = -1 };
  f->ca = gw_test_ca_new ("CA");
  f->server_cert = gw_test_cert_new (f->ca, GW_TEST_SERVER, HOST, -60, 3600);
  f->client_cert = gw_test_cert_new (f->ca, GW_TEST_CLIENT, "endpoint", -60, 3600);
  f->server = gw_test_tls_server_new (f->server_cert, f->ca);
  f->creds = gw_delegate_creds_new ();
  f->chain = gw_delegate_chain_new (&f->client_cert->der, 1, &error);
  g_assert_no_error (error);
  path = gw_test_cert_write (f->ca, dir, "ca");
  f->trust = gw_trust_load (path, &error);
  g_assert_no_error (error);
  unlink (path);
  unlink (key_path);
  rmdir (dir);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  gw_delegate_free (f->client);
  if (f->fd >= 0)
    close (f->fd);
  g_clear_error (&f->error);
  gw_test_tls_server_free (f->server);
  gw_delegate_chain_unref (f->chain);
  gw_delegate_creds_free (f->creds);
  gw_trust_unref (f->trust);
  gw_test_cert_free (f->client_cert);
  gw_test_cert_free (f->server_cert);
  gw_test_cert_free (f->ca);
}

static void
connect_pair (Fixture *f, const gnutls_datum_t *ticket)
{
  int fds[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
  gw_delegate_free (f->client);
  if (f->fd >= 0)
    close (f->fd);
  f->fd = fds[0];
  gw_test_tls_server_accept (f->server, fds[1]);
  f->client = gw_delegate_new (f->creds, f->fd, HOST, f->trust, f->chain, ticket);
  f->n_sign = 0;
  g_clear_error (&f->error);
}

/* Both ends in turn until the client stops for a signature, is done or has failed. */
static GwDelegateResult
run (Fixture *f)
{
  GwDelegateResult result = GW_DELEGATE_AGAIN;

  for (guint i = 0; i < 50 && result == GW_DELEGATE_AGAIN; i++)
    {
      result = gw_delegate_handshake (f->client, &f->error);
      if (result != GW_DELEGATE_SIGN)
        gw_test_tls_server_step (f->server);
    }
  f->n_sign += result == GW_DELEGATE_SIGN;
  return result;
}

static void
sign (Fixture *f)
{
  gsize len;
  g_autofree guint8 *sig
      = gw_test_cert_sign (f->client_cert, gw_delegate_get_hash (f->client), GW_DELEGATE_HASH_LEN, &len);

  g_assert_true (gw_delegate_set_signature (f->client, sig, len, &f->error));
  g_assert_no_error (f->error);
}

static void
finish_server (Fixture *f)
{
  for (guint i = 0; i < 10; i++)
    gw_test_tls_server_step (f->server);
}

/* The client's side has written up to @n octets more than the server has read. */
static int
unread_at_server (Fixture *f)
{
  int n = -1;

  g_assert_cmpint (ioctl (f->server->fd, FIONREAD, &n), ==, 0);
  return n;
}

static void
expect_whole (Fixture *f)
{
  g_assert_cmpint (run (f), ==, GW_DELEGATE_SIGN);
  sign (f);
  g_assert_cmpint (run (f), ==, GW_DELEGATE_DONE);
  finish_server (f);
  g_assert_true (f->server->done); /* it has verified CertificateVerify */
  g_assert_cmpuint (f->n_sign, ==, 1);
}

static void
test_suspends (Fixture *f, gconstpointer data)
{
  guint8 hash[GW_DELEGATE_HASH_LEN];

  connect_pair (f, NULL);
  g_assert_cmpint (run (f), ==, GW_DELEGATE_SIGN);
  memcpy (hash, gw_delegate_get_hash (f->client), sizeof hash);

  /* Suspended is suspended: as often as it is asked, nothing moves and nothing goes out. */
  finish_server (f);
  for (guint i = 0; i < 10; i++)
    g_assert_cmpint (gw_delegate_handshake (f->client, &f->error), ==, GW_DELEGATE_SIGN);
  g_assert_cmpint (unread_at_server (f), ==, 0);
  g_assert_false (f->server->done);
  g_assert_cmpmem (hash, sizeof hash, gw_delegate_get_hash (f->client), sizeof hash);

  sign (f);
  g_assert_cmpint (run (f), ==, GW_DELEGATE_DONE);
  finish_server (f);
  g_assert_true (f->server->done);
  g_assert_cmpint (gnutls_protocol_get_version (f->server->session), ==, GNUTLS_TLS1_3);
  g_assert_cmpint (gnutls_cipher_get (f->server->session), ==, GNUTLS_CIPHER_AES_128_GCM);
}

static void
test_hello_retry (Fixture *f, gconstpointer data)
{
  f->server->priority = g_strdup ("NORMAL:-GROUP-ALL:+GROUP-SECP521R1");
  connect_pair (f, NULL);
  expect_whole (f);
  g_assert_cmpuint (f->server->n_retries, >=, 1);
}

static void
test_signature_checks (Fixture *f, gconstpointer data)
{
  g_autofree guint8 *sig = NULL;
  gsize len;
  guint8 other[GW_DELEGATE_HASH_LEN] = { 1 };
  guint8 big[GW_DELEGATE_SIG_MAX + 1] = { 0 };

  connect_pair (f, NULL);
  g_assert_false (gw_delegate_set_signature (f->client, big, 8, &f->error)); /* nobody asked */
  g_assert_error (f->error, GW_ERROR, GW_ERROR_BAD_STATE);
  g_clear_error (&f->error);
  g_assert_cmpint (run (f), ==, GW_DELEGATE_SIGN);

  /* Over something else, by somebody else, too long, empty: none gets in, and it stays suspended. */
  sig = gw_test_cert_sign (f->client_cert, other, sizeof other, &len);
  g_assert_false (gw_delegate_set_signature (f->client, sig, len, &f->error));
  g_assert_error (f->error, GW_ERROR, GW_ERROR_NOT_TRUSTED);
  g_clear_error (&f->error);
  g_free (sig);
  sig = gw_test_cert_sign (f->server_cert, gw_delegate_get_hash (f->client), GW_DELEGATE_HASH_LEN, &len);
  g_assert_false (gw_delegate_set_signature (f->client, sig, len, NULL));
  g_assert_false (gw_delegate_set_signature (f->client, big, sizeof big, NULL));
  g_assert_false (gw_delegate_set_signature (f->client, big, 0, NULL));
  g_assert_cmpint (gw_delegate_handshake (f->client, NULL), ==, GW_DELEGATE_SIGN);

  sign (f);
  g_assert_false (gw_delegate_set_signature (f->client, sig, len, NULL)); /* once */
  g_assert_cmpint (run (f), ==, GW_DELEGATE_DONE);
  finish_server (f);
  g_assert_true (f->server->done);
}

/* A GnuTLS that would not call the hook: the signing callback has nothing to hand out, so nothing is signed.
 */
static void
test_without_hook (Fixture *f, gconstpointer data)
{
  connect_pair (f, NULL);
  gnutls_handshake_set_hook_function (gw_delegate_get_session (f->client), GNUTLS_HANDSHAKE_ANY,
                                      GNUTLS_HOOK_BOTH, NULL);
  g_assert_cmpint (run (f), ==, GW_DELEGATE_FAILED);
  finish_server (f);
  g_assert_false (f->server->done);
}

/* A GnuTLS whose transcript we misread: the digest it asks for is then not the one that was signed, and the
 * callback refuses, although the signature itself is good. */
static void
test_wrong_transcript (Fixture *f, gconstpointer data)
{
  connect_pair (f, NULL);
  g_assert_cmpint (run (f), ==, GW_DELEGATE_SIGN);
  /* The hash is the delegate's own memory: what a wrong rebuild would have left there. */
  ((guint8 *)gw_delegate_get_hash (f->client))[0] ^= 1;
  sign (f);
  g_assert_cmpint (run (f), ==, GW_DELEGATE_FAILED);
  finish_server (f);
  g_assert_false (f->server->done);
}

static int
verify_nothing (gnutls_session_t session)
{
  return 0;
}

/* A GnuTLS that would not have the server's certificate judged. */
static void
test_without_verify (Fixture *f, gconstpointer data)
{
  connect_pair (f, NULL);
  gnutls_session_set_verify_function (gw_delegate_get_session (f->client), verify_nothing);
  g_assert_cmpint (run (f), ==, GW_DELEGATE_SIGN);
  sign (f);
  g_assert_cmpint (run (f), ==, GW_DELEGATE_FAILED);
}

/* For a stranger the endpoint is not even asked. */
static void
test_server_is_another (Fixture *f, gconstpointer data)
{
  gw_test_cert_free (f->server_cert);
  f->server_cert = gw_test_cert_new (f->ca, GW_TEST_SERVER, "other.example", -60, 3600);
  gw_test_tls_server_free (f->server);
  f->server = gw_test_tls_server_new (f->server_cert, f->ca);
  connect_pair (f, NULL);
  g_assert_cmpint (run (f), ==, GW_DELEGATE_FAILED);
  g_assert_error (f->error, GW_ERROR, GW_ERROR_NOT_TRUSTED);
  g_assert_nonnull (strstr (f->error->message, "it is for other.example"));
}

static void
test_server_asks_nothing (Fixture *f, gconstpointer data)
{
  f->server->request = GNUTLS_CERT_IGNORE;
  connect_pair (f, NULL);
  g_assert_cmpint (run (f), ==, GW_DELEGATE_FAILED);
  g_assert_error (f->error, GW_ERROR, GW_ERROR_NOT_TRUSTED);
}

static void
test_server_asks_politely (Fixture *f, gconstpointer data)
{
  f->server->request = GNUTLS_CERT_REQUEST;
  connect_pair (f, NULL);
  expect_whole (f);
}

static void
test_server_tls_12 (Fixture *f, gconstpointer data)
{
  f->server->priority = g_strdup ("NORMAL:-VERS-ALL:+VERS-TLS1.2");
  connect_pair (f, NULL);
  g_assert_cmpint (run (f), ==, GW_DELEGATE_FAILED);
  g_assert_error (f->error, GW_ERROR, GW_ERROR_UNSUPPORTED);
}

static void
test_server_closes (Fixture *f, gconstpointer data)
{
  connect_pair (f, NULL);
  g_assert_cmpint (gw_delegate_handshake (f->client, &f->error), ==, GW_DELEGATE_AGAIN);
  g_assert_false (gw_delegate_wants_write (f->client));
  shutdown (f->server->fd, SHUT_RDWR);
  g_assert_cmpint (gw_delegate_handshake (f->client, &f->error), ==, GW_DELEGATE_FAILED);
  g_assert_error (f->error, GW_ERROR, GW_ERROR_OFFLINE);
}

static void
test_ticket (Fixture *f, gconstpointer data)
{
  gnutls_datum_t ticket = { 0 };
  guint8 buffer[16];

  connect_pair (f, NULL);
  g_assert_false (gw_delegate_get_ticket (f->client, &ticket));
  expect_whole (f);
  g_assert_false (gw_delegate_is_resumed (f->client));
  /* Tickets come after the handshake, with the first read; asking before must not block. */
  g_assert_false (gw_delegate_get_ticket (f->client, &ticket));
  g_assert_cmpint (gnutls_record_recv (gw_delegate_get_session (f->client), buffer, sizeof buffer), ==,
                   GNUTLS_E_AGAIN);
  g_assert_true (gw_delegate_get_ticket (f->client, &ticket));

  connect_pair (f, &ticket);
  g_assert_cmpint (run (f), ==, GW_DELEGATE_DONE);
  finish_server (f);
  g_assert_true (f->server->done);
  g_assert_true (gw_delegate_is_resumed (f->client));
  g_assert_cmpuint (f->n_sign, ==, 0);

  /* A server with another ticket key: a full handshake, with a signature. */
  gnutls_free (f->server->ticket_key.data);
  g_assert_cmpint (gnutls_session_ticket_key_generate (&f->server->ticket_key), ==, 0);
  connect_pair (f, &ticket);
  expect_whole (f);
  g_assert_false (gw_delegate_is_resumed (f->client));
  gnutls_free (ticket.data);

  /* Rubbish is no ticket. */
  ticket = (gnutls_datum_t){ .data = (guint8 *)"rubbish", .size = 7 };
  connect_pair (f, &ticket);
  expect_whole (f);
}

static void
test_chain (void)
{
  g_autoptr (GwTestCert) ca = gw_test_ca_new ("CA");
  g_autoptr (GwDelegateChain) chain = NULL;
  g_autoptr (GError) error = NULL;
  gnutls_datum_t certs[GW_DELEGATE_CHAIN_MAX + 1];

  for (guint i = 0; i < G_N_ELEMENTS (certs); i++)
    certs[i] = ca->der;
  g_assert_null (gw_delegate_chain_new (certs, 0, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_INVALID);
  g_clear_error (&error);
  g_assert_null (gw_delegate_chain_new (certs, G_N_ELEMENTS (certs), &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_INVALID);
  g_clear_error (&error);
  certs[1] = (gnutls_datum_t){ .data = (guint8 *)"no", .size = 2 };
  g_assert_null (gw_delegate_chain_new (certs, 2, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_INVALID);
  g_clear_error (&error);
  chain = gw_delegate_chain_new (certs, 1, &error);
  g_assert_no_error (error);
}

#define ADD(path, func) g_test_add (path, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("/delegate/suspends", test_suspends);
  ADD ("/delegate/hello-retry", test_hello_retry);
  ADD ("/delegate/signature-checks", test_signature_checks);
  ADD ("/delegate/without-hook", test_without_hook);
  ADD ("/delegate/wrong-transcript", test_wrong_transcript);
  ADD ("/delegate/without-verify", test_without_verify);
  ADD ("/delegate/server-is-another", test_server_is_another);
  ADD ("/delegate/server-asks-nothing", test_server_asks_nothing);
  ADD ("/delegate/server-asks-politely", test_server_asks_politely);
  ADD ("/delegate/server-tls-1.2", test_server_tls_12);
  ADD ("/delegate/server-closes", test_server_closes);
  ADD ("/delegate/ticket", test_ticket);
  g_test_add_func ("/delegate/chain", test_chain);
  return g_test_run ();
}
