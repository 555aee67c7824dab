/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: two ISO-TP machines, and an input that decides everything between them: when each sends,
 * pulls, hears that a frame went out, has to take one back or is reset, which frames get lost, what a
 * stranger throws in, how time passes.
 *
 * As long as nobody throws anything in, what is delivered is what was sent, in order, and nothing else. First
 * frames do not get lost here: a message that begins unheard while the one before is unfinished can be taken
 * for its rest, which ISO-TP cannot tell. As long as nothing is lost, reset, put off or late either, all
 * arrives. Whatever comes in: no state out of its bounds, time-outs that lead out of every state, a codec
 * that agrees with itself. */
#include <stdlib.h>
#include <string.h>

#include "gw-isotp.h"

#define RX_SIZE 600
#define TX_SIZE 700 /* more than fits, at times */
#define QUEUED 16   /* more than any window */
#define SECOND 1000000

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static bool honest; /* so far nobody has thrown anything in */
static bool clean;  /* nor has anything been lost, reset, put off or late */

typedef struct
{
  const uint8_t *ptr;
  size_t left;
} Input;

typedef struct
{
  GwIsotp isotp;
  uint8_t buffer[RX_SIZE];
  uint8_t message[TX_SIZE];
  GwCanFrame queue[QUEUED]; /* pulled, not yet gone out */
  size_t queued;
  /* What has been sent, newest last: each message is made of its number and its length. */
  uint8_t number;
  size_t lens[256];
  int last_got; /* by this machine; -1: none */
} End;

static uint8_t
next (Input *in)
{
  if (in->left == 0)
    return 0;
  in->left--;
  return *in->ptr++;
}

/* No two messages share a window of octets. */
static uint8_t
octet_at (uint8_t number, size_t i)
{
  return (uint8_t)(number * 31 + i * 7 + (i >> 8) * 13);
}

static void
check_message (End *self, const End *from)
{
  GwBytes got = gw_isotp_message (&self->isotp);
  int number = -1;

  if (got.len == 0 || got.len > RX_SIZE)
    abort ();
  /* the next after the last one that came whose octets and length these are */
  for (int n = self->last_got + 1; n < from->number && number < 0; n++)
    {
      size_t i = 0;

      while (i < got.len && got.ptr[i] == octet_at ((uint8_t)n, i))
        i++;
      if (i == got.len && from->lens[n] == got.len)
        number = n;
    }
  if (number < 0)
    abort ();
  self->last_got = number;
}

static void
check_state (End *self)
{
  const GwIsotp *isotp = &self->isotp;

  if (isotp->n_flight > isotp->config.window || isotp->rx_got > RX_SIZE)
    abort ();
  if (gw_isotp_is_sending (isotp) ? isotp->tx_at > isotp->tx.len : isotp->tx_gap)
    abort ();
  if ((gw_isotp_is_sending (isotp) || gw_isotp_is_receiving (isotp)) && gw_isotp_due (isotp) == INT64_MAX)
    abort (); /* nothing would lead out of it */
}

/* Without a fault from outside only two things can go wrong: a message is too long for the other, or nobody
 * moved on. */
static void
check_failure (GwIsotpResult result)
{
  switch (result)
    {
    case GW_ISOTP_N_TIMEOUT_A:
    case GW_ISOTP_N_TIMEOUT_BS:
    case GW_ISOTP_N_TIMEOUT_CR:
      clean = false;
      return;
    case GW_ISOTP_N_BUFFER_OVFLW:
      return;
    case GW_ISOTP_N_OK:
      abort ();
    default:
      if (clean)
        abort ();
    }
}

static void
on_event (End *self, const End *from, GwIsotpEvent event)
{
  if (event == GW_ISOTP_RECEIVED && honest)
    check_message (self, from);
  if ((event == GW_ISOTP_SENT || event == GW_ISOTP_SEND_FAILED) && gw_isotp_is_sending (&self->isotp))
    abort ();
  if (event == GW_ISOTP_SEND_FAILED)
    check_failure (gw_isotp_send_failure (&self->isotp));
  if (event == GW_ISOTP_RECEIVE_FAILED)
    check_failure (gw_isotp_receive_failure (&self->isotp));
  check_state (self);
}

static void
check_all_came (const End *self, const End *other)
{
  if (clean
      && (self->isotp.counters.messages_out != other->isotp.counters.messages_in
          || self->isotp.counters.ignored > 0))
    abort ();
}

/* What decodes must encode to a frame that decodes the same. */
static void
check_codec (const GwCanFrame *frame)
{
  GwIsotpForm form = {
    .id = frame->id, .extended = frame->extended, .fd = frame->fd, .brs = frame->brs, .dl = frame->len
  };
  GwIsotpPdu pdu, back;
  GwCanFrame again;

  if (!gw_can_frame_is_valid (frame) || gw_isotp_decode (frame, &pdu) != GW_OK)
    return;
  gw_isotp_encode (&form, &pdu, &again);
  if (!gw_can_frame_is_valid (&again) || gw_isotp_decode (&again, &back) != GW_OK)
    abort ();
  if (back.kind != pdu.kind || back.len != pdu.len || back.sn != pdu.sn || back.status != pdu.status
      || back.block_size != pdu.block_size || back.st_min != pdu.st_min || back.data.len != pdu.data.len
      || (pdu.data.len > 0 && memcmp (back.data.ptr, pdu.data.ptr, pdu.data.len) != 0))
    abort ();
}

static void
begin (End *self, Input *in, int64_t now)
{
  size_t len = (size_t)(next (in) << 2 | (self->number & 3)) % TX_SIZE;

  if (self->number == 255 || gw_isotp_is_sending (&self->isotp))
    return;
  for (size_t i = 0; i < len; i++)
    self->message[i] = octet_at (self->number, i);
  if (gw_isotp_send (&self->isotp, (GwBytes){ self->message, len }, now) == GW_OK)
    self->lens[self->number++] = len;
}

static void
pull (End *self, int64_t now)
{
  if (self->queued < QUEUED && gw_isotp_pull (&self->isotp, now, &self->queue[self->queued]))
    {
      if (!gw_can_frame_is_valid (&self->queue[self->queued]))
        abort ();
      check_codec (&self->queue[self->queued++]);
    }
}

/* The oldest frame goes out: the sender hears of it before or after the receiver, or the receiver never does.
 */
static void
carry (End *self, End *other, uint8_t how, int64_t now)
{
  GwCanFrame frame = self->queue[0];
  bool lost = how & 1 && (frame.data[0] & 0xF0) != GW_ISOTP_FIRST << 4;

  if (self->queued == 0)
    return;
  memmove (self->queue, self->queue + 1, --self->queued * sizeof frame);
  if (how & 2)
    on_event (self, other, gw_isotp_confirm (&self->isotp, now));
  clean = clean && !lost;
  if (!lost)
    on_event (other, self, gw_isotp_take (&other->isotp, &frame, now));
  if (!(how & 2))
    on_event (self, other, gw_isotp_confirm (&self->isotp, now));
}

static void
unpull (End *self)
{
  /* not what a time-out has given up already: it may still go out, but nobody counts on it */
  if (self->queued == 0 || self->isotp.n_flight != self->queued)
    return;
  self->queued--;
  gw_isotp_unpull (&self->isotp);
}

static void
throw_in (End *self, const End *other, Input *in, int64_t now)
{
  GwCanFrame frame = { .id = self->isotp.config.rx_id, .extended = true };
  uint8_t head = next (in);

  frame.fd = head & 0x80;
  frame.remote = (head & 0x60) == 0x60;
  frame.len = head & 0x10 ? head : gw_can_len_of_dlc (head & 0x0F, frame.fd);
  for (size_t i = 0; i < frame.len && i < sizeof frame.data; i++)
    frame.data[i] = next (in);
  check_codec (&frame);
  on_event (self, other, gw_isotp_take (&self->isotp, &frame, now));
}

/* One event a call, and after the last nothing is due any more. */
static void
tick (End *self, const End *other, int64_t now)
{
  GwIsotpEvent event;
  int events = 0;

  while ((event = gw_isotp_tick (&self->isotp, now)) != GW_ISOTP_NOTHING)
    {
      on_event (self, other, event);
      if (++events > 2)
        abort ();
    }
  if (gw_isotp_due (&self->isotp) <= now)
    abort ();
  check_state (self);
}

static void
configure (End *self, Input *in, uint32_t tx_id, uint32_t rx_id)
{
  uint8_t flags = next (in);
  GwIsotpConfig config;

  memset (self, 0, sizeof *self);
  self->last_got = -1;
  gw_isotp_config_default (&config, tx_id, rx_id);
  config.fd = flags & 1;
  config.brs = flags & 2;
  config.pad = flags & 4;
  config.window = flags >> 4;
  config.tx_dl = next (in);
  config.block_size = next (in);
  config.st_min = next (in);
  config.wait_max = next (in) & 3;
  gw_isotp_init (&self->isotp, &config, self->buffer, RX_SIZE);
}

/* Left alone, every state comes to its end. */
static void
run_out (End *self, const End *other, int64_t now)
{
  for (int i = 0; gw_isotp_due (&self->isotp) != INT64_MAX; i++)
    {
      if (i > 16)
        abort ();
      now = gw_isotp_due (&self->isotp) > now ? gw_isotp_due (&self->isotp) : now;
      tick (self, other, now);
    }
  if (gw_isotp_is_sending (&self->isotp) || gw_isotp_is_receiving (&self->isotp))
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  Input in = { data, size };
  static End ends[2];
  int64_t now = 0;

  honest = clean = true;
  configure (&ends[0], &in, 0x18DA01F1, 0x18DAF101);
  configure (&ends[1], &in, 0x18DAF101, 0x18DA01F1);
  while (in.left > 0)
    {
      uint8_t op = next (&in);
      End *self = &ends[op & 1], *other = &ends[!(op & 1)];

      switch (op >> 1 & 0x0F)
        {
        case 0:
          begin (self, &in, now);
          break;
        case 1:
          pull (self, now);
          break;
        case 2:
          carry (self, other, op >> 5 & 2, now);
          break;
        case 3:
          carry (self, other, op >> 5, now);
          break;
        case 4:
          unpull (self);
          break;
        case 5:
          now += next (&in) * 100;
          break;
        case 6:
          now += next (&in) * SECOND / 64;
          break;
        case 7:
          tick (self, other, now);
          break;
        case 9:
          clean = false;
          gw_isotp_reset (&self->isotp);
          self->queued = 0;
          break;
        case 10:
          honest = clean = false;
          throw_in (self, other, &in, now);
          break;
        case 11: /* a confirmation that nothing belongs to */
          if (self->queued == 0)
            on_event (self, other, gw_isotp_confirm (&self->isotp, now));
          break;
        default: /* a busy stretch, for getting far in few octets */
          for (int i = 0; i < 8; i++)
            {
              pull (self, now);
              carry (self, other, 2, now);
              pull (other, now);
              carry (other, self, 2, now);
            }
        }
      check_state (self);
      check_state (other);
      check_all_came (self, other);
      check_all_came (other, self);
    }
  for (int i = 0; i < 2; i++)
    run_out (&ends[i], &ends[!i], now);
  return 0;
}
