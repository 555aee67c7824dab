/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Serial frames, RFC 1662 style: flag 7E, escape 7D (octet xor 20), address, control, information, FCS-16.
 * Only 7D and 7E are escaped on sending; any escaped octet is accepted. The decoder takes octets as they come,
 * collects into a buffer of the caller, never allocates and never gives up: after damage it waits for the next
 * flag. A frame handed out is borrowed until the next octet goes in.
 */

#include "gw-cbor.h"

typedef struct
{
  uint8_t address;
  bool poll;    /* the P/F bit */
  GwBytes info; /* the datagram; may be empty */
} GwFrame;

/* The most that @info octets can take on the line, flags and FCS included. */
#define GW_FRAME_ENCODED_MAX(info) (2u + 2u * ((size_t) (info) + GW_FRAME_OVERHEAD))

/* Writes flag .. flag and stores the length. GW_E_SPACE if it does not fit; GW_FRAME_ENCODED_MAX always does. */
GwStatus gw_frame_encode (const GwFrame *frame, uint8_t *out, size_t size, size_t *len);

/* RFC 1662 appendix C; start with GW_FRAME_FCS_INIT. */
uint16_t gw_frame_fcs (uint16_t fcs, const uint8_t *data, size_t len);

typedef struct
{
  uint64_t frames;     /* handed out */
  uint64_t bad_fcs;
  uint64_t too_short;  /* fewer than four octets between flags */
  uint64_t too_long;   /* did not fit the buffer */
  uint64_t aborted;    /* 7D 7E */
  uint64_t bad_control; /* good FCS, but a control octet that is neither 03 nor 13 */
} GwFrameCounters;

typedef struct
{
  uint8_t *buf;
  size_t size;
  size_t len;
  bool synced;  /* a flag was seen */
  bool escaped;
  bool overrun;
  GwFrameCounters counters;
} GwFrameDecoder;

typedef enum
{
  GW_FRAME_EVENT_NONE,  /* more octets are needed */
  GW_FRAME_EVENT_FRAME, /* @frame is filled in */
  GW_FRAME_EVENT_ERROR, /* a frame was lost; counted */
} GwFrameEvent;

/* @buf is borrowed; @size must be the largest information field + GW_FRAME_OVERHEAD. */
void gw_frame_decoder_init (GwFrameDecoder *d, uint8_t *buf, size_t size);
/* Forgets a partial frame (the line was reopened); keeps the counters. */
void gw_frame_decoder_reset (GwFrameDecoder *d);
/* Takes one octet. */
GwFrameEvent gw_frame_decoder_push (GwFrameDecoder *d, uint8_t octet, GwFrame *frame);
/* Takes octets until something happens or @len are gone; *@used says how many were taken. Call until all are. */
GwFrameEvent gw_frame_decoder_feed (GwFrameDecoder *d, const uint8_t *data, size_t len, size_t *used,
                                    GwFrame *frame);
