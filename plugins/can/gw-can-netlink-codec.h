/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the kernel tells of a CAN interface by rtnetlink (linux/can/netlink.h): bit rates, state, error counters. Read
 * only: nothing here changes an interface. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gw-status.h"

#define GW_CAN_NETLINK_REQUEST_SIZE 64

typedef enum
{
  GW_CAN_NETLINK_OTHER, /* not of this interface, or nothing about a link */
  GW_CAN_NETLINK_LINK,
  GW_CAN_NETLINK_GONE,
} GwCanNetlinkKind;

typedef struct
{
  bool is_can; /* its hardware type is CAN */
  bool up;     /* by its administrator */
  bool running; /* and able to carry frames: not bus off */
  uint32_t mtu; /* 16: classic, 72: FD; 0: not told */
  uint32_t bit_rate, data_rate; /* bit/s; 0: not told, vcan has none */
  bool has_state;
  uint32_t state; /* enum can_state */
  bool has_counters;
  uint16_t tx_errors, rx_errors;
} GwCanNetlink;

/* A question for the interface @index; returns its octets. */
size_t gw_can_netlink_encode (uint32_t index, uint32_t seq, uint8_t out[GW_CAN_NETLINK_REQUEST_SIZE]);
/* The message at the start of @data; @used is how many octets it took, 0 where nothing more can be read. */
GwCanNetlinkKind gw_can_netlink_decode (
    const uint8_t *data, size_t len, uint32_t index, GwCanNetlink *out, size_t *used);
