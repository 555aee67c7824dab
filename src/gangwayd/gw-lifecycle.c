/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The two tables. A cell holds the next state; NO refuses the event. Rows and columns are in the order of the enumerations, and a
 * unit test walks every cell.
 */

#include "config.h"

#include "gw-lifecycle.h"

#define NO (-1)
#define UNK GW_LIFECYCLE_UNKNOWN
#define QUA GW_LIFECYCLE_QUARANTINED
#define VER GW_LIFECYCLE_VERIFIED
#define ENR GW_LIFECYCLE_ENROLLED
#define REV GW_LIFECYCLE_REVOKED
#define REL GW_LIFECYCLE_RELEASED
#define DEC GW_LIFECYCLE_DECOMMISSIONED

/* An enrolled endpoint whose claim was withdrawn stays enrolled (reject): taking its certificate away is a person's decision. */
static const gint8 lifecycle_table[GW_LIFECYCLE_COUNT][GW_LIFECYCLE_EVENT_COUNT] = {
  /*                       admit reject enrol quarantine revoke release decommission */
  [UNK] = { VER, QUA, NO, QUA, REV, NO, DEC },
  [QUA] = { VER, QUA, NO, QUA, REV, NO, DEC },
  [VER] = { VER, QUA, ENR, QUA, REV, REL, DEC },
  [ENR] = { ENR, ENR, ENR, QUA, REV, REL, DEC },
  [REV] = { NO, NO, NO, NO, REV, NO, DEC },
  [REL] = { VER, QUA, NO, QUA, REV, NO, DEC },
  [DEC] = { NO, NO, NO, NO, NO, NO, DEC },
};

#define AWY GW_PRESENCE_ABSENT
#define ATT GW_PRESENCE_ATTACHED
#define PVG GW_PRESENCE_PROVING
#define PVD GW_PRESENCE_PROVED
#define ONL GW_PRESENCE_ONLINE

/* A candidate session (hello while proved) changes nothing until it has proven a key. */
static const gint8 presence_table[GW_PRESENCE_COUNT][GW_PRESENCE_EVENT_COUNT] = {
  /*      attach hello prove connect disconnect session-end detach */
  [AWY] = { ATT, NO, PVD, NO, AWY, AWY, AWY },
  [ATT] = { ATT, PVG, PVD, NO, ATT, ATT, AWY },
  [PVG] = { PVG, PVG, PVD, NO, PVG, ATT, AWY },
  [PVD] = { PVD, PVD, PVD, ONL, PVD, ATT, AWY },
  [ONL] = { ONL, ONL, ONL, ONL, PVD, ATT, AWY },
};

gboolean
gw_lifecycle_next (GwLifecycle from, GwLifecycleEvent event, GwLifecycle *next)
{
  gint8 to;

  if ((guint) from >= GW_LIFECYCLE_COUNT || (guint) event >= GW_LIFECYCLE_EVENT_COUNT)
    return FALSE;
  to = lifecycle_table[from][event];
  if (to == NO)
    return FALSE;
  *next = (GwLifecycle) to;
  return TRUE;
}

gboolean
gw_presence_next (GwPresence from, GwPresenceEvent event, GwPresence *next)
{
  gint8 to;

  if ((guint) from >= GW_PRESENCE_COUNT || (guint) event >= GW_PRESENCE_EVENT_COUNT)
    return FALSE;
  to = presence_table[from][event];
  if (to == NO)
    return FALSE;
  *next = (GwPresence) to;
  return TRUE;
}

const char *
gw_lifecycle_to_string (GwLifecycle lifecycle)
{
  static const char *const names[GW_LIFECYCLE_COUNT]
      = { "unknown", "quarantined", "verified", "enrolled", "revoked", "released", "decommissioned" };

  g_return_val_if_fail ((guint) lifecycle < GW_LIFECYCLE_COUNT, "unknown");
  return names[lifecycle];
}

const char *
gw_presence_to_string (GwPresence presence)
{
  static const char *const names[GW_PRESENCE_COUNT] = { "absent", "attached", "proving", "proved", "online" };

  g_return_val_if_fail ((guint) presence < GW_PRESENCE_COUNT, "absent");
  return names[presence];
}

const char *
gw_state_to_string (GwLifecycle lifecycle, GwPresence presence, gboolean cloned)
{
  if (lifecycle == GW_LIFECYCLE_REVOKED || lifecycle == GW_LIFECYCLE_DECOMMISSIONED)
    return gw_lifecycle_to_string (lifecycle);
  if (cloned)
    return "cloned";
  if (presence == GW_PRESENCE_PROVING)
    return "proving";
  if (lifecycle == GW_LIFECYCLE_QUARANTINED)
    return "quarantined";
  if (presence == GW_PRESENCE_ONLINE && gw_lifecycle_may_connect (lifecycle))
    return "online";
  if (presence == GW_PRESENCE_ABSENT || presence == GW_PRESENCE_ATTACHED)
    return lifecycle == GW_LIFECYCLE_ENROLLED ? "offline" : gw_lifecycle_to_string (lifecycle);
  return gw_lifecycle_to_string (lifecycle);
}

gboolean
gw_lifecycle_may_connect (GwLifecycle lifecycle)
{
  return lifecycle == GW_LIFECYCLE_ENROLLED;
}
