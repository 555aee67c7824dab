/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <glib.h>
#include <jansson.h>
#include <string.h>

#include "gw-command-codec.h"
#include "gw-error.h"

static GwCommand *
decode (const char *text)
{
  g_autoptr (GError) error = NULL;
  GwCommand *command = gw_command_decode ((const guint8 *)text, strlen (text), &error);

  g_assert_no_error (error);
  return command;
}

static void
test_good (void)
{
  g_autoptr (GwCommand) all
      = decode ("{\"point\":\"valve/1\",\"value\":true,\"ttl\":2.5,\"correlation\":\"a1\","
                "\"response\":\"me/replies\"}");
  g_autoptr (GwCommand) id = decode (" { \"id\" : 4294967295 , \"value\" : -5 } ");
  g_autoptr (GwCommand) real = decode ("{\"id\":0,\"value\":1e-3}");
  g_autoptr (GwCommand) text = decode ("{\"id\":1,\"value\":\"\xc3\xa4\"}");
  g_autoptr (GwCommand) read = decode ("{\"point\":\"x\",\"read\":true}");
  g_autoptr (GwCommand) no_read = decode ("{\"point\":\"x\",\"read\":false,\"value\":false}");

  g_assert_cmpstr (all->point, ==, "valve/1");
  g_assert_false (all->has_id);
  g_assert_cmpint (all->value.type, ==, GW_COMMAND_BOOL);
  g_assert_true (all->value.b);
  g_assert_cmpint (all->ttl, ==, 2500000);
  g_assert_cmpstr (all->correlation, ==, "a1");
  g_assert_cmpstr (all->response, ==, "me/replies");

  g_assert_true (id->has_id);
  g_assert_cmpuint (id->id, ==, G_MAXUINT32);
  g_assert_null (id->point);
  g_assert_cmpint (id->value.type, ==, GW_COMMAND_INT);
  g_assert_cmpint (id->value.i, ==, -5);
  g_assert_cmpint (id->ttl, ==, GW_COMMAND_TTL_DEFAULT * G_USEC_PER_SEC);
  g_assert_null (id->correlation);
  g_assert_null (id->response);

  g_assert_cmpint (real->value.type, ==, GW_COMMAND_FLOAT);
  g_assert_cmpfloat (real->value.f, ==, 1e-3);
  g_assert_cmpint (text->value.type, ==, GW_COMMAND_TEXT);
  g_assert_cmpstr (text->value.text, ==, "\xc3\xa4");
  g_assert_true (read->read);
  g_assert_cmpint (read->value.type, ==, GW_COMMAND_NONE);
  g_assert_cmpint (no_read->value.type, ==, GW_COMMAND_BOOL);
}

static void
test_bad (void)
{
  static const struct
  {
    const char *text, *says;
  } cases[] = {
    { "", "not JSON" },
    { "{", "not JSON" },
    { "true", "not JSON" },
    { "[]", "one JSON object" },
    { "{\"id\":1,\"value\":1} x", "not JSON" },
    { "{\"id\":1,\"id\":2,\"value\":1}", "not JSON" },
    { "{}", "either" },
    { "{\"value\":1}", "either" },
    { "{\"id\":1,\"point\":\"x\",\"value\":1}", "either" },
    { "{\"id\":1}", "a \"value\"" },
    { "{\"id\":1,\"read\":false}", "a \"value\"" },
    { "{\"id\":1,\"read\":true,\"value\":1}", "a \"value\"" },
    { "{\"id\":1,\"value\":1,\"by\":3}", "unknown key \"by\"" },
    { "{\"id\":-1,\"value\":1}", "\"id\"" },
    { "{\"id\":4294967296,\"value\":1}", "\"id\"" },
    { "{\"id\":1.5,\"value\":1}", "\"id\"" },
    { "{\"id\":\"1\",\"value\":1}", "\"id\"" },
    { "{\"point\":\"\",\"value\":1}", "empty" },
    { "{\"point\":7,\"value\":1}", "\"point\" must be text" },
    { "{\"point\":\"a\\nb\",\"value\":1}", "control" },
    { "{\"point\":\"a\\u0000b\",\"value\":1}", "not JSON" },
    { "{\"point\":\"a\\u007f\",\"value\":1}", "control" },
    { "{\"point\":\"\xff\",\"value\":1}", "not JSON" },
    { "{\"id\":1,\"value\":null}", "\"value\" must be" },
    { "{\"id\":1,\"value\":[1]}", "\"value\" must be" },
    { "{\"id\":1,\"value\":{}}", "\"value\" must be" },
    { "{\"id\":1,\"value\":1e999}", "not JSON" },
    { "{\"id\":1,\"value\":9223372036854775808}", "not JSON" },
    { "{\"id\":1,\"value\":NaN}", "not JSON" },
    { "{\"id\":1,\"read\":1}", "\"read\"" },
    { "{\"id\":1,\"value\":1,\"ttl\":0}", "\"ttl\"" },
    { "{\"id\":1,\"value\":1,\"ttl\":-1}", "\"ttl\"" },
    { "{\"id\":1,\"value\":1,\"ttl\":3601}", "\"ttl\"" },
    { "{\"id\":1,\"value\":1,\"ttl\":\"5\"}", "\"ttl\"" },
    { "{\"id\":1,\"value\":1,\"correlation\":5}", "\"correlation\"" },
    { "{\"id\":1,\"value\":1,\"response\":\"\"}", "\"response\"" },
    { "{\"id\":1,\"value\":1,\"response\":\"a/#\"}", "\"response\"" },
    { "{\"id\":1,\"value\":1,\"response\":\"+/a\"}", "\"response\"" },
    { "{\"id\":1,\"value\":1,\"response\":\"$SYS/a\"}", "\"response\"" },
    { "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "not JSON" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      g_assert_null (gw_command_decode ((const guint8 *)cases[i].text, strlen (cases[i].text), &error));
      g_assert_error (error, GW_ERROR, GW_ERROR_INVALID);
      if (strstr (error->message, cases[i].says) == NULL)
        g_error ("%s: %s", cases[i].text, error->message);
      g_assert_true (g_utf8_validate (error->message, -1, NULL));
    }
}

static void
check_length (const char *key, guint max)
{
  g_autoptr (GError) error = NULL;

  for (guint extra = 0; extra < 2; extra++)
    {
      g_autofree char *filling = g_strnfill (max + extra, 'x');
      g_autofree char *text = NULL;
      g_autoptr (GwCommand) command = NULL;

      if (strcmp (key, "point") == 0)
        text = g_strdup_printf ("{\"point\":\"%s\",\"value\":1}", filling);
      else if (strcmp (key, "value") == 0)
        text = g_strdup_printf ("{\"id\":1,\"value\":\"%s\"}", filling);
      else
        text = g_strdup_printf ("{\"id\":1,\"value\":1,\"%s\":\"%s\"}", key, filling);
      command = gw_command_decode ((const guint8 *)text, strlen (text), &error);
      g_assert_cmpint (command != NULL, ==, extra == 0);
    }
  g_assert_error (error, GW_ERROR, GW_ERROR_INVALID);
}

static void
test_limits (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *spaces = g_strnfill (GW_COMMAND_PAYLOAD_MAX + 1, ' ');
  g_autoptr (GwCommand) command = NULL;

  check_length ("point", GW_COMMAND_POINT_MAX);
  check_length ("value", GW_COMMAND_TEXT_MAX);
  check_length ("correlation", GW_COMMAND_CORRELATION_MAX);
  check_length ("response", GW_COMMAND_RESPONSE_MAX);
  memcpy (spaces, "{\"id\":1,\"value\":1}", 18);
  command = gw_command_decode ((const guint8 *)spaces, GW_COMMAND_PAYLOAD_MAX, &error);
  g_assert_nonnull (command);
  g_assert_null (gw_command_decode ((const guint8 *)spaces, GW_COMMAND_PAYLOAD_MAX + 1, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_LIMIT);
}

static void
test_replies (void)
{
  GwCommandValue value = { .type = GW_COMMAND_FLOAT, .f = 21.3 };
  const GwCommandReply done = { .correlation = "a1",
                                .point = "valve",
                                .has_id = TRUE,
                                .id = 3,
                                .status = "done",
                                .value = &value,
                                .repeated = TRUE };
  const GwCommandReply refused = { .status = "refused", .error = "limit", .message = "a \"b\" \xff" };
  g_autofree char *first = gw_command_reply_encode (&done);
  g_autofree char *second = gw_command_reply_encode (&refused);
  static const struct
  {
    GwCommandValue value;
    const char *text;
  } values[] = {
    { { .type = GW_COMMAND_BOOL, .b = TRUE }, "{\"status\":\"done\",\"value\":true}" },
    { { .type = GW_COMMAND_INT, .i = -7 }, "{\"status\":\"done\",\"value\":-7}" },
    { { .type = GW_COMMAND_TEXT, .text = (char *)"t" }, "{\"status\":\"done\",\"value\":\"t\"}" },
    { { .type = GW_COMMAND_NONE }, "{\"status\":\"done\"}" },
  };

  g_assert_cmpstr (first, ==,
                   "{\"correlation\":\"a1\",\"point\":\"valve\",\"id\":3,\"status\":\"done\",\"value\":21.3,"
                   "\"repeated\":true}");
  g_assert_cmpstr (second, ==,
                   "{\"status\":\"refused\",\"error\":\"limit\",\"message\":\"a \\\"b\\\" \xef\xbf\xbd\"}");
  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    {
      const GwCommandReply reply = { .status = "done", .value = &values[i].value };
      g_autofree char *text = gw_command_reply_encode (&reply);
      g_assert_cmpstr (text, ==, values[i].text);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/command-codec/good", test_good);
  g_test_add_func ("/command-codec/bad", test_bad);
  g_test_add_func ("/command-codec/limits", test_limits);
  g_test_add_func ("/command-codec/replies", test_replies);
  return g_test_run ();
}
