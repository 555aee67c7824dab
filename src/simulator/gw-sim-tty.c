/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-sim-tty.h"

#include "gw-ep.h"
#include "gw-frame-codec.h"
#include "gw-sim-pty.h"

G_STATIC_ASSERT (GW_SIM_PORT_QUEUE_MAX <= GW_SIM_PTY_QUEUE_MAX);

typedef struct
{
  GwSimPort port; /* its octets are counted by the terminal */
  GwSimPty pty;
  GwFrameDecoder decoder;
  guint8 frame[GW_EP_MTU_MAX + GW_FRAME_OVERHEAD];
} GwSimTty;

/* ---- To the gateway ---- */

static gboolean
tty_write (GwSimPort *port, const guint8 *data, gsize len)
{
  GwSimTty *self = (GwSimTty *)port;

  if (!gw_sim_pty_put (&self->pty, data, len))
    return FALSE;
  gw_sim_pty_flush (&self->pty);
  return TRUE;
}

static gboolean
tty_send (GwSimPort *port, const guint8 *datagram, gsize len)
{
  guint8 octets[GW_FRAME_ENCODED_MAX (GW_EP_MTU_MAX)];
  GwFrame frame = { .address = GW_FRAME_ADDRESS_ALL, .info = { datagram, len } };
  gsize n;

  if (gw_frame_encode (&frame, octets, sizeof octets, &n) != GW_OK)
    return FALSE;
  port->frames_out++;
  return gw_sim_port_disturb (port, octets, n) ? tty_write (port, octets, n) : TRUE;
}

/* ---- From the gateway ---- */

static void
take_frame (GwSimTty *self, const GwFrame *frame)
{
  self->port.frames_in++;
  if (gw_sim_port_misses (&self->port))
    return;
  if (self->port.endpoint && frame->info.len > 0)
    gw_sim_endpoint_input (self->port.endpoint, frame->info.ptr, frame->info.len);
}

static void
on_octets (guint8 *octets, gsize len, gpointer data)
{
  GwSimTty *self = data;
  gsize used;

  for (gsize at = 0; at < len; at += used)
    {
      GwFrame frame;

      if (gw_frame_decoder_feed (&self->decoder, octets + at, len - at, &used, &frame)
          == GW_FRAME_EVENT_FRAME)
        take_frame (self, &frame);
    }
}

static void
on_user (gboolean is_there, gpointer data)
{
  GwSimTty *self = data;

  self->port.open = is_there;
  gw_frame_decoder_reset (&self->decoder);
}

static const GwSimPtyFuncs pty_funcs = { on_octets, on_user };

/* ---- The port ---- */

static gboolean
tty_plug (GwSimPort *port, GError **error)
{
  return gw_sim_pty_plug (&((GwSimTty *)port)->pty, error);
}

static void
tty_unplug (GwSimPort *port)
{
  gw_sim_pty_unplug (&((GwSimTty *)port)->pty);
}

static void
tty_check (GwSimPort *port)
{
  gw_sim_pty_check (&((GwSimTty *)port)->pty);
}

static void
tty_add_status (const GwSimPort *port, json_t *status)
{
  const GwSimTty *self = (const GwSimTty *)port;

  json_object_set_new (status, "octets_in", json_integer (self->pty.octets_in));
  json_object_set_new (status, "octets_out", json_integer (self->pty.octets_out));
  json_object_set_new (status, "bad_fcs", json_integer (self->decoder.counters.bad_fcs));
}

static void
tty_free (GwSimPort *port)
{
  GwSimTty *self = (GwSimTty *)port;

  gw_sim_pty_clear (&self->pty);
  gw_sim_port_clear (port);
  g_free (self);
}

static const GwSimPortClass tty_class = {
  .wire = GW_SIM_WIRE_SERIAL,
  .free = tty_free,
  .plug = tty_plug,
  .unplug = tty_unplug,
  .send = tty_send,
  .write = tty_write,
  .check = tty_check,
  .add_status = tty_add_status,
};

/* Without its terminal. */
static GwSimTty *
new_tty (const char *path, guint64 seed)
{
  GwSimTty *self = g_new0 (GwSimTty, 1);

  gw_sim_port_init (&self->port, &tty_class, path, seed);
  gw_frame_decoder_init (&self->decoder, self->frame, sizeof self->frame);
  return self;
}

GwSimPort *
gw_sim_tty_new (GwLoop *loop, const char *link, guint64 seed)
{
  GwSimTty *self = new_tty (link, seed);

  gw_sim_pty_init (&self->pty, loop, link, &pty_funcs, self);
  return &self->port;
}

GwSimPort *
gw_sim_tty_new_device (GwLoop *loop, const char *path, guint64 seed)
{
  GwSimTty *self = new_tty (path, seed);

  gw_sim_pty_init_device (&self->pty, loop, path, &pty_funcs, self);
  return &self->port;
}
