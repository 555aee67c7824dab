// SPDX-License-Identifier: LGPL-2.1-or-later
/* Fuzz target for what a hostile broker sends before TLS stands: octets into a delegate's handshake. Whatever
 * comes, it must neither end well nor ask the endpoint to sign: nobody has shown a certificate that our
 * anchors know. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gw-delegate.h"

/* A P-256 certificate, self-signed, good for nothing. */
static const char pem[] = "-----BEGIN CERTIFICATE-----\n"
                          "MIIBcDCCARWgAwIBAgIUfNrWcdCf2EwdjFaX+FymaORQKyUwCgYIKoZIzj0EAwIw\n"
                          "DDEKMAgGA1UEAwwBZjAgFw0yNjExMjMwMjI3MThaGA8yMTI2MTAzMDAyMjcxOFow\n"
                          "DDEKMAgGA1UEAwwBZjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABAd+V1swPo/j\n"
                          "A9J0tY4y/mBwZF1S3d7DY71B2K9LF0o+H9Bm13WwpcTguC+7do8xMWEKkRcey160\n"
                          "M0gxm5Y7u+KjUzBRMB0GA1UdDgQWBBRuN1W2Mzx0/M7jr4oBaVRpZnxYGzAfBgNV\n"
                          "HSMEGDAWgBRuN1W2Mzx0/M7jr4oBaVRpZnxYGzAPBgNVHRMBAf8EBTADAQH/MAoG\n"
                          "CCqGSM49BAMCA0kAMEYCIQC2iVsmMozN2BcqlvJPFy8qGgbtEumBP1/YuMoGZQXl\n"
                          "9gIhAI9XZAb6am7OUXJg9yVvl1UK/IrYzolLyzICOljl+ywo\n"
                          "-----END CERTIFICATE-----\n";

typedef struct
{
  GwDelegateCreds *creds;
  GwDelegateChain *chain;
  GwTrust *trust;
} Stage;

static Stage stage;

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
free_stage (void)
{
  gw_delegate_creds_free (stage.creds);
  gw_delegate_chain_unref (stage.chain);
  gw_trust_unref (stage.trust);
}

static void
make_stage (void)
{
  g_autofree char *path = NULL;
  gnutls_datum_t text = { .data = (guint8 *)pem, .size = sizeof pem - 1 }, der;
  int fd;

  if (stage.creds)
    return;
  fd = g_file_open_tmp ("gw-fuzz-XXXXXX", &path, NULL);
  if (fd < 0 || write (fd, pem, sizeof pem - 1) != sizeof pem - 1
      || gnutls_pem_base64_decode2 ("CERTIFICATE", &text, &der) < 0)
    abort ();
  close (fd);
  stage.creds = gw_delegate_creds_new ();
  stage.chain = gw_delegate_chain_new (&der, 1, NULL);
  stage.trust = gw_trust_load (path, NULL);
  unlink (path);
  gnutls_free (der.data);
  if (!stage.chain || !stage.trust)
    abort ();
  atexit (free_stage);
}

#define RECORD_HEADER_LEN 5

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  GwDelegate *delegate;
  GwDelegateResult result;
  unsigned calls = 0;
  int fds[2];

  if (size > 65536)
    return 0;
  make_stage ();
  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
    abort ();
  delegate = gw_delegate_new (stage.creds, fds[0], "broker.example", stage.trust, stage.chain, NULL);
  if (gw_delegate_handshake (delegate, NULL) != GW_DELEGATE_AGAIN)
    abort ();
  if (size && send (fds[1], data, size, MSG_NOSIGNAL) < 0)
    abort ();
  shutdown (fds[1], SHUT_WR);
  /* GnuTLS says AGAIN after each record that holds a part of a message, and after half a record once before it notices
   * the end: as often as there can be records, no more. */
  do
    result = gw_delegate_handshake (delegate, NULL);
  while (result == GW_DELEGATE_AGAIN && ++calls < 4 + size / RECORD_HEADER_LEN);
  if (result != GW_DELEGATE_FAILED)
    abort ();
  gw_delegate_free (delegate);
  close (fds[0]);
  close (fds[1]);
  return 0;
}
