/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The bus socket's messages; see the header for the protocol. Each type's body has one decoder, and a table says which
 * side may send it and whether it names a node, so that a message is judged in one place. */

#include "gw-busmsg-codec.h"

#include <string.h>

#include "gw-reader.h"

#define HELLO_LEN 8
#define NODE_UP_FIXED_LEN 4

/* Which side sends a type, and whether about a node. */
static const struct
{
  bool from_plugin;
  bool from_agent;
  bool has_node;
} kinds[] = {
  [GW_BUSMSG_HELLO] = { true, true, false },
  [GW_BUSMSG_NODE_UP] = { true, false, true },
  [GW_BUSMSG_NODE_DOWN] = { true, false, true },
  [GW_BUSMSG_DATAGRAM] = { true, true, true },
  [GW_BUSMSG_SCAN] = { false, true, false },
  [GW_BUSMSG_STATS] = { true, false, false },
  [GW_BUSMSG_LINK] = { true, false, false },
  [GW_BUSMSG_NODE] = { true, false, true },
};

#define LAST_TYPE GW_BUSMSG_NODE

/* ---- Little-endian fields ---- */

static uint64_t
read_u64le (GwReader *r)
{
  uint64_t low = gw_reader_u32le (r);

  return low | (uint64_t) gw_reader_u32le (r) << 32;
}

static uint8_t *
put_le (uint8_t *out, uint64_t value, size_t octets)
{
  for (size_t i = 0; i < octets; i++)
    *out++ = (uint8_t) (value >> (8 * i));
  return out;
}

/* The counters in the order of the wire. */
static uint64_t *
stats_field (GwBusmsgStats *stats, size_t i)
{
  uint64_t *const fields[] = {
    &stats->frames_in,  &stats->frames_out, &stats->bytes_in, &stats->bytes_out,
    &stats->fcs_errors, &stats->oversize,   &stats->aborted,  &stats->dropped,
  };

  return fields[i];
}

#define STATS_FIELDS (GW_BUSMSG_STATS_LEN / 8)

/* ---- Ranges, the same for both directions ---- */

static bool
link_is_good (const GwBusmsgLink *link)
{
  return link->state <= GW_BUSMSG_LINK_OFF
         && (link->load_permille <= GW_BUSMSG_PERMILLE_MAX || link->load_permille == GW_BUSMSG_LOAD_UNKNOWN)
         && link->culprit_permille <= GW_BUSMSG_PERMILLE_MAX;
}

static GwStatus
check (const GwBusmsg *msg, size_t datagram_max)
{
  if (kinds[msg->type].has_node != (msg->node != 0))
    return GW_E_RANGE;
  switch (msg->type)
    {
    case GW_BUSMSG_HELLO:
      if (msg->hello.version != GW_BUSMSG_VERSION)
        return GW_E_UNSUPPORTED;
      if (msg->hello.datagram_max < GW_BUSMSG_DATAGRAM_MIN || msg->hello.nodes_max == 0)
        return GW_E_RANGE;
      return GW_OK;
    case GW_BUSMSG_NODE_UP:
      if (msg->node_up.mtu < GW_BUSMSG_DATAGRAM_MIN)
        return GW_E_RANGE;
      return msg->node_up.cbor.len > GW_BUSMSG_HELLO_CBOR_MAX ? GW_E_LIMIT : GW_OK;
    case GW_BUSMSG_NODE_DOWN:
      if (msg->node_down.reason < GW_BUSMSG_DOWN_GONE || msg->node_down.reason > GW_BUSMSG_DOWN_REPLACED)
        return GW_E_RANGE;
      return GW_OK;
    case GW_BUSMSG_DATAGRAM:
      if (msg->datagram.len == 0)
        return GW_E_RANGE;
      return msg->datagram.len > datagram_max ? GW_E_LIMIT : GW_OK;
    case GW_BUSMSG_LINK:
      return link_is_good (&msg->link) ? GW_OK : GW_E_RANGE;
    case GW_BUSMSG_SCAN:
    case GW_BUSMSG_STATS:
    case GW_BUSMSG_NODE:
      return GW_OK;
    }
  return GW_E_TYPE;
}

/* ---- Decoding ---- */

static GwStatus
decode_hello (GwBusmsg *msg, GwReader *r)
{
  msg->hello.version = gw_reader_u16le (r);
  /* What a version that we do not know says after its number is not ours to judge. */
  if (gw_reader_ok (r) && msg->hello.version != GW_BUSMSG_VERSION)
    return GW_E_UNSUPPORTED;
  msg->hello.datagram_max = gw_reader_u16le (r);
  msg->hello.nodes_max = gw_reader_u32le (r);
  return GW_OK;
}

static GwStatus
decode_link (GwBusmsgLink *link, GwReader *r)
{
  uint8_t reserved;

  link->state = gw_reader_u8 (r);
  reserved = gw_reader_u8 (r);
  link->tx_errors = gw_reader_u16le (r);
  link->rx_errors = gw_reader_u16le (r);
  link->load_permille = gw_reader_u16le (r);
  link->round_trip_ms = gw_reader_u16le (r);
  link->culprit_permille = gw_reader_u16le (r);
  link->octets_per_second = gw_reader_u32le (r);
  link->culprit = gw_reader_u32le (r);
  return reserved == 0 ? GW_OK : GW_E_MALFORMED;
}

static GwStatus
decode_node (GwBusmsgNode *node, GwReader *r)
{
  uint16_t reserved16;
  uint32_t reserved32;

  node->address = gw_reader_u16le (r);
  reserved16 = gw_reader_u16le (r);
  reserved32 = gw_reader_u32le (r);
  node->retries = read_u64le (r);
  return reserved16 == 0 && reserved32 == 0 ? GW_OK : GW_E_MALFORMED;
}

static GwStatus
decode_body (GwBusmsg *msg, GwReader *r)
{
  switch (msg->type)
    {
    case GW_BUSMSG_HELLO:
      return decode_hello (msg, r);
    case GW_BUSMSG_NODE_UP:
      msg->node_up.mtu = gw_reader_u16le (r);
      msg->node_up.rtt_ms = gw_reader_u16le (r);
      msg->node_up.cbor = gw_reader_rest (r);
      return GW_OK;
    case GW_BUSMSG_NODE_DOWN:
      msg->node_down.reason = gw_reader_u8 (r);
      return GW_OK;
    case GW_BUSMSG_DATAGRAM:
      msg->datagram = gw_reader_rest (r);
      return GW_OK;
    case GW_BUSMSG_STATS:
      for (size_t i = 0; i < STATS_FIELDS; i++)
        *stats_field (&msg->stats, i) = read_u64le (r);
      return GW_OK;
    case GW_BUSMSG_LINK:
      return decode_link (&msg->link, r);
    case GW_BUSMSG_NODE:
      return decode_node (&msg->node_info, r);
    case GW_BUSMSG_SCAN:
      return GW_OK;
    }
  return GW_E_TYPE;
}

GwStatus
gw_busmsg_decode (GwBusmsg *msg, GwBusmsgFrom from, const uint8_t *buf, size_t len, size_t datagram_max)
{
  GwReader r;
  uint8_t type, flags;
  uint16_t reserved;
  GwStatus status;

  memset (msg, 0, sizeof *msg);
  gw_reader_init (&r, buf, len);
  type = gw_reader_u8 (&r);
  flags = gw_reader_u8 (&r);
  reserved = gw_reader_u16le (&r);
  msg->node = gw_reader_u32le (&r);
  if (!gw_reader_ok (&r))
    return GW_E_TRUNCATED;
  if (type < GW_BUSMSG_HELLO || type > LAST_TYPE)
    return GW_E_TYPE;
  if (from == GW_BUSMSG_FROM_PLUGIN ? !kinds[type].from_plugin : !kinds[type].from_agent)
    return GW_E_DENIED;
  if (flags != 0 || reserved != 0)
    return GW_E_MALFORMED;

  msg->type = (GwBusmsgType) type;
  status = decode_body (msg, &r);
  if (status != GW_OK)
    return status;
  if (!gw_reader_ok (&r))
    return GW_E_TRUNCATED;
  if (r.left != 0)
    return GW_E_MALFORMED;
  return check (msg, datagram_max);
}

/* ---- Encoding ---- */

void
gw_busmsg_encode_header (uint8_t buf[GW_BUSMSG_HEADER_LEN], GwBusmsgType type, uint32_t node)
{
  buf[0] = (uint8_t) type;
  memset (buf + 1, 0, 3);
  put_le (buf + 4, node, 4);
}

static size_t
body_len (const GwBusmsg *msg)
{
  switch (msg->type)
    {
    case GW_BUSMSG_HELLO:
      return HELLO_LEN;
    case GW_BUSMSG_NODE_UP:
      return NODE_UP_FIXED_LEN + msg->node_up.cbor.len;
    case GW_BUSMSG_NODE_DOWN:
      return 1;
    case GW_BUSMSG_DATAGRAM:
      return msg->datagram.len;
    case GW_BUSMSG_STATS:
      return GW_BUSMSG_STATS_LEN;
    case GW_BUSMSG_LINK:
      return GW_BUSMSG_LINK_LEN;
    case GW_BUSMSG_NODE:
      return GW_BUSMSG_NODE_LEN;
    case GW_BUSMSG_SCAN:
      return 0;
    }
  return 0;
}

static void
encode_link (const GwBusmsgLink *link, uint8_t *out)
{
  *out++ = (uint8_t) link->state;
  *out++ = 0;
  out = put_le (out, link->tx_errors, 2);
  out = put_le (out, link->rx_errors, 2);
  out = put_le (out, link->load_permille, 2);
  out = put_le (out, link->round_trip_ms, 2);
  out = put_le (out, link->culprit_permille, 2);
  out = put_le (out, link->octets_per_second, 4);
  put_le (out, link->culprit, 4);
}

static void
encode_body (const GwBusmsg *msg, uint8_t *out)
{
  GwBusmsgStats stats;

  switch (msg->type)
    {
    case GW_BUSMSG_HELLO:
      out = put_le (out, msg->hello.version, 2);
      out = put_le (out, msg->hello.datagram_max, 2);
      put_le (out, msg->hello.nodes_max, 4);
      break;
    case GW_BUSMSG_NODE_UP:
      out = put_le (out, msg->node_up.mtu, 2);
      out = put_le (out, msg->node_up.rtt_ms, 2);
      if (msg->node_up.cbor.len > 0)
        memcpy (out, msg->node_up.cbor.ptr, msg->node_up.cbor.len);
      break;
    case GW_BUSMSG_NODE_DOWN:
      *out = (uint8_t) msg->node_down.reason;
      break;
    case GW_BUSMSG_DATAGRAM:
      memcpy (out, msg->datagram.ptr, msg->datagram.len);
      break;
    case GW_BUSMSG_STATS:
      stats = msg->stats;
      for (size_t i = 0; i < STATS_FIELDS; i++)
        out = put_le (out, *stats_field (&stats, i), 8);
      break;
    case GW_BUSMSG_LINK:
      encode_link (&msg->link, out);
      break;
    case GW_BUSMSG_NODE:
      out = put_le (out, msg->node_info.address, 2);
      out = put_le (out, 0, 6);
      put_le (out, msg->node_info.retries, 8);
      break;
    case GW_BUSMSG_SCAN:
      break;
    }
}

GwStatus
gw_busmsg_encode (const GwBusmsg *msg, uint8_t *buf, size_t size, size_t *len)
{
  GwStatus status;
  size_t total;

  *len = 0;
  if (msg->type < GW_BUSMSG_HELLO || msg->type > LAST_TYPE)
    return GW_E_TYPE;
  status = check (msg, GW_BUSMSG_DATAGRAM_MAX);
  if (status != GW_OK)
    return status;
  total = GW_BUSMSG_HEADER_LEN + body_len (msg);
  if (total > size)
    return GW_E_SPACE;
  gw_busmsg_encode_header (buf, msg->type, msg->node);
  encode_body (msg, buf + GW_BUSMSG_HEADER_LEN);
  *len = total;
  return GW_OK;
}
