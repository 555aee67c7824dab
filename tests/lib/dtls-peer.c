/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A DTLS client on mbedTLS in a test's hands: it speaks to the agent over datagrams that the test carries, and says over them whatever
 * the test tells it. It shares no code with the endpoint library, so it also judges what that library takes for granted.
 *
 *   dtls-peer --fd N [--cert FILE --key FILE] [--raw-cert FILE] [--no-ems] [--cbc] [--mtu N] [--renegotiate]
 *
 * --fd: one end of a datagram socketpair. --raw-cert: octets shown in place of the certificate, as they are. --cbc: offers no suite that
 * the agent takes. On its output, a line each: "up BINDING" (RFC 9266 tls-exporter, hex), "recv HEX", "failed TEXT", "closed". On its
 * input: HEX to send as one record, "close", "renegotiate"; end of file ends it without a word.
 */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/ssl.h>
#include <mbedtls/timing.h>

#define LABEL "EXPORTER-Channel-Binding"
#define RECORD_MAX 4096
#define POLL_MSEC 50

typedef struct
{
  int fd;
  const char *cert, *key, *raw_cert;
  int ems, cbc, mtu, renegotiate;
  mbedtls_entropy_context entropy;
  mbedtls_ctr_drbg_context drbg;
  mbedtls_ssl_config conf;
  mbedtls_ssl_context ssl;
  mbedtls_x509_crt crt;
  mbedtls_pk_context pk;
  mbedtls_timing_delay_context timer;
  unsigned char raw[RECORD_MAX * 8];
  unsigned char binding[32];
  char line[2 * RECORD_MAX + 2];
  size_t line_len;
  int up;
} Peer;

static void
say (const char *word, const unsigned char *octets, size_t len)
{
  fputs (word, stdout);
  for (size_t i = 0; i < len; i++)
    printf (i == 0 ? " %02x" : "%02x", octets[i]);
  putchar ('\n');
  fflush (stdout);
}

static void
die (int code)
{
  char text[128];

  mbedtls_strerror (code, text, sizeof text);
  printf ("failed %s (-0x%04x)\n", text, (unsigned) -code);
  fflush (stdout);
  exit (0);
}

static void
need (int code)
{
  if (code != 0)
    die (code);
}

static int
bio_send (void *data, const unsigned char *octets, size_t len)
{
  Peer *self = data;

  /* A full socket is a lossy line. */
  if (send (self->fd, octets, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EPIPE)
    exit (0);
  return (int) len;
}

static int
bio_recv (void *data, unsigned char *octets, size_t len)
{
  Peer *self = data;
  ssize_t n = recv (self->fd, octets, len, MSG_DONTWAIT);

  return n > 0 ? (int) n : MBEDTLS_ERR_SSL_WANT_READ;
}

static int
on_keys (void *data,
         const unsigned char *master,
         const unsigned char *block,
         size_t mac_len,
         size_t key_len,
         size_t iv_len,
         const unsigned char client_random[32],
         const unsigned char server_random[32],
         mbedtls_tls_prf_types prf)
{
  Peer *self = data;
  unsigned char seed[66] = { 0 };

  memcpy (seed, client_random, 32);
  memcpy (seed + 32, server_random, 32);
  return mbedtls_ssl_tls_prf (prf, master, 48, LABEL, seed, sizeof seed, self->binding, sizeof self->binding);
}

static void
load_raw_certificate (Peer *self)
{
  FILE *file = fopen (self->raw_cert, "rb");

  if (file == NULL)
    exit (2);
  self->crt.raw.len = fread (self->raw, 1, sizeof self->raw, file);
  self->crt.raw.p = self->raw;
  fclose (file);
}

static void
set_up (Peer *self)
{
  static const int cbc_suites[] = { MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, 0 };
  static const int suites[] = { MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, 0 };

  mbedtls_entropy_init (&self->entropy);
  mbedtls_ctr_drbg_init (&self->drbg);
  mbedtls_ssl_config_init (&self->conf);
  mbedtls_ssl_init (&self->ssl);
  mbedtls_x509_crt_init (&self->crt);
  mbedtls_pk_init (&self->pk);
  need (mbedtls_ctr_drbg_seed (&self->drbg, mbedtls_entropy_func, &self->entropy, NULL, 0));
  need (mbedtls_ssl_config_defaults (&self->conf, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_DATAGRAM,
                                     MBEDTLS_SSL_PRESET_DEFAULT));
  mbedtls_ssl_conf_rng (&self->conf, mbedtls_ctr_drbg_random, &self->drbg);
  mbedtls_ssl_conf_authmode (&self->conf, MBEDTLS_SSL_VERIFY_NONE);
  mbedtls_ssl_conf_ciphersuites (&self->conf, self->cbc ? cbc_suites : suites);
  mbedtls_ssl_conf_extended_master_secret (&self->conf, self->ems);
  mbedtls_ssl_conf_renegotiation (&self->conf, self->renegotiate);
  mbedtls_ssl_conf_export_keys_ext_cb (&self->conf, on_keys, self);
  if (self->cert != NULL)
    {
      need (mbedtls_x509_crt_parse_file (&self->crt, self->cert));
      need (mbedtls_pk_parse_keyfile (&self->pk, self->key, NULL));
      if (self->raw_cert != NULL)
        load_raw_certificate (self);
      need (mbedtls_ssl_conf_own_cert (&self->conf, &self->crt, &self->pk));
    }
  need (mbedtls_ssl_setup (&self->ssl, &self->conf));
  if (self->mtu > 0)
    mbedtls_ssl_set_mtu (&self->ssl, (uint16_t) self->mtu);
  mbedtls_ssl_set_bio (&self->ssl, self, bio_send, bio_recv, NULL);
  mbedtls_ssl_set_timer_cb (&self->ssl, &self->timer, mbedtls_timing_set_delay, mbedtls_timing_get_delay);
}

static int
is_waiting (int code)
{
  return code == MBEDTLS_ERR_SSL_WANT_READ || code == MBEDTLS_ERR_SSL_WANT_WRITE;
}

static void
turn (Peer *self)
{
  unsigned char record[RECORD_MAX];
  int code;

  if (!self->up)
    {
      code = mbedtls_ssl_handshake (&self->ssl);
      if (is_waiting (code))
        return;
      need (code);
      self->up = 1;
      say ("up", self->binding, sizeof self->binding);
    }
  while ((code = mbedtls_ssl_read (&self->ssl, record, sizeof record)) > 0)
    say ("recv", record, (size_t) code);
  if (code == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
    {
      puts ("closed");
      exit (0);
    }
  if (code < 0 && !is_waiting (code))
    die (code);
}

static void
obey (Peer *self, const char *line)
{
  unsigned char record[RECORD_MAX];
  size_t len = 0;

  if (strcmp (line, "close") == 0)
    mbedtls_ssl_close_notify (&self->ssl);
  else if (strcmp (line, "renegotiate") == 0)
    mbedtls_ssl_renegotiate (&self->ssl);
  else
    {
      for (unsigned octet; len < sizeof record && sscanf (line + 2 * len, "%2x", &octet) == 1; len++)
        record[len] = (unsigned char) octet;
      mbedtls_ssl_write (&self->ssl, record, len);
    }
}

static void
read_lines (Peer *self)
{
  ssize_t n = read (STDIN_FILENO, self->line + self->line_len, sizeof self->line - 1 - self->line_len);
  char *end;

  if (n <= 0)
    exit (0);
  self->line_len += (size_t) n;
  self->line[self->line_len] = '\0';
  while ((end = strchr (self->line, '\n')) != NULL)
    {
      *end = '\0';
      obey (self, self->line);
      self->line_len -= (size_t) (end + 1 - self->line);
      memmove (self->line, end + 1, self->line_len + 1);
    }
}

static void
parse (Peer *self, int argc, char **argv)
{
  self->ems = MBEDTLS_SSL_EXTENDED_MS_ENABLED;
  for (int i = 1; i < argc; i++)
    {
      const char *value = i + 1 < argc ? argv[i + 1] : "";

      if (strcmp (argv[i], "--no-ems") == 0)
        self->ems = MBEDTLS_SSL_EXTENDED_MS_DISABLED;
      else if (strcmp (argv[i], "--cbc") == 0)
        self->cbc = 1;
      else if (strcmp (argv[i], "--renegotiate") == 0)
        self->renegotiate = MBEDTLS_SSL_RENEGOTIATION_ENABLED;
      else if (strcmp (argv[i], "--fd") == 0)
        self->fd = atoi (value), i++;
      else if (strcmp (argv[i], "--mtu") == 0)
        self->mtu = atoi (value), i++;
      else if (strcmp (argv[i], "--cert") == 0)
        self->cert = value, i++;
      else if (strcmp (argv[i], "--key") == 0)
        self->key = value, i++;
      else if (strcmp (argv[i], "--raw-cert") == 0)
        self->raw_cert = value, i++;
      else
        exit (2);
    }
}

int
main (int argc, char **argv)
{
  static Peer self = { .fd = -1 };
  struct pollfd fds[2] = { { STDIN_FILENO, POLLIN, 0 }, { -1, POLLIN, 0 } };

  parse (&self, argc, argv);
  set_up (&self);
  fds[1].fd = self.fd;
  for (;;)
    {
      turn (&self);
      poll (fds, 2, POLL_MSEC);
      if (fds[0].revents != 0)
        read_lines (&self);
    }
}
