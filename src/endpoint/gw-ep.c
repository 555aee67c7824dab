/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The endpoint's core: what a datagram is for, when a handshake begins, who may call which command, and when
 * the next thing is due. The parts (session, requests, identity, data) do not know each other; they meet
 * here.
 */

#include "gw-ep-private.h"

#include <string.h>

#include <mbedtls/platform_util.h>

#define POLL_ROUNDS_MAX 4u   /* a handshake that ends and begins anew is two */
#define FRAME_MS_DEFAULT 50u /* 512 octets at 115200 baud */

static void run_session (GwEp *ep);

uint64_t
gw_ep_now (const GwEp *ep)
{
  return ep->platform->now_ms (ep->platform->ctx);
}

uint64_t
gw_ep_uptime (const GwEp *ep)
{
  return gw_ep_now (ep) - ep->power_up_at;
}

static void
set_state (GwEp *ep, GwEpState state)
{
  if (ep->state == state)
    return;
  ep->state = state;
  if (ep->config->state_changed != NULL)
    ep->config->state_changed (ep->config->data, state);
}

/* ---- Life ---- */

size_t
gw_ep_size (void)
{
  return sizeof (GwEp);
}

static bool
text_fits (const char *text)
{
  return text != NULL && strlen (text) <= GW_EP_IDENT_STR_MAX;
}

int
gw_ep_init (GwEp *ep, const GwEpPlatform *platform, const GwEpConfig *config)
{
  uint16_t mtu = config->mtu != 0 ? config->mtu : GW_LINK_MTU_MIN;
  uint16_t frame_ms = config->frame_ms != 0 ? config->frame_ms : FRAME_MS_DEFAULT;

  memset (ep, 0, sizeof *ep);
  if (!text_fits (config->manufacturer) || !text_fits (config->model) || !text_fits (config->serial)
      || !text_fits (config->firmware))
    return GW_E_INVALID;
  ep->platform = platform;
  ep->config = config;
  ep->close_at = ep->reset_at = GW_EP_NEVER;
  return gw_ep_set_link (ep, mtu, frame_ms);
}

int
gw_ep_set_link (GwEp *ep, uint16_t mtu, uint16_t frame_ms)
{
  if (mtu < GW_LINK_MTU_MIN || mtu > GW_EP_MTU_MAX || ep->busy)
    return GW_E_INVALID;
  ep->mtu = mtu;
  ep->frame_ms = frame_ms;
  if (ep->on)
    gw_ep_dtls_set_link (&ep->dtls, mtu, frame_ms);
  return GW_OK;
}

static int
power_up (GwEp *ep)
{
  int status = gw_keys_init (&ep->keys, ep->platform);

  if (status == GW_OK)
    status = gw_ep_dtls_init (&ep->dtls, ep->platform, &ep->keys, &ep->stats, ep->config->offer_ccm8);
  if (status == GW_OK)
    status = gw_ep_queue_load (ep);
  if (status == GW_OK)
    status = gw_ep_ident_load (ep);
  if (status == GW_OK)
    status = gw_ep_data_load (ep);
  if (status == GW_OK)
    gw_ep_sign_load (ep);
  return status;
}

int
gw_ep_power_up (GwEp *ep)
{
  int status;

  if (ep->on || ep->busy)
    return GW_E_STATE;
  ep->busy = true;
  ep->power_up_at = gw_ep_now (ep);
  ep->close_at = ep->reset_at = GW_EP_NEVER;
  ep->attempts = 0;
  ep->muted = ep->start_honoured = false;
  status = power_up (ep);
  ep->busy = false;
  if (status != GW_OK)
    {
      gw_ep_shutdown (ep);
      return status;
    }
  ep->on = true;
  ep->link_up = true;
  gw_ep_dtls_set_link (&ep->dtls, ep->mtu, ep->frame_ms);
  ep->hello_at = ep->power_up_at;
  set_state (ep, GW_EP_WAITING);
  return GW_OK;
}

void
gw_ep_shutdown (GwEp *ep)
{
  const GwEpPlatform *platform = ep->platform;
  const GwEpConfig *config = ep->config;
  GwEpStats stats = ep->stats;
  GwEpState state = ep->state;
  uint16_t mtu = ep->mtu, frame_ms = ep->frame_ms;
  bool shared = ep->shared;

  if (ep->busy)
    return;
  /* Every context is either initialised or still zero, which mbedTLS frees as well. */
  gw_ep_dtls_free (&ep->dtls);
  mbedtls_platform_zeroize (ep, sizeof *ep);
  ep->platform = platform;
  ep->config = config;
  ep->stats = stats;
  ep->state = state;
  ep->mtu = mtu;
  ep->frame_ms = frame_ms;
  ep->shared = shared;
  ep->close_at = ep->reset_at = GW_EP_NEVER;
  set_state (ep, GW_EP_OFF);
}

/* ---- Sessions ---- */

static void
forget_session (GwEp *ep)
{
  ep->close_at = GW_EP_NEVER;
  gw_ep_ident_session_end (ep);
  gw_ep_sign_forget (ep);
  gw_ep_queue_session_end (ep);
  mbedtls_platform_zeroize (ep->io, sizeof ep->io);
}

/* The next ClientHello after 1, 2, 4 .. 60 s +-25 %. One that stayed without any answer has waited long
 * enough already: mbedTLS repeats it at these very intervals. */
static void
wait_for_hello (GwEp *ep)
{
  uint32_t wait = GW_DTLS_CLIENT_HELLO_MIN_MS;

  forget_session (ep);
  if (!ep->link_up)
    {
      set_state (ep, GW_EP_LINK_DOWN);
      return;
    }
  if (ep->dtls.silent)
    wait = 0;
  else
    {
      wait = ep->attempts < 6 ? wait << ep->attempts : GW_DTLS_CLIENT_HELLO_MAX_MS;
      ep->attempts++;
    }
  ep->hello_at = gw_ep_now (ep) + gw_ep_dtls_jitter (&ep->dtls, wait);
  set_state (ep, GW_EP_WAITING);
}

static void
begin_handshake (GwEp *ep)
{
  forget_session (ep);
  gw_ep_dtls_start (&ep->dtls);
  set_state (ep, GW_EP_HANDSHAKING);
  run_session (ep);
}

static void
lose_session (GwEp *ep)
{
  ep->stats.sessions_lost++;
  gw_ep_dtls_stop (&ep->dtls);
  wait_for_hello (ep);
}

/* Where many are found at the same time the gateway asks each in its turn, and nobody else takes the bus. */
static uint64_t
first_hello_at (GwEp *ep)
{
  return gw_ep_now (ep) + (ep->shared ? gw_ep_dtls_jitter (&ep->dtls, GW_DTLS_CLIENT_HELLO_SHARED_MS) : 0);
}

void
gw_ep_share (GwEp *ep, bool shared)
{
  ep->shared = shared;
}

void
gw_ep_link (GwEp *ep, bool up)
{
  if (!ep->on || ep->busy || ep->link_up == up)
    return;
  ep->link_up = up;
  gw_ep_dtls_stop (&ep->dtls);
  wait_for_hello (ep);
  ep->dtls.silent = false;
  ep->attempts = 0;
  ep->hello_at = first_hello_at (ep);
}

/* ---- Requests of the gateway ---- */

static const GwEpCommand *
find_command (const GwSmpMessage *req, const GwEpCommand *commands, size_t n)
{
  size_t i;

  for (i = 0; i < n; i++)
    if (commands[i].group == req->group && commands[i].command == req->command && commands[i].op == req->op)
      return &commands[i];
  return NULL;
}

static int
dispatch (GwEp *ep, const GwSmpMessage *req, GwCborWriter *w)
{
  const GwEpCommand *command = find_command (req, gw_ep_os_commands, gw_ep_os_n_commands);

  if (command == NULL)
    command = find_command (req, gw_ep_ident_commands, gw_ep_ident_n_commands);
  if (command == NULL)
    command = find_command (req, gw_ep_data_commands, gw_ep_data_n_commands);
  /* To a stranger everything else is forbidden, known or not. */
  if (!ep->ident.owned && (command == NULL || !command->unowned))
    return GW_SMP_RC_ACCESS_DENIED;
  if (command == NULL)
    return GW_SMP_RC_NOT_SUPPORTED;
  return command->run (ep, req->body, w);
}

static void
send_answer (GwEp *ep)
{
  (void)gw_ep_dtls_send (&ep->dtls, ep->smp.answer, ep->smp.answer_len);
}

static void
finish (GwEp *ep, GwCborWriter *w, int result)
{
  if (result != GW_EP_OK)
    ep->stats.requests_refused++;
  if (gw_ep_smp_finish (&ep->smp, w, gw_ep_dtls_message_max (&ep->dtls), result))
    send_answer (ep);
}

void
gw_ep_begin_late (GwEp *ep, GwCborWriter *w)
{
  gw_ep_smp_begin_answer (&ep->smp, w, gw_ep_dtls_message_max (&ep->dtls));
}

void
gw_ep_finish_late (GwEp *ep, GwCborWriter *w, int result)
{
  finish (ep, w, result);
}

static void
handle_record (GwEp *ep, size_t len)
{
  GwSmpMessage msg;
  GwCborWriter w;
  int result;

  switch (gw_ep_smp_input (&ep->smp, ep->io, len, gw_ep_now (ep), &msg))
    {
    case GW_EP_SMP_EXECUTE:
      ep->stats.requests_in++;
      ep->attempts = 0; /* the gateway makes use of the session */
      gw_ep_begin_late (ep, &w);
      result = dispatch (ep, &msg, &w);
      if (result != GW_EP_LATER)
        finish (ep, &w, result);
      break;
    case GW_EP_SMP_REPEAT:
      ep->stats.repeats_in++;
      send_answer (ep);
      break;
    case GW_EP_SMP_ANSWER:
      gw_ep_queue_answered (ep, msg.body, gw_ep_now (ep));
      break;
    case GW_EP_SMP_DROP:
      ep->stats.dropped_in++;
      break;
    }
}

static void
run_session (GwEp *ep)
{
  GwEpDtlsEvent event;
  size_t len;

  do
    {
      event = gw_ep_dtls_run (&ep->dtls, ep->io, sizeof ep->io, &len);
      switch (event)
        {
        case GW_EP_DTLS_UP:
          gw_ep_smp_start (&ep->smp, gw_ep_now (ep));
          set_state (ep, GW_EP_SESSION);
          break;
        case GW_EP_DTLS_RECORD:
          handle_record (ep, len);
          break;
        case GW_EP_DTLS_DOWN:
          wait_for_hello (ep);
          break;
        case GW_EP_DTLS_IDLE:
          break;
        }
    }
  while (event == GW_EP_DTLS_UP || event == GW_EP_DTLS_RECORD);
}

/* ---- Our requests: reports and events ---- */

static void
send_first (GwEp *ep, uint64_t now)
{
  GwCborWriter w;
  size_t len = 0;

  gw_smp_begin (&w, ep->io, sizeof ep->io, GW_SMP_OP_WRITE, GW_SMP_GROUP_DATA, ep->smp.seq, ep->smp.command);
  if (gw_ep_queue_encode_first (ep, &w, now) && gw_smp_end (&w, &len) == GW_OK)
    (void)gw_ep_dtls_send (&ep->dtls, ep->io, len);
}

/* The link may have become narrower since an entry was queued; one that cannot leave would block the rest. */
static bool
first_fits (GwEp *ep, uint64_t now)
{
  GwCborWriter w;
  size_t len = 0, max = gw_ep_dtls_message_max (&ep->dtls);

  if (max > sizeof ep->io)
    max = sizeof ep->io;
  gw_smp_begin (&w, ep->io, max, GW_SMP_OP_WRITE, GW_SMP_GROUP_DATA, 0, GW_DATA_REPORT);
  return gw_ep_queue_encode_first (ep, &w, now) && gw_smp_end (&w, &len) == GW_OK;
}

/* Reports go to the owner only. */
static uint64_t
poll_reports (GwEp *ep, uint64_t now)
{
  if (ep->smp.outstanding)
    {
      switch (gw_ep_smp_tick (&ep->smp, now, ep->frame_ms))
        {
        case GW_EP_SMP_RETRY:
          ep->stats.reports_resent++;
          send_first (ep, now);
          break;
        case GW_EP_SMP_LOST:
          lose_session (ep);
          return GW_EP_NEVER;
        case GW_EP_SMP_WAIT:
          break;
        }
      return ep->smp.due;
    }
  if (!ep->ident.owned)
    return GW_EP_NEVER;
  while (gw_ep_queue_due (ep) <= now && !first_fits (ep, now))
    gw_ep_queue_drop_first (ep);
  if (gw_ep_queue_due (ep) > now)
    return gw_ep_queue_due (ep);
  gw_ep_smp_begin_request (&ep->smp, GW_SMP_OP_WRITE, GW_SMP_GROUP_DATA, gw_ep_queue_first_command (ep), now,
                           ep->frame_ms);
  ep->queue.in_flight = true;
  send_first (ep, now);
  return ep->smp.due;
}

/* ---- In the clear ---- */

static void
send_clear (GwEp *ep, GwCborWriter *w)
{
  size_t len;

  if (gw_smp_end (w, &len) != GW_OK || len > ep->mtu)
    return;
  (void)ep->platform->send (ep->platform->ctx, w->buf, len);
  ep->stats.datagrams_out++;
}

static void
answer_hello (GwEp *ep, const GwSmpMessage *req, const GwLinkHelloReq *hello_req)
{
  GwLinkHello hello;
  GwCborWriter w;

  gw_ep_ident_hello (ep, &hello);
  hello.has_nonce = hello_req->has_nonce;
  memcpy (hello.nonce, hello_req->nonce, sizeof hello.nonce);
  gw_smp_begin_response (&w, ep->io, sizeof ep->io, req);
  gw_link_hello_rsp_encode (&hello, &w);
  send_clear (ep, &w);
}

static bool
handle_probe (GwEp *ep, const GwSmpMessage *req)
{
  GwLinkHelloReq hello_req = { 0 };
  GwLinkProbe probe;

  if (ep->state == GW_EP_SESSION || gw_link_probe_decode (req->body, &probe) != GW_OK)
    return false;
  if (!ep->muted && memcmp (probe.lo, ep->keys.kid, GW_UID_LEN) <= 0
      && memcmp (probe.hi, ep->keys.kid, GW_UID_LEN) >= 0)
    answer_hello (ep, req, &hello_req);
  return true;
}

static bool
handle_mute (GwEp *ep, const GwSmpMessage *req)
{
  GwLinkMute mute;
  GwCborWriter w;

  if (ep->state == GW_EP_SESSION || gw_link_mute_decode (req->body, &mute) != GW_OK)
    return false;
  if (memcmp (mute.uid, ep->keys.kid, GW_UID_LEN) != 0)
    return true;
  ep->muted = mute.mute;
  gw_smp_begin_response (&w, ep->io, sizeof ep->io, req);
  gw_smp_empty_encode (&w);
  send_clear (ep, &w);
  return true;
}

/* The gateway asks for a ClientHello: it has no session for us. Nobody signs this, so it is honoured rarely;
 * a ClientHello that is still unanswered is only sent again, since the gateway may be working on it. */
static bool
handle_start (GwEp *ep, const GwSmpMessage *req)
{
  uint64_t now = gw_ep_now (ep);
  GwLinkStart start;
  GwCborWriter w;

  if (gw_link_start_decode (req->body, &start) != GW_OK)
    return false;
  gw_smp_begin_response (&w, ep->io, sizeof ep->io, req);
  gw_smp_empty_encode (&w);
  send_clear (ep, &w);
  if (!ep->link_up || (ep->start_honoured && now - ep->start_at < GW_DTLS_START_HONOUR_MS))
    return true;
  ep->start_honoured = true;
  ep->start_at = now;
  if (ep->state == GW_EP_SESSION)
    ep->stats.sessions_lost++;
  if (ep->state == GW_EP_HANDSHAKING && !ep->dtls.heard)
    {
      gw_ep_dtls_hurry (&ep->dtls);
      run_session (ep);
    }
  else
    begin_handshake (ep);
  return true;
}

static bool
handle_clear (GwEp *ep, const uint8_t *datagram, size_t len)
{
  GwLinkHelloReq hello_req;
  GwSmpMessage msg;

  if (gw_smp_decode (datagram, len, &msg) != GW_OK || !gw_smp_is_request (&msg)
      || msg.group != GW_SMP_GROUP_LINK)
    return false;
  if ((msg.op == GW_SMP_OP_READ) != (msg.command == GW_LINK_HELLO))
    return false;
  switch (msg.command)
    {
    case GW_LINK_HELLO:
      if (gw_link_hello_req_decode (msg.body, &hello_req) != GW_OK)
        return false;
      answer_hello (ep, &msg, &hello_req);
      return true;
    case GW_LINK_PROBE:
      return handle_probe (ep, &msg);
    case GW_LINK_MUTE:
      return handle_mute (ep, &msg);
    case GW_LINK_START:
      return handle_start (ep, &msg);
    default: /* address: point to point there is none */
      return false;
    }
}

void
gw_ep_input (GwEp *ep, const uint8_t *datagram, size_t len)
{
  bool taken = false;

  if (!ep->on || ep->busy)
    return;
  ep->busy = true;
  ep->stats.datagrams_in++;
  if (len <= ep->mtu)
    switch (gw_datagram_kind (datagram, len))
      {
      case GW_DATAGRAM_DTLS:
        taken = ep->dtls.running;
        gw_ep_dtls_feed (&ep->dtls, datagram, len);
        run_session (ep);
        break;
      case GW_DATAGRAM_SMP_REQUEST:
        taken = handle_clear (ep, datagram, len);
        break;
      default:
        break;
      }
  if (!taken)
    ep->stats.dropped_in++;
  ep->busy = false;
}

/* ---- Time ---- */

static uint64_t
poll_session (GwEp *ep, uint64_t now)
{
  uint64_t next;

  if (now >= ep->close_at)
    {
      gw_ep_dtls_close (&ep->dtls);
      lose_session (ep);
      return GW_EP_NEVER;
    }
  if (now - ep->smp.heard_at >= GW_EP_SESSION_SILENCE_MS)
    {
      lose_session (ep);
      return GW_EP_NEVER;
    }
  next = gw_ep_sign_poll (ep, now);
  next = gw_ep_earlier (next, poll_reports (ep, now));
  next = gw_ep_earlier (next, ep->close_at);
  return gw_ep_earlier (next, ep->smp.heard_at + GW_EP_SESSION_SILENCE_MS);
}

/* One round; its deadline may have been overtaken by what it did. */
static uint64_t
poll_once (GwEp *ep, uint64_t now)
{
  uint64_t next = gw_ep_data_poll (ep, now);

  if (now >= ep->reset_at)
    {
      ep->reset_at = GW_EP_NEVER;
      ep->platform->reset (ep->platform->ctx);
    }
  next = gw_ep_earlier (next, ep->reset_at);
  switch (ep->state)
    {
    case GW_EP_WAITING:
      if (now >= ep->hello_at)
        begin_handshake (ep);
      break;
    case GW_EP_HANDSHAKING:
      if (now >= gw_ep_dtls_deadline (&ep->dtls))
        run_session (ep);
      break;
    case GW_EP_SESSION:
      next = gw_ep_earlier (next, poll_session (ep, now));
      break;
    default:
      break;
    }
  if (ep->state == GW_EP_WAITING)
    next = gw_ep_earlier (next, ep->hello_at);
  else if (ep->state == GW_EP_HANDSHAKING)
    next = gw_ep_earlier (next, gw_ep_dtls_deadline (&ep->dtls));
  return next;
}

uint64_t
gw_ep_poll (GwEp *ep)
{
  uint64_t next, now;
  unsigned rounds = 0;

  if (!ep->on || ep->busy)
    return GW_EP_NEVER;
  ep->busy = true;
  now = gw_ep_now (ep);
  do
    next = poll_once (ep, now);
  while (next <= now && ++rounds < POLL_ROUNDS_MAX);
  ep->busy = false;
  return next;
}

/* ---- Asking ---- */

void
gw_ep_hello (const GwEp *ep, GwLinkHello *hello)
{
  gw_ep_ident_hello (ep, hello);
}

int
gw_ep_factory_reset (GwEp *ep)
{
  int status;

  if (!ep->on || ep->busy)
    return GW_E_STATE;
  ep->busy = true;
  status = gw_ep_ident_wipe (ep, GW_IDENT_WIPE_OWNER);
  if (ep->state == GW_EP_SESSION)
    ep->stats.sessions_lost++;
  gw_ep_dtls_close (&ep->dtls);
  gw_ep_dtls_stop (&ep->dtls);
  wait_for_hello (ep);
  ep->busy = false;
  return status;
}

GwEpState
gw_ep_state (const GwEp *ep)
{
  return ep->state;
}

bool
gw_ep_owned (const GwEp *ep)
{
  return ep->ident.owned;
}

const uint8_t *
gw_ep_key_id (const GwEp *ep)
{
  return ep->keys.kid;
}

const uint8_t *
gw_ep_binding (const GwEp *ep)
{
  return ep->dtls.established ? ep->dtls.binding : NULL;
}

const uint8_t *
gw_ep_boot (const GwEp *ep, uint64_t *last_q)
{
  if (last_q != NULL)
    *last_q = ep->queue.last_q;
  return ep->queue.boot;
}

bool
gw_ep_wall_clock (const GwEp *ep, uint64_t *unix_ms)
{
  *unix_ms = ep->has_wall_clock ? ep->wall_clock_at_0 + gw_ep_now (ep) : 0;
  return ep->has_wall_clock;
}

void
gw_ep_stats (const GwEp *ep, GwEpStats *stats)
{
  *stats = ep->stats;
}
