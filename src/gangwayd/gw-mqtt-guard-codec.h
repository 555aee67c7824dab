// SPDX-License-Identifier: LGPL-2.1-or-later
/* A sieve for the octets that a broker sends, in front of libmosquitto.
 *
 * libmosquitto allocates what a packet's header announces, up to 256 MiB, and has read past short packets
 * before. The guard follows the packet boundaries (MQTT 5.0, 2.1) and lets pass only packet types that a
 * client may get, not shorter than their fixed parts and not longer than a limit, CONNACK first. It does not
 * look inside.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct
{
  uint32_t max;    /* octets of a whole packet */
  uint32_t left;   /* of the current packet's body */
  uint32_t length; /* as far as it is decoded */
  uint8_t type;    /* of the current packet, 0 = between packets */
  uint8_t shift;   /* of the next length octet; 0xff = in the body */
  bool connected;  /* CONNACK was seen */
} GwMqttGuard;

void gw_mqtt_guard_init (GwMqttGuard *self, uint32_t max_packet);
/** False: the stream breaks the rules; drop the connection and do not pass this piece on. Then every later
 * call says false too. */
bool gw_mqtt_guard_feed (GwMqttGuard *self, const uint8_t *data, size_t len);
