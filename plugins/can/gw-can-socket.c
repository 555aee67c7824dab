/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A SocketCAN interface. Three sockets, all opened before the sandbox: one that hears what is for us (the kernel's filter
 * sees to it) and our own frames once they were on the bus; one that hears the rest, read now and then and only counted,
 * so that no stranger's flood stands before our frames; and rtnetlink, which tells bit rates, state and error counters.
 *
 * The interface is set up by networkd or whoever, never here. It may go down and come up, and its bit rate may change. */

#include "gw-can-link.h"

#include <errno.h>
#include <glib-unix.h>
#include <linux/can/error.h>
#include <linux/can/netlink.h>
#include <linux/can/raw.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "gw-can-netlink-codec.h"
#include "gw-can-raw-codec.h"
#include "gw-lss-codec.h"

/* Frames read at once, and in one turn of the main loop. */
#define BATCH 32
#define BATCHES_PER_TURN 4
#define EAR_BATCHES 8
/* The kernel halves and bounds it; a second of a full bus would be nice. */
#define RECEIVE_BUFFER (1024 * 1024)
#define NETLINK_SIZE 8192
#define NETLINK_PER_TURN 16
#define NETLINK_USEC (1 * G_TIME_SPAN_SECOND)
#define EAR_BUSY_USEC (20 * G_TIME_SPAN_MILLISECOND)
#define EAR_IDLE_USEC (100 * G_TIME_SPAN_MILLISECOND)
/* The interface's queue is full: there is no event for its having room, so it is tried again. */
#define FULL_USEC (2 * G_TIME_SPAN_MILLISECOND)
/* A frame of which nothing was heard although later ones were sent, and one that is stuck with all others. */
#define OVERTAKEN_USEC (100 * G_TIME_SPAN_MILLISECOND)
#define STUCK_USEC (10 * G_TIME_SPAN_SECOND)

typedef struct
{
  struct mmsghdr headers[BATCH];
  struct iovec vectors[BATCH];
  struct canfd_frame frames[BATCH];
  union
  {
    struct cmsghdr header;
    guint8 octets[CMSG_SPACE (sizeof (guint32))];
  } controls[BATCH];
} Batch;

typedef struct
{
  GwCanLink link;
  char *name;
  guint index;
  int fd, ear, netlink; /* netlink -1: not to be had */
  GSource *in, *netlink_in;
  guint32 fd_drops, ear_drops; /* the kernel's counters */
  gint64 full_until, ear_due, netlink_due;
  guint32 netlink_seq;
  gboolean told_down;
  Batch batch;
} Socket;

/* ---- State ---- */

static void
tell_status (Socket *self, gint64 now)
{
  if (self->link.alive)
    self->link.funcs->status (self->link.owner, &self->link.status, now);
}

static void
set_up (Socket *self, gboolean up, gint64 now)
{
  if (self->link.status.up == up)
    return;
  self->link.status.up = up;
  if (!up)
    gw_can_link_drop_flights (&self->link, now);
  tell_status (self, now);
}

static void
set_state (Socket *self, GwCanState state, gint64 now)
{
  if (self->link.status.state == state)
    return;
  self->link.status.state = state;
  if (state == GW_CAN_STATE_OFF)
    gw_can_link_drop_flights (&self->link, now);
  tell_status (self, now);
}

static void
set_counters (Socket *self, guint tx_errors, guint rx_errors, gint64 now)
{
  GwCanStatus *status = &self->link.status;

  if (status->tx_errors == tx_errors && status->rx_errors == rx_errors)
    return;
  status->tx_errors = tx_errors;
  status->rx_errors = rx_errors;
  tell_status (self, now);
}

static void
take_error (Socket *self, const GwCanRawError *error, gint64 now)
{
  static const GwCanState states[] = {
    [GW_CAN_RAW_STATE_ACTIVE] = GW_CAN_STATE_ACTIVE,
    [GW_CAN_RAW_STATE_WARNING] = GW_CAN_STATE_WARNING,
    [GW_CAN_RAW_STATE_PASSIVE] = GW_CAN_STATE_PASSIVE,
    [GW_CAN_RAW_STATE_OFF] = GW_CAN_STATE_OFF,
  };

  self->link.status.bus_errors += error->bus_error;
  self->link.status.lost += error->overflow;
  /* What was in the controller when it was started again is gone. */
  if (error->restarted)
    gw_can_link_drop_flights (&self->link, now);
  if (error->state != GW_CAN_RAW_STATE_SAME)
    set_state (self, states[error->state], now);
  if (error->has_counters)
    set_counters (self, error->tx_errors, error->rx_errors, now);
}

/* ---- Frames in ---- */

/* Frames that the kernel had no room for since the last call, of which the owner is told. */
static guint32
count_drops (Socket *self, struct msghdr *header, guint32 *last, gint64 now)
{
  for (struct cmsghdr *c = CMSG_FIRSTHDR (header); c != NULL; c = CMSG_NXTHDR (header, c))
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL)
      {
        guint32 drops, since;

        memcpy (&drops, CMSG_DATA (c), sizeof drops);
        since = drops - *last;
        *last = drops;
        if (since > 0)
          self->link.funcs->missed (self->link.owner, since, now);
        return since;
      }
  return 0;
}

static gboolean
is_same (const GwCanFrame *a, const GwCanFrame *b)
{
  return a->id == b->id && a->extended == b->extended && a->fd == b->fd && a->len == b->len
         && memcmp (a->data, b->data, a->len) == 0;
}

/* Our own frame has been on the bus. Controllers with several mailboxes may send two in another order; what was overtaken
 * long ago will not come. */
static void
take_own (Socket *self, const GwCanFrame *frame, gint64 now)
{
  GwCanLink *link = &self->link;
  guint place = 0;

  while (place < link->n_flights && !is_same (&gw_can_link_flight (link, place)->frame, frame))
    place++;
  if (place == link->n_flights)
    return; /* given up before */
  for (; place > 0 && now - gw_can_link_flight (link, 0)->at >= OVERTAKEN_USEC; place--)
    gw_can_link_end_flight (link, 0, FALSE, now);
  gw_can_link_end_flight (link, place, TRUE, now);
}

static void
take_message (Socket *self, guint i, gint64 now)
{
  struct msghdr *header = &self->batch.headers[i].msg_hdr;
  GwCanRawError error;
  GwCanFrame frame;

  self->link.status.lost += count_drops (self, header, &self->fd_drops, now);
  switch (gw_can_raw_decode (&self->batch.frames[i], self->batch.headers[i].msg_len, &frame, &error))
    {
    case GW_CAN_RAW_BAD:
      break;
    case GW_CAN_RAW_ERROR:
      take_error (self, &error, now);
      break;
    case GW_CAN_RAW_FRAME:
      /* A controller that is off hears nothing. */
      if (self->link.status.state == GW_CAN_STATE_OFF)
        set_state (self, GW_CAN_STATE_ACTIVE, now);
      if (!self->link.alive)
        return;
      if (header->msg_flags & MSG_CONFIRM)
        take_own (self, &frame, now);
      else
        self->link.funcs->frame (self->link.owner, &frame, now);
      break;
    }
}

/* Returns how many messages came, or -1 with errno. */
static int
receive (Socket *self, int fd)
{
  Batch *batch = &self->batch;

  for (guint i = 0; i < BATCH; i++)
    {
      batch->vectors[i] = (struct iovec){ &batch->frames[i], sizeof batch->frames[i] };
      batch->headers[i].msg_hdr = (struct msghdr){
        .msg_iov = &batch->vectors[i],
        .msg_iovlen = 1,
        .msg_control = &batch->controls[i],
        .msg_controllen = sizeof batch->controls[i],
      };
    }
  return recvmmsg (fd, batch->headers, BATCH, MSG_DONTWAIT, NULL);
}

static void
fail (Socket *self, int code, gint64 now)
{
  switch (code)
    {
    case EAGAIN:
    case EINTR:
      break;
    case ENETDOWN:
      set_up (self, FALSE, now);
      if (self->link.alive && !self->told_down)
        {
          self->told_down = TRUE;
          self->link.funcs->say (self->link.owner, "the interface is down; who sets it up (networkd) brings it up");
        }
      break;
    default:
      gw_can_link_go (&self->link, FALSE, g_strerror (code));
    }
}

static void
read_turn (Socket *self, gint64 now)
{
  for (guint batch = 0; batch < BATCHES_PER_TURN && self->link.alive; batch++)
    {
      int n = receive (self, self->fd);

      if (n < 0)
        {
          fail (self, errno, now);
          return;
        }
      for (int i = 0; i < n && self->link.alive; i++)
        take_message (self, (guint) i, now);
      if (n < BATCH)
        return;
    }
}

static gboolean
on_readable (int fd, GIOCondition condition, gpointer data)
{
  Socket *self = data;
  gint64 now = gw_can_link_begin_turn (&self->link);

  read_turn (self, now);
  return gw_can_link_end_turn (&self->link, now) ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* Counts what is not for us. What was too much even for the kernel is counted by its number. */
static void
listen_on (Socket *self, gint64 now)
{
  guint total = 0;

  for (guint batch = 0; batch < EAR_BATCHES; batch++)
    {
      int n = receive (self, self->ear);

      for (int i = 0; i < n; i++)
        {
          GwCanRawError error;
          GwCanFrame frame;

          count_drops (self, &self->batch.headers[i].msg_hdr, &self->ear_drops, now);
          if (gw_can_raw_decode (&self->batch.frames[i], self->batch.headers[i].msg_len, &frame, &error)
              == GW_CAN_RAW_FRAME)
            self->link.funcs->overheard (self->link.owner, &frame, now);
        }
      total += n > 0 ? (guint) n : 0;
      if (n < BATCH)
        break;
    }
  self->ear_due = now + (total >= BATCH ? EAR_BUSY_USEC : EAR_IDLE_USEC);
}

/* ---- Frames out ---- */

static gboolean
send_frame (Socket *self, const GwCanFrame *frame, gint64 now)
{
  struct canfd_frame raw;
  size_t len = gw_can_raw_encode (frame, &raw);
  ssize_t n;

  do
    n = write (self->fd, &raw, len);
  while (n < 0 && errno == EINTR);
  if (n >= 0)
    return TRUE;
  /* The interface's or the socket's queue is full (others send, too), or FD has been turned off under us. */
  if (errno == ENOBUFS || errno == EAGAIN || errno == EINVAL)
    self->full_until = now + FULL_USEC;
  else
    fail (self, errno, now);
  return FALSE;
}

static gboolean
may_send (Socket *self, gint64 now)
{
  return self->link.alive && self->link.status.up && self->link.status.state != GW_CAN_STATE_OFF
         && now >= self->full_until;
}

/* What has not been on the bus yet. */
static gint64
ahead_usec (Socket *self)
{
  const GwCanStatus *status = &self->link.status;
  guint32 rate = status->bit_rate;
  gint64 nsec = 0;

  for (guint i = 0; rate != 0 && i < self->link.n_flights; i++)
    nsec += (gint64) gw_can_frame_nsec (&gw_can_link_flight (&self->link, i)->frame,
                                        rate,
                                        status->data_rate != 0 ? status->data_rate : rate);
  return nsec / 1000;
}

static void
socket_kick (GwCanLink *link, gint64 now)
{
  Socket *self = (Socket *) link;
  GwCanFlight *flight;

  while (may_send (self, now) && (flight = gw_can_link_next_flight (link)) != NULL
         && link->funcs->next (link->owner, &flight->frame, &flight->tag, ahead_usec (self), now))
    {
      /* A failure drops all flights, this one with them. */
      flight->at = now;
      gw_can_link_push_flight (link);
      if (send_frame (self, &flight->frame, now))
        continue;
      if (link->alive && link->n_flights > 0)
        {
          link->n_flights--;
          link->funcs->unsent (link->owner, gw_can_link_flight (link, link->n_flights)->tag, now);
        }
      return;
    }
}

/* Frames of which nothing is heard any more. */
static void
give_up_flights (Socket *self, gint64 now)
{
  GwCanLink *link = &self->link;

  if (link->n_flights > 0 && now - gw_can_link_flight (link, 0)->at >= STUCK_USEC)
    gw_can_link_drop_flights (link, now);
}

/* ---- rtnetlink ---- */

static void
take_link (Socket *self, const GwCanNetlink *told, gint64 now)
{
  static const GwCanState states[] = {
    [CAN_STATE_ERROR_ACTIVE] = GW_CAN_STATE_ACTIVE,
    [CAN_STATE_ERROR_WARNING] = GW_CAN_STATE_WARNING,
    [CAN_STATE_ERROR_PASSIVE] = GW_CAN_STATE_PASSIVE,
    [CAN_STATE_BUS_OFF] = GW_CAN_STATE_OFF,
  };
  GwCanStatus *status = &self->link.status;
  gboolean fd = told->mtu == CANFD_MTU;

  if (told->mtu != 0
      && (status->fd != fd || status->bit_rate != told->bit_rate || status->data_rate != told->data_rate))
    {
      status->fd = fd;
      status->bit_rate = told->bit_rate;
      status->data_rate = told->data_rate;
      tell_status (self, now);
    }
  if (told->has_counters)
    set_counters (self, told->tx_errors, told->rx_errors, now);
  if (told->up && told->has_state && told->state < G_N_ELEMENTS (states))
    set_state (self, states[told->state], now);
  set_up (self, told->up && told->running, now);
  self->told_down = !told->up;
}

static void
take_netlink (Socket *self, const guint8 *data, gsize len, gint64 now)
{
  GwCanNetlink told;
  size_t used;

  while (len > 0 && self->link.alive)
    {
      switch (gw_can_netlink_decode (data, len, self->index, &told, &used))
        {
        case GW_CAN_NETLINK_LINK:
          take_link (self, &told, now);
          break;
        case GW_CAN_NETLINK_GONE:
          gw_can_link_go (&self->link, FALSE, "the interface was removed");
          return;
        case GW_CAN_NETLINK_OTHER:
          break;
        }
      if (used == 0)
        return;
      data += used;
      len -= used;
    }
}

static gboolean
on_netlink (int fd, GIOCondition condition, gpointer data)
{
  Socket *self = data;
  gint64 now = gw_can_link_begin_turn (&self->link);
  guint8 octets[NETLINK_SIZE];

  for (guint i = 0; i < NETLINK_PER_TURN && self->link.alive; i++)
    {
      struct sockaddr_nl from = { 0 };
      socklen_t from_len = sizeof from;
      ssize_t n = recvfrom (fd, octets, sizeof octets, MSG_DONTWAIT, (struct sockaddr *) &from, &from_len);

      if (n <= 0)
        break; /* all read; or messages were lost, and the next question makes up for it */
      if (from.nl_pid == 0) /* the kernel */
        take_netlink (self, octets, (gsize) n, now);
    }
  return gw_can_link_end_turn (&self->link, now) ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static void
ask_netlink (Socket *self, gint64 now)
{
  guint8 request[GW_CAN_NETLINK_REQUEST_SIZE];
  const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
  size_t len = gw_can_netlink_encode (self->index, ++self->netlink_seq, request);

  self->netlink_due = now + NETLINK_USEC;
  if (self->netlink >= 0)
    sendto (self->netlink, request, len, MSG_DONTWAIT, (const struct sockaddr *) &kernel, sizeof kernel);
  else if (!self->link.status.up)
    set_up (self, TRUE, now); /* nobody tells: try */
}

/* ---- Time ---- */

static gint64
socket_tick (GwCanLink *link, gint64 now)
{
  Socket *self = (Socket *) link;
  gint64 due;

  if (now >= self->ear_due)
    listen_on (self, now);
  if (link->alive && now >= self->netlink_due)
    ask_netlink (self, now);
  if (link->alive)
    give_up_flights (self, now);
  if (link->alive)
    socket_kick (link, now);
  if (!link->alive)
    return G_MAXINT64;
  due = MIN (self->ear_due, self->netlink_due);
  if (now < self->full_until)
    due = MIN (due, self->full_until);
  return due;
}

/* ---- Life ---- */

static void
close_source (GSource **source)
{
  if (*source != NULL)
    g_source_destroy (*source);
  g_clear_pointer (source, g_source_unref);
}

static void
close_fd (int *fd)
{
  if (*fd >= 0)
    close (*fd);
  *fd = -1;
}

static void
socket_free (GwCanLink *link)
{
  Socket *self = (Socket *) link;

  close_source (&self->in);
  close_source (&self->netlink_in);
  close_fd (&self->fd);
  close_fd (&self->ear);
  close_fd (&self->netlink);
  g_clear_pointer (&self->name, g_free);
}

static const GwCanLinkClass socket_class = { socket_free, socket_tick };

static gboolean
fail_open (const char *name, const char *what, GError **error)
{
  int code = errno;

  g_set_error (error,
               G_IO_ERROR,
               g_io_error_from_errno (code),
               "%s: %s: %s%s",
               name,
               what,
               g_strerror (code),
               code == EAFNOSUPPORT || code == EPROTONOSUPPORT ? "; load the kernel's modules can and can_raw" : "");
  return FALSE;
}

#define EXACT (CAN_EFF_FLAG | CAN_RTR_FLAG)

/* What is for us, and what we send ourselves: without it nobody would confirm it. */
static const struct can_filter ours[] = {
  { GW_LSS_ID_SLAVE, CAN_SFF_MASK | EXACT },
  { GW_LSS_ID_MASTER, CAN_SFF_MASK | EXACT },
  { GW_NMT_ID, CAN_SFF_MASK | EXACT },
  { GW_HEARTBEAT_ID, 0x780 | EXACT },
  { GW_CAN_ISOTP_ID | GW_CAN_GATEWAY_ADDRESS << 8 | CAN_EFF_FLAG, 0x1FFFFF00 | EXACT },
  { GW_CAN_ISOTP_ID | GW_CAN_GATEWAY_ADDRESS | CAN_EFF_FLAG, 0x1FFF00FF | EXACT },
};

static gboolean
set_option (int fd, int level, int option, const void *value, socklen_t len)
{
  return setsockopt (fd, level, option, value, len) == 0;
}

/* A socket on the interface that hears what is ours, or all else. */
static int
open_raw (Socket *self, gboolean else_, GError **error)
{
  struct can_filter filters[G_N_ELEMENTS (ours)];
  const struct sockaddr_can address = { .can_family = AF_CAN, .can_ifindex = (int) self->index };
  const can_err_mask_t errors = else_ ? 0 : CAN_ERR_MASK;
  const int yes = 1, size = RECEIVE_BUFFER, own = !else_;
  int fd = socket (PF_CAN, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, CAN_RAW);

  if (fd < 0)
    {
      fail_open (self->name, "cannot open", error);
      return -1;
    }
  memcpy (filters, ours, sizeof filters);
  for (guint i = 0; else_ && i < G_N_ELEMENTS (filters); i++)
    filters[i].can_id |= CAN_INV_FILTER;
  /* A larger buffer and the count of what it does not hold are good to have, no more. */
  set_option (fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  set_option (fd, SOL_SOCKET, SO_RXQ_OVFL, &yes, sizeof yes);
  if (!set_option (fd, SOL_CAN_RAW, CAN_RAW_FILTER, filters, sizeof filters)
      || (else_ && !set_option (fd, SOL_CAN_RAW, CAN_RAW_JOIN_FILTERS, &yes, sizeof yes))
      || !set_option (fd, SOL_CAN_RAW, CAN_RAW_ERR_FILTER, &errors, sizeof errors)
      || !set_option (fd, SOL_CAN_RAW, CAN_RAW_FD_FRAMES, &yes, sizeof yes)
      || !set_option (fd, SOL_CAN_RAW, CAN_RAW_RECV_OWN_MSGS, &own, sizeof own)
      || bind (fd, (const struct sockaddr *) &address, sizeof address) < 0)
    {
      fail_open (self->name, "cannot set up a socket", error);
      close (fd);
      return -1;
    }
  return fd;
}

/* Index, MTU and flags: what is known before rtnetlink answers. */
static gboolean
look (Socket *self, GError **error)
{
  struct ifreq request = { 0 };
  int fd = socket (PF_CAN, SOCK_RAW | SOCK_CLOEXEC, CAN_RAW);
  gboolean good;

  if (fd < 0)
    return fail_open (self->name, "no CAN", error);
  g_strlcpy (request.ifr_name, self->name, sizeof request.ifr_name);
  good = ioctl (fd, SIOCGIFINDEX, &request) == 0;
  self->index = (guint) request.ifr_ifindex;
  good = good && ioctl (fd, SIOCGIFHWADDR, &request) == 0;
  if (good && request.ifr_hwaddr.sa_family != ARPHRD_CAN)
    {
      errno = ENODEV;
      good = FALSE;
    }
  good = good && ioctl (fd, SIOCGIFMTU, &request) == 0;
  self->link.status.fd = request.ifr_mtu == CANFD_MTU;
  good = good && ioctl (fd, SIOCGIFFLAGS, &request) == 0;
  self->link.status.up = (request.ifr_flags & IFF_UP) != 0;
  if (!good)
    fail_open (self->name, "no CAN interface", error);
  close (fd);
  return good;
}

static void
open_netlink (Socket *self)
{
  const struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };

  self->netlink = socket (AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (self->netlink >= 0 && bind (self->netlink, (const struct sockaddr *) &address, sizeof address) < 0)
    close_fd (&self->netlink);
}

static GSource *
watch (int fd, GUnixFDSourceFunc func, Socket *self)
{
  GSource *source = g_unix_fd_source_new (fd, G_IO_IN | G_IO_HUP | G_IO_ERR);

  g_source_set_callback (source, G_SOURCE_FUNC (func), self, NULL);
  g_source_attach (source, NULL);
  return source;
}

GwCanLink *
gw_can_socket_open (const GwCanLinkConfig *config, const GwCanLinkFuncs *funcs, gpointer owner, GError **error)
{
  Socket *self = g_new0 (Socket, 1);

  gw_can_link_init (&self->link, &socket_class, funcs, owner);
  self->name = g_strdup (config->device);
  self->fd = self->ear = self->netlink = -1;
  if (strlen (self->name) >= IFNAMSIZ || !look (self, error) || (self->fd = open_raw (self, FALSE, error)) < 0
      || (self->ear = open_raw (self, TRUE, error)) < 0)
    {
      if (error != NULL && *error == NULL)
        g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_FILENAME, "%s: no name of an interface", self->name);
      gw_can_link_free (&self->link);
      return NULL;
    }
  open_netlink (self);
  self->in = watch (self->fd, on_readable, self);
  if (self->netlink >= 0)
    self->netlink_in = watch (self->netlink, on_netlink, self);
  return &self->link;
}
