/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See gw-audit.h. Verifying looks at some records a turn of the loop: a trail of years must not hold anybody up. */

#include "config.h"

#include "gw-audit.h"

#include "gw-dbus.h"
#include "gw-error.h"
#include "gw-event.h"

#define ACTOR_AGENT "agent"
/* The one call that a program makes by itself. */
#define ACTION_ATTACH "Manager.AttachBus"
/* Records verified in one turn of the loop: 2 ms. */
#define CHECK_PER_TURN 500

/* Room for records: what wires and plugins bring about must not take that of what people do. */
typedef struct
{
  guint left;
  gint64 refilled;
  guint64 left_out; /* since the last record */
} Room;

struct _GwAudit
{
  const GwServices *services;
  GwDBusAudit *skeleton;
  Room people, others;
  GDBusMethodInvocation *verifying; /* NULL: nobody asks */
  GwAuditCheck check;
  GwStep step;
};

/* ---- writing ---- */

/* Events that are of weight for who may do what; the others are the journal's alone. */
static gboolean
is_audited (GwEvent event)
{
  switch (event)
    {
    case GW_EVENT_ENDPOINT_ADMITTED:
    case GW_EVENT_ENDPOINT_QUARANTINED:
    case GW_EVENT_ENDPOINT_ENROLLED:
    case GW_EVENT_ENDPOINT_REVOKED:
    case GW_EVENT_ENDPOINT_RELEASED:
    case GW_EVENT_ENDPOINT_DECOMMISSIONED:
    case GW_EVENT_ENDPOINT_CLONED:
    case GW_EVENT_ENDPOINT_MOVED:
    case GW_EVENT_ENDPOINT_CONTRADICTS:
    case GW_EVENT_CREDENTIAL_OWNED:
    case GW_EVENT_CREDENTIAL_ISSUED:
    case GW_EVENT_CREDENTIAL_GATEWAY_RENEWED:
    case GW_EVENT_CREDENTIAL_FAILED:
    case GW_EVENT_AUTHORITY_LOST:
    case GW_EVENT_AUTHORITY_BACK:
    case GW_EVENT_BUS_ATTACHED:
    case GW_EVENT_BUS_REFUSED:
    case GW_EVENT_REPORTS_GIVEN_UP:
    case GW_EVENT_STORAGE_DAMAGED:
      return TRUE;
    case GW_EVENT_UPLINK_ONLINE:
    case GW_EVENT_UPLINK_LOST:
    case GW_EVENT_BUS_GONE:
    case GW_EVENT_BUS_OFF:
    case GW_EVENT_BUS_BACK:
    case GW_EVENT_BUS_CULPRIT:
    case GW_EVENT_STORAGE_FAILED:
      return FALSE;
    }
  return TRUE;
}

static gboolean
take_room (Room *self, gint64 now)
{
  gint64 more = (now - self->refilled) / GW_AUDIT_REFILL_USEC;

  if (more > 0)
    {
      self->left = (guint) MIN (GW_AUDIT_BURST, self->left + more);
      self->refilled += more * GW_AUDIT_REFILL_USEC;
    }
  if (self->left == 0)
    {
      self->left_out++;
      return FALSE;
    }
  self->left--;
  return TRUE;
}

static void
append (GwAudit *self, Room *room, const char *actor, const char *action, const char *object, const char *detail)
{
  g_autofree char *more = NULL;

  if (!take_room (room, gw_loop_now (self->services->loop)))
    return;
  if (room->left_out > 0)
    detail = more = g_strdup_printf ("%s (%" G_GUINT64_FORMAT " records of this kind before this one were left out: too many)", detail,
                                     room->left_out);
  room->left_out = 0;
  gw_db_append_audit_async (self->services->writer, gw_loop_realtime (self->services->loop), actor, action, object, detail);
}

static void
on_witness (const char *actor, const char *action, const char *object, const char *detail, gpointer data)
{
  GwAudit *self = data;

  append (self, g_str_equal (action, ACTION_ATTACH) ? &self->others : &self->people, actor, action, object, detail);
}

static void
on_event (GwEvent event, const char *name, const char *endpoint, const char *bus, const char *message, gpointer data)
{
  GwAudit *self = data;

  if (is_audited (event))
    append (self, &self->others, ACTOR_AGENT, name, endpoint != NULL ? endpoint : bus, message);
}

/* ---- reading ---- */

static GVariant *
as_variant (const GwAuditRecord *record)
{
  GVariantBuilder more;

  g_variant_builder_init (&more, G_VARIANT_TYPE ("a{sv}"));
  g_variant_builder_add (&more, "{sv}", "time", g_variant_new_uint64 ((guint64) record->time));
  g_variant_builder_add (&more, "{sv}", "object", g_variant_new_string (record->object));
  g_variant_builder_add (&more, "{sv}", "detail", g_variant_new_string (record->detail));
  return g_variant_new ("(tssa{sv})", (guint64) record->seq, record->actor, record->action, &more);
}

static gboolean
on_read (GwDBusAudit *skeleton, GDBusMethodInvocation *invocation, guint64 from, guint32 max, GwAudit *self)
{
  g_autoptr (GPtrArray) records = NULL;
  GVariantBuilder all;
  GError *error = NULL;

  if (max == 0 || max > GW_AUDIT_READ_MAX || from > G_MAXINT64)
    g_set_error (&error, GW_ERROR, GW_ERROR_LIMIT, "1 to %u records are given in one answer: ask again from the next number",
                 GW_AUDIT_READ_MAX);
  else
    records = gw_db_load_audit (self->services->db, (gint64) from, max, &error);
  if (records == NULL)
    {
      g_dbus_method_invocation_take_error (invocation, error);
      return G_DBUS_METHOD_INVOCATION_HANDLED;
    }
  g_variant_builder_init (&all, G_VARIANT_TYPE ("a(tssa{sv})"));
  for (guint i = 0; i < records->len; i++)
    g_variant_builder_add_value (&all, as_variant (records->pdata[i]));
  gw_dbus_audit_complete_read (skeleton, invocation, g_variant_builder_end (&all));
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

static void
check_more (gpointer data)
{
  GwAudit *self = data;
  GError *error = NULL;

  if (!gw_db_check_audit (self->services->db, &self->check, CHECK_PER_TURN, &error))
    g_dbus_method_invocation_take_error (g_steal_pointer (&self->verifying), error);
  else if (self->check.bad_seq != 0)
    gw_dbus_audit_complete_verify (self->skeleton, g_steal_pointer (&self->verifying), FALSE, (guint64) self->check.bad_seq);
  else if (self->check.at_end)
    gw_dbus_audit_complete_verify (self->skeleton, g_steal_pointer (&self->verifying), TRUE, (guint64) self->check.last);
  else
    gw_step_queue (&self->step);
}

static gboolean
on_verify (GwDBusAudit *skeleton, GDBusMethodInvocation *invocation, GwAudit *self)
{
  if (self->verifying != NULL)
    {
      g_dbus_method_invocation_return_error (invocation, GW_ERROR, GW_ERROR_BUSY, "the trail is being verified for somebody else: ask again");
      return G_DBUS_METHOD_INVOCATION_HANDLED;
    }
  self->verifying = invocation;
  self->check = (GwAuditCheck) { 0 };
  gw_step_queue (&self->step);
  return G_DBUS_METHOD_INVOCATION_HANDLED;
}

GwAudit *
gw_audit_new (const GwServices *services, GError **error)
{
  GwAudit *self = g_new0 (GwAudit, 1);

  self->services = services;
  self->people = self->others = (Room) { .left = GW_AUDIT_BURST, .refilled = gw_loop_now (services->loop) };
  gw_step_init (&self->step, services->loop, check_more, self);
  self->skeleton = gw_dbus_audit_skeleton_new ();
  gw_bouncer_guard (services->bouncer, G_DBUS_INTERFACE_SKELETON (self->skeleton));
  g_signal_connect (self->skeleton, "handle-read", G_CALLBACK (on_read), self);
  g_signal_connect (self->skeleton, "handle-verify", G_CALLBACK (on_verify), self);
  gw_bouncer_set_witness (services->bouncer, on_witness, self);
  gw_event_set_sink (on_event, self);
  if (g_dbus_interface_skeleton_export (G_DBUS_INTERFACE_SKELETON (self->skeleton), services->connection, GW_OBJECT_ROOT, error))
    return self;
  gw_audit_free (self);
  return NULL;
}

void
gw_audit_free (GwAudit *self)
{
  gw_event_set_sink (NULL, NULL);
  gw_bouncer_set_witness (self->services->bouncer, NULL, NULL);
  gw_step_cancel (&self->step);
  if (self->verifying != NULL)
    g_dbus_method_invocation_return_error (g_steal_pointer (&self->verifying), GW_ERROR, GW_ERROR_CANCELLED, "the agent ends");
  g_signal_handlers_disconnect_by_data (self->skeleton, self);
  g_dbus_interface_skeleton_unexport (G_DBUS_INTERFACE_SKELETON (self->skeleton));
  g_object_unref (self->skeleton);
  g_free (self);
}
