/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>
#include <gnutls/abstract.h>

/* The owner CA's key in a token (SoftHSM, TPM, HSM, card), by its PKCS #11 URI (RFC 7512). Internal to the
 * CA.
 *
 * The token may go and come back: each use opens what it needs, keeps it while it works, and lets all of it
 * go when it does not, modules included (some never look for tokens again otherwise). That is the process's
 * whole PKCS #11 state: there is one GwCaToken in a process, and nobody else may use PKCS #11.
 *
 * The PIN comes from a file, is read for each login and wiped. A PIN that was refused is not tried again, and
 * the last try before the token locks itself is left to a person. */

#define GW_CA_TOKEN_URI_MAX 1024
#define GW_CA_TOKEN_QUEUE_MAX 1024 /* jobs that wait for the token */

typedef struct _GwCaToken GwCaToken;

/* NULL, or what is wrong with the URI: it must name one key, and must not carry the PIN. */
const char *gw_ca_token_check_uri (const char *uri);
/* An absolute path, or the name of a systemd credential. */
gboolean gw_ca_token_check_pin_file (const char *name);

/* Does not look for the token. pin_file NULL: no PIN is needed. GW_ERROR_INVALID (URI), GW_ERROR_BAD_STATE (a
 * PIN file that is not there or that others can read), GW_ERROR_BUSY (there is one already). */
GwCaToken *gw_ca_token_new (const char *uri, const char *pin_file, GError **error);
/* Waits for the job that runs; those that wait are cancelled. */
void gw_ca_token_free (GwCaToken *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwCaToken, gw_ca_token_free)

const char *gw_ca_token_get_uri (GwCaToken *self);

/* Calls func with the key, and once more with a fresh session if it fails in an old one. func returns
 * GnuTLS's code and keeps nothing of the key. Any thread, one at a time; takes as long as the token takes.
 * GW_ERROR_BAD_STATE. */
typedef int (*GwCaTokenFunc) (gnutls_privkey_t key, gpointer data);
gboolean gw_ca_token_use (GwCaToken *self, GwCaTokenFunc func, gpointer data, GError **error);

/* Calls run in the token's own thread, in the order of the calls; run returns the task. Takes the reference.
 * A task that is cancelled before its turn, or that finds GW_CA_TOKEN_QUEUE_MAX before it (GW_ERROR_BUSY), is
 * returned without. */
typedef void (*GwCaTokenJob) (GTask *task);
void gw_ca_token_push (GwCaToken *self, GTask *task, GwCaTokenJob run);

/* Why the last use failed, the caller's; NULL: it did not. Any thread. */
char *gw_ca_token_dup_problem (GwCaToken *self);
