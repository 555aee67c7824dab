/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-sim-pair-adapter.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Not <termios.h>: the speed as a number. */
#include <asm/termbits.h>

#include "gw-sim-tty.h"

#define IN_MAX (16 * 1024) /* octets for a user who does not read */
#define USB_PACKET 62      /* of an adapter with a latency */

struct GwSimPairAdapter
{
  GwSimPairUnit unit;
  GwLoop *loop;
  GwSimPair *pair;
  char *link;
  int master; /* -1: unplugged */
  GwFdWatch *watch;
  gboolean has_user, misclocked;
  GByteArray *in; /* heard, not handed over yet */
  gint64 latency; /* microseconds */
  GwTimer latency_timer;
  guint64 octets_in, octets_out, overruns;
};

static void
hand_over (GwSimPairAdapter *self)
{
  gssize n = self->has_user && self->in->len > 0 ? write (self->master, self->in->data, self->in->len) : 0;

  if (n > 0)
    {
      self->octets_out += n;
      g_byte_array_remove_range (self->in, 0, n);
    }
  if (!self->has_user || self->in->len > IN_MAX)
    {
      self->overruns += self->has_user;
      g_byte_array_set_size (self->in, 0);
    }
}

static void
on_latency (gpointer data)
{
  hand_over (data);
}

/* ---- The unit ---- */

static void
unit_heard (GwSimPairUnit *unit, guint8 octet, gint64 at)
{
  GwSimPairAdapter *self = (GwSimPairAdapter *)unit;

  if (self->misclocked)
    octet ^= g_rand_int (gw_sim_pair_rand (self->pair));
  g_byte_array_append (self->in, &octet, 1);
}

static void
unit_flush (GwSimPairUnit *unit)
{
  GwSimPairAdapter *self = (GwSimPairAdapter *)unit;

  if (self->in->len == 0)
    return;
  if (self->latency == 0 || self->in->len >= USB_PACKET)
    hand_over (self);
  else if (!gw_timer_is_armed (&self->latency_timer))
    gw_timer_arm (&self->latency_timer, self->latency);
}

static const GwSimPairUnitClass unit_class = { .heard = unit_heard, .flush = unit_flush };

/* ---- The terminal ---- */

static void
set_user (GwSimPairAdapter *self, gboolean has_user)
{
  self->has_user = has_user;
  g_byte_array_set_size (self->in, 0);
  gw_sim_pair_stop (&self->unit);
  gw_fd_watch_set_events (self->watch, has_user ? EPOLLIN : 0);
}

static void
take (GwSimPairAdapter *self, guint8 *octets, gsize len)
{
  self->octets_in += len;
  for (gsize i = 0; self->misclocked && i < len; i++)
    octets[i] ^= g_rand_int (gw_sim_pair_rand (self->pair));
  if (!gw_sim_pair_send (&self->unit, octets, len, 0))
    self->overruns++;
}

static void
on_master (guint32 events, gpointer data)
{
  GwSimPairAdapter *self = data;
  guint8 octets[4096];
  gssize n = events & EPOLLIN ? read (self->master, octets, sizeof octets) : 0;

  if (n > 0)
    take (self, octets, n);
  else if (events & (EPOLLHUP | EPOLLERR))
    set_user (self, FALSE);
}

void
gw_sim_pair_adapter_check (GwSimPairAdapter *self)
{
  struct pollfd fd = { .fd = self->master };
  struct termios2 tio;

  if (self->master < 0)
    return;
  if (!self->has_user && poll (&fd, 1, 0) >= 0 && !(fd.revents & POLLHUP))
    set_user (self, TRUE);
  if (self->has_user && ioctl (self->master, TCGETS2, &tio) == 0)
    self->misclocked = tio.c_ospeed != gw_sim_pair_speed (self->pair);
}

gboolean
gw_sim_pair_adapter_plug (GwSimPairAdapter *self, GError **error)
{
  int errsv;

  if (self->master >= 0)
    return TRUE;
  self->master = gw_sim_tty_open_master (self->link);
  if (self->master >= 0)
    self->watch = gw_loop_watch (self->loop, self->master, 0, on_master, self);
  if (self->watch)
    {
      gw_sim_pair_attach (self->pair, &self->unit);
      return TRUE;
    }
  errsv = errno;
  gw_sim_pair_adapter_unplug (self);
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errsv), "Cannot plug %s: %s", self->link,
               g_strerror (errsv));
  return FALSE;
}

void
gw_sim_pair_adapter_unplug (GwSimPairAdapter *self)
{
  gw_sim_pair_detach (&self->unit);
  gw_timer_disarm (&self->latency_timer);
  self->has_user = FALSE;
  g_clear_pointer (&self->watch, gw_fd_watch_free);
  if (self->master < 0)
    return;
  g_unlink (self->link);
  close (self->master);
  self->master = -1;
}

/* ---- Life ---- */

GwSimPairAdapter *
gw_sim_pair_adapter_new (GwLoop *loop, GwSimPair *pair, const char *link)
{
  GwSimPairAdapter *self = g_new0 (GwSimPairAdapter, 1);

  gw_sim_pair_unit_init (&self->unit, &unit_class);
  self->loop = loop;
  self->pair = pair;
  self->link = g_strdup (link);
  self->master = -1;
  self->in = g_byte_array_new ();
  gw_timer_init (&self->latency_timer, loop, on_latency, self);
  return self;
}

void
gw_sim_pair_adapter_free (GwSimPairAdapter *self)
{
  gw_sim_pair_adapter_unplug (self);
  g_byte_array_unref (self->in);
  g_free (self->link);
  g_free (self);
}

void
gw_sim_pair_adapter_set_echo (GwSimPairAdapter *self, gboolean echo)
{
  self->unit.hears_itself = echo;
}

void
gw_sim_pair_adapter_set_latency (GwSimPairAdapter *self, guint ms)
{
  self->latency = (gint64)ms * 1000;
}

json_t *
gw_sim_pair_adapter_status (const GwSimPairAdapter *self)
{
  return json_pack ("{s:s, s:b, s:b, s:b, s:b, s:i, s:I, s:I, s:I}", "link", self->link, "plugged",
                    self->master >= 0, "user", self->has_user, "wrong_speed", self->misclocked, "echo", self->unit.hears_itself,
                    "latency_ms", (int)(self->latency / 1000), "octets_in", (json_int_t)self->octets_in, "octets_out",
                    (json_int_t)self->octets_out, "overruns", (json_int_t)self->overruns);
}
