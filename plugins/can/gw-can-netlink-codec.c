/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gw-can-netlink-codec.h"

#include <linux/can/netlink.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>

#define ATTRIBUTE_TYPE_MASK 0x3fff /* the upper two bits are flags (linux/netlink.h) */

typedef struct
{
  const uint8_t *data;
  size_t len;
} Span;

size_t
gw_can_netlink_encode (uint32_t index, uint32_t seq, uint8_t out[GW_CAN_NETLINK_REQUEST_SIZE])
{
  struct
  {
    struct nlmsghdr header;
    struct ifinfomsg info;
  } request;

  memset (&request, 0, sizeof request);
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.header.nlmsg_seq = seq;
  request.info.ifi_family = AF_UNSPEC;
  request.info.ifi_index = (int) index;
  memcpy (out, &request, sizeof request);
  return sizeof request;
}

/* Takes the next attribute off @span. False: there is none, or it is damaged. */
static bool
next_attribute (Span *span, uint16_t *type, Span *value)
{
  struct nlattr attribute;
  size_t step;

  if (span->len < sizeof attribute)
    return false;
  memcpy (&attribute, span->data, sizeof attribute);
  if (attribute.nla_len < sizeof attribute || attribute.nla_len > span->len)
    return false;
  *type = attribute.nla_type & ATTRIBUTE_TYPE_MASK;
  *value = (Span){ span->data + sizeof attribute, attribute.nla_len - sizeof attribute };
  step = NLA_ALIGN (attribute.nla_len);
  if (step > span->len)
    step = span->len;
  span->data += step;
  span->len -= step;
  return true;
}

static bool
read_value (const Span *value, void *out, size_t size)
{
  if (value->len < size)
    return false;
  memcpy (out, value->data, size);
  return true;
}

static void
decode_can (Span data, GwCanNetlink *out)
{
  struct can_bittiming timing;
  struct can_berr_counter counter;
  uint16_t type;
  Span value;

  while (next_attribute (&data, &type, &value))
    switch (type)
      {
      case IFLA_CAN_BITTIMING:
        if (read_value (&value, &timing, sizeof timing))
          out->bit_rate = timing.bitrate;
        break;
      case IFLA_CAN_DATA_BITTIMING:
        if (read_value (&value, &timing, sizeof timing))
          out->data_rate = timing.bitrate;
        break;
      case IFLA_CAN_STATE:
        out->has_state = read_value (&value, &out->state, sizeof out->state);
        break;
      case IFLA_CAN_BERR_COUNTER:
        out->has_counters = read_value (&value, &counter, sizeof counter);
        if (out->has_counters)
          {
            out->tx_errors = counter.txerr;
            out->rx_errors = counter.rxerr;
          }
        break;
      default:
        break;
      }
}

/* IFLA_LINKINFO: the kind of interface, and then what is particular to that kind. */
static void
decode_info (Span info, GwCanNetlink *out)
{
  static const char can[] = "can";
  bool is_can = false;
  uint16_t type;
  Span value;

  while (next_attribute (&info, &type, &value))
    if (type == IFLA_INFO_KIND)
      is_can = value.len >= sizeof can && memcmp (value.data, can, sizeof can) == 0;
    else if (type == IFLA_INFO_DATA && is_can)
      decode_can (value, out);
}

static void
decode_link (Span attributes, GwCanNetlink *out)
{
  uint16_t type;
  Span value;

  while (next_attribute (&attributes, &type, &value))
    if (type == IFLA_MTU)
      read_value (&value, &out->mtu, sizeof out->mtu);
    else if (type == IFLA_LINKINFO)
      decode_info (value, out);
}

GwCanNetlinkKind
gw_can_netlink_decode (const uint8_t *data, size_t len, uint32_t index, GwCanNetlink *out, size_t *used)
{
  struct nlmsghdr header;
  struct ifinfomsg info;
  size_t body = NLMSG_ALIGN (sizeof header) + NLMSG_ALIGN (sizeof info);

  *used = 0;
  if (len < sizeof header)
    return GW_CAN_NETLINK_OTHER;
  memcpy (&header, data, sizeof header);
  if (header.nlmsg_len < sizeof header || header.nlmsg_len > len)
    return GW_CAN_NETLINK_OTHER;
  *used = NLMSG_ALIGN (header.nlmsg_len) < len ? NLMSG_ALIGN (header.nlmsg_len) : len;
  if ((header.nlmsg_type != RTM_NEWLINK && header.nlmsg_type != RTM_DELLINK) || header.nlmsg_len < body)
    return GW_CAN_NETLINK_OTHER;
  memcpy (&info, data + NLMSG_ALIGN (sizeof header), sizeof info);
  if ((uint32_t) info.ifi_index != index)
    return GW_CAN_NETLINK_OTHER;
  if (header.nlmsg_type == RTM_DELLINK)
    return GW_CAN_NETLINK_GONE;
  *out = (GwCanNetlink){
    .is_can = info.ifi_type == ARPHRD_CAN,
    .up = (info.ifi_flags & IFF_UP) != 0,
    .running = (info.ifi_flags & IFF_RUNNING) != 0,
  };
  decode_link ((Span){ data + body, header.nlmsg_len - body }, out);
  return GW_CAN_NETLINK_LINK;
}
