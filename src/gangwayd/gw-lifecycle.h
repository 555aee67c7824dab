/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * Where an endpoint stands, on two axes. The lifecycle is what was decided about a chip and is stored; the presence is what is
 * seen of it now and is not. What D-Bus calls State is a function of both. Each axis is one closed table, here and nowhere
 * else; what is not in a table does not happen.
 */

/* Stored: the numbers stand in the database. */
typedef enum
{
  GW_LIFECYCLE_UNKNOWN = 0,
  GW_LIFECYCLE_QUARANTINED = 1,
  GW_LIFECYCLE_VERIFIED = 2,
  GW_LIFECYCLE_ENROLLED = 3,
  GW_LIFECYCLE_REVOKED = 4,
  GW_LIFECYCLE_RELEASED = 5,
  GW_LIFECYCLE_DECOMMISSIONED = 6,
} GwLifecycle;
#define GW_LIFECYCLE_COUNT 7

typedef enum
{
  GW_LIFECYCLE_EVENT_ADMIT,        /* in a trusted manifest, claimed by a batch */
  GW_LIFECYCLE_EVENT_REJECT,       /* one of the two is missing */
  GW_LIFECYCLE_EVENT_ENROL,        /* holds a certificate of ours */
  GW_LIFECYCLE_EVENT_QUARANTINE,   /* a person or an alarm keeps it out */
  GW_LIFECYCLE_EVENT_REVOKE,       /* a person withdraws it */
  GW_LIFECYCLE_EVENT_RELEASE,      /* given to another owner */
  GW_LIFECYCLE_EVENT_DECOMMISSION, /* the end of its life here */
} GwLifecycleEvent;
#define GW_LIFECYCLE_EVENT_COUNT 7

typedef enum
{
  GW_PRESENCE_ABSENT,   /* on no bus */
  GW_PRESENCE_ATTACHED, /* on a bus, no session */
  GW_PRESENCE_PROVING,  /* a handshake runs */
  GW_PRESENCE_PROVED,   /* its key is proven by a live session */
  GW_PRESENCE_ONLINE,   /* and its own connection to the broker is up */
} GwPresence;
#define GW_PRESENCE_COUNT 5

typedef enum
{
  GW_PRESENCE_EVENT_ATTACH,      /* the endpoint's node is there */
  GW_PRESENCE_EVENT_HELLO,       /* a ClientHello came */
  GW_PRESENCE_EVENT_PROVE,       /* the handshake is finished */
  GW_PRESENCE_EVENT_CONNECT,     /* the broker has accepted it */
  GW_PRESENCE_EVENT_DISCONNECT,  /* the connection to the broker is gone */
  GW_PRESENCE_EVENT_SESSION_END, /* the session is gone, the node is not */
  GW_PRESENCE_EVENT_DETACH,      /* the node is gone */
} GwPresenceEvent;
#define GW_PRESENCE_EVENT_COUNT 7

/* TRUE and the next state in @next, or FALSE: the event is refused in this state. */
gboolean gw_lifecycle_next (GwLifecycle from, GwLifecycleEvent event, GwLifecycle *next);
gboolean gw_presence_next (GwPresence from, GwPresenceEvent event, GwPresence *next);

const char *gw_lifecycle_to_string (GwLifecycle lifecycle);
const char *gw_presence_to_string (GwPresence presence);

/* The one word that D-Bus shows. @cloned: two living chips have proven this key id and nobody has decided yet. */
const char *gw_state_to_string (GwLifecycle lifecycle, GwPresence presence, gboolean cloned);

/* Whether an endpoint in this state may have packets at a broker. */
gboolean gw_lifecycle_may_connect (GwLifecycle lifecycle);

G_END_DECLS
