/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Commands from MQTT. jansson parses, with duplicate keys refused and nesting out of the question: anything
 * but a flat object of known keys is turned away, by name. */

#include "gw-command-codec.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "gw-error.h"

static gboolean invalid (GError **error, const char *format, ...) G_GNUC_PRINTF (2, 3);

static gboolean
invalid (GError **error, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list args;

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error_literal (error, GW_ERROR, GW_ERROR_INVALID, message);
  return FALSE;
}

/* Text without control characters, of at most max octets. NUL cannot occur: jansson refuses \u0000. */
static gboolean
take_text (const json_t *json, const char *key, gsize max, char **out, GError **error)
{
  const char *text = json_string_value (json);

  if (text == NULL)
    return invalid (error, "\"%s\" must be text", key);
  if (json_string_length (json) > max)
    return invalid (error, "\"%s\" is longer than %" G_GSIZE_FORMAT " octets", key, max);
  for (const char *p = text; *p != '\0'; p++)
    if ((guchar)*p < 0x20 || *p == 0x7f)
      return invalid (error, "\"%s\" holds control characters", key);
  *out = g_strdup (text);
  return TRUE;
}

static gboolean
take_point (GwCommand *self, const json_t *json, GError **error)
{
  if (!take_text (json, "point", GW_COMMAND_POINT_MAX, &self->point, error))
    return FALSE;
  return *self->point != '\0' || invalid (error, "\"point\" is empty");
}

static gboolean
take_id (GwCommand *self, const json_t *json, GError **error)
{
  json_int_t id = json_integer_value (json);

  if (!json_is_integer (json) || id < 0 || id > G_MAXUINT32)
    return invalid (error, "\"id\" must be a whole number from 0 to %u", G_MAXUINT32);
  self->has_id = TRUE;
  self->id = (guint32)id;
  return TRUE;
}

static gboolean
take_value (GwCommand *self, const json_t *json, GError **error)
{
  switch (json_typeof (json))
    {
    case JSON_TRUE:
    case JSON_FALSE:
      self->value.type = GW_COMMAND_BOOL;
      self->value.b = json_is_true (json);
      return TRUE;
    case JSON_INTEGER:
      self->value.type = GW_COMMAND_INT;
      self->value.i = json_integer_value (json);
      return TRUE;
    case JSON_REAL:
      self->value.type = GW_COMMAND_FLOAT;
      self->value.f = json_real_value (json);
      return isfinite (self->value.f) || invalid (error, "\"value\" is not a finite number");
    case JSON_STRING:
      self->value.type = GW_COMMAND_TEXT;
      return take_text (json, "value", GW_COMMAND_TEXT_MAX, &self->value.text, error);
    case JSON_OBJECT:
    case JSON_ARRAY:
    case JSON_NULL:
    default:
      return invalid (error, "\"value\" must be true, false, a number or text");
    }
}

static gboolean
take_read (GwCommand *self, const json_t *json, GError **error)
{
  if (!json_is_boolean (json))
    return invalid (error, "\"read\" must be true or false");
  self->read = json_is_true (json);
  return TRUE;
}

static gboolean
take_ttl (GwCommand *self, const json_t *json, GError **error)
{
  double seconds = json_number_value (json);

  if (!json_is_number (json) || !(seconds > 0 && seconds <= GW_COMMAND_TTL_MAX))
    return invalid (error, "\"ttl\" must be a number of seconds, over 0 and at most %d", GW_COMMAND_TTL_MAX);
  self->ttl = (gint64)(seconds * G_USEC_PER_SEC);
  return TRUE;
}

static gboolean
take_correlation (GwCommand *self, const json_t *json, GError **error)
{
  return take_text (json, "correlation", GW_COMMAND_CORRELATION_MAX, &self->correlation, error);
}

static gboolean
take_response (GwCommand *self, const json_t *json, GError **error)
{
  if (!take_text (json, "response", GW_COMMAND_RESPONSE_MAX, &self->response, error))
    return FALSE;
  if (*self->response == '\0' || *self->response == '$' || strpbrk (self->response, "+#") != NULL)
    return invalid (error, "\"response\" must be a topic without +, # and a leading $");
  return TRUE;
}

static const struct
{
  const char *name;
  gboolean (*take) (GwCommand *self, const json_t *json, GError **error);
} keys[] = {
  { "point", take_point },       { "id", take_id },   { "value", take_value },
  { "read", take_read },         { "ttl", take_ttl }, { "correlation", take_correlation },
  { "response", take_response },
};

static gboolean
take_key (GwCommand *self, const char *name, const json_t *json, GError **error)
{
  g_autofree char *shown = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    if (strcmp (name, keys[i].name) == 0)
      return keys[i].take (self, json, error);
  shown = g_utf8_substring (name, 0, MIN (g_utf8_strlen (name, -1), 32));
  return invalid (
      error, "unknown key \"%s\"; known are point, id, value, read, ttl, correlation and response", shown);
}

static gboolean
take_object (GwCommand *self, json_t *root, GError **error)
{
  const char *name;
  json_t *value;

  if (!json_is_object (root))
    return invalid (error, "a command is one JSON object");
  json_object_foreach (root, name, value) if (!take_key (self, name, value, error)) return FALSE;
  if ((self->point != NULL) == self->has_id)
    return invalid (error, "a command names its point by either \"point\" or \"id\"");
  if (self->read == (self->value.type != GW_COMMAND_NONE))
    return invalid (error, "a command has either a \"value\" to write or \"read\": true");
  return TRUE;
}

GwCommand *
gw_command_decode (const guint8 *data, gsize len, GError **error)
{
  g_autoptr (GwCommand) self = NULL;
  json_error_t problem;
  json_t *root;
  gboolean ok;

  if (len > GW_COMMAND_PAYLOAD_MAX)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_LIMIT, "a command has at most %d octets",
                   GW_COMMAND_PAYLOAD_MAX);
      return NULL;
    }
  root = json_loadb ((const char *)data, len, JSON_REJECT_DUPLICATES, &problem);
  if (root == NULL)
    {
      invalid (error, "not JSON, at octet %d", problem.position);
      return NULL;
    }
  self = g_new0 (GwCommand, 1);
  self->ttl = GW_COMMAND_TTL_DEFAULT * (gint64)G_USEC_PER_SEC;
  ok = take_object (self, root, error);
  json_decref (root);
  return ok ? g_steal_pointer (&self) : NULL;
}

void
gw_command_value_clear (GwCommandValue *value)
{
  g_free (value->text);
  *value = (GwCommandValue){ 0 };
}

void
gw_command_free (GwCommand *self)
{
  if (self == NULL)
    return;
  g_free (self->point);
  gw_command_value_clear (&self->value);
  g_free (self->correlation);
  g_free (self->response);
  g_free (self);
}

/* Replies */

static void
put_text (json_t *object, const char *key, const char *text)
{
  g_autofree char *valid = text == NULL ? NULL : g_utf8_make_valid (text, -1);

  if (valid != NULL)
    json_object_set_new (object, key, json_string (valid));
}

static void
put_value (json_t *object, const GwCommandValue *value)
{
  switch (value->type)
    {
    case GW_COMMAND_BOOL:
      json_object_set_new (object, "value", json_boolean (value->b));
      break;
    case GW_COMMAND_INT:
      json_object_set_new (object, "value", json_integer (value->i));
      break;
    case GW_COMMAND_FLOAT:
      json_object_set_new (object, "value", json_real (value->f));
      break;
    case GW_COMMAND_TEXT:
      put_text (object, "value", value->text);
      break;
    case GW_COMMAND_NONE:
    default:
      break;
    }
}

char *
gw_command_reply_encode (const GwCommandReply *reply)
{
  json_t *object = json_object ();
  char *text, *copy;

  put_text (object, "correlation", reply->correlation);
  put_text (object, "point", reply->point);
  if (reply->has_id)
    json_object_set_new (object, "id", json_integer (reply->id));
  put_text (object, "status", reply->status);
  if (reply->value != NULL)
    put_value (object, reply->value);
  put_text (object, "error", reply->error);
  put_text (object, "message", reply->message);
  if (reply->repeated)
    json_object_set_new (object, "repeated", json_true ());
  text = json_dumps (object, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION (15));
  copy = g_strdup (text);
  free (text);
  json_decref (object);
  return copy;
}
