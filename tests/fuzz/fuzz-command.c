/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: a command from MQTT. What is taken keeps the documented limits, and its answer is JSON. */
#include <glib.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gw-base64url.h"
#include "gw-command-codec.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
check_text (const char *text, size_t max)
{
  if (text != NULL && (strlen (text) > max || !g_utf8_validate (text, -1, NULL)))
    abort ();
}

/* A text that is taken for octets is the only one for them, but for its padding. */
static void
check_octets (const char *text)
{
  g_autoptr (GBytes) octets = gw_base64url_decode (text);
  g_autofree char *again = NULL;
  gsize len = 0;

  if (octets == NULL)
    return;
  again = gw_base64url_encode (g_bytes_get_data (octets, NULL), g_bytes_get_size (octets));
  len = strlen (again);
  if (strncmp (text, again, len) != 0 || strspn (text + len, "=") != strlen (text + len) || strlen (text + len) > 2)
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GwCommand) command = gw_command_decode (data, size, &error);
  g_autofree char *answer = NULL;
  GwCommandReply reply = { .status = "done" };
  json_t *json;

  if ((command == NULL) == (error == NULL))
    abort ();
  if (command == NULL)
    {
      reply.status = "refused";
      reply.message = error->message;
    }
  else
    {
      check_text (command->point, GW_COMMAND_POINT_MAX);
      check_text (command->value.text, GW_COMMAND_TEXT_MAX);
      if (command->value.type == GW_COMMAND_TEXT)
        check_octets (command->value.text);
      check_text (command->correlation, GW_COMMAND_CORRELATION_MAX);
      check_text (command->response, GW_COMMAND_RESPONSE_MAX);
      if ((command->point == NULL) != command->has_id || command->ttl <= 0
          || command->ttl > GW_COMMAND_TTL_MAX * (gint64)G_USEC_PER_SEC)
        abort ();
      reply.correlation = command->correlation;
      reply.point = command->point;
      reply.value = &command->value;
    }
  answer = gw_command_reply_encode (&reply);
  json = json_loads (answer, 0, NULL);
  if (!json_is_object (json))
    abort ();
  json_decref (json);
  return 0;
}
