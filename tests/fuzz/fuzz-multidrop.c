/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: the master of a line with many stations, to which anything may come at any time. It has one frame under
 * way at most, takes stations up and down in turn only, hands over datagrams of those alone that are up, and never
 * wants to be called in the past. */
#include <stdlib.h>
#include <string.h>

#include "gw-reader.h"
#include "gw-serial-multidrop.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

typedef struct
{
  GwMultidrop master;
  GwFrame frame; /* on the line */
  uint8_t info[2048];
  bool sending;
  bool up[256];
  unsigned troubles;
  int64_t now;
} Lab;

static void
on_send (void *owner, const GwFrame *frame)
{
  Lab *lab = owner;

  if (lab->sending || frame->info.len > sizeof lab->info)
    abort ();
  lab->frame = *frame;
  if (frame->info.len > 0)
    memcpy (lab->info, frame->info.ptr, frame->info.len);
  lab->sending = true;
}

static GwBytes
on_next (void *owner, uint8_t address)
{
  static const uint8_t datagram[] = { 0x17, 1, 2, 3 };
  Lab *lab = owner;

  if (!lab->up[address])
    abort ();
  return (GwBytes){ datagram, lab->now & 1 ? sizeof datagram : 0 };
}

static bool
on_up (void *owner, uint8_t address, const GwLinkHello *hello, GwBytes body, uint32_t rtt_ms)
{
  Lab *lab = owner;

  if (lab->up[address] || address == 0 || address == GW_FRAME_ADDRESS_ALL || body.len == 0)
    abort ();
  if (lab->now & 2)
    return false;
  lab->up[address] = true;
  return true;
}

static void
on_down (void *owner, uint8_t address, GwSerialDown why)
{
  Lab *lab = owner;

  if (!lab->up[address])
    abort ();
  lab->up[address] = false;
}

static void
on_datagram (void *owner, uint8_t address, GwBytes datagram)
{
  Lab *lab = owner;

  if (!lab->up[address] || datagram.len == 0)
    abort ();
}

static void
on_trouble (void *owner, GwMultidropTrouble trouble, uint8_t address)
{
  ((Lab *) owner)->troubles++;
}

static void
on_measured (void *owner, const GwSerialFigures *link)
{
  if (link->culprit_permille > 1000)
    abort ();
}

static const GwMultidropFuncs funcs = { .send = on_send,
                                        .next = on_next,
                                        .up = on_up,
                                        .down = on_down,
                                        .datagram = on_datagram,
                                        .trouble = on_trouble,
                                        .measured = on_measured };

static void
tick (Lab *lab)
{
  if (gw_multidrop_tick (&lab->master, lab->now) <= lab->now && !lab->sending)
    abort ();
}

static void
hear (Lab *lab, const GwFrame *frame)
{
  gw_multidrop_heard (&lab->master, frame->info.len + 6, lab->now);
  gw_multidrop_take (&lab->master, frame, lab->now);
}

/* The answer that the request under way asks for, by a station of that uid. */
static void
answer (Lab *lab, uint8_t uid)
{
  GwLinkHello hello = { .version = 1, .mtu = 512 };
  GwLinkAddressRsp address = { 0 };
  GwFrame frame = { .address = lab->frame.address, .poll = true };
  uint8_t message[512];
  GwLinkHelloReq question;
  GwLinkAddressReq given;
  GwSmpMessage req;
  GwCborWriter w;
  size_t len = 0;

  if (gw_smp_decode (lab->info, lab->frame.info.len, &req) == GW_OK && gw_smp_is_request (&req))
    {
      memset (hello.kid, uid, sizeof hello.kid);
      memset (hello.uid, uid, sizeof hello.uid);
      hello.manufacturer = hello.model = hello.serial = hello.firmware = gw_text ("x");
      gw_smp_begin_response (&w, message, sizeof message, &req);
      if (req.command == GW_LINK_HELLO && gw_link_hello_req_decode (req.body, &question) == GW_OK)
        {
          hello.has_nonce = true;
          memcpy (hello.nonce, question.nonce, sizeof hello.nonce);
        }
      if (req.command == GW_LINK_ADDRESS && gw_link_address_req_decode (req.body, &given) == GW_OK)
        {
          address.address = given.address;
          gw_link_address_rsp_encode (&address, &w);
        }
      else if (req.command == GW_LINK_MUTE)
        gw_smp_empty_encode (&w);
      else
        gw_link_hello_rsp_encode (&hello, &w);
      if (gw_smp_end (&w, &len) != GW_OK)
        return;
    }
  frame.info = (GwBytes){ message, len };
  hear (lab, &frame);
}

static void
take (Lab *lab, uint8_t what, uint8_t n, GwReader *r)
{
  GwFrame frame = { .address = n, .poll = what & 8 };

  switch (what & 7)
    {
    case 0:
      answer (lab, n);
      break;
    case 1:
      frame.address = lab->frame.address;
      frame.info = gw_reader_bytes (r, n);
      hear (lab, &frame);
      break;
    case 2:
      frame.info = gw_reader_bytes (r, n & 15);
      hear (lab, &frame);
      break;
    case 3:
      gw_multidrop_heard (&lab->master, n, lab->now);
      break;
    case 4:
      gw_multidrop_kick (&lab->master, n, lab->now);
      break;
    case 5: /* its own echo */
      frame = lab->frame;
      frame.info.ptr = lab->info;
      hear (lab, &frame);
      break;
    case 6:
      gw_multidrop_scan (&lab->master, lab->now);
      break;
    default:
      break;
    }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static Lab lab;
  GwReader r;

  memset (&lab, 0, sizeof lab);
  lab.now = 1000000;
  gw_reader_init (&r, data, size);
  gw_multidrop_init (&lab.master, &funcs, &lab, 115200, 2048, (const uint8_t *) "\1\2\3\4\5\6\7", lab.now);
  while (gw_reader_ok (&r) && r.left > 0)
    {
      uint8_t what = gw_reader_u8 (&r);
      uint8_t n = gw_reader_u8 (&r);

      tick (&lab);
      if (lab.sending)
        {
          lab.sending = false;
          gw_multidrop_sent (&lab.master, lab.frame.info.len + 6, lab.now);
        }
      lab.now += what & 0x80 ? (int64_t) 1 << (n & 31) : 500; /* half an hour at most */
      take (&lab, what, n, &r);
    }
  gw_multidrop_end (&lab.master);
  for (unsigned i = 0; i < 256; i++)
    if (lab.up[i])
      abort ();
  return 0;
}
