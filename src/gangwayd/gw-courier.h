/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "gw-services.h"

G_BEGIN_DECLS

/*
 * The courier of one endpoint: keeps its connection to the broker, brings what the spool holds of it there in order, and moves the
 * spool on as the broker acknowledges. It has the endpoint's certificate, never its key: signatures are asked of the owner.
 */

/* Answers to commands that wait for room; more are lost. */
#define GW_COURIER_REPLIES_MAX 32
/* Reports that the broker refused, but may take later, go again after this. */
#define GW_COURIER_AGAIN_USEC (30 * G_USEC_PER_SEC)
/* A connection on which nothing is acknowledged for so long is made anew. */
#define GW_COURIER_ACK_USEC (30 * G_USEC_PER_SEC)

typedef struct _GwCourier GwCourier;

typedef struct
{
  const guint8 *kid;     /* 32 octets */
  const char *id;        /* the same in hex */
  GwPolicy *policy;      /* referenced */
  GwPolicyVars vars;     /* for the topics */
  GBytes *certificate;   /* DER */
} GwCourierOrder;

typedef struct
{
  /* @reason: why not; when online, what hinders reports all the same, or NULL. */
  void (*online) (gboolean online, const char *reason, gpointer data);
  /* Answer by gw_courier_signed() with the same serial. */
  void (*sign) (guint32 serial, const guint8 *transcript_hash, gsize len, gpointer data);
  /* A message on the command topic; untrusted. */
  void (*command) (const GwUplinkMessage *message, gpointer data);
  /* The broker has acknowledged a report. */
  void (*delivered) (gpointer data);
} GwCourierEvents;

GwCourier *gw_courier_new (const GwServices *services,
                           const GwCourierOrder *order,
                           const GwCourierEvents *events,
                           gpointer data,
                           GError **error);
/* Whether it does what @order asks for; else it is to be replaced by another. */
gboolean gw_courier_fits (GwCourier *self, const GwCourierOrder *order);
/* Ends the connection at once. Allowed inside its events. */
void gw_courier_free (GwCourier *self);

/* The endpoint is there and proven: connect, and stay connected. */
void gw_courier_start (GwCourier *self);
/* Tries at once where it waits for the next try. */
void gw_courier_hurry (GwCourier *self);
/*
 * The endpoint has gone: what is acknowledged may still go out over the connection that is up, for the configured drain-time, but none
 * is made.
 */
void gw_courier_drain (GwCourier *self);
/* The spool has more. */
void gw_courier_wake (GwCourier *self);
void gw_courier_signed (GwCourier *self, guint32 serial, const guint8 *signature, gsize len, const GError *error);

/* Publishes an answer to a command, QoS 1, as soon as there is room. @topic NULL: the policy's reply topic. */
void gw_courier_reply (GwCourier *self, const char *topic, const guint8 *correlation, gsize correlation_len, const char *payload);

gboolean gw_courier_is_online (GwCourier *self);
/* "online", "signing", ... and why not, for people. */
const char *gw_courier_get_state (GwCourier *self);
const char *gw_courier_get_reason (GwCourier *self);

G_END_DECLS
