// SPDX-License-Identifier: LGPL-2.1-or-later
/* The relay against a broker in the test's hands: names, time-outs, back-pressure both ways, and every way to
 * end. */
#include "gw-error.h"
#include "gw-relay.h"
#include "gw-test-tls-server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_PACKET 65536
#define SECOND ((gint64)G_USEC_PER_SEC)

/* ---- a resolver that answers when told ---- */

typedef struct
{
  GResolver base;
  GTask *pending;
  guint n_lookups;
} FakeResolver;

typedef GResolverClass FakeResolverClass;

G_GNUC_UNUSED static GType fake_resolver_get_type (void);
G_DEFINE_TYPE (FakeResolver, fake_resolver, G_TYPE_RESOLVER)

static void
fake_lookup (GResolver *resolver,
             const char *host,
             GCancellable *cancellable,
             GAsyncReadyCallback callback,
             gpointer data)
{
  FakeResolver *self = (FakeResolver *)resolver;

  self->n_lookups++;
  g_assert_null (self->pending);
  self->pending = g_task_new (resolver, cancellable, callback, data);
}

static GList *
fake_lookup_finish (GResolver *resolver, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
fake_resolver_class_init (FakeResolverClass *class)
{
  class->lookup_by_name_async = fake_lookup;
  class->lookup_by_name_finish = fake_lookup_finish;
}

static void
fake_resolver_init (FakeResolver *self)
{
}

static void
free_addresses (gpointer list)
{
  g_resolver_free_addresses (list);
}

/* @addresses: separated by blanks; NULL = no such name. */
static void
fake_answer (FakeResolver *self, const char *addresses)
{
  g_autoptr (GTask) task = g_steal_pointer (&self->pending);
  g_auto (GStrv) texts = addresses ? g_strsplit (addresses, " ", 0) : NULL;
  GList *list = NULL;

  g_assert_nonnull (task);
  for (guint i = 0; texts && texts[i]; i++)
    list = g_list_append (list, g_inet_address_new_from_string (texts[i]));
  if (list)
    g_task_return_pointer (task, list, free_addresses);
  else
    g_task_return_new_error (task, G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND, "no such name");
}

/* ---- the stage ---- */

typedef struct
{
  GMainContext *context;
  GwClock *clock;
  GwLoop *loop;
  FakeResolver *resolver;
  GwNames *names;
  GwDelegateCreds *creds;
  GwDelegateChain *chain;
  GwTrust *trust;
  GwTestCert *ca, *server_cert, *client_cert;
  GwTestTlsServer *server;
  int listener;
  guint16 port;
  GwRelay *relay;
  int plain; /* the test's end, as libmosquitto would have it */
  gboolean hold_signature;
  guint n_sign, n_secured, n_closed;
  GError *why;
} Fixture;

static void
on_sign (GwRelay *relay, const guint8 *th, gsize th_len, gpointer data)
{
  Fixture *f = data;
  gsize len;
  g_autofree guint8 *sig = gw_test_cert_sign (f->client_cert, th, th_len, &len);

  f->n_sign++;
  if (!f->hold_signature)
    gw_relay_signed (relay, sig, len, NULL);
}

static void
on_secured (GwRelay *relay, gpointer data)
{
  ((Fixture *)data)->n_secured++;
}

static void
on_closed (GwRelay *relay, const GError *why, gpointer data)
{
  Fixture *f = data;

  f->n_closed++;
  g_clear_error (&f->why);
  f->why = why ? g_error_copy (why) : NULL;
}

static const GwRelayEvents events = { .sign = on_sign, .secured = on_secured, .closed = on_closed };

static void
set_up (Fixture *f, gconstpointer data)
{
  g_autofree char *dir = g_dir_make_tmp ("gw-relay-XXXXXX", NULL);
  g_autofree char *path = NULL, *key_path = g_build_filename (dir, "ca.key", NULL);
  struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t len = sizeof name;

  *f = (Fixture){ .plain = -1 };
  f->context = g_main_context_new ();
  f->clock = gw_clock_new_mock (SECOND, SECOND);
  f->loop = gw_loop_new (f->context, f->clock);
  f->resolver = g_object_new (fake_resolver_get_type (), NULL);
  g_resolver_set_default (G_RESOLVER (f->resolver));
  f->names = gw_names_new (f->loop);
  f->creds = gw_delegate_creds_new ();
  f->ca = gw_test_ca_new ("CA");
  f->server_cert = gw_test_cert_new (f->ca, GW_TEST_SERVER, "broker.example", -60, 3600);
  f->client_cert = gw_test_cert_new (f->ca, GW_TEST_CLIENT, "endpoint", -60, 3600);
  f->server = gw_test_tls_server_new (f->server_cert, f->ca);
  f->chain = gw_delegate_chain_new (&f->client_cert->der, 1, NULL);
  path = gw_test_cert_write (f->ca, dir, "ca");
  f->trust = gw_trust_load (path, NULL);
  g_assert_true (f->chain && f->trust);
  unlink (path);
  unlink (key_path);
  rmdir (dir);

  f->listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  g_assert_cmpint (bind (f->listener, (struct sockaddr *)&name, len), ==, 0);
  g_assert_cmpint (listen (f->listener, 8), ==, 0);
  g_assert_cmpint (getsockname (f->listener, (struct sockaddr *)&name, &len), ==, 0);
  f->port = ntohs (name.sin_port);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  gw_relay_free (f->relay);
  while (g_main_context_iteration (f->context, FALSE))
    ;
  if (f->plain >= 0)
    close (f->plain);
  close (f->listener);
  gw_names_free (f->names);
  while (g_main_context_iteration (f->context, FALSE))
    ;
  if (f->resolver->pending)
    fake_answer (f->resolver, NULL);
  while (g_main_context_iteration (f->context, FALSE))
    ;
  g_object_unref (f->resolver);
  gw_loop_free (f->loop);
  gw_clock_unref (f->clock);
  g_main_context_unref (f->context);
  gw_test_tls_server_free (f->server);
  gw_delegate_chain_unref (f->chain);
  gw_delegate_creds_free (f->creds);
  gw_trust_unref (f->trust);
  gw_test_cert_free (f->client_cert);
  gw_test_cert_free (f->server_cert);
  gw_test_cert_free (f->ca);
  g_clear_error (&f->why);
}

static GwRelay *
new_relay (Fixture *f, const char *host)
{
  GwRelayConfig config = {
    .host = host,
    .port = f->port,
    .creds = f->creds,
    .names = f->names,
    .trust = f->trust,
    .chain = f->chain,
    .connect_timeout = 30 * SECOND,
    .sign_timeout = 60 * SECOND,
    .max_packet = MAX_PACKET,
  };

  return gw_relay_new (f->loop, &config, &events, f);
}

/* A turn of everybody. */
static void
turn (Fixture *f)
{
  int fd;

  while (g_main_context_iteration (f->context, FALSE))
    ;
  fd = accept4 (f->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd >= 0)
    gw_test_tls_server_accept (f->server, fd);
  gw_test_tls_server_step (f->server);
}

#define UNTIL(f, condition)                                                                                  \
  for (guint turns_ = 0; !(condition); turns_++)                                                             \
    {                                                                                                        \
      g_assert_cmpuint (turns_, <, 1000000);                                                                 \
      turn (f);                                                                                              \
    }

static void
start (Fixture *f)
{
  f->relay = new_relay (f, "broker.example");
  gw_relay_start (f->relay);
  turn (f);
  fake_answer (f->resolver, "127.0.0.1");
}

static void
open_pipe (Fixture *f)
{
  int fds[2];

  start (f);
  UNTIL (f, f->n_secured && f->server->done);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
  f->plain = fds[0];
  gw_relay_attach (f->relay, fds[1]);
}

static void
expect_closed (Fixture *f, GwError code, const char *part)
{
  UNTIL (f, f->n_closed);
  g_assert_cmpuint (f->n_closed, ==, 1);
  g_assert_error (f->why, GW_ERROR, (gint)code);
  if (!strstr (f->why->message, part))
    g_error ("expected \"%s\" in \"%s\"", part, f->why->message);
}

/* ---- getting there ---- */

static void
test_name_unknown (Fixture *f, gconstpointer data)
{
  f->relay = new_relay (f, "broker.example");
  gw_relay_start (f->relay);
  turn (f);
  fake_answer (f->resolver, NULL);
  expect_closed (f, GW_ERROR_OFFLINE, "cannot be resolved: no such name");
}

static void
test_name_never (Fixture *f, gconstpointer data)
{
  f->relay = new_relay (f, "broker.example");
  gw_relay_start (f->relay);
  turn (f);
  gw_clock_advance (f->clock, 30 * SECOND);
  expect_closed (f, GW_ERROR_TIMEOUT, "resolving its name");
  /* Freed with the look-up still under way; its answer comes in tear_down. */
}

/* The next address is tried when one refuses. */
static void
test_several_addresses (Fixture *f, gconstpointer data)
{
  f->relay = new_relay (f, "broker.example");
  gw_relay_start (f->relay);
  turn (f);
  fake_answer (f->resolver, "127.0.0.2 ::1 127.0.0.1");
  UNTIL (f, f->n_secured);
  g_assert_cmpuint (f->n_closed, ==, 0);
}

static void
test_refused (Fixture *f, gconstpointer data)
{
  f->relay = new_relay (f, "broker.example");
  gw_relay_start (f->relay);
  turn (f);
  fake_answer (f->resolver, "127.0.0.2 127.0.0.3");
  expect_closed (f, GW_ERROR_OFFLINE, "Connection refused");
}

/* Connects, and then nothing: the whole way has one time limit. */
static void
test_silent (Fixture *f, gconstpointer data)
{
  f->relay = new_relay (f, "broker.example");
  gw_relay_start (f->relay);
  turn (f);
  gw_clock_advance (f->clock, 20 * SECOND);
  fake_answer (f->resolver, "127.0.0.1");
  for (guint i = 0; i < 10; i++)
    while (g_main_context_iteration (f->context, FALSE))
      ;
  gw_clock_advance (f->clock, 10 * SECOND - 1);
  while (g_main_context_iteration (f->context, FALSE))
    ;
  g_assert_cmpuint (f->n_closed, ==, 0);
  gw_clock_advance (f->clock, 1);
  expect_closed (f, GW_ERROR_TIMEOUT, "TLS handshake");
}

/* The wait for the signature does not count against the network's time. */
static void
test_signature_time (Fixture *f, gconstpointer data)
{
  f->hold_signature = TRUE;
  start (f);
  gw_clock_advance (f->clock, 29 * SECOND);
  UNTIL (f, f->n_sign);
  gw_clock_advance (f->clock, 60 * SECOND - 1);
  turn (f);
  g_assert_cmpuint (f->n_closed, ==, 0);
  gw_clock_advance (f->clock, 1);
  expect_closed (f, GW_ERROR_TIMEOUT, "did not sign");
}

/* Askers of one name share the look-up, and a fresh answer serves the next. */
static void
test_names_shared (Fixture *f, gconstpointer data)
{
  GwRelay *more[5];

  f->relay = new_relay (f, "broker.example");
  gw_relay_start (f->relay);
  for (guint i = 0; i < 5; i++)
    {
      more[i] = new_relay (f, "broker.example");
      gw_relay_start (more[i]);
    }
  turn (f);
  g_assert_cmpuint (f->resolver->n_lookups, ==, 1);
  gw_relay_free (more[4]); /* one gives up */
  fake_answer (f->resolver, "127.0.0.2");
  UNTIL (f, f->n_closed == 5);
  for (guint i = 0; i < 4; i++)
    gw_relay_free (more[i]);

  more[0] = new_relay (f, "broker.example");
  gw_relay_start (more[0]);
  UNTIL (f, f->n_closed == 6);
  g_assert_cmpuint (f->resolver->n_lookups, ==, 1);
  gw_relay_free (more[0]);

  gw_clock_advance (f->clock, GW_NAMES_KEEP);
  more[0] = new_relay (f, "broker.example");
  gw_relay_start (more[0]);
  turn (f);
  g_assert_cmpuint (f->resolver->n_lookups, ==, 2);
  gw_relay_free (more[0]);
}

/* ---- the pipe ---- */

/* CONNACK and then PUBLISH packets, the stream's n-th octets predictable. */
static GByteArray *
broker_stream (gsize n_packets, gsize body)
{
  static const guint8 connack[] = { 0x20, 2, 0, 0 };
  GByteArray *stream = g_byte_array_new ();

  g_byte_array_append (stream, connack, sizeof connack);
  for (gsize i = 0; i < n_packets; i++)
    {
      guint8 header[] = { 0x30, (guint8)(0x80 | (body & 0x7f)), (guint8)(0x80 | (body >> 7 & 0x7f)),
                          (guint8)(body >> 14) };
      gsize at = stream->len + sizeof header;

      g_byte_array_append (stream, header, sizeof header);
      g_byte_array_set_size (stream, (guint)(at + body));
      for (gsize j = 0; j < body; j++)
        stream->data[at + j] = (guint8)(i * 31 + j);
    }
  return stream;
}

static void
server_send_all (Fixture *f, const GByteArray *stream, gsize *sent)
{
  while (*sent < stream->len)
    {
      gssize n
          = gnutls_record_send (f->server->session, stream->data + *sent, MIN (16384, stream->len - *sent));

      if (n == GNUTLS_E_AGAIN)
        return;
      g_assert_cmpint (n, >, 0);
      *sent += (gsize)n;
    }
}

static void
test_down (Fixture *f, gconstpointer data)
{
  g_autoptr (GByteArray) stream = broker_stream (200, 40000);
  g_autoptr (GByteArray) got = g_byte_array_new ();
  guint8 buffer[65536];
  gsize sent = 0, stuck;
  gssize n;

  /* Nobody reads the plain side: the broker gets stuck long before its 8 MB are out. */
  open_pipe (f);
  do
    {
      stuck = sent;
      server_send_all (f, stream, &sent);
      for (guint i = 0; i < 50; i++)
        turn (f);
    }
  while (sent > stuck);
  g_assert_cmpuint (sent, <, stream->len);

  /* Somebody reads: all comes through, whole and in order. */
  while (got->len < stream->len)
    {
      server_send_all (f, stream, &sent);
      turn (f);
      n = recv (f->plain, buffer, sizeof buffer, 0);
      if (n > 0)
        g_byte_array_append (got, buffer, (guint)n);
    }
  g_assert_cmpmem (got->data, got->len, stream->data, stream->len);
  g_assert_cmpuint (f->n_closed, ==, 0);
}

static void
test_up (Fixture *f, gconstpointer data)
{
  g_autoptr (GByteArray) stream = broker_stream (200, 40000);
  g_autoptr (GByteArray) got = g_byte_array_new ();
  guint8 buffer[65536];
  gsize sent = 0, stuck;
  gssize n;

  open_pipe (f);
  do
    {
      stuck = sent;
      n = send (f->plain, stream->data + sent, stream->len - sent, MSG_NOSIGNAL);
      sent += n > 0 ? (gsize)n : 0;
      for (guint i = 0; i < 50; i++)
        turn (f);
    }
  while (sent > stuck);
  g_assert_cmpuint (sent, <, stream->len);

  while (got->len < stream->len)
    {
      n = send (f->plain, stream->data + sent, stream->len - sent, MSG_NOSIGNAL);
      sent += n > 0 ? (gsize)n : 0;
      turn (f);
      n = gnutls_record_recv (f->server->session, buffer, sizeof buffer);
      if (n > 0)
        g_byte_array_append (got, buffer, (guint)n);
    }
  g_assert_cmpmem (got->data, got->len, stream->data, stream->len);

  /* The plain side says its last word and closes: it arrives, and then a proper end. */
  g_assert_cmpint (send (f->plain, "bye", 3, 0), ==, 3);
  close (f->plain);
  f->plain = -1;
  UNTIL (f, f->n_closed);
  g_assert_no_error (f->why);
  g_assert_cmpint (gnutls_record_recv (f->server->session, buffer, sizeof buffer), ==, 3);
  g_assert_cmpint (gnutls_record_recv (f->server->session, buffer, sizeof buffer), ==, 0);
}

/* The broker's last words reach the plain side even when that is slow and the broker is gone long since.
 * @reset: it is gone in a way that breaks our writing first. */
static void
last_words (Fixture *f, gboolean reset)
{
  g_autoptr (GByteArray) stream = broker_stream (reset ? 7 : 40, 40000);
  g_autoptr (GByteArray) got = g_byte_array_new ();
  guint8 buffer[4096];
  gsize sent = 0;
  gssize n;

  open_pipe (f);
  while (sent < stream->len)
    {
      server_send_all (f, stream, &sent);
      turn (f);
      n = sent < stream->len ? recv (f->plain, buffer, sizeof buffer, 0) : 0;
      if (n > 0)
        g_byte_array_append (got, buffer, (guint)n);
    }
  if (reset)
    shutdown (f->server->fd, SHUT_RDWR); /* what comes now is answered by a reset */
  else
    gnutls_bye (f->server->session, GNUTLS_SHUT_WR);
  for (guint i = 0; i < 100; i++)
    {
      turn (f);
      if (i < 10)
        g_assert_cmpint (send (f->plain, "x", 1, MSG_NOSIGNAL), ==, 1);
    }
  g_assert_cmpuint (f->n_closed, ==, 0);
  while ((n = recv (f->plain, buffer, sizeof buffer, 0)) != 0)
    {
      if (n > 0)
        g_byte_array_append (got, buffer, (guint)n);
      turn (f);
    }
  g_assert_cmpmem (got->data, got->len, stream->data, stream->len);
  expect_closed (f, GW_ERROR_OFFLINE, "closed the connection");
}

static void
test_last_words (Fixture *f, gconstpointer data)
{
  last_words (f, FALSE);
}

static void
test_last_words_reset (Fixture *f, gconstpointer data)
{
  last_words (f, TRUE);
}

static void
test_reset (Fixture *f, gconstpointer data)
{
  struct linger now = { .l_onoff = 1 };

  open_pipe (f);
  setsockopt (f->server->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close (f->server->fd);
  f->server->fd = -1;
  expect_closed (f, GW_ERROR_OFFLINE, "without a word");
}

static void
test_alert (Fixture *f, gconstpointer data)
{
  open_pipe (f);
  gnutls_alert_send (f->server->session, GNUTLS_AL_FATAL, GNUTLS_A_CERTIFICATE_REVOKED);
  expect_closed (f, GW_ERROR_NOT_TRUSTED, "refuses the endpoint's certificate");
}

static void
test_not_mqtt (Fixture *f, gconstpointer data)
{
  open_pipe (f);
  g_assert_cmpint (gnutls_record_send (f->server->session, "HTTP/1.1 400 Bad Request\r\n", 26), ==, 26);
  expect_closed (f, GW_ERROR_LIMIT, "no MQTT packet");
  /* None of it was passed on. */
  g_assert_cmpint (recv (f->plain, &(char){ 0 }, 1, 0), ==, 0);
}

/* Freed in every state. */
static void
test_free_anywhere (Fixture *f, gconstpointer data)
{
  for (guint steps = 0; steps < 12; steps++)
    {
      f->hold_signature = steps & 1;
      f->relay = new_relay (f, "broker.example");
      gw_relay_start (f->relay);
      for (guint i = 0; i < steps; i++)
        {
          turn (f);
          if (f->resolver->pending)
            fake_answer (f->resolver, "127.0.0.1");
        }
      g_clear_pointer (&f->relay, gw_relay_free);
    }
  g_assert_cmpuint (f->n_secured, >, 0);
  g_assert_cmpuint (f->n_closed, ==, 0);
}

#define ADD(path, func) g_test_add (path, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("/relay/name/unknown", test_name_unknown);
  ADD ("/relay/name/never", test_name_never);
  ADD ("/relay/name/several-addresses", test_several_addresses);
  ADD ("/relay/name/shared", test_names_shared);
  ADD ("/relay/refused", test_refused);
  ADD ("/relay/silent", test_silent);
  ADD ("/relay/signature-time", test_signature_time);
  ADD ("/relay/pipe/down", test_down);
  ADD ("/relay/pipe/up", test_up);
  ADD ("/relay/pipe/last-words", test_last_words);
  ADD ("/relay/pipe/last-words-reset", test_last_words_reset);
  ADD ("/relay/pipe/reset", test_reset);
  ADD ("/relay/pipe/alert", test_alert);
  ADD ("/relay/pipe/not-mqtt", test_not_mqtt);
  ADD ("/relay/free-anywhere", test_free_anywhere);
  return g_test_run ();
}
