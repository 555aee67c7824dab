/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of one endpoint share. Not for hosts, except for firmware that wants a GwEp in static
 * memory: the fields are nobody's business outside src/endpoint. */

#include "gw-ep-data.h"
#include "gw-ep-dtls.h"
#include "gw-ep-ident.h"
#include "gw-ep-queue.h"
#include "gw-ep-sign.h"
#include "gw-ep-smp.h"
#include "gw-ep.h"

/* A session in which the gateway says nothing for so long is over: it sends an echo every 10 s. */
#define GW_EP_SESSION_SILENCE_MS 60000u

struct GwEp
{
  const GwEpPlatform *platform;
  const GwEpConfig *config;
  bool on, link_up;
  bool busy; /* inside a call: a callback that calls back in is refused */
  bool muted;
  bool start_honoured;
  GwEpState state;
  uint16_t mtu, frame_ms;
  bool shared; /* the link is one of many endpoints */
  uint64_t power_up_at;
  uint64_t hello_at; /* state WAITING: when the next ClientHello leaves */
  uint8_t attempts;  /* handshakes since the last session that was of use */
  uint64_t start_at; /* when `start` was honoured last */
  bool has_wall_clock;
  uint64_t wall_clock_at_0; /* UTC in ms since 1970 when the platform's clock was 0; may wrap */
  uint64_t close_at;        /* when the session ends by our doing; GW_EP_NEVER */
  uint64_t reset_at;        /* when the chip restarts; GW_EP_NEVER */
  GwEpStats stats;
  GwKeys keys;
  GwEpDtls dtls;
  GwEpSmp smp;
  GwEpIdent ident;
  GwEpSign sign;
  GwEpData data;
  GwEpQueue queue;
  uint8_t io[GW_EP_MTU_MAX]; /* the message being read or written */
};

/* Reads the request's body, writes the answer's; returns GW_EP_OK, GW_EP_LATER, an SMP rc or
 * GW_EP_GROUP_ERROR (n). */
typedef int (*GwEpHandler) (GwEp *ep, GwBytes body, GwCborWriter *w);

typedef struct
{
  uint16_t group;
  uint8_t command;
  uint8_t op;   /* GW_SMP_OP_READ or _WRITE */
  bool unowned; /* served before there is an owner */
  GwEpHandler run;
} GwEpCommand;

extern const GwEpCommand gw_ep_os_commands[];
extern const size_t gw_ep_os_n_commands;
extern const GwEpCommand gw_ep_ident_commands[];
extern const size_t gw_ep_ident_n_commands;
extern const GwEpCommand gw_ep_data_commands[];
extern const size_t gw_ep_data_n_commands;

uint64_t gw_ep_now (const GwEp *ep);
uint64_t gw_ep_uptime (const GwEp *ep);
/* Answers the running request of a handler that said GW_EP_LATER: begin, write the body, finish. */
void gw_ep_begin_late (GwEp *ep, GwCborWriter *w);
void gw_ep_finish_late (GwEp *ep, GwCborWriter *w, int result);

static inline uint64_t
gw_ep_earlier (uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}
