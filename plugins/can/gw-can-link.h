/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A link to a CAN bus: a SocketCAN interface, or an SLCAN adapter behind a serial line. It reads frames in bounded turns,
 * pulls the next frame from its owner when it can take one, tells which of them have been sent, and how the controller
 * feels. Belongs to the plugin; callbacks run on the default main context, and any of them may free it.
 *
 * A link never configures the bus. An SLCAN adapter is told its bit rate when it is opened: it has none otherwise. */

#include <gio/gio.h>

#include "gw-can.h"

G_BEGIN_DECLS

/* Frames given to the link that are not on the bus yet: few, so that who is next is decided late, and enough to keep the
 * bus busy meanwhile. */
#define GW_CAN_LINK_WINDOW 8

typedef enum
{
  GW_CAN_STATE_UNKNOWN,
  GW_CAN_STATE_ACTIVE,
  GW_CAN_STATE_WARNING,
  GW_CAN_STATE_PASSIVE,
  GW_CAN_STATE_OFF,
} GwCanState;

typedef struct
{
  GwCanState state;
  gboolean up;       /* frames can be sent */
  guint32 bit_rate, data_rate; /* bit/s, 0: not known */
  gboolean fd;       /* takes frames of 64 octets */
  guint tx_errors, rx_errors; /* the controller's counters */
  guint64 bus_errors; /* told by the controller, since the start */
  guint64 lost;      /* frames that came and were lost before we saw them */
} GwCanStatus;

typedef struct
{
  /* Fills @frame in and returns TRUE, or nothing is to be sent. @ahead: microseconds until what lies before it is sent. */
  gboolean (*next) (gpointer owner, GwCanFrame *frame, guint32 *tag, gint64 ahead, gint64 now);
  void (*sent) (gpointer owner, guint32 tag, const GwCanFrame *frame, gint64 now);
  /* It never will be; the newest of those under way comes first. */
  void (*unsent) (gpointer owner, guint32 tag, gint64 now);
  /* It was not, but later ones may have been. */
  void (*lost) (gpointer owner, guint32 tag, gint64 now);
  void (*frame) (gpointer owner, const GwCanFrame *frame, gint64 now);
  /* A frame that is none of ours by its id; they may come late and many at once. */
  void (*overheard) (gpointer owner, const GwCanFrame *frame, gint64 now);
  /* So many frames were there that nobody has seen. */
  void (*missed) (gpointer owner, guint32 frames, gint64 now);
  /* Something in it has changed. */
  void (*status) (gpointer owner, const GwCanStatus *status, gint64 now);
  /* All of the above that one turn had has been told. */
  void (*turned) (gpointer owner, gint64 now);
  /* A line for the log. */
  void (*say) (gpointer owner, const char *text);
  /* The device has gone, or cannot be used; the last callback. @failed: somebody must do something about it. */
  void (*gone) (gpointer owner, gboolean failed, const char *why);
} GwCanLinkFuncs;

typedef struct
{
  const char *device;          /* "can0", or "slcan:/dev/ttyACM0" */
  guint32 bit_rate, data_rate; /* of an SLCAN adapter's bus; data 0: no FD */
  guint tty_speed;             /* of its serial line */
} GwCanLinkConfig;

typedef struct _GwCanLink GwCanLink;

/* Opens all that it will ever need, so that it works in the sandbox. */
GwCanLink *gw_can_link_open (
    const GwCanLinkConfig *config, const GwCanLinkFuncs *funcs, gpointer owner, GError **error);
void gw_can_link_free (GwCanLink *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwCanLink, gw_can_link_free)

/* Does what is due, pulls what may go, and returns when to call again. */
gint64 gw_can_link_tick (GwCanLink *self, gint64 now);

/* ---- For the two kinds of link ---- */

typedef struct
{
  void (*free) (GwCanLink *self);
  gint64 (*tick) (GwCanLink *self, gint64 now);
} GwCanLinkClass;

/* A frame under way. */
typedef struct
{
  guint32 tag;
  gint64 at;
  GwCanFrame frame;
} GwCanFlight;

struct _GwCanLink
{
  const GwCanLinkClass *klass;
  const GwCanLinkFuncs *funcs;
  gpointer owner;
  gatomicrefcount refs; /* one for the owner, one for a turn that is running */
  gboolean alive;       /* not freed, not gone */
  GwCanStatus status;
  GwCanFlight flights[GW_CAN_LINK_WINDOW]; /* oldest first from first_flight on */
  guint first_flight, n_flights;
};

#define GW_CAN_SLCAN_PREFIX "slcan:"

GwCanLink *gw_can_slcan_open (
    const GwCanLinkConfig *config, const GwCanLinkFuncs *funcs, gpointer owner, GError **error);
GwCanLink *gw_can_socket_open (
    const GwCanLinkConfig *config, const GwCanLinkFuncs *funcs, gpointer owner, GError **error);

/* @self is the first member of what the link allocated with g_new (); the last reference frees it. */
void gw_can_link_init (
    GwCanLink *self, const GwCanLinkClass *klass, const GwCanLinkFuncs *funcs, gpointer owner);
/* Around what a link does in a turn of the main loop, all with the time at which it began: holds a reference meanwhile; in the
 * end the owner hears that the turn is over. Returns whether the link is alive; it must not be touched any more if not. */
gint64 gw_can_link_begin_turn (GwCanLink *self);
gboolean gw_can_link_end_turn (GwCanLink *self, gint64 now);
/* Closes it and tells the owner. */
void gw_can_link_go (GwCanLink *self, gboolean failed, const char *why);

/* There is room for one more, or NULL: fill it in, then push it. */
GwCanFlight *gw_can_link_next_flight (GwCanLink *self);
void gw_can_link_push_flight (GwCanLink *self);
/* Takes out the one at @place (0: the oldest) and tells that it was sent, or lost. */
void gw_can_link_end_flight (GwCanLink *self, guint place, gboolean sent, gint64 now);
/* None of them will be sent. */
void gw_can_link_drop_flights (GwCanLink *self, gint64 now);
GwCanFlight *gw_can_link_flight (GwCanLink *self, guint place);

G_END_DECLS
