/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who is at the other end of a point-to-point line: asks hello until somebody answers, notices when another answers or
 * nobody does any more. A state machine without I/O and without a clock: the caller gives it frames and the time, and
 * sends what it asks for. Plain memory of the caller, nothing to free.
 *
 * What it hears is in the clear and proves nothing; it only keeps the agent's picture of the line true. Times are
 * monotonic microseconds. */

#include <stdbool.h>
#include <stdint.h>

#include "gw-link-question.h"

/* A line on which good frames come is left alone. One that is silent for longer than a session's keep-alive (10 s) is
 * asked, and given up after this many questions without any good frame. */
#define GW_SERIAL_IDLE_MS 12000
#define GW_SERIAL_PROBE_MS 2000
#define GW_SERIAL_MISSES_MAX 3
/* A handshake may be another endpoint's first word: its identity is asked, this often at most. */
#define GW_SERIAL_CHECK_MS 5000
/* However many reasons there are to ask, never more often. */
#define GW_SERIAL_ASK_MIN_MS 250

typedef enum
{
  GW_SERIAL_DOWN_GONE,
  GW_SERIAL_DOWN_SILENT,
  GW_SERIAL_DOWN_REPLACED,
} GwSerialDown;

/* Everything is borrowed for the call. */
typedef struct
{
  /* Put this on the wire. */
  void (*ask) (void *owner, GwBytes message);
  /* An endpoint answers. @body is its answer's CBOR. False: it cannot be taken, and is asked again. */
  bool (*up) (void *owner, const GwLinkHello *hello, GwBytes body, uint32_t rtt_ms);
  void (*down) (void *owner, GwSerialDown why);
  /* For the agent. Only while up. */
  void (*datagram) (void *owner, GwBytes datagram);
} GwSerialPeerFuncs;

typedef struct
{
  const GwSerialPeerFuncs *funcs;
  void *owner;
  GwLinkQuestion question;
  bool up;
  uint8_t kid[GW_KEY_ID_LEN];
  int64_t heard_at;  /* last good frame */
  int64_t asked_at;  /* last question */
  int64_t proven_at; /* last hello answer: "proven" only in that somebody answered */
  unsigned misses;
  uint64_t refused; /* frames that were neither an answer nor a datagram, or came while nobody was up */
} GwSerialPeer;

/* @nonce: any 8 octets; they tell our questions from the agent's. The first tick asks. */
void gw_serial_peer_init (
    GwSerialPeer *self, const GwSerialPeerFuncs *funcs, void *owner, const uint8_t nonce[GW_HELLO_NONCE_LEN], int64_t now);
/* A good frame's information field came. */
void gw_serial_peer_take (GwSerialPeer *self, GwBytes info, int64_t now);
/* Does what is due and returns when to call again. */
int64_t gw_serial_peer_tick (GwSerialPeer *self, int64_t now);
/* Somebody wants to know now. */
void gw_serial_peer_scan (GwSerialPeer *self, int64_t now);
/* The line is gone. */
void gw_serial_peer_end (GwSerialPeer *self);
