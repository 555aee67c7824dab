/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One exchange on a half-duplex line: a frame goes out, and at most one comes back. Tells an answer from silence and from
 * garbage by the time that passes, knows the adapter's echo of what was sent from an answer, and learns how late answers
 * come through this adapter. No I/O and no clock; times are monotonic microseconds. */

#include <stdbool.h>
#include <stdint.h>

#include "gw-frame-codec.h"

/* Answers that come as late as GW_STATION_WAIT_MS or later, as through a USB adapter that collects octets for 16 ms, make the
 * wait longer, up to the limit; time without them makes it shorter again. */
#define GW_EXCHANGE_WAIT_STEP_MS 10
#define GW_EXCHANGE_WAIT_MAX_MS 100
#define GW_EXCHANGE_WAIT_KEEP_MS 30000
/* Fewer octets than this are a glitch of the driver that is switched, not an answer that was damaged: even an empty one
 * has six. */
#define GW_EXCHANGE_GARBAGE_MIN 6
/* A line that is never silent for so long is spoken into. Silence is that of so many octets: a UART hands them over in
 * portions of 16. */
#define GW_EXCHANGE_JAM_MS 200
#define GW_EXCHANGE_QUIET_OCTETS 20

typedef enum
{
  GW_EXCHANGE_SILENCE,
  GW_EXCHANGE_ANSWER,
  GW_EXCHANGE_GARBAGE,
} GwExchangeResult;

typedef enum
{
  GW_EXCHANGE_FRAME_ANSWER, /* as far as its address says; gw_exchange_end () if it is one */
  GW_EXCHANGE_FRAME_ECHO,   /* our own */
  GW_EXCHANGE_FRAME_LATE,   /* of the exchange before this one */
  GW_EXCHANGE_FRAME_UNASKED,
} GwExchangeFrame;

typedef struct
{
  int64_t octet_nsec; /* on the line: ten bits */
  size_t frame_max;   /* octets of the largest frame on the line, some escaped */
  enum
  {
    GW_EXCHANGE_IDLE,
    GW_EXCHANGE_SENDING,
    GW_EXCHANGE_WAITING,
  } phase;
  GwFrame frame; /* under way; its information is borrowed */
  int64_t began_at, sent_at, deadline, end_at;
  size_t sent;       /* octets of it, framing included */
  size_t heard;      /* octets since, the echo left out once it was seen */
  int64_t heard_at;  /* last octet */
  int64_t free_at;   /* when the line may be spoken on again */
  int64_t jammed_at; /* since when it has not been; 0: it was */
  bool echo;         /* the adapter gives back what is sent */
  bool echo_seen;
  uint8_t echo_missed;
  int64_t wait; /* for the first octet of an answer */
  bool patient; /* this one waits for the limit, to learn how late answers are */
  uint8_t last_address;
  bool last_silent;
  int64_t last_at, late_at;
  bool late_once;
  uint64_t late; /* answers that came too late, so far */
} GwExchange;

/* @speed: bits per second. @datagram_max: octets of the largest datagram, by which a long answer is bounded. */
void gw_exchange_init (GwExchange *self, unsigned speed, size_t datagram_max, int64_t now);
/* What @octets take on the line, microseconds. */
int64_t gw_exchange_usec (const GwExchange *self, size_t octets);
/* Whether the next one may begin. */
bool gw_exchange_is_free (const GwExchange *self, int64_t now);
/* @frame is handed to the line. Its information must stay until the end. @patient: nobody else needs the line, and nobody
 * knows yet how late answers come. */
void gw_exchange_begin (GwExchange *self, const GwFrame *frame, bool patient, int64_t now);
/* The line has taken the whole frame, @octets in all, at @now: its last octet leaves that much later. */
void gw_exchange_sent (GwExchange *self, size_t octets, int64_t now);
/* Octets came, good or bad. Before the frames that they end. */
void gw_exchange_heard (GwExchange *self, size_t octets, int64_t now);
GwExchangeFrame gw_exchange_take (GwExchange *self, const GwFrame *frame, int64_t now);
/* Whether time has ended it, and as what. */
bool gw_exchange_is_over (const GwExchange *self, int64_t now, GwExchangeResult *result);
void gw_exchange_end (GwExchange *self, GwExchangeResult result, int64_t now);
/* When to look again: at its end, or when the line is free. INT64_MAX while it waits for gw_exchange_sent (). */
int64_t gw_exchange_due (const GwExchange *self);
bool gw_exchange_is_idle (const GwExchange *self);
/* For how long the one under way has been; octets of information in its frame. */
int64_t gw_exchange_took (const GwExchange *self, int64_t now);
size_t gw_exchange_carries (const GwExchange *self);
/* For how long an answer is waited for at the moment; whether the adapter gives back what is sent. */
int64_t gw_exchange_get_wait (const GwExchange *self);
bool gw_exchange_has_echo (const GwExchange *self);
