/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-isotp.h"

#include <string.h>

#define PAD_OCTET 0xCC
#define WAIT_MAX 10
#define TIMEOUT_USEC INT64_C (1000000)
#define PERFORMANCE_USEC INT64_C (500000)
#define SN_MASK 0x0F

enum
{
  TX_IDLE,
  TX_SINGLE,      /* to be pulled */
  TX_FIRST,       /* to be pulled */
  TX_FLOW,        /* flow control is to come */
  TX_CONSECUTIVE, /* to be pulled */
  TX_DRAIN,       /* all is pulled */
};

enum
{
  RX_IDLE,
  RX_FLOW, /* "clear to send" is to be pulled */
  RX_CONSECUTIVE,
};

/* Flow control to be pulled, and what is in flight. */
enum
{
  FLOW_NONE,
  FLOW_CLEAR,
  FLOW_OVERFLOW,
  DATA_SINGLE,
  DATA_FIRST,
  DATA_CONSECUTIVE,
  GONE, /* nobody waits for its confirmation any more */
};

static bool
is_data (uint8_t kind)
{
  return kind >= DATA_SINGLE && kind <= DATA_CONSECUTIVE;
}

static bool
is_flow (uint8_t kind)
{
  return kind <= FLOW_OVERFLOW;
}

static bool
in_flight (const GwIsotp *self, bool (*is_kind) (uint8_t))
{
  for (unsigned i = 0; i < self->n_flight; i++)
    if (is_kind (self->flight[i]))
      return true;
  return false;
}

/* Its confirmation will mean nothing: it has evidently gone out, or what it belonged to is over. */
static void
retire (GwIsotp *self, bool (*is_kind) (uint8_t))
{
  for (unsigned i = 0; i < self->n_flight; i++)
    if (is_kind (self->flight[i]))
      self->flight[i] = GONE;
}

void
gw_isotp_config_default (GwIsotpConfig *config, uint32_t tx_id, uint32_t rx_id)
{
  *config = (GwIsotpConfig){
    .tx_id = tx_id,
    .rx_id = rx_id,
    .extended = tx_id > GW_CAN_ID_BASE_MAX || rx_id > GW_CAN_ID_BASE_MAX,
    .tx_dl = GW_CAN_LEN_CLASSIC,
    .pad = true,
    .pad_octet = PAD_OCTET,
    .wait_max = WAIT_MAX,
    .window = 1,
    .n_as = TIMEOUT_USEC,
    .n_ar = TIMEOUT_USEC,
    .n_bs = TIMEOUT_USEC,
    .n_br = PERFORMANCE_USEC,
    .n_cs = PERFORMANCE_USEC,
    .n_cr = TIMEOUT_USEC,
  };
}

static void
end_sending (GwIsotp *self)
{
  retire (self, is_data);
  self->tx = (GwBytes){ NULL, 0 };
  self->tx_state = TX_IDLE;
  self->tx_gap = false;
  self->tx_due = INT64_MAX;
}

static GwIsotpEvent
fail_sending (GwIsotp *self, GwIsotpResult result)
{
  end_sending (self);
  self->tx_result = result;
  self->counters.failures_out++;
  return GW_ISOTP_SEND_FAILED;
}

static void
end_receiving (GwIsotp *self)
{
  retire (self, is_flow);
  self->rx_state = RX_IDLE;
  self->rx_flow = FLOW_NONE;
  self->rx_due = INT64_MAX;
}

static GwIsotpEvent
fail_receiving (GwIsotp *self, GwIsotpResult result)
{
  end_receiving (self);
  self->rx_result = result;
  self->counters.failures_in++;
  return GW_ISOTP_RECEIVE_FAILED;
}

void
gw_isotp_init (GwIsotp *self, const GwIsotpConfig *config, uint8_t *rx_buffer, size_t rx_size)
{
  uint8_t dl;

  *self = (GwIsotp){ .config = *config, .rx_buffer = rx_buffer, .rx_size = rx_size };
  dl = config->fd ? gw_can_fd_len (config->tx_dl) : GW_CAN_LEN_CLASSIC;
  if (dl > config->tx_dl)
    dl = gw_can_len_of_dlc (gw_can_dlc_of_len (dl) - 1, true);
  self->config.tx_dl = dl > GW_CAN_LEN_CLASSIC ? dl : GW_CAN_LEN_CLASSIC;
  if (config->window > GW_ISOTP_WINDOW_MAX)
    self->config.window = GW_ISOTP_WINDOW_MAX;
  else if (config->window == 0)
    self->config.window = 1;
  gw_isotp_reset (self);
}

void
gw_isotp_reset (GwIsotp *self)
{
  end_sending (self);
  end_receiving (self);
  self->n_flight = 0;
}

GwStatus
gw_isotp_send (GwIsotp *self, GwBytes message, int64_t now)
{
  if (self->tx_state != TX_IDLE)
    return GW_E_STATE;
  if (message.len == 0 || message.len > GW_ISOTP_LEN_MAX)
    return GW_E_RANGE;
  self->tx = message;
  self->tx_at = 0;
  self->tx_waits = 0;
  self->tx_state = message.len <= gw_isotp_single_max (self->config.tx_dl) ? TX_SINGLE : TX_FIRST;
  self->tx_ready = now;
  self->tx_due = now + self->config.n_as;
  return GW_OK;
}

bool
gw_isotp_is_sending (const GwIsotp *self)
{
  return self->tx_state != TX_IDLE;
}

bool
gw_isotp_is_receiving (const GwIsotp *self)
{
  return self->rx_state != RX_IDLE;
}

GwBytes
gw_isotp_message (const GwIsotp *self)
{
  return (GwBytes){ self->rx_buffer, self->rx_got };
}

GwIsotpResult
gw_isotp_send_failure (const GwIsotp *self)
{
  return self->tx_result;
}

GwIsotpResult
gw_isotp_receive_failure (const GwIsotp *self)
{
  return self->rx_result;
}

/* --- receiving --- */

static void
queue_flow (GwIsotp *self, uint8_t flow, int64_t now)
{
  self->rx_flow = flow;
  self->rx_ready = now;
  self->rx_due = now + self->config.n_ar;
}

static void
queue_clear (GwIsotp *self, int64_t now)
{
  self->rx_state = RX_FLOW;
  queue_flow (self, FLOW_CLEAR, now);
}

static void
begin_block (GwIsotp *self, int64_t now)
{
  self->rx_block_left = self->config.block_size;
  queue_clear (self, now);
}

/* A message begins: is another unfinished? */
static bool
replace_unfinished (GwIsotp *self)
{
  bool unfinished = self->rx_state != RX_IDLE;

  if (unfinished)
    fail_receiving (self, GW_ISOTP_N_UNEXP_PDU);
  end_receiving (self); /* an "overflow" not yet sent is for a message that the other has left, too */
  return unfinished;
}

static void
keep (GwIsotp *self, const uint8_t *data, size_t len)
{
  memcpy (self->rx_buffer + self->rx_got, data, len);
  self->rx_got += (uint32_t)len;
}

static GwIsotpEvent
finish_receiving (GwIsotp *self)
{
  end_receiving (self);
  self->counters.messages_in++;
  return GW_ISOTP_RECEIVED;
}

static GwIsotpEvent
take_single (GwIsotp *self, const GwIsotpPdu *pdu)
{
  replace_unfinished (self);
  if (pdu->data.len > self->rx_size)
    return fail_receiving (self, GW_ISOTP_N_BUFFER_OVFLW);
  self->rx_got = 0;
  keep (self, pdu->data.ptr, pdu->data.len);
  return finish_receiving (self);
}

static GwIsotpEvent
take_first (GwIsotp *self, const GwIsotpPdu *pdu, uint8_t dl, int64_t now)
{
  bool replaced = replace_unfinished (self);

  if (pdu->len > self->rx_size)
    {
      fail_receiving (self, GW_ISOTP_N_BUFFER_OVFLW);
      queue_flow (self, FLOW_OVERFLOW, now);
      return GW_ISOTP_RECEIVE_FAILED;
    }
  self->rx_len = pdu->len;
  self->rx_got = 0;
  self->rx_sn = 1;
  self->rx_dl = dl;
  keep (self, pdu->data.ptr, pdu->data.len);
  begin_block (self, now);
  return replaced ? GW_ISOTP_RECEIVE_FAILED : GW_ISOTP_NOTHING;
}

/* 9.6.4: as long as the first frame was; only the last may be shorter, by as much as it does not need. */
static bool
fits_transfer (const GwIsotp *self, const GwIsotpPdu *pdu, size_t *len)
{
  *len = self->rx_dl - 1u;
  if (pdu->data.len > *len)
    return false;
  if (*len > self->rx_len - self->rx_got)
    *len = self->rx_len - self->rx_got;
  return pdu->data.len >= *len;
}

static GwIsotpEvent
take_consecutive (GwIsotp *self, const GwIsotpPdu *pdu, size_t len, int64_t now)
{
  if (pdu->sn != self->rx_sn)
    return fail_receiving (self, GW_ISOTP_N_WRONG_SN);
  retire (self, is_flow); /* the other has had our flow control before we heard that it went out */
  keep (self, pdu->data.ptr, len);
  self->rx_sn = (self->rx_sn + 1) & SN_MASK;
  if (self->rx_got == self->rx_len)
    return finish_receiving (self);
  self->rx_due = now + self->config.n_cr;
  if (self->config.block_size > 0 && --self->rx_block_left == 0)
    begin_block (self, now);
  return GW_ISOTP_NOTHING;
}

/* --- sending --- */

static GwIsotpEvent
take_flow (GwIsotp *self, const GwIsotpPdu *pdu, int64_t now)
{
  retire (self, is_data); /* they have gone out, even if the link has not said so yet */
  switch (pdu->status)
    {
    case GW_ISOTP_CLEAR_TO_SEND:
      /* the values of the last flow control count (9.6.5.1) */
      self->tx_state = TX_CONSECUTIVE;
      self->tx_waits = 0;
      self->tx_block = self->tx_block_left = pdu->block_size;
      self->tx_st = gw_isotp_st_min_usec (pdu->st_min);
      self->tx_ready = now;
      self->tx_due = now + self->config.n_as;
      return GW_ISOTP_NOTHING;
    case GW_ISOTP_WAIT:
      if (self->tx_waits == self->config.wait_max)
        return fail_sending (self, GW_ISOTP_N_WFT_OVRN);
      self->tx_waits++;
      self->tx_due = now + self->config.n_bs;
      return GW_ISOTP_NOTHING;
    case GW_ISOTP_OVERFLOW:
      return fail_sending (self, GW_ISOTP_N_BUFFER_OVFLW);
    default:
      return fail_sending (self, GW_ISOTP_N_INVALID_FS);
    }
}

/* Whether the frame is ours, well formed, and expected; @len: what of a consecutive frame is the message's.
 */
static bool
is_expected (const GwIsotp *self, const GwCanFrame *frame, GwIsotpPdu *pdu, size_t *len)
{
  if (frame->id != self->config.rx_id || frame->extended != self->config.extended || frame->remote)
    return false;
  if (!gw_can_frame_is_valid (frame) || gw_isotp_decode (frame, pdu) != GW_OK)
    return false;
  if (pdu->kind == GW_ISOTP_FLOW)
    return self->tx_state == TX_FLOW;
  if (pdu->kind == GW_ISOTP_CONSECUTIVE)
    return self->rx_state == RX_CONSECUTIVE && fits_transfer (self, pdu, len);
  return true;
}

GwIsotpEvent
gw_isotp_take (GwIsotp *self, const GwCanFrame *frame, int64_t now)
{
  GwIsotpPdu pdu;
  size_t len = 0;

  if (!is_expected (self, frame, &pdu, &len))
    {
      self->counters.ignored++;
      return GW_ISOTP_NOTHING;
    }
  self->counters.frames_in++;
  switch (pdu.kind)
    {
    case GW_ISOTP_SINGLE:
      return take_single (self, &pdu);
    case GW_ISOTP_FIRST:
      return take_first (self, &pdu, frame->len, now);
    case GW_ISOTP_CONSECUTIVE:
      return take_consecutive (self, &pdu, len, now);
    default:
      return take_flow (self, &pdu, now);
    }
}

/* --- frames out --- */

static void
put (GwIsotp *self, uint8_t kind, const GwIsotpPdu *pdu, GwCanFrame *frame)
{
  GwIsotpForm form = { .id = self->config.tx_id,
                       .extended = self->config.extended,
                       .fd = self->config.fd,
                       .brs = self->config.brs,
                       .dl = self->config.tx_dl,
                       .pad = self->config.pad,
                       .pad_octet = self->config.pad_octet };

  gw_isotp_encode (&form, pdu, frame);
  self->flight[self->n_flight++] = kind;
}

static void
pull_flow (GwIsotp *self, int64_t now, GwCanFrame *frame)
{
  static const uint8_t statuses[]
      = { [FLOW_CLEAR] = GW_ISOTP_CLEAR_TO_SEND, [FLOW_OVERFLOW] = GW_ISOTP_OVERFLOW };
  GwIsotpPdu pdu = { .kind = GW_ISOTP_FLOW,
                     .status = statuses[self->rx_flow],
                     .block_size = self->config.block_size,
                     .st_min = self->config.st_min };

  self->counters.late += now - self->rx_ready > self->config.n_br;
  put (self, self->rx_flow, &pdu, frame);
  if (self->rx_flow == FLOW_CLEAR)
    self->rx_state = RX_CONSECUTIVE; /* its answer may overtake the confirmation */
  self->rx_flow = FLOW_NONE;
}

static void
pull_single (GwIsotp *self, GwCanFrame *frame)
{
  put (self, DATA_SINGLE, &(GwIsotpPdu){ .kind = GW_ISOTP_SINGLE, .data = self->tx }, frame);
  self->tx_state = TX_DRAIN;
}

static void
pull_first (GwIsotp *self, GwCanFrame *frame)
{
  uint32_t len = (uint32_t)self->tx.len;
  GwIsotpPdu pdu = { .kind = GW_ISOTP_FIRST,
                     .len = len,
                     .data = { self->tx.ptr, gw_isotp_first_data (self->config.tx_dl, len) } };

  put (self, DATA_FIRST, &pdu, frame);
  self->tx_at = (uint32_t)pdu.data.len;
  self->tx_sn = 1;
  self->tx_state = TX_FLOW;
}

static void
pull_consecutive (GwIsotp *self, int64_t now, GwCanFrame *frame)
{
  size_t left = self->tx.len - self->tx_at;
  size_t full = self->config.tx_dl - 1u;
  GwIsotpPdu pdu = { .kind = GW_ISOTP_CONSECUTIVE,
                     .sn = self->tx_sn,
                     .data = { self->tx.ptr + self->tx_at, left < full ? left : full } };

  self->counters.late += now - self->tx_ready > self->config.n_cs;
  put (self, DATA_CONSECUTIVE, &pdu, frame);
  self->tx_at += (uint32_t)pdu.data.len;
  self->tx_sn = (self->tx_sn + 1) & SN_MASK;
  self->tx_ready = now;
  if (self->tx_at == self->tx.len)
    self->tx_state = TX_DRAIN;
  else if (self->tx_block > 0 && --self->tx_block_left == 0)
    self->tx_state = TX_FLOW;
}

static bool
pull_data (GwIsotp *self, int64_t now, GwCanFrame *frame)
{
  switch (self->tx_state)
    {
    case TX_SINGLE:
      pull_single (self, frame);
      return true;
    case TX_FIRST:
      pull_first (self, frame);
      return true;
    case TX_CONSECUTIVE:
      /* the separation time begins when the one before has gone out */
      if (self->tx_st > 0 && (in_flight (self, is_data) || (self->tx_gap && now < self->tx_next)))
        return false;
      self->tx_gap = false;
      pull_consecutive (self, now, frame);
      return true;
    default:
      return false;
    }
}

bool
gw_isotp_pull (GwIsotp *self, int64_t now, GwCanFrame *frame)
{
  if (self->n_flight == self->config.window)
    return false;
  if (self->rx_flow == FLOW_NONE)
    return pull_data (self, now, frame);
  pull_flow (self, now, frame);
  return true;
}

static GwIsotpEvent
confirm_data (GwIsotp *self, int64_t now)
{
  bool more = in_flight (self, is_data);

  if (self->tx_state == TX_DRAIN && !more)
    {
      end_sending (self);
      self->counters.messages_out++;
      return GW_ISOTP_SENT;
    }
  self->tx_due = now + self->config.n_as;
  if (self->tx_state == TX_FLOW && !more)
    self->tx_due = now + self->config.n_bs;
  if (self->tx_state == TX_CONSECUTIVE && self->tx_st > 0)
    {
      self->tx_gap = true;
      self->tx_ready = self->tx_next = now + self->tx_st;
      self->tx_due += self->tx_st;
    }
  return GW_ISOTP_NOTHING;
}

GwIsotpEvent
gw_isotp_confirm (GwIsotp *self, int64_t now)
{
  uint8_t kind = self->flight[0];

  if (self->n_flight == 0)
    return GW_ISOTP_NOTHING;
  memmove (self->flight, self->flight + 1, --self->n_flight);
  self->counters.frames_out++;
  if (is_data (kind))
    return confirm_data (self, now);
  if (is_flow (kind))
    self->rx_due = kind == FLOW_CLEAR ? now + self->config.n_cr : INT64_MAX;
  return GW_ISOTP_NOTHING;
}

static void
unpull_consecutive (GwIsotp *self)
{
  uint32_t full = self->config.tx_dl - 1u;
  uint32_t len = full;

  if (self->tx_at == self->tx.len)
    {
      /* the last one held what was left over */
      len = (self->tx_at - (uint32_t)gw_isotp_first_data (self->config.tx_dl, self->tx_at)) % full;
      if (len == 0)
        len = full;
    }
  self->tx_at -= len;
  self->tx_sn = (self->tx_sn - 1) & SN_MASK;
  if (self->tx_state != TX_DRAIN && self->tx_block > 0)
    self->tx_block_left++;
  self->tx_state = TX_CONSECUTIVE;
}

void
gw_isotp_unpull (GwIsotp *self)
{
  uint8_t kind;

  if (self->n_flight == 0)
    return;
  kind = self->flight[--self->n_flight];
  switch (kind)
    {
    case DATA_SINGLE:
      self->tx_state = TX_SINGLE;
      return;
    case DATA_FIRST:
      self->tx_state = TX_FIRST;
      return;
    case DATA_CONSECUTIVE:
      unpull_consecutive (self);
      return;
    case GONE:
      return;
    default:
      self->rx_flow = kind;
      if (kind == FLOW_CLEAR)
        self->rx_state = RX_FLOW;
    }
}

/* --- time --- */

int64_t
gw_isotp_due (const GwIsotp *self)
{
  int64_t due = self->tx_due < self->rx_due ? self->tx_due : self->rx_due;

  return self->tx_gap && self->tx_next < due ? self->tx_next : due;
}

static GwIsotpEvent
tick_sending (GwIsotp *self)
{
  if (self->tx_state == TX_FLOW && !in_flight (self, is_data))
    return fail_sending (self, GW_ISOTP_N_TIMEOUT_BS);
  self->n_flight = 0; /* the link has lost them */
  return fail_sending (self, GW_ISOTP_N_TIMEOUT_A);
}

static GwIsotpEvent
tick_receiving (GwIsotp *self, int64_t now)
{
  if (self->rx_flow != FLOW_NONE || in_flight (self, is_flow))
    {
      self->n_flight = 0;
      if (self->rx_state != RX_IDLE)
        return fail_receiving (self, GW_ISOTP_N_TIMEOUT_A);
      end_receiving (self); /* "overflow": that message has failed already */
      return GW_ISOTP_NOTHING;
    }
  return fail_receiving (self, GW_ISOTP_N_TIMEOUT_CR);
}

GwIsotpEvent
gw_isotp_tick (GwIsotp *self, int64_t now)
{
  if (now >= self->tx_next)
    self->tx_gap = false;
  if (now >= self->tx_due)
    return tick_sending (self);
  if (now >= self->rx_due)
    return tick_receiving (self, now);
  return GW_ISOTP_NOTHING;
}
