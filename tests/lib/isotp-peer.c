/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * gw-isotp in a process of its own, for judges that share nothing with the project. CAN frames go over a CAN
 * interface
 * (`--can vcan0`) or an inherited SEQPACKET socket (`--socket 3`), one record of struct can_frame or
 * canfd_frame each; messages come from standard input and go to standard output, each after its length in
 * four octets, big endian. Failures are told on standard error, and a length of 0 on standard output stands
 * for each. Ends with standard input when all is sent, and with the socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <linux/can.h>
#include <linux/can/raw.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gw-isotp.h"

#define RX_SIZE (1 << 20)
#define QUEUE (16 << 20)     /* a virtual interface has no speed of its own, and by default 300 frames fit */
#define FULL_QUEUE_USEC 1000 /* an interface does not tell when its queue has room again */

typedef struct
{
  GwIsotp isotp;
  guint8 *rx_buffer;
  int can;
  GQueue to_send; /* GBytes */
  GByteArray *input;
  gboolean input_ended;
  gint64 full_until;
} Peer;

static char *can_name;
static int socket_fd = -1, tx_id = 0x18DA01F1, rx_id = 0x18DAF101, tx_dl = 8, block_size, st_min, window = 1,
           timeout_ms = 1000;
static gboolean fd_frames, brs, no_pad;

static const GOptionEntry options[] = {
  { "can", 0, 0, G_OPTION_ARG_STRING, &can_name, "CAN interface", "IFACE" },
  { "socket", 0, 0, G_OPTION_ARG_INT, &socket_fd, "Inherited socket instead", "FD" },
  { "tx-id", 0, 0, G_OPTION_ARG_INT, &tx_id, "Id that is sent (18DA01F1)", "ID" },
  { "rx-id", 0, 0, G_OPTION_ARG_INT, &rx_id, "Id that is listened to (18DAF101)", "ID" },
  { "fd", 0, 0, G_OPTION_ARG_NONE, &fd_frames, "Send FD frames", NULL },
  { "brs", 0, 0, G_OPTION_ARG_NONE, &brs, "With a bit-rate switch", NULL },
  { "tx-dl", 0, 0, G_OPTION_ARG_INT, &tx_dl, "Octets of a full frame", "N" },
  { "no-pad", 0, 0, G_OPTION_ARG_NONE, &no_pad, "Let short frames be short", NULL },
  { "block-size", 0, 0, G_OPTION_ARG_INT, &block_size, "To ask for", "N" },
  { "st-min", 0, 0, G_OPTION_ARG_INT, &st_min, "To ask for, as coded", "N" },
  { "window", 0, 0, G_OPTION_ARG_INT, &window, "Frames in flight", "N" },
  { "timeout", 0, 0, G_OPTION_ARG_INT, &timeout_ms, "All of N_As, Ar, Bs, Cr", "MS" },
  { 0 },
};

static int
open_can (const char *name)
{
  int fd = socket (PF_CAN, SOCK_RAW | SOCK_CLOEXEC, CAN_RAW);
  struct sockaddr_can address = { .can_family = AF_CAN, .can_ifindex = (int)if_nametoindex (name) };
  int on = 1, queue = QUEUE;

  /* Where it is allowed. */
  setsockopt (fd, SOL_SOCKET, SO_RCVBUFFORCE, &queue, sizeof queue);
  if (fd < 0 || bind (fd, (struct sockaddr *)&address, sizeof address) < 0)
    g_error ("%s: %s", name, g_strerror (errno));
  if (fd_frames && setsockopt (fd, SOL_CAN_RAW, CAN_RAW_FD_FRAMES, &on, sizeof on) < 0)
    g_error ("%s: no FD frames: %s", name, g_strerror (errno));
  return fd;
}

static void
write_all (const void *data, gsize len)
{
  const guint8 *at = data;

  while (len > 0)
    {
      gssize n = write (STDOUT_FILENO, at, len);

      if (n < 0 && errno != EINTR)
        g_error ("standard output: %s", g_strerror (errno));
      at += MAX (n, 0);
      len -= (gsize)MAX (n, 0);
    }
}

static void
put_message (GwBytes message)
{
  guint32 len = GUINT32_TO_BE ((guint32)message.len);

  write_all (&len, sizeof len);
  write_all (message.ptr, message.len);
}

static const char *
result_text (GwIsotpResult result)
{
  static const char *const texts[] = {
    [GW_ISOTP_N_OK] = "N_OK",
    [GW_ISOTP_N_TIMEOUT_A] = "N_TIMEOUT_A",
    [GW_ISOTP_N_TIMEOUT_BS] = "N_TIMEOUT_Bs",
    [GW_ISOTP_N_TIMEOUT_CR] = "N_TIMEOUT_Cr",
    [GW_ISOTP_N_WRONG_SN] = "N_WRONG_SN",
    [GW_ISOTP_N_INVALID_FS] = "N_INVALID_FS",
    [GW_ISOTP_N_UNEXP_PDU] = "N_UNEXP_PDU",
    [GW_ISOTP_N_WFT_OVRN] = "N_WFT_OVRN",
    [GW_ISOTP_N_BUFFER_OVFLW] = "N_BUFFER_OVFLW",
  };

  return texts[result];
}

static void
on_event (Peer *self, GwIsotpEvent event)
{
  switch (event)
    {
    case GW_ISOTP_RECEIVED:
      put_message (gw_isotp_message (&self->isotp));
      return;
    case GW_ISOTP_SENT:
      break;
    case GW_ISOTP_SEND_FAILED:
      g_printerr ("send failed: %s\n", result_text (gw_isotp_send_failure (&self->isotp)));
      put_message ((GwBytes){ NULL, 0 });
      break;
    case GW_ISOTP_RECEIVE_FAILED:
      g_printerr ("receive failed: %s\n", result_text (gw_isotp_receive_failure (&self->isotp)));
      put_message ((GwBytes){ NULL, 0 });
      return;
    default:
      return;
    }
  g_bytes_unref (g_queue_pop_head (&self->to_send));
}

/* FALSE: the link takes nothing now. */
static gboolean
put_frame (Peer *self, const GwCanFrame *frame)
{
  struct canfd_frame out = { .can_id = frame->id | (frame->extended ? CAN_EFF_FLAG : 0), .len = frame->len };

  if (frame->fd && frame->brs)
    out.flags = CANFD_BRS;
  memcpy (out.data, frame->data, frame->len);
  if (write (self->can, &out, frame->fd ? CANFD_MTU : CAN_MTU) >= 0)
    return TRUE;
  if (errno != EAGAIN && errno != ENOBUFS)
    g_error ("cannot send a frame: %s", g_strerror (errno));
  self->full_until = g_get_monotonic_time () + FULL_QUEUE_USEC;
  return FALSE;
}

/* FALSE: the link has ended. */
static gboolean
get_frame (Peer *self)
{
  struct canfd_frame in = { 0 };
  gssize n = read (self->can, &in, sizeof in);
  GwCanFrame frame = { .id = in.can_id & CAN_EFF_MASK,
                       .extended = in.can_id & CAN_EFF_FLAG,
                       .remote = in.can_id & CAN_RTR_FLAG,
                       .fd = n == CANFD_MTU,
                       .brs = n == CANFD_MTU && in.flags & CANFD_BRS,
                       .len = in.len };

  if (n == 0)
    return FALSE;
  if (n != CAN_MTU && n != CANFD_MTU)
    return n < 0 && (errno == EAGAIN || errno == EINTR);
  if (in.can_id & CAN_ERR_FLAG)
    return TRUE;
  memcpy (frame.data, in.data, sizeof frame.data);
  on_event (self, gw_isotp_take (&self->isotp, &frame, g_get_monotonic_time ()));
  return TRUE;
}

static void
get_input (Peer *self)
{
  guint8 data[65536];
  gssize n = read (STDIN_FILENO, data, sizeof data);

  if (n <= 0)
    {
      self->input_ended = n == 0 || errno != EINTR;
      return;
    }
  g_byte_array_append (self->input, data, (guint)n);
  while (self->input->len >= sizeof (guint32))
    {
      guint32 len;

      memcpy (&len, self->input->data, sizeof len);
      len = GUINT32_FROM_BE (len);
      if (self->input->len - sizeof len < len)
        return;
      g_queue_push_tail (&self->to_send, g_bytes_new (self->input->data + sizeof len, len));
      g_byte_array_remove_range (self->input, 0, sizeof len + len);
    }
}

/* All that can go out does; stores when to look again. */
static void
work (Peer *self, gint64 *due)
{
  gint64 now = g_get_monotonic_time ();
  GwIsotpEvent event;
  GwCanFrame frame;

  while ((event = gw_isotp_tick (&self->isotp, now)) != GW_ISOTP_NOTHING)
    on_event (self, event);
  do
    {
      GBytes *message = g_queue_peek_head (&self->to_send);

      if (message != NULL && !gw_isotp_is_sending (&self->isotp)
          && gw_isotp_send (&self->isotp,
                            (GwBytes){ g_bytes_get_data (message, NULL), g_bytes_get_size (message) }, now)
                 != GW_OK)
        g_error ("a message of %zu octets cannot be sent", g_bytes_get_size (message));
      while (now >= self->full_until && gw_isotp_pull (&self->isotp, now, &frame))
        if (put_frame (self, &frame))
          on_event (self, gw_isotp_confirm (&self->isotp, now));
        else
          gw_isotp_unpull (&self->isotp);
    }
  while (!gw_isotp_is_sending (&self->isotp) && !g_queue_is_empty (&self->to_send));
  *due = gw_isotp_due (&self->isotp);
  if (now < self->full_until)
    *due = MIN (*due, self->full_until);
}

static void
run (Peer *self)
{
  gint64 due;

  while (work (self, &due), !self->input_ended || gw_isotp_is_sending (&self->isotp))
    {
      struct pollfd fds[]
          = { { self->can, POLLIN, 0 }, { self->input_ended ? -1 : STDIN_FILENO, POLLIN, 0 } };
      gint64 left = due - g_get_monotonic_time (), wait = MAX (left, 0); /* MAX looks twice */
      struct timespec timeout = { wait / G_USEC_PER_SEC, wait % G_USEC_PER_SEC * 1000 };

      if (ppoll (fds, G_N_ELEMENTS (fds), due == G_MAXINT64 ? NULL : &timeout, NULL) < 0 && errno != EINTR)
        g_error ("ppoll: %s", g_strerror (errno));
      if (fds[0].revents != 0 && !get_frame (self))
        return;
      if (fds[1].revents != 0)
        get_input (self);
    }
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  GwIsotpConfig config;
  Peer self = { .input = g_byte_array_new () };

  g_option_context_add_main_entries (context, options, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    g_error ("%s", error->message);
  self.can = can_name ? open_can (can_name) : socket_fd;
  if (!g_unix_set_fd_nonblocking (self.can, TRUE, &error))
    g_error ("neither --can nor a good --socket: %s", error->message);
  gw_isotp_config_default (&config, (guint32)tx_id, (guint32)rx_id);
  config.fd = fd_frames;
  config.brs = brs;
  config.tx_dl = (guint8)tx_dl;
  config.pad = !no_pad;
  config.block_size = (guint8)block_size;
  config.st_min = (guint8)st_min;
  config.window = (guint8)window;
  config.n_as = config.n_ar = config.n_bs = config.n_cr = timeout_ms * G_GINT64_CONSTANT (1000);
  self.rx_buffer = g_malloc (RX_SIZE);
  gw_isotp_init (&self.isotp, &config, self.rx_buffer, RX_SIZE);
  run (&self);
  g_queue_clear_full (&self.to_send, (GDestroyNotify)g_bytes_unref);
  g_byte_array_unref (self.input);
  g_free (self.rx_buffer);
  return 0;
}
