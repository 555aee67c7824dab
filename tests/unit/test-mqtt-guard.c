// SPDX-License-Identifier: LGPL-2.1-or-later
/* The sieve in front of libmosquitto: what passes, what does not, and that the pieces in which it comes do
 * not matter. */
#include <glib.h>

#include "gw-mqtt-guard-codec.h"

#define CONNACK "\x20\x02\x00\x00"

typedef struct
{
  const char *name;
  const char *octets;
  gsize len;
  gboolean passes;
  gboolean v5;
} Case;

#define CASE(name, octets, passes)                                                                           \
  {                                                                                                          \
    name, octets, sizeof octets - 1, passes, FALSE                                                           \
  }
#define CASE5(name, octets, passes)                                                                          \
  {                                                                                                          \
    name, octets, sizeof octets - 1, passes, TRUE                                                            \
  }
#define CONNACK5 "\x20\x03\x00\x00\x00"

static const Case cases[] = {
  CASE ("nothing", "", TRUE),
  CASE ("connack", CONNACK, TRUE),
  CASE ("half", "\x20\x02\x00", TRUE),
  CASE ("publish", CONNACK "\x30\x04\x00\x01tx", TRUE),
  CASE ("pingresp", CONNACK "\xd0\x00\xd0\x00", TRUE),
  CASE ("disconnect", CONNACK "\xe0\x00", TRUE),
  CASE ("suback", CONNACK "\x90\x03\x00\x01\x01", TRUE),
  CASE ("at the limit", CONNACK "\x30\x3b", TRUE),
  CASE ("over the limit", CONNACK "\x30\x3c", FALSE),
  CASE ("far over the limit", CONNACK "\x30\xff\xff\xff\x7f", FALSE),
  CASE ("length of five octets", CONNACK "\x30\x80\x80\x80\x80", FALSE),
  CASE ("length without an end yet", CONNACK "\x30\x80\x80\x80", TRUE),
  CASE ("not connack first", "\xd0\x00", FALSE),
  CASE ("connack twice", CONNACK CONNACK, FALSE),
  CASE ("connack too short", "\x20\x01", FALSE),
  CASE ("suback without code or properties", CONNACK "\x90\x02", FALSE),
  CASE ("publish too short", CONNACK "\x30\x02", FALSE),
  CASE ("puback too short", CONNACK "\x40\x01", FALSE),
  CASE ("a client's packet: connect", CONNACK "\x10\x00", FALSE),
  CASE ("a client's packet: subscribe", CONNACK "\x82\x05", FALSE),
  CASE ("a client's packet: pingreq", CONNACK "\xc0\x00", FALSE),
  CASE ("auth", CONNACK "\xf0\x00", FALSE),
  CASE ("type 0", CONNACK "\x00\x00", FALSE),
  CASE ("qos 3", CONNACK "\x36\x04\x00\x01tx", FALSE),
  CASE ("pingresp with a body", CONNACK "\xd0\x01x", FALSE),
  CASE ("another protocol", "HTTP/1.1 400", FALSE),
  CASE5 ("connack 5", CONNACK5, TRUE),
  CASE5 ("connack 5 of an old broker", "\x20\x02\x00\x01", TRUE),
  CASE5 ("connack 5 with properties", "\x20\x0b\x00\x00\x08\x21\x00\x0a\x27\x00\x00\x10\x00", TRUE),
  CASE5 ("connack 5, properties past the packet", "\x20\x0b\x00\x00\x09", FALSE),
  CASE5 ("connack 5, value past the properties", "\x20\x05\x00\x00\x02\x27\x00", FALSE),
  CASE5 ("connack 5, properties cut short", "\x20\x04\x00\x00\x01\x27", FALSE),
  CASE5 ("unknown property", CONNACK5 "\x30\x06\x00\x01t\x02\x2f", FALSE),
  CASE5 ("unknown property 0", CONNACK5 "\x30\x06\x00\x01t\x02\x00", FALSE),
  CASE5 ("unknown property of two octets", CONNACK5 "\x30\x06\x00\x01t\x02\x80", FALSE),
  CASE5 ("the same octet in a payload", CONNACK5 "\x30\x06\x00\x01t\x00\x2f\x2f", TRUE),
  CASE5 ("publish qos 0", CONNACK5 "\x30\x04\x00\x01t\x00", TRUE),
  CASE5 ("publish qos 1", CONNACK5 "\x32\x06\x00\x01t\x00\x07\x00", TRUE),
  CASE5 ("publish qos 1 without packet id", CONNACK5 "\x32\x04\x00\x01t\x00", FALSE),
  CASE5 ("publish, topic past the packet", CONNACK5 "\x30\x04\x00\x03tu", FALSE),
  CASE5 ("publish, topic past the packet into the next", CONNACK5 "\x30\x04\x00\x03tu\xd0\x00", FALSE),
  CASE5 ("puback, properties past the packet", CONNACK5 "\x40\x04\x00\x01\x87\x05", FALSE),
  CASE5 ("disconnect, properties past the packet", CONNACK5 "\xe0\x02\x8e\x05", FALSE),
  CASE5 ("publish, no properties at all", CONNACK5 "\x30\x03\x00\x01t", FALSE),
  CASE5 ("publish, string", CONNACK5 "\x30\x0a\x00\x01t\x05\x08\x00\x02rt!", TRUE),
  CASE5 ("publish, empty string", CONNACK5 "\x30\x08\x00\x01t\x03\x08\x00\x00!", TRUE),
  CASE5 ("publish, string past the properties", CONNACK5 "\x30\x0a\x00\x01t\x05\x08\x00\x03rt!", FALSE),
  CASE5 ("publish, half a string length", CONNACK5 "\x30\x06\x00\x01t\x02\x08\x00", FALSE),
  CASE5 ("publish, pair", CONNACK5 "\x30\x0b\x00\x01t\x07\x26\x00\x01k\x00\x01v", TRUE),
  CASE5 ("publish, half a pair", CONNACK5 "\x30\x08\x00\x01t\x04\x26\x00\x01k", FALSE),
  CASE5 ("publish, varint", CONNACK5 "\x30\x07\x00\x01t\x03\x0b\x80\x01", TRUE),
  CASE5 ("publish, varint cut short", CONNACK5 "\x30\x06\x00\x01t\x02\x0b\x80", FALSE),
  CASE5 ("publish, two properties", CONNACK5 "\x30\x0b\x00\x01t\x07\x01\x01\x02\x00\x00\x00\x05", TRUE),
  CASE5 ("puback, no code", CONNACK5 "\x40\x02\x00\x01", TRUE),
  CASE5 ("puback, code", CONNACK5 "\x40\x03\x00\x01\x87", TRUE),
  CASE5 ("puback, properties", CONNACK5 "\x40\x08\x00\x01\x87\x04\x1f\x00\x01x", TRUE),
  CASE5 ("puback, unknown property", CONNACK5 "\x40\x06\x00\x01\x87\x02\x30\x00", FALSE),
  CASE5 ("suback", CONNACK5 "\x90\x04\x00\x01\x00\x01", TRUE),
  CASE5 ("suback, unknown property", CONNACK5 "\x90\x06\x00\x01\x02\x05\x00\x01", FALSE),
  CASE5 ("disconnect, code", CONNACK5 "\xe0\x01\x8e", TRUE),
  CASE5 ("disconnect, properties", CONNACK5 "\xe0\x02\x8e\x00", TRUE),
  CASE5 ("disconnect, unknown property", CONNACK5 "\xe0\x03\x8e\x01\x7f", FALSE),
};

static void
test_case (gconstpointer data)
{
  const Case *c = data;
  const guint8 *octets = (const guint8 *)c->octets;
  GwMqttGuard guard;

  for (gsize piece = 1; piece <= c->len + 1; piece++)
    {
      gboolean passes = TRUE;

      gw_mqtt_guard_init (&guard, 64, c->v5);
      for (gsize at = 0; at < c->len; at += piece)
        passes = gw_mqtt_guard_feed (&guard, octets + at, MIN (piece, c->len - at));
      g_assert_cmpint (passes, ==, c->passes);
      /* Refused once, refused for good. */
      if (!passes)
        g_assert_false (gw_mqtt_guard_feed (&guard, (const guint8 *)CONNACK, 4));
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strdup_printf ("/mqtt-guard/%s/%s", cases[i].v5 ? "5" : "3.1.1", cases[i].name);

      g_test_add_data_func (path, &cases[i], test_case);
    }
  return g_test_run ();
}
