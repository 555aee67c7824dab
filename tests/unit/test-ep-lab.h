/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A line for the endpoint's unit tests: one GwEp on a TestChip, one GnuTLS DTLS server as the gateway, two
 * queues of datagrams between them and a clock that only the test moves: GnuTLS gets it too, where
 * test-ep-clock.c is linked in. Datagrams may be dropped by a filter. Everything runs in
 * the test's thread; nothing waits for real time. */

#include <gnutls/dtls.h>
#include <gnutls/gnutls.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>

#include "gw-ep.h"
#include "gw-smp-codec.h"
#include "test-chip.h"

#define LAB_PRIORITY                                                                                         \
  "NONE:+VERS-DTLS1.2:+AES-128-GCM:+AES-128-CCM-8:+AEAD:+ECDHE-ECDSA:+SIGN-ECDSA-SHA256:"                    \
  "+GROUP-SECP256R1:+COMP-NULL:+CTYPE-X509"

/* A certificate with its key. */
typedef struct
{
  gnutls_x509_privkey_t key;
  gnutls_x509_crt_t crt;
  GBytes *der;
} LabCert;

typedef enum
{
  LAB_CERT_CA = 1,
  LAB_CERT_SERVER_AUTH = 2,
  LAB_CERT_CLIENT_AUTH = 4,
  LAB_CERT_ANY_USE = 8,
  LAB_CERT_EXPIRED = 16,
} LabCertFlags;

extern guint64 lab_clock_ms; /* for test-ep-clock.c */

typedef struct Lab Lab;
/* Whether the datagram gets through. */
typedef gboolean (*LabFilter) (Lab *lab, gboolean to_gateway, const guint8 *data, gsize len);

struct Lab
{
  guint64 now;
  LabFilter filter;
  guint filter_count;

  TestChip chip;
  GwEpConfig config;
  GwEp *ep;
  GwEpState state; /* last told by state_changed */
  guint resets, identified_ms;
  gboolean button;
  guint32 sign_delay;
  GwEpValue values[8]; /* of the points */
  gboolean has_value[8];
  guint reads, writes;
  int write_result;

  GQueue to_gateway, to_endpoint; /* of GBytes */
  GPtrArray *clear;               /* GBytes: SMP datagrams in the clear that the gateway got */

  LabCert owner_ca, gateway_cert; /* what the gateway shows */
  gboolean gateway_alive;         /* FALSE: datagrams to it fall on the floor */
  const char *priority;
  gnutls_certificate_credentials_t credentials;
  gnutls_session_t server; /* NULL until a ClientHello comes */
  gboolean server_up;
  gint server_error;
  guint64 server_due;      /* its retransmission */
  gboolean server_starved; /* it asked for a datagram in vain */
  guint server_sessions;
  guint8 client_random[32];
  guint8 next_seq;
  gint64 endpoint_ns; /* of CPU in the endpoint, so far */
  GPtrArray *records; /* GBytes: what the session brought, not yet looked at */
};

/* A chip with cells from the seed, its gateway with a certificate of its owner's CA, the power off. */
Lab *lab_new (guint64 seed);
void lab_free (Lab *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Lab, lab_free)

LabCert lab_cert_new (const char *name, LabCertFlags flags, const LabCert *issuer);
void lab_cert_clear (LabCert *self);
/* The gateway shows this certificate in the sessions from now on; the lab takes it over. */
void lab_set_gateway_cert (Lab *self, LabCert cert);

/* Delivers datagrams both ways, at the present time, until none is left. */
void lab_pump (Lab *self);
/* Moves the clock by `ms`, stopping at each deadline of the endpoint to let it work. */
void lab_advance (Lab *self, guint64 ms);
/* Power up and let the session come about; asserts that it does. */
void lab_connect (Lab *self);
/* The gateway forgets its session (and a candidate) without a word. */
void lab_gateway_restart (Lab *self);
void lab_power_cycle (Lab *self);

/* A datagram from the gateway in the clear, then pump. */
void lab_send_clear (Lab *self, const void *data, gsize len);

/* One request inside the session with the next number, pumped; the answer's body, or NULL if none came. */
GBytes *lab_request (Lab *self, guint8 op, guint16 group, guint8 command, GBytes *body);
/* The same, by number and without looking for the answer. */
void lab_send_request (Lab *self, guint8 op, guint16 group, guint8 command, guint8 seq, GBytes *body);
/* The next message that the gateway got, NULL if none. */
GBytes *lab_take_record (Lab *self);
/* Sends any message inside the session and pumps. */
void lab_send_record (Lab *self, const void *data, gsize len);
/* Answers a request of the endpoint with a body. */
void lab_answer (Lab *self, const GwSmpMessage *req, GBytes *body);
/* Acknowledges a report or event, as one that is stored. */
void lab_ack (Lab *self, GBytes *record);
/* The result of a body: 0, an rc, or 0x10000 | n for an error of the group. -1: not a body. */
int lab_result (GBytes *body);

/* The body of a message by its encoder: `code` writes to w. */
#define LAB_BODY(code)                                                                                       \
  ({                                                                                                         \
    guint8 buf_[2048];                                                                                       \
    GwCborWriter w_;                                                                                         \
    GwCborWriter *w = &w_;                                                                                   \
    gw_cbor_writer_init (w, buf_, sizeof buf_);                                                              \
    code;                                                                                                    \
    lab_written (w);                                                                                         \
  })
GBytes *lab_written (GwCborWriter *w);
GBytes *lab_empty (void);
GwBytes lab_bytes (GBytes *bytes);

/* Sends a CA certificate as the anchor; the SHA-256 of its octets. Asserts that it is taken. */
void lab_send_anchor (Lab *self, GBytes *der, guint8 sha[32]);
void lab_sha256 (GBytes *data, guint8 sha[32]);
/* Goes through anchor and own; asserts success. */
void lab_own (Lab *self);
