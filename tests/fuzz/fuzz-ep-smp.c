/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: what a gateway can say to an endpoint inside a session. Input: one octet (bit 0: the endpoint
 * is owned), then messages: an octet (bit 0: a write; bit 1: an answer; bit 2: a wrong number; bit 7: a
 * second goes by), group, command, length of the body in two octets, body. Every message that the endpoint
 * sends back must be well-formed. */
#include <stdlib.h>

#include "gw-data-codec.h"
#include "test-ep-lab.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

#define SESSION_INPUTS 1000

static Lab *lab;
static guint inputs;

static void
check_records (void)
{
  GBytes *record;

  while ((record = lab_take_record (lab)) != NULL)
    {
      GwBytes raw = lab_bytes (record);
      GwSmpResult result;
      GwDataReport report;
      GwDataEvent event;
      GwSmpMessage msg;

      if (gw_smp_decode (raw.ptr, raw.len, &msg) != GW_OK)
        abort ();
      if (!gw_smp_is_request (&msg))
        {
          if (gw_smp_result_decode (msg.body, &result) != GW_OK)
            abort ();
        }
      else if (gw_data_report_decode (msg.body, &report) != GW_OK
               && gw_data_event_decode (msg.body, &event) != GW_OK)
        abort ();
      g_bytes_unref (record);
    }
}

static void
prepare (gboolean owned)
{
  if (!lab)
    {
      lab = lab_new (1);
      lab->has_value[0] = lab->has_value[1] = TRUE;
      lab->values[0] = (GwEpValue){ .type = GW_EP_FLOAT, .u.f = 20 };
      lab->values[1] = (GwEpValue){ .type = GW_EP_INT, .u.i = 20 };
      lab->button = TRUE;
      lab_connect (lab);
    }
  if (gw_ep_owned (lab->ep) && !owned)
    gw_ep_factory_reset (lab->ep);
  /* A new session now and then, and where the last input ended it. */
  if (++inputs % SESSION_INPUTS == 0 || gw_ep_state (lab->ep) != GW_EP_SESSION || lab->server_error)
    {
      gw_ep_link (lab->ep, false);
      gw_ep_link (lab->ep, true);
    }
  lab_pump (lab);
  check_records ();
  if (gw_ep_state (lab->ep) != GW_EP_SESSION)
    abort ();
  if (owned && !gw_ep_owned (lab->ep))
    lab_own (lab);
  check_records ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const guint16 groups[] = { GW_SMP_GROUP_OS,   GW_SMP_GROUP_IDENT, GW_SMP_GROUP_DATA,
                                    GW_SMP_GROUP_ENUM, GW_SMP_GROUP_LINK,  GW_SMP_GROUP_IMAGE };

  if (size == 0)
    return 0;
  prepare (data[0] & 1);
  data++;
  size--;
  while (size >= 5 && lab->server_up && !lab->server_error)
    {
      guint8 flags = data[0];
      size_t len = (size_t)data[3] << 8 | data[4];
      guint8 op = (guint8)((flags & 1 ? GW_SMP_OP_WRITE : GW_SMP_OP_READ) | (flags & 2 ? 1 : 0));
      guint8 seq = flags & 4 ? (guint8)(lab->next_seq + 7) : flags & 2 ? 0 : lab->next_seq++;

      len = MIN (len, MIN (size - 5, 460));
      lab_send_request (lab, op, groups[data[1] % G_N_ELEMENTS (groups)], data[2], seq,
                        g_bytes_new (data + 5, len));
      check_records ();
      if (flags & 0x80)
        {
          lab_advance (lab, 1000);
          check_records ();
        }
      data += 5 + len;
      size -= 5 + len;
    }
  return 0;
}
