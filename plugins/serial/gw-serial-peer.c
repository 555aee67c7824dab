/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-serial-peer.h"

#include <string.h>

#include "gw-time.h"

#define DTLS_HANDSHAKE 22 /* content type, RFC 6347, section 4.1 */

/* ---- Questions ---- */

static void
ask (GwSerialPeer *self, int64_t now)
{
  uint8_t message[GW_LINK_QUESTION_SIZE];
  size_t len = gw_link_question_ask (&self->question, message, now);

  self->asked_at = now;
  self->funcs->ask (self->owner, (GwBytes){ message, len });
}

static void
ask_soon (GwSerialPeer *self, int64_t now)
{
  if (now - self->asked_at >= gw_time_ms (GW_SERIAL_ASK_MIN_MS))
    ask (self, now);
}

/* ---- Answers ---- */

static void
go_down (GwSerialPeer *self, GwSerialDown why)
{
  if (!self->up)
    return;
  self->up = false;
  self->funcs->down (self->owner, why);
}

static void
take_hello (GwSerialPeer *self, const GwLinkHello *hello, GwBytes body, int64_t rtt, int64_t now)
{
  uint32_t rtt_ms = rtt > gw_time_ms (UINT16_MAX) ? UINT16_MAX : (uint32_t) ((rtt + gw_time_ms (1) - 1) / gw_time_ms (1));

  self->proven_at = now;
  if (self->up && memcmp (self->kid, hello->kid, sizeof self->kid) == 0)
    return; /* a reboot, or an answer to the check: the same endpoint */
  go_down (self, GW_SERIAL_DOWN_REPLACED);
  memcpy (self->kid, hello->kid, sizeof self->kid);
  self->up = self->funcs->up (self->owner, hello, body, rtt_ms);
}

/* Whether it was an answer to us. */
static bool
take_answer (GwSerialPeer *self, GwBytes info, int64_t now)
{
  GwLinkHello hello;
  GwBytes body;
  int64_t at;

  if (!gw_link_question_take (&self->question, info, &hello, &body, &at))
    return false;
  take_hello (self, &hello, body, now - at, now);
  return true;
}

void
gw_serial_peer_take (GwSerialPeer *self, GwBytes info, int64_t now)
{
  self->heard_at = now;
  self->misses = 0;
  if (info.len == 0 || take_answer (self, info, now))
    return;
  if (!self->up)
    {
      self->refused++;
      ask_soon (self, now);
      return;
    }
  if (gw_datagram_kind (info.ptr, info.len) == GW_DATAGRAM_OTHER)
    {
      self->refused++;
      return;
    }
  if (info.ptr[0] == DTLS_HANDSHAKE && now - self->proven_at >= gw_time_ms (GW_SERIAL_CHECK_MS)
      && now - self->asked_at >= gw_time_ms (GW_SERIAL_CHECK_MS))
    ask (self, now);
  self->funcs->datagram (self->owner, info);
}

/* ---- Time ---- */

/* When the next question to a peer that is up is due. */
static int64_t
probe_due (const GwSerialPeer *self)
{
  return gw_time_max (self->heard_at + gw_time_ms (GW_SERIAL_IDLE_MS), self->asked_at + gw_time_ms (GW_SERIAL_PROBE_MS));
}

int64_t
gw_serial_peer_tick (GwSerialPeer *self, int64_t now)
{
  if (self->up && now >= probe_due (self))
    {
      if (self->misses >= GW_SERIAL_MISSES_MAX)
        go_down (self, GW_SERIAL_DOWN_SILENT);
      else
        {
          self->misses++;
          ask (self, now);
        }
    }
  if (!self->up && now - self->asked_at >= gw_time_ms (GW_LINK_HELLO_PERIOD_MS))
    ask (self, now);
  return self->up ? probe_due (self) : self->asked_at + gw_time_ms (GW_LINK_HELLO_PERIOD_MS);
}

void
gw_serial_peer_scan (GwSerialPeer *self, int64_t now)
{
  ask_soon (self, now);
}

void
gw_serial_peer_end (GwSerialPeer *self)
{
  go_down (self, GW_SERIAL_DOWN_GONE);
}

void
gw_serial_peer_init (
    GwSerialPeer *self, const GwSerialPeerFuncs *funcs, void *owner, const uint8_t nonce[GW_HELLO_NONCE_LEN], int64_t now)
{
  memset (self, 0, sizeof *self);
  self->funcs = funcs;
  self->owner = owner;
  gw_link_question_init (&self->question, nonce);
  self->heard_at = now;
  self->asked_at = now - gw_time_ms (GW_LINK_HELLO_PERIOD_MS);
}
