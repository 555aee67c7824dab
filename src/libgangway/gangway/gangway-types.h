/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(GANGWAY_INSIDE) && !defined(GANGWAY_COMPILATION)
#error "Only <gangway.h> can be included directly."
#endif

#include <gio/gio.h>
#include "gangway-version.h"

G_BEGIN_DECLS

/**
 * GANGWAY_ERROR:
 *
 * Error domain of the library, values from #GangwayError.
 */
#define GANGWAY_ERROR (gangway_error_quark ())

/**
 * GangwayError:
 * @GANGWAY_ERROR_FAILED: Anything else.
 * @GANGWAY_ERROR_REFUSED: The agent refused the bus and will again: not authorized, invalid options.
 * @GANGWAY_ERROR_VERSION: The agent speaks no version of the bus socket that this library speaks.
 * @GANGWAY_ERROR_NOT_ATTACHED: There is no agent at the moment; the bus attaches by itself when there is.
 * @GANGWAY_ERROR_BUSY: The agent does not keep up; the datagram was dropped and counted.
 * @GANGWAY_ERROR_LIMIT: More nodes, or a larger datagram, than was agreed on.
 * @GANGWAY_ERROR_NODE_DOWN: The node is no longer up.
 * @GANGWAY_ERROR_SANDBOX: The system-call filter could not be installed.
 *
 * What went wrong.
 *
 * Since: 0.1
 */
typedef enum
{
  GANGWAY_ERROR_FAILED,
  GANGWAY_ERROR_REFUSED,
  GANGWAY_ERROR_VERSION,
  GANGWAY_ERROR_NOT_ATTACHED,
  GANGWAY_ERROR_BUSY,
  GANGWAY_ERROR_LIMIT,
  GANGWAY_ERROR_NODE_DOWN,
  GANGWAY_ERROR_SANDBOX,
} GangwayError;

GANGWAY_API GQuark gangway_error_quark (void);

/**
 * GangwayDownReason:
 * @GANGWAY_DOWN_REASON_GONE: Unplugged, or the line hung up.
 * @GANGWAY_DOWN_REASON_SILENT: It does not answer any more.
 * @GANGWAY_DOWN_REASON_REPLACED: Another endpoint answers in its place.
 *
 * Why a node left the bus.
 *
 * Since: 0.1
 */
typedef enum
{
  GANGWAY_DOWN_REASON_GONE = 1,
  GANGWAY_DOWN_REASON_SILENT = 2,
  GANGWAY_DOWN_REASON_REPLACED = 3,
} GangwayDownReason;

/**
 * GangwayStats:
 * @frames_in: Good frames from the wire.
 * @frames_out: Frames to the wire.
 * @bytes_in: Octets from the wire, framing and garbage included.
 * @bytes_out: Octets to the wire, framing included.
 * @fcs_errors: Frames refused for their check sequence.
 * @oversize: Frames refused for their length.
 * @aborted: Frames broken off by the sender.
 * @dropped: Datagrams that the plugin dropped. The library adds those that it dropped itself, so a plugin that uses
 *   only gangway_node_queue_push() leaves this 0.
 *
 * Counters of a bus since the plugin started. None ever falls.
 *
 * Since: 0.1
 */
typedef struct
{
  guint64 frames_in;
  guint64 frames_out;
  guint64 bytes_in;
  guint64 bytes_out;
  guint64 fcs_errors;
  guint64 oversize;
  guint64 aborted;
  guint64 dropped;
} GangwayStats;

/**
 * GangwayLinkState:
 * @GANGWAY_LINK_STATE_UNKNOWN: The bus has no such state, or nobody has asked yet.
 * @GANGWAY_LINK_STATE_ACTIVE: As it should be.
 * @GANGWAY_LINK_STATE_WARNING: Errors pile up: a counter of the controller is past 96.
 * @GANGWAY_LINK_STATE_PASSIVE: Past 127: the controller may no longer interrupt others.
 * @GANGWAY_LINK_STATE_OFF: Nothing goes in or out until the controller is started again.
 *
 * How the link layer stands. The names are those of CAN's fault confinement (ISO 11898-1).
 *
 * Since: 0.1
 */
typedef enum
{
  GANGWAY_LINK_STATE_UNKNOWN,
  GANGWAY_LINK_STATE_ACTIVE,
  GANGWAY_LINK_STATE_WARNING,
  GANGWAY_LINK_STATE_PASSIVE,
  GANGWAY_LINK_STATE_OFF,
} GangwayLinkState;

/**
 * GangwayLink:
 * @state: How the link layer stands.
 * @tx_errors: The controller's counter of transmit errors.
 * @rx_errors: The controller's counter of receive errors.
 * @load_permille: What the traffic takes of the bit rate, in thousandths; %G_MAXUINT = unknown.
 * @round_trip_ms: What a full datagram there and a full one back take at the link's present load, in milliseconds; 0 = not
 *   measured. The agent's retransmission timers are made from it.
 * @octets_per_second: Octets of datagrams that the link can carry in a second, both directions together; 0 = not known.
 * @culprit: Address of the node that takes more than its share of the link; 0 = none. Frames that belong to no node are
 *   named by 0x80000000 | their id of 11 bits, or 0xC0000000 | their id of 29.
 * @culprit_permille: What the culprit takes of the bit rate, in thousandths.
 *
 * How a link is at the moment. What is beyond the range of the bus socket (16 bits, 1000 permille) is shown as its limit.
 *
 * Since: 0.1
 */
typedef struct
{
  GangwayLinkState state;
  guint tx_errors;
  guint rx_errors;
  guint load_permille;
  guint round_trip_ms;
  guint octets_per_second;
  guint culprit;
  guint culprit_permille;
} GangwayLink;

#define GANGWAY_TYPE_ERROR (gangway_error_get_type ())
GANGWAY_API GType gangway_error_get_type (void) G_GNUC_CONST;

#define GANGWAY_TYPE_DOWN_REASON (gangway_down_reason_get_type ())
GANGWAY_API GType gangway_down_reason_get_type (void) G_GNUC_CONST;

#define GANGWAY_TYPE_STATS (gangway_stats_get_type ())
GANGWAY_API GType gangway_stats_get_type (void) G_GNUC_CONST;

GANGWAY_API GangwayStats *gangway_stats_new (void);
GANGWAY_API GangwayStats *gangway_stats_copy (const GangwayStats *stats);
GANGWAY_API void gangway_stats_free (GangwayStats *stats);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GangwayStats, gangway_stats_free)

#define GANGWAY_TYPE_LINK_STATE (gangway_link_state_get_type ())
GANGWAY_API GType gangway_link_state_get_type (void) G_GNUC_CONST;

#define GANGWAY_TYPE_LINK (gangway_link_get_type ())
GANGWAY_API GType gangway_link_get_type (void) G_GNUC_CONST;

GANGWAY_API GangwayLink *gangway_link_new (void);
GANGWAY_API GangwayLink *gangway_link_copy (const GangwayLink *link);
GANGWAY_API void gangway_link_free (GangwayLink *link);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GangwayLink, gangway_link_free)

G_END_DECLS
