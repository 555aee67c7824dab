/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "gw-services.h"
#include "gw-session.h"

G_BEGIN_DECLS

/*
 * Takes an endpoint's reports and events: into the spool first, the acknowledgement to the endpoint only once they are durable. What
 * cannot be stored is not acknowledged, so the endpoint keeps it.
 */

/* @body: the request's CBOR as it came; NULL for one that was stored before. @uptime_ms: the endpoint's, as a report says; 0: unknown.
 * The record is durable now. */
typedef void (*GwTelemetryStored) (GwBytes body, guint64 uptime_ms, gpointer data);

/*
 * Deals with @request if it is a report or an event: answers it, now or when it is stored, and calls @stored then. FALSE: it is
 * neither, nothing was done. @admitted FALSE refuses it. @data must live until the writer has been flushed.
 */
gboolean gw_telemetry_take (const GwServices *services,
                            const guint8 *kid,
                            GwSession *session,
                            const GwSmpMessage *request,
                            gboolean admitted,
                            GwTelemetryStored stored,
                            gpointer data);

G_END_DECLS
