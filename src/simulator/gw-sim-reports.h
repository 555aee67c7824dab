/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What an endpoint remembers of its reports, for tests of delivery: boot by boot, which numbers were
 * acknowledged, and when the latest were made. It outlives the endpoint's power, and grows with the gaps in
 * what was acknowledged, not with the reports. Owned by who made it. */

#include <glib.h>
#include <jansson.h>

typedef struct GwSimReports GwSimReports;

/* For so many reports of each boot, at least, it is known when they were made. */
#define GW_SIM_REPORTS_MADE 1000

GwSimReports *gw_sim_reports_new (void);
void gw_sim_reports_free (GwSimReports *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwSimReports, gw_sim_reports_free)

/* `bt`: the boot's token, in hex. What is noted from now on is of this boot; before the first there is
 * nothing to note. */
void gw_sim_reports_begin_boot (GwSimReports *self, const char *bt);
/* Report `q` was made at `usec` (UTC), and any before it that is not noted yet: numbers go to events too.
 * Ascending. */
void gw_sim_reports_note_made (GwSimReports *self, guint64 q, gint64 usec);
/* Ascending. */
void gw_sim_reports_note_acknowledged (GwSimReports *self, guint64 q);

/* How many were acknowledged in all boots; `*last_q`: the last of the present boot, 0 if none. */
guint64 gw_sim_reports_count_acknowledged (const GwSimReports *self, guint64 *last_q);
/* [{"bt", "q": [[first, last], ..]}, ..]; the caller's. */
json_t *gw_sim_reports_acknowledged (const GwSimReports *self);
/* [{"bt", "first", "usec": [..]}, ..]: when report `first` and those after it were made; the caller's. */
json_t *gw_sim_reports_made (const GwSimReports *self);
