// SPDX-License-Identifier: LGPL-2.1-or-later
/* A sieve for the octets that a broker sends, in front of libmosquitto.
 *
 * libmosquitto 2.0 allocates what a packet's header announces, up to 256 MiB; a property of unknown type
 * makes it abort the whole process (an assertion in its logging); and it has read past short packets before.
 * A hostile broker must not have that. The guard follows packets, strings and properties (MQTT 5.0, 2.1
 * and 2.2.2) and lets pass only packets that a client may get, CONNACK first, whole in themselves, with known
 * properties, and not longer than a limit.
 *
 * It keeps no data: what breaks a rule is found before the piece that completes the packet is passed on, and
 * libmosquitto looks at whole packets only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct
{
  uint32_t max;    /* octets of a whole packet */
  uint32_t length; /* of the body, or a varint as far as it is decoded */
  uint32_t left;   /* of the body */
  uint32_t props;  /* of the properties */
  uint32_t skip;   /* octets of no interest before the state goes on */
  uint16_t number; /* a two-octet length as far as it is decoded */
  uint8_t type;    /* of the current packet */
  uint8_t flags;
  uint8_t state;
  uint8_t shift; /* of the varint's next octet */
  uint8_t half;  /* a two-octet length has its first octet */
  uint8_t again; /* a string pair's second string is to come */
  bool v5;
  bool in_props;
  bool connected; /* CONNACK was seen */
} GwMqttGuard;

void gw_mqtt_guard_init (GwMqttGuard *self, uint32_t max_packet, bool v5);
/** False: the stream breaks the rules; drop the connection and do not pass this piece on. Then every later
 * call says false too. */
bool gw_mqtt_guard_feed (GwMqttGuard *self, const uint8_t *data, size_t len);
