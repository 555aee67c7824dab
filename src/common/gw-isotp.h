/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * ISO-TP, ISO 15765-2:2016: messages of any length in CAN frames, classic and FD. One object is one pair of addresses: it
 * sends one message and receives another at the same time. Plain memory of the caller; no I/O, no allocation, no clock:
 * the caller hands in frames and the time, pulls frames when its link can take one, and says when each has gone out.
 * Normal (fixed) addressing: the ids say who talks to whom. Times are monotonic microseconds.
 *
 * A frame of another id, or one that no state expects, changes nothing and is counted.
 */

#include "gw-can.h"

typedef struct
{
  uint32_t tx_id, rx_id;
  bool extended;         /* both ids have 29 bits */
  bool fd, brs;          /* send FD frames; classic ones are taken either way */
  uint8_t tx_dl;         /* longest frame we send: 8; FD also 12 .. 64 */
  bool pad;              /* classic frames always have 8 octets; FD frames pad to their next length anyway */
  uint8_t pad_octet;     /* CC is usual */
  uint8_t block_size;    /* that we ask for in flow control; 0: no pause */
  uint8_t st_min;        /* that we ask for, as coded on the wire (9.6.5.4) */
  uint8_t wait_max;      /* N_WFTmax: wait frames in a row that we bear */
  int64_t n_as, n_ar;    /* a frame of ours to be confirmed by the link */
  int64_t n_bs;          /* a flow control frame to come */
  int64_t n_cr;          /* a consecutive frame to come */
} GwIsotpConfig;

/* Classic, padded with CC, no block limit, no minimum separation, 10 wait frames, one second each. */
void gw_isotp_config_default (GwIsotpConfig *config, uint32_t tx_id, uint32_t rx_id);

typedef enum
{
  GW_ISOTP_NOTHING,
  GW_ISOTP_RECEIVED,     /* gw_isotp_message (): valid until the next call of take, tick or pull */
  GW_ISOTP_SENT,         /* the message of gw_isotp_send () is the caller's again */
  GW_ISOTP_SEND_FAILED,  /* so is it; gw_isotp_failure () says why */
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
  GW_ISOTP_N_WFT_OVRN,
  GW_ISOTP_N_BUFFER_OVFLW,   /* the receiver said so */
} GwIsotpResult;

typedef struct
{
  uint64_t messages_in, messages_out;
  uint64_t frames_in, frames_out; /* of ours, flow control included */
  uint64_t failures_in, failures_out;
  uint64_t ignored; /* malformed, unexpected or not addressed to us */
} GwIsotpCounters;

typedef struct
{
  GwIsotpConfig config;
  GwIsotpCounters counters;
  /* The rest is the implementation's. */
  uint8_t *rx_buffer;
  size_t rx_size;
  size_t rx_len, rx_got;
  uint8_t rx_state, rx_sn, rx_block, rx_flow, rx_dl;
  int64_t rx_due;
  GwBytes tx;
  size_t tx_at;
  uint8_t tx_state, tx_sn, tx_block, tx_block_left, tx_waits;
  int64_t tx_st, tx_next, tx_due;
  uint8_t in_flight; /* what was pulled last and is not confirmed */
  GwIsotpResult tx_result, rx_result;
} GwIsotp;

/* @rx_buffer is borrowed for the object's life; messages longer than @rx_size are refused by flow control "overflow". */
void gw_isotp_init (GwIsotp *self, const GwIsotpConfig *config, uint8_t *rx_buffer, size_t rx_size);
/* Breaks off both directions silently; keeps the counters. */
void gw_isotp_reset (GwIsotp *self);

/* Begins to send; @message (1 .. 2^32 - 1 octets) is borrowed until SENT or SEND_FAILED. GW_E_STATE while one is being
 * sent; GW_E_RANGE for an empty one. */
GwStatus gw_isotp_send (GwIsotp *self, GwBytes message, int64_t now);
bool gw_isotp_is_sending (const GwIsotp *self);
bool gw_isotp_is_receiving (const GwIsotp *self);

/* A frame came from the link. */
GwIsotpEvent gw_isotp_take (GwIsotp *self, const GwCanFrame *frame, int64_t now);
GwBytes gw_isotp_message (const GwIsotp *self);
/* Why the last sending, the last receiving failed. */
GwIsotpResult gw_isotp_send_failure (const GwIsotp *self);
GwIsotpResult gw_isotp_receive_failure (const GwIsotp *self);

/* The frame that may go out now, flow control before data. False: nothing until gw_isotp_due (), another frame came, or
 * the one pulled before has been confirmed. */
bool gw_isotp_pull (GwIsotp *self, int64_t now, GwCanFrame *frame);
/* The link has sent what was pulled. */
GwIsotpEvent gw_isotp_confirm (GwIsotp *self, int64_t now);
/* The link has not and will not send it (queue full, bus off): it is pulled again. */
void gw_isotp_unpull (GwIsotp *self);

/* When something is due by itself: a time-out, or the end of a separation time (then pull has a frame). INT64_MAX: never. */
int64_t gw_isotp_due (const GwIsotp *self);
GwIsotpEvent gw_isotp_tick (GwIsotp *self, int64_t now);
