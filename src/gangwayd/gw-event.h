/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * What an operator wants to find in the journal: events with a MESSAGE_ID, the fields GANGWAY_ENDPOINT (key id), GANGWAY_BUS and
 * GANGWAY_EVENT (the event's name), and an entry in the message catalog (systemd/gangway.catalog) that says what it means and what to do.
 * A test compares the two.
 */

typedef enum
{
  GW_EVENT_ENDPOINT_ADMITTED,
  GW_EVENT_ENDPOINT_QUARANTINED,
  GW_EVENT_ENDPOINT_ENROLLED,
  GW_EVENT_ENDPOINT_REVOKED,
  GW_EVENT_ENDPOINT_RELEASED,
  GW_EVENT_ENDPOINT_DECOMMISSIONED,
  GW_EVENT_ENDPOINT_CLONED,
  GW_EVENT_ENDPOINT_MOVED,
  GW_EVENT_ENDPOINT_CONTRADICTS,
  GW_EVENT_CREDENTIAL_OWNED,
  GW_EVENT_CREDENTIAL_ISSUED,
  GW_EVENT_CREDENTIAL_GATEWAY_RENEWED,
  GW_EVENT_CREDENTIAL_FAILED,
  GW_EVENT_AUTHORITY_LOST,
  GW_EVENT_AUTHORITY_BACK,
  GW_EVENT_UPLINK_ONLINE,
  GW_EVENT_UPLINK_LOST,
  GW_EVENT_BUS_ATTACHED,
  GW_EVENT_BUS_GONE,
  GW_EVENT_BUS_REFUSED,
  GW_EVENT_BUS_OFF,
  GW_EVENT_BUS_BACK,
  GW_EVENT_BUS_CULPRIT,
  GW_EVENT_REPORTS_GIVEN_UP,
  GW_EVENT_STORAGE_DAMAGED,
  GW_EVENT_STORAGE_FAILED,
} GwEvent;
#define GW_EVENT_COUNT 26

/* @endpoint: key id in hex, @bus: name; NULL where there is none. The message is one line for people. */
void gw_event (GwEvent event, const char *endpoint, const char *bus, const char *format, ...) G_GNUC_PRINTF (4, 5);

/*
 * Whether the journal should hear of a connection that is up or down now: when it goes, when it comes back, and once a day while it is
 * gone. One that comes and goes all the time is told a few times and then once a day: a month offline must not fill the journal, nor
 * must a loose contact. Zeroed at first.
 */
#define GW_EVENT_TELL_AGAIN_USEC (G_GINT64_CONSTANT (24 * 3600) * G_USEC_PER_SEC)
/* Losses told before they are told once a day. */
#define GW_EVENT_FLAPS_MAX 6

typedef struct
{
  gboolean told; /* anything yet */
  gboolean online; /* as told last */
  gint64 at; /* when the last loss was told */
  guint losses; /* told lately: one is forgotten a day */
  gint64 forgot_at;
} GwEventConnection;

/* @now: monotonic microseconds. TRUE: tell it; it counts as told then. */
gboolean gw_event_connection_changed (GwEventConnection *self, gboolean online, gint64 now);
/* What to add to the line about a loss: "", or that more of them are not told for a while. */
const char *gw_event_connection_note (const GwEventConnection *self);

/* Who else hears of each event; one, or NULL. */
typedef void (*GwEventSink) (GwEvent event, const char *name, const char *endpoint, const char *bus, const char *message, gpointer data);
void gw_event_set_sink (GwEventSink sink, gpointer data);

/* 32 hex digits. */
const char *gw_event_get_message_id (GwEvent event);

G_END_DECLS
