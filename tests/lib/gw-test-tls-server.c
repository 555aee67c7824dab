// SPDX-License-Identifier: LGPL-2.1-or-later
#include "gw-test-tls-server.h"

#include <unistd.h>

#define MUST(call) g_assert_cmpint ((call), >=, 0)

GwTestTlsServer *
gw_test_tls_server_new (GwTestCert *server, GwTestCert *ca)
{
  GwTestTlsServer *self = g_new0 (GwTestTlsServer, 1);

  self->fd = -1;
  self->request = GNUTLS_CERT_REQUIRE;
  MUST (gnutls_certificate_allocate_credentials (&self->creds));
  MUST (gnutls_certificate_set_x509_key (self->creds, &server->crt, 1, server->key));
  MUST (gnutls_certificate_set_x509_trust (self->creds, &ca->crt, 1));
  MUST (gnutls_session_ticket_key_generate (&self->ticket_key));
  return self;
}

static int
on_handshake (gnutls_session_t session,
              unsigned int type,
              unsigned int when,
              unsigned int incoming,
              const gnutls_datum_t *body)
{
  GwTestTlsServer *self = gnutls_session_get_ptr (session);

  if (type == GNUTLS_HANDSHAKE_HELLO_RETRY_REQUEST)
    self->n_retries++;
  return 0;
}

static void
close_session (GwTestTlsServer *self)
{
  if (self->session)
    gnutls_deinit (self->session);
  self->session = NULL;
  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;
}

void
gw_test_tls_server_accept (GwTestTlsServer *self, int fd)
{
  close_session (self);
  self->fd = fd;
  self->done = FALSE;
  self->rc = 0;
  self->n_retries = 0;
  MUST (gnutls_init (&self->session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL));
  MUST (gnutls_priority_set_direct (self->session, self->priority ? self->priority : "NORMAL", NULL));
  MUST (gnutls_credentials_set (self->session, GNUTLS_CRD_CERTIFICATE, self->creds));
  MUST (gnutls_session_ticket_enable_server (self->session, &self->ticket_key));
  gnutls_certificate_server_set_request (self->session, self->request);
  gnutls_session_set_ptr (self->session, self);
  gnutls_handshake_set_hook_function (self->session, GNUTLS_HANDSHAKE_ANY, GNUTLS_HOOK_POST, on_handshake);
  gnutls_transport_set_int (self->session, fd);
}

void
gw_test_tls_server_step (GwTestTlsServer *self)
{
  int rc;

  if (self->done || self->rc < 0 || !self->session)
    return;
  rc = gnutls_handshake (self->session);
  if (rc == GNUTLS_E_AGAIN || rc == GNUTLS_E_INTERRUPTED)
    return;
  if (rc < 0)
    gnutls_alert_send_appropriate (self->session, rc);
  self->rc = rc;
  self->done = rc == 0;
}

void
gw_test_tls_server_free (GwTestTlsServer *self)
{
  if (!self)
    return;
  close_session (self);
  gnutls_certificate_free_credentials (self->creds);
  gnutls_memset (self->ticket_key.data, 0, self->ticket_key.size);
  gnutls_free (self->ticket_key.data);
  g_free (self->priority);
  g_free (self);
}
