/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * DTLS server session on top of GnuTLS, without threads and without blocking. GnuTLS pulls from an inbox of whole datagrams and
 * pushes into an outbox that gathers handshake records up to the link's datagram size (GnuTLS sends one datagram a handshake message,
 * which would cost a slow bus dearly). Handshake steps cost a millisecond of CPU and so go through the loop's capped run
 * queue; records of a session that is up are handled at once.
 *
 * Ownership: reference counted inside, because the owner may close a channel in the middle of its own callback. The owner holds one
 * reference, given back by gw_channel_close().
 */

#include "config.h"

#include "gw-channel.h"

#include <errno.h>
#include <string.h>

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/dtls.h>
#include <gnutls/x509.h>

#include "gw-error.h"
#include "gw-smp-codec.h"

/* One suite, one group, one signature: what the endpoint's library is built with. No tickets, no renegotiation. */
#define PRIORITY                                                                                                        \
  "NONE:+VERS-DTLS1.2:+AES-128-GCM:+AEAD:+ECDHE-ECDSA:+SIGN-ECDSA-SHA256:+GROUP-SECP256R1:+COMP-NULL:+CTYPE-X509"

#define RETRANSMIT_FLOOR_MSEC 100
/* An endpoint's certificate is self-signed and some 300 octets. */
#define PEER_CERTIFICATE_MAX 2048
/* GnuTLS sets aside what a peer says that its message will have, and would believe 128 KiB. */
#define HANDSHAKE_MESSAGE_MAX 8192

/* DTLS record and handshake layout, RFC 6347 section 4.1 and 4.2.2. */
#define RECORD_HEADER 13
#define RECORD_TYPE_HANDSHAKE 22
#define HANDSHAKE_HEADER 12
#define HANDSHAKE_CLIENT_HELLO 1
#define FRAGMENT_OFFSET_AT 6
#define FRAGMENT_OFFSET_LEN 3
#define RANDOM_LEN 32

struct _GwChannelIdentity
{
  gnutls_certificate_credentials_t credentials;
  gnutls_priority_t priority;
};

struct _GwChannel
{
  gnutls_session_t tls;
  GwChannelIdentity *identity;
  const GwChannelEvents *events;
  gpointer data;
  GwLoop *loop;
  GwTimer retransmit;
  GwTimer deadline;
  GwStep step;
  GQueue inbox; /* GBytes */
  gboolean starved; /* GnuTLS has asked for a datagram in vain: all that came is used up */
  guint8 outbox[GW_CHANNEL_DATAGRAM_MAX];
  gsize outbox_len;
  guint mtu;
  guint retransmit_msec;
  gboolean up;
  gboolean ended; /* closed by either side: no event any more */
  gboolean disowned; /* gw_channel_close(): the owner may be gone */
  guint8 key_id[32];
  guint8 spki[GW_SPKI_P256_LEN];
  guint8 binding[32];
};

static void
set_tls_error (GError **error, const char *what, int code)
{
  g_set_error (error, GW_ERROR, GW_ERROR_FAILED, "%s: %s", what, gnutls_strerror (code));
}

GwChannelIdentity *
gw_channel_identity_new (gnutls_certificate_credentials_t credentials, GError **error)
{
  g_autoptr (GwChannelIdentity) self = g_rc_box_new0 (GwChannelIdentity);
  int r = gnutls_priority_init (&self->priority, PRIORITY, NULL);

  if (r < 0)
    {
      set_tls_error (error, "cannot set up the gateway's identity", r);
      return NULL;
    }
  self->credentials = credentials;
  return g_steal_pointer (&self);
}

GwChannelIdentity *
gw_channel_identity_ref (GwChannelIdentity *self)
{
  return g_rc_box_acquire (self);
}

static void
identity_clear (GwChannelIdentity *self)
{
  if (self->priority != NULL)
    gnutls_priority_deinit (self->priority);
}

void
gw_channel_identity_unref (GwChannelIdentity *self)
{
  g_rc_box_release_full (self, (GDestroyNotify) identity_clear);
}

static void
channel_clear (GwChannel *self)
{
  gw_timer_disarm (&self->retransmit);
  gw_timer_disarm (&self->deadline);
  gw_step_cancel (&self->step);
  g_queue_clear_full (&self->inbox, (GDestroyNotify) g_bytes_unref);
  gnutls_deinit (self->tls);
  gw_channel_identity_unref (self->identity);
}

static void
channel_unref (GwChannel *self)
{
  g_rc_box_release_full (self, (GDestroyNotify) channel_clear);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwChannel, channel_unref)

static void
outbox_flush (GwChannel *self)
{
  gsize len = self->outbox_len;

  self->outbox_len = 0;
  if (len > 0 && !self->disowned)
    self->events->send (self->outbox, len, self->data);
}

static ssize_t
on_push (gnutls_transport_ptr_t ptr, const void *record, size_t len)
{
  GwChannel *self = ptr;

  if (len > sizeof self->outbox)
    {
      gnutls_transport_set_errno (self->tls, EMSGSIZE);
      return -1;
    }
  if (self->outbox_len + len > self->mtu)
    outbox_flush (self);
  memcpy (self->outbox + self->outbox_len, record, len);
  self->outbox_len += len;
  return (ssize_t) len;
}

static ssize_t
on_pull (gnutls_transport_ptr_t ptr, void *buffer, size_t len)
{
  GwChannel *self = ptr;
  g_autoptr (GBytes) datagram = g_queue_pop_head (&self->inbox);
  gconstpointer octets;
  gsize size;

  if (datagram == NULL)
    {
      self->starved = TRUE;
      gnutls_transport_set_errno (self->tls, EAGAIN);
      return -1;
    }
  octets = g_bytes_get_data (datagram, &size);
  size = MIN (size, len);
  memcpy (buffer, octets, size);
  return (ssize_t) size;
}

static int
on_pull_timeout (gnutls_transport_ptr_t ptr, unsigned int msec)
{
  GwChannel *self = ptr;

  self->starved = self->inbox.length == 0;
  return self->inbox.length > 0;
}

/* Ends the session by itself: tells the owner once. */
static void
channel_fail (GwChannel *self, const GError *error)
{
  if (self->ended)
    return;
  self->ended = TRUE;
  self->up = FALSE;
  gw_timer_disarm (&self->retransmit);
  gw_timer_disarm (&self->deadline);
  gw_step_cancel (&self->step);
  outbox_flush (self);
  self->events->closed (self, error, self->data);
}

static gboolean
take_public_key (GwChannel *self, const gnutls_datum_t *der, GError **error)
{
  /* DER of SEQUENCE { SEQUENCE { ecPublicKey, prime256v1 }, BIT STRING { 04 ... } }, RFC 5480. */
  static const guint8 head[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                                 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04 };
  gnutls_x509_crt_t certificate;
  gnutls_pubkey_t key;
  gsize len = sizeof self->spki;
  int r;

  if (der->size > PEER_CERTIFICATE_MAX)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_LIMIT, "the endpoint's certificate has %u octets, at most %d are taken", der->size,
                   PEER_CERTIFICATE_MAX);
      return FALSE;
    }
  gnutls_x509_crt_init (&certificate);
  gnutls_pubkey_init (&key);
  r = gnutls_x509_crt_import (certificate, der, GNUTLS_X509_FMT_DER);
  if (r == 0)
    r = gnutls_pubkey_import_x509 (key, certificate, 0);
  if (r == 0)
    r = gnutls_pubkey_export (key, GNUTLS_X509_FMT_DER, self->spki, &len);
  gnutls_pubkey_deinit (key);
  gnutls_x509_crt_deinit (certificate);
  /* A key that does not even fit is of another kind. */
  if (r < 0 && r != GNUTLS_E_SHORT_MEMORY_BUFFER)
    {
      set_tls_error (error, "the endpoint's certificate cannot be read", r);
      return FALSE;
    }
  if (r < 0 || len != sizeof self->spki || memcmp (self->spki, head, sizeof head) != 0)
    {
      g_set_error_literal (error, GW_ERROR, GW_ERROR_NOT_TRUSTED, "the endpoint's key is not an uncompressed P-256 key");
      return FALSE;
    }
  r = gnutls_hash_fast (GNUTLS_DIG_SHA256, self->spki, len, self->key_id);
  if (r < 0)
    set_tls_error (error, "no SHA-256", r);
  return r == 0;
}

/* What a finished handshake has to show before anything is believed. */
static gboolean
check_session (GwChannel *self, GError **error)
{
  gnutls_datum_t binding = { NULL, 0 };
  const gnutls_datum_t *peers;
  guint n = 0;
  int r;

  if (!gnutls_session_ext_master_secret_status (self->tls))
    {
      g_set_error_literal (error, GW_ERROR, GW_ERROR_NOT_TRUSTED,
                           "the endpoint did not use the extended master secret (RFC 7627): its library must enable it");
      return FALSE;
    }
  peers = gnutls_certificate_get_peers (self->tls, &n);
  if (peers == NULL || n == 0)
    {
      g_set_error_literal (error, GW_ERROR, GW_ERROR_NOT_TRUSTED, "the endpoint showed no certificate");
      return FALSE;
    }
  if (!take_public_key (self, &peers[0], error))
    return FALSE;
  r = gnutls_session_channel_binding (self->tls, GNUTLS_CB_TLS_EXPORTER, &binding);
  if (r < 0 || binding.size != sizeof self->binding)
    {
      gnutls_free (binding.data);
      set_tls_error (error, "no channel binding", r);
      return FALSE;
    }
  memcpy (self->binding, binding.data, sizeof self->binding);
  gnutls_free (binding.data);
  return TRUE;
}

static gint64
handshake_usec (GwChannel *self)
{
  return MAX (GW_CHANNEL_HANDSHAKE_USEC, (gint64) GW_CHANNEL_HANDSHAKE_FLIGHTS * self->retransmit_msec * 1000);
}

/* GnuTLS takes them for the flight that comes next. */
static void
set_timeouts (GwChannel *self)
{
  gnutls_dtls_set_timeouts (self->tls, self->retransmit_msec, (guint) (handshake_usec (self) / 1000));
}

static void
arm_retransmit (GwChannel *self)
{
  /* gnutls_dtls_get_timeout() says 0 while the peer owes the rest of its flight; asking again at once would spin. */
  guint msec = MAX (gnutls_dtls_get_timeout (self->tls), RETRANSMIT_FLOOR_MSEC);

  gw_timer_arm (&self->retransmit, (gint64) msec * 1000);
}

static void
handshake_step (gpointer data)
{
  g_autoptr (GwChannel) self = g_rc_box_acquire ((GwChannel *) data);
  g_autoptr (GError) error = NULL;
  int r;

  if (self->ended || self->up)
    return;
  set_timeouts (self);
  do
    {
      self->starved = FALSE;
      r = gnutls_handshake (self->tls);
    }
  while ((r < 0 && !gnutls_error_is_fatal (r) && r != GNUTLS_E_AGAIN && r != GNUTLS_E_INTERRUPTED)
         || (r == GNUTLS_E_AGAIN && !self->starved));
  outbox_flush (self);
  if (self->ended)
    return;
  if (r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED)
    {
      arm_retransmit (self);
      return;
    }
  if (r < 0)
    {
      gnutls_alert_send_appropriate (self->tls, r);
      if (r == GNUTLS_E_FATAL_ALERT_RECEIVED)
        g_set_error (&error, GW_ERROR, GW_ERROR_NOT_TRUSTED, "the endpoint refused the DTLS handshake: %s",
                     gnutls_alert_get_name (gnutls_alert_get (self->tls)) ?: "unknown alert");
      else
        set_tls_error (&error, "the DTLS handshake failed", r);
      channel_fail (self, error);
      return;
    }
  gw_timer_disarm (&self->retransmit);
  gw_timer_disarm (&self->deadline);
  if (!check_session (self, &error))
    {
      gnutls_alert_send (self->tls, GNUTLS_AL_FATAL, GNUTLS_A_HANDSHAKE_FAILURE);
      channel_fail (self, error);
      return;
    }
  self->up = TRUE;
  self->events->up (self, self->data);
}

static void
receive_records (GwChannel *self)
{
  guint8 message[GW_CHANNEL_DATAGRAM_MAX];
  g_autoptr (GError) error = NULL;
  /* A datagram holds several records; empty and refused ones return without a message. */
  guint budget = 4 * GW_CHANNEL_INBOX_MAX;

  while (!self->ended && budget-- > 0)
    {
      ssize_t n;

      self->starved = FALSE;
      n = gnutls_record_recv (self->tls, message, sizeof message);

      outbox_flush (self);
      if (n > 0)
        {
          self->events->message (self, message, (gsize) n, self->data);
          continue;
        }
      if (n == GNUTLS_E_AGAIN && self->starved)
        return;
      if (n == GNUTLS_E_REHANDSHAKE)
        {
          gnutls_alert_send (self->tls, GNUTLS_AL_WARNING, GNUTLS_A_NO_RENEGOTIATION);
          outbox_flush (self);
          continue;
        }
      if (n < 0 && !gnutls_error_is_fatal ((int) n))
        continue;
      if (n == 0)
        g_set_error_literal (&error, GW_ERROR, GW_ERROR_OFFLINE, "the endpoint closed the session");
      else
        set_tls_error (&error, "the DTLS session broke", (int) n);
      channel_fail (self, error);
      return;
    }
}

static void
on_retransmit (gpointer data)
{
  GwChannel *self = data;

  gw_step_queue (&self->step);
}

static void
on_deadline (gpointer data)
{
  g_autoptr (GwChannel) self = g_rc_box_acquire ((GwChannel *) data);
  g_autoptr (GError) error = NULL;

  g_set_error_literal (&error, GW_ERROR, GW_ERROR_TIMEOUT, "the DTLS handshake was not finished in time");
  channel_fail (self, error);
}

GwChannel *
gw_channel_new (GwLoop *loop,
                GwChannelIdentity *identity,
                guint mtu,
                guint frame_msec,
                const GwChannelEvents *events,
                gpointer data)
{
  GwChannel *self = g_rc_box_new0 (GwChannel);

  self->loop = loop;
  self->identity = gw_channel_identity_ref (identity);
  self->events = events;
  self->data = data;
  self->mtu = CLAMP (mtu, GW_CHANNEL_DATAGRAM_MIN, GW_CHANNEL_DATAGRAM_MAX);
  gw_channel_set_frame_msec (self, frame_msec);
  g_queue_init (&self->inbox);
  gw_timer_init (&self->retransmit, loop, on_retransmit, self);
  gw_timer_init (&self->deadline, loop, on_deadline, self);
  gw_step_init (&self->step, loop, handshake_step, self);

  gnutls_init (&self->tls, GNUTLS_SERVER | GNUTLS_DATAGRAM | GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS | GNUTLS_NO_SIGNAL);
  gnutls_priority_set (self->tls, identity->priority);
  gnutls_credentials_set (self->tls, GNUTLS_CRD_CERTIFICATE, identity->credentials);
  gnutls_certificate_server_set_request (self->tls, GNUTLS_CERT_REQUIRE);
  /* An empty list of names: endpoints have one certificate, and the list costs bus time. */
  gnutls_certificate_send_x509_rdn_sequence (self->tls, 1);
  gnutls_handshake_set_max_packet_length (self->tls, HANDSHAKE_MESSAGE_MAX);
  gnutls_dtls_set_mtu (self->tls, self->mtu);
  set_timeouts (self);
  gnutls_transport_set_ptr (self->tls, self);
  gnutls_transport_set_push_function (self->tls, on_push);
  gnutls_transport_set_pull_function (self->tls, on_pull);
  gnutls_transport_set_pull_timeout_function (self->tls, on_pull_timeout);
  gw_timer_arm (&self->deadline, handshake_usec (self));
  return self;
}

void
gw_channel_set_frame_msec (GwChannel *self, guint frame_msec)
{
  self->retransmit_msec = MAX (2 * frame_msec, RETRANSMIT_FLOOR_MSEC);
}

void
gw_channel_close (GwChannel *self, gboolean notify)
{
  if (!self->ended)
    {
      if (notify && self->up)
        {
          gnutls_bye (self->tls, GNUTLS_SHUT_WR);
          outbox_flush (self);
        }
      self->ended = TRUE;
      self->up = FALSE;
    }
  self->disowned = TRUE;
  gw_timer_disarm (&self->retransmit);
  gw_timer_disarm (&self->deadline);
  gw_step_cancel (&self->step);
  channel_unref (self);
}

void
gw_channel_input (GwChannel *self, const guint8 *datagram, gsize len)
{
  g_autoptr (GwChannel) hold = g_rc_box_acquire (self);

  if (self->ended || len > GW_CHANNEL_DATAGRAM_MAX || self->inbox.length >= GW_CHANNEL_INBOX_MAX)
    return;
  len = gw_datagram_whole_records (datagram, len);
  if (len == 0)
    return;
  g_queue_push_tail (&self->inbox, g_bytes_new (datagram, len));
  if (self->up)
    receive_records (self);
  else
    gw_step_queue (&self->step);
}

gboolean
gw_channel_send (GwChannel *self, const guint8 *message, gsize len)
{
  g_autoptr (GwChannel) hold = g_rc_box_acquire (self);
  ssize_t n;

  if (!self->up || len > gw_channel_get_message_max (self))
    return FALSE;
  n = gnutls_record_send (self->tls, message, len);
  outbox_flush (self);
  return n == (ssize_t) len;
}

gsize
gw_channel_get_message_max (GwChannel *self)
{
  return gnutls_dtls_get_data_mtu (self->tls);
}

const guint8 *
gw_channel_get_key_id (GwChannel *self)
{
  return self->key_id;
}

const guint8 *
gw_channel_get_binding (GwChannel *self)
{
  return self->binding;
}

const guint8 *
gw_channel_peek_client_hello (const guint8 *datagram, gsize len)
{
  gsize random_at = RECORD_HEADER + HANDSHAKE_HEADER + 2;

  if (len < random_at + RANDOM_LEN || datagram[0] != RECORD_TYPE_HANDSHAKE || datagram[3] != 0 || datagram[4] != 0
      || datagram[RECORD_HEADER] != HANDSHAKE_CLIENT_HELLO)
    return NULL;
  /* The later fragments of one hold no random, and belong to whom the first did. */
  for (guint i = 0; i < FRAGMENT_OFFSET_LEN; i++)
    if (datagram[RECORD_HEADER + FRAGMENT_OFFSET_AT + i] != 0)
      return NULL;
  return datagram + random_at;
}
