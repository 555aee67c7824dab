/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "gw-error.h"

/*
 * Policies: where endpoints go and how. One strict keyfile NAME.policy each, group [Policy]; the first directory of the
 * list that has NAME wins (/etc over /usr/lib). An unknown group or key, a missing one or a wrong value is a problem with file
 * and line; a policy with problems is listed, but not valid, and admits nobody.
 */
#define GW_POLICY_DIRS_DEFAULT "/etc/gangway/policies.d:/usr/lib/gangway/policies.d"
#define GW_POLICY_NAME_MAX 64       /* letters, digits, '-' and '_' */
#define GW_POLICY_FILE_MAX 65536    /* octets */
#define GW_POLICY_TOPIC_MAX 512     /* octets of an expanded topic */

typedef enum
{
  GW_POLICY_FIRST_USE_NEVER,
  GW_POLICY_FIRST_USE_WINDOW,
} GwPolicyFirstUse;

typedef struct
{
  gatomicrefcount ref;
  char *name;
  char *path;              /* of the file, for people */
  char *kind;              /* Kind: "mosquitto" */
  char *broker_uri;        /* BrokerUri as written: mqtts://host[:port] */
  char *broker_host;       /* name or address without brackets; what the broker's certificate must show */
  guint16 broker_port;     /* default 8883 */
  char *trust_anchors;     /* TrustAnchors: absolute path of a PEM file */
  char *issuer;            /* Issuer: "local" */
  char *telemetry_topic;   /* templates, see gw_policy_expand */
  char *command_topic;
  char *reply_topic;
  char *status_topic;
  char *format;            /* Format: "senml-json" */
  GwPolicyFirstUse first_use; /* FirstUse; default never */
  guint mqtt_version;      /* 5 (default) or 311 */
  guint keep_alive;        /* s, 5..3600; default 60 */
  char **problems;         /* NULL-terminated "FILE:LINE: what is wrong"; empty = valid */
} GwPolicy;

GwPolicy *gw_policy_ref (GwPolicy *self);
void gw_policy_unref (GwPolicy *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwPolicy, gw_policy_unref)

gboolean gw_policy_is_valid (const GwPolicy *self);
gboolean gw_policy_name_is_valid (const char *name);

/* Parse one policy's text; never fails: what is wrong is in problems. path is only named. Does not look at the disk. */
GwPolicy *gw_policy_parse (const char *name, const char *path, const char *text, gsize length);

/* What templates expand from: placeholders {id} {serial} {model} {name}. NULL = not known. */
typedef struct
{
  const char *id;      /* 64 hex digits */
  const char *serial;
  const char *model;
  const char *name;    /* falls back to id */
} GwPolicyVars;

/* Expand a topic template. Octets of a value that mean something in a topic ('/', '+', '#', '$'), '%' and control
 * characters become %XX, so no value can leave its level. GW_ERROR_INVALID: value missing, empty or not UTF-8,
 * or the topic too long. Free with g_free. */
char *gw_policy_expand (const char *topic_template, const GwPolicyVars *vars, GError **error);

/* The set of all policies, as read from directories. */
typedef struct _GwPolicySet GwPolicySet;

/* dirs: NULL-terminated, first wins. A directory that is not there is empty. Also checks that TrustAnchors can be read and
 * hold a certificate. Fails only if a directory cannot be read. */
GwPolicySet *gw_policy_set_load (const char *const *dirs, GError **error);
void gw_policy_set_free (GwPolicySet *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwPolicySet, gw_policy_set_free)

/* Borrowed; NULL = not there. A policy may be kept beyond the set by gw_policy_ref. */
GwPolicy *gw_policy_set_lookup (GwPolicySet *self, const char *name);

/* Sorted by name; borrowed array of GwPolicy. */
GPtrArray *gw_policy_set_list (GwPolicySet *self);
