/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * An SLCAN adapter on a pty, made of gw-slcan-codec, with something behind it that a foreign program at the
 * host's end judges:
 *
 *   slcan-peer echo           every frame comes back
 *   slcan-peer slaves UID ..   LSS slaves (gw-lss-slave), UID 16 hex digits
 *   slcan-peer master VENDOR  the LSS master (gw-lss-master); numbers count from 1
 *
 * The first line on its output is the pty's path. Then, a line each: "numbered NODE UID", "trouble KIND UID".
 * End of file on its input ends it.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "gw-lss-master.h"
#include "gw-lss-slave.h"
#include "gw-slcan-codec.h"

#define SLAVES_MAX 32
#define VENDOR 0x00000B5Au
#define VERSION 0x1013 /* hardware 1.0, software 1.3 */
#define SERIAL "GW01"
#define USEC_PER_MSEC 1000

typedef struct
{
  int fd;
  bool open;
  bool echoes;
  GwSlcanCollector collector;
  GwLssSlave slaves[SLAVES_MAX];
  unsigned n_slaves;
  GwLssMaster master;
  bool has_master;
  uint8_t last_number;
} Peer;

static int64_t
now_usec (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
say (Peer *self, const GwSlcanLine *line)
{
  char text[GW_SLCAN_LINE_MAX];
  size_t len;

  if (gw_slcan_encode (line, text, sizeof text, &len) != GW_OK)
    abort ();
  if (write (self->fd, text, len) != (ssize_t)len)
    exit (EXIT_FAILURE); /* nobody reads */
}

static void
say_frame (Peer *self, const GwCanFrame *frame)
{
  say (self, &(GwSlcanLine){ .kind = GW_SLCAN_FRAME, .frame = *frame });
}

/* ---- The master's owner ---- */

static void
print_uid (const char *what, unsigned n, const uint8_t *uid)
{
  printf ("%s %u ", what, n);
  for (unsigned i = 0; i < GW_UID_LEN; i++)
    printf ("%02x", uid[i]);
  putchar ('\n');
  fflush (stdout);
}

static uint8_t
on_number (void *owner, const uint8_t *uid, int64_t now)
{
  return ++((Peer *)owner)->last_number;
}

static void
on_numbered (void *owner, uint8_t node_id, const uint8_t *uid, int64_t now)
{
  print_uid ("numbered", node_id, uid);
}

static void
on_trouble (void *owner, GwLssTrouble kind, const uint8_t *uid, int64_t now)
{
  print_uid ("trouble", kind, uid);
}

static const GwLssMasterFuncs funcs = { on_number, on_numbered, on_trouble };

/* ---- What is behind the adapter ---- */

static void
take_frame (Peer *self, const GwCanFrame *frame)
{
  int64_t now = now_usec ();
  GwCanFrame answer;
  bool answers;

  if (self->echoes)
    say_frame (self, frame);
  if (self->has_master)
    gw_lss_master_take (&self->master, frame, now);
  for (unsigned i = 0; i < self->n_slaves; i++)
    {
      gw_lss_slave_take (&self->slaves[i], frame, now, &answer, &answers);
      if (answers)
        say_frame (self, &answer);
    }
}

static void
tick (Peer *self)
{
  int64_t now = now_usec ();
  GwCanFrame frame;

  if (!self->open)
    return;
  for (unsigned i = 0; i < self->n_slaves; i++)
    if (gw_lss_slave_tick (&self->slaves[i], now, &frame))
      say_frame (self, &frame);
  while (self->has_master && gw_lss_master_pull (&self->master, now, &frame))
    {
      say_frame (self, &frame);
      gw_lss_master_confirm (&self->master, now_usec ());
    }
}

static int
timeout_msec (const Peer *self)
{
  int64_t due = INT64_MAX, now = now_usec ();

  if (!self->open)
    return -1;
  for (unsigned i = 0; i < self->n_slaves; i++)
    if (gw_lss_slave_due (&self->slaves[i]) < due)
      due = gw_lss_slave_due (&self->slaves[i]);
  if (self->has_master && gw_lss_master_due (&self->master) < due)
    due = gw_lss_master_due (&self->master);
  if (due == INT64_MAX)
    return -1;
  return due <= now ? 0 : (int)((due - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC);
}

/* ---- The adapter ---- */

static void
take_line (Peer *self, const GwSlcanLine *line)
{
  switch (line->kind)
    {
    case GW_SLCAN_OPEN:
    case GW_SLCAN_CLOSE:
    case GW_SLCAN_SPEED:
    case GW_SLCAN_OK:
      self->open = line->kind == GW_SLCAN_OPEN || (self->open && line->kind != GW_SLCAN_CLOSE);
      say (self, &(GwSlcanLine){ .kind = GW_SLCAN_OK });
      break;
    case GW_SLCAN_VERSION:
      say (self, &(GwSlcanLine){ .kind = GW_SLCAN_VERSION, .has_value = true, .value = VERSION });
      break;
    case GW_SLCAN_SERIAL:
      say (self, &(GwSlcanLine){ .kind = GW_SLCAN_SERIAL, .has_value = true, .text = SERIAL });
      break;
    case GW_SLCAN_STATUS:
      say (self, &(GwSlcanLine){ .kind = GW_SLCAN_STATUS, .has_value = true });
      break;
    case GW_SLCAN_FRAME:
      say (self, &(GwSlcanLine){ .kind = self->open ? GW_SLCAN_SENT : GW_SLCAN_ERROR,
                                 .frame.extended = line->frame.extended });
      if (self->open)
        take_frame (self, &line->frame);
      break;
    default:
      say (self, &(GwSlcanLine){ .kind = GW_SLCAN_ERROR });
      break;
    }
}

static void
take_octets (Peer *self)
{
  char octets[256];
  GwSlcanLine line;
  ssize_t n = read (self->fd, octets, sizeof octets);

  if (n < 0 && errno != EIO && errno != EAGAIN)
    exit (EXIT_FAILURE);
  for (ssize_t i = 0; i < n; i++)
    if (gw_slcan_collector_push (&self->collector, octets[i], &line))
      take_line (self, &line);
}

static void
open_pty (Peer *self)
{
  struct termios t;

  self->fd = posix_openpt (O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (self->fd < 0 || grantpt (self->fd) != 0 || unlockpt (self->fd) != 0 || tcgetattr (self->fd, &t) != 0)
    exit (EXIT_FAILURE);
  cfmakeraw (&t);
  tcsetattr (self->fd, TCSANOW, &t);
  /* Held open, so that the host's closing it is no end of file. */
  if (open (ptsname (self->fd), O_RDWR | O_NOCTTY | O_CLOEXEC) < 0)
    exit (EXIT_FAILURE);
  puts (ptsname (self->fd));
  fflush (stdout);
}

static void
add_slave (Peer *self, uint64_t uid)
{
  uint8_t octets[GW_UID_LEN];
  uint32_t identity[GW_LSS_N_SUBS];

  gw_put_u64be (octets, uid);
  gw_lss_identity (VENDOR, octets, identity);
  gw_lss_slave_init (&self->slaves[self->n_slaves++], identity);
}

int
main (int argc, char **argv)
{
  static Peer self;

  if (argc == 2 && strcmp (argv[1], "echo") == 0)
    self.echoes = true;
  else if (argc > 2 && strcmp (argv[1], "slaves") == 0)
    for (int i = 2; i < argc && self.n_slaves < SLAVES_MAX; i++)
      add_slave (&self, strtoull (argv[i], NULL, 16));
  else if (argc == 3 && strcmp (argv[1], "master") == 0)
    {
      self.has_master = true;
      gw_lss_master_init (&self.master, (uint32_t)strtoul (argv[2], NULL, 0), &funcs, &self, now_usec ());
    }
  else
    return 2;
  open_pty (&self);
  gw_slcan_collector_init (&self.collector, GW_SLCAN_FROM_HOST);
  for (;;)
    {
      struct pollfd fds[] = { { .fd = self.fd, .events = POLLIN }, { .fd = STDIN_FILENO, .events = POLLIN } };

      if (poll (fds, 2, timeout_msec (&self)) < 0)
        return EXIT_FAILURE;
      if (fds[1].revents != 0)
        return EXIT_SUCCESS;
      if (fds[0].revents & POLLIN)
        take_octets (&self);
      tick (&self);
    }
}
