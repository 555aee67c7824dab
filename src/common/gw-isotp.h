/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * ISO-TP, ISO 15765-2:2016: messages of any length in CAN frames, classic and FD. One object is one pair of addresses: it
 * sends one message and receives another at the same time. Plain memory of the caller; no I/O, no allocation, no clock:
 * the caller hands in frames and the time, pulls frames when its link can take one, and says when each has gone out.
 * Normal (fixed) addressing: the ids say who talks to whom. Times are monotonic microseconds.
 *
 * A frame of another id, a malformed one, or one that no state expects, changes nothing and is counted.
 */

#include "gw-isotp-codec.h"

#define GW_ISOTP_WINDOW_MAX 8

typedef struct
{
  uint32_t tx_id, rx_id;
  bool extended;         /* both ids have 29 bits */
  bool fd, brs;          /* send FD frames; classic ones are taken either way */
  uint8_t tx_dl;         /* longest frame we send: 8; FD also 12 .. 64 */
  bool pad;              /* frames have at least 8 octets; FD frames pad to their next length anyway */
  uint8_t pad_octet;     /* CC is usual */
  uint8_t block_size;    /* that we ask for in flow control; 0: no pause */
  uint8_t st_min;        /* that we ask for, as coded on the wire (9.6.5.4) */
  uint8_t wait_max;      /* N_WFTmax: wait frames in a row that we bear; we send none */
  uint8_t window;        /* frames pulled and not yet confirmed, 1 .. GW_ISOTP_WINDOW_MAX; consecutive frames that keep a
                            separation time still go one by one */
  int64_t n_as, n_ar;    /* a data frame, a flow control frame of ours to go out, counted from when it is ready to be pulled;
                            all of these are above 0 */
  int64_t n_bs;          /* a flow control frame to come */
  int64_t n_br;          /* flow control of ours that is pulled later than this is counted */
  int64_t n_cs;          /* a consecutive frame of ours that is pulled later than this after it may go is counted */
  int64_t n_cr;          /* a consecutive frame to come */
} GwIsotpConfig;

/* Classic, 11 bits of id if both ids fit and 29 if not, padded with CC, no block limit, no minimum separation, 10 wait
 * frames, one frame in flight; half a second for n_br and n_cs, a second for each of the others. */
void gw_isotp_config_default (GwIsotpConfig *config, uint32_t tx_id, uint32_t rx_id);

typedef enum
{
  GW_ISOTP_NOTHING,
  GW_ISOTP_RECEIVED,     /* gw_isotp_message (): valid until the next call of take */
  GW_ISOTP_SENT,         /* the message of gw_isotp_send () is the caller's again */
  GW_ISOTP_SEND_FAILED,  /* so is it; gw_isotp_send_failure () says why */
  GW_ISOTP_RECEIVE_FAILED,
} GwIsotpEvent;

/* ISO 15765-2, 8.3.7. */
typedef enum
{
  GW_ISOTP_N_OK,
  GW_ISOTP_N_TIMEOUT_A,
  GW_ISOTP_N_TIMEOUT_BS,
  GW_ISOTP_N_TIMEOUT_CR,
  GW_ISOTP_N_WRONG_SN,
  GW_ISOTP_N_INVALID_FS,
  GW_ISOTP_N_UNEXP_PDU,      /* a new first or single frame took the place of an unfinished message */
  GW_ISOTP_N_WFT_OVRN,       /* sending: more wait frames than we bear */
  GW_ISOTP_N_BUFFER_OVFLW,   /* sending: the receiver said so; receiving: we did */
} GwIsotpResult;

typedef struct
{
  uint64_t messages_in, messages_out;
  uint64_t frames_in, frames_out; /* taken and confirmed ones of ours, flow control included */
  uint64_t failures_in, failures_out;
  uint64_t ignored; /* malformed, unexpected or not addressed to us */
  uint64_t late;    /* pulled later than n_br, n_cs: the link or the caller is slow */
} GwIsotpCounters;

typedef struct
{
  GwIsotpConfig config;
  GwIsotpCounters counters;
  /* The rest is the implementation's. */
  uint8_t *rx_buffer;
  size_t rx_size;
  uint32_t rx_len, rx_got;
  uint8_t rx_state, rx_sn, rx_block_left, rx_dl;
  uint8_t rx_flow; /* flow control to be pulled */
  int64_t rx_ready, rx_due;
  GwBytes tx;
  uint32_t tx_at;
  uint8_t tx_state, tx_sn, tx_block, tx_block_left, tx_waits;
  bool tx_gap; /* a separation time runs until tx_next */
  int64_t tx_st, tx_next, tx_ready, tx_due;
  uint8_t flight[GW_ISOTP_WINDOW_MAX]; /* what was pulled and is not confirmed, the oldest first */
  uint8_t n_flight;
  GwIsotpResult tx_result, rx_result;
} GwIsotp;

/* @config is copied; a length or a window that does not exist is brought down to one that does. @rx_buffer is borrowed for
 * the object's life; messages longer than @rx_size are refused by flow control "overflow". */
void gw_isotp_init (GwIsotp *self, const GwIsotpConfig *config, uint8_t *rx_buffer, size_t rx_size);
/* Breaks off both directions silently and forgets what was pulled (do not confirm it any more); keeps the counters. */
void gw_isotp_reset (GwIsotp *self);

/* Begins to send; @message (1 .. 2^32 - 1 octets) is borrowed until SENT or SEND_FAILED. GW_E_STATE while one is being
 * sent; GW_E_RANGE for an empty or longer one. */
GwStatus gw_isotp_send (GwIsotp *self, GwBytes message, int64_t now);
bool gw_isotp_is_sending (const GwIsotp *self);
bool gw_isotp_is_receiving (const GwIsotp *self);

/* A frame came from the link. RECEIVED by a single frame that took the place of an unfinished message, too: that one is
 * counted in failures_in. */
GwIsotpEvent gw_isotp_take (GwIsotp *self, const GwCanFrame *frame, int64_t now);
GwBytes gw_isotp_message (const GwIsotp *self);
/* Why the last sending, the last receiving failed. */
GwIsotpResult gw_isotp_send_failure (const GwIsotp *self);
GwIsotpResult gw_isotp_receive_failure (const GwIsotp *self);

/* The frame that may go out now, flow control before data. False: nothing until gw_isotp_due (), until another frame came,
 * or until one of those pulled before is confirmed. */
bool gw_isotp_pull (GwIsotp *self, int64_t now, GwCanFrame *frame);
/* The link has sent the oldest frame that was pulled and not confirmed. After N_TIMEOUT_A all that was pulled is taken for
 * lost; a confirmation that comes all the same does no harm. */
GwIsotpEvent gw_isotp_confirm (GwIsotp *self, int64_t now);
/* The link has not and will not send the newest frame that was pulled (queue full, bus off): it is pulled again. */
void gw_isotp_unpull (GwIsotp *self);

/* When something is due by itself: a time-out, or the end of a separation time (then pull has a frame). INT64_MAX: never. */
int64_t gw_isotp_due (const GwIsotp *self);
/* One event a call: call until it returns NOTHING; then gw_isotp_due () is past @now. */
GwIsotpEvent gw_isotp_tick (GwIsotp *self, int64_t now);
