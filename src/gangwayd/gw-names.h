// SPDX-License-Identifier: LGPL-2.1-or-later
/* Host names to addresses, without blocking and without a thread an asker.
 *
 * GResolver runs each look-up in GLib's pool of threads. A thousand endpoints go to one broker, so askers of
 * one name share one look-up, and a good answer serves for GW_NAMES_KEEP.
 */
#pragma once

#include <gio/gio.h>
#include "gw-loop.h"

G_BEGIN_DECLS

/** Microseconds for which an answer is given again; failures are not kept. */
#define GW_NAMES_KEEP (10 * (gint64)G_USEC_PER_SEC)

typedef struct GwNames GwNames;
typedef struct GwNamesQuery GwNamesQuery;

/** @addresses: of GInetAddress, borrowed, NULL if @error. May ask, cancel and free queries. */
typedef void (*GwNamesFunc) (GList *addresses, const GError *error, gpointer data);

/** @loop is borrowed. */
GwNames *gw_names_new (GwLoop *loop);
/** Queries must be cancelled or answered by then; a look-up under way is dropped. */
void gw_names_free (GwNames *self);

/**
 * Numeric addresses and fresh answers are returned at once: *@addresses, for g_resolver_free_addresses, and
 * NULL. Otherwise a query, answered later from the main context unless cancelled.
 */
GwNamesQuery *
gw_names_ask (GwNames *self, const char *host, GList **addresses, GwNamesFunc func, gpointer data);
void gw_names_cancel (GwNamesQuery *query);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwNames, gw_names_free)

G_END_DECLS
