// SPDX-License-Identifier: LGPL-2.1-or-later
/* The seam through which everything asks for the time.
 *
 * Real code takes gw_clock_new_real (), tests take gw_clock_new_mock () and move it by hand, so that no
 * test ever waits. All times are gint64 microseconds: "monotonic" never jumps and has no meaning outside
 * the process (g_get_monotonic_time), "realtime" is UTC since 1970 (g_get_real_time).
 *
 * Reading is allowed from any thread. Advancing, listening and unlistening belong to one thread, that of the
 * loops.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct GwClock GwClock;

/** Called after a mock clock has moved. It may listen and unlisten. */
typedef void (*GwClockFunc) (gpointer data);

GwClock *gw_clock_new_real (void);
/** A clock that stands still until told otherwise. Both start values in microseconds. */
GwClock *gw_clock_new_mock (gint64 monotonic, gint64 realtime);
GwClock *gw_clock_ref (GwClock *self);
void gw_clock_unref (GwClock *self);

gint64 gw_clock_monotonic (GwClock *self);
gint64 gw_clock_realtime (GwClock *self);
gboolean gw_clock_is_mock (GwClock *self);

/** Mock only: moves both times forward and wakes the loops that run on this clock. */
void gw_clock_advance (GwClock *self, gint64 usec);
/** Mock only: sets realtime alone, as an administrator or NTP would; may go backwards. */
void gw_clock_set_realtime (GwClock *self, gint64 realtime);

/** Mock clocks tell when they move; a real clock never calls. Returns an id for gw_clock_unlisten. */
guint gw_clock_listen (GwClock *self, GwClockFunc func, gpointer data);
void gw_clock_unlisten (GwClock *self, guint id);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwClock, gw_clock_unref)

G_END_DECLS
