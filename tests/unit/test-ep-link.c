/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the endpoint does with datagrams in the clear. */

#include <string.h>

#include "gw-link-codec.h"
#include "test-ep-lab.h"

static void
send_link (Lab *lab, guint8 op, guint16 group, guint8 command, GBytes *body)
{
  guint8 message[1024];
  GwBytes raw = lab_bytes (body);
  GwCborWriter w;
  gsize len;

  gw_smp_begin (&w, message, sizeof message, op, group, 7, command);
  memcpy (message + 8, raw.ptr, raw.len);
  w.len = 8 + raw.len;
  g_assert_cmpint (gw_smp_end (&w, &len), ==, GW_OK);
  g_bytes_unref (body);
  lab_send_clear (lab, message, len);
}

static GBytes *
take_clear (Lab *lab)
{
  return lab->clear->len > 0 ? g_ptr_array_steal_index (lab->clear, 0) : NULL;
}

static void
expect_hello (Lab *lab, guint8 command, GwLinkHello *hello)
{
  static GBytes *kept;
  GwSmpMessage msg;
  GwBytes raw;

  g_clear_pointer (&kept, g_bytes_unref);
  kept = take_clear (lab);
  g_assert_nonnull (kept);
  raw = lab_bytes (kept);
  g_assert_cmpint (gw_smp_decode (raw.ptr, raw.len, &msg), ==, GW_OK);
  g_assert_true (gw_smp_answers (&msg, command == GW_LINK_HELLO ? GW_SMP_OP_READ : GW_SMP_OP_WRITE,
                                 GW_SMP_GROUP_LINK, 7, command));
  g_assert_cmpint (gw_link_hello_rsp_decode (msg.body, hello), ==, GW_OK);
  g_assert_cmpmem (hello->kid, 32, gw_ep_key_id (lab->ep), 32);
}

static void
test_hello (void)
{
  g_autoptr (Lab) lab = lab_new (1);
  GwLinkHelloReq req = { .has_nonce = true, .nonce = "nonce..." };
  GwLinkHello hello;

  lab->gateway_alive = FALSE;
  g_assert_cmpint (gw_ep_power_up (lab->ep), ==, GW_OK);
  lab_pump (lab);
  lab->gateway_alive = TRUE;
  send_link (lab, GW_SMP_OP_READ, GW_SMP_GROUP_LINK, GW_LINK_HELLO,
             LAB_BODY (gw_link_hello_req_encode (&req, w)));
  expect_hello (lab, GW_LINK_HELLO, &hello);
  g_assert_cmpuint (hello.version, ==, 1);
  g_assert_true (gw_text_equal (hello.manufacturer, "Acme"));
  g_assert_true (gw_text_equal (hello.model, "T1"));
  g_assert_true (gw_text_equal (hello.serial, "0001"));
  g_assert_true (gw_text_equal (hello.firmware, "1.2.3"));
  g_assert_cmpuint (hello.mtu, ==, 512);
  g_assert_cmpuint (hello.security, ==, 1);
  g_assert_cmpuint (hello.state, ==, GW_LINK_STATE_UNOWNED);
  g_assert_true (hello.has_nonce);
  g_assert_cmpmem (hello.nonce, 8, req.nonce, 8);

  req.has_nonce = false;
  send_link (lab, GW_SMP_OP_READ, GW_SMP_GROUP_LINK, GW_LINK_HELLO,
             LAB_BODY (gw_link_hello_req_encode (&req, w)));
  expect_hello (lab, GW_LINK_HELLO, &hello);
  g_assert_false (hello.has_nonce);
}

/* Also in a session, and it says who owns it. */
static void
test_hello_in_session (void)
{
  g_autoptr (Lab) lab = lab_new (2);
  GwLinkHello hello;

  lab_connect (lab);
  lab_own (lab);
  send_link (lab, GW_SMP_OP_READ, GW_SMP_GROUP_LINK, GW_LINK_HELLO, lab_empty ());
  expect_hello (lab, GW_LINK_HELLO, &hello);
  g_assert_cmpuint (hello.state, ==, GW_LINK_STATE_OWNED);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_SESSION);
}

static GBytes *
probe (guint8 lo, guint8 hi)
{
  GwLinkProbe message;

  memset (message.lo, lo, sizeof message.lo);
  memset (message.hi, hi, sizeof message.hi);
  return LAB_BODY (gw_link_probe_encode (&message, w));
}

static GBytes *
mute (Lab *lab, gboolean on, gboolean other)
{
  GwLinkMute message = { .mute = on };

  memcpy (message.uid, gw_ep_key_id (lab->ep), sizeof message.uid);
  message.uid[0] ^= other ? 1 : 0;
  return LAB_BODY (gw_link_mute_encode (&message, w));
}

static void
test_probe_and_mute (void)
{
  g_autoptr (Lab) lab = lab_new (3);
  GwLinkHello hello;
  guint8 first;

  lab->priority = LAB_PRIORITY ":%NO_SESSION_HASH"; /* no session */
  g_assert_cmpint (gw_ep_power_up (lab->ep), ==, GW_OK);
  first = gw_ep_key_id (lab->ep)[0];
  g_assert_cmpuint (first, >, 0);
  g_assert_cmpuint (first, <, 255);

  send_link (lab, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, GW_LINK_PROBE, probe (0, 255));
  expect_hello (lab, GW_LINK_PROBE, &hello);
  send_link (lab, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, GW_LINK_PROBE, probe (first + 1, 255));
  send_link (lab, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, GW_LINK_PROBE, probe (0, first - 1));
  g_assert_null (take_clear (lab));

  send_link (lab, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, GW_LINK_MUTE, mute (lab, TRUE, TRUE));
  g_assert_null (take_clear (lab));
  send_link (lab, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, GW_LINK_MUTE, mute (lab, TRUE, FALSE));
  g_bytes_unref (take_clear (lab));
  send_link (lab, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, GW_LINK_PROBE, probe (0, 255));
  g_assert_null (take_clear (lab));
  send_link (lab, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, GW_LINK_MUTE, mute (lab, FALSE, FALSE));
  g_bytes_unref (take_clear (lab));
  send_link (lab, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, GW_LINK_PROBE, probe (0, 255));
  expect_hello (lab, GW_LINK_PROBE, &hello);
}

/* While a session is up the clear cannot silence or unmask it. */
static void
test_probe_and_mute_in_session (void)
{
  g_autoptr (Lab) lab = lab_new (4);

  lab_connect (lab);
  send_link (lab, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, GW_LINK_PROBE, probe (0, 255));
  send_link (lab, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, GW_LINK_MUTE, mute (lab, TRUE, FALSE));
  g_assert_null (take_clear (lab));
}

/* Nothing but gw_link is served in the clear, and nothing is answered that is not understood. */
static void
test_drops (void)
{
  g_autoptr (Lab) lab = lab_new (5);
  GwSmpEcho echo = { .text = gw_text ("hi") };
  GwEpStats before, after;
  guint8 raw[600] = { 0 };
  guint n = 0;

  lab_connect (lab);
  gw_ep_stats (lab->ep, &before);
  send_link (lab, GW_SMP_OP_WRITE, GW_SMP_GROUP_OS, GW_SMP_OS_ECHO,
             LAB_BODY (gw_smp_echo_req_encode (&echo, w)));
  n++;
  send_link (lab, GW_SMP_OP_READ, GW_SMP_GROUP_IDENT, 0, lab_empty ());
  n++;
  send_link (lab, GW_SMP_OP_READ, GW_SMP_GROUP_DATA, 0, lab_empty ());
  n++;
  send_link (lab, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, GW_LINK_HELLO, lab_empty ()); /* hello is a read */
  n++;
  send_link (lab, GW_SMP_OP_READ, GW_SMP_GROUP_LINK, GW_LINK_START, lab_empty ());
  n++;
  send_link (lab, GW_SMP_OP_READ_RSP, GW_SMP_GROUP_LINK, GW_LINK_HELLO, lab_empty ());
  n++;
  send_link (lab, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, GW_LINK_START, lab_empty ()); /* no nonce */
  n++;
  send_link (lab, GW_SMP_OP_WRITE, GW_SMP_GROUP_LINK, 99, lab_empty ());
  n++;
  for (guint first = 0; first < 256; first++)
    if (first < 20 || first > 63)
      {
        raw[0] = (guint8)first;
        lab_send_clear (lab, raw, 5);
        n++;
      }
  raw[0] = 22;
  lab_send_clear (lab, raw, 513); /* longer than the link's mtu */
  n++;
  gw_ep_input (lab->ep, raw, 0);
  n++;
  gw_ep_stats (lab->ep, &after);
  g_assert_cmpuint (after.dropped_in - before.dropped_in, ==, n);
  g_assert_cmpuint (after.datagrams_out, ==, before.datagrams_out);
  g_assert_cmpint (gw_ep_state (lab->ep), ==, GW_EP_SESSION);
}

static void
test_init (void)
{
  g_autofree GwEp *ep = g_malloc (gw_ep_size ());
  g_autoptr (Lab) lab = lab_new (6);
  GwEpConfig config = lab->config;

  g_assert_cmpint (gw_ep_init (ep, &lab->chip.platform, &config), ==, GW_OK);
  config.mtu = 511;
  g_assert_cmpint (gw_ep_init (ep, &lab->chip.platform, &config), ==, GW_E_INVALID);
  config.mtu = GW_EP_MTU_MAX + 1;
  g_assert_cmpint (gw_ep_init (ep, &lab->chip.platform, &config), ==, GW_E_INVALID);
  config.mtu = 0;
  g_assert_cmpint (gw_ep_init (ep, &lab->chip.platform, &config), ==, GW_OK);
  config.serial = "0123456789012345678901234";
  g_assert_cmpint (gw_ep_init (ep, &lab->chip.platform, &config), ==, GW_E_INVALID);
  config.serial = NULL;
  g_assert_cmpint (gw_ep_init (ep, &lab->chip.platform, &config), ==, GW_E_INVALID);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/ep-link/hello", test_hello);
  g_test_add_func ("/ep-link/hello-in-session", test_hello_in_session);
  g_test_add_func ("/ep-link/probe-and-mute", test_probe_and_mute);
  g_test_add_func ("/ep-link/probe-and-mute-in-session", test_probe_and_mute_in_session);
  g_test_add_func ("/ep-link/drops", test_drops);
  g_test_add_func ("/ep-link/init", test_init);
  return g_test_run ();
}
