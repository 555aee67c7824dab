// SPDX-License-Identifier: LGPL-2.1-or-later
/* One GSource, one epoll set, one timer heap, one queue of steps.
 *
 * Ownership: the loop owns its GSource and the GwFdWatch objects' memory is handed out and freed by
 * gw_fd_watch_free; timers and steps are embedded in their owners' objects and only linked here.
 *
 * Freeing inside callbacks is safe by construction: a watch knows its place in the array of events being
 * served and blanks it; due timers and steps stand in intrusive lists from which they are unlinked by whoever
 * disarms them.
 */
#include "gw-loop.h"

#include <errno.h>
#include <unistd.h>

#define MAX_EVENTS 256
#define NO_EVENT -1

typedef struct
{
  GSource base;
  GwLoop *loop;
} LoopSource;

struct GwLoop
{
  GSource *source;
  GMainContext *context;
  GwClock *clock;
  guint listener;
  int epoll_fd;
  gpointer epoll_tag;
  guint n_watches;

  GPtrArray *heap; /* of GwTimer, by (deadline, order) */
  GwTimer *due;    /* taken off the heap for this turn, in order */
  guint64 timer_order;

  GwStep *steps; /* first queued first */
  GwStep **steps_end;
  guint n_steps;
  guint64 turn;

  struct epoll_event events[MAX_EVENTS];
  gboolean in_turn;
};

struct GwFdWatch
{
  GwLoop *loop;
  int fd;
  guint32 events;
  int slot; /* place in loop->events during a turn, or NO_EVENT */
  GwFdFunc func;
  gpointer data;
};

/* ---- timers ---- */

static gboolean
timer_before (const GwTimer *a, const GwTimer *b)
{
  if (a->deadline != b->deadline)
    return a->deadline < b->deadline;
  return a->order < b->order;
}

static GwTimer *
heap_at (GwLoop *self, guint index)
{
  return g_ptr_array_index (self->heap, index - 1);
}

static void
heap_place (GwLoop *self, GwTimer *timer, guint index)
{
  g_ptr_array_index (self->heap, index - 1) = timer;
  timer->index = index;
}

static void
heap_up (GwLoop *self, GwTimer *timer)
{
  guint index = timer->index;

  while (index > 1 && timer_before (timer, heap_at (self, index / 2)))
    {
      heap_place (self, heap_at (self, index / 2), index);
      index /= 2;
    }
  heap_place (self, timer, index);
}

static void
heap_down (GwLoop *self, GwTimer *timer)
{
  guint index = timer->index;

  for (guint child; (child = index * 2) <= self->heap->len; index = child)
    {
      if (child < self->heap->len && timer_before (heap_at (self, child + 1), heap_at (self, child)))
        child++;
      if (!timer_before (heap_at (self, child), timer))
        break;
      heap_place (self, heap_at (self, child), index);
    }
  heap_place (self, timer, index);
}

static void
heap_remove (GwLoop *self, GwTimer *timer)
{
  GwTimer *last = heap_at (self, self->heap->len);
  guint index = timer->index;

  g_ptr_array_set_size (self->heap, (gint)self->heap->len - 1);
  timer->index = 0;
  if (last == timer)
    return;
  heap_place (self, last, index);
  heap_up (self, last);
  heap_down (self, last);
}

static void
due_unlink (GwTimer *timer)
{
  *timer->due_prev = timer->due_next;
  if (timer->due_next)
    timer->due_next->due_prev = timer->due_prev;
  timer->due_next = NULL;
  timer->due_prev = NULL;
}

void
gw_timer_init (GwTimer *timer, GwLoop *loop, GwTimerFunc func, gpointer data)
{
  *timer = (GwTimer){ .loop = loop, .func = func, .data = data };
}

void
gw_timer_arm (GwTimer *timer, gint64 after_usec)
{
  GwLoop *self = timer->loop;

  g_return_if_fail (self);

  gw_timer_disarm (timer);
  timer->deadline = gw_clock_monotonic (self->clock) + MAX (after_usec, 0);
  timer->order = ++self->timer_order;
  g_ptr_array_add (self->heap, timer);
  timer->index = self->heap->len;
  heap_up (self, timer);
}

void
gw_timer_disarm (GwTimer *timer)
{
  if (timer->due_prev)
    due_unlink (timer);
  if (timer->index)
    heap_remove (timer->loop, timer);
}

gboolean
gw_timer_is_armed (const GwTimer *timer)
{
  return timer->index || timer->due_prev;
}

/* The due ones are taken off the heap first, so that a timer re-armed by its callback waits for the next
 * turn. */
static void
run_timers (GwLoop *self)
{
  gint64 now = gw_clock_monotonic (self->clock);
  GwTimer **end = &self->due;

  while (self->heap->len && heap_at (self, 1)->deadline <= now)
    {
      GwTimer *timer = heap_at (self, 1);

      heap_remove (self, timer);
      timer->due_prev = end;
      timer->due_next = NULL;
      *end = timer;
      end = &timer->due_next;
    }

  while (self->due)
    {
      GwTimer *timer = self->due;

      due_unlink (timer);
      timer->func (timer->data);
    }
}

/* ---- descriptors ---- */

GwFdWatch *
gw_loop_watch (GwLoop *self, int fd, guint32 events, GwFdFunc func, gpointer data)
{
  GwFdWatch *watch = g_new0 (GwFdWatch, 1);

  *watch = (GwFdWatch){ .loop = self, .fd = fd, .slot = NO_EVENT, .func = func, .data = data };
  if (events)
    {
      struct epoll_event event = { .events = events, .data.ptr = watch };

      if (epoll_ctl (self->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        {
          g_free (watch);
          return NULL;
        }
      watch->events = events;
    }
  self->n_watches++;
  return watch;
}

void
gw_fd_watch_set_events (GwFdWatch *watch, guint32 events)
{
  struct epoll_event event = { .events = events, .data.ptr = watch };
  int op = !events ? EPOLL_CTL_DEL : watch->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

  if (events == watch->events)
    return;
  if (epoll_ctl (watch->loop->epoll_fd, op, watch->fd, &event) < 0 && events)
    g_warning ("loop: cannot watch descriptor %d: %s", watch->fd, g_strerror (errno));
  else
    watch->events = events;
}

guint32
gw_fd_watch_get_events (GwFdWatch *watch)
{
  return watch->events;
}

void
gw_fd_watch_free (GwFdWatch *watch)
{
  if (!watch)
    return;
  if (watch->slot != NO_EVENT)
    watch->loop->events[watch->slot].data.ptr = NULL;
  /* Fails if the descriptor was closed before (then the kernel took it out of the set): that is allowed. */
  if (watch->events)
    epoll_ctl (watch->loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
  watch->loop->n_watches--;
  g_free (watch);
}

static void
run_watches (GwLoop *self)
{
  int n = epoll_wait (self->epoll_fd, self->events, MAX_EVENTS, 0);

  for (int i = 0; i < n; i++)
    ((GwFdWatch *)self->events[i].data.ptr)->slot = i;

  for (int i = 0; i < n; i++)
    {
      GwFdWatch *watch = self->events[i].data.ptr;
      guint32 ready = self->events[i].events;

      if (!watch)
        continue;
      watch->slot = NO_EVENT;
      /* An earlier callback of this turn may have narrowed what this watch wants to hear. */
      ready &= watch->events | EPOLLERR | EPOLLHUP;
      if (ready && watch->events)
        watch->func (ready, watch->data);
    }
}

/* ---- steps ---- */

void
gw_step_init (GwStep *step, GwLoop *loop, GwStepFunc func, gpointer data)
{
  *step = (GwStep){ .loop = loop, .func = func, .data = data };
}

void
gw_step_queue (GwStep *step)
{
  GwLoop *self = step->loop;

  g_return_if_fail (self);

  if (step->prev)
    return;
  step->next = NULL;
  step->turn = self->turn;
  step->prev = self->steps_end;
  *self->steps_end = step;
  self->steps_end = &step->next;
  self->n_steps++;
}

void
gw_step_cancel (GwStep *step)
{
  if (!step->prev)
    return;
  *step->prev = step->next;
  if (step->next)
    step->next->prev = step->prev;
  else
    step->loop->steps_end = step->prev;
  step->loop->n_steps--;
  step->next = NULL;
  step->prev = NULL;
}

gboolean
gw_step_is_queued (const GwStep *step)
{
  return step->prev != NULL;
}

static void
run_steps (GwLoop *self)
{
  guint64 queued_in = self->turn;

  /* What a step queues belongs to the next turn: one that queues itself again shall not run twice in this. */
  self->turn++;
  for (guint n = 0; n < GW_LOOP_STEPS_PER_TURN && self->steps && self->steps->turn <= queued_in; n++)
    {
      GwStep *step = self->steps;

      gw_step_cancel (step);
      step->func (step->data);
    }
}

/* ---- the source ---- */

static gboolean
work_is_due (GwLoop *self)
{
  if (self->n_steps)
    return TRUE;
  return self->heap->len && heap_at (self, 1)->deadline <= gw_clock_monotonic (self->clock);
}

static gboolean
source_prepare (GSource *source, gint *timeout)
{
  GwLoop *self = ((LoopSource *)source)->loop;
  gint64 wait;

  *timeout = -1;
  if (work_is_due (self))
    {
      *timeout = 0;
      return TRUE;
    }
  /* A mock clock moves only when told and then wakes the context: never sleep on its account. */
  if (!self->heap->len || gw_clock_is_mock (self->clock))
    return FALSE;

  wait = (heap_at (self, 1)->deadline - gw_clock_monotonic (self->clock) + 999) / 1000;
  *timeout = (gint)CLAMP (wait, 0, G_MAXINT);
  return wait <= 0;
}

static gboolean
source_check (GSource *source)
{
  GwLoop *self = ((LoopSource *)source)->loop;

  return g_source_query_unix_fd (source, self->epoll_tag) || work_is_due (self);
}

static gboolean
source_dispatch (GSource *source, GSourceFunc callback, gpointer data)
{
  GwLoop *self = ((LoopSource *)source)->loop;

  self->in_turn = TRUE;
  run_timers (self);
  run_watches (self);
  run_steps (self);
  self->in_turn = FALSE;
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {
  .prepare = source_prepare,
  .check = source_check,
  .dispatch = source_dispatch,
};

static void
clock_moved (gpointer data)
{
  GwLoop *self = data;

  g_main_context_wakeup (self->context);
}

GwLoop *
gw_loop_new (GMainContext *context, GwClock *clock)
{
  GwLoop *self = g_new0 (GwLoop, 1);

  self->context = g_main_context_ref (context ? context : g_main_context_default ());
  self->clock = gw_clock_ref (clock);
  self->listener = gw_clock_listen (clock, clock_moved, self);
  self->heap = g_ptr_array_new ();
  self->steps_end = &self->steps;
  self->epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  if (self->epoll_fd < 0)
    g_error ("loop: epoll_create1: %s", g_strerror (errno));

  self->source = g_source_new (&source_funcs, sizeof (LoopSource));
  ((LoopSource *)self->source)->loop = self;
  g_source_set_static_name (self->source, "gw-loop");
  self->epoll_tag = g_source_add_unix_fd (self->source, self->epoll_fd, G_IO_IN);
  g_source_attach (self->source, self->context);
  return self;
}

void
gw_loop_free (GwLoop *self)
{
  if (!self)
    return;
  g_return_if_fail (!self->in_turn);
  if (self->n_watches || self->heap->len || self->n_steps)
    g_warning ("loop: freed with %u watches, %u timers and %u steps left", self->n_watches, self->heap->len,
               self->n_steps);

  gw_clock_unlisten (self->clock, self->listener);
  g_source_destroy (self->source);
  g_source_unref (self->source);
  close (self->epoll_fd);
  g_ptr_array_unref (self->heap);
  g_main_context_unref (self->context);
  gw_clock_unref (self->clock);
  g_free (self);
}

GwClock *
gw_loop_clock (GwLoop *self)
{
  return self->clock;
}

GMainContext *
gw_loop_context (GwLoop *self)
{
  return self->context;
}

gint64
gw_loop_now (GwLoop *self)
{
  return gw_clock_monotonic (self->clock);
}

gint64
gw_loop_realtime (GwLoop *self)
{
  return gw_clock_realtime (self->clock);
}
