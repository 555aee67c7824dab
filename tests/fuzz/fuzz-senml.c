/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target: a spooled record as SenML. First octet: even a report, odd an event; the rest its body. What
 * comes out is JSON: an array of objects that begins with what tells the record apart, and with no other name
 * of ours. */
#include <glib.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gw-senml.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
check_name (const json_t *object, size_t i, gboolean event)
{
  const char *name = json_string_value (json_object_get (object, "n"));

  if (name == NULL || *name == '\0')
    abort ();
  if ((i == 0 && strcmp (name, "_boot") != 0) || (i == 1 && strcmp (name, "_seq") != 0))
    abort ();
  if (i >= 2 && !event && *name == '_')
    abort ();
  for (const char *p = name; *p != '\0'; p++)
    if (!g_ascii_isalnum (*p) && strchr ("-:./_", *p) == NULL)
      abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *text = NULL;
  GwSpoolRecord record = { .q = 17, .time = G_GINT64_CONSTANT (1790000000) * G_USEC_PER_SEC };
  json_t *json, *object;
  size_t i;

  if (size == 0)
    return 0;
  record.kind = data[0] & 1 ? GW_SPOOL_EVENT : GW_SPOOL_REPORT;
  record.payload = g_bytes_new (data + 1, size - 1);
  text = gw_senml_from_record (&record, NULL);
  gw_spool_record_clear (&record);
  if (text == NULL)
    return 0;
  json = json_loads (text, JSON_REJECT_DUPLICATES, NULL);
  if (!json_is_array (json) || json_array_size (json) < 2)
    abort ();
  json_array_foreach (json, i, object) check_name (object, i, data[0] & 1);
  json_decref (json);
  return 0;
}
