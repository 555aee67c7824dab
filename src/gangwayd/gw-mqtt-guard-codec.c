// SPDX-License-Identifier: LGPL-2.1-or-later
/* See the header. A state machine that takes an octet at a time, except for what it skips; it does not
 * allocate. */
#include "gw-mqtt-guard-codec.h"

#define MAX_SHIFT 21 /* a variable byte integer has four octets of 7 bits */
#define MAX_HEADER 5 /* octets before the body, at most */
#define QOS_MASK 0x06
#define QOS_INVALID 0x06

typedef enum
{
  AT_TYPE,
  AT_LENGTH,
  AT_TOPIC,    /* the two octets before a PUBLISH's topic */
  AT_PROPS,    /* the length of the properties */
  AT_PROPERTY, /* an identifier, or their end */
  AT_STRING,   /* the two octets before a property's string or binary data */
  AT_VARINT,   /* a property's variable byte integer */
  AT_REST,     /* payload, reason codes: anything */
  BROKEN,
} State;

typedef enum
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
} Type;

typedef enum
{
  UNKNOWN,
  BYTE,
  INT16,
  INT32,
  VARINT,
  STRING, /* or binary data */
  PAIR,
} Kind;

/* MQTT 5.0, table 2-4. */
static const uint8_t properties[] = {
  [0x01] = BYTE,  [0x02] = INT32,  [0x03] = STRING, [0x08] = STRING, [0x09] = STRING, [0x0b] = VARINT,
  [0x11] = INT32, [0x12] = STRING, [0x13] = INT16,  [0x15] = STRING, [0x16] = STRING, [0x17] = BYTE,
  [0x18] = INT32, [0x19] = BYTE,   [0x1a] = STRING, [0x1c] = STRING, [0x1f] = STRING, [0x21] = INT16,
  [0x22] = INT16, [0x23] = INT16,  [0x24] = BYTE,   [0x25] = BYTE,   [0x26] = PAIR,   [0x27] = INT32,
  [0x28] = BYTE,  [0x29] = BYTE,   [0x2a] = BYTE,
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
gw_mqtt_guard_init (GwMqttGuard *self, uint32_t max_packet, bool v5)
{
  *self = (GwMqttGuard){ .max = max_packet, .v5 = v5 };
}

/* Nothing is skipped that is not there: strings stay inside the properties, those inside the packet. */
static bool
skip_then (GwMqttGuard *self, uint32_t n, State next)
{
  self->skip = n;
  self->state = next;
  self->shift = 0;
  self->half = 0;
  self->length = 0;
  return n <= (self->in_props ? self->props : self->left);
}

static bool
begin_body (GwMqttGuard *self)
{
  self->in_props = false;
  if (!self->v5)
    return skip_then (self, 0, AT_REST);
  switch (self->type)
    {
    case PUBLISH:
      return skip_then (self, 0, AT_TOPIC);
    case CONNACK: /* flags and code; a broker that knows 3.1.1 only says so in its own form */
      return self->left < 3 ? skip_then (self, 0, AT_REST) : skip_then (self, 2, AT_PROPS);
    case SUBACK: /* packet id */
    case UNSUBACK:
      return skip_then (self, 2, AT_PROPS);
    case DISCONNECT: /* code */
      return self->left < 2 ? skip_then (self, 0, AT_REST) : skip_then (self, 1, AT_PROPS);
    case PINGRESP:
      return skip_then (self, 0, AT_REST);
    default: /* packet id and code; the code alone may end it */
      return self->left < 4 ? skip_then (self, 0, AT_REST) : skip_then (self, 3, AT_PROPS);
    }
}

static bool
take_type (GwMqttGuard *self, uint8_t octet)
{
  self->type = octet >> 4;
  self->flags = octet & 0x0f;
  self->state = AT_LENGTH;
  self->length = 0;
  self->shift = 0;
  if (least_body (self->type) < 0 || self->connected == (self->type == CONNACK))
    return false;
  self->connected = true;
  return self->type != PUBLISH || (self->flags & QOS_MASK) != QOS_INVALID;
}

/* 1: there is more to come, 0: complete in self->length, -1: too long. */
static int
take_varint (GwMqttGuard *self, uint8_t octet)
{
  self->length |= (uint32_t)(octet & 0x7f) << self->shift;
  if (!(octet & 0x80))
    return 0;
  self->shift += 7;
  return self->shift <= MAX_SHIFT ? 1 : -1;
}

static bool
take_length (GwMqttGuard *self, uint8_t octet)
{
  int more = take_varint (self, octet);

  if (more)
    return more > 0;
  if (self->length < (uint32_t)least_body (self->type) || self->length + MAX_HEADER > self->max
      || (self->type == PINGRESP && self->length))
    return false;
  self->left = self->length;
  return begin_body (self);
}

/* True once both octets are there. */
static bool
take_number (GwMqttGuard *self, uint8_t octet)
{
  self->number = (uint16_t)(self->half ? self->number << 8 | octet : octet);
  self->half = !self->half;
  return !self->half;
}

static bool
take_property (GwMqttGuard *self, uint8_t id)
{
  self->again = 0;
  switch (id < sizeof properties ? properties[id] : UNKNOWN)
    {
    case BYTE:
      return skip_then (self, 1, AT_PROPERTY);
    case INT16:
      return skip_then (self, 2, AT_PROPERTY);
    case INT32:
      return skip_then (self, 4, AT_PROPERTY);
    case VARINT:
      return skip_then (self, 0, AT_VARINT);
    case PAIR:
      self->again = 1;
      return skip_then (self, 0, AT_STRING);
    case STRING:
      return skip_then (self, 0, AT_STRING);
    default:
      return false;
    }
}

/* One octet of the body, already counted. */
static bool
take_body (GwMqttGuard *self, uint8_t octet)
{
  int more;

  switch (self->state)
    {
    case AT_TOPIC:
      if (!take_number (self, octet))
        return true;
      return skip_then (self, self->number + (self->flags & QOS_MASK ? 2u : 0u), AT_PROPS);
    case AT_PROPS:
      more = take_varint (self, octet);
      if (more)
        return more > 0;
      self->props = self->length;
      if (self->props > self->left)
        return false;
      self->in_props = true;
      return skip_then (self, 0, AT_PROPERTY);
    case AT_PROPERTY:
      return take_property (self, octet);
    case AT_STRING:
      if (!take_number (self, octet))
        return true;
      if (!self->again)
        return skip_then (self, self->number, AT_PROPERTY);
      self->again = 0;
      return skip_then (self, self->number, AT_STRING);
    case AT_VARINT:
      more = take_varint (self, octet);
      return more ? more > 0 : skip_then (self, 0, AT_PROPERTY);
    default:
      return false;
    }
}

/* After each move inside a body: the properties' end and the packet's must fall where something may end. */
static bool
check_ends (GwMqttGuard *self)
{
  if (self->in_props && !self->props)
    {
      if (self->skip || self->state != AT_PROPERTY)
        return false;
      self->in_props = false;
      self->state = AT_REST;
    }
  if (self->left)
    return true;
  if (self->skip || self->state != AT_REST)
    return false;
  self->state = AT_TYPE;
  return true;
}

static void
count (GwMqttGuard *self, uint32_t n)
{
  self->left -= n;
  if (self->in_props)
    self->props -= n;
}

/* Takes at least one octet; returns how many, 0: broken. */
static size_t
take (GwMqttGuard *self, const uint8_t *data, size_t len)
{
  uint32_t n = 1;
  bool ok;

  if (self->state == AT_TYPE)
    return take_type (self, *data);
  if (self->state == AT_LENGTH)
    {
      ok = take_length (self, *data);
      return ok && (self->state == AT_LENGTH || check_ends (self));
    }
  if (self->skip || self->state == AT_REST)
    {
      uint32_t want = self->skip ? self->skip : self->left;

      n = len < want ? (uint32_t)len : want;
      count (self, n);
      self->skip -= self->skip ? n : 0;
      return check_ends (self) ? n : 0;
    }
  count (self, 1);
  return take_body (self, *data) && check_ends (self) ? 1 : 0;
}

bool
gw_mqtt_guard_feed (GwMqttGuard *self, const uint8_t *data, size_t len)
{
  while (len && self->state != BROKEN)
    {
      size_t n = take (self, data, len);

      if (!n)
        self->state = BROKEN;
      data += n;
      len -= n;
    }
  return self->state != BROKEN;
}
