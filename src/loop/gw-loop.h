// SPDX-License-Identifier: LGPL-2.1-or-later
/* The loop for everything that exists once per endpoint: descriptors, timers and costly steps.
 *
 * GLib's own main loop is poll(): with 10,000 sources a wake-up costs 0.6 ms. So all of them stand behind ONE
 * GSource around one epoll set and one binary heap of timers; the price of a wake-up does not depend on their
 * number.
 *
 * One thread: every call comes from the thread that runs the GMainContext.
 *
 * A turn runs, in this order: the timers due, the descriptors ready (up to 256, the rest next turn), then up
 * to GW_LOOP_STEPS_PER_TURN queued steps. What a callback arms or queues waits for the next turn at least, so
 * nobody can hold a turn.
 *
 * Any call is allowed in any callback, freeing the object that is being called included. Only the loop itself
 * must not be freed inside a callback. Watches, timers and steps must be gone (freed, disarmed, cancelled)
 * before their loop is.
 */
#pragma once

#include <sys/epoll.h>
#include "gw-clock.h"

G_BEGIN_DECLS

/** Costly steps (a TLS handshake step costs 1-2 ms) run in one turn, so that telemetry and D-Bus get theirs.
 */
#define GW_LOOP_STEPS_PER_TURN 8

typedef struct GwLoop GwLoop;
typedef struct GwFdWatch GwFdWatch;
typedef struct GwTimer GwTimer;
typedef struct GwStep GwStep;

/** @events: what is ready, as epoll says it: EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLERR, EPOLLHUP. */
typedef void (*GwFdFunc) (guint32 events, gpointer data);
typedef void (*GwTimerFunc) (gpointer data);
typedef void (*GwStepFunc) (gpointer data);

/** Embed it in the object it serves; all fields are the loop's. A zeroed one may be disarmed. */
struct GwTimer
{
  GwLoop *loop;
  GwTimerFunc func;
  gpointer data;
  gint64 deadline;
  guint64 order;
  guint index; /* place in the heap + 1; 0 = not in it */
  GwTimer *due_next;
  GwTimer **due_prev;
};

/** Embed it in the object it serves; all fields are the loop's. A zeroed one may be cancelled. */
struct GwStep
{
  GwLoop *loop;
  GwStepFunc func;
  gpointer data;
  guint64 turn; /* in which it was queued */
  GwStep *next;
  GwStep **prev;
};

/** @context NULL = the default one. Holds references to both until freed. */
GwLoop *gw_loop_new (GMainContext *context, GwClock *clock);
void gw_loop_free (GwLoop *self);
GwClock *gw_loop_clock (GwLoop *self);
GMainContext *gw_loop_context (GwLoop *self);
/** Microseconds; the clock's monotonic and real time. */
gint64 gw_loop_now (GwLoop *self);
gint64 gw_loop_realtime (GwLoop *self);

/**
 * Watches @fd, level-triggered, until gw_fd_watch_free; @fd stays the caller's and one descriptor can be
 * watched once.
 * @events 0 takes it out of the set: then not even a hang-up is reported (epoll would report it for ever).
 * Returns NULL with errno set if the kernel refuses (EPERM for a plain file, ENOSPC, EEXIST).
 */
GwFdWatch *gw_loop_watch (GwLoop *self, int fd, guint32 events, GwFdFunc func, gpointer data);
void gw_fd_watch_set_events (GwFdWatch *watch, guint32 events);
guint32 gw_fd_watch_get_events (GwFdWatch *watch);
/** Before or after the descriptor is closed; an event already seen in this turn is dropped. NULL is fine. */
void gw_fd_watch_free (GwFdWatch *watch);

void gw_timer_init (GwTimer *timer, GwLoop *loop, GwTimerFunc func, gpointer data);
/** Fires once, not before @after_usec (<= 0: next turn). Arming an armed timer moves it. Equal deadlines fire
 * in the order of arming. */
void gw_timer_arm (GwTimer *timer, gint64 after_usec);
void gw_timer_disarm (GwTimer *timer);
gboolean gw_timer_is_armed (const GwTimer *timer);

void gw_step_init (GwStep *step, GwLoop *loop, GwStepFunc func, gpointer data);
/** Runs once, after those queued earlier. Queueing a queued step changes nothing. */
void gw_step_queue (GwStep *step);
void gw_step_cancel (GwStep *step);
gboolean gw_step_is_queued (const GwStep *step);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwLoop, gw_loop_free)

G_END_DECLS
