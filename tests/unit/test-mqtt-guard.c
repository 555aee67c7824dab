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
} Case;

#define CASE(name, octets, passes)                                                                           \
  {                                                                                                          \
    name, octets, sizeof octets - 1, passes                                                                  \
  }

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
  CASE ("another protocol", "HTTP/1.1 400", FALSE),
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

      gw_mqtt_guard_init (&guard, 64);
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
      g_autofree char *path = g_strdup_printf ("/mqtt-guard/%s", cases[i].name);

      g_test_add_data_func (path, &cases[i], test_case);
    }
  return g_test_run ();
}
