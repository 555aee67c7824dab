/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See gw-ca-token.h. Two locks: `lock` is held as long as the token works, `told` only for a look at how it
 * went, so that the main thread never waits for a token. */

#include "gw-ca-token.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/pkcs11.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gw-error.h"

struct _GwCaToken
{
  char *uri;
  char *pin_file;
  GThreadPool *pool; /* of one thread */
  int stopping;      /* atomic */

  GMutex lock;                 /* for what follows, and for all calls of PKCS #11 */
  gnutls_privkey_t key;        /* NULL: no session, no modules */
  GError *pin_error;           /* why there was no PIN in the login that runs */
  gboolean pin_refused;        /* the one in the file of this age */
  struct timespec refused_age; /* st_mtim */

  GMutex told; /* for what follows */
  char *problem;
};

typedef struct
{
  GTask *task;
  GwCaTokenJob run;
} Job;

/* The one in the process. */
static GwCaToken *the_token;

/* The URI */

static gboolean
has_attribute (char **attributes, const char *name)
{
  for (char **a = attributes; *a != NULL; a++)
    if (g_str_has_prefix (*a, name) && (*a)[strlen (name)] == '=' && (*a)[strlen (name) + 1] != '\0')
      return TRUE;
  return FALSE;
}

const char *
gw_ca_token_check_uri (const char *uri)
{
  g_auto (GStrv) parts = NULL, path = NULL, query = NULL;

  if (!g_str_has_prefix (uri, "pkcs11:") || strlen (uri) > GW_CA_TOKEN_URI_MAX)
    return "a URI that begins with pkcs11:";
  parts = g_strsplit (uri + strlen ("pkcs11:"), "?", 2);
  path = g_strsplit (parts[0] != NULL ? parts[0] : "", ";", -1);
  query = g_strsplit (parts[0] != NULL && parts[1] != NULL ? parts[1] : "", "&", -1);
  if (has_attribute (query, "pin-value") || has_attribute (query, "pin-source"))
    return "a URI without a PIN: write the PIN to a file of mode 0600 and name it in PinFile";
  if (!has_attribute (path, "token") && !has_attribute (path, "serial"))
    return "a URI with token= or serial=, which name the token";
  if (!has_attribute (path, "object") && !has_attribute (path, "id"))
    return "a URI with object= or id=, which name the key";
  return NULL;
}

/* The PIN */

gboolean
gw_ca_token_check_pin_file (const char *name)
{
  return g_path_is_absolute (name) || (*name != '\0' && *name != '.' && strchr (name, '/') == NULL);
}

/* A credential's file is the service manager's: it grants the reader by group or ACL, which shows as group
 * bits, in a folder that nobody else may enter. */
static gboolean
check_pin_stat (const char *path, gboolean is_credential, const struct stat *st, GError **error)
{
  mode_t open_to = st->st_mode & (is_credential ? 007 : 077);

  if (!S_ISREG (st->st_mode))
    g_set_error (error, GW_ERROR, GW_ERROR_BAD_STATE, "The PIN file %s is not a regular file", path);
  else if (open_to != 0)
    g_set_error (
        error, GW_ERROR, GW_ERROR_BAD_STATE,
        "The PIN file %s can be read or written by others (mode %04o): others may know the PIN. Change "
        "the PIN and `chmod 600` the file",
        path, st->st_mode & 07777);
  else if (!is_credential && st->st_uid != 0 && st->st_uid != geteuid ())
    g_set_error (error, GW_ERROR, GW_ERROR_BAD_STATE,
                 "The PIN file %s belongs to user %u, who can change it; `chown` it to the user of gangwayd",
                 path, st->st_uid);
  else
    return TRUE;
  return FALSE;
}

/* The file's first line to pin, which is wiped if it fails; age is when the file was written. */
static gboolean
read_pin (const char *name, char *pin, gsize max, struct timespec *age, GError **error)
{
  gboolean is_credential = !g_path_is_absolute (name);
  const char *folder = g_getenv ("CREDENTIALS_DIRECTORY");
  g_autofree char *path = NULL;
  struct stat st;
  gssize n = -1;
  int fd;

  if (is_credential && folder == NULL)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_BAD_STATE,
                   "There are no credentials to take the PIN from (PinFile=%s); give the service one with "
                   "LoadCredential=%s:/path, or name a file by its whole path",
                   name, name);
      return FALSE;
    }
  path = is_credential ? g_build_filename (folder, name, NULL) : g_strdup (name);
  fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0 || fstat (fd, &st) != 0)
    g_set_error (error, GW_ERROR, GW_ERROR_BAD_STATE, "The PIN file %s cannot be opened: %s", path,
                 g_strerror (errno));
  else if (check_pin_stat (path, is_credential, &st, error))
    {
      *age = st.st_mtim;
      n = read (fd, pin, max);
      if (n >= 0 && (gsize)n < max)
        {
          pin[n] = '\0';
          pin[strcspn (pin, "\r\n")] = '\0';
        }
      if (n <= 0 || (gsize)n == max || *pin == '\0')
        {
          explicit_bzero (pin, max);
          g_set_error (error, GW_ERROR, GW_ERROR_BAD_STATE,
                       "The PIN file %s does not hold a PIN of 1 to %u octets", path, (guint)max - 2);
          n = -1;
        }
    }
  if (fd >= 0)
    close (fd);
  return n > 0;
}

static gboolean
get_pin (GwCaToken *self, int attempt, guint flags, char *pin, gsize max, GError **error)
{
  struct timespec age;

  if (self->pin_file == NULL)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_BAD_STATE,
                   "the token asks for a PIN; write it to a file of mode 0600 and name it in PinFile");
      return FALSE;
    }
  if (!read_pin (self->pin_file, pin, max, &age, error))
    return FALSE;
  if (attempt > 0 || (flags & GNUTLS_PIN_WRONG) != 0)
    {
      self->pin_refused = TRUE;
      self->refused_age = age;
    }
  if (self->pin_refused && age.tv_sec == self->refused_age.tv_sec && age.tv_nsec == self->refused_age.tv_nsec)
    g_set_error (error, GW_ERROR, GW_ERROR_BAD_STATE,
                 "the token refuses the PIN in %s; it is not tried again before the file is written again",
                 self->pin_file);
  else if ((flags & GNUTLS_PIN_FINAL_TRY) != 0)
    g_set_error (error, GW_ERROR, GW_ERROR_BAD_STATE,
                 "a wrong PIN would lock the token now, so none is tried; log in once by hand: "
                 "`p11tool --login --list-all '%s'`",
                 self->uri);
  else
    return TRUE;
  explicit_bzero (pin, max);
  return FALSE;
}

static int
on_pin (
    void *data, int attempt, const char *url, const char *label, unsigned int flags, char *pin, size_t max)
{
  GwCaToken *self = data;

  g_clear_error (&self->pin_error);
  return get_pin (self, attempt, flags, pin, max, &self->pin_error) ? 0 : GNUTLS_E_PKCS11_PIN_ERROR;
}

/* The session */

static void
drop_session (GwCaToken *self)
{
  if (self->key != NULL)
    gnutls_privkey_deinit (self->key);
  self->key = NULL;
  gnutls_pkcs11_deinit ();
}

static int
open_session (GwCaToken *self)
{
  gnutls_privkey_t key = NULL;
  int rc;

  if (self->key != NULL)
    return 0;
  g_clear_error (&self->pin_error);
  rc = gnutls_privkey_init (&key);
  if (rc < 0)
    return rc;
  gnutls_privkey_set_pin_function (key, on_pin, self);
  rc = gnutls_privkey_import_url (key, self->uri, 0);
  if (rc < 0)
    {
      gnutls_privkey_deinit (key);
      return rc;
    }
  self->key = key;
  return 0;
}

static const char *
explain (GwCaToken *self, int rc)
{
  if (self->pin_error != NULL)
    return self->pin_error->message;
  switch (rc)
    {
    case GNUTLS_E_PKCS11_REQUESTED_OBJECT_NOT_AVAILBLE:
      return "the token is not there";
    case GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE:
      return "the token is there, but has no such key";
    case GNUTLS_E_PK_SIG_VERIFY_FAILED:
      return "it is not the key of ca.crt, which endpoints are pinned to";
    default:
      return gnutls_strerror (rc);
    }
}

static void
set_problem (GwCaToken *self, const char *problem)
{
  g_mutex_lock (&self->told);
  g_free (self->problem);
  self->problem = g_strdup (problem);
  g_mutex_unlock (&self->told);
}

gboolean
gw_ca_token_use (GwCaToken *self, GwCaTokenFunc func, gpointer data, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  const char *problem;
  gboolean again;
  int rc;

  do
    {
      again = self->key != NULL;
      rc = open_session (self);
      if (rc >= 0)
        rc = func (self->key, data);
      if (rc >= 0)
        {
          set_problem (self, NULL);
          return TRUE;
        }
      drop_session (self);
    }
  while (again);
  problem = explain (self, rc);
  set_problem (self, problem);
  g_set_error (error, GW_ERROR, GW_ERROR_BAD_STATE, "The owner CA's key %s cannot be used: %s", self->uri,
               problem);
  return FALSE;
}

char *
gw_ca_token_dup_problem (GwCaToken *self)
{
  char *problem;

  g_mutex_lock (&self->told);
  problem = g_strdup (self->problem);
  g_mutex_unlock (&self->told);
  return problem;
}

const char *
gw_ca_token_get_uri (GwCaToken *self)
{
  return self->uri;
}

/* The thread */

static void
run_job (gpointer data, gpointer user_data)
{
  g_autofree Job *job = data;
  g_autoptr (GTask) task = job->task;
  GwCaToken *self = user_data;

  if (g_task_return_error_if_cancelled (task))
    return;
  if (g_atomic_int_get (&self->stopping))
    g_task_return_new_error (task, GW_ERROR, GW_ERROR_CANCELLED, "The gateway is stopping");
  else
    job->run (task);
}

void
gw_ca_token_push (GwCaToken *self, GTask *task, GwCaTokenJob run)
{
  Job *job;

  if (g_thread_pool_unprocessed (self->pool) >= GW_CA_TOKEN_QUEUE_MAX)
    {
      g_task_return_new_error (
          task, GW_ERROR, GW_ERROR_BUSY,
          "%d certificates wait for the owner CA's token already; it is tried again later",
          GW_CA_TOKEN_QUEUE_MAX);
      g_object_unref (task);
      return;
    }
  job = g_new (Job, 1);
  *job = (Job){ task, run };
  g_thread_pool_push (self->pool, job, NULL);
}

GwCaToken *
gw_ca_token_new (const char *uri, const char *pin_file, GError **error)
{
  g_autoptr (GwCaToken) self = NULL;
  char pin[GNUTLS_PKCS11_MAX_PIN_LEN];
  struct timespec age;
  const char *expected = gw_ca_token_check_uri (uri);

  if (expected != NULL)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_INVALID, "The owner CA's key must be %s", expected);
      return NULL;
    }
  if (the_token != NULL)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_BUSY, "A token is in use by this process already");
      return NULL;
    }
  if (pin_file != NULL && !read_pin (pin_file, pin, sizeof pin, &age, error))
    return NULL;
  explicit_bzero (pin, sizeof pin);
  self = g_new0 (GwCaToken, 1);
  self->uri = g_strdup (uri);
  self->pin_file = g_strdup (pin_file);
  g_mutex_init (&self->lock);
  g_mutex_init (&self->told);
  the_token = self;
  self->pool = g_thread_pool_new (run_job, self, 1, TRUE, error);
  return self->pool != NULL ? g_steal_pointer (&self) : NULL;
}

void
gw_ca_token_free (GwCaToken *self)
{
  if (self == NULL)
    return;
  g_atomic_int_set (&self->stopping, 1);
  if (self->pool != NULL)
    g_thread_pool_free (self->pool, FALSE, TRUE);
  drop_session (self);
  the_token = NULL;
  g_mutex_clear (&self->lock);
  g_mutex_clear (&self->told);
  g_clear_error (&self->pin_error);
  g_free (self->problem);
  g_free (self->pin_file);
  g_free (self->uri);
  g_free (self);
}
