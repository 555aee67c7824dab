/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Authorisation of D-Bus calls. g-authorize-method runs in a worker thread of GDBus, so asking polkit may block here; nothing of the
 * daemon's state is touched. The subject is always the caller's unique bus name: a PID can be reused while we ask.
 */

#include "config.h"

#include "gw-bouncer.h"

#include <string.h>
#include <unistd.h>

#include <polkit/polkit.h>

#include "gw-error.h"

#define ANNOTATION "org.gangway.Gangway1.Action"
#define ASK_TIMEOUT_MSEC 120000
/* Questions to people that may be open at once; see ask_people(). */
#define QUESTIONS_MAX 6
#define QUESTIONS_PER_USER_MAX 2
/* Reading needs no witness, be it of the witness's own book. */
#define ACTION_VIEW "org.gangway.gangway1.view"
#define INTERFACE_AUDIT "org.gangway.Gangway1.Audit"
/* Characters of a call's arguments that the witness is told. */
#define DETAIL_MAX 300

struct _GwBouncer
{
  GObject parent_instance;
  GwBouncerMode mode;
  GDBusConnection *connection;
  PolkitAuthority *authority;
  GMutex lock;
  GHashTable *questions; /* uid -> how many are open; under the lock */
  guint n_questions;     /* in all; under the lock */
  GwBouncerWitness witness; /* the main thread's */
  gpointer witness_data;
};

G_DEFINE_FINAL_TYPE (GwBouncer, gw_bouncer, G_TYPE_OBJECT)

static void
gw_bouncer_finalize (GObject *object)
{
  GwBouncer *self = GW_BOUNCER (object);

  g_clear_object (&self->connection);
  g_clear_object (&self->authority);
  g_hash_table_unref (self->questions);
  g_mutex_clear (&self->lock);
  G_OBJECT_CLASS (gw_bouncer_parent_class)->finalize (object);
}

static void
gw_bouncer_class_init (GwBouncerClass *class)
{
  G_OBJECT_CLASS (class)->finalize = gw_bouncer_finalize;
}

static void
gw_bouncer_init (GwBouncer *self)
{
  g_mutex_init (&self->lock);
  self->questions = g_hash_table_new (NULL, NULL);
}

gboolean
gw_bouncer_mode_from_string (const char *name, GwBouncerMode *mode)
{
  if (g_strcmp0 (name, "polkit") == 0)
    *mode = GW_BOUNCER_POLKIT;
  else if (g_strcmp0 (name, "own-uid") == 0)
    *mode = GW_BOUNCER_OWN_UID;
  else
    return FALSE;
  return TRUE;
}

GwBouncer *
gw_bouncer_new (GwBouncerMode mode, GDBusConnection *connection, GError **error)
{
  g_autoptr (GwBouncer) self = g_object_new (GW_TYPE_BOUNCER, NULL);

  self->mode = mode;
  self->connection = g_object_ref (connection);
  if (mode == GW_BOUNCER_POLKIT)
    {
      self->authority = polkit_authority_get_sync (NULL, error);
      if (self->authority == NULL)
        return NULL;
    }
  return g_steal_pointer (&self);
}

static gboolean
ask_uid (GwBouncer *self, const char *sender, guint32 *uid, GError **error)
{
  g_autoptr (GVariant) reply = g_dbus_connection_call_sync (
      self->connection, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetConnectionUnixUser",
      g_variant_new ("(s)", sender), G_VARIANT_TYPE ("(u)"), G_DBUS_CALL_FLAGS_NONE, ASK_TIMEOUT_MSEC, NULL, error);

  if (reply == NULL)
    return FALSE;
  g_variant_get (reply, "(u)", uid);
  return TRUE;
}

static gboolean
has_own_uid (GwBouncer *self, const char *sender, GError **error)
{
  guint32 uid;

  return ask_uid (self, sender, &uid, error) && uid == getuid ();
}

/* ---- polkit ---- */

static PolkitAuthorizationResult *
ask_polkit (GwBouncer *self, PolkitSubject *subject, const char *action, PolkitCheckAuthorizationFlags flags, GError **error)
{
  return polkit_authority_check_authorization_sync (self->authority, subject, action, NULL, flags, NULL, error);
}

static gboolean
begin_question (GwBouncer *self, guint32 uid, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  guint open = GPOINTER_TO_UINT (g_hash_table_lookup (self->questions, GUINT_TO_POINTER (uid)));

  if (open >= QUESTIONS_PER_USER_MAX || self->n_questions >= QUESTIONS_MAX)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_LIMIT, "%u authentications are open already, %u of them yours; answer or cancel those first",
                   self->n_questions, open);
      return FALSE;
    }
  g_hash_table_insert (self->questions, GUINT_TO_POINTER (uid), GUINT_TO_POINTER (open + 1));
  self->n_questions++;
  return TRUE;
}

static void
end_question (GwBouncer *self, guint32 uid)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  guint open = GPOINTER_TO_UINT (g_hash_table_lookup (self->questions, GUINT_TO_POINTER (uid)));

  if (open > 1)
    g_hash_table_insert (self->questions, GUINT_TO_POINTER (uid), GUINT_TO_POINTER (open - 1));
  else
    g_hash_table_remove (self->questions, GUINT_TO_POINTER (uid));
  self->n_questions--;
}

/*
 * Has polkit ask a person for a password. That holds one of the threads in which GDBus has calls authorised (ten, before it slowly makes
 * more) for as long as nobody answers, and nobody need ever answer: any user can register an authentication agent of his own. So few
 * questions are open at once, of one user fewer still, and threads are left for everybody who needs no question.
 */
static PolkitAuthorizationResult *
ask_people (GwBouncer *self, const char *sender, PolkitSubject *subject, const char *action, GError **error)
{
  PolkitAuthorizationResult *result;
  guint32 uid;

  if (!ask_uid (self, sender, &uid, error) || !begin_question (self, uid, error))
    return NULL;
  result = ask_polkit (self, subject, action, POLKIT_CHECK_AUTHORIZATION_FLAGS_ALLOW_USER_INTERACTION, error);
  end_question (self, uid);
  return result;
}

static gboolean
polkit_allows (GwBouncer *self, const char *sender, const char *action, gboolean interactive, GError **error)
{
  g_autoptr (PolkitSubject) subject = polkit_system_bus_name_new (sender);
  g_autoptr (PolkitAuthorizationResult) result
      = ask_polkit (self, subject, action, POLKIT_CHECK_AUTHORIZATION_FLAGS_NONE, error);

  if (interactive && result != NULL && polkit_authorization_result_get_is_challenge (result))
    {
      g_object_unref (result);
      result = ask_people (self, sender, subject, action, error);
    }
  return result != NULL && polkit_authorization_result_get_is_authorized (result);
}

/* ---- the witness ---- */

typedef struct
{
  GwBouncer *bouncer;
  char *actor, *action, *object, *detail;
} Testimony;

static void
testimony_free (gpointer data)
{
  Testimony *self = data;

  g_object_unref (self->bouncer);
  g_free (self->actor);
  g_free (self->action);
  g_free (self->object);
  g_free (self->detail);
  g_free (self);
}

static gboolean
on_testify (gpointer data)
{
  const Testimony *self = data;

  if (self->bouncer->witness != NULL)
    self->bouncer->witness (self->actor, self->action, self->object, self->detail, self->bouncer->witness_data);
  return G_SOURCE_REMOVE;
}

/* In the worker thread: GDBus hands the call to the main thread right after this, at the same priority, so the witness comes first. */
static void
testify (GwBouncer *self, GDBusMethodInvocation *invocation, const char *action)
{
  const char *interface = g_dbus_method_invocation_get_interface_name (invocation);
  const char *sender = g_dbus_method_invocation_get_sender (invocation), *dot = strrchr (interface, '.');
  g_autofree char *arguments = NULL;
  Testimony *testimony;
  guint32 uid;

  if (g_str_equal (action, ACTION_VIEW) || g_str_equal (interface, INTERFACE_AUDIT))
    return;
  testimony = g_new0 (Testimony, 1);
  testimony->bouncer = g_object_ref (self);
  testimony->actor = ask_uid (self, sender, &uid, NULL) ? g_strdup_printf ("uid %u", uid) : g_strdup (sender);
  testimony->action = g_strconcat (dot != NULL ? dot + 1 : interface, ".", g_dbus_method_invocation_get_method_name (invocation), NULL);
  testimony->object = g_strdup (g_dbus_method_invocation_get_object_path (invocation));
  arguments = g_variant_print (g_dbus_method_invocation_get_parameters (invocation), FALSE);
  testimony->detail = g_utf8_substring (arguments, 0, MIN (g_utf8_strlen (arguments, -1), DETAIL_MAX));
  g_idle_add_full (G_PRIORITY_DEFAULT, on_testify, testimony, testimony_free);
}

void
gw_bouncer_set_witness (GwBouncer *self, GwBouncerWitness witness, gpointer data)
{
  self->witness = witness;
  self->witness_data = data;
}

static gboolean
is_allowed (GwBouncer *self, GDBusMethodInvocation *invocation, const char *action)
{
  const char *sender = g_dbus_method_invocation_get_sender (invocation);
  GDBusMessage *message = g_dbus_method_invocation_get_message (invocation);
  gboolean interactive = (g_dbus_message_get_flags (message) & G_DBUS_MESSAGE_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION) != 0;
  g_autoptr (GError) error = NULL;
  gboolean allowed = FALSE;

  if (action != NULL && sender != NULL)
    allowed = self->mode == GW_BOUNCER_POLKIT ? polkit_allows (self, sender, action, interactive, &error)
                                              : has_own_uid (self, sender, &error);
  if (allowed)
    {
      testify (self, invocation, action);
      return TRUE;
    }
  g_dbus_method_invocation_return_error (
      invocation, GW_ERROR, GW_ERROR_NOT_AUTHORIZED, "%s needs the authorisation %s%s%s: %s",
      g_dbus_method_invocation_get_method_name (invocation), action != NULL ? action : "(none is defined)",
      error != NULL ? ", and asking for it failed: " : "", error != NULL ? error->message : "",
      self->mode == GW_BOUNCER_POLKIT ? "ask an administrator, or run it as root"
                                      : "this agent obeys nobody but the user who started it (--authorize=own-uid)");
  return FALSE;
}

static const char *
action_of (GDBusMethodInvocation *invocation)
{
  const GDBusMethodInfo *method = g_dbus_method_invocation_get_method_info (invocation);

  return method != NULL ? g_dbus_annotation_info_lookup (method->annotations, ANNOTATION) : NULL;
}

static gboolean
on_authorize (GDBusInterfaceSkeleton *interface, GDBusMethodInvocation *invocation, gpointer data)
{
  return is_allowed (data, invocation, action_of (invocation));
}

/* ---- jobs ---- */

typedef struct
{
  GwBouncer *bouncer;
  char *starter;
  char *action;
} JobRule;

static void
job_rule_free (gpointer data, GClosure *closure)
{
  JobRule *rule = data;

  g_object_unref (rule->bouncer);
  g_free (rule->starter);
  g_free (rule->action);
  g_free (rule);
}

/* A unique name is never given out twice: who has it is the starter. */
static gboolean
on_authorize_job (GDBusInterfaceSkeleton *interface, GDBusMethodInvocation *invocation, gpointer data)
{
  const JobRule *rule = data;

  return g_strcmp0 (g_dbus_method_invocation_get_sender (invocation), rule->starter) == 0
         || is_allowed (rule->bouncer, invocation, rule->action);
}

void
gw_bouncer_guard_job (GwBouncer *self, GDBusInterfaceSkeleton *interface, GDBusMethodInvocation *started_by)
{
  JobRule *rule = g_new0 (JobRule, 1);

  rule->bouncer = g_object_ref (self);
  rule->starter = g_strdup (g_dbus_method_invocation_get_sender (started_by));
  rule->action = g_strdup (action_of (started_by));
  g_signal_connect_data (interface, "g-authorize-method", G_CALLBACK (on_authorize_job), rule, job_rule_free, 0);
}

void
gw_bouncer_guard (GwBouncer *self, GDBusInterfaceSkeleton *interface)
{
  /* Not g_signal_connect_object(): of several calls that are judged at the same time it holds the object for the first one only. */
  g_signal_connect_data (interface, "g-authorize-method", G_CALLBACK (on_authorize), g_object_ref (self),
                         (GClosureNotify) (void (*) (void)) g_object_unref, 0);
}
