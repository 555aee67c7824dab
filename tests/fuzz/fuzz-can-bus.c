/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: gangway-can's bus, on which anybody may send anything at any time. An op is an octet and what it needs; frames
 * are made mostly of ids that mean something. Whatever comes, only nodes that are up get and give datagrams, nobody is up
 * twice, and what is due moves on. */
#include <stdlib.h>
#include <string.h>

#include "gw-can-bus.h"

#define MS INT64_C (1000)
#define STEPS_MAX 64

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

typedef struct
{
  GwCanBus *bus;
  bool up[GW_CAN_NODES];
  uint8_t refuse;
} Owner;

static bool
on_up (void *owner, unsigned number, const GwLinkHello *hello, GwBytes body, uint32_t rtt_ms)
{
  Owner *self = owner;

  if (number == 0 || number >= GW_CAN_NODES || self->up[number] || rtt_ms == 0)
    abort ();
  self->up[number] = self->refuse++ % 4 != 3;
  return self->up[number];
}

static void
on_down (void *owner, unsigned number, GwCanDown why)
{
  Owner *self = owner;

  if (!self->up[number])
    abort ();
  self->up[number] = false;
}

static void
on_datagram (void *owner, unsigned number, GwBytes datagram)
{
  if (!((Owner *) owner)->up[number] || datagram.len == 0 || datagram.len > GW_CAN_DATAGRAM_MAX)
    abort ();
}

static size_t
on_next (void *owner, unsigned number, uint8_t *out)
{
  if (!((Owner *) owner)->up[number])
    abort ();
  memset (out, 0x17, 100);
  return 100;
}

static void
on_news (void *owner, GwCanNews what, unsigned number)
{
}

static void
on_trouble (void *owner, GwLssTrouble kind, const uint8_t *uid)
{
}

static const GwCanBusFuncs funcs = { on_up, on_down, on_datagram, on_next, on_news, on_trouble };

/* Takes up to @n octets off. */
static GwBytes
cut (GwBytes *left, size_t n)
{
  GwBytes piece = { left->ptr, left->len < n ? left->len : n };

  left->ptr += piece.len;
  left->len -= piece.len;
  return piece;
}

static void
take_frame (GwCanBus *bus, unsigned op, GwBytes *left, int64_t now)
{
  GwBytes head = cut (left, 2), data;
  GwCanFrame frame = { .len = 8 };

  if (head.len < 2)
    return;
  switch (op % 5)
    {
    case 0:
      frame.id = gw_can_isotp_id (GW_CAN_GATEWAY_ADDRESS, head.ptr[0]);
      frame.extended = true;
      break;
    case 1:
      frame.id = GW_HEARTBEAT_ID + (head.ptr[0] & 0x7f);
      break;
    case 2:
      frame.id = GW_LSS_ID_SLAVE;
      break;
    case 3:
      frame.id = GW_LSS_ID_MASTER;
      break;
    default:
      frame.id = head.ptr[0] << 3;
      break;
    }
  frame.fd = head.ptr[1] & 0x80;
  frame.len = frame.fd ? gw_can_fd_len (head.ptr[1] & 0x3f) : head.ptr[1] % 9;
  data = cut (left, frame.len);
  memcpy (frame.data, data.ptr, data.len);
  gw_can_bus_take (bus, &frame, now);
}

static void
pull (GwCanBus *bus, unsigned how, int64_t now)
{
  GwCanFrame frame;
  uint32_t tag;

  if (!gw_can_bus_pull (bus, &frame, &tag, now))
    return;
  if (!gw_can_frame_is_valid (&frame))
    abort ();
  if (how % 8 < 6)
    gw_can_bus_sent (bus, tag, &frame, now);
  else if (how % 8 == 6)
    gw_can_bus_unsent (bus, tag, now);
  else
    gw_can_bus_lost (bus, tag, now);
}

/* What is due is done, and then something later is. */
static void
pass (GwCanBus *bus, int64_t *now, int64_t usec)
{
  int64_t end = *now + usec;

  for (unsigned i = 0; i < STEPS_MAX && *now < end; i++)
    {
      int64_t due = gw_can_bus_due (bus, *now);

      *now = due <= *now ? *now + 1 : due < end ? due : end;
      gw_can_bus_tick (bus, *now);
      pull (bus, 0, *now);
    }
  *now = end;
  gw_can_bus_tick (bus, *now);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const GwCanBusConfig config = { .nonce = { 1, 2, 3, 4, 5, 6, 7 } };
  Owner owner = { 0 };
  GwBytes left = { data, size };
  int64_t now = 1000000 * MS;
  unsigned count = 0;

  owner.bus = gw_can_bus_new (&config, &funcs, &owner, now);
  gw_can_bus_set_link (owner.bus, 500000, 2000000, size % 2 == 1);
  while (left.len > 0)
    {
      uint8_t op = cut (&left, 1).ptr[0];

      if (op < 0xa0)
        take_frame (owner.bus, op, &left, now);
      else if (op < 0xd0)
        pull (owner.bus, op, now);
      else if (op < 0xf8)
        pass (owner.bus, &now, MS << (op - 0xd0) % 13);
      else if (op < 0xfc)
        gw_can_bus_kick (owner.bus, 1 + op % 100);
      else
        gw_can_bus_scan (owner.bus, now);
    }
  for (unsigned n = 1; n < GW_CAN_NODES; n++)
    {
      if (owner.up[n] != gw_can_bus_is_up (owner.bus, n))
        abort ();
      count += owner.up[n];
    }
  if (count != gw_can_bus_count_up (owner.bus))
    abort ();
  gw_can_bus_end (owner.bus);
  gw_can_bus_free (owner.bus);
  return 0;
}
