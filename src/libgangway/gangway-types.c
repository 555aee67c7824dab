/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Error domain, enumerations and the boxed types. */

#include "gangway/gangway-types.h"

GQuark
gangway_error_quark (void)
{
  return g_quark_from_static_string ("gangway-error-quark");
}

GType
gangway_error_get_type (void)
{
  static const GEnumValue values[] = {
    { GANGWAY_ERROR_FAILED, "GANGWAY_ERROR_FAILED", "failed" },
    { GANGWAY_ERROR_REFUSED, "GANGWAY_ERROR_REFUSED", "refused" },
    { GANGWAY_ERROR_VERSION, "GANGWAY_ERROR_VERSION", "version" },
    { GANGWAY_ERROR_NOT_ATTACHED, "GANGWAY_ERROR_NOT_ATTACHED", "not-attached" },
    { GANGWAY_ERROR_BUSY, "GANGWAY_ERROR_BUSY", "busy" },
    { GANGWAY_ERROR_LIMIT, "GANGWAY_ERROR_LIMIT", "limit" },
    { GANGWAY_ERROR_NODE_DOWN, "GANGWAY_ERROR_NODE_DOWN", "node-down" },
    { GANGWAY_ERROR_SANDBOX, "GANGWAY_ERROR_SANDBOX", "sandbox" },
    { 0 },
  };
  static gsize type = 0;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static (g_intern_static_string ("GangwayError"), values));
  return type;
}

GType
gangway_down_reason_get_type (void)
{
  static const GEnumValue values[] = {
    { GANGWAY_DOWN_REASON_GONE, "GANGWAY_DOWN_REASON_GONE", "gone" },
    { GANGWAY_DOWN_REASON_SILENT, "GANGWAY_DOWN_REASON_SILENT", "silent" },
    { GANGWAY_DOWN_REASON_REPLACED, "GANGWAY_DOWN_REASON_REPLACED", "replaced" },
    { 0 },
  };
  static gsize type = 0;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static (g_intern_static_string ("GangwayDownReason"), values));
  return type;
}

GType
gangway_link_state_get_type (void)
{
  static const GEnumValue values[] = {
    { GANGWAY_LINK_STATE_UNKNOWN, "GANGWAY_LINK_STATE_UNKNOWN", "unknown" },
    { GANGWAY_LINK_STATE_ACTIVE, "GANGWAY_LINK_STATE_ACTIVE", "active" },
    { GANGWAY_LINK_STATE_WARNING, "GANGWAY_LINK_STATE_WARNING", "warning" },
    { GANGWAY_LINK_STATE_PASSIVE, "GANGWAY_LINK_STATE_PASSIVE", "passive" },
    { GANGWAY_LINK_STATE_OFF, "GANGWAY_LINK_STATE_OFF", "off" },
    { 0 },
  };
  static gsize type = 0;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static (g_intern_static_string ("GangwayLinkState"), values));
  return type;
}

G_DEFINE_BOXED_TYPE (GangwayStats, gangway_stats, gangway_stats_copy, gangway_stats_free)

/**
 * gangway_stats_new:
 *
 * Makes counters.
 *
 * Returns: (transfer full): counters that all are 0
 *
 * Since: 0.1
 */
GangwayStats *
gangway_stats_new (void)
{
  return g_new0 (GangwayStats, 1);
}

/**
 * gangway_stats_copy:
 * @stats: the counters
 *
 * Copies the counters.
 *
 * Returns: (transfer full): a copy
 *
 * Since: 0.1
 */
GangwayStats *
gangway_stats_copy (const GangwayStats *stats)
{
  return g_memdup2 (stats, sizeof *stats);
}

/**
 * gangway_stats_free:
 * @stats: (transfer full): the counters
 *
 * Frees the counters.
 *
 * Since: 0.1
 */
void
gangway_stats_free (GangwayStats *stats)
{
  g_free (stats);
}

G_DEFINE_BOXED_TYPE (GangwayLink, gangway_link, gangway_link_copy, gangway_link_free)

/**
 * gangway_link_new:
 *
 * Makes a link's state.
 *
 * Returns: (transfer full): one of which nothing is known
 *
 * Since: 0.1
 */
GangwayLink *
gangway_link_new (void)
{
  GangwayLink *link = g_new0 (GangwayLink, 1);

  link->load_permille = G_MAXUINT;
  return link;
}

/**
 * gangway_link_copy:
 * @link: the link's state
 *
 * Copies the state.
 *
 * Returns: (transfer full): a copy
 *
 * Since: 0.1
 */
GangwayLink *
gangway_link_copy (const GangwayLink *link)
{
  return g_memdup2 (link, sizeof *link);
}

/**
 * gangway_link_free:
 * @link: (transfer full): the link's state
 *
 * Frees the state.
 *
 * Since: 0.1
 */
void
gangway_link_free (GangwayLink *link)
{
  g_free (link);
}
