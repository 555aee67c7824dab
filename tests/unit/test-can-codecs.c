/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the kernel gives gangway-can: frames and error frames of CAN_RAW, and rtnetlink's words on an interface. The
 * octets are made here by the kernel's own headers. */

#include <glib.h>

#include <linux/can/error.h>
#include <linux/can/netlink.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "gw-can-netlink-codec.h"
#include "gw-can-raw-codec.h"

/* ---- CAN_RAW ---- */

static void
test_frames (void)
{
  static const GwCanFrame frames[] = {
    { .id = 0x7E4, .len = 8, .data = "\x4f" },
    { .id = 0x18DAF101, .extended = true, .len = 3, .data = "\x30" },
    { .id = 0x701, .remote = true, .len = 1 },
    { .id = 0x18DA01F1, .extended = true, .fd = true, .brs = true, .len = 64, .data = "abc" },
    { .id = 0x123, .fd = true, .len = 12, .data = "abc" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (frames); i++)
    {
      struct canfd_frame raw;
      GwCanFrame back;
      GwCanRawError error;
      size_t len = gw_can_raw_encode (&frames[i], &raw);

      g_assert_cmpuint (len, ==, frames[i].fd ? CANFD_MTU : CAN_MTU);
      g_assert_cmpint (gw_can_raw_decode (&raw, len, &back, &error), ==, GW_CAN_RAW_FRAME);
      g_assert_cmpmem (&back, sizeof back, &frames[i], sizeof frames[i]);
      g_assert_cmpint (gw_can_raw_decode (&raw, len - 1, &back, &error), ==, GW_CAN_RAW_BAD);
    }
}

static void
test_bad_frames (void)
{
  struct canfd_frame raw = { .can_id = 0x123, .len = 9 };
  GwCanFrame frame;
  GwCanRawError error;

  g_assert_cmpint (gw_can_raw_decode (&raw, CAN_MTU, &frame, &error), ==, GW_CAN_RAW_BAD);
  g_assert_cmpint (gw_can_raw_decode (&raw, CANFD_MTU, &frame, &error), ==, GW_CAN_RAW_BAD);
  raw.len = 255;
  g_assert_cmpint (gw_can_raw_decode (&raw, CANFD_MTU, &frame, &error), ==, GW_CAN_RAW_BAD);
  raw.can_id = CAN_ERR_FLAG | CAN_ERR_BUSOFF;
  g_assert_cmpint (gw_can_raw_decode (&raw, CANFD_MTU, &frame, &error), ==, GW_CAN_RAW_BAD);
}

static void
test_error_frames (void)
{
  static const struct
  {
    guint32 classes;
    guint8 controller, tx, rx;
    GwCanRawState state;
    gboolean bus_error, overflow, counters;
  } cases[] = {
    { CAN_ERR_CRTL, CAN_ERR_CRTL_TX_WARNING, 0, 0, GW_CAN_RAW_STATE_WARNING, FALSE, FALSE, FALSE },
    { CAN_ERR_CRTL | CAN_ERR_CNT, CAN_ERR_CRTL_RX_PASSIVE | CAN_ERR_CRTL_RX_WARNING, 5, 130, GW_CAN_RAW_STATE_PASSIVE,
      FALSE, FALSE, TRUE },
    { CAN_ERR_CRTL, CAN_ERR_CRTL_RX_OVERFLOW, 0, 0, GW_CAN_RAW_STATE_SAME, FALSE, TRUE, FALSE },
    { CAN_ERR_CRTL, CAN_ERR_CRTL_ACTIVE, 0, 0, GW_CAN_RAW_STATE_ACTIVE, FALSE, FALSE, FALSE },
    { CAN_ERR_BUSOFF, 0, 0, 0, GW_CAN_RAW_STATE_OFF, FALSE, FALSE, FALSE },
    { CAN_ERR_RESTARTED, 0, 0, 0, GW_CAN_RAW_STATE_ACTIVE, FALSE, FALSE, FALSE },
    { CAN_ERR_ACK | CAN_ERR_BUSERROR, CAN_ERR_CRTL_ACTIVE, 8, 0, GW_CAN_RAW_STATE_SAME, TRUE, FALSE, TRUE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      struct canfd_frame raw = { .can_id = CAN_ERR_FLAG | cases[i].classes, .len = CAN_ERR_DLC };
      GwCanFrame frame;
      GwCanRawError error;

      raw.data[1] = cases[i].controller;
      raw.data[6] = cases[i].tx;
      raw.data[7] = cases[i].rx;
      g_assert_cmpint (gw_can_raw_decode (&raw, CAN_MTU, &frame, &error), ==, GW_CAN_RAW_ERROR);
      g_assert_cmpint (error.state, ==, cases[i].state);
      g_assert_cmpint (error.bus_error, ==, cases[i].bus_error);
      g_assert_cmpint (error.overflow, ==, cases[i].overflow);
      g_assert_cmpint (error.has_counters, ==, cases[i].counters);
      g_assert_cmpuint (error.tx_errors, ==, cases[i].tx);
      g_assert_cmpuint (error.rx_errors, ==, cases[i].rx);
    }
}

/* ---- rtnetlink ---- */

#define INDEX 3

typedef struct
{
  guint8 octets[1024];
  gsize len;
} Message;

static gsize
open_attribute (Message *m, guint16 type)
{
  const struct nlattr attribute = { 0, type };

  memcpy (m->octets + m->len, &attribute, sizeof attribute);
  m->len += sizeof attribute;
  return m->len - sizeof attribute;
}

static void
close_attribute (Message *m, gsize at)
{
  guint16 len = (guint16) (m->len - at);

  memcpy (m->octets + at, &len, sizeof len);
  m->len = NLA_ALIGN (m->len);
}

static void
add (Message *m, guint16 type, gconstpointer value, gsize len)
{
  gsize at = open_attribute (m, type);

  memcpy (m->octets + m->len, value, len);
  m->len += len;
  close_attribute (m, at);
}

/* An interface of this kind with all that a controller's driver tells. */
static void
make (Message *m, guint16 type, guint32 index, const char *kind)
{
  const struct can_bittiming timing = { .bitrate = 500000 }, data_timing = { .bitrate = 2000000 };
  const struct can_berr_counter counter = { 97, 3 };
  const guint32 mtu = 72, state = CAN_STATE_ERROR_WARNING;
  struct nlmsghdr header = { .nlmsg_type = type };
  const struct ifinfomsg info
      = { .ifi_type = ARPHRD_CAN, .ifi_index = (int) index, .ifi_flags = IFF_UP | IFF_RUNNING };
  gsize outer, inner;

  memset (m, 0, sizeof *m);
  m->len = sizeof header;
  memcpy (m->octets + m->len, &info, sizeof info);
  m->len += sizeof info;
  add (m, IFLA_MTU, &mtu, sizeof mtu);
  outer = open_attribute (m, IFLA_LINKINFO | NLA_F_NESTED);
  add (m, IFLA_INFO_KIND, kind, strlen (kind) + 1);
  inner = open_attribute (m, IFLA_INFO_DATA);
  add (m, IFLA_CAN_BITTIMING, &timing, sizeof timing);
  add (m, IFLA_CAN_STATE, &state, sizeof state);
  add (m, IFLA_CAN_BERR_COUNTER, &counter, sizeof counter);
  add (m, IFLA_CAN_DATA_BITTIMING, &data_timing, sizeof data_timing);
  close_attribute (m, inner);
  close_attribute (m, outer);
  header.nlmsg_len = (guint32) m->len;
  memcpy (m->octets, &header, sizeof header);
}

static void
test_link (void)
{
  GwCanNetlink told;
  Message m;
  size_t used;

  make (&m, RTM_NEWLINK, INDEX, "can");
  g_assert_cmpint (gw_can_netlink_decode (m.octets, m.len, INDEX, &told, &used), ==, GW_CAN_NETLINK_LINK);
  g_assert_cmpuint (used, ==, m.len);
  g_assert_true (told.is_can && told.up && told.running && told.has_state && told.has_counters);
  g_assert_cmpuint (told.mtu, ==, 72);
  g_assert_cmpuint (told.bit_rate, ==, 500000);
  g_assert_cmpuint (told.data_rate, ==, 2000000);
  g_assert_cmpuint (told.state, ==, CAN_STATE_ERROR_WARNING);
  g_assert_cmpuint (told.tx_errors, ==, 97);
  g_assert_cmpuint (told.rx_errors, ==, 3);
  /* Another kind has no such data, whatever stands there. */
  make (&m, RTM_NEWLINK, INDEX, "vcan");
  g_assert_cmpint (gw_can_netlink_decode (m.octets, m.len, INDEX, &told, &used), ==, GW_CAN_NETLINK_LINK);
  g_assert_cmpuint (told.bit_rate, ==, 0);
  g_assert_false (told.has_state);
}

static void
test_others (void)
{
  GwCanNetlink told;
  Message m;
  size_t used;

  make (&m, RTM_NEWLINK, INDEX + 1, "can");
  g_assert_cmpint (gw_can_netlink_decode (m.octets, m.len, INDEX, &told, &used), ==, GW_CAN_NETLINK_OTHER);
  g_assert_cmpuint (used, ==, m.len);
  make (&m, RTM_DELLINK, INDEX, "can");
  g_assert_cmpint (gw_can_netlink_decode (m.octets, m.len, INDEX, &told, &used), ==, GW_CAN_NETLINK_GONE);
  make (&m, NLMSG_ERROR, INDEX, "can");
  g_assert_cmpint (gw_can_netlink_decode (m.octets, m.len, INDEX, &told, &used), ==, GW_CAN_NETLINK_OTHER);
  g_assert_cmpuint (used, ==, m.len);
}

/* Cut short anywhere: nothing is read that is not there. */
static void
test_cut_short (void)
{
  GwCanNetlink told;
  Message m;
  size_t used;

  make (&m, RTM_NEWLINK, INDEX, "can");
  for (gsize len = 0; len < m.len; len++)
    {
      g_autofree guint8 *copy = g_memdup2 (m.octets, len); /* so that the sanitizer sees its end */

      g_assert_cmpint (gw_can_netlink_decode (copy, len, INDEX, &told, &used), ==, GW_CAN_NETLINK_OTHER);
      g_assert_cmpuint (used, ==, 0);
    }
}

static void
test_request (void)
{
  guint8 octets[GW_CAN_NETLINK_REQUEST_SIZE];
  size_t len = gw_can_netlink_encode (INDEX, 7, octets);
  struct nlmsghdr header;
  struct ifinfomsg info;

  memcpy (&header, octets, sizeof header);
  memcpy (&info, octets + sizeof header, sizeof info);
  g_assert_cmpuint (len, ==, header.nlmsg_len);
  g_assert_cmpuint (header.nlmsg_type, ==, RTM_GETLINK); /* it asks, and never sets */
  g_assert_cmpuint (header.nlmsg_flags, ==, NLM_F_REQUEST);
  g_assert_cmpint (info.ifi_index, ==, INDEX);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/can-codecs/frames", test_frames);
  g_test_add_func ("/can-codecs/bad-frames", test_bad_frames);
  g_test_add_func ("/can-codecs/error-frames", test_error_frames);
  g_test_add_func ("/can-codecs/link", test_link);
  g_test_add_func ("/can-codecs/others", test_others);
  g_test_add_func ("/can-codecs/cut-short", test_cut_short);
  g_test_add_func ("/can-codecs/request", test_request);
  return g_test_run ();
}
