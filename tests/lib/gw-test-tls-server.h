// SPDX-License-Identifier: LGPL-2.1-or-later
/* The broker's side of TLS in the test's own hands, so that it can be slow, silent, hostile. Non-blocking:
 * the test calls. */
#pragma once

#include "gw-test-pki.h"

typedef struct
{
  gnutls_certificate_credentials_t creds;
  gnutls_datum_t ticket_key;
  char *priority;                       /* NULL = NORMAL */
  gnutls_certificate_request_t request; /* REQUIRE */
  gnutls_session_t session;
  int fd;
  gboolean done;   /* handshake */
  int rc;          /* the last result of GnuTLS that was not AGAIN */
  guint n_retries; /* HelloRetryRequests sent */
} GwTestTlsServer;

/** @ca: issuer of the clients that it accepts. */
GwTestTlsServer *gw_test_tls_server_new (GwTestCert *server, GwTestCert *ca);
/** A new session on the connected, non-blocking @fd, which it owns then. */
void gw_test_tls_server_accept (GwTestTlsServer *self, int fd);
/** One try at the handshake. */
void gw_test_tls_server_step (GwTestTlsServer *self);
void gw_test_tls_server_free (GwTestTlsServer *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwTestTlsServer, gw_test_tls_server_free)
