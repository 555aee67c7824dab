/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * gw-ep: one endpoint of the Gangway field-bus protocol (doc/protocol.md).
 *
 * A GwEp is a chip's whole protocol side: it answers hello, starts DTLS as the client, proves its PUF key,
 * serves the SMP groups os, enum, gw_ident and gw_data, and delivers reports and events at least once. It is
 * plain C17 on mbedTLS: no operating system, no threads and no allocation of its own (mbedTLS allocates its
 * session buffers).
 *
 * Ownership: the caller provides the memory and keeps platform, config, points and strings alive until
 * gw_ep_shutdown. A GwEp is used from one thread. Callbacks of the platform and the config must not call back
 * into the same GwEp: a datagram that a send provokes is handed over later.
 *
 * Times are milliseconds on the platform's now_ms, which is the uptime. Errors are 0 or a negative GW_E*
 * number.
 */
#ifndef GW_EP_H
#define GW_EP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gw-ep-platform.h"
#include "gw-link-codec.h"

/* Build-time sizes; a firmware with less memory lowers them for the whole build. */
#ifndef GW_EP_MTU_MAX
#define GW_EP_MTU_MAX 1024 /* largest datagram, octets; a link carries at least 512 */
#endif
#ifndef GW_EP_QUEUE_LEN
#define GW_EP_QUEUE_LEN 4096 /* pending reports and events, octets */
#endif
#ifndef GW_EP_BLOB_MAX
#define GW_EP_BLOB_MAX 1536 /* largest certificate taken, DER octets */
#endif
#ifndef GW_EP_POINTS_MAX
#define GW_EP_POINTS_MAX 32 /* points that can be watched */
#endif

#define GW_EP_IDENT_STR_MAX 24 /* each of manufacturer, model, serial, firmware, octets */
#define GW_EP_RECORDS_MAX 8    /* values in one report */
#define GW_EP_NEVER UINT64_MAX /* gw_ep_poll: no deadline */

typedef enum
{
  GW_EP_OFF,         /* not powered */
  GW_EP_LINK_DOWN,   /* may not send */
  GW_EP_WAITING,     /* back-off before the next ClientHello */
  GW_EP_HANDSHAKING, /* ClientHello sent */
  GW_EP_SESSION,     /* DTLS session up */
} GwEpState;

/* The endpoint's description. Kept by the caller, read only. The points are the platform's. */
typedef struct
{
  const char *manufacturer, *model, *serial, *firmware; /* each at most GW_EP_IDENT_STR_MAX octets */
  uint16_t mtu; /* largest datagram of the link; 0 = 512; at most GW_EP_MTU_MAX */
  uint16_t
      frame_ms;    /* time of a full frame on this link, for time-outs; 0 = 50 (512 octets at 115200 baud). On a
                      link that many share, with the wait for the others */
  bool offer_ccm8; /* offer AES-128-CCM-8 too */
  void (*state_changed) (void *data, GwEpState state); /* NULL = not wanted */
  /* The gateway has acknowledged report or event number q of this boot: it is the gateway's now. NULL = not
   * wanted */
  void (*acknowledged) (void *data, uint64_t q, bool is_event);
  void *data;
} GwEpConfig;

typedef struct
{
  uint64_t datagrams_in, datagrams_out,
      dropped_in; /* dropped: unknown first octet, too long, no session, bad clear SMP */
  uint64_t handshakes, handshakes_failed, sessions_lost;
  uint64_t requests_in, repeats_in, requests_refused; /* SMP inside DTLS; refused = answered with an error */
  uint64_t reports_queued, reports_acked, reports_dropped, reports_resent;
  uint64_t signatures, signatures_refused;
  uint32_t reports_pending;
  uint32_t handshake_datagrams_out, handshake_octets_out, handshake_octets_in; /* of the last handshake */
  uint32_t handshake_datagrams_in;
} GwEpStats;

typedef struct GwEp GwEp;

/* Octets (aligned as max_align_t) that the caller provides for one GwEp. */
size_t gw_ep_size (void);

/* Prepare the memory. No key is touched and nothing is sent. GW_E_INVALID on a config outside the limits
 * above. */
int gw_ep_init (GwEp *ep, const GwEpPlatform *platform, const GwEpConfig *config);

/* Power-up: reads the PUF and the stored state, draws a new boot token, starts the first-use window and the
 * first ClientHello at the next gw_ep_poll. The queue of reports starts empty. Error: the PUF cannot be
 * reconstructed or the store fails; the endpoint stays off (hello is not answered). After gw_ep_shutdown it
 * may be called again. */
int gw_ep_power_up (GwEp *ep);

/* Whether the endpoint may send by itself (numbered on CAN, polled on RS-485); up from power-up on. Going
 * down ends the session. */
void gw_ep_link (GwEp *ep, bool up);

/* Whether many endpoints share the link (CAN, RS-485); before gw_ep_link says that it is up. Not from power-up on. There the
 * first ClientHello waits for the gateway's `start`, GW_DTLS_CLIENT_HELLO_SHARED_MS at most. */
void gw_ep_share (GwEp *ep, bool shared);

/* Change the link's largest datagram and full-frame time before a session (as the config's fields). */
int gw_ep_set_link (GwEp *ep, uint16_t mtu, uint16_t frame_ms);

/* One datagram from the link. Anything malformed is dropped and counted; there is nothing to report to the
 * caller. */
void gw_ep_input (GwEp *ep, const uint8_t *datagram, size_t len);

/* Do what is due and return when to call again (platform time, ms), GW_EP_NEVER when only input can cause
 * work. Call it after every gw_ep_input, gw_ep_report and gw_ep_event as well: deadlines may have moved. */
uint64_t gw_ep_poll (GwEp *ep);

/* Queue readings taken now of `n` points (1..GW_EP_RECORDS_MAX), oldest first, one outstanding at the
 * gateway, kept until acknowledged. When the queue is full the oldest is dropped and counted; its number is
 * skipped. GW_E_INVALID: unknown point id or wrong type. Also works without a session. */
typedef struct
{
  uint32_t id;
  GwEpValue value;
} GwEpRecord;
int gw_ep_report (GwEp *ep, const GwEpRecord *records, size_t n);

/* Queue an event: syslog severity 0..7, the application's code, a message (NULL = none, cut to
 * GW_EP_TEXT_MAX). */
int gw_ep_event (GwEp *ep, unsigned level, uint32_t code, const char *message);

/* Factory reset by the application: certificates and owner gone, generation raised, session ended. */
int gw_ep_factory_reset (GwEp *ep);

/* What it says about itself in the clear, without a nonce: for a link that answers probes itself (gw-station.h).
 * Valid after gw_ep_power_up; the texts are the config's. */
void gw_ep_hello (const GwEp *ep, GwLinkHello *hello);

GwEpState gw_ep_state (const GwEp *ep);
bool gw_ep_owned (const GwEp *ep);
/* 32 octets, SHA-256 of the identity key's SubjectPublicKeyInfo; valid after gw_ep_power_up. */
const uint8_t *gw_ep_key_id (const GwEp *ep);
/* The RFC 9266 binding of the session, 32 octets; NULL without a session. */
const uint8_t *gw_ep_binding (const GwEp *ep);
/* The random boot token (4 octets) and the last report number given out. */
const uint8_t *gw_ep_boot (const GwEp *ep, uint64_t *last_q);
/* UTC in milliseconds since 1970, as the owner set it; false: not since power-up. */
bool gw_ep_wall_clock (const GwEp *ep, uint64_t *unix_ms);
void gw_ep_stats (const GwEp *ep, GwEpStats *stats);

/* Power off: ends the session without a word (as a pulled plug does), wipes every secret and the queue. */
void gw_ep_shutdown (GwEp *ep);

#endif
