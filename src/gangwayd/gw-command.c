/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See gw-command.h. Each command under way holds what it needs for its answer; the broker is not trusted with anything else. */

#include "config.h"

#include "gw-command.h"

#include <string.h>

#include "gw-base64url.h"
#include "gw-command-codec.h"
#include "gw-error.h"

struct _GwCommands
{
  GwEndpoint *endpoint;
  GwPoints *points;
  guint pending;
  gboolean freed;
};

typedef struct
{
  GwCommands *commands; /* a reference */
  char *response;       /* topic; NULL: the policy's */
  GBytes *correlation;  /* MQTT 5; NULL: none */
  char *text_correlation;
  char *point;
  guint32 id;
  gboolean has_id;
} Answer;

static void
commands_unref (GwCommands *self)
{
  g_rc_box_release (self);
}

static void
answer_free (Answer *answer)
{
  commands_unref (answer->commands);
  g_free (answer->response);
  g_clear_pointer (&answer->correlation, g_bytes_unref);
  g_free (answer->text_correlation);
  g_free (answer->point);
  g_free (answer);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Answer, answer_free)

static void
send_answer (Answer *answer, const GwCommandValue *value, gboolean repeated, const GError *error)
{
  GwCourier *courier = answer->commands->freed ? NULL : gw_endpoint_get_courier (answer->commands->endpoint);
  gboolean unknown = g_error_matches (error, GW_ERROR, GW_ERROR_FAILED), expired = g_error_matches (error, GW_ERROR, GW_ERROR_TIMEOUT);
  g_autofree char *name = error != NULL ? g_dbus_error_encode_gerror (error) : NULL;
  GwCommandReply reply = {
    .correlation = answer->text_correlation,
    .point = answer->point,
    .has_id = answer->has_id,
    .id = answer->id,
    .status = error == NULL ? "done" : unknown ? "unknown" : expired ? "expired" : "refused",
    .value = value,
    .error = name != NULL && strrchr (name, '.') != NULL ? strrchr (name, '.') + 1 : NULL,
    .message = error != NULL ? error->message : NULL,
    .repeated = repeated,
  };
  g_autofree char *json = NULL;

  if (courier == NULL)
    return;
  json = gw_command_reply_encode (&reply);
  gw_courier_reply (courier, answer->response,
                    answer->correlation != NULL ? g_bytes_get_data (answer->correlation, NULL) : NULL,
                    answer->correlation != NULL ? g_bytes_get_size (answer->correlation) : 0, json);
}

static void
from_variant (GVariant *variant, GwCommandValue *value)
{
  memset (value, 0, sizeof *value);
  if (variant == NULL)
    return;
  if (g_variant_is_of_type (variant, G_VARIANT_TYPE_BOOLEAN))
    {
      value->type = GW_COMMAND_BOOL;
      value->b = g_variant_get_boolean (variant);
    }
  else if (g_variant_is_of_type (variant, G_VARIANT_TYPE_INT64))
    {
      value->type = GW_COMMAND_INT;
      value->i = g_variant_get_int64 (variant);
    }
  else if (g_variant_is_of_type (variant, G_VARIANT_TYPE_DOUBLE))
    {
      value->type = GW_COMMAND_FLOAT;
      value->f = g_variant_get_double (variant);
    }
  else if (g_variant_is_of_type (variant, G_VARIANT_TYPE_STRING))
    {
      value->type = GW_COMMAND_TEXT;
      value->text = g_variant_dup_string (variant, NULL);
    }
  else if (g_variant_is_of_type (variant, G_VARIANT_TYPE_BYTESTRING))
    {
      gsize len;
      const guchar *octets = g_variant_get_fixed_array (variant, &len, 1);

      value->type = GW_COMMAND_TEXT;
      value->text = gw_base64url_encode (octets, len);
    }
}

/* NULL: text that is no octets, for a point of octets. */
static GVariant *
to_variant (const GwCommandValue *value, const GwPoint *point, GError **error)
{
  g_autoptr (GBytes) octets = NULL;

  switch (value->type)
    {
    case GW_COMMAND_BOOL:
      return g_variant_new_boolean (value->b);
    case GW_COMMAND_INT:
      return g_variant_new_int64 (value->i);
    case GW_COMMAND_FLOAT:
      return g_variant_new_double (value->f);
    case GW_COMMAND_TEXT:
      if (point->type != GW_VALUE_BYTES)
        return g_variant_new_string (value->text);
      octets = gw_base64url_decode (value->text);
      if (octets != NULL)
        return g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, octets, TRUE);
      g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "point '%s' takes octets, and the text is no base64url", point->name);
      return NULL;
    case GW_COMMAND_NONE:
    default:
      return g_variant_new_string ("");
    }
}

static void
finish (Answer *answer, GVariant *variant, gboolean repeated, const GError *error)
{
  GwCommandValue value;

  from_variant (variant, &value);
  answer->commands->pending--;
  send_answer (answer, &value, repeated, error);
  gw_command_value_clear (&value);
  answer_free (answer);
}

static void
on_written (GVariant *value, gboolean repeated, const GError *error, gpointer data)
{
  finish (data, value, repeated, error);
}

static void
on_read (GVariant *values, const GError *error, gpointer data)
{
  g_autoptr (GVariant) value = NULL;

  if (values != NULL && g_variant_n_children (values) > 0)
    g_variant_get_child (values, 0, "(utv)", NULL, NULL, &value);
  finish (data, value, FALSE, error);
}

static void
execute (GwCommands *self, const GwCommand *command, Answer *answer)
{
  const GwPoint *point = command->has_id ? gw_points_lookup (self->points, command->id)
                                         : gw_points_lookup_name (self->points, command->point);
  g_autoptr (GError) error = NULL;
  GVariant *value = NULL;

  self->pending++;
  if (point == NULL)
    g_set_error_literal (&error, GW_ERROR, GW_ERROR_NOT_FOUND, "the endpoint has no such point");
  else if (!command->read)
    value = to_variant (&command->value, point, &error);
  if (error != NULL)
    {
      finish (answer, NULL, FALSE, error);
      return;
    }
  g_free (answer->point);
  answer->point = g_strdup (point->name);
  answer->has_id = TRUE;
  answer->id = point->id;
  if (command->read)
    gw_points_read (self->points, &point->id, 1, on_read, answer);
  else
    gw_points_write (self->points, point->id, value, (guint) CLAMP (command->ttl / 1000, 1, GW_POINTS_TTL_MAX_MSEC), FALSE, on_written, answer);
}

void
gw_commands_take (GwCommands *self, const GwUplinkMessage *message)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GwCommand) command = NULL;
  Answer *answer;

  /* A retained command is an old one: nobody knows how old. */
  if (message->retained)
    return;
  answer = g_new0 (Answer, 1);
  answer->commands = g_rc_box_acquire (self);
  /* Topics with a '$' are the broker's own. */
  if (message->response_topic != NULL && *message->response_topic != '$')
    answer->response = g_strdup (message->response_topic);
  if (message->correlation != NULL)
    answer->correlation = g_bytes_new (message->correlation, message->correlation_len);
  command = gw_command_decode (message->payload, message->payload_len, &error);
  if (command != NULL)
    {
      answer->text_correlation = g_strdup (command->correlation);
      answer->point = g_strdup (command->point);
      if (answer->response == NULL)
        answer->response = g_strdup (command->response);
    }
  if (command != NULL && self->pending >= GW_COMMAND_PENDING_MAX)
    g_set_error_literal (&error, GW_ERROR, GW_ERROR_BUSY, "too many commands are under way for this endpoint");
  if (error == NULL)
    {
      execute (self, command, answer);
      return;
    }
  send_answer (answer, NULL, FALSE, error);
  answer_free (answer);
}

GwCommands *
gw_commands_new (GwEndpoint *endpoint, GwPoints *points)
{
  GwCommands *self = g_rc_box_new0 (GwCommands);

  self->endpoint = endpoint;
  self->points = points;
  return self;
}

void
gw_commands_free (GwCommands *self)
{
  self->freed = TRUE;
  commands_unref (self);
}
