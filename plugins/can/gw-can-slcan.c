/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An SLCAN adapter behind a serial line (Lawicel's CAN232 and what followed it). Commands are answered in their order, so
 * what is asked and not answered yet stands in a queue; frames that come are in between.
 *
 * An adapter says "queued", not "sent". So frames are given to it at the pace of the bus, as far as that can be computed
 * from the frames that went by: its queue stays short, and who is next is decided here. Some adapters answer nothing at
 * all; for them the pace alone decides. */

#include "gw-can-link.h"

#include <string.h>

#include "gw-serial-port.h"
#include "gw-serial-tty.h"
#include "gw-hush.h"
#include "gw-slcan-codec.h"

/* Octets taken in one turn of the main loop: about 150 frames. */
#define READ_PER_TURN 4096
#define TX_SIZE 2048
/* An adapter that has an answer gives it at once; over a slow line it takes its time. */
#define ANSWER_USEC (500 * G_TIME_SPAN_MILLISECOND)
/* What it had to say before we came: thrown away for so long. */
#define SETTLE_USEC (100 * G_TIME_SPAN_MILLISECOND)
#define STATUS_USEC (250 * G_TIME_SPAN_MILLISECOND)
/* After "full", and after bus off before it is opened anew. */
#define FULL_USEC (2 * G_TIME_SPAN_MILLISECOND)
#define REOPEN_USEC (1 * G_TIME_SPAN_SECOND)
/* Nothing but "full" for so long is no full queue. */
#define REFUSED_USEC (2 * G_TIME_SPAN_SECOND)
#define QUEUE_MAX (GW_CAN_LINK_WINDOW + 4)
/* What may wait in the adapter: so much time of the bus, so that it has something to send while we are not scheduled; half as
 * much each time that it is full, but always so many frames. */
#define AHEAD_NSEC (5000 * G_GINT64_CONSTANT (1000))
#define AHEAD_FRAMES 4
#define FRAME_BITS 131 /* of 8 octets with 29 bits of id, none stuffed */
#define STATUS_REFUSED_MAX 3
#define OFF_SIGNS 2

typedef enum
{
  STEP_SETTLE,
  STEP_VERSION,
  STEP_SPEED,
  STEP_DATA_SPEED,
  STEP_OPEN,
  STEP_RUNNING,
  STEP_OFF, /* bus off: waiting before it is closed and opened again */
} Step;

/* What an answer is awaited to. */
typedef enum
{
  ASKED_FRAME,
  ASKED_STATUS,
  ASKED_COMMAND,
} Asked;

typedef struct
{
  GwCanLink link;
  char *path;
  GwSerialPort port;
  GwSlcanCollector collector;
  Step step;
  gint64 step_due;
  gboolean answers;       /* it has answered some command */
  gboolean answers_frames; /* .. some frame */
  gboolean mute_frames;    /* .. never a frame, though it was given time: they count as sent when they are written */
  guint version;
  Asked asked[QUEUE_MAX]; /* oldest first from first_asked on */
  guint first_asked, n_asked;
  gint64 asked_due;
  gint64 busy_until; /* nanoseconds: until then the bus has to do with what was given to the adapter */
  gint64 ahead_nsec; /* how far that may be ahead */
  gint64 full_until;
  gint64 refused_since; /* every frame; 0: the last was taken */
  gboolean refused_told; /* since then */
  GwHush refusals;
  gint64 status_due;
  guint status_refused;
  gboolean heard;        /* a frame, since the last answer to F */
  guint off_signs;       /* answers in a row that look like bus off */
  gboolean tells_state; /* by itself, with counters: better than the flags */
  guint speed, data_speed;
  char tx[TX_SIZE];
  gsize tx_pos, tx_len;
} Slcan;

static void enter (Slcan *self, Step step, gint64 now);
static void flush (Slcan *self, gint64 now);

/* ---- To the adapter ---- */

/* Whether all has been written. */
static gboolean
write_out (Slcan *self)
{
  const char *why;

  if (!self->link.alive)
    return FALSE;
  if (gw_serial_port_write (&self->port, self->tx, self->tx_len, &self->tx_pos, &why))
    {
      self->tx_pos = self->tx_len = 0;
      return TRUE;
    }
  if (why != NULL)
    gw_can_link_go (&self->link, FALSE, why);
  return FALSE;
}

static void
put_line (Slcan *self, const GwSlcanLine *line)
{
  size_t len;

  if (gw_slcan_encode (line, self->tx + self->tx_len, sizeof self->tx - self->tx_len, &len) == GW_OK)
    self->tx_len += len;
}

static void
expect (Slcan *self, Asked what, gint64 now)
{
  if (self->n_asked == 0)
    self->asked_due = now + ANSWER_USEC;
  self->asked[(self->first_asked + self->n_asked++) % QUEUE_MAX] = what;
}

static void
command (Slcan *self, GwSlcanKind kind, guint value, gint64 now)
{
  const GwSlcanLine line = { .kind = kind, .value = (uint16_t) value };

  put_line (self, &line);
  expect (self, ASKED_COMMAND, now);
  write_out (self);
}

/* ---- The pace ---- */

static gint64
nsec_of (Slcan *self, const GwCanFrame *frame)
{
  const GwCanStatus *status = &self->link.status;

  return (gint64) gw_can_frame_nsec (
      frame, status->bit_rate, status->data_rate != 0 ? status->data_rate : status->bit_rate);
}

static gint64
least_ahead_nsec (Slcan *self)
{
  return AHEAD_FRAMES * FRAME_BITS * G_GINT64_CONSTANT (1000000000) / self->link.status.bit_rate;
}

static gint64
ahead_usec (Slcan *self, gint64 now)
{
  return MAX (self->busy_until / 1000 - now, 0);
}

static gboolean
may_send (Slcan *self, gint64 now)
{
  return self->step == STEP_RUNNING && now >= self->full_until && now * 1000 + self->ahead_nsec >= self->busy_until
         && self->tx_len + GW_SLCAN_LINE_MAX <= sizeof self->tx && self->n_asked < GW_CAN_LINK_WINDOW;
}

/* Gives the adapter what it may have. */
static void
flush (Slcan *self, gint64 now)
{
  GwCanFlight *flight;

  while (write_out (self) && may_send (self, now))
    {
      /* Several lines in one write. */
      while (may_send (self, now) && (flight = gw_can_link_next_flight (&self->link)) != NULL
             && self->link.funcs->next (self->link.owner, &flight->frame, &flight->tag, ahead_usec (self, now), now))
        {
          const GwSlcanLine line = { .kind = GW_SLCAN_FRAME, .frame = flight->frame };

          put_line (self, &line);
          flight->at = now;
          gw_can_link_push_flight (&self->link);
          self->busy_until = MAX (self->busy_until, now * 1000) + nsec_of (self, &flight->frame);
          if (self->answers && !self->mute_frames)
            expect (self, ASKED_FRAME, now);
          else
            gw_can_link_end_flight (&self->link, 0, TRUE, now);
          if (!self->link.alive)
            return;
        }
      if (self->tx_len == 0)
        return;
    }
}

static void
slcan_kick (GwCanLink *link, gint64 now)
{
  Slcan *self = (Slcan *) link;

  if (!gw_serial_port_is_full (&self->port))
    flush (self, now);
}

static void
flush_turn (gpointer data)
{
  Slcan *self = data;
  gint64 now = gw_can_link_begin_turn (&self->link);

  flush (self, now);
  gw_can_link_end_turn (&self->link, now);
}

/* ---- State ---- */

static void
set_state (Slcan *self, GwCanState state, guint tx_errors, guint rx_errors, gint64 now)
{
  GwCanStatus *status = &self->link.status;

  if (status->state == state && status->tx_errors == tx_errors && status->rx_errors == rx_errors)
    return;
  status->state = state;
  status->tx_errors = tx_errors;
  status->rx_errors = rx_errors;
  if (state == GW_CAN_STATE_OFF && self->step == STEP_RUNNING)
    enter (self, STEP_OFF, now);
  if (self->link.alive)
    self->link.funcs->status (self->link.owner, status, now);
}

static void
take_state (Slcan *self, const GwSlcanLine *line, gint64 now)
{
  GwCanState state = GW_CAN_STATE_ACTIVE;

  switch (line->state.state)
    {
    case GW_SLCAN_STATE_ACTIVE:
      break;
    case GW_SLCAN_STATE_WARNING:
      state = GW_CAN_STATE_WARNING;
      break;
    case GW_SLCAN_STATE_PASSIVE:
      state = GW_CAN_STATE_PASSIVE;
      break;
    case GW_SLCAN_STATE_BUS_OFF:
      state = GW_CAN_STATE_OFF;
      break;
    }
  self->tells_state = TRUE;
  set_state (self, state, line->state.tx_errors, line->state.rx_errors, now);
}

/* The flags know no "off". A controller that is off has errors and sends nothing: its queue fills up; and it hears
 * nothing. Opened anew for nothing, a bus loses a tenth of a second. */
static gboolean
looks_off (Slcan *self, guint flags)
{
  const guint full = GW_SLCAN_STATUS_BUS_ERROR | GW_SLCAN_STATUS_TX_FULL;
  const guint bad = GW_SLCAN_STATUS_BUS_ERROR | GW_SLCAN_STATUS_ERROR_PASSIVE | GW_SLCAN_STATUS_ERROR_WARNING;

  self->off_signs = (flags & bad) == bad && !self->heard ? self->off_signs + 1 : 0;
  self->heard = FALSE;
  return (flags & full) == full || self->off_signs >= OFF_SIGNS;
}

static void
take_flags (Slcan *self, guint flags, gint64 now)
{
  GwCanState state = GW_CAN_STATE_ACTIVE;

  if (flags & GW_SLCAN_STATUS_BUS_ERROR)
    self->link.status.bus_errors++;
  if (flags & (GW_SLCAN_STATUS_DATA_OVERRUN | GW_SLCAN_STATUS_RX_FULL))
    self->link.status.lost++;
  if (looks_off (self, flags))
    state = GW_CAN_STATE_OFF;
  else if (flags & GW_SLCAN_STATUS_ERROR_PASSIVE)
    state = GW_CAN_STATE_PASSIVE;
  else if (flags & (GW_SLCAN_STATUS_ERROR_WARNING | GW_SLCAN_STATUS_BUS_ERROR))
    state = GW_CAN_STATE_WARNING;
  if (!self->tells_state)
    set_state (self, state, 0, 0, now);
}

/* ---- Answers ---- */

/* The oldest question; FALSE: there is none. */
static gboolean
pop_asked (Slcan *self, Asked *what, gint64 now)
{
  if (self->n_asked == 0)
    return FALSE;
  *what = self->asked[self->first_asked];
  self->first_asked = (self->first_asked + 1) % QUEUE_MAX;
  self->n_asked--;
  self->asked_due = now + ANSWER_USEC;
  return TRUE;
}

static void
fail_setup (Slcan *self, const char *what)
{
  g_autofree char *why = g_strdup_printf ("%s: the adapter refuses %s", self->path, what);

  gw_can_link_go (&self->link, TRUE, why);
}

static void
answer_command (Slcan *self, gboolean good, gint64 now)
{
  g_autofree char *speed = NULL;

  self->answers = TRUE;
  switch (self->step)
    {
    case STEP_VERSION:
      enter (self, STEP_SPEED, now);
      break;
    case STEP_SPEED:
      speed = g_strdup_printf ("%u bit/s; choose another --rate", self->link.status.bit_rate);
      if (good)
        enter (self, self->link.status.fd ? STEP_DATA_SPEED : STEP_OPEN, now);
      else
        fail_setup (self, speed);
      break;
    case STEP_DATA_SPEED:
      speed = g_strdup_printf ("a data rate of %u bit/s; does it know CAN FD?", self->link.status.data_rate);
      if (good)
        enter (self, STEP_OPEN, now);
      else
        fail_setup (self, speed);
      break;
    case STEP_OPEN:
      if (good)
        enter (self, STEP_RUNNING, now);
      else
        fail_setup (self, "to open its bus");
      break;
    case STEP_SETTLE:
    case STEP_RUNNING:
    case STEP_OFF:
      break;
    }
}

/* Nothing else tells of it: the adapter is open, and its flags may be as they should be. */
static void
tell_refused (Slcan *self, gint64 now)
{
  if (self->refused_since == 0)
    self->refused_since = now;
  if (self->refused_told || now - self->refused_since < REFUSED_USEC)
    return;
  self->refused_told = TRUE;
  if (gw_hush_take_untold (&self->refusals, now) > 0 || gw_hush_note (&self->refusals, now))
    self->link.funcs->say (self->link.owner,
                           "the adapter takes no frame: is anybody else on the bus, at this bit rate, and may the adapter send?");
}

static void
answer_frame (Slcan *self, gboolean good, gint64 now)
{
  self->answers_frames = TRUE;
  if (good)
    {
      self->refused_since = 0;
      self->refused_told = FALSE;
    }
  else
    {
      tell_refused (self, now);
      /* Full, whatever was computed: it may get rid of some first. */
      self->full_until = now + FULL_USEC;
      self->ahead_nsec = MAX (self->ahead_nsec / 2, least_ahead_nsec (self));
      self->busy_until = MAX (self->busy_until, now * 1000);
    }
  if (self->link.n_flights > 0)
    gw_can_link_end_flight (&self->link, 0, good, now);
}

static void
take_answer (Slcan *self, gboolean good, gint64 now)
{
  Asked what;

  if (self->step == STEP_SETTLE)
    return;
  if (!pop_asked (self, &what, now))
    {
      /* Taken for mute, and only late. */
      self->answers = self->answers || self->step == STEP_RUNNING;
      return;
    }
  switch (what)
    {
    case ASKED_FRAME:
      answer_frame (self, good, now);
      break;
    case ASKED_STATUS:
      /* Neither flags nor "I know no F": it is asked some more times. */
      self->status_refused++;
      break;
    case ASKED_COMMAND:
      answer_command (self, good, now);
      break;
    }
}

/* It answers what came later, or has had its time. Whoever never answers a frame is not asked to. */
static void
miss_frame (Slcan *self, gint64 now)
{
  self->mute_frames = !self->answers_frames;
  if (self->link.n_flights > 0)
    gw_can_link_end_flight (&self->link, 0, self->mute_frames, now);
}

/* An answer that only one kind of question has. Questions before it have lost theirs. */
static gboolean
answers_to (Slcan *self, Asked wanted, gint64 now)
{
  Asked what;

  while (pop_asked (self, &what, now))
    {
      if (what == wanted)
        return TRUE;
      if (what == ASKED_FRAME)
        miss_frame (self, now);
      if (!self->link.alive)
        return FALSE;
    }
  return FALSE;
}

/* Some adapters repeat what they are told before they answer it. Taken for a frame of the bus, our own question would be
 * that of another master. */
static gboolean
is_echo (Slcan *self, const GwCanFrame *frame)
{
  for (guint i = 0; i < self->link.n_flights; i++)
    {
      const GwCanFrame *ours = &gw_can_link_flight (&self->link, i)->frame;

      if (ours->id == frame->id && ours->extended == frame->extended && ours->remote == frame->remote
          && ours->fd == frame->fd && ours->len == frame->len && memcmp (ours->data, frame->data, frame->len) == 0)
        return TRUE;
    }
  return FALSE;
}

static void
take_frame (Slcan *self, const GwCanFrame *frame, gint64 now)
{
  if (self->step != STEP_RUNNING || is_echo (self, frame))
    return;
  self->heard = TRUE;
  /* What we have in the adapter had to wait for it. */
  if (self->busy_until > now * 1000)
    self->busy_until += nsec_of (self, frame);
  self->link.funcs->frame (self->link.owner, frame, now);
}

static void
take_line (Slcan *self, const GwSlcanLine *line, gint64 now)
{
  switch (line->kind)
    {
    case GW_SLCAN_OK:
      take_answer (self, TRUE, now);
      break;
    case GW_SLCAN_ERROR:
      take_answer (self, FALSE, now);
      break;
    case GW_SLCAN_SENT:
      if (self->step != STEP_RUNNING)
        break;
      self->answers = TRUE;
      self->mute_frames = FALSE;
      if (answers_to (self, ASKED_FRAME, now))
        answer_frame (self, TRUE, now);
      break;
    case GW_SLCAN_FRAME:
      take_frame (self, &line->frame, now);
      break;
    case GW_SLCAN_STATUS:
      if (line->has_value && self->step == STEP_RUNNING && answers_to (self, ASKED_STATUS, now))
        {
          self->status_refused = 0;
          take_flags (self, line->value, now);
        }
      break;
    case GW_SLCAN_STATE:
      if (self->step == STEP_RUNNING || self->step == STEP_OFF)
        take_state (self, line, now);
      break;
    case GW_SLCAN_VERSION:
      self->version = line->value;
      if (self->step == STEP_VERSION)
        take_answer (self, TRUE, now);
      break;
    default:
      /* Versions in words, and what nobody knows. */
      if (self->step == STEP_VERSION && (line->kind == GW_SLCAN_OTHER || line->kind == GW_SLCAN_BAD))
        take_answer (self, TRUE, now);
      break;
    }
}

/* ---- From the adapter ---- */

static void
read_lines (Slcan *self, GIOCondition condition, gint64 now)
{
  char data[READ_PER_TURN];
  const char *why;
  gssize n = gw_serial_port_read (&self->port, condition, data, sizeof data, &why);
  GwSlcanLine line;

  for (gssize i = 0; i < n && self->link.alive; i++)
    if (gw_slcan_collector_push (&self->collector, data[i], &line))
      take_line (self, &line, now);
  if (n < 0)
    gw_can_link_go (&self->link, FALSE, why);
}

static void
read_turn (gpointer data, GIOCondition condition)
{
  Slcan *self = data;
  gint64 now = gw_can_link_begin_turn (&self->link);

  read_lines (self, condition, now);
  gw_can_link_end_turn (&self->link, now);
}

static const GwSerialPortFuncs port_funcs = { .readable = read_turn, .writable = flush_turn };

/* ---- Setting up ---- */

static void
set_up (Slcan *self, gboolean up, gint64 now)
{
  if (self->link.status.up == up)
    return;
  self->link.status.up = up;
  self->link.funcs->status (self->link.owner, &self->link.status, now);
}

/* Ends whatever line somebody left half written, and closes the bus, which is the one state where it can be set up. */
static void
close_bus (Slcan *self)
{
  static const char close_lines[] = "\r\r\rC\r";

  self->n_asked = 0;
  self->tx_pos = 0;
  self->tx_len = sizeof close_lines - 1;
  memcpy (self->tx, close_lines, self->tx_len);
  write_out (self);
}

static void
enter (Slcan *self, Step step, gint64 now)
{
  if (!self->link.alive)
    return;
  self->step = step;
  self->step_due = G_MAXINT64;
  switch (step)
    {
    case STEP_SETTLE:
      self->step_due = now + SETTLE_USEC;
      self->busy_until = self->full_until = 0;
      close_bus (self);
      break;
    case STEP_VERSION:
      gw_slcan_collector_init (&self->collector, GW_SLCAN_FROM_ADAPTER);
      command (self, GW_SLCAN_VERSION, 0, now);
      break;
    case STEP_SPEED:
      command (self, GW_SLCAN_SPEED, self->speed, now);
      break;
    case STEP_DATA_SPEED:
      command (self, GW_SLCAN_DATA_SPEED, self->data_speed, now);
      break;
    case STEP_OPEN:
      command (self, GW_SLCAN_OPEN, 0, now);
      break;
    case STEP_RUNNING:
      self->status_due = now + STATUS_USEC;
      /* Off no more, until it says so. */
      if (self->link.status.state == GW_CAN_STATE_OFF)
        self->link.status.state = GW_CAN_STATE_ACTIVE;
      set_up (self, TRUE, now);
      break;
    case STEP_OFF:
      self->step_due = now + REOPEN_USEC;
      self->n_asked = 0;
      gw_can_link_drop_flights (&self->link, now);
      if (self->link.alive)
        set_up (self, FALSE, now);
      break;
    }
}

/* Nothing was said to the oldest question. */
static void
miss_answer (Slcan *self, gint64 now)
{
  Asked what = self->asked[self->first_asked];

  if (what == ASKED_COMMAND)
    {
      gboolean answered = self->answers;

      /* Some never answer: go on without. */
      pop_asked (self, &what, now);
      answer_command (self, TRUE, now);
      self->answers = answered;
      return;
    }
  self->n_asked = 0;
  if (what == ASKED_STATUS)
    self->status_refused++;
  if (self->answers_frames || what == ASKED_STATUS)
    {
      gw_can_link_drop_flights (&self->link, now);
      return;
    }
  while (self->link.alive && self->link.n_flights > 0)
    miss_frame (self, now);
}

static void
poll_status (Slcan *self, gint64 now)
{
  const GwSlcanLine line = { .kind = GW_SLCAN_STATUS };

  self->status_due = now + STATUS_USEC;
  if (!self->answers || self->n_asked >= QUEUE_MAX)
    return;
  put_line (self, &line);
  expect (self, ASKED_STATUS, now);
  write_out (self);
}

static gint64
slcan_tick (GwCanLink *link, gint64 now)
{
  Slcan *self = (Slcan *) link;
  gint64 due;

  if (now >= self->step_due)
    enter (self, self->step == STEP_SETTLE ? STEP_VERSION : STEP_SETTLE, now);
  /* It may have been us who were late. */
  if (link->alive && self->n_asked > 0 && now >= self->asked_due)
    read_lines (self, 0, now);
  if (link->alive && self->n_asked > 0 && now >= self->asked_due)
    miss_answer (self, now);
  if (link->alive && self->step == STEP_RUNNING && self->status_refused < STATUS_REFUSED_MAX && now >= self->status_due
      && self->tx_len == 0)
    poll_status (self, now);
  if (link->alive)
    slcan_kick (link, now);
  if (!link->alive)
    return G_MAXINT64;
  due = MIN (self->step_due, self->n_asked > 0 ? self->asked_due : G_MAXINT64);
  if (self->step == STEP_RUNNING)
    {
      if (self->status_refused < STATUS_REFUSED_MAX)
        due = MIN (due, MAX (self->status_due, now + 1));
      /* The pace: when the adapter may have the next one, should there be one. */
      if (now < self->full_until)
        due = MIN (due, self->full_until);
      else if (self->busy_until > now * 1000 + self->ahead_nsec)
        due = MIN (due, (self->busy_until - self->ahead_nsec) / 1000 + 1);
    }
  return due;
}

/* ---- Life ---- */

static void
slcan_free (GwCanLink *link)
{
  Slcan *self = (Slcan *) link;
  gsize pos = 0;
  const char *why;

  /* Best effort: an adapter that is left open goes on acknowledging frames that nobody reads. */
  gw_serial_port_write (&self->port, "C\r", 2, &pos, &why);
  gw_serial_port_close (&self->port);
  g_clear_pointer (&self->path, g_free);
}

static const GwCanLinkClass slcan_class = { slcan_free, slcan_tick };

static gboolean
choose_speeds (Slcan *self, const GwCanLinkConfig *config, GError **error)
{
  int speed = gw_slcan_speed_of_rate (config->bit_rate);
  int data_speed = config->data_rate != 0 ? gw_slcan_speed_of_data_rate (config->data_rate) : 0;

  if (speed < 0 || data_speed < 0)
    {
      g_set_error (error,
                   G_IO_ERROR,
                   G_IO_ERROR_INVALID_ARGUMENT,
                   speed < 0 ? "SLCAN has no bit rate of %u; there are 10000, 20000, 50000, 100000, 125000, 250000, 500000, "
                               "800000 and 1000000"
                             : "SLCAN has no data rate of %u; there are 500000 and 1000000 to 8000000",
                   speed < 0 ? config->bit_rate : config->data_rate);
      return FALSE;
    }
  self->speed = (guint) speed;
  self->data_speed = (guint) data_speed;
  self->link.status.bit_rate = config->bit_rate;
  self->link.status.data_rate = config->data_rate;
  self->link.status.fd = config->data_rate != 0;
  self->ahead_nsec = MAX (AHEAD_NSEC, least_ahead_nsec (self));
  return TRUE;
}

GwCanLink *
gw_can_slcan_open (const GwCanLinkConfig *config, const GwCanLinkFuncs *funcs, gpointer owner, GError **error)
{
  g_autofree Slcan *self = g_new0 (Slcan, 1);
  const char *path = config->device + strlen (GW_CAN_SLCAN_PREFIX);
  int fd;

  gw_can_link_init (&self->link, &slcan_class, funcs, owner);
  if (!choose_speeds (self, config, error))
    return NULL;
  fd = gw_serial_tty_open (path, config->tty_speed, error);
  if (fd < 0)
    return NULL;
  self->path = g_strdup (path);
  gw_slcan_collector_init (&self->collector, GW_SLCAN_FROM_ADAPTER);
  gw_serial_port_init (&self->port, fd, &port_funcs, self);
  /* The first words wait for the main loop: they may find the device gone. */
  self->step = STEP_OFF;
  return &g_steal_pointer (&self)->link;
}
