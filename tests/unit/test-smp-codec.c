/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SMP headers, what a datagram is, results of responses, and the look-up of groups by name. */
#include <glib.h>
#include <string.h>

#include "gw-smp-codec.h"

static void
test_datagram_kinds (void)
{
  for (guint first = 0; first < 256; first++)
    {
      guint8 octet = (guint8)first;
      GwDatagramKind want = GW_DATAGRAM_OTHER;

      if (first >= 20 && first <= 63)
        want = GW_DATAGRAM_DTLS;
      else if (first == 0x08 || first == 0x0a)
        want = GW_DATAGRAM_SMP_REQUEST;
      else if (first == 0x09 || first == 0x0b)
        want = GW_DATAGRAM_SMP_RESPONSE;
      g_assert_cmpint (gw_datagram_kind (&octet, 1), ==, want);
    }
  g_assert_cmpint (gw_datagram_kind (NULL, 0), ==, GW_DATAGRAM_OTHER);
}

/* The published example of MCUmgr's SMP over console: os echo write, version 2, sequence 0x42. */
static void
test_known_message (void)
{
  static const guint8 octets[] = { 0x0a, 0, 0, 6, 0, 0, 0x42, 0, 0xa1, 0x61, 'd', 0x62, 'h', 'i' };
  const GwSmpEcho echo = { gw_text ("hi") };
  GwSmpMessage msg;
  GwSmpEcho out;
  GwCborWriter w;
  guint8 buf[32];
  gsize len;

  g_assert_cmpint (gw_smp_decode (octets, sizeof octets, &msg), ==, GW_OK);
  g_assert_true (gw_smp_is_request (&msg));
  g_assert_cmpint (gw_smp_echo_req_decode (msg.body, &out), ==, GW_OK);
  g_assert_true (gw_text_equal (out.text, "hi"));

  gw_smp_begin (&w, buf, sizeof buf, GW_SMP_OP_WRITE, GW_SMP_GROUP_OS, 0x42, GW_SMP_OS_ECHO);
  gw_smp_echo_req_encode (&echo, &w);
  g_assert_cmpint (gw_smp_end (&w, &len), ==, GW_OK);
  g_assert_cmpmem (buf, len, octets, sizeof octets);
}

static void
test_first_octet (void)
{
  guint8 octets[] = { 0, 0x55, 0, 1, 0x51, 2, 9, 4, 0xa0 };

  for (guint first = 0; first < 256; first++)
    {
      GwSmpMessage msg;
      gboolean good = first >= 0x08 && first <= 0x0b;

      octets[0] = (guint8)first;
      g_assert_cmpint (gw_smp_decode (octets, sizeof octets, &msg), ==, good ? GW_OK : GW_E_UNSUPPORTED);
      if (good)
        {
          g_assert_cmpint (msg.op, ==, first & 7);
          g_assert_cmpint (gw_smp_is_request (&msg), ==, first % 2 == 0);
          g_assert_cmpint (msg.group, ==, GW_SMP_GROUP_DATA);
        }
    }
}

static void
test_answers (void)
{
  const GwSmpMessage req = { .op = GW_SMP_OP_WRITE, .group = 0x5102, .seq = 9, .command = 4 };
  GwSmpMessage rsp;
  GwSmpResult result;
  guint8 buf[64];
  gsize len;

  g_assert_cmpint (gw_smp_error (&req, GW_SMP_RC_BUSY, buf, sizeof buf, &len), ==, GW_OK);
  g_assert_cmpint (gw_smp_decode (buf, len, &rsp), ==, GW_OK);
  g_assert_true (gw_smp_answers (&rsp, req.op, req.group, req.seq, req.command));
  g_assert_false (gw_smp_answers (&rsp, GW_SMP_OP_READ, req.group, req.seq, req.command));
  g_assert_false (gw_smp_answers (&rsp, req.op, 0x5101, req.seq, req.command));
  g_assert_false (gw_smp_answers (&rsp, req.op, req.group, 8, req.command));
  g_assert_false (gw_smp_answers (&rsp, req.op, req.group, req.seq, 5));
  g_assert_false (gw_smp_is_request (&rsp));
  g_assert_cmpint (gw_smp_result_decode (rsp.body, &result), ==, GW_OK);
  g_assert_false (result.in_group);
  g_assert_cmpint (result.rc, ==, GW_SMP_RC_BUSY);

  g_assert_cmpint (gw_smp_group_error (&req, GW_DATA_ERR_RANGE, buf, sizeof buf, &len), ==, GW_OK);
  g_assert_cmpint (gw_smp_decode (buf, len, &rsp), ==, GW_OK);
  g_assert_cmpint (gw_smp_result_decode (rsp.body, &result), ==, GW_OK);
  g_assert_true (result.in_group);
  g_assert_cmpint (result.group, ==, 0x5102);
  g_assert_cmpint (result.rc, ==, GW_DATA_ERR_RANGE);
  g_assert_cmpint (gw_smp_error (&req, GW_SMP_RC_BUSY, buf, 8, &len), ==, GW_E_SPACE);
}

static void
test_ends (void)
{
  static guint8 big[70000];
  static const guint8 zeros[66000];
  GwCborWriter w;
  gsize len;

  gw_smp_begin (&w, big, sizeof big, GW_SMP_OP_READ, 0, 0, 0);
  g_assert_cmpint (gw_smp_end (&w, &len), ==, GW_E_INVALID); /* no body */
  gw_cbor_put_bytes (&w, zeros, sizeof zeros);
  g_assert_cmpint (gw_smp_end (&w, &len), ==, GW_E_LIMIT);
}

static void
test_find_group (void)
{
  const GwSmpEnumRsp rsp
      = { .n_groups = 3,
          .groups = { { .group = 1 },
                      { .group = 0x6000, .has_name = true, .name = gw_text ("gw_ident") },
                      { .group = 0x6001, .has_name = true, .name = gw_text ("gw_data") } } };
  guint16 group = 0;

  g_assert_cmpint (gw_smp_enum_find (&rsp, GW_SMP_GROUP_NAME_DATA, &group), ==, GW_OK);
  g_assert_cmpint (group, ==, 0x6001);
  g_assert_cmpint (gw_smp_enum_find (&rsp, "gw_dat", &group), ==, GW_E_NOT_FOUND);
}

static void
test_rc_texts (void)
{
  g_assert_cmpstr (gw_smp_rc_text (GW_SMP_RC_OK), ==, "success");
  g_assert_cmpstr (gw_smp_rc_text (GW_SMP_RC_ACCESS_DENIED), ==, "access denied");
  g_assert_cmpstr (gw_smp_rc_text (GW_SMP_RC_TOO_NEW), ==, "version too new");
  g_assert_cmpstr (gw_smp_rc_text (GW_SMP_RC_TOO_NEW + 1), ==, "unknown code");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/smp/datagram-kinds", test_datagram_kinds);
  g_test_add_func ("/smp/known-message", test_known_message);
  g_test_add_func ("/smp/first-octet", test_first_octet);
  g_test_add_func ("/smp/answers", test_answers);
  g_test_add_func ("/smp/ends", test_ends);
  g_test_add_func ("/smp/find-group", test_find_group);
  g_test_add_func ("/smp/rc-texts", test_rc_texts);
  return g_test_run ();
}
