/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is measured on a line with many stations, window by window: load, round trip, rate, whether it is jammed, and which
 * station takes more than its share of it. No I/O and no clock; plain memory of the caller. Times are monotonic
 * microseconds. */

#include "gw-serial-exchange.h"

#define GW_SERIAL_METER_WINDOW_MS 1000
#define GW_SERIAL_METER_CULPRIT_PERMILLE 400 /* of the line's time: more than its share .. */
#define GW_SERIAL_METER_CULPRIT_STATIONS 4   /* .. among so many at least .. */
#define GW_SERIAL_METER_CULPRIT_WINDOWS 5    /* .. for so long */
#define GW_SERIAL_METER_JAM_PERMILLE 500     /* of the time on the line is octets in no good frame: it is jammed */
#define GW_SERIAL_METER_UNASKED_MAX 5        /* frames a window that nobody asked for, then the sender is named */

/* Over the last window. */
typedef struct
{
  uint32_t load_permille;     /* octets on the line against its rate */
  uint32_t round_trip_ms;     /* a full datagram there and one back */
  uint32_t octets_per_second; /* of datagrams, in exchanges that carried some */
  uint8_t culprit;            /* 0: none */
  uint32_t culprit_permille;  /* of the line's time */
  bool jammed;
} GwSerialFigures;

typedef enum
{
  GW_SERIAL_METER_GOOD,
  GW_SERIAL_METER_BABBLES, /* sends unasked */
  GW_SERIAL_METER_HOGS,    /* has taken much of the line for seconds, while there are others */
} GwSerialConduct;

typedef struct
{
  int64_t until, wait_max, wait_max_before, data_time;
  size_t octets, data_octets;
  size_t heard, good; /* octets that came, and those of them in good frames */
  GwSerialFigures figures;
  struct
  {
    int64_t time;     /* of the line, in this window */
    uint32_t unasked; /* frames, in this window, */
    size_t unasked_octets; /* and what they had of the line */
    uint8_t windows;  /* with more than its share, in a row */
    GwSerialConduct conduct;
  } stations[GW_FRAME_ADDRESS_STATION_MAX + 1];
} GwSerialMeter;

/* @speed: bits per second. */
void gw_serial_meter_init (GwSerialMeter *self, unsigned speed, int64_t now);

/* Octets on the line: our own, those that came, and among these a good frame with so much information. */
void gw_serial_meter_sent (GwSerialMeter *self, size_t octets);
void gw_serial_meter_heard (GwSerialMeter *self, size_t octets);
void gw_serial_meter_frame (GwSerialMeter *self, size_t info);
/* An exchange that carried datagrams took so long. */
void gw_serial_meter_carried (GwSerialMeter *self, size_t octets, int64_t took);
/* A station that had something to do had to wait for its turn. */
void gw_serial_meter_waited (GwSerialMeter *self, int64_t time);
/* A station has had so much of the line; has sent a frame that nobody asked for (0: nobody knows who), with
 * so much information; its number is nobody's any more. */
void gw_serial_meter_used (GwSerialMeter *self, uint8_t address, int64_t time);
void gw_serial_meter_unasked (GwSerialMeter *self, uint8_t address, size_t info);
void gw_serial_meter_forget (GwSerialMeter *self, uint8_t address);

/* When the window ends. */
int64_t gw_serial_meter_due (const GwSerialMeter *self);
/* Ends it and begins the next. @n_up: stations among which to look for one that takes too much. */
const GwSerialFigures *gw_serial_meter_end (GwSerialMeter *self, const GwExchange *line, unsigned n_up, int64_t now);
bool gw_serial_meter_is_jammed (const GwSerialMeter *self);
/* Of a station; of number 0, whoever sends unasked in nobody's name. */
GwSerialConduct gw_serial_meter_get_conduct (const GwSerialMeter *self, uint8_t address);
