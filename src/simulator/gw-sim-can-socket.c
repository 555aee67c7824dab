/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-sim-can-socket.h"

#include <errno.h>
#include <linux/can/raw.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gw-can-raw-codec.h"
#include "gw-sim-pacer.h"

/* A full queue of the interface and an interface that is down are told by no event. */
#define RETRY_NSEC 1000000LL
#define DOWN_NSEC 100000000LL
/* A frame that has not come back by then was lost with the interface's queue (it went down, or away). */
#define ECHO_NSEC 2000000000LL

#define FRAMES_PER_TURN 64

/* The mailbox may be emptied and filled anew meanwhile. */
typedef struct
{
  GwSimCanUnit *unit; /* NULL: it has gone */
  guint mailbox;
  GwCanFrame frame;
  gint64 since;
} Pending;

typedef struct
{
  GwSimCanBus bus;
  GwLoop *loop;
  GwSimPacer pacer;
  char *interface;
  int fd;
  GwFdWatch *watch;
  Pending pending[GW_SIM_CAN_SOCKET_WINDOW];
  guint n_pending;
  gint64 retry; /* nanoseconds */
  guint64 refused, foreign;
} Socket;

/* A mailbox whose frame the kernel has. */
#define GIVEN INT64_MAX

static gint64
socket_now (GwSimCanBus *bus)
{
  return gw_loop_now (((Socket *)bus)->loop) * 1000;
}

static bool
is_same (const GwCanFrame *a, const GwCanFrame *b)
{
  return a->id == b->id && a->extended == b->extended && a->remote == b->remote && a->fd == b->fd
         && a->len == b->len && (a->remote || memcmp (a->data, b->data, a->len) == 0);
}

/* ---- Sending ---- */

static GwSimCanUnit *
find_best (Socket *self, gint64 now, guint *mailbox)
{
  GwSimCanUnit *best = NULL;

  for (guint i = 0; i < self->bus.units->len; i++)
    {
      GwSimCanUnit *unit = self->bus.units->pdata[i];

      for (guint m = 0; unit && m < GW_SIM_CAN_MAILBOXES; m++)
        if (unit->mailboxes[m].full && unit->mailboxes[m].ready <= now
            && (!best || gw_can_frame_wins (&unit->mailboxes[m].frame, &best->mailboxes[*mailbox].frame)))
          {
            best = unit;
            *mailbox = m;
          }
    }
  return best;
}

/* FALSE: not now. A frame that the interface will never take (FD on a classic one) is dropped. */
static gboolean
give (Socket *self, GwSimCanMailbox *box, gint64 now)
{
  struct canfd_frame frame;
  gsize size = gw_can_raw_encode (&box->frame, &frame);

  if (write (self->fd, &frame, size) == (gssize)size)
    {
      box->ready = GIVEN;
      return TRUE;
    }
  self->refused++;
  if (errno == EINVAL)
    box->full = false;
  self->retry = now + (errno == ENOBUFS || errno == EAGAIN ? RETRY_NSEC : DOWN_NSEC);
  return FALSE;
}

static void
send_frames (Socket *self, gint64 now)
{
  guint mailbox = 0;
  GwSimCanUnit *unit;

  while (self->n_pending < GW_SIM_CAN_SOCKET_WINDOW && self->retry <= now
         && (unit = find_best (self, now, &mailbox)) && give (self, &unit->mailboxes[mailbox], now))
    self->pending[self->n_pending++] = (Pending){ unit, mailbox, unit->mailboxes[mailbox].frame, now };
}

/* Whether what the mailbox holds is what the kernel was given. */
static gboolean
is_given (const Pending *pending)
{
  const GwSimCanMailbox *box = &pending->unit->mailboxes[pending->mailbox];

  return box->full && box->ready == GIVEN && is_same (&box->frame, &pending->frame);
}

static void
send_lost_again (Socket *self, gint64 now)
{
  if (self->n_pending == 0 || now - self->pending[0].since < ECHO_NSEC)
    return;
  for (guint i = 0; i < self->n_pending; i++)
    if (self->pending[i].unit && is_given (&self->pending[i]))
      self->pending[i].unit->mailboxes[self->pending[i].mailbox].ready = now;
  self->n_pending = 0;
}

/* ---- Receiving ---- */

/* Our own frame comes back: in order as a rule, but a controller with several mailboxes may do otherwise. */
static void
take_echo (Socket *self, const GwCanFrame *frame)
{
  for (guint i = 0; i < self->n_pending; i++)
    {
      Pending p = self->pending[i];

      if (!is_same (&p.frame, frame))
        continue;
      self->n_pending--;
      memmove (self->pending + i, self->pending + i + 1, (self->n_pending - i) * sizeof p);
      if (p.unit && is_given (&p))
        p.unit->sending = p.mailbox;
      return;
    }
}

static gboolean
receive (Socket *self)
{
  struct canfd_frame octets;
  struct iovec iov = { &octets, sizeof octets };
  struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
  gssize n = recvmsg (self->fd, &message, 0);
  GwCanRawError error;
  GwCanFrame frame;

  if (n < 0)
    return FALSE;
  if (gw_can_raw_decode (&octets, n, &frame, &error) != GW_CAN_RAW_FRAME)
    return TRUE;
  if (message.msg_flags & MSG_CONFIRM)
    take_echo (self, &frame);
  else
    self->foreign++;
  gw_sim_can_bus_deliver (&self->bus, &frame, gw_loop_now (self->loop));
  return TRUE;
}

/* ---- Time ---- */

static gint64
next_event (Socket *self)
{
  gint64 due = gw_sim_can_bus_due (&self->bus), next = due == INT64_MAX ? due : due * 1000;

  if (self->n_pending > 0)
    next = MIN (next, self->pending[0].since + ECHO_NSEC);
  if (self->n_pending == GW_SIM_CAN_SOCKET_WINDOW)
    return next;
  for (guint i = 0; i < self->bus.units->len; i++)
    {
      const GwSimCanUnit *unit = self->bus.units->pdata[i];

      for (guint m = 0; unit && m < GW_SIM_CAN_MAILBOXES; m++)
        if (unit->mailboxes[m].full && unit->mailboxes[m].ready != GIVEN)
          next = MIN (next, MAX (unit->mailboxes[m].ready, self->retry));
    }
  return next;
}

static void
run (gpointer data)
{
  Socket *self = data;
  gint64 now = socket_now (&self->bus);

  gw_sim_can_bus_begin (&self->bus);
  gw_sim_can_bus_run_due (&self->bus, now / 1000);
  send_lost_again (self, now);
  send_frames (self, now);
  gw_sim_can_bus_end (&self->bus);
  gw_sim_pacer_arm (&self->pacer, next_event (self));
}

static void
on_socket (guint32 events, gpointer data)
{
  Socket *self = data;

  gw_sim_can_bus_begin (&self->bus);
  for (guint i = 0; i < FRAMES_PER_TURN && receive (self); i++)
    ;
  gw_sim_can_bus_end (&self->bus);
  run (self);
}

/* A unit that goes while the kernel has a frame of its, leaves it there. */
static void
socket_kick (GwSimCanBus *bus)
{
  Socket *self = (Socket *)bus;

  for (guint i = 0; i < self->n_pending; i++)
    if (self->pending[i].unit && self->pending[i].unit->bus != bus)
      self->pending[i].unit = NULL;
  if (bus->busy == 0)
    gw_sim_pacer_arm (&self->pacer, next_event (self));
}

/* ---- Life ---- */

static void
socket_add_status (const GwSimCanBus *bus, json_t *status)
{
  const Socket *self = (const Socket *)bus;
  json_t *more
      = json_pack ("{s:s, s:I, s:I, s:i}", "interface", self->interface, "refused", (json_int_t)self->refused,
                   "foreign", (json_int_t)self->foreign, "given", (int)self->n_pending);

  json_object_update (status, more);
  json_decref (more);
}

static void
socket_free (GwSimCanBus *bus)
{
  Socket *self = (Socket *)bus;

  gw_sim_pacer_clear (&self->pacer);
  g_clear_pointer (&self->watch, gw_fd_watch_free);
  if (self->fd >= 0)
    close (self->fd);
  gw_sim_can_bus_clear (bus);
  g_free (self->interface);
  g_free (self);
}

static const GwSimCanBusClass socket_class = {
  .now = socket_now,
  .kick = socket_kick,
  .add_status = socket_add_status,
  .free = socket_free,
};

static gboolean
open_socket (Socket *self)
{
  struct sockaddr_can address = { .can_family = AF_CAN };
  const int on = 1;

  self->fd = socket (PF_CAN, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, CAN_RAW);
  if (self->fd < 0)
    return FALSE;
  address.can_ifindex = if_nametoindex (self->interface);
  if (address.can_ifindex == 0
      || setsockopt (self->fd, SOL_CAN_RAW, CAN_RAW_RECV_OWN_MSGS, &on, sizeof on) != 0
      || (self->bus.data_rate > 0
          && setsockopt (self->fd, SOL_CAN_RAW, CAN_RAW_FD_FRAMES, &on, sizeof on) != 0)
      || bind (self->fd, (struct sockaddr *)&address, sizeof address) != 0)
    return FALSE;
  self->watch = gw_loop_watch (self->loop, self->fd, EPOLLIN, on_socket, self);
  return self->watch != NULL;
}

/* An interface that is not set up for FD takes classic frames only. */
static gboolean
takes_fd (const Socket *self)
{
  struct ifreq request = { 0 };

  g_strlcpy (request.ifr_name, self->interface, sizeof request.ifr_name);
  return ioctl (self->fd, SIOCGIFMTU, &request) == 0 && request.ifr_mtu >= (int)CANFD_MTU;
}

GwSimCanBus *
gw_sim_can_socket_new (
    GwLoop *loop, const char *interface, guint32 bit_rate, guint32 data_rate, GError **error)
{
  Socket *self = g_new0 (Socket, 1);

  gw_sim_can_bus_init (&self->bus, &socket_class, bit_rate, data_rate);
  self->loop = loop;
  self->interface = g_strdup (interface);
  gw_sim_pacer_init (&self->pacer, loop, run, self);
  if (!open_socket (self))
    {
      int errsv = errno;

      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errsv), "Cannot open the CAN interface %s: %s",
                   interface, g_strerror (errsv));
    }
  else if (data_rate > 0 && !takes_fd (self))
    g_set_error (
        error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
        "%s is not set up for CAN FD; leave out --can-data-rate, or set it up: ip link set %s mtu 72",
        interface, interface);
  else
    return &self->bus;
  socket_free (&self->bus);
  return NULL;
}
