/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: what anybody on the line can send to an endpoint, as datagrams in the clear and DTLS records,
 * with no gateway behind them. Input: datagrams, each after its length in two octets; the highest bit lets a
 * second go by. */
#include <stdlib.h>

#include "test-ep-lab.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static Lab *lab;

static void
forget_sent (void)
{
  g_queue_clear_full (&lab->to_gateway, (GDestroyNotify)g_bytes_unref);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  if (!lab)
    {
      lab = lab_new (1);
      if (gw_ep_power_up (lab->ep) != GW_OK)
        abort ();
    }
  /* From a ClientHello just sent. */
  gw_ep_link (lab->ep, false);
  gw_ep_link (lab->ep, true);
  gw_ep_poll (lab->ep);
  if (gw_ep_state (lab->ep) != GW_EP_HANDSHAKING)
    abort ();
  forget_sent ();
  while (size >= 2)
    {
      size_t len = (size_t)(data[0] & 0x0f) << 8 | data[1];

      if (data[0] & 0x80)
        lab->now += 1000;
      data += 2;
      size -= 2;
      len = MIN (len, size);
      gw_ep_input (lab->ep, data, len);
      if (gw_ep_poll (lab->ep) < lab->now && gw_ep_state (lab->ep) != GW_EP_WAITING)
        abort ();
      if (gw_ep_state (lab->ep) == GW_EP_SESSION || gw_ep_owned (lab->ep))
        abort ();
      forget_sent ();
      data += len;
      size -= len;
    }
  lab->now += 60000;
  return 0;
}
