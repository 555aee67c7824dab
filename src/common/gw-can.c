/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gw-can.h"

#define DLC_MAX 15

/* The parts of a frame that never carry stuff bits: acknowledgement slot and delimiter, end of frame,
 * intermission. */
#define TAIL_BITS (2u + 7u + 3u)
#define CRC_DELIMITER_BITS 1u
/* FD: a fixed stuff bit before the stuff count (4 bits) and after every fourth bit from there. */
#define FD_CRC17_BITS (4u + 17u + 6u)
#define FD_CRC21_BITS (4u + 21u + 7u)
#define FD_CRC17_LEN_MAX 16 /* longer frames have the 21-bit CRC */

#define CRC15_POLY 0x4599u
#define CRC15_BITS 15
#define STUFF_RUN 5 /* so many equal bits are followed by one that differs */

static const uint8_t len_of_dlc[DLC_MAX + 1] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64 };

bool
gw_can_frame_is_valid (const GwCanFrame *frame)
{
  if (frame->id > (frame->extended ? GW_CAN_ID_EXTENDED_MAX : GW_CAN_ID_BASE_MAX))
    return false;
  if (!frame->fd)
    return frame->len <= GW_CAN_LEN_CLASSIC && !frame->brs;
  return frame->len <= GW_CAN_LEN_MAX && gw_can_fd_len (frame->len) == frame->len && !frame->remote;
}

uint8_t
gw_can_dlc_of_len (uint8_t len)
{
  uint8_t dlc = 0;

  while (dlc < DLC_MAX && len_of_dlc[dlc] < len)
    dlc++;
  return dlc;
}

uint8_t
gw_can_len_of_dlc (uint8_t dlc, bool fd)
{
  if (!fd && dlc > GW_CAN_LEN_CLASSIC)
    return GW_CAN_LEN_CLASSIC; /* 9..15 mean 8, too (8.4.2.4) */
  return len_of_dlc[dlc <= DLC_MAX ? dlc : DLC_MAX];
}

uint8_t
gw_can_fd_len (size_t len)
{
  return len_of_dlc[gw_can_dlc_of_len (len < GW_CAN_LEN_MAX ? (uint8_t)len : GW_CAN_LEN_MAX)];
}

/* What a transmitter's bit stuffing and checksum see. A stuff bit is counted when the bit after it is put,
 * for at the end of an FD frame's data a fixed stuff bit takes its place. */
typedef struct
{
  uint32_t bits; /* stuff bits among them */
  uint16_t crc;  /* CRC-15, over all but the stuff bits */
  uint8_t run;   /* so many equal bits came last */
  bool last;
} Wire;

static void
put_stuff (Wire *wire)
{
  if (wire->run < STUFF_RUN)
    return;
  wire->bits++;
  wire->last = !wire->last;
  wire->run = 1;
}

static void
put_bit (Wire *wire, bool bit)
{
  bool feedback = bit != (wire->crc >> (CRC15_BITS - 1) & 1);

  put_stuff (wire);
  wire->bits++;
  wire->run = wire->run > 0 && wire->last == bit ? wire->run + 1 : 1;
  wire->last = bit;
  wire->crc = (uint16_t)((wire->crc << 1 ^ (feedback ? CRC15_POLY : 0)) & ((1u << CRC15_BITS) - 1));
}

static void
put_bits (Wire *wire, uint32_t value, unsigned n)
{
  while (n-- > 0)
    put_bit (wire, value >> n & 1);
}

/* From start of frame to the bit that says what follows the ids: RTR, RRS. */
static void
put_arbitration (Wire *wire, const GwCanFrame *frame)
{
  put_bit (wire, 0); /* start of frame */
  if (frame->extended)
    {
      put_bits (wire, frame->id >> 18, 11);
      put_bits (wire, 3, 2); /* SRR, IDE */
      put_bits (wire, frame->id & 0x3FFFF, 18);
    }
  else
    put_bits (wire, frame->id, 11);
  put_bit (wire, frame->remote);
}

static void
put_data (Wire *wire, const GwCanFrame *frame)
{
  for (unsigned i = 0; i < frame->len; i++)
    put_bits (wire, frame->data[i], 8);
}

static GwCanBits
classic_bits (const GwCanFrame *frame)
{
  Wire wire = { 0 };

  put_arbitration (&wire, frame);
  put_bits (&wire, 0, 2); /* base: IDE, FDF; extended: FDF, r0 */
  put_bits (&wire, gw_can_dlc_of_len (frame->len), 4);
  if (!frame->remote)
    put_data (&wire, frame);
  put_bits (&wire, wire.crc, CRC15_BITS);
  put_stuff (&wire);
  return (GwCanBits){ .nominal = wire.bits + CRC_DELIMITER_BITS + TAIL_BITS };
}

static GwCanBits
fd_bits (const GwCanFrame *frame)
{
  Wire wire = { 0 };
  uint32_t before, rest;

  put_arbitration (&wire, frame);
  if (!frame->extended)
    put_bit (&wire, 0);   /* IDE */
  put_bits (&wire, 2, 2); /* FDF, res */
  put_bit (&wire, frame->brs);
  before = wire.bits;
  put_bit (&wire, 0); /* ESI: the sender is error active */
  put_bits (&wire, gw_can_dlc_of_len (frame->len), 4);
  put_data (&wire, frame);
  rest = wire.bits - before + (frame->len <= FD_CRC17_LEN_MAX ? FD_CRC17_BITS : FD_CRC21_BITS)
         + CRC_DELIMITER_BITS;
  if (frame->brs)
    return (GwCanBits){ .nominal = before + TAIL_BITS, .data = rest };
  return (GwCanBits){ .nominal = before + TAIL_BITS + rest };
}

GwCanBits
gw_can_frame_bits (const GwCanFrame *frame)
{
  return frame->fd ? fd_bits (frame) : classic_bits (frame);
}

uint64_t
gw_can_bits_nsec (GwCanBits bits, uint32_t bit_rate, uint32_t data_rate)
{
  uint64_t nsec = bits.nominal * UINT64_C (1000000000) / bit_rate;

  if (bits.data > 0)
    nsec += bits.data * UINT64_C (1000000000) / data_rate;
  return nsec;
}

uint64_t
gw_can_frame_nsec (const GwCanFrame *frame, uint32_t bit_rate, uint32_t data_rate)
{
  return gw_can_bits_nsec (gw_can_frame_bits (frame), bit_rate, data_rate);
}

/* The arbitration field as it goes over the wire, the first bit highest: 11 bits of id, RTR or SRR, IDE, 18
 * more, RTR. Where a base frame has ended, all bits are dominant. The lowest number wins. */
static uint32_t
arbitration_field (const GwCanFrame *frame)
{
  if (!frame->extended)
    return frame->id << 21 | (uint32_t)frame->remote << 20;
  return (frame->id >> 18) << 21 | 3u << 19 | (frame->id & 0x3FFFF) << 1 | frame->remote;
}

bool
gw_can_frame_wins (const GwCanFrame *a, const GwCanFrame *b)
{
  return arbitration_field (a) < arbitration_field (b);
}
