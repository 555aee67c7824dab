/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Messages of the bus socket: the SOCK_SEQPACKET pair between a field-bus plugin and the agent, one message a packet.
 * Every number is little endian. Header: u8 type, u8 flags (0), u16 reserved (0), u32 node; then the body. The codec
 * keeps no state and allocates nothing; spans of a decoded message point into the caller's buffer. What needs memory
 * of earlier messages is the caller's to check:
 *
 * - HELLO is the first message of each side and comes once; the smaller of the two limits holds for both;
 * - the node ids of NODE_UP rise from message to message on one socket, so none is ever used twice;
 * - a message for a node that is not up is dropped when it comes from the agent (it crossed a NODE_DOWN), and is a
 *   fault when it comes from the plugin.
 * LINK and NODE are optional: the agent does without, as with a plugin whose bus has no such state or addresses.
 *
 * Version 1 of the protocol; another version is refused by its HELLO.
 */

#include "gw-cbor.h"

#define GW_BUSMSG_VERSION 1

/* Octets. */
#define GW_BUSMSG_HEADER_LEN 8
#define GW_BUSMSG_DATAGRAM_MIN GW_LINK_MTU_MIN
#define GW_BUSMSG_DATAGRAM_MAX 2048  /* what either side offers unless configured */
#define GW_BUSMSG_HELLO_CBOR_MAX 512 /* the gw_link hello answer, verbatim, in NODE_UP */
#define GW_BUSMSG_MAX (GW_BUSMSG_HEADER_LEN + GW_BUSMSG_DATAGRAM_MAX) /* largest message of all */

/* Nodes on one bus: an RS-485 segment has 254 stations, a CAN bus 127. */
#define GW_BUSMSG_NODES_MAX 254

/* Datagrams that a plugin keeps for one node while the wire is busy; beyond that it drops and counts. */
#define GW_BUSMSG_NODE_QUEUE 4

typedef enum
{
  GW_BUSMSG_HELLO = 1,     /* both ways, first */
  GW_BUSMSG_NODE_UP = 2,   /* from the plugin */
  GW_BUSMSG_NODE_DOWN = 3, /* from the plugin */
  GW_BUSMSG_DATAGRAM = 4,  /* both ways */
  GW_BUSMSG_SCAN = 5,      /* from the agent: look for endpoints now */
  GW_BUSMSG_STATS = 6,     /* from the plugin, at most once a second */
  GW_BUSMSG_LINK = 7,      /* from the plugin: once a second at most, at once when state or culprit changed */
  GW_BUSMSG_NODE = 8,      /* from the plugin: more of a node that is up */
} GwBusmsgType;

typedef enum
{
  GW_BUSMSG_DOWN_GONE = 1,     /* unplugged, or the line hung up */
  GW_BUSMSG_DOWN_SILENT = 2,   /* does not answer any more */
  GW_BUSMSG_DOWN_REPLACED = 3, /* another endpoint answers in its place */
} GwBusmsgDown;

/* What the link layer thinks of itself; the names are CAN's (ISO 11898-1, fault confinement). */
typedef enum
{
  GW_BUSMSG_LINK_UNKNOWN = 0,
  GW_BUSMSG_LINK_ACTIVE = 1,  /* as it should be */
  GW_BUSMSG_LINK_WARNING = 2, /* an error counter is past 96 */
  GW_BUSMSG_LINK_PASSIVE = 3, /* past 127 */
  GW_BUSMSG_LINK_OFF = 4,     /* nothing goes in or out until the controller is started again */
} GwBusmsgLinkState;

/* Who wrote a message. */
typedef enum
{
  GW_BUSMSG_FROM_PLUGIN,
  GW_BUSMSG_FROM_AGENT,
} GwBusmsgFrom;

/* Counters of a bus since its plugin started; none ever falls. */
typedef struct
{
  uint64_t frames_in;  /* good frames from the wire */
  uint64_t frames_out; /* frames to the wire */
  uint64_t bytes_in;   /* octets from the wire, framing and garbage included */
  uint64_t bytes_out;  /* octets to the wire, framing included */
  uint64_t fcs_errors; /* frames refused for their check sequence */
  uint64_t oversize;   /* frames refused for their length, too long or too short */
  uint64_t aborted;    /* frames broken off by the sender */
  uint64_t dropped;    /* datagrams dropped because a queue was full, either way */
} GwBusmsgStats;

#define GW_BUSMSG_STATS_LEN 64 /* the counters above, in that order, u64 each */

#define GW_BUSMSG_LOAD_UNKNOWN 0xFFFF
#define GW_BUSMSG_PERMILLE_MAX 1000
/* In the place of an address: frames that belong to no node, and their id; with 29 bits, else with 11. */
#define GW_BUSMSG_CULPRIT_FRAMES 0x80000000u
#define GW_BUSMSG_CULPRIT_EXTENDED 0x40000000u

/* How the link is now. On the wire u8 state, u8 0, then the others in this order. */
typedef struct
{
  GwBusmsgLinkState state;
  uint16_t tx_errors;         /* the controller's error counters */
  uint16_t rx_errors;
  uint16_t load_permille;     /* of the bit rate, or GW_BUSMSG_LOAD_UNKNOWN */
  uint16_t round_trip_ms;     /* of a full datagram there and one back at the present load; 0 = not measured */
  uint16_t culprit_permille;  /* share of the bit rate that the culprit takes */
  uint32_t octets_per_second; /* of datagrams that the link can carry, both ways together; 0 = not known */
  uint32_t culprit;           /* address of the node that takes more than its share, or GW_BUSMSG_CULPRIT_FRAMES; 0 = none */
} GwBusmsgLink;

#define GW_BUSMSG_LINK_LEN 20

/* More of a node: u16 address, u16 0, u32 0, u64 retries. */
typedef struct
{
  uint16_t address; /* node number or station on the wire; 0 = the bus has none */
  uint64_t retries; /* transfers to or from it that were begun again; never falls */
} GwBusmsgNode;

#define GW_BUSMSG_NODE_LEN 16

typedef struct
{
  GwBusmsgType type;
  uint32_t node; /* 0 in HELLO, SCAN, STATS and LINK, else never 0 */
  union
  {
    struct
    {
      uint16_t version;
      uint16_t datagram_max; /* octets, at least GW_BUSMSG_DATAGRAM_MIN */
      uint32_t nodes_max;    /* at least 1 */
    } hello;
    struct
    {
      uint16_t mtu;        /* largest datagram of this node, octets, at least GW_BUSMSG_DATAGRAM_MIN */
      uint16_t rtt_ms;     /* round trip the plugin measured, milliseconds; 0 = not measured */
      GwBytes cbor;        /* the hello answer's CBOR as the endpoint sent it; borrowed; may be empty */
    } node_up;
    struct
    {
      GwBusmsgDown reason;
    } node_down;
    GwBytes datagram; /* borrowed; never empty */
    GwBusmsgStats stats;
    GwBusmsgLink link;
    GwBusmsgNode node_info;
  };
} GwBusmsg;

/* Decode one packet of @len octets that @from has written. @datagram_max is what was agreed on (GW_BUSMSG_DATAGRAM_MAX
 * before both HELLOs are in). A HELLO of another version is decoded as far as its version and given back as
 * GW_E_UNSUPPORTED, so that the caller can name it. Nothing else of a refused message may be used.
 *
 * GW_E_TRUNCATED: shorter than header or body; GW_E_LIMIT: longer than allowed; GW_E_MALFORMED: flags, reserved or
 * octets left over; GW_E_TYPE: unknown type; GW_E_DENIED: one that this side does not send; GW_E_RANGE: a field (the
 * node among them) outside its range. */
GwStatus gw_busmsg_decode (
    GwBusmsg *msg, GwBusmsgFrom from, const uint8_t *buf, size_t len, size_t datagram_max);

/* Encode @msg into @buf of @size octets and store the length. GW_E_SPACE when it does not fit, GW_E_RANGE or GW_E_LIMIT
 * when the other side would refuse it. */
GwStatus gw_busmsg_encode (const GwBusmsg *msg, uint8_t *buf, size_t size, size_t *len);

/* Only the header, for sendmsg() with the body in an iovec of its own. */
void gw_busmsg_encode_header (uint8_t buf[GW_BUSMSG_HEADER_LEN], GwBusmsgType type, uint32_t node);
