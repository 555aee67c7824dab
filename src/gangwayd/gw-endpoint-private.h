/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gw-endpoint.h"
#include "gw-enrolment.h"
#include "gw-event.h"

G_BEGIN_DECLS

/* What gw-endpoint.c and gw-onboarding.c share, and nobody else: the endpoint itself, and how it changes. */

struct _GwEndpoint
{
  const GwServices *services;
  const GwEndpointListener *listener;
  gpointer listener_data;
  GwEndpointRecord *record;
  gboolean stored; /* the record is in the database: chips of no manifest never are */
  char *id;
  char *manufacturer, *model, *serial_number, *firmware, *root_of_trust, *manifest;

  GwPresence presence;
  char *bus;
  guint32 node; /* its number on the bus socket */
  guint16 address; /* on the wire */
  char *reason;
  char *remedy;

  GwSession *session;
  gint64 minute; /* of the real time, in which it was last heard */
  gboolean surveying;
  gboolean surveyed;
  gboolean told_ready;
  gboolean contradicts; /* what it said in the clear is not what it says inside the session */
  GwLinkHello hello;
  char *hello_texts[4];
  gboolean has_hello;

  /* Of the survey. */
  gboolean has_owner;
  guint8 owner[GW_SHA256_LEN];
  guint64 generation;
  guint n_slots;
  GwIdentSlot slots[GW_IDENT_SLOTS_MAX];
  GwIdentPuf puf;
  guint64 uptime_ms;
  gint64 uptime_at;

  GwEnrolment *enrolment;
  gboolean run_wanted; /* somebody waits for `settled` */
  guint8 order_slot;
  guint32 order_generation;
  GwCourier *courier;
  GwEventConnection told; /* what the journal last heard of its connection */
  GwTimer retry_timer;
  gint64 retry_usec;
  GwTimer renew_timer;
};

/* Replaces a string by a copy; @value may be the old one, or part of it. */
void gw_endpoint_replace_string (char **where, const char *value);
void gw_endpoint_changed (GwEndpoint *self);
void gw_endpoint_counted (GwEndpoint *self);
/* Why it is where it is, and what to do: both for people, "" for nothing. */
void gw_endpoint_set_reason (GwEndpoint *self, const char *reason, const char *remedy);
/* Has the record written, if this endpoint is one that is stored. */
void gw_endpoint_save (GwEndpoint *self);
void gw_endpoint_presence_event (GwEndpoint *self, GwPresenceEvent event);
/* FALSE: the table refuses it. Saves what it changes. */
gboolean gw_endpoint_lifecycle_event (GwEndpoint *self, GwLifecycleEvent event);
/* Asks it what it is, unless it is being asked; gw_onboarding_consider() hears of the answer. It must have a session. */
void gw_endpoint_survey (GwEndpoint *self);
/* Has gw_onboarding_consider() look again after a while, longer each time in a row. */
void gw_onboarding_retry_later (GwEndpoint *self);
/* Ends the run that somebody waits for, if there is one. */
void gw_endpoint_settle (GwEndpoint *self, const GError *error);
void gw_endpoint_settle_error (GwEndpoint *self, GwError code, const char *format, ...) G_GNUC_PRINTF (3, 4);

G_END_DECLS
