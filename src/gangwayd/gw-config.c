/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * gangway.conf. A table of keys and where their values go; whatever is not in the table is an error, because
 * a misspelled limit that silently keeps its default is found out too late.
 */
#include "gw-config.h"

#include <string.h>

#include "gw-ca-token.h"
#include "gw-file.h"
#include "gw-keyfile-codec.h"
#include "gw-policy.h"

#define HOUR (G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC)

typedef enum
{
  KIND_SIZE,
  KIND_DURATION,
  KIND_PATH,
  KIND_PATHS,
  KIND_CA_KEY,
  KIND_PIN_FILE,
} Kind;

static const struct
{
  const char *group;
  const char *key;
  Kind kind;
  gsize offset;
} keys[] = {
  { "Spool", "MaxBytes", KIND_SIZE, G_STRUCT_OFFSET (GwConfig, spool_max_bytes) },
  { "Spool", "MaxBytesPerEndpoint", KIND_SIZE, G_STRUCT_OFFSET (GwConfig, spool_max_bytes_per_endpoint) },
  { "Spool", "MaxAge", KIND_DURATION, G_STRUCT_OFFSET (GwConfig, spool_max_age) },
  { "Uplink", "DrainTime", KIND_DURATION, G_STRUCT_OFFSET (GwConfig, drain_time) },
  { "Adoption", "Window", KIND_DURATION, G_STRUCT_OFFSET (GwConfig, adoption_window) },
  { "Authority", "Key", KIND_CA_KEY, G_STRUCT_OFFSET (GwConfig, authority_key) },
  { "Authority", "PinFile", KIND_PIN_FILE, G_STRUCT_OFFSET (GwConfig, authority_pin_file) },
  { "Trust", "Manifests", KIND_PATH, G_STRUCT_OFFSET (GwConfig, manifest_trust_dir) },
  { "Policies", "Directories", KIND_PATHS, G_STRUCT_OFFSET (GwConfig, policy_dirs) },
};

GwConfig *
gw_config_new_defaults (void)
{
  GwConfig *self = g_new0 (GwConfig, 1);

  self->spool_max_bytes = 256u << 20;
  self->spool_max_bytes_per_endpoint = 16u << 20;
  self->spool_max_age = 30 * 24 * HOUR;
  self->drain_time = 30 * G_USEC_PER_SEC;
  self->adoption_window = 24 * HOUR;
  self->authority_key = g_strdup (GW_CONFIG_KEY_FILE);
  self->manifest_trust_dir = g_strdup ("/etc/gangway/trust.d/manifest");
  self->policy_dirs = g_strsplit (GW_POLICY_DIRS_DEFAULT, ":", -1);
  return self;
}

void
gw_config_free (GwConfig *self)
{
  if (!self)
    return;
  g_free (self->authority_key);
  g_free (self->authority_pin_file);
  g_free (self->manifest_trust_dir);
  g_strfreev (self->policy_dirs);
  g_free (self);
}

static gboolean
take_path (const char *value, char **out)
{
  if (!g_path_is_absolute (value))
    return FALSE;
  g_free (*out);
  *out = g_strdup (value);
  return TRUE;
}

static gboolean
take_paths (const char *value, char ***out)
{
  g_auto (GStrv) paths = g_strsplit (value, ";", -1);
  guint n = g_strv_length (paths);

  if (n > 1 && paths[n - 1][0] == '\0') /* a closing ';' is usual in keyfiles */
    g_clear_pointer (&paths[n - 1], g_free);
  if (n == 0)
    return FALSE;
  for (char **p = paths; *p; p++)
    if (!g_path_is_absolute (g_strstrip (*p)))
      return FALSE;
  g_strfreev (*out);
  *out = g_steal_pointer (&paths);
  return TRUE;
}

static const char *
take_ca_key (const char *value, char **out)
{
  const char *expected = g_str_equal (value, GW_CONFIG_KEY_FILE) ? NULL : gw_ca_token_check_uri (value);

  if (expected)
    return g_str_has_prefix (value, "pkcs11:") ? expected : "file, or a URI that begins with pkcs11:";
  g_free (*out);
  *out = g_strdup (value);
  return NULL;
}

static gboolean
take_pin_file (const char *value, char **out)
{
  if (!gw_ca_token_check_pin_file (value))
    return FALSE;
  g_free (*out);
  *out = g_strdup (value);
  return TRUE;
}

/* NULL, or what the value should have been. */
static const char *
take_value (GwConfig *self, gsize i, const char *value)
{
  gpointer field = (guint8 *)self + keys[i].offset;

  switch (keys[i].kind)
    {
    case KIND_SIZE:
      return gw_keyfile_parse_size (value, field) ? NULL : "a size like 4096, 512K, 256M or 1G";
    case KIND_DURATION:
      return gw_keyfile_parse_duration (value, field) ? NULL : "a duration like 30s, 5m, 24h or 7d";
    case KIND_PATH:
      return take_path (value, field) ? NULL : "an absolute path";
    case KIND_CA_KEY:
      return take_ca_key (value, field);
    case KIND_PIN_FILE:
      return take_pin_file (value, field) ? NULL : "an absolute path, or the name of a systemd credential";
    case KIND_PATHS:
    default:
      return take_paths (value, field) ? NULL : "absolute paths with ';' between them";
    }
}

static void
take_entry (GwConfig *self, const char *path, const GwKeyfileEntry *entry, GPtrArray *problems)
{
  gboolean group_known = FALSE;

  for (gsize i = 0; i < G_N_ELEMENTS (keys); i++)
    {
      const char *expected;

      if (!g_str_equal (entry->group, keys[i].group))
        continue;
      group_known = TRUE;
      if (!g_str_equal (entry->key, keys[i].key))
        continue;
      expected = take_value (self, i, entry->value);
      if (expected && keys[i].kind == KIND_CA_KEY) /* its value may hold a PIN */
        gw_keyfile_add_problem (problems, path, entry->line, "%s must be %s", entry->key, expected);
      else if (expected)
        gw_keyfile_add_problem (problems, path, entry->line, "%s must be %s, not \"%s\"", entry->key,
                                expected, entry->value);
      return;
    }
  if (group_known)
    gw_keyfile_add_problem (problems, path, entry->line, "[%s] has no key %s", entry->group, entry->key);
  else
    gw_keyfile_add_problem (problems, path, entry->line, "there is no group [%s]", entry->group);
}

GwConfig *
gw_config_parse (const char *path, const char *text, gsize length, GError **error)
{
  g_autoptr (GwConfig) self = gw_config_new_defaults ();
  g_autoptr (GPtrArray) problems = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GPtrArray) entries = gw_keyfile_parse (path, text, length, problems);
  g_autofree char *all = NULL;

  for (guint i = 0; i < entries->len; i++)
    take_entry (self, path, entries->pdata[i], problems);
  if (self->spool_max_bytes_per_endpoint > self->spool_max_bytes)
    gw_keyfile_add_problem (problems, path, 0, "MaxBytesPerEndpoint is more than MaxBytes");
  if (self->authority_pin_file && g_str_equal (self->authority_key, GW_CONFIG_KEY_FILE))
    gw_keyfile_add_problem (problems, path, 0, "PinFile is for a Key in a token, not for Key=file");
  if (problems->len == 0)
    return g_steal_pointer (&self);
  g_ptr_array_add (problems, NULL);
  all = g_strjoinv ("\n", (char **)problems->pdata);
  g_set_error_literal (error, GW_ERROR, GW_ERROR_INVALID, all);
  return NULL;
}

GwConfig *
gw_config_load (const char *path, GError **error)
{
  g_autofree char *text = NULL;
  g_autoptr (GError) local = NULL;
  gsize length;

  if (gw_file_read (path ? path : GW_CONFIG_PATH_DEFAULT, GW_KEYFILE_SIZE_MAX, &text, &length, &local))
    return gw_config_parse (path ? path : GW_CONFIG_PATH_DEFAULT, text, length, error);
  if (!path && g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_NOENT))
    return gw_config_new_defaults ();
  g_set_error (error, GW_ERROR, GW_ERROR_STORAGE, "cannot read the configuration: %s", local->message);
  return NULL;
}
