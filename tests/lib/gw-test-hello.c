/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-test-hello.h"

#include <string.h>

void
gw_test_hello_init (GwLinkHello *self, const guint8 kid[GW_KEY_ID_LEN], guint16 mtu)
{
  *self = (GwLinkHello){ .version = 1, .mtu = mtu, .security = GW_LINK_SEC_DTLS12 };
  memcpy (self->kid, kid, sizeof self->kid);
  memcpy (self->uid, kid, sizeof self->uid);
  self->manufacturer = gw_text ("Maker");
  self->model = gw_text ("M1");
  self->serial = gw_text ("7");
  self->firmware = gw_text ("1.0");
}

gsize
gw_test_hello_answer (const GwLinkHello *self, GwBytes message, guint8 *out, gsize size)
{
  GwLinkHello hello = *self;
  GwLinkHelloReq req;
  GwSmpMessage msg;
  GwCborWriter w;
  size_t len;

  if (gw_smp_decode (message.ptr, message.len, &msg) != GW_OK || msg.op != GW_SMP_OP_READ
      || msg.group != GW_SMP_GROUP_LINK || msg.command != GW_LINK_HELLO
      || gw_link_hello_req_decode (msg.body, &req) != GW_OK)
    return 0;
  hello.has_nonce = req.has_nonce;
  memcpy (hello.nonce, req.nonce, sizeof hello.nonce);
  gw_smp_begin_response (&w, out, size, &msg);
  gw_link_hello_rsp_encode (&hello, &w);
  g_assert_cmpint (gw_smp_end (&w, &len), ==, GW_OK);
  return len;
}
