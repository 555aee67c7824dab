/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: a station on a line on which anything may be said at any time, by an endpoint that may send and lose its
 * session whenever it likes. What the station answers is one good frame with P/F set, to the address that was asked;
 * nothing is answered to a frame that asks nobody; and what the endpoint sends comes out once, in order. */
#include <stdlib.h>
#include <string.h>

#include "gw-reader.h"
#include "gw-station.h"

#define MTU 512
#define SENT_MAX 256

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

typedef struct
{
  GwStation station;
  bool in_session, linked;
  uint8_t uid[GW_UID_LEN];
  /* Lengths of what was taken to be sent, in order. */
  uint16_t sent[SENT_MAX];
  unsigned head, tail;
} Lab;

static bool
on_in_session (void *owner)
{
  return ((Lab *) owner)->in_session;
}

static void
on_hello (void *owner, GwLinkHello *out)
{
  Lab *lab = owner;

  memset (out, 0, sizeof *out);
  out->version = 1;
  memcpy (out->uid, lab->uid, sizeof out->uid);
  memcpy (out->kid, lab->uid, sizeof out->uid);
  out->manufacturer = out->model = out->serial = out->firmware = gw_text ("twenty-four octets, full");
  out->mtu = MTU;
}

static void
on_link (void *owner, bool up)
{
  Lab *lab = owner;

  if (up == lab->linked)
    abort ();
  lab->linked = up;
  lab->head = lab->tail = 0;
}

static void
send_octets (Lab *lab, const uint8_t *data, size_t len)
{
  if (lab->tail - lab->head >= SENT_MAX || !gw_station_send (&lab->station, data, len))
    return;
  if (!lab->linked || len == 0 || len > MTU)
    abort ();
  lab->sent[lab->tail++ % SENT_MAX] = (uint16_t) len;
}

static void
on_datagram (void *owner, GwBytes datagram)
{
  if (datagram.len == 0 || datagram.len > MTU)
    abort ();
  send_octets (owner, datagram.ptr, datagram.len);
}

static const GwStationFuncs funcs
    = { .in_session = on_in_session, .hello = on_hello, .link = on_link, .datagram = on_datagram };

/* @before: datagrams that had been taken when the question came. */
static void
check_answer (Lab *lab, const GwFrame *asked, unsigned before, const uint8_t *octets, size_t len)
{
  uint8_t buf[MTU + GW_FRAME_OVERHEAD];
  GwFrameDecoder d;
  GwFrame frame;
  size_t used;

  if (len == 0)
    return;
  gw_frame_decoder_init (&d, buf, sizeof buf);
  if (!asked->poll || gw_frame_decoder_feed (&d, octets, len, &used, &frame) != GW_FRAME_EVENT_FRAME || used != len
      || !frame.poll || frame.address != asked->address)
    abort ();
  if (asked->address == GW_FRAME_ADDRESS_ALL)
    {
      if (lab->in_session || gw_datagram_kind (frame.info.ptr, frame.info.len) != GW_DATAGRAM_SMP_RESPONSE)
        abort ();
      return;
    }
  if (asked->address != lab->station.address)
    abort ();
  if (lab->head == before)
    {
      if (frame.info.len != 0)
        abort ();
    }
  else if (frame.info.len != lab->sent[lab->head++ % SENT_MAX])
    abort ();
}

static void
ask (Lab *lab, uint8_t address, bool poll, GwBytes info, int64_t now)
{
  const GwFrame frame = { .address = address, .poll = poll, .info = info };
  uint8_t out[GW_FRAME_ENCODED_MAX (MTU)];
  unsigned before = lab->tail;
  bool was_linked = lab->linked;
  size_t len;

  gw_station_take (&lab->station, &frame, now, out, sizeof out, &len);
  check_answer (lab, &frame, was_linked ? before : lab->head, out, len);
}

/* A well-formed request of the master's for this station, so that the input need not find one. */
static void
order (Lab *lab, uint8_t what, int64_t now)
{
  GwLinkAddressReq address = { .address = (uint8_t) (1 + what % 254) };
  GwLinkMute mute = { .mute = what & 1 };
  GwLinkProbe probe;
  uint8_t message[64];
  GwCborWriter w;
  size_t len;

  memcpy (address.uid, lab->uid, sizeof address.uid);
  memcpy (mute.uid, lab->uid, sizeof mute.uid);
  memset (probe.lo, what & 4 ? 0xff : 0, sizeof probe.lo);
  memset (probe.hi, 0xff, sizeof probe.hi);
  gw_smp_begin (&w, message, sizeof message, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, what, (uint8_t) (1 + what % 3));
  if (what % 3 == 0)
    gw_link_probe_encode (&probe, &w);
  else if (what % 3 == 1)
    gw_link_mute_encode (&mute, &w);
  else
    gw_link_address_req_encode (&address, &w);
  if (gw_smp_end (&w, &len) == GW_OK)
    ask (lab, GW_FRAME_ADDRESS_ALL, true, (GwBytes){ message, len }, now);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static Lab lab;
  int64_t now = 0, due;
  GwReader r;

  gw_reader_init (&r, data, size);
  memset (&lab, 0, sizeof lab);
  gw_reader_copy (&r, lab.uid, sizeof lab.uid);
  gw_station_init (&lab.station, &funcs, &lab, lab.uid, MTU);
  while (gw_reader_ok (&r) && r.left > 0)
    {
      uint8_t what = gw_reader_u8 (&r);
      uint8_t n = gw_reader_u8 (&r);
      GwBytes info = { NULL, 0 };

      if ((what & 7) < 4)
        info = gw_reader_bytes (&r, n);
      now += (int64_t) (what >> 3) << (n & 24); /* up to half a minute */
      due = gw_station_tick (&lab.station, now);
      if (due <= now)
        abort ();
      switch (what & 7)
        {
        case 0:
          ask (&lab, GW_FRAME_ADDRESS_ALL, n & 1, info, now);
          break;
        case 1:
          ask (&lab, lab.station.address, true, info, now);
          break;
        case 2:
          ask (&lab, n, n & 1, info, now);
          break;
        case 3:
          send_octets (&lab, info.ptr, info.len);
          break;
        case 4:
          lab.in_session = n & 1;
          break;
        default:
          order (&lab, n, now);
          break;
        }
      (void) gw_station_cycle_ms (&lab.station);
    }
  return 0;
}
