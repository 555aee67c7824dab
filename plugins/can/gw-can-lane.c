/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-can-lane.h"

#include "gw-lss-codec.h"
#include "gw-time.h"

/* Flow control that was asked for so long ago is not waited for. */
#define AWAITED_USEC (20 * GW_TIME_MS)
/* What flow control asks of the nodes: no pauses, the link below takes what the bus carries. */
#define BLOCK_SIZE 0
#define ST_MIN 0

/* ---- Life ---- */

void
gw_can_lane_reset (GwCanLane *self)
{
  GwIsotpConfig config;

  gw_isotp_config_default (&config,
                           gw_can_isotp_id (self->number, GW_CAN_GATEWAY_ADDRESS),
                           gw_can_isotp_id (GW_CAN_GATEWAY_ADDRESS, self->number));
  config.block_size = BLOCK_SIZE;
  config.st_min = ST_MIN;
  config.window = GW_ISOTP_WINDOW_MAX;
  gw_isotp_init (&self->isotp, &config, self->rx, sizeof self->rx);
  self->generation++;
}

void
gw_can_lane_init (GwCanLane *self, uint8_t number)
{
  self->number = number;
  gw_can_lane_reset (self);
}

static int64_t
most_flow_nsec (const GwCanLoad *load)
{
  return GW_CAN_FLOW_BURST * (int64_t) gw_can_load_frame_nsec (load);
}

void
gw_can_lane_open (GwCanLane *self, const GwCanLoad *load, int64_t now)
{
  gw_can_lane_reset (self);
  self->frames = GW_CAN_FRAMES_UNKNOWN;
  self->flow_nsec = most_flow_nsec (load);
  self->flow_at = now;
  self->datagrams = GW_CAN_DATAGRAMS_BURST * GW_TIME_SEC;
  self->datagrams_at = now;
}

uint8_t
gw_can_lane_get_generation (const GwCanLane *self)
{
  return self->generation;
}

uint64_t
gw_can_lane_get_retries (const GwCanLane *self)
{
  return self->retries;
}

/* ---- From the node ---- */

GwCanPci
gw_can_lane_pci (const GwCanFrame *frame)
{
  return frame->len > 0 ? (GwCanPci) (frame->data[0] >> 4) : GW_CAN_PCI_NONE;
}

GwIsotpEvent
gw_can_lane_take (GwCanLane *self, const GwCanFrame *frame, int64_t now)
{
  GwCanPci pci = gw_can_lane_pci (frame);

  if (pci == GW_CAN_PCI_SINGLE || pci == GW_CAN_PCI_FIRST)
    self->rx_fd = frame->fd;
  if (pci == GW_CAN_PCI_FIRST)
    self->rx_at = now;
  return gw_isotp_take (&self->isotp, frame, now);
}

GwBytes
gw_can_lane_message (const GwCanLane *self)
{
  return gw_isotp_message (&self->isotp);
}

void
gw_can_lane_learn (GwCanLane *self)
{
  self->frames = self->rx_fd ? GW_CAN_FRAMES_FD : GW_CAN_FRAMES_CLASSIC;
}

bool
gw_can_lane_overflowed (const GwCanLane *self)
{
  return gw_isotp_receive_failure (&self->isotp) == GW_ISOTP_N_BUFFER_OVFLW;
}

bool
gw_can_lane_may_carry (GwCanLane *self, int64_t now)
{
  self->datagrams += (now - self->datagrams_at) * GW_CAN_DATAGRAMS_RATE;
  self->datagrams_at = now;
  self->datagrams = gw_time_min (self->datagrams, GW_CAN_DATAGRAMS_BURST * GW_TIME_SEC);
  if (self->datagrams < GW_TIME_SEC)
    return false;
  self->datagrams -= GW_TIME_SEC;
  return true;
}

/* ---- To the node ---- */

bool
gw_can_lane_is_sending (const GwCanLane *self)
{
  return gw_isotp_is_sending (&self->isotp);
}

uint8_t *
gw_can_lane_buffer (GwCanLane *self)
{
  return self->tx;
}

bool
gw_can_lane_send (GwCanLane *self, size_t len, bool fd, bool try_fd, int64_t now)
{
  GwIsotpConfig *config = &self->isotp.config;

  self->tx_len = len;
  if (len == 0)
    return false;
  config->fd = config->brs
      = fd && (self->frames == GW_CAN_FRAMES_FD || (self->frames == GW_CAN_FRAMES_UNKNOWN && try_fd));
  config->tx_dl = config->fd ? GW_CAN_LEN_MAX : GW_CAN_LEN_CLASSIC;
  self->tx_at = now;
  return gw_isotp_send (&self->isotp, (GwBytes){ self->tx, len }, now) == GW_OK;
}

bool
gw_can_lane_pull (GwCanLane *self, GwCanFrame *frame, int64_t now)
{
  if (!gw_isotp_pull (&self->isotp, now, frame))
    return false;
  if (gw_can_lane_pci (frame) == GW_CAN_PCI_FIRST)
    self->awaited_at = now;
  return true;
}

bool
gw_can_lane_is_awaited (const GwCanLane *self, int64_t now)
{
  return now - self->awaited_at < AWAITED_USEC;
}

bool
gw_can_lane_may_flow (GwCanLane *self, const GwCanLoad *load, int64_t now)
{
  self->flow_nsec += (now - self->flow_at) * GW_CAN_FLOW_PERMILLE; /* usec x permille = nsec */
  self->flow_at = now;
  self->flow_nsec = gw_time_min (self->flow_nsec, most_flow_nsec (load));
  return self->flow_nsec > 0 || !gw_can_load_reaches (load, GW_CAN_FLOW_LOAD_PERMILLE);
}

bool
gw_can_lane_pull_flow (GwCanLane *self, const GwCanLoad *load, GwCanFrame *frame, int64_t now)
{
  if (!gw_isotp_pull (&self->isotp, now, frame))
    return false;
  self->flow_nsec -= (int64_t) gw_can_load_nsec (load, frame);
  return true;
}

void
gw_can_lane_leaves (GwCanLane *self, int64_t at)
{
  self->gone_at = at;
}

GwIsotpEvent
gw_can_lane_confirm (GwCanLane *self, int64_t now)
{
  /* A separation time begins on the bus, not in an adapter's queue. */
  return gw_isotp_confirm (&self->isotp, gw_time_max (now, self->gone_at));
}

void
gw_can_lane_unpull (GwCanLane *self)
{
  gw_isotp_unpull (&self->isotp);
}

void
gw_can_lane_lose (GwCanLane *self)
{
  gw_can_lane_reset (self);
  self->retries++;
}

/* ---- Either way ---- */

void
gw_can_lane_note (GwCanLane *self, GwIsotpEvent event, GwCanLoad *load, int64_t now)
{
  switch (event)
    {
    case GW_ISOTP_RECEIVED:
      gw_can_load_measure (load, gw_isotp_message (&self->isotp).len, now - self->rx_at);
      break;
    case GW_ISOTP_SENT:
      gw_can_load_measure (load, self->tx_len, now - self->tx_at);
      break;
    case GW_ISOTP_SEND_FAILED:
    case GW_ISOTP_RECEIVE_FAILED:
      self->retries++;
      break;
    case GW_ISOTP_NOTHING:
      break;
    }
}

int64_t
gw_can_lane_due (const GwCanLane *self)
{
  return gw_isotp_due (&self->isotp);
}

GwIsotpEvent
gw_can_lane_tick (GwCanLane *self, int64_t now)
{
  return gw_isotp_tick (&self->isotp, now);
}
