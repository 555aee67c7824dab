/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: whole SMP messages, the result in them, and the bodies of the standard groups. */
#include "fuzz-messages.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* A header that was decoded is encoded again: flags are the only thing that may differ. */
static void
check_header (const uint8_t *data, size_t size, const GwSmpMessage *msg)
{
  uint8_t buf[GW_SMP_HEADER_LEN + 1];
  GwCborWriter w;
  size_t len;

  gw_smp_begin (&w, buf, sizeof buf, msg->op, msg->group, msg->seq, msg->command);
  gw_smp_empty_encode (&w);
  if (gw_smp_end (&w, &len) != GW_OK || buf[0] != data[0] || memcmp (buf + 4, data + 4, 4) != 0
      || msg->body.len != size - GW_SMP_HEADER_LEN)
    abort ();
  if (gw_datagram_kind (data, size)
      != (gw_smp_is_request (msg) ? GW_DATAGRAM_SMP_REQUEST : GW_DATAGRAM_SMP_RESPONSE))
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  GwSmpMessage msg;
  GwSmpResult result;

  if (gw_smp_decode (data, size, &msg) != GW_OK)
    return 0;
  check_header (data, size, &msg);
  if (gw_smp_result_decode (msg.body, &result) == GW_OK && result.reason.len > GW_SMP_REASON_MAX)
    abort ();
  fuzz_messages ("smp/", msg.body);
  fuzz_messages ("os/", msg.body);
  fuzz_messages ("enum/", msg.body);
  return 0;
}
