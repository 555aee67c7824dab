/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The endpoint's end of the DTLS 1.2 session: mbedTLS as client, without sockets, threads or sleeping.
 *
 * Datagrams are fed in, gw_ep_dtls_run() says what they amount to, one event a call. Retransmission and its
 * deadline are inside; whether and when a handshake starts is the core's. Rules (doc/protocol.md, "DTLS"):
 * ECDHE-ECDSA on P-256 with AES-128-GCM, extended master secret required (RFC 7627; the handshake ends before
 * anything is signed), no resumption, no tickets, no renegotiation. An unowned endpoint accepts any gateway
 * certificate; an owned one only a chain to the owner CA whose leaf carries EKU serverAuth, whatever its
 * names and dates.
 *
 * Ownership: platform, keys and stats are borrowed and outlive this. mbedTLS allocates the session's buffers;
 * gw_ep_dtls_free() gives them back. */

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/ssl.h>

#include "gw-ep.h"
#include "gw-keys.h"
#include "gw-protocol.h"

/* A handshake that the server answered, but that does not end within this, is begun again. */
#define GW_EP_DTLS_HANDSHAKE_MAX_MS 30000u

typedef enum
{
  GW_EP_DTLS_IDLE,   /* nothing (more) to do before the next datagram or deadline */
  GW_EP_DTLS_UP,     /* the session is proven by both sides */
  GW_EP_DTLS_RECORD, /* one message from the gateway */
  GW_EP_DTLS_DOWN,   /* the handshake or the session has ended; stopped already */
} GwEpDtlsEvent;

typedef struct
{
  const GwEpPlatform *platform;
  GwKeys *keys;
  GwEpStats *stats;
  mbedtls_ctr_drbg_context drbg;
  mbedtls_ssl_config conf;
  mbedtls_ssl_context ssl;
  mbedtls_x509_crt own_cert;
  mbedtls_x509_crt anchor;
  mbedtls_pk_context own_key;
  bool running;     /* a handshake or a session exists */
  bool established; /* a session exists */
  bool heard;       /* the server answered this handshake */
  bool silent;      /* the last handshake ended without an answer: stay at the longest interval */
  bool has_binding;
  uint8_t binding[GW_IDENT_BINDING_LEN];
  const uint8_t *in; /* the datagram to be read, borrowed during a feed */
  size_t in_len;
  uint64_t intermediate_at, final_at; /* mbedTLS's timer; final_at GW_EP_NEVER = none */
  uint64_t give_up_at;
} GwEpDtls;

/* Sets everything up for the keys' certificate; nothing is sent. GW_E_CRYPTO, GW_E_IO (no entropy).
 * gw_ep_dtls_free() must follow, after an error too. */
int gw_ep_dtls_init (
    GwEpDtls *self, const GwEpPlatform *platform, GwKeys *keys, GwEpStats *stats, bool offer_ccm8);
void gw_ep_dtls_free (GwEpDtls *self);

/* Largest datagram and time of a full frame, before gw_ep_dtls_start(). */
void gw_ep_dtls_set_link (GwEpDtls *self, uint16_t mtu, uint16_t frame_ms);

/* The owner CA's certificate that the next handshake requires; len 0 = unowned. GW_E_CRYPTO: no certificate
 * of a CA with a P-256 key; then nothing changed. `spki_hash` (may be NULL) gets SHA-256 of its public key.
 */
int gw_ep_dtls_set_anchor (GwEpDtls *self, const uint8_t *der, size_t len, uint8_t spki_hash[GW_SHA256_LEN]);

/* Whether the gateway of the present session chains to this CA by the rules of an owned endpoint.
 * GW_E_CRYPTO: not such a CA; GW_E_DENIED: the gateway does not. */
int gw_ep_dtls_check_anchor (GwEpDtls *self, const uint8_t *der, size_t len);

/* Ends what there is, without a word, and begins a handshake; the ClientHello leaves with the next run. */
void gw_ep_dtls_start (GwEpDtls *self);
/* Sends the ClientHello again with the next run, if it is still unanswered. */
void gw_ep_dtls_hurry (GwEpDtls *self);
void gw_ep_dtls_stop (GwEpDtls *self);
/* Says good-bye (close_notify); gw_ep_dtls_stop() is still to follow. */
void gw_ep_dtls_close (GwEpDtls *self);

/* Feeds one datagram; it is borrowed until gw_ep_dtls_run() has returned GW_EP_DTLS_IDLE or _DOWN. */
void gw_ep_dtls_feed (GwEpDtls *self, const uint8_t *datagram, size_t len);

/* Goes on as far as possible. _RECORD: *len octets are in buf (GW_EP_MTU_MAX octets of room). Call again
 * until _IDLE or _DOWN. */
GwEpDtlsEvent gw_ep_dtls_run (GwEpDtls *self, uint8_t *buf, size_t cap, size_t *len);
/* When gw_ep_dtls_run() is due without input; GW_EP_NEVER = not at all. */
uint64_t gw_ep_dtls_deadline (const GwEpDtls *self);

/* Sends one message as one record. GW_E_STATE without a session, GW_E_SPACE if it is too long. */
int gw_ep_dtls_send (GwEpDtls *self, const uint8_t *data, size_t len);
/* Longest message that gw_ep_dtls_send() takes. */
size_t gw_ep_dtls_message_max (const GwEpDtls *self);

/* The RFC 9266 binding of a TLS 1.2 session with SHA-256: the RFC 5705 exporter with a context that is
 * present and empty. `master` has 48 octets. */
int gw_ep_dtls_exporter (const uint8_t master[48],
                         const uint8_t client_random[32],
                         const uint8_t server_random[32],
                         uint8_t binding[GW_IDENT_BINDING_LEN]);

/* Random numbers of the endpoint's own generator. */
int gw_ep_dtls_random (GwEpDtls *self, void *out, size_t len);
/* `ms` changed by up to 25 % either way. */
uint32_t gw_ep_dtls_jitter (GwEpDtls *self, uint32_t ms);
