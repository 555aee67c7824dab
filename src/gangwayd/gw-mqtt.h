// SPDX-License-Identifier: LGPL-2.1-or-later
/* One libmosquitto client for one connection, driven by the loop: a thin owner, without policy.
 *
 * libmosquitto speaks plain MQTT over AF_UNIX (port 0) to a listener in a private 0700 folder; the other end
 * is accepted at once in the same call and handed to the caller, who joins it to TLS. Reconnecting means a
 * new GwMqtt.
 *
 * libmosquitto 2.0 gives every client an internal socketpair into which each queued packet writes one octet
 * that nobody ever reads under an external loop: 211 KiB of kernel memory a client. It is tamed here, in one
 * place, at creation.
 */
#pragma once

#include <glib.h>
#include "gw-loop.h"

G_BEGIN_DECLS

/** The listener on which libmosquitto meets us. */
typedef struct GwMqttPort GwMqttPort;
typedef struct GwMqtt GwMqtt;

typedef enum
{
  GW_MQTT_5,
  GW_MQTT_3_1_1,
} GwMqttVersion;

typedef struct
{
  const char *name;
  const char *value;
} GwMqttUserProperty;

/** MQTT 5 properties of a publish; zeroed = none. Not sent on 3.1.1. */
typedef struct
{
  const char *content_type;
  const char *response_topic;
  const guint8 *correlation;
  gsize correlation_len;
  guint32 message_expiry; /* seconds; 0 = never */
  const GwMqttUserProperty *user;
  gsize n_user;
} GwMqttProps;

/** From the broker; valid during the event. Topics are checked: UTF-8, no wildcards. */
typedef struct
{
  const char *topic;
  const guint8 *payload; /* never NULL */
  gsize payload_len;
  gboolean retained;
  const char *response_topic; /* NULL = none */
  const guint8 *correlation;  /* NULL = none */
  gsize correlation_len;
  const char *content_type; /* NULL = none */
} GwMqttMessage;

typedef struct
{
  const char *client_id;
  GwMqttVersion version;
  guint16 keepalive;   /* seconds */
  guint16 send_window; /* QoS 1 publishes under way */
  guint32 max_packet;  /* told to a v5 broker; the relay enforces it */
  const char *will_topic;
  const guint8 *will_payload;
  gsize will_len;
  gboolean will_retain;
} GwMqttConfig;

/** All must be set. Each may call anything here, gw_mqtt_free included. */
typedef struct
{
  void (*connected) (GwMqtt *self, gpointer data);
  /** A publish of QoS 1 was acknowledged; @reason of MQTT 5, 2.4: from 0x80 on refused. */
  void (*published) (GwMqtt *self, int mid, int reason, gpointer data);
  void (*message) (GwMqtt *self, const GwMqttMessage *message, gpointer data);
  void (*subscribed) (GwMqtt *self, gboolean all_granted, gpointer data);
  /** Over, with GW_ERROR; NULL: by gw_mqtt_disconnect. @told: the broker itself said why. Nothing but
   * gw_mqtt_free may follow. */
  void (*closed) (GwMqtt *self, const GError *why, gboolean told, gpointer data);
} GwMqttEvents;

/** Makes a private folder under @runtime_dir, removed by free. */
GwMqttPort *gw_mqtt_port_new (const char *runtime_dir, GError **error);
void gw_mqtt_port_free (GwMqttPort *self);

/**
 * A client whose CONNECT is on its way into @peer_fd, which becomes the caller's (non-blocking). @events is
 * borrowed. NULL with GW_ERROR_INVALID (will or id), GW_ERROR_FAILED (sockets).
 */
GwMqtt *gw_mqtt_new (GwLoop *loop,
                     GwMqttPort *port,
                     const GwMqttConfig *config,
                     const GwMqttEvents *events,
                     gpointer data,
                     int *peer_fd,
                     GError **error);
/** At once, without DISCONNECT; allowed in events. NULL is fine. */
void gw_mqtt_free (GwMqtt *self);

/** QoS 1, filters NULL-terminated. */
gboolean gw_mqtt_subscribe (GwMqtt *self, const char *const *filters, GError **error);
/** @mid is set before anything is sent. GW_ERROR_INVALID (topic, size), GW_ERROR_BAD_STATE (not connected).
 */
gboolean gw_mqtt_publish (GwMqtt *self,
                          const char *topic,
                          const guint8 *payload,
                          gsize payload_len,
                          int qos,
                          gboolean retain,
                          const GwMqttProps *props,
                          int *mid,
                          GError **error);
/** A reason code of MQTT 5 in words. */
const char *gw_mqtt_reason_text (int reason);
/** Octets wait to be written: the peer is slow. */
gboolean gw_mqtt_is_congested (GwMqtt *self);
/** Sends DISCONNECT; `closed` with NULL comes from the loop. */
void gw_mqtt_disconnect (GwMqtt *self);
/** Serves what has arrived already; for when the peer is known to be gone. Events as usual. */
void gw_mqtt_pump (GwMqtt *self);

/** Clients whose internal socketpair could not be identified, and so costs up to 211 KiB each; 0 is healthy.
 */
guint gw_mqtt_n_untamed (void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwMqttPort, gw_mqtt_port_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwMqtt, gw_mqtt_free)

G_END_DECLS
