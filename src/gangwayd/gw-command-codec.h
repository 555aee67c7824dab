/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Commands that arrive over MQTT, and the answers to them (doc/telemetry.md). Foreign bytes: strict JSON
 * (jansson, no duplicate keys), unknown keys refused by name.
 *
 *   {"point": "valve", "value": true, "ttl": 10, "correlation": "a1"}
 *
 * point (text) or id (whole number), one of the two; value: true, false, number or text; ttl: seconds,
 * optional; correlation: text, optional (MQTT 5 has it as a property); response: topic, optional, for
 * MQTT 3.1.1 alike. Without value and with "read": true the point is read. */

#define GW_COMMAND_PAYLOAD_MAX 4096
#define GW_COMMAND_POINT_MAX 64        /* octets of a point's name */
#define GW_COMMAND_TEXT_MAX 1024       /* octets of a text value */
#define GW_COMMAND_CORRELATION_MAX 128 /* octets */
#define GW_COMMAND_RESPONSE_MAX 256    /* octets */
#define GW_COMMAND_TTL_MAX 3600        /* seconds */
#define GW_COMMAND_TTL_DEFAULT 10

typedef enum
{
  GW_COMMAND_NONE,
  GW_COMMAND_BOOL,
  GW_COMMAND_INT,
  GW_COMMAND_FLOAT,
  GW_COMMAND_TEXT, /* for a point of bytes: base64url, as in SenML's vd */
} GwCommandType;

typedef struct
{
  GwCommandType type;
  gboolean b;
  gint64 i;
  double f;
  char *text; /* owned */
} GwCommandValue;

typedef struct
{
  gboolean has_id;
  guint32 id;
  char *point; /* NULL if has_id */
  gboolean read;
  GwCommandValue value; /* GW_COMMAND_NONE if read */
  gint64 ttl;           /* microseconds */
  char *correlation;    /* NULL: none */
  char *response;       /* NULL: none; a topic without wildcards */
} GwCommand;

/* NULL and GW_ERROR_INVALID or GW_ERROR_LIMIT; the message is fit to be sent back. */
GwCommand *gw_command_decode (const guint8 *data, gsize len, GError **error);
void gw_command_free (GwCommand *self);

typedef struct
{
  const char *correlation; /* NULL: none */
  const char *point;       /* NULL: none */
  gboolean has_id;
  guint32 id;
  const char *status; /* "done", "refused", "unknown" (nobody can tell whether it acted), "expired" ... */
  const GwCommandValue *value; /* NULL or GW_COMMAND_NONE: none */
  const char *error;           /* NULL, or the name of a GW_ERROR code, e.g. "offline" */
  const char *message;         /* NULL, or prose */
  gboolean repeated;           /* the endpoint had already done it */
} GwCommandReply;

/* JSON text, never NULL; strings that are not UTF-8 are made so. */
char *gw_command_reply_encode (const GwCommandReply *reply);

void gw_command_value_clear (GwCommandValue *value);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwCommand, gw_command_free)
