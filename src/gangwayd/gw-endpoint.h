/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "gw-courier.h"
#include "gw-lifecycle.h"
#include "gw-services.h"
#include "gw-session.h"

G_BEGIN_DECLS

/*
 * An endpoint: a chip that has proven its key here once, with what was decided about it (its record, stored) and what is seen of it
 * now. It takes itself on board: whenever something changes it considers where it stands and does the next step. It knows nothing
 * of D-Bus; its listener shows it there.
 */

#define GW_ENDPOINT_NAME_MAX 64
#define GW_ENDPOINT_REASON_MAX 200
/* After a step failed, the next try; doubles up to the second. */
#define GW_ENDPOINT_RETRY_MIN_USEC (5 * G_USEC_PER_SEC)
#define GW_ENDPOINT_RETRY_MAX_USEC (10 * 60 * G_USEC_PER_SEC)

typedef struct _GwEndpoint GwEndpoint;

typedef struct
{
  /* Something that people can see has changed. */
  void (*changed) (GwEndpoint *self, gpointer data);
  /* How far the run that is under way has come. */
  void (*stage) (GwEndpoint *self, double progress, const char *stage, gpointer data);
  /* A run has ended: online (NULL), or why not. */
  void (*settled) (GwEndpoint *self, const GError *error, gpointer data);
  /* It has a proven session and is ours: it can be asked. */
  void (*ready) (GwEndpoint *self, gpointer data);
  /* Its reports were delivered, or it was heard in another minute than before. What else moves its figures tells so itself. */
  void (*counted) (GwEndpoint *self, gpointer data);
  /* A report of it is durable; its CBOR, borrowed. */
  void (*reported) (GwEndpoint *self, GwBytes body, gpointer data);
  /* A message on its command topic; untrusted. */
  void (*command) (GwEndpoint *self, const GwUplinkMessage *message, gpointer data);
} GwEndpointListener;

/* What the chip is called: of the manifest, or what it says itself while it stands in none. Never NULL. */
typedef struct
{
  const char *manufacturer;
  const char *model;
  const char *serial_number;
  const char *firmware;
  const char *root_of_trust;
  const char *manifest; /* "": in none */
} GwEndpointLabels;

/* Takes @record over. */
GwEndpoint *gw_endpoint_new (const GwServices *services, GwEndpointRecord *record);
void gw_endpoint_free (GwEndpoint *self);
/* One listener, borrowed. */
void gw_endpoint_set_listener (GwEndpoint *self, const GwEndpointListener *listener, gpointer data);

/* ---- what is seen of it ---- */

/* On @bus (object path) at @node: a claim until it has proven itself there. */
void gw_endpoint_attach (GwEndpoint *self, const char *bus, guint32 node);
void gw_endpoint_detach (GwEndpoint *self);
void gw_endpoint_begin_proof (GwEndpoint *self);
/* It has proven itself in @session, at @bus and @node. @hello: what it said in the clear before, or NULL. */
void gw_endpoint_adopt (GwEndpoint *self,
                        GwSession *session,
                        const char *bus,
                        guint32 node,
                        const GwLinkHello *hello);
GwSession *gw_endpoint_get_session (GwEndpoint *self);

/* ---- what is decided about it ---- */

/* Two living chips have proven its key: its connection is closed until somebody decides. */
void gw_endpoint_set_cloned (GwEndpoint *self, const char *reason);
/* GW_ERROR_REVOKED or BAD_STATE where its life here is over. */
gboolean gw_endpoint_can_approve (GwEndpoint *self, GError **error);
/* A person has decided: no alarm, no hold; considers again. */
gboolean gw_endpoint_approve (GwEndpoint *self, GError **error);
/* Inventory, policies or time have changed. */
void gw_endpoint_reconsider (GwEndpoint *self);
/* The same, and whatever it waits to try again is tried now. */
void gw_endpoint_hurry (GwEndpoint *self);
/*
 * Whether onboarding can be tried now: else GW_ERROR_OFFLINE, REVOKED, BAD_STATE, CLONED, NOT_TRUSTED (in no manifest), UNCLAIMED
 * (@claimed says that a claim is about to be made), BUSY.
 */
gboolean gw_endpoint_can_onboard (GwEndpoint *self, gboolean claimed, GError **error);
/* Tries at once what it waits for; `settled` follows. */
gboolean gw_endpoint_onboard (GwEndpoint *self, GError **error);
/* GW_ERROR_BAD_STATE, OFFLINE, BUSY, or NOT_TRUSTED: it is not ours, or contradicts itself. */
gboolean gw_endpoint_can_renew (GwEndpoint *self, GError **error);
gboolean gw_endpoint_renew (GwEndpoint *self, gboolean rekey, GError **error);
gboolean gw_endpoint_quarantine (GwEndpoint *self, const char *reason, GError **error);
gboolean gw_endpoint_revoke (GwEndpoint *self, const char *reason, GError **error);
gboolean gw_endpoint_decommission (GwEndpoint *self, const char *reason, GError **error);
/* @name NULL: none. Validity and uniqueness are the caller's. */
void gw_endpoint_set_name (GwEndpoint *self, const char *name);
/* Breaks off the run that a job started. */
void gw_endpoint_cancel_run (GwEndpoint *self);

/* ---- what it is ---- */

const GwEndpointRecord *gw_endpoint_get_record (GwEndpoint *self);
/* Its record is kept over restarts: it stands in a manifest, or a person has decided about it. */
gboolean gw_endpoint_is_stored (GwEndpoint *self);
/* Key id in hex. */
const char *gw_endpoint_get_id (GwEndpoint *self);
/* Set by a person, or the serial number. */
const char *gw_endpoint_get_name (GwEndpoint *self);
void gw_endpoint_get_labels (GwEndpoint *self, GwEndpointLabels *labels);
GwPresence gw_endpoint_get_presence (GwEndpoint *self);
const char *gw_endpoint_get_state (GwEndpoint *self);
/* "" when all is well. */
const char *gw_endpoint_get_reason (GwEndpoint *self);
const char *gw_endpoint_get_remedy (GwEndpoint *self);
/* "/" when it is nowhere. */
const char *gw_endpoint_get_bus (GwEndpoint *self);
/* Its node's number on the bus socket, and its address on the wire (0: none). */
guint32 gw_endpoint_get_node (GwEndpoint *self);
guint16 gw_endpoint_get_address (GwEndpoint *self);
void gw_endpoint_set_address (GwEndpoint *self, guint16 address);
const GwIdentPuf *gw_endpoint_get_puf (GwEndpoint *self);
/* NULL while it has none. */
GwCourier *gw_endpoint_get_courier (GwEndpoint *self);
const GwServices *gw_endpoint_get_services (GwEndpoint *self);
/* The endpoint's uptime now, ms, as far as it is known never more than it really is; 0: unknown. */
guint64 gw_endpoint_get_uptime (GwEndpoint *self);
/* A message of the endpoint said its uptime. */
void gw_endpoint_note_uptime (GwEndpoint *self, guint64 uptime_ms);

G_END_DECLS
