/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "gw-error.h"

/*
 * gangway.conf: a strict keyfile. Every key has a default, a file that is not there means defaults; an unknown group,
 * key or value is an error with file and line, and the daemon does not start on it.
 *
 *   [Spool]     MaxBytes=256M          all endpoints together; full = no more acknowledgements
 *               MaxBytesPerEndpoint=16M
 *               MaxAge=30d             older ones are given up and counted
 *   [Uplink]    DrainTime=30s          an open uplink outlives its node by this
 *   [Adoption]  Window=24h             how long AddBatch and Approve let first use happen
 *   [Authority] Key=file               the owner CA's: STATE/ca/ca.key, or pkcs11:token=...;object=...
 *               PinFile                of the token: a path, or the name of a systemd credential
 *   [Trust]     Manifests=/etc/gangway/trust.d/manifest
 *   [Policies]  Directories=/etc/gangway/policies.d;/usr/lib/gangway/policies.d
 *
 * Sizes: octets or with K, M, G (powers of 1024). Durations: s, m, h, d (a bare number is seconds).
 */
#define GW_CONFIG_PATH_DEFAULT "/etc/gangway/gangway.conf"

#define GW_CONFIG_KEY_FILE "file" /* [Authority] Key: no token */

typedef struct
{
  guint64 spool_max_bytes;
  guint64 spool_max_bytes_per_endpoint;
  gint64 spool_max_age;        /* us */
  gint64 drain_time;           /* us */
  gint64 adoption_window;      /* us */
  char *authority_key;         /* "file" or a PKCS #11 URI */
  char *authority_pin_file;    /* path or name of a credential; NULL: none */
  char *manifest_trust_dir;
  char **policy_dirs;          /* NULL-terminated */
} GwConfig;

GwConfig *gw_config_new_defaults (void);

/* path NULL: GW_CONFIG_PATH_DEFAULT, which may be missing; a path that was given must be there. GW_ERROR_INVALID with
 * file and line. */
GwConfig *gw_config_load (const char *path, GError **error);
GwConfig *gw_config_parse (const char *path, const char *text, gsize length, GError **error);
void gw_config_free (GwConfig *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwConfig, gw_config_free)
