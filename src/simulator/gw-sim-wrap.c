/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The place where an endpoint lies inside DTLS: the linker puts this function before mbedTLS's own (--wrap),
 * so the endpoint library stays what firmware runs. */

#include <mbedtls/ssl.h>
#include <string.h>

#include "gw-ep.h"
#include "gw-sim-endpoint.h"

int __real_mbedtls_ssl_write (mbedtls_ssl_context *ssl, const unsigned char *data, size_t len);
int __wrap_mbedtls_ssl_write (mbedtls_ssl_context *ssl, const unsigned char *data, size_t len);

int
__wrap_mbedtls_ssl_write (mbedtls_ssl_context *ssl, const unsigned char *data, size_t len)
{
  guint8 message[GW_EP_MTU_MAX];

  if (len > sizeof message)
    return __real_mbedtls_ssl_write (ssl, data, len);
  memcpy (message, data, len);
  gw_sim_endpoint_tamper (message, len);
  return __real_mbedtls_ssl_write (ssl, message, len);
}
