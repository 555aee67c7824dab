/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <gnutls/gnutls.h>

#include "gw-loop.h"

G_BEGIN_DECLS

/*
 * A channel is one DTLS 1.2 session with an endpoint (RFC 6347), the gateway being the server. It proves which key the
 * endpoint holds and carries SMP messages; it knows nothing of buses, inventories or what the messages mean.
 */

/* Longest datagram that a channel takes or makes, octets. */
#define GW_CHANNEL_DATAGRAM_MAX 2048
/* Shortest datagram size that a handshake is tried with. */
#define GW_CHANNEL_DATAGRAM_MIN 128
/* Datagrams that wait for their handshake step; more are dropped, the peer sends them again. */
#define GW_CHANNEL_INBOX_MAX 16
/* A handshake that takes longer is given up: this, or that many of the first time-out for a flight. */
#define GW_CHANNEL_HANDSHAKE_USEC (60 * G_USEC_PER_SEC)
#define GW_CHANNEL_HANDSHAKE_FLIGHTS 16
/* Octets of a DER SubjectPublicKeyInfo of an uncompressed P-256 key on the named curve (RFC 5480). */
#define GW_SPKI_P256_LEN 91

typedef struct _GwChannel GwChannel;
typedef struct _GwChannelIdentity GwChannelIdentity;

/* What a channel tells its owner. Inside any of these the owner may call gw_channel_close(). */
typedef struct
{
  /* A datagram for the peer; @datagram is borrowed. */
  void (*send) (const guint8 *datagram, gsize len, gpointer data);
  /* The peer has proven its key: gw_channel_get_key_id() and the binding are valid from now on. */
  void (*up) (GwChannel *self, gpointer data);
  /* A decrypted message; borrowed. */
  void (*message) (GwChannel *self, const guint8 *message, gsize len, gpointer data);
  /* The session has ended by itself. The last event; the owner still has to call gw_channel_close(). */
  void (*closed) (GwChannel *self, const GError *error, gpointer data);
} GwChannelEvents;

/*
 * The gateway's own identity, shared by all channels; a reference each. @credentials (the gateway's certificate and key) are borrowed
 * and must outlive the last channel that uses them.
 */
GwChannelIdentity *gw_channel_identity_new (gnutls_certificate_credentials_t credentials, GError **error);
GwChannelIdentity *gw_channel_identity_ref (GwChannelIdentity *self);
void gw_channel_identity_unref (GwChannelIdentity *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwChannelIdentity, gw_channel_identity_unref)

/*
 * A channel that waits for the peer's ClientHello. @mtu is the link's largest datagram; @frame_msec the time that a full one takes on
 * the wire, from which the retransmission time-out is made (twice that, at least 100 ms).
 */
GwChannel *gw_channel_new (GwLoop *loop,
                           GwChannelIdentity *identity,
                           guint mtu,
                           guint frame_msec,
                           const GwChannelEvents *events,
                           gpointer data);
/* What a full frame takes by now; of the flights from here on. */
void gw_channel_set_frame_msec (GwChannel *self, guint frame_msec);
/* Ends the session without another event, with a close_notify if @notify; drops the owner's reference. */
void gw_channel_close (GwChannel *self, gboolean notify);

/* A DTLS datagram from the peer. */
void gw_channel_input (GwChannel *self, const guint8 *datagram, gsize len);
/* FALSE if the channel is not up, or @len is over gw_channel_get_message_max(). */
gboolean gw_channel_send (GwChannel *self, const guint8 *message, gsize len);

/* Octets of the longest message that fits into one record on this link. */
gsize gw_channel_get_message_max (GwChannel *self);
/* SHA-256 of the peer's SubjectPublicKeyInfo, 32 octets. Only when up. */
const guint8 *gw_channel_get_key_id (GwChannel *self);
/* RFC 9266 tls-exporter binding, 32 octets. Only when up. */
const guint8 *gw_channel_get_binding (GwChannel *self);

/*
 * If @datagram begins with a ClientHello in the clear (epoch 0), its 32 octets of client random; else NULL. Tells a rebooted
 * peer's new session from records of the present one (RFC 6347, section 4.2.8). Borrowed from @datagram.
 */
const guint8 *gw_channel_peek_client_hello (const guint8 *datagram, gsize len);

G_END_DECLS
