/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See gw-telemetry.h. One pending object a request; it holds the session, so that a late answer finds it ended, not freed. */

#include "config.h"

#include "gw-telemetry.h"

#include <string.h>

#include "gw-data-codec.h"
#include "gw-error.h"

typedef struct
{
  const GwServices *services;
  GwSession *session;
  GwSmpMessage request; /* without its body */
  GwDataAck ack;
  guint64 uptime_ms;
  GBytes *payload;
  GwTelemetryStored stored;
  gpointer data;
} Pending;

static void
pending_free (Pending *self)
{
  gw_session_unref (self->session);
  g_bytes_unref (self->payload);
  g_free (self);
}

static void
refuse (GwSession *session, const GwSmpMessage *request, guint16 rc)
{
  guint8 answer[64];
  gsize len;

  if (gw_smp_error (request, rc, answer, sizeof answer, &len) == GW_OK)
    gw_session_respond (session, answer, len);
}

static void
on_durable (gpointer data, const GError *error)
{
  Pending *self = data;
  guint8 answer[64];
  GwCborWriter w;
  gsize len;

  if (error != NULL)
    {
      gw_services_disk_failed (self->services, NULL, "reports cannot be stored and are not acknowledged", error);
      refuse (self->session, &self->request, GW_SMP_RC_NO_MEMORY);
      pending_free (self);
      return;
    }
  gw_services_disk_works (self->services);
  gw_smp_begin_response (&w, answer, sizeof answer, &self->request);
  gw_data_ack_encode (&self->ack, &w);
  if (gw_smp_end (&w, &len) == GW_OK)
    gw_session_respond (self->session, answer, len);
  self->stored ((GwBytes) { g_bytes_get_data (self->payload, NULL), g_bytes_get_size (self->payload) }, self->uptime_ms, self->data);
  pending_free (self);
}

/* The boot and number of a report or event, and the uptime that a report says; FALSE if it is malformed. */
static gboolean
decode (const GwSmpMessage *request, GwSpoolKind *kind, GwDataAck *ack, guint64 *uptime_ms)
{
  GwDataReport report;
  GwDataEvent event;

  if (request->command == GW_DATA_REPORT)
    {
      if (gw_data_report_decode (request->body, &report) != GW_OK)
        return FALSE;
      *kind = GW_SPOOL_REPORT;
      memcpy (ack->boot, report.boot, sizeof ack->boot);
      ack->seq = report.seq;
      *uptime_ms = report.uptime_ms;
      return TRUE;
    }
  if (gw_data_event_decode (request->body, &event) != GW_OK)
    return FALSE;
  *kind = GW_SPOOL_EVENT;
  memcpy (ack->boot, event.boot, sizeof ack->boot);
  ack->seq = event.seq;
  *uptime_ms = 0;
  return TRUE;
}

gboolean
gw_telemetry_take (const GwServices *services,
                   const guint8 *kid,
                   GwSession *session,
                   const GwSmpMessage *request,
                   gboolean admitted,
                   GwTelemetryStored stored,
                   gpointer data)
{
  g_autoptr (GError) error = NULL;
  GwSpoolFlags flags = gw_services_clock_is_valid (services) ? 0 : GW_SPOOL_FLAG_CLOCK_INVALID;
  GwSpoolKind kind;
  Pending *pending;
  guint64 uptime_ms;
  GwDataAck ack;

  if (request->op != GW_SMP_OP_WRITE || !gw_session_is_group (session, request->group, GW_SESSION_GROUP_DATA)
      || (request->command != GW_DATA_REPORT && request->command != GW_DATA_EVENT))
    return FALSE;
  if (!admitted)
    {
      refuse (session, request, GW_SMP_RC_BUSY);
      return TRUE;
    }
  if (!decode (request, &kind, &ack, &uptime_ms))
    {
      refuse (session, request, GW_SMP_RC_INVALID);
      return TRUE;
    }
  pending = g_new0 (Pending, 1);
  pending->services = services;
  pending->session = gw_session_ref (session);
  pending->request = *request;
  pending->request.body = (GwBytes) { NULL, 0 };
  pending->ack = ack;
  pending->uptime_ms = uptime_ms;
  pending->payload = g_bytes_new (request->body.ptr, request->body.len);
  pending->stored = stored;
  pending->data = data;
  if (!gw_spool_append (services->spool, kid, ack.boot, ack.seq, gw_loop_realtime (services->loop), kind, flags,
                        pending->payload, on_durable, pending, &error))
    {
      /* Full: the endpoint keeps its reports and asks again. */
      refuse (session, request, GW_SMP_RC_BUSY);
      pending_free (pending);
    }
  return TRUE;
}
