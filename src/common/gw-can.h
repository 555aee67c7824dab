/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A CAN frame as a value, and what it costs on the wire. ISO 11898-1:2015; classic base and extended format, FD base and
 * extended format with or without bit-rate switch. No I/O, no allocation.
 */

#include "gw-reader.h"

#define GW_CAN_ID_BASE_MAX 0x7FFu
#define GW_CAN_ID_EXTENDED_MAX 0x1FFFFFFFu
#define GW_CAN_LEN_CLASSIC 8
#define GW_CAN_LEN_MAX 64

typedef struct
{
  uint32_t id;
  bool extended; /* 29 bits of id, else 11 */
  bool remote;   /* classic only; asks, carries no data */
  bool fd;
  bool brs;      /* FD only: the data phase runs at the data bit rate */
  uint8_t len;   /* octets: 0..8; FD also 12, 16, 20, 24, 32, 48, 64 */
  uint8_t data[GW_CAN_LEN_MAX];
} GwCanFrame;

/* Whether every field is in its range. */
bool gw_can_frame_is_valid (const GwCanFrame *frame);

/* Data length code and octets. A @len that no code has is rounded up; a @dlc above 15 is taken for 15. */
uint8_t gw_can_dlc_of_len (uint8_t len);
uint8_t gw_can_len_of_dlc (uint8_t dlc, bool fd);
/* The smallest length of an FD frame that holds @len octets (at most 64). */
uint8_t gw_can_fd_len (size_t len);

/* Bit times from start of frame to the end of the intermission (3 bits), stuff bits as this very frame has them, its
 * acknowledgement included; the sender is taken for error active. With a bit-rate switch @data holds what goes at the data
 * bit rate, from ESI to the CRC delimiter (the switch is at the sample points of BRS and of the CRC delimiter; whole bits
 * are right where both rates sample at the same place); otherwise all is @nominal. @frame must be valid. */
typedef struct
{
  uint32_t nominal;
  uint32_t data;
} GwCanBits;

GwCanBits gw_can_frame_bits (const GwCanFrame *frame);
/* What that takes, nanoseconds. @data_rate is used only for frames with a bit-rate switch. Rates in bit/s, not 0. */
uint64_t gw_can_bits_nsec (GwCanBits bits, uint32_t bit_rate, uint32_t data_rate);
uint64_t gw_can_frame_nsec (const GwCanFrame *frame, uint32_t bit_rate, uint32_t data_rate);

/* Arbitration: whether @a wins against @b when both start at once (ISO 11898-1, 10.4: dominant wins, so does base before
 * extended and data before remote). False both ways for equal arbitration fields: on a real bus the two frames then run
 * into each other at their first bit that differs. */
bool gw_can_frame_wins (const GwCanFrame *a, const GwCanFrame *b);
