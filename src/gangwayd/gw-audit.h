/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

#include "gw-services.h"

G_BEGIN_DECLS

/*
 * The audit trail: what people had done through D-Bus (by the gate), and what is of weight for security and came about by itself (by the
 * journal's events). It goes to gangway.db behind everything that was written before, and is read and verified over D-Bus. One an agent,
 * and one a process, because the events are.
 */

/* Records that can come at once, and the time after which there is room for one more: what endpoints and callers bring about again and
 * again must not fill the disk. What people do has room of its own. What is left out is counted and told by the next record. */
#define GW_AUDIT_BURST 5000
#define GW_AUDIT_REFILL_USEC (20 * G_USEC_PER_SEC)
/* Records in one answer of Read. */
#define GW_AUDIT_READ_MAX 1000

typedef struct _GwAudit GwAudit;

/* @services is borrowed. */
GwAudit *gw_audit_new (const GwServices *services, GError **error);
void gw_audit_free (GwAudit *self);

G_END_DECLS
