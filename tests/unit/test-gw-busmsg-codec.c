/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The bus socket's messages: one byte vector a type, every single-octet truncation and extension refused, each range
 * tried at both of its ends. */

#include <glib.h>
#include <string.h>

#include "gw-busmsg-codec.h"

#define HELLO_PACKET "\x01\0\0\0\0\0\0\0\x01\0\0\x08\xfe\0\0\0"
#define NODE_UP_PACKET "\x02\0\0\0\x07\0\0\0\0\x04\x0c\0\xa1\x61\x76\x01"
#define NODE_DOWN_PACKET "\x03\0\0\0\x07\0\0\0\x02"
#define DATAGRAM_PACKET "\x04\0\0\0\x01\x02\x03\x04\x16\xfe\xfd"
#define SCAN_PACKET "\x05\0\0\0\0\0\0\0"
#define STATS_PACKET                                                                                                   \
  "\x06\0\0\0\0\0\0\0"                                                                                                 \
  "\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\x01\0\0\0\x04\0\0\0\0\0\0\0"                                         \
  "\x05\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\x80"
#define LINK_PACKET                                                                                                    \
  "\x07\0\0\0\0\0\0\0"                                                                                                 \
  "\x03\0\x80\0\x7f\0\xe8\x03\x2c\x01\xf4\x01\xa0\x65\0\0\x2a\0\0\0"
#define NODE_PACKET "\x08\0\0\0\x07\0\0\0\x2a\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\x80"

#define VECTOR(from, packet) { #packet, from, (const guint8 *) packet, sizeof (packet) - 1 }

static const struct
{
  const char *name;
  GwBusmsgFrom from;
  const guint8 *packet;
  gsize len;
} vectors[] = {
  VECTOR (GW_BUSMSG_FROM_AGENT, HELLO_PACKET),      VECTOR (GW_BUSMSG_FROM_PLUGIN, NODE_UP_PACKET),
  VECTOR (GW_BUSMSG_FROM_PLUGIN, NODE_DOWN_PACKET), VECTOR (GW_BUSMSG_FROM_AGENT, DATAGRAM_PACKET),
  VECTOR (GW_BUSMSG_FROM_AGENT, SCAN_PACKET),       VECTOR (GW_BUSMSG_FROM_PLUGIN, STATS_PACKET),
  VECTOR (GW_BUSMSG_FROM_PLUGIN, LINK_PACKET),      VECTOR (GW_BUSMSG_FROM_PLUGIN, NODE_PACKET),
};

/* Decode from an exactly sized copy, so that the sanitizer sees one octet too far. */
static GwStatus
decode (GwBusmsg *msg, GwBusmsgFrom from, const void *packet, gsize len)
{
  g_autofree guint8 *copy = g_memdup2 (packet, len);
  GwStatus status = gw_busmsg_decode (msg, from, copy, len, GW_BUSMSG_DATAGRAM_MAX);

  if (status == GW_OK && msg->type == GW_BUSMSG_DATAGRAM)
    msg->datagram.ptr = (const guint8 *) packet + (msg->datagram.ptr - copy);
  if (status == GW_OK && msg->type == GW_BUSMSG_NODE_UP && msg->node_up.cbor.len > 0)
    msg->node_up.cbor.ptr = (const guint8 *) packet + (msg->node_up.cbor.ptr - copy);
  return status;
}

static void
test_vectors (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (vectors); i++)
    {
      GwBusmsg msg;
      guint8 again[GW_BUSMSG_MAX];
      gsize len;

      g_test_message ("%s", vectors[i].name);
      g_assert_cmpint (decode (&msg, vectors[i].from, vectors[i].packet, vectors[i].len), ==, GW_OK);
      g_assert_cmpint (gw_busmsg_encode (&msg, again, sizeof again, &len), ==, GW_OK);
      g_assert_cmpmem (again, len, vectors[i].packet, vectors[i].len);
      for (gsize room = 0; room < vectors[i].len; room++)
        g_assert_cmpint (gw_busmsg_encode (&msg, again, room, &len), ==, GW_E_SPACE);
    }
}

static void
test_fields (void)
{
  GwBusmsg msg;

  g_assert_cmpint (decode (&msg, GW_BUSMSG_FROM_PLUGIN, vectors[0].packet, vectors[0].len), ==, GW_OK);
  g_assert_cmpuint (msg.hello.datagram_max, ==, 2048);
  g_assert_cmpuint (msg.hello.nodes_max, ==, 254);

  g_assert_cmpint (decode (&msg, GW_BUSMSG_FROM_PLUGIN, vectors[1].packet, vectors[1].len), ==, GW_OK);
  g_assert_cmpuint (msg.node, ==, 7);
  g_assert_cmpuint (msg.node_up.mtu, ==, 1024);
  g_assert_cmpuint (msg.node_up.rtt_ms, ==, 12);
  g_assert_cmpmem (msg.node_up.cbor.ptr, msg.node_up.cbor.len, "\xa1\x61\x76\x01", 4);

  g_assert_cmpint (decode (&msg, GW_BUSMSG_FROM_PLUGIN, vectors[3].packet, vectors[3].len), ==, GW_OK);
  g_assert_cmphex (msg.node, ==, 0x04030201);

  g_assert_cmpint (decode (&msg, GW_BUSMSG_FROM_PLUGIN, vectors[5].packet, vectors[5].len), ==, GW_OK);
  g_assert_cmpuint (msg.stats.frames_in, ==, 1);
  g_assert_cmpuint (msg.stats.bytes_in, ==, G_GUINT64_CONSTANT (0x100000003));
  g_assert_cmpuint (msg.stats.dropped, ==, G_GUINT64_CONSTANT (0x8000000000000008));

  g_assert_cmpint (decode (&msg, GW_BUSMSG_FROM_PLUGIN, vectors[6].packet, vectors[6].len), ==, GW_OK);
  g_assert_cmpint (msg.link.state, ==, GW_BUSMSG_LINK_PASSIVE);
  g_assert_cmpuint (msg.link.tx_errors, ==, 128);
  g_assert_cmpuint (msg.link.rx_errors, ==, 127);
  g_assert_cmpuint (msg.link.load_permille, ==, 1000);
  g_assert_cmpuint (msg.link.round_trip_ms, ==, 300);
  g_assert_cmpuint (msg.link.culprit_permille, ==, 500);
  g_assert_cmpuint (msg.link.octets_per_second, ==, 26016);
  g_assert_cmpuint (msg.link.culprit, ==, 42);

  g_assert_cmpint (decode (&msg, GW_BUSMSG_FROM_PLUGIN, vectors[7].packet, vectors[7].len), ==, GW_OK);
  g_assert_cmpuint (msg.node, ==, 7);
  g_assert_cmpuint (msg.node_info.address, ==, 42);
  g_assert_cmpuint (msg.node_info.retries, ==, G_GUINT64_CONSTANT (0x8000000000000005));
}

/* A load that nobody knows is neither 0 nor absurd. */
static void
test_unknown_load (void)
{
  g_autofree guint8 *packet = g_memdup2 (vectors[6].packet, vectors[6].len);
  GwBusmsg msg;

  packet[14] = packet[15] = 0xff;
  g_assert_cmpint (decode (&msg, GW_BUSMSG_FROM_PLUGIN, packet, vectors[6].len), ==, GW_OK);
  g_assert_cmpuint (msg.link.load_permille, ==, GW_BUSMSG_LOAD_UNKNOWN);
}

static void
test_lengths (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (vectors); i++)
    {
      guint8 longer[128];
      GwBusmsg msg;
      GwStatus status;

      for (gsize len = 0; len < vectors[i].len; len++)
        {
          status = decode (&msg, vectors[i].from, vectors[i].packet, len);
          /* A hello answer and a datagram are as long as they are: cut, they are other messages. */
          if (msg.type == GW_BUSMSG_NODE_UP && len >= 12)
            g_assert_cmpint (status, ==, GW_OK);
          else if (msg.type == GW_BUSMSG_DATAGRAM && len >= 8)
            g_assert_cmpint (status, ==, len == 8 ? GW_E_RANGE : GW_OK);
          else
            g_assert_cmpint (status, ==, GW_E_TRUNCATED);
        }
      memcpy (longer, vectors[i].packet, vectors[i].len);
      longer[vectors[i].len] = 0;
      status = decode (&msg, vectors[i].from, longer, vectors[i].len + 1);
      if (msg.type != GW_BUSMSG_NODE_UP && msg.type != GW_BUSMSG_DATAGRAM)
        g_assert_cmpint (status, ==, GW_E_MALFORMED);
    }
}

static void
test_limits (void)
{
  guint8 packet[GW_BUSMSG_MAX + 1] = { GW_BUSMSG_DATAGRAM, 0, 0, 0, 1 };
  GwBusmsg msg;
  gsize len;

  g_assert_cmpint (decode (&msg, GW_BUSMSG_FROM_AGENT, packet, GW_BUSMSG_MAX), ==, GW_OK);
  g_assert_cmpint (decode (&msg, GW_BUSMSG_FROM_AGENT, packet, GW_BUSMSG_MAX + 1), ==, GW_E_LIMIT);
  g_assert_cmpint (gw_busmsg_decode (&msg, GW_BUSMSG_FROM_AGENT, packet, 8 + 513, 512), ==, GW_E_LIMIT);
  msg = (GwBusmsg){ .type = GW_BUSMSG_DATAGRAM, .node = 1, .datagram = { packet, GW_BUSMSG_DATAGRAM_MAX + 1 } };
  g_assert_cmpint (gw_busmsg_encode (&msg, packet, sizeof packet, &len), ==, GW_E_LIMIT);

  packet[0] = GW_BUSMSG_NODE_UP;
  packet[9] = 2;
  len = 12 + GW_BUSMSG_HELLO_CBOR_MAX;
  g_assert_cmpint (decode (&msg, GW_BUSMSG_FROM_PLUGIN, packet, len), ==, GW_OK);
  g_assert_cmpint (decode (&msg, GW_BUSMSG_FROM_PLUGIN, packet, len + 1), ==, GW_E_LIMIT);
  packet[8] = 0xff;
  packet[9] = 1;
  g_assert_cmpint (decode (&msg, GW_BUSMSG_FROM_PLUGIN, packet, len), ==, GW_E_RANGE); /* mtu 511 */
}

/* One octet of a good message changed, and what must come of it. */
static void
test_lies (void)
{
  static const struct
  {
    gsize vector, offset;
    guint8 octet;
    GwStatus status;
  } lies[] = {
    { 0, 0, 0, GW_E_TYPE },         /* no such type */
    { 0, 0, 9, GW_E_TYPE },         /* the first beyond the last */
    { 0, 0, 255, GW_E_TYPE },       /* */
    { 0, 1, 1, GW_E_MALFORMED },    /* flags */
    { 0, 2, 1, GW_E_MALFORMED },    /* reserved */
    { 0, 3, 1, GW_E_MALFORMED },    /* reserved */
    { 0, 4, 1, GW_E_RANGE },        /* a node in HELLO */
    { 0, 8, 2, GW_E_UNSUPPORTED },  /* version 2 */
    { 0, 8, 0, GW_E_UNSUPPORTED },  /* version 0 */
    { 0, 11, 1, GW_E_RANGE },       /* 256 octets at most */
    { 0, 12, 0, GW_E_RANGE },       /* no nodes at all */
    { 1, 4, 0, GW_E_RANGE },        /* node 0 */
    { 2, 4, 0, GW_E_RANGE },        /* node 0 */
    { 2, 8, 0, GW_E_RANGE },        /* no such reason */
    { 2, 8, 4, GW_E_RANGE },        /* no such reason */
    { 4, 7, 1, GW_E_RANGE },        /* a node in SCAN */
    { 5, 7, 1, GW_E_RANGE },        /* a node in STATS */
    { 6, 7, 1, GW_E_RANGE },        /* a node in LINK */
    { 6, 8, 5, GW_E_RANGE },        /* no such state */
    { 6, 8, 255, GW_E_RANGE },      /* */
    { 6, 9, 1, GW_E_MALFORMED },    /* reserved */
    { 6, 14, 0xe9, GW_E_RANGE },    /* a load of 1001 permille */
    { 6, 15, 0xff, GW_E_RANGE },    /* and of 65512 */
    { 6, 19, 0x04, GW_E_RANGE },    /* a share of 1268 permille */
    { 7, 4, 0, GW_E_RANGE },        /* node 0 */
    { 7, 10, 1, GW_E_MALFORMED },   /* reserved */
    { 7, 15, 1, GW_E_MALFORMED },   /* reserved */
  };

  for (gsize i = 0; i < G_N_ELEMENTS (lies); i++)
    {
      g_autofree guint8 *packet = g_memdup2 (vectors[lies[i].vector].packet, vectors[lies[i].vector].len);
      GwBusmsg msg;

      packet[lies[i].offset] = lies[i].octet;
      g_test_message ("lie %zu", i);
      g_assert_cmpint (
          decode (&msg, vectors[lies[i].vector].from, packet, vectors[lies[i].vector].len), ==, lies[i].status);
    }
}

static void
test_direction (void)
{
  GwBusmsg msg;

  g_assert_cmpint (decode (&msg, GW_BUSMSG_FROM_AGENT, vectors[1].packet, vectors[1].len), ==, GW_E_DENIED);
  g_assert_cmpint (decode (&msg, GW_BUSMSG_FROM_AGENT, vectors[2].packet, vectors[2].len), ==, GW_E_DENIED);
  g_assert_cmpint (decode (&msg, GW_BUSMSG_FROM_PLUGIN, vectors[4].packet, vectors[4].len), ==, GW_E_DENIED);
  g_assert_cmpint (decode (&msg, GW_BUSMSG_FROM_AGENT, vectors[5].packet, vectors[5].len), ==, GW_E_DENIED);
  g_assert_cmpint (decode (&msg, GW_BUSMSG_FROM_AGENT, vectors[6].packet, vectors[6].len), ==, GW_E_DENIED);
  g_assert_cmpint (decode (&msg, GW_BUSMSG_FROM_AGENT, vectors[7].packet, vectors[7].len), ==, GW_E_DENIED);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/busmsg/vectors", test_vectors);
  g_test_add_func ("/busmsg/fields", test_fields);
  g_test_add_func ("/busmsg/unknown-load", test_unknown_load);
  g_test_add_func ("/busmsg/lengths", test_lengths);
  g_test_add_func ("/busmsg/limits", test_limits);
  g_test_add_func ("/busmsg/lies", test_lies);
  g_test_add_func ("/busmsg/direction", test_direction);
  return g_test_run ();
}
