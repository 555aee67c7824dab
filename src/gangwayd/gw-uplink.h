// SPDX-License-Identifier: LGPL-2.1-or-later
/* One endpoint's MQTT connection, in the endpoint's own name, with a key that never leaves the endpoint.
 *
 *   GwUplink -> GwMqtt (libmosquitto, plain MQTT) --AF_UNIX--> GwRelay (TLS 1.3 by GnuTLS) --TCP--> broker
 *                                                                 |
 *                                        sign event (serial, transcript hash) ... gw_uplink_signed ()
 *
 * The uplink connects, has the endpoint sign the handshake, subscribes, publishes, and comes back by itself
 * with a jittered backoff (GW_UPLINK_BACKOFF_MIN .. _MAX). It blocks nowhere and needs no thread; all calls
 * come from the loop's thread.
 *
 * Nothing is kept for the owner: what was not reported by `published` when the state leaves ONLINE must be
 * published again (the spool is the truth). MQTT sessions are clean, subscriptions are renewed at every
 * connect.
 *
 * Every event may call anything here, gw_uplink_free of this uplink included. After gw_uplink_free, and in
 * state STOPPED and IDLE, no event comes.
 */
#pragma once

#include <gio/gio.h>
#include "gw-loop.h"
#include "gw-mqtt.h"

G_BEGIN_DECLS

/** Unacknowledged QoS 1 publishes an uplink takes before gw_uplink_publish says GW_ERROR_BUSY. */
#define GW_UPLINK_WINDOW 32
/** TLS handshakes under way at a time, over all uplinks of a hub; the others wait their turn in CONNECTING.
 */
#define GW_UPLINK_MAX_HANDSHAKES 256
/** Microseconds. The n-th wait is drawn from the upper half of min (MAX, MIN * 2^n). */
#define GW_UPLINK_BACKOFF_MIN (1 * (gint64)G_USEC_PER_SEC)
#define GW_UPLINK_BACKOFF_MAX (300 * (gint64)G_USEC_PER_SEC)
/** Online for this long, the next loss starts again at BACKOFF_MIN. */
#define GW_UPLINK_STABLE_AFTER (30 * (gint64)G_USEC_PER_SEC)
/** Resolving, connecting and the network's part of the handshake; not counting the endpoint's part. */
#define GW_UPLINK_CONNECT_TIMEOUT (30 * (gint64)G_USEC_PER_SEC)
/** From the sign event to gw_uplink_signed. */
#define GW_UPLINK_SIGN_TIMEOUT (60 * (gint64)G_USEC_PER_SEC)
/** From the end of the handshake to MQTT's CONNACK. */
#define GW_UPLINK_CONNACK_TIMEOUT (30 * (gint64)G_USEC_PER_SEC)
/** How long a graceful stop may take to get its DISCONNECT out. */
#define GW_UPLINK_STOP_TIMEOUT (2 * (gint64)G_USEC_PER_SEC)
/** Largest MQTT packet accepted from a broker; a larger one closes the connection. */
#define GW_UPLINK_MAX_PACKET (64 * 1024)
#define GW_UPLINK_MAX_SUBSCRIPTIONS 8

typedef struct GwUplinkHub GwUplinkHub;
typedef struct GwUplink GwUplink;

typedef enum
{
  GW_UPLINK_IDLE,       /* new, or fully stopped without ever having been started */
  GW_UPLINK_CONNECTING, /* waiting for its turn, resolving, TCP, TLS, MQTT CONNECT */
  GW_UPLINK_SIGNING,    /* the broker waits for the endpoint's signature */
  GW_UPLINK_ONLINE,     /* CONNACK received; publishes are taken */
  GW_UPLINK_BACKOFF,    /* will try again at gw_uplink_next_attempt () */
  GW_UPLINK_STOPPED,    /* by gw_uplink_stop, or drained */
} GwUplinkState;

typedef enum
{
  GW_UPLINK_MQTT_5,
  GW_UPLINK_MQTT_3_1_1,
} GwUplinkMqttVersion;

/** One DER certificate. */
typedef struct
{
  const guint8 *der;
  gsize len;
} GwUplinkCert;

/** All is copied by gw_uplink_new. */
typedef struct
{
  const char *host;          /* name or numeric address; it is what the broker's certificate must carry */
  guint16 port;              /* 8883 as a rule */
  const char *trust_anchors; /* PEM file, read again when it changes; NULL = the system's anchors */

  const GwUplinkCert *chain; /* the endpoint's certificate first, then its issuers without the root */
  gsize n_chain;

  const char *client_id; /* 1 .. 64 octets */
  GwUplinkMqttVersion mqtt_version;
  guint16 keepalive; /* seconds, 5 .. 3600; 0 = 60 */

  const char *will_topic; /* NULL = no last will; QoS 1 */
  const guint8 *will_payload;
  gsize will_len;
  gboolean will_retain;

  const char *const *subscriptions; /* NULL-terminated topic filters, QoS 1, at most
                                       GW_UPLINK_MAX_SUBSCRIPTIONS; NULL = none */
} GwUplinkConfig;

/** MQTT 5 properties of a publish. On 3.1.1 they are not sent: put the same names into the payload then. */
typedef GwMqttUserProperty GwUplinkUserProperty;
typedef GwMqttProps GwUplinkProps;
/** A message from the broker; valid during the event. Untrusted throughout. */
typedef GwMqttMessage GwUplinkMessage;

/** All are called from the loop, never from within a call of yours; NULL members are skipped. */
typedef struct
{
  /**
   * The endpoint is asked to sign for TLS 1.3: @th is the transcript hash (@th_len 32: SHA-256), for gw_ident
   * command `sign`. Answer with gw_uplink_signed and the same @serial, now or later. Serials never repeat
   * within a hub.
   */
  void (*sign) (GwUplink *self, guint32 serial, const guint8 *th, gsize th_len, gpointer data);
  /** @why: set for BACKOFF and for STOPPED not asked for, else NULL; domain GW_ERROR. */
  void (*state) (GwUplink *self, GwUplinkState state, const GError *why, gpointer data);
  /** The broker acknowledged (PUBACK) the QoS 1 publish, or refused it: @error GW_ERROR_INVALID, it will
   * never take it; GW_ERROR_NOT_AUTHORIZED, it does not now (rights, quota). */
  void (*published) (GwUplink *self, guint64 cookie, const GError *error, gpointer data);
  void (*message) (GwUplink *self, const GwUplinkMessage *message, gpointer data);
  /** After gw_uplink_publish said BUSY: there is room again. */
  void (*ready) (GwUplink *self, gpointer data);
} GwUplinkEvents;

/* ---- hub: what all uplinks share ---- */

/**
 * Makes a private folder (0700) under @runtime_dir (NULL = the user's runtime folder, else /tmp) with the
 * socket on which libmosquitto meets the relays. The hub outlives its uplinks. @loop is borrowed.
 */
GwUplinkHub *gw_uplink_hub_new (GwLoop *loop, const char *runtime_dir, GError **error);
void gw_uplink_hub_free (GwUplinkHub *hub);
guint gw_uplink_hub_handshakes (GwUplinkHub *hub);

/* ---- uplink ---- */

/** @events is borrowed and must stay (a static const). Errors: GW_ERROR_INVALID, GW_ERROR_UNSUPPORTED. Starts
 * in IDLE. */
GwUplink *gw_uplink_new (GwUplinkHub *hub,
                         const GwUplinkConfig *config,
                         const GwUplinkEvents *events,
                         gpointer data,
                         GError **error);
/** At once, without a DISCONNECT: the broker publishes the last will. NULL is fine. */
void gw_uplink_free (GwUplink *self);

/** Connects, from any state; nothing happens if already under way or online. Ends draining. */
void gw_uplink_start (GwUplink *self);
/**
 * Ends in STOPPED; TLS tickets are forgotten. @graceful sends DISCONNECT (so no last will), which takes up to
 * GW_UPLINK_STOP_TIMEOUT; otherwise at once.
 */
void gw_uplink_stop (GwUplink *self, gboolean graceful);
/**
 * The endpoint is gone: tickets are forgotten, no connect and no reconnect from now on. If online it stays so
 * that acknowledged data can drain, until it is stopped or breaks; else STOPPED follows.
 */
void gw_uplink_drain (GwUplink *self);

GwUplinkState gw_uplink_get_state (GwUplink *self);
const char *gw_uplink_state_to_string (GwUplinkState state);
/** Why it is not online, for people: the last error's text. NULL = nothing to say. Valid until the next
 * event. */
const char *gw_uplink_get_reason (GwUplink *self);
/** Monotonic microseconds of the next attempt in BACKOFF, else 0. */
gint64 gw_uplink_next_attempt (GwUplink *self);

/**
 * Hands over the endpoint's answer to the sign event of that @serial: a DER ECDSA-Sig-Value, or @sig NULL and
 * @error saying why not. An answer to an older attempt, or a second one, is dropped. A wrong signature fails
 * the attempt; it never reaches the broker.
 */
void gw_uplink_signed (GwUplink *self, guint32 serial, const guint8 *sig, gsize sig_len, const GError *error);

/** Used from the next connect on; the ticket is forgotten. gw_uplink_reconnect makes it now. Error:
 * GW_ERROR_INVALID. */
gboolean gw_uplink_set_certificate (GwUplink *self, const GwUplinkCert *chain, gsize n_chain, GError **error);
/** Drops the connection or the backoff's wait and connects anew at once. Nothing in IDLE, STOPPED or
 * draining. */
void gw_uplink_reconnect (GwUplink *self);

/**
 * Publishes at @qos 0 or 1. For QoS 1 exactly one `published` event with @cookie follows, unless the
 * connection breaks before. QoS 0 is sent or refused, without an event. @props may be NULL. Errors:
 * GW_ERROR_BAD_STATE (not online), GW_ERROR_BUSY (window full; `ready` follows), GW_ERROR_INVALID (topic,
 * size).
 */
gboolean gw_uplink_publish (GwUplink *self,
                            const char *topic,
                            const guint8 *payload,
                            gsize payload_len,
                            int qos,
                            gboolean retain,
                            guint64 cookie,
                            const GwUplinkProps *props,
                            GError **error);
/** Room left in the window; 0 when not online. */
guint gw_uplink_room (GwUplink *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwUplinkHub, gw_uplink_hub_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwUplink, gw_uplink_free)

G_END_DECLS
