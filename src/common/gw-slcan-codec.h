/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * SLCAN, the ASCII lines of Lawicel's CAN232 manual (version 3, chapter 2) and of the CANUSB, with the FD frames of CANable 2
 * firmware (d D b B, Y) and the error states that Linux' slcan driver understands (s). Both ends: commands to an adapter,
 * and what it sends; the same letter may mean either, so whoever decodes says which end it is. Lines end with CR; BEL is
 * "error". The line collector never allocates and never gives up.
 */

#include "gw-can.h"

#define GW_SLCAN_LINE_MAX 160 /* a 64-octet FD frame with a timestamp is 142, and room */
#define GW_SLCAN_TEXT_MAX 64

typedef enum
{
  GW_SLCAN_OK,         /* CR alone: of the adapter, the last command succeeded; of the host, nothing */
  GW_SLCAN_ERROR,      /* BEL, of the adapter */
  GW_SLCAN_SENT,       /* z (base) or Z (extended), of the adapter: a frame has been queued */
  GW_SLCAN_FRAME,      /* t T r R d D b B */
  GW_SLCAN_OPEN,       /* O, of the host, as the next five */
  GW_SLCAN_LISTEN,     /* L */
  GW_SLCAN_CLOSE,      /* C */
  GW_SLCAN_SPEED,      /* S0 .. S8 */
  GW_SLCAN_DATA_SPEED, /* Y0 .. Y8 */
  GW_SLCAN_TIMESTAMP,  /* Z0, Z1 */
  GW_SLCAN_STATUS,     /* F of the host, Fxx of the adapter */
  GW_SLCAN_VERSION,    /* V of the host, Vhhss of the adapter */
  GW_SLCAN_SERIAL,     /* N of the host, Nxxxx of the adapter */
  GW_SLCAN_STATE,      /* s?rrrttt of the adapter: error state and counters */
  GW_SLCAN_OTHER,      /* printable, its first letter not known to us: see text */
  GW_SLCAN_BAD,        /* damaged or too long; text is filled in where it is printable (adapters that answer V with a git
                        * hash exist, and b or d may be its first letter) */
} GwSlcanKind;

typedef enum
{
  GW_SLCAN_FROM_HOST,
  GW_SLCAN_FROM_ADAPTER,
} GwSlcanSide;

/* Status flags of F, CAN232 manual, 2.2. The adapter clears them with the answer. */
#define GW_SLCAN_STATUS_RX_FULL 0x01
#define GW_SLCAN_STATUS_TX_FULL 0x02
#define GW_SLCAN_STATUS_ERROR_WARNING 0x04
#define GW_SLCAN_STATUS_DATA_OVERRUN 0x08
#define GW_SLCAN_STATUS_ERROR_PASSIVE 0x20
#define GW_SLCAN_STATUS_ARBITRATION_LOST 0x40
#define GW_SLCAN_STATUS_BUS_ERROR 0x80

/* By their letters on the wire. */
typedef enum
{
  GW_SLCAN_STATE_ACTIVE = 'a',
  GW_SLCAN_STATE_WARNING = 'w',
  GW_SLCAN_STATE_PASSIVE = 'p',
  GW_SLCAN_STATE_BUS_OFF = 'b',
} GwSlcanState;

typedef struct
{
  GwSlcanKind kind;
  bool has_value;  /* STATUS, VERSION, SERIAL: an answer rather than a command */
  uint16_t value;  /* speed digit, status flags, version (hardware and software, BCD), timestamps on or off */
  GwCanFrame frame; /* FRAME; SENT: only extended */
  bool has_timestamp; /* FRAME of the adapter */
  uint16_t timestamp; /* milliseconds, 0 .. 59999 */
  struct
  {
    GwSlcanState state;
    uint16_t rx_errors, tx_errors; /* 0 .. 999 */
  } state;                         /* STATE */
  char text[GW_SLCAN_TEXT_MAX];    /* OTHER and BAD: the line, cut to fit; SERIAL: four letters and digits */
} GwSlcanLine;

/* S0 .. S8: 10, 20, 50, 100, 125, 250, 500, 800 kbit/s, 1 Mbit/s (S7 is 750 kbit/s on CANable). -1 if there is none for
 * @bit_rate; 0 bit/s if there is none. */
int gw_slcan_speed_of_rate (uint32_t bit_rate);
uint32_t gw_slcan_rate_of_speed (unsigned digit);
/* Y0 is 500 kbit/s, Y1 .. Y8 that many Mbit/s; an adapter need not have all. */
int gw_slcan_speed_of_data_rate (uint32_t bit_rate);
uint32_t gw_slcan_rate_of_data_speed (unsigned digit);

/* Writes the line with its CR, no NUL. GW_E_SPACE if @size does not do (GW_SLCAN_LINE_MAX always does), GW_E_RANGE for a
 * field, GW_E_INVALID for what cannot be sent (BAD). */
GwStatus gw_slcan_encode (const GwSlcanLine *in, char *out, size_t size, size_t *len);
/* @text of @len without its CR, sent by @side. Never fails: see GW_SLCAN_BAD. */
void gw_slcan_decode (const char *text, size_t len, GwSlcanSide side, GwSlcanLine *out);

typedef struct
{
  GwSlcanSide side;
  char text[GW_SLCAN_LINE_MAX];
  size_t len;
  bool overrun;
} GwSlcanCollector;

/* @side: who sends what will be pushed. */
void gw_slcan_collector_init (GwSlcanCollector *self, GwSlcanSide side);
/* Takes one octet; true: @out is filled in. LF is skipped. */
bool gw_slcan_collector_push (GwSlcanCollector *self, char octet, GwSlcanLine *out);
