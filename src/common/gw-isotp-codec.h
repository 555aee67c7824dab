/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The frames of ISO-TP, ISO 15765-2:2016, 9: single, first and consecutive frames and flow control, in classic and FD CAN
 * frames. Normal addressing: the protocol control information begins at the first octet. Nothing is remembered here from
 * one frame to the next; gw-isotp.h puts them together.
 */

#include "gw-can.h"

#define GW_ISOTP_LEN12_MAX 4095u       /* longer messages need the escaped 32-bit length */
#define GW_ISOTP_LEN_MAX UINT32_MAX

typedef enum
{
  GW_ISOTP_SINGLE,
  GW_ISOTP_FIRST,
  GW_ISOTP_CONSECUTIVE,
  GW_ISOTP_FLOW,
} GwIsotpKind;

typedef enum
{
  GW_ISOTP_CLEAR_TO_SEND = 0,
  GW_ISOTP_WAIT = 1,
  GW_ISOTP_OVERFLOW = 2, /* 3 .. 15 are reserved, and handed out as they come */
} GwIsotpFlowStatus;

typedef struct
{
  GwIsotpKind kind;
  uint32_t len;       /* FIRST: of the whole message */
  uint8_t sn;         /* CONSECUTIVE: 0 .. 15 */
  uint8_t status;     /* FLOW: GwIsotpFlowStatus */
  uint8_t block_size; /* FLOW */
  uint8_t st_min;     /* FLOW, as coded: gw_isotp_st_min_usec () */
  GwBytes data;       /* SINGLE: the message; FIRST, CONSECUTIVE: all the frame holds, padding too. Borrowed. */
} GwIsotpPdu;

/* How frames are written. */
typedef struct
{
  uint32_t id;
  bool extended;
  bool fd, brs;
  uint8_t dl; /* octets of a full frame: 8; FD also 12, 16, 20, 24, 32, 48, 64 */
  bool pad;   /* short frames have 8 octets; above 8, FD frames are always padded to a length that exists */
  uint8_t pad_octet;
} GwIsotpForm;

/*
 * @out->data points into @frame. GW_E_UNSUPPORTED for the reserved kinds 4 .. F. What the standard wants ignored is
 * GW_E_TRUNCATED (too short for its own fields) or GW_E_RANGE (a length that its tables forbid, 9.6.2.3 and 9.6.3.2):
 * - single frame of up to 8 octets: length 0, or more than the frame holds;
 * - single frame of more: not escaped, less than 8 (would have fitted a short one) or more than the frame holds;
 * - first frame of less than 8 octets, of a message that would have fitted a single frame of that size, or escaped though
 *   12 bits would do.
 * Softer than the tables in one place: a single frame may be padded beyond the next length, as some senders always pad
 * theirs to 64 octets.
 */
GwStatus gw_isotp_decode (const GwCanFrame *frame, GwIsotpPdu *out);

/* @in->data must fit: gw_isotp_single_max () for SINGLE, gw_isotp_first_data () for FIRST, @form->dl - 1 for CONSECUTIVE. */
void gw_isotp_encode (const GwIsotpForm *form, const GwIsotpPdu *in, GwCanFrame *out);

/* The longest message that goes as a single frame; and, of one that does not, what its first frame holds. */
size_t gw_isotp_single_max (uint8_t dl);
size_t gw_isotp_first_data (uint8_t dl, uint32_t len);

/* STmin, 9.6.5.4: 00..7F ms, F1..F9 hundreds of us; the reserved codes mean 127 ms. */
int64_t gw_isotp_st_min_usec (uint8_t code);
