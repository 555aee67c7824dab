/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * SLCAN, the ASCII lines of Lawicel's CAN232/CANUSB manual (version 3), with the FD extension of CANable 2 firmware
 * (d D b B) as python-can and the kernel's slcan know the rest. Both ends: commands to an adapter, and what it sends. Lines end with CR;
 * BEL is "error". The line collector never allocates and never gives up.
 */

#include "gw-can.h"

#define GW_SLCAN_LINE_MAX 160 /* a 64-octet FD frame with a timestamp, and room */

typedef enum
{
  GW_SLCAN_OK,         /* CR alone: the last command succeeded */
  GW_SLCAN_ERROR,      /* BEL */
  GW_SLCAN_SENT,       /* z or Z: a frame has been queued by the adapter */
  GW_SLCAN_FRAME,      /* t T r R d D b B */
  GW_SLCAN_OPEN,       /* O */
  GW_SLCAN_LISTEN,     /* L */
  GW_SLCAN_CLOSE,      /* C */
  GW_SLCAN_SPEED,      /* S0..S8 */
  GW_SLCAN_DATA_SPEED, /* Y2, Y5, Y8 */
  GW_SLCAN_STATUS,     /* F (command), Fxx (answer) */
  GW_SLCAN_VERSION,    /* V, Vhhss */
  GW_SLCAN_SERIAL,     /* N, Nxxxx */
  GW_SLCAN_TIMESTAMP,  /* Z0, Z1 */
  GW_SLCAN_OTHER,      /* well formed, not known to us */
  GW_SLCAN_BAD,        /* damaged or too long */
} GwSlcanKind;

/* Status flags of F, CAN232 manual. */
#define GW_SLCAN_STATUS_RX_FULL 0x01
#define GW_SLCAN_STATUS_TX_FULL 0x02
#define GW_SLCAN_STATUS_ERROR_WARNING 0x04
#define GW_SLCAN_STATUS_DATA_OVERRUN 0x08
#define GW_SLCAN_STATUS_ERROR_PASSIVE 0x20
#define GW_SLCAN_STATUS_ARBITRATION_LOST 0x40
#define GW_SLCAN_STATUS_BUS_ERROR 0x80

typedef struct
{
  GwSlcanKind kind;
  bool has_value;   /* an answer rather than a command, where both are one letter */
  uint16_t value;   /* speed digit, status, version, serial number as hex, timestamp on/off */
  GwCanFrame frame; /* FRAME */
  bool has_timestamp;
  uint16_t timestamp; /* milliseconds, wraps at 60000 */
} GwSlcanLine;

/* S0 .. S8: 10, 20, 50, 100, 125, 250, 500, 800 kbit/s, 1 Mbit/s. -1 if there is none for @bit_rate; 0 bit/s if none. */
int gw_slcan_speed_of_rate (uint32_t bit_rate);
uint32_t gw_slcan_rate_of_speed (unsigned digit);

/* Writes the line with its CR, no NUL. GW_E_SPACE if @size does not do (GW_SLCAN_LINE_MAX always does), GW_E_RANGE for a
 * frame that is not valid. */
GwStatus gw_slcan_encode (const GwSlcanLine *in, char *out, size_t size, size_t *len);
/* @text of @len without its CR. Never fails: see GW_SLCAN_BAD. */
void gw_slcan_decode (const char *text, size_t len, GwSlcanLine *out);

typedef struct
{
  char text[GW_SLCAN_LINE_MAX];
  size_t len;
  bool overrun;
} GwSlcanCollector;

void gw_slcan_collector_init (GwSlcanCollector *self);
/* Takes one octet; true: @out is filled in. */
bool gw_slcan_collector_push (GwSlcanCollector *self, char octet, GwSlcanLine *out);
