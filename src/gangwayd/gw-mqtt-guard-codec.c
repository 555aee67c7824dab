// SPDX-License-Identifier: LGPL-2.1-or-later
/* See the header. A state machine over octets: it keeps no data and does not allocate. */
#include "gw-mqtt-guard-codec.h"

#define IN_BODY 0xff
#define BROKEN 0xfe
#define MAX_SHIFT 21 /* four length octets of 7 bits */

enum
{
  CONNACK = 2,
  PUBLISH = 3,
  PUBACK = 4,
  PUBREC = 5,
  PUBREL = 6,
  PUBCOMP = 7,
  SUBACK = 9,
  UNSUBACK = 11,
  PINGRESP = 13,
  DISCONNECT = 14,
};

/* The least body of a packet that a client may get, or -1. AUTH (15) is never asked for. */
static int
least_body (uint8_t type)
{
  switch (type)
    {
    case CONNACK:
    case PUBACK:
    case PUBREC:
    case PUBREL:
    case PUBCOMP:
    case UNSUBACK:
      return 2;
    case PUBLISH:
    case SUBACK:
      return 3;
    case PINGRESP:
    case DISCONNECT:
      return 0;
    default:
      return -1;
    }
}

void
gw_mqtt_guard_init (GwMqttGuard *self, uint32_t max_packet)
{
  *self = (GwMqttGuard){ .max = max_packet };
}

static bool
take_type (GwMqttGuard *self, uint8_t octet)
{
  self->type = octet >> 4;
  self->length = 0;
  self->shift = 0;
  if (least_body (self->type) < 0 || self->connected == (self->type == CONNACK))
    return false;
  self->connected = true;
  return true;
}

static bool
take_length (GwMqttGuard *self, uint8_t octet)
{
  self->length |= (uint32_t)(octet & 0x7f) << self->shift;
  if (octet & 0x80)
    {
      self->shift += 7;
      return self->shift <= MAX_SHIFT;
    }
  /* At most five octets of header precede the body. */
  if (self->length < (uint32_t)least_body (self->type) || self->length + 5 > self->max)
    return false;
  self->left = self->length;
  self->shift = IN_BODY;
  if (!self->left)
    self->type = 0;
  return true;
}

bool
gw_mqtt_guard_feed (GwMqttGuard *self, const uint8_t *data, size_t len)
{
  while (len && self->shift != BROKEN)
    {
      if (self->type && self->shift == IN_BODY)
        {
          uint32_t skip = len < self->left ? (uint32_t)len : self->left;

          self->left -= skip;
          data += skip;
          len -= skip;
          if (!self->left)
            self->type = 0;
          continue;
        }
      if (self->type ? !take_length (self, *data) : !take_type (self, *data))
        self->shift = BROKEN;
      data++;
      len--;
    }
  return self->shift != BROKEN;
}
