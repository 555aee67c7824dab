/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Policies and topic templates.
 *
 * A policy decides to which broker an endpoint's data goes, so nothing in it is guessed: a value that is not
 * understood makes the policy invalid, and an invalid one admits nobody. It stays in the list with its
 * problems, because the operator looks for it there.
 */
#include "gw-policy.h"

#include <string.h>

#include <gio/gio.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "gw-file.h"
#include "gw-keyfile-codec.h"

#define MQTTS_PORT 8883
#define KEEP_ALIVE_MIN 5
#define HOST_CHARACTERS                                                                                      \
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._:" /* names, IPv4, IPv6 */
#define KEEP_ALIVE_MAX 3600
#define TRUST_ANCHORS_FILE_MAX (1 << 20)

struct _GwPolicySet
{
  GHashTable *by_name; /* char * (of the policy) -> GwPolicy */
  GPtrArray *sorted;
};

GwPolicy *
gw_policy_ref (GwPolicy *self)
{
  g_atomic_ref_count_inc (&self->ref);
  return self;
}

void
gw_policy_unref (GwPolicy *self)
{
  if (!self || !g_atomic_ref_count_dec (&self->ref))
    return;
  g_free (self->name);
  g_free (self->path);
  g_free (self->kind);
  g_free (self->broker_uri);
  g_free (self->broker_host);
  g_free (self->trust_anchors);
  g_free (self->issuer);
  g_free (self->telemetry_topic);
  g_free (self->command_topic);
  g_free (self->reply_topic);
  g_free (self->status_topic);
  g_free (self->format);
  g_strfreev (self->problems);
  g_free (self);
}

gboolean
gw_policy_is_valid (const GwPolicy *self)
{
  return self->problems[0] == NULL;
}

gboolean
gw_policy_name_is_valid (const char *name)
{
  gsize length = strlen (name);

  if (length == 0 || length > GW_POLICY_NAME_MAX)
    return FALSE;
  for (gsize i = 0; i < length; i++)
    if (!g_ascii_isalnum (name[i]) && name[i] != '-' && name[i] != '_')
      return FALSE;
  return TRUE;
}

/* ---- topic templates ---- */

typedef enum
{
  VAR_ID,
  VAR_SERIAL,
  VAR_MODEL,
  VAR_NAME,
  N_VARS
} Var;

static const char *const var_names[N_VARS] = { "{id}", "{serial}", "{model}", "{name}" };

/* The placeholder at p, or N_VARS. */
static Var
match_var (const char *p)
{
  Var var = 0;

  while (var < N_VARS && !g_str_has_prefix (p, var_names[var]))
    var++;
  return var;
}

/* C0, DEL and C1; p begins a character of valid UTF-8 or lies within one. */
static gboolean
is_control (const char *p)
{
  guint8 first = (guint8)p[0], second = first ? (guint8)p[1] : 0;

  return first < 0x20 || first == 0x7f || (first == 0xc2 && second >= 0x80 && second <= 0x9f);
}

/* NULL, or what is wrong. *seen: bits of the placeholders used. */
static const char *
check_template (const char *topic, guint *seen)
{
  *seen = 0;
  if (topic[0] == '\0')
    return "is empty";
  if (strlen (topic) > GW_POLICY_TOPIC_MAX)
    return "is too long";
  if (!g_utf8_validate (topic, -1, NULL))
    return "is not UTF-8";
  if (topic[0] == '$')
    return "begins with '$', which brokers keep for themselves";
  if (topic[0] == '/' || g_str_has_suffix (topic, "/") || strstr (topic, "//"))
    return "has an empty level";
  for (const char *p = topic; *p; p++)
    {
      if (is_control (p))
        return "has a control character";
      if (*p == '+' || *p == '#')
        return "has a wildcard; a topic names one place";
      if (*p == '}')
        return "has a '}' without '{'";
      if (*p == '{')
        {
          Var var = match_var (p);

          if (var == N_VARS)
            return "has a placeholder other than {id}, {serial}, {model} or {name}";
          *seen |= 1u << var;
          p += strlen (var_names[var]) - 1;
        }
    }
  return NULL;
}

/* Injective: two different values never give the same level. '%' is escaped itself for that. */
static void
append_escaped (GString *out, const char *value)
{
  for (const char *p = value; *p; p = g_utf8_next_char (p))
    {
      gunichar c = g_utf8_get_char (p);
      gboolean special = is_control (p) || strchr ("/+#%$", (int)(c < 0x80 ? c : 'a'));

      for (const char *octet = p; octet < g_utf8_next_char (p); octet++)
        if (special)
          g_string_append_printf (out, "%%%02X", (guint8)*octet);
        else
          g_string_append_c (out, *octet);
    }
}

static gboolean
append_var (GString *out, Var var, const GwPolicyVars *vars, GError **error)
{
  const char *values[N_VARS] = { vars->id, vars->serial, vars->model, vars->name ? vars->name : vars->id };
  const char *value = values[var];

  if (!value || value[0] == '\0')
    {
      g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "the endpoint has no value for %s of the topic",
                   var_names[var]);
      return FALSE;
    }
  if (!g_utf8_validate (value, -1, NULL))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "the endpoint's value for %s of the topic is not UTF-8",
                   var_names[var]);
      return FALSE;
    }
  append_escaped (out, value);
  return TRUE;
}

char *
gw_policy_expand (const char *topic_template, const GwPolicyVars *vars, GError **error)
{
  g_autoptr (GString) out = g_string_new (NULL);
  guint seen;
  const char *wrong = check_template (topic_template, &seen);

  if (wrong)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "the topic template %s", wrong);
      return NULL;
    }
  for (const char *p = topic_template; *p;)
    {
      Var var = *p == '{' ? match_var (p) : N_VARS;

      if (var == N_VARS)
        {
          g_string_append_c (out, *p++);
          continue;
        }
      if (!append_var (out, var, vars, error))
        return NULL;
      p += strlen (var_names[var]);
    }
  if (out->len > GW_POLICY_TOPIC_MAX)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "the topic would be longer than %d octets",
                   GW_POLICY_TOPIC_MAX);
      return NULL;
    }
  return g_string_free (g_steal_pointer (&out), FALSE);
}

/* ---- the file ---- */

typedef struct
{
  GwPolicy *policy;
  GPtrArray *problems;
  guint line;
} Context;

#define PROBLEM(c, ...) gw_keyfile_add_problem ((c)->problems, (c)->policy->path, (c)->line, __VA_ARGS__)

static void
take_broker_uri (Context *c, const char *value)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GUri) uri = g_uri_parse (value, G_URI_FLAGS_NONE, &error);
  const char *host = uri ? g_uri_get_host (uri) : NULL;

  if (!uri)
    PROBLEM (c, "BrokerUri: %s", error->message);
  else if (g_str_equal (g_uri_get_scheme (uri), "mqtt"))
    PROBLEM (c, "BrokerUri: endpoints speak TLS only; write mqtts://");
  else if (!g_str_equal (g_uri_get_scheme (uri), "mqtts"))
    PROBLEM (c, "BrokerUri: must be mqtts://HOST or mqtts://HOST:PORT");
  else if (!host || host[0] == '\0' || strspn (host, HOST_CHARACTERS) != strlen (host))
    PROBLEM (c, "BrokerUri: names no host");
  else if (g_uri_get_userinfo (uri) || g_uri_get_query (uri) || g_uri_get_fragment (uri)
           || g_uri_get_path (uri)[0] != '\0')
    PROBLEM (c, "BrokerUri: only host and port, please; endpoints prove themselves by certificate");
  else if (g_uri_get_port (uri) == 0 || g_uri_get_port (uri) > 65535)
    PROBLEM (c, "BrokerUri: not a port");
  else
    {
      c->policy->broker_uri = g_strdup (value);
      c->policy->broker_host = g_strdup (host);
      c->policy->broker_port = (guint16)(g_uri_get_port (uri) > 0 ? g_uri_get_port (uri) : MQTTS_PORT);
    }
}

static void
take_topic (Context *c, const char *key, const char *value, char **out)
{
  guint seen;
  const char *wrong = check_template (value, &seen);

  if (wrong)
    PROBLEM (c, "%s %s", key, wrong);
  else if (!(seen & ~(1u << VAR_MODEL)))
    PROBLEM (c, "%s is the same for all endpoints; put {id}, {serial} or {name} into it", key);
  else
    *out = g_strdup (value);
}

/* The index of value in the NULL-terminated choices, or -1 with a problem. */
static int
choose (Context *c, const char *key, const char *value, const char *const *choices)
{
  g_autofree char *list = NULL;

  for (int i = 0; choices[i]; i++)
    if (g_str_equal (value, choices[i]))
      return i;
  list = g_strjoinv (" or ", (char **)choices);
  PROBLEM (c, "%s must be %s, not \"%s\"", key, list, value);
  return -1;
}

static void
take_keep_alive (Context *c, const char *value)
{
  guint64 number;

  if (g_ascii_string_to_unsigned (value, 10, KEEP_ALIVE_MIN, KEEP_ALIVE_MAX, &number, NULL))
    c->policy->keep_alive = (guint)number;
  else
    PROBLEM (c, "KeepAlive must be %d to %d (seconds), not \"%s\"", KEEP_ALIVE_MIN, KEEP_ALIVE_MAX, value);
}

/* A key for the day on which there is something newer; nothing older is spoken. */
static void
check_tls_min (Context *c, const char *value)
{
  if (!g_str_equal (value, "1.3"))
    PROBLEM (c, "TlsMin must be 1.3, not \"%s\": endpoints sign for TLS 1.3 only; enable it at the broker", value);
}

static void
take_choice (Context *c, const char *key, const char *value)
{
  static const char *const kinds[] = { "mosquitto", NULL }, *const issuers[] = { "local", NULL };
  static const char *const formats[] = { "senml-json", NULL }, *const first_uses[]
                                                               = { "never", "window", NULL };
  static const char *const versions[] = { "5", "3.1.1", NULL };
  GwPolicy *p = c->policy;
  int i;

  if (g_str_equal (key, "Kind") && choose (c, key, value, kinds) >= 0)
    p->kind = g_strdup (value);
  else if (g_str_equal (key, "Issuer") && choose (c, key, value, issuers) >= 0)
    p->issuer = g_strdup (value);
  else if (g_str_equal (key, "Format") && choose (c, key, value, formats) >= 0)
    p->format = g_strdup (value);
  else if (g_str_equal (key, "FirstUse") && (i = choose (c, key, value, first_uses)) >= 0)
    p->first_use = i == 0 ? GW_POLICY_FIRST_USE_NEVER : GW_POLICY_FIRST_USE_WINDOW;
  else if (g_str_equal (key, "MqttVersion") && (i = choose (c, key, value, versions)) >= 0)
    p->mqtt_version = i == 0 ? 5 : 311;
}

static void
take_entry (Context *c, const GwKeyfileEntry *entry)
{
  static const char *const choices[]
      = { "Kind", "Issuer", "Format", "FirstUse", "MqttVersion", NULL };
  const char *key = entry->key;
  const char *value = entry->value;
  GwPolicy *p = c->policy;

  c->line = entry->line;
  if (!g_str_equal (entry->group, "Policy"))
    PROBLEM (c, "there is no group [%s]; all keys stand in [Policy]", entry->group);
  else if (g_strv_contains (choices, key))
    take_choice (c, key, value);
  else if (g_str_equal (key, "BrokerUri"))
    take_broker_uri (c, value);
  else if (g_str_equal (key, "KeepAlive"))
    take_keep_alive (c, value);
  else if (g_str_equal (key, "TlsMin"))
    check_tls_min (c, value);
  else if (g_str_equal (key, "TelemetryTopic"))
    take_topic (c, key, value, &p->telemetry_topic);
  else if (g_str_equal (key, "CommandTopic"))
    take_topic (c, key, value, &p->command_topic);
  else if (g_str_equal (key, "ReplyTopic"))
    take_topic (c, key, value, &p->reply_topic);
  else if (g_str_equal (key, "StatusTopic"))
    take_topic (c, key, value, &p->status_topic);
  else if (!g_str_equal (key, "TrustAnchors"))
    PROBLEM (c, "[Policy] has no key %s", key);
  else if (!g_path_is_absolute (value))
    PROBLEM (c, "TrustAnchors must be an absolute path, not \"%s\"", value);
  else
    p->trust_anchors = g_strdup (value);
}

/* A key that was there but wrong has its own problem already and is not called missing, too. */
static void
check_missing (Context *c, GPtrArray *entries)
{
  static const char *const needed[]
      = { "Kind",         "BrokerUri",  "TrustAnchors", "Issuer", "TelemetryTopic",
          "CommandTopic", "ReplyTopic", "StatusTopic",  "Format" };

  c->line = 0;
  for (guint i = 0; i < G_N_ELEMENTS (needed); i++)
    {
      gboolean there = FALSE;

      for (guint k = 0; k < entries->len && !there; k++)
        there = g_str_equal (((GwKeyfileEntry *)entries->pdata[k])->key, needed[i]);
      if (!there)
        PROBLEM (c, "%s is missing from [Policy]", needed[i]);
    }
}

static void
set_problems (GwPolicy *self, GPtrArray *problems)
{
  g_strfreev (self->problems);
  g_ptr_array_add (problems, NULL);
  self->problems = (char **)g_ptr_array_free (problems, FALSE);
}

GwPolicy *
gw_policy_parse (const char *name, const char *path, const char *text, gsize length)
{
  GwPolicy *self = g_new0 (GwPolicy, 1);
  GPtrArray *problems = g_ptr_array_new ();
  Context c = { self, problems, 0 };
  g_autoptr (GPtrArray) entries = NULL;

  g_atomic_ref_count_init (&self->ref);
  self->name = g_strdup (name);
  self->path = g_strdup (path);
  self->mqtt_version = 5;
  self->keep_alive = 60;
  entries = gw_keyfile_parse (path, text, length, problems);
  for (guint i = 0; i < entries->len; i++)
    take_entry (&c, entries->pdata[i]);
  check_missing (&c, entries);
  set_problems (self, problems);
  return self;
}

/* ---- the directories ---- */

static void
add_problem (GwPolicy *self, const char *what, const char *detail)
{
  GPtrArray *problems = g_ptr_array_new ();

  for (char **p = self->problems; *p; p++)
    g_ptr_array_add (problems, g_strdup (*p));
  gw_keyfile_add_problem (problems, self->path, 0, "%s: %s", what, detail);
  set_problems (self, problems);
}

/* Whether TrustAnchors would do when the uplink comes to it: said now, not at the first connection. */
static void
check_trust_anchors (GwPolicy *self)
{
  g_autofree char *pem = NULL;
  g_autoptr (GError) error = NULL;
  gnutls_x509_crt_t *list = NULL;
  gnutls_datum_t datum;
  unsigned int n = 0;
  gsize length;

  if (!self->trust_anchors)
    return;
  if (!gw_file_read (self->trust_anchors, TRUST_ANCHORS_FILE_MAX, &pem, &length, &error))
    {
      add_problem (self, "TrustAnchors", error->message);
      return;
    }
  datum = (gnutls_datum_t){ (unsigned char *)pem, (unsigned int)length };
  if (gnutls_x509_crt_list_import2 (&list, &n, &datum, GNUTLS_X509_FMT_PEM, 0) < 0)
    add_problem (self, "TrustAnchors: no certificate in it", self->trust_anchors);
  for (unsigned int i = 0; i < n; i++)
    gnutls_x509_crt_deinit (list[i]);
  gnutls_free (list);
}

static GwPolicy *
load_file (const char *name, const char *path)
{
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;
  GwPolicy *self;
  gsize length = 0;

  if (!gw_file_read (path, GW_KEYFILE_SIZE_MAX, &text, &length, &error))
    {
      self = gw_policy_parse (name, path, "", 0);
      set_problems (self, g_ptr_array_new ());
      add_problem (self, "cannot read", error->message);
      return self;
    }
  self = gw_policy_parse (name, path, text, length);
  check_trust_anchors (self);
  return self;
}

static gboolean
load_dir (GwPolicySet *self, const char *path, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autoptr (GDir) dir = g_dir_open (path, 0, &local);
  const char *file;

  if (!dir && g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_NOENT))
    return TRUE;
  if (!dir)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_STORAGE, "cannot read the policies: %s", local->message);
      return FALSE;
    }
  while ((file = g_dir_read_name (dir)))
    {
      g_autofree char *full = g_build_filename (path, file, NULL);
      g_autofree char *name = NULL;
      GwPolicy *policy;

      if (!g_str_has_suffix (file, ".policy") || file[0] == '.')
        continue;
      name = g_strndup (file, strlen (file) - strlen (".policy"));
      if (!gw_policy_name_is_valid (name))
        {
          g_message ("%s is passed over: a policy's file name is letters, digits, '-' and '_' and .policy",
                     full);
          continue;
        }
      if (g_hash_table_contains (self->by_name, name))
        continue;
      policy = load_file (name, full);
      g_hash_table_insert (self->by_name, policy->name, policy);
      g_ptr_array_add (self->sorted, policy);
    }
  return TRUE;
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(GwPolicy *const *)a)->name, (*(GwPolicy *const *)b)->name);
}

GwPolicySet *
gw_policy_set_load (const char *const *dirs, GError **error)
{
  g_autoptr (GwPolicySet) self = g_new0 (GwPolicySet, 1);

  self->by_name = g_hash_table_new (g_str_hash, g_str_equal);
  self->sorted = g_ptr_array_new_with_free_func ((GDestroyNotify)gw_policy_unref);
  for (; *dirs; dirs++)
    if (!load_dir (self, *dirs, error))
      return NULL;
  g_ptr_array_sort (self->sorted, compare_names);
  return g_steal_pointer (&self);
}

void
gw_policy_set_free (GwPolicySet *self)
{
  if (!self)
    return;
  g_hash_table_unref (self->by_name);
  g_ptr_array_unref (self->sorted);
  g_free (self);
}

GwPolicy *
gw_policy_set_lookup (GwPolicySet *self, const char *name)
{
  return g_hash_table_lookup (self->by_name, name);
}

GPtrArray *
gw_policy_set_list (GwPolicySet *self)
{
  return self->sorted;
}
